/*
 * cors: preflights, by which a browser asks whether a page of another origin
 * may call (Fetch, 4.8 "CORS-preflight fetch"). Pure.
 */
#ifndef PERCH_HTTP_CORS_H
#define PERCH_HTTP_CORS_H

#include <stdbool.h>
#include <stdint.h>

#include "http/message.h"

/* OPTIONS with Origin and Access-Control-Request-Method, without a body. */
bool cors_is_preflight(const struct message *request);

/* Does this answer let the browser call? As it would see it, but for what only
 * it knows: whether the call carries credentials. */
bool cors_allows(const struct message *request, const struct message *response);

/* A hash of what a preflight asks, beside its host and path. */
uint64_t cors_hash(const struct message *request, uint64_t seed);

#endif
