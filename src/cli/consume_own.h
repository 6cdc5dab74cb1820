/* consume_own: what the sources of `moldau consume` share: consume.c reads and prints, consume_group.c is the member of a group. */
#ifndef CLI_CONSUME_OWN_H
#define CLI_CONSUME_OWN_H

#include "cli/format.h"
#include "cli/session.h"

#define CONSUME_NUMBERS_MAX 10000
#define CONSUME_TOPICS_MAX 1000

struct consume_part {
	char *topic;
	int32_t partition;
	bool at_end;
	int64_t next; /* -v: after what was printed; -1: nothing was since it was committed */
};

struct consume_run {
	struct session session;
	const char *topics[CONSUME_TOPICS_MAX];
	size_t topic_count;
	int32_t numbers[CONSUME_NUMBERS_MAX]; /* of partitions; none: all */
	size_t number_count;
	struct consume_part *parts; /* what is read */
	size_t part_count;
	size_t part_capacity;
	size_t ended; /* of them */
	struct mo_start from;
	bool from_given;
	int64_t count_left;
	bool exit_at_end;
	bool json;
	bool show_null;
	bool quiet;
	bool delimiter_given;
	struct format *format;
	char *delimiter;
	size_t delimiter_size;
	char *separator;
	size_t separator_size;
	struct buf out;
	uint64_t records;
	uint64_t bytes;
	struct progress progress;
	/* As a member of a group. */
	const char *group; /* NULL: of none */
	const char *instance;
	bool verbose;
	bool commits;
	bool assigned; /* at least once */
	bool broken;   /* the output; found in a callback */
	int64_t joined_ms;
	int64_t commit_ms; /* when the next commit is due */
	int64_t commit_every_ms;
	uint64_t committed_records;
};

/* What was printed is written; false when nobody reads any more. */
bool consume_write_out(struct consume_run *r);
void consume_add(struct consume_run *r, const char *topic, int32_t partition);
void consume_remove(struct consume_run *r, const char *topic, int32_t partition);
void consume_note_end(struct consume_run *r, const char *topic, int32_t partition);
void consume_forget_all(struct consume_run *r);

/* The client's settings, from the options; CLI_DONE or CLI_USAGE. */
int consume_group_prepare(struct consume_run *r);
int consume_group_join(struct consume_run *r);
/* Between two calls of mo_consume: callbacks, commits. False: the output is broken. */
bool consume_group_turn(struct consume_run *r, bool got_record);
/* A record was printed: what the next commit has. */
void consume_group_note(struct consume_run *r, const struct mo_message *m);
/* Ctrl-C. */
bool consume_group_stopped(const struct consume_run *r);
/* It has got what it will get, as far as can be told. */
bool consume_group_is_settled(const struct consume_run *r);
/* Commits and leaves; the exit code, `code` when that is none of its affair. */
int consume_group_leave(struct consume_run *r, int code);

#endif
