/*
 * visits: partitions of a request that are looked at where they live: one fiber on each shard that has some of them, one shard
 * after the other, for administration. Data go by groups (produce.c, fetch_group.c).
 */
#ifndef BROKER_HANDLE_VISITS_H
#define BROKER_HANDLE_VISITS_H

#include "broker/request.h"

struct visit {
	struct visit *next; /* of the same shard */
	struct uuid topic_id;
	int32_t partition;
	void *item; /* the handler's own; touched only on the partition's shard until visits_await has returned */
};

struct visits;

/* From the request's arena; NULL when it is full, and false as well. */
struct visits *visits_new(struct request *rq) MUST_CHECK;
bool visits_add(struct request *rq, struct visits *v, struct uuid topic_id, int32_t partition, void *item) MUST_CHECK;
/*
 * Calls for each on its shard, in order of visits_add there. Must not touch the request's arena. ERR_NO_MEMORY: a shard had no fiber, and
 * those of it and of later shards were not visited.
 */
enum err visits_await(struct fiber *self, struct request *rq, struct visits *v,
		      void (*one_await)(struct fiber *there, struct broker_shard *at, struct visit *visit)) MUST_CHECK;

#endif
