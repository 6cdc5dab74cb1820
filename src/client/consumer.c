/* consumer: see the header. Here: assignments and who fetches; fetcher.c fetches, offsets.c finds offsets. */
#include "client/consumer.h"

#include <stdio.h>

#include "base/alloc.h"
#include "client/consumer_own.h"

static struct consume_partition *find(struct consumer *c, const struct cluster_topic *t, int32_t index)
{
	struct partition_key key = {.topic = t, .index = (uint64_t)(uint32_t)index};

	return map_get(&c->partitions, bytes_of(&key, sizeof(key)));
}

static struct consume_partition *find_or_make(struct consumer *c, struct cluster_topic *t, int32_t index)
{
	struct partition_key key = {.topic = t, .index = (uint64_t)(uint32_t)index};
	struct consume_partition *p = find(c, t, index);

	if (p)
		return p;
	p = mem_new(struct consume_partition);
	p->picture = t;
	p->index = index;
	map_put(&c->partitions, bytes_of(&key, sizeof(key)), p);
	return p;
}

static void start_watchdog(struct consumer *c)
{
	static const struct fiber_options options = {.name = "client_watchdog", .joinable = true};

	if (c->watchdog || c->stopping || c->options.config->stall_timeout_ms == 0)
		return;
	c->watchdog = fiber_start(c->options.shard, &options, watchdog_main, c);
	must(c->watchdog);
}

void consumer_assign(struct consumer *c, const char *topic, int32_t partition, struct start from, uint64_t generation)
{
	struct cluster_topic *t = cluster_topic(c->options.cluster, topic, false);
	struct consume_partition *p = find_or_make(c, t, partition);

	p->assigned = true;
	p->start = from;
	p->generation = generation;
	p->state = from.kind == START_OFFSET      ? CONSUME_FETCHING
		   : from.kind == START_COMMITTED ? CONSUME_NEEDS_COMMITTED
						  : CONSUME_NEEDS_OFFSET;
	p->position = from.kind == START_OFFSET ? from.value : -1;
	p->end_told = -1;
	p->retry_at_us = 0;
	p->failures = 0;
	p->max_bytes = (int32_t)c->options.config->partition_fetch_bytes;
	stall_moved(&p->stall, shard_now_us(c->options.shard));
	start_watchdog(c);
	consumer_wake(c);
	if (p->state == CONSUME_NEEDS_COMMITTED)
		c->options.wants_committed(c->options.group);
}

void consumer_unassign(struct consumer *c, const char *topic, int32_t partition)
{
	struct consume_partition *p = find(c, cluster_topic(c->options.cluster, topic, false), partition);

	if (!p)
		return;
	p->assigned = false;
	p->generation = 0;
	if (p->fetcher)
		fetcher_forget(p->fetcher, p);
	consumer_wake(c);
}

void consumer_return(struct consumer *c, struct fetched *f)
{
	size_t limit = (size_t)c->options.config->queued_max_kbytes * 1024;
	bool was_full = c->outstanding >= limit;

	must(c->outstanding >= f->charged);
	c->outstanding -= f->charged;
	fetched_free(f);
	if (was_full && c->outstanding < limit)
		event_signal(&c->changed);
}

static void make_fetchers(struct consumer *c)
{
	const struct cluster *cluster = c->options.cluster;

	for (size_t i = 0; i < cluster->broker_count; i++) {
		bool known = false;

		for (size_t k = 0; k < c->fetcher_count; k++)
			known |= fetcher_broker_id(c->fetchers[k]) == cluster->brokers[i].id;
		if (known)
			continue;
		c->fetchers = mem_grow(c->fetchers, &c->fetcher_capacity, c->fetcher_count + 1,
				       sizeof(struct fetcher *));
		c->fetchers[c->fetcher_count++] = fetcher_new(c, cluster->brokers[i].id);
	}
}

/* What the picture says for good: such a partition would wait for ever. */
static void tell_hopeless(struct consumer *c)
{
	const struct map_entry *entry;
	size_t place = 0;

	while ((entry = map_next(&c->partitions, &place))) {
		struct consume_partition *p = entry->value;
		const struct cluster_topic *t = p->picture;
		char text[FETCHED_TEXT_SIZE];

		if (!p->assigned || p->state == CONSUME_STOPPED)
			continue;
		if (t->error == OK && t->partition_count > 0 && p->index >= t->partition_count) {
			snprintf(text, sizeof(text), "topic %.249s has %d partitions, so there is no number %d",
				 t->name, t->partition_count, p->index);
			consume_fail(c, p, ERR_UNKNOWN_TOPIC_OR_PARTITION, text);
		} else if (t->error && t->error != ERR_AGAIN && !err_retriable(t->error)) {
			snprintf(text, sizeof(text), "topic %.249s: %s", t->name, err_text(t->error));
			consume_fail(c, p, t->error, text);
		}
	}
}

void consumer_wake(struct consumer *c)
{
	if (c->stopping)
		return;
	if (c->partitions.count > 0) {
		tell_hopeless(c);
		make_fetchers(c);
	}
	event_signal(&c->changed);
}

/* --- what the fetchers find out ---------------------------------------------------------------------------------- */

void consume_fail(struct consumer *c, struct consume_partition *p, enum err e, const char *text)
{
	struct fetched *f = fetched_new();

	p->state = CONSUME_STOPPED;
	if (p->fetcher)
		fetcher_forget(p->fetcher, p);
	f->partition = p;
	f->topic = p->picture->name;
	f->partition_index = p->index;
	f->generation = p->generation;
	f->next_offset = p->position;
	f->error = e;
	snprintf(f->text, sizeof(f->text), "%s", text);
	c->options.hand_over(c->options.user, f);
}

void consume_backoff(struct consumer *c, struct consume_partition *p)
{
	p->retry_at_us = shard_now_us(c->options.shard) +
			 client_backoff_us(c->options.shard, c->options.config, ++p->failures);
}

void consume_reset(struct consumer *c, struct consume_partition *p, const char *why)
{
	const struct client_config *g = c->options.config;
	int64_t then_ms = shard_wall_ms(c->options.shard) - g->reset_back_ms;
	char text[FETCHED_TEXT_SIZE];

	switch ((enum reset_policy)g->reset) {
	case RESET_NONE:
		snprintf(text, sizeof(text),
			 "%.249s/%d: %s, and auto.offset.reset=none; start at the beginning or the end",
			 p->picture->name, p->index, why);
		consume_fail(c, p, ERR_OFFSET_OUT_OF_RANGE, text);
		return;
	case RESET_EARLIEST:
		p->start = (struct start){.kind = START_BEGINNING};
		break;
	case RESET_LATEST:
		p->start = (struct start){.kind = START_END};
		break;
	case RESET_DURATION:
		p->start = (struct start){.kind = START_TIME, .value = then_ms > 0 ? then_ms : 0};
		break;
	}
	p->state = CONSUME_NEEDS_OFFSET;
	event_signal(&c->changed);
}

void consume_at(struct consumer *c, struct consume_partition *p, int64_t offset)
{
	p->position = offset;
	stall_moved(&p->stall, shard_now_us(c->options.shard));
	p->state = CONSUME_FETCHING;
	p->failures = 0;
	if (c->options.located)
		c->options.located(c->options.user, p->picture->name, p->index, p->generation, offset);
	event_signal(&c->changed);
}

/* --- where the group left off ------------------------------------------------------------------------------------ */

size_t consumer_wanting_committed(const struct consumer *c, struct committed_question *ret_questions, size_t max)
{
	const struct map_entry *entry;
	size_t place = 0, count = 0;

	while (count < max && (entry = map_next(&c->partitions, &place))) {
		struct consume_partition *p = entry->value;

		if (p->assigned && p->state == CONSUME_NEEDS_COMMITTED)
			ret_questions[count++] = (struct committed_question){
				.topic = p->picture, .partition = p->index, .generation = p->generation};
	}
	return count;
}

void consumer_committed(struct consumer *c, const struct committed_question *q, int64_t offset, enum err e,
			const char *text)
{
	struct consume_partition *p = find(c, q->topic, q->partition);

	/* Meanwhile it may have been assigned anew, or taken away. */
	if (!p || !p->assigned || p->generation != q->generation || p->state != CONSUME_NEEDS_COMMITTED)
		return;
	if (e)
		consume_fail(c, p, e, text);
	else if (offset >= 0)
		consume_at(c, p, offset);
	else
		consume_reset(c, p, "the group has no offset for it");
}

/* --- the door ---------------------------------------------------------------------------------------------------- */

struct consumer *consumer_new(const struct consumer_options *o)
{
	struct consumer *c = mem_new(struct consumer);

	c->options = *o;
	map_init(&c->partitions);
	event_init(&c->changed);
	return c;
}

void consumer_stop_await(struct fiber *self, struct consumer *c)
{
	c->stopping = true;
	if (c->watchdog) {
		fiber_cancel(c->watchdog);
		fiber_join_await(self, c->watchdog);
		c->watchdog = NULL;
	}
	for (size_t i = 0; i < c->fetcher_count; i++)
		fetcher_stop_await(self, c->fetchers[i]);
}

void consumer_free(struct consumer *c)
{
	const struct map_entry *entry;
	size_t place = 0;

	if (!c)
		return;
	must(c->outstanding == 0);
	for (size_t i = 0; i < c->fetcher_count; i++)
		fetcher_free(c->fetchers[i]);
	while ((entry = map_next(&c->partitions, &place)))
		mem_free(entry->value);
	map_fini(&c->partitions);
	mem_free(c->fetchers);
	mem_free(c);
}
