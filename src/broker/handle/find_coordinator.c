/*
 * find_coordinator: FindCoordinator 0-6: who leads the partition of the internal topic that a key belongs to. The topic is made when somebody first
 * asks, and the answer waits for it. What is not coordinated here yet is COORDINATOR_NOT_AVAILABLE, which clients take as "later".
 * May call: the image, broker_create_internal_await, request.h, the log.
 */
#include "base/java_hash.h"
#include "broker/handle/handle.h"
#include "broker/handle/told.h"
#include "protocol/messages.h"

#define SHARE_VERSION 6 /* since when share groups may be asked for */
#define UUID_SIZE 22    /* as text */
#define LINE_EVERY_US (60 * INT64_C(1000000))

static const char INVALID_TEXT[] = "This most likely occurs because of a request being malformed by the client library "
				   "or the message was sent to an "
				   "incompatible broker. See the broker logs for more details.";

/* group:topic-id:partition, with a group of any text. */
static bool is_share_key(struct bytes key)
{
	size_t digits = 0;
	struct uuid id;

	while (digits < key.size && key.data[key.size - digits - 1] >= '0' && key.data[key.size - digits - 1] <= '9')
		digits++;
	if (digits == 0 || digits > 10 || key.size < digits + UUID_SIZE + 3)
		return false;
	key.size -= digits;
	if (key.data[key.size - 1] != ':' || key.data[key.size - UUID_SIZE - 2] != ':')
		return false;
	return uuid_parse(bytes_of(key.data + key.size - UUID_SIZE - 1, UUID_SIZE), &id) == OK;
}

static bool is_known(int8_t key_type)
{
	return key_type >= 0 && key_type < INTERNAL_TOPICS;
}

static const struct image_topic *topic_of(const struct request *rq, int8_t key_type)
{
	return image_topic_by_name(rq->broker->image, bytes_str(internal_topic_name((enum internal_topic)key_type)));
}

/* Where the client reaches the leader of the key's partition. */
static enum err find(struct request *rq, int8_t key_type, struct bytes key, int32_t *ret_node,
		     struct told_endpoint *ret_endpoint)
{
	const struct image_topic *t = topic_of(rq, key_type);
	const struct image_partition *p;
	const struct image_broker *b;

	if (!rq->broker->coordinators[key_type] || !t)
		return ERR_COORDINATOR_NOT_AVAILABLE;
	p = image_partition(t, java_hash_partition(key, t->partition_count));
	b = p ? image_broker_by_id(rq->broker->image, p->leader) : NULL;
	if (!b || !told_endpoint_of(rq, b, ret_endpoint))
		return ERR_COORDINATOR_NOT_AVAILABLE;
	*ret_node = b->id;
	return OK;
}

static struct find_coordinator_response_coordinator tell(struct request *rq, int8_t key_type, struct bytes key)
{
	struct find_coordinator_response_coordinator told = {
		.key = key, .node_id = -1, .host = bytes_empty(), .port = -1};
	struct told_endpoint e = {.host = bytes_empty(), .port = -1};
	bool bad_share = key_type == INTERNAL_SHARES && (rq->header.api_version < SHARE_VERSION || !is_share_key(key));

	told.error_message = bytes_empty();
	if (!is_known(key_type) || bad_share) {
		told.error_code = ERR_INVALID_REQUEST;
		told.error_message = is_known(key_type) ? bytes_empty() : bytes_str(INVALID_TEXT);
		return told;
	}
	told.error_code = (int16_t)find(rq, key_type, key, &told.node_id, &e);
	told.host = e.host;
	told.port = e.port;
	return told;
}

static struct bytes text_of(int16_t error_code)
{
	switch (error_code) {
	case OK:
		return bytes_str("NONE");
	case ERR_INVALID_REQUEST:
		return bytes_str(INVALID_TEXT);
	default:
		return bytes_str("The coordinator is not available.");
	}
}

static void answer_one(struct request *rq, const struct find_coordinator_request *body)
{
	struct find_coordinator_response_coordinator told = tell(rq, body->key_type, body->key);
	struct find_coordinator_response answer;

	message_init(&find_coordinator_response_type, &answer);
	answer.error_code = told.error_code;
	answer.error_message = text_of(told.error_code);
	answer.node_id = told.node_id;
	answer.host = told.host;
	answer.port = told.port;
	request_reply(rq, &answer);
}

static void answer(struct request *rq)
{
	const struct find_coordinator_request *body = rq->body;
	struct find_coordinator_response answer;

	if (rq->abandoned)
		return;
	if (rq->header.api_version < 4) {
		answer_one(rq, body);
		return;
	}
	message_init(&find_coordinator_response_type, &answer);
	answer.coordinators = told_alloc(rq, (size_t)body->coordinator_keys_count, sizeof(*answer.coordinators));
	if (!answer.coordinators)
		return;
	for (int32_t i = 0; i < body->coordinator_keys_count; i++)
		answer.coordinators[answer.coordinators_count++] = tell(rq, body->key_type, body->coordinator_keys[i]);
	request_reply(rq, &answer);
}

/* Clients ask for ever and tell their users nothing, so the log has to; one that retries asks ten times a second. */
static void say_none(struct request *rq, int8_t key_type)
{
	static const char *const kinds[INTERNAL_TOPICS] = {
		[INTERNAL_SHARES] = "share groups",
	};
	int64_t now_us = shard_now_us(rq->shard);

	if (!is_known(key_type) || rq->broker->coordinators[key_type] || now_us < rq->broker->no_coordinator_due_us)
		return;
	rq->broker->no_coordinator_due_us = now_us + LINE_EVERY_US;
	log_warn(shard_log(rq->shard),
		 "a client asks for a coordinator (COORDINATOR_NOT_AVAILABLE): there are no %s; said at most "
		 "once a minute by each shard",
		 kinds[key_type]);
}

static void find_coordinator_main(struct fiber *self, struct request *rq)
{
	const struct find_coordinator_request *body = rq->body;

	broker_create_internal_await(self, rq->broker, (enum internal_topic)body->key_type);
	answer(rq);
}

static void find_coordinator_begin(struct request *rq)
{
	const struct find_coordinator_request *body = rq->body;
	int8_t key_type = body->key_type;
	bool asks = rq->header.api_version < 4 || body->coordinator_keys_count > 0;

	say_none(rq, key_type);
	if (asks && is_known(key_type) && rq->broker->coordinators[key_type] && !topic_of(rq, key_type))
		request_run_fiber(rq, "find-coordinator", find_coordinator_main);
	else
		answer(rq);
}

const struct api_handler find_coordinator_handler = {
	.key = API_FIND_COORDINATOR,
	.min_version = 0,
	.max_version = 6,
	.begin = find_coordinator_begin,
};
