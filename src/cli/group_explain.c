/* group_explain: `moldau group explain`: asks the broker that keeps a group how it is and why it rebalanced, and prints it. Calls told and stdio. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/group.h"
#include "cli/table.h"
#include "cli/told.h"

#define PATH_MAX_SIZE 1000

const char cli_group_explain_help[] = "usage: moldau group explain GROUP... [OPTIONS]\n"
				      "\n"
				      "How a group is, whom it waits for, and its last rebalances: who caused each, "
				      "why, and how long it took. Asks the broker that\n"
				      "keeps the group, on the port of its setting metrics.listener, not on the one "
				      "that clients use. What is told is kept in memory: it begins\n"
				      "anew when the broker does.\n"
				      "\n"
				      "  --group GROUP                the same as GROUP\n"
				      "  --metrics-server HOST:PORT   default " TOLD_DEFAULT_SERVER "\n"
				      "  --format text|json           json: an object a line for each group\n"
				      "\nExample\n"
				      "  moldau group explain payments\n";

static void print_state(const json_t *g)
{
	int64_t now_ms = told_number(g, "nowMs"), since_ms = told_number(g, "stateSinceMs");
	size_t members = json_array_size(json_object_get(g, "members"));
	char span[TOLD_TEXT_SIZE];

	printf("%s: %s", told_text(g, "group"), told_text(g, "state"));
	if (since_ms >= 0)
		printf(" for %s", told_span(now_ms > since_ms ? now_ms - since_ms : 0, span));
	printf(", %s", told_text(g, "type"));
	if (told_text(g, "protocol")[0])
		printf(" (%s)", told_text(g, "protocol"));
	if (told_number(g, "generation") >= 0)
		printf(", generation %" PRId64, told_number(g, "generation"));
	printf(", %zu member%s", members, members == 1 ? "" : "s");
	if (told_number(g, "pendingMembers") > 0)
		printf(" and %" PRId64 " that have not joined yet", told_number(g, "pendingMembers"));
	printf(", %" PRId64 " offsets", told_number(g, "offsets"));
	if (told_number(g, "pendingOffsets") > 0)
		printf(" and %" PRId64 " in open transactions", told_number(g, "pendingOffsets"));
	putchar('\n');
}

static const char *waits_for(const json_t *member)
{
	if (json_is_true(json_object_get(member, "awaitsJoin")))
		return "the others to join";
	if (json_is_true(json_object_get(member, "awaitsSync")))
		return "the leader's assignment";
	return "";
}

static void print_members(const json_t *g)
{
	static const char *const headings[] = {"MEMBER", "INSTANCE",     "CLIENT-ID", "HOST",
					       "LEADS",  "SESSION-LEFT", "WAITS-FOR"};
	struct table t = table(headings, 7);
	const json_t *member;
	size_t i;

	json_array_foreach(json_object_get(g, "members"), i, member)
	{
		int64_t left_ms = told_number(member, "expiresInMs");
		bool leads = strcmp(told_text(member, "memberId"), told_text(g, "leader")) == 0;
		char span[TOLD_TEXT_SIZE];

		table_add(&t, (const char *const[]){told_text(member, "memberId"), told_text(member, "instanceId"),
						    told_text(member, "clientId"), told_text(member, "clientHost"),
						    leads ? "yes" : "", left_ms >= 0 ? told_span(left_ms, span) : "",
						    waits_for(member)});
	}
	if (t.count > 0)
		putchar('\n');
	table_print(&t);
	table_fini(&t);
}

static void print_rebalances(const json_t *g)
{
	static const char *const headings[] = {"REBALANCE (UTC)", "TOOK",       "CAUSE", "MEMBER", "CLIENT-ID", "HOST",
					       "MEMBERS",         "GENERATION", "REASON"};
	struct table t = table(headings, 9);
	const json_t *r;
	size_t i;

	json_array_foreach(json_object_get(g, "rebalances"), i, r)
	{
		char began[TOLD_TEXT_SIZE], took[TOLD_TEXT_SIZE], members[TOLD_TEXT_SIZE],
			generation[TOLD_TEXT_SIZE] = "";
		int64_t took_ms = told_number(r, "tookMs");

		if (took_ms >= 0)
			snprintf(members, sizeof(members), "%" PRId64 " -> %" PRId64, told_number(r, "membersBefore"),
				 told_number(r, "membersAfter"));
		else
			snprintf(members, sizeof(members), "%" PRId64 " ->", told_number(r, "membersBefore"));
		if (told_number(r, "generation") >= 0)
			snprintf(generation, sizeof(generation), "%" PRId64, told_number(r, "generation"));
		table_add(&t, (const char *const[]){told_time(told_number(r, "beganMs"), began),
						    took_ms >= 0 ? told_span(took_ms, took) : "under way",
						    told_text(r, "cause"), told_text(r, "memberId"),
						    told_text(r, "clientId"), told_text(r, "clientHost"), members,
						    generation, told_text(r, "reason")});
	}
	if (t.count > 0)
		putchar('\n');
	else
		printf("no rebalance since the broker took the group over\n");
	table_print(&t);
	table_fini(&t);
}

/* A group may be called anything. False: it is too long for a path. */
static bool path_of(const char *name, char ret_path[static PATH_MAX_SIZE])
{
	struct buf b;
	bool fits;

	buf_init(&b, PATH_MAX_SIZE - 1);
	buf_put_str(&b, "/groups/");
	for (; *name; name++) {
		unsigned char c = (unsigned char)*name;

		if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || strchr("-._~", c))
			buf_put_i8(&b, (int8_t)c);
		else
			buf_printf(&b, "%%%02X", c);
	}
	buf_put_str(&b, "/rebalances");
	fits = !b.error;
	memcpy(ret_path, buf_bytes(&b).data, b.size);
	ret_path[b.size] = '\0';
	buf_fini(&b);
	return fits;
}

static int explain_group(struct group_arguments *a, const struct told_server *server, const char *name)
{
	char path[PATH_MAX_SIZE];
	int code = CLI_DONE;
	json_t *g;

	if (!path_of(name, path))
		return cli_failed(a->session.verb, "%.40s...: the name is too long to be asked for", name);
	g = told_ask(server, path, name);
	if (!g)
		return CLI_FAILED;
	if (!json_is_array(json_object_get(g, "rebalances"))) {
		code = told_nonsense(server);
	} else if (a->json) {
		json_dumpf(g, stdout, JSON_COMPACT);
		putchar('\n');
	} else {
		print_state(g);
		print_members(g);
		print_rebalances(g);
	}
	json_decref(g);
	return code;
}

int cli_group_explain(const struct cli_verb *verb, int argc, char **argv)
{
	int code;
	struct group_arguments *a = group_parse(verb, argc, argv, &code);
	struct told_server server = {.verb = verb, .text = a->server ? a->server : TOLD_DEFAULT_SERVER};

	if (!code && a->name_count == 0)
		code = cli_usage(verb, "which group?");
	if (!code)
		code = told_parse(&server);
	for (size_t i = 0; i < a->name_count && code != CLI_USAGE; i++) {
		if (i > 0 && !a->json)
			putchar('\n');
		if (explain_group(a, &server, a->names[i]))
			code = CLI_FAILED;
	}
	return group_finish(a, code);
}
