#include "release/journal_store.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/memory.h"
#include "base/table.h"

#define DIGITS 16
/*
 * How many times longer a number may get when it is read and written again:
 * 0.1 comes back with 17 digits. Ours are in that form from the start; a line
 * that somebody made by hand may not be.
 */
#define GROWTH_MAX 8

struct unit {
	struct unit *next;
	char *name;
	/* The newest entry that brought a state, with it; NULL: none yet. It
	 * may be older than those of the ring. */
	json_t *bearer;
	uint64_t bearer_number;
	uint64_t n_entries; /* ever; entry i is in entries[i % HISTORY_MAX] */
	char *entries[JOURNAL_HISTORY_MAX]; /* JSON, without the state */
};

struct journal_store {
	struct table by_name;
	struct unit *first;
	struct unit **last;
};

static void *
check(void *value)
{
	if (value == NULL) {
		fputs("perch: out of memory\n", stderr);
		exit(1);
	}
	return value;
}

/* --- lines ----------------------------------------------------------------- */

void
journal_text_add(struct journal_text *text, const char *bytes, size_t len)
{
	if (text->size - text->len < len) {
		text->size = 2 * text->size + len;
		text->bytes = memory_realloc_array(text->bytes, text->size, 1);
	}
	if (len > 0)
		memcpy(text->bytes + text->len, bytes, len);
	text->len += len;
}

static void
print_checksum(const char *json, size_t len, char out[DIGITS + 2])
{
	snprintf(out, DIGITS + 2, "%0*" PRIx64 " ", DIGITS,
		hash_bytes(json, len, 0));
}

static void
add_line(struct journal_text *out, const char *json)
{
	char prefix[DIGITS + 2];

	print_checksum(json, strlen(json), prefix);
	journal_text_add(out, prefix, DIGITS + 1);
	journal_text_add(out, json, strlen(json));
	journal_text_add(out, "\n", 1);
}

static const char *
unit_of(const json_t *entry)
{
	const char *unit = json_string_value(json_object_get(entry, "unit"));

	return unit != NULL && unit[0] != '\0' ? unit : NULL;
}

static bool
fits_when_written_again(const json_t *entry)
{
	return json_dumpb(entry, NULL, 0, JSON_COMPACT) <= JOURNAL_ENTRY_MAX;
}

/* NULL if it isn't valid, or is too long. */
static json_t *
read_entry(const char *json, size_t len)
{
	json_t *entry;

	if (len > JOURNAL_ENTRY_MAX)
		return NULL;
	entry = json_loadb(json, len, JSON_REJECT_DUPLICATES, NULL);
	if (entry == NULL)
		return NULL;
	if (unit_of(entry) != NULL && (len <= JOURNAL_ENTRY_MAX / GROWTH_MAX ||
					      fits_when_written_again(entry)))
		return entry;
	json_decref(entry);
	return NULL;
}

json_t *
journal_line_write(
	const json_t *entry, struct journal_text *out, struct error *error)
{
	char *json;
	json_t *copy = NULL;

	if (unit_of(entry) == NULL) {
		error_set(error, "the entry names no unit");
		return NULL;
	}
	json = json_dumps(entry, JSON_COMPACT);
	if (json == NULL) {
		error_set(error, "the entry can't be written as JSON");
		return NULL;
	}
	if (strlen(json) > JOURNAL_ENTRY_MAX) {
		error_set(error, "the entry has %zu bytes, and %d are allowed",
			strlen(json), JOURNAL_ENTRY_MAX);
		goto out;
	}
	/* What can't be read back would pass for damage one day. */
	copy = read_entry(json, strlen(json));
	if (copy == NULL)
		error_set(error, "the entry couldn't be read back");
	else
		add_line(out, json);
out:
	free(json);
	return copy;
}

json_t *
journal_line_read(const char *line, size_t len)
{
	const char *json = line + DIGITS + 1;
	char prefix[DIGITS + 2];

	if (len < DIGITS + 1)
		return NULL;
	print_checksum(json, len - DIGITS - 1, prefix);
	if (memcmp(line, prefix, DIGITS + 1) != 0)
		return NULL;
	return read_entry(json, len - DIGITS - 1);
}

/* --- the store --------------------------------------------------------------- */

struct journal_store *
journal_store_new(void)
{
	struct journal_store *store = memory_zalloc(sizeof(*store));

	table_init(&store->by_name);
	store->last = &store->first;
	return store;
}

static void
unit_free(struct unit *unit)
{
	for (size_t i = 0; i < JOURNAL_HISTORY_MAX; i++)
		free(unit->entries[i]);
	json_decref(unit->bearer);
	free(unit->name);
	free(unit);
}

void
journal_store_free(struct journal_store *store)
{
	struct unit *unit;

	if (store == NULL)
		return;
	while ((unit = store->first) != NULL) {
		store->first = unit->next;
		unit_free(unit);
	}
	table_free(&store->by_name);
	free(store);
}

static struct unit *
find(const struct journal_store *store, const char *name)
{
	return table_find(&store->by_name, slice_from_string(name));
}

static struct unit *
find_or_make(struct journal_store *store, const char *name)
{
	struct unit *unit = find(store, name);

	if (unit != NULL)
		return unit;
	unit = memory_zalloc(sizeof(*unit));
	unit->name = memory_strdup(name);
	*store->last = unit;
	store->last = &unit->next;
	table_set(&store->by_name, slice_from_string(name), unit);
	return unit;
}

static json_t *
state_of(const json_t *entry)
{
	json_t *state = json_object_get(entry, "state");

	return json_is_null(state) ? NULL : state;
}

void
journal_store_add(struct journal_store *store, json_t *entry)
{
	struct unit *unit = find_or_make(store, unit_of(entry));
	char **slot = &unit->entries[unit->n_entries % JOURNAL_HISTORY_MAX];
	json_t *copy = check(json_copy(entry));

	json_object_del(copy, "state");
	free(*slot);
	*slot = check(json_dumps(copy, JSON_COMPACT));
	json_decref(copy);
	if (state_of(entry) != NULL) {
		json_decref(unit->bearer);
		unit->bearer = json_incref(entry);
		unit->bearer_number = unit->n_entries;
	}
	unit->n_entries++;
	json_decref(entry);
}

const json_t *
journal_store_state(const struct journal_store *store, const char *name)
{
	const struct unit *unit = find(store, name);

	return unit != NULL ? state_of(unit->bearer) : NULL;
}

const char *
journal_store_next_unit(const struct journal_store *store, const char *name)
{
	const struct unit *unit;

	if (name == NULL)
		return store->first != NULL ? store->first->name : NULL;
	unit = find(store, name);
	return unit != NULL && unit->next != NULL ? unit->next->name : NULL;
}

static size_t
n_kept(const struct unit *unit)
{
	return unit->n_entries < JOURNAL_HISTORY_MAX ? unit->n_entries
						     : JOURNAL_HISTORY_MAX;
}

json_t *
journal_store_history(
	const struct journal_store *store, const char *name, size_t max)
{
	const struct unit *unit = find(store, name);
	json_t *history = check(json_array());

	if (unit == NULL)
		return history;
	if (max > n_kept(unit))
		max = n_kept(unit);
	for (size_t i = 1; i <= max; i++) {
		const char *json = unit->entries[(unit->n_entries - i) %
						 JOURNAL_HISTORY_MAX];

		if (json_array_append_new(
			    history, check(json_loads(json, 0, NULL))) != 0)
			check(NULL);
	}
	return history;
}

static void
write_bearer(const struct unit *unit, struct journal_text *out)
{
	char *json = check(json_dumps(unit->bearer, JSON_COMPACT));

	add_line(out, json);
	free(json);
}

static void
write_unit(const struct unit *unit, struct journal_text *out)
{
	uint64_t oldest = unit->n_entries - n_kept(unit);

	if (unit->bearer != NULL && unit->bearer_number < oldest)
		write_bearer(unit, out);
	for (uint64_t i = oldest; i < unit->n_entries; i++) {
		if (unit->bearer != NULL && i == unit->bearer_number)
			write_bearer(unit, out);
		else
			add_line(out, unit->entries[i % JOURNAL_HISTORY_MAX]);
	}
}

void
journal_store_write(const struct journal_store *store, struct journal_text *out)
{
	for (const struct unit *unit = store->first; unit != NULL;
		unit = unit->next)
		write_unit(unit, out);
}
