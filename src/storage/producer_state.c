/* producer_state: see producer_state.h. Pure; uses base and record only. */
#include "storage/producer_state.h"

#include "base/alloc.h"
#include "base/crc32c.h"
#include "base/mutant.h"
#include "base/reader.h"

#define SNAPSHOT_VERSION 1
#define SNAPSHOT_ENTRIES_AT 6 /* version and CRC come before what the CRC covers */
#define SNAPSHOT_ENTRY_SIZE 46
#define PRIORS_MAGIC 0x4d6f5072u /* "MoPr" */

void producer_state_init(struct producer_state *p)
{
	*p = (struct producer_state){0};
}

void producer_state_fini(struct producer_state *p)
{
	mem_free(p->entries);
	mem_free(p->slots);
	mem_free(p->undo);
	mem_free(p->verifying);
	open_txns_fini(&p->txns);
	producer_state_init(p);
}

/* Guards that were given before are of no more use, and are not given again. */
void producer_state_clear(struct producer_state *p)
{
	uint64_t last_guard = p->last_guard;

	producer_state_fini(p);
	p->last_guard = last_guard;
}

/* splitmix64's finisher: ids come in runs. */
static uint64_t hash_of(int64_t id)
{
	uint64_t z = (uint64_t)id + 0x9e3779b97f4a7c15u;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

/* The slot that holds the id, or the free one where it belongs. */
static uint32_t *slot_of(const struct producer_state *p, int64_t id)
{
	uint32_t mask = p->slot_count - 1;
	uint32_t at = (uint32_t)hash_of(id) & mask;

	while (p->slots[at] && p->entries[p->slots[at] - 1].producer_id != id)
		at = (at + 1) & mask;
	return &p->slots[at];
}

static void slots_rebuild(struct producer_state *p, uint32_t slot_count)
{
	mem_free(p->slots);
	p->slots = slot_count ? mem_zalloc(slot_count * sizeof(*p->slots)) : NULL;
	p->slot_count = slot_count;
	for (uint32_t i = 0; i < p->count; i++)
		*slot_of(p, p->entries[i].producer_id) = i + 1;
}

static struct producer_entry *entry_find(const struct producer_state *p, int64_t id)
{
	uint32_t *slot = p->slot_count ? slot_of(p, id) : NULL;

	return slot && *slot ? &p->entries[*slot - 1] : NULL;
}

const struct producer_entry *producer_state_find(const struct producer_state *p, int64_t producer_id)
{
	return entry_find(p, producer_id);
}

static struct producer_entry empty_entry(int64_t id, int16_t epoch)
{
	return (struct producer_entry){
		.producer_id = id,
		.last_offset = -1,
		.last_timestamp = NO_TIMESTAMP,
		.txn_first_offset = -1,
		.last_sequence = NO_SEQUENCE,
		.coordinator_epoch = -1,
		.epoch = epoch,
	};
}

static struct producer_entry *entry_add(struct producer_state *p, const struct producer_entry *e)
{
	if (p->count == p->capacity) {
		/* By a half, not by two: with many idle producers the slack is what counts. */
		p->capacity = p->capacity < 2 ? p->capacity + 1 : p->capacity + p->capacity / 2;
		p->entries = mem_realloc(p->entries, p->capacity * sizeof(*p->entries));
	}
	p->entries[p->count++] = *e;
	if (p->count * 4 > p->slot_count * 3)
		slots_rebuild(p, p->slot_count ? p->slot_count * 2 : 2);
	else
		*slot_of(p, e->producer_id) = p->count;
	return &p->entries[p->count - 1];
}

static bool in_sequence(int32_t last, int32_t next)
{
	return next == (last == INT32_MAX ? 0 : last + 1);
}

static int32_t sequence_back(int32_t sequence, int32_t by)
{
	return (int32_t)(((uint32_t)sequence - (uint32_t)by) & 0x7fffffff);
}

static bool find_duplicate(const struct producer_entry *e, const struct batch_header *h,
			   struct producer_duplicate *ret_original)
{
	int32_t last = e->last_sequence, delta = e->last_offset_delta;
	int64_t offset = e->last_offset, timestamp = e->last_timestamp;

	for (uint8_t i = 0; i < e->batch_count; i++) {
		int32_t first = sequence_back(last, delta);

		if (first == h->base_sequence && last == batch_last_sequence(h)) {
			*ret_original = (struct producer_duplicate){offset - delta, offset, timestamp};
			return true;
		}
		if (i + 1 == e->batch_count)
			break;
		last = sequence_back(first, 1);
		delta = e->priors[i].offset_delta;
		offset -= e->priors[i].offset_back;
		timestamp -= e->priors[i].timestamp_back;
	}
	return false;
}

/* --- verification ------------------------------------------------------------------------------------------------- */

static struct verification *verification_of(const struct producer_state *p, int64_t producer_id)
{
	for (size_t i = p->verifying_count; i-- > 0;)
		if (p->verifying[i].producer_id == producer_id)
			return &p->verifying[i];
	return NULL;
}

static void verification_drop(struct producer_state *p, size_t first, size_t count)
{
	if (count == 0)
		return;
	p->verifying_count -= count;
	memmove(p->verifying + first, p->verifying + first + count,
		(p->verifying_count - first) * sizeof(*p->verifying));
}

/* Whatever was verified has begun, or has ended. */
static void verification_over(struct producer_state *p, int64_t producer_id)
{
	struct verification *v = verification_of(p, producer_id);

	if (v)
		verification_drop(p, (size_t)(v - p->verifying), 1);
}

static bool has_open_txn(const struct producer_entry *e)
{
	return e && e->txn_first_offset >= 0;
}

/* The one that this batch is of: what an earlier producer, or one that is not there yet, has open is no reason to ask nobody. */
static bool has_own_open_txn(const struct producer_entry *e, const struct batch_header *h)
{
	return has_open_txn(e) && e->epoch == h->producer_epoch;
}

uint64_t producer_state_verify(struct producer_state *p, const struct batch_header *h, bool begins_at_zero,
			       uint32_t now_s)
{
	struct verification *v = verification_of(p, h->producer_id);

	if (has_own_open_txn(entry_find(p, h->producer_id), h))
		return 0;
	if (!v) {
		if (p->verifying_count == VERIFICATIONS_MAX)
			verification_drop(p, 0, 1);
		p->verifying = mem_grow(p->verifying, &p->verifying_capacity, p->verifying_count + 1,
					sizeof(*p->verifying));
		v = &p->verifying[p->verifying_count++];
		*v = (struct verification){
			.producer_id = h->producer_id,
			.guard = ++p->last_guard,
			.since_s = now_s,
			.lowest_sequence = h->base_sequence,
			.epoch = h->producer_epoch,
			.begins_at_zero = begins_at_zero,
		};
	}
	if (h->producer_epoch > v->epoch || (h->producer_epoch == v->epoch && h->base_sequence < v->lowest_sequence)) {
		v->epoch = h->producer_epoch;
		v->lowest_sequence = h->base_sequence;
	}
	return v->guard;
}

static bool needs_guard(const struct producer_state *p, const struct producer_entry *e, const struct batch_header *h,
			const struct producer_append *a)
{
	const struct verification *v = verification_of(p, h->producer_id);

	if (!a->verified_only || !batch_is_transactional(h) || batch_is_control(h) || has_own_open_txn(e, h))
		return false;
	return !v || !a->guard || v->guard != a->guard;
}

/* --- may it be appended ------------------------------------------------------------------------------------------- */

static enum err check_sequence(const struct producer_state *p, const struct producer_entry *e,
			       const struct batch_header *h)
{
	const struct verification *v = verification_of(p, h->producer_id);

	if (v && v->epoch != h->producer_epoch)
		v = NULL; /* what somebody else tries in vain does not count */
	if (v && v->begins_at_zero && h->base_sequence != 0 && (!e || e->batch_count == 0))
		return ERR_OUT_OF_ORDER_SEQUENCE_NUMBER;
	if (v && h->base_sequence > v->lowest_sequence)
		return ERR_OUT_OF_ORDER_SEQUENCE_NUMBER;
	if (!e || e->epoch < 0)
		return OK;
	if (h->producer_epoch != e->epoch)
		return h->base_sequence == 0 ? OK : ERR_OUT_OF_ORDER_SEQUENCE_NUMBER;
	return in_sequence(e->last_sequence, h->base_sequence) ? OK : ERR_OUT_OF_ORDER_SEQUENCE_NUMBER;
}

static enum err check_data(const struct producer_state *p, const struct producer_entry *e, const struct batch_header *h,
			   const struct producer_append *a)
{
	enum err error = OK;

	if (needs_guard(p, e, h, a))
		return ERR_INVALID_TXN_STATE;
	if (e && h->producer_epoch < e->epoch)
		return ERR_INVALID_PRODUCER_EPOCH;
	if (a->origin == APPEND_CLIENT)
		error = check_sequence(p, e, h);
	if (!error && has_open_txn(e) && !batch_is_transactional(h))
		error = ERR_INVALID_TXN_STATE;
	return error;
}

/*
 * From transaction version 2 on a marker has an epoch above its transaction's, so that one that comes late ends no later transaction. The same one
 * again is welcome when it was written already, and so is the last epoch that there is.
 */
static bool marker_is_fenced(const struct producer_entry *e, const struct batch_header *h,
			     const struct producer_append *a)
{
	if (a->transaction_version < 2)
		return h->producer_epoch < e->epoch;
	if (h->producer_epoch == e->epoch)
		return has_open_txn(e) && h->producer_epoch != INT16_MAX;
	return h->producer_epoch < e->epoch;
}

static enum err check_marker(const struct producer_entry *e, const struct batch_header *h,
			     const struct producer_append *a)
{
	int32_t coordinator_epoch = e ? e->coordinator_epoch : -1;

	if (e && marker_is_fenced(e, h, a))
		return ERR_INVALID_PRODUCER_EPOCH;
	return a->marker->coordinator_epoch < coordinator_epoch ? ERR_TRANSACTION_COORDINATOR_FENCED : OK;
}

enum err producer_state_check(const struct producer_state *p, const struct batch_header *h,
			      const struct producer_append *a, struct producer_duplicate *ret_original)
{
	const struct producer_entry *e;

	if (h->producer_id < 0 || a->origin == APPEND_REPLICA)
		return OK;
	e = entry_find(p, h->producer_id);
	if (a->marker)
		return check_marker(e, h, a);
	if (batch_is_control(h))
		return OK;
	if (MUTANT(SKIP_SEQUENCE_CHECK))
		return needs_guard(p, e, h, a) ? ERR_INVALID_TXN_STATE : OK;
	if (a->origin == APPEND_CLIENT && e && h->producer_epoch == e->epoch && find_duplicate(e, h, ret_original))
		return ERR_DUPLICATE_SEQUENCE_NUMBER;
	return check_data(p, e, h, a);
}

/* --- what an append changes --------------------------------------------------------------------------------------- */

/* Moves the last batch to the priors, if what the priors can hold can tell it from the new one. */
static void push_prior(struct producer_entry *e, const struct batch_header *h)
{
	int64_t offset_back = batch_last_offset(h) - e->last_offset;
	int64_t timestamp_back;

	if (e->batch_count == 0 || !in_sequence(e->last_sequence, h->base_sequence) || offset_back > UINT32_MAX ||
	    __builtin_sub_overflow(h->max_timestamp, e->last_timestamp, &timestamp_back) ||
	    timestamp_back > INT32_MAX || timestamp_back < INT32_MIN) {
		e->batch_count = 0;
		return;
	}
	memmove(&e->priors[1], &e->priors[0], (PRODUCER_BATCHES - 2) * sizeof(e->priors[0]));
	e->priors[0] = (struct producer_prior){
		.offset_back = (uint32_t)offset_back,
		.timestamp_back = (int32_t)timestamp_back,
		.offset_delta = e->last_offset_delta,
	};
	if (e->batch_count == PRODUCER_BATCHES)
		e->batch_count--;
}

static void undo_push(struct producer_state *p, int64_t base_offset, const struct producer_entry *before)
{
	p->undo = mem_grow(p->undo, &p->undo_capacity, p->undo_count + 1, sizeof(*p->undo));
	p->undo[p->undo_count++] = (struct producer_undo){.base_offset = base_offset, .before = *before};
}

static struct producer_entry fresh_entry(const struct batch_header *h, uint32_t now_s)
{
	struct producer_entry fresh = empty_entry(h->producer_id, h->producer_epoch);

	/* If this is cut, what comes next has to be this batch again, and nothing that was sent behind it. */
	fresh.last_sequence = h->base_sequence > 0 ? h->base_sequence - 1 : NO_SEQUENCE;
	fresh.seen_s = now_s;
	return fresh;
}

static void begin_epoch(struct producer_entry *e, int16_t epoch)
{
	e->batch_count = 0;
	e->last_sequence = NO_SEQUENCE;
	e->last_offset = -1;
	e->last_offset_delta = 0;
	e->epoch = epoch;
}

/* Of a control batch that compaction has left empty nothing but the epoch is known: its transaction is long over. */
static struct txn_ended take_control(struct producer_state *p, struct producer_entry *e, const struct batch_header *h,
				     const struct end_marker *marker)
{
	struct txn_ended ended = {.any = has_open_txn(e) && marker, .aborted = marker && !marker->committed};
	int64_t next;

	if (marker)
		e->coordinator_epoch = marker->coordinator_epoch;
	e->last_timestamp = h->max_timestamp;
	if (!ended.any)
		return ended;
	ended.first_offset = e->txn_first_offset;
	next = open_txns_next_open(&p->txns, e->txn_first_offset);
	ended.last_stable_offset = next == TXN_NONE ? h->base_offset + 1 : next;
	open_txns_end(&p->txns, e->txn_first_offset, h->base_offset);
	e->txn_first_offset = -1;
	return ended;
}

static void take_data(struct producer_state *p, struct producer_entry *e, const struct batch_header *h)
{
	if (batch_is_transactional(h) && e->txn_first_offset < 0) {
		e->txn_first_offset = h->base_offset;
		open_txns_begin(&p->txns, h->producer_id, h->base_offset);
	}
	push_prior(e, h);
	e->last_offset = batch_last_offset(h);
	e->last_timestamp = h->max_timestamp;
	e->last_sequence = batch_last_sequence(h);
	e->last_offset_delta = h->last_offset_delta;
	e->batch_count++;
}

struct txn_ended producer_state_update(struct producer_state *p, const struct batch_header *h,
				       const struct end_marker *marker, uint32_t now_s, bool undoable)
{
	struct producer_entry *e;

	if (h->producer_id < 0)
		return (struct txn_ended){0};
	e = entry_find(p, h->producer_id);
	if (!e) {
		struct producer_entry fresh = fresh_entry(h, now_s);

		e = entry_add(p, &fresh);
	}
	if (undoable)
		undo_push(p, h->base_offset, e);
	verification_over(p, h->producer_id);
	e->seen_s = now_s;
	if (e->epoch != h->producer_epoch)
		begin_epoch(e, h->producer_epoch);
	if (batch_is_control(h))
		return take_control(p, e, h, marker);
	take_data(p, e, h);
	return (struct txn_ended){0};
}

void producer_state_settle(struct producer_state *p, int64_t offset)
{
	while (p->undo_first < p->undo_count && p->undo[p->undo_first].base_offset < offset)
		p->undo_first++;
	if (p->undo_first == p->undo_count) {
		p->undo_first = 0;
		p->undo_count = 0;
		mem_free(p->undo);
		p->undo = NULL;
		p->undo_capacity = 0;
	}
}

void producer_state_cut(struct producer_state *p, int64_t offset)
{
	while (p->undo_count > p->undo_first && p->undo[p->undo_count - 1].base_offset >= offset) {
		const struct producer_undo *u = &p->undo[--p->undo_count];
		struct producer_entry *e = entry_find(p, u->before.producer_id);

		if (e)
			*e = u->before;
	}
	open_txns_cut(&p->txns, offset);
}

uint32_t producer_state_expire(struct producer_state *p, uint32_t now_s, uint32_t expiration_s)
{
	uint32_t kept = 0, gone;
	size_t stale = 0;

	for (uint32_t i = 0; i < p->count; i++) {
		const struct producer_entry *e = &p->entries[i];

		if (e->txn_first_offset >= 0 || now_s - e->seen_s < expiration_s)
			p->entries[kept++] = *e;
	}
	gone = p->count - kept;
	p->count = kept;
	while (stale < p->verifying_count && now_s - p->verifying[stale].since_s >= expiration_s)
		stale++;
	verification_drop(p, 0, stale);
	if (kept == 0 && p->verifying_count == 0 && p->txns.ended_count == 0)
		producer_state_clear(p);
	else if (gone)
		slots_rebuild(p, p->slot_count);
	return gone;
}

/* The batches before each producer's last one, behind Kafka's entries, which its readers take without what follows. */
static void write_priors(const struct producer_state *p, struct buf *out)
{
	bool any = false;

	for (uint32_t i = 0; i < p->count && !any; i++)
		any = p->entries[i].batch_count > 1;
	if (!any)
		return;
	buf_put_u32(out, PRIORS_MAGIC);
	for (uint32_t i = 0; i < p->count; i++) {
		const struct producer_entry *e = &p->entries[i];
		uint8_t count = e->batch_count > 1 ? (uint8_t)(e->batch_count - 1) : 0;

		buf_put_i8(out, (int8_t)count);
		for (uint8_t k = 0; k < count; k++) {
			buf_put_u32(out, e->priors[k].offset_back);
			buf_put_i32(out, e->priors[k].timestamp_back);
			buf_put_i32(out, e->priors[k].offset_delta);
		}
	}
}

void producer_state_write(const struct producer_state *p, struct buf *out)
{
	size_t start = out->size;

	buf_put_i16(out, SNAPSHOT_VERSION);
	buf_put_u32(out, 0);
	buf_put_i32(out, (int32_t)p->count);
	for (uint32_t i = 0; i < p->count; i++) {
		const struct producer_entry *e = &p->entries[i];

		buf_put_i64(out, e->producer_id);
		buf_put_i16(out, e->epoch);
		buf_put_i32(out, e->last_sequence);
		buf_put_i64(out, e->last_offset);
		buf_put_i32(out, e->last_offset_delta);
		buf_put_i64(out, e->last_timestamp);
		buf_put_i32(out, e->coordinator_epoch);
		buf_put_i64(out, e->txn_first_offset);
	}
	write_priors(p, out);
	if (out->error)
		return;
	put_be32(out->data + start + 2,
		 crc32c(0, bytes_of(out->data + start + SNAPSHOT_ENTRIES_AT, out->size - start - SNAPSHOT_ENTRIES_AT)));
}

static struct producer_entry read_entry(struct reader *r, uint32_t now_s)
{
	struct producer_entry e = empty_entry(reader_i64(r), NO_PRODUCER_EPOCH);

	e.epoch = reader_i16(r);
	e.last_sequence = reader_i32(r);
	e.last_offset = reader_i64(r);
	e.last_offset_delta = reader_i32(r);
	e.last_timestamp = reader_i64(r);
	e.coordinator_epoch = reader_i32(r);
	e.txn_first_offset = reader_i64(r);
	e.seen_s = now_s;
	e.batch_count = e.last_offset >= 0 && e.last_sequence >= 0 ? 1 : 0;
	return e;
}

/* Behind Kafka's entries: nothing, or what write_priors wrote. */
static enum err read_priors(struct reader *r, struct producer_state *p)
{
	bool any = false;

	if (!reader_left(r))
		return OK;
	if (reader_u32(r) != PRIORS_MAGIC)
		return ERR_CORRUPT;
	for (uint32_t i = 0; i < p->count; i++) {
		struct producer_entry *e = &p->entries[i];
		uint8_t count = (uint8_t)reader_i8(r);

		if (count > PRODUCER_BATCHES - 1 || (count && e->batch_count != 1))
			return ERR_CORRUPT;
		for (uint8_t k = 0; k < count; k++) {
			e->priors[k].offset_back = reader_u32(r);
			e->priors[k].timestamp_back = reader_i32(r);
			e->priors[k].offset_delta = reader_i32(r);
			if (e->priors[k].offset_delta < 0)
				return ERR_CORRUPT;
		}
		e->batch_count = (uint8_t)(e->batch_count + count);
		any = any || count;
	}
	return r->error || reader_left(r) || !any ? ERR_CORRUPT : OK;
}

enum err producer_state_read(struct producer_state *p, struct bytes snapshot, uint32_t now_s)
{
	struct reader r = reader_of(snapshot);
	struct producer_state read;
	int16_t version = reader_i16(&r);
	uint32_t crc = reader_u32(&r);
	int32_t count = reader_i32(&r);

	if (r.error || version != SNAPSHOT_VERSION || count < 0 ||
	    reader_left(&r) < (size_t)count * SNAPSHOT_ENTRY_SIZE)
		return ERR_CORRUPT;
	if (crc != crc32c(0, bytes_of(snapshot.data + SNAPSHOT_ENTRIES_AT, snapshot.size - SNAPSHOT_ENTRIES_AT)))
		return ERR_CORRUPT;
	producer_state_init(&read);
	for (int32_t i = 0; i < count; i++) {
		struct producer_entry e = read_entry(&r, now_s);

		if (e.producer_id < 0 || e.last_offset_delta < 0 || e.last_sequence < NO_SEQUENCE ||
		    (e.last_offset >= 0 && e.last_offset_delta > e.last_offset) || entry_find(&read, e.producer_id)) {
			producer_state_fini(&read);
			return ERR_CORRUPT;
		}
		entry_add(&read, &e);
		if (e.txn_first_offset >= 0)
			open_txns_begin(&read.txns, e.producer_id, e.txn_first_offset);
	}
	if (read_priors(&r, &read)) {
		producer_state_fini(&read);
		return ERR_CORRUPT;
	}
	read.last_guard = p->last_guard;
	producer_state_fini(p);
	*p = read;
	return OK;
}
