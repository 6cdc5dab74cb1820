/* group_lag: how old the next record is that a group will read. Calls the client library and the clock. See group.h. */
#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "cli/group.h"

int64_t group_now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static int64_t steady_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static bool same_place(const struct group_row *a, const struct group_row *b)
{
	return a->partition == b->partition && strcmp(a->topic, b->topic) == 0;
}

struct round {
	struct session *session;
	struct group_row *rows;
	size_t count;
	bool *tried; /* by row */
	struct group_row **asked;
	size_t asked_count;
};

/* Several groups may stand at several offsets of a partition, and a client reads it at one: a round for each of them. */
static bool begin_round(struct round *r)
{
	struct mo_err e;

	r->asked_count = 0;
	for (size_t i = 0; i < r->count; i++) {
		struct group_row *row = &r->rows[i];
		bool wanted = row->lag > 0 && row->lag_ms < 0 && !r->tried[i];

		for (size_t k = 0; k < r->asked_count && wanted; k++)
			wanted = !same_place(r->asked[k], row);
		if (!wanted)
			continue;
		r->tried[i] = true;
		if (mo_assign(r->session->client, row->topic, row->partition, MO_OFFSET(row->offset), &e) == 0)
			r->asked[r->asked_count++] = row;
	}
	return r->asked_count > 0;
}

/* The record, or that there is none, is for all rows at the same offset of the partition. */
static void take(struct round *r, const struct mo_message *m, int64_t now_ms)
{
	int64_t age_ms = m->end || m->timestamp_ms > now_ms ? 0 : now_ms - m->timestamp_ms;
	const struct group_row *at = NULL;
	struct mo_err e;

	for (size_t i = 0; i < r->asked_count && !at; i++)
		if (r->asked[i]->partition == m->partition && strcmp(r->asked[i]->topic, m->topic) == 0)
			at = r->asked[i];
	for (size_t i = 0; i < r->count && at; i++)
		if (r->rows[i].lag > 0 && r->rows[i].offset == at->offset && same_place(&r->rows[i], at))
			r->rows[i].lag_ms = age_ms;
	mo_unassign(r->session->client, m->topic, m->partition, &e);
}

static void read_round(struct round *r, int64_t deadline_ms)
{
	size_t left = r->asked_count;
	const struct mo_message *m;
	struct mo_err e;
	int64_t wait_ms;
	int code = 0;

	while (left > 0 && code != MO_TIMED_OUT && (wait_ms = deadline_ms - steady_ms()) > 0) {
		code = mo_consume(r->session->client, (int)wait_ms, &m, &e);
		if (!code)
			take(r, m, group_now_ms());
		/* An error is about one partition as well, whose age stays unknown. */
		left -= code != MO_TIMED_OUT;
	}
	for (size_t i = 0; i < r->asked_count; i++)
		if (r->asked[i]->lag_ms < 0)
			mo_unassign(r->session->client, r->asked[i]->topic, r->asked[i]->partition, &e);
}

void group_lag_times(struct session *s, struct group_row *rows, size_t count, int64_t timeout_ms)
{
	int64_t deadline_ms = steady_ms() + timeout_ms;
	struct round r = {.session = s, .rows = rows, .count = count};

	r.tried = mem_zalloc(count + 1);
	r.asked = mem_alloc((count + 1) * sizeof(struct group_row *));
	while (begin_round(&r))
		read_round(&r, deadline_ms);
	mem_free(r.tried);
	mem_free(r.asked);
}
