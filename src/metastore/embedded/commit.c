/*
 * commit: the fiber that makes transactions durable. All that came while one frame was synced go into the next.
 *
 *      multi: tree changed, bytes put into `pending`, caller parks ---> round: one write, one sync ---> callers wake
 *
 * A round that cannot be written since the disk is full is taken back, with all that was done after it; any other failure is final.
 */
#include "base/alloc.h"
#include "metastore/embedded/state.h"

#define BOUND_DELAY_US ((int64_t)1000 * 1000)

static void finish(struct embedded *s, struct list *commits, enum err error)
{
	struct list_node *n;

	while ((n = list_pop_front(commits))) {
		struct commit *c = container_of(n, struct commit, node);

		if (!error)
			tree_keep(c->changes);
		c->error = error;
		c->done = true;
		fiber_wake(c->caller);
	}
	event_signal(&s->progress);
}

/* Newest first: the reverse of how they were done. */
static void undo(struct embedded *s, struct list *commits)
{
	for (struct list_node *n = commits->head.previous; n != &commits->head; n = n->previous)
		tree_undo(&s->tree, container_of(n, struct commit, node)->changes);
}

static void take_back(struct embedded *s, enum err error)
{
	undo(s, &s->waiting);
	undo(s, &s->writing);
	buf_reset(&s->pending);
	list_for_each(&s->watches, n) container_of(n, struct metastore_watch, node)->due = false;
	s->undone++;
	s->synced = s->applied;
	finish(s, &s->writing, error);
	finish(s, &s->waiting, error);
}

static void fail(struct embedded *s, enum err e, const char *doing)
{
	struct list *lists[] = {&s->writing, &s->waiting};

	log_error(s->log, "%s: %s failed: %s; the metadata is offline until the next start", s->folder, doing,
		  err_text(e));
	s->failed = true;
	/* Nobody reads the tree any more; what the changes hold is only freed. */
	for (size_t i = 0; i < countof(lists); i++) {
		list_for_each(lists[i], n) tree_keep(container_of(n, struct commit, node)->changes);
		finish(s, lists[i], e);
	}
}

/* Watches are told after the round that they are about. One that is due by the next round already hears early, and reads wait for durability. */
static void tell_watches(struct embedded *s)
{
	struct list due;
	struct list_node *first;

	list_init(&due);
	list_for_each(&s->watches, n)
	{
		if (!container_of(n, struct metastore_watch, node)->due)
			continue;
		list_remove(n);
		list_push_back(&due, n);
	}
	while ((first = list_pop_front(&due))) {
		struct metastore_watch *w = container_of(first, struct metastore_watch, node);

		mem_free(w->path);
		w->path = NULL;
		w->fired(w);
	}
}

static void durable(struct embedded *s, int64_t up_to)
{
	s->synced = up_to;
	s->end_of_sessions = 0;
	finish(s, &s->writing, OK);
	tell_watches(s);
	if (s->bound_due_us == FIBER_NO_DEADLINE)
		s->bound_due_us = shard_now_us(fiber_shard(s->committer)) + BOUND_DELAY_US;
}

/* Without a folder. */
static void keep_in_memory(struct embedded *s)
{
	list_splice_back(&s->writing, &s->waiting);
	buf_reset(&s->pending);
	durable(s, s->applied);
	s->bound_due_us = FIBER_NO_DEADLINE;
}

static void round_await(struct fiber *self, struct embedded *s)
{
	int64_t up_to = s->applied;
	struct buf payload, frame;
	enum err e;

	buf_init(&payload, SIZE_MAX / 2);
	buf_init(&frame, SIZE_MAX / 2);
	list_splice_back(&s->writing, &s->waiting);
	if (s->end_of_sessions)
		tree_encode_end_of_sessions(&payload, s->end_of_sessions);
	buf_put_bytes(&payload, buf_bytes(&s->pending));
	buf_reset(&s->pending);
	journal_put_frame(&frame, s->head.id, s->position, buf_bytes(&payload));
	e = shard_fault(fiber_shard(self), FAULT_METASTORE_NO_SPACE)
		    ? ERR_NO_SPACE
		    : file_write_await(self, s->journal, buf_bytes(&frame), s->position);
	if (e == ERR_NO_SPACE) {
		log_warn(s->log, "%s: no space left: a change of the metadata was refused", s->folder);
		take_back(s, e);
		e = file_truncate_await(self, s->journal, s->position);
		if (e)
			fail(s, e, "cutting the journal");
	} else if (e) {
		fail(s, e, "writing the journal");
	} else {
		e = file_sync_await(self, s->journal);
		if (e) {
			fail(s, e, "syncing the journal");
		} else {
			s->position += (int64_t)frame.size;
			durable(s, up_to);
		}
	}
	buf_fini(&frame);
	buf_fini(&payload);
}

/* What the snapshot would have made durable goes through the old journal after all, in front of what came meanwhile. */
static void put_back(struct embedded *s, struct buf *bytes)
{
	struct list newer;

	list_init(&newer);
	list_splice_back(&newer, &s->waiting);
	list_splice_back(&s->waiting, &s->writing);
	list_splice_back(&s->waiting, &newer);
	buf_put_bytes(bytes, buf_bytes(&s->pending));
	buf_fini(&s->pending);
	s->pending = *bytes;
	*bytes = (struct buf){0};
}

/*
 * A new snapshot and journal. What waits is in the tree already, so the snapshot holds it and makes it durable; what comes meanwhile goes
 * into the new journal.
 */
static void rotate_await(struct fiber *self, struct embedded *s)
{
	int64_t up_to = s->applied, number = s->head.number + 1;
	struct buf bytes = s->pending, body;
	struct journal_head head;
	struct file *journal = NULL;
	bool named = false;
	enum err e;

	buf_init(&s->pending, bytes.max);
	buf_init(&body, EMBEDDED_MAX_FILE);
	list_splice_back(&s->writing, &s->waiting);
	tree_save(&s->tree, &body);
	e = body.error;
	if (!e)
		e = embedded_new_journal_await(self, s, number, up_to, &journal, &head);
	if (!e)
		e = folder_sync_await(self, s->folder);
	if (!e)
		e = embedded_write_snapshot_await(self, s, number, up_to, buf_bytes(&body), &named);
	if (e && named) {
		file_close(journal);
		fail(s, e, "putting a snapshot in place");
	} else if (e) {
		log_warn(s->log, "%s: no new snapshot: %s; going on with the old journal", s->folder, err_text(e));
		file_close(journal);
		embedded_remove_older_await(self, s, s->head.number);
		s->next_snapshot += s->next_snapshot;
		put_back(s, &bytes);
	} else {
		file_close(s->journal);
		s->journal = journal;
		s->head = head;
		s->position = JOURNAL_HEADER_SIZE;
		s->bound_position = 0;
		durable(s, up_to);
		embedded_remove_older_await(self, s, number);
	}
	buf_fini(&body);
	buf_fini(&bytes);
}

/* Errors only mean that damage at the journal's end could later be taken for a torn tail: nothing that was said depends on it. */
static void write_bound_await(struct fiber *self, struct embedded *s)
{
	struct bound bound = {.id = s->head.id, .number = s->head.number, .position = s->position};
	struct buf b;
	enum err e;

	s->bound_due_us = FIBER_NO_DEADLINE;
	if (s->bound_position == s->position || !s->folder)
		return;
	s->bound_slot ^= 1;
	buf_init(&b, BOUND_SLOT_SIZE);
	bound_put(&b, &bound);
	e = file_write_await(self, s->bound_file, buf_bytes(&b), (int64_t)s->bound_slot * BOUND_SLOT_SPACING);
	if (!e)
		e = file_sync_await(self, s->bound_file);
	if (!e)
		s->bound_position = bound.position;
	else
		log_warn(s->log, "%s/acknowledged: cannot be written: %s", s->folder, err_text(e));
	buf_fini(&b);
}

void embedded_commit_main(struct fiber *self, void *argument)
{
	struct embedded *s = argument;

	while (!s->failed) {
		if (!list_empty(&s->waiting)) {
			if (!s->folder)
				keep_in_memory(s);
			else if ((size_t)s->position >= s->next_snapshot ||
				 shard_fault(fiber_shard(self), FAULT_METASTORE_SNAPSHOT))
				rotate_await(self, s);
			else
				round_await(self, s);
			continue;
		}
		if (s->closing)
			break;
		if (shard_now_us(fiber_shard(self)) >= s->bound_due_us)
			write_bound_await(self, s);
		else if (event_wait_await(self, &s->work, s->bound_due_us) == ERR_CANCELLED)
			break;
	}
	if (!s->failed)
		write_bound_await(self, s);
	s->ended = true;
	event_signal(&s->progress);
}
