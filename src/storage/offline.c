/*
 * offline: what a shard's logs in a log folder share besides the committer's rounds: waiting for many operations at once, and the end
 * of a folder whose disk failed or is full. The loss of a folder is told to the other shards by messages.
 */
#include "base/alloc.h"
#include "storage/state.h"

/* --- waiting for many --------------------------------------------------------------------------------------------- */

void fan_add(struct fan *f)
{
	f->left++;
}

void fan_done(struct fan *f)
{
	must(f->left > 0);
	if (--f->left == 0)
		fiber_wake(f->fiber);
}

void fan_wait_await(struct fiber *self, struct fan *f)
{
	while (f->left > 0)
		fiber_park_await(self);
}

/* --- failure ------------------------------------------------------------------------------------------------------ */

void log_fail_alone(struct log *l, const char *what)
{
	if (l->state)
		return;
	log_error(log_logger(l), "%s-%d is offline until a restart: %s", l->topic, (int)l->partition, what);
	l->state = ERR_CORRUPT;
	/* What the round under way holds is cut by the round, when nothing reads its bytes any more. */
	if (!l->rounds)
		log_lose_unsynced(l);
}

void folder_no_space(struct store_folder *f)
{
	if (f->no_space)
		return;
	f->no_space = true;
	log_warn(shard_log(f->store->shard), "%s: no space left: appends are refused until there is some again",
		 f->of->path);
	event_signal(&f->chores);
}

void folder_fail_here(struct store_folder *f)
{
	if (f->offline)
		return;
	f->offline = true;
	if (shard_index(f->store->shard) == 0)
		f->of->failed = true;
	list_for_each(&f->store->logs, n)
	{
		struct log *l = container_of(n, struct log, node);

		if (l->folder != f || l->state)
			continue;
		l->state = ERR_OFFLINE;
		/* What the round under way holds is cut by the round, when nothing reads its bytes any more. */
		if (!l->rounds)
			log_lose_unsynced(l);
	}
	event_signal(&f->work);
	event_signal(&f->chores);
	event_signal(&f->round_over);
	if (f->store->failed)
		f->store->failed(f->store->context, f->of->path);
}

struct failure {
	struct message message;
	struct storage *storage;
	size_t folder;
};

static void failure_arrives(struct shard *at, struct message *m)
{
	struct failure *x = container_of(m, struct failure, message);
	struct store *s = x->storage->stores[shard_index(at)];

	if (s)
		folder_fail_here(&s->folders[x->folder]);
	mem_free(x);
}

void folder_fail(struct store_folder *f, enum err reason, const char *what)
{
	struct store *s = f->store;
	struct runtime *rt = shard_runtime(s->shard);

	if (f->offline)
		return;
	log_error(shard_log(s->shard), "%s: %s failed: %s. The log folder is offline until a restart", f->of->path,
		  what, err_text(reason));
	for (unsigned i = 0; i < runtime_shard_count(rt); i++) {
		struct failure *x;

		if (i == shard_index(s->shard))
			continue;
		x = mem_new(struct failure);
		x->message.run = failure_arrives;
		x->storage = s->storage;
		x->folder = f->index;
		shard_send(s->shard, runtime_shard(rt, i), &x->message);
	}
	folder_fail_here(f);
}

enum err log_note_synced_files(struct log *l, enum err e)
{
	if (e == ERR_CORRUPT)
		log_fail_alone(l, "a segment of it is gone");
	else if (e && e != ERR_TOO_MANY_FILES && e != ERR_OFFLINE && !l->deleted)
		folder_fail(l->folder, e, "syncing");
	return e;
}
