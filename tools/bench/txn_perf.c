/*
 * txn_perf: transactions at a steady pace on any Kafka broker through librdkafka, and when a read-committed consumer has them. A program of its
 * own; `txn` beside it builds and calls it. Prints one line of figures.
 *
 *      txn_perf BOOTSTRAP TOPIC PARTITIONS COMMIT_MS SECONDS RATE SIZE
 *
 * RATE records a second (0: as many as go) of SIZE bytes, round-robin, in transactions that are committed every COMMIT_MS. commit: from the call that
 * commits until it returns. visible: from that call until the consumer, which is in the same process, has the transaction's last record. Counting begins
 * when the consumer has read a whole transaction and two more were committed: librdkafka asks for the beginning of a partition only half a second
 * after it was assigned, whatever the broker does meanwhile.
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

#define MOST_TRANSACTIONS 1000000
#define CALL_MS 60000
#define DRAIN_US 20000000 /* a consumer that misses records ends after so long without any */
#define WARM_UP 2         /* transactions that are not counted once the consumer reads */

struct load {
	const char *bootstrap, *topic;
	int32_t partitions;
	int64_t commit_us, seconds;
	long rate;
	size_t size;
	_Atomic int64_t *asked_us; /* by transaction */
	_Atomic uint32_t *left;    /* of a transaction: records that the consumer has not seen */
	int64_t *visible_us, *commit_call_us;
	atomic_long transactions, sent;
	atomic_bool reading, produced;
	uint32_t first; /* the first transaction that is counted */
	long failed;
};

__attribute__((noreturn, format(printf, 1, 2))) static void die(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	fputs("txn_perf: ", stderr);
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

static void set(rd_kafka_conf_t *c, const char *name, const char *value)
{
	char problem[256];

	if (rd_kafka_conf_set(c, name, value, problem, sizeof(problem)) != RD_KAFKA_CONF_OK)
		die("%s", problem);
}

static void check(rd_kafka_error_t *e, const char *what)
{
	if (e)
		die("%s: %s", what, rd_kafka_error_string(e));
}

static void answered(rd_kafka_t *client, const rd_kafka_message_t *m, void *opaque)
{
	struct load *l = opaque;

	(void)client;
	if (m->err && !l->failed++)
		fprintf(stderr, "txn_perf: a record failed: %s\n", rd_kafka_err2str(m->err));
}

static rd_kafka_t *new_client(struct load *l, rd_kafka_type_t type)
{
	rd_kafka_conf_t *c = rd_kafka_conf_new();
	char problem[256];
	rd_kafka_t *client;

	set(c, "bootstrap.servers", l->bootstrap);
	if (type == RD_KAFKA_PRODUCER) {
		set(c, "transactional.id", "txn_perf");
		set(c, "linger.ms", "5");
		set(c, "queue.buffering.max.messages", "10000");
		rd_kafka_conf_set_dr_msg_cb(c, answered);
	} else {
		set(c, "group.id", "txn_perf");
		set(c, "enable.auto.commit", "false");
		set(c, "isolation.level", "read_committed");
		set(c, "fetch.wait.max.ms", "500");
	}
	rd_kafka_conf_set_opaque(c, l);
	client = rd_kafka_new(type, c, problem, sizeof(problem));
	if (!client)
		die("%s", problem);
	return client;
}

/* A record begins with the number of its transaction. */
static void seen(struct load *l, const rd_kafka_message_t *m)
{
	uint32_t txn;

	memcpy(&txn, m->payload, sizeof(txn));
	if (--l->left[txn] == 0)
		l->visible_us[txn] = now_us() - atomic_load(&l->asked_us[txn]);
	if (l->visible_us[txn])
		atomic_store(&l->reading, true);
}

static void *consume(void *opaque)
{
	struct load *l = opaque;
	rd_kafka_t *client = new_client(l, RD_KAFKA_CONSUMER);
	rd_kafka_topic_partition_list_t *from = rd_kafka_topic_partition_list_new(l->partitions);
	int64_t last_us = now_us();
	long count = 0;

	for (int32_t p = 0; p < l->partitions; p++)
		rd_kafka_topic_partition_list_add(from, l->topic, p)->offset = RD_KAFKA_OFFSET_BEGINNING;
	rd_kafka_poll_set_consumer(client);
	if (rd_kafka_assign(client, from))
		die("assign");
	while (!atomic_load(&l->produced) || count < atomic_load(&l->sent)) {
		rd_kafka_message_t *m = rd_kafka_consumer_poll(client, 100);

		if (m && !m->err) {
			seen(l, m);
			count++;
			last_us = now_us();
		} else if (atomic_load(&l->produced) && now_us() - last_us > DRAIN_US) {
			die("%ld of %ld records became visible", count, atomic_load(&l->sent));
		}
		if (m)
			rd_kafka_message_destroy(m);
	}
	rd_kafka_topic_partition_list_destroy(from);
	rd_kafka_consumer_close(client);
	rd_kafka_destroy(client);
	return NULL;
}

static void send_one(struct load *l, rd_kafka_t *client, rd_kafka_topic_t *topic, uint32_t txn, char *value,
		     long number)
{
	memcpy(value, &txn, sizeof(txn));
	while (rd_kafka_produce(topic, (int32_t)(number % l->partitions), RD_KAFKA_MSG_F_COPY, value, l->size, NULL, 0,
				NULL)) {
		if (rd_kafka_last_error() != RD_KAFKA_RESP_ERR__QUEUE_FULL)
			die("produce: %s", rd_kafka_err2str(rd_kafka_last_error()));
		rd_kafka_poll(client, 10);
	}
	l->left[txn]++;
}

/* One transaction: records that are due until it is time to commit. Its first record is sent whatever the time. */
static long transact(struct load *l, rd_kafka_t *client, rd_kafka_topic_t *topic, uint32_t txn, char *value,
		     long number, int64_t began)
{
	int64_t until = now_us() + l->commit_us;

	check(rd_kafka_begin_transaction(client), "begin");
	do {
		int64_t due = l->rate ? began + number * 1000000 / l->rate : 0;
		int64_t now = now_us();

		if (due <= now || l->left[txn] == 0)
			send_one(l, client, topic, txn, value, number++);
		rd_kafka_poll(client, due > now ? (int)((due - now + 999) / 1000) : 0);
	} while (now_us() < until);
	check(rd_kafka_flush(client, CALL_MS) ? rd_kafka_error_new(RD_KAFKA_RESP_ERR__TIMED_OUT, "flush") : NULL,
	      "flush");
	atomic_store(&l->asked_us[txn], now_us());
	check(rd_kafka_commit_transaction(client, CALL_MS), "commit");
	l->commit_call_us[txn] = now_us() - atomic_load(&l->asked_us[txn]);
	return number;
}

/* Until the consumer reads, and a few more. */
static bool is_warm_up(struct load *l, uint32_t txn, int64_t began)
{
	if (!atomic_load(&l->reading)) {
		if (now_us() - began > DRAIN_US)
			die("nothing became visible");
		l->first = txn + WARM_UP;
	}
	return txn < l->first;
}

static void produce(struct load *l)
{
	rd_kafka_t *client = new_client(l, RD_KAFKA_PRODUCER);
	rd_kafka_topic_t *topic = rd_kafka_topic_new(client, l->topic, NULL);
	char *value = malloc(l->size);
	int64_t began, counted_from, ended;
	uint32_t txn = 0;
	long number = 0, before;

	for (size_t i = 0; i < l->size; i++)
		value[i] = (char)('a' + (i * 2654435761u >> 7) % 26);
	check(rd_kafka_init_transactions(client, CALL_MS), "init");
	began = now_us();
	for (; is_warm_up(l, txn, began); txn++)
		number = transact(l, client, topic, txn, value, number, began);
	before = number;
	counted_from = now_us();
	for (; now_us() - counted_from < l->seconds * 1000000 && txn < MOST_TRANSACTIONS; txn++)
		number = transact(l, client, topic, txn, value, number, began);
	ended = now_us();
	atomic_store(&l->transactions, txn);
	atomic_store(&l->sent, number);
	atomic_store(&l->produced, true);
	free(value);
	rd_kafka_topic_destroy(topic);
	rd_kafka_destroy(client);
	printf("n=%ld txns=%u s=%.3f msgs/s=%.0f all_n=%ld all_s=%.3f failed=%ld", number - before, txn - l->first,
	       (double)(ended - counted_from) / 1e6, (double)(number - before) * 1e6 / (double)(ended - counted_from),
	       number, (double)(now_us() - began) / 1e6, l->failed);
}

static int by_value(const void *a, const void *b)
{
	const int64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static void quantiles(const char *name, int64_t *values, long count)
{
	if (!count)
		return;
	qsort(values, (size_t)count, sizeof(*values), by_value);
	printf(" %s_p50us=%ld %s_p99us=%ld %s_most_us=%ld", name, (long)values[count / 2], name,
	       (long)values[count * 99 / 100], name, (long)values[count - 1]);
}

int main(int argc, char **argv)
{
	struct load l = {0};
	struct rusage r;
	pthread_t consumer;

	if (argc != 8) {
		fprintf(stderr, "txn_perf BOOTSTRAP TOPIC PARTITIONS COMMIT_MS SECONDS RATE SIZE\n");
		return 2;
	}
	l.bootstrap = argv[1];
	l.topic = argv[2];
	l.partitions = atoi(argv[3]);
	l.commit_us = atol(argv[4]) * 1000;
	l.seconds = atol(argv[5]);
	l.rate = atol(argv[6]);
	l.size = (size_t)atol(argv[7]);
	l.asked_us = calloc(MOST_TRANSACTIONS, sizeof(*l.asked_us));
	l.left = calloc(MOST_TRANSACTIONS, sizeof(*l.left));
	l.visible_us = calloc(MOST_TRANSACTIONS, sizeof(*l.visible_us));
	l.commit_call_us = calloc(MOST_TRANSACTIONS, sizeof(*l.commit_call_us));
	if (!l.asked_us || !l.left || !l.visible_us || !l.commit_call_us || l.size < sizeof(uint32_t))
		die("memory, or records too small");
	if (pthread_create(&consumer, NULL, consume, &l))
		die("a thread");
	produce(&l);
	pthread_join(consumer, NULL);
	quantiles("commit", l.commit_call_us + l.first, l.transactions - l.first);
	quantiles("visible", l.visible_us + l.first, l.transactions - l.first);
	getrusage(RUSAGE_SELF, &r);
	printf(" client_cpu=%.2f\n", (double)(r.ru_utime.tv_sec + r.ru_stime.tv_sec) +
					     (double)(r.ru_utime.tv_usec + r.ru_stime.tv_usec) / 1e6);
	return l.failed != 0;
}
