/*
 * conn: one accepted connection on its shard: frames come out of it in order, answers go into it in order.
 *
 *      socket --readable--> intake --frame--> owner            one frame at a time, only while the owner may take one
 *      socket <--sendmsg--- send queue <----- conn_send_take   gathered: what one turn answers leaves in one system call
 *
 * Invariants
 * 1. owner.frame is called only while owner.may_take says so; otherwise bytes wait in the kernel, except for what one receive brought too much.
 * 2. An idle connection holds no buffer.
 * 3. owner.closed is called at most once, never inside a call to the connection; the owner then calls conn_close. Nothing comes after that.
 * 4. A frame completes within its bound and an idle connection ends: idle_us without a request, or within a frame, idle_us and
 *    a second for each 16 KiB of it.
 * 5. Who holds memory that others wait for has to send: a large frame then has patience_us and a second for each 256 KiB that came.
 * Lifetime: conn_open .. conn_close; belongs to the shard that opened it.
 * Not here: what a frame means, the order of requests (broker/connection), who may connect (net/acceptor).
 */
#ifndef NET_CONN_H
#define NET_CONN_H

#include "net/intake.h"
#include "net/send_queue.h"
#include "runtime/socket.h"

struct conn;

struct conn_owner {
	/* The reference is the owner's. */
	void (*frame)(struct conn_owner *o, struct blob *frame);
	/* True while another frame may come now. After it said false the owner calls conn_resume once it may be true again. */
	bool (*may_take)(struct conn_owner *o);
	/* True while answers are owed: the connection is not idle then. */
	bool (*busy)(struct conn_owner *o);
	/* Everything that was queued has left. May be NULL. */
	void (*drained)(struct conn_owner *o);
	/*
	 * The peer has ended its side; what it sent before may still be unread, and then comes when the owner takes it. Told once, and
	 * not when the end has been read by then (`closed` tells that). May be NULL.
	 */
	void (*hung_up)(struct conn_owner *o);
	/* ERR_CLOSED: the peer ended it. Others with words for the log in `why`. */
	void (*closed)(struct conn_owner *o, enum err reason, const char *why);
};

/* Of one shard, shared by its connections. */
struct conn_shard {
	struct shard *shard;
	struct budget *frames;
	struct budget
		small_frames; /* a quarter of `frames` beside it: requests that are small need not wait for large ones */
	size_t small_bytes;
	int64_t patience_us; /* of invariant 5 */
	uint8_t *scratch;
	size_t max_frame;
	int64_t idle_us;
	size_t open_count;
	uint64_t received_bytes; /* of all connections that ever were */
	uint64_t sent_bytes;
};

#define CONN_SCRATCH_SIZE ((size_t)32 * 1024)
/* With more than this unsent the owner should begin no further request. */
#define CONN_SEND_HIGH ((size_t)256 * 1024)

void conn_shard_init(struct conn_shard *cs, struct shard *s, struct budget *frames, size_t max_frame, int64_t idle_us);
void conn_shard_fini(struct conn_shard *cs);

/* Adopts an accepted connection; it reads nothing before conn_resume. */
enum err conn_open(struct conn_shard *cs, struct connection_handle handle, struct conn_owner *o, struct conn **ret_conn)
	MUST_CHECK;
/* At once; what the kernel does not take now is dropped. Safe inside owner callbacks. */
void conn_close(struct conn *c);
void conn_resume(struct conn *c);
/* Takes over the pieces; they leave later in this turn. */
void conn_send_take(struct conn *c, const struct send_piece *pieces, size_t count);
size_t conn_unsent(const struct conn *c);
/* Something is unsent, and the peer took nothing for patience_us, or less in all than a second for each 64 KiB and patience_us more. */
bool conn_stalls(const struct conn *c, int64_t patience_us);
const struct address *conn_peer(const struct conn *c);
void conn_local(const struct conn *c, struct address *ret_address);

#endif
