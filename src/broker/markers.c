/* markers: see the header. May call: replica/, coordinator/. */
#include "broker/markers.h"

#include "runtime/shard.h"

#define MARKER_BYTES ((size_t)1024)

static void arrived_home(struct shard *at, struct message *m)
{
	struct marker_write *w = container_of(m, struct marker_write, message);

	(void)at;
	w->finished(w);
}

static void go_home(struct marker_write *w, enum err e)
{
	buf_fini(&w->bytes);
	w->error = e;
	w->message.run = arrived_home;
	shard_send(w->target->shard, w->home, &w->message);
}

static void appended(struct partition_append *a)
{
	(void)a; /* that it has its place is of no use before it is committed */
}

static void append_finished(struct partition_append *a)
{
	go_home(container_of(a, struct marker_write, append), a->error);
}

static void append_to(struct partition *p, struct marker_write *w)
{
	buf_init(&w->bytes, MARKER_BYTES);
	if (end_marker_write(&w->marker, shard_wall_ms(w->target->shard), &w->bytes))
		must_not_reach();
	w->append = (struct partition_append){
		.records = buf_bytes(&w->bytes),
		.origin = APPEND_COORDINATOR,
		.transaction_version = w->transaction_version,
		.acks = ACKS_ALL,
		.current_leader_epoch = -1,
		.appended = appended,
		.finished = append_finished,
	};
	partition_append(p, &w->append);
}

/* A coordinator of transactions expects what a log says: that the machine is not there now is for it the same as a leader that is not. */
static enum err as_of_a_log(enum err e)
{
	switch ((int)e) {
	case ERR_COORDINATOR_NOT_AVAILABLE:
	case ERR_COORDINATOR_LOAD_IN_PROGRESS:
	case ERR_NOT_COORDINATOR:
		return ERR_NOT_LEADER_OR_FOLLOWER;
	default:
		return e;
	}
}

static void call_finished(struct coordinator_call *c)
{
	go_home(container_of(c, struct marker_write, call), as_of_a_log(c->error));
}

static void arrived_there(struct shard *at, struct message *m)
{
	struct marker_write *w = container_of(m, struct marker_write, message);
	struct partition *p = replicas_find(w->target->replicas, w->topic_id, w->partition);

	(void)at;
	if (!p) {
		go_home(w, ERR_UNKNOWN_TOPIC_OR_PARTITION);
	} else if (w->of_groups) {
		w->call = (struct coordinator_call){.finished = call_finished};
		coordinator_end_transaction(w->target->coordinators[INTERNAL_GROUPS], w->partition, &w->marker,
					    w->transaction_version, &w->call);
	} else {
		append_to(p, w);
	}
}

void marker_write_start(struct marker_write *w, struct broker_shard *home)
{
	w->home = home->shard;
	w->target = broker_shard_of(home->broker, w->topic_id, w->partition);
	w->error = OK;
	buf_init(&w->bytes, 0);
	w->message.run = arrived_there;
	shard_send(home->shard, w->target->shard, &w->message);
}
