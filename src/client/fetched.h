/*
 * fetched: what one Fetch answer brought of one partition, on its way to the caller: batches that passed the checks, opened for
 * reading.
 *
 *      records of the answer:  | batch | control | batch of an aborted transaction | batch | cut o
 *                                taken   skipped   skipped (read committed)          taken   ignored
 *      fetched_next gives the records of the taken ones from `from_offset` on
 *
 * Foreign bytes: all that can be wrong with them is an error, never more. Pure: bytes in, records out.
 * Invariants
 * 1. Offsets that come out rise strictly and are at least from_offset.
 * 2. next_offset is where to go on: behind the last whole batch that was understood, be it taken or skipped.
 * Lifetime: made on the shard by fetched_open, read by one thread, freed on the shard (its answer's blob belongs there).
 * Not here: what to fetch (client/fetcher), waiting (client/api).
 */
#ifndef CLIENT_FETCHED_H
#define CLIENT_FETCHED_H

#include "client/config.h"
#include "protocol/messages.h"
#include "record/record.h"
#include "runtime/blob.h"

#define FETCHED_TEXT_SIZE 400

struct fetched_batch {
	struct record_iter records;
	struct buf scratch; /* decompressed records */
};

struct fetched {
	struct message message; /* home to the shard */
	struct list_node node;
	void *partition;   /* the consumer's */
	void *user;        /* of who hands it to the caller */
	const char *topic; /* lives as long as the client */
	int32_t partition_index;
	uint64_t generation; /* of the assignment */
	int64_t from_offset;
	int64_t next_offset;
	struct fetched_batch *batches;
	size_t batch_count;
	size_t batch_capacity;
	size_t at; /* the batch being read */
	size_t charged;
	struct blob *frame;
	bool end; /* next_offset is the end of the partition */
	enum err error;
	char text[FETCHED_TEXT_SIZE];
};

struct fetched_rules {
	int64_t from_offset;
	bool check_crcs;
	bool read_committed;
	size_t max_decompressed_bytes; /* of a batch */
	struct compressor *compressor;
	const struct fetch_response_aborted_transaction *aborted; /* NULL: none */
	int32_t aborted_count;
};

struct fetched *fetched_new(void);
/* On the shard. NULL ok. */
void fetched_free(struct fetched *f);

/*
 * Opens what `records` hold. What is wrong with them becomes f->error and f->text; the batches before it stay readable. `ret_cut`: there were
 * bytes, but not one whole batch.
 */
void fetched_open(struct fetched *f, struct bytes records, const struct fetched_rules *rules, bool *ret_cut);

/* OK, ERR_END after the last one, ERR_CORRUPT with f->text (then nothing more comes). */
enum err fetched_next(struct fetched *f, struct record *ret_record, const struct batch_header **ret_header) MUST_CHECK;

#endif
