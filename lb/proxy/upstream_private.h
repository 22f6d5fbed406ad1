/*
 * upstream_private: what the two halves of an upstream connection say to each
 * other: upstream.c has its life, its events and what is sent on it;
 * upstream_receive.c parses what comes. Nobody else includes this.
 */
#ifndef PERCH_PROXY_UPSTREAM_PRIVATE_H
#define PERCH_PROXY_UPSTREAM_PRIVATE_H

#include "proxy/upstream.h"

/* --- the connection --------------------------------------------------------- */

/* It has failed: its exchange hears so when it is gone. */
void upstream_fail(struct upstream *upstream, enum meter_error error);
/* There was progress. */
void upstream_touch_timeout(struct upstream *upstream);
/* Gives the buffer back. */
void upstream_give_in(struct upstream *upstream);

/* --- receiving -------------------------------------------------------------- */

/* The socket is readable. */
void upstream_on_readable(struct upstream *upstream);
/* Looks at what is in the buffer. */
void upstream_receive(struct upstream *upstream);
/* Is anything behind the response, be it the connection's end, that isn't in the
 * buffer? Who asks next on that connection would take it for the answer. Bytes
 * mark the endpoint. */
bool upstream_has_more(struct upstream *upstream);
/* Has the response at the buffer's front come to its end there, and nothing
 * behind it? */
bool upstream_is_whole(struct upstream *upstream);

#endif
