/* assign_test: the assignors against what Java's decide, and what members say to each other. */
#include "client/assign.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/test.h"
#include "protocol/codec.h"

#define ARENA_MAX ((size_t)64 << 20)
#define VECTORS "tests/compat/assignors/vectors.txt"
#define MEMBERS_MAX 100
#define TOPICS_MAX 100

/* --- what Java decided ------------------------------------------------------------------------------------------- */

struct vector {
	struct arena arena;
	struct assign_topic topics[TOPICS_MAX];
	struct assign_member members[MEMBERS_MAX];
	struct assign_question question;
	unsigned number;
	unsigned compared;
};

/* The next part of `*rest` up to `end`, with a terminator; NULL when nothing is left. */
static char *part(char **rest, const char *end)
{
	char *at = *rest;

	if (!at || !*at)
		return NULL;
	*rest = at + strcspn(at, end);
	if (**rest)
		*(*rest)++ = '\0';
	return at;
}

static struct bytes kept(struct vector *v, const char *text)
{
	struct bytes none = bytes_null();

	return strcmp(text, "-") == 0 ? none : arena_copy(&v->arena, bytes_str(text));
}

static void *room(struct vector *v, size_t count, size_t size)
{
	void *memory = arena_alloc_array(&v->arena, count, size);

	CHECK(memory != NULL);
	return memory;
}

static void read_racks(struct vector *v, struct assign_topic *t, char *text)
{
	struct assign_racks *racks = room(v, (size_t)t->partition_count, sizeof(*racks));
	int32_t at = 0;

	for (char *of; (of = part(&text, "/")); at++) {
		struct bytes *names = room(v, 8, sizeof(*names));

		for (char *name; (name = part(&of, ","));)
			if (strcmp(name, "-") != 0)
				names[racks[at].count++] = kept(v, name);
		racks[at].racks = names;
	}
	t->racks = racks;
}

static void read_topic(struct vector *v, char *line)
{
	struct assign_topic *t = &v->topics[v->question.topic_count++];
	char *racks;

	*t = (struct assign_topic){.name = kept(v, part(&line, " ")), .partition_count = atoi(part(&line, " "))};
	racks = part(&line, " ");
	if (strcmp(racks, "-") != 0)
		read_racks(v, t, racks);
}

static void read_owned(struct vector *v, struct consumer_protocol_subscription *s, char *text)
{
	s->owned_partitions = room(v, TOPICS_MAX, sizeof(*s->owned_partitions));
	for (char *of; strcmp(text, "-") != 0 && (of = part(&text, ";"));) {
		struct consumer_protocol_subscription_topic_partition *tp =
			&s->owned_partitions[s->owned_partitions_count++];

		tp->topic = kept(v, part(&of, ":"));
		tp->partitions = room(v, 100, sizeof(int32_t));
		for (char *number; (number = part(&of, ","));)
			tp->partitions[tp->partitions_count++] = atoi(number);
	}
}

static struct bytes read_hex(struct vector *v, const char *hex)
{
	size_t size = strlen(hex) / 2;
	uint8_t *bytes = room(v, size + 1, 1);

	for (size_t i = 0; i < size; i++) {
		char two[3] = {hex[2 * i], hex[2 * i + 1], 0};

		bytes[i] = (uint8_t)strtoul(two, NULL, 16);
	}
	return bytes_of(bytes, size);
}

static void read_member(struct vector *v, char *line)
{
	struct assign_member *m = &v->members[v->question.member_count++];
	struct consumer_protocol_subscription *s = &m->subscription;
	char *names, *data;

	message_init(&consumer_protocol_subscription_type, s);
	m->id = kept(v, part(&line, " "));
	m->instance_id = kept(v, part(&line, " "));
	s->rack_id = kept(v, part(&line, " "));
	s->generation_id = atoi(part(&line, " "));
	names = part(&line, " ");
	s->topics = room(v, TOPICS_MAX, sizeof(*s->topics));
	for (char *name; strcmp(names, "-") != 0 && (name = part(&names, ","));)
		s->topics[s->topics_count++] = kept(v, name);
	read_owned(v, s, part(&line, " "));
	data = part(&line, " ");
	if (strcmp(data, "-") != 0)
		s->user_data = read_hex(v, data);
}

static void put_assignment(struct buf *b, const struct consumer_protocol_assignment *a)
{
	buf_printf(b, a->assigned_partitions_count ? " " : " -");
	for (int32_t t = 0; t < a->assigned_partitions_count; t++) {
		const struct consumer_protocol_assignment_topic_partition *of = &a->assigned_partitions[t];

		buf_printf(b, "%s%.*s", t ? ";" : "", BYTES_ARG(of->topic));
		for (int32_t i = 0; i < of->partitions_count; i++)
			buf_printf(b, "%c%d", i ? ',' : ':', of->partitions[i]);
	}
}

static void compare(struct vector *v, const char *line)
{
	struct consumer_protocol_assignment assignments[MEMBERS_MAX];
	size_t name_size = strcspn(line, " ");
	enum assignor how;
	struct buf got;

	CHECK(assignor_find(bytes_of(line, name_size), &how));
	must_ok(assign(how, &v->question, &v->arena, assignments));
	buf_init(&got, 1 << 20);
	for (size_t m = 0; m < v->question.member_count; m++)
		put_assignment(&got, &assignments[m]);
	buf_put_i8(&got, 0);
	if (strcmp((const char *)got.data, line + name_size) != 0)
		fail_msg("case %u, %s:\n  Java%s\n  ours%s", v->number, assignor_name(how), line + name_size,
			 (const char *)got.data);
	buf_fini(&got);
	v->compared++;
}

static void begin(struct vector *v, const char *number)
{
	arena_fini(&v->arena);
	arena_init(&v->arena, ARENA_MAX);
	v->number = (unsigned)atoi(number);
	v->question = (struct assign_question){.members = v->members, .topics = v->topics};
}

TEST(every_group_is_shared_out_as_java_does_it)
{
	struct vector *v = mem_new(struct vector);
	FILE *file = fopen(VECTORS, "r");
	static char line[1 << 20];

	CHECK(file != NULL);
	arena_init(&v->arena, ARENA_MAX);
	while (fgets(line, sizeof(line), file)) {
		line[strcspn(line, "\n")] = '\0';
		if (strncmp(line, "case ", 5) == 0)
			begin(v, line + 5);
		else if (line[0] == 't')
			read_topic(v, line + 2);
		else if (line[0] == 'm')
			read_member(v, line + 2);
		else
			compare(v, line + 2);
	}
	fclose(file);
	print_message("%u groups, %u decisions\n", v->number, v->compared);
	CHECK(v->number >= 1000 && v->compared == 4 * v->number);
	arena_fini(&v->arena);
	mem_free(v);
}

/* --- what members say -------------------------------------------------------------------------------------------- */

TEST(a_subscription_comes_back_as_it_was_written)
{
	struct bytes topics[] = {bytes_str("a"), bytes_str("b")};
	int32_t owned[] = {0, 2};
	struct consumer_protocol_subscription_topic_partition of = {bytes_str("a"), owned, 2};
	struct consumer_protocol_subscription s = {.topics = topics,
						   .topics_count = 2,
						   .owned_partitions = &of,
						   .owned_partitions_count = 1,
						   .generation_id = 7,
						   .rack_id = bytes_str("r")};
	struct consumer_protocol_subscription back;
	struct arena a;
	struct buf b;

	arena_init(&a, ARENA_MAX);
	buf_init(&b, 1000);
	must_ok(subscription_encode(&s, &b));
	must_ok(subscription_decode(buf_bytes(&b), &a, &back));
	CHECK_EQ(back.topics_count, 2);
	CHECK_BYTES(back.topics[1], bytes_str("b"));
	CHECK_EQ(back.owned_partitions[0].partitions[1], 2);
	CHECK_EQ(back.generation_id, 7);
	CHECK_BYTES(back.rack_id, bytes_str("r"));
	CHECK(bytes_is_null(back.user_data));
	buf_fini(&b);
	arena_fini(&a);
}

TEST(a_version_of_the_future_is_read_as_ours_and_one_below_zero_not_at_all)
{
	static const uint8_t newer[] = {0,   9, 0, 0, 0, 1, 0, 1, 't', 255, 255, 255,
					255, 0, 0, 0, 0, 0, 0, 0, 3,   255, 255, 42};
	static const uint8_t below[] = {255, 255, 0, 0, 0, 0, 255, 255, 255, 255};
	struct consumer_protocol_subscription s;
	struct arena a;

	arena_init(&a, ARENA_MAX);
	must_ok(subscription_decode(bytes_of(newer, sizeof(newer)), &a, &s));
	CHECK_BYTES(s.topics[0], bytes_str("t"));
	CHECK_EQ(s.generation_id, 3);
	CHECK_ERR(subscription_decode(bytes_of(below, sizeof(below)), &a, &s), ERR_BAD_VERSION);
	CHECK_ERR(subscription_decode(bytes_null(), &a, &s), ERR_MALFORMED);
	CHECK_ERR(subscription_decode(bytes_of(newer, 8), &a, &s), ERR_MALFORMED);
	arena_fini(&a);
}

TEST(what_a_sticky_member_was_assigned_comes_back_in_its_user_data)
{
	int32_t numbers[] = {1, 4};
	struct consumer_protocol_assignment_topic_partition of = {bytes_str("t"), numbers, 2};
	struct consumer_protocol_assignment last = {.assigned_partitions = &of, .assigned_partitions_count = 1};
	struct consumer_protocol_subscription s = {.generation_id = -1};
	struct assign_owned owned;
	struct arena a;

	arena_init(&a, ARENA_MAX);
	must_ok(assignor_user_data(ASSIGNOR_STICKY, NULL, -1, &a, &s.user_data));
	CHECK(bytes_is_null(s.user_data));
	must_ok(assignor_user_data(ASSIGNOR_STICKY, &last, 5, &a, &s.user_data));
	CHECK(assignor_owned(ASSIGNOR_STICKY, &s, &a, &owned));
	CHECK_EQ(owned.count, 1);
	CHECK_EQ(owned.partitions[0].partitions[1], 4);
	CHECK_EQ(owned.generation, 5);
	/* Version 0 had no generation. */
	s.user_data.size -= 4;
	CHECK(assignor_owned(ASSIGNOR_STICKY, &s, &a, &owned));
	CHECK_EQ(owned.count, 1);
	CHECK(!owned.has_generation);
	/* What cannot be read is nothing. */
	s.user_data.size -= 1;
	CHECK(assignor_owned(ASSIGNOR_STICKY, &s, &a, &owned));
	CHECK_EQ(owned.count, 0);
	CHECK_EQ(owned.generation, -1);
	must_ok(assignor_user_data(ASSIGNOR_COOPERATIVE_STICKY, NULL, 6, &a, &s.user_data));
	CHECK(assignor_owned(ASSIGNOR_COOPERATIVE_STICKY, &s, &a, &owned));
	CHECK_EQ(owned.generation, 6);
	must_ok(assignor_user_data(ASSIGNOR_RANGE, &last, 6, &a, &s.user_data));
	CHECK(bytes_is_null(s.user_data));
	arena_fini(&a);
}

TEST(assignors_are_found_by_their_names)
{
	enum assignor found;

	for (int i = 0; i < ASSIGNOR_COUNT; i++) {
		CHECK(assignor_find(bytes_str(assignor_name((enum assignor)i)), &found));
		CHECK_EQ(found, i);
	}
	CHECK(!assignor_find(bytes_str("uniform"), &found));
}
