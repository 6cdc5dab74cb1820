/*
 * atlas_test: the atlas of faults: one damage at a time, at random, to each kind of file of a log folder; each held against `log verify`, a start, the
 * scrub, and a read of everything. Nothing crashes, and what is given is what was written, or an error says that it is not.
 *
 *      a folder that was stopped, killed or lost its power -> one damage -> verify
 *                                                                       -> opened -> all of it read
 *                                                                       -> opened -> scrubbed -> all of it read
 *
 * A campaign, with a table at its end: tools/damage [COUNT [SEED]]; some of them again, with what was said: MOLDAU_ATLAS_ONLY=NUMBER[,NUMBER...].
 */
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>

#include "base/crc32c.h"
#include "metastore/embedded/embedded.h"
#include "runtime/linux/backends.h"
#include "storage/atlas_life.h"
#include "storage/verify.h"

#define COUNT_DEFAULT 60
#define CPU_SECONDS_EACH 20 /* who needs more has hung */
#define SECONDS_EACH 600
#define A_PROCESS 200 /* damages; so that one that leaks files does not stop them all */

struct outcome {
	struct atlas_harm harm;
	enum atlas_end end;
	int kind;
	bool done;
	bool crashed;
	bool verified; /* log verify calls it damage, */
	bool noted;    /* or says something */
	bool refused;  /* by the start: all of it, */
	bool offline;  /* or a log */
	bool said;     /* the start has a line about it */
	bool read_found;
	bool scrub_found;
	bool cut; /* the end is lower, as the start says: a torn tail looks like that */
	char wrong[32];
	char wrong_scrubbed[32];
};

struct truth {
	struct atlas_told told[ATLAS_LOGS];
	char metastore[ATLAS_TEXT_MAX];
};

struct atlas {
	char folder[64];
	uint64_t seed;
	int count;
	int next;
	bool loud;
	struct truth truths[ATLAS_ENDS];
	struct truth now;
	struct atlas_making making;
	struct atlas_image images[ATLAS_ENDS];
	struct outcome outcomes[];
};

/* --- what is logged ------------------------------------------------------------------------------------------------ */

struct lines {
	struct logger logger;
	int count; /* of warnings and errors */
	bool loud;
};

static void count_line(struct logger *l, enum log_level level, const char *line)
{
	struct lines *x = l->context;

	x->count += level >= LOG_WARN;
	if (x->loud)
		fprintf(stderr, "  %s %s\n", log_level_name(level), line);
}

static int lines_of(struct fiber *self)
{
	const struct lines *x = shard_log(fiber_shard(self))->context;

	return x->count;
}

/* Runs a fiber in a process of its own; gives whether it ended well. */
static bool run_apart(struct atlas *a, void (*main)(struct fiber *self, void *argument), void *argument)
{
	struct lines lines = {.logger = {.least = LOG_INFO, .write = count_line}, .loud = a->loud};
	struct linux_options o = {.shards = 1, .io = IO_AUTO, .file_threads = 1, .logger = &lines.logger};
	struct backend_run run = {.main = main, .argument = argument};
	int status;
	pid_t child;

	lines.logger.context = &lines;
	fflush(NULL);
	child = fork();
	if (child == 0) {
		linux_run(&o, backend_run_start, &run);
		_exit(7);
	}
	EXPECT(waitpid(child, &status, 0) == child);
	return WIFEXITED(status) && WEXITSTATUS(status) == 7;
}

/* --- the metastore ------------------------------------------------------------------------------------------------- */

static void make_metastore_await(struct fiber *self, const char *folder)
{
	struct embedded_options o = {.log = shard_log(fiber_shard(self)), .journal_bytes = 2000};
	char path[120], name[32], text[100];
	struct metastore *m;

	snprintf(path, sizeof(path), "%s/%s", folder, EMBEDDED_FOLDER);
	o.folder = path;
	EXPECT_OK(embedded_open_await(self, &o, &m));
	for (int i = 0; i < 60; i++) {
		snprintf(name, sizeof(name), "/%c%d", 'a' + i % 3, i / 3 * 3 % 30);
		snprintf(text, sizeof(text), "what stands in node %d of %d bytes", i, i * 13);
		if (metastore_create_await(self, m, name, bytes_str(text), 0, NULL) != OK)
			EXPECT_OK(metastore_set_await(self, m, name, bytes_str(text), METASTORE_ANY_VERSION, NULL));
	}
	EXPECT_OK(metastore_close_await(self, m));
}

/* All nodes as text; an error where it does not open. */
static enum err tell_metastore_await(struct fiber *self, const char *folder, struct atlas_text *out)
{
	struct embedded_options o = {.log = shard_log(fiber_shard(self)), .journal_bytes = 2000};
	struct metastore_children names;
	char path[120], name[64];
	struct metastore *m;
	enum err e;

	snprintf(path, sizeof(path), "%s/%s", folder, EMBEDDED_FOLDER);
	o.folder = path;
	e = embedded_open_await(self, &o, &m);
	if (e)
		return e;
	EXPECT_OK(metastore_children_await(self, m, "/", &names, NULL));
	for (size_t i = 0; i < names.count; i++) {
		struct node_stat stat;
		struct buf data;

		buf_init(&data, 1000);
		snprintf(name, sizeof(name), "/%s", names.names[i]);
		EXPECT_OK(metastore_get_await(self, m, name, &data, &stat, NULL));
		atlas_say(out, "%s %d %lld %08x ", name, (int)stat.version, (long long)stat.created,
			  crc32c(0, buf_bytes(&data)));
		buf_fini(&data);
	}
	metastore_children_free(&names);
	return metastore_close_await(self, m);
}

/* --- one look ------------------------------------------------------------------------------------------------------ */

static void fixture_of(const struct atlas *a, struct fixture *x)
{
	*x = (struct fixture){.journal_bytes = (size_t)64 << 10, .max_open_files = 64, .read_budget = (size_t)4 << 20};
	snprintf(x->folder, sizeof(x->folder), "%s", a->folder);
	x->folders[0] = x->folder;
}

static void scrub_await(struct fiber *self, struct store *s)
{
	struct store_settings settings = {.scrub_interval_ms = 86400000};

	store_configure(s, &settings);
	while (store_figures(s)->scrubs == 0)
		atlas_pause_await(self);
	store_configure(s, &(struct store_settings){0});
}

static uint64_t found_by_scrub(const struct store *s)
{
	const struct store_figures *f = store_figures(s);

	return f->damages_found + f->side_damages_found + f->snapshots_found_bad + f->segments_unreadable;
}

struct look {
	const struct atlas *atlas;
	struct truth *into;
	bool scrub;
	enum err opened;
	int start_lines;
	int read_lines;
	uint64_t scrub_found;
};

static void look_await(struct fiber *self, struct look *k)
{
	struct log *logs[ATLAS_LOGS];
	struct fixture x;
	int before = lines_of(self);

	fixture_of(k->atlas, &x);
	k->opened = fixture_try_open_await(self, &x);
	for (int i = 0; i < ATLAS_LOGS && !k->opened; i++) {
		struct log_config config = atlas_config((enum atlas_log)i);
		enum err e = fixture_try_log_await(self, &x, atlas_log_names[i], 0, &config, &logs[i]);

		memset(&k->into->told[i], 0, sizeof(k->into->told[i]));
		k->into->told[i].opened = e;
	}
	k->start_lines = lines_of(self) - before;
	if (k->opened)
		return;
	if (k->scrub) {
		scrub_await(self, x.store);
		k->scrub_found = found_by_scrub(x.store);
	}
	before = lines_of(self);
	for (int i = 0; i < ATLAS_LOGS; i++)
		if (!k->into->told[i].opened)
			atlas_tell_await(self, logs[i], &k->into->told[i]);
	k->read_lines = lines_of(self) - before;
	(void)!store_close_await(self, x.store);
	(void)!storage_close_await(self, x.storage);
}

static void compare(const struct truth *was, const struct look *k, struct outcome *o, char wrong[static 32])
{
	for (int i = 0; i < ATLAS_LOGS && !k->opened; i++) {
		const struct atlas_told *is = &k->into->told[i];
		bool shorter;
		const char *words = atlas_compare(&was->told[i], is, &shorter);

		o->offline |= is->opened != OK;
		o->read_found |= is->read || is->looked_up;
		if (shorter && k->start_lines > 0)
			o->cut = true;
		else if (words && !wrong[0])
			snprintf(wrong, 32, "%s", words);
	}
}

static void on_found(void *user, const struct verify_finding *f)
{
	const struct atlas *a = user;

	if (a->loud)
		fprintf(stderr, "  verify: %s %s at %lld, offset %lld: %s\n",
			f->grade == VERIFY_DAMAGE ? "damage" : "note", f->path, (long long)f->position,
			(long long)f->offset, f->text);
}

static void verify_one_await(struct fiber *self, struct atlas *a, struct outcome *o)
{
	struct verify_options options = {.path = a->folder, .found = on_found, .user = a};
	struct verify_counts counts = {0};

	EXPECT_OK(verify_await(self, &options, &counts));
	o->verified = counts.damages > 0;
	o->noted = counts.notes > 0;
}

static void metastore_one_await(struct fiber *self, struct atlas *a, struct outcome *o)
{
	struct atlas_text text = {a->now.metastore, 0};
	int before = lines_of(self);
	enum err e;

	memset(a->now.metastore, 0, sizeof(a->now.metastore));
	e = tell_metastore_await(self, a->folder, &text);
	o->refused = e != OK;
	o->said = lines_of(self) > before;
	if (e || strcmp(a->now.metastore, a->truths[o->end].metastore) == 0)
		return;
	if (o->said)
		o->cut = true;
	else
		snprintf(o->wrong, sizeof(o->wrong), "other nodes");
}

static void damage_one_await(struct fiber *self, struct atlas *a, int number)
{
	struct outcome *o = &a->outcomes[number];
	const struct atlas_image *image = &a->images[o->end];
	struct look first = {.atlas = a, .into = &a->now}, second = {.atlas = a, .into = &a->now, .scrub = true};

	atlas_put(image, a->folder, &o->harm);
	if (strncmp(atlas_kinds[o->kind].words, "metastore", 9) == 0) {
		metastore_one_await(self, a, o);
		return;
	}
	verify_one_await(self, a, o);
	if (a->loud)
		fprintf(stderr, " opened\n");
	look_await(self, &first);
	o->refused = first.opened != OK;
	o->said = first.start_lines > 0;
	o->read_found = first.read_lines > 0;
	compare(&a->truths[o->end], &first, o, o->wrong);
	if (o->refused)
		return;
	atlas_put(image, a->folder, &o->harm);
	if (a->loud)
		fprintf(stderr, " opened, scrubbed\n");
	look_await(self, &second);
	o->scrub_found = second.scrub_found > 0;
	compare(&a->truths[o->end], &second, &(struct outcome){0}, o->wrong_scrubbed);
}

/* --- all of them --------------------------------------------------------------------------------------------------- */

/* Those that something came of, once; they come first. */
static const struct {
	enum atlas_end end;
	const char *name;
	enum atlas_form form;
	size_t at;
	unsigned bit;
} known[] = {
	{ATLAS_STOPPED, "p-0/00000000000000000108.log", ATLAS_FLIP, 342, 6}, /* an epoch that was served */
	{ATLAS_STOPPED, "t-0/00000000000000000028.log", ATLAS_FLIP, 2674,
	 1}, /* a magic: nothing was served, and no error */
	{ATLAS_KILLED, "t-0/00000000000000000084.log", ATLAS_FLIP, 522, 4}, /* a base offset: the same, for ever */
	{ATLAS_STOPPED, "t-0/00000000000000000084.log", ATLAS_FLIP, 0, 1},
	{ATLAS_STOPPED, "c-0/00000000000000000162.log", ATLAS_FLIP, 683,
	 7},                                                              /* a last offset: its batch was passed over */
	{ATLAS_LOST, "p-0/00000000000000000000.log", ATLAS_CUT, 1352, 0}, /* within a header: read again for ever */
	{ATLAS_KILLED, "s-0/00000000000000000027.log", ATLAS_FLIP, 26, 6}, /* found by a timestamp, unlooked at */
	{ATLAS_KILLED, "t-0/00000000000000000139.txnindex", ATLAS_FLIP, 6,
	 7}, /* the scrub did not look at the records */
	{ATLAS_LOST, "t-0/00000000000000000111.txnindex", ATLAS_CUT, 34, 0},
	{ATLAS_KILLED, "s-0/leader-epoch-checkpoint", ATLAS_FLIP, 1, 0}, /* made anew, in silence */
	{ATLAS_LOST, "moldau-journal-0-1", ATLAS_CUT, 23009, 0},         /* rounds that were missing, in silence */
};

static bool choose_known(struct atlas *a, int number)
{
	struct outcome *o = &a->outcomes[number];
	const struct atlas_image *image;

	if (number >= (int)countof(known))
		return false;
	o->end = known[number].end;
	image = &a->images[o->end];
	o->harm = (struct atlas_harm){.form = known[number].form, .at = known[number].at, .bit = known[number].bit};
	while (strcmp(image->files[o->harm.file].name, known[number].name) != 0)
		EXPECT(++o->harm.file < image->count);
	o->kind = image->files[o->harm.file].kind;
	atlas_name_place(&image->files[o->harm.file], &o->harm);
	return true;
}

static void choose(struct atlas *a, int number)
{
	struct outcome *o = &a->outcomes[number];
	struct prng random;

	if (choose_known(a, number))
		return;
	prng_seed(&random, a->seed * 1000000 + (uint64_t)number);
	o->end = (enum atlas_end)(number % ATLAS_ENDS);
	atlas_choose(&a->images[o->end], &random, &o->harm);
	o->kind = a->images[o->end].files[o->harm.file].kind;
}

static void tell(const struct atlas *a, int number)
{
	const struct outcome *o = &a->outcomes[number];
	const struct atlas_harm *h = &o->harm;
	const struct atlas_file *f = &a->images[o->end].files[h->file];

	fprintf(stderr, "damage %d of seed %llu: %s: %s of %zu bytes: %s at %zu", number, (unsigned long long)a->seed,
		atlas_end_words[o->end], f->name, f->size, atlas_form_words[h->form], h->at);
	if (h->form == ATLAS_FLIP)
		fprintf(stderr, " bit %u", h->bit);
	else if (h->form == ATLAS_ZERO)
		fprintf(stderr, " (%zu bytes)", h->size);
	fprintf(stderr, " (%s)", h->place);
}

/* MOLDAU_ATLAS_ONLY=NUMBER[,NUMBER]...: those alone. */
static bool is_wanted(int number)
{
	const char *at = getenv("MOLDAU_ATLAS_ONLY");
	char text[16];
	size_t size;

	if (!at || !at[0])
		return true;
	snprintf(text, sizeof(text), "%d", number);
	for (; at; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL) {
		size = strcspn(at, ",");
		if (size == strlen(text) && strncmp(at, text, size) == 0)
			return true;
	}
	return false;
}

static void some_await(struct fiber *self, void *argument)
{
	struct atlas *a = argument;
	int end = a->next + A_PROCESS < a->count ? a->next + A_PROCESS : a->count;

	for (; a->next < end; a->next++) {
		if (!is_wanted(a->next))
			continue;
		alarm(SECONDS_EACH);
		(void)setitimer(ITIMER_PROF, &(struct itimerval){.it_value.tv_sec = CPU_SECONDS_EACH}, NULL);
		choose(a, a->next);
		if (a->loud) {
			tell(a, a->next);
			fprintf(stderr, "\n");
		}
		a->outcomes[a->next].done = true;
		damage_one_await(self, a, a->next);
	}
}

static void truth_await(struct fiber *self, void *argument)
{
	struct atlas *a = argument;
	enum atlas_end end = a->making.end;
	struct look k = {.atlas = a, .into = &a->truths[end], .scrub = true};
	struct atlas_text text = {a->truths[end].metastore, 0};
	struct outcome o = {0};

	verify_one_await(self, a, &o);
	EXPECT(!o.verified);
	look_await(self, &k);
	EXPECT_OK(k.opened);
	EXPECT(k.scrub_found == 0 && k.read_lines == 0);
	for (int i = 0; i < ATLAS_LOGS; i++)
		EXPECT(!k.into->told[i].opened && !k.into->told[i].read && !k.into->told[i].wrong_place);
	EXPECT_OK(tell_metastore_await(self, a->folder, &text));
}

static void make(struct atlas *a, enum atlas_end end)
{
	struct atlas_making *m = &a->making;
	struct atlas_image *image = &a->images[end];

	m->end = end;
	m->more_await = make_metastore_await;
	fixture_of(a, &m->x);
	atlas_clear(a->folder);
	CHECK(run_apart(a, atlas_make_await, m));
	for (int i = 0; i < ATLAS_LOGS && end == ATLAS_LOST; i++) {
		char path[300];

		snprintf(path, sizeof(path), "%s/%s", a->folder, m->synced[i].name);
		CHECK(truncate(path, (off_t)m->synced[i].size) == 0);
	}
	atlas_take(image, a->folder, "");
	atlas_sort(image);
	CHECK(run_apart(a, truth_await, a));
}

/* --- what nobody can mend ------------------------------------------------------------------------------------------ */

static bool found_by_any(const struct outcome *o)
{
	return o->verified || o->refused || o->offline || o->said || o->read_found || o->scrub_found;
}

static bool served_wrong(const struct outcome *o)
{
	return o->wrong[0] || o->wrong_scrubbed[0];
}

static bool is_kind(const struct outcome *o, const char *words)
{
	return strcmp(atlas_kinds[o->kind].words, words) == 0;
}

/* Why what is given may differ; NULL: it may not. */
static const char *named(const struct outcome *o)
{
	if (is_kind(o, ".txnindex") && o->scrub_found && !o->wrong_scrubbed[0])
		return "no checksum covers a .txnindex: read_committed is wrong until the scrub has held it against "
		       "the records";
	if (is_kind(o, ".log") && o->end != ATLAS_STOPPED && o->harm.last &&
	    (strcmp(o->harm.place, "leader epoch") == 0 || strcmp(o->harm.place, "base offset") == 0))
		return "of the last batch, after no clean stop: no batch follows that would contradict it";
	if (is_kind(o, ".log") && o->end != ATLAS_STOPPED && o->harm.form == ATLAS_CUT && o->verified &&
	    o->scrub_found && strcmp(o->harm.place, "base offset") == 0)
		return "a closed segment cut where a batch ends looks as compaction leaves it; its index tells";
	if (is_kind(o, "moldau-journal") && o->end == ATLAS_LOST)
		return o->said ? "the journal lost rounds that were in no segment, and the start says so"
			       : "the journal's last rounds: as if they had not been synced";
	if (is_kind(o, "moldau-checkpoint-SHARD") && o->said && strcmp(o->wrong, "another start") == 0)
		return "the bounds are lost, and the start says so: the log begins where its oldest segment does";
	return NULL;
}

/* --- the table ----------------------------------------------------------------------------------------------------- */

struct row {
	int damages, verified, started, read, scrubbed, any, harmless, cut, named, wrong;
};

static void count_outcome(struct row *r, const struct outcome *o)
{
	bool any = found_by_any(o), wrong = o->crashed || served_wrong(o);

	r->damages++;
	r->verified += o->verified;
	r->started += o->refused || o->offline || o->said;
	r->read += o->read_found;
	r->scrubbed += o->scrub_found;
	r->any += any;
	r->harmless += !any && !wrong;
	r->cut += o->cut;
	r->named += wrong && !o->crashed && named(o);
	r->wrong += wrong && (o->crashed || !named(o));
}

static void print_table(const struct atlas *a, enum atlas_end end)
{
	fprintf(stderr, "\n%-34s %7s | %6s %6s %6s %6s %6s | %8s %6s | %6s %6s\n", atlas_end_words[end], "damages",
		"verify", "start", "read", "scrub", "any", "harmless", "tail", "named", "WRONG");
	for (size_t k = 0; k < ATLAS_KINDS; k++) {
		struct row r = {0};

		for (int i = 0; i < a->count; i++)
			if (a->outcomes[i].done && a->outcomes[i].end == end && a->outcomes[i].kind == (int)k)
				count_outcome(&r, &a->outcomes[i]);
		if (r.damages)
			fprintf(stderr, "%-34s %7d | %6d %6d %6d %6d %6d | %8d %6d | %6d %6d\n", atlas_kinds[k].words,
				r.damages, r.verified, r.started, r.read, r.scrubbed, r.any, r.harmless, r.cut, r.named,
				r.wrong);
	}
}

static bool same_way(const struct outcome *a, const struct outcome *b)
{
	return a->end == b->end && a->kind == b->kind && a->crashed == b->crashed &&
	       found_by_any(a) == found_by_any(b) && strcmp(a->wrong, b->wrong) == 0 &&
	       strcmp(a->wrong_scrubbed, b->wrong_scrubbed) == 0 && strcmp(a->harm.place, b->harm.place) == 0;
}

/* Each way to be wrong once, with how often it was. */
static void print_wrong(const struct atlas *a)
{
	for (int i = 0; i < a->count; i++) {
		const struct outcome *o = &a->outcomes[i];
		int same = 0, before = 0;

		if (!o->crashed && !served_wrong(o))
			continue;
		for (int k = 0; k < a->count; k++) {
			bool is = (a->outcomes[k].crashed || served_wrong(&a->outcomes[k])) &&
				  same_way(&a->outcomes[k], o);

			same += is;
			before += is && k < i;
		}
		if (before)
			continue;
		fprintf(stderr, "%d times: ", same);
		tell(a, i);
		fprintf(stderr, ": %s%s; scrubbed: %s; found by:%s%s%s%s%s. %s\n", o->crashed ? "CRASHED OR HUNG " : "",
			o->wrong[0] ? o->wrong : "right", o->wrong_scrubbed[0] ? o->wrong_scrubbed : "right",
			o->verified ? " verify" : "", o->said ? " start" : "", o->read_found ? " read" : "",
			o->scrub_found ? " scrub" : "", found_by_any(o) ? "" : " nobody",
			named(o) ? named(o) : "WRONG");
	}
}

/* --- the test ------------------------------------------------------------------------------------------------------ */

static int number_of(const char *name, int otherwise)
{
	const char *text = getenv(name);

	return text && text[0] ? atoi(text) : otherwise;
}

static struct atlas *atlas_new(void)
{
	int count = number_of("MOLDAU_ATLAS_DAMAGES", COUNT_DEFAULT);
	struct atlas *a;

	a = mmap(NULL, sizeof(*a) + (size_t)count * sizeof(a->outcomes[0]), PROT_READ | PROT_WRITE,
		 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(a != MAP_FAILED);
	a->seed = (uint64_t)number_of("MOLDAU_ATLAS_SEED", 1);
	a->count = count;
	snprintf(a->folder, sizeof(a->folder), "%s/moldau-atlas-XXXXXX",
		 access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	CHECK(mkdtemp(a->folder));
	return a;
}

TEST(damage_to_each_kind_of_file_is_found_or_harmless_or_named)
{
	struct atlas *a = atlas_new();
	int bad = 0;

	for (int end = 0; end < ATLAS_ENDS; end++)
		make(a, (enum atlas_end)end);
	a->loud = getenv("MOLDAU_ATLAS_ONLY") != NULL;
	while (a->next < a->count) {
		if (!run_apart(a, some_await, a)) {
			a->outcomes[a->next].crashed = true;
			tell(a, a->next);
			fprintf(stderr, ": CRASHED OR HUNG\n");
			a->next++;
		}
		if (a->count > 1000)
			fprintf(stderr, "%d\n", a->next);
	}
	for (int end = 0; end < ATLAS_ENDS && a->count > COUNT_DEFAULT; end++)
		print_table(a, (enum atlas_end)end);
	print_wrong(a);
	for (int i = 0; i < a->count; i++)
		bad += a->outcomes[i].crashed || (served_wrong(&a->outcomes[i]) && !named(&a->outcomes[i]));
	atlas_clear(a->folder);
	CHECK(rmdir(a->folder) == 0);
	for (int end = 0; end < ATLAS_ENDS; end++)
		atlas_image_fini(&a->images[end]);
	CHECK_EQ(bad, 0);
}
