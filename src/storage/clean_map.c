/* clean_map: see clean_map.h. Pure; uses base only. */
#include "storage/clean_map.h"

#include "base/alloc.h"

#define LEAST_SLOTS 16

/* --- the hash ----------------------------------------------------------------------------------------------------- */

struct sip {
	uint64_t v0, v1, v2, v3;
};

static uint64_t rotate(uint64_t x, unsigned by)
{
	return x << by | x >> (64 - by);
}

static void rounds(struct sip *s, int count)
{
	while (count-- > 0) {
		s->v0 += s->v1;
		s->v1 = rotate(s->v1, 13) ^ s->v0;
		s->v0 = rotate(s->v0, 32);
		s->v2 += s->v3;
		s->v3 = rotate(s->v3, 16) ^ s->v2;
		s->v0 += s->v3;
		s->v3 = rotate(s->v3, 21) ^ s->v0;
		s->v2 += s->v1;
		s->v1 = rotate(s->v1, 17) ^ s->v2;
		s->v2 = rotate(s->v2, 32);
	}
}

static uint64_t little_endian(const uint8_t *at, size_t size)
{
	uint64_t word = 0;

	for (size_t i = 0; i < size; i++)
		word |= (uint64_t)at[i] << (8 * i);
	return word;
}

static void take_word(struct sip *s, uint64_t word)
{
	s->v3 ^= word;
	rounds(s, 2);
	s->v0 ^= word;
}

void clean_map_hash(const uint64_t secret[static 2], struct bytes key, uint64_t ret_hash[static 2])
{
	struct sip s = {
		.v0 = 0x736f6d6570736575u ^ secret[0],
		.v1 = 0x646f72616e646f6du ^ secret[1] ^ 0xee,
		.v2 = 0x6c7967656e657261u ^ secret[0],
		.v3 = 0x7465646279746573u ^ secret[1],
	};
	size_t at = 0;

	for (; key.size - at >= 8; at += 8)
		take_word(&s, little_endian(key.data + at, 8));
	take_word(&s, (uint64_t)key.size << 56 | little_endian(key.data + at, key.size - at));
	s.v2 ^= 0xee;
	rounds(&s, 4);
	ret_hash[0] = s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
	s.v1 ^= 0xdd;
	rounds(&s, 4);
	ret_hash[1] = s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}

/* --- the table ---------------------------------------------------------------------------------------------------- */

enum err clean_map_init(struct clean_map *m, size_t max_bytes, double load_factor, uint64_t keys,
			const uint64_t secret[static 2])
{
	size_t most = max_bytes / CLEAN_MAP_SLOT_SIZE, slots;
	double wanted;

	_Static_assert(sizeof(struct clean_slot) == CLEAN_MAP_SLOT_SIZE, "the stated memory of a key");
	if (load_factor < 0.1 || load_factor > 0.95)
		load_factor = 0.9;
	wanted = (double)keys / load_factor + 1;
	slots = wanted < (double)most ? (size_t)wanted : most;
	if (slots < LEAST_SLOTS)
		slots = LEAST_SLOTS;
	*m = (struct clean_map){.slot_count = slots, .secret = {secret[0], secret[1]}};
	m->max_keys = (size_t)((double)slots * load_factor);
	m->slots = mem_try_alloc(slots * sizeof(*m->slots));
	if (!m->slots)
		return ERR_NO_MEMORY;
	memset(m->slots, 0, slots * sizeof(*m->slots));
	return OK;
}

void clean_map_fini(struct clean_map *m)
{
	mem_free(m->slots);
	*m = (struct clean_map){0};
}

/* Where the key is, or would be. */
static struct clean_slot *slot_of(const struct clean_map *m, const uint64_t hash[static 2])
{
	size_t at = (size_t)(((unsigned __int128)hash[0] * m->slot_count) >> 64);

	while (m->slots[at].offset_plus_one && (m->slots[at].hash[0] != hash[0] || m->slots[at].hash[1] != hash[1]))
		at = at + 1 < m->slot_count ? at + 1 : 0;
	return &m->slots[at];
}

bool clean_map_put(struct clean_map *m, struct bytes key, int64_t offset)
{
	uint64_t hash[2];
	struct clean_slot *s;

	must(offset >= 0);
	clean_map_hash(m->secret, key, hash);
	s = slot_of(m, hash);
	if (!s->offset_plus_one) {
		if (m->count >= m->max_keys)
			return false;
		m->count++;
	}
	*s = (struct clean_slot){{hash[0], hash[1]}, (uint64_t)offset + 1};
	return true;
}

int64_t clean_map_get(const struct clean_map *m, struct bytes key)
{
	uint64_t hash[2];

	clean_map_hash(m->secret, key, hash);
	return (int64_t)slot_of(m, hash)->offset_plus_one - 1;
}
