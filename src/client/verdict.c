/* verdict: see the header. */
#include "client/verdict.h"

/* What has the same meaning for all questions: where the coordinator is, and whether there was an answer at all. */
static bool common(enum err e, enum verdict *ret_verdict)
{
	switch (e) {
	case OK:
		*ret_verdict = VERDICT_DONE;
		return true;
	case ERR_COORDINATOR_LOAD_IN_PROGRESS:
	case ERR_THROTTLING_QUOTA_EXCEEDED:
		*ret_verdict = VERDICT_AGAIN;
		return true;
	case ERR_COORDINATOR_NOT_AVAILABLE:
	case ERR_NOT_COORDINATOR:
		*ret_verdict = VERDICT_FIND;
		return true;
	case ERR_CANCELLED:
	case ERR_UNSUPPORTED:
	case ERR_BAD_VERSION:
	case ERR_TOO_BIG:
		*ret_verdict = VERDICT_FATAL;
		return true;
	default:
		/* No answer: the connection, the time, or bytes that are none. */
		*ret_verdict = VERDICT_FIND;
		return e <= -1000;
	}
}

static enum verdict of_join(enum err e)
{
	switch (e) {
	case ERR_MEMBER_ID_REQUIRED:
		return VERDICT_NAMED;
	case ERR_UNKNOWN_MEMBER_ID:
	case ERR_ILLEGAL_GENERATION:
		return VERDICT_LOST;
	case ERR_REBALANCE_IN_PROGRESS:
		return VERDICT_AGAIN;
	default:
		return VERDICT_FATAL;
	}
}

static enum verdict of_sync_or_heartbeat(enum err e)
{
	switch (e) {
	case ERR_REBALANCE_IN_PROGRESS:
		return VERDICT_REJOIN;
	case ERR_UNKNOWN_MEMBER_ID:
	case ERR_ILLEGAL_GENERATION:
		return VERDICT_LOST;
	default:
		return VERDICT_FATAL;
	}
}

static enum verdict of_modern(enum err e)
{
	switch (e) {
	case ERR_FENCED_MEMBER_EPOCH:
	case ERR_UNKNOWN_MEMBER_ID:
		return VERDICT_LOST;
	case ERR_TOPIC_AUTHORIZATION_FAILED:
		return VERDICT_TELL;
	default:
		return VERDICT_FATAL;
	}
}

static enum verdict of_commit(enum err e)
{
	switch (e) {
	case ERR_UNKNOWN_TOPIC_OR_PARTITION:
	case ERR_UNKNOWN_TOPIC_ID:
		return VERDICT_AGAIN;
	case ERR_REQUEST_TIMED_OUT:
		return VERDICT_FIND;
	case ERR_REBALANCE_IN_PROGRESS:
		return VERDICT_REJOIN;
	case ERR_UNKNOWN_MEMBER_ID:
	case ERR_ILLEGAL_GENERATION:
	case ERR_FENCED_MEMBER_EPOCH:
		return VERDICT_LOST;
	case ERR_STALE_MEMBER_EPOCH:
		return VERDICT_STALE;
	default:
		return VERDICT_FATAL;
	}
}

static enum verdict of_offsets(enum err e)
{
	switch (e) {
	case ERR_UNSTABLE_OFFSET_COMMIT:
	case ERR_UNKNOWN_TOPIC_OR_PARTITION:
	case ERR_UNKNOWN_TOPIC_ID:
	case ERR_REBALANCE_IN_PROGRESS:
		return VERDICT_AGAIN;
	case ERR_STALE_MEMBER_EPOCH:
	case ERR_UNKNOWN_MEMBER_ID: /* fenced, and it will join anew */
	case ERR_FENCED_MEMBER_EPOCH:
		return VERDICT_STALE;
	default:
		return VERDICT_FATAL;
	}
}

enum verdict verdict_of(enum group_question q, enum err e)
{
	enum verdict verdict;

	if (common(e, &verdict))
		return verdict;
	switch (q) {
	case ASK_FIND:
		return err_retriable(e) ? VERDICT_AGAIN : VERDICT_FATAL;
	case ASK_JOIN:
		return of_join(e);
	case ASK_SYNC:
	case ASK_CLASSIC:
		return of_sync_or_heartbeat(e);
	case ASK_MODERN:
		return of_modern(e);
	case ASK_COMMIT:
		return of_commit(e);
	case ASK_OFFSETS:
		return of_offsets(e);
	}
	must_not_reach();
}

bool verdict_keeps_id(enum err e)
{
	return e == ERR_ILLEGAL_GENERATION;
}
