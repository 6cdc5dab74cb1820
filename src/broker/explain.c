/*
 * explain: GET /topics/NAME/segments: of each partition why each segment is still there and when it goes, as JSON. Calls http/, the image,
 * replica/ and storage/log.
 *
 *      request -> a fiber on shard 0 -> a fiber on each shard in turn asks the logs that live there -> text
 *
 * Answers belong to shard 0; a shard writes the places of its own partitions, and only one shard is asked at a time.
 */
#include <inttypes.h>

#include "base/alloc.h"
#include "broker/broker_own.h"
#include "http/server.h"

#define PREFIX "/topics/"
#define SUFFIX "/segments"
#define JSON_TYPE "application/json"
#define TEXT_MAX ((size_t)64 * 1024 * 1024)

struct explained {
	enum err error;
	int64_t start;
	int64_t high_watermark;
	int64_t end;
	struct segment_info *segments;
	size_t segment_count;
};

struct explaining {
	struct message message;
	struct broker *broker;
	struct http_exchange *exchange;
	struct fiber *waiter;
	char *topic;
	struct uuid topic_id;
	struct explained *partitions;
	int32_t partition_count;
	/* What is asked for them; of the first partition that tells. */
	bool has_config;
	struct log_config config;
	unsigned shard; /* whose turn it is */
	bool over;
};

/* --- on the partitions' shards --------------------------------------------------------------------------------------- */

static void explain_one_await(struct fiber *self, struct replicas *r, struct explaining *x, int32_t index)
{
	struct explained *to = &x->partitions[index];
	struct partition *p;

	to->error = replicas_open_await(self, r, x->topic_id, index, &p);
	if (to->error)
		return;
	to->start = log_start_offset(p->log);
	to->high_watermark = p->high_watermark;
	to->end = log_end_offset(p->log);
	if (!x->has_config)
		x->config = p->topic->settings.log;
	x->has_config = true;
	to->error = log_explain_await(self, p->log, &to->segments, &to->segment_count);
}

static void run_home(struct shard *at, struct message *m)
{
	struct explaining *x = container_of(m, struct explaining, message);

	(void)at;
	x->over = true;
	fiber_wake(x->waiter);
}

static void run_there(struct shard *at, struct message *m);

static void go_on(struct explaining *x)
{
	struct broker *b = x->broker;
	struct shard *here = b->parts[x->shard].shard.shard;

	if (++x->shard < b->shard_count) {
		shard_send(here, b->parts[x->shard].shard.shard, &x->message);
		return;
	}
	x->message.run = run_home;
	shard_send(here, b->shard_zero, &x->message);
}

static void there_main(struct fiber *self, void *argument)
{
	struct explaining *x = argument;

	for (int32_t i = 0; i < x->partition_count; i++)
		if (partition_shard_index(x->topic_id, i, x->broker->shard_count) == x->shard)
			explain_one_await(self, x->broker->parts[x->shard].shard.replicas, x, i);
	go_on(x);
}

static void run_there(struct shard *at, struct message *m)
{
	static const struct fiber_options options = {.name = "explain"};
	struct explaining *x = container_of(m, struct explaining, message);

	/* The partitions' answers begin as ERR_NO_MEMORY. */
	if (!fiber_start(at, &options, there_main, x))
		go_on(x);
}

/* --- the answer ------------------------------------------------------------------------------------------------------ */

static const char *kept_name(enum segment_kept kept)
{
	switch (kept) {
	case SEGMENT_GOES:
		return "goes";
	case SEGMENT_ACTIVE:
		return "active";
	case SEGMENT_NOT_COMMITTED:
		return "notCommitted";
	case SEGMENT_IN_TIME:
		return "inTime";
	case SEGMENT_IN_SIZE:
		return "inSize";
	case SEGMENT_FUTURE_TIMESTAMP:
		return "futureTimestamp";
	case SEGMENT_BEHIND_ANOTHER:
		return "behindAnother";
	case SEGMENT_COMPACTED:
		return "compacted";
	case SEGMENT_FOR_EVER:
		return "forEver";
	}
	must_not_reach();
}

static const char *policy_name(const struct log_config *c)
{
	if (c->cleanup_delete)
		return c->cleanup_compact ? "delete,compact" : "delete";
	return c->cleanup_compact ? "compact" : "";
}

static void print_segment(struct buf *out, const struct segment_info *s, bool first)
{
	buf_printf(out,
		   "%s{\"baseOffset\":%" PRId64 ",\"endOffset\":%" PRId64 ",\"sizeBytes\":%" PRId64
		   ",\"largestTimestampMs\":%" PRId64 ",\"active\":%s,\"kept\":\"%s\",\"dueAtMs\":",
		   first ? "" : ",", s->base_offset, s->end_offset, s->size, s->largest_timestamp_ms,
		   s->active ? "true" : "false", kept_name(s->kept));
	if (s->due_at_ms >= 0)
		buf_printf(out, "%" PRId64, s->due_at_ms);
	else
		buf_put_str(out, "null");
	buf_put_str(out, ",\"dueAfterBytes\":");
	if (s->due_after_bytes >= 0)
		buf_printf(out, "%" PRId64, s->due_after_bytes);
	else
		buf_put_str(out, "null");
	for (size_t i = 0; i < s->damage_count; i++)
		buf_printf(out, "%s{\"offset\":%" PRId64 ",\"nextOffset\":%" PRId64 ",\"bytes\":%" PRId64 "}",
			   i ? "," : ",\"damages\":[", s->damages[i].offset, s->damages[i].next_offset,
			   s->damages[i].bytes);
	buf_put_str(out, s->damage_count ? "]}" : "}");
}

static void print_partition(struct buf *out, const struct explained *p, int32_t index)
{
	buf_printf(out, "%s{\"partition\":%" PRId32, index ? "," : "", index);
	if (p->error) {
		buf_printf(out, ",\"error\":\"%s\"}", err_text(p->error));
		return;
	}
	buf_printf(out,
		   ",\"logStartOffset\":%" PRId64 ",\"highWatermark\":%" PRId64 ",\"endOffset\":%" PRId64
		   ",\"segments\":[",
		   p->start, p->high_watermark, p->end);
	for (size_t i = 0; i < p->segment_count; i++)
		print_segment(out, &p->segments[i], i == 0);
	buf_put_str(out, "]}");
}

/* Topics' names are letters, digits and "._-": nothing needs an escape. */
static void print(struct buf *out, const struct explaining *x)
{
	buf_printf(out, "{\"topic\":\"%s\",\"nowMs\":%" PRId64, x->topic, shard_wall_ms(x->broker->shard_zero));
	if (x->has_config)
		buf_printf(out, ",\"cleanupPolicy\":\"%s\",\"retentionMs\":%" PRId64 ",\"retentionBytes\":%" PRId64,
			   policy_name(&x->config), x->config.retention_ms, x->config.retention_bytes);
	buf_put_str(out, ",\"partitions\":[");
	for (int32_t i = 0; i < x->partition_count; i++)
		print_partition(out, &x->partitions[i], i);
	buf_put_str(out, "]}\n");
}

static void explaining_free(struct explaining *x)
{
	for (int32_t i = 0; i < x->partition_count; i++)
		mem_free(x->partitions[i].segments);
	mem_free(x->partitions);
	mem_free(x->topic);
	mem_free(x);
}

static void explain_main(struct fiber *self, void *argument)
{
	struct explaining *x = argument;
	struct buf text;

	x->waiter = self;
	x->message.run = run_there;
	shard_send(x->broker->shard_zero, x->broker->parts[0].shard.shard, &x->message);
	while (!x->over)
		fiber_park_await(self);
	buf_init(&text, TEXT_MAX);
	print(&text, x);
	http_answer_take(x->exchange, 200, JSON_TYPE, &text);
	explaining_free(x);
}

/* --- the request ----------------------------------------------------------------------------------------------------- */

static bool topic_of(const char *path, struct bytes *ret_name)
{
	struct bytes all = bytes_str(path);
	const size_t prefix = sizeof(PREFIX) - 1, suffix = sizeof(SUFFIX) - 1;

	if (all.size <= prefix + suffix || memcmp(path, PREFIX, prefix) != 0 ||
	    strcmp(path + all.size - suffix, SUFFIX) != 0)
		return false;
	*ret_name = bytes_of(all.data + prefix, all.size - prefix - suffix);
	return true;
}

static void start(struct broker *b, struct http_exchange *exchange, const struct image_topic *topic)
{
	static const struct fiber_options options = {.name = "explain"};
	struct explaining *x = mem_new(struct explaining);

	x->broker = b;
	x->exchange = exchange;
	x->topic = mem_strdup((const char *)topic->name.data);
	x->topic_id = topic->id;
	x->partition_count = topic->partition_count;
	x->partitions = mem_zalloc((size_t)topic->partition_count * sizeof(*x->partitions));
	for (int32_t i = 0; i < topic->partition_count; i++)
		x->partitions[i].error = ERR_NO_MEMORY;
	if (fiber_start(b->shard_zero, &options, explain_main, x))
		return;
	explaining_free(x);
	http_answer_text(exchange, 503, "too much goes on at once");
}

bool explain_answer(struct broker *b, struct http_exchange *x, const char *path)
{
	const struct image_topic *topic;
	struct bytes name;

	if (!topic_of(path, &name))
		return false;
	if (!b->observer.serving || b->stopping) {
		http_answer_text(x, 503, b->stopping ? "the broker is stopping" : "the broker is starting");
		return true;
	}
	topic = image_topic_by_name(b->parts[0].shard.image, name);
	if (topic)
		start(b, x, topic);
	else
		http_answer_text(x, 404, "there is no such topic");
	return true;
}
