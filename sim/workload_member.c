/*
 * workload_member: members of consumer groups by our own client library, in either protocol, and what speaks in their names when they are
 * over. Code of a client's node.
 *
 *      open, subscribe --> assigned: owns --> records, commits, seeks, stalls --> revoked, lost: owns it no more --> ... --> close, or its process dies
 *
 * A member owns from its listener's call on. It does until its listener is called again, and no longer than a session after what was last answered
 * was sent, and than max.poll.interval.ms after it last called, which is not less than any session. While the library moves it from one
 * assignment to the next neither counts anew: the coordinator may have begun to wait for it.
 * The library runs on the role's own shard (api_open_on), so no function of it may wait: all timeouts are 0.
 */
#include <stdio.h>

#include "base/alloc.h"
#include "client/api.h"
#include "client/group_own.h"
#include "sim/group_wire.h"

#define ID_MAX 200
#define EPOCHS_KEPT 3
#define LEAST_POLL_MS 6000 /* not less than any session */
#define HEALTH_US (20 * SECOND_US)

/* Whom a member was when it gave partitions up, to speak in his name. */
struct past {
	char id[ID_MAX];
	int32_t generation;
	uint32_t owned;
};

struct library_member {
	struct group_wire on;
	struct mo_client *mo;
	struct shard *shard;
	unsigned slot;
	char instance[24];
	bool is_static;
	uint32_t owned;
	uint32_t late;      /* of them: told when it was no member any more */
	int64_t session_us; /* of the classic protocol */
	int64_t poll_us;    /* max.poll.interval.ms */
	int64_t valid_until_us;
	int64_t next[WORLD_PARTITIONS]; /* that is to be given; -1: wherever the group left off */
	int64_t committed[WORLD_PARTITIONS];
	int32_t in_hand; /* the partition of the record that was given last; -1: none */
	struct membership last;
	char id[ID_MAX];
	int32_t epochs[EPOCHS_KEPT]; /* that a member of KIP-848 had, the latest first; 0: none */
	struct past past;
	struct list commits; /* without outcome */
	bool over;           /* it is to be closed */
};

static struct scheduler *sched(struct library_member *m)
{
	return world_scheduler(m->on.world);
}

static int64_t now_us(struct library_member *m)
{
	return sched(m)->now_us;
}

static const char *topic_of(const struct library_member *m)
{
	return m->on.world->topics[m->on.group->topic].name;
}

static struct group *group_of(const struct library_member *m)
{
	return m->mo->core->group;
}

static bool is_working(const struct library_member *m, struct fiber *self)
{
	const struct world *w = m->on.world;

	return !w->sim->failed && !fiber_cancelled(self) && (w->phase != CLIENT_FINISHES || !m->on.group->rested);
}

static bool is_settling(const struct library_member *m)
{
	return group_of(m)->settle.fiber || m->mo->rebalance;
}

/* --- who it is ------------------------------------------------------------------------------------------------------- */

static void note_membership(struct library_member *m)
{
	struct membership now = group_membership(group_of(m));

	if (now.generation < 0)
		return;
	must(strlen(now.member_id) < ID_MAX);
	if (now.modern && now.generation != m->epochs[0]) {
		/* A group that was forgotten begins its epochs anew. */
		if (now.generation < m->epochs[0])
			memset(m->epochs, 0, sizeof(m->epochs));
		memmove(m->epochs + 1, m->epochs, sizeof(m->epochs) - sizeof(*m->epochs));
		m->epochs[0] = now.generation;
	}
	snprintf(m->id, sizeof(m->id), "%s", now.member_id);
	m->last = now;
}

static void note_validity(struct library_member *m)
{
	struct group *g = group_of(m);
	int64_t session_us = g->protocol == PROTOCOL_MODERN ? m->on.world->session_ms * 1000LL : m->session_us;
	int64_t heard_us = now_us(m) - (shard_now_us(m->shard) - g->heard_us) + session_us;
	int64_t away_us = now_us(m) + m->poll_us;

	note_membership(m);
	if (is_settling(m) || group_membership(g).generation < 0)
		return;
	m->valid_until_us = heard_us < away_us ? heard_us : away_us;
	world_group_valid(m->on.group, m->slot, m->valid_until_us);
	/* It was told late, and is a member all the same. */
	if (m->late && m->valid_until_us > now_us(m)) {
		m->late = 0;
		world_group_owns(m->on.group, m->slot, m->last.generation, m->owned, m->valid_until_us);
	}
}

static void gives_up(struct library_member *m, uint32_t partitions)
{
	uint32_t had = m->owned & partitions & ~m->late;

	if (had) {
		m->past = (struct past){.generation = m->last.generation, .owned = had};
		memcpy(m->past.id, m->id, sizeof(m->past.id));
	}
	m->owned &= ~partitions;
	m->late &= ~partitions;
	world_note(m->on.client, "lib gives up", "slot %lld, generation %lld: %lld", m->slot, m->last.generation,
		   partitions);
	world_group_keeps(m->on.group, m->slot, m->owned);
}

static void takes(struct library_member *m, uint32_t partitions)
{
	int64_t session_us = m->last.modern ? m->on.world->session_ms * 1000LL : m->session_us;
	int64_t heard_us = now_us(m) - (shard_now_us(m->shard) - group_of(m)->heard_us) + session_us;

	for (int32_t p = 0; p < WORLD_PARTITIONS; p++)
		if (partitions & 1U << p)
			m->next[p] = m->committed[p] = -1;
	if (!m->owned)
		m->valid_until_us = heard_us;
	m->owned |= partitions;
	/* Told so late that it is no member any more, or may not be: it is told of that next. */
	if (group_membership(group_of(m)).generation < 0 || m->valid_until_us <= now_us(m))
		m->late |= partitions;
	else
		world_group_owns(m->on.group, m->slot, m->last.generation, m->owned, m->valid_until_us);
	world_note(m->on.client, m->last.modern ? "lib owns, modern" : "lib owns", "slot %lld, generation %lld: %lld",
		   m->slot, m->last.generation, m->owned);
}

static void rebalanced(void *context, enum mo_rebalance what, const struct mo_topic_partition *partitions, size_t count)
{
	struct library_member *m = context;
	uint32_t mask = 0;

	for (size_t i = 0; i < count; i++) {
		if (strcmp(partitions[i].topic, topic_of(m)) != 0 ||
		    partitions[i].partition >= m->on.world->topics[m->on.group->topic].partition_count)
			world_fail(m->on.world, "a member of %s was given %s-%d, which it did not subscribe to",
				   m->on.group->name, partitions[i].topic, partitions[i].partition);
		else
			mask |= 1U << partitions[i].partition;
	}
	note_membership(m);
	if (what == MO_ASSIGNED)
		takes(m, mask);
	else
		gives_up(m, mask);
}

/* --- records --------------------------------------------------------------------------------------------------------- */

/* It is back: done with what it had in hand. */
static void is_done(struct library_member *m)
{
	if (m->in_hand >= 0 && m->owned & 1U << m->in_hand)
		world_group_processed(m->on.group, m->in_hand, m->next[m->in_hand]);
	m->in_hand = -1;
}

static void take_message(struct library_member *m, const struct mo_message *r)
{
	struct world *w = m->on.world;
	unsigned topic = m->on.group->topic;
	int64_t *next;

	if (strcmp(r->topic, topic_of(m)) != 0 || r->partition >= WORLD_PARTITIONS ||
	    !(m->owned & 1U << r->partition)) {
		world_fail(w, "a member of %s was given a record of %s-%d, which it does not own", m->on.group->name,
			   r->topic, r->partition);
		return;
	}
	next = &m->next[r->partition];
	/* What was deleted meanwhile is passed over; the final reading finds out whether it was. */
	if (w->trims && r->offset > (*next < 0 ? m->on.group->ledger.partitions[r->partition].processed : *next)) {
		world_moved_on(w, topic, r->partition, r->offset);
		world_group_processed(m->on.group, r->partition, r->offset);
	}
	if (*next < 0)
		world_group_resumes(m->on.group, r->partition, r->offset);
	else if (r->offset > *next && !w->trims)
		world_moved_on(w, topic, r->partition, r->offset);
	else if (r->offset < *next)
		world_verdict(w, topic, r->partition, r->offset, "a member was given a record again");
	*next = r->offset + 1;
	m->in_hand = r->partition;
}

/* What may be told to a program when something was wrong; its client is closed then, and another one comes. */
static void take_error(struct library_member *m, const struct mo_err *error)
{
	struct world *w = m->on.world;
	enum err e = (enum err)error->code;
	/* Another process of this name is not over yet; somebody in the group cannot speak the other protocol. */
	bool expected = (m->is_static && (e == ERR_UNRELEASED_INSTANCE_ID || e == ERR_FENCED_INSTANCE_ID));
	bool in_trouble = w->disk_trouble || !world_was_well(w, now_us(m) - HEALTH_US);

	world_note(m->on.client, "lib member", "error %lld", e, 0, 0);
	m->over = true;
	if (!expected && !in_trouble)
		world_fail(w, "a member of %s: %s: %s", m->on.group->name, err_name(e), error->text);
}

static void consume_some(struct library_member *m)
{
	unsigned most = (unsigned)choose_skewed(sched(m), 1, 200);
	const struct mo_message *r;
	struct mo_err error;

	while (most-- && !m->over) {
		int code;

		is_done(m);
		code = mo_consume(m->mo, 0, &r, &error);
		if (code == MO_TIMED_OUT || code == MO_CALLBACK_DUE)
			return;
		if (code)
			take_error(m, &error);
		else
			take_message(m, r);
	}
}

/* --- commits --------------------------------------------------------------------------------------------------------- */

struct sent_commit {
	struct list_node node;
	struct library_member *member;
	size_t numbers[WORLD_PARTITIONS];
};

static void committed(void *context, const struct mo_err *outcome, const struct mo_group_offset *offsets, size_t count)
{
	struct sent_commit *sent = context;
	struct library_member *m = sent->member;

	(void)outcome;
	for (size_t i = 0; i < count; i++) {
		int32_t p = offsets[i].partition;

		world_note(m->on.client, "lib committed", "partition %lld at %lld: error %lld", p, offsets[i].offset,
			   offsets[i].code);
		world_group_committed(m->on.group, p, sent->numbers[p],
				      offsets[i].code <= -1000 ? COMMIT_OPEN
							       : group_outcome_of(&m->on, (int16_t)offsets[i].code));
		if (!offsets[i].code && m->owned & 1U << p)
			m->committed[p] = offsets[i].offset;
	}
	list_remove(&sent->node);
	mem_free(sent);
}

/* Those whose client is closed have no outcome. */
static void forget_commits(struct library_member *m)
{
	struct list_node *n;

	while ((n = list_pop_front(&m->commits)))
		mem_free(container_of(n, struct sent_commit, node));
}

/* Of what it owns and has read; the outcome comes by mo_poll. */
static void commit(struct library_member *m)
{
	struct mo_group_offset offsets[WORLD_PARTITIONS];
	struct sent_commit *sent;
	size_t count = 0;

	is_done(m);
	note_membership(m);
	if (m->on.group->auto_commit || group_membership(group_of(m)).generation < 0)
		return;
	sent = mem_new(struct sent_commit);
	sent->member = m;
	for (int32_t p = 0; p < WORLD_PARTITIONS; p++) {
		/* Where epochs may begin anew, one that the ledger knows of no owner of says nothing yet. */
		bool unknown = m->late & 1U << p && m->on.group->ledger.restarts;

		if (!(m->owned & 1U << p) || m->next[p] < 0 || m->next[p] == m->committed[p])
			continue;
		offsets[count++] = (struct mo_group_offset){
			.topic = topic_of(m), .partition = p, .offset = m->next[p], .leader_epoch = -1};
		sent->numbers[p] = world_group_commit(m->on.group, p, unknown ? -1 : m->last.generation, m->next[p]);
		world_note(m->on.client, "lib commit", "generation %lld, partition %lld at %lld", m->last.generation, p,
			   m->next[p]);
	}
	if (count == 0 || mo_commit_async(m->mo, offsets, count, committed, sent, NULL))
		mem_free(sent);
	else
		list_push_back(&m->commits, &sent->node);
}

/* Back to where it was, and says so. */
static void seek_back(struct library_member *m)
{
	struct mo_err error;

	is_done(m);
	for (int32_t p = 0; p < WORLD_PARTITIONS; p++) {
		if (!(m->owned & 1U << p) || m->next[p] <= 0)
			continue;
		m->next[p] -= choose_skewed(sched(m), 0, m->next[p]);
		/* It may be another's by now, which the listener has not been told yet. */
		if (mo_seek(m->mo, topic_of(m), p, MO_OFFSET(m->next[p]), &error))
			m->next[p] = -1;
	}
	commit(m);
}

/* --- in the name of who is over ---------------------------------------------------------------------------------------- */

/* An epoch that it had before the one before: a heartbeat of that is nobody's. */
static bool beat_as_before_await(struct fiber *self, struct library_member *m)
{
	struct consumer_group_heartbeat_request request;
	struct consumer_group_heartbeat_response response;
	struct group_exchange x;
	enum err e;

	message_init(&consumer_group_heartbeat_request_type, &request);
	request.group_id = bytes_str(m->on.group->name);
	request.member_id = bytes_str(m->id);
	request.member_epoch = m->epochs[EPOCHS_KEPT - 1];
	if (m->is_static)
		request.instance_id = bytes_str(m->instance);
	e = group_ask_await(self, &m->on, &x, API_CONSUMER_GROUP_HEARTBEAT, 1, &request, &response);
	if (!e) {
		sim_hit(m->on.world->sim, HIT_ZOMBIE);
		if (!response.error_code)
			world_fail(m->on.world, "a heartbeat of epoch %d was taken from a member of %s in epoch %d",
				   request.member_epoch, m->on.group->name, m->epochs[0]);
	}
	group_exchange_fini(&x);
	return !e;
}

/* As one that does not know yet that it is over. */
static bool commit_as_before_await(struct fiber *self, struct library_member *m)
{
	struct group_commit_as as = {.id = m->past.id,
				     .instance = m->is_static ? m->instance : NULL,
				     .generation = m->past.generation,
				     .version = 9};
	int64_t values[WORLD_PARTITIONS];
	int16_t codes[WORLD_PARTITIONS];
	uint32_t mask = m->past.owned;

	for (int32_t p = 0; p < WORLD_PARTITIONS; p++)
		values[p] = m->next[p] < 0 ? 0 : m->next[p] / 2;
	m->past.owned = 0;
	world_note(m->on.client, "as before", "slot %lld, generation %lld: %lld", m->slot, m->past.generation, mask);
	sim_hit(m->on.world->sim, HIT_ZOMBIE);
	return group_commit_offsets_await(self, &m->on, &as, mask, values, codes);
}

/* By a connection of its own. */
static void meddle_await(struct fiber *self, struct library_member *m)
{
	int64_t values[WORLD_PARTITIONS];

	if (wire_open_await(self, m->on.world->sim, &m->on.world->address, shard_now_us(m->shard) + 2 * SECOND_US,
			    &m->on.wire))
		return;
	if (m->past.owned && !m->on.group->auto_commit)
		(void)!commit_as_before_await(self, m);
	else if (m->epochs[EPOCHS_KEPT - 1])
		(void)!beat_as_before_await(self, m);
	else
		(void)group_fetch_offsets_await(self, &m->on, values);
	wire_close(&m->on.wire);
}

/* --- a member's life ------------------------------------------------------------------------------------------------- */

static int open_library(struct library_member *m, struct mo_err *ret_error)
{
	static const char *const strategies[] = {"range", "roundrobin", "sticky", "cooperative-sticky"};
	enum group_talk talk = m->on.group->talk;
	bool classic = talk == GROUP_CLASSIC || (talk == GROUP_MIXED && chance(sched(m), 1, 2));
	char servers[80], session[24], poll[24];
	const struct mo_option options[] = {
		/* Only of a static member. */
		{"group.instance.id", m->instance},
		{"bootstrap.servers", servers},
		{"group.id", m->on.group->name},
		{"group.protocol", classic               ? "classic"
				   : talk == GROUP_MIXED ? "consumer"
							 : "automatic"},
		{"max.poll.interval.ms", poll},
		{"request.timeout.ms", "2500"},
		{"enable.auto.commit", m->on.group->auto_commit ? "true" : "false"},
		{"auto.commit.interval.ms", "700"},
		{"auto.offset.reset", "earliest"},
		{"allow.auto.create.topics", "false"},
		{"metadata.max.age.ms", "2000"},
		/* Only in the classic protocol. */
		{"session.timeout.ms", session},
		{"heartbeat.interval.ms", "500"},
		{"partition.assignment.strategy", strategies[m->on.group->strategy]},
	};

	snprintf(servers, sizeof(servers), "%s:%d", m->on.world->address.host, m->on.world->address.port);
	m->session_us = choose(sched(m), 1500, LEAST_POLL_MS) * 1000;
	m->poll_us = choose(sched(m), LEAST_POLL_MS, 2 * LEAST_POLL_MS) * 1000;
	snprintf(session, sizeof(session), "%lld", (long long)m->session_us / 1000);
	snprintf(poll, sizeof(poll), "%lld", (long long)m->poll_us / 1000);
	return api_open_on(m->shard, options + !m->is_static, countof(options) - !m->is_static - (classic ? 0 : 3),
			   &m->mo, ret_error);
}

/* What is rare; most of the time nothing. False: this client ends. */
static bool caper_await(struct fiber *self, struct library_member *m)
{
	switch (choose(sched(m), 0, 100)) {
	case 0:
		return false;
	case 1: /* beyond max.poll.interval.ms, maybe */
		if (is_settling(m))
			return true;
		if (fiber_sleep_await(self, choose_skewed(sched(m), SECOND_US / 2, 15 * SECOND_US)))
			return false;
		sim_hit(m->on.world->sim, HIT_STALLED_MEMBER);
		return true;
	case 2:
	case 3:
		seek_back(m);
		return true;
	case 4:
	case 5:
	case 6:
	case 7:
	case 8:
		if (!is_settling(m))
			meddle_await(self, m);
		return true;
	default:
		return true;
	}
}

static void work_await(struct fiber *self, struct library_member *m)
{
	while (is_working(m, self) && !m->over) {
		enum client_phase phase = m->on.world->phase;

		note_validity(m);
		(void)mo_poll(m->mo, 0);
		consume_some(m);
		if (!m->over && phase != CLIENT_RESTS && chance(sched(m), 1, 3))
			commit(m);
		if (phase == CLIENT_WORKS && !caper_await(self, m))
			return;
		if (phase == CLIENT_FINISHES)
			world_group_look(m->on.group);
		if (fiber_sleep_await(self, phase == CLIENT_RESTS ? SECOND_US / 2
								  : choose_skewed(sched(m), 5000, SECOND_US / 4)))
			return;
	}
}

/* A client from its opening to its end. */
static void live_await(struct fiber *self, struct library_member *m)
{
	const char *topic = topic_of(m);
	struct mo_err error;

	m->over = false;
	m->late = 0;
	m->in_hand = -1;
	memset(m->epochs, 0, sizeof(m->epochs));
	m->last = (struct membership){.generation = -1};
	if (open_library(m, &error)) {
		world_fail(m->on.world, "the library does not open: %s", error.text);
		return;
	}
	mo_set_rebalance(m->mo, rebalanced, m);
	if (mo_subscribe(m->mo, &topic, 1, &error))
		world_fail(m->on.world, "the library does not subscribe: %s", error.text);
	work_await(self, m);
	note_membership(m);
	is_done(m);
	gives_up(m, m->owned);
	api_close_await(self, m->mo);
	api_end(m->mo);
	forget_commits(m);
	if (m->past.owned && is_working(m, self) && chance(sched(m), 1, 2))
		meddle_await(self, m);
}

void library_member_role_fiber(struct fiber *self, void *argument)
{
	struct world_client *client = argument;
	struct library_member *m = mem_new(struct library_member);

	m->on.world = client->world;
	m->on.client = client;
	m->shard = fiber_shard(self);
	list_init(&m->commits);
	m->slot = world_group_slot(client, &m->on.group);
	m->is_static = chance(sched(m), 1, 4);
	snprintf(m->instance, sizeof(m->instance), "instance-%u", m->slot);
	world_group_gives_up(m->on.group, m->slot); /* whoever was here before died */
	while (is_working(m, self)) {
		live_await(self, m);
		if (is_working(m, self) && fiber_sleep_await(self, choose_skewed(sched(m), 1000, SECOND_US / 2)))
			break;
	}
	mem_free(m);
	client_role_over(client, self);
}
