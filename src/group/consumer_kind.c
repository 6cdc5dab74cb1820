/* consumer_kind: the consumer protocol as a kind of group (group_kind): what is asked of any group; ConsumerGroupDescribe and explain. */
#include <stdio.h>

#include "group/consumer_group.h"
#include "group/request.h"
#include "metadata/image.h"

/* As generated; their names are longer than a line has room for. */
#define DESCRIBED_MEMBER struct consumer_group_describe_response_member
#define DESCRIBED_TOPIC struct consumer_group_describe_response_topic_partitions

static const char *state_name(const struct group *g)
{
	return consumer_group_state_name(g->consumer);
}

static struct bytes protocol_type(const struct group *g)
{
	(void)g;
	return bytes_str("consumer");
}

static bool is_empty(const struct group *g)
{
	return g->consumer->member_count == 0;
}

/* --- offsets --------------------------------------------------------------------------------------------------------------------- */

/* From who is in no group: an administrator, or a producer that says nothing of its consumer. */
static bool is_nobodys(const struct consumer_group *c, const struct group_identity *who)
{
	if (who->generation < 0 && c->member_count == 0)
		return true;
	return who->transactional && who->generation == -1 && who->member_id.size == 0 &&
	       bytes_is_null(who->instance_id);
}

static enum err wrong_epoch(const struct consumer_member *m)
{
	return member_is_classic(m) ? ERR_ILLEGAL_GENERATION : ERR_STALE_MEMBER_EPOCH;
}

static enum err may_commit(const struct group *g, const struct group_identity *who)
{
	const struct consumer_member *m;

	if (is_nobodys(g->consumer, who))
		return OK;
	m = consumer_group_find(g->consumer, who->member_id);
	if (!m)
		return ERR_UNKNOWN_MEMBER_ID;
	/* Before version 9 nobody says epochs. */
	if (!who->transactional && !member_is_classic(m) && who->version < 9)
		return ERR_UNSUPPORTED_VERSION;
	return who->generation > m->epoch ? wrong_epoch(m) : OK;
}

/* Of an epoch that is over: what it had been given by then, and has since (KIP-1251). */
static enum err may_commit_partition(const struct group *g, const struct group_identity *who, struct uuid topic,
				     int32_t partition)
{
	const struct consumer_member *m = consumer_group_find(g->consumer, who->member_id);
	const struct assigned_partition *has;

	if (is_nobodys(g->consumer, who) || !m || who->generation == m->epoch)
		return OK;
	has = assigned_find(&m->assigned, topic, partition);
	if (!has)
		has = assigned_find(&m->revoking, topic, partition);
	return has && who->generation >= has->epoch ? OK : wrong_epoch(m);
}

static enum err may_fetch(const struct group *g, const struct group_identity *who)
{
	const struct consumer_member *m;

	if (bytes_is_null(who->member_id) && who->generation < 0)
		return OK;
	m = bytes_is_null(who->member_id) ? NULL : consumer_group_find(g->consumer, who->member_id);
	if (!m)
		return ERR_UNKNOWN_MEMBER_ID;
	return who->generation == m->epoch ? OK : wrong_epoch(m);
}

static enum err may_delete_offsets(const struct group *g)
{
	(void)g;
	return OK;
}

static bool is_subscribed(const struct group *g, struct bytes topic)
{
	const struct consumer_group *c = g->consumer;
	size_t low = 0, high = c->topic_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = bytes_compare(c->topics[middle].name, topic);

		if (order == 0)
			return true;
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return false;
}

static enum offset_age offset_age(const struct group *g)
{
	(void)g;
	return OFFSETS_AGE_SINCE_COMMIT;
}

static int64_t empty_since_ms(const struct group *g)
{
	(void)g;
	return -1;
}

/* --- the group itself ------------------------------------------------------------------------------------------------------------- */

static enum err may_delete(const struct group *g)
{
	return is_empty(g) ? OK : ERR_NON_EMPTY_GROUP;
}

/* Of whom only a share was recorded: it is no member. */
static void forget_shares(struct groups *all, struct consumer_group *c)
{
	size_t place = 0;

	for (struct consumer_member *m; (m = consumer_group_next(c, &place));)
		if (!m->counts)
			consumer_group_remove(all, m);
}

static void loaded(struct groups *all, struct group *g, struct step *s)
{
	const struct consumer_settings *settings = consumer_group_settings(all, g, s);
	struct consumer_group *c = g->consumer;
	size_t place = 0;

	forget_shares(all, c);
	/* Nobody knows which came while it was elsewhere. */
	c->topics_changed = true;
	for (struct consumer_member *m; (m = consumer_group_next(c, &place));) {
		consumer_member_heard_of(all, m, s,
					 member_is_classic(m) ? m->said.classic->session_timeout_ms
							      : settings->session_timeout_ms);
		if (m->state != MEMBER_UNREVOKED_PARTITIONS || member_is_classic(m))
			continue;
		m->timed_epoch = m->epoch;
		group_timer_set(all, &m->progress, s->now_ms + m->said.rebalance_timeout_ms);
	}
}

static void image_changed(struct groups *all, struct group *g, struct step *s)
{
	(void)all;
	(void)s;
	g->consumer->topics_changed = true;
}

static bool explain(const struct group *g, const struct step *s, struct explain_group_call *c)
{
	const struct consumer_group *from = g->consumer;
	size_t place = 0;

	c->generation = from->epoch;
	c->members = arena_alloc_array(c->arena, from->members.count, sizeof(*c->members));
	if (!c->members)
		return false;
	for (const struct consumer_member *m; (m = consumer_group_next(from, &place)); c->member_count++) {
		struct explained_member *to = &c->members[c->member_count];

		to->expires_in_ms = m->expires_ms > s->now_ms ? m->expires_ms - s->now_ms : 0;
		if (!copy_text(c->arena, m->id, &to->member_id) ||
		    !copy_text(c->arena, m->said.instance_id, &to->instance_id) ||
		    !copy_text(c->arena, m->said.client_id, &to->client_id) ||
		    !copy_text(c->arena, m->said.client_host, &to->client_host))
			return false;
	}
	return true;
}

/* No call ever waits here. */
static void give_up(struct group *g, enum err why, struct step *s)
{
	(void)g;
	(void)why;
	(void)s;
}

const struct group_kind consumer_kind = {
	.type = "consumer",
	.yields = true,
	.state_name = state_name,
	.protocol_type = protocol_type,
	.empty = is_empty,
	.join = consumer_classic_join,
	.sync = consumer_classic_sync,
	.heartbeat = consumer_classic_heartbeat,
	.leave = consumer_classic_leave,
	.may_commit = may_commit,
	.may_commit_partition = may_commit_partition,
	.may_fetch = may_fetch,
	.may_delete_offsets = may_delete_offsets,
	.subscribed = is_subscribed,
	.offset_age = offset_age,
	.empty_since_ms = empty_since_ms,
	.may_delete = may_delete,
	.put_tombstones = consumer_put_tombstones,
	.loaded = loaded,
	.image_changed = image_changed,
	.explain = explain,
	.give_up = give_up,
	.free = consumer_group_free,
};

/* --- ConsumerGroupDescribe ---------------------------------------------------------------------------------------------------------- */

void group_describe_consumer_refuse(struct describe_consumer_group_call *c, enum err why)
{
	struct_init(&consumer_group_describe_response_described_group_struct, &c->response);
	c->response.group_id = c->group_id;
	c->response.error_code = err_to_kafka(why);
}

/* "Group a not found." */
static bool describe_none(struct describe_consumer_group_call *c, bool is_other)
{
	const char *end = is_other ? " is not a consumer group." : " not found.";
	size_t size = strlen("Group ") + c->group_id.size + strlen(end);
	char *text;

	group_describe_consumer_refuse(c, ERR_GROUP_ID_NOT_FOUND);
	/* A longer one would be no text of the protocol, and none of the request's groups would be answered. */
	if (size > INT16_MAX)
		return true;
	text = arena_alloc(c->arena, size + 1);
	if (!text)
		return false;
	snprintf(text, size + 1, "Group %.*s%s", BYTES_ARG(c->group_id), end);
	c->response.error_message = bytes_of(text, size);
	return true;
}

/* Topics that are gone are left out. */
static bool describe_set(struct describe_consumer_group_call *c, const struct image *image, const struct assigned *a,
			 struct consumer_group_describe_response_assignment *to)
{
	int32_t *numbers = arena_alloc_array(c->arena, a->count, sizeof(*numbers));

	to->topic_partitions = struct_array_new(&consumer_group_describe_response_topic_partitions_struct,
						assigned_topic_count(a), c->arena);
	if (!numbers || !to->topic_partitions)
		return false;
	for (size_t i = 0, end; i < a->count; i = end) {
		const struct image_topic *topic = image_topic_by_id(image, a->items[i].topic);
		DESCRIBED_TOPIC *t = &to->topic_partitions[to->topic_partitions_count];

		end = assigned_topic_end(a, i);
		for (size_t p = i; p < end; p++)
			numbers[p] = a->items[p].partition;
		if (!topic)
			continue;
		t->topic_id = topic->id;
		t->partitions = numbers + i;
		t->partitions_count = (int32_t)(end - i);
		if (!copy_text(c->arena, topic->name, &t->topic_name))
			return false;
		to->topic_partitions_count++;
	}
	return true;
}

static bool describe_had(struct describe_consumer_group_call *c, const struct image *image,
			 const struct consumer_member *m, DESCRIBED_MEMBER *to)
{
	struct assigned had = {0};
	bool all;

	if (m->revoking.count == 0)
		return describe_set(c, image, &m->assigned, &to->assignment);
	consumer_member_had(m, &had);
	all = describe_set(c, image, &had, &to->assignment);
	assigned_fini(&had);
	return all;
}

static bool describe_names(struct describe_consumer_group_call *c, const struct consumer_member *m,
			   DESCRIBED_MEMBER *to)
{
	to->subscribed_topic_names = arena_alloc_array(c->arena, m->said.topic_count, sizeof(struct bytes));
	if (!to->subscribed_topic_names)
		return false;
	for (size_t i = 0; i < m->said.topic_count; i++)
		if (!copy_text(c->arena, m->said.topics[i], &to->subscribed_topic_names[i]))
			return false;
	to->subscribed_topic_names_count = (int32_t)m->said.topic_count;
	return true;
}

static bool describe_member(struct describe_consumer_group_call *c, const struct image *image,
			    const struct consumer_member *m, DESCRIBED_MEMBER *to)
{
	to->member_epoch = m->epoch;
	to->member_type = member_is_classic(m) ? 0 : 1;
	return copy_text(c->arena, m->id, &to->member_id) &&
	       copy_text(c->arena, m->said.instance_id, &to->instance_id) &&
	       copy_text(c->arena, m->said.rack_id, &to->rack_id) &&
	       copy_text(c->arena, m->said.client_id, &to->client_id) &&
	       copy_text(c->arena, m->said.client_host, &to->client_host) &&
	       copy_text(c->arena, m->said.pattern, &to->subscribed_topic_regex) && describe_names(c, m, to) &&
	       describe_had(c, image, m, to) && describe_set(c, image, &m->target, &to->target_assignment);
}

static bool describe(const struct groups *all, const struct group *g, const struct step *s,
		     struct describe_consumer_group_call *c)
{
	struct consumer_group_describe_response_described_group *r = &c->response;
	const struct consumer_group *from = g->consumer;
	size_t place = 0;

	group_describe_consumer_refuse(c, OK);
	r->group_state = bytes_str(consumer_group_state_name(from));
	r->group_epoch = from->epoch;
	r->assignment_epoch = from->assignment_epoch;
	r->assignor_name = bytes_str(server_assignor_name(consumer_group_assignor(all, g)));
	r->members = struct_array_new(&consumer_group_describe_response_member_struct, from->members.count, c->arena);
	if (!r->members)
		return false;
	for (const struct consumer_member *m; (m = consumer_group_next(from, &place));)
		if (!describe_member(c, s->image, m, &r->members[r->members_count++]))
			return false;
	return true;
}

void group_describe_consumer(struct groups *all, struct step *s, struct describe_consumer_group_call *c)
{
	const struct group *g = groups_find(all, c->group_id);
	bool there = g && g->kind == &consumer_kind;

	if (there ? describe(all, g, s, c) : describe_none(c, g != NULL))
		step_answer(s, &c->call);
	else
		answer_without_room(s, &c->call);
}
