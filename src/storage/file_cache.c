/* file_cache: see file_cache.h. Uses runtime/file. */
#include "storage/file_cache.h"

#include "base/alloc.h"

void file_cache_init(struct file_cache *c, size_t limit)
{
	*c = (struct file_cache){.limit = limit};
	list_init(&c->idle);
}

static void close_file(struct file_cache *c, struct cached_file *f)
{
	if (list_linked(&f->idle_node))
		list_remove(&f->idle_node);
	if (f->place)
		*f->place = NULL;
	file_close(f->file);
	c->open_count--;
	mem_free(f);
}

void file_cache_fini(struct file_cache *c)
{
	must(c->open_count == 0);
}

/* False when there was none to close. */
static bool close_oldest(struct file_cache *c)
{
	struct list_node *n = list_first(&c->idle);

	if (n)
		close_file(c, container_of(n, struct cached_file, idle_node));
	return n != NULL;
}

bool file_cache_take(struct file_cache *c, struct cached_file **place, struct cached_file **ret_file)
{
	(void)c;
	if (!*place)
		return false;
	if ((*place)->users++ == 0)
		list_remove(&(*place)->idle_node);
	*ret_file = *place;
	return true;
}

/* Others of the process may hold all descriptors for a moment: what is idle here goes first, then it is waited. */
static enum err open_patiently_await(struct fiber *self, struct file_cache *c, const char *path, unsigned flags,
				     struct file **ret_file)
{
	enum err e = file_open_await(self, path, flags | FILE_IMPATIENT, ret_file);

	while (e == ERR_TOO_MANY_FILES && close_oldest(c))
		e = file_open_await(self, path, flags | FILE_IMPATIENT, ret_file);
	return e == ERR_TOO_MANY_FILES ? file_open_await(self, path, flags, ret_file) : e;
}

enum err file_cache_open_await(struct fiber *self, struct file_cache *c, const char *path, unsigned flags,
			       struct cached_file **place, struct cached_file **ret_file)
{
	struct file *file;
	struct cached_file *f;
	enum err e;

	if (file_cache_take(c, place, ret_file))
		return OK;
	while ((c->open_count >= c->limit || shard_fault(fiber_shard(self), FAULT_FILE_BUDGET)) && close_oldest(c))
		;
	c->open_count++;
	e = open_patiently_await(self, c, path, flags, &file);
	if (e) {
		c->open_count--;
		return e;
	}
	if (file_cache_take(c, place, ret_file)) { /* another fiber was faster */
		file_close(file);
		c->open_count--;
		return OK;
	}
	f = mem_new(struct cached_file);
	f->file = file;
	f->users = 1;
	f->place = place;
	*place = f;
	*ret_file = f;
	return OK;
}

void file_cache_give(struct file_cache *c, struct cached_file *f)
{
	must(f->users > 0);
	if (--f->users > 0)
		return;
	list_push_back(&c->idle, &f->idle_node);
	if (!f->place || c->open_count > c->limit)
		close_file(c, f);
}

void file_cache_drop(struct file_cache *c, struct cached_file **place)
{
	struct cached_file *f = *place;

	if (!f)
		return;
	*place = NULL;
	f->place = NULL;
	if (f->users == 0)
		close_file(c, f);
}
