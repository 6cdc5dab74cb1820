/*
 * cli: the commands of the program `moldau`. A verb is a row of the table in verbs.c and a function; it parses its own options.
 *
 *      moldau VERB ARGUMENTS...        exit codes: 0 done, 1 failed (a line says why), 2 wrong use (a line says what is right)
 *
 * May use stdio, the terminal and files; what it wants from a broker it asks through the client library, as any user would.
 */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum cli_exit { CLI_DONE = 0, CLI_FAILED = 1, CLI_USAGE = 2 };

struct cli_verb {
	const char *name;    /* "broker", "topic create" */
	const char *summary; /* one line for the list of verbs */
	const char *help;    /* what `moldau VERB --help` prints: usage, options, an example */
	/* argv[0] is the verb. Returns an enum cli_exit. */
	int (*run)(const struct cli_verb *verb, int argc, char **argv);
};

/* Ends with a row whose name is NULL. */
extern const struct cli_verb cli_verbs[];

int cli_main(int argc, char **argv);

/* "moldau VERB: ..." and where to read more, on stderr; returns CLI_USAGE. */
int cli_usage(const struct cli_verb *verb, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* "moldau VERB: ..." on stderr; returns CLI_FAILED. */
int cli_failed(const struct cli_verb *verb, const char *format, ...) __attribute__((format(printf, 2, 3)));

/*
 * Options, for verbs: takes the next one from argv. `--name value` and `--name=value` are alike, and so are `-c 5` and `-c5`, `-e -q`
 * and `-eq`; a lone "--" ends the options.
 *
 *      struct cli_options o = cli_options(verb, argc, argv);
 *      while (cli_next(&o))
 *              if (cli_is(&o, "--shards")) ... cli_value(&o)
 *              else return cli_unknown(&o);
 *
 * Whatever does not begin with '-' is an argument: cli_is(&o, NULL).
 */
struct cli_options {
	const struct cli_verb *verb;
	char **argv;
	int argc;
	int at;
	const char *name;     /* the option, or the argument itself */
	const char *attached; /* what follows its '=' */
	const char *glued;    /* what follows a letter: its value, or more letters */
	char letter[3];
	size_t name_size;
	int is_argument;
	int only_arguments;
	int failed; /* a value was missing; said so */
};

struct cli_options cli_options(const struct cli_verb *verb, int argc, char **argv);
int cli_next(struct cli_options *o);
int cli_is(const struct cli_options *o, const char *name);
/* The option's value; NULL (and o->failed) when there is none. */
const char *cli_value(struct cli_options *o);
/* Says that the option is unknown; returns CLI_USAGE. */
int cli_unknown(struct cli_options *o);

/*
 * All of them for verbs that share one `take` (false after its complaint): what a verb's help does not name is unknown to it. CLI_DONE or
 * CLI_USAGE.
 */
int cli_take_all(struct cli_options *o, bool (*take)(void *arguments, struct cli_options *o), void *arguments);

/* "1.5 GiB", "640 KiB", "12 bytes". */
const char *cli_size(uint64_t bytes, char *ret_text, size_t size);

/* The verbs' functions, one source each. */
int cli_broker(const struct cli_verb *verb, int argc, char **argv);
int cli_version(const struct cli_verb *verb, int argc, char **argv);
extern const char cli_broker_help[];

#endif
