/* Tests of whole histories: that equal seeds give equal ones, and that each rare path of the code may be taken at any time. */
#include "sim/history.h"

#include <stdio.h>

#include "base/test.h"

static struct history run(struct history h)
{
	history_run(&h);
	if (h.failed)
		fprintf(stderr, "%s, seed %llu, %s: %s\n", world_name(h.world), (unsigned long long)h.seed,
			h.one_rare_path ? fault_text(h.rare_path) : "any rare path", h.failure);
	return h;
}

TEST(equal_seeds_give_equal_histories)
{
	for (unsigned w = 0; w < WORLD_COUNT; w++) {
		struct history a = run((struct history){.world = (enum world_kind)w, .seed = 7});
		struct history b = run((struct history){.world = (enum world_kind)w, .seed = 7});
		struct history c = run((struct history){.world = (enum world_kind)w, .seed = 8});

		CHECK(!a.failed && !b.failed && !c.failed);
		CHECK(a.hash == b.hash && a.events == b.events && a.acked == b.acked);
		CHECK(a.hash != c.hash);
	}
}

TEST(a_history_is_as_long_as_is_demanded)
{
	for (unsigned w = 0; w < WORLD_COUNT; w++) {
		struct history h = run((struct history){.world = (enum world_kind)w, .seed = 9});

		CHECK(!h.failed);
		CHECK(h.duration_us >= 30000000 && h.clients >= 3 && h.acked >= 300 && h.faults >= 5);
	}
}

/* What is behind a switch of base/fault.h is right, so it may be taken every other time. */
TEST(each_rare_path_can_be_taken_every_other_time)
{
	for (unsigned f = 0; f < FAULT_COUNT; f++) {
		uint64_t struck = 0;

		for (unsigned w = 0; w < WORLD_COUNT; w++) {
			struct history h = run((struct history){.world = (enum world_kind)w,
								.seed = 13, /* four shards in the broker */
								.one_rare_path = true,
								.rare_path = (enum fault)f});

			CHECK(!h.failed);
			struck += h.rare[f];
		}
		if (!struck)
			fprintf(stderr, "never: %s\n", fault_text((enum fault)f));
		CHECK(struck > 0);
	}
}
