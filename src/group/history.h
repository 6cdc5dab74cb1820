/*
 * history: a group's last rebalances, for whoever asks why it was busy. In memory only: gone with the group's coordinator.
 *
 * Invariants: at most HISTORY_MAX entries of at most HISTORY_TEXT_MAX bytes of text for each of their names; the newest may be under way, no
 * other. Costs nothing until the first.
 */
#ifndef GROUP_HISTORY_H
#define GROUP_HISTORY_H

#include "base/arena.h"
#include "base/bytes.h"

#define HISTORY_MAX 16
#define HISTORY_TEXT_MAX 128

struct group_rebalance;
struct history_entry;

struct history {
	struct history_entry *entries[HISTORY_MAX];
	uint8_t newest; /* its place */
	bool under_way;
};

void history_fini(struct history *h);
/* When one is under way, this is a part of it and is not noted. Copies what is noted; took_ms, generation and members_after come at its end. */
void history_begin(struct history *h, const struct group_rebalance *what);
/* No change when none is under way. */
void history_end(struct history *h, int64_t wall_ms, int32_t generation, int32_t members_after);
/* Newest first, into the arena; false when that is full. */
bool history_read(const struct history *h, struct arena *a, struct group_rebalance **ret_rebalances, size_t *ret_count);

#endif
