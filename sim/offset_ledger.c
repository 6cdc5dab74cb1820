/* offset_ledger: see the header. */
#include "sim/offset_ledger.h"

#include <stddef.h>

void offset_ledger_init(struct offset_ledger *l)
{
	*l = (struct offset_ledger){.sent = -1, .acked = -1, .loose_from = INT64_MAX};
}

int64_t offset_ledger_send(struct offset_ledger *l)
{
	int64_t value = ++l->sent;

	if (l->open_count < OFFSET_LEDGER_OPEN)
		l->open[l->open_count++] = value;
	else if (value < l->loose_from)
		l->loose_from = value;
	return value;
}

void offset_ledger_answered(struct offset_ledger *l, int64_t value, enum offset_outcome outcome)
{
	if (outcome == OFFSET_OPEN)
		return;
	if (outcome == OFFSET_DONE && value > l->acked)
		l->acked = value;
	for (unsigned i = 0; i < l->open_count; i++)
		if (l->open[i] == value) {
			l->open[i] = l->open[--l->open_count];
			return;
		}
}

static bool is_open(const struct offset_ledger *l, int64_t value)
{
	for (unsigned i = 0; i < l->open_count; i++)
		if (l->open[i] == value)
			return true;
	return value >= l->loose_from;
}

const char *offset_ledger_told(struct offset_ledger *l, int64_t value)
{
	if (value < 0)
		return l->acked >= 0 ? "LOST: a committed offset is gone" : NULL;
	if (value > l->sent)
		return "an offset that nobody committed";
	if (value >= l->acked)
		offset_ledger_answered(l, value, OFFSET_DONE);
	else if (!is_open(l, value)) /* one that came late is told until the next */
		return "LOST: a committed offset went back";
	return NULL;
}
