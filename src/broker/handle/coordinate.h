/*
 * coordinate: a request, or the parts of one, that coordinators decide: there by message, a step of the machine, back when it is committed.
 *
 *      home    begin: parts, each with its call ----- go -----> coordinator_submit (the shard of the key's partition)
 *              over: all are home, the handler answers <-home-- call.finished
 *              the client is gone, or memory is short -- drop -> coordinator_abandon
 *
 * Invariants
 * 1. A part with its call, and the request's arena, belong to the coordinators' shards between coordination_go and `over`: home touches neither.
 * 2. `over` runs once, at home, also when the client is gone by then (request_reply is nothing then).
 * 3. An answer is built in the part's arena: the request's own for the first part, one of its own for each of the others, since they may be at
 *    work on several shards at once. Those go when `over` has returned.
 * 4. What answers hold is charged to the budget for requests of the shard that built them, until they are told. Parts are asked until those before them
 *    hold more than four requests may: then UNKNOWN_SERVER_ERROR, since one request may name the same large thing a hundred thousand times. Parts whose
 *    answer may be large are asked only while what others hold there is within that budget: then COORDINATOR_LOAD_IN_PROGRESS, which clients take as
 *    "in a moment", since a thousand requests may name it at once.
 * Not here: what a call means (group/, txn/), which topics hold what (internal_topics.h).
 */
#ifndef BROKER_HANDLE_COORDINATE_H
#define BROKER_HANDLE_COORDINATE_H

#include <stdatomic.h>

#include "broker/request.h"

struct coordination;

/* One call: embedded in the handler's struct beside the machine's own. */
struct coordinated {
	/* In. */
	struct coordinator_call *call;
	void (*run)(void *state, struct step *out, struct coordinator_call *call);
	const struct coordinator_producer *producer; /* of whose transaction it is; NULL: of none */
	/* For the call, from coordination_add on. */
	struct arena *arena;
	/* Own. */
	struct coordination *coordination;
	struct coordinated *next;
	struct broker_shard *target; /* NULL: settled at home */
	enum internal_topic topic;
	int32_t partition;
	struct message message;
	struct message drop;
	struct arena own_arena;
	size_t charged_bytes; /* on the target: to its budget; after `over`, of all that are given back with it */
	struct coordinated *next_giver;
	bool finished; /* on the target */
	bool dropped;  /* at home: drop was sent */
	bool home;     /* at home: it came back */
};

/* The first member of what rq->state points to. */
struct coordination {
	struct request *request;
	void (*over)(struct request *rq);
	struct coordinated *first;
	struct coordinated **last;
	size_t away;
	bool may_be_large;   /* what is told (descriptions, lists); set before it goes */
	size_t begun_bytes;  /* charged at home when it went */
	_Atomic size_t held; /* by answers, on all shards */
	bool hurried;        /* it was given up for want of memory: who was waiting is told to try again */
};

void coordination_init(struct coordination *n, struct request *rq, void (*over)(struct request *rq));
/* To the coordinator of `key`; NOT_COORDINATOR where its topic is not there. */
void coordination_add(struct coordination *n, struct coordinated *p, enum internal_topic topic, struct bytes key);
/* To one partition of the topic, on its shard. */
void coordination_add_partition(struct coordination *n, struct coordinated *p, enum internal_topic topic,
				const struct image_topic *t, int32_t partition);
/* Sends all; with nothing to send `over` runs at once. */
void coordination_go(struct coordination *n);

/* For api_handler.abandon and .hurry of requests that may wait in a machine. */
void coordination_abandon(struct request *rq);
void coordination_hurry(struct request *rq);

#endif
