/* conn: see the header. */
#include "net/conn.h"

#include <stdio.h>

#include "base/alloc.h"
#include "base/buf.h"

#define SEND_PARTS 64
/* What one connection does at most before the others of its shard have their turn. */
#define RECEIVES_PER_TURN 8
#define FRAMES_PER_TURN 64
#define BYTES_AS_A_FRAME 4096 /* what is large takes longer to work on */
#define SENDS_PER_TURN 16
/* Of a file in one call, and in one read of the disk. */
#define SEND_FILE_MAX ((size_t)256 * 1024)
#define WARM_FILE_MAX ((size_t)1024 * 1024)
#define SLOWEST_BYTES_PER_SECOND 16384
/* While others wait for the memory of a large frame. */
#define SLOWEST_AWAITED_BYTES_PER_SECOND 262144
/* Of an answer, while others wait for the memory that it takes: half of what a slow line over the world brings. */
#define SLOWEST_TAKEN_BYTES_PER_SECOND 65536
#define PATIENCE_US 10000000
/* Small is up to this, and up to a part of the budget. A batch of most producers is small, and whatever else clients ask. */
#define SMALL_FRAME_BYTES ((size_t)64 * 1024)
#define SMALL_FRAME_PART 64
#define WHY_SIZE 120

struct conn {
	struct socket_owner events;
	struct conn_shard *cs;
	struct conn_owner *owner;
	struct socket *socket;
	struct intake intake;
	struct send_queue sending;
	struct task work; /* receive, then flush */
	struct timer timer;
	struct file_warm warm;
	size_t warmed_bytes; /* of the file at the queue's front */
	struct address peer;
	int64_t active_us; /* when the last frame was complete, or bytes left */
	int64_t frame_began_us;
	int64_t sending_began_us; /* when something was queued behind nothing */
	int64_t taken_us;         /* when some of it last left */
	size_t taken_bytes;       /* by the kernel since it began */
	unsigned interest;
	unsigned frames_left; /* of this turn */
	bool reading;         /* conn_resume was called at least once */
	bool readable;        /* the socket said so, and nobody looked yet */
	bool blocked;         /* the kernel's send buffer is full */
	bool warming;         /* `warm` is under way: what is queued stays, whatever happens */
	bool hung_up;         /* the peer has ended, which is known before its last bytes are read */
	bool hung_up_told;    /* owner.hung_up was called */
	bool ended;           /* the peer's side, or an error: no more reads */
	bool told;            /* owner.closed was called */
	bool closed;
	enum err end_reason;
	char why[WHY_SIZE];
};

void conn_shard_init(struct conn_shard *cs, struct shard *s, struct budget *frames, size_t max_frame, int64_t idle_us)
{
	*cs = (struct conn_shard){.shard = s,
				  .frames = frames,
				  .scratch = mem_alloc(CONN_SCRATCH_SIZE),
				  .max_frame = max_frame,
				  .idle_us = idle_us,
				  .patience_us = PATIENCE_US,
				  .small_bytes = frames->limit / SMALL_FRAME_PART};
	if (cs->small_bytes > SMALL_FRAME_BYTES)
		cs->small_bytes = SMALL_FRAME_BYTES;
	budget_init(&cs->small_frames, s, frames->limit / 4);
}

void conn_shard_fini(struct conn_shard *cs)
{
	must(cs->open_count == 0);
	budget_fini(&cs->small_frames);
	mem_free(cs->scratch);
	cs->scratch = NULL;
}

static void want(struct conn *c, unsigned events, bool on)
{
	unsigned wanted = on ? c->interest | events : c->interest & ~events;

	if (wanted == c->interest || c->closed)
		return;
	c->interest = wanted;
	socket_set_interest(c->socket, wanted);
}

static void schedule(struct conn *c)
{
	shard_defer(c->cs->shard, &c->work);
}

/* No more input. What is queued still goes out, then the owner is told. */
static void end(struct conn *c, enum err reason, const char *why)
{
	if (!c->ended) {
		c->ended = true;
		c->end_reason = reason;
		snprintf(c->why, sizeof(c->why), "%s", why);
	}
	schedule(c);
}

static void tell(struct conn *c)
{
	if (c->told || c->closed)
		return;
	c->told = true;
	c->owner->closed(c->owner, c->end_reason, c->why);
}

static bool is_large(const struct conn *c)
{
	return intake_within_body(&c->intake) && (size_t)intake_declared(&c->intake) > c->cs->small_bytes;
}

/* It holds memory that others wait for, and does not send. */
static bool hoards(const struct conn *c, int64_t now_us)
{
	int64_t earned_us = (int64_t)intake_received(&c->intake) * 1000000 / SLOWEST_AWAITED_BYTES_PER_SECOND;

	return is_large(c) && !list_empty(&c->cs->frames->waiters) &&
	       now_us >= c->frame_began_us + c->cs->patience_us + earned_us;
}

static int64_t frame_deadline(const struct conn *c, int64_t now_us)
{
	int64_t due_us = c->frame_began_us + c->cs->idle_us +
			 (int64_t)intake_declared(&c->intake) * 1000000 / SLOWEST_BYTES_PER_SECOND;
	int64_t again_us = now_us + c->cs->patience_us;

	if (hoards(c, now_us))
		return now_us;
	/* Whether others wait may change: looked at now and then. */
	return is_large(c) && again_us < due_us ? again_us : due_us;
}

static int64_t deadline(struct conn *c, int64_t now_us)
{
	int64_t idle_us = c->cs->idle_us;

	if (intake_within_frame(&c->intake) && !c->intake.waiting)
		return frame_deadline(c, now_us);
	if (c->sending.size_bytes == 0 && c->owner->busy(c->owner))
		return now_us + idle_us;
	return c->active_us + idle_us;
}

/* Armed loosely: it fires at what was the deadline once, and looks again. */
static void on_timer(struct timer *t)
{
	struct conn *c = container_of(t, struct conn, timer);
	int64_t now_us = shard_now_us(c->cs->shard);
	int64_t due_us = deadline(c, now_us);

	if (c->ended && c->sending.size_bytes == 0)
		return; /* about to be told */
	if (c->warming)
		due_us = now_us + c->cs->idle_us; /* it is our disk that is slow */
	if (due_us > now_us) {
		timer_arm(c->cs->shard, &c->timer, due_us);
		return;
	}
	if (c->sending.size_bytes > 0) {
		send_queue_fini(&c->sending);
		c->blocked = false;
		end(c, ERR_TIMED_OUT, "the peer does not read its answers");
	} else if (intake_within_frame(&c->intake) && hoards(c, now_us)) {
		end(c, ERR_TIMED_OUT, "a request stopped on its way while others wait for the memory that it takes");
	} else if (intake_within_frame(&c->intake)) {
		end(c, ERR_TIMED_OUT, "a request did not arrive within connections.max.idle.ms");
	} else {
		end(c, ERR_CLOSED, "idle");
	}
}

/* Nothing of what is queued leaves any more. */
static void give_up(struct conn *c, enum err reason, const char *why)
{
	send_queue_fini(&c->sending);
	end(c, reason, why);
}

static void on_warm(struct file_warm *w)
{
	struct conn *c = container_of(w, struct conn, warm);

	c->warming = false;
	if (!c->closed && w->error)
		give_up(c, w->error, "records of an answer cannot be read from their file any more");
	c->warmed_bytes = w->range.size;
	schedule(c);
}

/* What comes next is on the disk only: a helper thread fetches it, and the connection goes on then. */
static void warm_up(struct conn *c, const struct file_range *range)
{
	c->warm = (struct file_warm){.range = *range, .done = on_warm};
	if (c->warm.range.size > WARM_FILE_MAX)
		c->warm.range.size = WARM_FILE_MAX;
	c->warming = true;
	file_warm(c->cs->shard, &c->warm);
}

static enum err send_next(struct conn *c, size_t *ret_sent)
{
	struct bytes parts[SEND_PARTS];
	struct file_range range, now;
	size_t n = send_queue_next(&c->sending, parts, SEND_PARTS, &range);
	bool warmed = n == 0 && c->warmed_bytes > 0;
	enum err e;

	if (!range.file)
		return socket_send(c->socket, parts, n, ret_sent);
	now = range;
	if (now.size > SEND_FILE_MAX)
		now.size = SEND_FILE_MAX;
	if (warmed && now.size > c->warmed_bytes)
		now.size = c->warmed_bytes;
	e = socket_send_file(c->socket, parts, n, &now, warmed, ret_sent);
	if (e)
		return e;
	if (*ret_sent == 0)
		warm_up(c, &range);
	else if (warmed)
		c->warmed_bytes -= *ret_sent;
	return OK;
}

static void flush(struct conn *c)
{
	bool was_high = c->sending.size_bytes > CONN_SEND_HIGH, any = c->sending.size_bytes > 0;

	for (int i = 0; c->sending.size_bytes > 0 && !c->blocked && !c->warming; i++) {
		size_t sent = 0;
		enum err e;

		if (i == SENDS_PER_TURN) {
			schedule(c);
			break;
		}
		e = send_next(c, &sent);
		if (e == ERR_AGAIN) {
			c->blocked = true;
		} else if (e == ERR_IO || e == ERR_CORRUPT) {
			give_up(c, e, "records of an answer cannot be read from their file any more");
		} else if (e) {
			give_up(c, ERR_CLOSED, "lost");
		} else if (sent > 0) {
			c->cs->sent_bytes += sent;
			send_queue_sent(&c->sending, sent);
			c->taken_bytes += sent;
			c->taken_us = c->active_us = shard_now_us(c->cs->shard);
		}
	}
	if (was_high && c->sending.size_bytes <= CONN_SEND_HIGH)
		conn_resume(c); /* the owner took nothing more because of it */
	if (any && c->sending.size_bytes == 0 && !c->ended && c->owner->drained)
		c->owner->drained(c->owner);
}

static void give_frame(struct conn *c, struct blob *frame)
{
	size_t cost = 1 + frame->size / BYTES_AS_A_FRAME;

	c->active_us = shard_now_us(c->cs->shard);
	c->frames_left -= cost < c->frames_left ? (unsigned)cost : c->frames_left;
	c->owner->frame(c->owner, frame);
}

/* From here on a large frame is watched: others may come to wait for its memory. */
static void watch(struct conn *c)
{
	int64_t soon_us = c->cs->patience_us < c->cs->idle_us ? c->cs->patience_us : c->cs->idle_us;

	if (is_large(c))
		timer_arm(c->cs->shard, &c->timer, shard_now_us(c->cs->shard) + soon_us);
}

/* It may not read on: it waits for memory, or the owner takes no further request now. */
static bool stopped(struct conn *c)
{
	return c->intake.waiting || (!intake_within_frame(&c->intake) && !c->owner->may_take(c->owner));
}

/* Browsers, scrapers and TLS begin with other things than a size. */
static void say_too_large(int32_t declared, size_t max, char *ret_why, size_t size)
{
	static const char *const methods[] = {"GET ", "POST", "HEAD", "PUT ", "OPTI", "DELE"};

	for (size_t i = 0; i < countof(methods); i++)
		if (declared == (int32_t)get_be32((const uint8_t *)methods[i])) {
			snprintf(ret_why, size,
				 "this is HTTP, not Kafka's protocol; metrics.listener is where HTTP is served");
			return;
		}
	if (declared >> 16 == 0x1603)
		snprintf(ret_why, size, "this is TLS, which is not there yet: the client has to use PLAINTEXT");
	else if (declared < 0)
		snprintf(ret_why, size, "a request of negative size %d: not Kafka's protocol", (int)declared);
	else
		snprintf(ret_why, size, "a request of %d bytes is over socket.request.max.bytes=%zu", (int)declared,
			 max);
}

/* Cuts what it can; false when the connection has to wait or to go, `*source` is then what is left. */
static bool cut_frames(struct conn *c, struct bytes *source)
{
	while (!c->closed && !c->ended) {
		struct blob *frame = NULL;
		bool begun = intake_within_frame(&c->intake), sized = intake_within_body(&c->intake);
		char why[WHY_SIZE];

		if (!begun && source->size == 0)
			return true;
		if (!begun && (c->frames_left == 0 || !c->owner->may_take(c->owner)))
			return false;
		switch (intake_step(&c->intake, source, &frame)) {
		case INTAKE_MORE:
			if (!begun)
				c->frame_began_us = shard_now_us(c->cs->shard);
			if (!sized)
				watch(c);
			return true;
		case INTAKE_FRAME:
			give_frame(c, frame);
			break;
		case INTAKE_WAITS:
			return false;
		case INTAKE_TOO_LARGE:
			say_too_large(intake_declared(&c->intake), c->cs->max_frame, why, sizeof(why));
			end(c, ERR_TOO_BIG, why);
			return false;
		case INTAKE_NO_MEMORY:
			end(c, ERR_NO_MEMORY, "no memory for a request");
			return false;
		}
	}
	return false;
}

static bool has_room(const struct conn_shard *cs, size_t size)
{
	return list_empty(&cs->frames->waiters) && list_empty(&cs->small_frames.waiters) &&
	       cs->small_frames.used + size <= cs->small_frames.limit;
}

/* What was received before and could not be cut then. False: some of it still waits. */
static bool receive_kept(struct conn *c)
{
	struct bytes kept = intake_kept(&c->intake);
	struct bytes source = kept;
	bool done;

	if (kept.size == 0)
		return true;
	done = cut_frames(c, &source);
	if (!c->closed)
		intake_kept_used(&c->intake, kept.size - source.size);
	return done;
}

static bool receive_failed(struct conn *c, enum err e)
{
	if (e && e != ERR_AGAIN)
		end(c, ERR_CLOSED, e == ERR_CLOSED ? "ended by the peer" : "connection lost");
	return e != OK;
}

/* Straight into the frame under way. True: there may be more. */
static bool receive_direct(struct conn *c, uint8_t *room, size_t size)
{
	size_t count = 0;
	struct blob *frame;

	if (receive_failed(c, socket_receive(c->socket, room, size, &count)))
		return false;
	c->cs->received_bytes += count;
	frame = intake_filled(&c->intake, count);
	if (frame)
		give_frame(c, frame);
	return !c->closed && !c->ended && count == size;
}

static bool receive_scratch(struct conn *c)
{
	size_t size = CONN_SCRATCH_SIZE, count = 0;
	struct bytes source;
	bool done;

	/* Short of memory: no more than the next size, so that nothing comes to hand that the budget does not know. */
	if (!intake_within_frame(&c->intake) && !has_room(c->cs, CONN_SCRATCH_SIZE))
		size = 4;
	if (receive_failed(c, socket_receive(c->socket, c->cs->scratch, size, &count)))
		return false;
	c->cs->received_bytes += count;
	source = bytes_of(c->cs->scratch, count);
	done = cut_frames(c, &source);
	if (!c->closed && !c->ended && source.size > 0 && !intake_keep(&c->intake, source))
		end(c, ERR_NO_MEMORY, "no memory for a request");
	/* What did not fill the room emptied the socket; what comes later is told again. */
	return done && !c->closed && !c->ended && count == size;
}

static void receive(struct conn *c)
{
	c->frames_left = FRAMES_PER_TURN;
	if (!receive_kept(c)) {
		if (c->frames_left == 0 && !c->closed) {
			schedule(c);
			return;
		}
		want(c, SOCKET_READABLE, !c->readable);
		c->readable = false;
		return;
	}
	for (int i = 0; i < RECEIVES_PER_TURN && c->readable; i++) {
		size_t size;
		uint8_t *room;

		if (stopped(c)) {
			want(c, SOCKET_READABLE, false);
			break;
		}
		room = intake_room(&c->intake, &size);
		if (!(room ? receive_direct(c, room, size) : receive_scratch(c)))
			break;
	}
	c->readable = false;
	if (c->frames_left == 0 && !c->closed)
		schedule(c);
}

static void conn_free(struct conn *c)
{
	intake_fini(&c->intake);
	send_queue_fini(&c->sending);
	mem_free(c);
}

/* Who reads comes to the end by itself; who does not, since the owner takes nothing now, has to hear of it. */
static void tell_hung_up(struct conn *c)
{
	if (!c->hung_up || c->hung_up_told || c->ended)
		return;
	c->hung_up_told = true;
	if (c->owner->hung_up)
		c->owner->hung_up(c->owner);
}

static void on_work(struct task *t)
{
	struct conn *c = container_of(t, struct conn, work);

	if (c->closed) {
		if (!c->warming)
			conn_free(c);
		return;
	}
	if (c->reading && !c->ended)
		receive(c);
	if (!c->closed)
		tell_hung_up(c);
	if (!c->closed)
		flush(c);
	if (c->closed)
		return; /* conn_close queued the task again, which frees it */
	want(c, SOCKET_WRITABLE, c->blocked);
	if (c->ended) {
		want(c, SOCKET_READABLE, false);
		if (c->sending.size_bytes == 0)
			tell(c);
	}
}

static void on_ready(struct socket_owner *o, unsigned events)
{
	struct conn *c = container_of(o, struct conn, events);

	if (events & SOCKET_WRITABLE)
		c->blocked = false;
	if (events & SOCKET_READABLE)
		c->readable = true;
	if (events & SOCKET_HUNG_UP) {
		c->hung_up = true;
		want(c, SOCKET_HUNG_UP, false);
	}
	schedule(c);
}

static void on_budget(struct intake *i)
{
	struct conn *c = container_of(i, struct conn, intake);

	if (c->closed)
		return; /* its task, which gives the memory back, comes right behind */
	c->frame_began_us = shard_now_us(c->cs->shard);
	watch(c);
	conn_resume(c);
}

enum err conn_open(struct conn_shard *cs, struct connection_handle handle, struct conn_owner *o, struct conn **ret_conn)
{
	struct conn *c = mem_new(struct conn);
	enum err e;

	c->events.ready = on_ready;
	c->cs = cs;
	c->owner = o;
	c->work.run = on_work;
	c->timer.fire = on_timer;
	e = socket_adopt(cs->shard, handle, &c->events, &c->socket);
	if (e) {
		mem_free(c);
		return e;
	}
	intake_init(&c->intake, cs->shard, cs->frames, cs->max_frame, on_budget);
	intake_set_small(&c->intake, &cs->small_frames, cs->small_bytes);
	send_queue_init(&c->sending, cs->shard);
	socket_peer_address(c->socket, &c->peer);
	c->active_us = shard_now_us(cs->shard);
	timer_arm(cs->shard, &c->timer, c->active_us + cs->idle_us);
	cs->open_count++;
	*ret_conn = c;
	return OK;
}

void conn_close(struct conn *c)
{
	must(!c->closed);
	/* What was answered before still leaves, as far as the kernel takes it now. */
	if (!c->ended && !c->told)
		flush(c);
	c->closed = true;
	timer_disarm(c->cs->shard, &c->timer);
	socket_close(c->socket, false);
	c->socket = NULL;
	if (!c->warming)
		send_queue_fini(&c->sending);
	c->cs->open_count--;
	/* It may be on the stack right now, and its intake may be the one that handed out the frame: freed by its task. */
	schedule(c);
}

void conn_resume(struct conn *c)
{
	if (c->closed || c->ended)
		return;
	c->reading = true;
	want(c, c->hung_up ? SOCKET_READABLE : SOCKET_READABLE | SOCKET_HUNG_UP, true);
	if (intake_kept(&c->intake).size > 0)
		schedule(c);
}

void conn_send_take(struct conn *c, const struct send_piece *pieces, size_t count)
{
	if (c->sending.size_bytes == 0) {
		c->taken_us = c->sending_began_us = shard_now_us(c->cs->shard);
		c->taken_bytes = 0;
	}
	send_queue_push_take(&c->sending, pieces, count);
	if (!c->closed)
		schedule(c);
	else if (!c->warming)
		send_queue_fini(&c->sending);
}

size_t conn_unsent(const struct conn *c)
{
	return c->sending.size_bytes;
}

/* The kernel takes the first megabytes of whoever reads nothing at once, so the rate alone would tell late. */
bool conn_stalls(const struct conn *c, int64_t patience_us)
{
	int64_t now_us = shard_now_us(c->cs->shard);
	int64_t earned_us = (int64_t)c->taken_bytes * 1000000 / SLOWEST_TAKEN_BYTES_PER_SECOND;

	return c->sending.size_bytes > 0 &&
	       (now_us >= c->taken_us + patience_us || now_us >= c->sending_began_us + patience_us + earned_us);
}

const struct address *conn_peer(const struct conn *c)
{
	return &c->peer;
}

void conn_local(const struct conn *c, struct address *ret_address)
{
	socket_local_address(c->socket, ret_address);
}
