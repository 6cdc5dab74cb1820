/* session: see the header. */
#include "cli/session.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define DEFAULT_BOOTSTRAP "127.0.0.1:9092"
#define PROGRESS_EVERY_MS 100
#define PROGRESS_FIRST_MS 500
#define NAME_MAX_SIZE 128

void session_init(struct session *s, const struct cli_verb *verb)
{
	const char *bootstrap = getenv("MOLDAU_BOOTSTRAP");

	*s = (struct session){.verb = verb};
	session_set(s, "bootstrap.servers", bootstrap && *bootstrap ? bootstrap : DEFAULT_BOOTSTRAP);
	/* A person waits: one round of refusals is enough. */
	session_set(s, "moldau.fail.fast", "true");
}

void session_set(struct session *s, const char *name, const char *value)
{
	if (s->count == SESSION_OPTIONS_MAX) {
		s->usage_error = true;
		cli_usage(s->verb, "more than %d settings", SESSION_OPTIONS_MAX);
		return;
	}
	s->options[s->count++] = (struct mo_option){.name = name, .value = value};
}

void session_set_default(struct session *s, const char *name, const char *value)
{
	struct mo_option first = {.name = name, .value = value};

	session_set(s, name, value);
	if (s->usage_error)
		return;
	memmove(&s->options[1], &s->options[0], (s->count - 1) * sizeof(s->options[0]));
	s->options[0] = first;
}

const char *session_value(const struct session *s, const char *name)
{
	for (size_t i = s->count; i-- > 0;)
		if (strcmp(s->options[i].name, name) == 0)
			return s->options[i].value;
	return NULL;
}

static void take_setting(struct session *s, char *text)
{
	char *equals = text ? strchr(text, '=') : NULL;

	if (!text) {
		s->usage_error = true;
		return;
	}
	if (!equals || equals == text) {
		s->usage_error = true;
		cli_usage(s->verb, "-X wants NAME=VALUE, not %s", text);
		return;
	}
	*equals = '\0'; /* the arguments are ours to change */
	session_set(s, text, equals + 1);
}

bool session_takes(struct session *s, struct cli_options *o)
{
	const char *value;

	if (cli_is(o, "-b") || cli_is(o, "--bootstrap-server") || cli_is(o, "--brokers")) {
		value = cli_value(o);
		if (value)
			session_set(s, "bootstrap.servers", value);
		else
			s->usage_error = true;
		return true;
	}
	if (cli_is(o, "-X") || cli_is(o, "--setting")) {
		take_setting(s, (char *)(uintptr_t)cli_value(o));
		return true;
	}
	return false;
}

bool session_goes_on(const struct session *s, int code)
{
	return code == CLI_DONE || s->refused;
}

int session_failed_at(struct session *s, const char *name, const struct mo_err *e)
{
	struct mo_err named = *e;

	if (e->code > 0 && !strstr(e->text, name))
		snprintf(named.text, sizeof(named.text), "%.250s: %.250s", name[0] ? name : "all brokers", e->text);
	return session_failed(s, &named);
}

int session_failed(struct session *s, const struct mo_err *e)
{
	s->refused = e->code > 0;
	if (e->code == MO_BAD_SETTING || e->code == MO_WRONG_USE)
		return cli_usage(s->verb, "%s", e->text);
	return cli_failed(s->verb, "%s", e->text);
}

int session_open(struct session *s)
{
	struct mo_err e;

	if (s->usage_error)
		return CLI_USAGE;
	if (mo_client_open(s->options, s->count, &s->client, &e))
		return session_failed(s, &e);
	return CLI_DONE;
}

void session_close(struct session *s)
{
	mo_client_close(s->client);
	s->client = NULL;
}

bool cli_number(const char *text, int64_t least, int64_t most, int64_t *ret_number)
{
	char *end = NULL;
	long long number;

	errno = 0;
	number = text ? strtoll(text, &end, 10) : 0;
	if (!text || end == text || *end || errno || number < least || number > most)
		return false;
	*ret_number = number;
	return true;
}

bool cli_take_number(struct cli_options *o, int64_t least, int64_t most, int64_t *ret_number)
{
	const char *text = cli_value(o);

	if (!text || cli_number(text, least, most, ret_number))
		return text;
	if (most == INT64_MAX)
		cli_usage(o->verb, "%.*s wants a number from %lld on, not %s", (int)o->name_size, o->name,
			  (long long)least, text);
	else
		cli_usage(o->verb, "%.*s wants a number from %lld to %lld, not %s", (int)o->name_size, o->name,
			  (long long)least, (long long)most, text);
	return false;
}

bool cli_take_text(struct cli_options *o, char **ret_text, size_t *ret_size)
{
	/* The arguments are ours to change. */
	char *text = (char *)(uintptr_t)cli_value(o);

	if (!text)
		return false;
	*ret_size = cli_unescape(text);
	*ret_text = text;
	return true;
}

bool cli_take_topic(struct cli_options *o, const char *name, const char **topic)
{
	name = name ? name : cli_value(o);
	if (name && *topic) {
		cli_usage(o->verb, "one topic, please: %s or %s", *topic, name);
		return false;
	}
	if (name && !*name) {
		cli_usage(o->verb, "the topic's name is empty");
		return false;
	}
	*topic = name ? name : *topic;
	return name;
}

const char *cli_pair(const struct cli_verb *verb, const char *option, const char *text)
{
	const char *equals = text ? strchr(text, '=') : NULL;

	if (text && (!equals || equals == text || (size_t)(equals - text) >= NAME_MAX_SIZE)) {
		cli_usage(verb, "%s wants NAME=VALUE, not %s", option, text);
		return NULL;
	}
	return equals;
}

bool cli_take_format(struct cli_options *o, bool *ret_json)
{
	const char *text = cli_value(o);

	if (!text)
		return false;
	*ret_json = strcmp(text, "json") == 0;
	if (*ret_json || strcmp(text, "text") == 0)
		return true;
	cli_usage(o->verb, "%s is text or json", o->name);
	return false;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

size_t cli_unescape(char *text)
{
	char *to = text;

	for (const char *at = text; *at; at++) {
		if (*at != '\\' || !at[1]) {
			*to++ = *at;
			continue;
		}
		at++;
		if (*at == 'n')
			*to++ = '\n';
		else if (*at == 't')
			*to++ = '\t';
		else if (*at == 'r')
			*to++ = '\r';
		else if (*at == '0')
			*to++ = '\0';
		else if (*at == 'x' && hex_digit(at[1]) >= 0 && hex_digit(at[2]) >= 0) {
			*to++ = (char)(hex_digit(at[1]) * 16 + hex_digit(at[2]));
			at += 2;
		} else
			*to++ = *at;
	}
	*to = '\0';
	return (size_t)(to - text);
}

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

void progress_init(struct progress *p, const char *what)
{
	*p = (struct progress){.what = what, .on = isatty(STDERR_FILENO) != 0};
	p->began_ms = now_ms();
	p->next_ms = p->began_ms + PROGRESS_FIRST_MS;
}

static void print_figures(const struct progress *p, uint64_t records, uint64_t bytes)
{
	double seconds = (double)(now_ms() - p->began_ms) / 1000.0;
	char size[32], rate[32];

	if (seconds < 0.001)
		seconds = 0.001;
	fprintf(stderr, "%s %llu records, %s in %.1f s (%.0f records/s, %s/s)", p->what, (unsigned long long)records,
		cli_size(bytes, size, sizeof(size)), seconds, (double)records / seconds,
		cli_size((uint64_t)((double)bytes / seconds), rate, sizeof(rate)));
}

void progress_show(struct progress *p, uint64_t records, uint64_t bytes)
{
	int64_t now;

	if (!p->on || (now = now_ms()) < p->next_ms)
		return;
	p->next_ms = now + PROGRESS_EVERY_MS;
	p->shown = true;
	fputs("\r\033[K", stderr);
	print_figures(p, records, bytes);
}

void progress_end(struct progress *p, uint64_t records, uint64_t bytes)
{
	if (!p->on)
		return;
	if (p->shown)
		fputs("\r\033[K", stderr);
	print_figures(p, records, bytes);
	fputc('\n', stderr);
}
