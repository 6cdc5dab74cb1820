/*
 * consumer_classic: members of the classic protocol in a group of the consumer protocol, while it migrates (KIP-848, "Online migration"). To them it looks like a
 * classic group that rebalances for each of them alone: a join takes what is free and gives up what is not theirs any more, a sync tells the
 * assignment, a heartbeat says when it is time to join again. Nobody leads, no call waits. Kafka's checks in Kafka's order.
 */
#include "base/alloc.h"
#include "group/consumer_group.h"
#include "group/consumer_protocol.h"
#include "group/request.h"
#include "metadata/image.h"

#define ASSIGNMENT_BYTES_MAX ((size_t)16 * 1024 * 1024)
/* As generated; its name is longer than a line has room for. */
#define ASSIGNED_TOPIC struct consumer_protocol_assignment_topic_partition

/* --- who it is -------------------------------------------------------------------------------------------------------------------- */

static enum err find_classic(const struct consumer_group *c, struct bytes member_id, struct bytes instance_id,
			     struct consumer_member **ret_member)
{
	struct consumer_member *m = bytes_is_null(instance_id) ? consumer_group_find(c, member_id)
							       : consumer_group_find_static(c, instance_id);

	if (!m)
		return ERR_UNKNOWN_MEMBER_ID;
	if (!bytes_equal(m->id, member_id))
		return ERR_FENCED_INSTANCE_ID;
	if (!member_is_classic(m))
		return ERR_UNKNOWN_MEMBER_ID;
	*ret_member = m;
	return OK;
}

/* It has to join again within this time; unless it was told before, then from then on. */
static void await_join(struct groups *all, struct consumer_member *m, const struct step *s)
{
	if (!heap_linked(&m->progress.node))
		group_timer_set(all, &m->progress, s->now_ms + m->said.rebalance_timeout_ms);
}

/* --- JoinGroup -------------------------------------------------------------------------------------------------------------------- */

/* The request, while it is looked at. */
struct joining {
	struct groups *all;
	struct group *g;
	struct step *s;
	struct join_group_call *c;
	const struct join_group_request *r;
	struct bytes member_id;
	struct consumer_member *member; /* NULL: a new one */
	bool replaces;                  /* `member` has its instance id, and this one comes in its place */
	struct consumer_protocol_subscription subscription;
};

static bool take_id(struct joining *j)
{
	char text[UUID_TEXT_SIZE];

	j->member_id = j->r->member_id;
	if (j->member_id.size > 0)
		return true;
	uuid_format(uuid_random(j->s->random), text);
	j->member_id = arena_copy(j->c->arena, bytes_str(text));
	return !bytes_is_null(j->member_id);
}

/* One that all classic members support. */
static bool is_supported(const struct joining *j)
{
	const struct consumer_group *c = j->g->consumer;

	if (!bytes_equal_str(j->r->protocol_type, "consumer"))
		return false;
	for (int32_t i = 0; i < j->r->protocols_count; i++)
		if (consumer_group_supporters(c, j->r->protocols[i].name) == c->classic_count)
			return true;
	return false;
}

/* A static member comes back with no id, under a new one; with an id it has to be the one that is known. */
static enum err find_member(struct joining *j)
{
	const struct consumer_group *c = j->g->consumer;
	struct consumer_member *holder = consumer_group_find_static(c, j->r->group_instance_id);

	j->member = consumer_group_find(c, j->member_id);
	if (bytes_is_null(j->r->group_instance_id))
		return OK;
	if (j->r->member_id.size > 0) {
		if (!holder)
			return ERR_UNKNOWN_MEMBER_ID;
		if (holder != j->member)
			return ERR_FENCED_INSTANCE_ID;
		return OK;
	}
	j->member = holder;
	j->replaces = holder != NULL;
	return OK;
}

static enum err check_join(struct joining *j)
{
	const struct consumer_options *o = &j->all->options->consumer;
	const struct consumer_group *c = j->g->consumer;

	if (!o->may_upgrade && !o->may_downgrade)
		return ERR_INCONSISTENT_GROUP_PROTOCOL;
	if (c->member_count >= (size_t)o->group_consumer_max_size && !consumer_group_find(c, j->r->member_id))
		return ERR_GROUP_MAX_SIZE_REACHED;
	if (!is_supported(j))
		return ERR_INCONSISTENT_GROUP_PROTOCOL;
	if (j->c->version >= 4 && j->r->member_id.size == 0 && bytes_is_null(j->r->group_instance_id))
		return ERR_MEMBER_ID_REQUIRED;
	return find_member(j);
}

static struct classic_part *classic_part_of(const struct join_group_request *r)
{
	struct classic_part *p = mem_alloc(sizeof(*p) + (size_t)r->protocols_count * sizeof(*p->protocols));

	p->session_timeout_ms = r->session_timeout_ms;
	p->protocol_count = (size_t)r->protocols_count;
	for (int32_t i = 0; i < r->protocols_count; i++)
		p->protocols[i] = (struct classic_protocol){.name = r->protocols[i].name,
							    .metadata = r->protocols[i].metadata};
	return p;
}

/* What it has, of topics that exist. */
static bool claimed_of(const struct joining *j, struct claimed *ret_claimed)
{
	const struct consumer_protocol_subscription *v = &j->subscription;
	struct assigned_partition *items;
	size_t count = 0;

	for (int32_t t = 0; t < v->owned_partitions_count; t++)
		count += (size_t)v->owned_partitions[t].partitions_count;
	items = arena_alloc_array(j->c->arena, count, sizeof(*items));
	if (!items)
		return false;
	*ret_claimed = (struct claimed){.known = true, .items = items};
	for (int32_t t = 0; t < v->owned_partitions_count; t++) {
		const struct image_topic *topic = image_topic_by_name(j->s->image, v->owned_partitions[t].topic);

		for (int32_t p = 0; topic && p < v->owned_partitions[t].partitions_count; p++)
			items[ret_claimed->count++] = (struct assigned_partition){
				.topic = topic->id, .partition = v->owned_partitions[t].partitions[p]};
	}
	return true;
}

/* Version 0 knows no rebalance timeout. */
static int32_t rebalance_timeout_of(const struct join_group_call *c)
{
	return c->version == 0 ? c->request->session_timeout_ms : c->request->rebalance_timeout_ms;
}

static void answer_join(struct joining *j)
{
	struct join_group_response *r = &j->c->response;

	message_init(&join_group_response_type, r);
	r->generation_id = j->member->epoch;
	r->protocol_type = bytes_str("consumer");
	r->protocol_name = j->r->protocols[0].name;
	r->leader = bytes_empty();
	r->member_id = j->member_id;
	step_answer(j->s, &j->c->call);
}

static struct member_metadata said_by(const struct joining *j, const struct classic_part *classic,
				      struct bytes **ret_topics)
{
	static const struct member_metadata nothing = {.rebalance_timeout_ms = -1};
	const struct member_metadata *before = j->member ? &j->member->said : &nothing;
	const struct consumer_protocol_subscription *v = &j->subscription;
	int32_t timeout_ms = rebalance_timeout_of(j->c);
	struct member_metadata said = {
		.instance_id = bytes_is_null(j->r->group_instance_id) ? before->instance_id : j->r->group_instance_id,
		.rack_id = v->rack_id.size ? v->rack_id : before->rack_id,
		.client_id = bytes_is_null(j->c->client.id) ? bytes_empty() : j->c->client.id,
		.client_host = j->c->client.host,
		.pattern = bytes_empty(),
		.server_assignor = before->server_assignor,
		.rebalance_timeout_ms = timeout_ms == -1 ? before->rebalance_timeout_ms : timeout_ms,
		.classic = classic,
	};

	*ret_topics = names_sorted(v->topics, (size_t)v->topics_count, &said.topic_count);
	said.topics = *ret_topics;
	return said;
}

/* It has joined: it goes as far as it can, and has to ask for its assignment. */
static enum err follow(struct joining *j, const struct claimed *claimed, bool subscription_changed)
{
	bool assigned_changed;
	enum err error = consumer_group_update_target(j->all, j->g, j->s);

	if (!error)
		error = consumer_member_follow(j->all, j->member, j->s, claimed, subscription_changed,
					       &assigned_changed);
	if (error)
		return error;
	group_timer_cancel(j->all, &j->member->progress);
	consumer_member_heard_of(j->all, j->member, j->s, j->r->session_timeout_ms);
	group_timer_set(j->all, &j->member->sync, j->s->now_ms + j->member->said.rebalance_timeout_ms);
	return OK;
}

/* The last member of the consumer protocol was replaced: the group is classic again. */
static void downgrade(struct joining *j, const struct claimed *claimed, bool subscription_changed)
{
	struct consumer_group *c = j->g->consumer;
	struct rebalance_reason why = {
		.cause = REBALANCE_STATIC_REPLACED,
		.member_id = j->member_id,
		.client_id = j->c->client.id,
		.client_host = j->c->client.host,
		.client_reason = j->r->reason,
	};
	bool rebalances = c->assignment_epoch < c->epoch, assigned_changed;

	if (!rebalances &&
	    consumer_member_follow(j->all, j->member, j->s, claimed, subscription_changed, &assigned_changed) != OK)
		rebalances = true;
	/* Who waits for a partition, or has one to give up, would not be told so in the classic group's generation. */
	rebalances |= c->reconciled < c->member_count;
	answer_join(j);
	consumer_downgrade(j->all, j->g, j->s, NULL, 0, rebalances ? &why : NULL);
}

static void join_checked(struct joining *j, const struct claimed *claimed)
{
	struct classic_part *classic = classic_part_of(j->r);
	struct bytes *topics;
	struct member_metadata said = said_by(j, classic, &topics);
	struct consumer_cause why = {.cause = REBALANCE_MEMBER_JOINED, .reason = j->r->reason};
	bool subscription_changed = false;
	enum err error;

	if (j->replaces)
		j->member = consumer_member_replace(j->all, j->member, j->member_id, j->s);
	else if (!j->member)
		j->member = consumer_group_find_or_add(j->all, j->g, j->member_id);
	why.member = j->member;
	if (j->member->recorded)
		why.cause = j->replaces ? REBALANCE_STATIC_REPLACED : REBALANCE_METADATA_CHANGED;
	consumer_member_update(j->all, j->member, j->s, &said, &why, &subscription_changed);
	mem_free(topics);
	mem_free(classic);
	if (j->replaces && consumer_may_downgrade(j->all, j->g, j->s, NULL, 0)) {
		downgrade(j, claimed, subscription_changed);
		return;
	}
	error = follow(j, claimed, subscription_changed);
	if (error)
		join_answer_error(j->s, j->c, j->r->member_id, error);
	else
		answer_join(j);
}

static bool fits(const struct joining *j)
{
	size_t size = 1000 + 2 * (j->g->id.size + j->member_id.size) + j->c->client.id.size;

	for (int32_t i = 0; i < j->r->protocols_count; i++)
		size += 100 + j->r->protocols[i].name.size + 2 * j->r->protocols[i].metadata.size;
	return size <= j->s->max_record_bytes;
}

void consumer_classic_join(struct groups *all, struct group *g, struct step *s, struct join_group_call *c)
{
	struct joining j = {.all = all, .g = g, .s = s, .c = c, .r = c->request};
	struct claimed claimed;
	enum err error;

	if (!take_id(&j)) {
		join_answer_error(s, c, c->request->member_id, ERR_UNKNOWN_SERVER_ERROR);
		return;
	}
	error = check_join(&j);
	if (!error && (subscription_read(j.r->protocols[0].metadata, c->arena, &j.subscription) != OK ||
		       !claimed_of(&j, &claimed) || !fits(&j)))
		error = ERR_UNKNOWN_SERVER_ERROR;
	if (error)
		join_answer_error(s, c, error == ERR_MEMBER_ID_REQUIRED ? j.member_id : c->request->member_id, error);
	else
		join_checked(&j, &claimed);
}

/* --- SyncGroup -------------------------------------------------------------------------------------------------------------------- */

static enum err check_sync(struct groups *all, struct group *g, struct step *s, const struct sync_group_request *r,
			   struct consumer_member **ret_member)
{
	struct consumer_group *c = g->consumer;
	enum err error = find_classic(c, r->member_id, r->group_instance_id, ret_member);
	struct consumer_member *m = *ret_member;

	if (error)
		return error;
	if (m->epoch != r->generation_id)
		return ERR_ILLEGAL_GENERATION;
	if (!bytes_is_null(r->protocol_type) && !bytes_equal_str(r->protocol_type, "consumer"))
		return ERR_INCONSISTENT_GROUP_PROTOCOL;
	if (!bytes_is_null(r->protocol_name) && !bytes_equal(r->protocol_name, m->said.classic->protocols[0].name))
		return ERR_INCONSISTENT_GROUP_PROTOCOL;
	/* One that has to give up something has joined already: it does that first. */
	if (c->assignment_epoch > m->epoch && m->state != MEMBER_UNREVOKED_PARTITIONS) {
		await_join(all, m, s);
		return ERR_REBALANCE_IN_PROGRESS;
	}
	return OK;
}

void consumer_assignment_write(const struct assigned *a, const struct image *image, struct bytes metadata,
			       struct buf *out)
{
	struct consumer_protocol_assignment v;
	ASSIGNED_TOPIC *topics = mem_alloc((assigned_topic_count(a) + 1) * sizeof(*topics));
	int32_t *numbers = mem_alloc((a->count + 1) * sizeof(*numbers));

	message_init(&consumer_protocol_assignment_type, &v);
	v.assigned_partitions = topics;
	for (size_t i = 0, end; i < a->count; i = end) {
		const struct image_topic *t = image_topic_by_id(image, a->items[i].topic);

		end = assigned_topic_end(a, i);
		for (size_t p = i; p < end; p++)
			numbers[p] = a->items[p].partition;
		if (t)
			topics[v.assigned_partitions_count++] = (ASSIGNED_TOPIC){
				.topic = t->name, .partitions = numbers + i, .partitions_count = (int32_t)(end - i)};
	}
	assignment_write(metadata, &v, out);
	mem_free(topics);
	mem_free(numbers);
}

static bool answer_sync(struct sync_group_call *c, const struct consumer_member *m, const struct step *s)
{
	struct buf out;

	buf_init(&out, ASSIGNMENT_BYTES_MAX);
	consumer_assignment_write(&m->assigned, s->image, m->said.classic->protocols[0].metadata, &out);
	group_sync_refuse(c, OK);
	c->response.protocol_type = c->request->protocol_type;
	c->response.protocol_name = c->request->protocol_name;
	c->response.assignment = out.error ? bytes_null() : arena_copy(c->arena, buf_bytes(&out));
	buf_fini(&out);
	return !bytes_is_null(c->response.assignment);
}

void consumer_classic_sync(struct groups *all, struct group *g, struct step *s, struct sync_group_call *c)
{
	struct consumer_member *m = NULL;
	enum err error = check_sync(all, g, s, c->request, &m);

	if (!error && !answer_sync(c, m, s))
		error = ERR_UNKNOWN_SERVER_ERROR;
	if (error) {
		group_sync_refuse(c, error);
	} else {
		group_timer_cancel(all, &m->sync);
		consumer_member_heard_of(all, m, s, m->said.classic->session_timeout_ms);
	}
	step_answer(s, &c->call);
}

/* --- Heartbeat -------------------------------------------------------------------------------------------------------------------- */

/* What it waits for is not there yet, all of it. */
static bool waits_for_others(const struct consumer_group *c, const struct consumer_member *m)
{
	for (size_t i = 0; i < m->target.count; i++) {
		const struct assigned_partition *t = &m->target.items[i];

		if (!assigned_find(&m->assigned, t->topic, t->partition) &&
		    owners_has(&c->owners, t->topic, t->partition))
			return true;
	}
	return false;
}

static bool has_to_join(const struct consumer_group *c, const struct consumer_member *m)
{
	return m->epoch < c->assignment_epoch || m->state == MEMBER_UNREVOKED_PARTITIONS ||
	       (m->state == MEMBER_UNRELEASED_PARTITIONS && !waits_for_others(c, m));
}

void consumer_classic_heartbeat(struct groups *all, struct group *g, struct step *s, struct heartbeat_call *c)
{
	struct consumer_member *m = NULL;
	enum err error = find_classic(g->consumer, c->request->member_id, c->request->group_instance_id, &m);

	if (!error && m->epoch != c->request->generation_id)
		error = ERR_ILLEGAL_GENERATION;
	if (!error) {
		consumer_member_heard_of(all, m, s, m->said.classic->session_timeout_ms);
		if (has_to_join(g->consumer, m)) {
			await_join(all, m, s);
			error = ERR_REBALANCE_IN_PROGRESS;
		}
	}
	message_init(&heartbeat_response_type, &c->response);
	c->response.error_code = err_to_kafka(error);
	step_answer(s, &c->call);
}

/* --- LeaveGroup ------------------------------------------------------------------------------------------------------------------- */

/* By its instance id anybody may remove a member, without knowing the member's. */
static enum err find_leaving(const struct consumer_group *c, const struct leave_group_request_member_identity *who,
			     struct consumer_member **ret_member)
{
	struct consumer_member *m = bytes_is_null(who->group_instance_id)
					    ? consumer_group_find(c, who->member_id)
					    : consumer_group_find_static(c, who->group_instance_id);

	if (!m)
		return ERR_UNKNOWN_MEMBER_ID;
	if (!bytes_is_null(who->group_instance_id) && who->member_id.size > 0 && !bytes_equal(m->id, who->member_id))
		return ERR_FENCED_INSTANCE_ID;
	*ret_member = m;
	return OK;
}

static size_t add_once(struct consumer_member **members, size_t count, struct consumer_member *m)
{
	for (size_t i = 0; i < count; i++)
		if (members[i] == m)
			return count;
	members[count] = m;
	return count + 1;
}

void consumer_classic_leave(struct groups *all, struct group *g, struct step *s, struct leave_group_call *c)
{
	struct leave_members who = leave_members_of(c->request, c->version);
	struct consumer_member **leaving;
	struct consumer_cause why = {.cause = REBALANCE_MEMBER_LEFT};
	size_t count = 0;

	if (!leave_answer_begin(c)) {
		answer_without_room(s, &c->call);
		return;
	}
	leaving = mem_alloc(((size_t)who.count + 1) * sizeof(struct consumer_member *));
	for (int32_t i = 0; i < who.count; i++) {
		struct consumer_member *m = NULL;
		enum err error = find_leaving(g->consumer, leave_member(&who, i), &m);

		leave_answer_one(c, i, error);
		if (error)
			continue;
		count = add_once(leaving, count, m);
		why.reason = leave_member(&who, i)->reason;
	}
	if (count) {
		why.member = leaving[0];
		consumer_group_fence(all, g, s, leaving, count, &why);
	}
	mem_free(leaving);
	step_answer(s, &c->call);
}
