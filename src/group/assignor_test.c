/*
 * assignor: pictures of groups before and after; random groups, whose assignments must be valid, balanced and sticky; and every line of
 * tests/compat/golden/assignors.jsonl, which Kafka's own assignors computed (tests/compat/group): range must give the same, uniform
 * must be as even and move no more.
 */
#include "group/assignor.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/prng.h"
#include "base/test.h"

#define MAX_MEMBERS 64
#define MAX_TOPICS 64
#define FILE_NAME "tests/compat/golden/assignors.jsonl"

/* A group with room to change in. */
struct scene {
	struct assignor_member members[MAX_MEMBERS];
	uint32_t wanted[MAX_MEMBERS][MAX_TOPICS];
	char ids[MAX_MEMBERS][16];
	struct assignor_topic topics[MAX_TOPICS];
	struct assignor_input group;
};

static struct scene *scene_new(void)
{
	struct scene *s = mem_new(struct scene);

	s->group = (struct assignor_input){.members = s->members, .topics = s->topics};
	return s;
}

static void scene_free(struct scene *s)
{
	for (size_t t = 0; t < s->group.topic_count; t++)
		mem_free(s->topics[t].owners);
	mem_free(s);
}

static void add_topic(struct scene *s, int32_t partitions)
{
	struct assignor_topic *t = &s->topics[s->group.topic_count++];

	must(s->group.topic_count <= MAX_TOPICS);
	t->partition_count = partitions;
	t->owners = mem_alloc(((size_t)partitions + 1) * sizeof(*t->owners));
	for (int32_t p = 0; p < partitions; p++)
		t->owners[p] = -1;
}

static void grow_topic(struct scene *s, size_t at, int32_t more)
{
	struct assignor_topic *t = &s->topics[at];

	t->owners = mem_realloc(t->owners, ((size_t)(t->partition_count + more) + 1) * sizeof(*t->owners));
	while (more-- > 0)
		t->owners[t->partition_count++] = -1;
}

static struct assignor_member *add_member(struct scene *s)
{
	size_t at = s->group.member_count++;

	must(s->group.member_count <= MAX_MEMBERS);
	s->members[at] = (struct assignor_member){.topics = s->wanted[at]};
	return &s->members[at];
}

static void want_all(struct scene *s, size_t member)
{
	for (uint32_t t = 0; t < s->group.topic_count; t++)
		s->wanted[member][t] = t;
	s->members[member].topic_count = s->group.topic_count;
}

static void remove_member(struct scene *s, size_t at)
{
	s->group.member_count--;
	for (size_t m = at; m < s->group.member_count; m++) {
		s->members[m] = s->members[m + 1];
		memcpy(s->wanted[m], s->wanted[m + 1], sizeof(s->wanted[m]));
		s->members[m].topics = s->wanted[m];
	}
	for (size_t t = 0; t < s->group.topic_count; t++) {
		for (int32_t p = 0; p < s->topics[t].partition_count; p++) {
			int32_t *owner = &s->topics[t].owners[p];

			*owner = *owner == (int32_t)at ? -1 : *owner > (int32_t)at ? *owner - 1 : *owner;
		}
	}
}

static bool wants(const struct scene *s, int32_t member, size_t topic)
{
	for (size_t i = 0; i < s->members[member].topic_count; i++)
		if (s->members[member].topics[i] == topic)
			return true;
	return false;
}

static bool is_wanted(const struct scene *s, size_t topic)
{
	for (size_t m = 0; m < s->group.member_count; m++)
		if (wants(s, (int32_t)m, topic))
			return true;
	return false;
}

/* --- what must hold ----------------------------------------------------------------------------------------------------- */

static void check_valid(const struct scene *s)
{
	for (size_t t = 0; t < s->group.topic_count; t++)
		for (int32_t p = 0; p < s->topics[t].partition_count; p++)
			if (s->topics[t].owners[p] >= 0)
				CHECK(wants(s, s->topics[t].owners[p], t));
			else
				CHECK(!is_wanted(s, t));
}

static void loads_of(const struct scene *s, int32_t *const *owners, int64_t loads[static MAX_MEMBERS])
{
	memset(loads, 0, MAX_MEMBERS * sizeof(*loads));
	for (size_t t = 0; t < s->group.topic_count; t++)
		for (int32_t p = 0; p < s->topics[t].partition_count; p++)
			if (owners[t][p] >= 0)
				loads[owners[t][p]]++;
}

static int64_t squares(const struct scene *s, int32_t *const *owners)
{
	int64_t loads[MAX_MEMBERS], sum = 0;

	loads_of(s, owners, loads);
	for (size_t m = 0; m < s->group.member_count; m++)
		sum += loads[m] * loads[m];
	return sum;
}

static size_t kept(const struct scene *s, int32_t *const *before, int32_t *const *after)
{
	size_t count = 0;

	for (size_t t = 0; t < s->group.topic_count; t++)
		for (int32_t p = 0; p < s->topics[t].partition_count; p++)
			count += before[t][p] >= 0 && before[t][p] == after[t][p];
	return count;
}

static void owners_of(const struct scene *s, int32_t *owners[static MAX_TOPICS])
{
	for (size_t t = 0; t < s->group.topic_count; t++)
		owners[t] = mem_dup(s->topics[t].owners, ((size_t)s->topics[t].partition_count + 1) * sizeof(int32_t));
}

static void owners_free(const struct scene *s, int32_t *owners[static MAX_TOPICS])
{
	for (size_t t = 0; t < s->group.topic_count; t++)
		mem_free(owners[t]);
}

/* Of a group whose members want the same: every member the same but for one, and nobody gives more than he must. */
static void check_even_and_sticky(const struct scene *s, int32_t *const *before)
{
	int32_t *after[MAX_TOPICS];
	int64_t had[MAX_MEMBERS], has[MAX_MEMBERS], total = 0, keep = 0;
	int64_t members = (int64_t)s->group.member_count, larger = 0, extra;

	owners_of(s, after);
	loads_of(s, before, had);
	loads_of(s, after, has);
	for (int64_t m = 0; m < members; m++)
		total += has[m];
	extra = total % members;
	for (int64_t m = 0; m < members; m++) {
		CHECK(has[m] == total / members || has[m] == total / members + 1);
		larger += had[m] > total / members;
		keep += had[m] < total / members ? had[m] : total / members;
	}
	keep += larger < extra ? larger : extra;
	CHECK_EQ(kept(s, before, after), keep);
	owners_free(s, after);
}

/* --- tables -------------------------------------------------------------------------------------------------------------- */

/* "0 0 1 | - 2": a topic behind a bar; who wants what: "01" a member of both topics. */
struct picture {
	enum server_assignor assignor;
	const char *members; /* words: the topics' digits, "." none; with an instance id behind "=" */
	const char *before;
	const char *after;
};

static void draw(const char *picture, struct scene *s)
{
	const char *c = picture;

	add_topic(s, 0);
	for (; *c; c++) {
		if (*c == ' ')
			continue;
		if (*c == '|') {
			add_topic(s, 0);
			continue;
		}
		grow_topic(s, s->group.topic_count - 1, 1);
		s->topics[s->group.topic_count - 1].owners[s->topics[s->group.topic_count - 1].partition_count - 1] =
			*c == '-' ? -1 : *c - '0';
	}
}

static struct scene *scene_of(const struct picture *p)
{
	struct scene *s = scene_new();
	const char *c = p->members;

	draw(p->before, s);
	while (*c) {
		struct assignor_member *m = add_member(s);
		size_t at = s->group.member_count - 1;

		snprintf(s->ids[at], sizeof(s->ids[at]), "m%zu", at);
		m->member_id = bytes_str(s->ids[at]);
		for (; *c && *c != ' ' && *c != '='; c++)
			if (*c != '.')
				s->wanted[at][m->topic_count++] = (uint32_t)(*c - '0');
		if (*c == '=') {
			m->instance_id = bytes_of(c + 1, strcspn(c + 1, " "));
			c += 1 + m->instance_id.size;
		}
		c += *c == ' ';
	}
	return s;
}

TEST(pictures_before_and_after)
{
	static const struct picture pictures[] = {
		/* Nobody, nothing. */
		{SERVER_ASSIGNOR_UNIFORM, "", "- -", "- -"},
		{SERVER_ASSIGNOR_RANGE, "", "0 0", "- -"},
		{SERVER_ASSIGNOR_UNIFORM, ". .", "0 1", "- -"},
		{SERVER_ASSIGNOR_RANGE, ". 0", "0 0", "1 1"},
		/* Range is by topic, and the same numbers of each when they are as large. */
		{SERVER_ASSIGNOR_RANGE, "01 01", "- - - | - - -", "0 0 1 | 0 0 1"},
		{SERVER_ASSIGNOR_RANGE, "01 01 01", "- - - - - | - -", "0 0 1 1 2 | 0 1"},
		{SERVER_ASSIGNOR_RANGE, "01 1 0", "- - - | - - -", "0 0 2 | 0 0 1"},
		/* Static members first, by instance. */
		{SERVER_ASSIGNOR_RANGE, "0 0=b 0=a", "- - -", "2 1 0"},
		{SERVER_ASSIGNOR_RANGE, "0=b 0=a", "0 0 1 1", "1 1 0 0"},
		/* In Java's order U+10000 comes before U+E000. */
		{SERVER_ASSIGNOR_RANGE, "0=\xee\x80\x80 0=\xf0\x90\x80\x80", "- -", "1 0"},
		/* Uniform gives out in turn. */
		{SERVER_ASSIGNOR_UNIFORM, "01 01 01", "- - - | - - -", "0 1 2 | 0 1 2"},
		{SERVER_ASSIGNOR_UNIFORM, "0 0 0", "- - - - -", "0 1 2 0 1"},
		/* Who comes gets what the others have too much, a part of every topic. */
		{SERVER_ASSIGNOR_UNIFORM, "0 0 0", "0 0 0 1 1 1", "0 0 2 1 1 2"},
		{SERVER_ASSIGNOR_UNIFORM, "012 012 012", "0 1 | 0 1 | 0 1", "2 1 | 0 2 | 0 1"},
		/* Who goes leaves the others what they have. */
		{SERVER_ASSIGNOR_UNIFORM, "0 0", "0 0 - - 1 1", "0 0 0 1 1 1"},
		/* What it no longer wants goes. */
		{SERVER_ASSIGNOR_UNIFORM, "0 1", "0 1 | 0 1", "0 0 | 1 1"},
		/* One wants both topics, the others one each. */
		{SERVER_ASSIGNOR_UNIFORM, "01 0 1", "- - - | - - -", "0 1 1 | 2 2 0"},
		/* Already even: nothing moves, however it lies. */
		{SERVER_ASSIGNOR_UNIFORM, "01 01", "0 0 | 1 1", "0 0 | 1 1"},
		{SERVER_ASSIGNOR_UNIFORM, "0 0", "0 1 1", "0 1 1"},
	};

	for (size_t i = 0; i < sizeof(pictures) / sizeof(pictures[0]); i++) {
		struct scene *s = scene_of(&pictures[i]);
		struct scene *wanted = scene_new();

		draw(pictures[i].after, wanted);
		server_assignor_assign(pictures[i].assignor, &s->group);
		check_valid(s);
		for (size_t t = 0; t < s->group.topic_count; t++)
			for (int32_t p = 0; p < s->topics[t].partition_count; p++)
				if (s->topics[t].owners[p] != wanted->topics[t].owners[p])
					fail_msg("picture %zu: topic %zu, partition %d: %d, not %d", i, t, p,
						 s->topics[t].owners[p], wanted->topics[t].owners[p]);
		scene_free(s);
		scene_free(wanted);
	}
}

TEST(an_assignor_is_known_by_its_name)
{
	enum server_assignor a = SERVER_ASSIGNOR_UNIFORM;

	CHECK(server_assignor_find(bytes_str("range"), &a));
	CHECK_EQ(a, SERVER_ASSIGNOR_RANGE);
	CHECK(server_assignor_find(bytes_str("uniform"), &a));
	CHECK_EQ(a, SERVER_ASSIGNOR_UNIFORM);
	CHECK(!server_assignor_find(bytes_str("Range"), &a));
	CHECK(!server_assignor_find(bytes_str(""), &a));
}

/* --- random lives -------------------------------------------------------------------------------------------------------- */

static void live_a_step(struct scene *s, struct prng *random)
{
	switch (prng_below(random, 4)) {
	case 0:
		if (s->group.member_count < MAX_MEMBERS)
			add_member(s);
		break;
	case 1:
		if (s->group.member_count > 1)
			remove_member(s, prng_below(random, s->group.member_count));
		break;
	case 2:
		grow_topic(s, prng_below(random, s->group.topic_count), 1 + (int32_t)prng_below(random, 5));
		break;
	default:
		if (s->group.topic_count < MAX_TOPICS)
			add_topic(s, 1 + (int32_t)prng_below(random, 20));
		break;
	}
}

TEST(members_that_want_the_same_get_equal_parts_and_keep_all_they_may)
{
	struct prng random;

	prng_seed(&random, 848);
	for (int life = 0; life < 60; life++) {
		struct scene *s = scene_new();

		add_topic(s, 1 + (int32_t)prng_below(&random, 30));
		add_member(s);
		for (int step = 0; step < 25; step++) {
			int32_t *before[MAX_TOPICS];

			live_a_step(s, &random);
			for (size_t m = 0; m < s->group.member_count; m++)
				want_all(s, m);
			owners_of(s, before);
			server_assignor_assign(SERVER_ASSIGNOR_UNIFORM, &s->group);
			check_valid(s);
			check_even_and_sticky(s, before);
			owners_free(s, before);
		}
		scene_free(s);
	}
}

TEST(members_that_want_different_topics_get_what_they_want)
{
	struct prng random;

	prng_seed(&random, 42);
	for (int life = 0; life < 60; life++) {
		struct scene *s = scene_new();

		add_topic(s, 3);
		add_member(s);
		for (int step = 0; step < 25; step++) {
			int32_t *before[MAX_TOPICS], *after[MAX_TOPICS];

			live_a_step(s, &random);
			for (size_t m = 0; m < s->group.member_count; m++) {
				if (s->members[m].topic_count && prng_chance(&random, 3, 4))
					continue;
				s->members[m].topic_count = 0;
				for (uint32_t t = 0; t < s->group.topic_count; t++)
					if (prng_chance(&random, 1, 2))
						s->wanted[m][s->members[m].topic_count++] = t;
			}
			server_assignor_assign(prng_chance(&random, 1, 4) ? SERVER_ASSIGNOR_RANGE
									  : SERVER_ASSIGNOR_UNIFORM,
					       &s->group);
			check_valid(s);
			/* Nothing new: nothing moves. */
			server_assignor_assign(SERVER_ASSIGNOR_UNIFORM, &s->group);
			owners_of(s, before);
			server_assignor_assign(SERVER_ASSIGNOR_UNIFORM, &s->group);
			owners_of(s, after);
			CHECK(squares(s, after) <= squares(s, before));
			if (squares(s, after) == squares(s, before))
				for (size_t t = 0; t < s->group.topic_count; t++)
					assert_memory_equal(before[t], after[t],
							    (size_t)s->topics[t].partition_count * sizeof(int32_t));
			owners_free(s, before);
			owners_free(s, after);
		}
		scene_free(s);
	}
}

TEST(one_more_of_ten_gets_a_part_of_each_of_ninety_topics)
{
	struct scene *s = scene_new();
	int32_t most = 0;

	for (int t = 0; t < 60; t++)
		add_topic(s, 15);
	for (int m = 0; m < 10; m++)
		add_member(s);
	for (size_t m = 0; m < 10; m++)
		want_all(s, m);
	server_assignor_assign(SERVER_ASSIGNOR_UNIFORM, &s->group);
	add_member(s);
	want_all(s, 10);
	server_assignor_assign(SERVER_ASSIGNOR_UNIFORM, &s->group);
	for (size_t t = 0; t < s->group.topic_count; t++) {
		int32_t own = 0;

		for (int32_t p = 0; p < 15; p++)
			own += s->topics[t].owners[p] == 10;
		most = own > most ? own : most;
	}
	CHECK_EQ(most, 2);
	scene_free(s);
}

/* --- Kafka's --------------------------------------------------------------------------------------------------------------- */

static struct bytes text(const json_t *value)
{
	return json_is_string(value) ? bytes_of(json_string_value(value), json_string_length(value)) : bytes_null();
}

static struct scene *scene_of_line(const json_t *line)
{
	struct scene *s = scene_new();
	const json_t *members = json_object_get(line, "members"), *before = json_object_get(line, "before");

	for (size_t t = 0; t < json_array_size(before); t++) {
		const json_t *owners = json_array_get(before, t);

		add_topic(s, (int32_t)json_array_size(owners));
		for (size_t p = 0; p < json_array_size(owners); p++)
			s->topics[t].owners[p] = (int32_t)json_integer_value(json_array_get(owners, p));
	}
	for (size_t i = 0; i < json_array_size(members); i++) {
		const json_t *member = json_array_get(members, i), *topics = json_array_get(member, 2);
		struct assignor_member *m = add_member(s);

		m->member_id = text(json_array_get(member, 0));
		m->instance_id = text(json_array_get(member, 1));
		for (size_t t = 0; t < json_array_size(topics); t++)
			s->wanted[i][m->topic_count++] = (uint32_t)json_integer_value(json_array_get(topics, t));
	}
	return s;
}

/* Over all groups whose members want different things: in each single one either may be luckier. */
struct totals {
	int64_t squares, kafka_squares;
	size_t kept, kafka_kept;
};

static bool want_the_same(const struct scene *s)
{
	for (size_t m = 1; m < s->group.member_count; m++)
		if (s->members[m].topic_count != s->members[0].topic_count ||
		    memcmp(s->wanted[m], s->wanted[0], s->members[0].topic_count * sizeof(uint32_t)) != 0)
			return false;
	return true;
}

static void compare_uniform(const struct scene *s, int32_t *const *before, int32_t *const *ours, int32_t *const *kafka,
			    struct totals *totals)
{
	if (want_the_same(s)) {
		CHECK_EQ(squares(s, ours), squares(s, kafka));
		CHECK(kept(s, before, ours) >= kept(s, before, kafka));
		return;
	}
	totals->squares += squares(s, ours);
	totals->kafka_squares += squares(s, kafka);
	totals->kept += kept(s, before, ours);
	totals->kafka_kept += kept(s, before, kafka);
}

static void check_line(const json_t *line, struct totals *totals)
{
	struct scene *s = scene_of_line(line);
	int32_t *before[MAX_TOPICS], *ours[MAX_TOPICS], *kafka[MAX_TOPICS];
	enum server_assignor a = SERVER_ASSIGNOR_UNIFORM;

	must(server_assignor_find(text(json_object_get(line, "assignor")), &a));
	owners_of(s, before);
	owners_of(s, kafka);
	for (size_t t = 0; t < s->group.topic_count; t++)
		for (int32_t p = 0; p < s->topics[t].partition_count; p++)
			kafka[t][p] = (int32_t)json_integer_value(
				json_array_get(json_array_get(json_object_get(line, "after"), t), (size_t)p));
	server_assignor_assign(a, &s->group);
	check_valid(s);
	owners_of(s, ours);
	if (a == SERVER_ASSIGNOR_RANGE)
		for (size_t t = 0; t < s->group.topic_count; t++)
			assert_memory_equal(ours[t], kafka[t], (size_t)s->topics[t].partition_count * sizeof(int32_t));
	else
		compare_uniform(s, before, ours, kafka, totals);
	owners_free(s, before);
	owners_free(s, ours);
	owners_free(s, kafka);
	scene_free(s);
}

TEST(range_gives_what_kafka_gives_and_uniform_is_as_even_and_moves_no_more)
{
	FILE *file = fopen(FILE_NAME, "r");
	char *line = NULL;
	struct totals totals = {0};
	size_t size = 0, count = 0;

	must(file != NULL);
	while (getline(&line, &size, file) > 0) {
		json_t *json = json_loads(line, 0, NULL);

		must(json != NULL);
		check_line(json, &totals);
		count++;
		json_decref(json);
	}
	CHECK(count > 600);
	CHECK(totals.squares <= totals.kafka_squares);
	CHECK(totals.kept >= totals.kafka_kept);
	printf("sum of squares %lld, Kafka's %lld; kept %zu, Kafka %zu\n", (long long)totals.squares,
	       (long long)totals.kafka_squares, totals.kept, totals.kafka_kept);
	free(line);
	fclose(file);
}
