/* classic_member_test: where each answer leads to, from each state. */
#include "client/classic_member.h"

#include "base/test.h"

TEST(answers_move_a_member_as_the_picture_says)
{
	static const struct {
		enum classic_state from;
		enum group_question question;
		enum err e;
		enum verdict verdict;
		enum classic_state to;
		const char *id;
		int32_t generation;
		bool lost;
	} cases[] = {
		{CLASSIC_JOINING, ASK_JOIN, OK, VERDICT_DONE, CLASSIC_SYNCING, "new", 8, false},
		{CLASSIC_JOINING, ASK_JOIN, ERR_MEMBER_ID_REQUIRED, VERDICT_NAMED, CLASSIC_JOINING, "new", 7, false},
		{CLASSIC_JOINING, ASK_JOIN, ERR_UNKNOWN_MEMBER_ID, VERDICT_LOST, CLASSIC_PREPARING, "", -1, true},
		{CLASSIC_JOINING, ASK_JOIN, ERR_NOT_COORDINATOR, VERDICT_FIND, CLASSIC_JOINING, "old", 7, false},
		{CLASSIC_JOINING, ASK_JOIN, ERR_REBALANCE_IN_PROGRESS, VERDICT_AGAIN, CLASSIC_JOINING, "old", 7, false},
		{CLASSIC_SYNCING, ASK_SYNC, OK, VERDICT_DONE, CLASSIC_STABLE, "old", 7, false},
		{CLASSIC_SYNCING, ASK_SYNC, ERR_REBALANCE_IN_PROGRESS, VERDICT_REJOIN, CLASSIC_PREPARING, "old", 7,
		 false},
		{CLASSIC_SYNCING, ASK_SYNC, ERR_ILLEGAL_GENERATION, VERDICT_LOST, CLASSIC_PREPARING, "old", -1, true},
		{CLASSIC_SYNCING, ASK_SYNC, ERR_CONNECTION_LOST, VERDICT_FIND, CLASSIC_PREPARING, "old", 7, false},
		{CLASSIC_STABLE, ASK_CLASSIC, OK, VERDICT_DONE, CLASSIC_STABLE, "old", 7, false},
		{CLASSIC_STABLE, ASK_CLASSIC, ERR_REBALANCE_IN_PROGRESS, VERDICT_REJOIN, CLASSIC_PREPARING, "old", 7,
		 false},
		{CLASSIC_PREPARING, ASK_CLASSIC, ERR_REBALANCE_IN_PROGRESS, VERDICT_REJOIN, CLASSIC_PREPARING, "old", 7,
		 false},
		{CLASSIC_STABLE, ASK_CLASSIC, ERR_UNKNOWN_MEMBER_ID, VERDICT_LOST, CLASSIC_PREPARING, "", -1, true},
		{CLASSIC_STABLE, ASK_CLASSIC, ERR_ILLEGAL_GENERATION, VERDICT_LOST, CLASSIC_PREPARING, "old", -1, true},
		{CLASSIC_STABLE, ASK_CLASSIC, ERR_COORDINATOR_NOT_AVAILABLE, VERDICT_FIND, CLASSIC_STABLE, "old", 7,
		 false},
		{CLASSIC_STABLE, ASK_CLASSIC, ERR_FENCED_INSTANCE_ID, VERDICT_FATAL, CLASSIC_STABLE, "old", 7, false},
	};

	for (size_t i = 0; i < countof(cases); i++) {
		struct classic_member m;
		struct classic_answer a = {
			.question = cases[i].question, .error = cases[i].e, .id = bytes_str("new"), .generation = 8};

		classic_init(&m);
		m.state = CLASSIC_JOINING;
		classic_answered(&m, &(struct classic_answer){ASK_JOIN, OK, bytes_str("old"), 7});
		m.state = cases[i].from;
		CHECK_EQ(classic_answered(&m, &a), cases[i].verdict);
		CHECK_EQ(m.state, cases[i].to);
		CHECK_STR(m.id, cases[i].id);
		CHECK_EQ(m.generation, cases[i].generation);
		CHECK_EQ(m.lost, cases[i].lost);
		classic_fini(&m);
	}
}

TEST(commits_and_heartbeats_are_for_members_with_a_generation)
{
	struct classic_member m;

	classic_init(&m);
	CHECK(!classic_is_member(&m));
	classic_prepare(&m);
	CHECK(!classic_is_member(&m));
	classic_prepared(&m);
	classic_answered(&m, &(struct classic_answer){ASK_JOIN, OK, bytes_str("m"), 1});
	CHECK(!classic_is_member(&m));
	classic_answered(&m, &(struct classic_answer){.question = ASK_SYNC});
	CHECK(classic_is_member(&m));
	classic_prepare(&m);
	CHECK(classic_is_member(&m));
	classic_left(&m);
	CHECK(!classic_is_member(&m));
	CHECK_STR(m.id, "");
	classic_fini(&m);
}

static bool wants(const void *user, const struct cluster_topic *t)
{
	return user == t;
}

TEST(what_is_kept_until_it_has_joined)
{
	struct cluster_topic a = {.name = (char[]){"a"}}, b = {.name = (char[]){"b"}};
	struct parts owned = {0}, kept = {0}, assigned = {0};

	parts_append(&owned, &a, 0);
	parts_append(&owned, &b, 0);
	classic_keeps(&kept, &owned, false, false, wants, &a);
	CHECK_EQ(kept.count, 0);
	classic_keeps(&kept, &owned, true, true, wants, &a);
	CHECK_EQ(kept.count, 0);
	classic_keeps(&kept, &owned, true, false, wants, &a);
	CHECK_EQ(kept.count, 1);
	CHECK(kept.items[0].topic == &a);

	CHECK(!classic_joins_again(&owned, &owned, true));
	CHECK(classic_joins_again(&owned, &assigned, true));
	CHECK(!classic_joins_again(&owned, &assigned, false));
	parts_append(&assigned, &a, 0);
	parts_append(&assigned, &a, 1);
	parts_append(&assigned, &b, 0);
	CHECK(!classic_joins_again(&owned, &assigned, true));
	parts_fini(&owned);
	parts_fini(&kept);
	parts_fini(&assigned);
}
