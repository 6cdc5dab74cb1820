/* arena: what it gives, and where it ends. */
#include "base/arena.h"

#include "base/test.h"

TEST(memory_is_zeroed_aligned_and_apart)
{
	struct arena a;
	uint8_t *before = NULL;

	arena_init(&a, 1 << 20);
	for (size_t size = 1; size < 3000; size = size * 2 + 1) {
		uint8_t *memory = arena_alloc(&a, size);

		CHECK(memory);
		CHECK_EQ((uintptr_t)memory % 16, 0);
		for (size_t i = 0; i < size; i++)
			CHECK_EQ(memory[i], 0);
		memset(memory, 0xff, size);
		CHECK(memory != before);
		before = memory;
	}
	arena_fini(&a);
	CHECK_EQ(a.used, 0);
}

TEST(the_maximum_is_kept_and_a_refusal_changes_nothing)
{
	struct arena a;

	arena_init(&a, 100);
	CHECK(arena_alloc(&a, 101) == NULL);
	CHECK(arena_alloc(&a, SIZE_MAX) == NULL);
	CHECK(arena_alloc_array(&a, SIZE_MAX / 2, 3) == NULL);
	CHECK_EQ(a.used, 0);
	CHECK(a.blocks == NULL);
	CHECK(arena_alloc(&a, 80));
	CHECK(arena_alloc(&a, 21) == NULL);
	CHECK(arena_alloc(&a, 20));
	CHECK_EQ(a.used, 100);
	CHECK(arena_alloc(&a, 1) == NULL);
	arena_fini(&a);
}

TEST(nothing_is_still_a_place)
{
	struct arena a;

	arena_init(&a, 100);
	CHECK(arena_alloc(&a, 0));
	CHECK(arena_alloc_array(&a, 0, 8));
	CHECK(arena_alloc_array(&a, 8, 0));
	arena_fini(&a);
}

TEST(an_arena_is_used_again_after_its_end)
{
	struct arena a;

	arena_init(&a, 64);
	CHECK(arena_alloc(&a, 64));
	arena_fini(&a);
	CHECK(arena_alloc(&a, 64));
	arena_fini(&a);
}

TEST(what_is_larger_than_a_block_gets_its_own)
{
	struct arena a;
	uint8_t *large, *small;

	arena_init(&a, 4 << 20);
	small = arena_alloc(&a, 10);
	large = arena_alloc(&a, 1 << 20);
	CHECK(small && large);
	memset(large, 1, 1 << 20);
	CHECK_EQ(small[9], 0);
	arena_fini(&a);
}

TEST(a_copy_ends_with_a_terminator_and_null_stays_null)
{
	struct bytes copy;
	struct arena a;

	arena_init(&a, 32);
	copy = arena_copy(&a, bytes_str("text"));
	CHECK_STR((const char *)copy.data, "text");
	CHECK_EQ(copy.size, 4);
	CHECK(bytes_is_null(arena_copy(&a, bytes_null())));
	copy = arena_copy(&a, bytes_empty());
	CHECK(!bytes_is_null(copy) && copy.size == 0);
	CHECK(bytes_is_null(arena_copy(&a, bytes_str("too long for what is left of 32 bytes"))));
	arena_fini(&a);
}
