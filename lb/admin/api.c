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
/* How many names an error lists. */
#define LISTED_NAMES 8

enum status {
	OK = 200,
	BAD_REQUEST = 400,
	NOT_FOUND = 404,
	NOT_ALLOWED = 405,
	CONFLICT = 409,
	UNAVAILABLE = 503,
};

struct call {
	struct api *api;
	const struct api_request *request;
	const struct snapshot *snapshot;
	const struct snapshot_service *service;
	const char *name; /* the service's */
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
		.releases = control_releases(call->api->control),
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

/* False with the reason if the body has other keys than these and who and why,
 * which go with every word. */
static bool
check_keys(const struct call *call, const char *const *known,
	struct error *error)
{
	const char *key;
	json_t *value;

	json_object_foreach(call->body, key, value)
	{
		const char *const *name = known;

		while (*name != NULL && strcmp(*name, key) != 0)
			name++;
		if (*name != NULL || strcmp(key, "who") == 0 ||
			strcmp(key, "why") == 0)
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

/* An optional text; NULL with error set if it is none, or too long. */
static const char *
get_text(const struct call *call, const char *key, const char *otherwise,
	struct error *error)
{
	const json_t *value = json_object_get(call->body, key);

	if (value == NULL)
		return otherwise;
	if (json_is_string(value) &&
		json_string_length(value) <= JUDGE_TEXT_MAX)
		return json_string_value(value);
	error_set(error, "\"%s\" must be a text of up to %d bytes", key,
		JUDGE_TEXT_MAX);
	return NULL;
}

/* --- words that wait for the disk ------------------------------------------ */

struct api_wait {
	struct api *api; /* NULL: it was given up */
	struct api_wait *next;
	struct evbuffer *out;
	api_deliver_fn *deliver;
	void *arg;
	char service[RELEASE_NAME_MAX + 1];
	bool is_at_once; /* the call is still on the stack */
	int status;
};

static void
write_service_named(struct api *api, const char *name, struct evbuffer *out)
{
	struct call call = {.api = api,
		.snapshot = control_snapshot(api->control),
		.out = out};

	call.service = snapshot_find_service(
		call.snapshot, slice_from_string(name));
	if (call.service != NULL)
		show_service(&call);
}

static void
leave(struct api_wait *wait)
{
	struct api_wait **at = &wait->api->waits;

	while (*at != wait)
		at = &(*at)->next;
	*at = wait->next;
}

static void
on_answer(enum judge_answer answer, const char *why, void *arg)
{
	struct api_wait *wait = arg;

	if (wait->api == NULL) {
		free(wait);
		return;
	}
	switch (answer) {
	case JUDGE_DONE:
		wait->status = OK;
		write_service_named(wait->api, wait->service, wait->out);
		break;
	case JUDGE_REFUSED:
		wait->status = CONFLICT;
		api_write_error(wait->out, "%s", why);
		break;
	case JUDGE_UNWRITTEN:
		wait->status = UNAVAILABLE;
		api_write_error(wait->out, "%s", why);
		break;
	}
	if (wait->is_at_once)
		return;
	wait->deliver(wait->arg, wait->status);
	leave(wait);
	free(wait);
}

void
api_forget(struct api *api)
{
	struct api_wait *wait;

	for (wait = api->waits; wait != NULL; wait = wait->next)
		wait->api = NULL;
	api->waits = NULL;
}

/* False with error set if who or why is no text. */
static bool
fill_word(const struct call *call, struct judge_word *word, struct error *error)
{
	word->who = get_text(call, "who", "operator", error);
	word->why = get_text(call, "why", "", error);
	word->ack = on_answer;
	return word->who != NULL && word->why != NULL;
}

static struct api_wait *
begin_wait(const struct call *call)
{
	struct api_wait *wait = memory_zalloc(sizeof(*wait));

	wait->api = call->api;
	wait->out = call->out;
	wait->deliver = call->request->deliver;
	wait->arg = call->request->arg;
	wait->is_at_once = true;
	snprintf(wait->service, sizeof(wait->service), "%s", call->name);
	wait->next = call->api->waits;
	call->api->waits = wait;
	return wait;
}

/* After the word was said. */
static int
end_wait(struct api_wait *wait)
{
	int status = wait->status;

	wait->is_at_once = false;
	if (status == API_LATER)
		return API_LATER;
	leave(wait);
	free(wait);
	return status;
}

static int
say(const struct call *call, const struct plan_word *what)
{
	struct judge_word word;
	struct api_wait *wait;
	struct error error;

	if (!fill_word(call, &word, &error))
		return refuse(call, BAD_REQUEST, &error);
	wait = begin_wait(call);
	word.arg = wait;
	releases_say(control_releases(call->api->control), call->name, what,
		&word);
	return end_wait(wait);
}

static bool
get_version(const struct call *call, struct releases_start *start,
	struct error *error)
{
	const json_t *version = json_object_get(call->body, "version");

	if (!json_is_string(version)) {
		error_set(error, "\"version\" must name a version");
		return false;
	}
	start->version = json_string_value(version);
	return true;
}

static int
start_release(const struct call *call)
{
	static const char *const keys[] = {
		"version", "share", "plan", "auto", NULL};
	const json_t *is_auto = json_object_get(call->body, "auto");
	struct releases_start start = {.unit = call->name, .is_auto = -1};
	struct error error = {""};
	struct judge_word word;
	struct api_wait *wait;
	struct slice name;

	if (!check_keys(call, keys, &error) ||
		!get_version(call, &start, &error))
		return refuse(call, BAD_REQUEST, &error);
	if (json_object_get(call->body, "share") != NULL &&
		!get_share(call, &start.share_bp, &error))
		return refuse(call, BAD_REQUEST, &error);
	if (is_auto != NULL && !json_is_boolean(is_auto)) {
		error_set(&error, "\"auto\" must be true or false");
		return refuse(call, BAD_REQUEST, &error);
	}
	if (is_auto != NULL)
		start.is_auto = json_is_true(is_auto);
	start.plan = get_text(call, "plan", "", &error);
	if (start.plan == NULL || !fill_word(call, &word, &error))
		return refuse(call, BAD_REQUEST, &error);
	if (start.plan[0] == '\0')
		start.plan = NULL;
	name = slice_from_string(start.version);
	if (snapshot_find_version(call->service, name) < 0)
		return unknown_version(call, name);
	wait = begin_wait(call);
	word.arg = wait;
	releases_start(control_releases(call->api->control), &start, &word);
	return end_wait(wait);
}

static int
set_share(const struct call *call)
{
	static const char *const keys[] = {"share", NULL};
	struct plan_word what = {.kind = PLAN_SHARE};
	struct error error = {""};

	if (!check_keys(call, keys, &error) ||
		!get_share(call, &what.share_bp, &error))
		return refuse(call, BAD_REQUEST, &error);
	return say(call, &what);
}

static int
say_plain(const struct call *call, enum plan_word_kind kind)
{
	static const char *const keys[] = {NULL};
	const struct plan_word what = {.kind = kind};
	struct error error = {""};

	if (!check_keys(call, keys, &error))
		return refuse(call, BAD_REQUEST, &error);
	return say(call, &what);
}

static int
advance(const struct call *call)
{
	return say_plain(call, PLAN_ADVANCE);
}

static int
pause_release(const struct call *call)
{
	return say_plain(call, PLAN_PAUSE);
}

static int
resume(const struct call *call)
{
	return say_plain(call, PLAN_RESUME);
}

static int
promote(const struct call *call)
{
	return say_plain(call, PLAN_PROMOTE);
}

static int
roll_back(const struct call *call)
{
	return say_plain(call, PLAN_ROLLBACK);
}

/* Webhooks' filters don't hold it back: it tries them. */
static int
test_webhooks(const struct call *call)
{
	size_t n = call->snapshot->config->n_notify;
	struct text text = {0};
	static const char *const keys[] = {NULL};
	struct error error = {""};
	char time[CLOCK_TEXT_SIZE];

	if (!check_keys(call, keys, &error))
		return refuse(call, BAD_REQUEST, &error);
	if (n == 0) {
		error_set(&error, "the config has no webhook (notify)");
		return refuse(call, CONFLICT, &error);
	}
	clock_format(clock_wall_ns(), time);
	releases_emit(control_releases(call->api->control),
		json_pack("{s:s, s:s}", "time", time, "event", "test"));
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
	{"advance", advance},
	{"pause", pause_release},
	{"resume", resume},
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
	call->name = call->service->config->name;
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
api_answer(struct api *api, const struct api_request *request)
{
	const struct slice prefix = SLICE(SERVICES);
	struct slice rest = request->path;
	struct call call = {
		.api = api,
		.request = request,
		.snapshot = control_snapshot(api->control),
		.out = request->out,
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
