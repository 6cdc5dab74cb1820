/* config: see the header. */
#include "client/config.h"

#include <stdlib.h>
#include <strings.h>

#include "base/alloc.h"
#include "client/assign.h"
#include "client/duration.h"

enum setting_type { SETTING_TEXT, SETTING_NUMBER, SETTING_BOOLEAN, SETTING_CHOICE, SETTING_RESET };

struct setting_choice {
	const char *word;
	int64_t value;
};

struct client_setting {
	const char *name;
	const char *also; /* librdkafka's name where it differs; NULL: none */
	size_t offset;
	enum setting_type type;
	int64_t least;
	int64_t most;
	const char *initial;
	const struct setting_choice *choices;
	const char *text;
};

static const struct setting_choice acks_words[] = {{"all", -1}, {"-1", -1}, {"0", 0}, {"1", 1}, {0}};
static const struct setting_choice codec_words[] = {{"none", CODEC_NONE},     {"gzip", CODEC_GZIP},
						    {"snappy", CODEC_SNAPPY}, {"lz4", CODEC_LZ4},
						    {"zstd", CODEC_ZSTD},     {0}};
static const struct setting_choice reset_words[] = {
	{"latest", RESET_LATEST},     {"largest", RESET_LATEST},    {"end", RESET_LATEST},
	{"earliest", RESET_EARLIEST}, {"smallest", RESET_EARLIEST}, {"beginning", RESET_EARLIEST},
	{"none", RESET_NONE},         {"error", RESET_NONE},        {0}};
static const struct setting_choice isolation_words[] = {{"read_uncommitted", 0}, {"read_committed", 1}, {0}};
static const struct setting_choice protocol_words[] = {{"automatic", GROUP_PROTOCOL_AUTOMATIC},
						       {"consumer", GROUP_PROTOCOL_CONSUMER},
						       {"classic", GROUP_PROTOCOL_CLASSIC},
						       {0}};
static const struct setting_choice keyless_words[] = {{"sticky", KEYLESS_STICKY},           {"default", KEYLESS_STICKY},
						      {"murmur2_random", KEYLESS_STICKY},   {"murmur2", KEYLESS_STICKY},
						      {"round_robin", KEYLESS_ROUND_ROBIN}, {0}};

#define AT(field) offsetof(struct client_config, field)
#define TEXT(field) AT(field), SETTING_TEXT, 0, 0
#define NUMBER(field, least, most) AT(field), SETTING_NUMBER, (least), (most)
#define BOOLEAN(field) AT(field), SETTING_BOOLEAN, 0, 1
#define CHOICE(field) AT(field), SETTING_CHOICE, 0, 0
#define MS_MAX INT32_MAX
#define BYTES_MAX 1000000000

/* Defaults are Java's; in this order the guide shows them. */
static const struct client_setting settings[] = {
	{"bootstrap.servers", "metadata.broker.list", TEXT(bootstrap_servers), "127.0.0.1:9092", NULL,
	 "brokers to ask first, host:port, separated by commas"},
	{"client.id", NULL, TEXT(client_id), "moldau", NULL, "the name that brokers see"},
	{"security.protocol", NULL, TEXT(security_protocol), "PLAINTEXT", NULL, "only PLAINTEXT as yet"},
	{"metadata.max.age.ms", "topic.metadata.refresh.interval.ms", NUMBER(metadata_max_age_ms, 100, MS_MAX),
	 "300000", NULL, "how old the picture of the cluster may become"},
	{"allow.auto.create.topics", NULL, BOOLEAN(auto_create_topics), "true", NULL,
	 "topics that are used and do not exist may be created by the broker"},
	{"retry.backoff.ms", NULL, NUMBER(retry_backoff_ms, 1, MS_MAX), "100", NULL,
	 "the wait before a request is repeated"},
	{"retry.backoff.max.ms", NULL, NUMBER(retry_backoff_max_ms, 1, MS_MAX), "1000", NULL,
	 "which doubles up to this"},
	{"reconnect.backoff.ms", NULL, NUMBER(reconnect_backoff_ms, 1, MS_MAX), "50", NULL,
	 "the wait before a connection is tried again"},
	{"reconnect.backoff.max.ms", NULL, NUMBER(reconnect_backoff_max_ms, 1, MS_MAX), "1000", NULL,
	 "which doubles up to this"},
	{"socket.connection.setup.timeout.ms", NULL, NUMBER(connect_timeout_ms, 1, MS_MAX), "10000", NULL,
	 "how long one attempt to connect may take"},
	{"request.timeout.ms", "socket.timeout.ms", NUMBER(request_timeout_ms, 1, MS_MAX), "30000", NULL,
	 "how long an answer may take before the connection is given up"},
	{"default.api.timeout.ms", NULL, NUMBER(api_timeout_ms, 1, MS_MAX), "60000", NULL,
	 "how long a call that waits may take with all its repetitions"},
	{"receive.message.max.bytes", NULL, NUMBER(receive_max_bytes, 1000, INT32_MAX), "100000000", NULL,
	 "the largest answer"},
	{"moldau.fail.fast", NULL, BOOLEAN(fail_fast), "false", NULL,
	 "calls fail when no broker can be reached once, instead of trying until their time is over"},
	{"moldau.stall.timeout.ms", NULL, NUMBER(stall_timeout_ms, 0, MS_MAX), "60000", NULL,
	 "when nothing came of a partition for so long though there is more it is asked for anew, and after the same "
	 "time again the program is told; 0: never"},
	{"acks", "request.required.acks", CHOICE(acks), "all", acks_words,
	 "what an acknowledgement waits for: 0, 1, all"},
	{"linger.ms", "queue.buffering.max.ms", NUMBER(linger_ms, 0, MS_MAX), "5", NULL,
	 "how long a batch waits for more records"},
	{"batch.size", NULL, NUMBER(batch_size, 0, BYTES_MAX), "16384", NULL,
	 "bytes at which a batch is sent, before compression"},
	{"max.request.size", "message.max.bytes", NUMBER(max_request_size, 1000, BYTES_MAX), "1048576", NULL,
	 "the largest request and record"},
	{"buffer.memory", NULL, NUMBER(buffer_memory, 100000, INT64_MAX), "33554432", NULL,
	 "bytes of records that may wait"},
	{"max.block.ms", NULL, NUMBER(max_block_ms, 0, MS_MAX), "60000", NULL,
	 "how long producing waits for room in the buffer"},
	{"compression.type", "compression.codec", CHOICE(codec), "none", codec_words, "none, gzip, snappy, lz4, zstd"},
	{"compression.gzip.level", NULL, NUMBER(gzip_level, -1, 9), "-1", NULL, "1 to 9, or -1"},
	{"compression.lz4.level", NULL, NUMBER(lz4_level, 1, 17), "9", NULL, "1 to 17; 9 is the fast one"},
	{"compression.zstd.level", NULL, NUMBER(zstd_level, -131072, 22), "3", NULL, "-131072 to 22"},
	{"compression.level", NULL, NUMBER(compression_level, -131072, 22), "-1", NULL,
	 "of whichever codec; -1: by the settings above"},
	{"retries", "message.send.max.retries", NUMBER(retries, 0, INT32_MAX), "2147483647", NULL,
	 "how often a batch is sent again"},
	{"delivery.timeout.ms", "message.timeout.ms", NUMBER(delivery_timeout_ms, 1, MS_MAX), "120000", NULL,
	 "how long a record may take until it is acknowledged"},
	{"enable.idempotence", NULL, BOOLEAN(idempotence), "true", NULL,
	 "repetitions write nothing twice and keep the order"},
	{"max.in.flight.requests.per.connection", "max.in.flight", NUMBER(max_in_flight, 1, 1000000), "5", NULL,
	 "requests under way at once to one broker"},
	{"partitioner", NULL, CHOICE(keyless), "sticky", keyless_words,
	 "for records without key: sticky or round_robin"},
	{"partitioner.adaptive.partitioning.enable", NULL, BOOLEAN(adaptive), "true", NULL,
	 "partitions with short queues get more of the records without key"},
	{"partitioner.ignore.keys", NULL, BOOLEAN(ignore_keys), "false", NULL,
	 "records with key go where those without go"},
	{"transactional.id", NULL, TEXT(transactional_id), "", NULL,
	 "the producer's name over restarts: its records are written in transactions (mo_txn_begin)"},
	{"transaction.timeout.ms", NULL, NUMBER(transaction_timeout_ms, 1, MS_MAX), "60000", NULL,
	 "a transaction that is open for longer is aborted by the broker"},
	{"fetch.min.bytes", NULL, NUMBER(fetch_min_bytes, 0, BYTES_MAX), "1", NULL,
	 "an answer waits for so many bytes"},
	{"fetch.max.bytes", NULL, NUMBER(fetch_max_bytes, 0, BYTES_MAX), "52428800", NULL,
	 "about the most bytes of one answer"},
	{"fetch.max.wait.ms", "fetch.wait.max.ms", NUMBER(fetch_max_wait_ms, 0, 300000), "500", NULL,
	 "but not longer than this"},
	{"max.partition.fetch.bytes", "fetch.message.max.bytes", NUMBER(partition_fetch_bytes, 1, BYTES_MAX), "1048576",
	 NULL, "about the most bytes of one partition in one answer"},
	{"queued.max.messages.kbytes", NULL, NUMBER(queued_max_kbytes, 1, 2097151), "65536", NULL,
	 "KiB that are fetched ahead of mo_consume"},
	{"auto.offset.reset", NULL, AT(reset), SETTING_RESET, 0, 0, "latest", reset_words,
	 "where to go on when the wanted offset does not exist or the group has none: latest, earliest, none, or "
	 "by_duration:P1DT12H (so long before now)"},
	{"check.crcs", NULL, BOOLEAN(check_crcs), "true", NULL, "batches are checked for damage"},
	{"isolation.level", NULL, CHOICE(read_committed), "read_uncommitted", isolation_words,
	 "read_committed hides records of open and aborted transactions"},
	{"enable.partition.eof", NULL, BOOLEAN(partition_eof), "false", NULL,
	 "mo_consume tells the end of a partition"},
	{"client.rack", NULL, TEXT(client_rack), "", NULL,
	 "where the client is: a member tells its group; it is read from leaders all the same"},
	{"group.id", NULL, TEXT(group_id), "", NULL,
	 "the group whose offsets are read and kept, and whose member one may be"},
	{"group.instance.id", NULL, TEXT(group_instance_id), "", NULL,
	 "a name that stays over restarts: within session.timeout.ms the same partitions come back without a "
	 "rebalance"},
	{"group.protocol", NULL, CHOICE(group_protocol), "automatic", protocol_words,
	 "consumer (KIP-848) or classic; automatic: consumer where the broker has it and no setting of classic only is "
	 "given"},
	{"group.remote.assignor", NULL, TEXT(group_remote_assignor), "", NULL,
	 "consumer only: the broker's assignor, uniform or range"},
	{"partition.assignment.strategy", NULL, TEXT(assignment_strategy), "range,cooperative-sticky", NULL,
	 "classic only: range, roundrobin, sticky, cooperative-sticky; Java's class names too"},
	{"session.timeout.ms", NULL, NUMBER(session_timeout_ms, 1, MS_MAX), "45000", NULL,
	 "classic only: a member that is not heard of for so long is out"},
	{"heartbeat.interval.ms", NULL, NUMBER(heartbeat_interval_ms, 1, MS_MAX), "3000", NULL,
	 "classic only: how often a member is heard of"},
	{"max.poll.interval.ms", NULL, NUMBER(max_poll_interval_ms, 1, MS_MAX), "300000", NULL,
	 "a program that does not call mo_consume or mo_poll for so long loses its partitions"},
	{"enable.auto.commit", NULL, BOOLEAN(auto_commit), "true", NULL,
	 "with group.id: what mo_consume gave and the program is done with is committed now and then"},
	{"auto.commit.interval.ms", NULL, NUMBER(auto_commit_interval_ms, 0, MS_MAX), "5000", NULL,
	 "which is so often"},
	{"exclude.internal.topics", NULL, BOOLEAN(exclude_internal), "true", NULL,
	 "a pattern matches no topic of Kafka's own"},
};

_Static_assert(ASSIGNOR_COUNT <= CLIENT_ASSIGNORS_MAX, "a place for each");
_Static_assert(countof(settings) <= 128, "client_config.given has a bit for each setting");

static const struct client_setting *find_setting(const char *name)
{
	for (size_t i = 0; i < countof(settings); i++)
		if (strcmp(settings[i].name, name) == 0 || (settings[i].also && strcmp(settings[i].also, name) == 0))
			return &settings[i];
	return NULL;
}

static bool is_given(const struct client_config *c, const char *name)
{
	size_t at = (size_t)(find_setting(name) - settings);

	return c->given[at / 64] >> (at % 64) & 1;
}

/* How many letters differ, roughly: enough to find what was meant by a slip. */
static size_t distance(const char *a, const char *b)
{
	size_t same_front = 0, same_back = 0, na = strlen(a), nb = strlen(b), least = na < nb ? na : nb;

	while (same_front < least && a[same_front] == b[same_front])
		same_front++;
	while (same_back < least - same_front && a[na - 1 - same_back] == b[nb - 1 - same_back])
		same_back++;
	return (na > nb ? na : nb) - same_front - same_back;
}

static void say_unknown(const char *name, struct buf *message)
{
	const struct client_setting *best = &settings[0];

	for (size_t i = 1; i < countof(settings); i++)
		if (distance(settings[i].name, name) < distance(best->name, name))
			best = &settings[i];
	buf_printf(message, "unknown setting %s", name);
	if (distance(best->name, name) <= 4 && 2 * distance(best->name, name) <= strlen(best->name))
		buf_printf(message, "; did you mean %s?", best->name);
	else
		buf_put_str(message, "; docs/guide.md lists them");
}

static enum err set_choice(const struct client_setting *s, const char *value, int64_t *field, struct buf *message)
{
	for (const struct setting_choice *w = s->choices; w->word; w++) {
		if (strcasecmp(w->word, value) == 0) {
			*field = w->value;
			return OK;
		}
	}
	buf_printf(message, "%s=%s: one of", s->name, value);
	for (const struct setting_choice *w = s->choices; w->word; w++)
		buf_printf(message, "%s %s", w == s->choices ? "" : ",", w->word);
	buf_put_str(message, " is wanted");
	return ERR_BAD_CONFIG;
}

static enum err set_number(const struct client_setting *s, const char *value, int64_t *field, struct buf *message)
{
	char *end = NULL;
	long long number = strtoll(value, &end, 10);

	if (end == value || *end != '\0') {
		buf_printf(message, "%s=%s: a number is wanted", s->name, value);
		return ERR_BAD_CONFIG;
	}
	if (number < s->least || number > s->most) {
		buf_printf(message, "%s=%s: from %lld to %lld is possible", s->name, value, (long long)s->least,
			   (long long)s->most);
		return ERR_BAD_CONFIG;
	}
	*field = number;
	return OK;
}

static enum err set_boolean(const struct client_setting *s, const char *value, int64_t *field, struct buf *message)
{
	if (strcasecmp(value, "true") == 0 || strcmp(value, "1") == 0) {
		*field = 1;
		return OK;
	}
	if (strcasecmp(value, "false") == 0 || strcmp(value, "0") == 0) {
		*field = 0;
		return OK;
	}
	buf_printf(message, "%s=%s: true or false is wanted", s->name, value);
	return ERR_BAD_CONFIG;
}

/* A word, or a time before now (KIP-1106), which java.time.Duration parses there. */
static enum err set_reset(struct client_config *c, const struct client_setting *s, const char *value,
			  struct buf *message)
{
	static const char prefix[] = "by_duration:";

	if (strncasecmp(value, prefix, sizeof(prefix) - 1) != 0)
		return set_choice(s, value, &c->reset, message);
	if (!duration_parse(value + sizeof(prefix) - 1, &c->reset_back_ms)) {
		buf_printf(message, "%s=%s: a duration such as PT12H or P7DT30M is wanted, not negative", s->name,
			   value);
		return ERR_BAD_CONFIG;
	}
	c->reset = RESET_DURATION;
	return OK;
}

static enum err set_value(struct client_config *c, const struct client_setting *s, const char *value,
			  struct buf *message)
{
	void *field = (char *)c + s->offset;

	switch (s->type) {
	case SETTING_TEXT:
		mem_free(*(char **)field);
		*(char **)field = mem_strdup(value);
		return OK;
	case SETTING_NUMBER:
		return set_number(s, value, field, message);
	case SETTING_BOOLEAN:
		return set_boolean(s, value, field, message);
	case SETTING_CHOICE:
		return set_choice(s, value, field, message);
	case SETTING_RESET:
		return set_reset(c, s, value, message);
	}
	must_not_reach();
}

/* What is impossible together, and what follows from what was given: Java's ProducerConfig does the same. */
static enum err check_idempotence(struct client_config *c, struct buf *message)
{
	bool wanted = is_given(c, "enable.idempotence") && c->idempotence;
	const char *against = NULL;

	if (!c->idempotence && c->transactional_id[0]) {
		buf_put_str(message, "transactional.id needs enable.idempotence=true");
		return ERR_BAD_CONFIG;
	}
	if (!c->idempotence)
		return OK;
	if (c->acks != -1)
		against = "acks=all";
	else if (c->retries == 0)
		against = "retries above 0";
	else if (c->max_in_flight > 5)
		against = "max.in.flight.requests.per.connection of at most 5";
	if (!against)
		return OK;
	if (c->transactional_id[0]) {
		buf_printf(message, "transactional.id needs %s", against);
		return ERR_BAD_CONFIG;
	}
	if (wanted) {
		buf_printf(message, "enable.idempotence=true needs %s; change that, or set enable.idempotence=false",
			   against);
		return ERR_BAD_CONFIG;
	}
	c->idempotence = 0;
	return OK;
}

/* "range", "org.apache.kafka.clients.consumer.RangeAssignor". */
static bool find_assignor(struct bytes name, enum assignor *ret_assignor)
{
	static const struct {
		const char *class_name;
		enum assignor assignor;
	} classes[] = {
		{"org.apache.kafka.clients.consumer.RangeAssignor", ASSIGNOR_RANGE},
		{"org.apache.kafka.clients.consumer.RoundRobinAssignor", ASSIGNOR_ROUNDROBIN},
		{"org.apache.kafka.clients.consumer.StickyAssignor", ASSIGNOR_STICKY},
		{"org.apache.kafka.clients.consumer.CooperativeStickyAssignor", ASSIGNOR_COOPERATIVE_STICKY},
	};

	for (size_t i = 0; i < countof(classes); i++) {
		if (!bytes_equal_str(name, classes[i].class_name))
			continue;
		*ret_assignor = classes[i].assignor;
		return true;
	}
	return assignor_find(name, ret_assignor);
}

static enum err check_assignors(struct client_config *c, struct buf *message)
{
	const char *at = c->assignment_strategy;

	while (*at) {
		size_t size = strcspn(at, ", ");
		enum assignor a;

		if (size > 0) {
			if (!find_assignor(bytes_of(at, size), &a)) {
				buf_printf(message,
					   "partition.assignment.strategy: %.*s is not one of range, roundrobin, "
					   "sticky, cooperative-sticky",
					   (int)size, at);
				return ERR_BAD_CONFIG;
			}
			for (size_t i = 0; i < c->assignor_count; i++) {
				if (c->assignors[i] != a)
					continue;
				buf_printf(message, "partition.assignment.strategy names %s twice", assignor_name(a));
				return ERR_BAD_CONFIG;
			}
			c->assignors[c->assignor_count++] = a;
		}
		at += size + (at[size] != '\0');
	}
	if (c->assignor_count > 0)
		return OK;
	buf_put_str(message, "partition.assignment.strategy is empty");
	return ERR_BAD_CONFIG;
}

/* Which of the two protocols, from what was given: each has settings that the other does not know. */
static enum err check_group(struct client_config *c, struct buf *message)
{
	static const char *const classic_only[] = {"partition.assignment.strategy", "session.timeout.ms",
						   "heartbeat.interval.ms"};
	const char *classic = NULL;

	for (size_t i = 0; i < countof(classic_only); i++)
		if (is_given(c, classic_only[i]))
			classic = classic_only[i];
	if (classic && c->group_protocol == GROUP_PROTOCOL_CONSUMER) {
		buf_printf(message, "%s cannot be set with group.protocol=consumer: there the broker decides it",
			   classic);
		return ERR_BAD_CONFIG;
	}
	if (c->group_remote_assignor[0]) {
		if (classic || c->group_protocol == GROUP_PROTOCOL_CLASSIC) {
			buf_printf(message, "group.remote.assignor cannot be set with %s",
				   classic ? classic : "group.protocol=classic");
			return ERR_BAD_CONFIG;
		}
		c->group_protocol = GROUP_PROTOCOL_CONSUMER;
	}
	if (classic)
		c->group_protocol = GROUP_PROTOCOL_CLASSIC;
	if (is_given(c, "group.instance.id") && !c->group_instance_id[0]) {
		buf_put_str(message, "group.instance.id must not be empty");
		return ERR_BAD_CONFIG;
	}
	if (c->heartbeat_interval_ms >= c->session_timeout_ms) {
		buf_printf(message, "heartbeat.interval.ms=%lld must be lower than session.timeout.ms=%lld",
			   (long long)c->heartbeat_interval_ms, (long long)c->session_timeout_ms);
		return ERR_BAD_CONFIG;
	}
	return check_assignors(c, message);
}

static enum err check_together(struct client_config *c, struct buf *message)
{
	enum err e;

	if (strcasecmp(c->security_protocol, "PLAINTEXT") != 0) {
		buf_printf(message, "security.protocol=%s: only PLAINTEXT is supported as yet", c->security_protocol);
		return ERR_BAD_CONFIG;
	}
	/* Java refuses this only when delivery.timeout.ms was given; without, the default is stretched. */
	if (c->delivery_timeout_ms < c->linger_ms + c->request_timeout_ms) {
		if (is_given(c, "delivery.timeout.ms") && is_given(c, "request.timeout.ms")) {
			buf_printf(message, "delivery.timeout.ms=%lld is less than linger.ms + request.timeout.ms",
				   (long long)c->delivery_timeout_ms);
			return ERR_BAD_CONFIG;
		}
		if (is_given(c, "delivery.timeout.ms"))
			c->request_timeout_ms = c->delivery_timeout_ms > c->linger_ms
							? c->delivery_timeout_ms - c->linger_ms
							: c->delivery_timeout_ms;
		else
			c->delivery_timeout_ms = c->linger_ms + c->request_timeout_ms;
	}
	if (c->retry_backoff_max_ms < c->retry_backoff_ms)
		c->retry_backoff_max_ms = c->retry_backoff_ms;
	if (c->reconnect_backoff_max_ms < c->reconnect_backoff_ms)
		c->reconnect_backoff_max_ms = c->reconnect_backoff_ms;
	e = check_group(c, message);
	return e ? e : check_idempotence(c, message);
}

enum err client_config_parse(const struct client_option *options, size_t count, struct client_config *ret_config,
			     struct buf *message)
{
	struct client_config c = {0};
	enum err e = OK;

	for (size_t i = 0; i < countof(settings); i++)
		must(set_value(&c, &settings[i], settings[i].initial, message) == OK);
	for (size_t i = 0; i < count && !e; i++) {
		const struct client_setting *s = options[i].name ? find_setting(options[i].name) : NULL;

		if (!s || !options[i].value) {
			say_unknown(options[i].name ? options[i].name : "without a name", message);
			e = ERR_BAD_CONFIG;
			break;
		}
		e = set_value(&c, s, options[i].value, message);
		c.given[(s - settings) / 64] |= UINT64_C(1) << ((s - settings) % 64);
	}
	if (!e)
		e = check_together(&c, message);
	if (e) {
		client_config_fini(&c);
		return e;
	}
	*ret_config = c;
	return OK;
}

void client_config_fini(struct client_config *c)
{
	mem_free(c->bootstrap_servers);
	mem_free(c->client_id);
	mem_free(c->security_protocol);
	mem_free(c->client_rack);
	mem_free(c->transactional_id);
	mem_free(c->group_id);
	mem_free(c->group_instance_id);
	mem_free(c->group_remote_assignor);
	mem_free(c->assignment_strategy);
	*c = (struct client_config){0};
}

int client_config_level(const struct client_config *c)
{
	if (is_given(c, "compression.level") && c->compression_level != -1)
		return (int)c->compression_level;
	if (c->codec == CODEC_GZIP && c->gzip_level > 0)
		return (int)c->gzip_level;
	if (c->codec == CODEC_LZ4)
		return (int)c->lz4_level;
	if (c->codec == CODEC_ZSTD)
		return (int)c->zstd_level;
	return CODEC_LEVEL_DEFAULT;
}

void client_config_print(struct buf *out)
{
	for (size_t i = 0; i < countof(settings); i++) {
		const struct client_setting *s = &settings[i];

		buf_printf(out, "| `%s`", s->name);
		if (s->also)
			buf_printf(out, ", `%s`", s->also);
		buf_printf(out, " | `%s` | %s |\n", s->initial, s->text);
	}
}
