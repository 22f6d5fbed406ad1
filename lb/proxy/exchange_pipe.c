#include "proxy/exchange_private.h"

#include <assert.h>

#include "proxy/upstream.h"

/*
 * Long runs of a body go from socket to socket by a pipe, the same both ways:
 * who reads asks for the pipe, fills it and says so; who writes drains it, and
 * while it doesn't, nobody reads. An exchange has one: the way that needs it
 * first has it, the other copies meanwhile.
 *
 * Sent in chunks, a run is one chunk, whose size goes out with its first piece.
 * So a run that has begun is never copied, unless it goes nowhere.
 */

static struct pipe *
take_pipe(struct exchange *exchange, enum exchange_way way)
{
	if (exchange->pipe == NULL) {
		exchange->pipe = pipe_take(&exchange->shard->pipes);
		exchange->pipe_way = way;
	}
	if (exchange->pipe == NULL || exchange->pipe_way != way)
		return NULL;
	assert(pipe_is_empty(exchange->pipe));
	return exchange->pipe;
}

void
exchange_give_pipe(struct exchange *exchange)
{
	if (exchange->pipe == NULL)
		return;
	pipe_give(&exchange->shard->pipes, exchange->pipe);
	exchange->pipe = NULL;
}

void
exchange_spare_pipe(struct exchange *exchange)
{
	if (exchange->pipe != NULL && exchange->pipe_way == EXCHANGE_UP &&
		exchange->is_body_sent && pipe_is_empty(exchange->pipe))
		exchange_give_pipe(exchange);
}

/* --- the request -------------------------------------------------------------- */

struct pipe *
exchange_request_pipe(struct exchange *exchange, uint64_t n)
{
	uint64_t limit;

	if (exchange->state < EXCHANGE_WAITING || exchange->is_upstream_deaf ||
		exchange->body.len > 0 ||
		conn_is_blocked(&exchange->upstream->conn))
		return NULL;
	/* What is too much is refused where it is counted. */
	limit = exchange->service->settings->limits.body;
	if (limit > 0 && exchange->bytes_in + n > limit)
		return NULL;
	return take_pipe(exchange, EXCHANGE_UP);
}

void
exchange_on_request_pipe(struct exchange *exchange, const struct h1_run *run)
{
	assert(!exchange->is_replayable);
	exchange->bytes_in += run->n;
	exchange->sends_continue = false;
	exchange->is_body_complete = run->is_body_end;
	exchange->is_body_sent = run->is_body_end;
	if (upstream_send_pipe(exchange->upstream, exchange->pipe, run) ==
		CONN_FAILED) {
		/* What comes still goes nowhere; its answer may come. */
		exchange->is_upstream_deaf = true;
		exchange_give_pipe(exchange);
	}
	exchange_await_response(exchange);
	exchange_spare_pipe(exchange);
}

/* --- the response ------------------------------------------------------------- */

struct pipe *
exchange_response_pipe(struct exchange *exchange)
{
	if (exchange->ops->send_pipe == NULL)
		return NULL;
	return take_pipe(exchange, EXCHANGE_DOWN);
}

void
exchange_on_response_pipe(struct exchange *exchange, const struct h1_run *run)
{
	enum conn_result result;

	exchange->bytes_out += run->n;
	exchange->is_pipe_last = run->is_body_end;
	result =
		exchange->ops->send_pipe(exchange->stream, exchange->pipe, run);
	if (result == CONN_FAILED)
		exchange_abort(exchange);
	else if (result == CONN_SENT && run->is_body_end)
		exchange_complete(exchange);
	else
		exchange_pass_on(exchange, result);
}
