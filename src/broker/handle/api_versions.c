/*
 * api_versions: ApiVersions 0-5: what this broker serves, taken from the table of handlers itself, and the cluster's features.
 *
 * A version that is not known is answered in version 0 with the range of this API alone, so that the client can ask again. A
 * client that says which cluster and node it means to reach (5+) and is elsewhere is told to start over.
 * May call: the table of handlers, the image, request.h.
 */
#include "broker/connection.h"
#include "broker/handle/handle.h"
#include "broker/handle/told.h"
#include "broker/handlers.h"
#include "controller/features.h"
#include "protocol/messages.h"

/* Kafka: [a-zA-Z0-9](?:[a-zA-Z0-9\-.]*[a-zA-Z0-9])? */
static bool is_software_text(struct bytes text)
{
	for (size_t i = 0; i < text.size; i++) {
		uint8_t c = text.data[i];
		bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
		bool inside = i > 0 && i + 1 < text.size;

		if (!plain && !(inside && (c == '-' || c == '.')))
			return false;
	}
	return text.size > 0;
}

static void answer_error(struct request *rq, enum err e)
{
	struct api_versions_response answer;
	struct api_versions_response_api_version own = {API_API_VERSIONS, api_versions_handler.min_version,
							api_versions_handler.max_version};

	message_init(&api_versions_response_type, &answer);
	answer.error_code = (int16_t)e;
	if (e == ERR_UNSUPPORTED_VERSION) {
		answer.api_keys = &own;
		answer.api_keys_count = 1;
	}
	request_reply(rq, &answer);
}

static void list_apis(struct api_versions_response *answer)
{
	for (int16_t key = 0; key < HANDLERS_MAX_KEY; key++) {
		const struct api_handler *h = handlers_find(key);

		if (!h)
			continue;
		/* Older librdkafka looks at Produce 0-2 to choose its message format (KAFKA-18659): told, not served. */
		answer->api_keys[answer->api_keys_count++] = (struct api_versions_response_api_version){
			h->key, key == API_PRODUCE ? 0 : h->min_version, h->max_version};
	}
}

/* Before version 4 a client cannot read a range that starts at 0, so such features are left out there. */
static void list_supported(struct request *rq, const struct feature_range *supported, size_t count,
			   struct api_versions_response *answer)
{
	for (size_t i = 0; i < count; i++)
		if (supported[i].min > 0 || rq->header.api_version >= 4)
			answer->supported_features[answer->supported_features_count++] =
				(struct api_versions_response_supported_feature_key){
					bytes_str(supported[i].name), supported[i].min, supported[i].max};
}

static void list_finalized(const struct image *image, struct api_versions_response *answer)
{
	answer->finalized_features_epoch = image_version(image);
	for (size_t i = 0; i < image_feature_count(image); i++) {
		const struct image_feature *f = image_feature_at(image, i);

		answer->finalized_features[answer->finalized_features_count++] =
			(struct api_versions_response_finalized_feature_key){bytes_str(f->name), f->level, f->level};
	}
}

static bool is_elsewhere(struct request *rq, const struct api_versions_request *body)
{
	if (!bytes_is_null(body->cluster_id) && !bytes_equal_str(body->cluster_id, image_cluster_id(rq->broker->image)))
		return true;
	return body->node_id != -1 && body->node_id != broker_node_id(rq->broker->broker);
}

static void api_versions_begin(struct request *rq)
{
	const struct api_versions_request *body = rq->body;
	const struct image *image = rq->broker->image;
	struct api_versions_response answer;
	size_t supported_count;
	const struct feature_range *supported = features_supported(&supported_count);

	if (!body) {
		answer_error(rq, ERR_UNSUPPORTED_VERSION);
		return;
	}
	if (rq->header.api_version >= 3 &&
	    (!is_software_text(body->client_software_name) || !is_software_text(body->client_software_version))) {
		answer_error(rq, ERR_INVALID_REQUEST);
		return;
	}
	if (rq->header.api_version >= 5 && is_elsewhere(rq, body)) {
		answer_error(rq, ERR_REBOOTSTRAP_REQUIRED);
		return;
	}
	message_init(&api_versions_response_type, &answer);
	answer.api_keys = told_alloc(rq, HANDLERS_MAX_KEY, sizeof(*answer.api_keys));
	if (!answer.api_keys)
		return;
	answer.supported_features = told_alloc(rq, supported_count, sizeof(*answer.supported_features));
	if (!answer.supported_features)
		return;
	answer.finalized_features = told_alloc(rq, image_feature_count(image), sizeof(*answer.finalized_features));
	if (!answer.finalized_features)
		return;
	list_apis(&answer);
	list_supported(rq, supported, supported_count, &answer);
	list_finalized(image, &answer);
	request_reply(rq, &answer);
}

const struct api_handler api_versions_handler = {
	.key = API_API_VERSIONS,
	.min_version = 0,
	.max_version = 5,
	.begin = api_versions_begin,
};
