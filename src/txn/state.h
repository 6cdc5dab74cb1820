/*
 * state: the transactional ids of a partition of __transaction_state. Shared by the sources of txn/ and by nobody else.
 *
 * Invariants
 * 1. A transactional id is in the map from its first record on; what its record says is what it is (rule 1 of coordinator/machine.h).
 * 2. Its timer is armed exactly while it is Ongoing, for the end of its timeout.
 * 3. Partitions are in order, each once: topics by name, then by number. There are some only in Ongoing and Prepare*.
 */
#ifndef TXN_STATE_H
#define TXN_STATE_H

#include "base/heap.h"
#include "record/batch.h"
#include "txn/txn.h"

#define NO_EPOCH ((int16_t)-1)
/* No client gets this one: it fences the last that a producer id had. */
#define LAST_EPOCH INT16_MAX
#define VERSION_2 2

struct txn_topic {
	uint8_t *name;
	size_t name_size;
	int32_t *partitions;
	size_t partition_count;
	size_t partition_capacity;
};

struct txn {
	uint8_t *id;
	size_t id_size;
	enum txn_state state;
	int64_t producer_id;
	int64_t previous_producer_id;
	int64_t next_producer_id; /* it becomes this one when it is complete */
	int16_t producer_epoch;
	int16_t last_producer_epoch; /* whoever still has this one may go on, as by InitProducerId's retry */
	int16_t client_version;      /* of its last end: transaction.version as its client has it */
	int32_t timeout_ms;
	int64_t start_ms; /* wall clock; -1: it has not begun */
	int64_t update_ms;
	struct txn_topic *topics;
	size_t topic_count;
	size_t topic_capacity;
	struct heap_node timer;
};

struct txns {
	const struct txn_options *options;
	int32_t partition;
	struct map by_id;   /* of struct txn */
	struct heap timers; /* of struct txn, in step.now_ms's time */
	int64_t expiry_at_ms;
	size_t expiry_place; /* where it goes on */
	struct txn_figures figures;
};

/* --- state.c ------------------------------------------------------------------------------------------------------------- */

struct txn *txn_find(const struct txns *all, struct bytes id);
struct txn *txn_new(struct txns *all, struct bytes id);
/* Out of everything, and freed. */
void txn_remove(struct txns *all, struct txn *x);
void txns_free(struct txns *all);
static inline struct bytes txn_id(const struct txn *x)
{
	return bytes_of(x->id, x->id_size);
}

/* To another state, with all that follows from that but a record. */
void txn_move(struct txns *all, struct txn *x, enum txn_state to);
/* Its timer, by its state. */
void txn_arm(struct txns *all, struct txn *x, const struct step *s);

static inline bool txn_epoch_exhausted(int16_t epoch)
{
	return epoch >= LAST_EPOCH - 1;
}

static inline bool txn_is_prepared(const struct txn *x)
{
	return x->state == TXN_PREPARE_COMMIT || x->state == TXN_PREPARE_ABORT;
}

bool txn_has_partition(const struct txn *x, const struct txn_partition *p);
void txn_add_partition(struct txn *x, const struct txn_partition *p);
void txn_clear_partitions(struct txn *x);
size_t txn_partition_count(const struct txn *x);

/* --- record.c ------------------------------------------------------------------------------------------------------------ */

/* As it is now. */
void txn_put(const struct txn *x, struct step *s);
/* How large its record would be with these partitions besides. */
size_t txn_record_bound(const struct txn *x, const struct txn_partition *more, size_t count);
enum err txn_replay(struct txns *all, const struct replayed *r) MUST_CHECK;

/* --- prepared.c ---------------------------------------------------------------------------------------------------------- */

/* It is prepared: it leaves when what was appended so far is committed. */
void txn_hand_out(struct txns *all, const struct txn *x, struct step *s);

/* --- end.c --------------------------------------------------------------------------------------------------------------- */

/* transaction.version, as it is finalized. */
int16_t txn_level(const struct step *s);
/* Ongoing, and nobody may go on with it: its epoch is bumped, it is aborted. */
void txn_fence(struct txns *all, struct txn *x, struct step *s);

#endif
