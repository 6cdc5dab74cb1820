/*
 * group_plan: which offsets a group is to have: what a command or a file says, and what follows from what there is. Pure: text and numbers.
 *
 *      orders:0,1       --plan_parse_topic-->   partitions
 *      2026-01-31T...   --plan_parse_time-->    ms
 *      PT1H30M          --plan_parse_duration-> ms
 *      topic,0,42       --plan_parse_row-->     a row     --plan_put_row--> topic,0,42
 *      how to reset, what there is --plan_offset--> the new offset
 *
 * The forms are those of kafka-consumer-groups, so that its files and ours are alike.
 */
#ifndef CLI_GROUP_PLAN_H
#define CLI_GROUP_PLAN_H

#include <stdbool.h>

#include "base/buf.h"

/* A topic, and some of its partitions or all. */
struct plan_topic {
	struct bytes name; /* in the text */
	int32_t *partitions;
	size_t count; /* 0: all */
};

/* "orders", "orders:0,2"; frees nothing on failure. */
bool plan_parse_topic(const char *text, struct plan_topic *ret);
void plan_topic_fini(struct plan_topic *t);

/* YYYY-MM-DDThh:mm:ss[.sss], then nothing or Z (UTC), or an offset as +hh:mm, +hhmm, +hh. */
bool plan_parse_time(const char *text, int64_t *ret_ms);
/* ISO 8601's PnDTnHnMnS, as Java's Duration.parse. */
bool plan_parse_duration(const char *text, int64_t *ret_ms);

struct plan_row {
	char *group; /* NULL: the line had three fields */
	char *topic;
	int32_t partition;
	int64_t offset;
};

/* "topic,partition,offset" or "group,topic,partition,offset"; a field may be quoted. The line without its end. */
bool plan_parse_row(struct bytes line, struct plan_row *ret);
void plan_row_fini(struct plan_row *r);
/* A line. Without a group: three fields. */
void plan_put_row(struct buf *out, const struct plan_row *r);

enum plan_kind {
	PLAN_NONE,
	PLAN_EARLIEST,
	PLAN_LATEST,
	PLAN_CURRENT, /* what is committed; the end where nothing is */
	PLAN_OFFSET,
	PLAN_SHIFT,
	PLAN_TIME,
};

struct plan_facts {
	int64_t start;
	int64_t end;
	int64_t current; /* -1: nothing is committed */
	int64_t at_time; /* for PLAN_TIME */
};

enum plan_note { PLAN_FINE, PLAN_ABOVE_END, PLAN_BELOW_START, PLAN_NO_CURRENT };

/*
 * The new offset, within the log where it was given as a number. PLAN_NO_CURRENT: there is nothing to shift, and no new offset. `value` is
 * the offset, or by how much.
 */
enum plan_note plan_offset(enum plan_kind kind, int64_t value, const struct plan_facts *facts, int64_t *ret_offset);

#endif
