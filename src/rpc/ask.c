/* ask: calls as a fiber makes them. */
#include "rpc/peer_own.h"

struct waiting_call {
	struct peer_call call;
	struct fiber *fiber;
	bool done;
};

static void wake_caller(struct peer_call *c)
{
	struct waiting_call *w = container_of(c, struct waiting_call, call);

	w->done = true;
	fiber_wake(w->fiber);
}

static enum err wait_call_await(struct fiber *self, struct peer *p, struct waiting_call *w)
{
	while (!w->done) {
		if (fiber_cancelled(self)) {
			peer_call_cancel(p, &w->call);
			return ERR_CANCELLED;
		}
		fiber_park_await(self);
	}
	return w->call.error;
}

enum err peer_exchange_await(struct fiber *self, struct peer *p, const struct peer_call *c,
			     enum err (*send)(struct peer *p, struct peer_call *c), struct blob **ret_frame)
{
	struct waiting_call w = {.call = *c, .fiber = self};
	enum err e;

	w.call.done = wake_caller;
	e = send(p, &w.call);
	if (!e && c->sent)
		c->sent(c->user);
	if (!e)
		e = wait_call_await(self, p, &w);
	if (!e)
		*ret_frame = w.call.frame;
	return e;
}

enum err peer_ready_await(struct fiber *self, struct peer *p, int64_t deadline_us)
{
	unsigned failures = p->failure_count;

	while (peer_state(p) != PEER_READY) {
		enum err e;

		if (p->failure_count != failures)
			return p->why_error;
		peer_wake(p);
		if (p->failure_count != failures)
			return p->why_error;
		e = event_wait_await(self, &p->ready_or_failed, deadline_us);
		if (e)
			return e;
	}
	return OK;
}

enum err peer_ask_await(struct fiber *self, struct peer *p, const struct peer_ask *ask, int16_t *ret_version,
			struct blob **ret_frame)
{
	struct peer_call call;
	int16_t version = 0;
	enum err e = peer_ready_await(self, p, ask->deadline_us);

	if (e)
		return e;
	e = peer_version(p, ask->api_key, ask->newest, &version);
	if (e)
		return e;
	call = (struct peer_call){
		.api_key = ask->api_key,
		.version = version,
		.deadline_us = ask->deadline_us,
		.request = ask->request,
		.response = ask->response,
		.arena = ask->arena,
		.sent = ask->sent,
		.user = ask->user,
	};
	e = peer_exchange_await(self, p, &call, peer_send, ret_frame);
	if (!e && ret_version)
		*ret_version = version;
	return e;
}
