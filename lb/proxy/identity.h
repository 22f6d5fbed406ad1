/*
 * identity: who a request's client is, as far as that can be told: perch's
 * cookies, the client key, the address. Facts for sticky_decide(), which says
 * what they are worth.
 */
#ifndef PERCH_PROXY_IDENTITY_H
#define PERCH_PROXY_IDENTITY_H

#include "proxy/exchange.h"

/* So many MACs are looked at in a request: each costs some 50 ns, and a client
 * may send as many cookies as fit into a head. */
#define IDENTITY_CHECKS_MAX 100

/* What of a request's cookies is perch's. */
struct identity {
	/* The service's own: of several the one with a right MAC, then with the
	 * highest generation, then the youngest. */
	bool has_cookie;
	struct cookie cookie;
	/* Of the first service of its group whose cookie came along. */
	bool has_group_seed;
	bool is_group_seed_signed;
	unsigned member; /* that one, in the group */
	struct cookie member_cookie;
	/* Of the group's page that was navigated to last: a genuine pin. */
	bool has_group_pin;
	unsigned pin_member;
	struct cookie pin_cookie;
	/* The value of one by the service's name that another perch signed; len
	 * 0: none. It goes on to the backend, which may be that one. */
	struct slice foreign;
};

/* All in one pass over the cookies, however many services there are. What it
 * finds points into the request. */
void identity_read_cookies(const struct exchange *exchange,
	const struct snapshot_service *service, struct identity *out);

/* The service whose page asks, as Referer says; NULL if it doesn't. */
const struct snapshot_service *identity_find_page(
	const struct exchange *exchange);

/* Of the client's address, by which it may be known; keyed, so that nobody can
 * foresee the cell. Of nothing else: one program sends User-Agent with some of
 * its requests, and not, or another one, with the WebSocket that belongs to them.
 * False if too many share the address. */
bool identity_hash_address(const struct exchange *exchange, uint64_t *hash);

/* Counts that the service's request was known so. */
void identity_count(const struct exchange *exchange);

#endif
