/*
 * Reads a topic as a member of a group: start it several times, and the partitions are shared; stop one, and the others take over where it
 * left off. Ends after COUNT records (0: never), or on Ctrl-C.
 *
 *      cc -I include docs/examples/group_consumer.c -L build/release -lmoldau -o group_consumer
 *      LD_LIBRARY_PATH=build/release ./group_consumer 127.0.0.1:9092 readers greetings 100
 */
#include <moldau/moldau.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

static volatile sig_atomic_t stopped;

static void on_signal(int number)
{
	(void)number;
	stopped = 1;
}

/* Runs inside mo_poll, on this thread. What is revoked is still ours here; what is lost is not. */
static void rebalanced(void *context, enum mo_rebalance what, const struct mo_topic_partition *partitions, size_t count)
{
	static const char *const words[] = {[MO_ASSIGNED] = "assigned", [MO_REVOKED] = "revoked", [MO_LOST] = "lost"};
	struct mo_client *client = *(struct mo_client **)context;
	struct mo_err err;

	fprintf(stderr, "%s:", words[what]);
	for (size_t i = 0; i < count; i++)
		fprintf(stderr, " %s/%d", partitions[i].topic, (int)partitions[i].partition);
	fprintf(stderr, "\n");
	/* Whoever gets them goes on behind what we are done with. */
	if (what == MO_REVOKED && mo_commit(client, NULL, 0, &err))
		fprintf(stderr, "%s\n", err.text);
}

static int consume(struct mo_client *client, long count, struct mo_err *err)
{
	long seen = 0;

	while (!stopped && (count == 0 || seen < count)) {
		const struct mo_message *m;
		int code;

		mo_poll(client, 0);
		code = mo_consume(client, 200, &m, err);
		if (code == MO_TIMED_OUT || code == MO_CALLBACK_DUE)
			continue;
		if (code)
			return code;
		printf("%d/%lld: %.*s\n", (int)m->partition, (long long)m->offset, (int)m->value.size,
		       (const char *)m->value.data);
		seen++;
		/* Every hundred records: what is behind the last one is where the group goes on. */
		if (seen % 100 == 0 && mo_commit(client, NULL, 0, err) && err->code != MO_REBALANCE)
			return err->code;
	}
	return 0;
}

int main(int argc, char **argv)
{
	struct mo_option options[] = {
		{"bootstrap.servers", argc > 1 ? argv[1] : "127.0.0.1:9092"},
		{"group.id", argc > 2 ? argv[2] : "readers"},
		{"enable.auto.commit", "false"},
		{"auto.offset.reset", "earliest"}, /* where the group has no offset yet */
	};
	const char *topic = argc > 3 ? argv[3] : "greetings";
	struct mo_client *client;
	struct mo_err err;
	int failed = 0;

	signal(SIGINT, on_signal);
	signal(SIGTERM, on_signal);
	if (mo_client_open(options, sizeof(options) / sizeof(options[0]), &client, &err)) {
		fprintf(stderr, "%s\n", err.text);
		return 1;
	}
	mo_set_rebalance(client, rebalanced, &client);
	if (mo_subscribe(client, &topic, 1, &err) || consume(client, argc > 4 ? atol(argv[4]) : 0, &err)) {
		fprintf(stderr, "%s\n", err.text);
		failed++;
	}
	/* Tells the listener, leaves the group: the others get our partitions at once. */
	if (mo_consumer_close(client, 10000, &err)) {
		fprintf(stderr, "%s\n", err.text);
		failed++;
	}
	mo_client_close(client);
	return failed ? 1 : 0;
}
