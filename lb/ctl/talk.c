#include "ctl/talk.h"

#include <stdio.h>

#include "base/printable.h"
#include "ctl/client.h"
#include "release/release.h"

int
talk_complain(enum talk_exit code, const char *message)
{
	fputs("perchctl: ", stderr);
	printable_print(stderr, message);
	fputc('\n', stderr);
	if (code == TALK_USAGE)
		fputs("Try \"perchctl help\".\n", stderr);
	return code;
}

bool
talk_make_path(char path[TALK_PATH_SIZE], const char *name, const char *rest)
{
	if (!release_is_name(name)) {
		fprintf(stderr,
			"perchctl: \"%.80s\" can't be a service or group: "
			"names are letters, digits, \".\", \"_\" and \"-\"\n",
			name);
		return false;
	}
	snprintf(path, TALK_PATH_SIZE, TALK_SERVICES "/%s%s", name, rest);
	return true;
}

static void
read_refusal(const struct client_response *response, struct error *error)
{
	json_t *answer = json_loads(response->body, 0, NULL);
	const char *message =
		json_string_value(json_object_get(answer, "error"));

	if (message != NULL)
		error_set(error, "%s", message);
	else
		error_set(error, "perch answered with status %d",
			response->status);
	json_decref(answer);
}

enum talk_exit
talk(const struct options *options, const char *path, const char *json,
	json_t **out, struct error *error)
{
	struct client_response response;
	struct error why;
	json_error_t problem;
	enum talk_exit code = TALK_DONE;

	if (!client_ask(options->admin, path, json, &response, &why)) {
		error_set(error, "%s (is perch running?)", why.message);
		return TALK_UNREACHABLE;
	}
	if (response.status != 200) {
		read_refusal(&response, error);
		code = TALK_REFUSED;
	} else {
		*out = json_loadb(response.body, response.len, 0, &problem);
		if (*out == NULL) {
			error_set(error, "the answer is not perch's: no JSON");
			code = TALK_UNREACHABLE;
		}
	}
	client_response_free(&response);
	return code;
}

enum talk_exit
talk_or_complain(const struct options *options, const char *path,
	const char *json, json_t **out)
{
	struct error error;
	enum talk_exit code = talk(options, path, json, out, &error);

	if (code != TALK_DONE)
		talk_complain(code, error.message);
	return code;
}
