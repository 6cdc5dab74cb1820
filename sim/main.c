/*
 * moldau-sim: the simulator's program. One history as a trace, or a campaign of many in several processes.
 *
 * Histories run in child processes, so that one that crashes (an assertion of the code under test, a sanitizer) is one failed seed of many.
 */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "sim/campaign.h"

#define JOBS_MAX 64

struct options {
	bool worlds[WORLD_COUNT];
	bool all_worlds;
	uint64_t first;
	uint64_t last;
	bool many;
	unsigned jobs;
	bool check_determinism;
	bool demand_hits;
	bool stop_at_failure;
	bool quiet;
};

/* What a child tells its parent: that it begins with a seed, then what came of it. */
struct report {
	bool begins;
	struct history history;
};

struct job {
	pid_t pid;
	int from;
	uint64_t next; /* seed */
	struct report last;
	bool busy; /* `last` began and has not ended */
};

static void print_line(const char *text)
{
	puts(text);
}

static void print_trace(struct trace *t, const char *line)
{
	(void)t;
	puts(line);
}

static void usage(FILE *to)
{
	fputs("moldau-sim SEED                        one history as a trace, and its hash\n"
	      "moldau-sim --seeds A..B [--jobs N]     many histories, and what struck how often\n"
	      "  --world log|broker|group|txn|all     storage alone, a broker with clients, with groups of them, with "
	      "transactions (default: all)\n"
	      "  --check-determinism                  runs each seed twice and compares\n"
	      "  --demand-hits                        fails when a kind of fault never struck\n"
	      "  --stop                               ends with the first failure\n"
	      "  --quiet                              prints failures and the last line only\n",
	      to);
}

static bool parse_seeds(const char *text, struct options *o)
{
	char *end;

	errno = 0;
	o->first = strtoull(text, &end, 10);
	o->last = o->first;
	if (end == text || errno)
		return false;
	if (!strncmp(end, "..", 2)) {
		const char *second = end + 2;

		o->last = strtoull(second, &end, 10);
		if (end == second || errno)
			return false;
	}
	return !*end && o->first <= o->last;
}

static bool parse_world(const char *text, struct options *o)
{
	bool all = !strcmp(text, "all"), found = all;

	o->all_worlds = all;
	for (unsigned i = 0; i < WORLD_COUNT; i++) {
		o->worlds[i] = all || !strcmp(text, world_name((enum world_kind)i));
		found = found || o->worlds[i];
	}
	return found;
}

static bool parse(int argc, char **argv, struct options *o)
{
	for (int i = 1; i < argc; i++) {
		const char *a = argv[i], *value = i + 1 < argc ? argv[i + 1] : NULL;

		if (!strcmp(a, "--seeds") && value && parse_seeds(value, o)) {
			o->many = true;
			i++;
		} else if (!strcmp(a, "--jobs") && value && atoi(value) > 0 && atoi(value) <= JOBS_MAX) {
			o->jobs = (unsigned)atoi(value);
			i++;
		} else if (!strcmp(a, "--world") && value && parse_world(value, o)) {
			i++;
		} else if (!strcmp(a, "--check-determinism")) {
			o->check_determinism = true;
		} else if (!strcmp(a, "--demand-hits")) {
			o->demand_hits = true;
		} else if (!strcmp(a, "--stop")) {
			o->stop_at_failure = true;
		} else if (!strcmp(a, "--quiet")) {
			o->quiet = true;
		} else if (a[0] != '-' && parse_seeds(a, o)) {
			o->many = o->many || o->first != o->last;
		} else {
			return false;
		}
	}
	return o->last != UINT64_MAX;
}

/* --- one history ------------------------------------------------------------------------------------------------------- */

static int run_one(const struct options *o)
{
	struct history h = {.seed = o->first, .write = print_trace};
	enum world_kind w = WORLD_COUNT;

	while (w > 0 && !o->worlds[--w])
		;
	h.world = w;
	history_run(&h);
	printf("world %s, seed %" PRIu64 ": %.1f simulated seconds, %u clients, %" PRIu64 " events, %" PRIu64
	       " records acknowledged, %" PRIu64 " read, %" PRIu64 " faults; hash %016" PRIx64 "\n",
	       world_name(w), h.seed, (double)h.duration_us / 1e6, h.clients, h.events, h.acked, h.read, h.faults,
	       h.hash);
	if (h.failed)
		printf("FAILED: %s\n", h.failure);
	return h.failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* --- many ----------------------------------------------------------------------------------------------------------------- */

static void send_report(int to, const struct report *r)
{
	const char *at = (const char *)r;
	size_t left = sizeof(*r);

	while (left) {
		ssize_t n = write(to, at, left);

		if (n <= 0)
			_exit(3); /* the parent is gone */
		at += n;
		left -= (size_t)n;
	}
}

static void run_seed(int to, const struct options *o, enum world_kind world, uint64_t seed)
{
	struct report r = {.begins = true, .history = {.world = world, .seed = seed}};
	uint64_t hash;

	send_report(to, &r);
	r.begins = false;
	history_run(&r.history);
	if (o->check_determinism && !r.history.failed) {
		hash = r.history.hash;
		history_run(&r.history);
		if (r.history.hash != hash && !r.history.failed) {
			r.history.failed = true;
			snprintf(r.history.failure, sizeof(r.history.failure), "the same seed gave another history");
		}
	}
	send_report(to, &r);
}

/* A child: every jobs-th seed from `first` on. */
static void child_main(int to, const struct options *o, uint64_t first)
{
	for (uint64_t seed = first; seed <= o->last; seed += o->jobs)
		for (unsigned w = 0; w < WORLD_COUNT; w++)
			if (o->worlds[w] && (!o->all_worlds || world_takes_seed((enum world_kind)w, seed)))
				run_seed(to, o, (enum world_kind)w, seed);
	exit(EXIT_SUCCESS); /* the leak checker has its word here */
}

static void start_job(struct job *j, const struct options *o)
{
	int ends[2];

	if (pipe(ends)) {
		perror("moldau-sim: pipe");
		exit(EXIT_FAILURE);
	}
	fflush(stdout);
	j->pid = fork();
	if (j->pid < 0) {
		perror("moldau-sim: fork");
		exit(EXIT_FAILURE);
	}
	if (j->pid == 0) {
		close(ends[0]);
		child_main(ends[1], o, j->next);
	}
	close(ends[1]);
	j->from = ends[0];
	j->busy = false;
}

/* False at the end of the child's reports. */
static bool receive_report(struct job *j)
{
	char *at = (char *)&j->last;
	struct report before = j->last;
	size_t left = sizeof(j->last);

	while (left) {
		ssize_t n = read(j->from, at, left);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			j->last = before;
			return false;
		}
		at += n;
		left -= (size_t)n;
	}
	return true;
}

static void job_ended(struct job *j, const struct options *o, struct campaign *c)
{
	char text[200];
	int status = 0;

	close(j->from);
	j->from = -1;
	waitpid(j->pid, &status, 0);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return;
	snprintf(text, sizeof(text), "%s: %s %d",
		 j->busy ? "crashed" : "the process ended badly after its last seed (a leak?)",
		 WIFSIGNALED(status) ? "signal" : "exit code",
		 WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
	campaign_fail(c, j->last.history.world, j->last.history.seed, text);
	if (!j->busy || o->stop_at_failure)
		return;
	/* The rest of its seeds; a crash in one world skips the others of that seed. */
	j->next = j->last.history.seed + o->jobs;
	if (j->next <= o->last)
		start_job(j, o);
}

static void job_reported(struct job *j, const struct options *o, struct campaign *c)
{
	if (!receive_report(j)) {
		job_ended(j, o, c);
		return;
	}
	j->busy = j->last.begins;
	if (j->busy)
		return;
	campaign_add(c, &j->last.history);
	if (j->last.history.failed && !o->quiet)
		printf("FAILED  %s %" PRIu64 "  %s\n", world_name(j->last.history.world), j->last.history.seed,
		       j->last.history.failure);
}

static void run_jobs(const struct options *o, struct campaign *c)
{
	struct job jobs[JOBS_MAX] = {0};

	for (unsigned i = 0; i < o->jobs; i++) {
		jobs[i].from = -1;
		jobs[i].next = o->first + i;
		if (jobs[i].next <= o->last)
			start_job(&jobs[i], o);
	}
	for (;;) {
		struct pollfd polls[JOBS_MAX];
		unsigned open = 0;

		for (unsigned i = 0; i < o->jobs; i++) {
			polls[i] = (struct pollfd){.fd = jobs[i].from, .events = POLLIN};
			open += jobs[i].from >= 0;
		}
		if (!open)
			return;
		if (poll(polls, o->jobs, -1) < 0 && errno != EINTR)
			return;
		for (unsigned i = 0; i < o->jobs; i++)
			if (polls[i].fd >= 0 && polls[i].revents)
				job_reported(&jobs[i], o, c);
		if (o->stop_at_failure && c->failure_count)
			break;
	}
	for (unsigned i = 0; i < o->jobs; i++)
		if (jobs[i].from >= 0) {
			kill(jobs[i].pid, SIGKILL);
			waitpid(jobs[i].pid, NULL, 0);
		}
}

static double seconds_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int run_many(const struct options *o)
{
	struct campaign *c = mem_new(struct campaign);
	double begun = seconds_now(), took;
	uint64_t histories = 0;
	bool well;

	run_jobs(o, c);
	took = seconds_now() - begun;
	well = campaign_print(c, o->demand_hits, print_line);
	for (unsigned w = 0; w < WORLD_COUNT; w++)
		histories += c->histories[w];
	printf("%s: seeds %" PRIu64 "..%" PRIu64 ", %" PRIu64 " histories, %" PRIu64
	       " failed, in %.1f s (%.1f a second)%s\n",
	       well ? "ok" : "FAILED", o->first, o->last, histories, c->failure_count, took, (double)histories / took,
	       o->check_determinism ? ", each twice with equal hashes" : "");
	mem_free(c);
	return well ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int argc, char **argv)
{
	struct options o = {.first = UINT64_MAX, .last = UINT64_MAX};

	for (unsigned i = 0; i < WORLD_COUNT; i++)
		o.worlds[i] = true;
	o.all_worlds = true;
	o.jobs = (unsigned)sysconf(_SC_NPROCESSORS_ONLN);
	if (o.jobs < 1 || o.jobs > JOBS_MAX)
		o.jobs = 2;
	if (!parse(argc, argv, &o)) {
		usage(argc > 1 ? stderr : stdout);
		return argc > 1 ? 2 : EXIT_SUCCESS;
	}
	return o.many || o.check_determinism ? run_many(&o) : run_one(&o);
}
