/* api: opening, closing, jobs and errors. api_produce.c, api_consume.c and api_admin.c have the rest. */
#include "client/api.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/alloc.h"

int api_error(struct mo_err *e, int code, const char *format, ...)
{
	va_list arguments;

	if (!e)
		return code;
	e->code = code;
	va_start(arguments, format);
	vsnprintf(e->text, sizeof(e->text), format, arguments);
	va_end(arguments);
	return code;
}

const char *mo_code_name(int code)
{
	return err_name((enum err)code);
}

const char *mo_code_text(int code)
{
	return err_text((enum err)code);
}

const char *mo_version(void)
{
	return MOLDAU_VERSION;
}

int64_t api_deadline_us(struct mo_client *c, int64_t timeout_ms)
{
	if (timeout_ms < 0)
		return INT64_MAX;
	return c->door->ops->now_us(c->door) + timeout_ms * 1000;
}

int64_t api_left_us(struct mo_client *c, int64_t deadline_us)
{
	int64_t left;

	if (deadline_us == INT64_MAX)
		return -1;
	left = deadline_us - c->door->ops->now_us(c->door);
	return left > 0 ? left : 0;
}

int api_new(const struct mo_option *options, size_t count, struct mo_client **ret_client, struct mo_err *ret_err)
{
	struct client_option *pairs = mem_alloc((count + 1) * sizeof(*pairs));
	struct mo_client *c;
	struct client_config config;
	struct buf message;
	enum err e;

	for (size_t i = 0; i < count; i++)
		pairs[i] = (struct client_option){.name = options[i].name, .value = options[i].value};
	buf_init(&message, MO_ERR_TEXT_SIZE);
	e = client_config_parse(pairs, count, &config, &message);
	mem_free(pairs);
	if (e) {
		int code = api_error(ret_err, e, "%.*s", BYTES_ARG(buf_bytes(&message)));

		buf_fini(&message);
		return code;
	}
	buf_fini(&message);
	c = mem_new(struct mo_client);
	c->config = config;
	map_init(&c->topic_numbers);
	map_init(&c->assignments);
	list_init(&c->deliveries);
	list_init(&c->ready);
	buf_init(&c->filling, SIZE_MAX / 2);
	buf_init(&c->taken, SIZE_MAX / 2);
	parcel_reader_init(&c->reader, bytes_empty());
	c->take.run = api_on_take;
	c->nudge.run = api_on_nudge;
	c->next_generation = 1;
	api_group_init(c);
	*ret_client = c;
	return OK;
}

void api_free(struct mo_client *c)
{
	api_produce_fini(c);
	api_group_fini(c);
	api_consume_fini(c);
	client_config_fini(&c->config);
	mem_free(c);
}

/* --- the core's birth and end ------------------------------------------------------------------------------------ */

void api_attach(struct mo_client *c, struct shard *s)
{
	struct client_sink sink = {.outcome = api_produce_outcome,
				   .hand_over = api_hand_over,
				   .located = api_located,
				   .group = &api_group_sink,
				   .transaction = api_txn_changed,
				   .settled = api_txn_settled,
				   .user = c};
	struct buf message;
	enum err e;

	buf_init(&message, MO_ERR_TEXT_SIZE);
	c->shard = s;
	e = client_new(s, &c->config, &sink, &message, &c->core);
	c->door->ops->lock(c->door);
	c->attached = true;
	c->attach_error = e;
	snprintf(c->attach_text, sizeof(c->attach_text), "%.*s", BYTES_ARG(buf_bytes(&message)));
	c->door->ops->wake(c->door);
	c->door->ops->unlock(c->door);
	buf_fini(&message);
}

int api_attached(struct mo_client *c, struct mo_err *ret_err)
{
	c->door->ops->lock(c->door);
	while (!c->attached)
		c->door->ops->wait(c->door, -1);
	c->door->ops->unlock(c->door);
	if (c->attach_error)
		return api_error(ret_err, c->attach_error, "%s", c->attach_text);
	return OK;
}

/* What was handed over and not read goes home: the caller is in mo_client_close, so nobody reads. */
static void take_back(struct mo_client *c)
{
	struct list_node *n;

	if (c->reading)
		api_return(c, c->reading);
	c->reading = NULL;
	c->reading_of = NULL;
	while ((n = list_pop_front(&c->ready)))
		api_return(c, container_of(n, struct fetched, node));
}

void api_close_await(struct fiber *self, struct mo_client *c)
{
	if (!c->core)
		return;
	c->closing = true;
	client_stop_await(self, c->core);
	api_commits_stop_await(self, c);
	/* What is on its way home arrives before the timer of a later turn. */
	(void)fiber_sleep_await(self, 1000);
	take_back(c);
	client_free(c->core);
	c->core = NULL;
}

static void close_main(struct fiber *self, void *argument)
{
	struct api_job *job = argument;
	struct mo_client *c = job->client;

	api_close_await(self, c);
	c->door->ops->lock(c->door);
	c->detached = true;
	c->door->ops->wake(c->door);
	c->door->ops->unlock(c->door);
}

static void on_close(struct shard *at, struct message *m)
{
	static const struct fiber_options options = {.name = "client_close"};
	struct fiber *f = fiber_start(at, &options, close_main, container_of(m, struct api_job, message));

	must(f);
}

void mo_client_close(struct mo_client *c)
{
	struct api_job job = {.message.run = on_close, .client = c};
	struct door *door;

	if (!c)
		return;
	door = c->door;
	api_end_reading(c);
	door->ops->post(door, &job.message);
	door->ops->lock(door);
	while (!c->detached)
		door->ops->wait(door, -1);
	door->ops->unlock(door);
	door->ops->close(door);
	api_free(c);
}

void mo_client_drive(struct mo_client *c, int timeout_ms)
{
	if (c->door->ops->drive)
		c->door->ops->drive(c->door, (int64_t)timeout_ms * 1000);
}

/* --- jobs -------------------------------------------------------------------------------------------------------- */

static void job_done(struct api_job *job)
{
	struct door *door = job->client->door;

	door->ops->lock(door);
	job->done = true;
	door->ops->wake(door);
	door->ops->unlock(door);
}

static void job_main(struct fiber *self, void *argument)
{
	struct api_job *job = argument;

	job->deadline_us = shard_now_us(fiber_shard(self)) + job->client->config.api_timeout_ms * 1000;
	job->work_await(self, job);
	job_done(job);
}

static void on_job(struct shard *at, struct message *m)
{
	static const struct fiber_options options = {.name = "client_job"};
	struct api_job *job = container_of(m, struct api_job, message);

	if (!job->client->closing && fiber_start(at, &options, job_main, job))
		return;
	api_error(&job->error, job->client->closing ? ERR_CLOSED : ERR_NO_MEMORY, "%s",
		  job->client->closing ? "the client is being closed" : "too many calls at once");
	job_done(job);
}

void api_start_job(struct mo_client *c, struct api_job *job)
{
	job->client = c;
	job->message.run = on_job;
	c->door->ops->post(c->door, &job->message);
}

int api_run(struct mo_client *c, struct api_job *job, struct mo_err *ret_err)
{
	struct door *door = c->door;

	api_start_job(c, job);
	door->ops->lock(door);
	while (!job->done)
		door->ops->wait(door, -1);
	door->ops->unlock(door);
	if (job->error.code && ret_err)
		*ret_err = job->error;
	return job->error.code;
}

/* --- on a shard that somebody else turns ------------------------------------------------------------------------- */

struct local_door {
	struct door door;
	struct shard *shard;
};

static void local_lock(struct door *d)
{
	(void)d;
}

static bool local_wait(struct door *d, int64_t timeout_us)
{
	(void)d;
	/* A wait without bound would never end: nobody turns the shard meanwhile. */
	must(timeout_us >= 0);
	return false;
}

static void local_post(struct door *d, struct message *m)
{
	struct shard *s = container_of(d, struct local_door, door)->shard;

	shard_send(s, s, m);
}

static int64_t local_now_us(struct door *d)
{
	return shard_now_us(container_of(d, struct local_door, door)->shard);
}

static void local_close(struct door *d)
{
	mem_free(container_of(d, struct local_door, door));
}

void api_end(struct mo_client *c)
{
	must(!c->core);
	c->door->ops->close(c->door);
	api_free(c);
}

int api_open_on(struct shard *s, const struct mo_option *options, size_t count, struct mo_client **ret_client,
		struct mo_err *ret_err)
{
	static const struct door_ops ops = {
		.lock = local_lock,
		.unlock = local_lock,
		.wait = local_wait,
		.wake = local_lock,
		.post = local_post,
		.now_us = local_now_us,
		.close = local_close,
	};
	struct local_door *d;
	struct mo_client *c;
	int code = api_new(options, count, &c, ret_err);

	if (code)
		return code;
	d = mem_new(struct local_door);
	d->door.ops = &ops;
	d->shard = s;
	c->door = &d->door;
	api_attach(c, s);
	if (c->attach_error) {
		code = api_error(ret_err, c->attach_error, "%s", c->attach_text);
		local_close(&d->door);
		api_free(c);
		return code;
	}
	*ret_client = c;
	return OK;
}
