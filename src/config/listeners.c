/* listeners: see the header. */
#include "config/listeners.h"

#include <ctype.h>
#include <stdlib.h>
#include <strings.h>

#include "base/alloc.h"

static const char *const protocols[] = {"PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"};

const char *security_protocol_name(enum security_protocol p)
{
	must((size_t)p < countof(protocols));
	return protocols[p];
}

void listeners_free(struct listener_specs *s)
{
	for (size_t i = 0; i < s->count; i++) {
		mem_free(s->items[i].name);
		mem_free(s->items[i].host);
		mem_free(s->items[i].advertised_host);
	}
	mem_free(s->items);
	*s = (struct listener_specs){0};
}

/* One NAME://host:port taken apart, in fresh memory. */
struct endpoint {
	char *name;
	char *host;
	uint16_t port;
};

static char *upper(const char *text, size_t size)
{
	char *copy = mem_alloc(size + 1);

	for (size_t i = 0; i < size; i++)
		copy[i] = (char)toupper((unsigned char)text[i]);
	copy[size] = 0;
	return copy;
}

static enum err parse_endpoint(const char *text, const char *setting, struct buf *message, struct endpoint *ret)
{
	const char *separator = strstr(text, "://"), *host, *colon;
	size_t host_size;
	char *end;
	long port;

	if (!separator || separator == text)
		goto bad;
	host = separator + 3;
	colon = strrchr(host, ':');
	if (!colon || !isdigit((unsigned char)colon[1]))
		goto bad;
	port = strtol(colon + 1, &end, 10);
	if (!*end && port > 65535) {
		buf_printf(message, "%s: '%s': a port is at most 65535", setting, text);
		return ERR_BAD_CONFIG;
	}
	if (*end || port < 0)
		goto bad;
	host_size = (size_t)(colon - host);
	if (host_size >= 2 && host[0] == '[' && host[host_size - 1] == ']') {
		host++;
		host_size -= 2;
	} else if (memchr(host, ':', host_size)) {
		goto bad; /* an IPv6 address goes into brackets */
	}
	*ret = (struct endpoint){.name = upper(text, (size_t)(separator - text)),
				 .host = mem_dup(host, host_size + 1),
				 .port = (uint16_t)port};
	ret->host[host_size] = 0;
	return OK;
bad:
	buf_printf(message, "%s: '%s' is not of the form NAME://host:port", setting, text);
	return ERR_BAD_CONFIG;
}

/* The protocol that listener.security.protocol.map gives to a listener; its own name counts when the map is Kafka's default. */
static enum err protocol_of(const struct config *c, const char *name, struct buf *message,
			    enum security_protocol *ret_protocol)
{
	const char *at = config_string(c, CONFIG_LISTENER_SECURITY_PROTOCOL_MAP);
	size_t name_size = strlen(name);

	while (at && *at) {
		size_t size = strcspn(at, ",");
		const char *entry = at;
		const char *colon = memchr(entry, ':', size);

		at += size + (at[size] == ',');
		while (size && *entry == ' ') {
			entry++;
			size--;
		}
		if (!colon || (size_t)(colon - entry) != name_size || strncasecmp(entry, name, name_size) != 0)
			continue;
		colon++;
		size -= (size_t)(colon - entry);
		while (size && colon[size - 1] == ' ')
			size--;
		for (size_t i = 0; i < countof(protocols); i++) {
			if (strlen(protocols[i]) == size && strncasecmp(protocols[i], colon, size) == 0) {
				*ret_protocol = (enum security_protocol)i;
				return OK;
			}
		}
		buf_printf(message, "listener.security.protocol.map: '%.*s' is no security protocol", (int)size, colon);
		return ERR_BAD_CONFIG;
	}
	buf_printf(
		message,
		"listener %s has no security protocol: add %s:PLAINTEXT (or another) to listener.security.protocol.map",
		name, name);
	return ERR_BAD_CONFIG;
}

static bool is_controllers(const struct config *c, const char *name)
{
	struct config_list names = config_list(c, CONFIG_CONTROLLER_LISTENER_NAMES);

	for (size_t i = 0; i < names.count; i++)
		if (strcasecmp(names.items[i], name) == 0)
			return true;
	return false;
}

static struct listener_spec *spec_named(struct listener_specs *s, const char *name)
{
	for (size_t i = 0; i < s->count; i++)
		if (strcmp(s->items[i].name, name) == 0)
			return &s->items[i];
	return NULL;
}

static enum err add_listener(const struct config *c, struct endpoint *e, struct buf *message, struct listener_specs *s)
{
	struct listener_spec spec = {.name = e->name, .host = e->host, .port = e->port};

	if (spec_named(s, e->name)) {
		buf_printf(message, "listeners: each listener must have a different name, listener %s comes twice",
			   e->name);
		return ERR_BAD_CONFIG;
	}
	for (size_t i = 0; i < s->count; i++) {
		/* Kafka allows one port on an IPv4 and an IPv6 address; hosts that differ are the system's affair here. */
		if (e->port && s->items[i].port == e->port && strcmp(s->items[i].host, e->host) == 0) {
			buf_printf(message, "listeners: each listener must have a different port, port %u comes twice",
				   e->port);
			return ERR_BAD_CONFIG;
		}
	}
	if (protocol_of(c, e->name, message, &spec.protocol))
		return ERR_BAD_CONFIG;
	s->items[s->count++] = spec;
	*e = (struct endpoint){0};
	return OK;
}

static enum err advertise(struct endpoint *e, struct buf *message, struct listener_specs *s)
{
	struct listener_spec *spec = spec_named(s, e->name);

	if (!spec) {
		buf_printf(message, "advertised.listeners: there is no listener %s in listeners", e->name);
		return ERR_BAD_CONFIG;
	}
	if (!*e->host || strcmp(e->host, "0.0.0.0") == 0 || strcmp(e->host, "::") == 0) {
		buf_printf(message, "advertised.listeners: clients cannot connect to '%s'; name the host they know",
			   e->host);
		return ERR_BAD_CONFIG;
	}
	if (spec->advertised_host) {
		buf_printf(message, "advertised.listeners: listener %s comes twice", e->name);
		return ERR_BAD_CONFIG;
	}
	spec->advertised_host = e->host;
	spec->advertised_port = e->port;
	e->host = NULL;
	return OK;
}

static enum err each(const struct config *c, enum config_id id, struct buf *message, struct listener_specs *s)
{
	struct config_list list = config_list(c, id);
	const char *setting = config_definition(id)->name;
	enum err error = OK;

	for (size_t i = 0; !error && i < list.count; i++) {
		struct endpoint e = {0};

		if (!*list.items[i])
			continue;
		error = parse_endpoint(list.items[i], setting, message, &e);
		if (!error && !is_controllers(c, e.name))
			error = id == CONFIG_LISTENERS ? add_listener(c, &e, message, s) : advertise(&e, message, s);
		mem_free(e.name);
		mem_free(e.host);
	}
	return error;
}

enum err listeners_parse(const struct config *c, struct buf *message, struct listener_specs *ret_specs)
{
	struct config_list list = config_list(c, CONFIG_LISTENERS);
	struct listener_specs s = {.items = mem_zalloc((list.count + 1) * sizeof(*s.items))};
	enum err e = each(c, CONFIG_LISTENERS, message, &s);

	if (!e)
		e = each(c, CONFIG_ADVERTISED_LISTENERS, message, &s);
	if (!e && s.count == 0) {
		buf_put_str(message, "listeners: there is no listener for clients");
		e = ERR_BAD_CONFIG;
	}
	if (e)
		listeners_free(&s);
	else
		*ret_specs = s;
	return e;
}
