/* classic_record: GroupMetadata records (type 2), there and back. May call: classic.c, the codec. */
#include "base/alloc.h"
#include "group/classic.h"

/* Version 3: the highest that Kafka 4.4 writes, since version 4 has nothing more to say. */
#define VALUE_VERSION 3
/* What a value takes beside its texts: its fields, and those of each member, with the sizes of texts. */
#define VALUE_FIELDS_BYTES 128
#define MEMBER_FIELDS_BYTES 40

static struct bytes chosen_metadata(const struct classic_group *c, const struct classic_member *m)
{
	struct bytes metadata = classic_metadata(m, c->protocol_name);

	return bytes_is_null(metadata) ? bytes_empty() : metadata;
}

size_t classic_record_bytes(const struct group *g)
{
	const struct classic_group *c = g->classic;
	size_t size = VALUE_FIELDS_BYTES + 2 * g->id.size + c->protocol_type.size + c->protocol_name.size, place = 0;

	size += c->leader ? c->leader->id.size : 0;
	for (const struct classic_member *m; (m = classic_next(c, &place));)
		size += MEMBER_FIELDS_BYTES + m->id.size + m->instance_id.size + m->client_id.size +
			m->client_host.size + chosen_metadata(c, m).size + m->assignment.size;
	return size;
}

static void put(const struct group *g, struct step *s, struct group_metadata_value *v)
{
	struct group_metadata_key key = {.group = g->id};

	step_put(s, &group_metadata_key_type, &key, &group_metadata_value_type, VALUE_VERSION, v);
}

void classic_put_empty(const struct group *g, struct step *s)
{
	struct group_metadata_value v;

	message_init(&group_metadata_value_type, &v);
	v.protocol = v.leader = bytes_null();
	v.current_state_timestamp = g->classic->state_since_ms;
	put(g, s, &v);
}

void classic_put(const struct group *g, struct step *s)
{
	const struct classic_group *c = g->classic;
	struct group_metadata_value_member_metadata *members = mem_zalloc(
		c->members.count * sizeof(*members)); /* of ours, and bounded by the check of the record's size */
	struct group_metadata_value v;
	size_t place = 0, count = 0;

	message_init(&group_metadata_value_type, &v);
	v.protocol_type = bytes_is_null(c->protocol_type) ? bytes_empty() : c->protocol_type;
	v.generation = c->generation;
	v.protocol = c->protocol_name;
	v.leader = c->leader ? c->leader->id : bytes_null();
	v.current_state_timestamp = c->state_since_ms;
	for (const struct classic_member *m; (m = classic_next(c, &place)); count++) {
		struct group_metadata_value_member_metadata *to = &members[count];

		struct_init(&group_metadata_value_member_metadata_struct, to);
		to->member_id = m->id;
		to->group_instance_id = m->instance_id;
		to->client_id = m->client_id.data ? m->client_id : bytes_empty();
		to->client_host = m->client_host.data ? m->client_host : bytes_empty();
		to->rebalance_timeout = m->rebalance_timeout_ms;
		to->session_timeout = m->session_timeout_ms;
		to->subscription = chosen_metadata(c, m);
		to->assignment = m->assignment.data ? m->assignment : bytes_empty();
	}
	v.members = members;
	v.members_count = (int32_t)count;
	put(g, s, &v);
	mem_free(members);
}

/* --- replaying ------------------------------------------------------------------------------------------------------- */

/* A member that this group has already, or whose instance id another has, is no member: no broker wrote that. */
static void replay_member(struct groups *all, struct group *g, const struct group_metadata_value *v,
			  const struct group_metadata_value_member_metadata *from)
{
	struct classic_group *c = g->classic;
	struct classic_protocol protocol = {.name = v->protocol.data ? v->protocol : bytes_empty(),
					    .metadata = from->subscription};
	struct classic_member *m;

	if (classic_find(c, from->member_id) ||
	    (!bytes_is_null(from->group_instance_id) && classic_find_static(c, from->group_instance_id)))
		return;
	m = classic_add(all, g,
			&(struct classic_member_texts){
				.id = from->member_id,
				.instance_id = from->group_instance_id,
				.client_id = from->client_id,
				.client_host = from->client_host,
			},
			v->protocol_type);
	classic_set_protocols(c, m, &protocol, 1);
	classic_set_assignment(m, from->assignment);
	m->session_timeout_ms = from->session_timeout;
	m->rebalance_timeout_ms = from->rebalance_timeout == -1 ? from->session_timeout : from->rebalance_timeout;
}

static void replay_value(struct groups *all, struct group *g, const struct group_metadata_value *v)
{
	struct classic_group *c;
	struct classic_member *leader;

	group_become_classic(all, g, v->current_state_timestamp);
	c = g->classic;
	c->generation = v->generation;
	for (int32_t i = 0; i < v->members_count; i++)
		replay_member(all, g, v, &v->members[i]);
	if (v->protocol_type.size > 0)
		classic_set_text(&c->protocol_type, v->protocol_type);
	if (c->members.count > 0) {
		leader = bytes_is_null(v->leader) ? NULL : classic_find(c, v->leader);
		if (leader)
			c->leader = leader;
		/* A member's protocol has a name, be it the empty one, wherever a group is stable. */
		classic_set_text(&c->protocol_name, v->protocol.data ? v->protocol : bytes_empty());
		c->state = CLASSIC_STABLE;
	} else {
		classic_set_text(&c->protocol_name, v->protocol);
	}
	classic_update_subscribed(c);
}

enum err classic_replay(struct groups *all, const struct group_record *r)
{
	struct group_metadata_key key;
	struct group_metadata_value v;
	enum err error = record_key(r, &group_metadata_key_type, &key);
	struct group *g;

	if (error)
		return error;
	if (r->tombstone) {
		g = groups_find(all, key.group);
		if (g && g->kind->classic)
			groups_forget(all, g, r->from->timestamp_ms);
		return OK;
	}
	error = record_value(r, &group_metadata_value_type, &v);
	if (error)
		return error;
	g = groups_find_or_add(all, key.group, r->from->timestamp_ms);
	replay_value(all, g, &v);
	return OK;
}
