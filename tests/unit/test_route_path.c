#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proxy/route_path.h"

/* want NULL: refused. The buffer is as small as it may be, for the sanitizer
 * to see a byte too many. */
static void
assert_normal(const char *path, const char *want)
{
	struct slice target = slice_from_string(path), got = {NULL, 0};
	char *exact = malloc(target.len + 1);
	char *buf = malloc(target.len > 0 ? target.len : 1);
	bool is_good;

	memcpy(exact, path, target.len);
	target.ptr = exact;
	is_good = route_path_normalize(target, buf, &got);
	if (is_good != (want != NULL))
		fail_msg("%s: %s", path, is_good ? "taken" : "refused");
	if (is_good && !slice_equal(got, slice_from_string(want)))
		fail_msg("%s: %.*s, not %s", path, (int)got.len, got.ptr, want);
	free(exact);
	free(buf);
}

static void
test_plain_path_is_not_copied(void **state)
{
	static const char *const plain[] = {
		"/", "/a", "/a/", "/a/b.js", "/a.b/c..d", "/x?q=/../%zz", "*"};
	char buf[32];

	(void)state;
	for (unsigned i = 0; i < sizeof(plain) / sizeof(plain[0]); i++) {
		struct slice out;

		assert_true(route_path_normalize(
			slice_from_string(plain[i]), buf, &out));
		assert_ptr_equal(out.ptr, plain[i]);
		assert_int_equal(out.len, strcspn(plain[i], "?"));
	}
}

static void
test_query_is_cut_off(void **state)
{
	(void)state;
	assert_normal("/a/b?c=d", "/a/b");
	assert_normal("/a?", "/a");
	assert_normal("/a/../b?x=/../..", "/b");
	assert_normal("?x", "/");
	assert_normal("", "/");
}

static void
test_dot_segments_are_removed(void **state)
{
	(void)state;
	assert_normal("/a/./b", "/a/b");
	assert_normal("/./a", "/a");
	assert_normal("/a/.", "/a/");
	assert_normal("/.", "/");
	assert_normal("/a/..", "/");
	assert_normal("/a/../", "/");
	assert_normal("/a/b/..", "/a/");
	assert_normal("/a/b/../c", "/a/c");
	assert_normal("/a/b/../../c", "/c");
	assert_normal("/public/../admin/x", "/admin/x");
}

static void
test_other_dots_stay(void **state)
{
	(void)state;
	assert_normal("/.well-known/x", "/.well-known/x");
	assert_normal("/...", "/...");
	assert_normal("/..a/b", "/..a/b");
	assert_normal("/a./b../c", "/a./b../c");
}

static void
test_slashes_are_folded(void **state)
{
	(void)state;
	assert_normal("//", "/");
	assert_normal("//a", "/a");
	assert_normal("/a///b//", "/a/b/");
	assert_normal("/a//../b", "/b");
	assert_normal("/a//.//b", "/a/b");
}

static void
test_unreserved_characters_are_decoded(void **state)
{
	(void)state;
	assert_normal("/%61dmin", "/admin");
	assert_normal("/%41%7a%30%2D%2e%5F%7E", "/Az0-._~");
	assert_normal("/%2e%2e/x", NULL);
	assert_normal("/a/%2e%2E/x", "/x");
	assert_normal("/a/.%2e/x", "/x");
	assert_normal("/a/%2e/x", "/a/x");
}

static void
test_reserved_characters_stay_encoded(void **state)
{
	(void)state;
	assert_normal("/a%2fb", "/a%2Fb");
	assert_normal("/a%2Fb", "/a%2Fb");
	assert_normal("/a/..%2fb", "/a/..%2Fb");
	assert_normal("/a%5cb", "/a%5Cb");
	assert_normal("/a%3Fb", "/a%3Fb");
	assert_normal("/%c3%a4", "/%C3%A4");
	assert_normal("/a%20b", "/a%20b");
}

static void
test_decoding_is_done_once(void **state)
{
	(void)state;
	assert_normal("/a/%252e%252e/b", "/a/%252e%252e/b");
	assert_normal("/%2561", "/%2561");
}

static void
test_malformed_codes_are_refused(void **state)
{
	(void)state;
	assert_normal("/%", NULL);
	assert_normal("/a%2", NULL);
	assert_normal("/%zz", NULL);
	assert_normal("/%4g", NULL);
	assert_normal("/%g4", NULL);
	assert_normal("/%00", NULL);
	assert_normal("/a%00/..", NULL);
	assert_normal("/%?41", NULL);
	assert_normal("/%%34%31", NULL);
}

static void
test_climbing_above_the_root_is_refused(void **state)
{
	(void)state;
	assert_normal("/..", NULL);
	assert_normal("/../", NULL);
	assert_normal("/a/../..", NULL);
	assert_normal("/a/../../b", NULL);
	assert_normal("//..", NULL);
	assert_normal("/./../a", NULL);
}

static void
test_other_forms_are_refused(void **state)
{
	(void)state;
	assert_normal("a/b", NULL);
	assert_normal("**", NULL);
	assert_normal("../a", NULL);
	assert_normal("%2fa", NULL);
}

/* Nothing that was normalised changes when it is normalised again. */
static void
test_normal_form_is_a_fixed_point(void **state)
{
	static const char letters[] = "/.a%2eF";
	const unsigned n_letters = sizeof(letters) - 1, len = 6;
	unsigned combinations = 1;

	(void)state;
	for (unsigned i = 0; i < len; i++)
		combinations *= n_letters;
	for (unsigned i = 0; i < combinations; i++) {
		char path[8] = "/", once[8], twice[8];
		struct slice first, second;
		unsigned rest = i;

		for (unsigned k = 1; k <= len; k++, rest /= n_letters)
			path[k] = letters[rest % n_letters];
		if (!route_path_normalize(
			    slice_from_string(path), once, &first))
			continue;
		/* "%%36%31" is refused, so decoding makes no new codes. */
		assert_true(route_path_normalize(first, twice, &second));
		assert_true(slice_equal(first, second));
		assert_true(first.len >= 1 && first.ptr[0] == '/');
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plain_path_is_not_copied),
		cmocka_unit_test(test_query_is_cut_off),
		cmocka_unit_test(test_dot_segments_are_removed),
		cmocka_unit_test(test_other_dots_stay),
		cmocka_unit_test(test_slashes_are_folded),
		cmocka_unit_test(test_unreserved_characters_are_decoded),
		cmocka_unit_test(test_reserved_characters_stay_encoded),
		cmocka_unit_test(test_decoding_is_done_once),
		cmocka_unit_test(test_malformed_codes_are_refused),
		cmocka_unit_test(test_climbing_above_the_root_is_refused),
		cmocka_unit_test(test_other_forms_are_refused),
		cmocka_unit_test(test_normal_form_is_a_fixed_point),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
