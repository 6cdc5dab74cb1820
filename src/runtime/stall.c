/* stall: see the header. */
#include "runtime/stall.h"

static struct stall_culprit *culprit_of(struct stall_watch *w, const char *kind, const char *name,
					void (*function)(void))
{
	struct stall_culprit *c;

	if (name)
		function = NULL;
	for (size_t i = 0; i < w->culprit_count; i++) {
		c = &w->culprits[i];
		if (c->kind == kind && c->name == name && c->function == function)
			return c;
	}
	if (w->culprit_count == STALL_CULPRITS)
		return &w->culprits[STALL_CULPRITS - 1];
	c = &w->culprits[w->culprit_count++];
	if (w->culprit_count < STALL_CULPRITS)
		*c = (struct stall_culprit){.kind = kind, .name = name, .function = function};
	else
		*c = (struct stall_culprit){.kind = "others"};
	return c;
}

enum stall_verdict stall_note(struct stall_watch *w, int64_t now_us, const char *kind, const char *name,
			      void (*function)(void), int64_t *ret_took_us, uint64_t *ret_unsaid)
{
	int64_t took_us = now_us - w->mark_us;
	struct stall_culprit *c;

	w->mark_us = now_us;
	if (took_us < STALL_US)
		return STALL_NONE;
	w->count++;
	w->total_us += took_us;
	w->longest_us = took_us > w->longest_us ? took_us : w->longest_us;
	c = culprit_of(w, kind, name, function);
	c->count++;
	c->total_us += took_us;
	if (took_us < STALL_LINE_US || now_us < w->next_line_us) {
		w->unsaid++;
		return STALL_COUNTED;
	}
	*ret_took_us = took_us;
	*ret_unsaid = w->unsaid;
	w->unsaid = 0;
	w->next_line_us = now_us + STALL_LINE_EVERY_US;
	return STALL_SAY;
}
