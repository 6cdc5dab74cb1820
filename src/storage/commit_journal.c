/* commit_journal: what a round writes to the journal; see round.h and journal_format.h. */
#include "base/alloc.h"
#include "storage/round.h"

static const uint8_t zeros[JOURNAL_BLOCK];

static void journal_part(struct round *r, size_t *count, struct bytes part)
{
	r->journal_parts = mem_grow(r->journal_parts, &r->journal_part_capacity, *count + 1, sizeof(*r->journal_parts));
	r->journal_parts[(*count)++] = part;
}

/* A record's head, in `heads` (whose memory was reserved: it does not move), and its bytes. */
static void journal_record(struct round *r, size_t *count, struct journal_record *record, const struct bytes *parts,
			   size_t part_count)
{
	struct journal *j = &r->folder->journal;
	size_t start = r->heads.size;

	record->run = r->folder->of->run;
	record->generation = j->generation;
	record->live = r->live;
	record->round = j->round;
	record->unsynced = j->round - 1 - j->round_synced < UINT16_MAX ? (uint16_t)(j->round - 1 - j->round_synced)
								       : UINT16_MAX;
	journal_head_write(&r->heads, record, parts, part_count);
	must(!r->heads.error);
	journal_part(r, count, bytes_of(r->heads.data + start, r->heads.size - start));
	for (size_t i = 0; i < part_count; i++)
		journal_part(r, count, parts[i]);
}

static struct journal_record record_of(const struct log *l, enum journal_kind kind)
{
	return (struct journal_record){
		.kind = kind,
		.topic_id = l->topic_id,
		.topic = log_topic(l),
		.partition = l->partition,
		.acknowledged = l->acknowledged,
		.position = l->start_kept,
	};
}

struct journal_plan {
	size_t logs;
	size_t bytes;
	size_t records;
};

static struct journal_plan journal_plan(struct round *r)
{
	struct journal_plan plan = {0};

	for (size_t i = 0; i < r->count; i++) {
		if (r->logs[i].sync && r->logs[i].part_count) {
			plan.logs++;
			plan.bytes += r->logs[i].bytes;
		}
	}
	plan.records = plan.logs + 1;
	if (r->folder->bounds_due)
		list_for_each(&r->folder->noted, n) plan.records++;
	list_for_each(&r->folder->forgets, n) plan.records++;
	return plan;
}

static void journal_fill(struct round *r, size_t *count)
{
	struct store_folder *f = r->folder;
	struct journal_record record;
	struct list_node *n;

	while ((n = list_pop_front(&f->forgets)) != NULL) {
		struct forget *forget = container_of(n, struct forget, node);

		list_push_back(&r->forgets, n);
		record = record_of(forget->log, JOURNAL_FORGET);
		record.base_offset = forget->end_offset;
		record.file_base = forget->file_base;
		journal_record(r, count, &record, NULL, 0);
	}
	for (size_t i = 0; i < r->count; i++) {
		struct round_log *rl = &r->logs[i];

		if (!rl->sync || !rl->part_count)
			continue;
		record = record_of(rl->log, JOURNAL_DATA);
		record.file_base = rl->segment->base_offset;
		record.position = rl->position;
		record.base_offset = rl->base_offset;
		if (list_linked(&rl->log->noted_node)) /* its bound goes with it */
			list_remove(&rl->log->noted_node);
		journal_record(r, count, &record, r->parts + rl->part_at, rl->part_count);
	}
	while (f->bounds_due && (n = list_pop_front(&f->noted)) != NULL) {
		struct log *l = container_of(n, struct log, noted_node);

		record = record_of(l, JOURNAL_NOTE);
		journal_record(r, count, &record, NULL, 0);
		f->bounds_dirty = true;
	}
	f->bounds_due = false;
	record = (struct journal_record){.kind = JOURNAL_END};
	journal_record(r, count, &record, NULL, 0);
}

/* Before its round is synced a log is in the generation: the keeper must not free it before the segment is synced. */
static void journal_claim(struct round *r)
{
	struct journal *j = &r->folder->journal;

	for (size_t i = 0; i < r->count; i++) {
		struct log *l = r->logs[i].log;

		if (!r->logs[i].sync || !r->logs[i].part_count || l->first_generation)
			continue;
		l->first_generation = j->generation;
		if (!r->folder->tick_armed)
			event_signal(&r->folder->chores); /* it is synced when it came to rest */
	}
}

static enum err journal_put_await(struct fiber *self, struct round *r, size_t count)
{
	struct journal *j = &r->folder->journal;
	size_t size = 0, padding;
	struct fan fan = {.fiber = self};
	struct round_log write = {.fan = &fan, .op = {.done = round_op_done}};

	for (size_t i = 0; i < count; i++)
		size += r->journal_parts[i].size;
	padding = (JOURNAL_BLOCK - size % JOURNAL_BLOCK) % JOURNAL_BLOCK;
	journal_part(r, &count, bytes_of(zeros, padding));
	must(j->at + size + padding <= j->size);
	fan_add(&fan);
	file_write(j->files[j->active], &write.op, r->journal_parts, count, (int64_t)j->at);
	j->at += size + padding;
	fan_wait_await(self, &fan);
	return write.error;
}

enum err round_write_journal_await(struct fiber *self, struct round *r)
{
	struct store_folder *f = r->folder;
	struct journal_plan plan = journal_plan(r);
	size_t count = 0;

	if (plan.bytes > plan.logs * JOURNAL_BYTES_PER_LOG_MAX ||
	    !journal_make_room(f, plan.bytes + plan.records * JOURNAL_RECORD_HEAD_MAX + JOURNAL_BLOCK))
		return ERR_AGAIN;
	buf_reset(&r->heads);
	if (!buf_reserve(&r->heads, plan.records * JOURNAL_RECORD_HEAD_MAX))
		return ERR_AGAIN;
	r->number = ++f->journal.round;
	r->live = f->journal.live;
	r->journal_file = f->journal.active;
	journal_fill(r, &count);
	journal_claim(r);
	return journal_put_await(self, r, count);
}

enum err round_note_journal_await(struct fiber *self, struct round *r)
{
	struct journal *j = &r->folder->journal;
	struct journal_record end = {.kind = JOURNAL_END};
	size_t count = 0;
	enum err e;

	if (j->at + JOURNAL_BLOCK > j->size)
		return ERR_AGAIN;
	buf_reset(&r->heads);
	if (!buf_reserve(&r->heads, JOURNAL_RECORD_HEAD_MAX))
		return ERR_AGAIN;
	j->round++;
	r->live = j->live;
	journal_record(r, &count, &end, NULL, 0);
	e = journal_put_await(self, r, count);
	if (!e && store_syncs(r->folder->store))
		e = file_sync_await(self, j->files[j->active]);
	if (e)
		return e;
	r->folder->note_wanted = j->live > r->live;
	if (j->durable_live < r->live)
		j->durable_live = r->live;
	return OK;
}
