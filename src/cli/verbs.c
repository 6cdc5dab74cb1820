/* verbs: the table of commands, and how one is found. See cli.h. */
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/verbs.h"

const struct cli_verb cli_verbs[] = {
	{"broker", "run a broker", cli_broker_help, cli_broker},
	{"topic create", "create topics", cli_topic_create_help, cli_topic_create},
	{"topic list", "list topics", cli_topic_list_help, cli_topic_list},
	{"topic describe", "show partitions, replicas and settings", cli_topic_describe_help, cli_topic_describe},
	{"topic explain", "why segments are still there, and when they go", cli_topic_explain_help, cli_topic_explain},
	{"topic delete", "delete topics", cli_topic_delete_help, cli_topic_delete},
	{"topic config", "show or change a topic's settings", cli_topic_config_help, cli_topic_config},
	{"topic alter", "add partitions, change settings", cli_topic_alter_help, cli_topic_alter},
	{"topic add-partitions", "give topics more partitions", cli_topic_add_partitions_help,
	 cli_topic_add_partitions},
	{"topic trim", "delete the records below an offset", cli_topic_trim_help, cli_topic_trim},
	{"produce", "write lines or files to a topic", cli_produce_help, cli_produce},
	{"consume", "print the records of a topic", cli_consume_help, cli_consume},
	{"group list", "list groups", cli_group_list_help, cli_group_list},
	{"group describe", "where a group stands, how far behind, and who reads", cli_group_describe_help,
	 cli_group_describe},
	{"group members", "who is in a group", cli_group_members_help, cli_group_members},
	{"group state", "a group's state, coordinator and epochs", cli_group_state_help, cli_group_state},
	{"group offsets", "what groups have committed", cli_group_offsets_help, cli_group_offsets},
	{"group reset", "set what a group has committed", cli_group_reset_help, cli_group_reset},
	{"group delete", "delete groups", cli_group_delete_help, cli_group_delete},
	{"group delete-offsets", "forget what a group has committed of topics", cli_group_delete_offsets_help,
	 cli_group_delete_offsets},
	{"group export", "print what groups have committed as a file", cli_group_export_help, cli_group_export},
	{"group import", "set it from such a file", cli_group_import_help, cli_group_import},
	{"group explain", "why a group rebalanced, and whom it waits for", cli_group_explain_help, cli_group_explain},
	{"group remove-members", "take members out of a group", cli_group_remove_members_help,
	 cli_group_remove_members},
	{"txn list", "list transactional ids", cli_txn_list_help, cli_txn_list},
	{"txn describe", "how transactions are", cli_txn_describe_help, cli_txn_describe},
	{"txn producers", "the producers that a partition knows", cli_txn_producers_help, cli_txn_producers},
	{"txn abort", "end a transaction that hangs in a partition", cli_txn_abort_help, cli_txn_abort},
	{"txn find-hanging", "transactions that no coordinator will end", cli_txn_find_hanging_help,
	 cli_txn_find_hanging},
	{"txn explain", "what holds back readers of committed records", cli_txn_explain_help, cli_txn_explain},
	{"config describe", "show settings of topics, brokers, groups", cli_config_describe_help, cli_config_describe},
	{"config alter", "change them", cli_config_alter_help, cli_config_alter},
	{"cluster info", "show brokers and counts", cli_cluster_info_help, cli_cluster_info},
	{"log dump", "print a segment file, and what is wrong with it", cli_log_dump_help, cli_log_dump},
	{"log verify", "check a stopped broker's folder, and say what is wrong", cli_log_verify_help, cli_log_verify},
	{"version", "print the version", "usage: moldau version\n\nPrints the version of this program.\n", cli_version},
	{NULL, NULL, NULL, NULL},
};

int cli_version(const struct cli_verb *verb, int argc, char **argv)
{
	(void)argv;
	if (argc > 1)
		return cli_usage(verb, "takes no arguments");
	printf("moldau %s\n", MOLDAU_VERSION);
	return CLI_DONE;
}

static void list_verbs(FILE *to)
{
	fprintf(to, "usage: moldau VERB ...\n\n");
	for (const struct cli_verb *v = cli_verbs; v->name; v++)
		fprintf(to, "  %-20s %s\n", v->name, v->summary);
	fprintf(to, "\nmoldau VERB --help explains one.\n");
}

/* How many of the words are the verb's name; 0: they are another one. */
static int matches(const struct cli_verb *v, int argc, char **argv)
{
	const char *at = v->name;
	int words = 0;

	while (*at != '\0') {
		size_t size = strcspn(at, " ");

		if (words >= argc || strlen(argv[words]) != size || memcmp(argv[words], at, size) != 0)
			return 0;
		words++;
		at += size;
		while (*at == ' ')
			at++;
	}
	return words;
}

static int is_help(const char *word)
{
	return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0;
}

static int wants_help(int argc, char **argv)
{
	for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
		if (is_help(argv[i]))
			return 1;
	return 0;
}

static const struct cli_verb *find_verb(int argc, char **argv, int *ret_words)
{
	for (const struct cli_verb *v = cli_verbs; v->name; v++) {
		*ret_words = matches(v, argc, argv);
		if (*ret_words > 0)
			return v;
	}
	return NULL;
}

/* `word` begins verbs of two words: says which. */
static int list_second_words(FILE *to, const char *word)
{
	size_t size = strlen(word);
	int count = 0;

	for (const struct cli_verb *v = cli_verbs; v->name; v++) {
		if (strncmp(v->name, word, size) != 0 || v->name[size] != ' ')
			continue;
		if (count++ == 0)
			fprintf(to, "moldau %s: what of", word);
		fprintf(to, "%s %s", count > 1 ? "," : "", v->name + size + 1);
	}
	if (count > 0)
		fprintf(to, "? moldau %s VERB --help explains one\n", word);
	return count;
}

static int no_such_verb(int argc, char **argv)
{
	if (list_second_words(stderr, argv[0]) == 0)
		fprintf(stderr, "moldau: no such verb: %s%s%s; moldau --help lists them\n", argv[0],
			argc > 1 && argv[1][0] != '-' ? " " : "", argc > 1 && argv[1][0] != '-' ? argv[1] : "");
	return CLI_USAGE;
}

/* `moldau help [VERB]` */
static int help(int argc, char **argv)
{
	const struct cli_verb *v;
	int words;

	if (argc == 0) {
		list_verbs(stdout);
		return CLI_DONE;
	}
	v = find_verb(argc, argv, &words);
	if (v)
		fputs(v->help, stdout);
	else if (list_second_words(stdout, argv[0]) == 0)
		return no_such_verb(argc, argv);
	return CLI_DONE;
}

int cli_main(int argc, char **argv)
{
	const struct cli_verb *v;
	int words;

	if (argc < 2) {
		list_verbs(stderr);
		return CLI_USAGE;
	}
	if (is_help(argv[1]) || strcmp(argv[1], "help") == 0)
		return help(argc - 2, argv + 2);
	if (strcmp(argv[1], "--version") == 0)
		argv[1] += strlen("--");
	v = find_verb(argc - 1, argv + 1, &words);
	if (!v && argc == 3 && is_help(argv[2]))
		return help(1, argv + 1);
	if (!v)
		return no_such_verb(argc - 1, argv + 1);
	if (wants_help(argc - words, argv + words)) {
		fputs(v->help, stdout);
		return CLI_DONE;
	}
	return v->run(v, argc - words, argv + words);
}
