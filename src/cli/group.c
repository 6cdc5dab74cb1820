/* group: see the header; `moldau group list|delete|remove-members`. Calls the client library and stdio. */
#include "cli/group.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "cli/table.h"

#define FILTERS_MAX 32
#define DEFAULT_TIMEOUT_MS "30000" /* as kafka-consumer-groups has it */

const char cli_group_list_help[] =
	"usage: moldau group list [OPTIONS]\n"
	"\n"
	"  --state [STATE,...]  with their states; or only those in these: stable, empty, dead, preparingRebalance,\n"
	"                       completingRebalance, assigning, reconciling\n"
	"  --type [TYPE,...]    with their types; or only these: classic, consumer, share, streams\n"
	"  --group-type TYPE    the same with a value\n"
	"  --protocol TYPE      only of this protocol: consumer, connect, ...\n"
	"  --verbose            state, type and protocol\n"
	"  --format text|json   json: an object a line for each group\n" GROUP_TIMEOUT_HELP SESSION_HELP;

const char cli_group_delete_help[] =
	"usage: moldau group delete GROUP... [OPTIONS]\n"
	"\n"
	"Forgets groups and all that they have committed. A group that has members stays.\n"
	"\n" GROUP_HELP GROUP_TIMEOUT_HELP SESSION_HELP;

const char cli_group_remove_members_help[] =
	"usage: moldau group remove-members GROUP [OPTIONS]\n"
	"\n"
	"Takes members out of a group, which rebalances. A consumer that still runs joins again.\n"
	"\n"
	"  --group GROUP        the same as GROUP\n"
	"  --member ID          this member; may be given more than once\n"
	"  --instance ID        the static member with this group.instance.id\n"
	"  --all-members        all that there are\n"
	"  --reason TEXT        what the broker's log says of it\n" GROUP_TIMEOUT_HELP SESSION_HELP "\nExample\n"
	"  moldau group remove-members payments --instance worker-3\n";

/* --- arguments --------------------------------------------------------------------------------------------------- */

static bool add_text(const char ***list, size_t *count, size_t *capacity, const char *text)
{
	if (!text)
		return false;
	*list = mem_grow(*list, capacity, *count + 1, sizeof(**list));
	(*list)[(*count)++] = text;
	return true;
}

/* A value that may be missing: the next word, unless it is another option. */
static const char *optional_value(struct cli_options *o)
{
	if (!o->attached && (o->at + 1 >= o->argc || o->argv[o->at + 1][0] == '-'))
		return NULL;
	return cli_value(o);
}

static bool take_view(struct group_arguments *a, struct cli_options *o)
{
	static const struct {
		const char *name;
		enum group_view view;
	} views[] = {{"--offsets", VIEW_OFFSETS}, {"--members", VIEW_MEMBERS}, {"--state", VIEW_STATE}};

	for (size_t i = 0; i < sizeof(views) / sizeof(views[0]); i++) {
		if (!cli_is(o, views[i].name))
			continue;
		a->view = views[i].view;
		a->views++;
		return true;
	}
	return false;
}

static bool take_number(struct group_arguments *a, struct cli_options *o, enum plan_kind kind, int64_t least)
{
	a->plan = kind;
	a->plans++;
	return cli_take_number(o, least, INT64_MAX, &a->value);
}

static bool take_time(struct group_arguments *a, struct cli_options *o)
{
	const char *text = cli_value(o);

	a->plan = PLAN_TIME;
	a->plans++;
	if (text && plan_parse_time(text, &a->value))
		return true;
	if (text)
		cli_usage(o->verb, "--to-datetime wants YYYY-MM-DDThh:mm:ss.sss (in UTC, or with +hh:mm), not %s",
			  text);
	return false;
}

static bool take_duration(struct group_arguments *a, struct cli_options *o)
{
	const char *text = cli_value(o);
	int64_t span_ms;

	a->plan = PLAN_TIME;
	a->plans++;
	if (text && plan_parse_duration(text, &span_ms) && span_ms > INT64_MIN / 2 && span_ms < INT64_MAX / 2) {
		a->value = group_now_ms() - span_ms;
		return true;
	}
	if (text)
		cli_usage(o->verb, "--by-duration wants PnDTnHnMnS, for example PT1H30M, not %s", text);
	return false;
}

/* How offsets are reset. False: it was no such option (then `ret_right` is untouched), or after a complaint. */
static bool take_plan(struct group_arguments *a, struct cli_options *o, bool *ret_right)
{
	static const struct {
		const char *name;
		enum plan_kind kind;
	} plain[] = {{"--to-earliest", PLAN_EARLIEST}, {"--to-latest", PLAN_LATEST}, {"--to-current", PLAN_CURRENT}};

	for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++) {
		if (!cli_is(o, plain[i].name))
			continue;
		a->plan = plain[i].kind;
		a->plans++;
		return *ret_right = true;
	}
	if (cli_is(o, "--to-offset"))
		*ret_right = take_number(a, o, PLAN_OFFSET, 0);
	else if (cli_is(o, "--shift-by"))
		*ret_right = take_number(a, o, PLAN_SHIFT, INT64_MIN + 1);
	else if (cli_is(o, "--to-datetime"))
		*ret_right = take_time(a, o);
	else if (cli_is(o, "--by-duration"))
		*ret_right = take_duration(a, o);
	else if (cli_is(o, "--from-file"))
		*ret_right = (a->plans++, a->file = cli_value(o)) != NULL;
	else
		return false;
	return true;
}

static bool take_flag(struct group_arguments *a, struct cli_options *o)
{
	const struct {
		const char *name;
		bool *flag;
	} flags[] = {
		{"--all-groups", &a->all_groups},   {"--all-topics", &a->all_topics},   {"--verbose", &a->verbose},
		{"--execute", &a->execute},         {"--dry-run", &a->dry_run},         {"--export", &a->export},
		{"--all-members", &a->all_members}, {"--no-lag-time", &a->no_lag_time},
	};

	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++)
		if (cli_is(o, flags[i].name))
			return *flags[i].flag = true;
	return false;
}

/* False after a complaint; for cli_take_all. */
static bool take_option(void *arguments, struct cli_options *o)
{
	struct group_arguments *a = arguments;
	bool right, lists = strcmp(o->verb->name, "group list") == 0;

	if (session_takes(&a->session, o))
		return !a->session.usage_error;
	if (cli_is(o, NULL))
		return add_text(&a->names, &a->name_count, &a->name_capacity, o->name);
	if (cli_is(o, "--group"))
		return add_text(&a->names, &a->name_count, &a->name_capacity, cli_value(o));
	if (cli_is(o, "--topic"))
		return add_text(&a->topics, &a->topic_count, &a->topic_capacity, cli_value(o));
	if (cli_is(o, "--member"))
		return add_text(&a->members, &a->member_count, &a->member_capacity, cli_value(o));
	if (cli_is(o, "--instance"))
		return add_text(&a->instances, &a->instance_count, &a->instance_capacity, cli_value(o));
	if (lists && cli_is(o, "--state"))
		return a->show_state = true, a->states = optional_value(o), true;
	if (lists && cli_is(o, "--type"))
		return a->show_type = true, a->types = optional_value(o), true;
	if (lists && cli_is(o, "--group-type"))
		return a->show_type = true, (a->types = cli_value(o)) != NULL;
	if (cli_is(o, "--protocol"))
		return (a->protocol = cli_value(o)) != NULL;
	if (cli_is(o, "--reason"))
		return (a->reason = cli_value(o)) != NULL;
	if (cli_is(o, "--metrics-server"))
		return (a->server = cli_value(o)) != NULL;
	if (cli_is(o, "--timeout"))
		return (a->timeout = cli_value(o)) != NULL;
	if (cli_is(o, "--format"))
		return cli_take_format(o, &a->json);
	if (take_plan(a, o, &right))
		return right;
	if (take_view(a, o) || take_flag(a, o))
		return true;
	cli_unknown(o);
	return false;
}

struct group_arguments *group_parse(const struct cli_verb *verb, int argc, char **argv, int *ret_code)
{
	struct group_arguments *a = mem_new(struct group_arguments);
	struct cli_options o = cli_options(verb, argc, argv);
	int64_t ms;

	session_init(&a->session, verb);
	session_set(&a->session, "default.api.timeout.ms", DEFAULT_TIMEOUT_MS);
	/* For the age of the next record: one record is enough, and that there is none is news. */
	session_set(&a->session, "enable.partition.eof", "true");
	session_set(&a->session, "auto.offset.reset", "earliest");
	session_set(&a->session, "max.partition.fetch.bytes", "65536");
	*ret_code = cli_take_all(&o, take_option, a);
	if (*ret_code)
		return a;
	if (a->timeout && !cli_number(a->timeout, 1, INT32_MAX, &ms))
		*ret_code = cli_usage(verb, "--timeout wants milliseconds, not %s", a->timeout);
	else if (a->timeout)
		session_set(&a->session, "default.api.timeout.ms", a->timeout);
	else
		a->timeout = DEFAULT_TIMEOUT_MS;
	return a;
}

int group_finish(struct group_arguments *a, int code)
{
	session_close(&a->session);
	mo_group_list_free(&a->all);
	mem_free(a->names);
	mem_free(a->topics);
	mem_free(a->members);
	mem_free(a->instances);
	mem_free(a);
	return code;
}

/* --- which groups ------------------------------------------------------------------------------------------------ */

static bool is_of_consumers(const struct mo_group_listing *g)
{
	bool other = g->type && (strcmp(g->type, "Share") == 0 || strcmp(g->type, "Streams") == 0);

	return !other && (!g->protocol_type[0] || strcmp(g->protocol_type, "consumer") == 0);
}

int group_open(struct group_arguments *a)
{
	struct mo_err e;
	int code;

	if (a->all_groups && a->name_count > 0)
		return cli_usage(a->session.verb, "--all-groups, or groups by name");
	if (!a->all_groups && a->name_count == 0)
		return cli_usage(a->session.verb, "which group?");
	code = session_open(&a->session);
	if (code || !a->all_groups)
		return code;
	if (mo_group_list(a->session.client, NULL, &a->all, &e))
		return session_failed(&a->session, &e);
	for (size_t i = 0; i < a->all.count; i++)
		if (is_of_consumers(&a->all.groups[i]))
			add_text(&a->names, &a->name_count, &a->name_capacity, a->all.groups[i].id);
	return CLI_DONE;
}

int group_missing(struct group_arguments *a, const char *name)
{
	return cli_failed(a->session.verb, "group %.300s does not exist; `moldau group list` shows which do", name);
}

/* --- list -------------------------------------------------------------------------------------------------------- */

/* "a, b" in pieces, in place; how many. */
static size_t split(char *text, const char **ret_parts)
{
	size_t count = 0;

	for (char *part = strtok(text, ", "); part && count < FILTERS_MAX; part = strtok(NULL, ", "))
		ret_parts[count++] = part;
	return count;
}

static void print_list_json(const struct mo_group_listing *g)
{
	json_t *row = json_pack("{s:s, s:s, s:s?, s:s?}", "group", g->id, "protocolType", g->protocol_type, "state",
				g->state, "type", g->type);

	json_dumpf(row, stdout, JSON_COMPACT);
	putchar('\n');
	json_decref(row);
}

static void print_list(const struct group_arguments *a, const struct mo_group_list *l)
{
	static const char *const headings[] = {"GROUP", "TYPE", "PROTOCOL", "STATE"};
	const char *shown[4] = {headings[0]};
	bool type = a->show_type || a->verbose, state = a->show_state || a->verbose;
	size_t columns = 1;
	struct table t;

	if (type)
		shown[columns++] = headings[1];
	if (a->verbose)
		shown[columns++] = headings[2];
	if (state)
		shown[columns++] = headings[3];
	t = table(shown, columns);
	for (size_t i = 0; i < l->count; i++) {
		const struct mo_group_listing *g = &l->groups[i];
		const char *cells[4] = {g->id};
		size_t n = 1;

		if (a->protocol && strcmp(g->protocol_type, a->protocol) != 0)
			continue;
		if (type)
			cells[n++] = g->type;
		if (a->verbose)
			cells[n++] = g->protocol_type;
		if (state)
			cells[n++] = g->state;
		if (a->json)
			print_list_json(g);
		else if (columns == 1)
			printf("%s\n", g->id);
		else
			table_add(&t, cells);
	}
	table_print(&t);
	table_fini(&t);
}

int cli_group_list(const struct cli_verb *verb, int argc, char **argv)
{
	int code;
	struct group_arguments *a = group_parse(verb, argc, argv, &code);
	const char *states[FILTERS_MAX], *types[FILTERS_MAX];
	struct mo_group_filter filter = {.states = states, .types = types};
	char *state_text = a->states ? mem_strdup(a->states) : NULL,
	     *type_text = a->types ? mem_strdup(a->types) : NULL;
	struct mo_group_list l = {0};
	struct mo_err e;

	if (!code && a->name_count > 0)
		code = cli_usage(verb, "takes no group; `moldau group describe %s` tells of one", a->names[0]);
	if (!code)
		code = session_open(&a->session);
	if (state_text)
		filter.state_count = split(state_text, states);
	if (type_text)
		filter.type_count = split(type_text, types);
	if (!code && mo_group_list(a->session.client, &filter, &l, &e))
		code = session_failed(&a->session, &e);
	if (!code)
		print_list(a, &l);
	mo_group_list_free(&l);
	mem_free(state_text);
	mem_free(type_text);
	return group_finish(a, code);
}

/* --- delete ------------------------------------------------------------------------------------------------------ */

int cli_group_delete(const struct cli_verb *verb, int argc, char **argv)
{
	int code;
	struct group_arguments *a = group_parse(verb, argc, argv, &code);
	struct mo_err *results, e;

	if (!code)
		code = group_open(a);
	results = mem_zalloc((a->name_count + 1) * sizeof(*results));
	if (!code && mo_group_delete(a->session.client, a->names, a->name_count, results, &e))
		code = session_failed(&a->session, &e);
	else if (!code) {
		for (size_t i = 0; i < a->name_count; i++) {
			if (results[i].code == GROUP_NOT_FOUND)
				code = group_missing(a, a->names[i]);
			else if (results[i].code)
				code = session_failed_at(&a->session, a->names[i], &results[i]);
			else
				printf("deleted group %s\n", a->names[i]);
		}
	}
	mem_free(results);
	return group_finish(a, code);
}

/* --- members that are made to leave ------------------------------------------------------------------------------ */

static struct mo_group_leaver *find_leavers(struct group_arguments *a, const struct mo_group *g, size_t *ret_count)
{
	size_t count = a->all_members ? g->member_count : a->member_count + a->instance_count;
	struct mo_group_leaver *all = mem_zalloc((count + 1) * sizeof(*all));

	*ret_count = count;
	/* As Java's Admin has it: static ones go by their instance. */
	for (size_t i = 0; i < count && a->all_members; i++) {
		all[i].instance_id = g->members[i].instance_id;
		all[i].member_id = g->members[i].instance_id ? NULL : g->members[i].id;
	}
	for (size_t i = 0; i < a->member_count && !a->all_members; i++)
		all[i].member_id = a->members[i];
	for (size_t i = 0; i < a->instance_count && !a->all_members; i++)
		all[a->member_count + i].instance_id = a->instances[i];
	return all;
}

static int remove_members(struct group_arguments *a, const struct mo_group *g)
{
	struct mo_group_leaver *leavers;
	int code = CLI_DONE, failed;
	struct mo_err e;
	size_t count;

	if (g && g->code == GROUP_NOT_FOUND)
		return group_missing(a, a->names[0]);
	if (g && g->code)
		return cli_failed(a->session.verb, "%s", g->text);
	leavers = find_leavers(a, g, &count);
	if (count == 0)
		printf("group %s has no members\n", a->names[0]);
	failed = count == 0 ? 0
			    : mo_group_remove_members(a->session.client, a->names[0], leavers, count,
						      a->reason ? a->reason : "moldau group remove-members", &e);
	if (failed)
		code = session_failed_at(&a->session, a->names[0], &e);
	for (size_t i = 0; i < count && !failed; i++) {
		const char *name = leavers[i].member_id ? leavers[i].member_id : leavers[i].instance_id;

		if (leavers[i].code)
			code = cli_failed(a->session.verb, "%s: %s", name, mo_code_text(leavers[i].code));
		else
			printf("removed %s\n", name);
	}
	mem_free(leavers);
	return code;
}

int cli_group_remove_members(const struct cli_verb *verb, int argc, char **argv)
{
	int code;
	struct group_arguments *a = group_parse(verb, argc, argv, &code);
	struct mo_group_descriptions d = {0};
	struct mo_err e;

	if (!code && a->name_count != 1)
		code = cli_usage(verb, "one group, please");
	if (!code && a->all_members == (a->member_count + a->instance_count > 0))
		code = cli_usage(verb, "--member and --instance, or --all-members");
	if (!code)
		code = group_open(a);
	if (!code && a->all_members && mo_group_describe(a->session.client, a->names, 1, &d, &e))
		code = session_failed(&a->session, &e);
	if (!code)
		code = remove_members(a, a->all_members ? &d.groups[0] : NULL);
	mo_group_descriptions_free(&d);
	return group_finish(a, code);
}
