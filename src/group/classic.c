/* classic: members of a group of the classic protocol (classic.h): coming, changing, going. */
#include "group/classic.h"

#include "base/alloc.h"

/* --- the body -------------------------------------------------------------------------------------------------------- */

void group_become_classic(struct groups *all, struct group *g, int64_t wall_ms)
{
	struct classic_group *c = mem_new(struct classic_group);

	group_become(all, g, &classic_kind);
	c->group = g;
	c->state_since_ms = wall_ms;
	map_init_seeded(&c->members, all->seed);
	list_init(&c->pending);
	c->join_timer.fire = classic_join_fire;
	c->sync_timer.fire = classic_sync_fire;
	g->classic = c;
}

const char *classic_state_name(enum classic_state state)
{
	static const char *const names[] = {
		[CLASSIC_EMPTY] = "Empty",
		[CLASSIC_PREPARING_REBALANCE] = "PreparingRebalance",
		[CLASSIC_COMPLETING_REBALANCE] = "CompletingRebalance",
		[CLASSIC_STABLE] = "Stable",
	};

	return names[state];
}

static bool may_move(enum classic_state from, enum classic_state to)
{
	switch (to) {
	case CLASSIC_EMPTY:
	case CLASSIC_COMPLETING_REBALANCE:
		return from == CLASSIC_PREPARING_REBALANCE;
	case CLASSIC_PREPARING_REBALANCE:
		return from != CLASSIC_PREPARING_REBALANCE;
	case CLASSIC_STABLE:
		return from == CLASSIC_COMPLETING_REBALANCE;
	}
	return false;
}

void classic_move(struct classic_group *c, enum classic_state to, int64_t wall_ms)
{
	must(may_move(c->state, to));
	c->previous = c->state;
	c->state = to;
	c->state_since_ms = wall_ms;
}

void classic_set_text(struct bytes *own, struct bytes text)
{
	struct bytes copy = bytes_null();

	if (!bytes_is_null(text))
		copy = bytes_of(mem_dup(text.data, text.size), text.size);
	mem_free((void *)own->data);
	*own = copy;
}

/* --- members --------------------------------------------------------------------------------------------------------- */

struct classic_member *classic_find(const struct classic_group *c, struct bytes member_id)
{
	return map_get(&c->members, member_id);
}

struct classic_member *classic_next(const struct classic_group *c, size_t *place)
{
	const struct map_entry *e = map_next(&c->members, place);

	return e ? e->value : NULL;
}

struct classic_member *classic_find_static(const struct classic_group *c, struct bytes instance_id)
{
	size_t place = 0;

	for (struct classic_member *m; (m = classic_next(c, &place));)
		if (!bytes_is_null(m->instance_id) && bytes_equal(m->instance_id, instance_id))
			return m;
	return NULL;
}

static struct bytes put_text(uint8_t **at, struct bytes text)
{
	struct bytes put;

	if (bytes_is_null(text))
		return text;
	if (text.size)
		memcpy(*at, text.data, text.size);
	put = bytes_of(*at, text.size);
	*at += text.size;
	return put;
}

static struct classic_member *new_member(struct group *g, const struct classic_member_texts *t)
{
	/* One byte more, so that an empty text at the end points into the allocation as well. */
	struct classic_member *m = mem_zalloc(sizeof(*m) + t->id.size + t->instance_id.size + t->client_id.size +
					      t->client_host.size + 1);
	uint8_t *at = (uint8_t *)(m + 1);

	m->session.fire = classic_session_fire;
	m->group = g;
	m->id = put_text(&at, t->id);
	m->instance_id = put_text(&at, t->instance_id);
	m->client_id = put_text(&at, t->client_id);
	m->client_host = put_text(&at, t->client_host);
	return m;
}

struct classic_member *classic_add(struct groups *all, struct group *g, const struct classic_member_texts *texts,
				   struct bytes protocol_type)
{
	struct classic_group *c = g->classic;
	struct classic_member *m = new_member(g, texts);

	must(!classic_find(c, m->id));
	if (c->members.count == 0)
		classic_set_text(&c->protocol_type, protocol_type);
	map_put(&c->members, m->id, m);
	all->members++;
	if (!c->leader)
		c->leader = m;
	return m;
}

static void count_protocols(struct classic_group *c, const struct classic_member *m, bool comes)
{
	for (size_t i = 0; i < m->protocol_count; i++) {
		size_t at = 0;

		while (at < c->protocol_count && !bytes_equal(c->protocols[at].name, m->protocols[i].name))
			at++;
		if (at == c->protocol_count) {
			c->protocols = mem_grow(c->protocols, &c->protocol_capacity, c->protocol_count + 1,
						sizeof(*c->protocols));
			c->protocols[at] = (struct protocol_count){.name = bytes_null()};
			classic_set_text(&c->protocols[at].name, m->protocols[i].name);
			c->protocol_count++;
		}
		if (comes) {
			c->protocols[at].members++;
		} else if (--c->protocols[at].members == 0) {
			mem_free((void *)c->protocols[at].name.data);
			c->protocol_count--;
			memmove(c->protocols + at, c->protocols + at + 1,
				(c->protocol_count - at) * sizeof(*c->protocols));
		}
	}
}

static void drop_protocols(struct classic_group *c, struct classic_member *m)
{
	count_protocols(c, m, false);
	mem_free(m->protocols);
	m->protocols = NULL;
	m->protocol_count = 0;
}

static bool names_protocol(const struct classic_protocol *protocols, size_t count, struct bytes name)
{
	for (size_t i = 0; i < count; i++)
		if (bytes_equal(protocols[i].name, name))
			return true;
	return false;
}

void classic_set_protocols(struct classic_group *c, struct classic_member *m, const struct classic_protocol *protocols,
			   size_t count)
{
	struct classic_protocol *copy;
	size_t size = 1, kept = 0;
	uint8_t *at;

	for (size_t i = 0; i < count; i++)
		size += protocols[i].name.size + protocols[i].metadata.size;
	copy = mem_alloc(count * sizeof(*copy) + size);
	at = (uint8_t *)(copy + count);
	for (size_t i = 0; i < count; i++) {
		if (names_protocol(copy, kept, protocols[i].name))
			continue;
		copy[kept].name = put_text(&at, protocols[i].name);
		copy[kept].metadata = put_text(&at, protocols[i].metadata);
		kept++;
	}
	drop_protocols(c, m);
	m->protocols = copy;
	m->protocol_count = kept;
	count_protocols(c, m, true);
}

void classic_set_assignment(struct classic_member *m, struct bytes assignment)
{
	classic_set_text(&m->assignment, assignment.size ? assignment : bytes_null());
}

/* Out of the group, but not freed. */
static void unlink_member(struct groups *all, struct classic_member *m)
{
	struct classic_group *c = m->group->classic;

	must(!m->join && !m->sync);
	group_timer_cancel(all, &m->session);
	map_remove(&c->members, m->id);
	all->members--;
	if (m->owes_sync)
		c->owing_sync--;
}

static void free_member(struct classic_member *m)
{
	mem_free(m->protocols);
	mem_free((void *)m->assignment.data);
	mem_free(m);
}

void classic_remove(struct groups *all, struct classic_member *m)
{
	struct classic_group *c = m->group->classic;
	size_t place = 0;

	unlink_member(all, m);
	drop_protocols(c, m);
	if (c->leader == m)
		c->leader = classic_next(c, &place);
	free_member(m);
}

struct classic_member *classic_replace(struct groups *all, struct classic_member *old, struct bytes member_id)
{
	struct classic_group *c = old->group->classic;
	struct classic_member *m = new_member(old->group, &(struct classic_member_texts){
								  .id = member_id,
								  .instance_id = old->instance_id,
								  .client_id = old->client_id,
								  .client_host = old->client_host,
							  });

	unlink_member(all, old);
	m->protocols = old->protocols;
	m->protocol_count = old->protocol_count;
	m->assignment = old->assignment;
	m->rebalance_timeout_ms = old->rebalance_timeout_ms;
	m->session_timeout_ms = old->session_timeout_ms;
	old->protocols = NULL;
	old->assignment = bytes_null();
	if (c->leader == old)
		c->leader = m;
	free_member(old);
	map_put(&c->members, m->id, m);
	all->members++;
	return m;
}

/* --- pending members ------------------------------------------------------------------------------------------------- */

struct pending_member *classic_find_pending(const struct classic_group *c, struct bytes member_id)
{
	list_for_each(&c->pending, node)
	{
		struct pending_member *p = container_of(node, struct pending_member, node);

		if (bytes_equal(p->id, member_id))
			return p;
	}
	return NULL;
}

size_t classic_pending_bytes(struct bytes group_id, size_t member_id_size)
{
	return sizeof(struct pending_member) + group_id.size + member_id_size;
}

struct pending_member *classic_add_pending(struct groups *all, struct group *g, struct bytes member_id)
{
	struct pending_member *p = mem_zalloc(sizeof(*p) + member_id.size);
	struct classic_group *c = g->classic;

	all->pending_bytes += classic_pending_bytes(g->id, member_id.size);
	memcpy(p + 1, member_id.data, member_id.size);
	p->id = bytes_of(p + 1, member_id.size);
	p->group = g;
	p->session.fire = classic_pending_fire;
	list_push_back(&c->pending, &p->node);
	c->pending_count++;
	return p;
}

void classic_remove_pending(struct groups *all, struct pending_member *p)
{
	group_timer_cancel(all, &p->session);
	list_remove(&p->node);
	all->pending_bytes -= classic_pending_bytes(p->group->id, p->id.size);
	p->group->classic->pending_count--;
	mem_free(p);
}
