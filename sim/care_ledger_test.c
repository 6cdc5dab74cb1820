/* care_ledger_test: what a caretaker must not find, each seen to be found. */
#include "sim/care_ledger.h"

#include <string.h>

#include "base/alloc.h"
#include "base/test.h"

static struct uuid id_of(uint8_t n)
{
	return (struct uuid){.bytes = {n}};
}

static struct care_topic *topic_of(enum care_kind kind)
{
	struct care_topic *t = mem_new(struct care_topic);

	t->kind = kind;
	t->tombstone_us = 100;
	CHECK(care_told_id(t, id_of(1)) == NULL);
	return t;
}

static uint32_t sent(struct care_topic *t, unsigned key, bool tombstone, int64_t offset)
{
	uint32_t serial = care_send(t, key, tombstone, true, 10, 0);

	if (offset >= 0)
		care_acked(t, serial, offset, 20);
	return serial;
}

static bool says(const char *text, const char *wanted)
{
	return text && strstr(text, wanted);
}

TEST(the_last_record_of_a_key_stays_in_a_compacted_log)
{
	struct care_topic *t = topic_of(CARE_COMPACTED);
	uint32_t first = sent(t, 3, false, 0), last = sent(t, 3, false, 1);

	CHECK(care_scan_begin(t, 0, 3, 50, 0) == NULL);
	CHECK(care_scan_record(t, 1, 3, last) == NULL);
	CHECK(care_scan_end(t, 0) == NULL && t->scan.gaps);
	CHECK(care_scan_begin(t, 0, 3, 50, 0) == NULL);
	CHECK(says(care_scan_end(t, 0), "left a compacted log"));
	CHECK(care_scan_begin(t, 0, 3, 50, 0) == NULL);
	CHECK(care_scan_record(t, 0, 3, first) == NULL);
	CHECK(says(care_scan_end(t, 0), "an older record"));
	sent(t, 3, false, -1); /* it may have come since */
	CHECK(care_scan_end(t, 0) == NULL);
	mem_free(t);
}

TEST(a_tombstone_stays_for_its_time)
{
	struct care_topic *t = topic_of(CARE_COMPACTED);

	sent(t, 5, false, 0);
	sent(t, 5, true, 1);
	CHECK(care_scan_begin(t, 0, 2, 50, 0) == NULL);
	CHECK(care_scan_record(t, 1, 5, CARE_NONE) == NULL);
	CHECK(care_scan_end(t, 0) == NULL && t->scan.tombstones_over == 0);
	CHECK(care_scan_begin(t, 0, 2, 109, 0) == NULL);
	CHECK(says(care_scan_end(t, 0), "before its time"));
	CHECK(care_scan_begin(t, 0, 2, 110, 0) == NULL);
	CHECK(care_scan_end(t, 0) == NULL && t->scan.tombstones_over == 1);
	mem_free(t);
}

TEST(records_stand_once_where_they_were_acknowledged_without_gaps)
{
	struct care_topic *t = topic_of(CARE_CACHED);
	uint32_t a = sent(t, 1, false, 0), b = sent(t, 2, false, 1);

	CHECK(says(care_scan_begin(t, 1, 2, 50, 0), "start of a log moved"));
	CHECK(care_scan_begin(t, 0, 2, 50, 0) == NULL);
	CHECK(says(care_scan_record(t, 1, 2, b), "a gap"));
	CHECK(care_scan_begin(t, 0, 2, 50, 0) == NULL);
	CHECK(says(care_scan_record(t, 0, 2, b), "elsewhere"));
	CHECK(care_scan_begin(t, 0, 2, 50, 0) == NULL);
	CHECK(care_scan_record(t, 0, 1, a) == NULL);
	CHECK(says(care_scan_record(t, 1, 1, a), "twice"));
	CHECK(says(care_scan_record(t, 1, 2, b), "go back"));
	CHECK(says(care_scan_record(t, 2, 2, a), "another key"));
	CHECK(says(care_scan_record(t, 3, 2, 99), "nobody sent"));
	mem_free(t);
}

TEST(only_a_lost_cache_may_take_records_of_write_caching)
{
	struct care_topic *t = topic_of(CARE_CACHED);
	uint32_t a = sent(t, 1, false, 0);

	sent(t, 1, false, 1);
	CHECK(care_scan_begin(t, 0, 1, 50, 0) == NULL);
	CHECK(care_scan_record(t, 0, 1, a) == NULL);
	CHECK(says(care_scan_end(t, 0), "nothing but kills"));
	CHECK(care_scan_end(t, 1) == NULL && t->scan.lost == 1);
	mem_free(t);
}

TEST(a_topic_made_again_has_another_id_and_no_record_of_the_old_one)
{
	struct care_topic *t = topic_of(CARE_REPLACED);
	uint32_t old = sent(t, 1, false, 0), unknown = care_send(t, 2, false, false, 30, 0), late, fresh;

	CHECK(says(care_told_id(t, id_of(2)), "nobody deleted it"));
	care_deleting(care_life(t), 25);
	late = care_send(t, 4, false, false, 26, 0);
	care_acked(t, late, 1, 40); /* in which of the two nobody knows */
	CHECK(care_told_id(t, id_of(2)) == NULL && t->life_count == 2);
	CHECK(says(care_told_id(t, id_of(1)), "had its name before"));
	t->lives[0].deleted = true;
	CHECK(says(care_told_id(t, id_of(1)), "is there again"));
	fresh = sent(t, 1, false, -1);
	care_acked(t, fresh, 0, 45);
	CHECK(care_scan_begin(t, 0, 3, 50, 0) == NULL);
	CHECK(care_scan_record(t, 0, 1, fresh) == NULL);
	CHECK(care_scan_record(t, 1, 4, late) == NULL);
	CHECK(care_scan_record(t, 2, 2, unknown) == NULL);
	CHECK(care_scan_end(t, 0) == NULL);
	CHECK(says(care_scan_record(t, 3, 1, old), "another topic's id"));
	t->records[old].by_id = false;
	CHECK(care_scan_begin(t, 0, 3, 50, 0) == NULL);
	CHECK(says(care_scan_record(t, 0, 1, old), "of the old topic"));
	CHECK(says(care_scan_end(t, 0), "not in its topic"));
	mem_free(t);
}
