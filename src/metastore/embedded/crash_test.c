/*
 * crash_test: the store on the simulator's disk, which loses what was not synced: processes die at any moment, disks fill up, syncs
 * fail. After each death: what was acknowledged is there, what was refused is not, and transactions are whole.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/test.h"
#include "metastore/embedded/embedded.h"
#include "sim/node.h"

#define WORKERS 5
#define MAX_NODES 20000
#define LIVES 8

#define EXPECT(condition) \
	do { \
		if (!(condition)) { \
			fprintf(stderr, "%s:%d: seed %llu: not so: %s\n", __FILE__, __LINE__, \
				(unsigned long long)seen.seed, #condition); \
			abort(); \
		} \
	} while (0)

enum fate { UNTRIED, UNKNOWN, ACKNOWLEDGED, REFUSED };

/* What the clients of the store know; it outlives every process. */
static struct {
	uint64_t seed;
	enum fate fates[MAX_NODES];
	int next;
	int verified; /* lives that found everything as it should be */
	unsigned refused;
	unsigned lost_store; /* lives whose store went offline */
	unsigned unacknowledged_kept;
} seen;

static struct metastore *store; /* of the life that is now */

static bool exists_await(struct fiber *self, const char *folder, int number, bool *ret_right)
{
	char path[32], text[32];
	struct buf b;
	enum err e;

	snprintf(path, sizeof(path), "/%s/%d", folder, number);
	snprintf(text, sizeof(text), "text %d", number);
	buf_init(&b, 100);
	e = metastore_get_await(self, store, path, &b, NULL, NULL);
	EXPECT(e == OK || e == ERR_NOT_FOUND);
	*ret_right = e || bytes_equal_str(buf_bytes(&b), text);
	buf_fini(&b);
	return e == OK;
}

static void verify_await(struct fiber *self)
{
	for (int i = 0; i < seen.next; i++) {
		bool right_a, right_b;
		bool a = exists_await(self, "a", i, &right_a), b = exists_await(self, "b", i, &right_b);

		EXPECT(a == b && right_a && right_b);
		EXPECT(!(seen.fates[i] == ACKNOWLEDGED && !a));
		EXPECT(!(seen.fates[i] == REFUSED && a));
		if (seen.fates[i] == UNKNOWN) {
			/* Whatever it is now, it stays. */
			seen.fates[i] = a ? ACKNOWLEDGED : REFUSED;
			seen.unacknowledged_kept += a;
		}
	}
	seen.verified++;
}

static void worker_main(struct fiber *self, void *argument)
{
	(void)argument;
	while (seen.next < MAX_NODES &&
	       !fiber_sleep_await(self, prng_between(shard_random(fiber_shard(self)), 0, 1000))) {
		int number = seen.next++;
		char a[32], b[32], text[32];
		enum err e;

		snprintf(a, sizeof(a), "/a/%d", number);
		snprintf(b, sizeof(b), "/b/%d", number);
		snprintf(text, sizeof(text), "text %d", number);
		struct metastore_op ops[] = {
			{.kind = METASTORE_CREATE, .path = a, .data = bytes_str(text)},
			{.kind = METASTORE_CREATE, .path = b, .data = bytes_str(text)},
			{.kind = METASTORE_SET, .path = "/a", .version = METASTORE_ANY_VERSION},
		};
		seen.fates[number] = UNKNOWN;
		e = metastore_multi_await(self, store, ops, countof(ops));
		if (!e) {
			seen.fates[number] = ACKNOWLEDGED;
		} else if (e == ERR_NO_SPACE) {
			seen.fates[number] = REFUSED;
			seen.refused++;
			if (fiber_sleep_await(self, 20000))
				return;
		} else {
			EXPECT(e == ERR_IO || e == ERR_OFFLINE);
			seen.lost_store++;
			return;
		}
	}
}

static void life_main(struct fiber *self, void *argument)
{
	static const struct fiber_options options = {.name = "worker"};
	struct embedded_options o = {
		.folder = "/data/" EMBEDDED_FOLDER, .journal_bytes = 1500, .log = shard_log(fiber_shard(self))};
	enum err e = embedded_open_await(self, &o, &store);

	(void)argument;
	/* A disk that is full or whose syncs fail may be met by the start already; damage is never met. */
	EXPECT(e == OK || e == ERR_NO_SPACE || e == ERR_IO);
	if (e)
		return;
	e = metastore_ensure_await(self, store, "/a");
	if (!e)
		e = metastore_ensure_await(self, store, "/b");
	EXPECT(e == OK || e == ERR_NO_SPACE || e == ERR_IO || e == ERR_OFFLINE);
	if (e)
		return;
	verify_await(self);
	for (int i = 0; i < WORKERS; i++)
		EXPECT(fiber_start(fiber_shard(self), &options, worker_main, NULL));
}

static void start_life(struct shard *zero, void *argument)
{
	static const struct fiber_options options = {.name = "life"};

	EXPECT(fiber_start(zero, &options, life_main, argument));
}

/* Some lives have a bad disk from the middle on. */
static void live(struct sim *s, struct node *n, struct prng *random, bool last)
{
	uint64_t steps = prng_below(random, 600);
	int64_t capacity = disk_capacity(n->disk);

	node_start(n, 1, start_life, NULL);
	for (uint64_t i = 0; i < steps; i++)
		scheduler_step(&s->scheduler);
	if (!last && prng_chance(random, 1, 4)) {
		if (prng_chance(random, 1, 2))
			disk_set_capacity(n->disk, disk_used(n->disk) + prng_between(random, 0, 3000));
		else
			n->faults.sync_errors = 100000;
		for (uint64_t i = 0; i < 150; i++)
			scheduler_step(&s->scheduler);
		/* Sometimes there is space again before the end. */
		if (prng_chance(random, 1, 2)) {
			disk_set_capacity(n->disk, capacity);
			for (uint64_t i = 0; i < 150; i++)
				scheduler_step(&s->scheduler);
		}
	}
	if (prng_chance(random, 1, 3))
		node_kill(n);
	else
		node_power_loss(n);
	disk_set_capacity(n->disk, capacity);
	n->faults = (struct disk_faults){0};
}

TEST(acknowledged_transactions_survive_every_death)
{
	unsigned verified = 0, refused = 0, lost = 0, kept = 0, nodes = 0;

	for (uint64_t seed = 0; seed < 100; seed++) {
		struct prng random;
		struct node *n;
		struct sim s;

		memset(&seen, 0, sizeof(seen));
		seen.seed = seed;
		prng_seed(&random, seed);
		sim_init(&s, seed);
		n = node_new(&s, 1, "store");
		for (int i = 0; i < LIVES; i++)
			live(&s, n, &random, i == LIVES - 1);
		/* And a last look with nothing wrong. */
		int before = seen.verified;
		node_start(n, 1, start_life, NULL);
		for (int i = 0; i < 20000 && seen.verified == before; i++)
			scheduler_step(&s.scheduler);
		EXPECT(seen.verified > before);
		verified += (unsigned)seen.verified;
		refused += seen.refused;
		lost += seen.lost_store;
		kept += seen.unacknowledged_kept;
		nodes += (unsigned)seen.next;
		node_free(n);
		sim_fini(&s);
	}
	printf("%u transactions, %u looks, %u refused for space, %u stores offline, %u kept that were not "
	       "acknowledged\n",
	       nodes, verified, refused, lost, kept);
	CHECK(nodes > 5000);
	CHECK(verified > 500);
	CHECK(refused > 0);
	CHECK(lost > 0);
	CHECK(kept > 0);
}
