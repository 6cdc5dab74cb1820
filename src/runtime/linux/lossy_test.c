/* lossy_test: what a kill leaves behind in lossy mode: just what was synced. */
#include <errno.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "runtime/file.h"
#include "runtime/linux/backends.h"

struct place {
	char folder[64];
	char path[4][128];
	size_t next;
};

static const char *in(struct place *p, const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", p->folder, name);
	return memcpy(p->path[p->next++ % 4], path, sizeof(path));
}

static void place_make(struct place *p)
{
	*p = (struct place){.folder = "/tmp/moldau-lossy-XXXXXX"};
	CHECK(mkdtemp(p->folder));
}

static void place_remove(struct place *p)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -r %s", p->folder);
	CHECK_EQ(system(command), 0);
}

struct killed_run {
	void (*main)(struct fiber *self, void *argument);
	struct place *place;
};

static void killed_main(struct fiber *self, void *argument)
{
	struct killed_run *k = argument;

	k->main(self, k->place);
	kill(getpid(), SIGKILL);
}

/* Runs `main` in a process that is killed when it has returned. */
static void run_and_kill(struct place *p, void (*main)(struct fiber *self, void *argument))
{
	struct killed_run k = {.main = main, .place = p};
	struct backend_run run = {.main = killed_main, .argument = &k};
	struct linux_options o = {.shards = 1, .lossy_file = true};
	pid_t child = fork();
	int status = 0;

	if (child == 0)
		_exit(linux_run(&o, backend_run_start, &run));
	CHECK(child > 0 && waitpid(child, &status, 0) == child);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

/* The real file's content; NULL expects that there is none. */
static void check_real(struct place *p, const char *name, const char *expected)
{
	char content[200] = {0};
	FILE *f = fopen(in(p, name), "r");

	if (!expected) {
		CHECK(!f && errno == ENOENT);
		return;
	}
	CHECK(f);
	CHECK_EQ(fread(content, 1, sizeof(content) - 1, f), strlen(expected));
	CHECK_STR(content, expected);
	fclose(f);
}

/* How many names a real folder has: nothing strange was left behind. */
static void check_count(struct place *p, const char *name, size_t expected)
{
	struct file_call c = {.kind = FILE_CALL_FOLDER_LIST, .path = in(p, name)};

	file_call_carry_out(&c);
	CHECK_ERR(c.error, OK);
	CHECK_EQ(c.list.count, expected);
	folder_list_free(&c.list);
}

static void write_real(struct place *p, const char *name, const char *content)
{
	FILE *f = fopen(in(p, name), "w");

	CHECK(f);
	fputs(content, f);
	fclose(f);
}

/* --- data -------------------------------------------------------------------------------------------------------- */

static void data_main(struct fiber *self, void *argument)
{
	struct place *p = argument;
	struct file *f;
	char buffer[32] = {0};
	size_t n;

	EXPECT_OK(file_open_await(self, in(p, "a"), FILE_READ | FILE_WRITE, &f));
	EXPECT_OK(file_write_await(self, f, bytes_str("NEW"), 0));
	EXPECT_OK(file_sync_await(self, f));
	EXPECT_OK(file_write_await(self, f, bytes_str("lost"), 3));
	EXPECT_OK(file_write_await(self, f, bytes_str("longer"), 10));
	EXPECT_OK(file_read_await(self, f, buffer, 32, 0, &n));
	EXPECT(n == 16 && memcmp(buffer,
				 "NEWlostt!\0"
				 "longer",
				 16) == 0);
	file_close(f);
	EXPECT_OK(file_open_await(self, in(p, "a"), FILE_READ, &f)); /* a new handle sees the same */
	EXPECT_OK(file_read_await(self, f, buffer, 32, 0, &n));
	EXPECT(n == 16);
}

TEST(a_kill_leaves_of_the_data_what_was_synced)
{
	struct place p;

	place_make(&p);
	write_real(&p, "a", "old text!");
	run_and_kill(&p, data_main);
	check_real(&p, "a", "NEW text!");
	place_remove(&p);
}

static void truncate_main(struct fiber *self, void *argument)
{
	struct place *p = argument;
	struct file *f, *g, *h;
	char buffer[32] = {0};
	size_t n;

	/* a: cut and synced. b: cut, not synced. c: cut, grown again over what was cut off, synced. */
	EXPECT_OK(file_open_await(self, in(p, "a"), FILE_READ | FILE_WRITE, &f));
	EXPECT_OK(file_truncate_await(self, f, 3));
	EXPECT_OK(file_sync_await(self, f));
	EXPECT_OK(file_open_await(self, in(p, "b"), FILE_READ | FILE_WRITE, &g));
	EXPECT_OK(file_truncate_await(self, g, 3));
	EXPECT_OK(file_read_await(self, g, buffer, 32, 0, &n));
	EXPECT(n == 3);
	EXPECT_OK(file_open_await(self, in(p, "c"), FILE_READ | FILE_WRITE, &h));
	EXPECT_OK(file_truncate_await(self, h, 2));
	EXPECT_OK(file_truncate_await(self, h, 6));
	EXPECT_OK(file_write_await(self, h, bytes_str("!"), 5));
	EXPECT_OK(file_read_await(self, h, buffer, 32, 0, &n));
	EXPECT(n == 6 && memcmp(buffer, "ab\0\0\0!", 6) == 0);
	EXPECT_OK(file_sync_await(self, h));
}

TEST(a_cut_that_was_not_synced_is_undone_and_one_that_was_is_not)
{
	struct place p;
	struct stat st;
	char content[6];
	FILE *f;

	place_make(&p);
	write_real(&p, "a", "abcdef");
	write_real(&p, "b", "abcdef");
	write_real(&p, "c", "abcdef");
	run_and_kill(&p, truncate_main);
	check_real(&p, "a", "abc");
	check_real(&p, "b", "abcdef");
	CHECK(stat(in(&p, "c"), &st) == 0 && st.st_size == 6);
	f = fopen(in(&p, "c"), "r");
	CHECK_EQ(fread(content, 1, 6, f), 6);
	CHECK(memcmp(content, "ab\0\0\0!", 6) == 0);
	fclose(f);
	place_remove(&p);
}

/* --- names ------------------------------------------------------------------------------------------------------- */

static void write_synced_await(struct fiber *self, const char *path, const char *content)
{
	struct file *f;

	EXPECT_OK(file_open_await(self, path, FILE_WRITE | FILE_CREATE, &f));
	EXPECT_OK(file_write_await(self, f, bytes_str(content), 0));
	EXPECT_OK(file_sync_await(self, f));
	file_close(f);
}

static void create_main(struct fiber *self, void *argument)
{
	struct place *p = argument;
	struct file *f;

	write_synced_await(self, in(p, "kept"), "kept");
	EXPECT_OK(file_open_await(self, in(p, "empty"), FILE_WRITE | FILE_CREATE, &f));
	EXPECT_OK(file_write_await(self, f, bytes_str("never synced"), 0));
	EXPECT_OK(folder_sync_await(self, p->folder));
	write_synced_await(self, in(p, "lost"), "its data was synced, its name was not");
	EXPECT_OK(file_remove_await(self, in(p, "kept"))); /* not synced either */
}

TEST(a_new_name_lasts_from_the_sync_of_its_folder_on)
{
	struct place p;

	place_make(&p);
	run_and_kill(&p, create_main);
	check_real(&p, "kept", "kept");
	check_real(&p, "empty", "");
	check_real(&p, "lost", NULL);
	check_count(&p, ".", 2);
	place_remove(&p);
}

static void rename_main(struct fiber *self, void *argument)
{
	struct place *p = argument;
	struct folder_list list;

	/* In one folder: over another, and in a chain; synced. */
	EXPECT_OK(file_rename_await(self, in(p, "a"), in(p, "b")));
	EXPECT_OK(file_rename_await(self, in(p, "d"), in(p, "e")));
	EXPECT_OK(file_rename_await(self, in(p, "c"), in(p, "d")));
	write_synced_await(self, in(p, "c"), "new c");
	EXPECT_OK(folder_sync_await(self, p->folder));
	/* Not synced. */
	EXPECT_OK(file_rename_await(self, in(p, "b"), in(p, "z")));
	EXPECT_OK(file_remove_await(self, in(p, "e")));
	EXPECT_OK(folder_list_await(self, p->folder, &list));
	EXPECT(list.count == 3 && !strcmp(list.entries[0].name, "c") && !strcmp(list.entries[1].name, "d") &&
	       !strcmp(list.entries[2].name, "z"));
	folder_list_free(&list);
}

TEST(a_rename_lasts_from_the_sync_of_its_folder_on)
{
	struct place p;

	place_make(&p);
	write_real(&p, "a", "was a");
	write_real(&p, "b", "was b");
	write_real(&p, "c", "was c");
	write_real(&p, "d", "was d");
	run_and_kill(&p, rename_main);
	check_real(&p, "a", NULL);
	check_real(&p, "b", "was a");
	check_real(&p, "c", "new c");
	check_real(&p, "d", "was c");
	check_real(&p, "e", "was d");
	check_real(&p, "z", NULL);
	check_count(&p, ".", 4);
	place_remove(&p);
}

static void replace_main(struct fiber *self, void *argument)
{
	struct place *p = argument;
	char *text;
	size_t size;

	EXPECT_OK(file_replace_await(self, in(p, "a"), bytes_str("replaced")));
	EXPECT_OK(file_replace_await(self, in(p, "new"), bytes_str("first")));
	EXPECT_OK(file_replace_await(self, in(p, "new"), bytes_str("second")));
	write_synced_await(self, in(p, "a.tmp"), "third");
	EXPECT_OK(file_rename_await(self, in(p, "a.tmp"), in(p, "a"))); /* no sync of the folder */
	EXPECT_OK(file_load_await(self, in(p, "a"), 100, &text, &size));
	EXPECT(!strcmp(text, "third"));
	mem_free(text);
}

TEST(a_replaced_file_is_the_old_or_the_new_one)
{
	struct place p;

	place_make(&p);
	write_real(&p, "a", "old");
	run_and_kill(&p, replace_main);
	check_real(&p, "a", "replaced");
	check_real(&p, "new", "second");
	check_count(&p, ".", 2);
	place_remove(&p);
}

static void folders_main(struct fiber *self, void *argument)
{
	struct place *p = argument;

	/* Everything synced, from the inside out. */
	EXPECT_OK(folder_create_await(self, in(p, "x")));
	EXPECT_OK(folder_create_await(self, in(p, "x/y")));
	write_synced_await(self, in(p, "x/y/a"), "deep");
	write_synced_await(self, in(p, "x/y/unsynced"), "its name never was");
	EXPECT_OK(file_rename_await(self, in(p, "x/y/unsynced"), in(p, "x/y/b")));
	EXPECT_OK(file_remove_await(self, in(p, "x/y/b")));
	EXPECT_OK(folder_sync_await(self, in(p, "x/y")));
	EXPECT_OK(folder_sync_await(self, in(p, "x")));
	EXPECT_OK(folder_sync_await(self, p->folder));
	/* A folder whose own name was never synced. */
	EXPECT_OK(folder_create_await(self, in(p, "lost")));
	write_synced_await(self, in(p, "lost/a"), "gone with it");
	EXPECT_OK(folder_sync_await(self, in(p, "lost")));
	/* A rename and a removal with all that is inside, both not synced. */
	EXPECT_OK(file_rename_await(self, in(p, "t-0"), in(p, "t-0.deleted")));
	EXPECT_OK(folder_remove_all_await(self, in(p, "gone")));
	EXPECT_ERR(folder_sync_await(self, in(p, "gone")), ERR_NOT_FOUND);
	EXPECT_OK(folder_create_await(self, in(p, "x/late")));
}

/* On what the first kill left. */
static void folders_synced_main(struct fiber *self, void *argument)
{
	struct place *p = argument;

	EXPECT_OK(file_rename_await(self, in(p, "t-0"), in(p, "t-0.deleted")));
	EXPECT_OK(folder_remove_all_await(self, in(p, "gone")));
	EXPECT_OK(folder_sync_await(self, p->folder));
	write_synced_await(self, in(p, "t-0.deleted/b"), "written after the rename");
	EXPECT_OK(folder_sync_await(self, in(p, "t-0.deleted")));
	EXPECT_OK(file_rename_await(self, in(p, "t-0.deleted/a"), in(p, "moved")));
	EXPECT_OK(folder_sync_await(self, in(p, "t-0.deleted")));
	EXPECT_OK(folder_sync_await(self, p->folder));
}

TEST(folders_last_with_what_was_synced_in_them_or_not_at_all)
{
	struct place p;

	place_make(&p);
	CHECK(mkdir(in(&p, "t-0"), 0755) == 0 && mkdir(in(&p, "gone"), 0755) == 0);
	write_real(&p, "t-0/a", "a");
	write_real(&p, "gone/a", "a");
	run_and_kill(&p, folders_main);
	check_real(&p, "x/y/a", "deep");
	check_count(&p, "x/y", 1);
	check_count(&p, "x", 1);
	check_real(&p, "t-0/a", "a");
	check_real(&p, "gone/a", "a");
	check_count(&p, ".", 3);

	run_and_kill(&p, folders_synced_main);
	check_real(&p, "moved", "a");
	check_real(&p, "t-0.deleted/b", "written after the rename");
	check_count(&p, "t-0.deleted", 1);
	check_count(&p, ".", 3);
	place_remove(&p);
}

static void clean_main(struct fiber *self, void *argument)
{
	struct place *p = argument;
	struct file *f;

	EXPECT_OK(folder_create_await(self, in(p, "x")));
	EXPECT_OK(file_open_await(self, in(p, "x/a"), FILE_WRITE | FILE_CREATE, &f));
	EXPECT_OK(file_write_await(self, f, bytes_str("written"), 0));
}

TEST(a_clean_end_keeps_all)
{
	struct linux_options o = {.shards = 1, .lossy_file = true};
	struct place p;

	place_make(&p);
	run_with(&o, clean_main, &p);
	check_real(&p, "x/a", "written");
	place_remove(&p);
}
