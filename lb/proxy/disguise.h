/*
 * disguise: fields that pass for others. Pure.
 *
 * Backends that make variables of fields (CGI, WSGI, Rack, PHP) read "_" in a
 * name as "-": to them X_Forwarded_For is X-Forwarded-For, and Content_Length
 * a length. Whatever has a meaning under its name with dashes has none with
 * underscores. Asked of names that have one, which are few.
 */
#ifndef PERCH_PROXY_DISGUISE_H
#define PERCH_PROXY_DISGUISE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/slice.h"

/* Is name the other one, if "_" counts as "-" and case doesn't? */
bool disguise_is_same(struct slice name, struct slice other);

/* Has name an underscore, and a meaning if they were dashes? */
bool disguise_is_one(struct slice name);

#endif
