/* end_txn: EndTxn 0-5. Its coordinator decides; where that needs another producer id it is asked a second time, with one. May call: coordinate.h, txn/txn.h. */
#include "broker/handle/coordinate.h"
#include "broker/handle/handle.h"
#include "broker/handle/told.h"
#include "controller/controller.h"
#include "protocol/messages.h"

#define FENCED_FROM 2 /* older clients know PRODUCER_FENCED as INVALID_PRODUCER_EPOCH */

struct end_try {
	struct coordination coordination;
	struct coordinated part;
};

struct end_txn {
	struct end_try tries[2];
	struct txn_end_call txn;
	struct event second;
	bool second_is_over;
};

static void run_end(void *state, struct step *out, struct coordinator_call *c)
{
	txn_end(state, out, container_of(c, struct txn_end_call, call));
}

static void refuse(struct request *rq, enum err e)
{
	struct end_txn_response told;

	message_init(&end_txn_response_type, &told);
	told.error_code = err_to_kafka(e);
	request_reply(rq, &told);
}

static void tell(struct request *rq)
{
	struct txn_end_call *c = &((struct end_txn *)rq->state)->txn;

	if (c->call.error) {
		refuse(rq, c->call.error);
		return;
	}
	if (c->response.error_code == ERR_PRODUCER_FENCED && rq->header.api_version < FENCED_FROM)
		c->response.error_code = ERR_INVALID_PRODUCER_EPOCH;
	request_reply(rq, &c->response);
}

static void go(struct request *rq, struct end_try *t, void (*over)(struct request *rq))
{
	const struct end_txn_request *body = rq->body;
	struct end_txn *e = rq->state;

	coordination_init(&t->coordination, rq, over);
	t->part = (struct coordinated){.call = &e->txn.call, .run = run_end};
	coordination_add(&t->coordination, &t->part, INTERNAL_TRANSACTIONS, body->transactional_id);
	coordination_go(&t->coordination);
}

static void second_over(struct request *rq)
{
	struct end_txn *e = rq->state;

	e->second_is_over = true;
	event_signal(&e->second);
}

static void with_fresh_id_main(struct fiber *self, struct request *rq)
{
	struct end_txn *e = rq->state;

	if (producer_ids_next_await(self, broker_controller(rq->broker->broker), &rq->broker->producer_ids,
				    &e->txn.fresh_producer_id)) {
		refuse(rq, ERR_COORDINATOR_LOAD_IN_PROGRESS);
		return;
	}
	event_init(&e->second);
	go(rq, &e->tries[1], second_over);
	while (!e->second_is_over)
		if (event_wait_await(self, &e->second, FIBER_NO_DEADLINE))
			fiber_yield_await(self);
	tell(rq);
}

static void first_over(struct request *rq)
{
	const struct txn_end_call *c = &((struct end_txn *)rq->state)->txn;

	if (!c->call.error && c->needs_producer_id)
		request_run_fiber(rq, "end-txn", with_fresh_id_main);
	else
		tell(rq);
}

static void end_txn_begin(struct request *rq)
{
	const struct end_txn_request *body = rq->body;
	struct end_txn *e;

	if (body->transactional_id.size == 0) {
		refuse(rq, ERR_INVALID_REQUEST);
		return;
	}
	e = told_alloc(rq, 1, sizeof(*e));
	if (!e)
		return;
	rq->state = e;
	e->txn.request = body;
	e->txn.version = rq->header.api_version;
	e->txn.fresh_producer_id = -1;
	go(rq, &e->tries[0], first_over);
}

const struct api_handler end_txn_handler = {
	.key = API_END_TXN,
	.min_version = 0,
	.max_version = 5,
	.begin = end_txn_begin,
};
