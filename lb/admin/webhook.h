/*
 * webhook: one URL that events are sent to, in their order, one request at a
 * time, each until it arrives or is given up.
 *
 * An evhttp client on the control thread's base that never blocks it: names
 * are resolved by evdns, what waits is in a queue of WEBHOOK_QUEUE_MAX, and a
 * try is over after a time whatever the server does. An answer of 2xx is a
 * delivery. 3xx and 4xx, but for 408 and 429, are a refusal, and are not tried
 * again; neither is anything when the backoff says so. What is lost is said in
 * the log, which names a webhook by its place in the config and its host: its
 * path is often its password.
 *
 * events owns it.
 */
#ifndef PERCH_ADMIN_WEBHOOK_H
#define PERCH_ADMIN_WEBHOOK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "admin/backoff.h"
#include "config/config.h"

#define WEBHOOK_QUEUE_MAX 256

struct event_base;
struct evdns_base;
struct webhook;

enum webhook_result {
	WEBHOOK_DELIVERED,
	WEBHOOK_FAILED, /* a try; another one may follow */
	WEBHOOK_DROPPED, /* an event */
	WEBHOOK_N_RESULTS,
};

/* Of all webhooks of one host. */
struct webhook_counts {
	char *host;
	uint64_t of[WEBHOOK_N_RESULTS];
	struct webhook_counts *next;
};

/* How all webhooks work. */
struct webhook_setup {
	struct event_base *base;
	struct evdns_base *dns;
	struct backoff backoff;
	uint64_t timeout_ns; /* of one try */
};

/* setup and counts are the caller's, and outlive it. url is one of a config:
 * it can be parsed. */
struct webhook *webhook_new(const struct webhook_setup *setup, const char *url,
	struct webhook_counts *counts);

/* What the config, whose URL is this one's, says of it now. index: its place
 * there, from 0. The queue stays. */
void webhook_configure(struct webhook *webhook,
	const struct config_webhook *config, size_t index);

const char *webhook_url(const struct webhook *webhook);
/* Of the events pushed from now on. */
enum config_webhook_format webhook_format(const struct webhook *webhook);
/* Whether its filter lets such an event pass. "test" always passes. */
bool webhook_wants(const struct webhook *webhook, const char *event);

/* To the end of the queue. A full one loses its oldest that isn't being
 * tried. */
void webhook_push(struct webhook *webhook, const char *event, const char *body);

/* Nothing is queued. */
bool webhook_is_idle(const struct webhook *webhook);

/* From now on each event has one try, what waits for its next one has it at
 * once, and the first that fails ends it: the queue is dropped. */
void webhook_hurry(struct webhook *webhook);

/* What is still queued is dropped, and the log says why. */
void webhook_free(struct webhook *webhook, const char *why);

#endif
