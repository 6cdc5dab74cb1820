/* coordinator: see the header. The life of what is hosted, and its steps; append.c and load.c do the rest. */
#include "coordinator/coordinator.h"

#include "base/alloc.h"
#include "base/mutant.h"
#include "base/saturate.h"
#include "coordinator/hosted.h"

/* A record's lengths, deltas and header count. */
#define RECORD_OVERHEAD 40
/* What a step of unusual size made of its memory goes again. */
#define STEP_KEEPS ((size_t)1024 * 1024)

static void tell(struct task *t)
{
	struct coordinator *c = container_of(t, struct coordinator, tell);
	struct list_node *n;

	while ((n = list_pop_front(&c->told))) {
		struct coordinator_call *call = container_of(n, struct coordinator_call, node);

		call->finished(call);
	}
}

struct coordinator *coordinator_new(const struct coordinator_options *o)
{
	struct coordinator *c = mem_new(struct coordinator);

	c->options = *o;
	list_init(&c->to_load);
	list_init(&c->told);
	event_init(&c->changed);
	step_init(&c->step);
	c->tell.run = tell;
	c->more_loaders.fire = coordinator_more_loaders;
	return c;
}

static struct hosted *find(const struct coordinator *c, int32_t partition)
{
	return partition >= 0 && partition < c->table_count ? c->table[partition] : NULL;
}

int32_t coordinator_next(const struct coordinator *c, int32_t from)
{
	for (int32_t i = from < 0 ? 0 : from; i < c->table_count; i++)
		if (c->table[i])
			return i;
	return -1;
}

const void *coordinator_state(const struct coordinator *c, int32_t partition)
{
	const struct hosted *h = find(c, partition);

	return h && h->state == HOSTED_ACTIVE && !h->refused ? h->machine : NULL;
}

/* --- steps ------------------------------------------------------------------------------------------------------------ */

struct step *hosted_step_begin(struct hosted *h)
{
	struct coordinator *c = h->coordinator;
	size_t batch_bytes = hosted_batch_bytes(h);

	must(h->state == HOSTED_ACTIVE && !h->refused);
	c->step.now_ms = shard_now_ms(c->options.shard);
	c->step.wall_ms = shard_wall_ms(c->options.shard);
	c->step.random = shard_random(c->options.shard);
	c->step.image = c->options.image;
	c->step.max_record_bytes = batch_bytes > BATCH_HEADER_SIZE + RECORD_OVERHEAD
					   ? batch_bytes - BATCH_HEADER_SIZE - RECORD_OVERHEAD
					   : 0;
	c->figures.steps++;
	return &c->step;
}

static void step_empty(struct step *s)
{
	if (s->bytes.capacity > STEP_KEEPS) {
		step_fini(s);
		step_init(s);
	}
	step_reset(s);
}

/* A machine that is not done with what is due may say the same again; it gets no more than a step a millisecond. */
static void arm_tick(struct hosted *h)
{
	const struct coordinator *c = h->coordinator;
	int64_t at_ms = c->options.ops->deadline_ms(h->machine), now_ms = shard_now_ms(c->options.shard);

	if (at_ms == h->tick_ms)
		return;
	h->tick_ms = at_ms;
	if (at_ms == MACHINE_NO_DEADLINE)
		timer_disarm(c->options.shard, &h->tick);
	else
		timer_arm(c->options.shard, &h->tick, us_after_ms(0, at_ms > now_ms ? at_ms : now_ms + 1));
}

void hosted_step_end(struct hosted *h)
{
	struct step *s = &h->coordinator->step;

	hosted_take_step(h, s);
	step_empty(s);
	if (MUTANT(COORDINATOR_KEEPS_STATE))
		h->refused = OK;
	if (h->refused)
		hosted_fail(h, h->refused);
	else
		arm_tick(h);
}

static void on_tick(struct timer *t)
{
	struct hosted *h = container_of(t, struct hosted, tick);

	h->tick_ms = MACHINE_NO_DEADLINE;
	h->coordinator->options.ops->tick(h->machine, hosted_step_begin(h));
	hosted_step_end(h);
}

static void refuse(struct coordinator *c, struct coordinator_call *call, enum err why)
{
	struct list one;

	list_init(&one);
	list_push_back(&one, &call->node);
	coordinator_tell(c, &one, why);
}

/* Why there is no step now. A partition that went offline is found out here, since nothing else may touch it. */
static enum err usable(struct hosted *h)
{
	if (!h || h->state == HOSTED_FAILED)
		return ERR_NOT_COORDINATOR;
	if (h->state == HOSTED_LOADING) {
		hosted_load(h, true);
		return ERR_COORDINATOR_LOAD_IN_PROGRESS;
	}
	if (partition_readable(h->partition)) {
		hosted_fail(h, ERR_KAFKA_STORAGE_ERROR);
		return ERR_NOT_COORDINATOR;
	}
	return OK;
}

enum err coordinator_usable(struct coordinator *c, int32_t partition)
{
	return usable(find(c, partition));
}

void coordinator_submit(struct coordinator *c, int32_t partition, struct coordinator_call *call,
			void (*run)(void *state, struct step *out, struct coordinator_call *call))
{
	struct hosted *h = find(c, partition);
	enum err e = usable(h);

	call->error = OK;
	call->place = NULL;
	if (e) {
		refuse(c, call, e);
		return;
	}
	call->place = h;
	run(h->machine, hosted_step_begin(h), call);
	hosted_step_end(h);
}

/* What the log would refuse for the producer's sake must not be decided: taking it back would cost everybody a load. */
static enum err check_producer(const struct hosted *h, const struct coordinator_producer *p)
{
	const struct partition_append a = {.verified_only = p->verified_only, .guard = p->guard};

	return partition_check_producer(h->partition, &a, p->producer_id, p->producer_epoch);
}

void coordinator_submit_of(struct coordinator *c, int32_t partition, const struct coordinator_producer *producer,
			   struct coordinator_call *call,
			   void (*run)(void *state, struct step *out, struct coordinator_call *call))
{
	struct hosted *h = find(c, partition);
	enum err e = usable(h);
	struct step *s;

	call->error = OK;
	call->place = NULL;
	if (!e)
		e = check_producer(h, producer);
	if (e) {
		refuse(c, call, e);
		return;
	}
	call->place = h;
	c->producer = *producer;
	s = hosted_step_begin(h);
	s->producer_id = producer->producer_id;
	s->producer_epoch = producer->producer_epoch;
	run(h->machine, s, call);
	hosted_step_end(h);
}

void coordinator_end_transaction(struct coordinator *c, int32_t partition, const struct end_marker *marker,
				 int8_t transaction_version, struct coordinator_call *call)
{
	struct hosted *h = find(c, partition);
	enum err e = usable(h);
	struct step *s;

	call->error = OK;
	call->place = NULL;
	if (e) {
		refuse(c, call, e);
		return;
	}
	s = hosted_step_begin(h);
	call->error = hosted_append_marker(h, marker, transaction_version);
	if (!call->error && !h->refused && c->options.ops->replay_marker)
		c->options.ops->replay_marker(h->machine, marker);
	step_answer(s, call);
	hosted_step_end(h);
}

struct partition *coordinator_partition(const struct coordinator *c, int32_t partition)
{
	const struct hosted *h = find(c, partition);

	return h && h->state == HOSTED_ACTIVE ? h->partition : NULL;
}

void coordinator_abandon(struct coordinator_call *call)
{
	struct hosted *h = call->place;
	const struct machine_ops *ops;

	if (!h)
		return;
	ops = h->coordinator->options.ops;
	if (!ops->abandon)
		return;
	ops->abandon(h->machine, call, hosted_step_begin(h));
	hosted_step_end(h);
}

void coordinator_image_changed(struct coordinator *c)
{
	const struct machine_ops *ops = c->options.ops;

	if (!ops->image_changed)
		return;
	for (int32_t i = 0; i < c->table_count; i++) {
		struct hosted *h = c->table[i];

		if (!h || h->state != HOSTED_ACTIVE)
			continue;
		ops->image_changed(h->machine, hosted_step_begin(h));
		hosted_step_end(h);
	}
}

/* --- life ------------------------------------------------------------------------------------------------------------- */

static void disarm(struct hosted *h)
{
	struct shard *s = hosted_shard(h);

	timer_disarm(s, &h->tick);
	timer_disarm(s, &h->retry);
	h->tick_ms = MACHINE_NO_DEADLINE;
}

/* Who waits in the state hears of it; then the state is no more. What the machine still records is of no use. */
static void drop_machine(struct hosted *h, enum err why)
{
	struct coordinator *c = h->coordinator;
	struct step *s = &c->step;

	if (!h->machine)
		return;
	if (h->state == HOSTED_ACTIVE) {
		h->refused = OK;
		c->options.ops->give_up(h->machine, why, hosted_step_begin(h));
		list_for_each(&s->answered, n) container_of(n, struct coordinator_call, node)->place = NULL;
		coordinator_tell(c, &s->answered, OK);
		step_empty(s);
	}
	c->options.ops->free(h->machine);
	h->machine = NULL;
}

static void pause(struct hosted *h)
{
	int64_t pause_ms = PAUSE_FIRST_MS;

	for (unsigned i = 0; i < h->pauses && pause_ms < PAUSE_MAX_MS; i++)
		pause_ms *= 2;
	h->pauses++;
	timer_arm(hosted_shard(h), &h->retry,
		  us_after_ms(shard_now_us(hosted_shard(h)), pause_ms < PAUSE_MAX_MS ? pause_ms : PAUSE_MAX_MS));
}

static void on_retry(struct timer *t)
{
	struct hosted *h = container_of(t, struct hosted, retry);

	h->state = HOSTED_LOADING;
	hosted_load(h, false);
}

void hosted_fail(struct hosted *h, enum err why)
{
	struct coordinator *c = h->coordinator;
	enum err told = coordinator_error(why);

	c->figures.failures++;
	if (h->pauses == 0)
		log_warn(shard_log(c->options.shard),
			 "%s-%d: what its %s decided could not be stored: %s; they are loaded again from the log",
			 h->partition->topic->name, h->index, c->options.ops->name, err_text(why));
	disarm(h);
	hosted_drop_open(h, told);
	drop_machine(h, told);
	h->refused = OK;
	h->state = HOSTED_LOADING;
	pause(h);
}

void hosted_loaded(struct hosted *h, enum err e)
{
	struct coordinator *c = h->coordinator;
	struct step *s;

	if (e) {
		drop_machine(h, ERR_NOT_COORDINATOR);
		h->damaged = e == ERR_CORRUPT;
		h->state = HOSTED_FAILED;
		if (!h->damaged)
			pause(h);
		return;
	}
	c->figures.loads++;
	h->state = HOSTED_ACTIVE;
	s = hosted_step_begin(h);
	c->options.ops->loaded(h->machine, s);
	hosted_step_end(h);
}

static void hosted_new(struct coordinator *c, int32_t index, struct partition *p)
{
	struct hosted *h = mem_new(struct hosted);

	h->coordinator = c;
	h->partition = p;
	h->topic_id = c->topic_id;
	h->index = index;
	h->tick_ms = MACHINE_NO_DEADLINE;
	list_init(&h->appended);
	h->tick.fire = on_tick;
	h->late.fire = hosted_late;
	h->retry.fire = on_retry;
	h->flush.run = hosted_flush_task;
	c->table[index] = h;
	c->hosted_count++;
	hosted_load(h, false);
}

void hosted_maybe_free(struct hosted *h)
{
	struct coordinator *c = h->coordinator;

	if (h->state != HOSTED_UNHOSTED || h->has_loader || !list_empty(&h->appended))
		return;
	shard_defer_cancel(c->options.shard, &h->flush);
	timer_disarm(c->options.shard, &h->late);
	mem_free(h);
	c->hosted_count--;
	event_signal(&c->changed);
}

static void unhost(struct hosted *h, bool keep_records)
{
	struct coordinator *c = h->coordinator;

	if (list_linked(&h->to_load))
		list_remove(&h->to_load);
	disarm(h);
	if (keep_records && h->state == HOSTED_ACTIVE)
		hosted_flush(h);
	hosted_drop_open(h, ERR_NOT_COORDINATOR);
	/* A machine that is being replayed is its loader's. */
	if (h->state == HOSTED_ACTIVE)
		drop_machine(h, ERR_NOT_COORDINATOR);
	h->state = HOSTED_UNHOSTED;
	c->table[h->index] = NULL;
	event_signal(&c->changed);
	hosted_maybe_free(h);
}

static void unhost_all(struct coordinator *c, bool keep_records)
{
	for (int32_t i = 0; i < c->table_count; i++)
		if (c->table[i])
			unhost(c->table[i], keep_records);
	mem_free(c->table);
	c->table = NULL;
	c->table_count = 0;
}

void coordinator_host(struct coordinator *c, struct uuid topic_id, int32_t partition_count)
{
	int32_t before = c->table_count;

	if (c->stopped)
		return;
	if (!uuid_equal(topic_id, c->topic_id)) {
		unhost_all(c, false);
		c->topic_id = topic_id;
		before = 0;
	}
	if (partition_count <= before)
		return;
	c->table = mem_realloc(c->table, (size_t)partition_count * sizeof(*c->table));
	c->table_count = partition_count;
	for (int32_t i = before; i < partition_count; i++)
		c->table[i] = NULL;
	for (int32_t i = before; i < partition_count; i++) {
		struct partition *p = replicas_find(c->options.replicas, topic_id, i);

		if (p)
			hosted_new(c, i, p);
	}
}

void coordinator_unhost(struct coordinator *c, struct uuid topic_id)
{
	if (uuid_equal(topic_id, c->topic_id))
		unhost_all(c, false);
}

void coordinator_stop(struct coordinator *c)
{
	c->stopped = true;
	timer_disarm(c->options.shard, &c->more_loaders);
	unhost_all(c, true);
}

void coordinator_close_await(struct fiber *self, struct coordinator *c)
{
	coordinator_stop(c);
	while (c->hosted_count > 0 || c->loaders > 0 || !list_empty(&c->told))
		if (c->hosted_count == 0 && c->loaders == 0)
			fiber_yield_await(self);
		else if (event_wait_await(self, &c->changed, FIBER_NO_DEADLINE))
			fiber_yield_await(self);
	shard_defer_cancel(c->options.shard, &c->tell);
	step_fini(&c->step);
	mem_free(c);
}

void coordinator_figures(const struct coordinator *c, struct coordinator_figures *ret_figures)
{
	*ret_figures = c->figures;
	for (int32_t i = 0; i < c->table_count; i++) {
		const struct hosted *h = c->table[i];

		if (!h)
			continue;
		ret_figures->loading += h->state == HOSTED_LOADING;
		ret_figures->active += h->state == HOSTED_ACTIVE;
		ret_figures->failed += h->state == HOSTED_FAILED;
	}
}
