/*
 * What the tests of the configuration share: parsing a text, and comparing
 * its errors whole.
 */
#ifndef PERCH_TESTS_CONFIG_PARSE_H
#define PERCH_TESTS_CONFIG_PARSE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "config/config.h"

#define N_OF(array) (sizeof(array) / sizeof((array)[0]))

/* What every file needs, in flow form, to be put below what is tested. */
#define LISTENERS "listeners: [{bind: 127.0.0.1:80}]\n"
#define VERSIONS "versions: {v1: {endpoints: a:1}}"
#define SERVICES "services: {web: {" VERSIONS "}}\n"
#define REST LISTENERS SERVICES
/* A service with one more key. */
#define SERVICE(key) LISTENERS "services: {web: {" VERSIONS ", " key "}}\n"

static struct config_report report;

static inline struct config *
parse(const char *text)
{
	config_report_free(&report);
	return config_parse("t.yaml", text, strlen(text), &report);
}

static inline struct config *
parse_good(const char *text)
{
	struct config *config = parse(text);

	if (config == NULL)
		fail_msg("%s\nin:\n%s", report.errors[0], text);
	assert_int_equal(report.n_errors, 0);
	return config;
}

static inline void
assert_errors(const char *text, size_t n, const char *const *messages)
{
	size_t i;

	assert_null(parse(text));
	for (i = 0; i < n && i < report.n_errors; i++)
		assert_string_equal(report.errors[i], messages[i]);
	if (report.n_errors != n)
		fail_msg("%zu errors, not %zu, the last: %s", report.n_errors,
			n, report.errors[report.n_errors - 1]);
}

/* Just this one. */
static inline void
assert_error(const char *text, const char *message)
{
	assert_errors(text, 1, &message);
}

static inline int
free_report(void **state)
{
	config_report_free(&report);
	return 0;
}

/* A test that leaves the report to be freed. */
#define TEST(name) cmocka_unit_test_teardown(name, free_report)

#endif
