/*
 * patience: how long a candidate is waited for until the stable version is asked
 * in its place, by how long that one takes.
 *
 * Worked out on the control thread from stable's histogram, once a second while a
 * release runs, and published in the service's entry; proxy/exchange obeys it
 * where proxy/shield lets it.
 */
#ifndef PERCH_PROXY_PATIENCE_H
#define PERCH_PROXY_PATIENCE_H

#include <stdint.h>

#include "proxy/registry.h"
#include "release/histogram.h"

/* Pure: by times to the first byte. One of a few lengths, at least 5 s; 0 (as
 * long as it takes) if there is none that is long enough, or too few times. */
uint64_t patience_of(const struct histogram_counts *stable);

/* For each service with a release that runs. */
void patience_publish(struct registry *registry);

#endif
