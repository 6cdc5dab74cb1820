/*
 * consumer_property: random histories of a group of the consumer protocol: clients that join, follow, leave, come back and die, some of them of the classic protocol;
 * topics that come, grow and go; restarts. After each step the state is consistent and what was recorded makes the same of an empty one; and of
 * what clients have by what they were told, no partition is with two. When nothing happens any more, all come to rest with all that they want.
 */
#include "base/prng.h"
#include "base/test.h"
#include "group/stage_consumer.h"

#define HISTORIES 150
#define STEPS 150
#define CLIENTS 6
#define REST_ROUNDS 40
#define SESSION_MS 45000

struct client {
	char name[8];
	bool classic;
	bool is_static;
	bool alive;
	bool unsure;    /* an answer was lost: it says all that it can */
	unsigned wants; /* of topic_names, by bit */
	bool pattern;
	int32_t epoch;
	struct assigned has;
	int64_t heard_ms;
};

struct life {
	struct stage stage;
	struct prng random;
	struct client clients[CLIENTS];
	size_t seed;
	bool quiet; /* nobody changes his mind any more */
};

/* --- the state ------------------------------------------------------------------------------------------------------------- */

static void print_set(struct buf *out, const char *name, const struct assigned *a)
{
	buf_printf(out, " %s", name);
	for (size_t i = 0; i < a->count; i++)
		buf_printf(out, " %d/%d@%d", a->items[i].topic.bytes[0], a->items[i].partition, a->items[i].epoch);
}

static void print_member(struct buf *out, const struct consumer_member *m)
{
	buf_printf(out, "%.*s %d %d %d i=%.*s c=%.*s p=%.*s a=%.*s r=%d classic=%d", BYTES_ARG(m->id), m->epoch,
		   m->previous_epoch, m->state, BYTES_ARG(m->said.instance_id), BYTES_ARG(m->said.client_id),
		   BYTES_ARG(m->said.pattern), BYTES_ARG(m->said.server_assignor), m->said.rebalance_timeout_ms,
		   m->said.classic ? m->said.classic->session_timeout_ms : -1);
	for (size_t i = 0; i < m->said.topic_count; i++)
		buf_printf(out, " %.*s", BYTES_ARG(m->said.topics[i]));
	print_set(out, "has", &m->assigned);
	print_set(out, "revoking", &m->revoking);
	print_set(out, "target", &m->target);
	buf_printf(out, "\n");
}

/* All that is recorded of it, members in the order of their ids. */
static void print_group(struct buf *out, const struct group *g)
{
	const struct consumer_group *c = g->consumer;
	struct bytes *ids = mem_alloc((c->members.count + 1) * sizeof(*ids)), *sorted;
	size_t place = 0, count = 0;

	buf_printf(out, "epoch %d %d %" PRId64 " %" PRId64 "\n", c->epoch, c->assignment_epoch, c->assignment_ms,
		   c->metadata_hash);
	for (size_t i = 0; i < c->pattern_count; i++) {
		buf_printf(out, "pattern %.*s %zu %d %" PRId64, BYTES_ARG(c->patterns[i].text), c->patterns[i].members,
			   c->patterns[i].resolved, c->patterns[i].version);
		for (size_t t = 0; t < c->patterns[i].topic_count; t++)
			buf_printf(out, " %.*s", BYTES_ARG(c->patterns[i].topics[t]));
		buf_printf(out, "\n");
	}
	for (const struct consumer_member *m; (m = consumer_group_next(c, &place));)
		ids[count++] = m->id;
	sorted = names_sorted(ids, count, &count);
	for (size_t i = 0; i < count; i++)
		print_member(out, consumer_group_find(c, sorted[i]));
	mem_free(sorted);
	mem_free(ids);
}

static void check_owned(const struct consumer_group *c, const struct assigned *a, struct owners *seen, size_t *total)
{
	for (size_t i = 0; i < a->count; i++) {
		CHECK(!owners_has(seen, a->items[i].topic, a->items[i].partition));
		CHECK(owners_has(&c->owners, a->items[i].topic, a->items[i].partition));
		owners_set(seen, a->items[i].topic, a->items[i].partition, 1);
		(*total)++;
	}
}

static void check_wanted(const struct consumer_group *c)
{
	for (size_t i = 0; i < c->topic_count; i++) {
		size_t by_name = 0, by_pattern = 0, place = 0;

		for (const struct consumer_member *m; (m = consumer_group_next(c, &place));)
			by_name += names_have(m->said.topics, m->said.topic_count, c->topics[i].name);
		for (size_t p = 0; p < c->pattern_count; p++)
			by_pattern += names_have(c->patterns[p].topics, c->patterns[p].topic_count, c->topics[i].name);
		CHECK_EQ(c->topics[i].by_name, by_name);
		CHECK_EQ(c->topics[i].by_pattern, by_pattern);
		CHECK(by_name + by_pattern > 0);
	}
}

static void check_group(const struct group *g)
{
	const struct consumer_group *c = g->consumer;
	struct owners has = {0}, shall = {0};
	size_t place = 0, total = 0, members = 0, classic = 0, reconciled = 0;

	CHECK(c->assignment_epoch <= c->epoch);
	for (const struct consumer_member *m; (m = consumer_group_next(c, &place));) {
		check_owned(c, &m->assigned, &has, &total);
		check_owned(c, &m->revoking, &has, &total);
		for (size_t i = 0; i < m->target.count; i++) {
			CHECK(!owners_has(&shall, m->target.items[i].topic, m->target.items[i].partition));
			owners_set(&shall, m->target.items[i].topic, m->target.items[i].partition, 1);
		}
		CHECK(m->epoch <= c->assignment_epoch);
		CHECK(m->revoking.count == 0 || m->state == MEMBER_UNREVOKED_PARTITIONS);
		members += m->counts;
		classic += member_is_classic(m);
		reconciled += member_is_reconciled(c, m);
	}
	CHECK_EQ(c->owners.count, total);
	CHECK_EQ(c->member_count, members);
	CHECK_EQ(c->classic_count, classic);
	CHECK_EQ(c->reconciled, reconciled);
	check_wanted(c);
	owners_fini(&has);
	owners_fini(&shall);
}

static const struct group *group_of(const struct groups *all)
{
	const struct group *g = groups_find(all, bytes_str("g"));

	return g && g->kind == &consumer_kind ? g : NULL;
}

static void check_state(struct life *h)
{
	struct groups *replayed = stage_machine(&h->stage);
	const struct group *a = group_of(h->stage.groups), *b;
	struct buf live, again;

	stage_replay(&h->stage, replayed);
	b = group_of(replayed);
	CHECK_EQ(a != NULL, b != NULL);
	if (a) {
		check_group(a);
		buf_init(&live, STAGE_MEMORY);
		buf_init(&again, STAGE_MEMORY);
		print_group(&live, a);
		print_group(&again, b);
		if (!bytes_equal(buf_bytes(&live), buf_bytes(&again)))
			fail_msg("history %zu: recorded is\n%.*s\nand there is\n%.*s", h->seed,
				 BYTES_ARG(buf_bytes(&again)), BYTES_ARG(buf_bytes(&live)));
		buf_fini(&live);
		buf_fini(&again);
	}
	group_machine.free(replayed);
}

/* --- what clients know --------------------------------------------------------------------------------------------------------- */

static void check_clients(const struct life *h)
{
	struct owners seen = {0};

	for (size_t i = 0; i < CLIENTS; i++) {
		const struct client *c = &h->clients[i];

		for (size_t p = 0; p < c->has.count; p++) {
			if (owners_has(&seen, c->has.items[p].topic, c->has.items[p].partition))
				fail_msg("history %zu: %d/%d is with two, one of them %s", h->seed,
					 c->has.items[p].topic.bytes[0], c->has.items[p].partition, c->name);
			owners_set(&seen, c->has.items[p].topic, c->has.items[p].partition, 1);
		}
	}
	owners_fini(&seen);
}

static void lose_all(struct client *c)
{
	c->epoch = 0;
	c->unsure = false;
	assigned_clear(&c->has);
}

/* Whoever was silent for its session is out, and has nothing any more: a real client does not read then. */
static void expire(struct life *h)
{
	for (size_t i = 0; i < CLIENTS; i++)
		if (h->clients[i].alive && h->stage.step.now_ms - h->clients[i].heard_ms >= SESSION_MS - 1000) {
			lose_all(&h->clients[i]);
			h->clients[i].alive = false;
		}
}

/* --- what clients do ------------------------------------------------------------------------------------------------------------ */

static const char *const topic_names[] = {"t", "u", "v", "w"};

static void put_wanted(struct life *h, struct client *c, struct consumer_group_heartbeat_request *r, struct arena *a,
		       bool another)
{
	if (another) {
		c->wants = (unsigned)prng_below(&h->random, 1U << countof(topic_names));
		c->pattern = prng_chance(&h->random, 1, 3);
	}
	r->subscribed_topic_names = arena_alloc_array(a, countof(topic_names), sizeof(struct bytes));
	r->subscribed_topic_names_count = 0;
	for (size_t i = 0; i < countof(topic_names); i++)
		if (c->wants >> i & 1)
			r->subscribed_topic_names[r->subscribed_topic_names_count++] = bytes_str(topic_names[i]);
	r->subscribed_topic_regex = bytes_str(c->pattern ? "[t-v]" : "");
}

static void put_claims(const struct client *c, struct consumer_group_heartbeat_request *r, struct arena *a)
{
	struct consumer_group_heartbeat_request_topic_partitions *to;

	r->topic_partitions = to = arena_alloc_array(a, c->has.count, sizeof(*to));
	r->topic_partitions_count = (int32_t)c->has.count;
	for (size_t i = 0; i < c->has.count; i++)
		to[i] = (struct consumer_group_heartbeat_request_topic_partitions){
			.topic_id = c->has.items[i].topic,
			.partitions = &c->has.items[i].partition,
			.partitions_count = 1};
}

/* It keeps what is in both and takes what is new; what is not in it any more it has given up. */
static void take_assignment(struct client *c, const struct consumer_group_heartbeat_response *r)
{
	assigned_clear(&c->has);
	for (int32_t t = 0; t < r->assignment->topic_partitions_count; t++)
		for (int32_t p = 0; p < r->assignment->topic_partitions[t].partitions_count; p++)
			assigned_push(&c->has, r->assignment->topic_partitions[t].topic_id,
				      r->assignment->topic_partitions[t].partitions[p], 0);
	assigned_sort(&c->has);
}

static void told(struct life *h, struct client *c, const struct consumer_group_heartbeat_response *r, bool lost)
{
	c->heard_ms = h->stage.step.now_ms;
	if (r->error_code) {
		lose_all(c);
		if (r->error_code == ERR_UNRELEASED_INSTANCE_ID)
			c->alive = false;
		return;
	}
	c->unsure = lost;
	if (lost)
		return;
	c->epoch = r->member_epoch;
	if (r->assignment)
		take_assignment(c, r);
}

/* An answer that is lost leaves the client where it was. */
static void heartbeat(struct life *h, struct client *c, int32_t epoch, bool lost)
{
	struct consumer_group_heartbeat_request r;
	struct consumer_heartbeat_call call = {.request = &r, .version = 1};
	struct arena arena;
	bool joins = epoch == 0, another = joins || (!h->quiet && prng_chance(&h->random, 1, 12));

	arena_init(&arena, STAGE_MEMORY);
	message_init(&consumer_group_heartbeat_request_type, &r);
	r.group_id = bytes_str("g");
	r.member_id = bytes_str(c->name);
	r.member_epoch = epoch;
	if (c->is_static)
		r.instance_id = bytes_of(c->name, 1);
	if (another || c->unsure)
		put_wanted(h, c, &r, &arena, another);
	if (joins || c->unsure)
		r.rebalance_timeout_ms = 600000; /* who is out by that may still have what it had */
	if (!h->quiet && prng_chance(&h->random, 1, 10))
		r.server_assignor = bytes_str(prng_chance(&h->random, 1, 2) ? "range" : "uniform");
	/* Always told: a client says it at least whenever it has changed. */
	if (epoch >= 0)
		put_claims(c, &r, &arena);
	call.arena = &arena;
	call.client = (struct group_client){.id = bytes_str(c->name), .host = bytes_str("/h")};
	stage_step(&h->stage);
	must_ok(group_consumer_heartbeat_check(&h->stage.options, &call));
	group_consumer_heartbeat(h->stage.groups, &h->stage.step, &call);
	/* Others may be answered too: who waited in a classic group that is none any more. */
	list_remove(&call.call.node);
	must(call.call.error == OK);
	if (epoch >= 0)
		told(h, c, &call.response, lost);
	stage_settle(&h->stage);
	arena_fini(&arena);
}

static void consumer_acts(struct life *h, struct client *c)
{
	switch (prng_below(&h->random, 12)) {
	case 0:
		heartbeat(h, c, c->is_static && prng_chance(&h->random, 1, 2) ? -2 : -1, false);
		lose_all(c);
		c->alive = false;
		return;
	case 1:
		c->alive = false; /* dies; its session will say so */
		assigned_clear(&c->has);
		return;
	case 2:
		if (c->epoch > 0) {
			heartbeat(h, c, c->epoch, true);
			return;
		}
		break;
	default:
		break;
	}
	heartbeat(h, c, c->epoch, false);
}

/* A line of a transcript, for those of the classic protocol. */
static void line(struct life *h, const struct client *c, const char *what)
{
	char text[200];

	snprintf(text, sizeof(text), "%s %s", c->name, what);
	stage_run_line(&h->stage, text, text + strlen(text));
	buf_reset(&h->stage.out);
}

static void classic_acts(struct life *h, struct client *c)
{
	switch (prng_below(&h->random, 8)) {
	case 0:
		line(h, c, "leave");
		c->alive = false;
		break;
	case 1:
		c->alive = false;
		break;
	case 2:
	case 3:
		line(h, c, "csync");
		break;
	case 4:
		line(h, c, "beat");
		break;
	default:
		line(h, c,
		     prng_chance(&h->random, 1, 2) ? "crejoin v=5 topics=t,u session=20000 rebalance=20000 has=="
						   : "crejoin v=5 topics=t,u session=20000 rebalance=20000 has=-");
		break;
	}
	c->heard_ms = h->stage.step.now_ms;
}

static void act(struct life *h)
{
	struct client *c = &h->clients[prng_below(&h->random, CLIENTS)];

	if (!c->alive && prng_chance(&h->random, 1, 2)) {
		/* Another process: a new member. */
		c->alive = true;
		c->heard_ms = h->stage.step.now_ms;
		c->name[1] = (char)('a' + prng_below(&h->random, 26));
		c->name[2] = (char)('a' + prng_below(&h->random, 26));
		lose_all(c);
	}
	if (!c->alive)
		return;
	if (c->classic)
		classic_acts(h, c);
	else
		consumer_acts(h, c);
}

static void change_topics(struct life *h)
{
	const char *name = topic_names[prng_below(&h->random, countof(topic_names))];
	const struct image_topic *t = image_topic_by_name(h->stage.image, bytes_str(name));

	if (t && prng_chance(&h->random, 1, 4))
		stage_topic(&h->stage, bytes_str(name), false);
	else if (!t || t->partition_count < 12)
		stage_topic_of(&h->stage, bytes_str(name),
			       (t ? t->partition_count : 0) + 1 + (int32_t)prng_below(&h->random, 3));
	stage_step(&h->stage);
	group_machine.image_changed(h->stage.groups, &h->stage.step);
	stage_settle(&h->stage);
}

static void happen(struct life *h)
{
	switch (prng_below(&h->random, 30)) {
	case 0:
		change_topics(h);
		break;
	case 1:
		stage_restart(&h->stage);
		/* Sessions begin anew: who died is found out later. */
		break;
	case 2:
		stage_wait(&h->stage, (int64_t)prng_below(&h->random, 30000));
		break;
	default:
		stage_wait(&h->stage, (int64_t)prng_below(&h->random, 2000));
		act(h);
		break;
	}
	expire(h);
}

static void life_init(struct life *h, size_t seed, bool classic)
{
	*h = (struct life){.seed = seed};
	prng_seed(&h->random, seed);
	stage_consumer_init(&h->stage);
	h->stage.options.group_initial_rebalance_delay_ms = 0;
	for (size_t i = 0; i < CLIENTS; i++) {
		h->clients[i].name[0] = (char)('A' + i);
		h->clients[i].is_static = i == 1 || i == 2;
		h->clients[i].classic = classic && i >= 3;
	}
}

static void life_fini(struct life *h)
{
	for (size_t i = 0; i < CLIENTS; i++)
		assigned_fini(&h->clients[i].has);
	stage_fini(&h->stage);
}

/* --- the histories ---------------------------------------------------------------------------------------------------------------- */

TEST(no_partition_is_with_two_and_what_is_recorded_is_what_there_is)
{
	for (size_t seed = 0; seed < HISTORIES; seed++) {
		struct life h;

		life_init(&h, seed, false);
		for (size_t step = 0; step < STEPS; step++) {
			happen(&h);
			check_state(&h);
			check_clients(&h);
		}
		life_fini(&h);
	}
}

TEST(members_of_the_classic_protocol_come_and_go_and_what_is_recorded_is_what_there_is)
{
	for (size_t seed = 0; seed < HISTORIES; seed++) {
		struct life h;

		life_init(&h, seed, true);
		for (size_t step = 0; step < STEPS; step++) {
			happen(&h);
			check_state(&h);
		}
		life_fini(&h);
	}
}

static bool is_at_rest(const struct life *h)
{
	const struct group *g = group_of(h->stage.groups);

	return !g || strcmp(consumer_group_state_name(g->consumer), "Stable") == 0 || g->consumer->member_count == 0;
}

TEST(who_only_sends_heartbeats_comes_to_rest_with_all_that_is_wanted)
{
	for (size_t seed = 1000; seed < 1000 + HISTORIES; seed++) {
		struct life h;
		const struct group *g;

		life_init(&h, seed, false);
		for (size_t step = 0; step < STEPS; step++)
			happen(&h);
		h.quiet = true;
		for (int round = 0; round < REST_ROUNDS; round++) {
			stage_wait(&h.stage, 5000);
			for (size_t i = 0; i < CLIENTS; i++)
				if (h.clients[i].alive)
					heartbeat(&h, &h.clients[i], h.clients[i].epoch, false);
			check_clients(&h);
		}
		g = group_of(h.stage.groups);
		if (!is_at_rest(&h)) {
			print_group(&h.stage.out, g);
			fail_msg("history %zu: not at rest:\n%.*s", seed, BYTES_ARG(buf_bytes(&h.stage.out)));
		}
		if (g && g->consumer->member_count > 0)
			check_group(g);
		life_fini(&h);
	}
}
