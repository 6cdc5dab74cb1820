/* broker_update: see the header. Asked of Kafka 4.3.1 itself. */
#include "config/broker_update.h"

#include <stdio.h>

#include "config/describe.h"
#include "config/table.h"
#include "config/value.h"

#define LISTENER_PREFIX "listener.name."
#define ODD_BEGIN "Invalid value org.apache.kafka.common.config.ConfigException: "
#define ODD_END " for configuration Invalid dynamic configuration"

/* Kafka sets these of each listener, never of all at once. */
static const char *const of_listeners[] = {
	"ssl.key.password",
	"ssl.keystore.certificate.chain",
	"ssl.keystore.key",
	"ssl.keystore.location",
	"ssl.keystore.password",
	"ssl.keystore.type",
	"ssl.truststore.certificates",
	"ssl.truststore.location",
	"ssl.truststore.password",
	"ssl.truststore.type",
};

#define MOVE_RATE "replica.alter.log.dirs.io.max.bytes.per.second"

/* Which no properties file may have, but a broker takes while it runs. */
static const struct config_definition rates[] = {
	{.name = "follower.replication.throttled.rate",
	 .default_text = "9223372036854775807",
	 .type = CONFIG_TYPE_LONG,
	 .check = CONFIG_CHECK_RANGE,
	 .high = 9.3e18},
	{.name = "leader.replication.throttled.rate",
	 .default_text = "9223372036854775807",
	 .type = CONFIG_TYPE_LONG,
	 .check = CONFIG_CHECK_RANGE,
	 .high = 9.3e18},
	{.name = MOVE_RATE,
	 .default_text = "9223372036854775807",
	 .type = CONFIG_TYPE_LONG,
	 .check = CONFIG_CHECK_RANGE,
	 .high = 9.3e18},
};

static bool is_one_of(struct bytes name, const char *const *names, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (bytes_equal_str(name, names[i]))
			return true;
	return false;
}

/* listener.name.X.setting -> setting. */
static bool take_prefix(struct bytes name, struct bytes *ret_rest)
{
	size_t size = strlen(LISTENER_PREFIX);
	const uint8_t *dot;

	if (name.size <= size || memcmp(name.data, LISTENER_PREFIX, size) != 0)
		return false;
	dot = memchr(name.data + size, '.', name.size - size);
	if (!dot)
		return false;
	*ret_rest = bytes_of(dot + 1, name.size - (size_t)(dot + 1 - name.data));
	return true;
}

static const struct config_definition *definition_of(struct bytes name)
{
	struct bytes rest;
	enum config_id id;

	for (size_t i = 0; i < countof(rates); i++)
		if (bytes_equal_str(name, rates[i].name))
			return &rates[i];
	if (take_prefix(name, &rest))
		name = rest;
	return config_find(name, &id) ? config_definition(id) : NULL;
}

bool broker_update_is_list(struct bytes name)
{
	const struct config_definition *d = definition_of(name);

	return d && d->type == CONFIG_TYPE_LIST;
}

static bool is_read_only(struct bytes name)
{
	enum config_id id;

	return config_find(name, &id) && config_definition(id)->update == CONFIG_READ_ONLY;
}

static bool needs_listener(struct bytes name)
{
	return is_one_of(name, of_listeners, countof(of_listeners));
}

static bool is_of_one_broker(struct bytes name)
{
	const struct config_definition *d = definition_of(name);
	struct bytes rest;

	return take_prefix(name, &rest) || (d && d->update == CONFIG_PER_BROKER);
}

static bool cannot_follow(struct bytes name)
{
	static const char *const names[] = {"listeners",
					    "listener.security.protocol.map",
					    "advertised.listeners",
					    "cordoned.log.dirs",
					    "metric.reporters",
					    "config.providers"};
	const struct config_definition *d = definition_of(name);
	struct bytes rest;

	/* There is no place yet where a secret could be kept. */
	return is_one_of(name, names, countof(names)) ||
	       (take_prefix(name, &rest) && d && d->type == CONFIG_TYPE_PASSWORD);
}

/* Refuses when `is` holds for one of the names; all of them are told. */
static enum err refuse_those(const struct broker_update *u, bool (*is)(struct bytes name), const char *why,
			     struct buf *message)
{
	size_t found = 0;

	for (size_t i = 0; i < u->count; i++)
		if (is(u->entries[i].name))
			buf_printf(message, "%s%.*s", found++ ? ", " : why, BYTES_ARG(u->entries[i].name));
	if (found == 0)
		return OK;
	buf_put_str(message, "]");
	return ERR_INVALID_REQUEST;
}

static enum err check_types(const struct broker_update *u, struct buf *message)
{
	for (size_t i = 0; i < u->count; i++) {
		const struct config_definition *d = definition_of(u->entries[i].name);

		if (d && config_check_value(d, u->entries[i].value, message))
			return ERR_INVALID_REQUEST;
	}
	return OK;
}

static int64_t number_in(const struct config_layers *l, enum config_id id)
{
	struct config_value scratch = {0};
	int64_t number = config_layered_value(l, id, &scratch)->number;

	config_value_fini(&scratch);
	return number;
}

/* Kafka's pools of threads grow and shrink by two at most at a time. */
static enum err check_threads(const struct config_layers *now, const struct config_layers *then, struct buf *message)
{
	static const enum config_id pools[] = {CONFIG_NUM_IO_THREADS, CONFIG_NUM_NETWORK_THREADS,
					       CONFIG_NUM_REPLICA_FETCHERS, CONFIG_NUM_RECOVERY_THREADS_PER_DATA_DIR,
					       CONFIG_BACKGROUND_THREADS};

	for (size_t i = 0; i < countof(pools); i++) {
		int64_t old = number_in(now, pools[i]), new = number_in(then, pools[i]);

		if (new >= old / 2 && new <= old * 2)
			continue;
		buf_printf(message,
			   ODD_BEGIN "Dynamic thread count update validation failed for %s=%lld, value should %s the "
				     "current value %lld" ODD_END,
			   config_definition(pools[i])->name, (long long)new,
			   new < old ? "be at least half" : "not be greater than double", (long long)old);
		return ERR_INVALID_REQUEST;
	}
	return OK;
}

/* address:count, ... */
static enum err check_overrides(struct bytes value, struct buf *message)
{
	for (struct bytes rest = bytes_trim(value); rest.size;) {
		const uint8_t *comma = memchr(rest.data, ',', rest.size), *colon = NULL;
		size_t size = comma ? (size_t)(comma - rest.data) : rest.size;
		struct bytes count;

		for (size_t i = 0; i < size; i++)
			if (rest.data[i] == ':')
				colon = &rest.data[i];
		count = colon ? bytes_of(colon + 1, (size_t)(rest.data + size - colon - 1)) : bytes_of(rest.data, size);
		count = bytes_trim(count);
		for (size_t i = 0; i < count.size || count.size == 0; i++) {
			if (count.size && count.data[i] >= '0' && count.data[i] <= '9')
				continue;
			buf_printf(message, "For input string: \"%.*s\"", BYTES_ARG(count));
			return ERR_INVALID_REQUEST;
		}
		rest = comma ? bytes_of(comma + 1, rest.size - size - 1) : bytes_empty();
	}
	return OK;
}

/* What the whole must satisfy. */
static enum err check_whole(const struct broker_update *u, struct buf *message)
{
	struct config_layers then = *u->now;
	int64_t cleaners = number_in(u->now, CONFIG_LOG_CLEANER_THREADS);

	if (u->of_all) {
		then.brokers = u->entries;
		then.brokers_count = u->count;
	} else {
		then.broker = u->entries;
		then.broker_count = u->count;
	}
	for (size_t i = 0; i < u->count; i++) {
		if (bytes_equal_str(u->entries[i].name, "log.retention.ms") &&
		    bytes_equal_str(bytes_trim(u->entries[i].value), "0")) {
			buf_put_str(message, "requirement failed: log.retention.ms must be unlimited (-1) or, greater "
					     "than or equal to 1");
			return ERR_INVALID_REQUEST;
		}
	}
	for (size_t i = 0; i < u->count; i++)
		if (bytes_equal_str(u->entries[i].name, "max.connections.per.ip.overrides") &&
		    check_overrides(u->entries[i].value, message))
			return ERR_INVALID_REQUEST;
	if (config_layered_int64(&then, CONFIG_MAX_CONNECTIONS) == 0) {
		buf_put_str(message, ODD_BEGIN "Invalid max.connections 0" ODD_END);
		return ERR_INVALID_REQUEST;
	}
	if (number_in(&then, CONFIG_LOG_CLEANER_THREADS) > 2 * cleaners) {
		buf_printf(message,
			   ODD_BEGIN
			   "Log cleaner threads cannot be increased to more than double the current value %lld" ODD_END,
			   (long long)cleaners);
		return ERR_INVALID_REQUEST;
	}
	return check_threads(u->now, &then, message);
}

enum err broker_update_check(const struct broker_update *u, struct buf *message)
{
	enum err e = refuse_those(u, is_read_only, "Cannot update these configs dynamically: [", message);

	if (!e)
		e = refuse_those(u, needs_listener,
				 "These security configs can be dynamically updated only per-listener using the "
				 "listener prefix: [",
				 message);
	if (!e)
		e = check_types(u, message);
	if (!e && u->of_all)
		e = refuse_those(u, is_of_one_broker,
				 "Cannot update these configs at default cluster level, broker id must be specified: [",
				 message);
	if (!e)
		e = refuse_those(u, cannot_follow, "This broker cannot change these while it runs: [", message);
	if (!e)
		e = check_whole(u, message);
	return e;
}

int64_t config_layered_move_rate(const struct config_layers *l)
{
	const struct config_definition *d = definition_of(bytes_str(MOVE_RATE));
	const struct config_entry *e = config_entry_find(l->broker, l->broker_count, MOVE_RATE);
	struct config_value v = {0};
	int64_t rate = INT64_MAX;

	if (!e)
		e = config_entry_find(l->brokers, l->brokers_count, MOVE_RATE);
	if (e && config_value_parse(d, e->value, NULL, &v) == OK)
		rate = v.number;
	config_value_fini(&v);
	return rate;
}
