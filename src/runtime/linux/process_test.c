/* process_test: what a shard and the process say of themselves, and that a stall is blamed on the fiber that made it. */
#include "runtime/process.h"

#include <string.h>

#include "base/test.h"
#include "runtime/linux/backends.h"

static void process_main(struct fiber *self, void *argument)
{
	struct process_figures f;

	(void)argument;
	EXPECT(process_figures_await(self, &f));
	EXPECT(f.resident_bytes > 100000);
	EXPECT(f.virtual_bytes >= f.resident_bytes);
	EXPECT(f.cpu_us > 0);
	EXPECT(f.threads >= 2); /* shard 0, and the one that looks */
	EXPECT(f.open_files >= 3);
	EXPECT(f.max_files >= f.open_files);
}

TEST(the_figures_of_the_process_are_there)
{
	run_over_both(1, process_main, NULL);
}

static bool is_blamed(struct shard *s, const struct shard_figures *f, const char *what)
{
	for (size_t i = 0; i < f->stall_kinds; i++) {
		struct shard_stall stall;

		shard_stall(s, i, &stall);
		if (strcmp(stall.kind, "fiber") == 0 && strcmp(stall.what, what) == 0)
			return stall.count > 0 && stall.total_us >= 10000;
	}
	return false;
}

static void burn(struct shard *s)
{
	struct shard_figures f;
	int64_t end;

	shard_figures(s, &f);
	for (end = f.cpu_us + 50000; f.cpu_us < end;)
		shard_figures(s, &f);
}

static void stall_main(struct fiber *self, void *argument)
{
	struct shard *s = fiber_shard(self);
	struct shard_figures before, after;

	(void)argument;
	shard_figures(s, &before);
	burn(s);
	fiber_yield_await(self);
	shard_figures(s, &after);
	EXPECT(after.cpu_us >= before.cpu_us + 50000);
	EXPECT(after.stalls > before.stalls);
	EXPECT(after.stalled_us >= before.stalled_us + 40000);
	EXPECT(after.longest_stall_us >= 40000);
	EXPECT(after.fibers >= 1 && after.fibers <= after.fibers_max);
	EXPECT(after.stack_bytes > 0 && after.stack_bytes <= after.stack_bytes_max);
	EXPECT(is_blamed(s, &after, "test"));
}

TEST(a_stall_is_counted_and_blamed_on_who_held_the_shard)
{
	run_over_both(1, stall_main, NULL);
}

static void nothing(struct shard *at, struct message *m)
{
	(void)at;
	(void)m;
}

static void mailbox_main(struct fiber *self, void *argument)
{
	struct shard *s = fiber_shard(self);
	struct message posted[3] = {{.run = nothing}, {.run = nothing}, {.run = nothing}}, sent = {.run = nothing};
	struct shard_figures before, waiting, after;

	(void)argument;
	shard_figures(s, &before);
	for (size_t i = 0; i < countof(posted); i++)
		shard_post(s, &posted[i]);
	shard_send(s, s, &sent);
	shard_figures(s, &waiting);
	EXPECT(waiting.messages_waiting == before.messages_waiting + 4);
	do {
		fiber_yield_await(self);
		shard_figures(s, &after);
	} while (after.messages < before.messages + 4);
	EXPECT(after.messages_waiting == 0);
}

TEST(messages_that_wait_are_counted_wherever_they_wait)
{
	run_over_both(1, mailbox_main, NULL);
}
