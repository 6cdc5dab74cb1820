/* peer: see the header. What goes over the wire is cut by net/intake and queued by net/send_queue, as on the broker's side. */
#include "rpc/peer.h"

#include <stdio.h>

#include "base/alloc.h"
#include "net/intake.h"
#include "rpc/peer_own.h"
#include "rpc/throttle.h"

#define SEND_PARTS 64
#define RECEIVES_PER_TURN 8
#define MAX_CUTS 1024
#define ARENA_MAX ((size_t)64 * 1024)
/* Version 5 adds a check of cluster and node that a client without knowledge of either does not want. */
#define API_VERSIONS_NEWEST 4
/* Kafka's brokers list about 60 APIs; newer ones more. */
#define MAX_API_KEY 256

struct version_range {
	int16_t min;
	int16_t max;
	bool listed;
};

/* A call on the wire. It outlives the caller's interest (peer_call_cancel). */
struct flight {
	struct list_node node;
	struct peer_call *call; /* NULL: nobody waits */
	struct request_header header;
	int64_t deadline_us;
	uint64_t end_mark; /* of the bytes queued: sent when so many have left */
	bool no_answer;
	bool lent; /* records of the caller's may still be in the send queue */
};

struct peer {
	struct socket_owner events;
	struct peer_options options;
	enum peer_state state;
	struct socket *socket;
	struct intake intake;
	struct send_queue sending;
	struct list flights; /* oldest first */
	size_t flight_count;
	uint64_t queued_bytes;
	uint64_t sent_bytes;
	struct task work;
	struct task tell;
	struct timer deadlines;
	struct timer backoff;
	struct timer quiet;
	int64_t quiet_until_us; /* 0: not quiet */
	struct event ready_or_failed;
	struct fiber *connecting;
	uint8_t *scratch;
	struct version_range versions[MAX_API_KEY];
	int64_t backoff_us;
	int32_t next_correlation_id;
	unsigned interest;
	unsigned failures;
	unsigned failure_count; /* of all times, for those who wait */
	bool negotiated;
	bool readable;
	bool blocked;
	bool wanted; /* connect once the backoff is over */
	bool working;
	bool closed;
	enum err why_error;
	char why[PEER_WHY_SIZE];
};

#define SCRATCH_SIZE ((size_t)64 * 1024)

static void drop(struct peer *p, enum err reason, const char *why);

static void schedule(struct peer *p)
{
	shard_defer(p->options.shard, &p->work);
}

static void set_state(struct peer *p, enum peer_state state)
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

static void want_events(struct peer *p, unsigned events)
{
	if (p->interest == events || !p->socket)
		return;
	p->interest = events;
	socket_set_interest(p->socket, events);
}

/* --- calls ------------------------------------------------------------------------------------------------------- */

static void flight_end(struct peer *p, struct flight *f, enum err error, struct blob *frame)
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

static void arm_deadline(struct peer *p)
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
		drop(p, ERR_TIMED_OUT, why);
		return;
	}
	arm_deadline(p);
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

static enum err send_call(struct peer *p, struct peer_call *c)
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
	arm_deadline(p);
	schedule(p);
	return OK;
}

enum err peer_send(struct peer *p, struct peer_call *c)
{
	if (p->state != PEER_READY)
		return ERR_WRONG_STATE;
	if (p->quiet_until_us || p->flight_count >= p->options.max_calls)
		return ERR_AGAIN;
	return send_call(p, c);
}

void peer_call_cancel(struct peer *p, struct peer_call *c)
{
	struct flight *f = c->flight;

	if (!f)
		return;
	f->call = NULL;
	c->flight = NULL;
	if (f->lent && p->sent_bytes < f->end_mark)
		drop(p, ERR_CANCELLED, "a request was given up half sent");
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
		flight_end(p, container_of(n, struct flight, node), reason, NULL);
}

static void begin_backoff(struct peer *p)
{
	int64_t wait = p->backoff_us;

	/* A fifth of jitter either way, so that a broker that comes back is not met by all at once (KIP-144). */
	wait += prng_between(shard_random(p->options.shard), -wait / 5, wait / 5);
	p->backoff_us = p->backoff_us * 2 > p->options.backoff_max_us ? p->options.backoff_max_us : p->backoff_us * 2;
	set_state(p, PEER_BACKOFF);
	timer_arm(p->options.shard, &p->backoff, shard_now_us(p->options.shard) + wait);
}

/* From connecting or ready. The fiber that connects sees by the state that its work is void. */
static void drop(struct peer *p, enum err reason, const char *why)
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
	drop(p, reason, err_text(reason));
}

/* --- receiving --------------------------------------------------------------------------------------------------- */

static struct flight *oldest_answered(struct peer *p)
{
	list_for_each(&p->flights, n)
	{
		struct flight *f = container_of(n, struct flight, node);

		if (!f->no_answer)
			return f;
	}
	return NULL;
}

/* The answer to a request in a version that the broker did not know comes in version 0. */
static int16_t answer_version(const struct flight *f, struct bytes body)
{
	bool refused = f->header.api_key == API_API_VERSIONS && body.size >= 2 &&
		       get_be16(body.data) == (uint16_t)ERR_UNSUPPORTED_VERSION;

	return refused ? 0 : f->header.api_version;
}

static enum err decode_answer(const struct flight *f, struct bytes frame, char *ret_why)
{
	struct reader r = reader_of(frame);
	const struct api *api = api_find(f->header.api_key);
	int32_t correlation_id = 0;
	enum err e = response_header_decode(&r, &f->header, &correlation_id);

	if (e) {
		snprintf(ret_why, PEER_WHY_SIZE, "the header of an answer to %s does not parse", api->name);
		return ERR_MALFORMED;
	}
	if (correlation_id != f->header.correlation_id) {
		snprintf(ret_why, PEER_WHY_SIZE, "an answer to request %d came where that to %s, request %d, was due",
			 correlation_id, api->name, f->header.correlation_id);
		return ERR_MALFORMED;
	}
	if (!f->call)
		return OK;
	e = message_decode(api->response, answer_version(f, bytes_of(r.at, reader_left(&r))), &r, f->call->arena,
			   f->call->response);
	if (e) {
		snprintf(ret_why, PEER_WHY_SIZE, "an answer to %s does not parse (%s)", api->name, err_text(e));
		return e == ERR_NO_MEMORY ? ERR_TOO_BIG : ERR_MALFORMED;
	}
	return OK;
}

static void be_quiet(struct peer *p, int32_t wait_ms)
{
	int64_t until_us = shard_now_us(p->options.shard) + (int64_t)wait_ms * 1000;

	if (wait_ms <= 0 || until_us <= p->quiet_until_us)
		return;
	p->quiet_until_us = until_us;
	timer_arm(p->options.shard, &p->quiet, until_us);
	shard_defer(p->options.shard, &p->tell);
}

static void on_quiet_over(struct timer *t)
{
	struct peer *p = container_of(t, struct peer, quiet);

	p->quiet_until_us = 0;
	shard_defer(p->options.shard, &p->tell);
	event_signal(&p->ready_or_failed);
}

static void take_frame(struct peer *p, struct blob *frame)
{
	struct flight *f = oldest_answered(p);
	char why[PEER_WHY_SIZE] = "";
	enum err e;

	if (!f) {
		blob_unref(frame);
		drop(p, ERR_MALFORMED, "the broker sent an answer to no request");
		return;
	}
	e = decode_answer(f, blob_bytes(frame), why);
	if (e) {
		blob_unref(frame);
		drop(p, e, why);
		return;
	}
	/* Before `done`, which may want to send. */
	if (f->call)
		be_quiet(p, throttle_ms(api_find(f->header.api_key), f->header.api_version, f->call->response));
	flight_end(p, f, OK, frame);
	arm_deadline(p);
}

/* What speaks another protocol begins with text, or with TLS's record, where we expect a size. */
static void say_too_large(int32_t declared, char *ret_why, size_t size)
{
	if (declared == 0x48545450)
		snprintf(ret_why, size, "this is HTTP, not Kafka's protocol: another port?");
	else if (declared >> 16 == 0x1503 || declared >> 16 == 0x1603)
		snprintf(ret_why, size, "this is TLS, which is not there yet: another port?");
	else
		snprintf(ret_why, size, "an answer of %d bytes: %s", (int)declared,
			 declared < 0 ? "not Kafka's protocol" : "more than receive.message.max.bytes");
}

/* Cuts frames out of `source`; false when the connection waits for memory or is gone. */
static bool cut_frames(struct peer *p, struct bytes *source)
{
	while (p->socket && (source->size > 0 || (p->intake.head_count == 4 && !p->intake.waiting))) {
		struct blob *frame = NULL;
		char why[PEER_WHY_SIZE];
		bool had = source->size > 0;

		switch (intake_step(&p->intake, source, &frame)) {
		case INTAKE_MORE:
			if (!had || source->size == 0)
				return true;
			break;
		case INTAKE_FRAME:
			take_frame(p, frame);
			break;
		case INTAKE_WAITS:
			return false;
		case INTAKE_TOO_LARGE:
			say_too_large(intake_declared(&p->intake), why, sizeof(why));
			drop(p, ERR_TOO_BIG, why);
			return false;
		case INTAKE_NO_MEMORY:
			drop(p, ERR_NO_MEMORY, "no memory for an answer");
			return false;
		}
	}
	return p->socket != NULL;
}

/* True: the socket may have more. */
static bool receive_some(struct peer *p)
{
	size_t size = SCRATCH_SIZE, count = 0;
	uint8_t *room = intake_room(&p->intake, &size);
	enum err e;

	if (!room)
		size = SCRATCH_SIZE;
	e = socket_receive(p->socket, room ? room : p->scratch, size, &count);
	if (e == ERR_AGAIN)
		return false;
	if (e) {
		drop(p, ERR_CONNECTION_LOST,
		     e == ERR_CLOSED ? "the broker closed the connection" : "the connection was lost");
		return false;
	}
	if (room) {
		struct blob *frame = intake_filled(&p->intake, count);

		if (frame)
			take_frame(p, frame);
	} else {
		struct bytes source = bytes_of(p->scratch, count);

		if (!cut_frames(p, &source) && p->socket && source.size > 0 && !intake_keep(&p->intake, source))
			drop(p, ERR_NO_MEMORY, "no memory for an answer");
	}
	return p->socket && !p->intake.waiting && count == size;
}

static void receive_kept(struct peer *p)
{
	struct bytes kept = intake_kept(&p->intake);
	struct bytes source = kept;

	if (kept.size == 0 || p->intake.waiting)
		return;
	cut_frames(p, &source);
	if (p->socket)
		intake_kept_used(&p->intake, kept.size - source.size);
}

static void receive(struct peer *p)
{
	receive_kept(p);
	if (!p->socket || p->intake.waiting || intake_kept(&p->intake).size > 0)
		return;
	for (int i = 0; i < RECEIVES_PER_TURN && p->readable; i++)
		if (!receive_some(p))
			break;
	p->readable = false;
}

/* --- sending ----------------------------------------------------------------------------------------------------- */

static void end_sent(struct peer *p)
{
	list_for_each(&p->flights, n)
	{
		struct flight *f = container_of(n, struct flight, node);

		if (f->end_mark > p->sent_bytes)
			return;
		if (!f->no_answer)
			continue;
		flight_end(p, f, OK, NULL);
		schedule(p); /* `done` may have changed the list: look again */
		return;
	}
}

static void flush(struct peer *p)
{
	struct bytes parts[SEND_PARTS];

	while (p->socket && p->sending.size_bytes > 0 && !p->blocked) {
		size_t sent = 0;
		size_t n = send_queue_parts(&p->sending, parts, SEND_PARTS);
		enum err e = socket_send(p->socket, parts, n, &sent);

		if (e == ERR_AGAIN) {
			p->blocked = true;
		} else if (e) {
			drop(p, ERR_CONNECTION_LOST, "the connection was lost");
			return;
		} else {
			send_queue_sent(&p->sending, sent);
			p->sent_bytes += sent;
		}
	}
	end_sent(p);
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
	if (p->socket)
		receive(p);
	if (p->socket)
		flush(p);
	if (p->socket)
		want_events(p, (p->intake.waiting ? 0u : SOCKET_READABLE) | (p->blocked ? SOCKET_WRITABLE : 0u));
}

static void on_ready(struct socket_owner *o, unsigned events)
{
	struct peer *p = container_of(o, struct peer, events);

	if (events & SOCKET_READABLE)
		p->readable = true;
	if (events & SOCKET_WRITABLE)
		p->blocked = false;
	schedule(p);
}

static void on_granted(struct intake *i)
{
	struct peer *p = container_of(i, struct peer, intake);

	p->readable = true;
	schedule(p);
}

/* --- connecting -------------------------------------------------------------------------------------------------- */

static void note_versions(struct peer *p, const struct api_versions_response *r)
{
	memset(p->versions, 0, sizeof(p->versions));
	for (int32_t i = 0; i < r->api_keys_count; i++) {
		const struct api_versions_response_api_version *v = &r->api_keys[i];

		if (v->api_key >= 0 && v->api_key < MAX_API_KEY && v->min_version <= v->max_version)
			p->versions[v->api_key] = (struct version_range){v->min_version, v->max_version, true};
	}
}

struct waiting_call {
	struct peer_call call;
	struct fiber *fiber;
	bool done;
};

static void wake_caller(struct peer_call *c)
{
	struct waiting_call *w = container_of(c, struct waiting_call, call);

	w->done = true;
	fiber_wake(w->fiber);
}

static enum err wait_call_await(struct fiber *self, struct peer *p, struct waiting_call *w)
{
	while (!w->done) {
		if (fiber_cancelled(self)) {
			peer_call_cancel(p, &w->call);
			return ERR_CANCELLED;
		}
		fiber_park_await(self);
	}
	return w->call.error;
}

/* One ApiVersions exchange. ERR_BAD_VERSION with the newest that the broker has. */
static enum err ask_versions_await(struct fiber *self, struct peer *p, int16_t version, int16_t *ret_newest)
{
	struct api_versions_request request;
	struct api_versions_response response;
	struct waiting_call w = {.fiber = self};
	struct arena arena;
	enum err e;

	message_init(&api_versions_request_type, &request);
	request.client_software_name = bytes_str(p->options.software_name);
	request.client_software_version = bytes_str(p->options.software_version);
	arena_init(&arena, ARENA_MAX);
	w.call = (struct peer_call){
		.api_key = API_API_VERSIONS,
		.version = version,
		.deadline_us = shard_now_us(p->options.shard) + p->options.call_timeout_us,
		.request = &request,
		.response = &response,
		.arena = &arena,
		.done = wake_caller,
	};
	e = send_call(p, &w.call);
	if (!e)
		e = wait_call_await(self, p, &w);
	if (!e && response.error_code == ERR_UNSUPPORTED_VERSION) {
		note_versions(p, &response);
		*ret_newest = p->versions[API_API_VERSIONS].listed ? p->versions[API_API_VERSIONS].max : 0;
		e = ERR_BAD_VERSION;
	} else if (!e && response.error_code) {
		e = (enum err)response.error_code;
	} else if (!e) {
		note_versions(p, &response);
	}
	if (!e || e == ERR_BAD_VERSION)
		blob_unref(w.call.frame);
	arena_fini(&arena);
	return e;
}

static enum err negotiate_await(struct fiber *self, struct peer *p)
{
	int16_t newest = 0;
	enum err e = ask_versions_await(self, p, API_VERSIONS_NEWEST, &newest);

	if (e != ERR_BAD_VERSION)
		return e;
	if (newest < 0 || newest >= API_VERSIONS_NEWEST)
		newest = 0;
	return ask_versions_await(self, p, newest, &newest);
}

static void describe_connect(const struct peer *p, enum err e, char *ret_why)
{
	if (e == ERR_TIMED_OUT)
		snprintf(ret_why, PEER_WHY_SIZE, "no connection within %lld ms",
			 (long long)(p->options.connect_timeout_us / 1000));
	else
		snprintf(ret_why, PEER_WHY_SIZE, "%s", err_text(e));
}

static enum err connect_await(struct fiber *self, struct peer *p)
{
	char why[PEER_WHY_SIZE];
	struct socket *socket = NULL;
	int64_t deadline_us = shard_now_us(p->options.shard) + p->options.connect_timeout_us;
	enum err e = socket_connect_await(self, &p->options.address, deadline_us, &p->events, &socket);

	if (p->closed) {
		if (!e)
			socket_close(socket, true);
		return ERR_CANCELLED;
	}
	if (e) {
		describe_connect(p, e, why);
		drop(p, e, why);
		return e;
	}
	p->socket = socket;
	intake_init(&p->intake, p->options.shard, p->options.frames, p->options.max_response_bytes, on_granted);
	send_queue_init(&p->sending, p->options.shard);
	want_events(p, SOCKET_READABLE);
	e = negotiate_await(self, p);
	if (p->closed || !p->socket)
		return ERR_CONNECTION_LOST; /* told already */
	if (e) {
		snprintf(why, sizeof(why), "the broker does not tell its versions: %s", err_text(e));
		drop(p, e, why);
	}
	return e;
}

static void connect_main(struct fiber *self, void *argument)
{
	struct peer *p = argument;
	enum err e = connect_await(self, p);

	p->connecting = NULL;
	if (p->closed) {
		schedule(p);
		return;
	}
	if (e) {
		if (p->wanted && p->state == PEER_IDLE)
			peer_wake(p);
		return;
	}
	p->negotiated = true;
	p->failures = 0;
	p->backoff_us = p->options.backoff_us;
	set_state(p, PEER_READY);
	event_signal(&p->ready_or_failed);
}

void peer_wake(struct peer *p)
{
	static const struct fiber_options options = {.name = "peer_connect"};

	if (p->closed || p->state == PEER_READY || p->state == PEER_CONNECTING)
		return;
	p->wanted = true;
	if (p->state == PEER_BACKOFF || p->connecting)
		return;
	p->wanted = false;
	set_state(p, PEER_CONNECTING);
	p->connecting = fiber_start(p->options.shard, &options, connect_main, p);
	if (!p->connecting)
		drop(p, ERR_NO_MEMORY, "too many fibers");
}

static void on_backoff(struct timer *t)
{
	struct peer *p = container_of(t, struct peer, backoff);

	set_state(p, PEER_IDLE);
	if (p->wanted)
		peer_wake(p);
}

/* --- the door ---------------------------------------------------------------------------------------------------- */

struct peer *peer_new(const struct peer_options *o)
{
	struct peer *p = mem_new(struct peer);

	p->options = *o;
	if (o->alive)
		(*o->alive)++;
	p->events.ready = on_ready;
	p->work.run = on_work;
	p->tell.run = on_tell;
	p->deadlines.fire = on_deadline;
	p->backoff.fire = on_backoff;
	p->quiet.fire = on_quiet_over;
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
	schedule(p);
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

enum err peer_ready_await(struct fiber *self, struct peer *p, int64_t deadline_us)
{
	unsigned failures = p->failure_count;

	while (peer_state(p) != PEER_READY) {
		enum err e;

		if (p->failure_count != failures)
			return p->why_error;
		peer_wake(p);
		if (p->failure_count != failures)
			return p->why_error;
		e = event_wait_await(self, &p->ready_or_failed, deadline_us);
		if (e)
			return e;
	}
	return OK;
}

enum err peer_ask_await(struct fiber *self, struct peer *p, const struct peer_ask *ask, int16_t *ret_version,
			struct blob **ret_frame)
{
	struct waiting_call w = {.fiber = self};
	int16_t version = 0;
	enum err e = peer_ready_await(self, p, ask->deadline_us);

	if (e)
		return e;
	e = peer_version(p, ask->api_key, ask->newest, &version);
	if (e)
		return e;
	w.call = (struct peer_call){
		.api_key = ask->api_key,
		.version = version,
		.deadline_us = ask->deadline_us,
		.request = ask->request,
		.response = ask->response,
		.arena = ask->arena,
		.done = wake_caller,
	};
	e = peer_send(p, &w.call);
	if (!e)
		e = wait_call_await(self, p, &w);
	if (e)
		return e;
	if (ret_version)
		*ret_version = version;
	*ret_frame = w.call.frame;
	return OK;
}
