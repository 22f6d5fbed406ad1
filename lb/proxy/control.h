/*
 * control: the control thread's side of the proxy: the workers, the snapshot
 * in force, reloads, name resolution, and an operator's words.
 *
 * Everything here runs on the control thread. The admin server reads it and
 * calls it; main owns it.
 */
#ifndef PERCH_PROXY_CONTROL_H
#define PERCH_PROXY_CONTROL_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "base/error.h"
#include "proxy/releases.h"
#include "proxy/snapshot.h"

struct control;
struct event_base;

/* Loads the config, makes the registry, binds listeners; starts nothing.
 * NULL with the reasons logged if any of it fails. */
struct control *control_new(struct event_base *base, const char *config_path);

/* Drops privileges if asked, starts the workers once names are resolved. */
bool control_start(struct control *control, struct error *error);

/* Loads the file again and swaps it in; refused as a whole if it is bad. The
 * outcome is logged, and counted for control_reloads(). */
void control_reload(struct control *control);

/* Whom to tell when a reload is in force; a reload asked for since the start
 * begins now. */
void control_on_reloaded(
	struct control *control, void (*reloaded)(void *arg), void *arg);

/* Whom to give each event: an object with "time" and "event". It is lent for
 * the time of the call. */
void control_on_event(
	struct control *control, releases_event_fn *emit, void *arg);

/* Reopens log files. */
void control_reopen_logs(struct control *control);

/* Is ready no more, and stops accepting after timeouts.unready, or when it is
 * asked again; calls done(arg) when all requests have ended or the shutdown limit
 * has passed since then. Only while it accepts. */
void control_drain(
	struct control *control, void (*done)(void *arg), void *arg);

/* Stops the workers at once and frees everything. */
void control_free(struct control *control);

/* --- for the admin server -------------------------------------------------- */

/* Running and not stopping. */
bool control_is_ready(const struct control *control);
/* That, or not ready for a moment before it stops. */
bool control_is_accepting(const struct control *control);
const struct snapshot *control_snapshot(const struct control *control);
struct registry *control_registry(const struct control *control);
/* Wall-clock start, ns since 1970. */
uint64_t control_started_ns(const struct control *control);

struct control_reloads {
	uint64_t done;
	uint64_t refused;
	uint64_t last_wall_ns; /* of the last one done, the start included */
};
struct control_reloads control_reloads(const struct control *control);

/* For an operator's words, and what is known of releases. */
struct releases *control_releases(struct control *control);

#endif
