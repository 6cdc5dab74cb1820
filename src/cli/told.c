/* told: see the header. */
#include "cli/told.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "broker/observe.h"
#include "cli/http_get.h"

int told_parse(struct told_server *s)
{
	if (!observe_parse_listener(s->text, &s->address) || !s->address.host[0] || !s->address.port)
		return cli_usage(s->verb, "--metrics-server wants HOST:PORT, not %s", s->text);
	return CLI_DONE;
}

static void no_answer(const struct told_server *s, enum err e)
{
	cli_failed(s->verb,
		   "no answer from %s: %s. The broker tells this on the port of its setting metrics.listener "
		   "(default " TOLD_DEFAULT_SERVER
		   ", empty: off): start it with one, and name it with --metrics-server",
		   s->text, e == ERR_CORRUPT ? "what listens there is not that port" : err_text(e));
}

int told_nonsense(const struct told_server *s)
{
	no_answer(s, ERR_CORRUPT);
	return CLI_FAILED;
}

static void refused(const struct told_server *s, const char *name, unsigned status, struct bytes text)
{
	const uint8_t *end = text.size > 0 ? memchr(text.data, '\n', text.size) : NULL;

	if (end)
		text.size = (size_t)(end - text.data);
	cli_failed(s->verb, "%s: %.*s (%s answered %u)", name, BYTES_ARG(text), s->text, status);
}

json_t *told_ask(const struct told_server *s, const char *path, const char *name)
{
	unsigned status = 0;
	json_t *told = NULL;
	struct buf body;
	enum err e = http_get(&s->address, path, &status, &body);

	if (e) {
		no_answer(s, e);
		return NULL;
	}
	if (status != 200)
		refused(s, name, status, buf_bytes(&body));
	else if (!(told = json_loadb((const char *)body.data, body.size, 0, NULL)))
		told_nonsense(s);
	buf_fini(&body);
	return told;
}

int64_t told_number(const json_t *object, const char *name)
{
	const json_t *value = json_object_get(object, name);

	return json_is_integer(value) ? json_integer_value(value) : -1;
}

const char *told_text(const json_t *object, const char *name)
{
	const char *text = json_string_value(json_object_get(object, name));

	return text ? text : "";
}

const char *told_time(int64_t ms, char ret_text[static TOLD_TEXT_SIZE])
{
	time_t seconds = (time_t)(ms / 1000);
	struct tm parts;

	if (ms < 0 || ms > TOLD_LAST_MS || !gmtime_r(&seconds, &parts))
		return "-";
	strftime(ret_text, TOLD_TEXT_SIZE, "%Y-%m-%d %H:%M:%S", &parts);
	return ret_text;
}

const char *told_span(int64_t ms, char ret_text[static TOLD_TEXT_SIZE])
{
	int64_t s = ms / 1000, m = s / 60, h = m / 60, d = h / 24;

	if (d > 0)
		snprintf(ret_text, TOLD_TEXT_SIZE, "%" PRId64 " d %" PRId64 " h", d, h % 24);
	else if (h > 0)
		snprintf(ret_text, TOLD_TEXT_SIZE, "%" PRId64 " h %" PRId64 " min", h, m % 60);
	else if (m > 0)
		snprintf(ret_text, TOLD_TEXT_SIZE, "%" PRId64 " min %" PRId64 " s", m, s % 60);
	else
		snprintf(ret_text, TOLD_TEXT_SIZE, "%" PRId64 ".%" PRId64 " s", s, ms % 1000 / 100);
	return ret_text;
}
