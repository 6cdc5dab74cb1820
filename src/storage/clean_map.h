/*
 * clean_map: for each key, the last offset at which it was seen; in bounded memory, for one pass of the log cleaner.
 *
 * Keys are not kept, only 128 bits of a keyed hash of each (SipHash-2-4-128; the key is drawn anew for each pass, so nobody can make two
 * keys collide on purpose). A slot takes 24 bytes and nine of ten are filled: 39,321 keys a MiB. By chance, two of a billion keys fall
 * together with a probability of 1 in 10^21.
 * Invariants: memory is what clean_map_init took; a full map takes no new key, but still moves known ones.
 * Pure: may be used by a helper thread, by one at a time.
 */
#ifndef STORAGE_CLEAN_MAP_H
#define STORAGE_CLEAN_MAP_H

#include "base/bytes.h"
#include "base/err.h"

#define CLEAN_MAP_SLOT_SIZE 24

struct clean_slot {
	uint64_t hash[2];
	uint64_t offset_plus_one; /* 0: free */
};

struct clean_map {
	struct clean_slot *slots;
	size_t slot_count;
	size_t max_keys;
	size_t count;
	uint64_t secret[2];
};

/*
 * Room for `keys` keys, but at most `max_bytes` of memory, of which `load_factor` may be filled. ERR_NO_MEMORY when it cannot be had;
 * at least a handful of keys always fit.
 */
enum err clean_map_init(struct clean_map *m, size_t max_bytes, double load_factor, uint64_t keys,
			const uint64_t secret[static 2]) MUST_CHECK;
void clean_map_fini(struct clean_map *m);
/* Offsets of a key only grow. False when it is a new key and the map is full. */
bool clean_map_put(struct clean_map *m, struct bytes key, int64_t offset);
/* -1 when the key is not in it. */
int64_t clean_map_get(const struct clean_map *m, struct bytes key);
/* SipHash-2-4 with 128 bits of output, as its authors define it. */
void clean_map_hash(const uint64_t secret[static 2], struct bytes key, uint64_t ret_hash[static 2]);

#endif
