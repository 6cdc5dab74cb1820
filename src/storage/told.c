/* told: what a log tells of itself to who administers it. */
#include "storage/state.h"

size_t log_folder_index(const struct log *l)
{
	return l->folder->index;
}

void log_each_producer(const struct log *l, void (*each)(void *context, const struct producer_told *p), void *context)
{
	for (uint32_t i = 0; i < l->producers.count; i++) {
		const struct producer_entry *e = &l->producers.entries[i];
		struct producer_told p = {
			.producer_id = e->producer_id,
			.epoch = e->epoch,
			.last_sequence = e->last_sequence,
			.last_timestamp = e->last_timestamp,
			.coordinator_epoch = e->coordinator_epoch,
			.txn_first_offset = e->txn_first_offset,
		};

		each(context, &p);
	}
}
