/*
 * alter_replica_log_dirs: AlterReplicaLogDirs 1-2: a partition shall be in another folder of log.dirs. Answered when the move has begun; it goes on in
 * the background (storage/move.h). May call: the image, replica/, storage/.
 */
#include <stdio.h>

#include "broker/handle/handle.h"
#include "broker/handle/told.h"
#include "broker/handle/visits.h"
#include "protocol/messages.h"
#include "storage/figures.h"
#include "storage/move.h"

/* Of a folder that is on its way: TOPIC-PARTITION.32 digits-future. */
#define FUTURE_NAME_MAX 255

struct move {
	size_t folder;
	struct alter_replica_log_dirs_response_alter_replica_log_dir_partition_result *answer;
};

static void visit_await(struct fiber *there, struct broker_shard *at, struct visit *v)
{
	const struct move *m = v->item;
	struct partition *p;
	enum err e = replicas_open_await(there, at->replicas, v->topic_id, v->partition, &p);

	if (!e && log_move(p->log, m->folder))
		e = ERR_KAFKA_STORAGE_ERROR;
	m->answer->error_code = err_to_kafka(e);
}

static bool name_is_too_long(struct bytes topic, int32_t partition)
{
	return topic.size + (size_t)snprintf(NULL, 0, "-%d.", (int)partition) + 32 + strlen("-future") >
	       FUTURE_NAME_MAX;
}

/* In Kafka's order; OK: the partition is to be asked. */
static enum err check(const struct request *rq, const struct image_topic *topic, struct bytes name, int32_t partition,
		      bool known, size_t folder)
{
	struct folder_figures f;

	if (name_is_too_long(name, partition))
		return ERR_INVALID_TOPIC_EXCEPTION;
	if (!known)
		return ERR_LOG_DIR_NOT_FOUND;
	store_folder_figures(rq->broker->store, folder, &f);
	if (!f.online)
		return ERR_KAFKA_STORAGE_ERROR;
	return topic && image_partition(topic, partition) ? OK : ERR_UNKNOWN_TOPIC_OR_PARTITION;
}

static bool find_folder(const struct request *rq, struct bytes path, size_t *ret_at)
{
	size_t count = store_folder_count(rq->broker->store);

	for (*ret_at = 0; *ret_at < count; ++*ret_at) {
		struct folder_figures f;

		store_folder_figures(rq->broker->store, *ret_at, &f);
		if (bytes_equal_str(path, f.path))
			return true;
	}
	return false;
}

/* False: the request was closed. */
static bool take_topic(struct request *rq, struct visits *visits, struct bytes path,
		       const struct alter_replica_log_dirs_request_alter_replica_log_dir_topic *t,
		       struct alter_replica_log_dirs_response_alter_replica_log_dir_topic_result *told)
{
	const struct image_topic *topic = image_topic_by_name(rq->broker->image, t->name);
	size_t folder;
	bool known = find_folder(rq, path, &folder);

	told->topic_name = t->name;
	told->partitions = told_alloc(rq, (size_t)t->partitions_count, sizeof(*told->partitions));
	if (!told->partitions)
		return false;
	for (int32_t i = 0; i < t->partitions_count; i++) {
		struct move *m = told_alloc(rq, 1, sizeof(*m));

		if (!m)
			return false;
		*m = (struct move){folder, &told->partitions[told->partitions_count++]};
		m->answer->partition_index = t->partitions[i];
		m->answer->error_code = check(rq, topic, t->name, t->partitions[i], known, folder);
		if (!m->answer->error_code && !visits_add(rq, visits, topic->id, t->partitions[i], m)) {
			request_close(rq, "the answer is too large");
			return false;
		}
	}
	return true;
}

static void alter_replica_log_dirs_main(struct fiber *self, struct request *rq)
{
	const struct alter_replica_log_dirs_request *body = rq->body;
	struct alter_replica_log_dirs_response answer;
	struct visits *visits = visits_new(rq);
	size_t most = 0;

	message_init(&alter_replica_log_dirs_response_type, &answer);
	for (int32_t i = 0; i < body->dirs_count; i++)
		most += (size_t)body->dirs[i].topics_count;
	answer.results = told_alloc(rq, most, sizeof(*answer.results));
	if (!answer.results)
		return;
	if (!visits) {
		request_close(rq, "the answer is too large");
		return;
	}
	for (int32_t i = 0; i < body->dirs_count; i++)
		for (int32_t k = 0; k < body->dirs[i].topics_count; k++)
			if (!take_topic(rq, visits, body->dirs[i].path, &body->dirs[i].topics[k],
					&answer.results[answer.results_count++]))
				return;
	if (visits_await(self, rq, visits, visit_await))
		request_close(rq, "no fiber for an AlterReplicaLogDirs");
	else
		request_reply(rq, &answer);
}

static void alter_replica_log_dirs_begin(struct request *rq)
{
	request_run_fiber(rq, "alter-log-dirs", alter_replica_log_dirs_main);
}

const struct api_handler alter_replica_log_dirs_handler = {
	.key = API_ALTER_REPLICA_LOG_DIRS,
	.min_version = 1,
	.max_version = 2,
	.begin = alter_replica_log_dirs_begin,
};
