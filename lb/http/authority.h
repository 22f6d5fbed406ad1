/*
 * authority: is it "host" or "host:port" as a Host field, an absolute-form
 * target or HTTP/2's :authority may say it (RFC 9110 7.2, RFC 3986 3.2)? Pure.
 *
 * Userinfo is no part of it, nor is an empty host, a zone or an IPvFuture.
 */
#ifndef PERCH_HTTP_AUTHORITY_H
#define PERCH_HTTP_AUTHORITY_H

#include <stdbool.h>

#include "base/slice.h"

enum authority_port {
	AUTHORITY_PORT_OPTIONAL, /* "host", "host:" and "host:port" */
	AUTHORITY_PORT_REQUIRED, /* "host:port" only (CONNECT) */
};

bool authority_is_valid(struct slice text, enum authority_port port);

#endif
