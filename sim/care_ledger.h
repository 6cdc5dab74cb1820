/*
 * care_ledger: what a caretaker (workload_care.c) knows of topics of its own, and what must be true of them. It alone writes to each; a record is
 * sent once, under a serial of its own, so that its outcome is known or stays unknown. Of all kinds:
 *
 *      a record stands at the offset that was acknowledged, nowhere else and once; offsets grow
 *
 *      compacted   of each key the last record is found, unless it is a tombstone whose time is over; gaps only there
 *      cached      (write.caching) what was acknowledged is there until the power is lost, or writes or syncs failed
 *      replaced    (deleted, and made again under the same name) each life has an id of its own, begins at offset 0, holds all that was sent to its id and
 *                  acknowledged, and nothing that was sent to another's id or acknowledged before the deletion of the one before it was asked for
 *
 * A check that fails gives static text; NULL is well. Pure, without memory of its own.
 */
#ifndef SIM_CARE_LEDGER_H
#define SIM_CARE_LEDGER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/must.h"
#include "base/uuid.h"

#define CARE_RECORDS 3000
#define CARE_KEYS 12
#define CARE_LIVES 80
#define CARE_NONE UINT32_MAX

enum care_kind { CARE_COMPACTED, CARE_CACHED, CARE_REPLACED, CARE_KINDS };

struct care_record {
	int64_t offset; /* -1: not acknowledged */
	int64_t sent_us;
	int64_t acked_us;
	uint64_t losses; /* of caches, when it was sent */
	unsigned life;   /* that was the last one known */
	unsigned key;
	bool by_id;
	bool tombstone;
	uint32_t seen; /* the last scan that found it */
};

struct care_life {
	struct uuid id;
	int64_t ending_us; /* when its deletion was first asked for; INT64_MAX */
	bool deleted;      /* acknowledged */
};

struct care_scan {
	uint32_t number;
	unsigned life;
	int64_t begun_us;
	uint64_t losses;
	int64_t start;
	int64_t end;
	int64_t next;
	bool gaps;
	int64_t key_offset[CARE_KEYS]; /* of the last record; -1: none */
	uint32_t key_serial[CARE_KEYS];
	unsigned tombstones_over; /* out: keys whose last record was one and is gone */
	unsigned lost;            /* out: records that a loss of the cache took */
};

struct care_topic {
	enum care_kind kind;
	int64_t tombstone_us; /* delete.retention.ms */
	struct care_record records[CARE_RECORDS];
	uint32_t sent;
	struct care_life lives[CARE_LIVES];
	unsigned life_count;
	struct care_scan scan;
};

/* The serial of a record that is sent now; CARE_NONE when there were enough. */
uint32_t care_send(struct care_topic *t, unsigned key, bool tombstone, bool by_id, int64_t now_us, uint64_t losses);
void care_acked(struct care_topic *t, uint32_t serial, int64_t offset, int64_t now_us);

/* The id that the name has, as told. */
const char *care_told_id(struct care_topic *t, struct uuid id) MUST_CHECK;
/* NULL: none is known, or its deletion was acknowledged. */
struct care_life *care_life(struct care_topic *t);
void care_deleting(struct care_life *l, int64_t now_us);

/* The newest life's log, record by record; `serial` is CARE_NONE for a record without a value. */
const char *care_scan_begin(struct care_topic *t, int64_t start, int64_t end, int64_t now_us, uint64_t losses)
	MUST_CHECK;
const char *care_scan_record(struct care_topic *t, int64_t offset, unsigned key, uint32_t serial) MUST_CHECK;
/* `losses`: of caches, now. */
const char *care_scan_end(struct care_topic *t, uint64_t losses) MUST_CHECK;

#endif
