/*
 * request: one request of a connection, from its frame to its answer: an object that owns its arena, since ten thousand may wait.
 *
 *      frame -> header -> handler.begin ----> request_ordered ------> request_reply -----> answer leaves in the connection's order
 *                           |                  (the next request of      (once)
 *                           | parts, I/O,       the connection begins)
 *                           v timers hold it
 *                         request_hold ... request_release
 *
 * Order: Kafka works on one request of a connection at a time and clients rely on it. The next one begins when this one
 * has been answered, or, for handlers that overlap (Produce, Fetch), when it called request_ordered: a Produce once it is
 * appended on every shard that it touches. What waits before that (auto-creation, memory, loading) stops the connection; a
 * Produce's deadline counts from there, as in Kafka, so that no answer lets the next one overtake it.
 * Invariants
 * 1. request_reply or request_close is called exactly once, by the deadline at the latest; a connection that went away counts as
 *    answered: `abandoned` is true, reply is then a no-op, and the handler just lets its parts come back.
 * 2. The request, its arena and its frame live until it is answered and every hold was released.
 * 3. Everything here is called on the request's shard; what goes to another shard is a message that comes back.
 */
#ifndef BROKER_REQUEST_H
#define BROKER_REQUEST_H

#include "base/arena.h"
#include "base/err.h"
#include "broker/broker.h"
#include "net/send_queue.h"
#include "protocol/codec.h"
#include "runtime/blob.h"
#include "runtime/fiber.h"

struct connection; /* broker/connection.h */
struct connection_table;
struct request;

struct api_handler {
	int16_t key;
	int16_t min_version; /* as advertised and accepted */
	int16_t max_version;
	bool overlaps; /* calls request_ordered itself; others hold the connection until they are answered */
	/* The next of its kind on the connection begins only when the answer of this one has left: what a client does not read is one answer. */
	bool one_at_a_time;
	/* Decoded; `rq->body` is the request's struct. Checks and submits. Never suspends. */
	void (*begin)(struct request *rq);
	/* The deadline of request_arm came: answers with what is there, or has it fetched by parts that hold the request. NULL: arms none. */
	void (*expired)(struct request *rq);
	/*
	 * It waits for what may come (records), and need not: its client has ended its side, or others wait for the memory that it holds.
	 * Answers soon with what is there, never inside the call. May be NULL, and may be called more than once.
	 */
	void (*hurry)(struct request *rq);
	/* The connection is gone: leave waits now, so that the parts come back soon. May be NULL. */
	void (*abandon)(struct request *rq);
};

struct request {
	struct list_node node; /* in its connection's line */
	struct connection *connection;
	struct broker_shard *broker;
	struct shard *shard;
	const struct api_handler *handler;
	const struct api *api;
	struct request_header header;
	struct arena arena;
	struct blob *frame; /* the body's slices point into it */
	void *body;
	void *state; /* the handler's own, from the arena */
	int64_t received_us;
	struct timer deadline;
	unsigned holds;
	size_t charged_bytes; /* to the shard's budget for requests: arena and answer */
	bool ordered;
	bool answered;
	bool abandoned;
	/* The connection's own: the encoded answer until its turn comes. */
	struct connection_table *table;
	struct send_piece *answer;
	size_t answer_count;
	size_t answer_bytes; /* of the memory that was encoded into */
};

/* From the request's arena, zeroed; NULL when the request grew past its maximum: answer with an error, or request_close. */
void *request_alloc(struct request *rq, size_t count, size_t size) MUST_CHECK;
/* Keeps it alive beyond its answer: one hold a part that is under way. */
void request_hold(struct request *rq);
void request_release(struct request *rq);
/* The ordered stage is passed. */
void request_ordered(struct request *rq);
/* handler.expired runs at deadline_us, unless answered before. */
void request_arm(struct request *rq, int64_t deadline_us);

/* Encodes the response struct of this API (`rq->api->response`) and queues it. The struct is needed no more afterwards. */
void request_reply(struct request *rq, const void *response);
/* The same with `records` fields (as many as blobs at most) sent from where they are: takes over the references to `blobs` (any shard's), released when they are sent. */
void request_reply_blobs(struct request *rq, const void *response, struct blob **blobs, size_t blob_count);
/* For Produce with acks 0: answered, but nothing is sent. */
void request_no_reply(struct request *rq);
/* Closes the connection, with one line in the log that says why. */
void request_close(struct request *rq, const char *why);

/*
 * Runs the rest of a request as a fiber that holds it (admin requests that wait for the metastore). Answers
 * by itself when no fiber can be had (closes the connection).
 */
void request_run_fiber(struct request *rq, const char *name, void (*main)(struct fiber *self, struct request *rq));

#endif
