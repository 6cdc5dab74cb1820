/* disk_names: paths, folders and the changes of names that wait for a folder sync. See sim/disk.h. */
#include <stdlib.h>

#include "base/alloc.h"
#include "sim/disk.h"
#include "sim/disk_inode.h"

/* Index of the first name that is not before `name`. */
static size_t lower_bound(const struct entries *e, const char *name, size_t size)
{
	size_t low = 0, high = e->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (bytes_compare(bytes_str(e->items[middle].name), bytes_of(name, size)) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static bool is_at(const struct entries *e, size_t at, const char *name, size_t size)
{
	return at < e->count && bytes_equal(bytes_str(e->items[at].name), bytes_of(name, size));
}

struct inode *entries_get(const struct entries *e, const char *name, size_t size)
{
	size_t at = lower_bound(e, name, size);

	return is_at(e, at, name, size) ? e->items[at].inode : NULL;
}

void entries_put(struct entries *e, const char *name, struct inode *i)
{
	size_t size = strlen(name), at = lower_bound(e, name, size);

	if (is_at(e, at, name, size)) {
		e->items[at].inode = i;
		return;
	}
	e->items = mem_grow(e->items, &e->capacity, e->count + 1, sizeof(*e->items));
	memmove(e->items + at + 1, e->items + at, (e->count - at) * sizeof(*e->items));
	e->items[at] = (struct entry){.name = mem_strdup(name), .inode = i};
	e->count++;
}

void entries_remove(struct entries *e, const char *name)
{
	size_t size = strlen(name), at = lower_bound(e, name, size);

	if (!is_at(e, at, name, size))
		return;
	mem_free(e->items[at].name);
	memmove(e->items + at, e->items + at + 1, (e->count - at - 1) * sizeof(*e->items));
	e->count--;
}

void entries_fini(struct entries *e)
{
	for (size_t i = 0; i < e->count; i++)
		mem_free(e->items[i].name);
	mem_free(e->items);
	*e = (struct entries){0};
}

void entries_copy(struct entries *to, const struct entries *from)
{
	entries_fini(to);
	for (size_t i = 0; i < from->count; i++)
		entries_put(to, from->items[i].name, from->items[i].inode);
}

/* The next part of a path; false at its end. */
static bool next_part(const char **path, const char **ret_part, size_t *ret_size)
{
	for (;;) {
		size_t size;

		while (**path == '/')
			(*path)++;
		size = strcspn(*path, "/");
		if (!size)
			return false;
		*ret_part = *path;
		*ret_size = size;
		*path += size;
		if (size != 1 || **ret_part != '.')
			return true;
	}
}

/* The folder that holds the last part of `path`, and that part as a new text; ERR_NOT_FOUND when a folder on the way is missing. */
static enum err find_parent(const struct disk *d, const char *path, struct inode **ret_folder, char **ret_name)
{
	struct inode *folder = d->root;
	const char *part, *next;
	size_t size, next_size;

	if (!next_part(&path, &part, &size))
		return ERR_EXISTS; /* the root itself */
	while (next_part(&path, &next, &next_size)) {
		folder = entries_get(&folder->names, part, size);
		if (!folder || !folder->is_folder)
			return ERR_NOT_FOUND;
		part = next;
		size = next_size;
	}
	*ret_folder = folder;
	*ret_name = mem_zalloc(size + 1);
	memcpy(*ret_name, part, size);
	return OK;
}

struct inode *disk_find(const struct disk *d, const char *path)
{
	struct inode *at = d->root;
	const char *part;
	size_t size;

	while (at && next_part(&path, &part, &size))
		at = at->is_folder ? entries_get(&at->names, part, size) : NULL;
	return at;
}

static struct name_change *note_change(struct disk *d, enum name_change_kind kind, struct inode *i,
				       struct inode *folder, const char *name)
{
	struct name_change *c = mem_new(struct name_change);

	c->kind = kind;
	c->mark = ++d->next_mark;
	c->inode = i;
	c->folder = folder;
	c->name = mem_strdup(name);
	list_push_back(&d->changes, &c->node);
	return c;
}

void name_change_free(struct name_change *c)
{
	list_remove(&c->node);
	mem_free(c->name);
	mem_free(c->to_name);
	mem_free(c);
}

bool name_change_apply(const struct name_change *c, bool strict)
{
	struct entries *names = &c->folder->durable_names;
	bool there = entries_get(names, c->name, strlen(c->name)) == c->inode;

	if (strict && c->kind != NAME_LINK && !there)
		return false;
	if (c->kind != NAME_LINK && there)
		entries_remove(names, c->name);
	if (c->kind == NAME_LINK)
		entries_put(names, c->name, c->inode);
	else if (c->kind == NAME_RENAME)
		entries_put(&c->to_folder->durable_names, c->to_name, c->inode);
	return true;
}

static struct inode *link_new(struct disk *d, struct inode *folder, const char *name, bool is_folder, int64_t now_ms)
{
	struct inode *i = inode_new(d, is_folder, now_ms);

	entries_put(&folder->names, name, i);
	note_change(d, NAME_LINK, i, folder, name);
	return i;
}

enum err disk_open(struct disk *d, const char *path, unsigned flags, int64_t now_ms, struct inode **ret_inode)
{
	struct inode *folder, *i;
	char *name;
	enum err e = find_parent(d, path, &folder, &name);

	if (e)
		return e == ERR_EXISTS ? ERR_PERMISSION : e;
	i = entries_get(&folder->names, name, strlen(name));
	if (i && (flags & FILE_CREATE) && (flags & FILE_EXCLUSIVE))
		e = ERR_EXISTS;
	else if (!i && !(flags & FILE_CREATE))
		e = ERR_NOT_FOUND;
	else if (i && i->is_folder)
		e = ERR_PERMISSION;
	if (!e && !i)
		i = link_new(d, folder, name, false, now_ms);
	else if (!e && (flags & FILE_TRUNCATE) && i->cache.size)
		e = inode_truncate(i, 0, now_ms);
	mem_free(name);
	if (e)
		return e;
	i->references++;
	*ret_inode = i;
	return OK;
}

enum err disk_info(struct disk *d, const char *path, struct file_info *ret_info)
{
	const struct inode *i = disk_find(d, path);

	if (!i)
		return ERR_NOT_FOUND;
	*ret_info = (struct file_info){
		.size = (int64_t)i->cache.size,
		.modified_ms = i->modified_ms,
		.is_folder = i->is_folder,
	};
	return OK;
}

static void lose_name(struct disk *d, struct inode *i)
{
	i->linked = false;
	inode_settle(i);
	if (++d->unlinks >= 64)
		disk_collect(d);
}

enum err disk_remove(struct disk *d, const char *path)
{
	struct inode *folder, *i;
	char *name;
	enum err e = find_parent(d, path, &folder, &name);

	if (e)
		return e == ERR_EXISTS ? ERR_PERMISSION : e;
	i = entries_get(&folder->names, name, strlen(name));
	if (!i)
		e = ERR_NOT_FOUND;
	else if (i->is_folder && i->names.count)
		e = ERR_EXISTS; /* what Linux says of a folder that is not empty */
	if (!e) {
		entries_remove(&folder->names, name);
		note_change(d, NAME_UNLINK, i, folder, name);
		lose_name(d, i);
	}
	mem_free(name);
	return e;
}

static enum err rename_parts(struct disk *d, struct inode *from, const char *name, struct inode *to,
			     const char *to_name)
{
	struct inode *i = entries_get(&from->names, name, strlen(name));
	struct inode *replaced = entries_get(&to->names, to_name, strlen(to_name));
	struct name_change *c;

	if (!i)
		return ERR_NOT_FOUND;
	if (replaced == i)
		return OK;
	if (replaced && replaced->is_folder != i->is_folder)
		return ERR_PERMISSION;
	if (replaced && replaced->is_folder && replaced->names.count)
		return ERR_EXISTS;
	entries_remove(&from->names, name);
	entries_put(&to->names, to_name, i);
	c = note_change(d, NAME_RENAME, i, from, name);
	c->to_folder = to;
	c->to_name = mem_strdup(to_name);
	if (replaced)
		lose_name(d, replaced);
	return OK;
}

enum err disk_rename(struct disk *d, const char *from, const char *to)
{
	struct inode *from_folder, *to_folder;
	char *name, *to_name;
	enum err e = find_parent(d, from, &from_folder, &name);

	if (e)
		return e == ERR_EXISTS ? ERR_PERMISSION : e;
	e = find_parent(d, to, &to_folder, &to_name);
	if (!e) {
		e = rename_parts(d, from_folder, name, to_folder, to_name);
		mem_free(to_name);
	}
	mem_free(name);
	return e;
}

enum err disk_folder_create(struct disk *d, const char *path, int64_t now_ms)
{
	struct inode *folder;
	char *name;
	enum err e = find_parent(d, path, &folder, &name);

	if (e)
		return e;
	if (entries_get(&folder->names, name, strlen(name)))
		e = ERR_EXISTS;
	else
		link_new(d, folder, name, true, now_ms);
	mem_free(name);
	return e;
}

enum err disk_folder_sync(struct disk *d, const char *path, uint64_t mark)
{
	const struct inode *folder = disk_find(d, path);

	if (!folder)
		return ERR_NOT_FOUND;
	if (!folder->is_folder)
		return ERR_PERMISSION;
	list_for_each(&d->changes, node)
	{
		struct name_change *c = container_of(node, struct name_change, node);

		if (c->mark > mark)
			break;
		if (c->folder != folder && c->to_folder != folder)
			continue;
		name_change_apply(c, false);
		name_change_free(c);
	}
	return OK;
}

void disk_sync_all(struct disk *d, uint64_t mark, struct prng *some)
{
	list_for_each(&d->inodes, node)
	{
		struct inode *i = container_of(node, struct inode, node);

		if (!i->is_folder && (!some || prng_chance(some, 1, 2)))
			inode_sync(i, mark);
	}
	list_for_each(&d->changes, node)
	{
		struct name_change *c = container_of(node, struct name_change, node);

		if (c->mark > mark || (some && prng_chance(some, 1, 8)))
			break;
		name_change_apply(c, false);
		name_change_free(c);
	}
}

void disk_sync_all_lost(struct disk *d, uint64_t mark, struct prng *random)
{
	list_for_each(&d->inodes, node)
	{
		struct inode *i = container_of(node, struct inode, node);

		if (i->is_folder || !prng_chance(random, 1, 2))
			continue;
		inode_sync_lost(i, mark);
		i->losses++;
	}
	d->losses++;
}

enum err disk_folder_list(struct disk *d, const char *path, struct folder_list *ret_list)
{
	const struct inode *folder = disk_find(d, path);

	if (!folder)
		return ERR_NOT_FOUND;
	if (!folder->is_folder)
		return ERR_PERMISSION;
	ret_list->count = folder->names.count;
	ret_list->entries = mem_zalloc(folder->names.count * sizeof(*ret_list->entries));
	for (size_t i = 0; i < folder->names.count; i++)
		ret_list->entries[i] = (struct folder_entry){
			.name = mem_strdup(folder->names.items[i].name),
			.is_folder = folder->names.items[i].inode->is_folder,
		};
	return OK;
}

static void reach(const struct entries *e)
{
	for (size_t i = 0; i < e->count; i++) {
		struct inode *at = e->items[i].inode;

		if (at->reachable)
			continue;
		at->reachable = true;
		reach(&at->names);
		reach(&at->durable_names);
	}
}

static void reach_one(struct inode *i)
{
	struct entries only = {.items = &(struct entry){.inode = i}, .count = 1};

	if (i)
		reach(&only);
}

void disk_collect(struct disk *d)
{
	d->unlinks = 0;
	list_for_each(&d->inodes, node) container_of(node, struct inode, node)->reachable = false;
	reach_one(d->root);
	list_for_each(&d->changes, node)
	{
		const struct name_change *c = container_of(node, struct name_change, node);

		reach_one(c->inode);
		reach_one(c->folder);
		reach_one(c->to_folder);
	}
	list_for_each(&d->inodes, node)
	{
		struct inode *i = container_of(node, struct inode, node);

		if (i->references)
			reach_one(i);
	}
	list_for_each(&d->inodes, node)
	{
		struct inode *i = container_of(node, struct inode, node);

		if (i->reachable)
			continue;
		inode_settle(i);
		inode_free(i);
	}
}
