/*
 * commit_bench: how long a commit takes that puts 1 KB into each of N partition files, by way. The figures of
 * docs/decisions/0001-how-a-commit-reaches-the-disk.md come from here. A program of its own; uses the system directly.
 *
 *      gcc -O2 -Wall -o /tmp/commit_bench tools/commit_bench.c -luring -lpthread && /tmp/commit_bench FOLDER [ROUNDS]
 *
 * Each way gets fresh files. A commit is: N buffered writes, then what makes them durable. "journal" ways write the same bytes a
 * second time, in one piece, and sync the segment files only when the journal is full (that cost is part of their mean).
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <liburing.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define RECORD 1024
#define MAX_FILES 1000
#define JOURNAL_BYTES (16 << 20)
#define THREADS 32

enum way { SERIAL, URING, POOL, SYNCFS, JOURNAL_GROWING, JOURNAL_IN_PLACE, JOURNAL_DIRECT, DIRECT, WAYS };

static const char *const way_names[] = {
	"serial fdatasync",
	"io_uring fdatasync",
	"32 threads fdatasync",
	"syncfs",
	"journal that grows",
	"journal, pre-written",
	"journal, pre-written, direct",
	"direct 4 KiB + io_uring fdatasync",
};

static int files[MAX_FILES];
static int folder;
static struct io_uring ring;
static char *page;

static void check(bool ok, const char *what)
{
	if (!ok) {
		perror(what);
		exit(1);
	}
}

static double now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static double cpu_us(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1e6 +
	       (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

static void sync_uring(int n)
{
	for (int at = 0; at < n;) {
		int batch = n - at < 256 ? n - at : 256;

		for (int i = 0; i < batch; i++) {
			struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);

			io_uring_prep_fsync(sqe, files[at + i], IORING_FSYNC_DATASYNC);
		}
		check(io_uring_submit_and_wait(&ring, (unsigned)batch) >= 0, "io_uring");
		for (int i = 0; i < batch; i++) {
			struct io_uring_cqe *cqe;

			check(io_uring_wait_cqe(&ring, &cqe) == 0 && cqe->res == 0, "cqe");
			io_uring_cqe_seen(&ring, cqe);
		}
		at += batch;
	}
}

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t work = PTHREAD_COND_INITIALIZER, finished = PTHREAD_COND_INITIALIZER;
static int next_file, file_end, left;

static void *pool_main(void *unused)
{
	(void)unused;
	pthread_mutex_lock(&lock);
	for (;;) {
		while (next_file >= file_end)
			pthread_cond_wait(&work, &lock);
		int fd = files[next_file++];

		pthread_mutex_unlock(&lock);
		check(fdatasync(fd) == 0, "fdatasync");
		pthread_mutex_lock(&lock);
		if (--left == 0)
			pthread_cond_signal(&finished);
	}
	return NULL;
}

static void sync_pool(int n)
{
	pthread_mutex_lock(&lock);
	next_file = 0;
	file_end = left = n;
	pthread_cond_broadcast(&work);
	while (left)
		pthread_cond_wait(&finished, &lock);
	file_end = 0;
	pthread_mutex_unlock(&lock);
}

static void open_files(int n, bool direct)
{
	char name[32];

	for (int i = 0; i < n; i++) {
		snprintf(name, sizeof(name), "p-%d", i);
		unlinkat(folder, name, 0);
		files[i] = openat(folder, name, O_CREAT | O_RDWR | (direct ? O_DIRECT : 0), 0644);
		check(files[i] >= 0, name);
	}
	fsync(folder);
}

static int open_journal(bool written, bool direct)
{
	unlinkat(folder, "journal", 0);
	int fd = openat(folder, "journal", O_CREAT | O_RDWR | (direct ? O_DIRECT : 0), 0644);

	check(fd >= 0, "journal");
	if (written)
		for (int at = 0; at < JOURNAL_BYTES; at += 1 << 20)
			check(pwrite(fd, page, 1 << 20, at) == 1 << 20, "pre-write");
	check(fsync(fd) == 0, "fsync");
	return fd;
}

static bool is_journal(enum way w)
{
	return w == JOURNAL_GROWING || w == JOURNAL_IN_PLACE || w == JOURNAL_DIRECT;
}

static int journal_commit(int journal, int n, off_t *at, bool direct, int *rotations, bool growing)
{
	size_t size = (size_t)n * (RECORD + 64);

	if (direct)
		size = (size + 4095) / 4096 * 4096;
	if (*at + (off_t)size > JOURNAL_BYTES) {
		sync_uring(n);
		(*rotations)++;
		*at = 0;
		if (growing)
			check(ftruncate(journal, 0) == 0, "ftruncate");
	}
	check(pwrite(journal, page, size, *at) == (ssize_t)size, "journal write");
	*at += (off_t)size;
	return fdatasync(journal);
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static void measure(enum way w, int n, int rounds)
{
	static double took[100000];
	bool direct = w == DIRECT;
	int journal = is_journal(w) ? open_journal(w != JOURNAL_GROWING, w == JOURNAL_DIRECT) : -1;
	off_t journal_at = 0;
	int rotations = 0;

	open_files(n, direct);
	double start = now_us(), cpu = cpu_us(), write_us = 0;
	for (int r = 0; r < rounds; r++) {
		double t = now_us();

		for (int i = 0; i < n; i++) {
			size_t size = direct ? 4096 : RECORD;
			ssize_t got = pwrite(files[i], page, size, (off_t)r * (off_t)size);

			check(got == (ssize_t)size, "write");
		}
		write_us += now_us() - t;
		switch (w) {
		case SERIAL:
			for (int i = 0; i < n; i++)
				check(fdatasync(files[i]) == 0, "fdatasync");
			break;
		case POOL:
			sync_pool(n);
			break;
		case SYNCFS:
			check(syncfs(folder) == 0, "syncfs");
			break;
		case URING:
		case DIRECT:
			sync_uring(n);
			break;
		default:
			check(journal_commit(journal, n, &journal_at, w == JOURNAL_DIRECT, &rotations,
					     w == JOURNAL_GROWING) == 0,
			      "journal");
		}
		took[r] = now_us() - t;
	}
	double mean = (now_us() - start) / rounds;

	cpu = (cpu_us() - cpu) / rounds;
	qsort(took, (size_t)rounds, sizeof(took[0]), by_value);
	printf("%5d  %-34s p50 %8.0f  p99 %8.0f  mean %8.0f  (writes %6.0f)  cpu %7.0f  rotations %d\n", n,
	       way_names[w], took[rounds / 2], took[rounds * 99 / 100], mean, write_us / rounds, cpu, rotations);
	fflush(stdout);
	for (int i = 0; i < n; i++)
		close(files[i]);
	if (journal >= 0)
		close(journal);
	sync();
}

int main(int argc, char **argv)
{
	static const int counts[] = {1, 2, 4, 6, 16, 100, 1000};
	int budget = argc > 2 ? atoi(argv[2]) : 3000;

	if (argc < 2) {
		fprintf(stderr, "usage: commit_bench FOLDER [FILE_COMMITS_PER_WAY]\n");
		return 2;
	}
	mkdir(argv[1], 0755);
	folder = open(argv[1], O_RDONLY | O_DIRECTORY);
	check(folder >= 0, argv[1]);
	check(posix_memalign((void **)&page, 4096, 4 << 20) == 0, "memory");
	memset(page, 'x', 4 << 20);
	check(io_uring_queue_init(256, &ring, 0) == 0, "io_uring");
	for (int i = 0; i < THREADS; i++) {
		pthread_t t;

		check(pthread_create(&t, NULL, pool_main, NULL) == 0, "thread");
	}
	for (size_t c = 0; c < sizeof(counts) / sizeof(counts[0]); c++) {
		int rounds = budget / counts[c];

		rounds = rounds < 40 ? 40 : rounds > 1000 ? 1000 : rounds;
		for (int w = 0; w < WAYS; w++)
			measure((enum way)w, counts[c], rounds);
	}
	return 0;
}
