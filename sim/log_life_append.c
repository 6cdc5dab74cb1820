/* log_life_append: what producers append, one after the other, again, with gaps, in transactions; what the log must refuse. See sim/log_life.h. */
#include <stdio.h>

#include "base/alloc.h"
#include "record/builder.h"
#include "sim/log_life.h"

struct append {
	struct log_append log;
	struct batch_facts facts;
	struct live_log *live;
	uint8_t data[];
};

static void released(struct log_append *a)
{
	struct append *ap = container_of(a, struct append, log);

	mem_free(ap);
}

/* A record of a compacted log: small, with one of a few keys, now and then without a value. */
static enum err append_keyed(struct scheduler *s, struct batch_builder *b, int64_t now_ms)
{
	char key[3], value[200];
	size_t size = (size_t)choose_skewed(s, 20, sizeof(value));

	memset(value, 'a' + (int)choose(s, 0, 25), size);
	snprintf(value, 20, "%016llx", (unsigned long long)prng_next(&s->random));
	snprintf(key, sizeof(key), "%02u", (unsigned)choose_skewed(s, 0, MODEL_KEYS - 1) % MODEL_KEYS);
	return batch_builder_append(b, now_ms + choose(s, 0, 50), bytes_of(key, 2),
				    chance(s, 1, 8) ? bytes_null() : bytes_of(value, size), NULL, 0);
}

struct append_of {
	int64_t producer_id;
	int16_t epoch;
	int32_t sequence;
	unsigned count;
	bool transactional;
};

static struct append *make_append(struct live_log *l, struct append_of of)
{
	struct scheduler *s = log_life_scheduler(l);
	struct batch_options options = batch_options_default(200000);
	struct batch_rules rules = {
		.max_message_bytes = 1 << 20,
		.max_decompressed_bytes = 1 << 20,
		.allow_zstd = true,
		.allow_transactional = true,
		.codec = BATCH_KEEP_CODEC,
		.now_ms = shard_wall_ms(store_shard(l->life->store)),
		.before_max_ms = INT64_MAX,
		.after_max_ms = INT64_MAX,
	};
	struct batch_builder builder;
	struct bytes batch;
	struct append *a;

	options.producer_id = of.producer_id;
	options.producer_epoch = of.producer_id == NO_PRODUCER_ID ? NO_PRODUCER_EPOCH : of.epoch;
	options.base_sequence = of.sequence;
	options.is_transactional = of.transactional;
	batch_builder_init(&builder, &options);
	for (unsigned i = 0; i < of.count; i++) {
		char value[1200];
		size_t size;

		if (l->p->compacts) {
			must(append_keyed(s, &builder, rules.now_ms) == OK);
			continue;
		}
		size = (size_t)choose_skewed(s, 20, chance(s, 1, 20) ? 1200 : 300);

		memset(value, 'a' + (int)choose(s, 0, 25), size);
		snprintf(value, 20, "%016llx", (unsigned long long)prng_next(&s->random));
		must(batch_builder_append(&builder, rules.now_ms + choose(s, 0, 50), bytes_null(),
					  bytes_of(value, size), NULL, 0) == OK);
	}
	must(batch_builder_finish(&builder, &batch) == OK);
	a = mem_alloc(sizeof(*a) + batch.size);
	memset(a, 0, sizeof(*a));
	memcpy(a->data, batch.data, batch.size);
	must(batch_validate(bytes_of(a->data, batch.size), &rules, &a->facts) == OK);
	a->live = l;
	a->log = (struct log_append){
		.batch = a->data,
		.size = batch.size,
		.facts = &a->facts,
		.leader_epoch = 0,
		.origin = APPEND_CLIENT,
		.released = released,
	};
	batch_builder_fini(&builder);
	return a;
}

/* Appends and tells the model. */
static enum err append(struct live_log *l, struct append *a)
{
	struct log_partition *p = l->p;
	size_t size = a->log.size;
	enum err e = log_append_batch(l->log, &a->log);
	struct memory_owner *before;
	const char *wrong;

	if (e) {
		log_life_note(p, "refused", "append: %lld", e, 0, 0);
		if (e != ERR_DUPLICATE_SEQUENCE_NUMBER)
			mem_free(a);
		return e;
	}
	before = memory_enter(NULL);
	wrong = log_model_append(&p->model, bytes_of(a->data, size));
	memory_leave(before);
	log_life_note(p, "append", "at %lld, %lld records, %lld bytes", a->log.base_offset, a->facts.record_count,
		      (int64_t)size);
	if (!wrong && (a->log.last_offset != p->model.end - 1 || log_end_offset(l->log) != p->model.end))
		wrong = "the append's last offset or the log's end is wrong";
	log_life_report(p, wrong);
	return OK;
}

void log_life_append_next(struct live_log *l)
{
	struct scheduler *s = log_life_scheduler(l);
	bool idempotent = chance(s, 2, 3), transactional = l->p->transacts && chance(s, 1, 2);
	struct append_of of = {.producer_id = NO_PRODUCER_ID,
			       .sequence = NO_SEQUENCE,
			       .count = (unsigned)choose_skewed(s, 1, 12),
			       .transactional = transactional};
	enum err e;

	if (idempotent || transactional) {
		of.producer_id = (transactional ? 200 : 100) + choose(s, 0, 2);
		of.sequence = log_model_next_sequence(&l->p->model, of.producer_id);
		of.epoch = log_model_epoch(&l->p->model, of.producer_id);
	}
	e = append(l, make_append(l, of));
	if (e && !log_life_is_trouble(e))
		log_life_report(l->p, "the next batch of a producer was refused");
}

/* --- transactions -------------------------------------------------------------------------------------------------------- */

/* As a coordinator writes it; every other one in an epoch of its own, as from transaction version 2 on. */
static struct append *make_end(const struct end_marker *marker, int64_t now_ms, int8_t version)
{
	struct append *a;
	struct buf out;

	buf_init(&out, 200);
	must(end_marker_write(marker, now_ms, &out) == OK);
	a = mem_zalloc(sizeof(*a) + out.size);
	memcpy(a->data, out.data, out.size);
	must(batch_header_read(buf_bytes(&out), &a->facts.header) == OK);
	a->facts.record_count = 1;
	a->log = (struct log_append){
		.batch = a->data,
		.size = out.size,
		.facts = &a->facts,
		.leader_epoch = 0,
		.origin = APPEND_COORDINATOR,
		.transaction_version = version,
		.released = released,
	};
	buf_fini(&out);
	return a;
}

void log_life_append_end(struct live_log *l)
{
	struct scheduler *s = log_life_scheduler(l);
	struct log_model *m = &l->p->model;
	int8_t version = chance(s, 1, 2) ? 2 : 1;
	struct end_marker marker = {.committed = chance(s, 1, 2), .producer_id = 200 + choose(s, 0, 2)};
	bool open = log_model_is_open(m, marker.producer_id);
	enum err e;

	if (!log_model_last_of(m, marker.producer_id, 0) || (!open && !chance(s, 1, 10)))
		return;
	marker.producer_epoch = (int16_t)(log_model_epoch(m, marker.producer_id) + (version == 2 && open));
	e = append(l, make_end(&marker, shard_wall_ms(store_shard(l->life->store)), version));
	if (e && !log_life_is_trouble(e))
		log_life_report(l->p, "the end of a transaction was refused");
	l->p->txns_ended += !e && open;
}

/* What must not be taken: plain records of who has a transaction open, and ends by an epoch that is over. */
void log_life_append_fenced(struct live_log *l)
{
	struct scheduler *s = log_life_scheduler(l);
	struct log_model *m = &l->p->model;
	int64_t id = 200 + choose(s, 0, 2);
	int16_t epoch = log_model_epoch(m, id);
	struct append *a;
	enum err e, wanted = ERR_INVALID_TXN_STATE;

	if (!log_model_is_open(m, id))
		return;
	if (epoch > 0 && chance(s, 1, 2)) {
		struct end_marker marker = {.producer_id = id, .producer_epoch = (int16_t)(epoch - 1)};

		a = make_end(&marker, shard_wall_ms(store_shard(l->life->store)), 1);
		wanted = ERR_INVALID_PRODUCER_EPOCH;
	} else {
		a = make_append(l, (struct append_of){.producer_id = id,
						      .epoch = epoch,
						      .sequence = log_model_next_sequence(m, id),
						      .count = 1});
	}
	e = log_append_batch(l->log, &a->log);
	log_life_note(l->p, "fenced", "%lld", e, 0, 0);
	if (e == OK)
		log_life_report(l->p, "what a producer's transaction forbids was taken");
	if (e && e != wanted && !log_life_is_trouble(e))
		log_life_report(l->p, "what a producer's transaction forbids was refused for another reason");
	if (e)
		mem_free(a);
}

void log_life_append_again(struct live_log *l)
{
	struct scheduler *s = log_life_scheduler(l);
	struct log_model *m = &l->p->model;
	unsigned back = (unsigned)choose(s, 0, 4);
	int64_t id = 100 + choose(s, 0, 2);
	const struct model_batch *b = log_model_last_of(m, id, back);
	struct append *a;
	enum err e;

	log_life_note_start(l);
	if (!b || b->base_offset < m->start || b->base_offset < m->told_start)
		return;
	a = make_append(
		l, (struct append_of){.producer_id = id, .sequence = b->base_sequence, .count = (unsigned)b->count});
	e = log_append_batch(l->log, &a->log);
	log_life_note(l->p, "again", "%lld: %lld", b->base_offset, e, 0);
	if (e == OK) {
		log_life_report(l->p, "DUPLICATED: a batch that the log holds was taken again");
		return;
	}
	if (e == ERR_DUPLICATE_SEQUENCE_NUMBER) {
		if (a->log.base_offset != b->base_offset || a->log.last_offset != b->base_offset + b->count - 1)
			log_life_report(l->p, "a duplicate was told other offsets than its original's");
	} else if (e == ERR_OUT_OF_ORDER_SEQUENCE_NUMBER) {
		log_life_report(l->p, "one of a producer's last batches was not known again");
	} else if (!log_life_is_trouble(e)) {
		log_life_report(l->p, "a duplicate was refused for another reason");
	}
	mem_free(a);
}

void log_life_append_gap(struct live_log *l)
{
	struct log_model *m = &l->p->model;
	int64_t id = 100 + choose(log_life_scheduler(l), 0, 2);
	const struct model_batch *b = log_model_last_of(m, id, 0);
	struct append *a;
	enum err e;

	if (!b || b->base_offset < m->start || b->base_offset < m->told_start)
		return;
	a = make_append(l, (struct append_of){.producer_id = id,
					      .sequence = sequence_add(log_model_next_sequence(m, id), 3),
					      .count = 1});
	e = log_append_batch(l->log, &a->log);
	log_life_note(l->p, "gap", "%lld", e, 0, 0);
	if (e == OK) {
		log_life_report(l->p, "a batch with a gap before it was taken");
		return;
	}
	if (e != ERR_OUT_OF_ORDER_SEQUENCE_NUMBER && !log_life_is_trouble(e))
		log_life_report(l->p, "a gap was refused for another reason");
	mem_free(a);
}
