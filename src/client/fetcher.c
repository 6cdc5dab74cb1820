/* fetcher: one broker's partitions, fetched in one session after another. Calls the peer, and hands over what came. */
#include <stdio.h>

#include "base/alloc.h"
#include "client/consumer_own.h"

#define FETCH_NEWEST 18
#define FETCH_BY_ID 13
#define ARENA_MAX ((size_t)64 * 1024 * 1024)
/* Of one batch; Kafka knows no bound, its brokers' message.max.bytes keeps batches far below it. */
#define DECOMPRESSED_MAX ((size_t)512 * 1024 * 1024)

struct forgotten {
	struct cluster_topic *topic;
	struct uuid id;
	int32_t index;
};

struct fetcher {
	struct consumer *consumer;
	struct fiber *fiber;
	int32_t broker_id;
	int32_t session_id; /* 0: none */
	int32_t session_epoch;
	bool by_id;
	struct forgotten *forgotten;
	size_t forgotten_count;
	size_t forgotten_capacity;
	unsigned failures;
	bool anew;                    /* the session is to end */
	struct offset_search *search; /* its own memory, since a fiber's stack is small */
};

int32_t fetcher_broker_id(const struct fetcher *f)
{
	return f->broker_id;
}

void fetcher_forget(struct fetcher *f, struct consume_partition *p)
{
	f->forgotten = mem_grow(f->forgotten, &f->forgotten_capacity, f->forgotten_count + 1, sizeof(*f->forgotten));
	f->forgotten[f->forgotten_count++] = (struct forgotten){
		.topic = p->picture, .id = p->sent_id, .index = p->index};
	p->fetcher = NULL;
}

/* The next request names everything. */
static void session_reset(struct fetcher *f)
{
	const struct map_entry *entry;
	size_t place = 0;

	f->session_id = 0;
	f->session_epoch = 0;
	f->forgotten_count = 0;
	while ((entry = map_next(&f->consumer->partitions, &place)))
		if (((struct consume_partition *)entry->value)->fetcher == f)
			((struct consume_partition *)entry->value)->fetcher = NULL;
}

void fetcher_start_anew(struct fetcher *f)
{
	f->anew = true;
}

/* --- what there is to do ----------------------------------------------------------------------------------------- */

static bool is_mine(struct fetcher *f, const struct consume_partition *p)
{
	const struct cluster_topic *t = p->picture;

	return p->assigned && p->state != CONSUME_STOPPED && t->error == OK && p->index < t->partition_count &&
	       t->partitions[p->index].leader == f->broker_id;
}

/* Those of mine that need an offset and whose time has come, into `ret_found`; `ret_due_us`: when to look again. */
static size_t need_offsets(struct fetcher *f, int64_t now_us, struct consume_partition **ret_found, int64_t *ret_due_us)
{
	const struct map_entry *entry;
	size_t place = 0, count = 0;

	while ((entry = map_next(&f->consumer->partitions, &place))) {
		struct consume_partition *p = entry->value;

		if (!is_mine(f, p))
			continue;
		if (p->retry_at_us > now_us) {
			if (p->retry_at_us < *ret_due_us)
				*ret_due_us = p->retry_at_us;
			continue;
		}
		if (p->state == CONSUME_NEEDS_OFFSET && count < OFFSET_QUESTIONS_MAX)
			ret_found[count++] = p;
	}
	return count;
}

static bool wants_fetch(struct fetcher *f, const struct consume_partition *p, int64_t now_us)
{
	return is_mine(f, p) && p->state == CONSUME_FETCHING && p->retry_at_us <= now_us;
}

static size_t count_wanted(struct fetcher *f, int64_t now_us, bool *ret_all_ids)
{
	const struct map_entry *entry;
	size_t place = 0, count = 0;

	*ret_all_ids = true;
	while ((entry = map_next(&f->consumer->partitions, &place))) {
		const struct consume_partition *p = entry->value;

		if (!wants_fetch(f, p, now_us))
			continue;
		count++;
		*ret_all_ids &= !uuid_is_zero(p->picture->id);
	}
	return count;
}

static void offset_answered(struct consumer *c, struct consume_partition *p, const struct offset_question *q)
{
	char text[FETCHED_TEXT_SIZE];
	enum err e = q->error;

	if (!e && q->offset >= 0) {
		consume_at(c, p, q->offset);
		return;
	}
	if (e > -1000 && e != OK && !err_retriable(e)) {
		snprintf(text, sizeof(text), "%.249s/%d: no offset to start at: %s", p->picture->name, p->index,
			 err_text(e));
		consume_fail(c, p, e, text);
		return;
	}
	cluster_refresh(c->options.cluster);
	consume_backoff(c, p);
}

struct offset_search {
	struct consume_partition *found[OFFSET_QUESTIONS_MAX];
	struct offset_question questions[OFFSET_QUESTIONS_MAX];
	uint64_t generations[OFFSET_QUESTIONS_MAX];
};

static void find_offsets_await(struct fiber *self, struct fetcher *f, struct peer *peer, struct offset_search *s,
			       size_t count)
{
	struct consumer *c = f->consumer;

	for (size_t i = 0; i < count; i++) {
		const struct consume_partition *p = s->found[i];

		s->generations[i] = p->generation;
		s->questions[i] = (struct offset_question){.topic = p->picture, .partition = p->index, .at = p->start};
	}
	list_offsets_await(self, c->options.cluster, peer, s->questions, count,
			   shard_now_us(c->options.shard) + c->options.config->request_timeout_ms * 1000);
	for (size_t i = 0; i < count && !c->stopping; i++) {
		struct consume_partition *p = s->found[i];

		/* Meanwhile it may have been assigned anew, or taken away. */
		if (p->generation == s->generations[i] && p->assigned)
			offset_answered(c, p, &s->questions[i]);
	}
}

/* --- the request ------------------------------------------------------------------------------------------------- */

struct fetch_exchange {
	struct fetch_request request;
	struct fetch_response response;
	struct arena arena;
	struct blob *frame;
	int16_t version;
};

static bool session_lacks(const struct fetcher *f, const struct consume_partition *p, int32_t epoch)
{
	return p->fetcher != f || p->sent_offset != p->position || p->sent_epoch != epoch ||
	       p->sent_max_bytes != p->max_bytes || p->sent_generation != p->generation;
}

static struct fetch_request_fetch_topic *topic_entry(struct fetch_exchange *x, struct cluster_topic *t, size_t room)
{
	struct fetch_request_fetch_topic *entry = NULL;

	/* Partitions of a topic are mostly assigned one after the other. */
	if (x->request.topics_count > 0)
		entry = &x->request.topics[x->request.topics_count - 1];
	if (entry &&
	    (x->version >= FETCH_BY_ID ? uuid_equal(entry->topic_id, t->id) : bytes_equal_str(entry->topic, t->name)))
		return entry;
	entry = &x->request.topics[x->request.topics_count++];
	if (x->version >= FETCH_BY_ID)
		entry->topic_id = t->id;
	else
		entry->topic = bytes_str(t->name);
	entry->partitions = arena_alloc_array(&x->arena, room, sizeof(*entry->partitions));
	must(entry->partitions);
	return entry;
}

static void add_partition(struct fetcher *f, struct fetch_exchange *x, struct consume_partition *p, size_t room)
{
	int32_t epoch = p->picture->partitions[p->index].leader_epoch;
	struct fetch_request_fetch_topic *t;

	if (f->session_id != 0 && !session_lacks(f, p, epoch))
		return;
	t = topic_entry(x, p->picture, room);
	t->partitions[t->partitions_count++] = (struct fetch_request_fetch_partition){
		.partition = p->index,
		.current_leader_epoch = epoch,
		.fetch_offset = p->position,
		.last_fetched_epoch = -1,
		.log_start_offset = -1,
		.partition_max_bytes = p->max_bytes,
		.high_watermark = INT64_MAX, /* the schema's default: not told */
	};
	if (p->fetcher && p->fetcher != f)
		fetcher_forget(p->fetcher, p);
	p->fetcher = f;
	p->sent_offset = p->position;
	p->sent_epoch = epoch;
	p->sent_max_bytes = p->max_bytes;
	p->sent_id = p->picture->id;
	p->sent_generation = p->generation;
}

/* It left the session and is back in it by this request, under the same name: a broker forgets what a request both names and forgets. */
static bool is_back(struct fetcher *f, const struct forgotten *from, bool by_id)
{
	struct partition_key key = {.topic = from->topic, .index = (uint64_t)(uint32_t)from->index};
	const struct consume_partition *p = map_get(&f->consumer->partitions, bytes_of(&key, sizeof(key)));

	return p->fetcher == f && (!by_id || uuid_equal(p->sent_id, from->id));
}

/* Behind add_partition. */
static void add_forgotten(struct fetcher *f, struct fetch_exchange *x)
{
	bool by_id = x->version >= FETCH_BY_ID;
	struct fetch_request_forgotten_topic *t;

	if (f->session_id == 0)
		f->forgotten_count = 0;
	x->request.forgotten_topics_data = arena_alloc_array(&x->arena, f->forgotten_count + 1, sizeof(*t));
	must(x->request.forgotten_topics_data);
	x->request.forgotten_topics_data_count = 0;
	for (size_t i = 0; i < f->forgotten_count; i++) {
		struct forgotten *from = &f->forgotten[i];

		if (is_back(f, from, by_id))
			continue;
		t = &x->request.forgotten_topics_data[x->request.forgotten_topics_data_count++];
		t->topic = by_id ? bytes_empty() : bytes_str(from->topic->name);
		t->topic_id = by_id ? from->id : (struct uuid){{0}};
		t->partitions = arena_alloc(&x->arena, sizeof(int32_t));
		must(t->partitions);
		t->partitions[0] = from->index;
		t->partitions_count = 1;
	}
	f->forgotten_count = 0;
}

/* Mine that are not wanted now leave the session, so that what it has of them is not sent again and again. */
static void leave_unwanted(struct fetcher *f, int64_t now_us)
{
	const struct map_entry *entry;
	size_t place = 0;

	while ((entry = map_next(&f->consumer->partitions, &place))) {
		struct consume_partition *p = entry->value;

		if (p->fetcher == f && (!wants_fetch(f, p, now_us) || !uuid_equal(p->sent_id, p->picture->id)))
			fetcher_forget(f, p);
	}
}

static void build_request(struct fetcher *f, struct fetch_exchange *x, size_t wanted)
{
	const struct client_config *g = f->consumer->options.config;
	int64_t now_us = shard_now_us(f->consumer->options.shard);
	const struct map_entry *entry;
	size_t place = 0;

	message_init(&fetch_request_type, &x->request);
	x->request.replica_id = -1;
	x->request.max_wait_ms = (int32_t)g->fetch_max_wait_ms;
	x->request.min_bytes = (int32_t)g->fetch_min_bytes;
	x->request.max_bytes = (int32_t)g->fetch_max_bytes;
	x->request.isolation_level = (int8_t)g->read_committed;
	x->request.session_id = f->session_id;
	x->request.session_epoch = f->session_epoch;
	leave_unwanted(f, now_us);
	x->request.topics = arena_alloc_array(&x->arena, wanted + 1, sizeof(*x->request.topics));
	must(x->request.topics);
	x->request.topics_count = 0;
	while ((entry = map_next(&f->consumer->partitions, &place)))
		if (wants_fetch(f, entry->value, now_us))
			add_partition(f, x, entry->value, wanted);
	add_forgotten(f, x);
}

/* --- the answer -------------------------------------------------------------------------------------------------- */

static struct consume_partition *find_asked(struct fetcher *f, const struct fetch_exchange *x,
					    const struct fetch_response_fetchable_topic_response *t, int32_t index)
{
	struct cluster *cluster = f->consumer->options.cluster;
	struct partition_key key = {.index = (uint64_t)(uint32_t)index};
	struct consume_partition *p;

	key.topic = x->version >= FETCH_BY_ID ? cluster_topic_by_id(cluster, t->topic_id)
					      : cluster_topic_by_name(cluster, t->topic);
	p = key.topic ? map_get(&f->consumer->partitions, bytes_of(&key, sizeof(key))) : NULL;
	/* Invariant 3. */
	if (!p || p->fetcher != f || !p->assigned || p->state != CONSUME_FETCHING ||
	    p->sent_generation != p->generation || p->sent_offset != p->position)
		return NULL;
	return p;
}

/* Who leads the partition now, if the answer says so (KIP-951). True when that is news: its fetcher asks there at once. */
static bool take_hint(struct consumer *c, const struct fetch_response *all, const struct consume_partition *p,
		      const struct fetch_response_partition_data *r)
{
	struct leader_hint hint = {.leader = r->current_leader.leader_id,
				   .leader_epoch = r->current_leader.leader_epoch};

	for (int32_t i = 0; i < all->node_endpoints_count; i++) {
		if (all->node_endpoints[i].node_id != hint.leader)
			continue;
		hint.host = all->node_endpoints[i].host;
		hint.port = all->node_endpoints[i].port;
	}
	return cluster_take_hint(c->options.cluster, p->picture, p->index, &hint);
}

static void partition_failed(struct consumer *c, struct fetch_exchange *x, struct consume_partition *p,
			     const struct fetch_response_partition_data *r)
{
	char text[FETCHED_TEXT_SIZE];
	enum err e = (enum err)r->error_code;

	if (e == ERR_OFFSET_OUT_OF_RANGE) {
		snprintf(text, sizeof(text), "there is no offset %lld", (long long)p->position);
		consume_reset(c, p, text);
		return;
	}
	if (err_retriable(e) && e != ERR_CORRUPT_MESSAGE) {
		if (err_refreshes_metadata(e) || e == ERR_UNKNOWN_LEADER_EPOCH)
			cluster_refresh(c->options.cluster);
		if ((e == ERR_NOT_LEADER_OR_FOLLOWER || e == ERR_FENCED_LEADER_EPOCH) &&
		    take_hint(c, &x->response, p, r))
			p->failures = 0;
		else
			consume_backoff(c, p);
		return;
	}
	snprintf(text, sizeof(text), "%.249s/%d: cannot fetch at offset %lld: %s", p->picture->name, p->index,
		 (long long)p->position, err_text(e));
	consume_fail(c, p, e, text);
}

static void hand_over(struct consumer *c, struct fetched *d)
{
	c->outstanding += d->charged;
	c->options.hand_over(c->options.user, d);
}

static void partition_data(struct fetcher *f, struct fetch_exchange *x, struct consume_partition *p,
			   const struct fetch_response_partition_data *r)
{
	struct consumer *c = f->consumer;
	const struct client_config *g = c->options.config;
	int64_t readable_end = g->read_committed ? r->last_stable_offset : r->high_watermark;
	struct fetched *d = fetched_new();
	struct fetched_rules rules = {
		.from_offset = p->position,
		.check_crcs = g->check_crcs,
		.read_committed = g->read_committed,
		.max_decompressed_bytes = DECOMPRESSED_MAX,
		.compressor = c->options.compressor,
		.aborted = r->aborted_transactions,
		.aborted_count = r->aborted_transactions_count > 0 ? r->aborted_transactions_count : 0,
	};
	bool cut = false;

	d->partition = p;
	d->topic = p->picture->name;
	d->partition_index = p->index;
	d->generation = p->generation;
	fetched_open(d, r->records, &rules, &cut);
	if (d->next_offset != p->position || d->batch_count > 0)
		stall_moved(&p->stall, shard_now_us(c->options.shard));
	p->position = d->next_offset;
	p->failures = 0;
	if (cut && p->max_bytes < INT32_MAX / 2)
		p->max_bytes *= 2;
	if (d->error) {
		p->state = CONSUME_STOPPED;
		fetcher_forget(f, p);
	} else if (g->partition_eof && p->position >= readable_end && p->end_told != p->position) {
		d->end = true;
		p->end_told = p->position;
	}
	/* Control batches alone move the reader's position too: that is what is committed. */
	if (d->batch_count == 0 && !d->end && !d->error && d->next_offset == d->from_offset) {
		fetched_free(d);
		return;
	}
	if (d->batch_count > 0)
		d->frame = blob_ref(x->frame);
	hand_over(c, d);
}

static void session_answered(struct fetcher *f, const struct fetch_response *r)
{
	if (r->session_id == 0) {
		session_reset(f);
		return;
	}
	f->session_epoch = r->session_id != f->session_id  ? 1
			   : f->session_epoch == INT32_MAX ? 1
							   : f->session_epoch + 1;
	f->session_id = r->session_id;
}

static void all_answered(struct fetcher *f, struct fetch_exchange *x)
{
	for (int32_t i = 0; i < x->response.responses_count; i++) {
		const struct fetch_response_fetchable_topic_response *t = &x->response.responses[i];

		for (int32_t k = 0; k < t->partitions_count; k++) {
			const struct fetch_response_partition_data *r = &t->partitions[k];
			struct consume_partition *p = find_asked(f, x, t, r->partition_index);

			if (!p)
				continue;
			if (r->error_code)
				partition_failed(f->consumer, x, p, r);
			else
				partition_data(f, x, p, r);
		}
	}
}

static void pause_await(struct fiber *self, struct fetcher *f)
{
	struct consumer *c = f->consumer;

	(void)fiber_sleep_await(self, client_backoff_us(c->options.shard, c->options.config, ++f->failures));
}

static enum err exchange_await(struct fiber *self, struct fetcher *f, struct peer *peer, struct fetch_exchange *x,
			       bool all_ids, size_t wanted)
{
	const struct client_config *g = f->consumer->options.config;
	enum err e = peer_version(peer, API_FETCH, all_ids ? FETCH_NEWEST : FETCH_BY_ID - 1, &x->version);

	if (e)
		return e;
	if ((x->version >= FETCH_BY_ID) != f->by_id)
		session_reset(f);
	if (f->anew)
		session_reset(f);
	f->anew = false;
	f->by_id = x->version >= FETCH_BY_ID;
	build_request(f, x, wanted);
	return peer_ask_await(self, peer,
			      &(struct peer_ask){.api_key = API_FETCH,
						 .newest = x->version,
						 .deadline_us = shard_now_us(f->consumer->options.shard) +
								(g->request_timeout_ms + g->fetch_max_wait_ms) * 1000,
						 .request = &x->request,
						 .response = &x->response,
						 .arena = &x->arena},
			      &x->version, &x->frame);
}

static void fetch_once_await(struct fiber *self, struct fetcher *f, struct peer *peer, bool all_ids, size_t wanted)
{
	struct consumer *c = f->consumer;
	struct fetch_exchange *x = mem_new(struct fetch_exchange);
	enum err e;

	arena_init(&x->arena, ARENA_MAX);
	e = exchange_await(self, f, peer, x, all_ids, wanted);
	if (!e && !c->stopping) {
		e = (enum err)x->response.error_code;
		if (!e) {
			f->failures = 0;
			all_answered(f, x);
			session_answered(f, &x->response);
		}
	}
	blob_unref(x->frame);
	arena_fini(&x->arena);
	mem_free(x);
	if (!e || c->stopping)
		return;
	session_reset(f);
	if (e == ERR_FETCH_SESSION_ID_NOT_FOUND || e == ERR_INVALID_FETCH_SESSION_EPOCH)
		return; /* at once, with everything */
	cluster_refresh(c->options.cluster);
	pause_await(self, f);
}

/* One step of the loop: find an offset, fetch, or wait for something to do. */
static void step_await(struct fiber *self, struct fetcher *f)
{
	struct consumer *c = f->consumer;
	int64_t now_us = shard_now_us(c->options.shard), due_us = FIBER_NO_DEADLINE;
	size_t limit = (size_t)c->options.config->queued_max_kbytes * 1024;
	struct peer *peer = cluster_broker(c->options.cluster, f->broker_id);
	size_t wanted = need_offsets(f, now_us, f->search->found, &due_us);
	bool all_ids = true;
	enum err e;

	if (wanted > 0) {
		find_offsets_await(self, f, peer, f->search, wanted);
		return;
	}
	wanted = count_wanted(f, now_us, &all_ids);
	if (wanted == 0 || c->outstanding >= limit) {
		(void)event_wait_await(self, &c->changed, due_us);
		return;
	}
	e = peer_ready_await(self, peer, now_us + c->options.config->request_timeout_ms * 1000);
	if (e) {
		session_reset(f);
		cluster_refresh(c->options.cluster);
		pause_await(self, f);
		return;
	}
	wanted = count_wanted(f, shard_now_us(c->options.shard), &all_ids);
	if (wanted > 0)
		fetch_once_await(self, f, peer, all_ids, wanted);
}

static void fetcher_main(struct fiber *self, void *argument)
{
	struct fetcher *f = argument;

	while (!f->consumer->stopping && !fiber_cancelled(self))
		step_await(self, f);
}

/* --- the door ---------------------------------------------------------------------------------------------------- */

struct fetcher *fetcher_new(struct consumer *c, int32_t broker_id)
{
	static const struct fiber_options options = {.name = "client_fetcher", .joinable = true};
	struct fetcher *f = mem_new(struct fetcher);

	f->consumer = c;
	f->broker_id = broker_id;
	f->search = mem_new(struct offset_search);
	f->fiber = fiber_start(c->options.shard, &options, fetcher_main, f);
	must(f->fiber);
	return f;
}

void fetcher_stop_await(struct fiber *self, struct fetcher *f)
{
	if (!f->fiber)
		return;
	fiber_cancel(f->fiber);
	fiber_join_await(self, f->fiber);
	f->fiber = NULL;
}

void fetcher_free(struct fetcher *f)
{
	mem_free(f->forgotten);
	mem_free(f->search);
	mem_free(f);
}
