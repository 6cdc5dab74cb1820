/* state: what the sources of the embedded store share: its insides. Not for others. */
#ifndef METASTORE_EMBEDDED_STATE_H
#define METASTORE_EMBEDDED_STATE_H

#include "metastore/embedded/embedded.h"
#include "metastore/embedded/journal.h"
#include "metastore/embedded/tree.h"
#include "runtime/file.h"

#define EMBEDDED_MAX_FILE ((size_t)4 << 30) /* of a journal or snapshot that is read back */
#define EMBEDDED_PATH_SIZE 4096

/* One multi under way; on its caller's stack. */
struct commit {
	struct list_node node;
	struct tree_change *changes; /* to undo it */
	struct fiber *caller;
	enum err error;
	bool done;
};

struct embedded {
	struct metastore base;
	struct logger *log;
	char *folder;
	size_t journal_bytes; /* as given */
	size_t next_snapshot; /* the journal's size from which on one is tried */
	int64_t session;
	struct tree tree;
	/* Transactions: what was done in the tree, and what of it is durable. */
	int64_t applied;
	int64_t synced;
	uint64_t undone;         /* counts rounds that were taken back */
	struct list waiting;     /* commits of the next round, in order */
	struct buf pending;      /* their bytes */
	int64_t end_of_sessions; /* a transaction that is still to be put in front of the next frame; 0: none */
	struct list writing;     /* commits of the round under way */
	/* Files. */
	struct file *journal;
	struct journal_head head;
	int64_t position; /* where the next frame goes: all before is synced */
	struct file *bound_file;
	int64_t bound_position; /* what the file `acknowledged` says of this journal */
	unsigned bound_slot;
	int64_t bound_due_us; /* FIBER_NO_DEADLINE: nothing to say */
	/* The fiber that commits. */
	struct fiber *committer;
	struct event work;
	struct event progress; /* synced moved, a round was taken back or failed, the committer ended */
	bool closing;
	bool failed;
	bool ended;
	struct list watches;
};

void embedded_path(const struct embedded *s, char ret_path[static EMBEDDED_PATH_SIZE], const char *name,
		   int64_t number);
/* Reads what is on disk into s->tree, or makes a new store; opens the journal for writing. */
enum err embedded_recover_await(struct fiber *self, struct embedded *s) MUST_CHECK;
/* Makes journal `number`, empty and durable (its name is, once the folder is synced), and opens it. */
enum err embedded_new_journal_await(struct fiber *self, struct embedded *s, int64_t number, int64_t last_transaction,
				    struct file **ret_file, struct journal_head *ret_head) MUST_CHECK;
/* Writes the saved tree as snapshot `number`, folder synced. `ret_named`: its final name may be in place, also after an error. */
enum err embedded_write_snapshot_await(struct fiber *self, struct embedded *s, int64_t number, int64_t last_transaction,
				       struct bytes body, bool *ret_named) MUST_CHECK;
/* Removes what is older than `number`; errors do not matter, recovery does it again. */
void embedded_remove_older_await(struct fiber *self, struct embedded *s, int64_t number);
void embedded_commit_main(struct fiber *self, void *argument);

#endif
