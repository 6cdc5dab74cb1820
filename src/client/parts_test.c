/* parts_test: sets of partitions, by what they hold in which order. */
#include "client/parts.h"

#include <stdio.h>

#include "base/test.h"

struct fixture {
	struct cluster_topic topics[3]; /* "a", "b", "c" */
};

static void setup(struct fixture *f)
{
	static char names[3][2] = {"a", "b", "c"};

	for (size_t i = 0; i < 3; i++)
		f->topics[i] = (struct cluster_topic){.name = names[i]};
}

/* "a0 b2": topics are a letter, numbers a digit. */
static void fill(struct fixture *f, struct parts *s, const char *text)
{
	for (; *text; text += text[2] ? 3 : 2)
		parts_append(s, &f->topics[text[0] - 'a'], text[1] - '0');
	parts_sort(s);
}

static const char *show(const struct parts *s, char *ret_text)
{
	size_t at = 0;

	ret_text[0] = '\0';
	for (size_t i = 0; i < s->count; i++)
		at += (size_t)sprintf(ret_text + at, "%s%s%d", i ? " " : "", s->items[i].topic->name,
				      s->items[i].index);
	return ret_text;
}

TEST(sets_are_ordered_and_have_each_once)
{
	static const struct {
		const char *a, *b, *sorted, *minus, *plus;
	} cases[] = {
		{"", "", "", "", ""},
		{"a0", "", "a0", "a0", "a0"},
		{"", "a0", "", "", "a0"},
		{"b1 a2 a0 b1", "a0", "a0 a2 b1", "a2 b1", "a0 a2 b1"},
		{"a0 a1 a2", "a1 c0", "a0 a1 a2", "a0 a2", "a0 a1 a2 c0"},
		{"a0", "a0", "a0", "", "a0"},
	};
	struct fixture f;

	setup(&f);
	for (size_t i = 0; i < countof(cases); i++) {
		struct parts a = {0}, b = {0}, to = {0};
		char text[100];

		fill(&f, &a, cases[i].a);
		fill(&f, &b, cases[i].b);
		CHECK_STR(show(&a, text), cases[i].sorted);
		parts_minus(&to, &a, &b);
		CHECK_STR(show(&to, text), cases[i].minus);
		parts_plus(&to, &a, &b);
		CHECK_STR(show(&to, text), cases[i].plus);
		CHECK_EQ(parts_equal(&a, &b), a.count == b.count && strcmp(cases[i].sorted, cases[i].b) == 0);
		parts_move(&to, &a);
		CHECK_STR(show(&to, text), cases[i].sorted);
		CHECK_EQ(a.count, 0);
		parts_fini(&b);
		parts_fini(&to);
	}
}

TEST(what_is_in_a_set_is_found)
{
	struct parts s = {0};
	struct fixture f;

	setup(&f);
	CHECK(!parts_has(&s, &f.topics[0], 0));
	fill(&f, &s, "a1 b0 b7");
	CHECK(parts_has(&s, &f.topics[0], 1));
	CHECK(parts_has(&s, &f.topics[1], 7));
	CHECK(!parts_has(&s, &f.topics[1], 1));
	CHECK(!parts_has(&s, &f.topics[2], 0));
	parts_fini(&s);
}
