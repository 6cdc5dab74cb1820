/*
 * init_producer_id: InitProducerId 0-5. Without a transactional id a new producer id each time, whatever was given (behaviours no. 28). With one its
 * coordinator decides; where that needs a producer id it is asked a second time, with one.
 * May call: the controller's supply of ids, coordinate.h, txn/txn.h.
 */
#include "broker/handle/coordinate.h"
#include "broker/handle/handle.h"
#include "broker/handle/told.h"
#include "controller/controller.h"
#include "protocol/messages.h"

#define FENCED_FROM 4 /* older clients know PRODUCER_FENCED as INVALID_PRODUCER_EPOCH */

struct init_try {
	struct coordination coordination;
	struct coordinated part;
};

struct init_producer_id {
	struct init_try tries[2];
	struct txn_init_call txn;
	struct event second;
	bool second_is_over;
};

static void answer(struct request *rq, enum err e, int64_t producer_id, int16_t epoch)
{
	struct init_producer_id_response told;

	if (e == ERR_PRODUCER_FENCED && rq->header.api_version < FENCED_FROM)
		e = ERR_INVALID_PRODUCER_EPOCH;
	message_init(&init_producer_id_response_type, &told);
	told.error_code = err_to_kafka(e);
	told.producer_id = e ? -1 : producer_id;
	told.producer_epoch = e ? -1 : epoch;
	request_reply(rq, &told);
}

static enum err next_await(struct fiber *self, struct request *rq, int64_t *ret_id)
{
	/* No block can be had now: the client tries again, as when Kafka has not got one yet. */
	return producer_ids_next_await(self, broker_controller(rq->broker->broker), &rq->broker->producer_ids, ret_id)
		       ? ERR_COORDINATOR_LOAD_IN_PROGRESS
		       : OK;
}

/* --- with a transactional id ------------------------------------------------------------------------------------------ */

static void run_init(void *state, struct step *out, struct coordinator_call *c)
{
	txn_init(state, out, container_of(c, struct txn_init_call, call));
}

static void go(struct request *rq, struct init_try *t, void (*over)(struct request *rq))
{
	const struct init_producer_id_request *body = rq->body;
	struct init_producer_id *i = rq->state;

	coordination_init(&t->coordination, rq, over);
	t->part = (struct coordinated){.call = &i->txn.call, .run = run_init};
	coordination_add(&t->coordination, &t->part, INTERNAL_TRANSACTIONS, body->transactional_id);
	coordination_go(&t->coordination);
}

static void tell(struct request *rq)
{
	const struct txn_init_call *c = &((struct init_producer_id *)rq->state)->txn;

	answer(rq, c->call.error ? c->call.error : (enum err)c->response.error_code, c->response.producer_id,
	       c->response.producer_epoch);
}

static void second_over(struct request *rq)
{
	struct init_producer_id *i = rq->state;

	i->second_is_over = true;
	event_signal(&i->second);
}

static void with_fresh_id_main(struct fiber *self, struct request *rq)
{
	struct init_producer_id *i = rq->state;
	enum err e = next_await(self, rq, &i->txn.fresh_producer_id);

	if (e) {
		answer(rq, e, -1, -1);
		return;
	}
	event_init(&i->second);
	go(rq, &i->tries[1], second_over);
	while (!i->second_is_over)
		if (event_wait_await(self, &i->second, FIBER_NO_DEADLINE))
			fiber_yield_await(self);
	tell(rq);
}

static void first_over(struct request *rq)
{
	const struct txn_init_call *c = &((struct init_producer_id *)rq->state)->txn;

	if (!c->call.error && c->needs_producer_id)
		request_run_fiber(rq, "init-producer-id", with_fresh_id_main);
	else
		tell(rq);
}

/* --- without one ------------------------------------------------------------------------------------------------------ */

static void of_nobody_main(struct fiber *self, struct request *rq)
{
	int64_t id = -1;
	enum err e = next_await(self, rq, &id);

	answer(rq, e, id, 0);
}

static void init_producer_id_begin(struct request *rq)
{
	const struct init_producer_id_request *body = rq->body;
	enum err e = txn_init_check(&rq->broker->txn_options, body);
	struct init_producer_id *i;

	if (e) {
		answer(rq, e, -1, -1);
		return;
	}
	if (bytes_is_null(body->transactional_id)) {
		request_run_fiber(rq, "init-producer-id", of_nobody_main);
		return;
	}
	i = told_alloc(rq, 1, sizeof(*i));
	if (!i)
		return;
	rq->state = i;
	i->txn.request = body;
	i->txn.fresh_producer_id = -1;
	i->txn.first_epoch = shard_fault(rq->shard, FAULT_EPOCHS_NEARLY_USED) ? INT16_MAX - 6 : 0;
	go(rq, &i->tries[0], first_over);
}

const struct api_handler init_producer_id_handler = {
	.key = API_INIT_PRODUCER_ID,
	.min_version = 0,
	.max_version = 5, /* 6 is unstable */
	.begin = init_producer_id_begin,
};
