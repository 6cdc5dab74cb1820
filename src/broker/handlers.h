/*
 * handlers: the table of APIs that this broker serves. What is not in it is not advertised, and a request for it closes the
 * connection.
 */
#ifndef BROKER_HANDLERS_H
#define BROKER_HANDLERS_H

#include "broker/request.h"

#define HANDLERS_MAX_KEY 128

/* NULL when this API is not served. */
const struct api_handler *handlers_find(int16_t key);

#endif
