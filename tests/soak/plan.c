#include "plan.h"

#include <string.h>

uint64_t
random_next(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

unsigned
random_below(uint64_t *state, unsigned limit)
{
	return (unsigned)(random_next(state) >> 32) % limit;
}

/* True once in so many times. */
static bool
once_in(uint64_t *state, unsigned n)
{
	return random_below(state, n) == 0;
}

/* Mostly small; one in twenty is large enough to be spliced. */
static size_t
body_len(uint64_t *state)
{
	unsigned kind = random_below(state, 100);

	if (kind < 10)
		return 0;
	if (kind < 50)
		return 1 + random_below(state, 200);
	if (kind < 80)
		return random_below(state, 8 * 1024);
	if (kind < 95)
		return random_below(state, 40 * 1024);
	return 64 * 1024 + random_below(state, 240 * 1024);
}

static void
make_request(struct plan *plan, uint64_t *state)
{
	static const char *const with_body[] = {"POST", "PUT", "PATCH"};
	static const char *const without[] = {
		"GET", "GET", "GET", "GET", "GET", "HEAD", "DELETE", "OPTIONS"};

	plan->method = without[random_below(state, 8)];
	plan->request = FRAMING_NONE;
	if (once_in(state, 3)) {
		plan->method = with_body[random_below(state, 3)];
		plan->request =
			once_in(state, 3) ? FRAMING_CHUNKED : FRAMING_LENGTH;
		plan->request_len = body_len(state);
	}
	plan->is_http10 =
		plan->request != FRAMING_CHUNKED && once_in(state, 12);
	plan->is_navigation =
		strcmp(plan->method, "GET") == 0 && once_in(state, 3);
	plan->pad = once_in(state, 20) ? random_below(state, 4000) : 0;
	plan->expects_continue = plan->request != FRAMING_NONE &&
				 !plan->is_http10 && once_in(state, 10);
	plan->client_closes = once_in(state, 15);
	plan->has_trailers = once_in(state, 8);
	plan->slow_client_read = once_in(state, 60);
	plan->slow_client_write = once_in(state, 60);
}

static void
make_response(struct plan *plan, uint64_t *state)
{
	unsigned framing = random_below(state, 12);

	plan->status = 200;
	plan->response = FRAMING_LENGTH;
	if (framing < 4)
		plan->response = FRAMING_CHUNKED;
	else if (framing == 4)
		plan->response = FRAMING_CLOSE;
	plan->response_len = body_len(state);
	if (once_in(state, 25)) {
		plan->status = once_in(state, 2) ? 204 : 304;
		plan->response = FRAMING_NONE;
		plan->response_len = 0;
	} else if (once_in(state, 20)) {
		plan->status = once_in(state, 2) ? 404 : 500;
	}
	plan->sends_hints = !plan->is_http10 && once_in(state, 15);
	plan->backend_closes = once_in(state, 15);
	plan->delay_us = once_in(state, 8) ? random_below(state, 20000) : 0;
	plan->slow_backend_read = once_in(state, 60);
	plan->slow_backend_write = once_in(state, 60);
}

static void
make_faults(struct plan *plan, uint64_t *state)
{
	static const enum backend_fault faults[] = {BACKEND_LEAVE,
		BACKEND_LEAVE, BACKEND_CUT_HEAD, BACKEND_CUT_BODY,
		BACKEND_CUT_BODY, BACKEND_CUT_BODY, BACKEND_GARBAGE,
		BACKEND_ANSWER_EARLY, BACKEND_ANSWER_EARLY, BACKEND_QUIET_CLOSE,
		BACKEND_QUIET_CLOSE};

	plan->cut = random_below(state, 65536);
	plan->is_reset = once_in(state, 2);
	plan->is_fault_once = once_in(state, 2);
	plan->malformed = random_below(state, 1000);
	plan->tunnel_end = (enum tunnel_end)random_below(state, 3);
	if (once_in(state, 7))
		plan->client = (enum client_fault)(1 + random_below(state, 7));
	if (once_in(state, 7))
		plan->backend = faults[random_below(state, 11)];
	else if (once_in(state, 300))
		plan->backend = BACKEND_EXTRA;
	else if (once_in(state, 2000))
		plan->backend = BACKEND_LATE;
	if (plan->client == CLIENT_CUT_BODY && plan->request_len == 0)
		plan->client = CLIENT_GOOD;
	if (plan->client == CLIENT_UPGRADE) {
		plan->method = "GET";
		plan->request = FRAMING_NONE;
		plan->is_http10 = false;
		plan->expects_continue = false;
		plan->request_len = body_len(state);
	}
}

struct plan
plan_make(uint64_t seed, uint64_t n)
{
	uint64_t state = seed ^ n * 0xd6e8feb86659fd93;
	struct plan plan = {.n = n};
	unsigned host = random_below(&state, 100);

	plan.host = HOST_PLAIN;
	if (host < 10)
		plan.host = HOST_SMALL;
	else if (host < 20)
		plan.host = HOST_FLAP;
	else if (host == 20)
		plan.host = HOST_NOBODY;
	make_request(&plan, &state);
	make_response(&plan, &state);
	make_faults(&plan, &state);
	return plan;
}

bool
plan_is_idempotent(const struct plan *plan)
{
	return strcmp(plan->method, "POST") != 0 &&
	       strcmp(plan->method, "PATCH") != 0;
}

bool
plan_is_bodiless(const struct plan *plan)
{
	return strcmp(plan->method, "HEAD") == 0 || plan->status == 204 ||
	       plan->status == 304;
}

/* --- content ------------------------------------------------------------------ */

static uint64_t
word_at(uint64_t n, enum content_way way, size_t index)
{
	uint64_t state = n * 2 + way + index * 0xa0761d6478bd642f;

	return random_next(&state);
}

void
content_fill(
	uint64_t n, enum content_way way, size_t offset, char *to, size_t len)
{
	uint64_t word;
	size_t skip;
	size_t part;

	while (len > 0) {
		word = word_at(n, way, offset / 8);
		skip = offset % 8;
		part = 8 - skip < len ? 8 - skip : len;
		memcpy(to, (const char *)&word + skip, part);
		to += part;
		offset += part;
		len -= part;
	}
}

bool
content_is(uint64_t n, enum content_way way, size_t offset, const char *data,
	size_t len)
{
	char expected[4096];
	size_t part;

	while (len > 0) {
		part = len < sizeof(expected) ? len : sizeof(expected);
		content_fill(n, way, offset, expected, part);
		if (memcmp(expected, data, part) != 0)
			return false;
		data += part;
		offset += part;
		len -= part;
	}
	return true;
}
