/* map: see the header. Open addressing over indexes into an array of entries, as Python's dict since 3.6 does. */
#include "base/map.h"

#include "base/alloc.h"

#define SLOT_EMPTY 0U
#define SLOT_REMOVED UINT32_MAX

void map_init(struct map *m)
{
	*m = (struct map){0};
}

void map_init_seeded(struct map *m, struct map_seed seed)
{
	*m = (struct map){.seed = seed};
}

void map_fini(struct map *m)
{
	for (size_t i = 0; i < m->entry_count; i++)
		mem_free(m->entries[i].key);
	mem_free(m->entries);
	mem_free(m->slots);
	map_init_seeded(m, m->seed);
}

/* The same on every machine; compilers see that it is one load. */
static uint64_t le64_of(const uint8_t *at)
{
	uint64_t word = 0;

	for (int i = 0; i < 8; i++)
		word |= (uint64_t)at[i] << (i * 8);
	return word;
}

static uint64_t rotate(uint64_t x, unsigned by)
{
	return x << by | x >> (64 - by);
}

static void sip_round(uint64_t v[static 4])
{
	v[0] += v[1];
	v[1] = rotate(v[1], 13) ^ v[0];
	v[0] = rotate(v[0], 32);
	v[2] += v[3];
	v[3] = rotate(v[3], 16) ^ v[2];
	v[0] += v[3];
	v[3] = rotate(v[3], 21) ^ v[0];
	v[2] += v[1];
	v[1] = rotate(v[1], 17) ^ v[2];
	v[2] = rotate(v[2], 32);
}

static void sip_take(uint64_t v[static 4], uint64_t word)
{
	v[3] ^= word;
	sip_round(v);
	v[0] ^= word;
}

/* The last 0 to 7 bytes, little end first, and above them the key's size. */
static uint64_t sip_tail(struct bytes key)
{
	uint64_t word = (uint64_t)key.size << 56;

	for (size_t i = key.size / 8 * 8; i < key.size; i++)
		word |= (uint64_t)key.data[i] << (i % 8 * 8);
	return word;
}

uint64_t map_hash(struct map_seed seed, struct bytes key)
{
	/* "somepseudorandomlygeneratedbytes", the constants of its authors. */
	uint64_t v[4] = {seed.words[0] ^ 0x736f6d6570736575ULL, seed.words[1] ^ 0x646f72616e646f6dULL,
			 seed.words[0] ^ 0x6c7967656e657261ULL, seed.words[1] ^ 0x7465646279746573ULL};

	for (size_t i = 0; i < key.size / 8; i++)
		sip_take(v, le64_of(key.data + i * 8));
	sip_take(v, sip_tail(key));
	v[2] ^= 0xff;
	for (int i = 0; i < 3; i++)
		sip_round(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

static uint64_t hash_of(const struct map *m, struct bytes key)
{
	return map_hash(m->seed, key);
}

/* The slot of `key`, or the slot where it would go; NULL in an empty map. */
static uint32_t *find_slot(const struct map *m, struct bytes key, uint64_t hash)
{
	size_t mask = m->slot_count - 1;
	uint32_t *free_slot = NULL;

	if (!m->slot_count)
		return NULL;
	for (size_t i = (hash >> 20) & mask;; i = (i + 1) & mask) {
		uint32_t *slot = &m->slots[i];
		const struct map_entry *e;

		if (*slot == SLOT_EMPTY)
			return free_slot ? free_slot : slot;
		if (*slot == SLOT_REMOVED) {
			if (!free_slot)
				free_slot = slot;
			continue;
		}
		e = &m->entries[*slot - 1];
		if (e->hash == hash && bytes_equal(bytes_of(e->key, e->key_size), key))
			return slot;
	}
}

static bool holds(const uint32_t *slot)
{
	return slot && *slot != SLOT_EMPTY && *slot != SLOT_REMOVED;
}

/* Closes the holes and lays the slots anew with room for one more entry. */
static void rebuild(struct map *m)
{
	size_t kept = 0, slot_count = 8;

	for (size_t i = 0; i < m->entry_count; i++)
		if (m->entries[i].value)
			m->entries[kept++] = m->entries[i];
	m->entry_count = kept;
	while (slot_count < (kept + 1) * 2)
		slot_count *= 2;
	mem_free(m->slots);
	m->slots = mem_zalloc(slot_count * sizeof(uint32_t));
	m->slot_count = slot_count;
	m->slots_used = kept;
	for (size_t i = 0; i < kept; i++) {
		struct map_entry *e = &m->entries[i];

		*find_slot(m, bytes_of(e->key, e->key_size), e->hash) = (uint32_t)i + 1;
	}
}

void *map_get(const struct map *m, struct bytes key)
{
	const uint32_t *slot = find_slot(m, key, hash_of(m, key));

	return holds(slot) ? m->entries[*slot - 1].value : NULL;
}

void *map_put(struct map *m, struct bytes key, void *value)
{
	uint64_t hash = hash_of(m, key);
	uint32_t *slot = find_slot(m, key, hash);

	must(value);
	if (holds(slot)) {
		void *before = m->entries[*slot - 1].value;

		m->entries[*slot - 1].value = value;
		return before;
	}
	if ((m->slots_used + 1) * 4 > m->slot_count * 3 || m->entry_count > 2 * m->count + 8) {
		rebuild(m);
		slot = find_slot(m, key, hash);
	}
	must(m->entry_count < UINT32_MAX - 1);
	if (*slot == SLOT_EMPTY)
		m->slots_used++;
	m->entries = mem_grow(m->entries, &m->entry_capacity, m->entry_count + 1, sizeof(*m->entries));
	m->entries[m->entry_count++] = (struct map_entry){
		.value = value,
		.hash = hash,
		.key = mem_dup(key.data, key.size),
		.key_size = key.size,
	};
	*slot = (uint32_t)m->entry_count;
	m->count++;
	return NULL;
}

void *map_remove(struct map *m, struct bytes key)
{
	uint32_t *slot = find_slot(m, key, hash_of(m, key));
	struct map_entry *e;
	void *value;

	if (!holds(slot))
		return NULL;
	e = &m->entries[*slot - 1];
	value = e->value;
	mem_free(e->key);
	*e = (struct map_entry){0};
	*slot = SLOT_REMOVED;
	m->count--;
	return value;
}

const struct map_entry *map_next(const struct map *m, size_t *place)
{
	while (*place < m->entry_count) {
		const struct map_entry *e = &m->entries[(*place)++];

		if (e->value)
			return e;
	}
	return NULL;
}
