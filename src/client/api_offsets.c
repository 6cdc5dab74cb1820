/* api_offsets: which offset a beginning, end or time is: the public calls and the fiber that answers them, for many partitions at once. */
#include <stdlib.h>

#include "base/alloc.h"
#include "client/admin.h"
#include "client/api_own.h"
#include "protocol/messages.h"

/* Questions each once, by topic and partition: a broker refuses to be asked twice about a partition in one request. */
struct offsets_arguments {
	const char **topics;
	struct offset_question *questions;
	bool *decided;
	size_t count;
};

/* The picture of the topic, fresh enough to name a leader. */
static enum err know_topic_await(struct fiber *self, struct client *c, const struct offset_question *q,
				 int64_t deadline_us)
{
	enum err e = OK;

	while (!e && (q->topic->error || q->partition >= q->topic->partition_count)) {
		enum err known = q->topic->error;

		if (known && known != ERR_AGAIN && (!err_retriable(known) || known == ERR_UNKNOWN_TOPIC_OR_PARTITION))
			return known;
		if (!known && q->topic->partition_count > 0)
			return ERR_UNKNOWN_TOPIC_OR_PARTITION;
		cluster_refresh(&c->cluster);
		e = cluster_wait_await(self, &c->cluster, deadline_us);
		if (e && e != ERR_CANCELLED && e != ERR_TIMED_OUT && !c->config->fail_fast)
			e = OK;
	}
	return e;
}

static bool is_final(const struct client *c, enum err e)
{
	return !e || c->stopping || e == ERR_CANCELLED || (c->config->fail_fast && e <= -1000) ||
	       e == ERR_UNKNOWN_TOPIC_OR_PARTITION || (e > -1000 && !err_retriable(e));
}

/* Waits until it is known who leads the partitions; those without a leader get their error. */
static void find_leaders_await(struct fiber *self, struct client *c, struct offsets_arguments *a, int64_t deadline_us)
{
	for (size_t i = 0; i < a->count; i++) {
		struct offset_question *q = &a->questions[i];
		const struct offset_question *before = i > 0 && !a->decided[i - 1] ? q - 1 : NULL;

		if (a->decided[i])
			continue;
		/* What has just been waited for in vain is not waited for once more. */
		if (before && before->topic == q->topic && before->error)
			q->error = before->error;
		else
			q->error = know_topic_await(self, c, q, deadline_us);
		if (!q->error && !cluster_leader(&c->cluster, q->topic, q->partition))
			q->error = ERR_LEADER_NOT_AVAILABLE;
	}
}

static bool same_partition(const struct offset_question *a, const struct offset_question *b)
{
	return a->topic == b->topic && a->partition == b->partition;
}

/* All that `peer` leads and that has no answer yet, in requests of a bounded size. */
static void ask_leader_await(struct fiber *self, struct client *c, struct offsets_arguments *a, struct peer *peer,
			     bool *asked, int64_t deadline_us)
{
	struct offset_question *some = mem_alloc(OFFSET_QUESTIONS_MAX * sizeof(*some));
	size_t *places = mem_alloc(OFFSET_QUESTIONS_MAX * sizeof(*places));
	size_t count;

	do {
		count = 0;
		for (size_t at = 0; at < a->count && count < OFFSET_QUESTIONS_MAX; at++) {
			struct offset_question *q = &a->questions[at];

			if (asked[at] || cluster_leader(&c->cluster, q->topic, q->partition) != peer ||
			    (count > 0 && same_partition(&some[count - 1], q)))
				continue;
			asked[at] = true;
			places[count] = at;
			some[count++] = *q;
		}
		if (count > 0)
			list_offsets_await(self, &c->cluster, peer, some, count, deadline_us);
		for (size_t i = 0; i < count; i++)
			a->questions[places[i]] = some[i];
	} while (count > 0);
	mem_free(some);
	mem_free(places);
}

/* True: some have to be asked again. */
static bool round_await(struct fiber *self, struct client *c, struct offsets_arguments *a, bool *asked,
			int64_t deadline_us)
{
	bool left = false;

	find_leaders_await(self, c, a, deadline_us);
	for (size_t i = 0; i < a->count; i++)
		asked[i] = a->decided[i] || a->questions[i].error;
	for (size_t i = 0; i < a->count; i++) {
		struct peer *peer = cluster_leader(&c->cluster, a->questions[i].topic, a->questions[i].partition);

		if (!asked[i] && peer)
			ask_leader_await(self, c, a, peer, asked, deadline_us);
	}
	for (size_t i = 0; i < a->count; i++) {
		/* The leader went while others were asked. */
		if (!asked[i])
			a->questions[i].error = ERR_LEADER_NOT_AVAILABLE;
		a->decided[i] = a->decided[i] || is_final(c, a->questions[i].error);
		left = left || !a->decided[i];
	}
	return left;
}

static void offsets_await(struct fiber *self, struct api_job *job)
{
	struct offsets_arguments *a = job->arguments;
	struct client *c = job->client->core;
	bool *asked = mem_zalloc(a->count + 1);
	unsigned failures = 0;
	size_t unreached = 0;

	for (size_t i = 0; i < a->count; i++)
		a->questions[i].topic = cluster_topic(&c->cluster, a->topics[i], false);
	while (round_await(self, c, a, asked, job->deadline_us)) {
		cluster_refresh(&c->cluster);
		if (shard_now_us(c->shard) >= job->deadline_us ||
		    fiber_sleep_await(self, client_backoff_us(c->shard, c->config, ++failures)) != OK)
			break;
	}
	for (size_t i = 0; i < a->count; i++)
		unreached += a->questions[i].error <= -1000;
	if (a->count > 0 && unreached == a->count)
		admin_explain(c, a->questions[0].error, API_LIST_OFFSETS, &job->error);
	mem_free(asked);
}

static int by_question(const void *a, const void *b)
{
	const struct mo_offset_question *x = *(struct mo_offset_question *const *)a,
					*y = *(struct mo_offset_question *const *)b;
	int order = strcmp(x->topic, y->topic);

	if (order)
		return order;
	if (x->partition != y->partition)
		return x->partition < y->partition ? -1 : 1;
	if (x->at.kind != y->at.kind)
		return x->at.kind < y->at.kind ? -1 : 1;
	return x->at.value < y->at.value ? -1 : x->at.value > y->at.value;
}

static int ask_each_once(struct mo_client *c, struct mo_offset_question **sorted, size_t count, struct mo_err *ret_err)
{
	struct offsets_arguments a = {0};
	struct api_job job = {.work_await = offsets_await, .arguments = &a};
	int code;

	a.topics = mem_alloc((count + 1) * sizeof(*a.topics));
	a.questions = mem_zalloc((count + 1) * sizeof(*a.questions));
	a.decided = mem_zalloc(count + 1);
	for (size_t i = 0; i < count; i++) {
		struct offset_question *q = &a.questions[a.count];

		if (i > 0 && by_question(&sorted[i - 1], &sorted[i]) == 0)
			continue;
		q->partition = sorted[i]->partition;
		must(api_start(sorted[i]->at, &q->at));
		a.topics[a.count++] = sorted[i]->topic;
	}
	code = api_run(c, &job, ret_err);
	for (size_t i = 0, at = 0; i < count; i++) {
		at += i > 0 && by_question(&sorted[i - 1], &sorted[i]) != 0;
		sorted[i]->code = a.questions[at].error;
		sorted[i]->offset = a.questions[at].error ? -1 : a.questions[at].offset;
	}
	mem_free(a.topics);
	mem_free(a.questions);
	mem_free(a.decided);
	return code;
}

int mo_offset_list_many(struct mo_client *c, struct mo_offset_question *questions, size_t count, struct mo_err *ret_err)
{
	struct mo_offset_question **sorted = mem_alloc((count + 1) * sizeof(struct mo_offset_question *));
	struct start at;
	bool right = true;
	int code;

	for (size_t i = 0; i < count; i++) {
		sorted[i] = &questions[i];
		right = right && questions[i].topic && questions[i].partition >= 0 && api_start(questions[i].at, &at) &&
			at.kind != START_OFFSET;
	}
	if (right) {
		qsort(sorted, count, sizeof(struct mo_offset_question *), by_question);
		code = ask_each_once(c, sorted, count, ret_err);
	} else {
		code = api_error(ret_err, ERR_USAGE, "a topic, a partition, and a beginning, end or time are wanted");
	}
	mem_free(sorted);
	return code;
}

int mo_offset_list(struct mo_client *c, const char *topic, int32_t partition, struct mo_start at, int64_t *ret_offset,
		   struct mo_err *ret_err)
{
	struct mo_offset_question q = {.topic = topic, .partition = partition, .at = at};
	int code = mo_offset_list_many(c, &q, 1, ret_err);

	if (!code && q.code)
		code = api_error(ret_err, q.code, "%s/%d: %s", topic, partition, err_text((enum err)q.code));
	if (!code)
		*ret_offset = q.offset;
	return code;
}
