/*
 * witness: what an exchange tells the judge.
 *
 * While a release runs, or a release elsewhere watches this service, each
 * exchange says on which side its client is, and what became of its first try:
 * second tries of retry, rescue or shield never count, nor do preflights, which
 * come without what says whose they are. Where neither is the case, all of this
 * costs a load or two. Marks and counts are release/crowd's.
 *
 * In this order, each at most once: begin, sent, response or failure, end.
 */
#ifndef PERCH_PROXY_WITNESS_H
#define PERCH_PROXY_WITNESS_H

#include "proxy/exchange.h"

/* A ticket at a release that watches the exchange's service. */
struct witness_watch {
	struct witness_watch *next;
	struct registry_unit *unit;
	struct crowd_ticket ticket;
};

/* Its own service's release runs, and a version was chosen by this cell.
 * candidate: by index; STICKY_NONE if the service takes no part. */
void witness_begin(struct exchange *exchange,
	const struct release_cell *cell, int candidate);
/* For the releases that watch its service. */
void witness_begin_watches(struct exchange *exchange);
/* It is another version that is asked first: it can't speak for its own. */
void witness_renounce(struct exchange *exchange);

/* The request goes out. */
void witness_sent(struct exchange *exchange);
/* A final response head, or a 101; what follows the first is not looked at. */
void witness_response(
	struct exchange *exchange, const struct message *response);
/* A try has failed before that. */
void witness_failure(struct exchange *exchange, enum meter_error error);
/* Trailers of the response that is passed on: gRPC says there what became of
 * it. */
void witness_trailers(struct exchange *exchange, struct slice trailers);
/* It is over, or becomes a tunnel. */
void witness_end(struct exchange *exchange);

#endif
