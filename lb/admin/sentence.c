#include "admin/sentence.h"

#include <stdio.h>
#include <string.h>

#include "release/plan.h"

#define SELF "perch"

/* What of the shares is told. */
enum shares {
	NO_SHARE,
	NEW_SHARE, /* "at 10 %" */
	BOTH_SHARES, /* "from 1 % to 10 %" */
};

static const struct phrase {
	const char *event;
	const char *words; /* behind the candidate */
	enum shares shares;
} phrases[] = {
	{"started", "started", NEW_SHARE},
	{"advanced", "advanced", BOTH_SHARES},
	{"retreated", "went back", BOTH_SHARES},
	{"held", "held", NEW_SHARE},
	{"running", "runs again", NEW_SHARE},
	{"paused", "paused", NEW_SHARE},
	{"resumed", "resumed", NEW_SHARE},
	{"share_set", "moved", BOTH_SHARES},
	{"frozen", "frozen", NEW_SHARE},
	{"rolled_back", "rolled back", BOTH_SHARES},
	{"promoted", "promoted, it is the stable version now", NO_SHARE},
	{"untrusted", "has a signal that can't be trusted", NEW_SHARE},
};

/* About the unit, whatever its candidate. */
static const struct phrase unit_phrases[] = {
	{"test", "a test of this webhook", NO_SHARE},
	{"journal_failed", "the journal can't be written", NO_SHARE},
	{"journal_recovered", "the journal is written again", NO_SHARE},
};

/* "" where there is no such text. */
static const char *
text_of(const json_t *event, const char *name)
{
	const char *text = json_string_value(json_object_get(event, name));

	return text != NULL ? text : "";
}

static const struct phrase *
find(const struct phrase *list, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++) {
		if (strcmp(list[i].event, name) == 0)
			return &list[i];
	}
	return NULL;
}

/* The version that all services of the unit have as their candidate; NULL if
 * they differ or there is none. */
static const char *
common_version(json_t *candidate)
{
	const char *service, *common = NULL;
	json_t *version;

	json_object_foreach(candidate, service, version)
	{
		const char *name = json_string_value(version);

		if (name == NULL ||
			(common != NULL && strcmp(common, name) != 0))
			return NULL;
		common = name;
	}
	return common;
}

/* "v2 ", or "page v7, api v2 ". */
static void
add_candidate(json_t *candidate, struct text *out)
{
	const char *service, *common = common_version(candidate);
	json_t *version;
	size_t n = 0;

	if (common != NULL) {
		text_add_string(out, common);
		text_add_string(out, " ");
		return;
	}
	json_object_foreach(candidate, service, version)
	{
		if (!json_is_string(version))
			continue;
		text_add_string(out, n++ > 0 ? ", " : "");
		text_add_string(out, service);
		text_add_string(out, " ");
		text_add_string(out, json_string_value(version));
	}
	text_add_string(out, n > 0 ? " " : "");
}

/* " at 10 %"; nothing where there is no such number. */
static void
add_percent(const json_t *event, const char *name, const char *before,
	struct text *out)
{
	const json_t *share = json_object_get(event, name);
	char number[48];

	if (!json_is_number(share))
		return;
	snprintf(number, sizeof(number), "%s%.4g %%", before,
		json_number_value(share));
	text_add_string(out, number);
}

static void
add_shares(const json_t *event, enum shares shares, struct text *out)
{
	if (shares == NO_SHARE)
		return;
	if (shares == BOTH_SHARES &&
		json_is_number(json_object_get(event, "previous_share"))) {
		add_percent(event, "previous_share", " from ", out);
		add_percent(event, "share", " to ", out);
		return;
	}
	add_percent(event, "share", " at ", out);
}

/* " (step 3 of 7)", for a unit that went to it. */
static void
add_step(const json_t *event, const char *name, struct text *out)
{
	const json_t *steps = json_object_get(event, "steps");
	json_int_t step = json_integer_value(json_object_get(event, "step"));
	size_t n = json_is_array(steps) ? json_array_size(steps)
					: (size_t)json_integer_value(steps);
	char text[64];

	if (strcmp(name, "advanced") != 0 || step <= 0 || n == 0)
		return;
	snprintf(text, sizeof(text), " (step %lld of %zu)", (long long)step, n);
	text_add_string(out, text);
}

/* It begins with the state that a release is in, which the phrase has said. */
static const char *
without_state(const char *reason)
{
	const char *colon = strstr(reason, ": ");
	enum plan_state state;
	char name[16];

	if (colon == NULL || colon - reason >= (long)sizeof(name))
		return reason;
	snprintf(name, sizeof(name), "%.*s", (int)(colon - reason), reason);
	if (strcmp(name, "rolled back") == 0)
		return colon + 2;
	return plan_state_parse(name, &state) ? colon + 2 : reason;
}

void
sentence_write(const json_t *event, struct text *out)
{
	const char *name = text_of(event, "event");
	const char *unit = text_of(event, "unit");
	const char *reason = without_state(text_of(event, "reason"));
	const char *who = text_of(event, "who");
	const struct phrase *phrase =
		find(phrases, sizeof(phrases) / sizeof(phrases[0]), name);

	text_add_string(out, unit[0] != '\0' ? unit : SELF);
	text_add_string(out, ": ");
	if (phrase != NULL)
		add_candidate(json_object_get(event, "candidate"), out);
	else
		phrase = find(unit_phrases,
			sizeof(unit_phrases) / sizeof(unit_phrases[0]), name);
	text_add_string(out, phrase != NULL ? phrase->words : name);
	if (phrase != NULL)
		add_shares(event, phrase->shares, out);
	add_step(event, name, out);
	if (reason[0] != '\0') {
		text_add_string(out, ": ");
		text_add_string(out, reason);
	}
	if (who[0] != '\0' && strcmp(who, SELF) != 0) {
		text_add_string(out, " (by ");
		text_add_string(out, who);
		text_add_string(out, ")");
	}
}
