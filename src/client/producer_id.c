/* producer_id: the id and epoch by which brokers know repetitions (InitProducerId), and new epochs. */
#include <stdio.h>

#include "client/producer_own.h"
#include "protocol/messages.h"

#define INIT_PRODUCER_ID_NEWEST 5
#define ARENA_MAX ((size_t)64 * 1024)

static enum err ask_id_await(struct fiber *self, struct producer *p)
{
	const struct client_config *g = p->options.config;
	int64_t deadline_us = shard_now_us(p->options.shard) + g->request_timeout_ms * 1000;
	struct init_producer_id_response response;
	struct init_producer_id_request request;
	struct blob *frame = NULL;
	struct peer *peer = NULL;
	struct arena arena;
	enum err e = cluster_any_await(self, p->options.cluster, deadline_us, &peer);

	if (e)
		return e;
	arena_init(&arena, ARENA_MAX);
	message_init(&init_producer_id_request_type, &request);
	request.transactional_id = bytes_null();
	request.transaction_timeout_ms = INT32_MAX;
	e = peer_ask_await(self, peer,
			   &(struct peer_ask){.api_key = API_INIT_PRODUCER_ID,
					      .newest = INIT_PRODUCER_ID_NEWEST,
					      .deadline_us = deadline_us,
					      .request = &request,
					      .response = &response,
					      .arena = &arena},
			   NULL, &frame);
	if (!e) {
		e = (enum err)response.error_code;
		if (!e) {
			p->producer_id = response.producer_id;
			p->producer_epoch = response.producer_epoch;
		}
		blob_unref(frame);
	}
	arena_fini(&arena);
	return e;
}

static void producer_id_main(struct fiber *self, void *argument)
{
	struct producer *p = argument;
	unsigned failures = 0;

	while (p->producer_id == NO_PRODUCER_ID && !p->stopping && !fiber_cancelled(self)) {
		enum err e = ask_id_await(self, p);

		if (!e || p->stopping)
			break;
		if (e == ERR_UNSUPPORTED || (e > -1000 && !err_retriable(e))) {
			p->id_error = e;
			snprintf(p->id_text, sizeof(p->id_text),
				 "no producer id: %s; enable.idempotence=false does without one", err_text(e));
			break;
		}
		if (p->options.config->fail_fast && p->options.cluster->error) {
			p->id_error = e;
			snprintf(p->id_text, sizeof(p->id_text), "%.350s; is the broker running?",
				 p->options.cluster->why);
			break;
		}
		if (fiber_sleep_await(self, client_backoff_us(p->options.shard, p->options.config, ++failures)) != OK)
			break;
	}
	if (!p->stopping)
		producer_wake(p);
}

static void start_asking(struct producer *p)
{
	static const struct fiber_options options = {.name = "client_producer_id", .joinable = true};

	if (p->id_fiber)
		return;
	p->id_fiber = fiber_start(p->options.shard, &options, producer_id_main, p);
	must(p->id_fiber);
}

bool producer_id_ready(struct producer *p)
{
	if (!p->options.config->idempotence || p->producer_id != NO_PRODUCER_ID)
		return true;
	/* That of a transactional producer comes by mo_txn_init. */
	if (!p->transaction)
		start_asking(p);
	return false;
}

bool producer_renew(struct producer *p, struct produce_line *l)
{
	if (p->producer_id == NO_PRODUCER_ID)
		return producer_id_ready(p);
	if (l->producer_id == p->producer_id && l->producer_epoch == p->producer_epoch) {
		if (p->producer_epoch == INT16_MAX) {
			p->producer_id = NO_PRODUCER_ID;
			return producer_id_ready(p);
		}
		p->producer_epoch++;
	}
	produce_line_renew(l, p->producer_id, p->producer_epoch);
	return true;
}
