/* Who the client is behind a chain of proxies. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "exact.h"
#include "head.h"
#include "proxy/forward.h"

/* 10.0.0.0/8 and 2001:db8:ffff::/48 are trusted in all tests. */
static const char *
client_of(const char *peer_ip, const char *lines)
{
	static char text[ADDRESS_TEXT_SIZE];
	struct cidr trusted[2];
	struct address peer, client;

	assert_true(cidr_parse(SLICE("10.0.0.0/8"), &trusted[0]));
	assert_true(cidr_parse(SLICE("2001:db8:ffff::/48"), &trusted[1]));
	assert_true(address_parse_ip(slice_from_string(peer_ip), 80, &peer));
	assert_int_equal(request_with(lines), H1_OK);
	client = forward_client_address(&message, &peer, trusted, 2);
	address_format_ip(&client, text);
	return text;
}

/* Behind the trusted 10.0.0.1. */
static const char *
client_behind(const char *chain)
{
	char line[1024];

	snprintf(line, sizeof(line), "X-Forwarded-For: %s\r\n", chain);
	return client_of("10.0.0.1", line);
}

static void
test_client_is_the_peer_where_nothing_is_said(void **state)
{
	assert_string_equal(client_of("192.0.2.7", ""), "192.0.2.7");
	assert_string_equal(client_of("10.0.0.1", ""), "10.0.0.1");
	assert_string_equal(client_behind(""), "10.0.0.1");
	assert_string_equal(
		client_of("10.0.0.1", "Forwarded: for=203.0.113.9\r\n"),
		"10.0.0.1");
}

static void
test_peer_that_is_not_trusted_is_not_believed(void **state)
{
	assert_string_equal(
		client_of("192.0.2.7", "X-Forwarded-For: 203.0.113.9\r\n"),
		"192.0.2.7");
	assert_string_equal(
		client_of("11.0.0.1", "X-Forwarded-For: 10.0.0.2\r\n"),
		"11.0.0.1");
}

static void
test_last_hop_that_is_not_trusted_is_the_client(void **state)
{
	assert_string_equal(client_behind("203.0.113.9"), "203.0.113.9");
	assert_string_equal(
		client_behind("203.0.113.9, 10.0.0.3,10.0.0.2"), "203.0.113.9");
	/* What stands before it, anyone may have made up. */
	assert_string_equal(
		client_behind("1.1.1.1, 203.0.113.9, 10.0.0.2"), "203.0.113.9");
	assert_string_equal(client_behind("10.0.0.9, 203.0.113.9, 10.0.0.2"),
		"203.0.113.9");
}

static void
test_first_hop_is_the_client_where_all_are_trusted(void **state)
{
	assert_string_equal(
		client_behind("10.0.0.9, 10.0.0.8, 10.0.0.7"), "10.0.0.9");
}

static void
test_chain_goes_on_over_several_fields(void **state)
{
	assert_string_equal(client_of("10.0.0.1",
				    "X-Forwarded-For: 1.1.1.1, 203.0.113.9\r\n"
				    "A: 1\r\nx-forwarded-for: 10.0.0.3\r\n"
				    "X-Forwarded-For: 10.0.0.2\r\n"),
		"203.0.113.9");
	assert_string_equal(
		client_of("10.0.0.1", "X-Forwarded-For: 1.1.1.1\r\n"
				      "X-Forwarded-For: 203.0.113.9\r\n"),
		"203.0.113.9");
	assert_string_equal(
		client_of("10.0.0.1", "X-Forwarded-For: 203.0.113.9\r\n"
				      "X-Forwarded-For:\r\n"),
		"203.0.113.9");
}

/* Nobody knows what is before it: the hop that sent it is the last known. */
static void
test_garbage_ends_the_chain(void **state)
{
	static const char *const garbage[] = {"unknown", "_hidden", "a.example",
		"a.example:80", "203.0.113.9.1", "203.0.113.256", "203.0.113",
		"1", "203.0.113.9 10.0.0.3", "\"203.0.113.9\"",
		"203.0.113.9:", "203.0.113.9:x", "203.0.113.9:65536",
		"[2001:db8::9", "2001:db8::9]", "[203.0.113.9]",
		"[2001:db8::9]x", "2001:db8::g", "fe80::1%eth0", ":", "[]",
		"for=203.0.113.9", "203.0.113.9/32"};
	char chain[256];
	size_t i;

	for (i = 0; i < sizeof(garbage) / sizeof(garbage[0]); i++) {
		assert_string_equal(client_behind(garbage[i]), "10.0.0.1");
		snprintf(chain, sizeof(chain), "203.0.113.9, %s, 10.0.0.2",
			garbage[i]);
		assert_string_equal(client_behind(chain), "10.0.0.2");
		/* Behind an untrusted one it is not even looked at. */
		snprintf(chain, sizeof(chain), "%s, 203.0.113.9", garbage[i]);
		assert_string_equal(client_behind(chain), "203.0.113.9");
	}
}

static void
test_ports_of_hops_are_left_out(void **state)
{
	assert_string_equal(client_behind("203.0.113.9:4711"), "203.0.113.9");
	assert_string_equal(
		client_behind("203.0.113.9:1, 10.0.0.2:65535"), "203.0.113.9");
	assert_string_equal(
		client_behind("[2001:db8::9]:4711, 10.0.0.2"), "2001:db8::9");
}

static void
test_ipv6_hops(void **state)
{
	assert_string_equal(client_behind("2001:db8::9"), "2001:db8::9");
	assert_string_equal(client_behind("[2001:DB8::9]"), "2001:db8::9");
	assert_string_equal(
		client_behind("2001:db8::9, 2001:db8:ffff::2"), "2001:db8::9");
	assert_string_equal(
		client_of("2001:db8:ffff::1", "X-Forwarded-For: 203.0.113.9,"
					      " [2001:db8:ffff::2]:80\r\n"),
		"203.0.113.9");
}

static void
test_mapped_address_is_the_ipv4_one(void **state)
{
	assert_string_equal(client_of("::ffff:10.0.0.1",
				    "X-Forwarded-For: 203.0.113.9\r\n"),
		"203.0.113.9");
	assert_string_equal(client_of("::ffff:192.0.2.7",
				    "X-Forwarded-For: 203.0.113.9\r\n"),
		"192.0.2.7");
	assert_string_equal(
		client_behind("::ffff:203.0.113.9, [::ffff:10.0.0.2]:80"),
		"203.0.113.9");
}

static void
test_spaces_around_hops_do_not_matter(void **state)
{
	assert_string_equal(
		client_behind("\t203.0.113.9 \t,\t 10.0.0.2\t"), "203.0.113.9");
}

/* RFC 9110 5.6.1: an empty element is none, and hides nobody. */
static void
test_empty_hops_are_passed_over(void **state)
{
	assert_string_equal(client_behind("203.0.113.9,"), "203.0.113.9");
	assert_string_equal(
		client_behind(",203.0.113.9, ,, 10.0.0.2 , "), "203.0.113.9");
	assert_string_equal(
		client_of("10.0.0.1", "X-Forwarded-For: 203.0.113.9\r\n"
				      "X-Forwarded-For: , ,\r\n"
				      "X-Forwarded-For:\r\n"),
		"203.0.113.9");
	assert_string_equal(client_behind(" , ,"), "10.0.0.1");
}

#define TEST(name) cmocka_unit_test_teardown(name, forget)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_client_is_the_peer_where_nothing_is_said),
		TEST(test_peer_that_is_not_trusted_is_not_believed),
		TEST(test_last_hop_that_is_not_trusted_is_the_client),
		TEST(test_first_hop_is_the_client_where_all_are_trusted),
		TEST(test_chain_goes_on_over_several_fields),
		TEST(test_garbage_ends_the_chain),
		TEST(test_ports_of_hops_are_left_out),
		TEST(test_ipv6_hops),
		TEST(test_mapped_address_is_the_ipv4_one),
		TEST(test_spaces_around_hops_do_not_matter),
		TEST(test_empty_hops_are_passed_over),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
