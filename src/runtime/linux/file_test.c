/* file_test: files and folders over both backends, on the real file system. */
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "runtime/file.h"
#include "runtime/linux/backends.h"

/* A folder of its own for each test, and names in it. */
struct place {
	char folder[64];
	char path[8][128]; /* of the last eight names that were asked for */
	size_t next;
};

static const char *in(struct place *p, const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", p->folder, name);
	return memcpy(p->path[p->next++ % 8], path, sizeof(path));
}

/* Over both backends, and in lossy mode, which must not be told from the real thing as long as nothing is killed. */
static void run_in_place(void (*main)(struct fiber *self, void *argument))
{
	static const enum linux_io ios[] = {IO_EPOLL, IO_URING, IO_EPOLL};
	const char *reason;

	for (size_t i = 0; i < countof(ios); i++) {
		struct linux_options o = {.shards = 1, .io = ios[i], .lossy_file = i == 2};
		struct place p = {.folder = "/tmp/moldau-file-XXXXXX"};
		char command[128];

		if (ios[i] == IO_URING && !uring_usable(&reason))
			continue;
		CHECK(mkdtemp(p.folder));
		run_with(&o, main, &p);
		snprintf(command, sizeof(command), "rm -r %s", p.folder);
		CHECK_EQ(system(command), 0);
	}
}

static void expect_content_await(struct fiber *self, const char *path, const char *expected)
{
	char *text;
	size_t size;

	EXPECT_OK(file_load_await(self, path, 100000, &text, &size));
	EXPECT(size == strlen(expected) && strcmp(text, expected) == 0);
	mem_free(text);
}

static void read_write_main(struct fiber *self, void *argument)
{
	struct place *p = argument;
	char buffer[16] = {0};
	struct file *f;
	int64_t size;
	size_t n;

	EXPECT_OK(file_open_await(self, in(p, "a"), FILE_READ | FILE_WRITE | FILE_CREATE, &f));
	EXPECT_OK(file_read_await(self, f, buffer, 16, 0, &n));
	EXPECT(n == 0);
	EXPECT_OK(file_write_await(self, f, bytes_str("hello world"), 0));
	EXPECT_OK(file_write_await(self, f, bytes_str("W"), 6));
	EXPECT_OK(file_write_await(self, f, bytes_empty(), 100)); /* nothing, so no hole either */
	EXPECT_OK(file_sync_await(self, f));
	EXPECT_OK(file_read_await(self, f, buffer, 16, 6, &n)); /* short at the end */
	EXPECT(n == 5 && memcmp(buffer, "World", 5) == 0);
	EXPECT_OK(file_read_await(self, f, buffer, 3, 0, &n));
	EXPECT(n == 3 && memcmp(buffer, "hel", 3) == 0);
	EXPECT_OK(file_read_await(self, f, buffer, 0, 0, &n));
	EXPECT(n == 0);
	EXPECT_OK(file_read_await(self, f, buffer, 16, 4000, &n)); /* far behind it */
	EXPECT(n == 0);
	EXPECT_OK(file_size_await(self, f, &size));
	EXPECT(size == 11);
	EXPECT_OK(file_reserve_await(self, f, 1 << 20));
	EXPECT_OK(file_size_await(self, f, &size));
	EXPECT(size == 11);
	EXPECT_OK(file_truncate_await(self, f, 5));
	expect_content_await(self, in(p, "a"), "hello");
	EXPECT_OK(file_truncate_await(self, f, 6)); /* longer: zeros */
	EXPECT_OK(file_read_await(self, f, buffer, 16, 0, &n));
	EXPECT(n == 6 && buffer[5] == 0);
	file_close(f);
	file_close(NULL);
}

TEST(what_is_written_is_read_and_a_read_is_short_at_the_end)
{
	run_in_place(read_write_main);
}

#define PARTS 200
#define PART_SIZE 5000

struct op_wait {
	struct file_op op;
	struct fiber *fiber;
	unsigned *left;
};

static void op_wait_done(struct file_op *op)
{
	struct op_wait *w = container_of(op, struct op_wait, op);

	if (--*w->left == 0)
		fiber_wake(w->fiber);
}

/* More parts than the kernel is given in one call, and more bytes than are written on the shard. */
static void parts_main(struct fiber *self, void *argument)
{
	struct place *p = argument;
	struct bytes *parts = mem_alloc(PARTS * sizeof(*parts));
	uint8_t *data = mem_alloc(PARTS * PART_SIZE), *back = mem_alloc(PARTS * PART_SIZE);
	unsigned left = 1;
	struct op_wait w = {.op = {.done = op_wait_done}, .fiber = self, .left = &left};
	struct file *f;
	size_t n;

	prng_fill(shard_random(fiber_shard(self)), data, PARTS * PART_SIZE);
	for (size_t i = 0; i < PARTS; i++)
		parts[i] = bytes_of(data + i * PART_SIZE, PART_SIZE);
	EXPECT_OK(file_open_await(self, in(p, "a"), FILE_READ | FILE_WRITE | FILE_CREATE, &f));
	file_write(f, &w.op, parts, PARTS, 7);
	EXPECT(left == 1); /* never inside the submit */
	while (left)
		fiber_park_await(self);
	EXPECT_OK(w.op.error);
	EXPECT(w.op.count == PARTS * PART_SIZE);
	EXPECT_OK(file_read_await(self, f, back, PARTS * PART_SIZE, 7, &n));
	EXPECT(n == PARTS * PART_SIZE && memcmp(data, back, n) == 0);
	file_close(f);
	mem_free(parts);
	mem_free(data);
	mem_free(back);
}

TEST(a_large_write_of_many_parts_is_whole)
{
	run_in_place(parts_main);
}

#define SYNCED 100

static void many_syncs_main(struct fiber *self, void *argument)
{
	struct place *p = argument;
	struct op_wait *w = mem_alloc(SYNCED * sizeof(*w));
	struct file *files[SYNCED];
	unsigned left = SYNCED;
	char name[16];

	for (size_t i = 0; i < SYNCED; i++) {
		snprintf(name, sizeof(name), "f%zu", i);
		EXPECT_OK(file_open_await(self, in(p, name), FILE_WRITE | FILE_CREATE, &files[i]));
		EXPECT_OK(file_write_await(self, files[i], bytes_str(name), 0));
	}
	for (size_t i = 0; i < SYNCED; i++) {
		w[i] = (struct op_wait){.op = {.done = op_wait_done}, .fiber = self, .left = &left};
		file_sync(files[i], &w[i].op);
	}
	while (left)
		fiber_park_await(self);
	for (size_t i = 0; i < SYNCED; i++) {
		EXPECT_OK(w[i].op.error);
		file_close(files[i]);
	}
	mem_free(w);
}

TEST(a_hundred_syncs_at_once)
{
	run_in_place(many_syncs_main);
}

static void cold_read_main(struct fiber *self, void *argument)
{
	struct place *p = argument;
	size_t size = 300000, n;
	uint8_t *data = mem_alloc(size), *back = mem_zalloc(size);
	struct file *f;

	prng_fill(shard_random(fiber_shard(self)), data, size);
	EXPECT_OK(file_open_await(self, in(p, "a"), FILE_READ | FILE_WRITE | FILE_CREATE, &f));
	EXPECT_OK(file_write_await(self, f, bytes_of(data, size), 0));
	EXPECT_OK(file_sync_await(self, f));
	/* Half of it leaves the page cache, so that a read finds a part in memory and has to wait for the rest. */
	EXPECT(f->lossy || posix_fadvise(f->fd, 100000, 200000, POSIX_FADV_DONTNEED) == 0);
	EXPECT_OK(file_read_await(self, f, back, size, 0, &n));
	EXPECT(n == size && memcmp(data, back, size) == 0);
	file_close(f);
	mem_free(data);
	mem_free(back);
}

TEST(a_read_of_what_is_only_partly_in_memory_is_whole)
{
	run_in_place(cold_read_main);
}

static void errors_main(struct fiber *self, void *argument)
{
	struct place *p = argument;
	struct file_info info;
	struct file *f;
	char *text;
	char buffer[8];
	size_t n;
	enum err e;
	uint8_t *large = mem_zalloc(1000000);

	EXPECT_ERR(file_open_await(self, in(p, "none"), FILE_READ, &f), ERR_NOT_FOUND);
	EXPECT_ERR(file_open_await(self, in(p, "none/a"), FILE_WRITE | FILE_CREATE, &f), ERR_NOT_FOUND);
	EXPECT_OK(file_open_await(self, in(p, "a"), FILE_WRITE | FILE_CREATE | FILE_EXCLUSIVE, &f));
	EXPECT_ERR(file_read_await(self, f, buffer, 8, 0, &n), ERR_IO); /* not open for reading */
	file_close(f);
	EXPECT_ERR(file_open_await(self, in(p, "a"), FILE_WRITE | FILE_CREATE | FILE_EXCLUSIVE, &f), ERR_EXISTS);
	/* A folder is found out when it is opened or when it is read. */
	f = NULL;
	e = file_open_await(self, p->folder, FILE_READ, &f);
	EXPECT_ERR(e ? e : file_read_await(self, f, buffer, 8, 0, &n), ERR_IO);
	file_close(f);

	EXPECT_OK(file_open_await(self, "/dev/full", FILE_WRITE, &f));
	EXPECT_ERR(file_write_await(self, f, bytes_str("x"), 0), ERR_NO_SPACE);           /* on the shard */
	EXPECT_ERR(file_write_await(self, f, bytes_of(large, 1000000), 0), ERR_NO_SPACE); /* by a helper thread */
	EXPECT_ERR(file_sync_await(self, f), ERR_IO);                                     /* a device that cannot */
	file_close(f);

	EXPECT_ERR(file_info_await(self, in(p, "none"), &info), ERR_NOT_FOUND);
	EXPECT_ERR(file_remove_await(self, in(p, "none")), ERR_NOT_FOUND);
	EXPECT_ERR(file_rename_await(self, in(p, "none"), in(p, "b")), ERR_NOT_FOUND);
	EXPECT_ERR(file_load_await(self, in(p, "none"), 10, &text, &n), ERR_NOT_FOUND);
	EXPECT_ERR(folder_sync_await(self, in(p, "none")), ERR_NOT_FOUND);
	mem_free(large);
}

TEST(what_the_kernel_refuses_has_its_error)
{
	run_in_place(errors_main);
}

static void folders_main(struct fiber *self, void *argument)
{
	struct place *p = argument;
	struct folder_list list;
	struct file_info info;
	int64_t available, total;
	struct file *f;

	EXPECT_OK(folder_create_await(self, in(p, "b")));
	EXPECT_ERR(folder_create_await(self, in(p, "b")), ERR_EXISTS);
	EXPECT_OK(folder_create_all_await(self, in(p, "c/d/e")));
	EXPECT_OK(folder_create_all_await(self, in(p, "c/d/e")));
	EXPECT_OK(folder_create_all_await(self, in(p, "c/d/e/")));
	EXPECT_OK(file_replace_await(self, in(p, "a"), bytes_str("old")));
	EXPECT_OK(file_replace_await(self, in(p, "a"), bytes_str("new content")));
	expect_content_await(self, in(p, "a"), "new content");
	EXPECT_ERR(folder_create_all_await(self, in(p, "a")), ERR_EXISTS);
	EXPECT_ERR(folder_create_all_await(self, in(p, "a/b")), ERR_EXISTS);

	EXPECT_OK(folder_list_await(self, p->folder, &list));
	EXPECT(list.count == 3);
	EXPECT(!strcmp(list.entries[0].name, "a") && !list.entries[0].is_folder);
	EXPECT(!strcmp(list.entries[1].name, "b") && list.entries[1].is_folder);
	EXPECT(!strcmp(list.entries[2].name, "c") && list.entries[2].is_folder);
	folder_list_free(&list);
	EXPECT_OK(folder_list_await(self, in(p, "b"), &list));
	EXPECT(list.count == 0);
	folder_list_free(&list);
	EXPECT_ERR(folder_list_await(self, in(p, "a"), &list), ERR_NOT_FOUND);

	EXPECT_OK(file_info_await(self, in(p, "a"), &info));
	EXPECT(info.size == 11 && !info.is_folder);
	EXPECT(llabs(info.modified_ms - shard_wall_ms(fiber_shard(self))) < 60000);
	EXPECT_OK(file_info_await(self, in(p, "b"), &info));
	EXPECT(info.is_folder);

	EXPECT_OK(file_rename_await(self, in(p, "a"), in(p, "c/d/x")));
	EXPECT_OK(folder_sync_await(self, p->folder));
	EXPECT_OK(folder_sync_await(self, in(p, "c/d")));
	EXPECT_ERR(file_open_await(self, in(p, "a"), FILE_READ, &f), ERR_NOT_FOUND);
	EXPECT_ERR(file_remove_await(self, in(p, "c")), ERR_EXISTS); /* not empty */
	EXPECT_OK(file_remove_await(self, in(p, "b")));
	EXPECT_OK(folder_remove_all_await(self, in(p, "c")));
	EXPECT_OK(folder_list_await(self, p->folder, &list));
	EXPECT(list.count == 0);
	folder_list_free(&list);
	EXPECT_OK(folder_space_await(self, p->folder, &available, &total));
	EXPECT(available > 0 && total >= available);
	EXPECT(runtime_open_file_limit(shard_runtime(fiber_shard(self))) >= 256);
}

TEST(folders_are_made_listed_and_removed_with_all_in_them)
{
	run_in_place(folders_main);
}

static void load_main(struct fiber *self, void *argument)
{
	struct place *p = argument;
	char *text;
	size_t size;

	EXPECT_OK(file_replace_await(self, in(p, "a"), bytes_str("12345")));
	EXPECT_ERR(file_load_await(self, in(p, "a"), 4, &text, &size), ERR_TOO_BIG);
	EXPECT_OK(file_load_await(self, in(p, "a"), 5, &text, &size));
	EXPECT(size == 5 && text[5] == 0);
	mem_free(text);
	EXPECT_OK(file_replace_await(self, in(p, "a"), bytes_empty()));
	EXPECT_OK(file_load_await(self, in(p, "a"), 0, &text, &size));
	EXPECT(size == 0 && text[0] == 0);
	mem_free(text);
}

TEST(a_small_file_is_loaded_up_to_its_maximum)
{
	run_in_place(load_main);
}

/* In another process: 0 when it gets the lock, 1 when it is refused. */
static int lock_elsewhere(const char *path)
{
	struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	pid_t child = fork();
	int status, fd;

	if (child == 0) {
		fd = open(path, O_RDWR);
		_exit(fcntl(fd, F_SETLK, &whole) ? 1 : 0); /* the way of a Java broker */
	}
	EXPECT(waitpid(child, &status, 0) == child && WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void lock_main(struct fiber *self, void *argument)
{
	struct place *p = argument;
	struct file *f, *again;

	EXPECT_OK(file_open_await(self, in(p, ".lock"), FILE_READ | FILE_WRITE | FILE_CREATE, &f));
	EXPECT_OK(folder_sync_await(self, p->folder)); /* in lossy mode others see it only now */
	EXPECT(lock_elsewhere(in(p, ".lock")) == 0);
	EXPECT_OK(file_lock_await(self, f));
	EXPECT(lock_elsewhere(in(p, ".lock")) == 1);
	EXPECT_OK(file_open_await(self, in(p, ".lock"), FILE_READ | FILE_WRITE, &again));
	EXPECT_ERR(file_lock_await(self, again), ERR_BUSY);
	file_close(f);
	EXPECT_OK(file_lock_await(self, again));
	file_close(again);
	EXPECT(lock_elsewhere(in(p, ".lock")) == 0);
}

TEST(a_locked_file_is_busy_for_others_until_it_is_closed)
{
	run_in_place(lock_main);
}

static void left_open_main(struct fiber *self, void *argument)
{
	struct place *p = argument;
	struct file *f;

	EXPECT_OK(file_open_await(self, in(p, "a"), FILE_WRITE | FILE_CREATE, &f));
}

TEST(files_that_are_left_open_are_closed_at_the_end)
{
	run_in_place(left_open_main);
}
