/* transact_test: what a transactional producer may do in each state, and what each answer means for its transaction. */
#include "client/transact.h"

#include <string.h>

#include "base/test.h"

TEST(a_transaction_that_failed_can_only_be_aborted)
{
	/* By state: init, begin, produce, offsets, commit, abort. */
	static const struct {
		enum transact_state state;
		bool allowed[6];
	} cases[] = {
		{TRANSACT_NONE, {1, 0, 0, 0, 0, 0}},     {TRANSACT_READY, {0, 1, 0, 0, 0, 0}},
		{TRANSACT_OPEN, {0, 0, 1, 1, 1, 1}},     {TRANSACT_COMMITTING, {0, 0, 0, 0, 1, 0}},
		{TRANSACT_ABORTING, {0, 0, 0, 0, 0, 1}}, {TRANSACT_FAILED, {0, 0, 0, 0, 0, 1}},
		{TRANSACT_FATAL, {0, 0, 0, 0, 0, 0}},
	};

	for (size_t i = 0; i < countof(cases); i++) {
		for (size_t k = 0; k < 6; k++)
			CHECK_EQ(transact_allows(cases[i].state, (enum transact_step)k), cases[i].allowed[k]);
		CHECK(transact_state_text(cases[i].state)[0] != '\0');
	}
}

/* D done, R again, L look for the coordinator, A abortable, B abortable by a new epoch, F fenced, X fatal. */
static char letter(enum transact_verdict v)
{
	return "DRLABFX"[v];
}

TEST(answers_mean_for_the_transaction_what_they_mean_to_javas_producer)
{
	/* By question: find, init, add partitions, add offsets, commit offsets, produce, end. */
	static const struct {
		enum err e;
		const char *verdicts;
	} cases[] = {
		{OK, "DDDDDDD"},
		{ERR_NOT_COORDINATOR, "LLLLLLL"},
		{ERR_COORDINATOR_NOT_AVAILABLE, "LLLLLLL"},
		{ERR_COORDINATOR_LOAD_IN_PROGRESS, "RRRRRAR"},
		{ERR_CONCURRENT_TRANSACTIONS, "RRRRRAR"},
		{ERR_UNKNOWN_TOPIC_OR_PARTITION, "RRRRRAR"},
		{ERR_REQUEST_TIMED_OUT, "LLLLLAL"},
		{ERR_CONNECTION_LOST, "LLLLLAL"},
		{ERR_TIMED_OUT, "LLLLLAL"},
		{ERR_MALFORMED, "LLLLLAL"},
		{ERR_UNSUPPORTED, "XXXXXXX"},
		{ERR_UNSUPPORTED_VERSION, "XXXXXXX"},
		{ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED, "XXXXXXX"},
		{ERR_CLUSTER_AUTHORIZATION_FAILED, "XAAXXXX"},
		{ERR_PRODUCER_FENCED, "FFFFFFF"},
		{ERR_INVALID_PRODUCER_EPOCH, "XFFFFAF"},
		{ERR_TRANSACTION_ABORTABLE, "AAAAAAA"},
		{ERR_GROUP_AUTHORIZATION_FAILED, "AAAAAAA"},
		{ERR_INVALID_TXN_STATE, "XXXXXAX"},
		{ERR_INVALID_PRODUCER_ID_MAPPING, "XXXXXXX"},
		{ERR_UNKNOWN_PRODUCER_ID, "XXBBXAB"},
		{ERR_INVALID_TRANSACTION_TIMEOUT, "XXAXXAX"},
		{ERR_TOPIC_AUTHORIZATION_FAILED, "XXAAAAX"},
		{ERR_OPERATION_NOT_ATTEMPTED, "XXAAXAX"},
		{ERR_OUT_OF_ORDER_SEQUENCE_NUMBER, "XXAXXAX"},
		{ERR_MESSAGE_TOO_LARGE, "XXAXXAX"},
		{ERR_FENCED_INSTANCE_ID, "XXAXAAX"},
		{ERR_UNKNOWN_MEMBER_ID, "XXAXAAX"},
		{ERR_ILLEGAL_GENERATION, "XXAXAAX"},
		{ERR_STALE_MEMBER_EPOCH, "XXAXAAX"},
		{ERR_REBALANCE_IN_PROGRESS, "XXAXAAX"},
		{ERR_UNSUPPORTED_FOR_MESSAGE_FORMAT, "XXAXXAX"},
		{ERR_UNKNOWN_SERVER_ERROR, "XXAXXAX"},
	};

	for (size_t i = 0; i < countof(cases); i++) {
		char got[8] = "";

		for (int q = TRANSACT_ASK_FIND; q <= TRANSACT_ASK_END; q++)
			got[q] = letter(transact_verdict((enum transact_question)q, cases[i].e));
		if (strcmp(got, cases[i].verdicts) != 0)
			print_message("%s\n", err_name(cases[i].e));
		CHECK_STR(got, cases[i].verdicts);
	}
}

TEST(of_two_answers_the_one_that_ends_more_counts)
{
	static const struct {
		enum err first, second, worse;
	} cases[] = {
		{OK, OK, OK},
		{OK, ERR_INVALID_TXN_STATE, ERR_INVALID_TXN_STATE},
		{ERR_INVALID_TXN_STATE, OK, ERR_INVALID_TXN_STATE},
		{ERR_TOPIC_AUTHORIZATION_FAILED, ERR_INVALID_TXN_STATE, ERR_INVALID_TXN_STATE},
		{ERR_INVALID_TXN_STATE, ERR_TOPIC_AUTHORIZATION_FAILED, ERR_INVALID_TXN_STATE},
		{ERR_OPERATION_NOT_ATTEMPTED, ERR_TOPIC_AUTHORIZATION_FAILED, ERR_OPERATION_NOT_ATTEMPTED},
	};

	for (size_t i = 0; i < countof(cases); i++)
		CHECK_EQ(transact_worse(TRANSACT_ASK_ADD, cases[i].first, cases[i].second), cases[i].worse);
}
