/* cluster: see the header. */
#include "client/cluster.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "protocol/messages.h"

#define METADATA_NEWEST 13
#define METADATA_BY_ID 12 /* 10 and 11 have ids, but refuse them */
#define ARENA_MAX ((size_t)256 * 1024 * 1024)
#define MAX_CALLS 64
/* Between two rounds when all is well: several new topics become one request. */
#define PAUSE_US 5000
#define TOPIC_NAME_MAX 249
#define WANTED_IDS_MAX 1000

int64_t client_backoff_us(struct shard *s, const struct client_config *config, unsigned failures)
{
	int64_t wait = config->retry_backoff_ms * 1000;

	for (unsigned i = 1; i < failures && wait < config->retry_backoff_max_ms * 1000; i++)
		wait *= 2;
	if (wait > config->retry_backoff_max_ms * 1000)
		wait = config->retry_backoff_max_ms * 1000;
	return wait + prng_between(shard_random(s), -wait / 5, wait / 5);
}

/* --- brokers ----------------------------------------------------------------------------------------------------- */

static void tell(struct cluster *c)
{
	if (c->changed_hook)
		c->changed_hook(c->user);
}

static void on_peer_changed(void *user, struct peer *p)
{
	struct cluster *c = user;

	/* A lost connection is how a leader that moved is noticed first. */
	if (peer_state(p) == PEER_BACKOFF)
		cluster_refresh(c);
	tell(c);
}

struct peer *cluster_peer_new(struct cluster *c, const struct address *address)
{
	const struct client_config *g = c->config;
	struct peer_options o = {
		.shard = c->shard,
		.address = *address,
		.client_id = g->client_id,
		.software_name = "moldau",
		.software_version = MOLDAU_VERSION,
		.frames = c->frames,
		.max_response_bytes = (size_t)g->receive_max_bytes,
		.max_calls = MAX_CALLS,
		.connect_timeout_us = g->connect_timeout_ms * 1000,
		.call_timeout_us = g->request_timeout_ms * 1000,
		.backoff_us = g->reconnect_backoff_ms * 1000,
		.backoff_max_us = g->reconnect_backoff_max_ms * 1000,
		.changed = on_peer_changed,
		.user = c,
		.alive = &c->peers_alive,
	};

	return peer_new(&o);
}

static struct cluster_broker *find_broker(const struct cluster *c, int32_t id)
{
	for (size_t i = 0; i < c->broker_count; i++)
		if (c->brokers[i].id == id)
			return &c->brokers[i];
	return NULL;
}

struct peer *cluster_broker(struct cluster *c, int32_t id)
{
	struct cluster_broker *b = find_broker(c, id);

	return b ? b->peer : NULL;
}

struct peer *cluster_leader(struct cluster *c, const struct cluster_topic *t, int32_t partition)
{
	if (partition < 0 || partition >= t->partition_count || t->partitions[partition].leader < 0)
		return NULL;
	return cluster_broker(c, t->partitions[partition].leader);
}

void cluster_note_broker(struct cluster *c, int32_t id, struct bytes host, int32_t port)
{
	struct cluster_broker *b = find_broker(c, id);
	struct address address = {.port = (uint16_t)port};

	if (host.size == 0 || host.size >= sizeof(address.host) || port < 1 || port > 65535)
		return;
	memcpy(address.host, host.data, host.size);
	if (b) {
		const struct address *known = peer_address(b->peer);

		if (strcmp(known->host, address.host) == 0 && known->port == address.port)
			return;
		c->former = mem_grow(c->former, &c->former_capacity, c->former_count + 1, sizeof(*c->former));
		c->former[c->former_count++] = b->peer;
		b->peer = cluster_peer_new(c, &address);
		return;
	}
	c->brokers = mem_grow(c->brokers, &c->broker_capacity, c->broker_count + 1, sizeof(*c->brokers));
	c->brokers[c->broker_count++] = (struct cluster_broker){.id = id, .peer = cluster_peer_new(c, &address)};
}

/* "host", "host:port", "[::1]:9092", "PLAINTEXT://host:port". */
static bool parse_address(struct bytes text, struct address *ret_address)
{
	char copy[ADDRESS_TEXT_SIZE + 32];
	char *host = copy, *colon, *end;
	unsigned long port = 9092;

	if (text.size == 0 || text.size >= sizeof(copy))
		return false;
	memcpy(copy, text.data, text.size);
	copy[text.size] = '\0';
	if ((end = strstr(copy, "://")))
		host = end + 3;
	colon = strrchr(host, ':');
	if (host[0] == '[') {
		char *close = strchr(host, ']');

		if (!close)
			return false;
		*close = '\0';
		colon = close[1] == ':' ? close + 1 : NULL;
		host++;
	} else if (colon && strchr(host, ':') != colon) {
		colon = NULL; /* a bare IPv6 address */
	}
	if (colon) {
		*colon = '\0';
		port = strtoul(colon + 1, &end, 10);
		if (end == colon + 1 || *end || port < 1 || port > 65535)
			return false;
	}
	if (!host[0] || strlen(host) >= ADDRESS_TEXT_SIZE)
		return false;
	*ret_address = (struct address){.port = (uint16_t)port};
	memcpy(ret_address->host, host, strlen(host));
	return true;
}

static enum err make_bootstrap(struct cluster *c, struct buf *message)
{
	const char *at = c->config->bootstrap_servers;
	size_t capacity = 0;

	while (*at) {
		size_t size = strcspn(at, ", ");
		struct address address;

		if (size > 0) {
			if (!parse_address(bytes_of(at, size), &address)) {
				buf_printf(message, "bootstrap.servers: \"%.*s\" is not host:port", (int)size, at);
				return ERR_BAD_CONFIG;
			}
			c->bootstrap = mem_grow(c->bootstrap, &capacity, c->bootstrap_count + 1, sizeof(*c->bootstrap));
			c->bootstrap[c->bootstrap_count++] = cluster_peer_new(c, &address);
		}
		at += size + (at[size] != '\0');
	}
	if (c->bootstrap_count > 0)
		return OK;
	buf_put_str(message, "bootstrap.servers is empty; give at least one host:port");
	return ERR_BAD_CONFIG;
}

static void explain(struct cluster *c, const struct peer *p)
{
	size_t at = strlen(c->why);
	const struct address *a = peer_address(p);
	bool v6 = strchr(a->host, ':') != NULL;

	if (at + 1 < sizeof(c->why))
		snprintf(c->why + at, sizeof(c->why) - at, "%s%s%s%s:%u: %s", at ? "; " : "cannot connect to ",
			 v6 ? "[" : "", a->host, v6 ? "]" : "", a->port, peer_why(p));
}

/* Brokers that are known, then the bootstrap servers that none of them is. */
static struct peer *candidate(struct cluster *c, size_t i)
{
	return i < c->broker_count ? c->brokers[i].peer : c->bootstrap[i - c->broker_count];
}

static bool same_address(const struct peer *a, const struct peer *b)
{
	return peer_address(a)->port == peer_address(b)->port &&
	       strcmp(peer_address(a)->host, peer_address(b)->host) == 0;
}

static bool tried_before(struct cluster *c, size_t i)
{
	for (size_t k = 0; k < i; k++)
		if (same_address(candidate(c, k), candidate(c, i)))
			return true;
	return false;
}

/* Of those that are connected the one with the fewest questions under way: behind a Fetch one would wait for its records. */
static bool idlest(struct cluster *c, struct peer **ret_peer)
{
	struct peer *best = NULL;

	for (size_t i = 0; i < c->broker_count + c->bootstrap_count; i++) {
		struct peer *p = candidate(c, i);

		if (peer_state(p) == PEER_READY && (!best || peer_calls(p) < peer_calls(best)))
			best = p;
	}
	if (best)
		*ret_peer = best;
	return best;
}

enum err cluster_any_await(struct fiber *self, struct cluster *c, int64_t deadline_us, struct peer **ret_peer)
{
	enum err first = ERR_TIMED_OUT;
	bool failed = false;

	if (idlest(c, ret_peer))
		return OK;
	c->why[0] = '\0';
	/* The list may grow meanwhile, which only means that somebody is asked twice. */
	for (size_t i = 0; i < c->broker_count + c->bootstrap_count; i++) {
		struct peer *p = candidate(c, i);
		enum err e;

		if (tried_before(c, i))
			continue;
		e = peer_ready_await(self, p, deadline_us);
		if (!e) {
			*ret_peer = p;
			return OK;
		}
		if (e == ERR_CANCELLED)
			return e;
		explain(c, p);
		first = failed ? first : e;
		failed = true;
	}
	return first;
}

/* --- topics ------------------------------------------------------------------------------------------------------ */

struct cluster_topic *cluster_topic_by_name(struct cluster *c, struct bytes name)
{
	return map_get(&c->topics, name);
}

struct cluster_topic *cluster_topic_by_id(struct cluster *c, struct uuid id)
{
	const struct map_entry *entry;
	size_t place = 0;

	if (uuid_is_zero(id))
		return NULL;
	while ((entry = map_next(&c->topics, &place)))
		if (uuid_equal(((struct cluster_topic *)entry->value)->id, id))
			return entry->value;
	return NULL;
}

struct cluster_topic *cluster_topic(struct cluster *c, const char *name, bool may_create)
{
	struct cluster_topic *t = map_get(&c->topics, bytes_str(name));

	if (!t) {
		t = mem_new(struct cluster_topic);
		t->name = mem_strdup(name);
		t->error = ERR_AGAIN;
		map_put(&c->topics, bytes_str(name), t);
		cluster_refresh(c);
	}
	t->may_create |= may_create;
	return t;
}

static void note_partition(struct cluster_topic *t, bool same_id,
			   const struct metadata_response_metadata_response_partition *from)
{
	struct cluster_partition *p;

	if (from->partition_index < 0 || from->partition_index >= t->partition_count)
		return;
	p = &t->partitions[from->partition_index];
	if (same_id && from->leader_epoch >= 0 && from->leader_epoch < p->leader_epoch)
		return; /* from a broker that is behind */
	p->leader = from->leader_id;
	p->leader_epoch = from->leader_epoch;
	p->error = (enum err)from->error_code;
}

void cluster_want_id(struct cluster *c, struct uuid id)
{
	for (size_t i = 0; i < c->wanted_id_count; i++)
		if (uuid_equal(c->wanted_ids[i], id))
			return;
	if (c->wanted_id_count == WANTED_IDS_MAX)
		return;
	c->wanted_ids = mem_grow(c->wanted_ids, &c->wanted_id_capacity, c->wanted_id_count + 1, sizeof(*c->wanted_ids));
	c->wanted_ids[c->wanted_id_count++] = id;
	cluster_refresh(c);
}

/* An answer to cluster_want_id: from now on the topic is one of ours. */
static struct cluster_topic *note_named(struct cluster *c, struct uuid id, struct bytes name)
{
	char text[TOPIC_NAME_MAX + 1];

	for (size_t i = 0; i < c->wanted_id_count; i++) {
		if (!uuid_equal(c->wanted_ids[i], id))
			continue;
		c->wanted_ids[i] = c->wanted_ids[--c->wanted_id_count];
		if (name.size == 0 || name.size > TOPIC_NAME_MAX)
			return NULL;
		memcpy(text, name.data, name.size);
		text[name.size] = '\0';
		return cluster_topic(c, text, false);
	}
	return NULL;
}

static void note_topic(struct cluster *c, const struct metadata_response_metadata_response_topic *from)
{
	struct cluster_topic *t = bytes_is_null(from->name) ? cluster_topic_by_id(c, from->topic_id)
							    : cluster_topic_by_name(c, from->name);
	struct cluster_topic *named = note_named(c, from->topic_id, from->error_code ? bytes_null() : from->name);
	bool same_id;

	t = t ? t : named;
	if (!t)
		return;
	t->error = (enum err)from->error_code;
	if (t->error)
		return;
	same_id = uuid_equal(t->id, from->topic_id);
	t->id = from->topic_id;
	/* Fewer partitions only come with another topic of that name; those who hold numbers check against the count. */
	if (from->partitions_count != t->partition_count) {
		int32_t before = t->partition_count;
		size_t capacity = (size_t)(before > 0 ? before : 0);

		t->partitions = mem_grow(t->partitions, &capacity, (size_t)from->partitions_count,
					 sizeof(*t->partitions));
		for (int32_t i = before; i < from->partitions_count; i++)
			t->partitions[i] = (struct cluster_partition){.leader = -1, .leader_epoch = -1};
		t->partition_count = from->partitions_count;
	}
	for (int32_t i = 0; i < from->partitions_count; i++)
		note_partition(t, same_id, &from->partitions[i]);
}

bool cluster_take_hint(struct cluster *c, struct cluster_topic *t, int32_t partition, const struct leader_hint *hint)
{
	struct cluster_partition *p;

	if (partition < 0 || partition >= t->partition_count || hint->leader < 0 || hint->leader_epoch < 0)
		return false;
	p = &t->partitions[partition];
	if (hint->leader_epoch <= p->leader_epoch)
		return false;
	if (!find_broker(c, hint->leader))
		cluster_note_broker(c, hint->leader, hint->host, hint->port);
	if (!find_broker(c, hint->leader))
		return false;
	p->leader = hint->leader;
	p->leader_epoch = hint->leader_epoch;
	p->error = OK;
	tell(c);
	return true;
}

static bool needs_more(struct cluster *c)
{
	const struct map_entry *entry;
	size_t place = 0;

	while ((entry = map_next(&c->topics, &place))) {
		const struct cluster_topic *t = entry->value;

		if (t->error)
			return true;
		for (int32_t i = 0; i < t->partition_count; i++)
			if (t->partitions[i].leader < 0)
				return true;
	}
	return false;
}

/* --- asking ------------------------------------------------------------------------------------------------------ */

static void fill_request(struct cluster *c, const struct peer *p, struct metadata_request *request, struct arena *a)
{
	const struct map_entry *entry;
	size_t place = 0;
	int16_t version = 0;

	message_init(&metadata_request_type, request);
	request->allow_auto_topic_creation = false;
	request->topics = arena_alloc_array(a, c->topics.count + c->wanted_id_count + 1, sizeof(*request->topics));
	must(request->topics);
	request->topics_count = 0;
	while ((entry = map_next(&c->topics, &place))) {
		const struct cluster_topic *t = entry->value;

		request->topics[request->topics_count++].name = bytes_str(t->name);
		if (t->may_create && c->config->auto_create_topics)
			request->allow_auto_topic_creation = true;
	}
	if (peer_version(p, API_METADATA, METADATA_NEWEST, &version) != OK || version < METADATA_BY_ID)
		c->wanted_id_count = 0;
	for (size_t i = 0; i < c->wanted_id_count; i++)
		request->topics[request->topics_count++] = (struct metadata_request_metadata_request_topic){
			.topic_id = c->wanted_ids[i], .name = bytes_null()};
}

static enum err ask_await(struct fiber *self, struct cluster *c)
{
	int64_t deadline_us = shard_now_us(c->shard) + c->config->request_timeout_ms * 1000;
	struct metadata_response response;
	struct metadata_request request;
	struct blob *frame = NULL;
	struct peer *p = NULL;
	struct arena arena;
	enum err e = cluster_any_await(self, c, deadline_us, &p);

	if (e)
		return e;
	arena_init(&arena, ARENA_MAX);
	fill_request(c, p, &request, &arena);
	e = peer_ask_await(self, p,
			   &(struct peer_ask){.api_key = API_METADATA,
					      .newest = METADATA_NEWEST,
					      .deadline_us = deadline_us,
					      .request = &request,
					      .response = &response,
					      .arena = &arena},
			   NULL, &frame);
	if (e) {
		if (e != ERR_CANCELLED) {
			c->why[0] = '\0';
			explain(c, p);
		}
	} else {
		for (int32_t i = 0; i < response.brokers_count; i++)
			cluster_note_broker(c, response.brokers[i].node_id, response.brokers[i].host,
					    response.brokers[i].port);
		for (int32_t i = 0; i < response.topics_count; i++)
			note_topic(c, &response.topics[i]);
		blob_unref(frame);
	}
	arena_fini(&arena);
	return e;
}

static void wait_wanted_await(struct fiber *self, struct cluster *c)
{
	int64_t due_us = shard_now_us(c->shard) + c->config->metadata_max_age_ms * 1000;

	while (!c->wanted && !c->stopping)
		if (event_wait_await(self, &c->wanted_event, due_us) != OK)
			break;
}

static void metadata_main(struct fiber *self, void *argument)
{
	struct cluster *c = argument;

	while (!c->stopping && !fiber_cancelled(self)) {
		enum err e;

		wait_wanted_await(self, c);
		if (c->stopping || fiber_cancelled(self))
			break;
		c->wanted = false;
		e = ask_await(self, c);
		c->error = e;
		c->version++;
		event_signal(&c->changed);
		tell(c);
		if (e || needs_more(c)) {
			c->failures++;
			c->wanted = e || c->wanted || c->topics.count > 0;
		} else {
			c->failures = 0;
		}
		/* Invariant 3. Cancelling ends the sleep. */
		if (fiber_sleep_await(self,
				      c->failures ? client_backoff_us(c->shard, c->config, c->failures) : PAUSE_US))
			break;
	}
}

void cluster_refresh(struct cluster *c)
{
	c->wanted = true;
	event_signal(&c->wanted_event);
}

enum err cluster_wait_await(struct fiber *self, struct cluster *c, int64_t deadline_us)
{
	enum err e = event_wait_await(self, &c->changed, deadline_us);

	return e ? e : c->error;
}

enum err cluster_init(struct cluster *c, struct shard *s, const struct client_config *config, struct budget *frames,
		      struct buf *message)
{
	enum err e;

	*c = (struct cluster){.shard = s, .config = config, .frames = frames};
	map_init(&c->topics);
	event_init(&c->changed);
	event_init(&c->wanted_event);
	e = make_bootstrap(c, message);
	if (e) {
		cluster_end(c);
		cluster_fini(c);
	}
	return e;
}

void cluster_start(struct cluster *c)
{
	static const struct fiber_options options = {.name = "client_metadata", .joinable = true};

	c->fiber = fiber_start(c->shard, &options, metadata_main, c);
	must(c->fiber);
}

void cluster_stop_await(struct fiber *self, struct cluster *c)
{
	c->stopping = true;
	if (!c->fiber)
		return;
	fiber_cancel(c->fiber);
	fiber_join_await(self, c->fiber);
	c->fiber = NULL;
}

void cluster_end(struct cluster *c)
{
	c->changed_hook = NULL;
	for (size_t i = 0; i < c->broker_count; i++)
		peer_free(c->brokers[i].peer);
	for (size_t i = 0; i < c->bootstrap_count; i++)
		peer_free(c->bootstrap[i]);
	for (size_t i = 0; i < c->former_count; i++)
		peer_free(c->former[i]);
}

void cluster_fini(struct cluster *c)
{
	const struct map_entry *entry;
	size_t place = 0;

	while ((entry = map_next(&c->topics, &place))) {
		struct cluster_topic *t = entry->value;

		mem_free(t->partitions);
		mem_free(t->name);
		mem_free(t);
	}
	map_fini(&c->topics);
	mem_free(c->wanted_ids);
	mem_free(c->brokers);
	mem_free(c->bootstrap);
	mem_free(c->former);
}
