/*
 * privileges: what a daemon gives up, and the descriptors it may have.
 */
#ifndef PERCH_PROXY_PRIVILEGES_H
#define PERCH_PROXY_PRIVILEGES_H

#include <stdbool.h>

#include "base/error.h"

/* Lets go of root for user, with their groups; keeps only the right to bind
 * ports below 1024, for reloads. dir, if not NULL, is made and given to the
 * user first. Nothing but making dir is done if user is NULL or this isn't
 * root. */
bool privileges_drop(const char *user, const char *dir, struct error *error);

/* Raises the limit of descriptors as far as may be; returns it. */
unsigned long privileges_raise_descriptors(void);

#endif
