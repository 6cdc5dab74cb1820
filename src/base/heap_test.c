/* heap: order, and removal from anywhere. */
#include "base/heap.h"

#include "base/prng.h"
#include "base/test.h"

TEST(the_smallest_leaves_first_and_equal_ones_in_order)
{
	static const int64_t keys[] = {5, 1, 5, -7, 1, INT64_MAX, INT64_MIN, 5};
	static const size_t expected[] = {6, 3, 1, 4, 0, 2, 7, 5};
	struct heap_node nodes[countof(keys)] = {0};
	struct heap h;

	heap_init(&h);
	CHECK(heap_first(&h) == NULL);
	for (size_t i = 0; i < countof(keys); i++)
		heap_insert(&h, &nodes[i], keys[i]);
	for (size_t i = 0; i < countof(keys); i++) {
		struct heap_node *n = heap_first(&h);

		CHECK_EQ(n - nodes, expected[i]);
		heap_remove(&h, n);
		CHECK(!heap_linked(n));
	}
	CHECK(heap_first(&h) == NULL);
	heap_fini(&h);
}

/* Inserts and removals anywhere, beside a search through all of them. */
TEST(many_changes_keep_the_smallest_first)
{
	static struct heap_node nodes[200];
	struct prng p;
	struct heap h;

	prng_seed(&p, 11);
	heap_init(&h);
	for (size_t step = 0; step < 20000; step++) {
		struct heap_node *n = &nodes[prng_below(&p, countof(nodes))], *least = NULL;

		if (heap_linked(n))
			heap_remove(&h, n);
		else
			heap_insert(&h, n, prng_between(&p, -50, 50));
		for (size_t i = 0; i < countof(nodes); i++) {
			struct heap_node *other = &nodes[i];

			if (!heap_linked(other))
				continue;
			if (!least || other->key < least->key ||
			    (other->key == least->key && other->sequence < least->sequence))
				least = other;
		}
		CHECK(heap_first(&h) == least);
	}
	heap_fini(&h);
}
