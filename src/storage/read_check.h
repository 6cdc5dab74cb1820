/*
 * read_check: an answer that came through our memory, held against what is around it, before anybody gets it: CRC of each batch, its place behind the
 * one in front of it and before the next, its leader epoch. What is bad ends the answer.
 *
 *      buffer     | passed over | answer: batch | batch | BAD | ... | next header |
 *                                 good: up to here ^
 *
 * A batch that was passed over matters where the wanted offset may be its own: a header that says less than it should would hide records.
 * Lifetime: a call. Pure; everything is borrowed.
 */
#ifndef STORAGE_READ_CHECK_H
#define STORAGE_READ_CHECK_H

#include "base/bytes.h"
#include "storage/damage.h"
#include "storage/epoch_cache.h"

struct read_check {
	struct bytes buffer;
	int64_t position;                 /* of the buffer in its segment */
	int64_t base;                     /* the segment's */
	int64_t limit;                    /* where the next segment begins, or the log ends */
	int64_t expected;                 /* where the buffer's first batch begins; -1: not known */
	int64_t wanted;                   /* offset */
	const struct damage_list *known;  /* of the segment; NULL: none */
	const struct epoch_cache *epochs; /* NULL: not known */
};

/* The front part of `answer`, which lies in the buffer, that is good. `ret_words` NULL: nothing bad was met; else `ret_damage` is that. */
struct bytes read_check_answer(const struct read_check *x, struct bytes answer, struct damage *ret_damage,
			       const char **ret_words);

#endif
