/* offset_ledger: which answers of a fetch may be. */
#include "sim/offset_ledger.h"

#include "base/test.h"

TEST(an_offset_never_goes_back_below_what_was_acknowledged_but_to_one_whose_outcome_is_open)
{
	static const struct {
		int64_t told;
		bool fine;
	} cases[] = {{-1, false}, {0, false}, {1, true}, {2, false}, {3, true}, {4, true}, {5, false}};
	struct offset_ledger l;

	offset_ledger_init(&l);
	CHECK(!offset_ledger_told(&l, -1));
	CHECK(offset_ledger_told(&l, 0));
	for (int i = 0; i < 5; i++)
		CHECK_EQ(offset_ledger_send(&l), i);
	offset_ledger_answered(&l, 0, OFFSET_DONE);
	offset_ledger_answered(&l, 1, OFFSET_OPEN);
	offset_ledger_answered(&l, 2, OFFSET_NOT_DONE);
	offset_ledger_answered(&l, 3, OFFSET_DONE);
	for (size_t i = 0; i < countof(cases); i++) {
		struct offset_ledger before = l;

		CHECK_EQ(!offset_ledger_told(&before, cases[i].told), cases[i].fine);
	}
	CHECK(!offset_ledger_told(&l, 4)); /* what was told is done */
	CHECK(offset_ledger_told(&l, 3));
	CHECK(!offset_ledger_told(&l, 1)); /* it comes late */
	CHECK(!offset_ledger_told(&l, 1));
}

TEST(more_open_ones_than_are_kept_make_it_lenient_from_there_on)
{
	struct offset_ledger l;
	int64_t last = 0;

	offset_ledger_init(&l);
	for (int i = 0; i < OFFSET_LEDGER_OPEN + 10; i++)
		last = offset_ledger_send(&l);
	offset_ledger_answered(&l, last, OFFSET_DONE);
	CHECK(!offset_ledger_told(&l, OFFSET_LEDGER_OPEN + 3));
	CHECK(!offset_ledger_told(&l, 3));
	offset_ledger_answered(&l, 3, OFFSET_NOT_DONE);
	CHECK(offset_ledger_told(&l, 3));
	CHECK(!offset_ledger_told(&l, OFFSET_LEDGER_OPEN + 2));
}
