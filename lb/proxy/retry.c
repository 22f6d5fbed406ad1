#include "proxy/retry.h"

/* RFC 9110 9.2.2. */
static bool
is_idempotent(enum http_method method)
{
	switch (method) {
	case HTTP_GET:
	case HTTP_HEAD:
	case HTTP_PUT:
	case HTTP_DELETE:
	case HTTP_OPTIONS:
	case HTTP_TRACE:
		return true;
	default:
		return false;
	}
}

enum retry_choice
retry_decide(const struct retry_input *input)
{
	if (input->has_retried)
		return RETRY_NO;
	switch (input->error) {
	case METER_ERROR_CONNECT:
	case METER_ERROR_CONNECT_TIMEOUT:
		/* Nothing was sent: any request may go elsewhere. */
		return input->has_other_endpoint ? RETRY_OTHER_ENDPOINT
						 : RETRY_NO;
	case METER_ERROR_RESET:
		/* The endpoint closed it as idle just when it was taken; but
		 * nobody knows whether it saw the request (RFC 9112 9.3.1). */
		if (input->is_stale && input->is_replayable &&
			is_idempotent(input->method))
			return RETRY_FRESH_CONNECTION;
		return RETRY_NO;
	default:
		return RETRY_NO;
	}
}
