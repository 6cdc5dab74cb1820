/* Tests of fetch_session: the conversation of KIP-227, step by step. */
#include "broker/fetch_session.h"

#include "base/test.h"

static struct prng random_source;

static struct fetch_session_cache *cache_of(size_t max_sessions)
{
	prng_seed(&random_source, 1);
	return fetch_session_cache_new(&random_source, max_sessions, 1 << 20);
}

static struct fetch_target target(const char *topic, int32_t partition, int64_t offset)
{
	return (struct fetch_target){
		.topic = bytes_str(topic), .partition = partition, .fetch_offset = offset, .max_bytes = 100};
}

static enum err take(struct fetch_session_cache *c, int32_t id, int32_t epoch, const struct fetch_target *targets,
		     size_t count, struct fetch_session **ret_session, bool *ret_full)
{
	struct fetch_session_request rq = {.id = id, .epoch = epoch, .targets = targets, .target_count = count};

	return fetch_session_take(c, &rq, 0, ret_session, ret_full);
}

static struct fetch_session *begin(struct fetch_session_cache *c, const char *topic)
{
	struct fetch_target t = target(topic, 0, 5);
	struct fetch_session *s = NULL;
	bool full = false;

	must_ok(take(c, 0, 0, &t, 1, &s, &full));
	CHECK(full);
	CHECK(s != NULL);
	return s;
}

TEST(a_full_request_begins_a_session_that_the_next_epoch_goes_on_with)
{
	struct fetch_session_cache *c = cache_of(10);
	struct fetch_session *s = begin(c, "a"), *again = NULL;
	struct fetch_target moved = target("a", 0, 9);
	bool full = true;

	CHECK(s->id > 0);
	must_ok(take(c, s->id, 1, &moved, 1, &again, &full));
	CHECK(again == s);
	CHECK(!full);
	CHECK_EQ(s->partitions.count, 1);
	CHECK_EQ(container_of(list_first(&s->order), struct fetch_session_partition, node)->target.fetch_offset, 9);
	fetch_session_cache_free(c);
}

TEST(what_does_not_fit_changes_nothing)
{
	struct fetch_session_cache *c = cache_of(10);
	struct fetch_session *s = begin(c, "a"), *none = NULL;
	bool full = false;

	CHECK_ERR(take(c, s->id + 1, 1, NULL, 0, &none, &full), ERR_FETCH_SESSION_ID_NOT_FOUND);
	CHECK_ERR(take(c, s->id, 2, NULL, 0, &none, &full), ERR_INVALID_FETCH_SESSION_EPOCH);
	CHECK_ERR(take(c, s->id, 1, NULL, 0, &none, &full), OK);
	CHECK_ERR(take(c, s->id, 1, NULL, 0, &none, &full), ERR_INVALID_FETCH_SESSION_EPOCH);
	fetch_session_cache_free(c);
}

TEST(names_in_a_session_of_ids_are_refused)
{
	struct fetch_session_cache *c = cache_of(10);
	struct fetch_session *s = begin(c, "a"), *none = NULL;
	struct fetch_session_request rq = {.id = s->id, .epoch = 1, .by_id = true};
	bool full = false;

	CHECK_ERR(fetch_session_take(c, &rq, 0, &none, &full), ERR_FETCH_SESSION_TOPIC_ID_ERROR);
	fetch_session_cache_free(c);
}

TEST(forgetting_every_partition_ends_the_session)
{
	struct fetch_session_cache *c = cache_of(10);
	struct fetch_session *s = begin(c, "a");
	struct fetch_target forgotten = target("a", 0, 0);
	struct fetch_session_request rq = {.id = s->id, .epoch = 1, .forgotten = &forgotten, .forgotten_count = 1};
	int32_t id = s->id;
	bool full = false;

	must_ok(fetch_session_take(c, &rq, 0, &s, &full));
	CHECK(s == NULL);
	CHECK_ERR(take(c, id, 2, NULL, 0, &s, &full), ERR_FETCH_SESSION_ID_NOT_FOUND);
	fetch_session_cache_free(c);
}

TEST(the_final_epoch_ends_it_and_an_unknown_one_is_served)
{
	struct fetch_session_cache *c = cache_of(10);
	struct fetch_session *s = begin(c, "a");
	struct fetch_target t = target("a", 0, 0);
	int32_t id = s->id;
	bool full = false;

	must_ok(take(c, id, -1, &t, 1, &s, &full));
	CHECK(s == NULL);
	CHECK(full);
	CHECK_EQ(fetch_session_count(c), 0);
	must_ok(take(c, id, -1, &t, 1, &s, &full));
	must_ok(take(c, id, 0, &t, 1, &s, &full));
	CHECK(s != NULL);
	fetch_session_cache_free(c);
}

TEST(an_answer_lists_only_news)
{
	static const struct {
		struct fetch_news news;
		bool told;
	} steps[] = {
		{{.high_watermark = 5}, true}, /* never told before */
		{{.high_watermark = 5}, false},
		{{.high_watermark = 6}, true},
		{{.high_watermark = 6, .has_records = true}, true},
		{{.high_watermark = 6, .log_start_offset = 2}, true},
		{{.high_watermark = 6, .log_start_offset = 2, .diverges = true}, true},
		{{.high_watermark = 6, .log_start_offset = 2, .error = ERR_KAFKA_STORAGE_ERROR}, true},
		{{.high_watermark = 6, .log_start_offset = 2}, true}, /* after an error all is told anew */
		{{.high_watermark = 6, .log_start_offset = 2}, false},
	};
	struct fetch_session_cache *c = cache_of(10);
	struct fetch_session *s = begin(c, "a");
	struct fetch_target t = target("a", 0, 5);

	for (size_t i = 0; i < countof(steps); i++)
		CHECK_EQ(fetch_session_tell(s, &t, &steps[i].news), steps[i].told);
	fetch_session_cache_free(c);
}

TEST(who_got_records_is_served_last_next_time)
{
	struct fetch_session_cache *c = cache_of(10);
	struct fetch_target both[] = {target("a", 0, 0), target("a", 1, 0)};
	struct fetch_news records = {.has_records = true};
	struct fetch_session *s = NULL;
	bool full = false;

	must_ok(take(c, 0, 0, both, 2, &s, &full));
	CHECK(fetch_session_tell(s, &both[0], &records));
	CHECK_EQ(container_of(list_first(&s->order), struct fetch_session_partition, node)->target.partition, 1);
	fetch_session_cache_free(c);
}

TEST(a_full_cache_lets_a_larger_or_a_later_one_in)
{
	struct fetch_session_cache *c = cache_of(1);
	struct fetch_target both[] = {target("a", 0, 0), target("a", 1, 0)};
	struct fetch_session_request rq = {.targets = both, .target_count = 1};
	struct fetch_session *first = begin(c, "a"), *s = NULL;
	int32_t first_id = first->id;
	bool full = false;

	must_ok(fetch_session_take(c, &rq, 1000, &s, &full));
	CHECK(s == NULL);
	rq.target_count = 2;
	must_ok(fetch_session_take(c, &rq, 1000, &s, &full));
	CHECK(s != NULL);
	CHECK(fetch_session_find(c, first_id) == NULL);
	rq.target_count = 1;
	must_ok(fetch_session_take(c, &rq, 1000 + 120 * 1000, &s, &full));
	CHECK(s != NULL);
	CHECK_EQ(fetch_session_count(c), 1);
	fetch_session_cache_free(c);
}

TEST(sessions_remember_no_more_than_their_memory)
{
	static char name[32001];
	struct fetch_session_cache *c = cache_of(10);
	struct fetch_target many[20];
	struct fetch_session *first = begin(c, "a"), *s = NULL;
	int32_t first_id = first->id;
	bool full = false;

	memset(name, 'x', sizeof(name) - 1);
	for (int32_t i = 0; i < 20; i++)
		many[i] = target(name, i, 0);
	must_ok(take(c, 0, 0, many, 20, &s, &full));
	CHECK(s == NULL);
	must_ok(take(c, 0, 0, many, 10, &s, &full));
	CHECK(s != NULL);
	/* One that grows beyond it ends; who was there before stays. */
	CHECK_ERR(take(c, s->id, 1, many + 10, 10, &s, &full), ERR_FETCH_SESSION_ID_NOT_FOUND);
	CHECK_EQ(fetch_session_count(c), 1);
	CHECK(fetch_session_find(c, first_id) == first);
	/* What was forgotten, or ended, makes room. */
	for (int i = 0; i < 5; i++) {
		must_ok(take(c, 0, 0, many, 16, &s, &full));
		CHECK(s != NULL);
		struct fetch_session_request rq = {.id = s->id, .epoch = 1, .forgotten = many, .forgotten_count = 16};
		must_ok(fetch_session_take(c, &rq, 0, &s, &full));
		CHECK(s == NULL);
	}
	/* The partitions that it has already cost nothing when they are named again. */
	must_ok(take(c, 0, 0, many, 16, &s, &full));
	for (int32_t epoch = 1; epoch < 5; epoch++)
		must_ok(take(c, s->id, epoch, many, 16, &s, &full));
	CHECK_EQ(fetch_session_count(c), 2);
	fetch_session_cache_free(c);
}
