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
	(void)producer_state_update(p, &h, NULL, 1, true);
}

static enum err check(const struct producer_state *p, const struct batch_header *h,
		      struct producer_duplicate *ret_original)
{
	struct producer_append by_client = {.origin = APPEND_CLIENT};

	return producer_state_check(p, h, &by_client, ret_original);
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

		CHECK_ERR(check(&p, &h, &original), cases[i].err);
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
	CHECK_ERR(check(&p, &h, &original), ERR_DUPLICATE_SEQUENCE_NUMBER);
	h = batch(1, 0, 2, 1, 4);
	must_ok(check(&p, &h, &original));
	take(&p, h);
	h = batch(1, 0, INT32_MAX - 1, 4, 0);
	CHECK_ERR(check(&p, &h, &original), ERR_DUPLICATE_SEQUENCE_NUMBER);
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
	must_ok(check(&p, &h, &original));
	h = batch(7, 0, 1, 1, 0);
	CHECK_ERR(check(&p, &h, &original), ERR_DUPLICATE_SEQUENCE_NUMBER);
	CHECK_EQ(original.base_offset, 11);
	/* What was new has to begin with what was cut, not with what was sent behind it. */
	h = batch(9, 0, 42, 1, 12);
	CHECK_ERR(check(&p, &h, &original), ERR_OUT_OF_ORDER_SEQUENCE_NUMBER);
	h = batch(9, 0, 40, 2, 12);
	must_ok(check(&p, &h, &original));
	producer_state_cut(&p, 0); /* settled below 11 */
	h = batch(7, 0, 1, 1, 0);
	must_ok(check(&p, &h, &original));
	producer_state_fini(&p);
}

TEST(who_was_not_seen_is_forgotten_unless_his_transaction_is_open)
{
	struct producer_state p;
	struct batch_header open = batch(3, 0, 0, 1, 2);

	producer_state_init(&p);
	for (int64_t id = 10; id < 60; id++) {
		struct batch_header h = batch(id, 0, 0, 1, id);

		(void)producer_state_update(&p, &h, NULL, (uint32_t)id, false);
	}
	open.attributes = BATCH_TRANSACTIONAL;
	(void)producer_state_update(&p, &open, NULL, 5, false);
	CHECK_EQ(producer_state_expire(&p, 100, 60), 31);
	CHECK(producer_state_find(&p, 3) && producer_state_find(&p, 41) && !producer_state_find(&p, 40));
	CHECK_EQ(producer_state_expire(&p, 1000, 60), 19);
	CHECK_EQ(p.count, 1);
	producer_state_fini(&p);
}

/* --- transactions ------------------------------------------------------------------------------------------------- */

static struct batch_header data(int64_t id, int16_t epoch, int32_t sequence, int64_t base_offset)
{
	struct batch_header h = batch(id, epoch, sequence, 1, base_offset);

	h.attributes = BATCH_TRANSACTIONAL;
	return h;
}

static struct txn_ended end_txn(struct producer_state *p, int64_t id, int16_t epoch, bool committed, int64_t offset)
{
	struct batch_header h = batch(id, epoch, NO_SEQUENCE, 1, offset);
	struct end_marker marker = {.committed = committed, .producer_id = id, .producer_epoch = epoch};

	h.attributes = BATCH_TRANSACTIONAL | BATCH_CONTROL;
	return producer_state_update(p, &h, &marker, 1, true);
}

TEST(who_may_end_a_transaction)
{
	static const struct {
		const char *what;
		int16_t had_epoch; /* of the producer; -1: it is unknown */
		bool open;
		int32_t had_coordinator_epoch;
		int16_t epoch;
		int32_t coordinator_epoch;
		int8_t version;
		enum err err;
	} cases[] = {
		{"nobody knows him", -1, false, -1, 0, 3, 0, OK},
		{"nobody knows him, nor which coordinator", -1, false, -1, 0, -1, 0, OK},
		{"nobody knows him, and there is no such coordinator", -1, false, -1, 0, -2, 0,
		 ERR_TRANSACTION_COORDINATOR_FENCED},
		{"his own epoch", 4, true, 2, 4, 2, 0, OK},
		{"a later epoch", 4, true, 2, 5, 2, 0, OK},
		{"an earlier epoch", 4, true, 2, 3, 2, 0, ERR_INVALID_PRODUCER_EPOCH},
		{"an earlier coordinator", 4, true, 2, 4, 1, 0, ERR_TRANSACTION_COORDINATOR_FENCED},
		{"a later coordinator", 4, true, 2, 4, 3, 1, OK},
		{"the epoch counts first", 4, true, 2, 3, 1, 1, ERR_INVALID_PRODUCER_EPOCH},
		{"version 2: his own epoch", 4, true, 2, 4, 2, 2, ERR_INVALID_PRODUCER_EPOCH},
		{"version 2: a later epoch", 4, true, 2, 5, 2, 2, OK},
		{"version 2: the same marker again", 4, false, 2, 4, 2, 2, OK},
		{"version 2: the last epoch there is", INT16_MAX, true, 2, INT16_MAX, 2, 2, OK},
		{"version 2: an earlier epoch", 4, false, 2, 3, 2, 2, ERR_INVALID_PRODUCER_EPOCH},
	};

	for (size_t i = 0; i < countof(cases); i++) {
		struct end_marker marker = {.producer_id = 7,
					    .producer_epoch = cases[i].epoch,
					    .coordinator_epoch = cases[i].coordinator_epoch};
		struct producer_append a = {
			.origin = APPEND_COORDINATOR, .marker = &marker, .transaction_version = cases[i].version};
		struct batch_header h = batch(7, cases[i].epoch, NO_SEQUENCE, 1, 50);
		struct producer_duplicate original;
		struct producer_state p;

		h.attributes = BATCH_TRANSACTIONAL | BATCH_CONTROL;
		producer_state_init(&p);
		if (cases[i].had_epoch >= 0) {
			struct batch_header before = batch(7, cases[i].had_epoch, NO_SEQUENCE, 1, 10);
			struct end_marker had = {.coordinator_epoch = cases[i].had_coordinator_epoch};

			before.attributes = h.attributes;
			(void)producer_state_update(&p, &before, &had, 1, false);
			if (cases[i].open)
				take(&p, data(7, cases[i].had_epoch, 0, 20));
		}
		CHECK_ERR(producer_state_check(&p, &h, &a, &original), cases[i].err);
		a.origin = APPEND_REPLICA;
		must_ok(producer_state_check(&p, &h, &a, &original));
		producer_state_fini(&p);
	}
}

TEST(a_marker_ends_what_is_open_and_tells_how_far_all_was_stable)
{
	struct producer_state p;
	struct txn_ended ended;
	struct producer_duplicate original;
	struct batch_header h;

	producer_state_init(&p);
	take(&p, data(7, 0, 0, 10));
	take(&p, data(8, 0, 0, 11));
	take(&p, data(7, 0, 1, 12));
	ended = end_txn(&p, 7, 0, false, 13);
	CHECK(ended.any && ended.aborted);
	CHECK_EQ(ended.first_offset, 10);
	CHECK_EQ(ended.last_stable_offset, 11);
	ended = end_txn(&p, 7, 0, false, 14);
	CHECK(!ended.any);
	ended = end_txn(&p, 8, 1, true, 15);
	CHECK(ended.any && !ended.aborted);
	CHECK_EQ(ended.last_stable_offset, 16);
	/* In the same epoch the sequences go on, in the next they begin anew. */
	h = data(7, 0, 2, 16);
	must_ok(check(&p, &h, &original));
	h = data(8, 1, 1, 16);
	CHECK_ERR(check(&p, &h, &original), ERR_OUT_OF_ORDER_SEQUENCE_NUMBER);
	h = data(8, 1, 0, 16);
	must_ok(check(&p, &h, &original));
	h = data(8, 0, 1, 16);
	CHECK_ERR(check(&p, &h, &original), ERR_INVALID_PRODUCER_EPOCH);
	producer_state_fini(&p);
}

TEST(a_plain_batch_is_no_part_of_an_open_transaction)
{
	struct producer_state p;
	struct producer_duplicate original;
	struct batch_header h = batch(7, 0, 1, 1, 11);

	producer_state_init(&p);
	take(&p, data(7, 0, 0, 10));
	CHECK_ERR(check(&p, &h, &original), ERR_INVALID_TXN_STATE);
	(void)end_txn(&p, 7, 0, true, 11);
	must_ok(check(&p, &h, &original));
	producer_state_fini(&p);
}

TEST(a_cut_opens_a_transaction_again_whose_end_it_takes)
{
	struct producer_state p;
	const struct producer_entry *e;

	producer_state_init(&p);
	take(&p, data(7, 0, 0, 10));
	(void)end_txn(&p, 7, 1, false, 11);
	take(&p, data(7, 1, 0, 12));
	producer_state_cut(&p, 12);
	e = producer_state_find(&p, 7);
	CHECK_EQ(e->txn_first_offset, -1);
	CHECK_EQ(open_txns_first_unstable(&p.txns), 10); /* its end is not committed */
	producer_state_cut(&p, 11);
	e = producer_state_find(&p, 7);
	CHECK_EQ(e->txn_first_offset, 10);
	CHECK_EQ(e->epoch, 0);
	CHECK_EQ(p.txns.open_count, 1);
	producer_state_cut(&p, 10);
	CHECK_EQ(producer_state_find(&p, 7)->txn_first_offset, -1);
	CHECK_EQ(open_txns_first_unstable(&p.txns), TXN_NONE);
	producer_state_fini(&p);
}

TEST(what_is_open_is_open_again_from_a_snapshot)
{
	struct producer_state p, back;
	struct buf out;

	producer_state_init(&p);
	producer_state_init(&back);
	take(&p, data(9, 3, 5, 20));
	take(&p, data(7, 0, 0, 21));
	(void)end_txn(&p, 7, 1, true, 22);
	take(&p, data(7, 1, 0, 23));
	buf_init(&out, 1000);
	producer_state_write(&p, &out);
	must_ok(producer_state_read(&back, buf_bytes(&out), 1));
	CHECK_EQ(back.txns.open_count, 2);
	CHECK_EQ(back.txns.open[0].first_offset, 20);
	CHECK_EQ(back.txns.open[1].first_offset, 23);
	CHECK_EQ(producer_state_find(&back, 7)->txn_first_offset, 23);
	buf_fini(&out);
	producer_state_fini(&p);
	producer_state_fini(&back);
}

TEST(a_transaction_begins_only_with_the_guard_it_was_verified_with)
{
	struct producer_append a = {.origin = APPEND_CLIENT, .verified_only = true};
	struct producer_state p;
	struct producer_duplicate original;
	struct batch_header h = data(7, 0, 0, 10);
	uint64_t first, second;

	producer_state_init(&p);
	CHECK_ERR(producer_state_check(&p, &h, &a, &original), ERR_INVALID_TXN_STATE);
	first = producer_state_verify(&p, &h, false, 1);
	CHECK(first > 0);
	CHECK_EQ(producer_state_verify(&p, &h, false, 1), first);
	CHECK_ERR(producer_state_check(&p, &h, &a, &original), ERR_INVALID_TXN_STATE);
	/* It was aborted before the answer came: what was verified is over. */
	(void)end_txn(&p, 7, 0, false, 10);
	a.guard = first;
	CHECK_ERR(producer_state_check(&p, &h, &a, &original), ERR_INVALID_TXN_STATE);
	second = producer_state_verify(&p, &h, false, 1);
	CHECK(second > first);
	CHECK_ERR(producer_state_check(&p, &h, &a, &original), ERR_INVALID_TXN_STATE);
	a.guard = second;
	must_ok(producer_state_check(&p, &h, &a, &original));
	take(&p, data(7, 0, 0, 11));
	CHECK_EQ(producer_state_verify(&p, &h, false, 1), 0);
	a.guard = 0; /* open: nothing is to be verified */
	h = data(7, 0, 1, 12);
	must_ok(producer_state_check(&p, &h, &a, &original));
	/* Records of groups, too; what a follower copies was verified by the leader. */
	h = data(8, 0, NO_SEQUENCE, 12);
	a.origin = APPEND_COORDINATOR;
	CHECK_ERR(producer_state_check(&p, &h, &a, &original), ERR_INVALID_TXN_STATE);
	a.origin = APPEND_REPLICA;
	must_ok(producer_state_check(&p, &h, &a, &original));
	producer_state_fini(&p);
}

TEST(a_zombie_is_verified_though_its_successor_has_a_transaction_open_and_does_not_disturb_it)
{
	struct producer_append a = {.origin = APPEND_CLIENT, .verified_only = true};
	struct producer_state p;
	struct producer_duplicate original;
	struct batch_header h = data(7, 1, 0, 10);

	producer_state_init(&p);
	take(&p, h);
	CHECK_EQ(producer_state_verify(&p, &h, false, 1), 0);
	for (int16_t epoch = 0; epoch <= 2; epoch += 2) {
		h = data(7, epoch, 0, 11);
		CHECK(producer_state_verify(&p, &h, false, 1) > 0);
		CHECK_ERR(producer_state_check(&p, &h, &a, &original), ERR_INVALID_TXN_STATE);
		h = data(7, 1, 1, 11);
		must_ok(producer_state_check(&p, &h, &a, &original));
	}
	producer_state_fini(&p);
}

TEST(while_it_is_verified_the_lowest_sequence_goes_first)
{
	static const struct {
		int16_t epoch;
		int32_t sequence;
		enum err err;
	} cases[] = {
		{0, 5, ERR_OUT_OF_ORDER_SEQUENCE_NUMBER}, /* 2 was seen */
		{0, 3, ERR_OUT_OF_ORDER_SEQUENCE_NUMBER},
		{0, 2, OK},
		{0, 1, OK},
	};
	struct producer_append a = {.origin = APPEND_CLIENT, .verified_only = true};
	struct producer_state p;
	struct producer_duplicate original;
	struct batch_header h = data(7, 0, 5, 10);

	producer_state_init(&p);
	a.guard = producer_state_verify(&p, &h, false, 1);
	h = data(7, 0, 2, 10);
	CHECK_EQ(producer_state_verify(&p, &h, false, 1), a.guard);
	for (size_t i = 0; i < countof(cases); i++) {
		h = data(7, cases[i].epoch, cases[i].sequence, 10);
		CHECK_ERR(producer_state_check(&p, &h, &a, &original), cases[i].err);
	}
	h = data(7, 1, 0, 10); /* a new epoch counts anew */
	CHECK_EQ(producer_state_verify(&p, &h, false, 1), a.guard);
	must_ok(producer_state_check(&p, &h, &a, &original));
	/* Who bumps his epoch for each transaction begins with 0 where nothing of him is known. */
	h = data(8, 0, 4, 10);
	a.guard = producer_state_verify(&p, &h, true, 1);
	CHECK_ERR(producer_state_check(&p, &h, &a, &original), ERR_OUT_OF_ORDER_SEQUENCE_NUMBER);
	CHECK_EQ(p.verifying_count, 2);
	CHECK_EQ(producer_state_expire(&p, 100, 99), 0);
	CHECK_EQ(p.verifying_count, 0);
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
	CHECK_ERR(check(&back, &h, &original), ERR_DUPLICATE_SEQUENCE_NUMBER);
	CHECK_EQ(original.base_offset, 160);
	for (size_t i = 0; i < countof(kept); i++) {
		h = batch(7, 2, kept[i].sequence, kept[i].count, 0);
		CHECK_ERR(check(&back, &h, &original), ERR_DUPLICATE_SEQUENCE_NUMBER);
		CHECK_EQ(original.base_offset, kept[i].base_offset);
	}
	h = batch(7, 2, 0, 5, 0);
	CHECK_ERR(check(&back, &h, &original), ERR_OUT_OF_ORDER_SEQUENCE_NUMBER);
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
