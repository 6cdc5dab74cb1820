/* txn: see the header; `moldau txn list|describe|producers|abort`. Calls the client library and stdio. */
#include "cli/txn.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "cli/table.h"
#include "cli/told.h"
#include "cli/verbs.h"

#define DEFAULT_TIMEOUT_MS "30000"
#define DEFAULT_MAX_TIMEOUT_MINUTES 15 /* kafka-transactions', and the broker's transaction.max.timeout.ms */
#define NOT_FOUND 105                  /* Kafka's TRANSACTIONAL_ID_NOT_FOUND */

const char cli_txn_list_help[] =
	"usage: moldau txn list [OPTIONS]\n"
	"\n"
	"All transactional ids that the brokers know, and how their last transactions are.\n"
	"\n"
	"  --state STATE,...        only these: empty, ongoing, prepareCommit, prepareAbort, completeCommit, "
	"completeAbort\n"
	"  --producer-id ID,...     only of these producers\n"
	"  --duration-filter MS     only those that are open for longer\n"
	"  --id-pattern PATTERN     only ids that match as a whole (RE2's syntax)\n"
	"  --format text|json       json: an object a line for each transaction\n" TXN_TIMEOUT_HELP SESSION_HELP;

const char cli_txn_describe_help[] =
	"usage: moldau txn describe ID... [OPTIONS]\n"
	"\n"
	"The state of transactional ids: producer, epoch, since when a transaction is open, and its partitions.\n"
	"\n"
	"  --transactional-id ID    the same as ID\n"
	"  --format text|json       json: an object a line for each\n" TXN_TIMEOUT_HELP SESSION_HELP;

const char cli_txn_producers_help[] =
	"usage: moldau txn producers TOPIC[:PARTITION,...] [OPTIONS]\n"
	"\n"
	"The producers that wrote to the partitions lately, with the beginnings of their open transactions.\n"
	"\n"
	"  --topic TOPIC            the same as TOPIC\n"
	"  --partition N            only this one\n"
	"  --format text|json       json: an object a line for each producer\n" TXN_TIMEOUT_HELP SESSION_HELP;

const char cli_txn_abort_help[] =
	"usage: moldau txn abort TOPIC --partition N --start-offset OFFSET [OPTIONS]\n"
	"\n"
	"Ends a transaction that hangs: writes an abort marker into the partition, past the transaction's "
	"coordinator.\n"
	"`moldau txn find-hanging` and `moldau txn explain` say which one, and where it begins. A transaction that "
	"its\n"
	"coordinator knows ends by itself.\n"
	"\n"
	"  --topic TOPIC            the same as TOPIC\n"
	"  --partition N\n"
	"  --start-offset OFFSET    where the transaction begins there\n"
	"  --producer-id ID         instead of the offset, with the next two: of whose transaction\n"
	"  --producer-epoch N\n"
	"  --coordinator-epoch N    -1: no marker was ever written\n" TXN_TIMEOUT_HELP SESSION_HELP "\nExample\n"
	"  moldau txn abort orders --partition 3 --start-offset 120\n";

/* --- arguments --------------------------------------------------------------------------------------------------- */

static bool add_text(struct txn_arguments *a, const char *text)
{
	if (!text)
		return false;
	a->names = mem_grow(a->names, &a->name_capacity, a->name_count + 1, sizeof(*a->names));
	a->names[a->name_count++] = text;
	return true;
}

static bool take_number(struct cli_options *o, int64_t least, int64_t most, int64_t *ret, bool *ret_given)
{
	*ret_given = true;
	return cli_take_number(o, least, most, ret);
}

/* False after a complaint; for cli_take_all. */
static bool take_option(void *arguments, struct cli_options *o)
{
	struct txn_arguments *a = arguments;
	bool lists = strcmp(o->verb->name, "txn list") == 0, given;

	if (session_takes(&a->session, o))
		return !a->session.usage_error;
	if (cli_is(o, NULL))
		return add_text(a, o->name);
	if (cli_is(o, "--transactional-id") || cli_is(o, "--topic"))
		return add_text(a, cli_value(o));
	if (cli_is(o, "--state"))
		return (a->states = cli_value(o)) != NULL;
	if (lists && cli_is(o, "--producer-id"))
		return (a->producer_ids = cli_value(o)) != NULL;
	if (cli_is(o, "--duration-filter"))
		return cli_take_number(o, -1, INT64_MAX, &a->duration_ms);
	if (cli_is(o, "--id-pattern"))
		return (a->pattern = cli_value(o)) != NULL;
	if (cli_is(o, "--partition"))
		return take_number(o, 0, INT32_MAX, &a->partition, &a->has_partition);
	if (cli_is(o, "--start-offset"))
		return take_number(o, 0, INT64_MAX, &a->start_offset, &a->has_start_offset);
	if (cli_is(o, "--producer-id"))
		return take_number(o, 0, INT64_MAX, &a->producer_id, &a->has_producer_id);
	if (cli_is(o, "--producer-epoch"))
		return take_number(o, 0, INT16_MAX, &a->producer_epoch, &a->has_producer_epoch);
	if (cli_is(o, "--coordinator-epoch"))
		return take_number(o, -1, INT32_MAX, &a->coordinator_epoch, &a->has_coordinator_epoch);
	if (cli_is(o, "--broker-id"))
		return take_number(o, 0, INT32_MAX, &a->broker, &a->has_broker);
	if (cli_is(o, "--max-transaction-timeout"))
		return take_number(o, 0, INT32_MAX, &a->max_timeout_minutes, &given);
	if (cli_is(o, "--timeout"))
		return (a->timeout = cli_value(o)) != NULL;
	if (cli_is(o, "--format"))
		return cli_take_format(o, &a->json);
	cli_unknown(o);
	return false;
}

struct txn_arguments *txn_parse(const struct cli_verb *verb, int argc, char **argv, int *ret_code)
{
	struct txn_arguments *a = mem_new(struct txn_arguments);
	struct cli_options o = cli_options(verb, argc, argv);
	int64_t ms;

	session_init(&a->session, verb);
	session_set(&a->session, "default.api.timeout.ms", DEFAULT_TIMEOUT_MS);
	a->duration_ms = -1;
	a->max_timeout_minutes = DEFAULT_MAX_TIMEOUT_MINUTES;
	*ret_code = cli_take_all(&o, take_option, a);
	if (*ret_code || !a->timeout)
		return a;
	if (!cli_number(a->timeout, 1, INT32_MAX, &ms))
		*ret_code = cli_usage(verb, "--timeout wants milliseconds, not %s", a->timeout);
	else
		session_set(&a->session, "default.api.timeout.ms", a->timeout);
	return a;
}

int txn_finish(struct txn_arguments *a, int code)
{
	session_close(&a->session);
	mem_free(a->names);
	mem_free(a);
	return code;
}

void txn_print(json_t *row)
{
	json_dumpf(row, stdout, JSON_COMPACT);
	putchar('\n');
	json_decref(row);
}

/* --- which partitions -------------------------------------------------------------------------------------------- */

static void add_partition(struct txn_partitions *p, const char *topic, size_t size, int32_t partition)
{
	struct txn_partition_name *to;

	p->items = mem_grow(p->items, &p->capacity, p->count + 1, sizeof(*p->items));
	to = &p->items[p->count++];
	to->topic = mem_zalloc(size + 1);
	memcpy(to->topic, topic, size);
	to->partition = partition;
}

static int add_topic(struct txn_arguments *a, const char *text, struct txn_partitions *p)
{
	const char *colon = strrchr(text, ':');
	size_t size = colon ? (size_t)(colon - text) : strlen(text);
	struct mo_topics topics = {0};
	struct mo_err e;
	char *name;

	if (colon && a->has_partition)
		return cli_usage(a->session.verb, "%s and --partition", text);
	if (a->has_partition) {
		add_partition(p, text, size, (int32_t)a->partition);
		return CLI_DONE;
	}
	for (const char *at = colon ? colon + 1 : ""; *at;) {
		char *end;
		long number = strtol(at, &end, 10);

		if (end == at || (*end != '\0' && *end != ',') || number < 0 || number > INT32_MAX)
			return cli_usage(a->session.verb, "%s is no TOPIC:PARTITION", text);
		add_partition(p, text, size, (int32_t)number);
		at = *end == ',' ? end + 1 : end;
	}
	if (colon)
		return CLI_DONE;
	name = mem_strdup(text);
	if (mo_topic_describe(a->session.client, name, &topics, &e)) {
		mem_free(name);
		return session_failed(&a->session, &e);
	}
	for (size_t i = 0; i < topics.topics[0].partition_count; i++)
		if (!a->has_broker || topics.topics[0].partitions[i].leader == a->broker)
			add_partition(p, text, size, topics.topics[0].partitions[i].partition);
	mo_topics_free(&topics);
	mem_free(name);
	return CLI_DONE;
}

int txn_partitions(struct txn_arguments *a, struct txn_partitions *ret)
{
	struct mo_topics topics;
	struct mo_err e;
	int code = CLI_DONE;

	*ret = (struct txn_partitions){0};
	for (size_t i = 0; i < a->name_count && !code; i++)
		code = add_topic(a, a->names[i], ret);
	if (a->name_count > 0)
		return code;
	if (mo_topic_list(a->session.client, &topics, &e))
		return session_failed(&a->session, &e);
	for (size_t i = 0; i < topics.count; i++)
		for (size_t k = 0; k < topics.topics[i].partition_count; k++)
			if (!a->has_broker || topics.topics[i].partitions[k].leader == a->broker)
				add_partition(ret, topics.topics[i].name, strlen(topics.topics[i].name),
					      topics.topics[i].partitions[k].partition);
	mo_topics_free(&topics);
	return CLI_DONE;
}

void txn_partitions_fini(struct txn_partitions *p)
{
	for (size_t i = 0; i < p->count; i++)
		mem_free(p->items[i].topic);
	mem_free(p->items);
	*p = (struct txn_partitions){0};
}

/* --- list -------------------------------------------------------------------------------------------------------- */

/* As Kafka writes them, whatever the case: "prepare-commit" too. */
static const char *state_name(const char *word)
{
	static const char *const names[] = {"Empty",          "Ongoing",       "PrepareCommit", "PrepareAbort",
					    "CompleteCommit", "CompleteAbort", "Dead",          "PrepareEpochFence"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		const char *a = names[i], *b = word;

		while (*a && *b) {
			if (*b == '-' || *b == '_') {
				b++;
				continue;
			}
			if ((*a | 32) != (*b | 32))
				break;
			a++;
			b++;
		}
		if (!*a && !*b)
			return names[i];
	}
	return NULL;
}

static int take_filters(struct txn_arguments *a, char *states, char *ids, const char **ret_states, int64_t *ret_ids,
			struct mo_txn_filter *f)
{
	for (char *part = states ? strtok(states, ", ") : NULL; part && f->state_count < TXN_FILTERS_MAX;
	     part = strtok(NULL, ", ")) {
		const char *name = state_name(part);

		if (!name)
			return cli_usage(a->session.verb, "there is no state %s", part);
		ret_states[f->state_count++] = name;
	}
	for (char *part = ids ? strtok(ids, ", ") : NULL; part && f->producer_id_count < TXN_FILTERS_MAX;
	     part = strtok(NULL, ", "))
		if (!cli_number(part, 0, INT64_MAX, &ret_ids[f->producer_id_count++]))
			return cli_usage(a->session.verb, "--producer-id wants numbers, not %s", part);
	f->states = ret_states;
	f->producer_ids = ret_ids;
	f->duration_ms = a->duration_ms;
	f->pattern = a->pattern;
	return CLI_DONE;
}

static void print_list(const struct txn_arguments *a, const struct mo_txn_list *l)
{
	static const char *const headings[] = {"TRANSACTIONAL-ID", "COORDINATOR", "PRODUCER-ID", "STATE"};
	struct table t = table(headings, 4);

	for (size_t i = 0; i < l->count; i++) {
		const struct mo_txn_listing *x = &l->txns[i];
		char coordinator[16], producer[32];

		if (a->json) {
			txn_print(json_pack("{s:s, s:I, s:i, s:s}", "transactionalId", x->id, "producerId",
					    (json_int_t)x->producer_id, "coordinator", (int)x->coordinator, "state",
					    x->state));
			continue;
		}
		snprintf(coordinator, sizeof(coordinator), "%d", x->coordinator);
		snprintf(producer, sizeof(producer), "%lld", (long long)x->producer_id);
		table_add(&t, (const char *const[]){x->id, coordinator, producer, x->state});
	}
	table_print(&t);
	table_fini(&t);
}

int cli_txn_list(const struct cli_verb *verb, int argc, char **argv)
{
	int code;
	struct txn_arguments *a = txn_parse(verb, argc, argv, &code);
	const char *state_names[TXN_FILTERS_MAX];
	int64_t ids[TXN_FILTERS_MAX];
	struct mo_txn_filter filter = {.duration_ms = -1};
	char *states = a->states ? mem_strdup(a->states) : NULL,
	     *producers = a->producer_ids ? mem_strdup(a->producer_ids) : NULL;
	struct mo_txn_list l = {0};
	struct mo_err e;

	if (!code && a->name_count > 0)
		code = cli_usage(verb, "takes no id; `moldau txn describe %s` tells of one", a->names[0]);
	if (!code)
		code = take_filters(a, states, producers, state_names, ids, &filter);
	if (!code)
		code = session_open(&a->session);
	if (!code && mo_txn_list(a->session.client, &filter, &l, &e))
		code = session_failed(&a->session, &e);
	if (!code)
		print_list(a, &l);
	mo_txn_list_free(&l);
	mem_free(states);
	mem_free(producers);
	return txn_finish(a, code);
}

/* --- describe ---------------------------------------------------------------------------------------------------- */

static void print_description_json(const struct mo_txn *x, int64_t now_ms)
{
	json_t *partitions = json_array();

	for (size_t i = 0; i < x->partition_count; i++)
		for (size_t k = 0; k < x->partitions[i].count; k++)
			json_array_append_new(partitions, json_pack("{s:s, s:i}", "topic", x->partitions[i].topic,
								    "partition", (int)x->partitions[i].partitions[k]));
	txn_print(json_pack("{s:s, s:i, s:I, s:i, s:s, s:i, s:o, s:o, s:o}", "transactionalId", x->id, "coordinator",
			    (int)x->coordinator, "producerId", (json_int_t)x->producer_id, "producerEpoch",
			    (int)x->epoch, "state", x->state, "timeoutMs", (int)x->timeout_ms, "startMs",
			    x->start_ms < 0 ? json_null() : json_integer(x->start_ms), "durationMs",
			    x->start_ms < 0 ? json_null() : json_integer(now_ms - x->start_ms), "partitions",
			    partitions));
}

static void print_description(const struct mo_txn *x, int64_t now_ms)
{
	char time[TOLD_TEXT_SIZE], span[TOLD_TEXT_SIZE];

	printf("%s: %s, producer %lld in epoch %d, timeout %d ms, coordinator %d\n", x->id, x->state,
	       (long long)x->producer_id, x->epoch, x->timeout_ms, x->coordinator);
	/* One that is complete keeps the time, for itself only. */
	if (x->start_ms >= 0 && strncmp(x->state, "Complete", strlen("Complete")) != 0)
		printf("  began %s UTC, %s ago\n", told_time(x->start_ms, time), told_span(now_ms - x->start_ms, span));
	for (size_t i = 0; i < x->partition_count; i++)
		for (size_t k = 0; k < x->partitions[i].count; k++)
			printf("  %s/%d\n", x->partitions[i].topic, x->partitions[i].partitions[k]);
}

int cli_txn_describe(const struct cli_verb *verb, int argc, char **argv)
{
	int code;
	struct txn_arguments *a = txn_parse(verb, argc, argv, &code);
	struct mo_txn_descriptions d = {0};
	struct mo_err e;

	if (!code && a->name_count == 0)
		code = cli_usage(verb, "which transactional id?");
	if (!code)
		code = session_open(&a->session);
	if (!code && mo_txn_describe(a->session.client, a->names, a->name_count, &d, &e))
		code = session_failed(&a->session, &e);
	for (size_t i = 0; i < d.count; i++) {
		if (d.txns[i].code == NOT_FOUND)
			code = cli_failed(verb, "no transactional id %s is known; `moldau txn list` shows which are",
					  d.txns[i].id);
		else if (d.txns[i].code)
			code = cli_failed(verb, "%s", d.txns[i].text);
		else if (a->json)
			print_description_json(&d.txns[i], txn_now_ms());
		else
			print_description(&d.txns[i], txn_now_ms());
	}
	mo_txn_descriptions_free(&d);
	return txn_finish(a, code);
}

/* --- producers --------------------------------------------------------------------------------------------------- */

static void add_producer(const struct txn_arguments *a, struct table *t, const struct txn_partition_name *where,
			 const struct mo_producer *p)
{
	char numbers[6][32], time[TOLD_TEXT_SIZE];

	if (a->json) {
		txn_print(json_pack("{s:s, s:i, s:I, s:i, s:i, s:i, s:I, s:o}", "topic", where->topic, "partition",
				    (int)where->partition, "producerId", (json_int_t)p->producer_id, "producerEpoch",
				    (int)p->epoch, "coordinatorEpoch", (int)p->coordinator_epoch, "lastSequence",
				    (int)p->last_sequence, "lastTimestampMs", (json_int_t)p->last_timestamp_ms,
				    "startOffset",
				    p->txn_start_offset < 0 ? json_null() : json_integer(p->txn_start_offset)));
		return;
	}
	snprintf(numbers[0], sizeof(numbers[0]), "%d", where->partition);
	snprintf(numbers[1], sizeof(numbers[1]), "%lld", (long long)p->producer_id);
	snprintf(numbers[2], sizeof(numbers[2]), "%d", p->epoch);
	snprintf(numbers[3], sizeof(numbers[3]), "%d", p->coordinator_epoch);
	snprintf(numbers[4], sizeof(numbers[4]), "%d", p->last_sequence);
	snprintf(numbers[5], sizeof(numbers[5]), "%lld", (long long)p->txn_start_offset);
	table_add(t, (const char *const[]){where->topic, numbers[0], numbers[1], numbers[2], numbers[3], numbers[4],
					   told_time(p->last_timestamp_ms, time),
					   p->txn_start_offset < 0 ? NULL : numbers[5]});
}

int cli_txn_producers(const struct cli_verb *verb, int argc, char **argv)
{
	static const char *const headings[] = {"TOPIC",     "PARTITION",         "PRODUCER-ID",
					       "EPOCH",     "COORDINATOR-EPOCH", "SEQUENCE",
					       "LAST-TIME", "OPEN-SINCE-OFFSET"};
	int code;
	struct txn_arguments *a = txn_parse(verb, argc, argv, &code);
	struct table t = table(headings, 8);
	struct txn_partitions partitions = {0};
	struct mo_err e;

	if (!code && a->name_count == 0)
		code = cli_usage(verb, "which topic?");
	if (!code)
		code = session_open(&a->session);
	if (!code)
		code = txn_partitions(a, &partitions);
	for (size_t i = 0; i < partitions.count && !code; i++) {
		struct mo_producers found;

		if (mo_producer_list(a->session.client, partitions.items[i].topic, partitions.items[i].partition,
				     &found, &e))
			code = session_failed(&a->session, &e);
		for (size_t k = 0; k < found.count; k++)
			add_producer(a, &t, &partitions.items[i], &found.producers[k]);
		mo_producers_free(&found);
	}
	table_print(&t);
	table_fini(&t);
	txn_partitions_fini(&partitions);
	return txn_finish(a, code);
}

/* --- abort ------------------------------------------------------------------------------------------------------- */

static int find_by_offset(struct txn_arguments *a, const char *topic, struct mo_producer *ret)
{
	struct mo_producers found;
	struct mo_err e;
	bool any = false;

	if (mo_producer_list(a->session.client, topic, (int32_t)a->partition, &found, &e))
		return session_failed(&a->session, &e);
	for (size_t i = 0; i < found.count && !any; i++) {
		any = found.producers[i].txn_start_offset == a->start_offset;
		if (any)
			*ret = found.producers[i];
	}
	mo_producers_free(&found);
	if (any)
		return CLI_DONE;
	return cli_failed(a->session.verb, "no open transaction begins at offset %lld of %s/%lld",
			  (long long)a->start_offset, topic, (long long)a->partition);
}

static int abort_one(struct txn_arguments *a, const char *topic)
{
	struct mo_producer producer = {.producer_id = a->producer_id,
				       .epoch = (int32_t)a->producer_epoch,
				       .coordinator_epoch = (int32_t)a->coordinator_epoch};
	struct mo_err e;
	int code = a->has_start_offset ? find_by_offset(a, topic, &producer) : CLI_DONE;

	if (code)
		return code;
	if (mo_txn_abort_in(a->session.client, topic, (int32_t)a->partition, &producer, &e))
		return session_failed(&a->session, &e);
	printf("aborted the transaction of producer %lld in epoch %d in %s/%lld\n", (long long)producer.producer_id,
	       producer.epoch, topic, (long long)a->partition);
	return CLI_DONE;
}

int cli_txn_abort(const struct cli_verb *verb, int argc, char **argv)
{
	int code;
	struct txn_arguments *a = txn_parse(verb, argc, argv, &code);
	bool by_producer = a->has_producer_id || a->has_producer_epoch || a->has_coordinator_epoch;

	if (!code && a->name_count != 1)
		code = cli_usage(verb, "one topic, please");
	if (!code && !a->has_partition)
		code = cli_usage(verb, "which --partition?");
	if (!code && a->has_start_offset == by_producer)
		code = cli_usage(verb, "--start-offset, or --producer-id, --producer-epoch and --coordinator-epoch");
	if (!code && by_producer && !(a->has_producer_id && a->has_producer_epoch && a->has_coordinator_epoch))
		code = cli_usage(verb, "--producer-id, --producer-epoch and --coordinator-epoch go together");
	if (!code)
		code = session_open(&a->session);
	if (!code)
		code = abort_one(a, a->names[0]);
	return txn_finish(a, code);
}
