/*
 * exchange_private: what the parts of an exchange say to each other.
 *
 * exchange.c has its order, from the start over dispatch and retry to the end;
 * exchange_request.c hands the request on, exchange_response.c the answer, and
 * exchange_pipe.c what passes unread of their bodies;
 * exchange_rescue.c asks another version; tunnel.c is what it may become.
 * Nobody else includes this.
 */
#ifndef PERCH_PROXY_EXCHANGE_PRIVATE_H
#define PERCH_PROXY_EXCHANGE_PRIVATE_H

#include "proxy/exchange.h"

static inline struct forward_text
exchange_text_space(struct shard *shard)
{
	return (struct forward_text){shard->text, 0, shard->text_size};
}

/* --- the order -------------------------------------------------------------- */

/* Picks an endpoint of its version, and sends the request there. */
void exchange_dispatch(struct exchange *exchange);
/* It is this endpoint's from now on, and counted there. */
void exchange_enter_endpoint(
	struct exchange *exchange, const struct snapshot_endpoint *endpoint);
void exchange_leave_endpoint(struct exchange *exchange);
/* What was sent of the request, if it may be, is to be sent once more. */
void exchange_rewind(struct exchange *exchange);
/* An error page for what the client did. */
void
exchange_reject(struct exchange *exchange, unsigned status, const char *why);
/* An error page for what the endpoint did. */
void exchange_answer_failure(struct exchange *exchange, enum meter_error error);
/* The response is whole: its connection may be used again. */
void exchange_complete(struct exchange *exchange);
/* The end, whatever led to it. */
void exchange_finish(struct exchange *exchange, enum stream_end end);

/* --- the request ------------------------------------------------------------ */

/* Head and what is at hand of the body, to the connection that it has. */
void exchange_send_request(struct exchange *exchange);
/* Hands the window on if that can be done now. */
void exchange_pump_request(struct exchange *exchange);
/* What a trailer section leaves of itself. */
struct slice exchange_filter_trailers(
	const struct exchange *exchange, struct slice trailers);
/* Has it a field that passes for another, and is that an error? */
bool exchange_is_disguised(const struct exchange *exchange);
/* Sets the deadline of who is waited for. */
void exchange_await_response(struct exchange *exchange);

/* --- what passes unread -------------------------------------------------------- */

/* The pipe, if there is one: what it holds is lost. */
void exchange_give_pipe(struct exchange *exchange);
/* The same where the request needs it no more. */
void exchange_spare_pipe(struct exchange *exchange);

/* --- the response ----------------------------------------------------------- */

/* It makes no sense: its connection can't be trusted. */
void
exchange_reject_response(struct exchange *exchange, const char *why);
/* Something was sent to the client, with this result. False if that has ended
 * the exchange. */
bool exchange_pass_on(struct exchange *exchange, enum conn_result result);

/* --- another version's help -------------------------------------------------- */

/* A version was chosen: may another one have to help out? */
void exchange_arm_help(struct exchange *exchange);
/* It has waited to be sent to a candidate. True if that has been rolled back
 * meanwhile, and the stable version is asked in its place. */
bool exchange_leave_candidate(struct exchange *exchange);
/* The version that is asked has failed, before its response head. True if it
 * is seen to: another one's answer is used, or asked for. */
bool exchange_find_help(struct exchange *exchange, enum meter_error error);
/* The help has come, or is no longer waited for. */
static inline void
exchange_stop_help_timer(struct exchange *exchange)
{
	if (!exchange->is_help_timed)
		return;
	exchange->is_help_timed = false;
	timeout_stop(&exchange->help_timeout);
}
/* A candidate has all of the request: how long may it take to answer? */
void exchange_watch_for_hang(struct exchange *exchange);
/* It has answered, or failed. */
void exchange_end_hang_watch(struct exchange *exchange);
/* A response goes out. If it is another version's, the held one is let go at
 * the end. */
void exchange_conclude_help(struct exchange *exchange);
void exchange_drop_held(struct exchange *exchange);

#endif
