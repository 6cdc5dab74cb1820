/* transact: see the header. */
#include "client/transact.h"

bool transact_allows(enum transact_state state, enum transact_step step)
{
	switch (step) {
	case TRANSACT_INIT:
		return state == TRANSACT_NONE;
	case TRANSACT_BEGIN:
		return state == TRANSACT_READY;
	case TRANSACT_PRODUCE:
	case TRANSACT_OFFSETS:
		return state == TRANSACT_OPEN;
	case TRANSACT_COMMIT:
		return state == TRANSACT_OPEN || state == TRANSACT_COMMITTING;
	case TRANSACT_ABORT:
		return state == TRANSACT_OPEN || state == TRANSACT_FAILED || state == TRANSACT_ABORTING;
	}
	return false;
}

const char *transact_state_text(enum transact_state state)
{
	switch (state) {
	case TRANSACT_NONE:
		return "the transactional producer is not initialised (mo_txn_init)";
	case TRANSACT_READY:
		return "no transaction is open (mo_txn_begin)";
	case TRANSACT_OPEN:
		return "a transaction is open";
	case TRANSACT_COMMITTING:
		return "the transaction is being committed: call mo_txn_commit again";
	case TRANSACT_ABORTING:
		return "the transaction is being aborted: call mo_txn_abort again";
	case TRANSACT_FAILED:
		return "the transaction failed and can only be aborted";
	case TRANSACT_FATAL:
		return "the producer failed for good: close the client and open a new one";
	}
	return "unknown";
}

/* What has the same meaning in all answers. */
static bool common(enum transact_question q, enum err e, enum transact_verdict *ret_verdict)
{
	switch (e) {
	case OK:
		*ret_verdict = TRANSACT_DONE;
		return true;
	case ERR_NOT_COORDINATOR:
	case ERR_COORDINATOR_NOT_AVAILABLE:
		*ret_verdict = TRANSACT_FIND;
		return true;
	case ERR_CANCELLED:
	case ERR_UNSUPPORTED:
	case ERR_BAD_VERSION:
	case ERR_UNSUPPORTED_VERSION:
	case ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED:
		*ret_verdict = TRANSACT_FATAL_ERROR;
		return true;
	case ERR_PRODUCER_FENCED:
		*ret_verdict = TRANSACT_FENCED;
		return true;
	case ERR_TRANSACTION_ABORTABLE:
	case ERR_GROUP_AUTHORIZATION_FAILED:
		*ret_verdict = TRANSACT_ABORTABLE;
		return true;
	default:
		break;
	}
	if (q == TRANSACT_ASK_PRODUCE)
		return false;
	/* No answer: the connection, the time, or bytes that are none. */
	if (e <= -1000 || e == ERR_REQUEST_TIMED_OUT)
		*ret_verdict = TRANSACT_FIND;
	else if (err_retriable(e))
		*ret_verdict = TRANSACT_AGAIN;
	else
		return false;
	return true;
}

/* A batch was given up after its repetitions: what the partition's broker, or nobody, said last. */
static enum transact_verdict of_produce(enum err e)
{
	switch (e) {
	case ERR_CLUSTER_AUTHORIZATION_FAILED:
	case ERR_INVALID_PRODUCER_ID_MAPPING:
		return TRANSACT_FATAL_ERROR;
	default:
		/* An older epoch too: the coordinator says which of the two it was, fenced or timed out. */
		return TRANSACT_ABORTABLE;
	}
}

static enum transact_verdict of_offsets(enum err e)
{
	switch (e) {
	case ERR_INVALID_PRODUCER_EPOCH:
		return TRANSACT_FENCED;
	case ERR_FENCED_INSTANCE_ID:
	case ERR_UNKNOWN_MEMBER_ID:
	case ERR_ILLEGAL_GENERATION:
	case ERR_STALE_MEMBER_EPOCH:
	case ERR_FENCED_MEMBER_EPOCH:
	case ERR_REBALANCE_IN_PROGRESS:
	case ERR_OFFSET_METADATA_TOO_LARGE:
	case ERR_TOPIC_AUTHORIZATION_FAILED:
		return TRANSACT_ABORTABLE;
	default:
		return TRANSACT_FATAL_ERROR;
	}
}

enum transact_verdict transact_verdict(enum transact_question q, enum err e)
{
	enum transact_verdict v;

	if (common(q, e, &v))
		return v;
	switch (q) {
	case TRANSACT_ASK_FIND:
		return TRANSACT_FATAL_ERROR;
	case TRANSACT_ASK_PRODUCE:
		return of_produce(e);
	case TRANSACT_ASK_COMMIT_OFFSETS:
		return of_offsets(e);
	case TRANSACT_ASK_INIT:
		if (e == ERR_CLUSTER_AUTHORIZATION_FAILED)
			return TRANSACT_ABORTABLE;
		return e == ERR_INVALID_PRODUCER_EPOCH ? TRANSACT_FENCED : TRANSACT_FATAL_ERROR;
	case TRANSACT_ASK_ADD:
	case TRANSACT_ASK_ADD_OFFSETS:
		if (e == ERR_TOPIC_AUTHORIZATION_FAILED || e == ERR_OPERATION_NOT_ATTEMPTED)
			return TRANSACT_ABORTABLE;
		break;
	case TRANSACT_ASK_END:
		break;
	}
	switch (e) {
	case ERR_INVALID_PRODUCER_EPOCH:
		return TRANSACT_FENCED;
	case ERR_UNKNOWN_PRODUCER_ID:
		return TRANSACT_ABORT_BY_BUMP;
	case ERR_INVALID_TXN_STATE:
	case ERR_INVALID_PRODUCER_ID_MAPPING:
		return TRANSACT_FATAL_ERROR;
	default:
		/* Java collects what is wrong with single partitions and aborts. */
		return q == TRANSACT_ASK_ADD ? TRANSACT_ABORTABLE : TRANSACT_FATAL_ERROR;
	}
}

enum err transact_worse(enum transact_question q, enum err first, enum err second)
{
	if (!first || !second)
		return first ? first : second;
	return transact_verdict(q, second) > transact_verdict(q, first) ? second : first;
}
