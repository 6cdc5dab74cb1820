/*
 * connection: a client's connection as the broker sees it: its frames become requests, its line keeps them in order.
 *
 *      net/conn --frame--> request_new, line_add, dispatch_decode, handler.begin
 *      net/conn <--pieces-- answers, as the line lets them go
 *
 * Invariants
 * 1. A frame is taken only when its request may begin at once (line.h), and not while much is unsent: what a client does
 *    not read stops what it asks.
 * 2. A request waits unbegun, with its frame alone, while the shard's budget for requests is used up, or while an earlier Fetch of this
 *    connection is not answered and read. At most one does; nothing is taken behind it.
 * 3. When a connection ends, every request in its line is abandoned; requests outlive it until their holds come back.
 * Lifetime: connection_arrived .. its end, on one shard. The table lives as long as the shard's part of the broker.
 */
#ifndef BROKER_CONNECTION_H
#define BROKER_CONNECTION_H

#include "base/said.h"
#include "broker/figures.h"
#include "broker/line.h"
#include "net/acceptor.h"
#include "net/conn.h"

/* How many requests of a connection may be under way at once. */
#define CONNECTION_MAX_REQUESTS 100

/* Why we end one: each kind has its own few lines a second in the log. */
enum close_kind {
	CLOSE_NOT_KAFKA,   /* what it sent names no API: another protocol, or noise */
	CLOSE_BAD_SIZE,    /* a frame that is too large, or negative */
	CLOSE_BAD_REQUEST, /* a request that we do not serve, or that does not parse */
	CLOSE_REFUSED,     /* a request that cannot be answered */
	CLOSE_LATE,        /* did not send, or read, in time */
	CLOSE_ENDED,       /* said elsewhere, or nothing to say */
	CLOSE_KINDS,
};

/* The connections of a shard. */
struct connection_table {
	struct broker_shard *broker;
	struct shard *shard;
	struct conn_shard conns;
	struct budget *work;                            /* arenas and answers of requests */
	size_t max_arena;                               /* of one request; and of its encoded answer */
	const struct api_handler *(*find)(int16_t key); /* the handlers; tests have their own */
	struct list connections;
	size_t count;
	size_t requests; /* alive, also those whose connection is gone */
	size_t checking; /* connections whose address is being checked, also closed ones: their place is under way */
	struct request_figures figures;
	uint64_t closed[CLOSE_KINDS];
	struct said said[CLOSE_KINDS];
	struct timer say;   /* what was kept of a storm that is over */
	bool draining;      /* nothing begins any more */
	struct event fewer; /* signalled when the last request went, or the last check came back */
};

struct connection {
	struct conn_owner owner;
	struct list_node node;
	struct connection_table *table;
	struct conn *conn;
	struct place *place;
	struct line line;
	struct request *next; /* the last of the line, while it has not begun */
	struct budget_wish wish;
	bool waits;             /* with the wish */
	bool unread;            /* the answer of a request that is one_at_a_time has not left yet */
	bool hung_up;           /* its client asks nothing more */
	size_t answering_bytes; /* charged to the budget for requests: answers that left the line and not the broker */
	bool checking;          /* place_check is under way */
	bool closed;
};

struct connection_table_options {
	struct broker_shard *broker;
	struct shard *shard;
	size_t max_frame;
	int64_t idle_us;
	struct budget *frames;
	struct budget *work;
	size_t max_arena;
	const struct api_handler *(*find)(int16_t key);
};

void connection_table_init(struct connection_table *t, const struct connection_table_options *o);
void connection_table_fini(struct connection_table *t);

/* A connection for this shard was accepted. */
void connection_arrived(struct connection_table *t, struct place *place);
/* The verdict on its address came. */
void connection_checked(struct place *place);

/* The number of the listener that it came in by. */
unsigned connection_listener(const struct connection *c);
const struct address *connection_peer(const struct connection *c);
void connection_local_address(const struct connection *c, struct address *ret_address);

/* For request.c. `why` NULL: nothing to say. */
void connection_close(struct connection *c, enum close_kind kind, const char *why);
void connection_answered(struct connection *c);
void connection_may_go_on(struct connection *c);

/* Requests that only wait for news are hurried, on connections that hold at least as much as the average one. */
void connection_table_hurry(struct connection_table *t);
/* Ends connections whose client does not take its answers. */
void connection_table_end_stalled(struct connection_table *t, int64_t patience_us);

/* Nothing begins from now on. */
void connection_table_stop(struct connection_table *t);
/* Waits until no request is alive and no check under way, or until the deadline: false. */
bool connection_table_quiet_await(struct fiber *self, struct connection_table *t, int64_t deadline_us);
void connection_table_close_all(struct connection_table *t);

#endif
