/*
 * offset_ledger: what one committer knows of the offset that its group has for a partition. It commits 0, 1, 2, ..., so a value tells which commit
 * it is from. Pure.
 *
 *      acked 7      5 open                      told 9: fine, if 9 was sent
 *      it never goes back below 7 again, but a commit whose outcome is open (5) may come late, when its connection has long gone
 */
#ifndef SIM_OFFSET_LEDGER_H
#define SIM_OFFSET_LEDGER_H

#include <stdbool.h>
#include <stdint.h>

#define OFFSET_LEDGER_OPEN 64

struct offset_ledger {
	int64_t sent;  /* the last; -1: none */
	int64_t acked; /* the greatest; -1: none */
	int64_t open[OFFSET_LEDGER_OPEN];
	unsigned open_count;
	int64_t loose_from; /* beyond that many: whatever is from here on may come late */
};

enum offset_outcome { OFFSET_DONE, OFFSET_NOT_DONE, OFFSET_OPEN };

void offset_ledger_init(struct offset_ledger *l);
/* The next value to commit. */
int64_t offset_ledger_send(struct offset_ledger *l);
void offset_ledger_answered(struct offset_ledger *l, int64_t value, enum offset_outcome outcome);
/* What a fetch said (-1: none); NULL when that may be, else what is wrong. What was told once never goes back either. */
const char *offset_ledger_told(struct offset_ledger *l, int64_t value);

#endif
