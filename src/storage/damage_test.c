/* damage_test: stretches that are found in any order, that overlap, and that are too many. */
#include "storage/damage.h"

#include "base/test.h"

static struct damage of(int64_t position, int64_t end)
{
	return (struct damage){.position = position, .end = end, .offset = position / 10, .next_offset = end / 10};
}

static void check_list(const struct damage_list *x, const int64_t (*wanted)[2], size_t count)
{
	CHECK_EQ(x->count, count);
	for (size_t i = 0; i < count; i++) {
		CHECK_EQ(x->entries[i].position, wanted[i][0]);
		CHECK_EQ(x->entries[i].end, wanted[i][1]);
		CHECK_EQ(x->entries[i].offset, wanted[i][0] / 10);
		CHECK_EQ(x->entries[i].next_offset, wanted[i][1] / 10);
	}
}

TEST(stretches_are_sorted_and_those_that_overlap_are_one)
{
	struct damage_list x = {0};
	struct damage late = of(500, 600), early = of(100, 200), inside = of(520, 580), across = of(150, 550);

	CHECK(damage_add(&x, &late));
	CHECK(damage_add(&x, &early));
	check_list(&x, (const int64_t[][2]){{100, 200}, {500, 600}}, 2);
	CHECK(!damage_add(&x, &inside));
	CHECK(!damage_add(&x, &early));
	check_list(&x, (const int64_t[][2]){{100, 200}, {500, 600}}, 2);
	CHECK(damage_add(&x, &across));
	check_list(&x, (const int64_t[][2]){{100, 600}}, 1);
	damage_fini(&x);
}

TEST(a_place_is_in_a_stretch_or_before_one)
{
	struct damage_list x = {0};
	struct damage a = of(100, 200), b = of(500, 600);

	damage_add(&x, &a);
	damage_add(&x, &b);
	CHECK(!damage_at(&x, 99) && damage_at(&x, 100) && damage_at(&x, 199) && !damage_at(&x, 200));
	CHECK_EQ(damage_from(&x, 0)->position, 100);
	CHECK_EQ(damage_from(&x, 200)->position, 500);
	CHECK(!damage_from(&x, 600));
	damage_truncate(&x, 550);
	check_list(&x, (const int64_t[][2]){{100, 200}}, 1);
	damage_fini(&x);
}

TEST(from_the_most_on_the_last_one_grows)
{
	struct damage_list x = {0};

	for (int i = 0; i < DAMAGE_MAX + 5; i++) {
		struct damage d = of(100 * i, 100 * i + 50);

		CHECK(damage_add(&x, &d));
	}
	CHECK_EQ(x.count, DAMAGE_MAX);
	CHECK_EQ(x.entries[DAMAGE_MAX - 1].position, 100 * (DAMAGE_MAX - 1));
	CHECK_EQ(x.entries[DAMAGE_MAX - 1].end, 100 * (DAMAGE_MAX + 4) + 50);
	damage_fini(&x);
}
