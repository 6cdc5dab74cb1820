/* consume_group: `moldau consume -g`: the member of a group. Calls the client library, stdio's stderr, signals and the clock. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "cli/consume_own.h"

/* Kafka's default of auto.commit.interval.ms. */
#define COMMIT_MS 5000
#define LEAVE_MS 30000
/* With -e, and more members than partitions: who got none for so long gets none. */
#define NONE_MS 10000
#define KAFKA_UNKNOWN_MEMBER_ID 25

/* --- what is read ------------------------------------------------------------------------------------------------ */

static size_t find(const struct consume_run *r, const char *topic, int32_t partition)
{
	size_t i = 0;

	while (i < r->part_count && (r->parts[i].partition != partition || strcmp(r->parts[i].topic, topic) != 0))
		i++;
	return i;
}

void consume_add(struct consume_run *r, const char *topic, int32_t partition)
{
	r->parts = mem_grow(r->parts, &r->part_capacity, r->part_count + 1, sizeof(*r->parts));
	r->parts[r->part_count++] = (struct consume_part){
		.topic = mem_strdup(topic), .partition = partition, .next = -1};
}

void consume_remove(struct consume_run *r, const char *topic, int32_t partition)
{
	size_t i = find(r, topic, partition);

	if (i == r->part_count)
		return;
	r->ended -= r->parts[i].at_end;
	mem_free(r->parts[i].topic);
	r->parts[i] = r->parts[--r->part_count];
}

void consume_note_end(struct consume_run *r, const char *topic, int32_t partition)
{
	size_t i = find(r, topic, partition);

	if (i == r->part_count || r->parts[i].at_end)
		return;
	r->parts[i].at_end = true;
	r->ended++;
}

void consume_forget_all(struct consume_run *r)
{
	for (size_t i = 0; i < r->part_count; i++)
		mem_free(r->parts[i].topic);
	mem_free(r->parts);
}

/* --- Ctrl-C ------------------------------------------------------------------------------------------------------ */

/* A signal's handler has no argument: how often one came is counted by the kernel's own pending set instead of a variable of ours. */
static bool signal_came(void)
{
	sigset_t pending;

	return sigpending(&pending) == 0 && (sigismember(&pending, SIGINT) || sigismember(&pending, SIGTERM));
}

/* Held back, so that the last commit is made; the library's thread is started afterwards and holds them back too. */
static void hold_signals(void)
{
	sigset_t held;

	sigemptyset(&held);
	sigaddset(&held, SIGINT);
	sigaddset(&held, SIGTERM);
	sigprocmask(SIG_BLOCK, &held, NULL);
}

bool consume_group_stopped(const struct consume_run *r)
{
	(void)r;
	return signal_came();
}

/* --- the member -------------------------------------------------------------------------------------------------- */

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int consume_group_prepare(struct consume_run *r)
{
	struct session *s = &r->session;
	const char *commits, *every;

	if (r->number_count > 0)
		return cli_usage(s->verb, "-p and -g do not go together: the group assigns partitions");
	if (r->from_given && r->from.kind != MO_START_BEGINNING && r->from.kind != MO_START_END)
		return cli_usage(s->verb,
				 "with -g -o says where to begin when the group has no offset: beginning or end");
	session_set_default(s, "auto.offset.reset", r->from.kind == MO_START_END ? "latest" : "earliest");
	session_set_default(s, "client.id", "moldau-consume");
	session_set(s, "group.id", r->group);
	if (r->instance)
		session_set(s, "group.instance.id", r->instance);
	/* What was printed is committed, not what was read: the library does not know the one from the other. */
	commits = session_value(s, "enable.auto.commit");
	r->commits = !commits || (strcmp(commits, "false") != 0 && strcmp(commits, "0") != 0);
	session_set(s, "enable.auto.commit", "false");
	every = session_value(s, "auto.commit.interval.ms");
	if (!every || !cli_number(every, 0, INT32_MAX, &r->commit_every_ms))
		r->commit_every_ms = COMMIT_MS;
	hold_signals();
	return CLI_DONE;
}

void consume_group_note(struct consume_run *r, const struct mo_message *m)
{
	size_t i = find(r, m->topic, m->partition);

	if (i < r->part_count)
		r->parts[i].next = m->offset + 1;
}

static void note_committed(struct consume_run *r)
{
	bool first = true;

	for (size_t i = 0; i < r->part_count; i++) {
		struct consume_part *p = &r->parts[i];

		if (p->next < 0)
			continue;
		fprintf(stderr, "%s%s/%d@%lld", first ? "committed: " : " ", p->topic, p->partition,
			(long long)p->next);
		first = false;
		p->next = -1;
	}
	if (!first)
		fputc('\n', stderr);
}

/* Everything that was printed so far. That it fails is told, and the next one may work. */
static void commit(struct consume_run *r)
{
	struct mo_err e;

	r->commit_ms = now_ms() + r->commit_every_ms;
	if (!r->commits || r->committed_records == r->records)
		return;
	if (!consume_write_out(r)) {
		r->broken = true;
		return;
	}
	if (mo_commit(r->session.client, NULL, 0, &e))
		fprintf(stderr, "moldau consume: %s\n", e.text);
	else
		r->committed_records = r->records;
	if (r->committed_records == r->records)
		note_committed(r);
}

static void note(const struct consume_run *r, enum mo_rebalance what, const struct mo_topic_partition *partitions,
		 size_t count)
{
	static const char *const words[] = {[MO_ASSIGNED] = "assigned", [MO_REVOKED] = "revoked", [MO_LOST] = "lost"};

	if (!r->verbose)
		return;
	fprintf(stderr, "%s%s", words[what], count ? ":" : ": none");
	for (size_t i = 0; i < count; i++)
		fprintf(stderr, " %s/%d", partitions[i].topic, partitions[i].partition);
	fputc('\n', stderr);
}

static void rebalanced(void *context, enum mo_rebalance what, const struct mo_topic_partition *partitions, size_t count)
{
	struct consume_run *r = context;

	if (what == MO_REVOKED)
		commit(r);
	note(r, what, partitions, count);
	for (size_t i = 0; i < count; i++) {
		if (what == MO_ASSIGNED)
			consume_add(r, partitions[i].topic, partitions[i].partition);
		else
			consume_remove(r, partitions[i].topic, partitions[i].partition);
	}
	r->assigned |= what == MO_ASSIGNED;
}

/* One pattern, from names that are to be matched whole and expressions that begin with '^'. */
static char *pattern_of(const struct consume_run *r)
{
	struct buf b;
	char *pattern;

	buf_init(&b, SIZE_MAX / 2);
	for (size_t i = 0; i < r->topic_count; i++) {
		const char *t = r->topics[i];

		buf_put_str(&b, i ? "|(?:" : "(?:");
		if (*t == '^')
			buf_put_str(&b, t);
		for (; r->topics[i][0] != '^' && *t; t++) {
			if (*t == '.')
				buf_put(&b, "\\", 1);
			buf_put(&b, t, 1);
		}
		buf_put(&b, ")", 1);
	}
	buf_put(&b, "", 1);
	pattern = mem_strdup((const char *)b.data);
	buf_fini(&b);
	return pattern;
}

int consume_group_join(struct consume_run *r)
{
	struct mo_client *client = r->session.client;
	bool by_pattern = false;
	struct mo_err e;
	int code;

	for (size_t i = 0; i < r->topic_count; i++)
		by_pattern |= r->topics[i][0] == '^';
	mo_set_rebalance(client, rebalanced, r);
	if (by_pattern) {
		char *pattern = pattern_of(r);

		code = mo_subscribe_pattern(client, pattern, &e);
		mem_free(pattern);
	} else {
		code = mo_subscribe(client, r->topics, r->topic_count, &e);
	}
	r->joined_ms = now_ms();
	r->commit_ms = r->joined_ms + r->commit_every_ms;
	return code ? session_failed(&r->session, &e) : CLI_DONE;
}

bool consume_group_turn(struct consume_run *r, bool got_record)
{
	/* Looking at the clock for every record would cost more than the record. */
	if (got_record && r->records % 64 != 0)
		return !r->broken;
	mo_poll(r->session.client, 0);
	if (now_ms() >= r->commit_ms)
		commit(r);
	return !r->broken;
}

bool consume_group_is_settled(const struct consume_run *r)
{
	return r->assigned && (r->part_count > 0 || now_ms() - r->joined_ms > NONE_MS);
}

int consume_group_leave(struct consume_run *r, int code)
{
	struct mo_err e;

	if (code == CLI_DONE)
		commit(r);
	/* Of what could not be written nothing is committed, nor when a partition could not be read. */
	r->commits &= code == CLI_DONE && !r->broken;
	if (mo_consumer_close(r->session.client, LEAVE_MS, &e) && e.code != KAFKA_UNKNOWN_MEMBER_ID)
		fprintf(stderr, "moldau consume: %s\n", e.text);
	return r->broken ? CLI_FAILED : code;
}
