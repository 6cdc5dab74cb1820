/* offset_delete: OffsetDelete, and DeleteGroups with all that a group has. Calls offset_record.h. */
#include "base/alloc.h"
#include "group/offset_record.h"
#include "group/request.h"

/* --- OffsetDelete ---------------------------------------------------------------------------------------------------- */

void group_offset_delete_refuse(struct offset_delete_call *c, enum err why)
{
	message_init(&offset_delete_response_type, &c->response);
	c->response.error_code = err_to_kafka(why);
}

static bool begin_answer(struct offset_delete_call *c)
{
	const struct offset_delete_request *r = c->request;
	struct offset_delete_response_offset_delete_response_topic *topics;

	message_init(&offset_delete_response_type, &c->response);
	topics = struct_array_new(&offset_delete_response_offset_delete_response_topic_struct, (size_t)r->topics_count,
				  c->arena);
	if (!topics)
		return false;
	for (int32_t t = 0; t < r->topics_count; t++) {
		topics[t].name = r->topics[t].name;
		topics[t].partitions_count = r->topics[t].partitions_count;
		topics[t].partitions = struct_array_new(&offset_delete_response_offset_delete_response_partition_struct,
							(size_t)r->topics[t].partitions_count, c->arena);
		if (!topics[t].partitions)
			return false;
	}
	c->response.topics = topics;
	c->response.topics_count = r->topics_count;
	return true;
}

static void delete_partition(struct groups *all, struct group *g, struct step *s, struct bytes topic, int32_t partition)
{
	if (offsets_committed(g, topic, partition) || offsets_pending(g, topic, partition))
		offset_forget(all, g, s, topic, partition);
}

static void delete_offsets(struct groups *all, struct group *g, struct step *s, struct offset_delete_call *c)
{
	const struct offset_delete_request *r = c->request;

	for (int32_t t = 0; t < r->topics_count; t++) {
		bool subscribed = g->kind->subscribed(g, r->topics[t].name);

		for (int32_t p = 0; p < r->topics[t].partitions_count; p++) {
			int32_t partition = r->topics[t].partitions[p].partition_index;
			struct offset_delete_response_offset_delete_response_partition *to =
				&c->response.topics[t].partitions[p];

			to->partition_index = partition;
			if (subscribed)
				to->error_code = ERR_GROUP_SUBSCRIBED_TO_TOPIC;
			else
				delete_partition(all, g, s, r->topics[t].name, partition);
		}
	}
}

void group_offset_delete(struct groups *all, struct step *s, struct offset_delete_call *c)
{
	struct group *g = groups_find(all, c->request->group_id);
	enum err error = g ? g->kind->may_delete_offsets(g) : ERR_GROUP_ID_NOT_FOUND;

	if (c->request->group_id.size == 0)
		error = ERR_INVALID_GROUP_ID;
	if (error) {
		group_offset_delete_refuse(c, error);
	} else if (begin_answer(c)) {
		delete_offsets(all, g, s, c);
	} else {
		answer_without_room(s, &c->call);
		return;
	}
	step_answer(s, &c->call);
}

/* --- DeleteGroups ---------------------------------------------------------------------------------------------------- */

/* The last topic with all its partitions; its name is kept until the last of them is gone. */
static void forget_last_topic(struct groups *all, struct group *g, struct step *s, struct offsets *o)
{
	const struct topic_offsets *t = o->topics[o->topic_count - 1];
	struct bytes name = bytes_of(mem_dup(t->topic->name.data, t->topic->name.size), t->topic->name.size);

	for (size_t left = t->count; left > 0; left--)
		offset_forget(all, g, s, name, t->offsets[left - 1].partition);
	mem_free((void *)name.data);
}

static void forget_all_offsets(struct groups *all, struct group *g, struct step *s)
{
	while (g->offsets.count > 0)
		forget_last_topic(all, g, s, &g->offsets);
	list_for_each(&g->pending, node)
	{
		struct pending_offsets *p = container_of(node, struct pending_offsets, in_group);

		while (p->offsets.count > 0)
			forget_last_topic(all, g, s, &p->offsets);
	}
}

void group_delete_refuse(struct delete_group_call *c, enum err why)
{
	struct_init(&delete_groups_response_deletable_group_result_struct, &c->response);
	c->response.group_id = c->group_id;
	c->response.error_code = err_to_kafka(why);
}

void group_delete(struct groups *all, struct step *s, struct delete_group_call *c)
{
	struct group *g = groups_find(all, c->group_id);
	enum err error = g ? g->kind->may_delete(g) : ERR_GROUP_ID_NOT_FOUND;

	if (!error) {
		forget_all_offsets(all, g, s);
		g->kind->put_tombstones(g, s);
		groups_remove(all, g);
	}
	group_delete_refuse(c, error);
	step_answer(s, &c->call);
}
