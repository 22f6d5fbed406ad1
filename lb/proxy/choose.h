/*
 * choose: gathers what sticky_decide() needs to know of a request, and carries
 * its decision out.
 */
#ifndef PERCH_PROXY_CHOOSE_H
#define PERCH_PROXY_CHOOSE_H

#include "proxy/exchange.h"

/* Sets exchange->version, ->decision and the facts that follow from them. */
void choose_version(struct exchange *exchange);

/* Should a navigation's answer be kept out of shared caches? */
bool choose_makes_private(
	const struct exchange *exchange, const struct message *response);

/* The Set-Cookie value for this answer; len 0 if it may carry none. */
struct slice choose_set_cookie(const struct exchange *exchange,
	const struct message *response, bool is_made_private,
	struct forward_text *text);

#endif
