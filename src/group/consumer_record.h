/* consumer_record: replaying of records 3 to 8 and 16. What is put is declared in consumer_group.h. */
#ifndef GROUP_CONSUMER_RECORD_H
#define GROUP_CONSUMER_RECORD_H

#include "group/replay.h"

enum err consumer_replay(struct groups *all, const struct group_record *r);

#endif
