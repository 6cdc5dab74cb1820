/*
 * intake: cuts frames (int32 size, then so many bytes) out of what a connection receives. Calls the budget and blobs, no socket.
 *
 *      received:   |size| body |size| body |si        the scratch of the shard, or a frame's own memory
 *                   ------------ ------------ --
 *                   a frame     the next      `head` keeps 1 to 3 bytes of a size until the rest comes
 *
 * Small frames are received together into the shard's scratch and copied out; the rest of a large one is received straight into its own
 * blob (intake_room). The body gets its memory only once the budget granted the declared size.
 *
 * Invariants
 * 1. Between two frames an intake holds no memory, unless its connection was stopped with bytes in hand (intake_keep: at most a scratch).
 * 2. A frame is charged to the budget from its admission until its blob dies.
 * 3. While it waits for the budget it holds no charge at all: those who wait can never be what they wait for.
 * Lifetime: embedded in a connection, intake_init .. intake_fini on its shard.
 * Not here: what a frame says (broker/dispatch), when to stop reading (net/conn).
 */
#ifndef NET_INTAKE_H
#define NET_INTAKE_H

#include "base/bytes.h"
#include "runtime/blob.h"
#include "runtime/budget.h"
#include "runtime/shard.h"

struct intake {
	struct shard *shard;
	struct budget *budget;
	struct budget *small; /* of frames up to small_bytes, so that no large ones can hold them up; else the same */
	size_t small_bytes;
	size_t max_frame;                  /* bytes of a body */
	void (*granted)(struct intake *i); /* the budget's turn came: go on with intake_step */
	struct budget_wish wish;
	struct blob *frame; /* admitted and not complete */
	struct blob *stash; /* received and not cut yet */
	size_t stash_at;
	int32_t declared; /* the size of the frame under way once its head is complete */
	uint8_t head[4];
	uint8_t head_count;
	bool waiting;  /* for the budget */
	bool admitted; /* the budget granted `declared`, the blob is not made yet */
};

enum intake_state {
	INTAKE_MORE,      /* the source is used up and the frame is not complete */
	INTAKE_FRAME,     /* *ret_frame is a whole frame, its reference the caller's */
	INTAKE_WAITS,     /* for the budget; `granted` comes later, what is left of the source is kept by the caller */
	INTAKE_TOO_LARGE, /* a size that is negative or above max_frame: intake_declared tells; the connection has to go */
	INTAKE_NO_MEMORY, /* the budget granted what the system then refused */
};

void intake_init(struct intake *i, struct shard *s, struct budget *budget, size_t max_frame,
		 void (*granted)(struct intake *i));
void intake_fini(struct intake *i);
/* Right after intake_init: frames up to `small_bytes` have a budget of their own. */
void intake_set_small(struct intake *i, struct budget *small, size_t small_bytes);

/* Consumes from the front of `source` up to the end of one frame. */
enum intake_state intake_step(struct intake *i, struct bytes *source, struct blob **ret_frame);

/* Where the rest of a large frame belongs, to be received into directly; NULL when the frame under way is not that far or too small for it. */
uint8_t *intake_room(struct intake *i, size_t *ret_size);
/* So many bytes were put there. The frame when that completes it, else NULL. */
struct blob *intake_filled(struct intake *i, size_t count);

/* Bytes that were received and cannot be cut now. They come back first, through intake_kept. False: no memory. */
bool intake_keep(struct intake *i, struct bytes rest) MUST_CHECK;
/* What was kept; empty when nothing is. After use: intake_kept_used with the number of bytes that were consumed. */
struct bytes intake_kept(const struct intake *i);
void intake_kept_used(struct intake *i, size_t count);

/* A frame has begun and is not complete. */
static inline bool intake_within_frame(const struct intake *i)
{
	return i->head_count > 0;
}

/* Its size is known: intake_declared is that of the frame under way. */
static inline bool intake_within_body(const struct intake *i)
{
	return i->head_count == sizeof(i->head);
}

/* Of the body of the frame under way. */
static inline size_t intake_received(const struct intake *i)
{
	return i->frame ? i->frame->size : 0;
}

static inline int32_t intake_declared(const struct intake *i)
{
	return i->declared;
}

#endif
