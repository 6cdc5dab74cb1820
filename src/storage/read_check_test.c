/* read_check_test: what of an answer is given when a batch of it, or beside it, is not what it was. */
#include "storage/read_check.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/test.h"
#include "record/builder.h"

/* Five batches of three records from offset 30 on, of epoch 4; each is `size` bytes. */
struct five {
	struct buf bytes;
	size_t size;
};

static void five_init(struct five *x)
{
	buf_init(&x->bytes, 10000);
	for (int i = 0; i < 5; i++) {
		struct batch_options o = batch_options_default((size_t)1 << 20);
		struct batch_builder b;
		struct bytes whole;
		uint8_t *at;

		batch_builder_init(&b, &o);
		for (int k = 0; k < 3; k++)
			must_ok(batch_builder_append(&b, 1000 + i, bytes_null(), bytes_str("value"), NULL, 0));
		must_ok(batch_builder_finish(&b, &whole));
		buf_put_bytes(&x->bytes, whole);
		x->size = whole.size;
		batch_builder_fini(&b);
		at = x->bytes.data + (size_t)i * x->size;
		put_be64(at, (uint64_t)(30 + i * 3));
		put_be32(at + 12, 4);
	}
}

struct row {
	const char *what;
	int batch; /* that is changed */
	int at;
	uint8_t by;
	int from; /* the answer: batches [from, to) */
	int to;
	int64_t wanted;
	int good;         /* so many of them are given */
	int64_t bad_from; /* offsets of what is noted; -1: nothing */
	int64_t bad_to;
};

static const struct row rows[] = {
	{"nothing", 0, 0, 0, 1, 4, 33, 3, -1, -1},
	{"a value in the answer", 2, 70, 1, 1, 4, 33, 1, 36, 39},
	{"a value in front of it", 0, 70, 1, 1, 4, 33, 3, -1, -1},
	{"a value behind it", 4, 70, 1, 1, 4, 33, 3, -1, -1},
	{"a base that is lower", 2, 7, 0x20, 1, 4, 33, 1, 36, 39},
	{"a base that is higher", 2, 7, 0x08, 1, 4, 33, 1, 36, 39},
	{"a base that is out of all bounds", 2, 1, 1, 1, 4, 33, 1, 36, 39},
	{"of the last one in the answer", 3, 7, 0x08, 1, 4, 33, 2, 39, 42},
	{"of the only one", 1, 7, 0x08, 1, 2, 33, 0, 33, 36},
	{"the epoch", 2, 15, 2, 1, 4, 33, 1, 36, 39},
	{"the magic", 2, 16, 1, 1, 4, 33, 1, 36, 39},
	/* Passed over since it says that it ends before the wanted offset. */
	{"a last offset that is lower, where it was wanted", 1, 26, 2, 2, 4, 35, 0, 33, 36},
	{"a base that is lower, where it was wanted", 1, 7, 0x20, 2, 4, 34, 0, 33, 36},
	{"the same, but what is wanted is behind it", 1, 7, 0x20, 2, 4, 36, 2, 33, 36},
	{"a last offset that is higher, in front of what is wanted", 1, 26, 4, 2, 4, 36, 2, 33, 36},
};

static void check_row(const struct five *whole, const struct row *r)
{
	struct five x = {.size = whole->size};
	struct epoch_cache epochs;
	struct read_check c;
	const char *words;
	struct damage d = {0};
	struct bytes answer, good;

	buf_init(&x.bytes, 10000);
	buf_put_bytes(&x.bytes, buf_bytes(&whole->bytes));
	x.bytes.data[(size_t)r->batch * x.size + (size_t)r->at] ^= r->by;
	epoch_cache_init(&epochs);
	must_ok(epoch_cache_assign(&epochs, 4, 0));
	c = (struct read_check){.buffer = buf_bytes(&x.bytes),
				.position = 5000,
				.base = 10,
				.limit = 45,
				.expected = 30,
				.wanted = r->wanted,
				.epochs = &epochs};
	answer = bytes_of(x.bytes.data + (size_t)r->from * x.size, (size_t)(r->to - r->from) * x.size);
	good = read_check_answer(&c, answer, &d, &words);
	if (good.size != (size_t)r->good * x.size || (r->bad_from >= 0) != (words != NULL) ||
	    (words && (d.offset != r->bad_from || d.next_offset != r->bad_to)))
		fail_msg("%s: %zu batches given, not %d; %s %lld..%lld", r->what, good.size / x.size, r->good,
			 words ? words : "nothing bad", (long long)d.offset, (long long)d.next_offset);
	epoch_cache_fini(&epochs);
	buf_fini(&x.bytes);
}

TEST(an_answer_ends_before_what_cannot_be)
{
	struct five x;

	five_init(&x);
	for (size_t i = 0; i < countof(rows); i++)
		check_row(&x, &rows[i]);
	buf_fini(&x.bytes);
}

TEST(damage_that_is_known_is_passed_over)
{
	struct damage known = {5000, 0, 30, 33};
	struct damage_list list = {.entries = &known, .count = 1};
	struct read_check c = {.position = 5000, .base = 10, .limit = 45, .expected = -1, .wanted = 33, .known = &list};
	const char *words;
	struct damage d;
	struct five x;

	five_init(&x);
	known.end = 5000 + (int64_t)x.size;
	memset(x.bytes.data, 0xff, x.size);
	c.buffer = buf_bytes(&x.bytes);
	CHECK_EQ(read_check_answer(&c, bytes_of(x.bytes.data + x.size, x.size * 4), &d, &words).size, x.size * 4);
	CHECK(!words);
	buf_fini(&x.bytes);
}
