/*
 * small_requests: the regime of small requests on any Kafka broker, over raw sockets, so that the client costs almost nothing beside the
 * broker. A program of its own; `run` beside it builds and calls it. Prints one line of figures.
 *
 *      small_requests PORT TOPIC CONNECTIONS SECONDS produce|versions [SIZE [ACKS]]
 *      small_requests PORT TOPIC PARTITIONS 0 touch
 *
 * Each connection is a closed loop of one request at a time. produce: Produce v7 with one batch of one record of SIZE bytes (100) to
 * partition (connection % 6), with ACKS (-1). versions: ApiVersions v0, the cost of a request alone. touch: one record to each of PARTITIONS
 * partitions in one request with acks=all, again to those that refuse, until all have taken theirs: how long that takes.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MOST_US 1000000
#define RECORD_MOST 60000
#define TOUCH_SECONDS 120
#define PRODUCE 0
#define API_VERSIONS 18

struct bytes_out {
	unsigned char *at;
};

struct connection {
	int fd;
	size_t size;
	int64_t sent_us;
	unsigned char *request;
};

static uint32_t requests_by_us[MOST_US];

static void die(const char *what)
{
	fprintf(stderr, "small_requests: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static void put(struct bytes_out *o, int size, uint64_t value)
{
	while (size--)
		*o->at++ = (unsigned char)(value >> (8 * size));
}

static void put_varint(struct bytes_out *o, int64_t value)
{
	uint64_t z = ((uint64_t)value << 1) ^ (uint64_t)(value >> 63);

	for (; z > 127; z >>= 7)
		*o->at++ = (unsigned char)(z | 128);
	*o->at++ = (unsigned char)z;
}

static void put_string(struct bytes_out *o, const char *text)
{
	size_t size = strlen(text);

	put(o, 2, size);
	memcpy(o->at, text, size);
	o->at += size;
}

static uint32_t crc32c(const unsigned char *data, size_t size)
{
	uint32_t crc = ~0u;

	for (; size--; data++) {
		crc ^= *data;
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (0x82f63b78 & -(crc & 1));
	}
	return ~crc;
}

/* A batch v2 of one record without key. */
static void put_batch(struct bytes_out *o, size_t value_size)
{
	static unsigned char record[RECORD_MOST + 64];
	struct bytes_out r = {record};
	unsigned char prefix[10], *start = o->at;
	struct bytes_out p = {prefix};
	struct timespec t;
	uint64_t ms;
	size_t record_size, prefix_size;

	put(&r, 1, 0); /* attributes */
	put_varint(&r, 0);
	put_varint(&r, 0);
	put_varint(&r, -1); /* key */
	put_varint(&r, (int64_t)value_size);
	memset(r.at, 'x', value_size);
	r.at += value_size;
	put_varint(&r, 0); /* headers */
	record_size = (size_t)(r.at - record);
	put_varint(&p, (int64_t)record_size);
	prefix_size = (size_t)(p.at - prefix);

	clock_gettime(CLOCK_REALTIME, &t);
	ms = (uint64_t)t.tv_sec * 1000;
	put(o, 8, 0);
	put(o, 4, 49 + prefix_size + record_size);
	put(o, 4, UINT64_MAX);
	put(o, 1, 2); /* magic */
	put(o, 4, 0); /* crc: below */
	put(o, 2, 0);
	put(o, 4, 0);
	put(o, 8, ms);
	put(o, 8, ms);
	put(o, 8, UINT64_MAX); /* producer id, epoch, sequence: none */
	put(o, 2, UINT64_MAX);
	put(o, 4, UINT64_MAX);
	put(o, 4, 1);
	memcpy(o->at, prefix, prefix_size);
	memcpy(o->at + prefix_size, record, record_size);
	o->at += prefix_size + record_size;
	put(&(struct bytes_out){start + 17}, 4, crc32c(start + 21, (size_t)(o->at - start - 21)));
}

static void put_header(struct bytes_out *o, int api, int version)
{
	put(o, 4, 0); /* size: end_request */
	put(o, 2, (uint64_t)api);
	put(o, 2, (uint64_t)version);
	put(o, 4, 1);
	put_string(o, "bench");
}

static size_t end_request(unsigned char *request, const struct bytes_out *o)
{
	size_t size = (size_t)(o->at - request);

	put(&(struct bytes_out){request}, 4, size - 4);
	return size;
}

/* One record to each partition that `wanted` has, or to `only` when it is NULL. */
static size_t make_produce(unsigned char *request, const char *topic, const bool *wanted, int32_t partitions,
			   int32_t only, size_t value_size, int acks)
{
	struct bytes_out o = {request}, count;
	uint32_t written = 0;

	put_header(&o, PRODUCE, 7);
	put(&o, 2, UINT64_MAX); /* transactional id */
	put(&o, 2, (uint64_t)acks);
	put(&o, 4, 30000);
	put(&o, 4, 1);
	put_string(&o, topic);
	count = o;
	put(&o, 4, 0);
	for (int32_t p = 0; p < partitions; p++) {
		struct bytes_out size;

		if (wanted ? !wanted[p] : p != only)
			continue;
		put(&o, 4, (uint64_t)p);
		size = o;
		put(&o, 4, 0);
		put_batch(&o, value_size);
		put(&size, 4, (uint64_t)(o.at - size.at - 4));
		written++;
	}
	put(&count, 4, written);
	return end_request(request, &o);
}

static int connect_to(int port)
{
	struct sockaddr_in a = {
		.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
	int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;

	if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof(a)))
		die("connect");
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	return fd;
}

static void send_all(int fd, const unsigned char *data, size_t size)
{
	while (size) {
		ssize_t sent = write(fd, data, size);

		if (sent <= 0)
			die("write");
		data += sent;
		size -= (size_t)sent;
	}
}

/* Whole answers are small and read at once as a rule. */
static size_t receive(int fd, unsigned char *in, size_t most)
{
	ssize_t got = read(fd, in, most);
	size_t have = got > 0 ? (size_t)got : 0, want;

	if (have < 4)
		die("read");
	want = 4 + ((size_t)in[0] << 24 | (size_t)in[1] << 16 | (size_t)in[2] << 8 | in[3]);
	if (want > most)
		die("an answer is too large");
	for (; have < want; have += (size_t)got) {
		got = read(fd, in + have, most - have);
		if (got <= 0)
			die("read");
	}
	return want;
}

static void report(const char *what, int connections, long done, long refused, int64_t us)
{
	static const double quantiles[] = {0.5, 0.99, 0.999};
	struct rusage r;
	double cpu;

	getrusage(RUSAGE_SELF, &r);
	cpu = (double)(r.ru_utime.tv_sec + r.ru_stime.tv_sec) + (double)(r.ru_utime.tv_usec + r.ru_stime.tv_usec) / 1e6;
	printf("%s connections=%d n=%ld s=%.2f req/s=%.0f client_cpu=%.2f failed=%ld", what, connections, done,
	       (double)us / 1e6, (double)done * 1e6 / (double)us, cpu, refused);
	for (int i = 0; i < 3; i++) {
		long sum = 0;
		int at = 0;

		while (at < MOST_US - 1 && (double)(sum += requests_by_us[at]) < (double)done * quantiles[i])
			at++;
		printf(" p%gus=%d", quantiles[i] * 100, at);
	}
	putchar('\n');
}

static int loop(int port, const char *topic, int connections, int seconds, bool produces, size_t value_size, int acks)
{
	struct connection *all = calloc((size_t)connections, sizeof(*all));
	/* The error code: after size and correlation id; in a Produce also after the topic's name and three numbers. */
	size_t error_at = 8 + (produces ? 14 + strlen(topic) : 0);
	int poller = epoll_create1(0);
	int64_t began = now_us(), end = began + (int64_t)seconds * 1000000, now = began;
	long done = 0, refused = 0;

	for (int i = 0; i < connections; i++) {
		struct connection *c = &all[i];
		struct epoll_event e = {.events = EPOLLIN, .data.ptr = c};
		struct bytes_out o;

		c->fd = connect_to(port);
		c->request = malloc(RECORD_MOST + 1000);
		o.at = c->request;
		if (!produces)
			put_header(&o, API_VERSIONS, 0);
		c->size = produces ? make_produce(c->request, topic, NULL, 6, i % 6, value_size, acks)
				   : end_request(c->request, &o);
		epoll_ctl(poller, EPOLL_CTL_ADD, c->fd, &e);
		c->sent_us = now_us();
		send_all(c->fd, c->request, c->size);
	}
	while (now < end) {
		struct epoll_event ready[64];
		int count = epoll_wait(poller, ready, 64, 1000);

		if (!count)
			now = now_us();
		for (int i = 0; i < count; i++) {
			struct connection *c = ready[i].data.ptr;
			unsigned char in[8192];
			int64_t us;

			receive(c->fd, in, sizeof(in));
			refused += (in[error_at] | in[error_at + 1]) != 0;
			now = now_us();
			us = now - c->sent_us;
			requests_by_us[us < MOST_US ? us : MOST_US - 1]++;
			done++;
			c->sent_us = now;
			send_all(c->fd, c->request, c->size);
		}
	}
	report(produces ? "produce" : "versions", connections, done, refused, now - began);
	return refused != 0;
}

/* Of the answer to a Produce v7 of one topic: which partitions still want theirs; returns how many. */
static int32_t still_wanted(const unsigned char *in, const char *topic, bool *wanted)
{
	const unsigned char *at = in + 4 + 4 + 4 + 2 + strlen(topic);
	uint32_t count = (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
	int32_t left = 0;

	at += 4;
	for (uint32_t i = 0; i < count; i++, at += 30) {
		uint32_t partition = (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];

		wanted[partition] = (at[4] | at[5]) != 0;
		left += wanted[partition];
	}
	return left;
}

static int touch(int port, const char *topic, int32_t partitions)
{
	bool *wanted = malloc((size_t)partitions * sizeof(*wanted));
	size_t most = 1000 + (size_t)partitions * 300;
	unsigned char *request = malloc(most), *in = malloc(most);
	int32_t left = partitions, first_left = -1;
	int64_t began = now_us();
	int fd = connect_to(port), rounds = 0;

	memset(wanted, true, (size_t)partitions);
	while (left && now_us() - began < (int64_t)TOUCH_SECONDS * 1000000) {
		send_all(fd, request, make_produce(request, topic, wanted, partitions, 0, 100, -1));
		receive(fd, in, most);
		left = still_wanted(in, topic, wanted);
		if (!rounds++)
			first_left = left;
		if (left)
			usleep(1000);
	}
	printf("touch partitions=%d s=%.3f requests=%d refused_at_first=%d left=%d\n", partitions,
	       (double)(now_us() - began) / 1e6, rounds, first_left, left);
	return left != 0;
}

int main(int argc, char **argv)
{
	if (argc < 6) {
		fprintf(stderr,
			"usage: small_requests PORT TOPIC CONNECTIONS SECONDS produce|versions|touch [SIZE [ACKS]]\n");
		return 2;
	}
	if (strcmp(argv[5], "touch") == 0)
		return touch(atoi(argv[1]), argv[2], atoi(argv[3]));
	return loop(atoi(argv[1]), argv[2], atoi(argv[3]), atoi(argv[4]), strcmp(argv[5], "produce") == 0,
		    argc > 6 ? strtoul(argv[6], NULL, 10) : 100, argc > 7 ? atoi(argv[7]) : -1);
}
