/*
 * alter_configs: IncrementalAlterConfigs 0-1 and AlterConfigs 0-2. What cannot be meant is refused here, as is a broker that is not
 * this one's; log levels are this broker's own; the rest is the controller's, which has it durable and in every shard's image.
 * May call: the controller (from a fiber), request.h.
 */
#include <stdio.h>
#include <strings.h>

#include "base/map.h"
#include "broker/handle/handle.h"
#include "broker/handle/told.h"
#include "controller/controller.h"
#include "protocol/messages.h"

#define MAX_WORDS 2000

/* Both requests as one. */
struct alteration {
	struct alter_config *resources;
	size_t count;
	bool validate_only;
};

static void refuse(struct request *rq, struct alter_config *a, enum err e, const char *words)
{
	a->error = e;
	a->message = arena_copy(&rq->arena, bytes_str(words));
}

/* --- what cannot be meant -------------------------------------------------------------------------------------------------- */

static bool names_a_setting_twice(const struct alter_config *a)
{
	struct map seen;
	bool twice = false;

	map_init(&seen);
	for (size_t i = 0; i < a->entry_count && !twice; i++)
		twice = map_put(&seen, a->entries[i].name, &seen) != NULL;
	map_fini(&seen);
	return twice;
}

static bool has_null_values(struct request *rq, struct alter_config *a)
{
	struct buf words;
	size_t count = 0;

	buf_init(&words, MAX_WORDS);
	for (size_t i = 0; i < a->entry_count; i++)
		if (a->entries[i].operation != ALTER_DELETE && bytes_is_null(a->entries[i].value))
			buf_printf(&words, "%s%.*s",
				   count++ ? ", " : "Null value not supported for : ", BYTES_ARG(a->entries[i].name));
	if (count) {
		a->error = ERR_INVALID_REQUEST;
		a->message = arena_copy(&rq->arena, buf_bytes(&words));
	}
	buf_fini(&words);
	return count > 0;
}

/* One that comes twice is refused at all its places. */
static bool refuse_repeated(struct request *rq, struct alteration *al)
{
	struct map seen;

	map_init(&seen);
	for (size_t i = 0; i < al->count; i++) {
		struct alter_config *a = &al->resources[i], *earlier;
		uint8_t *key = told_alloc(rq, 1, a->name.size + 1);

		if (!key) {
			map_fini(&seen);
			return false;
		}
		key[0] = (uint8_t)a->resource;
		if (a->name.size)
			memcpy(key + 1, a->name.data, a->name.size);
		earlier = map_get(&seen, bytes_of(key, a->name.size + 1));
		if (!earlier) {
			(void)map_put(&seen, bytes_of(key, a->name.size + 1), a);
			continue;
		}
		refuse(rq, a, ERR_INVALID_REQUEST, "Each resource must appear at most once.");
		refuse(rq, earlier, ERR_INVALID_REQUEST, "Each resource must appear at most once.");
	}
	map_fini(&seen);
	return true;
}

static bool is_known(const struct alter_config *a)
{
	switch (a->resource) {
	case CONFIG_OF_TOPIC:
	case CONFIG_OF_BROKER:
	case CONFIG_OF_CLIENT_METRICS:
	case CONFIG_OF_GROUP:
		return true;
	case CONFIG_OF_LOGGER:
		return !a->replace; /* levels are only altered one by one */
	}
	return false;
}

static void refuse_what_cannot_be(struct request *rq, struct alter_config *a)
{
	char words[100];

	if (a->error)
		return;
	if (names_a_setting_twice(a)) {
		refuse(rq, a, ERR_INVALID_REQUEST, "Error due to duplicate config keys");
		return;
	}
	if (has_null_values(rq, a) || is_known(a))
		return;
	snprintf(words, sizeof(words), "Unknown resource type %d", (int)a->resource);
	refuse(rq, a, ERR_INVALID_REQUEST, words);
}

/* --- log levels ------------------------------------------------------------------------------------------------------------ */

static const struct {
	const char *name;
	enum log_level level;
} levels[] = {{"DEBUG", LOG_DEBUG}, {"ERROR", LOG_ERROR}, {"FATAL", LOG_ERROR},
	      {"INFO", LOG_INFO},   {"TRACE", LOG_DEBUG}, {"WARN", LOG_WARN}};

static bool find_level(struct bytes text, enum log_level *ret_level)
{
	for (size_t i = 0; i < countof(levels); i++) {
		if (text.size == strlen(levels[i].name) &&
		    strncasecmp(levels[i].name, (const char *)text.data, text.size) == 0) {
			*ret_level = levels[i].level;
			return true;
		}
	}
	return false;
}

static bool check_level(struct request *rq, struct alter_config *a, const struct alter_entry *entry,
			enum log_level *ret_level)
{
	char words[400];
	int shown = (int)(entry->name.size > 100 ? 100 : entry->name.size);
	const char *name = (const char *)entry->name.data;
	bool root = bytes_equal_str(entry->name, "root");

	switch (entry->operation) {
	case ALTER_SET:
		if (!root) {
			snprintf(words, sizeof(words), "Logger %.*s does not exist!", shown, name);
			refuse(rq, a, ERR_INVALID_CONFIG, words);
			return false;
		}
		if (find_level(entry->value, ret_level))
			return true;
		snprintf(
			words, sizeof(words),
			"Cannot set the log level of %.*s to %.*s as it is not a supported log level. Valid log levels "
			"are DEBUG, ERROR, FATAL, INFO, TRACE, WARN",
			shown, name, (int)(entry->value.size > 100 ? 100 : entry->value.size),
			(const char *)entry->value.data);
		refuse(rq, a, ERR_INVALID_CONFIG, words);
		return false;
	case ALTER_DELETE:
		snprintf(words, sizeof(words), "Logger %.*s does not exist!", shown, name);
		refuse(rq, a, root ? ERR_INVALID_REQUEST : ERR_INVALID_CONFIG,
		       root ? "Removing the log level of the root logger is not allowed" : words);
		return false;
	case ALTER_APPEND:
	case ALTER_SUBTRACT:
		snprintf(words, sizeof(words), "%s operation is not allowed for the BROKER_LOGGER resource",
			 entry->operation == ALTER_APPEND ? "APPEND" : "SUBTRACT");
		refuse(rq, a, ERR_INVALID_REQUEST, words);
		return false;
	}
	a->error = ERR_UNKNOWN_SERVER_ERROR;
	return false;
}

static void alter_level_await(struct fiber *self, struct request *rq, struct alter_config *a, bool validate_only)
{
	int32_t own = broker_node_id(rq->broker->broker), id;
	enum log_level level = LOG_INFO;
	char words[200];

	if (!told_parse_id(a->name, &id))
		snprintf(words, sizeof(words), "Node id must be an integer, but it is: %.*s",
			 (int)(a->name.size > 100 ? 100 : a->name.size), (const char *)a->name.data);
	else
		snprintf(words, sizeof(words), "Unexpected node id. Expected %d, but received %d", own, id);
	if (!told_parse_id(a->name, &id) || id != own) {
		refuse(rq, a, ERR_INVALID_REQUEST, words);
		return;
	}
	for (size_t i = 0; i < a->entry_count; i++)
		if (!check_level(rq, a, &a->entries[i], &level))
			return;
	if (a->entry_count && !validate_only)
		broker_set_log_level_await(self, rq->broker->broker, level);
}

/* --- both requests --------------------------------------------------------------------------------------------------------- */

/* What was refused stays where it is; the controller gets the rest, and its answers come back to their places. False: closed. */
static bool alter_rest_await(struct fiber *self, struct request *rq, struct alteration *al)
{
	struct alter_configs call = {.validate_only = al->validate_only, .arena = &rq->arena};
	size_t *places = told_alloc(rq, al->count, sizeof(*places));

	if (!places)
		return false;
	call.resources = told_alloc(rq, al->count, sizeof(*call.resources));
	if (!call.resources)
		return false;
	for (size_t i = 0; i < al->count; i++) {
		if (al->resources[i].error)
			continue;
		if (al->resources[i].resource == CONFIG_OF_LOGGER) {
			alter_level_await(self, rq, &al->resources[i], al->validate_only);
			continue;
		}
		places[call.count] = i;
		call.resources[call.count++] = al->resources[i];
	}
	if (call.count)
		controller_alter_configs_from_await(self, broker_controller(rq->broker->broker), &call);
	for (size_t i = 0; i < call.count; i++)
		al->resources[places[i]] = call.resources[i];
	return true;
}

/* False: the request was closed. */
static bool alter_await(struct fiber *self, struct request *rq, struct alteration *al)
{
	if (!refuse_repeated(rq, al))
		return false;
	for (size_t i = 0; i < al->count; i++)
		refuse_what_cannot_be(rq, &al->resources[i]);
	return alter_rest_await(self, rq, al);
}

static struct alter_entry *take(struct request *rq, struct alteration *al, int8_t type, struct bytes name,
				int32_t entry_count, bool replace)
{
	struct alter_entry *entries = told_alloc(rq, (size_t)entry_count, sizeof(*entries));

	if (entries)
		al->resources[al->count++] = (struct alter_config){.resource = (enum config_resource)type,
								   .name = name,
								   .entries = entries,
								   .entry_count = (size_t)entry_count,
								   .replace = replace};
	return entries;
}

static void incremental_main(struct fiber *self, struct request *rq)
{
	const struct incremental_alter_configs_request *body = rq->body;
	struct incremental_alter_configs_response answer;
	struct alteration al = {.validate_only = body->validate_only};

	al.resources = told_alloc(rq, (size_t)body->resources_count, sizeof(*al.resources));
	if (!al.resources)
		return;
	for (int32_t i = 0; i < body->resources_count; i++) {
		const struct incremental_alter_configs_request_alter_configs_resource *r = &body->resources[i];
		struct alter_entry *entries = take(rq, &al, r->resource_type, r->resource_name, r->configs_count,
						   false);

		if (!entries)
			return;
		for (int32_t k = 0; k < r->configs_count; k++)
			entries[k] = (struct alter_entry){r->configs[k].name, r->configs[k].config_operation,
							  r->configs[k].value};
	}
	if (!alter_await(self, rq, &al))
		return;
	message_init(&incremental_alter_configs_response_type, &answer);
	answer.responses = told_alloc(rq, al.count, sizeof(*answer.responses));
	if (!answer.responses)
		return;
	for (size_t i = 0; i < al.count; i++)
		answer.responses[answer.responses_count++] =
			(struct incremental_alter_configs_response_alter_configs_resource_response){
				err_to_kafka(al.resources[i].error), al.resources[i].message,
				(int8_t)al.resources[i].resource, al.resources[i].name};
	request_reply(rq, &answer);
}

static void replace_main(struct fiber *self, struct request *rq)
{
	const struct alter_configs_request *body = rq->body;
	struct alter_configs_response answer;
	struct alteration al = {.validate_only = body->validate_only};

	al.resources = told_alloc(rq, (size_t)body->resources_count, sizeof(*al.resources));
	if (!al.resources)
		return;
	for (int32_t i = 0; i < body->resources_count; i++) {
		const struct alter_configs_request_alter_configs_resource *r = &body->resources[i];
		struct alter_entry *entries = take(rq, &al, r->resource_type, r->resource_name, r->configs_count, true);

		if (!entries)
			return;
		for (int32_t k = 0; k < r->configs_count; k++)
			entries[k] = (struct alter_entry){r->configs[k].name, ALTER_SET, r->configs[k].value};
	}
	if (!alter_await(self, rq, &al))
		return;
	message_init(&alter_configs_response_type, &answer);
	answer.responses = told_alloc(rq, al.count, sizeof(*answer.responses));
	if (!answer.responses)
		return;
	for (size_t i = 0; i < al.count; i++)
		answer.responses[answer.responses_count++] =
			(struct alter_configs_response_alter_configs_resource_response){
				err_to_kafka(al.resources[i].error), al.resources[i].message,
				(int8_t)al.resources[i].resource, al.resources[i].name};
	request_reply(rq, &answer);
}

static void incremental_begin(struct request *rq)
{
	request_run_fiber(rq, "alter-configs", incremental_main);
}

static void replace_begin(struct request *rq)
{
	request_run_fiber(rq, "alter-configs", replace_main);
}

const struct api_handler incremental_alter_configs_handler = {
	.key = API_INCREMENTAL_ALTER_CONFIGS,
	.min_version = 0,
	.max_version = 1,
	.begin = incremental_begin,
};

const struct api_handler alter_configs_handler = {
	.key = API_ALTER_CONFIGS,
	.min_version = 0,
	.max_version = 2,
	.begin = replace_begin,
};
