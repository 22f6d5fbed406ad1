#include "admin/api.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <event2/buffer.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>

#include "admin/api_private.h"
#include "admin/plan_json.h"
#include "admin/service_json.h"
#include "admin/unit_json.h"
#include "base/clock.h"
#include "base/memory.h"

#define SERVICES "/api/v1/services"
#define NOTIFY_TEST "/api/v1/notify/test"

#define HISTORY_DEFAULT 50
#define HISTORY_MAX 10000
#define CLIENTS_MAX 1e9 /* a second */

/* --- writing --------------------------------------------------------------- */

static int
add_json(const char *bytes, size_t len, void *text)
{
	text_add(text, (struct slice){bytes, len});
	return 0;
}

void
api_write_json(struct text *text, json_t *value)
{
	json_dump_callback(
		value, add_json, text, JSON_COMPACT | JSON_REAL_PRECISION(10));
	json_decref(value);
}

/* Takes value. */
static void
answer_json(const struct call *call, json_t *value)
{
	struct text text = {0};

	api_write_json(&text, value);
	text_add(&text, SLICE("\n"));
	text_move(&text, call->out);
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

/* --- services and groups --------------------------------------------------- */

static struct registry_unit *
find_group(const struct snapshot *snapshot, struct slice name)
{
	for (size_t i = 0; i < snapshot->n_services; i++) {
		const struct snapshot_service *service = &snapshot->services[i];

		if (service->config->group != NULL &&
			slice_equal(slice_from_string(service->config->group),
				name))
			return registry_unit_of(service->registry);
	}
	return NULL;
}

bool
api_find(struct call *call, struct slice name)
{
	call->service = snapshot_find_service(call->snapshot, name);
	if (call->service != NULL) {
		call->name = call->service->config->name;
		call->unit = registry_unit_of(call->service->registry);
		return true;
	}
	call->unit = find_group(call->snapshot, name);
	if (call->unit == NULL)
		return false;
	call->name = call->unit->release.name;
	return true;
}

void
api_show(const struct call *call)
{
	struct service_source source = source_of(call);

	if (call->service != NULL)
		answer_json(call, service_json(&source, call->service));
	else
		answer_json(call, unit_json_group(source.releases, call->unit,
					  source.now_ns));
}

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
		api_write_json(
			&text, service_json(&source, &snapshot->services[i]));
	}
	text_add(&text, SLICE("]}\n"));
	text_move(&text, call->out);
	text_free(&text);
	return OK;
}

/* --- queries --------------------------------------------------------------- */

/* A number in a query: where it may lie, and what it is. */
struct parameter {
	const char *name;
	double least;
	double most;
	bool is_given;
	double value;
};

static bool
read_parameter(struct parameter *parameters, size_t n, const char *name,
	const char *text, struct error *error)
{
	struct parameter *one = parameters;
	char *end;

	while (one < parameters + n && strcmp(one->name, name) != 0)
		one++;
	if (one == parameters + n) {
		error_set(error, "unknown parameter \"%.64s\"", name);
		return false;
	}
	one->value = strtod(text, &end);
	one->is_given = true;
	/* Written so that a NaN is refused. */
	if (end != text && *end == '\0' && one->value >= one->least &&
		one->value <= one->most)
		return true;
	error_set(error, "\"%s\" must be a number from %g to %g", name,
		one->least, one->most);
	return false;
}

static bool
read_query(const struct call *call, struct parameter *parameters, size_t n,
	struct error *error)
{
	struct evkeyvalq query;
	const struct evkeyval *pair;
	bool is_good = true;

	if (call->request->query == NULL)
		return true;
	if (evhttp_parse_query_str(call->request->query, &query) < 0) {
		error_set(error, "malformed query");
		return false;
	}
	for (pair = query.tqh_first; is_good && pair != NULL;
		pair = pair->next.tqe_next)
		is_good = read_parameter(
			parameters, n, pair->key, pair->value, error);
	evhttp_clear_headers(&query);
	return is_good;
}

static int
show_history(const struct call *call)
{
	struct parameter max = {.name = "max",
		.least = 1,
		.most = HISTORY_MAX,
		.value = HISTORY_DEFAULT};
	struct error error;

	if (!read_query(call, &max, 1, &error))
		return api_refuse(call, BAD_REQUEST, &error);
	answer_json(call,
		json_pack("{s:o}", "history",
			releases_history(control_releases(call->api->control),
				call->unit, (size_t)max.value)));
	return OK;
}

static int
show_plan(const struct call *call)
{
	struct parameter parameters[] = {
		{.name = "clients_per_s", .least = 0, .most = CLIENTS_MAX},
		{.name = "error_rate", .least = 0, .most = 1},
	};
	struct plan_json_traffic given = {NAN, NAN};
	struct service_source source = source_of(call);
	struct error error;

	if (!read_query(call, parameters, 2, &error))
		return api_refuse(call, BAD_REQUEST, &error);
	if (parameters[0].is_given)
		given.clients_per_s = parameters[0].value;
	if (parameters[1].is_given)
		given.error_rate = parameters[1].value;
	answer_json(call, plan_json(&source, call->unit, &given));
	return OK;
}

static int
show(const struct call *call)
{
	api_show(call);
	return OK;
}

/* --- webhooks -------------------------------------------------------------- */

/* Webhooks' filters don't hold it back: it tries them. */
static int
test_webhooks(const struct call *call)
{
	size_t n = call->snapshot->config->n_notify;
	struct error error = {""};
	char time[CLOCK_TEXT_SIZE];

	if (json_object_size(call->body) > 0) {
		error_set(&error, "a test takes no keys in the body");
		return api_refuse(call, BAD_REQUEST, &error);
	}
	if (n == 0) {
		error_set(&error, "the config has no webhook (notify)");
		return api_refuse(call, CONFLICT, &error);
	}
	clock_format(clock_wall_ns(), time);
	releases_emit(control_releases(call->api->control),
		json_pack("{s:s, s:s}", "time", time, "event", "test"));
	answer_json(call, json_pack("{s:I}", "webhooks", (json_int_t)n));
	return OK;
}

/* --- routes ---------------------------------------------------------------- */

static int
no_such_path(const struct call *call)
{
	api_write_error(call->out, "nothing is at this path");
	return NOT_FOUND;
}

/* No body is as good as {}. */
static int
run_word(struct call *call, api_word_fn *run)
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

static struct api_answer
answer_get(const struct call *call, int (*show_it)(const struct call *call))
{
	if (call->request->method != API_GET)
		return wrong_method(call, "GET, HEAD");
	return (struct api_answer){show_it(call), NULL};
}

static struct api_answer
answer_post(struct call *call, api_word_fn *run)
{
	if (call->request->method != API_POST)
		return wrong_method(call, "POST");
	return (struct api_answer){run_word(call, run), NULL};
}

/* rest: what follows "/api/v1/services/". */
static struct api_answer
answer_service(struct call *call, struct slice rest)
{
	const char *slash = memchr(rest.ptr, '/', rest.len);
	struct slice name = rest;
	struct slice word;
	api_word_fn *run;

	if (slash != NULL)
		name.len = (size_t)(slash - rest.ptr);
	if (!api_find(call, name))
		return (struct api_answer){
			api_no_such(call, "no service or group", name,
				api_names_of_units(call->snapshot)),
			NULL};
	if (slash == NULL)
		return answer_get(call, show);
	word = (struct slice){slash + 1, rest.len - name.len - 1};
	if (slice_equal(word, SLICE("history")))
		return answer_get(call, show_history);
	if (slice_equal(word, SLICE("plan")))
		return answer_get(call, show_plan);
	run = api_word_find(word);
	if (run != NULL)
		return answer_post(call, run);
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

	if (slice_equal(rest, SLICE(NOTIFY_TEST)))
		return answer_post(&call, test_webhooks);
	if (!slice_starts_with(rest, prefix))
		return (struct api_answer){no_such_path(&call), NULL};
	rest.ptr += prefix.len;
	rest.len -= prefix.len;
	if (rest.len == 0)
		return answer_get(&call, list_services);
	if (rest.ptr[0] != '/')
		return (struct api_answer){no_such_path(&call), NULL};
	rest.ptr++;
	rest.len--;
	return answer_service(&call, rest);
}
