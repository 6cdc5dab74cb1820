/*
 * watchdog: a fiber that looks whether what is assigned moves. What has a position and stands still is compared with where its log ends; what
 * lags is asked for anew (a new fetch session, fresh metadata, the group's word once more), and when that does not help the program is told, once,
 * while it goes on (stall.h has the steps).
 */
#include <stdio.h>

#include "base/alloc.h"
#include "client/consumer_own.h"

/* Looks so often within one bound. */
#define LOOKS 4

struct watch {
	struct consumer *consumer;
	int64_t bound_us;
	struct offset_question questions[OFFSET_QUESTIONS_MAX];
	struct consume_partition *asked[OFFSET_QUESTIONS_MAX];
	uint64_t generations[OFFSET_QUESTIONS_MAX];
};

static bool is_watched(const struct consume_partition *p)
{
	return p->assigned && p->state != CONSUME_STOPPED;
}

static int32_t leader_of(const struct consume_partition *p)
{
	const struct cluster_topic *t = p->picture;

	return t->error == OK && p->index < t->partition_count ? t->partitions[p->index].leader : -1;
}

static const char *why(const struct consume_partition *p)
{
	if (leader_of(p) < 0)
		return "it has no leader that is known";
	switch (p->state) {
	case CONSUME_NEEDS_COMMITTED:
		return "the group does not say where it left off";
	case CONSUME_NEEDS_OFFSET:
		return "its leader does not say where it begins";
	case CONSUME_FETCHING:
	case CONSUME_STOPPED:
		break;
	}
	return "its leader sends nothing, though there is more";
}

static void mend(struct consumer *c, struct consume_partition *p)
{
	for (size_t i = 0; i < c->fetcher_count; i++)
		fetcher_start_anew(c->fetchers[i]);
	p->retry_at_us = 0;
	cluster_refresh(c->options.cluster);
	if (p->state == CONSUME_NEEDS_COMMITTED)
		c->options.wants_committed(c->options.group);
	event_signal(&c->changed);
}

static void tell(struct watch *w, struct consume_partition *p, int64_t now_us)
{
	struct fetched *f = fetched_new();

	f->partition = p;
	f->topic = p->picture->name;
	f->partition_index = p->index;
	f->generation = p->generation;
	f->next_offset = p->position;
	f->error = ERR_STALLED;
	snprintf(f->text, sizeof(f->text), "%.200s/%d: nothing came for %lld s: %s; it is tried on", p->picture->name,
		 p->index, (long long)((now_us - p->stall.since_us) / 1000000), why(p));
	w->consumer->options.hand_over(w->consumer->options.user, f);
}

/* There is something to be read, as far as anybody can say. */
static void lags(struct watch *w, struct consume_partition *p, int64_t now_us)
{
	if (stall_step(&p->stall, now_us, w->bound_us) == STALL_TELL) {
		tell(w, p, now_us);
		stall_told(&p->stall, now_us);
	} else {
		stall_mended(&p->stall, now_us);
	}
	mend(w->consumer, p);
}

/* Those of the leader of the first that is found, to be asked where they end. */
static size_t find_silent(struct watch *w, int64_t now_us, int32_t *ret_leader)
{
	struct consumer *c = w->consumer;
	bool is_full = c->outstanding >= (size_t)c->options.config->queued_max_kbytes * 1024;
	const struct map_entry *entry;
	size_t place = 0, count = 0;

	*ret_leader = -1;
	while (count < OFFSET_QUESTIONS_MAX && (entry = map_next(&c->partitions, &place))) {
		struct consume_partition *p = entry->value;

		if (!is_watched(p) || stall_step(&p->stall, now_us, w->bound_us) == STALL_NONE)
			continue;
		/* The program does not read: nothing is fetched meanwhile. */
		if (is_full) {
			stall_moved(&p->stall, now_us);
			continue;
		}
		if (p->state != CONSUME_FETCHING || leader_of(p) < 0) {
			lags(w, p, now_us);
			continue;
		}
		if (count > 0 && leader_of(p) != *ret_leader)
			continue;
		*ret_leader = leader_of(p);
		w->asked[count] = p;
		w->generations[count] = p->generation;
		w->questions[count++] = (struct offset_question){
			.topic = p->picture, .partition = p->index, .at = {.kind = START_END}};
	}
	return count;
}

static void ask_await(struct fiber *self, struct watch *w, size_t count, int32_t leader)
{
	struct consumer *c = w->consumer;
	struct peer *peer = cluster_broker(c->options.cluster, leader);
	int64_t now_us = shard_now_us(c->options.shard);
	int64_t deadline_us = now_us + c->options.config->request_timeout_ms * 1000;

	if (peer)
		list_offsets_await(self, c->options.cluster, peer, w->questions, count, deadline_us);
	now_us = shard_now_us(c->options.shard);
	for (size_t i = 0; i < count && !c->stopping; i++) {
		struct consume_partition *p = w->asked[i];

		/* Meanwhile it may have moved, or been taken away. */
		if (!is_watched(p) || p->generation != w->generations[i] ||
		    stall_step(&p->stall, now_us, w->bound_us) == STALL_NONE)
			continue;
		if (peer && !w->questions[i].error && w->questions[i].offset <= p->position)
			stall_moved(&p->stall, now_us);
		else
			lags(w, p, now_us);
	}
}

void watchdog_main(struct fiber *self, void *argument)
{
	struct consumer *c = argument;
	struct watch *w = mem_new(struct watch);

	w->consumer = c;
	w->bound_us = c->options.config->stall_timeout_ms * 1000;
	while (!c->stopping && fiber_sleep_await(self, w->bound_us / LOOKS) == OK) {
		int32_t leader = -1;
		size_t count;

		/* Each round settles those it has found, so there is an end. */
		while (!c->stopping && !fiber_cancelled(self) &&
		       (count = find_silent(w, shard_now_us(c->options.shard), &leader)) > 0)
			ask_await(self, w, count, leader);
	}
	mem_free(w);
}
