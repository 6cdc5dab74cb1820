/*
 * offsets: what groups have committed. Compact: a million take about 50 bytes each, in arrays; names of topics are shared by all groups.
 *
 *      struct offsets (a group's; or a group's in one open transaction)
 *        topics: by name -> struct topic_offsets
 *          offsets: by partition -> struct committed_offset, in one array
 *
 *      group.offsets     what is committed
 *      group.pending     one struct pending_offsets for each open transaction that committed here,
 *                        in the list of its struct offset_transaction too; a commit marker moves them, an abort marker drops them
 *
 * Invariants
 * 1. Topics are in order of names, partitions in order of numbers, each once; a topic without offsets is not there.
 * 2. Of a commit and a pending one that becomes committed, the one whose record stands later in the log stays (`order`).
 * Not here: who may commit (classic.h, consumer.h), records and requests (offset_commit.c, offset_fetch.c, offset_expire.c).
 */
#ifndef GROUP_OFFSETS_H
#define GROUP_OFFSETS_H

#include "base/bytes.h"
#include "base/list.h"
#include "base/map.h"
#include "base/uuid.h"

struct group;
struct groups;
struct image;

/* A topic's name, shared by whoever has offsets of it. */
struct topic_name {
	struct bytes name;
	size_t users;
	struct uuid id; /* as the image had it when last looked at; zero: it was not there */
};

struct topic_names {
	struct map by_name;
};

#define OFFSET_NEVER_EXPIRES (-1)

/* One commit, as a caller sees it. */
struct offset_value {
	int64_t offset;
	int32_t leader_epoch; /* -1: none */
	struct bytes metadata;
	int64_t commit_ms;    /* wall clock */
	int64_t expire_ms;    /* only of clients of before Kafka 2.1, which say so themselves; OFFSET_NEVER_EXPIRES */
	struct uuid topic_id; /* zero: the client knew none */
};

struct offset_extra {
	int64_t expire_ms;
	uint32_t metadata_size;
	uint8_t metadata[];
};

struct committed_offset {
	int64_t offset;
	int64_t commit_ms;
	int64_t order;
	struct offset_extra *extra; /* NULL: no metadata, no expiry of its own */
	int32_t partition;
	int32_t leader_epoch;
	uint32_t topic_id; /* 0: none; else ids[topic_id - 1] of its topic */
};

struct topic_offsets {
	struct topic_name *topic;
	struct committed_offset *offsets;
	size_t count;
	size_t capacity;
	struct uuid *ids; /* mostly one; of earlier topics of that name while offsets of them are here */
	size_t id_count;
};

struct offsets {
	struct topic_offsets **topics;
	size_t topic_count;
	size_t topic_capacity;
	size_t count; /* of all topics */
};

/* What one open transaction has committed in one group. */
struct pending_offsets {
	struct list_node in_group;
	struct list_node in_transaction;
	struct group *group;
	struct offset_transaction *transaction;
	struct offsets offsets;
};

struct offset_transaction {
	int64_t producer_id;
	struct list parts; /* of struct pending_offsets */
};

void topic_names_init(struct topic_names *n, struct map_seed seed);
/* Nobody uses any. */
void topic_names_fini(struct topic_names *n);
/* Notes the topic's id in the image, when somebody has offsets of it and it is not known yet. */
void topic_name_look(struct topic_names *n, struct bytes name, const struct image *image);

void offsets_fini(struct offsets *o, struct topic_names *n);
/* Sets it, whatever there was. */
void offsets_put(struct offsets *o, struct topic_names *n, struct bytes topic, int32_t partition,
		 const struct offset_value *value, int64_t order);
/* False when there was none. */
bool offsets_remove(struct offsets *o, struct topic_names *n, struct bytes topic, int32_t partition);
/* NULL when there are none. */
const struct topic_offsets *offsets_of_topic(const struct offsets *o, struct bytes topic);
const struct committed_offset *offsets_find(const struct topic_offsets *t, int32_t partition);
/* Its metadata points into the offset. */
struct offset_value offset_value(const struct topic_offsets *t, const struct committed_offset *c);

/* Of a group: committed, or pending in some transaction. */
bool offsets_committed(const struct group *g, struct bytes topic, int32_t partition);
bool offsets_pending(const struct group *g, struct bytes topic, int32_t partition);

/* The part of an open transaction in a group, made when there was none. */
struct pending_offsets *pending_offsets_of(struct groups *all, struct group *g, int64_t producer_id);
/* Its end: what is pending becomes committed, or is dropped. */
void transaction_end(struct groups *all, int64_t producer_id, bool committed);
/* Of a group that goes. */
void pending_offsets_free_all(struct groups *all, struct group *g);

#endif
