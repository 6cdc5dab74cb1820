/* lead: see the header. */
#include "client/lead.h"

#include "base/alloc.h"
#include "client/assign.h"
#include "client/group_own.h"

/* How long the leader waits to know topics that it has not heard of: the others wait as well. */
#define METADATA_WAIT_US 5000000
#define DESCRIBE_GROUPS_NEWEST 5
#define ASSIGNMENT_MAX ((size_t)64 * 1024 * 1024)

void lead_init(struct lead *l, struct group *g)
{
	*l = (struct lead){.group = g};
}

void lead_fini(struct lead *l)
{
	mem_free(l->topics);
	*l = (struct lead){0};
}

void lead_forget(struct lead *l)
{
	l->count = 0;
}

static int32_t partitions_of(const struct cluster_topic *t)
{
	return t->error ? 0 : t->partition_count;
}

bool lead_has_changed(const struct lead *l)
{
	for (size_t i = 0; i < l->count; i++) {
		const struct cluster_topic *t = l->topics[i].topic;

		/* While a topic cannot be asked about it has not changed; one that is gone has. */
		if (t->error && t->error != ERR_UNKNOWN_TOPIC_OR_PARTITION)
			continue;
		if (partitions_of(t) != l->topics[i].partition_count)
			return true;
	}
	return false;
}

static enum err read_members(const struct join_group_response *joined, struct arena *a, struct assign_member *members)
{
	for (int32_t i = 0; i < joined->members_count; i++) {
		enum err e = subscription_decode(joined->members[i].metadata, a, &members[i].subscription);

		if (e)
			return e;
		members[i].id = joined->members[i].member_id;
		members[i].instance_id = joined->members[i].group_instance_id;
	}
	return OK;
}

static bool knows(const struct lead *l, const struct cluster_topic *t)
{
	for (size_t i = 0; i < l->count; i++)
		if (l->topics[i].topic == t)
			return true;
	return false;
}

/* All that anybody subscribes to. False: a name that is none, or no memory. */
static bool note_topics(struct lead *l, const struct assign_member *members, size_t count, struct arena *a)
{
	l->count = 0;
	for (size_t i = 0; i < count; i++) {
		const struct consumer_protocol_subscription *s = &members[i].subscription;

		for (int32_t k = 0; k < s->topics_count; k++) {
			struct bytes name = arena_copy(a, s->topics[k]);
			struct cluster_topic *t;

			if (name.size == 0 || strlen((const char *)name.data) != name.size)
				return false;
			t = cluster_topic(l->group->options.cluster, (const char *)name.data, true);
			if (knows(l, t))
				continue;
			l->topics = mem_grow(l->topics, &l->capacity, l->count + 1, sizeof(*l->topics));
			l->topics[l->count++] = (struct lead_topic){.topic = t};
		}
	}
	return true;
}

static enum err learn_await(struct fiber *self, struct lead *l)
{
	struct cluster *cluster = l->group->options.cluster;
	int64_t deadline_us = shard_now_us(l->group->options.shard) + METADATA_WAIT_US;

	for (size_t i = 0; i < l->count; i++) {
		while (l->topics[i].topic->error == ERR_AGAIN) {
			cluster_refresh(cluster);
			if (cluster_wait_await(self, cluster, deadline_us) == ERR_CANCELLED)
				return ERR_CANCELLED;
			if (shard_now_us(l->group->options.shard) >= deadline_us)
				break;
		}
	}
	return OK;
}

static enum err decide(struct lead *l, enum assignor how, const struct assign_member *members, size_t count,
		       struct arena *a, struct sync_group_request *request)
{
	struct consumer_protocol_assignment *given = arena_alloc_array(a, count + 1, sizeof(*given));
	struct assign_topic *topics = arena_alloc_array(a, l->count + 1, sizeof(*topics));
	struct assign_question q = {
		.members = members, .member_count = count, .topics = topics, .topic_count = l->count};
	struct buf out;
	enum err e;

	request->assignments = arena_alloc_array(a, count + 1, sizeof(*request->assignments));
	if (!given || !topics || !request->assignments)
		return ERR_NO_MEMORY;
	for (size_t i = 0; i < l->count; i++) {
		l->topics[i].partition_count = partitions_of(l->topics[i].topic);
		topics[i] = (struct assign_topic){.name = bytes_str(l->topics[i].topic->name),
						  .partition_count = l->topics[i].partition_count};
	}
	e = assign(how, &q, a, given);
	request->assignments_count = (int32_t)count;
	buf_init(&out, ASSIGNMENT_MAX);
	for (size_t i = 0; i < count && !e; i++) {
		buf_reset(&out);
		e = assignment_encode(&given[i], &out);
		request->assignments[i].member_id = members[i].id;
		request->assignments[i].assignment = arena_copy(a, buf_bytes(&out));
		if (!e && bytes_is_null(request->assignments[i].assignment))
			e = ERR_NO_MEMORY;
	}
	buf_fini(&out);
	return e;
}

/* --- a leader that came back ------------------------------------------------------------------------------------- */

/* What is to be watched; names that it cannot read are not. */
static void note_wanted(struct lead *l, const struct assign_member *members, size_t count, struct arena *a)
{
	if (!note_topics(l, members, count, a))
		l->count = 0;
	for (size_t i = 0; i < l->count; i++)
		l->topics[i].partition_count = partitions_of(l->topics[i].topic);
}

static void count_given(struct lead *l, const struct consumer_protocol_assignment *given)
{
	for (int32_t i = 0; i < given->assigned_partitions_count; i++)
		for (size_t k = 0; k < l->count; k++)
			if (bytes_equal_str(given->assigned_partitions[i].topic, l->topics[k].topic->name))
				l->topics[k].partition_count += given->assigned_partitions[i].partitions_count;
}

static void take_description(struct lead *l, const struct describe_groups_response *r, struct arena *a)
{
	const struct describe_groups_response_described_group *g = r->groups;
	struct consumer_protocol_assignment *given;

	/* A group that rebalances will be decided on anew. */
	if (r->groups_count != 1 || g->error_code || !bytes_equal_str(g->group_state, "Stable"))
		return;
	given = arena_alloc_array(a, (size_t)g->members_count + 1, sizeof(*given));
	if (!given)
		return;
	for (int32_t i = 0; i < g->members_count; i++) {
		message_init(&consumer_protocol_assignment_type, &given[i]);
		if (g->members[i].member_assignment.size > 0 &&
		    assignment_decode(g->members[i].member_assignment, a, &given[i]))
			return;
	}
	for (size_t k = 0; k < l->count; k++)
		l->topics[k].partition_count = 0;
	for (int32_t i = 0; i < g->members_count; i++)
		count_given(l, &given[i]);
}

void lead_take_over_await(struct fiber *self, struct lead *l, struct peer *peer, int64_t deadline_us)
{
	struct bytes name = bytes_str(l->group->options.config->group_id);
	struct describe_groups_request request;
	struct describe_groups_response response;
	struct blob *frame = NULL;
	struct arena a;
	enum err e = learn_await(self, l);

	for (size_t i = 0; i < l->count && !e; i++)
		l->topics[i].partition_count = partitions_of(l->topics[i].topic);
	if (e || l->count == 0)
		return;
	message_init(&describe_groups_request_type, &request);
	request.groups = &name;
	request.groups_count = 1;
	arena_init(&a, ASSIGNMENT_MAX);
	e = peer_ask_await(self, peer,
			   &(struct peer_ask){.api_key = API_DESCRIBE_GROUPS,
					      .newest = DESCRIBE_GROUPS_NEWEST,
					      .deadline_us = deadline_us,
					      .request = &request,
					      .response = &response,
					      .arena = &a},
			   NULL, &frame);
	if (!e)
		take_description(l, &response, &a);
	blob_unref(frame);
	arena_fini(&a);
}

enum err lead_await(struct fiber *self, struct lead *l, const struct join_group_response *joined, struct arena *a,
		    struct sync_group_request *request)
{
	size_t count = (size_t)(joined->members_count > 0 ? joined->members_count : 0);
	struct assign_member *members = arena_alloc_array(a, count + 1, sizeof(*members));
	enum assignor how;
	enum err e;

	if (!members)
		return ERR_NO_MEMORY;
	/* A static leader that came back: the assignment stands. */
	if (joined->skip_assignment) {
		if (!read_members(joined, a, members))
			note_wanted(l, members, count, a);
		return OK;
	}
	if (!assignor_find(joined->protocol_name, &how))
		return ERR_INCONSISTENT_GROUP_PROTOCOL;
	e = read_members(joined, a, members);
	if (!e && !note_topics(l, members, count, a))
		e = ERR_MALFORMED;
	if (!e)
		e = learn_await(self, l);
	return e ? e : decide(l, how, members, count, a, request);
}
