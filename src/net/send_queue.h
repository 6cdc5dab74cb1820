/*
 * send_queue: what a connection still has to send: pieces of memory and of files that it owns or holds references on, in order. Pure
 * but for the blobs' references.
 *
 *      | sent | half sent | waiting | waiting |          parts: what socket_send gets next
 *               ^ `skip` bytes of the first piece are gone
 *
 * Invariants: a piece's memory and reference live until its last byte was sent or the queue is emptied; an empty queue holds no memory.
 */
#ifndef NET_SEND_QUEUE_H
#define NET_SEND_QUEUE_H

#include "base/bytes.h"
#include "runtime/blob.h"

/* A run of bytes and what has to be released once it is sent; both may be NULL (the bytes then outlive the queue by themselves). */
struct send_piece {
	struct bytes bytes; /* may be empty: then it is there for what it releases */
	struct file *file;  /* not NULL: the bytes lie there, from `position` on, and bytes.data is nothing */
	int64_t position;
	struct blob *blob; /* any shard's */
	void *memory;      /* mem_free */
};

struct send_queue {
	struct shard *shard;
	struct send_piece *pieces; /* [first, first + count) */
	size_t first;
	size_t count;
	size_t capacity;
	size_t skip;
	size_t size_bytes; /* not sent yet */
};

void send_queue_init(struct send_queue *q, struct shard *s);
void send_queue_fini(struct send_queue *q);
/* Takes over what the pieces hold. */
void send_queue_push_take(struct send_queue *q, const struct send_piece *pieces, size_t count);
/* The next bytes to send, at most `max` parts; nothing queued may lie in a file. */
size_t send_queue_parts(const struct send_queue *q, struct bytes *parts, size_t max);
/* Those that lie in memory, and what lies in a file right behind them (file NULL: nothing does). */
size_t send_queue_next(const struct send_queue *q, struct bytes *parts, size_t max, struct file_range *ret_range);
/* So many bytes went out; releases what is done. */
void send_queue_sent(struct send_queue *q, size_t count);

#endif
