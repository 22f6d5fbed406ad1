/*
 * Requests: what perch sends to an endpoint, read again, is the message that
 * came in, less what is of one hop or perch's own, plus what perch says.
 *
 * The input's first byte chooses who the client is and what was decided about
 * the request, the second the pieces in which the body comes; then the request,
 * as bytes. What should come out is said here anew, not taken from
 * forward_request.c.
 */
#include "relay.h"

#include <string.h>

#include "http/field.h"
#include "proxy/disguise.h"

enum choice {
	IS_TRUSTED = 1,
	IS_UPGRADE = 2,
	KEEPS_ID = 4,
	DROPS_CONDITIONS = 8,
	HAS_ODD_HEADER = 16,
	HAS_SUFFIXED_COOKIE = 32,
	IS_IPV6 = 64,
	LETS_CLAIM = 128,
};

static char real_ip[] = "X-Real-IP";
static char *let_through[] = {real_ip};

static struct address peer;
static struct forward_request_options options;

/* Of one hop (RFC 9110 7.6.1), or put there by perch. */
static const char *const hop_by_hop[] = {"connection", "keep-alive",
	"proxy-connection", "te", "transfer-encoding", NULL};
static const char *const conditions[] = {"if-match", "if-modified-since",
	"if-none-match", "if-range", "if-unmodified-since", "range", NULL};
/* Compared one by one, by check_added(). */
static const char *const special[] = {"connection", "te", "transfer-encoding",
	"content-length", "host", "cookie", "x-forwarded-for",
	"x-forwarded-proto", "x-forwarded-host", "x-request-id", NULL};
/* Connection can't name what frames a message, says whose it is or what
 * follows it. */
static const char *const unnameable[] = {"content-length", "transfer-encoding",
	"host", "upgrade", "expect", "x-forwarded-for", "x-forwarded-proto",
	"x-forwarded-host", "x-request-id", "close", "keep-alive", NULL};

static bool
is_let_through(struct slice upgrade)
{
	return slice_equal_nocase(upgrade, SLICE("websocket")) ||
	       slice_equal_nocase(upgrade, SLICE("spdy/3.1"));
}

static void
choose(uint8_t choices, const struct message *request)
{
	struct slice upgrade = message_find(request, FIELD_UPGRADE);
	bool is_odd = choices & HAS_ODD_HEADER;
	bool is_suffixed = choices & HAS_SUFFIXED_COOKIE;

	CHECK(address_parse_ip(choices & IS_IPV6 ? SLICE("2001:db8::7")
						 : SLICE("192.0.2.7"),
		4711, &peer));
	options = (struct forward_request_options){
		.client = {&peer, choices & IS_TRUSTED, SLICE("http")},
		.request_id = SLICE("id-1"),
		.override_header =
			is_odd ? SLICE("X_Sticky") : SLICE("X-Perch-Version"),
		.override_value = SLICE("web=v2"),
		.default_host = SLICE("default.example"),
		.cookie_name =
			is_suffixed ? SLICE("perch_web") : SLICE("perch"),
		.former_cookie_name =
			is_suffixed ? SLICE("perch") : SLICE("perch_web"),
		.claims = let_through,
		.n_claims = choices & LETS_CLAIM ? 1 : 0,
		.drops_conditions = choices & DROPS_CONDITIONS,
		/* To two of the protocols that may be let through. */
		.upgrade = (choices & IS_UPGRADE) && request->has_upgrade &&
					   is_let_through(upgrade)
				   ? upgrade
				   : SLICE_NONE,
	};
	/* Only a trusted client's is taken, and only a good one. */
	options.keeps_request_id =
		(choices & KEEPS_ID) && options.client.is_trusted &&
		message_find(request, FIELD_X_REQUEST_ID).len > 0;
}

/* What only a proxy says of its client, told anew: names, and what begins so. */
static const char *const claims[] = {"forwarded", "x-forwarded", "x-real-ip",
	"client-ip", "x-client-ip", "x-remote-ip", "x-remote-addr",
	"true-client-ip", "x-cluster-client-ip", "cf-connecting-ip",
	"fastly-client-ip", "x-originating-ip", "proxy-client-ip",
	"wl-proxy-client-ip", "x-host", "x-http-host-override", "x-scheme",
	"x-url-scheme", "front-end-https", "x-rewrite-url", "client-cert",
	"client-cert-chain", "x-client-cert", "proxy", NULL};
static const char *const claim_families[] = {
	"x-forwarded-", "x-original-", "x-ssl-client-", NULL};
/* Some of what a disguise may pass for. */
static const char *const meant[] = {"content-length", "transfer-encoding",
	"user-agent", "if-match", "sec-fetch-mode", "x-perch-key",
	"content-encoding", "proxy-connection", NULL};

static bool
is_in_family(struct slice name)
{
	for (unsigned i = 0; claim_families[i] != NULL; i++) {
		struct slice family = slice_from_string(claim_families[i]);
		struct slice start = {name.ptr, family.len};

		if (name.len > family.len && relay_looks_like(start, family))
			return true;
	}
	return false;
}

static bool
looks_like_one_of(struct slice name, const char *const *names)
{
	for (unsigned i = 0; names[i] != NULL; i++)
		if (relay_looks_like(name, slice_from_string(names[i])))
			return true;
	return false;
}

static bool
is_claim(struct slice name)
{
	return looks_like_one_of(name, claims) || is_in_family(name);
}

static bool
may_claim(struct slice name)
{
	return options.client.is_trusted ||
	       (options.n_claims > 0 &&
		       slice_equal_nocase(name, SLICE("X-Real-IP")));
}

/* Nobody is let through with these. */
static bool
is_known_disguise(struct slice name)
{
	return memchr(name.ptr, '_', name.len) != NULL &&
	       (is_claim(name) || looks_like_one_of(name, meant));
}

static bool
is_perchs_own(struct slice name)
{
	return relay_looks_like(name, options.override_header) ||
	       relay_looks_like(name, SLICE("x-forwarded-for")) ||
	       relay_looks_like(name, SLICE("x-forwarded-proto")) ||
	       relay_looks_like(name, SLICE("x-forwarded-host")) ||
	       relay_looks_like(name, SLICE("x-request-id"));
}

static bool
stays(const struct message *request, const struct field *field)
{
	struct slice name = message_field_name(request, field);

	if (relay_is_one_of(name, hop_by_hop) ||
		relay_is_one_of(name, special) || is_perchs_own(name))
		return false;
	if (disguise_is_one(name) || (is_claim(name) && !may_claim(name)))
		return false;
	/* The one protocol that was asked about, of any list. */
	if (slice_equal_nocase(name, SLICE("upgrade")))
		return options.upgrade.len > 0 &&
		       slice_equal_nocase(message_field_value(request, field),
			       options.upgrade);
	if (options.drops_conditions && relay_is_one_of(name, conditions))
		return false;
	return relay_is_one_of(name, unnameable) ||
	       !relay_is_named(request, name);
}

static bool
is_added(const struct message *sent, const struct field *field)
{
	struct slice name = message_field_name(sent, field);

	return relay_is_one_of(name, special) ||
	       slice_equal_nocase(name, options.override_header);
}

/* No other spelling of what only perch may say. */
static void
check_disguises(const struct message *sent)
{
	unsigned n_override = 0;

	for (size_t i = 0; i < sent->n_fields; i++) {
		struct slice name = message_field_name(sent, &sent->fields[i]);

		if (relay_looks_like(name, options.override_header)) {
			CHECK(slice_equal(name, options.override_header));
			CHECK(slice_equal(message_field_value(
						  sent, &sent->fields[i]),
				options.override_value));
			n_override++;
		} else if (is_perchs_own(name)) {
			CHECK(memchr(name.ptr, '_', name.len) == NULL);
		} else {
			CHECK(!is_known_disguise(name));
			CHECK(!is_claim(name) || may_claim(name));
		}
	}
	CHECK(n_override == 1);
}

static void
check_forwarded(const struct message *request, const struct message *sent)
{
	char address[ADDRESS_TEXT_SIZE];
	struct relay_bytes hops = {NULL, 0};
	bool is_trusted = options.client.is_trusted;

	for (size_t i = 0; i < request->n_fields && is_trusted; i++) {
		const struct field *field = &request->fields[i];

		if (field->id != FIELD_X_FORWARDED_FOR || field->value_len == 0)
			continue;
		relay_append(&hops, message_field_value(request, field));
		relay_append(&hops, SLICE(", "));
	}
	relay_append(&hops,
		(struct slice){address, address_format_ip(&peer, address)});
	relay_check_single(sent, "x-forwarded-for", relay_slice(&hops));
	free(hops.ptr);
	if (is_trusted && relay_count(request, "x-forwarded-proto") > 0)
		relay_check_same(request, sent, "x-forwarded-proto");
	else
		relay_check_single(
			sent, "x-forwarded-proto", options.client.scheme);
	if (is_trusted && relay_count(request, "x-forwarded-host") > 0)
		relay_check_same(request, sent, "x-forwarded-host");
	else if (request->host.len > 0)
		relay_check_single(sent, "x-forwarded-host",
			message_slice(request, request->host));
	else
		relay_check_none(sent, "x-forwarded-host");
	if (options.keeps_request_id)
		relay_check_same(request, sent, "x-request-id");
	else
		relay_check_single(sent, "x-request-id", options.request_id);
}

/* Connection and what belongs to it are perch's own. */
static void
check_hop(const struct message *request, const struct message *sent)
{
	bool has_te = relay_count(sent, "te") > 0;

	relay_check_none(sent, "keep-alive");
	relay_check_none(sent, "proxy-connection");
	CHECK(sent->keep_alive);
	CHECK(sent->has_upgrade == (options.upgrade.len > 0));
	if (has_te) {
		relay_check_single(sent, "te", SLICE("trailers"));
		CHECK(relay_count(request, "te") > 0);
	}
	for (size_t i = 0; i < sent->n_fields; i++)
		if (sent->fields[i].id == FIELD_UPGRADE)
			CHECK(slice_equal_nocase(message_field_value(sent,
							 &sent->fields[i]),
				options.upgrade));
	if (has_te || options.upgrade.len > 0)
		relay_check_single(sent, "connection",
			!has_te              ? SLICE("upgrade")
			: options.upgrade.len > 0 ? SLICE("upgrade, TE")
					     : SLICE("TE"));
	else
		relay_check_none(sent, "connection");
}

static bool
is_own_cookie(struct slice name)
{
	return slice_equal(name, options.cookie_name) ||
	       slice_equal(name, options.former_cookie_name);
}

/* What is left of a Cookie field is appended to rest; was it perch's? */
static bool
strip_own(struct slice value, struct relay_bytes *rest)
{
	struct slice walk = value, name, cookie, pair;
	bool has_own = false;

	while (field_cookie_next(&walk, &name, &cookie, &pair))
		has_own = has_own || is_own_cookie(name);
	while (has_own && field_cookie_next(&value, &name, &cookie, &pair)) {
		if (is_own_cookie(name))
			continue;
		relay_append(rest, rest->len > 0 ? SLICE("; ") : SLICE(""));
		relay_append(rest, pair);
	}
	return has_own;
}

/* The next Cookie field from *i on; its end has *i == n_fields. */
static struct slice
next_cookie(const struct message *message, size_t *i)
{
	for (; *i < message->n_fields; (*i)++)
		if (message->fields[*i].id == FIELD_COOKIE)
			return message_field_value(
				message, &message->fields[(*i)++]);
	return (struct slice){NULL, 0};
}

/* Fields without perch's own cookie stay; of the others the rest is one. */
static void
check_cookies(const struct message *request, const struct message *sent)
{
	struct relay_bytes rest = {NULL, 0};
	size_t i = 0, j = 0;
	struct slice value;

	if (relay_is_named(request, SLICE("cookie"))) {
		relay_check_none(sent, "cookie");
		return;
	}
	while ((value = next_cookie(request, &i)).ptr != NULL)
		if (!strip_own(value, &rest))
			CHECK(slice_equal(value, next_cookie(sent, &j)));
	if (rest.len > 0)
		CHECK(slice_equal(relay_slice(&rest), next_cookie(sent, &j)));
	CHECK(next_cookie(sent, &j).ptr == NULL);
	free(rest.ptr);
}

static void
check_request(const struct message *request, const struct message *sent)
{
	CHECK(slice_equal(message_slice(request, request->method_name),
		message_slice(sent, sent->method_name)));
	CHECK(slice_equal(message_slice(request, request->path),
		message_slice(sent, sent->target)));
	CHECK(sent->version_minor == 1);
	relay_check_single(sent, "host",
		request->host.len > 0 ? message_slice(request, request->host)
				      : options.default_host);
	CHECK(sent->body == request->body);
	CHECK(sent->content_length == request->content_length);
	CHECK(relay_count(sent, "content-length") ==
		(relay_count(request, "content-length") > 0));
	CHECK(relay_count(sent, "transfer-encoding") ==
		(request->body == BODY_CHUNKED));
	/* Who waits for 100 must be told of it (HTTP/1.0 never waits). */
	if (request->version_minor > 0)
		CHECK(sent->expects_continue == request->expects_continue);
	relay_check_kept(request, stays, sent, is_added);
	check_disguises(sent);
	check_forwarded(request, sent);
	check_hop(request, sent);
	check_cookies(request, sent);
}

static struct slice
filter_trailers(struct slice trailers)
{
	struct slice kept = forward_trailers(trailers, &options);
	const char *line = kept.ptr;
	size_t left = kept.len;

	CHECK(left == 0 || left == trailers.len);
	while (left > 0) {
		const char *colon = memchr(line, ':', left);
		const char *newline = memchr(line, '\n', left);

		CHECK(colon != NULL && newline != NULL && colon < newline);
		CHECK(!is_perchs_own(
			(struct slice){line, (size_t)(colon - line)}));
		CHECK(!is_known_disguise(
			(struct slice){line, (size_t)(colon - line)}));
		left -= (size_t)(newline + 1 - line);
		line = newline + 1;
	}
	return kept;
}

/* The bytes that an endpoint gets, read as one does. */
static void
check_wire(const struct message *request, const struct relay_result *result)
{
	static struct message sent;
	size_t scanned = 0, head_len;

	CHECK(h1_find_end(result->wire.ptr, result->wire.len,
		      relay_limits_out.head, &scanned, &head_len) == H1_OK);
	CHECK(h1_parse_request(result->wire.ptr, head_len, &relay_limits_out,
		      &sent, NULL) == H1_OK);
	check_request(request, &sent);
	relay_check_body(result, head_len, sent.body, sent.content_length);
}

static size_t
write_head(struct message *request, char *out)
{
	static char space[RELAY_TEXT];
	struct forward_text text = {space, 0, sizeof(space)};
	struct forward_head head;

	CHECK(forward_request(request, &options, &text, &head));
	CHECK(head.body == request->body);
	return forward_write_request(&head, out, RELAY_SCRATCH);
}

static void
pass(struct message *request, struct slice body, uint8_t seed)
{
	static char head[RELAY_SCRATCH];
	struct relay_plan plan = {
		.body = request->body,
		.content_length = request->content_length,
		.is_chunked_out = request->body == BODY_CHUNKED,
		.filter_trailers = filter_trailers,
		.seed = seed,
	};
	size_t head_len = write_head(request, head);
	struct relay_result result;

	/* A head of 16 KiB fits, whatever was added. */
	CHECK(head_len > 0);
	relay_body(&plan, (struct slice){head, head_len}, body, &result);
	/* Nothing is sent of a body that is bad at its start. */
	if (result.wire.len > 0)
		check_wire(request, &result);
	relay_free(&result);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct message request;
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
	/* CONNECT is refused. */
	if (h1_parse_request(exact, head_len, &relay_limits, &request, NULL) ==
			H1_OK &&
		request.method != HTTP_CONNECT) {
		choose(data[0], &request);
		pass(&request,
			(struct slice){bytes + head_len, size - head_len},
			data[1]);
	}
	free(exact);
	return 0;
}
