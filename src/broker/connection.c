/* connection: see the header. */
#include "broker/connection.h"

#include "base/alloc.h"
#include "broker/dispatch.h"
#include "broker/request_own.h"

/* Lines of one kind. */
#define SAID_A_SECOND 10

static const char *const close_kinds[CLOSE_KINDS] = {
	[CLOSE_NOT_KAFKA] = "what they sent, which names no API",
	[CLOSE_BAD_SIZE] = "the size of their requests",
	[CLOSE_BAD_REQUEST] = "requests that are not served or do not parse",
	[CLOSE_REFUSED] = "requests that cannot be answered",
	[CLOSE_LATE] = "what they did not send or read in time",
	[CLOSE_ENDED] = "their end",
};

static void say_rest(struct timer *timer)
{
	struct connection_table *t = container_of(timer, struct connection_table, say);

	for (size_t i = 0; i < CLOSE_KINDS; i++) {
		uint64_t kept = said_rest(&t->said[i], shard_now_us(t->shard));

		if (kept)
			log_warn(shard_log(t->shard), "%llu more connections were closed because of %s",
				 (unsigned long long)kept, close_kinds[i]);
	}
}

void connection_table_init(struct connection_table *t, const struct connection_table_options *o)
{
	*t = (struct connection_table){
		.broker = o->broker, .shard = o->shard, .find = o->find, .work = o->work, .max_arena = o->max_arena};
	t->say.fire = say_rest;
	conn_shard_init(&t->conns, o->shard, o->frames, o->max_frame, o->idle_us);
	list_init(&t->connections);
	event_init(&t->fewer);
}

void connection_table_fini(struct connection_table *t)
{
	must(t->count == 0 && t->requests == 0 && t->checking == 0);
	timer_disarm(t->shard, &t->say);
	request_figures_fini(&t->figures);
	conn_shard_fini(&t->conns);
}

/* What does not answer by itself is asked to; what waits for others, as a Produce does, is not. */
static void connection_hurry(struct connection *c)
{
	list_for_each(&c->line.requests, n)
	{
		struct request *rq = container_of(n, struct request, node);

		if (!rq->answered && rq->handler && rq->handler->hurry)
			rq->handler->hurry(rq);
	}
}

/* The connection may be gone afterwards. */
static void begin(struct connection *c, struct request *rq)
{
	char why[DISPATCH_WHY_SIZE];

	request_hold(rq);
	if (dispatch_decode(rq, c->table->find, why)) {
		request_account(rq);
		figures_begun(&c->table->figures, rq->header.api_key);
		rq->handler->begin(rq);
		/* Whoever neither answers nor waits for anything would stop this connection for ever. */
		must(rq->answered || rq->holds > 1 || timer_armed(&rq->deadline));
		if (rq->connection && rq->connection->hung_up)
			connection_hurry(rq->connection);
	} else {
		connection_close(c, rq->api ? CLOSE_BAD_REQUEST : CLOSE_NOT_KAFKA, why);
	}
	request_release(rq);
}

static bool is_one_at_a_time(const struct connection *c, const struct request *rq)
{
	struct bytes frame = blob_bytes(rq->frame);
	const struct api_handler *h = frame.size < 2 ? NULL : c->table->find((int16_t)get_be16(frame.data));

	return h && h->one_at_a_time;
}

/* The one that is next waits for what the client has not read yet. */
static bool waits_for_reader(const struct connection *c)
{
	if (!is_one_at_a_time(c, c->next))
		return false;
	list_for_each(&c->line.requests, n)
	{
		const struct request *rq = container_of(n, struct request, node);

		if (rq != c->next && is_one_at_a_time(c, rq))
			return true;
	}
	return c->unread;
}

static void begin_next(struct connection *c)
{
	struct request *rq = c->next;

	if (!rq || c->waits || waits_for_reader(c))
		return;
	if (rq->charged_bytes == 0 && !budget_try_take(c->table->work, REQUEST_FIRST_BYTES)) {
		c->waits = true;
		c->wish.size = REQUEST_FIRST_BYTES;
		budget_wait(c->table->work, &c->wish);
		return;
	}
	rq->charged_bytes = REQUEST_FIRST_BYTES;
	c->next = NULL;
	begin(c, rq);
}

static void on_granted(struct budget_wish *w)
{
	struct connection *c = container_of(w, struct connection, wish);

	c->waits = false;
	c->next->charged_bytes = REQUEST_FIRST_BYTES;
	begin_next(c);
}

static void on_frame(struct conn_owner *o, struct blob *frame)
{
	struct connection *c = container_of(o, struct connection, owner);

	must(!c->next);
	c->next = request_new(c, frame);
	line_add(&c->line, c->next);
	begin_next(c);
}

static void forget_answers(struct connection *c)
{
	budget_give(c->table->work, c->answering_bytes);
	c->answering_bytes = 0;
}

static void on_drained(struct conn_owner *o)
{
	struct connection *c = container_of(o, struct connection, owner);

	if (c->closed)
		return;
	forget_answers(c);
	c->unread = false;
	begin_next(c);
}

/* Its long polls would keep memory for an answer that nobody wants, or that a client which asked and then only listens takes early. */
static void on_hung_up(struct conn_owner *o)
{
	struct connection *c = container_of(o, struct connection, owner);

	c->hung_up = true;
	connection_hurry(c);
}

static bool may_take(struct conn_owner *o)
{
	struct connection *c = container_of(o, struct connection, owner);

	return !c->table->draining && !c->next && line_may_begin(&c->line) && conn_unsent(c->conn) <= CONN_SEND_HIGH;
}

static bool busy(struct conn_owner *o)
{
	return container_of(o, struct connection, owner)->line.count > 0;
}

static void on_closed(struct conn_owner *o, enum err reason, const char *why)
{
	connection_close(container_of(o, struct connection, owner),
			 reason == ERR_TIMED_OUT ? CLOSE_LATE : CLOSE_BAD_SIZE, reason == ERR_CLOSED ? NULL : why);
}

static void on_leave(struct line *l, struct request *rq)
{
	struct connection *c = container_of(l, struct connection, line);

	figures_answered(&c->table->figures, rq->header.api_key, shard_now_us(rq->shard) - rq->received_us);
	conn_send_take(c->conn, rq->answer, rq->answer_count);
	c->unread = c->unread || (rq->handler->one_at_a_time && rq->answer_count > 0);
	c->answering_bytes += rq->answer_bytes;
	rq->charged_bytes -= rq->answer_bytes;
	rq->answer_bytes = 0;
	rq->answer_count = 0;
	request_left(rq);
}

static void connection_free(struct connection *c)
{
	place_return(c->place);
	mem_free(c);
}

void connection_arrived(struct connection_table *t, struct place *place)
{
	struct connection *c;
	enum err e;

	if (t->draining) {
		connection_handle_drop(t->shard, place->handle);
		place_return(place);
		return;
	}
	c = mem_new(struct connection);
	c->owner = (struct conn_owner){.frame = on_frame,
				       .may_take = may_take,
				       .busy = busy,
				       .drained = on_drained,
				       .hung_up = on_hung_up,
				       .closed = on_closed};
	c->wish.granted = on_granted;
	c->table = t;
	c->place = place;
	line_init(&c->line, CONNECTION_MAX_REQUESTS, on_leave);
	e = conn_open(&t->conns, place->handle, &c->owner, &c->conn);
	if (e) {
		log_warn(shard_log(t->shard), "a connection could not be taken over: %s", err_text(e));
		connection_free(c);
		return;
	}
	place->user = c;
	list_push_back(&t->connections, &c->node);
	t->count++;
	if (place->to_check) {
		c->checking = true;
		t->checking++;
		place_check(place, conn_peer(c->conn));
	} else {
		conn_resume(c->conn);
	}
}

void connection_checked(struct place *place)
{
	struct connection *c = place->user;

	c->checking = false;
	if (--c->table->checking == 0)
		event_signal(&c->table->fewer);
	if (c->closed)
		connection_free(c);
	else if (place->refused)
		connection_close(c, CLOSE_ENDED, NULL); /* the acceptor said why */
	else
		conn_resume(c->conn);
}

unsigned connection_listener(const struct connection *c)
{
	return c->place->listener;
}

const struct address *connection_peer(const struct connection *c)
{
	return conn_peer(c->conn);
}

void connection_local_address(const struct connection *c, struct address *ret_address)
{
	conn_local(c->conn, ret_address);
}

/* Whoever means harm could write our log full. */
static void say_closing(struct connection *c, enum close_kind kind, const char *why)
{
	struct connection_table *t = c->table;
	uint64_t kept = 0;

	if (!said_may(&t->said[kind], shard_now_us(t->shard), SAID_A_SECOND, &kept)) {
		if (!timer_armed(&t->say))
			timer_arm(t->shard, &t->say, shard_now_us(t->shard) + SAID_SECOND_US);
		return;
	}
	if (kept)
		log_warn(shard_log(t->shard), "%llu more connections were closed because of %s",
			 (unsigned long long)kept, close_kinds[kind]);
	log_warn(shard_log(t->shard), "closing the connection from %s:%u: %s", conn_peer(c->conn)->host,
		 conn_peer(c->conn)->port, why);
}

void connection_close(struct connection *c, enum close_kind kind, const char *why)
{
	struct connection_table *t = c->table;
	struct request *rq;

	if (c->closed)
		return;
	c->closed = true;
	t->closed[why ? kind : CLOSE_ENDED]++;
	if (why)
		say_closing(c, kind, why);
	conn_close(c->conn);
	if (c->waits)
		budget_cancel(t->work, &c->wish);
	forget_answers(c);
	c->next = NULL;
	while ((rq = line_take_first(&c->line)))
		request_abandon(rq);
	list_remove(&c->node);
	t->count--;
	if (!c->checking)
		connection_free(c);
}

void connection_answered(struct connection *c)
{
	line_answered(&c->line);
	connection_may_go_on(c);
}

void connection_may_go_on(struct connection *c)
{
	if (may_take(&c->owner))
		conn_resume(c->conn);
}

void connection_table_stop(struct connection_table *t)
{
	t->draining = true;
}

bool connection_table_quiet_await(struct fiber *self, struct connection_table *t, int64_t deadline_us)
{
	while (t->requests > 0 || t->checking > 0)
		if (event_wait_await(self, &t->fewer, deadline_us))
			return false;
	return true;
}

void connection_table_close_all(struct connection_table *t)
{
	while (!list_empty(&t->connections))
		connection_close(container_of(list_first(&t->connections), struct connection, node), CLOSE_ENDED, NULL);
}

/* What a connection's requests hold of the budgets. */
static size_t held_bytes(const struct connection *c)
{
	size_t bytes = c->answering_bytes;

	list_for_each(&c->line.requests, n)
	{
		const struct request *rq = container_of(n, struct request, node);

		bytes += rq->charged_bytes + rq->frame->charged;
	}
	return bytes;
}

void connection_table_hurry(struct connection_table *t)
{
	size_t all_bytes = 0;

	list_for_each(&t->connections, n) all_bytes += held_bytes(container_of(n, struct connection, node));
	list_for_each(&t->connections, n)
	{
		struct connection *c = container_of(n, struct connection, node);

		if (held_bytes(c) >= all_bytes / t->count)
			connection_hurry(c);
	}
}

void connection_table_end_stalled(struct connection_table *t, int64_t patience_us)
{
	struct list_node *next;

	for (struct list_node *n = list_first(&t->connections); n; n = next) {
		struct connection *c = container_of(n, struct connection, node);

		next = n->next == &t->connections.head ? NULL : n->next;
		if (conn_stalls(c->conn, patience_us))
			connection_close(
				c, CLOSE_LATE,
				"it does not read its answers while others wait for the memory that they take");
	}
}
