/*
 * offset_record: commits as records of __consumer_offsets (types 0 and 1), there and back.
 */
#ifndef GROUP_OFFSET_RECORD_H
#define GROUP_OFFSET_RECORD_H

#include "group/replay.h"

void offset_put_record(struct step *s, struct bytes group_id, struct bytes topic, int32_t partition,
		       const struct offset_value *value);
/* The offset goes from wherever it is, with a tombstone. */
void offset_forget(struct groups *all, struct group *g, struct step *s, struct bytes topic, int32_t partition);
enum err offset_replay(struct groups *all, const struct group_record *r);
/* Of type 0, which brokers of before 0.9 wrote. */
enum err offset_replay_legacy(struct groups *all, const struct group_record *r);

#endif
