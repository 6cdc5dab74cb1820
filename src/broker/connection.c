/* connection: see the header. */
#include "broker/connection.h"

#include "base/alloc.h"
#include "broker/dispatch.h"
#include "broker/request_own.h"

void connection_table_init(struct connection_table *t, struct broker_shard *b, struct shard *s, size_t max_frame,
			   int64_t idle_us, struct budget *frames, const struct api_handler *(*find)(int16_t key))
{
	*t = (struct connection_table){.broker = b, .shard = s, .find = find};
	conn_shard_init(&t->conns, s, frames, max_frame, idle_us);
	list_init(&t->connections);
	event_init(&t->fewer);
}

void connection_table_fini(struct connection_table *t)
{
	must(t->count == 0 && t->requests == 0 && t->checking == 0);
	conn_shard_fini(&t->conns);
}

static void on_frame(struct conn_owner *o, struct blob *frame)
{
	struct connection *c = container_of(o, struct connection, owner);
	struct request *rq = request_new(c, frame);
	char why[DISPATCH_WHY_SIZE];

	line_add(&c->line, rq);
	request_hold(rq);
	if (dispatch_decode(rq, c->table->find, why)) {
		rq->handler->begin(rq);
		/* Whoever neither answers nor waits for anything would stop this connection for ever. */
		must(rq->answered || rq->holds > 1 || timer_armed(&rq->deadline));
	} else {
		connection_close(c, why);
	}
	request_release(rq);
}

static bool may_take(struct conn_owner *o)
{
	struct connection *c = container_of(o, struct connection, owner);

	return !c->table->draining && line_may_begin(&c->line) && conn_unsent(c->conn) <= CONN_SEND_HIGH;
}

static bool busy(struct conn_owner *o)
{
	return container_of(o, struct connection, owner)->line.count > 0;
}

static void on_closed(struct conn_owner *o, enum err reason, const char *why)
{
	connection_close(container_of(o, struct connection, owner), reason == ERR_CLOSED ? NULL : why);
}

static void on_leave(struct line *l, struct request *rq)
{
	struct connection *c = container_of(l, struct connection, line);

	conn_send_take(c->conn, rq->answer, rq->answer_count);
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
	c->owner = (struct conn_owner){.frame = on_frame, .may_take = may_take, .busy = busy, .closed = on_closed};
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
	if (acceptor_checks_addresses(place->acceptor)) {
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
		connection_close(c, NULL); /* the acceptor said why */
	else
		conn_resume(c->conn);
}

unsigned connection_listener(const struct connection *c)
{
	return c->place->listener;
}

void connection_local_address(const struct connection *c, struct address *ret_address)
{
	conn_local(c->conn, ret_address);
}

void connection_close(struct connection *c, const char *why)
{
	struct connection_table *t = c->table;
	struct request *rq;

	if (c->closed)
		return;
	c->closed = true;
	if (why)
		log_warn(shard_log(t->shard), "closing the connection from %s:%u: %s", conn_peer(c->conn)->host,
			 conn_peer(c->conn)->port, why);
	conn_close(c->conn);
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
		connection_close(container_of(list_first(&t->connections), struct connection, node), NULL);
}
