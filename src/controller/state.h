/* state: what the sources of the controller share: its insides. Not for others. */
#ifndef CONTROLLER_STATE_H
#define CONTROLLER_STATE_H

#include "base/map.h"
#include "controller/controller.h"
#include "controller/layout.h"

#define CONTROLLER_MAX_DELTA ((size_t)256 << 20)
#define CONTROLLER_MAX_NODE (METASTORE_MAX_BYTES + 1)

struct controller {
	struct shard *shard;
	const struct config *config;
	struct metastore *store;
	int32_t node_id;
	char *wanted_cluster_id;
	struct image_subscriber **subscribers;
	size_t subscriber_count;
	struct image *image;   /* shard 0's */
	int32_t epoch_version; /* of /controller_epoch, which fences */
	bool ousted;
	bool read_only;
	struct map busy; /* topic names that a request works on, '_' for '.' */
	struct event name_free;
};

/* The check that fences a multi. */
struct metastore_op controller_fence(const struct controller *c);
/* A fenced multi: ops[0] must be the fence. Notes when this controller was ousted: ERR_NOT_CONTROLLER. */
enum err controller_write_await(struct fiber *self, struct controller *c, struct metastore_op *ops, size_t count)
	MUST_CHECK;
/* The delta goes to all shards; an error of the buf is a mistake of the program. */
void controller_publish_await(struct fiber *self, struct controller *c, struct buf *delta);
/* Kafka's code for what the store said. */
enum err controller_store_error(enum err e);

/* Waits until none of the names (null ones are left out) is worked on, then takes them all; and gives them back. */
void controller_take_names_await(struct fiber *self, struct controller *c, const struct bytes *names, size_t count);
void controller_give_names(struct controller *c, const struct bytes *names, size_t count);

#endif
