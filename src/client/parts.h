/*
 * parts: sets of partitions, as a member of a group owns, gives up and gets them. Pure.
 *
 * Invariants: in order of the topics' names, then of numbers; each once. Topics are the cluster's, which never move (client/cluster.h).
 * Lifetime: zeroed is empty; parts_fini. One shard.
 */
#ifndef CLIENT_PARTS_H
#define CLIENT_PARTS_H

#include "client/cluster.h"

struct part {
	struct cluster_topic *topic;
	int32_t index;
};

struct parts {
	struct part *items;
	size_t count;
	size_t capacity;
};

void parts_fini(struct parts *s);
/* Puts it at the end: parts_sort makes a set of it. */
void parts_append(struct parts *s, struct cluster_topic *topic, int32_t index);
void parts_sort(struct parts *s);
bool parts_has(const struct parts *s, const struct cluster_topic *topic, int32_t index);
bool parts_equal(const struct parts *a, const struct parts *b);
/* Replaces what `to` has. `to` is neither of the others. */
void parts_copy(struct parts *to, const struct parts *from);
void parts_minus(struct parts *to, const struct parts *a, const struct parts *b);
void parts_plus(struct parts *to, const struct parts *a, const struct parts *b);
/* `from` is empty afterwards. */
void parts_move(struct parts *to, struct parts *from);

#endif
