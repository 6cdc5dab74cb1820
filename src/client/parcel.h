/*
 * parcel: records on their way from the caller's thread to the shard, one behind the other in a buf.
 *
 *      | size | topic | partition | time | opaque | sizes of key, value, headers | headers' bytes | key | value | padding |
 *
 * Pure. Our own bytes within one process: never foreign, so they are asserted, not checked.
 */
#ifndef CLIENT_PARCEL_H
#define CLIENT_PARCEL_H

#include "base/buf.h"
#include "client/accumulator.h"

struct parcel_record {
	struct produce_record record; /* its bytes lie in the parcel, its headers in the reader's array */
	uint32_t topic;
	int32_t partition;
};

struct parcel_reader {
	struct bytes rest;
	struct record_header *headers;
	size_t header_capacity;
};

/* Bytes that it takes in a parcel: also what it is charged for. */
size_t parcel_size(const struct produce_record *r);
/* `out` has no maximum of its own that could be met. */
void parcel_put(struct buf *out, const struct parcel_record *r);

void parcel_reader_init(struct parcel_reader *p, struct bytes parcel);
void parcel_reader_fini(struct parcel_reader *p);
/* False at the end. What it gives lives until the next call, the bytes as long as the parcel. */
bool parcel_next(struct parcel_reader *p, struct parcel_record *ret_record);

#endif
