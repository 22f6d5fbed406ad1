#include "admin/api.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/buffer.h>
#include <jansson.h>

#include "admin/percent.h"
#include "admin/service_json.h"
#include "admin/text.h"
#include "base/clock.h"
#include "base/memory.h"
#include "config/suggest.h"

#define SERVICES "/api/v1/services"
#define NOTIFY_TEST "/api/v1/notify/test"
#define DEFAULT_SHARE_BP 100
/* How many names an error lists. */
#define LISTED_NAMES 8

enum status {
	OK = 200,
	BAD_REQUEST = 400,
	NOT_FOUND = 404,
	NOT_ALLOWED = 405,
	CONFLICT = 409,
};

struct call {
	const struct api *api;
	const struct api_request *request;
	const struct snapshot *snapshot;
	const struct snapshot_service *service;
	json_t *body; /* an object, for POST */
	struct evbuffer *out;
};

/* --- writing --------------------------------------------------------------- */

static int
add_json(const char *bytes, size_t len, void *text)
{
	text_add(text, (struct slice){bytes, len});
	return 0;
}

static void
write_json(struct text *text, json_t *value)
{
	json_dump_callback(
		value, add_json, text, JSON_COMPACT | JSON_REAL_PRECISION(10));
	json_decref(value);
}

void
api_write_error(struct evbuffer *out, const char *format, ...)
{
	char message[1024];
	struct text text = {0};
	json_t *error;
	va_list args;

	va_start(args, format);
	vsnprintf(message, sizeof(message), format, args);
	va_end(args);
	error = json_string(message);
	/* What was asked for may be no UTF-8: then say less. */
	if (error == NULL)
		error = json_string("malformed request");
	write_json(&text, json_pack("{s:o}", "error", error));
	text_add(&text, SLICE("\n"));
	text_move(&text, out);
	text_free(&text);
}

static struct service_source
source_of(const struct call *call)
{
	return (struct service_source){
		.registry = control_registry(call->api->control),
		.stats = call->api->stats,
		.now_ns = clock_monotonic_ns(),
	};
}

/* --- names ----------------------------------------------------------------- */

/* "; did you mean ...?", or the names there are if they are few. */
static void
hint(struct slice wanted, const char *const *names, size_t n_names, char *out,
	size_t size)
{
	char *word = memory_strndup(wanted.ptr, wanted.len);
	const char *near = suggest_word(word, names, n_names);
	size_t len = 0;

	out[0] = '\0';
	if (near != NULL)
		snprintf(out, size, "; did you mean \"%s\"?", near);
	else if (n_names <= LISTED_NAMES) {
		for (size_t i = 0; i < n_names && len < size; i++)
			len += (size_t)snprintf(out + len, size - len, "%s%s",
				i == 0 ? "; there is " : ", ", names[i]);
	}
	free(word);
}

static int
unknown_service(const struct call *call, struct slice name)
{
	const struct snapshot *snapshot = call->snapshot;
	const char **names =
		memory_zalloc_array(snapshot->n_services, sizeof(*names));
	char text[LISTED_NAMES * 80];

	for (size_t i = 0; i < snapshot->n_services; i++)
		names[i] = snapshot->services[i].config->name;
	hint(name, names, snapshot->n_services, text, sizeof(text));
	api_write_error(call->out, "no service \"%.*s\"%s",
		(int)(name.len < 64 ? name.len : 64), name.ptr, text);
	free(names);
	return NOT_FOUND;
}

static int
unknown_version(const struct call *call, struct slice name)
{
	const struct config_service *config = call->service->config;
	const char **names =
		memory_zalloc_array(config->n_versions, sizeof(*names));
	char text[LISTED_NAMES * 80];

	for (size_t i = 0; i < config->n_versions; i++)
		names[i] = config->versions[i].name;
	hint(name, names, config->n_versions, text, sizeof(text));
	api_write_error(call->out, "service %s has no version \"%.*s\"%s",
		config->name, (int)(name.len < 64 ? name.len : 64), name.ptr,
		text);
	free(names);
	return NOT_FOUND;
}

/* --- answers to GET -------------------------------------------------------- */

/* One service after the other, so that never more than one is held as a
 * tree. */
static int
list_services(const struct call *call)
{
	struct service_source source = source_of(call);
	const struct snapshot *snapshot = call->snapshot;
	struct text text = {0};

	text_add(&text, SLICE("{\"services\":["));
	for (size_t i = 0; i < snapshot->n_services; i++) {
		if (i > 0)
			text_add(&text, SLICE(","));
		write_json(
			&text, service_json(&source, &snapshot->services[i]));
	}
	text_add(&text, SLICE("]}\n"));
	text_move(&text, call->out);
	text_free(&text);
	return OK;
}

static int
show_service(const struct call *call)
{
	struct service_source source = source_of(call);
	struct text text = {0};

	write_json(&text, service_json(&source, call->service));
	text_add(&text, SLICE("\n"));
	text_move(&text, call->out);
	text_free(&text);
	return OK;
}

/* --- answers to POST ------------------------------------------------------- */

static int
refuse(const struct call *call, int status, const struct error *error)
{
	api_write_error(call->out, "%s", error->message);
	return status;
}

/* After one of control's words. */
static int
finish(const struct call *call, bool is_done, const struct error *error)
{
	if (!is_done)
		return refuse(call, CONFLICT, error);
	return show_service(call);
}

/* False with the reason if the body has other keys than these. */
static bool
check_keys(const struct call *call, const char *first, const char *second,
	struct error *error)
{
	const char *key;
	json_t *value;

	json_object_foreach(call->body, key, value)
	{
		if (first != NULL && strcmp(key, first) == 0)
			continue;
		if (second != NULL && strcmp(key, second) == 0)
			continue;
		error_set(error, "unknown key \"%.64s\" in the body", key);
		return false;
	}
	return true;
}

static bool
get_share(const struct call *call, uint16_t *share_bp, struct error *error)
{
	const json_t *share = json_object_get(call->body, "share");

	if (!json_is_number(share)) {
		error_set(error, "\"share\" must be a number, in percent");
		return false;
	}
	return percent_from_number(json_number_value(share), share_bp, error);
}

static int
start_release(const struct call *call)
{
	const char *service = call->service->config->name;
	const json_t *version = json_object_get(call->body, "version");
	uint16_t share_bp = DEFAULT_SHARE_BP;
	struct error error = {""};
	struct slice name;

	if (!check_keys(call, "version", "share", &error))
		return refuse(call, BAD_REQUEST, &error);
	if (!json_is_string(version)) {
		error_set(&error, "\"version\" must name a version");
		return refuse(call, BAD_REQUEST, &error);
	}
	if (json_object_get(call->body, "share") != NULL &&
		!get_share(call, &share_bp, &error))
		return refuse(call, BAD_REQUEST, &error);
	name = (struct slice){
		json_string_value(version), json_string_length(version)};
	if (snapshot_find_version(call->service, name) < 0)
		return unknown_version(call, name);
	return finish(call,
		control_release_start(call->api->control, service, name.ptr,
			share_bp, &error),
		&error);
}

static int
set_share(const struct call *call)
{
	struct error error = {""};
	uint16_t share_bp;

	if (!check_keys(call, "share", NULL, &error) ||
		!get_share(call, &share_bp, &error))
		return refuse(call, BAD_REQUEST, &error);
	return finish(call,
		control_release_set_share(call->api->control,
			call->service->config->name, share_bp, &error),
		&error);
}

static int
promote(const struct call *call)
{
	struct error error = {""};

	if (!check_keys(call, NULL, NULL, &error))
		return refuse(call, BAD_REQUEST, &error);
	return finish(call,
		control_release_promote(call->api->control,
			call->service->config->name, &error),
		&error);
}

static int
roll_back(const struct call *call)
{
	struct error error = {""};

	if (!check_keys(call, NULL, NULL, &error))
		return refuse(call, BAD_REQUEST, &error);
	return finish(call,
		control_release_rollback(call->api->control,
			call->service->config->name, &error),
		&error);
}

/* Webhooks' filters don't hold it back: it tries them. */
static int
test_webhooks(const struct call *call)
{
	size_t n = call->snapshot->config->n_notify;
	struct text text = {0};
	struct error error = {""};
	char time[CLOCK_TEXT_SIZE];
	json_t *event;

	if (!check_keys(call, NULL, NULL, &error))
		return refuse(call, BAD_REQUEST, &error);
	if (n == 0) {
		error_set(&error, "the config has no webhook (notify)");
		return refuse(call, CONFLICT, &error);
	}
	clock_format(clock_wall_ns(), time);
	event = json_pack("{s:s, s:s}", "time", time, "event", "test");
	control_emit(call->api->control, event);
	json_decref(event);
	write_json(&text, json_pack("{s:I}", "webhooks", (json_int_t)n));
	text_add(&text, SLICE("\n"));
	text_move(&text, call->out);
	text_free(&text);
	return OK;
}

/* --- routes ---------------------------------------------------------------- */

static const struct {
	const char *name;
	int (*run)(const struct call *call);
} actions[] = {
	{"release", start_release},
	{"share", set_share},
	{"promote", promote},
	{"rollback", roll_back},
};

static int
no_such_path(const struct call *call)
{
	api_write_error(call->out, "nothing is at this path");
	return NOT_FOUND;
}

/* No body is as good as {}. */
static int
run_action(struct call *call, int (*run)(const struct call *call))
{
	struct slice body = call->request->body;
	json_error_t error;
	int status;

	if (body.len == 0)
		body = SLICE("{}");
	call->body =
		json_loadb(body.ptr, body.len, JSON_REJECT_DUPLICATES, &error);
	if (call->body == NULL) {
		api_write_error(call->out, "the body is not JSON: %s, line %d",
			error.text, error.line);
		return BAD_REQUEST;
	}
	if (json_is_object(call->body)) {
		status = run(call);
	} else {
		api_write_error(call->out, "the body must be a JSON object");
		status = BAD_REQUEST;
	}
	json_decref(call->body);
	return status;
}

static struct api_answer
wrong_method(const struct call *call, const char *allow)
{
	api_write_error(call->out, "this path takes only %s", allow);
	return (struct api_answer){NOT_ALLOWED, allow};
}

/* rest: what follows "/api/v1/services/". */
static struct api_answer
answer_service(struct call *call, struct slice rest)
{
	const char *slash = memchr(rest.ptr, '/', rest.len);
	struct slice name = rest;
	struct slice action;

	if (slash != NULL)
		name.len = (size_t)(slash - rest.ptr);
	call->service = snapshot_find_service(call->snapshot, name);
	if (call->service == NULL)
		return (struct api_answer){unknown_service(call, name), NULL};
	if (slash == NULL && call->request->method != API_GET)
		return wrong_method(call, "GET, HEAD");
	if (slash == NULL)
		return (struct api_answer){show_service(call), NULL};
	action = (struct slice){slash + 1, rest.len - name.len - 1};
	for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++) {
		if (!slice_equal(action, slice_from_string(actions[i].name)))
			continue;
		if (call->request->method != API_POST)
			return wrong_method(call, "POST");
		return (struct api_answer){
			run_action(call, actions[i].run), NULL};
	}
	return (struct api_answer){no_such_path(call), NULL};
}

struct api_answer
api_answer(const struct api *api, const struct api_request *request,
	struct evbuffer *out)
{
	const struct slice prefix = SLICE(SERVICES);
	struct slice rest = request->path;
	struct call call = {
		.api = api,
		.request = request,
		.snapshot = control_snapshot(api->control),
		.out = out,
	};

	if (slice_equal(rest, SLICE(NOTIFY_TEST))) {
		if (request->method != API_POST)
			return wrong_method(&call, "POST");
		return (struct api_answer){
			run_action(&call, test_webhooks), NULL};
	}
	if (!slice_starts_with(rest, prefix))
		return (struct api_answer){no_such_path(&call), NULL};
	rest.ptr += prefix.len;
	rest.len -= prefix.len;
	if (rest.len == 0 && request->method != API_GET)
		return wrong_method(&call, "GET, HEAD");
	if (rest.len == 0)
		return (struct api_answer){list_services(&call), NULL};
	if (rest.ptr[0] != '/')
		return (struct api_answer){no_such_path(&call), NULL};
	rest.ptr++;
	rest.len--;
	return answer_service(&call, rest);
}
