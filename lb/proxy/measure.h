/*
 * measure: what an exchange leaves behind when it ends: counts and a line in
 * the access log.
 */
#ifndef PERCH_PROXY_MEASURE_H
#define PERCH_PROXY_MEASURE_H

#include "proxy/exchange.h"

/* Once, before its client's buffer goes. */
void measure_exchange(const struct exchange *exchange);

#endif
