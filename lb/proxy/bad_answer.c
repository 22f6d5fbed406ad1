#include "proxy/bad_answer.h"

#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "proxy/exchange.h"

/* Of one endpoint's, one line in so long. */
#define SAY_NS CLOCK_NS_PER_S
#define OTHER (BAD_ANSWER_REASONS - 1)

static const char *const reasons[BAD_ANSWER_REASONS] = {
	"malformed HTTP version",
	"not HTTP/1.x",
	"malformed status",
	"status below 100",
	"malformed reason phrase",
	"too many fields",
	"field line without an end",
	"folded field line",
	"space before a field's colon",
	"field line without a colon",
	"empty field name",
	"bad byte in a field name",
	"field name too long",
	"bare CR",
	"bare LF",
	"control byte in a field value",
	"bare CR or no end of the head",
	"bare LF in head",
	"head over its limit",
	"two Hosts",
	"malformed or differing Content-Length",
	"Content-Length in a 1xx",
	"Transfer-Encoding and Content-Length together",
	"Transfer-Encoding in HTTP/1.0",
	"malformed Transfer-Encoding",
	"Transfer-Encoding doesn't end in exactly one chunked",
	"a transfer coding other than chunked",
	"malformed chunk",
	"101 that was not asked for",
	"head too large to be passed on",
	[OTHER] = "other",
};

const char *
bad_answer_reason(unsigned index)
{
	return reasons[index];
}

static unsigned
find(const char *why)
{
	unsigned i = 0;

	while (i < OTHER && strcmp(reasons[i], why) != 0)
		i++;
	return i;
}

/* Several workers may have one to tell of; one of them has its turn. */
static void
say(const struct exchange *exchange, const char *why)
{
	struct registry_endpoint *endpoint = exchange->target;
	uint64_t now_ns = exchange->shard->now_ns;
	uint64_t said_ns = atomic_load(&endpoint->bad_answer_said_ns);
	uint64_t n_unsaid;

	if ((said_ns != 0 && now_ns - said_ns < SAY_NS) ||
		!atomic_compare_exchange_strong(
			&endpoint->bad_answer_said_ns, &said_ns, now_ns)) {
		atomic_fetch_add(&endpoint->n_bad_answers_unsaid, 1);
		return;
	}
	n_unsaid = atomic_exchange(&endpoint->n_bad_answers_unsaid, 0);
	log_warn("malformed answer of %s (%s of %s): %s; %llu more before it",
		endpoint->name, endpoint->version->name,
		endpoint->version->service->name, why,
		(unsigned long long)n_unsaid);
}

void
bad_answer_note(struct exchange *exchange, const char *why)
{
	struct worker_counts *counts = exchange->shard->counts;

	meter_add(&counts->bad_answers[find(why)], 1);
	exchange->why = why;
	if (exchange->target != NULL)
		say(exchange, why);
}
