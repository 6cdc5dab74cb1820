/*
 * world: one broker with its clients under every fault, and what must be true all the time and at the end.
 *
 *      world.c             the history: start, faults, healing, the final reading
 *      nemesis.c           what goes wrong, and when
 *      broker_life.c       a broker's process                        code of a node
 *      workload_produce.c  producers, idempotent or not              code of a client's node
 *      workload_fetch.c    consumers, and the final reading          code of a client's node
 *      workload_library.c  our client library             code of a client's node
 *      workload_offsets.c  committers of groups' offsets     code of a client's node
 *      workload_admin.c    topics come and go, metadata is asked     code of a client's node
 *      workload_care.c     topics that are compacted, cached, deleted and made again; DeleteRecords, moves   code of a client's node
 *      workload_group.c    members of consumer groups                code of a client's node
 *      workload_member.c   the same by our client library, in either protocol      code of a client's node
 *      group_wire.c        what members ask by raw requests          code of a client's node
 *      world_group.c       their groups, as the world knows them
 *      workload_txn*.c     workers with transactions, and who reads what they commit      code of a client's node
 *      world_txn.h         what the world knows of transactions
 *
 * The world and the ledgers belong to the simulator's memory; what a role allocates belongs to its node. Roles read the world and
 * change it through the functions below, which enter the simulator's memory.
 */
#ifndef SIM_WORLD_H
#define SIM_WORLD_H

#include "base/uuid.h"
#include "runtime/socket.h"
#include "sim/care_ledger.h"
#include "sim/group_ledger.h"
#include "sim/history.h"
#include "sim/ledger.h"
#include "sim/node.h"
#include "sim/offset_ledger.h"

#define WORLD_TOPICS 4
#define WORLD_PARTITIONS 6
#define WORLD_CLIENTS 5
#define WORLD_GROUPS 2
#define CLIENT_MEMBERS 2 /* of groups, at most */
#define BROKER_PORT 9092
#define SECOND_US 1000000LL
/* How long a healthy broker may take for anything. */
#define PATIENCE_US (30 * SECOND_US)

struct world;
struct world_txn;

struct world_topic {
	char name[24];
	int32_t partition_count;
	struct uuid id;    /* zero until a client was told */
	bool created;      /* its creation was acknowledged: it must never be unknown again */
	bool auto_created; /* comes into being by being asked for */
	struct ledger_partition partitions[WORLD_PARTITIONS];
	int64_t start_asked[WORLD_PARTITIONS]; /* by DeleteRecords: the largest */
};

/* Who its members are. */
enum group_talk {
	GROUP_BY_WIRE, /* raw requests of the classic protocol */
	GROUP_CLASSIC, /* our library, by the classic protocol */
	GROUP_MODERN,  /* our library, by KIP-848 */
	GROUP_MIXED,   /* our library, each member by one of the two */
};

struct world_group {
	struct world *world;
	char name[24];
	unsigned topic; /* that it reads */
	enum group_talk talk;
	unsigned strategy; /* of classic members of the library */
	bool auto_commit;  /* of the library's members: what is committed is not in the ledger */
	struct group_ledger ledger;
	bool rested; /* in the end every partition had an owner */
};

enum client_phase {
	CLIENT_WORKS,
	CLIENT_RESTS,    /* members of groups stay and do nothing, the others finish */
	CLIENT_FINISHES, /* what was sent gets its answer, then the roles end */
	CLIENT_VERIFIES, /* reads everything */
};

struct world_client {
	struct world *world;
	struct node *node;
	unsigned number;
	unsigned roles;                                 /* fibers at work */
	unsigned members;                               /* of groups, among them */
	bool done;                                      /* verifying: all was read */
	struct offset_ledger offsets[WORLD_PARTITIONS]; /* of its committer's group, for the first topic */
};

struct world {
	struct sim *sim;
	struct history *history;
	struct node *broker;
	unsigned shard_count;
	unsigned broker_life;
	bool broker_ready;            /* it listens */
	struct broker *broker_handle; /* of the node's memory; NULL while it is down */
	struct config *broker_config;
	int64_t roll_ms; /* how segments end */
	int64_t index_bytes;
	bool trims; /* the broker deletes old segments, by one of these; else both are -1 and no log's start moves */
	int64_t retention_bytes;
	int64_t retention_ms;
	int64_t retention_check_ms;
	int64_t delete_delay_ms;
	bool deletes_records;    /* `trims`, but only by DeleteRecords */
	struct care_topic *care; /* CARE_KINDS of them; NULL: there is no caretaker */
	bool two_folders;        /* of log.dirs: /data and /data2 */
	bool disk_trouble;       /* now, or since the broker last started */
	bool disk_errors;        /* the same, by more than want of space or time */
	bool whole_disk_trouble; /* the same, of more than /data2 */
	uint64_t cache_losses;   /* how often what was written and not synced may have gone */
	uint64_t lost_syncs;     /* that were lost when the machine last booted */
	unsigned troubles;       /* faults that last */
	int64_t unwell_until_us; /* of faults that are over in a moment but are felt longer */
	enum client_phase phase;
	struct address address;
	struct world_topic topics[WORLD_TOPICS];
	unsigned topic_count;
	struct world_client clients[WORLD_CLIENTS];
	unsigned client_count;
	struct world_group groups[WORLD_GROUPS];
	unsigned group_count;
	struct world_txn *txn; /* in the world of transactions; else NULL */
	bool long_rest;        /* longer than offsets are kept that nobody reads */
	int32_t session_ms;    /* of members with epochs */
	int32_t beat_ms;
	int32_t offsets_count;    /* partitions of the topic of groups */
	int64_t initial_delay_ms; /* of a group's first rebalance */
	uint64_t acked;
	uint64_t abandoned; /* producers that gave up with unknown outcome */
};

/* What a role notes; formats as sim_fail does. */
void world_fail(struct world *w, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* A ledger's verdict (NULL is well) about a partition. */
void world_verdict(struct world *w, unsigned topic, int32_t partition, int64_t offset, const char *wrong);
void world_note(struct world_client *c, const char *what, const char *format, int64_t a, int64_t b, int64_t d);
struct scheduler *world_scheduler(struct world *w);
/* Nothing is wrong now. */
bool world_is_well(const struct world *w);
/* All was well from then until now: whoever waited that long waits for a broker that forgot him. */
bool world_was_well(const struct world *w, int64_t since_us);
/* A sync failed since the machine booted: its page cache shows what is not on disk, and nobody but a reboot finds out. */
bool world_cache_lies(const struct world *w);
/* Something is wrong until then. */
void world_unwell_until(struct world *w, int64_t time_us);

/* Ledgers, in the simulator's memory. */
uint32_t world_new_producer(struct world *w, unsigned topic, int32_t partition, bool idempotent);
uint64_t world_next_id(struct world *w, unsigned topic, int32_t partition, uint32_t producer);
void world_acked(struct world *w, unsigned topic, int32_t partition, int64_t base_offset, uint64_t first_id,
		 int32_t count);
/* With acks=1; `cache_losses` as it was when it was sent. */
void world_cached(struct world *w, unsigned topic, int32_t partition, int64_t base_offset, uint64_t first_id,
		  int32_t count, uint64_t cache_losses);
/* Nothing is promised any more of what was only written. */
void world_cache_lost(struct world *w);
void world_read(struct world *w, unsigned topic, int32_t partition, int64_t offset, uint64_t id, int64_t timestamp_ms);
/* Somebody asks to delete what is below. */
void world_start_asked(struct world *w, unsigned topic, int32_t partition, int64_t start);
/* Where a log starts, as a client was told; `floor` is what was known when it asked. */
void world_start(struct world *w, unsigned topic, int32_t partition, int64_t start, int64_t floor);
/* The library went on further on than where it was: the final start has to explain it. */
void world_moved_on(struct world *w, unsigned topic, int32_t partition, int64_t offset);
void world_final_start(struct world *w, unsigned topic, int32_t partition, int64_t start);
void world_high_watermark(struct world *w, unsigned topic, int32_t partition, int64_t high_watermark, int64_t floor);
void world_final_record(struct world *w, unsigned topic, int32_t partition, int64_t offset, uint64_t id);
void world_final_end(struct world *w, unsigned topic, int32_t partition, int64_t end_offset);
void world_topic_told(struct world *w, unsigned topic, struct uuid id);

/* Groups: what a member was told, in the simulator's memory; what is wrong with it fails the history. */
void world_groups_init(struct world *w);
void world_groups_fini(struct world *w);
/* The group of a client's member, counted from 0. */
struct world_group *world_group_of(struct world_client *c, unsigned member);
/* The next member of this client: its place and its group. */
unsigned world_group_slot(struct world_client *c, struct world_group **ret_group);
void world_group_generation(struct world_group *g, int32_t generation);
void world_group_owns(struct world_group *g, unsigned slot, int32_t generation, uint32_t partitions,
		      int64_t valid_until_us);
void world_group_valid(struct world_group *g, unsigned slot, int64_t valid_until_us);
void world_group_gives_up(struct world_group *g, unsigned slot);
/* It owns no others any more. */
void world_group_keeps(struct world_group *g, unsigned slot, uint32_t partitions);
size_t world_group_commit(struct world_group *g, int32_t partition, int32_t generation, int64_t value);
void world_group_committed(struct world_group *g, int32_t partition, size_t number, enum commit_outcome outcome);
void world_group_fetched(struct world_group *g, int32_t partition, int64_t value, int64_t sent_us);
void world_group_resumes(struct world_group *g, int32_t partition, int64_t offset);
void world_group_processed(struct world_group *g, int32_t partition, int64_t up_to);
/* Whether all of it is owned by now. */
void world_group_look(struct world_group *g);

/* The bytes of a record. */
size_t record_text(uint64_t id, char *text, size_t size);
/* The id of bytes that are a record's; 0 when they are no record's. */
uint64_t record_id(struct bytes value);

/* Processes. `argument`: struct world and struct world_client. */
void broker_life_start(struct shard *zero, void *argument);
/* On the node, after its runtime has ended. */
void broker_life_end(struct node *n);
void client_start(struct shard *zero, void *argument);

/* Roles, fibers of a client's node; `argument` is the client. */
void producer_role_fiber(struct fiber *self, void *argument);
void consumer_role_fiber(struct fiber *self, void *argument);
void verifier_role_fiber(struct fiber *self, void *argument);
void committer_role_fiber(struct fiber *self, void *argument);
/* A part of the verifier's. */
void verify_offsets_await(struct fiber *self, struct world_client *client);
void verify_care_await(struct fiber *self, struct world_client *client);
void caretaker_role_fiber(struct fiber *self, void *argument);
void admin_role_fiber(struct fiber *self, void *argument);
void library_role_fiber(struct fiber *self, void *argument);
void member_role_fiber(struct fiber *self, void *argument);
void library_member_role_fiber(struct fiber *self, void *argument);
/* A role ended. */
void client_role_over(struct world_client *c, struct fiber *self);

struct nemesis;
struct nemesis *nemesis_new(struct world *w);
void nemesis_free(struct nemesis *n);
/* From now on something goes wrong now and then, until nemesis_heal mends all and starts what is down. */
void nemesis_begin(struct nemesis *n);
void nemesis_heal(struct nemesis *n);

void world_start_broker(struct world *w);
/* Asks it to stop cleanly, as a SIGTERM does. */
void world_stop_broker(struct world *w);
void world_start_client(struct world_client *c);
void world_kill_broker(struct world *w, bool power);

#endif
