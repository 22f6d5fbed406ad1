/*
 * Responses: what perch sends to a client, read again, is the message that
 * came from the endpoint, less what is of one hop, plus what perch says.
 *
 * The input's first byte chooses who asked and what was decided about the
 * response, the second the pieces in which the body comes; then the response,
 * as bytes. What should come out is said here anew, not taken from
 * forward_response.c.
 */
#include "relay.h"

#include <string.h>

#include "http/field.h"

enum choice {
	ASKED_BY_HEAD = 1,
	CLOSES = 2,
	ASKED_BY_HTTP10 = 4,
	IS_UPGRADE = 8,
	SETS_COOKIE = 16,
	MAKES_PRIVATE = 32,
	MAKES_UNCACHEABLE = 64,
	IS_HELPED = 128, /* shielded, if with SETS_COOKIE; else rescued */
};

/* What exchange_response.c and client_stream.c decide on; see
 * exchange_on_response() and client_send_head(). */
struct way {
	struct forward_response_options options;
	enum http_method method;
	enum body_kind body; /* as the client should read it */
	struct slice connection;
};

static struct way way;

static const char *const hop_by_hop[] = {"connection", "keep-alive",
	"proxy-connection", "te", "transfer-encoding", NULL};
/* Compared one by one. */
static const char *const special[] = {"connection", "transfer-encoding",
	"content-length", "set-cookie", NULL};
static const char *const unnameable[] = {"content-length", "transfer-encoding",
	"host", "upgrade", "expect", "x-forwarded-for", "x-forwarded-proto",
	"x-forwarded-host", "x-request-id", "close", "keep-alive", NULL};

static const struct slice cookie =
	{"perch=00007.-.-.-; Path=/; HttpOnly", 35};

static bool
is_interim(const struct message *response)
{
	return response->status < 200;
}

static void
choose_framing(uint8_t choices, const struct message *response)
{
	bool is_http10 = choices & ASKED_BY_HTTP10;
	bool closes = choices & CLOSES;

	way.body = (enum body_kind)response->body;
	way.connection = (struct slice){NULL, 0};
	if (way.body == BODY_UNTIL_CLOSE || way.body == BODY_CHUNKED) {
		way.body = is_http10 ? BODY_UNTIL_CLOSE : BODY_CHUNKED;
		closes = closes || is_http10;
	}
	if (is_interim(response))
		return;
	if (closes)
		way.connection = SLICE("close");
	else if (is_http10)
		way.connection = SLICE("keep-alive");
}

static void
choose_extras(uint8_t choices, const struct message *response)
{
	struct forward_response_options *options = &way.options;

	options->makes_uncacheable = choices & MAKES_UNCACHEABLE;
	options->makes_private = (choices & MAKES_PRIVATE) &&
				 forward_is_shared_cacheable(response);
	if ((choices & IS_HELPED) && (choices & SETS_COOKIE))
		options->shielded_by = SLICE("v1");
	else if (choices & IS_HELPED)
		options->rescued_by = SLICE("v2");
	else if (choices & SETS_COOKIE)
		options->set_cookie = cookie;
}

/* False for what never gets as far. */
static bool
choose(uint8_t choices, const struct message *response)
{
	struct slice upgrade = message_find(response, FIELD_UPGRADE);

	way.options = (struct forward_response_options){
		.upgrade = response->status == 101 ? SLICE("websocket")
						   : SLICE_NONE,
	};
	if (!is_interim(response))
		choose_extras(choices, response);
	choose_framing(choices, response);
	if (is_interim(response) && (choices & ASKED_BY_HTTP10))
		return false;
	if (response->status != 101)
		return true;
	return (choices & IS_UPGRADE) &&
	       slice_equal_nocase(upgrade, SLICE("websocket"));
}

/* Dropped, or said in another way. */
static bool
is_rewritten(const struct message *message, const struct field *field)
{
	const struct forward_response_options *options = &way.options;

	struct slice name = message_field_name(message, field);

	if (options->rescued_by.len > 0 &&
		slice_equal_nocase(name, SLICE("x-perch-rescued")))
		return true;
	if (options->shielded_by.len > 0 &&
		slice_equal_nocase(name, SLICE("x-perch-shielded")))
		return true;
	if (field->id == FIELD_CACHE_CONTROL)
		return options->makes_private || options->makes_uncacheable;
	return field->id == FIELD_EXPIRES && options->makes_uncacheable;
}

static bool
stays(const struct message *response, const struct field *field)
{
	struct slice name = message_field_name(response, field);

	if (relay_is_one_of(name, hop_by_hop) ||
		relay_is_one_of(name, special))
		return false;
	/* The one protocol that was asked about, of any list. */
	if (slice_equal_nocase(name, SLICE("upgrade")))
		return way.options.upgrade.len > 0 &&
		       slice_equal_nocase(message_field_value(response, field),
			       SLICE("websocket"));
	if (is_rewritten(response, field))
		return false;
	return relay_is_one_of(name, unnameable) ||
	       !relay_is_named(response, name);
}

static bool
is_added(const struct message *sent, const struct field *field)
{
	return relay_is_one_of(message_field_name(sent, field), special) ||
	       is_rewritten(sent, field);
}

static void
check_hop(const struct message *sent)
{
	relay_check_none(sent, "keep-alive");
	relay_check_none(sent, "proxy-connection");
	relay_check_none(sent, "te");
	for (size_t i = 0; i < sent->n_fields; i++)
		if (sent->fields[i].id == FIELD_UPGRADE)
			CHECK(slice_equal_nocase(message_field_value(sent,
							 &sent->fields[i]),
				SLICE("websocket")));
	if (way.options.upgrade.len > 0)
		relay_check_single(sent, "connection", SLICE("upgrade"));
	else if (way.connection.len > 0)
		relay_check_single(sent, "connection", way.connection);
	else
		relay_check_none(sent, "connection");
}

/* The endpoint's own, and perch's behind them. */
static void
check_cookies(const struct message *response, const struct message *sent)
{
	unsigned n = relay_count(response, "set-cookie");
	size_t j = 0;

	if (relay_is_named(response, SLICE("set-cookie")))
		n = 0;
	CHECK(relay_count(sent, "set-cookie") ==
		n + (way.options.set_cookie.len > 0));
	for (size_t i = 0; i < response->n_fields && n > 0; i++) {
		if (response->fields[i].id != FIELD_SET_COOKIE)
			continue;
		while (sent->fields[j].id != FIELD_SET_COOKIE)
			j++;
		CHECK(slice_equal(message_field_value(
					  response, &response->fields[i]),
			message_field_value(sent, &sent->fields[j++])));
	}
	if (way.options.set_cookie.len == 0)
		return;
	while (sent->fields[j].id != FIELD_SET_COOKIE)
		j++;
	CHECK(slice_equal(
		message_field_value(sent, &sent->fields[j]), cookie));
}

static bool
is_for_shared_caches(struct slice directive)
{
	static const char *const words[] = {
		"public", "proxy-revalidate", NULL};

	return relay_is_one_of(directive, words) ||
	       (directive.len >= 8 &&
		       slice_equal_nocase((struct slice){directive.ptr, 8},
			       SLICE("s-maxage")));
}

/* "private", and all that was said to the client's own cache. */
static void
check_private(const struct message *response, const struct message *sent)
{
	struct relay_bytes expected = {NULL, 0};
	struct slice rest, directive;

	if (!way.options.makes_private || way.options.makes_uncacheable)
		return;
	relay_append(&expected, SLICE("private"));
	for (size_t i = 0; i < response->n_fields; i++) {
		if (response->fields[i].id != FIELD_CACHE_CONTROL)
			continue;
		rest = message_field_value(response, &response->fields[i]);
		while (field_list_next(&rest, &directive)) {
			if (is_for_shared_caches(directive))
				continue;
			relay_append(&expected, SLICE(", "));
			relay_append(&expected, directive);
		}
	}
	relay_check_single(sent, "cache-control", relay_slice(&expected));
	free(expected.ptr);
	CHECK(!forward_is_shared_cacheable(sent));
}

static void
check_help(const struct message *sent)
{
	if (way.options.shielded_by.len > 0)
		relay_check_single(
			sent, "x-perch-shielded", way.options.shielded_by);
	if (way.options.rescued_by.len > 0)
		relay_check_single(
			sent, "x-perch-rescued", way.options.rescued_by);
	if (!way.options.makes_uncacheable)
		return;
	relay_check_single(sent, "cache-control", SLICE("no-store"));
	relay_check_none(sent, "expires");
}

static void
check_response(const struct message *response, const struct message *sent)
{
	bool has_no_length =
		is_interim(response) || response->status == 204;

	CHECK(sent->status == response->status);
	CHECK(slice_equal(message_slice(response, response->reason),
		message_slice(sent, sent->reason)));
	CHECK(sent->version_minor == 1);
	CHECK(sent->body == way.body);
	if (has_no_length)
		relay_check_none(sent, "content-length");
	else
		CHECK(relay_count(sent, "content-length") ==
			(relay_count(response, "content-length") > 0));
	if (!has_no_length)
		CHECK(sent->content_length == response->content_length);
	CHECK(relay_count(sent, "transfer-encoding") ==
		(way.body == BODY_CHUNKED));
	relay_check_kept(response, stays, sent, is_added);
	check_hop(sent);
	check_cookies(response, sent);
	check_private(response, sent);
	check_help(sent);
}

/* The bytes that a client gets, read as one does. */
static void
check_wire(const struct message *response, const struct relay_result *result)
{
	static struct message sent;
	size_t scanned = 0, head_len;

	CHECK(h1_find_end(result->wire.ptr, result->wire.len,
		      relay_limits_out.head, &scanned, &head_len) == H1_OK);
	CHECK(h1_parse_response(result->wire.ptr, head_len, &relay_limits_out,
		      way.method, &sent, NULL) == H1_OK);
	check_response(response, &sent);
	relay_check_body(result, head_len, sent.body, sent.content_length);
}

static size_t
write_head(const struct message *response, char *out)
{
	static char space[RELAY_TEXT];
	struct forward_text text = {space, 0, sizeof(space)};
	struct forward_head head;

	CHECK(forward_response(response, &way.options, &text, &head));
	CHECK(head.body == response->body);
	CHECK(head.is_bodiless == (response->body == BODY_NONE));
	if (way.body == BODY_CHUNKED)
		forward_add(&head, SLICE("Transfer-Encoding"),
			SLICE("chunked"));
	return forward_write_response(
		&head, way.connection, out, RELAY_SCRATCH);
}

static void
pass(const struct message *response, struct slice body, uint8_t seed)
{
	static char head[RELAY_SCRATCH];
	struct relay_plan plan = {
		.body = (enum body_kind)response->body,
		.content_length = response->content_length,
		.is_chunked_out = way.body == BODY_CHUNKED,
		.is_bodiless_out = way.body == BODY_NONE,
		.seed = seed,
	};
	size_t head_len = write_head(response, head);
	struct relay_result result;

	CHECK(head_len > 0);
	relay_body(&plan, (struct slice){head, head_len}, body, &result);
	if (result.wire.len > 0)
		check_wire(response, &result);
	relay_free(&result);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct message response;
	const char *bytes = (const char *)data + 2;
	size_t scanned = 0, head_len;
	char *exact;

	if (size < 2)
		return 0;
	size -= 2;
	if (h1_find_end(bytes, size, relay_limits.head, &scanned, &head_len) !=
		H1_OK)
		return 0;
	exact = malloc(head_len);
	CHECK(exact != NULL);
	memcpy(exact, bytes, head_len);
	way.method = data[0] & ASKED_BY_HEAD ? HTTP_HEAD : HTTP_GET;
	if (h1_parse_response(exact, head_len, &relay_limits, way.method,
		    &response, NULL) == H1_OK &&
		choose(data[0], &response))
		pass(&response,
			(struct slice){bytes + head_len, size - head_len},
			data[1]);
	free(exact);
	return 0;
}
