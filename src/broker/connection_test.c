/*
 * connection_test: the order of requests on real connections, with handlers that the test answers by hand: what begins when, in which
 * order answers leave, and what becomes of requests whose connection ends.
 */
#include "broker/connection.h"
#include "broker/request_own.h"

#include "base/alloc.h"
#include "protocol/messages.h"
#include "runtime/linux/backends.h"

#define MAX_REQUESTS 200

struct world {
	struct connection_table table;
	struct budget frames;
	struct budget work;
	struct acceptor *acceptor;
	struct socket_owner owner; /* the client's end */
	struct socket *socket;
	struct event readable;
	struct buf received;
	size_t begun; /* by the fake handlers, in order */
	struct request *requests[MAX_REQUESTS];
	size_t abandoned;
	size_t hurried;
	size_t expired;
	bool closes_at_once; /* what arrives */
	size_t checked;
	struct event changed;
};

/* The handlers find their world through the table, which the world begins with. */
static struct world *world_of(struct request *rq)
{
	return container_of(rq->table, struct world, table);
}

static void fake_begin(struct request *rq)
{
	struct world *w = world_of(rq);

	EXPECT(w->begun < MAX_REQUESTS);
	w->requests[w->begun++] = rq;
	request_hold(rq); /* the test is its part */
	event_signal(&w->changed);
}

static void fake_abandon(struct request *rq)
{
	world_of(rq)->abandoned++;
}

static void fake_hurry(struct request *rq)
{
	world_of(rq)->hurried++;
}

static void reply(struct request *rq)
{
	void *answer = mem_zalloc(rq->api->response->body->size_bytes);

	message_init(rq->api->response, answer);
	request_reply(rq, answer);
	mem_free(answer);
}

static void fake_expired(struct request *rq)
{
	world_of(rq)->expired++;
	reply(rq);
}

static void fake_arms(struct request *rq)
{
	world_of(rq)->begun++;
	request_arm(rq, shard_now_us(rq->shard) + 1000);
}

static void fake_main(struct fiber *self, struct request *rq)
{
	fiber_yield_await(self);
	reply(rq);
}

static void fake_fiber(struct request *rq)
{
	world_of(rq)->begun++;
	request_run_fiber(rq, "fake", fake_main);
}

static void fake_close(struct request *rq)
{
	request_close(rq, "the test wants it");
}

static void fake_silent(struct request *rq)
{
	world_of(rq)->begun++;
	request_no_reply(rq);
}

static const struct api_handler overlapping = {.key = API_PRODUCE,
					       .min_version = 3,
					       .max_version = 9,
					       .overlaps = true,
					       .begin = fake_begin,
					       .abandon = fake_abandon};
static const struct api_handler alone = {
	.key = API_METADATA, .min_version = 1, .max_version = 9, .begin = fake_begin, .abandon = fake_abandon};
static const struct api_handler polling = {.key = API_FETCH,
					   .min_version = 4,
					   .max_version = 4,
					   .overlaps = true,
					   .one_at_a_time = true,
					   .begin = fake_begin,
					   .hurry = fake_hurry};
static const struct api_handler timed = {
	.key = API_LIST_GROUPS, .min_version = 0, .max_version = 0, .begin = fake_arms, .expired = fake_expired};
static const struct api_handler by_fiber = {
	.key = API_LIST_OFFSETS, .min_version = 1, .max_version = 1, .begin = fake_fiber};
static const struct api_handler closing = {
	.key = API_HEARTBEAT, .min_version = 0, .max_version = 0, .begin = fake_close};
static const struct api_handler silent = {
	.key = API_SASL_HANDSHAKE, .min_version = 0, .max_version = 0, .begin = fake_silent};

static const struct api_handler *find_fake(int16_t key)
{
	static const struct api_handler *const all[] = {&overlapping, &alone,   &polling, &timed,
							&by_fiber,    &closing, &silent};

	for (size_t i = 0; i < countof(all); i++)
		if (all[i]->key == key)
			return all[i];
	return NULL;
}

static void on_arrived(void *context, struct shard *at, struct place *place)
{
	struct world *w = context;

	(void)at;
	connection_arrived(&w->table, place);
	if (w->closes_at_once) {
		connection_table_close_all(&w->table);
		EXPECT(w->table.checking == 1);
	}
	event_signal(&w->changed);
}

static void on_checked(void *context, struct shard *at, struct place *place)
{
	struct world *w = context;

	(void)at;
	connection_checked(place);
	w->checked++;
	event_signal(&w->changed);
}

static void on_ready(struct socket_owner *owner, unsigned events)
{
	struct world *w = container_of(owner, struct world, owner);

	(void)events;
	socket_set_interest(w->socket, 0);
	event_signal(&w->readable);
}

static struct world *world_open_with_await(struct fiber *self, size_t max_per_address, bool closes_at_once)
{
	struct world *w = mem_new(struct world);
	struct acceptor_options o = {
		.shard = fiber_shard(self),
		.limits = {.max_connections = 10, .limit_name = "max.connections", .max_per_address = max_per_address},
		.context = w,
		.arrived = on_arrived,
		.checked = on_checked};
	struct address address = {.host = "127.0.0.1"};

	w->closes_at_once = closes_at_once;
	event_init(&w->changed);
	event_init(&w->readable);
	buf_init(&w->received, 1000000);
	budget_init(&w->frames, o.shard, 1000000);
	budget_init(&w->work, o.shard, 1000000);
	connection_table_init(&w->table, &(struct connection_table_options){.shard = o.shard,
									    .max_frame = 100000,
									    .idle_us = 600000000,
									    .frames = &w->frames,
									    .work = &w->work,
									    .max_arena = 1000000,
									    .find = find_fake});
	w->acceptor = acceptor_new(&o);
	EXPECT_OK(acceptor_listen_await(self, w->acceptor, &address, 7, &address));
	acceptor_begin(w->acceptor);
	w->owner.ready = on_ready;
	EXPECT_OK(socket_connect_await(self, &address, FIBER_NO_DEADLINE, &w->owner, &w->socket));
	while (w->table.count == 0 && max_per_address > 0 && !closes_at_once)
		EXPECT_OK(event_wait_await(self, &w->changed, FIBER_NO_DEADLINE));
	return w;
}

static struct world *world_open_await(struct fiber *self, size_t max_per_address)
{
	return world_open_with_await(self, max_per_address, false);
}

static void world_close_await(struct fiber *self, struct world *w)
{
	if (w->socket)
		socket_close(w->socket, false);
	acceptor_close(w->acceptor);
	connection_table_stop(&w->table);
	connection_table_close_all(&w->table);
	while (acceptor_open_count(w->acceptor) > 0)
		fiber_yield_await(self);
	EXPECT(connection_table_quiet_await(self, &w->table, FIBER_NO_DEADLINE));
	fiber_yield_await(self);
	EXPECT(w->frames.used == 0);
	EXPECT(w->work.used == 0);
	connection_table_fini(&w->table);
	acceptor_free(w->acceptor);
	budget_fini(&w->frames);
	budget_fini(&w->work);
	buf_fini(&w->received);
	mem_free(w);
}

static void send_request(struct world *w, int16_t key, int16_t version, int32_t correlation_id)
{
	struct request_header h = {key, version, correlation_id, bytes_str("test")};
	const struct message_type *type = api_find(key)->request;
	void *body = mem_zalloc(type->body->size_bytes);
	struct buf b;
	struct bytes part;
	size_t count = 0;

	message_init(type, body);
	buf_init(&b, 10000);
	buf_put_i32(&b, 0);
	EXPECT_OK(request_header_encode(&h, &b));
	EXPECT_OK(message_encode(type, version, body, &b));
	put_be32(b.data, (uint32_t)(b.size - 4));
	part = buf_bytes(&b);
	EXPECT_OK(socket_send(w->socket, &part, 1, &count));
	EXPECT(count == b.size);
	buf_fini(&b);
	mem_free(body);
}

static void begun_wait_await(struct fiber *self, struct world *w, size_t count)
{
	while (w->begun < count)
		fiber_yield_await(self);
}

/* Long enough that anything that could happen would have. */
static void settle_await(struct fiber *self)
{
	for (int i = 0; i < 30; i++)
		fiber_yield_await(self);
}

/* The correlation id of the next answer; -1 when the connection ended. */
static int32_t answer_await(struct fiber *self, struct world *w)
{
	for (;;) {
		size_t count = 0, size = w->received.size >= 4 ? get_be32(w->received.data) + 4u : 0;
		enum err e;

		if (size > 0 && w->received.size >= size) {
			int32_t id = (int32_t)get_be32(w->received.data + 4);

			memmove(w->received.data, w->received.data + size, w->received.size - size);
			w->received.size -= size;
			return id;
		}
		EXPECT(buf_reserve(&w->received, 4096));
		e = socket_receive(w->socket, w->received.data + w->received.size, 4096, &count);
		if (e == ERR_AGAIN) {
			socket_set_interest(w->socket, SOCKET_READABLE);
			EXPECT_OK(event_wait_await(self, &w->readable, FIBER_NO_DEADLINE));
			continue;
		}
		if (e)
			return -1;
		w->received.size += count;
	}
}

static void answer(struct world *w, size_t i)
{
	reply(w->requests[i]);
	request_release(w->requests[i]);
}

static void alone_fiber(struct fiber *self, void *argument)
{
	struct world *w = world_open_await(self, SIZE_MAX);

	(void)argument;
	send_request(w, API_METADATA, 1, 10);
	send_request(w, API_METADATA, 9, 11);
	send_request(w, API_LIST_OFFSETS, 1, 12);
	begun_wait_await(self, w, 1);
	settle_await(self);
	EXPECT(w->begun == 1); /* the others wait for its answer */
	answer(w, 0);
	EXPECT(answer_await(self, w) == 10);
	begun_wait_await(self, w, 2);
	answer(w, 1);
	EXPECT(answer_await(self, w) == 11);
	EXPECT(answer_await(self, w) == 12);
	world_close_await(self, w);
}

TEST(a_request_begins_when_the_one_before_was_answered)
{
	run_over_both(1, alone_fiber, NULL);
}

static void overlap_fiber(struct fiber *self, void *argument)
{
	struct world *w = world_open_await(self, SIZE_MAX);

	(void)argument;
	for (int32_t i = 0; i < 4; i++)
		send_request(w, API_PRODUCE, (int16_t)(i == 2 ? 9 : 3), 20 + i);
	for (size_t i = 0; i < 4; i++) {
		begun_wait_await(self, w, i + 1);
		settle_await(self);
		EXPECT(w->begun == i + 1); /* until this one is appended, the next waits */
		request_ordered(w->requests[i]);
	}
	/* Answered backwards, they leave forwards. */
	for (size_t i = 4; i-- > 0;)
		answer(w, i);
	for (int32_t i = 0; i < 4; i++)
		EXPECT(answer_await(self, w) == 20 + i);
	world_close_await(self, w);
}

TEST(overlapping_requests_begin_in_order_and_are_answered_in_order)
{
	run_over_both(1, overlap_fiber, NULL);
}

static void many_fiber(struct fiber *self, void *argument)
{
	struct world *w = world_open_await(self, SIZE_MAX);

	(void)argument;
	for (int32_t i = 0; i < CONNECTION_MAX_REQUESTS + 20; i++)
		send_request(w, API_PRODUCE, 3, i);
	for (size_t i = 0; i < CONNECTION_MAX_REQUESTS; i++) {
		begun_wait_await(self, w, i + 1);
		request_ordered(w->requests[i]);
	}
	settle_await(self);
	EXPECT(w->begun == CONNECTION_MAX_REQUESTS);
	answer(w, 0);
	EXPECT(answer_await(self, w) == 0);
	begun_wait_await(self, w, CONNECTION_MAX_REQUESTS + 1);
	settle_await(self);
	EXPECT(w->begun == CONNECTION_MAX_REQUESTS + 1);
	connection_table_close_all(&w->table);
	EXPECT(w->abandoned == CONNECTION_MAX_REQUESTS);
	for (size_t i = 1; i < w->begun; i++)
		request_release(w->requests[i]);
	world_close_await(self, w);
}

TEST(so_many_requests_of_a_connection_are_under_way_and_no_more)
{
	run_over_both(1, many_fiber, NULL);
}

static void gone_fiber(struct fiber *self, void *argument)
{
	struct world *w = world_open_await(self, SIZE_MAX);

	(void)argument;
	for (int32_t i = 0; i < 3; i++)
		send_request(w, API_PRODUCE, 3, i);
	for (size_t i = 0; i < 3; i++) {
		begun_wait_await(self, w, i + 1);
		request_ordered(w->requests[i]);
	}
	answer(w, 1); /* waits behind the first, and then is dropped */
	socket_close(w->socket, true);
	w->socket = NULL;
	while (w->table.count > 0)
		fiber_yield_await(self);
	EXPECT(w->abandoned == 2);
	EXPECT(w->table.requests == 2); /* they live until their parts have come back */
	EXPECT(w->requests[0]->abandoned && w->requests[2]->abandoned);
	reply(w->requests[0]); /* to nobody */
	request_release(w->requests[0]);
	request_release(w->requests[2]);
	EXPECT(w->table.requests == 0);
	world_close_await(self, w);
}

TEST(requests_outlive_a_connection_that_goes)
{
	run_over_both(1, gone_fiber, NULL);
}

/* The first is answered at once, but its answer waits behind a Produce: the second begins when the client can have read it. */
static void one_at_a_time_fiber(struct fiber *self, void *argument)
{
	struct world *w = world_open_await(self, SIZE_MAX);

	(void)argument;
	send_request(w, API_PRODUCE, 3, 1);
	begun_wait_await(self, w, 1);
	request_ordered(w->requests[0]);
	send_request(w, API_FETCH, 4, 2);
	send_request(w, API_FETCH, 4, 3);
	send_request(w, API_METADATA, 1, 4);
	begun_wait_await(self, w, 2);
	request_ordered(w->requests[1]);
	settle_await(self);
	EXPECT(w->begun == 2);
	answer(w, 1);
	settle_await(self);
	EXPECT(w->begun == 2);
	EXPECT(w->table.requests == 3); /* and nothing is taken behind the one that waits */
	answer(w, 0);
	EXPECT(answer_await(self, w) == 1);
	EXPECT(answer_await(self, w) == 2);
	begun_wait_await(self, w, 3);
	request_ordered(w->requests[2]);
	begun_wait_await(self, w, 4);
	answer(w, 3);
	answer(w, 2);
	EXPECT(answer_await(self, w) == 3);
	EXPECT(answer_await(self, w) == 4);
	world_close_await(self, w);
}

TEST(a_fetch_waits_until_the_answer_of_the_one_before_has_left)
{
	run_over_both(1, one_at_a_time_fiber, NULL);
}

static void memory_fiber(struct fiber *self, void *argument)
{
	struct world *w = world_open_await(self, SIZE_MAX);

	(void)argument;
	budget_take_anyway(&w->work, w->work.limit);
	send_request(w, API_METADATA, 1, 1);
	send_request(w, API_METADATA, 1, 2);
	while (w->table.requests == 0)
		fiber_yield_await(self);
	settle_await(self);
	EXPECT(w->begun == 0);
	EXPECT(w->table.requests == 1);
	budget_give(&w->work, w->work.limit);
	begun_wait_await(self, w, 1);
	EXPECT(w->work.used >= REQUEST_FIRST_BYTES);
	/* What it needs beyond is charged as it grows, even over the limit: the next one waits for it. */
	EXPECT(request_alloc(w->requests[0], 1, 999000));
	EXPECT(w->work.used >= 999000);
	send_request(w, API_METADATA, 1, 3);
	answer(w, 0);
	EXPECT(answer_await(self, w) == 1);
	begun_wait_await(self, w, 2);
	EXPECT(w->work.used < 999000);
	answer(w, 1);
	begun_wait_await(self, w, 3);
	answer(w, 2);
	EXPECT(answer_await(self, w) == 2);
	EXPECT(answer_await(self, w) == 3);
	world_close_await(self, w); /* which sees that nothing stays charged */
}

TEST(a_request_waits_unbegun_while_others_hold_the_memory_for_requests)
{
	run_over_both(1, memory_fiber, NULL);
}

static void waits_and_goes_fiber(struct fiber *self, void *argument)
{
	struct world *w = world_open_await(self, SIZE_MAX);

	(void)argument;
	budget_take_anyway(&w->work, w->work.limit);
	send_request(w, API_METADATA, 1, 1);
	while (w->table.requests == 0)
		fiber_yield_await(self);
	connection_table_close_all(&w->table);
	EXPECT(w->table.requests == 0);
	EXPECT(list_empty(&w->work.waiters));
	budget_give(&w->work, w->work.limit);
	EXPECT(w->begun == 0);
	world_close_await(self, w);
}

TEST(a_connection_that_goes_takes_its_waiting_request_along)
{
	run_over_both(1, waits_and_goes_fiber, NULL);
}

static void hung_up_fiber(struct fiber *self, void *argument)
{
	struct world *w = world_open_await(self, SIZE_MAX);

	(void)argument;
	send_request(w, API_FETCH, 4, 1);
	send_request(w, API_FETCH, 4, 2); /* nothing is read behind it */
	begun_wait_await(self, w, 1);
	request_ordered(w->requests[0]);
	while (w->table.requests < 2)
		fiber_yield_await(self);
	settle_await(self);
	EXPECT(w->hurried == 0);
	socket_close(w->socket, false);
	w->socket = NULL;
	while (w->hurried == 0)
		fiber_yield_await(self);
	EXPECT(w->begun == 1);
	answer(w, 0);
	/* It goes on to what the client sent before it left, whether or not its answer still finds somebody. */
	while (w->begun == 1 && w->table.count > 0)
		fiber_yield_await(self);
	if (w->begun == 2) {
		EXPECT(w->hurried == 2);
		request_ordered(w->requests[1]);
		answer(w, 1);
	}
	while (w->table.count > 0)
		fiber_yield_await(self);
	EXPECT(w->table.requests == 0);
	world_close_await(self, w);
}

TEST(a_client_that_left_is_noticed_while_nothing_of_it_is_read)
{
	run_over_both(1, hung_up_fiber, NULL);
}

static void hurry_fiber(struct fiber *self, void *argument)
{
	struct world *w = world_open_await(self, SIZE_MAX);

	(void)argument;
	send_request(w, API_FETCH, 4, 1);
	begun_wait_await(self, w, 1);
	request_ordered(w->requests[0]);
	send_request(w, API_METADATA, 1, 2);
	begun_wait_await(self, w, 2);
	connection_table_hurry(&w->table);
	EXPECT(w->hurried == 1); /* what waits for others than news is not hurried */
	answer(w, 0);
	answer(w, 1);
	EXPECT(answer_await(self, w) == 1);
	EXPECT(answer_await(self, w) == 2);
	connection_table_hurry(&w->table);
	EXPECT(w->hurried == 1);
	world_close_await(self, w);
}

TEST(long_polls_give_way_when_memory_is_short)
{
	run_over_both(1, hurry_fiber, NULL);
}

static void stalled_fiber(struct fiber *self, void *argument)
{
	static const uint8_t zeroes[65536];
	struct world *w = world_open_await(self, SIZE_MAX);

	(void)argument;
	/* Answers that nobody reads, until the kernel takes no more of them. */
	for (int32_t i = 0; w->table.count > 0; i++) {
		struct connection *c = container_of(list_first(&w->table.connections), struct connection, node);

		if (conn_unsent(c->conn) > 0)
			break;
		for (int32_t j = 0; j < 50; j++)
			conn_send_take(c->conn, &(struct send_piece){.bytes = bytes_of(zeroes, sizeof(zeroes))}, 1);
		fiber_yield_await(self);
	}
	EXPECT(w->table.count == 1);
	connection_table_end_stalled(&w->table, 3600LL * 1000000);
	EXPECT(w->table.count == 1);
	connection_table_end_stalled(&w->table, INT64_MIN / 4);
	EXPECT(w->table.count == 0);
	world_close_await(self, w);
}

TEST(who_does_not_read_is_ended_when_memory_is_short)
{
	run_over_both(1, stalled_fiber, NULL);
}

static void rest_fiber(struct fiber *self, void *argument)
{
	struct world *w = world_open_await(self, SIZE_MAX);

	(void)argument;
	send_request(w, API_LIST_GROUPS, 0, 1);    /* answered by its deadline */
	send_request(w, API_SASL_HANDSHAKE, 0, 2); /* answered, and nothing is sent */
	send_request(w, API_LIST_OFFSETS, 1, 3);   /* answered by a fiber */
	EXPECT(answer_await(self, w) == 1);
	EXPECT(w->expired == 1);
	EXPECT(answer_await(self, w) == 3);
	EXPECT(w->begun == 3);
	send_request(w, API_HEARTBEAT, 0, 4);
	EXPECT(answer_await(self, w) == -1);
	world_close_await(self, w);
}

TEST(deadlines_fibers_silence_and_closing)
{
	run_over_both(1, rest_fiber, NULL);
}

static void unknown_fiber(struct fiber *self, void *argument)
{
	struct world *w = world_open_await(self, SIZE_MAX);

	(void)argument;
	send_request(w, API_METADATA, 1, 1);
	begun_wait_await(self, w, 1);
	send_request(w, API_END_TXN, 0, 2);
	answer(w, 0);
	EXPECT(answer_await(self, w) == 1); /* what was answered before still arrives */
	EXPECT(answer_await(self, w) == -1);
	world_close_await(self, w);
}

TEST(an_api_that_is_not_served_ends_the_connection)
{
	run_over_both(1, unknown_fiber, NULL);
}

/* A client id, and a body that ends before its first field does. */
static void cut_fiber(struct fiber *self, void *argument)
{
	static const uint8_t frame[] = {0, 0, 0, 11, 0, API_PRODUCE, 0, 3, 0, 0, 0, 1, 0, 0, 0xff};
	struct world *w = world_open_await(self, SIZE_MAX);
	struct bytes part = bytes_of(frame, sizeof(frame));
	size_t count = 0;

	(void)argument;
	EXPECT_OK(socket_send(w->socket, &part, 1, &count));
	EXPECT(count == sizeof(frame));
	EXPECT(answer_await(self, w) == -1);
	EXPECT(w->begun == 0);
	EXPECT(w->abandoned == 0);
	world_close_await(self, w);
}

TEST(a_handler_hears_nothing_of_a_request_that_does_not_parse)
{
	run_over_both(1, cut_fiber, NULL);
}

static void refused_fiber(struct fiber *self, void *argument)
{
	struct world *w = world_open_await(self, 0);

	(void)argument;
	EXPECT(answer_await(self, w) == -1);
	EXPECT(w->begun == 0);
	world_close_await(self, w);
}

TEST(a_connection_beyond_the_limit_of_its_address_ends_unread)
{
	run_over_both(1, refused_fiber, NULL);
}

static void closed_while_checked_fiber(struct fiber *self, void *argument)
{
	struct world *w = world_open_with_await(self, 1, true);

	(void)argument;
	while (acceptor_open_count(w->acceptor) == 0)
		fiber_yield_await(self);
	while (w->table.checking == 0 && w->checked == 0)
		fiber_yield_await(self);
	EXPECT(connection_table_quiet_await(self, &w->table, FIBER_NO_DEADLINE));
	EXPECT(w->checked == 1); /* only then may its place's acceptor go */
	world_close_await(self, w);
}

TEST(a_table_is_not_quiet_while_an_address_is_checked)
{
	run_over_both(1, closed_while_checked_fiber, NULL);
}
