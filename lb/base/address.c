#include "base/address.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#define MAX_NAME_LEN 253 /* RFC 1035 2.3.4, as text without the last dot */
#define MAX_LABEL_LEN 63

/* inet_pton(3) over a slice. */
static bool
parse_raw(int family, struct slice text, void *out)
{
	char copy[INET6_ADDRSTRLEN];

	if (text.len == 0 || text.len >= sizeof(copy) ||
		memchr(text.ptr, '\0', text.len) != NULL)
		return false;
	memcpy(copy, text.ptr, text.len);
	copy[text.len] = '\0';
	return inet_pton(family, copy, out) == 1;
}

bool
address_parse_ip(struct slice text, uint16_t port, struct address *out)
{
	bool is_bracketed = text.len >= 2 && text.ptr[0] == '[' &&
			    text.ptr[text.len - 1] == ']';

	memset(out, 0, sizeof(*out));
	if (!is_bracketed && parse_raw(AF_INET, text, &out->v4.sin_addr)) {
		out->v4.sin_family = AF_INET;
		out->v4.sin_port = htons(port);
		return true;
	}
	if (is_bracketed) {
		text.ptr++;
		text.len -= 2;
	}
	memset(out, 0, sizeof(*out));
	if (!parse_raw(AF_INET6, text, &out->v6.sin6_addr))
		return false;
	out->v6.sin6_family = AF_INET6;
	out->v6.sin6_port = htons(port);
	return true;
}

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* The underscore is in no RFC's host name, but in many container names. */
static bool
is_name_char(char c)
{
	return is_digit(c) || (c >= 'a' && c <= 'z') ||
	       (c >= 'A' && c <= 'Z') || c == '-' || c == '_';
}

static bool
is_label(const char *label, size_t len, bool *all_digits)
{
	size_t i;

	if (len == 0 || len > MAX_LABEL_LEN || label[0] == '-' ||
		label[len - 1] == '-')
		return false;
	*all_digits = true;
	for (i = 0; i < len; i++) {
		if (!is_name_char(label[i]))
			return false;
		if (!is_digit(label[i]))
			*all_digits = false;
	}
	return true;
}

/*
 * Labels as in RFC 1123 2.1. A name whose last label is a number would be
 * taken for an IPv4 address by some resolvers, so it is none.
 */
static bool
is_host_name(struct slice text)
{
	bool all_digits = true;
	size_t start, end;

	if (text.len > 0 && text.ptr[text.len - 1] == '.')
		text.len--;
	if (text.len == 0 || text.len > MAX_NAME_LEN)
		return false;
	for (start = 0; start <= text.len; start = end + 1) {
		end = start;
		while (end < text.len && text.ptr[end] != '.')
			end++;
		if (!is_label(text.ptr + start, end - start, &all_digits))
			return false;
	}
	return !all_digits;
}

static bool
parse_port(struct slice text, uint16_t *port)
{
	uint32_t value = 0;
	size_t i;

	if (text.len == 0 || text.len > 5)
		return false;
	for (i = 0; i < text.len; i++) {
		if (!is_digit(text.ptr[i]))
			return false;
		value = value * 10 + (uint32_t)(text.ptr[i] - '0');
	}
	if (value == 0 || value > UINT16_MAX)
		return false;
	*port = (uint16_t)value;
	return true;
}

/* IP addresses in their canonical form (RFC 5952), names in lower case. */
static bool
write_host(struct slice text, char host[ADDRESS_HOST_SIZE])
{
	struct address ip;
	size_t i;

	if (address_parse_ip(text, 0, &ip)) {
		const void *raw = ip.any.sa_family == AF_INET
					  ? (const void *)&ip.v4.sin_addr
					  : (const void *)&ip.v6.sin6_addr;

		return inet_ntop(ip.any.sa_family, raw, host,
			       ADDRESS_HOST_SIZE) != NULL;
	}
	if (!is_host_name(text))
		return false;
	for (i = 0; i < text.len; i++) {
		char c = text.ptr[i];

		host[i] = c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
	}
	host[text.len] = '\0';
	return true;
}

bool
address_split(struct slice text, uint16_t default_port,
	char host[ADDRESS_HOST_SIZE], uint16_t *port)
{
	struct slice name = text;
	struct slice digits = {0};
	const char *colon = NULL;
	size_t i, n_colons = 0;

	for (i = 0; i < text.len; i++) {
		if (text.ptr[i] != ':')
			continue;
		colon = text.ptr + i;
		n_colons++;
	}
	/* The last colon parts the port, but not inside of an IPv6 address. */
	if (n_colons == 1 ||
		(n_colons > 1 && colon > text.ptr && colon[-1] == ']')) {
		name.len = (size_t)(colon - text.ptr);
		digits.ptr = colon + 1;
		digits.len = text.len - name.len - 1;
		if (!parse_port(digits, port))
			return false;
	} else if (default_port > 0) {
		*port = default_port;
	} else {
		return false;
	}
	return write_host(name, host);
}

socklen_t
address_len(const struct address *address)
{
	switch (address->any.sa_family) {
	case AF_INET:
		return sizeof(address->v4);
	case AF_INET6:
		return sizeof(address->v6);
	default:
		return 0;
	}
}

uint16_t
address_port(const struct address *address)
{
	switch (address->any.sa_family) {
	case AF_INET:
		return ntohs(address->v4.sin_port);
	case AF_INET6:
		return ntohs(address->v6.sin6_port);
	default:
		return 0;
	}
}

bool
address_equal(const struct address *a, const struct address *b)
{
	if (a->any.sa_family != b->any.sa_family)
		return false;
	switch (a->any.sa_family) {
	case AF_INET:
		return a->v4.sin_port == b->v4.sin_port &&
		       a->v4.sin_addr.s_addr == b->v4.sin_addr.s_addr;
	case AF_INET6:
		return a->v6.sin6_port == b->v6.sin6_port &&
		       a->v6.sin6_scope_id == b->v6.sin6_scope_id &&
		       memcmp(&a->v6.sin6_addr, &b->v6.sin6_addr,
			       sizeof(a->v6.sin6_addr)) == 0;
	default:
		return true;
	}
}

/*
 * The address's bytes and family, an IPv4-mapped one (RFC 4291 2.5.5.2)
 * taken for the IPv4 address that it is. NULL for AF_UNSPEC.
 */
static const uint8_t *
unmapped_bytes(const struct address *address, int *family)
{
	*family = address->any.sa_family;
	if (*family == AF_INET)
		return (const uint8_t *)&address->v4.sin_addr;
	if (*family != AF_INET6)
		return NULL;
	if (!IN6_IS_ADDR_V4MAPPED(&address->v6.sin6_addr))
		return address->v6.sin6_addr.s6_addr;
	*family = AF_INET;
	return address->v6.sin6_addr.s6_addr + 12;
}

size_t
address_format(const struct address *address, char out[ADDRESS_TEXT_SIZE])
{
	char ip[INET6_ADDRSTRLEN] = "";
	int len;

	switch (address->any.sa_family) {
	case AF_INET:
		inet_ntop(AF_INET, &address->v4.sin_addr, ip, sizeof(ip));
		len = snprintf(out, ADDRESS_TEXT_SIZE, "%s:%u", ip,
			(unsigned)address_port(address));
		break;
	case AF_INET6:
		inet_ntop(AF_INET6, &address->v6.sin6_addr, ip, sizeof(ip));
		len = snprintf(out, ADDRESS_TEXT_SIZE, "[%s]:%u", ip,
			(unsigned)address_port(address));
		break;
	default:
		len = snprintf(out, ADDRESS_TEXT_SIZE, "-");
	}
	return (size_t)len;
}

/* Each request needs its client's address as text; inet_ntop is slow. */
static size_t
format_ipv4(const uint8_t bytes[4], char *out)
{
	char *p = out;

	for (int i = 0; i < 4; i++) {
		unsigned byte = bytes[i];

		if (i > 0)
			*p++ = '.';
		if (byte >= 100)
			*p++ = (char)('0' + byte / 100);
		if (byte >= 10)
			*p++ = (char)('0' + byte / 10 % 10);
		*p++ = (char)('0' + byte % 10);
	}
	*p = '\0';
	return (size_t)(p - out);
}

size_t
address_format_ip(const struct address *address, char out[ADDRESS_TEXT_SIZE])
{
	int family;
	const uint8_t *bytes = unmapped_bytes(address, &family);

	if (bytes == NULL)
		return (size_t)snprintf(out, ADDRESS_TEXT_SIZE, "-");
	if (family == AF_INET)
		return format_ipv4(bytes, out);
	inet_ntop(family, bytes, out, ADDRESS_TEXT_SIZE);
	return strlen(out);
}

/* The first bytes of an address, so many by its family; 0 for AF_UNSPEC. */
static size_t
copy_start(const struct address *address, size_t v4_len, size_t v6_len,
	uint8_t *out)
{
	int family;
	const uint8_t *bytes = unmapped_bytes(address, &family);
	size_t len = family == AF_INET ? v4_len : v6_len;

	if (bytes == NULL)
		return 0;
	memcpy(out, bytes, len);
	return len;
}

size_t
address_network(
	const struct address *address, uint8_t out[ADDRESS_NETWORK_SIZE])
{
	return copy_start(address, 3, ADDRESS_NETWORK_SIZE, out);
}

size_t
address_lasting(
	const struct address *address, uint8_t out[ADDRESS_LASTING_SIZE])
{
	return copy_start(address, 4, ADDRESS_LASTING_SIZE, out);
}

static bool
parse_bits(struct slice text, unsigned max, uint8_t *bits)
{
	uint16_t value;

	if (slice_equal(text, SLICE("0"))) {
		*bits = 0;
		return true;
	}
	if (text.len == 0 || text.ptr[0] == '0' || !parse_port(text, &value) ||
		value > max)
		return false;
	*bits = (uint8_t)value;
	return true;
}

static bool
bits_are_zero(const uint8_t *bytes, unsigned from, unsigned to)
{
	unsigned i;

	for (i = from; i < to; i++) {
		if (bytes[i / 8] & (0x80 >> i % 8))
			return false;
	}
	return true;
}

bool
cidr_parse(struct slice text, struct cidr *out)
{
	const char *slash =
		text.len > 0 ? memchr(text.ptr, '/', text.len) : NULL;
	struct slice ip = text;
	unsigned max;

	memset(out, 0, sizeof(*out));
	if (slash != NULL)
		ip.len = (size_t)(slash - text.ptr);
	if (parse_raw(AF_INET, ip, out->bytes)) {
		out->family = AF_INET;
		max = 32;
	} else if (parse_raw(AF_INET6, ip, out->bytes)) {
		out->family = AF_INET6;
		max = 128;
	} else {
		return false;
	}
	out->bits = (uint8_t)max;
	if (slash != NULL) {
		struct slice digits = {slash + 1, text.len - ip.len - 1};

		if (!parse_bits(digits, max, &out->bits))
			return false;
	}
	if (!bits_are_zero(out->bytes, out->bits, max))
		return false;
	/* Addresses are unmapped before they are compared; so are blocks. */
	if (out->family == AF_INET6 && out->bits >= 96 &&
		memcmp(out->bytes, "\0\0\0\0\0\0\0\0\0\0\xff\xff", 12) == 0) {
		out->family = AF_INET;
		out->bits = (uint8_t)(out->bits - 96);
		memmove(out->bytes, out->bytes + 12, 4);
		memset(out->bytes + 4, 0, 12);
	}
	return true;
}

bool
cidr_matches(const struct cidr *cidr, const struct address *address)
{
	int family;
	const uint8_t *bytes = unmapped_bytes(address, &family);
	size_t whole = cidr->bits / 8;
	unsigned rest = cidr->bits % 8;

	if (bytes == NULL || family != cidr->family)
		return false;
	if (memcmp(bytes, cidr->bytes, whole) != 0)
		return false;
	return rest == 0 ||
	       ((bytes[whole] ^ cidr->bytes[whole]) >> (8 - rest)) == 0;
}

bool
cidr_matches_any(
	const struct cidr *cidrs, size_t n, const struct address *address)
{
	size_t i;

	for (i = 0; i < n; i++) {
		if (cidr_matches(&cidrs[i], address))
			return true;
	}
	return false;
}
