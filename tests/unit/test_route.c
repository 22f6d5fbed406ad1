#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "exact.h"
#include "proxy/route.h"

/* Only its address is looked at. */
struct snapshot_service {
	const char *name;
};

static struct route_table table;
static struct snapshot_service services[32];
static size_t n_services;

/* Routes to a service of that name. */
static void
add(const char *host, const char *prefix, const char *name)
{
	services[n_services].name = name;
	route_add(&table, slice_from_string(host), slice_from_string(prefix),
		&services[n_services++]);
}

static int
set_up(void **state)
{
	(void)state;
	route_init(&table);
	n_services = 0;
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	route_free(&table);
	return 0;
}

/* The name of the service that answers; "none". Host and path stand in blocks
 * of just their size. */
static const char *
find(const char *host, const char *path)
{
	size_t host_len = strlen(host), path_len = strlen(path);
	char *host_copy = exact_copy(host, host_len);
	char *path_copy = exact_copy(path, path_len);
	const struct snapshot_service *found =
		route_find(&table, (struct slice){host_copy, host_len},
			(struct slice){path_copy, path_len});

	free(host_copy);
	free(path_copy);
	return found != NULL ? found->name : "none";
}

static void
test_exact_host_goes_before_wildcard_before_any(void **state)
{
	add("*", "/", "any");
	add("*.example.com", "/", "wildcard");
	add("www.example.com", "/", "exact");
	assert_string_equal(find("www.example.com", "/"), "exact");
	assert_string_equal(find("api.example.com", "/"), "wildcard");
	assert_string_equal(find("example.com", "/"), "any");
	assert_string_equal(find("example.org", "/"), "any");
	assert_string_equal(find("", "/"), "any");
}

static void
test_longest_wildcard_suffix_wins(void **state)
{
	add("*.com", "/", "com");
	add("*.b.example.com", "/", "b");
	add("*.example.com", "/", "example");
	assert_string_equal(find("a.b.example.com", "/"), "b");
	assert_string_equal(find("a.a.b.example.com", "/"), "b");
	assert_string_equal(find("b.example.com", "/"), "example");
	assert_string_equal(find("ab.example.com", "/"), "example");
	assert_string_equal(find("example.com", "/"), "com");
	assert_string_equal(find("com", "/"), "none");
}

static void
test_wildcard_needs_a_label_of_its_own(void **state)
{
	add("*.example.com", "/", "wildcard");
	assert_string_equal(find("example.com", "/"), "none");
	assert_string_equal(find(".example.com", "/"), "none");
	assert_string_equal(find("badexample.com", "/"), "none");
	assert_string_equal(find("a.example.com.org", "/"), "none");
	assert_string_equal(find(".", "/"), "none");
}

static void
test_star_in_a_request_is_no_wildcard(void **state)
{
	add("*.example.com", "/", "wildcard");
	add("*", "/any", "any");
	assert_string_equal(find("*", "/"), "none");
	assert_string_equal(find("*", "/any"), "any");
}

static void
test_longest_prefix_wins_on_segment_boundaries(void **state)
{
	add("a.example", "/", "root");
	add("a.example", "/api/v2", "v2");
	add("a.example", "/api", "api");
	add("a.example", "/static/", "static");
	assert_string_equal(find("a.example", "/"), "root");
	assert_string_equal(find("a.example", "/api"), "api");
	assert_string_equal(find("a.example", "/api/"), "api");
	assert_string_equal(find("a.example", "/api/v1"), "api");
	assert_string_equal(find("a.example", "/api/v2"), "v2");
	assert_string_equal(find("a.example", "/api/v2/x"), "v2");
	assert_string_equal(find("a.example", "/api/v22"), "api");
	assert_string_equal(find("a.example", "/ap"), "root");
	assert_string_equal(find("a.example", "/apix"), "root");
	assert_string_equal(find("a.example", "/static"), "root");
	assert_string_equal(find("a.example", "/static/"), "static");
	assert_string_equal(find("a.example", "/static/x"), "static");
	assert_string_equal(find("a.example", "/staticx"), "root");
	assert_string_equal(find("a.example", "/API"), "root");
	assert_string_equal(find("a.example", "*"), "root");
}

static void
test_prefix_and_the_same_with_a_slash_keep_apart(void **state)
{
	add("a.example", "/api", "api");
	add("a.example", "/api/", "below");
	assert_string_equal(find("a.example", "/api"), "api");
	assert_string_equal(find("a.example", "/api/"), "below");
	assert_string_equal(find("a.example", "/api/x"), "below");
	assert_string_equal(find("a.example", "/apix"), "none");
	assert_string_equal(find("a.example", "/"), "none");
	assert_string_equal(find("a.example", ""), "none");
	assert_string_equal(find("a.example", "*"), "none");
}

static void
test_path_that_misses_falls_through_to_a_less_exact_host(void **state)
{
	add("www.b.example.com", "/exact", "exact");
	add("*.b.example.com", "/b", "b");
	add("*.example.com", "/e", "e");
	add("*", "/any", "any");
	assert_string_equal(find("www.b.example.com", "/exact"), "exact");
	assert_string_equal(find("www.b.example.com", "/b"), "b");
	assert_string_equal(find("www.b.example.com", "/e"), "e");
	assert_string_equal(find("www.b.example.com", "/any"), "any");
	assert_string_equal(find("www.b.example.com", "/"), "none");
	/* But never to a more exact one. */
	assert_string_equal(find("x.example.com", "/b"), "none");
	assert_string_equal(find("x.example.org", "/e"), "none");
}

static void
test_more_exact_host_wins_over_a_longer_prefix(void **state)
{
	add("*", "/a/b/c", "any");
	add("www.example.com", "/a", "exact");
	assert_string_equal(find("www.example.com", "/a/b/c"), "exact");
}

static void
test_case_port_and_trailing_dot_do_not_matter(void **state)
{
	static const char *const hosts[] = {"www.example.com",
		"WWW.Example.COM", "www.example.com:80",
		"www.example.com:", "www.example.com.", "www.example.com.:8080",
		"WWW.EXAMPLE.COM.:65535"};
	size_t i;

	add("www.example.com", "/exact", "exact");
	add("*.example.com", "/wild", "wildcard");
	for (i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
		assert_string_equal(find(hosts[i], "/exact"), "exact");
		assert_string_equal(find(hosts[i], "/wild"), "wildcard");
	}
	assert_string_equal(find("www.example.com..", "/exact"), "none");
}

static void
test_ipv6_host_is_matched_without_its_port(void **state)
{
	add("[2001:db8::1]", "/", "v6");
	add("192.0.2.1", "/", "v4");
	assert_string_equal(find("[2001:db8::1]", "/"), "v6");
	assert_string_equal(find("[2001:DB8::1]:8080", "/"), "v6");
	assert_string_equal(find("[2001:db8::2]", "/"), "none");
	assert_string_equal(find("[2001:db8::1", "/"), "none");
	assert_string_equal(find("192.0.2.1:8080", "/"), "v4");
}

/* A host of len bytes that ends in end, in labels of 63. */
static const char *
long_host(size_t len, const char *end)
{
	static char host[1024];
	size_t filled = len - strlen(end);
	size_t i;

	for (i = 0; i < filled; i++)
		host[i] = i % 64 == 63 ? '.' : 'a';
	memcpy(host + filled, end, strlen(end) + 1);
	return host;
}

/* RFC 1035 2.3.4: 253 bytes as text; a dot may end it. */
static void
test_longest_name_matches(void **state)
{
	const char *host = long_host(253, ".example.com");
	char text[300];

	add("*.example.com", "/wild", "wildcard");
	add(host, "/exact", "exact");
	assert_string_equal(find(host, "/exact"), "exact");
	assert_string_equal(find(host, "/wild"), "wildcard");
	snprintf(text, sizeof(text), "%s.", host);
	assert_string_equal(find(text, "/exact"), "exact");
	snprintf(text, sizeof(text), "%s.:65535", host);
	assert_string_equal(find(text, "/wild"), "wildcard");
	host = long_host(252, ".example.com");
	assert_string_equal(find(host, "/exact"), "none");
}

/* No such name exists, whatever its first or its last bytes look like. */
static void
test_overlong_host_is_nobodys_but_anys(void **state)
{
	char cut[300];
	size_t len;

	add("a.example", "/", "exact");
	add("*.a.example", "/", "wildcard");
	add("*", "/any", "any");
	for (len = 250; len < 600; len++) {
		assert_string_equal(find(long_host(len, ".b"), "/"), "none");
		assert_string_equal(find(long_host(len, ".b"), "/any"), "any");
	}
	for (len = 265; len < 300; len++) {
		assert_string_equal(
			find(long_host(len, ".a.example"), "/"), "none");
		assert_string_equal(
			find(long_host(len, ".a.example:8080"), "/"), "none");
		/* A wildcard's suffix where a cut would end. */
		memset(cut, 'x', len);
		memcpy(cut + 256 - strlen(".a.example"), ".a.example",
			strlen(".a.example"));
		cut[len] = '\0';
		assert_string_equal(find(cut, "/"), "none");
	}
}

static void
test_any_alone_takes_every_host(void **state)
{
	add("*", "/", "any");
	add("*", "/api", "api");
	assert_string_equal(find("", "/"), "any");
	assert_string_equal(find("whatever.example", "/api/x"), "api");
	assert_string_equal(find("[::1]:80", "/x"), "any");
}

static void
test_empty_table_finds_nothing(void **state)
{
	assert_string_equal(find("a.example", "/"), "none");
	assert_string_equal(find("", "/"), "none");
}

/* Enough hosts to make the tables grow. */
static void
test_many_hosts_keep_apart(void **state)
{
	static struct snapshot_service many[1000];
	static char names[1000][32];
	char host[48];
	size_t i;

	for (i = 0; i < 1000; i++) {
		snprintf(names[i], sizeof(names[i]), "%sh%zu.example",
			i % 2 ? "*." : "", i);
		many[i].name = names[i];
		route_add(&table, slice_from_string(names[i]), SLICE("/"),
			&many[i]);
	}
	for (i = 0; i < 1000; i++) {
		snprintf(host, sizeof(host), "%sh%zu.example",
			i % 2 ? "x." : "", i);
		assert_string_equal(find(host, "/"), names[i]);
	}
}

/* And as many lengths as there can be on the way down one path. */
static void
test_path_of_slashes_finds_the_longest(void **state)
{
	static struct snapshot_service many[500];
	char path[4096];
	size_t i;

	for (i = 0; i < sizeof(path); i++)
		path[i] = "/a"[i % 2];
	for (i = 0; i < 500; i++)
		route_add(&table, SLICE("*"), (struct slice){path, 2 * i + 2},
			&many[i]);
	for (i = 2; i < sizeof(path); i++)
		assert_ptr_equal(
			route_find(&table, SLICE("x"), (struct slice){path, i}),
			&many[i / 2 - 1 < 500 ? i / 2 - 1 : 499]);
}

/* --- against a simple scan ---------------------------------------------------- */

#define SCAN_PREFIXES 24
#define SCAN_LEN 9

static struct snapshot_service scan_services[SCAN_PREFIXES];
static char scan_prefixes[SCAN_PREFIXES][SCAN_LEN + 1];

/* The rule of route.h, word for word. */
static bool
scan_matches(const char *path, const char *prefix)
{
	size_t len = strlen(prefix);

	if (strcmp(prefix, "/") == 0)
		return true;
	if (strncmp(path, prefix, len) != 0)
		return false;
	return prefix[len - 1] == '/' || path[len] == '\0' || path[len] == '/';
}

static const struct snapshot_service *
scan(const char *path, size_t n)
{
	const struct snapshot_service *best = NULL;
	size_t best_len = 0;
	size_t i;

	for (i = 0; i < n; i++) {
		size_t len = strlen(scan_prefixes[i]);

		if (len < best_len || !scan_matches(path, scan_prefixes[i]))
			continue;
		best = &scan_services[i];
		best_len = len;
	}
	return best;
}

/* Of few letters, so that much coincides. */
static size_t
random_path(uint32_t *random, char *out, size_t max)
{
	size_t len;
	size_t i;

	*random = *random * 1664525 + 1013904223;
	len = 1 + (*random >> 16) % max;
	out[0] = '/';
	for (i = 1; i < len; i++) {
		*random = *random * 1664525 + 1013904223;
		out[i] = "/ab/a"[(*random >> 16) % 5];
	}
	out[len] = '\0';
	return len;
}

static void
test_finds_what_a_simple_scan_finds(void **state)
{
	char path[2 * SCAN_LEN + 1];
	uint32_t random = 1;
	unsigned round;
	size_t n;
	size_t i;

	for (round = 0; round < 500; round++) {
		n = 1 + round % SCAN_PREFIXES;
		for (i = 0; i < n; i++) {
			random_path(&random, scan_prefixes[i], SCAN_LEN);
			route_add(&table, SLICE("a.example"),
				slice_from_string(scan_prefixes[i]),
				&scan_services[i]);
		}
		for (i = 0; i < 200; i++) {
			size_t len = random_path(&random, path, 2 * SCAN_LEN);
			char *copy = exact_copy(path, len);

			assert_ptr_equal(route_find(&table, SLICE("a.example"),
						 (struct slice){copy, len}),
				scan(path, n));
			free(copy);
		}
		assert_ptr_equal(
			route_find(&table, SLICE("a.example"), SLICE("*")),
			scan("*", n));
		route_free(&table);
		route_init(&table);
	}
}

/* By the canonical path; "refused" where another reading goes elsewhere. */
static const char *
resolve(const char *target)
{
	size_t len = strlen(target);
	char *copy = exact_copy(target, len), *buf = malloc(len + (len == 0));
	const struct snapshot_service *found;
	const char *why = route_resolve(
		&table, SLICE("h"), (struct slice){copy, len}, buf, &found);

	free(copy);
	free(buf);
	return why != NULL ? "refused" : found != NULL ? found->name : "none";
}

static void
test_no_spelling_walks_around_a_prefix(void **state)
{
	static const char *const spellings[] = {"/%2fadmin/x", "/x/..%2fadmin",
		"/x/..%2Fadmin/x", "/admin%2fx", "/admin%2Fx",
		"/%2e%2e%2fadmin", "/%2e%2e/admin", "/admin;x", "/admin;x/y",
		"/admin%3bx", "/x/..%5cadmin", "/x/..%5Cadmin/x",
		"/x\\..\\admin", "/\\admin", "/x/../admin", "/./admin",
		"/x/..;/admin", "/x/.%2e/admin/y", "/admin\\x", "/admin%5cx",
		"/;/admin", "/%61dmin;x", "/admin/../x", "/admin/..%2fx",
		"/admin/..;/x", "/admin/%2e%2e/x", "/admin%00", "/admin%0d",
		"/admin%", "/x/../admin/..%2fy", "/y/../admin//../x"};

	add("*", "/", "root");
	add("*", "/admin", "admin");
	for (unsigned i = 0; i < sizeof(spellings) / sizeof(spellings[0]); i++)
		if (strcmp(resolve(spellings[i]), "root") == 0)
			fail_msg("%s", spellings[i]);
	assert_string_equal(resolve("/x/..%2fadmin/x"), "refused");
	assert_string_equal(resolve("/x/../admin"), "refused");
	assert_string_equal(resolve("/admin/../x"), "refused");
}

static void
test_spellings_that_nobody_doubts_are_routed(void **state)
{
	add("*", "/", "root");
	add("*", "/admin", "admin");
	assert_string_equal(resolve("/%61dmin/x?y=/../z"), "admin");
	assert_string_equal(resolve("/%61%64min"), "admin");
	assert_string_equal(resolve("//admin"), "admin");
	assert_string_equal(resolve("/admin//x"), "admin");
	assert_string_equal(resolve("/admin/x;v=1"), "admin");
	assert_string_equal(resolve("/admin/;v"), "admin");
	assert_string_equal(resolve("/admin/x%2fy"), "admin");
	assert_string_equal(resolve("/admin/x/../y"), "admin");
	assert_string_equal(resolve("/x%2fadmin"), "root");
	assert_string_equal(resolve("/x%252fadmin"), "root");
	assert_string_equal(resolve("/%252e%252e/admin"), "root");
	assert_string_equal(resolve("/x;a=/b/./c\\d"), "root");
	assert_string_equal(resolve("/ADMIN"), "root");
	assert_string_equal(resolve("/.well-known/acme"), "root");
	assert_string_equal(resolve("/"), "root");
	assert_string_equal(resolve("?q"), "root");
	assert_string_equal(resolve(""), "root");
	assert_string_equal(resolve("*"), "root");
}

static void
test_a_path_of_nobody_must_be_nobodys_in_every_reading(void **state)
{
	add("*", "/app", "app");
	assert_string_equal(resolve("/x"), "none");
	assert_string_equal(resolve("/x;y/..%2fz"), "none");
	assert_string_equal(resolve("/x/..%2fapp"), "refused");
	assert_string_equal(resolve("/app/..%2fx"), "refused");
	/* Above the root, if the code is no slash. */
	assert_string_equal(resolve("/app%2fx/../.."), "refused");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_exact_host_goes_before_wildcard_before_any),
		TEST(test_longest_wildcard_suffix_wins),
		TEST(test_wildcard_needs_a_label_of_its_own),
		TEST(test_star_in_a_request_is_no_wildcard),
		TEST(test_longest_prefix_wins_on_segment_boundaries),
		TEST(test_prefix_and_the_same_with_a_slash_keep_apart),
		TEST(test_path_that_misses_falls_through_to_a_less_exact_host),
		TEST(test_more_exact_host_wins_over_a_longer_prefix),
		TEST(test_case_port_and_trailing_dot_do_not_matter),
		TEST(test_ipv6_host_is_matched_without_its_port),
		TEST(test_longest_name_matches),
		TEST(test_overlong_host_is_nobodys_but_anys),
		TEST(test_any_alone_takes_every_host),
		TEST(test_empty_table_finds_nothing),
		TEST(test_many_hosts_keep_apart),
		TEST(test_path_of_slashes_finds_the_longest),
		TEST(test_finds_what_a_simple_scan_finds),
		TEST(test_no_spelling_walks_around_a_prefix),
		TEST(test_spellings_that_nobody_doubts_are_routed),
		TEST(test_a_path_of_nobody_must_be_nobodys_in_every_reading),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
