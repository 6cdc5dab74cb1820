/* file_call: names, folders and the rarer operations on files, each on a helper thread. Calls the operating system. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/alloc.h"
#include "runtime/linux/system.h"

static enum err outcome(int result)
{
	return result < 0 ? err_of_errno(errno) : OK;
}

static enum err call_open(struct file_call *c)
{
	static const int access[] = {
		[FILE_READ] = O_RDONLY, [FILE_WRITE] = O_WRONLY, [FILE_READ | FILE_WRITE] = O_RDWR};
	unsigned mode = c->flags & (FILE_READ | FILE_WRITE);
	struct stat st;
	/* Without waiting: a FIFO in a file's place would hold this thread until somebody opens its other end. */
	int flags = access[mode] | O_CLOEXEC | O_NONBLOCK | (c->flags & FILE_CREATE ? O_CREAT : 0) |
		    (c->flags & FILE_EXCLUSIVE ? O_EXCL : 0) | (c->flags & FILE_TRUNCATE ? O_TRUNC : 0) |
		    (c->flags & FILE_DIRECT ? O_DIRECT : 0);
	int fd;

	must(mode != 0);
	do {
		fd = open(c->path, flags, 0644);
	} while (fd < 0 && errno == EINTR);
	if (fd < 0 && errno == EINVAL && c->flags & FILE_DIRECT)
		return ERR_UNSUPPORTED;
	if (fd < 0)
		return errno == ENXIO ? ERR_IO : err_of_errno(errno); /* a FIFO that nobody reads */
	if (fstat(fd, &st) || S_ISFIFO(st.st_mode) || S_ISDIR(st.st_mode)) {
		close(fd);
		return ERR_IO;
	}
	c->file = mem_new(struct file);
	c->file->fd = fd;
	return OK;
}

/* The kind of lock that a Java broker takes, too, so that each keeps the other out; bound to the open file, not the process. */
static enum err call_lock(struct file_call *c)
{
	struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

	if (fcntl(c->file->fd, F_OFD_SETLK, &whole) == 0) {
		c->file->locked = true;
		return OK;
	}
	return errno == EAGAIN || errno == EACCES ? ERR_BUSY : err_of_errno(errno);
}

static enum err call_size(struct file_call *c)
{
	struct stat st;

	if (fstat(c->file->fd, &st))
		return err_of_errno(errno);
	c->size = st.st_size;
	return OK;
}

static enum err call_info(struct file_call *c)
{
	struct stat st;

	if (stat(c->path, &st))
		return err_of_errno(errno);
	c->info = (struct file_info){
		.size = st.st_size,
		.modified_ms = (int64_t)st.st_mtim.tv_sec * 1000 + st.st_mtim.tv_nsec / 1000000,
		.is_folder = S_ISDIR(st.st_mode),
		.device = st.st_dev,
	};
	return OK;
}

/* Before 5.8 syncfs says nothing of a write that failed. */
static bool kernel_tells_errors(void)
{
	unsigned major, minor;
	struct utsname name;

	return uname(&name) == 0 && sscanf(name.release, "%u.%u", &major, &minor) == 2 &&
	       (major > 5 || (major == 5 && minor >= 8));
}

/* Only where it is known to do as much as a sync of each file: a layer, or a file system of a program, may not pass it on. */
static enum err call_sync_all(struct file_call *c)
{
	static const uint32_t known[] = {EXT4_SUPER_MAGIC, XFS_SUPER_MAGIC, BTRFS_SUPER_MAGIC, TMPFS_MAGIC};
	struct statfs st;

	if (fstatfs(c->file->fd, &st))
		return err_of_errno(errno);
	for (size_t i = 0; i < countof(known); i++)
		if ((uint32_t)st.f_type == known[i] && kernel_tells_errors())
			return outcome(syncfs(c->file->fd));
	return ERR_UNSUPPORTED;
}

static enum err call_remove(struct file_call *c)
{
	if (unlink(c->path) == 0)
		return OK;
	if (errno != EISDIR && errno != EPERM)
		return err_of_errno(errno);
	return outcome(rmdir(c->path));
}

static enum err call_folder_sync(struct file_call *c)
{
	int fd = open(c->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	enum err e;

	if (fd < 0)
		return err_of_errno(errno);
	e = outcome(fsync(fd));
	close(fd);
	return e;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct folder_entry *)a)->name, ((const struct folder_entry *)b)->name);
}

static bool entry_is_folder(DIR *folder, const struct dirent *d)
{
	struct stat st;

	if (d->d_type != DT_UNKNOWN && d->d_type != DT_LNK)
		return d->d_type == DT_DIR;
	return fstatat(dirfd(folder), d->d_name, &st, 0) == 0 && S_ISDIR(st.st_mode);
}

static enum err call_folder_list(struct file_call *c)
{
	struct folder_list list = {0};
	size_t capacity = 0;
	struct dirent *d;
	DIR *folder = opendir(c->path);
	enum err e;

	if (!folder)
		return err_of_errno(errno);
	while ((errno = 0, d = readdir(folder))) {
		if (!strcmp(d->d_name, ".") || !strcmp(d->d_name, ".."))
			continue;
		list.entries = mem_grow(list.entries, &capacity, list.count + 1, sizeof(*list.entries));
		list.entries[list.count++] = (struct folder_entry){
			.name = mem_strdup(d->d_name),
			.is_folder = entry_is_folder(folder, d),
		};
	}
	e = err_of_errno(errno);
	closedir(folder);
	if (e) {
		folder_list_free(&list);
		return e;
	}
	if (list.count > 0)
		qsort(list.entries, list.count, sizeof(*list.entries), by_name);
	c->list = list;
	return OK;
}

static enum err call_space(struct file_call *c)
{
	struct statvfs st;

	if (statvfs(c->path, &st))
		return err_of_errno(errno);
	c->size = (int64_t)(st.f_bavail * st.f_frsize);
	c->size2 = (int64_t)(st.f_blocks * st.f_frsize);
	return OK;
}

static enum err call_reserve(struct file_call *c)
{
	int result = fallocate(c->file->fd, FALLOC_FL_KEEP_SIZE, 0, c->size);

	return result < 0 && errno == EOPNOTSUPP ? OK : outcome(result);
}

static enum err carry_out(struct file_call *c)
{
	switch (c->kind) {
	case FILE_CALL_OPEN:
		return call_open(c);
	case FILE_CALL_LOCK:
		return call_lock(c);
	case FILE_CALL_TRUNCATE:
		return outcome(ftruncate(c->file->fd, c->size));
	case FILE_CALL_SIZE:
		return call_size(c);
	case FILE_CALL_INFO:
		return call_info(c);
	case FILE_CALL_REMOVE:
		return call_remove(c);
	case FILE_CALL_RENAME:
		return outcome(rename(c->path, c->path2));
	case FILE_CALL_FOLDER_CREATE:
		return outcome(mkdir(c->path, 0755));
	case FILE_CALL_FOLDER_SYNC:
		return call_folder_sync(c);
	case FILE_CALL_FOLDER_LIST:
		return call_folder_list(c);
	case FILE_CALL_SPACE:
		return call_space(c);
	case FILE_CALL_SYNC_ALL:
		return call_sync_all(c);
	case FILE_CALL_RESERVE:
		return call_reserve(c);
	}
	must_not_reach();
}

void file_call_carry_out(struct file_call *c)
{
	c->error = carry_out(c);
}

static void call_back(struct shard *at, struct message *m)
{
	struct file_call *c = container_of(m, struct file_call, message);

	if (c->kind == FILE_CALL_OPEN && !c->error)
		file_take_over(linux_shard_of(at), c->file);
	c->done(c);
}

static void call_job(struct shard *at, struct message *m)
{
	struct file_call *c = container_of(m, struct file_call, message);
	struct linux_runtime *lr = linux_shard_of(c->shard)->runtime;

	(void)at;
	if (lr->lossy)
		lossy_call_carry_out(lr->lossy, c);
	else
		file_call_carry_out(c);
	if (c->kind == FILE_CALL_OPEN && !c->error)
		file_opened(lr, c->file);
	m->run = call_back;
	shard_post(c->shard, m);
}

void linux_file_call(struct shard *s, struct file_call *c)
{
	c->message.run = call_job;
	pool_submit(&linux_shard_of(s)->runtime->files, &c->message);
}
