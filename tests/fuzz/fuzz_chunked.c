/* Chunked bodies: any split gives the same data and the same end, and what
 * was decoded, encoded anew, decodes to itself. The input's first byte seeds
 * the splits. */
#include "fuzz.h"

#include <string.h>

#include "http/h1_body.h"
#include "http/h1_write.h"

struct outcome {
	enum h1_result result;
	size_t consumed;
	size_t len;
	size_t trailers_len;
	char *data;
	char *trailers;
};

static void
start(struct outcome *outcome, size_t size)
{
	memset(outcome, 0, sizeof(*outcome));
	outcome->data = malloc(size + 1);
	outcome->trailers = malloc(size + 1);
	CHECK(outcome->data != NULL && outcome->trailers != NULL);
}

static void
finish(struct outcome *outcome)
{
	free(outcome->data);
	free(outcome->trailers);
}

/* Decodes raw[0..len) of a buffer of just that size. */
static void
feed(struct h1_body *body, const char *raw, size_t len, struct outcome *outcome)
{
	char *copy = malloc(len > 0 ? len : 1);
	struct slice trailers;
	size_t consumed, produced;

	CHECK(copy != NULL);
	memcpy(copy, raw, len);
	outcome->result = h1_body_decode(
		body, copy, len, &consumed, &produced, &trailers);
	CHECK(consumed <= len && produced <= consumed);
	if (outcome->result != H1_BAD)
		CHECK(memcmp(copy + consumed, raw + consumed, len - consumed) ==
			0);
	CHECK(trailers.len == 0 || outcome->result == H1_OK);
	memcpy(outcome->data + outcome->len, copy, produced);
	outcome->len += produced;
	outcome->trailers_len = trailers.len;
	if (trailers.len > 0) {
		CHECK(trailers.ptr >= copy + produced);
		CHECK(trailers.ptr + trailers.len <= copy + consumed);
		memcpy(outcome->trailers, trailers.ptr, trailers.len);
	}
	outcome->consumed += consumed;
	free(copy);
}

/* In steps of 1 to 16 bytes that come from seed; all at once for 0. */
static void
decode(const char *raw, size_t size, uint8_t seed, struct outcome *outcome)
{
	struct h1_body body;
	uint32_t random = seed;
	size_t end = 0;

	start(outcome, size);
	h1_body_start(&body, BODY_CHUNKED, 0);
	do {
		random = random * 1664525 + 1013904223;
		end += seed ? 1 + (random >> 24) % (1 + seed % 16) : size;
		if (end > size)
			end = size;
		feed(&body, raw + outcome->consumed, end - outcome->consumed,
			outcome);
	} while (outcome->result == H1_PARTIAL && end < size);
}

static void
check_same(const struct outcome *a, const struct outcome *b)
{
	CHECK(a->result == b->result);
	CHECK(a->len == b->len && memcmp(a->data, b->data, a->len) == 0);
	CHECK(a->trailers_len == b->trailers_len);
	CHECK(memcmp(a->trailers, b->trailers, a->trailers_len) == 0);
	CHECK(a->result == H1_BAD || a->consumed == b->consumed);
}

static void
check_encoded(const struct outcome *outcome)
{
	size_t room = outcome->len + outcome->trailers_len + 64, n = 0;
	char *raw = malloc(room);
	struct outcome again;

	CHECK(raw != NULL);
	if (outcome->len > 0) {
		n = h1_write_chunk_size(raw, outcome->len);
		memcpy(raw + n, outcome->data, outcome->len);
		n += outcome->len;
		memcpy(raw + n, "\r\n", 2);
		n += 2;
	}
	memcpy(raw + n, "0\r\n", 3);
	n += 3;
	memcpy(raw + n, outcome->trailers, outcome->trailers_len);
	n += outcome->trailers_len;
	memcpy(raw + n, "\r\n", 2);
	n += 2;
	decode(raw, n, 0, &again);
	CHECK(again.consumed == n);
	again.consumed = outcome->consumed;
	check_same(outcome, &again);
	finish(&again);
	free(raw);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct outcome whole, parts;
	const char *raw;

	if (size == 0)
		return 0;
	raw = (const char *)data + 1;
	size--;
	decode(raw, size, 0, &whole);
	decode(raw, size, data[0] | 1, &parts);
	check_same(&whole, &parts);
	finish(&parts);
	decode(raw, size, 16, &parts);
	check_same(&whole, &parts);
	finish(&parts);
	if (whole.result == H1_OK)
		check_encoded(&whole);
	finish(&whole);
	return 0;
}
