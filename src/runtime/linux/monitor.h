/*
 * monitor: a lock and something to wait on, for threads that are no shards and share a little with one: the callers of the client
 * library. Shards among themselves have no use for it; a shard that takes it never waits on it, and holders do little.
 */
#ifndef RUNTIME_LINUX_MONITOR_H
#define RUNTIME_LINUX_MONITOR_H

#include <stdbool.h>
#include <stdint.h>

struct monitor;

struct monitor *monitor_new(void);
void monitor_free(struct monitor *m);
void monitor_lock(struct monitor *m);
void monitor_unlock(struct monitor *m);
/* Held: gives it up until a wake (or for no reason), then takes it again. False when `timeout_us` is over; -1: no bound. */
bool monitor_wait(struct monitor *m, int64_t timeout_us);
/* Held: all that wait. */
void monitor_wake(struct monitor *m);
/* The clock of shard_now_us, on any thread. */
int64_t monitor_now_us(void);

#endif
