/*
 * observe_groups: what /metrics shows of groups: the sums of all, and of the first metrics.groups.max where they stand in each partition.
 *
 *      first tour    each shard: the groups that it coordinates, and what they have committed ---> group_look, in its arena
 *      second tour   each shard: where the logs that live there end (observe_shard does the rest of its work meanwhile)
 *      at home       lag = end - committed, as text
 *
 * Bounded: so many groups, LAGS_MAX partitions in all, and the arena; what comes beyond is counted. Reads only, and may be ahead of what is
 * committed: these are figures, no answers.
 */
#include <stdio.h>

#include "broker/broker_own.h"
#include "broker/observe.h"

#define LAGS_MAX 2000
#define ARENA_MAX ((size_t)4 * 1024 * 1024)
#define LABELS_MAX ((size_t)2048)
/* How many are put on the page before others may work. */
#define PUT_AT_ONCE 250

struct watched_group {
	struct watched_group *next;
	struct bytes id;
	size_t members;
};

struct watched_offset {
	struct watched_offset *next;
	const struct watched_group *group;
	struct bytes topic;
	struct uuid topic_id; /* zero: there is none of that name */
	int32_t partition;
	int64_t offset;
	int64_t end; /* -1: not known */
};

void group_look_init(struct group_look *g, int32_t groups_max)
{
	*g = (struct group_look){.groups_max = groups_max};
	arena_init(&g->arena, ARENA_MAX);
}

void group_look_fini(struct group_look *g)
{
	arena_fini(&g->arena);
}

/* --- on the coordinators' shards ------------------------------------------------------------------------------------- */

static struct watched_group *watch_group(struct group_look *look, const struct group_walk *w)
{
	struct watched_group *g = look->group_count < look->groups_max ? arena_new(&look->arena, struct watched_group)
								       : NULL;

	if (!g || (w->id.size > 0 && bytes_is_null(g->id = arena_copy(&look->arena, w->id)))) {
		look->left_out++;
		return NULL;
	}
	g->members = w->members;
	g->next = look->groups;
	look->groups = g;
	look->group_count++;
	return g;
}

/* Offsets of a group come topic by topic: the name is copied once. */
static void watch_offset(struct group_look *look, const struct image *image, const struct watched_group *g,
			 const struct group_walk *w)
{
	struct watched_offset *before = look->offsets, *o;
	bool same_topic = before && before->group == g && bytes_equal(before->topic, w->topic);

	o = look->offset_count < LAGS_MAX ? arena_new(&look->arena, struct watched_offset) : NULL;
	if (!o) {
		look->left_out++;
		return;
	}
	*o = (struct watched_offset){
		.next = before, .group = g, .partition = w->partition, .offset = w->offset, .end = -1};
	if (same_topic) {
		o->topic = before->topic;
		o->topic_id = before->topic_id;
	} else {
		const struct image_topic *t = image_topic_by_name(image, w->topic);

		o->topic = arena_copy(&look->arena, w->topic);
		if (t)
			o->topic_id = t->id;
		if (bytes_is_null(o->topic)) {
			look->left_out++;
			return;
		}
	}
	look->offsets = o;
	look->offset_count++;
}

static void watch_state(struct group_look *look, const struct image *image, const struct groups *state)
{
	struct group_figures f;
	struct group_walk w = {0};

	group_figures(state, &f);
	for (size_t i = 0; i <= GROUP_FIGURES_OTHER; i++)
		look->sums.groups_in_state[i] += f.groups_in_state[i];
	look->sums.members += f.members;
	look->sums.offsets += f.offsets;
	look->sums.pending_offsets += f.pending_offsets;
	look->sums.rebalances += f.rebalances;
	look->sums.commits += f.commits;
	look->sums.expired_offsets += f.expired_offsets;
	look->sums.expired_members += f.expired_members;
	while (look->groups_max > 0 && group_walk_next(state, &w)) {
		const struct watched_group *g = watch_group(look, &w);

		while (g && group_walk_offset(&w))
			watch_offset(look, image, g, &w);
	}
}

void observe_groups_collect(struct broker_part *part, struct group_look *look)
{
	const struct coordinator *c = part->opened ? part->shard.coordinators[INTERNAL_GROUPS] : NULL;

	for (int32_t i = 0; c && (i = coordinator_next(c, i)) >= 0; i++) {
		const struct groups *state = coordinator_state(c, i);

		if (state)
			watch_state(look, part->shard.image, state);
	}
}

/* --- on the partitions' shards --------------------------------------------------------------------------------------- */

void observe_groups_measure(struct broker_part *part, struct group_look *look)
{
	unsigned shard = shard_index(part->shard.shard);

	for (struct watched_offset *o = look->offsets; o && part->opened; o = o->next) {
		const struct partition *p;

		if (uuid_is_zero(o->topic_id) ||
		    partition_shard_index(o->topic_id, o->partition, part->shard.broker->shard_count) != shard)
			continue;
		p = replicas_find(part->shard.replicas, o->topic_id, o->partition);
		if (p && p->log)
			o->end = p->high_watermark;
	}
}

/* --- at home --------------------------------------------------------------------------------------------------------- */

static void put(struct metrics_page *page, enum observed what, const struct buf *labels, int64_t value)
{
	metrics_put(page, &observed_metrics[what], labels ? buf_bytes(labels) : bytes_empty(), value);
}

static void put_sums(struct metrics_page *page, const struct group_look *look, struct buf *labels)
{
	static const char *const states[GROUP_FIGURES_OTHER + 1] = {
		"Empty", "PreparingRebalance", "CompletingRebalance", "Stable", "(consumer protocol)"};
	const struct group_figures *f = &look->sums;

	for (size_t i = 0; i <= GROUP_FIGURES_OTHER; i++) {
		buf_reset(labels);
		metrics_label(labels, "state", bytes_str(states[i]));
		put(page, OBSERVED_GROUPS, labels, (int64_t)f->groups_in_state[i]);
	}
	put(page, OBSERVED_GROUP_MEMBERS, NULL, (int64_t)f->members);
	put(page, OBSERVED_GROUP_OFFSETS, NULL, (int64_t)f->offsets);
	put(page, OBSERVED_GROUP_PENDING_OFFSETS, NULL, (int64_t)f->pending_offsets);
	put(page, OBSERVED_GROUP_REBALANCES, NULL, (int64_t)f->rebalances);
	put(page, OBSERVED_GROUP_COMMITS, NULL, (int64_t)f->commits);
	put(page, OBSERVED_GROUP_EXPIRED_OFFSETS, NULL, (int64_t)f->expired_offsets);
	put(page, OBSERVED_GROUP_EXPIRED_MEMBERS, NULL, (int64_t)f->expired_members);
	put(page, OBSERVED_GROUPS_LEFT_OUT, NULL, (int64_t)look->left_out);
}

static void put_offset(struct metrics_page *page, const struct watched_offset *o, struct buf *labels)
{
	int64_t lag = o->end > o->offset ? o->end - o->offset : 0;
	char partition[16];

	snprintf(partition, sizeof(partition), "%d", o->partition);
	buf_reset(labels);
	metrics_label(labels, "consumergroup", o->group->id);
	metrics_label(labels, "topic", o->topic);
	put(page, OBSERVED_KAFKA_OFFSET_SUM, labels, o->offset);
	if (o->end >= 0)
		put(page, OBSERVED_KAFKA_LAG_SUM, labels, lag);
	metrics_label(labels, "partition", bytes_str(partition));
	put(page, OBSERVED_KAFKA_OFFSET, labels, o->offset);
	if (o->end >= 0)
		put(page, OBSERVED_KAFKA_LAG, labels, lag);
}

void observe_groups_put_await(struct fiber *self, struct metrics_page *page, const struct group_look *look)
{
	struct buf labels;
	size_t count = 0;

	buf_init(&labels, LABELS_MAX);
	put_sums(page, look, &labels);
	for (const struct watched_group *g = look->groups; g; g = g->next) {
		buf_reset(&labels);
		metrics_label(&labels, "consumergroup", g->id);
		put(page, OBSERVED_KAFKA_MEMBERS, &labels, (int64_t)g->members);
		if (++count % PUT_AT_ONCE == 0)
			fiber_yield_await(self);
	}
	for (const struct watched_offset *o = look->offsets; o; o = o->next) {
		put_offset(page, o, &labels);
		if (++count % PUT_AT_ONCE == 0)
			fiber_yield_await(self);
	}
	buf_fini(&labels);
}
