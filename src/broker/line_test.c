/* line_test: which request may begin, and in which order answers leave. */
#include "broker/line.h"

#include "base/mutant.h"
#include "base/test.h"

struct world {
	struct line line;
	struct request requests[8];
	size_t left[8]; /* in the order in which they left */
	size_t left_count;
};

static void on_leave(struct line *l, struct request *rq)
{
	struct world *w = container_of(l, struct world, line);

	w->left[w->left_count++] = (size_t)(rq - w->requests);
}

static void begin(struct world *w, size_t i)
{
	CHECK(line_may_begin(&w->line));
	line_add(&w->line, &w->requests[i]);
}

static void answer(struct world *w, size_t i)
{
	w->requests[i].answered = true;
	line_answered(&w->line);
}

static struct world *world_new(size_t max)
{
	struct world *w = test_calloc(1, sizeof(*w));

	line_init(&w->line, max, on_leave);
	return w;
}

TEST(a_second_request_waits_for_the_first)
{
	struct world *w = world_new(100);

	begin(w, 0);
	CHECK(!line_may_begin(&w->line));
	answer(w, 0);
	CHECK(line_may_begin(&w->line));
	CHECK_EQ(w->left_count, 1);
	test_free(w);
}

TEST(past_its_ordered_stage_the_next_may_begin)
{
	struct world *w = world_new(100);

	begin(w, 0);
	w->requests[0].ordered = true;
	begin(w, 1);
	CHECK(!line_may_begin(&w->line));
	w->requests[1].ordered = true;
	CHECK(line_may_begin(&w->line));
	test_free(w);
}

/* Answers in every order of three leave in the order of the requests. */
TEST(answers_leave_in_the_order_of_the_requests)
{
	static const size_t orders[][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};

	for (size_t o = 0; o < countof(orders); o++) {
		struct world *w = world_new(100);

		for (size_t i = 0; i < 3; i++) {
			begin(w, i);
			w->requests[i].ordered = true;
		}
		for (size_t i = 0; i < 3; i++)
			answer(w, orders[o][i]);
		CHECK_EQ(w->left_count, 3);
		for (size_t i = 0; i < 3; i++)
			CHECK_EQ(w->left[i], i);
		CHECK_EQ(w->line.count, 0);
		test_free(w);
	}
}

TEST(a_full_line_takes_nobody)
{
	struct world *w = world_new(2);

	begin(w, 0);
	w->requests[0].ordered = true;
	begin(w, 1);
	w->requests[1].ordered = true;
	CHECK(!line_may_begin(&w->line));
	answer(w, 1);
	CHECK(!line_may_begin(&w->line)); /* it still waits for the first */
	answer(w, 0);
	CHECK(line_may_begin(&w->line));
	test_free(w);
}

TEST(taking_all_out_empties_it)
{
	struct world *w = world_new(9);

	begin(w, 0);
	w->requests[0].ordered = true;
	begin(w, 1);
	CHECK(line_take_first(&w->line) == &w->requests[0]);
	CHECK(line_take_first(&w->line) == &w->requests[1]);
	CHECK(line_take_first(&w->line) == NULL);
	CHECK_EQ(w->line.count, 0);
	test_free(w);
}
