/* txn_refusal: see the header. Pure. */
#include "broker/handle/txn_refusal.h"

#define PRODUCE_ADDS_FROM \
	12 /* the broker adds the partition itself; its clients know that a transaction may come to its end just now */
#define PRODUCE_ABORTABLE_FROM 11

enum err txn_refusal(enum err e, bool missing, bool knows_abortable)
{
	if (e == ERR_PRODUCER_FENCED)
		return ERR_INVALID_PRODUCER_EPOCH; /* which is what producers expect here */
	if (!e && missing)
		return knows_abortable ? ERR_TRANSACTION_ABORTABLE : ERR_INVALID_TXN_STATE;
	return e;
}

/* Old clients do not try again after every error that goes by itself; after this one they do, and they ask for no metadata. */
static struct produce_refusal later(const char *words)
{
	return (struct produce_refusal){ERR_NOT_ENOUGH_REPLICAS, words};
}

#define UNABLE "Unable to verify the partition has been added to the transaction. Underlying error: "

struct produce_refusal produce_refusal(enum err e, bool missing, int16_t version)
{
	enum err told = txn_refusal(e, missing, version >= PRODUCE_ABORTABLE_FROM);

	switch ((int)told) {
	case ERR_INVALID_TXN_STATE:
		return (struct produce_refusal){told, "Partition was not added to the transaction"};
	case ERR_CONCURRENT_TRANSACTIONS:
		return version >= PRODUCE_ADDS_FROM ? (struct produce_refusal){told, NULL}
						    : later(UNABLE "CONCURRENT_TRANSACTIONS");
	case ERR_COORDINATOR_LOAD_IN_PROGRESS:
		return later(UNABLE "COORDINATOR_LOAD_IN_PROGRESS");
	case ERR_COORDINATOR_NOT_AVAILABLE:
		return later(UNABLE "COORDINATOR_NOT_AVAILABLE");
	case ERR_NOT_COORDINATOR:
		return later(UNABLE "NOT_COORDINATOR");
	default:
		return (struct produce_refusal){told, NULL};
	}
}
