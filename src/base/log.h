/*
 * log: lines for the operator. A logger is passed where it is needed; the sink (stderr, the simulator's trace) is its
 * owner's. Lines are one thought, lower case, with what to do about it where there is something to do.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdbool.h>
#include <stddef.h>

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

struct logger {
	enum log_level least; /* what is below is dropped */
	/* Gets one line without its newline; called on the shard that logs. Must not suspend. */
	void (*write)(struct logger *l, enum log_level level, const char *line);
	void *context; /* the sink's own */
};

/* Formats and hands on; a NULL logger drops everything. Lines are cut at 1,000 bytes; control characters become '?'. */
void log_write(struct logger *l, enum log_level level, const char *format, ...) __attribute__((format(printf, 3, 4)));

const char *log_level_name(enum log_level level);

#define log_debug(logger, ...) log_write((logger), LOG_DEBUG, __VA_ARGS__)
#define log_info(logger, ...) log_write((logger), LOG_INFO, __VA_ARGS__)
#define log_warn(logger, ...) log_write((logger), LOG_WARN, __VA_ARGS__)
#define log_error(logger, ...) log_write((logger), LOG_ERROR, __VA_ARGS__)

#endif
