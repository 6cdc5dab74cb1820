/* disk: see the header. Here: content of files. Names are in disk_names.c, crashes in disk_loss.c. */
#include "sim/disk.h"

#include "base/alloc.h"
#include "sim/disk_inode.h"

struct disk *disk_new(int64_t capacity_bytes)
{
	struct disk *d = mem_new(struct disk);

	list_init(&d->inodes);
	list_init(&d->changes);
	d->capacity = capacity_bytes;
	d->root = inode_new(d, true, 0);
	return d;
}

void disk_free(struct disk *d)
{
	if (!d)
		return;
	list_for_each(&d->changes, node) name_change_free(container_of(node, struct name_change, node));
	list_for_each(&d->inodes, node) inode_free(container_of(node, struct inode, node));
	mem_free(d);
}

struct inode *inode_new(struct disk *d, bool is_folder, int64_t now_ms)
{
	struct inode *i = mem_new(struct inode);

	i->disk = d;
	i->number = d->next_inode++;
	i->is_folder = is_folder;
	i->linked = true;
	i->modified_ms = now_ms;
	list_init(&i->pending);
	list_push_back(&d->inodes, &i->node);
	return i;
}

void inode_free(struct inode *i)
{
	inode_drop_pending(i);
	entries_fini(&i->names);
	entries_fini(&i->durable_names);
	mem_free(i->cache.data);
	mem_free(i->durable.data);
	list_remove(&i->node);
	mem_free(i);
}

void pending_free(struct pending *p)
{
	list_remove(&p->node);
	mem_free(p->data);
	mem_free(p);
}

void inode_drop_pending(struct inode *i)
{
	list_for_each(&i->pending, node) pending_free(container_of(node, struct pending, node));
}

void inode_settle(struct inode *i)
{
	if (i->linked || i->references || i->is_folder)
		return;
	i->disk->used -= (int64_t)i->cache.size;
	content_resize(&i->cache, 0);
	i->linked = true; /* settled once: its size is 0 from now on */
}

void inode_release(struct inode *i)
{
	must(i->references > 0);
	i->references--;
	inode_settle(i);
}

uint64_t inode_number(const struct inode *i)
{
	return i->number;
}

int64_t inode_size(const struct inode *i)
{
	return (int64_t)i->cache.size;
}

void content_resize(struct content *c, size_t size)
{
	if (size > c->capacity) {
		size_t before = c->capacity;

		c->data = mem_grow(c->data, &c->capacity, size, 1);
		memset(c->data + before, 0, c->capacity - before);
	} else if (size < c->size) {
		memset(c->data + size, 0, c->size - size);
	}
	c->size = size;
}

void content_put(struct content *c, const uint8_t *data, size_t size, size_t offset)
{
	if (!size)
		return;
	if (offset + size > c->size)
		content_resize(c, offset + size);
	memcpy(c->data + offset, data, size);
}

size_t inode_read(const struct inode *i, void *buffer, size_t size, int64_t offset)
{
	must(offset >= 0);
	if ((size_t)offset >= i->cache.size)
		return 0;
	if (size > i->cache.size - (size_t)offset)
		size = i->cache.size - (size_t)offset;
	if (size)
		memcpy(buffer, i->cache.data + offset, size);
	return size;
}

static void note_pending(struct inode *i, int64_t offset, const void *data, size_t size)
{
	struct pending *p = mem_new(struct pending);

	p->mark = ++i->disk->next_mark;
	p->offset = offset;
	p->size = size;
	p->data = data ? mem_dup(data, size) : NULL;
	list_push_back(&i->pending, &p->node);
}

enum err inode_write(struct inode *i, struct bytes data, int64_t offset, int64_t now_ms, size_t *ret_count)
{
	struct disk *d = i->disk;
	size_t end = (size_t)offset + data.size, size = data.size;
	enum err e = OK;

	must(offset >= 0 && !i->is_folder);
	if (end > i->cache.size) {
		int64_t space = d->capacity - d->used;
		size_t growth = end - i->cache.size;

		if (space < 0)
			space = 0;
		if (growth > (size_t)space) {
			size_t fits = i->cache.size + (size_t)space;

			size = fits > (size_t)offset ? fits - (size_t)offset : 0;
			if (size > data.size)
				size = data.size;
			e = ERR_NO_SPACE;
		}
	}
	*ret_count = size;
	if (size) {
		size_t before = i->cache.size;

		content_put(&i->cache, data.data, size, (size_t)offset);
		d->used += (int64_t)(i->cache.size - before);
		note_pending(i, offset, data.data, size);
		i->modified_ms = now_ms;
	}
	return e;
}

enum err inode_truncate(struct inode *i, int64_t size, int64_t now_ms)
{
	must(size >= 0 && !i->is_folder);
	/* Growing makes a hole, which takes no space; it is counted all the same, since it will be filled. */
	if (size - (int64_t)i->cache.size > i->disk->capacity - i->disk->used && size > (int64_t)i->cache.size)
		return ERR_NO_SPACE;
	i->disk->used += size - (int64_t)i->cache.size;
	content_resize(&i->cache, (size_t)size);
	note_pending(i, size, NULL, 0);
	i->modified_ms = now_ms;
	return OK;
}

enum err inode_lock(struct inode *i, const void *holder)
{
	if (i->lock_holder && i->lock_holder != holder)
		return ERR_BUSY;
	i->lock_holder = holder;
	return OK;
}

void inode_unlock(struct inode *i, const void *holder)
{
	if (i->lock_holder == holder)
		i->lock_holder = NULL;
}

uint64_t disk_mark(const struct disk *d)
{
	return d->next_mark;
}

size_t inode_sync(struct inode *i, uint64_t mark)
{
	size_t count = 0;

	list_for_each(&i->pending, node)
	{
		struct pending *p = container_of(node, struct pending, node);

		if (p->mark > mark)
			break;
		if (p->data)
			content_put(&i->durable, p->data, p->size, (size_t)p->offset);
		else
			content_resize(&i->durable, (size_t)p->offset);
		pending_free(p);
		count++;
	}
	return count;
}

void inode_sync_lost(struct inode *i, uint64_t mark)
{
	list_for_each(&i->pending, node)
	{
		struct pending *p = container_of(node, struct pending, node);

		if (p->mark > mark)
			break;
		/* The size is metadata and goes to the journal: it may well arrive without the data. */
		if (p->data && (size_t)p->offset + p->size > i->durable.size)
			content_resize(&i->durable, (size_t)p->offset + p->size);
		else if (!p->data)
			content_resize(&i->durable, (size_t)p->offset);
		pending_free(p);
	}
}

uint32_t inode_losses(const struct inode *i)
{
	return i->losses;
}

uint32_t disk_losses(const struct disk *d)
{
	return d->losses;
}

size_t inode_pending(const struct inode *i)
{
	size_t count = 0;

	list_for_each(&i->pending, node) count++;
	return count;
}

int64_t disk_used(const struct disk *d)
{
	return d->used;
}

int64_t disk_capacity(const struct disk *d)
{
	return d->capacity;
}

void disk_set_capacity(struct disk *d, int64_t bytes)
{
	d->capacity = bytes;
}

size_t disk_open_count(const struct disk *d)
{
	size_t count = 0;

	list_for_each(&d->inodes, node) count += container_of(node, struct inode, node)->references;
	return count;
}
