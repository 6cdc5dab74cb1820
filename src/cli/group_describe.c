/* group_describe: `moldau group describe|members|state|offsets`. Calls the client library and stdio. */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "cli/group.h"
#include "cli/table.h"

#define NUMBER_SIZE 32

const char cli_group_describe_help[] =
	"usage: moldau group describe GROUP... [OPTIONS]\n"
	"\n"
	"Where a group stands in each partition: what it has committed, where the log ends, how many records are "
	"between,\n"
	"how old the next of them is, and who reads it.\n"
	"\n" GROUP_HELP "  --offsets            this, which is the default\n"
	"  --members            its members instead\n"
	"  --state              its state instead\n"
	"  --verbose            also leader epochs and metadata, assignments, epochs\n"
	"  --no-lag-time        does not read records to see how old they are\n"
	"  --format text|json   json: an object a line for each group\n" GROUP_TIMEOUT_HELP SESSION_HELP "\n"
	"LAG is in records (offsets), LAG-SECONDS the age of the record that is next, by its timestamp and the clock "
	"of this machine;\n"
	"0 when there is none. With -X isolation.level=read_committed both end where open transactions begin.\n"
	"\nExample\n"
	"  moldau group describe payments\n";

const char cli_group_members_help[] = "usage: moldau group members GROUP... [OPTIONS]\n"
				      "\n"
				      "The same as moldau group describe --members.\n"
				      "\n" GROUP_HELP "  --verbose            also what each reads, and is to read\n"
				      "  --format text|json\n" GROUP_TIMEOUT_HELP SESSION_HELP;

const char cli_group_state_help[] = "usage: moldau group state GROUP... [OPTIONS]\n"
				    "\n"
				    "The same as moldau group describe --state.\n"
				    "\n" GROUP_HELP "  --verbose            also the group's epochs\n"
				    "  --format text|json\n" GROUP_TIMEOUT_HELP SESSION_HELP;

const char cli_group_offsets_help[] =
	"usage: moldau group offsets GROUP... [OPTIONS]\n"
	"\n"
	"What groups have committed, as it is kept. `moldau group export` makes a file of it.\n"
	"\n" GROUP_HELP
	"  --format text|json   json: an object a line for each group\n" GROUP_TIMEOUT_HELP SESSION_HELP;

/* --- text -------------------------------------------------------------------------------------------------------- */

static const char *number(int64_t n, char ret_text[static NUMBER_SIZE])
{
	if (n < 0)
		return NULL;
	snprintf(ret_text, NUMBER_SIZE, "%" PRId64, n);
	return ret_text;
}

static const char *seconds(int64_t ms, char ret_text[static NUMBER_SIZE])
{
	if (ms < 0)
		return NULL;
	snprintf(ret_text, NUMBER_SIZE, "%" PRId64 ".%03" PRId64, ms / 1000, ms % 1000);
	return ret_text;
}

/* "orders(0,1), payments(3)" */
static void put_partitions(struct buf *b, const struct mo_topic_partitions *of, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		buf_printf(b, "%s%s(", i ? ", " : "", of[i].topic);
		for (size_t k = 0; k < of[i].count; k++)
			buf_printf(b, "%s%d", k ? "," : "", of[i].partitions[k]);
		buf_put_str(b, ")");
	}
	buf_put_i8(b, 0);
}

static json_t *partitions_json(const struct mo_topic_partitions *of, size_t count)
{
	json_t *all = json_object();

	for (size_t i = 0; i < count; i++) {
		json_t *numbers = json_array();

		for (size_t k = 0; k < of[i].count; k++)
			json_array_append_new(numbers, json_integer(of[i].partitions[k]));
		json_object_set_new(all, of[i].topic, numbers);
	}
	return all;
}

static json_t *number_json(int64_t n)
{
	return n < 0 ? json_null() : json_integer(n);
}

static void print_json(json_t *row)
{
	json_dumpf(row, stdout, JSON_COMPACT);
	putchar('\n');
	json_decref(row);
}

static size_t count_partitions(const struct mo_topic_partitions *of, size_t count)
{
	size_t sum = 0;

	for (size_t i = 0; i < count; i++)
		sum += of[i].count;
	return sum;
}

/* --- state ------------------------------------------------------------------------------------------------------- */

static json_t *group_json(const struct mo_group *g)
{
	return json_pack("{s:s, s:s, s:s, s:s, s:s, s:o, s:o, s:{s:i, s:s, s:i}}", "group", g->id, "type", g->type,
			 "state", g->state, "protocolType", g->protocol_type, "assignor", g->assignor, "epoch",
			 number_json(g->epoch), "assignmentEpoch", number_json(g->assignment_epoch), "coordinator",
			 "id", g->coordinator.id, "host", g->coordinator.host, "port", g->coordinator.port);
}

static void print_state(const struct group_arguments *a, const struct mo_group_descriptions *d)
{
	static const char *const headings[] = {"GROUP", "COORDINATOR (ID)", "TYPE",  "ASSIGNMENT-STRATEGY",
					       "STATE", "MEMBERS",          "EPOCH", "ASSIGNMENT-EPOCH"};
	struct table t = table(headings, a->verbose ? 8 : 6);

	for (size_t i = 0; i < d->count; i++) {
		const struct mo_group *g = &d->groups[i];
		char members[NUMBER_SIZE], epoch[NUMBER_SIZE], assignment[NUMBER_SIZE], coordinator[300];

		if (g->code)
			continue;
		if (a->json) {
			json_t *row = group_json(g);

			json_object_set_new(row, "members", json_integer((json_int_t)g->member_count));
			print_json(row);
			continue;
		}
		snprintf(coordinator, sizeof(coordinator), "%s:%d (%d)", g->coordinator.host, g->coordinator.port,
			 g->coordinator.id);
		table_add(&t, (const char *const[]){g->id, coordinator, g->type, g->assignor, g->state,
						    number((int64_t)g->member_count, members), number(g->epoch, epoch),
						    number(g->assignment_epoch, assignment)});
	}
	table_print(&t);
	table_fini(&t);
}

/* --- members ----------------------------------------------------------------------------------------------------- */

static json_t *member_json(const struct mo_group_member *m)
{
	json_t *topics = json_array();

	for (size_t i = 0; i < m->topic_count; i++)
		json_array_append_new(topics, json_string(m->topics[i]));
	return json_pack("{s:s, s:s?, s:s, s:s, s:s?, s:o, s:b, s:o, s:s?, s:o, s:o}", "id", m->id, "instanceId",
			 m->instance_id, "clientId", m->client_id, "host", m->host, "rack", m->rack, "epoch",
			 number_json(m->epoch), "classic", m->classic, "topics", topics, "pattern", m->pattern,
			 "assigned", partitions_json(m->assigned, m->assigned_count), "target",
			 partitions_json(m->target, m->target_count));
}

static void add_member(struct table *t, const struct mo_group *g, const struct mo_group_member *m, bool verbose)
{
	char count[NUMBER_SIZE], epoch[NUMBER_SIZE], group_epoch[NUMBER_SIZE];
	struct buf assigned, target;

	buf_init(&assigned, SIZE_MAX / 4);
	buf_init(&target, SIZE_MAX / 4);
	if (verbose) {
		put_partitions(&assigned, m->assigned, m->assigned_count);
		put_partitions(&target, m->target, m->target_count);
	}
	table_add(t, (const char *const[]){g->id, m->id, m->instance_id, m->host, m->client_id,
					   number((int64_t)count_partitions(m->assigned, m->assigned_count), count),
					   number(m->epoch, epoch), (const char *)assigned.data,
					   number(g->assignment_epoch, group_epoch), (const char *)target.data});
	buf_fini(&assigned);
	buf_fini(&target);
}

static void print_members(const struct group_arguments *a, const struct mo_group_descriptions *d)
{
	static const char *const headings[] = {
		"GROUP",      "CONSUMER-ID",   "GROUP-INSTANCE-ID",  "HOST",         "CLIENT-ID",
		"PARTITIONS", "CURRENT-EPOCH", "CURRENT-ASSIGNMENT", "TARGET-EPOCH", "TARGET-ASSIGNMENT"};
	struct table t = table(headings, a->verbose ? 10 : 6);

	for (size_t i = 0; i < d->count; i++) {
		const struct mo_group *g = &d->groups[i];
		json_t *row, *members;

		for (size_t k = 0; k < g->member_count && !a->json; k++)
			add_member(&t, g, &g->members[k], a->verbose);
		if (!a->json || g->code)
			continue;
		row = group_json(g);
		members = json_array();
		for (size_t k = 0; k < g->member_count; k++)
			json_array_append_new(members, member_json(&g->members[k]));
		json_object_set_new(row, "members", members);
		print_json(row);
	}
	table_print(&t);
	table_fini(&t);
}

/* --- offsets: the rows ------------------------------------------------------------------------------------------- */

struct rows {
	struct group_row *rows;
	size_t count;
	size_t capacity;
};

static int by_place(const void *a, const void *b)
{
	const struct group_row *x = a, *y = b;
	int order = strcmp(x->topic, y->topic);

	if (order)
		return order;
	if (x->partition != y->partition)
		return x->partition < y->partition ? -1 : 1;
	/* What is committed, before who reads. */
	return (x->member != NULL) - (y->member != NULL);
}

static void add_row(struct rows *r, struct group_row row)
{
	r->rows = mem_grow(r->rows, &r->capacity, r->count + 1, sizeof(*r->rows));
	r->rows[r->count++] = row;
}

/* One row a partition: what the group has committed, and who of its members reads it. */
static void add_group(struct rows *r, const struct mo_group *g, const struct mo_group_offsets *o)
{
	size_t first = r->count, kept = r->count;

	for (size_t i = 0; i < o->count; i++)
		add_row(r, (struct group_row){.group = o->group,
					      .topic = o->offsets[i].topic,
					      .partition = o->offsets[i].partition,
					      .offset = o->offsets[i].code ? -1 : o->offsets[i].offset,
					      .leader_epoch = o->offsets[i].leader_epoch,
					      .metadata = o->offsets[i].metadata});
	for (size_t m = 0; m < g->member_count; m++)
		for (size_t t = 0; t < g->members[m].assigned_count; t++)
			for (size_t i = 0; i < g->members[m].assigned[t].count; i++)
				add_row(r, (struct group_row){.group = o->group,
							      .topic = g->members[m].assigned[t].topic,
							      .partition = g->members[m].assigned[t].partitions[i],
							      .offset = -1,
							      .leader_epoch = -1,
							      .member = &g->members[m]});
	if (r->count > first)
		qsort(r->rows + first, r->count - first, sizeof(*r->rows), by_place);
	for (size_t i = first; i < r->count; i++) {
		struct group_row *before = kept > first ? &r->rows[kept - 1] : NULL;

		if (before && !before->member && strcmp(before->topic, r->rows[i].topic) == 0 &&
		    before->partition == r->rows[i].partition)
			before->member = r->rows[i].member;
		else
			r->rows[kept++] = r->rows[i];
	}
	r->count = kept;
}

/* Where the logs end, and so how far behind each row is. */
static int measure(struct group_arguments *a, struct rows *r)
{
	struct mo_offset_question *questions = mem_zalloc((r->count + 1) * sizeof(*questions));
	int64_t timeout_ms = 0;
	struct mo_err e;
	int code = CLI_DONE;

	for (size_t i = 0; i < r->count; i++)
		questions[i] = (struct mo_offset_question){
			.topic = r->rows[i].topic, .partition = r->rows[i].partition, .at = MO_END_OF_LOG};
	if (r->count > 0 && mo_offset_list_many(a->session.client, questions, r->count, &e))
		code = session_failed(&a->session, &e);
	for (size_t i = 0; i < r->count; i++) {
		struct group_row *row = &r->rows[i];

		row->end = questions[i].code ? -1 : questions[i].offset;
		row->lag = row->end < 0 || row->offset < 0 ? -1 : row->end > row->offset ? row->end - row->offset : 0;
		row->lag_ms = row->lag == 0 ? 0 : -1;
	}
	if (!code && !a->no_lag_time && cli_number(a->timeout, 0, INT32_MAX, &timeout_ms))
		group_lag_times(&a->session, r->rows, r->count, timeout_ms);
	mem_free(questions);
	return code;
}

/* --- offsets: what is shown -------------------------------------------------------------------------------------- */

static void add_line(struct table *t, const struct group_row *r, bool verbose)
{
	char partition[NUMBER_SIZE], epoch[NUMBER_SIZE], offset[NUMBER_SIZE], end[NUMBER_SIZE], lag[NUMBER_SIZE],
		age[NUMBER_SIZE];
	const char *cells[11] = {r->group, r->topic, number(r->partition, partition)};
	size_t n = 3;

	if (verbose)
		cells[n++] = number(r->leader_epoch, epoch);
	cells[n++] = number(r->offset, offset);
	cells[n++] = number(r->end, end);
	cells[n++] = number(r->lag, lag);
	cells[n++] = seconds(r->lag_ms, age);
	cells[n++] = r->member ? r->member->id : NULL;
	cells[n++] = r->member ? r->member->host : NULL;
	cells[n++] = r->member ? r->member->client_id : NULL;
	table_add(t, cells);
}

static json_t *row_json(const struct group_row *r)
{
	return json_pack("{s:s, s:i, s:o, s:o, s:s?, s:o, s:o, s:o, s:s?, s:s?, s:s?}", "topic", r->topic, "partition",
			 r->partition, "currentOffset", number_json(r->offset), "leaderEpoch",
			 number_json(r->leader_epoch), "metadata", r->metadata, "logEndOffset", number_json(r->end),
			 "lag", number_json(r->lag), "lagMs", number_json(r->lag_ms), "memberId",
			 r->member ? r->member->id : NULL, "host", r->member ? r->member->host : NULL, "clientId",
			 r->member ? r->member->client_id : NULL);
}

static void print_offsets_json(const struct mo_group *g, const struct rows *r, size_t from, size_t to)
{
	json_t *row = group_json(g), *partitions = json_array();

	for (size_t i = from; i < to; i++)
		json_array_append_new(partitions, row_json(&r->rows[i]));
	json_object_set_new(row, "partitions", partitions);
	print_json(row);
}

/* What is to be known of a group beside its rows; on stderr, as kafka-consumer-groups has it. */
static void remark(const struct mo_group *g)
{
	if (strcmp(g->state, "Empty") == 0)
		fprintf(stderr, "group %s has no active members\n", g->id);
	else if (strcmp(g->state, "Stable") != 0)
		fprintf(stderr, "group %s is rebalancing: %s\n", g->id, g->state);
}

static int print_offsets(struct group_arguments *a, const struct mo_group_descriptions *d,
			 const struct mo_group_offsets *offsets)
{
	static const char *const short_headings[] = {"GROUP",          "TOPIC",    "PARTITION",   "CURRENT-OFFSET",
						     "LOG-END-OFFSET", "LAG",      "LAG-SECONDS", "CONSUMER-ID",
						     "HOST",           "CLIENT-ID"};
	static const char *const long_headings[] = {"GROUP",          "TOPIC",          "PARTITION", "LEADER-EPOCH",
						    "CURRENT-OFFSET", "LOG-END-OFFSET", "LAG",       "LAG-SECONDS",
						    "CONSUMER-ID",    "HOST",           "CLIENT-ID"};
	struct table t = table(a->verbose ? long_headings : short_headings, a->verbose ? 11 : 10);
	size_t *ends = mem_zalloc((d->count + 1) * sizeof(*ends));
	struct rows r = {0};
	int code;

	for (size_t i = 0; i < d->count; i++) {
		if (!d->groups[i].code && !offsets[i].code)
			add_group(&r, &d->groups[i], &offsets[i]);
		ends[i] = r.count;
	}
	code = measure(a, &r);
	for (size_t i = 0; i < d->count && !code; i++) {
		size_t from = i > 0 ? ends[i - 1] : 0;

		if (offsets[i].code && !d->groups[i].code)
			code = cli_failed(a->session.verb, "%s", offsets[i].text);
		if (d->groups[i].code || offsets[i].code)
			continue;
		if (a->json)
			print_offsets_json(&d->groups[i], &r, from, ends[i]);
		else
			remark(&d->groups[i]);
		for (size_t k = from; k < ends[i] && !a->json; k++)
			add_line(&t, &r.rows[k], a->verbose);
	}
	table_print(&t);
	table_fini(&t);
	mem_free(ends);
	mem_free(r.rows);
	return code;
}

/* --- the verbs --------------------------------------------------------------------------------------------------- */

/* Says which of the groups are not there, or could not be described. */
static int complain(struct group_arguments *a, const struct mo_group_descriptions *d)
{
	int code = CLI_DONE;

	for (size_t i = 0; i < d->count; i++) {
		struct mo_group *g = &d->groups[i];

		/* Brokers before Kafka 4.0 describe a group that there is not as dead. */
		if (!g->code && strcmp(g->state, "Dead") == 0)
			g->code = GROUP_NOT_FOUND;
		if (g->code == GROUP_NOT_FOUND)
			code = group_missing(a, g->id);
		else if (g->code)
			code = cli_failed(a->session.verb, "%s", g->text);
	}
	return code;
}

static int show_offsets(struct group_arguments *a, const struct mo_group_descriptions *d)
{
	struct mo_group_offsets *offsets = mem_zalloc((d->count + 1) * sizeof(*offsets));
	struct mo_err e;
	int code;

	if (mo_group_offset_list(a->session.client, a->names, a->name_count, 0, offsets, &e))
		code = session_failed(&a->session, &e);
	else
		code = print_offsets(a, d, offsets);
	for (size_t i = 0; i < d->count; i++)
		mo_group_offsets_free(&offsets[i]);
	mem_free(offsets);
	return code;
}

static int describe(struct group_arguments *a)
{
	struct mo_group_descriptions d = {0};
	int code = CLI_DONE, shown = CLI_DONE;
	struct mo_err e;

	if (a->name_count == 0)
		return CLI_DONE;
	if (mo_group_describe(a->session.client, a->names, a->name_count, &d, &e))
		return session_failed(&a->session, &e);
	code = complain(a, &d);
	if (a->view == VIEW_MEMBERS)
		print_members(a, &d);
	else if (a->view == VIEW_STATE)
		print_state(a, &d);
	else
		shown = show_offsets(a, &d);
	mo_group_descriptions_free(&d);
	return code ? code : shown;
}

static int run(const struct cli_verb *verb, int argc, char **argv, enum group_view view)
{
	int code;
	struct group_arguments *a = group_parse(verb, argc, argv, &code);

	if (!code && a->views > 1)
		code = cli_usage(verb, "one of --offsets, --members and --state, please");
	if (view != VIEW_OFFSETS)
		a->view = view;
	if (!code)
		code = group_open(a);
	if (!code)
		code = describe(a);
	return group_finish(a, code);
}

int cli_group_describe(const struct cli_verb *verb, int argc, char **argv)
{
	return run(verb, argc, argv, VIEW_OFFSETS);
}

int cli_group_members(const struct cli_verb *verb, int argc, char **argv)
{
	return run(verb, argc, argv, VIEW_MEMBERS);
}

int cli_group_state(const struct cli_verb *verb, int argc, char **argv)
{
	return run(verb, argc, argv, VIEW_STATE);
}

/* --- what is kept ------------------------------------------------------------------------------------------------ */

static void print_kept(const struct group_arguments *a, const struct mo_group_offsets *o, struct table *t)
{
	json_t *partitions = a->json ? json_array() : NULL;

	for (size_t i = 0; i < o->count; i++) {
		const struct mo_group_offset *at = &o->offsets[i];
		char partition[NUMBER_SIZE], offset[NUMBER_SIZE], epoch[NUMBER_SIZE];

		if (a->json)
			json_array_append_new(partitions,
					      json_pack("{s:s, s:i, s:o, s:o, s:s?}", "topic", at->topic, "partition",
							at->partition, "offset", number_json(at->offset), "leaderEpoch",
							number_json(at->leader_epoch), "metadata", at->metadata));
		else
			table_add(t, (const char *const[]){o->group, at->topic, number(at->partition, partition),
							   number(at->offset, offset), number(at->leader_epoch, epoch),
							   at->metadata});
	}
	if (a->json)
		print_json(json_pack("{s:s, s:o}", "group", o->group, "partitions", partitions));
}

int cli_group_offsets(const struct cli_verb *verb, int argc, char **argv)
{
	static const char *const headings[] = {"GROUP", "TOPIC", "PARTITION", "OFFSET", "LEADER-EPOCH", "METADATA"};
	int code;
	struct group_arguments *a = group_parse(verb, argc, argv, &code);
	struct mo_group_offsets *offsets;
	struct table t = table(headings, 6);
	struct mo_err e;

	if (!code)
		code = group_open(a);
	offsets = mem_zalloc((a->name_count + 1) * sizeof(*offsets));
	if (!code && mo_group_offset_list(a->session.client, a->names, a->name_count, 0, offsets, &e))
		code = session_failed(&a->session, &e);
	for (size_t i = 0; i < a->name_count; i++) {
		if (offsets[i].code)
			code = cli_failed(verb, "%s", offsets[i].text);
		else if (offsets[i].group)
			print_kept(a, &offsets[i], &t);
		mo_group_offsets_free(&offsets[i]);
	}
	table_print(&t);
	table_fini(&t);
	mem_free(offsets);
	return group_finish(a, code);
}
