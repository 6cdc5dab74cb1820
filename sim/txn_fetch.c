/* txn_fetch: see the header. */
#include "sim/txn_fetch.h"

#include "base/alloc.h"
#include "record/control.h"
#include "record/record.h"

#define ANSWER_US (20 * SECOND_US)
#define DECOMPRESSED_MAX (1 << 20)
#define DROPPED_MAX 64

/* Who is aborted from where on is told, and his marker ends that. */
struct filter {
	const struct fetch_response_aborted_transaction *told;
	int32_t told_count;
	bool *begun;
	int64_t dropped[DROPPED_MAX];
	unsigned dropped_count;
};

static bool drops(const struct filter *x, int64_t producer_id)
{
	for (unsigned i = 0; i < x->dropped_count; i++)
		if (x->dropped[i] == producer_id)
			return true;
	return false;
}

static void begin_up_to(struct filter *x, int64_t offset)
{
	for (int32_t i = 0; i < x->told_count; i++) {
		if (x->begun[i] || x->told[i].first_offset > offset)
			continue;
		x->begun[i] = true;
		if (drops(x, x->told[i].producer_id))
			continue;
		must(x->dropped_count < DROPPED_MAX);
		x->dropped[x->dropped_count++] = x->told[i].producer_id;
	}
}

static void end_drop(struct filter *x, int64_t producer_id)
{
	for (unsigned i = 0; i < x->dropped_count; i++)
		if (x->dropped[i] == producer_id)
			x->dropped[i--] = x->dropped[--x->dropped_count];
}

static void wrong(struct world *w, const struct txn_fetch *f, int64_t offset, const char *what)
{
	world_fail(w, "%s-%d at %lld: %s", w->txn->topics[f->topic], f->partition, (long long)offset, what);
}

/* False: there are as many as are wanted. */
static bool take_batch(struct world *w, struct txn_fetch *f, struct bytes batch, struct buf *scratch)
{
	struct record_iter it;
	struct record r;
	enum err e = record_iter_init(&it, batch, scratch, DECOMPRESSED_MAX, NULL);

	while (!e && !(e = record_iter_next(&it, &r))) {
		if (r.offset < f->offset)
			continue;
		if (f->count == f->most)
			return false;
		f->records[f->count++] = (struct txn_record){r.offset, txn_record_write(r.value)};
		f->next = r.offset + 1;
	}
	if (e != ERR_END)
		wrong(w, f, f->next, "a reader was given a batch that does not parse");
	return true;
}

static void take_records(struct world *w, struct txn_fetch *f, const struct fetch_response_partition_data *d)
{
	struct filter x = {.told = d->aborted_transactions, .told_count = d->aborted_transactions_count};
	struct bytes rest = d->records, batch;
	struct batch_header h;
	struct buf scratch;

	if (x.told_count < 0)
		x.told_count = 0;
	x.begun = mem_zalloc((size_t)x.told_count + 1);
	buf_init(&scratch, DECOMPRESSED_MAX);
	while (batch_next(&rest, &h, &batch) == OK) {
		struct end_marker marker;

		if (h.base_offset >= d->last_stable_offset) {
			wrong(w, f, h.base_offset, "a batch from beyond the last stable offset");
			break;
		}
		if (!batch_crc_ok(batch))
			wrong(w, f, h.base_offset, "a reader was given a batch with a wrong CRC");
		begin_up_to(&x, batch_last_offset(&h));
		if (batch_is_control(&h)) {
			if (end_marker_of(batch, &marker) == OK && !marker.committed)
				end_drop(&x, h.producer_id);
		} else if (!(batch_is_transactional(&h) && drops(&x, h.producer_id)) &&
			   !take_batch(w, f, batch, &scratch)) {
			break;
		}
		f->next = batch_last_offset(&h) + 1;
	}
	if (x.told_count)
		sim_hit(w->sim, HIT_TXN_DROPPED);
	buf_fini(&scratch);
	mem_free(x.begun);
}

static enum err take_response(struct world *w, struct txn_fetch *f, const struct fetch_response *r)
{
	const struct fetch_response_partition_data *d;

	if (r->error_code)
		return (enum err)r->error_code;
	if (r->responses_count != 1 || r->responses[0].partitions_count != 1 ||
	    r->responses[0].partitions[0].partition_index != f->partition) {
		wrong(w, f, f->offset, "a Fetch was answered for something else");
		return ERR_MALFORMED;
	}
	d = &r->responses[0].partitions[0];
	if (d->error_code)
		return (enum err)d->error_code;
	f->last_stable_offset = d->last_stable_offset;
	f->high_watermark = d->high_watermark;
	if (d->last_stable_offset > d->high_watermark)
		wrong(w, f, d->last_stable_offset, "the last stable offset is beyond the high watermark");
	take_records(w, f, d);
	return OK;
}

enum err txn_fetch_await(struct fiber *self, struct world *w, struct wire_client *wire, struct txn_fetch *f)
{
	int16_t version = (int16_t)choose(world_scheduler(w), 5, 12);
	struct fetch_request_fetch_partition partition;
	struct fetch_request_fetch_topic topic;
	struct fetch_request request;
	struct fetch_response response;
	struct wire_call call;
	struct arena arena;
	enum err e;

	must(f->most <= TXN_FETCH_MAX);
	message_init(api_find(API_FETCH)->request, &request);
	struct_init(&fetch_request_fetch_topic_struct, &topic);
	struct_init(&fetch_request_fetch_partition_struct, &partition);
	partition.partition = f->partition;
	partition.fetch_offset = f->offset;
	partition.partition_max_bytes = (int32_t)choose_skewed(world_scheduler(w), 500, 100000);
	topic.topic = bytes_str(w->txn->topics[f->topic]);
	topic.partitions = &partition;
	topic.partitions_count = 1;
	request.max_wait_ms = f->max_wait_ms;
	request.min_bytes = 1;
	request.max_bytes = 1 << 20;
	request.isolation_level = 1;
	request.session_epoch = -1;
	request.topics = &topic;
	request.topics_count = 1;
	f->count = 0;
	f->next = f->offset;
	arena_init(&arena, 4 << 20);
	e = wire_ask_await(self, wire, API_FETCH, version, &request, ANSWER_US, &call, &arena, &response);
	if (!e)
		e = take_response(w, f, &response);
	arena_fini(&arena);
	wire_call_fini(&call);
	return e;
}
