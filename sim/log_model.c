/* log_model: see the header. */
#include "sim/log_model.h"

#include "base/alloc.h"

void log_model_init(struct log_model *m)
{
	*m = (struct log_model){0};
	for (int i = 0; i < MODEL_KEYS; i++)
		m->last_of_key[i] = -1;
}

static void forget(struct model_batch *batches, size_t from, size_t *count)
{
	for (size_t i = from; i < *count; i++) {
		mem_free(batches[i].data);
		mem_free(batches[i].records);
	}
	*count = from;
}

void log_model_fini(struct log_model *m)
{
	forget(m->batches, 0, &m->batch_count);
	forget(m->ghosts, 0, &m->ghost_count);
	mem_free(m->batches);
	mem_free(m->ghosts);
	log_model_init(m);
}

static struct model_batch batch_of(struct bytes bytes, const struct batch_header *h)
{
	struct end_marker marker;
	bool ends = batch_is_control(h) && end_marker_of(bytes, &marker) == OK;

	return (struct model_batch){
		.base_offset = h->base_offset,
		.count = h->last_offset_delta + 1,
		.producer_id = h->producer_id,
		.base_sequence = h->base_sequence,
		.producer_epoch = h->producer_epoch,
		.transactional = batch_is_transactional(h),
		.end = !ends              ? MODEL_DATA
		       : marker.committed ? MODEL_COMMIT
					  : MODEL_ABORT,
		.acked_us = -1,
		.max_timestamp = h->max_timestamp,
		.data = mem_dup(bytes.data, bytes.size),
		.size = bytes.size,
	};
}

static void push(struct log_model *m, struct model_batch b)
{
	m->batches = mem_grow(m->batches, &m->batch_capacity, m->batch_count + 1, sizeof(*m->batches));
	m->batches[m->batch_count++] = b;
	m->end = b.base_offset + b.count;
	if (m->keyed && !b.records)
		must(log_model_note_records(&m->batches[m->batch_count - 1]));
}

const char *log_model_append(struct log_model *m, struct bytes batch)
{
	struct batch_header h;

	if (batch_header_read(batch, &h))
		return "an appended batch has no header any more";
	if (h.base_offset != m->end)
		return "an append did not get the offset behind the last one";
	if (!batch_crc_ok(batch))
		return "the log broke the CRC of a batch that it took";
	push(m, batch_of(batch, &h));
	return NULL;
}

/* Index of the first batch that ends behind `offset`. */
static size_t index_of(const struct log_model *m, int64_t offset)
{
	size_t low = 0, high = m->batch_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (m->batches[middle].base_offset + m->batches[middle].count <= offset)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

const char *log_model_acked(struct log_model *m, int64_t offset, int64_t now_us)
{
	if (offset > m->end)
		return "more is synced than was ever appended";
	for (size_t i = index_of(m, m->acked); i < m->batch_count && m->batches[i].base_offset < offset; i++)
		if (m->batches[i].acked_us < 0) {
			m->batches[i].acked_us = now_us;
			if (m->batches[i].end == MODEL_COMMIT)
				log_model_note_commit(m, &m->batches[i]);
			else if (!m->batches[i].transactional)
				log_model_note_keys(m, &m->batches[i]);
		}
	if (offset > m->acked)
		m->acked = offset;
	return NULL;
}

const char *log_model_cut(struct log_model *m, int64_t offset, bool may_return)
{
	size_t index = index_of(m, offset);

	if (offset < m->acked)
		return "something was cut that was safe";
	if (index < m->batch_count && m->batches[index].base_offset != offset)
		return "the log was cut in the middle of a batch";
	if (may_return) {
		for (size_t i = index; i < m->batch_count; i++) {
			m->ghosts = mem_grow(m->ghosts, &m->ghost_capacity, m->ghost_count + 1, sizeof(*m->ghosts));
			m->ghosts[m->ghost_count++] = m->batches[i];
		}
		m->batch_count = index;
	} else {
		forget(m->batches, index, &m->batch_count);
	}
	if (offset < m->end)
		m->end = offset;
	return NULL;
}

/* The cut batch that would stand at the end of the model, the one that was cut last and goes no further than `end`; NULL when there is none. */
static const struct model_batch *ghost_at_end(const struct log_model *m, int64_t end)
{
	for (size_t i = m->ghost_count; i-- > 0;)
		if (m->ghosts[i].base_offset == m->end && m->end + m->ghosts[i].count <= end)
			return &m->ghosts[i];
	return NULL;
}

const char *log_model_started(struct log_model *m, int64_t start)
{
	int64_t most = m->purges && m->acked > m->start ? m->acked : m->start;

	if (start > most)
		return "LOST: the log starts behind where it should";
	if (start < m->told_start)
		return "the log's start went back";
	m->told_start = start;
	return NULL;
}

const char *log_model_recovered(struct log_model *m, int64_t start, int64_t end)
{
	const struct model_batch *ghost;
	size_t index;

	if (end < m->acked)
		return "LOST: the log ends before what was safe";
	if (log_model_started(m, start))
		return log_model_started(m, start);
	m->start = start;
	while (end > m->end && (ghost = ghost_at_end(m, end))) {
		struct batch_header h;

		must(batch_header_read(bytes_of(ghost->data, ghost->size), &h) == OK);
		push(m, batch_of(bytes_of(ghost->data, ghost->size), &h));
	}
	if (end > m->end)
		return "the log holds more than was ever appended";
	index = index_of(m, end);
	if (index < m->batch_count && m->batches[index].base_offset != end)
		return "the log ends in the middle of a batch";
	forget(m->batches, index, &m->batch_count);
	m->end = end;
	return NULL;
}

static bool same(const struct model_batch *b, struct bytes data)
{
	return data.size >= b->size && memcmp(b->data, data.data, b->size) == 0;
}

bool log_model_bring_back(struct log_model *m, struct model_batch *b, struct bytes data)
{
	for (size_t i = 0; i < m->ghost_count; i++) {
		const struct model_batch *g = &m->ghosts[i];

		if (b->base_offset < m->acked || g->base_offset != b->base_offset || g->count != b->count ||
		    !same(g, data))
			continue;
		mem_free(b->data);
		mem_free(b->records);
		*b = *g;
		b->data = mem_dup(g->data, g->size);
		b->records = NULL;
		if (m->keyed)
			must(log_model_note_records(b));
		return true;
	}
	return false;
}

const char *log_model_check_read(struct log_model *m, int64_t offset, int64_t max_offset, struct bytes records,
				 int64_t *ret_next)
{
	size_t index = index_of(m, offset);
	bool first = true;

	*ret_next = offset;
	while (records.size) {
		struct model_batch *b = &m->batches[index];

		if (index >= m->batch_count)
			return "a read gave more than there is";
		if (b->base_offset >= max_offset)
			return "a read gave a batch beyond its bound";
		if (records.size < b->size) {
			if (first)
				return "a read gave not even its first batch whole";
			return memcmp(b->data, records.data, records.size) ? "a read gave other bytes (cut batch)"
									   : NULL;
		}
		if (!same(b, records) && !log_model_bring_back(m, b, records))
			return "a read gave other bytes than were appended";
		*ret_next = b->base_offset + b->count;
		records.data += b->size;
		records.size -= b->size;
		first = false;
		index++;
	}
	return NULL;
}

const struct model_batch *log_model_find(const struct log_model *m, int64_t offset)
{
	size_t index = index_of(m, offset);

	return index < m->batch_count && m->batches[index].base_offset <= offset ? &m->batches[index] : NULL;
}

const struct model_batch *log_model_last_of(const struct log_model *m, int64_t producer_id, unsigned back)
{
	for (size_t i = m->batch_count; i > 0; i--)
		if (m->batches[i - 1].producer_id == producer_id && back-- == 0)
			return &m->batches[i - 1];
	return NULL;
}

int32_t log_model_next_sequence(const struct log_model *m, int64_t producer_id)
{
	int16_t epoch = log_model_epoch(m, producer_id);

	/* Markers have no sequence; in a new epoch they begin anew. */
	for (size_t i = m->batch_count; i > 0; i--) {
		const struct model_batch *b = &m->batches[i - 1];

		if (b->producer_id == producer_id && b->end == MODEL_DATA)
			return b->producer_epoch == epoch ? sequence_add(b->base_sequence, b->count) : 0;
	}
	return 0;
}
