/*
 * toy: for tests and benches: the smallest machine with everything in it. It holds the offsets of (topic, partition) as OffsetCommit records
 * say them, sums up what it was told at its ends, and lets calls wait.
 */
#ifndef COORDINATOR_TOY_H
#define COORDINATOR_TOY_H

#include <string.h>

#include "base/alloc.h"
#include "base/map.h"
#include "base/reader.h"
#include "coordinator/coordinator.h"
#include "protocol/messages.h"
#include "record/batch.h"

struct toy_entry {
	int64_t offset;
	int64_t producer_id; /* pending in its transaction */
};

struct toy {
	struct map entries;  /* topic -> struct toy_entry */
	struct list waiting; /* of struct toy_call */
	int64_t tick_at_ms;
	size_t replayed;
	size_t markers;
	bool *alive; /* false once it was freed; may be NULL */
};

struct toy_call {
	struct coordinator_call call;
	const char *topic;
	int64_t offset;    /* to set; or what was found: -1 when nothing */
	size_t more_bytes; /* of metadata, to make it large */
	unsigned records;  /* 0: one */
	bool finished;
	unsigned *order; /* counts those that were finished */
	unsigned finished_at;
};

static inline struct toy *toy_new(void)
{
	struct toy *t = mem_new(struct toy);

	map_init(&t->entries);
	list_init(&t->waiting);
	t->tick_at_ms = MACHINE_NO_DEADLINE;
	return t;
}

static inline struct toy_entry *toy_entry(struct toy *t, struct bytes topic)
{
	struct toy_entry *e = map_get(&t->entries, topic);

	if (!e) {
		e = mem_new(struct toy_entry);
		e->producer_id = NO_PRODUCER_ID;
		(void)map_put(&t->entries, topic, e);
	}
	return e;
}

static inline enum err toy_replay(void *state, const struct replayed *r)
{
	struct toy *t = state;
	struct offset_commit_key key;
	struct offset_commit_value value;
	struct reader from;
	struct arena arena;
	struct toy_entry *e;

	t->replayed++;
	from = reader_of(r->key);
	if (reader_i16(&from) != offset_commit_key_type.key)
		return OK;
	arena_init(&arena, 1000);
	if (message_decode(&offset_commit_key_type, 0, &from, &arena, &key))
		return ERR_CORRUPT;
	if (bytes_is_null(r->value)) {
		mem_free(map_remove(&t->entries, key.topic));
		return OK;
	}
	from = reader_of(r->value);
	if (message_decode(&offset_commit_value_type, reader_i16(&from), &from, &arena, &value))
		return ERR_CORRUPT;
	e = toy_entry(t, key.topic);
	e->offset = value.offset;
	e->producer_id = r->producer_id;
	arena_fini(&arena);
	return OK;
}

static inline void toy_replay_marker(void *state, const struct end_marker *m)
{
	struct toy *t = state;
	size_t place = 0;
	const struct map_entry *entry;

	t->markers++;
	while ((entry = map_next(&t->entries, &place))) {
		struct toy_entry *e = entry->value;

		if (e->producer_id != m->producer_id)
			continue;
		e->producer_id = NO_PRODUCER_ID;
		if (!m->committed)
			e->offset = -1;
	}
}

static inline void toy_loaded(void *state, struct step *out)
{
	(void)state;
	(void)out;
}

static inline int64_t toy_deadline_ms(const void *state)
{
	return ((const struct toy *)state)->tick_at_ms;
}

/* Whoever waits has waited long enough. */
static inline void toy_tick(void *state, struct step *out)
{
	struct toy *t = state;
	struct list_node *n;

	t->tick_at_ms = MACHINE_NO_DEADLINE;
	while ((n = list_pop_front(&t->waiting)))
		step_answer(out, container_of(n, struct coordinator_call, node));
}

static inline void toy_abandon(void *state, struct coordinator_call *c, struct step *out)
{
	(void)state;
	list_remove(&c->node);
	c->error = ERR_REQUEST_TIMED_OUT;
	step_answer(out, c);
}

static inline void toy_give_up(void *state, enum err why, struct step *out)
{
	struct toy *t = state;
	struct list_node *n;

	while ((n = list_pop_front(&t->waiting))) {
		struct coordinator_call *c = container_of(n, struct coordinator_call, node);

		c->error = why;
		step_answer(out, c);
	}
}

static inline void toy_free(void *state)
{
	struct toy *t = state;
	size_t place = 0;
	const struct map_entry *entry;

	while ((entry = map_next(&t->entries, &place)))
		mem_free(entry->value);
	map_fini(&t->entries);
	mem_free(t);
}

static const struct machine_ops toy_ops = {
	.name = "toys",
	.replay = toy_replay,
	.replay_marker = toy_replay_marker,
	.loaded = toy_loaded,
	.deadline_ms = toy_deadline_ms,
	.tick = toy_tick,
	.abandon = toy_abandon,
	.give_up = toy_give_up,
	.free = toy_free,
};

static inline struct offset_commit_key toy_key(const char *topic)
{
	return (struct offset_commit_key){.group = bytes_str("g"), .topic = bytes_str(topic), .partition = 0};
}

/* The requests. */
static inline void toy_set(void *state, struct step *s, struct coordinator_call *c)
{
	struct toy_call *t = container_of(c, struct toy_call, call);
	struct offset_commit_key key = toy_key(t->topic);
	struct offset_commit_value value;
	char *metadata = mem_zalloc(t->more_bytes + 1);

	memset(metadata, 'm', t->more_bytes);
	message_init(&offset_commit_value_type, &value);
	value.offset = t->offset;
	value.commit_timestamp = s->wall_ms;
	value.metadata = bytes_of((const uint8_t *)metadata, t->more_bytes);
	for (unsigned i = 0; i < (t->records ? t->records : 1); i++)
		step_put(s, &offset_commit_key_type, &key, &offset_commit_value_type, 3, &value);
	mem_free(metadata);
	*toy_entry(state, bytes_str(t->topic)) = (struct toy_entry){.offset = t->offset, .producer_id = s->producer_id};
	step_answer(s, c);
}

static inline void toy_get(void *state, struct step *s, struct coordinator_call *c)
{
	struct toy_call *t = container_of(c, struct toy_call, call);
	const struct toy_entry *e = map_get(&((struct toy *)state)->entries, bytes_str(t->topic));

	t->offset = e ? e->offset : -1;
	step_answer(s, c);
}

/* As many as there are. */
static inline void toy_count(void *state, struct step *s, struct coordinator_call *c)
{
	container_of(c, struct toy_call, call)->offset = (int64_t)((struct toy *)state)->entries.count;
	step_answer(s, c);
}

/* Until the time that the call's offset says, in milliseconds from now; negative: until it is given up. */
static inline void toy_wait(void *state, struct step *s, struct coordinator_call *c)
{
	struct toy *t = state;
	int64_t ms = container_of(c, struct toy_call, call)->offset;

	list_push_back(&t->waiting, &c->node);
	if (ms >= 0)
		t->tick_at_ms = s->now_ms + ms;
}

#endif
