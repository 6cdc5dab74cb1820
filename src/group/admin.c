/* admin: ListGroups, DescribeGroups, and what an operator asks: explain, figures. Reads only. */
#include <strings.h>

#include "group/classic.h"
#include "group/consumer_group.h"
#include "group/request.h"

/* --- ListGroups ------------------------------------------------------------------------------------------------------ */

static bool same_word(struct bytes given, const char *word)
{
	return given.size == strlen(word) && strncasecmp((const char *)given.data, word, given.size) == 0;
}

/* As Java's trim: whatever is not above a space goes. */
static struct bytes trimmed(struct bytes text)
{
	while (text.size && text.data[0] <= ' ')
		text = bytes_of(text.data + 1, text.size - 1);
	while (text.size && text.data[text.size - 1] <= ' ')
		text.size--;
	return text;
}

static bool is_asked_for(const struct list_groups_request *r, const struct group *g)
{
	bool state = r->states_filter_count == 0, type = r->types_filter_count == 0;

	for (int32_t i = 0; i < r->states_filter_count && !state; i++)
		state = same_word(trimmed(r->states_filter[i]), g->kind->state_name(g));
	for (int32_t i = 0; i < r->types_filter_count && !type; i++)
		type = same_word(r->types_filter[i], g->kind->type);
	return state && type;
}

static bool list_one(struct list_groups_call *c, const struct group *g, struct list_groups_response_listed_group *to)
{
	to->group_state = bytes_str(g->kind->state_name(g));
	to->group_type = bytes_str(g->kind->type);
	return copy_text(c->arena, g->id, &to->group_id) &&
	       copy_text(c->arena, g->kind->protocol_type(g), &to->protocol_type);
}

static bool list_all(const struct groups *all, struct list_groups_call *c)
{
	size_t place = 0;

	for (const struct map_entry *e; (e = map_next(&all->by_id, &place));)
		c->response.groups_count += is_asked_for(c->request, e->value);
	c->response.groups = struct_array_new(&list_groups_response_listed_group_struct,
					      (size_t)c->response.groups_count, c->arena);
	if (!c->response.groups)
		return false;
	place = 0;
	c->response.groups_count = 0;
	for (const struct map_entry *e; (e = map_next(&all->by_id, &place));)
		if (is_asked_for(c->request, e->value) &&
		    !list_one(c, e->value, &c->response.groups[c->response.groups_count++]))
			return false;
	return true;
}

void group_list(struct groups *all, struct step *s, struct list_groups_call *c)
{
	message_init(&list_groups_response_type, &c->response);
	if (list_all(all, c))
		step_answer(s, &c->call);
	else
		answer_without_room(s, &c->call);
}

/* --- DescribeGroups -------------------------------------------------------------------------------------------------- */

static void begin_description(struct describe_group_call *c)
{
	struct_init(&describe_groups_response_described_group_struct, &c->response);
	c->response.group_id = c->group_id;
}

void group_describe_refuse(struct describe_group_call *c, enum err why)
{
	begin_description(c);
	c->response.error_code = err_to_kafka(why);
}

/* Up to version 5 it is no error. */
static bool describe_none(struct describe_group_call *c, const struct group *g)
{
	static const char none[] = " not found.", other[] = " is not a classic group.";
	const char *end = g ? other : none;
	size_t end_size = g ? sizeof(other) - 1 : sizeof(none) - 1;
	uint8_t *text;

	begin_description(c);
	c->response.group_state = bytes_str("Dead");
	if (c->version < 6)
		return true;
	c->response.error_code = ERR_GROUP_ID_NOT_FOUND;
	/* A longer one would be no text of the protocol, and none of the request's groups would be answered. */
	if (6 + c->group_id.size + end_size > INT16_MAX)
		return true;
	text = arena_alloc(c->arena, 6 + c->group_id.size + end_size);
	if (!text)
		return false;
	memcpy(text, "Group ", 6);
	if (c->group_id.size)
		memcpy(text + 6, c->group_id.data, c->group_id.size);
	memcpy(text + 6 + c->group_id.size, end, end_size);
	c->response.error_message = bytes_of(text, 6 + c->group_id.size + end_size);
	return true;
}

/* What members support and were assigned is told of a stable group; before that there is no protocol. */
static bool describe_member(struct describe_group_call *c, const struct classic_group *g,
			    const struct classic_member *m, struct describe_groups_response_described_group_member *to)
{
	struct bytes metadata = bytes_null();

	if (g->state == CLASSIC_STABLE)
		metadata = classic_metadata(m, g->protocol_name);
	return copy_text(c->arena, m->id, &to->member_id) &&
	       copy_text(c->arena, m->instance_id, &to->group_instance_id) &&
	       copy_text(c->arena, m->client_id.data ? m->client_id : bytes_empty(), &to->client_id) &&
	       copy_text(c->arena, m->client_host.data ? m->client_host : bytes_empty(), &to->client_host) &&
	       copy_text(c->arena, metadata.data ? metadata : bytes_empty(), &to->member_metadata) &&
	       copy_text(c->arena, m->assignment.data ? m->assignment : bytes_empty(), &to->member_assignment);
}

static bool describe_classic(struct describe_group_call *c, const struct group *group)
{
	const struct classic_group *g = group->classic;
	struct describe_groups_response_described_group *r = &c->response;
	size_t place = 0;

	begin_description(c);
	r->group_state = bytes_str(classic_state_name(g->state));
	if (!copy_text(c->arena, group->kind->protocol_type(group), &r->protocol_type))
		return false;
	if (g->state == CLASSIC_STABLE && !copy_text(c->arena, g->protocol_name, &r->protocol_data))
		return false;
	r->members = struct_array_new(&describe_groups_response_described_group_member_struct, g->members.count,
				      c->arena);
	if (!r->members)
		return false;
	for (const struct classic_member *m; (m = classic_next(g, &place));)
		if (!describe_member(c, g, m, &r->members[r->members_count++]))
			return false;
	return true;
}

void group_describe(struct groups *all, struct step *s, struct describe_group_call *c)
{
	const struct group *g = groups_find(all, c->group_id);

	if (g && g->kind->classic ? describe_classic(c, g) : describe_none(c, g))
		step_answer(s, &c->call);
	else
		answer_without_room(s, &c->call);
}

/* --- for operators --------------------------------------------------------------------------------------------------- */

static bool explain(const struct group *g, const struct step *s, struct explain_group_call *c)
{
	c->type = g->kind->type;
	c->state = g->kind->state_name(g);
	c->offset_count = g->offsets.count;
	list_for_each(&g->pending, node)
		c->pending_offset_count += container_of(node, struct pending_offsets, in_group)->offsets.count;
	return copy_text(c->arena, g->kind->protocol_type(g), &c->protocol_type) && g->kind->explain(g, s, c) &&
	       history_read(&g->history, c->arena, &c->rebalances, &c->rebalance_count);
}

void group_explain(struct groups *all, struct step *s, struct explain_group_call *c)
{
	const struct group *g = groups_find(all, c->group_id);

	c->found = g != NULL;
	c->state_since_ms = -1;
	c->member_count = c->pending_member_count = c->rebalance_count = 0;
	c->offset_count = c->pending_offset_count = 0;
	if (!g || explain(g, s, c))
		step_answer(s, &c->call);
	else
		answer_without_room(s, &c->call);
}

void group_figures(const struct groups *all, struct group_figures *ret_figures)
{
	struct group_figures f = all->figures;
	size_t place = 0;

	f.members = all->members;
	for (const struct map_entry *e; (e = map_next(&all->by_id, &place));) {
		const struct group *g = e->value;

		f.groups_in_state[g->kind->classic ? (size_t)g->classic->state : GROUP_FIGURES_OTHER]++;
		f.offsets += g->offsets.count;
		list_for_each(&g->pending, node)
			f.pending_offsets += container_of(node, struct pending_offsets, in_group)->offsets.count;
	}
	*ret_figures = f;
}

bool group_walk_next(const struct groups *all, struct group_walk *w)
{
	const struct map_entry *e = map_next(&all->by_id, &w->place);
	const struct group *g = e ? e->value : NULL;

	if (!g)
		return false;
	w->group = g;
	w->id = g->id;
	w->members = g->kind->classic ? g->classic->members.count : g->consumer->members.count;
	w->topic_place = w->offset_place = 0;
	return true;
}

bool group_walk_offset(struct group_walk *w)
{
	const struct offsets *o = &w->group->offsets;
	const struct topic_offsets *t;

	while (w->topic_place < o->topic_count && w->offset_place == o->topics[w->topic_place]->count) {
		w->topic_place++;
		w->offset_place = 0;
	}
	if (w->topic_place == o->topic_count)
		return false;
	t = o->topics[w->topic_place];
	w->topic = t->topic->name;
	w->partition = t->offsets[w->offset_place].partition;
	w->offset = t->offsets[w->offset_place++].offset;
	return true;
}
