/*
 * update_features: UpdateFeatures 0-2 (KIP-584): what is asked is judged as in Kafka; what is granted is the controller's to write. metadata.version has
 * its newest level from the start. May call: the controller (from a fiber), controller/features.h, the image, request.h.
 */
#include <stdarg.h>
#include <stdio.h>

#include "broker/handle/handle.h"
#include "broker/handle/told.h"
#include "controller/features.h"
#include "protocol/messages.h"

enum upgrade { UPGRADE = 1, SAFE_DOWNGRADE = 2, UNSAFE_DOWNGRADE = 3 };

static void refuse(struct buf *b, const struct update_features_request_feature_update_key *u, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static void refuse(struct buf *b, const struct update_features_request_feature_update_key *u, const char *format, ...)
{
	char text[200];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	buf_printf(b, "Invalid update version %d for feature %.*s. %s", u->max_version_level,
		   (int)(u->feature.size > 200 ? 200 : u->feature.size),
		   (const char *)(u->feature.data ? u->feature.data : (const uint8_t *)""), text);
}

static const struct feature_range *find(struct bytes name)
{
	size_t count;
	const struct feature_range *supported = features_supported(&count);

	for (size_t i = 0; i < count; i++)
		if (bytes_equal_str(name, supported[i].name))
			return &supported[i];
	return NULL;
}

/* Says in `b` why not; nothing: granted. */
static void judge(const struct request *rq, const struct update_features_request_feature_update_key *u, struct buf *b)
{
	const struct feature_range *f = find(u->feature);
	int16_t now = f ? image_feature_level(rq->broker->image, f->name) : 0;
	int32_t controller = broker_node_id(rq->broker->broker);
	int8_t type = rq->header.api_version == 0 && u->allow_downgrade ? SAFE_DOWNGRADE : u->upgrade_type;

	if (type < UPGRADE || type > UNSAFE_DOWNGRADE)
		refuse(b, u, "The controller does not support the given upgrade type.");
	else if (u->max_version_level < 0)
		refuse(b, u, "A feature version cannot be less than 0.");
	else if (!f && u->max_version_level == 0)
		refuse(b, u, "Feature %.*s not found.", (int)(u->feature.size > 100 ? 100 : u->feature.size),
		       (const char *)u->feature.data);
	else if (!f)
		refuse(b, u, "Local controller %d does not support this feature.", controller);
	else if (u->max_version_level < f->min || u->max_version_level > f->max)
		refuse(b, u, "Local controller %d only supports versions %d-%d", controller, f->min, f->max);
	else if (u->max_version_level >= now)
		return;
	else if (type == UPGRADE || rq->header.api_version == 0)
		refuse(b, u,
		       "Can't downgrade the version of this feature without setting the upgrade type to either safe or "
		       "unsafe downgrade.");
	else if (strcmp(f->name, "metadata.version") == 0)
		buf_printf(b, "Unsupported metadata.version downgrade from %d to %d. %s", now, u->max_version_level,
			   type == SAFE_DOWNGRADE
				   ? "Refusing to perform the requested downgrade because it might delete metadata "
				     "information."
				   : "Unsafe metadata downgrade is not supported in this version.");
}

/* Those whose level becomes another one. */
static size_t changes(const struct request *rq, struct image_feature *ret_levels)
{
	const struct update_features_request *body = rq->body;
	size_t count = 0;

	for (int32_t i = 0; i < body->feature_updates_count; i++) {
		const struct update_features_request_feature_update_key *u = &body->feature_updates[i];
		const struct feature_range *f = find(u->feature);

		if (f && image_feature_level(rq->broker->image, f->name) != u->max_version_level)
			ret_levels[count++] = (struct image_feature){.name = (char *)(uintptr_t)f->name,
								     .level = u->max_version_level};
	}
	return count;
}

static bool is_validated_only(const struct request *rq)
{
	return ((const struct update_features_request *)rq->body)->validate_only;
}

static void change_await(struct fiber *self, struct request *rq, struct update_features_response *answer)
{
	const struct update_features_request *body = rq->body;
	struct image_feature *levels = told_alloc(rq, (size_t)body->feature_updates_count, sizeof(*levels));
	struct update_levels r = {.levels = levels};

	if (!levels)
		return;
	r.count = changes(rq, levels);
	if (r.count && !is_validated_only(rq))
		controller_update_levels_from_await(self, broker_controller(rq->broker->broker), &r);
	answer->error_code = err_to_kafka(r.error);
}

static void update_features_main(struct fiber *self, struct request *rq)
{
	static const char whole[] = "The update failed for all features since the following feature had an error: ";
	const struct update_features_request *body = rq->body;
	struct update_features_response answer;
	struct buf why;

	message_init(&update_features_response_type, &answer);
	answer.error_message = bytes_null();
	answer.results = told_alloc(rq, (size_t)body->feature_updates_count, sizeof(*answer.results));
	if (!answer.results)
		return;
	buf_init(&why, 2000);
	buf_put_str(&why, whole);
	for (int32_t i = 0; i < body->feature_updates_count && why.size == strlen(whole); i++)
		judge(rq, &body->feature_updates[i], &why);
	if (why.size > strlen(whole)) {
		answer.error_code = ERR_INVALID_UPDATE_VERSION;
		answer.error_message = arena_copy(&rq->arena, buf_bytes(&why));
	}
	buf_fini(&why);
	if (!answer.error_code)
		change_await(self, rq, &answer);
	/* Kafka says what it granted one by one up to version 1, with this word. */
	for (int32_t i = 0; !answer.error_code && rq->header.api_version < 2 && i < body->feature_updates_count; i++)
		answer.results[answer.results_count++] = (struct update_features_response_updatable_feature_result){
			.feature = body->feature_updates[i].feature, .error_message = bytes_str("NONE")};
	request_reply(rq, &answer);
}

static void update_features_begin(struct request *rq)
{
	request_run_fiber(rq, "update-features", update_features_main);
}

const struct api_handler update_features_handler = {
	.key = API_UPDATE_FEATURES,
	.min_version = 0,
	.max_version = 2,
	.begin = update_features_begin,
};
