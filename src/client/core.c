/* core: see the header. */
#include "client/core.h"

#include "base/alloc.h"

/* How long a peer that was freed may take to end is asked so often. */
#define PEER_END_POLL_US 1000

static void on_changed(void *user)
{
	struct client *c = user;

	producer_wake(c->producer);
	consumer_wake(c->consumer);
}

/* Answers that are held by the caller, one that arrives, and room for small ones beside them. */
static size_t frame_bytes(const struct client_config *g)
{
	return (size_t)g->queued_max_kbytes * 1024 + (size_t)g->fetch_max_bytes * 2 + (size_t)16 * 1024 * 1024;
}

enum err client_new(struct shard *s, const struct client_config *config, const struct client_sink *sink,
		    struct buf *message, struct client **ret_client)
{
	struct client *c = mem_new(struct client);
	enum err e;

	c->shard = s;
	c->config = config;
	budget_init(&c->frames, s, frame_bytes(config));
	e = cluster_init(&c->cluster, s, config, &c->frames, message);
	if (e) {
		budget_fini(&c->frames);
		mem_free(c);
		return e;
	}
	c->compressor = compressor_new();
	c->producer = producer_new(&(struct producer_options){.shard = s,
							      .config = config,
							      .cluster = &c->cluster,
							      .compressor = c->compressor,
							      .outcome = sink->outcome,
							      .user = sink->user});
	c->consumer = consumer_new(&(struct consumer_options){.shard = s,
							      .config = config,
							      .cluster = &c->cluster,
							      .compressor = c->compressor,
							      .hand_over = sink->hand_over,
							      .user = sink->user});
	c->cluster.changed_hook = on_changed;
	c->cluster.user = c;
	cluster_start(&c->cluster);
	*ret_client = c;
	return OK;
}

void client_stop_await(struct fiber *self, struct client *c)
{
	c->stopping = true;
	producer_stop_await(self, c->producer);
	consumer_stop_await(self, c->consumer);
	cluster_stop_await(self, &c->cluster);
	cluster_end(&c->cluster);
	while (c->cluster.peers_alive > 0)
		(void)fiber_sleep_await(self, PEER_END_POLL_US);
}

void client_free(struct client *c)
{
	producer_free(c->producer);
	consumer_free(c->consumer);
	cluster_fini(&c->cluster);
	compressor_free(c->compressor);
	budget_fini(&c->frames);
	mem_free(c);
}
