/* disk_inode: what the files of the disk model (sim/disk*.c) share. Nobody else includes it. */
#ifndef SIM_DISK_INODE_H
#define SIM_DISK_INODE_H

#include "base/list.h"
#include "sim/disk.h"

#define SECTOR 512

struct content {
	uint8_t *data; /* zeros from `size` to `capacity` */
	size_t size;
	size_t capacity;
};

/* A write, or a truncation to `offset` when `data` is NULL. */
struct pending {
	struct list_node node;
	uint64_t mark;
	int64_t offset;
	size_t size;
	uint8_t *data;
};

struct entry {
	char *name;
	struct inode *inode;
};

/* Sorted by name. Borrows the inodes: the collector frees what no table names. */
struct entries {
	struct entry *items;
	size_t count;
	size_t capacity;
};

struct inode {
	struct list_node node; /* in disk.inodes */
	struct disk *disk;
	uint64_t number;
	bool is_folder;
	bool reachable; /* the collector's */
	bool linked;    /* has a name in the cache; what has none and is not held takes no space */
	unsigned references;
	const void *lock_holder;
	int64_t modified_ms;
	struct content cache;
	struct content durable;
	struct list pending;
	uint32_t losses; /* syncs of the whole disk that lost writes of it */
	struct entries names;
	struct entries durable_names;
};

enum name_change_kind { NAME_LINK, NAME_UNLINK, NAME_RENAME };

struct name_change {
	struct list_node node; /* in disk.changes */
	enum name_change_kind kind;
	uint64_t mark;
	struct inode *inode;
	struct inode *folder;
	char *name;
	struct inode *to_folder; /* of a rename */
	char *to_name;
};

struct disk {
	struct list inodes;
	struct list changes;
	struct inode *root;
	uint64_t next_inode;
	uint64_t next_mark;
	int64_t capacity;
	int64_t used;
	unsigned unlinks; /* since the last collection */
	uint32_t losses;  /* syncs of the whole of it that lost writes */
};

struct inode *inode_new(struct disk *d, bool is_folder, int64_t now_ms);
void inode_free(struct inode *i);
void inode_drop_pending(struct inode *i);
/* Gives the space of a file back that has no name and no holder. */
void inode_settle(struct inode *i);

void content_resize(struct content *c, size_t size);
void content_put(struct content *c, const uint8_t *data, size_t size, size_t offset);
void pending_free(struct pending *p);

struct inode *entries_get(const struct entries *e, const char *name, size_t size);
void entries_put(struct entries *e, const char *name, struct inode *i);
void entries_remove(struct entries *e, const char *name);
void entries_fini(struct entries *e);
void entries_copy(struct entries *to, const struct entries *from);

/* Carries a change over to the durable names. False when `strict` and what it builds on is not there. */
bool name_change_apply(const struct name_change *c, bool strict);
void name_change_free(struct name_change *c);
/* Frees every inode that no name, no pending change and no holder needs. */
void disk_collect(struct disk *d);
struct inode *disk_find(const struct disk *d, const char *path);

#endif
