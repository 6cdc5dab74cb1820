/*
 * consumer_bench: what the consumer protocol takes: a heartbeat in groups at rest; the steps by which a member comes to
 * ten that have 900 partitions, and goes. One state, no coordinator, no disk.
 */
#include <inttypes.h>
#include <malloc.h>
#include <time.h>

#include "group/stage_consumer.h"

#define GROUPS 1000
#define MEMBERS 10
#define ROUNDS 100
#define PARTITIONS 900
#define ROUNDS_TO_REST 10

/* Of this process: others may run beside it. */
static int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return t.tv_sec * 1000000000 + t.tv_nsec;
}

static size_t memory(void)
{
	struct mallinfo2 m = mallinfo2();

	return m.uordblks + m.hblkhd;
}

static void say(struct stage *t, const char *line)
{
	stage_run_line(t, line, strchr(line, 0));
}

/* A beat that says nothing new, as the broker hands it over. */
static void beat(struct stage *t, const struct group *g, const struct consumer_member *m)
{
	struct consumer_group_heartbeat_request r;
	struct arena a;
	struct consumer_heartbeat_call c = {
		.request = &r,
		.version = 1,
		.arena = &a,
		.client = {m->said.client_id, m->said.client_host},
	};

	arena_init(&a, STAGE_MEMORY);
	message_init(&consumer_group_heartbeat_request_type, &r);
	r.group_id = g->id;
	r.member_id = m->id;
	r.member_epoch = m->epoch;
	must(group_consumer_heartbeat_check(&t->options, &c) == OK);
	group_consumer_heartbeat(t->groups, &t->step, &c);
	must(c.response.error_code == 0 && !c.response.assignment && t->step.record_count == 0);
	list_pop_front(&t->step.answered);
	step_reset(&t->step);
	arena_fini(&a);
}

static void many_groups(void)
{
	struct stage t;
	char line[100];
	int64_t began_ns;
	size_t before, beats = 0;

	stage_consumer_init(&t);
	stage_topic_of(&t, bytes_str("t"), 20);
	for (int g = 0; g < GROUPS; g++)
		for (int round = 0; round < ROUNDS_TO_REST; round++)
			for (int m = 0; m < MEMBERS; m++) {
				snprintf(line, sizeof(line), "M%dx%d hb group=group-%d %s", g, m, g,
					 round == 0 ? "topics=t" : "has==");
				say(&t, line);
			}
	stage_step(&t);
	before = memory();
	began_ns = now_ns();
	for (int round = 0; round < ROUNDS; round++, t.step.now_ms += 40) {
		size_t place = 0;

		for (const struct map_entry *e; (e = map_next(&t.groups->by_id, &place));) {
			const struct group *g = e->value;
			size_t at = 0;

			for (const struct map_entry *m; (m = map_next(&g->consumer->members, &at)); beats++)
				beat(&t, g, m->value);
		}
	}
	printf("a heartbeat of %d groups of %d at rest: %.0f ns, %zd bytes of memory\n", GROUPS, MEMBERS,
	       (double)(now_ns() - began_ns) / (double)beats, (ssize_t)(memory() - before));
	stage_fini(&t);
}

/* The longest step of the members that beat until all is still. */
static int64_t come_to_rest(struct stage *t, int members)
{
	char line[100];
	int64_t worst_ns = 0;

	for (int round = 0; round < ROUNDS_TO_REST; round++)
		for (int m = 0; m < members; m++) {
			int64_t began_ns = now_ns(), took_ns;

			snprintf(line, sizeof(line), "M%d hb has==", m);
			say(t, line);
			took_ns = now_ns() - began_ns;
			if (took_ns > worst_ns)
				worst_ns = took_ns;
		}
	return worst_ns;
}

static void one_more(const char *assignor)
{
	struct stage t;
	char line[100];
	int64_t began_ns, join_ns, leave_ns, worst_join_ns, worst_leave_ns;

	stage_consumer_init(&t);
	stage_topic_of(&t, bytes_str("t"), PARTITIONS);
	for (int m = 0; m < MEMBERS; m++) {
		snprintf(line, sizeof(line), "M%d hb topics=t assignor=%s", m, assignor);
		say(&t, line);
	}
	come_to_rest(&t, MEMBERS);
	snprintf(line, sizeof(line), "M%d hb topics=t assignor=%s", MEMBERS, assignor);
	began_ns = now_ns();
	say(&t, line);
	join_ns = now_ns() - began_ns;
	worst_join_ns = come_to_rest(&t, MEMBERS + 1);
	must(stage_find_member(&t, bytes_str("g"), bytes_str("M10"))->assigned.count >= PARTITIONS / (MEMBERS + 1));
	snprintf(line, sizeof(line), "M%d go", MEMBERS);
	began_ns = now_ns();
	say(&t, line);
	leave_ns = now_ns() - began_ns;
	worst_leave_ns = come_to_rest(&t, MEMBERS);
	printf("%s, %d members over %d partitions: one comes: %.2f ms, then at most %.2f ms a step; it goes: %.2f ms, "
	       "then at most %.2f ms\n",
	       assignor, MEMBERS, PARTITIONS, (double)join_ns / 1e6, (double)worst_join_ns / 1e6,
	       (double)leave_ns / 1e6, (double)worst_leave_ns / 1e6);
	stage_fini(&t);
}

int main(void)
{
	many_groups();
	one_more("uniform");
	one_more("range");
	return 0;
}
