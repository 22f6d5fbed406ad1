/*
 * resolver: endpoints' names to addresses, in the background, on the control
 * thread.
 *
 * Asks evdns (resolv.conf and the hosts file) for every name in the registry,
 * again and again; an endpoint keeps its address while the answer still has it
 * and when there is no answer. IPv4 is preferred where a name has both.
 */
#ifndef PERCH_PROXY_RESOLVER_H
#define PERCH_PROXY_RESOLVER_H

#include <stdbool.h>

#include "proxy/registry.h"

struct event_base;
struct resolver;

/* endpoint->address has changed. */
typedef void resolver_changed_fn(
	struct registry_endpoint *endpoint, void *arg);
/* Every name has been asked for once, or three seconds have passed. */
typedef void resolver_settled_fn(void *arg);

/* NULL if memory is out. */
struct resolver *resolver_new(struct event_base *base,
	resolver_changed_fn *changed, void *changed_arg);
/* Runs the event loop once, for what is still asked. */
void resolver_free(struct resolver *resolver);

/* From now on keeps this endpoint's address up to date. Asks at once if it has
 * none. Nothing to do for IP addresses. */
void resolver_watch(
	struct resolver *resolver, struct registry_endpoint *endpoint);

/* Calls settled(arg), possibly before it returns. One at a time. */
void resolver_settle(
	struct resolver *resolver, resolver_settled_fn *settled, void *arg);

#endif
