/* publish: see the header. */
#include "controller/publish.h"

#include "base/alloc.h"

struct publish {
	struct fiber *caller;
	size_t waiting;
	struct bytes delta;
};

struct delta_message {
	struct message message;
	struct publish *publish;
	struct image_subscriber *subscriber;
	struct shard *home;
	unsigned holds; /* touched on the subscriber's shard only */
};

void delta_message_hold(struct delta_message *m)
{
	m->holds++;
}

static void came_back(struct shard *at, struct message *message)
{
	struct delta_message *m = container_of(message, struct delta_message, message);

	(void)at;
	if (--m->publish->waiting == 0)
		fiber_wake(m->publish->caller);
}

void delta_message_release(struct delta_message *m)
{
	must(m->holds > 0);
	if (--m->holds)
		return;
	m->message.run = came_back;
	shard_send(m->subscriber->shard, m->home, &m->message);
}

static void arrived(struct shard *at, struct message *message)
{
	struct delta_message *m = container_of(message, struct delta_message, message);
	struct image_subscriber *s = m->subscriber;
	struct bytes delta = m->publish->delta;

	must(s->shard == at);
	must(image_apply(s->image, delta) == OK);
	delta_message_hold(m);
	if (s->changed)
		s->changed(s, delta, m);
	delta_message_release(m);
}

void publish_await(struct fiber *self, struct image_subscriber *const *subscribers, size_t count, struct bytes delta)
{
	struct publish p = {.caller = self, .waiting = count, .delta = delta};
	struct delta_message *messages = mem_zalloc(count * sizeof(*messages));
	struct shard *home = fiber_shard(self);

	/* All are sent in one go: deltas of two fibers keep one order at every shard. */
	for (size_t i = 0; i < count; i++) {
		messages[i] = (struct delta_message){
			.message = {.run = arrived}, .publish = &p, .subscriber = subscribers[i], .home = home};
		shard_send(home, subscribers[i]->shard, &messages[i].message);
	}
	while (p.waiting)
		fiber_park_await(self);
	mem_free(messages);
}
