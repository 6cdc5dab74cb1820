/*
 * journal: the two files of a shard's journal in a log folder: made once, written by the committer, replayed at start. What is in
 * them: journal_format.h; why: docs/decisions/0001.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "storage/state.h"

#define PREPARE_STEP ((size_t)1 << 20)
#define JOURNAL_PREFIX "moldau-journal-"

static void journal_path(const struct storage_folder *sf, unsigned shard, int n, char path[static LOG_PATH_SIZE])
{
	snprintf(path, LOG_PATH_SIZE, "%s/" JOURNAL_PREFIX "%u-%d", sf->path, shard, n);
}

/*
 * Opens it. What is in the way and cannot be opened (a folder, a pipe) goes: an earlier run's journal was replayed, and is void. An error of a
 * write or a sync is another thing, and final.
 */
static enum err open_file_await(struct fiber *self, struct store_folder *f, const char *path, struct file **ret_file)
{
	unsigned flags = FILE_READ | FILE_WRITE | FILE_CREATE;
	enum err e = file_open_await(self, path, flags, ret_file);

	if (e != ERR_IO && e != ERR_PERMISSION)
		return e;
	log_warn(shard_log(f->store->shard), "%s: cannot be opened: %s; it is made anew", path, err_text(e));
	return file_remove_await(self, path) == OK ? file_open_await(self, path, flags, ret_file) : e;
}

/* Every block of it is written once, so that later syncs need no change of the file system's own records. */
static enum err prepare_file_await(struct fiber *self, struct store_folder *f, const char *path, struct file **ret_file)
{
	size_t size = f->journal.size;
	struct file *file;
	int64_t from, at;
	uint8_t *zeros;
	enum err e = open_file_await(self, f, path, &file);

	if (e)
		return e;
	e = file_size_await(self, file, &from);
	at = e ? 0 : from;
	zeros = mem_zalloc(size < PREPARE_STEP ? size : PREPARE_STEP);
	while (!e && (size_t)at < size) {
		size_t step = size - (size_t)at < PREPARE_STEP ? size - (size_t)at : PREPARE_STEP;

		e = file_write_await(self, file, bytes_of(zeros, step), at);
		at += (int64_t)step;
	}
	mem_free(zeros);
	/* Half a journal must not take the last space from the records that are written without one. */
	if (e == ERR_NO_SPACE)
		(void)!file_truncate_await(self, file, from);
	if (!e)
		e = file_sync_await(self, file);
	if (e)
		file_close(file);
	else
		*ret_file = file;
	return e;
}

/* The first file is enough to begin with; the other one has to be there when it is full. */
enum err journal_prepare_await(struct fiber *self, struct store_folder *f)
{
	struct journal *j = &f->journal;
	size_t wish = f->store->storage->options.journal_bytes;
	char path[LOG_PATH_SIZE];
	enum err e = OK;

	j->size = (wish ? wish : JOURNAL_BYTES_DEFAULT) / JOURNAL_BLOCK * JOURNAL_BLOCK;
	must(j->size >= 4 * JOURNAL_BLOCK);
	for (int i = 0; i < 2 && !e; i++) {
		if (j->files[i])
			continue;
		journal_path(f->of, shard_index(f->store->shard), i, path);
		e = prepare_file_await(self, f, path, &j->files[i]);
		if (!e)
			e = folder_sync_await(self, f->of->path);
		if (e || i > 0)
			break;
		j->generation = j->live = j->durable_live = 1;
		j->generations[0] = 1;
		j->generations[1] = UINT64_MAX; /* not there yet */
		j->ready = true;
		event_signal(&f->round_over);
		event_signal(&f->work);
	}
	if (!e)
		j->generations[1] = 0;
	return e;
}

bool journal_make_room(struct store_folder *f, size_t size)
{
	struct journal *j = &f->journal;
	struct shard *s = f->store->shard;
	int other = !j->active;

	/* Whoever forgets waits for the room that the keeper makes, and it makes none where there is some. */
	if (list_empty(&f->forgets) && shard_fault(s, FAULT_JOURNAL_NO_ROOM))
		return false;
	if (j->at + size + JOURNAL_BLOCK <= j->size &&
	    !(j->at > 0 && list_empty(&f->forgets) && shard_fault(s, FAULT_JOURNAL_FULL)))
		return true;
	if (size + JOURNAL_BLOCK > j->size)
		return false;
	if (j->generations[other] >= j->durable_live)
		return false;
	j->active = other;
	j->at = 0;
	j->generation++;
	j->generations[other] = j->generation;
	f->checkpoint_wanted = true;
	event_signal(&f->chores);
	return true;
}

void journal_close(struct journal *j)
{
	for (int i = 0; i < 2; i++)
		file_close(j->files[i]);
	*j = (struct journal){0};
}

/* --- replay ------------------------------------------------------------------------------------------------------- */

struct replay_record {
	struct journal_record r;
	size_t order;
	struct replay_log *log;
	bool is_void;
};

struct replay_log {
	struct bytes topic;
	int32_t partition;
	struct uuid topic_id;
	size_t forget_order; /* records before it are void */
	int64_t start;
	int64_t acknowledged;
	bool forgotten;
	size_t number; /* in order of appearance */
	bool gone;     /* its folder is another topic's now */
	bool checked;
	bool touched;
};

struct replay {
	struct journal_visitor visitor;
	struct storage_folder *folder;
	struct logger *log;
	uint64_t newest; /* generation of the file that is walked */
	uint64_t live;
	struct replay_record *records;
	size_t count;
	size_t capacity;
	size_t orders;
	struct map logs;
	bool collecting;
	bool syncs;
	uint64_t last_round;
};

/* First pass: which generation counts. */
static void see_generation(struct replay *p, const struct journal_record *r)
{
	if (r->generation > p->newest)
		p->newest = r->generation;
	if (r->live > p->live)
		p->live = r->live;
}

static struct replay_log *replay_log_of(struct replay *p, const struct journal_record *r)
{
	char name[LOG_NAME_SIZE];
	uint8_t key[LOG_NAME_SIZE + 16];
	struct bytes log_name = log_key(name, r->topic, r->partition);
	struct replay_log *l;

	memcpy(key, r->topic_id.bytes, 16);
	memcpy(key + 16, log_name.data, log_name.size);
	l = map_get(&p->logs, bytes_of(key, 16 + log_name.size));
	if (!l) {
		l = mem_new(struct replay_log);
		l->topic = r->topic;
		l->partition = r->partition;
		l->topic_id = r->topic_id;
		l->number = p->logs.count;
		map_put(&p->logs, bytes_of(key, 16 + log_name.size), l);
	}
	return l;
}

/*
 * The files have it, synced, and compaction may have made others of them since: that a later record voids it need not be known, where rounds are
 * lost.
 */
static bool is_settled(const struct replay *p, const struct journal_record *r)
{
	const struct log_bounds *b = bounds_of(&p->folder->bounds, r->topic, r->partition, false);

	return b && !p->folder->bounds_doubtful && uuid_equal(b->topic_id, r->topic_id) &&
	       journal_record_end(r) <= b->recovery_point;
}

static void collect(struct replay *p, const struct journal_record *r)
{
	struct replay_log *l;

	if (r->round > p->last_round + 1 + r->unsynced && p->last_round)
		log_error(p->log,
			  "%s: journal: rounds %llu to %llu are damaged; what they held is looked for in the segments",
			  p->folder->path, (unsigned long long)p->last_round + 1,
			  (unsigned long long)r->round - 1 - r->unsynced);
	p->last_round = r->round;
	if (r->kind == JOURNAL_END)
		return;
	l = replay_log_of(p, r);
	p->orders++;
	if (r->kind == JOURNAL_FORGET &&
	    r->file_base > 0) { /* those segments were cleaned: their files are others now */
		for (size_t i = 0; i < p->count; i++)
			p->records[i].is_void |= p->records[i].log == l && p->records[i].r.file_base < r->file_base;
		return;
	}
	if (r->kind == JOURNAL_FORGET) {
		l->forget_order = p->orders;
		l->forgotten = true;
		l->acknowledged = r->acknowledged;
		return;
	}
	if (r->acknowledged > l->acknowledged)
		l->acknowledged = r->acknowledged;
	if (r->position > l->start && r->kind == JOURNAL_NOTE)
		l->start = r->position;
	if (r->kind != JOURNAL_DATA || is_settled(p, r))
		return;
	p->records = mem_grow(p->records, &p->capacity, p->count + 1, sizeof(*p->records));
	p->records[p->count++] = (struct replay_record){.r = *r, .order = p->orders, .log = l};
}

static void visit(struct journal_visitor *v, const struct journal_record *r)
{
	struct replay *p = container_of(v, struct replay, visitor);

	if (r->run != p->folder->run)
		return;
	if (!p->collecting)
		see_generation(p, r);
	else if (r->generation == p->newest)
		collect(p, r);
}

static int by_file(const void *a, const void *b)
{
	const struct replay_record *x = a, *y = b;

	if (x->log->number != y->log->number)
		return x->log->number < y->log->number ? -1 : 1;
	if (x->r.file_base != y->r.file_base)
		return x->r.file_base < y->r.file_base ? -1 : 1;
	return x->order < y->order ? -1 : x->order > y->order;
}

/* What is there may be so only in the page cache: it is made durable, since the journal will be void after the replay. */
static enum err sync_existing_await(struct fiber *self, const char *path)
{
	struct file *file;
	enum err e = file_open_await(self, path, FILE_READ | FILE_WRITE, &file);

	if (e)
		return e;
	e = file_sync_await(self, file);
	file_close(file);
	return e;
}

/* The folder of a log, made anew when its name was lost. Sets `gone` when it now belongs to another topic of that name. */
static enum err replay_folder_await(struct fiber *self, struct replay_log *l, const char *path, bool syncs)
{
	char file[LOG_PATH_SIZE + 32], *text;
	size_t size;
	struct uuid id;
	struct buf out;
	enum err e;

	l->checked = true;
	e = folder_create_await(self, path);
	if (e && e != ERR_EXISTS)
		return e;
	snprintf(file, sizeof(file), "%s/partition.metadata", path);
	e = file_load_await(self, file, SMALL_FILE_MAX, &text, &size);
	if (!e) {
		e = partition_metadata_read(bytes_of(text, size), &id);
		mem_free(text);
		if (!e) {
			l->gone = !uuid_equal(id, l->topic_id);
			return l->gone || !syncs ? OK : sync_existing_await(self, file);
		}
	} else if (e != ERR_NOT_FOUND) {
		return e;
	}
	if (uuid_is_zero(l->topic_id))
		return OK;
	buf_init(&out, 256);
	partition_metadata_write(l->topic_id, &out);
	e = file_replace_await(self, file, buf_bytes(&out));
	buf_fini(&out);
	return e;
}

static int64_t start_of(const struct replay *p, const struct replay_log *l)
{
	struct log_bounds *b = bounds_of(&p->folder->bounds, l->topic, l->partition, false);

	return b && uuid_equal(b->topic_id, l->topic_id) && b->start > l->start ? b->start : l->start;
}

/* Writes the records [first, end), which are all of one segment, and syncs it. */
static enum err replay_segment_await(struct fiber *self, struct replay *p, size_t first, size_t end)
{
	struct replay_log *l = p->records[first].log;
	int64_t base = p->records[first].r.file_base;
	char folder[LOG_PATH_SIZE], path[LOG_PATH_SIZE + LOG_NAME_SIZE], name[LOG_NAME_SIZE];
	struct file_info info;
	struct file *file;
	enum err e = OK;

	folder_name_format(name, l->topic, l->partition);
	snprintf(folder, sizeof(folder), "%s/%s", p->folder->path, name);
	if (!l->checked)
		e = replay_folder_await(self, l, folder, p->syncs);
	if (e || l->gone)
		return e;
	segment_name_format(name, base, SEGMENT_LOG);
	snprintf(path, sizeof(path), "%s/%s", folder, name);
	e = file_info_await(self, path, &info);
	/*
	 * It was removed when the start moved: so it must be where the journal has not all of it. Else it may be one whose name was lost, which is all that
	 * tells who wrote; recovery drops it where there is one behind it.
	 */
	if (e == ERR_NOT_FOUND && p->records[first].r.position > 0 &&
	    journal_record_end(&p->records[end - 1].r) <= start_of(p, l))
		return OK;
	if (e && e != ERR_NOT_FOUND)
		return e;
	e = file_open_await(self, path, FILE_WRITE | FILE_CREATE, &file);
	if (e)
		return e;
	for (size_t i = first; i < end && !e; i++)
		if (p->records[i].order > l->forget_order && !p->records[i].is_void)
			e = file_write_await(self, file, p->records[i].r.data, p->records[i].r.position);
	if (!e && p->syncs)
		e = file_sync_await(self, file);
	file_close(file);
	l->touched = true;
	return e;
}

/* Also of files that were there: their names may never have been synced. */
static enum err replay_sync_names_await(struct fiber *self, struct replay *p)
{
	const struct map_entry *at;
	size_t place = 0;
	enum err e = OK;

	while (!e && (at = map_next(&p->logs, &place)) != NULL) {
		struct replay_log *l = at->value;
		char folder[LOG_PATH_SIZE], name[LOG_NAME_SIZE];

		if (!l->touched)
			continue;
		folder_name_format(name, l->topic, l->partition);
		snprintf(folder, sizeof(folder), "%s/%s", p->folder->path, name);
		e = folder_sync_await(self, folder);
	}
	return e;
}

static bool void_all(const struct replay *p, size_t first, size_t end)
{
	for (size_t i = first; i < end; i++)
		if (p->records[i].order > p->records[i].log->forget_order && !p->records[i].is_void)
			return false;
	return true;
}

static enum err replay_apply_await(struct fiber *self, struct replay *p)
{
	enum err e = OK;
	size_t end;

	if (p->count)
		qsort(p->records, p->count, sizeof(*p->records), by_file);
	for (size_t i = 0; i < p->count && !e; i = end) {
		for (end = i + 1; end < p->count && p->records[end].log == p->records[i].log &&
				  p->records[end].r.file_base == p->records[i].r.file_base;
		     end++)
			;
		if (!void_all(p, i, end))
			e = replay_segment_await(self, p, i, end);
	}
	return !e && p->syncs ? replay_sync_names_await(self, p) : e;
}

/* What the journal knows of bounds and starts is newer than the checkpoints. */
static void replay_bounds(struct replay *p)
{
	const struct map_entry *at;
	size_t place = 0;

	while ((at = map_next(&p->logs, &place)) != NULL) {
		struct replay_log *l = at->value;
		struct log_bounds *b;

		if (l->gone)
			continue;
		b = bounds_of(&p->folder->bounds, l->topic, l->partition, true);
		if (!uuid_equal(b->topic_id, l->topic_id))
			*b = (struct log_bounds){.topic_id = l->topic_id};
		if (l->forgotten || l->acknowledged > b->acknowledged)
			b->acknowledged = l->acknowledged;
		if (l->forgotten && b->recovery_point > b->acknowledged)
			b->recovery_point = b->acknowledged;
		if (l->start > b->start)
			b->start = l->start;
	}
}

static void replay_free(struct replay *p)
{
	const struct map_entry *at;
	size_t place = 0;

	while ((at = map_next(&p->logs, &place)) != NULL)
		mem_free(at->value);
	map_fini(&p->logs);
	mem_free(p->records);
}

/* Both files are written whole before they are used, the first one first. */
static void tell_cut(const struct replay *p, unsigned shard, int i, const size_t size[2], const uint64_t newest[2])
{
	bool shorter = size[i] < size[!i] && (i == 0 || newest[i]);
	char path[LOG_PATH_SIZE];

	if (size[i] % JOURNAL_BLOCK == 0 && !shorter)
		return;
	journal_path(p->folder, shard, i, path);
	log_error(p->log, "%s: cut off: what its last rounds held is looked for in the segments", path);
}

/* Both files of a shard, the older generation first. */
static enum err replay_shard_await(struct fiber *self, struct replay *p, unsigned shard)
{
	char path[LOG_PATH_SIZE], *text[2] = {NULL, NULL};
	size_t size[2] = {0, 0};
	uint64_t newest[2] = {0, 0};
	enum err e = OK;

	p->live = 0;
	p->last_round = 0;
	p->collecting = false;
	for (int i = 0; i < 2; i++) {
		journal_path(p->folder, shard, i, path);
		snprintf(p->folder->at_file, sizeof(p->folder->at_file), "%s", strrchr(path, '/') + 1);
		e = file_load_await(self, path, SMALL_FILE_MAX, &text[i], &size[i]);
		if (e == ERR_NOT_FOUND)
			e = OK;
		if (e)
			break;
		p->newest = 0;
		if (text[i])
			journal_walk(bytes_of(text[i], size[i]), &p->visitor);
		newest[i] = p->newest;
	}
	for (int i = 0; i < 2 && !e; i++)
		tell_cut(p, shard, i, size, newest);
	p->collecting = true;
	for (int k = 0; k < 2 && !e; k++) {
		int i = newest[0] <= newest[1] ? k : !k;

		p->newest = newest[i];
		if (newest[i] && newest[i] >= p->live)
			journal_walk(bytes_of(text[i], size[i]), &p->visitor);
	}
	if (!e)
		e = replay_apply_await(self, p);
	if (!e)
		replay_bounds(p);
	if (p->count && !e)
		log_info(p->log, "%s: journal of shard %u: %zu records of %zu logs put into their segments",
			 p->folder->path, shard, p->count, p->logs.count);
	replay_free(p);
	mem_free(text[0]);
	mem_free(text[1]);
	return e;
}

/* With many logs one sync of the file system, instead of theirs, makes durable what is found and what the replay has written. */
static enum err sync_all_await(struct fiber *self, struct storage *s, struct storage_folder *sf, size_t names)
{
	size_t wish = s->options.sync_together_from;

	if (names < (wish ? wish : SYNC_TOGETHER_FROM))
		return ERR_UNSUPPORTED;
	return file_sync_all_await(self, sf->lock);
}

enum err journal_replay_await(struct fiber *self, struct storage *s, struct storage_folder *sf, size_t names,
			      struct logger *log)
{
	struct folder_list list;
	unsigned last_shard = UINT32_MAX;
	bool syncs = !s->options.sync_disabled, together = false;
	enum err e = syncs ? sync_all_await(self, s, sf, names) : OK;

	if (!e)
		together = syncs;
	else if (e != ERR_UNSUPPORTED)
		return e;
	e = folder_list_await(self, sf->path, &list);
	if (e)
		return e;
	for (size_t i = 0; i < list.count && !e; i++) {
		unsigned shard, n;
		char end;
		struct replay p = {.visitor = {.record = visit}, .folder = sf, .log = log, .syncs = syncs && !together};

		if (sscanf(list.entries[i].name, JOURNAL_PREFIX "%u-%u%c", &shard, &n, &end) != 2 || n > 1 ||
		    shard == last_shard)
			continue;
		last_shard = shard;
		map_init(&p.logs);
		e = replay_shard_await(self, &p, shard);
	}
	folder_list_free(&list);
	if (!e && together)
		e = file_sync_all_await(self, sf->lock);
	if (!e && syncs && !together)
		e = folder_sync_await(self, sf->path);
	sf->all_durable = !e && together;
	return e;
}
