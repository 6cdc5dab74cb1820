/*
 * listeners: listeners, advertised.listeners and listener.security.protocol.map, taken apart as Kafka does.
 *
 *      SASL_INTERNAL://broker-1.example:9093        name://host:port, host may be empty (every address) or [::1]
 *
 * Listeners that controller.listener.names names are not the broker's and are left out.
 */
#ifndef CONFIG_LISTENERS_H
#define CONFIG_LISTENERS_H

#include "config/config.h"

enum security_protocol {
	SECURITY_PLAINTEXT = 0, /* Kafka's numbers */
	SECURITY_SSL = 1,
	SECURITY_SASL_PLAINTEXT = 2,
	SECURITY_SASL_SSL = 3,
};

struct listener_spec {
	char *name; /* upper case, as Kafka normalises it */
	char *host; /* "" is every address */
	uint16_t port;
	enum security_protocol protocol;
	char *advertised_host; /* NULL: not given, tell a client the local address of its own connection */
	uint16_t advertised_port;
};

struct listener_specs {
	struct listener_spec *items;
	size_t count;
};

/* ERR_BAD_CONFIG with the reason in `message`: syntax, unknown protocol, two of one name or port, advertised ones without a listener. */
enum err listeners_parse(const struct config *c, struct buf *message, struct listener_specs *ret_specs) MUST_CHECK;
void listeners_free(struct listener_specs *s);
const char *security_protocol_name(enum security_protocol p);

#endif
