/* accumulator_test: one partition's line of batches: what may be sent when, sequences, repetitions, splits. */
#include "client/accumulator.h"

#include <stdio.h>

#include "base/test.h"
#include "record/record.h"

#define BATCH_SIZE 1000
#define MAX_BYTES 5000

struct line_case {
	struct batch_pool pool;
	struct produce_line line;
	struct send_rules rules;
};

static void setup(struct line_case *c)
{
	struct batch_options o = batch_options_default(MAX_BYTES);

	batch_pool_init(&c->pool, &o, BATCH_SIZE, MAX_BYTES);
	produce_line_init(&c->line, c, 7);
	c->rules = (struct send_rules){.now_us = 100, .linger_us = 50, .max_in_flight = 5};
}

static void teardown(struct line_case *c)
{
	struct produce_batch *b;

	while ((b = produce_line_oldest(&c->line))) {
		produce_batch_remove(b);
		produce_batch_drop(&c->pool, b);
	}
	batch_pool_fini(&c->pool);
}

/* A record of `size` bytes whose opaque is its number; true when it began a batch. */
static bool add(struct line_case *c, intptr_t number, size_t size)
{
	static const uint8_t zeros[MAX_BYTES * 2];
	struct produce_record r = {
		.timestamp = number, .value = bytes_of(zeros, size), .opaque = (void *)number, .charged = size};
	bool begun = false;

	must_ok(produce_line_append(&c->line, &c->pool, &r, c->rules.now_us, &begun));
	return begun;
}

static struct produce_batch *next(struct line_case *c, int64_t *ret_due_us)
{
	return produce_line_next(&c->line, &c->pool, &c->rules, ret_due_us);
}

/* As the producer does it. */
static struct produce_batch *send(struct line_case *c)
{
	int64_t due_us;
	struct produce_batch *b = next(c, &due_us);

	if (!b)
		return NULL;
	must_ok(produce_batch_seal(b));
	b->in_flight = true;
	b->attempts++;
	c->line.in_flight++;
	return b;
}

static void done(struct line_case *c, struct produce_batch *b)
{
	produce_batch_remove(b);
	produce_batch_drop(&c->pool, b);
}

/* The opaques of the line, in order, as text. */
static void check_order(const struct line_case *c, const char *expected)
{
	char text[200] = "";

	list_for_each(&c->line.batches, n)
	{
		const struct produce_batch *b = container_of(n, struct produce_batch, node);

		for (int32_t i = 0; i < b->record_count; i++)
			snprintf(text + strlen(text), sizeof(text) - strlen(text), "%d ", (int)(intptr_t)b->opaques[i]);
		snprintf(text + strlen(text), sizeof(text) - strlen(text), "| ");
	}
	CHECK_STR(text, expected);
}

TEST(records_share_a_batch_until_it_is_full_and_large_ones_have_their_own)
{
	struct line_case c;

	setup(&c);
	CHECK(add(&c, 1, 300));
	CHECK(!add(&c, 2, 300));
	CHECK(add(&c, 3, 600));
	CHECK(add(&c, 4, 3000));
	CHECK(add(&c, 5, 10));
	check_order(&c, "1 2 | 3 | 4 | 5 | ");
	CHECK_EQ(c.line.batch_count, 4);
	CHECK_EQ(produce_line_oldest(&c.line)->charged, 600);
	teardown(&c);
}

TEST(a_record_that_no_batch_could_hold_is_refused_and_leaves_nothing)
{
	static const uint8_t zeros[MAX_BYTES * 2];
	struct produce_record r = {.value = bytes_of(zeros, sizeof(zeros))};
	struct line_case c;
	bool begun = false;

	setup(&c);
	add(&c, 1, 10);
	CHECK_ERR(produce_line_append(&c.line, &c.pool, &r, 0, &begun), ERR_TOO_BIG);
	check_order(&c, "1 | ");
	teardown(&c);
}

TEST(the_newest_batch_waits_for_its_linger_unless_it_is_full_or_somebody_is_in_a_hurry)
{
	static const struct {
		size_t size;
		int64_t now_us;
		bool hurry;
		bool leaves;
		int64_t due_us;
	} cases[] = {
		{100, 100, false, false, 150}, {100, 149, false, false, 150}, {100, 150, false, true, 150},
		{100, 100, true, true, 0},     {980, 100, false, true, 0},    {2000, 100, false, true, 0},
	};

	for (size_t i = 0; i < countof(cases); i++) {
		struct line_case c;
		int64_t due_us = 0;

		setup(&c);
		add(&c, 1, cases[i].size);
		c.rules.now_us = cases[i].now_us;
		c.rules.hurry = cases[i].hurry;
		CHECK_EQ(next(&c, &due_us) != NULL, cases[i].leaves);
		if (!cases[i].leaves)
			CHECK_EQ(due_us, cases[i].due_us);
		teardown(&c);
	}
}

TEST(what_is_sealed_takes_no_more_records)
{
	struct line_case c;

	setup(&c);
	add(&c, 1, 10);
	c.rules.hurry = true;
	CHECK(send(&c));
	CHECK(add(&c, 2, 10));
	check_order(&c, "1 | 2 | ");
	teardown(&c);
}

TEST(sequences_follow_each_other_from_the_first_sending_on)
{
	struct batch_header h;
	struct produce_batch *first, *second;
	struct line_case c;

	setup(&c);
	c.line.producer_id = 9;
	c.line.producer_epoch = 2;
	c.rules.hurry = true;
	for (int i = 1; i <= 3; i++)
		add(&c, i, 10);
	first = send(&c);
	add(&c, 4, 10);
	second = send(&c);
	CHECK_EQ(first->sequence, 0);
	CHECK_EQ(second->sequence, 3);
	must_ok(batch_header_read(second->bytes, &h));
	CHECK_EQ(h.producer_id, 9);
	CHECK_EQ(h.producer_epoch, 2);
	CHECK_EQ(h.base_sequence, 3);
	CHECK(batch_crc_ok(second->bytes));
	/* Sealing again, for a repetition, changes nothing. */
	produce_batch_again(first, 0);
	must_ok(produce_batch_seal(first));
	CHECK_EQ(first->sequence, 0);
	CHECK_EQ(c.line.next_sequence, 4);
	teardown(&c);
}

TEST(at_most_the_allowed_number_is_in_flight)
{
	struct line_case c;
	struct produce_batch *first;

	setup(&c);
	for (int i = 0; i < 8; i++)
		add(&c, i, 2000);
	first = send(&c);
	for (int i = 1; i < 5; i++)
		CHECK(send(&c));
	CHECK(!send(&c));
	done(&c, first);
	CHECK(send(&c));
	CHECK(!send(&c));
	teardown(&c);
}

/* Invariant 3: nothing may overtake what is repeated. */
TEST(while_one_is_repeated_only_the_oldest_goes_alone)
{
	struct line_case c;
	struct produce_batch *first, *second;
	int64_t due_us = 0;

	setup(&c);
	for (int i = 0; i < 4; i++)
		add(&c, i, 2000);
	first = send(&c);
	second = send(&c);
	produce_batch_again(first, 500);
	CHECK(!next(&c, &due_us)); /* the second is still under way */
	produce_batch_again(second, 400);
	CHECK(!next(&c, &due_us));
	CHECK_EQ(due_us, 500);
	c.rules.now_us = 500;
	CHECK(send(&c) == first);
	CHECK(!send(&c)); /* alone */
	done(&c, first);
	CHECK(send(&c) == second);
	CHECK(!send(&c));
	done(&c, second);
	/* Then as ever. */
	CHECK(send(&c));
	CHECK(send(&c));
	teardown(&c);
}

static int32_t count_records(struct bytes batch, int64_t *ret_first_time)
{
	struct record_iter it;
	struct record r;
	struct buf scratch;
	int32_t count = 0;

	buf_init(&scratch, 1 << 20);
	must_ok(record_iter_init(&it, batch, &scratch, 1 << 20, NULL));
	while (record_iter_next(&it, &r) == OK)
		if (count++ == 0)
			*ret_first_time = r.timestamp;
	buf_fini(&scratch);
	return count;
}

TEST(a_split_keeps_records_order_charge_and_sequences)
{
	struct line_case c;
	struct produce_batch *b;
	int64_t first_time = -1;

	setup(&c);
	c.line.producer_id = 9;
	c.rules.hurry = true;
	for (int i = 1; i <= 5; i++)
		add(&c, i, 11);
	b = send(&c);
	add(&c, 6, 11);
	CHECK(!produce_batch_split(&c.pool, b)); /* it is under way */
	produce_batch_again(b, 0);
	CHECK(produce_batch_split(&c.pool, b));
	check_order(&c, "1 2 | 3 4 5 | 6 | ");
	CHECK_EQ(c.line.batch_count, 3);
	b = send(&c);
	CHECK_EQ(b->sequence, 0);
	CHECK_EQ(b->charged, 27);
	CHECK_EQ(count_records(b->bytes, &first_time), 2);
	CHECK_EQ(first_time, 1);
	done(&c, b);
	b = send(&c);
	CHECK_EQ(b->sequence, 2);
	CHECK_EQ(b->charged, 28);
	CHECK_EQ(count_records(b->bytes, &first_time), 3);
	CHECK_EQ(first_time, 3);
	done(&c, b);
	CHECK_EQ(send(&c)->sequence, 5);
	teardown(&c);
}

TEST(one_record_cannot_be_split)
{
	struct line_case c;

	setup(&c);
	add(&c, 1, 10);
	CHECK(!produce_batch_split(&c.pool, produce_line_oldest(&c.line)));
	check_order(&c, "1 | ");
	teardown(&c);
}

TEST(a_new_epoch_numbers_what_waits_from_zero_again)
{
	struct batch_header h;
	struct line_case c;
	struct produce_batch *first, *second;

	setup(&c);
	c.line.producer_id = 9;
	c.rules.hurry = true;
	add(&c, 1, 2000);
	add(&c, 2, 2000);
	add(&c, 3, 10);
	first = send(&c);
	second = send(&c);
	/* The first failed for good: a hole. */
	done(&c, first);
	c.line.renew = true;
	CHECK(!send(&c)); /* not before the second is back */
	produce_batch_again(second, 0);
	produce_line_renew(&c.line, 9, 1);
	CHECK(send(&c) == second);
	CHECK_EQ(second->sequence, 0);
	must_ok(batch_header_read(second->bytes, &h));
	CHECK_EQ(h.producer_epoch, 1);
	CHECK_EQ(h.base_sequence, 0);
	CHECK(batch_crc_ok(second->bytes));
	done(&c, second);
	CHECK_EQ(send(&c)->sequence, 1);
	teardown(&c);
}
