/*
 * perf_client: loads any Kafka broker through librdkafka and prints one line of figures. A program of its own; `run` beside it builds and calls it.
 *
 *      perf_client produce BOOTSTRAP TOPIC COUNT SIZE PARTITIONS [NAME=VALUE...]
 *      perf_client consume BOOTSTRAP TOPIC COUNT [NAME=VALUE...]           from the beginning of all partitions
 *      perf_client latency BOOTSTRAP TOPIC COUNT SIZE RATE [NAME=VALUE...]
 *
 * produce spreads round-robin: the partitioner changes a client's rate by two. Values are hexadecimal text of which neighbours share a
 * part, so that they compress as text does. latency sends RATE records a second, each timed from the moment at which it was *due* (so that a
 * stall counts for all that it delayed) until the consumer of the same process has it. NAME=VALUE are librdkafka's settings.
 */
#include <librdkafka/rdkafka.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define POOL_BYTES (1 << 20)
#define BATCH 10000
#define IDLE_US 20000000 /* a consumer that gets nothing for so long ends with what it has */
#define WARM_UP 500      /* records that latency sends before it counts */

struct load {
	const char *bootstrap;
	const char *topic;
	long count;
	size_t size;
	int32_t partitions;
	long rate;
	char **settings;
	char *values;
	uint32_t *latency_us; /* one for each record */
	long answered;        /* on the producer's thread */
	long failed;
	bool end_to_end;
	atomic_bool consuming;
};

__attribute__((noreturn, format(printf, 1, 2))) static void die(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	fputs("perf_client: ", stderr);
	vfprintf(stderr, format, arguments);
	fputc('\n', stderr);
	va_end(arguments);
	_exit(1);
}

static int64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static void set(rd_kafka_conf_t *c, const char *name, const char *value, bool must_fit)
{
	char problem[256];

	if (rd_kafka_conf_set(c, name, value, problem, sizeof(problem)) != RD_KAFKA_CONF_OK && must_fit)
		die("%s", problem);
}

/* A setting may be one of the other kind of client when one command line has both. */
static void set_given(rd_kafka_conf_t *c, char **settings, bool must_fit)
{
	for (; *settings; settings++) {
		const char *equals = strchr(*settings, '=');
		char name[128];

		if (!equals || (size_t)(equals - *settings) >= sizeof(name))
			die("%s is not NAME=VALUE", *settings);
		memcpy(name, *settings, (size_t)(equals - *settings));
		name[equals - *settings] = 0;
		set(c, name, equals + 1, must_fit);
	}
}

static void answered(rd_kafka_t *client, const rd_kafka_message_t *m, void *opaque)
{
	struct load *l = opaque;

	(void)client;
	if (m->err && !l->failed++)
		fprintf(stderr, "perf_client: a record failed: %s\n", rd_kafka_err2str(m->err));
	if (!m->err && !l->end_to_end && l->answered < l->count)
		l->latency_us[l->answered] = (uint32_t)rd_kafka_message_latency(m);
	l->answered++;
}

static rd_kafka_t *new_client(struct load *l, rd_kafka_type_t type)
{
	rd_kafka_conf_t *c = rd_kafka_conf_new();
	char problem[256];
	rd_kafka_t *client;

	set(c, "bootstrap.servers", l->bootstrap, true);
	if (type == RD_KAFKA_PRODUCER) {
		set(c, "queue.buffering.max.messages", "200000", true);
		set(c, "queue.buffering.max.kbytes", "262144", true);
		rd_kafka_conf_set_dr_msg_cb(c, answered);
	} else {
		set(c, "group.id", "perf_client", true);
		set(c, "enable.auto.commit", "false", true);
		set(c, "auto.offset.reset", "earliest", true);
	}
	rd_kafka_conf_set_opaque(c, l);
	set_given(c, l->settings, !l->end_to_end);
	client = rd_kafka_new(type, c, problem, sizeof(problem));
	if (!client)
		die("%s", problem);
	return client;
}

static int by_value(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static void report(const struct load *l, const char *what, long count, int64_t bytes, int64_t us)
{
	struct rusage r;
	double cpu;

	getrusage(RUSAGE_SELF, &r);
	cpu = (double)(r.ru_utime.tv_sec + r.ru_stime.tv_sec) + (double)(r.ru_utime.tv_usec + r.ru_stime.tv_usec) / 1e6;
	printf("%s n=%ld s=%.3f msgs/s=%.0f MB/s=%.2f client_cpu=%.2f failed=%ld", what, count, (double)us / 1e6,
	       (double)count * 1e6 / (double)us, (double)bytes / (double)us, cpu, l->failed);
	if (l->latency_us && count > l->failed) {
		long timed = count - l->failed;

		qsort(l->latency_us, (size_t)timed, sizeof(*l->latency_us), by_value);
		printf(" p50us=%u p99us=%u p99.9us=%u maxus=%u", l->latency_us[timed / 2],
		       l->latency_us[timed * 99 / 100], l->latency_us[timed * 999 / 1000], l->latency_us[timed - 1]);
	}
	putchar('\n');
}

static void fill_values(struct load *l)
{
	uint64_t x = 88172645463325252u;

	l->values = malloc(POOL_BYTES + l->size);
	if (!l->values)
		die("no memory");
	for (size_t i = 0; i < POOL_BYTES + l->size; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		l->values[i] = "0123456789abcdef"[(x >> 32) & 15];
	}
}

static void know_topic(rd_kafka_t *client, rd_kafka_topic_t *topic, int32_t *ret_partitions)
{
	const struct rd_kafka_metadata *m;

	if (rd_kafka_metadata(client, 0, topic, &m, 30000) || m->topic_cnt != 1 || !m->topics[0].partition_cnt)
		die("no metadata");
	*ret_partitions = m->topics[0].partition_cnt;
	rd_kafka_metadata_destroy(m);
}

static void send_record(struct load *l, rd_kafka_t *client, rd_kafka_topic_t *topic, int32_t partition, void *value)
{
	while (rd_kafka_produce(topic, partition, RD_KAFKA_MSG_F_COPY, value, l->size, NULL, 0, NULL)) {
		if (rd_kafka_last_error() != RD_KAFKA_RESP_ERR__QUEUE_FULL)
			die("%s", rd_kafka_err2str(rd_kafka_last_error()));
		rd_kafka_poll(client, 10);
	}
}

static void produce(struct load *l)
{
	rd_kafka_t *client = new_client(l, RD_KAFKA_PRODUCER);
	rd_kafka_topic_t *topic = rd_kafka_topic_new(client, l->topic, NULL);
	int32_t there;
	int64_t began;

	know_topic(client, topic, &there);
	l->latency_us = malloc((size_t)l->count * sizeof(*l->latency_us));
	fill_values(l);
	began = now_us();
	for (long sent = 0; sent < l->count; sent++) {
		if (!(sent & 255))
			rd_kafka_poll(client, 0);
		send_record(l, client, topic, (int32_t)(sent % l->partitions),
			    l->values + (size_t)sent * 97 % POOL_BYTES);
	}
	while (l->answered < l->count)
		rd_kafka_poll(client, 100);
	report(l, "produce", l->answered, (int64_t)l->answered * (int64_t)l->size, now_us() - began);
}

static rd_kafka_t *new_consumer(struct load *l, int64_t offset)
{
	rd_kafka_t *client = new_client(l, RD_KAFKA_CONSUMER);
	rd_kafka_topic_t *topic = rd_kafka_topic_new(client, l->topic, NULL);
	rd_kafka_topic_partition_list_t *all = rd_kafka_topic_partition_list_new(8);
	int32_t partitions;

	know_topic(client, topic, &partitions);
	for (int32_t p = 0; p < partitions; p++)
		rd_kafka_topic_partition_list_add(all, l->topic, p)->offset = offset;
	rd_kafka_assign(client, all);
	rd_kafka_topic_partition_list_destroy(all);
	return client;
}

static void consume(struct load *l)
{
	static rd_kafka_message_t *batch[BATCH];
	rd_kafka_t *client = new_consumer(l, RD_KAFKA_OFFSET_BEGINNING);
	rd_kafka_queue_t *queue = rd_kafka_queue_get_consumer(client);
	int64_t began = now_us(), last = began, bytes = 0;
	long count = 0;

	while (count < l->count && now_us() - last < IDLE_US) {
		ssize_t got = rd_kafka_consume_batch_queue(queue, 100, batch, BATCH);

		for (ssize_t i = 0; i < got; i++) {
			if (!batch[i]->err) {
				bytes += (int64_t)batch[i]->len;
				count++;
				last = 0;
			}
			rd_kafka_message_destroy(batch[i]);
		}
		if (!last)
			last = now_us();
	}
	report(l, "consume", count, bytes, now_us() - began);
	if (count < l->count)
		die("%ld of %ld came", count, l->count);
}

/* The first 8 bytes of a record are the moment at which it was due; 0 while the consumer is waited for and during the warm-up. */
static void *take_timed(void *argument)
{
	struct load *l = argument;
	rd_kafka_t *client = new_consumer(l, RD_KAFKA_OFFSET_END);
	int64_t began = 0, now = now_us(), last = now, due;
	long count = 0;

	while (count < l->count && now - last < IDLE_US) {
		rd_kafka_message_t *m = rd_kafka_consumer_poll(client, 100);

		now = now_us();
		if (!m)
			continue;
		if (!m->err) {
			last = now;
			atomic_store(&l->consuming, true);
			memcpy(&due, m->payload, sizeof(due));
			if (due && !count)
				began = now;
			if (due)
				l->latency_us[count++] = (uint32_t)(now - due);
		}
		rd_kafka_message_destroy(m);
	}
	report(l, "latency", count, (int64_t)count * (int64_t)l->size, now - began);
	if (count < l->count)
		die("%ld of %ld came", count, l->count);
	return NULL;
}

static void wait_until(rd_kafka_t *client, int64_t due)
{
	for (int64_t now = now_us(); now < due; now = now_us())
		if (rd_kafka_poll(client, 0) == 0 && due - now > 200)
			usleep((useconds_t)(due - now - 150));
}

static void latency(struct load *l)
{
	rd_kafka_t *client = new_client(l, RD_KAFKA_PRODUCER);
	rd_kafka_topic_t *topic = rd_kafka_topic_new(client, l->topic, NULL);
	int64_t none = 0, began, due;
	int32_t partitions;
	pthread_t consumer;

	know_topic(client, topic, &partitions);
	l->latency_us = malloc((size_t)l->count * sizeof(*l->latency_us));
	fill_values(l);
	memcpy(l->values, &none, sizeof(none));
	pthread_create(&consumer, NULL, take_timed, l);
	while (!atomic_load(&l->consuming)) {
		send_record(l, client, topic, 0, l->values);
		rd_kafka_poll(client, 20);
	}
	began = now_us();
	for (long sent = 0; sent < WARM_UP + l->count; sent++) {
		due = began + sent * 1000000 / l->rate;
		wait_until(client, due);
		if (sent >= WARM_UP)
			memcpy(l->values, &due, sizeof(due));
		send_record(l, client, topic, (int32_t)(sent % partitions), l->values);
	}
	while (rd_kafka_outq_len(client))
		rd_kafka_poll(client, 10);
	pthread_join(consumer, NULL);
}

int main(int argc, char **argv)
{
	struct load l = {.partitions = 1};
	bool produces = argc > 6 && strcmp(argv[1], "produce") == 0;
	bool times = argc > 6 && strcmp(argv[1], "latency") == 0;

	if (!produces && !times && !(argc > 4 && strcmp(argv[1], "consume") == 0))
		die("usage: perf_client produce|consume|latency BOOTSTRAP TOPIC COUNT [SIZE PARTITIONS|RATE] "
		    "[NAME=VALUE...]");
	l.bootstrap = argv[2];
	l.topic = argv[3];
	l.count = strtol(argv[4], NULL, 10);
	l.settings = argv + (produces || times ? 7 : 5);
	if (produces || times)
		l.size = strtoul(argv[5], NULL, 10);
	if (times && l.size < sizeof(int64_t))
		die("a timed record has at least 8 bytes");
	if (produces)
		l.partitions = (int32_t)strtol(argv[6], NULL, 10);
	else if (times)
		l.rate = strtol(argv[6], NULL, 10);
	l.end_to_end = times;
	if (produces)
		produce(&l);
	else if (times)
		latency(&l);
	else
		consume(&l);
	fflush(stdout);
	_exit(l.failed != 0);
}
