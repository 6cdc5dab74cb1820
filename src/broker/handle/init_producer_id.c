/*
 * init_producer_id: InitProducerId 0-5. Without a transactional id a new producer id each time, whatever was given (behaviours
 * no. 28). With one: this broker coordinates no transactions yet. May call: the controller's supply of ids, request.h.
 */
#include "broker/handle/handle.h"
#include "controller/controller.h"
#include "protocol/messages.h"

static void answer(struct request *rq, enum err e, int64_t producer_id)
{
	struct init_producer_id_response told;

	message_init(&init_producer_id_response_type, &told);
	told.error_code = err_to_kafka(e);
	told.producer_id = e ? -1 : producer_id;
	told.producer_epoch = e ? -1 : 0;
	request_reply(rq, &told);
}

static void init_producer_id_main(struct fiber *self, struct request *rq)
{
	int64_t id = -1;
	enum err e = producer_ids_next_await(self, broker_controller(rq->broker->broker), &rq->broker->producer_ids,
					     &id);

	/* No block can be had now: the client tries again, as when Kafka has not got one yet. */
	answer(rq, e ? ERR_COORDINATOR_LOAD_IN_PROGRESS : OK, id);
}

static void init_producer_id_begin(struct request *rq)
{
	const struct init_producer_id_request *body = rq->body;

	if (bytes_is_null(body->transactional_id))
		request_run_fiber(rq, "init-producer-id", init_producer_id_main);
	else
		answer(rq, body->transactional_id.size == 0 ? ERR_INVALID_REQUEST : ERR_NOT_COORDINATOR, -1);
}

const struct api_handler init_producer_id_handler = {
	.key = API_INIT_PRODUCER_ID,
	.min_version = 0,
	.max_version = 5, /* 6 is unstable */
	.begin = init_producer_id_begin,
};
