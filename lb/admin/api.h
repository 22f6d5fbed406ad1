/*
 * api: /api/v1: what it answers, whatever carries the question.
 *
 *   GET  /api/v1/services                  all of them, see service_json
 *   GET  /api/v1/services/NAME             one, or a group of them
 *   POST /api/v1/services/NAME/release     {"version": "v2", "share": 1}
 *   POST /api/v1/services/NAME/share       {"share": 30}
 *   POST /api/v1/services/NAME/advance     and pause, resume, promote, rollback
 *   POST /api/v1/notify/test               an event to every webhook
 *
 * A POST to a service is answered once what it says is in force and on disk, with
 * the service or group as it is then; the test with how many webhooks there are.
 * Errors are {"error": "..."}: 400 for a body that says nothing sensible, 404 for
 * an unknown name, 405, 409 where the release's state doesn't allow it, and 503
 * where the journal can't be written.
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
struct api_answer api_answer(
	struct api *api, const struct api_request *request);
/* At the end: what is still to be delivered never will be. */
void api_forget(struct api *api);

/* {"error": "..."} to out. */
void api_write_error(struct evbuffer *out, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

#endif
