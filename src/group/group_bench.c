/*
 * group_bench: what groups and offsets take: memory of a million committed offsets and of a thousand groups of ten members; how fast a state is loaded
 * from records, commits, and members are heard of. One state, no coordinator, no disk.
 */
#include <inttypes.h>
#include <malloc.h>
#include <time.h>

#include "group/stage_script.h"

#define GROUPS 1000
#define TOPICS 100
#define PARTITIONS 10
#define MEMBERS 10

static int64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static size_t memory(void)
{
	struct mallinfo2 m = mallinfo2();

	return m.uordblks + m.hblkhd;
}

/* What one request of a client that commits all partitions of a topic makes. */
static void commit_topic(struct stage *t, int group, int topic, int64_t offset)
{
	struct offset_commit_request_offset_commit_request_partition partitions[PARTITIONS];
	struct offset_commit_request_offset_commit_request_topic named = {.partitions = partitions,
									  .partitions_count = PARTITIONS};
	char group_name[32], topic_name[32];
	struct offset_commit_request r = {
		.generation_id_or_member_epoch = -1,
		.member_id = bytes_empty(),
		.retention_time_ms = -1,
		.topics = &named,
		.topics_count = 1,
	};
	struct stage_ask *a = stage_ask_new(t);

	snprintf(group_name, sizeof(group_name), "group-%d", group);
	snprintf(topic_name, sizeof(topic_name), "some.topic.%d", topic);
	r.group_id = bytes_str(group_name);
	named.name = bytes_str(topic_name);
	for (int p = 0; p < PARTITIONS; p++)
		partitions[p] = (struct offset_commit_request_offset_commit_request_partition){
			.partition_index = p, .committed_offset = offset, .committed_leader_epoch = 3};
	a->commit.request = &r;
	a->commit.version = 9;
	a->commit.arena = &a->arena;
	group_offset_commit(t->groups, &t->step, &a->commit);
	stage_settle(t);
}

static void offsets(void)
{
	struct stage t;
	struct groups *loaded;
	int64_t began_us, count = (int64_t)GROUPS * TOPICS * PARTITIONS;
	size_t before;

	stage_init(&t);
	for (int g = 0; g < GROUPS; g++)
		for (int topic = 0; topic < TOPICS; topic++)
			commit_topic(&t, g, topic, 1000);
	began_us = now_us();
	before = memory();
	loaded = stage_machine(&t);
	stage_replay(&t, loaded);
	printf("%" PRId64 " offsets of %d groups: loaded at %5.2f M/s, %.1f bytes each\n", count, GROUPS,
	       (double)count / (double)(now_us() - began_us), (double)(memory() - before) / (double)count);
	group_machine.free(loaded);

	began_us = now_us();
	for (int g = 0; g < GROUPS; g++)
		commit_topic(&t, g, g % TOPICS, 2000);
	printf("commits of %d partitions each: %5.2f us\n", PARTITIONS, (double)(now_us() - began_us) / GROUPS);
	stage_fini(&t);
}

static void stabilize(struct stage *t, int group)
{
	char line[300];

	for (int m = 0; m < MEMBERS; m++) {
		snprintf(line, sizeof(line),
			 "M%dx%d join v=3 group=group-%d topics=some.topic.1,some.topic.2 session=45000", group, m,
			 group);
		stage_run_line(t, line, strchr(line, 0));
	}
}

static void members(void)
{
	struct stage t;
	size_t before;
	int64_t began_us;
	char line[100];

	stage_init(&t);
	t.options.group_initial_rebalance_delay_ms = 0;
	before = memory();
	for (int g = 0; g < GROUPS; g++)
		stabilize(&t, g);
	before = memory() - before; /* with the calls that wait */
	stage_wait(&t, 0);
	for (int g = 0; g < GROUPS; g++) {
		snprintf(line, sizeof(line), "M%dx0 sync group=group-%d", g, g);
		stage_run_line(&t, line, strchr(line, 0));
	}
	before = memory();
	stage_restart(&t);
	printf("%d groups of %d members: ", GROUPS, MEMBERS);
	{
		struct groups *again;

		before = memory();
		again = stage_machine(&t);
		stage_replay(&t, again);
		printf("%.0f bytes a member\n", (double)(memory() - before) / (GROUPS * MEMBERS));
		group_machine.free(again);
	}
	began_us = now_us();
	for (int i = 0; i < 100; i++) {
		size_t place = 0;

		for (const struct map_entry *e; (e = map_next(&t.groups->by_id, &place));) {
			size_t at = 0;

			for (struct classic_member *m; (m = classic_next(((struct group *)e->value)->classic, &at));)
				classic_heard_of(t.groups, m, t.step.now_ms + i);
		}
	}
	printf("a member is heard of: %.0f ns\n", (double)(now_us() - began_us) * 10 / (GROUPS * MEMBERS));
	stage_fini(&t);
}

int main(void)
{
	offsets();
	members();
	return 0;
}
