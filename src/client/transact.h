/*
 * transact: what a transactional producer may do, and what an answer means for its transaction. Pure tables.
 *
 *                 begin            commit                    answered
 *      NONE --init--> READY ----> OPEN ----> COMMITTING ----------------> READY
 *                       ^          |  abort                  answered       |
 *                       |          +------> ABORTING <--+ --------------> READY
 *                       |          | an error           | abort
 *                       |          +------> FAILED -----+       any --an error for good--> FATAL
 *
 * Invariant: from FAILED there is no way to COMMITTING, and none at all out of FATAL.
 * Which errors are which is Java's (TransactionManager of 4.3, KIP-1050): its retriable, abortable and fatal ones, those that only a bumped epoch
 * mends, and those of fencing.
 */
#ifndef CLIENT_TRANSACT_H
#define CLIENT_TRANSACT_H

#include "base/err.h"

/* As the public mo_txn_state numbers them. */
enum transact_state {
	TRANSACT_NONE,
	TRANSACT_READY,
	TRANSACT_OPEN,
	TRANSACT_COMMITTING,
	TRANSACT_ABORTING,
	TRANSACT_FAILED,
	TRANSACT_FATAL
};

enum transact_step {
	TRANSACT_INIT,
	TRANSACT_BEGIN,
	TRANSACT_PRODUCE,
	TRANSACT_OFFSETS,
	TRANSACT_COMMIT,
	TRANSACT_ABORT
};

/* The program may ask for this now. What was begun and timed out is asked for again. */
bool transact_allows(enum transact_state state, enum transact_step step);
/* What a refusal says: the state in words. */
const char *transact_state_text(enum transact_state state);

enum transact_question {
	TRANSACT_ASK_FIND,           /* FindCoordinator */
	TRANSACT_ASK_INIT,           /* InitProducerId */
	TRANSACT_ASK_ADD,            /* AddPartitionsToTxn */
	TRANSACT_ASK_ADD_OFFSETS,    /* AddOffsetsToTxn */
	TRANSACT_ASK_COMMIT_OFFSETS, /* TxnOffsetCommit */
	TRANSACT_ASK_PRODUCE,        /* a batch that is given up */
	TRANSACT_ASK_END,            /* EndTxn */
};

enum transact_verdict {
	TRANSACT_DONE,
	TRANSACT_AGAIN,         /* the same after the backoff */
	TRANSACT_FIND,          /* another broker coordinates, or this one cannot be reached */
	TRANSACT_ABORTABLE,     /* the transaction can only be aborted */
	TRANSACT_ABORT_BY_BUMP, /* the same, where the broker can give the producer a new epoch; else fatal */
	TRANSACT_FENCED,        /* fatal: another producer has the id */
	TRANSACT_FATAL_ERROR,   /* fatal */
};

enum transact_verdict transact_verdict(enum transact_question q, enum err e);
/* Of two answers to parts of one question, the one that ends more; of equals the first. */
enum err transact_worse(enum transact_question q, enum err first, enum err second);

#endif
