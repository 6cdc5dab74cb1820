/* verify_journal: what the journals of a folder have that the next start will put into the logs, as journal.c replays it, and rounds that are broken. See verify.h. */
#include <stdio.h>

#include "base/alloc.h"
#include "storage/verify_own.h"

#define JOURNAL_FILE_MAX ((size_t)256 << 20)
#define JOURNAL_PREFIX "moldau-journal-"

/* --- what counts of one shard's two files -------------------------------------------------------------------------- */

struct journal_check {
	struct journal_visitor visitor;
	struct verify *v;
	uint64_t run;
	uint64_t newest; /* generation of the file that is walked */
	uint64_t live;
	uint64_t last_round;
	bool collecting;
	struct bytes file;
	const char *name;
};

static struct bytes key_of(uint8_t key[static 16 + LOG_NAME_SIZE], struct bytes log_name, struct uuid topic_id)
{
	memcpy(key, topic_id.bytes, 16);
	memcpy(key + 16, log_name.data, log_name.size);
	return bytes_of(key, 16 + log_name.size);
}

static struct verify_replay *replay_of(struct journal_check *c, const struct journal_record *r)
{
	uint8_t key[16 + LOG_NAME_SIZE];
	char name[LOG_NAME_SIZE];
	struct bytes whole = key_of(key, log_key(name, r->topic, r->partition), r->topic_id);
	struct verify_replay *p = map_get(&c->v->replays, whole);

	if (p)
		return p;
	p = mem_new(struct verify_replay);
	p->from = INT64_MAX;
	map_put(&c->v->replays, whole, p);
	return p;
}

static void collect_data(struct verify_replay *p, const struct journal_record *r)
{
	int64_t end = journal_record_end(r);

	p->from = r->base_offset < p->from ? r->base_offset : p->from;
	p->end = end > p->end ? end : p->end;
}

static void collect_forget(struct verify_replay *p, const struct journal_record *r)
{
	if (r->file_base > 0) { /* segments below it were cleaned: theirs is void */
		p->from = r->file_base > p->from ? r->file_base : p->from;
		return;
	}
	p->from = INT64_MAX;
	p->end = 0;
	p->forgotten = true;
	p->acknowledged = r->acknowledged;
}

/* Rounds are synced one after the other, but written while the ones before are: a round says how many before it need not be there. */
static void check_round(struct journal_check *c, const struct journal_record *r)
{
	if (c->last_round && r->round > c->last_round + 1 + r->unsynced)
		verify_say(c->v, VERIFY_DAMAGE, "", c->name,
			   (int64_t)(r->topic.data - c->file.data) - JOURNAL_HEAD_SIZE, -1,
			   "a round that is broken, though a later one is whole and says that it was synced: rounds "
			   "%llu to %llu",
			   (unsigned long long)c->last_round + 1, (unsigned long long)r->round - 1 - r->unsynced);
	c->last_round = r->round;
}

static void on_record(struct journal_visitor *visitor, const struct journal_record *r)
{
	struct journal_check *c = container_of(visitor, struct journal_check, visitor);
	struct verify_replay *p;

	if (r->run != c->run)
		return;
	if (!c->collecting) {
		c->newest = r->generation > c->newest ? r->generation : c->newest;
		c->live = r->live > c->live ? r->live : c->live;
		return;
	}
	if (r->generation != c->newest)
		return;
	check_round(c, r);
	if (r->kind == JOURNAL_END)
		return;
	p = replay_of(c, r);
	if (r->kind == JOURNAL_FORGET) {
		collect_forget(p, r);
		return;
	}
	p->acknowledged = r->acknowledged > p->acknowledged ? r->acknowledged : p->acknowledged;
	if (r->kind == JOURNAL_NOTE)
		p->start = r->position > p->start ? r->position : p->start;
	else
		collect_data(p, r);
}

/* Both files of a shard, the older generation first. */
static void check_shard_await(struct fiber *self, struct verify *v, unsigned shard, uint64_t run)
{
	struct journal_check c = {.visitor.record = on_record, .v = v, .run = run};
	char name[2][LOG_NAME_SIZE], *text[2] = {NULL, NULL};
	uint64_t newest[2] = {0, 0};
	size_t size[2] = {0, 0};

	for (int i = 0; i < 2; i++) {
		bool missing;

		snprintf(name[i], sizeof(name[i]), JOURNAL_PREFIX "%u-%d", shard, i);
		if (!verify_load_await(self, v, "", name[i], JOURNAL_FILE_MAX, &text[i], &size[i], &missing))
			continue;
		v->counts.small_files++;
		c.newest = 0;
		journal_walk(bytes_of(text[i], size[i]), &c.visitor);
		newest[i] = c.newest;
	}
	/* Both are written whole before they are used, the first one first. */
	for (int i = 0; i < 2; i++)
		if (size[i] % JOURNAL_BLOCK || (size[i] < size[!i] && (i == 0 || newest[i])))
			verify_say(v, VERIFY_DAMAGE, "", name[i], (int64_t)size[i], -1,
				   "the file is cut off: rounds may be missing");
	c.collecting = true;
	for (int k = 0; k < 2; k++) {
		int i = newest[0] <= newest[1] ? k : !k;

		c.newest = newest[i];
		c.file = bytes_of(text[i], size[i]);
		c.name = name[i];
		if (newest[i] && newest[i] >= c.live)
			journal_walk(c.file, &c.visitor);
	}
	mem_free(text[0]);
	mem_free(text[1]);
}

/* --- the door ------------------------------------------------------------------------------------------------------ */

void verify_journals_await(struct fiber *self, struct verify *v, const struct folder_list *list, uint64_t run)
{
	unsigned last_shard = UINT32_MAX;

	for (size_t i = 0; i < list->count; i++) {
		unsigned shard, n;
		char end;

		if (sscanf(list->entries[i].name, JOURNAL_PREFIX "%u-%u%c", &shard, &n, &end) != 2 || n > 1 ||
		    shard == last_shard)
			continue;
		last_shard = shard;
		check_shard_await(self, v, shard, run);
	}
}

const struct verify_replay *verify_replay_of(const struct verify *v, const char *log_name, struct uuid topic_id)
{
	uint8_t key[16 + LOG_NAME_SIZE];

	return map_get(&v->replays, key_of(key, bytes_str(log_name), topic_id));
}
