/*
 * group_members: thousands of members of groups on any Kafka broker, over raw sockets, so that they cost almost nothing beside the broker. A
 * program of its own; `groups` beside it builds and calls it.
 *
 *      group_members PORT classic|consumer GROUPS MEMBERS SECONDS TOPIC [SESSION_MS]
 *
 * Each member has a connection, as those of real clients do. Once all groups are stable it prints "stable seconds=", then lets them beat for so
 * many SECONDS, as often as their protocol's defaults have it (classic 3 s, consumer as the broker says), and prints a line of figures. Groups join a
 * hundred at a time. Any answer that calls for more than the next heartbeat is counted as `moved`.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
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
#define FRAME_MOST 16384
#define ID_MOST 128
#define OWNED_MOST 512
#define JOINING_MOST 100 /* groups at once */
#define CLASSIC_BEAT_MS 3000
#define REBALANCE_MS 60000
#define SET_UP_SECONDS 300

enum { API_JOIN = 11, API_BEAT = 12, API_SYNC = 14, API_CONSUMER_BEAT = 68 };
enum {
	OK = 0,
	COORDINATOR_LOAD_IN_PROGRESS = 14,
	COORDINATOR_NOT_AVAILABLE = 15,
	NOT_COORDINATOR = 16,
	REBALANCE_IN_PROGRESS = 27,
	MEMBER_ID_REQUIRED = 79
};

enum stage { IDLE, JOINING, SYNCING, STABLE };

struct out {
	unsigned char *at;
};

struct in {
	const unsigned char *at, *end;
};

struct member {
	int fd;
	uint32_t group;
	enum stage stage;
	bool waiting; /* for an answer */
	bool owning;  /* consumer: what it was assigned is to be said back */
	int64_t sent_us;
	int64_t due_us;
	int32_t generation; /* or epoch */
	int32_t beat_ms;
	char id[ID_MOST];
	unsigned char owned[OWNED_MOST];
	size_t owned_size;
	unsigned char frame[FRAME_MOST];
	size_t size;
};

struct bench {
	int epoll;
	bool consumer;
	const char *topic;
	uint32_t group_count, member_count;
	int32_t session_ms;
	struct member *members;
	uint32_t *stable; /* members a group */
	uint32_t stable_groups, begun_groups;
	uint64_t beats, moved;
};

static uint32_t beats_by_us[MOST_US];

static void die(const char *what)
{
	fprintf(stderr, "group_members: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void wrong(const char *what, int error)
{
	fprintf(stderr, "group_members: %s: error %d\n", what, error);
	exit(1);
}

static int64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* --- bytes */

static void put(struct out *o, int size, uint64_t value)
{
	while (size--)
		*o->at++ = (unsigned char)(value >> (8 * size));
}

static void put_bytes(struct out *o, const void *data, size_t size)
{
	memcpy(o->at, data, size);
	o->at += size;
}

static void put_string(struct out *o, const char *text)
{
	put(o, 2, strlen(text));
	put_bytes(o, text, strlen(text));
}

/* Shorter than 127 all of them. */
static void put_compact(struct out *o, const char *text)
{
	put(o, 1, strlen(text) + 1);
	put_bytes(o, text, strlen(text));
}

static const unsigned char *take(struct in *in, size_t size)
{
	const unsigned char *at = in->at;

	if (size > (size_t)(in->end - in->at)) {
		errno = EBADMSG;
		die("a short answer");
	}
	in->at += size;
	return at;
}

static int64_t get(struct in *in, int size)
{
	const unsigned char *at = take(in, (size_t)size);
	uint64_t value = at[0] & 0x80 ? ~(uint64_t)0 : 0;

	while (size--)
		value = value << 8 | *at++;
	return (int64_t)value;
}

static uint32_t get_uvarint(struct in *in)
{
	uint32_t value = 0, shift = 0;
	unsigned char byte;

	do {
		byte = *take(in, 1);
		value |= (uint32_t)(byte & 127) << shift;
		shift += 7;
	} while (byte & 128);
	return value;
}

static void get_string(struct in *in, char *text)
{
	int64_t size = get(in, 2);

	if (size < 0)
		size = 0;
	if (size >= ID_MOST)
		wrong("a long name", 0);
	memcpy(text, take(in, (size_t)size), (size_t)size);
	text[size] = 0;
}

/* --- requests */

static void group_name(const struct bench *b, const struct member *m, char *name)
{
	snprintf(name, ID_MOST, "beating-%s-%u", b->consumer ? "consumer" : "classic", m->group);
}

static void begin(const struct bench *b, const struct member *m, struct out *o, int key, int version, bool flexible)
{
	char name[ID_MOST];

	put(o, 4, 0); /* the size, known at the end */
	put(o, 2, (uint64_t)key);
	put(o, 2, (uint64_t)version);
	put(o, 4, 1);
	put_string(o, "beat");
	group_name(b, m, name);
	if (flexible) {
		put(o, 1, 0);
		put_compact(o, name);
	} else {
		put_string(o, name);
	}
}

static void finish(struct member *m, unsigned char *frame, struct out *o)
{
	size_t size = (size_t)(o->at - frame);
	struct out prefix = {frame};

	put(&prefix, 4, size - 4);
	/* A request is small and the connection has nothing else under way: it is taken whole. */
	if (write(m->fd, frame, size) != (ssize_t)size)
		die("write");
	m->waiting = true;
	m->sent_us = now_us();
}

static void send_join(struct bench *b, struct member *m)
{
	unsigned char frame[FRAME_MOST];
	struct out o = {frame};

	begin(b, m, &o, API_JOIN, 5, false);
	put(&o, 4, (uint64_t)b->session_ms);
	put(&o, 4, REBALANCE_MS);
	put_string(&o, m->id);
	put(&o, 2, (uint64_t)-1); /* instance */
	put_string(&o, "consumer");
	put(&o, 4, 1);
	put_string(&o, "range");
	put(&o, 4, 2 + 4 + 2 + strlen(b->topic) + 4);
	put(&o, 2, 0);
	put(&o, 4, 1);
	put_string(&o, b->topic);
	put(&o, 4, (uint64_t)-1);
	m->stage = JOINING;
	finish(m, frame, &o);
}

/* The members' ids as the answer to the leader's join has them; nobody's are given: two partitions go to each. */
static void send_sync(struct bench *b, struct member *m, struct in *members, uint32_t count)
{
	unsigned char frame[FRAME_MOST];
	struct out o = {frame};
	char id[ID_MOST];

	begin(b, m, &o, API_SYNC, 3, false);
	put(&o, 4, (uint64_t)m->generation);
	put_string(&o, m->id);
	put(&o, 2, (uint64_t)-1);
	put(&o, 4, count);
	for (uint32_t i = 0; i < count; i++) {
		int64_t instance, metadata;

		get_string(members, id);
		instance = get(members, 2);
		take(members, instance < 0 ? 0 : (size_t)instance);
		metadata = get(members, 4);
		take(members, metadata < 0 ? 0 : (size_t)metadata);
		put_string(&o, id);
		put(&o, 4, 2 + 4 + 2 + strlen(b->topic) + 4 + 8 + 4);
		put(&o, 2, 0);
		put(&o, 4, 1);
		put_string(&o, b->topic);
		put(&o, 4, 2);
		put(&o, 4, 2 * i);
		put(&o, 4, 2 * i + 1);
		put(&o, 4, (uint64_t)-1);
	}
	m->stage = SYNCING;
	finish(m, frame, &o);
}

static void send_classic_beat(struct bench *b, struct member *m)
{
	unsigned char frame[FRAME_MOST];
	struct out o = {frame};

	begin(b, m, &o, API_BEAT, 3, false);
	put(&o, 4, (uint64_t)m->generation);
	put_string(&o, m->id);
	put(&o, 2, (uint64_t)-1);
	finish(m, frame, &o);
}

/* All of it when it joins; what it owns when that changed; else that it is there. */
static void send_consumer_beat(struct bench *b, struct member *m)
{
	unsigned char frame[FRAME_MOST];
	struct out o = {frame};
	bool joining = m->generation == 0;

	begin(b, m, &o, API_CONSUMER_BEAT, 1, true);
	put_compact(&o, m->id);
	put(&o, 4, (uint64_t)m->generation);
	put(&o, 1, 0); /* instance */
	put(&o, 1, 0); /* rack */
	put(&o, 4, joining ? REBALANCE_MS : (uint64_t)-1);
	if (joining) {
		put(&o, 1, 2);
		put_compact(&o, b->topic);
	} else {
		put(&o, 1, 0);
	}
	put(&o, 1, 0); /* regex */
	put(&o, 1, 0); /* assignor */
	if (joining)
		put(&o, 1, 1); /* owns nothing */
	else if (m->owning)
		put_bytes(&o, m->owned, m->owned_size);
	else
		put(&o, 1, 0);
	put(&o, 1, 0); /* tags */
	m->owning = false;
	finish(m, frame, &o);
}

static void send_beat(struct bench *b, struct member *m)
{
	if (b->consumer)
		send_consumer_beat(b, m);
	else
		send_classic_beat(b, m);
}

/* --- answers */

static void now_stable(struct bench *b, struct member *m)
{
	if (m->stage != STABLE) {
		m->stage = STABLE;
		if (++b->stable[m->group] == b->member_count)
			b->stable_groups++;
	}
}

static void no_longer_stable(struct bench *b, struct member *m)
{
	b->moved++;
	if (m->stage == STABLE && b->stable[m->group]-- == b->member_count)
		b->stable_groups--;
	m->stage = JOINING;
}

/* Its coordinator is still being found or loaded. */
static bool not_yet(int64_t error)
{
	return error == COORDINATOR_LOAD_IN_PROGRESS || error == COORDINATOR_NOT_AVAILABLE || error == NOT_COORDINATOR;
}

static void on_join(struct bench *b, struct member *m, struct in *in)
{
	char name[ID_MOST], leader[ID_MOST];
	int64_t error;
	uint32_t count;

	take(in, 4);
	error = get(in, 2);
	m->generation = (int32_t)get(in, 4);
	get_string(in, name);
	get_string(in, leader);
	get_string(in, m->id);
	if (error == MEMBER_ID_REQUIRED || error == REBALANCE_IN_PROGRESS || not_yet(error)) {
		send_join(b, m);
		return;
	}
	if (error != OK)
		wrong("join", (int)error);
	count = (uint32_t)get(in, 4);
	send_sync(b, m, in, count);
}

static void on_sync(struct bench *b, struct member *m, struct in *in)
{
	int64_t error;

	take(in, 4);
	error = get(in, 2);
	if (error == REBALANCE_IN_PROGRESS) {
		send_join(b, m);
		return;
	}
	if (error != OK)
		wrong("sync", (int)error);
	now_stable(b, m);
}

static void on_classic_beat(struct bench *b, struct member *m, struct in *in)
{
	int64_t error;

	take(in, 4);
	error = get(in, 2);
	if (error == REBALANCE_IN_PROGRESS) {
		no_longer_stable(b, m);
		send_join(b, m);
	} else if (error != OK) {
		wrong("heartbeat", (int)error);
	}
}

/* The assignment as it stands in the answer is how it is said back. */
static void take_assignment(struct member *m, struct in *in)
{
	const unsigned char *start = in->at;
	uint32_t topics = get_uvarint(in);

	for (uint32_t i = 1; i < topics; i++) {
		uint32_t partitions;

		take(in, 16);
		partitions = get_uvarint(in);
		take(in, partitions ? 4 * (partitions - 1) : 0);
		take(in, get_uvarint(in));
	}
	m->owned_size = (size_t)(in->at - start);
	if (m->owned_size > OWNED_MOST)
		wrong("a large assignment", 0);
	memcpy(m->owned, start, m->owned_size);
	m->owning = true;
	m->due_us = 0;
}

static void on_consumer_beat(struct bench *b, struct member *m, struct in *in)
{
	int32_t before = m->generation;
	int64_t error;
	uint32_t size;

	get_uvarint(in); /* the header's tags: none */
	take(in, 4);
	error = get(in, 2);
	size = get_uvarint(in);
	take(in, size ? size - 1 : 0);
	if (not_yet(error)) {
		m->due_us = 0;
		return;
	}
	if (error != OK)
		wrong("heartbeat", (int)error);
	size = get_uvarint(in);
	take(in, size ? size - 1 : 0);
	m->generation = (int32_t)get(in, 4);
	m->beat_ms = (int32_t)get(in, 4);
	if (m->stage == STABLE && m->generation != before)
		b->moved++;
	if (get(in, 1) >= 0)
		take_assignment(m, in);
	if (m->owned_size > 1 && !m->owning)
		now_stable(b, m);
}

static void on_answer(struct bench *b, struct member *m)
{
	struct in in = {m->frame + 8, m->frame + m->size};
	int64_t now = now_us(), took = now - m->sent_us;

	m->waiting = false;
	m->size = 0;
	m->due_us = now + (int64_t)m->beat_ms * 1000;
	if (m->stage == STABLE) {
		b->beats++;
		beats_by_us[took < MOST_US ? took : MOST_US - 1]++;
	}
	if (b->consumer)
		on_consumer_beat(b, m, &in);
	else if (m->stage == JOINING)
		on_join(b, m, &in);
	else if (m->stage == SYNCING)
		on_sync(b, m, &in);
	else
		on_classic_beat(b, m, &in);
}

static void on_readable(struct bench *b, struct member *m)
{
	ssize_t got = read(m->fd, m->frame + m->size, sizeof(m->frame) - m->size);
	struct in size = {m->frame, m->frame + 4};

	if (got < 0 && errno == EAGAIN)
		return;
	if (got <= 0)
		die("the broker closed a connection");
	m->size += (size_t)got;
	if (m->size >= 4 && m->size == 4 + (size_t)get(&size, 4))
		on_answer(b, m);
	else if (m->size == sizeof(m->frame))
		wrong("a large answer", 0);
}

/* --- all of them */

static void connect_member(struct bench *b, struct member *m, uint16_t port, uint32_t number)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = m};
	int one = 1;

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	m->fd = socket(AF_INET, SOCK_STREAM, 0);
	if (m->fd < 0 || connect(m->fd, (struct sockaddr *)&address, sizeof(address)))
		die("connect");
	setsockopt(m->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (fcntl(m->fd, F_SETFL, O_NONBLOCK) || epoll_ctl(b->epoll, EPOLL_CTL_ADD, m->fd, &event))
		die("epoll");
	m->group = number / b->member_count;
	m->beat_ms = CLASSIC_BEAT_MS;
	if (b->consumer)
		snprintf(m->id, ID_MOST, "member-%u", number);
}

/* Members of one group together: they make one generation. */
static void begin_groups(struct bench *b)
{
	while (b->begun_groups < b->group_count && b->begun_groups - b->stable_groups < JOINING_MOST) {
		struct member *m = &b->members[b->begun_groups * b->member_count];

		for (uint32_t i = 0; i < b->member_count; i++, m++) {
			m->stage = JOINING;
			if (b->consumer)
				send_consumer_beat(b, m);
			else
				send_join(b, m);
		}
		b->begun_groups++;
	}
}

/* Looks at every member once a turn: a turn is a millisecond at least. */
static void turn(struct bench *b)
{
	struct epoll_event events[512];
	int count = epoll_wait(b->epoll, events, 512, 1);
	int64_t now = now_us();

	for (int i = 0; i < count; i++)
		on_readable(b, events[i].data.ptr);
	for (uint32_t i = 0; i < b->begun_groups * b->member_count; i++) {
		struct member *m = &b->members[i];

		if (!m->waiting && m->due_us <= now && (m->stage == STABLE || (b->consumer && m->stage == JOINING)))
			send_beat(b, m);
	}
}

static int64_t quantile(double q)
{
	uint64_t total = 0, seen = 0;

	for (size_t i = 0; i < MOST_US; i++)
		total += beats_by_us[i];
	for (size_t i = 0; i < MOST_US; i++) {
		seen += beats_by_us[i];
		if (total && (double)seen >= q * (double)total)
			return (int64_t)i;
	}
	return 0;
}

int main(int argc, char **argv)
{
	struct rlimit limit;
	struct bench b = {.session_ms = 45000};
	int64_t began, until;
	double seconds;

	if (argc < 7) {
		fprintf(stderr, "group_members PORT classic|consumer GROUPS MEMBERS SECONDS TOPIC [SESSION_MS]\n");
		return 2;
	}
	b.consumer = !strcmp(argv[2], "consumer");
	b.group_count = (uint32_t)atoi(argv[3]);
	b.member_count = (uint32_t)atoi(argv[4]);
	b.topic = argv[6];
	if (argc > 7)
		b.session_ms = atoi(argv[7]);
	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	b.epoll = epoll_create1(0);
	b.members = calloc((size_t)b.group_count * b.member_count, sizeof(*b.members));
	b.stable = calloc(b.group_count, sizeof(*b.stable));
	if (b.epoll < 0 || !b.members || !b.stable)
		die("memory");
	for (uint32_t i = 0; i < b.group_count * b.member_count; i++)
		connect_member(&b, &b.members[i], (uint16_t)atoi(argv[1]), i);

	began = now_us();
	while (b.stable_groups < b.group_count) {
		begin_groups(&b);
		turn(&b);
		if (now_us() - began > (int64_t)SET_UP_SECONDS * 1000000)
			wrong("not all groups became stable; so many are", (int)b.stable_groups);
	}
	printf("stable seconds=%.2f\n", (double)(now_us() - began) / 1e6);
	fflush(stdout);

	memset(beats_by_us, 0, sizeof(beats_by_us));
	b.beats = b.moved = 0;
	began = now_us();
	until = began + (int64_t)(atof(argv[5]) * 1e6);
	while (now_us() < until)
		turn(&b);
	seconds = (double)(now_us() - began) / 1e6;
	printf("beats/s=%.0f n=%lu moved=%lu p50us=%ld p99us=%ld p99.9us=%ld s=%.2f\n", (double)b.beats / seconds,
	       (unsigned long)b.beats, (unsigned long)b.moved, (long)quantile(0.5), (long)quantile(0.99),
	       (long)quantile(0.999), seconds);
	return 0;
}
