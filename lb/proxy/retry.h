/*
 * retry: may a failed request be asked again, and of whom. Pure.
 */
#ifndef PERCH_PROXY_RETRY_H
#define PERCH_PROXY_RETRY_H

#include <stdbool.h>

#include "http/message.h"
#include "release/meter.h"

enum retry_choice {
	RETRY_NO,
	RETRY_OTHER_ENDPOINT,   /* of the same version */
	RETRY_FRESH_CONNECTION, /* of the same endpoint */
};

struct retry_input {
	enum meter_error error;
	bool has_retried;
	bool has_other_endpoint;
	bool is_stale;      /* a reused connection ended before it answered */
	bool is_replayable; /* the whole request is still at hand */
	enum http_method method;
};

enum retry_choice retry_decide(const struct retry_input *input);

#endif
