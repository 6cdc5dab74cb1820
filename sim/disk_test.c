/* Tests of the disk model: what survives what. */
#include "sim/disk.h"

#include <stdio.h>

#include "base/alloc.h"
#include "base/test.h"

static struct inode *open_file(struct disk *d, const char *path)
{
	struct inode *i = NULL;

	must_ok(disk_open(d, path, FILE_READ | FILE_WRITE | FILE_CREATE, 0, &i));
	return i;
}

static void write_text(struct inode *i, const char *text, int64_t offset)
{
	size_t count = 0;

	must_ok(inode_write(i, bytes_str(text), offset, 0, &count));
	CHECK_EQ(count, strlen(text));
}

static size_t read_path(struct disk *d, const char *path, char *buffer, size_t size)
{
	struct inode *i = NULL;
	size_t count;

	must_ok(disk_open(d, path, FILE_READ, 0, &i));
	count = inode_read(i, buffer, size, 0);
	inode_release(i);
	return count;
}

static bool exists(struct disk *d, const char *path)
{
	struct file_info info;

	return disk_info(d, path, &info) == OK;
}

TEST(a_file_reads_back_what_was_written)
{
	struct disk *d = disk_new(1000);
	struct inode *i = open_file(d, "/a");
	char text[20];

	write_text(i, "hello", 3);
	CHECK_EQ(inode_size(i), 8);
	CHECK_EQ(inode_read(i, text, sizeof(text), 0), 8);
	CHECK_BYTES(bytes_of(text, 8), bytes_of("\0\0\0hello", 8));
	CHECK_EQ(inode_read(i, text, sizeof(text), 8), 0);
	must_ok(inode_truncate(i, 4, 0));
	must_ok(inode_truncate(i, 6, 0));
	CHECK_EQ(inode_read(i, text, sizeof(text), 0), 6);
	CHECK_BYTES(bytes_of(text, 6), bytes_of("\0\0\0h\0\0", 6));
	CHECK_EQ(disk_used(d), 6);
	inode_release(i);
	disk_free(d);
}

/* Over many power losses: what was synced is always there, what was not is sometimes there and sometimes not. */
TEST(a_power_loss_spares_exactly_what_was_synced)
{
	struct prng random;
	unsigned second_there = 0, third_there = 0, rounds = 400;

	prng_seed(&random, 1);
	for (unsigned round = 0; round < rounds; round++) {
		struct disk *d = disk_new(100000);
		struct inode *i = open_file(d, "/f");
		struct disk_loss loss;
		char text[4000];
		size_t size;

		write_text(i, "first", 0);
		inode_sync(i, disk_mark(d));
		must_ok(disk_folder_sync(d, "/", disk_mark(d)));
		write_text(i, "second", 600);
		write_text(i, "third", 1300);
		inode_release(i);
		disk_power_loss(d, &random, &loss);
		size = read_path(d, "/f", text, sizeof(text));
		CHECK(size >= 5);
		CHECK_BYTES(bytes_of(text, 5), bytes_str("first"));
		second_there += size >= 606 && !memcmp(text + 600, "second", 6);
		third_there += size >= 1305 && !memcmp(text + 1300, "third", 5);
		disk_free(d);
	}
	CHECK(second_there > rounds / 10 && second_there < rounds * 9 / 10);
	CHECK(third_there > rounds / 10 && third_there < rounds * 9 / 10);
}

/* A write of four sectors may arrive in part, but each sector is whole or was never touched. */
TEST(a_torn_write_is_torn_between_sectors_only)
{
	struct prng random;
	unsigned torn = 0;

	prng_seed(&random, 2);
	for (unsigned round = 0; round < 200; round++) {
		struct disk *d = disk_new(100000);
		struct inode *i = open_file(d, "/f");
		uint8_t data[2048], got[2048] = {0};
		struct disk_loss loss;
		unsigned arrived = 0;
		size_t count = 0, size;

		memset(data, 'x', sizeof(data));
		inode_sync(i, disk_mark(d));
		must_ok(disk_folder_sync(d, "/", disk_mark(d)));
		must_ok(inode_write(i, bytes_of(data, sizeof(data)), 0, 0, &count));
		inode_release(i);
		disk_power_loss(d, &random, &loss);
		size = read_path(d, "/f", (char *)got, sizeof(got));
		CHECK_EQ(size % 512, 0);
		for (size_t s = 0; s < 4; s++) {
			CHECK(got[s * 512] == got[s * 512 + 511]);
			arrived += got[s * 512] == 'x';
		}
		torn += arrived > 0 && arrived < 4;
		disk_free(d);
	}
	CHECK(torn > 10);
}

TEST(a_sector_never_has_a_later_write_without_an_earlier_one)
{
	struct prng random;

	prng_seed(&random, 3);
	for (unsigned round = 0; round < 200; round++) {
		struct disk *d = disk_new(100000);
		struct inode *i = open_file(d, "/f");
		struct disk_loss loss;
		char got[100] = "";

		must_ok(disk_folder_sync(d, "/", disk_mark(d)));
		write_text(i, "aaaa", 0);
		write_text(i, "bbbb", 4);
		inode_release(i);
		disk_power_loss(d, &random, &loss);
		read_path(d, "/f", got, sizeof(got));
		if (!memcmp(got + 4, "bbbb", 4))
			CHECK(!memcmp(got, "aaaa", 4));
		disk_free(d);
	}
}

TEST(a_name_is_lost_with_the_power_until_its_folder_was_synced)
{
	struct prng random;
	unsigned kept = 0;

	prng_seed(&random, 4);
	for (unsigned round = 0; round < 200; round++) {
		struct disk *d = disk_new(100000);
		struct inode *i;
		struct disk_loss loss;

		must_ok(disk_folder_create(d, "/sure", 0));
		must_ok(disk_folder_sync(d, "/", disk_mark(d)));
		i = open_file(d, "/sure/file");
		write_text(i, "x", 0);
		inode_sync(i, disk_mark(d)); /* of the content: says nothing about the name */
		inode_release(i);
		disk_power_loss(d, &random, &loss);
		CHECK(exists(d, "/sure"));
		kept += exists(d, "/sure/file");
		disk_free(d);
	}
	CHECK(kept > 20 && kept < 180);
}

TEST(a_rename_is_whole_or_did_not_happen)
{
	struct prng random;

	prng_seed(&random, 5);
	for (unsigned round = 0; round < 200; round++) {
		struct disk *d = disk_new(100000);
		struct inode *i = open_file(d, "/old");
		struct disk_loss loss;
		char got[10];
		size_t size;

		write_text(i, "1", 0);
		inode_sync(i, disk_mark(d));
		inode_release(i);
		must_ok(disk_folder_sync(d, "/", disk_mark(d)));
		i = open_file(d, "/new");
		write_text(i, "2", 0);
		inode_sync(i, disk_mark(d));
		inode_release(i);
		must_ok(disk_rename(d, "/new", "/old"));
		disk_power_loss(d, &random, &loss);
		size = read_path(d, "/old", got, sizeof(got));
		CHECK_EQ(size, 1);
		CHECK(got[0] == '1' || got[0] == '2');
		if (got[0] == '2')
			CHECK(!exists(d, "/new"));
		disk_free(d);
	}
}

TEST(a_failed_sync_that_lost_its_writes_is_not_mended_by_the_next)
{
	struct disk *d = disk_new(100000);
	struct inode *i = open_file(d, "/f");
	struct prng random;
	struct disk_loss loss;
	char got[10] = "";

	prng_seed(&random, 6);
	must_ok(disk_folder_sync(d, "/", disk_mark(d)));
	write_text(i, "lost", 0);
	inode_sync_lost(i, disk_mark(d));
	CHECK_EQ(inode_sync(i, disk_mark(d)), 0);
	CHECK_EQ(inode_read(i, got, 4, 0), 4);
	CHECK_BYTES(bytes_of(got, 4), bytes_str("lost"));
	inode_release(i);
	disk_power_loss(d, &random, &loss);
	CHECK_EQ(read_path(d, "/f", got, 4), 4);
	CHECK_BYTES(bytes_of(got, 4), bytes_of("\0\0\0\0", 4));
	disk_free(d);
}

TEST(a_sync_does_not_cover_a_write_that_came_after_it_began)
{
	struct disk *d = disk_new(100000);
	struct inode *i = open_file(d, "/f");
	uint64_t mark;

	write_text(i, "a", 0);
	mark = disk_mark(d);
	write_text(i, "b", 1);
	CHECK_EQ(inode_sync(i, mark), 1);
	CHECK_EQ(inode_pending(i), 1);
	inode_release(i);
	disk_free(d);
}

TEST(a_full_disk_takes_what_fits_and_recovers_when_something_goes)
{
	struct disk *d = disk_new(10);
	struct inode *i = open_file(d, "/f");
	size_t count = 0;

	CHECK_ERR(inode_write(i, bytes_str("0123456789ab"), 0, 0, &count), ERR_NO_SPACE);
	CHECK_EQ(count, 10);
	CHECK_ERR(inode_write(i, bytes_str("x"), 10, 0, &count), ERR_NO_SPACE);
	CHECK_EQ(count, 0);
	must_ok(inode_write(i, bytes_str("y"), 9, 0, &count));
	must_ok(disk_remove(d, "/f"));
	CHECK_EQ(disk_used(d), 10); /* still held open */
	inode_release(i);
	CHECK_EQ(disk_used(d), 0);
	disk_free(d);
}

TEST(names_give_the_errors_of_a_real_file_system)
{
	struct disk *d = disk_new(1000);
	struct inode *i = open_file(d, "/a");

	inode_release(i);
	must_ok(disk_folder_create(d, "/dir", 0));
	inode_release(open_file(d, "/dir/x"));
	CHECK_ERR(disk_open(d, "/b", FILE_READ, 0, &i), ERR_NOT_FOUND);
	CHECK_ERR(disk_open(d, "/no/b", FILE_READ | FILE_CREATE, 0, &i), ERR_NOT_FOUND);
	CHECK_ERR(disk_open(d, "/a", FILE_CREATE | FILE_EXCLUSIVE, 0, &i), ERR_EXISTS);
	CHECK_ERR(disk_folder_create(d, "/dir", 0), ERR_EXISTS);
	CHECK_ERR(disk_folder_create(d, "/x/y", 0), ERR_NOT_FOUND);
	CHECK_ERR(disk_remove(d, "/dir"), ERR_EXISTS);
	CHECK_ERR(disk_rename(d, "/q", "/r"), ERR_NOT_FOUND);
	must_ok(disk_rename(d, "/dir", "/dir2"));
	CHECK(exists(d, "/dir2/x"));
	must_ok(disk_remove(d, "/dir2/x"));
	must_ok(disk_remove(d, "/dir2"));
	disk_free(d);
}

TEST(a_lock_is_held_by_one)
{
	struct disk *d = disk_new(1000);
	struct inode *i = open_file(d, "/lock");
	int one, two;

	must_ok(inode_lock(i, &one));
	CHECK_ERR(inode_lock(i, &two), ERR_BUSY);
	inode_unlock(i, &one);
	must_ok(inode_lock(i, &two));
	inode_release(i);
	disk_free(d);
}

/* Many files made, written, renamed, removed and lost at random, against nothing but the sanitizers and the space that is counted. */
TEST(a_thousand_random_changes_leave_nothing_behind)
{
	struct disk *d = disk_new(1 << 20);
	struct prng random;

	prng_seed(&random, 7);
	for (unsigned step = 0; step < 20000; step++) {
		char path[20], other[20];
		struct disk_loss loss;
		struct inode *i;
		size_t count;
		enum err e = OK;

		snprintf(path, sizeof(path), "/f%d", (int)prng_below(&random, 20));
		snprintf(other, sizeof(other), "/f%d", (int)prng_below(&random, 20));
		switch (prng_below(&random, 7)) {
		case 0:
		case 1:
			i = open_file(d, path);
			e = inode_write(i, bytes_str("0123456789"), (int64_t)prng_below(&random, 3000), 0, &count);
			inode_release(i);
			break;
		case 2:
			i = open_file(d, path);
			inode_sync(i, disk_mark(d));
			inode_release(i);
			break;
		case 3:
			e = disk_rename(d, path, other);
			break;
		case 4:
			e = disk_remove(d, path);
			break;
		case 5:
			must_ok(disk_folder_sync(d, "/", disk_mark(d)));
			break;
		default:
			if (prng_chance(&random, 1, 50))
				disk_power_loss(d, &random, &loss);
			break;
		}
		CHECK(e == OK || e == ERR_NOT_FOUND);
		CHECK(disk_used(d) >= 0);
	}
	for (unsigned f = 0; f < 20; f++) {
		char path[20];

		snprintf(path, sizeof(path), "/f%u", f);
		if (exists(d, path))
			must_ok(disk_remove(d, path));
	}
	CHECK_EQ(disk_used(d), 0);
	disk_free(d);
}
