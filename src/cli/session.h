/*
 * session: what the verbs that talk to a cluster share: -b and -X, opening the client, saying what went wrong, progress.
 * May call: the client library, stdio, the terminal's clock.
 */
#ifndef CLI_SESSION_H
#define CLI_SESSION_H

#include <stdbool.h>

#include "cli/cli.h"
#include "moldau/moldau.h"

#define SESSION_OPTIONS_MAX 64

/* The options that every such verb has. */
#define SESSION_HELP \
	"  -b, --bootstrap-server HOST:PORT,...   brokers to ask (default 127.0.0.1:9092, or $MOLDAU_BOOTSTRAP)\n" \
	"  -X NAME=VALUE                          a setting of the client, by Kafka's name\n"

struct session {
	const struct cli_verb *verb;
	struct mo_option options[SESSION_OPTIONS_MAX];
	size_t count;
	bool usage_error;
	bool refused; /* the last failure was a broker's answer, and says nothing about other names */
	struct mo_client *client;
};

void session_init(struct session *s, const struct cli_verb *verb);
/* A default of the verb; -X is stronger since it comes later. */
void session_set(struct session *s, const char *name, const char *value);
/* The same where that is known only after the options were read: weaker than all that was set before. */
void session_set_default(struct session *s, const char *name, const char *value);
/* The value that was set last; NULL: none. */
const char *session_value(const struct session *s, const char *name);
/* True: it was -b or -X, and is dealt with (look at usage_error afterwards). The verb's own options are for the caller. */
bool session_takes(struct session *s, struct cli_options *o);
/* CLI_DONE, or the exit code after a line on stderr. */
int session_open(struct session *s);
void session_close(struct session *s);
/* A line on stderr; CLI_FAILED, or CLI_USAGE for a bad setting. */
int session_failed(struct session *s, const struct mo_err *e);
/* The same where it was about one of several names, which the line has to tell. */
int session_failed_at(struct session *s, const char *name, const struct mo_err *e);
/* Whether the next of several names is tried after `code`: unless there is no broker that answers, or the command is wrong. */
bool session_goes_on(const struct session *s, int code);

/* A number in `text`, whole; false when it is none or out of range. */
bool cli_number(const char *text, int64_t least, int64_t most, int64_t *ret_number);
/* The option's value as a number; false after a complaint. */
bool cli_take_number(struct cli_options *o, int64_t least, int64_t most, int64_t *ret_number);
/* The option's value with its escapes undone, in place; false after a complaint. */
bool cli_take_text(struct cli_options *o, char **ret_text, size_t *ret_size);
/* The option's value, or `name` when it is not NULL, as the only topic; false after a complaint. */
bool cli_take_topic(struct cli_options *o, const char *name, const char **topic);
/* `name=value`: the place of the '='; NULL after a complaint. */
const char *cli_pair(const struct cli_verb *verb, const char *option, const char *text);
/* The value of --format where it is text or json; false after a complaint. */
bool cli_take_format(struct cli_options *o, bool *ret_json);
/* Undoes \n \t \r \0 \\ \xNN; returns the number of bytes. In place. */
size_t cli_unescape(char *text);

/* One line that is written over itself, on a terminal only; at most ten times a second. */
struct progress {
	const char *what; /* "produced" */
	bool on;
	bool shown;
	int64_t began_ms;
	int64_t next_ms;
};

void progress_init(struct progress *p, const char *what);
void progress_show(struct progress *p, uint64_t records, uint64_t bytes);
/* Ends the line; with figures when it is on. */
void progress_end(struct progress *p, uint64_t records, uint64_t bytes);

#endif
