/* group_reset: `moldau group reset|export|import|delete-offsets`. Calls the client library, stdio and files. */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "cli/group.h"
#include "cli/table.h"

#define FILE_MAX_BYTES ((size_t)256 * 1024 * 1024)

const char cli_group_reset_help[] =
	"usage: moldau group reset GROUP... HOW WHAT [OPTIONS]\n"
	"\n"
	"Sets what a group has committed, so that it reads from there. Only of groups that have no members. Shows what "
	"it would do;\n"
	"--execute does it.\n"
	"\n" GROUP_HELP "\n"
	"How\n"
	"  --to-earliest          to the beginning\n"
	"  --to-latest            to the end\n"
	"  --to-current           to what is committed; to the end where nothing is\n"
	"  --to-offset N          to this offset, or the nearest that there is\n"
	"  --shift-by N           so many further; back when N is negative\n"
	"  --to-datetime TIME     to the first record that is not older; YYYY-MM-DDThh:mm:ss.sss, in UTC or with "
	"+hh:mm\n"
	"  --by-duration SPAN     the same, so long ago: PnDTnHnMnS\n"
	"  --from-file FILE       to what a file of --export says (- for stdin)\n"
	"What\n"
	"  --topic TOPIC[:0,1]    all partitions of a topic, or some; may be given more than once\n"
	"  --all-topics           all partitions that the group has committed\n"
	"\n"
	"  --execute              does it\n"
	"  --dry-run              only shows it, which is the default\n"
	"  --export               prints a file for --from-file instead: [GROUP,]TOPIC,PARTITION,OFFSET\n"
	"  --format text|json     json: an object a line for each group\n" GROUP_TIMEOUT_HELP SESSION_HELP
	"\nExamples\n"
	"  moldau group reset payments --to-earliest --topic orders --execute\n"
	"  moldau group reset payments --by-duration PT1H --all-topics\n";

const char cli_group_export_help[] = "usage: moldau group export GROUP... [OPTIONS]\n"
				     "\n"
				     "Prints what groups have committed, for `moldau group import` or "
				     "kafka-consumer-groups --reset-offsets --from-file:\n"
				     "TOPIC,PARTITION,OFFSET, and GROUP before it where there is more than one.\n"
				     "\n" GROUP_HELP GROUP_TIMEOUT_HELP SESSION_HELP;

const char cli_group_import_help[] =
	"usage: moldau group import FILE [GROUP] [OPTIONS]\n"
	"\n"
	"Sets what groups have committed to what a file says; the same as moldau group reset --from-file FILE (- for "
	"stdin).\n"
	"Shows what it would do; --execute does it. GROUP: whose it is, where the file's lines do not say.\n"
	"\n"
	"  --group GROUP        the same as GROUP\n"
	"  --execute            does it\n"
	"  --dry-run            only shows it, which is the default\n"
	"  --format text|json\n" GROUP_TIMEOUT_HELP SESSION_HELP;

const char cli_group_delete_offsets_help[] =
	"usage: moldau group delete-offsets GROUP (--topic TOPIC[:0,1]... | --all-topics) [OPTIONS]\n"
	"\n"
	"Forgets what a group has committed of topics, or of some of their partitions. Not of topics that a member "
	"reads.\n"
	"\n"
	"  --group GROUP            the same as GROUP\n"
	"  --topic TOPIC[:0,1]      may be given more than once\n"
	"  --all-topics             all that it has committed\n" GROUP_TIMEOUT_HELP SESSION_HELP;

/* --- which partitions -------------------------------------------------------------------------------------------- */

void group_partitions_add(struct group_partitions *p, struct bytes topic, int32_t partition)
{
	char *name = mem_alloc(topic.size + 1);

	memcpy(name, topic.data, topic.size);
	name[topic.size] = '\0';
	p->items = mem_grow(p->items, &p->capacity, p->count + 1, sizeof(*p->items));
	p->items[p->count++] = (struct group_partition){name, partition};
}

void group_partitions_fini(struct group_partitions *p)
{
	for (size_t i = 0; i < p->count; i++)
		mem_free(p->items[i].topic);
	mem_free(p->items);
	*p = (struct group_partitions){0};
}

static int by_place(const void *a, const void *b)
{
	const struct group_partition *x = a, *y = b;
	int order = strcmp(x->topic, y->topic);

	return order ? order : x->partition < y->partition ? -1 : x->partition > y->partition;
}

/* In order, each once. */
static void sort_partitions(struct group_partitions *p)
{
	size_t kept = 0;

	if (p->count > 0)
		qsort(p->items, p->count, sizeof(*p->items), by_place);
	for (size_t i = 0; i < p->count; i++) {
		if (kept > 0 && by_place(&p->items[kept - 1], &p->items[i]) == 0)
			mem_free(p->items[i].topic);
		else
			p->items[kept++] = p->items[i];
	}
	p->count = kept;
}

static int add_whole_topic(struct group_arguments *a, const char *name, struct group_partitions *ret)
{
	struct mo_topics topics = {0};
	struct mo_err e;

	if (mo_topic_describe(a->session.client, name, &topics, &e))
		return session_failed_at(&a->session, name, &e);
	for (size_t i = 0; i < topics.topics[0].partition_count; i++)
		group_partitions_add(ret, bytes_str(name), topics.topics[0].partitions[i].partition);
	mo_topics_free(&topics);
	return CLI_DONE;
}

static int add_topic(struct group_arguments *a, const char *text, struct group_partitions *ret)
{
	struct plan_topic t;
	int code = CLI_DONE;

	if (!plan_parse_topic(text, &t))
		return cli_usage(a->session.verb, "--topic wants TOPIC or TOPIC:0,1,2, not %s", text);
	for (size_t i = 0; i < t.count; i++)
		group_partitions_add(ret, t.name, t.partitions[i]);
	if (t.count == 0)
		code = add_whole_topic(a, text, ret);
	plan_topic_fini(&t);
	return code;
}

int group_partitions(struct group_arguments *a, const struct mo_group_offsets *committed, struct group_partitions *ret)
{
	int code = CLI_DONE;

	for (size_t i = 0; i < a->topic_count && !code; i++)
		code = add_topic(a, a->topics[i], ret);
	for (size_t i = 0; i < committed->count && a->all_topics; i++)
		if (committed->offsets[i].offset >= 0)
			group_partitions_add(ret, bytes_str(committed->offsets[i].topic),
					     committed->offsets[i].partition);
	sort_partitions(ret);
	return code;
}

/* --- files ------------------------------------------------------------------------------------------------------- */

struct plan_file {
	struct plan_row *rows;
	size_t count;
	size_t capacity;
};

static void free_file(struct plan_file *f)
{
	for (size_t i = 0; i < f->count; i++)
		plan_row_fini(&f->rows[i]);
	mem_free(f->rows);
}

static bool read_all(FILE *from, struct buf *to)
{
	uint8_t chunk[8192];
	size_t size;

	while ((size = fread(chunk, 1, sizeof(chunk), from)) > 0)
		buf_put(to, chunk, size);
	return !ferror(from) && !to->error;
}

static int parse_lines(struct group_arguments *a, struct bytes text, struct plan_file *ret)
{
	for (size_t number = 1; text.size > 0; number++) {
		const uint8_t *end = memchr(text.data, '\n', text.size);
		struct bytes line = bytes_of(text.data, end ? (size_t)(end - text.data) : text.size);
		struct plan_row row;

		text = bytes_of(text.data + line.size + (end != NULL), text.size - line.size - (end != NULL));
		if (line.size > 0 && line.data[line.size - 1] == '\r')
			line.size--;
		if (line.size == 0)
			continue;
		if (!plan_parse_row(line, &row))
			return cli_failed(a->session.verb, "%s:%zu: not [GROUP,]TOPIC,PARTITION,OFFSET: %.*s", a->file,
					  number, line.size < 200 ? (int)line.size : 200, (const char *)line.data);
		if (!row.group && a->name_count != 1) {
			plan_row_fini(&row);
			return cli_failed(a->session.verb,
					  "%s:%zu: whose is it? Name one group, since the line does not", a->file,
					  number);
		}
		row.group = row.group ? row.group : mem_strdup(a->names[0]);
		ret->rows = mem_grow(ret->rows, &ret->capacity, ret->count + 1, sizeof(*ret->rows));
		ret->rows[ret->count++] = row;
	}
	return CLI_DONE;
}

static int read_file(struct group_arguments *a, struct plan_file *ret)
{
	bool standard = strcmp(a->file, "-") == 0;
	FILE *from = standard ? stdin : fopen(a->file, "rb");
	struct buf text;
	int code;

	if (!from)
		return cli_failed(a->session.verb, "cannot open %s", a->file);
	buf_init(&text, FILE_MAX_BYTES);
	code = read_all(from, &text) ? parse_lines(a, buf_bytes(&text), ret)
				     : cli_failed(a->session.verb, "cannot read %s", a->file);
	if (!standard)
		fclose(from);
	buf_fini(&text);
	return code;
}

/* --- the new offsets --------------------------------------------------------------------------------------------- */

struct reset {
	struct group_arguments *a;
	const struct mo_group_offsets *committed;
	struct group_partitions partitions;
	struct plan_facts *facts; /* by partition, as the next two */
	int64_t *wanted;          /* of a file */
	struct mo_group_offset *offsets;
};

static int64_t committed_offset(const struct mo_group_offsets *o, const struct group_partition *p)
{
	for (size_t i = 0; i < o->count; i++)
		if (o->offsets[i].partition == p->partition && strcmp(o->offsets[i].topic, p->topic) == 0)
			return o->offsets[i].offset;
	return -1;
}

/* One question of every partition: where its log begins, ends, or was at a time. */
static int ask_all(struct reset *r, struct mo_start at, size_t field)
{
	size_t count = r->partitions.count;
	struct mo_offset_question *questions = mem_zalloc((count + 1) * sizeof(*questions));
	struct mo_err e;
	int code = CLI_DONE;

	for (size_t i = 0; i < count; i++)
		questions[i] = (struct mo_offset_question){
			.topic = r->partitions.items[i].topic, .partition = r->partitions.items[i].partition, .at = at};
	if (count > 0 && mo_offset_list_many(r->a->session.client, questions, count, &e))
		code = session_failed(&r->a->session, &e);
	for (size_t i = 0; i < count && !code; i++) {
		if (questions[i].code)
			code = cli_failed(r->a->session.verb, "%s-%d: %s", questions[i].topic, questions[i].partition,
					  mo_code_text(questions[i].code));
		memcpy((char *)&r->facts[i] + field, &questions[i].offset, sizeof(questions[i].offset));
	}
	mem_free(questions);
	return code;
}

static int learn(struct reset *r)
{
	int code = ask_all(r, MO_BEGINNING, offsetof(struct plan_facts, start));

	if (!code)
		code = ask_all(r, MO_END_OF_LOG, offsetof(struct plan_facts, end));
	if (!code && r->a->plan == PLAN_TIME)
		code = ask_all(r, MO_TIMESTAMP(r->a->value), offsetof(struct plan_facts, at_time));
	for (size_t i = 0; i < r->partitions.count; i++)
		r->facts[i].current = committed_offset(r->committed, &r->partitions.items[i]);
	return code;
}

static int decide(struct reset *r)
{
	const struct cli_verb *verb = r->a->session.verb;

	for (size_t i = 0; i < r->partitions.count; i++) {
		const struct group_partition *p = &r->partitions.items[i];
		enum plan_kind kind = r->wanted ? PLAN_OFFSET : r->a->plan;
		int64_t value = r->wanted ? r->wanted[i] : r->a->value, offset = 0;
		enum plan_note note = plan_offset(kind, value, &r->facts[i], &offset);

		if (note == PLAN_NO_CURRENT)
			return cli_failed(verb, "%s-%d: cannot shift, since nothing is committed", p->topic,
					  p->partition);
		if (note != PLAN_FINE)
			fprintf(stderr, "%s-%d: the log %s, so it becomes %" PRId64 "\n", p->topic, p->partition,
				note == PLAN_ABOVE_END ? "ends before that" : "begins after that", offset);
		r->offsets[i] = (struct mo_group_offset){
			.topic = p->topic, .partition = p->partition, .offset = offset, .leader_epoch = -1};
	}
	return CLI_DONE;
}

/* The file's rows of this group; the last one counts where a partition stands twice. */
static void take_rows(struct reset *r, const char *group, const struct plan_file *f)
{
	for (size_t i = 0; i < f->count; i++)
		if (strcmp(f->rows[i].group, group) == 0)
			group_partitions_add(&r->partitions, bytes_str(f->rows[i].topic), f->rows[i].partition);
	sort_partitions(&r->partitions);
	r->wanted = mem_zalloc((r->partitions.count + 1) * sizeof(*r->wanted));
	for (size_t i = 0; i < f->count; i++) {
		struct group_partition key = {f->rows[i].topic, f->rows[i].partition}, *at;

		if (strcmp(f->rows[i].group, group) != 0)
			continue;
		at = bsearch(&key, r->partitions.items, r->partitions.count, sizeof(key), by_place);
		r->wanted[at - r->partitions.items] = f->rows[i].offset;
	}
}

/* --- doing it ---------------------------------------------------------------------------------------------------- */

static int commit(struct reset *r, const char *group)
{
	struct mo_err e;
	int code = CLI_DONE;

	if (r->partitions.count == 0)
		return CLI_DONE;
	if (mo_group_offset_alter(r->a->session.client, group, r->offsets, r->partitions.count, &e))
		return session_failed_at(&r->a->session, group, &e);
	for (size_t i = 0; i < r->partitions.count; i++)
		if (r->offsets[i].code)
			code = cli_failed(r->a->session.verb, "%s: %s-%d: %s", group, r->offsets[i].topic,
					  r->offsets[i].partition, mo_code_text(r->offsets[i].code));
	return code;
}

static void print_json(const struct reset *r, const char *group, bool done)
{
	json_t *partitions = json_array(), *row;

	for (size_t i = 0; i < r->partitions.count; i++)
		json_array_append_new(
			partitions, json_pack("{s:s, s:i, s:o, s:I}", "topic", r->offsets[i].topic, "partition",
					      r->offsets[i].partition, "oldOffset",
					      r->facts[i].current < 0 ? json_null() : json_integer(r->facts[i].current),
					      "newOffset", (json_int_t)r->offsets[i].offset));
	row = json_pack("{s:s, s:b, s:o}", "group", group, "executed", done, "partitions", partitions);
	json_dumpf(row, stdout, JSON_COMPACT);
	putchar('\n');
	json_decref(row);
}

static void print_rows(const struct reset *r, const char *group, struct table *t)
{
	struct buf line;

	buf_init(&line, 4096);
	for (size_t i = 0; i < r->partitions.count; i++) {
		const struct mo_group_offset *o = &r->offsets[i];
		char partition[32], before[32] = "", after[32];

		if (r->a->export) {
			struct plan_row row = {r->a->name_count > 1 ? (char *)(uintptr_t)group : NULL,
					       (char *)(uintptr_t)o->topic, o->partition, o->offset};

			buf_reset(&line);
			plan_put_row(&line, &row);
			fwrite(line.data, 1, line.size, stdout);
			continue;
		}
		snprintf(partition, sizeof(partition), "%d", o->partition);
		if (r->facts[i].current >= 0)
			snprintf(before, sizeof(before), "%" PRId64, r->facts[i].current);
		snprintf(after, sizeof(after), "%" PRId64, o->offset);
		table_add(t, (const char *const[]){group, o->topic, partition, before, after});
	}
	buf_fini(&line);
}

/* Kafka moves only who does not run. A group that is not there comes to be. */
static bool may_reset(struct group_arguments *a, const struct mo_group *g, int *ret_code)
{
	if (g->code == GROUP_NOT_FOUND ||
	    (!g->code && (strcmp(g->state, "Empty") == 0 || strcmp(g->state, "Dead") == 0)))
		return true;
	if (g->code)
		*ret_code = cli_failed(a->session.verb, "%s", g->text);
	else
		*ret_code = cli_failed(a->session.verb,
				       "group %s is %s; its offsets can be set only while it has no members: stop its "
				       "consumers first",
				       g->id, g->state);
	return false;
}

static int reset_group(struct group_arguments *a, const char *group, const struct mo_group_offsets *committed,
		       const struct plan_file *file, struct table *t)
{
	struct reset r = {.a = a, .committed = committed};
	int code = CLI_DONE;

	if (a->file)
		take_rows(&r, group, file);
	else
		code = group_partitions(a, committed, &r.partitions);
	r.facts = mem_zalloc((r.partitions.count + 1) * sizeof(*r.facts));
	r.offsets = mem_zalloc((r.partitions.count + 1) * sizeof(*r.offsets));
	if (!code)
		code = learn(&r);
	if (!code)
		code = decide(&r);
	if (!code && a->execute)
		code = commit(&r, group);
	if (!code && a->json)
		print_json(&r, group, a->execute);
	else if (!code)
		print_rows(&r, group, t);
	group_partitions_fini(&r.partitions);
	mem_free(r.facts);
	mem_free(r.wanted);
	mem_free(r.offsets);
	return code;
}

static int reset_all(struct group_arguments *a, const struct plan_file *file)
{
	static const char *const headings[] = {"GROUP", "TOPIC", "PARTITION", "OLD-OFFSET", "NEW-OFFSET"};
	struct mo_group_offsets *committed = mem_zalloc((a->name_count + 1) * sizeof(*committed));
	struct table t = table(headings, 5);
	struct mo_group_descriptions d = {0};
	int code = CLI_DONE, one;
	struct mo_err e;

	if (mo_group_describe(a->session.client, a->names, a->name_count, &d, &e) ||
	    mo_group_offset_list(a->session.client, a->names, a->name_count, 0, committed, &e))
		code = session_failed(&a->session, &e);
	for (size_t i = 0; i < d.count && !code; i++) {
		/* A group that is not there has committed nothing. */
		if (!may_reset(a, &d.groups[i], &code))
			continue;
		if (committed[i].code && committed[i].code != GROUP_NOT_FOUND)
			one = cli_failed(a->session.verb, "%s", committed[i].text);
		else
			one = reset_group(a, a->names[i], &committed[i], file, &t);
		code = one ? one : code;
	}
	table_print(&t);
	if (!code && !a->execute && !a->export && !a->json)
		fprintf(stderr, "nothing was changed; with --execute it is\n");
	table_fini(&t);
	for (size_t i = 0; i < a->name_count; i++)
		mo_group_offsets_free(&committed[i]);
	mem_free(committed);
	mo_group_descriptions_free(&d);
	return code;
}

static int check_reset(const struct group_arguments *a)
{
	const struct cli_verb *verb = a->session.verb;

	if (a->plans != 1)
		return cli_usage(verb,
				 a->plans ? "one way to reset, please" : "where to? --to-earliest, --to-offset N, ...");
	if (a->execute && a->dry_run)
		return cli_usage(verb, "--execute or --dry-run, not both");
	if (a->file && (a->topic_count > 0 || a->all_topics))
		return cli_usage(verb, "a file says itself which topics");
	if (!a->file && a->all_topics == (a->topic_count > 0))
		return cli_usage(verb, "--topic TOPIC[:0,1], or --all-topics");
	return CLI_DONE;
}

int cli_group_reset(const struct cli_verb *verb, int argc, char **argv)
{
	int code;
	struct group_arguments *a = group_parse(verb, argc, argv, &code);
	struct plan_file file = {0};

	if (!code)
		code = check_reset(a);
	if (!code)
		code = group_open(a);
	if (!code && a->file)
		code = read_file(a, &file);
	if (!code && a->name_count > 0)
		code = reset_all(a, &file);
	free_file(&file);
	return group_finish(a, code);
}

/* Every group that the file names, once. */
static void take_names(struct group_arguments *a, const struct plan_file *file)
{
	a->name_count = 0;
	for (size_t i = 0; i < file->count; i++) {
		bool known = false;

		for (size_t k = 0; k < a->name_count && !known; k++)
			known = strcmp(a->names[k], file->rows[i].group) == 0;
		if (known)
			continue;
		a->names = mem_grow(a->names, &a->name_capacity, a->name_count + 1, sizeof(*a->names));
		a->names[a->name_count++] = file->rows[i].group;
	}
}

int cli_group_import(const struct cli_verb *verb, int argc, char **argv)
{
	int code;
	struct group_arguments *a = group_parse(verb, argc, argv, &code);
	struct plan_file file = {0};

	if (!code && (a->name_count == 0 || a->name_count > 2))
		code = cli_usage(verb, a->name_count ? "one file, and one group" : "which file?");
	if (!code && a->execute && a->dry_run)
		code = cli_usage(verb, "--execute or --dry-run, not both");
	if (!code) {
		a->file = a->names[0];
		memmove(a->names, a->names + 1, --a->name_count * sizeof(*a->names));
		code = read_file(a, &file);
	}
	if (!code)
		take_names(a, &file);
	if (!code)
		code = session_open(&a->session);
	if (!code && a->name_count > 0)
		code = reset_all(a, &file);
	free_file(&file);
	return group_finish(a, code);
}

/* --- export ------------------------------------------------------------------------------------------------------ */

int cli_group_export(const struct cli_verb *verb, int argc, char **argv)
{
	int code;
	struct group_arguments *a = group_parse(verb, argc, argv, &code);
	struct mo_group_offsets *offsets;
	struct buf out;
	struct mo_err e;

	if (!code)
		code = group_open(a);
	offsets = mem_zalloc((a->name_count + 1) * sizeof(*offsets));
	buf_init(&out, SIZE_MAX / 4);
	if (!code && mo_group_offset_list(a->session.client, a->names, a->name_count, 0, offsets, &e))
		code = session_failed(&a->session, &e);
	for (size_t i = 0; i < a->name_count; i++) {
		if (offsets[i].code)
			code = cli_failed(verb, "%s", offsets[i].text);
		for (size_t k = 0; k < offsets[i].count && !offsets[i].code; k++) {
			const struct mo_group_offset *o = &offsets[i].offsets[k];
			struct plan_row row = {a->name_count > 1 ? offsets[i].group : NULL, (char *)(uintptr_t)o->topic,
					       o->partition, o->offset};

			if (o->offset >= 0 && !o->code)
				plan_put_row(&out, &row);
		}
		mo_group_offsets_free(&offsets[i]);
	}
	fwrite(buf_bytes(&out).data, 1, out.size, stdout);
	buf_fini(&out);
	mem_free(offsets);
	return group_finish(a, code);
}

/* --- forgetting -------------------------------------------------------------------------------------------------- */

static int forget(struct group_arguments *a, const struct group_partitions *p)
{
	struct mo_group_offset *offsets = mem_zalloc((p->count + 1) * sizeof(*offsets));
	int code = CLI_DONE, failed = 0;
	struct mo_err e;

	for (size_t i = 0; i < p->count; i++)
		offsets[i] = (struct mo_group_offset){.topic = p->items[i].topic, .partition = p->items[i].partition};
	if (p->count > 0)
		failed = mo_group_offset_delete(a->session.client, a->names[0], offsets, p->count, &e);
	if (failed)
		code = failed == GROUP_NOT_FOUND ? group_missing(a, a->names[0])
						 : session_failed_at(&a->session, a->names[0], &e);
	for (size_t i = 0; i < p->count && !failed; i++) {
		if (offsets[i].code)
			code = cli_failed(a->session.verb, "%s-%d: %s", offsets[i].topic, offsets[i].partition,
					  mo_code_text(offsets[i].code));
		else
			printf("forgot %s-%d of group %s\n", offsets[i].topic, offsets[i].partition, a->names[0]);
	}
	mem_free(offsets);
	return code;
}

int cli_group_delete_offsets(const struct cli_verb *verb, int argc, char **argv)
{
	int code;
	struct group_arguments *a = group_parse(verb, argc, argv, &code);
	struct group_partitions partitions = {0};
	struct mo_group_offsets committed = {0};
	struct mo_err e;

	if (!code && a->name_count != 1)
		code = cli_usage(verb, "one group, please");
	if (!code && a->all_topics == (a->topic_count > 0))
		code = cli_usage(verb, "--topic TOPIC[:0,1], or --all-topics");
	if (!code)
		code = group_open(a);
	if (!code && a->all_topics && mo_group_offset_list(a->session.client, a->names, 1, 0, &committed, &e))
		code = session_failed(&a->session, &e);
	if (!code)
		code = group_partitions(a, &committed, &partitions);
	if (!code)
		code = forget(a, &partitions);
	group_partitions_fini(&partitions);
	mo_group_offsets_free(&committed);
	return group_finish(a, code);
}
