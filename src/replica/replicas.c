/* replicas: see the header. Fibers open and delete logs; everything else is plain. */
#include "replica/replicas.h"

#include "base/alloc.h"
#include "base/saturate.h"

#define RETRY_US (10 * 1000)
/* So often a new topic waits for the folders of the deleted one of its name before it sets aside what is there. */
#define NAME_TRIES 500
#define DELETE_TRIES 10

struct replicas {
	struct replicas_options options;
	struct compressor *compressor;
	struct map topics;      /* by id -> struct topic_replicas */
	struct list touched;    /* partitions to open, clients wait for them */
	struct list background; /* partitions to open when nobody waits */
	struct list nameless;   /* partitions to open when a deleted topic has given their name back */
	struct list removed;    /* partitions whose log is to be deleted */
	unsigned openers;
	bool remover_runs;
	bool closing;
	bool refusal_told;
	bool started;         /* what is added from now on is new */
	struct event changed; /* a log was opened or failed; an opener or the remover ended */
	struct timer retry;
	struct timer open_all;
};

static void retry(struct timer *t);
static void open_all(struct timer *t);

struct replicas *replicas_new(const struct replicas_options *o)
{
	struct replicas *r = mem_new(struct replicas);

	r->options = *o;
	r->compressor = compressor_new();
	map_init(&r->topics);
	list_init(&r->touched);
	list_init(&r->background);
	list_init(&r->nameless);
	list_init(&r->removed);
	event_init(&r->changed);
	r->retry.fire = retry;
	r->open_all.fire = open_all;
	if (o->open_all_after_ms > 0)
		timer_arm(o->shard, &r->open_all, us_after_ms(shard_now_us(o->shard), o->open_all_after_ms));
	return r;
}

struct shard *replicas_shard(struct replicas *r)
{
	return r->options.shard;
}

struct compressor *replicas_compressor(struct replicas *r)
{
	return r->compressor;
}

bool replicas_refuse_writes(struct replicas *r)
{
	if (!store_is_read_only(r->options.store))
		return false;
	if (!r->refusal_told)
		log_warn(shard_log(r->options.shard),
			 "a client wants to write, and is refused (POLICY_VIOLATION): the data folders are read only; "
			 "this is not told again");
	r->refusal_told = true;
	return true;
}

size_t replicas_max_decompressed_bytes(const struct replicas *r)
{
	return r->options.max_decompressed_bytes;
}

/* Neighbours in one topic go to different shards; topics begin at different ones. */
unsigned partition_shard_index(struct uuid topic_id, int32_t partition, unsigned shard_count)
{
	uint32_t start = 0;

	for (size_t i = 0; i < sizeof(topic_id.bytes); i++)
		start = start * 31 + topic_id.bytes[i];
	return (start + (uint32_t)partition) % shard_count;
}

static struct bytes id_key(const struct uuid *id)
{
	return bytes_of(id->bytes, sizeof(id->bytes));
}

/*
 * Opening.
 */
static enum err open_log_await(struct fiber *self, struct partition *p, bool create, struct log **ret_log)
{
	struct topic_replicas *t = p->topic;
	struct log_spec spec = {
		.topic = bytes_str(t->name),
		.topic_id = t->id,
		.partition = p->index,
		.config = t->settings.log,
		.owner = create ? &p->log_owner : NULL,
		.wait_for_name = p->name_tries < NAME_TRIES,
		.may_be_elsewhere = !p->is_new,
	};

	return log_open_await(self, t->replicas->options.store, &spec, create, ret_log);
}

static void start_remover(struct replicas *r);

static void retry_later(struct replicas *r)
{
	if (!r->closing && !timer_armed(&r->retry))
		timer_arm(r->options.shard, &r->retry, shard_now_us(r->options.shard) + RETRY_US);
}

/* A log with a newer epoch than the picture of the cluster has (from another broker's folder) would fence every client. */
static enum err check_epoch_await(struct fiber *self, struct partition *p, struct log *log)
{
	enum err e = log_assign_epoch(log, p->leader_epoch);
	enum err closed;

	if (!e)
		return OK;
	log_set_owner(log, NULL);
	closed = log_close_await(self, log);
	return closed ? closed : e;
}

static void open_one_await(struct fiber *self, struct partition *p)
{
	struct replicas *r = p->topic->replicas;
	struct log *log = NULL;
	enum err e = open_log_await(self, p, true, &log);

	if (!e && p->state != PARTITION_REMOVED) {
		e = check_epoch_await(self, p, log);
		if (e)
			log = NULL;
	}
	if (p->state == PARTITION_REMOVED) {
		/* Its topic went while it was being opened: the remover takes over, with the log if there is one. */
		p->log = log;
		if (log)
			log_set_owner(log, NULL);
		list_push_back(&r->removed, &p->opening);
		start_remover(r);
	} else if (e == ERR_EXISTS || e == ERR_TOO_MANY_FILES) {
		if (e == ERR_EXISTS)
			p->name_tries++;
		else
			log_warn(shard_log(r->options.shard),
				 "%s-%d: its log does not open for want of open files (ulimit -n): it is tried again",
				 p->topic->name, p->index);
		list_push_back(&r->nameless, &p->opening);
		retry_later(r);
	} else if (e) {
		log_error(shard_log(r->options.shard), "%s-%d is offline: its log does not open: %s", p->topic->name,
			  p->index, err_text(e));
		partition_failed(p);
	} else {
		/* Settings may have changed meanwhile. */
		log_configure(log, &p->topic->settings.log);
		partition_opened(p, log);
	}
	event_signal(&r->changed);
}

static struct partition *next_to_open(struct replicas *r)
{
	struct list_node *n = list_pop_front(&r->touched);

	if (!n)
		n = list_pop_front(&r->background);
	return n ? container_of(n, struct partition, opening) : NULL;
}

static void opener_main(struct fiber *self, void *argument)
{
	struct replicas *r = argument;
	struct partition *p;

	while (!r->closing && (p = next_to_open(r))) {
		p->state = PARTITION_OPENING;
		open_one_await(self, p);
	}
	r->openers--;
	event_signal(&r->changed);
}

static void start_openers(struct replicas *r)
{
	static const struct fiber_options options = {.name = "log opener", .stack_size = (size_t)128 * 1024};

	if (r->closing || r->openers >= r->options.opening_at_once)
		return;
	if (list_empty(&r->touched) && list_empty(&r->background))
		return;
	if (fiber_start(r->options.shard, &options, opener_main, r))
		r->openers++;
	else
		retry_later(r);
}

static void retry(struct timer *t)
{
	struct replicas *r = container_of(t, struct replicas, retry);
	struct list_node *n;

	while ((n = list_pop_front(&r->nameless)))
		list_push_back(&r->touched, n);
	start_openers(r);
	start_remover(r);
}

void replicas_touch(struct replicas *r, struct partition *p)
{
	if (p->state != PARTITION_CLOSED)
		return;
	/* In the line of the background already: it moves ahead. */
	if (list_linked(&p->opening))
		list_remove(&p->opening);
	p->state = PARTITION_OPENING;
	list_push_back(&r->touched, &p->opening);
	start_openers(r);
}

void replicas_open_all(struct replicas *r)
{
	size_t place = 0;
	const struct map_entry *entry;

	r->started = true;
	while ((entry = map_next(&r->topics, &place))) {
		struct topic_replicas *t = entry->value;

		for (int32_t i = 0; i < t->partition_count; i++) {
			struct partition *p = t->partitions[i];

			if (p && p->state == PARTITION_CLOSED && !list_linked(&p->opening))
				list_push_back(&r->background, &p->opening);
		}
	}
	for (unsigned i = 0; i < r->options.opening_at_once; i++)
		start_openers(r);
}

static void open_all(struct timer *t)
{
	replicas_open_all(container_of(t, struct replicas, open_all));
}

enum err replicas_open_await(struct fiber *self, struct replicas *r, struct uuid topic_id, int32_t partition,
			     struct partition **ret_partition)
{
	for (;;) {
		struct partition *p = replicas_find(r, topic_id, partition);
		enum err e = p ? partition_readable(p) : ERR_UNKNOWN_TOPIC_OR_PARTITION;

		if (!e)
			*ret_partition = p;
		if (e != ERR_AGAIN)
			return e;
		if (r->closing)
			return ERR_NOT_LEADER_OR_FOLLOWER;
		replicas_touch(r, p);
		e = event_wait_await(self, &r->changed, FIBER_NO_DEADLINE);
		if (e)
			return e;
	}
}

/*
 * Topics come and go.
 */
static struct topic_replicas *topic_of(struct replicas *r, struct uuid id)
{
	return map_get(&r->topics, id_key(&id));
}

struct partition *replicas_find(struct replicas *r, struct uuid topic_id, int32_t partition)
{
	struct topic_replicas *t = topic_of(r, topic_id);

	return t && partition >= 0 && partition < t->partition_count ? t->partitions[partition] : NULL;
}

static bool lives_here(const struct replicas *r, struct uuid id, int32_t partition)
{
	return partition_shard_index(id, partition, r->options.shard_count) == shard_index(r->options.shard);
}

void replicas_add_topic(struct replicas *r, struct bytes name, struct uuid id, const int32_t *leader_epochs,
			int32_t partition_count, const struct replica_settings *settings)
{
	struct topic_replicas *t = topic_of(r, id);

	if (!t) {
		t = mem_new(struct topic_replicas);
		t->replicas = r;
		t->id = id;
		t->name = mem_zalloc(name.size + 1);
		memcpy(t->name, name.data, name.size);
		t->settings = *settings;
		map_put(&r->topics, id_key(&id), t);
	}
	must(partition_count >= t->partition_count);
	t->partitions = mem_realloc(t->partitions, (size_t)partition_count * sizeof(struct partition *));
	for (int32_t i = t->partition_count; i < partition_count; i++) {
		t->partitions[i] = lives_here(r, id, i) ? mem_new(struct partition) : NULL;
		if (!t->partitions[i])
			continue;
		partition_init(t->partitions[i], t, i, leader_epochs[i]);
		t->partitions[i]->is_new = r->started;
		t->here++;
	}
	t->partition_count = partition_count;
}

void replicas_configure_topic(struct replicas *r, struct uuid id, const struct replica_settings *settings)
{
	struct topic_replicas *t = topic_of(r, id);

	if (!t)
		return;
	t->settings = *settings;
	for (int32_t i = 0; i < t->partition_count; i++) {
		struct partition *p = t->partitions[i];

		if (!p || !p->log)
			continue;
		log_configure(p->log, &settings->log);
		partition_update(p);
	}
}

static void free_topic(struct topic_replicas *t)
{
	mem_free(t->partitions);
	mem_free(t->name);
	mem_free(t);
}

/* The topic's struct goes with the last of its partitions. */
static void free_partition(struct partition *p)
{
	struct topic_replicas *t = p->topic;

	t->partitions[p->index] = NULL;
	mem_free(p);
	if (--t->here == 0)
		free_topic(t);
}

static void delete_one_await(struct fiber *self, struct partition *p)
{
	struct replicas *r = p->topic->replicas;
	struct logger *l = shard_log(r->options.shard);
	enum err e = OK;

	if (!p->log)
		e = open_log_await(self, p, false, &p->log);
	/* A newer topic has the name, or looks now whether it is free: in the end it has it, and then nothing of ours is left under it. */
	for (int i = 0; (e == ERR_EXISTS || e == ERR_TOO_MANY_FILES) && i < DELETE_TRIES && !r->closing; i++) {
		(void)!event_wait_await(self, &r->changed, shard_now_us(r->options.shard) + RETRY_US);
		e = open_log_await(self, p, false, &p->log);
	}
	if (e == ERR_EXISTS)
		e = ERR_NOT_FOUND;
	if (!e)
		e = log_delete_await(self, p->log);
	if (e && e != ERR_NOT_FOUND)
		log_warn(l, "%s-%d was deleted, but its folder stays: %s; it is set aside at the next start",
			 p->topic->name, p->index, err_text(e));
	free_partition(p);
}

static void remover_main(struct fiber *self, void *argument)
{
	struct replicas *r = argument;
	struct list_node *n;

	while (!r->closing && (n = list_pop_front(&r->removed)))
		delete_one_await(self, container_of(n, struct partition, opening));
	r->remover_runs = false;
	event_signal(&r->changed);
}

static void start_remover(struct replicas *r)
{
	static const struct fiber_options options = {.name = "log remover", .stack_size = (size_t)128 * 1024};

	if (r->remover_runs || r->closing || list_empty(&r->removed))
		return;
	r->remover_runs = fiber_start(r->options.shard, &options, remover_main, r) != NULL;
	if (!r->remover_runs)
		retry_later(r);
}

/* Takes it out of the line of logs to open; false when an opener has it in hand, and will hand it on itself. */
static bool take_from_line(struct partition *p)
{
	if (list_linked(&p->opening)) {
		list_remove(&p->opening);
		return true;
	}
	return p->state != PARTITION_OPENING;
}

void replicas_remove_topic(struct replicas *r, struct uuid id)
{
	struct topic_replicas *t = map_remove(&r->topics, id_key(&id));

	if (!t)
		return;
	if (t->here == 0) {
		free_topic(t);
		return;
	}
	for (int32_t i = 0; i < t->partition_count; i++) {
		struct partition *p = t->partitions[i];
		bool ours;

		if (!p)
			continue;
		ours = take_from_line(p);
		partition_removed(p, ERR_UNKNOWN_TOPIC_OR_PARTITION);
		if (ours)
			list_push_back(&r->removed, &p->opening);
	}
	event_signal(&r->changed);
	start_remover(r);
}

static bool is_in_line(const struct partition *p)
{
	return p->state == PARTITION_OPENING || (p->state == PARTITION_CLOSED && list_linked(&p->opening));
}

const struct topic_replicas *replicas_next_topic(const struct replicas *r, size_t *place)
{
	const struct map_entry *entry = map_next(&r->topics, place);

	return entry ? entry->value : NULL;
}

struct replicas_count replicas_count(const struct replicas *r)
{
	struct replicas_count count = {0};
	size_t place = 0;
	const struct map_entry *entry;

	while ((entry = map_next(&r->topics, &place))) {
		const struct topic_replicas *t = entry->value;

		for (int32_t i = 0; i < t->partition_count; i++) {
			if (!t->partitions[i])
				continue;
			count.partitions++;
			count.open += t->partitions[i]->state == PARTITION_OPEN;
			count.offline += t->partitions[i]->state == PARTITION_OFFLINE;
			count.opening += is_in_line(t->partitions[i]);
		}
	}
	return count;
}

static void free_with_partitions(struct topic_replicas *t)
{
	if (t->here == 0) {
		free_topic(t);
		return;
	}
	for (int32_t i = 0, left = t->here; left > 0; i++)
		if (t->partitions[i]) {
			left--;
			free_partition(t->partitions[i]);
		}
}

void replicas_close_await(struct fiber *self, struct replicas *r)
{
	struct list_node *n;
	size_t place = 0;
	const struct map_entry *entry;

	r->closing = true;
	timer_disarm(r->options.shard, &r->retry);
	timer_disarm(r->options.shard, &r->open_all);
	while (r->openers || r->remover_runs)
		(void)event_wait_await(self, &r->changed, FIBER_NO_DEADLINE);
	while ((entry = map_next(&r->topics, &place))) {
		struct topic_replicas *t = entry->value;

		for (int32_t i = 0; i < t->partition_count; i++)
			if (t->partitions[i])
				partition_removed(t->partitions[i], ERR_NOT_LEADER_OR_FOLLOWER);
	}
	event_signal(&r->changed);
	/* What they were told is on its way in tasks that still name the partitions. */
	fiber_yield_await(self);
	while ((n = list_pop_front(&r->removed)))
		free_partition(container_of(n, struct partition, opening));
	for (place = 0; (entry = map_next(&r->topics, &place));)
		free_with_partitions(entry->value);
	map_fini(&r->topics);
	compressor_free(r->compressor);
	mem_free(r);
}
