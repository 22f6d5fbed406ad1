#include "proxy/settings.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

/*
 * Equal texts and lists are replaced by the first of them; then settings that
 * say the same have the same bytes. A member that is forgotten here costs the
 * sharing, never the sense.
 */
struct settings_shared {
	struct settings settings;
	struct settings_shared *next;
};

void
settings_set_init(struct settings_set *set)
{
	table_init(&set->texts);
	table_init(&set->keys);
	table_init(&set->known);
	set->all = NULL;
}

void
settings_set_free(struct settings_set *set)
{
	struct settings_shared *shared;

	while ((shared = set->all) != NULL) {
		set->all = shared->next;
		free(shared);
	}
	table_free(&set->texts);
	table_free(&set->keys);
	table_free(&set->known);
}

/* What was there first by this name, or value, which then is it. */
static void *
first_of(struct table *table, struct slice name, void *value)
{
	void *first = table_find(table, name);

	if (first != NULL)
		return first;
	table_set(table, name, value);
	return value;
}

static void
share_text(struct settings_set *set, char **text)
{
	if (*text != NULL)
		*text = first_of(&set->texts, slice_from_string(*text), *text);
}

static void
share_keys(struct settings_set *set, struct config_key **keys, size_t n)
{
	char *said = NULL;
	size_t len = 0;
	FILE *out;
	size_t i;

	if (n == 0)
		*keys = NULL;
	if (n == 0 || (out = open_memstream(&said, &len)) == NULL)
		return;
	for (i = 0; i < n; i++)
		fprintf(out, "%d %s\n", (int)(*keys)[i].source,
			(*keys)[i].name != NULL ? (*keys)[i].name : "");
	if (fclose(out) == 0)
		*keys = first_of(&set->keys, (struct slice){said, len}, *keys);
	free(said);
}

/* Of such lists the first one with these names. */
static char **
share_names(struct settings_set *set, char **names, size_t n)
{
	char *said = NULL;
	size_t len = 0, i;
	FILE *out;

	if (n == 0)
		return NULL;
	out = open_memstream(&said, &len);
	if (out == NULL)
		return names;
	for (i = 0; i < n; i++)
		fprintf(out, "upgrade %s\n", names[i]);
	if (fclose(out) == 0)
		names = first_of(&set->keys, (struct slice){said, len}, names);
	free(said);
	return names;
}

const struct settings *
settings_share(struct settings_set *set, const struct config_service *config)
{
	struct settings_shared *shared = memory_zalloc_lines(sizeof(*shared));
	struct settings *settings = &shared->settings;
	struct slice bytes = {(const char *)settings, sizeof(*settings)};
	struct settings *first;

	settings->sticky = config->sticky;
	settings->balance = config->balance;
	settings->rescue = config->rescue;
	settings->warmup_ns = config->warmup_ns;
	settings->upgrades =
		share_names(set, config->upgrades, config->n_upgrades);
	settings->n_upgrades = config->n_upgrades;
	settings->limits = config->limits;
	settings->timeouts = config->timeouts;
	share_text(set, &settings->sticky.header);
	share_text(set, &settings->sticky.cookie);
	share_text(set, &settings->sticky.domain);
	share_text(set, &settings->sticky.override_keys);
	share_keys(set, &settings->sticky.key, settings->sticky.n_key);
	share_keys(set, &settings->balance.key, settings->balance.n_key);
	first = first_of(&set->known, bytes, settings);
	if (first != settings) {
		free(shared);
		return first;
	}
	shared->next = set->all;
	set->all = shared;
	return settings;
}
