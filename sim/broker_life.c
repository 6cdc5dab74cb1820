/* broker_life: a broker's process, from its settings on, as cmd/ would start it. Code of a node. */
#include <stdio.h>

#include "base/alloc.h"
#include "broker/broker.h"
#include "config/config.h"
#include "sim/world_txn.h"

static void set(struct config *c, const char *name, const char *value)
{
	must(config_set(c, bytes_str(name), bytes_str(value), NULL) == OK);
}

static void set_number(struct config *c, const char *name, int64_t value)
{
	char text[24];

	snprintf(text, sizeof(text), "%lld", (long long)value);
	set(c, name, text);
}

static void started(struct broker *b, void *context)
{
	struct world *w = context;

	(void)b;
	w->broker_ready = true;
}

void broker_life_start(struct shard *zero, void *argument)
{
	struct world *w = argument;
	struct config *c = config_new();
	struct broker_options o = {.config = c, .started = started, .context = w};
	char listeners[100];

	snprintf(listeners, sizeof(listeners), "PLAINTEXT://%s:%d", w->address.host, BROKER_PORT);
	set(c, "listeners", listeners);
	set(c, "log.dirs", w->two_folders ? "/data,/data2" : "/data");
	set(c, "metrics.listener", "");
	set_number(c, "node.id", 1);
	set_number(c, "num.partitions", 3);
	/* Kafka's least segment is a megabyte: here segments end by time, or with their index full. */
	set_number(c, "log.roll.ms", w->roll_ms);
	set_number(c, "log.index.size.max.bytes", w->index_bytes);
	set_number(c, "log.index.interval.bytes", 300);
	if (w->trims) {
		set_number(c, "log.retention.ms", w->retention_ms);
		set_number(c, "log.retention.bytes", w->retention_bytes);
		set_number(c, "log.retention.check.interval.ms", w->retention_check_ms);
		set_number(c, "log.initial.task.delay.ms", w->retention_check_ms);
		set_number(c, "log.segment.delete.delay.ms", w->delete_delay_ms);
	}
	if (w->care)
		set_number(c, "log.cleaner.backoff.ms", 300);
	if (w->group_count) {
		set_number(c, "offsets.topic.num.partitions", w->offsets_count);
		set_number(c, "group.min.session.timeout.ms", 1000);
		set_number(c, "group.initial.rebalance.delay.ms", w->initial_delay_ms);
		set_number(c, "group.consumer.min.session.timeout.ms", w->session_ms);
		set_number(c, "group.consumer.session.timeout.ms", w->session_ms);
		set_number(c, "group.consumer.min.heartbeat.interval.ms", w->beat_ms);
		set_number(c, "group.consumer.heartbeat.interval.ms", w->beat_ms);
		if (w->long_rest) {
			set_number(c, "offsets.retention.minutes", 1);
			set_number(c, "offsets.retention.check.interval.ms", 5000);
		}
	}
	if (w->txn) {
		set_number(c, "offsets.topic.num.partitions", w->offsets_count);
		set_number(c, "transaction.state.log.num.partitions", w->txn->state_partitions);
		set_number(c, "transaction.abort.timed.out.transaction.cleanup.interval.ms", w->txn->timeout_check_ms);
	}
	set_number(c, "memory.limit.bytes", 32 << 20);
	o.journal_bytes = 128 << 10;
	w->broker_config = c;
	w->broker_handle = broker_start(zero, &o);
}

void broker_life_end(struct node *n)
{
	struct world *w = n->context;

	broker_free(w->broker_handle);
	config_free(w->broker_config);
	w->broker_handle = NULL;
	w->broker_config = NULL;
}
