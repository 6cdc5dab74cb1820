/*
 * txn_hanging: `moldau txn find-hanging|explain`: which open transactions hold readers back, and who will end them. Calls the client library, the
 * clock, stdio.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "cli/table.h"
#include "cli/told.h"
#include "cli/txn.h"
#include "cli/verbs.h"

const char cli_txn_find_hanging_help[] =
	"usage: moldau txn find-hanging [TOPIC[:PARTITION,...]...] [OPTIONS]\n"
	"\n"
	"Transactions that are open in a partition and that no coordinator will end. Without a topic all are looked "
	"at.\n"
	"`moldau txn abort` ends one.\n"
	"\n"
	"  --topic TOPIC                     the same as TOPIC\n"
	"  --partition N                     only this one\n"
	"  --broker-id N                     only partitions that this broker leads\n"
	"  --max-transaction-timeout MIN     only those without a record for so many minutes (default 15)\n"
	"  --format text|json                json: an object a line for each\n" TXN_TIMEOUT_HELP SESSION_HELP;

const char cli_txn_explain_help[] =
	"usage: moldau txn explain TOPIC[:PARTITION,...]... [OPTIONS]\n"
	"\n"
	"What holds readers with isolation.level=read_committed back: the transactions that are open in each "
	"partition, the\n"
	"one that determines the last stable offset first, whose they are, and when and by whom they will be ended.\n"
	"\n"
	"  --topic TOPIC            the same as TOPIC\n"
	"  --partition N            only this one\n"
	"  --format text|json       json: an object a line for each partition\n" TXN_TIMEOUT_HELP SESSION_HELP;

int64_t txn_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* A transaction that is open in a partition. */
struct open_txn {
	const struct txn_partition_name *where;
	struct mo_producer producer;
	const struct mo_txn *known; /* what its coordinator says; NULL: no coordinator knows the producer */
	bool awaited;               /* its coordinator will write the marker */
};

struct open_txns {
	struct open_txn *items;
	size_t count;
	size_t capacity;
	struct mo_txn_list list;
	struct mo_txn_descriptions descriptions;
};

static void open_txns_fini(struct open_txns *o)
{
	mem_free(o->items);
	mo_txn_list_free(&o->list);
	mo_txn_descriptions_free(&o->descriptions);
}

static bool names_partition(const struct mo_txn *x, const struct txn_partition_name *where)
{
	for (size_t i = 0; i < x->partition_count; i++)
		for (size_t k = 0; k < x->partitions[i].count; k++)
			if (x->partitions[i].partitions[k] == where->partition &&
			    strcmp(x->partitions[i].topic, where->topic) == 0)
				return true;
	return false;
}

/* Those in the partitions whose last record is older than `quiet_ms` (-1: all). */
static int find_open(struct txn_arguments *a, const struct txn_partitions *partitions, int64_t quiet_ms,
		     struct open_txns *ret)
{
	int64_t now_ms = txn_now_ms();
	struct mo_err e;

	for (size_t i = 0; i < partitions->count; i++) {
		struct mo_producers found;

		if (mo_producer_list(a->session.client, partitions->items[i].topic, partitions->items[i].partition,
				     &found, &e))
			return session_failed(&a->session, &e);
		for (size_t k = 0; k < found.count; k++) {
			const struct mo_producer *p = &found.producers[k];

			if (p->txn_start_offset < 0 || (quiet_ms >= 0 && now_ms - p->last_timestamp_ms <= quiet_ms))
				continue;
			ret->items = mem_grow(ret->items, &ret->capacity, ret->count + 1, sizeof(*ret->items));
			ret->items[ret->count++] = (struct open_txn){.where = &partitions->items[i], .producer = *p};
		}
		mo_producers_free(&found);
	}
	return CLI_DONE;
}

/* Whose they are, and whether somebody will end them: as kafka-transactions decides it. */
static int find_owners(struct txn_arguments *a, struct open_txns *o)
{
	int64_t *ids = mem_alloc((o->count + 1) * sizeof(*ids));
	struct mo_txn_filter filter = {.producer_ids = ids, .duration_ms = -1};
	const char **names;
	struct mo_err e;
	int failed;

	for (size_t i = 0; i < o->count; i++) {
		bool twice = false;

		for (size_t k = 0; k < filter.producer_id_count; k++)
			twice = twice || ids[k] == o->items[i].producer.producer_id;
		if (!twice)
			ids[filter.producer_id_count++] = o->items[i].producer.producer_id;
	}
	failed = o->count > 0 ? mo_txn_list(a->session.client, &filter, &o->list, &e) : 0;
	mem_free(ids);
	if (failed)
		return session_failed(&a->session, &e);
	names = mem_alloc((o->list.count + 1) * sizeof(*names));
	for (size_t i = 0; i < o->list.count; i++)
		names[i] = o->list.txns[i].id;
	failed = mo_txn_describe(a->session.client, names, o->list.count, &o->descriptions, &e);
	mem_free(names);
	if (failed)
		return session_failed(&a->session, &e);
	for (size_t i = 0; i < o->count; i++) {
		for (size_t k = 0; k < o->list.count; k++) {
			const struct mo_txn *x = &o->descriptions.txns[k];

			if (o->list.txns[k].producer_id != o->items[i].producer.producer_id || x->code)
				continue;
			o->items[i].known = x;
			o->items[i].awaited = names_partition(x, o->items[i].where);
		}
	}
	return CLI_DONE;
}

/* --- find-hanging ------------------------------------------------------------------------------------------------ */

static void add_hanging(const struct txn_arguments *a, struct table *t, const struct open_txn *o)
{
	const struct mo_producer *p = &o->producer;
	char numbers[5][32], time[TOLD_TEXT_SIZE], span[TOLD_TEXT_SIZE];
	int64_t quiet_ms = txn_now_ms() - p->last_timestamp_ms;

	if (a->json) {
		txn_print(json_pack("{s:s, s:i, s:I, s:i, s:i, s:I, s:I, s:I}", "topic", o->where->topic, "partition",
				    (int)o->where->partition, "producerId", (json_int_t)p->producer_id, "producerEpoch",
				    (int)p->epoch, "coordinatorEpoch", (int)p->coordinator_epoch, "startOffset",
				    (json_int_t)p->txn_start_offset, "lastTimestampMs",
				    (json_int_t)p->last_timestamp_ms, "durationMs", (json_int_t)quiet_ms));
		return;
	}
	snprintf(numbers[0], sizeof(numbers[0]), "%d", o->where->partition);
	snprintf(numbers[1], sizeof(numbers[1]), "%lld", (long long)p->producer_id);
	snprintf(numbers[2], sizeof(numbers[2]), "%d", p->epoch);
	snprintf(numbers[3], sizeof(numbers[3]), "%d", p->coordinator_epoch);
	snprintf(numbers[4], sizeof(numbers[4]), "%lld", (long long)p->txn_start_offset);
	table_add(t, (const char *const[]){o->where->topic, numbers[0], numbers[1], numbers[2], numbers[3], numbers[4],
					   told_time(p->last_timestamp_ms, time), told_span(quiet_ms, span)});
}

int cli_txn_find_hanging(const struct cli_verb *verb, int argc, char **argv)
{
	static const char *const headings[] = {"TOPIC",        "PARTITION", "PRODUCER-ID", "EPOCH", "COORDINATOR-EPOCH",
					       "START-OFFSET", "LAST-TIME", "AGO"};
	int code;
	struct txn_arguments *a = txn_parse(verb, argc, argv, &code);
	struct table t = table(headings, 8);
	struct txn_partitions partitions = {0};
	struct open_txns open = {0};

	if (!code && a->has_partition && a->name_count != 1)
		code = cli_usage(verb, "--partition goes with one topic");
	if (!code)
		code = session_open(&a->session);
	if (!code)
		code = txn_partitions(a, &partitions);
	if (!code)
		code = find_open(a, &partitions, a->max_timeout_minutes * 60000, &open);
	if (!code)
		code = find_owners(a, &open);
	for (size_t i = 0; i < open.count && !code; i++)
		if (!open.items[i].awaited)
			add_hanging(a, &t, &open.items[i]);
	table_print(&t);
	table_fini(&t);
	open_txns_fini(&open);
	txn_partitions_fini(&partitions);
	return txn_finish(a, code);
}

/* --- explain ----------------------------------------------------------------------------------------------------- */

static int by_start(const void *a, const void *b)
{
	const struct open_txn *x = a, *y = b;

	if (x->where != y->where)
		return x->where < y->where ? -1 : 1;
	return x->producer.txn_start_offset < y->producer.txn_start_offset
		       ? -1
		       : x->producer.txn_start_offset > y->producer.txn_start_offset;
}

/* What becomes of it, as one word for programs. */
static const char *fate(const struct open_txn *o)
{
	if (!o->awaited)
		return "hanging";
	return strcmp(o->known->state, "Ongoing") == 0 ? "timeout" : "markers";
}

static json_t *open_json(const struct open_txn *o, int64_t now_ms)
{
	const struct mo_txn *x = o->known;
	bool open = x && x->start_ms >= 0;

	return json_pack("{s:I, s:i, s:I, s:I, s:s?, s:s?, s:o, s:o, s:o, s:o, s:s}", "producerId",
			 (json_int_t)o->producer.producer_id, "producerEpoch", (int)o->producer.epoch, "startOffset",
			 (json_int_t)o->producer.txn_start_offset, "lastTimestampMs",
			 (json_int_t)o->producer.last_timestamp_ms, "transactionalId", x ? x->id : NULL, "state",
			 x ? x->state : NULL, "startMs", open ? json_integer(x->start_ms) : json_null(), "durationMs",
			 open ? json_integer(now_ms - x->start_ms) : json_null(), "timeoutMs",
			 x ? json_integer(x->timeout_ms) : json_null(), "abortedAtMs",
			 open && o->awaited ? json_integer(x->start_ms + x->timeout_ms) : json_null(), "ends", fate(o));
}

static void print_fate(const struct open_txn *o, int64_t now_ms)
{
	const struct mo_txn *x = o->known;
	char time[TOLD_TEXT_SIZE], span[TOLD_TEXT_SIZE];
	int64_t end_ms;

	if (!o->awaited) {
		printf("    hangs: %s; `moldau txn abort %s --partition %d --start-offset %lld` ends it\n",
		       x ? "its coordinator does not count this partition to the transaction"
			 : "no coordinator knows the producer",
		       o->where->topic, o->where->partition, (long long)o->producer.txn_start_offset);
		return;
	}
	if (strcmp(x->state, "Ongoing") != 0) {
		printf("    is decided: its marker is on the way\n");
		return;
	}
	end_ms = x->start_ms + x->timeout_ms;
	printf("    will be aborted at %s UTC, in %s, unless its producer ends it before\n", told_time(end_ms, time),
	       told_span(end_ms > now_ms ? end_ms - now_ms : 0, span));
}

static void print_open(const struct open_txn *o, bool first, int64_t now_ms)
{
	const struct mo_txn *x = o->known;
	char time[TOLD_TEXT_SIZE], span[TOLD_TEXT_SIZE];

	printf("  %s by the transaction of producer %lld in epoch %d", first ? "held back" : "then",
	       (long long)o->producer.producer_id, o->producer.epoch);
	if (x)
		printf(", transactional id %s", x->id);
	printf(", from offset %lld on\n", (long long)o->producer.txn_start_offset);
	if (x)
		printf("    %s, timeout %d ms", x->state, x->timeout_ms);
	if (x && x->start_ms >= 0)
		printf(", began %s UTC, %s ago", told_time(x->start_ms, time), told_span(now_ms - x->start_ms, span));
	else if (!x)
		printf("    its last record is of %s UTC, %s ago", told_time(o->producer.last_timestamp_ms, time),
		       told_span(now_ms - o->producer.last_timestamp_ms, span));
	printf("\n");
	print_fate(o, now_ms);
}

static void print_partition(const struct txn_arguments *a, const struct txn_partition_name *where, int64_t stable,
			    int64_t end, const struct open_txns *open)
{
	json_t *rows = json_array();
	int64_t now_ms = txn_now_ms();
	bool first = true;

	if (!a->json && stable == end)
		printf("%s/%d: nothing is held back; the last stable offset is the high watermark, %lld\n",
		       where->topic, where->partition, (long long)end);
	else if (!a->json)
		printf("%s/%d: the last stable offset is %lld, %lld before the high watermark %lld\n", where->topic,
		       where->partition, (long long)stable, (long long)(end - stable), (long long)end);
	for (size_t i = 0; i < open->count; i++) {
		if (open->items[i].where != where)
			continue;
		if (a->json)
			json_array_append_new(rows, open_json(&open->items[i], now_ms));
		else
			print_open(&open->items[i], first, now_ms);
		first = false;
	}
	if (!a->json && first && stable < end)
		printf("  by a transaction that has ended by now\n");
	if (a->json)
		txn_print(json_pack("{s:s, s:i, s:I, s:I, s:O}", "topic", where->topic, "partition",
				    (int)where->partition, "lastStableOffset", (json_int_t)stable, "highWatermark",
				    (json_int_t)end, "open", rows));
	json_decref(rows);
}

/* Where the partitions end, for readers of this isolation level, by a client of its own. */
static int ask_ends(struct txn_arguments *a, const struct txn_partitions *p, const char *isolation, int64_t *ret_ends)
{
	struct mo_offset_question *questions = mem_zalloc((p->count + 1) * sizeof(*questions));
	struct session s;
	struct mo_err e;
	int code;

	s = a->session;
	s.client = NULL;
	session_set(&s, "isolation.level", isolation);
	code = session_open(&s);
	for (size_t i = 0; i < p->count; i++)
		questions[i] = (struct mo_offset_question){
			.topic = p->items[i].topic, .partition = p->items[i].partition, .at = MO_END_OF_LOG};
	if (!code && mo_offset_list_many(s.client, questions, p->count, &e))
		code = session_failed(&s, &e);
	for (size_t i = 0; i < p->count && !code; i++) {
		ret_ends[i] = questions[i].offset;
		if (questions[i].code)
			code = cli_failed(s.verb, "%s/%d: %s", questions[i].topic, questions[i].partition,
					  mo_code_text(questions[i].code));
	}
	session_close(&s);
	mem_free(questions);
	return code;
}

int cli_txn_explain(const struct cli_verb *verb, int argc, char **argv)
{
	int code;
	struct txn_arguments *a = txn_parse(verb, argc, argv, &code);
	struct txn_partitions partitions = {0};
	struct open_txns open = {0};
	int64_t *stable, *end;

	if (!code && a->name_count == 0)
		code = cli_usage(verb, "which topic?");
	if (!code)
		code = session_open(&a->session);
	if (!code)
		code = txn_partitions(a, &partitions);
	stable = mem_zalloc((partitions.count + 1) * sizeof(*stable));
	end = mem_zalloc((partitions.count + 1) * sizeof(*end));
	if (!code)
		code = ask_ends(a, &partitions, "read_committed", stable);
	/* In this order the difference is never negative. */
	if (!code)
		code = ask_ends(a, &partitions, "read_uncommitted", end);
	if (!code)
		code = find_open(a, &partitions, -1, &open);
	if (!code)
		code = find_owners(a, &open);
	if (open.count > 0)
		qsort(open.items, open.count, sizeof(*open.items), by_start);
	for (size_t i = 0; i < partitions.count && !code; i++)
		print_partition(a, &partitions.items[i], stable[i], end[i], &open);
	mem_free(stable);
	mem_free(end);
	open_txns_fini(&open);
	txn_partitions_fini(&partitions);
	return txn_finish(a, code);
}
