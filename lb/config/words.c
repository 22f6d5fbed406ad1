#include "config/words.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/un.h>

#include "base/memory.h"
#include "base/url.h"
#include "config/config.h"
#include "config/report.h"

#define MAX_NAME_LEN 64
/* A request for it fits into any socket's buffer. */
#define MAX_TARGET_LEN 2048

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool
is_alnum(char c)
{
	return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool
has_char(struct slice text, char c)
{
	return text.len > 0 && memchr(text.ptr, c, text.len) != NULL;
}

/* tchar, RFC 9110 5.6.2 */
static bool
is_token(struct slice text)
{
	size_t i;

	for (i = 0; i < text.len; i++) {
		char c = text.ptr[i];

		if (!is_alnum(c) &&
			(c == '\0' || strchr("!#$%&'*+-.^_`|~", c) == NULL))
			return false;
	}
	return text.len > 0;
}

static void
set_string(void *out, const char *bytes, size_t len)
{
	*(char **)out = memory_strndup(bytes, len);
}

/* Names stand in cookies, headers and paths of the admin server. */
bool
words_parse_name(const struct schema_key *key, struct slice text, void *out,
	struct error *error)
{
	bool has_alnum = false;
	size_t i;

	for (i = 0; i < text.len; i++) {
		char c = text.ptr[i];

		if (is_alnum(c))
			has_alnum = true;
		else if (c != '.' && c != '_' && c != '-')
			return false;
	}
	/* "-" is no version in a cookie, ".." no part of a path. */
	if (!has_alnum || text.len > MAX_NAME_LEN)
		return false;
	set_string(out, text.ptr, text.len);
	return true;
}

bool
words_parse_user(const struct schema_key *key, struct slice text, void *out,
	struct error *error)
{
	size_t i;

	for (i = 0; i < text.len; i++) {
		char c = text.ptr[i];

		if (!is_alnum(c) && c != '_' &&
			(i == 0 || (c != '-' && c != '.' && c != '$')))
			return false;
	}
	if (text.len == 0 || is_digit(text.ptr[0]))
		return false;
	set_string(out, text.ptr, text.len);
	return true;
}

bool
words_parse_path(const struct schema_key *key, struct slice text, void *out,
	struct error *error)
{
	if (text.len == 0)
		return false;
	set_string(out, text.ptr, text.len);
	return true;
}

/* A path has a slash in it, so that a misspelt word makes no file. */
bool
words_parse_log_target(const struct schema_key *key, struct slice text,
	void *out, struct error *error)
{
	if (!slice_equal(text, SLICE("stderr")) &&
		!slice_equal(text, SLICE("syslog")) && !has_char(text, '/'))
		return false;
	set_string(out, text.ptr, text.len);
	return true;
}

bool
words_parse_access_file(const struct schema_key *key, struct slice text,
	void *out, struct error *error)
{
	if (!slice_equal(text, SLICE("stdout")) && !has_char(text, '/'))
		return false;
	set_string(out, text.ptr, text.len);
	return true;
}

bool
words_parse_field_name(const struct schema_key *key, struct slice text,
	void *out, struct error *error)
{
	/* Fields that perch itself makes, drops or looks at: all that
	 * http/field knows. */
	static const char *const taken[] = {"Accept", "Cache-Control",
		"Connection", "Content-Length", "Content-Type", "Cookie",
		"Expect", "Expires", "Host", "If-Match", "If-Modified-Since",
		"If-None-Match", "If-Range", "If-Unmodified-Since",
		"Keep-Alive", "Proxy-Connection", "Range", "Referer",
		"Sec-Fetch-Dest", "Sec-Fetch-Mode", "Sec-Fetch-Site",
		"Sec-Purpose", "Set-Cookie", "TE", "Trailer",
		"Transfer-Encoding", "Upgrade", "User-Agent", "Via",
		"X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto",
		"X-Request-Id"};
	size_t i;

	if (!is_token(text))
		return false;
	for (i = 0; i < sizeof(taken) / sizeof(taken[0]); i++) {
		if (!slice_equal_nocase(text, slice_from_string(taken[i])))
			continue;
		error_set(error, "%s has a meaning of its own", taken[i]);
		return false;
	}
	set_string(out, text.ptr, text.len);
	return true;
}

/* RFC 9110 7.8: a token, and perhaps a version behind a slash. */
bool
words_parse_protocol(const struct schema_key *key, struct slice text,
	void *out, struct error *error)
{
	const char *slash = memchr(text.ptr, '/', text.len);
	struct slice name = text, version = SLICE("1");

	if (slash != NULL) {
		name.len = (size_t)(slash - text.ptr);
		version.ptr = slash + 1;
		version.len = text.len - name.len - 1;
	}
	if (!is_token(name) || !is_token(version))
		return false;
	if (slice_equal_nocase(name, SLICE("h2c")) ||
		slice_equal_nocase(name, SLICE("h2")) ||
		slice_equal_nocase(name, SLICE("HTTP")) ||
		slice_equal_nocase(name, SLICE("TLS"))) {
		error_set(error,
			"requests behind an upgrade to %.*s would pass unseen",
			REPORT_QUOTE(text));
		return false;
	}
	set_string(out, text.ptr, text.len);
	return true;
}

bool
words_parse_cookie_name(const struct schema_key *key, struct slice text,
	void *out, struct error *error)
{
	if (!is_token(text))
		return false;
	set_string(out, text.ptr, text.len);
	return true;
}

/* A name without port, lower-cased and without its last dot. */
static bool
split_host(struct slice text, char host[ADDRESS_HOST_SIZE])
{
	uint16_t port;

	if (has_char(text, ':') || !address_split(text, 1, host, &port))
		return false;
	if (host[strlen(host) - 1] == '.')
		host[strlen(host) - 1] = '\0';
	return true;
}

bool
words_parse_domain(const struct schema_key *key, struct slice text, void *out,
	struct error *error)
{
	char host[ADDRESS_HOST_SIZE];
	struct address ip;

	/* RFC 6265 5.2.3: a dot in front is ignored. */
	if (text.len > 0 && text.ptr[0] == '.') {
		text.ptr++;
		text.len--;
	}
	if (!split_host(text, host) || address_parse_ip(text, 0, &ip))
		return false;
	set_string(out, host, strlen(host));
	return true;
}

/* A Host field's value without port: "a.b", "[::1]"; or "*", "*.b". */
bool
words_parse_host(const struct schema_key *key, struct slice text, void *out,
	struct error *error)
{
	char host[ADDRESS_HOST_SIZE], canonical[ADDRESS_HOST_SIZE + 2];
	struct slice name = text;
	struct address ip;
	bool is_ip = address_parse_ip(text, 0, &ip);
	bool is_wild = slice_starts_with(text, SLICE("*."));
	uint16_t port;

	if (slice_equal(text, SLICE("*"))) {
		set_string(out, text.ptr, text.len);
		return true;
	}
	if (is_ip && ip.any.sa_family == AF_INET6) {
		if (!address_split(text, 1, host, &port))
			return false;
		snprintf(canonical, sizeof(canonical), "[%s]", host);
		set_string(out, canonical, strlen(canonical));
		return true;
	}
	if (is_wild) {
		name.ptr += 2;
		name.len -= 2;
		is_ip = address_parse_ip(name, 0, &ip);
	}
	if (address_split(name, 0, host, &port)) {
		error_set(error,
			"\"%.*s\" has a port; a host is matched "
			"without one",
			REPORT_QUOTE(text));
		return false;
	}
	if (!split_host(name, host) || (is_wild && is_ip))
		return false;
	snprintf(canonical, sizeof(canonical), "%s%s", is_wild ? "*." : "",
		host);
	set_string(out, canonical, strlen(canonical));
	return true;
}

/* A Host field's value. */
bool
words_parse_authority(const struct schema_key *key, struct slice text,
	void *out, struct error *error)
{
	char host[ADDRESS_HOST_SIZE], bracketed[ADDRESS_HOST_SIZE + 2];
	uint16_t port;

	if (!address_split(text, 1, host, &port))
		return false;
	if (strchr(host, ':') != NULL && text.ptr[0] != '[') {
		snprintf(bracketed, sizeof(bracketed), "[%s]", host);
		text = slice_from_string(bracketed);
	}
	set_string(out, text.ptr, text.len);
	return true;
}

/* The origin form of a request's target, RFC 9112 3.2.1. */
static bool
is_origin_form(struct slice text)
{
	size_t i;

	if (text.len == 0 || text.ptr[0] != '/')
		return false;
	for (i = 0; i < text.len; i++) {
		char c = text.ptr[i];

		if (c <= 0x20 || c >= 0x7f || c == '#')
			return false;
	}
	return true;
}

bool
words_parse_prefix(const struct schema_key *key, struct slice text, void *out,
	struct error *error)
{
	/* RFC 3986 3.3: what no path has, no path begins with. */
	if (!is_origin_form(text) || has_char(text, '?'))
		return false;
	set_string(out, text.ptr, text.len);
	return true;
}

bool
words_parse_target(const struct schema_key *key, struct slice text, void *out,
	struct error *error)
{
	if (!is_origin_form(text))
		return false;
	if (text.len > MAX_TARGET_LEN) {
		error_set(error, "has more than %d bytes", MAX_TARGET_LEN);
		return false;
	}
	set_string(out, text.ptr, text.len);
	return true;
}

bool
words_parse_cidr(const struct schema_key *key, struct slice text, void *out,
	struct error *error)
{
	return cidr_parse(text, out);
}

/* "IP:PORT" or, for every address of both families, "*:PORT". */
bool
words_parse_bind(const struct schema_key *key, struct slice text, void *out,
	struct error *error)
{
	char copy[ADDRESS_TEXT_SIZE], host[ADDRESS_HOST_SIZE];
	uint16_t port;

	if (slice_starts_with(text, SLICE("*:"))) {
		int len = snprintf(copy, sizeof(copy), "[::]:%.*s",
			(int)(text.len < 16 ? text.len - 2 : 16), text.ptr + 2);

		text = (struct slice){copy, (size_t)len};
	}
	return address_split(text, 0, host, &port) &&
	       address_parse_ip(slice_from_string(host), port, out);
}

bool
words_parse_admin_bind(const struct schema_key *key, struct slice text,
	void *out, struct error *error)
{
	struct slice scheme = SLICE("unix:");
	char canonical[ADDRESS_TEXT_SIZE];
	struct address address;
	size_t len;

	if (slice_starts_with(text, scheme)) {
		size_t path_len = text.len - scheme.len;

		if (path_len == 0)
			return false;
		if (path_len >= sizeof(((struct sockaddr_un *)0)->sun_path)) {
			error_set(error,
				"the path of a unix socket has at "
				"most %zu bytes",
				sizeof(((struct sockaddr_un *)0)->sun_path) -
					1);
			return false;
		}
		set_string(out, text.ptr, text.len);
		return true;
	}
	if (slice_starts_with(text, SLICE("*")) ||
		!words_parse_bind(key, text, &address, error))
		return false;
	len = address_format(&address, canonical);
	set_string(out, canonical, len);
	return true;
}

/* Fills name, host and port, and leaves the weight. */
bool
words_parse_endpoint(const struct schema_key *key, struct slice text, void *out,
	struct error *error)
{
	char host[ADDRESS_HOST_SIZE], name[ADDRESS_HOST_SIZE + 16];
	struct config_endpoint *endpoint = out;
	uint16_t port;

	if (!address_split(text, 0, host, &port))
		return false;
	snprintf(name, sizeof(name),
		strchr(host, ':') != NULL ? "[%s]:%u" : "%s:%u", host,
		(unsigned)port);
	endpoint->name = memory_strdup(name);
	endpoint->host = memory_strdup(host);
	endpoint->port = port;
	return true;
}

bool
words_parse_url(const struct schema_key *key, struct slice text, void *out,
	struct error *error)
{
	struct url url;

	if (!url_parse(text, &url, error))
		return false;
	set_string(out, text.ptr, text.len);
	return true;
}

/* "WORD" or "WORD NAME". */
bool
words_parse_key(const struct schema_key *key, struct slice text, void *out,
	struct error *error)
{
	struct config_key *result = out;
	struct slice word = text, name = {"", 0};
	bool is_balance = key->type == SCHEMA_BALANCE_KEY;
	const char *space =
		text.len > 0 ? memchr(text.ptr, ' ', text.len) : NULL;

	if (space != NULL) {
		word.len = (size_t)(space - text.ptr);
		name.ptr = space;
		name.len = text.len - word.len;
		name = slice_trim(name);
	}
	if (slice_equal(word, SLICE("header")))
		result->source = CONFIG_KEY_HEADER;
	else if (slice_equal(word, SLICE("cookie")))
		result->source = CONFIG_KEY_COOKIE;
	else if (slice_equal(text, SLICE("address")))
		result->source = CONFIG_KEY_ADDRESS;
	else if (is_balance && slice_equal(text, SLICE("client")))
		result->source = CONFIG_KEY_CLIENT;
	else if (is_balance && slice_equal(text, SLICE("path")))
		result->source = CONFIG_KEY_PATH;
	else
		return false;
	result->name = NULL;
	if (result->source != CONFIG_KEY_HEADER &&
		result->source != CONFIG_KEY_COOKIE)
		return true;
	if (!is_token(name))
		return false;
	result->name = memory_strndup(name.ptr, name.len);
	return true;
}

void
words_release_string(void *value)
{
	free(*(char **)value);
}

void
words_release_endpoint(void *value)
{
	struct config_endpoint *endpoint = value;

	free(endpoint->name);
	free(endpoint->host);
}

void
words_release_key(void *value)
{
	struct config_key *key = value;

	free(key->name);
}
