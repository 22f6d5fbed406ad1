#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proxy/route_path.h"

#define ALL ROUTE_PATH_CANONICAL

/* want NULL: refused. The buffer is as small as it may be, for the sanitizer
 * to see a byte too many. */
static void
assert_read(unsigned reading, const char *text, const char *want)
{
	struct slice path = slice_from_string(text), got = {NULL, 0};
	char *exact = malloc(path.len + 1);
	char *buf = malloc(path.len > 0 ? path.len : 1);
	unsigned doubts;
	const char *why;

	memcpy(exact, text, path.len);
	path.ptr = exact;
	why = route_path_read(path, reading, buf, &got, &doubts);
	if ((why == NULL) != (want != NULL))
		fail_msg("%s: %s", text, why == NULL ? "taken" : why);
	if (why == NULL && !slice_equal(got, slice_from_string(want)))
		fail_msg("%s: %.*s, not %s", text, (int)got.len, got.ptr, want);
	free(exact);
	free(buf);
}

static void
assert_canonical(const char *text, const char *want)
{
	assert_read(ALL, text, want);
}

static void
test_plain_path_is_not_copied(void **state)
{
	static const char *const plain[] = {"/", "/a", "/a/", "/a/b.js",
		"/a.b/c..d", "*", "/123456", "/1234567", "/12345678",
		"/a-long/way/to-go/and.no/end.of/it", "/a:b@c,d=e+f!g~h"};
	char buf[40];

	(void)state;
	for (unsigned i = 0; i < sizeof(plain) / sizeof(plain[0]); i++) {
		struct slice path = slice_from_string(plain[i]), out;
		unsigned doubts = 1;

		assert_true(route_path_is_plain(path));
		assert_null(route_path_read(path, ALL, buf, &out, &doubts));
		assert_ptr_equal(out.ptr, plain[i]);
		assert_int_equal(out.len, path.len);
		assert_int_equal(doubts, 0);
	}
}

/* Eight bytes are looked at at once: no place is overlooked. */
static void
test_doubtful_bytes_are_seen_anywhere(void **state)
{
	static const char *const doubtful[] = {
		"%41", ";", "\\", "//", "/.", "/./", "/.."};
	char path[64];

	(void)state;
	for (unsigned i = 0; i < sizeof(doubtful) / sizeof(doubtful[0]); i++)
		for (unsigned before = 0; before < 20; before++)
			for (unsigned after = 0; after < 20; after++) {
				size_t len = strlen(doubtful[i]);

				memset(path, 'x', sizeof(path));
				path[0] = '/';
				memcpy(path + 1 + before, doubtful[i], len);
				assert_false(route_path_is_plain((struct slice){
					path, 1 + before + len + after}));
			}
}

static void
test_query_is_cut_off(void **state)
{
	(void)state;
	assert_true(slice_equal(
		route_path_cut(SLICE("/a/b?c=d/../%zz")), SLICE("/a/b")));
	assert_true(slice_equal(route_path_cut(SLICE("/a?")), SLICE("/a")));
	assert_true(slice_equal(route_path_cut(SLICE("/a")), SLICE("/a")));
	assert_int_equal(route_path_cut(SLICE("?x")).len, 0);
	assert_int_equal(route_path_cut(SLICE("")).len, 0);
	assert_canonical("", "/");
}

static void
test_dot_segments_are_walked(void **state)
{
	(void)state;
	assert_canonical("/a/./b", "/a/b");
	assert_canonical("/./a", "/a");
	assert_canonical("/a/.", "/a/");
	assert_canonical("/.", "/");
	assert_canonical("/a/..", "/");
	assert_canonical("/a/../", "/");
	assert_canonical("/a/b/..", "/a/");
	assert_canonical("/a/b/../c", "/a/c");
	assert_canonical("/a/b/../../c", "/c");
	assert_canonical("/public/../admin/x", "/admin/x");
	assert_canonical("/a/%2e%2E/x", "/x");
	assert_canonical("/a/.%2e/x", "/x");
	assert_canonical("/a/%2e/x", "/a/x");
	assert_canonical("/a/..;x=1/b", "/b");
	assert_canonical("/a/.;/b", "/a/b");
}

static void
test_other_dots_stay(void **state)
{
	(void)state;
	assert_canonical("/.well-known/x", "/.well-known/x");
	assert_canonical("/...", "/...");
	assert_canonical("/..a/b", "/..a/b");
	assert_canonical("/a./b../c", "/a./b../c");
}

static void
test_slashes_are_folded(void **state)
{
	(void)state;
	assert_canonical("//", "/");
	assert_canonical("//a", "/a");
	assert_canonical("/a///b//", "/a/b/");
	assert_canonical("/a//../b", "/b");
	assert_canonical("/a//.//b", "/a/b");
	assert_canonical("/a%2f/b", "/a/b");
}

static void
test_separators_are_slashes_however_they_come(void **state)
{
	(void)state;
	assert_canonical("/a%2fb", "/a/b");
	assert_canonical("/a%2Fb", "/a/b");
	assert_canonical("/a%5cb", "/a/b");
	assert_canonical("/a%5Cb", "/a/b");
	assert_canonical("/a\\b", "/a/b");
	assert_canonical("/x/..%2fadmin/x", "/admin/x");
	assert_canonical("/x/..%5cadmin", "/admin");
	assert_canonical("/x\\..\\admin", "/admin");
	assert_canonical("/%2fadmin", "/admin");
}

static void
test_parameters_are_left_out(void **state)
{
	(void)state;
	assert_canonical("/admin;x", "/admin");
	assert_canonical("/admin;x=1;y/z", "/admin/z");
	assert_canonical("/admin%3bx/z", "/admin/z");
	assert_canonical("/;x/admin", "/admin");
	assert_canonical("/a;b\\c", "/a/c");
	assert_canonical("/a;b%2fc", "/a/c");
	/* And what is wrong in them is wrong. */
	assert_canonical("/a;%zz", NULL);
}

static void
test_codes_are_decoded_once(void **state)
{
	(void)state;
	assert_canonical("/%61dmin", "/admin");
	assert_canonical("/%41%7a%30%2D%5F%7E", "/Az0-_~");
	assert_canonical("/a%20b", "/a b");
	assert_canonical("/%c3%A4", "/\xc3\xa4");
	assert_canonical("/a/%252e%252e/b", "/a/%252e%252e/b");
	assert_canonical("/%2561", "/%2561");
	assert_canonical("/x%252fadmin", "/x%252fadmin");
	assert_canonical("/a%3fb", "/a%3Fb");
}

/* To a decoder that isn't strict these are dots and slashes: they stay bytes,
 * as in every backend that decodes UTF-8 by the letter. */
static void
test_overlong_utf8_stays_bytes(void **state)
{
	(void)state;
	assert_canonical("/x/%c0%ae%c0%ae/y", "/x/\xc0\xae\xc0\xae/y");
	assert_canonical("/x%c0%afy", "/x\xc0\xafy");
}

static void
test_malformed_codes_are_refused(void **state)
{
	(void)state;
	assert_canonical("/%", NULL);
	assert_canonical("/a%2", NULL);
	assert_canonical("/%zz", NULL);
	assert_canonical("/%4g", NULL);
	assert_canonical("/%g4", NULL);
	assert_canonical("/%u0041", NULL);
	assert_canonical("/%%34%31", NULL);
}

static void
test_encoded_control_bytes_are_refused(void **state)
{
	(void)state;
	assert_canonical("/%00", NULL);
	assert_canonical("/a%00/..", NULL);
	assert_canonical("/%0a", NULL);
	assert_canonical("/%1F", NULL);
	assert_canonical("/%7f", NULL);
	assert_canonical("/%80", "/\x80");
}

static void
test_climbing_above_the_root_is_refused(void **state)
{
	(void)state;
	assert_canonical("/..", NULL);
	assert_canonical("/../", NULL);
	assert_canonical("/a/../..", NULL);
	assert_canonical("/a/../../b", NULL);
	assert_canonical("//..", NULL);
	assert_canonical("/./../a", NULL);
	assert_canonical("/%2e%2e/x", NULL);
	assert_canonical("/%2e%2e%2fadmin", NULL);
	assert_canonical("/..;/x", NULL);
}

static void
test_other_forms_are_refused(void **state)
{
	(void)state;
	assert_canonical("a/b", NULL);
	assert_canonical("**", NULL);
	assert_canonical("../a", NULL);
	assert_canonical("%2fa", NULL);
	assert_canonical("\\a", NULL);
}

static void
test_a_reading_leaves_what_it_does_not_do(void **state)
{
	(void)state;
	assert_read(ALL & ~ROUTE_PATH_SEPARATORS, "/a%2f..\\b", "/a%2F..\\b");
	assert_read(ALL & ~ROUTE_PATH_SEPARATORS, "/a%5c..%2f/../b", "/b");
	assert_read(ALL & ~ROUTE_PATH_PARAMETERS, "/a;b%3bc/d", "/a;b%3Bc/d");
	assert_read(ALL & ~ROUTE_PATH_PARAMETERS, "/a/..;/b", "/a/..;/b");
	assert_read(ALL & ~ROUTE_PATH_DOTS, "/a/%2e./b//c", "/a/../b/c");
	assert_read(ALL & ~ROUTE_PATH_SLASHES, "/a//../b//", "/a/b//");
	assert_read(ALL & ~ROUTE_PATH_SLASHES, "//..//a", "//a");
	assert_read(ROUTE_PATH_DOTS, "/a//../b/./c;d", "/a/b/c;d");
	/* Parameters reach to what this reading takes for a slash. */
	assert_read(ALL & ~ROUTE_PATH_SEPARATORS, "/a;%2f..%2fb/c", "/a/c");
}

static void
test_doubts_are_what_could_make_a_difference(void **state)
{
	static const struct {
		const char *path;
		unsigned doubts;
	} cases[] = {
		{"/a%20b", 0},
		{"/a%2fb", ROUTE_PATH_SEPARATORS},
		{"/a\\b", ROUTE_PATH_SEPARATORS},
		{"/a;b", ROUTE_PATH_PARAMETERS},
		{"/a%3bb", ROUTE_PATH_PARAMETERS},
		{"/a/.b", ROUTE_PATH_DOTS},
		{"/a/%2e%2e/b", ROUTE_PATH_DOTS},
		{"/a//b", ROUTE_PATH_SLASHES},
		{"/a%2f/b", ROUTE_PATH_SEPARATORS | ROUTE_PATH_SLASHES},
		{"/a\\..;x/b", ROUTE_PATH_SEPARATORS | ROUTE_PATH_PARAMETERS |
				       ROUTE_PATH_DOTS},
	};
	char buf[32];

	(void)state;
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct slice out;
		unsigned doubts = 0;

		assert_null(route_path_read(slice_from_string(cases[i].path),
			ALL, buf, &out, &doubts));
		if (doubts != cases[i].doubts)
			fail_msg("%s: %u", cases[i].path, doubts);
	}
}

/* The canonical path of a canonical path is itself, whatever it is made of. */
static void
test_canonical_form_is_a_fixed_point(void **state)
{
	static const char *const pieces[] = {
		"/", ".", "a", "%2e", "%2f", "%5C", "\\", ";", "%25", "%3f"};
	const unsigned n_pieces = sizeof(pieces) / sizeof(pieces[0]), n = 5;
	unsigned combinations = 1, n_taken = 0;

	(void)state;
	for (unsigned i = 0; i < n; i++)
		combinations *= n_pieces;
	for (unsigned i = 0; i < combinations; i++) {
		char path[20] = "/", once[20], twice[20];
		struct slice first, second;
		unsigned rest = i, doubts;

		for (unsigned k = 0; k < n; k++, rest /= n_pieces)
			strcat(path, pieces[rest % n_pieces]);
		if (route_path_read(slice_from_string(path), ALL, once, &first,
			    &doubts) != NULL)
			continue;
		n_taken++;
		assert_null(
			route_path_read(first, ALL, twice, &second, &doubts));
		if (!slice_equal(first, second))
			fail_msg("%s: %.*s, then %.*s", path, (int)first.len,
				first.ptr, (int)second.len, second.ptr);
		assert_int_equal(first.ptr[0], '/');
	}
	assert_true(n_taken > combinations / 2);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plain_path_is_not_copied),
		cmocka_unit_test(test_doubtful_bytes_are_seen_anywhere),
		cmocka_unit_test(test_query_is_cut_off),
		cmocka_unit_test(test_dot_segments_are_walked),
		cmocka_unit_test(test_other_dots_stay),
		cmocka_unit_test(test_slashes_are_folded),
		cmocka_unit_test(test_separators_are_slashes_however_they_come),
		cmocka_unit_test(test_parameters_are_left_out),
		cmocka_unit_test(test_codes_are_decoded_once),
		cmocka_unit_test(test_overlong_utf8_stays_bytes),
		cmocka_unit_test(test_malformed_codes_are_refused),
		cmocka_unit_test(test_encoded_control_bytes_are_refused),
		cmocka_unit_test(test_climbing_above_the_root_is_refused),
		cmocka_unit_test(test_other_forms_are_refused),
		cmocka_unit_test(test_a_reading_leaves_what_it_does_not_do),
		cmocka_unit_test(test_doubts_are_what_could_make_a_difference),
		cmocka_unit_test(test_canonical_form_is_a_fixed_point),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
