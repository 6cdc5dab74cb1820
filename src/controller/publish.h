/*
 * publish: brings a delta from shard 0 to the image of every shard, and tells when all of them have it.
 *
 *      shard 0: publish_await ---- delta_message ----> each shard: image_apply, subscriber.changed ... released
 *               (waits)       <--- the same, back ---
 *
 * Invariants: every shard applies the same deltas in the same order (messages between two shards keep theirs, and shard 0 sends
 * in one order); a delta that the controller made fits every image (must).
 */
#ifndef CONTROLLER_PUBLISH_H
#define CONTROLLER_PUBLISH_H

#include "metadata/image.h"
#include "runtime/fiber.h"

struct delta_message;

/* One a shard, embedded in what the shard holds; lives as long as the controller. */
struct image_subscriber {
	struct shard *shard;
	struct image *image;
	/*
	 * The image has just been changed by `delta` (delta.h reads it; topics that were removed are no longer in the image).
	 * Called on its shard; must not suspend; may be NULL. Who has work to finish before the controller may answer holds the message.
	 */
	void (*changed)(struct image_subscriber *s, struct bytes delta, struct delta_message *m);
};

/* Keeps the controller waiting until the same number of releases (on this shard). */
void delta_message_hold(struct delta_message *m);
void delta_message_release(struct delta_message *m);

/* On shard 0. Returns when every subscriber has applied it and released it. Copies nothing: `delta` lives until then. */
void publish_await(struct fiber *self, struct image_subscriber *const *subscribers, size_t count, struct bytes delta);

#endif
