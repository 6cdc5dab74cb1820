/* lossy: the data of files in lossy mode, and the door to its names (lossy_names.c). Calls the operating system. */
#include "runtime/linux/lossy.h"

#include <errno.h>
#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"

int64_t lossy_wall_ms(void)
{
	return linux_wall_ms(NULL);
}

struct lossy_file *lossy_file_new(struct lossy *l, bool is_folder)
{
	struct lossy_file *f = mem_new(struct lossy_file);

	f->lossy = l;
	f->is_folder = is_folder;
	f->fd = -1;
	f->modified_ms = lossy_wall_ms();
	map_init(&f->pages);
	map_init(&f->entries);
	list_push_back(&l->files, &f->node);
	return f;
}

struct lossy_file *lossy_file_ref(struct lossy_file *f)
{
	f->references++;
	return f;
}

static void drop_pages(struct lossy_file *f, int64_t from_page)
{
	const struct map_entry *e;
	size_t place = 0;

	while ((e = map_next(&f->pages, &place))) {
		uint64_t number;

		memcpy(&number, e->key, sizeof(number));
		if ((int64_t)number < from_page)
			continue;
		mem_free(e->value);
		map_remove(&f->pages, map_key_u64(&number));
	}
}

static void file_free(struct lossy_file *f)
{
	const struct map_entry *e;
	size_t place = 0;

	while ((e = map_next(&f->entries, &place))) {
		struct lossy_entry *entry = e->value;

		lossy_file_unref(entry->now);
		lossy_file_unref(entry->synced);
		mem_free(entry);
	}
	map_fini(&f->entries);
	drop_pages(f, 0);
	map_fini(&f->pages);
	if (f->fd >= 0)
		close(f->fd);
	list_remove(&f->node);
	mem_free(f->home_name);
	lossy_file_unref(f->near_real);
	mem_free(f);
}

void lossy_file_unref(struct lossy_file *f)
{
	if (!f)
		return;
	must(f->references > 0);
	if (--f->references == 0)
		file_free(f);
}

struct lossy *lossy_new(void)
{
	struct lossy *l = mem_new(struct lossy);

	must(pthread_mutex_init(&l->lock, NULL) == 0);
	list_init(&l->files);
	l->root = lossy_file_ref(lossy_file_new(l, true));
	l->root->real = true;
	return l;
}

void lossy_free(struct lossy *l)
{
	if (!l)
		return;
	(void)!lossy_settle(l->root); /* the process ends: there is nobody to tell */
	lossy_file_unref(l->root);
	must(list_empty(&l->files));
	pthread_mutex_destroy(&l->lock);
	mem_free(l);
}

/* --- data -------------------------------------------------------------------------------------------------------- */

enum err lossy_open_real(struct lossy_file *f)
{
	char path[LOSSY_PATH_MAX];

	if (f->fd >= 0)
		return OK;
	must(f->home);
	lossy_path(f, path);
	f->fd = open(path, O_RDWR | O_CLOEXEC);
	if (f->fd < 0 && (errno == EACCES || errno == EROFS))
		f->fd = open(path, O_RDONLY | O_CLOEXEC);
	return f->fd < 0 ? err_of_errno(errno) : OK;
}

/* `size` bytes of what the real file gives, zeros where it gives nothing. */
static enum err read_base(struct lossy_file *f, uint8_t *to, size_t size, int64_t offset)
{
	int64_t left = f->base - offset;
	size_t wanted = left <= 0 ? 0 : (uint64_t)left < size ? (size_t)left : size;
	size_t have = 0;

	while (have < wanted) {
		ssize_t n = pread(f->fd, to + have, wanted - have, offset + (int64_t)have);

		if (n < 0 && errno != EINTR)
			return err_of_errno(errno);
		if (n == 0)
			break;
		have += n > 0 ? (size_t)n : 0;
	}
	memset(to + have, 0, size - have);
	return OK;
}

static enum err page_for_write(struct lossy_file *f, uint64_t number, uint8_t **ret_page)
{
	uint8_t *page = map_get(&f->pages, map_key_u64(&number));
	enum err e;

	if (!page) {
		page = mem_alloc((size_t)LOSSY_PAGE);
		e = read_base(f, page, (size_t)LOSSY_PAGE, (int64_t)number * LOSSY_PAGE);
		if (e) {
			mem_free(page);
			return e;
		}
		map_put(&f->pages, map_key_u64(&number), page);
	}
	*ret_page = page;
	return OK;
}

static enum err write_bytes(struct lossy_file *f, struct bytes b, int64_t offset)
{
	while (b.size > 0) {
		int64_t within = offset % LOSSY_PAGE;
		size_t n = b.size < (size_t)(LOSSY_PAGE - within) ? b.size : (size_t)(LOSSY_PAGE - within);
		uint8_t *page;
		enum err e = page_for_write(f, (uint64_t)(offset / LOSSY_PAGE), &page);

		if (e)
			return e;
		memcpy(page + within, b.data, n);
		b = bytes_of(b.data + n, b.size - n);
		offset += (int64_t)n;
		if (offset > f->size)
			f->size = offset;
	}
	f->modified_ms = lossy_wall_ms();
	return OK;
}

static void op_write(struct lossy_file *f, struct file_op *op)
{
	for (size_t i = 0; i < op->part_count && !op->error; i++) {
		op->error = write_bytes(f, op->parts[i], op->offset + (int64_t)op->count);
		op->count += op->parts[i].size;
	}
}

static void op_read(struct lossy_file *f, struct file_op *op)
{
	int64_t left = f->size - op->offset;
	size_t size = left <= 0 ? 0 : (uint64_t)left < op->size ? (size_t)left : op->size;
	uint8_t *to = op->buffer;

	op->error = read_base(f, to, size, op->offset);
	if (op->error)
		return;
	for (int64_t at = 0; at < (int64_t)size;) {
		int64_t offset = op->offset + at, within = offset % LOSSY_PAGE;
		uint64_t number = (uint64_t)(offset / LOSSY_PAGE);
		int64_t n = LOSSY_PAGE - within < (int64_t)size - at ? LOSSY_PAGE - within : (int64_t)size - at;
		const uint8_t *page = map_get(&f->pages, map_key_u64(&number));

		if (page)
			memcpy(to + at, page + within, (size_t)n);
		at += n;
	}
	op->count = size;
}

void lossy_truncate(struct lossy_file *f, int64_t size)
{
	uint64_t last = (uint64_t)(size / LOSSY_PAGE);
	uint8_t *page;

	drop_pages(f, (size + LOSSY_PAGE - 1) / LOSSY_PAGE);
	page = map_get(&f->pages, map_key_u64(&last));
	if (page)
		memset(page + size % LOSSY_PAGE, 0, (size_t)(LOSSY_PAGE - size % LOSSY_PAGE));
	if (f->base > size)
		f->base = size;
	f->size = size;
	f->modified_ms = lossy_wall_ms();
}

static enum err write_page(struct lossy_file *f, uint64_t number, const uint8_t *page)
{
	int64_t offset = (int64_t)number * LOSSY_PAGE;
	int64_t size = f->size - offset < LOSSY_PAGE ? f->size - offset : LOSSY_PAGE;

	for (int64_t at = 0; at < size;) {
		ssize_t n = pwrite(f->fd, page + at, (size_t)(size - at), offset + at);

		if (n < 0 && errno != EINTR)
			return err_of_errno(errno);
		at += n > 0 ? n : 0;
	}
	return OK;
}

enum err lossy_flush(struct lossy_file *f)
{
	const struct map_entry *entry;
	size_t place = 0;
	enum err e;

	if (f->pages.count == 0 && f->size == f->real_size && f->base == f->real_size)
		return OK;
	/* What was cut off must not come back when the file grows again. */
	if (ftruncate(f->fd, f->base))
		return err_of_errno(errno);
	while ((entry = map_next(&f->pages, &place))) {
		uint64_t number;

		memcpy(&number, entry->key, sizeof(number));
		e = write_page(f, number, entry->value);
		if (e)
			return e;
	}
	if (ftruncate(f->fd, f->size))
		return err_of_errno(errno);
	drop_pages(f, 0);
	f->base = f->real_size = f->size;
	return OK;
}

void lossy_op_carry_out(struct file_op *op)
{
	struct lossy_file *f = op->file->lossy;

	if (op->kind != FILE_OP_SYNC && !(op->file->flags & (op->kind == FILE_OP_READ ? FILE_READ : FILE_WRITE))) {
		op->error = ERR_IO; /* EBADF */
		return;
	}
	pthread_mutex_lock(&f->lossy->lock);
	switch ((enum file_op_kind)op->kind) {
	case FILE_OP_READ:
		op_read(f, op);
		break;
	case FILE_OP_WRITE:
		op_write(f, op);
		break;
	case FILE_OP_SYNC:
		op->error = lossy_flush(f);
		break;
	}
	pthread_mutex_unlock(&f->lossy->lock);
	/* Not needed when only the process dies: it is here so that a sync takes the time that it takes. */
	if (op->kind == FILE_OP_SYNC && !op->error && fdatasync(f->fd))
		op->error = err_of_errno(errno);
}

/* --- calls on an open file --------------------------------------------------------------------------------------- */

static enum err call_lock(struct file_call *c)
{
	struct lossy_file *f = c->file->lossy;
	struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	enum err e;

	if (f->locked_by && f->locked_by != c->file)
		return ERR_BUSY;
	e = lossy_name_at_once(f);
	if (e)
		return e;
	if (fcntl(f->fd, F_OFD_SETLK, &whole))
		return errno == EAGAIN || errno == EACCES ? ERR_BUSY : err_of_errno(errno);
	f->locked_by = c->file;
	c->file->locked = true;
	return OK;
}

void lossy_file_closed(struct lossy_file *f, struct file *handle)
{
	struct flock none = {.l_type = F_UNLCK, .l_whence = SEEK_SET};
	struct lossy *l = f->lossy;

	pthread_mutex_lock(&l->lock);
	if (f->locked_by == handle) {
		fcntl(f->fd, F_OFD_SETLK, &none);
		f->locked_by = NULL;
	}
	lossy_file_unref(f);
	pthread_mutex_unlock(&l->lock);
}

static enum err carry_out(struct lossy *l, struct file_call *c)
{
	enum err e;

	switch (c->kind) {
	case FILE_CALL_LOCK:
		return call_lock(c);
	case FILE_CALL_TRUNCATE:
		lossy_truncate(c->file->lossy, c->size);
		return OK;
	case FILE_CALL_SIZE:
		c->size = c->file->lossy->size;
		return OK;
	case FILE_CALL_SYNC_ALL:
		/* Twice: an old name goes only when the new one, in another folder, is real. */
		e = lossy_settle(l->root);
		return e ? e : lossy_settle(l->root);
	case FILE_CALL_RESERVE:
		return OK; /* nothing that a loss of power could show */
	case FILE_CALL_OPEN:
	case FILE_CALL_INFO:
	case FILE_CALL_REMOVE:
	case FILE_CALL_RENAME:
	case FILE_CALL_FOLDER_CREATE:
	case FILE_CALL_FOLDER_SYNC:
	case FILE_CALL_FOLDER_LIST:
	case FILE_CALL_SPACE:
		return lossy_names_call(l, c);
	}
	must_not_reach();
}

static bool is_plain(const struct file_call *c)
{
	static const char *const folders[] = {"/dev/", "/proc/", "/sys/"};

	if (c->file)
		return !c->file->lossy;
	for (size_t i = 0; i < countof(folders); i++)
		if (!strncmp(c->path, folders[i], strlen(folders[i])))
			return true;
	return false;
}

void lossy_call_carry_out(struct lossy *l, struct file_call *c)
{
	if (is_plain(c)) {
		file_call_carry_out(c);
		return;
	}
	pthread_mutex_lock(&l->lock);
	c->error = carry_out(l, c);
	pthread_mutex_unlock(&l->lock);
}
