/* request: see the header. */
#include "broker/request.h"

#include "base/alloc.h"
#include "base/mutant.h"
#include "broker/connection.h"
#include "broker/request_own.h"

static void on_deadline(struct timer *t)
{
	struct request *rq = container_of(t, struct request, deadline);

	request_hold(rq);
	rq->handler->expired(rq);
	must(rq->answered || rq->holds > 1 || timer_armed(&rq->deadline));
	request_release(rq);
}

struct request *request_new(struct connection *c, struct blob *frame)
{
	struct request *rq = mem_new(struct request);

	rq->connection = c;
	rq->table = c->table;
	rq->broker = c->table->broker;
	rq->shard = c->table->shard;
	rq->frame = frame;
	rq->received_us = shard_now_us(rq->shard);
	rq->deadline.fire = on_deadline;
	arena_init(&rq->arena, c->table->max_arena);
	c->table->requests++;
	return rq;
}

/* An overdraft stops those who come next, not this one, which has to end for the memory to come back. */
void request_account(struct request *rq)
{
	size_t holds_bytes = sizeof(*rq) + rq->arena.held + rq->answer_bytes;

	if (holds_bytes < REQUEST_FIRST_BYTES)
		holds_bytes = REQUEST_FIRST_BYTES;
	if (holds_bytes > rq->charged_bytes)
		budget_take_anyway(rq->table->work, holds_bytes - rq->charged_bytes);
	else
		budget_give(rq->table->work, rq->charged_bytes - holds_bytes);
	rq->charged_bytes = holds_bytes;
}

static void drop_answer(struct request *rq)
{
	for (size_t i = 0; i < rq->answer_count; i++) {
		if (rq->answer[i].blob)
			blob_unref_from(rq->shard, rq->answer[i].blob);
		mem_free(rq->answer[i].memory);
	}
	rq->answer_count = 0;
}

/* Invariant 2: answered, gone from the line, and held by nobody. */
static void free_if_done(struct request *rq)
{
	struct connection_table *table = rq->table;

	if (!rq->answered || rq->holds > 0 || list_linked(&rq->node))
		return;
	timer_disarm(rq->shard, &rq->deadline);
	drop_answer(rq);
	mem_free(rq->answer);
	arena_fini(&rq->arena);
	budget_give(table->work, rq->charged_bytes);
	blob_unref(rq->frame);
	mem_free(rq);
	if (--table->requests == 0)
		event_signal(&table->fewer);
}

void request_left(struct request *rq)
{
	rq->connection = NULL;
	free_if_done(rq);
}

void request_abandon(struct request *rq)
{
	bool waiting = !rq->answered;

	rq->connection = NULL;
	rq->abandoned = true;
	rq->answered = true;
	timer_disarm(rq->shard, &rq->deadline);
	request_hold(rq);
	if (waiting && rq->handler && rq->handler->abandon)
		rq->handler->abandon(rq);
	request_release(rq);
}

void *request_alloc(struct request *rq, size_t count, size_t size)
{
	size_t held_bytes = rq->arena.held;
	void *memory = arena_alloc_array(&rq->arena, count, size);

	if (rq->arena.held != held_bytes)
		request_account(rq);
	return memory;
}

void request_hold(struct request *rq)
{
	rq->holds++;
}

void request_release(struct request *rq)
{
	must(rq->holds > 0);
	rq->holds--;
	free_if_done(rq);
}

void request_ordered(struct request *rq)
{
	if (rq->ordered)
		return;
	must(rq->handler->overlaps);
	rq->ordered = true;
	if (rq->connection)
		connection_may_go_on(rq->connection);
}

void request_arm(struct request *rq, int64_t deadline_us)
{
	must(rq->handler->expired);
	if (!rq->answered)
		timer_arm(rq->shard, &rq->deadline, deadline_us);
}

static bool holds(const struct blob *b, struct bytes records)
{
	return b->file ? records.data == b->data : records.data >= b->data && records.data < b->data + b->size;
}

/* The records of a cut: they lie where their blob says. Blobs are in the order of the cuts. */
static struct send_piece piece_of(struct bytes records, struct blob **blobs, size_t blob_count, size_t *at)
{
	while (*at < blob_count && !(blobs[*at] && holds(blobs[*at], records)))
		++*at;
	if (*at == blob_count || !blobs[*at]->file)
		return (struct send_piece){.bytes = records};
	return (struct send_piece){
		.bytes = {.size = records.size}, .file = blobs[*at]->file, .position = blobs[*at]->position};
}

/* The encoded answer becomes its pieces: runs of `out` between the cuts, the cuts' records, and last what they keep alive. */
static void make_pieces(struct request *rq, struct buf *out, const struct encode_cut *cuts, size_t cut_count,
			struct blob **blobs, size_t blob_count)
{
	size_t at = 0, n = 0, blob_at = 0;

	rq->answer = mem_alloc((2 * cut_count + 1 + blob_count) * sizeof(*rq->answer));
	for (size_t i = 0; i < cut_count; i++) {
		if (cuts[i].offset > at)
			rq->answer[n++] = (struct send_piece){.bytes = bytes_of(out->data + at, cuts[i].offset - at)};
		rq->answer[n++] = piece_of(cuts[i].records, blobs, blob_count, &blob_at);
		at = cuts[i].offset;
	}
	for (size_t i = 0; i < blob_count; i++)
		rq->answer[n++] = (struct send_piece){.bytes = bytes_empty(), .blob = blobs[i]};
	/* The memory of `out` goes with its last run, which may be empty and is behind all the others. */
	rq->answer[n++] = (struct send_piece){.bytes = bytes_of(out->data + at, out->size - at), .memory = out->data};
	rq->answer_count = n;
	rq->answer_bytes = out->capacity;
	request_account(rq);
}

static void release_blobs(struct request *rq, struct blob **blobs, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (blobs[i])
			blob_unref_from(rq->shard, blobs[i]);
}

static struct request_header answer_header(const struct request *rq)
{
	struct request_header h = rq->header;
	const struct line *l = &rq->connection->line;

	if (MUTANT(REPLY_TO_WRONG_REQUEST) && l->count > 1)
		h.correlation_id = container_of(l->requests.head.previous, struct request, node)->header.correlation_id;
	return h;
}

static enum err encode(struct request *rq, const void *response, struct buf *out, struct encode_cut *cuts,
		       size_t max_cuts, size_t *ret_cuts)
{
	struct request_header h = answer_header(rq);
	struct encode_errors errors;
	size_t total;
	enum err e;

	buf_put_i32(out, 0);
	e = response_header_encode(&h, out);
	if (!e)
		e = message_encode_answer(rq->api->response, rq->header.api_version, response, out, cuts, max_cuts,
					  ret_cuts, &errors);
	if (!e)
		e = out->error;
	if (e)
		return e;
	total = out->size - 4;
	for (size_t i = 0; i < *ret_cuts; i++)
		total += cuts[i].records.size;
	if (total > INT32_MAX)
		return ERR_TOO_BIG;
	put_be32(out->data, (uint32_t)total);
	figures_errors(&rq->table->figures, rq->header.api_key, &errors);
	return OK;
}

void request_reply_blobs(struct request *rq, const void *response, struct blob **blobs, size_t blob_count)
{
	struct encode_cut few[8];
	struct encode_cut *cuts = few;
	size_t cut_count = 0;
	struct buf out;
	enum err e;

	if (rq->abandoned) {
		release_blobs(rq, blobs, blob_count);
		return;
	}
	must(!rq->answered);
	if (blob_count > countof(few))
		cuts = mem_alloc(blob_count * sizeof(*cuts));
	buf_init(&out, rq->table->max_arena);
	e = encode(rq, response, &out, cuts, blob_count, &cut_count);
	if (e) {
		log_error(shard_log(rq->shard), "the answer to %s v%d cannot be encoded: %s", rq->api->name,
			  rq->header.api_version, err_text(e));
		buf_fini(&out);
		release_blobs(rq, blobs, blob_count);
		request_close(rq, "no answer can be given");
	} else {
		make_pieces(rq, &out, cuts, cut_count, blobs, blob_count);
		rq->answered = true;
		timer_disarm(rq->shard, &rq->deadline);
		connection_answered(rq->connection);
	}
	if (cuts != few)
		mem_free(cuts);
}

void request_reply(struct request *rq, const void *response)
{
	request_reply_blobs(rq, response, NULL, 0);
}

void request_no_reply(struct request *rq)
{
	if (rq->abandoned)
		return;
	must(!rq->answered && !rq->handler->one_at_a_time); /* the next one waits for an answer to leave */
	rq->answered = true;
	timer_disarm(rq->shard, &rq->deadline);
	connection_answered(rq->connection);
}

void request_close(struct request *rq, const char *why)
{
	if (rq->abandoned)
		return;
	must(!rq->answered);
	/* Said by the handler itself: it needs no call to leave its waits. */
	rq->answered = true;
	connection_close(rq->connection, CLOSE_REFUSED, why);
}

/* --- the rest of a request as a fiber -------------------------------------------------------------------------------- */

struct request_fiber {
	struct request *rq;
	void (*main)(struct fiber *self, struct request *rq);
};

static void request_fiber_main(struct fiber *self, void *argument)
{
	struct request_fiber *f = argument;
	struct request *rq = f->rq;

	f->main(self, rq);
	must(rq->answered);
	request_release(rq);
}

void request_run_fiber(struct request *rq, const char *name, void (*main)(struct fiber *self, struct request *rq))
{
	struct request_fiber *f = request_alloc(rq, 1, sizeof(*f));
	struct fiber_options options = {.name = name};

	if (!f) {
		request_close(rq, "the request is too large to be worked on");
		return;
	}
	*f = (struct request_fiber){.rq = rq, .main = main};
	request_hold(rq);
	if (fiber_start(rq->shard, &options, request_fiber_main, f))
		return;
	request_close(rq, "too many requests wait at once");
	request_release(rq);
}
