/*
 * workload_group: members of consumer groups by raw requests, as the classic protocol has them: they join, share partitions out, fetch, commit, stall
 * beyond their sessions, leave, come back, and now and then commit in the name of a generation that is over. What they are told goes into the group's ledger.
 * Code of a client's node.
 *
 *      join --answered--> sync --answered--> first heartbeat --OK--> owns, resumes at what is committed --> works
 *       ^                                                                                                    |
 *       '------- gives up: a rebalance, its session is over, it left, it is told that it is no member <------'
 *
 * A member owns from its first heartbeat on, until a session after it sent what was last answered: the coordinator counts from later on.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "record/batch.h"
#include "sim/group_wire.h"
#include "sim/world.h"

#define BEAT_US (SECOND_US / 2)
#define REBALANCE_MS 7000 /* not less than any session: who does not come back is no owner by then */
#define ID_MAX 200

struct member {
	struct group_wire on;
	unsigned slot;
	char id[ID_MAX]; /* "": none */
	char instance[24];
	bool is_static;
	int16_t join_version;
	int32_t generation; /* -1: none */
	int32_t session_ms;
	uint32_t assigned;
	uint32_t owned;
	bool is_in; /* its generation has begun for it, and it has not given up since */
	int64_t valid_until_us;
	int64_t beaten_us;
	int64_t next[WORLD_PARTITIONS];
	int64_t committed[WORLD_PARTITIONS];
	/* Whom it was before, to speak in his name. */
	char old_id[ID_MAX];
	int32_t old_generation;
	uint32_t old_owned;
};

enum turn {
	TURN_GO_ON,
	TURN_JOIN, /* it owns nothing now */
	TURN_CONNECTION,
};

static struct scheduler *sched(struct member *m)
{
	return world_scheduler(m->on.world);
}

static int64_t now_us(struct member *m)
{
	return sched(m)->now_us;
}

static bool is_working(const struct member *m, struct fiber *self)
{
	const struct world *w = m->on.world;

	return !w->sim->failed && !fiber_cancelled(self) && (w->phase != CLIENT_FINISHES || !m->on.group->rested);
}

/* --- owning ---------------------------------------------------------------------------------------------------------- */

static void gives_up(struct member *m)
{
	if (m->owned) {
		snprintf(m->old_id, sizeof(m->old_id), "%s", m->id);
		m->old_generation = m->generation;
		m->old_owned = m->owned;
	}
	m->owned = 0;
	m->is_in = false;
	world_group_gives_up(m->on.group, m->slot);
}

static void forgets_id(struct member *m)
{
	gives_up(m);
	m->id[0] = 0;
	m->generation = -1;
}

/* What a member does when it is told that it is none, or that something new began; OK is nothing. */
static enum turn turn_of(struct member *m, const char *what, int16_t code)
{
	enum err e = (enum err)code;

	if (e == OK || coordinator_is_away(e))
		return TURN_GO_ON;
	if (e == ERR_UNKNOWN_MEMBER_ID || e == ERR_FENCED_INSTANCE_ID)
		forgets_id(m);
	else if (e == ERR_REBALANCE_IN_PROGRESS || e == ERR_ILLEGAL_GENERATION || e == ERR_GROUP_ID_NOT_FOUND)
		gives_up(m);
	else
		group_wrong_error(&m->on, what, code);
	return TURN_JOIN;
}

static enum turn beat_await(struct fiber *self, struct member *m, bool first)
{
	struct heartbeat_request request;
	struct heartbeat_response response;
	struct group_exchange x;
	enum turn turn = TURN_CONNECTION;
	enum err e;

	message_init(&heartbeat_request_type, &request);
	request.group_id = bytes_str(m->on.group->name);
	request.generation_id = m->generation;
	request.member_id = bytes_str(m->id);
	if (m->is_static)
		request.group_instance_id = bytes_str(m->instance);
	e = group_ask_await(self, &m->on, &x, API_HEARTBEAT, 4, &request, &response);
	if (!e) {
		turn = turn_of(m, "a heartbeat", response.error_code);
		m->beaten_us = x.sent_us;
		if (!response.error_code || (enum err)response.error_code == ERR_REBALANCE_IN_PROGRESS)
			m->valid_until_us = x.sent_us + m->session_ms * 1000LL;
		if (!response.error_code && first) {
			m->owned = m->assigned;
			m->is_in = true;
			world_group_owns(m->on.group, m->slot, m->generation, m->owned, m->valid_until_us);
			world_note(m->on.client, "owns", "slot %lld, generation %lld: %lld", m->slot, m->generation,
				   m->owned);
		} else if (!response.error_code) {
			world_group_valid(m->on.group, m->slot, m->valid_until_us);
		} else if (first && turn == TURN_GO_ON) {
			turn = TURN_JOIN;
		}
	}
	group_exchange_fini(&x);
	return turn;
}

/* --- joining --------------------------------------------------------------------------------------------------------- */

/* ConsumerProtocolSubscription of version 0: what the group reads has to be known, or its offsets would expire. */
static void put_subscription(const struct member *m, struct buf *b)
{
	const char *topic = m->on.world->topics[m->on.group->topic].name;

	buf_put_i16(b, 0);
	buf_put_i32(b, 1);
	buf_put_i16(b, (int16_t)strlen(topic));
	buf_put_str(b, topic);
	buf_put_i32(b, -1);
}

/* OK with the answer in `x`, or an error of the connection. */
static enum err join_once_await(struct fiber *self, struct member *m, struct group_exchange *x,
				struct join_group_response *response)
{
	struct join_group_request_join_group_request_protocol protocol = {.name = bytes_str("sim")};
	struct join_group_request request;
	struct buf subscription;
	enum err e;

	buf_init(&subscription, 1000);
	put_subscription(m, &subscription);
	protocol.metadata = buf_bytes(&subscription);
	message_init(&join_group_request_type, &request);
	request.group_id = bytes_str(m->on.group->name);
	request.session_timeout_ms = m->session_ms;
	request.rebalance_timeout_ms = REBALANCE_MS;
	request.member_id = bytes_str(m->id);
	if (m->is_static)
		request.group_instance_id = bytes_str(m->instance);
	request.protocol_type = bytes_str("consumer");
	request.protocols = &protocol;
	request.protocols_count = 1;
	e = group_ask_await(self, &m->on, x, API_JOIN_GROUP, m->join_version, &request, response);
	buf_fini(&subscription);
	return e;
}

static void learn_id(struct member *m, struct bytes id)
{
	must(id.size < ID_MAX);
	memcpy(m->id, id.data, id.size);
	m->id[id.size] = 0;
}

static int order_of(const void *a, const void *b)
{
	return bytes_compare(*(const struct bytes *)a, *(const struct bytes *)b);
}

/* Its share of the partitions, as four bytes; nothing else reads it. */
static void share_out(const struct member *m, const struct join_group_response *r, struct group_exchange *x,
		      struct sync_group_request *request)
{
	int32_t partitions = m->on.world->topics[m->on.group->topic].partition_count;
	struct bytes *ids = arena_alloc_array(&x->arena, (size_t)r->members_count, sizeof(*ids));
	uint8_t *shares = arena_alloc_array(&x->arena, (size_t)r->members_count, 4);

	must(ids && shares);
	request->assignments = struct_array_new(&sync_group_request_sync_group_request_assignment_struct,
						(size_t)r->members_count, &x->arena);
	request->assignments_count = r->members_count;
	for (int32_t i = 0; i < r->members_count; i++)
		ids[i] = r->members[i].member_id;
	qsort(ids, (size_t)r->members_count, sizeof(*ids), order_of);
	for (int32_t i = 0; i < r->members_count; i++) {
		uint32_t mask = 0;

		for (int32_t p = i; p < partitions; p += r->members_count)
			mask |= 1U << p;
		put_be32(shares + 4 * i, mask);
		request->assignments[i].member_id = ids[i];
		request->assignments[i].assignment = bytes_of(shares + 4 * i, 4);
	}
}

static enum turn sync_await(struct fiber *self, struct member *m, const struct join_group_response *joined,
			    struct group_exchange *join)
{
	struct sync_group_request request;
	struct sync_group_response response;
	struct group_exchange x;
	enum turn turn = TURN_CONNECTION;

	message_init(&sync_group_request_type, &request);
	request.group_id = bytes_str(m->on.group->name);
	request.generation_id = m->generation;
	request.member_id = bytes_str(m->id);
	if (m->is_static)
		request.group_instance_id = bytes_str(m->instance);
	if (bytes_equal(joined->leader, joined->member_id) && !joined->skip_assignment)
		share_out(m, joined, join, &request);
	if (!group_ask_await(self, &m->on, &x, API_SYNC_GROUP, 4, &request, &response)) {
		turn = TURN_JOIN;
		if (!response.error_code && response.assignment.size == 4) {
			m->assigned = get_be32(response.assignment.data);
			world_group_generation(m->on.group, m->generation);
			turn = TURN_GO_ON;
		} else if (!response.error_code) {
			/* The leader did not know it: it comes back. */
			m->assigned = 0;
			world_group_generation(m->on.group, m->generation);
		} else {
			turn_of(m, "a sync", response.error_code);
		}
	}
	group_exchange_fini(&x);
	return turn;
}

static enum turn take_join_error(struct member *m, const struct join_group_response *r)
{
	enum err e = (enum err)r->error_code;

	if (e == ERR_MEMBER_ID_REQUIRED)
		learn_id(m, r->member_id);
	else if (e == ERR_UNKNOWN_MEMBER_ID || e == ERR_FENCED_INSTANCE_ID)
		m->id[0] = 0;
	else if (!coordinator_is_away(e) && e != ERR_REBALANCE_IN_PROGRESS)
		group_wrong_error(&m->on, "a join", r->error_code);
	return TURN_JOIN;
}

/* One round: joined and synced, to be tried again, or the connection is over. */
static enum turn join_await(struct fiber *self, struct member *m)
{
	struct join_group_response response;
	struct group_exchange x;
	enum turn turn = TURN_CONNECTION;

	gives_up(m);
	m->generation = -1;
	if (!join_once_await(self, m, &x, &response)) {
		if (response.error_code) {
			turn = take_join_error(m, &response);
		} else {
			learn_id(m, response.member_id);
			m->generation = response.generation_id;
			turn = sync_await(self, m, &response, &x);
		}
	}
	group_exchange_fini(&x);
	return turn;
}

/* --- offsets --------------------------------------------------------------------------------------------------------- */

/* What is committed of all partitions; of its own it begins there where `resume`. False: the connection is over. */
static bool fetch_offsets_await(struct fiber *self, struct member *m, bool resume)
{
	int64_t values[WORLD_PARTITIONS];
	enum fetched_offsets fetched = group_fetch_offsets_await(self, &m->on, values);

	if (fetched == OFFSETS_AWAY && resume)
		gives_up(m);
	for (int32_t p = 0; fetched == OFFSETS_FETCHED && resume && p < WORLD_PARTITIONS; p++) {
		if (!(m->owned & 1U << p))
			continue;
		m->next[p] = values[p] < 0 ? 0 : values[p];
		m->committed[p] = values[p];
		world_group_resumes(m->on.group, p, m->next[p]);
	}
	return fetched != OFFSETS_LOST;
}

/* In the name of that member and generation. What is told to its own (id NULL) tells it what to do. */
static enum turn commit_await(struct fiber *self, struct member *m, const char *id, int32_t generation, uint32_t mask,
			      const int64_t values[static WORLD_PARTITIONS])
{
	struct group_commit_as as = {.id = id ? id : m->id,
				     .instance = m->is_static ? m->instance : NULL,
				     .generation = generation,
				     .version = 8};
	int16_t codes[WORLD_PARTITIONS];
	enum turn turn = TURN_GO_ON;

	if (!mask)
		return TURN_GO_ON;
	if (!group_commit_offsets_await(self, &m->on, &as, mask, values, codes))
		return TURN_CONNECTION;
	for (int32_t p = 0; p < WORLD_PARTITIONS; p++) {
		if (!(mask & 1U << p) || id || codes[p] == ERR_UNKNOWN_TOPIC_OR_PARTITION)
			continue;
		if (!codes[p])
			m->committed[p] = values[p];
		turn = turn == TURN_GO_ON ? turn_of(m, "a commit", codes[p]) : turn;
	}
	return turn;
}

static enum turn commit_own_await(struct fiber *self, struct member *m)
{
	uint32_t news = 0;

	for (int32_t p = 0; p < WORLD_PARTITIONS; p++)
		if (m->owned & 1U << p && m->next[p] != m->committed[p])
			news |= 1U << p;
	return commit_await(self, m, NULL, m->generation, news, m->next);
}

/* As one that does not know yet that it is over. */
static enum turn commit_as_before_await(struct fiber *self, struct member *m)
{
	int64_t values[WORLD_PARTITIONS];
	uint32_t mask = m->old_owned;

	if (m->old_generation < 0 || (m->old_generation == m->generation && !strcmp(m->old_id, m->id)))
		return TURN_GO_ON;
	for (int32_t p = 0; p < WORLD_PARTITIONS; p++)
		values[p] = m->next[p] / 2;
	m->old_owned = 0;
	sim_hit(m->on.world->sim, HIT_ZOMBIE);
	return commit_await(self, m, m->old_id, m->old_generation, mask, values);
}

/* --- records --------------------------------------------------------------------------------------------------------- */

static void process(struct member *m, const struct fetch_response_partition_data *d)
{
	struct bytes rest = d->records, batch;
	struct batch_header h;
	int64_t *next = &m->next[d->partition_index];

	while (batch_next(&rest, &h, &batch) == OK) {
		if (h.base_offset > *next) {
			world_verdict(m->on.world, m->on.group->topic, d->partition_index, h.base_offset,
				      "a member was given records with a gap before them");
			return;
		}
		if (batch_last_offset(&h) >= *next)
			*next = batch_last_offset(&h) + 1;
	}
	world_group_processed(m->on.group, d->partition_index, *next);
}

/* Its place was deleted: it goes on where the log begins now. */
static bool follow_start_await(struct fiber *self, struct member *m, int32_t partition)
{
	struct list_offsets_request_list_offsets_partition p;
	struct list_offsets_request_list_offsets_topic t;
	struct list_offsets_request request;
	struct list_offsets_response response;
	struct group_exchange x;
	enum err e;

	struct_init(&list_offsets_request_list_offsets_partition_struct, &p);
	struct_init(&list_offsets_request_list_offsets_topic_struct, &t);
	message_init(&list_offsets_request_type, &request);
	p.partition_index = partition;
	p.timestamp = -2;
	t.name = bytes_str(m->on.world->topics[m->on.group->topic].name);
	t.partitions = &p;
	t.partitions_count = 1;
	request.replica_id = -1;
	request.topics = &t;
	request.topics_count = 1;
	e = group_ask_await(self, &m->on, &x, API_LIST_OFFSETS, 7, &request, &response);
	if (!e && !response.topics[0].partitions[0].error_code &&
	    response.topics[0].partitions[0].offset > m->next[partition]) {
		m->next[partition] = response.topics[0].partitions[0].offset;
		world_group_processed(m->on.group, partition, m->next[partition]);
	}
	group_exchange_fini(&x);
	return !e;
}

static void make_fetch(struct member *m, struct fetch_request *request, struct fetch_request_fetch_topic *topic,
		       struct fetch_request_fetch_partition partitions[static WORLD_PARTITIONS])
{
	message_init(&fetch_request_type, request);
	struct_init(&fetch_request_fetch_topic_struct, topic);
	request->max_wait_ms = (int32_t)choose(sched(m), 0, 150);
	request->min_bytes = 1;
	request->max_bytes = 1 << 18;
	request->session_epoch = -1;
	request->topics = topic;
	request->topics_count = 1;
	topic->topic = bytes_str(m->on.world->topics[m->on.group->topic].name);
	topic->partitions = partitions;
	for (int32_t p = 0; p < WORLD_PARTITIONS; p++) {
		struct fetch_request_fetch_partition *to = &partitions[topic->partitions_count];

		if (!(m->owned & 1U << p))
			continue;
		struct_init(&fetch_request_fetch_partition_struct, to);
		to->partition = p;
		to->fetch_offset = m->next[p];
		to->partition_max_bytes = 1 << 16;
		topic->partitions_count++;
	}
}

/* One Fetch of what it owns. False: the connection is over. */
static bool fetch_await(struct fiber *self, struct member *m)
{
	struct fetch_request_fetch_partition partitions[WORLD_PARTITIONS];
	struct fetch_request_fetch_topic topic;
	struct fetch_request request;
	struct fetch_response response;
	uint32_t gone = 0;
	struct group_exchange x;
	enum err e;

	if (!m->owned)
		return true;
	make_fetch(m, &request, &topic, partitions);
	e = group_ask_await(self, &m->on, &x, API_FETCH, 12, &request, &response);
	for (int32_t i = 0; !e && i < response.responses_count; i++)
		for (int32_t p = 0; p < response.responses[i].partitions_count; p++) {
			const struct fetch_response_partition_data *d = &response.responses[i].partitions[p];

			if (!d->error_code)
				process(m, d);
			else if (d->error_code == ERR_OFFSET_OUT_OF_RANGE)
				gone |= 1U << d->partition_index;
		}
	group_exchange_fini(&x);
	for (int32_t p = 0; !e && p < WORLD_PARTITIONS; p++)
		if (gone & 1U << p && !follow_start_await(self, m, p))
			return false;
	return !e;
}

/* --- a member's life ------------------------------------------------------------------------------------------------- */

static enum turn leave_await(struct fiber *self, struct member *m)
{
	struct leave_group_request_member_identity who;
	struct leave_group_request request;
	struct leave_group_response response;
	struct group_exchange x;
	enum err e;

	gives_up(m);
	struct_init(&leave_group_request_member_identity_struct, &who);
	message_init(&leave_group_request_type, &request);
	who.member_id = bytes_str(m->id);
	if (m->is_static)
		who.group_instance_id = bytes_str(m->instance);
	request.group_id = bytes_str(m->on.group->name);
	request.members = &who;
	request.members_count = 1;
	e = group_ask_await(self, &m->on, &x, API_LEAVE_GROUP, 4, &request, &response);
	group_exchange_fini(&x);
	forgets_id(m);
	return e ? TURN_CONNECTION : TURN_JOIN;
}

/* Back to where it was, and says so. */
static enum turn seek_back_await(struct fiber *self, struct member *m)
{
	for (int32_t p = 0; p < WORLD_PARTITIONS; p++)
		if (m->owned & 1U << p && m->next[p] > 0)
			m->next[p] -= choose_skewed(sched(m), 0, m->next[p]);
	return commit_own_await(self, m);
}

/* What is rare; most of the time nothing. */
static enum turn caper_await(struct fiber *self, struct member *m)
{
	switch (choose(sched(m), 0, 150)) {
	case 0:
		return leave_await(self, m);
	case 1: /* beyond its session, maybe */
		if (fiber_sleep_await(self, choose_skewed(sched(m), SECOND_US / 2, 10 * SECOND_US)))
			return TURN_CONNECTION;
		sim_hit(m->on.world->sim, HIT_STALLED_MEMBER);
		return TURN_GO_ON;
	case 2: /* the leader asks for a new assignment */
		gives_up(m);
		return TURN_JOIN;
	case 3:
		return seek_back_await(self, m);
	case 4:
	case 5:
	case 6:
		return commit_as_before_await(self, m);
	case 7:
	case 8:
		return fetch_offsets_await(self, m, false) ? TURN_GO_ON : TURN_CONNECTION;
	default:
		return TURN_GO_ON;
	}
}

static enum turn work_once_await(struct fiber *self, struct member *m)
{
	bool rests = m->on.world->phase == CLIENT_RESTS;
	enum turn turn = TURN_GO_ON;

	if (now_us(m) >= m->valid_until_us) {
		gives_up(m);
		if (chance(sched(m), 1, 2))
			turn = commit_as_before_await(self, m);
		return turn == TURN_GO_ON ? TURN_JOIN : turn;
	}
	if (now_us(m) - m->beaten_us >= BEAT_US)
		turn = beat_await(self, m, false);
	if (turn == TURN_GO_ON && !rests && !fetch_await(self, m))
		turn = TURN_CONNECTION;
	if (turn == TURN_GO_ON && !rests && chance(sched(m), 1, 3))
		turn = commit_own_await(self, m);
	if (turn == TURN_GO_ON && m->on.world->phase == CLIENT_WORKS)
		turn = caper_await(self, m);
	return turn;
}

/* From joining until it has to join again. */
static enum turn member_await(struct fiber *self, struct member *m)
{
	enum turn turn = TURN_GO_ON;

	/* It is still a member when only the connection was lost. */
	if (!m->is_in || now_us(m) >= m->valid_until_us) {
		turn = join_await(self, m);
		if (turn == TURN_GO_ON)
			turn = beat_await(self, m, true);
		if (turn == TURN_GO_ON && !fetch_offsets_await(self, m, true))
			turn = TURN_CONNECTION;
		if (turn == TURN_GO_ON && chance(sched(m), 1, 2))
			turn = commit_as_before_await(self, m);
	}
	while (turn == TURN_GO_ON && is_working(m, self)) {
		turn = work_once_await(self, m);
		if (m->on.world->phase == CLIENT_FINISHES)
			world_group_look(m->on.group);
		if (fiber_sleep_await(self, m->on.world->phase == CLIENT_RESTS
						    ? BEAT_US
						    : choose_skewed(sched(m), 5000, SECOND_US / 4)))
			return TURN_CONNECTION;
	}
	return turn;
}

/* Is heard of, knows of the rebalance, and does not join, as one whose application takes its time. Others must not wait for it for ever. */
static enum turn dawdle_await(struct fiber *self, struct member *m)
{
	int64_t until_us = now_us(m) + choose(sched(m), SECOND_US, 60 * SECOND_US);
	enum turn turn = TURN_JOIN;

	sim_hit(m->on.world->sim, HIT_DAWDLING_MEMBER);
	while (now_us(m) < until_us && m->id[0] && turn == TURN_JOIN && is_working(m, self)) {
		if (fiber_sleep_await(self, BEAT_US))
			return TURN_CONNECTION;
		turn = beat_await(self, m, false);
	}
	gives_up(m);
	return turn == TURN_CONNECTION ? TURN_CONNECTION : TURN_JOIN;
}

static void connected_await(struct fiber *self, struct member *m)
{
	enum turn turn = group_find_coordinator_await(self, &m->on) ? TURN_JOIN : TURN_CONNECTION;

	while (turn != TURN_CONNECTION && is_working(m, self)) {
		turn = member_await(self, m);
		if (turn == TURN_JOIN && m->generation >= 0 && chance(sched(m), 1, 25))
			turn = dawdle_await(self, m);
		if (turn == TURN_JOIN && fiber_sleep_await(self, choose_skewed(sched(m), 1000, SECOND_US / 2)))
			return;
	}
	if (turn == TURN_CONNECTION || m->on.world->sim->failed || fiber_cancelled(self))
		return;
	(void)!fetch_offsets_await(self, m, false);
	if (chance(sched(m), 1, 2))
		leave_await(self, m);
}

void member_role_fiber(struct fiber *self, void *argument)
{
	struct world_client *client = argument;
	struct member *m = mem_new(struct member);
	struct shard *shard = fiber_shard(self);

	m->on.world = client->world;
	m->on.client = client;
	m->slot = world_group_slot(client, &m->on.group);
	m->generation = m->old_generation = -1;
	m->is_static = chance(sched(m), 1, 4);
	snprintf(m->instance, sizeof(m->instance), "instance-%u", m->slot);
	m->join_version = m->is_static ? (int16_t)choose(sched(m), 5, 9) : (int16_t)choose(sched(m), 2, 9);
	m->session_ms = (int32_t)choose(sched(m), 1500, 6000);
	world_group_gives_up(m->on.group, m->slot); /* whoever was here before died */
	while (is_working(m, self)) {
		if (!wire_open_await(self, m->on.world->sim, &m->on.world->address, shard_now_us(shard) + 5 * SECOND_US,
				     &m->on.wire)) {
			connected_await(self, m);
			wire_close(&m->on.wire);
		}
		if (!is_working(m, self) || fiber_sleep_await(self, choose_skewed(sched(m), 1000, SECOND_US / 2)))
			break;
	}
	world_group_gives_up(m->on.group, m->slot);
	mem_free(m);
	client_role_over(client, self);
}
