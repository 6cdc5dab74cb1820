/* stall_test: what is a stall, when a line is due, and who is blamed. */
#include "runtime/stall.h"

#include "base/test.h"

static void first(void)
{
}

static void second(void)
{
}

TEST(a_callback_of_ten_milliseconds_is_a_stall_and_one_of_a_hundred_is_worth_a_line)
{
	static const struct {
		int64_t took_us;
		enum stall_verdict verdict;
		uint64_t count;
	} cases[] = {{0, STALL_NONE, 0},        {9999, STALL_NONE, 0},  {10000, STALL_COUNTED, 1},
		     {99999, STALL_COUNTED, 1}, {100000, STALL_SAY, 1}, {4000000, STALL_SAY, 1}};

	for (size_t i = 0; i < countof(cases); i++) {
		struct stall_watch w = {.mark_us = 500};
		int64_t took_us = -1;
		uint64_t unsaid = 77;

		CHECK_EQ(stall_note(&w, 500 + cases[i].took_us, "task", NULL, first, &took_us, &unsaid),
			 cases[i].verdict);
		CHECK_EQ(w.mark_us, 500 + cases[i].took_us);
		CHECK_EQ(w.count, cases[i].count);
		CHECK_EQ(took_us, cases[i].verdict == STALL_SAY ? cases[i].took_us : -1);
		CHECK_EQ(unsaid, cases[i].verdict == STALL_SAY ? 0 : 77);
		CHECK_EQ(w.longest_us, cases[i].count ? cases[i].took_us : 0);
	}
}

TEST(within_a_second_of_a_line_stalls_are_counted_and_the_next_line_says_how_many)
{
	struct stall_watch w = {0};
	int64_t took_us = 0;
	uint64_t unsaid = 0;

	CHECK_EQ(stall_note(&w, 100000, "task", NULL, first, &took_us, &unsaid), STALL_SAY);
	CHECK_EQ(stall_note(&w, 200000, "task", NULL, first, &took_us, &unsaid), STALL_COUNTED);
	w.mark_us = 999999;
	CHECK_EQ(stall_note(&w, 1099999, "task", NULL, first, &took_us, &unsaid), STALL_COUNTED);
	w.mark_us = 1000000;
	CHECK_EQ(stall_note(&w, 1100000, "task", NULL, first, &took_us, &unsaid), STALL_SAY);
	CHECK_EQ(unsaid, 2);
	CHECK_EQ(w.count, 4);
}

/* Each of these stood still for 10 ms; blame is by name where there is one, else by function. */
TEST(blame_is_by_the_fibers_name_or_the_function)
{
	static const char fiber[] = "fiber", task[] = "task", commit[] = "commit", keeper[] = "keeper";
	static const struct {
		const char *kind;
		const char *name;
		void (*function)(void);
		size_t culprit;
	} cases[] = {
		{fiber, commit, NULL, 0}, {fiber, keeper, NULL, 1},  {task, NULL, first, 2},
		{task, NULL, second, 3},  {fiber, commit, first, 0}, {task, NULL, first, 2},
	};
	static const uint64_t counts[] = {2, 1, 2, 1};
	struct stall_watch w = {0};
	int64_t took_us;
	uint64_t unsaid;

	for (size_t i = 0; i < countof(cases); i++) {
		uint64_t before = w.culprits[cases[i].culprit].count;

		(void)stall_note(&w, w.mark_us + 10000, cases[i].kind, cases[i].name, cases[i].function, &took_us,
				 &unsaid);
		CHECK_EQ(w.culprits[cases[i].culprit].count, before + 1);
	}
	CHECK_EQ(w.culprit_count, countof(counts));
	for (size_t i = 0; i < countof(counts); i++) {
		CHECK_EQ(w.culprits[i].count, counts[i]);
		CHECK_EQ(w.culprits[i].total_us, (int64_t)counts[i] * 10000);
	}
}

TEST(beyond_the_table_all_others_are_one)
{
	static const char names[STALL_CULPRITS + 5] = "";
	struct stall_watch w = {0};
	int64_t took_us;
	uint64_t unsaid;

	for (size_t i = 0; i < sizeof(names); i++)
		(void)stall_note(&w, w.mark_us + 10000, "fiber", names + i, NULL, &took_us, &unsaid);
	CHECK_EQ(w.culprit_count, STALL_CULPRITS);
	CHECK_STR(w.culprits[STALL_CULPRITS - 1].kind, "others");
	CHECK_EQ(w.culprits[STALL_CULPRITS - 1].count, 6);
	CHECK_EQ(w.culprits[STALL_CULPRITS - 2].count, 1);
	/* Who has an entry keeps it. */
	(void)stall_note(&w, w.mark_us + 10000, "fiber", names, NULL, &took_us, &unsaid);
	CHECK(w.culprits[0].count + w.culprits[STALL_CULPRITS - 1].count == 8);
}
