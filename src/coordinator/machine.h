/*
 * machine: a replicated state machine on a log, as its coordinator sees it. Pure: what happens comes in as calls, what follows goes out
 * in a `struct step`; no I/O, no clock, no callback.
 *
 *      request ----> the machine's own functions (group_join, ...) --+
 *      time -------> tick                                            +--> step: records to append, calls that are answered
 *      the image --> image_changed                                   |
 *                                                                    v
 *      coordinator: appends the records, waits until all that was appended so far is committed, then finishes the calls
 *
 * Rules
 * 1. After a step the state is what replaying its records would make of it, beside what is never recorded (sessions, who waits).
 * 2. An answer may rest on whatever was appended before it, so it is told only when all of that is committed. A read is a step without
 *    records: it needs no state of its own.
 * 3. When an append fails the state is thrown away and loaded again, and whoever waits gets an error that makes clients come back.
 *    So no state is ever taken back.
 * 4. A call that a machine took is answered exactly once: by a step, or by give_up.
 * Lifetime: one state a partition of the internal topic, made when its load begins, freed when it is led no more. Belongs to the partition's shard.
 * Not here: appending, loading, waiting (coordinator.h), what groups or transactions are (group/, txn/).
 */
#ifndef COORDINATOR_MACHINE_H
#define COORDINATOR_MACHINE_H

#include "base/buf.h"
#include "base/err.h"
#include "base/list.h"
#include "base/prng.h"
#include "protocol/codec.h"
#include "record/control.h"

struct image; /* metadata/image.h */

/*
 * One request, or one part of it, at a coordinator: embedded in the object that carries its question and its answer; lives until
 * `finished`. Where `error` is set the answer was not filled in.
 */
struct coordinator_call {
	struct list_node node; /* the machine's while it waits in the state, then the step's, then the coordinator's */
	/* NOT_COORDINATOR, COORDINATOR_LOAD_IN_PROGRESS, COORDINATOR_NOT_AVAILABLE, or OK: the machine answered. */
	enum err error;
	/* On the partition's shard, never inside the call that submitted it. */
	void (*finished)(struct coordinator_call *c);
	bool patient; /* it is told when its answer is committed or lost, however long that takes */
	void *owner;  /* the submitter's own */
	void *waiter; /* the machine's own, while the call waits in its state */
	void *place;  /* the coordinator's own: where it waits for its answer */
};

/* A record of the internal topic: key = int16 type + key, value = int16 version + value, or null. */
struct step_record {
	size_t key_offset; /* into step.bytes */
	size_t key_size;
	size_t value_offset;
	size_t value_size;
	bool tombstone;
};

/* What one event makes of a machine. Made and emptied by the coordinator. */
struct step {
	/* In. */
	int64_t now_ms;            /* shard_now_ms: for deadlines */
	int64_t wall_ms;           /* for what is recorded */
	struct prng *random;       /* for ids */
	const struct image *image; /* topics as of now */
	size_t max_record_bytes;   /* a machine refuses, before it changes anything, what would make a larger record */
	/* Out. */
	struct list answered; /* of struct coordinator_call, in order */
	struct step_record *records;
	size_t record_count;
	size_t record_capacity;
	struct buf bytes;
	/* Of a transaction: the step's records are pending until its marker. NO_PRODUCER_ID: of none. */
	int64_t producer_id;
	int16_t producer_epoch;
};

void step_init(struct step *s);
void step_fini(struct step *s);
/* Empty again, keeps its memory. */
void step_reset(struct step *s);

/*
 * Adds a record: `key_type` and `value_type` are of records.schema. What a machine cannot encode is its own mistake (foreign
 * strings were bounded when they came in).
 */
void step_put(struct step *s, const struct message_type *key_type, const void *key,
	      const struct message_type *value_type, int16_t value_version, const void *value);
/* Its tombstone. */
void step_remove(struct step *s, const struct message_type *key_type, const void *key);
/* The call has its answer. It must be linked nowhere. */
void step_answer(struct step *s, struct coordinator_call *c);

/* A record as it stands in the log. */
struct replayed {
	int64_t offset;
	int64_t timestamp_ms;
	struct bytes key;    /* with its int16 type; never null */
	struct bytes value;  /* with its int16 version; null: a tombstone */
	int64_t producer_id; /* of a transaction that is open here, else NO_PRODUCER_ID */
	int16_t producer_epoch;
};

#define MACHINE_NO_DEADLINE INT64_MAX

struct machine_ops {
	const char *name;
	/*
	 * One record while loading. OK also for types that it does not know (a newer broker wrote them): they are passed over. ERR_CORRUPT ends the load:
	 * the partition's coordinator is then not available, with one line in the log.
	 */
	enum err (*replay)(void *state, const struct replayed *r);
	/* The end of a transaction that put records here: while loading, and when one is appended (then within a step). */
	void (*replay_marker)(void *state, const struct end_marker *m);
	/* All was replayed: deadlines begin now. */
	void (*loaded)(void *state, struct step *out);
	/* When tick is due at the latest, in step.now_ms's time; MACHINE_NO_DEADLINE. Cheap: asked after every step. */
	int64_t (*deadline_ms)(const void *state);
	void (*tick)(void *state, struct step *out);
	/* Topics came, went or grew. May be NULL. */
	void (*image_changed)(void *state, struct step *out);
	/*
	 * Whoever asked does not wait any more for this call, which waits in the state: it is answered now, with an error, and forgotten; what else
	 * it brought about stays. May be NULL where no call waits for longer than its step.
	 */
	void (*abandon)(void *state, struct coordinator_call *c, struct step *out);
	/* Every call that waits in the state is answered with `why` (coordinator_call.error). The state is freed next. */
	void (*give_up)(void *state, enum err why, struct step *out);
	void (*free)(void *state);
};

#endif
