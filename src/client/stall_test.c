/* stall_test: the steps from a partition that does not move to words for its program. */
#include "client/stall.h"

#include "base/test.h"

#define BOUND 100

TEST(what_moves_is_left_alone)
{
	struct stall s = {0};

	for (int64_t now = 0; now < 1000; now += BOUND - 1) {
		CHECK_EQ(stall_step(&s, now, BOUND), STALL_NONE);
		stall_moved(&s, now);
	}
}

TEST(what_does_not_move_is_checked_mended_and_told_once)
{
	struct stall s = {0};

	stall_moved(&s, 50);
	CHECK_EQ(stall_step(&s, 149, BOUND), STALL_NONE);
	CHECK_EQ(stall_step(&s, 150, BOUND), STALL_CHECK);
	stall_mended(&s, 160);
	CHECK_EQ(stall_step(&s, 259, BOUND), STALL_NONE);
	CHECK_EQ(stall_step(&s, 260, BOUND), STALL_TELL);
	stall_told(&s, 260);
	CHECK_EQ(stall_step(&s, 359, BOUND), STALL_NONE);
	CHECK_EQ(stall_step(&s, 360, BOUND), STALL_MEND);
	stall_mended(&s, 360);
	CHECK_EQ(stall_step(&s, 460, BOUND), STALL_MEND);
	/* It moved: the next time it is told again. */
	stall_moved(&s, 470);
	CHECK_EQ(stall_step(&s, 570, BOUND), STALL_CHECK);
	stall_mended(&s, 570);
	CHECK_EQ(stall_step(&s, 670, BOUND), STALL_TELL);
}
