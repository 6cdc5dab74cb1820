#include "storage/open_txns.h"

#include "base/test.h"

TEST(what_is_stable_ends_where_the_first_transaction_begins_whose_end_is_not_committed)
{
	struct open_txns t;

	open_txns_init(&t);
	CHECK_EQ(open_txns_first_unstable(&t), TXN_NONE);
	open_txns_begin(&t, 1, 10);
	open_txns_begin(&t, 2, 12);
	open_txns_begin(&t, 3, 15);
	CHECK_EQ(open_txns_first_unstable(&t), 10);
	CHECK_EQ(open_txns_next_open(&t, 10), 12);
	CHECK_EQ(open_txns_next_open(&t, 12), 10);
	open_txns_end(&t, 12, 20);
	open_txns_end(&t, 10, 21);
	CHECK_EQ(open_txns_first_unstable(&t), 10);
	open_txns_committed(&t, 20); /* the marker at 20 is not below it */
	CHECK_EQ(t.ended_count, 2);
	open_txns_committed(&t, 21);
	CHECK_EQ(open_txns_first_unstable(&t), 10);
	open_txns_committed(&t, 22);
	CHECK_EQ(open_txns_first_unstable(&t), 15);
	CHECK_EQ(open_txns_next_open(&t, 15), TXN_NONE);
	open_txns_end(&t, 15, 30);
	CHECK_EQ(open_txns_first_unstable(&t), 15);
	open_txns_committed(&t, 31);
	CHECK_EQ(open_txns_first_unstable(&t), TXN_NONE);
	open_txns_fini(&t);
}

TEST(a_cut_takes_back_ends_and_beginnings)
{
	static const struct {
		int64_t cut, first_unstable;
		size_t open, ended;
	} cases[] = {
		/* begins at 10, 12, 25; ends of 12 at 20 and of 10 at 30 */
		{31, 10, 1, 2}, {30, 10, 2, 1}, {25, 10, 1, 1}, {20, 10, 2, 0}, {12, 10, 1, 0}, {10, TXN_NONE, 0, 0},
	};

	for (size_t i = 0; i < countof(cases); i++) {
		struct open_txns t;

		open_txns_init(&t);
		open_txns_begin(&t, 1, 10);
		open_txns_begin(&t, 2, 12);
		open_txns_end(&t, 12, 20);
		open_txns_begin(&t, 2, 25);
		open_txns_end(&t, 10, 30);
		open_txns_cut(&t, cases[i].cut);
		CHECK_EQ(open_txns_first_unstable(&t), cases[i].first_unstable);
		CHECK_EQ(t.open_count, cases[i].open);
		CHECK_EQ(t.ended_count, cases[i].ended);
		for (size_t k = 1; k < t.open_count; k++)
			CHECK(t.open[k - 1].first_offset < t.open[k].first_offset);
		open_txns_fini(&t);
	}
}

TEST(an_end_of_what_never_began_changes_nothing)
{
	struct open_txns t;

	open_txns_init(&t);
	open_txns_begin(&t, 1, 10);
	open_txns_end(&t, 9, 20);
	open_txns_end(&t, 11, 20);
	CHECK_EQ(t.open_count, 1);
	CHECK_EQ(t.ended_count, 0);
	open_txns_fini(&t);
}
