/* scrub_check_test: a row of batches with something wrong in it: what is said of which. */
#include "storage/scrub_check.h"

#include "base/test.h"

#define SIZE 100

struct row_batch {
	int64_t base;
	int32_t delta;
	int32_t epoch;
	bool bad_crc;
};

static struct batch_header header_of(const struct row_batch *b)
{
	return (struct batch_header){
		.base_offset = b->base,
		.length = SIZE - BATCH_LOG_OVERHEAD,
		.magic = BATCH_MAGIC,
		.leader_epoch = b->epoch,
		.last_offset_delta = b->delta,
		.max_timestamp = b->base < 1000 ? 1000 + b->base : NO_TIMESTAMP,
		.record_count = b->delta + 1,
	};
}

/* Epoch 0 from 100, 3 from 130; the segment holds 100 to 149. */
static struct epoch_entry epochs_of[] = {{0, 100}, {3, 130}};
static const struct epoch_cache epochs = {.entries = epochs_of, .count = 2};

static struct scrub_check checker(void)
{
	return (struct scrub_check){
		.base = 100, .limit = 150, .epochs = &epochs, .expected = 100, .max_timestamp = NO_TIMESTAMP};
}

TEST(each_batch_is_held_against_its_neighbours_and_its_epoch)
{
	static const struct {
		const char *what;
		struct row_batch batches[4];
		enum scrub_verdict wanted[4];
	} cases[] = {
		{"all is well",
		 {{100, 9, 0, false}, {110, 19, 0, false}, {130, 9, 3, false}, {140, 9, 3, false}},
		 {0, 0, 0, 0}},
		{"gaps are well",
		 {{100, 3, 0, false}, {115, 4, 0, false}, {130, 0, 3, false}, {149, 0, 3, false}},
		 {0, 0, 0, 0}},
		{"a wrong CRC",
		 {{100, 9, 0, false}, {110, 9, 0, true}, {120, 9, 0, false}, {130, 19, 3, false}},
		 {0, SCRUB_CRC, 0, 0}},
		{"an offset that is too low",
		 {{100, 9, 0, false}, {102, 9, 0, false}, {120, 9, 0, false}, {130, 9, 3, false}},
		 {0, SCRUB_OVERLAP, 0, 0}},
		{"below the segment",
		 {{100, 9, 0, false}, {14, 9, 0, false}, {120, 9, 0, false}, {130, 9, 3, false}},
		 {0, SCRUB_PLACE, 0, 0}},
		{"too high, and over the next",
		 {{100, 9, 0, false}, {114, 9, 0, false}, {120, 9, 0, false}, {130, 9, 3, false}},
		 {0, 0, SCRUB_PREVIOUS, 0}},
		{"behind the segment",
		 {{100, 9, 0, false}, {110, 19, 0, false}, {130, 9, 3, false}, {142, 9, 3, false}},
		 {0, 0, 0, SCRUB_PLACE}},
		{"far behind",
		 {{100, 9, 0, false}, {INT64_MAX - 2, 19, 0, false}, {130, 9, 3, false}, {140, 9, 3, false}},
		 {0, SCRUB_PLACE, 0, 0}},
		{"another epoch",
		 {{100, 9, 0, false}, {110, 9, 1, false}, {120, 9, 0, false}, {130, 9, 3, false}},
		 {0, SCRUB_EPOCH, 0, 0}},
		{"an epoch too early",
		 {{100, 9, 0, false}, {110, 9, 3, false}, {120, 9, 0, false}, {130, 9, 3, false}},
		 {0, SCRUB_EPOCH, 0, 0}},
		{"no epoch",
		 {{100, 9, 0, false}, {110, 9, -1, false}, {120, 9, 0, false}, {130, 9, 3, false}},
		 {0, 0, 0, 0}},
		{"a negative delta",
		 {{100, 9, 0, false}, {110, -5, 0, false}, {120, 9, 0, false}, {130, 9, 3, false}},
		 {0, SCRUB_PLACE, 0, 0}},
	};

	for (size_t i = 0; i < countof(cases); i++) {
		struct scrub_check c = checker();

		for (size_t k = 0; k < 4; k++) {
			struct batch_header h = header_of(&cases[i].batches[k]);
			enum scrub_verdict v = scrub_batch(&c, &h, !cases[i].batches[k].bad_crc, (int64_t)k * SIZE);

			if (v != cases[i].wanted[k])
				fail_msg("%s, batch %zu: %s", cases[i].what, k, scrub_words(v));
			if (v != SCRUB_GOOD && v != SCRUB_PREVIOUS)
				scrub_skip(&c, (int64_t)k * SIZE, (int64_t)(k + 1) * SIZE,
					   k < 3 ? cases[i].batches[k + 1].base : 150);
		}
	}
}

TEST(indexes_are_held_against_the_batches)
{
	static const struct row_batch row[] = {
		{100, 9, 0, false}, {110, 9, 0, false}, {120, 9, 0, false}, {130, 19, 3, false}};
	static const struct {
		const char *what;
		struct offset_entry offsets[2];
		struct time_entry times[2];
		bool offsets_wrong, times_wrong, times_short;
		size_t no_offsets;
	} cases[] = {
		{"well", {{19, 100}, {49, 300}}, {{1110, 19}, {1130, 49}}, false, false, false, 0},
		{"an offset that is none", {{18, 100}, {49, 300}}, {{1110, 19}, {1130, 49}}, true, false, false, 0},
		{"a place within a batch", {{19, 101}, {49, 300}}, {{1110, 19}, {1130, 49}}, true, false, false, 0},
		{"a place behind all", {{19, 100}, {49, 400}}, {{1110, 19}, {1130, 49}}, true, false, false, 0},
		{"another time", {{19, 100}, {49, 300}}, {{1111, 19}, {1130, 49}}, false, true, false, 0},
		{"a time of nothing", {{19, 100}, {49, 300}}, {{1110, 19}, {1130, 60}}, false, true, false, 0},
		{"not the largest at the end", {{19, 100}, {49, 300}}, {{1100, 9}, {1110, 19}}, false, false, true, 0},
		{"another time, that nobody looks up", {{0}}, {{0, 0}, {1130, 49}}, false, false, true, 2},
	};

	for (size_t i = 0; i < countof(cases); i++) {
		struct offset_index x = {.entries = (struct offset_entry *)(uintptr_t)cases[i].offsets,
					 .count = 2 - cases[i].no_offsets};
		struct time_index t = {.entries = (struct time_entry *)(uintptr_t)cases[i].times, .count = 2};
		struct scrub_check c = checker();

		c.offsets = &x;
		c.times = &t;
		for (size_t k = 0; k < countof(row); k++) {
			struct batch_header h = header_of(&row[k]);

			CHECK_EQ(scrub_batch(&c, &h, true, (int64_t)k * SIZE), SCRUB_GOOD);
		}
		scrub_end(&c, true);
		if (c.offsets_wrong != cases[i].offsets_wrong || c.times_wrong != cases[i].times_wrong ||
		    c.times_short != cases[i].times_short)
			fail_msg("%s", cases[i].what);
	}
}

TEST(an_offset_that_moved_into_a_gap_is_found_by_the_index)
{
	struct offset_entry entries[] = {{19, 100}};
	struct offset_index x = {.entries = entries, .count = 1};
	struct row_batch first = {100, 9, 0, false}, moved = {114, 9, 0, false};
	struct batch_header h = header_of(&first);
	struct scrub_check c = checker();

	c.offsets = &x;
	CHECK_EQ(scrub_batch(&c, &h, true, 0), SCRUB_GOOD);
	h = header_of(&moved);
	CHECK_EQ(scrub_batch(&c, &h, true, 100), SCRUB_INDEX);
}
