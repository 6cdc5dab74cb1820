/*
 * group_wire: what a member of a group, or who speaks in its name, asks by raw requests, and what the ledger of the group learns by it.
 *
 * Lifetime: of a role's fiber; filled by its role, `wire` open while something is asked. Code of a client's node.
 */
#ifndef SIM_GROUP_WIRE_H
#define SIM_GROUP_WIRE_H

#include "sim/wire_client.h"
#include "sim/world.h"

struct group_wire {
	struct world *world;
	struct world_client *client;
	struct world_group *group;
	struct wire_client wire;
};

struct group_exchange {
	struct wire_call call;
	struct arena arena;
	int64_t sent_us;
};

/* Ends with group_exchange_fini, whatever comes. A healthy broker has to answer. */
enum err group_ask_await(struct fiber *self, struct group_wire *g, struct group_exchange *x, int16_t key,
			 int16_t version, const void *request, void *response) MUST_CHECK;
void group_exchange_fini(struct group_exchange *x);
/* Nobody could have expected that. */
void group_wrong_error(struct group_wire *g, const char *what, int16_t code);
/* The coordinator is not there just now, whatever the reason. */
bool coordinator_is_away(enum err e);

/* Makes the topic of the groups, when it asks first. False: the connection is over. */
bool group_find_coordinator_await(struct fiber *self, struct group_wire *g);

enum fetched_offsets { OFFSETS_FETCHED, OFFSETS_AWAY, OFFSETS_LOST };

/* What is committed of all partitions, -1 for none; the ledger has looked at it. LOST: the connection is over. */
enum fetched_offsets group_fetch_offsets_await(struct fiber *self, struct group_wire *g,
					       int64_t ret_values[static WORLD_PARTITIONS]);

/* In whose name. */
struct group_commit_as {
	const char *id;
	const char *instance; /* NULL: none */
	int32_t generation;   /* or epoch, from version 9 on */
	int16_t version;      /* of OffsetCommit */
};

/* Whether a commit with that answer happened. */
enum commit_outcome group_outcome_of(struct group_wire *g, int16_t code);
/* Commits these partitions; the ledger knows. False: the connection is over, and whether it happened is not known. */
bool group_commit_offsets_await(struct fiber *self, struct group_wire *g, const struct group_commit_as *as,
				uint32_t mask, const int64_t values[static WORLD_PARTITIONS],
				int16_t ret_codes[static WORLD_PARTITIONS]);

#endif
