/*
 * map: a hash map from bytes to a pointer. Iteration is in order of insertion (removal keeps the order of the rest), so it
 * is the same in every run: the simulator relies on that. Keys are copied; values are borrowed.
 *
 * Where others choose the keys (names in requests, addresses), the map gets a seed that they cannot know (map_init_seeded): else they could choose
 * keys that all fall on one place. The order of iteration does not depend on it.
 */
#ifndef BASE_MAP_H
#define BASE_MAP_H

#include "base/bytes.h"

struct map_entry {
	void *value; /* NULL: removed */
	uint64_t hash;
	size_t key_size;
	uint8_t *key;
};

struct map_seed {
	uint64_t words[2];
};

struct map {
	struct map_entry *entries; /* in order of insertion, with holes where one was removed */
	size_t entry_count;
	size_t entry_capacity;
	size_t count;      /* without holes */
	uint32_t *slots;   /* entry index + 1; 0 empty; UINT32_MAX removed */
	size_t slot_count; /* a power of two */
	size_t slots_used;
	struct map_seed seed;
};

/* For keys of our own. */
void map_init(struct map *m);
/* For keys of others. */
void map_init_seeded(struct map *m, struct map_seed seed);
/* The hash of both, SipHash-1-3 (Aumasson and Bernstein): what it gives for a key cannot be told without the seed. */
uint64_t map_hash(struct map_seed seed, struct bytes key);
void map_fini(struct map *m);
void *map_get(const struct map *m, struct bytes key);
/* Sets key to `value` (not NULL); returns the value it had before, NULL when none. */
void *map_put(struct map *m, struct bytes key, void *value);
/* Removes it and returns its value; NULL when it was not there. */
void *map_remove(struct map *m, struct bytes key);

static inline struct bytes map_key_u64(const uint64_t *key)
{
	return bytes_of(key, sizeof(*key));
}

/* The next entry from `*place` on (start with 0); NULL at the end. The current entry may be removed meanwhile, none added. */
const struct map_entry *map_next(const struct map *m, size_t *place);

#endif
