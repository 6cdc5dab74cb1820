/* world: a history of one broker and its clients from start to final reading. See the header. */
#include "sim/world.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "broker/broker.h"
#include "sim/world_txn.h"

#define FAULTY_US (26 * SECOND_US)
#define LONGEST_FAULTY_US (90 * SECOND_US)
#define TEXT_LEAST 17
#define RESTS_US (75 * SECOND_US) /* offsets.retention.minutes is one here */

/* --- what roles note ------------------------------------------------------------------------------------------------------------ */

struct scheduler *world_scheduler(struct world *w)
{
	return &w->sim->scheduler;
}

void world_fail(struct world *w, const char *format, ...)
{
	struct memory_owner *before = memory_enter(NULL);
	char text[400];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	sim_fail(w->sim, "%s", text);
	memory_leave(before);
}

void world_verdict(struct world *w, unsigned topic, int32_t partition, int64_t offset, const char *wrong)
{
	if (wrong)
		world_fail(w, "%s-%d at %lld: %s", w->topics[topic].name, partition, (long long)offset, wrong);
}

void world_note(struct world_client *c, const char *what, const char *format, int64_t a, int64_t b, int64_t d)
{
	struct memory_owner *before = memory_enter(NULL);

	trace_event(&c->world->sim->scheduler.trace, c->node->name, what, format, a, b, d);
	memory_leave(before);
}

bool world_is_well(const struct world *w)
{
	return w->broker_ready && !w->troubles && w->sim->scheduler.now_us >= w->unwell_until_us;
}

bool world_was_well(const struct world *w, int64_t since_us)
{
	return world_is_well(w) && since_us >= w->unwell_until_us;
}

bool world_cache_lies(const struct world *w)
{
	return w->sim->hits[HIT_SYNC_LOST] > w->lost_syncs;
}

void world_unwell_until(struct world *w, int64_t time_us)
{
	if (time_us > w->unwell_until_us)
		w->unwell_until_us = time_us;
}

static struct ledger_partition *ledger_of(struct world *w, unsigned topic, int32_t partition)
{
	must(topic < w->topic_count && partition >= 0 && partition < w->topics[topic].partition_count);
	return &w->topics[topic].partitions[partition];
}

uint32_t world_new_producer(struct world *w, unsigned topic, int32_t partition, bool idempotent)
{
	struct memory_owner *before = memory_enter(NULL);
	uint32_t number = ledger_new_producer(ledger_of(w, topic, partition), idempotent);

	memory_leave(before);
	return number;
}

uint64_t world_next_id(struct world *w, unsigned topic, int32_t partition, uint32_t producer)
{
	return ledger_next_id(ledger_of(w, topic, partition), producer);
}

void world_acked(struct world *w, unsigned topic, int32_t partition, int64_t base_offset, uint64_t first_id,
		 int32_t count)
{
	struct memory_owner *before = memory_enter(NULL);

	for (int32_t i = 0; i < count; i++)
		world_verdict(w, topic, partition, base_offset + i,
			      ledger_acked(ledger_of(w, topic, partition), base_offset + i, first_id + (uint64_t)i));
	w->acked += (uint64_t)count;
	memory_leave(before);
}

void world_cached(struct world *w, unsigned topic, int32_t partition, int64_t base_offset, uint64_t first_id,
		  int32_t count, uint64_t cache_losses)
{
	struct memory_owner *before = memory_enter(NULL);

	for (int32_t i = 0; i < count && cache_losses == w->cache_losses; i++) {
		world_verdict(w, topic, partition, base_offset + i,
			      ledger_cached(ledger_of(w, topic, partition), base_offset + i, first_id + (uint64_t)i));
		sim_hit(w->sim, HIT_ACKS_1);
	}
	memory_leave(before);
}

void world_cache_lost(struct world *w)
{
	w->cache_losses++;
	for (unsigned i = 0; i < w->topic_count; i++)
		for (int32_t j = 0; j < w->topics[i].partition_count; j++)
			ledger_cache_lost(ledger_of(w, i, j));
}

void world_read(struct world *w, unsigned topic, int32_t partition, int64_t offset, uint64_t id, int64_t timestamp_ms)
{
	struct memory_owner *before = memory_enter(NULL);

	world_verdict(w, topic, partition, offset, ledger_read(ledger_of(w, topic, partition), offset, id));
	if (w->retention_ms >= 0 && !w->sim->failed)
		ledger_stamp(ledger_of(w, topic, partition), offset, timestamp_ms);
	w->history->read++;
	memory_leave(before);
}

void world_start_asked(struct world *w, unsigned topic, int32_t partition, int64_t start)
{
	int64_t *asked = &w->topics[topic].start_asked[partition];

	if (start > *asked)
		*asked = start;
}

void world_start(struct world *w, unsigned topic, int32_t partition, int64_t start, int64_t floor)
{
	struct ledger_partition *p = ledger_of(w, topic, partition);
	int64_t before = p->start, youngest;

	world_verdict(w, topic, partition, start, ledger_start(p, start, floor));
	if (start > 0 && !w->trims)
		world_verdict(w, topic, partition, start, "a log's start moved, and nobody asked for it");
	if (w->deletes_records && start > w->topics[topic].start_asked[partition])
		world_verdict(w, topic, partition, start, "a log's start moved beyond what DeleteRecords asked for");
	if (start > before)
		sim_hit(w->sim, HIT_TRIMMED);
	youngest = w->retention_ms >= 0 ? ledger_youngest_gone(p, before, start) : 0;
	if (youngest && youngest + w->retention_ms > node_wall_ms(w->broker))
		world_fail(w, "%s-%d: a record of time %lld is gone, too early by %lld ms", w->topics[topic].name,
			   partition, (long long)youngest,
			   (long long)(youngest + w->retention_ms - node_wall_ms(w->broker)));
}

void world_moved_on(struct world *w, unsigned topic, int32_t partition, int64_t offset)
{
	struct ledger_partition *p = ledger_of(w, topic, partition);

	if (!w->trims)
		world_verdict(w, topic, partition, offset, "the library left records out");
	if (offset > p->moved_to)
		p->moved_to = offset;
}

void world_final_start(struct world *w, unsigned topic, int32_t partition, int64_t start)
{
	world_start(w, topic, partition, start, ledger_of(w, topic, partition)->start);
	world_verdict(w, topic, partition, start, ledger_final_start(ledger_of(w, topic, partition), start));
}

void world_high_watermark(struct world *w, unsigned topic, int32_t partition, int64_t high_watermark, int64_t floor)
{
	world_verdict(w, topic, partition, high_watermark,
		      ledger_high_watermark(ledger_of(w, topic, partition), high_watermark, floor));
}

void world_final_record(struct world *w, unsigned topic, int32_t partition, int64_t offset, uint64_t id)
{
	const struct ledger_partition *p = ledger_of(w, topic, partition);
	uint32_t number = (uint32_t)(id >> 32);
	int64_t before = number && number <= p->producer_count ? p->producers[number - 1].last_seen : -1;
	const char *wrong = ledger_final_record(ledger_of(w, topic, partition), offset, id);

	if (wrong)
		world_fail(w, "%s-%d at %lld: record %u of producer %u, whose record before is %lld: %s",
			   w->topics[topic].name, partition, (long long)offset, (uint32_t)id, number, (long long)before,
			   wrong);
}

void world_final_end(struct world *w, unsigned topic, int32_t partition, int64_t end_offset)
{
	world_verdict(w, topic, partition, end_offset, ledger_final_end(ledger_of(w, topic, partition), end_offset));
}

void world_topic_told(struct world *w, unsigned topic, struct uuid id)
{
	struct world_topic *t = &w->topics[topic];

	if (!uuid_is_zero(t->id) && !uuid_equal(t->id, id))
		world_fail(w, "topic %s has another id than before", t->name);
	t->id = id;
	t->created = true;
}

size_t record_text(uint64_t id, char *text, size_t size)
{
	size_t length = TEXT_LEAST + (size_t)(id * 2654435761U >> 8) % 300;

	must(length < size);
	snprintf(text, size, "%016llx", (unsigned long long)id);
	memset(text + 16, 'a' + (int)(id % 26), length - 16);
	return length;
}

uint64_t record_id(struct bytes value)
{
	char digits[17] = "", text[600];
	uint64_t id;
	size_t size;

	if (value.size < TEXT_LEAST || value.size > sizeof(text))
		return 0;
	memcpy(digits, value.data, 16);
	id = strtoull(digits, NULL, 16);
	size = record_text(id, text, sizeof(text));
	return bytes_equal(value, bytes_of(text, size)) ? id : 0;
}

/* --- processes -------------------------------------------------------------------------------------------------------------------- */

static void broker_stopped(struct node *n)
{
	struct world *w = n->context;

	w->broker_ready = false;
	world_unwell_until(w, w->sim->scheduler.now_us + SECOND_US);
}

/* By itself, or as it was asked to. */
static void broker_ended(struct node *n)
{
	struct world *w = n->context;

	if (w->broker_ready && n->exit_code && w->disk_trouble && !w->whole_disk_trouble && w->phase == CLIENT_WORKS)
		sim_fail(w->sim, "the broker ended with exit code %d, though one of its folders was well",
			 n->exit_code);
	if (w->broker_ready && n->exit_code && w->disk_trouble && !w->disk_errors && w->phase == CLIENT_WORKS)
		sim_fail(w->sim, "the broker ended with exit code %d, though its disk was only full or slow",
			 n->exit_code);
	broker_stopped(n);
}

void world_start_broker(struct world *w)
{
	w->broker_life++;
	w->broker_ready = false;
	w->disk_trouble = w->troubles > 0 && w->disk_trouble;
	w->whole_disk_trouble = w->disk_trouble && w->whole_disk_trouble;
	w->disk_errors = w->disk_trouble && w->disk_errors;
	node_start(w->broker, w->shard_count, broker_life_start, w);
}

void world_kill_broker(struct world *w, bool power)
{
	if (power) {
		node_power_loss(w->broker);
		world_cache_lost(w);
	} else {
		node_kill(w->broker);
	}
	w->broker_handle = NULL;
	w->broker_config = NULL;
	if (power)
		w->lost_syncs = w->sim->hits[HIT_SYNC_LOST];
	broker_stopped(w->broker);
}

void world_stop_broker(struct world *w)
{
	struct shard *zero = w->broker->shards[0].shard;
	struct memory_owner *before;

	if (!w->broker_handle)
		return;
	w->broker_ready = false;
	before = node_call_begin(zero);
	broker_stop(w->broker_handle);
	node_call_end(zero, before);
}

static void start_role(struct world_client *c, struct shard *s, void (*role)(struct fiber *self, void *argument))
{
	static const struct fiber_options options = {.name = "role"};

	c->roles++;
	must(fiber_start(s, &options, role, c));
}

/* One client reads and keeps the rest of the broker busy, the others work. */
static void start_txn_roles(struct world_client *c, struct shard *zero)
{
	if (c->number == 0) {
		start_role(c, zero, admin_role_fiber);
		start_role(c, zero, producer_role_fiber);
		start_role(c, zero, txn_reader_role_fiber);
		return;
	}
	for (unsigned i = 0; i < CLIENT_MEMBERS; i++)
		start_role(c, zero, txn_worker_role_fiber);
}

void client_start(struct shard *zero, void *argument)
{
	struct world_client *c = argument;

	if (c->world->phase == CLIENT_VERIFIES) {
		start_role(c, zero, verifier_role_fiber);
		return;
	}
	if (c->world->txn) {
		start_txn_roles(c, zero);
		return;
	}
	if (c->world->group_count) {
		if (c->number == 0)
			start_role(c, zero, admin_role_fiber);
		start_role(c, zero, producer_role_fiber);
		for (unsigned i = 0; i <= c->number % CLIENT_MEMBERS; i++)
			start_role(c, zero,
				   world_group_of(c, i)->talk == GROUP_BY_WIRE ? member_role_fiber
									       : library_member_role_fiber);
		return;
	}
	if (c->number % 3 == 2) {
		start_role(c, zero, library_role_fiber);
		return;
	}
	if (c->number == 0)
		start_role(c, zero, admin_role_fiber);
	start_role(c, zero, producer_role_fiber);
	if (c->number % 2)
		start_role(c, zero, producer_role_fiber);
	start_role(c, zero, consumer_role_fiber);
	start_role(c, zero, committer_role_fiber);
	if (c->number == 0 && c->world->care)
		start_role(c, zero, caretaker_role_fiber);
}

void client_role_over(struct world_client *c, struct fiber *self)
{
	if (--c->roles == 0)
		runtime_stop(shard_runtime(fiber_shard(self)), 0);
}

void world_start_client(struct world_client *c)
{
	c->roles = 0;
	c->members = 0;
	c->done = false;
	if (c->world->txn)
		world_txn_client_starts(c);
	node_start(c->node, 1, client_start, c);
}

/* --- the history -------------------------------------------------------------------------------------------------------------------- */

static void run_for(struct world *w, int64_t duration_us)
{
	int64_t until = w->sim->scheduler.now_us + duration_us;

	while (!w->sim->failed && w->sim->scheduler.now_us < until) {
		int64_t step = w->sim->scheduler.now_us + 10000;

		scheduler_run_until(&w->sim->scheduler, step < until ? step : until);
	}
}

/* Runs until `there` says so; a failure with `what` when that takes longer than patience. */
static void run_until(struct world *w, bool (*there)(const struct world *w), const char *what)
{
	int64_t until = w->sim->scheduler.now_us + PATIENCE_US;

	while (!w->sim->failed && !there(w) && w->sim->scheduler.now_us < until)
		run_for(w, 10000);
	if (!w->sim->failed && !there(w))
		sim_fail(w->sim, "%s within %lld s of health", what, PATIENCE_US / SECOND_US);
}

static bool is_ready(const struct world *w)
{
	return w->broker_ready;
}

static bool is_stopped(const struct world *w)
{
	return !node_up(w->broker);
}

static bool clients_are_over(const struct world *w)
{
	for (unsigned i = 0; i < w->client_count; i++)
		if (node_up(w->clients[i].node))
			return false;
	return true;
}

static bool all_is_read(const struct world *w)
{
	return w->clients[0].done;
}

static void verify(struct world *w)
{
	struct world_client *c = &w->clients[0];

	for (unsigned t = 0; t < w->topic_count; t++)
		for (int32_t i = 0; i < w->topics[t].partition_count; i++) {
			struct ledger_partition *p = ledger_of(w, t, i);

			p->final_next = 0;
			for (size_t k = 0; k < p->producer_count; k++)
				p->producers[k].last_seen = -1;
		}
	w->phase = CLIENT_VERIFIES;
	world_start_client(c);
	run_until(w, all_is_read, "the final reading did not end");
	run_until(w, clients_are_over, "a client did not end");
}

/*
 * A third of the seeds have a caretaker; half of these, where nothing goes by itself, delete records. Apart from the history's own choices, which
 * are what they were without.
 */
static void choose_care(struct world *w, struct history *h)
{
	struct scheduler *s = &w->sim->scheduler;

	if (h->world != WORLD_BROKER || h->seed % 3 != 1)
		return;
	w->care = mem_alloc(CARE_KINDS * sizeof(*w->care));
	memset(w->care, 0, CARE_KINDS * sizeof(*w->care));
	for (unsigned i = 0; i < CARE_KINDS; i++) {
		w->care[i].kind = (enum care_kind)i;
		w->care[i].tombstone_us = choose(s, 1, 8) * SECOND_US;
	}
	w->two_folders = w->two_folders || chance(s, 1, 2);
	if (w->trims || chance(s, 1, 2))
		return;
	w->trims = w->deletes_records = true;
	w->retention_check_ms = choose(s, 100, 2000);
	w->delete_delay_ms = choose_skewed(s, 0, 5000);
}

static void world_init(struct world *w, struct sim *sim, struct history *h)
{
	struct scheduler *s = &sim->scheduler;
	static const int64_t rolls_ms[] = {200, 3000, 604800000}, index_sizes[] = {64, 1000, 10 << 20};

	*w = (struct world){.sim = sim, .history = h};
	w->shard_count = chance(s, 1, 2) ? 4 : 1;
	w->roll_ms = rolls_ms[choose(s, 0, (int64_t)countof(rolls_ms) - 1)];
	w->index_bytes = index_sizes[choose(s, 0, (int64_t)countof(index_sizes) - 1)];
	w->two_folders = chance(s, 1, 3);
	w->retention_ms = w->retention_bytes = -1;
	w->trims = h->world != WORLD_TXN && chance(s, 1, 3);
	if (w->trims) {
		w->roll_ms = rolls_ms[choose(s, 0, 1)];
		if (chance(s, 1, 2))
			w->retention_ms = choose(s, 2000, 15000);
		else
			w->retention_bytes = choose_skewed(s, 0, 60000);
		w->retention_check_ms = choose(s, 100, 2000);
		w->delete_delay_ms = choose_skewed(s, 0, 5000);
	}
	choose_care(w, h);
	w->broker = node_new(sim, 1, "broker");
	w->broker->check_leaks = true;
	node_choose_rare_paths(w->broker, h);
	w->broker->stopped = broker_ended;
	w->broker->finish = broker_life_end;
	w->broker->context = w;
	w->broker->open_file_limit = 100 + 150 * w->shard_count + (size_t)choose_skewed(s, 0, 1000);
	snprintf(w->address.host, sizeof(w->address.host), "%s", w->broker->host);
	w->address.port = BROKER_PORT;
	w->topic_count = (unsigned)choose(s, 1, WORLD_TOPICS);
	for (unsigned i = 0; i < w->topic_count; i++) {
		struct world_topic *t = &w->topics[i];

		snprintf(t->name, sizeof(t->name), "topic-%u", i);
		t->auto_created = i == 1;
		t->partition_count = t->auto_created           ? 3
				     : h->world == WORLD_GROUP ? (int32_t)choose(s, 2, WORLD_PARTITIONS)
							       : (int32_t)choose_skewed(s, 1, WORLD_PARTITIONS);
		for (int32_t j = 0; j < t->partition_count; j++)
			ledger_partition_init(&t->partitions[j]);
	}
	w->client_count = (unsigned)choose(s, 3, WORLD_CLIENTS);
	for (unsigned i = 0; i < w->client_count; i++) {
		struct world_client *c = &w->clients[i];
		char name[20];

		snprintf(name, sizeof(name), "client-%u", i);
		c->world = w;
		c->number = i;
		for (int32_t j = 0; j < WORLD_PARTITIONS; j++)
			offset_ledger_init(&c->offsets[j]);
		c->node = node_new(sim, 2 + i, name);
		c->node->check_leaks = true;
		c->node->wall_offset_ms = choose(s, -5000, 5000);
	}
	if (h->world == WORLD_GROUP)
		world_groups_init(w);
	if (h->world == WORLD_TXN)
		world_txn_init(w);
}

static void world_fini(struct world *w)
{
	world_groups_fini(w);
	if (w->txn)
		world_txn_fini(w);
	for (unsigned i = 0; i < w->client_count; i++)
		node_free(w->clients[i].node);
	node_free(w->broker);
	mem_free(w->care);
	for (unsigned i = 0; i < w->topic_count; i++)
		for (int32_t j = 0; j < w->topics[i].partition_count; j++)
			ledger_partition_fini(&w->topics[i].partitions[j]);
}

static void last_phase(struct world *w)
{
	w->phase = CLIENT_FINISHES;
	run_until(w, clients_are_over, "the clients did not finish");
	if (!w->sim->failed)
		verify(w);
	if (w->sim->failed)
		return;
	world_stop_broker(w);
	run_until(w, is_stopped, "the broker did not stop");
	if (!w->sim->failed && w->broker->exit_code)
		sim_fail(w->sim, "the broker's clean stop ended with exit code %d", w->broker->exit_code);
	if (!w->sim->failed && chance(&w->sim->scheduler, 1, 8)) {
		/* A new disk is a new broker. */
		node_wipe_disk(w->broker);
		world_start_broker(w);
		run_until(w, is_ready, "the broker did not start on an empty disk");
		return;
	}
	if (w->sim->failed || chance(&w->sim->scheduler, 1, 2))
		return;
	/* What a clean stop left opens again and is the same. */
	world_start_broker(w);
	run_until(w, is_ready, "the broker did not start after a clean stop");
	if (!w->sim->failed)
		verify(w);
}

void broker_world_run(struct sim *s, struct history *h)
{
	struct world *w = mem_alloc(sizeof(*w));
	struct nemesis *n;
	uint64_t acked;

	world_init(w, s, h);
	n = nemesis_new(w);
	h->clients = w->client_count;
	world_start_broker(w);
	for (unsigned i = 0; i < w->client_count; i++)
		world_start_client(&w->clients[i]);
	run_for(w, choose(&s->scheduler, 0, SECOND_US));
	nemesis_begin(n);
	run_for(w, FAULTY_US);
	h->acked = w->acked;
	while (!s->failed && s->scheduler.now_us < LONGEST_FAULTY_US &&
	       (h->acked < HISTORY_LEAST_ACKED || h->faults < HISTORY_LEAST_FAULTS)) {
		run_for(w, SECOND_US);
		h->acked = w->acked;
	}
	if (!s->failed)
		nemesis_heal(n);
	run_until(w, is_ready, "the broker did not start");
	acked = w->acked;
	run_for(w, 5 * SECOND_US);
	if (!s->failed && w->acked < acked + 20)
		sim_fail(s, "no progress: %llu records acknowledged in 5 s of health",
			 (unsigned long long)(w->acked - acked));
	if (!s->failed && w->long_rest) {
		w->phase = CLIENT_RESTS;
		run_for(w, RESTS_US);
	}
	if (!s->failed)
		last_phase(w);
	h->acked = w->acked;
	nemesis_free(n);
	world_fini(w);
	mem_free(w);
}
