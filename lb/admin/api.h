/*
 * api: /api/v1: what it answers, whatever carries the question.
 *
 *   GET  /api/v1/services                  all of them, see service_json
 *   GET  /api/v1/services/NAME             one, or a group of them
 *   GET  /api/v1/services/NAME/history     ?max=50: what was done to its release
 *   GET  /api/v1/services/NAME/plan        ?clients_per_s=9&error_rate=.01: how
 *                                          soon each step sees harm
 *   POST /api/v1/services/NAME/release     {"version": "v2"}, or for a group
 *                                          {"versions": {SERVICE: VERSION}}; also
 *                                          "share", "plan", "auto"
 *   POST /api/v1/services/NAME/share       {"share": 30}: paused there
 *   POST /api/v1/services/NAME/advance     and pause, resume, promote, rollback
 *   POST /api/v1/notify/test               an event to every webhook
 *
 * NAME is a service's or a group's; words about a service are about its group.
 * Each takes "who" and "why", texts of up to 200 bytes. A word is answered once
 * it is in force and on disk, with the service or group as it is then; the test
 * with how many webhooks there are. Errors are {"error": "..."}: 400 for a body
 * or query that says nothing sensible, 404 for an unknown name, 405, 409 where
 * the release's state doesn't allow it, and 503 where the journal can't be
 * written: then it wasn't done, unless it was a rollback.
 */
#ifndef PERCH_ADMIN_API_H
#define PERCH_ADMIN_API_H

#include "admin/stats.h"
#include "base/slice.h"
#include "proxy/control.h"

#define API_PREFIX "/api/"
#define API_CONTENT_TYPE "application/json"

struct evbuffer;

struct api_wait;

struct api {
	struct control *control;
	const struct stats *stats;
	struct api_wait *waits; /* words that aren't on disk yet */
};

enum api_method {
	API_GET, /* and HEAD */
	API_POST,
	API_OTHER,
};

/* The body has been written, for an answer that took its time. */
typedef void api_deliver_fn(void *arg, int status);

struct api_request {
	enum api_method method;
	struct slice path;
	const char *query; /* what follows the "?"; NULL: nothing */
	struct slice body;
	struct evbuffer *out; /* stays until the answer is delivered */
	api_deliver_fn *deliver;
	void *arg;
};

#define API_LATER 0 /* in place of a status: deliver will be called */

struct api_answer {
	int status;
	const char *allow; /* the methods that would do, for 405 */
};

/* Writes the body to request->out. */
struct api_answer
api_answer(struct api *api, const struct api_request *request);
/* At the end: what is still to be delivered never will be. */
void api_forget(struct api *api);

/* {"error": "..."} to out. */
void api_write_error(struct evbuffer *out, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

#endif
