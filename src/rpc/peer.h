/*
 * peer: one connection to one broker address, made when it is needed, with the calls that are under way on it.
 *
 *      idle --peer_wake--> connecting --> negotiating (ApiVersions) --> ready
 *       ^                      |               |                          |
 *       +------ backoff <------+---------------+------ lost, timeout -----+
 *                                                                         |
 *                                    quiet <--- throttle_time_ms ---------+   (connected; ready again when it is over)
 *
 * Invariants
 * 1. Calls leave in the order in which they were sent, and answers are matched in that order by correlation id. Bytes that are no
 *    answer to the oldest call, or do not parse as one, end the connection.
 * 2. Every call gets exactly one `done`: with its answer, or with the error that ended the connection or its deadline. A call
 *    that is over time ends the connection, since what comes after it could not be told apart from a late answer.
 * 3. No request leaves before the versions are known, and none in a version that the broker does not list.
 * 4. After a failure nothing is tried again before the backoff is over; it doubles up to its maximum and starts anew once a
 *    connection became ready.
 * 5. After an answer that asks for a pause (throttle.h) nothing is sent on this connection until it is over.
 * Lifetime: peer_new .. peer_free, on one shard. A call belongs to its caller, and what it sends too, until `done`.
 * Not here: which broker to ask (client/cluster), what is worth repeating (the callers).
 */
#ifndef RPC_PEER_H
#define RPC_PEER_H

#include "net/send_queue.h"
#include "protocol/codec.h"
#include "runtime/budget.h"
#include "runtime/socket.h"

struct peer;

enum peer_state { PEER_IDLE, PEER_CONNECTING, PEER_READY, PEER_QUIET, PEER_BACKOFF };

struct peer_options {
	struct shard *shard;
	struct address address;
	const char *client_id; /* borrowed, as are the next two; may be NULL */
	const char *software_name;
	const char *software_version;
	struct budget *frames; /* what answers are charged to */
	size_t max_response_bytes;
	size_t max_calls; /* under way at once */
	int64_t connect_timeout_us;
	int64_t call_timeout_us; /* of ApiVersions */
	int64_t backoff_us;
	int64_t backoff_max_us;
	/* The state is another one. Never called inside a call to the peer. May be NULL. */
	void (*changed)(void *user, struct peer *p);
	void *user;
	unsigned *alive; /* counts the peers that exist, those that were freed and still end included; may be NULL */
};

struct peer *peer_new(const struct peer_options *o);
/* Ends the connection; calls under way get ERR_CANCELLED, inside. No fiber may wait for it. NULL ok. */
void peer_free(struct peer *p);

enum peer_state peer_state(const struct peer *p);
const struct address *peer_address(const struct peer *p);
/* Connects unless it is connected, connecting, or in its backoff (then it connects afterwards). */
void peer_wake(struct peer *p);
/* Gives the connection up, for `reason`. It may be made again after the backoff. */
void peer_drop(struct peer *p, enum err reason);
/* Why there is no connection, one clause: "connection refused". */
const char *peer_why(const struct peer *p);
/* How often a connection could not be made since the last one that became ready. */
unsigned peer_failures(const struct peer *p);

/* The newest version up to `newest` that both sides have; ERR_UNSUPPORTED when there is none, ERR_WRONG_STATE when not ready. */
enum err peer_version(const struct peer *p, int16_t api_key, int16_t newest, int16_t *ret_version) MUST_CHECK;

/* The level of a feature that the broker's cluster finalized; 0 when it has none, or there is no connection. */
int16_t peer_feature(const struct peer *p, const char *name);

struct peer_call {
	/* Filled by the caller. */
	int16_t api_key;
	int16_t version; /* from peer_version */
	bool no_answer;  /* acks=0: done when it was sent */
	int64_t deadline_us;
	const void *request;
	void *response; /* filled before `done` when error is OK; its strings lie in `frame`, its arrays in `arena` */
	struct arena *arena; /* for the answer */
	void (*done)(struct peer_call *c);
	void (*sent)(void *user); /* of who waits for the answer (struct peer_ask); NULL: not told */
	void *user;
	/* The outcome, valid in `done`. */
	enum err error;
	struct blob *frame; /* the reference is the caller's from `done` on; NULL on errors */
	/* The peer's own. */
	struct flight *flight;
};

/*
 * Sends; only in state PEER_READY (else ERR_WRONG_STATE; quiet: ERR_AGAIN), at most max_calls at once (ERR_AGAIN). The request is encoded inside; only its `records` are borrowed until `done`,
 * which is never called inside. On an error `done` is not called.
 */
enum err peer_send(struct peer *p, struct peer_call *c) MUST_CHECK;
/* The caller does not want the answer any more: `done` is not called. What it lent has to stay: ends the connection if it was lent any. */
void peer_call_cancel(struct peer *p, struct peer_call *c);
size_t peer_calls(const struct peer *p);

/* ERR_TIMED_OUT, ERR_CANCELLED, or why it could not be made (the first failure after the call began). */
enum err peer_ready_await(struct fiber *self, struct peer *p, int64_t deadline_us) MUST_CHECK;

/*
 * Connects if needed, sends in the newest common version up to `newest`, waits for the answer. After OK the caller gives the
 * frame back with blob_unref. `ret_version` may be NULL.
 */
struct peer_ask {
	int16_t api_key;
	int16_t newest;
	int64_t deadline_us;
	const void *request;
	void *response;
	struct arena *arena;
	/* It is on its way: what is sent from now on to this peer comes after it. NULL: nobody wants to know. */
	void (*sent)(void *user);
	void *user;
};

enum err peer_ask_await(struct fiber *self, struct peer *p, const struct peer_ask *ask, int16_t *ret_version,
			struct blob **ret_frame) MUST_CHECK;

#endif
