/* list: order, removal inside a loop, splicing. */
#include "base/list.h"

#include "base/test.h"

struct item {
	char name;
	struct list_node node;
};

static void check_list(struct list *l, const char *expected)
{
	size_t at = 0;

	list_for_each(l, n)
	{
		CHECK_EQ(container_of(n, struct item, node)->name, expected[at]);
		CHECK(n->next->previous == n && n->previous->next == n);
		at++;
	}
	CHECK_EQ(at, strlen(expected));
}

TEST(nodes_keep_their_order)
{
	struct item items[] = {{.name = 'a'}, {.name = 'b'}, {.name = 'c'}, {.name = 'd'}};
	struct list l;

	list_init(&l);
	CHECK(list_empty(&l) && !list_first(&l) && !list_pop_front(&l));
	list_push_back(&l, &items[1].node);
	list_push_back(&l, &items[2].node);
	list_push_front(&l, &items[0].node);
	list_insert_before(&items[2].node, &items[3].node);
	check_list(&l, "abdc");
	list_remove(&items[1].node);
	CHECK(!list_linked(&items[1].node) && list_linked(&items[0].node));
	check_list(&l, "adc");
	CHECK(list_pop_front(&l) == &items[0].node);
	check_list(&l, "dc");
}

TEST(a_loop_may_remove_the_node_it_is_at)
{
	struct item items[] = {{.name = 'a'}, {.name = 'b'}, {.name = 'c'}};
	struct list l;

	list_init(&l);
	for (size_t i = 0; i < countof(items); i++)
		list_push_back(&l, &items[i].node);
	list_for_each(&l, n) if (container_of(n, struct item, node)->name != 'b') list_remove(n);
	check_list(&l, "b");
}

TEST(splicing_moves_all_to_the_end)
{
	struct item items[] = {{.name = 'a'}, {.name = 'b'}, {.name = 'c'}};
	struct list to, from;

	list_init(&to);
	list_init(&from);
	list_splice_back(&to, &from);
	check_list(&to, "");
	list_push_back(&from, &items[0].node);
	list_push_back(&from, &items[1].node);
	list_splice_back(&to, &from);
	check_list(&from, "");
	list_push_back(&from, &items[2].node);
	list_splice_back(&to, &from);
	check_list(&to, "abc");
	check_list(&from, "");
}
