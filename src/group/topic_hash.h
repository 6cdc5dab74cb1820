/*
 * topic_hash: by what a group sees that the topics which it subscribes to are no longer the same: Kafka's hash over id, name, partitions and the racks of
 * their replicas. It is recorded, so a group that another broker takes over does not rebalance for nothing. Pure.
 */
#ifndef GROUP_TOPIC_HASH_H
#define GROUP_TOPIC_HASH_H

#include "base/buf.h"

struct image;
struct image_topic;

/* `scratch` is for the bytes that are hashed; its contents go. */
int64_t topic_hash(const struct image *i, const struct image_topic *t, struct buf *scratch);
/* Of topics in order of their names; 0 for none. */
int64_t topics_hash(const int64_t *hashes, size_t count, struct buf *scratch);

#endif
