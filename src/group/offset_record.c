/* offset_record: see the header. May call: the codec. */
#include "group/offset_record.h"

/* Kafka writes the lowest version that says it all. */
static int16_t version_of(const struct offset_value *v)
{
	if (v->expire_ms != OFFSET_NEVER_EXPIRES)
		return 1;
	return uuid_is_zero(v->topic_id) ? 3 : 4;
}

void offset_put_record(struct step *s, struct bytes group_id, struct bytes topic, int32_t partition,
		       const struct offset_value *value)
{
	struct offset_commit_key key = {.group = group_id, .topic = topic, .partition = partition};
	struct offset_commit_value v;

	message_init(&offset_commit_value_type, &v);
	v.offset = value->offset;
	v.leader_epoch = value->leader_epoch;
	v.metadata = value->metadata;
	v.commit_timestamp = value->commit_ms;
	v.expire_timestamp = value->expire_ms;
	v.topic_id = value->topic_id;
	step_put(s, &offset_commit_key_type, &key, &offset_commit_value_type, version_of(value), &v);
}

static void remove_everywhere(struct groups *all, struct group *g, struct bytes topic, int32_t partition)
{
	offsets_remove(&g->offsets, &all->topics, topic, partition);
	list_for_each(&g->pending, node) offsets_remove(&container_of(node, struct pending_offsets, in_group)->offsets,
							&all->topics, topic, partition);
}

void offset_forget(struct groups *all, struct group *g, struct step *s, struct bytes topic, int32_t partition)
{
	struct offset_commit_key key = {.group = g->id, .topic = topic, .partition = partition};

	step_remove(s, &offset_commit_key_type, &key);
	/* Last: the topic's name may go with it. */
	remove_everywhere(all, g, topic, partition);
}

/* --- replaying ------------------------------------------------------------------------------------------------------- */

static void replay_value(struct groups *all, const struct replayed *r, const struct offset_commit_key *key,
			 const struct offset_value *v)
{
	struct group *g = groups_find_or_add(all, key->group, r->timestamp_ms);
	struct offsets *o = &g->offsets;

	if (r->producer_id >= 0)
		o = &pending_offsets_of(all, g, r->producer_id)->offsets;
	offsets_put(o, &all->topics, key->topic, key->partition, v, r->offset);
}

static void replay_tombstone(struct groups *all, const struct offset_commit_key *key)
{
	struct group *g = groups_find(all, key->group);

	if (g)
		remove_everywhere(all, g, key->topic, key->partition);
}

enum err offset_replay(struct groups *all, const struct group_record *r)
{
	struct offset_commit_key key;
	struct offset_commit_value v;
	enum err error = record_key(r, &offset_commit_key_type, &key);

	if (error)
		return error;
	if (r->tombstone) {
		replay_tombstone(all, &key);
		return OK;
	}
	error = record_value(r, &offset_commit_value_type, &v);
	if (error)
		return error;
	replay_value(all, r->from, &key,
		     &(struct offset_value){
			     .offset = v.offset,
			     .leader_epoch = v.leader_epoch,
			     .metadata = v.metadata,
			     .commit_ms = v.commit_timestamp,
			     .expire_ms = v.expire_timestamp,
			     .topic_id = v.topic_id,
		     });
	return OK;
}

enum err offset_replay_legacy(struct groups *all, const struct group_record *r)
{
	struct legacy_offset_commit_key legacy;
	struct legacy_offset_commit_value v;
	struct offset_commit_key key;
	enum err error = record_key(r, &legacy_offset_commit_key_type, &legacy);

	if (error)
		return error;
	key = (struct offset_commit_key){.group = legacy.group, .topic = legacy.topic, .partition = legacy.partition};
	if (r->tombstone) {
		replay_tombstone(all, &key);
		return OK;
	}
	error = record_value(r, &legacy_offset_commit_value_type, &v);
	if (error)
		return error;
	replay_value(all, r->from, &key,
		     &(struct offset_value){
			     .offset = v.offset,
			     .leader_epoch = -1,
			     .metadata = v.metadata,
			     .commit_ms = v.commit_timestamp,
			     .expire_ms = OFFSET_NEVER_EXPIRES,
		     });
	return OK;
}
