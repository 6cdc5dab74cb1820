/* consumer_group: see the header: the state and its counts. May call: containers of base/. */
#include "group/consumer_group.h"

#include <stdlib.h>

#include "base/alloc.h"

/* --- names ----------------------------------------------------------------------------------------------------------------- */

static int order_of(const void *a, const void *b)
{
	return bytes_compare(*(const struct bytes *)a, *(const struct bytes *)b);
}

struct bytes *names_sorted(const struct bytes *names, size_t count, size_t *ret_count)
{
	struct bytes *sorted = mem_alloc((count + 1) * sizeof(*sorted));
	size_t kept = 0;

	if (count) {
		memcpy(sorted, names, count * sizeof(*sorted));
		qsort(sorted, count, sizeof(*sorted), order_of);
	}
	for (size_t i = 0; i < count; i++)
		if (kept == 0 || !bytes_equal(sorted[i], sorted[kept - 1]))
			sorted[kept++] = sorted[i];
	*ret_count = kept;
	return sorted;
}

bool names_equal(const struct bytes *a, size_t a_count, const struct bytes *b, size_t b_count)
{
	if (a_count != b_count)
		return false;
	for (size_t i = 0; i < a_count; i++)
		if (!bytes_equal(a[i], b[i]))
			return false;
	return true;
}

bool names_have(const struct bytes *names, size_t count, struct bytes name)
{
	return count && bsearch(&name, names, count, sizeof(*names), order_of);
}

static struct bytes put_bytes(uint8_t **at, struct bytes from)
{
	struct bytes put = bytes_of(*at, from.size);

	if (from.size)
		memcpy(*at, from.data, from.size);
	*at += from.size;
	return put;
}

struct bytes *names_copy(const struct bytes *names, size_t count)
{
	size_t size = 1;
	struct bytes *copy;
	uint8_t *at;

	for (size_t i = 0; i < count; i++)
		size += names[i].size;
	copy = mem_alloc(count * sizeof(*copy) + size);
	at = (uint8_t *)(copy + count);
	for (size_t i = 0; i < count; i++)
		copy[i] = put_bytes(&at, names[i]);
	return copy;
}

/* --- the topics that somebody wants ------------------------------------------------------------------------------------------ */

/* Where it is, or would be. */
static size_t topic_place(const struct consumer_group *c, struct bytes name)
{
	size_t low = 0, high = c->topic_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (bytes_compare(c->topics[middle].name, name) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static struct wanted_topic *want_topic(struct consumer_group *c, struct bytes name)
{
	size_t at = topic_place(c, name);

	if (at < c->topic_count && bytes_equal(c->topics[at].name, name))
		return &c->topics[at];
	c->topics = mem_grow(c->topics, &c->topic_capacity, c->topic_count + 1, sizeof(*c->topics));
	memmove(c->topics + at + 1, c->topics + at, (c->topic_count - at) * sizeof(*c->topics));
	c->topics[at] = (struct wanted_topic){.name = bytes_of(mem_dup(name.data, name.size), name.size)};
	c->topic_count++;
	return &c->topics[at];
}

/* After a count went down. */
static void drop_unwanted(struct consumer_group *c, struct wanted_topic *t)
{
	size_t at = (size_t)(t - c->topics);

	if (t->by_name || t->by_pattern)
		return;
	mem_free((void *)t->name.data);
	c->topic_count--;
	memmove(t, t + 1, (c->topic_count - at) * sizeof(*t));
}

static void count_names(struct consumer_group *c, const struct bytes *names, size_t count, bool more)
{
	for (size_t i = 0; i < count; i++) {
		struct wanted_topic *t = want_topic(c, names[i]);

		if (more) {
			t->by_name++;
			continue;
		}
		t->by_name--;
		drop_unwanted(c, t);
	}
}

static void count_resolved(struct consumer_group *c, const struct topic_pattern *p, bool more)
{
	for (size_t i = 0; i < p->topic_count; i++) {
		struct wanted_topic *t = want_topic(c, p->topics[i]);

		if (more) {
			t->by_pattern++;
			continue;
		}
		t->by_pattern--;
		drop_unwanted(c, t);
	}
}

/* --- patterns ----------------------------------------------------------------------------------------------------------------- */

static size_t pattern_place(const struct consumer_group *c, struct bytes text)
{
	size_t at = 0;

	while (at < c->pattern_count && bytes_compare(c->patterns[at].text, text) < 0)
		at++;
	return at;
}

struct topic_pattern *consumer_group_find_pattern(const struct consumer_group *c, struct bytes text)
{
	size_t at = pattern_place(c, text);

	return at < c->pattern_count && bytes_equal(c->patterns[at].text, text) ? &c->patterns[at] : NULL;
}

static struct topic_pattern *find_or_add_pattern(struct consumer_group *c, struct bytes text)
{
	size_t at = pattern_place(c, text);

	if (at < c->pattern_count && bytes_equal(c->patterns[at].text, text))
		return &c->patterns[at];
	c->patterns = mem_grow(c->patterns, &c->pattern_capacity, c->pattern_count + 1, sizeof(*c->patterns));
	memmove(c->patterns + at + 1, c->patterns + at, (c->pattern_count - at) * sizeof(*c->patterns));
	c->patterns[at] = (struct topic_pattern){.text = bytes_of(mem_dup(text.data, text.size), text.size)};
	c->pattern_count++;
	return &c->patterns[at];
}

/* Nobody wants it and it is not resolved: it is not there. */
static void drop_pattern(struct consumer_group *c, struct topic_pattern *p)
{
	size_t at = (size_t)(p - c->patterns);

	if (p->members || p->resolved)
		return;
	mem_free((void *)p->text.data);
	c->pattern_count--;
	memmove(p, p + 1, (c->pattern_count - at) * sizeof(*p));
}

static void count_pattern(struct consumer_group *c, struct bytes text, bool more)
{
	struct topic_pattern *p;

	if (text.size == 0)
		return;
	p = find_or_add_pattern(c, text);
	if (more) {
		c->subscribed_patterns += p->members++ == 0;
		return;
	}
	c->subscribed_patterns -= --p->members == 0;
	drop_pattern(c, p);
}

static void forget_resolved(struct consumer_group *c, struct topic_pattern *p)
{
	if (!p->resolved)
		return;
	count_resolved(c, p, false);
	mem_free(p->topics);
	p->topics = NULL;
	p->topic_count = 0;
	p->resolved = false;
	c->resolved_patterns--;
}

void consumer_group_resolve(struct consumer_group *c, struct bytes text, const struct bytes *topics, size_t count,
			    int64_t version, int64_t resolved_ms)
{
	struct topic_pattern *p = find_or_add_pattern(c, text);
	struct bytes *copy = names_copy(topics, count);

	forget_resolved(c, p);
	p->resolved = true;
	p->topics = copy;
	p->topic_count = count;
	p->version = version;
	p->resolved_ms = resolved_ms;
	c->resolved_patterns++;
	count_resolved(c, p, true);
}

void consumer_group_unresolve(struct consumer_group *c, struct bytes text)
{
	struct topic_pattern *p = consumer_group_find_pattern(c, text);

	if (!p)
		return;
	forget_resolved(c, p);
	drop_pattern(c, p);
}

/* --- the body ----------------------------------------------------------------------------------------------------------------- */

void group_become_consumer(struct groups *all, struct group *g)
{
	struct consumer_group *c = mem_new(struct consumer_group);

	group_become(all, g, &consumer_kind);
	c->group = g;
	c->epoch = 1;
	c->seen_version = -1;
	c->settings.image_version = -1;
	map_init_seeded(&c->members, all->seed);
	map_init_seeded(&c->statics, all->seed);
	g->consumer = c;
}

void consumer_group_free(struct groups *all, struct group *g)
{
	struct consumer_group *c = g->consumer;
	size_t place = 0;

	consumer_group_drop_job(all, c);
	for (struct consumer_member *m; (m = consumer_group_next(c, &place));)
		consumer_group_remove(all, m);
	while (c->pattern_count)
		consumer_group_unresolve(c, c->patterns[0].text);
	must(c->topic_count == 0 && c->owners.count == 0);
	owners_fini(&c->owners);
	map_fini(&c->members);
	map_fini(&c->statics);
	mem_free(c->topics);
	mem_free(c->patterns);
	mem_free(c);
	g->consumer = NULL;
}

const char *consumer_group_state_name(const struct consumer_group *c)
{
	if (c->member_count == 0)
		return "Empty";
	if (c->epoch > c->assignment_epoch)
		return "Assigning";
	return c->reconciled == c->member_count ? "Stable" : "Reconciling";
}

/* --- members ------------------------------------------------------------------------------------------------------------------ */

struct consumer_member *consumer_group_find(const struct consumer_group *c, struct bytes member_id)
{
	return map_get(&c->members, member_id);
}

struct consumer_member *consumer_group_find_static(const struct consumer_group *c, struct bytes instance_id)
{
	return bytes_is_null(instance_id) ? NULL : map_get(&c->statics, instance_id);
}

struct consumer_member *consumer_group_next(const struct consumer_group *c, size_t *place)
{
	const struct map_entry *e = map_next(&c->members, place);

	return e ? e->value : NULL;
}

struct consumer_member *consumer_group_find_or_add(struct groups *all, struct group *g, struct bytes member_id)
{
	struct consumer_group *c = g->consumer;
	struct consumer_member *m = consumer_group_find(c, member_id);

	if (m)
		return m;
	m = mem_zalloc(sizeof(*m) + member_id.size + 1);
	m->group = g;
	m->id = bytes_of(m + 1, member_id.size);
	if (member_id.size)
		memcpy(m + 1, member_id.data, member_id.size);
	m->previous_epoch = -1;
	m->said.rebalance_timeout_ms = -1;
	m->session.fire = consumer_session_fire;
	m->progress.fire = consumer_progress_fire;
	m->sync.fire = consumer_sync_fire;
	map_put(&c->members, m->id, m);
	all->members++;
	return m;
}

/* It counts from the first record of what it is or where it is; before that, only its share was replayed. */
static void count_member(struct consumer_group *c, struct consumer_member *m)
{
	if (m->counts)
		return;
	m->counts = true;
	c->member_count++;
	c->reconciled += member_is_reconciled(c, m);
}

static void count_said(struct consumer_group *c, const struct member_metadata *said, bool more)
{
	count_names(c, said->topics, said->topic_count, more);
	count_pattern(c, said->pattern, more);
	if (said->classic && more)
		c->classic_count++;
	else if (said->classic)
		c->classic_count--;
}

static struct classic_part *copy_classic(const struct classic_part *from)
{
	size_t size = sizeof(*from) + from->protocol_count * sizeof(*from->protocols) + 1;
	struct classic_part *copy;
	uint8_t *at;

	for (size_t i = 0; i < from->protocol_count; i++)
		size += from->protocols[i].name.size + from->protocols[i].metadata.size;
	copy = mem_alloc(size);
	copy->session_timeout_ms = from->session_timeout_ms;
	copy->protocol_count = from->protocol_count;
	at = (uint8_t *)(copy->protocols + copy->protocol_count);
	for (size_t i = 0; i < from->protocol_count; i++) {
		copy->protocols[i].name = put_bytes(&at, from->protocols[i].name);
		copy->protocols[i].metadata = put_bytes(&at, from->protocols[i].metadata);
	}
	return copy;
}

static struct bytes copy_text_of(struct bytes text)
{
	return bytes_is_null(text) ? text : bytes_of(mem_dup(text.data, text.size), text.size);
}

static void free_said(struct member_metadata *said)
{
	mem_free((void *)said->instance_id.data);
	mem_free((void *)said->rack_id.data);
	mem_free((void *)said->client_id.data);
	mem_free((void *)said->client_host.data);
	mem_free((void *)said->pattern.data);
	mem_free((void *)said->server_assignor.data);
	mem_free((void *)said->topics);
	mem_free((void *)said->classic);
}

static void leave_instance(struct consumer_group *c, struct consumer_member *m)
{
	if (consumer_group_find_static(c, m->said.instance_id) == m)
		map_remove(&c->statics, m->said.instance_id);
}

void consumer_member_say(struct groups *all, struct consumer_member *m, const struct member_metadata *said)
{
	struct consumer_group *c = m->group->consumer;
	struct member_metadata copy = {
		.instance_id = copy_text_of(said->instance_id),
		.rack_id = copy_text_of(said->rack_id),
		.client_id = copy_text_of(said->client_id),
		.client_host = copy_text_of(said->client_host),
		.pattern = copy_text_of(said->pattern),
		.server_assignor = copy_text_of(said->server_assignor),
		.topics = names_copy(said->topics, said->topic_count),
		.topic_count = said->topic_count,
		.rebalance_timeout_ms = said->rebalance_timeout_ms,
		.classic = said->classic ? copy_classic(said->classic) : NULL,
	};

	(void)all;
	/* What is wanted before and after stays there meanwhile. */
	count_said(c, &copy, true);
	if (m->recorded)
		count_said(c, &m->said, false);
	leave_instance(c, m);
	free_said(&m->said);
	m->said = copy;
	m->recorded = true;
	if (!bytes_is_null(copy.instance_id))
		map_put(&c->statics, copy.instance_id, m);
	count_member(c, m);
}

static void own_all(struct consumer_group *c, const struct assigned *a, int32_t epoch)
{
	for (size_t i = 0; i < a->count; i++)
		owners_set(&c->owners, a->items[i].topic, a->items[i].partition, epoch);
}

static void disown_all(struct consumer_group *c, const struct assigned *a, int32_t epoch)
{
	for (size_t i = 0; i < a->count; i++)
		owners_remove(&c->owners, a->items[i].topic, a->items[i].partition, epoch);
}

void consumer_member_move_take(struct groups *all, struct consumer_member *m, struct member_position *to)
{
	struct consumer_group *c = m->group->consumer;

	(void)all;
	count_member(c, m);
	c->reconciled -= member_is_reconciled(c, m);
	disown_all(c, &m->assigned, m->epoch);
	disown_all(c, &m->revoking, m->epoch);
	m->epoch = to->epoch;
	m->previous_epoch = to->previous_epoch;
	m->state = to->state;
	assigned_move(&m->assigned, &to->assigned);
	assigned_move(&m->revoking, &to->revoking);
	own_all(c, &m->assigned, m->epoch);
	own_all(c, &m->revoking, m->epoch);
	c->reconciled += member_is_reconciled(c, m);
}

void consumer_member_had(const struct consumer_member *m, struct assigned *ret_had)
{
	assigned_copy(ret_had, &m->assigned);
	for (size_t i = 0; i < m->revoking.count; i++)
		assigned_push(ret_had, m->revoking.items[i].topic, m->revoking.items[i].partition,
			      m->revoking.items[i].epoch);
	assigned_sort(ret_had);
}

void consumer_member_set_target_take(struct consumer_member *m, struct assigned *target)
{
	assigned_move(&m->target, target);
	m->has_target = true;
}

void consumer_member_drop_target(struct consumer_member *m)
{
	assigned_fini(&m->target);
	m->has_target = false;
}

void consumer_group_remove(struct groups *all, struct consumer_member *m)
{
	struct consumer_group *c = m->group->consumer;

	if (m->counts) {
		c->member_count--;
		c->reconciled -= member_is_reconciled(c, m);
	}
	if (m->recorded)
		count_said(c, &m->said, false);
	leave_instance(c, m);
	disown_all(c, &m->assigned, m->epoch);
	disown_all(c, &m->revoking, m->epoch);
	group_timer_cancel(all, &m->session);
	group_timer_cancel(all, &m->progress);
	group_timer_cancel(all, &m->sync);
	map_remove(&c->members, m->id);
	all->members--;
	free_said(&m->said);
	assigned_fini(&m->assigned);
	assigned_fini(&m->revoking);
	assigned_fini(&m->target);
	mem_free(m);
}

struct consumer_member *consumer_member_rename(struct groups *all, struct consumer_member *old, struct bytes member_id)
{
	struct consumer_group *c = old->group->consumer;
	struct consumer_member *m = mem_zalloc(sizeof(*m) + member_id.size + 1);
	struct consumer_member *other = consumer_group_find(c, member_id);

	/* Clients choose their ids: another member may have this one. As in Kafka, that member is no more. */
	if (other && other != old)
		consumer_group_remove(all, other);
	*m = *old;
	m->id = bytes_of(m + 1, member_id.size);
	if (member_id.size)
		memcpy(m + 1, member_id.data, member_id.size);
	m->session.node = m->progress.node = m->sync.node = (struct heap_node){0};
	group_timer_cancel(all, &old->session);
	group_timer_cancel(all, &old->progress);
	group_timer_cancel(all, &old->sync);
	map_remove(&c->members, old->id);
	map_put(&c->members, m->id, m);
	if (!bytes_is_null(m->said.instance_id))
		map_put(&c->statics, m->said.instance_id, m);
	mem_free(old);
	return m;
}

void consumer_group_set_assignment_epoch(struct consumer_group *c, int32_t epoch, int64_t assignment_ms)
{
	size_t place = 0;

	c->assignment_epoch = epoch;
	c->assignment_ms = assignment_ms;
	c->reconciled = 0;
	for (const struct consumer_member *m; (m = consumer_group_next(c, &place));)
		c->reconciled += m->counts && member_is_reconciled(c, m);
}

bool consumer_member_wants(const struct consumer_group *c, const struct member_metadata *said, struct bytes topic)
{
	const struct topic_pattern *p;

	if (names_have(said->topics, said->topic_count, topic))
		return true;
	/* One that is not resolved yet matches nothing. */
	p = member_has_pattern(said) ? consumer_group_find_pattern(c, said->pattern) : NULL;
	return p && names_have(p->topics, p->topic_count, topic);
}

static bool supports(const struct classic_part *p, struct bytes protocol)
{
	for (size_t i = 0; i < p->protocol_count; i++)
		if (bytes_equal(p->protocols[i].name, protocol))
			return true;
	return false;
}

size_t consumer_group_supporters(const struct consumer_group *c, struct bytes protocol)
{
	size_t count = 0, place = 0;

	for (const struct consumer_member *m; (m = consumer_group_next(c, &place));)
		count += member_is_classic(m) && supports(m->said.classic, protocol);
	return count;
}
