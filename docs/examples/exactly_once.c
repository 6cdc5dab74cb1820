/*
 * Copies the records of one topic to another in capital letters, each exactly once: kill it at any moment and start it again, or several of it with
 * names of their own, and the copy has no record twice and none is missing for readers with isolation.level=read_committed.
 * Ends after COUNT records (0: never), or on Ctrl-C.
 *
 *      cc -I include docs/examples/exactly_once.c -L build/release -lmoldau -o exactly_once
 *      LD_LIBRARY_PATH=build/release ./exactly_once 127.0.0.1:9092 copiers copier-1 greetings loud 100
 */
#include <moldau/moldau.h>

#include <ctype.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

static volatile sig_atomic_t stopped;

struct copy {
	const char *to;
	long left; /* -1: without end */
	long done; /* committed */
	long open; /* in the transaction under way */
};

static void on_signal(int number)
{
	(void)number;
	stopped = 1;
}

static bool stop(void *context)
{
	struct copy *copy = context;

	return stopped || copy->left == 0 || (copy->left > 0 && copy->done + copy->open >= copy->left);
}

/* What is produced here is committed together with the fact that the record was read. */
static int process(void *context, struct mo_client *client, const struct mo_message *m, struct mo_err *err)
{
	struct copy *copy = context;
	char *loud = malloc(m->value.size + 1);
	struct mo_record record = {
		.topic = copy->to, .partition = MO_ANY_PARTITION, .timestamp_ms = m->timestamp_ms, .key = m->key};
	int code;

	if (!loud)
		abort();
	for (size_t i = 0; i < m->value.size; i++)
		loud[i] = (char)toupper(((const unsigned char *)m->value.data)[i]);
	record.value = (struct mo_bytes){m->value.data ? loud : NULL, m->value.size};
	code = mo_produce(client, &record, err);
	free(loud);
	if (!code)
		copy->open++;
	return code;
}

static void told(void *context, enum mo_process_event what, const struct mo_topic_partition *partitions, size_t count)
{
	struct copy *copy = context;

	(void)partitions;
	(void)count;
	if (what == MO_PROCESS_COMMITTED)
		copy->done += copy->open;
	if (what == MO_PROCESS_COMMITTED || what == MO_PROCESS_ABORTED)
		copy->open = 0;
}

int main(int argc, char **argv)
{
	struct copy copy = {.left = -1};
	struct mo_client *client;
	struct mo_err err;
	int code;

	if (argc < 6) {
		fprintf(stderr, "usage: %s HOST:PORT GROUP NAME FROM TO [COUNT]\n", argv[0]);
		return 2;
	}
	struct mo_option options[] = {
		{"bootstrap.servers", argv[1]},    {"group.id", argv[2]},
		{"transactional.id", argv[3]}, /* stays over restarts: who has it now fences who had it before */
		{"enable.auto.commit", "false"},   {"isolation.level", "read_committed"},
		{"auto.offset.reset", "earliest"}, {"moldau.fail.fast", "true"},
	};
	const char *from[] = {argv[4]};

	signal(SIGINT, on_signal);
	signal(SIGTERM, on_signal);
	copy.to = argv[5];
	if (argc > 6 && atol(argv[6]) > 0)
		copy.left = atol(argv[6]);
	code = mo_client_open(options, sizeof(options) / sizeof(options[0]), &client, &err);
	if (!code) {
		struct mo_process p = {.topics = from,
				       .topic_count = 1,
				       .process = process,
				       .stop = stop,
				       .told = told,
				       .context = &copy};

		code = mo_process(client, &p, &err);
		mo_client_close(client);
	}
	if (code)
		fprintf(stderr, "%s\n", err.text);
	else
		printf("copied %ld records\n", copy.done);
	return code ? 1 : 0;
}
