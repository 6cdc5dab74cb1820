/*
 * file_cache: the open files of a shard's segments, under a limit. What nobody uses just now may be closed, oldest first.
 *
 * Invariants: a file in use is never closed; `*place` is NULL whenever its file is not open. While more files are in use
 * than the limit allows, the limit is passed by as many as callers pin at once (they work in chunks).
 * Lifetime: the place outlives its file: who frees it drops the file first.
 */
#ifndef STORAGE_FILE_CACHE_H
#define STORAGE_FILE_CACHE_H

#include "base/list.h"
#include "runtime/file.h"

struct cached_file {
	struct file *file;
	struct list_node idle_node; /* linked while nobody uses it */
	unsigned users;
	struct cached_file **place; /* NULL once dropped: closed with its last use */
};

struct file_cache {
	struct list idle; /* least recently used first */
	size_t open_count;
	size_t limit;
};

void file_cache_init(struct file_cache *c, size_t limit);
/* Every place must have been dropped. */
void file_cache_fini(struct file_cache *c);
/* Opens what is not open and takes a use of it. */
enum err file_cache_open_await(struct fiber *self, struct file_cache *c, const char *path, unsigned flags,
			       struct cached_file **place, struct cached_file **ret_file) MUST_CHECK;
/* A use of what is open already; false when it is not. */
bool file_cache_take(struct file_cache *c, struct cached_file **place, struct cached_file **ret_file);
void file_cache_give(struct file_cache *c, struct cached_file *f);
/* Closes it, now or with its last use. */
void file_cache_drop(struct file_cache *c, struct cached_file **place);

#endif
