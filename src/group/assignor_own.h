/* assignor_own: what the assignors share: who subscribed to a topic. */
#ifndef GROUP_ASSIGNOR_OWN_H
#define GROUP_ASSIGNOR_OWN_H

#include "group/assignor.h"

/* The members that want each topic, by place: `members[first[t]]` up to `members[first[t + 1]]`. */
struct subscribers {
	size_t *first; /* topic_count + 1 */
	uint32_t *members;
};

/* `order`: the members in the order in which they shall stand; NULL for that of their places. */
void subscribers_init(struct subscribers *s, const struct assignor_input *g, const uint32_t *order);
void subscribers_fini(struct subscribers *s);

static inline size_t subscribers_count(const struct subscribers *s, size_t topic)
{
	return s->first[topic + 1] - s->first[topic];
}

void assignor_range(struct assignor_input *g);
void assignor_uniform(struct assignor_input *g);

#endif
