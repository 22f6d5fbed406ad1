/*
 * upstream_rest: bytes of an endpoint that nobody asked for, and what keeps them
 * from being another request's answer.
 *
 * They come behind an answer that is whole: a body where none belongs, or more
 * than was announced. At once, they end their connection; a few milliseconds
 * late, whoever was given it next would take them for an answer. So connections
 * rest before they are used again: see upstream_rest.c for which. Used by the
 * upstream's connection and its pool.
 */
#ifndef PERCH_PROXY_UPSTREAM_REST_H
#define PERCH_PROXY_UPSTREAM_REST_H

#include "base/clock.h"
#include "proxy/upstream.h"

/* How long, unless its pool is at a limit. */
#define UPSTREAM_REST_NS (50 * CLOCK_NS_PER_MS)

/* Must it rest, having had its answer? */
bool upstream_rest_is_due(const struct upstream *upstream);

/* Must it be looked at before it is used again, whether it has rested or not? */
bool upstream_rest_needs_look(const struct upstream *upstream);

/* A resting connection that had better be used than a new one opened; the one
 * that rests longest, or NULL. */
struct upstream *upstream_rest_pick(const struct upstream_pool *pool);

/* Such bytes came behind its answer: the endpoint is marked. */
void upstream_rest_note_unasked(struct upstream *upstream);

#endif
