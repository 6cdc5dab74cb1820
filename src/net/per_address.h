/*
 * per_address: how many connections one address may have: max.connections.per.ip, unless max.connections.per.ip.overrides names the
 * address ("10.0.0.1:5, 2001:db8::1:7": what stands behind the last colon is the number). Pure. Names are not resolved: they match no address.
 */
#ifndef NET_PER_ADDRESS_H
#define NET_PER_ADDRESS_H

#include "base/bytes.h"

/* The first entry for `host`, or `otherwise`; an entry that does not parse counts for nothing. */
size_t per_address_limit(struct bytes overrides, struct bytes host, size_t otherwise);

#endif
