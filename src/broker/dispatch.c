/* dispatch: see the header. */
#include "broker/dispatch.h"

#include <stdio.h>

#include "base/reader.h"
#include "protocol/messages.h"

static bool refuse(char *why, const struct request *rq, const char *what)
{
	const struct request_header *h = &rq->header;

	snprintf(why, DISPATCH_WHY_SIZE, "%s v%d (key %d) from client \"%.*s\": %s", api_name(h->api_key),
		 h->api_version, h->api_key, (int)(h->client_id.size < 60 ? h->client_id.size : 60),
		 (const char *)(h->client_id.data ? h->client_id.data : (const uint8_t *)""), what);
	return false;
}

static void describe_bad_header(char *why, struct bytes frame)
{
	struct reader r = reader_of(frame);
	int16_t key = reader_i16(&r), version = reader_i16(&r);

	if (!r.error && api_find(key))
		snprintf(why, DISPATCH_WHY_SIZE, "%s v%d (key %d): a header that does not parse", api_name(key),
			 version, key);
	else
		snprintf(why, DISPATCH_WHY_SIZE, "a request of %zu bytes without a valid header: not Kafka's protocol",
			 frame.size);
}

bool dispatch_decode(struct request *rq, const struct api_handler *(*find)(int16_t key),
		     char ret_why[static DISPATCH_WHY_SIZE])
{
	struct reader r = reader_of(blob_bytes(rq->frame));
	const struct api_handler *handler;
	const struct message_type *type;
	enum err e = request_header_decode(&r, &rq->header);

	if (e) {
		describe_bad_header(ret_why, blob_bytes(rq->frame));
		return false;
	}
	rq->api = api_find(rq->header.api_key);
	handler = find(rq->header.api_key);
	if (!rq->api || !handler)
		return refuse(ret_why, rq, "this API is not served");
	if (rq->header.api_version < handler->min_version || rq->header.api_version > handler->max_version) {
		if (rq->header.api_key != API_API_VERSIONS)
			return refuse(ret_why, rq, "this version is not served");
		rq->header.api_version = 0;
		rq->body = NULL;
		rq->handler = handler;
		return true;
	}
	type = rq->api->request;
	rq->body = arena_alloc(&rq->arena, type->body->size_bytes);
	must(rq->body); /* an empty arena has room for one struct */
	e = message_decode(type, rq->header.api_version, &r, &rq->arena, rq->body);
	if (e)
		return refuse(ret_why, rq, err_text(e));
	rq->handler = handler;
	return true;
}
