#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "http/cors.h"
#include "http/h1_parse.h"

static const struct h1_limits limits = {16384, 8192, 100};

static struct message asked, answered;

static void
ask(const char *method, const char *lines)
{
	static char text[2048];

	snprintf(text, sizeof(text), "%s /a HTTP/1.1\r\nHost: a\r\n%s\r\n",
		method, lines);
	assert_int_equal(
		h1_parse_request(text, strlen(text), &limits, &asked, NULL),
		H1_OK);
}

static void
answer(const char *status, const char *lines)
{
	static char text[2048];

	snprintf(text, sizeof(text), "HTTP/1.1 %s\r\n%s\r\n", status, lines);
	assert_int_equal(h1_parse_response(text, strlen(text), &limits,
				 HTTP_OPTIONS, &answered, NULL),
		H1_OK);
}

static bool
allows(const char *status, const char *lines)
{
	answer(status, lines);
	return cors_allows(&asked, &answered);
}

#define ORIGIN "Origin: https://a.example\r\n"
#define PUT "Access-Control-Request-Method: PUT\r\n"
#define ALLOW_ORIGIN "Access-Control-Allow-Origin: https://a.example\r\n"
#define ALLOW_PUT "Access-Control-Allow-Methods: GET, PUT\r\n"

static void
test_preflight_has_origin_and_method(void **state)
{
	(void)state;
	ask("OPTIONS", ORIGIN PUT);
	assert_true(cors_is_preflight(&asked));
	ask("OPTIONS", PUT);
	assert_false(cors_is_preflight(&asked));
	ask("OPTIONS", ORIGIN);
	assert_false(cors_is_preflight(&asked));
	ask("GET", ORIGIN PUT);
	assert_false(cors_is_preflight(&asked));
	ask("OPTIONS", ORIGIN PUT "Content-Length: 1\r\n");
	assert_false(cors_is_preflight(&asked));
}

static void
test_only_success_allows(void **state)
{
	const char *const refusals[] = {"199 X", "300 X", "302 Found", "401 X",
		"403 X", "404 X", "405 X", "500 X", "501 X"};

	(void)state;
	ask("OPTIONS", ORIGIN PUT);
	assert_true(allows("200 OK", ALLOW_ORIGIN ALLOW_PUT));
	assert_true(allows("204 X", ALLOW_ORIGIN ALLOW_PUT));
	assert_true(allows("299 X", ALLOW_ORIGIN ALLOW_PUT));
	for (size_t i = 0; i < sizeof(refusals) / sizeof(*refusals); i++)
		assert_false(allows(refusals[i], ALLOW_ORIGIN ALLOW_PUT));
}

static void
test_origin_must_be_allowed(void **state)
{
	(void)state;
	ask("OPTIONS", ORIGIN PUT);
	assert_false(allows("204 X", ALLOW_PUT));
	assert_false(allows("204 X", "Access-Control-Allow-Origin: "
				     "https://b.example\r\n" ALLOW_PUT));
	assert_true(allows(
		"204 X", "Access-Control-Allow-Origin: *\r\n" ALLOW_PUT));
}

static void
test_method_must_be_allowed(void **state)
{
	(void)state;
	ask("OPTIONS", ORIGIN PUT);
	assert_false(allows("204 X", ALLOW_ORIGIN));
	assert_false(allows(
		"204 X", ALLOW_ORIGIN "Access-Control-Allow-Methods: GET\r\n"));
	assert_true(allows("204 X",
		ALLOW_ORIGIN "Access-Control-Allow-Methods: GET\r\n"
			     "Access-Control-Allow-Methods: PUT\r\n"));
	assert_true(allows(
		"204 X", ALLOW_ORIGIN "Access-Control-Allow-Methods: *\r\n"));
}

static void
test_simple_methods_are_always_allowed(void **state)
{
	const char *const methods[] = {"GET", "HEAD", "POST"};

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		char lines[256];

		snprintf(lines, sizeof(lines),
			ORIGIN "Access-Control-Request-Method: %s\r\n",
			methods[i]);
		ask("OPTIONS", lines);
		assert_true(allows("204 X", ALLOW_ORIGIN));
	}
}

static void
test_all_headers_must_be_allowed(void **state)
{
	(void)state;
	ask("OPTIONS",
		ORIGIN PUT "Access-Control-Request-Headers: x-a,x-b\r\n");
	assert_false(allows("204 X", ALLOW_ORIGIN ALLOW_PUT));
	assert_false(allows("204 X", ALLOW_ORIGIN ALLOW_PUT
		"Access-Control-Allow-Headers: X-A\r\n"));
	assert_true(allows("204 X", ALLOW_ORIGIN ALLOW_PUT
		"Access-Control-Allow-Headers: X-B, X-A\r\n"));
	assert_true(allows("204 X",
		ALLOW_ORIGIN ALLOW_PUT "Access-Control-Allow-Headers: *\r\n"));
}

static void
test_authorization_needs_its_name(void **state)
{
	(void)state;
	ask("OPTIONS",
		ORIGIN PUT "Access-Control-Request-Headers: authorization\r\n");
	assert_false(allows("204 X",
		ALLOW_ORIGIN ALLOW_PUT "Access-Control-Allow-Headers: *\r\n"));
	assert_true(allows("204 X", ALLOW_ORIGIN ALLOW_PUT
		"Access-Control-Allow-Headers: *, Authorization\r\n"));
}

static void
test_hash_is_of_all_that_is_asked(void **state)
{
	const char *const others[] = {
		"Origin: https://b.example\r\n" PUT,
		ORIGIN "Access-Control-Request-Method: DELETE\r\n",
		ORIGIN PUT "Access-Control-Request-Headers: x-a\r\n",
	};
	uint64_t hash;

	(void)state;
	ask("OPTIONS", ORIGIN PUT);
	hash = cors_hash(&asked, 1);
	assert_true(cors_hash(&asked, 1) == hash);
	assert_false(cors_hash(&asked, 2) == hash);
	for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++) {
		ask("OPTIONS", others[i]);
		assert_false(cors_hash(&asked, 1) == hash);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_preflight_has_origin_and_method),
		cmocka_unit_test(test_only_success_allows),
		cmocka_unit_test(test_origin_must_be_allowed),
		cmocka_unit_test(test_method_must_be_allowed),
		cmocka_unit_test(test_simple_methods_are_always_allowed),
		cmocka_unit_test(test_all_headers_must_be_allowed),
		cmocka_unit_test(test_authorization_needs_its_name),
		cmocka_unit_test(test_hash_is_of_all_that_is_asked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
