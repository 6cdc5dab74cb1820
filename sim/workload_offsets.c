/*
 * workload_offsets: a committer: it alone commits the offsets of a group of its own, without being a member, and reads them again. Code of a
 * client's node.
 *
 * What it holds the broker to is in offset_ledger.h; and that all of it works while all is well.
 */
#include <stdio.h>

#include "base/alloc.h"
#include "sim/wire_client.h"
#include "sim/world.h"

#define ANSWER_US (20 * SECOND_US)

struct committer {
	struct world *world;
	struct world_client *client;
	struct wire_client wire;
	char group[24];
	int64_t done_us; /* when it last had what it asked for */
};

static struct scheduler *sched(struct committer *c)
{
	return world_scheduler(c->world);
}

/* It waits for a coordinator, or for what it holds. */
static bool is_later(enum err e)
{
	return e == ERR_COORDINATOR_LOAD_IN_PROGRESS || e == ERR_COORDINATOR_NOT_AVAILABLE ||
	       e == ERR_NOT_COORDINATOR || e == ERR_UNKNOWN_TOPIC_OR_PARTITION;
}

/* OK, an error that means later, or the connection's end. Anything else is wrong. */
static enum err judged(struct committer *c, const char *what, enum err e)
{
	if (e == ERR_COORDINATOR_LOAD_IN_PROGRESS)
		sim_hit(c->world->sim, HIT_COORDINATOR_LOADS);
	if (e && !is_later(e) && !c->wire.error && e != ERR_TIMED_OUT && e != ERR_CANCELLED && e != ERR_CLOSED)
		world_fail(c->world, "%s of group %s: %s", what, c->group, err_name(e));
	return e;
}

static enum err find_await(struct fiber *self, struct committer *c)
{
	struct bytes key = bytes_str(c->group);
	struct find_coordinator_request request;
	struct find_coordinator_response response;
	struct wire_call call;
	struct arena arena;
	enum err e;

	message_init(api_find(API_FIND_COORDINATOR)->request, &request);
	request.coordinator_keys = &key;
	request.coordinator_keys_count = 1;
	arena_init(&arena, 1 << 18);
	e = wire_ask_await(self, &c->wire, API_FIND_COORDINATOR, 4, &request, ANSWER_US, &call, &arena, &response);
	if (!e)
		e = response.coordinators_count == 1 ? (enum err)response.coordinators[0].error_code : ERR_MALFORMED;
	arena_fini(&arena);
	wire_call_fini(&call);
	return judged(c, "FindCoordinator", e);
}

/* --- commits ------------------------------------------------------------------------------------------------------------------------ */

static enum offset_outcome outcome_of(enum err e)
{
	if (!e)
		return OFFSET_DONE;
	/* It was never looked at. Of other errors nobody knows: what was appended may be cut, or not. */
	return e == ERR_COORDINATOR_LOAD_IN_PROGRESS || e == ERR_UNKNOWN_TOPIC_OR_PARTITION ? OFFSET_NOT_DONE
											    : OFFSET_OPEN;
}

static enum err take_commit(struct committer *c, const struct offset_commit_response *r, const int64_t *values)
{
	enum err worst = OK;

	for (int32_t t = 0; t < r->topics_count; t++)
		for (int32_t i = 0; i < r->topics[t].partitions_count; i++) {
			int32_t partition = r->topics[t].partitions[i].partition_index;
			enum err e = (enum err)r->topics[t].partitions[i].error_code;

			if (partition < 0 || partition >= WORLD_PARTITIONS || values[partition] < 0)
				return ERR_MALFORMED;
			offset_ledger_answered(&c->client->offsets[partition], values[partition], outcome_of(e));
			worst = worst ? worst : e;
		}
	return worst;
}

/* A new value for some partitions of the first topic. */
static enum err commit_await(struct fiber *self, struct committer *c, bool all)
{
	struct offset_commit_request_offset_commit_request_partition parts[WORLD_PARTITIONS];
	struct offset_commit_request_offset_commit_request_topic topic;
	struct offset_commit_request request;
	struct offset_commit_response response;
	int64_t values[WORLD_PARTITIONS];
	struct wire_call call;
	struct arena arena;
	int32_t count = 0;
	enum err e;

	struct_init(&offset_commit_request_offset_commit_request_topic_struct, &topic);
	message_init(api_find(API_OFFSET_COMMIT)->request, &request);
	for (int32_t i = 0; i < WORLD_PARTITIONS; i++) {
		values[i] = -1;
		if (i >= c->world->topics[0].partition_count || (!all && chance(sched(c), 1, 3)))
			continue;
		values[i] = offset_ledger_send(&c->client->offsets[i]);
		struct_init(&offset_commit_request_offset_commit_request_partition_struct, &parts[count]);
		parts[count].partition_index = i;
		parts[count].committed_offset = values[i];
		parts[count++].committed_metadata = bytes_empty();
	}
	if (count == 0)
		return OK;
	topic.name = bytes_str(c->world->topics[0].name);
	topic.partitions = parts;
	topic.partitions_count = count;
	request.group_id = bytes_str(c->group);
	request.topics = &topic;
	request.topics_count = 1;
	arena_init(&arena, 1 << 18);
	e = wire_ask_await(self, &c->wire, API_OFFSET_COMMIT, 8, &request, ANSWER_US, &call, &arena, &response);
	if (!e)
		e = take_commit(c, &response, values);
	world_note(c->client, "commit", "error %lld, %lld partitions", e, count, 0);
	arena_fini(&arena);
	wire_call_fini(&call);
	return judged(c, "OffsetCommit", e);
}

/* --- fetches ------------------------------------------------------------------------------------------------------------------------ */

/* `of` is whose group it is. */
static enum err take_fetch(struct committer *c, struct world_client *of, const struct offset_fetch_response *r)
{
	if (r->groups_count != 1 || r->groups[0].error_code)
		return r->groups_count == 1 ? (enum err)r->groups[0].error_code : ERR_MALFORMED;
	if (r->groups[0].topics_count != 1)
		return ERR_MALFORMED;
	for (int32_t i = 0; i < r->groups[0].topics[0].partitions_count; i++) {
		const struct offset_fetch_response_offset_fetch_response_partitions *p =
			&r->groups[0].topics[0].partitions[i];
		const char *wrong;

		if (p->error_code || p->partition_index < 0 || p->partition_index >= WORLD_PARTITIONS)
			return ERR_MALFORMED;
		wrong = offset_ledger_told(&of->offsets[p->partition_index], p->committed_offset);
		if (wrong)
			world_fail(c->world,
				   "%s: %lld of group %s, partition %d, after %lld was acknowledged and %lld sent",
				   wrong, (long long)p->committed_offset, c->group, p->partition_index,
				   (long long)of->offsets[p->partition_index].acked,
				   (long long)of->offsets[p->partition_index].sent);
	}
	return OK;
}

static enum err fetch_await(struct fiber *self, struct committer *c, struct world_client *of)
{
	int32_t indexes[WORLD_PARTITIONS];
	struct offset_fetch_request_offset_fetch_request_topics topic;
	struct offset_fetch_request_offset_fetch_request_group group;
	struct offset_fetch_request request;
	struct offset_fetch_response response;
	struct wire_call call;
	struct arena arena;
	enum err e;

	struct_init(&offset_fetch_request_offset_fetch_request_topics_struct, &topic);
	struct_init(&offset_fetch_request_offset_fetch_request_group_struct, &group);
	message_init(api_find(API_OFFSET_FETCH)->request, &request);
	for (int32_t i = 0; i < c->world->topics[0].partition_count; i++)
		indexes[i] = i;
	topic.name = bytes_str(c->world->topics[0].name);
	topic.partition_indexes = indexes;
	topic.partition_indexes_count = c->world->topics[0].partition_count;
	group.group_id = bytes_str(c->group);
	group.topics = &topic;
	group.topics_count = 1;
	request.groups = &group;
	request.groups_count = 1;
	arena_init(&arena, 1 << 18);
	e = wire_ask_await(self, &c->wire, API_OFFSET_FETCH, 8, &request, ANSWER_US, &call, &arena, &response);
	if (!e)
		e = take_fetch(c, of, &response);
	arena_fini(&arena);
	wire_call_fini(&call);
	return judged(c, "OffsetFetch", e);
}

/* --- the role ----------------------------------------------------------------------------------------------------------------------- */

static void name_group(struct committer *c, const struct world_client *of)
{
	snprintf(c->group, sizeof(c->group), "committer-%u", of->number);
}

/* False: the connection is of no use any more. */
static bool work_await(struct fiber *self, struct committer *c)
{
	enum err e = find_await(self, c);

	while (!c->wire.error && c->world->phase == CLIENT_WORKS && !c->world->sim->failed && !fiber_cancelled(self)) {
		if (!e && c->world->topics[0].created)
			e = chance(sched(c), 2, 3) ? commit_await(self, c, false) : fetch_await(self, c, c->client);
		if (!e)
			c->done_us = sched(c)->now_us;
		else if (!is_later(e))
			return false;
		if (sched(c)->now_us - c->done_us > PATIENCE_US && world_was_well(c->world, c->done_us))
			world_fail(c->world, "group %s has no coordinator: %s", c->group, err_name(e));
		if (fiber_sleep_await(self, choose_skewed(sched(c), 1000, 300000)))
			return false;
		if (is_later(e))
			e = find_await(self, c);
	}
	return !c->wire.error;
}

void committer_role_fiber(struct fiber *self, void *argument)
{
	struct world_client *client = argument;
	struct committer *c = mem_new(struct committer);
	struct shard *shard = fiber_shard(self);

	c->world = client->world;
	c->client = client;
	c->done_us = sched(c)->now_us;
	name_group(c, client);
	while (c->world->phase == CLIENT_WORKS && !c->world->sim->failed && !fiber_cancelled(self)) {
		if (!wire_open_await(self, c->world->sim, &c->world->address, shard_now_us(shard) + 5 * SECOND_US,
				     &c->wire)) {
			(void)work_await(self, c);
			wire_close(&c->wire);
		}
		if (fiber_sleep_await(self, choose_skewed(sched(c), 1000, 300000)))
			break;
	}
	mem_free(c);
	client_role_over(client, self);
}

/* On a healthy broker: as long as it may take, every committer's offsets are there. */
void verify_offsets_await(struct fiber *self, struct world_client *client)
{
	struct committer *c = mem_new(struct committer);
	struct shard *shard = fiber_shard(self);
	int64_t until_us = shard_now_us(shard) + PATIENCE_US;
	enum err e;

	c->world = client->world;
	c->client = client;
	e = wire_open_await(self, c->world->sim, &c->world->address, shard_now_us(shard) + 5 * SECOND_US, &c->wire);
	if (e) {
		world_fail(c->world, "a healthy broker cannot be reached: %s", err_name(e));
		mem_free(c);
		return;
	}
	for (unsigned i = 0; i < c->world->client_count && c->world->topics[0].created && !c->world->sim->failed; i++) {
		struct world_client *of = &c->world->clients[i];

		name_group(c, of);
		do {
			e = find_await(self, c);
			if (!e)
				e = fetch_await(self, c, of);
		} while (is_later(e) && shard_now_us(shard) < until_us && !fiber_sleep_await(self, 10000));
		if (e)
			world_fail(c->world, "the final fetch of group %s: %s", c->group, err_name(e));
	}
	wire_close(&c->wire);
	mem_free(c);
}
