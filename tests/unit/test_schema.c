#include <dirent.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>

#include <jansson.h>

#include "config/schema.h"
#include "config/value.h"
#include "config_parse.h"

#ifndef CONF_DIR
#define CONF_DIR "conf"
#endif

struct passwd *__wrap_getpwnam(const char *name);

/* Examples name users that the system which runs the tests needn't have. */
struct passwd *
__wrap_getpwnam(const char *name)
{
	static struct passwd somebody;

	(void)name;
	return &somebody;
}

static void
test_every_example_loads(void **state)
{
	DIR *dir = opendir(CONF_DIR);
	struct dirent *file;
	size_t n = 0;

	assert_non_null(dir);
	while ((file = readdir(dir)) != NULL) {
		const char *dot = strrchr(file->d_name, '.');
		char path[512];
		struct config *config;

		if (dot == NULL || strcmp(dot, ".yaml") != 0)
			continue;
		snprintf(path, sizeof(path), "%s/%s", CONF_DIR, file->d_name);
		config_report_free(&report);
		config = config_load(path, &report);
		if (config == NULL)
			fail_msg("%s", report.errors[0]);
		config_free(config);
		n++;
	}
	closedir(dir);
	assert_true(n >= 2);
}

/* What stands for a row in the JSON Schema: each word of its path in turn. */
static json_t *
schema_at(json_t *schema, const char *path)
{
	char copy[256], *word, *rest;

	snprintf(copy, sizeof(copy), "%s", path);
	for (word = strtok_r(copy, ".", &rest); word != NULL;
		word = strtok_r(NULL, ".", &rest)) {
		char *brackets = strstr(word, "[]");
		json_t *any;

		if (strcmp(word, "NAME") == 0) {
			schema =
				json_object_get(schema, "additionalProperties");
			continue;
		}
		if (brackets != NULL)
			*brackets = '\0';
		schema = json_object_get(
			json_object_get(schema, "properties"), word);
		if (brackets == NULL)
			continue;
		/* The array, and of its items the map. */
		any = json_object_get(schema, "anyOf");
		schema = json_object_get(
			any != NULL ? json_array_get(any, 0) : schema, "items");
		any = json_object_get(schema, "anyOf");
		if (any != NULL)
			schema = json_array_get(any, 1);
	}
	return schema;
}

/* Prints with print; the caller frees. */
static char *
printed(void (*print)(FILE *out))
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	assert_non_null(out);
	print(out);
	fclose(out);
	return text;
}

static void
test_json_schema_describes_each_key(void **state)
{
	char *text = printed(config_print_json_schema);
	json_error_t error;
	json_t *schema = json_loads(text, JSON_REJECT_DUPLICATES, &error);
	size_t i;

	if (schema == NULL)
		fail_msg("line %d: %s", error.line, error.text);
	assert_true(
		json_is_false(json_object_get(schema, "additionalProperties")));
	for (i = 0; i < schema_n_keys; i++) {
		json_t *at = schema_at(schema, schema_keys[i].path);
		json_t *help = json_object_get(at, "description");

		if (help == NULL)
			fail_msg("%s is not in it", schema_keys[i].path);
		assert_string_equal(
			json_string_value(help), schema_keys[i].help);
		if (schema_keys[i].def != NULL)
			assert_non_null(json_object_get(at, "default"));
	}
	json_decref(schema);
	free(text);
}

static void
test_json_schema_knows_decimal_numbers(void **state)
{
	char *text = printed(config_print_json_schema);
	json_t *schema = json_loads(text, 0, NULL);
	json_t *at = schema_at(schema, "plans.NAME.false_rollback");
	json_t *number = json_array_get(json_object_get(at, "anyOf"), 0);

	assert_string_equal(
		json_string_value(json_object_get(number, "type")), "number");
	assert_true(json_number_value(json_object_get(number, "minimum")) ==
		    0.0001);
	assert_true(
		json_number_value(json_object_get(number, "maximum")) == 0.1);
	assert_true(json_number_value(json_object_get(at, "default")) == 0.001);
	/* Not 0.10000000000000001. */
	assert_non_null(strstr(text, "\"maximum\": 0.1\n"));

	/* A bare 404 is a number to YAML. */
	at = schema_at(schema, "services.NAME.health.statuses");
	number = json_array_get(json_object_get(at, "anyOf"), 1);
	number = json_array_get(json_object_get(number, "anyOf"), 0);
	assert_string_equal(
		json_string_value(json_object_get(number, "type")), "integer");
	json_decref(schema);
	free(text);
}

static void
test_reference_describes_each_key(void **state)
{
	char *man = printed(config_print_reference_man);
	char *markdown = printed(config_print_reference_markdown);
	char line[256];
	size_t i;

	for (i = 0; i < schema_n_keys; i++) {
		snprintf(line, sizeof(line), "\n.It Ic %s\n",
			schema_keys[i].path);
		if (strstr(man, line) == NULL)
			fail_msg("%s is not in the man page", line);
		snprintf(line, sizeof(line), "\n| `%s` |", schema_keys[i].path);
		if (strstr(markdown, line) == NULL)
			fail_msg("%s is not in the markdown", line);
	}
	free(man);
	free(markdown);
}

/* An example that perch itself refuses would be a bad teacher. */
static void
test_examples_of_the_schema_are_good(void **state)
{
	size_t i, n = 0;

	for (i = 0; i < schema_n_keys; i++) {
		const struct schema_key *key = &schema_keys[i];
		_Alignas(max_align_t) char value[VALUE_MAX_SIZE] = {0};
		struct error error;

		if (key->example == NULL || key->shape != SCHEMA_ONE)
			continue;
		if (!value_parse(key, slice_from_string(key->example), value,
			    &error))
			fail_msg("%s: %s", key->path, error.message);
		value_release(key->type, value);
		n++;
	}
	assert_true(n > 10);
}

static void
test_examples_of_lists_are_good(void **state)
{
	static const struct {
		const char *path;
		const char *format;
	} rows[] = {
		{"trusted_proxies", "trusted_proxies: %s\n" REST},
		{"forwarded_fields", "forwarded_fields: %s\n" REST},
		{"upgrades", "upgrades: %s\n" REST},
		{"services.NAME.upgrades", SERVICE("upgrades: %s")},
		{"notify[].events", "notify: [{url: \"http://a\", events: "
				    "%s}]\n" REST},
		{"admin.bind", "admin: {bind: %s}\n" REST},
		{"services.NAME.match.hosts", SERVICE("match: {hosts: %s}")},
		{"services.NAME.match.paths", SERVICE("match: {paths: %s}")},
		{"services.NAME.sticky.key", SERVICE("sticky: {key: %s}")},
		{"services.NAME.balance.key", SERVICE("balance: {key: %s}")},
		{"services.NAME.health.statuses",
			SERVICE("health: {path: /, statuses: %s}")},
		{"plans.NAME.steps", "plans: {p: {steps: %s}}\n" REST},
		{"plans.NAME.error_statuses",
			"plans: {p: {error_statuses: %s}}\n" REST},
		{"plans.NAME.watch", "plans: {p: {watch: %s}}\n" LISTENERS
				     "services: {api: {" VERSIONS "}}\n"},
		{"services.NAME.shield.methods",
			SERVICE("shield: {methods: %s}")},
		{"services.NAME.versions.NAME.endpoints",
			LISTENERS "services: {a: {versions: {v: {endpoints: "
				  "%s}}}}\n"},
	};
	size_t i, row;

	for (i = 0; i < schema_n_keys; i++) {
		const struct schema_key *key = &schema_keys[i];
		const char *hole;
		char text[1024];

		if (key->example == NULL || key->shape != SCHEMA_LIST)
			continue;
		for (row = 0; row < N_OF(rows); row++) {
			if (strcmp(rows[row].path, key->path) == 0)
				break;
		}
		if (row == N_OF(rows))
			fail_msg("%s has no row here", key->path);
		hole = strstr(rows[row].format, "%s");
		snprintf(text, sizeof(text), "%.*s%s%s",
			(int)(hole - rows[row].format), rows[row].format,
			key->example, hole + 2);
		config_free(parse_good(text));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_every_example_loads),
		TEST(test_json_schema_describes_each_key),
		TEST(test_json_schema_knows_decimal_numbers),
		TEST(test_reference_describes_each_key),
		TEST(test_examples_of_the_schema_are_good),
		TEST(test_examples_of_lists_are_good),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
