/*
 * describe_log_dirs: DescribeLogDirs 1-5: each folder of log.dirs with the space of its file system, and the partitions in it with
 * their sizes. Of all partitions when none are named; then every log is opened, since only an open one knows where it is.
 * May call: the image, replica/, storage/, folder_space_await.
 */
#include "base/map.h"
#include "broker/handle/handle.h"
#include "broker/handle/told.h"
#include "broker/handle/visits.h"
#include "protocol/messages.h"
#include "runtime/file.h"
#include "storage/figures.h"
#include "storage/move.h"

struct sizing {
	struct sizing *next; /* of the topic */
	int32_t partition;
	size_t folder;
	int64_t size_bytes;
	int64_t future_lag;
	struct log_future future; /* a copy on its way to another folder, */
	bool has_future;          /* if there is one */
	bool found;
};

struct sized_topic {
	struct bytes name; /* a copy: the image changes while partitions are looked at */
	struct sizing *first;
	struct sizing **last;
};

struct description {
	struct request *rq;
	struct visits *visits;
	struct sized_topic *topics;
	size_t topic_count;
	struct map asked; /* topic index and partition: each is told once */
	struct describe_log_dirs_response answer;
};

static void visit_await(struct fiber *there, struct broker_shard *at, struct visit *v)
{
	struct sizing *s = v->item;
	struct partition *p;

	if (replicas_open_await(there, at->replicas, v->topic_id, v->partition, &p))
		return;
	s->folder = log_folder_index(p->log);
	s->size_bytes = log_size_bytes(p->log);
	s->has_future = log_future(p->log, &s->future);
	if (s->has_future)
		s->future_lag = log_end_offset(p->log) - s->future.end_offset;
	s->found = true;
}

/* False, here and below: the request was closed. */
static bool take_partition(struct description *d, const struct image_topic *topic, struct sized_topic *t,
			   int32_t partition)
{
	uint64_t key = (uint64_t)(t - d->topics) << 32 | (uint32_t)partition;
	struct sizing *s;

	if (!image_partition(topic, partition) || map_get(&d->asked, map_key_u64(&key)))
		return true;
	s = told_alloc(d->rq, 1, sizeof(*s));
	if (!s)
		return false;
	(void)map_put(&d->asked, map_key_u64(&key), s);
	s->partition = partition;
	*t->last = s;
	t->last = &s->next;
	if (visits_add(d->rq, d->visits, topic->id, partition, s))
		return true;
	request_close(d->rq, "the answer is too large");
	return false;
}

static struct sized_topic *take_topic(struct description *d, const struct image_topic *topic)
{
	struct sized_topic *t = &d->topics[d->topic_count];

	t->name = arena_copy(&d->rq->arena, topic->name);
	if (bytes_is_null(t->name)) {
		request_close(d->rq, "the answer is too large");
		return NULL;
	}
	t->last = &t->first;
	d->topic_count++;
	return t;
}

static bool take_all(struct description *d)
{
	const struct image *image = d->rq->broker->image;

	d->topics = told_alloc(d->rq, image_topic_count(image), sizeof(*d->topics));
	for (size_t i = 0; d->topics && i < image_topic_count(image); i++) {
		const struct image_topic *topic = image_topic_at(image, i);
		struct sized_topic *t = take_topic(d, topic);

		for (int32_t k = 0; t && k < topic->partition_count; k++)
			if (!take_partition(d, topic, t, k))
				return false;
		if (!t)
			return false;
	}
	return d->topics != NULL;
}

static bool take_named(struct description *d)
{
	const struct describe_log_dirs_request *body = d->rq->body;
	struct map by_name;
	bool fits = true;

	d->topics = told_alloc(d->rq, (size_t)body->topics_count, sizeof(*d->topics));
	if (!d->topics)
		return false;
	map_init(&by_name);
	for (int32_t i = 0; fits && i < body->topics_count; i++) {
		const struct image_topic *topic = image_topic_by_name(d->rq->broker->image, body->topics[i].topic);
		struct sized_topic *t = map_get(&by_name, body->topics[i].topic);

		if (!topic)
			continue;
		if (!t) {
			t = take_topic(d, topic);
			fits = t != NULL;
			if (t)
				(void)map_put(&by_name, body->topics[i].topic, t);
		}
		for (int32_t k = 0; fits && k < body->topics[i].partitions_count; k++)
			fits = take_partition(d, topic, t, body->topics[i].partitions[k]);
	}
	map_fini(&by_name);
	return fits;
}

/* --- the answer ------------------------------------------------------------------------------------------------------------ */

static bool is_future_in(const struct sizing *s, size_t folder)
{
	return s->has_future && s->future.folder == folder;
}

/* What is in one folder is either the log or its copy: a log is not moved to where it is. */
static void tell_partition(const struct sizing *s, size_t folder,
			   struct describe_log_dirs_response_describe_log_dirs_partition *told)
{
	told->partition_index = s->partition;
	told->is_future_key = s->folder != folder;
	told->partition_size = told->is_future_key ? s->future.size_bytes : s->size_bytes;
	told->offset_lag = told->is_future_key ? s->future_lag : 0;
}

static bool tell_topic(struct description *d, size_t folder, const struct sized_topic *t,
		       struct describe_log_dirs_response_describe_log_dirs_result *result)
{
	struct describe_log_dirs_response_describe_log_dirs_topic *told = &result->topics[result->topics_count];
	size_t count = 0;

	for (const struct sizing *s = t->first; s; s = s->next)
		count += s->found && (s->folder == folder || is_future_in(s, folder));
	if (count == 0)
		return true;
	told->name = t->name;
	told->partitions = told_alloc(d->rq, count, sizeof(*told->partitions));
	if (!told->partitions)
		return false;
	for (const struct sizing *s = t->first; s; s = s->next)
		if (s->found && (s->folder == folder || is_future_in(s, folder)))
			tell_partition(s, folder, &told->partitions[told->partitions_count++]);
	result->topics_count++;
	return true;
}

static bool tell_folder_await(struct fiber *self, struct description *d, size_t folder)
{
	struct describe_log_dirs_response_describe_log_dirs_result *result =
		&d->answer.results[d->answer.results_count++];
	struct folder_figures f;
	int64_t usable = -1, total = -1;

	store_folder_figures(d->rq->broker->store, folder, &f);
	result->log_dir = bytes_str(f.path);
	result->total_bytes = result->usable_bytes = -1;
	if (!f.online) {
		result->error_code = ERR_KAFKA_STORAGE_ERROR;
		return true;
	}
	if (!folder_space_await(self, f.path, &usable, &total)) {
		result->total_bytes = total;
		result->usable_bytes = usable;
	}
	result->topics = told_alloc(d->rq, d->topic_count, sizeof(*result->topics));
	for (size_t i = 0; result->topics && i < d->topic_count; i++)
		if (!tell_topic(d, folder, &d->topics[i], result))
			return false;
	return result->topics != NULL;
}

static bool describe_await(struct fiber *self, struct description *d)
{
	const struct describe_log_dirs_request *body = d->rq->body;
	size_t folders = store_folder_count(d->rq->broker->store);

	message_init(&describe_log_dirs_response_type, &d->answer);
	d->answer.results = told_alloc(d->rq, folders, sizeof(*d->answer.results));
	if (!d->answer.results)
		return false;
	d->visits = visits_new(d->rq);
	if (!d->visits) {
		request_close(d->rq, "the answer is too large");
		return false;
	}
	if (body->topics_count < 0 ? !take_all(d) : !take_named(d))
		return false;
	if (visits_await(self, d->rq, d->visits, visit_await)) {
		request_close(d->rq, "no fiber for a DescribeLogDirs");
		return false;
	}
	for (size_t i = 0; i < folders; i++)
		if (!tell_folder_await(self, d, i))
			return false;
	return true;
}

static void describe_log_dirs_main(struct fiber *self, struct request *rq)
{
	struct description d = {.rq = rq};

	map_init(&d.asked);
	if (describe_await(self, &d))
		request_reply(rq, &d.answer);
	map_fini(&d.asked);
}

static void describe_log_dirs_begin(struct request *rq)
{
	request_run_fiber(rq, "describe-log-dirs", describe_log_dirs_main);
}

const struct api_handler describe_log_dirs_handler = {
	.key = API_DESCRIBE_LOG_DIRS,
	.min_version = 1,
	.max_version = 5,
	.begin = describe_log_dirs_begin,
};
