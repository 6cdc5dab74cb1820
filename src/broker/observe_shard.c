/* observe_shard: puts on a page what one shard has. Reads the figures of runtime, net, storage, replica; changes nothing. */
#include <stdio.h>

#include "broker/broker_own.h"
#include "broker/observe.h"
#include "broker/txn_ends.h"
#include "storage/figures.h"

#define LABELS_MAX ((size_t)2048)

static void put(struct look *look, enum observed what, const struct buf *labels, uint64_t value)
{
	metrics_put(look->page, &observed_metrics[what], labels ? buf_bytes(labels) : bytes_empty(), (int64_t)value);
}

static void put_histogram(struct look *look, enum observed what, const struct buf *labels, const struct histogram *h)
{
	metrics_put_histogram(look->page, &observed_metrics[what], labels ? buf_bytes(labels) : bytes_empty(), h);
}

/* The only label, for what follows. */
static const struct buf *label(struct buf *labels, const char *name, struct bytes value)
{
	buf_reset(labels);
	metrics_label(labels, name, value);
	return labels;
}

static const char *const close_reasons[CLOSE_KINDS] = {
	[CLOSE_NOT_KAFKA] = "not kafka", [CLOSE_BAD_SIZE] = "bad size", [CLOSE_BAD_REQUEST] = "bad request",
	[CLOSE_REFUSED] = "refused",     [CLOSE_LATE] = "late",         [CLOSE_ENDED] = "ended",
};

/* --- requests -------------------------------------------------------------------------------------------------------- */

static void put_error(struct look *look, struct buf *labels, int16_t key, const char *error, uint64_t count)
{
	label(labels, "api", bytes_str(api_name(key)));
	metrics_label(labels, "error", bytes_str(error));
	put(look, OBSERVED_REQUEST_ERRORS, labels, count);
}

static void put_api(struct look *look, struct buf *labels, int16_t key, const struct api_figures *a)
{
	label(labels, "api", bytes_str(api_name(key)));
	put(look, OBSERVED_REQUESTS, labels, a->requests);
	put_histogram(look, OBSERVED_REQUEST_SECONDS, labels, &a->time_us);
	for (size_t i = 0; i < a->code_count; i++)
		put_error(look, labels, key, err_name((enum err)a->codes[i]), a->errors[i]);
	if (a->other_errors)
		put_error(look, labels, key, "(others)", a->other_errors);
}

static void put_requests(struct broker_part *part, struct look *look, struct buf *labels)
{
	const struct connection_table *t = &part->connections;

	for (int16_t key = 0; key < FIGURES_KEYS; key++)
		if (t->figures.apis[key])
			put_api(look, labels, key, t->figures.apis[key]);
	for (size_t i = 0; i < CLOSE_KINDS; i++)
		put(look, OBSERVED_CLOSED, label(labels, "reason", bytes_str(close_reasons[i])), t->closed[i]);
	put(look, OBSERVED_REQUESTS_UNDER_WAY, NULL, t->requests);
	put(look, OBSERVED_CONNECTIONS, NULL, t->count);
	put(look, OBSERVED_RECEIVED_BYTES, NULL, t->conns.received_bytes);
	put(look, OBSERVED_SENT_BYTES, NULL, t->conns.sent_bytes);
}

/* --- topics ---------------------------------------------------------------------------------------------------------- */

struct topic_sums {
	struct log_figures figures;
	uint64_t size_bytes;
	uint64_t unstable_offsets;
};

static void add_topic(struct topic_sums *sums, const struct topic_replicas *t)
{
	for (int32_t i = 0, left = t->here; left > 0; i++) {
		const struct partition *p = t->partitions[i];
		const struct log_figures *f;

		if (!p)
			continue;
		left--;
		if (!p->log)
			continue;
		f = log_figures(p->log);
		sums->figures.appended_records += f->appended_records;
		sums->figures.appended_bytes += f->appended_bytes;
		sums->figures.read_bytes += f->read_bytes;
		sums->size_bytes += (uint64_t)log_size_bytes(p->log);
		if (p->state == PARTITION_OPEN)
			sums->unstable_offsets += (uint64_t)(p->high_watermark - partition_last_stable(p));
	}
}

static void put_topic(struct look *look, const struct buf *labels, const struct topic_sums *sums)
{
	put(look, OBSERVED_TOPIC_RECORDS, labels, sums->figures.appended_records);
	put(look, OBSERVED_TOPIC_BYTES, labels, sums->figures.appended_bytes);
	put(look, OBSERVED_TOPIC_READ_BYTES, labels, sums->figures.read_bytes);
	put(look, OBSERVED_TOPIC_LOG_BYTES, labels, sums->size_bytes);
	put(look, OBSERVED_TOPIC_UNSTABLE, labels, sums->unstable_offsets);
	put(look, OBSERVED_LOG_BYTES, NULL, sums->size_bytes);
}

/* All shards have the same topics in the same order, so the same ones have their own values everywhere. */
static void put_topics(struct broker_part *part, struct look *look, struct buf *labels)
{
	const struct topic_replicas *t;
	struct topic_sums others = {0};
	int32_t index = 0;
	size_t place = 0;

	while ((t = replicas_next_topic(part->shard.replicas, &place))) {
		struct topic_sums sums = {0};
		bool own = index++ < look->topics_max;

		add_topic(own ? &sums : &others, t);
		if (own)
			put_topic(look, label(labels, "topic", bytes_str(t->name)), &sums);
	}
	if (index > look->topics_max && look->topics_max > 0)
		put_topic(look, label(labels, "topic", bytes_str("(others)")), &others);
	else
		put(look, OBSERVED_LOG_BYTES, NULL, others.size_bytes);
	if (shard_index(part->shard.shard) == 0)
		put(look, OBSERVED_TOPICS, NULL, (uint64_t)index);
}

/* --- coordinators ---------------------------------------------------------------------------------------------------- */

static void put_coordinated(struct look *look, struct buf *labels, const char *topic, const char *state, size_t count)
{
	label(labels, "topic", bytes_str(topic));
	metrics_label(labels, "state", bytes_str(state));
	put(look, OBSERVED_COORDINATED, labels, count);
}

static void put_coordinator(struct look *look, struct buf *labels, const char *topic, const struct coordinator *c)
{
	struct coordinator_figures f;

	coordinator_figures(c, &f);
	put_coordinated(look, labels, topic, "loading", f.loading);
	put_coordinated(look, labels, topic, "active", f.active);
	put_coordinated(look, labels, topic, "failed", f.failed);
	label(labels, "topic", bytes_str(topic));
	put(look, OBSERVED_COORDINATOR_LOADS, labels, f.loads);
	put(look, OBSERVED_COORDINATOR_LOADED_RECORDS, labels, f.loaded_records);
	put(look, OBSERVED_COORDINATOR_LOAD_SECONDS, labels, (uint64_t)f.load_us);
	put(look, OBSERVED_COORDINATOR_STEPS, labels, f.steps);
	put(look, OBSERVED_COORDINATOR_BATCHES, labels, f.batches);
	put(look, OBSERVED_COORDINATOR_RECORDS, labels, f.records);
	put(look, OBSERVED_COORDINATOR_FAILURES, labels, f.failures);
	put(look, OBSERVED_COORDINATOR_TIMEOUTS, labels, f.timeouts);
}

static void put_coordinators(struct broker_part *part, struct look *look, struct buf *labels)
{
	for (enum internal_topic t = 0; t < INTERNAL_TOPICS; t++)
		if (part->shard.coordinators[t])
			put_coordinator(look, labels, internal_topic_name(t), part->shard.coordinators[t]);
}

/* --- transactions ---------------------------------------------------------------------------------------------------- */

static const char *const txn_states[TXN_STATES] = {
	[TXN_EMPTY] = "Empty",
	[TXN_ONGOING] = "Ongoing",
	[TXN_PREPARE_COMMIT] = "PrepareCommit",
	[TXN_PREPARE_ABORT] = "PrepareAbort",
	[TXN_COMPLETE_COMMIT] = "CompleteCommit",
	[TXN_COMPLETE_ABORT] = "CompleteAbort",
};

static void add_txns(struct txn_figures *sums, const struct txn_figures *f)
{
	for (enum txn_state s = 0; s < TXN_STATES; s++)
		sums->ids_in_state[s] += f->ids_in_state[s];
	if (f->oldest_start_ms < sums->oldest_start_ms)
		sums->oldest_start_ms = f->oldest_start_ms;
	sums->begun += f->begun;
	sums->committed += f->committed;
	sums->aborted += f->aborted;
	sums->timed_out += f->timed_out;
	sums->fenced += f->fenced;
	sums->expired_ids += f->expired_ids;
}

static void put_ended(struct look *look, struct buf *labels, const char *result, uint64_t count)
{
	put(look, OBSERVED_TRANSACTIONS_ENDED, label(labels, "result", bytes_str(result)), count);
}

static void put_txn_sums(struct shard *s, struct look *look, struct buf *labels, const struct txn_figures *sums)
{
	int64_t now_ms = shard_wall_ms(s), open_ms = 0;
	char index[12];

	for (enum txn_state state = 0; state < TXN_STATES; state++)
		if (txn_states[state])
			put(look, OBSERVED_TRANSACTIONS, label(labels, "state", bytes_str(txn_states[state])),
			    sums->ids_in_state[state]);
	if (sums->oldest_start_ms < now_ms)
		open_ms = now_ms - sums->oldest_start_ms;
	snprintf(index, sizeof(index), "%u", shard_index(s));
	put(look, OBSERVED_TRANSACTION_OLDEST, label(labels, "shard", bytes_str(index)), (uint64_t)open_ms * 1000);
	put(look, OBSERVED_TRANSACTIONS_BEGUN, NULL, sums->begun);
	put_ended(look, labels, "committed", sums->committed);
	put_ended(look, labels, "aborted", sums->aborted);
	put_ended(look, labels, "timed out", sums->timed_out);
	put_ended(look, labels, "fenced", sums->fenced);
	put(look, OBSERVED_TRANSACTION_IDS_EXPIRED, NULL, sums->expired_ids);
}

static void put_transactions(struct broker_part *part, struct look *look, struct buf *labels)
{
	const struct coordinator *c = part->shard.coordinators[INTERNAL_TRANSACTIONS];
	struct txn_ends_figures ends = txn_ends_figures(part->shard.txn_ends);
	struct txn_figures sums = {.oldest_start_ms = INT64_MAX};

	for (int32_t i = c ? coordinator_next(c, 0) : -1; i >= 0; i = coordinator_next(c, i + 1)) {
		const struct txns *state = coordinator_state(c, i);
		struct txn_figures f;

		if (!state)
			continue;
		txn_figures(state, &f);
		add_txns(&sums, &f);
	}
	put_txn_sums(part->shard.shard, look, labels, &sums);
	put(look, OBSERVED_TRANSACTIONS_ENDING, NULL, ends.prepared);
	put(look, OBSERVED_MARKERS, NULL, ends.markers);
	put(look, OBSERVED_MARKER_RETRIES, NULL, ends.retries);
}

/* --- storage --------------------------------------------------------------------------------------------------------- */

static void put_folders(struct broker_part *part, struct look *look, struct buf *labels)
{
	for (size_t i = 0; i < store_folder_count(part->shard.store); i++) {
		struct folder_figures f;

		store_folder_figures(part->shard.store, i, &f);
		label(labels, "folder", bytes_str(f.path));
		put(look, OBSERVED_FOLDER_NO_SPACE, labels, f.no_space);
		put(look, OBSERVED_FOLDER_LOGS, labels, f.logs);
		put(look, OBSERVED_JOURNAL_USED, labels, f.journal_used);
		put(look, OBSERVED_JOURNAL_LIMIT, labels, f.journal_limit);
	}
}

static void put_budget(struct look *look, struct buf *labels, const char *name, size_t used, size_t limit,
		       size_t waiting)
{
	label(labels, "budget", bytes_str(name));
	put(look, OBSERVED_BUDGET_USED, labels, used);
	put(look, OBSERVED_BUDGET_LIMIT, labels, limit);
	put(look, OBSERVED_BUDGET_WAITING, labels, waiting);
}

static size_t waiting_for(const struct budget *b)
{
	size_t n = 0;

	list_for_each(&b->waiters, node) n++;
	return n;
}

/* Under Kafka's names. What is a maximum, or of the last pass, is not added up over the shards: each has its own. */
static void put_cleaner(struct broker_part *part, struct look *look, struct buf *labels,
			const struct store_holds *holds)
{
	const struct store_figures *f = store_figures(part->shard.store);
	char number[16];

	put(look, OBSERVED_KAFKA_UNCLEANABLE, NULL, holds->uncleanable);
	put(look, OBSERVED_KAFKA_UNCLEANABLE_BYTES, NULL, holds->uncleanable_bytes);
	put(look, OBSERVED_KAFKA_DEAD_CLEANERS, NULL, 0);
	snprintf(number, sizeof(number), "%u", shard_index(part->shard.shard));
	label(labels, "shard", bytes_str(number));
	put(look, OBSERVED_KAFKA_MAX_DIRTY, labels, f->dirtiest_percent);
	put(look, OBSERVED_KAFKA_RECOPY, labels, f->last_recopy_percent);
	put(look, OBSERVED_KAFKA_MAX_CLEANING, labels, f->last_cleaning_us / 1000000);
	if (f->last_cleaning_ms)
		put(look, OBSERVED_KAFKA_SINCE_CLEANING, labels,
		    (uint64_t)shard_wall_ms(part->shard.shard) - f->last_cleaning_ms);
}

static void put_store(struct broker_part *part, struct look *look, struct buf *labels)
{
	const struct store_figures *f = store_figures(part->shard.store);
	const struct budget *small = &part->connections.conns.small_frames;
	struct store_holds holds;

	store_holds(part->shard.store, &holds);
	put(look, OBSERVED_PRODUCED_RECORDS, NULL, f->logs.appended_records);
	put(look, OBSERVED_PRODUCED_BYTES, NULL, f->logs.appended_bytes);
	put(look, OBSERVED_READ_BYTES, NULL, f->logs.read_bytes);
	put_histogram(look, OBSERVED_COMMIT_SECONDS, NULL, &f->commit_us);
	put_histogram(look, OBSERVED_COMMIT_BYTES, NULL, &f->commit_bytes);
	put_histogram(look, OBSERVED_SYNC_SECONDS, label(labels, "kind", bytes_str("journal")), &f->journal_sync_us);
	put_histogram(look, OBSERVED_SYNC_SECONDS, label(labels, "kind", bytes_str("segments")), &f->segments_sync_us);
	put(look, OBSERVED_OPEN_FILES, NULL, holds.open_files);
	put(look, OBSERVED_OPEN_FILES_MAX, NULL, holds.open_files_max);
	put(look, OBSERVED_INDEX_BYTES, NULL, holds.index_bytes);
	put(look, OBSERVED_SCRUBBED_BYTES, NULL, f->scrubbed_bytes);
	put(look, OBSERVED_SCRUBBED_SEGMENTS, NULL, f->scrubbed_segments);
	put(look, OBSERVED_SCRUBS, NULL, f->scrubs);
	put(look, OBSERVED_DAMAGES_FOUND, label(labels, "kind", bytes_str("records")), f->damages_found);
	put(look, OBSERVED_DAMAGES_FOUND, label(labels, "kind", bytes_str("side")), f->side_damages_found);
	put(look, OBSERVED_DAMAGES_FOUND, label(labels, "kind", bytes_str("snapshot")), f->snapshots_found_bad);
	put(look, OBSERVED_DAMAGES_FOUND, label(labels, "kind", bytes_str("unreadable")), f->segments_unreadable);
	put(look, OBSERVED_DAMAGES, NULL, holds.damages);
	put(look, OBSERVED_CLEANINGS, label(labels, "result", bytes_str("ok")), f->cleanings);
	put(look, OBSERVED_CLEANINGS, label(labels, "result", bytes_str("failed")), f->cleanings_failed);
	put(look, OBSERVED_CLEANED_BYTES_READ, NULL, f->cleaned_bytes_read);
	put(look, OBSERVED_CLEANED_BYTES_LEFT, NULL, f->cleaned_bytes_left);
	put(look, OBSERVED_CLEANED_TOMBSTONES, NULL, f->cleaned_tombstones);
	put(look, OBSERVED_CLEANING_SECONDS, NULL, f->cleaning_us);
	put(look, OBSERVED_UNCLEANABLE, NULL, holds.uncleanable);
	put_cleaner(part, look, labels, &holds);
	put(look, OBSERVED_MOVES, NULL, holds.moves);
	put(look, OBSERVED_MOVED_BYTES, NULL, f->moved_bytes);
	put_budget(look, labels, "frames", part->frames.used, part->frames.limit, waiting_for(&part->frames));
	put_budget(look, labels, "small frames", small->used, small->limit, waiting_for(small));
	put_budget(look, labels, "requests", part->work.used, part->work.limit, waiting_for(&part->work));
	put_budget(look, labels, "reads", holds.read_budget_used, holds.read_budget_limit, holds.reads_waiting);
}

/* --- the shard itself ------------------------------------------------------------------------------------------------ */

static void put_stalls(struct shard *s, struct look *look, struct buf *labels, size_t kinds)
{
	for (size_t i = 0; i < kinds; i++) {
		struct shard_stall stall;

		shard_stall(s, i, &stall);
		label(labels, "kind", bytes_str(stall.kind));
		metrics_label(labels, "what", bytes_str(stall.what));
		put(look, OBSERVED_STALLS, labels, stall.count);
		put(look, OBSERVED_STALLED, labels, (uint64_t)stall.total_us);
	}
}

static void put_shard(struct shard *s, struct look *look, struct buf *labels)
{
	struct shard_figures f;
	char index[12];

	snprintf(index, sizeof(index), "%u", shard_index(s));
	shard_figures(s, &f);
	label(labels, "shard", bytes_str(index));
	if (f.cpu_us >= 0)
		put(look, OBSERVED_SHARD_CPU, labels, (uint64_t)f.cpu_us);
	put(look, OBSERVED_SHARD_TURNS, labels, f.turns);
	put(look, OBSERVED_SHARD_MESSAGES, labels, f.messages);
	put(look, OBSERVED_SHARD_MAILBOX, labels, f.messages_waiting);
	put(look, OBSERVED_SHARD_TIMERS, labels, f.timers);
	put(look, OBSERVED_SHARD_FIBERS, labels, f.fibers);
	put(look, OBSERVED_SHARD_FIBERS_MAX, labels, f.fibers_max);
	put(look, OBSERVED_SHARD_STACK_BYTES, labels, f.stack_bytes);
	put(look, OBSERVED_SHARD_STALLS, labels, f.stalls);
	put(look, OBSERVED_SHARD_STALLED, labels, (uint64_t)f.stalled_us);
	put(look, OBSERVED_SHARD_LONGEST, labels, (uint64_t)f.longest_stall_us);
	put_stalls(s, look, labels, f.stall_kinds);
}

void observe_shard(struct broker_part *part, struct look *look)
{
	struct replicas_count count = {0};
	struct buf labels;

	if (part->opened)
		count = replicas_count(part->shard.replicas);
	look->sums.partitions += count.partitions;
	look->sums.opening += count.opening;
	look->sums.offline += count.offline;
	if (!look->page)
		return;
	buf_init(&labels, LABELS_MAX);
	if (part->opened) {
		put_requests(part, look, &labels);
		put(look, OBSERVED_PARTITIONS, NULL, count.partitions);
		put(look, OBSERVED_PARTITIONS_OPEN, NULL, count.open);
		put(look, OBSERVED_PARTITIONS_OPENING, NULL, count.opening);
		put(look, OBSERVED_PARTITIONS_OFFLINE, NULL, count.offline);
		put_store(part, look, &labels);
		put_folders(part, look, &labels);
		put_topics(part, look, &labels);
		put_coordinators(part, look, &labels);
		put_transactions(part, look, &labels);
		if (look->groups)
			observe_groups_measure(part, look->groups);
	}
	put_shard(part->shard.shard, look, &labels);
	buf_fini(&labels);
}
