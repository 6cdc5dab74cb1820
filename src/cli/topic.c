/* topic: `moldau topic create|list|describe|delete`. Calls the client library and stdio. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/session.h"
#include "cli/verbs.h"

#define CONFIGS_MAX 64
#define NAMES_MAX 1000
#define KAFKA_TOPIC_ALREADY_EXISTS 36
#define KAFKA_UNKNOWN_TOPIC 3
#define SOURCE_TOPIC 1

const char cli_topic_create_help[] = "usage: moldau topic create TOPIC... [OPTIONS]\n"
				     "\n"
				     "  --topic TOPIC               the same as TOPIC\n"
				     "  -p, --partitions N          default: the broker's num.partitions\n"
				     "  -r, --replication-factor N  default: the broker's default.replication.factor\n"
				     "  -c, --config NAME=VALUE     a setting of the topic\n"
				     "  --if-not-exists             no error when it exists\n"
				     "  --dry-run                   only asks whether it could be\n" SESSION_HELP
				     "\nExamples\n"
				     "  moldau topic create orders --partitions 6 --config retention.ms=86400000\n";

const char cli_topic_list_help[] = "usage: moldau topic list [OPTIONS]\n"
				   "\n"
				   "  --exclude-internal   without the brokers' own topics\n"
				   "  --format text|json\n" SESSION_HELP;

const char cli_topic_describe_help[] =
	"usage: moldau topic describe [TOPIC...] [OPTIONS]\n"
	"\n"
	"Partitions, leaders and replicas; settings that differ from the broker's. Without TOPIC: all.\n"
	"\n"
	"  --topic TOPIC        the same as TOPIC\n"
	"  --format text|json   json: an object a line for each topic\n"
	"  --all-configs        every setting, also those that are the default\n" SESSION_HELP;

const char cli_topic_delete_help[] = "usage: moldau topic delete TOPIC... [OPTIONS]\n"
				     "\n"
				     "  --topic TOPIC        the same as TOPIC\n"
				     "  --if-exists          no error when it does not exist\n" SESSION_HELP;

struct topic_arguments {
	struct session session;
	const char *names[NAMES_MAX];
	size_t name_count;
	struct mo_option configs[CONFIGS_MAX];
	size_t config_count;
	int64_t partitions;
	int64_t replication_factor;
	bool if_not_exists;
	bool if_exists;
	bool exclude_internal;
	bool dry_run;
	bool json;
	bool all_configs;
};

static bool add_name(struct topic_arguments *a, const char *name)
{
	if (!name || a->name_count == NAMES_MAX)
		return false;
	a->names[a->name_count++] = name;
	return true;
}

static bool add_config(struct topic_arguments *a, struct cli_options *o)
{
	char *text = (char *)(uintptr_t)cli_value(o);
	const char *equals = text ? cli_pair(o->verb, "--config", text) : NULL;

	if (!equals || a->config_count == CONFIGS_MAX)
		return false;
	text[equals - text] = '\0';
	a->configs[a->config_count++] = (struct mo_option){.name = text, .value = equals + 1};
	return true;
}

/* False after a complaint; for cli_take_all. */
static bool take_option(void *arguments, struct cli_options *o)
{
	struct topic_arguments *a = arguments;

	if (session_takes(&a->session, o))
		return !a->session.usage_error;
	if (cli_is(o, NULL))
		return add_name(a, o->name);
	if (cli_is(o, "--topic"))
		return add_name(a, cli_value(o));
	if (cli_is(o, "-p") || cli_is(o, "--partitions"))
		return cli_take_number(o, 1, 1000000, &a->partitions);
	if (cli_is(o, "-r") || cli_is(o, "--replication-factor"))
		return cli_take_number(o, 1, INT16_MAX, &a->replication_factor);
	if (cli_is(o, "-c") || cli_is(o, "--config"))
		return add_config(a, o);
	if (cli_is(o, "--format"))
		return cli_take_format(o, &a->json);
	if (cli_is(o, "--if-not-exists"))
		return a->if_not_exists = true;
	if (cli_is(o, "--if-exists"))
		return a->if_exists = true;
	if (cli_is(o, "--exclude-internal"))
		return a->exclude_internal = true;
	if (cli_is(o, "--dry-run"))
		return a->dry_run = true;
	if (cli_is(o, "--all-configs"))
		return a->all_configs = true;
	cli_unknown(o);
	return false;
}

static struct topic_arguments *parse(const struct cli_verb *verb, int argc, char **argv, int *ret_code)
{
	struct topic_arguments *a = calloc(1, sizeof(*a));
	struct cli_options o = cli_options(verb, argc, argv);

	if (!a)
		abort();
	a->partitions = a->replication_factor = -1;
	session_init(&a->session, verb);
	*ret_code = cli_take_all(&o, take_option, a);
	return a;
}

static int open_for(struct topic_arguments *a, bool wants_name)
{
	if (wants_name && a->name_count == 0)
		return cli_usage(a->session.verb, "which topic?");
	return session_open(&a->session);
}

static int finish(struct topic_arguments *a, int code)
{
	session_close(&a->session);
	free(a);
	return code;
}

int cli_topic_create(const struct cli_verb *verb, int argc, char **argv)
{
	int code;
	struct topic_arguments *a = parse(verb, argc, argv, &code);

	if (!code)
		code = open_for(a, true);
	for (size_t i = 0; i < a->name_count && session_goes_on(&a->session, code); i++) {
		struct mo_new_topic t = {
			.name = a->names[i],
			.partitions = (int32_t)a->partitions,
			.replication_factor = (int16_t)a->replication_factor,
			.configs = a->configs,
			.config_count = a->config_count,
			.validate_only = a->dry_run,
		};
		struct mo_err e;
		int failed = mo_topic_create(a->session.client, &t, &e);

		if (failed == KAFKA_TOPIC_ALREADY_EXISTS && a->if_not_exists)
			continue;
		if (failed)
			code = session_failed_at(&a->session, a->names[i], &e);
		else
			printf("%s topic %s\n", a->dry_run ? "could create" : "created", a->names[i]);
	}
	return finish(a, code);
}

int cli_topic_delete(const struct cli_verb *verb, int argc, char **argv)
{
	int code;
	struct topic_arguments *a = parse(verb, argc, argv, &code);

	if (!code)
		code = open_for(a, true);
	for (size_t i = 0; i < a->name_count && session_goes_on(&a->session, code); i++) {
		struct mo_err e;
		int failed = mo_topic_delete(a->session.client, a->names[i], &e);

		if (failed == KAFKA_UNKNOWN_TOPIC && a->if_exists)
			continue;
		if (failed == KAFKA_UNKNOWN_TOPIC)
			snprintf(e.text, sizeof(e.text),
				 "topic %.249s does not exist; `moldau topic list` shows which do", a->names[i]);
		if (failed)
			code = session_failed_at(&a->session, a->names[i], &e);
		else
			printf("deleted topic %s\n", a->names[i]);
	}
	return finish(a, code);
}

static void print_json(const struct mo_topics *topics, bool exclude_internal)
{
	for (size_t i = 0; i < topics->count; i++) {
		const struct mo_topic *t = &topics->topics[i];
		json_t *row;

		if (t->internal && exclude_internal)
			continue;
		row = json_pack("{s:s, s:s, s:I, s:b}", "name", t->name, "id", t->id, "partitions",
				(json_int_t)t->partition_count, "internal", t->internal);
		json_dumpf(row, stdout, JSON_COMPACT);
		putchar('\n');
		json_decref(row);
	}
}

int cli_topic_list(const struct cli_verb *verb, int argc, char **argv)
{
	int code;
	struct topic_arguments *a = parse(verb, argc, argv, &code);
	struct mo_topics topics = {0};
	struct mo_err e;

	if (!code && a->name_count > 0)
		code = cli_usage(verb, "takes no topic; `moldau topic describe %s` tells of one", a->names[0]);
	if (!code)
		code = open_for(a, false);
	if (!code && mo_topic_list(a->session.client, &topics, &e))
		code = session_failed(&a->session, &e);
	if (a->json)
		print_json(&topics, a->exclude_internal);
	for (size_t i = 0; i < topics.count && !a->json; i++)
		if (!topics.topics[i].internal || !a->exclude_internal)
			printf("%s\n", topics.topics[i].name);
	mo_topics_free(&topics);
	return finish(a, code);
}

static void print_ids(const char *what, const int32_t *ids, size_t count)
{
	printf("\t%s: ", what);
	for (size_t i = 0; i < count; i++)
		printf("%s%d", i ? "," : "", ids[i]);
}

static void print_topic(const struct mo_topic *t, const struct mo_configs *configs, bool all)
{
	const char *comma = "";

	printf("Topic: %s\tTopicId: %s\tPartitionCount: %zu\tReplicationFactor: %zu\tConfigs: ", t->name, t->id,
	       t->partition_count, t->partition_count ? t->partitions[0].replica_count : 0);
	for (size_t i = 0; i < configs->count; i++) {
		const struct mo_config *c = &configs->configs[i];

		if (!all && c->source != SOURCE_TOPIC)
			continue;
		printf("%s%s=%s", comma, c->name, c->value ? c->value : "");
		comma = ",";
	}
	putchar('\n');
	for (size_t i = 0; i < t->partition_count; i++) {
		const struct mo_partition *p = &t->partitions[i];

		printf("\tTopic: %s\tPartition: %d\tLeader: ", t->name, p->partition);
		if (p->leader < 0)
			printf("none");
		else
			printf("%d", p->leader);
		print_ids("Replicas", p->replicas, p->replica_count);
		print_ids("Isr", p->in_sync, p->in_sync_count);
		putchar('\n');
	}
}

static json_t *ids_json(const int32_t *ids, size_t count)
{
	json_t *all = json_array();

	for (size_t i = 0; i < count; i++)
		json_array_append_new(all, json_integer(ids[i]));
	return all;
}

static void print_topic_json(const struct mo_topic *t, const struct mo_configs *configs, bool all)
{
	json_t *partitions = json_array(), *settings = json_object(), *row;

	for (size_t i = 0; i < t->partition_count; i++) {
		const struct mo_partition *p = &t->partitions[i];

		json_array_append_new(partitions, json_pack("{s:i, s:i, s:i, s:o, s:o}", "partition", p->partition,
							    "leader", p->leader, "leaderEpoch", p->leader_epoch,
							    "replicas", ids_json(p->replicas, p->replica_count), "isr",
							    ids_json(p->in_sync, p->in_sync_count)));
	}
	for (size_t i = 0; i < configs->count; i++) {
		const struct mo_config *c = &configs->configs[i];

		if (all || c->source == SOURCE_TOPIC)
			json_object_set_new(settings, c->name, c->value ? json_string(c->value) : json_null());
	}
	row = json_pack("{s:s, s:s, s:b, s:o, s:o}", "name", t->name, "id", t->id, "internal", t->internal,
			"partitions", partitions, "configs", settings);
	json_dumpf(row, stdout, JSON_COMPACT);
	putchar('\n');
	json_decref(row);
}

static int describe_each(struct topic_arguments *a, const struct mo_topics *topics)
{
	for (size_t i = 0; i < topics->count; i++) {
		struct mo_configs configs = {0};
		struct mo_err e;

		if (mo_config_describe(a->session.client, MO_RESOURCE_TOPIC, topics->topics[i].name, &configs, &e))
			return session_failed(&a->session, &e);
		if (a->json)
			print_topic_json(&topics->topics[i], &configs, a->all_configs);
		else
			print_topic(&topics->topics[i], &configs, a->all_configs);
		mo_configs_free(&configs);
	}
	return CLI_DONE;
}

int cli_topic_describe(const struct cli_verb *verb, int argc, char **argv)
{
	int code;
	struct topic_arguments *a = parse(verb, argc, argv, &code);
	struct mo_topics topics = {0};
	struct mo_err e;

	if (!code)
		code = open_for(a, false);
	if (!code && a->name_count == 0) {
		if (mo_topic_list(a->session.client, &topics, &e))
			code = session_failed(&a->session, &e);
		else
			code = describe_each(a, &topics);
		mo_topics_free(&topics);
	}
	for (size_t i = 0; i < a->name_count && session_goes_on(&a->session, code); i++) {
		int one;

		if (mo_topic_describe(a->session.client, a->names[i], &topics, &e))
			one = session_failed_at(&a->session, a->names[i], &e);
		else
			one = describe_each(a, &topics);
		code = one ? one : code;
		mo_topics_free(&topics);
	}
	return finish(a, code);
}
