/* embedded_test: the store over the real file system: what it promises, and what it makes of every damage. */
#include "metastore/embedded/embedded.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "runtime/file.h"
#include "runtime/linux/backends.h"

static char *new_folder(void)
{
	char template[] = "/tmp/moldau-metastore-XXXXXX";

	EXPECT(mkdtemp(template));
	return mem_strdup(template);
}

static void drop_folder_await(struct fiber *self, char *folder)
{
	EXPECT_OK(folder_remove_all_await(self, folder));
	mem_free(folder);
}

static enum err open_await(struct fiber *self, const char *folder, size_t journal_bytes, struct metastore **ret)
{
	char path[200];
	struct embedded_options o = {.folder = path, .journal_bytes = journal_bytes};

	snprintf(path, sizeof(path), "%s/" EMBEDDED_FOLDER, folder);
	return embedded_open_await(self, &o, ret);
}

static enum err put_await(struct fiber *self, struct metastore *m, const char *path, const char *text)
{
	return metastore_create_await(self, m, path, bytes_str(text), 0, NULL);
}

static void expect_text_await(struct fiber *self, struct metastore *m, const char *path, const char *text,
			      int32_t version)
{
	struct node_stat stat;
	struct buf b;

	buf_init(&b, 1 << 20);
	EXPECT_OK(metastore_get_await(self, m, path, &b, &stat, NULL));
	EXPECT(bytes_equal_str(buf_bytes(&b), text));
	EXPECT(stat.version == version);
	buf_fini(&b);
}

/* --- the interface's promises --------------------------------------------------------------------------------------------- */

static void promises_main(struct fiber *self, void *argument)
{
	char *folder = new_folder();
	struct metastore *m;
	struct node_stat a, b;
	struct metastore_children children;

	(void)argument;
	EXPECT_OK(open_await(self, folder, 0, &m));
	EXPECT_OK(metastore_create_await(self, m, "/a", bytes_str("one"), 0, &a));
	EXPECT_ERR(put_await(self, m, "/a", "two"), ERR_EXISTS);
	EXPECT_ERR(put_await(self, m, "/x/y", "no parent"), ERR_NOT_FOUND);
	EXPECT_OK(metastore_create_await(self, m, "/a/b", bytes_null(), 0, &b));
	EXPECT(b.created > a.created && b.null_data && !a.null_data);
	EXPECT_OK(metastore_set_await(self, m, "/a", bytes_str("two"), 0, &a));
	EXPECT_ERR(metastore_set_await(self, m, "/a", bytes_str("three"), 0, NULL), ERR_CONFLICT);
	expect_text_await(self, m, "/a", "two", 1);
	EXPECT_ERR(metastore_delete_await(self, m, "/a", METASTORE_ANY_VERSION), ERR_WRONG_STATE);
	EXPECT_ERR(metastore_delete_await(self, m, "/a/b", 7), ERR_CONFLICT);
	EXPECT_OK(metastore_delete_await(self, m, "/a/b", 0));
	EXPECT_ERR(metastore_get_await(self, m, "/a/b", NULL, NULL, NULL), ERR_NOT_FOUND);
	EXPECT_OK(metastore_ensure_await(self, m, "/p/q/r"));
	EXPECT_OK(metastore_ensure_await(self, m, "/p/q/r"));
	EXPECT_OK(put_await(self, m, "/p/q/a", ""));
	EXPECT_OK(metastore_children_await(self, m, "/p/q", &children, NULL));
	EXPECT(children.count == 2 && strcmp(children.names[0], "a") == 0 && strcmp(children.names[1], "r") == 0);
	metastore_children_free(&children);
	EXPECT_OK(metastore_close_await(self, m));

	EXPECT_OK(open_await(self, folder, 0, &m));
	expect_text_await(self, m, "/a", "two", 1);
	EXPECT_OK(metastore_get_await(self, m, "/a", NULL, &b, NULL));
	EXPECT(b.created == a.created && b.modified == a.modified);
	EXPECT_OK(metastore_create_await(self, m, "/later", bytes_null(), 0, &b));
	EXPECT(b.created > a.modified);
	EXPECT_OK(metastore_close_await(self, m));
	drop_folder_await(self, folder);
}

TEST(nodes_have_versions_and_come_back_after_a_restart)
{
	run_over_both(1, promises_main, NULL);
}

static void multi_main(struct fiber *self, void *argument)
{
	char *folder = new_folder();
	struct metastore *m;

	(void)argument;
	EXPECT_OK(open_await(self, folder, 0, &m));
	EXPECT_OK(put_await(self, m, "/epoch", "1"));
	struct metastore_op good[] = {
		{.kind = METASTORE_CHECK, .path = "/epoch", .version = 0},
		{.kind = METASTORE_CREATE, .path = "/t", .data = bytes_str("x")},
		{.kind = METASTORE_CREATE, .path = "/t/n-", .flags = NODE_SEQUENTIAL},
		{.kind = METASTORE_CREATE, .path = "/t/n-", .flags = NODE_SEQUENTIAL},
		{.kind = METASTORE_SET, .path = "/t", .data = bytes_str("y"), .version = 0},
	};
	EXPECT_OK(metastore_multi_await(self, m, good, countof(good)));
	EXPECT(strcmp(good[2].created_path, "/t/n-0000000000") == 0);
	EXPECT(strcmp(good[3].created_path, "/t/n-0000000001") == 0);
	mem_free(good[2].created_path);
	mem_free(good[3].created_path);

	struct metastore_op bad[] = {
		{.kind = METASTORE_SET, .path = "/t", .data = bytes_str("z"), .version = METASTORE_ANY_VERSION},
		{.kind = METASTORE_DELETE, .path = "/t/n-0000000001", .version = METASTORE_ANY_VERSION},
		{.kind = METASTORE_CREATE, .path = "/t/n-", .flags = NODE_SEQUENTIAL},
		{.kind = METASTORE_CHECK, .path = "/epoch", .version = 9},
		{.kind = METASTORE_CREATE, .path = "/never"},
	};
	EXPECT_ERR(metastore_multi_await(self, m, bad, countof(bad)), ERR_CONFLICT);
	EXPECT(bad[0].error == OK && bad[3].error == ERR_CONFLICT && bad[4].error == ERR_CANCELLED);
	EXPECT(!bad[2].created_path);
	expect_text_await(self, m, "/t", "y", 1);
	EXPECT_OK(metastore_get_await(self, m, "/t/n-0000000001", NULL, NULL, NULL));
	EXPECT_ERR(metastore_get_await(self, m, "/t/n-0000000002", NULL, NULL, NULL), ERR_NOT_FOUND);
	EXPECT_ERR(metastore_get_await(self, m, "/never", NULL, NULL, NULL), ERR_NOT_FOUND);
	EXPECT_OK(metastore_close_await(self, m));
	drop_folder_await(self, folder);
}

TEST(a_multi_happens_whole_or_not_at_all)
{
	run_over_both(1, multi_main, NULL);
}

static void ephemeral_main(struct fiber *self, void *argument)
{
	char *folder = new_folder();
	struct metastore *m;
	struct node_stat first, second;

	(void)argument;
	EXPECT_OK(open_await(self, folder, 0, &m));
	EXPECT_OK(metastore_create_await(self, m, "/me", bytes_str("1"), NODE_EPHEMERAL, &first));
	EXPECT(first.owner == metastore_session(m));
	EXPECT_ERR(put_await(self, m, "/me/child", ""), ERR_WRONG_STATE);
	EXPECT_OK(metastore_close_await(self, m));
	/* Twice: the end of the session must also be seen by the start after the next. */
	for (int i = 0; i < 3; i++) {
		EXPECT_OK(open_await(self, folder, 0, &m));
		EXPECT_ERR(metastore_get_await(self, m, "/me", NULL, NULL, NULL), ERR_NOT_FOUND);
		EXPECT_OK(metastore_create_await(self, m, "/me", bytes_str("2"), NODE_EPHEMERAL, &second));
		EXPECT(second.created > first.created);
		first = second;
		EXPECT_OK(metastore_close_await(self, m));
	}
	drop_folder_await(self, folder);
}

TEST(ephemeral_nodes_end_with_the_process_and_come_back_with_a_newer_epoch)
{
	run_over_both(1, ephemeral_main, NULL);
}

struct told {
	struct metastore_watch watch;
	int count;
};

static void told_fired(struct metastore_watch *w)
{
	container_of(w, struct told, watch)->count++;
}

static void watch_main(struct fiber *self, void *argument)
{
	char *folder = new_folder();
	struct told data = {.watch = {.fired = told_fired}}, absent = data, children = data, unused = data;
	struct metastore_children list;
	struct metastore *m;

	(void)argument;
	EXPECT_OK(open_await(self, folder, 0, &m));
	EXPECT_OK(put_await(self, m, "/a", ""));
	EXPECT_OK(metastore_get_await(self, m, "/a", NULL, NULL, &data.watch));
	EXPECT_OK(metastore_children_await(self, m, "/a", &list, &children.watch));
	metastore_children_free(&list);
	EXPECT_ERR(metastore_get_await(self, m, "/a/b", NULL, NULL, &absent.watch), ERR_NOT_FOUND);
	EXPECT_OK(metastore_get_await(self, m, "/a", NULL, NULL, &unused.watch));
	metastore_watch_cancel(m, &unused.watch);

	EXPECT_OK(put_await(self, m, "/a/b", ""));
	EXPECT(data.count == 0 && children.count == 1 && absent.count == 1);
	EXPECT_OK(metastore_set_await(self, m, "/a", bytes_str("x"), 0, NULL));
	EXPECT_OK(metastore_set_await(self, m, "/a", bytes_str("y"), 1, NULL));
	EXPECT(data.count == 1 && unused.count == 0);
	EXPECT_OK(metastore_close_await(self, m));
	drop_folder_await(self, folder);
}

TEST(a_watch_is_told_once)
{
	run_over_both(1, watch_main, NULL);
}

/* --- rotation ------------------------------------------------------------------------------------------------------------- */

static void rotation_main(struct fiber *self, void *argument)
{
	char *folder = new_folder(), path[32], text[64];
	struct metastore *m;

	(void)argument;
	EXPECT_OK(open_await(self, folder, 500, &m));
	for (int i = 0; i < 200; i++) {
		snprintf(path, sizeof(path), "/n%d", i);
		snprintf(text, sizeof(text), "number %d", i);
		EXPECT_OK(put_await(self, m, path, text));
		if (i % 3 == 0)
			EXPECT_OK(metastore_delete_await(self, m, path, 0));
		if (i % 50 == 49) {
			EXPECT_OK(metastore_close_await(self, m));
			EXPECT_OK(open_await(self, folder, 500, &m));
		}
	}
	for (int i = 0; i < 200; i++) {
		snprintf(path, sizeof(path), "/n%d", i);
		snprintf(text, sizeof(text), "number %d", i);
		if (i % 3 == 0)
			EXPECT_ERR(metastore_get_await(self, m, path, NULL, NULL, NULL), ERR_NOT_FOUND);
		else
			expect_text_await(self, m, path, text, 0);
	}
	EXPECT_OK(metastore_close_await(self, m));

	struct folder_list list;

	snprintf(text, sizeof(text), "%s/" EMBEDDED_FOLDER, folder);
	EXPECT_OK(folder_list_await(self, text, &list));
	EXPECT(list.count == 3); /* acknowledged, one journal, one snapshot: older ones are gone */
	EXPECT(strncmp(list.entries[1].name, "journal-", 8) == 0 && atoi(list.entries[1].name + 8) > 5);
	folder_list_free(&list);
	drop_folder_await(self, folder);
}

TEST(snapshots_replace_what_the_journal_held)
{
	run_over_both(1, rotation_main, NULL);
}

/* --- many at once ------------------------------------------------------------------------------------------------------- */

struct many {
	struct metastore *m;
	struct event over;
	int left;
	int next;
};

static void many_main(struct fiber *self, void *argument)
{
	struct many *many = argument;
	char path[32];

	snprintf(path, sizeof(path), "/n%d", many->next++);
	EXPECT_OK(put_await(self, many->m, path, "x"));
	if (--many->left == 0)
		event_signal(&many->over);
}

static void group_main(struct fiber *self, void *argument)
{
	static const struct fiber_options options = {.name = "many", .stack_size = (size_t)128 * 1024};
	char *folder = new_folder(), path[100];
	struct many many = {.left = 100};
	struct file_info info;

	(void)argument;
	EXPECT_OK(open_await(self, folder, 0, &many.m));
	event_init(&many.over);
	for (int i = 0; i < 100; i++)
		EXPECT(fiber_start(fiber_shard(self), &options, many_main, &many));
	while (many.left)
		EXPECT_OK(event_wait_await(self, &many.over, FIBER_NO_DEADLINE));
	EXPECT_OK(metastore_close_await(self, many.m));
	/* A hundred frames of their own would be more than twice as large. */
	snprintf(path, sizeof(path), "%s/" EMBEDDED_FOLDER "/journal-1", folder);
	EXPECT_OK(file_info_await(self, path, &info));
	EXPECT(info.size < 100 * 40);
	EXPECT_OK(open_await(self, folder, 0, &many.m));
	EXPECT_OK(metastore_get_await(self, many.m, "/n99", NULL, NULL, NULL));
	EXPECT_OK(metastore_close_await(self, many.m));
	drop_folder_await(self, folder);
}

TEST(callers_that_come_together_share_a_sync)
{
	run_over_both(1, group_main, NULL);
}

/* --- damage ----------------------------------------------------------------------------------------------------------------- */

struct files {
	char *journal;
	size_t size;
	size_t ends[8]; /* of the frames */
	char *snapshot;
	size_t snapshot_size;
};

/* A store as a kill leaves it: three transactions, one after the other, and no bound. */
static void killed_store_await(struct fiber *self, struct files *f)
{
	char *folder = new_folder(), path[100], text[] = "/n0";
	struct file_info info;
	struct metastore *m;

	EXPECT_OK(open_await(self, folder, 0, &m));
	snprintf(path, sizeof(path), "%s/" EMBEDDED_FOLDER "/journal-1", folder);
	for (int i = 0; i < 3; i++) {
		EXPECT_OK(file_info_await(self, path, &info));
		f->ends[i] = (size_t)info.size;
		text[2] = (char)('0' + i);
		EXPECT_OK(put_await(self, m, text, "some data of this node"));
	}
	EXPECT_OK(file_load_await(self, path, 1 << 20, &f->journal, &f->size));
	f->ends[3] = f->size;
	snprintf(path, sizeof(path), "%s/" EMBEDDED_FOLDER "/snapshot-1", folder);
	EXPECT_OK(file_load_await(self, path, 1 << 20, &f->snapshot, &f->snapshot_size));
	EXPECT_OK(metastore_close_await(self, m));
	drop_folder_await(self, folder);
}

static void write_file(const char *folder, const char *name, const void *data, size_t size)
{
	char path[200];
	int fd;

	snprintf(path, sizeof(path), "%s/" EMBEDDED_FOLDER, folder);
	mkdir(path, 0755);
	snprintf(path, sizeof(path), "%s/" EMBEDDED_FOLDER "/%s", folder, name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	EXPECT(fd >= 0 && write(fd, data, size) == (ssize_t)size);
	close(fd);
}

/* How many of the three nodes a store with this journal has; -1: it was refused as damaged. */
static int nodes_of_await(struct fiber *self, const struct files *f, const char *journal, size_t size)
{
	char *folder = new_folder(), text[] = "/n0";
	struct metastore *m;
	int count = 0;
	enum err e;

	write_file(folder, "journal-1", journal, size);
	write_file(folder, "snapshot-1", f->snapshot, f->snapshot_size);
	e = open_await(self, folder, 0, &m);
	if (e) {
		EXPECT(e == ERR_CORRUPT || e == ERR_BAD_VERSION); /* of the latter: the format's own bytes */
		drop_folder_await(self, folder);
		return -1;
	}
	while (count < 3) {
		text[2] = (char)('0' + count);
		if (metastore_get_await(self, m, text, NULL, NULL, NULL))
			break;
		count++;
	}
	/* It goes on from there, and what comes is found again. */
	EXPECT_OK(put_await(self, m, "/after", "x"));
	EXPECT_OK(metastore_close_await(self, m));
	EXPECT_OK(open_await(self, folder, 0, &m));
	EXPECT_OK(metastore_get_await(self, m, "/after", NULL, NULL, NULL));
	EXPECT_OK(metastore_close_await(self, m));
	drop_folder_await(self, folder);
	return count;
}

static void truncated_main(struct fiber *self, void *argument)
{
	struct files f;

	(void)argument;
	killed_store_await(self, &f);
	EXPECT(f.size < 500);
	for (size_t size = 0; size <= f.size; size++) {
		int expected = size < f.ends[0]   ? -1
			       : size < f.ends[1] ? 0
			       : size < f.ends[2] ? 1
			       : size < f.ends[3] ? 2
						  : 3;

		EXPECT(nodes_of_await(self, &f, f.journal, size) == expected);
	}
	mem_free(f.journal);
	mem_free(f.snapshot);
}

TEST(a_journal_cut_at_any_byte_keeps_all_whole_frames)
{
	static const struct linux_options o = {.shards = 1, .io = IO_EPOLL};

	run_with(&o, truncated_main, NULL);
}

static void flipped_main(struct fiber *self, void *argument)
{
	struct files f;

	(void)argument;
	killed_store_await(self, &f);
	for (size_t at = 0; at < f.size; at++) {
		/* The last frame may be torn; any other has a frame behind it, which proves that it was acknowledged. */
		int expected = at < f.ends[2] ? -1 : 2;

		f.journal[at] ^= 0x10;
		EXPECT(nodes_of_await(self, &f, f.journal, f.size) == expected);
		f.journal[at] ^= 0x10;
	}
	mem_free(f.journal);
	mem_free(f.snapshot);
}

TEST(damage_in_front_of_another_frame_is_no_torn_tail)
{
	static const struct linux_options o = {.shards = 1, .io = IO_EPOLL};

	run_with(&o, flipped_main, NULL);
}

/* After a clean stop the bound says how far all was acknowledged: then even the last byte may not go. */
static void bound_main(struct fiber *self, void *argument)
{
	char *folder = new_folder(), path[100];
	struct metastore *m;
	struct file_info info;

	(void)argument;
	EXPECT_OK(open_await(self, folder, 0, &m));
	EXPECT_OK(put_await(self, m, "/a", "x"));
	EXPECT_OK(put_await(self, m, "/b", "x"));
	EXPECT_OK(metastore_close_await(self, m));
	snprintf(path, sizeof(path), "%s/" EMBEDDED_FOLDER "/journal-1", folder);
	EXPECT_OK(file_info_await(self, path, &info));
	EXPECT(truncate(path, info.size - 1) == 0);
	EXPECT_ERR(open_await(self, folder, 0, &m), ERR_CORRUPT);
	EXPECT_OK(file_info_await(self, path, &info));
	EXPECT_ERR(open_await(self, folder, 0, &m), ERR_CORRUPT); /* and nothing was cut */
	EXPECT(unlink(path) == 0);
	EXPECT_ERR(open_await(self, folder, 0, &m), ERR_CORRUPT);
	snprintf(path, sizeof(path), "%s/" EMBEDDED_FOLDER "/snapshot-1", folder);
	EXPECT(unlink(path) == 0);
	EXPECT_ERR(open_await(self, folder, 0, &m), ERR_CORRUPT);
	drop_folder_await(self, folder);
}

TEST(what_was_acknowledged_is_never_cut)
{
	run_over_both(1, bound_main, NULL);
}

/* The making of a store, or of a new snapshot, may be interrupted after any of its steps. */
static void interrupted_main(struct fiber *self, void *argument)
{
	struct files f;
	char *folder = new_folder();
	struct metastore *m;

	(void)argument;
	killed_store_await(self, &f);
	write_file(folder, "journal-1", f.journal, 20);
	EXPECT_OK(open_await(self, folder, 0, &m)); /* no snapshot yet: made anew */
	EXPECT_OK(put_await(self, m, "/a", "x"));
	EXPECT_OK(metastore_close_await(self, m));
	write_file(folder, "journal-2", f.journal, f.size);
	write_file(folder, "snapshot.tmp", f.snapshot, 10);
	EXPECT_OK(open_await(self, folder, 0, &m));
	expect_text_await(self, m, "/a", "x", 0);
	EXPECT_OK(metastore_close_await(self, m));
	write_file(folder, "snapshot-1", f.snapshot, f.snapshot_size - 1);
	EXPECT_ERR(open_await(self, folder, 0, &m), ERR_CORRUPT);
	mem_free(f.journal);
	mem_free(f.snapshot);
	drop_folder_await(self, folder);
}

TEST(an_interrupted_start_or_snapshot_is_taken_up_again)
{
	run_over_both(1, interrupted_main, NULL);
}

static void newer_main(struct fiber *self, void *argument)
{
	struct files f;
	char *folder = new_folder();
	struct metastore *m;

	(void)argument;
	killed_store_await(self, &f);
	f.snapshot[11] = 2;
	write_file(folder, "journal-1", f.journal, f.size);
	write_file(folder, "snapshot-1", f.snapshot, f.snapshot_size);
	EXPECT_ERR(open_await(self, folder, 0, &m), ERR_BAD_VERSION);
	mem_free(f.journal);
	mem_free(f.snapshot);
	drop_folder_await(self, folder);
}

TEST(a_newer_format_is_named_as_such)
{
	run_over_both(1, newer_main, NULL);
}

/* --- formats that landed ---------------------------------------------------------------------------------------------- */

static void copy_file_await(struct fiber *self, const char *folder, const char *name)
{
	char path[200], *text;
	size_t size;

	snprintf(path, sizeof(path), "tests/compat/metadata-1/%s", name);
	EXPECT_OK(file_load_await(self, path, 1 << 20, &text, &size));
	write_file(folder, name, text, size);
	mem_free(text);
}

/* Written by the program that first had format 1; opens for ever. */
static void format_1_main(struct fiber *self, void *argument)
{
	char *folder = new_folder();
	struct metastore *m;

	(void)argument;
	copy_file_await(self, folder, "journal-2");
	copy_file_await(self, folder, "snapshot-2");
	copy_file_await(self, folder, "acknowledged");
	EXPECT_OK(open_await(self, folder, 0, &m));
	expect_text_await(self, m, "/topics", "changed", 3);
	expect_text_await(self, m, "/topics/in-the-snapshot", "one", 0);
	expect_text_await(self, m, "/topics/in-the-journal", "two", 0);
	expect_text_await(self, m, "/topics/n-0000000003", "", 0);
	EXPECT_ERR(metastore_get_await(self, m, "/topics/deleted", NULL, NULL, NULL), ERR_NOT_FOUND);
	EXPECT_ERR(metastore_get_await(self, m, "/me", NULL, NULL, NULL), ERR_NOT_FOUND);
	EXPECT_OK(metastore_close_await(self, m));
	drop_folder_await(self, folder);
}

TEST(a_folder_of_format_1_opens)
{
	run_over_both(1, format_1_main, NULL);
}
