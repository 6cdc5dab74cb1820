/* Tests of the ledger: that it sees each kind of lie. */
#include "sim/ledger.h"

#include "base/test.h"

static struct ledger_partition three_records(uint64_t *ids, bool idempotent)
{
	struct ledger_partition p;
	uint32_t number;

	ledger_partition_init(&p);
	number = ledger_new_producer(&p, idempotent);
	for (unsigned i = 0; i < 3; i++)
		ids[i] = ledger_next_id(&p, number);
	return p;
}

TEST(what_was_acknowledged_and_is_there_is_well)
{
	uint64_t ids[3];
	struct ledger_partition p = three_records(ids, true);

	for (int64_t i = 0; i < 3; i++)
		CHECK(!ledger_acked(&p, i, ids[i]));
	CHECK(!ledger_read(&p, 1, ids[1]));
	for (int64_t i = 0; i < 3; i++)
		CHECK(!ledger_final_record(&p, i, ids[i]));
	CHECK(!ledger_final_end(&p, 3));
	ledger_partition_fini(&p);
}

TEST(an_acknowledged_record_that_is_gone_shows)
{
	uint64_t ids[3];
	struct ledger_partition p = three_records(ids, true);

	CHECK(!ledger_acked(&p, 2, ids[2]));
	CHECK(!ledger_final_record(&p, 0, ids[0]));
	CHECK(!ledger_final_record(&p, 1, ids[1]));
	CHECK(ledger_final_end(&p, 2));
	ledger_partition_fini(&p);
}

TEST(a_record_that_was_read_and_is_another_now_shows)
{
	uint64_t ids[3];
	struct ledger_partition p = three_records(ids, true);

	CHECK(!ledger_read(&p, 0, ids[0]));
	CHECK(ledger_final_record(&p, 0, ids[1]));
	ledger_partition_fini(&p);
}

TEST(two_records_acknowledged_at_one_offset_show_at_once)
{
	uint64_t ids[3];
	struct ledger_partition p = three_records(ids, true);

	CHECK(!ledger_acked(&p, 0, ids[0]));
	CHECK(ledger_acked(&p, 0, ids[1]));
	ledger_partition_fini(&p);
}

TEST(a_duplicate_shows_unless_the_producer_is_not_idempotent)
{
	for (unsigned idempotent = 0; idempotent < 2; idempotent++) {
		uint64_t ids[3];
		struct ledger_partition p = three_records(ids, idempotent);

		CHECK(!ledger_final_record(&p, 0, ids[0]));
		CHECK_EQ(ledger_final_record(&p, 1, ids[0]) != NULL, idempotent);
		ledger_partition_fini(&p);
	}
}

TEST(disorder_shows)
{
	uint64_t ids[3];
	struct ledger_partition p = three_records(ids, true);

	CHECK(!ledger_final_record(&p, 0, ids[1]));
	CHECK(ledger_final_record(&p, 1, ids[0]));
	ledger_partition_fini(&p);
}

TEST(a_gap_and_a_record_of_nobody_show)
{
	uint64_t ids[3];
	struct ledger_partition p = three_records(ids, true);

	CHECK(ledger_final_record(&p, 1, ids[0]));
	CHECK(ledger_read(&p, 5, ids[2] + 1));
	CHECK(ledger_read(&p, 5, (uint64_t)7 << 32));
	ledger_partition_fini(&p);
}

TEST(a_high_watermark_that_goes_back_shows)
{
	struct ledger_partition p;

	ledger_partition_init(&p);
	CHECK(!ledger_high_watermark(&p, 10, 0));
	CHECK(!ledger_high_watermark(&p, 8, 5)); /* an answer that was on its way */
	CHECK(ledger_high_watermark(&p, 8, 10));
	CHECK(ledger_final_end(&p, 0));
	ledger_partition_fini(&p);
}

TEST(a_record_of_acks_1_has_to_survive_kills_and_no_more)
{
	uint64_t ids[3];
	struct ledger_partition p = three_records(ids, false);

	CHECK(!ledger_cached(&p, 0, ids[0]));
	CHECK(!ledger_cached(&p, 1, ids[1]));
	CHECK(ledger_cached(&p, 1, ids[2])); /* two at one offset */
	CHECK(!ledger_final_record(&p, 0, ids[0]));
	CHECK(ledger_final_record(&p, 1, ids[2])); /* replaced */
	CHECK(ledger_final_end(&p, 1));            /* cut */
	CHECK(ledger_acked(&p, 1, ids[2]));
	ledger_partition_fini(&p);

	p = three_records(ids, false);
	CHECK(!ledger_cached(&p, 1, ids[1]));
	ledger_cache_lost(&p);
	CHECK(!ledger_acked(&p, 1, ids[2]));
	CHECK(!ledger_final_record(&p, 0, ids[0]));
	CHECK(!ledger_final_record(&p, 1, ids[2]));
	CHECK(!ledger_final_end(&p, 2));
	ledger_partition_fini(&p);
}

TEST(a_start_may_move_on_and_never_back)
{
	uint64_t ids[3];
	struct ledger_partition p = three_records(ids, true);

	CHECK(!ledger_start(&p, 0, 0));
	CHECK(!ledger_start(&p, 2, 0));
	CHECK(ledger_start(&p, 1, 2));
	CHECK(!ledger_start(&p, 1, 0)); /* an answer that was asked for before */
	CHECK_EQ(p.start, 2);
	ledger_stamp(&p, 0, 500);
	ledger_stamp(&p, 2, 900);
	CHECK_EQ(ledger_youngest_gone(&p, 0, 2), 500);
	CHECK_EQ(ledger_youngest_gone(&p, 0, 3), 900);
	CHECK_EQ(ledger_youngest_gone(&p, 1, 2), 0);
	CHECK(!ledger_acked(&p, 2, ids[2]));
	CHECK(!ledger_final_start(&p, 2));
	CHECK(!ledger_final_record(&p, 2, ids[2]));
	CHECK(!ledger_final_end(&p, 3));
	p.final_next = 0;
	CHECK(ledger_final_start(&p, 1)); /* it went back */
	p.moved_to = 3;
	CHECK(ledger_final_start(&p, 2)); /* somebody was told 3 */
	ledger_partition_fini(&p);
}
