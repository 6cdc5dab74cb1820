/*
 * peer_own: what the sources of a peer share. peer.c has its state and its calls, transfer.c the bytes in and out, connect.c the way to
 * a connection whose versions are known, ask.c what fibers call.
 */
#ifndef RPC_PEER_OWN_H
#define RPC_PEER_OWN_H

#include "net/intake.h"
#include "net/send_queue.h"
#include "protocol/messages.h"
#include "rpc/peer.h"

#define PEER_WHY_SIZE 200
/* Kafka's brokers list about 60 APIs; newer ones more. */
#define MAX_API_KEY 256
#define SCRATCH_SIZE ((size_t)64 * 1024)

struct version_range {
	int16_t min;
	int16_t max;
	bool listed;
};

/* A call on the wire. It outlives the caller's interest (peer_call_cancel). */
struct flight {
	struct list_node node;
	struct peer_call *call; /* NULL: nobody waits */
	struct request_header header;
	int64_t deadline_us;
	uint64_t end_mark; /* of the bytes queued: sent when so many have left */
	bool no_answer;
	bool lent; /* records of the caller's may still be in the send queue */
};

/* Of the finalized features; a cluster of 4.3 has six. */
#define PEER_FEATURES_MAX 32
#define PEER_FEATURE_NAME_SIZE 64

struct peer_feature {
	char name[PEER_FEATURE_NAME_SIZE];
	int16_t level;
};

struct peer {
	struct socket_owner events;
	struct peer_options options;
	enum peer_state state;
	struct socket *socket;
	struct intake intake;
	struct send_queue sending;
	struct list flights; /* oldest first */
	size_t flight_count;
	uint64_t queued_bytes;
	uint64_t sent_bytes;
	struct task work;
	struct task tell;
	struct timer deadlines;
	struct timer backoff;
	struct timer quiet;
	int64_t quiet_until_us; /* 0: not quiet */
	struct event ready_or_failed;
	struct fiber *connecting;
	uint8_t *scratch;
	struct version_range versions[MAX_API_KEY];
	struct peer_feature features[PEER_FEATURES_MAX];
	size_t feature_count;
	int64_t backoff_us;
	int32_t next_correlation_id;
	unsigned interest;
	unsigned failures;
	unsigned failure_count; /* of all times, for those who wait */
	bool negotiated;
	bool readable;
	bool blocked;
	bool wanted; /* connect once the backoff is over */
	bool working;
	bool closed;
	enum err why_error;
	char why[PEER_WHY_SIZE];
};

/* --- peer.c --- */

void peer_set_state(struct peer *p, enum peer_state state);
/* transfer.c's work, in a turn of its own. */
void peer_schedule(struct peer *p);
void peer_want_events(struct peer *p, unsigned events);
/* From connecting or ready. The fiber that connects sees by the state that its work is void. */
void peer_fail(struct peer *p, enum err reason, const char *why);
/* Takes the frame. `done` may send again, or free the peer. */
void peer_flight_end_take(struct peer *p, struct flight *f, enum err error, struct blob *frame);
void peer_arm_deadline(struct peer *p);
/* peer_send without looking whether the peer is ready. */
enum err peer_send_call(struct peer *p, struct peer_call *c);

/* --- transfer.c --- */

void peer_on_ready(struct socket_owner *o, unsigned events);
void peer_on_granted(struct intake *i);
void peer_on_quiet_over(struct timer *t);
/* What the socket has, and what it takes. */
void peer_transfer(struct peer *p);

/* --- connect.c --- */

void peer_on_backoff(struct timer *t);

/* --- ask.c --- */

/* Sends a copy of *c by `send` and waits for its outcome; *ret_frame is set with OK only. */
enum err peer_exchange_await(struct fiber *self, struct peer *p, const struct peer_call *c,
			     enum err (*send)(struct peer *p, struct peer_call *c), struct blob **ret_frame);

#endif
