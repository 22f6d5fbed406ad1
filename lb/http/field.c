#include "http/field.h"

#include "http/chars.h"

#define IS(literal) CHARS_SAME(name.ptr, literal)
#define TARGETED "-cdn-cache-control"
#define TARGETED_LEN (sizeof(TARGETED) - 1)

/* Names of up to 11 bytes. */
static enum field_id
identify_short(struct slice name)
{
	switch (name.len) {
	case 2:
		return IS("te") ? FIELD_TE : FIELD_OTHER;
	case 3:
		return IS("via") ? FIELD_VIA : FIELD_OTHER;
	case 4:
		return IS("host") ? FIELD_HOST : FIELD_OTHER;
	case 5:
		return IS("range") ? FIELD_RANGE : FIELD_OTHER;
	case 6:
		return IS("accept")   ? FIELD_ACCEPT
		       : IS("cookie") ? FIELD_COOKIE
		       : IS("expect") ? FIELD_EXPECT
		       : IS("origin") ? FIELD_ORIGIN
				      : FIELD_OTHER;
	case 7:
		return IS("referer")   ? FIELD_REFERER
		       : IS("upgrade") ? FIELD_UPGRADE
		       : IS("expires") ? FIELD_EXPIRES
		       : IS("trailer") ? FIELD_TRAILER
				       : FIELD_OTHER;
	case 8:
		return IS("if-match")   ? FIELD_IF_MATCH
		       : IS("if-range") ? FIELD_IF_RANGE
					: FIELD_OTHER;
	case 10:
		return IS("connection")   ? FIELD_CONNECTION
		       : IS("user-agent") ? FIELD_USER_AGENT
		       : IS("set-cookie") ? FIELD_SET_COOKIE
		       : IS("keep-alive") ? FIELD_KEEP_ALIVE
					  : FIELD_OTHER;
	case 11:
		return IS("sec-purpose")   ? FIELD_SEC_PURPOSE
		       : IS("x-perch-key") ? FIELD_X_PERCH_KEY
					   : FIELD_OTHER;
	default:
		return FIELD_OTHER;
	}
}

/* Cloudflare-CDN-Cache-Control, and each vendor's own. */
static enum field_id
identify_vendors(struct slice name)
{
	if (name.len <= TARGETED_LEN)
		return FIELD_OTHER;
	name.ptr += name.len - TARGETED_LEN;
	return IS(TARGETED) ? FIELD_TARGETED_CACHE_CONTROL : FIELD_OTHER;
}

static enum field_id
identify_long(struct slice name)
{
	switch (name.len) {
	case 12:
		return IS("content-type")   ? FIELD_CONTENT_TYPE
		       : IS("x-request-id") ? FIELD_X_REQUEST_ID
		       : IS("edge-control") ? FIELD_TARGETED_CACHE_CONTROL
					    : FIELD_OTHER;
	case 13:
		return IS("cache-control")   ? FIELD_CACHE_CONTROL
		       : IS("if-none-match") ? FIELD_IF_NONE_MATCH
					     : FIELD_OTHER;
	case 14:
		return IS("content-length")   ? FIELD_CONTENT_LENGTH
		       : IS("sec-fetch-dest") ? FIELD_SEC_FETCH_DEST
		       : IS("sec-fetch-mode") ? FIELD_SEC_FETCH_MODE
		       : IS("sec-fetch-site") ? FIELD_SEC_FETCH_SITE
					      : FIELD_OTHER;
	case 15:
		return IS("x-forwarded-for")   ? FIELD_X_FORWARDED_FOR
		       : IS("x-accel-expires") ? FIELD_TARGETED_CACHE_CONTROL
					       : FIELD_OTHER;
	case 16:
		return IS("x-forwarded-host")   ? FIELD_X_FORWARDED_HOST
		       : IS("proxy-connection") ? FIELD_PROXY_CONNECTION
						: FIELD_OTHER;
	case 17:
		return IS("transfer-encoding")   ? FIELD_TRANSFER_ENCODING
		       : IS("if-modified-since") ? FIELD_IF_MODIFIED_SINCE
		       : IS("x-forwarded-proto") ? FIELD_X_FORWARDED_PROTO
		       : IS("cdn-cache-control") || IS("surrogate-control")
			       ? FIELD_TARGETED_CACHE_CONTROL
			       : FIELD_OTHER;
	case 19:
		return IS("if-unmodified-since") ? FIELD_IF_UNMODIFIED_SINCE
						 : identify_vendors(name);
	default:
		return identify_vendors(name);
	}
}

/* Is it what proxies, caches and platforms call a client's address, scheme,
 * certificate or first target? "Proxy" is no such name, but one that CGI makes
 * HTTP_PROXY of. */
static bool
is_claim_by_name(struct slice name)
{
	switch (name.len) {
	case 5:
		return IS("proxy");
	case 6:
		return IS("x-host");
	case 8:
		return IS("x-scheme");
	case 9:
		return IS("forwarded") || IS("x-real-ip") || IS("client-ip");
	case 11:
		return IS("x-forwarded") || IS("x-client-ip") ||
		       IS("x-remote-ip") || IS("client-cert");
	case 12:
		return IS("x-url-scheme");
	case 13:
		return IS("x-rewrite-url") || IS("x-remote-addr") ||
		       IS("x-client-cert");
	case 14:
		return IS("true-client-ip");
	case 15:
		return IS("front-end-https") || IS("proxy-client-ip");
	case 16:
		return IS("cf-connecting-ip") || IS("fastly-client-ip") ||
		       IS("x-originating-ip");
	case 17:
		return IS("client-cert-chain");
	case 18:
		return IS("wl-proxy-client-ip");
	case 19:
		return IS("x-cluster-client-ip");
	case 20:
		return IS("x-http-host-override");
	default:
		return false;
	}
}

static bool
is_claim_by_family(struct slice name)
{
	if (name.len < 13 || (name.ptr[0] | 0x20) != 'x')
		return false;
	return IS("x-forwarded-") || IS("x-original-") || IS("x-ssl-client-");
}

enum field_id
field_identify(struct slice name)
{
	enum field_id id =
		name.len < 12 ? identify_short(name) : identify_long(name);

	if (id != FIELD_OTHER)
		return id;
	return is_claim_by_name(name) || is_claim_by_family(name) ? FIELD_CLAIM
								   : FIELD_OTHER;
}

bool
field_is_token_char(unsigned char c)
{
	return (chars_class[c] & CHARS_TOKEN) != 0;
}

bool
field_is_token(struct slice s)
{
	for (size_t i = 0; i < s.len; i++)
		if (!chars_is(s.ptr[i], CHARS_TOKEN))
			return false;
	return s.len > 0;
}

/* The index of the first comma outside a quoted string, or len. A string that
 * never ends reaches to the end. */
static size_t
find_comma(struct slice s)
{
	bool is_quoted = false;

	for (size_t i = 0; i < s.len; i++) {
		if (is_quoted && s.ptr[i] == '\\')
			i++;
		else if (s.ptr[i] == '"')
			is_quoted = !is_quoted;
		else if (s.ptr[i] == ',' && !is_quoted)
			return i;
	}
	return s.len;
}

/* Drops the first n bytes and a separator behind them, if there is one. */
static void
skip_past(struct slice *rest, size_t n)
{
	if (n < rest->len)
		n++;
	rest->ptr += n;
	rest->len -= n;
}

bool
field_list_next(struct slice *rest, struct slice *element)
{
	while (rest->len > 0) {
		size_t n = find_comma(*rest);

		*element = slice_trim((struct slice){rest->ptr, n});
		skip_past(rest, n);
		if (element->len > 0)
			return true;
	}
	return false;
}

bool
field_list_has(struct slice list, struct slice token)
{
	struct slice element;

	while (field_list_next(&list, &element)) {
		const char *semicolon = memchr(element.ptr, ';', element.len);

		if (semicolon != NULL)
			element.len = (size_t)(semicolon - element.ptr);
		if (slice_equal_nocase(slice_trim(element), token))
			return true;
	}
	return false;
}

bool
field_cookie_next(struct slice *rest, struct slice *name, struct slice *value,
	struct slice *pair)
{
	while (rest->len > 0) {
		const char *end = memchr(rest->ptr, ';', rest->len);
		size_t n = end ? (size_t)(end - rest->ptr) : rest->len;
		const char *equals;

		*pair = slice_trim((struct slice){rest->ptr, n});
		skip_past(rest, n);
		if (pair->len == 0)
			continue;
		/* A browser sends a nameless cookie as its bare value. */
		equals = memchr(pair->ptr, '=', pair->len);
		*name = (struct slice){
			pair->ptr, equals ? (size_t)(equals - pair->ptr) : 0};
		*value = *pair;
		if (equals != NULL)
			skip_past(value, name->len);
		*name = slice_trim(*name);
		*value = slice_trim(*value);
		return true;
	}
	return false;
}
