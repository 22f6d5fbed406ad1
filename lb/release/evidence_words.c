#include <assert.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>

#include "release/evidence.h"

const char *
evidence_signal_name(const struct evidence *evidence, unsigned signal,
	char *out, size_t size)
{
	static const char *const names[EVIDENCE_SIGNALS] = {
		[EVIDENCE_ERRORS] = "errors",
		[EVIDENCE_NOT_FOUND] = "not_found",
		[EVIDENCE_LATENCY] = "latency.p50",
		[EVIDENCE_LATENCY + 1] = "latency.p95",
		[EVIDENCE_LATENCY + 2] = "latency.p99",
		[EVIDENCE_LIMIT] = "limit.errors",
	};

	assert(signal < EVIDENCE_SIGNALS);
	if (signal >= EVIDENCE_WATCH && signal < EVIDENCE_COUNTS)
		snprintf(out, size, "watch.%s",
			evidence->config.watches[signal - EVIDENCE_WATCH]);
	else
		snprintf(out, size, "%s", names[signal]);
	return out;
}

const char *
evidence_number(uint64_t number, char out[EVIDENCE_NUMBER_SIZE])
{
	char digits[EVIDENCE_NUMBER_SIZE];
	size_t n = (size_t)snprintf(digits, sizeof(digits), "%" PRIu64, number);
	size_t used = 0;

	for (size_t i = 0; i < n; i++) {
		if (i > 0 && (n - i) % 3 == 0)
			out[used++] = ',';
		out[used++] = digits[i];
	}
	out[used] = '\0';
	return out;
}

static bool
is_latency(unsigned signal)
{
	return signal >= EVIDENCE_LATENCY &&
	       signal < EVIDENCE_LATENCY + EVIDENCE_QUANTILES;
}

struct evidence_clients
evidence_signal_clients(const struct evidence *evidence, unsigned signal)
{
	const struct evidence_signal *at = &evidence->signals[signal];

	if (is_latency(signal))
		return (struct evidence_clients){
			(uint32_t)at->candidate.n, (uint32_t)at->stable.n};
	return (struct evidence_clients){evidence->candidate_clients,
		signal == EVIDENCE_LIMIT ? 0 : evidence->stable_clients};
}

const char *
evidence_explain(const struct evidence *evidence, unsigned signal,
	const char *candidate, const char *stable, char *out, size_t size)
{
	const struct evidence_signal *at = &evidence->signals[signal];
	char name[EVIDENCE_NAME_MAX + 16];
	char x_c[EVIDENCE_NUMBER_SIZE], n_c[EVIDENCE_NUMBER_SIZE];
	char x_s[EVIDENCE_NUMBER_SIZE], n_s[EVIDENCE_NUMBER_SIZE];
	const struct evidence_clients clients =
		evidence_signal_clients(evidence, signal);

	evidence_signal_name(evidence, signal, name, sizeof(name));
	evidence_number(at->candidate.x, x_c);
	evidence_number(at->stable.x, x_s);
	evidence_number(clients.candidate, n_c);
	evidence_number(clients.stable, n_s);
	if (signal == EVIDENCE_LIMIT)
		snprintf(out, size,
			"%s: %s of %s clients hurt on %s, over %.3g %%", name,
			x_c, n_c, candidate, 100 * evidence->limit_rate);
	else
		snprintf(out, size,
			"%s: %s of %s clients %s on %s, %s of %s on %s", name,
			x_c, n_c, is_latency(signal) ? "slow" : "hurt",
			candidate, x_s, n_s, stable);
	return out;
}
