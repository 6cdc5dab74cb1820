/* Tests of the history of transactions: each anomaly is made on purpose and must be named, and nothing else; what may be is taken. */
#include "sim/txn_history.h"

#include <stdio.h>

#include "base/test.h"

#define ALL true
#define SO_FAR false

enum end { COMMITS, ABORTS, DOUBT, NEVER_ASKS };

/* A transaction that wrote to key 0 at `offset`, and how it ended. */
static uint32_t transaction(struct txn_history *h, int64_t offset, enum end end, uint32_t *ret_write)
{
	uint32_t t = txn_history_begin(h), w = txn_history_send(h, t, 0, NULL);

	txn_history_acked(h, w, offset);
	if (end == COMMITS || end == DOUBT)
		txn_history_asked(h, t);
	if (end == COMMITS || end == ABORTS)
		txn_history_ended(h, t, end == COMMITS);
	if (ret_write)
		*ret_write = w;
	return t;
}

/* Nothing but `count` of what is named; TXN_ANOMALIES: nothing at all. */
static bool found(struct txn_history *h, bool complete, enum txn_anomaly what, unsigned count)
{
	const struct txn_found *f = txn_history_check(h, complete);
	bool well = true;

	for (unsigned i = 0; i < TXN_ANOMALIES; i++)
		if (f->counts[i] != (i == what ? count : 0)) {
			fprintf(stderr, "%u times: %s\n", f->counts[i], txn_anomaly_text((enum txn_anomaly)i));
			well = false;
		}
	well = well && (f->first[0] != 0) == (what < TXN_ANOMALIES);
	txn_history_fini(h);
	return well;
}

#define CLEAN TXN_ANOMALIES, 0

static struct txn_history history(void)
{
	struct txn_history h;

	txn_history_init(&h);
	return h;
}

TEST(what_was_committed_and_is_read_is_well)
{
	struct txn_history h = history();
	uint32_t a, b, c;

	(void)transaction(&h, 0, COMMITS, &a);
	(void)transaction(&h, 2, ABORTS, NULL);
	(void)transaction(&h, 4, COMMITS, &b);
	c = txn_history_send(&h, TXN_NOBODY, 1, NULL);
	txn_history_acked(&h, c, 0);
	txn_history_read(&h, 0, TXN_NOBODY, 0, 0, a);
	txn_history_read(&h, 0, TXN_NOBODY, 0, 4, b);
	txn_history_read(&h, 0, TXN_NOBODY, 1, 0, c);
	CHECK(found(&h, ALL, CLEAN));
}

TEST(an_end_in_doubt_may_be_either)
{
	for (int seen = 0; seen < 2; seen++) {
		struct txn_history h = history();
		uint32_t a, b;

		(void)transaction(&h, 0, DOUBT, &a);
		(void)transaction(&h, 2, COMMITS, &b);
		if (seen)
			txn_history_read(&h, 0, TXN_NOBODY, 0, 0, a);
		txn_history_read(&h, 0, TXN_NOBODY, 0, 2, b);
		CHECK(found(&h, ALL, CLEAN));
	}
}

TEST(an_aborted_read_shows)
{
	static const enum end ends[] = {ABORTS, NEVER_ASKS};

	for (unsigned i = 0; i < countof(ends); i++) {
		struct txn_history h = history();
		uint32_t a;

		(void)transaction(&h, 0, ends[i], &a);
		txn_history_read(&h, 0, TXN_NOBODY, 0, 0, a);
		CHECK(found(&h, SO_FAR, TXN_G1A, 1));
	}
}

/* The end comes after the read: it was no better for that. */
TEST(a_read_before_the_abort_shows)
{
	struct txn_history h = history();
	uint32_t a, t = transaction(&h, 0, DOUBT, &a);

	txn_history_read(&h, 0, TXN_NOBODY, 0, 0, a);
	txn_history_ended(&h, t, false);
	CHECK(found(&h, SO_FAR, TXN_G1A, 1));
}

TEST(an_intermediate_read_shows)
{
	struct txn_history h = history();
	uint32_t a, t = transaction(&h, 0, NEVER_ASKS, &a);

	txn_history_read(&h, 0, TXN_NOBODY, 0, 0, a);
	txn_history_asked(&h, t);
	txn_history_ended(&h, t, true);
	CHECK(found(&h, ALL, TXN_G1B, 1));
}

/* Each of three reads what the one before it wrote. */
static struct txn_history ring(bool closed, enum end last)
{
	struct txn_history h = history();
	uint32_t t[3], w[3];

	for (unsigned i = 0; i < 3; i++) {
		t[i] = txn_history_begin(&h);
		w[i] = txn_history_send(&h, t[i], i, NULL);
		txn_history_acked(&h, w[i], 0);
	}
	for (unsigned i = 0; i < 3; i++) {
		if (i == 2 && last == ABORTS) {
			txn_history_ended(&h, t[i], false);
			continue;
		}
		txn_history_asked(&h, t[i]);
		txn_history_ended(&h, t[i], true);
	}
	for (unsigned i = 0; i < (closed ? 3 : 2); i++)
		txn_history_read(&h, i, t[(i + 1) % 3], i, 0, w[i]);
	return h;
}

TEST(a_circle_of_reads_shows_and_a_chain_is_well)
{
	struct txn_history closed = ring(true, COMMITS), chain = ring(false, COMMITS), broken = ring(false, ABORTS);

	CHECK(found(&closed, SO_FAR, TXN_G1C, 1));
	CHECK(found(&chain, SO_FAR, CLEAN));
	CHECK(found(&broken, SO_FAR, CLEAN));
}

TEST(a_transaction_that_reads_itself_is_a_circle)
{
	struct txn_history h = history();
	uint32_t a, t = transaction(&h, 0, COMMITS, &a);

	txn_history_read(&h, 0, t, 0, 0, a);
	CHECK(found(&h, ALL, TXN_G1C, 1));
}

TEST(a_circle_of_writes_is_counted_only)
{
	struct txn_history h = history();
	uint32_t t[2], w[4];

	for (unsigned i = 0; i < 2; i++)
		t[i] = txn_history_begin(&h);
	for (unsigned i = 0; i < 4; i++) {
		w[i] = txn_history_send(&h, t[i % 2], i / 2, NULL);
		txn_history_acked(&h, w[i], (i % 2) ^ (i / 2));
	}
	for (unsigned i = 0; i < 2; i++) {
		txn_history_asked(&h, t[i]);
		txn_history_ended(&h, t[i], true);
	}
	txn_history_read(&h, 0, TXN_NOBODY, 0, 0, w[0]);
	txn_history_read(&h, 0, TXN_NOBODY, 0, 1, w[1]);
	txn_history_read(&h, 0, TXN_NOBODY, 1, 0, w[3]);
	txn_history_read(&h, 0, TXN_NOBODY, 1, 1, w[2]);
	CHECK_EQ(txn_history_check(&h, ALL)->write_circles, 1);
	CHECK(h.found.first[0] == 0 && h.found.committed == 2);
	txn_history_fini(&h);
}

TEST(a_lost_write_shows)
{
	struct txn_history h = history();
	uint32_t b;

	(void)transaction(&h, 0, COMMITS, NULL);
	(void)transaction(&h, 2, COMMITS, &b);
	txn_history_read(&h, 0, TXN_NOBODY, 0, 2, b);
	CHECK(found(&h, SO_FAR, TXN_LOST_WRITE, 1));
}

/* Both were its writes: one is read, so the other is there as well. */
TEST(half_of_a_transaction_shows)
{
	struct txn_history h = history();
	uint32_t a, t = transaction(&h, 0, NEVER_ASKS, NULL);

	a = txn_history_send(&h, t, 0, NULL);
	txn_history_acked(&h, a, 1);
	txn_history_asked(&h, t);
	txn_history_read(&h, 0, TXN_NOBODY, 0, 1, a);
	CHECK(found(&h, SO_FAR, TXN_LOST_WRITE, 1));
}

TEST(what_nobody_ever_read_shows_once_all_was_read)
{
	struct txn_history all = history(), so_far = history();

	(void)transaction(&all, 0, COMMITS, NULL);
	CHECK(found(&all, ALL, TXN_UNSEEN, 1));
	(void)transaction(&so_far, 0, COMMITS, NULL);
	CHECK(found(&so_far, SO_FAR, CLEAN));
}

TEST(a_duplicate_shows)
{
	struct txn_history h = history();
	uint32_t a;

	(void)transaction(&h, 0, COMMITS, &a);
	txn_history_read(&h, 0, TXN_NOBODY, 0, 0, a);
	txn_history_read(&h, 0, TXN_NOBODY, 0, 1, a);
	CHECK(found(&h, ALL, TXN_DUPLICATE, 1));
}

TEST(an_inconsistent_offset_shows)
{
	struct txn_history h = history();
	uint32_t a, b;

	(void)transaction(&h, 0, COMMITS, &a);
	txn_history_read(&h, 0, TXN_NOBODY, 0, 0, a);
	(void)transaction(&h, 0, COMMITS, &b);
	txn_history_moved(&h, 0, 0);
	txn_history_read(&h, 0, TXN_NOBODY, 0, 0, b);
	CHECK(found(&h, ALL, TXN_INCONSISTENT, 1));
}

TEST(a_phantom_shows)
{
	struct txn_history h = history();

	txn_history_read(&h, 0, TXN_NOBODY, 0, 0, 7);
	CHECK(found(&h, ALL, TXN_PHANTOM, 1));
}

TEST(a_record_of_another_partition_is_a_phantom)
{
	struct txn_history h = history();
	uint32_t w = txn_history_send(&h, TXN_NOBODY, 1, NULL);

	txn_history_read(&h, 0, TXN_NOBODY, 0, 0, w);
	CHECK(found(&h, SO_FAR, TXN_PHANTOM, 1));
}

/* What one passes over, and another reads. */
static struct txn_history skipping(bool moved)
{
	struct txn_history h = history();
	uint32_t w[3];

	for (int i = 0; i < 3; i++)
		(void)transaction(&h, 2 * i, COMMITS, &w[i]);
	for (unsigned i = 0; i < 3; i++)
		txn_history_read(&h, 0, TXN_NOBODY, 0, 2 * i, w[i]);
	txn_history_read(&h, 1, TXN_NOBODY, 0, 0, w[0]);
	if (moved)
		txn_history_moved(&h, 1, 0);
	txn_history_read(&h, 1, TXN_NOBODY, 0, 4, w[2]);
	return h;
}

TEST(a_poll_skip_shows_but_of_who_was_moved)
{
	struct txn_history skips = skipping(false), moved = skipping(true);

	CHECK(found(&skips, ALL, TXN_POLL_SKIP, 1));
	CHECK(found(&moved, ALL, CLEAN));
}

TEST(a_nonmonotonic_poll_shows)
{
	struct txn_history h = history();
	uint32_t a, b;

	(void)transaction(&h, 0, COMMITS, &a);
	(void)transaction(&h, 2, COMMITS, &b);
	txn_history_read(&h, 0, TXN_NOBODY, 0, 0, a);
	txn_history_read(&h, 0, TXN_NOBODY, 0, 2, b);
	txn_history_read(&h, 0, TXN_NOBODY, 0, 0, a);
	CHECK(found(&h, ALL, TXN_NONMONOTONIC_POLL, 1));
}

/* A job that makes a record of key 0 of each range of key 3; then the offset that it has in the end. */
struct range {
	int64_t from;
	int64_t to;
	enum end end;
};

static struct txn_history job(const struct range *ranges, unsigned count, int64_t position)
{
	struct txn_history h = history();

	for (unsigned i = 0; i < count; i++) {
		uint32_t t = txn_history_begin(&h), w;

		w = txn_history_send(
			&h, t, 0, &(struct txn_source){.job = 1, .key = 3, .from = ranges[i].from, .to = ranges[i].to});
		txn_history_acked(&h, w, 2 * i);
		if (ranges[i].end == ABORTS) {
			txn_history_ended(&h, t, false);
			continue;
		}
		txn_history_asked(&h, t);
		if (ranges[i].end == COMMITS)
			txn_history_ended(&h, t, true);
		if (ranges[i].end == COMMITS)
			txn_history_read(&h, 0, TXN_NOBODY, 0, 2 * i, w);
	}
	txn_history_position(&h, 1, 3, position);
	return h;
}

TEST(effects_follow_each_other)
{
	static const struct {
		const char *what;
		struct range ranges[3];
		int64_t position;
		enum txn_anomaly found;
	} cases[] = {
		{"each once", {{0, 2, COMMITS}, {2, 3, COMMITS}, {3, 9, COMMITS}}, 9, TXN_ANOMALIES},
		{"one again after an abort", {{0, 2, COMMITS}, {2, 5, ABORTS}, {2, 4, COMMITS}}, 4, TXN_ANOMALIES},
		{"one in doubt that was not", {{0, 2, COMMITS}, {2, 5, DOUBT}, {2, 4, COMMITS}}, 4, TXN_ANOMALIES},
		{"one twice", {{0, 2, COMMITS}, {2, 5, COMMITS}, {4, 9, COMMITS}}, 9, TXN_EFFECT_TWICE},
		{"the same twice", {{0, 2, COMMITS}, {2, 5, COMMITS}, {2, 5, COMMITS}}, 5, TXN_EFFECT_TWICE},
		{"one passed over", {{0, 2, COMMITS}, {3, 5, COMMITS}, {5, 9, COMMITS}}, 9, TXN_EFFECT_MISSING},
		{"the first passed over", {{1, 2, COMMITS}, {2, 5, COMMITS}, {5, 9, COMMITS}}, 9, TXN_EFFECT_MISSING},
		{"an offset without effect", {{0, 2, COMMITS}, {2, 5, COMMITS}, {5, 9, ABORTS}}, 9, TXN_OFFSET},
		{"an effect without offset", {{0, 2, COMMITS}, {2, 5, COMMITS}, {5, 9, COMMITS}}, 5, TXN_OFFSET},
		{"nobody asked for the offset", {{0, 2, COMMITS}, {2, 5, COMMITS}, {5, 9, COMMITS}}, -1, TXN_ANOMALIES},
	};

	for (unsigned i = 0; i < countof(cases); i++) {
		struct txn_history h = job(cases[i].ranges, 3, cases[i].position);

		if (!found(&h, ALL, cases[i].found, cases[i].found < TXN_ANOMALIES)) {
			fprintf(stderr, "%s\n", cases[i].what);
			CHECK(false);
		}
	}
}
