/*
 * tunnel: an exchange that has become one, after 101 (RFC 9110 7.8): both ways
 * carry bytes of another protocol until both have ended.
 *
 * It gives its snapshot back, so that an old one doesn't live as long as a
 * websocket. Used by the exchange; the connections on both sides are raw.
 */
#ifndef PERCH_PROXY_TUNNEL_H
#define PERCH_PROXY_TUNNEL_H

#include "proxy/exchange.h"

/* 101: passes it on and becomes a tunnel, where the client had asked for it.
 * rest came behind the head. */
void tunnel_switch(struct exchange *exchange, const struct message *response,
	struct slice rest);

/* Hands the window on; the connection isn't blocked. */
void tunnel_pump(struct exchange *exchange);

/* The upstream has ended its side. */
void tunnel_end_down(struct exchange *exchange);

/* Nothing came for too long. */
void tunnel_on_idle(struct exchange *exchange);

/* Is all handed on, both ways, or as much as can be? */
static inline bool
tunnel_is_over(const struct exchange *exchange)
{
	return exchange->is_tunnel && exchange->has_ended_down &&
	       (exchange->is_body_sent || exchange->is_upstream_deaf);
}

#endif
