#include "http/authority.h"

#include <arpa/inet.h>

#include "http/chars.h"

/* How long the reg-name or IPv4 address at the start of text is; 0 if there
 * is none. A comma could stand in a reg-name by the letter of RFC 3986, but
 * what has one is two Hosts that something on the way made one of. */
static size_t
measure_name(struct slice text)
{
	size_t i = 0;

	while (i < text.len) {
		if (chars_is(text.ptr[i], CHARS_HOST)) {
			i++;
			continue;
		}
		if (text.ptr[i] != '%')
			break;
		if (text.len - i < 3 || !chars_is(text.ptr[i + 1], CHARS_HEX) ||
			!chars_is(text.ptr[i + 2], CHARS_HEX))
			return 0;
		i += 3;
	}
	return i;
}

/* The same for an IPv6 address with its brackets. */
static size_t
measure_bracketed(struct slice text)
{
	const char *end = memchr(text.ptr, ']', text.len);
	char copy[INET6_ADDRSTRLEN];
	struct in6_addr address;
	size_t len;

	if (end == NULL)
		return 0;
	len = (size_t)(end - text.ptr) - 1;
	if (len >= sizeof(copy))
		return 0;
	/* inet_pton would stop at a NUL and call what precedes it good. */
	if (memchr(text.ptr + 1, '\0', len) != NULL)
		return 0;
	memcpy(copy, text.ptr + 1, len);
	copy[len] = '\0';
	return inet_pton(AF_INET6, copy, &address) == 1 ? len + 2 : 0;
}

static bool
is_port(struct slice digits)
{
	unsigned value = 0;

	for (size_t i = 0; i < digits.len; i++) {
		if (!chars_is_digit(digits.ptr[i]))
			return false;
		value = value * 10 + (unsigned)(digits.ptr[i] - '0');
		if (value > 65535)
			return false;
	}
	return value > 0;
}

bool
authority_is_valid(struct slice text, enum authority_port port)
{
	size_t host_len;

	if (text.len == 0)
		return false;
	host_len = text.ptr[0] == '[' ? measure_bracketed(text)
				      : measure_name(text);
	if (host_len == 0)
		return false;
	if (host_len == text.len)
		return port == AUTHORITY_PORT_OPTIONAL;
	if (text.ptr[host_len] != ':')
		return false;
	/* RFC 3986 3.2.3: a colon with nothing behind it says no port. */
	if (host_len + 1 == text.len)
		return port == AUTHORITY_PORT_OPTIONAL;
	return is_port((struct slice){
		text.ptr + host_len + 1, text.len - host_len - 1});
}
