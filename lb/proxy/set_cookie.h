/*
 * set_cookie: whether an answer carries perch's cookie, what it says, and what
 * shared caches may still do with the answer.
 */
#ifndef PERCH_PROXY_SET_COOKIE_H
#define PERCH_PROXY_SET_COOKIE_H

#include "proxy/exchange.h"

/*
 * Fills in what the answer gains for its version's sake: set_cookie, and
 * makes_private and drops_targeted where a shared cache might give one client's
 * page, or cookie, to others. The cookie is put together in text, and left out
 * where it doesn't fit.
 */
void set_cookie_prepare(const struct exchange *exchange,
	const struct message *response, struct forward_text *text,
	struct forward_response_options *options);

/* Does the client speak https, to perch or to who stands before it; and so, does
 * the cookie go out as Secure? */
bool set_cookie_is_secure(const struct exchange *exchange);

/* A page of stable goes out in the place of the candidate's, which failed: what
 * it asks for is to go where it came from, until the next one. */
void set_cookie_follow_shield(struct exchange *exchange);

/* The same for an answer that pins nobody: another version's. */
void set_cookie_keep_private(const struct exchange *exchange,
	const struct message *response,
	struct forward_response_options *options);

#endif
