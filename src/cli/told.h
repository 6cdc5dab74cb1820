/*
 * told: what verbs share that ask a broker on the port of its metrics, and print what it tells as JSON. Calls http_get, the clock, stdio.
 */
#ifndef CLI_TOLD_H
#define CLI_TOLD_H

#include <jansson.h>

#include "cli/cli.h"
#include "runtime/socket.h"

#define TOLD_DEFAULT_SERVER "127.0.0.1:9644" /* metrics.listener's own default */
#define TOLD_TEXT_SIZE 96
#define TOLD_LAST_MS INT64_C(253402300799000) /* of the year 9999 */

struct told_server {
	const struct cli_verb *verb;
	const char *text; /* as it was given */
	struct address address;
};

/* CLI_USAGE after a line when the text is no HOST:PORT. */
int told_parse(struct told_server *s);
/* GET `path`, an answer about `name`. NULL after a line that says why; the caller frees it. */
json_t *told_ask(const struct told_server *s, const char *path, const char *name);
/* What answers is not what it should be; CLI_FAILED. */
int told_nonsense(const struct told_server *s);

/* -1 and "" where there is none. */
int64_t told_number(const json_t *object, const char *name);
const char *told_text(const json_t *object, const char *name);
/* "2026-11-30 15:26:00", in UTC; "-" for none. */
const char *told_time(int64_t ms, char ret_text[static TOLD_TEXT_SIZE]);
/* The two largest units: "3 h 5 min"; under a minute "12.3 s". */
const char *told_span(int64_t ms, char ret_text[static TOLD_TEXT_SIZE]);

#endif
