/*
 * offset_expire: see the header. Calls offsets.h and what a group's kind says of its members.
 *
 * The walk over all groups is cut into steps of WALK_OFFSETS offsets, so that a million of them do not hold the shard.
 */
#include "group/offset_expire.h"

#include "base/alloc.h"
#include "base/mutant.h"
#include "base/saturate.h"
#include "group/classic.h"
#include "group/offset_record.h"
#include "metadata/image.h"

#define WALK_OFFSETS 20000
/* One more than its offsets, so that groups without any count as well. */
#define WALK_GROUP 1

/* Partitions of one topic, kept aside while the topic changes. */
struct expired {
	int32_t *partitions;
	size_t count;
	size_t capacity;
};

static void note_partition(struct expired *e, int32_t partition)
{
	e->partitions = mem_grow(e->partitions, &e->capacity, e->count + 1, sizeof(*e->partitions));
	e->partitions[e->count++] = partition;
}

static void forget_noted(struct groups *all, struct group *g, struct step *s, struct bytes topic, struct expired *e)
{
	/* The name may go with its last partition. */
	struct bytes name = bytes_of(mem_dup(topic.data, topic.size), topic.size);

	for (size_t i = 0; i < e->count; i++)
		offset_forget(all, g, s, name, e->partitions[i]);
	e->count = 0;
	mem_free((void *)name.data);
}

/* --- age ------------------------------------------------------------------------------------------------------------- */

static bool is_over(const struct groups *all, const struct group *g, enum offset_age age, const struct offset_value *v,
		    int64_t wall_ms)
{
	int64_t since_ms = v->commit_ms;

	if (v->expire_ms != OFFSET_NEVER_EXPIRES)
		return wall_ms >= v->expire_ms;
	if (age == OFFSETS_AGE_SINCE_EMPTY && g->kind->empty_since_ms(g) != -1)
		since_ms = g->kind->empty_since_ms(g);
	return saturating_add(since_ms, all->options->offsets_retention_ms) <= wall_ms;
}

static void expire_topic(struct groups *all, struct group *g, struct step *s, const struct topic_offsets *t,
			 enum offset_age age, struct expired *e)
{
	for (size_t i = 0; i < t->count; i++) {
		struct offset_value v = offset_value(t, &t->offsets[i]);

		if (is_over(all, g, age, &v, s->wall_ms) &&
		    !offsets_pending(g, t->topic->name, t->offsets[i].partition))
			note_partition(e, t->offsets[i].partition);
	}
	all->figures.expired_offsets += e->count;
	if (e->count)
		forget_noted(all, g, s, t->topic->name, e);
}

static void expire_offsets(struct groups *all, struct group *g, struct step *s)
{
	enum offset_age age = g->kind->offset_age(g);
	struct expired e = {0};

	if (age == OFFSETS_NEVER_EXPIRE && !MUTANT(ACTIVE_OFFSETS_EXPIRE))
		return;
	/* From the end: a topic goes with its last offset. */
	for (size_t i = g->offsets.topic_count; i > 0; i--) {
		const struct topic_offsets *t = g->offsets.topics[i - 1];

		if (!g->kind->subscribed(g, t->topic->name) || MUTANT(ACTIVE_OFFSETS_EXPIRE))
			expire_topic(all, g, s, t, age, &e);
	}
	mem_free(e.partitions);
}

/* Nobody is in it or about to be, and nothing is kept for anybody. */
static bool is_forgotten(const struct group *g)
{
	return g->kind->empty(g) && g->offsets.count == 0 && list_empty(&g->pending) &&
	       !(g->kind->classic && g->classic->pending_count > 0);
}

void offset_expiry_start(struct groups *all, const struct step *s)
{
	group_timer_set(all, &all->expiry,
			saturating_add(s->now_ms, all->options->offsets_retention_check_interval_ms));
}

void offset_expiry_fire(struct groups *all, struct group_timer *t, struct step *s)
{
	const struct map_entry *e;
	size_t walked = 0;

	while (walked < WALK_OFFSETS && (e = map_next(&all->by_id, &all->expiry_place))) {
		struct group *g = e->value;

		walked += WALK_GROUP + g->offsets.count;
		expire_offsets(all, g, s);
		if (!is_forgotten(g))
			continue;
		g->kind->put_tombstones(g, s);
		groups_remove(all, g);
	}
	if (walked >= WALK_OFFSETS) {
		group_timer_set(all, t, saturating_add(s->now_ms, 1));
		return;
	}
	all->expiry_place = 0;
	offset_expiry_start(all, s);
}

/* --- topics ---------------------------------------------------------------------------------------------------------- */

void offset_topics_loaded(struct groups *all, const struct image *image)
{
	size_t place = 0;

	for (const struct map_entry *e; (e = map_next(&all->topics.by_name, &place));)
		topic_name_look(&all->topics, ((struct topic_name *)e->value)->name, image);
}

static void note_topic(struct expired *e, const struct topic_offsets *t)
{
	for (size_t i = 0; t && i < t->count; i++)
		note_partition(e, t->offsets[i].partition);
}

/* Whatever stands in its log, an offset of it means nothing in another one. */
static void forget_topic(struct groups *all, struct step *s, struct bytes topic)
{
	struct expired e = {0};
	size_t place = 0;

	for (const struct map_entry *entry; (entry = map_next(&all->by_id, &place));) {
		struct group *g = entry->value;

		note_topic(&e, offsets_of_topic(&g->offsets, topic));
		list_for_each(&g->pending, node) note_topic(
			&e, offsets_of_topic(&container_of(node, struct pending_offsets, in_group)->offsets, topic));
		forget_noted(all, g, s, topic, &e);
	}
	mem_free(e.partitions);
}

void offset_topics_changed(struct groups *all, struct step *s)
{
	size_t place = 0;

	for (const struct map_entry *e; (e = map_next(&all->topics.by_name, &place));) {
		struct topic_name *t = e->value;
		const struct image_topic *there = image_topic_by_name(s->image, t->name);
		bool gone = !uuid_is_zero(t->id) && (!there || !uuid_equal(there->id, t->id));
		struct bytes name;

		if (there && !gone) {
			t->id = there->id;
			continue;
		}
		if (!gone)
			continue;
		name = bytes_of(mem_dup(t->name.data, t->name.size), t->name.size);
		forget_topic(all, s, name); /* and with its last offset its name */
		mem_free((void *)name.data);
	}
}
