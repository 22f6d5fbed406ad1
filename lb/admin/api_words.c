#include "admin/api_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin/percent.h"
#include "base/memory.h"

/*
 * A word is answered when it is on disk, or refused. It may be so before the
 * call that says it returns, or any time later: meanwhile an api_wait stands for
 * it, and keeps by name what is to be shown, as a reload may come between.
 */

struct api_wait {
	struct api *api; /* NULL: it was given up */
	struct api_wait *next;
	struct evbuffer *out;
	api_deliver_fn *deliver;
	void *arg;
	char name[RELEASE_NAME_MAX + 1]; /* the service's or group's */
	bool is_at_once; /* the call is still on the stack */
	int status;
};

/* --- bodies ---------------------------------------------------------------- */

/* False with the reason if the body has other keys than these and who and why,
 * which go with every word. */
static bool
check_keys(
	const struct call *call, const char *const *known, struct error *error)
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
	return percent_from_number(json_number_value(share), share_bp, error) &&
	       percent_check_share(*share_bp, error);
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

/* --- waiting for the disk -------------------------------------------------- */

static void
leave(struct api_wait *wait)
{
	struct api_wait **at = &wait->api->waits;

	while (*at != wait)
		at = &(*at)->next;
	*at = wait->next;
}

static void
write_named(const struct api_wait *wait)
{
	struct call call = {.api = wait->api,
		.snapshot = control_snapshot(wait->api->control),
		.out = wait->out};

	if (api_find(&call, slice_from_string(wait->name)))
		api_show(&call);
	else
		api_write_error(wait->out,
			"%s was taken out of the config meanwhile", wait->name);
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
		write_named(wait);
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
	snprintf(wait->name, sizeof(wait->name), "%s", call->name);
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

/* --- a release's start ----------------------------------------------------- */

/* What a body says, checked as far as it needs no judge. */
struct start {
	struct releases_start releases;
	const char **services; /* of "versions" */
	const char **versions;
};

static const struct snapshot_service *
find_member(const struct call *call, const char *name)
{
	const struct snapshot_service *service =
		snapshot_find_service(call->snapshot, slice_from_string(name));

	return service != NULL &&
			       registry_unit_of(service->registry) == call->unit
		       ? service
		       : NULL;
}

static bool
has_version(const struct call *call, struct slice version)
{
	for (size_t i = 0; i < call->snapshot->n_services; i++) {
		const struct snapshot_service *service =
			&call->snapshot->services[i];

		if (registry_unit_of(service->registry) == call->unit &&
			snapshot_find_version(service, version) >= 0)
			return true;
	}
	return false;
}

/* API_LATER if all names are known; else the answer's status, and it has been
 * written. */
static int
check_names(const struct call *call, const struct releases_start *start)
{
	char what[RELEASE_NAME_MAX + 40];
	struct slice name;

	for (size_t i = 0; i < start->n_pairs; i++) {
		const struct snapshot_service *member =
			find_member(call, start->services[i]);

		snprintf(what, sizeof(what), "%s has no service",
			call->unit->release.name);
		if (member == NULL)
			return api_no_such(call, what,
				slice_from_string(start->services[i]),
				api_names_of_members(
					call->snapshot, call->unit));
		snprintf(what, sizeof(what), "service %s has no version",
			start->services[i]);
		name = slice_from_string(start->versions[i]);
		if (snapshot_find_version(member, name) < 0)
			return api_no_such(call, what, name,
				api_names_of_versions(
					call->snapshot, NULL, member));
	}
	name = slice_from_string(start->version != NULL ? start->version : "");
	snprintf(what, sizeof(what), "%s has no version",
		call->unit->release.name);
	if (start->version != NULL && !has_version(call, name))
		return api_no_such(call, what, name,
			api_names_of_versions(
				call->snapshot, call->unit, NULL));
	if (start->plan != NULL &&
		snapshot_find_plan(call->snapshot, start->plan) == NULL)
		return api_no_such(call, "no plan",
			slice_from_string(start->plan),
			api_names_of_plans(call->snapshot));
	return API_LATER;
}

/* "versions": {"entry": "v2", "page": "v7"} */
static bool
read_pairs(struct start *start, json_t *pairs, struct error *error)
{
	size_t n = json_object_size(pairs);
	const char *service;
	json_t *version;

	if (n == 0) {
		error_set(error, "\"versions\" must be an object that gives "
				 "services their versions");
		return false;
	}
	start->services = memory_zalloc_array(n, sizeof(*start->services));
	start->versions = memory_zalloc_array(n, sizeof(*start->versions));
	start->releases.services = start->services;
	start->releases.versions = start->versions;
	json_object_foreach(pairs, service, version)
	{
		if (!json_is_string(version)) {
			error_set(error,
				"\"versions\" must give service \"%.64s\" the "
				"name of a version",
				service);
			return false;
		}
		start->services[start->releases.n_pairs] = service;
		start->versions[start->releases.n_pairs++] =
			json_string_value(version);
	}
	return true;
}

static bool
read_versions(const struct call *call, struct start *start, struct error *error)
{
	json_t *version = json_object_get(call->body, "version");
	json_t *pairs = json_object_get(call->body, "versions");

	if ((version == NULL) == (pairs == NULL)) {
		error_set(error, "either \"version\" must name a version, or "
				 "\"versions\" one for each service");
		return false;
	}
	if (pairs != NULL)
		return read_pairs(start, pairs, error);
	if (!json_is_string(version)) {
		error_set(error, "\"version\" must name a version");
		return false;
	}
	start->releases.version = json_string_value(version);
	return true;
}

static bool
read_start(const struct call *call, struct start *start, struct error *error)
{
	static const char *const keys[] = {
		"version", "versions", "share", "plan", "auto", NULL};
	const json_t *is_auto = json_object_get(call->body, "auto");
	struct releases_start *releases = &start->releases;

	releases->unit = call->name;
	releases->is_auto = -1;
	if (!check_keys(call, keys, error) ||
		!read_versions(call, start, error))
		return false;
	if (json_object_get(call->body, "share") != NULL &&
		!get_share(call, &releases->share_bp, error))
		return false;
	if (is_auto != NULL && !json_is_boolean(is_auto)) {
		error_set(error, "\"auto\" must be true or false");
		return false;
	}
	if (is_auto != NULL)
		releases->is_auto = json_is_true(is_auto);
	if (json_object_get(call->body, "plan") == NULL)
		return true;
	releases->plan = get_text(call, "plan", "", error);
	return releases->plan != NULL;
}

static int
start_release(const struct call *call)
{
	struct start start = {.services = NULL};
	struct error error;
	struct judge_word word;
	struct api_wait *wait;
	int status;

	if (!read_start(call, &start, &error) ||
		!fill_word(call, &word, &error)) {
		status = api_refuse(call, BAD_REQUEST, &error);
		goto out;
	}
	status = check_names(call, &start.releases);
	if (status != API_LATER)
		goto out;
	wait = begin_wait(call);
	word.arg = wait;
	releases_start(
		control_releases(call->api->control), &start.releases, &word);
	status = end_wait(wait);
out:
	free(start.services);
	free(start.versions);
	return status;
}

/* --- the other words ------------------------------------------------------- */

static int
say(const struct call *call, const struct plan_word *what)
{
	struct judge_word word;
	struct api_wait *wait;
	struct error error;

	if (!fill_word(call, &word, &error))
		return api_refuse(call, BAD_REQUEST, &error);
	wait = begin_wait(call);
	word.arg = wait;
	releases_say(
		control_releases(call->api->control), call->name, what, &word);
	return end_wait(wait);
}

static int
set_share(const struct call *call)
{
	static const char *const keys[] = {"share", NULL};
	struct plan_word what = {.kind = PLAN_SHARE};
	struct error error;

	if (!check_keys(call, keys, &error) ||
		!get_share(call, &what.share_bp, &error))
		return api_refuse(call, BAD_REQUEST, &error);
	return say(call, &what);
}

static int
say_plain(const struct call *call, enum plan_word_kind kind)
{
	static const char *const keys[] = {NULL};
	const struct plan_word what = {.kind = kind};
	struct error error;

	if (!check_keys(call, keys, &error))
		return api_refuse(call, BAD_REQUEST, &error);
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

api_word_fn *
api_word_find(struct slice word)
{
	static const struct {
		const char *name;
		api_word_fn *run;
	} words[] = {
		{"release", start_release},
		{"share", set_share},
		{"advance", advance},
		{"pause", pause_release},
		{"resume", resume},
		{"promote", promote},
		{"rollback", roll_back},
	};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (slice_equal(word, slice_from_string(words[i].name)))
			return words[i].run;
	return NULL;
}
