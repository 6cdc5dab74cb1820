/*
 * reserve: a file in each log folder that only takes space, so that a full disk keeps the broker neither from starting nor from giving space
 * back: what a start, the bounds and a stop have to write is little, but without it nothing goes on.
 *
 *      there is space      moldau-reserve takes RESERVE_BYTES of it
 *      the disk is full    it is removed: appends are refused; starts, retention and stops write into what it took
 *      there is space      it is made again first, then appends are taken
 *
 * Whoever removed it owes it; after a start that is shard 0. Fibers only. Uses runtime/file.
 */
#include <stdio.h>

#include "storage/folder_own.h"

#define RESERVE "moldau-reserve"
#define RESERVE_BYTES ((int64_t)4 << 20)
#define SPACE_WANTED ((int64_t)1 << 20) /* for records, before appends are taken again */

static void reserve_path(const struct storage_folder *sf, char path[static LOG_PATH_SIZE])
{
	snprintf(path, LOG_PATH_SIZE, "%s/" RESERVE, sf->path);
}

static bool is_there_await(struct fiber *self, const struct storage_folder *sf)
{
	char path[LOG_PATH_SIZE];
	struct file_info info;

	reserve_path(sf, path);
	return file_info_await(self, path, &info) == OK;
}

static bool remove_await(struct fiber *self, const struct storage_folder *sf)
{
	char path[LOG_PATH_SIZE];

	reserve_path(sf, path);
	return file_remove_await(self, path) == OK;
}

static enum err make_await(struct fiber *self, const struct storage_folder *sf)
{
	char path[LOG_PATH_SIZE];
	struct file *file;
	enum err e;

	reserve_path(sf, path);
	e = file_open_await(self, path, FILE_WRITE | FILE_CREATE, &file);
	if (e)
		return e;
	e = file_reserve_await(self, file, RESERVE_BYTES);
	file_close(file);
	if (e)
		(void)!file_remove_await(self, path);
	return e;
}

void reserve_begin_await(struct fiber *self, struct storage_folder *sf, struct logger *log)
{
	int64_t free_bytes, total;

	if (folder_space_await(self, sf->path, &free_bytes, &total) != OK)
		return;
	sf->full = free_bytes < RESERVE_BYTES;
	if (sf->full && remove_await(self, sf))
		log_warn(log,
			 "%s: the disk is full: what was kept for that is used; appends are refused until there is "
			 "space",
			 sf->path);
	else if (!sf->full && !is_there_await(self, sf))
		(void)!make_await(self, sf); /* without it the next full disk is met without it */
}

bool reserve_use_await(struct fiber *self, struct store_folder *f)
{
	if (!remove_await(self, f->of))
		return false;
	f->owes_reserve = true;
	folder_no_space(f);
	return true;
}

bool reserve_space_is_back_await(struct fiber *self, struct store_folder *f)
{
	bool there = is_there_await(self, f->of);
	int64_t free_bytes, total, wanted = SPACE_WANTED + (there ? 0 : RESERVE_BYTES);

	if (folder_space_await(self, f->of->path, &free_bytes, &total) != OK || free_bytes < wanted)
		return false;
	if (f->owes_reserve && !there && make_await(self, f->of) != OK)
		return false;
	f->owes_reserve = false;
	return true;
}
