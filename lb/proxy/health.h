/*
 * health: asks the endpoints of services with `health`, again and again,
 * whether they are well, on the control thread.
 *
 * One loop of checks for each endpoint that the config in force has, kept over
 * reloads. What it finds is written to the endpoint's entry in the registry,
 * where balance and the judge read it; so is since when an endpoint is there.
 */
#ifndef PERCH_PROXY_HEALTH_H
#define PERCH_PROXY_HEALTH_H

#include "proxy/snapshot.h"

struct event_base;
struct health;

struct health *health_new(struct event_base *base);
void health_free(struct health *health);

/*
 * From now on checks this snapshot's endpoints, and no others. Those that it
 * checked before go on as if nothing had been, unless how they are checked
 * has changed. The one given before must still be there; this one is needed
 * until the next call, or health_free().
 */
void health_adopt(struct health *health, const struct snapshot *snapshot);

/* The part of a version's endpoints, 0 to 1, that may be asked: neither down
 * nor left out three times in a row, and with an address. On the control
 * thread. */
double
health_fraction_up(const struct snapshot_version *version, uint64_t now_ns);

#endif
