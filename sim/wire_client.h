/*
 * wire_client: a connection of a simulated client to a broker: raw frames, many requests under way, answers in order.
 *
 *      wire_send -> [ frame | frame | frame ] -> socket          calls: oldest first, each waits for its answer
 *
 * Knows the protocol's promise and nothing of the broker: answers come in the order of the requests and carry their correlation
 * ids; anything else fails the history.
 * Lifetime: of a fiber of a client's node: wire_open_await .. wire_close. A call lives until it is over or the client is closed.
 */
#ifndef SIM_WIRE_CLIENT_H
#define SIM_WIRE_CLIENT_H

#include "base/arena.h"
#include "base/buf.h"
#include "protocol/codec.h"
#include "protocol/messages.h"
#include "runtime/fiber.h"
#include "runtime/socket.h"
#include "sim/sim.h"

struct wire_call {
	struct list_node node; /* in wire_client.calls, while it waits */
	struct request_header header;
	int64_t sent_us;    /* shard_now_us */
	int64_t sent_at_us; /* of the simulation */
	bool over;
	enum err error; /* ERR_CLOSED or ERR_CONNECTION_LOST: the connection ended before the answer */
	uint8_t *frame; /* the answer without its size; freed by wire_call_fini */
	size_t frame_size;
};

struct wire_client {
	struct socket_owner owner;
	struct sim *sim;
	struct shard *shard;
	struct socket *socket;
	struct event changed; /* an answer came, or the end */
	struct list calls;
	struct buf out;
	size_t out_at;
	uint8_t *in;
	size_t in_size;
	size_t in_capacity;
	int32_t next_correlation;
	enum err error; /* not OK: the connection is over */
};

/* Connects; on an error `c` needs no wire_close. */
enum err wire_open_await(struct fiber *self, struct sim *sim, const struct address *address, int64_t deadline_us,
			 struct wire_client *c) MUST_CHECK;
/* Calls that wait end with ERR_CLOSED. */
void wire_close(struct wire_client *c);

/* Encodes and sends. The request is needed no more afterwards. `answered` false: acks=0, nothing will come. */
void wire_send(struct wire_client *c, int16_t key, int16_t version, const void *request, bool answered,
	       struct wire_call *call);
/* Until it is over: OK (also with call->error set), ERR_TIMED_OUT, ERR_CANCELLED. */
enum err wire_wait_await(struct fiber *self, struct wire_client *c, struct wire_call *call, int64_t deadline_us)
	MUST_CHECK;
/* Decodes the answer of a call that is over without error; what it points to lives as long as call and arena. */
enum err wire_answer(struct wire_call *call, struct arena *a, void *ret_response) MUST_CHECK;
void wire_call_fini(struct wire_call *call);

/* Sends, waits and decodes; the connection is of no use after an error. `call` keeps the bytes: wire_call_fini always. */
enum err wire_ask_await(struct fiber *self, struct wire_client *c, int16_t key, int16_t version, const void *request,
			int64_t timeout_us, struct wire_call *call, struct arena *a, void *ret_response) MUST_CHECK;

#endif
