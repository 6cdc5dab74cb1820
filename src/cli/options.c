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

int cli_next(struct cli_options *o)
{
	const char *equals;

	if (o->failed || ++o->at >= o->argc)
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
