/*
 * api: the insides of struct mo_client, which stand between the caller's threads and the core on its shard.
 *
 *      caller                       | under the door's lock                      | shard
 *      mo_produce -- copies into -->| filling (one parcel at a time) ----take--->| producer_add
 *      mo_poll    <-----------------| deliveries <-------------------------------| outcome
 *      mo_consume <-----------------| ready <------------------------------------| hand_over
 *      mo_topic_create -- job ------------------------------------------ post -->| fiber, then done
 *
 * Invariants
 * 1. Fields marked (lock) are touched with the door's lock held; (caller) by the thread in mo_consume; (shard) on the shard.
 * 2. What mo_produce took is counted in `buffered` until its outcome.
 * 3. A message posted to the shard is pending at most once.
 */
#ifndef CLIENT_API_H
#define CLIENT_API_H

#include <stdatomic.h>

#include "base/map.h"
#include "client/core.h"
#include "client/door.h"
#include "client/parcel.h"
#include "moldau/moldau.h"

struct api_topic {
	char *name;
	struct produce_topic *topic; /* (shard) */
};

struct delivery_batch {
	struct list_node node;
	const char *topic;
	int32_t partition;
	int64_t base_offset;
	int64_t log_append_time_ms;
	enum err error;
	char *text;
	int32_t count;
	int32_t at; /* (the polling caller) */
	void **opaques;
	int64_t *times;
};

/* A partition that is, or ever was, assigned; kept until the end. */
struct assignment {
	char *topic;
	int32_t partition;
	uint64_t generation; /* (lock) what is fetched for it is given; 0: nothing is */
	bool owned;          /* (lock) */
	bool waits;          /* (lock) added by the group, which has not begun it */
	bool paused;         /* (lock) */
	struct start start;  /* (lock) of this generation, or of the next one while there is none */
	int64_t restart;     /* (lock) the position that `generation` began at; -1: to be found */
	int64_t committed;   /* (lock) as far as is known; -1 */
	/* Written by the caller, in this order, and by others under the lock: */
	atomic_int epoch;       /* of the last record that was given */
	atomic_llong given;     /* the offset behind it; -1: not known yet */
	atomic_llong processed; /* as far as the program is done with them: it is back from the last one */
};

/* What the listener is to be told. */
struct rebalance {
	enum mo_rebalance what;
	struct mo_topic_partition *partitions; /* names live as long as the client */
	size_t count;
};

struct group_failure {
	struct list_node node;
	struct mo_err error;
};

struct mo_client {
	struct door *door;
	struct client_config config;
	struct client *core;    /* (shard) */
	struct client *retired; /* (shard) stopped; freed when everything came back */
	struct shard *shard;

	/* Producing. */
	struct map topic_numbers;  /* (lock) name -> number + 1, as a pointer's value */
	struct api_topic **topics; /* (lock) */
	size_t topic_count;
	size_t topic_capacity;
	uint32_t last_topic; /* (lock) the one that was looked up last */
	struct buf filling;  /* (lock) */
	struct message take; /* to the shard: take what is filled */
	bool take_pending;   /* (lock) */
	struct buf taken;    /* (shard) being worked off */
	struct parcel_reader reader;
	struct message nudge; /* to the shard: look at `flushers` and `starving` */
	bool nudge_pending;   /* (lock) */
	unsigned flushers;    /* (lock) */
	unsigned starving;    /* (lock) who waits for room */
	bool hurried;         /* (shard) */
	size_t buffered;      /* (lock) */
	uint64_t unsettled;   /* (lock) records without outcome */
	struct mo_counts counts;
	void (*delivered)(void *context, const struct mo_delivery *d);
	void *delivered_context;
	struct list deliveries; /* (lock) */
	/* Transactions, as the shard said last: */
	enum transact_state txn_state; /* (lock) records are taken only while OPEN */
	struct mo_err txn_error;       /* (lock) of FAILED and FATAL */

	/* Consuming. */
	struct list ready;      /* (lock) struct fetched */
	struct map assignments; /* (lock) struct assignment */
	uint64_t next_generation;
	atomic_uint assignment_version; /* counts changes, so that mo_consume looks only then */
	unsigned seen_version;          /* (caller) */
	struct fetched *reading;        /* (caller) */
	struct assignment *reading_of;  /* (caller) */
	struct mo_message message;
	struct record record;
	bool told_end;
	atomic_ullong consumed;

	/* In a group. */
	struct assignment *held; /* (lock) of the record in hand */
	bool release_wanted;     /* (lock) the group waits until it is not `held` any more */
	struct message released; /* to the shard */
	struct message told;
	struct message back; /* the program called again, after it was away */
	atomic_bool watched; /* `back` is wanted */
	atomic_uint consume_calls;
	atomic_uint poll_calls;
	unsigned waiting; /* (lock) calls that wait */
	void (*rebalanced)(void *context, enum mo_rebalance what, const struct mo_topic_partition *partitions,
			   size_t count);
	void *rebalanced_context;
	struct rebalance *rebalance; /* (lock) due, or being told */
	bool telling;                /* (lock) */
	bool subscribed;             /* (lock) */
	struct list failures;        /* (lock) struct group_failure */
	size_t failure_count;
	struct list commits; /* (lock) of mo_commit_async, with their outcome */
	struct list running; /* (shard) of mo_commit_async, in fibers of their own */

	bool attached; /* (lock) the core is there, or `attach_error` says why not */
	bool detached; /* (lock) */
	bool closing;
	enum err attach_error;
	char attach_text[MO_ERR_TEXT_SIZE];
};

/* Fills `e` (NULL ok) and returns `code`. */
int api_error(struct mo_err *e, int code, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Parses the options; no door and no shard yet. */
int api_new(const struct mo_option *options, size_t count, struct mo_client **ret_client, struct mo_err *ret_err);
void api_free(struct mo_client *c);
/* On the shard, once there is one: makes the core. */
void api_attach(struct mo_client *c, struct shard *s);
/* Waits for it; the caller closes on an error. */
int api_attached(struct mo_client *c, struct mo_err *ret_err);

/* One side of a client for who has a shard already (the simulator): works only as that shard is turned, waits never. */
int api_open_on(struct shard *s, const struct mo_option *options, size_t count, struct mo_client **ret_client,
		struct mo_err *ret_err);
/* Its end, in a fiber of that shard; then, for one that api_open_on made, api_end. */
void api_close_await(struct fiber *self, struct mo_client *c);
void api_end(struct mo_client *c);

/* --- between the sources of api ---------------------------------------------------------------------------------- */

/* With the lock held: runs the deliveries that are due, without it. */
int api_run_deliveries(struct mo_client *c);
void api_txn_changed(void *user, enum transact_state state, enum err e, const char *text);
bool api_txn_settled(void *user);
void api_produce_outcome(void *user, const struct produce_outcome *o);
void api_hand_over(void *user, struct fetched *f);
void api_on_take(struct shard *at, struct message *m);
void api_on_nudge(struct shard *at, struct message *m);
void api_consume_fini(struct mo_client *c);
void api_group_init(struct mo_client *c);
void api_group_fini(struct mo_client *c);
extern const struct group_sink api_group_sink;
void api_located(void *user, const char *topic, int32_t partition, uint64_t generation, int64_t offset);
/* With the lock held, which they give up for the callbacks: how many ran. */
int api_run_rebalance(struct mo_client *c);
int api_run_commits(struct mo_client *c);
void api_commits_fini(struct mo_client *c);
/* On the shard: those that are under way end, with what they have. */
void api_commits_stop_await(struct fiber *self, struct mo_client *c);
/* Commits what the program is done with and is not committed yet. */
int api_commit_processed(struct mo_client *c, int64_t timeout_ms, struct mo_err *ret_err);
/* The caller is done with what he had in hand, and reads no more. */
void api_end_reading(struct mo_client *c);
/* What was assigned by hand. */
void api_unassign_all(struct mo_client *c);
/* With the lock held. NULL: never assigned. */
struct assignment *api_assignment(const struct mo_client *c, const char *topic, int32_t partition);
struct assignment *api_assignment_make(struct mo_client *c, const char *topic, int32_t partition);
/* With the lock held: what was fetched for an assignment that is no more goes back. */
void api_drop_stale(struct mo_client *c);
/* With the lock held: nothing is given of it from now on. */
void api_assignment_stop(struct mo_client *c, struct assignment *a);
/* With the lock held: a new generation, from a->start on. The order is the caller's to post, or to carry out. */
void api_assignment_begin(struct mo_client *c, struct assignment *a);
/* With the lock held, in a call of the program: the group hears of it if it waits for that. */
void api_is_back(struct mo_client *c);
/* With the lock held, in mo_consume or a call that ends consuming: nothing is in hand any more. */
void api_let_go(struct mo_client *c);
void api_produce_fini(struct mo_client *c);
/* On the shard. */
void api_return(struct mo_client *c, struct fetched *f);

/* A deadline from a timeout in ms; INT64_MAX for -1. And what is left of it, as door.wait wants it. */
int64_t api_deadline_us(struct mo_client *c, int64_t timeout_ms);
int64_t api_left_us(struct mo_client *c, int64_t deadline_us);

/*
 * A question that a fiber answers. Lives on the asking thread's stack: the call waits however long the fiber takes, which
 * ends by its own deadlines.
 */
struct api_job {
	struct message message;
	struct mo_client *client;
	void (*work_await)(struct fiber *self, struct api_job *job);
	bool done;
	int64_t deadline_us; /* of the shard's clock; filled before work */
	struct mo_err error; /* code 0: it worked */
	void *arguments;
	void *result;
};

/*
 * A step of a transaction as a job, also for who does not wait (the simulator: api_start_job, then job.done). `timeout_ms` -1: no bound. The
 * offsets are copied to the shard's side by the job itself and have to live until it is done.
 */
struct api_txn_job {
	struct api_job job;
	enum transact_step step;
	int64_t timeout_ms;
	const struct mo_group_offset *offsets;
	size_t count;
	const struct mo_group_metadata *as; /* NULL: the client's own */
};

/* Fills the rest of a job for this step; on the caller's side, under no lock. */
void api_txn_prepare(struct mo_client *c, struct api_txn_job *job, enum transact_step step, int64_t timeout_ms);
int api_run(struct mo_client *c, struct api_job *job, struct mo_err *ret_err);
/* The same without the wait: until job->done, under the lock. */
void api_start_job(struct mo_client *c, struct api_job *job);

#endif
