#include "broker/handle/txn_refusal.h"

#include "base/test.h"

#include <string.h>

TEST(what_a_producer_is_told_of_a_partition_that_its_transaction_may_not_have)
{
	static const struct {
		const char *what;
		enum err e;
		bool missing;
		bool knows_abortable;
		enum err told;
	} cases[] = {
		{"it is in the transaction", OK, false, false, OK},
		{"it is not, old", OK, true, false, ERR_INVALID_TXN_STATE},
		{"it is not", OK, true, true, ERR_TRANSACTION_ABORTABLE},
		{"fenced", ERR_PRODUCER_FENCED, false, true, ERR_INVALID_PRODUCER_EPOCH},
		{"the error counts, not what is missing", ERR_INVALID_PRODUCER_ID_MAPPING, true, true,
		 ERR_INVALID_PRODUCER_ID_MAPPING},
		{"in a moment", ERR_CONCURRENT_TRANSACTIONS, false, false, ERR_CONCURRENT_TRANSACTIONS},
	};

	for (size_t i = 0; i < countof(cases); i++)
		CHECK_ERR(txn_refusal(cases[i].e, cases[i].missing, cases[i].knows_abortable), cases[i].told);
}

TEST(what_a_produce_is_told_by_its_version)
{
	static const struct {
		enum err e;
		bool missing;
		int16_t version;
		enum err told;
		const char *words; /* how they end; NULL: none */
	} cases[] = {
		{OK, false, 11, OK, NULL},
		{OK, true, 3, ERR_INVALID_TXN_STATE, "not added to the transaction"},
		{OK, true, 10, ERR_INVALID_TXN_STATE, "not added to the transaction"},
		{OK, true, 11, ERR_TRANSACTION_ABORTABLE, NULL},
		{ERR_CONCURRENT_TRANSACTIONS, false, 11, ERR_NOT_ENOUGH_REPLICAS, ": CONCURRENT_TRANSACTIONS"},
		{ERR_CONCURRENT_TRANSACTIONS, false, 12, ERR_CONCURRENT_TRANSACTIONS, NULL},
		{ERR_COORDINATOR_LOAD_IN_PROGRESS, false, 12, ERR_NOT_ENOUGH_REPLICAS,
		 ": COORDINATOR_LOAD_IN_PROGRESS"},
		{ERR_COORDINATOR_NOT_AVAILABLE, false, 3, ERR_NOT_ENOUGH_REPLICAS, ": COORDINATOR_NOT_AVAILABLE"},
		{ERR_NOT_COORDINATOR, false, 13, ERR_NOT_ENOUGH_REPLICAS, ": NOT_COORDINATOR"},
		{ERR_INVALID_TXN_STATE, false, 12, ERR_INVALID_TXN_STATE, "not added to the transaction"},
		{ERR_PRODUCER_FENCED, false, 12, ERR_INVALID_PRODUCER_EPOCH, NULL},
		{ERR_INVALID_PRODUCER_ID_MAPPING, false, 12, ERR_INVALID_PRODUCER_ID_MAPPING, NULL},
		{ERR_INVALID_REQUEST, false, 12, ERR_INVALID_REQUEST, NULL},
	};

	for (size_t i = 0; i < countof(cases); i++) {
		struct produce_refusal r = produce_refusal(cases[i].e, cases[i].missing, cases[i].version);

		CHECK_ERR(r.error, cases[i].told);
		CHECK((r.words != NULL) == (cases[i].words != NULL));
		if (r.words)
			CHECK(strstr(r.words, cases[i].words));
	}
}
