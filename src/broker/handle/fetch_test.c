/* fetch_test: what a Fetch gives of each partition, when it waits and what ends its wait, and sessions as their client sees them. */
#include "runtime/linux/backends.h" /* before the stage */

#include "broker/handle/stage.h"

#define ROWS 6

struct fetch {
	struct fetch_request request;
	struct fetch_request_fetch_topic topics[ROWS];
	struct fetch_request_fetch_partition partitions[ROWS];
	struct fetch_response response;
};

static void fetch_init(struct fetch *f, int32_t max_wait_ms, int32_t min_bytes)
{
	message_init(&fetch_request_type, &f->request);
	f->request.max_wait_ms = max_wait_ms;
	f->request.min_bytes = min_bytes;
	f->request.max_bytes = 1000000;
	f->request.session_epoch = -1; /* none */
	f->request.topics = f->topics;
}

static struct fetch_request_fetch_partition *fetch_add(struct fetch *f, const char *topic, struct uuid id,
						       int32_t partition, int64_t offset)
{
	int32_t i = f->request.topics_count++;

	EXPECT(i < ROWS);
	struct_init(&fetch_request_fetch_partition_struct, &f->partitions[i]);
	f->partitions[i].partition = partition;
	f->partitions[i].fetch_offset = offset;
	f->partitions[i].partition_max_bytes = 1000000;
	f->topics[i] = (struct fetch_request_fetch_topic){
		.topic = bytes_str(topic), .topic_id = id, .partitions = &f->partitions[i], .partitions_count = 1};
	return &f->partitions[i];
}

static void fetch_await(struct fiber *self, struct stage *s, struct fetch *f, int16_t version)
{
	stage_ask_await(self, s, API_FETCH, version, &f->request, &f->response);
}

static struct uuid topic_id_of(const struct fetch *f, const char *topic)
{
	for (int32_t i = 0; i < f->request.topics_count; i++)
		if (bytes_equal_str(f->topics[i].topic, topic))
			return f->topics[i].topic_id;
	EXPECT(!"a topic that was asked for");
	abort();
}

/* NULL: the answer says nothing of it. Topics that a request names several times are told together. */
static const struct fetch_response_partition_data *told(const struct fetch *f, const char *topic, int32_t partition)
{
	const struct fetch_response_partition_data *found = NULL;

	for (int32_t i = 0; i < f->response.responses_count; i++) {
		const struct fetch_response_fetchable_topic_response *t = &f->response.responses[i];
		bool same = uuid_is_zero(t->topic_id) ? bytes_equal_str(t->topic, topic)
						      : uuid_equal(t->topic_id, topic_id_of(f, topic));

		for (int32_t k = 0; same && k < t->partitions_count; k++)
			if (t->partitions[k].partition_index == partition) {
				EXPECT(!found);
				found = &t->partitions[k];
			}
	}
	return found;
}

static int64_t records_of(const struct fetch_response_partition_data *p, int64_t *ret_first)
{
	struct bytes rest = p->records;
	int64_t count = 0;

	while (rest.size > 0) {
		struct batch_header h;
		struct bytes batch;

		EXPECT_OK(batch_next(&rest, &h, &batch));
		EXPECT(batch_crc_ok(batch));
		if (count == 0)
			*ret_first = h.base_offset;
		count += h.record_count;
	}
	return count;
}

static void places_main(struct fiber *self, struct stage *s)
{
	static const struct {
		int64_t offset;
		enum err error;
		int64_t first; /* of what comes */
		int64_t count;
	} cases[] = {
		{0, OK, 0, 6},
		{2, OK, 0, 6},
		{3, OK, 3, 3},
		{6, OK, 0, 0},
		{7, ERR_OFFSET_OUT_OF_RANGE, 0, 0},
		{-1, ERR_OFFSET_OUT_OF_RANGE, 0, 0},
	};
	struct uuid id = stage_topic_await(self, s, "t", 2, NULL, NULL);
	struct bytes three = stage_batch(s, NULL, "value", 3);
	struct fetch f = {0};

	EXPECT(stage_produce_await(self, s, "t", 1, three) == 0);
	EXPECT(stage_produce_await(self, s, "t", 1, three) == 3);
	for (size_t i = 0; i < 2 * countof(cases); i++) {
		const struct fetch_response_partition_data *p;
		int64_t first = 0;

		f = (struct fetch){0};
		fetch_init(&f, 0, 1);
		fetch_add(&f, "t", id, 1, cases[i / 2].offset);
		fetch_await(self, s, &f, i % 2 ? 12 : 17);
		p = told(&f, "t", 1);
		EXPECT(p);
		EXPECT_ERR((enum err)p->error_code, cases[i / 2].error);
		EXPECT(p->high_watermark == (cases[i / 2].error ? -1 : 6));
		EXPECT(records_of(p, &first) == cases[i / 2].count);
		EXPECT(first == cases[i / 2].first);
	}
}

TEST(what_comes_begins_with_the_batch_that_has_the_offset)
{
	stage_run(NULL, places_main);
}

static void unknown_main(struct fiber *self, struct stage *s)
{
	struct uuid id = stage_topic_await(self, s, "t", 2, NULL, NULL), none = {{7}};
	struct fetch f = {0};
	int64_t first;

	EXPECT(stage_produce_await(self, s, "t", 0, stage_batch(s, NULL, "value", 1)) == 0);
	/* An error is worth an answer at once, whatever the request would wait for. */
	fetch_init(&f, 60000, 1000000);
	fetch_add(&f, "t", id, 0, 0);
	fetch_add(&f, "none", none, 0, 0);
	fetch_add(&f, "t", id, 2, 0);
	fetch_add(&f, "t", id, 1, 0)->current_leader_epoch = 1000;
	fetch_await(self, s, &f, 12);
	EXPECT(records_of(told(&f, "t", 0), &first) == 1);
	EXPECT(told(&f, "none", 0)->error_code == ERR_UNKNOWN_TOPIC_OR_PARTITION);
	EXPECT(told(&f, "t", 2)->error_code == ERR_UNKNOWN_TOPIC_OR_PARTITION);
	EXPECT(told(&f, "t", 1)->error_code == ERR_UNKNOWN_LEADER_EPOCH);
	fetch_await(self, s, &f, 13);
	EXPECT(told(&f, "none", 0)->error_code == ERR_UNKNOWN_TOPIC_ID);
}

TEST(each_partition_has_an_error_of_its_own)
{
	stage_run(NULL, unknown_main);
}

static void bounds_main(struct fiber *self, struct stage *s)
{
	struct uuid id = stage_topic_await(self, s, "t", 4, NULL, NULL);
	struct bytes batch = stage_batch(s, NULL, "value", 10);
	struct fetch f = {0};
	int64_t first = 0;

	for (int32_t i = 0; i < 8; i++)
		EXPECT(stage_produce_await(self, s, "t", i % 4, batch) == i / 4 * 10);
	/* The first one's, and nothing beside it that is less than a batch. */
	for (int32_t n = 0; n < 4; n++) {
		f = (struct fetch){0};
		fetch_init(&f, 0, 1);
		f.request.max_bytes = n == 0   ? 1
				      : n == 1 ? (int32_t)batch.size
				      : n == 2 ? 3 * (int32_t)batch.size - 1
					       : 1000000;
		for (int32_t i = 0; i < 4; i++)
			fetch_add(&f, "t", id, i, 0)->partition_max_bytes = n == 3 ? 1 : 1000000;
		fetch_await(self, s, &f, 12);
		for (int32_t i = 0; i < 4; i++)
			EXPECT(records_of(told(&f, "t", i), &first) == (i > 0 ? 0 : n == 2 ? 20 : 10));
	}
}

TEST(one_batch_comes_however_small_the_bounds_are)
{
	stage_run(NULL, bounds_main);
}

static void unopened_main(struct fiber *self, struct stage *s)
{
	struct uuid id = stage_topic_await(self, s, "t", 6, NULL, NULL);
	struct fetch f = {0};

	/* One shard has an answer at once and the other's logs are closed: what was ready first must not end the wait for them. */
	EXPECT(stage_produce_await(self, s, "t", 0, stage_batch(s, NULL, "value", 1)) == 0);
	fetch_init(&f, 0, 1);
	for (int32_t i = 0; i < 6; i++)
		fetch_add(&f, "t", id, i, 0);
	fetch_await(self, s, &f, 12);
	for (int32_t i = 0; i < 6; i++) {
		EXPECT_ERR((enum err)told(&f, "t", i)->error_code, OK);
		EXPECT(told(&f, "t", i)->high_watermark == (i == 0));
	}
}

TEST(a_log_that_nobody_opened_yet_is_waited_for_by_a_fetch_that_waits_for_nothing_else)
{
	stage_run(NULL, unopened_main);
}

/* --- waiting -------------------------------------------------------------------------------------------------------- */

struct waiting {
	struct stage *stage;
	struct fetch fetch;
	struct peer *peer;
	bool over;
};

static void waiting_main(struct fiber *self, void *argument)
{
	struct waiting *w = argument;

	stage_ask_by_await(self, w->stage, w->peer, API_FETCH, 12, &w->fetch.request, &w->fetch.response);
	w->over = true;
	event_signal(&w->stage->changed);
}

static void woken_main(struct fiber *self, struct stage *s)
{
	static const struct fiber_options options = {.name = "waiting", .stack_size = (size_t)256 * 1024};
	struct waiting w = {.stage = s, .peer = stage_connect(s, "waits")};
	struct bytes batch = stage_batch(s, NULL, "value", 1);
	struct uuid none = {{0}};
	int64_t first = -1;

	stage_topic_await(self, s, "t", 4, NULL, NULL);
	EXPECT_OK(peer_ready_await(self, w.peer, shard_now_us(fiber_shard(self)) + STAGE_WAIT_US));
	fetch_init(&w.fetch, 60000, (int32_t)batch.size + 1);
	fetch_add(&w.fetch, "t", none, 1, 0);
	fetch_add(&w.fetch, "t", none, 2, 0);
	EXPECT(fiber_start(fiber_shard(self), &options, waiting_main, &w));
	/* Not of a partition that it did not ask for, not before there is enough: one batch is a byte too little. */
	EXPECT(stage_produce_await(self, s, "t", 0, batch) == 0);
	EXPECT(stage_produce_await(self, s, "t", 1, batch) == 0);
	EXPECT(!w.over);
	EXPECT(stage_produce_await(self, s, "t", 2, batch) == 0);
	while (!w.over)
		EXPECT_OK(event_wait_await(self, &s->changed, FIBER_NO_DEADLINE));
	EXPECT(records_of(told(&w.fetch, "t", 1), &first) == 1);
	EXPECT(records_of(told(&w.fetch, "t", 2), &first) == 1);
	peer_free(w.peer);
}

TEST(a_fetch_waits_until_there_is_enough_on_all_its_partitions_together)
{
	stage_run(NULL, woken_main);
}

/* --- sessions ------------------------------------------------------------------------------------------------------- */

static void session_main(struct fiber *self, struct stage *s)
{
	struct uuid id = stage_topic_await(self, s, "t", 3, NULL, NULL);
	struct bytes batch = stage_batch(s, NULL, "value", 1);
	struct fetch f = {0};
	int32_t session;
	int64_t first = -1;

	for (int32_t i = 0; i < 3; i++)
		EXPECT(stage_produce_await(self, s, "t", i, batch) == 0);
	fetch_init(&f, 0, 1);
	f.request.session_epoch = 0; /* wants one */
	for (int32_t i = 0; i < 3; i++)
		fetch_add(&f, "t", id, i, 1);
	fetch_await(self, s, &f, 17);
	session = f.response.session_id;
	EXPECT(session != 0);
	for (int32_t i = 0; i < 3; i++)
		EXPECT(told(&f, "t", i));

	/* From now on only what is new is told. */
	EXPECT(stage_produce_await(self, s, "t", 2, batch) == 1);
	f = (struct fetch){0};
	fetch_init(&f, 30000, 1);
	f.request.session_id = session;
	f.request.session_epoch = 1;
	fetch_await(self, s, &f, 17);
	EXPECT(f.response.session_id == session);
	EXPECT(f.response.responses_count == 1);
	EXPECT(f.response.responses[0].partitions_count == 1);
	EXPECT(f.response.responses[0].partitions[0].partition_index == 2);
	EXPECT(records_of(&f.response.responses[0].partitions[0], &first) == 1);

	f.request.max_wait_ms = 0;
	f.request.session_epoch = 3;
	fetch_await(self, s, &f, 17);
	EXPECT(f.response.error_code == ERR_INVALID_FETCH_SESSION_EPOCH);
	EXPECT(f.response.responses_count == 0);
	f.request.session_id = session + 1;
	fetch_await(self, s, &f, 17);
	EXPECT(f.response.error_code == ERR_FETCH_SESSION_ID_NOT_FOUND);
	EXPECT(f.response.responses_count == 0);
}

TEST(a_session_is_told_what_is_new_and_a_wrong_one_is_refused)
{
	stage_run(NULL, session_main);
}
