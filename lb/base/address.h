/*
 * address: IP addresses with a port, names with a port, and CIDR blocks.
 *
 * Pure text and numbers: nothing here resolves a name or opens a socket.
 */
#ifndef PERCH_BASE_ADDRESS_H
#define PERCH_BASE_ADDRESS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/slice.h"

/* Room for any address as text, with brackets, port and NUL. */
#define ADDRESS_TEXT_SIZE 64
/* The longest host name, with NUL (RFC 1035 2.3.4). */
#define ADDRESS_HOST_SIZE 256

/* An IPv4 or IPv6 address and port; family AF_UNSPEC where there is none. */
struct address {
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	};
};

/* A block of addresses; IPv4 blocks also match IPv4-mapped IPv6 addresses. */
struct cidr {
	uint8_t family; /* AF_INET or AF_INET6 */
	uint8_t bits;
	uint8_t bytes[16];
};

/* "192.0.2.1", "2001:db8::1" or "[2001:db8::1]"; the port becomes port. */
bool address_parse_ip(struct slice text, uint16_t port, struct address *out);

/*
 * Splits "host:port", "[v6]:port" or, where default_port > 0, "host" alone.
 * host is written without brackets, lower-cased. False if the port is absent,
 * 0 or over 65535, or the host is no IP address and no host name.
 */
bool address_split(struct slice text, uint16_t default_port,
	char host[ADDRESS_HOST_SIZE], uint16_t *port);

/* The length for connect and bind; 0 for AF_UNSPEC. */
socklen_t address_len(const struct address *address);
uint16_t address_port(const struct address *address);
bool address_equal(const struct address *a, const struct address *b);

/* "192.0.2.1:80", "[2001:db8::1]:80"; returns the length. */
size_t address_format(
	const struct address *address, char out[ADDRESS_TEXT_SIZE]);
/* The same without port and brackets; IPv4-mapped ones as IPv4. */
size_t address_format_ip(
	const struct address *address, char out[ADDRESS_TEXT_SIZE]);

/* The network that stands for a client where there could be many of it: the /24
 * of IPv4, the /48 of IPv6. Returns the length; 0 for AF_UNSPEC. */
#define ADDRESS_NETWORK_SIZE 6
size_t address_network(
	const struct address *address, uint8_t out[ADDRESS_NETWORK_SIZE]);

/* What stays of a client's address from day to day: all of an IPv4 one, the /64
 * of an IPv6 one (RFC 8981). Returns the length; 0 for AF_UNSPEC. */
#define ADDRESS_LASTING_SIZE 8
size_t address_lasting(
	const struct address *address, uint8_t out[ADDRESS_LASTING_SIZE]);

/* "10.0.0.0/8", "::1" (then all bits count). Bits past the prefix must be 0. */
bool cidr_parse(struct slice text, struct cidr *out);
bool cidr_matches(const struct cidr *cidr, const struct address *address);
bool cidr_matches_any(
	const struct cidr *cidrs, size_t n, const struct address *address);

#endif
