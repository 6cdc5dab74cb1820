/* line: see the header. */
#include "broker/line.h"

#include "base/mutant.h"

void line_init(struct line *l, size_t max, void (*leave)(struct line *l, struct request *rq))
{
	*l = (struct line){.max = max, .leave = leave};
	list_init(&l->requests);
}

bool line_may_begin(const struct line *l)
{
	const struct request *last;

	if (l->count >= l->max)
		return false;
	if (list_empty(&l->requests) || MUTANT(APPEND_OVERTAKES))
		return true;
	/* Looking at the last is enough: it began only when those before it were past their stage. */
	last = container_of(l->requests.head.previous, struct request, node);
	return last->ordered || last->answered;
}

void line_add(struct line *l, struct request *rq)
{
	list_push_back(&l->requests, &rq->node);
	l->count++;
}

struct request *line_take_first(struct line *l)
{
	struct list_node *n = list_pop_front(&l->requests);

	if (!n)
		return NULL;
	l->count--;
	return container_of(n, struct request, node);
}

void line_answered(struct line *l)
{
	while (!list_empty(&l->requests)) {
		struct request *first = container_of(list_first(&l->requests), struct request, node);

		if (!first->answered)
			return;
		(void)line_take_first(l);
		l->leave(l, first);
	}
}
