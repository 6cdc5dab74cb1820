/* group_offsets: what is committed and what was: OffsetCommit and OffsetFetch, each with its repetitions, and the fibers that use them. */
#include <stdio.h>

#include "base/alloc.h"
#include "client/group_own.h"
#include "protocol/messages.h"

#define OFFSET_COMMIT_NEWEST 10
#define OFFSET_FETCH_NEWEST 10
/* From these on: topics by id; a member's epoch; several groups; only stable offsets; an instance id. */
#define BY_ID 10
#define FETCH_WITH_MEMBER 9
#define FETCH_MANY 8
#define FETCH_STABLE 7
#define COMMIT_WITH_INSTANCE 7
#define ARENA_MAX ((size_t)64 * 1024 * 1024)
#define QUESTIONS_MAX 1000

struct group_offset *group_offsets_add(struct group_offsets *o, struct cluster_topic *topic, int32_t index)
{
	o->items = mem_grow(o->items, &o->capacity, o->count + 1, sizeof(*o->items));
	o->items[o->count] = (struct group_offset){.topic = topic, .index = index, .offset = -1, .leader_epoch = -1};
	return &o->items[o->count++];
}

void group_offsets_fini(struct group_offsets *o)
{
	for (size_t i = 0; i < o->count; i++)
		mem_free(o->items[i].metadata);
	mem_free(o->items);
	*o = (struct group_offsets){0};
}

/* --- what both have in common ------------------------------------------------------------------------------------ */

struct offset_talk {
	struct group *group;
	struct group_offset *offsets;
	size_t count;
	int64_t deadline_us;
	unsigned failures;
	int32_t said_epoch; /* of the member, as the last request had it */
	bool commits;
	bool has_turn;          /* to commit: the next one waits until this one is sent */
	unsigned member_number; /* of who commits */
	char *why;
};

static bool all_have_ids(const struct offset_talk *t)
{
	for (size_t i = 0; i < t->count; i++)
		if (uuid_is_zero(t->offsets[i].topic->id))
			return false;
	return true;
}

static struct group_offset *find(const struct offset_talk *t, struct bytes name, struct uuid id, bool by_id,
				 int32_t index)
{
	for (size_t i = 0; i < t->count; i++) {
		struct group_offset *o = &t->offsets[i];

		if (o->index == index && (by_id ? uuid_equal(o->topic->id, id) : bytes_equal_str(name, o->topic->name)))
			return o;
	}
	return NULL;
}

static bool is_first_of_topic(const struct offset_talk *t, size_t at)
{
	for (size_t i = 0; i < at; i++)
		if (t->offsets[i].topic == t->offsets[at].topic)
			return false;
	return true;
}

static enum err pause_await(struct fiber *self, struct offset_talk *t)
{
	struct group *g = t->group;
	int64_t wait_us = client_backoff_us(g->options.shard, g->options.config, ++t->failures);

	if (shard_now_us(g->options.shard) + wait_us >= t->deadline_us)
		return ERR_TIMED_OUT;
	return fiber_sleep_await(self, wait_us);
}

/* The group is past the epoch that was said: the next heartbeat tells which it is now. */
static enum err next_epoch_await(struct fiber *self, struct offset_talk *t)
{
	struct group *g = t->group;

	while (group_membership(g).generation == t->said_epoch || group_membership(g).generation < 0) {
		enum err e;

		/* Who is fenced joins anew only when his commits are over. */
		if (t->commits && group_membership(g).generation < 0)
			return ERR_STALE_MEMBER_EPOCH;
		e = group_wait_await(self, g, t->deadline_us);
		if (e)
			return e;
		if (!g->subscribed)
			return ERR_STALE_MEMBER_EPOCH;
	}
	return OK;
}

/* OK: once more. */
static enum err mend_await(struct fiber *self, struct offset_talk *t, enum verdict v, const struct peer *peer)
{
	switch (v) {
	case VERDICT_FIND:
		if (peer)
			coordinator_lost(&t->group->coordinator, peer);
		return pause_await(self, t);
	case VERDICT_AGAIN:
		return pause_await(self, t);
	case VERDICT_STALE:
		return next_epoch_await(self, t);
	case VERDICT_DONE:
	case VERDICT_REJOIN:
	case VERDICT_LOST:
	case VERDICT_NAMED:
	case VERDICT_TELL:
	case VERDICT_FATAL:
		break;
	}
	must_not_reach();
}

static bool is_mendable(enum verdict v)
{
	return v == VERDICT_FIND || v == VERDICT_AGAIN || v == VERDICT_STALE;
}

static int64_t attempt_until_us(const struct offset_talk *t)
{
	const struct group *g = t->group;
	int64_t until_us = shard_now_us(g->options.shard) + g->options.config->request_timeout_ms * 1000;

	return until_us < t->deadline_us ? until_us : t->deadline_us;
}

/* --- OffsetCommit ------------------------------------------------------------------------------------------------ */

static bool fill_commit(const struct offset_talk *t, struct arena *a, struct offset_commit_request *request)
{
	struct offset_commit_request_offset_commit_request_topic *row;

	request->topics = arena_alloc_array(a, t->count + 1, sizeof(*request->topics));
	if (!request->topics)
		return false;
	for (size_t i = 0; i < t->count; i++) {
		if (!is_first_of_topic(t, i))
			continue;
		row = &request->topics[request->topics_count++];
		row->name = bytes_str(t->offsets[i].topic->name);
		row->topic_id = t->offsets[i].topic->id;
		row->partitions = arena_alloc_array(a, t->count - i, sizeof(*row->partitions));
		if (!row->partitions)
			return false;
		for (size_t k = i; k < t->count; k++) {
			const struct group_offset *o = &t->offsets[k];

			if (o->topic == t->offsets[i].topic)
				row->partitions[row->partitions_count++] =
					(struct offset_commit_request_offset_commit_request_partition){
						.partition_index = o->index,
						.committed_offset = o->offset,
						.committed_leader_epoch = o->leader_epoch,
						.committed_metadata = bytes_str(o->metadata ? o->metadata : ""),
					};
		}
	}
	return true;
}

static enum err take_commit_answer(struct offset_talk *t, const struct offset_commit_response *r, bool by_id)
{
	enum err worst = OK;

	for (size_t i = 0; i < t->count; i++)
		t->offsets[i].error = ERR_MALFORMED;
	for (int32_t i = 0; i < r->topics_count; i++) {
		for (int32_t k = 0; k < r->topics[i].partitions_count; k++) {
			struct group_offset *o = find(t, r->topics[i].name, r->topics[i].topic_id, by_id,
						      r->topics[i].partitions[k].partition_index);

			if (o)
				o->error = (enum err)r->topics[i].partitions[k].error_code;
		}
	}
	for (size_t i = 0; i < t->count; i++) {
		enum err e = t->offsets[i].error;

		/* What ends it all is more than what a repetition may mend. */
		if (e &&
		    (!worst || (is_mendable(verdict_of(ASK_COMMIT, worst)) && !is_mendable(verdict_of(ASK_COMMIT, e)))))
			worst = e;
	}
	if (worst)
		snprintf(t->why, GROUP_WHY_SIZE, "%s", err_text(worst));
	return worst;
}

static void turn_over(void *user)
{
	struct offset_talk *t = user;

	if (t->has_turn)
		gate_leave(&t->group->turns);
	t->has_turn = false;
}

static enum err commit_once_await(struct fiber *self, struct offset_talk *t, struct peer **ret_peer)
{
	struct group *g = t->group;
	const struct client_config *c = g->options.config;
	struct offset_commit_response response;
	struct offset_commit_request request;
	struct membership m;
	struct blob *frame = NULL;
	struct peer *peer = NULL;
	struct arena arena;
	int16_t version = 0;
	enum err e = coordinator_await(self, &g->coordinator, t->deadline_us, &peer);

	if (e) {
		snprintf(t->why, GROUP_WHY_SIZE, "%s", g->coordinator.why);
		return e;
	}
	*ret_peer = peer;
	e = peer_version(peer, API_OFFSET_COMMIT, all_have_ids(t) ? OFFSET_COMMIT_NEWEST : BY_ID - 1, &version);
	if (e)
		return e;
	m = group_membership(g);
	if (m.joining)
		return ERR_REBALANCE_IN_PROGRESS;
	if ((g->protocol != PROTOCOL_NONE || g->subscribed) && (m.generation < 0 || m.number != t->member_number))
		return ERR_UNKNOWN_MEMBER_ID;
	message_init(&offset_commit_request_type, &request);
	request.group_id = bytes_str(c->group_id);
	request.generation_id_or_member_epoch = t->said_epoch = m.generation;
	request.member_id = bytes_str(m.member_id);
	if (version >= COMMIT_WITH_INSTANCE && m.generation >= 0)
		request.group_instance_id = group_text(c->group_instance_id);
	arena_init(&arena, ARENA_MAX);
	if (!fill_commit(t, &arena, &request))
		e = ERR_NO_MEMORY;
	if (!e)
		e = peer_ask_await(self, peer,
				   &(struct peer_ask){.api_key = API_OFFSET_COMMIT,
						      .newest = version,
						      .deadline_us = attempt_until_us(t),
						      .request = &request,
						      .response = &response,
						      .arena = &arena,
						      .sent = turn_over,
						      .user = t},
				   NULL, &frame);
	if (!e)
		e = take_commit_answer(t, &response, version >= BY_ID);
	blob_unref(frame);
	arena_fini(&arena);
	return e;
}

/* What the answer says about the membership, as if a heartbeat had brought it. */
static void tell_member(struct offset_talk *t, enum verdict v, enum err e)
{
	struct group *g = t->group;

	if (g->protocol != PROTOCOL_CLASSIC || !classic_is_member(&g->classic) ||
	    g->classic.generation != t->said_epoch)
		return;
	if (v != VERDICT_LOST && v != VERDICT_REJOIN)
		return;
	(void)classic_answered(&g->classic, &(struct classic_answer){.question = ASK_CLASSIC, .error = e});
	event_signal(&g->changed);
}

enum err group_commit_await(struct fiber *self, struct group *g, const struct group_commit_order *c,
			    char ret_why[static GROUP_WHY_SIZE])
{
	struct offset_talk t = {.group = g,
				.offsets = c->offsets,
				.count = c->count,
				.deadline_us = c->deadline_us,
				.why = ret_why,
				.commits = true,
				.member_number = group_membership(g).number};

	for (;;) {
		struct peer *peer = NULL;
		enum verdict v;
		enum err e;

		ret_why[0] = '\0';
		e = gate_enter_await(self, &g->turns, c->deadline_us);
		if (!e) {
			t.has_turn = true;
			e = commit_once_await(self, &t, &peer);
			turn_over(&t);
		}
		if (!e)
			return OK;
		v = verdict_of(ASK_COMMIT, e);
		tell_member(&t, v, e);
		if (!ret_why[0])
			snprintf(ret_why, GROUP_WHY_SIZE, "%s", err_text(e));
		if (c->once && v == VERDICT_FIND && peer)
			coordinator_lost(&g->coordinator, peer);
		if (c->once || !is_mendable(v) || mend_await(self, &t, v, peer) != OK)
			return e;
	}
}

/* --- OffsetFetch ------------------------------------------------------------------------------------------------- */

static bool fill_topics(const struct offset_talk *t, struct arena *a, int16_t version,
			struct offset_fetch_request *request)
{
	struct offset_fetch_request_offset_fetch_request_topics *many = arena_alloc_array(a, t->count + 1,
											  sizeof(*many));
	struct offset_fetch_request_offset_fetch_request_topic *one = arena_alloc_array(a, t->count + 1, sizeof(*one));
	int32_t count = 0;

	if (!many || !one)
		return false;
	for (size_t i = 0; i < t->count; i++) {
		int32_t numbers = 0, *indexes;

		if (!is_first_of_topic(t, i))
			continue;
		indexes = arena_alloc_array(a, t->count - i, sizeof(*indexes));
		if (!indexes)
			return false;
		for (size_t k = i; k < t->count; k++)
			if (t->offsets[k].topic == t->offsets[i].topic)
				indexes[numbers++] = t->offsets[k].index;
		one[count].name = many[count].name = bytes_str(t->offsets[i].topic->name);
		many[count].topic_id = t->offsets[i].topic->id;
		one[count].partition_indexes = many[count].partition_indexes = indexes;
		one[count].partition_indexes_count = many[count].partition_indexes_count = numbers;
		count++;
	}
	if (version >= FETCH_MANY) {
		request->groups[0].topics = many;
		request->groups[0].topics_count = count;
	} else {
		request->topics = one;
		request->topics_count = count;
	}
	return true;
}

static void take_offset(struct group_offset *o, int64_t offset, int32_t epoch, struct bytes metadata, int16_t error)
{
	if (!o)
		return;
	o->error = (enum err)error;
	if (error)
		return;
	o->offset = offset >= 0 ? offset : -1;
	o->leader_epoch = epoch;
	mem_free(o->metadata);
	o->metadata = NULL;
	if (offset >= 0 && metadata.size > 0) {
		o->metadata = mem_alloc(metadata.size + 1);
		memcpy(o->metadata, metadata.data, metadata.size);
		o->metadata[metadata.size] = '\0';
	}
}

static enum err take_fetch_answer(struct offset_talk *t, const struct offset_fetch_response *r, int16_t version)
{
	static const struct uuid no_id = {{0}};
	enum err worst = OK;

	for (size_t i = 0; i < t->count; i++)
		t->offsets[i].error = ERR_MALFORMED;
	if (version < FETCH_MANY) {
		if (r->error_code)
			return (enum err)r->error_code;
		for (int32_t i = 0; i < r->topics_count; i++)
			for (int32_t k = 0; k < r->topics[i].partitions_count; k++) {
				const struct offset_fetch_response_offset_fetch_response_partition *p =
					&r->topics[i].partitions[k];

				take_offset(find(t, r->topics[i].name, no_id, false, p->partition_index),
					    p->committed_offset, p->committed_leader_epoch, p->metadata, p->error_code);
			}
	} else {
		if (r->groups_count != 1)
			return ERR_MALFORMED;
		if (r->groups[0].error_code)
			return (enum err)r->groups[0].error_code;
		for (int32_t i = 0; i < r->groups[0].topics_count; i++) {
			const struct offset_fetch_response_offset_fetch_response_topics *row = &r->groups[0].topics[i];

			for (int32_t k = 0; k < row->partitions_count; k++) {
				const struct offset_fetch_response_offset_fetch_response_partitions *p =
					&row->partitions[k];

				take_offset(find(t, row->name, row->topic_id, version >= BY_ID, p->partition_index),
					    p->committed_offset, p->committed_leader_epoch, p->metadata, p->error_code);
			}
		}
	}
	/* One that may mend itself is asked again for; one that does not is its own affair. */
	for (size_t i = 0; i < t->count && !worst; i++)
		if (is_mendable(verdict_of(ASK_OFFSETS, t->offsets[i].error)))
			worst = t->offsets[i].error;
	return worst;
}

static enum err fetch_once_await(struct fiber *self, struct offset_talk *t, struct peer **ret_peer)
{
	struct group *g = t->group;
	struct offset_fetch_request_offset_fetch_request_group one;
	struct offset_fetch_response response;
	struct offset_fetch_request request;
	struct membership m;
	struct blob *frame = NULL;
	struct peer *peer = NULL;
	struct arena arena;
	int16_t version = 0;
	enum err e = coordinator_await(self, &g->coordinator, t->deadline_us, &peer);

	if (e) {
		snprintf(t->why, GROUP_WHY_SIZE, "%s", g->coordinator.why);
		return e;
	}
	*ret_peer = peer;
	e = peer_version(peer, API_OFFSET_FETCH, all_have_ids(t) ? OFFSET_FETCH_NEWEST : BY_ID - 1, &version);
	if (e)
		return e;
	message_init(&offset_fetch_request_type, &request);
	struct_init(&offset_fetch_request_offset_fetch_request_group_struct, &one);
	m = group_membership(g);
	t->said_epoch = m.generation;
	if (version >= FETCH_MANY) {
		one.group_id = bytes_str(g->options.config->group_id);
		if (version >= FETCH_WITH_MEMBER && m.modern && m.generation >= 0) {
			one.member_id = bytes_str(m.member_id);
			one.member_epoch = m.generation;
		}
		request.groups = &one;
		request.groups_count = 1;
	} else {
		request.group_id = bytes_str(g->options.config->group_id);
	}
	request.require_stable = version >= FETCH_STABLE;
	arena_init(&arena, ARENA_MAX);
	if (!fill_topics(t, &arena, version, &request))
		e = ERR_NO_MEMORY;
	if (!e)
		e = peer_ask_await(self, peer,
				   &(struct peer_ask){.api_key = API_OFFSET_FETCH,
						      .newest = version,
						      .deadline_us = attempt_until_us(t),
						      .request = &request,
						      .response = &response,
						      .arena = &arena},
				   NULL, &frame);
	if (!e)
		e = take_fetch_answer(t, &response, version);
	blob_unref(frame);
	arena_fini(&arena);
	return e;
}

enum err group_offsets_await(struct fiber *self, struct group *g, struct group_offset *offsets, size_t count,
			     int64_t deadline_us, char ret_why[static GROUP_WHY_SIZE])
{
	struct offset_talk t = {
		.group = g, .offsets = offsets, .count = count, .deadline_us = deadline_us, .why = ret_why};

	for (;;) {
		struct peer *peer = NULL;
		enum verdict v;
		enum err e;

		ret_why[0] = '\0';
		e = fetch_once_await(self, &t, &peer);
		if (!e)
			return OK;
		if (!ret_why[0])
			snprintf(ret_why, GROUP_WHY_SIZE, "%s", err_text(e));
		v = verdict_of(ASK_OFFSETS, e);
		if (!is_mendable(v) || mend_await(self, &t, v, peer) != OK)
			return e;
	}
}

/* --- the fibers -------------------------------------------------------------------------------------------------- */

static void answer_questions_await(struct fiber *self, struct group *g, const struct committed_question *questions,
				   size_t count)
{
	struct group_offsets offsets = {0};
	char why[GROUP_WHY_SIZE], text[FETCHED_TEXT_SIZE];
	enum err e;

	for (size_t i = 0; i < count; i++)
		group_offsets_add(&offsets, questions[i].topic, questions[i].partition);
	e = group_offsets_await(self, g, offsets.items, count,
				shard_now_us(g->options.shard) + g->options.config->api_timeout_ms * 1000, why);
	for (size_t i = 0; i < count && e != ERR_CANCELLED; i++) {
		enum err own = e ? e : offsets.items[i].error;

		/* Nothing that time may mend stops a partition: it is asked for again. */
		if (own && verdict_of(ASK_OFFSETS, own) != VERDICT_FATAL)
			continue;
		snprintf(text, sizeof(text), "%.150s/%d: the offset of group %.100s cannot be had: %.100s",
			 questions[i].topic->name, questions[i].partition, g->options.config->group_id,
			 own == e ? why : err_text(own));
		consumer_committed(g->options.consumer, &questions[i], offsets.items[i].offset, own, text);
	}
	group_offsets_fini(&offsets);
}

void group_offsets_main(struct fiber *self, void *argument)
{
	struct group *g = argument;
	struct committed_question *questions = mem_alloc(QUESTIONS_MAX * sizeof(*questions));

	while (!fiber_cancelled(self)) {
		size_t count = consumer_wanting_committed(g->options.consumer, questions, QUESTIONS_MAX);

		if (count > 0)
			answer_questions_await(self, g, questions, count);
		else
			(void)event_wait_await(self, &g->wants_offsets, FIBER_NO_DEADLINE);
	}
	mem_free(questions);
}

void group_wants_committed(void *group)
{
	struct group *g = group;

	event_signal(&g->wants_offsets);
}

static bool is_worth_telling(enum err e)
{
	return verdict_of(ASK_COMMIT, e) == VERDICT_FATAL && e != ERR_CANCELLED;
}

static void commit_now_await(struct fiber *self, struct group *g)
{
	struct group_offsets offsets = {0};
	struct membership m = group_membership(g);
	char why[GROUP_WHY_SIZE];
	enum err e;

	/* While it rebalances, what it was done with was committed before. */
	if (m.joining || (g->protocol != PROTOCOL_NONE && m.generation < 0))
		return;
	g->options.sink->progress(g->options.user, NULL, &offsets);
	if (offsets.count > 0) {
		e = group_commit_await(self, g,
				       &(struct group_commit_order){
					       .offsets = offsets.items,
					       .count = offsets.count,
					       .deadline_us = shard_now_us(g->options.shard) +
							      g->options.config->request_timeout_ms * 1000,
				       },
				       why);
		if (!e)
			g->options.sink->committed(g->options.user, &offsets);
		else if (is_worth_telling(e))
			group_fail(g, e, "the offsets are not committed");
	}
	group_offsets_fini(&offsets);
}

void group_commit_main(struct fiber *self, void *argument)
{
	struct group *g = argument;
	int64_t interval_us = g->options.config->auto_commit_interval_ms * 1000;

	while (fiber_sleep_await(self, interval_us > 1000 ? interval_us : 1000) == OK)
		commit_now_await(self, g);
}
