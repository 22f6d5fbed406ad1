#include "release/meter.h"

static const char *const error_names[METER_ERROR_COUNT] = {
	[METER_ERROR_NONE] = "none",
	[METER_ERROR_CONNECT] = "connect",
	[METER_ERROR_CONNECT_TIMEOUT] = "connect_timeout",
	[METER_ERROR_RESET] = "reset",
	[METER_ERROR_RESPONSE_TIMEOUT] = "response_timeout",
	[METER_ERROR_BAD_RESPONSE] = "bad_response",
	[METER_ERROR_TRUNCATED] = "truncated",
	[METER_ERROR_NO_ENDPOINT] = "no_endpoint",
	[METER_ERROR_OVERLOAD] = "overload",
	[METER_ERROR_CLIENT_ABORT] = "client_abort",
	[METER_ERROR_REQUEST] = "request",
	[METER_ERROR_ROLLED_BACK] = "rolled_back",
};

const char *
meter_error_name(enum meter_error error)
{
	if ((unsigned)error >= METER_ERROR_COUNT)
		return "unknown";
	return error_names[error];
}

static uint64_t
load(const _Atomic uint64_t *counter)
{
	return atomic_load_explicit(counter, memory_order_relaxed);
}

void
meter_sum(const struct meter *meter, struct meter_counts *out)
{
	for (unsigned i = 0; i < 6; i++) {
		uint64_t n = load(&meter->responses[i]);

		out->responses[i] += n;
		out->requests += n;
	}
	for (unsigned i = 0; i < METER_ERROR_COUNT; i++)
		out->errors[i] += load(&meter->errors[i]);
	out->bytes_in += load(&meter->bytes_in);
	out->bytes_out += load(&meter->bytes_out);
	out->retries += load(&meter->retries);
	out->rescues += load(&meter->rescues);
	out->rescued += load(&meter->rescued);
	out->helped += load(&meter->helped);
	out->shields += load(&meter->shields);
	out->shielded += load(&meter->shielded);
	out->connects += load(&meter->connects);
	out->in_flight +=
		atomic_load_explicit(&meter->in_flight, memory_order_relaxed);
}

void
meter_times_sum(const struct meter_times *times, struct meter_counts *out)
{
	histogram_add(&times->first_byte, &out->first_byte);
	histogram_add(&times->total, &out->total);
}

uint64_t
meter_counts_failures(const struct meter_counts *counts)
{
	/* A connect failure, reset or timeout ended in a 502, 503 or 504 of
	 * perch's own, or was made good by a second try. */
	return counts->responses[5] + counts->errors[METER_ERROR_TRUNCATED] +
	       counts->shielded;
}
