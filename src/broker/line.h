/*
 * line: the requests of one connection in the order in which they came, and the two rules of that order. Pure.
 *
 *      first                                       last
 *      Produce (ordered) | Fetch (ordered, answered) | Produce (begun)        the next may not begin yet
 *      ^ its answer leaves first: Fetch's waits behind it
 *
 * Invariants
 * 1. A request begins only when all before it have been answered or passed their ordered stage, and at most `max` are in the line.
 * 2. Answers leave in the order of the requests, each once.
 * Not here: sending (net/conn), what a request does (handle/).
 */
#ifndef BROKER_LINE_H
#define BROKER_LINE_H

#include "broker/request.h"

struct line {
	struct list requests;
	size_t count;
	size_t max;
	/* The turn of this request's answer came; it has left the line. */
	void (*leave)(struct line *l, struct request *rq);
};

void line_init(struct line *l, size_t max, void (*leave)(struct line *l, struct request *rq));
bool line_may_begin(const struct line *l);
void line_add(struct line *l, struct request *rq);
/* rq->answered was set: lets go who may go. */
void line_answered(struct line *l);
/* Takes the first out, whatever its state; NULL when there is none. */
struct request *line_take_first(struct line *l);

#endif
