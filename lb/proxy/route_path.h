/*
 * route_path: a request's path as routing sees it. Pure.
 *
 * Servers don't agree on what a path says: to some "/x/..%2fadmin", "/admin;x"
 * or "/x\..\admin" are "/admin", to others not. So one reading, the canonical
 * one, says where a request goes, and the others, each of which some server
 * has, must go to the same place, or a prefix could be walked around (route.h
 * compares). What is sent on to the backend stays as it was received.
 *
 * A path in which nothing can be doubted, as nearly all are, costs one look at
 * its bytes, eight at a time.
 */
#ifndef PERCH_PROXY_ROUTE_PATH_H
#define PERCH_PROXY_ROUTE_PATH_H

#include <stdbool.h>
#include <stddef.h>

#include "base/slice.h"

/* What a reading does; each is done or left by some server. */
enum route_path_reading {
	ROUTE_PATH_SEPARATORS = 1, /* "%2f", "%5c" and "\" are slashes */
	ROUTE_PATH_PARAMETERS = 2, /* ";..." of a segment isn't there */
	ROUTE_PATH_DOTS = 4, /* "." and ".." are walked */
	ROUTE_PATH_SLASHES = 8, /* several slashes are one */
	ROUTE_PATH_CANONICAL = 15,
};

/* The path of a target, without its query. */
struct slice route_path_cut(struct slice target);

/* Is there but one reading: the path itself? */
bool route_path_is_plain(struct slice path);

/*
 * The path as a reading has it: percent codes decoded once (but "%" and "?",
 * which stay codes in upper case, and separators and ";" where the reading has
 * them so), and what the reading does. A canonical path is its own canonical
 * form. buf has room for path.len bytes; *out is in it, or the path if that is
 * plain; "" counts as "/", "*" stands for itself.
 *
 * NULL, or why there is no such path: a malformed code, one for a control
 * byte, a start other than "/", or a climb above the root. *doubts has what of
 * a reading could make a difference to this path: 0 where it is plain.
 */
const char *route_path_read(struct slice path, unsigned reading, char *buf,
	struct slice *out, unsigned *doubts)
	__attribute__((warn_unused_result));

#endif
