/* A worker with transactions over libmoldau: worker JSON. ../README.md has the contract. Copies by mo_process; plays by the single calls. */
#include <moldau/moldau.h>

#include <jansson.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define IN_VAIN 3 /* exit code of one that cannot go on and wants a successor */
#define POLL_MS 20
#define NAME_SIZE 200

struct worker {
	struct mo_client *client;
	const char *name, *in, *out;
	int partitions;
	int count;
	char txn[NAME_SIZE];
};

/* What becomes of a record is told with what it was. */
struct sent {
	char txn[NAME_SIZE];
	char key[NAME_SIZE];
	char value[];
};

/* --- what happens ------------------------------------------------------------------------------------------------ */

static void say(const char *event, const char *format, ...)
{
	va_list arguments;
	json_t *row;
	struct timespec now;

	va_start(arguments, format);
	row = json_vpack_ex(NULL, 0, format, arguments);
	va_end(arguments);
	clock_gettime(CLOCK_MONOTONIC, &now);
	if (!row)
		abort();
	json_object_set_new(row, "t", json_integer((json_int_t)now.tv_sec * 1000000000 + now.tv_nsec));
	json_object_set_new(row, "e", json_string(event));
	json_dumpf(row, stdout, JSON_COMPACT);
	putchar('\n');
	fflush(stdout);
	json_decref(row);
}

static void say_partitions(const char *event, const struct mo_topic_partition *p, size_t count)
{
	json_t *keys = json_array();

	for (size_t i = 0; i < count; i++)
		json_array_append_new(keys, json_sprintf("%s-%d", p[i].topic, (int)p[i].partition));
	say(event, "{s:o}", "k", keys);
}

static int in_vain(struct worker *w, const struct mo_err *e)
{
	say("in_vain", "{s:s, s:s}", "txn", w->txn, "m", e->text);
	return IN_VAIN;
}

static bool asked_to_leave(void)
{
	struct pollfd in = {.fd = STDIN_FILENO, .events = POLLIN};

	return poll(&in, 1, 0) > 0;
}

static void begun(struct worker *w)
{
	snprintf(w->txn, sizeof(w->txn), "%s-%d", w->name, ++w->count);
	say("begin", "{s:s}", "txn", w->txn);
}

static void delivered(void *context, const struct mo_delivery *d)
{
	struct sent *s = d->opaque;

	(void)context;
	if (!d->code)
		say("sent", "{s:s, s:s, s:s, s:I}", "txn", s->txn, "k", s->key, "v", s->value, "o",
		    (json_int_t)d->offset);
	free(s);
}

static int send_value(struct worker *w, const char *topic, int partition, const char *value, struct mo_err *err)
{
	struct sent *s = malloc(sizeof(*s) + strlen(value) + 1);
	struct mo_record r = {.topic = topic,
			      .partition = partition,
			      .timestamp_ms = MO_NOW,
			      .value = {value, strlen(value)},
			      .opaque = s};
	int code;

	if (!s)
		abort();
	snprintf(s->txn, sizeof(s->txn), "%s", w->txn);
	snprintf(s->key, sizeof(s->key), "%s-%d", topic, partition);
	strcpy(s->value, value);
	say("send", "{s:s, s:s, s:s}", "txn", w->txn, "k", s->key, "v", value);
	code = mo_produce(w->client, &r, err);
	if (code)
		free(s);
	return code;
}

static void say_poll(const struct worker *w, const struct mo_message *m)
{
	json_t *row = json_array();

	json_array_append_new(row, json_sprintf("%s-%d", m->topic, (int)m->partition));
	json_array_append_new(row, json_integer(m->offset));
	json_array_append_new(row, json_stringn(m->value.data, m->value.size));
	say("poll", "{s:s, s:[o]}", "txn", w->txn, "r", row);
}

/* --- copy -------------------------------------------------------------------------------------------------------- */

static int copy_one(void *context, struct mo_client *c, const struct mo_message *m, struct mo_err *err)
{
	struct worker *w = context;
	char number[40], value[NAME_SIZE * 2];

	(void)c;
	say_poll(w, m);
	snprintf(number, sizeof(number), "%.*s", (int)m->value.size, (const char *)m->value.data);
	snprintf(value, sizeof(value), "%s@%s", number, w->txn);
	return send_value(w, w->out, atoi(number) % w->partitions, value, err);
}

static bool copy_stop(void *context)
{
	(void)context;
	return asked_to_leave();
}

static void copy_told(void *context, enum mo_process_event what, const struct mo_topic_partition *partitions,
		      size_t count)
{
	struct worker *w = context;

	switch (what) {
	case MO_PROCESS_BEGIN:
		begun(w);
		break;
	case MO_PROCESS_COMMIT:
		say("commit", "{s:s}", "txn", w->txn);
		break;
	case MO_PROCESS_COMMITTED:
		say("committed", "{s:s}", "txn", w->txn);
		break;
	case MO_PROCESS_ABORTED:
		/* Not so when it failed for good: then its successor aborts it. */
		if (mo_txn_state(w->client) != MO_TXN_FATAL) {
			say("abort", "{s:s}", "txn", w->txn);
			say("aborted", "{s:s}", "txn", w->txn);
		}
		for (size_t i = 0; i < count; i++)
			say_partitions("assigned", &partitions[i], 1);
		break;
	case MO_PROCESS_ASSIGNED:
		say_partitions("assigned", partitions, count);
		break;
	case MO_PROCESS_GONE:
		say_partitions("revoked", partitions, count);
		break;
	}
}

static int copy(struct worker *w, const json_t *config)
{
	struct mo_process p = {
		.topics = &w->in,
		.topic_count = 1,
		.process = copy_one,
		.stop = copy_stop,
		.told = copy_told,
		.context = w,
		.max_records = (size_t)json_integer_value(json_object_get(config, "per_txn")),
		.max_ms = (int)json_integer_value(json_object_get(config, "commit_ms")),
	};
	struct mo_err err;

	return mo_process(w->client, &p, &err) ? in_vain(w, &err) : 0;
}

/* --- play -------------------------------------------------------------------------------------------------------- */

/* 0, or an exit code. */
static int end(struct worker *w, bool commit)
{
	struct mo_err err;

	if (commit && mo_txn_state(w->client) == MO_TXN_OPEN) {
		say("commit", "{s:s}", "txn", w->txn);
		if (!mo_txn_commit(w->client, -1, &err)) {
			say("committed", "{s:s}", "txn", w->txn);
			return 0;
		}
	}
	if (mo_txn_state(w->client) != MO_TXN_FATAL) {
		say("abort", "{s:s}", "txn", w->txn);
		if (!mo_txn_abort(w->client, -1, &err)) {
			say("aborted", "{s:s}", "txn", w->txn);
			return 0;
		}
	}
	return mo_txn_state(w->client) == MO_TXN_FATAL ? in_vain(w, &err) : end(w, false);
}

static int play_one(struct worker *w)
{
	const struct mo_message *m;
	struct mo_err err;
	char value[NAME_SIZE + 20];
	int numbers = 1 + rand() % 6;

	if (mo_txn_begin(w->client, &err))
		return in_vain(w, &err);
	begun(w);
	for (int number = 0; number < numbers; number++) {
		snprintf(value, sizeof(value), "%s/%d", w->txn, number);
		if (rand() % 10 < 6) {
			(void)send_value(w, w->in, rand() % w->partitions, value, &err);
			continue;
		}
		for (int i = 1 + rand() % 20; i > 0; i--)
			if (!mo_consume(w->client, POLL_MS, &m, &err))
				say_poll(w, m);
	}
	return end(w, rand() % 100 < 85);
}

static int play(struct worker *w)
{
	struct mo_err err;
	int code = 0;

	for (int p = 0; p < w->partitions; p++)
		if (mo_assign(w->client, w->in, p, MO_OFFSET(0), &err))
			return in_vain(w, &err);
	while (!code && !asked_to_leave())
		code = play_one(w);
	return code;
}

int main(int argc, char **argv)
{
	json_t *config = argc > 1 ? json_loads(argv[1], 0, NULL) : NULL;
	const char *group, *mode;
	char timeout[20], session[20];
	struct worker w = {0};
	struct mo_err err;
	int code;

	if (!config)
		return 2;
	w.name = json_string_value(json_object_get(config, "name"));
	w.in = json_string_value(json_object_get(config, "in"));
	w.out = json_string_value(json_object_get(config, "out"));
	w.partitions = (int)json_integer_value(json_object_get(config, "partitions"));
	mode = json_string_value(json_object_get(config, "mode"));
	group = json_string_value(json_object_get(config, "group"));
	snprintf(timeout, sizeof(timeout), "%d", (int)json_integer_value(json_object_get(config, "timeout_ms")));
	snprintf(session, sizeof(session), "%d", (int)json_integer_value(json_object_get(config, "session_ms")));
	struct mo_option options[] = {
		{"bootstrap.servers", json_string_value(json_object_get(config, "bootstrap"))},
		{"client.id", w.name},
		{"transactional.id", json_string_value(json_object_get(config, "txn_id"))},
		{"transaction.timeout.ms", timeout},
		{"group.id", group ? group : w.name},
		{"enable.auto.commit", "false"},
		{"isolation.level", "read_committed"},
		{"auto.offset.reset", "earliest"},
		/* Of the classic protocol: in the newer one the broker decides them. */
		{"session.timeout.ms", session},
		{"heartbeat.interval.ms", "500"},
		{"linger.ms", "2"},
		{"fetch.max.wait.ms", "50"},
		{"reconnect.backoff.max.ms", "500"},
	};

	srand((unsigned)getpid());
	if (mo_client_open(options, sizeof(options) / sizeof(options[0]), &w.client, &err)) {
		fprintf(stderr, "%s\n", err.text);
		return 2;
	}
	mo_set_delivery(w.client, delivered, &w);
	code = mo_txn_init(w.client, -1, &err) ? in_vain(&w, &err) : 0;
	if (!code) {
		say("started", "{}");
		code = strcmp(mode, "copy") == 0 ? copy(&w, config) : play(&w);
	}
	mo_client_close(w.client);
	if (!code)
		say("left", "{}");
	json_decref(config);
	return code;
}
