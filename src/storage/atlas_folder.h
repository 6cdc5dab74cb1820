/*
 * atlas_folder: for atlas_test: a log folder held in memory, put on disk again and again, each time with one file damaged.
 *
 *      flip    one bit
 *      cut     the file ends there
 *      zero    a piece of it, or all from there on, is zeros
 */
#ifndef STORAGE_ATLAS_FOLDER_H
#define STORAGE_ATLAS_FOLDER_H

/* Test programs include runtime/linux/backends.h first: a header of storage/ may not, so without it there is nothing here. */
#ifdef RUNTIME_LINUX_BACKENDS_H

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/prng.h"
#include "record/batch.h"
#include "storage/journal_format.h"

#define ATLAS_FILES_MAX 400
#define ATLAS_NAME_SIZE 160
#define ATLAS_PATH_SIZE 600

/* What a file is; of two whose names fit, the first. The weight is how often it is hit. */
static const struct atlas_kind {
	const char *words;
	const char *part; /* of the path */
	int weight;
} atlas_kinds[] = {
	{"metastore snapshot", ".moldau-metadata/snapshot-", 2},
	{"metastore journal", ".moldau-metadata/journal-", 2},
	{"metastore acknowledged", ".moldau-metadata/acknowledged", 1},
	{".log", ".log", 14},
	{".index", ".index", 4},
	{".timeindex", ".timeindex", 4},
	{".txnindex", ".txnindex", 3},
	{".snapshot", ".snapshot", 3},
	{"leader-epoch-checkpoint", "/leader-epoch-checkpoint", 3},
	{"partition.metadata", "/partition.metadata", 2},
	{"meta.properties", "meta.properties", 1},
	{".kafka_cleanshutdown", ".kafka_cleanshutdown", 1},
	{"recovery-point-offset-checkpoint", "recovery-point-offset-checkpoint", 1},
	{"log-start-offset-checkpoint", "log-start-offset-checkpoint", 1},
	{"replication-offset-checkpoint", "replication-offset-checkpoint", 1},
	{"cleaner-offset-checkpoint", "cleaner-offset-checkpoint", 1},
	{"moldau-state", "moldau-state", 1},
	{"moldau-manifest", "moldau-manifest", 3},
	{"moldau-checkpoint-SHARD", "moldau-checkpoint-", 2},
	{"moldau-journal", "moldau-journal-", 5},
};

#define ATLAS_KINDS countof(atlas_kinds)

struct atlas_file {
	char name[ATLAS_NAME_SIZE]; /* in the folder */
	uint8_t *data;
	size_t size;
	int kind; /* -1: none, and never damaged */
};

struct atlas_image {
	struct atlas_file files[ATLAS_FILES_MAX];
	size_t count;
};

enum atlas_form { ATLAS_FLIP, ATLAS_CUT, ATLAS_ZERO, ATLAS_FORMS };

static const char *const atlas_form_words[ATLAS_FORMS] = {"flip", "cut", "zero"};

struct atlas_harm {
	size_t file;
	enum atlas_form form;
	size_t at;
	size_t size; /* of zeros */
	unsigned bit;
	char place[48]; /* which field that is */
	bool last;      /* of the last batch in the file */
};

/* --- the image ----------------------------------------------------------------------------------------------------- */

static inline int atlas_kind_of(const char *name)
{
	for (size_t i = 0; i < ATLAS_KINDS; i++)
		if (strstr(name, atlas_kinds[i].part))
			return (int)i;
	return -1;
}

static inline void atlas_path(char ret_path[static ATLAS_PATH_SIZE], const char *folder, const char *name)
{
	int size = snprintf(ret_path, ATLAS_PATH_SIZE, "%s%s%s", folder, folder[0] ? "/" : "", name);

	EXPECT(size > 0 && size < ATLAS_PATH_SIZE);
}

static inline void atlas_take_file(struct atlas_image *image, const char *folder, const char *name)
{
	struct atlas_file *f = &image->files[image->count++];
	char path[ATLAS_PATH_SIZE];
	struct stat info;
	int fd, size;

	EXPECT(image->count < ATLAS_FILES_MAX);
	atlas_path(path, folder, name);
	fd = open(path, O_RDONLY);
	EXPECT(fd >= 0 && fstat(fd, &info) == 0);
	size = snprintf(f->name, sizeof(f->name), "%s", name);
	EXPECT(size < ATLAS_NAME_SIZE);
	f->size = (size_t)info.st_size;
	f->data = mem_alloc(f->size + 1);
	f->kind = atlas_kind_of(name);
	EXPECT(read(fd, f->data, f->size) == (ssize_t)f->size);
	close(fd);
}

/* `under` is in the folder; "": itself. */
static inline void atlas_take(struct atlas_image *image, const char *folder, const char *under)
{
	char path[ATLAS_PATH_SIZE], name[ATLAS_PATH_SIZE];
	struct dirent *entry;
	DIR *d;

	atlas_path(path, folder, under);
	d = opendir(path);
	EXPECT(d);
	while ((entry = readdir(d)) != NULL) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		atlas_path(name, under, entry->d_name);
		if (entry->d_type == DT_DIR)
			atlas_take(image, folder, name);
		else
			atlas_take_file(image, folder, name);
	}
	closedir(d);
}

static inline int atlas_by_name(const void *a, const void *b)
{
	return strcmp(((const struct atlas_file *)a)->name, ((const struct atlas_file *)b)->name);
}

/* In the same order each time, whatever the file system's is. */
static inline void atlas_sort(struct atlas_image *image)
{
	qsort(image->files, image->count, sizeof(image->files[0]), atlas_by_name);
}

static inline void atlas_image_fini(struct atlas_image *image)
{
	for (size_t i = 0; i < image->count; i++)
		mem_free(image->files[i].data);
	image->count = 0;
}

static inline void atlas_clear(const char *folder)
{
	char path[ATLAS_PATH_SIZE];
	struct dirent *entry;
	DIR *d = opendir(folder);

	while (d && (entry = readdir(d)) != NULL) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		atlas_path(path, folder, entry->d_name);
		if (entry->d_type == DT_DIR) {
			atlas_clear(path);
			EXPECT(rmdir(path) == 0);
		} else {
			EXPECT(unlink(path) == 0);
		}
	}
	if (d)
		closedir(d);
}

static inline void atlas_write(const char *folder, const char *name, const uint8_t *data, size_t size)
{
	char path[ATLAS_PATH_SIZE];
	char *slash;
	int fd;

	atlas_path(path, folder, name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	if (fd < 0) {
		slash = strrchr(path, '/');
		*slash = 0;
		EXPECT(mkdir(path, 0755) == 0);
		*slash = '/';
		fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	}
	EXPECT(fd >= 0 && write(fd, data, size) == (ssize_t)size);
	close(fd);
}

/* --- damage -------------------------------------------------------------------------------------------------------- */

/* Behind the last byte that is not zero: journals are mostly empty. */
static inline size_t atlas_used(const struct atlas_file *f)
{
	size_t used = f->size;

	while (used > 1 && f->data[used - 1] == 0)
		used--;
	return used;
}

static inline const char *atlas_batch_field(size_t at)
{
	return at < 8    ? "base offset"
	       : at < 12 ? "length"
	       : at < 16 ? "leader epoch"
	       : at < 17 ? "magic"
	       : at < 21 ? "CRC"
			 : "under the CRC";
}

/* The batch that holds `at`. */
static inline size_t atlas_batch_at(const struct atlas_file *f, size_t at)
{
	size_t position = 0;

	for (;;) {
		size_t size = (size_t)get_be32(f->data + position + 8) + BATCH_LOG_OVERHEAD;

		if (position + size > at)
			return position;
		position += size;
	}
}

static inline void atlas_name_place(const struct atlas_file *f, struct atlas_harm *h)
{
	const char *kind = atlas_kinds[f->kind].words;

	if (strcmp(kind, ".log") == 0) {
		size_t batch = atlas_batch_at(f, h->at);

		h->last = batch + get_be32(f->data + batch + 8) + BATCH_LOG_OVERHEAD == f->size;
		snprintf(h->place, sizeof(h->place), "%s", atlas_batch_field(h->at - batch));
	} else if (strcmp(kind, ".index") == 0)
		snprintf(h->place, sizeof(h->place), "%s", h->at % 8 < 4 ? "offset" : "position");
	else if (strcmp(kind, ".timeindex") == 0)
		snprintf(h->place, sizeof(h->place), "%s", h->at % 12 < 8 ? "timestamp" : "offset");
	else if (strcmp(kind, ".txnindex") == 0)
		snprintf(h->place, sizeof(h->place), "%s",
			 h->at % 34 < 2    ? "version"
			 : h->at % 34 < 10 ? "producer id"
			 : h->at % 34 < 18 ? "first offset"
			 : h->at % 34 < 26 ? "last offset"
					   : "last stable offset");
	else
		snprintf(h->place, sizeof(h->place), "anywhere");
}

static inline size_t atlas_choose_place(const struct atlas_file *f, struct prng *random)
{
	const char *kind = atlas_kinds[f->kind].words;
	size_t at;

	if (strcmp(kind, "moldau-journal") == 0 || strncmp(kind, "metastore", 9) == 0)
		return prng_below(random, prng_chance(random, 1, 10) ? f->size : atlas_used(f));
	at = prng_below(random, f->size);
	if (strcmp(kind, ".log") == 0 && prng_chance(random, 1, 2)) /* most of a batch is under its CRC */
		at = atlas_batch_at(f, at) + prng_below(random, BATCH_HEADER_SIZE);
	return at;
}

static inline size_t atlas_choose_file(const struct atlas_image *image, struct prng *random)
{
	int weights[ATLAS_KINDS] = {0}, sum = 0, kind = -1, left;
	size_t files[ATLAS_FILES_MAX], count = 0;

	for (size_t i = 0; i < image->count; i++)
		if (image->files[i].kind >= 0 && image->files[i].size > 0)
			weights[image->files[i].kind] = atlas_kinds[image->files[i].kind].weight;
	for (size_t i = 0; i < ATLAS_KINDS; i++)
		sum += weights[i];
	left = (int)prng_below(random, (uint64_t)sum);
	while (left >= 0)
		left -= weights[++kind];
	for (size_t i = 0; i < image->count; i++)
		if (image->files[i].kind == kind && image->files[i].size > 0)
			files[count++] = i;
	return files[prng_below(random, count)];
}

static inline size_t atlas_apply(const struct atlas_file *f, const struct atlas_harm *h, uint8_t *data)
{
	memcpy(data, f->data, f->size);
	if (h->form == ATLAS_FLIP)
		data[h->at] = (uint8_t)(data[h->at] ^ (1u << h->bit));
	else if (h->form == ATLAS_ZERO)
		memset(data + h->at, 0, h->size);
	return h->form == ATLAS_CUT ? h->at : f->size;
}

/* Always something that changes the file. */
static inline void atlas_choose(const struct atlas_image *image, struct prng *random, struct atlas_harm *ret_harm)
{
	static const size_t pieces[] = {1, 4, 8, 61, 512, 4096, SIZE_MAX};

	for (;;) {
		struct atlas_harm h = {.file = atlas_choose_file(image, random),
				       .bit = (unsigned)prng_below(random, 8)};
		const struct atlas_file *f = &image->files[h.file];
		uint64_t form = prng_below(random, 5);
		size_t left;

		h.at = atlas_choose_place(f, random);
		h.form = form < 3 ? ATLAS_FLIP : form == 3 ? ATLAS_CUT : ATLAS_ZERO;
		left = f->size - h.at;
		h.size = pieces[prng_below(random, countof(pieces))];
		if (h.size > left)
			h.size = left;
		if (h.form == ATLAS_ZERO) {
			bool zeros = true;

			for (size_t i = 0; i < h.size && zeros; i++)
				zeros = f->data[h.at + i] == 0;
			if (zeros)
				continue;
		}
		atlas_name_place(f, &h);
		*ret_harm = h;
		return;
	}
}

/* The folder as it was, but for the damage (NULL: none). */
static inline void atlas_put(const struct atlas_image *image, const char *folder, const struct atlas_harm *harm)
{
	atlas_clear(folder);
	for (size_t i = 0; i < image->count; i++) {
		const struct atlas_file *f = &image->files[i];

		if (harm && harm->file == i) {
			uint8_t *data = mem_alloc(f->size);

			atlas_write(folder, f->name, data, atlas_apply(f, harm, data));
			mem_free(data);
		} else {
			atlas_write(folder, f->name, f->data, f->size);
		}
	}
}

#endif
#endif
