/*
 * api: /api/v1: what it answers, whatever carries the question.
 *
 *   GET  /api/v1/services                  all of them, see service_json
 *   GET  /api/v1/services/NAME             one
 *   POST /api/v1/services/NAME/release     {"version": "v2", "share": 1}
 *   POST /api/v1/services/NAME/share       {"share": 30}
 *   POST /api/v1/services/NAME/promote
 *   POST /api/v1/services/NAME/rollback
 *   POST /api/v1/notify/test               an event to every webhook
 *
 * A POST to a service answers with it as it is then, the test with how many
 * webhooks there are. Errors are {"error": "..."}:
 * 400 for a body that says nothing sensible, 404 for an unknown name, 405, and
 * 409 where the release's state doesn't allow it.
 */
#ifndef PERCH_ADMIN_API_H
#define PERCH_ADMIN_API_H

#include "admin/stats.h"
#include "base/slice.h"
#include "proxy/control.h"

#define API_PREFIX "/api/"
#define API_CONTENT_TYPE "application/json"

struct evbuffer;

struct api {
	struct control *control;
	const struct stats *stats;
};

enum api_method {
	API_GET, /* and HEAD */
	API_POST,
	API_OTHER,
};

struct api_request {
	enum api_method method;
	struct slice path;
	struct slice body;
};

struct api_answer {
	int status;
	const char *allow; /* the methods that would do, for 405 */
};

/* Writes the body to out. */
struct api_answer api_answer(const struct api *api,
	const struct api_request *request, struct evbuffer *out);

/* {"error": "..."} to out. */
void api_write_error(struct evbuffer *out, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

#endif
