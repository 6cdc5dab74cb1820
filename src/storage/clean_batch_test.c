/*
 * clean_batch_test: what compaction keeps, by tables. Batches are written as text: "k=v k= k" is a value, an empty value, a tombstone; COMMIT and
 * ABORT are the ends of a transaction.
 */
#include "storage/clean_batch.h"

#include <stdio.h>

#include "base/test.h"

#define NOW 1000000
#define RETENTION 5000

static const uint64_t secret[2] = {1, 2};

struct text_batch {
	const char *records; /* words; "-" is a record without a key; NULL ends a list */
	int64_t base_offset;
	enum codec codec;
	int64_t producer_id; /* 0: none */
	bool control;
	int64_t horizon; /* 0: none */
	bool log_append_time;
	bool transactional;
};

static void append_word(struct batch_builder *b, const char *word, size_t size, int64_t timestamp)
{
	const char *equals = memchr(word, '=', size);
	struct bytes key = bytes_of(word, equals ? (size_t)(equals - word) : size), value = bytes_null();

	if (equals)
		value = bytes_of(equals + 1, size - key.size - 1);
	if (size == 1 && word[0] == '-') {
		key = bytes_null();
		value = bytes_str("x");
	}
	CHECK_ERR(batch_builder_append(b, timestamp, key, value, NULL, 0), OK);
}

/* As end_marker_write makes it, but for a horizon. */
static void add_end(struct buf *out, const struct text_batch *t)
{
	struct batch_options o = batch_options_default(1000);
	uint8_t key[4] = {0, 0, 0, strcmp(t->records, "COMMIT") == 0}, value[6] = {0};
	struct batch_builder b;
	struct bytes batch;

	o.base_offset = t->base_offset;
	o.leader_epoch = 3;
	o.producer_id = t->producer_id;
	o.producer_epoch = 2;
	o.is_transactional = o.is_control = true;
	batch_builder_init(&b, &o);
	if (t->horizon)
		batch_builder_set_delete_horizon(&b, t->horizon);
	CHECK_ERR(batch_builder_append(&b, 600, bytes_of(key, 4), bytes_of(value, 6), NULL, 0), OK);
	CHECK_ERR(batch_builder_finish(&b, &batch), OK);
	buf_put_bytes(out, batch);
	batch_builder_fini(&b);
}

static void add_batch(struct buf *out, const struct text_batch *t)
{
	struct batch_options o = batch_options_default(1 << 20);
	struct batch_builder b;
	struct bytes batch;
	int64_t timestamp = 500 + t->base_offset * 10;

	if (strcmp(t->records, "COMMIT") == 0 || strcmp(t->records, "ABORT") == 0) {
		add_end(out, t);
		return;
	}
	o.is_transactional = t->transactional;
	o.codec = t->codec;
	o.base_offset = t->base_offset;
	o.leader_epoch = 3;
	o.is_control = t->control;
	if (t->producer_id) {
		o.producer_id = t->producer_id;
		o.producer_epoch = 2;
		o.base_sequence = (int32_t)t->base_offset;
	}
	batch_builder_init(&b, &o);
	if (t->horizon)
		batch_builder_set_delete_horizon(&b, t->horizon);
	for (const char *at = t->records; *at;) {
		size_t size = strcspn(at, " ");

		append_word(&b, at, size, timestamp++);
		at += size + (at[size] == ' ');
	}
	CHECK_ERR(batch_builder_finish(&b, &batch), OK);
	buf_put_bytes(out, batch);
	if (t->log_append_time)
		batch_set_log_append_time(out->data + out->size - batch.size, batch.size, 777);
	batch_builder_fini(&b);
}

/* "0:a=1 2:b | 5:" : offset and record; a batch without records is its base offset alone; an end is C or A, with ~ when it has a horizon. */
static void print_batches(struct bytes rest, char *to, size_t room)
{
	struct batch_header h;
	struct bytes batch;
	size_t at = 0;

	*to = 0;
	while (batch_next(&rest, &h, &batch) == OK) {
		struct record_iter it;
		struct record r;
		struct buf scratch;

		CHECK(batch_crc_ok(batch));
		buf_init(&scratch, 1 << 20);
		at += (size_t)snprintf(to + at, room - at, "%s", at ? "| " : "");
		CHECK_ERR(record_iter_init(&it, batch, &scratch, 1 << 20, NULL), OK);
		if (h.record_count == 0)
			at += (size_t)snprintf(to + at, room - at, "%d..%d: ", (int)h.base_offset,
					       (int)batch_last_offset(&h));
		while (record_iter_next(&it, &r) == OK && !(batch_is_control(&h) && r.key.size == 4))
			at += (size_t)snprintf(to + at, room - at, "%d:%.*s%s%.*s ", (int)r.offset, BYTES_ARG(r.key),
					       bytes_is_null(r.value) ? "" : "=", BYTES_ARG(r.value));
		if (batch_is_control(&h) && h.record_count && r.key.size == 4)
			at += (size_t)snprintf(to + at, room - at, "%d:%c%s ", (int)r.offset, r.key.data[3] ? 'C' : 'A',
					       h.attributes & BATCH_DELETE_HORIZON ? "~" : "");
		buf_fini(&scratch);
	}
	CHECK_EQ(rest.size, 0);
	if (at)
		to[at - 1] = 0;
}

struct filter_case {
	const char *what;
	struct text_batch batches[6];
	const char *kept;
	int64_t map_start;
	size_t map_bytes;              /* 0: enough */
	int64_t producers_end[2];      /* last offsets of producers 1 and 2 */
	int64_t delete_retention_ms;   /* 0: RETENTION */
	struct aborted_txn aborted[3]; /* up to one without a marker */
	size_t entries;                /* that are kept */
};

static void run_case(const struct filter_case *f, struct cleaner *c, struct buf *out)
{
	struct clean_producer producers[2] = {{1, f->producers_end[0], 2}, {2, f->producers_end[1], 2}};
	struct aborted_index aborted = {0};
	struct buf in;
	size_t taken;
	bool full;

	buf_init(&in, 1 << 20);
	for (size_t i = 0; i < countof(f->batches) && f->batches[i].records; i++)
		add_batch(&in, &f->batches[i]);
	cleaner_init(c, 1 << 20);
	CHECK_ERR(clean_map_init(&c->map, f->map_bytes ? f->map_bytes : 100000, 0.9, 1000, secret), OK);
	c->map_start = f->map_start;
	c->now_ms = NOW;
	c->delete_retention_ms = f->delete_retention_ms ? f->delete_retention_ms : RETENTION;
	c->producers = producers;
	c->producer_count = 2;
	for (size_t i = 0; i < countof(f->aborted) && f->aborted[i].last_offset; i++)
		aborted_index_append(&aborted, &f->aborted[i]);
	clean_txns_begin(&c->txns, &aborted);
	CHECK_ERR(cleaner_note(c, buf_bytes(&in), &taken, &full), OK);
	CHECK_EQ(full, f->map_bytes != 0);
	c->upper_bound = c->map_end;
	clean_txns_begin(&c->txns, &aborted);
	CHECK_ERR(cleaner_filter(c, buf_bytes(&in), out, &taken), OK);
	CHECK_EQ(taken, in.size);
	CHECK_EQ(c->kept.count, f->entries);
	buf_fini(&in);
	aborted_index_fini(&aborted);
}

TEST(of_each_key_the_last_record_stays_where_it_was)
{
	static const struct filter_case cases[] = {
		{.what = "the last of each key",
		 .batches = {{"a=1 b=1 a=2", 0}, {"c=1 b=2", 3}, {"a=3", 5}},
		 .kept = "3:c=1 4:b=2 | 5:a=3"},
		{.what = "of a batch, some",
		 .batches = {{"a=1 b=1 c=1", 0}, {"b=2", 3}},
		 .kept = "0:a=1 2:c=1 | 3:b=2"},
		{.what = "the last offset of a batch is kept",
		 .batches = {{"a=1 b=1", 0}, {"b=2", 7}},
		 .kept = "0:a=1 | 7:b=2"},
		{.what = "compressed",
		 .batches = {{"a=1 b=1", 0, CODEC_ZSTD}, {"b=2", 2, CODEC_LZ4}},
		 .kept = "0:a=1 | 2:b=2"},
		{.what = "a record without a key goes", .batches = {{"a=1 - b=1", 0}}, .kept = "0:a=1 2:b=1"},
		{.what = "an empty value is a value", .batches = {{"a=1", 0}, {"a=", 1}}, .kept = "1:a="},
		{.what = "a tombstone stays at first", .batches = {{"a=1", 0}, {"a", 1}}, .kept = "1:a"},
		{.what = "until its horizon",
		 .batches = {{"a", 0, .horizon = NOW + 1}, {"b=1", 1}},
		 .kept = "0:a | 1:b=1"},
		{.what = "then it goes",
		 .batches = {{"a c=1", 0, .horizon = NOW}, {"b=1", 2}},
		 .kept = "1:c=1 | 2:b=1"},
		{.what = "a value does not go by the horizon", .batches = {{"a=1", 0, .horizon = 1}}, .kept = "0:a=1"},
		{.what = "the last batch of a producer stays empty",
		 .batches = {{"a=1", 0, .producer_id = 1}, {"a=2", 1, .producer_id = 1}, {"a=3", 2}},
		 .producers_end = {1, -1},
		 .kept = "1..1: | 2:a=3"},
		{.what = "the end of the pass stays known",
		 .batches = {{"a=1", 0}, {"x y", 1, .horizon = 1}},
		 .kept = "0:a=1 | 1..2:"},
		{.what = "control batches stay",
		 .batches = {{"a=1", 0, .control = true}, {"a=2", 1}},
		 .kept = "0:a=1 | 1:a=2"},
		{.what = "what an earlier pass has seen is not noted again",
		 .batches = {{"a=1", 0}, {"b=1", 1}, {"a=2", 2}, {"b=2", 3}},
		 .map_start = 3,
		 .kept = "0:a=1 | 2:a=2 | 3:b=2"},
		{.what = "behind the end of the map nothing goes",
		 .batches = {{"a=1 a=1 a=2", 0},
			     {"1=1 2=1 3=1 4=1 5=1 6=1 7=1 8=1 9=1", 3},
			     {"a=3 x=1 y=1 z=1 w=1 v=1 u=1 a=4", 12},
			     {"a=5 a", 20}},
		 .map_bytes = 16 * CLEAN_MAP_SLOT_SIZE,
		 .kept = "3:1=1 4:2=1 5:3=1 6:4=1 7:5=1 8:6=1 9:7=1 10:8=1 11:9=1 | 12:a=3 13:x=1 14:y=1 15:z=1 16:w=1 "
			 "17:v=1 18:u=1 19:a=4 | 20:a=5 21:a"},
	};

	for (size_t i = 0; i < countof(cases); i++) {
		struct cleaner c;
		struct buf out;
		char text[1000];

		buf_init(&out, 1 << 20);
		run_case(&cases[i], &c, &out);
		print_batches(buf_bytes(&out), text, sizeof(text));
		if (strcmp(text, cases[i].kept) != 0)
			fprintf(stderr, "%s\n", cases[i].what);
		CHECK_STR(text, cases[i].kept);
		CHECK_EQ(c.counts.bytes_kept, out.size);
		cleaner_fini(&c);
		buf_fini(&out);
	}
}

/* Of the only batch that is left. */
static struct batch_header only_header(const struct filter_case *f)
{
	struct batch_header h;
	struct cleaner c;
	struct buf out;

	buf_init(&out, 1 << 20);
	run_case(f, &c, &out);
	CHECK_ERR(batch_header_read(buf_bytes(&out), &h), OK);
	cleaner_fini(&c);
	buf_fini(&out);
	return h;
}

TEST(a_batch_that_is_rewritten_keeps_what_its_header_said)
{
	static const struct filter_case cases[] = {
		{.batches = {{"a=1 b=1 a=2", 40, CODEC_GZIP, .producer_id = 9}}},
		{.batches = {{"a=1 a=2 a=3", 40, CODEC_GZIP, .producer_id = 9, .log_append_time = true}}},
	};

	for (size_t i = 0; i < countof(cases); i++) {
		struct batch_header h = only_header(&cases[i]);

		CHECK_EQ(h.base_offset, 40);
		CHECK_EQ(h.last_offset_delta, 2);
		CHECK_EQ(h.leader_epoch, 3);
		CHECK_EQ(h.producer_id, 9);
		CHECK_EQ(h.producer_epoch, 2);
		CHECK_EQ(h.base_sequence, 40);
		CHECK_EQ(batch_codec(&h), CODEC_GZIP);
		CHECK_EQ(h.record_count, i == 0 ? 2 : 1);
		CHECK_EQ(batch_is_log_append_time(&h), i == 1);
		CHECK_EQ(h.max_timestamp, i == 0 ? 902 : 777);
	}
}

TEST(the_first_pass_over_a_tombstone_sets_its_horizon_and_later_ones_keep_it)
{
	static const struct filter_case first = {.batches = {{"a b=1", 40}}};
	static const struct filter_case later = {.batches = {{"a b=1 b=2", 40, .horizon = NOW + 77}}};
	struct batch_header h = only_header(&first);

	CHECK(h.attributes & BATCH_DELETE_HORIZON);
	CHECK_EQ(h.base_timestamp, NOW + RETENTION);
	CHECK_EQ(h.max_timestamp, 901);
	h = only_header(&later);
	CHECK(h.attributes & BATCH_DELETE_HORIZON);
	CHECK_EQ(h.base_timestamp, NOW + 77);
}

TEST(a_tombstone_whose_time_never_ends_stays)
{
	static const struct filter_case first = {.batches = {{"a b=1", 40}}, .delete_retention_ms = INT64_MAX};
	static const struct filter_case later = {.batches = {{"a b=1", 40, .horizon = INT64_MAX}}};
	struct batch_header h = only_header(&first);

	CHECK_EQ(h.base_timestamp, INT64_MAX);
	CHECK_EQ(h.max_timestamp, 901);
	h = only_header(&later);
	CHECK_EQ(h.record_count, 2);
	CHECK_EQ(h.max_timestamp, 901);
}

#define DATA(text, offset, producer) \
	{ \
		.records = (text), .base_offset = (offset), .producer_id = (producer), .transactional = true \
	}
#define END(kind, offset, producer, at) \
	{ \
		.records = (kind), .base_offset = (offset), .producer_id = (producer), .horizon = (at) \
	}
/* So that none of the others is the last batch of the pass. */
#define LAST \
	{ \
		.records = "z=1", .base_offset = 9 \
	}

TEST(what_was_aborted_goes_first_then_its_entry_then_its_marker)
{
	static const struct filter_case cases[] = {
		{"records of an aborted transaction go, its marker stays with its entry",
		 .batches = {DATA("a=1", 0, 1), DATA("b=1", 1, 2), END("ABORT", 2, 1, 0), END("COMMIT", 3, 2, 0), LAST},
		 .aborted = {{1, 0, 2, 3}}, .entries = 1, .producers_end = {99, 99},
		 .kept = "1:b=1 | 2:A | 3:C | 9:z=1"},
		{"what was aborted hides nothing",
		 .batches = {{"a=1", 0}, DATA("a=2", 1, 1), END("ABORT", 2, 1, 0), LAST}, .aborted = {{1, 1, 2, 3}},
		 .entries = 1, .producers_end = {99, 99}, .kept = "0:a=1 | 2:A | 9:z=1"},
		{"nothing of it is left: the entry goes, the marker gets its horizon",
		 .batches = {END("ABORT", 2, 1, 0), LAST}, .aborted = {{1, 1, 2, 3}}, .producers_end = {99, 99},
		 .kept = "2:A~ | 9:z=1"},
		{"its horizon is not over",
		 .batches = {END("ABORT", 2, 1, NOW + 1), END("COMMIT", 3, 2, NOW + 1), LAST},
		 .producers_end = {99, 99}, .kept = "2:A~ | 3:C~ | 9:z=1"},
		{"its horizon is over", .batches = {END("ABORT", 2, 1, NOW), END("COMMIT", 3, 2, NOW), LAST},
		 .producers_end = {99, 99}, .kept = "9:z=1"},
		{"its horizon is over, but its entry is there", .batches = {END("ABORT", 2, 1, NOW), LAST},
		 .aborted = {{1, 1, 2, 3}}, .producers_end = {99, 99}, .kept = "2:A~ | 9:z=1"},
		{"a committed one of which a record is left",
		 .batches = {DATA("a=1 b=1", 0, 1), DATA("b=2", 2, 2), END("COMMIT", 3, 1, 0), END("COMMIT", 4, 2, 0),
			     LAST},
		 .producers_end = {99, 99}, .kept = "0:a=1 | 2:b=2 | 3:C | 4:C | 9:z=1"},
		{"a committed one whose records came again was there until now",
		 .batches = {DATA("a=1", 0, 1), END("COMMIT", 1, 1, 0), {"a=2", 2}, LAST}, .producers_end = {99, 99},
		 .kept = "1:C | 2:a=2 | 9:z=1"},
		{"and is not any more", .batches = {END("COMMIT", 1, 1, 0), {"a=2", 2}, LAST},
		 .producers_end = {99, 99}, .kept = "1:C~ | 2:a=2 | 9:z=1"},
		{"the last sequence of a producer stays, and so do marker and entry",
		 .batches = {DATA("a=1", 0, 1), END("ABORT", 1, 1, 0), LAST}, .aborted = {{1, 0, 1, 2}}, .entries = 1,
		 .producers_end = {0, 99}, .kept = "0..0: | 1:A | 9:z=1"},
		{"the epoch of a producer without a batch stays",
		 .batches = {END("ABORT", 2, 1, NOW), END("COMMIT", 3, 2, NOW), LAST}, .producers_end = {-1, 99},
		 .kept = "2..2: | 9:z=1"},
	};

	for (size_t i = 0; i < countof(cases); i++) {
		struct cleaner c;
		struct buf out;
		char text[500];

		buf_init(&out, 1 << 20);
		run_case(&cases[i], &c, &out);
		print_batches(buf_bytes(&out), text, sizeof(text));
		if (strcmp(text, cases[i].kept) != 0)
			fprintf(stderr, "%s: %s\n", cases[i].what, text);
		CHECK(strcmp(text, cases[i].kept) == 0);
		cleaner_fini(&c);
		buf_fini(&out);
	}
}

TEST(damage_is_left_alone)
{
	struct text_batch t = {.records = "a=1"};
	struct cleaner c;
	struct buf in, out;
	size_t taken;
	bool full;

	buf_init(&in, 1000);
	buf_init(&out, 1000);
	add_batch(&in, &t);
	cleaner_init(&c, 1000);
	CHECK_ERR(clean_map_init(&c.map, 1000, 0.9, 10, secret), OK);
	in.data[in.size - 1] ^= 1;
	CHECK_ERR(cleaner_note(&c, buf_bytes(&in), &taken, &full), ERR_CORRUPT);
	CHECK_ERR(cleaner_filter(&c, buf_bytes(&in), &out, &taken), ERR_CORRUPT);
	in.data[in.size - 1] ^= 1;
	/* A batch that is cut off is not taken. */
	CHECK_ERR(cleaner_note(&c, bytes_of(in.data, in.size - 1), &taken, &full), OK);
	CHECK_EQ(taken, 0);
	CHECK_EQ(c.map_end, 0);
	cleaner_fini(&c);
	buf_fini(&in);
	buf_fini(&out);
}
