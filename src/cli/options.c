/* options: how verbs read their arguments and say what is wrong with them. See cli.h. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"

static void say(const struct cli_verb *verb, const char *format, va_list arguments)
	__attribute__((format(printf, 2, 0)));

static void say(const struct cli_verb *verb, const char *format, va_list arguments)
{
	fprintf(stderr, "moldau %s: ", verb->name);
	vfprintf(stderr, format, arguments);
}

int cli_usage(const struct cli_verb *verb, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	say(verb, format, arguments);
	va_end(arguments);
	fprintf(stderr, "; see moldau %s --help\n", verb->name);
	return CLI_USAGE;
}

int cli_failed(const struct cli_verb *verb, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	say(verb, format, arguments);
	va_end(arguments);
	fputc('\n', stderr);
	return CLI_FAILED;
}

struct cli_options cli_options(const struct cli_verb *verb, int argc, char **argv)
{
	return (struct cli_options){.verb = verb, .argv = argv, .argc = argc};
}

/* What is behind it is its value where it takes one (cli_value), else the next letter. */
static void next_letter(struct cli_options *o, char letter)
{
	o->glued = o->glued ? o->glued + 1 : o->argv[o->at] + 2;
	o->letter[0] = '-';
	o->letter[1] = letter;
	o->letter[2] = '\0';
	o->name = o->letter;
	o->name_size = 2;
	o->attached = NULL;
}

int cli_next(struct cli_options *o)
{
	const char *equals;

	if (o->failed)
		return 0;
	if (o->glued && *o->glued) {
		next_letter(o, *o->glued);
		return 1;
	}
	o->glued = NULL;
	if (++o->at >= o->argc)
		return 0;
	o->name = o->argv[o->at];
	o->attached = NULL;
	o->name_size = strlen(o->name);
	if (!o->only_arguments && strcmp(o->name, "--") == 0) {
		o->only_arguments = 1;
		return cli_next(o);
	}
	/* A lone "-" is a name for stdin, not an option. */
	o->is_argument = o->only_arguments || o->name[0] != '-' || o->name[1] == '\0';
	equals = strchr(o->name, '=');
	if (!o->is_argument && o->name[1] == '-' && equals) {
		o->attached = equals + 1;
		o->name_size = (size_t)(equals - o->name);
	}
	if (!o->is_argument && o->name[1] != '-' && o->name_size > 2)
		next_letter(o, o->name[1]);
	return 1;
}

int cli_is(const struct cli_options *o, const char *name)
{
	if (!name || o->is_argument)
		return !name && o->is_argument;
	return strlen(name) == o->name_size && memcmp(o->name, name, o->name_size) == 0;
}

const char *cli_value(struct cli_options *o)
{
	if (o->attached)
		return o->attached;
	if (o->glued && *o->glued) {
		const char *value = o->glued;

		o->glued = NULL;
		return value;
	}
	if (o->at + 1 < o->argc)
		return o->argv[++o->at];
	cli_usage(o->verb, "%s needs a value", o->name);
	o->failed = 1;
	return NULL;
}

int cli_unknown(struct cli_options *o)
{
	if (o->is_argument)
		return cli_usage(o->verb, "unexpected: %s", o->name);
	if (o->name == o->letter)
		return cli_usage(o->verb, "no such option: %s, in %s", o->name, o->argv[o->at]);
	return cli_usage(o->verb, "no such option: %.*s", (int)o->name_size, o->name);
}

const char *cli_size(uint64_t bytes, char *ret_text, size_t size)
{
	static const char *const units[] = {"bytes", "KiB", "MiB", "GiB", "TiB"};
	double value = (double)bytes;
	unsigned unit = 0;

	while (value >= 1024 && unit < 4) {
		value /= 1024;
		unit++;
	}
	snprintf(ret_text, size, value == (double)(uint64_t)value ? "%.0f %s" : "%.1f %s", value, units[unit]);
	return ret_text;
}

static bool is_in_help(const struct cli_options *o)
{
	char name[64];

	snprintf(name, sizeof(name), "%.*s", (int)o->name_size, o->name);
	return strstr(o->verb->help, name) != NULL;
}

int cli_take_all(struct cli_options *o, bool (*take)(void *arguments, struct cli_options *o), void *arguments)
{
	while (cli_next(o)) {
		if (!o->is_argument && !is_in_help(o))
			return cli_unknown(o);
		if (!take(arguments, o))
			return CLI_USAGE;
	}
	return o->failed ? CLI_USAGE : CLI_DONE;
}
