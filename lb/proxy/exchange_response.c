#include "proxy/exchange_private.h"

#include <string.h>

#include "proxy/bad_answer.h"
#include "proxy/rescue.h"
#include "proxy/set_cookie.h"
#include "proxy/tunnel.h"
#include "proxy/upstream.h"
#include "proxy/witness.h"

/* An answer that makes no sense: its connection can't be trusted. */
void
exchange_reject_response(struct exchange *exchange, const char *why)
{
	bad_answer_note(exchange, why);
	upstream_cancel(exchange->upstream);
	exchange_on_failure(exchange, METER_ERROR_BAD_RESPONSE);
}

/* False if it has ended with that. */
bool
exchange_pass_on(struct exchange *exchange, enum conn_result result)
{
	if (result == CONN_FAILED) {
		exchange_abort(exchange);
		return false;
	}
	if (result == CONN_BLOCKED)
		upstream_set_reading(exchange->upstream, false);
	return true;
}

static void
pass_interim(struct exchange *exchange, const struct message *response)
{
	struct forward_response_options options = {.upgrade = SLICE_NONE};
	struct forward_text text = exchange_text_space(exchange->shard);
	struct forward_head head;

	if (response->status == 100) {
		if (!exchange->sends_continue)
			return;
		exchange->sends_continue = false;
		exchange_await_response(exchange);
	}
	if (!forward_response(response, &options, &text, &head)) {
		exchange_reject_response(
			exchange, "head too large to be passed on");
		return;
	}
	/* From here on it is the client that owes something. */
	if (exchange_pass_on(
		    exchange, exchange->ops->send_head(exchange->stream, &head,
				      SLICE_NONE, false)) &&
		response->status == 100)
		exchange->ops->resume(exchange->stream);
}

/* A 404 that goes out, or a page in an asset's place, must not outlive the
 * release in somebody's cache. */
static bool
is_missing_in_release(
	const struct exchange *exchange, const struct message *response)
{
	return exchange->is_release_running && !exchange->is_navigation &&
	       exchange->request.method != HTTP_OPTIONS &&
	       rescue_is_missing(exchange, response);
}

void
exchange_on_response(struct exchange *exchange, const struct message *response,
	struct slice body, struct slice trailers, bool is_end)
{
	struct forward_text text = exchange_text_space(exchange->shard);
	struct forward_response_options options;
	struct forward_head head;
	enum conn_result result;

	if (response->status == 101) {
		tunnel_switch(exchange, response, body);
		return;
	}
	if (response->status < 200) {
		pass_interim(exchange, response);
		return;
	}
	memset(&options, 0, sizeof(options));
	options.makes_uncacheable = is_missing_in_release(exchange, response);
	/* Another version's answer pins nobody. */
	if (exchange->help == HELP_SHIELD)
		options.shielded_by = exchange->version->name;
	else if (exchange->help == HELP_RESCUE || exchange->is_recalled)
		options.rescued_by = exchange->version->name;
	if (options.shielded_by.len > 0)
		set_cookie_follow_shield(exchange);
	if (options.rescued_by.len > 0 ||
		(options.shielded_by.len > 0 && !exchange->is_page))
		set_cookie_keep_private(exchange, response, &options);
	else
		set_cookie_prepare(exchange, response, &text, &options);
	if (!forward_response(response, &options, &text, &head)) {
		exchange_reject_response(
			exchange, "head too large to be passed on");
		return;
	}
	exchange_conclude_help(exchange);
	exchange->first_byte_ns = exchange->shard->now_ns;
	exchange->state = EXCHANGE_RESPONDING;
	exchange->status = response->status;
	exchange->bytes_out = body.len;
	witness_trailers(exchange, trailers);
	/* Trailers that came at once go behind the head, in their place. */
	result = exchange->ops->send_head(
		exchange->stream, &head, body, is_end && trailers.len == 0);
	if (is_end && trailers.len > 0 && result != CONN_FAILED)
		result = exchange->ops->send_body(
			exchange->stream, SLICE_NONE, trailers, true);
	if (result == CONN_FAILED)
		exchange_abort(exchange);
	else if (is_end)
		exchange_complete(exchange);
	else
		exchange_pass_on(exchange, result);
}

void
exchange_on_response_body(struct exchange *exchange, struct slice data,
	struct slice trailers, bool is_end)
{
	enum conn_result result;

	witness_trailers(exchange, trailers);
	exchange->bytes_out += data.len;
	result = exchange->ops->send_body(
		exchange->stream, data, trailers, is_end);
	if (result == CONN_FAILED)
		exchange_abort(exchange);
	else if (is_end && exchange->is_tunnel)
		tunnel_end_down(exchange);
	else if (is_end)
		exchange_complete(exchange);
	else
		exchange_pass_on(exchange, result);
}

void
exchange_writable(struct exchange *exchange)
{
	if (exchange->is_pipe_last)
		exchange_complete(exchange);
	else if (exchange->upstream != NULL)
		upstream_set_reading(exchange->upstream, true);
}
