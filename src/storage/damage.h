/*
 * damage: which stretches of a segment's file hold no good batches, as the scrub or a read found. Nothing of them is served.
 *
 *      | batch | batch | XXXXXXXXXXXXX | batch |        position, end: of bytes
 *        40      43      46 (..49)       50             offset: the first that is missing; next_offset: where it goes on
 *
 * Invariants: stretches grow and do not touch what is good, as far as is known; at most DAMAGE_MAX of them: from then on the last one grows.
 * Lifetime: embedded in a segment. Pure.
 */
#ifndef STORAGE_DAMAGE_H
#define STORAGE_DAMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DAMAGE_MAX 64

struct damage {
	int64_t position;
	int64_t end;
	int64_t offset;
	int64_t next_offset;
};

struct damage_list {
	struct damage *entries;
	size_t count;
	size_t capacity;
};

void damage_fini(struct damage_list *x);
/* False when it was known. */
bool damage_add(struct damage_list *x, const struct damage *d);
/* The first one that ends behind `position`; NULL: there is none. */
const struct damage *damage_from(const struct damage_list *x, int64_t position);
/* The one that `position` lies in; NULL: it lies in none. */
const struct damage *damage_at(const struct damage_list *x, int64_t position);
/* The file was cut there. */
void damage_truncate(struct damage_list *x, int64_t position);

#endif
