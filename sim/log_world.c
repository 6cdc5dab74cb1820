/* log_world: lives and deaths of the storage under test, and the faults of its disk. See the header. */
#include "sim/log_world.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"

#define SECOND_US 1000000LL
#define LONGEST_US (120 * SECOND_US)
#define OPEN_WITHIN_US (60 * SECOND_US)

const char *const log_world_folders[2] = {"/data", "/data2"};

static void mend_disk(struct log_world *w)
{
	w->node->faults = (struct disk_faults){0};
	disk_set_capacity(w->node->disk, (int64_t)1 << 30);
}

static void start_life(struct log_world *w)
{
	w->opened = w->stop_requested = w->folder_failed = false;
	w->open_error = OK;
	for (unsigned i = 0; i < w->partition_count; i++)
		w->partitions[i].offline = false;
	node_start(w->node, w->shard_count, log_life_start, w);
}

static void run_for(struct log_world *w, int64_t duration_us)
{
	int64_t until = w->sim->scheduler.now_us + duration_us;

	while (!w->sim->failed && w->sim->scheduler.now_us < until) {
		int64_t step = w->sim->scheduler.now_us + 10000;

		scheduler_run_until(&w->sim->scheduler, step < until ? step : until);
	}
}

/* Runs until the process is up and open, or gone. */
static void run_until_open(struct log_world *w)
{
	int64_t until = w->sim->scheduler.now_us + OPEN_WITHIN_US;

	while (!w->sim->failed && node_up(w->node) && !w->opened && w->sim->scheduler.now_us < until)
		run_for(w, 10000);
	if (!w->sim->failed && node_up(w->node) && !w->opened)
		sim_fail(w->sim, "the storage did not open within %lld s", OPEN_WITHIN_US / SECOND_US);
}

static void stop_cleanly(struct log_world *w)
{
	int64_t until = w->sim->scheduler.now_us + OPEN_WITHIN_US;

	w->stop_requested = true;
	while (!w->sim->failed && node_up(w->node) && w->sim->scheduler.now_us < until)
		run_for(w, 10000);
	if (!w->sim->failed && node_up(w->node))
		sim_fail(w->sim, "the storage did not stop within %lld s", OPEN_WITHIN_US / SECOND_US);
}

static void end_life(struct log_world *w)
{
	struct scheduler *s = &w->sim->scheduler;
	/* After a sync that failed the page cache lies about what is on disk: nobody but a reboot finds out. */
	bool cache_lies = w->sim->hits[HIT_SYNC_LOST] > w->lost_syncs;

	if (!node_up(w->node))
		return;
	w->history->faults++;
	w->lost_syncs = w->sim->hits[HIT_SYNC_LOST];
	if (cache_lies || chance(s, 2, 5))
		node_power_loss(w->node);
	else if (w->opened && !w->folder_failed && chance(s, 1, 2))
		stop_cleanly(w);
	else
		node_kill(w->node);
}

/* One thing that is wrong with the disk for a while. */
static void trouble_disk(struct log_world *w)
{
	struct scheduler *s = &w->sim->scheduler;
	struct disk *d = w->node->disk;

	w->history->faults++;
	switch (choose(s, 0, 6)) {
	case 0:
		trace_event(&s->trace, w->node->name, "FAULT", "slow disk", 0, 0, 0);
		w->node->faults.slow_factor = 100;
		break;
	case 1:
		trace_event(&s->trace, w->node->name, "FAULT", "hung disk", 0, 0, 0);
		w->node->faults.hung = true;
		break;
	case 2:
	case 3:
		trace_event(&s->trace, w->node->name, "FAULT", "disk nearly full", 0, 0, 0);
		disk_set_capacity(d, disk_used(d) + choose_skewed(s, 0, 30000));
		break;
	case 4:
		trace_event(&s->trace, w->node->name, "FAULT", "reads fail", 0, 0, 0);
		w->node->faults.read_errors = 50000;
		break;
	case 5:
		trace_event(&s->trace, w->node->name, "FAULT", "writes fail", 0, 0, 0);
		w->node->faults.write_errors = 20000;
		break;
	default:
		trace_event(&s->trace, w->node->name, "FAULT", "syncs fail", 0, 0, 0);
		w->node->faults.sync_errors = 50000;
		break;
	}
}

static void live(struct log_world *w)
{
	struct scheduler *s = &w->sim->scheduler;

	start_life(w);
	if (chance(s, 1, 6)) {
		/* It may die while it recovers. */
		run_for(w, choose_skewed(s, 100, 300000));
	} else {
		run_until_open(w);
		run_for(w, choose_skewed(s, 50000, 3 * SECOND_US));
		if (chance(s, 1, 3)) {
			trouble_disk(w);
			run_for(w, choose_skewed(s, 10000, SECOND_US));
			mend_disk(w);
			run_for(w, choose_skewed(s, 1000, SECOND_US));
		}
		if (chance(s, 1, 5)) {
			node_pause(w->node);
			run_for(w, choose_skewed(s, 1000, 2 * SECOND_US));
			node_resume(w->node);
		}
	}
	end_life(w);
	mend_disk(w);
}

/* The base offset of the segment that holds a batch, in one folder; -1: it has none. */
static int64_t base_of(struct log_world *w, const char *folder, const struct model_batch *b)
{
	struct folder_list list;
	int64_t base = -1;

	if (disk_folder_list(w->node->disk, folder, &list))
		return -1;
	for (size_t i = 0; i < list.count; i++) {
		int64_t of = strtoll(list.entries[i].name, NULL, 10);

		if (strlen(list.entries[i].name) == 24 && strstr(list.entries[i].name, ".log") &&
		    of <= b->base_offset && of > base)
			base = of;
	}
	folder_list_free(&list);
	return base;
}

/*
 * Where a batch of the partition lies: the file and the place in it. False when it is in none, or, since a process died while the log was moved,
 * perhaps in two.
 */
static bool place_of(struct log_world *w, struct log_partition *p, const struct model_batch *b, char *ret_path,
		     size_t size, int64_t *ret_position)
{
	const struct log_model *m = &p->model;
	char folders[2][40];
	int64_t bases[2], base;
	size_t at;

	for (at = 0; at < 2; at++) {
		snprintf(folders[at], sizeof(folders[at]), "%s/t-%u", log_world_folders[at], p->index);
		bases[at] = base_of(w, folders[at], b);
	}
	if ((bases[0] < 0) == (bases[1] < 0))
		return false;
	at = bases[0] < 0;
	base = bases[at];
	*ret_position = 0;
	for (size_t i = 0; i < m->batch_count; i++)
		if (m->batches[i].base_offset >= base && m->batches[i].base_offset < b->base_offset)
			*ret_position += (int64_t)m->batches[i].size;
	snprintf(ret_path, size, "%s/%020lld.log", folders[at], (long long)base);
	return true;
}

static bool flip(struct log_world *w, const char *path, int64_t at)
{
	struct scheduler *s = &w->sim->scheduler;

	if (!disk_flip_bit(w->node->disk, path, at, (unsigned)choose(s, 0, 7)))
		return false;
	sim_hit(w->sim, HIT_BIT_FLIP);
	trace_text(&s->trace, w->node->name, "BIT FLIP", path);
	trace_event(&s->trace, w->node->name, "BIT FLIP", "at %lld", at, 0, 0);
	return true;
}

/* The batch's copies in journals rot as well: else the replay mends the segment. */
static void flip_in_journal(struct log_world *w, const char *path, const struct model_batch *b)
{
	struct inode *i;
	uint8_t *data, *found;
	size_t size, at = 0;

	if (disk_open(w->node->disk, path, FILE_READ, 0, &i))
		return;
	size = (size_t)inode_size(i);
	data = mem_alloc(size);
	size = inode_read(i, data, size, 0);
	inode_release(i);
	while ((found = memmem(data + at, size - at, b->data, b->size))) {
		at = (size_t)(found - data);
		flip(w, path, (int64_t)at + choose(&w->sim->scheduler, 0, (int64_t)b->size - 1));
		at += b->size;
	}
	mem_free(data);
}

static void flip_in_journals(struct log_world *w, const char *folder, const struct model_batch *b)
{
	struct folder_list list;

	if (disk_folder_list(w->node->disk, folder, &list))
		return;
	for (size_t i = 0; i < list.count; i++) {
		char path[100];

		snprintf(path, sizeof(path), "%s/%s", folder, list.entries[i].name);
		if (strstr(path, "journal") && !list.entries[i].is_folder)
			flip_in_journal(w, path, b);
	}
	folder_list_free(&list);
}

/*
 * The last thing: a batch that was safe rots while the process is down. It may go unnoticed, or the log may say that it is damaged;
 * it must not be taken for a torn tail. What was acknowledged within the last seconds is left out: the durable bound is written lazily.
 */
static void rot(struct log_world *w)
{
	struct scheduler *s = &w->sim->scheduler;
	struct log_partition *p = &w->partitions[choose(s, 0, w->partition_count - 1)];
	const struct log_model *m = &p->model;
	const struct model_batch *b;
	size_t safe = 0, first = 0;
	int64_t position;
	char path[100];

	while (safe < m->batch_count && m->batches[safe].acked_us >= 0 &&
	       m->batches[safe].acked_us < s->now_us - 3 * SECOND_US)
		safe++;
	if (node_up(w->node))
		node_kill(w->node);
	if (p->purges || p->compacts) /* where its batches lie the model does not know */
		return;
	trace_event(&s->trace, w->node->name, "rot", "partition %lld: %lld of %lld batches were safe for long",
		    p->index, (int64_t)safe, (int64_t)m->batch_count);
	while (first < safe && m->batches[first].base_offset < m->start)
		first++;
	if (first == safe)
		return;
	/* Mostly near its end: what is far behind the recovery point is not looked at. */
	b = &m->batches[safe - 1 - (size_t)choose_skewed(s, 0, (int64_t)(safe - 1 - first))];
	p->damage_safe = m->batches[safe - 1].base_offset + m->batches[safe - 1].count;
	if (!place_of(w, p, b, path, sizeof(path), &position))
		return;
	if (!flip(w, path, position + choose(s, 0, (int64_t)b->size - 1)))
		return;
	for (size_t i = 0; i < 2 && chance(s, 2, 3); i++)
		flip_in_journals(w, log_world_folders[i], b);
	trace_event(&s->trace, w->node->name, "BIT FLIP", "partition %lld: what is below %lld was safe", p->index,
		    p->damage_safe, 0);
	p->damaged = true;
	start_life(w);
	run_until_open(w);
}

static void world_init(struct log_world *w, struct sim *sim, struct history *h)
{
	struct scheduler *s = &sim->scheduler;
	static const int32_t segment_sizes[] = {4000, 15000, 60000, 1 << 30};

	*w = (struct log_world){.sim = sim, .history = h};
	w->node = node_new(sim, 1, "store");
	w->node->check_leaks = true;
	node_choose_rare_paths(w->node, h);
	w->shard_count = chance(s, 1, 2) ? 4 : 1;
	w->partition_count = (unsigned)choose(s, 1, LOG_WORLD_PARTITIONS);
	w->topic_id = uuid_random(&s->random);
	w->two_folders = chance(s, 1, 2);
	w->segment_bytes = segment_sizes[choose(s, 0, (int64_t)countof(segment_sizes) - 1)];
	w->max_open_files = (size_t)choose_skewed(s, 4, 100);
	for (unsigned i = 0; i < w->partition_count; i++) {
		struct log_partition *p = &w->partitions[i];

		p->world = w;
		p->index = i;
		p->lazy_acks = chance(s, 1, 3);
		log_model_init(&p->model);
		p->compacts = chance(s, 1, 4);
		p->purges = chance(s, 1, p->compacts ? 4 : 3);
		p->transacts = chance(s, 1, 2);
		p->model.keyed = p->compacts;
		p->model.purges = p->purges;
		p->model.delete_retention_ms = 1500;
	}
}

void log_world_run(struct sim *s, struct history *h)
{
	struct log_world *w = mem_alloc(sizeof(*w));

	world_init(w, s, h);
	h->clients = LOG_WORLD_ACTORS * w->partition_count;
	while (!s->failed && !history_is_long_enough(h, s) && s->scheduler.now_us < LONGEST_US)
		live(w);
	if (!s->failed && chance(&s->scheduler, 1, 2)) {
		if (chance(&s->scheduler, 1, 2) && !node_up(w->node)) {
			start_life(w);
			run_until_open(w);
			run_for(w, 4 * SECOND_US);
			if (node_up(w->node))
				node_kill(w->node);
		}
		rot(w);
	} else if (!s->failed) {
		/* All is well again: everything opens, works and stops. */
		start_life(w);
		run_until_open(w);
		run_for(w, SECOND_US);
		for (unsigned i = 0; i < w->partition_count; i++)
			if (w->partitions[i].offline && !s->failed)
				sim_fail(s, "partition %u does not open on a healthy disk", i);
		if (!s->failed)
			stop_cleanly(w);
	}
	node_free(w->node);
	for (unsigned i = 0; i < w->partition_count; i++) {
		struct log_partition *p = &w->partitions[i];

		for (uint64_t n = 0; n < p->model.missing && n < 1; n++)
			sim_hit(s, HIT_COMPACTED);
		for (uint64_t n = 0; n < p->model.tombstones_missing && n < 1; n++)
			sim_hit(s, HIT_TOMBSTONE_OVER);
		if (p->txns_ended)
			sim_hit(s, HIT_TXN_ENDED);
		if (p->aborted_told)
			sim_hit(s, HIT_ABORTED_TOLD);
		if (p->purges && p->model.told_start > 0)
			sim_hit(s, HIT_PURGED);
		log_model_fini(&p->model);
	}
	mem_free(w);
}
