/* Tests of the log's model: that it takes what a log may do and nothing else. */
#include "sim/log_model.h"

#include "base/test.h"
#include "record/builder.h"

static void append(struct log_model *m, int64_t base, int32_t count, int32_t sequence, const char *value)
{
	struct batch_options options = batch_options_default(1000);
	struct batch_builder b;
	struct bytes bytes;

	options.base_offset = base;
	options.producer_id = 7;
	options.producer_epoch = 0;
	options.base_sequence = sequence;
	batch_builder_init(&b, &options);
	for (int32_t i = 0; i < count; i++)
		must_ok(batch_builder_append(&b, 1, bytes_null(), bytes_str(value), NULL, 0));
	must_ok(batch_builder_finish(&b, &bytes));
	CHECK(!log_model_append(m, bytes));
	batch_builder_fini(&b);
}

static struct log_model three_batches(void)
{
	struct log_model m;

	log_model_init(&m);
	append(&m, 0, 2, 0, "a");
	append(&m, 2, 3, 2, "b");
	append(&m, 5, 1, 5, "c");
	return m;
}

/* After a crash with the second batch safe: where may the log end? */
TEST(a_log_ends_at_a_batch_behind_what_was_safe)
{
	static const struct {
		int64_t end;
		bool well;
	} cases[] = {{0, false}, {2, false}, {4, false}, {5, true}, {6, true}, {7, false}};

	for (size_t i = 0; i < countof(cases); i++) {
		struct log_model m = three_batches();

		CHECK(!log_model_acked(&m, 5, 0));
		CHECK_EQ(log_model_recovered(&m, 0, cases[i].end) == NULL, cases[i].well);
		log_model_fini(&m);
	}
}

TEST(a_read_gives_the_batches_that_were_appended)
{
	struct log_model m = three_batches();
	const struct model_batch *b = log_model_find(&m, 3);
	uint8_t bytes[1000];
	int64_t next;

	memcpy(bytes, b->data, b->size);
	CHECK(!log_model_check_read(&m, 3, 6, bytes_of(bytes, b->size), &next));
	CHECK_EQ(next, 5);
	CHECK(log_model_check_read(&m, 3, 2, bytes_of(bytes, b->size), &next)); /* beyond the bound */
	CHECK(log_model_check_read(&m, 5, 6, bytes_of(bytes, b->size), &next)); /* another batch */
	CHECK(log_model_check_read(&m, 3, 6, bytes_of(bytes, 20), &next));      /* not even one */
	bytes[b->size - 1] ^= 1;
	CHECK(log_model_check_read(&m, 3, 6, bytes_of(bytes, b->size), &next));
	log_model_fini(&m);
}

TEST(what_was_safe_is_never_cut)
{
	struct log_model m = three_batches();

	CHECK(!log_model_acked(&m, 2, 0));
	CHECK(log_model_cut(&m, 0, true));
	CHECK(log_model_cut(&m, 3, true)); /* in the middle of a batch */
	CHECK(!log_model_cut(&m, 2, true));
	CHECK_EQ(m.end, 2);
	log_model_fini(&m);
}

TEST(what_was_cut_may_come_back_with_a_crash_but_nothing_else)
{
	struct log_model m = three_batches();

	CHECK(!log_model_cut(&m, 2, true));
	CHECK(log_model_recovered(&m, 0, 7));
	log_model_fini(&m);
	m = three_batches();
	CHECK(!log_model_cut(&m, 2, true));
	CHECK(!log_model_recovered(&m, 0, 5));
	CHECK_EQ(m.end, 5);
	log_model_fini(&m);
}

TEST(a_producer_goes_on_where_its_last_batch_ends)
{
	struct log_model m = three_batches();

	CHECK_EQ(log_model_next_sequence(&m, 7), 6);
	CHECK_EQ(log_model_next_sequence(&m, 8), 0);
	CHECK_EQ(log_model_last_of(&m, 7, 1)->base_offset, 2);
	CHECK(!log_model_last_of(&m, 7, 3));
	log_model_fini(&m);
}
