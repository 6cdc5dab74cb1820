/* peer: see the header. The state of a connection, and the calls on it. */
#include "rpc/peer.h"

#include <stdio.h>

#include "base/alloc.h"
#include "rpc/peer_own.h"

#define MAX_CUTS 1024

void peer_schedule(struct peer *p)
{
	shard_defer(p->options.shard, &p->work);
}

void peer_set_state(struct peer *p, enum peer_state state)
{
	if (p->state == state)
		return;
	p->state = state;
	shard_defer(p->options.shard, &p->tell);
}

static void on_tell(struct task *t)
{
	struct peer *p = container_of(t, struct peer, tell);

	if (p->options.changed && !p->closed)
		p->options.changed(p->options.user, p);
}

void peer_want_events(struct peer *p, unsigned events)
{
	if (p->interest == events || !p->socket)
		return;
	p->interest = events;
	socket_set_interest(p->socket, events);
}

/* --- calls ------------------------------------------------------------------------------------------------------- */

void peer_flight_end_take(struct peer *p, struct flight *f, enum err error, struct blob *frame)
{
	struct peer_call *c = f->call;

	list_remove(&f->node);
	p->flight_count--;
	mem_free(f);
	if (!c) {
		blob_unref(frame);
		return;
	}
	c->flight = NULL;
	c->error = error;
	c->frame = frame;
	c->done(c);
}

void peer_arm_deadline(struct peer *p)
{
	int64_t first = INT64_MAX;

	list_for_each(&p->flights, n)
	{
		int64_t due = container_of(n, struct flight, node)->deadline_us;

		first = due < first ? due : first;
	}
	if (first == INT64_MAX)
		timer_disarm(p->options.shard, &p->deadlines);
	else
		timer_arm(p->options.shard, &p->deadlines, first);
}

static void on_deadline(struct timer *t)
{
	struct peer *p = container_of(t, struct peer, deadlines);

	list_for_each(&p->flights, n)
	{
		struct flight *f = container_of(n, struct flight, node);
		char why[PEER_WHY_SIZE];

		if (f->deadline_us > shard_now_us(p->options.shard))
			continue;
		snprintf(why, sizeof(why), "no answer to %s in time", api_name(f->header.api_key));
		peer_fail(p, ERR_TIMED_OUT, why);
		return;
	}
	peer_arm_deadline(p);
}

static enum err queue_request(struct peer *p, struct flight *f, const struct peer_call *c)
{
	const struct api *api = api_find(c->api_key);
	struct encode_cut *cuts = mem_alloc(MAX_CUTS * sizeof(*cuts));
	struct send_piece *pieces = NULL;
	size_t cut_count = 0, total, count = 0, at = 0;
	struct buf out;
	enum err e;

	buf_init(&out, p->options.max_response_bytes);
	buf_put_i32(&out, 0);
	e = request_header_encode(&f->header, &out);
	if (!e)
		e = message_encode_split(api->request, c->version, c->request, &out, cuts, MAX_CUTS, &cut_count);
	if (e) {
		buf_fini(&out);
		mem_free(cuts);
		return e;
	}
	total = out.size;
	pieces = mem_alloc((2 * cut_count + 1) * sizeof(*pieces));
	for (size_t i = 0; i < cut_count; i++) {
		pieces[count++] = (struct send_piece){.bytes = bytes_of(out.data + at, cuts[i].offset - at)};
		pieces[count++] = (struct send_piece){.bytes = cuts[i].records};
		at = cuts[i].offset;
		total += cuts[i].records.size;
	}
	/* The memory of all the pieces goes with the last of them. */
	pieces[count++] = (struct send_piece){.bytes = bytes_of(out.data + at, out.size - at), .memory = out.data};
	put_be32(out.data, (uint32_t)(total - 4));
	send_queue_push_take(&p->sending, pieces, count);
	p->queued_bytes += total;
	f->end_mark = p->queued_bytes;
	f->lent = cut_count > 0;
	mem_free(pieces);
	mem_free(cuts);
	return OK;
}

enum err peer_send_call(struct peer *p, struct peer_call *c)
{
	struct flight *f = mem_new(struct flight);
	enum err e;

	f->call = c;
	f->no_answer = c->no_answer;
	f->deadline_us = c->deadline_us;
	f->header = (struct request_header){.api_key = c->api_key,
					    .api_version = c->version,
					    .correlation_id = p->next_correlation_id,
					    .client_id = bytes_str(p->options.client_id)};
	e = queue_request(p, f, c);
	if (e) {
		mem_free(f);
		return e;
	}
	p->next_correlation_id = p->next_correlation_id == INT32_MAX ? 0 : p->next_correlation_id + 1;
	c->flight = f;
	c->frame = NULL;
	list_push_back(&p->flights, &f->node);
	p->flight_count++;
	peer_arm_deadline(p);
	peer_schedule(p);
	return OK;
}

enum err peer_send(struct peer *p, struct peer_call *c)
{
	if (p->state != PEER_READY)
		return ERR_WRONG_STATE;
	if (p->quiet_until_us || p->flight_count >= p->options.max_calls)
		return ERR_AGAIN;
	return peer_send_call(p, c);
}

void peer_call_cancel(struct peer *p, struct peer_call *c)
{
	struct flight *f = c->flight;

	if (!f)
		return;
	f->call = NULL;
	c->flight = NULL;
	if (f->lent && p->sent_bytes < f->end_mark)
		peer_fail(p, ERR_CANCELLED, "a request was given up half sent");
}

size_t peer_calls(const struct peer *p)
{
	return p->flight_count;
}

/* --- the connection ---------------------------------------------------------------------------------------------- */

static void connection_end(struct peer *p)
{
	if (p->socket) {
		socket_close(p->socket, false);
		p->socket = NULL;
		intake_fini(&p->intake);
	}
	send_queue_fini(&p->sending);
	p->interest = 0;
	p->readable = p->blocked = p->negotiated = false;
	p->queued_bytes = p->sent_bytes = 0;
	p->quiet_until_us = 0; /* a broker mutes a connection, not a client */
	timer_disarm(p->options.shard, &p->quiet);
	timer_disarm(p->options.shard, &p->deadlines);
}

static void fail_calls(struct peer *p, enum err reason)
{
	struct list over;
	struct list_node *n;

	/* Only those that are here now: `done` may send again, which fails by the state. */
	list_init(&over);
	list_splice_back(&over, &p->flights);
	while ((n = list_first(&over)))
		peer_flight_end_take(p, container_of(n, struct flight, node), reason, NULL);
}

static void begin_backoff(struct peer *p)
{
	int64_t wait = p->backoff_us;

	/* A fifth of jitter either way, so that a broker that comes back is not met by all at once (KIP-144). */
	wait += prng_between(shard_random(p->options.shard), -wait / 5, wait / 5);
	p->backoff_us = p->backoff_us * 2 > p->options.backoff_max_us ? p->options.backoff_max_us : p->backoff_us * 2;
	peer_set_state(p, PEER_BACKOFF);
	timer_arm(p->options.shard, &p->backoff, shard_now_us(p->options.shard) + wait);
}

void peer_fail(struct peer *p, enum err reason, const char *why)
{
	if (p->state != PEER_READY && p->state != PEER_CONNECTING)
		return;
	p->why_error = reason;
	snprintf(p->why, sizeof(p->why), "%s", why);
	p->failures++;
	p->failure_count++;
	connection_end(p);
	begin_backoff(p);
	if (p->connecting)
		fiber_cancel(p->connecting);
	fail_calls(p, reason);
	event_signal(&p->ready_or_failed);
}

void peer_drop(struct peer *p, enum err reason)
{
	peer_fail(p, reason, err_text(reason));
}

static void peer_release(struct peer *p)
{
	shard_defer_cancel(p->options.shard, &p->tell);
	if (p->options.alive)
		(*p->options.alive)--;
	mem_free(p->scratch);
	mem_free(p);
}

static void on_work(struct task *t)
{
	struct peer *p = container_of(t, struct peer, work);

	if (p->closed) {
		if (!p->connecting)
			peer_release(p);
		return;
	}
	peer_transfer(p);
}

/* --- the door ---------------------------------------------------------------------------------------------------- */

struct peer *peer_new(const struct peer_options *o)
{
	struct peer *p = mem_new(struct peer);

	p->options = *o;
	if (o->alive)
		(*o->alive)++;
	p->events.ready = peer_on_ready;
	p->work.run = on_work;
	p->tell.run = on_tell;
	p->deadlines.fire = on_deadline;
	p->backoff.fire = peer_on_backoff;
	p->quiet.fire = peer_on_quiet_over;
	p->backoff_us = o->backoff_us;
	p->scratch = mem_alloc(SCRATCH_SIZE);
	list_init(&p->flights);
	event_init(&p->ready_or_failed);
	send_queue_init(&p->sending, o->shard);
	snprintf(p->why, sizeof(p->why), "not connected yet");
	return p;
}

void peer_free(struct peer *p)
{
	if (!p)
		return;
	p->closed = true;
	connection_end(p);
	timer_disarm(p->options.shard, &p->backoff);
	p->state = PEER_IDLE;
	p->failure_count++;
	p->why_error = ERR_CANCELLED;
	fail_calls(p, ERR_CANCELLED);
	event_signal(&p->ready_or_failed);
	if (p->connecting)
		fiber_cancel(p->connecting);
	/* It may be on the stack: its task frees it, or the fiber that still connects makes it. */
	peer_schedule(p);
}

enum peer_state peer_state(const struct peer *p)
{
	return p->state == PEER_READY && p->quiet_until_us ? PEER_QUIET : p->state;
}

const struct address *peer_address(const struct peer *p)
{
	return &p->options.address;
}

const char *peer_why(const struct peer *p)
{
	return p->why;
}

unsigned peer_failures(const struct peer *p)
{
	return p->failures;
}

int16_t peer_feature(const struct peer *p, const char *name)
{
	if (p->state != PEER_READY && p->state != PEER_QUIET)
		return 0;
	for (size_t i = 0; i < p->feature_count; i++)
		if (strcmp(p->features[i].name, name) == 0)
			return p->features[i].level;
	return 0;
}

enum err peer_version(const struct peer *p, int16_t api_key, int16_t newest, int16_t *ret_version)
{
	const struct api *api = api_find(api_key);
	const struct version_range *theirs = &p->versions[api_key];
	int16_t low, high;

	must(api && api_key < MAX_API_KEY);
	if (p->state != PEER_READY)
		return ERR_WRONG_STATE;
	if (!theirs->listed)
		return ERR_UNSUPPORTED;
	low = api->min_version > theirs->min ? api->min_version : theirs->min;
	high = api->max_version < theirs->max ? api->max_version : theirs->max;
	high = newest < high ? newest : high;
	if (low > high)
		return ERR_UNSUPPORTED;
	*ret_version = high;
	return OK;
}
