/* map: against a plain list, and its order. */
#include "base/map.h"

#include <stdio.h>

#include <stdlib.h>

#include "base/prng.h"
#include "base/test.h"

TEST(what_is_put_is_found_until_it_is_removed)
{
	int one = 1, two = 2;
	struct map m;

	map_init(&m);
	CHECK(map_get(&m, bytes_str("a")) == NULL);
	CHECK(map_remove(&m, bytes_str("a")) == NULL);
	CHECK(map_put(&m, bytes_str("a"), &one) == NULL);
	CHECK(map_put(&m, bytes_str("a"), &two) == &one);
	CHECK(map_get(&m, bytes_str("a")) == &two);
	CHECK(map_get(&m, bytes_str("b")) == NULL);
	CHECK_EQ(m.count, 1);
	CHECK(map_remove(&m, bytes_str("a")) == &two);
	CHECK(map_get(&m, bytes_str("a")) == NULL);
	CHECK_EQ(m.count, 0);
	CHECK(map_put(&m, bytes_empty(), &one) == NULL); /* an empty key is a key */
	CHECK(map_get(&m, bytes_null()) == &one);
	map_fini(&m);
}

static uint64_t keys[3000];

/* As many puts and removals as it takes to fill slots with what was removed, beside a list that says what must be there. */
TEST(many_changes_leave_what_a_list_would_hold)
{
	static bool there[countof(keys)];
	size_t count = 0;
	struct prng p;
	struct map m;

	prng_seed(&p, 7);
	map_init(&m);
	for (size_t step = 0; step < 100000; step++) {
		size_t i = (size_t)prng_below(&p, step < 50000 ? countof(keys) : 20);

		keys[i] = i * 0x100000000ULL; /* differ in few bits */
		if (prng_chance(&p, 1, 2)) {
			CHECK(map_put(&m, map_key_u64(&keys[i]), &keys[i]) == (there[i] ? &keys[i] : NULL));
			count += !there[i];
			there[i] = true;
		} else {
			CHECK(map_remove(&m, map_key_u64(&keys[i])) == (there[i] ? &keys[i] : NULL));
			count -= there[i];
			there[i] = false;
		}
		CHECK_EQ(m.count, count);
	}
	for (size_t i = 0; i < countof(keys); i++) {
		keys[i] = i * 0x100000000ULL;
		CHECK(map_get(&m, map_key_u64(&keys[i])) == (there[i] ? &keys[i] : NULL));
	}
	CHECK(m.slot_count < 20000 && m.entry_count < 10000); /* what was removed does not pile up */
	map_fini(&m);
}

static void check_order(const struct map *m, const char *expected)
{
	const struct map_entry *e;
	size_t place = 0, at = 0;

	while ((e = map_next(m, &place))) {
		CHECK_EQ(e->key[0], expected[at]);
		CHECK_EQ(e->key_size, 1);
		at++;
	}
	CHECK_EQ(at, strlen(expected));
}

TEST(iteration_is_in_order_of_insertion)
{
	static const char letters[] = "qwertyuiopasdfghjklzxcvbnm";
	const struct map_entry *e;
	struct map m;
	size_t place = 0;
	int value = 0;

	map_init(&m);
	check_order(&m, "");
	for (size_t i = 0; letters[i]; i++)
		map_put(&m, bytes_of(&letters[i], 1), &value);
	check_order(&m, letters);
	map_put(&m, bytes_str("q"), &value); /* keeps its place */
	check_order(&m, letters);
	while ((e = map_next(&m, &place))) /* the current one may go */
		if (e->key[0] < 'n')
			CHECK(map_remove(&m, bytes_of((uint8_t[]){e->key[0]}, 1)) == &value);
	check_order(&m, "qwrtyuopszxvn");
	map_put(&m, bytes_str("a"), &value);
	check_order(&m, "qwrtyuopszxvna");
	map_fini(&m);
}

/* With keys of zero: what CPython 3.11 says with PYTHONHASHSEED=0. With bytes 0 to 15: the first vector of Rust's tests of SipHasher13. */
TEST(the_hash_is_siphash_1_3)
{
	static const struct {
		struct map_seed seed;
		const char *key;
		uint64_t hash;
	} table[] = {
		{{{0, 0}}, "a", 0x407448d2b89b1813ULL},
		{{{0, 0}}, "abcdefg", 0x6db12aae9070f506ULL},
		{{{0, 0}}, "abcdefgh", 0x3f7b849c0b8e35eaULL},
		{{{0, 0}}, "abcdefghi", 0xf89b34a3d11eb6e5ULL},
		{{{0, 0}}, "the quick brown fox jumps over the lazy dog", 0x80a65583f613da2dULL},
		{{{0x0706050403020100ULL, 0x0f0e0d0c0b0a0908ULL}}, "", 0xabac0158050fc4dcULL},
	};

	for (size_t i = 0; i < countof(table); i++)
		CHECK_EQ(map_hash(table[i].seed, bytes_str(table[i].key)), table[i].hash);
}

/* Names that fall on one place with one seed do not with another; and the order of iteration is that of insertion with each. */
TEST(a_seed_changes_where_keys_lie_and_nothing_that_is_seen)
{
	static const struct map_seed seeds[] = {{{0, 0}}, {{1, 0}}, {{0, 1}}, {{0x123456789ULL, 0xabcdef}}};
	char key[8];

	for (size_t i = 0; i < countof(seeds); i++) {
		const struct map_entry *e;
		struct map m;
		size_t place = 0, at = 0, same = 0;
		int value = 0;

		map_init_seeded(&m, seeds[i]);
		for (size_t k = 0; k < 1000; k++) {
			snprintf(key, sizeof(key), "%zu", k);
			CHECK(!map_put(&m, bytes_str(key), &value));
			same += map_hash(seeds[i], bytes_str(key)) % 64 == map_hash(seeds[0], bytes_str(key)) % 64;
		}
		CHECK(i == 0 ? same == 1000 : same < 60);
		while ((e = map_next(&m, &place))) {
			snprintf(key, sizeof(key), "%zu", at++);
			CHECK(bytes_equal(bytes_of(e->key, e->key_size), bytes_str(key)));
		}
		CHECK_EQ(at, 1000);
		map_fini(&m);
	}
}
