/*
 * consumer_call: the requests of the consumer protocol (KIP-848), beside those of group.h, whose rules hold here too.
 */
#ifndef GROUP_CONSUMER_CALL_H
#define GROUP_CONSUMER_CALL_H

#include "group/group.h"

struct consumer_heartbeat_call {
	struct coordinator_call call;
	const struct consumer_group_heartbeat_request *request;
	struct group_client client;
	int16_t version;
	struct arena *arena;
	struct consumer_group_heartbeat_response response;
};

/* What Kafka refuses before it asks who coordinates; then the answer is filled in. The arena is set. */
enum err group_consumer_heartbeat_check(const struct group_options *o, struct consumer_heartbeat_call *c);
void group_consumer_heartbeat(struct groups *g, struct step *s, struct consumer_heartbeat_call *c);
void group_consumer_heartbeat_refuse(struct consumer_heartbeat_call *c, enum err why);

/* One group. */
struct describe_consumer_group_call {
	struct coordinator_call call;
	struct bytes group_id;
	struct arena *arena;
	struct consumer_group_describe_response_described_group response;
};

void group_describe_consumer(struct groups *g, struct step *s, struct describe_consumer_group_call *c);
void group_describe_consumer_refuse(struct describe_consumer_group_call *c, enum err why);

#endif
