/*
 * consumer_record: what a group of the consumer protocol records, and what its records make of it.
 *
 *      3   group epoch, hash of the topics             7  a member's target
 *      4   only of brokers before Kafka 4.1: removed   8  where a member is: epoch, state, partitions
 *      5   what a member said                          16 the topics of a pattern
 *      6   the target's epoch
 */
#include "group/consumer_record.h"
#include "base/alloc.h"
#include "group/consumer_group.h"

/* As generated; their names are longer than a line has room for. */
#define POSITION_TOPIC struct consumer_group_current_member_assignment_value_topic_partitions
#define TARGET_TOPIC struct consumer_group_target_assignment_member_value_topic_partition
#define CLASSIC_PROTOCOL struct consumer_group_member_metadata_value_classic_protocol
#define CLASSIC_METADATA struct consumer_group_member_metadata_value_classic_member_metadata

/* --- writing ----------------------------------------------------------------------------------------------------------------- */

static struct bytes text_or_empty(struct bytes text)
{
	return bytes_is_null(text) ? bytes_empty() : text;
}

void consumer_put_member(struct step *s, const struct consumer_member *m)
{
	struct consumer_group_member_metadata_key key = {.group_id = m->group->id, .member_id = m->id};
	struct consumer_group_member_metadata_value v;
	CLASSIC_METADATA classic;
	CLASSIC_PROTOCOL *protocols = NULL;

	message_init(&consumer_group_member_metadata_value_type, &v);
	v.instance_id = m->said.instance_id;
	v.rack_id = m->said.rack_id;
	v.client_id = text_or_empty(m->said.client_id);
	v.client_host = text_or_empty(m->said.client_host);
	v.subscribed_topic_names = (struct bytes *)(uintptr_t)m->said.topics;
	v.subscribed_topic_names_count = (int32_t)m->said.topic_count;
	v.subscribed_topic_regex = m->said.pattern;
	v.rebalance_timeout_ms = m->said.rebalance_timeout_ms;
	v.server_assignor = m->said.server_assignor;
	v.classic_member_metadata = NULL;
	if (m->said.classic) {
		const struct classic_part *from = m->said.classic;

		protocols = mem_alloc((from->protocol_count + 1) * sizeof(*protocols));
		for (size_t i = 0; i < from->protocol_count; i++)
			protocols[i] = (CLASSIC_PROTOCOL){.name = from->protocols[i].name,
							  .metadata = from->protocols[i].metadata};
		classic = (CLASSIC_METADATA){.session_timeout_ms = from->session_timeout_ms,
					     .supported_protocols = protocols,
					     .supported_protocols_count = (int32_t)from->protocol_count};
		v.classic_member_metadata = &classic;
	}
	step_put(s, &consumer_group_member_metadata_key_type, &key, &consumer_group_member_metadata_value_type, 0, &v);
	mem_free(protocols);
}

void consumer_put_epoch(struct step *s, const struct group *g)
{
	struct consumer_group_metadata_key key = {.group_id = g->id};
	struct consumer_group_metadata_value v = {.epoch = g->consumer->epoch,
						  .metadata_hash = g->consumer->metadata_hash};

	step_put(s, &consumer_group_metadata_key_type, &key, &consumer_group_metadata_value_type, 0, &v);
}

void consumer_put_assignment_epoch(struct step *s, const struct group *g)
{
	struct consumer_group_target_assignment_metadata_key key = {.group_id = g->id};
	struct consumer_group_target_assignment_metadata_value v = {.assignment_epoch = g->consumer->assignment_epoch,
								    .assignment_timestamp = g->consumer->assignment_ms};

	step_put(s, &consumer_group_target_assignment_metadata_key_type, &key,
		 &consumer_group_target_assignment_metadata_value_type, 0, &v);
}

/* The numbers of a set, and behind them their epochs. */
static int32_t *numbers_of(const struct assigned *a)
{
	int32_t *numbers = mem_alloc((2 * a->count + 1) * sizeof(*numbers));

	for (size_t i = 0; i < a->count; i++) {
		numbers[i] = a->items[i].partition;
		numbers[a->count + i] = a->items[i].epoch;
	}
	return numbers;
}

void consumer_put_target(struct step *s, const struct consumer_member *m)
{
	struct consumer_group_target_assignment_member_key key = {.group_id = m->group->id, .member_id = m->id};
	struct consumer_group_target_assignment_member_value v = {0};
	const struct assigned *a = &m->target;
	TARGET_TOPIC *topics = mem_alloc((assigned_topic_count(a) + 1) * sizeof(*topics));
	int32_t *numbers = numbers_of(a);

	for (size_t i = 0, end; i < a->count; i = end) {
		end = assigned_topic_end(a, i);
		topics[v.topic_partitions_count++] = (TARGET_TOPIC){.topic_id = a->items[i].topic,
								    .partitions = numbers + i,
								    .partitions_count = (int32_t)(end - i)};
	}
	v.topic_partitions = topics;
	step_put(s, &consumer_group_target_assignment_member_key_type, &key,
		 &consumer_group_target_assignment_member_value_type, 0, &v);
	mem_free(topics);
	mem_free(numbers);
}

static POSITION_TOPIC *position_topics(const struct assigned *a, int32_t *numbers, int32_t *ret_count)
{
	POSITION_TOPIC *topics = mem_alloc((assigned_topic_count(a) + 1) * sizeof(*topics));

	*ret_count = 0;
	for (size_t i = 0, end; i < a->count; i = end) {
		end = assigned_topic_end(a, i);
		topics[(*ret_count)++] = (POSITION_TOPIC){.topic_id = a->items[i].topic,
							  .partitions = numbers + i,
							  .partitions_count = (int32_t)(end - i),
							  .assignment_epochs = numbers + a->count + i,
							  .assignment_epochs_count = (int32_t)(end - i)};
	}
	return topics;
}

void consumer_put_position(struct step *s, const struct consumer_member *m)
{
	struct consumer_group_current_member_assignment_key key = {.group_id = m->group->id, .member_id = m->id};
	struct consumer_group_current_member_assignment_value v = {
		.member_epoch = m->epoch, .previous_member_epoch = m->previous_epoch, .state = (int8_t)m->state};
	int32_t *assigned = numbers_of(&m->assigned), *revoking = numbers_of(&m->revoking);

	v.assigned_partitions = position_topics(&m->assigned, assigned, &v.assigned_partitions_count);
	v.partitions_pending_revocation = position_topics(&m->revoking, revoking,
							  &v.partitions_pending_revocation_count);
	step_put(s, &consumer_group_current_member_assignment_key_type, &key,
		 &consumer_group_current_member_assignment_value_type, 0, &v);
	mem_free(v.assigned_partitions);
	mem_free(v.partitions_pending_revocation);
	mem_free(assigned);
	mem_free(revoking);
}

void consumer_put_pattern(struct step *s, const struct group *g, const struct topic_pattern *p)
{
	struct consumer_group_regular_expression_key key = {.group_id = g->id, .regular_expression = p->text};
	struct consumer_group_regular_expression_value v = {.topics = p->topics,
							    .topics_count = (int32_t)p->topic_count,
							    .version = p->version,
							    .timestamp = p->resolved_ms};

	step_put(s, &consumer_group_regular_expression_key_type, &key, &consumer_group_regular_expression_value_type, 0,
		 &v);
}

static void put_position_gone(struct step *s, const struct group *g, struct bytes member_id)
{
	struct consumer_group_current_member_assignment_key key = {.group_id = g->id, .member_id = member_id};

	step_remove(s, &consumer_group_current_member_assignment_key_type, &key);
}

static void put_target_gone(struct step *s, const struct group *g, struct bytes member_id)
{
	struct consumer_group_target_assignment_member_key key = {.group_id = g->id, .member_id = member_id};

	step_remove(s, &consumer_group_target_assignment_member_key_type, &key);
}

static void put_said_gone(struct step *s, const struct group *g, struct bytes member_id)
{
	struct consumer_group_member_metadata_key key = {.group_id = g->id, .member_id = member_id};

	step_remove(s, &consumer_group_member_metadata_key_type, &key);
}

void consumer_put_member_gone(struct step *s, const struct group *g, struct bytes member_id)
{
	put_position_gone(s, g, member_id);
	put_target_gone(s, g, member_id);
	put_said_gone(s, g, member_id);
}

void consumer_put_pattern_gone(struct step *s, const struct group *g, struct bytes text)
{
	struct consumer_group_regular_expression_key key = {.group_id = g->id, .regular_expression = text};

	step_remove(s, &consumer_group_regular_expression_key_type, &key);
}

void consumer_put_old_metadata_gone(struct step *s, const struct group *g)
{
	struct consumer_group_partition_metadata_key key = {.group_id = g->id};

	step_remove(s, &consumer_group_partition_metadata_key_type, &key);
}

void consumer_put_tombstones(const struct group *g, struct step *s)
{
	static void (*const parts[])(struct step *, const struct group *,
				     struct bytes) = {put_position_gone, put_target_gone, put_said_gone};
	struct consumer_group_target_assignment_metadata_key target = {.group_id = g->id};
	struct consumer_group_metadata_key epoch = {.group_id = g->id};
	const struct consumer_group *c = g->consumer;

	/* In the order in which Kafka's own broker wants them when it reads them. */
	for (size_t i = 0; i < 3; i++) {
		size_t place = 0;

		for (const struct consumer_member *m; (m = consumer_group_next(c, &place));)
			parts[i](s, g, m->id);
		if (i == 1)
			step_remove(s, &consumer_group_target_assignment_metadata_key_type, &target);
	}
	for (size_t i = 0; i < c->pattern_count; i++)
		if (c->patterns[i].resolved)
			consumer_put_pattern_gone(s, g, c->patterns[i].text);
	consumer_put_old_metadata_gone(s, g);
	step_remove(s, &consumer_group_metadata_key_type, &epoch);
}

void consumer_put_all(struct step *s, const struct group *g)
{
	const struct consumer_group *c = g->consumer;
	size_t place = 0;

	for (const struct consumer_member *m; (m = consumer_group_next(c, &place));)
		consumer_put_member(s, m);
	consumer_put_epoch(s, g);
	place = 0;
	for (const struct consumer_member *m; (m = consumer_group_next(c, &place));)
		consumer_put_target(s, m);
	consumer_put_assignment_epoch(s, g);
	place = 0;
	for (const struct consumer_member *m; (m = consumer_group_next(c, &place));)
		consumer_put_position(s, m);
}

/* Lengths are varints of at most five bytes. */
size_t member_record_bytes(size_t group_id_size, struct bytes member_id, const struct member_metadata *said)
{
	size_t size = 100 + 2 * (group_id_size + member_id.size) + said->instance_id.size + said->rack_id.size +
		      said->client_id.size + said->client_host.size + said->pattern.size + said->server_assignor.size;

	for (size_t i = 0; i < said->topic_count; i++)
		size += 5 + said->topics[i].size;
	for (size_t i = 0; said->classic && i < said->classic->protocol_count; i++)
		size += 11 + said->classic->protocols[i].name.size + said->classic->protocols[i].metadata.size;
	return size;
}

/* Two numbers a partition; for each topic its id, counts and tags. */
size_t assigned_record_bytes(const struct assigned *a)
{
	return 8 * a->count + 40 * assigned_topic_count(a);
}

/* --- replaying --------------------------------------------------------------------------------------------------------------- */

/*
 * The group, which a value makes: of a classic one that only holds offsets, too. NULL with OK where a tombstone meets no such group; ERR_CORRUPT where
 * members of another protocol are there: no broker writes that.
 */
static enum err group_of(struct groups *all, const struct group_record *r, struct bytes id, struct group **ret_group)
{
	struct group *g = groups_find(all, id);

	*ret_group = NULL;
	if (g && g->kind == &consumer_kind)
		*ret_group = g;
	if (*ret_group || r->tombstone)
		return OK;
	if (g && !g->kind->empty(g))
		return ERR_CORRUPT;
	g = groups_find_or_add(all, id, r->from->timestamp_ms);
	group_become_consumer(all, g);
	*ret_group = g;
	return OK;
}

static enum err replay_epoch(struct groups *all, const struct group_record *r)
{
	struct consumer_group_metadata_key key;
	struct consumer_group_metadata_value v;
	enum err error = record_key(r, &consumer_group_metadata_key_type, &key);
	struct group *g;

	if (!error && !r->tombstone)
		error = record_value(r, &consumer_group_metadata_value_type, &v);
	if (!error)
		error = group_of(all, r, key.group_id, &g);
	if (error || !g)
		return error;
	if (r->tombstone) {
		groups_forget(all, g, r->from->timestamp_ms);
		return OK;
	}
	g->consumer->epoch = v.epoch;
	g->consumer->metadata_hash = v.metadata_hash;
	return OK;
}

static enum err replay_old_metadata(struct groups *all, const struct group_record *r)
{
	struct consumer_group_partition_metadata_key key;
	enum err error = record_key(r, &consumer_group_partition_metadata_key_type, &key);
	struct group *g;

	if (!error)
		error = group_of(all, r, key.group_id, &g);
	if (!error && g)
		g->consumer->old_metadata = !r->tombstone;
	return error;
}

static struct classic_part *classic_of(const CLASSIC_METADATA *from, struct arena *a)
{
	size_t count = (size_t)from->supported_protocols_count;
	struct classic_part *p = arena_alloc(a, sizeof(*p) + count * sizeof(*p->protocols));

	if (!p)
		return NULL;
	p->session_timeout_ms = from->session_timeout_ms;
	p->protocol_count = count;
	for (size_t i = 0; i < count; i++)
		p->protocols[i] = (struct classic_protocol){.name = from->supported_protocols[i].name,
							    .metadata = from->supported_protocols[i].metadata};
	return p;
}

static enum err replay_said(struct groups *all, struct group *g, const struct group_record *r, struct bytes member_id)
{
	struct consumer_group_member_metadata_value v;
	struct member_metadata said;
	struct bytes *topics;
	enum err error = record_value(r, &consumer_group_member_metadata_value_type, &v);

	if (error)
		return error;
	said = (struct member_metadata){
		.instance_id = v.instance_id,
		.rack_id = v.rack_id,
		.client_id = v.client_id,
		.client_host = v.client_host,
		.pattern = v.subscribed_topic_regex,
		.server_assignor = v.server_assignor,
		.rebalance_timeout_ms = v.rebalance_timeout_ms,
	};
	if (v.classic_member_metadata) {
		said.classic = classic_of(v.classic_member_metadata, r->arena);
		if (!said.classic)
			return ERR_CORRUPT;
	}
	topics = names_sorted(v.subscribed_topic_names, (size_t)v.subscribed_topic_names_count, &said.topic_count);
	said.topics = topics;
	consumer_member_say(all, consumer_group_find_or_add(all, g, member_id), &said);
	mem_free(topics);
	return OK;
}

static enum err replay_member(struct groups *all, const struct group_record *r)
{
	struct consumer_group_member_metadata_key key;
	enum err error = record_key(r, &consumer_group_member_metadata_key_type, &key);
	struct consumer_member *m;
	struct group *g;

	if (!error)
		error = group_of(all, r, key.group_id, &g);
	if (error || !g)
		return error;
	if (!r->tombstone)
		return replay_said(all, g, r, key.member_id);
	m = consumer_group_find(g->consumer, key.member_id);
	if (m)
		consumer_group_remove(all, m);
	return OK;
}

static enum err replay_assignment_epoch(struct groups *all, const struct group_record *r)
{
	struct consumer_group_target_assignment_metadata_key key;
	struct consumer_group_target_assignment_metadata_value v = {.assignment_epoch = -1};
	enum err error = record_key(r, &consumer_group_target_assignment_metadata_key_type, &key);
	struct group *g;

	if (!error && !r->tombstone)
		error = record_value(r, &consumer_group_target_assignment_metadata_value_type, &v);
	if (!error)
		error = group_of(all, r, key.group_id, &g);
	if (!error && g)
		consumer_group_set_assignment_epoch(g->consumer, v.assignment_epoch, v.assignment_timestamp);
	return error;
}

static enum err replay_target(struct groups *all, const struct group_record *r)
{
	struct consumer_group_target_assignment_member_key key;
	struct consumer_group_target_assignment_member_value v;
	enum err error = record_key(r, &consumer_group_target_assignment_member_key_type, &key);
	struct assigned target = {0};
	struct consumer_member *m;
	struct group *g;

	if (!error && !r->tombstone)
		error = record_value(r, &consumer_group_target_assignment_member_value_type, &v);
	if (!error)
		error = group_of(all, r, key.group_id, &g);
	if (error || !g)
		return error;
	if (r->tombstone) {
		m = consumer_group_find(g->consumer, key.member_id);
		if (m)
			consumer_member_drop_target(m);
		return OK;
	}
	for (int32_t t = 0; t < v.topic_partitions_count; t++)
		for (int32_t p = 0; p < v.topic_partitions[t].partitions_count; p++)
			assigned_push(&target, v.topic_partitions[t].topic_id, v.topic_partitions[t].partitions[p], 0);
	assigned_sort(&target);
	consumer_member_set_target_take(consumer_group_find_or_add(all, g, key.member_id), &target);
	return OK;
}

/* Where a broker before Kafka 4.3 said no epochs, the member's own is the best guess; one that is away has a negative one. */
static void read_set(const POSITION_TOPIC *topics, int32_t count, int32_t member_epoch, struct assigned *ret_set)
{
	int32_t guess = member_epoch > 0 ? member_epoch : 0;

	for (int32_t t = 0; t < count; t++) {
		bool known = topics[t].assignment_epochs_count == topics[t].partitions_count;

		for (int32_t p = 0; p < topics[t].partitions_count; p++)
			assigned_push(ret_set, topics[t].topic_id, topics[t].partitions[p],
				      known ? topics[t].assignment_epochs[p] : guess);
	}
	assigned_sort(ret_set);
}

static enum member_state state_of(int8_t recorded)
{
	switch (recorded) {
	case MEMBER_STABLE:
	case MEMBER_UNREVOKED_PARTITIONS:
	case MEMBER_UNRELEASED_PARTITIONS:
		return (enum member_state)recorded;
	default:
		return MEMBER_UNKNOWN;
	}
}

static enum err replay_position(struct groups *all, const struct group_record *r)
{
	struct consumer_group_current_member_assignment_key key;
	struct consumer_group_current_member_assignment_value v;
	enum err error = record_key(r, &consumer_group_current_member_assignment_key_type, &key);
	struct member_position to = {.epoch = EPOCH_LEAVE, .previous_epoch = EPOCH_LEAVE};
	struct consumer_member *m;
	struct group *g;

	if (!error && !r->tombstone)
		error = record_value(r, &consumer_group_current_member_assignment_value_type, &v);
	if (!error)
		error = group_of(all, r, key.group_id, &g);
	if (error || !g)
		return error;
	m = consumer_group_find(g->consumer, key.member_id);
	if (r->tombstone && !m)
		return OK;
	if (!r->tombstone) {
		to = (struct member_position){
			.epoch = v.member_epoch, .previous_epoch = v.previous_member_epoch, .state = state_of(v.state)};
		read_set(v.assigned_partitions, v.assigned_partitions_count, v.member_epoch, &to.assigned);
		read_set(v.partitions_pending_revocation, v.partitions_pending_revocation_count, v.member_epoch,
			 &to.revoking);
		m = consumer_group_find_or_add(all, g, key.member_id);
	}
	consumer_member_move_take(all, m, &to);
	return OK;
}

static enum err replay_pattern(struct groups *all, const struct group_record *r)
{
	struct consumer_group_regular_expression_key key;
	struct consumer_group_regular_expression_value v;
	enum err error = record_key(r, &consumer_group_regular_expression_key_type, &key);
	struct bytes *topics;
	struct group *g;
	size_t count;

	if (!error && !r->tombstone)
		error = record_value(r, &consumer_group_regular_expression_value_type, &v);
	if (!error)
		error = group_of(all, r, key.group_id, &g);
	if (error || !g)
		return error;
	if (r->tombstone) {
		consumer_group_unresolve(g->consumer, key.regular_expression);
		return OK;
	}
	topics = names_sorted(v.topics, (size_t)v.topics_count, &count);
	consumer_group_resolve(g->consumer, key.regular_expression, topics, count, v.version, v.timestamp);
	mem_free(topics);
	return OK;
}

enum err consumer_replay(struct groups *all, const struct group_record *r)
{
	switch (r->type) {
	case 3:
		return replay_epoch(all, r);
	case 4:
		return replay_old_metadata(all, r);
	case 5:
		return replay_member(all, r);
	case 6:
		return replay_assignment_epoch(all, r);
	case 7:
		return replay_target(all, r);
	case 8:
		return replay_position(all, r);
	case 16:
		return replay_pattern(all, r);
	default:
		return OK;
	}
}
