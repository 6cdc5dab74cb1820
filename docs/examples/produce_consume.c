/*
 * Produces three records, sees what became of each, and reads the topic from its beginning to its end.
 *
 *      cc -I include docs/examples/produce_consume.c -L build/release -lmoldau -o produce_consume
 *      LD_LIBRARY_PATH=build/release ./produce_consume 127.0.0.1:9092 greetings
 */
#include <moldau/moldau.h>

#include <stdio.h>
#include <string.h>

/* Runs inside mo_flush and mo_poll, on this thread. */
static void delivered(void *context, const struct mo_delivery *d)
{
	int *failed = context;

	if (d->code == 0) {
		printf("%s is at %s/%d, offset %lld\n", (const char *)d->opaque, d->topic, (int)d->partition,
		       (long long)d->offset);
	} else {
		fprintf(stderr, "%s is not written: %s\n", (const char *)d->opaque, d->text);
		(*failed)++;
	}
}

static int produce(struct mo_client *client, const char *topic, struct mo_err *err)
{
	static const char *const words[] = {"one", "two", "three"};
	struct mo_header header = {.key = {"from", 4}, .value = {"an example", 10}};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		struct mo_record record = {
			.topic = topic,
			.partition = MO_ANY_PARTITION,
			.timestamp_ms = MO_NOW,
			.key = {"k", 1},
			.value = {words[i], strlen(words[i])},
			.headers = &header,
			.header_count = 1,
			.opaque = (void *)words[i], /* comes back in the delivery */
		};

		/* Copies the record and returns; its fate comes later. */
		if (mo_produce(client, &record, err))
			return err->code;
	}
	return mo_flush(client, 10000, err);
}

/* Every partition from its beginning on. Gives their number. */
static int assign(struct mo_client *client, const char *topic, size_t *ret_count, struct mo_err *err)
{
	struct mo_topics topics;

	if (mo_topic_describe(client, topic, &topics, err))
		return err->code;
	*ret_count = topics.topics[0].partition_count;
	for (size_t i = 0; i < *ret_count; i++) {
		if (mo_assign(client, topic, topics.topics[0].partitions[i].partition, MO_BEGINNING, err)) {
			mo_topics_free(&topics);
			return err->code;
		}
	}
	mo_topics_free(&topics);
	return 0;
}

static int consume(struct mo_client *client, const char *topic, struct mo_err *err)
{
	const struct mo_message *m;
	size_t partitions = 0, ended = 0;

	if (assign(client, topic, &partitions, err))
		return err->code;
	while (ended < partitions) {
		struct mo_header header;
		int code = mo_consume(client, 1000, &m, err);

		if (code == MO_TIMED_OUT)
			continue;
		if (code)
			return code;
		if (m->end) { /* asked for by enable.partition.eof */
			ended++;
			continue;
		}
		printf("%d/%lld: %.*s", (int)m->partition, (long long)m->offset, (int)m->value.size,
		       (const char *)m->value.data);
		for (size_t i = 0; mo_message_header(m, i, &header); i++)
			printf(" (%.*s: %.*s)", (int)header.key.size, (const char *)header.key.data,
			       (int)header.value.size, (const char *)header.value.data);
		putchar('\n');
	}
	return 0;
}

int main(int argc, char **argv)
{
	struct mo_option options[] = {
		{"bootstrap.servers", argc > 1 ? argv[1] : "127.0.0.1:9092"},
		{"compression.type", "zstd"},
		{"enable.partition.eof", "true"},
		{"moldau.fail.fast", "true"}, /* say at once that nobody listens */
	};
	const char *topic = argc > 2 ? argv[2] : "greetings";
	struct mo_client *client;
	struct mo_err err;
	int failed = 0;

	if (mo_client_open(options, sizeof(options) / sizeof(options[0]), &client, &err)) {
		fprintf(stderr, "%s\n", err.text);
		return 1;
	}
	mo_set_delivery(client, delivered, &failed);
	if (produce(client, topic, &err) || consume(client, topic, &err)) {
		fprintf(stderr, "%s\n", err.text);
		failed++;
	}
	mo_client_close(client);
	return failed ? 1 : 0;
}
