/*
 * coordinator_test: a toy machine (toy.h) over real logs in a temporary folder: when answers are told, what failed appends, loads and ends do.
 */
#include "coordinator/coordinator.h"

#include "coordinator/hosted.h"
#include "coordinator/toy.h"
#include "runtime/linux/backends.h"
#include "storage/log_fixture.h"

#define PARTITIONS 3
#define MAX_BATCH 20000

struct world {
	struct fixture storage;
	struct replicas *replicas;
	struct coordinator *coordinator;
	struct replica_settings settings;
	struct event finished;
	unsigned finished_count;
	enum codec codec;
	int64_t commit_timeout_ms;
};

static const struct uuid topic_id = {.bytes = {7}};

static void *new_toy(void *context, int32_t partition)
{
	(void)context;
	(void)partition;
	return toy_new();
}

static struct replica_settings settings_of(void)
{
	return (struct replica_settings){
		.log = fixture_config(),
		.max_message_bytes = MAX_BATCH,
		.timestamp_before_max_ms = INT64_MAX,
		.timestamp_after_max_ms = INT64_MAX,
		.codec = BATCH_KEEP_CODEC,
	};
}

static void add_topic(struct world *w, struct uuid id)
{
	static const int32_t epochs[PARTITIONS];

	replicas_add_topic(w->replicas, bytes_str("t"), id, epochs, PARTITIONS, &w->settings);
}

static void world_init(struct world *w)
{
	*w = (struct world){.settings = settings_of(), .commit_timeout_ms = 60000};
	event_init(&w->finished);
	fixture_init(&w->storage);
}

static void start_await(struct fiber *self, struct world *w)
{
	struct replicas_options r = {
		.shard = fiber_shard(self), .shard_count = 1, .max_decompressed_bytes = 1000000, .opening_at_once = 2};
	struct coordinator_options o = {
		.shard = fiber_shard(self),
		.ops = &toy_ops,
		.machine_new = new_toy,
		.codec = w->codec,
		.commit_timeout_ms = w->commit_timeout_ms,
		.load_bytes = 4096,
	};

	fixture_open_await(self, &w->storage);
	r.store = w->storage.store;
	w->replicas = replicas_new(&r);
	o.replicas = w->replicas;
	add_topic(w, topic_id);
	w->coordinator = coordinator_new(&o);
	coordinator_host(w->coordinator, topic_id, PARTITIONS);
}

static void stop_await(struct fiber *self, struct world *w)
{
	coordinator_close_await(self, w->coordinator);
	replicas_close_await(self, w->replicas);
	fixture_close_await(self, &w->storage);
}

static struct hosted *hosted_at(const struct world *w, int32_t partition)
{
	return w->coordinator->table[partition];
}

static void active_await(struct fiber *self, struct world *w, int32_t partition)
{
	while (hosted_at(w, partition)->state != HOSTED_ACTIVE)
		fiber_yield_await(self);
}

static void on_call_finished(struct coordinator_call *c)
{
	struct toy_call *t = container_of(c, struct toy_call, call);
	struct world *w = c->owner;

	EXPECT(!t->finished);
	t->finished = true;
	t->finished_at = ++w->finished_count;
	event_signal(&w->finished);
}

static void submit(struct world *w, struct toy_call *t, int32_t partition,
		   void (*run)(void *state, struct step *s, struct coordinator_call *c))
{
	t->call.finished = on_call_finished;
	t->call.owner = w;
	coordinator_submit(w->coordinator, partition, &t->call, run);
	EXPECT(!t->finished);
}

static enum err finished_await(struct fiber *self, struct world *w, struct toy_call *t)
{
	while (!t->finished)
		EXPECT_OK(event_wait_await(self, &w->finished, FIBER_NO_DEADLINE));
	return t->call.error;
}

static enum err set_await(struct fiber *self, struct world *w, int32_t partition, const char *topic, int64_t offset)
{
	struct toy_call t = {.topic = topic, .offset = offset};

	submit(w, &t, partition, toy_set);
	return finished_await(self, w, &t);
}

/* As a client does: again, until it is there. */
static int64_t get_await(struct fiber *self, struct world *w, int32_t partition, const char *topic)
{
	for (;;) {
		struct toy_call t = {.topic = topic};
		enum err e;

		submit(w, &t, partition, toy_get);
		e = finished_await(self, w, &t);
		if (!e)
			return t.offset;
		EXPECT_ERR(e, ERR_COORDINATOR_LOAD_IN_PROGRESS);
	}
}

/* --- steps and answers ------------------------------------------------------------------------------------------------ */

static void order_fiber(struct fiber *self, void *argument)
{
	enum { CALLS = 100 };
	struct world w;
	struct toy_call calls[CALLS] = {0};
	struct coordinator_figures figures;

	(void)argument;
	world_init(&w);
	start_await(self, &w);
	active_await(self, &w, 1);
	for (int i = 0; i < CALLS; i++) {
		calls[i] = (struct toy_call){.topic = "a", .offset = i};
		submit(&w, &calls[i], 1, i % 2 ? toy_get : toy_set);
	}
	for (unsigned i = 0; i < CALLS; i++) {
		EXPECT_OK(finished_await(self, &w, &calls[i]));
		EXPECT(calls[i].finished_at == i + 1);
		EXPECT(calls[i].offset == (int64_t)(i - i % 2)); /* a read sees what was set right before it */
		EXPECT(hosted_at(&w, 1)->partition->high_watermark == CALLS / 2);
	}
	coordinator_figures(w.coordinator, &figures);
	EXPECT(figures.batches == 1 && figures.records == CALLS / 2);
	stop_await(self, &w);
	fixture_fini(&w.storage);
}

TEST(the_steps_of_a_turn_are_one_batch_and_are_answered_in_order_once_it_is_committed)
{
	run_over_both(1, order_fiber, NULL);
}

static void sizes_fiber(struct fiber *self, void *argument)
{
	struct world w;
	struct toy_call large = {.topic = "a", .offset = 1, .more_bytes = 3000, .records = 20};
	struct toy_call whole = {.topic = "a", .offset = 2, .more_bytes = 3000, .records = 4};
	struct toy_call small = {.topic = "a", .offset = 3};
	struct coordinator_figures figures;

	(void)argument;
	world_init(&w);
	start_await(self, &w);
	active_await(self, &w, 0);
	submit(&w, &large, 0, toy_set);
	submit(&w, &whole, 0, toy_set);
	submit(&w, &small, 0, toy_set);
	EXPECT_OK(finished_await(self, &w, &large));
	EXPECT_OK(finished_await(self, &w, &whole));
	EXPECT_OK(finished_await(self, &w, &small));
	/* 6 + 6 + 6 + 2 of the first, which is larger than a batch; the second would fit behind the two, but for one record. */
	coordinator_figures(w.coordinator, &figures);
	EXPECT(figures.records == 25);
	EXPECT(figures.batches == 4 || figures.batches == 5);
	EXPECT(get_await(self, &w, 0, "a") == 3);
	stop_await(self, &w);
	start_await(self, &w);
	EXPECT(get_await(self, &w, 0, "a") == 3);
	stop_await(self, &w);
	fixture_fini(&w.storage);
}

TEST(a_step_larger_than_a_batch_is_several)
{
	run_over_both(1, sizes_fiber, NULL);
}

static void waits_fiber(struct fiber *self, void *argument)
{
	struct world w;
	struct toy_call timed = {.offset = 5}, left = {.offset = -1};
	int64_t began_ms;

	(void)argument;
	world_init(&w);
	start_await(self, &w);
	active_await(self, &w, 0);
	began_ms = shard_now_ms(fiber_shard(self));
	submit(&w, &timed, 0, toy_wait);
	EXPECT_OK(finished_await(self, &w, &timed));
	EXPECT(shard_now_ms(fiber_shard(self)) >= began_ms + 5);
	submit(&w, &left, 0, toy_wait);
	EXPECT_OK(set_await(self, &w, 0, "a", 1));
	EXPECT(!left.finished);
	coordinator_abandon(&left.call);
	EXPECT_ERR(finished_await(self, &w, &left), ERR_REQUEST_TIMED_OUT);
	coordinator_abandon(&left.call); /* too late: nothing happens */
	stop_await(self, &w);
	fixture_fini(&w.storage);
}

TEST(a_call_that_waits_is_answered_by_time_or_when_it_is_abandoned)
{
	run_over_both(1, waits_fiber, NULL);
}

static void late_fiber(struct fiber *self, void *argument)
{
	struct world w;
	struct toy_call patient = {.call.patient = true, .topic = "b", .offset = 2};

	(void)argument;
	world_init(&w);
	w.commit_timeout_ms = 0;
	start_await(self, &w);
	active_await(self, &w, 0);
	submit(&w, &patient, 0, toy_set);
	EXPECT_ERR(set_await(self, &w, 0, "a", 1), ERR_COORDINATOR_NOT_AVAILABLE);
	while (!list_empty(&hosted_at(&w, 0)->appended) || hosted_at(&w, 0)->open)
		fiber_yield_await(self);
	EXPECT(get_await(self, &w, 0, "a") == 1); /* it was done all the same */
	EXPECT_OK(finished_await(self, &w, &patient));
	stop_await(self, &w);
	fixture_fini(&w.storage);
}

TEST(an_answer_that_is_not_committed_in_time_is_an_error_and_what_was_done_stays)
{
	run_over_both(1, late_fiber, NULL);
}

/* --- failures --------------------------------------------------------------------------------------------------------- */

static void refused_fiber(struct fiber *self, void *argument)
{
	struct world w;
	struct toy_call before = {.topic = "a", .offset = 2}, waiting = {.offset = -1}, behind = {.topic = "a"};
	struct coordinator_figures figures;
	int64_t end;

	(void)argument;
	world_init(&w);
	start_await(self, &w);
	active_await(self, &w, 0);
	EXPECT_OK(set_await(self, &w, 0, "a", 1));
	end = log_end_offset(hosted_at(&w, 0)->partition->log);
	submit(&w, &waiting, 0, toy_wait);
	submit(&w, &before, 0, toy_set);
	submit(&w, &behind, 0, toy_get);
	/* The topic's maximum shrinks before the turn's batch is appended. */
	w.settings.max_message_bytes = BATCH_HEADER_SIZE;
	replicas_configure_topic(w.replicas, topic_id, &w.settings);
	EXPECT_ERR(finished_await(self, &w, &before), ERR_UNKNOWN_SERVER_ERROR);
	EXPECT_ERR(finished_await(self, &w, &behind), ERR_UNKNOWN_SERVER_ERROR);
	EXPECT_ERR(finished_await(self, &w, &waiting), ERR_UNKNOWN_SERVER_ERROR);
	EXPECT(hosted_at(&w, 0)->state == HOSTED_LOADING);
	EXPECT_ERR(set_await(self, &w, 0, "a", 9), ERR_COORDINATOR_LOAD_IN_PROGRESS);
	EXPECT(log_end_offset(hosted_at(&w, 0)->partition->log) == end);
	w.settings.max_message_bytes = MAX_BATCH;
	replicas_configure_topic(w.replicas, topic_id, &w.settings);
	EXPECT(get_await(self, &w, 0, "a") == 1);
	EXPECT_OK(set_await(self, &w, 0, "a", 3));
	EXPECT(get_await(self, &w, 0, "a") == 3);
	coordinator_figures(w.coordinator, &figures);
	EXPECT(figures.failures == 1 && figures.active == PARTITIONS);
	stop_await(self, &w);
	fixture_fini(&w.storage);
}

TEST(an_append_that_is_refused_throws_the_state_away_and_loads_it_again)
{
	run_over_both(1, refused_fiber, NULL);
}

/* What the log takes back later, as for want of space. It says so while the batch is on its way; more steps come before that is told. */
static void cut_fiber(struct fiber *self, void *argument)
{
	struct world w;
	struct toy_call first = {.topic = "a", .offset = 1}, second = {.topic = "a", .offset = 2};
	struct partition *p;
	struct hosted *h;

	(void)argument;
	world_init(&w);
	start_await(self, &w);
	active_await(self, &w, 0);
	h = hosted_at(&w, 0);
	p = h->partition;
	submit(&w, &first, 0, toy_set);
	hosted_flush(h);
	EXPECT(h->appended_count == 1);
	p->log_owner.cut(&p->log_owner, 0, ERR_NO_SPACE);
	submit(&w, &second, 0, toy_set);
	EXPECT_ERR(finished_await(self, &w, &first), ERR_NOT_COORDINATOR);
	EXPECT_ERR(finished_await(self, &w, &second), ERR_NOT_COORDINATOR);
	EXPECT(log_end_offset(p->log) == 1); /* the second was not appended */
	EXPECT(get_await(self, &w, 0, "a") == 1);
	stop_await(self, &w);
	fixture_fini(&w.storage);
}

TEST(what_the_log_takes_back_is_an_error_for_all_behind_it_and_nothing_follows_in_the_log)
{
	run_over_both(1, cut_fiber, NULL);
}

static void offline_fiber(struct fiber *self, void *argument)
{
	struct world w;
	struct toy_call waiting = {.offset = -1}, read = {.topic = "a"};

	(void)argument;
	world_init(&w);
	start_await(self, &w);
	active_await(self, &w, 0);
	submit(&w, &waiting, 0, toy_wait);
	partition_failed(hosted_at(&w, 0)->partition);
	submit(&w, &read, 0, toy_get);
	EXPECT_ERR(finished_await(self, &w, &read), ERR_NOT_COORDINATOR);
	EXPECT_ERR(finished_await(self, &w, &waiting), ERR_NOT_COORDINATOR);
	while (hosted_at(&w, 0)->state != HOSTED_FAILED)
		fiber_yield_await(self);
	EXPECT_ERR(set_await(self, &w, 0, "a", 1), ERR_NOT_COORDINATOR);
	EXPECT_OK(set_await(self, &w, 1, "a", 1));
	stop_await(self, &w);
	fixture_fini(&w.storage);
}

TEST(a_partition_that_goes_offline_is_not_coordinated_any_more)
{
	run_over_both(1, offline_fiber, NULL);
}

/* --- loading ---------------------------------------------------------------------------------------------------------- */

static void load_fiber(struct fiber *self, void *argument)
{
	enum { TOPICS = 2000 };
	const enum codec *codec = argument;
	struct world w;
	struct toy_call early = {.topic = "0"};
	struct toy_call *calls = mem_zalloc(TOPICS * sizeof(*calls));
	char(*names)[12] = mem_zalloc(TOPICS * sizeof(*names));
	struct coordinator_figures figures;

	world_init(&w);
	w.codec = *codec;
	start_await(self, &w);
	submit(&w, &early, 2, toy_get);
	EXPECT_ERR(finished_await(self, &w, &early), ERR_COORDINATOR_LOAD_IN_PROGRESS);
	active_await(self, &w, 2);
	for (int i = 0; i < TOPICS; i++) {
		snprintf(names[i], sizeof(names[i]), "%d", i);
		calls[i] = (struct toy_call){.topic = names[i], .offset = i * 3, .more_bytes = 50};
		submit(&w, &calls[i], 2, toy_set);
	}
	for (int i = 0; i < TOPICS; i++)
		EXPECT_OK(finished_await(self, &w, &calls[i]));
	stop_await(self, &w);
	start_await(self, &w);
	for (int i = 0; i < TOPICS; i += 97)
		EXPECT(get_await(self, &w, 2, names[i]) == i * 3);
	EXPECT(get_await(self, &w, 1, "0") == -1);
	coordinator_figures(w.coordinator, &figures);
	EXPECT(figures.loaded_records == TOPICS);
	stop_await(self, &w);
	fixture_fini(&w.storage);
	mem_free(calls);
	mem_free(names);
}

TEST(a_state_is_what_its_log_says_with_every_codec)
{
	for (enum codec codec = CODEC_NONE; codec < CODEC_COUNT; codec++)
		run_over_both(1, load_fiber, &codec);
}

static void dying_fiber(struct fiber *self, void *argument)
{
	struct world *w = argument;
	struct toy_call unanswered = {.topic = "b", .offset = 7};

	start_await(self, w);
	active_await(self, w, 0);
	EXPECT_OK(set_await(self, w, 0, "a", 5));
	submit(w, &unanswered, 0, toy_set);
	DIE();
}

static void reborn_fiber(struct fiber *self, void *argument)
{
	struct world *w = argument;
	int64_t b;

	start_await(self, w);
	EXPECT(get_await(self, w, 0, "a") == 5);
	b = get_await(self, w, 0, "b");
	EXPECT(b == 7 || b == -1);
	stop_await(self, w);
}

TEST(what_was_answered_is_there_after_the_process_died)
{
	struct linux_options o = {.shards = 1, .io = IO_EPOLL};
	struct world w;

	world_init(&w);
	run_and_die(IO_EPOLL, dying_fiber, &w);
	run_with(&o, reborn_fiber, &w);
	fixture_fini(&w.storage);
}

/* Straight into the log, as another broker of the same data would have. */
static void append_raw(struct log *l, struct bytes batch)
{
	struct test_append *t = mem_new(struct test_append);

	EXPECT_OK(batch_header_read(batch, &t->facts.header));
	t->append.batch = mem_dup(batch.data, batch.size);
	t->append.size = batch.size;
	t->append.facts = &t->facts;
	t->append.origin = APPEND_COORDINATOR;
	t->append.released = test_append_released;
	t->builder.raw = (struct buf){.data = t->append.batch, .capacity = batch.size};
	EXPECT_OK(log_append_batch(l, &t->append));
}

static void append_of_producer(struct log *l, const char *topic, int64_t offset, int64_t producer_id, int32_t sequence)
{
	struct batch_options o = batch_options_default(1000);
	struct batch_builder b;
	struct bytes batch;
	struct step s;
	struct toy *toy = toy_new();
	struct toy_call t = {.topic = topic, .offset = offset};

	o.producer_id = producer_id;
	o.producer_epoch = 0;
	o.base_sequence = sequence;
	o.is_transactional = true;
	batch_builder_init(&b, &o);
	step_init(&s);
	toy_set(toy, &s, &t.call);
	EXPECT_OK(batch_builder_append(&b, 1, bytes_of(s.bytes.data + s.records[0].key_offset, s.records[0].key_size),
				       bytes_of(s.bytes.data + s.records[0].value_offset, s.records[0].value_size),
				       NULL, 0));
	EXPECT_OK(batch_builder_finish(&b, &batch));
	append_raw(l, batch);
	(void)list_pop_front(&s.answered);
	step_fini(&s);
	batch_builder_fini(&b);
	toy_free(toy);
}

static void append_marker(struct log *l, int64_t producer_id, bool committed)
{
	struct end_marker m = {.producer_id = producer_id, .committed = committed};
	struct buf out;

	buf_init(&out, 1000);
	EXPECT_OK(end_marker_write(&m, 1, &out));
	append_raw(l, buf_bytes(&out));
	buf_fini(&out);
}

static void transactions_fiber(struct fiber *self, void *argument)
{
	struct world w;
	struct log *l;
	struct toy *toy;

	(void)argument;
	world_init(&w);
	start_await(self, &w);
	active_await(self, &w, 0);
	l = hosted_at(&w, 0)->partition->log;
	append_of_producer(l, "a", 1, 10, 0);
	append_of_producer(l, "b", 2, 11, 0);
	append_of_producer(l, "c", 3, 12, 0);
	append_marker(l, 10, true);
	append_marker(l, 11, false);
	EXPECT_OK(log_flush_await(self, l));
	stop_await(self, &w);
	start_await(self, &w);
	EXPECT(get_await(self, &w, 0, "a") == 1);
	EXPECT(get_await(self, &w, 0, "b") == -1);
	EXPECT(get_await(self, &w, 0, "c") == 3);
	toy = hosted_at(&w, 0)->machine;
	EXPECT(toy->markers == 2 && toy->replayed == 3);
	EXPECT(((struct toy_entry *)map_get(&toy->entries, bytes_str("c")))->producer_id == 12);
	stop_await(self, &w);
	fixture_fini(&w.storage);
}

TEST(records_of_transactions_and_their_ends_are_replayed)
{
	run_over_both(1, transactions_fiber, NULL);
}

static struct toy_call end_call(struct world *w)
{
	return (struct toy_call){.call = {.finished = on_call_finished, .owner = w}};
}

static enum err end_await(struct fiber *self, struct world *w, int64_t producer_id, int16_t epoch, bool committed)
{
	const struct end_marker m = {.producer_id = producer_id, .producer_epoch = epoch, .committed = committed};
	struct toy_call t = end_call(w);

	coordinator_end_transaction(w->coordinator, 0, &m, 1, &t.call);
	return finished_await(self, w, &t);
}

static enum err set_of_await(struct fiber *self, struct world *w, const char *topic, int64_t offset,
			     int64_t producer_id, int16_t epoch)
{
	const struct coordinator_producer p = {.producer_id = producer_id, .producer_epoch = epoch};
	struct toy_call t = end_call(w);

	t.topic = topic;
	t.offset = offset;
	coordinator_submit_of(w->coordinator, 0, &p, &t.call, toy_set);
	return finished_await(self, w, &t);
}

/* What a state holds after it was loaded. */
static void check_loaded_await(struct fiber *self, struct world *w)
{
	const struct toy *toy;

	EXPECT(get_await(self, w, 0, "a") == 1);
	EXPECT(get_await(self, w, 0, "b") == -1);
	EXPECT(get_await(self, w, 0, "c") == 4);
	toy = hosted_at(w, 0)->machine;
	EXPECT(((struct toy_entry *)map_get(&toy->entries, bytes_str("a")))->producer_id == NO_PRODUCER_ID);
	EXPECT(((struct toy_entry *)map_get(&toy->entries, bytes_str("c")))->producer_id == 12);
}

static void own_transactions_fiber(struct fiber *self, void *argument)
{
	struct world w;
	struct coordinator_figures figures;

	(void)argument;
	world_init(&w);
	start_await(self, &w);
	active_await(self, &w, 0);
	EXPECT_OK(set_of_await(self, &w, "a", 1, 10, 0));
	EXPECT_OK(set_of_await(self, &w, "b", 2, 11, 3));
	EXPECT(log_first_unstable(hosted_at(&w, 0)->partition->log) == 0);
	EXPECT_OK(end_await(self, &w, 10, 0, true));
	EXPECT_OK(end_await(self, &w, 11, 3, false));
	EXPECT(((struct toy *)hosted_at(&w, 0)->machine)->markers == 2);
	EXPECT(get_await(self, &w, 0, "a") == 1 && get_await(self, &w, 0, "b") == -1);
	EXPECT(log_first_unstable(hosted_at(&w, 0)->partition->log) == INT64_MAX);
	/* A zombie's records, and its transaction's end, are refused alone: the state stays as it is. */
	EXPECT_ERR(set_of_await(self, &w, "a", 9, 11, 2), ERR_INVALID_PRODUCER_EPOCH);
	EXPECT_ERR(end_await(self, &w, 11, 2, true), ERR_INVALID_PRODUCER_EPOCH);
	EXPECT(((struct toy *)hosted_at(&w, 0)->machine)->markers == 2);
	EXPECT_OK(set_of_await(self, &w, "c", 4, 12, 0));
	coordinator_figures(w.coordinator, &figures);
	EXPECT(figures.failures == 0);
	stop_await(self, &w);
	start_await(self, &w);
	check_loaded_await(self, &w);
	stop_await(self, &w);
	fixture_fini(&w.storage);
}

TEST(a_producers_records_are_pending_until_its_marker_and_a_zombies_change_nothing)
{
	run_over_both(1, own_transactions_fiber, NULL);
}

/* A refused marker is told early, but who comes behind it waits for what is before it. */
static void refused_marker_fiber(struct fiber *self, void *argument)
{
	const struct end_marker m = {.producer_id = 11, .producer_epoch = 0};
	struct world w;
	struct toy_call set = {.topic = "a", .offset = 5}, marker, read = {.topic = "a"};

	(void)argument;
	world_init(&w);
	start_await(self, &w);
	active_await(self, &w, 0);
	EXPECT_OK(set_of_await(self, &w, "b", 2, 11, 3));
	marker = end_call(&w);
	submit(&w, &set, 0, toy_set);
	coordinator_end_transaction(w.coordinator, 0, &m, 1, &marker.call);
	submit(&w, &read, 0, toy_get);
	EXPECT_OK(finished_await(self, &w, &read));
	EXPECT(set.finished && marker.finished && read.finished_at > set.finished_at);
	EXPECT_ERR(marker.call.error, ERR_INVALID_PRODUCER_EPOCH);
	EXPECT(hosted_at(&w, 0)->partition->high_watermark == 2);
	stop_await(self, &w);
	fixture_fini(&w.storage);
}

TEST(nobody_is_answered_early_behind_a_marker_that_was_refused)
{
	run_over_both(1, refused_marker_fiber, NULL);
}

static void flip_byte(const struct world *w, long at)
{
	char path[512];
	FILE *f;
	int c;

	snprintf(path, sizeof(path), "%s/t-0/00000000000000000000.log", w->storage.folder);
	f = fopen(path, "r+b");
	EXPECT(f && fseek(f, at, SEEK_SET) == 0);
	c = fgetc(f);
	EXPECT(c != EOF && fseek(f, at, SEEK_SET) == 0 && fputc(c ^ 0x10, f) != EOF && fclose(f) == 0);
}

static void damage_fiber(struct fiber *self, void *argument)
{
	struct world w;

	(void)argument;
	world_init(&w);
	start_await(self, &w);
	active_await(self, &w, 0);
	EXPECT_OK(set_await(self, &w, 0, "a", 1));
	EXPECT_OK(set_await(self, &w, 0, "a", 2));
	stop_await(self, &w);
	flip_byte(&w, BATCH_HEADER_SIZE + 20);
	start_await(self, &w);
	while (hosted_at(&w, 0)->state != HOSTED_FAILED)
		fiber_yield_await(self);
	EXPECT_ERR(set_await(self, &w, 0, "a", 3), ERR_NOT_COORDINATOR);
	EXPECT(!timer_armed(&hosted_at(&w, 0)->retry));
	stop_await(self, &w);
	fixture_fini(&w.storage);
}

TEST(a_damaged_log_is_not_coordinated)
{
	run_over_both(1, damage_fiber, NULL);
}

/* --- ends ------------------------------------------------------------------------------------------------------------- */

static void topic_fiber(struct fiber *self, void *argument)
{
	static const struct uuid other_id = {.bytes = {9}};
	struct world w;
	struct toy_call under_way = {.topic = "a", .offset = 2}, waiting = {.offset = -1}, none = {.topic = "a"};

	(void)argument;
	world_init(&w);
	start_await(self, &w);
	active_await(self, &w, 0);
	EXPECT_OK(set_await(self, &w, 0, "a", 1));
	submit(&w, &under_way, 0, toy_set);
	submit(&w, &waiting, 0, toy_wait);
	fiber_yield_await(self);
	coordinator_unhost(w.coordinator, topic_id);
	replicas_remove_topic(w.replicas, topic_id);
	EXPECT(coordinator_next(w.coordinator, 0) == -1);
	EXPECT_ERR(finished_await(self, &w, &waiting), ERR_NOT_COORDINATOR);
	(void)finished_await(self, &w, &under_way); /* committed before, or an error */
	submit(&w, &none, 0, toy_get);
	EXPECT_ERR(finished_await(self, &w, &none), ERR_NOT_COORDINATOR);
	add_topic(&w, other_id);
	coordinator_host(w.coordinator, other_id, PARTITIONS);
	EXPECT(get_await(self, &w, 0, "a") == -1);
	EXPECT(coordinator_next(w.coordinator, 0) == 0 && coordinator_next(w.coordinator, 3) == -1);
	/* And while it loads. */
	coordinator_unhost(w.coordinator, other_id);
	replicas_remove_topic(w.replicas, other_id);
	add_topic(&w, topic_id);
	coordinator_host(w.coordinator, topic_id, PARTITIONS);
	coordinator_unhost(w.coordinator, topic_id);
	replicas_remove_topic(w.replicas, topic_id);
	stop_await(self, &w);
	fixture_fini(&w.storage);
}

TEST(a_topic_that_goes_takes_its_states_along_and_a_new_one_begins_empty)
{
	run_over_both(1, topic_fiber, NULL);
}

static void stop_fiber(struct fiber *self, void *argument)
{
	struct world w;
	struct toy_call set = {.topic = "a", .offset = 4}, waiting = {.offset = -1}, late = {.topic = "a"};

	(void)argument;
	world_init(&w);
	start_await(self, &w);
	active_await(self, &w, 0);
	submit(&w, &set, 0, toy_set);
	submit(&w, &waiting, 0, toy_wait);
	coordinator_stop(w.coordinator);
	submit(&w, &late, 0, toy_get);
	EXPECT_ERR(finished_await(self, &w, &waiting), ERR_NOT_COORDINATOR);
	EXPECT_ERR(finished_await(self, &w, &late), ERR_NOT_COORDINATOR);
	EXPECT_OK(finished_await(self, &w, &set));
	stop_await(self, &w);
	start_await(self, &w);
	EXPECT(get_await(self, &w, 0, "a") == 4);
	stop_await(self, &w);
	fixture_fini(&w.storage);
}

TEST(a_stop_answers_who_waits_and_commits_what_was_decided)
{
	run_over_both(1, stop_fiber, NULL);
}
