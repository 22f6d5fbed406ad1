/*
 * server: the admin server: health, metrics and the API over HTTP.
 *
 * An evhttp server on the control thread's base; every answer is made at
 * once. It has no passwords: it is for loopback and unix sockets, and guards
 * them against what a browser on the same machine may be talked into. A Host
 * that is a name other than localhost is refused (DNS rebinding), and a POST
 * must say application/json and, if it says an Origin, its own (cross-site
 * requests). Main owns it; it goes before control.
 */
#ifndef PERCH_ADMIN_SERVER_H
#define PERCH_ADMIN_SERVER_H

#include <stdbool.h>

#include "base/error.h"
#include "proxy/control.h"

struct admin;
struct event_base;
struct events;

/* Binds what the snapshot's config says under admin.bind. NULL with the
 * reason if any of it can't be bound. events is for the metrics. */
struct admin *admin_new(struct event_base *base, struct control *control,
	const struct events *events, struct error *error);

/* After a reload: binds what is new, closes what is gone. False, with all as
 * it was, if something new can't be bound. */
bool admin_rebind(struct admin *admin, struct error *error)
	__attribute__((warn_unused_result));

/* Closes all connections and removes the unix sockets. NULL is fine. */
void admin_free(struct admin *admin);

#endif
