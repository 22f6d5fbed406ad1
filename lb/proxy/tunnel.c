#include "proxy/tunnel.h"

#include <stdlib.h>
#include <string.h>

#include "proxy/exchange_private.h"
#include "proxy/upstream.h"
#include "proxy/witness.h"

/* The head's bytes move out of the client's buffer; nothing of the snapshot is
 * needed any more. */
static bool
begin(struct exchange *exchange)
{
	struct message *request = &exchange->request;
	struct shard *shard = exchange->shard;

	exchange->head_copy = malloc(request->head_len);
	if (exchange->head_copy == NULL)
		return false;
	memcpy(exchange->head_copy, request->base, request->head_len);
	request->base = exchange->head_copy;
	exchange->is_tunnel = true;
	exchange->state = EXCHANGE_TUNNEL;
	exchange->is_body_complete = false;
	exchange->is_body_sent = false;
	meter_add(&shard->counts->tunnels, 1);
	upstream_become_raw(exchange->upstream);
	shard_give_view(shard, exchange->view);
	exchange->view = NULL;
	exchange->service = NULL;
	exchange->version = NULL;
	exchange->endpoint = NULL;
	exchange->local = NULL;
	return true;
}

void
tunnel_switch(struct exchange *exchange, const struct message *response,
	struct slice rest)
{
	/* What was asked for, and nothing else. */
	struct forward_response_options options = {
		.upgrade = message_find(&exchange->request, FIELD_UPGRADE)};
	struct forward_text text = exchange_text_space(exchange->shard);
	struct forward_head head;
	enum conn_result result;

	if (!exchange->is_upgrade || !exchange->is_body_sent ||
		!slice_equal_nocase(message_find(response, FIELD_UPGRADE),
			options.upgrade) ||
		!forward_response(response, &options, &text, &head)) {
		exchange_reject_response(
			exchange, "101 that was not asked for");
		return;
	}
	exchange->first_byte_ns = exchange->shard->now_ns;
	exchange->status = 101;
	witness_response(exchange, response);
	witness_end(exchange);
	if (!begin(exchange)) {
		exchange_abort(exchange);
		return;
	}
	result = exchange->ops->send_head(
		exchange->stream, &head, SLICE_NONE, false);
	exchange->ops->tunnel(exchange->stream);
	if (result != CONN_FAILED && rest.len > 0)
		result = exchange->ops->send_body(
			exchange->stream, rest, SLICE_NONE, false);
	exchange->bytes_out += rest.len;
	if (exchange_pass_on(exchange, result))
		exchange->ops->resume(exchange->stream);
}

void
tunnel_pump(struct exchange *exchange)
{
	struct upstream *upstream = exchange->upstream;

	if (exchange->body.len > 0 && upstream_send(upstream, 0, exchange->body,
					      SLICE_NONE, false) == CONN_FAILED)
		exchange->is_upstream_deaf = true;
	exchange->bytes_in += exchange->body.len;
	exchange->body = SLICE_NONE;
	if (exchange->is_body_complete) {
		exchange->is_body_sent = true;
		upstream_end_sending(upstream);
	}
}

void
tunnel_end_down(struct exchange *exchange)
{
	exchange->has_ended_down = true;
	if (tunnel_is_over(exchange))
		exchange_finish(exchange, STREAM_DONE);
}

void
tunnel_on_idle(struct exchange *exchange)
{
	exchange_finish(exchange, STREAM_CUT);
}
