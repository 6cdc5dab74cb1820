/*
 * told: what several answers tell about the cluster: where a broker is reached by this client, which topics are internal, what
 * somebody may do without an authorizer. Reads the image of the request's shard; never suspends.
 */
#ifndef BROKER_HANDLE_TOLD_H
#define BROKER_HANDLE_TOLD_H

#include "broker/request.h"
#include "group/group.h"

/* Bits of AclOperation that apply to each: what everybody may do while there is no authorizer. */
#define TOLD_CLUSTER_OPERATIONS 8096
#define TOLD_TOPIC_OPERATIONS 3576
#define TOLD_GROUP_OPERATIONS 3400
#define TOLD_NO_OPERATIONS INT32_MIN

struct told_endpoint {
	struct bytes host;
	int32_t port;
};

/*
 * Where this client reaches that broker: the endpoint of the listener that the client came in by; where it was not said what to advertise, the
 * local address of the client's own connection. False: that broker has no such listener. The text lives as long as the request.
 */
bool told_endpoint_of(struct request *rq, const struct image_broker *b, struct told_endpoint *ret_endpoint);

/* Who asks, as groups note it. The text lives as long as the request. */
struct group_client told_group_client(struct request *rq);

/* Kafka's own topics, which exist when first needed. */
bool told_is_internal(struct bytes topic);

/* NULL when the name may be used; else Kafka's words, from the request's arena. */
const char *told_name_fault(struct request *rq, struct bytes topic);

/* As Integer.parseInt, which takes signs and leading zeros. */
bool told_parse_id(struct bytes text, int32_t *ret_id) MUST_CHECK;

/* Memory for an answer; NULL: the request was closed since it would grow too large. */
void *told_alloc(struct request *rq, size_t count, size_t size) MUST_CHECK;

/* The answers' arrays are not const; these point into the image, which outlives the encoding. */
static inline int32_t *told_ids(const int32_t *ids)
{
	return (int32_t *)(uintptr_t)ids;
}

#endif
