/*
 * config: `moldau config describe|alter` and `moldau topic config|alter|add-partitions|trim`, with the options of kafka-configs and kafka-topics.
 * Calls the client library and stdio.
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/session.h"
#include "cli/verbs.h"

#define CHANGES_MAX 200
#define NAMES_MAX 1000
#define SOURCE_DEFAULT 5
#define SOURCE_STATIC 4
#define ALL_RECORDS (-1)

#define ENTITY_HELP \
	"  --entity-type TYPE     topics, brokers, groups, client-metrics or broker-loggers\n" \
	"  --entity-name NAME     of that type; a broker's number\n" \
	"  --entity-default       all brokers\n" \
	"  --topic, --broker, --group, --client-metrics, --broker-logger NAME   both in one\n" \
	"  --broker-defaults      the same as --entity-type brokers --entity-default\n"
#define CHANGE_HELP \
	"  --add-config NAME=VALUE,...   sets; a value with commas in brackets: cleanup.policy=[compact,delete]\n" \
	"  --delete-config NAME,...      back to what the broker has for all\n" \
	"  --append-config NAME=VALUE    to a list\n" \
	"  --subtract-config NAME=VALUE  from a list\n" \
	"  --dry-run                     only asks whether it could be\n"

const char cli_config_describe_help[] =
	"usage: moldau config describe [OPTIONS]\n"
	"\n"
	"Settings that somebody set.\n"
	"\n" ENTITY_HELP "  --all                  every setting, also the defaults\n"
	"  --format text|json     json: an object a line for each setting\n" SESSION_HELP "\nExamples\n"
	"  moldau config describe --topic orders --all\n"
	"  moldau config describe --entity-type brokers --entity-name 1\n";

const char cli_config_alter_help[] = "usage: moldau config alter [OPTIONS]\n"
				     "\n"
				     "Changes take effect at once, and stay over restarts.\n"
				     "\n" ENTITY_HELP CHANGE_HELP SESSION_HELP "\nExamples\n"
				     "  moldau config alter --broker-defaults --add-config log.retention.ms=86400000\n"
				     "  moldau config alter --topic orders --delete-config retention.ms\n";

const char cli_topic_config_help[] = "usage: moldau topic config TOPIC [OPTIONS]\n"
				     "\n"
				     "Shows what the topic has set, or changes it.\n"
				     "\n"
				     "  --topic TOPIC                 the same as TOPIC\n" CHANGE_HELP
				     "  --all                         shows every setting\n"
				     "  --format text|json\n" SESSION_HELP "\nExamples\n"
				     "  moldau topic config orders --add-config retention.ms=86400000\n";

const char cli_topic_alter_help[] =
	"usage: moldau topic alter TOPIC... [OPTIONS]\n"
	"\n"
	"  --topic TOPIC                 the same as TOPIC\n"
	"  -p, --partitions N            as many in all; there are never fewer\n" CHANGE_HELP SESSION_HELP;

const char cli_topic_add_partitions_help[] =
	"usage: moldau topic add-partitions TOPIC... --partitions N [OPTIONS]\n"
	"\n"
	"  --topic TOPIC                 the same as TOPIC\n"
	"  -p, --partitions N            as many in all\n"
	"  --dry-run                     only asks whether it could be\n" SESSION_HELP;

const char cli_topic_trim_help[] =
	"usage: moldau topic trim TOPIC... [OPTIONS]\n"
	"\n"
	"Deletes the records below an offset, for good.\n"
	"\n"
	"  --topic TOPIC          the same as TOPIC\n"
	"  --partition N          default: every partition\n"
	"  --to OFFSET|end        where the partition shall begin; end: nothing is left\n" SESSION_HELP "\nExamples\n"
	"  moldau topic trim orders --partition 3 --to 1000\n"
	"  moldau topic trim orders --to end\n";

struct config_arguments {
	struct session session;
	const char *names[NAMES_MAX];
	size_t name_count;
	enum mo_resource kind;
	bool kind_given;
	bool name_given; /* of an entity, or the default */
	struct mo_config_change changes[CHANGES_MAX];
	size_t change_count;
	int64_t partitions;
	int64_t partition;
	int64_t offset;
	bool offset_given;
	bool all;
	bool json;
	bool dry_run;
};

static bool add_name(struct config_arguments *a, const char *name)
{
	if (!name || a->name_count == NAMES_MAX)
		return false;
	a->names[a->name_count++] = name;
	a->name_given = true;
	return true;
}

static bool take_kind(struct config_arguments *a, struct cli_options *o)
{
	static const struct {
		const char *name;
		enum mo_resource kind;
	} kinds[] = {{"topics", MO_RESOURCE_TOPIC},
		     {"brokers", MO_RESOURCE_BROKER},
		     {"groups", MO_RESOURCE_GROUP},
		     {"client-metrics", MO_RESOURCE_CLIENT_METRICS},
		     {"broker-loggers", MO_RESOURCE_LOGGER}};
	const char *text = cli_value(o);

	for (size_t i = 0; text && i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (strcmp(text, kinds[i].name) == 0) {
			a->kind = kinds[i].kind;
			return a->kind_given = true;
		}
	}
	if (text)
		cli_usage(o->verb, "--entity-type is topics, brokers, groups, client-metrics or broker-loggers, not %s",
			  text);
	return false;
}

static bool take_entity(struct config_arguments *a, struct cli_options *o, enum mo_resource kind)
{
	a->kind = kind;
	a->kind_given = true;
	return add_name(a, cli_value(o));
}

static bool add_change(struct config_arguments *a, struct cli_options *o, enum mo_config_change_kind kind,
		       const char *name, const char *value)
{
	if (a->change_count == CHANGES_MAX) {
		cli_usage(o->verb, "at most %d changes at once", CHANGES_MAX);
		return false;
	}
	a->changes[a->change_count++] = (struct mo_config_change){.name = name, .kind = kind, .value = value};
	return true;
}

/* NAME=VALUE,NAME=[VALUE,VALUE],...: cut in place. */
static bool take_pairs(struct config_arguments *a, struct cli_options *o, enum mo_config_change_kind kind)
{
	char *at = (char *)(uintptr_t)cli_value(o);

	while (at && *at) {
		const char *equals = cli_pair(o->verb, o->name, at);
		char *name = at, *value, *end;

		if (!equals)
			return false;
		value = at + (equals - at);
		*value++ = '\0';
		end = *value == '[' ? strchr(value, ']') : strchr(value, ',');
		if (*value == '[' && !end) {
			cli_usage(o->verb, "%s: the bracket of %s is not closed", o->name, name);
			return false;
		}
		at = end ? end + 1 : value + strlen(value);
		if (*value == '[') {
			value++;
			at += *at == ',';
		}
		if (end)
			*end = '\0';
		if (!add_change(a, o, kind, name, value))
			return false;
	}
	return at != NULL;
}

static bool take_names(struct config_arguments *a, struct cli_options *o)
{
	char *at = (char *)(uintptr_t)cli_value(o);

	while (at && *at) {
		char *comma = strchr(at, ',');

		if (!add_change(a, o, MO_CONFIG_DELETE, at, NULL))
			return false;
		at = comma ? comma + 1 : at + strlen(at);
		if (comma)
			*comma = '\0';
	}
	return at != NULL;
}

static bool take_offset(struct config_arguments *a, struct cli_options *o)
{
	const char *text = cli_value(o);

	a->offset_given = text && (strcmp(text, "end") == 0 || cli_number(text, 0, INT64_MAX, &a->offset));
	if (text && !a->offset_given)
		cli_usage(o->verb, "--to wants an offset, or end, not %s", text);
	return a->offset_given;
}

static bool take_entity_option(struct config_arguments *a, struct cli_options *o, bool *ret_good)
{
	static const struct {
		const char *name;
		enum mo_resource kind;
	} entities[] = {{"--topic", MO_RESOURCE_TOPIC},
			{"--broker", MO_RESOURCE_BROKER},
			{"--group", MO_RESOURCE_GROUP},
			{"--client-metrics", MO_RESOURCE_CLIENT_METRICS},
			{"--broker-logger", MO_RESOURCE_LOGGER}};

	for (size_t i = 0; i < sizeof(entities) / sizeof(entities[0]); i++) {
		if (cli_is(o, entities[i].name)) {
			*ret_good = take_entity(a, o, entities[i].kind);
			return true;
		}
	}
	if (cli_is(o, "--entity-type")) {
		*ret_good = take_kind(a, o);
	} else if (cli_is(o, "--entity-name")) {
		*ret_good = add_name(a, cli_value(o));
	} else if (cli_is(o, "--entity-default")) {
		*ret_good = add_name(a, "");
	} else if (cli_is(o, "--broker-defaults")) {
		a->kind = MO_RESOURCE_BROKER;
		a->kind_given = true;
		*ret_good = add_name(a, "");
	} else {
		return false;
	}
	return true;
}

/* False after a complaint; for cli_take_all. */
static bool take_option(void *arguments, struct cli_options *o)
{
	struct config_arguments *a = arguments;
	bool good;

	if (session_takes(&a->session, o))
		return !a->session.usage_error;
	if (cli_is(o, NULL))
		return add_name(a, o->name);
	if (take_entity_option(a, o, &good))
		return good;
	if (cli_is(o, "-p") || cli_is(o, "--partitions"))
		return cli_take_number(o, 1, 1000000, &a->partitions);
	if (cli_is(o, "--partition"))
		return cli_take_number(o, 0, INT32_MAX, &a->partition);
	if (cli_is(o, "--to"))
		return take_offset(a, o);
	if (cli_is(o, "--add-config"))
		return take_pairs(a, o, MO_CONFIG_SET);
	if (cli_is(o, "--append-config"))
		return take_pairs(a, o, MO_CONFIG_APPEND);
	if (cli_is(o, "--subtract-config"))
		return take_pairs(a, o, MO_CONFIG_SUBTRACT);
	if (cli_is(o, "--delete-config"))
		return take_names(a, o);
	if (cli_is(o, "--format"))
		return cli_take_format(o, &a->json);
	if (cli_is(o, "--all"))
		return a->all = true;
	if (cli_is(o, "--dry-run"))
		return a->dry_run = true;
	cli_unknown(o);
	return false;
}

static struct config_arguments *parse(const struct cli_verb *verb, int argc, char **argv, int *ret_code)
{
	struct config_arguments *a = calloc(1, sizeof(*a));
	struct cli_options o = cli_options(verb, argc, argv);

	if (!a)
		abort();
	a->kind = MO_RESOURCE_TOPIC;
	a->partitions = a->partition = -1;
	a->offset = ALL_RECORDS;
	session_init(&a->session, verb);
	*ret_code = cli_take_all(&o, take_option, a);
	return a;
}

static int finish(struct config_arguments *a, int code)
{
	session_close(&a->session);
	free(a);
	return code;
}

/* --- settings ---------------------------------------------------------------------------------------------------------- */

static void print_json(const char *entity, const struct mo_config *c)
{
	json_t *row = json_pack("{s:s, s:s, s:s?, s:i, s:b, s:b}", "entity", entity, "name", c->name, "value", c->value,
				"source", c->source, "readOnly", c->read_only, "sensitive", c->sensitive);

	json_dumpf(row, stdout, JSON_COMPACT);
	putchar('\n');
	json_decref(row);
}

static int describe_one(struct config_arguments *a, const char *name)
{
	struct mo_configs configs = {0};
	struct mo_err e;

	if (mo_config_describe(a->session.client, a->kind, name, &configs, &e))
		return session_failed_at(&a->session, name, &e);
	for (size_t i = 0; i < configs.count; i++) {
		const struct mo_config *c = &configs.configs[i];

		if (!a->all && (c->source == SOURCE_DEFAULT || c->source == SOURCE_STATIC ||
				(a->kind == MO_RESOURCE_TOPIC && c->source != 1)))
			continue;
		if (a->json)
			print_json(name, c);
		else
			printf("%s=%s\n", c->name, c->sensitive ? "(hidden)" : c->value ? c->value : "");
	}
	mo_configs_free(&configs);
	return CLI_DONE;
}

static int alter_one(struct config_arguments *a, const char *name)
{
	struct mo_err e;

	if (mo_config_alter(a->session.client, a->kind, name, a->changes, a->change_count, a->dry_run, &e))
		return session_failed_at(&a->session, name, &e);
	printf("%s %s\n", a->dry_run ? "could alter" : "altered", name[0] ? name : "all brokers");
	return CLI_DONE;
}

static int for_each(struct config_arguments *a, int (*one)(struct config_arguments *a, const char *name))
{
	int code = session_open(&a->session);

	for (size_t i = 0; i < a->name_count && session_goes_on(&a->session, code); i++) {
		int failed = one(a, a->names[i]);

		code = failed ? failed : code;
	}
	return code;
}

static int check_entity(const struct config_arguments *a)
{
	if (!a->kind_given || !a->name_given)
		return cli_usage(a->session.verb, "whose settings? --topic T, --broker N, --broker-defaults, ...");
	for (size_t i = 0; i < a->name_count; i++)
		if (a->names[i][0] == '\0' && a->kind != MO_RESOURCE_BROKER)
			return cli_usage(a->session.verb, "only brokers have defaults for all");
	return CLI_DONE;
}

int cli_config_describe(const struct cli_verb *verb, int argc, char **argv)
{
	int code;
	struct config_arguments *a = parse(verb, argc, argv, &code);

	if (!code)
		code = check_entity(a);
	if (!code)
		code = for_each(a, describe_one);
	return finish(a, code);
}

int cli_config_alter(const struct cli_verb *verb, int argc, char **argv)
{
	int code;
	struct config_arguments *a = parse(verb, argc, argv, &code);

	if (!code)
		code = check_entity(a);
	if (!code && a->change_count == 0)
		code = cli_usage(verb, "change what? --add-config NAME=VALUE, --delete-config NAME");
	if (!code)
		code = for_each(a, alter_one);
	return finish(a, code);
}

/* --- topics ------------------------------------------------------------------------------------------------------------ */

int cli_topic_config(const struct cli_verb *verb, int argc, char **argv)
{
	int code;
	struct config_arguments *a = parse(verb, argc, argv, &code);

	if (!code && a->name_count == 0)
		code = cli_usage(verb, "which topic?");
	if (!code)
		code = for_each(a, a->change_count ? alter_one : describe_one);
	return finish(a, code);
}

static int add_to(struct config_arguments *a, const char *name)
{
	struct mo_err e;

	if (mo_topic_add_partitions(a->session.client, name, (int32_t)a->partitions, a->dry_run, &e))
		return session_failed_at(&a->session, name, &e);
	printf("%s %s: %lld partitions\n", a->dry_run ? "could alter" : "altered", name, (long long)a->partitions);
	return CLI_DONE;
}

static int alter_topic(struct config_arguments *a, const char *name)
{
	int code = a->partitions > 0 ? add_to(a, name) : CLI_DONE;

	return code || a->change_count == 0 ? code : alter_one(a, name);
}

int cli_topic_alter(const struct cli_verb *verb, int argc, char **argv)
{
	int code;
	struct config_arguments *a = parse(verb, argc, argv, &code);

	if (!code && a->name_count == 0)
		code = cli_usage(verb, "which topic?");
	if (!code && a->partitions < 0 && a->change_count == 0)
		code = cli_usage(verb, "change what? --partitions N, --add-config NAME=VALUE, --delete-config NAME");
	if (!code)
		code = for_each(a, alter_topic);
	return finish(a, code);
}

int cli_topic_add_partitions(const struct cli_verb *verb, int argc, char **argv)
{
	int code;
	struct config_arguments *a = parse(verb, argc, argv, &code);

	if (!code && a->name_count == 0)
		code = cli_usage(verb, "which topic?");
	if (!code && a->partitions < 0)
		code = cli_usage(verb, "how many in all? --partitions N");
	if (!code)
		code = for_each(a, add_to);
	return finish(a, code);
}

static int trim_partition(struct config_arguments *a, const char *name, int32_t partition)
{
	struct mo_err e;
	int64_t start;

	if (mo_records_delete(a->session.client, name, partition, a->offset, &start, &e))
		return session_failed_at(&a->session, name, &e);
	printf("%s/%d begins at %lld\n", name, partition, (long long)start);
	return CLI_DONE;
}

static int trim(struct config_arguments *a, const char *name)
{
	struct mo_topics topics = {0};
	int code = CLI_DONE;
	struct mo_err e;

	if (a->partition >= 0)
		return trim_partition(a, name, (int32_t)a->partition);
	if (mo_topic_describe(a->session.client, name, &topics, &e))
		return session_failed(&a->session, &e);
	for (size_t i = 0; i < topics.count && !code; i++)
		for (size_t k = 0; k < topics.topics[i].partition_count && !code; k++)
			code = trim_partition(a, name, topics.topics[i].partitions[k].partition);
	mo_topics_free(&topics);
	return code;
}

int cli_topic_trim(const struct cli_verb *verb, int argc, char **argv)
{
	int code;
	struct config_arguments *a = parse(verb, argc, argv, &code);

	if (!code && a->name_count == 0)
		code = cli_usage(verb, "which topic?");
	if (!code && !a->offset_given)
		code = cli_usage(verb, "up to where? --to OFFSET, or --to end for all records");
	if (!code)
		code = for_each(a, trim);
	return finish(a, code);
}
