/*
 * offset_rules: which partitions of a ListOffsets are answered without asking their log, and with what. Pure: the request, the image, a version.
 */
#ifndef BROKER_HANDLE_OFFSET_RULES_H
#define BROKER_HANDLE_OFFSET_RULES_H

#include "base/arena.h"
#include "metadata/image.h"
#include "protocol/messages.h"

enum {
	OFFSET_LATEST = -1,
	OFFSET_EARLIEST = -2,
	OFFSET_MAX_TIMESTAMP = -3,
	OFFSET_EARLIEST_LOCAL = -4,
	OFFSET_LATEST_TIERED = -5,
	OFFSET_EARLIEST_PENDING_UPLOAD = -6,
};

/* The partitions that it names, each as often as it does. */
size_t offset_count(const struct list_offsets_request *body);

/*
 * For each of them in order, whether the request names it more than once: the first of them is told too. False: the arena is full.
 */
bool offset_find_repeated(const struct list_offsets_request *body, struct map_seed seed, struct arena *arena,
			  bool *ret_repeated) MUST_CHECK;

/* OK: its log has to be asked. `topic` is NULL when there is none. */
enum err offset_refuse(const struct image_topic *topic, const struct list_offsets_request_list_offsets_partition *asked,
		       bool repeated, int16_t version) MUST_CHECK;

#endif
