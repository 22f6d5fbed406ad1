/*
 * The committed reference pages are what the schema's table says now. They
 * are made by `make docs`.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "config/config.h"

#ifndef SOURCE_DIR
#define SOURCE_DIR "."
#endif

#define MARK "@REFERENCE@\n"
#define FILE_MAX (256 * 1024)

static char *
read_source(const char *path)
{
	char *text = calloc(1, FILE_MAX);
	char name[1024];
	FILE *file;

	snprintf(name, sizeof(name), "%s/%s", SOURCE_DIR, path);
	file = fopen(name, "r");
	if (text == NULL || file == NULL)
		fail_msg("cannot read %s", name);
	assert_true(fread(text, 1, FILE_MAX - 1, file) < FILE_MAX - 1);
	fclose(file);
	return text;
}

/* The template with the reference in its mark's place. */
static char *
make_page(const char *template, void (*print)(FILE *out))
{
	char *text = read_source(template);
	char *mark = strstr(text, MARK);
	char *page = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&page, &len);

	assert_non_null(out);
	if (mark == NULL)
		fail_msg("%s has no line %s", template, MARK);
	fwrite(text, 1, (size_t)(mark - text), out);
	print(out);
	fputs(mark + strlen(MARK), out);
	fclose(out);
	free(text);
	return page;
}

static void
assert_page_is_fresh(
	const char *path, const char *template, void (*print)(FILE *out))
{
	char *committed = read_source(path);
	char *made = make_page(template, print);
	size_t line = 1, i;

	for (i = 0; committed[i] != '\0' && committed[i] == made[i]; i++)
		line += committed[i] == '\n';
	if (committed[i] != made[i])
		fail_msg("%s is stale from line %zu on: run make docs", path,
			line);
	free(committed);
	free(made);
}

static void
test_man_page_says_what_the_schema_says(void **state)
{
	assert_page_is_fresh("packaging/man/perch.yaml.5",
		"packaging/man/perch.yaml.5.in", config_print_reference_man);
}

static void
test_markdown_reference_says_what_the_schema_says(void **state)
{
	assert_page_is_fresh("docs/reference.md", "docs/reference.md.in",
		config_print_reference_markdown);
}

/* A line over 80 columns or with two sentences is none for mdoc(7). */
static void
test_man_reference_has_a_line_for_each_sentence(void **state)
{
	char *page = NULL, *line, *rest;
	size_t len = 0;
	FILE *out = open_memstream(&page, &len);

	assert_non_null(out);
	config_print_reference_man(out);
	fclose(out);
	for (rest = page; (line = strsep(&rest, "\n")) != NULL;) {
		if (line[0] == '.')
			continue;
		if (strlen(line) > 80 || strstr(line, ". ") != NULL)
			fail_msg("not one short sentence: %s", line);
		if (rest != NULL && line[0] == '\0')
			fail_msg("an empty line");
	}
	free(page);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_man_page_says_what_the_schema_says),
		cmocka_unit_test(
			test_markdown_reference_says_what_the_schema_says),
		cmocka_unit_test(
			test_man_reference_has_a_line_for_each_sentence),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
