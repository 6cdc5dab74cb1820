/* match: which topics a pattern means, where brokers do not match patterns themselves: all names are asked for now and then. */
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "client/group_own.h"
#include "protocol/messages.h"
#include "regex/regex.h"

#define METADATA_NEWEST 13
#define ARENA_MAX ((size_t)256 * 1024 * 1024)

static int compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void texts_free(char **texts, size_t count)
{
	for (size_t i = 0; i < count; i++)
		mem_free(texts[i]);
	mem_free(texts);
}

/* Becomes what is subscribed to; true when it was something else. */
static bool adopt(struct group *g, char **matched, size_t count)
{
	bool same = g->matched && count == g->matched_count;

	qsort(matched, count, sizeof(*matched), compare);
	for (size_t i = 0; i < count && same; i++)
		same = strcmp(matched[i], g->matched[i]) == 0;
	if (same) {
		texts_free(matched, count);
		return false;
	}
	texts_free(g->matched, g->matched_count);
	g->matched = matched;
	g->matched_count = count;
	for (size_t i = 0; i < count; i++)
		cluster_topic(g->options.cluster, matched[i], false);
	g->wanted_version++;
	return true;
}

static bool take_names(struct group *g, const struct regex *r, const struct metadata_response *m)
{
	char **matched = NULL;
	size_t count = 0, capacity = 0;

	for (int32_t i = 0; i < m->topics_count; i++) {
		const struct metadata_response_metadata_response_topic *t = &m->topics[i];

		if (t->error_code || t->name.size == 0 || (t->is_internal && g->options.config->exclude_internal) ||
		    !regex_matches(r, t->name))
			continue;
		matched = mem_grow(matched, &capacity, count + 1, sizeof(*matched));
		matched[count] = mem_alloc(t->name.size + 1);
		memcpy(matched[count], t->name.data, t->name.size);
		matched[count++][t->name.size] = '\0';
	}
	if (!matched)
		matched = mem_alloc(sizeof(*matched));
	return adopt(g, matched, count);
}

static enum err ask_await(struct fiber *self, struct group *g, struct metadata_response *ret, struct arena *a,
			  struct blob **ret_frame)
{
	int64_t deadline_us = shard_now_us(g->options.shard) + g->options.config->request_timeout_ms * 1000;
	struct metadata_request request;
	struct peer *peer = NULL;
	enum err e = cluster_any_await(self, g->options.cluster, deadline_us, &peer);

	if (e)
		return e;
	message_init(&metadata_request_type, &request);
	request.topics = NULL;
	request.topics_count = -1; /* all */
	request.allow_auto_topic_creation = false;
	return peer_ask_await(self, peer,
			      &(struct peer_ask){.api_key = API_METADATA,
						 .newest = METADATA_NEWEST,
						 .deadline_us = deadline_us,
						 .request = &request,
						 .response = ret,
						 .arena = a},
			      NULL, ret_frame);
}

int64_t match_due_us(const struct group *g)
{
	return g->pattern && g->match_here ? g->match_due_us : FIBER_NO_DEADLINE;
}

enum err match_await(struct fiber *self, struct group *g, char ret_why[static GROUP_WHY_SIZE])
{
	struct metadata_response response;
	struct regex *regex = NULL;
	struct blob *frame = NULL;
	struct arena arena;
	struct buf message;
	enum err e;

	if (shard_now_us(g->options.shard) < match_due_us(g))
		return OK;
	buf_init(&message, GROUP_WHY_SIZE - 1);
	e = regex_new(bytes_str(g->pattern), &message, &regex);
	if (e)
		snprintf(ret_why, GROUP_WHY_SIZE, "%.*s", BYTES_ARG(buf_bytes(&message)));
	buf_fini(&message);
	if (e)
		return e;
	arena_init(&arena, ARENA_MAX);
	e = ask_await(self, g, &response, &arena, &frame);
	if (!e)
		(void)take_names(g, regex, &response);
	g->match_due_us = shard_now_us(g->options.shard) +
			  (e ? g->options.config->retry_backoff_max_ms : g->options.config->metadata_max_age_ms) * 1000;
	blob_unref(frame);
	arena_fini(&arena);
	regex_free(regex);
	return e == ERR_CANCELLED ? e : OK;
}
