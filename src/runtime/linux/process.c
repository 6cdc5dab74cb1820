/* process: figures of the process and of a shard's thread. Calls clocks and reads /proc; see runtime/process.h. */
#include "runtime/process.h"

#include <dirent.h>
#include <stdio.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "runtime/linux/system.h"

static int64_t clock_us(clockid_t clock)
{
	struct timespec t;

	if (clock_gettime(clock, &t))
		return -1;
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

int64_t linux_thread_cpu_us(struct shard *s)
{
	(void)s;
	return clock_us(CLOCK_THREAD_CPUTIME_ID);
}

static int64_t count_entries(const char *path)
{
	DIR *d = opendir(path);
	const struct dirent *entry;
	int64_t count = 0;

	if (!d)
		return -1;
	while ((entry = readdir(d)) != NULL)
		count += entry->d_name[0] != '.';
	closedir(d);
	return count;
}

static void read_memory(struct process_figures *f)
{
	FILE *file = fopen("/proc/self/statm", "re");
	long long pages = 0, resident = 0;

	if (!file)
		return;
	if (fscanf(file, "%lld %lld", &pages, &resident) == 2) {
		f->virtual_bytes = pages * sysconf(_SC_PAGESIZE);
		f->resident_bytes = resident * sysconf(_SC_PAGESIZE);
	}
	fclose(file);
}

void linux_process(struct process_figures *ret_figures)
{
	struct rlimit limit;

	read_memory(ret_figures);
	ret_figures->cpu_us = clock_us(CLOCK_PROCESS_CPUTIME_ID);
	ret_figures->threads = count_entries("/proc/self/task");
	/* Less the one that looks. */
	ret_figures->open_files = count_entries("/proc/self/fd") - 1;
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY)
		ret_figures->max_files = (int64_t)limit.rlim_cur;
}
