/* transfer: the bytes of a peer's connection. They are cut by net/intake and queued by net/send_queue, as on the broker's side. */
#include <stdio.h>

#include "rpc/peer_own.h"
#include "rpc/throttle.h"

#define SEND_PARTS 64
#define RECEIVES_PER_TURN 8

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

void peer_on_quiet_over(struct timer *t)
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
		peer_fail(p, ERR_MALFORMED, "the broker sent an answer to no request");
		return;
	}
	e = decode_answer(f, blob_bytes(frame), why);
	if (e) {
		blob_unref(frame);
		peer_fail(p, e, why);
		return;
	}
	/* Before `done`, which may want to send. */
	if (f->call)
		be_quiet(p, throttle_ms(api_find(f->header.api_key), f->header.api_version, f->call->response));
	peer_flight_end_take(p, f, OK, frame);
	peer_arm_deadline(p);
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
			peer_fail(p, ERR_TOO_BIG, why);
			return false;
		case INTAKE_NO_MEMORY:
			peer_fail(p, ERR_NO_MEMORY, "no memory for an answer");
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
		peer_fail(p, ERR_CONNECTION_LOST,
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
			peer_fail(p, ERR_NO_MEMORY, "no memory for an answer");
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
		peer_flight_end_take(p, f, OK, NULL);
		peer_schedule(p); /* `done` may have changed the list: look again */
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
			peer_fail(p, ERR_CONNECTION_LOST, "the connection was lost");
			return;
		} else {
			send_queue_sent(&p->sending, sent);
			p->sent_bytes += sent;
		}
	}
	end_sent(p);
}

void peer_transfer(struct peer *p)
{
	if (p->socket)
		receive(p);
	if (p->socket)
		flush(p);
	if (p->socket)
		peer_want_events(p, (p->intake.waiting ? 0u : SOCKET_READABLE) | (p->blocked ? SOCKET_WRITABLE : 0u));
}

void peer_on_ready(struct socket_owner *o, unsigned events)
{
	struct peer *p = container_of(o, struct peer, events);

	if (events & SOCKET_READABLE)
		p->readable = true;
	if (events & SOCKET_WRITABLE)
		p->blocked = false;
	peer_schedule(p);
}

void peer_on_granted(struct intake *i)
{
	struct peer *p = container_of(i, struct peer, intake);

	p->readable = true;
	peer_schedule(p);
}
