/* producer_send: Produce requests: which batches go together, and what the answer says about each. */
#include <stdio.h>

#include "base/alloc.h"
#include "client/producer_own.h"
#include "client/transaction.h"
#include "protocol/messages.h"

#define PRODUCE_NEWEST 13
#define PRODUCE_OLDEST 3      /* batches of magic 2 */
#define PRODUCE_OLDEST_ZSTD 7 /* KIP-110 */
#define PRODUCE_BY_ID 13
#define ARENA_MAX ((size_t)16 * 1024 * 1024)
#define BATCHES_MAX 500 /* of one request; each is a cut or two */

struct produce_flight {
	struct list_node node;
	struct peer_call call;
	struct producer *producer;
	struct peer *peer;
	struct arena arena;
	struct produce_response response;
	struct produce_batch **batches; /* NULL once answered */
	size_t batch_count;
	size_t batch_capacity;
	size_t bytes;
};

unsigned producer_flights(const struct producer *p, const struct peer *peer)
{
	unsigned count = 0;

	list_for_each(&p->flights, n) count += container_of(n, struct produce_flight, node)->peer == peer;
	return count;
}

static struct cluster_topic *picture_of(const struct produce_batch *b)
{
	return ((struct produce_topic *)b->line->topic)->picture;
}

/* --- the answer -------------------------------------------------------------------------------------------------- */

static struct produce_batch *find_batch(struct produce_flight *f,
					const struct produce_response_topic_produce_response *t, int32_t partition,
					size_t *ret_place)
{
	for (size_t i = 0; i < f->batch_count; i++) {
		struct produce_batch *b = f->batches[i];
		const struct cluster_topic *picture = b ? picture_of(b) : NULL;

		if (!b || b->line->partition != partition)
			continue;
		if (f->call.version >= PRODUCE_BY_ID ? uuid_equal(t->topic_id, picture->id)
						     : bytes_equal_str(t->name, picture->name)) {
			*ret_place = i;
			return b;
		}
	}
	return NULL;
}

static void describe(const struct produce_batch *b, const struct produce_response_partition_produce_response *r,
		     char *ret_text)
{
	const char *name = picture_of(b)->name;
	struct bytes words = r->error_message;

	if (words.size == 0 && r->record_errors_count > 0)
		words = r->record_errors[0].batch_index_error_message;
	snprintf(ret_text, PRODUCE_TEXT_SIZE, "%.249s/%d: %s%s%.*s", name, b->line->partition,
		 err_text((enum err)r->error_code), words.size ? ": " : "", words.size < 200 ? (int)words.size : 200,
		 words.data ? (const char *)words.data : "");
}

/* Who leads the partition now, if the answer says so (KIP-951). True when that is news. */
static bool take_hint(struct produce_flight *f, const struct produce_batch *b,
		      const struct produce_response_partition_produce_response *r)
{
	struct leader_hint hint = {.leader = r->current_leader.leader_id,
				   .leader_epoch = r->current_leader.leader_epoch};

	for (int32_t i = 0; i < f->response.node_endpoints_count; i++) {
		const struct produce_response_node_endpoint *n = &f->response.node_endpoints[i];

		if (n->node_id != hint.leader)
			continue;
		hint.host = n->host;
		hint.port = n->port;
	}
	return cluster_take_hint(f->producer->options.cluster, picture_of(b), b->line->partition, &hint);
}

static void partition_answered(struct produce_flight *f, struct produce_batch *b,
			       const struct produce_response_partition_produce_response *r)
{
	char text[PRODUCE_TEXT_SIZE];
	enum err e = (enum err)r->error_code;

	if (!e) {
		produce_batch_done(f->producer, b, r->base_offset, r->log_append_time_ms);
	} else if (e == ERR_DUPLICATE_SEQUENCE_NUMBER) {
		produce_batch_done(f->producer, b, -1, -1);
	} else {
		bool moved = (e == ERR_NOT_LEADER_OR_FOLLOWER || e == ERR_FENCED_LEADER_EPOCH) && take_hint(f, b, r);

		describe(b, r, text);
		produce_batch_answered(f->producer, b, e, text, moved);
	}
}

static void all_answered(struct produce_flight *f)
{
	for (int32_t i = 0; i < f->response.responses_count; i++) {
		const struct produce_response_topic_produce_response *t = &f->response.responses[i];

		for (int32_t k = 0; k < t->partition_responses_count; k++) {
			const struct produce_response_partition_produce_response *r = &t->partition_responses[k];
			size_t place = 0;
			struct produce_batch *b = find_batch(f, t, r->index, &place);

			if (!b)
				continue; /* nobody asked */
			f->batches[place] = NULL;
			partition_answered(f, b, r);
		}
	}
}

static void flight_free(struct produce_flight *f)
{
	if (list_linked(&f->node))
		list_remove(&f->node);
	arena_fini(&f->arena);
	mem_free(f->batches);
	mem_free(f);
}

static void on_answer(struct peer_call *c)
{
	struct produce_flight *f = container_of(c, struct produce_flight, call);
	struct producer *p = f->producer;
	const struct address *a = peer_address(f->peer);
	char text[PRODUCE_TEXT_SIZE];
	enum err error = c->error;

	if (!error && !c->no_answer)
		all_answered(f);
	/* Those that the answer forgot are in doubt. */
	if (!error && !c->no_answer)
		error = ERR_MALFORMED;
	snprintf(text, sizeof(text), "%s:%u: %s", a->host, a->port, error ? peer_why(f->peer) : "");
	for (size_t i = 0; i < f->batch_count; i++) {
		if (!f->batches[i])
			continue;
		if (error)
			produce_batch_answered(p, f->batches[i], error, text, false);
		else
			produce_batch_done(p, f->batches[i], -1, -1);
	}
	blob_unref(c->frame);
	flight_free(f);
	if (!p->stopping)
		producer_wake(p);
}

/* --- the request ------------------------------------------------------------------------------------------------- */

/* Batches of one topic stand together: lines of a target come in no order, so they are gathered by topic here. */
static void build_request(struct produce_flight *f, struct produce_request *request, const struct client_config *g)
{
	struct produce_request_topic_produce_data *topics;
	bool *used = arena_alloc_array(&f->arena, f->batch_count, sizeof(*used));

	topics = arena_alloc_array(&f->arena, f->batch_count, sizeof(*topics));
	must(topics && used);
	message_init(&produce_request_type, request);
	request->transactional_id = g->transactional_id[0] ? bytes_str(g->transactional_id) : bytes_null();
	request->acks = (int16_t)g->acks;
	request->timeout_ms = (int32_t)g->request_timeout_ms;
	request->topic_data = topics;
	request->topic_data_count = 0;
	for (size_t i = 0; i < f->batch_count; i++) {
		const struct cluster_topic *picture = picture_of(f->batches[i]);
		struct produce_request_topic_produce_data *t;

		if (used[i])
			continue;
		t = &topics[request->topic_data_count++];
		t->name = f->call.version >= PRODUCE_BY_ID ? bytes_empty() : bytes_str(picture->name);
		if (f->call.version >= PRODUCE_BY_ID)
			t->topic_id = picture->id;
		t->partition_data = arena_alloc_array(&f->arena, f->batch_count - i, sizeof(*t->partition_data));
		must(t->partition_data);
		for (size_t k = i; k < f->batch_count; k++) {
			if (used[k] || picture_of(f->batches[k]) != picture)
				continue;
			used[k] = true;
			t->partition_data[t->partition_data_count].index = f->batches[k]->line->partition;
			t->partition_data[t->partition_data_count++].records = f->batches[k]->bytes;
		}
	}
}

static enum err choose_version(const struct producer *p, const struct peer *peer, bool by_id, int16_t *ret_version)
{
	int16_t oldest = p->options.config->codec == CODEC_ZSTD ? PRODUCE_OLDEST_ZSTD : PRODUCE_OLDEST;
	int16_t newest = by_id ? PRODUCE_NEWEST : PRODUCE_BY_ID - 1;
	enum err e;

	if (p->transaction)
		newest = transaction_produce_newest(p->transaction, newest);
	e = peer_version(peer, API_PRODUCE, newest, ret_version);
	if (e)
		return e;
	return *ret_version >= oldest ? OK : ERR_UNSUPPORTED;
}

/* Takes the batch of this line that is due, if it fits. */
static void take_due(struct produce_flight *f, struct produce_line *l, const struct send_rules *rules,
		     int64_t *ret_due_us)
{
	struct producer *p = f->producer;
	size_t max = (size_t)p->options.config->max_request_size;
	int64_t due_us = INT64_MAX;
	struct produce_batch *b = produce_line_next(l, &p->pool, rules, &due_us);

	if (due_us < *ret_due_us)
		*ret_due_us = due_us;
	if (!b || f->batch_count >= BATCHES_MAX)
		return;
	if (f->batch_count > 0 && f->bytes + batch_builder_size(&b->builder) > max)
		return;
	/* A transaction in a new epoch; of the one before nothing is left. */
	if (p->transaction && (l->producer_id != p->producer_id || l->producer_epoch != p->producer_epoch))
		produce_line_renew(l, p->producer_id, p->producer_epoch);
	if (l->producer_id == NO_PRODUCER_ID && p->options.config->idempotence) {
		l->producer_id = p->producer_id;
		l->producer_epoch = p->producer_epoch;
	}
	if (produce_batch_seal(b) != OK) {
		/* Only compression can fail here, for want of room: more than the largest request. */
		produce_batch_fail(p, b, ERR_MESSAGE_TOO_LARGE,
				   "a batch is larger than max.request.size once compressed");
		return;
	}
	b->in_flight = true;
	b->attempts++;
	l->in_flight++;
	f->batches = mem_grow(f->batches, &f->batch_capacity, f->batch_count + 1, sizeof(struct produce_batch *));
	f->batches[f->batch_count++] = b;
	f->bytes += b->bytes.size;
}

static bool all_have_ids(const struct list *targeted)
{
	list_for_each(targeted, n)
	{
		const struct produce_line *l = container_of(n, struct produce_line, active);

		if (uuid_is_zero(((const struct produce_topic *)l->topic)->picture->id))
			return false;
	}
	return true;
}

static void not_sent(struct produce_flight *f, enum err e)
{
	for (size_t i = 0; i < f->batch_count; i++)
		produce_batch_answered(f->producer, f->batches[i], e, err_text(e), false);
	flight_free(f);
}

/* One request; false when nothing was due, or nothing more may leave. */
static bool send_one(struct producer *p, struct peer *peer, struct list *targeted, const struct send_rules *rules,
		     int64_t *ret_due_us)
{
	struct produce_flight *f = mem_new(struct produce_flight);
	struct produce_request request;
	int16_t version = 0;
	enum err e = choose_version(p, peer, all_have_ids(targeted), &version);

	f->producer = p;
	f->peer = peer;
	arena_init(&f->arena, ARENA_MAX);
	list_for_each(targeted, n) take_due(f, container_of(n, struct produce_line, active), rules, ret_due_us);
	if (f->batch_count == 0) {
		flight_free(f);
		return false;
	}
	if (e) {
		not_sent(f, e == ERR_UNSUPPORTED ? ERR_BAD_VERSION : e);
		return false;
	}
	f->call = (struct peer_call){
		.api_key = API_PRODUCE,
		.version = version,
		.no_answer = p->options.config->acks == 0,
		.deadline_us = rules->now_us + p->options.config->request_timeout_ms * 1000,
		.request = &request,
		.response = &f->response,
		.arena = &f->arena,
		.done = on_answer,
	};
	build_request(f, &request, p->options.config);
	if (p->transaction)
		transaction_sends(p->transaction);
	e = peer_send(peer, &f->call);
	if (e) {
		not_sent(f, e);
		return false;
	}
	list_push_back(&p->flights, &f->node);
	return true;
}

void producer_send(struct producer *p, struct peer *peer, struct list *targeted, int64_t *ret_due_us)
{
	unsigned limit = (unsigned)p->options.config->max_in_flight;
	struct send_rules rules = {
		.now_us = shard_now_us(p->options.shard),
		.linger_us = p->options.config->linger_ms * 1000,
		.max_in_flight = p->options.config->idempotence && limit > 5 ? 5 : limit,
		.hurry = p->hurry > 0,
	};
	unsigned flights = producer_flights(p, peer);

	while (flights < limit && send_one(p, peer, targeted, &rules, ret_due_us))
		flights++;
}
