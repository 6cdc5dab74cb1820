/* api_group_offsets: what groups have committed, and who is in them: the public calls that read and change it, and their fibers. */
#include <stdlib.h>

#include "base/alloc.h"
#include "client/api_own.h"
#include "protocol/messages.h"

/* Newer versions name topics by id, which these questions do not know. */
#define OFFSET_FETCH_NEWEST 9
#define OFFSET_FETCH_MANY 8 /* groups, from this version on */
#define OFFSET_COMMIT_NEWEST 9
#define OFFSET_DELETE_NEWEST 0
#define LEAVE_GROUP_NEWEST 5
#define LEAVE_MANY 3 /* members, from this version on */
#define NO_GENERATION (-1)

/* --- what is committed ------------------------------------------------------------------------------------------- */

struct list_arguments {
	const char *const *groups;
	size_t count;
	bool stable;
};

static int by_place(const void *a, const void *b)
{
	const struct mo_group_offset *x = a, *y = b;
	int order = strcmp(x->topic, y->topic);

	return order ? order : x->partition < y->partition ? -1 : x->partition > y->partition;
}

static void add_offset(struct mo_group_offsets *to, size_t *capacity, struct bytes topic,
		       const struct offset_fetch_response_offset_fetch_response_partitions *p)
{
	to->offsets = mem_grow(to->offsets, capacity, to->count + 1, sizeof(*to->offsets));
	to->offsets[to->count++] = (struct mo_group_offset){.topic = api_text(topic),
							    .partition = p->partition_index,
							    .offset = p->committed_offset,
							    .leader_epoch = p->committed_leader_epoch,
							    .metadata = api_text(p->metadata),
							    .code = p->error_code};
}

static void clear_offsets(struct mo_group_offsets *o)
{
	for (size_t i = 0; i < o->count; i++) {
		mem_free((char *)(uintptr_t)o->offsets[i].topic);
		mem_free((char *)(uintptr_t)o->offsets[i].metadata);
	}
	mem_free(o->offsets);
	o->offsets = NULL;
	o->count = 0;
}

void mo_group_offsets_free(struct mo_group_offsets *o)
{
	clear_offsets(o);
	mem_free(o->group);
	mem_free(o->text);
	*o = (struct mo_group_offsets){0};
}

/* Offsets that a transaction holds make the whole group's answer worth another question. */
static void take_group(struct group_key *k, struct mo_group_offsets *to,
		       const struct offset_fetch_response_offset_fetch_response_group *from)
{
	int16_t code = from->error_code;
	size_t capacity = 0;

	for (int32_t t = 0; t < from->topics_count; t++) {
		const struct offset_fetch_response_offset_fetch_response_topics *topic = &from->topics[t];

		for (int32_t i = 0; i < topic->partitions_count; i++) {
			add_offset(to, &capacity, topic->name, &topic->partitions[i]);
			if (topic->partitions[i].error_code == ERR_UNSTABLE_OFFSET_COMMIT)
				code = ERR_UNSTABLE_OFFSET_COMMIT;
		}
	}
	if (to->count)
		qsort(to->offsets, to->count, sizeof(*to->offsets), by_place);
	group_key_answer(k, code, bytes_null());
	if (!k->decided)
		clear_offsets(to);
}

/* The answer of before version 8 has one group, and other structs for the same. */
static enum err take_old_answer(struct group_key *k, struct mo_group_offsets *to, const struct offset_fetch_response *r,
				struct arena *arena)
{
	struct offset_fetch_response_offset_fetch_response_group g = {.error_code = r->error_code};

	g.topics = arena_alloc_array(arena, (size_t)r->topics_count + 1, sizeof(*g.topics));
	if (!g.topics)
		return ERR_NO_MEMORY;
	for (int32_t t = 0; t < r->topics_count; t++) {
		const struct offset_fetch_response_offset_fetch_response_topic *from = &r->topics[t];
		struct offset_fetch_response_offset_fetch_response_topics *topic = &g.topics[g.topics_count++];

		topic->name = from->name;
		topic->partitions = arena_alloc_array(arena, (size_t)from->partitions_count + 1,
						      sizeof(*topic->partitions));
		if (!topic->partitions)
			return ERR_NO_MEMORY;
		for (int32_t i = 0; i < from->partitions_count; i++) {
			struct offset_fetch_response_offset_fetch_response_partitions *p =
				&topic->partitions[topic->partitions_count++];

			p->partition_index = from->partitions[i].partition_index;
			p->committed_offset = from->partitions[i].committed_offset;
			p->committed_leader_epoch = from->partitions[i].committed_leader_epoch;
			p->metadata = from->partitions[i].metadata;
			p->error_code = from->partitions[i].error_code;
		}
	}
	take_group(k, to, &g);
	return OK;
}

static enum err list_once_await(struct fiber *self, struct coordinators *c, struct peer *peer, int16_t version,
				struct group_key **keys, size_t count)
{
	struct api_job *job = c->user;
	const struct list_arguments *a = job->arguments;
	struct mo_group_offsets *results = job->result;
	struct offset_fetch_response response;
	struct offset_fetch_request request;
	struct blob *frame = NULL;
	struct arena arena;
	enum err e;

	arena_init(&arena, API_ARENA_MAX);
	message_init(&offset_fetch_request_type, &request);
	request.require_stable = a->stable;
	if (version >= OFFSET_FETCH_MANY) {
		request.groups = struct_array_new(&offset_fetch_request_offset_fetch_request_group_struct, count,
						  &arena);
		must(request.groups);
		for (size_t i = 0; i < count; i++) {
			request.groups[i].group_id = bytes_str(keys[i]->name);
			request.groups[i].topics_count = -1;
		}
		request.groups_count = (int32_t)count;
	} else {
		request.group_id = bytes_str(keys[0]->name);
		request.topics_count = -1;
	}
	e = peer_ask_await(self, peer,
			   &(struct peer_ask){.api_key = API_OFFSET_FETCH,
					      .newest = version,
					      .deadline_us = coordinators_deadline_us(c),
					      .request = &request,
					      .response = &response,
					      .arena = &arena},
			   NULL, &frame);
	if (!e && version < OFFSET_FETCH_MANY)
		e = take_old_answer(keys[0], &results[keys[0] - c->keys], &response, &arena);
	for (int32_t i = 0; !e && version >= OFFSET_FETCH_MANY && i < response.groups_count; i++) {
		struct group_key *k = group_key_find(keys, count, response.groups[i].group_id);

		if (k)
			take_group(k, &results[k - c->keys], &response.groups[i]);
	}
	blob_unref(frame);
	arena_fini(&arena);
	return e;
}

static enum err list_some_await(struct fiber *self, struct coordinators *c, struct peer *peer, struct group_key **keys,
				size_t count)
{
	int16_t version;
	enum err e = peer_version(peer, API_OFFSET_FETCH, OFFSET_FETCH_NEWEST, &version);

	if (e || version >= OFFSET_FETCH_MANY)
		return e ? e : list_once_await(self, c, peer, version, keys, count);
	for (size_t i = 0; i < count && !e; i++)
		e = list_once_await(self, c, peer, version, keys + i, 1);
	return e;
}

static void list_await(struct fiber *self, struct api_job *job)
{
	const struct list_arguments *a = job->arguments;
	struct mo_group_offsets *results = job->result;
	struct coordinators c;

	coordinators_init(&c, job, a->groups, a->count);
	c.api_key = API_OFFSET_FETCH;
	c.ask_await = list_some_await;
	c.user = job;
	coordinators_ask_await(self, &c);
	for (size_t i = 0; i < a->count; i++) {
		results[i].group = mem_strdup(a->groups[i]);
		results[i].code = c.keys[i].error.code;
		results[i].text = c.keys[i].error.code ? mem_strdup(c.keys[i].error.text) : NULL;
	}
	coordinators_end(&c, job);
	for (size_t i = 0; i < a->count && job->error.code; i++)
		mo_group_offsets_free(&results[i]);
}

int mo_group_offset_list(struct mo_client *c, const char *const *groups, size_t count, int stable,
			 struct mo_group_offsets *ret_offsets, struct mo_err *ret_err)
{
	struct list_arguments a = {.groups = groups, .count = count, .stable = stable};
	struct api_job job = {.work_await = list_await, .arguments = &a, .result = ret_offsets};

	for (size_t i = 0; i < count; i++) {
		if (!groups || !groups[i])
			return api_error(ret_err, ERR_USAGE, "the groups need names");
		ret_offsets[i] = (struct mo_group_offsets){0};
	}
	return api_run(c, &job, ret_err);
}

/* --- changing it ------------------------------------------------------------------------------------------------- */

/* One group, and the partitions of a request in the order of topics, so that each topic stands once. */
struct change_arguments {
	const char *group;
	struct mo_group_offset *offsets;
	size_t count;
	struct mo_group_offset **sorted;
	struct mo_group_leaver *leavers;
	const char *reason;
};

static int by_place_of_pointers(const void *a, const void *b)
{
	return by_place(*(struct mo_group_offset *const *)a, *(struct mo_group_offset *const *)b);
}

static void sort_offsets(struct change_arguments *a)
{
	a->sorted = mem_alloc((a->count + 1) * sizeof(struct mo_group_offset *));
	for (size_t i = 0; i < a->count; i++) {
		a->sorted[i] = &a->offsets[i];
		a->offsets[i].code = ERR_MALFORMED; /* until an answer names it */
	}
	qsort(a->sorted, a->count, sizeof(struct mo_group_offset *), by_place_of_pointers);
}

/* Those from `from` on that are of its topic. */
static size_t same_topic(const struct change_arguments *a, size_t from)
{
	size_t to = from;

	while (to < a->count && strcmp(a->sorted[to]->topic, a->sorted[from]->topic) == 0)
		to++;
	return to - from;
}

static int compare_place(struct bytes topic, int32_t partition, const struct mo_group_offset *o)
{
	int order = bytes_compare(topic, bytes_str(o->topic));

	return order ? order : partition < o->partition ? -1 : partition > o->partition;
}

static void set_code(struct change_arguments *a, struct bytes topic, int32_t partition, int16_t code)
{
	size_t low = 0, high = a->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (compare_place(topic, partition, a->sorted[middle]) > 0)
			low = middle + 1;
		else
			high = middle;
	}
	for (; low < a->count && compare_place(topic, partition, a->sorted[low]) == 0; low++)
		a->sorted[low]->code = code;
}

/* What one partition's code means for the group: where it says that another broker is to be asked, or later, the question is repeated. */
static int16_t group_code(const struct change_arguments *a)
{
	for (size_t i = 0; i < a->count; i++) {
		int code = a->offsets[i].code;

		if (code == ERR_NOT_COORDINATOR || code == ERR_COORDINATOR_NOT_AVAILABLE ||
		    code == ERR_COORDINATOR_LOAD_IN_PROGRESS || code == ERR_REBALANCE_IN_PROGRESS)
			return (int16_t)code;
	}
	return OK;
}

static enum err commit_some_await(struct fiber *self, struct coordinators *c, struct peer *peer,
				  struct group_key **keys, size_t count)
{
	struct change_arguments *a = ((struct api_job *)c->user)->arguments;
	struct offset_commit_response response;
	struct offset_commit_request request;
	struct blob *frame = NULL;
	struct arena arena;
	enum err e;

	(void)count;
	arena_init(&arena, API_ARENA_MAX);
	message_init(&offset_commit_request_type, &request);
	request.group_id = bytes_str(a->group);
	request.generation_id_or_member_epoch = NO_GENERATION;
	request.topics = struct_array_new(&offset_commit_request_offset_commit_request_topic_struct, a->count + 1,
					  &arena);
	for (size_t at = 0, n; request.topics && at < a->count; at += n) {
		struct offset_commit_request_offset_commit_request_topic *t = &request.topics[request.topics_count++];

		n = same_topic(a, at);
		t->name = bytes_str(a->sorted[at]->topic);
		t->partitions = struct_array_new(&offset_commit_request_offset_commit_request_partition_struct, n,
						 &arena);
		if (!t->partitions) {
			request.topics = NULL;
			break;
		}
		for (size_t i = 0; i < n; i++) {
			const struct mo_group_offset *o = a->sorted[at + i];

			t->partitions[i].partition_index = o->partition;
			t->partitions[i].committed_offset = o->offset;
			t->partitions[i].committed_leader_epoch = o->leader_epoch;
			t->partitions[i].committed_metadata = bytes_str(o->metadata ? o->metadata : "");
		}
		t->partitions_count = (int32_t)n;
	}
	e = !request.topics ? ERR_NO_MEMORY
			    : peer_ask_await(self, peer,
					     &(struct peer_ask){.api_key = API_OFFSET_COMMIT,
								.newest = OFFSET_COMMIT_NEWEST,
								.deadline_us = coordinators_deadline_us(c),
								.request = &request,
								.response = &response,
								.arena = &arena},
					     NULL, &frame);
	for (int32_t t = 0; !e && t < response.topics_count; t++)
		for (int32_t i = 0; i < response.topics[t].partitions_count; i++)
			set_code(a, response.topics[t].name, response.topics[t].partitions[i].partition_index,
				 response.topics[t].partitions[i].error_code);
	if (!e)
		group_key_answer(keys[0], group_code(a), bytes_null());
	blob_unref(frame);
	arena_fini(&arena);
	return e;
}

static enum err forget_some_await(struct fiber *self, struct coordinators *c, struct peer *peer,
				  struct group_key **keys, size_t count)
{
	struct change_arguments *a = ((struct api_job *)c->user)->arguments;
	struct offset_delete_response response;
	struct offset_delete_request request;
	struct blob *frame = NULL;
	struct arena arena;
	enum err e;

	(void)count;
	arena_init(&arena, API_ARENA_MAX);
	message_init(&offset_delete_request_type, &request);
	request.group_id = bytes_str(a->group);
	request.topics = struct_array_new(&offset_delete_request_offset_delete_request_topic_struct, a->count + 1,
					  &arena);
	for (size_t at = 0, n; request.topics && at < a->count; at += n) {
		struct offset_delete_request_offset_delete_request_topic *t = &request.topics[request.topics_count++];

		n = same_topic(a, at);
		t->name = bytes_str(a->sorted[at]->topic);
		t->partitions = struct_array_new(&offset_delete_request_offset_delete_request_partition_struct, n,
						 &arena);
		if (!t->partitions) {
			request.topics = NULL;
			break;
		}
		for (size_t i = 0; i < n; i++)
			t->partitions[i].partition_index = a->sorted[at + i]->partition;
		t->partitions_count = (int32_t)n;
	}
	e = !request.topics ? ERR_NO_MEMORY
			    : peer_ask_await(self, peer,
					     &(struct peer_ask){.api_key = API_OFFSET_DELETE,
								.newest = OFFSET_DELETE_NEWEST,
								.deadline_us = coordinators_deadline_us(c),
								.request = &request,
								.response = &response,
								.arena = &arena},
					     NULL, &frame);
	for (int32_t t = 0; !e && t < response.topics_count; t++)
		for (int32_t i = 0; i < response.topics[t].partitions_count; i++)
			set_code(a, response.topics[t].name, response.topics[t].partitions[i].partition_index,
				 response.topics[t].partitions[i].error_code);
	if (!e)
		group_key_answer(keys[0], response.error_code, bytes_null());
	blob_unref(frame);
	arena_fini(&arena);
	return e;
}

/* --- members that are made to leave ------------------------------------------------------------------------------ */

static void take_leavers(struct change_arguments *a, const struct leave_group_response *r)
{
	for (size_t i = 0; i < a->count; i++)
		a->leavers[i].code = r->error_code ? r->error_code : ERR_MALFORMED;
	/* The answer keeps the order of the question (and may leave out a member's id, where it went by its instance). */
	for (size_t i = 0; i < a->count && i < (size_t)r->members_count && !r->error_code; i++)
		a->leavers[i].code = r->members[i].error_code;
}

static enum err leave_once_await(struct fiber *self, struct coordinators *c, struct peer *peer,
				 const struct leave_group_request *request, struct change_arguments *a,
				 struct group_key *k, struct arena *arena)
{
	struct leave_group_response response;
	struct blob *frame = NULL;
	enum err e = peer_ask_await(self, peer,
				    &(struct peer_ask){.api_key = API_LEAVE_GROUP,
						       .newest = LEAVE_GROUP_NEWEST,
						       .deadline_us = coordinators_deadline_us(c),
						       .request = request,
						       .response = &response,
						       .arena = arena},
				    NULL, &frame);

	if (!e && request->members_count > 0)
		take_leavers(a, &response);
	else if (!e)
		a->leavers[0].code = response.error_code;
	if (!e)
		group_key_answer(k, response.error_code, bytes_null());
	blob_unref(frame);
	return e;
}

static enum err leave_some_await(struct fiber *self, struct coordinators *c, struct peer *peer, struct group_key **keys,
				 size_t count)
{
	struct change_arguments *a = ((struct api_job *)c->user)->arguments;
	struct leave_group_request request;
	struct arena arena;
	int16_t version;
	enum err e = peer_version(peer, API_LEAVE_GROUP, LEAVE_GROUP_NEWEST, &version);

	(void)count;
	/* Older brokers let go one member, by its id. */
	if (!e && version < LEAVE_MANY && (a->count != 1 || a->leavers[0].instance_id))
		e = ERR_UNSUPPORTED;
	if (e)
		return e;
	arena_init(&arena, API_ARENA_MAX);
	message_init(&leave_group_request_type, &request);
	request.group_id = bytes_str(a->group);
	if (version < LEAVE_MANY) {
		request.member_id = bytes_str(a->leavers[0].member_id);
	} else {
		request.members = struct_array_new(&leave_group_request_member_identity_struct, a->count, &arena);
		e = request.members ? OK : ERR_NO_MEMORY;
		for (size_t i = 0; i < a->count && !e; i++) {
			const struct mo_group_leaver *l = &a->leavers[i];

			request.members[i].member_id = bytes_str(l->member_id ? l->member_id : "");
			request.members[i].group_instance_id = bytes_str(l->instance_id);
			request.members[i].reason = bytes_str(a->reason);
		}
		request.members_count = (int32_t)a->count;
	}
	if (!e)
		e = leave_once_await(self, c, peer, &request, a, keys[0], &arena);
	arena_fini(&arena);
	return e;
}

/* --- the calls --------------------------------------------------------------------------------------------------- */

static void run_change_await(struct fiber *self, struct api_job *job, int16_t api_key,
			     enum err (*ask_await)(struct fiber *self, struct coordinators *c, struct peer *peer,
						   struct group_key **keys, size_t count))
{
	struct change_arguments *a = job->arguments;
	struct coordinators c;

	coordinators_init(&c, job, &a->group, 1);
	c.api_key = api_key;
	c.ask_await = ask_await;
	c.user = job;
	coordinators_ask_await(self, &c);
	job->error = c.keys[0].error;
	coordinators_end(&c, job);
}

static void commit_await(struct fiber *self, struct api_job *job)
{
	run_change_await(self, job, API_OFFSET_COMMIT, commit_some_await);
}

static void forget_await(struct fiber *self, struct api_job *job)
{
	run_change_await(self, job, API_OFFSET_DELETE, forget_some_await);
}

static void leave_await(struct fiber *self, struct api_job *job)
{
	run_change_await(self, job, API_LEAVE_GROUP, leave_some_await);
}

static int change_offsets(struct mo_client *c, struct change_arguments *a,
			  void (*work_await)(struct fiber *self, struct api_job *job), struct mo_err *ret_err)
{
	struct api_job job = {.work_await = work_await, .arguments = a};
	int code;

	for (size_t i = 0; i < a->count; i++)
		if (!a->offsets || !a->offsets[i].topic || a->offsets[i].partition < 0)
			return api_error(ret_err, ERR_USAGE, "each offset needs a topic and a partition");
	if (!a->group)
		return api_error(ret_err, ERR_USAGE, "which group?");
	sort_offsets(a);
	code = api_run(c, &job, ret_err);
	for (size_t i = 0; i < a->count && code; i++)
		a->offsets[i].code = code;
	mem_free(a->sorted);
	return code;
}

int mo_group_offset_alter(struct mo_client *c, const char *group, struct mo_group_offset *offsets, size_t count,
			  struct mo_err *ret_err)
{
	struct change_arguments a = {.group = group, .offsets = offsets, .count = count};

	return change_offsets(c, &a, commit_await, ret_err);
}

int mo_group_offset_delete(struct mo_client *c, const char *group, struct mo_group_offset *offsets, size_t count,
			   struct mo_err *ret_err)
{
	struct change_arguments a = {.group = group, .offsets = offsets, .count = count};

	return change_offsets(c, &a, forget_await, ret_err);
}

int mo_group_remove_members(struct mo_client *c, const char *group, struct mo_group_leaver *members, size_t count,
			    const char *reason, struct mo_err *ret_err)
{
	struct change_arguments a = {.group = group, .leavers = members, .count = count, .reason = reason};
	struct api_job job = {.work_await = leave_await, .arguments = &a};

	if (!group || count == 0 || !members)
		return api_error(ret_err, ERR_USAGE, "which members of which group?");
	for (size_t i = 0; i < count; i++)
		if (!members[i].member_id && !members[i].instance_id)
			return api_error(ret_err, ERR_USAGE, "a member is named by its id or its instance");
	return api_run(c, &job, ret_err);
}
