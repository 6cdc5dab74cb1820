/*
 * replay: a record of __consumer_offsets taken apart, for whoever replays its type. Where a record type leads is in machine.c.
 */
#ifndef GROUP_REPLAY_H
#define GROUP_REPLAY_H

#include "group/groups.h"

struct group_record {
	const struct replayed *from;
	int16_t type;
	bool tombstone;
	int16_t version;     /* of the value */
	struct bytes key;    /* behind the type */
	struct bytes value;  /* behind the version */
	struct arena *arena; /* for what the codec needs, of this record alone */
};

/* ERR_CORRUPT where it does not parse, or has a version that is not known: a record that cannot be read must not be taken for none. */
enum err record_key(const struct group_record *r, const struct message_type *t, void *ret_key) MUST_CHECK;
enum err record_value(const struct group_record *r, const struct message_type *t, void *ret_value) MUST_CHECK;

#endif
