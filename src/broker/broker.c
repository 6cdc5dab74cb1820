/*
 * broker: start and clean stop, each from top to bottom as one fiber on shard 0. See broker.h for what the parts are.
 *
 * Every step that fails has said why in the log; what was opened by then is closed in the reverse order.
 */
#include "broker/broker.h"

#include "base/alloc.h"
#include "broker/broker_own.h"
#include "broker/fetch_session.h"
#include "broker/handlers.h"
#include "broker/request_own.h"
#include "broker/txn_ends.h"
#include "metastore/embedded/embedded.h"
#include "runtime/file.h"

#define DEFAULT_MEMORY ((size_t)512 * 1024 * 1024)
/* How long a clean stop waits for answers that are on their way before it drops them. */
#define DRAIN_US 300000
#define OPENING_AT_ONCE 16

/* Of the open files: for shards, listeners, journals, checkpoints, and what a commit or an opening has open for a moment beyond the cache. */
#define KEPT_FILES ((size_t)256)
#define MOST_OPEN_FILES ((size_t)32768)
#define ENOUGH_OPEN_FILES ((size_t)8192)

/*
 * Shares of the memory limit; what remains is for the process itself, everything small, and the request that passes the budget because nobody
 * could know what it needs: one a shard, since the next one waits.
 */
#define FRAMES_PERCENT 30 /* and a quarter of that for small ones */
#define READS_PERCENT 32
#define SESSIONS_PERCENT 7
#define WORK_PERCENT 12
/* Of one request, of one answer. */
#define ARENA_PERCENT 6

/* --- opening --------------------------------------------------------------------------------------------------------- */

static enum err settings_check(struct broker *b)
{
	struct buf message;
	enum err e;

	buf_init(&message, 1000);
	e = config_validate(b->config, &message);
	if (e)
		log_error(b->log, "%.*s", BYTES_ARG(buf_bytes(&message)));
	buf_fini(&message);
	return e ? e : listening_parse(b);
}

static enum err storage_start_await(struct fiber *self, struct broker *b)
{
	struct config_list folders = config_log_folders(b->config);
	struct storage_options o = {
		.folders = (const char *const *)folders.items,
		.folder_count = folders.count,
		.node_id = b->node_id,
		.max_open_files = b->max_open_files,
		.read_budget_bytes = b->memory_limit_bytes / 100 * READS_PERCENT / b->shard_count,
		.flush_offset_checkpoint_interval_ms = config_int64(b->config,
								    CONFIG_LOG_FLUSH_OFFSET_CHECKPOINT_INTERVAL_MS),
		.max_decompressed_bytes = (size_t)config_int64(b->config, CONFIG_MAX_DECOMPRESSED_MESSAGE_BYTES),
		.sync_disabled = b->options.sync_disabled,
		.read_only = b->read_only,
		.journal_bytes = b->options.journal_bytes,
	};
	enum err e = storage_open_await(self, &o, &b->storage);

	/* storage named the folder; this says what to do. */
	if (e == ERR_BUSY)
		log_error(b->log,
			  "the data folder is in use: stop the other broker, or choose another one in log.dirs");
	else if (e == ERR_CONFLICT)
		log_error(b->log,
			  "the data folder belongs to another cluster or broker: choose another one in log.dirs, or "
			  "set node.id to the one that it was made for");
	else if (e == ERR_EXISTS)
		log_error(b->log, "the data folders cannot be opened: choose a folder in log.dirs");
	else if (e)
		log_error(b->log, "the data folders cannot be opened: %s; see log.dirs", err_text(e));
	return e;
}

static enum err metastore_start_await(struct fiber *self, struct broker *b)
{
	struct embedded_options o = {.log = b->log};
	struct buf folder;
	enum err e;

	/* Another folder has none of it: there all topics would be unknown, and their folders set aside. */
	if (!storage_first_folder(b->storage)) {
		log_error(b->log, "the first data folder of log.dirs holds the metadata and cannot be used: the broker "
				  "cannot start");
		return ERR_OFFLINE;
	}
	if (b->read_only)
		return embedded_open_await(self, &o, &b->metastore);
	buf_init(&folder, 8192);
	buf_printf(&folder, "%s/" EMBEDDED_FOLDER, storage_first_folder(b->storage));
	buf_put_i8(&folder, 0);
	o.folder = (const char *)folder.data;
	e = folder.error ? folder.error : embedded_open_await(self, &o, &b->metastore);
	if (e)
		log_error(b->log, "the metadata in %s cannot be opened: %s", o.folder, err_text(e));
	buf_fini(&folder);
	return e;
}

static void run_folder_failed(struct shard *at, struct message *m)
{
	struct broker_part *part = container_of(m, struct broker_part, folder_failed);
	struct broker *b = part->shard.broker;

	(void)at;
	part->failure_sent = false;
	if (b->stopping || !b->storage || storage_online_folders(b->storage) > 0)
		return;
	log_error(b->log, "the last data folder is offline after an error of its disk: the broker ends");
	b->exit_code = 1;
	broker_stop(b);
}

static void on_folder_failed(void *context, const char *folder)
{
	struct broker_part *part = context;

	log_error(shard_log(part->shard.shard), "data folder %s is offline: its partitions cannot be used", folder);
	if (part->failure_sent)
		return;
	part->failure_sent = true;
	part->folder_failed.run = run_folder_failed;
	shard_send(part->shard.shard, part->shard.broker->shard_zero, &part->folder_failed);
}

static size_t max_arena(const struct broker *b)
{
	size_t share = b->memory_limit_bytes / 100 * ARENA_PERCENT;

	if (share < REQUEST_LEAST_ARENA)
		return REQUEST_LEAST_ARENA;
	return share < REQUEST_MAX_ARENA ? share : REQUEST_MAX_ARENA;
}

static void connections_init(struct broker_part *part)
{
	struct broker *b = part->shard.broker;
	struct connection_table_options o = {
		.broker = &part->shard,
		.shard = part->shard.shard,
		.max_frame = (size_t)config_int32(b->config, CONFIG_SOCKET_REQUEST_MAX_BYTES),
		.idle_us = config_int64(b->config, CONFIG_CONNECTIONS_MAX_IDLE_MS) * 1000,
		.frames = &part->frames,
		.work = &part->work,
		.max_arena = max_arena(b),
		.find = handlers_find,
	};

	connection_table_init(&part->connections, &o);
	relief_init(&part->relief, &part->connections, store_read_budget(part->shard.store), part->relief_calls,
		    b->shard_count - 1);
}

static enum err part_open_await(struct fiber *self, struct broker_part *part)
{
	struct broker_shard *s = &part->shard;
	struct broker *b = s->broker;
	struct store_settings settings;
	struct replicas_options o = {
		.shard = s->shard,
		.shard_count = b->shard_count,
		.max_decompressed_bytes = (size_t)config_int64(b->config, CONFIG_MAX_DECOMPRESSED_MESSAGE_BYTES),
		.opening_at_once = OPENING_AT_ONCE,
		.open_all_after_ms = config_int64(b->config, CONFIG_LOG_INITIAL_TASK_DELAY_MS),
	};

	(void)self;
	s->image = image_new();
	image_seed(s->image, shard_map_seed(s->shard));
	settings = store_settings_of(part);
	s->verifies_transactions = verifies_transactions(part);
	s->store = store_new(b->storage, s->shard, on_folder_failed, part);
	store_configure(s->store, &settings);
	o.store = s->store;
	s->replicas = replicas_new(&o);
	s->txn_ends = txn_ends_new(s);
	coordinators_open(part);
	s->fetch_sessions = fetch_session_cache_new(
		shard_random(s->shard),
		(size_t)config_int32(b->config, CONFIG_MAX_INCREMENTAL_FETCH_SESSION_CACHE_SLOTS),
		b->memory_limit_bytes / 100 * SESSIONS_PERCENT / b->shard_count);
	map_init_seeded(&s->creations, shard_map_seed(s->shard));
	event_init(&part->created);
	budget_init(&part->work, s->shard, b->memory_limit_bytes / 100 * WORK_PERCENT / b->shard_count);
	budget_init(&part->frames, s->shard, b->memory_limit_bytes / 100 * FRAMES_PERCENT / b->shard_count);
	s->frames = &part->frames;
	s->connections = &part->connections;
	connections_init(part);
	part->subscriber = (struct image_subscriber){.shard = s->shard, .image = s->image, .changed = follow_image};
	part->opened = true;
	return OK;
}

static enum err controller_start_await(struct fiber *self, struct broker *b)
{
	struct controller_options o = {
		.config = b->config,
		.store = b->metastore,
		.node_id = b->node_id,
		.cluster_id = storage_cluster_id(b->storage),
		.subscribers = b->subscribers,
		.subscriber_count = b->shard_count,
		.read_only = b->read_only,
	};
	enum err e;

	b->controller = controller_new(b->shard_zero, &o);
	e = controller_load_await(self, b->controller);
	if (e == ERR_CONFLICT)
		log_error(b->log,
			  "the metadata belongs to another cluster than meta.properties says: were folders mixed?");
	else if (e)
		log_error(b->log, "the metadata cannot be loaded: %s", err_text(e));
	return e;
}

static enum err part_open_logs_await(struct fiber *self, struct broker_part *part)
{
	(void)self;
	replicas_open_all(part->shard.replicas);
	return OK;
}

static enum err start_await(struct fiber *self, struct broker *b)
{
	enum err e = settings_check(b);

	if (!e)
		e = observe_start_await(self, b);
	observe_doing(b, "opening the data folders");
	if (!e)
		e = found_look_await(self, b);
	if (!e)
		e = storage_start_await(self, b);
	observe_doing(b, "loading the metadata and opening the listeners");
	if (!e)
		e = metastore_start_await(self, b);
	if (!e)
		e = found_check_await(self, b);
	if (!e)
		e = everywhere_await(self, b, part_open_await);
	if (!e)
		e = controller_start_await(self, b);
	if (!e && !b->read_only)
		e = found_strays_await(self, b);
	if (!e)
		e = listening_bind_await(self, b);
	if (!e)
		e = listening_register_await(self, b);
	if (!e && !storage_was_clean(b->storage))
		e = everywhere_await(self, b, part_open_logs_await);
	if (!e)
		listening_begin(b);
	if (!e)
		observe_serving(b);
	return e;
}

/* --- closing --------------------------------------------------------------------------------------------------------- */

static enum err part_quiet_await(struct fiber *self, struct broker_part *part)
{
	struct connection_table *t = &part->connections;

	if (!part->opened)
		return OK;
	connection_table_stop(t);
	/* Who waits for others, as in a JoinGroup, is told to look for another coordinator. */
	coordinators_stop(part);
	txn_ends_quiet_await(self, part->shard.txn_ends);
	/* What can still be answered soon is; the rest is dropped, and clients ask again elsewhere or later. */
	(void)connection_table_quiet_await(self, t, shard_now_us(part->shard.shard) + DRAIN_US);
	connection_table_close_all(t);
	(void)connection_table_quiet_await(self, t, FIBER_NO_DEADLINE);
	auto_create_quiet_await(self, part);
	return OK;
}

static enum err part_close_await(struct fiber *self, struct broker_part *part)
{
	struct broker_shard *s = &part->shard;
	enum err e;

	if (!part->opened)
		return OK;
	relief_fini(&part->relief);
	coordinators_close_await(self, part);
	txn_ends_free(s->txn_ends);
	replicas_close_await(self, s->replicas);
	e = store_close_await(self, s->store);
	connection_table_fini(&part->connections);
	budget_fini(&part->frames);
	budget_fini(&part->work);
	fetch_session_cache_free(s->fetch_sessions);
	image_free(s->image);
	map_fini(&s->creations);
	part->opened = false;
	return e;
}

/* False: something could not be made durable; the next start recovers. */
static bool stop_await(struct fiber *self, struct broker *b)
{
	enum err e, worst;

	if (b->acceptor)
		acceptor_close(b->acceptor);
	worst = everywhere_await(self, b, part_quiet_await);
	/* Each connection's place came home before its shard said that it is quiet. */
	acceptor_free(b->acceptor);
	b->acceptor = NULL;
	controller_free(b->controller);
	b->controller = NULL;
	e = metastore_close_await(self, b->metastore);
	worst = worst ? worst : e;
	observe_stop_await(self, b);
	e = everywhere_await(self, b, part_close_await);
	worst = worst ? worst : e;
	e = storage_close_await(self, b->storage);
	worst = worst ? worst : e;
	b->storage = NULL;
	if (worst)
		log_warn(b->log, "not everything could be closed cleanly: %s; the next start recovers",
			 err_text(worst));
	return !worst;
}

/* --- the whole ------------------------------------------------------------------------------------------------------- */

static void broker_main(struct fiber *self, void *argument)
{
	struct broker *b = argument;
	bool clean;

	if (start_await(self, b)) {
		b->exit_code = 1;
		b->stopping = true;
	} else if (b->options.started && !b->stopping) {
		b->options.started(b, b->options.context);
	}
	while (!b->stopping)
		if (event_wait_await(self, &b->stop, FIBER_NO_DEADLINE))
			break;
	b->stopping = true;
	clean = stop_await(self, b);
	runtime_stop(b->runtime, b->exit_code ? b->exit_code : !clean);
}

/*
 * The data has its share whatever clients do: a log that cannot be opened for want of a descriptor is worse than a client that waits
 * to be accepted. Where that is enough for files in use, connections have the rest, up to three quarters.
 */
static void share_open_files(struct broker *b, size_t limit)
{
	size_t kept = limit < 2 * KEPT_FILES ? limit / 2 : KEPT_FILES;

	b->max_open_files = (limit - kept) / 2;
	if (b->max_open_files > ENOUGH_OPEN_FILES)
		b->max_open_files = limit / 4 > ENOUGH_OPEN_FILES ? limit / 4 : ENOUGH_OPEN_FILES;
	if (b->max_open_files > MOST_OPEN_FILES)
		b->max_open_files = MOST_OPEN_FILES;
	b->max_sockets = limit - kept - b->max_open_files;
}

/* Before any shard is open, since they send to each other. */
static void reliefs_connect(struct broker *b)
{
	for (unsigned i = 0; i < b->shard_count; i++) {
		struct broker_part *part = &b->parts[i];
		size_t n = 0;

		part->relief.shard = part->shard.shard;
		part->relief_calls = mem_zalloc(b->shard_count * sizeof(*part->relief_calls));
		for (unsigned j = 0; j < b->shard_count; j++)
			if (j != i)
				part->relief_calls[n++].to = &b->parts[j].relief;
	}
}

struct broker *broker_start(struct shard *shard_zero, const struct broker_options *o)
{
	static const struct fiber_options fiber = {.name = "broker", .stack_size = (size_t)256 * 1024};
	struct broker *b = mem_new(struct broker);
	int64_t limit = config_int64(o->config, CONFIG_MEMORY_LIMIT_BYTES);

	b->options = *o;
	b->config = o->config;
	b->node_id = config_node_id(o->config);
	b->runtime = shard_runtime(shard_zero);
	b->shard_zero = shard_zero;
	b->log = shard_log(shard_zero);
	b->shard_count = runtime_shard_count(b->runtime);
	b->memory_limit_bytes = o->memory_limit_bytes ? o->memory_limit_bytes
				: limit > 0           ? (size_t)limit
						      : DEFAULT_MEMORY;
	share_open_files(b, runtime_open_file_limit(b->runtime));
	b->parts = mem_zalloc(b->shard_count * sizeof(*b->parts));
	b->subscribers = mem_zalloc(b->shard_count * sizeof(struct image_subscriber *));
	for (unsigned i = 0; i < b->shard_count; i++) {
		b->parts[i].shard.broker = b;
		b->parts[i].shard.shard = runtime_shard(b->runtime, i);
		b->subscribers[i] = &b->parts[i].subscriber;
	}
	reliefs_connect(b);
	event_init(&b->stop);
	if (!fiber_start(shard_zero, &fiber, broker_main, b))
		runtime_stop(b->runtime, 1);
	return b;
}

void broker_stop(struct broker *b)
{
	b->stopping = true;
	event_signal(&b->stop);
}

void broker_free(struct broker *b)
{
	if (!b)
		return;
	listeners_free(&b->specs);
	mem_free(b->listeners);
	mem_free(b->subscribers);
	for (unsigned i = 0; i < b->shard_count; i++)
		mem_free(b->parts[i].relief_calls);
	mem_free(b->parts);
	mem_free(b);
}

struct broker_shard *broker_shard_of(struct broker *b, struct uuid topic_id, int32_t partition)
{
	return &b->parts[partition_shard_index(topic_id, partition, b->shard_count)].shard;
}

const struct config *broker_config(const struct broker *b)
{
	return b->config;
}

int32_t broker_node_id(const struct broker *b)
{
	return b->node_id;
}

struct controller *broker_controller(struct broker *b)
{
	return b->controller;
}

const char *broker_listener_name(const struct broker *b, unsigned number)
{
	must(number < b->specs.count);
	return b->specs.items[number].name;
}

const struct broker_listener *broker_listeners(const struct broker *b, size_t *ret_count)
{
	*ret_count = b->specs.count;
	return b->listeners;
}

const struct address *broker_metrics_address(const struct broker *b)
{
	return b->observer.server ? &b->observer.address : NULL;
}

size_t broker_memory_limit(const struct broker *b)
{
	return b->memory_limit_bytes;
}

const char *broker_cluster_id(const struct broker *b)
{
	return image_cluster_id(b->parts[0].shard.image);
}

struct shard *broker_shard_zero(struct broker *b)
{
	return b->shard_zero;
}
