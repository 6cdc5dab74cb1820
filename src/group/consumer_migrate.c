/*
 * consumer_migrate: a group from one protocol to the other while its members stay (KIP-848, "Online migration").
 *
 *      classic --the first member of the consumer protocol joins--> consumer
 *      consumer --the last member of the consumer protocol leaves, others of the classic one are there--> classic
 *
 * Nobody loses what it has: the assignment of the one is the target and the position of the other.
 */
#include "base/alloc.h"
#include "base/must.h"
#include "group/consumer_group.h"
#include "group/consumer_protocol.h"
#include "metadata/image.h"

/* What the members of a group said and have, in between: as much as their record, of a megabyte or so, and what the codec needs for it. */
#define BETWEEN_BYTES_MAX ((size_t)64 * 1024 * 1024)

/* --- to the consumer protocol --------------------------------------------------------------------------------------------------------- */

/* A classic member as it will be. Its memory is an arena's, but for `assigned`. */
struct upgraded {
	struct bytes id;
	struct member_metadata said;
	struct assigned assigned;
};

enum err consumer_may_upgrade(const struct groups *all, const struct group *g, const char **ret_why)
{
	const struct consumer_options *o = &all->options->consumer;
	const struct classic_group *c = g->classic;

	if (!o->may_upgrade)
		*ret_why = "online upgrade is disabled";
	else if (bytes_is_null(c->protocol_type) || !bytes_equal_str(c->protocol_type, "consumer"))
		*ret_why = "the group does not use the consumer embedded protocol";
	else if (c->members.count > (size_t)o->group_consumer_max_size)
		*ret_why = "the group size exceeds the consumer group maximum size";
	else
		return OK;
	return ERR_GROUP_ID_NOT_FOUND;
}

static struct classic_part *part_of(const struct classic_member *m, struct arena *a)
{
	struct classic_part *p = arena_alloc(a, sizeof(*p) + m->protocol_count * sizeof(*p->protocols));

	if (!p)
		return NULL;
	p->session_timeout_ms = m->session_timeout_ms;
	p->protocol_count = m->protocol_count;
	for (size_t i = 0; i < m->protocol_count; i++)
		p->protocols[i] = (struct classic_protocol){.name = arena_copy(a, m->protocols[i].name),
							    .metadata = arena_copy(a, m->protocols[i].metadata)};
	return p;
}

static bool has_all(const struct classic_part *p)
{
	for (size_t i = 0; p && i < p->protocol_count; i++)
		if (bytes_is_null(p->protocols[i].name) || bytes_is_null(p->protocols[i].metadata))
			return false;
	return p != NULL;
}

/* Of a member that never synced: nothing. */
static const char *take_assigned(struct upgraded *to, const struct classic_member *m, int32_t generation,
				 const struct image *image, struct arena *a)
{
	struct consumer_protocol_assignment v;

	if (m->assignment.size == 0)
		return NULL;
	if (assignment_read(m->assignment, a, &v) != OK)
		return "the embedded consumer protocol is malformed";
	if (v.user_data.size > 0)
		return "an unsupported custom assignor is in use. Please refer to the documentation or switch to a "
		       "default "
		       "assignor before re-attempting the upgrade";
	for (int32_t t = 0; t < v.assigned_partitions_count; t++) {
		const struct image_topic *topic = image_topic_by_name(image, v.assigned_partitions[t].topic);

		for (int32_t p = 0; topic && p < v.assigned_partitions[t].partitions_count; p++)
			assigned_push(&to->assigned, topic->id, v.assigned_partitions[t].partitions[p], generation);
	}
	assigned_sort(&to->assigned);
	return NULL;
}

static bool take_topics(struct upgraded *to, const struct consumer_protocol_subscription *v, struct arena *a)
{
	struct bytes *sorted = names_sorted(v->topics, (size_t)v->topics_count, &to->said.topic_count);
	struct bytes *topics = arena_alloc_array(a, to->said.topic_count, sizeof(*topics));
	bool all = topics != NULL;

	for (size_t i = 0; all && i < to->said.topic_count; i++) {
		topics[i] = arena_copy(a, sorted[i]);
		all = !bytes_is_null(topics[i]);
	}
	to->said.topics = topics;
	mem_free(sorted);
	return all;
}

/* Before the first generation no protocol is chosen yet; then the one that would be. */
static struct bytes protocol_of(const struct classic_group *c)
{
	return bytes_is_null(c->protocol_name) ? classic_select_protocol(c) : c->protocol_name;
}

static const char *upgrade_one(const struct classic_group *c, const struct classic_member *m, struct bytes protocol,
			       const struct image *image, struct arena *a, struct upgraded *to)
{
	struct consumer_protocol_subscription v;

	if (subscription_read(classic_metadata(m, protocol), a, &v) != OK)
		return "the embedded consumer protocol is malformed";
	to->id = arena_copy(a, m->id);
	to->said = (struct member_metadata){
		.instance_id = arena_copy(a, m->instance_id),
		.rack_id = arena_copy(a, v.rack_id.size ? v.rack_id : bytes_null()),
		.client_id = arena_copy(a, bytes_is_null(m->client_id) ? bytes_empty() : m->client_id),
		.client_host = arena_copy(a, bytes_is_null(m->client_host) ? bytes_empty() : m->client_host),
		.pattern = bytes_empty(),
		.rebalance_timeout_ms = m->rebalance_timeout_ms,
		.classic = part_of(m, a),
	};
	if (!has_all(to->said.classic) || !take_topics(to, &v, a) || bytes_is_null(to->id))
		return "it is too large";
	return take_assigned(to, m, c->generation, image, a);
}

/* Who waits joins again, and then it is a member of this protocol's group. */
static void send_back(struct group *g, struct step *s)
{
	struct classic_group *c = g->classic;
	size_t place = 0;

	for (struct classic_member *m; (m = classic_next(c, &place));) {
		if (m->join)
			join_answer_error(s, m->join, m->id, ERR_REBALANCE_IN_PROGRESS);
		if (m->sync)
			sync_answer(s, m->sync, c, bytes_null(), ERR_REBALANCE_IN_PROGRESS);
		m->join = NULL;
		m->sync = NULL;
	}
	c->awaiting_join = 0;
}

/* A partition that two had, as a broken leader gives it, is the first one's. */
static void keep_unowned(const struct consumer_group *c, struct assigned *a)
{
	size_t kept = 0;

	for (size_t i = 0; i < a->count; i++)
		if (!owners_has(&c->owners, a->items[i].topic, a->items[i].partition))
			a->items[kept++] = a->items[i];
	a->count = kept;
}

static void place_one(struct groups *all, struct group *g, struct step *s, struct upgraded *from)
{
	struct consumer_member *m = consumer_group_find_or_add(all, g, from->id);
	struct member_position at = {.epoch = g->consumer->epoch, .previous_epoch = g->consumer->epoch};
	struct assigned target = {0};

	consumer_member_say(all, m, &from->said);
	keep_unowned(g->consumer, &from->assigned);
	for (size_t i = 0; i < from->assigned.count; i++)
		assigned_push(&target, from->assigned.items[i].topic, from->assigned.items[i].partition, 0);
	assigned_move(&at.assigned, &from->assigned);
	consumer_member_move_take(all, m, &at);
	consumer_member_set_target_take(m, &target);
	consumer_member_heard_of(all, m, s, m->said.classic->session_timeout_ms);
}

static void become(struct groups *all, struct group *g, struct step *s, struct upgraded *members, size_t count)
{
	int32_t generation = g->classic->generation;
	struct consumer_group *c;

	send_back(g, s);
	g->kind->put_tombstones(g, s);
	group_become_consumer(all, g);
	c = g->consumer;
	c->epoch = generation;
	for (size_t i = 0; i < count; i++)
		place_one(all, g, s, &members[i]);
	consumer_group_set_assignment_epoch(c, generation, 0);
	c->metadata_hash = consumer_group_hash(c, s->image);
	consumer_put_all(s, g);
}

enum err consumer_upgrade(struct groups *all, struct group *g, struct step *s, const char **ret_why)
{
	const struct classic_group *c = g->classic;
	struct upgraded *members = mem_zalloc((c->members.count + 1) * sizeof(*members));
	size_t place = 0, count = 0;
	struct bytes protocol = protocol_of(c);
	bool unsettled = c->state != CLASSIC_STABLE;
	struct arena arena;

	arena_init(&arena, BETWEEN_BYTES_MAX);
	*ret_why = NULL;
	for (const struct classic_member *m; !*ret_why && (m = classic_next(c, &place)); count++)
		*ret_why = upgrade_one(c, m, protocol, s->image, &arena, &members[count]);
	if (!*ret_why)
		become(all, g, s, members, count);
	if (!*ret_why)
		g->consumer->unsettled = unsettled;
	for (size_t i = 0; i < count; i++)
		assigned_fini(&members[i].assigned);
	arena_fini(&arena);
	mem_free(members);
	return *ret_why ? ERR_GROUP_ID_NOT_FOUND : OK;
}

/* --- to the classic protocol ------------------------------------------------------------------------------------------------------------ */

struct downgraded {
	struct classic_member_texts texts;
	const struct classic_part *classic;
	struct bytes assignment;
	int32_t rebalance_timeout_ms;
};

static bool is_one_of(const struct consumer_member *m, struct consumer_member *const *members, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (members[i] == m)
			return true;
	return false;
}

/* What a member would take in the record of the classic group, which has all of them; and in between. */
static size_t downgraded_bytes(const struct consumer_member *m, const struct image *image)
{
	size_t size = 200 + member_record_bytes(0, m->id, &m->said);
	struct assigned had = {0};

	consumer_member_had(m, &had);
	size += 4 * had.count;
	for (size_t i = 0; i < had.count; i = assigned_topic_end(&had, i)) {
		const struct image_topic *t = image_topic_by_id(image, had.items[i].topic);

		size += t ? 10 + t->name.size : 0;
	}
	assigned_fini(&had);
	return size;
}

bool consumer_may_downgrade(const struct groups *all, const struct group *g, const struct step *s,
			    struct consumer_member *const *leaving, size_t count)
{
	const struct consumer_group *c = g->consumer;
	size_t stay = c->member_count - count, classic = c->classic_count;
	size_t size = 200 + g->id.size, place = 0;

	for (size_t i = 0; i < count; i++)
		classic -= member_is_classic(leaving[i]);
	if (stay == 0 || classic != stay || !all->options->consumer.may_downgrade ||
	    stay > (size_t)all->options->group_max_size)
		return false;
	for (const struct consumer_member *m; (m = consumer_group_next(c, &place));)
		if (!is_one_of(m, leaving, count))
			size += downgraded_bytes(m, s->image);
	return size <= s->max_record_bytes;
}

static struct classic_part *copy_part(const struct classic_part *from, struct arena *a)
{
	struct classic_part *p = arena_alloc(a, sizeof(*p) + from->protocol_count * sizeof(*p->protocols));

	must(p);
	*p = *from;
	for (size_t i = 0; i < from->protocol_count; i++)
		p->protocols[i] = (struct classic_protocol){.name = arena_copy(a, from->protocols[i].name),
							    .metadata = arena_copy(a, from->protocols[i].metadata)};
	return p;
}

/*
 * Its share, in the version in which it said what it wants. What it has and not what it shall have: where the two differ the group rebalances, and if
 * a member of the consumer protocol comes before that is over, what this one has must not be free.
 */
static void downgrade_one(const struct consumer_member *m, const struct image *image, struct arena *a,
			  struct downgraded *to)
{
	struct assigned had = {0};
	struct buf out;

	buf_init(&out, BETWEEN_BYTES_MAX);
	consumer_member_had(m, &had);
	consumer_assignment_write(&had, image, m->said.classic->protocols[0].metadata, &out);
	assigned_fini(&had);
	*to = (struct downgraded){
		.texts = {.id = arena_copy(a, m->id),
			  .instance_id = arena_copy(a, m->said.instance_id),
			  .client_id = arena_copy(a, m->said.client_id),
			  .client_host = arena_copy(a, m->said.client_host)},
		.classic = copy_part(m->said.classic, a),
		.assignment = arena_copy(a, buf_bytes(&out)),
		.rebalance_timeout_ms = m->said.rebalance_timeout_ms,
	};
	buf_fini(&out);
}

static void join_classic(struct groups *all, struct group *g, struct step *s, const struct downgraded *from)
{
	struct classic_member *m = classic_add(all, g, &from->texts, bytes_str("consumer"));

	classic_set_protocols(g->classic, m, from->classic->protocols, from->classic->protocol_count);
	classic_set_assignment(m, from->assignment);
	m->rebalance_timeout_ms = from->rebalance_timeout_ms;
	m->session_timeout_ms = from->classic->session_timeout_ms;
	classic_heard_of(all, m, s->now_ms);
}

static void become_classic(struct groups *all, struct group *g, struct step *s, const struct downgraded *members,
			   size_t count)
{
	int32_t generation = g->consumer->epoch;
	struct classic_group *c;

	group_become_classic(all, g, s->wall_ms);
	c = g->classic;
	c->generation = generation;
	for (size_t i = 0; i < count; i++)
		join_classic(all, g, s, &members[i]);
	classic_set_text(&c->protocol_type, bytes_str("consumer"));
	classic_set_text(&c->protocol_name, classic_select_protocol(c));
	c->state = CLASSIC_STABLE;
	classic_update_subscribed(c);
	classic_put(g, s);
}

static struct rebalance_reason copy_reason(const struct rebalance_reason *why, struct arena *a)
{
	return (struct rebalance_reason){
		.cause = why->cause,
		.member_id = arena_copy(a, why->member_id),
		.client_id = arena_copy(a, why->client_id),
		.client_host = arena_copy(a, why->client_host),
		.client_reason = arena_copy(a, why->client_reason),
	};
}

void consumer_downgrade(struct groups *all, struct group *g, struct step *s, struct consumer_member *const *leaving,
			size_t count, const struct rebalance_reason *why)
{
	const struct consumer_group *c = g->consumer;
	struct downgraded *members = mem_zalloc((c->members.count + 1) * sizeof(*members));
	struct rebalance_reason reason = {0};
	size_t place = 0, stay = 0;
	struct arena arena;

	arena_init(&arena, BETWEEN_BYTES_MAX);
	if (why)
		reason = copy_reason(why, &arena);
	for (const struct consumer_member *m; (m = consumer_group_next(c, &place));)
		if (!is_one_of(m, leaving, count))
			downgrade_one(m, s->image, &arena, &members[stay++]);
	consumer_put_tombstones(g, s);
	become_classic(all, g, s, members, stay);
	if (why)
		classic_prepare_rebalance(all, g, s, &reason);
	arena_fini(&arena);
	mem_free(members);
}
