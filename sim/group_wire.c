/* group_wire: see the header. */
#include "sim/group_wire.h"

#define ANSWER_US (20 * SECOND_US)
#define ARENA_BYTES (1 << 20)

bool coordinator_is_away(enum err e)
{
	return e == ERR_COORDINATOR_LOAD_IN_PROGRESS || e == ERR_COORDINATOR_NOT_AVAILABLE ||
	       e == ERR_NOT_COORDINATOR || e == ERR_REQUEST_TIMED_OUT;
}

enum err group_ask_await(struct fiber *self, struct group_wire *g, struct group_exchange *x, int16_t key,
			 int16_t version, const void *request, void *response)
{
	enum err e;

	arena_init(&x->arena, ARENA_BYTES);
	x->sent_us = world_scheduler(g->world)->now_us;
	e = wire_ask_await(self, &g->wire, key, version, request, ANSWER_US, &x->call, &x->arena, response);
	if (e == ERR_TIMED_OUT && world_was_well(g->world, x->sent_us))
		world_fail(g->world, "a request %d of group %s had no answer in %lld s of health", key, g->group->name,
			   ANSWER_US / SECOND_US);
	return e;
}

void group_exchange_fini(struct group_exchange *x)
{
	arena_fini(&x->arena);
	wire_call_fini(&x->call);
}

void group_wrong_error(struct group_wire *g, const char *what, int16_t code)
{
	world_fail(g->world, "%s of group %s: %s", what, g->group->name, err_name((enum err)code));
}

bool group_find_coordinator_await(struct fiber *self, struct group_wire *g)
{
	struct find_coordinator_request request;
	struct find_coordinator_response response;
	struct bytes key = bytes_str(g->group->name);
	struct group_exchange x;
	enum err e;

	message_init(&find_coordinator_request_type, &request);
	request.coordinator_keys = &key;
	request.coordinator_keys_count = 1;
	e = group_ask_await(self, g, &x, API_FIND_COORDINATOR, 4, &request, &response);
	if (!e &&
	    (response.coordinators_count != 1 || (response.coordinators[0].error_code &&
						  !coordinator_is_away((enum err)response.coordinators[0].error_code))))
		group_wrong_error(g, "the coordinator", response.coordinators[0].error_code);
	group_exchange_fini(&x);
	return !e;
}

/* --- OffsetFetch ----------------------------------------------------------------------------------------------------- */

static enum fetched_offsets take_offsets(struct group_wire *g,
					 const struct offset_fetch_response_offset_fetch_response_group *r,
					 int64_t sent_us, int64_t ret_values[static WORLD_PARTITIONS])
{
	if (r->error_code && !coordinator_is_away((enum err)r->error_code))
		group_wrong_error(g, "a fetch of offsets", r->error_code);
	if (r->error_code)
		return OFFSETS_AWAY;
	for (int32_t p = 0; p < r->topics[0].partitions_count; p++) {
		const struct offset_fetch_response_offset_fetch_response_partitions *f = &r->topics[0].partitions[p];

		if (f->error_code)
			group_wrong_error(g, "a fetched offset", f->error_code);
		world_group_fetched(g->group, f->partition_index, f->committed_offset, sent_us);
		ret_values[f->partition_index] = f->committed_offset;
	}
	return OFFSETS_FETCHED;
}

enum fetched_offsets group_fetch_offsets_await(struct fiber *self, struct group_wire *g,
					       int64_t ret_values[static WORLD_PARTITIONS])
{
	struct offset_fetch_request_offset_fetch_request_topics topic;
	struct offset_fetch_request_offset_fetch_request_group group;
	int32_t indexes[WORLD_PARTITIONS], count = g->world->topics[g->group->topic].partition_count;
	enum fetched_offsets fetched = OFFSETS_LOST;
	struct offset_fetch_request request;
	struct offset_fetch_response response;
	struct group_exchange x;

	struct_init(&offset_fetch_request_offset_fetch_request_topics_struct, &topic);
	struct_init(&offset_fetch_request_offset_fetch_request_group_struct, &group);
	message_init(&offset_fetch_request_type, &request);
	for (int32_t p = 0; p < count; p++)
		indexes[p] = p;
	topic.name = bytes_str(g->world->topics[g->group->topic].name);
	topic.partition_indexes = indexes;
	topic.partition_indexes_count = count;
	group.group_id = bytes_str(g->group->name);
	group.topics = &topic;
	group.topics_count = 1;
	request.groups = &group;
	request.groups_count = 1;
	request.require_stable = true;
	if (!group_ask_await(self, g, &x, API_OFFSET_FETCH, 8, &request, &response)) {
		must(response.groups_count == 1);
		fetched = take_offsets(g, &response.groups[0], x.sent_us, ret_values);
	}
	group_exchange_fini(&x);
	return fetched;
}

/* --- OffsetCommit ---------------------------------------------------------------------------------------------------- */

enum commit_outcome group_outcome_of(struct group_wire *g, int16_t code)
{
	switch ((enum err)code) {
	case OK:
		return COMMIT_TAKEN;
	case ERR_ILLEGAL_GENERATION:
	case ERR_UNKNOWN_MEMBER_ID:
	case ERR_FENCED_INSTANCE_ID:
	case ERR_FENCED_MEMBER_EPOCH:
	case ERR_STALE_MEMBER_EPOCH:
	case ERR_REBALANCE_IN_PROGRESS:
	case ERR_GROUP_ID_NOT_FOUND:
	case ERR_COORDINATOR_LOAD_IN_PROGRESS:
	case ERR_UNKNOWN_TOPIC_OR_PARTITION:
		return COMMIT_REFUSED;
	default:
		if (!coordinator_is_away((enum err)code))
			group_wrong_error(g, "a commit", code);
		return COMMIT_OPEN;
	}
}

struct commit_question {
	struct offset_commit_request request;
	struct offset_commit_request_offset_commit_request_topic topic;
	struct offset_commit_request_offset_commit_request_partition partitions[WORLD_PARTITIONS];
	size_t numbers[WORLD_PARTITIONS]; /* of the ledger, by partition */
};

static void make_commit(struct group_wire *g, struct commit_question *q, const struct group_commit_as *as,
			uint32_t mask, const int64_t values[static WORLD_PARTITIONS])
{
	message_init(&offset_commit_request_type, &q->request);
	struct_init(&offset_commit_request_offset_commit_request_topic_struct, &q->topic);
	q->request.group_id = bytes_str(g->group->name);
	q->request.generation_id_or_member_epoch = as->generation;
	q->request.member_id = bytes_str(as->id);
	if (as->instance)
		q->request.group_instance_id = bytes_str(as->instance);
	q->request.topics = &q->topic;
	q->request.topics_count = 1;
	q->topic.name = bytes_str(g->world->topics[g->group->topic].name);
	q->topic.partitions = q->partitions;
	for (int32_t p = 0; p < WORLD_PARTITIONS; p++) {
		struct offset_commit_request_offset_commit_request_partition *to =
			&q->partitions[q->topic.partitions_count];

		if (!(mask & 1U << p))
			continue;
		struct_init(&offset_commit_request_offset_commit_request_partition_struct, to);
		to->partition_index = p;
		to->committed_offset = values[p];
		to->committed_metadata = bytes_empty();
		q->topic.partitions_count++;
		q->numbers[p] = world_group_commit(g->group, p, as->generation, values[p]);
	}
}

bool group_commit_offsets_await(struct fiber *self, struct group_wire *g, const struct group_commit_as *as,
				uint32_t mask, const int64_t values[static WORLD_PARTITIONS],
				int16_t ret_codes[static WORLD_PARTITIONS])
{
	struct commit_question q;
	struct offset_commit_response response;
	struct group_exchange x;
	enum err e;

	make_commit(g, &q, as, mask, values);
	e = group_ask_await(self, g, &x, API_OFFSET_COMMIT, as->version, &q.request, &response);
	if (!e) {
		must(response.topics_count == 1);
		for (int32_t i = 0; i < response.topics[0].partitions_count; i++) {
			const struct offset_commit_response_offset_commit_response_partition *r =
				&response.topics[0].partitions[i];

			ret_codes[r->partition_index] = r->error_code;
			world_group_committed(g->group, r->partition_index, q.numbers[r->partition_index],
					      group_outcome_of(g, r->error_code));
		}
	}
	group_exchange_fini(&x);
	return !e;
}
