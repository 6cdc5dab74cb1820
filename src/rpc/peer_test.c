/* peer_test: connections, versions, calls and their failures, against a scripted broker over loopback. */
#include "rpc/peer.h"

#include "base/test.h"
#include "rpc/script_broker.h"
#include "rpc/throttle.h"
#include "runtime/linux/linux.h"

#define SECOND_US 1000000

struct peer_case {
	void (*body_await)(struct fiber *self, struct peer_case *c);
	struct script_broker broker;
	struct budget frames;
	struct peer *peer;
	unsigned alive;
	int64_t call_timeout_us;
	size_t max_response;
	bool ran;
};

static void case_main(struct fiber *self, void *argument)
{
	struct peer_case *c = argument;
	struct shard *s = fiber_shard(self);
	struct peer_options o = {
		.shard = s,
		.client_id = "test",
		.software_name = "moldau",
		.software_version = "1",
		.frames = &c->frames,
		.max_response_bytes = c->max_response ? c->max_response : 1 << 20,
		.max_calls = 8,
		.connect_timeout_us = 5 * SECOND_US,
		.call_timeout_us = c->call_timeout_us ? c->call_timeout_us : 5 * SECOND_US,
		.backoff_us = 100,
		.backoff_max_us = 1000,
		.alive = &c->alive,
	};

	budget_init(&c->frames, s, 1 << 24);
	script_broker_open_await(self, &c->broker);
	o.address = c->broker.address;
	c->peer = peer_new(&o);
	c->body_await(self, c);
	peer_free(c->peer);
	while (c->alive > 0)
		fiber_yield_await(self);
	script_broker_close(&c->broker);
	fiber_yield_await(self);
	budget_fini(&c->frames);
	c->ran = true;
	runtime_stop(shard_runtime(s), 0);
}

static void on_start(struct shard *s, void *argument)
{
	static const struct fiber_options options = {.name = "test"};

	must(fiber_start(s, &options, case_main, argument));
}

static void run_case(struct peer_case *c)
{
	struct linux_options o = {.shards = 1, .io = IO_EPOLL};

	CHECK_EQ(linux_run(&o, on_start, c), 0);
	CHECK(c->ran);
}

/* An answer to Metadata with one broker, whose port tells which request it was. */
static void put_metadata(struct script_request *q, int32_t port, struct buf *out)
{
	struct metadata_response_metadata_response_broker b = {
		.node_id = 1, .host = bytes_str("localhost"), .port = port};
	struct metadata_response r;

	message_init(&metadata_response_type, &r);
	r.brokers = &b;
	r.brokers_count = 1;
	script_put(q, &r, out);
}

static enum script_outcome answer_all(struct script_broker *b, struct script_request *q, struct buf *out)
{
	if (q->header.api_key == API_API_VERSIONS)
		script_put_versions(q, out);
	else
		put_metadata(q, (int32_t)b->requests, out);
	return SCRIPT_ANSWER;
}

static enum err ask_await(struct fiber *self, struct peer *p, int64_t timeout_us, int16_t *ret_version,
			  int32_t *ret_port)
{
	struct metadata_request request;
	struct metadata_response response;
	struct blob *frame = NULL;
	struct arena arena;
	enum err e;

	arena_init(&arena, 1 << 20);
	message_init(&metadata_request_type, &request);
	e = peer_ask_await(self, p,
			   &(struct peer_ask){.api_key = API_METADATA,
					      .newest = 12,
					      .deadline_us = shard_now_us(fiber_shard(self)) + timeout_us,
					      .request = &request,
					      .response = &response,
					      .arena = &arena},
			   ret_version, &frame);
	if (!e) {
		*ret_port = response.brokers_count == 1 ? response.brokers[0].port : -1;
		blob_unref(frame);
	}
	arena_fini(&arena);
	return e;
}

static void simple_ask_await(struct fiber *self, struct peer_case *c)
{
	int16_t version = 0;
	int32_t port = 0;

	must_ok(ask_await(self, c->peer, 5 * SECOND_US, &version, &port));
	CHECK_EQ(version, 12);
	CHECK_EQ(port, 2);
	must_ok(ask_await(self, c->peer, 5 * SECOND_US, &version, &port));
	CHECK_EQ(port, 3);
	CHECK_EQ(c->broker.accepted, 1);
	CHECK_BYTES(buf_bytes(&c->broker.transcript), bytes_str("ApiVersions v4\nMetadata v12\nMetadata v12\n"));
}

TEST(a_call_connects_agrees_on_versions_and_is_answered)
{
	struct peer_case c = {.body_await = simple_ask_await, .broker.answer = answer_all};

	run_case(&c);
}

/* --- pauses that the broker asks for ----------------------------------------------------------------------------------- */

#define THROTTLE_MS 40

/* The first Metadata asks for quiet. */
static enum script_outcome answer_throttled(struct script_broker *b, struct script_request *q, struct buf *out)
{
	struct metadata_response r;

	if (q->header.api_key == API_API_VERSIONS) {
		script_put_versions(q, out);
		return SCRIPT_ANSWER;
	}
	message_init(&metadata_response_type, &r);
	r.throttle_time_ms = b->requests == 2 ? THROTTLE_MS : 0;
	script_put(q, &r, out);
	return SCRIPT_ANSWER;
}

static void throttled_await(struct fiber *self, struct peer_case *c)
{
	struct peer_call call = {.api_key = API_METADATA, .version = 12};
	int16_t version = 0;
	int32_t port = 0;
	int64_t told_us;

	must_ok(ask_await(self, c->peer, 5 * SECOND_US, &version, &port));
	told_us = shard_now_us(fiber_shard(self));
	CHECK_EQ(peer_state(c->peer), PEER_QUIET);
	CHECK_EQ(peer_send(c->peer, &call), ERR_AGAIN);
	CHECK_EQ(ask_await(self, c->peer, 1000, &version, &port), ERR_TIMED_OUT);
	CHECK_EQ(c->broker.requests, 2);
	must_ok(ask_await(self, c->peer, 5 * SECOND_US, &version, &port));
	CHECK(shard_now_us(fiber_shard(self)) - told_us >= THROTTLE_MS * 1000);
	CHECK_EQ(peer_state(c->peer), PEER_READY);
	CHECK_EQ(c->broker.accepted, 1);
}

TEST(a_throttle_time_keeps_the_connection_quiet_and_open)
{
	struct peer_case c = {.body_await = throttled_await, .broker.answer = answer_throttled};

	run_case(&c);
}

static void throttle_dropped_await(struct fiber *self, struct peer_case *c)
{
	int16_t version = 0;
	int32_t port = 0;

	must_ok(ask_await(self, c->peer, 5 * SECOND_US, &version, &port));
	peer_drop(c->peer, ERR_CANCELLED);
	CHECK_EQ(peer_state(c->peer), PEER_BACKOFF);
	must_ok(ask_await(self, c->peer, 5 * SECOND_US, &version, &port));
	CHECK_EQ(c->broker.accepted, 2);
}

TEST(a_new_connection_owes_no_quiet)
{
	struct peer_case c = {.body_await = throttle_dropped_await, .broker.answer = answer_throttled};

	run_case(&c);
}

TEST(only_versions_since_the_client_is_to_pause_ask_for_it)
{
	static const struct {
		int16_t key;
		int16_t version;
		int32_t told;
		int32_t wanted;
	} rows[] = {
		{API_METADATA, 5, 100, 0}, {API_METADATA, 6, 100, 100},          {API_METADATA, 13, 0, 0},
		{API_METADATA, 13, -5, 0}, {API_METADATA, 13, 1 << 30, 1 << 30},
	};

	for (size_t i = 0; i < countof(rows); i++) {
		struct metadata_response r;

		message_init(&metadata_response_type, &r);
		r.throttle_time_ms = rows[i].told;
		CHECK_EQ(throttle_ms(api_find(rows[i].key), rows[i].version, &r), rows[i].wanted);
	}
}

/* --- versions ---------------------------------------------------------------------------------------------------- */

/* A broker that knows ApiVersions 0-2 only, as it answers version 4: in version 0, error 35, its range. */
static enum script_outcome answer_old(struct script_broker *b, struct script_request *q, struct buf *out)
{
	struct api_versions_response_api_version rows[] = {
		{.api_key = API_METADATA, .min_version = 0, .max_version = 4},
		{.api_key = API_API_VERSIONS, .min_version = 0, .max_version = 2},
	};
	struct api_versions_response r;

	if (q->header.api_key != API_API_VERSIONS)
		return answer_all(b, q, out);
	message_init(&api_versions_response_type, &r);
	r.api_keys = rows;
	r.api_keys_count = countof(rows);
	if (q->header.api_version > 2) {
		r.error_code = ERR_UNSUPPORTED_VERSION;
		r.api_keys = &rows[1];
		r.api_keys_count = 1;
		q->answer_as.api_version = 0;
	}
	script_put(q, &r, out);
	return SCRIPT_ANSWER;
}

static void old_broker_await(struct fiber *self, struct peer_case *c)
{
	int16_t version = 0;
	int32_t port = 0;

	must_ok(ask_await(self, c->peer, 5 * SECOND_US, &version, &port));
	CHECK_EQ(version, 4);
	CHECK_EQ(peer_version(c->peer, API_PRODUCE, 13, &version), ERR_UNSUPPORTED);
	CHECK_BYTES(buf_bytes(&c->broker.transcript), bytes_str("ApiVersions v4\nApiVersions v2\nMetadata v4\n"));
}

TEST(an_older_broker_is_asked_again_in_a_version_that_it_has)
{
	struct peer_case c = {.body_await = old_broker_await, .broker.answer = answer_old};

	run_case(&c);
}

/* --- many calls -------------------------------------------------------------------------------------------------- */

struct many_call {
	struct peer_call call;
	struct metadata_response response;
	struct arena arena;
	struct many *all;
	int32_t number;
};

struct many {
	struct fiber *fiber;
	struct many_call calls[8];
	int32_t order[8];
	size_t done;
};

static void many_done(struct peer_call *call)
{
	struct many_call *m = container_of(call, struct many_call, call);

	CHECK_EQ(call->error, OK);
	CHECK_EQ(m->response.brokers[0].port, m->number + 2);
	m->all->order[m->all->done++] = m->number;
	blob_unref(call->frame);
	fiber_wake(m->all->fiber);
}

static void pipelined_await(struct fiber *self, struct peer_case *c)
{
	struct metadata_request request;
	struct many all = {.fiber = self};
	struct peer_call extra = {
		.api_key = API_METADATA, .version = 12, .request = &request, .deadline_us = INT64_MAX};

	message_init(&metadata_request_type, &request);
	must_ok(peer_ready_await(self, c->peer, INT64_MAX));
	for (int32_t i = 0; i < 8; i++) {
		struct many_call *m = &all.calls[i];

		arena_init(&m->arena, 1 << 16);
		m->all = &all;
		m->number = i;
		m->call = (struct peer_call){.api_key = API_METADATA,
					     .version = 12,
					     .deadline_us = shard_now_us(fiber_shard(self)) + 5 * SECOND_US,
					     .request = &request,
					     .response = &m->response,
					     .arena = &m->arena,
					     .done = many_done};
		must_ok(peer_send(c->peer, &m->call));
	}
	CHECK_EQ(peer_calls(c->peer), 8);
	CHECK_EQ(peer_send(c->peer, &extra), ERR_AGAIN);
	while (all.done < 8)
		fiber_park_await(self);
	for (int32_t i = 0; i < 8; i++) {
		CHECK_EQ(all.order[i], i);
		arena_fini(&all.calls[i].arena);
	}
}

TEST(calls_under_way_at_once_are_answered_in_order_and_bounded)
{
	struct peer_case c = {.body_await = pipelined_await, .broker.answer = answer_all};

	run_case(&c);
}

/* --- what goes wrong --------------------------------------------------------------------------------------------- */

static void cut_everywhere_await(struct fiber *self, struct peer_case *c)
{
	size_t whole = 2000, rounds = 0;
	int16_t version;
	int32_t port;

	/* The answer to ApiVersions is some hundred bytes, Metadata's a few more: all of both. */
	for (size_t cut = 1; cut < whole; cut += cut < 60 ? 1 : 7) {
		enum err e;

		c->broker.cut_after = cut;
		script_broker_drop_all(&c->broker);
		e = ask_await(self, c->peer, 5 * SECOND_US, &version, &port);
		if (!e)
			break; /* the cut is behind both answers */
		CHECK_EQ(e, ERR_CONNECTION_LOST);
		rounds++;
	}
	CHECK(rounds > 100);
	c->broker.cut_after = SIZE_MAX;
	script_broker_drop_all(&c->broker);
	for (int i = 0; ask_await(self, c->peer, 5 * SECOND_US, &version, &port) != OK; i++)
		CHECK(i < 3);
}

TEST(an_answer_cut_at_any_byte_is_a_lost_connection_and_the_next_one_works)
{
	struct peer_case c = {.body_await = cut_everywhere_await, .broker.answer = answer_all};

	run_case(&c);
}

enum misdeed { WRONG_CORRELATION, NEGATIVE_SIZE, HUGE_SIZE, GARBAGE_BODY, SHORT_BODY, TWO_ANSWERS, HANG_UP };

static enum script_outcome answer_badly(struct script_broker *b, struct script_request *q, struct buf *out)
{
	if (q->header.api_key == API_API_VERSIONS) {
		script_put_versions(q, out);
		return SCRIPT_ANSWER;
	}
	switch (*(enum misdeed *)b->user) {
	case WRONG_CORRELATION:
		q->correlation_shift = 1;
		put_metadata(q, 1, out);
		return SCRIPT_ANSWER;
	case NEGATIVE_SIZE:
		buf_put_i32(out, -2);
		return SCRIPT_RAW;
	case HUGE_SIZE:
		buf_put_i32(out, 1 << 21);
		return SCRIPT_RAW;
	case GARBAGE_BODY:
		buf_put_str(out, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff");
		return SCRIPT_ANSWER;
	case SHORT_BODY:
		buf_put_i32(out, 0);
		return SCRIPT_ANSWER;
	case TWO_ANSWERS:
		/* The right one, and behind it one that nobody asked for. */
		buf_put_i32(out, 4);
		buf_put_i32(out, q->header.correlation_id + 7);
		return SCRIPT_RAW;
	case HANG_UP:
		return SCRIPT_CLOSE;
	}
	must_not_reach();
}

static void misdeeds_await(struct fiber *self, struct peer_case *c)
{
	static const struct {
		enum misdeed misdeed;
		enum err err;
	} cases[] = {
		{WRONG_CORRELATION, ERR_MALFORMED}, {NEGATIVE_SIZE, ERR_TOO_BIG}, {HUGE_SIZE, ERR_TOO_BIG},
		{GARBAGE_BODY, ERR_MALFORMED},      {SHORT_BODY, ERR_MALFORMED},  {TWO_ANSWERS, ERR_MALFORMED},
		{HANG_UP, ERR_CONNECTION_LOST},
	};

	for (size_t i = 0; i < countof(cases); i++) {
		enum misdeed now = cases[i].misdeed;
		int16_t version;
		int32_t port;

		c->broker.user = &now;
		CHECK_ERR(ask_await(self, c->peer, 5 * SECOND_US, &version, &port), cases[i].err);
		CHECK_EQ(peer_state(c->peer), PEER_BACKOFF);
		CHECK(strlen(peer_why(c->peer)) > 0);
	}
	CHECK_EQ(c->broker.accepted, countof(cases));
}

TEST(what_is_no_right_answer_ends_the_connection)
{
	struct peer_case c = {.body_await = misdeeds_await, .broker.answer = answer_badly};

	run_case(&c);
}

static enum script_outcome answer_never(struct script_broker *b, struct script_request *q, struct buf *out)
{
	if (q->header.api_key != API_API_VERSIONS)
		return SCRIPT_SILENT;
	return answer_all(b, q, out);
}

static void silence_await(struct fiber *self, struct peer_case *c)
{
	int16_t version;
	int32_t port;

	CHECK_ERR(ask_await(self, c->peer, 20000, &version, &port), ERR_TIMED_OUT);
	CHECK_STR(peer_why(c->peer), "no answer to Metadata in time");
	CHECK_EQ(peer_calls(c->peer), 0);
}

TEST(a_call_over_time_ends_the_connection)
{
	struct peer_case c = {.body_await = silence_await, .broker.answer = answer_never};

	run_case(&c);
}

static enum script_outcome answer_mute(struct script_broker *b, struct script_request *q, struct buf *out)
{
	(void)b;
	(void)q;
	(void)out;
	return SCRIPT_SILENT;
}

static void mute_await(struct fiber *self, struct peer_case *c)
{
	CHECK_ERR(peer_ready_await(self, c->peer, INT64_MAX), ERR_TIMED_OUT);
	CHECK_EQ(peer_failures(c->peer), 1);
}

TEST(a_broker_that_does_not_tell_its_versions_is_given_up)
{
	struct peer_case c = {.body_await = mute_await, .broker.answer = answer_mute, .call_timeout_us = 20000};

	run_case(&c);
}

static void refused_await(struct fiber *self, struct peer_case *c)
{
	listener_close(c->broker.listener);
	CHECK_ERR(peer_ready_await(self, c->peer, INT64_MAX), ERR_CONNECTION_REFUSED);
	CHECK_ERR(peer_ready_await(self, c->peer, INT64_MAX), ERR_CONNECTION_REFUSED);
	CHECK_STR(peer_why(c->peer), "connection refused");
	CHECK_EQ(peer_failures(c->peer), 2);
	/* For case_main to close. */
	script_broker_open_await(self, &c->broker);
}

TEST(where_nobody_listens_is_told_by_each_attempt)
{
	struct peer_case c = {.body_await = refused_await, .broker.answer = answer_all};

	run_case(&c);
}

static void count_cancelled(struct peer_call *call)
{
	CHECK_EQ(call->error, ERR_CANCELLED);
	call->deadline_us = -1;
}

static void freed_await(struct fiber *self, struct peer_case *c)
{
	struct metadata_request request;
	struct metadata_response response;
	struct arena arena;
	struct peer_call call = {.api_key = API_METADATA,
				 .version = 12,
				 .deadline_us = INT64_MAX,
				 .request = &request,
				 .response = &response,
				 .arena = &arena,
				 .done = count_cancelled};

	arena_init(&arena, 1024);
	message_init(&metadata_request_type, &request);
	must_ok(peer_ready_await(self, c->peer, INT64_MAX));
	must_ok(peer_send(c->peer, &call));
	peer_free(c->peer);
	CHECK_EQ(call.deadline_us, -1);
	c->peer = NULL;
	arena_fini(&arena);
}

TEST(freeing_ends_the_calls_under_way)
{
	struct peer_case c = {.body_await = freed_await, .broker.answer = answer_never};

	run_case(&c);
}
