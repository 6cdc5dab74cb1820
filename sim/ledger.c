/* ledger: see the header. */
#include "sim/ledger.h"

#include <string.h>

#include "base/alloc.h"

void ledger_partition_init(struct ledger_partition *p)
{
	*p = (struct ledger_partition){0};
}

void ledger_partition_fini(struct ledger_partition *p)
{
	mem_free(p->placed);
	mem_free(p->cached);
	mem_free(p->stamps);
	mem_free(p->producers);
	ledger_partition_init(p);
}

uint32_t ledger_new_producer(struct ledger_partition *p, bool idempotent)
{
	uint32_t number = (uint32_t)p->producer_count + 1;

	p->producers = mem_grow(p->producers, &p->producer_capacity, p->producer_count + 1, sizeof(*p->producers));
	p->producers[p->producer_count++] = (struct ledger_producer){
		.number = number, .idempotent = idempotent, .last_seen = -1};
	return number;
}

static struct ledger_producer *producer_of(struct ledger_partition *p, uint64_t id)
{
	uint64_t number = id >> 32;

	return number >= 1 && number <= p->producer_count ? &p->producers[number - 1] : NULL;
}

uint64_t ledger_next_id(struct ledger_partition *p, uint32_t producer)
{
	struct ledger_producer *pr = &p->producers[producer - 1];

	return (uint64_t)producer << 32 | pr->next_serial++;
}

static bool was_sent(struct ledger_partition *p, uint64_t id)
{
	const struct ledger_producer *pr = producer_of(p, id);

	return pr && (uint32_t)id < pr->next_serial;
}

static void grow(uint64_t **ids, size_t *count, size_t *capacity, size_t at)
{
	if (at < *count)
		return;
	*ids = mem_grow(*ids, capacity, at + 1, sizeof(**ids));
	memset(*ids + *count, 0, (at + 1 - *count) * sizeof(**ids));
	*count = at + 1;
}

static uint64_t id_at(const uint64_t *ids, size_t count, int64_t offset)
{
	return (size_t)offset < count ? ids[offset] : 0;
}

static const char *place(struct ledger_partition *p, int64_t offset, uint64_t id)
{
	size_t at = (size_t)offset;
	uint64_t cached;

	if (offset < 0 || offset > 100000000)
		return "an impossible offset";
	if (!was_sent(p, id))
		return "a record that nobody sent";
	grow(&p->placed, &p->placed_count, &p->placed_capacity, at);
	if (p->placed[at] && p->placed[at] != id)
		return "two records at one offset";
	cached = id_at(p->cached, p->cached_count, offset);
	if (cached && cached != id)
		return "LOST: another record where one was acknowledged with acks=1, and nothing but kills happened";
	p->placed[at] = id;
	return NULL;
}

const char *ledger_acked(struct ledger_partition *p, int64_t offset, uint64_t id)
{
	p->acked++;
	return place(p, offset, id);
}

const char *ledger_read(struct ledger_partition *p, int64_t offset, uint64_t id)
{
	p->read++;
	return place(p, offset, id);
}

const char *ledger_cached(struct ledger_partition *p, int64_t offset, uint64_t id)
{
	uint64_t known;

	if (offset < 0 || offset > 100000000)
		return "an impossible offset";
	if (!was_sent(p, id))
		return "a record that nobody sent";
	known = id_at(p->placed, p->placed_count, offset);
	grow(&p->cached, &p->cached_count, &p->cached_capacity, (size_t)offset);
	if ((known && known != id) || (p->cached[offset] && p->cached[offset] != id))
		return "two records at one offset";
	p->cached[offset] = id;
	return NULL;
}

void ledger_cache_lost(struct ledger_partition *p)
{
	p->cached_count = 0;
}

const char *ledger_high_watermark(struct ledger_partition *p, int64_t high_watermark, int64_t floor)
{
	if (high_watermark < floor)
		return "the high watermark went back";
	if (high_watermark > p->high_watermark)
		p->high_watermark = high_watermark;
	return NULL;
}

const char *ledger_start(struct ledger_partition *p, int64_t start, int64_t floor)
{
	if (start < floor)
		return "the log's start went back";
	if (start > p->start)
		p->start = start;
	return NULL;
}

void ledger_stamp(struct ledger_partition *p, int64_t offset, int64_t timestamp_ms)
{
	if ((size_t)offset >= p->stamp_count) {
		p->stamps = mem_grow(p->stamps, &p->stamp_capacity, (size_t)offset + 1, sizeof(*p->stamps));
		memset(p->stamps + p->stamp_count, 0, ((size_t)offset + 1 - p->stamp_count) * sizeof(*p->stamps));
		p->stamp_count = (size_t)offset + 1;
	}
	p->stamps[offset] = timestamp_ms;
}

int64_t ledger_youngest_gone(const struct ledger_partition *p, int64_t from, int64_t start)
{
	int64_t youngest = 0;

	for (int64_t i = from; i < start && (size_t)i < p->stamp_count; i++)
		if (p->stamps[i] > youngest)
			youngest = p->stamps[i];
	return youngest;
}

const char *ledger_final_start(struct ledger_partition *p, int64_t start)
{
	if (start < p->moved_to)
		return "a reader was moved on beyond the log's start";
	if (start > p->final_next)
		p->final_next = start;
	return ledger_start(p, start, p->start);
}

const char *ledger_final_record(struct ledger_partition *p, int64_t offset, uint64_t id)
{
	struct ledger_producer *pr = producer_of(p, id);
	int64_t serial = (int64_t)(uint32_t)id;

	if (offset != p->final_next)
		return "a gap between offsets";
	p->final_next++;
	if (!was_sent(p, id))
		return "a record that nobody sent";
	if ((size_t)offset < p->placed_count && p->placed[offset] && p->placed[offset] != id)
		return "LOST: another record stands where one was acknowledged or read";
	if (id_at(p->cached, p->cached_count, offset) && p->cached[offset] != id)
		return "LOST: another record where one was acknowledged with acks=1, and nothing but kills happened";
	if (pr->idempotent && serial == pr->last_seen)
		return "DUPLICATED: a record of an idempotent producer stands twice";
	if (pr->idempotent && serial < pr->last_seen)
		return "DISORDERED: a record stands behind one that its producer sent later";
	pr->last_seen = serial;
	return NULL;
}

const char *ledger_final_end(struct ledger_partition *p, int64_t end_offset)
{
	if (p->final_next != end_offset)
		return "the final reading ended before the end of the log";
	for (size_t i = (size_t)end_offset; i < p->placed_count; i++)
		if (p->placed[i])
			return "LOST: the log ends before a record that was acknowledged or read";
	for (size_t i = (size_t)end_offset; i < p->cached_count; i++)
		if (p->cached[i])
			return "LOST: the log ends before a record of acks=1, and nothing but kills happened";
	if (end_offset < p->high_watermark)
		return "LOST: the log ends before a high watermark that was told";
	return NULL;
}
