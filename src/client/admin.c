/* admin: see the header. */
#include "client/admin.h"

#include <stdio.h>

#include "client/api.h"
#include "protocol/messages.h"

int admin_explain(struct client *c, enum err e, int16_t api_key, struct mo_err *ret_error)
{
	const char *why = c->cluster.why;

	if (e == ERR_UNSUPPORTED)
		return api_error(ret_error, e, "the broker does not know %s in a version that this program speaks",
				 api_name(api_key));
	if (e > -1000)
		return api_error(ret_error, e, "%s", err_text(e));
	if (why[0])
		return api_error(ret_error, e, "%s; is the broker running? start one with `moldau broker`", why);
	return api_error(ret_error, e, "no answer to %s: %s", api_name(api_key), err_text(e));
}

/* Waits until it is known who leads the partition that the question is about. */
static enum err leader_await(struct fiber *self, const struct admin_question *q, int64_t deadline_us,
			     struct peer **ret_peer)
{
	struct cluster *cluster = &q->client->cluster;
	const struct cluster_topic *t = cluster_topic(cluster, q->topic, false);
	enum err e = OK;

	while (!e) {
		if (!t->error && t->partition_count > 0) {
			if (q->partition >= t->partition_count)
				return ERR_UNKNOWN_TOPIC_OR_PARTITION;
			*ret_peer = cluster_leader(cluster, t, q->partition);
			if (*ret_peer)
				return OK;
		}
		if (t->error && t->error != ERR_AGAIN &&
		    (!err_retriable(t->error) || t->error == ERR_UNKNOWN_TOPIC_OR_PARTITION))
			return t->error;
		cluster_refresh(cluster);
		e = cluster_wait_await(self, cluster, deadline_us);
	}
	return e;
}

static enum err look_at(const struct admin_question *q)
{
	struct admin_outcome o;

	if (q->look)
		return q->look(q->response);
	if (!q->outcome)
		return OK;
	if (!q->outcome(q->response, &o))
		return ERR_MALFORMED;
	/* A broker that does not find the controller, or was told to slow down. */
	return o.code == ERR_NOT_CONTROLLER || o.code == ERR_THROTTLING_QUOTA_EXCEEDED ? (enum err)o.code : OK;
}

static enum err ask_once_await(struct fiber *self, const struct admin_question *q, struct blob **ret_frame)
{
	struct cluster *cluster = &q->client->cluster;
	int64_t now_us = shard_now_us(q->client->shard);
	int64_t deadline_us = now_us + q->client->config->request_timeout_ms * 1000;
	struct blob *frame = NULL;
	struct peer *peer = NULL;
	enum err e;

	/* Every broker passes on what the controller decides (Kafka from 3.3 on, and ours): any will do. */
	deadline_us = deadline_us < q->deadline_us ? deadline_us : q->deadline_us;
	e = q->topic ? leader_await(self, q, deadline_us, &peer) : cluster_any_await(self, cluster, deadline_us, &peer);
	if (!e)
		e = peer_ask_await(self, peer,
				   &(struct peer_ask){.api_key = q->api_key,
						      .newest = q->newest,
						      .deadline_us = deadline_us,
						      .request = q->request,
						      .response = q->response,
						      .arena = q->arena},
				   NULL, &frame);
	if (e)
		return e;
	e = look_at(q);
	if (e)
		blob_unref(frame);
	else
		*ret_frame = frame;
	return e;
}

static bool is_worth_another(const struct admin_question *q, enum err e)
{
	if (q->client->stopping || e == ERR_CANCELLED || e == ERR_UNSUPPORTED || e == ERR_BAD_VERSION)
		return false;
	if ((q->client->config->fail_fast && e <= -1000) || (q->topic && e == ERR_UNKNOWN_TOPIC_OR_PARTITION))
		return false;
	return e <= -1000 || err_retriable(e);
}

enum err admin_ask_await(struct fiber *self, const struct admin_question *q, struct blob **ret_frame,
			 struct mo_err *ret_error)
{
	struct client *c = q->client;
	unsigned failures = 0;
	enum err e;

	while ((e = ask_once_await(self, q, ret_frame)) && is_worth_another(q, e)) {
		int64_t wait = client_backoff_us(c->shard, c->config, ++failures);

		if (shard_now_us(c->shard) + wait >= q->deadline_us || fiber_sleep_await(self, wait) != OK)
			break;
	}
	if (e)
		admin_explain(c, e, q->api_key, ret_error);
	return e;
}
