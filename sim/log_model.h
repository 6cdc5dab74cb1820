/*
 * log_model: what one partition's log must hold, as those know it who appended to it and were told what is safe.
 *
 *      start                 acked              synced                     end
 *      |--- must be there ---|--- was readable -|--- may be there or not --|      after a crash the log ends at a batch in [acked, end]
 *
 * Holds every batch as its bytes are in the log. Pure; the world (log_world) feeds it. A check that fails returns what is wrong as
 * static text, NULL when all is well.
 */
#ifndef SIM_LOG_MODEL_H
#define SIM_LOG_MODEL_H

#include "base/bytes.h"
#include "base/err.h"
#include "record/batch.h"

struct model_batch {
	int64_t base_offset;
	int32_t count;
	int64_t producer_id;
	int32_t base_sequence;
	int64_t acked_us; /* when it became safe; -1 while it is not */
	uint8_t *data;
	size_t size;
};

struct log_model {
	struct model_batch *batches; /* by offset, without gaps */
	size_t batch_count;
	size_t batch_capacity;
	struct model_batch *ghosts; /* were cut by log_truncate since the last recovery: a crash may bring them back */
	size_t ghost_count;
	size_t ghost_capacity;
	int64_t start;
	int64_t end;
	int64_t acked;
};

void log_model_init(struct log_model *m);
void log_model_fini(struct log_model *m);

const char *log_model_append(struct log_model *m, struct bytes batch) MUST_CHECK;
/* Everything below `offset` is safe from now on. */
const char *log_model_acked(struct log_model *m, int64_t offset, int64_t now_us) MUST_CHECK;
/* Batches from `offset` on are gone: taken back because they could not be written, or cut on purpose (`may_return`). */
const char *log_model_cut(struct log_model *m, int64_t offset, bool may_return) MUST_CHECK;
/* A log was opened again and says that it holds [start, end). */
const char *log_model_recovered(struct log_model *m, int64_t start, int64_t end) MUST_CHECK;
/*
 * Bytes that a read at `offset` with this bound gave: whole batches of the model from the one that holds `offset`, the last one
 * perhaps cut off. `*ret_next`: the offset behind the last whole one.
 */
const char *log_model_check_read(struct log_model *m, int64_t offset, int64_t max_offset, struct bytes records,
				 int64_t *ret_next) MUST_CHECK;

/* The batch that holds `offset`; NULL when none does. */
const struct model_batch *log_model_find(const struct log_model *m, int64_t offset);
/* The `back`-th last batch of a producer (0: the last); NULL when there are not so many. */
const struct model_batch *log_model_last_of(const struct log_model *m, int64_t producer_id, unsigned back);
/* What a producer has to send next. */
int32_t log_model_next_sequence(const struct log_model *m, int64_t producer_id);

#endif
