#include "base/test.h"

#include "txn/stage.h"

static void check_told(struct stage_answer a, enum err error, int64_t producer_id, int16_t epoch)
{
	CHECK_EQ(a.error, error);
	CHECK_EQ(a.producer_id, producer_id);
	CHECK_EQ(a.producer_epoch, epoch);
}

/* --- InitProducerId ----------------------------------------------------------------------------------------------------- */

/* What 4.3.1 answers, asked of it. */
TEST(who_asks_for_an_id_gets_the_next_epoch_and_who_comes_back_is_told_the_same_again)
{
	struct stage g;

	stage_init(&g);
	check_told(stage_init_id(&g, "a", -1, -1), OK, 100, 0);
	check_told(stage_init_id(&g, "a", -1, -1), OK, 100, 1);
	check_told(stage_init_id(&g, "b", 999, 17), OK, 101, 0); /* not known: whatever it expected is gone */
	check_told(stage_init_id(&g, "a", 100, 1), OK, 100, 2);
	check_told(stage_init_id(&g, "a", 100, 1), OK, 100, 2);
	check_told(stage_init_id(&g, "a", 100, 0), ERR_PRODUCER_FENCED, -1, -1);
	check_told(stage_init_id(&g, "a", 77, 2), ERR_PRODUCER_FENCED, -1, -1);
	check_told(stage_init_id(&g, "a", -1, -1), OK, 100, 3);
	check_told(stage_init_id(&g, "a", 100, 2), ERR_PRODUCER_FENCED, -1, -1); /* somebody came in between */
	stage_fini(&g);
}

TEST(requests_that_make_no_sense_are_refused_before_anybody_is_asked)
{
	struct txn_options o = {.transaction_max_timeout_ms = 1000};
	const struct {
		struct bytes id;
		int32_t timeout_ms;
		int64_t producer_id;
		int16_t epoch;
		enum err expected;
	} rows[] = {
		{bytes_str("a"), 1000, -1, -1, OK},
		{bytes_str("a"), 1001, -1, -1, ERR_INVALID_TRANSACTION_TIMEOUT},
		{bytes_str("a"), 0, -1, -1, ERR_INVALID_TRANSACTION_TIMEOUT},
		{bytes_null(), 0, -1, -1, OK},
		{bytes_empty(), 1, -1, -1, ERR_INVALID_REQUEST},
		{bytes_str("a"), 1, 5, -1, ERR_INVALID_REQUEST},
		{bytes_null(), 1, -1, 5, ERR_INVALID_REQUEST},
		{bytes_str("a"), 1, 5, 5, OK},
	};

	for (size_t i = 0; i < countof(rows); i++) {
		struct init_producer_id_request r = {.transactional_id = rows[i].id,
						     .transaction_timeout_ms = rows[i].timeout_ms,
						     .producer_id = rows[i].producer_id,
						     .producer_epoch = rows[i].epoch};

		CHECK_ERR(txn_init_check(&o, &r), rows[i].expected);
	}
}

TEST(another_producer_ends_what_the_one_before_left_open_and_gets_an_epoch_that_nobody_had)
{
	for (int16_t level = 0; level <= 2; level++) {
		struct stage g;

		stage_init(&g);
		stage_level(&g, level);
		check_told(stage_init_id(&g, "a", -1, -1), OK, 100, 0);
		must_ok(stage_add(&g, "a", 100, 0, 0, 2));
		check_told(stage_init_id(&g, "a", -1, -1), ERR_CONCURRENT_TRANSACTIONS, -1, -1);
		CHECK_STR(stage_state(&g, "a"), "PrepareAbort");
		check_told(stage_init_id(&g, "a", -1, -1), ERR_CONCURRENT_TRANSACTIONS, -1, -1);
		CHECK_EQ(container_of(g.prepared.head.next, struct prepared_transaction, node)->producer_epoch, 1);
		check_told(stage_end(&g, "a", 100, 0, true, 4), ERR_PRODUCER_FENCED, -1, -1);
		must_ok(stage_complete(&g));
		CHECK_STR(stage_state(&g, "a"), "CompleteAbort");
		check_told(stage_init_id(&g, "a", -1, -1), OK, 100, 2);
		CHECK_ERR(stage_add(&g, "a", 100, 0, 0, 1), ERR_PRODUCER_FENCED);
		stage_fini(&g);
	}
}

TEST(a_fence_that_could_not_be_stored_bumps_the_epoch_only_once)
{
	struct stage g;

	stage_init(&g);
	check_told(stage_init_id(&g, "a", -1, -1), OK, 100, 0);
	must_ok(stage_add(&g, "a", 100, 0, 2, 1));
	g.failing = true;
	for (int i = 0; i < 3; i++)
		CHECK_EQ(stage_init_id(&g, "a", -1, -1).error, ERR_COORDINATOR_NOT_AVAILABLE);
	CHECK_STR(stage_state(&g, "a"), "Ongoing");
	CHECK(list_empty(&g.prepared));
	g.failing = false;
	check_told(stage_init_id(&g, "a", -1, -1), ERR_CONCURRENT_TRANSACTIONS, -1, -1);
	must_ok(stage_complete(&g));
	check_told(stage_init_id(&g, "a", -1, -1), OK, 100, 2);
	stage_fini(&g);
}

static void set_epoch(struct stage *g, const char *id, int16_t epoch)
{
	struct txn *x = txn_find(g->txns, bytes_str(id));

	x->producer_epoch = epoch;
	txn_put(x, &g->step);
	stage_commit(g);
}

TEST(after_the_last_epoch_there_is_another_producer_id)
{
	struct stage g;

	stage_init(&g);
	(void)stage_init_id(&g, "a", -1, -1);
	set_epoch(&g, "a", 32765);
	check_told(stage_init_id(&g, "a", -1, -1), OK, 100, 32766);
	check_told(stage_init_id(&g, "a", 100, 32766), OK, 101, 0);
	check_told(stage_init_id(&g, "a", 100, 32766), OK, 101, 0); /* the answer got lost */
	check_told(stage_init_id(&g, "a", 100, 32765), ERR_PRODUCER_FENCED, -1, -1);

	/* Fenced at the last: 32767 is told to nobody. */
	set_epoch(&g, "a", 32766);
	must_ok(stage_add(&g, "a", 101, 32766, 2, 1));
	check_told(stage_init_id(&g, "a", -1, -1), ERR_CONCURRENT_TRANSACTIONS, -1, -1);
	CHECK_EQ(container_of(g.prepared.head.next, struct prepared_transaction, node)->producer_epoch, 32767);
	must_ok(stage_complete(&g));
	check_told(stage_init_id(&g, "a", -1, -1), OK, 102, 0);
	stage_fini(&g);
}

/* --- EndTxn ------------------------------------------------------------------------------------------------------------- */

TEST(an_old_client_keeps_its_epoch_and_is_answered_by_the_state)
{
	struct stage g;

	stage_init(&g);
	(void)stage_init_id(&g, "a", -1, -1);
	CHECK_EQ(stage_end(&g, "a", 100, 0, true, 4).error, ERR_INVALID_TXN_STATE);
	CHECK_EQ(stage_end(&g, "a", 100, 0, false, 4).error, ERR_INVALID_TXN_STATE);
	CHECK_EQ(stage_end(&g, "b", 100, 0, true, 4).error, ERR_INVALID_PRODUCER_ID_MAPPING);
	CHECK_EQ(stage_end(&g, "", 100, 0, true, 4).error, ERR_INVALID_REQUEST);
	must_ok(stage_add(&g, "a", 100, 0, 0, 2));
	CHECK_EQ(stage_end(&g, "a", 9, 0, true, 4).error, ERR_INVALID_PRODUCER_ID_MAPPING);
	CHECK_EQ(stage_end(&g, "a", 100, 1, true, 4).error, ERR_PRODUCER_FENCED);
	check_told(stage_end(&g, "a", 100, 0, true, 4), OK, 100, 0);
	CHECK_EQ(stage_end(&g, "a", 100, 0, true, 4).error, ERR_CONCURRENT_TRANSACTIONS);
	CHECK_ERR(stage_add(&g, "a", 100, 0, 0, 1), ERR_CONCURRENT_TRANSACTIONS);
	must_ok(stage_complete(&g));
	CHECK_EQ(stage_end(&g, "a", 100, 0, true, 4).error, OK);
	CHECK_EQ(stage_end(&g, "a", 100, 0, false, 4).error, ERR_INVALID_TXN_STATE);
	must_ok(stage_add(&g, "a", 100, 0, 0, 1));
	check_told(stage_end(&g, "a", 100, 0, false, 4), OK, 100, 0);
	must_ok(stage_complete(&g));
	CHECK_EQ(stage_end(&g, "a", 100, 0, false, 4).error, OK);
	CHECK_EQ(stage_end(&g, "a", 100, 0, true, 4).error, ERR_INVALID_TXN_STATE);
	stage_fini(&g);
}

TEST(with_version_2_every_end_takes_an_epoch_and_what_comes_again_is_known_by_the_one_before)
{
	struct stage g;

	stage_init(&g);
	(void)stage_init_id(&g, "a", -1, -1);
	must_ok(stage_add(&g, "a", 100, 0, 2, 1));
	check_told(stage_end(&g, "a", 100, 0, true, 5), OK, 100, 1);
	CHECK_EQ(stage_end(&g, "a", 100, 0, true, 5).error, ERR_CONCURRENT_TRANSACTIONS);
	CHECK_EQ(stage_end(&g, "a", 100, 1, false, 5).error, ERR_CONCURRENT_TRANSACTIONS);
	must_ok(stage_complete(&g));
	check_told(stage_end(&g, "a", 100, 0, true, 5), OK, 100, 1);
	check_told(stage_end(&g, "a", 100, 0, false, 5), ERR_INVALID_TXN_STATE, -1, -1);
	check_told(stage_end(&g, "a", 100, 1, true, 5), ERR_INVALID_TXN_STATE, -1, -1);
	check_told(stage_end(&g, "a", 100, 1, false, 5), OK, 100,
		   2); /* there may have been records that nobody added */
	must_ok(stage_complete(&g));
	check_told(stage_end(&g, "a", 100, 1, false, 5), OK, 100, 2);
	check_told(stage_end(&g, "a", 100, 1, true, 5), ERR_INVALID_TXN_STATE, -1, -1);
	CHECK_EQ(stage_end(&g, "a", 100, 0, true, 5).error, ERR_PRODUCER_FENCED);

	/* A late question of an earlier transaction cannot end the next one. */
	must_ok(stage_add(&g, "a", 100, 2, 2, 1));
	CHECK_EQ(stage_end(&g, "a", 100, 1, true, 5).error, ERR_PRODUCER_FENCED);
	CHECK_EQ(stage_end(&g, "a", 100, 1, true, 4).error, ERR_PRODUCER_FENCED);
	CHECK_STR(stage_state(&g, "a"), "Ongoing");
	stage_fini(&g);
}

/* Who took the id over has the epoch that the old end would have brought; told of it, who was fenced would write as the other. */
TEST(a_late_end_is_fenced_where_the_next_producer_has_no_version_2)
{
	struct stage g;

	stage_init(&g);
	(void)stage_init_id(&g, "a", -1, -1);
	check_told(stage_init_id(&g, "a", -1, -1), OK, 100, 1);
	must_ok(stage_add(&g, "a", 100, 1, 0, 1));
	check_told(stage_end(&g, "a", 100, 1, false, 4), OK, 100, 1);
	must_ok(stage_complete(&g));
	check_told(stage_end(&g, "a", 100, 0, false, 5), ERR_PRODUCER_FENCED, -1, -1);
	stage_fini(&g);
}

TEST(the_end_at_the_last_epoch_tells_the_next_producer_id_which_counts_once_it_is_complete)
{
	struct stage g;

	stage_init(&g);
	(void)stage_init_id(&g, "a", -1, -1);
	set_epoch(&g, "a", 32766);
	must_ok(stage_add(&g, "a", 100, 32766, 2, 1));
	check_told(stage_end(&g, "a", 100, 32766, true, 5), OK, 101, 0);
	CHECK_ERR(stage_add(&g, "a", 101, 0, 2, 1), ERR_CONCURRENT_TRANSACTIONS);
	stage_restart(&g);
	must_ok(stage_complete(&g));
	check_told(stage_end(&g, "a", 100, 32766, true, 5), OK, 101, 0);
	check_told(stage_end(&g, "a", 100, 32766, false, 5), ERR_INVALID_TXN_STATE, -1, -1);
	must_ok(stage_add(&g, "a", 101, 0, 2, 1));
	stage_fini(&g);
}

/* --- partitions --------------------------------------------------------------------------------------------------------- */

TEST(verifying_tells_which_partitions_are_in_the_transaction_and_records_nothing)
{
	struct stage g;
	struct txn_partition partitions[] = {{bytes_str("t"), 1}, {bytes_str("t"), 2}, {bytes_str("s"), 0}};
	bool missing[3];
	struct txn_add_call c = {.transactional_id = bytes_str("a"),
				 .producer_id = 100,
				 .verify_only = true,
				 .partitions = partitions,
				 .partition_count = 3,
				 .missing = missing};
	size_t before;

	stage_init(&g);
	(void)stage_init_id(&g, "a", -1, -1);
	must_ok(stage_add(&g, "a", 100, 0, 2, 2));
	before = g.record_count;
	must_ok(stage_add(&g, "a", 100, 0, 2, 2)); /* they are in it */
	txn_add(g.txns, &g.step, &c);
	stage_commit(&g);
	CHECK_EQ(g.record_count, before);
	must_ok(c.error);
	CHECK(!missing[0] && missing[1] && missing[2]);
	c.producer_epoch = 1;
	txn_add(g.txns, &g.step, &c);
	stage_commit(&g);
	CHECK_ERR(c.error, ERR_PRODUCER_FENCED);
	c.producer_id = 9;
	txn_add(g.txns, &g.step, &c);
	stage_commit(&g);
	CHECK_ERR(c.error, ERR_INVALID_PRODUCER_ID_MAPPING);
	CHECK_ERR(stage_add(&g, "", 100, 0, 2, 1), ERR_INVALID_REQUEST);
	stage_fini(&g);
}

TEST(partitions_are_kept_in_order_each_once)
{
	struct stage g;
	struct txn_partition partitions[] = {
		{bytes_str("t"), 3}, {bytes_str("s"), 1}, {bytes_str("t"), 0}, {bytes_str("t"), 3}};
	struct txn_add_call c = {.transactional_id = bytes_str("a"),
				 .producer_id = 100,
				 .transaction_version = 2,
				 .partitions = partitions,
				 .partition_count = countof(partitions)};
	const struct prepared_transaction *p;

	stage_init(&g);
	(void)stage_init_id(&g, "a", -1, -1);
	txn_add(g.txns, &g.step, &c);
	stage_commit(&g);
	must_ok(c.error);
	(void)stage_end(&g, "a", 100, 0, true, 5);
	p = container_of(g.prepared.head.next, struct prepared_transaction, node);
	CHECK_EQ(p->partition_count, 3);
	CHECK(bytes_equal_str(p->partitions[0].topic, "s") && p->partitions[0].partition == 1);
	CHECK(bytes_equal_str(p->partitions[1].topic, "t") && p->partitions[1].partition == 0);
	CHECK(bytes_equal_str(p->partitions[2].topic, "t") && p->partitions[2].partition == 3);
	CHECK(p->committed && p->transaction_version == 2 && p->partition == 7);
	stage_fini(&g);
}

/* --- time --------------------------------------------------------------------------------------------------------------- */

TEST(a_transaction_is_aborted_when_its_timeout_is_over_also_after_a_restart)
{
	struct stage g;

	stage_init(&g);
	(void)stage_init_id(&g, "a", -1, -1);
	must_ok(stage_add(&g, "a", 100, 0, 2, 1));
	stage_wait(&g, 30000);
	must_ok(stage_add(&g, "a", 100, 0, 2, 2)); /* it does not begin anew with another partition */
	stage_restart(&g);
	stage_wait(&g, 29999);
	CHECK_STR(stage_state(&g, "a"), "Ongoing");
	stage_wait(&g, 1);
	CHECK_STR(stage_state(&g, "a"), "PrepareAbort");
	must_ok(stage_complete(&g));
	check_told(stage_end(&g, "a", 100, 0, true, 5), ERR_INVALID_TXN_STATE, -1, -1);
	CHECK_EQ(stage_end(&g, "a", 100, 0, true, 4).error, ERR_PRODUCER_FENCED);
	check_told(stage_init_id(&g, "a", -1, -1), OK, 100, 2);
	stage_fini(&g);
}

TEST(what_is_prepared_is_handed_out_again_after_every_load_and_completes_once)
{
	struct stage g;

	stage_init(&g);
	(void)stage_init_id(&g, "a", -1, -1);
	must_ok(stage_add(&g, "a", 100, 0, 0, 3));
	check_told(stage_end(&g, "a", 100, 0, true, 4), OK, 100, 0);
	stage_load(&g); /* the first is at work */
	CHECK(g.prepared.head.next != g.prepared.head.previous);
	must_ok(stage_complete(&g));
	CHECK_STR(stage_state(&g, "a"), "CompleteCommit");
	CHECK_ERR(stage_complete(&g), ERR_INVALID_TXN_STATE);
	stage_restart(&g);
	CHECK(list_empty(&g.prepared));
	CHECK_STR(stage_state(&g, "a"), "CompleteCommit");
	stage_fini(&g);
}

TEST(an_end_that_could_not_be_stored_is_not_handed_out)
{
	struct stage g;

	stage_init(&g);
	(void)stage_init_id(&g, "a", -1, -1);
	must_ok(stage_add(&g, "a", 100, 0, 2, 1));
	g.failing = true;
	CHECK_EQ(stage_end(&g, "a", 100, 0, true, 5).error, ERR_COORDINATOR_NOT_AVAILABLE);
	CHECK(list_empty(&g.prepared));
	g.failing = false;
	check_told(stage_end(&g, "a", 100, 0, true, 5), OK, 100, 1);
	g.failing = true; /* that it is complete */
	CHECK_ERR(stage_complete(&g), ERR_COORDINATOR_NOT_AVAILABLE);
	g.failing = false;
	must_ok(stage_complete(&g));
	CHECK_STR(stage_state(&g, "a"), "CompleteCommit");
	stage_fini(&g);
}

TEST(ids_that_nobody_uses_expire_but_never_one_with_a_transaction)
{
	struct stage g;

	stage_init(&g);
	g.options.transactional_id_expiration_ms = 7200000;
	(void)stage_init_id(&g, "idle", -1, -1);
	(void)stage_init_id(&g, "prepared", -1, -1);
	must_ok(stage_add(&g, "prepared", 101, 0, 2, 1));
	(void)stage_end(&g, "prepared", 101, 0, true, 5);
	stage_wait(&g, 7199999);
	CHECK_STR(stage_state(&g, "idle"), "Empty");
	stage_wait(&g, 3600001);
	CHECK_STR(stage_state(&g, "idle"), "none");
	CHECK_STR(stage_state(&g, "prepared"), "PrepareCommit");
	stage_restart(&g);
	CHECK_STR(stage_state(&g, "idle"), "none");
	check_told(stage_init_id(&g, "idle", 100, 0), OK, 102, 0);
	stage_fini(&g);
}

/* --- administration ----------------------------------------------------------------------------------------------------- */

static int32_t count_listed(struct stage *g, struct list_transactions_request *r)
{
	struct txn_list_call c = {.request = r, .arena = &g->arena};

	txn_list_prepare(r);
	txn_list(g->txns, &g->step, &c);
	stage_commit(g);
	must_ok(c.call.error);
	return c.response.transaction_states_count;
}

TEST(transactions_are_listed_by_state_producer_and_duration)
{
	struct stage g;
	struct list_transactions_request r;
	struct bytes ongoing[] = {bytes_str("Ongoing"), bytes_str("Bogus")};
	int64_t ids[] = {100, 7};

	stage_init(&g);
	(void)stage_init_id(&g, "a", -1, -1);
	(void)stage_init_id(&g, "b", -1, -1);
	must_ok(stage_add(&g, "b", 101, 0, 2, 1));
	stage_wait(&g, 5000);
	message_init(&list_transactions_request_type, &r);
	CHECK_EQ(count_listed(&g, &r), 2);
	r.state_filters = ongoing;
	r.state_filters_count = 2;
	CHECK_EQ(count_listed(&g, &r), 1);
	r.duration_filter = 5000;
	CHECK_EQ(count_listed(&g, &r), 0);
	r.duration_filter = 4999;
	CHECK_EQ(count_listed(&g, &r), 1);
	r.producer_id_filters = ids;
	r.producer_id_filters_count = 2;
	CHECK_EQ(count_listed(&g, &r), 0);
	r.state_filters_count = 0;
	CHECK_EQ(count_listed(&g, &r), 1);
	CHECK(txn_state_known(bytes_str("Dead")) && !txn_state_known(bytes_str("ongoing")));
	stage_fini(&g);
}

TEST(filters_are_few_however_many_were_given)
{
	struct stage g;
	struct list_transactions_request r;
	struct bytes states[] = {bytes_str("Bogus"), bytes_str("Ongoing"), bytes_str("Empty"), bytes_str("Ongoing")};
	struct bytes unknown[] = {bytes_str("Bogus"), bytes_str("ongoing")};
	int64_t ids[] = {101, 7, INT64_MAX, INT64_MIN, 100, 101};

	stage_init(&g);
	(void)stage_init_id(&g, "a", -1, -1);
	(void)stage_init_id(&g, "b", -1, -1);
	must_ok(stage_add(&g, "b", 101, 0, 2, 1));
	message_init(&list_transactions_request_type, &r);
	r.state_filters = states;
	r.state_filters_count = 4;
	r.producer_id_filters = ids;
	r.producer_id_filters_count = 6;
	CHECK_EQ(count_listed(&g, &r), 2);
	CHECK_EQ(r.state_filters_count, 2);
	r.state_filters = unknown;
	r.state_filters_count = 2;
	CHECK_EQ(count_listed(&g, &r), 0);
	stage_fini(&g);
}

TEST(a_transaction_is_described_with_its_partitions)
{
	struct stage g;
	struct txn_describe_call c = {.transactional_id = bytes_str("a"), .arena = &g.arena};

	stage_init(&g);
	txn_describe(g.txns, &g.step, &c);
	stage_commit(&g);
	CHECK_EQ(c.response.error_code, ERR_TRANSACTIONAL_ID_NOT_FOUND);
	(void)stage_init_id(&g, "a", -1, -1);
	must_ok(stage_add(&g, "a", 100, 0, 2, 2));
	txn_describe(g.txns, &g.step, &c);
	stage_commit(&g);
	CHECK_EQ(c.response.error_code, OK);
	CHECK(bytes_equal_str(c.response.transaction_state, "Ongoing"));
	CHECK_EQ(c.response.producer_id, 100);
	CHECK_EQ(c.response.topics_count, 1);
	CHECK_EQ(c.response.topics[0].partitions_count, 2);
	CHECK_EQ(c.response.transaction_start_time_ms, g.step.wall_ms);
	stage_fini(&g);
}
