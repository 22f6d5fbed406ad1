/*
 * route_path: a request's path as routing sees it. Pure.
 *
 * Two spellings of one path must reach one service, or a prefix could be
 * walked around ("/public/../admin"). What is sent on to the backend stays as
 * it was received.
 */
#ifndef PERCH_PROXY_ROUTE_PATH_H
#define PERCH_PROXY_ROUTE_PATH_H

#include <stdbool.h>
#include <stddef.h>

#include "base/slice.h"

/*
 * The path without query, unreserved characters decoded, other percent codes
 * in upper case (an encoded slash stays one: it parts no segments), slashes
 * folded, dot segments removed (RFC 3986 6.2.2). target is in origin form; ""
 * counts as "/", "*" stands for itself.
 *
 * *out is a part of target where there is nothing to do, as nearly always; else
 * it is in buf, which has room for target.len bytes. False if a percent code is
 * malformed or %00, if it doesn't start with "/", or climbs above the root.
 */
bool route_path_normalize(struct slice target, char *buf, struct slice *out)
	__attribute__((warn_unused_result));

#endif
