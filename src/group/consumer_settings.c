/* consumer_settings: what a broker has set for groups of the consumer protocol, and what a group has set for itself. */
#include <strings.h>

#include "config/config.h"
#include "config/group_config.h"
#include "group/consumer_group.h"
#include "group/consumer_options.h"
#include "metadata/image.h"

static bool has_item(struct config_list list, const char *word)
{
	for (size_t i = 0; i < list.count; i++)
		if (strcasecmp(list.items[i], word) == 0)
			return true;
	return false;
}

static void read_assignors(const struct config *c, struct consumer_options *o)
{
	struct config_list list = config_list(c, CONFIG_GROUP_CONSUMER_ASSIGNORS);

	for (size_t i = 0; i < list.count && o->assignor_count < CONSUMER_ASSIGNORS_MAX; i++) {
		enum server_assignor a;

		if (server_assignor_find(bytes_str(list.items[i]), &a) &&
		    (o->assignor_count == 0 || o->assignors[0] != a))
			o->assignors[o->assignor_count++] = a;
	}
	/* Only classes of Java's were named: groups need one nevertheless. */
	if (o->assignor_count == 0)
		o->assignors[o->assignor_count++] = SERVER_ASSIGNOR_UNIFORM;
}

void consumer_options_read(const struct config *c, struct consumer_options *ret_options)
{
	const char *policy = config_string(c, CONFIG_GROUP_CONSUMER_MIGRATION_POLICY);
	bool both = strcasecmp(policy, "bidirectional") == 0;

	*ret_options = (struct consumer_options){
		.enabled = has_item(config_list(c, CONFIG_GROUP_COORDINATOR_REBALANCE_PROTOCOLS), "consumer"),
		.may_upgrade = both || strcasecmp(policy, "upgrade") == 0,
		.may_downgrade = both || strcasecmp(policy, "downgrade") == 0,
		.group_consumer_max_size = config_int32(c, CONFIG_GROUP_CONSUMER_MAX_SIZE),
		.group_consumer_regex_refresh_interval_ms = config_int32(
			c, CONFIG_GROUP_CONSUMER_REGEX_REFRESH_INTERVAL_MS),
		.config = c,
		.node_id = config_node_id(c),
	};
	read_assignors(c, ret_options);
}

const struct consumer_settings *consumer_group_settings(const struct groups *all, struct group *g, const struct step *s)
{
	const struct consumer_options *o = &all->options->consumer;
	struct consumer_settings *set = &g->consumer->settings;
	const struct config_entry *own;
	struct config_layers layers;
	size_t count;

	if (set->image_version == image_version(s->image))
		return set;
	layers = image_layers(s->image, o->config, o->node_id, NULL);
	own = image_resource_configs(s->image, CONFIG_OF_GROUP, g->id, &count);
	set->session_timeout_ms = (int32_t)group_config_int64(&layers, own, count,
							      GROUP_CONFIG_CONSUMER_SESSION_TIMEOUT_MS);
	set->heartbeat_interval_ms = (int32_t)group_config_int64(&layers, own, count,
								 GROUP_CONFIG_CONSUMER_HEARTBEAT_INTERVAL_MS);
	set->assignment_interval_ms = (int32_t)group_config_int64(&layers, own, count,
								  GROUP_CONFIG_CONSUMER_ASSIGNMENT_INTERVAL_MS);
	set->image_version = image_version(s->image);
	return set;
}
