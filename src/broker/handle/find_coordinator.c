/*
 * find_coordinator: FindCoordinator 0-6. There are no groups, transactions or share groups yet: COORDINATOR_NOT_AVAILABLE, which
 * clients take as "later". May call: request.h, the log.
 */
#include "broker/handle/handle.h"
#include "broker/handle/told.h"
#include "protocol/messages.h"

enum key_type { KEY_GROUP = 0, KEY_TRANSACTION = 1, KEY_SHARE = 2 };

#define UUID_SIZE 22 /* as text */
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

static enum err outcome(const struct find_coordinator_request *body, struct bytes key)
{
	if (body->key_type < KEY_GROUP || body->key_type > KEY_SHARE)
		return ERR_INVALID_REQUEST;
	if (body->key_type == KEY_SHARE && !is_share_key(key))
		return ERR_INVALID_REQUEST;
	return ERR_COORDINATOR_NOT_AVAILABLE;
}

/* Clients ask for ever and tell their users nothing, so the log has to; one that retries asks ten times a second. */
static void say_none(struct request *rq, int8_t key_type)
{
	static const char *const kinds[] = {
		[KEY_GROUP] = "consumer groups (subscribe, committed offsets): assign partitions instead, with "
			      "enable.auto.commit=false",
		[KEY_TRANSACTION] = "transactions: produce without transactional.id",
		[KEY_SHARE] = "share groups",
	};
	int64_t now_us = shard_now_us(rq->shard);

	if (key_type < KEY_GROUP || key_type > KEY_SHARE || now_us < rq->broker->no_coordinator_due_us)
		return;
	rq->broker->no_coordinator_due_us = now_us + LINE_EVERY_US;
	log_warn(shard_log(rq->shard),
		 "a client asks for a coordinator (COORDINATOR_NOT_AVAILABLE): there are no %s; said at most "
		 "once a minute by each shard",
		 kinds[key_type]);
}

static void find_coordinator_begin(struct request *rq)
{
	const struct find_coordinator_request *body = rq->body;
	bool unknown_type = body->key_type < KEY_GROUP || body->key_type > KEY_SHARE;
	struct find_coordinator_response answer;

	say_none(rq, body->key_type);
	message_init(&find_coordinator_response_type, &answer);
	if (rq->header.api_version < 4) {
		answer.error_code = (int16_t)outcome(body, body->key);
		answer.error_message = bytes_str(
			answer.error_code == ERR_INVALID_REQUEST ? INVALID_TEXT : "The coordinator is not available.");
		answer.node_id = -1;
		answer.host = bytes_empty();
		answer.port = -1;
		request_reply(rq, &answer);
		return;
	}
	answer.coordinators = told_alloc(rq, (size_t)body->coordinator_keys_count, sizeof(*answer.coordinators));
	if (!answer.coordinators)
		return;
	for (int32_t i = 0; i < body->coordinator_keys_count; i++)
		answer.coordinators[answer.coordinators_count++] = (struct find_coordinator_response_coordinator){
			.key = body->coordinator_keys[i],
			.node_id = -1,
			.host = bytes_empty(),
			.port = -1,
			.error_code = (int16_t)outcome(body, body->coordinator_keys[i]),
			.error_message = unknown_type ? bytes_str(INVALID_TEXT) : bytes_empty(),
		};
	request_reply(rq, &answer);
}

const struct api_handler find_coordinator_handler = {
	.key = API_FIND_COORDINATOR,
	.min_version = 0,
	.max_version = 6,
	.begin = find_coordinator_begin,
};
