/*
 * lossy: files and names that die unsynced with the process, for power-loss tests of the real thing: kill -9 then does what a power
 * failure does to a disk whose cache loses everything that was not asked to stay.
 *
 *      write ----> pages in memory ----file_sync----> the real file (nameless, O_TMPFILE, while it has no synced name)
 *      create, rename, remove ----> entry.now ----folder_sync----> entry.synced, which is what the real folder holds
 *
 * An entry is a name in a folder: what it means now, and what it means after a crash. A folder whose own name was never synced is
 * not real: what was synced in it is kept in memory and becomes real together with it.
 * One lock for all: helper threads of all shards come here. Only paths outside of /proc, /sys and /dev are treated so.
 * A lock file gets its name at once, since other processes must see it. At a clean end everything is made real.
 */
#ifndef RUNTIME_LINUX_LOSSY_H
#define RUNTIME_LINUX_LOSSY_H

#include "base/map.h"
#include "runtime/linux/system.h"

#define LOSSY_PAGE ((int64_t)4096)
#define LOSSY_PATH_MAX 4096

struct lossy {
	pthread_mutex_t lock;
	struct lossy_file *root; /* "/" */
	struct list files;       /* all of them */
};

/* A file or a folder, by whatever names it goes. */
struct lossy_file {
	struct lossy *lossy;
	struct list_node node;
	unsigned references;     /* handles, and entries' now and synced */
	unsigned names;          /* entries whose now it is */
	struct lossy_file *home; /* the real folder that holds it under home_name; NULL: it is nowhere */
	char *home_name;
	bool is_folder;
	int64_t modified_ms;

	/* A file: what lies in pages hides what the real file has; of that only the first `base` bytes count. */
	int fd; /* -1: not yet opened */
	int64_t size;
	int64_t base;
	int64_t real_size;
	struct map pages; /* page number -> bytes */
	struct file *locked_by;

	/* A folder. */
	bool real;
	struct lossy_file *near_real; /* when it is not real itself: a real folder on the same disk; a reference */
	struct map entries; /* name -> struct lossy_entry; a name that is not there is as the real folder has it */
};

struct lossy_entry {
	struct lossy_file *now;
	struct lossy_file *synced;
};

struct lossy_file *lossy_file_new(struct lossy *l, bool is_folder);
struct lossy_file *lossy_file_ref(struct lossy_file *f);
/* NULL ok. */
void lossy_file_unref(struct lossy_file *f);
int64_t lossy_wall_ms(void);

/* Data, with the lock held. */
void lossy_truncate(struct lossy_file *f, int64_t size);
enum err lossy_flush(struct lossy_file *f);
/* Opens the real file that has a home. */
enum err lossy_open_real(struct lossy_file *f);

/* Names, with the lock held. */
enum err lossy_names_call(struct lossy *l, struct file_call *c);
/* Everything below it becomes real as far as it goes; the first error. */
enum err lossy_settle(struct lossy_file *folder) MUST_CHECK;
/* The name of a file that is locked. */
enum err lossy_name_at_once(struct lossy_file *f);
void lossy_set(struct lossy_file **at, struct lossy_file *f);
void lossy_path(const struct lossy_file *f, char ret_path[LOSSY_PATH_MAX]);

#endif
