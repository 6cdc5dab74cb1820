/*
 * log_life: one life of the storage under test, on the node's side; for its sources only.
 *
 *      log_life.c          opens, works until it is told to stop, closes; reads, cuts, moves
 *      log_life_append.c   appends: of plain producers, of those with transactions and their coordinator, and what must be refused
 *
 * A life belongs to the node's memory, the models that it is held against to the simulator's (report, memory_enter).
 */
#ifndef SIM_LOG_LIFE_H
#define SIM_LOG_LIFE_H

#include "sim/log_world.h"

/* One shard's part of a life. */
struct log_life {
	struct log_world *world;
	struct storage *storage;
	struct store *store;
	unsigned actors; /* fibers still at work */
	struct live_log *logs[LOG_WORLD_PARTITIONS];
	unsigned log_count;
	struct event over;
};

struct live_log {
	struct log_owner owner;
	struct log_partition *p;
	struct log_life *life;
	struct log *log;
	struct event progress;
	int64_t synced;          /* as last seen */
	int64_t noted;           /* up to here the log was told that it is committed */
	int64_t silent_until_us; /* lazy acks: until then nothing is */
	int64_t cut_at;          /* while it is being cut nothing from there on is acknowledged; else INT64_MAX */
	bool exclusive;          /* being cut: nobody else touches it */
	unsigned users;
};

static inline struct scheduler *log_life_scheduler(const struct live_log *l)
{
	return &l->p->world->sim->scheduler;
}

/* Ends the history where `what` is not NULL: what is wrong with the log. */
void log_life_report(struct log_partition *p, const char *what);
void log_life_note(struct log_partition *p, const char *what, const char *format, int64_t a, int64_t b, int64_t c);
/* The log says where it starts: held against the model. */
void log_life_note_start(struct live_log *l);
/* The disk's or the folder's state, not what was asked, was the reason. */
bool log_life_is_trouble(enum err e);

/* What producers do (log_life_append.c); each is one step, and none suspends. The next batch of one, in a transaction or not. */
void log_life_append_next(struct live_log *l);
/* A batch that the log holds already, sent again. */
void log_life_append_again(struct live_log *l);
void log_life_append_gap(struct live_log *l);
/* The end of a transaction, by its coordinator. */
void log_life_append_end(struct live_log *l);
/* What an open transaction forbids. */
void log_life_append_fenced(struct live_log *l);

#endif
