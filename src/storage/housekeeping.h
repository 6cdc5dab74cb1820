/*
 * housekeeping: what its sources share: housekeeping.c (the fiber, and what is small), retain.c (retention), disk_bound.c (disk.usage.max.bytes).
 * storage/ only; its door is in state.h.
 */
#ifndef STORAGE_HOUSEKEEPING_H
#define STORAGE_HOUSEKEEPING_H

#include "storage/retention.h"
#include "storage/state.h"

/* Each log that nobody has for himself, pinned. */
void housekeeping_each_log_await(struct fiber *self, struct store *s, void (*body_await)(struct fiber *, struct log *));

/* The largest timestamps of all segments, or their files' times, are known then. */
enum err housekeeping_load_times_await(struct fiber *self, struct log *l) MUST_CHECK;
/* The segments as they are now; the caller frees. */
struct retention_segment *housekeeping_view(const struct log *l);
/* A start that moved: who wrote only below it is in a snapshot, */
void housekeeping_keep_producers_await(struct fiber *self, struct log *l);
/* then it is made durable, and what is below it goes; also what could not go before, since it was not synced. */
void housekeeping_settle_start_await(struct fiber *self, struct log *l);
void housekeeping_retain_await(struct fiber *self, struct store *s);
/* Of the logs that have grown beyond retention.bytes. */
void housekeeping_retain_grown_await(struct fiber *self, struct store *s);
void housekeeping_bound_disk_await(struct fiber *self, struct store *s);

#endif
