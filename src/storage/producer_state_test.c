#include "storage/producer_state.h"

#include "base/test.h"

static struct batch_header batch(int64_t id, int16_t epoch, int32_t sequence, int32_t count, int64_t base_offset)
{
	return (struct batch_header){
		.base_offset = base_offset,
		.producer_id = id,
		.producer_epoch = epoch,
		.base_sequence = sequence,
		.last_offset_delta = count - 1,
		.max_timestamp = 1000 + base_offset,
	};
}

static void take(struct producer_state *p, struct batch_header h)
{
	producer_state_update(p, &h, 1, true);
}

/* Producer 7 in epoch 2: batches 0..4, 5..9, 10, 11..19, 20..24, 25..29 at offsets 100.. with other records between. */
static struct producer_state six_batches(void)
{
	struct producer_state p;

	producer_state_init(&p);
	take(&p, batch(7, 2, 0, 5, 100));
	take(&p, batch(7, 2, 5, 5, 110));
	take(&p, batch(7, 2, 10, 1, 120));
	take(&p, batch(7, 2, 11, 9, 130));
	take(&p, batch(7, 2, 20, 5, 150));
	take(&p, batch(7, 2, 25, 5, 160));
	return p;
}

TEST(what_a_client_may_append)
{
	static const struct {
		const char *what;
		int64_t id;
		int16_t epoch;
		int32_t sequence, count;
		enum err err;
		int64_t base_offset; /* of a duplicate's original */
	} cases[] = {
		{"no producer", -1, -1, -1, 3, OK, 0},
		{"an unknown producer begins anywhere", 8, 0, 17, 3, OK, 0},
		{"the next", 7, 2, 30, 4, OK, 0},
		{"the last again", 7, 2, 25, 5, ERR_DUPLICATE_SEQUENCE_NUMBER, 160},
		{"the fifth last again", 7, 2, 5, 5, ERR_DUPLICATE_SEQUENCE_NUMBER, 110},
		{"one of one record again", 7, 2, 10, 1, ERR_DUPLICATE_SEQUENCE_NUMBER, 120},
		{"the sixth last is forgotten", 7, 2, 0, 5, ERR_OUT_OF_ORDER_SEQUENCE_NUMBER, 0},
		{"a part of one", 7, 2, 11, 5, ERR_OUT_OF_ORDER_SEQUENCE_NUMBER, 0},
		{"two in one", 7, 2, 20, 10, ERR_OUT_OF_ORDER_SEQUENCE_NUMBER, 0},
		{"a gap", 7, 2, 31, 1, ERR_OUT_OF_ORDER_SEQUENCE_NUMBER, 0},
		{"a new epoch from 0", 7, 3, 0, 1, OK, 0},
		{"a new epoch from elsewhere", 7, 3, 30, 1, ERR_OUT_OF_ORDER_SEQUENCE_NUMBER, 0},
		{"an old epoch", 7, 1, 30, 1, ERR_INVALID_PRODUCER_EPOCH, 0},
	};
	struct producer_state p = six_batches();

	for (size_t i = 0; i < countof(cases); i++) {
		struct batch_header h = batch(cases[i].id, cases[i].epoch, cases[i].sequence, cases[i].count, 0);
		struct producer_duplicate original = {0};

		CHECK_ERR(producer_state_check(&p, &h, &original), cases[i].err);
		CHECK_EQ(original.base_offset, cases[i].base_offset);
		if (original.base_offset) {
			CHECK_EQ(original.last_offset, cases[i].base_offset + cases[i].count - 1);
			CHECK_EQ(original.timestamp, 1000 + cases[i].base_offset);
		}
	}
	producer_state_fini(&p);
}

TEST(after_the_largest_sequence_comes_zero)
{
	struct producer_state p;
	struct producer_duplicate original;
	struct batch_header h = batch(1, 0, INT32_MAX - 1, 4, 0); /* ..max-1, max, 0, 1 */

	producer_state_init(&p);
	take(&p, h);
	CHECK_ERR(producer_state_check(&p, &h, &original), ERR_DUPLICATE_SEQUENCE_NUMBER);
	h = batch(1, 0, 2, 1, 4);
	must_ok(producer_state_check(&p, &h, &original));
	take(&p, h);
	h = batch(1, 0, INT32_MAX - 1, 4, 0);
	CHECK_ERR(producer_state_check(&p, &h, &original), ERR_DUPLICATE_SEQUENCE_NUMBER);
	CHECK_EQ(original.base_offset, 0);
	producer_state_fini(&p);
}

TEST(a_cut_takes_back_what_was_not_settled)
{
	struct producer_state p;
	struct producer_duplicate original;
	struct batch_header h;

	producer_state_init(&p);
	for (int32_t i = 0; i < 8; i++)
		take(&p, batch(7, 0, i, 1, 10 + i));
	take(&p, batch(9, 0, 40, 2, 18));
	take(&p, batch(7, 1, 0, 1, 20));
	producer_state_settle(&p, 11);
	producer_state_cut(&p, 12);
	h = batch(7, 0, 2, 1, 12);
	must_ok(producer_state_check(&p, &h, &original));
	h = batch(7, 0, 1, 1, 0);
	CHECK_ERR(producer_state_check(&p, &h, &original), ERR_DUPLICATE_SEQUENCE_NUMBER);
	CHECK_EQ(original.base_offset, 11);
	/* What was new has to begin with what was cut, not with what was sent behind it. */
	h = batch(9, 0, 42, 1, 12);
	CHECK_ERR(producer_state_check(&p, &h, &original), ERR_OUT_OF_ORDER_SEQUENCE_NUMBER);
	h = batch(9, 0, 40, 2, 12);
	must_ok(producer_state_check(&p, &h, &original));
	producer_state_cut(&p, 0); /* settled below 11 */
	h = batch(7, 0, 1, 1, 0);
	must_ok(producer_state_check(&p, &h, &original));
	producer_state_fini(&p);
}

TEST(who_was_not_seen_is_forgotten_unless_his_transaction_is_open)
{
	struct producer_state p;
	struct batch_header open = batch(3, 0, 0, 1, 2);

	producer_state_init(&p);
	for (int64_t id = 10; id < 60; id++) {
		struct batch_header h = batch(id, 0, 0, 1, id);

		producer_state_update(&p, &h, (uint32_t)id, false);
	}
	open.attributes = BATCH_TRANSACTIONAL;
	producer_state_update(&p, &open, 5, false);
	CHECK_EQ(producer_state_expire(&p, 100, 60), 31);
	CHECK(producer_state_find(&p, 3) && producer_state_find(&p, 41) && !producer_state_find(&p, 40));
	CHECK_EQ(producer_state_expire(&p, 1000, 60), 19);
	CHECK_EQ(p.count, 1);
	producer_state_fini(&p);
}

TEST(a_snapshot_is_kafkas_with_the_batches_before_the_last_behind_it)
{
	/* Five sent at once, none answered, then a restart: each of them has to be known again. */
	static const struct {
		int32_t sequence;
		int32_t count;
		int64_t base_offset;
	} kept[] = {{5, 5, 110}, {10, 1, 120}, {11, 9, 130}, {20, 5, 150}, {25, 5, 160}};
	struct producer_state p = six_batches(), back;
	struct producer_duplicate original;
	struct batch_header h = batch(7, 2, 25, 5, 0);
	struct buf out;

	producer_state_init(&back);
	buf_init(&out, 1000);
	producer_state_write(&p, &out);
	CHECK_EQ(out.size, 10 + 46 + 4 + 1 + 4 * 12);
	CHECK_EQ(get_be16(out.data), 1);
	CHECK_EQ(get_be32(out.data + 6), 1);
	CHECK_EQ(get_be64(out.data + 10), 7);
	CHECK_EQ(get_be16(out.data + 18), 2);
	CHECK_EQ(get_be32(out.data + 20), 29);
	CHECK_EQ(get_be64(out.data + 24), 164);
	CHECK_EQ(get_be32(out.data + 32), 4);
	must_ok(producer_state_read(&back, buf_bytes(&out), 9));
	CHECK_ERR(producer_state_check(&back, &h, &original), ERR_DUPLICATE_SEQUENCE_NUMBER);
	CHECK_EQ(original.base_offset, 160);
	for (size_t i = 0; i < countof(kept); i++) {
		h = batch(7, 2, kept[i].sequence, kept[i].count, 0);
		CHECK_ERR(producer_state_check(&back, &h, &original), ERR_DUPLICATE_SEQUENCE_NUMBER);
		CHECK_EQ(original.base_offset, kept[i].base_offset);
	}
	h = batch(7, 2, 0, 5, 0);
	CHECK_ERR(producer_state_check(&back, &h, &original), ERR_OUT_OF_ORDER_SEQUENCE_NUMBER);
	for (size_t i = 0; i < out.size; i++) { /* any bit that flips is noticed */
		out.data[i] ^= 4;
		CHECK_ERR(producer_state_read(&back, buf_bytes(&out), 9), ERR_CORRUPT);
		out.data[i] ^= 4;
		CHECK_ERR(producer_state_read(&back, bytes_of(out.data, i), 9), ERR_CORRUPT);
	}
	CHECK_EQ(back.count, 1);
	buf_fini(&out);
	producer_state_fini(&p);
	producer_state_fini(&back);
}

TEST(an_idle_producer_is_cheap)
{
	CHECK(sizeof(struct producer_entry) <= 112);
}
