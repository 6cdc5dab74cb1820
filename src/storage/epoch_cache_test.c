#include "storage/epoch_cache.h"

#include "base/test.h"

static struct epoch_cache three_epochs(void)
{
	struct epoch_cache c;

	epoch_cache_init(&c);
	must_ok(epoch_cache_assign(&c, 0, 0));
	must_ok(epoch_cache_assign(&c, 2, 40));
	must_ok(epoch_cache_assign(&c, 5, 100));
	return c;
}

/* What each epoch ends at, with the log end at 130. */
TEST(end_of_each_epoch)
{
	static const struct {
		int32_t asked;
		enum err err;
		int32_t epoch;
		int64_t end;
	} cases[] = {
		{0, OK, 0, 40},  {1, OK, 0, 40},  {2, OK, 2, 100},
		{4, OK, 2, 100}, {5, OK, 5, 130}, {6, ERR_UNKNOWN_EPOCH, 0, 0},
	};
	struct epoch_cache c = three_epochs();

	for (size_t i = 0; i < countof(cases); i++) {
		int32_t epoch = 0;
		int64_t end = 0;

		CHECK_EQ(epoch_cache_end(&c, cases[i].asked, 130, &epoch, &end), cases[i].err);
		CHECK_EQ(epoch, cases[i].epoch);
		CHECK_EQ(end, cases[i].end);
	}
	epoch_cache_fini(&c);
}

TEST(a_stale_leader_changes_nothing)
{
	struct epoch_cache c = three_epochs();

	CHECK_EQ(epoch_cache_assign(&c, 4, 120), ERR_BAD_EPOCH);
	CHECK_EQ(epoch_cache_assign(&c, 6, 99), ERR_BAD_EPOCH);
	CHECK_EQ(c.count, 3);
	epoch_cache_fini(&c);
}

TEST(an_epoch_from_before_the_log_ends_where_the_log_begins)
{
	struct epoch_cache c = three_epochs();
	int32_t epoch = -1;
	int64_t end = -1;

	epoch_cache_truncate_start(&c, 60);
	must_ok(epoch_cache_end(&c, 1, 130, &epoch, &end));
	CHECK_EQ(epoch, 1);
	CHECK_EQ(end, 60);
	epoch_cache_fini(&c);
}

TEST(cutting_either_side_keeps_the_other)
{
	struct epoch_cache c = three_epochs();

	epoch_cache_truncate_end(&c, 100);
	CHECK_EQ(c.count, 2);
	epoch_cache_truncate_start(&c, 60);
	CHECK_EQ(c.count, 1);
	CHECK_EQ(c.entries[0].epoch, 2);
	CHECK_EQ(c.entries[0].start_offset, 60);
	epoch_cache_fini(&c);
}
