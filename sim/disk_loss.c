/* disk_loss: what a power failure, a bad sector or a new disk does. See sim/disk.h. */
#include "base/alloc.h"
#include "sim/disk.h"
#include "sim/disk_inode.h"

enum fate { FATE_KEPT, FATE_DROPPED, FATE_TORN };

/* What becomes of one file's pending writes is drawn per file: all kept and all dropped are common in life. */
static enum fate choose_fate(struct prng *random, unsigned mood)
{
	switch (mood) {
	case 0:
		return FATE_KEPT;
	case 1:
		return FATE_DROPPED;
	default:
		return (enum fate)prng_below(random, 3);
	}
}

static void count_fate(struct disk_loss *loss, enum fate f)
{
	loss->writes_kept += f == FATE_KEPT;
	loss->writes_dropped += f == FATE_DROPPED;
	loss->writes_torn += f == FATE_TORN;
}

/* Sectors of [0, size) that arrived, as the number (from 1) of the last write that did: a sector holds all writes up to that one. */
static size_t *choose_sectors(const struct inode *i, struct prng *random, size_t sector_count, struct disk_loss *loss)
{
	size_t *arrived = mem_zalloc(sector_count * sizeof(*arrived));
	unsigned mood = (unsigned)prng_below(random, 4);
	size_t number = 0;

	list_for_each(&i->pending, node)
	{
		const struct pending *p = container_of(node, struct pending, node);
		enum fate f;

		number++;
		if (!p->data)
			continue;
		f = choose_fate(random, mood);
		count_fate(loss, f);
		for (size_t s = (size_t)p->offset / SECTOR; s * SECTOR < (size_t)p->offset + p->size; s++)
			if (f == FATE_KEPT || (f == FATE_TORN && prng_chance(random, 1, 2)))
				arrived[s] = number;
	}
	return arrived;
}

static void apply_sectors(struct content *to, const struct pending *p, const size_t *arrived, size_t number)
{
	size_t at = (size_t)p->offset, end = at + p->size;

	while (at < end) {
		size_t sector = at / SECTOR, stop = (sector + 1) * SECTOR < end ? (sector + 1) * SECTOR : end;

		if (arrived[sector] >= number)
			content_put(to, p->data + (at - (size_t)p->offset), stop - at, at);
		at = stop;
	}
}

static void lose_content(struct inode *i, struct prng *random, struct disk_loss *loss)
{
	size_t largest = 0, number = 0, truncates = 0, *arrived;

	list_for_each(&i->pending, node)
	{
		const struct pending *p = container_of(node, struct pending, node);
		size_t end = (size_t)p->offset + p->size;

		largest = end > largest ? end : largest;
		truncates += !p->data;
	}
	if (!list_empty(&i->pending)) {
		arrived = choose_sectors(i, random, largest / SECTOR + 1, loss);
		/* Truncations are changes of metadata: the journal keeps a beginning of them. */
		truncates = prng_below(random, truncates + 1);
		list_for_each(&i->pending, node)
		{
			const struct pending *p = container_of(node, struct pending, node);

			number++;
			if (p->data)
				apply_sectors(&i->durable, p, arrived, number);
			else if (truncates && truncates--)
				content_resize(&i->durable, (size_t)p->offset);
		}
		mem_free(arrived);
		if (i->cache.size > i->durable.size && prng_chance(random, 1, 8)) {
			content_resize(&i->durable, i->cache.size);
			loss->zero_tails++;
		}
	}
	inode_drop_pending(i);
	content_resize(&i->cache, 0);
	content_put(&i->cache, i->durable.data, i->durable.size, 0);
}

static void lose_names(struct disk *d, struct prng *random, struct disk_loss *loss)
{
	/* 0: none arrived, 1: a beginning, as a journal gives, 2: any of them */
	unsigned mood = (unsigned)prng_below(random, 3);
	bool over = mood == 0;

	list_for_each(&d->changes, node)
	{
		struct name_change *c = container_of(node, struct name_change, node);
		bool keep;

		if (mood == 1 && prng_chance(random, 1, 4))
			over = true;
		keep = mood == 2 ? prng_chance(random, 1, 2) : !over;
		if (keep && name_change_apply(c, true))
			loss->names_kept++;
		else
			loss->names_dropped++;
		name_change_free(c);
	}
}

void disk_power_loss(struct disk *d, struct prng *random, struct disk_loss *ret_loss)
{
	*ret_loss = (struct disk_loss){0};
	must(disk_open_count(d) == 0);
	lose_names(d, random, ret_loss);
	d->used = 0;
	list_for_each(&d->inodes, node)
	{
		struct inode *i = container_of(node, struct inode, node);

		i->lock_holder = NULL;
		if (i->is_folder)
			entries_copy(&i->names, &i->durable_names);
		else
			lose_content(i, random, ret_loss);
		d->used += (int64_t)i->cache.size;
		i->linked = false;
	}
	disk_collect(d);
	list_for_each(&d->inodes, node) container_of(node, struct inode, node)->linked = true;
}

void disk_wipe(struct disk *d)
{
	must(disk_open_count(d) == 0);
	list_for_each(&d->changes, node) name_change_free(container_of(node, struct name_change, node));
	list_for_each(&d->inodes, node) inode_free(container_of(node, struct inode, node));
	d->used = 0;
	d->root = inode_new(d, true, 0);
}

bool disk_flip_bit(struct disk *d, const char *path, int64_t offset, unsigned bit)
{
	struct inode *i = disk_find(d, path);
	uint8_t mask = (uint8_t)(1U << (bit & 7));

	if (!i || i->is_folder || offset < 0)
		return false;
	inode_sync(i, disk_mark(d)); /* what is at rest has been written back long ago */
	if ((size_t)offset >= i->durable.size || (size_t)offset >= i->cache.size)
		return false;
	i->durable.data[offset] ^= mask;
	i->cache.data[offset] ^= mask;
	return true;
}

static uint64_t hash_bytes(uint64_t h, struct bytes b)
{
	for (size_t i = 0; i < b.size; i++)
		h = (h ^ b.data[i]) * 0x100000001b3ULL;
	return (h ^ b.size) * 0x100000001b3ULL;
}

static uint64_t hash_folder(uint64_t h, const struct inode *folder)
{
	for (size_t i = 0; i < folder->names.count; i++) {
		const struct entry *e = &folder->names.items[i];

		h = hash_bytes(h, bytes_str(e->name));
		h = e->inode->is_folder ? hash_folder(h, e->inode)
					: hash_bytes(h, bytes_of(e->inode->cache.data, e->inode->cache.size));
	}
	return (h ^ folder->names.count) * 0x100000001b3ULL;
}

uint64_t disk_hash(const struct disk *d)
{
	return hash_folder(0xcbf29ce484222325ULL, d->root);
}
