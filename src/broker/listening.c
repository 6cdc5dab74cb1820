/*
 * listening: from the settings listeners, advertised.listeners and listener.security.protocol.map to open ports and to what
 * clients are told. See broker_own.h.
 */
#include "base/alloc.h"
#include "broker/broker_own.h"
#include "config/describe.h"
#include "config/value.h"

static const char *shown_host(const char *host)
{
	return host[0] ? host : "every address";
}

enum err listening_parse(struct broker *b)
{
	struct buf message;
	enum err e;

	buf_init(&message, 1000);
	e = listeners_parse(b->config, &message, &b->specs);
	if (e)
		log_error(b->log, "%.*s", BYTES_ARG(buf_bytes(&message)));
	buf_fini(&message);
	if (e)
		return e;
	for (size_t i = 0; i < b->specs.count; i++)
		if (b->specs.items[i].protocol != SECURITY_PLAINTEXT) {
			log_error(b->log,
				  "listener %s: %s is not there yet, only PLAINTEXT; change listeners or "
				  "listener.security.protocol.map",
				  b->specs.items[i].name, security_protocol_name(b->specs.items[i].protocol));
			return ERR_BAD_CONFIG;
		}
	if (b->specs.count == 0) {
		log_error(b->log, "listeners names none that clients may use");
		return ERR_BAD_CONFIG;
	}
	return OK;
}

static void on_arrived(void *context, struct shard *at, struct place *place)
{
	struct broker *b = context;

	connection_arrived(&b->parts[shard_index(at)].connections, place);
}

static void on_checked(void *context, struct shard *at, struct place *place)
{
	(void)context;
	(void)at;
	connection_checked(place);
}

static size_t limit_of(const struct broker *b, enum config_id id)
{
	struct config_layers layers = image_layers(b->parts[0].shard.image, b->config, b->node_id, NULL);
	int64_t limit = config_layered_int64(&layers, id);

	return limit == INT32_MAX ? SIZE_MAX : (size_t)(limit < 1 ? 1 : limit);
}

/* `overrides` holds what the limits point to. */
static struct acceptor_limits limits_of(const struct broker *b, struct config_value *overrides)
{
	struct config_layers layers = image_layers(b->parts[0].shard.image, b->config, b->node_id, NULL);
	const char *text = config_layered_value(&layers, CONFIG_MAX_CONNECTIONS_PER_IP_OVERRIDES, overrides)->text;
	struct acceptor_limits limits = {
		.max_connections = limit_of(b, CONFIG_MAX_CONNECTIONS),
		.limit_name = "max.connections",
		.max_per_address = limit_of(b, CONFIG_MAX_CONNECTIONS_PER_IP),
		.overrides = bytes_str(text ? text : ""),
	};

	if (limits.max_connections > b->max_sockets) {
		limits.max_connections = b->max_sockets;
		limits.limit_name = "the connections' share of the limit of open files (ulimit -n)";
	}
	return limits;
}

void listening_follow(struct broker *b)
{
	struct config_value overrides = {0};
	struct acceptor_limits limits;

	if (!b->acceptor || !b->listening)
		return;
	limits = limits_of(b, &overrides);
	acceptor_limit(b->acceptor, &limits);
	config_value_fini(&overrides);
}

static void say_why_not(const struct broker *b, const struct listener_spec *spec, enum err e)
{
	const char *what = "change listeners";

	if (e == ERR_ADDRESS_IN_USE)
		what = "another program listens there: stop it, or choose another port in listeners";
	else if (e == ERR_PERMISSION)
		what = "ports below 1024 need a privilege: choose another one in listeners";
	else if (e == ERR_NAME_RESOLUTION)
		what = "give an address or a name of this machine in listeners";
	log_error(b->log, "cannot listen on %s port %u: %s; %s", shown_host(spec->host), spec->port,
		  e == ERR_NAME_RESOLUTION ? "no address of this machine, nor a name of one" : err_text(e), what);
}

enum err listening_bind_await(struct fiber *self, struct broker *b)
{
	struct config_value overrides = {0};
	struct acceptor_options options = {
		.shard = b->shard_zero,
		.limits = limits_of(b, &overrides),
		.context = b,
		.arrived = on_arrived,
		.checked = on_checked,
	};

	b->acceptor = acceptor_new(&options);
	config_value_fini(&overrides);
	b->listeners = mem_zalloc(b->specs.count * sizeof(*b->listeners));
	for (size_t i = 0; i < b->specs.count; i++) {
		const struct listener_spec *spec = &b->specs.items[i];
		struct broker_listener *l = &b->listeners[i];
		struct address address = {.port = spec->port};
		enum err e = ERR_NAME_RESOLUTION;

		if (strlen(spec->host) < sizeof(address.host)) {
			memcpy(address.host, spec->host, strlen(spec->host) + 1);
			e = acceptor_listen_await(self, b->acceptor, &address, (unsigned)i, &l->bound);
		}
		if (e) {
			say_why_not(b, spec, e);
			return e;
		}
		l->name = spec->name;
		l->advertised_host = spec->advertised_host;
		/* Port 0 advertised, as bound, is the one that was found. */
		l->advertised_port = spec->advertised_port ? spec->advertised_port : l->bound.port;
	}
	return OK;
}

enum err listening_register_await(struct fiber *self, struct broker *b)
{
	struct image_endpoint *endpoints = mem_zalloc(b->specs.count * sizeof(*endpoints));
	struct broker_registration r = {
		.endpoints = endpoints,
		.endpoint_count = b->specs.count,
		.rack = config_string(b->config, CONFIG_BROKER_RACK),
	};
	char local[] = ""; /* each client is told the local address of its own connection */
	enum err e;

	for (size_t i = 0; i < b->specs.count; i++) {
		const struct broker_listener *l = &b->listeners[i];

		endpoints[i] = (struct image_endpoint){
			.listener = b->specs.items[i].name,
			.host = b->specs.items[i].advertised_host ? b->specs.items[i].advertised_host : local,
			.port = l->advertised_port,
			.security_protocol = SECURITY_PLAINTEXT,
		};
	}
	e = controller_register_await(self, b->controller, &r);
	if (e)
		log_error(b->log, "this broker could not be registered in the metadata: %s", err_text(e));
	mem_free(endpoints);
	return e;
}

void listening_begin(struct broker *b)
{
	b->listening = true;
	acceptor_begin(b->acceptor);
}
