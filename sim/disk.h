/*
 * disk: a file system in memory, as one simulated machine sees it, with what a crash may do to it. Pure: no time, no events.
 *
 *      what the process sees    cache     names and content, every completed write at once
 *                               |
 *                               | pending: writes, truncations (per file), changes of names (per disk), in order
 *                               v
 *      what is on the platter   durable   moves by sync (content and size of one file) and folder sync (names of one folder)
 *
 * The death of the process loses nothing of it. A power loss keeps each pending write, drops it or keeps some of its sectors of 512
 * bytes (a sector never mixes a later write with the lack of an earlier one); the size may come without the data (a tail of
 * zeros); each pending change of names is kept or dropped, sometimes out of order.
 *
 * Invariants
 * 1. What a sync covered (every write that was over when the sync began) survives everything but disk_wipe and disk_flip_bit.
 * 2. A rename is whole or did not happen.
 * 3. A failed sync may leave its writes pending or mark them clean: then the process reads them, and no later sync writes them.
 * Paths are absolute or relative alike: parts between slashes; "." is the part itself.
 * Not here: latencies, errors that come by chance (sim/node_file.c).
 */
#ifndef SIM_DISK_H
#define SIM_DISK_H

#include "base/bytes.h"
#include "base/err.h"
#include "base/prng.h"
#include "runtime/file.h"

struct disk;
struct inode;

struct disk *disk_new(int64_t capacity_bytes);
void disk_free(struct disk *d);

/* Flags as in runtime/file.h. The inode stays until inode_release, whatever happens to its name. */
enum err disk_open(struct disk *d, const char *path, unsigned flags, int64_t now_ms, struct inode **ret_inode)
	MUST_CHECK;
void inode_release(struct inode *i);
uint64_t inode_number(const struct inode *i);
int64_t inode_size(const struct inode *i);
/* Short at the end of the file. */
size_t inode_read(const struct inode *i, void *buffer, size_t size, int64_t offset);
/* ERR_NO_SPACE after as much as fitted; `*ret_count` bytes were written in any case. */
enum err inode_write(struct inode *i, struct bytes data, int64_t offset, int64_t now_ms, size_t *ret_count) MUST_CHECK;
enum err inode_truncate(struct inode *i, int64_t size, int64_t now_ms) MUST_CHECK;
/* ERR_BUSY when somebody else has it. NULL unlocks. */
enum err inode_lock(struct inode *i, const void *holder) MUST_CHECK;
void inode_unlock(struct inode *i, const void *holder);

/* The mark of all that was done so far; a sync that began now covers what is at or below it. */
uint64_t disk_mark(const struct disk *d);
/* Returns how many writes became durable. */
size_t inode_sync(struct inode *i, uint64_t mark);
/* A sync that failed, the worse way: what it should have written counts as clean and is never written. */
void inode_sync_lost(struct inode *i, uint64_t mark);
uint32_t inode_losses(const struct inode *i);
uint32_t disk_losses(const struct disk *d);
size_t inode_pending(const struct inode *i);

enum err disk_info(struct disk *d, const char *path, struct file_info *ret_info) MUST_CHECK;
enum err disk_remove(struct disk *d, const char *path) MUST_CHECK;
enum err disk_rename(struct disk *d, const char *from, const char *to) MUST_CHECK;
enum err disk_folder_create(struct disk *d, const char *path, int64_t now_ms) MUST_CHECK;
enum err disk_folder_sync(struct disk *d, const char *path, uint64_t mark) MUST_CHECK;
/* Every file and every name. With `some`, a power loss comes in between: each file or not, and a beginning of the names. */
void disk_sync_all(struct disk *d, uint64_t mark, struct prng *some);
/*
 * It failed: each file's writes may be lost as by inode_sync_lost; names stay pending. Who had a file open, or the disk, is told so by his next sync:
 * disk_losses and inode_losses have grown since he opened it.
 */
void disk_sync_all_lost(struct disk *d, uint64_t mark, struct prng *random);
/* Entries sorted by name, allocated for the current memory owner. */
enum err disk_folder_list(struct disk *d, const char *path, struct folder_list *ret_list) MUST_CHECK;

int64_t disk_used(const struct disk *d);
int64_t disk_capacity(const struct disk *d);
void disk_set_capacity(struct disk *d, int64_t bytes);

struct disk_loss {
	unsigned writes_kept;
	unsigned writes_dropped;
	unsigned writes_torn;
	unsigned names_kept;
	unsigned names_dropped;
	unsigned zero_tails;
};

/* The machine lost its power. No inode may be held any more. */
void disk_power_loss(struct disk *d, struct prng *random, struct disk_loss *ret_loss);
/* A new, empty disk. No inode may be held any more. */
void disk_wipe(struct disk *d);
/* One bit at rest (the file is written back first); false when there is no such file or place. */
bool disk_flip_bit(struct disk *d, const char *path, int64_t offset, unsigned bit);
/* Every path and content that the process sees, as one number: equal disks give equal ones. */
uint64_t disk_hash(const struct disk *d);
/* How many inodes are held open. */
size_t disk_open_count(const struct disk *d);

#endif
