#include "storage/clean_txns.h"

#include "base/test.h"

static struct batch_header batch(int64_t id, int64_t base_offset, int16_t attributes)
{
	return (struct batch_header){.base_offset = base_offset, .producer_id = id, .attributes = attributes};
}

/* One batch of the walk: data of a producer, or its marker. */
struct walked {
	int64_t id;
	int64_t offset;
	bool marker;
	bool aborted; /* data: is of an aborted transaction */
	bool needed;  /* marker */
	bool listed;
};

static void walk(struct clean_txns *t, const struct walked *w, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct batch_header h = batch(w[i].id, w[i].offset, BATCH_TRANSACTIONAL);
		struct end_marker marker = {.producer_id = w[i].id};

		if (w[i].marker) {
			struct clean_marker m = clean_txns_take_control(t, &h, &marker);

			CHECK_EQ(m.needed, w[i].needed);
			CHECK_EQ(m.listed != NULL, w[i].listed);
		} else {
			CHECK_EQ(clean_txns_take_data(t, &h), w[i].aborted);
		}
	}
}

TEST(batches_are_of_the_transactions_that_are_open_where_they_lie)
{
	static const struct aborted_txn aborted[] = {{7, 12, 20, 21}, {8, 10, 22, 23}, {7, 30, 33, 34}};
	static const struct walked w[] = {
		{8, 10, false, true, false, false},
		{7, 12, false, true, false, false},
		{9, 13, false, false, false, false}, /* will be committed */
		{7, 20, true, false, true, true},
		{8, 21, false, true, false, false},
		{8, 22, true, false, true, true},
		{9, 23, true, false, true, false},
		{7, 25, false, false, false, false}, /* the next one of 7 is committed */
		{7, 26, true, false, true, false},
		{7, 33, true, false, false, true}, /* nothing of it is left but the entry */
		{5, 34, true, false, false, false},
	};
	struct aborted_index index = {0};
	struct clean_txns t = {0};

	for (size_t i = 0; i < countof(aborted); i++)
		aborted_index_append(&index, &aborted[i]);
	clean_txns_begin(&t, &index);
	walk(&t, w, countof(w));
	CHECK_EQ(t.open_count, 0);
	clean_txns_begin(&t, &index); /* again, from the start */
	walk(&t, w, countof(w));
	clean_txns_fini(&t);
	aborted_index_fini(&index);
}

TEST(an_entry_whose_marker_is_gone_takes_no_later_transaction_with_it)
{
	static const struct aborted_txn aborted[] = {{7, 10, 20, 21}, {7, 10, 20, 21}};
	static const struct walked w[] = {
		{7, 15, false, true, false, false}, /* its marker would be at 20 */
		{7, 25, false, false, false, false},
		{7, 26, true, false, true, false},
	};
	struct aborted_index index = {0};
	struct clean_txns t = {0};

	for (size_t i = 0; i < countof(aborted); i++)
		aborted_index_append(&index, &aborted[i]);
	clean_txns_begin(&t, &index);
	walk(&t, w, countof(w));
	clean_txns_fini(&t);
	aborted_index_fini(&index);
}
