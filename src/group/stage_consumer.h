/*
 * stage_consumer: the consumer protocol in transcripts (stage.h). For tests only.
 *
 *      > A hb topics=t,u              ConsumerGroupHeartbeat. The first, and one with epoch=0, joins: with rebalance= 60000 and no partitions. Else:
 *                                     only id and epoch, and whatever is given: topics= regex= assignor= instance= rack= rebalance= client=
 *                                     has=t:0,1;u:2 (what it has; "-": nothing; "=": all that it was given) epoch= id= v= group=
 *      > A go                         ConsumerGroupHeartbeat that leaves; epoch=-2 for a while, instance=
 *      > A crejoin has=t:0 topics=t   JoinGroup with a consumer's subscription; as join (stage.h), topics= has= rack= user=
 *      > A csync                      SyncGroup whose assignment is a consumer's
 *      > A cfetch t/0                 OffsetFetch as a member; epoch=
 *      > members g                    ConsumerGroupDescribe
 *      > topics t:3 u:1               they are there with so many partitions; those that are there grow
 *      > rack 1                       the broker is in that rack
 *      > cset max=2                   an option: max, refresh, policy (both, upgrade, downgrade, none), assignor (the only one)
 *      > gset g interval=0            what a group sets: interval, session, heartbeat
 *
 * Record printing: said = what a member said, target, at = where a member is ("t:0@5" given at epoch 5), epoch = of the group and of its target,
 * pattern.
 */
#ifndef GROUP_STAGE_CONSUMER_H
#define GROUP_STAGE_CONSUMER_H

#include "group/consumer_group.h"
#include "group/consumer_protocol.h"
#include "group/stage_script.h"

/* --- printing -------------------------------------------------------------------------------------------------------------- */

static inline struct bytes stage_topic_name(struct stage *t, struct uuid id)
{
	const struct image_topic *topic = image_topic_by_id(t->image, id);

	return topic ? topic->name : bytes_str("?");
}

#define STAGE_PRINT_TOPICS(t, first, list, count, member) \
	for (int32_t stage_i = 0; stage_i < (count); stage_i++) { \
		buf_printf(&(t)->out, "%s%.*s:", stage_i ? ";" : first, \
			   BYTES_ARG(stage_topic_name((t), (list)[stage_i].topic_id))); \
		for (int32_t stage_p = 0; stage_p < (list)[stage_i].member##_count; stage_p++) \
			buf_printf(&(t)->out, "%s%d", stage_p ? "," : "", (list)[stage_i].member[stage_p]); \
	}

static inline void stage_print_text(struct stage *t, const char *name, struct bytes text)
{
	if (text.size)
		buf_printf(&t->out, " %s=%.*s", name, BYTES_ARG(text));
}

static inline void stage_print_names(struct stage *t, const char *name, const struct bytes *names, int32_t count)
{
	for (int32_t i = 0; i < count; i++)
		buf_printf(&t->out, "%s%s%.*s", i ? "," : name, i ? "" : "=", BYTES_ARG(names[i]));
}

static inline void stage_print_said(struct stage *t, struct reader *value, struct arena *a)
{
	struct consumer_group_member_metadata_value v;

	must(message_decode(&consumer_group_member_metadata_value_type, 0, value, a, &v) == OK);
	stage_print_names(t, " topics", v.subscribed_topic_names, v.subscribed_topic_names_count);
	stage_print_text(t, "regex", v.subscribed_topic_regex);
	stage_print_text(t, "assignor", v.server_assignor);
	stage_print_text(t, "instance", v.instance_id);
	stage_print_text(t, "rack", v.rack_id);
	if (v.rebalance_timeout_ms != 60000)
		buf_printf(&t->out, " rebalance=%d", v.rebalance_timeout_ms);
	buf_printf(&t->out, " %.*s%.*s", BYTES_ARG(v.client_id), BYTES_ARG(v.client_host));
	if (!v.classic_member_metadata)
		return;
	buf_printf(&t->out, " classic session=%d", v.classic_member_metadata->session_timeout_ms);
	for (int32_t i = 0; i < v.classic_member_metadata->supported_protocols_count; i++)
		stage_print_text(t, "protocol", v.classic_member_metadata->supported_protocols[i].name);
}

static inline void stage_print_set(struct stage *t, const char *first,
				   const struct consumer_group_current_member_assignment_value_topic_partitions *list,
				   int32_t count)
{
	for (int32_t i = 0; i < count; i++) {
		buf_printf(&t->out, "%s%.*s:", i ? ";" : first, BYTES_ARG(stage_topic_name(t, list[i].topic_id)));
		for (int32_t p = 0; p < list[i].partitions_count; p++)
			buf_printf(&t->out, "%s%d@%d", p ? "," : "", list[i].partitions[p],
				   list[i].assignment_epochs[p]);
	}
}

static inline void stage_print_position(struct stage *t, struct reader *value, struct arena *a)
{
	static const char *const states[] = {"STABLE", "UNREVOKED", "UNRELEASED"};
	struct consumer_group_current_member_assignment_value v;

	must(message_decode(&consumer_group_current_member_assignment_value_type, 0, value, a, &v) == OK);
	buf_printf(&t->out, " %d (was %d) %s", v.member_epoch, v.previous_member_epoch, states[v.state]);
	stage_print_set(t, " ", v.assigned_partitions, v.assigned_partitions_count);
	stage_print_set(t, " revoking ", v.partitions_pending_revocation, v.partitions_pending_revocation_count);
}

static inline void stage_print_target(struct stage *t, struct reader *value, struct arena *a)
{
	struct consumer_group_target_assignment_member_value v;

	must(message_decode(&consumer_group_target_assignment_member_value_type, 0, value, a, &v) == OK);
	STAGE_PRINT_TOPICS(t, " ", v.topic_partitions, v.topic_partitions_count, partitions)
}

static inline void stage_print_pattern(struct stage *t, struct reader *value, struct arena *a)
{
	struct consumer_group_regular_expression_value v;

	must(message_decode(&consumer_group_regular_expression_value_type, 0, value, a, &v) == OK);
	stage_print_names(t, "", v.topics, v.topics_count);
}

/* All keys are a group's id, and most a member's or a pattern. */
static inline bool stage_print_consumer(struct stage *t, const struct stage_record *r)
{
	static const char *const names[] = {[3] = "epoch",  [4] = "old metadata", [5] = "said",    [6] = "target epoch",
					    [7] = "target", [8] = "at",           [16] = "pattern"};
	struct reader key = reader_of(bytes_of(r->bytes, r->key_size));
	struct reader value = reader_of(bytes_of(r->bytes + r->key_size, r->value_size));
	int16_t type = reader_i16(&key);
	struct bytes group, second = bytes_null();
	struct arena a;

	if (type < 3 || type >= (int16_t)countof(names) || !names[type])
		return false;
	arena_init(&a, STAGE_MEMORY);
	group = reader_bytes(&key, (size_t)reader_i16(&key));
	if (reader_left(&key))
		second = reader_bytes(&key, (size_t)reader_i16(&key));
	buf_printf(&t->out, "  %s %.*s", names[type], BYTES_ARG(second.data ? stage_name_of(t, second) : group));
	if (!r->tombstone) {
		(void)reader_i16(&value);
		if (type == 3) {
			struct consumer_group_metadata_value v;

			must(message_decode(&consumer_group_metadata_value_type, 0, &value, &a, &v) == OK);
			buf_printf(&t->out, " %d", v.epoch);
		} else if (type == 6) {
			struct consumer_group_target_assignment_metadata_value v;

			must(message_decode(&consumer_group_target_assignment_metadata_value_type, 0, &value, &a, &v) ==
			     OK);
			buf_printf(&t->out, " %d", v.assignment_epoch);
		} else if (type == 5) {
			stage_print_said(t, &value, &a);
		} else if (type == 7) {
			stage_print_target(t, &value, &a);
		} else if (type == 8) {
			stage_print_position(t, &value, &a);
		} else if (type == 16) {
			stage_print_pattern(t, &value, &a);
		}
	}
	buf_printf(&t->out, r->tombstone ? " removed\n" : "\n");
	arena_fini(&a);
	return true;
}

static inline void stage_learn_hb(struct stage *t, struct stage_ask *a)
{
	const struct consumer_group_heartbeat_response *r = &a->consumer.response;
	struct stage_member *m = stage_member(t, a->who);

	if (r->error_code || a->call.error)
		return;
	if (bytes_is_null(m->id))
		m->id = arena_copy(&t->memory, r->member_id);
	m->generation = r->member_epoch;
}

static inline void stage_told_hb(struct stage *t, struct stage_ask *a)
{
	const struct consumer_group_heartbeat_response *r = &a->consumer.response;

	buf_printf(&t->out, "%.*s: hb %s", BYTES_ARG(a->who), stage_error(a, r->error_code));
	if (r->error_message.size)
		buf_printf(&t->out, " \"%.*s\"", BYTES_ARG(r->error_message));
	if (!r->error_code)
		buf_printf(&t->out, " epoch=%d", r->member_epoch);
	if (r->assignment) {
		if (r->assignment->topic_partitions_count == 0)
			buf_printf(&t->out, " nothing");
		STAGE_PRINT_TOPICS(t, " ", r->assignment->topic_partitions, r->assignment->topic_partitions_count,
				   partitions)
	}
	buf_printf(&t->out, "\n");
}

static inline void stage_told_crejoin(struct stage *t, struct stage_ask *a)
{
	const struct join_group_response *r = &a->join.response;

	buf_printf(&t->out, "%.*s: join %s", BYTES_ARG(a->who), stage_error(a, r->error_code));
	if (!r->error_code)
		buf_printf(&t->out, " gen=%d %.*s:%.*s leader=%.*s members=%d", r->generation_id,
			   BYTES_ARG(r->protocol_type), BYTES_ARG(r->protocol_name),
			   BYTES_ARG(stage_name_of(t, r->leader)), r->members_count);
	buf_printf(&t->out, "\n");
}

static inline void stage_told_csync(struct stage *t, struct stage_ask *a)
{
	const struct sync_group_response *r = &a->sync.response;
	struct consumer_protocol_assignment v;

	buf_printf(&t->out, "%.*s: sync %s", BYTES_ARG(a->who), stage_error(a, r->error_code));
	if (!r->error_code && r->assignment.size) {
		must(assignment_read(r->assignment, &a->arena, &v) == OK);
		for (int32_t i = 0; i < v.assigned_partitions_count; i++) {
			buf_printf(&t->out, "%s%.*s:", i ? ";" : " ", BYTES_ARG(v.assigned_partitions[i].topic));
			for (int32_t p = 0; p < v.assigned_partitions[i].partitions_count; p++)
				buf_printf(&t->out, "%s%d", p ? "," : "", v.assigned_partitions[i].partitions[p]);
		}
	}
	buf_printf(&t->out, "\n");
}

static inline void stage_told_members(struct stage *t, struct stage_ask *a)
{
	const struct consumer_group_describe_response_described_group *r = &a->describe_consumer.response;

	buf_printf(&t->out, "members %.*s %s", BYTES_ARG(r->group_id), stage_error(a, r->error_code));
	if (r->error_message.size)
		buf_printf(&t->out, " \"%.*s\"", BYTES_ARG(r->error_message));
	if (!r->error_code)
		buf_printf(&t->out, " %.*s epoch=%d target=%d %.*s", BYTES_ARG(r->group_state), r->group_epoch,
			   r->assignment_epoch, BYTES_ARG(r->assignor_name));
	buf_printf(&t->out, "\n");
	for (int32_t i = 0; i < r->members_count; i++) {
		const struct consumer_group_describe_response_member *m = &r->members[i];

		buf_printf(&t->out, "- %.*s epoch=%d %s", BYTES_ARG(stage_name_of(t, m->member_id)), m->member_epoch,
			   m->member_type == 1 ? "consumer" : "classic");
		stage_print_text(t, "instance", m->instance_id);
		stage_print_text(t, "rack", m->rack_id);
		stage_print_names(t, " topics", m->subscribed_topic_names, m->subscribed_topic_names_count);
		stage_print_text(t, "regex", m->subscribed_topic_regex);
		STAGE_PRINT_TOPICS(t, " has ", m->assignment.topic_partitions, m->assignment.topic_partitions_count,
				   partitions)
		STAGE_PRINT_TOPICS(t, " shall ", m->target_assignment.topic_partitions,
				   m->target_assignment.topic_partitions_count, partitions)
		buf_printf(&t->out, "\n");
	}
}

/* --- what happens ---------------------------------------------------------------------------------------------------------- */

/* "t,u" */
static inline void stage_names(struct stage_line *l, const char *name, struct bytes **ret_names, int32_t *ret_count)
{
	struct bytes given = stage_option(l, name);

	if (bytes_is_null(given))
		return;
	*ret_names = arena_alloc_array(&l->ask->arena, STAGE_WORDS, sizeof(struct bytes));
	*ret_count = 0;
	while (given.size)
		(*ret_names)[(*ret_count)++] = stage_until(&given, ',');
}

static inline struct consumer_member *stage_find_member(struct stage *t, struct bytes group, struct bytes id)
{
	struct group *g = groups_find(t->groups, group);

	return g && g->kind == &consumer_kind ? consumer_group_find(g->consumer, id) : NULL;
}

/* "t:0,1;u:2", "-" nothing, "=" what it was given. */
static inline void stage_has(struct stage_line *l, struct bytes group, struct bytes id, struct bytes given,
			     struct assigned *ret_has)
{
	const struct consumer_member *m = stage_find_member(l->stage, group, id);

	if (bytes_equal_str(given, "=")) {
		if (m)
			assigned_copy(ret_has, &m->assigned);
		return;
	}
	while (given.size && !bytes_equal_str(given, "-")) {
		struct bytes one = stage_until(&given, ';'), name = stage_until(&one, ':');
		const struct image_topic *topic = image_topic_by_name(l->stage->image, name);

		while (one.size)
			assigned_push(ret_has, topic ? topic->id : (struct uuid){.bytes = {0xee}},
				      (int32_t)stage_int(stage_until(&one, ',')), 0);
	}
	assigned_sort(ret_has);
}

static inline void stage_put_has(struct stage_line *l, struct consumer_group_heartbeat_request *r, struct bytes given)
{
	struct assigned has = {0};
	struct consumer_group_heartbeat_request_topic_partitions *to;

	stage_has(l, r->group_id, r->member_id, given, &has);
	r->topic_partitions = to = arena_alloc_array(&l->ask->arena, assigned_topic_count(&has), sizeof(*to));
	r->topic_partitions_count = 0;
	for (size_t i = 0, end; i < has.count; i = end, to++, r->topic_partitions_count++) {
		end = assigned_topic_end(&has, i);
		to->topic_id = has.items[i].topic;
		to->partitions = arena_alloc_array(&l->ask->arena, end - i, sizeof(int32_t));
		for (size_t p = i; p < end; p++)
			to->partitions[to->partitions_count++] = has.items[p].partition;
	}
	assigned_fini(&has);
}

static inline void stage_hb(struct stage *t, struct stage_line *l, struct bytes who, bool leaves)
{
	struct consumer_group_heartbeat_request *r = arena_new(&l->ask->arena, struct consumer_group_heartbeat_request);
	struct stage_member *m = stage_member(t, who);
	struct bytes has, id = stage_option(l, "id");
	bool joins;

	message_init(&consumer_group_heartbeat_request_type, r);
	l->ask->learn = stage_learn_hb;
	l->ask->told = stage_told_hb;
	l->ask->consumer.version = (int16_t)stage_number(l, "v", 1);
	r->group_id = stage_text(l, "group", "g");
	/* From version 1 on clients make their ids themselves: their names. */
	r->member_id = id.data                         ? stage_keep(l, stage_id_of(t, id))
		       : m->id.data                    ? stage_keep(l, m->id)
		       : l->ask->consumer.version >= 1 ? who
						       : bytes_empty();
	r->member_epoch = (int32_t)stage_number(l, "epoch", leaves ? -1 : m->generation > 0 ? m->generation : 0);
	joins = r->member_epoch == 0;
	r->instance_id = stage_option(l, "instance");
	r->rack_id = stage_option(l, "rack");
	r->rebalance_timeout_ms = (int32_t)stage_number(l, "rebalance", joins ? 60000 : -1);
	r->subscribed_topic_regex = stage_option(l, "regex");
	r->server_assignor = stage_option(l, "assignor");
	stage_names(l, "topics", &r->subscribed_topic_names, &r->subscribed_topic_names_count);
	has = stage_option(l, "has");
	if (has.data || joins)
		stage_put_has(l, r, has.data ? has : bytes_str("-"));
	l->ask->consumer.client = (struct group_client){.id = stage_text(l, "client", ""), .host = bytes_str("/h")};
	if (l->ask->consumer.client.id.size == 0)
		l->ask->consumer.client.id = who;
	l->ask->consumer.request = r;
	l->ask->consumer.arena = &l->ask->arena;
	if (group_consumer_heartbeat_check(&t->options, &l->ask->consumer))
		step_answer(&t->step, &l->ask->call);
	else
		group_consumer_heartbeat(t->groups, &t->step, &l->ask->consumer);
}

/* A consumer's subscription, in version 3 of it. */
static inline struct bytes stage_owned_subscription(struct stage_line *l, struct bytes who)
{
	struct consumer_protocol_subscription v;
	struct assigned has = {0};
	struct consumer_protocol_subscription_topic_partition *owned;
	struct bytes given = stage_option(l, "has"), result;
	struct stage_member *m = stage_member(l->stage, who);
	struct buf out;

	message_init(&consumer_protocol_subscription_type, &v);
	stage_names(l, "topics", &v.topics, &v.topics_count);
	v.rack_id = stage_option(l, "rack");
	stage_has(l, bytes_str("g"), m->id, given.data ? given : bytes_str("-"), &has);
	v.owned_partitions = owned = arena_alloc_array(&l->ask->arena, assigned_topic_count(&has), sizeof(*owned));
	for (size_t i = 0, end; i < has.count; i = end, owned++, v.owned_partitions_count++) {
		end = assigned_topic_end(&has, i);
		*owned = (struct consumer_protocol_subscription_topic_partition){
			.topic = stage_topic_name(l->stage, has.items[i].topic),
			.partitions = arena_alloc_array(&l->ask->arena, end - i, sizeof(int32_t))};
		for (size_t p = i; p < end; p++)
			owned->partitions[owned->partitions_count++] = has.items[p].partition;
	}
	buf_init(&out, STAGE_MEMORY);
	buf_put_i16(&out, 3);
	must(message_encode(&consumer_protocol_subscription_type, 3, &v, &out) == OK);
	result = arena_copy(&l->ask->arena, buf_bytes(&out));
	buf_fini(&out);
	assigned_fini(&has);
	return result;
}

static inline void stage_crejoin(struct stage *t, struct stage_line *l, struct bytes who)
{
	struct join_group_request *r = arena_new(&l->ask->arena, struct join_group_request);

	message_init(&join_group_request_type, r);
	l->ask->learn = stage_learn_join;
	l->ask->told = stage_told_crejoin;
	l->ask->join.version = (int16_t)stage_number(l, "v", 9);
	r->group_id = stage_text(l, "group", "g");
	r->member_id = stage_my_id(l, who);
	r->group_instance_id = stage_option(l, "instance");
	r->protocol_type = stage_text(l, "type", "consumer");
	r->session_timeout_ms = (int32_t)stage_number(l, "session", 10000);
	r->rebalance_timeout_ms = (int32_t)stage_number(l, "rebalance", 60000);
	r->protocols = struct_array_new(&join_group_request_join_group_request_protocol_struct, 1, &l->ask->arena);
	r->protocols_count = 1;
	r->protocols[0].name = stage_text(l, "protocol", "range");
	r->protocols[0].metadata = stage_owned_subscription(l, who);
	l->ask->join.request = r;
	l->ask->join.client = (struct group_client){.id = who, .host = bytes_str("/h")};
	l->ask->join.arena = &l->ask->arena;
	group_join(t->groups, &t->step, &l->ask->join);
}

/* "C csync" asks; "C csync D=t:0 E=t:1" assigns, for a leader. */
static inline void stage_csync(struct stage *t, struct stage_line *l, struct bytes who)
{
	struct sync_group_request *r = arena_new(&l->ask->arena, struct sync_group_request);

	message_init(&sync_group_request_type, r);
	l->ask->told = stage_told_csync;
	l->ask->sync.version = (int16_t)stage_number(l, "v", 5);
	r->group_id = stage_text(l, "group", "g");
	r->member_id = stage_my_id(l, who);
	r->generation_id = (int32_t)stage_number(l, "gen", stage_member(t, who)->generation);
	r->group_instance_id = stage_option(l, "instance");
	r->protocol_type = stage_text(l, "type", "consumer");
	r->protocol_name = stage_text(l, "protocol", "range");
	r->assignments = struct_array_new(&sync_group_request_sync_group_request_assignment_struct, STAGE_WORDS,
					  &l->ask->arena);
	for (struct bytes word; (word = stage_word(l)).data;) {
		struct sync_group_request_sync_group_request_assignment *a = &r->assignments[r->assignments_count++];
		struct assigned given = {0};
		struct buf out;

		a->member_id = stage_keep(l, stage_id_of(t, stage_until(&word, '=')));
		stage_has(l, r->group_id, a->member_id, word, &given);
		buf_init(&out, STAGE_MEMORY);
		consumer_assignment_write(&given, t->image, bytes_of("\0\3", 2), &out);
		a->assignment = stage_keep(l, buf_bytes(&out));
		buf_fini(&out);
		assigned_fini(&given);
	}
	l->ask->sync.request = r;
	l->ask->sync.arena = &l->ask->arena;
	group_sync(t->groups, &t->step, &l->ask->sync);
}

static inline void stage_cfetch(struct stage *t, struct stage_line *l, struct bytes who)
{
	struct offset_fetch_request_offset_fetch_request_group *r = arena_new(
		&l->ask->arena, struct offset_fetch_request_offset_fetch_request_group);
	struct offset_fetch_request_offset_fetch_request_topics *topic = struct_array_new(
		&offset_fetch_request_offset_fetch_request_topics_struct, 1, &l->ask->arena);
	struct stage_offset o;

	struct_init(&offset_fetch_request_offset_fetch_request_group_struct, r);
	l->ask->told = stage_told_fetch;
	l->ask->fetch.version = 9;
	r->group_id = stage_text(l, "group", "g");
	r->member_id = stage_my_id(l, who);
	r->member_epoch = (int32_t)stage_number(l, "epoch", stage_member(t, who)->generation);
	o = stage_offset_of(stage_word(l));
	topic->name = o.topic;
	topic->partition_indexes = arena_alloc_array(&l->ask->arena, 1, sizeof(int32_t));
	topic->partition_indexes[topic->partition_indexes_count++] = o.partition;
	r->topics = topic;
	r->topics_count = 1;
	l->ask->fetch.request = r;
	l->ask->fetch.arena = &l->ask->arena;
	group_offset_fetch(t->groups, &t->step, &l->ask->fetch);
}

static inline void stage_members(struct stage *t, struct stage_line *l)
{
	l->ask->told = stage_told_members;
	l->ask->describe_consumer.group_id = stage_word(l);
	l->ask->describe_consumer.arena = &l->ask->arena;
	group_describe_consumer(t->groups, &t->step, &l->ask->describe_consumer);
}

/* --- the cluster ------------------------------------------------------------------------------------------------------------- */

static inline void stage_delta(struct stage *t, const struct delta_record *r)
{
	struct buf b;

	buf_init(&b, 1 << 20);
	delta_begin(&b);
	delta_put(&b, r);
	must(image_apply(t->image, buf_bytes(&b)) == OK);
	buf_fini(&b);
}

static inline void stage_topic_of(struct stage *t, struct bytes name, int32_t count)
{
	static const int32_t replicas[] = {1};
	const struct image_topic *old = image_topic_by_name(t->image, name);
	int32_t first = old ? old->partition_count : 0;
	struct delta_partition *partitions = mem_zalloc((size_t)(count + 1) * sizeof(*partitions));

	for (int32_t p = 0; p < count; p++)
		partitions[p] = (struct delta_partition){
			.replicas = replicas, .replica_count = 1, .isr = replicas, .isr_count = 1};
	if (old)
		stage_delta(t, &(struct delta_record){.kind = DELTA_PARTITIONS,
						      .topic_id = old->id,
						      .first_partition = first,
						      .partitions = partitions,
						      .partition_count = (uint32_t)(count - first)});
	else
		stage_delta(t, &(struct delta_record){.kind = DELTA_TOPIC,
						      .name = name,
						      .topic_id = {.bytes = {++t->next_topic}},
						      .partitions = partitions,
						      .partition_count = (uint32_t)count});
	mem_free(partitions);
}

static inline void stage_topics(struct stage *t, struct stage_line *l)
{
	for (size_t i = 1; i < l->count; i++) {
		struct bytes word = arena_copy(&t->memory, l->words[i]), name = stage_until(&word, ':');

		stage_topic_of(t, name, (int32_t)stage_int(word));
	}
	stage_step(t);
	group_machine.image_changed(t->groups, &t->step);
	stage_settle(t);
}

static inline void stage_group_set(struct stage *t, struct stage_line *l)
{
	static const char *const names[][2] = {{"interval", "consumer.assignment.interval.ms"},
					       {"session", "consumer.session.timeout.ms"},
					       {"heartbeat", "consumer.heartbeat.interval.ms"}};
	struct bytes group = arena_copy(&t->memory, l->words[1]);

	for (size_t i = 0; i < countof(names); i++) {
		struct bytes value = stage_option(l, names[i][0]);

		if (value.data)
			stage_delta(t, &(struct delta_record){.kind = DELTA_CONFIG,
							      .resource = CONFIG_OF_GROUP,
							      .resource_name = group,
							      .name = bytes_str(names[i][1]),
							      .value = value});
	}
}

static inline void stage_consumer_set(struct stage *t, struct stage_line *l)
{
	struct consumer_options *o = &t->options.consumer;
	struct bytes policy = stage_option(l, "policy"), first = stage_option(l, "assignor");

	o->group_consumer_max_size = (int32_t)stage_number(l, "max", o->group_consumer_max_size);
	o->group_consumer_regex_refresh_interval_ms = stage_number(l, "refresh",
								   o->group_consumer_regex_refresh_interval_ms);
	if (policy.data) {
		bool both = bytes_equal_str(policy, "both");

		o->may_upgrade = both || bytes_equal_str(policy, "upgrade");
		o->may_downgrade = both || bytes_equal_str(policy, "downgrade");
	}
	if (first.data) {
		must(server_assignor_find(first, &o->assignors[0]));
		o->assignor_count = 1;
	}
}

static inline bool stage_consumer_line(struct stage *t, struct stage_line *l)
{
	static const struct {
		const char *verb;
		void (*run)(struct stage *t, struct stage_line *l, struct bytes who);
	} verbs[] = {{"crejoin", stage_crejoin}, {"csync", stage_csync}, {"cfetch", stage_cfetch}};
	struct bytes first = l->words[0], verb = l->count > 1 ? l->words[1] : bytes_empty();

	if (bytes_equal_str(first, "topics"))
		stage_topics(t, l);
	else if (bytes_equal_str(first, "gset"))
		stage_group_set(t, l);
	else if (bytes_equal_str(first, "cset"))
		stage_consumer_set(t, l);
	else if (bytes_equal_str(first, "rack"))
		stage_delta(t, &(struct delta_record){.kind = DELTA_BROKER, .broker = 1, .value = verb});
	if (bytes_equal_str(first, "topics") || bytes_equal_str(first, "gset") || bytes_equal_str(first, "cset") ||
	    bytes_equal_str(first, "rack"))
		return true;
	for (size_t i = 0; i < countof(verbs); i++) {
		if (!bytes_equal_str(verb, verbs[i].verb))
			continue;
		l->ask = stage_ask_new(t);
		l->ask->who = stage_word(l);
		(void)stage_word(l);
		verbs[i].run(t, l, l->ask->who);
		stage_settle(t);
		return true;
	}
	if (!bytes_equal_str(verb, "hb") && !bytes_equal_str(verb, "go") && !bytes_equal_str(first, "members"))
		return false;
	l->ask = stage_ask_new(t);
	l->ask->who = stage_word(l);
	if (bytes_equal_str(first, "members")) {
		stage_members(t, l);
	} else {
		(void)stage_word(l);
		stage_hb(t, l, l->ask->who, bytes_equal_str(verb, "go"));
	}
	stage_settle(t);
	return true;
}

/* Default settings, but that a target is computed at once. */
static inline void stage_consumer_init(struct stage *t)
{
	stage_init(t);
	must(config_set(t->config, bytes_str("group.consumer.assignment.interval.ms"), bytes_str("0"), NULL) == OK);
	t->run_more = stage_consumer_line;
	t->print_more = stage_print_consumer;
}

#endif
