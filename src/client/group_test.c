/* group_test: conversations of a member with its group's coordinator, by both protocols, as transcripts; and what the program is told. */
#include "client/core.h"

#include <stdio.h>

#include "base/test.h"
#include "client/assign.h"
#include "rpc/script_broker.h"
#include "runtime/linux/linux.h"

#define TOPIC "orders"
#define PARTITIONS 4
#define ANSWERS 6

/* What the coordinator answers, in order; behind the end of a list: OK. */
struct group_case {
	struct client_option options[16];
	size_t option_count;
	int16_t find[ANSWERS], join[ANSWERS], sync[ANSWERS], beat[ANSWERS], modern[ANSWERS], commit[ANSWERS],
		offsets[ANSWERS];
	const char *given
		[ANSWERS]; /* what the group gives with each SyncGroup or each new epoch: "0123"; NULL: the last one again */
	bool unknown_topic; /* the topic is not subscribed to by name: only its id comes */
	bool shows_offsets; /* OffsetFetch is part of the transcript */
	const char
		*until; /* the conversation ends when the transcript ends with this, or where the program is told it */
	bool keep_away; /* the program does not call until it was told that it lost something */
	bool came_back; /* with the first JoinGroup: it leads, and the assignment stands */
	bool holds;     /* it holds a record of what goes, until the client is closed */
	const char *expected;
	/* The broker. */
	struct script_broker broker;
	struct script_broker leader; /* of the partitions: what is asked there is not answered */
	unsigned finds, joins, syncs, beats, moderns, commits, fetches;
	int32_t epoch;
	bool moved_on; /* the next heartbeat brings another epoch */
	char member[40];
	/* The program. */
	struct client *client;
	struct fiber *self;
	struct buf lines;
	unsigned activity;
	bool ended;
	bool closing;
	bool ran;
};

static const struct uuid topic_id = {{9, 8, 7}};

/* --- the transcript ---------------------------------------------------------------------------------------------- */

static void note(struct group_case *c, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void note(struct group_case *c, const char *format, ...)
{
	va_list arguments;
	char line[300];

	if (c->ended)
		return;
	va_start(arguments, format);
	vsnprintf(line, sizeof(line), format, arguments);
	va_end(arguments);
	/* How often a heartbeat without news is sent is a matter of time, and whether one is while it closes. */
	if (c->closing && strstr(line, "beat"))
		return;
	if (strstr(line, "beat") && c->lines.size >= strlen(line) + 1 &&
	    memcmp(c->lines.data + c->lines.size - strlen(line) - 1, line, strlen(line)) == 0)
		return;
	buf_printf(&c->lines, "%s\n", line);
	c->ended = c->until && strcmp(line, c->until) == 0;
}

static const char *word(int16_t error)
{
	return error ? err_name((enum err)error) : "ok";
}

/* Members' ids are made by chance; each is told by its length and whether it is the one from before. */
static const char *id_word(struct group_case *c, struct bytes id)
{
	if (id.size == 0)
		return "nobody";
	if (bytes_equal_str(id, c->member))
		return "the same";
	snprintf(c->member, sizeof(c->member), "%.*s", BYTES_ARG(id));
	return "a member";
}

/* --- the broker -------------------------------------------------------------------------------------------------- */

static void answer_metadata(struct group_case *c, struct script_request *q, struct buf *out)
{
	struct metadata_response_metadata_response_partition partitions[PARTITIONS];
	struct metadata_response_metadata_response_topic topic = {.name = bytes_str(TOPIC),
								  .topic_id = topic_id,
								  .partitions = partitions,
								  .partitions_count = PARTITIONS};
	struct metadata_response_metadata_response_broker nodes[] = {
		{.node_id = 1, .host = bytes_str("127.0.0.1"), .port = c->broker.address.port},
		{.node_id = 2, .host = bytes_str("127.0.0.1"), .port = c->leader.address.port}};
	struct metadata_request request;
	struct metadata_response r;

	script_get(q, &request);
	message_init(&metadata_response_type, &r);
	for (int32_t i = 0; i < PARTITIONS; i++) {
		struct_init(&metadata_response_metadata_response_partition_struct, &partitions[i]);
		partitions[i].partition_index = i;
		partitions[i].leader_id = 2;
	}
	r.brokers = nodes;
	r.brokers_count = 2;
	r.topics = &topic;
	for (int32_t i = 0; i < request.topics_count; i++)
		r.topics_count |= bytes_equal_str(request.topics[i].name, TOPIC) ||
				  uuid_equal(request.topics[i].topic_id, topic_id);
	script_put(q, &r, out);
}

static void answer_find(struct group_case *c, struct script_request *q, struct buf *out)
{
	struct find_coordinator_response_coordinator one = {
		.key = bytes_str("g"), .node_id = 1, .host = bytes_str("127.0.0.1"), .port = c->broker.address.port};
	struct find_coordinator_request request;
	struct find_coordinator_response r;

	script_get(q, &request);
	CHECK(request.coordinator_keys_count == 1 && bytes_equal_str(request.coordinator_keys[0], "g"));
	one.error_code = c->find[c->finds < ANSWERS ? c->finds : ANSWERS - 1];
	c->finds++;
	note(c, "find: %s", word(one.error_code));
	message_init(&find_coordinator_response_type, &r);
	r.coordinators = &one;
	r.coordinators_count = 1;
	script_put(q, &r, out);
}

static void note_subscription(const struct join_group_request *request, char *ret_text)
{
	struct consumer_protocol_subscription s;
	struct arena a;
	int at = sprintf(ret_text, "%.*s", BYTES_ARG(request->protocols[0].name));

	arena_init(&a, 100000);
	must_ok(subscription_decode(request->protocols[0].metadata, &a, &s));
	CHECK(s.topics_count == 1 && bytes_equal_str(s.topics[0], TOPIC));
	if (s.owned_partitions_count > 0)
		at += sprintf(ret_text + at, " owns ");
	for (int32_t i = 0; s.owned_partitions_count > 0 && i < s.owned_partitions[0].partitions_count; i++)
		at += sprintf(ret_text + at, "%d", s.owned_partitions[0].partitions[i]);
	arena_fini(&a);
}

static void answer_join(struct group_case *c, struct script_request *q, struct buf *out)
{
	struct join_group_request request;
	struct join_group_response r;
	struct join_group_response_join_group_response_member member;
	char text[200];

	script_get(q, &request);
	message_init(&join_group_response_type, &r);
	struct_init(&join_group_response_join_group_response_member_struct, &member);
	r.error_code = c->join[c->joins < ANSWERS ? c->joins : ANSWERS - 1];
	c->joins++;
	note_subscription(&request, text);
	note(c, "join as %s (%s)%s: %s",
	     request.member_id.size ? (const char *)arena_copy(&q->arena, request.member_id).data : "nobody", text,
	     bytes_is_null(request.group_instance_id) ? "" : " static", word(r.error_code));
	if (r.error_code == ERR_MEMBER_ID_REQUIRED)
		r.member_id = bytes_str("m1");
	if (!r.error_code) {
		r.generation_id = ++c->epoch;
		r.protocol_type = bytes_str("consumer");
		r.protocol_name = request.protocols[0].name;
		r.member_id = r.leader = request.member_id.size ? request.member_id : bytes_str("m2");
		member.member_id = r.member_id;
		member.metadata = request.protocols[0].metadata;
		r.members = &member;
		r.members_count = 1;
		r.skip_assignment = c->came_back && c->joins == 1;
	}
	script_put(q, &r, out);
}

static const char *given(const struct group_case *c, unsigned at)
{
	const char *last = "";

	for (unsigned i = 0; i < ANSWERS && i <= at; i++)
		last = c->given[i] ? c->given[i] : last;
	return last;
}

static int32_t numbers(const char *text, int32_t *ret_numbers)
{
	int32_t count = 0;

	for (; *text; text++)
		ret_numbers[count++] = *text - '0';
	return count;
}

static void answer_sync(struct group_case *c, struct script_request *q, struct buf *out)
{
	int32_t indexes[PARTITIONS];
	struct consumer_protocol_assignment_topic_partition row = {.topic = bytes_str(TOPIC), .partitions = indexes};
	struct consumer_protocol_assignment assignment, decided;
	struct sync_group_request request;
	struct sync_group_response r;
	struct buf bytes;

	script_get(q, &request);
	message_init(&sync_group_response_type, &r);
	message_init(&consumer_protocol_assignment_type, &assignment);
	buf_init(&bytes, 1000);
	r.error_code = c->sync[c->syncs < ANSWERS ? c->syncs : ANSWERS - 1];
	row.partitions_count = numbers(given(c, c->syncs), indexes);
	c->syncs++;
	/* It leads, alone: everything is its own. What it gets here is the script's decision. */
	CHECK_EQ(request.assignments_count, !(c->came_back && c->joins == 1));
	if (request.assignments_count > 0) {
		must_ok(assignment_decode(request.assignments[0].assignment, &q->arena, &decided));
		CHECK(decided.assigned_partitions_count == 1 &&
		      decided.assigned_partitions[0].partitions_count == PARTITIONS);
	}
	note(c, "sync generation %d: %s", request.generation_id, word(r.error_code));
	if (!r.error_code) {
		r.protocol_type = request.protocol_type;
		r.protocol_name = request.protocol_name;
		assignment.assigned_partitions = &row;
		assignment.assigned_partitions_count = row.partitions_count > 0;
		must_ok(assignment_encode(&assignment, &bytes));
		r.assignment = buf_bytes(&bytes);
	}
	script_put(q, &r, out);
	buf_fini(&bytes);
}

static void answer_describe(struct group_case *c, struct script_request *q, struct buf *out)
{
	int32_t indexes[PARTITIONS];
	struct consumer_protocol_assignment_topic_partition row = {.topic = bytes_str(TOPIC), .partitions = indexes};
	struct describe_groups_response_described_group_member member;
	struct describe_groups_response_described_group one;
	struct consumer_protocol_assignment assignment;
	struct describe_groups_request request;
	struct describe_groups_response r;
	struct buf bytes;

	script_get(q, &request);
	struct_init(&describe_groups_response_described_group_member_struct, &member);
	struct_init(&describe_groups_response_described_group_struct, &one);
	one.group_id = bytes_str("g");
	one.group_state = bytes_str("Stable");
	one.members = &member;
	one.members_count = 1;
	message_init(&describe_groups_response_type, &r);
	message_init(&consumer_protocol_assignment_type, &assignment);
	buf_init(&bytes, 1000);
	note(c, "describe");
	row.partitions_count = numbers(given(c, 0), indexes);
	assignment.assigned_partitions = &row;
	assignment.assigned_partitions_count = row.partitions_count > 0;
	must_ok(assignment_encode(&assignment, &bytes));
	member.member_assignment = buf_bytes(&bytes);
	r.groups = &one;
	r.groups_count = 1;
	script_put(q, &r, out);
	buf_fini(&bytes);
}

static void answer_beat(struct group_case *c, struct script_request *q, struct buf *out)
{
	struct heartbeat_request request;
	struct heartbeat_response r;

	script_get(q, &request);
	message_init(&heartbeat_response_type, &r);
	r.error_code = c->beat[c->beats < ANSWERS ? c->beats : ANSWERS - 1];
	c->beats++;
	note(c, "beat generation %d: %s", request.generation_id, word(r.error_code));
	script_put(q, &r, out);
}

static void answer_leave(struct group_case *c, struct script_request *q, struct buf *out)
{
	struct leave_group_request request;
	struct leave_group_response r;

	script_get(q, &request);
	note(c, "leave as %.*s", BYTES_ARG(request.members[0].member_id));
	message_init(&leave_group_response_type, &r);
	script_put(q, &r, out);
}

static void answer_modern(struct group_case *c, struct script_request *q, struct buf *out)
{
	int32_t indexes[PARTITIONS];
	struct consumer_group_heartbeat_response_topic_partitions row = {.topic_id = topic_id, .partitions = indexes};
	struct consumer_group_heartbeat_response_assignment assignment = {.topic_partitions = &row};
	struct consumer_group_heartbeat_request request;
	struct consumer_group_heartbeat_response r;
	char text[200] = "";
	size_t at = 0;

	script_get(q, &request);
	message_init(&consumer_group_heartbeat_response_type, &r);
	if (request.member_epoch < 0) {
		note(c, "epoch %d: leaves", request.member_epoch);
		r.member_epoch = request.member_epoch;
		script_put(q, &r, out);
		return;
	}
	r.error_code = c->modern[c->moderns < ANSWERS ? c->moderns : ANSWERS - 1];
	if (request.subscribed_topic_names_count >= 0)
		at += (size_t)sprintf(text + at, " %d topics", request.subscribed_topic_names_count);
	if (!bytes_is_null(request.subscribed_topic_regex))
		at += (size_t)sprintf(text + at, " regex %.*s", BYTES_ARG(request.subscribed_topic_regex));
	if (request.topic_partitions_count >= 0) {
		at += (size_t)sprintf(text + at, " owns ");
		for (int32_t i = 0; i < request.topic_partitions_count; i++)
			for (int32_t k = 0; k < request.topic_partitions[i].partitions_count; k++)
				at += (size_t)sprintf(text + at, "%d", request.topic_partitions[i].partitions[k]);
	}
	note(c, "beat of %s, epoch %d%s: %s", id_word(c, request.member_id), request.member_epoch, text,
	     word(r.error_code));
	if (!r.error_code) {
		const char *before = c->moderns > 0 ? given(c, c->moderns - 1) : NULL, *now = given(c, c->moderns);

		if (request.member_epoch == 0 || request.topic_partitions_count >= 0 ||
		    (before && strcmp(before, now) != 0) || c->moved_on)
			c->epoch++;
		c->moved_on = false;
		if (request.member_epoch == 0 || (before && strcmp(before, now) != 0)) {
			row.partitions_count = numbers(now, indexes);
			assignment.topic_partitions_count = row.partitions_count > 0;
			r.assignment = &assignment;
		}
		r.member_epoch = c->epoch;
		r.heartbeat_interval_ms = 20;
	}
	c->moderns++;
	script_put(q, &r, out);
}

static void answer_offsets(struct group_case *c, struct script_request *q, struct buf *out)
{
	struct offset_fetch_response_offset_fetch_response_partitions rows[PARTITIONS];
	struct offset_fetch_response_offset_fetch_response_topics topic = {.topic_id = topic_id, .partitions = rows};
	struct offset_fetch_response_offset_fetch_response_group group;
	struct offset_fetch_request request;
	struct offset_fetch_response r;
	int16_t error = c->offsets[c->fetches < ANSWERS ? c->fetches : ANSWERS - 1];

	script_get(q, &request);
	CHECK(request.require_stable);
	message_init(&offset_fetch_response_type, &r);
	struct_init(&offset_fetch_response_offset_fetch_response_group_struct, &group);
	c->fetches++;
	for (int32_t i = 0; i < request.groups[0].topics[0].partition_indexes_count; i++) {
		struct_init(&offset_fetch_response_offset_fetch_response_partitions_struct, &rows[i]);
		rows[i].partition_index = request.groups[0].topics[0].partition_indexes[i];
		rows[i].committed_offset = error ? -1 : 100 + rows[i].partition_index;
		rows[i].error_code = error == ERR_UNSTABLE_OFFSET_COMMIT ? error : (int16_t)OK;
		topic.partitions_count++;
	}
	group.error_code = error == ERR_UNSTABLE_OFFSET_COMMIT ? (int16_t)OK : error;
	/* Another fiber's question: only its own test knows when it comes. */
	if (c->shows_offsets)
		note(c, "offsets of %d: %s", topic.partitions_count, word(error));
	group.group_id = request.groups[0].group_id;
	group.topics = &topic;
	group.topics_count = group.error_code ? 0 : 1;
	r.groups = &group;
	r.groups_count = 1;
	script_put(q, &r, out);
}

static void answer_commit(struct group_case *c, struct script_request *q, struct buf *out)
{
	struct offset_commit_response_offset_commit_response_partition rows[PARTITIONS];
	struct offset_commit_response_offset_commit_response_topic topic = {.topic_id = topic_id, .partitions = rows};
	struct offset_commit_request request;
	struct offset_commit_response r;
	int16_t error = c->commit[c->commits < ANSWERS ? c->commits : ANSWERS - 1];
	char text[100] = "";
	size_t at = 0;

	script_get(q, &request);
	c->commits++;
	c->moved_on = error == ERR_STALE_MEMBER_EPOCH;
	for (int32_t i = 0; i < request.topics[0].partitions_count; i++) {
		const struct offset_commit_request_offset_commit_request_partition *p =
			&request.topics[0].partitions[i];

		rows[i] = (struct offset_commit_response_offset_commit_response_partition){p->partition_index, error};
		at += (size_t)sprintf(text + at, " %d at %lld", p->partition_index, (long long)p->committed_offset);
		topic.partitions_count++;
	}
	note(c, "commit in %d:%s: %s", request.generation_id_or_member_epoch, text, word(error));
	message_init(&offset_commit_response_type, &r);
	r.topics = &topic;
	r.topics_count = 1;
	script_put(q, &r, out);
}

/* There is nothing to read; only where reading begins matters here. */
static enum script_outcome answer_fetch(struct group_case *c, struct script_request *q, struct buf *out)
{
	struct fetch_response r;

	(void)c;
	message_init(&fetch_response_type, &r);
	script_put(q, &r, out);
	return SCRIPT_SILENT;
}

static enum script_outcome answer(struct script_broker *b, struct script_request *q, struct buf *out)
{
	struct group_case *c = b->user;

	switch (q->header.api_key) {
	case API_API_VERSIONS:
		script_put_versions(q, out);
		break;
	case API_METADATA:
		answer_metadata(c, q, out);
		break;
	case API_FIND_COORDINATOR:
		answer_find(c, q, out);
		break;
	case API_JOIN_GROUP:
		answer_join(c, q, out);
		break;
	case API_SYNC_GROUP:
		answer_sync(c, q, out);
		break;
	case API_HEARTBEAT:
		answer_beat(c, q, out);
		break;
	case API_DESCRIBE_GROUPS:
		answer_describe(c, q, out);
		break;
	case API_LEAVE_GROUP:
		answer_leave(c, q, out);
		break;
	case API_CONSUMER_GROUP_HEARTBEAT:
		answer_modern(c, q, out);
		break;
	case API_OFFSET_FETCH:
		answer_offsets(c, q, out);
		break;
	case API_OFFSET_COMMIT:
		answer_commit(c, q, out);
		break;
	default:
		CHECK_EQ(q->header.api_key, API_FETCH);
		return answer_fetch(c, q, out);
	}
	return SCRIPT_ANSWER;
}

/* --- the program ------------------------------------------------------------------------------------------------- */

static void note_parts(struct group_case *c, const char *what, const struct parts *p)
{
	char text[40] = "";

	for (size_t i = 0; i < p->count; i++)
		sprintf(text + i, "%d", p->items[i].index);
	note(c, "  %s %s", what, text);
}

static bool release(void *user, const struct parts *leaving)
{
	struct group_case *c = user;

	for (size_t i = 0; i < leaving->count; i++)
		consumer_unassign(c->client->consumer, leaving->items[i].topic->name, leaving->items[i].index);
	return !c->holds;
}

static bool tell(void *user, enum rebalance_kind kind, const struct parts *p)
{
	static const char *const words[] = {
		[REBALANCE_ASSIGNED] = "assigned", [REBALANCE_REVOKED] = "revoked", [REBALANCE_LOST] = "lost"};
	struct group_case *c = user;

	note_parts(c, words[kind], p);
	if (kind == REBALANCE_LOST)
		c->keep_away = false;
	return true;
}

static void add(void *user, const struct parts *p)
{
	(void)user;
	(void)p;
}

static void begin(void *user, const struct parts *p)
{
	struct group_case *c = user;

	for (size_t i = 0; i < p->count; i++)
		consumer_assign(c->client->consumer, p->items[i].topic->name, p->items[i].index,
				(struct start){START_COMMITTED, 0}, 1);
}

/* As if seven records of each had been read. */
static void progress(void *user, const struct parts *of, struct group_offsets *out)
{
	(void)user;
	for (size_t i = 0; of && i < of->count; i++)
		group_offsets_add(out, of->items[i].topic, of->items[i].index)->offset = 7;
}

static void committed(void *user, const struct group_offsets *offsets)
{
	(void)user;
	(void)offsets;
}

static void failed(void *user, enum err e, const char *text)
{
	struct group_case *c = user;

	(void)text;
	note(c, "  failed: %s", err_name(e));
}

static unsigned activity(void *user, bool *ret_waits)
{
	struct group_case *c = user;

	*ret_waits = false;
	return c->keep_away ? 0 : ++c->activity;
}

static void watch(void *user)
{
	(void)user;
}

static void located(void *user, const char *topic, int32_t partition, uint64_t generation, int64_t offset)
{
	(void)topic;
	(void)generation;
	CHECK_EQ(offset, 100 + partition);
	(void)user;
}

static void on_outcome(void *user, const struct produce_outcome *o)
{
	(void)user;
	(void)o;
	must_not_reach();
}

static void on_fetched(void *user, struct fetched *f)
{
	(void)user;
	(void)f;
	must_not_reach();
}

static const struct group_sink sink = {
	.release = release,
	.tell = tell,
	.add = add,
	.begin = begin,
	.remove = add,
	.progress = progress,
	.committed = committed,
	.fail = failed,
	.activity = activity,
	.watch = watch,
};

static void set(struct group_case *c, const char *name, const char *value)
{
	must(c->option_count < countof(c->options));
	c->options[c->option_count++] = (struct client_option){name, value};
}

static void group_case_main(struct fiber *self, void *argument)
{
	struct group_case *c = argument;
	struct shard *s = fiber_shard(self);
	struct client_sink all = {
		.outcome = on_outcome, .hand_over = on_fetched, .located = located, .group = &sink, .user = c};
	static const char *const topics[] = {TOPIC};
	struct client_config config;
	struct client_option defaults[] = {{"group.id", "g"},
					   {"retry.backoff.ms", "1"},
					   {"retry.backoff.max.ms", "2"},
					   {"reconnect.backoff.ms", "1"},
					   {"reconnect.backoff.max.ms", "2"},
					   {"auto.commit.interval.ms", "100000"},
					   {"bootstrap.servers", NULL}};
	struct buf message;
	char address[40];

	script_broker_open_await(self, &c->broker);
	script_broker_open_await(self, &c->leader);
	snprintf(address, sizeof(address), "127.0.0.1:%u", c->broker.address.port);
	while (c->option_count < countof(c->options) && c->options[c->option_count].name)
		c->option_count++;
	for (size_t i = 0; i < countof(defaults); i++)
		set(c, defaults[i].name, defaults[i].value ? defaults[i].value : address);
	buf_init(&message, 1000);
	buf_init(&c->lines, 100000);
	must_ok(client_config_parse(c->options, c->option_count, &config, &message));
	must_ok(client_new(s, &config, &all, &message, &c->client));
	group_subscribe(c->client->group, topics, c->unknown_topic ? 0 : 1, c->unknown_topic ? "ord.*" : NULL);
	while (!c->ended) {
		fiber_sleep_await(self, 500);
		group_wake(c->client->group);
	}
	c->ended = false;
	if (c->holds)
		group_released(c->client->group);
	c->holds = false;
	c->until = NULL;
	note(c, "-- closed");
	c->closing = true;
	client_stop_await(self, c->client);
	client_free(c->client);
	client_config_fini(&config);
	buf_fini(&message);
	script_broker_close(&c->broker);
	script_broker_close(&c->leader);
	fiber_yield_await(self);
	c->ran = true;
	runtime_stop(shard_runtime(s), 0);
}

static void on_start(struct shard *s, void *argument)
{
	static const struct fiber_options options = {.name = "test"};

	must(fiber_start(s, &options, group_case_main, argument));
}

static void run_case(struct group_case *c)
{
	struct linux_options o = {.shards = 1, .io = IO_EPOLL};

	c->broker.answer = answer;
	c->broker.user = c;
	c->leader.answer = answer;
	c->leader.user = c;
	CHECK_EQ(linux_run(&o, on_start, c), 0);
	CHECK(c->ran);
	buf_put(&c->lines, "", 1);
	CHECK_STR((const char *)c->lines.data, c->expected);
	buf_fini(&c->lines);
}

#define CLASSIC \
	{"group.protocol", "classic"}, \
	{ \
		"heartbeat.interval.ms", "20" \
	}
#define EAGER \
	CLASSIC, \
	{ \
		"partition.assignment.strategy", "range" \
	}
#define COOPERATIVE \
	CLASSIC, \
	{ \
		"partition.assignment.strategy", "cooperative-sticky" \
	}
#define MODERN \
	{ \
		"group.protocol", "consumer" \
	}

/* --- the classic protocol ---------------------------------------------------------------------------------------- */

TEST(a_classic_member_joins_with_the_id_it_is_given_reads_on_where_the_group_left_off_and_leaves)
{
	struct group_case c = {
		.options = {EAGER},
		.join = {ERR_MEMBER_ID_REQUIRED},
		.given = {"0123"},
		.until = "beat generation 1: ok",
		.expected = "find: ok\n"
			    "join as nobody (range): MEMBER_ID_REQUIRED\n"
			    "join as m1 (range): ok\n"
			    "sync generation 1: ok\n"
			    "  assigned 0123\n"
			    "beat generation 1: ok\n"
			    "-- closed\n"
			    "commit in 1: 0 at 7 1 at 7 2 at 7 3 at 7: ok\n"
			    "  revoked 0123\n"
			    "leave as m1\n",
	};

	run_case(&c);
}

TEST(an_eager_member_commits_and_gives_up_everything_before_it_joins_again)
{
	struct group_case c = {
		.options = {EAGER},
		.beat = {ERR_REBALANCE_IN_PROGRESS},
		.given = {"0123", "01"},
		.until = "beat generation 2: ok",
		.expected = "find: ok\n"
			    "join as nobody (range): ok\n"
			    "sync generation 1: ok\n"
			    "  assigned 0123\n"
			    "beat generation 1: REBALANCE_IN_PROGRESS\n"
			    "commit in 1: 0 at 7 1 at 7 2 at 7 3 at 7: ok\n"
			    "  revoked 0123\n"
			    "join as m2 (range): ok\n"
			    "sync generation 2: ok\n"
			    "  assigned 01\n"
			    "beat generation 2: ok\n"
			    "-- closed\n"
			    "commit in 2: 0 at 7 1 at 7: ok\n"
			    "  revoked 01\n"
			    "leave as m2\n",
	};

	run_case(&c);
}

TEST(a_cooperative_member_gives_up_what_moves_only_and_then_joins_once_more)
{
	struct group_case c = {
		.options = {COOPERATIVE},
		.beat = {ERR_REBALANCE_IN_PROGRESS},
		.given = {"0123", "01", "013"},
		.until = "beat generation 3: ok",
		.expected = "find: ok\n"
			    "join as nobody (cooperative-sticky): ok\n"
			    "sync generation 1: ok\n"
			    "  assigned 0123\n"
			    "beat generation 1: REBALANCE_IN_PROGRESS\n"
			    "join as m2 (cooperative-sticky owns 0123): ok\n"
			    "sync generation 2: ok\n"
			    "commit in 2: 2 at 7 3 at 7: ok\n"
			    "  revoked 23\n"
			    "  assigned \n"
			    "join as m2 (cooperative-sticky owns 01): ok\n"
			    "sync generation 3: ok\n"
			    "  assigned 3\n"
			    "beat generation 3: ok\n"
			    "-- closed\n"
			    "commit in 3: 0 at 7 1 at 7 3 at 7: ok\n"
			    "  revoked 013\n"
			    "leave as m2\n",
	};

	run_case(&c);
}

TEST(who_is_thrown_out_has_lost_what_it_had_and_joins_as_somebody_else)
{
	struct group_case c = {
		.options = {EAGER},
		.join = {ERR_MEMBER_ID_REQUIRED},
		.beat = {OK, ERR_UNKNOWN_MEMBER_ID},
		.given = {"01"},
		.until = "beat generation 2: ok",
		.expected = "find: ok\n"
			    "join as nobody (range): MEMBER_ID_REQUIRED\n"
			    "join as m1 (range): ok\n"
			    "sync generation 1: ok\n"
			    "  assigned 01\n"
			    "beat generation 1: ok\n"
			    "beat generation 1: UNKNOWN_MEMBER_ID\n"
			    "  lost 01\n"
			    "join as nobody (range): ok\n"
			    "sync generation 2: ok\n"
			    "  assigned 01\n"
			    "beat generation 2: ok\n"
			    "-- closed\n"
			    "commit in 2: 0 at 7 1 at 7: ok\n"
			    "  revoked 01\n"
			    "leave as m2\n",
	};

	run_case(&c);
}

TEST(a_static_leader_that_comes_back_goes_on_with_the_assignment_that_stands)
{
	struct group_case c = {
		.options = {EAGER, {"group.instance.id", "i"}},
		.came_back = true,
		.given = {"0123"},
		.until = "beat generation 1: ok",
		.expected = "find: ok\n"
			    "join as nobody (range) static: ok\n"
			    "sync generation 1: ok\n"
			    "  assigned 0123\n"
			    "describe\n"
			    "beat generation 1: ok\n"
			    "-- closed\n"
			    "commit in 1: 0 at 7 1 at 7 2 at 7 3 at 7: ok\n"
			    "  revoked 0123\n",
	};

	run_case(&c);
}

TEST(a_static_leader_that_comes_back_decides_anew_where_partitions_came_that_nobody_was_given)
{
	struct group_case c = {
		.options = {EAGER, {"group.instance.id", "i"}},
		.came_back = true,
		.given = {"01", "0123"},
		.until = "beat generation 2: ok",
		.expected = "find: ok\n"
			    "join as nobody (range) static: ok\n"
			    "sync generation 1: ok\n"
			    "  assigned 01\n"
			    "describe\n"
			    "commit in 1: 0 at 7 1 at 7: ok\n"
			    "  revoked 01\n"
			    "join as m2 (range) static: ok\n"
			    "sync generation 2: ok\n"
			    "  assigned 0123\n"
			    "beat generation 2: ok\n"
			    "-- closed\n"
			    "commit in 2: 0 at 7 1 at 7 2 at 7 3 at 7: ok\n"
			    "  revoked 0123\n",
	};

	run_case(&c);
}

TEST(whoever_the_coordinator_is_it_is_found_again)
{
	struct group_case c = {
		.options = {EAGER},
		.find = {ERR_COORDINATOR_NOT_AVAILABLE},
		.join = {ERR_COORDINATOR_LOAD_IN_PROGRESS, ERR_NOT_COORDINATOR},
		.sync = {ERR_REBALANCE_IN_PROGRESS},
		.beat = {ERR_NOT_COORDINATOR},
		.given = {"0"},
		.until = "beat generation 2: ok",
		.expected = "find: COORDINATOR_NOT_AVAILABLE\n"
			    "find: ok\n"
			    "join as nobody (range): COORDINATOR_LOAD_IN_PROGRESS\n"
			    "join as nobody (range): NOT_COORDINATOR\n"
			    "find: ok\n"
			    "join as nobody (range): ok\n"
			    "sync generation 1: REBALANCE_IN_PROGRESS\n"
			    "join as m2 (range): ok\n"
			    "sync generation 2: ok\n"
			    "  assigned 0\n"
			    "beat generation 2: NOT_COORDINATOR\n"
			    "find: ok\n"
			    "beat generation 2: ok\n"
			    "-- closed\n"
			    "commit in 2: 0 at 7: ok\n"
			    "  revoked 0\n"
			    "leave as m2\n",
	};

	run_case(&c);
}

TEST(a_static_member_does_not_leave_and_one_that_was_replaced_ends)
{
	struct group_case stays = {
		.options = {EAGER, {"group.instance.id", "i"}},
		.given = {"0"},
		.until = "beat generation 1: ok",
		.expected = "find: ok\n"
			    "join as nobody (range) static: ok\n"
			    "sync generation 1: ok\n"
			    "  assigned 0\n"
			    "beat generation 1: ok\n"
			    "-- closed\n"
			    "commit in 1: 0 at 7: ok\n"
			    "  revoked 0\n",
	};
	struct group_case replaced = {
		.options = {EAGER, {"group.instance.id", "i"}},
		.beat = {ERR_FENCED_INSTANCE_ID},
		.given = {"0"},
		.until = "  lost 0",
		.expected = "find: ok\n"
			    "join as nobody (range) static: ok\n"
			    "sync generation 1: ok\n"
			    "  assigned 0\n"
			    "beat generation 1: FENCED_INSTANCE_ID\n"
			    "  failed: FENCED_INSTANCE_ID\n"
			    "  lost 0\n"
			    "-- closed\n",
	};

	run_case(&stays);
	run_case(&replaced);
}

TEST(a_program_that_is_away_too_long_leaves_and_joins_when_it_is_back)
{
	struct group_case c = {
		.options = {EAGER, {"max.poll.interval.ms", "300"}},
		.given = {"0"},
		.keep_away = true,
		.until = "beat generation 2: ok",
		.expected = "find: ok\n"
			    "join as nobody (range): ok\n"
			    "sync generation 1: ok\n"
			    "  assigned 0\n"
			    "beat generation 1: ok\n"
			    "leave as m2\n"
			    "  lost 0\n"
			    "join as nobody (range): ok\n"
			    "sync generation 2: ok\n"
			    "  assigned 0\n"
			    "beat generation 2: ok\n"
			    "-- closed\n"
			    "commit in 2: 0 at 7: ok\n"
			    "  revoked 0\n"
			    "leave as m2\n",
	};

	run_case(&c);
}

TEST(heartbeats_go_on_while_the_program_holds_a_record_of_what_goes)
{
	struct group_case c = {
		.options = {EAGER},
		.beat = {ERR_REBALANCE_IN_PROGRESS},
		.given = {"0"},
		.holds = true,
		.until = "beat generation 1: ok",
		.expected = "find: ok\n"
			    "join as nobody (range): ok\n"
			    "sync generation 1: ok\n"
			    "  assigned 0\n"
			    "beat generation 1: REBALANCE_IN_PROGRESS\n"
			    "beat generation 1: ok\n"
			    "-- closed\n"
			    "commit in 1: 0 at 7: ok\n"
			    "  revoked 0\n"
			    "leave as m2\n",
	};

	run_case(&c);
}

TEST(errors_that_do_not_pass_are_told_once_and_nothing_more_is_tried)
{
	struct group_case join = {
		.options = {EAGER},
		.join = {ERR_INCONSISTENT_GROUP_PROTOCOL},
		.until = "  failed: INCONSISTENT_GROUP_PROTOCOL",
		.expected = "find: ok\n"
			    "join as nobody (range): INCONSISTENT_GROUP_PROTOCOL\n"
			    "  failed: INCONSISTENT_GROUP_PROTOCOL\n"
			    "-- closed\n",
	};
	struct group_case find = {
		.options = {EAGER},
		.find = {ERR_GROUP_AUTHORIZATION_FAILED},
		.until = "  failed: GROUP_AUTHORIZATION_FAILED",
		.expected = "find: GROUP_AUTHORIZATION_FAILED\n"
			    "  failed: GROUP_AUTHORIZATION_FAILED\n"
			    "-- closed\n",
	};

	run_case(&join);
	run_case(&find);
}

/* --- KIP-848 ----------------------------------------------------------------------------------------------------- */

TEST(a_modern_member_takes_what_it_is_given_says_so_and_leaves)
{
	struct group_case c = {
		.options = {MODERN},
		.given = {"0123"},
		.until = "beat of the same, epoch 2: ok",
		.expected = "find: ok\n"
			    "beat of a member, epoch 0 1 topics owns : ok\n"
			    "  assigned 0123\n"
			    "beat of the same, epoch 1 owns 0123: ok\n"
			    "beat of the same, epoch 2: ok\n"
			    "-- closed\n"
			    "commit in 2: 0 at 7 1 at 7 2 at 7 3 at 7: ok\n"
			    "  revoked 0123\n"
			    "epoch -1: leaves\n",
	};

	run_case(&c);
}

TEST(what_a_modern_member_is_to_give_up_is_committed_first_and_told_to_the_group_then)
{
	struct group_case c = {
		.options = {MODERN},
		.given = {"0123", NULL, "01", "01", "013"},
		.until = "beat of the same, epoch 6: ok",
		.expected = "find: ok\n"
			    "beat of a member, epoch 0 1 topics owns : ok\n"
			    "  assigned 0123\n"
			    "beat of the same, epoch 1 owns 0123: ok\n"
			    "beat of the same, epoch 2: ok\n"
			    "commit in 3: 2 at 7 3 at 7: ok\n"
			    "  revoked 23\n"
			    "  assigned \n"
			    "beat of the same, epoch 3 owns 01: ok\n"
			    "beat of the same, epoch 4: ok\n"
			    "  assigned 3\n"
			    "beat of the same, epoch 5 owns 013: ok\n"
			    "beat of the same, epoch 6: ok\n"
			    "-- closed\n"
			    "commit in 6: 0 at 7 1 at 7 3 at 7: ok\n"
			    "  revoked 013\n"
			    "epoch -1: leaves\n",
	};

	run_case(&c);
}

TEST(a_modern_member_that_is_fenced_loses_all_and_joins_with_its_id)
{
	struct group_case c = {
		.options = {MODERN},
		.modern = {OK, OK, ERR_FENCED_MEMBER_EPOCH},
		.given = {"01"},
		.until = "beat of the same, epoch 4: ok",
		.expected = "find: ok\n"
			    "beat of a member, epoch 0 1 topics owns : ok\n"
			    "  assigned 01\n"
			    "beat of the same, epoch 1 owns 01: ok\n"
			    "beat of the same, epoch 2: FENCED_MEMBER_EPOCH\n"
			    "  lost 01\n"
			    "beat of the same, epoch 0 1 topics owns : ok\n"
			    "  assigned 01\n"
			    "beat of the same, epoch 3 owns 01: ok\n"
			    "beat of the same, epoch 4: ok\n"
			    "-- closed\n"
			    "commit in 4: 0 at 7 1 at 7: ok\n"
			    "  revoked 01\n"
			    "epoch -1: leaves\n",
	};

	run_case(&c);
}

TEST(a_modern_member_says_everything_again_where_an_answer_failed)
{
	struct group_case c = {
		.options = {MODERN, {"group.instance.id", "i"}},
		.modern = {ERR_COORDINATOR_LOAD_IN_PROGRESS, OK, OK, ERR_NOT_COORDINATOR},
		.given = {"0"},
		.until = "beat of the same, epoch 3: ok",
		.expected = "find: ok\n"
			    "beat of a member, epoch 0 1 topics owns : COORDINATOR_LOAD_IN_PROGRESS\n"
			    "beat of the same, epoch 0 1 topics owns : ok\n"
			    "  assigned 0\n"
			    "beat of the same, epoch 1 owns 0: ok\n"
			    "beat of the same, epoch 2: NOT_COORDINATOR\n"
			    "find: ok\n"
			    "beat of the same, epoch 2 1 topics owns 0: ok\n"
			    "beat of the same, epoch 3: ok\n"
			    "-- closed\n"
			    "commit in 3: 0 at 7: ok\n"
			    "  revoked 0\n"
			    "epoch -2: leaves\n",
	};

	run_case(&c);
}

TEST(where_nobody_asked_for_it_and_it_is_refused_the_classic_protocol_is_used)
{
	struct group_case automatic = {
		.modern = {ERR_UNSUPPORTED_VERSION},
		.given = {"0"},
		.until = "  assigned 0",
		.expected = "find: ok\n"
			    "beat of a member, epoch 0 1 topics owns : UNSUPPORTED_VERSION\n"
			    "join as nobody (range): ok\n"
			    "sync generation 1: ok\n"
			    "  assigned 0\n"
			    "-- closed\n"
			    "commit in 1: 0 at 7: ok\n"
			    "  revoked 0\n"
			    "leave as m2\n",
	};
	struct group_case asked = {
		.options = {MODERN},
		.modern = {ERR_UNSUPPORTED_VERSION},
		.until = "  failed: UNSUPPORTED_VERSION",
		.expected = "find: ok\n"
			    "beat of a member, epoch 0 1 topics owns : UNSUPPORTED_VERSION\n"
			    "  failed: UNSUPPORTED_VERSION\n"
			    "-- closed\n",
	};

	run_case(&automatic);
	run_case(&asked);
}

TEST(a_topic_that_is_known_by_its_id_only_is_asked_for)
{
	struct group_case c = {
		.options = {MODERN},
		.unknown_topic = true,
		.given = {"0"},
		.until = "beat of the same, epoch 1 owns 0: ok",
		.expected = "find: ok\n"
			    "beat of a member, epoch 0 0 topics regex ord.* owns : ok\n"
			    "  assigned 0\n"
			    "beat of the same, epoch 1 owns 0: ok\n"
			    "-- closed\n"
			    "commit in 2: 0 at 7: ok\n"
			    "  revoked 0\n"
			    "epoch -1: leaves\n",
	};

	run_case(&c);
}

TEST(a_modern_member_whose_program_is_away_leaves_and_joins_when_it_is_back)
{
	struct group_case c = {
		.options = {MODERN, {"max.poll.interval.ms", "300"}},
		.given = {"0"},
		.keep_away = true,
		.until = "beat of the same, epoch 3 owns 0: ok",
		.expected = "find: ok\n"
			    "beat of a member, epoch 0 1 topics owns : ok\n"
			    "  assigned 0\n"
			    "beat of the same, epoch 1 owns 0: ok\n"
			    "beat of the same, epoch 2: ok\n"
			    "epoch -1: leaves\n"
			    "  lost 0\n"
			    "beat of the same, epoch 0 1 topics owns : ok\n"
			    "  assigned 0\n"
			    "beat of the same, epoch 3 owns 0: ok\n"
			    "-- closed\n"
			    "commit in 4: 0 at 7: ok\n"
			    "  revoked 0\n"
			    "epoch -1: leaves\n",
	};

	run_case(&c);
}

/* --- offsets ----------------------------------------------------------------------------------------------------- */

TEST(offsets_of_open_transactions_are_waited_for)
{
	struct group_case c = {
		.options = {EAGER},
		.shows_offsets = true,
		.offsets = {ERR_UNSTABLE_OFFSET_COMMIT, ERR_COORDINATOR_LOAD_IN_PROGRESS, ERR_NOT_COORDINATOR},
		.given = {"0"},
		.until = "beat generation 1: ok",
		.expected = "find: ok\n"
			    "join as nobody (range): ok\n"
			    "sync generation 1: ok\n"
			    "  assigned 0\n"
			    "offsets of 1: UNSTABLE_OFFSET_COMMIT\n"
			    "offsets of 1: COORDINATOR_LOAD_IN_PROGRESS\n"
			    "offsets of 1: NOT_COORDINATOR\n"
			    "find: ok\n"
			    "offsets of 1: ok\n"
			    "beat generation 1: ok\n"
			    "-- closed\n"
			    "commit in 1: 0 at 7: ok\n"
			    "  revoked 0\n"
			    "leave as m2\n",
	};

	run_case(&c);
}

TEST(commits_are_repeated_while_that_may_help)
{
	struct group_case again = {
		.options = {EAGER},
		.commit = {ERR_COORDINATOR_LOAD_IN_PROGRESS, ERR_NOT_COORDINATOR, ERR_UNKNOWN_TOPIC_OR_PARTITION},
		.given = {"0"},
		.until = "beat generation 1: ok",
		.expected = "find: ok\n"
			    "join as nobody (range): ok\n"
			    "sync generation 1: ok\n"
			    "  assigned 0\n"
			    "beat generation 1: ok\n"
			    "-- closed\n"
			    "commit in 1: 0 at 7: COORDINATOR_LOAD_IN_PROGRESS\n"
			    "commit in 1: 0 at 7: NOT_COORDINATOR\n"
			    "find: ok\n"
			    "commit in 1: 0 at 7: UNKNOWN_TOPIC_OR_PARTITION\n"
			    "commit in 1: 0 at 7: ok\n"
			    "  revoked 0\n"
			    "leave as m2\n",
	};
	struct group_case too_large = {
		.options = {EAGER},
		.commit = {ERR_OFFSET_METADATA_TOO_LARGE},
		.given = {"0"},
		.until = "beat generation 1: ok",
		.expected = "find: ok\n"
			    "join as nobody (range): ok\n"
			    "sync generation 1: ok\n"
			    "  assigned 0\n"
			    "beat generation 1: ok\n"
			    "-- closed\n"
			    "commit in 1: 0 at 7: OFFSET_METADATA_TOO_LARGE\n"
			    "  revoked 0\n"
			    "leave as m2\n",
	};

	run_case(&again);
	run_case(&too_large);
}

TEST(a_commit_that_learns_that_the_member_is_unknown_has_lost_what_it_was_for)
{
	struct group_case c = {
		.options = {EAGER},
		.beat = {ERR_REBALANCE_IN_PROGRESS},
		.commit = {ERR_UNKNOWN_MEMBER_ID},
		.given = {"0"},
		.until = "beat generation 2: ok",
		.expected = "find: ok\n"
			    "join as nobody (range): ok\n"
			    "sync generation 1: ok\n"
			    "  assigned 0\n"
			    "beat generation 1: REBALANCE_IN_PROGRESS\n"
			    "commit in 1: 0 at 7: UNKNOWN_MEMBER_ID\n"
			    "  lost 0\n"
			    "join as nobody (range): ok\n"
			    "sync generation 2: ok\n"
			    "  assigned 0\n"
			    "beat generation 2: ok\n"
			    "-- closed\n"
			    "commit in 2: 0 at 7: ok\n"
			    "  revoked 0\n"
			    "leave as m2\n",
	};

	run_case(&c);
}

TEST(who_is_fenced_while_a_commit_waits_for_the_next_epoch_joins_anew_at_once)
{
	struct group_case c = {
		.options = {MODERN},
		.modern = {OK, OK, OK, ERR_FENCED_MEMBER_EPOCH},
		.commit = {ERR_STALE_MEMBER_EPOCH},
		.given = {"01", NULL, "0", NULL, "1"},
		.until = "  assigned 1",
		.expected = "find: ok\n"
			    "beat of a member, epoch 0 1 topics owns : ok\n"
			    "  assigned 01\n"
			    "beat of the same, epoch 1 owns 01: ok\n"
			    "beat of the same, epoch 2: ok\n"
			    "commit in 3: 1 at 7: STALE_MEMBER_EPOCH\n"
			    "beat of the same, epoch 3: FENCED_MEMBER_EPOCH\n"
			    "  lost 1\n"
			    "  lost 0\n"
			    "beat of the same, epoch 0 1 topics owns : ok\n"
			    "  assigned 1\n"
			    "-- closed\n"
			    "commit in 5: 1 at 7: ok\n"
			    "  revoked 1\n"
			    "epoch -1: leaves\n",
	};

	run_case(&c);
}

TEST(a_commit_with_a_stale_epoch_goes_with_the_next_one)
{
	struct group_case c = {
		.options = {MODERN},
		.commit = {ERR_STALE_MEMBER_EPOCH},
		.given = {"01", NULL, "0"},
		.until = "beat of the same, epoch 4 owns 0: ok",
		.expected = "find: ok\n"
			    "beat of a member, epoch 0 1 topics owns : ok\n"
			    "  assigned 01\n"
			    "beat of the same, epoch 1 owns 01: ok\n"
			    "beat of the same, epoch 2: ok\n"
			    "commit in 3: 1 at 7: STALE_MEMBER_EPOCH\n"
			    "beat of the same, epoch 3: ok\n"
			    "commit in 4: 1 at 7: ok\n"
			    "  revoked 1\n"
			    "  assigned \n"
			    "beat of the same, epoch 4 owns 0: ok\n"
			    "-- closed\n"
			    "commit in 5: 0 at 7: ok\n"
			    "  revoked 0\n"
			    "epoch -1: leaves\n",
	};

	run_case(&c);
}
