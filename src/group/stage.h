/*
 * stage: a machine of groups with a clock and a log, as tests drive it: transcripts (stage_play) and single calls. For tests and fuzz targets only.
 *
 * A transcript is text: lines that begin with "> " are what happens, the others what the machine records and answers. A client has a name of
 * one word, under which its member id stands in all that is printed; it remembers its id and its generation, as clients do.
 *
 *      > A join v=5                   JoinGroup of group "g"; v= id= instance= type= protocols=name:metadata,... topics=t,... session= rebalance= reason= group=
 *      > A sync A=one B=two           SyncGroup with an assignment for each; v= gen= id= instance= type= protocol=
 *      > A beat                       Heartbeat; gen= id= instance=
 *      > A leave B                    LeaveGroup for others, or itself; v= instance=
 *      > A commit t/0=5 t/1=6@3"note" OffsetCommit; v= gen= id= instance= retention= topicid=
 *      > A txn 7 t/0=5                TxnOffsetCommit of producer 7; gen= id=
 *      > marker 7 commit              the end of its transaction (or abort)
 *      > A fetch t/0 t/1              OffsetFetch; stable=1; without partitions: all
 *      > A offsetdelete t/0           OffsetDelete
 *      > list, describe, delete g     ListGroups (states= types=), DescribeGroups (v=), DeleteGroups (v=)
 *      > wait 3000                    time passes
 *      > topic t, notopic t           the topic comes, or goes
 *      > restart                      a new machine, from what is recorded
 *      > set max=2                    an option: max, delay, retention_ms, check_ms, metadata, records
 *
 * A leading "id=" names a client whose id is meant, or a literal id. Group "g" is meant where nothing is said.
 */
#ifndef GROUP_STAGE_H
#define GROUP_STAGE_H

#include "base/alloc.h"
#include "base/buf.h"
#include "config/config.h"
#include "group/classic.h"
#include "group/consumer_call.h"
#include "metadata/delta.h"
#include "metadata/image.h"

#define STAGE_MEMORY ((size_t)16 * 1024 * 1024)
#define STAGE_WORDS 40

/* A record as it was put. */
struct stage_record {
	uint8_t *bytes;
	size_t key_size;
	size_t value_size;
	bool tombstone;
	int64_t producer_id;
	int64_t timestamp_ms;
	bool marker; /* the end of producer_id's transaction */
	bool committed;
};

/* One request; all of its memory is its arena's. */
struct stage_ask {
	union {
		struct coordinator_call call; /* which is where each of them begins */
		struct join_group_call join;
		struct sync_group_call sync;
		struct heartbeat_call heartbeat;
		struct leave_group_call leave;
		struct offset_commit_call commit;
		struct txn_offset_commit_call txn;
		struct offset_fetch_call fetch;
		struct offset_delete_call offset_delete;
		struct list_groups_call list;
		struct describe_group_call describe;
		struct delete_group_call delete_group;
		struct explain_group_call explain;
		struct consumer_heartbeat_call consumer;
		struct describe_consumer_group_call describe_consumer;
	};
	struct stage *stage;
	void (*learn)(struct stage *t, struct stage_ask *a); /* ids that it was told; may be NULL */
	void (*told)(struct stage *t, struct stage_ask *a);  /* prints the answer; may be NULL */
	struct list_node node;                               /* of those that wait */
	struct bytes who;
	int answers;
	struct arena arena;
};

struct stage_line; /* stage_script.h */

struct stage_member {
	struct bytes name;
	struct bytes id; /* null: none yet */
	int32_t generation;
};

struct stage {
	struct config *config; /* defaults */
	struct group_options options;
	struct groups *groups;
	struct step step;
	struct prng random;
	struct image *image;
	uint8_t next_topic;
	struct stage_record *records;
	size_t record_count;
	size_t record_capacity;
	struct list waiting; /* of struct stage_ask */
	struct arena memory; /* names and ids */
	struct stage_member *members;
	size_t member_count;
	size_t member_capacity;
	struct buf out;
	size_t max_record_bytes;
	size_t answered;
	void (*print_record)(struct stage *t, const struct stage_record *r); /* may be NULL */
	/* Lines and records of other protocols; false where it is none of theirs. May be NULL. */
	bool (*run_more)(struct stage *t, struct stage_line *l);
	bool (*print_more)(struct stage *t, const struct stage_record *r);
};

/* --- the machine ----------------------------------------------------------------------------------------------------- */

static inline struct groups *stage_machine(struct stage *t)
{
	return group_machine_new(&t->options, (struct map_seed){{1, 2}});
}

/* What the coordinator sets before each step. */
static inline void stage_step(struct stage *t)
{
	t->step.random = &t->random;
	t->step.image = t->image;
	t->step.max_record_bytes = t->max_record_bytes;
}

static inline void stage_take_records(struct stage *t)
{
	for (size_t i = 0; i < t->step.record_count; i++) {
		const struct step_record *r = &t->step.records[i];
		struct stage_record *to;

		t->records = mem_grow(t->records, &t->record_capacity, t->record_count + 1, sizeof(*t->records));
		to = &t->records[t->record_count++];
		*to = (struct stage_record){
			.bytes = mem_alloc(r->key_size + r->value_size),
			.key_size = r->key_size,
			.value_size = r->value_size,
			.tombstone = r->tombstone,
			.producer_id = t->step.producer_id,
			.timestamp_ms = t->step.wall_ms,
		};
		memcpy(to->bytes, t->step.bytes.data + r->key_offset, r->key_size);
		memcpy(to->bytes + r->key_size, t->step.bytes.data + r->value_offset, r->value_size);
	}
}

/* Takes what the step made: its records are in the log, its calls are answered. */
static inline void stage_settle(struct stage *t)
{
	size_t before = t->record_count;

	stage_take_records(t);
	for (size_t i = before; t->print_record && i < t->record_count; i++)
		t->print_record(t, &t->records[i]);
	list_for_each(&t->step.answered, node)
	{
		struct stage_ask *a = container_of(container_of(node, struct coordinator_call, node), struct stage_ask,
						   call);

		if (a->learn)
			a->learn(t, a);
	}
	for (struct list_node *n; (n = list_pop_front(&t->step.answered));) {
		struct stage_ask *a = container_of(container_of(n, struct coordinator_call, node), struct stage_ask,
						   call);

		must(a->answers++ == 0);
		t->answered++;
		list_remove(&a->node);
		if (a->told)
			a->told(t, a);
		arena_fini(&a->arena);
		mem_free(a);
	}
	step_reset(&t->step);
}

static inline void stage_init(struct stage *t)
{
	*t = (struct stage){
		.options =
			{
				.group_min_session_timeout_ms = 500,
				.group_max_session_timeout_ms = 1800000,
				.group_initial_rebalance_delay_ms = 3000,
				.group_max_size = INT32_MAX,
				.offset_metadata_max_bytes = 4096,
				.offsets_retention_ms = (int64_t)10080 * 60000,
				.offsets_retention_check_interval_ms = 600000,
			},
		.max_record_bytes = 1000000,
	};
	t->config = config_new();
	consumer_options_read(t->config, &t->options.consumer);
	prng_seed(&t->random, 1);
	step_init(&t->step);
	t->step.now_ms = 1000;
	t->step.wall_ms = 1700000000000;
	t->image = image_new();
	list_init(&t->waiting);
	arena_init(&t->memory, STAGE_MEMORY);
	buf_init(&t->out, STAGE_MEMORY);
	t->groups = stage_machine(t);
	stage_step(t);
	group_machine.loaded(t->groups, &t->step);
	stage_settle(t);
}

static inline void stage_give_up(struct stage *t)
{
	stage_step(t);
	group_machine.give_up(t->groups, ERR_NOT_COORDINATOR, &t->step);
	stage_settle(t);
	must(list_empty(&t->waiting));
}

static inline void stage_fini(struct stage *t)
{
	stage_give_up(t);
	group_machine.free(t->groups);
	image_free(t->image);
	config_free(t->config);
	step_fini(&t->step);
	for (size_t i = 0; i < t->record_count; i++)
		mem_free(t->records[i].bytes);
	mem_free(t->records);
	mem_free(t->members);
	arena_fini(&t->memory);
	buf_fini(&t->out);
}

/* Replays the log into it, as a coordinator does that loads. */
static inline void stage_replay(struct stage *t, struct groups *into)
{
	for (size_t i = 0; i < t->record_count; i++) {
		const struct stage_record *r = &t->records[i];

		if (r->marker) {
			group_machine.replay_marker(
				into, &(struct end_marker){.producer_id = r->producer_id, .committed = r->committed});
			continue;
		}
		must(group_machine.replay(
			     into, &(struct replayed){
					   .offset = (int64_t)i,
					   .timestamp_ms = r->timestamp_ms,
					   .key = bytes_of(r->bytes, r->key_size),
					   .value = r->tombstone ? bytes_null()
								 : bytes_of(r->bytes + r->key_size, r->value_size),
					   .producer_id = r->producer_id,
				   }) == OK);
	}
}

static inline void stage_restart(struct stage *t)
{
	stage_give_up(t);
	group_machine.free(t->groups);
	t->groups = stage_machine(t);
	stage_replay(t, t->groups);
	stage_step(t);
	group_machine.loaded(t->groups, &t->step);
	stage_settle(t);
}

static inline void stage_marker(struct stage *t, int64_t producer_id, bool committed)
{
	t->records = mem_grow(t->records, &t->record_capacity, t->record_count + 1, sizeof(*t->records));
	t->records[t->record_count++] = (struct stage_record){
		.producer_id = producer_id, .marker = true, .committed = committed};
	group_machine.replay_marker(t->groups,
				    &(struct end_marker){.producer_id = producer_id, .committed = committed});
}

static inline void stage_pass(struct stage *t, int64_t ms)
{
	t->step.now_ms += ms;
	t->step.wall_ms += ms;
}

/* Time passes; whatever is due meanwhile happens when it is. */
static inline void stage_wait(struct stage *t, int64_t ms)
{
	int64_t until_ms = t->step.now_ms + ms;

	for (int64_t due_ms; (due_ms = group_machine.deadline_ms(t->groups)) <= until_ms;) {
		if (due_ms > t->step.now_ms)
			stage_pass(t, due_ms - t->step.now_ms);
		stage_step(t);
		group_machine.tick(t->groups, &t->step);
		stage_settle(t);
	}
	stage_pass(t, until_ms - t->step.now_ms);
}

/* The topic is there with one partition, or is not; twice there is another one of that name. */
static inline void stage_topic(struct stage *t, struct bytes name, bool there)
{
	static const int32_t replicas[] = {1};
	struct delta_partition p = {.replicas = replicas, .replica_count = 1, .isr = replicas, .isr_count = 1};
	const struct image_topic *old = image_topic_by_name(t->image, name);
	struct buf b;

	buf_init(&b, 1000);
	delta_begin(&b);
	if (old)
		delta_put(&b, &(struct delta_record){.kind = DELTA_TOPIC_REMOVED, .topic_id = old->id});
	if (there)
		delta_put(&b, &(struct delta_record){.kind = DELTA_TOPIC,
						     .name = name,
						     .topic_id = {.bytes = {++t->next_topic}},
						     .partitions = &p,
						     .partition_count = 1});
	must(image_apply(t->image, buf_bytes(&b)) == OK);
	buf_fini(&b);
	stage_step(t);
	group_machine.image_changed(t->groups, &t->step);
	stage_settle(t);
}

static inline struct stage_ask *stage_ask_new(struct stage *t)
{
	struct stage_ask *a = mem_new(struct stage_ask);

	a->stage = t;
	arena_init(&a->arena, STAGE_MEMORY);
	list_push_back(&t->waiting, &a->node);
	stage_step(t);
	return a;
}

/* --- names ----------------------------------------------------------------------------------------------------------- */

static inline struct stage_member *stage_member(struct stage *t, struct bytes name)
{
	for (size_t i = 0; i < t->member_count; i++)
		if (bytes_equal(t->members[i].name, name))
			return &t->members[i];
	t->members = mem_grow(t->members, &t->member_capacity, t->member_count + 1, sizeof(*t->members));
	t->members[t->member_count] = (struct stage_member){.name = arena_copy(&t->memory, name), .generation = -1};
	return &t->members[t->member_count++];
}

#define STAGE_UUID_SIZE 37 /* behind a client's name: "-" and a uuid */

/* A client's name for its id; of one that was not told yet what stands before its uuid; else the id itself. */
static inline struct bytes stage_name_of(const struct stage *t, struct bytes id)
{
	for (size_t i = 0; i < t->member_count; i++)
		if (t->members[i].id.size && bytes_equal(t->members[i].id, id))
			return t->members[i].name;
	if (id.size > STAGE_UUID_SIZE && id.data[id.size - STAGE_UUID_SIZE] == '-')
		return bytes_of(id.data, id.size - STAGE_UUID_SIZE);
	return id;
}

static inline struct bytes stage_id_of(struct stage *t, struct bytes name)
{
	for (size_t i = 0; i < t->member_count; i++)
		if (bytes_equal(t->members[i].name, name) && t->members[i].id.data)
			return t->members[i].id;
	return name;
}

/* It has another id from now on; whoever it was stays known as A'. */
static inline void stage_learn_id(struct stage *t, struct bytes who, struct bytes id)
{
	struct stage_member *m = stage_member(t, who);
	struct bytes old = m->id;
	uint8_t *name;

	if (id.size == 0 || bytes_equal(old, id))
		return;
	m->id = arena_copy(&t->memory, id);
	if (!old.size)
		return;
	name = arena_alloc(&t->memory, who.size + 1);
	memcpy(name, who.data, who.size);
	name[who.size] = '\'';
	stage_member(t, bytes_of(name, who.size + 1))->id = old;
}

#endif
