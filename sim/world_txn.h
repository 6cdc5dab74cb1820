/*
 * world_txn: the transactions of a world: topics of their own, jobs that work on them, and what everybody was told (sim/txn_history.h).
 *
 *      sources -> txn-in -> copies -> txn-mid -> sums -> txn-out          each -> is transactions; copies and sums commit their offsets in them
 *
 * A job is one transactional id: a source, or the copying or summing of one partition. Nobody owns one: whoever takes it up fences who had it, who may
 * not know and go on: a zombie. An output record names its write in the history.
 * Invariant: what a session sent after the next one of its job had begun is never taken.
 * The world belongs to the simulator's memory; workers change it through the functions below, which enter that.
 */
#ifndef SIM_WORLD_TXN_H
#define SIM_WORLD_TXN_H

#include "sim/txn_history.h"
#include "sim/world.h"

#define TXN_TOPICS 3
#define TXN_PARTITIONS 3
#define TXN_SOURCES 2
#define TXN_EARLIER 16
#define TXN_TIMEOUT_LEAST_MS 1000
#define TXN_TIMEOUT_MOST_MS 8000

struct txn_job {
	char transactional_id[24];
	char group[24];
	bool source;
	unsigned from_topic; /* that it reads, unless it is a source */
	int32_t from_partition;
	unsigned to_topic;
	uint32_t session;    /* the last one that began */
	int64_t producer_id; /* with these */
	int16_t epoch;
	int64_t earlier[TXN_EARLIER]; /* producers that it had */
	unsigned earlier_count;
	uint32_t inits;                     /* that were asked for */
	int64_t shaky_until_us;             /* one that had no answer may still arrive */
	unsigned inits_open[WORLD_CLIENTS]; /* that have none yet */
	unsigned workers[WORLD_CLIENTS];    /* of each client, that have it now */
};

struct world_txn {
	struct txn_history history;
	char topics[TXN_TOPICS][16];
	bool created[TXN_TOPICS];
	int32_t partitions[TXN_TOPICS];
	struct txn_job jobs[TXN_JOBS];
	unsigned job_count;
	int32_t state_partitions; /* of __transaction_state */
	int64_t timeout_check_ms; /* how often the coordinator looks for transactions that are over time */
	uint64_t committed;
};

void world_txn_init(struct world *w);
void world_txn_fini(struct world *w);
static inline unsigned txn_key(unsigned topic, int32_t partition)
{
	return topic * TXN_PARTITIONS + (unsigned)partition;
}

/* The functions of the history, in the simulator's memory. */
uint32_t world_txn_begin(struct world *w);
uint32_t world_txn_send(struct world *w, uint32_t transaction, unsigned key, const struct txn_source *source);
void world_txn_acked(struct world *w, uint32_t first_write, int32_t count, unsigned key, int64_t base_offset);
void world_txn_asked(struct world *w, uint32_t transaction);
void world_txn_ended(struct world *w, uint32_t transaction, bool committed);
void world_txn_read(struct world *w, unsigned reader, uint32_t transaction, unsigned key, int64_t offset,
		    uint32_t write);
void world_txn_moved(struct world *w, unsigned reader, unsigned key);
/* Everything was read: fails the history where something is wrong. */
void world_txn_judge(struct world *w);

/* A job for a worker: mostly one that nobody has. */
struct txn_job *world_txn_take_job(struct world_client *c);
bool txn_job_has_open_init(const struct txn_job *j);
/* A client begins anew: what it had is gone. */
void world_txn_client_starts(struct world_client *c);
/* The broker began a session of the job: those of an older producer or epoch are over. Gives its number, which may be that of one that is over. */
uint32_t world_txn_session(struct txn_job *j, int64_t producer_id, int16_t epoch);

/* The bytes of a record. */
size_t txn_record_text(uint32_t write, char *text, size_t size);
/* The write of bytes that are a record's; TXN_NOBODY when they are not. */
uint32_t txn_record_write(struct bytes value);

/* Roles. */
void txn_worker_role_fiber(struct fiber *self, void *argument);
void txn_reader_role_fiber(struct fiber *self, void *argument);
/* A part of the verifier's: no transaction is open any more, all that was committed is read. */
void verify_txns_await(struct fiber *self, struct world_client *client);

#endif
