/*
 * assign_sticky: what both sticky assignors share between their two ways of deciding: one for members that all want the same topics, which fills
 * quotas, and one for all others, which balances step by step.
 */
#ifndef CLIENT_ASSIGN_STICKY_H
#define CLIENT_ASSIGN_STICKY_H

#include "client/assign_own.h"

struct sticky_member {
	struct assign_owned owned;
	int32_t generation; /* of what it owned; -1: none */
};

struct sticky_plan {
	struct plan *plan;
	struct sticky_member *members;
	int32_t newest_generation;
	bool racks_matter;
	uint8_t *contested;   /* a partition: two members of one generation said that it is theirs */
	uint8_t *on_the_move; /* a partition: its owner is to give it up first (of members that want the same) */
};

/* The partition that a member named, or NOBODY. */
uint32_t sticky_partition(const struct plan *p, uint32_t topic, int32_t number);
bool sticky_rack_differs(const struct sticky_plan *s, uint32_t member, uint32_t partition);
bool sticky_wants(const struct plan_member *m, uint32_t topic);

/* From the lists as they were claimed to the lists as decided. False: the arena is full. */
bool sticky_fill_quotas(struct sticky_plan *s) MUST_CHECK;
bool sticky_balance(struct sticky_plan *s) MUST_CHECK;

#endif
