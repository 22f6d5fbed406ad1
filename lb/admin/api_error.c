#include "admin/api_private.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/buffer.h>

#include "base/memory.h"
#include "config/suggest.h"

/* How many names an error lists. */
#define LISTED_NAMES 8

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
	api_write_json(&text, json_pack("{s:o}", "error", error));
	text_add(&text, SLICE("\n"));
	text_move(&text, out);
	text_free(&text);
}

int
api_refuse(
	const struct call *call, enum status status, const struct error *error)
{
	api_write_error(call->out, "%s", error->message);
	return status;
}

/* --- names ----------------------------------------------------------------- */

static struct api_names
make_names(size_t size)
{
	return (struct api_names){
		.names = memory_zalloc_array(size + 1, sizeof(char *))};
}

static void
add_name(struct api_names *names, const char *name)
{
	for (size_t i = 0; i < names->n; i++)
		if (strcmp(names->names[i], name) == 0)
			return;
	names->names[names->n++] = name;
}

struct api_names
api_names_of_units(const struct snapshot *snapshot)
{
	struct api_names names = make_names(snapshot->n_services * 2);

	/* Of many services no two are alike, and groups come once. */
	for (size_t i = 0; i < snapshot->n_services; i++)
		names.names[names.n++] = snapshot->services[i].config->name;
	for (size_t i = 0; i < snapshot->n_services; i++)
		if (snapshot->services[i].config->group != NULL)
			add_name(&names, snapshot->services[i].config->group);
	return names;
}

struct api_names
api_names_of_plans(const struct snapshot *snapshot)
{
	const struct config *config = snapshot->config;
	struct api_names names = make_names(config->n_plans + 1);

	for (size_t i = 0; i < config->n_plans; i++)
		add_name(&names, config->plans[i].name);
	add_name(&names, config_default_plan()->name);
	return names;
}

struct api_names
api_names_of_members(
	const struct snapshot *snapshot, const struct registry_unit *unit)
{
	struct api_names names = make_names(snapshot->n_services);

	for (size_t i = 0; i < snapshot->n_services; i++)
		if (registry_unit_of(snapshot->services[i].registry) == unit)
			add_name(&names, snapshot->services[i].config->name);
	return names;
}

struct api_names
api_names_of_versions(const struct snapshot *snapshot,
	const struct registry_unit *unit,
	const struct snapshot_service *service)
{
	struct api_names names;
	size_t n = 0;

	for (size_t i = 0; i < snapshot->n_services; i++)
		n += snapshot->services[i].n_versions;
	names = make_names(n);
	for (size_t i = 0; i < snapshot->n_services; i++) {
		const struct snapshot_service *one = &snapshot->services[i];

		if (service != NULL ? one != service
				    : registry_unit_of(one->registry) != unit)
			continue;
		for (size_t j = 0; j < one->config->n_versions; j++)
			add_name(&names, one->config->versions[j].name);
	}
	return names;
}

/* "; did you mean ...?", or the names there are if they are few. */
static void
hint(struct slice wanted, const struct api_names *names, char *out, size_t size)
{
	char *word = memory_strndup(wanted.ptr, wanted.len);
	const char *near = suggest_word(word, names->names, names->n);
	size_t len = 0;

	out[0] = '\0';
	if (near != NULL)
		snprintf(out, size, "; did you mean \"%s\"?", near);
	else if (names->n <= LISTED_NAMES) {
		for (size_t i = 0; i < names->n && len < size; i++)
			len += (size_t)snprintf(out + len, size - len, "%s%s",
				i == 0 ? "; there is " : ", ", names->names[i]);
	}
	free(word);
}

int
api_no_such(const struct call *call, const char *what, struct slice wanted,
	struct api_names names)
{
	char text[LISTED_NAMES * 80];

	hint(wanted, &names, text, sizeof(text));
	api_write_error(call->out, "%s \"%.*s\"%s", what,
		(int)(wanted.len < 64 ? wanted.len : 64), wanted.ptr, text);
	free(names.names);
	return NOT_FOUND;
}
