/*
 * moldau: the client library. Produces to, consumes from and administers a Kafka cluster, be it Moldau's or Apache Kafka's.
 *
 *      your threads                                   one thread of the library's (or none: mo_client_drive)
 *      mo_produce ---- records are copied ----------> accumulators, one batch after another to each leader
 *      mo_poll    <--- outcomes of deliveries ------- 
 *      mo_consume <--- batches fetched ahead -------- fetches from each leader, within a bound of memory
 *      mo_topic_create ... ask and wait ------------> asks the cluster
 *
 * Rules
 * 1. Every function may be called from any thread; mo_consume by one at a time.
 * 2. Callbacks run only inside mo_poll and mo_flush, and mo_unsubscribe and mo_consumer_close, on the thread that called it.
 * 3. What a function takes is copied before it returns; what it gives lives as its comment says.
 * 4. Functions that can fail return 0 or an error's code, and fill `ret_err` (NULL is fine): a code and a sentence that says what
 *    to do. Codes from -1 up are Kafka's own, those from -1000 down the library's.
 */
#ifndef MOLDAU_MOLDAU_H
#define MOLDAU_MOLDAU_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define MO_ERR_TEXT_SIZE 512

struct mo_err {
	int code;
	char text[MO_ERR_TEXT_SIZE];
};

/* Those that a program may want to tell apart; Kafka's own codes are the protocol's. */
enum mo_code {
	MO_OK = 0,
	MO_TIMED_OUT = -1009,          /* nothing came in time */
	MO_BUSY = -1030,               /* the buffer is full; call again, or mo_poll first */
	MO_CLOSED = -1007,             /* the client is being closed */
	MO_BAD_SETTING = -1020,        /* name or value of a setting */
	MO_WRONG_USE = -1027,          /* arguments that cannot be */
	MO_CONNECTION_REFUSED = -1014, /* nobody listens there */
	MO_UNSUPPORTED = -1024,        /* the broker does not know this request */
	MO_END = -1025,                /* mo_consume: the end of a partition (event in the message) */
	MO_STALLED = -1032,            /* mo_consume: a partition does not move though it should; it is tried on */
	MO_CALLBACK_DUE = -1031,       /* mo_consume: the listener of mo_set_rebalance waits for a mo_poll */
	MO_REBALANCE = 27, /* mo_commit: nothing was committed, the group rebalances; the partitions may stay */
};

/* "NOT_LEADER_OR_FOLLOWER"; a few words for people. Both never NULL. */
const char *mo_code_name(int code);
const char *mo_code_text(int code);
const char *mo_version(void);

/* A run of bytes; `data` NULL is null, which is not the same as empty. */
struct mo_bytes {
	const void *data;
	size_t size;
};

struct mo_header {
	struct mo_bytes key; /* never null */
	struct mo_bytes value;
};

/* --- clients ----------------------------------------------------------------------------------------------------- */

struct mo_client;

/* A setting by its name in Kafka's Java client or librdkafka; docs/guide.md lists those that are understood. */
struct mo_option {
	const char *name;
	const char *value;
};

/* Starts the client's thread. Does not connect yet: an address where nobody listens is told by the first call that needs one. */
int mo_client_open(const struct mo_option *options, size_t count, struct mo_client **ret_client,
		   struct mo_err *ret_err);
/* The same without a thread: the client works only inside mo_client_drive and functions that wait. One thread uses it. */
int mo_client_open_driven(const struct mo_option *options, size_t count, struct mo_client **ret_client,
			  struct mo_err *ret_err);
/* Works for at most `timeout_ms`, or until something happened. Only on a driven client. */
void mo_client_drive(struct mo_client *c, int timeout_ms);
/* Records that were not delivered are dropped (mo_flush first). Messages of mo_consume are gone. NULL is fine. */
void mo_client_close(struct mo_client *c);

/* --- producing --------------------------------------------------------------------------------------------------- */

#define MO_ANY_PARTITION (-1)
#define MO_NOW (-1)

struct mo_record {
	const char *topic;
	int32_t partition;    /* MO_ANY_PARTITION: by the key's hash as Kafka does, without key by `partitioner` */
	int64_t timestamp_ms; /* MO_NOW */
	struct mo_bytes key;
	struct mo_bytes value;
	const struct mo_header *headers;
	size_t header_count;
	void *opaque; /* comes back in the delivery */
};

/* What became of a record. */
struct mo_delivery {
	const char *topic;
	int32_t partition;
	int64_t offset; /* -1 when it failed, or with acks=0 */
	int64_t timestamp_ms;
	int code;         /* 0: acknowledged as `acks` asks */
	const char *text; /* of the error; lives during the callback */
	void *opaque;
};

/* Called for each record from mo_poll and mo_flush; set before the first mo_produce. NULL: only counts are kept. */
void mo_set_delivery(struct mo_client *c, void (*delivered)(void *context, const struct mo_delivery *d), void *context);

/*
 * Copies the record and returns; its fate comes by mo_poll. When buffer.memory is used up it waits up to max.block.ms, then
 * MO_BUSY (max.block.ms=0: at once). Records of one partition keep their order.
 */
int mo_produce(struct mo_client *c, const struct mo_record *r, struct mo_err *ret_err);
/* Several at once, cheaper each. `ret_count` (may be NULL): how many were taken, also on an error. */
int mo_produce_many(struct mo_client *c, const struct mo_record *records, size_t count, size_t *ret_count,
		    struct mo_err *ret_err);
/* Sends what waits and returns when all is acknowledged or has failed; runs callbacks. MO_TIMED_OUT; -1: waits as long as it takes. */
int mo_flush(struct mo_client *c, int timeout_ms, struct mo_err *ret_err);
/* Runs the callbacks that are due, of deliveries, commits and rebalances; waits up to `timeout_ms` for the first. Returns their number. */
int mo_poll(struct mo_client *c, int timeout_ms);

/* --- transactions: the setting transactional.id ------------------------------------------------------------------ */

/*
 *      mo_txn_init ---> mo_txn_begin ---> mo_produce, mo_txn_send_offsets ---> mo_txn_commit
 *                            ^                        | an error                     |
 *                            +---- mo_txn_abort <-----+<-----------------------------+
 *
 * What is produced between begin and commit becomes readable for readers with isolation.level=read_committed all together, or never. The id is
 * the producer's name over restarts: mo_txn_init ends what a predecessor left open, and fences him.
 * After an error the state says what is possible: MO_TXN_FAILED: only mo_txn_abort; MO_TXN_FATAL: only mo_client_close (another has the
 * id, mostly). Nothing that failed can be committed, also not in part.
 * A call that timed out is made again, and no other: MO_TXN_COMMITTING, MO_TXN_ABORTING. -1: waits as long as it takes.
 * mo_client_close aborts what is open.
 */
enum mo_txn_state {
	MO_TXN_NONE,  /* not initialised */
	MO_TXN_READY, /* none is open */
	MO_TXN_OPEN,
	MO_TXN_COMMITTING,
	MO_TXN_ABORTING,
	MO_TXN_FAILED,
	MO_TXN_FATAL
};

enum mo_txn_state mo_txn_state(struct mo_client *c);
/* Once, before the first begin. */
int mo_txn_init(struct mo_client *c, int timeout_ms, struct mo_err *ret_err);
int mo_txn_begin(struct mo_client *c, struct mo_err *ret_err);
/* Flushes, then commits; runs the deliveries' callbacks. When a record failed, so does this, with that record's error. */
int mo_txn_commit(struct mo_client *c, int timeout_ms, struct mo_err *ret_err);
/* Records that were not sent yet are dropped; runs the deliveries' callbacks. */
int mo_txn_abort(struct mo_client *c, int timeout_ms, struct mo_err *ret_err);

struct mo_counts {
	uint64_t produced; /* taken by mo_produce */
	uint64_t acknowledged;
	uint64_t failed;
	uint64_t consumed;         /* handed out by mo_consume */
	struct mo_err first_error; /* of the first record that failed */
};

void mo_client_counts(struct mo_client *c, struct mo_counts *ret_counts);

/* --- consuming --------------------------------------------------------------------------------------------------- */

/* Where to start. */
enum mo_start_kind {
	MO_START_OFFSET,    /* at `value` */
	MO_START_BEGINNING, /* at the oldest record */
	MO_START_END,       /* behind the newest */
	MO_START_TIME,      /* at the first record that is not older than `value` ms; the end when there is none */
	MO_START_TAIL,      /* `value` records before the end, or at the beginning */
	MO_START_COMMITTED, /* where the group left off; where it has no offset as auto.offset.reset says (needs group.id) */
};

struct mo_start {
	enum mo_start_kind kind;
	int64_t value;
};

#define MO_OFFSET(n) ((struct mo_start){MO_START_OFFSET, (n)})
#define MO_BEGINNING ((struct mo_start){MO_START_BEGINNING, 0})
#define MO_END_OF_LOG ((struct mo_start){MO_START_END, 0})
#define MO_TIMESTAMP(ms) ((struct mo_start){MO_START_TIME, (ms)})
#define MO_TAIL(n) ((struct mo_start){MO_START_TAIL, (n)})
#define MO_COMMITTED ((struct mo_start){MO_START_COMMITTED, 0})

/* Adds a partition, or moves an assigned one. What was fetched of it before is dropped. Not beside mo_subscribe. */
int mo_assign(struct mo_client *c, const char *topic, int32_t partition, struct mo_start from, struct mo_err *ret_err);
int mo_unassign(struct mo_client *c, const char *topic, int32_t partition, struct mo_err *ret_err);

struct mo_message {
	const char *topic;
	int32_t partition;
	int64_t offset; /* of an end: where the next record will be */
	int32_t leader_epoch;
	int64_t timestamp_ms;
	bool log_append_time; /* the broker set the timestamp */
	bool end;             /* no record: the end of the partition was reached (enable.partition.eof) */
	struct mo_bytes key;
	struct mo_bytes value;
	size_t header_count; /* mo_message_header */
	const void *insides;
};

/*
 * The next message of any assigned partition, valid until the next call of mo_consume, mo_unassign or mo_client_close. MO_TIMED_OUT: none
 * came. Another error concerns the partition in `ret_err`'s text (offset out of range with auto.offset.reset=none, damaged
 * bytes, unknown topic): that partition waits until it is assigned again, the others go on.
 */
int mo_consume(struct mo_client *c, int timeout_ms, const struct mo_message **ret_message, struct mo_err *ret_err);
/* False when there are not so many. Valid as long as the message. */
bool mo_message_header(const struct mo_message *m, size_t index, struct mo_header *ret_header);

/* --- consuming in a group: the setting group.id ------------------------------------------------------------------------------------- */

/*
 *      mo_subscribe --- the member joins, by itself -----------> partitions come --> mo_consume
 *      mo_poll     <--- it rebalances: revoked, assigned, lost -
 *      mo_commit, or enable.auto.commit -----------------------> what the group goes on at
 *      mo_consumer_close --- commits, leaves ------------------> others get the partitions at once
 *
 * A record that mo_consume gave is in hand until the next mo_consume: so long its partition is not taken away, and it is not committed by
 * itself. What is committed is the next offset to read: after the record 15 it is 16.
 * Between two calls of mo_consume or mo_poll may be max.poll.interval.ms; who takes longer loses his partitions (MO_LOST) and joins anew.
 */
struct mo_topic_partition {
	const char *topic;
	int32_t partition;
};

struct mo_group_offset {
	const char *topic;
	int32_t partition;
	int64_t offset;       /* -1: none */
	int32_t leader_epoch; /* of the record before it; -1: not known */
	const char *metadata; /* any words; NULL: none */
	int code;             /* of an answer: what is wrong with this one, mostly 0 */
};

struct mo_group_offsets {
	char *group;
	int code;
	char *text;
	struct mo_group_offset *offsets; /* by topic and partition */
	size_t count;
};

void mo_group_offsets_free(struct mo_group_offsets *o);

enum mo_rebalance {
	MO_ASSIGNED, /* these came; mo_seek and mo_pause count from the first record on. Also with none, when that is what one got */
	MO_REVOKED, /* these go: the last moment for mo_commit */
	MO_LOST,    /* these are gone, perhaps to others: nothing of them can be committed */
};

/*
 * The listener runs inside mo_poll; while it is due mo_consume gives MO_CALLBACK_DUE. Set before mo_subscribe. Without one the
 * partitions come and go by themselves. The text lives during the callback.
 */
void mo_set_rebalance(struct mo_client *c,
		      void (*rebalanced)(void *context, enum mo_rebalance what,
					 const struct mo_topic_partition *partitions, size_t count),
		      void *context);

/* Joins the group for these topics, which need not exist yet; replaces what was subscribed to. Errors come by mo_consume. */
int mo_subscribe(struct mo_client *c, const char *const *topics, size_t count, struct mo_err *ret_err);
/* For all topics whose whole name matches a regular expression (RE2's syntax), also those to come. */
int mo_subscribe_pattern(struct mo_client *c, const char *pattern, struct mo_err *ret_err);
/* Commits (enable.auto.commit), leaves, and has nothing assigned. Runs callbacks. */
int mo_unsubscribe(struct mo_client *c, struct mo_err *ret_err);
/*
 * The same, at most so long, and tells when the last commit failed. A member with group.instance.id does not leave: it is expected back.
 * mo_client_close does it too, without callbacks and words.
 */
int mo_consumer_close(struct mo_client *c, int timeout_ms, struct mo_err *ret_err);

/* What is assigned, by a group or by hand, with the position of each (-1: not known yet). */
int mo_assignment(struct mo_client *c, struct mo_group_offsets *ret_offsets, struct mo_err *ret_err);
/* The offset behind the last record that was given; where none was, of the first that will be. */
int mo_position(struct mo_client *c, const char *topic, int32_t partition, int64_t *ret_offset, struct mo_err *ret_err);
/* Goes on elsewhere. Only what is assigned. */
int mo_seek(struct mo_client *c, const char *topic, int32_t partition, struct mo_start to, struct mo_err *ret_err);
/* Gives nothing of it until mo_resume; it stays assigned. */
int mo_pause(struct mo_client *c, const char *topic, int32_t partition, struct mo_err *ret_err);
int mo_resume(struct mo_client *c, const char *topic, int32_t partition, struct mo_err *ret_err);

/*
 * Commits the positions of all that is assigned (offsets NULL), or the given offsets, and waits for it, at most default.api.timeout.ms. MO_REBALANCE:
 * nothing was committed, and the membership goes on; UNKNOWN_MEMBER_ID (25), ILLEGAL_GENERATION (22), STALE_MEMBER_EPOCH (113):
 * the partitions are perhaps another's by now, whose commits count.
 */
int mo_commit(struct mo_client *c, const struct mo_group_offset *offsets, size_t count, struct mo_err *ret_err);
/* The same without waiting, and without repetitions: the outcome comes by mo_poll (`done` may be NULL). */
int mo_commit_async(struct mo_client *c, const struct mo_group_offset *offsets, size_t count,
		    void (*done)(void *context, const struct mo_err *outcome, const struct mo_group_offset *offsets,
				 size_t count),
		    void *context, struct mo_err *ret_err);
/* What the group has committed for these; offset -1: nothing. */
int mo_committed(struct mo_client *c, const struct mo_topic_partition *partitions, size_t count,
		 struct mo_group_offsets *ret_offsets, struct mo_err *ret_err);

/* Who commits, as the group knows it. */
struct mo_group_metadata {
	char *group;
	int32_t generation; /* or the member's epoch; -1: no member */
	char *member_id;    /* "": none */
	char *instance_id;  /* "": none */
};

/* Of this client as a member now. To be taken after the records were, and before the offsets are sent. */
int mo_group_metadata(struct mo_client *c, struct mo_group_metadata *ret_metadata, struct mo_err *ret_err);
void mo_group_metadata_free(struct mo_group_metadata *m);

/*
 * Makes offsets of a group part of the open transaction: they are committed with it or not at all. `as` is the reader's (NULL: this client's own
 * group). Waits at most default.api.timeout.ms; on an error the transaction failed. enable.auto.commit has to be off.
 */
int mo_txn_send_offsets(struct mo_client *c, const struct mo_group_offset *offsets, size_t count,
			const struct mo_group_metadata *as, struct mo_err *ret_err);

/* --- consume, transform, produce: exactly once --------------------------------------------------------------------- */

/*
 *      mo_process --- joins the group --> record --> process: mo_produce ... --> next record
 *                                            after max_records or max_ms: offsets and records are committed together
 *
 * Each record of the topics has its effect in what `process` produces once, whatever is killed or rebalances meanwhile: the offsets of what was read
 * are committed in the transaction of what was produced, in the name of the member that read them. What fails is taken back, and read again from where
 * the last commit left off; before partitions go their transaction is committed. What `process` does elsewhere may happen more than once.
 * Wants the settings group.id, transactional.id (of its own for each worker), enable.auto.commit=false, isolation.level=read_committed, and
 * auto.offset.reset=earliest where nothing may be left out.
 */
enum mo_process_event {
	MO_PROCESS_BEGIN, /* a transaction begins */
	MO_PROCESS_COMMIT,
	MO_PROCESS_COMMITTED,
	MO_PROCESS_ABORTED, /* what was read since the last commit comes again, here or elsewhere; the partitions that go back are told */
	MO_PROCESS_ASSIGNED, /* these partitions came */
	MO_PROCESS_GONE      /* these went */
};

struct mo_process {
	const char *const *topics;
	size_t topic_count;
	/*
	 * Once for each record; what it produces with `c` belongs to the transaction. An error ends mo_process, which returns it, unless it is
	 * that of a transaction that failed by itself (of mo_produce).
	 */
	int (*process)(void *context, struct mo_client *c, const struct mo_message *m, struct mo_err *ret_err);
	/* True: commit and return. Asked between records, at least ten times a second. */
	bool (*stop)(void *context);
	/* May be NULL. */
	void (*told)(void *context, enum mo_process_event what, const struct mo_topic_partition *partitions,
		     size_t count);
	void *context;
	size_t max_records; /* of a transaction; 0: 1000 */
	int max_ms;         /* how long one is open, about; 0: 100 */
};

/*
 * Runs until `stop`, or an error that a repetition does not mend: PRODUCER_FENCED (90) when another has the transactional.id, or the transaction timed
 * out. Everything is committed or taken back then, and the group was left; after a fatal error only mo_client_close is possible, and a new
 * client goes on where this one's last commit left off.
 */
int mo_process(struct mo_client *c, const struct mo_process *p, struct mo_err *ret_err);

/* --- administration: each asks and waits, at most default.api.timeout.ms ------------------------------------------------------------- */

struct mo_new_topic {
	const char *name;
	int32_t partitions;         /* -1: the broker's default */
	int16_t replication_factor; /* -1: the broker's default */
	const struct mo_option *configs;
	size_t config_count;
	bool validate_only;
};

int mo_topic_create(struct mo_client *c, const struct mo_new_topic *t, struct mo_err *ret_err);
int mo_topic_delete(struct mo_client *c, const char *name, struct mo_err *ret_err);

struct mo_partition {
	int32_t partition;
	int32_t leader; /* -1: none */
	int32_t leader_epoch;
	int32_t *replicas;
	size_t replica_count;
	int32_t *in_sync;
	size_t in_sync_count;
	int code; /* what is wrong with it, mostly 0 */
};

struct mo_topic {
	char *name;
	char id[24]; /* "" when the broker knows no ids */
	bool internal;
	int code;
	struct mo_partition *partitions; /* by number */
	size_t partition_count;
};

struct mo_topics {
	struct mo_topic *topics; /* by name */
	size_t count;
};

/* All topics. */
int mo_topic_list(struct mo_client *c, struct mo_topics *ret_topics, struct mo_err *ret_err);
/* One, without creating it; UNKNOWN_TOPIC_OR_PARTITION (3). */
int mo_topic_describe(struct mo_client *c, const char *name, struct mo_topics *ret_topics, struct mo_err *ret_err);
void mo_topics_free(struct mo_topics *t);

struct mo_node {
	int32_t id;
	char *host;
	int32_t port;
	char *rack; /* NULL: none */
};

struct mo_cluster {
	char *id;
	int32_t controller;
	struct mo_node *nodes; /* by id */
	size_t node_count;
};

int mo_cluster_describe(struct mo_client *c, struct mo_cluster *ret_cluster, struct mo_err *ret_err);
void mo_cluster_free(struct mo_cluster *cluster);

/* The offset that `at` stands for now; MO_START_OFFSET is a wrong use. */
int mo_offset_list(struct mo_client *c, const char *topic, int32_t partition, struct mo_start at, int64_t *ret_offset,
		   struct mo_err *ret_err);

/* Makes a topic have so many partitions in all. */
int mo_topic_add_partitions(struct mo_client *c, const char *name, int32_t partitions, int validate_only,
			    struct mo_err *ret_err);
/* Drops the records below `offset` (-1: all that can be read); `ret_start`, which may be NULL, is where the partition begins then. */
int mo_records_delete(struct mo_client *c, const char *topic, int32_t partition, int64_t offset, int64_t *ret_start,
		      struct mo_err *ret_err);

/* Brokers have numbers as names; the empty one is all of them. */
enum mo_resource {
	MO_RESOURCE_TOPIC = 2,
	MO_RESOURCE_BROKER = 4,
	MO_RESOURCE_LOGGER = 8,
	MO_RESOURCE_CLIENT_METRICS = 16,
	MO_RESOURCE_GROUP = 32
};

struct mo_config {
	char *name;
	char *value; /* NULL: none, or hidden since it is a secret */
	bool is_default;
	bool read_only;
	bool sensitive;
	int source; /* Kafka's numbers: 1 topic, 2-4 broker, 5 default, 6 logger, 7 client metrics, 8 group */
};

struct mo_configs {
	struct mo_config *configs; /* by name */
	size_t count;
};

int mo_config_describe(struct mo_client *c, enum mo_resource kind, const char *name, struct mo_configs *ret_configs,
		       struct mo_err *ret_err);
void mo_configs_free(struct mo_configs *configs);

enum mo_config_change_kind { MO_CONFIG_SET = 0, MO_CONFIG_DELETE = 1, MO_CONFIG_APPEND = 2, MO_CONFIG_SUBTRACT = 3 };

struct mo_config_change {
	const char *name;
	enum mo_config_change_kind kind;
	const char *value; /* NULL to delete */
};

/* All changes or none; what is not named stays. */
int mo_config_alter(struct mo_client *c, enum mo_resource kind, const char *name,
		    const struct mo_config_change *changes, size_t count, int validate_only, struct mo_err *ret_err);

/* --- groups ------------------------------------------------------------------------------------------------------ */

/* One of the groups of a list. What an old broker does not tell is NULL. */
struct mo_group_listing {
	char *id;
	char *protocol_type; /* "consumer" */
	char *state;         /* "Stable" */
	char *type;          /* "Classic", "Consumer", "Share", "Streams" */
};

struct mo_group_list {
	struct mo_group_listing *groups; /* by id */
	size_t count;
};

/* Those of all brokers; only of these states and types (NULL, 0: all), whatever their case. */
struct mo_group_filter {
	const char *const *states;
	size_t state_count;
	const char *const *types;
	size_t type_count;
};

int mo_group_list(struct mo_client *c, const struct mo_group_filter *filter, struct mo_group_list *ret_groups,
		  struct mo_err *ret_err);
void mo_group_list_free(struct mo_group_list *l);

struct mo_topic_partitions {
	char *topic;
	int32_t *partitions; /* rising */
	size_t count;
};

struct mo_group_member {
	char *id;
	char *instance_id; /* NULL: not static */
	char *client_id;
	char *host;    /* "/127.0.0.1" */
	char *rack;    /* NULL: none */
	int32_t epoch; /* -1 in a classic group */
	bool classic;  /* speaks the classic protocol, also in a group of the new one */
	char **topics; /* subscribed to by name; of a classic member: as it said itself */
	size_t topic_count;
	char *pattern;                        /* subscribed to by pattern; NULL: none */
	struct mo_topic_partitions *assigned; /* by topic */
	size_t assigned_count;
	struct mo_topic_partitions *target; /* what it is to have; only in groups of the new protocol */
	size_t target_count;
};

struct mo_group {
	char *id;
	int code; /* of this group: GROUP_ID_NOT_FOUND (69), ...; the rest is empty then */
	char *text;
	char *type; /* "Classic" or "Consumer" */
	char *state;
	char *protocol_type;
	char *assignor;
	int32_t epoch; /* -1 in a classic group, as the next one */
	int32_t assignment_epoch;
	struct mo_node coordinator;
	struct mo_group_member *members; /* by client id, host, id */
	size_t member_count;
};

struct mo_group_descriptions {
	struct mo_group *groups; /* in the order in which they were asked for */
	size_t count;
};

/* Of either protocol. Fails only when nobody could be asked; each group has its own code. */
int mo_group_describe(struct mo_client *c, const char *const *groups, size_t count,
		      struct mo_group_descriptions *ret_groups, struct mo_err *ret_err);
void mo_group_descriptions_free(struct mo_group_descriptions *d);

/* `ret_results` has a place for each group, and its code and words. NON_EMPTY_GROUP (68): somebody is a member. */
int mo_group_delete(struct mo_client *c, const char *const *groups, size_t count, struct mo_err *ret_results,
		    struct mo_err *ret_err);

/* All that the groups have committed; `ret_offsets` has a place for each. With `stable` it waits for open transactions. */
int mo_group_offset_list(struct mo_client *c, const char *const *groups, size_t count, int stable,
			 struct mo_group_offsets *ret_offsets, struct mo_err *ret_err);

/*
 * Commits for a group without members, or of a simple consumer's. Each offset's `code` is filled in. UNKNOWN_MEMBER_ID (25): the group has
 * members.
 */
int mo_group_offset_alter(struct mo_client *c, const char *group, struct mo_group_offset *offsets, size_t count,
			  struct mo_err *ret_err);
/* Forgets them; `offset` and what follows it do not matter. GROUP_SUBSCRIBED_TO_TOPIC (86): a member reads it. */
int mo_group_offset_delete(struct mo_client *c, const char *group, struct mo_group_offset *offsets, size_t count,
			   struct mo_err *ret_err);

/* One of the two, or both. */
struct mo_group_leaver {
	const char *member_id;
	const char *instance_id;
	int code; /* filled in */
};

/* Takes members out of a group. They learn it with their next heartbeat, and may join again. */
int mo_group_remove_members(struct mo_client *c, const char *group, struct mo_group_leaver *members, size_t count,
			    const char *reason, struct mo_err *ret_err);

/* What is asked of a partition, and the answer. */
struct mo_offset_question {
	const char *topic;
	int32_t partition;
	struct mo_start at; /* MO_START_OFFSET is a wrong use */
	int64_t offset;     /* filled in */
	int code;           /* filled in */
};

/* As mo_offset_list for many, a request a leader. Fails only when nobody could be asked. With isolation.level=read_committed the end is the last stable offset. */
int mo_offset_list_many(struct mo_client *c, struct mo_offset_question *questions, size_t count,
			struct mo_err *ret_err);

/* --- transactions, as their coordinators and partitions know them -------------------------------------------------- */

struct mo_txn_listing {
	char *id;
	int64_t producer_id;
	char *state; /* "Ongoing" */
	int32_t coordinator;
};

struct mo_txn_list {
	struct mo_txn_listing *txns; /* by id */
	size_t count;
};

/* Only of these states and producers, that run for so long, whose whole id matches a pattern (RE2's syntax). */
struct mo_txn_filter {
	const char *const *states;
	size_t state_count;
	const int64_t *producer_ids;
	size_t producer_id_count;
	int64_t duration_ms; /* -1: any */
	const char *pattern; /* NULL: any */
};

/* Those of all brokers; `filter` NULL: all. */
int mo_txn_list(struct mo_client *c, const struct mo_txn_filter *filter, struct mo_txn_list *ret_txns,
		struct mo_err *ret_err);
void mo_txn_list_free(struct mo_txn_list *l);

struct mo_txn {
	char *id;
	int code; /* of this one: TRANSACTIONAL_ID_NOT_FOUND (105), ...; the rest is empty then */
	char *text;
	char *state;
	int32_t timeout_ms;
	int64_t start_ms; /* -1: none is open */
	int64_t producer_id;
	int16_t epoch;
	int32_t coordinator;
	struct mo_topic_partitions *partitions; /* that are part of it and have no marker yet; by topic */
	size_t partition_count;
};

struct mo_txn_descriptions {
	struct mo_txn *txns; /* in the order in which they were asked for */
	size_t count;
};

/* Fails only when nobody could be asked; each has its own code. */
int mo_txn_describe(struct mo_client *c, const char *const *ids, size_t count, struct mo_txn_descriptions *ret_txns,
		    struct mo_err *ret_err);
void mo_txn_descriptions_free(struct mo_txn_descriptions *d);

/* A producer as a partition knows it. */
struct mo_producer {
	int64_t producer_id;
	int32_t epoch;
	int32_t last_sequence;
	int64_t last_timestamp_ms;
	int32_t coordinator_epoch; /* -1: no marker yet */
	int64_t txn_start_offset;  /* of its open transaction there; -1: none */
};

struct mo_producers {
	struct mo_producer *producers; /* by id */
	size_t count;
};

/* Those that wrote to a partition lately. */
int mo_producer_list(struct mo_client *c, const char *topic, int32_t partition, struct mo_producers *ret_producers,
		     struct mo_err *ret_err);
void mo_producers_free(struct mo_producers *p);

/*
 * Writes an abort marker for the producer into the partition, past its coordinator: for a transaction that nobody ends. `coordinator_epoch` -1: 0, as
 * Kafka's tool has it.
 */
int mo_txn_abort_in(struct mo_client *c, const char *topic, int32_t partition, const struct mo_producer *producer,
		    struct mo_err *ret_err);

#ifdef __cplusplus
}
#endif

#endif
