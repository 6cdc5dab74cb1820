/* api_own: what the administrative sources of api share. */
#ifndef CLIENT_API_OWN_H
#define CLIENT_API_OWN_H

#include "base/bytes.h"
#include "client/consumer.h"
#include "moldau/moldau.h"

#define API_ARENA_MAX ((size_t)256 * 1024 * 1024)

/* A copy with a terminator; NULL for null. */
char *api_text(struct bytes b);
/* False for what cannot be. */
bool api_start(struct mo_start at, struct start *ret_start);

#endif
