#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/address.h"

#define N_OF(array) (sizeof(array) / sizeof((array)[0]))

static struct address
ip(const char *text, uint16_t port)
{
	struct address address;

	if (!address_parse_ip(slice_from_string(text), port, &address))
		fail_msg("%s is an address", text);
	return address;
}

static void
test_ip_addresses_are_read_and_written(void **state)
{
	static const char *const rows[][3] = {
		{"192.0.2.1", "192.0.2.1:80", "192.0.2.1"},
		{"2001:DB8::1", "[2001:db8::1]:80", "2001:db8::1"},
		{"[2001:db8:0:0::1]", "[2001:db8::1]:80", "2001:db8::1"},
		{"::", "[::]:80", "::"},
		{"::ffff:192.0.2.1", "[::ffff:192.0.2.1]:80", "192.0.2.1"},
	};
	char text[ADDRESS_TEXT_SIZE];
	size_t i;

	for (i = 0; i < N_OF(rows); i++) {
		struct address address = ip(rows[i][0], 80);

		assert_int_equal(address_port(&address), 80);
		assert_int_equal(
			address_format(&address, text), strlen(rows[i][1]));
		assert_string_equal(text, rows[i][1]);
		assert_int_equal(
			address_format_ip(&address, text), strlen(rows[i][2]));
		assert_string_equal(text, rows[i][2]);
	}
}

static void
test_what_is_no_ip_address_is_refused(void **state)
{
	static const char *const texts[] = {"", "1.2.3", "1.2.3.4.5",
		"256.1.1.1", "01.2.3.4", "1.2.3.4 ", "[1.2.3.4]", "[::1",
		"::1]", "[]", ":::", "fe80::1%eth0", "example.com",
		"1:2:3:4:5:6:7:8:9",
		"0000000000000000000000000000000000000000000000000000::1"};
	struct address address;
	size_t i;

	for (i = 0; i < N_OF(texts); i++) {
		if (address_parse_ip(slice_from_string(texts[i]), 1, &address))
			fail_msg("%s is no address", texts[i]);
	}
	assert_false(address_parse_ip(SLICE("1.2.3.4\0"), 1, &address));
}

static void
test_host_and_port_are_split(void **state)
{
	static const struct {
		const char *text;
		uint16_t default_port;
		const char *host;
		uint16_t port;
	} rows[] = {
		{"10.0.0.1:80", 0, "10.0.0.1", 80},
		{"App.Internal:65535", 0, "app.internal", 65535},
		{"app_1:8080", 0, "app_1", 8080},
		{"[2001:DB8:0::1]:443", 0, "2001:db8::1", 443},
		{"example.com", 80, "example.com", 80},
		{"example.com:8080", 80, "example.com", 8080},
		{"::1", 80, "::1", 80},
		{"[::1]", 80, "::1", 80},
		{"example.com.:1", 0, "example.com.", 1},
		{"3com.com:1", 0, "3com.com", 1},
	};
	char host[ADDRESS_HOST_SIZE];
	uint16_t port;
	size_t i;

	for (i = 0; i < N_OF(rows); i++) {
		if (!address_split(slice_from_string(rows[i].text),
			    rows[i].default_port, host, &port))
			fail_msg("%s can be split", rows[i].text);
		assert_string_equal(host, rows[i].host);
		assert_int_equal(port, rows[i].port);
	}
}

static void
test_bad_hosts_and_ports_are_refused(void **state)
{
	static const char *const texts[] = {"", ":", ":80", "a", "a:", "a:0",
		"a:65536", "a:+1", "a: 1", "a:1 ", "a:123456", "a:1:2",
		"::1:80", "[::1]", "[::1]80", "[a]:80", "-a:1", "a-:1",
		"a..b:1", ".a:1", "a b:1", "1.2.3:80", "256.1.1.1:80",
		"1234:80", "a/b:1", "\xc3\xa4:1", "user@host:1", "*:80"};
	char host[ADDRESS_HOST_SIZE], longest[300];
	uint16_t port;
	size_t i;

	for (i = 0; i < N_OF(texts); i++) {
		if (address_split(slice_from_string(texts[i]), 0, host, &port))
			fail_msg("%s must be refused", texts[i]);
	}
	memset(longest, 'a', sizeof(longest));
	for (i = 63; i < sizeof(longest); i += 64)
		longest[i] = '.';
	assert_true(
		address_split((struct slice){longest, 253}, 1, host, &port));
	assert_false(
		address_split((struct slice){longest, 254}, 1, host, &port));
	longest[63] = 'a';
	assert_false(
		address_split((struct slice){longest, 100}, 1, host, &port));
}

static void
test_equal_addresses_have_equal_ports(void **state)
{
	struct address a = ip("10.0.0.1", 80), b = ip("10.0.0.1", 80);
	struct address none = {0};

	assert_true(address_equal(&a, &b));
	b = ip("10.0.0.1", 81);
	assert_false(address_equal(&a, &b));
	b = ip("::ffff:10.0.0.1", 80);
	assert_false(address_equal(&a, &b));
	assert_false(address_equal(&a, &none));
	assert_true(address_equal(&none, &none));
	assert_int_equal(address_len(&a), sizeof(struct sockaddr_in));
	assert_int_equal(address_len(&b), sizeof(struct sockaddr_in6));
	assert_int_equal(address_len(&none), 0);
	assert_int_equal(address_port(&none), 0);
}

static void
test_address_is_in_its_block(void **state)
{
	static const struct {
		const char *block;
		const char *address;
		bool is_in;
	} rows[] = {
		{"10.0.0.0/8", "10.255.1.2", true},
		{"10.0.0.0/8", "11.0.0.0", false},
		{"10.0.0.0/8", "::ffff:10.1.2.3", true},
		{"192.168.4.0/22", "192.168.7.255", true},
		{"192.168.4.0/22", "192.168.8.0", false},
		{"0.0.0.0/0", "1.2.3.4", true},
		{"0.0.0.0/0", "2001:db8::1", false},
		{"::/0", "2001:db8::1", true},
		{"::/0", "1.2.3.4", false},
		{"::1", "::1", true},
		{"::1", "::2", false},
		{"127.0.0.1", "127.0.0.1", true},
		{"127.0.0.1", "127.0.0.2", false},
		{"2001:db8::/33", "2001:db8:7fff::", true},
		{"2001:db8::/33", "2001:db8:8000::", false},
		{"::ffff:10.0.0.0/104", "10.9.9.9", true},
		{"::ffff:10.0.0.0/104", "11.9.9.9", false},
	};
	struct cidr block;
	size_t i;

	for (i = 0; i < N_OF(rows); i++) {
		struct address address = ip(rows[i].address, 1);

		assert_true(
			cidr_parse(slice_from_string(rows[i].block), &block));
		if (cidr_matches(&block, &address) != rows[i].is_in)
			fail_msg("%s in %s", rows[i].address, rows[i].block);
	}
}

static void
test_bad_blocks_are_refused(void **state)
{
	static const char *const texts[] = {"", "/", "/8", "10.0.0.0/",
		"10.0.0.0/33", "10.0.0.1/8", "::1/64", "::/129", "10.0.0.0/08",
		"10.0.0.0/-1", "10.0.0.0/8/8", "10.0.0.0 /8", "host/8",
		"10.0.0.128/24", "2001:db8::8000:0:0:0/64"};
	struct cidr block;
	size_t i;

	for (i = 0; i < N_OF(texts); i++) {
		if (cidr_parse(slice_from_string(texts[i]), &block))
			fail_msg("%s must be refused", texts[i]);
	}
}

static void
test_any_of_the_blocks_will_do(void **state)
{
	struct address address = ip("::1", 1), none = {0};
	struct cidr blocks[2];

	assert_true(cidr_parse(SLICE("127.0.0.0/8"), &blocks[0]));
	assert_true(cidr_parse(SLICE("::1"), &blocks[1]));
	assert_true(cidr_matches_any(blocks, 2, &address));
	assert_false(cidr_matches_any(blocks, 1, &address));
	assert_false(cidr_matches_any(blocks, 2, &none));
	assert_false(cidr_matches_any(NULL, 0, &address));
}

static bool
share_network(const char *one, const char *other)
{
	uint8_t a[ADDRESS_NETWORK_SIZE], b[ADDRESS_NETWORK_SIZE];
	struct address address;
	size_t len;

	assert_true(address_parse_ip(slice_from_string(one), 1, &address));
	len = address_network(&address, a);
	assert_true(len > 0);
	assert_true(address_parse_ip(slice_from_string(other), 2, &address));
	return address_network(&address, b) == len && memcmp(a, b, len) == 0;
}

static void
test_network_is_a_24_or_a_48(void **state)
{
	struct address none = {.any = {.sa_family = AF_UNSPEC}};
	uint8_t bytes[ADDRESS_NETWORK_SIZE];

	assert_true(share_network("192.0.2.1", "192.0.2.255"));
	assert_false(share_network("192.0.2.1", "192.0.3.1"));
	assert_true(share_network("192.0.2.1", "::ffff:192.0.2.9"));
	assert_true(share_network("2001:db8:1::1", "2001:db8:1:ffff::2"));
	assert_false(share_network("2001:db8:1::1", "2001:db8:2::1"));
	assert_int_equal(address_network(&none, bytes), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ip_addresses_are_read_and_written),
		cmocka_unit_test(test_what_is_no_ip_address_is_refused),
		cmocka_unit_test(test_host_and_port_are_split),
		cmocka_unit_test(test_bad_hosts_and_ports_are_refused),
		cmocka_unit_test(test_equal_addresses_have_equal_ports),
		cmocka_unit_test(test_address_is_in_its_block),
		cmocka_unit_test(test_bad_blocks_are_refused),
		cmocka_unit_test(test_any_of_the_blocks_will_do),
		cmocka_unit_test(test_network_is_a_24_or_a_48),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
