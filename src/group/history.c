/* history: see the header. */
#include "group/history.h"

#include "base/alloc.h"
#include "group/group.h"

enum { MEMBER_ID, CLIENT_ID, CLIENT_HOST, REASON, TEXT_COUNT };

/* Its texts stand behind it. */
struct history_entry {
	struct group_rebalance what;
};

const char *rebalance_cause_name(enum rebalance_cause cause)
{
	static const char *const names[REBALANCE_CAUSE_COUNT] = {
		[REBALANCE_MEMBER_JOINED] = "a member joined",
		[REBALANCE_MEMBER_LEFT] = "a member left",
		[REBALANCE_SESSION_EXPIRED] = "a member's session expired",
		[REBALANCE_METADATA_CHANGED] = "a member's subscription changed",
		[REBALANCE_LEADER_REJOINED] = "the leader asked for it",
		[REBALANCE_STATIC_REPLACED] = "a static member came back",
		[REBALANCE_SYNC_EXPIRED] = "members did not ask for their assignment",
		[REBALANCE_TOO_LARGE] = "the group was too large",
		[REBALANCE_TOPICS_CHANGED] = "topics changed",
		[REBALANCE_NOT_REVOKED] = "a member did not give up its partitions in time",
	};

	return names[cause];
}

void history_fini(struct history *h)
{
	for (size_t i = 0; i < HISTORY_MAX; i++)
		mem_free(h->entries[i]);
	*h = (struct history){0};
}

static void texts_of(struct group_rebalance *r, struct bytes *ret_texts[TEXT_COUNT])
{
	ret_texts[MEMBER_ID] = &r->member_id;
	ret_texts[CLIENT_ID] = &r->client_id;
	ret_texts[CLIENT_HOST] = &r->client_host;
	ret_texts[REASON] = &r->reason;
}

/* The size of a text that is kept: cut at the beginning of a character, if it is UTF-8. */
static size_t kept_size(struct bytes text)
{
	size_t size = text.size;

	if (size <= HISTORY_TEXT_MAX)
		return size;
	size = HISTORY_TEXT_MAX;
	while (size > HISTORY_TEXT_MAX - 4 && (text.data[size] & 0xc0) == 0x80)
		size--;
	return size;
}

void history_begin(struct history *h, const struct group_rebalance *what)
{
	struct group_rebalance copy = *what;
	struct bytes *texts[TEXT_COUNT];
	struct history_entry *e;
	size_t size = 0;
	uint8_t *at;

	if (h->under_way)
		return;
	texts_of(&copy, texts);
	for (int i = 0; i < TEXT_COUNT; i++)
		size += kept_size(*texts[i]);
	e = mem_alloc(sizeof(*e) + size);
	at = (uint8_t *)(e + 1);
	for (int i = 0; i < TEXT_COUNT; i++) {
		size_t kept = kept_size(*texts[i]);

		if (kept)
			memcpy(at, texts[i]->data, kept);
		*texts[i] = bytes_of(at, kept);
		at += kept;
	}
	copy.took_ms = -1;
	e->what = copy;
	h->newest = (uint8_t)((h->newest + 1) % HISTORY_MAX);
	mem_free(h->entries[h->newest]);
	h->entries[h->newest] = e;
	h->under_way = true;
}

void history_end(struct history *h, int64_t wall_ms, int32_t generation, int32_t members_after)
{
	struct group_rebalance *r;

	if (!h->under_way)
		return;
	r = &h->entries[h->newest]->what;
	r->took_ms = wall_ms > r->began_ms ? wall_ms - r->began_ms : 0;
	r->generation = generation;
	r->members_after = members_after;
	h->under_way = false;
}

bool history_read(const struct history *h, struct arena *a, struct group_rebalance **ret_rebalances, size_t *ret_count)
{
	struct group_rebalance *to;
	size_t count = 0;

	for (size_t i = 0; i < HISTORY_MAX; i++)
		count += h->entries[i] != NULL;
	to = arena_alloc_array(a, count, sizeof(*to));
	if (!to)
		return false;
	for (size_t i = 0; i < count; i++) {
		struct bytes *texts[TEXT_COUNT];

		to[i] = h->entries[(h->newest + HISTORY_MAX - i) % HISTORY_MAX]->what;
		texts_of(&to[i], texts);
		for (int t = 0; t < TEXT_COUNT; t++) {
			*texts[t] = arena_copy(a, *texts[t]);
			if (!texts[t]->data)
				return false;
		}
	}
	*ret_rebalances = to;
	*ret_count = count;
	return true;
}
