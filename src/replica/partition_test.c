/*
 * partition_test: appends and who waits for them, on real logs: which acks are told when, who is told why not, readers, epochs. The log is a
 * real one in a temporary folder; what a broken disk says is said through the log's callbacks.
 */
#include "replica/partition.h"

#include "base/alloc.h"
#include "replica/replicas.h"
#include "runtime/linux/backends.h"
#include "storage/log_fixture.h"

struct world {
	struct fixture storage;
	struct replicas *replicas;
	struct partition *partition;
	size_t told; /* how many callbacks of appends ran, to number them */
};

/* An append with all that it heard. */
struct told {
	struct partition_append append;
	struct world *world;
	struct batch_builder builder;
	struct event over;
	size_t appended_at; /* 1, 2 ...; 0: not told */
	size_t finished_at;
	int64_t high_watermark; /* when it finished */
	int64_t written;
};

static const struct uuid topic_id = {.bytes = {7}};

static void on_appended(struct partition_append *a)
{
	struct told *t = container_of(a, struct told, append);

	EXPECT(t->appended_at == 0 && t->finished_at == 0);
	t->appended_at = ++t->world->told;
}

static void on_finished(struct partition_append *a)
{
	struct told *t = container_of(a, struct told, append);
	const struct partition *p = t->world->partition;

	EXPECT(t->appended_at > 0 && t->finished_at == 0);
	t->finished_at = ++t->world->told;
	t->high_watermark = p->high_watermark;
	t->written = p->log ? log_written_offset(p->log) : -1;
	event_signal(&t->over);
}

static void told_begin(struct told *t, struct world *w, enum acks acks, int64_t producer_id, int32_t sequence)
{
	struct batch_options o = batch_options_default(100000);
	struct bytes whole;

	o.producer_id = producer_id;
	o.producer_epoch = producer_id < 0 ? NO_PRODUCER_EPOCH : 0;
	o.base_sequence = producer_id < 0 ? NO_SEQUENCE : sequence;
	*t = (struct told){.world = w,
			   .append = {.acks = acks,
				      .allow_zstd = true,
				      .current_leader_epoch = -1,
				      .appended = on_appended,
				      .finished = on_finished}};
	event_init(&t->over);
	batch_builder_init(&t->builder, &o);
	EXPECT_OK(batch_builder_append(&t->builder, 1000000, bytes_null(), bytes_str("value"), NULL, 0));
	EXPECT_OK(batch_builder_finish(&t->builder, &whole));
	t->append.records = whole;
}

static void told_await(struct fiber *self, struct told *t)
{
	while (!t->finished_at)
		EXPECT_OK(event_wait_await(self, &t->over, FIBER_NO_DEADLINE));
	batch_builder_fini(&t->builder);
}

static void add_topic(struct world *w, bool write_caching)
{
	struct replica_settings settings = {
		.log = fixture_config(),
		.max_message_bytes = 100000,
		.timestamp_before_max_ms = INT64_MAX,
		.timestamp_after_max_ms = INT64_MAX,
		.codec = BATCH_KEEP_CODEC,
	};

	settings.log.write_caching = write_caching;
	replicas_add_topic(w->replicas, bytes_str("t"), topic_id, &(int32_t){0}, 1, &settings);
	w->partition = replicas_find(w->replicas, topic_id, 0);
	EXPECT(w->partition);
}

static void open_log_await(struct fiber *self, struct world *w)
{
	struct partition *p;

	EXPECT_OK(replicas_open_await(self, w->replicas, topic_id, 0, &p));
	EXPECT(p == w->partition);
}

static struct world *world_new_await(struct fiber *self)
{
	struct world *w = mem_new(struct world);
	struct replicas_options o = {
		.shard = fiber_shard(self), .shard_count = 1, .max_decompressed_bytes = 1000000, .opening_at_once = 2};

	fixture_init(&w->storage);
	fixture_open_await(self, &w->storage);
	o.store = w->storage.store;
	w->replicas = replicas_new(&o);
	add_topic(w, false);
	return w;
}

static void world_free_await(struct fiber *self, struct world *w)
{
	replicas_close_await(self, w->replicas);
	fixture_close_await(self, &w->storage);
	fixture_fini(&w->storage);
	mem_free(w);
}

static void acks_fiber(struct fiber *self, void *argument)
{
	static const enum acks all[] = {ACKS_NONE, ACKS_LEADER, ACKS_ALL, ACKS_ALL, ACKS_LEADER, ACKS_NONE};
	struct world *w = world_new_await(self);
	struct told told[countof(all)];

	(void)argument;
	open_log_await(self, w);
	for (size_t i = 0; i < countof(all); i++) {
		told_begin(&told[i], w, all[i], -1, 0);
		partition_append(w->partition, &told[i].append);
		EXPECT(told[i].appended_at == 0); /* never inside the call */
	}
	for (size_t i = 0; i < countof(all); i++) {
		told_await(self, &told[i]);
		EXPECT_OK(told[i].append.error);
		EXPECT(told[i].append.base_offset == (int64_t)i);
		EXPECT(told[i].append.log_start_offset == 0);
		EXPECT(all[i] != ACKS_ALL || told[i].high_watermark > (int64_t)i);
		EXPECT(all[i] != ACKS_LEADER || told[i].written > (int64_t)i);
		EXPECT(told[i].high_watermark <= log_synced_offset(w->partition->log));
	}
	world_free_await(self, w);
}

TEST(each_append_is_told_when_the_acks_it_asked_for_are_there)
{
	run_over_both(1, acks_fiber, NULL);
}

static void arrivals_fiber(struct fiber *self, void *argument)
{
	struct world *w = world_new_await(self);
	struct told told[5];

	(void)argument;
	EXPECT(w->partition->state == PARTITION_CLOSED);
	for (size_t i = 0; i < countof(told); i++) {
		told_begin(&told[i], w, ACKS_ALL, -1, 0);
		partition_append(w->partition, &told[i].append);
	}
	EXPECT(w->partition->state == PARTITION_OPENING); /* who comes first has it opened */
	EXPECT_ERR(partition_readable(w->partition), ERR_AGAIN);
	for (size_t i = 0; i < countof(told); i++) {
		told_await(self, &told[i]);
		EXPECT_OK(told[i].append.error);
		EXPECT(told[i].append.base_offset == (int64_t)i);
		EXPECT(i == 0 || told[i].appended_at > told[i - 1].appended_at);
	}
	EXPECT_OK(partition_readable(w->partition));
	world_free_await(self, w);
}

TEST(appends_before_the_log_is_open_get_their_places_in_the_order_in_which_they_came)
{
	run_over_both(1, arrivals_fiber, NULL);
}

/* A producer's second copy, and one that skips a number. */
static void sequence_fiber(struct fiber *self, void *argument)
{
	static const struct {
		int32_t sequence;
		enum err error;
		int64_t base_offset;
	} table[] = {{0, OK, 0}, {1, OK, 1}, {0, OK, 0}, {5, ERR_OUT_OF_ORDER_SEQUENCE_NUMBER, -1}, {2, OK, 2}};
	struct world *w = world_new_await(self);
	struct told told[countof(table)];

	(void)argument;
	open_log_await(self, w);
	for (size_t i = 0; i < countof(table); i++) {
		told_begin(&told[i], w, ACKS_ALL, 9, table[i].sequence);
		partition_append(w->partition, &told[i].append);
	}
	for (size_t i = 0; i < countof(table); i++) {
		told_await(self, &told[i]);
		EXPECT_ERR(told[i].append.error, table[i].error);
		EXPECT(told[i].append.base_offset == table[i].base_offset);
		EXPECT(table[i].error ||
		       told[i].high_watermark > table[i].base_offset); /* the copy waits like its original */
	}
	EXPECT(log_end_offset(w->partition->log) == 3);
	world_free_await(self, w);
}

TEST(a_duplicate_is_answered_with_its_original_once_that_is_committed)
{
	run_over_both(1, sequence_fiber, NULL);
}

static void epochs_fiber(struct fiber *self, void *argument)
{
	static const struct {
		int32_t ours;
		int32_t asked;
		enum err error;
	} table[] = {{0, -1, OK},
		     {0, 0, OK},
		     {0, 1, ERR_UNKNOWN_LEADER_EPOCH},
		     {3, 2, ERR_FENCED_LEADER_EPOCH},
		     {3, 3, OK},
		     {3, 4, ERR_UNKNOWN_LEADER_EPOCH},
		     {3, -1, OK}};
	struct world *w = world_new_await(self);
	struct told told;

	(void)argument;
	for (size_t i = 0; i < countof(table); i++) {
		w->partition->leader_epoch = table[i].ours;
		EXPECT_ERR(partition_check_epoch(w->partition, table[i].asked), table[i].error);
	}
	w->partition->leader_epoch = 0;
	open_log_await(self, w);
	told_begin(&told, w, ACKS_ALL, -1, 0);
	told.append.current_leader_epoch = 4;
	partition_append(w->partition, &told.append);
	told_await(self, &told);
	EXPECT_ERR(told.append.error, ERR_UNKNOWN_LEADER_EPOCH);
	EXPECT(told.append.base_offset == -1 && log_end_offset(w->partition->log) == 0);
	world_free_await(self, w);
}

TEST(who_knows_another_leader_epoch_is_refused)
{
	run_over_both(1, epochs_fiber, NULL);
}

/* A topic's bound counts where it is below the broker's. */
static void decompressed_fiber(struct fiber *self, void *argument)
{
	static const struct {
		size_t bound;
		enum err error;
	} table[] = {{0, OK}, {10, ERR_MESSAGE_TOO_LARGE}, {1000, OK}, {(size_t)1 << 30, OK}};
	struct world *w = world_new_await(self);
	struct replica_settings settings = w->partition->topic->settings;

	(void)argument;
	open_log_await(self, w);
	for (size_t i = 0; i < countof(table); i++) {
		struct batch_options o = batch_options_default(100000);
		struct told told;
		struct bytes whole;

		settings.max_decompressed_bytes = table[i].bound;
		replicas_configure_topic(w->replicas, topic_id, &settings);
		told_begin(&told, w, ACKS_ALL, -1, 0);
		batch_builder_fini(&told.builder);
		o.codec = CODEC_LZ4;
		batch_builder_init(&told.builder, &o);
		EXPECT_OK(batch_builder_append(&told.builder, 1000000, bytes_null(),
					       bytes_str("a value of some length"), NULL, 0));
		EXPECT_OK(batch_builder_finish(&told.builder, &whole));
		told.append.records = whole;
		partition_append(w->partition, &told.append);
		told_await(self, &told);
		EXPECT_ERR(told.append.error, table[i].error);
	}
	world_free_await(self, w);
}

TEST(a_topic_bounds_what_a_batch_may_be_when_it_is_decompressed)
{
	run_over_both(1, decompressed_fiber, NULL);
}

struct counted_reader {
	struct partition_reader reader;
	struct partition *again; /* waits there once more when it was told */
	size_t told;
};

static void on_progressed(struct partition_reader *r)
{
	struct counted_reader *c = container_of(r, struct counted_reader, reader);

	c->told++;
	if (c->again)
		partition_wait_progress(c->again, r);
}

static void readers_fiber(struct fiber *self, void *argument)
{
	struct world *w = world_new_await(self);
	struct partition *p = w->partition;
	struct counted_reader once = {.reader.progressed = on_progressed}, left = once, always = once;
	struct told told;

	(void)argument;
	open_log_await(self, w);
	always.again = p;
	partition_wait_progress(p, &once.reader);
	partition_wait_progress(p, &left.reader);
	partition_wait_progress(p, &always.reader);
	partition_stop_waiting(&left.reader);
	partition_stop_waiting(&left.reader); /* harmless when it does not wait */
	for (size_t i = 1; i <= 3; i++) {
		told_begin(&told, w, ACKS_ALL, -1, 0);
		partition_append(p, &told.append);
		told_await(self, &told);
		while (always.told < i)
			fiber_yield_await(self);
		EXPECT(always.told == i); /* once for each move of the high watermark */
		EXPECT(partition_read_bound(p, false) == (int64_t)i);
	}
	EXPECT(once.told == 1);
	EXPECT(left.told == 0);
	always.again = NULL;
	partition_failed(p);
	EXPECT(always.told == 4); /* and when there will be no more of it */
	EXPECT(list_empty(&p->readers));
	world_free_await(self, w);
}

TEST(readers_are_told_once_of_each_progress_that_they_wait_for)
{
	run_over_both(1, readers_fiber, NULL);
}

/* What the disk took back is refused, what lies before it is not. */
static void cut_fiber(struct fiber *self, void *argument)
{
	struct world *w = world_new_await(self);
	struct partition *p = w->partition;
	struct told told[4];

	(void)argument;
	open_log_await(self, w);
	for (size_t i = 0; i < countof(told); i++) {
		told_begin(&told[i], w, ACKS_ALL, -1, 0);
		partition_append(p, &told[i].append);
	}
	p->log_owner.cut(&p->log_owner, 2, ERR_NO_SPACE);
	for (size_t i = 0; i < countof(told); i++) {
		told_await(self, &told[i]);
		EXPECT_ERR(told[i].append.error, i < 2 ? OK : (enum err)err_to_kafka(ERR_NO_SPACE));
		EXPECT(told[i].append.base_offset == (i < 2 ? (int64_t)i : -1));
	}
	EXPECT(p->state == PARTITION_OPEN); /* its log is well */
	world_free_await(self, w);
}

TEST(what_is_taken_back_is_told_to_its_producers_and_nothing_else)
{
	run_over_both(1, cut_fiber, NULL);
}

static void ends_fiber(struct fiber *self, void *argument)
{
	static const struct {
		bool open;
		bool removed;
		enum err error;
	} table[] = {{false, false, ERR_KAFKA_STORAGE_ERROR},
		     {true, false, ERR_KAFKA_STORAGE_ERROR},
		     {false, true, ERR_UNKNOWN_TOPIC_OR_PARTITION},
		     {true, true, ERR_UNKNOWN_TOPIC_OR_PARTITION}};

	(void)argument;
	for (size_t i = 0; i < countof(table); i++) {
		struct world *w = world_new_await(self);
		struct partition *p = w->partition;
		struct counted_reader reader = {.reader.progressed = on_progressed};
		struct told waits, late;

		if (table[i].open)
			open_log_await(self, w);
		partition_wait_progress(p, &reader.reader);
		told_begin(&waits, w, ACKS_ALL, -1, 0);
		partition_append(p, &waits.append);
		if (table[i].removed)
			replicas_remove_topic(w->replicas, topic_id);
		else
			partition_failed(p);
		EXPECT(reader.told == 1);
		EXPECT_ERR(partition_readable(p), table[i].error);
		told_begin(&late, w, ACKS_LEADER, -1, 0);
		partition_append(p, &late.append);
		w->partition = &(struct partition){
			0}; /* a removed one goes with its log: nobody looks at it any more */
		told_await(self, &waits);
		told_await(self, &late);
		EXPECT_ERR(waits.append.error, table[i].error);
		EXPECT_ERR(late.append.error, table[i].error);
		EXPECT(late.append.base_offset == -1);
		EXPECT(reader.told == 1);
		world_free_await(self, w);
	}
}

TEST(with_the_partition_end_all_who_wait_and_who_comes_later_with_the_reason)
{
	run_over_both(1, ends_fiber, NULL);
}

/* With write.caching what is written is readable; turning it on tells those who wait for a sync. */
static void caching_fiber(struct fiber *self, void *argument)
{
	struct world *w = world_new_await(self);
	struct replica_settings settings;
	struct told told;

	(void)argument;
	open_log_await(self, w);
	settings = w->partition->topic->settings;
	settings.log.write_caching = true;
	replicas_configure_topic(w->replicas, topic_id, &settings);
	told_begin(&told, w, ACKS_ALL, -1, 0);
	partition_append(w->partition, &told.append);
	told_await(self, &told);
	EXPECT_OK(told.append.error);
	EXPECT(told.high_watermark == 1 && told.written == 1);
	/* Turned off again, the high watermark stays where it was told. */
	settings.log.write_caching = false;
	replicas_configure_topic(w->replicas, topic_id, &settings);
	EXPECT(w->partition->high_watermark == 1);
	world_free_await(self, w);
}

TEST(write_caching_moves_the_high_watermark_with_what_is_written_and_never_back)
{
	run_over_both(1, caching_fiber, NULL);
}
