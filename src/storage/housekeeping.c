/*
 * housekeeping: what a shard does for its logs in the background at its own pace: files that are due go. One fiber a store; it sleeps
 * until something is due.
 */
#include "storage/state.h"

#define NEVER INT64_MAX

/* Each log is pinned while it is looked at; the next one is found by its list node, which is there as long as it is pinned. */
static struct log *first_log(struct store *s)
{
	struct list_node *n = list_first(&s->logs);

	return n ? container_of(n, struct log, node) : NULL;
}

static struct log *log_after(struct store *s, struct log *l)
{
	struct list_node *n = l->node.next;

	return n == &s->logs.head ? NULL : container_of(n, struct log, node);
}

static void note_next_doomed(struct store *s)
{
	s->next_doomed_us = NEVER;
	list_for_each(&s->logs, n)
	{
		const struct log *l = container_of(n, struct log, node);

		list_for_each(&l->doomed, d)
		{
			int64_t due_us = container_of(d, struct doomed, node)->due_us;

			if (due_us < s->next_doomed_us)
				s->next_doomed_us = due_us;
		}
	}
}

static void sweep_await(struct fiber *self, struct store *s)
{
	struct log *l = first_log(s), *next;

	for (; l && !s->closing; l = next) {
		if (l->closing || list_empty(&l->doomed)) {
			next = log_after(s, l);
			continue;
		}
		log_pin(l);
		log_sweep_doomed_await(self, l, shard_now_us(s->shard));
		next = log_after(s, l);
		log_unpin(l);
	}
	note_next_doomed(s);
}

static void housekeeping_main(struct fiber *self, void *argument)
{
	struct store *s = argument;

	while (!s->closing) {
		if (shard_now_us(s->shard) >= s->next_doomed_us)
			sweep_await(self, s);
		if (s->closing)
			break;
		if (event_wait_await(self, &s->housework, s->next_doomed_us) == ERR_CANCELLED)
			fiber_yield_await(self);
	}
	s->housekeeping_runs = false;
	event_signal(&s->housework);
}

void housekeeping_note(struct store *s, int64_t due_us)
{
	if (due_us >= s->next_doomed_us)
		return;
	s->next_doomed_us = due_us;
	event_signal(&s->housework);
}

void store_configure(struct store *s, const struct store_settings *settings)
{
	s->settings = *settings;
	event_signal(&s->housework);
}

void housekeeping_start(struct store *s)
{
	static const struct fiber_options options = {.name = "housekeeping"};
	struct fiber *fiber;

	event_init(&s->housework);
	s->next_doomed_us = NEVER;
	s->housekeeping_runs = true;
	fiber = fiber_start(s->shard, &options, housekeeping_main, s);
	must(fiber != NULL); /* among the first fibers of a shard */
}

void housekeeping_stop_await(struct fiber *self, struct store *s)
{
	must(s->closing);
	event_signal(&s->housework);
	while (s->housekeeping_runs)
		if (event_wait_await(self, &s->housework, FIBER_NO_DEADLINE) == ERR_CANCELLED)
			fiber_yield_await(self);
}
