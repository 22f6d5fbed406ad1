#include "base/url.h"

#include <stdio.h>

#define HTTP_PORT 80
#define HTTPS_PORT 443

static bool
is_hex(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') ||
	       (c >= 'A' && c <= 'F');
}

/* RFC 3986 2: what may stand in a path or query as it is, or as %XX. */
static bool
is_target(struct slice text)
{
	for (size_t i = 0; i < text.len; i++) {
		char c = text.ptr[i];

		if (c <= 0x20 || c >= 0x7f || strchr("\"#<>\\^`{|}", c) != NULL)
			return false;
		if (c == '%' && (text.len - i < 3 || !is_hex(text.ptr[i + 1]) ||
					!is_hex(text.ptr[i + 2])))
			return false;
	}
	return true;
}

static bool
refuse(struct error *error, const char *why)
{
	error_set(error, "a URL %s", why);
	return false;
}

/* What stands before the first slash, or all of it. */
static struct slice
cut_authority(struct slice *rest)
{
	struct slice authority = *rest;

	for (size_t i = 0; i < rest->len; i++) {
		if (strchr("/?#", rest->ptr[i]) == NULL || rest->ptr[i] == '\0')
			continue;
		authority.len = i;
		break;
	}
	rest->ptr += authority.len;
	rest->len -= authority.len;
	return authority;
}

bool
url_parse(struct slice text, struct url *out, struct error *error)
{
	const struct slice http = SLICE("http://"), https = SLICE("https://");
	struct slice rest = text, authority;

	if (text.len > URL_MAX_LEN)
		return refuse(error, "has at most 2048 bytes");
	out->is_https = slice_starts_with(text, https);
	if (!out->is_https && !slice_starts_with(text, http))
		return refuse(error, "begins with http:// or https://");
	rest.ptr += out->is_https ? https.len : http.len;
	rest.len -= out->is_https ? https.len : http.len;
	authority = cut_authority(&rest);
	if (memchr(authority.ptr, '@', authority.len) != NULL)
		return refuse(error, "may have no user or password here");
	if (!address_split(authority, out->is_https ? HTTPS_PORT : HTTP_PORT,
		    out->host, &out->port))
		return refuse(error, "has a host, and a port from 1 to 65535 "
				     "if any, behind its scheme");
	/* Neither a certificate nor SNI (RFC 6066 3) has the root's dot. */
	if (out->host[strlen(out->host) - 1] == '.')
		out->host[strlen(out->host) - 1] = '\0';
	out->target = rest.len > 0 ? rest : SLICE("/");
	if (out->target.ptr[0] != '/')
		return refuse(error, "has a path, from \"/\" on, behind its "
				     "host");
	if (!is_target(out->target))
		return refuse(error, "may have no \"#\" and needs percent "
				     "codes for what isn't plain ASCII");
	return true;
}

void
url_format_authority(const struct url *url, char out[URL_AUTHORITY_SIZE])
{
	bool is_v6 = strchr(url->host, ':') != NULL;
	uint16_t usual = url->is_https ? HTTPS_PORT : HTTP_PORT;
	int len;

	len = snprintf(
		out, URL_AUTHORITY_SIZE, is_v6 ? "[%s]" : "%s", url->host);
	if (url->port != usual)
		snprintf(out + len, URL_AUTHORITY_SIZE - (size_t)len, ":%u",
			url->port);
}
