#include "broker/txn_ends.h"

#include "base/test.h"

TEST(what_follows_from_what_became_of_a_marker)
{
	static const struct {
		enum err e;
		enum txn_end_outcome outcome;
	} cases[] = {
		{OK, TXN_END_OVER},
		{ERR_INVALID_PRODUCER_EPOCH, TXN_END_FENCED},
		{ERR_TRANSACTION_COORDINATOR_FENCED, TXN_END_FENCED},
		/* Its topic may be gone: then the next try finds none. */
		{ERR_UNKNOWN_TOPIC_OR_PARTITION, TXN_END_AGAIN},
		{ERR_NOT_LEADER_OR_FOLLOWER, TXN_END_AGAIN},
		{ERR_KAFKA_STORAGE_ERROR, TXN_END_AGAIN},
		{ERR_POLICY_VIOLATION, TXN_END_AGAIN},
		{ERR_UNKNOWN_SERVER_ERROR, TXN_END_AGAIN},
	};

	for (size_t i = 0; i < countof(cases); i++)
		CHECK(txn_end_outcome(cases[i].e) == cases[i].outcome);
}
