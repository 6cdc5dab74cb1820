/* modern_member_test: what heartbeats say and when, and what their answers make of a member. */
#include "client/modern_member.h"

#include <stdio.h>

#include "base/test.h"
#include "protocol/codec.h"

struct fixture {
	struct modern_member m;
	struct modern_words words;
	struct bytes topics[2];
	struct cluster_topic topic;
	struct parts owned;
	struct arena arena;
};

static void setup(struct fixture *f)
{
	struct prng random;

	prng_seed(&random, 1);
	*f = (struct fixture){.topic = {.name = (char[]){"a"}, .id = {{7}}}};
	modern_init(&f->m, &random);
	f->topics[0] = bytes_str("a");
	f->topics[1] = bytes_str("b");
	f->words = (struct modern_words){.group = bytes_str("g"),
					 .rebalance_timeout_ms = 300000,
					 .topics = f->topics,
					 .topic_count = 2,
					 .knows_regex = true,
					 .owned = &f->owned};
	arena_init(&f->arena, 100000);
}

static void teardown(struct fixture *f)
{
	parts_fini(&f->owned);
	arena_fini(&f->arena);
}

/* The next heartbeat as text, which is then on its way. */
static const char *says(struct fixture *f, char *ret_text)
{
	struct consumer_group_heartbeat_request r;
	size_t at;

	CHECK(modern_fill(&f->m, &f->words, &f->arena, &r));
	CHECK(bytes_equal_str(r.member_id, f->m.id));
	modern_sent(&f->m);
	at = (size_t)sprintf(ret_text, "epoch %d", r.member_epoch);
	if (r.rebalance_timeout_ms != -1)
		at += (size_t)sprintf(ret_text + at, " timeout");
	if (r.subscribed_topic_names)
		at += (size_t)sprintf(ret_text + at, " names %d", r.subscribed_topic_names_count);
	if (!bytes_is_null(r.subscribed_topic_regex))
		at += (size_t)sprintf(ret_text + at, " regex <%.*s>", BYTES_ARG(r.subscribed_topic_regex));
	if (!bytes_is_null(r.server_assignor))
		at += (size_t)sprintf(ret_text + at, " assignor");
	if (!bytes_is_null(r.rack_id))
		at += (size_t)sprintf(ret_text + at, " rack");
	if (!bytes_is_null(r.instance_id))
		at += (size_t)sprintf(ret_text + at, " instance");
	if (r.topic_partitions) {
		at += (size_t)sprintf(ret_text + at, " owned");
		for (int32_t i = 0; i < r.topic_partitions_count; i++)
			at += (size_t)sprintf(ret_text + at, " %d of %d", r.topic_partitions[i].partitions_count,
					      r.topic_partitions[i].topic_id.bytes[0]);
	}
	return ret_text;
}

static enum verdict answer(struct fixture *f, enum err e, int32_t epoch)
{
	struct consumer_group_heartbeat_response r;

	message_init(&consumer_group_heartbeat_response_type, &r);
	r.member_epoch = epoch;
	r.heartbeat_interval_ms = 5000;
	return modern_answered(&f->m, e, &r);
}

TEST(all_is_said_once_and_what_changes_once_more)
{
	struct fixture f;
	char text[200];

	setup(&f);
	CHECK(!modern_owes(&f.m));
	modern_join(&f.m);
	CHECK(modern_owes(&f.m));
	CHECK_STR(says(&f, text), "epoch 0 timeout names 2 owned");
	CHECK(!modern_owes(&f.m));
	CHECK_EQ(answer(&f, OK, 1), VERDICT_DONE);
	CHECK_EQ(f.m.state, MODERN_MEMBER);
	CHECK_EQ(f.m.interval_ms, 5000);
	CHECK_STR(says(&f, text), "epoch 1");
	parts_append(&f.owned, &f.topic, 0);
	parts_append(&f.owned, &f.topic, 3);
	f.m.owes_owned = true;
	CHECK(modern_owes(&f.m));
	CHECK_STR(says(&f, text), "epoch 1 owned 2 of 7");
	CHECK_EQ(answer(&f, OK, 2), VERDICT_DONE);
	CHECK_STR(says(&f, text), "epoch 2");
	f.words.topic_count = 1;
	f.m.owes_topics = true;
	CHECK_STR(says(&f, text), "epoch 2 names 1 regex <>");
	/* Whether the group heard it is not known: everything again. */
	CHECK_EQ(answer(&f, ERR_CONNECTION_LOST, 0), VERDICT_FIND);
	CHECK_STR(says(&f, text), "epoch 2 timeout names 1 owned 2 of 7");
	teardown(&f);
}

TEST(what_is_given_once_is_said_when_joining)
{
	struct fixture f;
	char text[200];

	setup(&f);
	f.words.instance = bytes_str("i");
	f.words.rack = bytes_str("r");
	f.words.assignor = bytes_str("range");
	f.words.regex = bytes_str("a.*");
	f.words.topic_count = 0;
	modern_join(&f.m);
	CHECK_STR(says(&f, text), "epoch 0 timeout names 0 regex <a.*> assignor rack instance owned");
	CHECK_EQ(answer(&f, OK, 1), VERDICT_DONE);
	CHECK_STR(says(&f, text), "epoch 1 instance");
	f.words.knows_regex = false;
	modern_join(&f.m);
	CHECK_STR(says(&f, text), "epoch 0 timeout names 0 assignor rack instance owned");
	teardown(&f);
}

TEST(who_is_fenced_gives_up_and_joins_with_its_id_at_epoch_zero)
{
	static const enum err fences[] = {ERR_FENCED_MEMBER_EPOCH, ERR_UNKNOWN_MEMBER_ID};
	struct fixture f;
	char text[200], id[UUID_TEXT_SIZE];

	for (size_t i = 0; i < countof(fences); i++) {
		setup(&f);
		memcpy(id, f.m.id, sizeof(id));
		modern_join(&f.m);
		says(&f, text);
		answer(&f, OK, 5);
		parts_append(&f.owned, &f.topic, 0);
		CHECK_EQ(answer(&f, fences[i], 0), VERDICT_LOST);
		CHECK_EQ(f.m.state, MODERN_FENCED);
		CHECK(!modern_owes(&f.m));
		modern_gave_up(&f.m);
		CHECK_STR(says(&f, text), "epoch 0 timeout names 2 owned");
		CHECK_STR(f.m.id, id);
		teardown(&f);
	}
}

TEST(errors_that_pass_leave_the_member_what_it_is)
{
	static const struct {
		enum err e;
		enum verdict verdict;
	} cases[] = {
		{ERR_COORDINATOR_LOAD_IN_PROGRESS, VERDICT_AGAIN},
		{ERR_NOT_COORDINATOR, VERDICT_FIND},
		{ERR_TIMED_OUT, VERDICT_FIND},
		{ERR_TOPIC_AUTHORIZATION_FAILED, VERDICT_TELL},
		{ERR_UNRELEASED_INSTANCE_ID, VERDICT_FATAL},
	};
	struct fixture f;
	char text[200];

	for (size_t i = 0; i < countof(cases); i++) {
		setup(&f);
		modern_join(&f.m);
		says(&f, text);
		answer(&f, OK, 3);
		CHECK_EQ(answer(&f, cases[i].e, 0), cases[i].verdict);
		CHECK_EQ(f.m.state, MODERN_MEMBER);
		CHECK_EQ(f.m.epoch, 3);
		CHECK_STR(says(&f, text), "epoch 3 timeout names 2 owned");
		teardown(&f);
	}
}

TEST(a_member_with_an_instance_id_leaves_for_now_only)
{
	struct consumer_group_heartbeat_request r;
	struct fixture f;

	setup(&f);
	modern_fill_leave(&f.m, &f.words, &r);
	CHECK_EQ(r.member_epoch, -1);
	f.words.instance = bytes_str("i");
	modern_fill_leave(&f.m, &f.words, &r);
	CHECK_EQ(r.member_epoch, -2);
	CHECK(bytes_equal_str(r.instance_id, "i"));
	teardown(&f);
}
