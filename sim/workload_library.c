/*
 * workload_library: our own client library at work: it produces with retries and sequences over everything that happens, and consumes
 * by assignment. What its callers are told goes into the ledger, as with the raw clients. Code of a client's node.
 *
 * The library runs on the role's own shard (api_open_on), so no function of it may wait: all timeouts are 0.
 */
#include <stdio.h>

#include "base/alloc.h"
#include "base/murmur2.h"
#include "client/api.h"
#include "sim/world.h"

#define BURST_MAX 12
#define SETTLE_US (25 * SECOND_US)
#define STALL_MS 4000LL

struct sent_record {
	struct library *library;
	struct list_node node;
	unsigned topic;
	int32_t partition;
	uint64_t id;
	int64_t sent_at_us; /* of the simulation */
};

struct library {
	struct world *world;
	struct world_client *client;
	struct mo_client *mo;
	struct list sent;                                   /* without outcome */
	uint32_t producers[WORLD_TOPICS][WORLD_PARTITIONS]; /* in the ledger; 0: none yet */
	int64_t next[WORLD_TOPICS][WORLD_PARTITIONS];       /* offset that the reader wants */
	int64_t goal[WORLD_TOPICS][WORLD_PARTITIONS];       /* has to be read before the end */
	bool assigned[WORLD_TOPICS][WORLD_PARTITIONS];
	bool idempotent;
	int64_t timeout_us; /* delivery.timeout.ms: a record in an older batch has less */
	uint64_t outcomes;
	uint64_t taken;
};

static struct scheduler *sched(struct library *l)
{
	return world_scheduler(l->world);
}

/* --- producing ------------------------------------------------------------------------------------------------------------------ */

/* May a record fail with this when something was wrong since it was sent? */
static bool may_fail_with(enum err e)
{
	switch (e) {
	case ERR_TIMED_OUT:
	case ERR_REQUEST_TIMED_OUT:
	case ERR_CONNECTION_LOST:
	case ERR_CONNECTION_REFUSED:
	case ERR_CLOSED:
	case ERR_NOT_LEADER_OR_FOLLOWER:
	case ERR_LEADER_NOT_AVAILABLE:
	case ERR_KAFKA_STORAGE_ERROR:
	case ERR_OUT_OF_ORDER_SEQUENCE_NUMBER:
	case ERR_UNKNOWN_PRODUCER_ID:
	case ERR_NOT_ENOUGH_REPLICAS:
		return true;
	default:
		return false;
	}
}

static void delivered(void *context, const struct mo_delivery *d)
{
	struct sent_record *r = d->opaque;
	struct library *l = context;
	struct world *w = l->world;
	enum err e = (enum err)d->code;

	must(r->library == l);
	l->outcomes++;
	if ((d->partition != r->partition && !(e && d->partition < 0)) ||
	    strcmp(d->topic, w->topics[r->topic].name) != 0)
		world_fail(w, "the library delivered a record for %s-%d to %s-%d", w->topics[r->topic].name,
			   r->partition, d->topic, d->partition);
	else if (!e)
		world_acked(w, r->topic, r->partition, d->offset, r->id, 1);
	else if (world_was_well(w, r->sent_at_us - l->timeout_us) && !w->disk_trouble)
		world_fail(w, "the library failed a record for %s-%d in health: %s", d->topic, d->partition, d->text);
	else if (!may_fail_with(e))
		world_fail(w, "the library failed a record for %s-%d: %s: %s", d->topic, d->partition, err_name(e),
			   d->text);
	world_note(l->client, "lib delivered", e ? "topic %lld/%lld: error %lld" : "topic %lld/%lld at %lld", r->topic,
		   r->partition, e ? e : d->offset);
	world_note(l->client, "lib delivered", "record %lld of producer %lld", (uint32_t)r->id, (int64_t)(r->id >> 32),
		   0);
	list_remove(&r->node);
	mem_free(r);
}

/* By the partition's number, or by a key that belongs there. */
static void produce_one(struct library *l)
{
	struct world *w = l->world;
	struct sent_record *r;
	unsigned topic = (unsigned)choose(sched(l), 0, w->topic_count - 1);
	int32_t count = w->topics[topic].partition_count;
	char text[600], key[20];
	struct mo_record m = {.topic = w->topics[topic].name, .timestamp_ms = MO_NOW};
	struct mo_err error;

	if (!w->topics[topic].created)
		return;
	r = mem_new(struct sent_record);
	r->library = l;
	r->topic = topic;
	r->sent_at_us = w->sim->scheduler.now_us;
	r->partition = (int32_t)choose(sched(l), 0, count - 1);
	m.partition = r->partition;
	if (chance(sched(l), 1, 4)) {
		size_t size = (size_t)snprintf(key, sizeof(key), "%llx", (long long)choose(sched(l), 0, INT32_MAX));

		r->partition = (int32_t)((murmur2(bytes_of(key, size)) & 0x7fffffff) % (uint32_t)count);
		m.partition = MO_ANY_PARTITION;
		m.key = (struct mo_bytes){key, size};
	}
	if (!l->producers[topic][r->partition])
		l->producers[topic][r->partition] = world_new_producer(w, topic, r->partition, l->idempotent);
	r->id = world_next_id(w, topic, r->partition, l->producers[topic][r->partition]);
	m.value = (struct mo_bytes){text, record_text(r->id, text, sizeof(text))};
	m.opaque = r;
	if (mo_produce(l->mo, &m, &error)) {
		if (error.code != MO_BUSY)
			world_fail(w, "the library did not take a record: %s", error.text);
		mem_free(r);
		return;
	}
	l->taken++;
	list_push_back(&l->sent, &r->node);
}

/* --- consuming ------------------------------------------------------------------------------------------------------------------ */

static void assign(struct library *l, unsigned topic, int32_t partition, int64_t offset)
{
	struct mo_start from = offset ? MO_OFFSET(offset) : MO_BEGINNING;
	struct mo_err error;

	if (mo_assign(l->mo, l->world->topics[topic].name, partition, from, &error))
		world_fail(l->world, "the library does not take an assignment: %s", error.text);
	l->next[topic][partition] = offset;
	l->assigned[topic][partition] = true;
}

static void assign_what_is_there(struct library *l)
{
	for (unsigned t = 0; t < l->world->topic_count; t++)
		for (int32_t i = 0; i < l->world->topics[t].partition_count && l->world->topics[t].created; i++)
			if (!l->assigned[t][i])
				assign(l, t, i, l->next[t][i]);
}

static int topic_named(struct library *l, const char *name)
{
	for (unsigned i = 0; i < l->world->topic_count; i++)
		if (!strcmp(l->world->topics[i].name, name))
			return (int)i;
	return -1;
}

static bool take_message(struct library *l, const struct mo_message *m)
{
	int topic = topic_named(l, m->topic);
	struct bytes value = bytes_of(m->value.data, m->value.size);
	int64_t *next;

	if (topic < 0 || m->partition < 0 || m->partition >= l->world->topics[topic].partition_count) {
		world_fail(l->world, "the library consumed of %s-%d, which nobody assigned", m->topic, m->partition);
		return false;
	}
	next = &l->next[topic][m->partition];
	if (m->offset > *next && l->world->trims) {
		world_moved_on(l->world, (unsigned)topic, m->partition, m->offset);
		*next = m->offset;
	}
	if (m->offset != *next) {
		world_fail(l->world, "the library gave %s-%d at %lld instead of %lld", m->topic, m->partition,
			   (long long)m->offset, (long long)*next);
		return false;
	}
	if (m->end)
		return true;
	*next += 1;
	if (!record_id(value)) {
		world_verdict(l->world, (unsigned)topic, m->partition, m->offset,
			      "the library gave bytes that are no record of anybody");
		return false;
	}
	world_read(l->world, (unsigned)topic, m->partition, m->offset, record_id(value), m->timestamp_ms);
	return true;
}

/* A partition stopped with an error: it is in the text. All are assigned anew; those that go on are not harmed by it. */
static void consume_failed(struct library *l, const struct mo_err *error)
{
	enum err e = (enum err)error->code;
	bool in_trouble = (e == ERR_KAFKA_STORAGE_ERROR && (l->world->disk_trouble || !world_is_well(l->world))) ||
			  (e == ERR_STALLED &&
			   !world_was_well(l->world, l->world->sim->scheduler.now_us - 2 * STALL_MS * 1000));

	world_note(l->client, "lib consume", "error %lld", e, 0, 0);
	if (!in_trouble)
		world_fail(l->world, "the library's consumer: %s: %s", err_name(e), error->text);
	memset(l->assigned, 0, sizeof(l->assigned));
}

static void consume_some(struct library *l)
{
	unsigned most = (unsigned)choose_skewed(sched(l), 1, 400);
	const struct mo_message *m;
	struct mo_err error;

	assign_what_is_there(l);
	while (most--) {
		int code = mo_consume(l->mo, 0, &m, &error);

		if (code == MO_TIMED_OUT)
			return;
		if (code) {
			consume_failed(l, &error);
			return;
		}
		if (!take_message(l, m))
			return;
	}
}

/* Somebody seeks. */
static void seek(struct library *l)
{
	unsigned topic = (unsigned)choose(sched(l), 0, l->world->topic_count - 1);
	int32_t partition = (int32_t)choose(sched(l), 0, l->world->topics[topic].partition_count - 1);
	int64_t *next = &l->next[topic][partition];

	if (l->assigned[topic][partition] && *next > 0)
		assign(l, topic, partition, choose(sched(l), 0, *next));
}

/* --- a client's life -------------------------------------------------------------------------------------------------------------- */

static int open_library(struct library *l, struct shard *shard, struct mo_err *ret_error)
{
	static const char *const codecs[] = {"none", "gzip", "snappy", "lz4", "zstd"};
	char servers[80], linger[24], timeout[24], in_flight[24], batch[24], memory[24];
	const struct mo_option options[] = {
		{"bootstrap.servers", servers},
		{"enable.idempotence", l->idempotent ? "true" : "false"},
		{"acks", "all"},
		{"linger.ms", linger},
		{"delivery.timeout.ms", timeout},
		{"request.timeout.ms", "2500"},
		{"max.in.flight.requests.per.connection", in_flight},
		{"batch.size", batch},
		{"buffer.memory", memory},
		{"max.block.ms", "0"},
		{"moldau.stall.timeout.ms", "4000"},
		{"compression.type", codecs[chance(sched(l), 1, 2) ? choose(sched(l), 0, countof(codecs) - 1) : 0]},
		{"allow.auto.create.topics", "false"},
		{"auto.offset.reset", l->world->trims ? "earliest" : "none"},
		{"enable.partition.eof", l->world->trims ? "true" : "false"},
	};

	snprintf(servers, sizeof(servers), "%s:%d", l->world->address.host, l->world->address.port);
	snprintf(linger, sizeof(linger), "%lld", (long long)choose_skewed(sched(l), 0, 300));
	l->timeout_us = choose(sched(l), 3, 30) * SECOND_US;
	snprintf(timeout, sizeof(timeout), "%lld", (long long)l->timeout_us / 1000);
	snprintf(in_flight, sizeof(in_flight), "%lld", (long long)choose(sched(l), 1, 5));
	snprintf(batch, sizeof(batch), "%lld", (long long)choose_skewed(sched(l), 100, 20000));
	snprintf(memory, sizeof(memory), "%lld", (long long)choose_skewed(sched(l), 100000, 1 << 20));
	return api_open_on(shard, options, countof(options), &l->mo, ret_error);
}

/* What was without outcome when the client was closed stays unknown. */
static void forget_sent(struct library *l)
{
	struct list_node *n;

	while ((n = list_pop_front(&l->sent)))
		mem_free(container_of(n, struct sent_record, node));
	memset(l->producers, 0, sizeof(l->producers));
}

static void set_goals(struct library *l)
{
	for (unsigned t = 0; t < l->world->topic_count; t++)
		for (int32_t i = 0; i < l->world->topics[t].partition_count; i++)
			l->goal[t][i] = (int64_t)l->world->topics[t].partitions[i].placed_count;
}

static bool reached_goals(const struct library *l)
{
	for (unsigned t = 0; t < WORLD_TOPICS; t++)
		for (unsigned i = 0; i < WORLD_PARTITIONS; i++)
			if (l->next[t][i] < l->goal[t][i])
				return false;
	return true;
}

/* Everything sent has its outcome and all that is known to be there is read; within a bound, since all is well now. */
static void finish_await(struct fiber *self, struct library *l)
{
	int64_t until = l->world->sim->scheduler.now_us + SETTLE_US;

	set_goals(l);
	while (!l->world->sim->failed && (!list_empty(&l->sent) || !reached_goals(l))) {
		(void)mo_poll(l->mo, 0);
		consume_some(l);
		if (fiber_sleep_await(self, choose_skewed(sched(l), 1000, 50000)))
			return;
		if (l->world->sim->scheduler.now_us > until)
			world_fail(l->world, "the library %s in %lld s of health",
				   list_empty(&l->sent) ? "did not read to the end" : "left records without outcome",
				   SETTLE_US / SECOND_US);
	}
	if (!l->world->sim->failed && l->outcomes != l->taken)
		world_fail(l->world, "the library took %llu records and told of %llu", (unsigned long long)l->taken,
			   (unsigned long long)l->outcomes);
}

static void work_await(struct fiber *self, struct library *l)
{
	while (l->world->phase == CLIENT_WORKS && !l->world->sim->failed) {
		unsigned burst = chance(sched(l), 1, 2) ? (unsigned)choose_skewed(sched(l), 0, BURST_MAX) : 0;

		while (burst--)
			produce_one(l);
		(void)mo_poll(l->mo, 0);
		consume_some(l);
		if (chance(sched(l), 1, 60))
			seek(l);
		if (chance(sched(l), 1, 400)) /* this client ends, with what it has in hand; another one begins */
			return;
		if (fiber_sleep_await(self, choose_skewed(sched(l), 1000, 400000)))
			return;
	}
}

void library_role_fiber(struct fiber *self, void *argument)
{
	struct world_client *c = argument;
	struct library *l = mem_new(struct library);
	struct mo_err error;

	l->world = c->world;
	l->client = c;
	list_init(&l->sent);
	while (c->world->phase == CLIENT_WORKS && !c->world->sim->failed && !fiber_cancelled(self)) {
		l->idempotent = chance(sched(l), 7, 8);
		l->outcomes = l->taken = 0;
		if (open_library(l, fiber_shard(self), &error)) {
			world_fail(c->world, "the library does not open: %s", error.text);
			break;
		}
		mo_set_delivery(l->mo, delivered, l);
		memset(l->assigned, 0, sizeof(l->assigned));
		work_await(self, l);
		if (c->world->phase != CLIENT_WORKS)
			finish_await(self, l);
		api_close_await(self, l->mo);
		api_end(l->mo);
		forget_sent(l);
	}
	mem_free(l);
	client_role_over(c, self);
}
