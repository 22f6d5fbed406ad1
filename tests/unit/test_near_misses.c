/* What is nearly one of the words that are looked for, and must not pass for
 * it; and each word of a list, so that none is there in vain. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "exact.h"
#include "http/field.h"
#include "http/h1_body.h"
#include "http/h1_write.h"

/* Names of fields by enum field_id, in lower case. */
static const char *const names[] = {"te", "via", "host", "range", "accept",
	"cookie", "expect", "referer", "upgrade", "expires", "trailer",
	"if-match", "if-range", "connection", "user-agent", "set-cookie",
	"keep-alive", "sec-purpose", "content-type", "x-request-id",
	"cache-control", "if-none-match", "content-length", "sec-fetch-dest",
	"sec-fetch-mode", "sec-fetch-site", "x-forwarded-for",
	"x-forwarded-host", "proxy-connection", "transfer-encoding",
	"if-modified-since", "x-forwarded-proto", "if-unmodified-since"};

#define N_NAMES (sizeof(names) / sizeof(names[0]))

static void
test_one_letter_makes_another_name(void **state)
{
	for (size_t i = 0; i < N_NAMES; i++) {
		size_t len = strlen(names[i]);

		for (size_t at = 0; at < len; at++) {
			char *name = exact_copy(names[i], len);
			struct slice slice = {name, len};

			assert_int_not_equal(
				field_identify(slice), FIELD_OTHER);
			name[at] = '_';
			/* Behind X-Forwarded- anything is one. */
			assert_int_equal(field_identify(slice),
				strncmp(name, "x-forwarded-", 12) == 0
					? FIELD_CLAIM
					: FIELD_OTHER);
			free(name);
		}
	}
}

/* --- trailers ----------------------------------------------------------------- */

static enum h1_result
decode_trailer(const char *name)
{
	char text[128];
	int len = snprintf(text, sizeof(text), "0\r\n%s: x\r\n\r\n", name);
	char *copy = exact_copy(text, (size_t)len);
	struct slice trailers = {NULL, 0};
	struct h1_body body;
	enum h1_result result;
	size_t consumed, produced;

	h1_body_start(&body, BODY_CHUNKED, 0);
	result = h1_body_decode(
		&body, copy, (size_t)len, &consumed, &produced, &trailers);
	free(copy);
	return result;
}

/* RFC 9110 6.5.1 */
static const char *const forbidden[] = {"authorization", "content-encoding",
	"content-range", "forwarded", "location", "max-forwards",
	"proxy-authenticate", "proxy-authorization", "www-authenticate",
	"content-length", "host", "cookie", "transfer-encoding"};

#define N_FORBIDDEN (sizeof(forbidden) / sizeof(forbidden[0]))

static void
test_each_forbidden_trailer_is_refused(void **state)
{
	for (size_t i = 0; i < N_FORBIDDEN; i++)
		assert_int_equal(decode_trailer(forbidden[i]), H1_BAD);
}

static void
test_trailers_of_nearly_those_names_pass(void **state)
{
	char name[64];

	for (size_t i = 0; i < N_FORBIDDEN; i++) {
		size_t len = strlen(forbidden[i]);

		memcpy(name, forbidden[i], len + 1);
		name[len - 1] = '_';
		assert_int_equal(decode_trailer(name), H1_OK);
		memcpy(name, forbidden[i], len + 1);
		name[0] = '_';
		assert_int_equal(decode_trailer(name), H1_OK);
	}
}

/* --- Accept ------------------------------------------------------------------- */

static bool
prefers_json(const char *accept)
{
	char *copy = exact_copy(accept, strlen(accept));
	struct slice type =
		h1_error_content_type((struct slice){copy, strlen(accept)});

	free(copy);
	return slice_equal(type, SLICE("application/json"));
}

static void
test_weights_of_accept(void **state)
{
	assert_true(prefers_json("application/json, text/plain;q=0.999"));
	assert_true(prefers_json("text/plain;q=0.5, application/json;q=0.51"));
	assert_false(prefers_json("application/json;q=0.5, text/plain"));
	/* What isn't a weight is none. */
	assert_false(prefers_json("application/json;q=.5, text/plain;q=0.1"));
	assert_false(prefers_json("application/json;q=x, text/plain;q=0.1"));
	assert_false(prefers_json("application/json;q=05, text/plain;q=0.1"));
	assert_false(prefers_json("application/json;q=, text/plain;q=0.1"));
	/* No more digits than three count; nothing weighs more than 1. */
	assert_false(prefers_json("application/json;q=0.50099, "
				  "text/plain;q=0.501"));
	assert_false(prefers_json("text/plain, application/json;q=9"));
	/* Other parameters are not q. */
	assert_true(prefers_json("application/json;v=0;r=0, text/plain;q=0"));
}

static void
test_exactness_and_order_of_accept(void **state)
{
	assert_true(prefers_json("text/*, application/json"));
	assert_false(prefers_json("application/*, text/plain"));
	assert_true(prefers_json("application/json, text/plain"));
	assert_false(prefers_json("text/plain, application/json"));
	assert_false(prefers_json("*/*"));
	/* Neither is wanted: the simpler one. */
	assert_false(prefers_json("application/json;q=0, text/*;q=0"));
	assert_false(prefers_json("application/json;q=0, text/plain;q=0"));
	assert_false(prefers_json("image/png"));
}

/* --- ids in pages ------------------------------------------------------------- */

static void
test_id_in_a_page_is_harmless(void **state)
{
	static const char id[] = "a\"b\\c\x1b\x7f\xff~ d";
	char page[512];
	size_t len = h1_error_page(502, SLICE("application/json"),
		(struct slice){id, sizeof(id) - 1}, page, sizeof(page));

	assert_true(len > 0);
	page[len] = '\0';
	assert_non_null(strstr(page, "\"a?b?c???~ d\""));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_letter_makes_another_name),
		cmocka_unit_test(test_each_forbidden_trailer_is_refused),
		cmocka_unit_test(test_trailers_of_nearly_those_names_pass),
		cmocka_unit_test(test_weights_of_accept),
		cmocka_unit_test(test_exactness_and_order_of_accept),
		cmocka_unit_test(test_id_in_a_page_is_harmless),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
