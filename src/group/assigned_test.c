/* assigned: sets by tables; the table of owners against a plain list under random changes. */
#include "group/assigned.h"

#include "base/prng.h"
#include "base/test.h"

static struct uuid topic(uint8_t number)
{
	return (struct uuid){.bytes = {number}};
}

TEST(what_is_pushed_in_any_order_is_found_in_order_and_once)
{
	struct assigned a = {0}, b = {0};

	assigned_push(&a, topic(2), 1, 7);
	assigned_push(&a, topic(1), 5, 7);
	assigned_push(&a, topic(2), 0, 7);
	assigned_push(&a, topic(1), 5, 9);
	assigned_sort(&a);
	CHECK_EQ(a.count, 3);
	CHECK_EQ(a.items[0].partition, 5);
	CHECK_EQ(a.items[1].partition, 0);
	CHECK_EQ(a.items[2].partition, 1);
	CHECK_EQ(assigned_topic_count(&a), 2);
	CHECK_EQ(assigned_topic_end(&a, 0), 1);
	CHECK_EQ(assigned_topic_end(&a, 1), 3);
	CHECK(assigned_find(&a, topic(2), 1) == &a.items[2]);
	CHECK(assigned_find(&a, topic(2), 2) == NULL);
	CHECK(assigned_find(&a, topic(0), 0) == NULL);

	assigned_copy(&b, &a);
	CHECK(assigned_equal(&a, &b));
	b.items[1].epoch = 8;
	CHECK(!assigned_equal(&a, &b));
	CHECK(assigned_same_partitions(&a, &b));
	b.items[1].partition = 3;
	CHECK(!assigned_same_partitions(&a, &b));
	assigned_move(&a, &b);
	CHECK_EQ(a.count, 3);
	CHECK_EQ(b.count, 0);
	assigned_fini(&a);
	assigned_fini(&b);
}

TEST(an_owner_is_removed_only_at_the_epoch_at_which_it_owns)
{
	struct owners o = {0};

	CHECK(!owners_has(&o, topic(1), 0));
	owners_remove(&o, topic(1), 0, 3);
	owners_set(&o, topic(1), 0, 3);
	CHECK(owners_has(&o, topic(1), 0));
	owners_set(&o, topic(1), 0, 5);
	owners_remove(&o, topic(1), 0, 3);
	CHECK(owners_has(&o, topic(1), 0));
	owners_remove(&o, topic(1), 0, 5);
	CHECK(!owners_has(&o, topic(1), 0));
	CHECK_EQ(o.count, 0);
	owners_fini(&o);
}

TEST(owners_are_those_that_were_set_and_not_removed)
{
	enum { TOPICS = 7, PARTITIONS = 40 };
	int32_t wanted[TOPICS][PARTITIONS];
	struct owners o = {0};
	struct prng random;
	size_t count = 0;

	prng_seed(&random, 1);
	memset(wanted, 0, sizeof(wanted));
	for (int step = 0; step < 20000; step++) {
		uint8_t t = (uint8_t)prng_below(&random, TOPICS);
		int32_t p = (int32_t)prng_below(&random, PARTITIONS);

		if (prng_chance(&random, 1 + (uint32_t)step / 2500 % 3, 4)) {
			owners_remove(&o, topic(t), p, wanted[t][p]);
			wanted[t][p] = 0;
		} else {
			wanted[t][p] = 1 + step;
			owners_set(&o, topic(t), p, 1 + step);
		}
		if (step % 100)
			continue;
		count = 0;
		for (t = 0; t < TOPICS; t++) {
			for (p = 0; p < PARTITIONS; p++) {
				CHECK_EQ(owners_has(&o, topic(t), p), wanted[t][p] != 0);
				count += wanted[t][p] != 0;
			}
		}
		CHECK_EQ(o.count, count);
	}
	owners_fini(&o);
}
