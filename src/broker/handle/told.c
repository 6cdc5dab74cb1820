/* told: see the header. */
#include "broker/handle/told.h"

#include <stdio.h>
#include <stdlib.h>

#include "broker/connection.h"

#define TOPIC_NAME_MAX 249

bool told_endpoint_of(struct request *rq, const struct image_broker *b, struct told_endpoint *ret_endpoint)
{
	const char *listener = broker_listener_name(rq->broker->broker, connection_listener(rq->connection));
	const struct image_endpoint *e = image_endpoint(b, listener);
	struct address local;

	if (!e)
		return false;
	if (e->host[0] != '\0') {
		*ret_endpoint = (struct told_endpoint){bytes_str(e->host), e->port};
		return true;
	}
	connection_local_address(rq->connection, &local);
	*ret_endpoint = (struct told_endpoint){arena_copy(&rq->arena, bytes_str(local.host)), local.port};
	return true;
}

struct group_client told_group_client(struct request *rq)
{
	char host[ADDRESS_TEXT_SIZE + 1];

	/* As Java prints an address without a name. */
	snprintf(host, sizeof(host), "/%s", connection_peer(rq->connection)->host);
	return (struct group_client){.id = rq->header.client_id, .host = arena_copy(&rq->arena, bytes_str(host))};
}

bool told_is_internal(struct bytes topic)
{
	enum internal_topic t;

	return internal_topic_find(topic, &t);
}

static bool is_legal(uint8_t c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
	       c == '-';
}

const char *told_name_fault(struct request *rq, struct bytes topic)
{
	char text[400];
	const char *fault;
	bool legal = true;

	if (topic.size == 0)
		return "Topic name is invalid: the empty string is not allowed";
	if (bytes_equal_str(topic, ".") || bytes_equal_str(topic, ".."))
		return "Topic name is invalid: '.' or '..' is not allowed";
	for (size_t i = 0; i < topic.size; i++)
		legal = legal && is_legal(topic.data[i]);
	if (topic.size <= TOPIC_NAME_MAX && legal)
		return NULL;
	if (topic.size > TOPIC_NAME_MAX)
		snprintf(text, sizeof(text),
			 "Topic name is invalid: the length of '%.*s' is longer than the max allowed length %d",
			 (int)(topic.size > 255 ? 255 : topic.size), (const char *)topic.data, TOPIC_NAME_MAX);
	else
		snprintf(text, sizeof(text),
			 "Topic name is invalid: '%.*s' contains one or more characters other than ASCII "
			 "alphanumerics, '.', '_' and '-'",
			 (int)topic.size, (const char *)topic.data);
	fault = (const char *)arena_copy(&rq->arena, bytes_str(text)).data;
	return fault ? fault : "Topic name is invalid";
}

bool told_parse_id(struct bytes text, int32_t *ret_id)
{
	char copy[16] = {0};
	char *end;
	long value;

	if (text.size == 0 || text.size >= sizeof(copy))
		return false;
	memcpy(copy, text.data, text.size);
	value = strtol(copy, &end, 10);
	if (*end != '\0' || copy[0] == ' ' || value < INT32_MIN || value > INT32_MAX)
		return false;
	*ret_id = (int32_t)value;
	return true;
}

void *told_alloc(struct request *rq, size_t count, size_t size)
{
	void *memory = request_alloc(rq, count ? count : 1, size);

	if (!memory)
		request_close(rq, "the answer is too large");
	return memory;
}
