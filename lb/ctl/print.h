/*
 * print: what the API said of services and groups, as tables for people.
 */
#ifndef PERCH_CTL_PRINT_H
#define PERCH_CTL_PRINT_H

#include <stddef.h>
#include <stdio.h>

#include <jansson.h>

/* All services, a line for each. */
void print_services(FILE *out, const json_t *services);

/* One service: its release, versions and endpoints. */
void print_service(FILE *out, const json_t *service);

/* A group: its release, and of each of its services (as the API shows them) the
 * versions. */
void print_group(FILE *out, const json_t *group, const json_t *services);

/* --- print_release ----------------------------------------------------------- */

/* One line: the release of a service or group as it is now. */
void print_release(FILE *out, const json_t *unit);

/* More of them: why, where it stands, whom it has seen, and each signal. */
void print_release_whole(FILE *out, const json_t *unit);

/* What was done to the release of a unit of that name. */
void print_history(FILE *out, const char *name, const json_t *answer);

/* How soon each step of a plan sees harm. */
void print_plan(FILE *out, const char *name, const json_t *answer);

/* "v2", or for a group whose services have versions of other names "entry v2,
 * page v7". Of a release, where one runs. */
void print_candidate(char *out, size_t size, const json_t *release);

#endif
