/*
 * hosted: a partition of the internal topic with its machine's state, and the coordinator that has it. Shared by the sources of coordinator/
 * and by nobody else.
 *
 *      hosted.open      records and answers of this turn's steps, not yet in the log
 *      hosted.appended  batches in the log, or on their way there, oldest first; the answers of each
 *      coordinator.told answers whose time has come: `finished` is called by a task of its own
 *
 * A hosted that is UNHOSTED is out of the table and goes when its loader and its batches have come back.
 */
#ifndef COORDINATOR_HOSTED_H
#define COORDINATOR_HOSTED_H

#include "coordinator/coordinator.h"
#include "record/builder.h"
#include "runtime/shard.h"

/* More wait in the open batch, which so grows while the disk is at work. */
#define BATCHES_ON_THEIR_WAY 2
#define LOADERS_MAX 4
#define PAUSE_FIRST_MS 100
#define PAUSE_MAX_MS 10000

enum hosted_state { HOSTED_LOADING, HOSTED_ACTIVE, HOSTED_FAILED, HOSTED_UNHOSTED };

struct hosted {
	struct coordinator *coordinator;
	struct partition *partition; /* set with the first load; not to be touched once UNHOSTED */
	struct uuid topic_id;
	int32_t index;
	enum hosted_state state;
	void *machine; /* ACTIVE, and while it is replayed */
	struct step_batch *open;
	struct list appended; /* of struct step_batch */
	size_t appended_count;
	struct list_node to_load; /* in the coordinator's line */
	bool has_loader;
	bool damaged; /* it is not tried again */
	enum err
		refused; /* an append that failed at once: nothing more may be appended, the state goes at the end of the step */
	unsigned pauses; /* tries in a row that failed */
	int64_t tick_ms; /* what `tick` is armed for */
	struct timer tick;
	struct timer late; /* when the oldest answer has waited too long */
	struct timer retry;
	struct task flush;
};

/* Records that go to the log as one, and the calls that are answered with them. */
struct step_batch {
	struct list_node node;
	struct hosted *hosted;
	struct partition_append append;
	struct batch_builder builder;
	struct buf marker;    /* instead, when it is the end of a transaction */
	struct list answered; /* of struct coordinator_call */
	int64_t late_us;      /* when they are told that it takes too long */
	bool harmless;        /* it was refused for its producer's sake, and nothing rests on it */
};

struct coordinator {
	struct coordinator_options options;
	struct uuid topic_id;
	struct hosted **table; /* by partition; NULL where it is not here */
	int32_t table_count;
	size_t hosted_count; /* with those that are out of the table */
	struct list to_load;
	unsigned loaders;
	struct timer more_loaders; /* none could be had */
	bool stopped;
	struct step step;                     /* of the step that runs */
	struct coordinator_producer producer; /* of that step */
	struct list told;                     /* of struct coordinator_call */
	struct task tell;
	struct event changed; /* a load, a batch or a hosted came to its end; a high watermark moved */
	struct coordinator_figures figures;
};

static inline struct shard *hosted_shard(const struct hosted *h)
{
	return h->coordinator->options.shard;
}

/* --- coordinator.c ---------------------------------------------------------------------------------------------------- */

/* c->step is empty and has its `in`; then the machine is called; then what came of it is recorded and answered. */
struct step *hosted_step_begin(struct hosted *h);
void hosted_step_end(struct hosted *h);
/* An append failed, or the partition cannot be used: the state goes, who waits in it is told, and it is loaded again after a pause. */
void hosted_fail(struct hosted *h, enum err why);
/* The load came to its end: OK, or why not. */
void hosted_loaded(struct hosted *h, enum err e);
/* Frees it when nothing of it is under way. */
void hosted_maybe_free(struct hosted *h);

/* --- append.c ---------------------------------------------------------------------------------------------------------- */

/* Largest batch, before it is compressed. */
size_t hosted_batch_bytes(const struct hosted *h);
/* The step's records and answers, in order behind all before; h->refused where an append failed. */
void hosted_take_step(struct hosted *h, struct step *s);
/* Hands the open batch to the log, if there is one and nothing was refused. */
void hosted_flush(struct hosted *h);
/* The end of a transaction, behind all that is open. An error of the producer's, where nothing was changed; h->refused for any other. */
enum err hosted_append_marker(struct hosted *h, const struct end_marker *marker, int8_t transaction_version) MUST_CHECK;
/* The open batch goes nowhere. */
void hosted_drop_open(struct hosted *h, enum err why);
/* Hands answers on to be told; with `why`, as errors. Empties the list. */
void coordinator_tell(struct coordinator *c, struct list *answered, enum err why);
/* What Kafka's coordinators answer when an append fails so. */
enum err coordinator_error(enum err e);
void hosted_late(struct timer *t);
void hosted_flush_task(struct task *t);

/* --- load.c ------------------------------------------------------------------------------------------------------------ */

/* Gets in line, or ahead of it when somebody waits for it. */
void hosted_load(struct hosted *h, bool ahead);
void coordinator_more_loaders(struct timer *t);

#endif
