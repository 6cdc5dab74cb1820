/*
 * txn_refusal: what a producer is told when the coordinator of its transaction did not say yes to a partition of it. Pure.
 */
#ifndef BROKER_HANDLE_TXN_REFUSAL_H
#define BROKER_HANDLE_TXN_REFUSAL_H

#include "base/err.h"

#include <stdbool.h>

/*
 * `e` of the whole request; where that is OK, `missing`: the partition is not in the transaction. `knows_abortable`: the client's version knows
 * TRANSACTION_ABORTABLE. OK: it may go on.
 */
enum err txn_refusal(enum err e, bool missing, bool knows_abortable) MUST_CHECK;

/* The same for a Produce of that version, with the answer's words; NULL: none. */
struct produce_refusal {
	enum err error;
	const char *words;
};

struct produce_refusal produce_refusal(enum err e, bool missing, int16_t version);

#endif
