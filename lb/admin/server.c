#include "admin/server.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>

#include "admin/api.h"
#include "admin/bind.h"
#include "admin/events.h"
#include "admin/exposition.h"
#include "admin/metrics.h"
#include "admin/stats.h"
#include "base/address.h"
#include "base/clock.h"
#include "base/memory.h"

#define BODY_MAX (64 * 1024)
#define HEAD_MAX (16 * 1024)
#define TIMEOUT_S 15

/* What is done to requests from one kind of socket. */
struct door {
	struct admin *admin;
	struct evhttp *http;
	bool is_unix;
};

struct admin {
	struct control *control;
	const struct events *events;
	struct event_base *base;
	struct stats *stats;
	struct api api;
	struct event *timer;
	struct door tcp;
	struct door unix_path;
	struct bind *binds;
};

/* --- answers --------------------------------------------------------------- */

static void
add_header(struct evhttp_request *req, const char *name, const char *value)
{
	evhttp_add_header(evhttp_request_get_output_headers(req), name, value);
}

static const char *
reason_of(int status)
{
	switch (status) {
	case 200:
		return "OK";
	case 400:
		return "Bad Request";
	case 403:
		return "Forbidden";
	case 404:
		return "Not Found";
	case 405:
		return "Method Not Allowed";
	case 409:
		return "Conflict";
	case 415:
		return "Unsupported Media Type";
	case 503:
		return "Service Unavailable";
	}
	return "Error";
}

/* evhttp would send a body in answer to HEAD, which takes none (RFC 9110
 * 9.3.2) and would read it as the next answer. */
static void
leave_out_body(struct evhttp_request *req)
{
	struct evbuffer *body = evhttp_request_get_output_buffer(req);
	size_t len = evbuffer_get_length(body);
	char length[24];

	snprintf(length, sizeof(length), "%zu", len);
	add_header(req, "Content-Length", length);
	evbuffer_drain(body, len);
}

/* Sends what is in the request's output buffer. */
static void
reply(struct evhttp_request *req, int status, const char *content_type)
{
	add_header(req, "Content-Type", content_type);
	add_header(req, "Cache-Control", "no-store");
	add_header(req, "X-Content-Type-Options", "nosniff");
	if (evhttp_request_get_command(req) == EVHTTP_REQ_HEAD)
		leave_out_body(req);
	evhttp_send_reply(req, status, reason_of(status), NULL);
}

static void
reply_text(struct evhttp_request *req, int status, const char *text)
{
	evbuffer_add(evhttp_request_get_output_buffer(req), text, strlen(text));
	reply(req, status, "text/plain; charset=utf-8");
}

static void
reply_error(struct evhttp_request *req, int status, const char *message)
{
	api_write_error(evhttp_request_get_output_buffer(req), "%s", message);
	reply(req, status, API_CONTENT_TYPE);
}

static void
reply_not_allowed(struct evhttp_request *req, const char *allow)
{
	add_header(req, "Allow", allow);
	reply_error(req, 405, "this path doesn't take that method");
}

/* --- guards ---------------------------------------------------------------- */

static const char *
header_of(struct evhttp_request *req, const char *name)
{
	return evhttp_find_header(evhttp_request_get_input_headers(req), name);
}

/* A page whose name was made to resolve to 127.0.0.1 still says its name. */
static bool
is_host_fine(const struct door *door, struct evhttp_request *req)
{
	const char *value = header_of(req, "Host");
	char host[ADDRESS_HOST_SIZE];
	struct address address;
	uint16_t port;

	if (door->is_unix || value == NULL || *value == '\0')
		return true;
	if (!address_split(slice_from_string(value), 80, host, &port))
		return false;
	return strcmp(host, "localhost") == 0 ||
	       address_parse_ip(slice_from_string(host), port, &address);
}

/* Browsers say where a POST comes from. */
static bool
is_origin_fine(struct evhttp_request *req)
{
	const char *origin = header_of(req, "Origin");
	const char *host = header_of(req, "Host");
	const struct slice scheme = SLICE("http://");

	if (origin == NULL)
		return true;
	return host != NULL &&
	       slice_starts_with(slice_from_string(origin), scheme) &&
	       strcasecmp(origin + scheme.len, host) == 0;
}

/* A form can't say this without asking first (a CORS preflight), and nothing
 * here answers such a question. */
static bool
is_json(struct evhttp_request *req)
{
	const char *value = header_of(req, "Content-Type");
	struct slice type;

	if (value == NULL)
		return false;
	type = (struct slice){value, strcspn(value, ";")};
	return slice_equal_nocase(slice_trim(type), SLICE(API_CONTENT_TYPE));
}

/* --- requests -------------------------------------------------------------- */

static enum api_method
method_of(struct evhttp_request *req)
{
	switch (evhttp_request_get_command(req)) {
	case EVHTTP_REQ_GET:
	case EVHTTP_REQ_HEAD:
		return API_GET;
	case EVHTTP_REQ_POST:
		return API_POST;
	default:
		return API_OTHER;
	}
}

static void
answer_health(struct door *door, struct evhttp_request *req)
{
	reply_text(req, 200, "ok\n");
}

static void
answer_ready(struct door *door, struct evhttp_request *req)
{
	if (control_is_ready(door->admin->control))
		reply_text(req, 200, "ready\n");
	else
		reply_text(req, 503, "not ready\n");
}

static void
answer_metrics(struct door *door, struct evhttp_request *req)
{
	struct control *control = door->admin->control;
	struct metrics_source source = {
		.snapshot = control_snapshot(control),
		.registry = control_registry(control),
		.releases = control_releases(control),
		.reloads = control_reloads(control),
		.webhooks = events_counts(door->admin->events),
		.started_wall_ns = control_started_ns(control),
		.now_ns = clock_monotonic_ns(),
	};

	metrics_write(&source, evhttp_request_get_output_buffer(req));
	reply(req, 200, EXPOSITION_CONTENT_TYPE);
}

static void
deliver_later(void *arg, int status)
{
	reply(arg, status, API_CONTENT_TYPE);
}

static void
answer_api(struct door *door, struct evhttp_request *req, struct slice path)
{
	struct evbuffer *body = evhttp_request_get_input_buffer(req);
	struct api_request request = {.path = path,
		.query = evhttp_uri_get_query(
			evhttp_request_get_evhttp_uri(req)),
		.out = evhttp_request_get_output_buffer(req),
		.deliver = deliver_later,
		.arg = req};
	struct api_answer answer;

	request.method = method_of(req);
	if (request.method == API_POST && !is_origin_fine(req)) {
		reply_error(req, 403, "this Origin may not ask for that");
		return;
	}
	if (request.method == API_POST && !is_json(req)) {
		reply_error(
			req, 415, "the Content-Type must be " API_CONTENT_TYPE);
		return;
	}
	request.body.len = evbuffer_get_length(body);
	request.body.ptr = (const char *)evbuffer_pullup(body, -1);
	answer = api_answer(&door->admin->api, &request);
	if (answer.status == API_LATER)
		return;
	if (answer.allow != NULL)
		add_header(req, "Allow", answer.allow);
	reply(req, answer.status, API_CONTENT_TYPE);
}

static const struct {
	const char *path;
	void (*answer)(struct door *door, struct evhttp_request *req);
} pages[] = {
	{"/healthz", answer_health},
	{"/readyz", answer_ready},
	{"/metrics", answer_metrics},
};

static void
answer(struct evhttp_request *req, void *arg)
{
	const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(req);
	const char *path = uri != NULL ? evhttp_uri_get_path(uri) : NULL;
	struct door *door = arg;

	if (!is_host_fine(door, req)) {
		reply_error(req, 403,
			"the Host must be an IP address or localhost");
		return;
	}
	if (path == NULL) {
		reply_error(req, 400, "malformed request target");
		return;
	}
	if (slice_starts_with(slice_from_string(path), SLICE(API_PREFIX))) {
		answer_api(door, req, slice_from_string(path));
		return;
	}
	for (size_t i = 0; i < sizeof(pages) / sizeof(pages[0]); i++) {
		if (strcmp(path, pages[i].path) != 0)
			continue;
		if (method_of(req) == API_GET)
			pages[i].answer(door, req);
		else
			reply_not_allowed(req, "GET, HEAD");
		return;
	}
	reply_error(req, 404, "nothing is at this path");
}

/* --- the server ------------------------------------------------------------ */

static void
tick(evutil_socket_t fd, short what, void *arg)
{
	struct admin *admin = arg;

	stats_sample(admin->stats, control_snapshot(admin->control),
		control_registry(admin->control), clock_monotonic_ns());
	for (struct bind *bind = admin->binds; bind != NULL; bind = bind->next)
		bind_resume(bind);
}

static bool
open_door(struct door *door, struct admin *admin)
{
	door->admin = admin;
	door->http = evhttp_new(admin->base);
	if (door->http == NULL)
		return false;
	/* All of them, so that the wrong ones get a 405 from us and not a 501
	 * from evhttp. */
	evhttp_set_allowed_methods(
		door->http, EVHTTP_REQ_GET | EVHTTP_REQ_POST | EVHTTP_REQ_HEAD |
				    EVHTTP_REQ_PUT | EVHTTP_REQ_DELETE |
				    EVHTTP_REQ_OPTIONS | EVHTTP_REQ_TRACE |
				    EVHTTP_REQ_CONNECT | EVHTTP_REQ_PATCH);
	evhttp_set_max_body_size(door->http, BODY_MAX);
	evhttp_set_max_headers_size(door->http, HEAD_MAX);
	/* A 413 can be read only if its request's body was. */
	evhttp_set_flags(door->http, EVHTTP_SERVER_LINGERING_CLOSE);
	evhttp_set_timeout(door->http, TIMEOUT_S);
	evhttp_set_gencb(door->http, answer, door);
	return true;
}

static bool
is_wanted(const struct config_admin *config, const char *text)
{
	for (size_t i = 0; i < config->n_bind; i++) {
		if (strcmp(config->bind[i], text) == 0)
			return true;
	}
	return false;
}

static bool
is_bound(const struct bind *binds, const char *text)
{
	for (; binds != NULL; binds = binds->next) {
		if (strcmp(binds->text, text) == 0)
			return true;
	}
	return false;
}

static void
close_all(struct bind *binds)
{
	struct bind *next;

	for (; binds != NULL; binds = next) {
		next = binds->next;
		bind_close(binds);
	}
}

static void
close_unwanted(struct admin *admin, const struct config_admin *config)
{
	struct bind **link = &admin->binds;

	while (*link != NULL) {
		struct bind *bind = *link;

		if (is_wanted(config, bind->text)) {
			link = &bind->next;
			continue;
		}
		*link = bind->next;
		bind_close(bind);
	}
}

bool
admin_rebind(struct admin *admin, struct error *error)
{
	const struct config_admin *config =
		&control_snapshot(admin->control)->config->admin;
	struct bind *opened = NULL;

	for (size_t i = 0; i < config->n_bind; i++) {
		const char *text = config->bind[i];
		struct bind *bind;

		if (is_bound(admin->binds, text) || is_bound(opened, text))
			continue;
		bind = bind_open(admin->base, text, error);
		if (bind == NULL)
			goto fail;
		bind->next = opened;
		opened = bind;
		if (!bind_serve(bind, bind->is_unix ? admin->unix_path.http
						    : admin->tcp.http)) {
			error_set(error, "no memory for the admin server");
			goto fail;
		}
	}
	close_unwanted(admin, config);
	while (opened != NULL) {
		struct bind *next = opened->next;

		opened->next = admin->binds;
		admin->binds = opened;
		opened = next;
	}
	return true;

fail:
	close_all(opened);
	return false;
}

struct admin *
admin_new(struct event_base *base, struct control *control,
	const struct events *events, struct error *error)
{
	const struct timeval interval = {.tv_sec = STATS_INTERVAL_S};
	struct admin *admin = memory_zalloc(sizeof(*admin));

	admin->base = base;
	admin->control = control;
	admin->events = events;
	admin->stats = stats_new(clock_monotonic_ns());
	admin->api = (struct api){.control = control, .stats = admin->stats};
	admin->unix_path.is_unix = true;
	admin->timer = event_new(base, -1, EV_PERSIST, tick, admin);
	if (!open_door(&admin->tcp, admin) ||
		!open_door(&admin->unix_path, admin) || admin->timer == NULL ||
		event_add(admin->timer, &interval) < 0) {
		error_set(error, "no memory for the admin server");
		goto fail;
	}
	if (!admin_rebind(admin, error))
		goto fail;
	return admin;

fail:
	admin_free(admin);
	return NULL;
}

void
admin_free(struct admin *admin)
{
	if (admin == NULL)
		return;
	close_all(admin->binds);
	api_forget(&admin->api);
	if (admin->timer != NULL)
		event_free(admin->timer);
	if (admin->tcp.http != NULL)
		evhttp_free(admin->tcp.http);
	if (admin->unix_path.http != NULL)
		evhttp_free(admin->unix_path.http);
	stats_free(admin->stats);
	free(admin);
}
