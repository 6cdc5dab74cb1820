/*
 * stage_script: transcripts (stage.h): lines that say what happens, and how answers and records are printed. For tests only.
 */
#ifndef GROUP_STAGE_SCRIPT_H
#define GROUP_STAGE_SCRIPT_H

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "group/stage.h"

/* A line, cut into words; "name=value" words are options. */
struct stage_line {
	struct bytes words[STAGE_WORDS];
	size_t count;
	size_t next; /* of those that are no options */
	struct stage_ask *ask;
	struct stage *stage;
};

/* --- printing -------------------------------------------------------------------------------------------------------- */

/* What a consumer subscribes to is not printed. */
static inline struct bytes stage_metadata(struct bytes metadata)
{
	return metadata.size > 1 && metadata.data[0] == 0 ? bytes_str("topics") : metadata;
}

static inline void stage_print_record(struct stage *t, const struct stage_record *r)
{
	struct reader key = reader_of(bytes_of(r->bytes, r->key_size));
	struct reader value = reader_of(bytes_of(r->bytes + r->key_size, r->value_size));
	int16_t type = reader_i16(&key), version = r->tombstone ? -1 : reader_i16(&value);
	struct offset_commit_key k;
	struct offset_commit_value o;
	struct group_metadata_key g;
	struct group_metadata_value m;
	struct arena a;

	if (t->print_more && t->print_more(t, r))
		return;
	arena_init(&a, STAGE_MEMORY);
	buf_printf(&t->out, "  record");
	if (type == 1) {
		must(message_decode(&offset_commit_key_type, 0, &key, &a, &k) == OK);
		buf_printf(&t->out, " offset %.*s %.*s/%d", BYTES_ARG(k.group), BYTES_ARG(k.topic), k.partition);
		if (!r->tombstone) {
			must(message_decode(&offset_commit_value_type, version, &value, &a, &o) == OK);
			buf_printf(&t->out, "=%" PRId64 " v%d", o.offset, version);
			if (r->producer_id != NO_PRODUCER_ID)
				buf_printf(&t->out, " of producer %" PRId64, r->producer_id);
		}
	} else {
		must(type == 2 && message_decode(&group_metadata_key_type, 0, &key, &a, &g) == OK);
		buf_printf(&t->out, " group %.*s", BYTES_ARG(g.group));
		if (!r->tombstone) {
			must(message_decode(&group_metadata_value_type, version, &value, &a, &m) == OK);
			buf_printf(&t->out, " v%d gen=%d type=%.*s protocol=%.*s leader=%.*s", version, m.generation,
				   BYTES_ARG(m.protocol_type),
				   BYTES_ARG(m.protocol.data ? m.protocol : bytes_str("null")),
				   BYTES_ARG(m.leader.data ? stage_name_of(t, m.leader) : bytes_str("null")));
			for (int32_t i = 0; i < m.members_count; i++)
				buf_printf(&t->out, " %.*s(%.*s,%.*s)",
					   BYTES_ARG(stage_name_of(t, m.members[i].member_id)),
					   BYTES_ARG(stage_metadata(m.members[i].subscription)),
					   BYTES_ARG(m.members[i].assignment));
		}
	}
	buf_printf(&t->out, r->tombstone ? " removed\n" : "\n");
	arena_fini(&a);
}

static inline const char *stage_error(const struct stage_ask *a, int16_t code)
{
	return err_name(a->call.error ? a->call.error : (enum err)code);
}

static inline void stage_learn_join(struct stage *t, struct stage_ask *a)
{
	const struct join_group_response *r = &a->join.response;

	if (a->call.error || (r->error_code && r->error_code != ERR_MEMBER_ID_REQUIRED))
		return;
	stage_learn_id(t, a->who, r->member_id);
	if (!r->error_code)
		stage_member(t, a->who)->generation = r->generation_id;
}

static inline void stage_told_join(struct stage *t, struct stage_ask *a)
{
	const struct join_group_response *r = &a->join.response;

	if (a->call.error) {
		buf_printf(&t->out, "%.*s: join given up %s\n", BYTES_ARG(a->who), err_name(a->call.error));
		return;
	}
	buf_printf(&t->out, "%.*s: join %s id=%.*s", BYTES_ARG(a->who), stage_error(a, r->error_code),
		   BYTES_ARG(stage_name_of(t, r->member_id)));
	if (r->error_code) {
		must(bytes_is_null(r->protocol_name) == (a->join.version >= 7) && r->generation_id == -1);
		buf_printf(&t->out, "\n");
		return;
	}
	buf_printf(&t->out, " gen=%d %.*s:%.*s leader=%.*s%s", r->generation_id, BYTES_ARG(r->protocol_type),
		   BYTES_ARG(r->protocol_name), BYTES_ARG(stage_name_of(t, r->leader)),
		   r->skip_assignment ? " skip" : "");
	for (int32_t i = 0; i < r->members_count; i++)
		buf_printf(&t->out, " %.*s(%.*s)", BYTES_ARG(stage_name_of(t, r->members[i].member_id)),
			   BYTES_ARG(stage_metadata(r->members[i].metadata)));
	buf_printf(&t->out, "\n");
}

static inline void stage_told_sync(struct stage *t, struct stage_ask *a)
{
	const struct sync_group_response *r = &a->sync.response;

	buf_printf(&t->out, "%.*s: sync %s", BYTES_ARG(a->who), stage_error(a, a->call.error ? 0 : r->error_code));
	if (!a->call.error && !r->error_code) {
		if (a->sync.version >= 5)
			buf_printf(&t->out, " %.*s:%.*s", BYTES_ARG(r->protocol_type), BYTES_ARG(r->protocol_name));
		buf_printf(&t->out, " (%.*s)", BYTES_ARG(r->assignment));
	}
	buf_printf(&t->out, "\n");
}

static inline void stage_told_heartbeat(struct stage *t, struct stage_ask *a)
{
	buf_printf(&t->out, "%.*s: beat %s\n", BYTES_ARG(a->who), stage_error(a, a->heartbeat.response.error_code));
}

static inline void stage_told_leave(struct stage *t, struct stage_ask *a)
{
	const struct leave_group_response *r = &a->leave.response;

	buf_printf(&t->out, "%.*s: leave %s", BYTES_ARG(a->who), stage_error(a, r->error_code));
	for (int32_t i = 0; i < r->members_count; i++) {
		struct bytes id = r->members[i].member_id;

		if (id.size == 0)
			id = r->members[i].group_instance_id;
		buf_printf(&t->out, " %.*s=%s", BYTES_ARG(stage_name_of(t, id)),
			   err_name((enum err)r->members[i].error_code));
	}
	buf_printf(&t->out, "\n");
}

static inline void stage_told_commit(struct stage *t, struct stage_ask *a)
{
	const struct offset_commit_response *r = &a->commit.response;

	buf_printf(&t->out, "%.*s: commit", BYTES_ARG(a->who));
	for (int32_t i = 0; i < r->topics_count; i++)
		buf_printf(&t->out, " %.*s/%d %s", BYTES_ARG(r->topics[i].name),
			   r->topics[i].partitions[0].partition_index,
			   err_name((enum err)r->topics[i].partitions[0].error_code));
	buf_printf(&t->out, "\n");
}

static inline void stage_told_txn(struct stage *t, struct stage_ask *a)
{
	const struct txn_offset_commit_response *r = &a->txn.response;

	buf_printf(&t->out, "%.*s: txn", BYTES_ARG(a->who));
	for (int32_t i = 0; i < r->topics_count; i++)
		buf_printf(&t->out, " %.*s/%d %s", BYTES_ARG(r->topics[i].name),
			   r->topics[i].partitions[0].partition_index,
			   err_name((enum err)r->topics[i].partitions[0].error_code));
	buf_printf(&t->out, "\n");
}

static inline void stage_told_fetch(struct stage *t, struct stage_ask *a)
{
	const struct offset_fetch_response_offset_fetch_response_group *r = &a->fetch.response;

	buf_printf(&t->out, "%.*s: fetch %s", BYTES_ARG(a->who), stage_error(a, r->error_code));
	for (int32_t i = 0; i < r->topics_count; i++)
		for (int32_t p = 0; p < r->topics[i].partitions_count; p++) {
			const struct offset_fetch_response_offset_fetch_response_partitions *f =
				&r->topics[i].partitions[p];

			buf_printf(&t->out, " %.*s/%d=%" PRId64, BYTES_ARG(r->topics[i].name), f->partition_index,
				   f->committed_offset);
			if (f->committed_leader_epoch != -1)
				buf_printf(&t->out, "@%d", f->committed_leader_epoch);
			if (f->metadata.size)
				buf_printf(&t->out, "\"%.*s\"", BYTES_ARG(f->metadata));
			if (f->error_code)
				buf_printf(&t->out, "(%s)", err_name((enum err)f->error_code));
		}
	buf_printf(&t->out, "\n");
}

static inline void stage_told_offset_delete(struct stage *t, struct stage_ask *a)
{
	const struct offset_delete_response *r = &a->offset_delete.response;

	buf_printf(&t->out, "%.*s: offsetdelete %s", BYTES_ARG(a->who), stage_error(a, r->error_code));
	for (int32_t i = 0; i < r->topics_count; i++)
		buf_printf(&t->out, " %.*s/%d %s", BYTES_ARG(r->topics[i].name),
			   r->topics[i].partitions[0].partition_index,
			   err_name((enum err)r->topics[i].partitions[0].error_code));
	buf_printf(&t->out, "\n");
}

static inline void stage_told_list(struct stage *t, struct stage_ask *a)
{
	const struct list_groups_response *r = &a->list.response;

	buf_printf(&t->out, "list %s", stage_error(a, r->error_code));
	for (int32_t i = 0; i < r->groups_count; i++)
		buf_printf(&t->out, " %.*s(%.*s,%.*s,%.*s)", BYTES_ARG(r->groups[i].group_id),
			   BYTES_ARG(r->groups[i].group_type), BYTES_ARG(r->groups[i].protocol_type),
			   BYTES_ARG(r->groups[i].group_state));
	buf_printf(&t->out, "\n");
}

static inline void stage_told_describe(struct stage *t, struct stage_ask *a)
{
	const struct describe_groups_response_described_group *r = &a->describe.response;

	buf_printf(&t->out, "describe %.*s %s %.*s %.*s:%.*s", BYTES_ARG(r->group_id), stage_error(a, r->error_code),
		   BYTES_ARG(r->group_state), BYTES_ARG(r->protocol_type), BYTES_ARG(r->protocol_data));
	if (r->error_message.data)
		buf_printf(&t->out, " \"%.*s\"", BYTES_ARG(r->error_message));
	for (int32_t i = 0; i < r->members_count; i++)
		buf_printf(&t->out, " %.*s(%.*s,%.*s,%.*s%.*s)", BYTES_ARG(stage_name_of(t, r->members[i].member_id)),
			   BYTES_ARG(stage_metadata(r->members[i].member_metadata)),
			   BYTES_ARG(r->members[i].member_assignment), BYTES_ARG(r->members[i].client_id),
			   BYTES_ARG(r->members[i].client_host));
	buf_printf(&t->out, "\n");
}

static inline void stage_told_delete(struct stage *t, struct stage_ask *a)
{
	const struct delete_groups_response_deletable_group_result *r = &a->delete_group.response;

	buf_printf(&t->out, "delete %.*s %s\n", BYTES_ARG(r->group_id), stage_error(a, r->error_code));
}

static inline void stage_told_explain(struct stage *t, struct stage_ask *a)
{
	const struct explain_group_call *c = &a->explain;

	if (!c->found) {
		buf_printf(&t->out, "explain: not found\n");
		return;
	}
	buf_printf(&t->out, "explain %s %s gen=%d %.*s:%.*s leader=%.*s pending=%zu offsets=%zu+%zu\n", c->type,
		   c->state, c->generation, BYTES_ARG(c->protocol_type), BYTES_ARG(c->protocol_name),
		   BYTES_ARG(stage_name_of(t, c->leader)), c->pending_member_count, c->offset_count,
		   c->pending_offset_count);
	for (size_t i = 0; i < c->member_count; i++)
		buf_printf(&t->out, "  member %.*s of %.*s%.*s expires in %" PRId64 "%s%s\n",
			   BYTES_ARG(stage_name_of(t, c->members[i].member_id)), BYTES_ARG(c->members[i].client_id),
			   BYTES_ARG(c->members[i].client_host), c->members[i].expires_in_ms,
			   c->members[i].awaits_join ? ", joins" : "", c->members[i].awaits_sync ? ", syncs" : "");
	for (size_t i = 0; i < c->rebalance_count; i++) {
		const struct group_rebalance *r = &c->rebalances[i];

		buf_printf(&t->out, "  rebalance: %s (%.*s) \"%.*s\" took %" PRId64 " gen=%d members %d to %d\n",
			   rebalance_cause_name(r->cause), BYTES_ARG(stage_name_of(t, r->member_id)),
			   BYTES_ARG(r->reason), r->took_ms, r->took_ms < 0 ? 0 : r->generation, r->members_before,
			   r->took_ms < 0 ? 0 : r->members_after);
	}
}

/* --- words ----------------------------------------------------------------------------------------------------------- */

static inline struct bytes stage_keep(struct stage_line *l, struct bytes text)
{
	return arena_copy(&l->ask->arena, text);
}

static inline void stage_cut(struct stage_line *l, const char *at, const char *end)
{
	while (at < end) {
		const char *word = at;

		while (at < end && *at != ' ')
			at++;
		must(l->count < STAGE_WORDS);
		if (at > word)
			l->words[l->count++] = bytes_of(word, (size_t)(at - word));
		while (at < end && *at == ' ')
			at++;
	}
}

/* The value of an option, kept for as long as the request; null when it is not given. */
static inline struct bytes stage_option(struct stage_line *l, const char *name)
{
	size_t size = strlen(name);

	for (size_t i = 0; i < l->count; i++)
		if (l->words[i].size > size && memcmp(l->words[i].data, name, size) == 0 &&
		    l->words[i].data[size] == '=') {
			struct bytes value = bytes_of(l->words[i].data + size + 1, l->words[i].size - size - 1);

			l->words[i].size = 0; /* used */
			return l->ask ? stage_keep(l, value) : arena_copy(&l->stage->memory, value);
		}
	return bytes_null();
}

static inline int64_t stage_number(struct stage_line *l, const char *name, int64_t otherwise)
{
	struct bytes text = stage_option(l, name);

	return text.data ? strtoll((const char *)text.data, NULL, 10) : otherwise;
}

static inline struct bytes stage_text(struct stage_line *l, const char *name, const char *otherwise)
{
	struct bytes text = stage_option(l, name);

	return text.data ? text : bytes_str(otherwise);
}

/* The next word that is no option that was asked for; null at the end. */
static inline struct bytes stage_word(struct stage_line *l)
{
	while (l->next < l->count)
		if (l->words[l->next++].size)
			return stage_keep(l, l->words[l->next - 1]);
	return bytes_null();
}

/* Up to the byte, which goes; all of it when there is none. */
static inline struct bytes stage_until(struct bytes *rest, char byte)
{
	const uint8_t *found = rest->size ? memchr(rest->data, byte, rest->size) : NULL;
	struct bytes part = found ? bytes_of(rest->data, (size_t)(found - rest->data)) : *rest;

	*rest = found ? bytes_of(found + 1, rest->size - part.size - 1) : bytes_of(rest->data + rest->size, 0);
	return part;
}

static inline int64_t stage_int(struct bytes text)
{
	char copy[32] = {0};

	memcpy(copy, text.data, text.size < 31 ? text.size : 31);
	return strtoll(copy, NULL, 10);
}

static inline struct bytes stage_my_id(struct stage_line *l, struct bytes who)
{
	struct bytes given = stage_option(l, "id");
	struct stage_member *m = stage_member(l->stage, who);

	if (given.data)
		return stage_keep(l, stage_id_of(l->stage, given));
	return m->id.data ? stage_keep(l, m->id) : bytes_empty();
}

/* --- what happens ---------------------------------------------------------------------------------------------------- */

/* A subscription of version 0. */
static inline struct bytes stage_subscription(struct stage_line *l, struct bytes topics)
{
	struct buf b;
	struct bytes made;
	int32_t count = 0;

	buf_init(&b, 10000);
	for (struct bytes rest = topics; rest.size; count++)
		stage_until(&rest, ',');
	buf_put_i16(&b, 0);
	buf_put_i32(&b, count);
	while (topics.size) {
		struct bytes topic = stage_until(&topics, ',');

		buf_put_i16(&b, (int16_t)topic.size);
		buf_put_bytes(&b, topic);
	}
	buf_put_i32(&b, -1);
	made = stage_keep(l, buf_bytes(&b));
	buf_fini(&b);
	return made;
}

static inline void stage_join(struct stage *t, struct stage_line *l, struct bytes who)
{
	struct join_group_request *r = arena_new(&l->ask->arena, struct join_group_request);
	struct bytes protocols = stage_text(l, "protocols", "range:"), topics = stage_option(l, "topics");

	message_init(&join_group_request_type, r);
	l->ask->learn = stage_learn_join;
	l->ask->told = stage_told_join;
	l->ask->join.version = (int16_t)stage_number(l, "v", 9);
	r->group_id = stage_text(l, "group", "g");
	r->member_id = stage_my_id(l, who);
	r->group_instance_id = stage_option(l, "instance");
	r->protocol_type = stage_text(l, "type", "consumer");
	r->session_timeout_ms = (int32_t)stage_number(l, "session", 10000);
	r->rebalance_timeout_ms = (int32_t)stage_number(l, "rebalance", 60000);
	r->reason = stage_option(l, "reason");
	r->protocols = struct_array_new(&join_group_request_join_group_request_protocol_struct, 16, &l->ask->arena);
	while (protocols.size) {
		struct bytes one = stage_until(&protocols, ',');
		struct join_group_request_join_group_request_protocol *p = &r->protocols[r->protocols_count++];

		p->name = stage_until(&one, ':');
		p->metadata = topics.data ? stage_subscription(l, topics) : one;
	}
	l->ask->join.request = r;
	l->ask->join.client = (struct group_client){.id = who, .host = bytes_str("/h")};
	l->ask->join.arena = &l->ask->arena;
	group_join(t->groups, &t->step, &l->ask->join);
}

static inline void stage_sync(struct stage *t, struct stage_line *l, struct bytes who)
{
	struct sync_group_request *r = arena_new(&l->ask->arena, struct sync_group_request);

	message_init(&sync_group_request_type, r);
	l->ask->told = stage_told_sync;
	l->ask->sync.version = (int16_t)stage_number(l, "v", 4);
	r->group_id = stage_text(l, "group", "g");
	r->member_id = stage_my_id(l, who);
	r->generation_id = (int32_t)stage_number(l, "gen", stage_member(t, who)->generation);
	r->group_instance_id = stage_option(l, "instance");
	r->protocol_type = stage_option(l, "type");
	r->protocol_name = stage_option(l, "protocol");
	r->assignments = struct_array_new(&sync_group_request_sync_group_request_assignment_struct, STAGE_WORDS,
					  &l->ask->arena);
	for (struct bytes word; (word = stage_word(l)).data;) {
		struct sync_group_request_sync_group_request_assignment *a = &r->assignments[r->assignments_count++];

		a->member_id = stage_keep(l, stage_id_of(t, stage_until(&word, '=')));
		a->assignment = word;
	}
	l->ask->sync.request = r;
	l->ask->sync.arena = &l->ask->arena;
	group_sync(t->groups, &t->step, &l->ask->sync);
}

static inline void stage_beat(struct stage *t, struct stage_line *l, struct bytes who)
{
	struct heartbeat_request *r = arena_new(&l->ask->arena, struct heartbeat_request);

	message_init(&heartbeat_request_type, r);
	l->ask->told = stage_told_heartbeat;
	r->group_id = stage_text(l, "group", "g");
	r->member_id = stage_my_id(l, who);
	r->generation_id = (int32_t)stage_number(l, "gen", stage_member(t, who)->generation);
	r->group_instance_id = stage_option(l, "instance");
	l->ask->heartbeat.request = r;
	group_heartbeat(t->groups, &t->step, &l->ask->heartbeat);
}

static inline void stage_leave(struct stage *t, struct stage_line *l, struct bytes who)
{
	struct leave_group_request *r = arena_new(&l->ask->arena, struct leave_group_request);
	struct bytes instance = stage_option(l, "instance"), reason = stage_option(l, "reason");

	message_init(&leave_group_request_type, r);
	l->ask->told = stage_told_leave;
	l->ask->leave.version = (int16_t)stage_number(l, "v", 5);
	r->group_id = stage_text(l, "group", "g");
	r->member_id = stage_my_id(l, who);
	r->members = struct_array_new(&leave_group_request_member_identity_struct, STAGE_WORDS, &l->ask->arena);
	for (struct bytes word; (word = stage_word(l)).data;)
		r->members[r->members_count++].member_id = bytes_equal_str(word, "-")
								   ? bytes_empty()
								   : stage_keep(l, stage_id_of(t, word));
	if (r->members_count == 0)
		r->members[r->members_count++].member_id = r->member_id;
	r->members[0].group_instance_id = instance;
	r->members[0].reason = reason;
	l->ask->leave.request = r;
	l->ask->leave.client = (struct group_client){.id = who, .host = bytes_str("/h")};
	l->ask->leave.arena = &l->ask->arena;
	group_leave(t->groups, &t->step, &l->ask->leave);
}

/* "t/0=5@3\"note\"": topic, partition, offset, leader epoch, metadata. */
struct stage_offset {
	struct bytes topic;
	int32_t partition;
	int64_t offset;
	int32_t leader_epoch;
	struct bytes metadata;
};

static inline struct stage_offset stage_offset_of(struct bytes word)
{
	struct stage_offset o = {.topic = stage_until(&word, '/'), .leader_epoch = -1};
	struct bytes partition = stage_until(&word, '='), front = stage_until(&word, '"'), offset;

	o.partition = (int32_t)stage_int(partition);
	o.metadata = word.size ? bytes_of(word.data, word.size - 1) : bytes_null();
	offset = stage_until(&front, '@');
	o.offset = offset.size ? stage_int(offset) : 0;
	if (front.size)
		o.leader_epoch = (int32_t)stage_int(front);
	return o;
}

static inline void stage_commit(struct stage *t, struct stage_line *l, struct bytes who)
{
	struct offset_commit_request *r = arena_new(&l->ask->arena, struct offset_commit_request);
	uint8_t topic_id;

	message_init(&offset_commit_request_type, r);
	l->ask->told = stage_told_commit;
	l->ask->commit.version = (int16_t)stage_number(l, "v", 9);
	r->group_id = stage_text(l, "group", "g");
	r->member_id = stage_my_id(l, who);
	r->generation_id_or_member_epoch = (int32_t)stage_number(l, "gen", stage_member(t, who)->generation);
	r->group_instance_id = stage_option(l, "instance");
	r->retention_time_ms = stage_number(l, "retention", -1);
	topic_id = (uint8_t)stage_number(l, "topicid", 0);
	r->topics = struct_array_new(&offset_commit_request_offset_commit_request_topic_struct, STAGE_WORDS,
				     &l->ask->arena);
	for (struct bytes word; (word = stage_word(l)).data; r->topics_count++) {
		struct stage_offset o = stage_offset_of(word);
		struct offset_commit_request_offset_commit_request_topic *to = &r->topics[r->topics_count];

		to->name = o.topic;
		to->topic_id.bytes[0] = topic_id;
		to->partitions = struct_array_new(&offset_commit_request_offset_commit_request_partition_struct, 1,
						  &l->ask->arena);
		to->partitions_count = 1;
		to->partitions[0].partition_index = o.partition;
		to->partitions[0].committed_offset = o.offset;
		to->partitions[0].committed_leader_epoch = o.leader_epoch;
		to->partitions[0].committed_metadata = o.metadata;
	}
	l->ask->commit.request = r;
	l->ask->commit.client = (struct group_client){.id = who, .host = bytes_str("/h")};
	l->ask->commit.arena = &l->ask->arena;
	group_offset_commit(t->groups, &t->step, &l->ask->commit);
}

static inline void stage_txn(struct stage *t, struct stage_line *l, struct bytes who)
{
	struct txn_offset_commit_request *r = arena_new(&l->ask->arena, struct txn_offset_commit_request);

	message_init(&txn_offset_commit_request_type, r);
	l->ask->told = stage_told_txn;
	l->ask->txn.version = (int16_t)stage_number(l, "v", 5);
	r->group_id = stage_text(l, "group", "g");
	r->member_id = stage_my_id(l, who);
	r->generation_id_or_member_epoch = (int32_t)stage_number(l, "gen", stage_member(t, who)->generation);
	r->group_instance_id = stage_option(l, "instance");
	r->producer_id = stage_int(stage_word(l));
	r->topics = struct_array_new(&txn_offset_commit_request_txn_offset_commit_request_topic_struct, STAGE_WORDS,
				     &l->ask->arena);
	for (struct bytes word; (word = stage_word(l)).data; r->topics_count++) {
		struct stage_offset o = stage_offset_of(word);
		struct txn_offset_commit_request_txn_offset_commit_request_topic *to = &r->topics[r->topics_count];

		to->name = o.topic;
		to->partitions = struct_array_new(&txn_offset_commit_request_txn_offset_commit_request_partition_struct,
						  1, &l->ask->arena);
		to->partitions_count = 1;
		to->partitions[0].partition_index = o.partition;
		to->partitions[0].committed_offset = o.offset;
		to->partitions[0].committed_metadata = o.metadata;
	}
	l->ask->txn.request = r;
	l->ask->txn.client = (struct group_client){.id = who, .host = bytes_str("/h")};
	l->ask->txn.arena = &l->ask->arena;
	group_txn_offset_commit(t->groups, &t->step, &l->ask->txn);
}

static inline void stage_fetch(struct stage *t, struct stage_line *l, struct bytes who)
{
	struct offset_fetch_request_offset_fetch_request_group *r = arena_new(
		&l->ask->arena, struct offset_fetch_request_offset_fetch_request_group);
	uint8_t topic_id = (uint8_t)stage_number(l, "topicid", 0);
	struct offset_fetch_request_offset_fetch_request_topics *topics = struct_array_new(
		&offset_fetch_request_offset_fetch_request_topics_struct, STAGE_WORDS, &l->ask->arena);

	(void)who;
	struct_init(&offset_fetch_request_offset_fetch_request_group_struct, r);
	l->ask->told = stage_told_fetch;
	l->ask->fetch.version = (int16_t)stage_number(l, "v", 9);
	l->ask->fetch.require_stable = stage_number(l, "stable", 0);
	r->group_id = stage_text(l, "group", "g");
	r->topics = NULL;
	r->topics_count = -1;
	for (struct bytes word; (word = stage_word(l)).data; r->topics_count++) {
		struct stage_offset o = stage_offset_of(word);
		struct offset_fetch_request_offset_fetch_request_topics *to;

		if (!r->topics)
			r->topics_count = 0;
		r->topics = topics;
		to = &topics[r->topics_count];
		to->name = o.topic;
		to->topic_id.bytes[0] = topic_id;
		to->partition_indexes = arena_alloc_array(&l->ask->arena, 1, sizeof(int32_t));
		to->partition_indexes[0] = o.partition;
		to->partition_indexes_count = 1;
	}
	l->ask->fetch.request = r;
	l->ask->fetch.arena = &l->ask->arena;
	group_offset_fetch(t->groups, &t->step, &l->ask->fetch);
}

static inline void stage_offset_delete(struct stage *t, struct stage_line *l, struct bytes who)
{
	struct offset_delete_request *r = arena_new(&l->ask->arena, struct offset_delete_request);

	(void)who;
	message_init(&offset_delete_request_type, r);
	l->ask->told = stage_told_offset_delete;
	r->group_id = stage_text(l, "group", "g");
	r->topics = struct_array_new(&offset_delete_request_offset_delete_request_topic_struct, STAGE_WORDS,
				     &l->ask->arena);
	for (struct bytes word; (word = stage_word(l)).data; r->topics_count++) {
		struct stage_offset o = stage_offset_of(word);
		struct offset_delete_request_offset_delete_request_topic *to = &r->topics[r->topics_count];

		to->name = o.topic;
		to->partitions = struct_array_new(&offset_delete_request_offset_delete_request_partition_struct, 1,
						  &l->ask->arena);
		to->partitions_count = 1;
		to->partitions[0].partition_index = o.partition;
	}
	l->ask->offset_delete.request = r;
	l->ask->offset_delete.arena = &l->ask->arena;
	group_offset_delete(t->groups, &t->step, &l->ask->offset_delete);
}

static inline void stage_filter(struct stage_line *l, const char *name, struct bytes **ret_words, int32_t *ret_count)
{
	struct bytes given = stage_option(l, name);

	*ret_words = arena_alloc_array(&l->ask->arena, STAGE_WORDS, sizeof(struct bytes));
	while (given.size)
		(*ret_words)[(*ret_count)++] = stage_until(&given, ',');
}

static inline void stage_list(struct stage *t, struct stage_line *l)
{
	struct list_groups_request *r = arena_new(&l->ask->arena, struct list_groups_request);

	message_init(&list_groups_request_type, r);
	l->ask->told = stage_told_list;
	stage_filter(l, "states", &r->states_filter, &r->states_filter_count);
	stage_filter(l, "types", &r->types_filter, &r->types_filter_count);
	l->ask->list.request = r;
	l->ask->list.arena = &l->ask->arena;
	group_list(t->groups, &t->step, &l->ask->list);
}

static inline void stage_set(struct stage *t, struct stage_line *l)
{
	t->options.group_max_size = (int32_t)stage_number(l, "max", t->options.group_max_size);
	t->options.group_initial_rebalance_delay_ms = (int32_t)stage_number(
		l, "delay", t->options.group_initial_rebalance_delay_ms);
	t->options.offset_metadata_max_bytes = (int32_t)stage_number(l, "metadata",
								     t->options.offset_metadata_max_bytes);
	t->options.offsets_retention_ms = stage_number(l, "retention_ms", t->options.offsets_retention_ms);
	t->options.offsets_retention_check_interval_ms = stage_number(l, "check_ms",
								      t->options.offsets_retention_check_interval_ms);
	t->max_record_bytes = (size_t)stage_number(l, "records", (int64_t)t->max_record_bytes);
}

/* What is no client's. False when it is none of these. */
static inline bool stage_event(struct stage *t, struct stage_line *l, struct bytes verb)
{
	struct bytes word = l->count > 1 ? arena_copy(&t->memory, l->words[1]) : bytes_empty();

	if (bytes_equal_str(verb, "wait"))
		stage_wait(t, stage_int(word));
	else if (bytes_equal_str(verb, "restart"))
		stage_restart(t);
	else if (bytes_equal_str(verb, "topic") || bytes_equal_str(verb, "notopic"))
		stage_topic(t, word, bytes_equal_str(verb, "topic"));
	else if (bytes_equal_str(verb, "marker"))
		stage_marker(t, stage_int(word), bytes_equal_str(l->words[2], "commit"));
	else if (bytes_equal_str(verb, "set"))
		stage_set(t, l);
	else
		return false;
	return true;
}

static inline void stage_admin(struct stage *t, struct stage_line *l, struct bytes verb)
{
	struct stage_ask *a = l->ask;
	int16_t version = (int16_t)stage_number(l, "v", 6);

	if (bytes_equal_str(verb, "list")) {
		stage_list(t, l);
		return;
	}
	if (bytes_equal_str(verb, "describe")) {
		a->told = stage_told_describe;
		a->describe.version = version;
		a->describe.arena = &a->arena;
		a->describe.group_id = stage_word(l);
		group_describe(t->groups, &t->step, &a->describe);
	} else if (bytes_equal_str(verb, "explain")) {
		a->told = stage_told_explain;
		a->explain.arena = &a->arena;
		a->explain.group_id = stage_word(l);
		group_explain(t->groups, &t->step, &a->explain);
	} else {
		must(bytes_equal_str(verb, "delete"));
		a->told = stage_told_delete;
		a->delete_group.arena = &a->arena;
		a->delete_group.group_id = stage_word(l);
		group_delete(t->groups, &t->step, &a->delete_group);
	}
}

static inline void stage_client(struct stage *t, struct stage_line *l, struct bytes who, struct bytes verb)
{
	static const struct {
		const char *verb;
		void (*run)(struct stage *t, struct stage_line *l, struct bytes who);
	} verbs[] = {
		{"join", stage_join},     {"sync", stage_sync},
		{"beat", stage_beat},     {"leave", stage_leave},
		{"commit", stage_commit}, {"txn", stage_txn},
		{"fetch", stage_fetch},   {"offsetdelete", stage_offset_delete},
	};

	l->ask->who = who;
	for (size_t i = 0; i < countof(verbs); i++)
		if (bytes_equal_str(verb, verbs[i].verb)) {
			verbs[i].run(t, l, who);
			return;
		}
	must_not_reach();
}

static inline void stage_run_line(struct stage *t, const char *at, const char *end)
{
	struct stage_line l = {.stage = t};
	struct bytes first;

	stage_cut(&l, at, end);
	must(l.count > 0);
	if ((t->run_more && t->run_more(t, &l)) || stage_event(t, &l, l.words[0]))
		return;
	l.ask = stage_ask_new(t);
	first = stage_word(&l);
	if (first.data[0] >= 'A' && first.data[0] <= 'Z')
		stage_client(t, &l, first, stage_word(&l));
	else
		stage_admin(t, &l, first);
	stage_settle(t);
}

#endif
