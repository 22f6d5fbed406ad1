/*
 * choose: gathers what sticky_decide() needs to know of a request, and carries
 * its decision out.
 */
#ifndef PERCH_PROXY_CHOOSE_H
#define PERCH_PROXY_CHOOSE_H

#include "proxy/exchange.h"

/* Sets exchange->version, ->decision and the facts that follow from them. */
void choose_version(struct exchange *exchange);

#endif
