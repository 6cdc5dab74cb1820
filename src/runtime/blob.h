/*
 * blob: a refcounted run of bytes that belongs to a shard: a received frame, a read buffer. Other shards may read the bytes
 * while they hold a reference; the count itself is touched only on the owning shard (a reference held elsewhere goes home by a
 * message: blob_unref_from does that). The bytes of some lie in a file.
 */
#ifndef RUNTIME_BLOB_H
#define RUNTIME_BLOB_H

#include "base/bytes.h"
#include "runtime/budget.h"
#include "runtime/file.h"
#include "runtime/shard.h"

struct blob {
	uint8_t *data; /* of a file's bytes: only their name, nobody may look there */
	size_t size;   /* used */
	size_t capacity;
	uint32_t references;
	struct shard *shard;
	struct budget *budget; /* gets `charged` bytes back at the end; may be NULL */
	size_t charged;
	/* Bytes that lie in a file, not in memory; NULL otherwise. */
	struct file *file;
	int64_t position;
	void (*over)(struct blob *b); /* instead of freeing it */
};

/* With one reference. NULL when there is no memory; the budget's bytes (`charged`) were taken by the caller and are then still his. */
struct blob *blob_new(struct shard *s, size_t capacity, struct budget *budget, size_t charged) MUST_CHECK;
/*
 * Bytes of a file, for who only sends them on: a blob embedded in what keeps the file open, with one reference. `over` is called on
 * the owning shard with the last one.
 */
void blob_init_file(struct blob *b, struct shard *s, const struct file_range *range, void (*over)(struct blob *b));
struct blob *blob_ref(struct blob *b);
/* On the owning shard. NULL ok. */
void blob_unref(struct blob *b);
/* On any shard of the runtime. */
void blob_unref_from(struct shard *from, struct blob *b);

static inline struct bytes blob_bytes(const struct blob *b)
{
	return bytes_of(b->data, b->size);
}

#endif
