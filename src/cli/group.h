/*
 * group: what the verbs of `moldau group` share: their arguments, and which groups they are about.
 * Lifetime: group_parse .. group_finish. Calls the client library, stdio.
 */
#ifndef CLI_GROUP_H
#define CLI_GROUP_H

#include "cli/group_plan.h"
#include "cli/session.h"
#include "cli/verbs.h"

#define GROUP_NOT_FOUND 69 /* Kafka's GROUP_ID_NOT_FOUND */

/* The clock of this machine. */
int64_t group_now_ms(void);

enum group_view { VIEW_OFFSETS, VIEW_MEMBERS, VIEW_STATE };

struct group_arguments {
	struct session session;
	const char **names; /* groups, and other arguments that are no options */
	size_t name_count;
	size_t name_capacity;
	struct mo_group_list all; /* what `names` are of, with --all-groups */
	bool all_groups;
	const char **topics; /* as they were given: "t", "t:0,1" */
	size_t topic_count;
	size_t topic_capacity;
	bool all_topics;
	enum group_view view;
	int views; /* how many were asked for */
	bool verbose;
	bool json;
	bool show_state;
	bool show_type;
	const char *states;
	const char *types;
	const char *protocol;
	const char *timeout;
	bool no_lag_time;
	/* What becomes of offsets. */
	enum plan_kind plan;
	int plans;
	int64_t value;
	const char *file;
	bool execute;
	bool dry_run;
	bool export;
	/* Members. */
	const char **members;
	size_t member_count;
	size_t member_capacity;
	const char **instances;
	size_t instance_count;
	size_t instance_capacity;
	bool all_members;
	const char *reason;
	const char *server; /* explain's */
};

#define GROUP_HELP \
	"  --group GROUP        the same as GROUP\n" \
	"  --all-groups         all groups of consumers\n"
#define GROUP_TIMEOUT_HELP "  --timeout MS         how long to wait for answers (default 30000)\n"

/* NULL never; what is wrong was said, and is in `ret_code`. */
struct group_arguments *group_parse(const struct cli_verb *verb, int argc, char **argv, int *ret_code);
/* Opens the session, and with --all-groups asks which there are. CLI_DONE, or the exit code after a line. */
int group_open(struct group_arguments *a);
int group_finish(struct group_arguments *a, int code);

/* "group x does not exist; ..." on stderr; CLI_FAILED. */
int group_missing(struct group_arguments *a, const char *name);
/* What `topics` (or --all-topics) mean for the group whose offsets these are. False after a complaint. */
struct group_partition {
	char *topic;
	int32_t partition;
};
struct group_partitions {
	struct group_partition *items;
	size_t count;
	size_t capacity;
};
int group_partitions(struct group_arguments *a, const struct mo_group_offsets *committed, struct group_partitions *ret);
void group_partitions_add(struct group_partitions *p, struct bytes topic, int32_t partition);
void group_partitions_fini(struct group_partitions *p);

/* A place to read from, and what is known of it. */
struct group_row {
	const char *group;
	const char *topic;
	int32_t partition;
	int64_t offset;                       /* committed; -1: none */
	int32_t leader_epoch;                 /* of it */
	const char *metadata;                 /* of it; may be NULL */
	int64_t end;                          /* -1: not known */
	int64_t lag;                          /* in records; -1: not known */
	int64_t lag_ms;                       /* how old the next record to read is; 0: there is none; -1: not known */
	const struct mo_group_member *member; /* who reads it; NULL: nobody */
};

/*
 * Fills lag_ms of rows that have a lag: reads the first record at or behind the committed offset (with isolation.level=read_committed of those
 * that are committed), and compares its timestamp with the clock of this machine.
 */
void group_lag_times(struct session *s, struct group_row *rows, size_t count, int64_t timeout_ms);

#endif
