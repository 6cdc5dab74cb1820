/*
 * door: where the caller's threads and the client's shard meet: a lock, something to wait on, and a way to post. The only place of the
 * library where two threads touch the same memory.
 *
 * Two kinds: a shard with a thread of its own (client/linux), and a shard that the caller's own thread turns (client/linux too, or the
 * simulator, whose `wait` does not wait at all).
 */
#ifndef CLIENT_DOOR_H
#define CLIENT_DOOR_H

#include "runtime/shard.h"

struct door;

struct door_ops {
	void (*lock)(struct door *d);
	void (*unlock)(struct door *d);
	/* With the lock held: gives it up, waits for a wake, takes it again. False: nothing came within `timeout_us` (-1: no bound). */
	bool (*wait)(struct door *d, int64_t timeout_us);
	/* With the lock held: all that wait. */
	void (*wake)(struct door *d);
	/* Any thread: runs on the shard. */
	void (*post)(struct door *d, struct message *m);
	int64_t (*now_us)(struct door *d);
	/* Works a while; NULL where there is a thread. */
	void (*drive)(struct door *d, int64_t timeout_us);
	/* Ends the shard and frees the door. The core is gone. */
	void (*close)(struct door *d);
};

struct door {
	const struct door_ops *ops;
};

#endif
