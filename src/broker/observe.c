/* observe: see the header. The server, the sequence of a look, and what shard 0 knows of the whole. Calls http/. */
#include "broker/observe.h"

#include <stdio.h>

#include "base/alloc.h"
#include "broker/broker_own.h"
#include "http/server.h"
#include "runtime/file.h"
#include "runtime/process.h"
#include "storage/figures.h"

#define MOST_CONNECTIONS 16
#define REQUEST_US 10000000
#define ANSWER_US 20000000
/* Prometheus asks every 15 to 60 seconds over the same connection. */
#define IDLE_US 120000000

#define STRANGERS \
	"Host is no name of this broker: ask by address, or by a name in metrics.listener, listeners or " \
	"advertised.listeners"

#define MOST_VALUES ((size_t)100000)
#define TEXT_MAX ((size_t)64 * 1024 * 1024)
#define LABELS_MAX ((size_t)2048)

/* --- a look at all shards -------------------------------------------------------------------------------------------- */

struct tour {
	struct message message;
	struct broker *broker;
	struct fiber *waiter;
	struct look look;
	unsigned next;
	bool over;
};

static void run_home(struct shard *at, struct message *m)
{
	struct tour *t = container_of(m, struct tour, message);

	(void)at;
	t->over = true;
	fiber_wake(t->waiter);
}

static void run_visit(struct shard *at, struct message *m)
{
	struct tour *t = container_of(m, struct tour, message);
	struct broker *b = t->broker;
	struct shard *to = b->shard_zero;
	struct broker_part *part = &b->parts[t->next++];

	if (t->look.collects)
		observe_groups_collect(part, t->look.groups);
	else
		observe_shard(part, &t->look);
	if (t->next < b->shard_count)
		to = b->parts[t->next].shard.shard;
	else
		m->run = run_home;
	shard_send(at, to, m);
}

/* One shard after the other: the page needs no lock, and a scrape is no storm. */
static void tour_await(struct fiber *self, struct tour *t)
{
	t->waiter = self;
	t->next = 0;
	t->over = false;
	t->look.topics_max = t->broker->observer.topics_max;
	t->message.run = run_visit;
	shard_send(t->broker->shard_zero, t->broker->shard_zero, &t->message);
	while (!t->over)
		fiber_park_await(self);
}

/* --- what shard 0 knows ---------------------------------------------------------------------------------------------- */

static void put(struct look *look, enum observed what, const struct buf *labels, int64_t value)
{
	metrics_put(look->page, &observed_metrics[what], labels ? buf_bytes(labels) : bytes_empty(), value);
}

/* What is not known is not shown. */
static void put_known(struct look *look, enum observed what, int64_t value)
{
	if (value >= 0)
		put(look, what, NULL, value);
}

static void put_process_await(struct fiber *self, struct broker *b, struct look *look)
{
	struct process_figures f;

	put(look, OBSERVED_START_TIME, NULL, b->observer.started_wall_ms * 1000);
	if (!process_figures_await(self, &f))
		return;
	put_known(look, OBSERVED_RESIDENT, f.resident_bytes);
	put_known(look, OBSERVED_VIRTUAL, f.virtual_bytes);
	put_known(look, OBSERVED_CPU, f.cpu_us);
	put_known(look, OBSERVED_THREADS, f.threads);
	put_known(look, OBSERVED_OPEN_FDS, f.open_files);
	put_known(look, OBSERVED_MAX_FDS, f.max_files);
}

static void put_folder_await(struct fiber *self, struct look *look, const struct folder_figures *f)
{
	int64_t free_bytes, total_bytes;
	struct buf labels;

	buf_init(&labels, LABELS_MAX);
	metrics_label(&labels, "folder", bytes_str(f->path));
	put(look, OBSERVED_FOLDER_ONLINE, &labels, f->online);
	if (folder_space_await(self, f->path, &free_bytes, &total_bytes) == OK) {
		put(look, OBSERVED_FOLDER_FREE, &labels, free_bytes);
		put(look, OBSERVED_FOLDER_SIZE, &labels, total_bytes);
	}
	buf_fini(&labels);
}

static void put_folders_await(struct fiber *self, struct broker *b, struct look *look)
{
	for (size_t i = 0; b->parts[0].opened && i < store_folder_count(b->parts[0].shard.store); i++) {
		struct folder_figures f;

		store_folder_figures(b->parts[0].shard.store, i, &f);
		put_folder_await(self, look, &f);
	}
}

static void put_acceptor(struct broker *b, struct look *look)
{
	struct acceptor_figures f;
	struct buf labels;

	if (!b->acceptor)
		return;
	acceptor_figures(b->acceptor, &f);
	buf_init(&labels, LABELS_MAX);
	metrics_label(&labels, "reason", bytes_str("max.connections.per.ip"));
	put(look, OBSERVED_REFUSED, &labels, (int64_t)f.refused_per_address);
	put(look, OBSERVED_ACCEPTED, NULL, (int64_t)f.accepted);
	put(look, OBSERVED_LIMIT_REACHED, NULL, (int64_t)f.pauses);
	put(look, OBSERVED_PAUSED, NULL, f.paused && b->observer.serving);
	if (f.most != SIZE_MAX)
		put(look, OBSERVED_CONNECTIONS_MAX, NULL, (int64_t)f.most);
	buf_fini(&labels);
}

static void put_broker(struct broker *b, struct look *look)
{
	struct http_server_figures http;
	struct buf labels;
	char node[12];

	buf_init(&labels, LABELS_MAX);
	snprintf(node, sizeof(node), "%d", (int)b->node_id);
	metrics_label(&labels, "version", bytes_str(MOLDAU_VERSION));
	metrics_label(&labels, "node_id", bytes_str(node));
	metrics_label(&labels, "cluster_id", bytes_str(b->storage ? storage_cluster_id(b->storage) : ""));
	put(look, OBSERVED_INFO, &labels, 1);
	buf_fini(&labels);
	put(look, OBSERVED_SERVING, NULL, b->observer.serving && !b->stopping);
	if (b->storage)
		put(look, OBSERVED_START_CLEAN, NULL, storage_was_clean(b->storage));
	put(look, OBSERVED_SHARDS, NULL, b->shard_count);
	put(look, OBSERVED_MEMORY_LIMIT, NULL, (int64_t)b->memory_limit_bytes);
	http_server_figures(b->observer.server, &http);
	put(look, OBSERVED_HTTP_CONNECTIONS, NULL, (int64_t)http.connections);
	put(look, OBSERVED_HTTP_REQUESTS, NULL, (int64_t)http.requests);
	put(look, OBSERVED_HTTP_REFUSED, NULL, (int64_t)http.refused);
}

/* --- the two pages --------------------------------------------------------------------------------------------------- */

struct asked {
	struct broker *broker;
	struct http_exchange *exchange;
};

static void metrics_main(struct fiber *self, void *argument)
{
	struct asked *a = argument;
	struct broker *b = a->broker;
	struct metrics_page page;
	struct group_look groups;
	struct tour tour = {.broker = b, .look = {.page = &page, .groups = &groups, .collects = true}};
	struct buf text;

	metrics_page_init(&page, MOST_VALUES);
	group_look_init(&groups, b->observer.groups_max);
	put_broker(b, &tour.look);
	put_acceptor(b, &tour.look);
	put_process_await(self, b, &tour.look);
	put_folders_await(self, b, &tour.look);
	tour_await(self, &tour);
	tour.look.collects = false;
	tour_await(self, &tour);
	observe_groups_put_await(self, &page, &groups);
	group_look_fini(&groups);
	buf_init(&text, TEXT_MAX);
	metrics_print(&page, &text);
	metrics_page_fini(&page);
	http_answer_take(a->exchange, 200, "text/plain; version=0.0.4; charset=utf-8", &text);
	mem_free(a);
}

static void find_offline_folder(struct broker *b, struct health_facts *facts)
{
	for (size_t i = 0; b->parts[0].opened && i < store_folder_count(b->parts[0].shard.store); i++) {
		struct folder_figures f;

		store_folder_figures(b->parts[0].shard.store, i, &f);
		if (f.online)
			facts->online_folders++;
		else if (!facts->offline_folder)
			facts->offline_folder = f.path;
	}
}

static void health_main(struct fiber *self, void *argument)
{
	struct asked *a = argument;
	struct broker *b = a->broker;
	struct observer *o = &b->observer;
	struct tour tour = {.broker = b};
	struct health_facts facts = {0};
	unsigned status;
	struct buf line;

	tour_await(self, &tour);
	if (o->serving && tour.look.sums.opening == 0)
		o->recovered = true;
	facts.doing = o->doing;
	facts.serving = o->serving;
	facts.stopping = b->stopping;
	facts.recovering = !o->recovered;
	find_offline_folder(b, &facts);
	buf_init(&line, 10000);
	status = health_decide(&facts, &tour.look.sums, &line);
	buf_put_i8(&line, 0);
	http_answer_text(a->exchange, status, line.error ? "too long to say" : (const char *)line.data);
	buf_fini(&line);
	mem_free(a);
}

static void run(struct broker *b, struct http_exchange *x, const char *name,
		void (*main)(struct fiber *self, void *argument))
{
	struct fiber_options options = {.name = name};
	struct asked *a = mem_new(struct asked);

	*a = (struct asked){.broker = b, .exchange = x};
	if (fiber_start(b->shard_zero, &options, main, a))
		return;
	mem_free(a);
	http_answer_text(x, 503, "too much goes on at once");
}

static void handle(void *context, struct http_exchange *x)
{
	const char *path = http_exchange_path(x);

	if (strcmp(path, "/metrics") == 0)
		run(context, x, "metrics", metrics_main);
	else if (strcmp(path, "/healthz") == 0)
		run(context, x, "health", health_main);
	else if (!explain_answer(context, x, path) && !explain_group_answer(context, x, path))
		http_answer_text(x, 404,
				 "there are /metrics, /healthz, /topics/NAME/segments and /groups/NAME/rebalances");
}

/* Where other programs find the broker they find its metrics. */
static bool is_own_name(void *context, const char *host)
{
	const struct broker *b = context;
	bool own = http_host_is(host, b->observer.asked.host);

	for (size_t i = 0; i < b->specs.count && !own; i++) {
		const struct listener_spec *l = &b->specs.items[i];

		own = http_host_is(host, l->host) || (l->advertised_host && http_host_is(host, l->advertised_host));
	}
	return own;
}

/* --- start and stop -------------------------------------------------------------------------------------------------- */

static bool parse_port(const char *text, uint16_t *ret_port)
{
	unsigned port = 0;

	if (!*text)
		return false;
	for (; *text; text++) {
		if (*text < '0' || *text > '9')
			return false;
		port = port * 10 + (unsigned)(*text - '0');
		if (port > UINT16_MAX)
			return false;
	}
	*ret_port = (uint16_t)port;
	return true;
}

bool observe_parse_listener(const char *text, struct address *ret_address)
{
	const char *colon = strrchr(text, ':');
	size_t size = colon ? (size_t)(colon - text) : 0;
	struct address a = {0};

	if (!*text) {
		*ret_address = a;
		return true;
	}
	if (!colon || size == 0 || !parse_port(colon + 1, &a.port))
		return false;
	if (text[0] == '[' && text[size - 1] == ']') {
		text++;
		size -= 2;
	} else if (memchr(text, ':', size)) {
		return false;
	}
	if (size == 0 || size >= sizeof(a.host))
		return false;
	memcpy(a.host, text, size);
	*ret_address = a;
	return true;
}

enum err observe_start_await(struct fiber *self, struct broker *b)
{
	const char *text = config_string(b->config, CONFIG_METRICS_LISTENER);
	struct http_server_options options = {
		.shard = b->shard_zero,
		.max_connections = MOST_CONNECTIONS,
		.request_us = REQUEST_US,
		.answer_us = ANSWER_US,
		.idle_us = IDLE_US,
		.context = b,
		.strangers = STRANGERS,
		.is_own_name = is_own_name,
		.handle = handle,
	};
	enum err e;

	b->observer.started_wall_ms = shard_wall_ms(b->shard_zero);
	b->observer.topics_max = config_int32(b->config, CONFIG_METRICS_TOPICS_MAX);
	b->observer.groups_max = config_int32(b->config, CONFIG_METRICS_GROUPS_MAX);
	if (!observe_parse_listener(text ? text : "", &b->observer.asked)) {
		log_error(b->log, "metrics.listener=%s is neither HOST:PORT nor empty", text);
		return ERR_BAD_CONFIG;
	}
	if (!b->observer.asked.host[0])
		return OK;
	e = http_server_open_await(self, &options, &b->observer.asked, &b->observer.server);
	if (e)
		log_warn(b->log, "no /metrics and /healthz: cannot listen on %s: %s; see metrics.listener", text,
			 err_text(e));
	else
		http_server_address(b->observer.server, &b->observer.address);
	return OK;
}

void observe_doing(struct broker *b, const char *doing)
{
	b->observer.doing = doing;
}

void observe_serving(struct broker *b)
{
	b->observer.serving = true;
	b->observer.recovered = storage_was_clean(b->storage);
}

void observe_stop_await(struct fiber *self, struct broker *b)
{
	http_server_close_await(self, b->observer.server);
	b->observer.server = NULL;
}
