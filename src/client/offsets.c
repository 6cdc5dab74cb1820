/* offsets: which offset a beginning, end, time or distance from the end is (ListOffsets), for many partitions of a broker at once. */
#include "base/alloc.h"
#include "client/consumer_own.h"

#define LIST_OFFSETS_NEWEST 10
#define ARENA_MAX ((size_t)4 * 1024 * 1024)
#define TIMESTAMP_END (-1)
#define TIMESTAMP_BEGINNING (-2)

/* In place of a timestamp: this round does not ask about it. */
#define NOTHING_ASKED INT64_MIN

struct offset_round {
	struct offset_question *questions;
	size_t count;
	int64_t *timestamps; /* by question */
	struct list_offsets_request request;
	struct list_offsets_response response;
	struct arena arena;
};

static int64_t first_timestamp(const struct start *at)
{
	switch (at->kind) {
	case START_BEGINNING:
		return TIMESTAMP_BEGINNING;
	case START_END:
	case START_TAIL:
		return TIMESTAMP_END;
	case START_TIME:
		return at->value;
	case START_OFFSET:
	case START_COMMITTED:
		break;
	}
	must_not_reach();
}

static int64_t second_timestamp(const struct offset_question *q)
{
	if (q->error)
		return NOTHING_ASKED;
	if (q->at.kind == START_TAIL)
		return TIMESTAMP_BEGINNING;
	/* Nothing is so young: the end. */
	return q->at.kind == START_TIME && q->offset < 0 ? TIMESTAMP_END : NOTHING_ASKED;
}

static void take(struct offset_question *q, int64_t offset, bool second)
{
	int64_t end = q->offset;

	q->offset = offset;
	if (second && q->at.kind == START_TAIL && end - offset > q->at.value)
		q->offset = end - q->at.value;
}

/* Those behind `from` included that ask about the same topic. */
static size_t count_of_topic(const struct offset_round *r, size_t from)
{
	size_t count = 0;

	for (size_t i = from; i < r->count; i++)
		count += r->questions[i].topic == r->questions[from].topic;
	return count;
}

static size_t build(struct offset_round *r, bool read_committed)
{
	bool *used = arena_alloc_array(&r->arena, r->count, sizeof(*used));
	size_t asked = 0;

	message_init(&list_offsets_request_type, &r->request);
	r->request.replica_id = -1;
	r->request.isolation_level = (int8_t)read_committed;
	r->request.topics = arena_alloc_array(&r->arena, r->count, sizeof(*r->request.topics));
	must(used && r->request.topics);
	for (size_t i = 0; i < r->count; i++) {
		const struct cluster_topic *topic = r->questions[i].topic;
		struct list_offsets_request_list_offsets_topic *t;

		if (used[i] || r->timestamps[i] == NOTHING_ASKED)
			continue;
		t = &r->request.topics[r->request.topics_count++];
		t->name = bytes_str(topic->name);
		t->partitions = arena_alloc_array(&r->arena, count_of_topic(r, i), sizeof(*t->partitions));
		must(t->partitions);
		for (size_t k = i; k < r->count; k++) {
			if (used[k] || r->questions[k].topic != topic || r->timestamps[k] == NOTHING_ASKED)
				continue;
			used[k] = true;
			asked++;
			t->partitions[t->partitions_count++] = (struct list_offsets_request_list_offsets_partition){
				.partition_index = r->questions[k].partition,
				.current_leader_epoch = -1,
				.timestamp = r->timestamps[k],
			};
		}
	}
	return asked;
}

static void take_answer(struct offset_round *r, bool *answered, bool second)
{
	for (int32_t i = 0; i < r->response.topics_count; i++) {
		const struct list_offsets_response_list_offsets_topic_response *t = &r->response.topics[i];

		for (int32_t k = 0; k < t->partitions_count; k++) {
			const struct list_offsets_response_list_offsets_partition_response *p = &t->partitions[k];

			for (size_t at = 0; at < r->count; at++) {
				struct offset_question *q = &r->questions[at];

				if (answered[at] || q->partition != p->partition_index ||
				    !bytes_equal_str(t->name, q->topic->name))
					continue;
				answered[at] = true;
				q->error = (enum err)p->error_code;
				if (!q->error)
					take(q, p->offset, second);
				break;
			}
		}
	}
}

/* One request; what it asks for is in r->timestamps. */
static void round_await(struct fiber *self, struct cluster *c, struct peer *peer, struct offset_round *r, bool second,
			int64_t deadline_us)
{
	struct blob *frame = NULL;
	bool *answered;
	enum err e;

	arena_init(&r->arena, ARENA_MAX);
	answered = arena_alloc_array(&r->arena, r->count, sizeof(*answered));
	must(answered);
	/* Those that are not asked for count as answered. */
	for (size_t i = 0; i < r->count; i++)
		answered[i] = r->timestamps[i] == NOTHING_ASKED;
	if (build(r, c->config->read_committed) == 0) {
		arena_fini(&r->arena);
		return;
	}
	e = peer_ask_await(self, peer,
			   &(struct peer_ask){.api_key = API_LIST_OFFSETS,
					      .newest = LIST_OFFSETS_NEWEST,
					      .deadline_us = deadline_us,
					      .request = &r->request,
					      .response = &r->response,
					      .arena = &r->arena},
			   NULL, &frame);
	if (!e)
		take_answer(r, answered, second);
	for (size_t i = 0; i < r->count; i++)
		if (!answered[i])
			r->questions[i].error = e ? e : ERR_MALFORMED;
	blob_unref(frame);
	arena_fini(&r->arena);
}

void list_offsets_await(struct fiber *self, struct cluster *c, struct peer *peer, struct offset_question *questions,
			size_t count, int64_t deadline_us)
{
	struct offset_round r = {.questions = questions, .count = count};

	must(count <= OFFSET_QUESTIONS_MAX);
	r.timestamps = mem_alloc((count + 1) * sizeof(*r.timestamps));
	for (size_t i = 0; i < count; i++) {
		questions[i].error = OK;
		questions[i].offset = -1;
		r.timestamps[i] = first_timestamp(&questions[i].at);
	}
	round_await(self, c, peer, &r, false, deadline_us);
	for (size_t i = 0; i < count; i++)
		r.timestamps[i] = second_timestamp(&questions[i]);
	round_await(self, c, peer, &r, true, deadline_us);
	mem_free(r.timestamps);
}
