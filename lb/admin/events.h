/*
 * events: every change of state, to the log and to webhooks.
 *
 * An event is a JSON object with at least "time" and "event", its name. It
 * becomes one line of the log, "event {...}", and goes to each webhook of the
 * config whose filter it fits: as it is, or as a sentence for Slack.
 *
 * Control thread only. Main owns it: made before control, whose events come
 * here by control_on_event(), and stopped after it.
 */
#ifndef PERCH_ADMIN_EVENTS_H
#define PERCH_ADMIN_EVENTS_H

#include <jansson.h>

#include "admin/webhook.h"

struct events;
struct event_base;

struct events *events_new(struct event_base *base);

/* At the start and after each reload. A webhook whose URL was there keeps its
 * queue; what waits for one that is gone is dropped. Before the first call,
 * events go to the log alone. */
void events_configure(struct events *events, const struct config *config);

/* The event stays the caller's. */
void events_emit(struct events *events, const json_t *event);

/* How many tries had which outcome, for each host ever configured. */
const struct webhook_counts *events_counts(const struct events *events);

/* Runs the event base until all is delivered or has failed, for up to two
 * seconds; drops the rest. */
void events_stop(struct events *events);

/* Runs the event base once, for names that are still asked for. */
void events_free(struct events *events);

#endif
