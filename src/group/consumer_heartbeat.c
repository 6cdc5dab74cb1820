/*
 * consumer_heartbeat: ConsumerGroupHeartbeat: a member joins (epoch 0), follows, or leaves (-1, -2 for a while). Kafka's checks in Kafka's order; all that
 * can be refused is refused before anything changes.
 */
#include <stdarg.h>
#include <stdio.h>

#include "base/alloc.h"
#include "base/mutant.h"
#include "group/consumer_group.h"
#include "group/request.h"
#include "regex/regex.h"

#define MESSAGE_BYTES_MAX 4096
/* Of a pattern; Kafka has no bound. */
#define PATTERN_BYTES_MAX 8192
/* As generated; their names are longer than a line has room for. */
#define TOPIC_PARTITIONS struct consumer_group_heartbeat_response_topic_partitions
#define ASSIGNMENT struct consumer_group_heartbeat_response_assignment

/* --- answers ------------------------------------------------------------------------------------------------------------------- */

void group_consumer_heartbeat_refuse(struct consumer_heartbeat_call *c, enum err why)
{
	message_init(&consumer_group_heartbeat_response_type, &c->response);
	c->response.error_code = err_to_kafka(why);
}

/* With words; the error is returned. */
__attribute__((format(printf, 3, 4))) static enum err refuse(struct consumer_heartbeat_call *c, enum err why,
							     const char *format, ...)
{
	char text[MESSAGE_BYTES_MAX];
	va_list arguments;
	int size;

	group_consumer_heartbeat_refuse(c, why);
	va_start(arguments, format);
	size = vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	if (size > 0)
		c->response.error_message = arena_copy(
			c->arena, bytes_of(text, (size_t)size < sizeof(text) ? (size_t)size : sizeof(text) - 1));
	return why;
}

static bool answer_assignment(struct consumer_heartbeat_call *c, const struct assigned *a)
{
	ASSIGNMENT *to = arena_new(c->arena, ASSIGNMENT);
	TOPIC_PARTITIONS *topics = arena_alloc_array(c->arena, assigned_topic_count(a), sizeof(*topics));
	int32_t *numbers = arena_alloc_array(c->arena, a->count, sizeof(*numbers));
	int32_t count = 0;

	if (!to || !topics || !numbers)
		return false;
	for (size_t i = 0, end; i < a->count; i = end) {
		end = assigned_topic_end(a, i);
		topics[count++] = (TOPIC_PARTITIONS){.topic_id = a->items[i].topic,
						     .partitions = numbers + i,
						     .partitions_count = (int32_t)(end - i)};
		for (size_t p = i; p < end; p++)
			numbers[p] = a->items[p].partition;
	}
	*to = (ASSIGNMENT){.topic_partitions = topics, .topic_partitions_count = count};
	c->response.assignment = to;
	return true;
}

/* --- what is refused before anybody is asked -------------------------------------------------------------------------------------- */

/* Java's: what is not above a space counts as none. */
static bool is_blank(struct bytes text)
{
	for (size_t i = 0; i < text.size; i++)
		if (text.data[i] > ' ')
			return false;
	return !bytes_is_null(text);
}

static enum err check_joining(struct consumer_heartbeat_call *c)
{
	const struct consumer_group_heartbeat_request *r = c->request;

	if (r->rebalance_timeout_ms == -1)
		return refuse(c, ERR_INVALID_REQUEST, "RebalanceTimeoutMs must be provided in first request.");
	if (r->topic_partitions_count != 0)
		return refuse(c, ERR_INVALID_REQUEST, "TopicPartitions must be empty when (re-)joining.");
	if (r->subscribed_topic_names_count < 0 && bytes_is_null(r->subscribed_topic_regex))
		return refuse(
			c, ERR_INVALID_REQUEST,
			"Either SubscribedTopicNames or SubscribedTopicRegex must be non-null when (re-)joining.");
	return OK;
}

static bool is_served(const struct consumer_options *o, struct bytes assignor)
{
	for (size_t i = 0; i < o->assignor_count; i++)
		if (bytes_equal_str(assignor, server_assignor_name(o->assignors[i])))
			return true;
	return false;
}

static enum err refuse_assignor(const struct consumer_options *o, struct consumer_heartbeat_call *c)
{
	bool two = o->assignor_count == 2;

	return refuse(c, ERR_UNSUPPORTED_ASSIGNOR, "ServerAssignor %.*s is not supported. Supported assignors: %s%s%s.",
		      BYTES_ARG(c->request->server_assignor), server_assignor_name(o->assignors[0]), two ? ", " : "",
		      two ? server_assignor_name(o->assignors[1]) : "");
}

enum err group_consumer_heartbeat_check(const struct group_options *o, struct consumer_heartbeat_call *c)
{
	const struct consumer_group_heartbeat_request *r = c->request;
	enum err error = OK;

	/* From version 1 on members make their ids themselves. */
	if ((c->version >= 1 || r->member_epoch > 0 || r->member_epoch == EPOCH_LEAVE) && is_blank(r->member_id))
		return refuse(c, ERR_INVALID_REQUEST, "MemberId can't be empty.");
	if (is_blank(r->group_id))
		return refuse(c, ERR_INVALID_REQUEST, "GroupId can't be empty.");
	if (is_blank(r->instance_id))
		return refuse(c, ERR_INVALID_REQUEST, "InstanceId can't be empty.");
	if (is_blank(r->rack_id))
		return refuse(c, ERR_INVALID_REQUEST, "RackId can't be empty.");
	if (r->member_epoch == 0)
		error = check_joining(c);
	else if (r->member_epoch == EPOCH_LEAVE_STATIC && bytes_is_null(r->instance_id))
		error = refuse(c, ERR_INVALID_REQUEST, "InstanceId can't be null.");
	else if (r->member_epoch < EPOCH_LEAVE_STATIC)
		error = refuse(c, ERR_INVALID_REQUEST, "MemberEpoch is invalid.");
	if (!error && !bytes_is_null(r->server_assignor) && !is_served(&o->consumer, r->server_assignor))
		error = refuse_assignor(&o->consumer, c);
	return error;
}

/* --- who it is -------------------------------------------------------------------------------------------------------------------- */

/* The request, while it is looked at. */
struct beat {
	struct groups *all;
	struct step *s;
	struct consumer_heartbeat_call *c;
	const struct consumer_group_heartbeat_request *r;
	bool joins;
	struct bytes member_id;
	struct group *g;                /* NULL: not there yet */
	struct consumer_member *member; /* NULL: not there yet */
	bool replaces;                  /* `member` has its instance id, and another member comes in its place */
	struct claimed claimed;
};

static enum err find_group(struct beat *b)
{
	struct bytes id = b->r->group_id;
	const char *why = NULL;
	enum err error;

	b->g = groups_find(b->all, id);
	if (!b->g && !b->joins)
		return refuse(b->c, ERR_GROUP_ID_NOT_FOUND, "Consumer group %.*s not found.", BYTES_ARG(id));
	if (!b->g || b->g->kind == &consumer_kind)
		return OK;
	if (!b->joins || !b->g->kind->classic)
		return refuse(b->c, ERR_GROUP_ID_NOT_FOUND, "Group %.*s is not a consumer group.", BYTES_ARG(id));
	if (b->g->kind->empty(b->g))
		return OK;
	error = consumer_may_upgrade(b->all, b->g, &why);
	if (error)
		return refuse(b->c, error, "Cannot upgrade classic group %.*s to consumer group because %s.",
			      BYTES_ARG(id), why);
	return OK;
}

static size_t member_count(const struct group *g)
{
	if (!g)
		return 0;
	return g->kind == &consumer_kind ? g->consumer->member_count : g->classic->members.count;
}

static bool has_member(const struct group *g, struct bytes id)
{
	if (!g || id.size == 0)
		return false;
	return g->kind == &consumer_kind ? consumer_group_find(g->consumer, id) != NULL
					 : classic_find(g->classic, id) != NULL;
}

static enum err check_size(const struct beat *b)
{
	int32_t max = b->all->options->consumer.group_consumer_max_size;

	if (member_count(b->g) < (size_t)max || has_member(b->g, b->r->member_id))
		return OK;
	return refuse(b->c, ERR_GROUP_MAX_SIZE_REACHED,
		      "The consumer group has reached its maximum capacity of %d members.", max);
}

/* Its answer may have been lost: then it comes with its last epoch, and has no more than it was given. */
static enum err check_epoch(const struct beat *b, const struct consumer_member *m)
{
	int32_t epoch = b->r->member_epoch;

	if (b->joins || epoch == m->epoch || MUTANT(SKIP_MEMBER_EPOCH))
		return OK;
	if (epoch < m->epoch && epoch == m->previous_epoch && claimed_within(&b->claimed, &m->assigned))
		return OK;
	return refuse(b->c, ERR_FENCED_MEMBER_EPOCH,
		      "The consumer group member has a %s member epoch (%d) than the one known by the group "
		      "coordinator (%d). The member must abandon all its partitions and rejoin.",
		      epoch > m->epoch ? "greater" : "smaller", epoch, m->epoch);
}

static enum err refuse_unknown(struct consumer_heartbeat_call *c)
{
	return refuse(c, ERR_UNKNOWN_MEMBER_ID, "Member %.*s is not a member of group %.*s.",
		      BYTES_ARG(c->request->member_id), BYTES_ARG(c->request->group_id));
}

/* The holder of its instance id has to be the one who asks. */
static enum err check_holder(struct consumer_heartbeat_call *c, const struct consumer_member *holder)
{
	const struct consumer_group_heartbeat_request *r = c->request;

	if (!holder)
		return refuse(c, ERR_UNKNOWN_MEMBER_ID, "Instance id %.*s is unknown.", BYTES_ARG(r->instance_id));
	if (!bytes_equal(holder->id, r->member_id))
		return refuse(c, ERR_FENCED_INSTANCE_ID,
			      "Static member %.*s with instance id %.*s was fenced by member %.*s.",
			      BYTES_ARG(r->member_id), BYTES_ARG(r->instance_id), BYTES_ARG(holder->id));
	return OK;
}

static enum err find_member(struct beat *b)
{
	const struct consumer_group *c = b->g && b->g->kind == &consumer_kind ? b->g->consumer : NULL;
	struct consumer_member *holder = c ? consumer_group_find_static(c, b->r->instance_id) : NULL;
	enum err error;

	b->member = c ? consumer_group_find(c, b->member_id) : NULL;
	if (bytes_is_null(b->r->instance_id) || (b->joins && !holder)) {
		if (!b->member)
			return b->joins ? OK : refuse_unknown(b->c);
		return check_epoch(b, b->member);
	}
	if (!b->joins) {
		error = check_holder(b->c, holder);
		b->member = holder;
		return error ? error : check_epoch(b, holder);
	}
	/* One of the classic protocol never says that it leaves for a while. */
	if (!member_is_classic(holder) && holder->epoch != EPOCH_LEAVE_STATIC)
		return refuse(b->c, ERR_UNRELEASED_INSTANCE_ID,
			      "Static member %.*s with instance id %.*s cannot join the group because the instance id "
			      "is owned by %.*s member.",
			      BYTES_ARG(b->member_id), BYTES_ARG(b->r->instance_id), BYTES_ARG(holder->id));
	b->member = holder;
	b->replaces = true;
	return OK;
}

/* Who makes no id himself is given one. */
static bool take_id(struct beat *b)
{
	char text[UUID_TEXT_SIZE];

	b->member_id = b->r->member_id;
	if (b->member_id.size > 0)
		return true;
	uuid_format(uuid_random(b->s->random), text);
	b->member_id = arena_copy(b->c->arena, bytes_str(text));
	return !bytes_is_null(b->member_id);
}

static bool take_claimed(struct beat *b)
{
	const struct consumer_group_heartbeat_request *r = b->r;
	struct assigned_partition *items;
	size_t count = 0;

	if (r->topic_partitions_count < 0)
		return true;
	for (int32_t t = 0; t < r->topic_partitions_count; t++)
		count += (size_t)r->topic_partitions[t].partitions_count;
	items = arena_alloc_array(b->c->arena, count, sizeof(*items));
	if (!items)
		return false;
	b->claimed = (struct claimed){.known = true, .items = items, .count = count};
	for (int32_t t = 0; t < r->topic_partitions_count; t++)
		for (int32_t p = 0; p < r->topic_partitions[t].partitions_count; p++)
			*items++ = (struct assigned_partition){.topic = r->topic_partitions[t].topic_id,
							       .partition = r->topic_partitions[t].partitions[p]};
	return true;
}

/* --- what it says ------------------------------------------------------------------------------------------------------------------- */

static struct bytes text_or(struct bytes said, struct bytes otherwise)
{
	return bytes_is_null(said) ? otherwise : said;
}

/* What it does not say stays as it was. `topics` is to be freed. */
static struct member_metadata said_by(const struct beat *b, struct bytes **ret_topics)
{
	static const struct member_metadata nothing = {.rebalance_timeout_ms = -1};
	const struct member_metadata *before = b->member ? &b->member->said : &nothing;
	const struct consumer_group_heartbeat_request *r = b->r;
	struct member_metadata said = {
		.instance_id = text_or(r->instance_id, before->instance_id),
		.rack_id = text_or(r->rack_id, before->rack_id),
		.client_id = text_or(b->c->client.id, bytes_empty()),
		.client_host = text_or(b->c->client.host, bytes_empty()),
		.pattern = text_or(r->subscribed_topic_regex, text_or(before->pattern, bytes_empty())),
		.server_assignor = text_or(r->server_assignor, before->server_assignor),
		.topics = before->topics,
		.topic_count = before->topic_count,
		.rebalance_timeout_ms = r->rebalance_timeout_ms == -1 ? before->rebalance_timeout_ms
								      : r->rebalance_timeout_ms,
	};

	*ret_topics = NULL;
	if (r->subscribed_topic_names_count >= 0) {
		*ret_topics = names_sorted(r->subscribed_topic_names, (size_t)r->subscribed_topic_names_count,
					   &said.topic_count);
		said.topics = *ret_topics;
	}
	return said;
}

/* A pattern that somebody has already was good then. */
static enum err check_pattern(const struct beat *b, struct bytes pattern)
{
	const struct topic_pattern *known = NULL;
	struct regex *r = NULL;
	struct buf message;
	enum err error = OK;

	if (b->g && b->g->kind == &consumer_kind)
		known = consumer_group_find_pattern(b->g->consumer, pattern);
	if (pattern.size == 0 || (known && known->members))
		return OK;
	/* It is compiled here, while others wait: 30 KB can take a tenth of a second. */
	if (pattern.size > PATTERN_BYTES_MAX)
		return refuse(b->c, ERR_INVALID_REGULAR_EXPRESSION,
			      "SubscribedTopicRegex is not a valid regular expression: it has more than %d bytes.",
			      PATTERN_BYTES_MAX);
	buf_init(&message, 200);
	if (regex_new(pattern, &message, &r))
		error = refuse(b->c, ERR_INVALID_REGULAR_EXPRESSION,
			       "SubscribedTopicRegex `%.*s` is not a valid regular expression: %.*s.",
			       BYTES_ARG(pattern), BYTES_ARG(buf_bytes(&message)));
	regex_free(r);
	buf_fini(&message);
	return error;
}

static enum err check_said(const struct beat *b, const struct member_metadata *said)
{
	struct bytes before = b->member ? b->member->said.pattern : bytes_null();
	size_t id_size = b->r->group_id.size;

	if (!bytes_equal(said->pattern, before)) {
		enum err error = check_pattern(b, said->pattern);

		if (error)
			return error;
	}
	if (member_record_bytes(id_size, b->member_id, said) > b->s->max_record_bytes)
		return refuse(b->c, ERR_UNKNOWN_SERVER_ERROR, "The member's subscription is too large to be recorded.");
	return OK;
}

/* --- a heartbeat ---------------------------------------------------------------------------------------------------------------------- */

/* The group is there, and of this protocol. */
static enum err make_group(struct beat *b)
{
	const char *why = NULL;
	enum err error;

	if (!b->g) {
		b->g = groups_find_or_add(b->all, b->r->group_id, b->s->wall_ms);
		group_become_consumer(b->all, b->g);
		return OK;
	}
	if (b->g->kind == &consumer_kind)
		return OK;
	if (!b->g->kind->empty(b->g)) {
		error = consumer_upgrade(b->all, b->g, b->s, &why);
		if (error)
			return refuse(b->c, error, "Cannot upgrade classic group %.*s to consumer group because %s.",
				      BYTES_ARG(b->r->group_id), why);
		/* The classic members are members of it now. */
		return find_member(b);
	}
	b->g->kind->put_tombstones(b->g, b->s);
	group_become_consumer(b->all, b->g);
	return OK;
}

static enum rebalance_cause cause_of(const struct beat *b)
{
	if (b->replaces)
		return REBALANCE_STATIC_REPLACED;
	return b->member->recorded ? REBALANCE_METADATA_CHANGED : REBALANCE_MEMBER_JOINED;
}

static void make_member(struct beat *b)
{
	if (b->replaces)
		b->member = consumer_member_replace(b->all, b->member, b->member_id, b->s);
	else if (!b->member)
		b->member = consumer_group_find_or_add(b->all, b->g, b->member_id);
}

/* A request with all that it can say wants all that it can be told. */
static bool is_full(const struct consumer_group_heartbeat_request *r)
{
	return r->rebalance_timeout_ms != -1 && r->topic_partitions_count >= 0 &&
	       (r->subscribed_topic_names_count >= 0 || !bytes_is_null(r->subscribed_topic_regex));
}

static void answer(struct beat *b, bool assigned_changed)
{
	struct consumer_heartbeat_call *c = b->c;
	const struct consumer_settings *settings = consumer_group_settings(b->all, b->g, b->s);

	c->response.member_id = b->member_id;
	c->response.member_epoch = b->member->epoch;
	c->response.heartbeat_interval_ms = settings->heartbeat_interval_ms;
	if ((b->joins || assigned_changed || is_full(b->r)) && !answer_assignment(c, &b->member->assigned))
		c->call.error = ERR_UNKNOWN_SERVER_ERROR;
}

static void follow(struct beat *b, const struct member_metadata *said)
{
	struct consumer_cause why;
	bool subscription_changed = false, assigned_changed = false;
	enum err error;

	make_member(b);
	why = (struct consumer_cause){.cause = cause_of(b), .member = b->member};
	consumer_member_update(b->all, b->member, b->s, said, &why, &subscription_changed);
	error = consumer_group_update_target(b->all, b->g, b->s);
	if (error) {
		refuse(b->c, error,
		       "Failed to compute a new target assignment for epoch %d: it is too large to be recorded",
		       b->g->consumer->epoch);
		return;
	}
	error = consumer_member_follow(b->all, b->member, b->s, &b->claimed, subscription_changed, &assigned_changed);
	if (error) {
		refuse(b->c, error,
		       "The consumer group member is in a unknown state. The member must abandon all its partitions "
		       "and rejoin.");
		return;
	}
	consumer_member_heard_of(b->all, b->member, b->s,
				 consumer_group_settings(b->all, b->g, b->s)->session_timeout_ms);
	answer(b, assigned_changed);
}

static void beat(struct beat *b)
{
	struct member_metadata said;
	struct bytes *topics;
	enum err error;

	if (!take_id(b) || !take_claimed(b)) {
		b->c->call.error = ERR_UNKNOWN_SERVER_ERROR;
		return;
	}
	error = find_group(b);
	if (!error)
		error = check_size(b);
	if (!error)
		error = find_member(b);
	if (error)
		return;
	said = said_by(b, &topics);
	error = check_said(b, &said);
	mem_free(topics);
	if (!error)
		error = make_group(b);
	if (error)
		return;
	/* Again, since members of the classic protocol may be there now. */
	said = said_by(b, &topics);
	follow(b, &said);
	mem_free(topics);
}

/* --- leaving -------------------------------------------------------------------------------------------------------------------------- */

/* A static member that will be back within its session: what it has stays its own, as from the beginning. */
static void leave_for_a_while(struct groups *all, struct consumer_member *m, struct step *s)
{
	struct member_position away = {
		.epoch = EPOCH_LEAVE_STATIC, .previous_epoch = m->previous_epoch, .state = m->state};

	assigned_copy(&away.assigned, &m->assigned);
	for (size_t i = 0; i < away.assigned.count; i++)
		away.assigned.items[i].epoch = 0;
	consumer_member_move_take(all, m, &away);
	consumer_put_position(s, m);
}

static void leave(struct groups *all, struct step *s, struct consumer_heartbeat_call *c)
{
	const struct consumer_group_heartbeat_request *r = c->request;
	struct group *g = groups_find(all, r->group_id);
	struct consumer_member *m;
	bool is_static = !bytes_is_null(r->instance_id);

	if (!g || g->kind != &consumer_kind) {
		refuse(c, ERR_GROUP_ID_NOT_FOUND, "Group %.*s %s.", BYTES_ARG(r->group_id),
		       g ? "is not a consumer group" : "not found");
		return;
	}
	m = is_static ? consumer_group_find_static(g->consumer, r->instance_id)
		      : consumer_group_find(g->consumer, r->member_id);
	if (is_static ? check_holder(c, m) != OK : !m && refuse_unknown(c) != OK)
		return;
	c->response.member_id = r->member_id;
	c->response.member_epoch = r->member_epoch;
	if (is_static && r->member_epoch == EPOCH_LEAVE_STATIC)
		leave_for_a_while(all, m, s);
	else
		consumer_group_fence(all, g, s, &m, 1,
				     &(struct consumer_cause){.cause = REBALANCE_MEMBER_LEFT, .member = m});
}

void group_consumer_heartbeat(struct groups *all, struct step *s, struct consumer_heartbeat_call *c)
{
	struct beat b = {.all = all, .s = s, .c = c, .r = c->request, .joins = c->request->member_epoch == 0};

	message_init(&consumer_group_heartbeat_response_type, &c->response);
	if (c->request->member_epoch < 0)
		leave(all, s, c);
	else
		beat(&b);
	step_answer(s, &c->call);
}
