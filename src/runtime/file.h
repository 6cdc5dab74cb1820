/*
 * file: files and folders. Reads, writes and syncs are submitted and complete later, on the same shard; the _await forms are
 * the same for fibers. Everything else (open, rename, list ...) exists for fibers only.
 *
 * Errors: ERR_IO, ERR_NO_SPACE (also quota), ERR_NOT_FOUND, ERR_EXISTS, ERR_PERMISSION (also read-only file system), ERR_TOO_MANY_FILES,
 * ERR_BUSY. A write is whole or an error: short writes are continued inside. A short read is the end of the file.
 * Where the process is out of descriptors (ERR_TOO_MANY_FILES) a call waits up to a second for one.
 * Two operations on one file that are under way at once have no order between them. What was not synced may be lost at a power
 * failure, and a name (created, renamed, removed) until its folder was synced.
 * Lifetime: op and buffers live until `done`; file_close only when nothing is under way on it. A file belongs to the shard that opened it.
 */
#ifndef RUNTIME_FILE_H
#define RUNTIME_FILE_H

#include "base/bytes.h"
#include "base/err.h"
#include "runtime/fiber.h"

struct file;

enum file_flags {
	FILE_READ = 1,
	FILE_WRITE = 2,
	FILE_CREATE = 4,    /* when it does not exist; mode 0644 */
	FILE_EXCLUSIVE = 8, /* with CREATE: ERR_EXISTS when it does */
	FILE_TRUNCATE = 16,
	FILE_IMPATIENT = 32, /* ERR_TOO_MANY_FILES at once, for who can give back a descriptor himself */
	/*
	 * Reads come from the disk and leave the system's memory as it is. Buffer, size and place of each must be multiples of FILE_DIRECT_UNIT.
	 * ERR_UNSUPPORTED where the file system cannot; a read that fails may do so since it cannot do it here.
	 */
	FILE_DIRECT = 64,
};

#define FILE_DIRECT_UNIT ((size_t)4096)

struct file_op {
	/* Filled by the caller before submitting: runs on the shard when the operation is over, never inside the submit. */
	void (*done)(struct file_op *op);
	/* The outcome, valid in `done`. */
	enum err error;
	size_t count; /* bytes read or written */
	/* The backend's own from here on. */
	struct file *file;
	struct list_node node;
	int kind;
	int64_t offset;
	struct bytes *parts;
	size_t part_count;
	size_t part_at; /* how far a short write has come */
	size_t part_offset;
	void *buffer;
	size_t size;
	uint64_t backend[4];
};

void file_read(struct file *f, struct file_op *op, void *buffer, size_t size, int64_t offset);
/* Writes the parts one behind the other from `offset` on; the array `parts` lives until done. */
void file_write(struct file *f, struct file_op *op, struct bytes *parts, size_t part_count, int64_t offset);
/* fdatasync: the data, and what is needed to read it back (the size). */
void file_sync(struct file *f, struct file_op *op);

enum err file_read_await(struct fiber *self, struct file *f, void *buffer, size_t size, int64_t offset,
			 size_t *ret_count) MUST_CHECK;
enum err file_write_await(struct fiber *self, struct file *f, struct bytes data, int64_t offset) MUST_CHECK;
enum err file_sync_await(struct fiber *self, struct file *f) MUST_CHECK;
/*
 * All of the file system that holds `f`, as this process sees it now: data, sizes and names of every file. One call instead of thousands of
 * syncs. An error that happened since `f` was opened is an error. ERR_UNSUPPORTED where nobody can tell.
 */
enum err file_sync_all_await(struct fiber *self, struct file *f) MUST_CHECK;
enum err file_truncate_await(struct fiber *self, struct file *f, int64_t size) MUST_CHECK;
/*
 * Keeps disk space for the file up to `size`, which stays as long as it is: what is written there later lies together. OK also where the file
 * system cannot. Truncating it to its size gives back what is not used.
 */
enum err file_reserve_await(struct fiber *self, struct file *f, int64_t size) MUST_CHECK;
enum err file_size_await(struct fiber *self, struct file *f, int64_t *ret_size) MUST_CHECK;

enum err file_open_await(struct fiber *self, const char *path, unsigned flags, struct file **ret_file) MUST_CHECK;
/* A run of a file's bytes, of any shard's file: for who does not look at them. */
struct file_range {
	struct file *file;
	int64_t position;
	size_t size;
};

/*
 * Brings a range from the disk into the system's memory, as far as it keeps it there. Any shard may ask while the file is open; it
 * stays open until `done`.
 */
struct file_warm {
	struct file_range range;
	void (*done)(struct file_warm *w); /* on the shard that asked, never inside file_warm */
	enum err error;                    /* ERR_CORRUPT: the file ends before the range does */
	/* The backend's. */
	struct shard *shard;
	struct message message;
};

void file_warm(struct shard *s, struct file_warm *w);

/* Nothing may be under way on it. NULL is ok. Errors of close are of no use to anybody: what matters was synced. */
void file_close(struct file *f);

/* An exclusive lock on a whole file, held until it is closed or the process ends; ERR_BUSY when another process has it. */
enum err file_lock_await(struct fiber *self, struct file *f) MUST_CHECK;

struct file_info {
	int64_t size;
	int64_t modified_ms; /* wall clock */
	uint64_t device;     /* equal on one file system */
	bool is_folder;
};

enum err file_info_await(struct fiber *self, const char *path, struct file_info *ret_info) MUST_CHECK;
/* ERR_NOT_FOUND when it is not there; a folder must be empty. */
enum err file_remove_await(struct fiber *self, const char *path) MUST_CHECK;
/* Atomic; replaces what is there. Durable once the folder (both, when they differ) is synced. */
enum err file_rename_await(struct fiber *self, const char *from, const char *to) MUST_CHECK;
/* One folder; ERR_EXISTS when it exists. */
enum err folder_create_await(struct fiber *self, const char *path) MUST_CHECK;
/* With its parents; no error when it exists. */
enum err folder_create_all_await(struct fiber *self, const char *path) MUST_CHECK;
enum err folder_sync_await(struct fiber *self, const char *path) MUST_CHECK;
/* Removes a folder with all that is in it. */
enum err folder_remove_all_await(struct fiber *self, const char *path) MUST_CHECK;
/* Free and total bytes of the file system that holds `path`. */
enum err folder_space_await(struct fiber *self, const char *path, int64_t *ret_free, int64_t *ret_total) MUST_CHECK;

struct folder_entry {
	char *name;
	bool is_folder;
};

struct folder_list {
	struct folder_entry *entries; /* sorted by name */
	size_t count;
};

enum err folder_list_await(struct fiber *self, const char *path, struct folder_list *ret_list) MUST_CHECK;
void folder_list_free(struct folder_list *l);

/* The whole of a small file, at most `max` bytes (ERR_TOO_BIG); the caller frees with mem_free. Terminated by a zero byte that is not counted. */
enum err file_load_await(struct fiber *self, const char *path, size_t max, char **ret_text, size_t *ret_size)
	MUST_CHECK;
/* Replaces a small file so that a crash leaves the old one or the new one: writes PATH.tmp, syncs, renames, syncs the folder. */
enum err file_replace_await(struct fiber *self, const char *path, struct bytes content) MUST_CHECK;

/* How many files this process may have open at once, as a budget for caches of open files. */
size_t runtime_open_file_limit(struct runtime *rt);

#endif
