#include "config/yaml.h"

#include <stdlib.h>
#include <string.h>

#include <yaml.h>

#include "base/memory.h"
#include "base/table.h"
#include "config/expand.h"

struct reading {
	yaml_parser_t parser;
	struct report *report;
	struct slice text;
	size_t room; /* bytes that variables may still add up to */
	bool is_over; /* gave up; the reason was reported */
};

static struct report_place
place_of(yaml_mark_t mark)
{
	return (struct report_place){
		(unsigned)mark.line + 1, (unsigned)mark.column + 1};
}

/* libyaml's errors of encoding come with a byte offset only. */
static struct report_place
place_of_offset(struct slice text, size_t offset)
{
	struct report_place place = {1, 1};
	size_t i;

	for (i = 0; i < offset && i < text.len; i++) {
		unsigned char c = (unsigned char)text.ptr[i];

		if (c == '\n')
			place = (struct report_place){place.line + 1, 1};
		else if ((c & 0xc0) != 0x80)
			place.column++;
	}
	return place;
}

/* What stands from the mark on, up to where a plain value would end. Counts in
 * characters, as libyaml does. */
static struct slice
value_at(struct slice text, yaml_mark_t mark)
{
	static const char ends[] = " \t\r\n,]}\"\\";
	size_t n_before = 0;
	size_t i = 0;
	size_t len = 0;

	while (i < text.len && n_before < mark.index) {
		i++;
		while (i < text.len && (text.ptr[i] & 0xc0) == 0x80)
			i++;
		n_before++;
	}
	while (i + len < text.len && len < REPORT_QUOTE_LEN &&
		memchr(ends, text.ptr[i + len], sizeof(ends)) == NULL)
		len++;
	return (struct slice){text.ptr + i, len};
}

/* "*:80" and "*.example.com" are what people mean by it. */
static bool
report_unquoted(struct reading *reading)
{
	const yaml_parser_t *parser = &reading->parser;
	struct slice value;

	if (parser->context == NULL ||
		(strcmp(parser->context, "while scanning an alias") != 0 &&
			strcmp(parser->context, "while scanning an anchor") !=
				0))
		return false;
	value = value_at(reading->text, parser->context_mark);
	if (value.len == 0 || (value.ptr[0] != '*' && value.ptr[0] != '&'))
		return false;
	report_error(reading->report, place_of(parser->context_mark),
		"a value that begins with %c needs quotes: \"%.*s\"",
		value.ptr[0], (int)value.len, value.ptr);
	return true;
}

static void
report_syntax(struct reading *reading)
{
	const yaml_parser_t *parser = &reading->parser;
	const char *problem =
		parser->problem != NULL ? parser->problem : "can't be read";

	reading->is_over = true;
	if (parser->error == YAML_MEMORY_ERROR) {
		report_error(reading->report, (struct report_place){0},
			"out of memory");
		return;
	}
	if (parser->error == YAML_READER_ERROR) {
		report_error(reading->report,
			place_of_offset(reading->text, parser->problem_offset),
			"not valid YAML: %s", problem);
		return;
	}
	if (report_unquoted(reading))
		return;
	if (strcmp(problem, "found character that cannot start any token") == 0)
		problem = "a character that can't begin anything (tabs can't "
			  "indent; values with @ or ` in front need quotes)";
	if (parser->context == NULL) {
		report_error(reading->report, place_of(parser->problem_mark),
			"not valid YAML: %s", problem);
		return;
	}
	report_error(reading->report, place_of(parser->problem_mark),
		"not valid YAML: %s, %s from line %zu on", problem,
		parser->context, parser->context_mark.line + 1);
}

static bool
next_event(struct reading *reading, yaml_event_t *event)
{
	if (reading->is_over)
		return false;
	if (yaml_parser_parse(&reading->parser, event))
		return true;
	report_syntax(reading);
	return false;
}

static bool
has_control(struct slice text)
{
	size_t i;

	for (i = 0; i < text.len; i++) {
		if ((unsigned char)text.ptr[i] < 0x20 || text.ptr[i] == 0x7f)
			return true;
	}
	return false;
}

static bool
is_null_text(struct slice text)
{
	return text.len == 0 || slice_equal(text, SLICE("~")) ||
	       slice_equal(text, SLICE("null"));
}

static void
fill_scalar(struct reading *reading, struct yaml_node *node, struct slice text)
{
	struct error error;
	char *expanded;

	if (has_control(text)) {
		report_error(reading->report, node->place,
			"a value must be one line without control characters");
		return;
	}
	if (text.len == 0 || memchr(text.ptr, '$', text.len) == NULL) {
		node->text = memory_strndup(text.ptr, text.len);
		node->kind = YAML_SCALAR;
		return;
	}
	expanded = expand_environment(text, reading->room, &error);
	if (expanded == NULL) {
		report_error(reading->report, node->place, "%s", error.message);
		return;
	}
	if (has_control(slice_from_string(expanded))) {
		report_error(reading->report, node->place,
			"a variable's value has control characters");
		free(expanded);
		return;
	}
	reading->room -= strlen(expanded);
	node->text = expanded;
	node->kind = YAML_SCALAR;
}

static void
add_entry(struct yaml_node *node, struct yaml_entry entry)
{
	size_t n = node->n_entries;

	if ((n & (n - 1)) == 0)
		node->entries = memory_realloc_array(node->entries,
			n == 0 ? 1 : n * 2, sizeof(*node->entries));
	node->entries[node->n_entries++] = entry;
}

static struct yaml_node *
read_node(struct reading *reading, yaml_event_t *event, unsigned depth);

static struct yaml_node *
read_next(struct reading *reading, unsigned depth)
{
	yaml_event_t event;

	if (!next_event(reading, &event))
		return NULL;
	return read_node(reading, &event, depth);
}

static void
fill_list(struct reading *reading, struct yaml_node *node, unsigned depth)
{
	yaml_event_t event;

	node->kind = YAML_LIST;
	while (next_event(reading, &event)) {
		struct yaml_entry entry = {0};

		if (event.type == YAML_SEQUENCE_END_EVENT) {
			yaml_event_delete(&event);
			return;
		}
		entry.value = read_node(reading, &event, depth + 1);
		if (entry.value != NULL)
			add_entry(node, entry);
	}
}

/*
 * The key as text, NULL if it can't be one or was there before; then the
 * report says so.
 */
static char *
read_key(struct reading *reading, yaml_event_t *event, struct table *seen,
	unsigned depth)
{
	struct report_place place = place_of(event->start_mark);
	struct slice key;
	char *text = NULL;

	if (event->type != YAML_SCALAR_EVENT) {
		report_error(reading->report, place,
			"a key must be a word, not a list or map");
		yaml_tree_free(read_node(reading, event, depth));
		return NULL;
	}
	key.ptr = (const char *)event->data.scalar.value;
	key.len = event->data.scalar.length;
	if (event->data.scalar.anchor != NULL || event->data.scalar.tag != NULL)
		report_error(reading->report, place,
			"anchors and tags are not supported");
	else if (has_control(key))
		report_error(reading->report, place,
			"a key must not contain control characters");
	else if (table_find(seen, key) != NULL)
		report_error(reading->report, place,
			"the key \"%.*s\" is there twice", REPORT_QUOTE_LEN,
			key.ptr);
	else
		text = memory_strndup(key.ptr, key.len);
	table_set(seen, key, reading);
	yaml_event_delete(event);
	return text;
}

static void
fill_map(struct reading *reading, struct yaml_node *node, unsigned depth)
{
	struct table seen;
	yaml_event_t event;

	node->kind = YAML_MAP;
	table_init(&seen);
	while (next_event(reading, &event)) {
		struct yaml_entry entry = {0};

		if (event.type == YAML_MAPPING_END_EVENT) {
			yaml_event_delete(&event);
			break;
		}
		entry.key_place = place_of(event.start_mark);
		entry.key = read_key(reading, &event, &seen, depth + 1);
		entry.value = read_next(reading, depth + 1);
		if (entry.key != NULL && entry.value != NULL) {
			add_entry(node, entry);
			continue;
		}
		free(entry.key);
		yaml_tree_free(entry.value);
	}
	table_free(&seen);
}

/* An anchor or a tag, which this subset of YAML lacks. */
static bool
has_properties(const yaml_event_t *event)
{
	switch (event->type) {
	case YAML_SCALAR_EVENT:
		return event->data.scalar.anchor != NULL ||
		       event->data.scalar.tag != NULL;
	case YAML_SEQUENCE_START_EVENT:
		return event->data.sequence_start.anchor != NULL ||
		       event->data.sequence_start.tag != NULL;
	case YAML_MAPPING_START_EVENT:
		return event->data.mapping_start.anchor != NULL ||
		       event->data.mapping_start.tag != NULL;
	default:
		return false;
	}
}

static void
fill_node(struct reading *reading, struct yaml_node *node,
	const yaml_event_t *event, unsigned depth)
{
	struct slice text;

	switch (event->type) {
	case YAML_SCALAR_EVENT:
		text.ptr = (const char *)event->data.scalar.value;
		text.len = event->data.scalar.length;
		fill_scalar(reading, node, text);
		node->is_null =
			event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
			is_null_text(text);
		break;
	case YAML_SEQUENCE_START_EVENT:
		fill_list(reading, node, depth);
		break;
	case YAML_MAPPING_START_EVENT:
		fill_map(reading, node, depth);
		break;
	default:
		report_error(reading->report, node->place,
			"aliases (*%.*s) are not supported; write the value "
			"out, or quote it if it begins with *",
			REPORT_QUOTE_LEN, event->data.alias.anchor);
	}
}

/*
 * The node that event begins; takes the event. NULL where reading is over
 * (what was read of inner nodes until then is freed with the outer ones).
 */
static struct yaml_node *
read_node(struct reading *reading, yaml_event_t *event, unsigned depth)
{
	struct yaml_node *node;

	if (depth > YAML_MAX_DEPTH) {
		report_error(reading->report, place_of(event->start_mark),
			"nested more than %d deep", YAML_MAX_DEPTH);
		reading->is_over = true;
		yaml_event_delete(event);
		return NULL;
	}
	node = memory_zalloc(sizeof(*node));
	node->kind = YAML_BROKEN;
	node->place = place_of(event->start_mark);
	if (has_properties(event))
		report_error(reading->report, node->place,
			"anchors and tags are not supported");
	fill_node(reading, node, event, depth);
	yaml_event_delete(event);
	return node;
}

static struct yaml_node *
empty_map(void)
{
	struct yaml_node *node = memory_zalloc(sizeof(*node));

	node->kind = YAML_MAP;
	node->place = (struct report_place){1, 1};
	return node;
}

/* All of the stream's events; at most one document. */
static struct yaml_node *
read_stream(struct reading *reading)
{
	struct yaml_node *root = NULL;
	bool at_end = false;

	while (!at_end && !reading->is_over) {
		yaml_event_t event;

		if (!next_event(reading, &event))
			break;
		at_end = event.type == YAML_STREAM_END_EVENT;
		if (event.type == YAML_DOCUMENT_START_EVENT && root != NULL) {
			report_error(reading->report,
				place_of(event.start_mark),
				"a second document (\"---\") in one file");
			reading->is_over = true;
		}
		if (event.type == YAML_DOCUMENT_START_EVENT &&
			!reading->is_over)
			root = read_next(reading, 0);
		yaml_event_delete(&event);
	}
	return root;
}

struct yaml_node *
yaml_tree_parse(const char *text, size_t len, struct report *report)
{
	struct reading reading = {
		.report = report,
		.text = {text, len},
		.room = YAML_MAX_SIZE,
	};
	struct yaml_node *root;

	if (len > YAML_MAX_SIZE) {
		report_error(report, (struct report_place){0},
			"larger than %zu MiB", YAML_MAX_SIZE >> 20);
		return NULL;
	}
	if (!yaml_parser_initialize(&reading.parser)) {
		report_error(report, (struct report_place){0}, "out of memory");
		return NULL;
	}
	yaml_parser_set_encoding(&reading.parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(
		&reading.parser, (const unsigned char *)text, len);
	root = read_stream(&reading);
	if (reading.is_over) {
		yaml_tree_free(root);
		root = NULL;
	} else if (root == NULL ||
		   (root->kind == YAML_SCALAR && root->is_null)) {
		yaml_tree_free(root);
		root = empty_map();
	}
	yaml_parser_delete(&reading.parser);
	return root;
}

void
yaml_tree_free(struct yaml_node *node)
{
	size_t i;

	if (node == NULL)
		return;
	for (i = 0; i < node->n_entries; i++) {
		free(node->entries[i].key);
		yaml_tree_free(node->entries[i].value);
	}
	free(node->entries);
	free(node->text);
	free(node);
}

const struct yaml_entry *
yaml_tree_find(const struct yaml_node *node, const char *key)
{
	size_t i;

	if (node->kind != YAML_MAP)
		return NULL;
	for (i = 0; i < node->n_entries; i++) {
		const struct yaml_entry *entry = &node->entries[i];

		if (strcmp(entry->key, key) == 0)
			return entry;
	}
	return NULL;
}
