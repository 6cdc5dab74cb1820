/*
 * offset_commit: OffsetCommit and TxnOffsetCommit: who may is his group's to say (group_kind.may_commit), what is recorded is said here. Calls offsets.h.
 */
#include "base/mutant.h"
#include "base/saturate.h"
#include "group/offset_record.h"
#include "group/request.h"
#include "metadata/image.h"

/* Of text in UTF-8, in Java's units: what Kafka calls the size of metadata in bytes. */
static size_t java_length(struct bytes text)
{
	size_t length = 0;

	for (size_t i = 0; i < text.size; i++)
		length += (text.data[i] & 0xc0) != 0x80 ? 1U + (text.data[i] >= 0xf0) : 0;
	return length;
}

/* OK with the group, which a client without one makes; `missing` when it is not there and he names a generation of it. */
static enum err group_to_commit_in(struct groups *all, const struct step *s, struct bytes id,
				   const struct group_identity *who, enum err missing, struct group **ret_group)
{
	struct group *g = groups_find(all, id);
	enum err error;

	if (!g && who->generation >= 0)
		return missing;
	if (!g)
		g = groups_find_or_add(all, id, s->wall_ms);
	error = g->kind->may_commit(g, who);
	if (!error)
		*ret_group = g;
	return error;
}

/* One partition of a request, whatever its kind. */
struct commit {
	struct bytes topic;
	struct uuid topic_id;
	int32_t partition;
	int64_t offset;
	int32_t leader_epoch;
	struct bytes metadata; /* null: "" */
	int64_t expire_ms;
};

static enum err check_metadata(const struct groups *all, struct bytes metadata)
{
	return java_length(metadata) > (size_t)all->options->offset_metadata_max_bytes ? ERR_OFFSET_METADATA_TOO_LARGE
										       : OK;
}

/* The topic's id, which most clients do not say: so that whoever fetches by id knows whether it was this topic. */
static struct uuid topic_id_of(const struct step *s, struct uuid given, struct bytes name)
{
	const struct image_topic *t = uuid_is_zero(given) && s->image ? image_topic_by_name(s->image, name) : NULL;

	return t ? t->id : given;
}

/* Records it, and has it: in the group, or in what the transaction has of the group. */
static void commit_one(struct groups *all, struct group *g, struct step *s, const struct commit *commit)
{
	struct offset_value v = {
		.offset = MUTANT(COMMIT_ONE_LOW) && commit->offset > 0 ? commit->offset - 1 : commit->offset,
		.leader_epoch = commit->leader_epoch,
		.metadata = commit->metadata.data ? commit->metadata : bytes_empty(),
		.commit_ms = s->wall_ms,
		.expire_ms = commit->expire_ms,
		.topic_id = commit->topic_id,
	};
	struct offsets *o = &g->offsets;

	if (s->producer_id != NO_PRODUCER_ID)
		o = &pending_offsets_of(all, g, s->producer_id)->offsets;
	offset_put_record(s, g->id, commit->topic, commit->partition, &v);
	offsets_put(o, &all->topics, commit->topic, commit->partition, &v, all->next_order++);
	all->figures.commits++;
}

/* --- OffsetCommit ---------------------------------------------------------------------------------------------------- */

/* An answer with a place for every topic and partition that was asked for. */
static bool begin_commit_answer(struct offset_commit_call *c)
{
	const struct offset_commit_request *r = c->request;
	struct offset_commit_response_offset_commit_response_topic *topics;

	message_init(&offset_commit_response_type, &c->response);
	topics = struct_array_new(&offset_commit_response_offset_commit_response_topic_struct, (size_t)r->topics_count,
				  c->arena);
	if (!topics)
		return false;
	for (int32_t t = 0; t < r->topics_count; t++) {
		topics[t].name = r->topics[t].name;
		topics[t].topic_id = r->topics[t].topic_id;
		topics[t].partitions_count = r->topics[t].partitions_count;
		topics[t].partitions = struct_array_new(&offset_commit_response_offset_commit_response_partition_struct,
							(size_t)r->topics[t].partitions_count, c->arena);
		if (!topics[t].partitions)
			return false;
		for (int32_t p = 0; p < r->topics[t].partitions_count; p++)
			topics[t].partitions[p].partition_index = r->topics[t].partitions[p].partition_index;
	}
	c->response.topics = topics;
	c->response.topics_count = r->topics_count;
	return true;
}

static void tell_all_partitions(struct offset_commit_call *c, enum err error)
{
	for (int32_t t = 0; t < c->response.topics_count; t++)
		for (int32_t p = 0; p < c->response.topics[t].partitions_count; p++)
			c->response.topics[t].partitions[p].error_code = err_to_kafka(error);
}

bool group_offset_commit_refuse(struct offset_commit_call *c, enum err why)
{
	if (!begin_commit_answer(c))
		return false;
	tell_all_partitions(c, why);
	return true;
}

/* One that may not be committed is told for all, as in Kafka; those whose metadata is too large are not looked at. */
static enum err check_partitions(const struct groups *all, const struct group *g, const struct step *s,
				 const struct offset_commit_request *r, const struct group_identity *who)
{
	enum err error = OK;

	for (int32_t t = 0; t < r->topics_count && g->kind->may_commit_partition; t++) {
		struct uuid topic = topic_id_of(s, r->topics[t].topic_id, r->topics[t].name);

		for (int32_t p = 0; p < r->topics[t].partitions_count && !error; p++)
			if (check_metadata(all, r->topics[t].partitions[p].committed_metadata) == OK)
				error = g->kind->may_commit_partition(g, who, topic,
								      r->topics[t].partitions[p].partition_index);
	}
	return error;
}

static void commit_partitions(struct groups *all, struct group *g, struct step *s, struct offset_commit_call *c)
{
	const struct offset_commit_request *r = c->request;
	int64_t expire_ms = OFFSET_NEVER_EXPIRES;

	/* Of clients of before Kafka 2.1. */
	if (r->retention_time_ms != -1 && c->version <= 4)
		expire_ms = saturating_add(s->wall_ms, r->retention_time_ms);
	for (int32_t t = 0; t < r->topics_count; t++) {
		struct uuid topic_id = topic_id_of(s, r->topics[t].topic_id, r->topics[t].name);

		for (int32_t p = 0; p < r->topics[t].partitions_count; p++) {
			const struct offset_commit_request_offset_commit_request_partition *from =
				&r->topics[t].partitions[p];
			struct commit commit = {
				.topic = r->topics[t].name,
				.topic_id = topic_id,
				.partition = from->partition_index,
				.offset = from->committed_offset,
				.leader_epoch = from->committed_leader_epoch,
				.metadata = from->committed_metadata,
				.expire_ms = expire_ms,
			};
			enum err error = check_metadata(all, commit.metadata);

			if (!error)
				commit_one(all, g, s, &commit);
			c->response.topics[t].partitions[p].error_code = err_to_kafka(error);
		}
		topic_name_look(&all->topics, r->topics[t].name, s->image);
	}
}

void group_offset_commit(struct groups *all, struct step *s, struct offset_commit_call *c)
{
	struct group_identity who = {
		.member_id = c->request->member_id,
		.instance_id = c->request->group_instance_id,
		.generation = c->request->generation_id_or_member_epoch,
		.version = c->version,
	};
	struct group *g = NULL;
	enum err error;

	if (!begin_commit_answer(c)) {
		answer_without_room(s, &c->call);
		return;
	}
	error = group_to_commit_in(all, s, c->request->group_id, &who,
				   c->version >= 9 ? ERR_GROUP_ID_NOT_FOUND : ERR_ILLEGAL_GENERATION, &g);
	if (!error)
		error = check_partitions(all, g, s, c->request, &who);
	if (error) {
		tell_all_partitions(c, error);
	} else {
		if (g->kind->committed)
			g->kind->committed(all, g, s, &who);
		commit_partitions(all, g, s, c);
	}
	step_answer(s, &c->call);
}

/* --- TxnOffsetCommit ------------------------------------------------------------------------------------------------- */

static bool begin_txn_answer(struct txn_offset_commit_call *c)
{
	const struct txn_offset_commit_request *r = c->request;
	struct txn_offset_commit_response_txn_offset_commit_response_topic *topics;

	message_init(&txn_offset_commit_response_type, &c->response);
	topics = struct_array_new(&txn_offset_commit_response_txn_offset_commit_response_topic_struct,
				  (size_t)r->topics_count, c->arena);
	if (!topics)
		return false;
	for (int32_t t = 0; t < r->topics_count; t++) {
		topics[t].name = r->topics[t].name;
		topics[t].topic_id = r->topics[t].topic_id;
		topics[t].partitions_count = r->topics[t].partitions_count;
		topics[t].partitions = struct_array_new(
			&txn_offset_commit_response_txn_offset_commit_response_partition_struct,
			(size_t)r->topics[t].partitions_count, c->arena);
		if (!topics[t].partitions)
			return false;
		for (int32_t p = 0; p < r->topics[t].partitions_count; p++)
			topics[t].partitions[p].partition_index = r->topics[t].partitions[p].partition_index;
	}
	c->response.topics = topics;
	c->response.topics_count = r->topics_count;
	return true;
}

static void tell_all_txn_partitions(struct txn_offset_commit_call *c, enum err error)
{
	/* Producers of version 0 and 1 do not come back after this one. */
	if (error == ERR_COORDINATOR_LOAD_IN_PROGRESS && c->version < 2)
		error = ERR_COORDINATOR_NOT_AVAILABLE;
	for (int32_t t = 0; t < c->response.topics_count; t++)
		for (int32_t p = 0; p < c->response.topics[t].partitions_count; p++)
			c->response.topics[t].partitions[p].error_code = err_to_kafka(error);
}

bool group_txn_offset_commit_refuse(struct txn_offset_commit_call *c, enum err why)
{
	if (!begin_txn_answer(c))
		return false;
	tell_all_txn_partitions(c, why);
	return true;
}

static enum err check_txn_partitions(const struct groups *all, const struct group *g, const struct step *s,
				     const struct txn_offset_commit_request *r, const struct group_identity *who)
{
	enum err error = OK;

	for (int32_t t = 0; t < r->topics_count && g->kind->may_commit_partition; t++) {
		struct uuid topic = topic_id_of(s, r->topics[t].topic_id, r->topics[t].name);

		for (int32_t p = 0; p < r->topics[t].partitions_count && !error; p++)
			if (check_metadata(all, r->topics[t].partitions[p].committed_metadata) == OK)
				error = g->kind->may_commit_partition(g, who, topic,
								      r->topics[t].partitions[p].partition_index);
	}
	return error;
}

static void commit_txn_partitions(struct groups *all, struct group *g, struct step *s, struct txn_offset_commit_call *c)
{
	const struct txn_offset_commit_request *r = c->request;

	s->producer_id = MUTANT(OFFSETS_OUTSIDE) ? NO_PRODUCER_ID : r->producer_id;
	s->producer_epoch = MUTANT(OFFSETS_OUTSIDE) ? NO_PRODUCER_EPOCH : r->producer_epoch;
	for (int32_t t = 0; t < r->topics_count; t++) {
		struct uuid topic_id = topic_id_of(s, r->topics[t].topic_id, r->topics[t].name);

		for (int32_t p = 0; p < r->topics[t].partitions_count; p++) {
			const struct txn_offset_commit_request_txn_offset_commit_request_partition *from =
				&r->topics[t].partitions[p];
			struct commit commit = {
				.topic = r->topics[t].name,
				.topic_id = topic_id,
				.partition = from->partition_index,
				.offset = from->committed_offset,
				.leader_epoch = from->committed_leader_epoch,
				.metadata = from->committed_metadata,
				.expire_ms = OFFSET_NEVER_EXPIRES,
			};
			enum err error = check_metadata(all, commit.metadata);

			if (!error)
				commit_one(all, g, s, &commit);
			c->response.topics[t].partitions[p].error_code = err_to_kafka(error);
		}
		topic_name_look(&all->topics, r->topics[t].name, s->image);
	}
}

void group_txn_offset_commit(struct groups *all, struct step *s, struct txn_offset_commit_call *c)
{
	struct group_identity who = {
		.member_id = c->request->member_id,
		.instance_id = c->request->group_instance_id,
		.generation = c->request->generation_id_or_member_epoch,
		.version = c->version,
		.transactional = true,
	};
	struct group *g = NULL;
	enum err error = ERR_INVALID_GROUP_ID;

	if (!begin_txn_answer(c)) {
		answer_without_room(s, &c->call);
		return;
	}
	if (c->request->producer_id < 0)
		error = ERR_INVALID_PRODUCER_ID_MAPPING;
	else if (c->request->group_id.size > 0)
		error = group_to_commit_in(all, s, c->request->group_id, &who, ERR_ILLEGAL_GENERATION, &g);
	if (!error)
		error = check_txn_partitions(all, g, s, c->request, &who);
	/* The versions up to 5 do not know it. */
	if (error == ERR_STALE_MEMBER_EPOCH && c->version < 6)
		error = ERR_ILLEGAL_GENERATION;
	if (error)
		tell_all_txn_partitions(c, error);
	else
		commit_txn_partitions(all, g, s, c);
	step_answer(s, &c->call);
}
