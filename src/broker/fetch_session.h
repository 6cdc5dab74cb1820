/*
 * fetch_session: what a consumer fetches, remembered between its requests, so that each names only what changed (KIP-227).
 *
 *      epoch 0, id 0      a full request that asks for a session        epoch -1   a full request without one; ends the named one
 *      epoch n > 0        the changes since n - 1                       the answer has only partitions with news
 *
 * Invariants: a session's next epoch is known before its request is answered; a request that does not fit changes nothing, but a
 * session that outgrows the cache's memory ends and its request is told that there is none;
 * a session that was not used for its time may be pushed out by a new one, never sooner than a smaller one that was idle longer.
 * Lifetime: one cache a shard, for the connections of that shard; a session that is asked for on another shard is unknown there
 * (the client then starts anew, which costs it one full request). Pure, but for `now`.
 */
#ifndef BROKER_FETCH_SESSION_H
#define BROKER_FETCH_SESSION_H

#include "base/arena.h"
#include "base/err.h"
#include "base/list.h"
#include "base/map.h"
#include "base/prng.h"
#include "base/uuid.h"

#define FETCH_SESSION_NONE 0
#define FETCH_SESSION_EPOCH_FIRST 0
#define FETCH_SESSION_EPOCH_FINAL (-1)

struct fetch_session_cache;

/* One partition as a request names it. */
struct fetch_target {
	struct bytes topic;   /* null in requests by id (Fetch 13+) */
	struct uuid topic_id; /* zero in requests by name */
	int32_t partition;
	int32_t current_leader_epoch;
	int32_t last_fetched_epoch;
	int32_t max_bytes;
	int64_t fetch_offset;
};

/* What a session remembers of a partition. */
struct fetch_session_partition {
	struct list_node node;      /* in order of service: who got data goes to the end */
	struct fetch_target target; /* its topic points into `name` */
	int64_t high_watermark;     /* as last told; -1: tell it anew */
	int64_t log_start_offset;
	size_t name_size;
	uint8_t name[];
};

struct fetch_session {
	struct list_node node; /* in the cache, by last use */
	int32_t id;
	int32_t next_epoch;
	bool by_id;
	int64_t used_ms;
	size_t used_bytes;     /* counted in the cache's too */
	struct map partitions; /* by topic and partition -> struct fetch_session_partition */
	struct list order;
};

/* `max_bytes` of all that sessions remember; beyond it requests are served without a session. */
struct fetch_session_cache *fetch_session_cache_new(struct prng *random, size_t max_sessions, size_t max_bytes);
/* NULL ok. */
void fetch_session_cache_free(struct fetch_session_cache *c);
size_t fetch_session_count(const struct fetch_session_cache *c);

struct fetch_session_request {
	int32_t id;
	int32_t epoch;
	bool by_id; /* the request names topics by id */
	const struct fetch_target *targets;
	size_t target_count;
	const struct fetch_target *forgotten;
	size_t forgotten_count;
};

/*
 * Takes a request's session part. *ret_session is NULL for a request that has none (full, final, or no room). ERR_FETCH_SESSION_ID_NOT_FOUND,
 * ERR_INVALID_FETCH_SESSION_EPOCH, ERR_FETCH_SESSION_TOPIC_ID_ERROR: answered as they are, with no partitions. *ret_full says that the
 * answer lists every partition, not only news.
 */
enum err fetch_session_take(struct fetch_session_cache *c, const struct fetch_session_request *rq, int64_t now_ms,
			    struct fetch_session **ret_session, bool *ret_full) MUST_CHECK;
/* By id, for the answer: the session may have gone meanwhile (NULL). */
struct fetch_session *fetch_session_find(struct fetch_session_cache *c, int32_t id);

struct fetch_news {
	enum err error;
	int64_t high_watermark;
	int64_t log_start_offset;
	bool has_records;
	bool diverges;
};

/*
 * Whether the answer has to list the partition, and notes what it was told. One that the session no longer has is listed as it
 * was asked for. Called in the answer's order.
 */
bool fetch_session_tell(struct fetch_session *s, const struct fetch_target *t, const struct fetch_news *news);

#endif
