/*
 * api_process_test: mo_process against the public calls played by a script: what is consumed, and which calls fail. What it does and tells is compared as a
 * transcript.
 */
#include "base/test.h"

/* The calls that it stands on are the script's here. */
#define mo_process process_under_test
#define mo_consume script_consume
#define mo_consumer_close script_consumer_close
#define mo_group_metadata script_group_metadata
#define mo_group_metadata_free script_group_metadata_free
#define mo_poll script_poll
#define mo_seek script_seek
#define mo_set_rebalance script_set_rebalance
#define mo_subscribe script_subscribe
#define mo_txn_abort script_txn_abort
#define mo_txn_begin script_txn_begin
#define mo_txn_commit script_txn_commit
#define mo_txn_init script_txn_init
#define mo_txn_send_offsets script_txn_send_offsets
#define mo_txn_state script_txn_state
#include "client/api_process.c"

#define OUTCOMES_MAX 8
#define PATIENCE_MS 60000

/* The next call of that name ends so. */
struct outcome {
	const char *call;
	int code;
	bool fatal; /* else the transaction failed, or is still under way where the code is MO_TIMED_OUT */
};

struct script {
	struct mo_client client; /* first: calls get it */
	struct door door;
	const char *
		consumes; /* "0:5" a record, "-" nothing, "revoke", "lost", "assign", "oops"; then it is asked to stop */
	const struct outcome *outcomes;
	size_t told; /* outcomes that were */
	int64_t now_us;
	enum mo_txn_state state;
	int32_t generation;
	enum mo_rebalance due;
	struct mo_message message;
	void (*rebalanced)(void *context, enum mo_rebalance what, const struct mo_topic_partition *partitions,
			   size_t count);
	void *rebalanced_context;
	struct buf transcript;
};

static struct script *script_of(struct mo_client *c)
{
	return container_of(c, struct script, client);
}

static void say(struct script *s, const char *what)
{
	buf_printf(&s->transcript, "%s%s", s->transcript.size ? "; " : "", what);
}

/* What the script has for it: OK where that is not its turn. */
static int outcome_of(struct script *s, const char *call, struct mo_err *ret_err, bool *ret_fatal)
{
	const struct outcome *o = &s->outcomes[s->told];

	*ret_fatal = false;
	if (!o->call || strcmp(o->call, call) != 0)
		return OK;
	s->told++;
	*ret_fatal = o->fatal;
	return api_error(ret_err, o->code, "%s failed", call);
}

/* --- the calls ------------------------------------------------------------------------------------------------------------- */

enum mo_txn_state script_txn_state(struct mo_client *c)
{
	return script_of(c)->state;
}

int script_txn_init(struct mo_client *c, int timeout_ms, struct mo_err *ret_err)
{
	bool fatal;
	int code = outcome_of(script_of(c), "init", ret_err, &fatal);

	CHECK_EQ(timeout_ms, PATIENCE_MS);
	if (!code)
		script_of(c)->state = MO_TXN_READY;
	return code;
}

int script_txn_begin(struct mo_client *c, struct mo_err *ret_err)
{
	bool fatal;
	int code = outcome_of(script_of(c), "begin", ret_err, &fatal);

	CHECK_EQ(script_of(c)->state, MO_TXN_READY);
	if (!code)
		script_of(c)->state = MO_TXN_OPEN;
	return code;
}

static int end(struct mo_client *c, const char *how, enum mo_txn_state under_way, int timeout_ms,
	       struct mo_err *ret_err)
{
	struct script *s = script_of(c);
	bool fatal;
	int code = outcome_of(s, how, ret_err, &fatal);

	say(s, how);
	s->state = !code ? MO_TXN_READY : code == MO_TIMED_OUT ? under_way : fatal ? MO_TXN_FATAL : MO_TXN_FAILED;
	if (code == MO_TIMED_OUT)
		s->now_us += (int64_t)timeout_ms * 1000;
	return code;
}

int script_txn_commit(struct mo_client *c, int timeout_ms, struct mo_err *ret_err)
{
	CHECK(script_of(c)->state == MO_TXN_OPEN || script_of(c)->state == MO_TXN_COMMITTING);
	return end(c, "commit", MO_TXN_COMMITTING, timeout_ms, ret_err);
}

int script_txn_abort(struct mo_client *c, int timeout_ms, struct mo_err *ret_err)
{
	CHECK(script_of(c)->state != MO_TXN_COMMITTING);
	return end(c, "abort", MO_TXN_ABORTING, timeout_ms, ret_err);
}

int script_txn_send_offsets(struct mo_client *c, const struct mo_group_offset *offsets, size_t count,
			    const struct mo_group_metadata *as, struct mo_err *ret_err)
{
	struct script *s = script_of(c);
	bool fatal;
	int code = outcome_of(s, "offsets", ret_err, &fatal);

	buf_printf(&s->transcript, "; offsets of generation %d:", as->generation);
	for (size_t i = 0; i < count; i++)
		buf_printf(&s->transcript, " %d:%lld", offsets[i].partition, (long long)offsets[i].offset);
	if (code)
		s->state = fatal ? MO_TXN_FATAL : MO_TXN_FAILED;
	return code;
}

int script_seek(struct mo_client *c, const char *topic, int32_t partition, struct mo_start to, struct mo_err *ret_err)
{
	struct script *s = script_of(c);

	CHECK_STR(topic, "in");
	CHECK_EQ(to.kind, MO_START_OFFSET);
	/* The last of them is not ours any more. */
	if (partition == 9)
		return api_error(ret_err, ERR_USAGE, "it is not assigned");
	buf_printf(&s->transcript, "; back to %d:%lld", partition, (long long)to.value);
	return OK;
}

int script_poll(struct mo_client *c, int timeout_ms)
{
	static const struct mo_topic_partition some = {"in", 0};
	struct script *s = script_of(c);

	if (timeout_ms > 0)
		buf_printf(&s->transcript, "; pause %d", timeout_ms);
	else if (s->due == MO_ASSIGNED)
		s->generation++;
	if (timeout_ms == 0)
		s->rebalanced(s->rebalanced_context, s->due, &some, 1);
	s->now_us += (int64_t)timeout_ms * 1000;
	return 1;
}

void script_set_rebalance(struct mo_client *c,
			  void (*listener)(void *context, enum mo_rebalance what,
					   const struct mo_topic_partition *partitions, size_t count),
			  void *context)
{
	script_of(c)->rebalanced = listener;
	script_of(c)->rebalanced_context = context;
}

int script_subscribe(struct mo_client *c, const char *const *topics, size_t count, struct mo_err *ret_err)
{
	bool fatal;

	CHECK_EQ(count, 1);
	CHECK_STR(topics[0], "in");
	return outcome_of(script_of(c), "subscribe", ret_err, &fatal);
}

int script_consumer_close(struct mo_client *c, int timeout_ms, struct mo_err *ret_err)
{
	bool fatal;

	(void)timeout_ms;
	say(script_of(c), "leave");
	return outcome_of(script_of(c), "leave", ret_err, &fatal);
}

int script_group_metadata(struct mo_client *c, struct mo_group_metadata *ret_metadata, struct mo_err *ret_err)
{
	(void)ret_err;
	*ret_metadata = (struct mo_group_metadata){.generation = script_of(c)->generation};
	return OK;
}

void script_group_metadata_free(struct mo_group_metadata *m)
{
	*m = (struct mo_group_metadata){0};
}

/* Takes a word of the script. */
static bool next_word(struct script *s, char word[static 16])
{
	size_t length = strcspn(s->consumes, " ");

	if (length == 0)
		return false;
	must(length < 16);
	snprintf(word, 16, "%.*s", (int)length, s->consumes);
	s->consumes += length + strspn(s->consumes + length, " ");
	return true;
}

int script_consume(struct mo_client *c, int timeout_ms, const struct mo_message **ret_message, struct mo_err *ret_err)
{
	struct script *s = script_of(c);
	char word[16];
	int partition;
	long long offset;

	if (!next_word(s, word) || strcmp(word, "-") == 0) {
		s->now_us += (int64_t)timeout_ms * 1000;
		return MO_TIMED_OUT;
	}
	if (strcmp(word, "oops") == 0)
		return api_error(ret_err, ERR_CORRUPT_MESSAGE, "oops");
	if (sscanf(word, "%d:%lld", &partition, &offset) != 2) {
		s->due = strcmp(word, "revoke") == 0 ? MO_REVOKED : strcmp(word, "lost") == 0 ? MO_LOST : MO_ASSIGNED;
		return MO_CALLBACK_DUE;
	}
	s->message = (struct mo_message){.topic = "in", .partition = partition, .offset = offset};
	*ret_message = &s->message;
	return OK;
}

/* --- the program ------------------------------------------------------------------------------------------------------------ */

static int process(void *context, struct mo_client *c, const struct mo_message *m, struct mo_err *ret_err)
{
	struct script *s = context;
	bool fatal;
	int code = outcome_of(s, "process", ret_err, &fatal);

	CHECK(c == &s->client);
	CHECK_EQ(s->state, MO_TXN_OPEN);
	buf_printf(&s->transcript, "; process %d:%lld", m->partition, (long long)m->offset);
	if (fatal)
		s->state = MO_TXN_FAILED; /* of mo_produce */
	return code;
}

static bool stop(void *context)
{
	const struct script *s = context;

	return !*s->consumes;
}

static void told(void *context, enum mo_process_event what, const struct mo_topic_partition *partitions, size_t count)
{
	static const char *const names[] = {[MO_PROCESS_BEGIN] = "begin",         [MO_PROCESS_COMMIT] = "ends",
					    [MO_PROCESS_COMMITTED] = "committed", [MO_PROCESS_ABORTED] = "aborted",
					    [MO_PROCESS_ASSIGNED] = "assigned",   [MO_PROCESS_GONE] = "gone"};

	say(context, names[what]);
	for (size_t i = 0; i < count && what == MO_PROCESS_ABORTED; i++)
		buf_printf(&((struct script *)context)->transcript, " %d", partitions[i].partition);
}

static int64_t script_now_us(struct door *d)
{
	return container_of(d, struct script, door)->now_us;
}

/* What it did; what it returned is in `ret_code`. */
static void play(const char *consumes, const struct outcome *outcomes, const char *expected, int expected_code)
{
	static const struct door_ops ops = {.now_us = script_now_us};
	static const char *const topic = "in";
	struct script *s = mem_new(struct script);
	struct mo_process options = {.topics = &topic,
				     .topic_count = 1,
				     .process = process,
				     .stop = stop,
				     .told = told,
				     .context = s,
				     .max_records = 2};
	struct mo_err error = {0};

	s->consumes = consumes;
	s->outcomes = outcomes;
	s->generation = 7;
	s->door.ops = &ops;
	s->client.door = &s->door;
	s->client.config.group_id = (char[]){"g"};
	s->client.config.transactional_id = (char[]){"t"};
	s->client.config.read_committed = true;
	s->client.config.api_timeout_ms = PATIENCE_MS;
	buf_init(&s->transcript, 10000);
	CHECK_EQ(process_under_test(&s->client, &options, &error), expected_code);
	CHECK_EQ(error.code, expected_code);
	CHECK_BYTES(buf_bytes(&s->transcript), bytes_str(expected));
	CHECK(!outcomes[s->told].call);
	buf_fini(&s->transcript);
	mem_free(s);
}

static const struct outcome all_is_well[] = {{0}};

TEST(records_and_their_offsets_are_committed_together)
{
	play("assign 0:5 1:3 0:6", all_is_well,
	     "assigned; begin; process 0:5; process 1:3; ends; offsets of generation 8: 0:6 1:4; commit; committed; "
	     "begin; process 0:6; ends; offsets of generation 8: 0:7; commit; committed; leave",
	     OK);
}

TEST(a_transaction_ends_by_time_and_none_is_begun_for_nothing)
{
	play("- - 0:5 - - - 0:6 -", all_is_well,
	     "begin; process 0:5; ends; offsets of generation 7: 0:6; commit; committed; "
	     "begin; process 0:6; ends; offsets of generation 7: 0:7; commit; committed; leave",
	     OK);
}

TEST(a_commit_without_answer_is_asked_again)
{
	static const struct outcome outcomes[] = {
		{"commit", MO_TIMED_OUT, false}, {"commit", MO_TIMED_OUT, false}, {0}};

	play("0:5 0:6 0:7", outcomes,
	     "begin; process 0:5; process 0:6; ends; offsets of generation 7: 0:7; commit; commit; commit; committed; "
	     "begin; process 0:7; ends; offsets of generation 7: 0:8; commit; committed; leave",
	     OK);
}

TEST(offsets_of_who_is_no_member_any_more_take_the_records_back)
{
	static const struct outcome outcomes[] = {{"offsets", ERR_ILLEGAL_GENERATION, false}, {0}};

	/* Partition 9 is another's by now: nobody seeks in it. */
	play("0:5 9:3 0:5 -", outcomes,
	     "begin; process 0:5; process 9:3; ends; offsets of generation 7: 0:6 9:4; abort; back to 0:5; aborted 0; "
	     "pause 10; begin; process 0:5; ends; offsets of generation 7: 0:6; commit; committed; leave",
	     OK);
}

TEST(failures_in_a_row_are_paused_for_longer_and_longer)
{
	static const struct outcome outcomes[] = {{"commit", ERR_ILLEGAL_GENERATION, false},
						  {"commit", ERR_ILLEGAL_GENERATION, false},
						  {"commit", ERR_ILLEGAL_GENERATION, false},
						  {0}};

	play("0:5 0:6 0:5 0:6 0:5 0:6 0:5 0:6 -", outcomes,
	     "begin; process 0:5; process 0:6; ends; offsets of generation 7: 0:7; commit; abort; back to 0:5; aborted "
	     "0; "
	     "pause 10; begin; process 0:5; process 0:6; ends; offsets of generation 7: 0:7; commit; abort; back to "
	     "0:5; "
	     "aborted 0; pause 20; begin; process 0:5; process 0:6; ends; offsets of generation 7: 0:7; commit; abort; "
	     "back to 0:5; aborted 0; pause 40; begin; process 0:5; process 0:6; ends; offsets of generation 7: 0:7; "
	     "commit; committed; leave",
	     OK);
}

TEST(partitions_go_with_their_transaction_committed)
{
	play("0:5 revoke assign 0:9", all_is_well,
	     "begin; process 0:5; ends; offsets of generation 7: 0:6; commit; committed; gone; assigned; "
	     "begin; process 0:9; ends; offsets of generation 8: 0:10; commit; committed; leave",
	     OK);
}

TEST(of_lost_partitions_nothing_is_committed)
{
	play("0:5 lost -", all_is_well, "begin; process 0:5; abort; back to 0:5; aborted 0; gone; pause 10; leave", OK);
}

TEST(a_record_that_the_program_cannot_take_ends_it)
{
	static const struct outcome outcomes[] = {{"process", ERR_CANCELLED, false}, {0}};

	play("0:5 0:6", outcomes, "begin; process 0:5; abort; back to 0:5; aborted 0; leave", ERR_CANCELLED);
}

TEST(a_transaction_that_failed_meanwhile_is_tried_again)
{
	static const struct outcome outcomes[] = {{"process", ERR_NOT_LEADER_OR_FOLLOWER, true}, {0}};

	play("0:5 0:5 -", outcomes,
	     "begin; process 0:5; abort; back to 0:5; aborted 0; pause 10; begin; process 0:5; ends; "
	     "offsets of generation 7: 0:6; commit; committed; leave",
	     OK);
}

TEST(what_the_same_records_would_bring_again_ends_it)
{
	static const struct outcome outcomes[] = {{"process", ERR_MESSAGE_TOO_LARGE, true}, {0}};

	play("0:5 0:6", outcomes, "begin; process 0:5; abort; back to 0:5; aborted 0; leave", ERR_MESSAGE_TOO_LARGE);
}

TEST(who_is_fenced_ends_without_an_abort)
{
	static const struct outcome outcomes[] = {{"commit", ERR_PRODUCER_FENCED, true}, {0}};

	play("0:5 0:6 0:7", outcomes,
	     "begin; process 0:5; process 0:6; ends; offsets of generation 7: 0:7; commit; back to 0:5; aborted 0; "
	     "leave",
	     ERR_PRODUCER_FENCED);
}

/* It may be committed: what was read is not read again by this one. */
TEST(who_is_to_stop_leaves_a_commit_in_doubt_after_a_while)
{
	static const struct outcome outcomes[] = {{"commit", MO_TIMED_OUT, false}, {"commit", MO_TIMED_OUT, false},
						  {"commit", MO_TIMED_OUT, false}, {"commit", MO_TIMED_OUT, false},
						  {"commit", MO_TIMED_OUT, false}, {"commit", MO_TIMED_OUT, false},
						  {"commit", MO_TIMED_OUT, false}, {0}};

	play("0:5 0:6", outcomes,
	     "begin; process 0:5; process 0:6; ends; offsets of generation 7: 0:7; commit; commit; commit; commit; "
	     "commit; "
	     "commit; commit; leave",
	     MO_TIMED_OUT);
}

TEST(an_abort_without_answer_is_asked_again)
{
	static const struct outcome outcomes[] = {
		{"offsets", ERR_UNKNOWN_MEMBER_ID, false}, {"abort", MO_TIMED_OUT, false}, {0}};

	play("0:5 0:6 -", outcomes,
	     "begin; process 0:5; process 0:6; ends; offsets of generation 7: 0:7; abort; abort; back to 0:5; aborted "
	     "0; "
	     "pause 10; leave",
	     OK);
}

TEST(a_partition_that_cannot_be_read_ends_it)
{
	play("0:5 oops 0:6", all_is_well, "begin; process 0:5; abort; back to 0:5; aborted 0; leave",
	     ERR_CORRUPT_MESSAGE);
}

TEST(nothing_begins_where_the_group_or_the_producer_cannot_be_had)
{
	static const struct outcome no_init[] = {{"init", MO_TIMED_OUT, false}, {0}},
				    no_group[] = {{"subscribe", ERR_USAGE, false}, {0}};

	play("0:5", no_init, "", MO_TIMED_OUT);
	play("0:5", no_group, "leave", ERR_USAGE);
}
