/* core: see the header. */
#include "client/core.h"

#include "base/alloc.h"

/* How long a peer that was freed may take to end is asked so often. */
#define PEER_END_POLL_US 1000
/* What mo_client_close takes at most for a last commit and for leaving the group; who wants more calls mo_consumer_close. */
#define LEAVE_US 5000000

static void on_changed(void *user)
{
	struct client *c = user;

	producer_wake(c->producer);
	consumer_wake(c->consumer);
	if (c->group)
		group_wake(c->group);
}

static void on_wants_committed(void *client)
{
	struct client *c = client;

	group_wants_committed(c->group);
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
							      .located = sink->located,
							      .user = sink->user,
							      .wants_committed = on_wants_committed,
							      .group = c});
	if (config->group_id[0])
		c->group = group_new(&(struct group_options){.shard = s,
							     .config = config,
							     .cluster = &c->cluster,
							     .consumer = c->consumer,
							     .sink = sink->group,
							     .user = sink->user});
	if (config->transactional_id[0])
		c->transaction = transaction_new(&(struct transaction_options){.shard = s,
									       .config = config,
									       .cluster = &c->cluster,
									       .producer = c->producer,
									       .changed = sink->transaction,
									       .settled = sink->settled,
									       .user = sink->user});
	c->cluster.changed_hook = on_changed;
	c->cluster.user = c;
	cluster_start(&c->cluster);
	*ret_client = c;
	return OK;
}

void client_stop_await(struct fiber *self, struct client *c)
{
	/* With the fetchers still there, since what it leaves behind is committed first. */
	if (c->group)
		group_stop_await(self, c->group, LEAVE_US);
	if (c->transaction)
		transaction_stop_await(self, c->transaction, LEAVE_US);
	c->stopping = true;
	producer_stop_await(self, c->producer);
	consumer_stop_await(self, c->consumer);
	cluster_stop_await(self, &c->cluster);
	if (c->group)
		group_end(c->group);
	if (c->transaction)
		transaction_disconnect(c->transaction);
	cluster_end(&c->cluster);
	while (c->cluster.peers_alive > 0)
		(void)fiber_sleep_await(self, PEER_END_POLL_US);
}

void client_free(struct client *c)
{
	group_free(c->group);
	producer_free(c->producer);
	transaction_free(c->transaction);
	consumer_free(c->consumer);
	cluster_fini(&c->cluster);
	compressor_free(c->compressor);
	budget_fini(&c->frames);
	mem_free(c);
}
