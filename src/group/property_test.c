/*
 * property: random histories of requests, time, restarts and ends of transactions. After each step: what was recorded, replayed into a fresh state, gives
 * what is there; the counts of a group are those of its members; at the end every call was answered once.
 */
#include "base/prng.h"
#include "base/test.h"
#include "group/stage_script.h"

#define HISTORIES 300
#define STEPS 120

static const char *const GROUPS[] = {"g", "g", "g", "g", "g", "h"};
static const char *const CLIENTS[] = {"A", "B", "C", "D"};

/* --- what must hold -------------------------------------------------------------------------------------------------- */

static void check_offsets(const struct offsets *a, const struct offsets *b)
{
	CHECK_EQ(a->count, b->count);
	CHECK_EQ(a->topic_count, b->topic_count);
	for (size_t t = 0; t < a->topic_count; t++) {
		CHECK_BYTES(a->topics[t]->topic->name, b->topics[t]->topic->name);
		CHECK_EQ(a->topics[t]->count, b->topics[t]->count);
		for (size_t p = 0; p < a->topics[t]->count; p++) {
			struct offset_value x = offset_value(a->topics[t], &a->topics[t]->offsets[p]);
			struct offset_value y = offset_value(b->topics[t], &b->topics[t]->offsets[p]);

			CHECK_EQ(a->topics[t]->offsets[p].partition, b->topics[t]->offsets[p].partition);
			CHECK_EQ(x.offset, y.offset);
			CHECK_EQ(x.leader_epoch, y.leader_epoch);
			CHECK_BYTES(x.metadata, y.metadata);
			CHECK_EQ(x.commit_ms, y.commit_ms);
			CHECK_EQ(x.expire_ms, y.expire_ms);
			CHECK(uuid_equal(x.topic_id, y.topic_id));
		}
	}
}

static size_t pending_count(const struct group *g)
{
	size_t count = 0;

	list_for_each(&g->pending, node) count += container_of(node, struct pending_offsets, in_group)->offsets.count;
	return count;
}

static void check_pending(const struct group *live, struct groups *replayed_all, struct group *replayed)
{
	CHECK_EQ(pending_count(live), pending_count(replayed));
	list_for_each(&live->pending, node)
	{
		struct pending_offsets *p = container_of(node, struct pending_offsets, in_group);

		if (p->offsets.count > 0)
			check_offsets(
				&p->offsets,
				&pending_offsets_of(replayed_all, replayed, p->transaction->producer_id)->offsets);
	}
}

static void check_members(const struct classic_group *a, const struct classic_group *b)
{
	size_t place = 0;

	CHECK_EQ(a->members.count, b->members.count);
	for (const struct classic_member *x; (x = classic_next(a, &place));) {
		const struct classic_member *y = classic_find(b, x->id);

		CHECK(y);
		CHECK_BYTES(x->instance_id, y->instance_id);
		CHECK_EQ(bytes_is_null(x->instance_id), bytes_is_null(y->instance_id));
		CHECK_BYTES(x->client_id, y->client_id);
		CHECK_BYTES(x->client_host, y->client_host);
		CHECK_EQ(x->session_timeout_ms, y->session_timeout_ms);
		CHECK_EQ(x->rebalance_timeout_ms, y->rebalance_timeout_ms);
		CHECK_BYTES(x->assignment, y->assignment);
		CHECK_BYTES(classic_metadata(x, a->protocol_name), classic_metadata(y, b->protocol_name));
	}
}

/* What is recorded of a group; between two generations that is the one before. */
static void check_classic(const struct classic_group *live, const struct classic_group *replayed)
{
	CHECK(replayed->generation <= live->generation);
	if (live->state != CLASSIC_STABLE && live->state != CLASSIC_EMPTY)
		return;
	CHECK_EQ(live->generation, replayed->generation);
	CHECK_EQ(live->state, replayed->state);
	CHECK_BYTES(live->protocol_type, replayed->protocol_type);
	CHECK_BYTES(live->protocol_name, replayed->protocol_name);
	CHECK_EQ(live->leader != NULL, replayed->leader != NULL);
	if (live->leader)
		CHECK_BYTES(live->leader->id, replayed->leader->id);
	check_members(live, replayed);
	CHECK_EQ(live->subscribed_known, replayed->subscribed_known);
	CHECK_EQ(live->subscribed_count, replayed->subscribed_count);
	if (live->state == CLASSIC_EMPTY && !bytes_is_null(live->protocol_type))
		CHECK_EQ(live->state_since_ms, replayed->state_since_ms);
}

static void check_counts(const struct classic_group *c)
{
	size_t place = 0, joins = 0, owing = 0;

	for (const struct classic_member *m; (m = classic_next(c, &place));) {
		joins += m->join != NULL;
		owing += m->owes_sync;
		CHECK(!m->join || c->state == CLASSIC_PREPARING_REBALANCE);
		CHECK(!m->sync || c->state == CLASSIC_COMPLETING_REBALANCE);
		CHECK(!m->is_new || c->state == CLASSIC_PREPARING_REBALANCE);
		if (!bytes_is_null(m->instance_id))
			CHECK(classic_find_static(c, m->instance_id) == m);
		/* It is heard of in time, or something else comes that looks at it. */
		CHECK(heap_linked(&m->session.node) || m->join || m->sync);
	}
	CHECK_EQ(joins, c->awaiting_join);
	CHECK_EQ(owing, c->owing_sync);
	CHECK((c->leader != NULL) == (c->members.count > 0));
	if (c->state == CLASSIC_PREPARING_REBALANCE)
		CHECK(heap_linked(&c->join_timer.node));
	if (c->state == CLASSIC_EMPTY)
		CHECK_EQ(c->members.count, 0);
}

static bool has_nothing(const struct group *g)
{
	return g->offsets.count == 0 && pending_count(g) == 0 && g->classic->state == CLASSIC_EMPTY &&
	       bytes_is_null(g->classic->protocol_type);
}

static void check_replay(struct stage *t)
{
	struct groups *replayed = stage_machine(t);
	size_t place = 0;

	stage_replay(t, replayed);
	for (const struct map_entry *e; (e = map_next(&t->groups->by_id, &place));) {
		struct group *live = e->value, *other = groups_find(replayed, live->id);

		check_counts(live->classic);
		if (!other) {
			CHECK(has_nothing(live) || live->classic->state != CLASSIC_EMPTY);
			continue;
		}
		check_offsets(&live->offsets, &other->offsets);
		check_pending(live, replayed, other);
		check_classic(live->classic, other->classic);
	}
	place = 0;
	for (const struct map_entry *e; (e = map_next(&replayed->by_id, &place));)
		CHECK(groups_find(t->groups, ((struct group *)e->value)->id) || has_nothing(e->value));
	group_machine.free(replayed);
}

/* --- what happens ---------------------------------------------------------------------------------------------------- */

#define PICK(p, list) (list)[prng_below((p), countof(list))]

static void join_line(struct prng *p, const char *who, const char *group, char *line, size_t size)
{
	static const char *const protocols[] = {"protocols=range:a", "protocols=range:a,rr:b", "topics=t", "topics=t,u",
						"protocols=range:b"};
	static const char *const instances[] = {"", "", "", "", "", " instance=i", " instance=j"};
	static const char *const ids[] = {"", "", "", "", " id=", " id=", " id=A", ""};
	static const char *const versions[] = {"v=0", "v=3", "v=9", "v=9", "v=5"};

	snprintf(line, size, "%s join group=%s %s %s%s%s session=%d rebalance=%d type=%s", who, group,
		 PICK(p, versions), PICK(p, protocols), PICK(p, instances), PICK(p, ids),
		 (int)prng_between(p, 4000, 20000), (int)prng_between(p, 1000, 8000),
		 prng_chance(p, 1, 30) ? "connect" : "consumer");
}

static void offset_words(struct prng *p, char *words, size_t size)
{
	int offset = (int)prng_below(p, 100);

	switch (prng_below(p, 4)) {
	case 0:
		snprintf(words, size, "t/0=%d", offset);
		return;
	case 1:
		snprintf(words, size, "t/1=%d\"note\"", offset);
		return;
	case 2:
		snprintf(words, size, "u/0=%d", offset);
		return;
	default:
		snprintf(words, size, "t/0=%d u/3=1@4", offset);
	}
}

static void next_line(struct prng *p, char *line, size_t size)
{
	const char *who = PICK(p, CLIENTS), *group = PICK(p, GROUPS);
	char offset[64];

	offset_words(p, offset, sizeof(offset));
	switch (prng_below(p, 20)) {
	case 0:
	case 1:
	case 2:
	case 3:
	case 4:
		join_line(p, who, group, line, size);
		return;
	case 5:
	case 6:
	case 7:
		snprintf(line, size, "%s sync group=%s A=x B=y C=z", who, group);
		return;
	case 8:
		snprintf(line, size, "%s beat group=%s", who, group);
		return;
	case 9:
		snprintf(line, size, "%s leave group=%s %s", who, group, prng_chance(p, 1, 2) ? PICK(p, CLIENTS) : "");
		return;
	case 10:
	case 11:
		snprintf(line, size, "%s commit group=%s v=%d %s", who, group, (int)prng_between(p, 5, 10), offset);
		return;
	case 12:
		snprintf(line, size, "%s commit group=%s id= gen=-1 %s", who, group, offset);
		return;
	case 13:
		snprintf(line, size, "%s txn group=%s %d %s %s", who, group, (int)prng_between(p, 7, 8), offset,
			 prng_chance(p, 1, 2) ? "id= gen=-1" : "");
		return;
	case 14:
		snprintf(line, size, "marker %d %s", (int)prng_between(p, 7, 8),
			 prng_chance(p, 1, 2) ? "commit" : "abort");
		return;
	case 15:
		if (prng_chance(p, 1, 3))
			snprintf(line, size, "delete %s", group);
		else
			snprintf(line, size, "D offsetdelete group=%s t/0 u/0", group);
		return;
	case 16:
		snprintf(line, size, "%s",
			 PICK(p, ((const char *const[]){"topic t", "notopic t", "topic u", "restart"})));
		return;
	default:
		snprintf(line, size, "wait %d", (int)prng_below(p, 4000));
	}
}

/* The client of some call that waits goes. */
static void abandon_one(struct stage *t, struct prng *p)
{
	stage_step(t);
	list_for_each(&t->waiting, node)
	{
		struct stage_ask *a = container_of(node, struct stage_ask, node);

		if (!prng_chance(p, 1, 2))
			continue;
		group_machine.abandon(t->groups, &a->call, &t->step);
		break;
	}
	stage_settle(t);
}

/* As clients do: who is told that it is no member joins without an id, mostly. */
static void forget_ids(struct stage *t, struct prng *p)
{
	struct bytes out = buf_bytes(&t->out);

	while (out.size) {
		struct bytes line = stage_until(&out, '\n');

		if (line.size > 18 && line.data[1] == ':' && memmem(line.data, line.size, "UNKNOWN_MEMBER_ID", 17) &&
		    prng_chance(p, 4, 5))
			stage_member(t, bytes_of(line.data, 1))->id = bytes_null();
	}
}

/* One after the other, so that a seed that fails can be looked at alone. */
static void run_history(uint64_t seed, bool show)
{
	struct stage t;
	struct prng p;
	char line[300];

	prng_seed(&p, seed);
	stage_init(&t);
	t.options.offsets_retention_ms = 20000;
	t.options.offsets_retention_check_interval_ms = 3000;
	t.options.group_initial_rebalance_delay_ms = 1000;
	t.options.group_max_size = seed % 4 == 0 ? 2 : 1000;
	t.max_record_bytes = seed % 5 == 0 ? 420 : 100000;
	for (int i = 0; i < STEPS; i++) {
		next_line(&p, line, sizeof(line));
		if (show)
			print_message("%s\n", line);
		stage_run_line(&t, line, strchr(line, 0));
		if (prng_chance(&p, 1, 15))
			abandon_one(&t, &p);
		check_replay(&t);
		forget_ids(&t, &p);
		buf_reset(&t.out);
	}
	stage_fini(&t);
}

TEST(what_is_recorded_replayed_is_what_is_there)
{
	const char *one = getenv("SEED");

	if (one) {
		run_history(strtoull(one, NULL, 10), true);
		return;
	}
	for (uint64_t seed = 1; seed <= HISTORIES; seed++)
		run_history(seed, false);
}
