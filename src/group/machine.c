/*
 * machine: the groups of a partition as a machine (coordinator/machine.h): replaying, time, the image, giving up. A record's type says who replays it:
 *
 *      0, 1    offsets            offset_record.c
 *      2       classic groups     classic_record.c
 *      3-8, 16 consumer groups    consumer_record.c
 *      others  passed over
 */
#include "coordinator/machine.h"

#include "group/classic.h"
#include "group/consumer_record.h"
#include "group/offset_expire.h"
#include "group/offset_record.h"

/* What the codec may take for one record: arrays of structs are larger than their bytes. */
#define RECORD_ARENA_PER_BYTE 32
#define RECORD_ARENA_LEAST ((size_t)64 * 1024)

enum err record_key(const struct group_record *r, const struct message_type *t, void *ret_key)
{
	struct reader from = reader_of(r->key);

	return message_decode(t, 0, &from, r->arena, ret_key) ? ERR_CORRUPT : OK;
}

enum err record_value(const struct group_record *r, const struct message_type *t, void *ret_value)
{
	struct reader from = reader_of(r->value);

	return message_decode(t, r->version, &from, r->arena, ret_value) ? ERR_CORRUPT : OK;
}

static enum err replay_one(struct groups *all, const struct group_record *r)
{
	switch (r->type) {
	case 0:
		return offset_replay_legacy(all, r);
	case 1:
		return offset_replay(all, r);
	case 2:
		return classic_replay(all, r);
	default:
		return consumer_replay(all, r);
	}
}

static enum err replay(void *state, const struct replayed *from)
{
	struct groups *all = state;
	struct reader key = reader_of(from->key), value = reader_of(from->value);
	struct group_record r = {.from = from, .type = reader_i16(&key), .tombstone = bytes_is_null(from->value)};
	struct arena arena;
	enum err error;

	if (!r.tombstone)
		r.version = reader_i16(&value);
	if (key.error || value.error)
		return ERR_CORRUPT;
	r.key = bytes_of(key.at, reader_left(&key));
	r.value = bytes_of(value.at, reader_left(&value));
	if (from->offset >= all->next_order)
		all->next_order = from->offset + 1;
	arena_init(&arena, RECORD_ARENA_LEAST + from->value.size * RECORD_ARENA_PER_BYTE);
	r.arena = &arena;
	error = replay_one(all, &r);
	arena_fini(&arena);
	return error;
}

static void replay_marker(void *state, const struct end_marker *m)
{
	transaction_end(state, m->producer_id, m->committed);
}

static void loaded(void *state, struct step *s)
{
	struct groups *all = state;
	size_t place = 0;

	offset_topics_loaded(all, s->image);
	offset_expiry_start(all, s);
	for (const struct map_entry *e; (e = map_next(&all->by_id, &place));) {
		struct group *g = e->value;

		g->kind->loaded(all, g, s);
	}
}

static int64_t deadline_ms(const void *state)
{
	const struct groups *all = state;
	const struct heap_node *first = heap_first(&all->timers);

	return first ? first->key : MACHINE_NO_DEADLINE;
}

static void tick(void *state, struct step *s)
{
	struct groups *all = state;
	struct heap_node *first;

	while ((first = heap_first(&all->timers)) && first->key <= s->now_ms) {
		struct group_timer *t = container_of(first, struct group_timer, node);

		heap_remove(&all->timers, first);
		t->fire(all, t, s);
	}
}

static void image_changed(void *state, struct step *s)
{
	struct groups *all = state;
	size_t place = 0;

	offset_topics_changed(all, s);
	for (const struct map_entry *e; (e = map_next(&all->by_id, &place));) {
		struct group *g = e->value;

		if (g->kind->image_changed)
			g->kind->image_changed(all, g, s);
	}
}

/* Only members of classic groups wait. */
static void abandon(void *state, struct coordinator_call *c, struct step *s)
{
	classic_abandon(state, c->waiter, s);
}

static void give_up(void *state, enum err why, struct step *s)
{
	struct groups *all = state;
	size_t place = 0;

	for (const struct map_entry *e; (e = map_next(&all->by_id, &place));) {
		struct group *g = e->value;

		g->kind->give_up(g, why, s);
	}
}

static void free_state(void *state)
{
	groups_free(state);
}

const struct machine_ops group_machine = {
	.name = "group",
	.replay = replay,
	.replay_marker = replay_marker,
	.loaded = loaded,
	.deadline_ms = deadline_ms,
	.tick = tick,
	.image_changed = image_changed,
	.abandon = abandon,
	.give_up = give_up,
	.free = free_state,
};
