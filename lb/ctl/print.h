/*
 * print: what the API said of services, as tables for people.
 */
#ifndef PERCH_CTL_PRINT_H
#define PERCH_CTL_PRINT_H

#include <stddef.h>
#include <stdio.h>

#include <jansson.h>

/* All services, a line for each version. */
void print_services(FILE *out, const json_t *services);

/* One service: its release, versions and endpoints. */
void print_service(FILE *out, const json_t *service);

/* One line: the service's release as it is now. */
void print_release(FILE *out, const json_t *service);

#endif
