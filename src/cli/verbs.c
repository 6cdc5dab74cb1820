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
	{"topic delete", "delete topics", cli_topic_delete_help, cli_topic_delete},
	{"produce", "write lines or files to a topic", cli_produce_help, cli_produce},
	{"consume", "print the records of a topic", cli_consume_help, cli_consume},
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
		fprintf(to, "  %-16s %s\n", v->name, v->summary);
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

static int wants_help(int argc, char **argv)
{
	for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
		if (strcmp(argv[i], "--help") == 0)
			return 1;
	return 0;
}

int cli_main(int argc, char **argv)
{
	if (argc < 2) {
		list_verbs(stderr);
		return CLI_USAGE;
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0) {
		list_verbs(stdout);
		return CLI_DONE;
	}
	if (strcmp(argv[1], "--version") == 0)
		argv[1] += strlen("--");
	for (const struct cli_verb *v = cli_verbs; v->name; v++) {
		int words = matches(v, argc - 1, argv + 1);

		if (words == 0)
			continue;
		if (wants_help(argc - words, argv + words)) {
			fputs(v->help, stdout);
			return CLI_DONE;
		}
		return v->run(v, argc - words, argv + words);
	}
	fprintf(stderr, "moldau: no such verb: %s; moldau --help lists them\n", argv[1]);
	return CLI_USAGE;
}
