/* Tests of the ledger of a group: that it sees each kind of lie, and takes for true what may be. */
#include "sim/group_ledger.h"

#include "base/test.h"

static struct group_ledger ledger(void)
{
	struct group_ledger g;

	group_ledger_init(&g, 2);
	return g;
}

/* A commit of `generation` from `sent` to `end`. */
static const char *commit(struct group_ledger *g, int32_t generation, int64_t value, int64_t sent, int64_t end)
{
	size_t number = group_ledger_commit(g, 0, generation, value, sent);

	return group_ledger_committed(g, 0, number, COMMIT_TAKEN, end);
}

TEST(one_owner_after_the_other_is_well)
{
	struct group_ledger g = ledger();

	CHECK(!group_ledger_owns(&g, 0, 1, 3, 10, 100));
	group_ledger_keeps(&g, 0, 0);
	CHECK(!group_ledger_owns(&g, 1, 2, 3, 20, 100));
	CHECK_EQ(group_ledger_owned(&g, 50), 3);
	/* Its session is over: it may own what it likes. */
	CHECK(!group_ledger_owns(&g, 0, 3, 1, 101, 200));
	CHECK_EQ(group_ledger_owned(&g, 150), 1);
	group_ledger_fini(&g);
}

TEST(two_owners_show)
{
	struct group_ledger g = ledger();

	CHECK(!group_ledger_owns(&g, 0, 1, 1, 10, 100));
	CHECK(!group_ledger_owns(&g, 1, 1, 2, 10, 100));
	group_ledger_valid(&g, 0, 190);
	CHECK(group_ledger_owns(&g, 1, 2, 3, 150, 250));
	group_ledger_fini(&g);
}

TEST(a_commit_of_a_fenced_generation_shows)
{
	struct group_ledger g = ledger();

	group_ledger_generation(&g, 1, 0);
	CHECK(!commit(&g, 1, 5, 1, 2));
	group_ledger_generation(&g, 2, 10);
	CHECK(commit(&g, 1, 6, 11, 12));
	CHECK(!commit(&g, 2, 7, 13, 14));
	group_ledger_fini(&g);
}

TEST(where_members_have_epochs_a_commit_is_fenced_by_who_took_the_partition)
{
	struct group_ledger g = ledger();

	g.by_partition = true;
	CHECK(!group_ledger_owns(&g, 0, 5, 1, 10, 100));
	CHECK(!commit(&g, 5, 1, 11, 12));
	/* The first member goes on in epoch 6, and keeps it; the second has none of it. */
	CHECK(!group_ledger_owns(&g, 1, 6, 2, 20, 100));
	CHECK(!commit(&g, 5, 2, 21, 22));
	group_ledger_keeps(&g, 0, 0);
	CHECK(!group_ledger_owns(&g, 1, 7, 3, 30, 100));
	CHECK(commit(&g, 6, 3, 31, 32));
	CHECK(!commit(&g, 7, 4, 33, 34));
	group_ledger_fini(&g);
}

TEST(what_was_committed_last_is_fetched)
{
	static const struct {
		int64_t value;
		int64_t sent;
		bool well;
	} cases[] = {
		{-1, 5, true},                    /* before the first was answered */
		{10, 5, true},                    /* while it was */
		{-1, 30, false},                  /* it is lost */
		{10, 30, true},  {11, 30, false}, /* nobody committed that */
		{20, 45, true},                   /* on its way */
		{10, 45, true},  {10, 60, false}, /* it went back */
		{20, 60, true},
	};

	for (size_t i = 0; i < countof(cases); i++) {
		struct group_ledger g = ledger();

		CHECK(!commit(&g, 1, 10, 1, 20));
		if (cases[i].sent > 40)
			CHECK(!commit(&g, 1, 20, 40, 50));
		CHECK_EQ(!group_ledger_fetched(&g, 0, cases[i].value, cases[i].sent, cases[i].sent + 1), cases[i].well);
		group_ledger_fini(&g);
	}
}

TEST(a_commit_without_an_answer_may_happen_late_but_not_in_another_generation)
{
	struct group_ledger g = ledger();

	group_ledger_generation(&g, 1, 0);
	group_ledger_commit(&g, 0, 1, 10, 1);
	CHECK(!commit(&g, 1, 20, 5, 6));
	CHECK(!group_ledger_fetched(&g, 0, 10, 7, 8));
	/* Now it is known when it happened. */
	CHECK(!commit(&g, 1, 30, 9, 10));
	CHECK(group_ledger_fetched(&g, 0, 10, 11, 12));
	group_ledger_commit(&g, 0, 1, 40, 13);
	group_ledger_generation(&g, 2, 14);
	CHECK(!commit(&g, 2, 50, 15, 16));
	CHECK(group_ledger_fetched(&g, 0, 40, 17, 18));
	group_ledger_fini(&g);
}

TEST(a_refused_commit_never_happens)
{
	struct group_ledger g = ledger();
	size_t number = group_ledger_commit(&g, 0, 1, 10, 1);

	CHECK(!group_ledger_committed(&g, 0, number, COMMIT_REFUSED, 2));
	CHECK(group_ledger_fetched(&g, 0, 10, 3, 4));
	CHECK(!group_ledger_fetched(&g, 0, -1, 3, 4));
	group_ledger_fini(&g);
}

TEST(what_was_not_processed_is_not_skipped)
{
	struct group_ledger g = ledger();

	group_ledger_processed(&g, 0, 10);
	CHECK(!group_ledger_resumes(&g, 0, 10, 0));
	CHECK(group_ledger_resumes(&g, 0, 11, 0));
	CHECK(!group_ledger_resumes(&g, 0, 11, 11)); /* the log begins there */
	group_ledger_fini(&g);
}
