#include "http/h1_target.h"

#include "http/authority.h"
#include "http/chars.h"

static struct span
span_until(const struct message *message, const char *start, const char *end)
{
	return (struct span){
		(uint32_t)(start - message->base), (uint32_t)(end - start)};
}

/* The length of "http://" or "https://" at the target's start; else 0. */
static size_t
measure_scheme(struct slice target)
{
	if (target.len >= 7 && CHARS_SAME(target.ptr, "http") &&
		memcmp(target.ptr + 4, "://", 3) == 0)
		return 7;
	if (target.len >= 8 && CHARS_SAME(target.ptr, "https") &&
		memcmp(target.ptr + 5, "://", 3) == 0)
		return 8;
	return 0;
}

static const char *
split_absolute_form(
	struct message *message, struct slice target, size_t scheme_len)
{
	const char *end = target.ptr + target.len;
	const char *host = target.ptr + scheme_len;
	const char *p = host;

	while (p < end && *p != '/' && *p != '?')
		p++;
	message->is_absolute_form = true;
	message->host = span_until(message, host, p);
	if (!authority_is_valid(message_slice(message, message->host),
		    AUTHORITY_PORT_OPTIONAL))
		return "bad authority in the target";
	if (p < end && *p == '?')
		return "query without a path in the target";
	/* An empty path is "/" (RFC 9110 4.2.3): the one in "://" will do. */
	message->path = p < end ? span_until(message, p, end)
				: span_until(message, host - 1, host);
	return NULL;
}

const char *
h1_target_split(struct message *message)
{
	struct slice target = message_slice(message, message->target);
	size_t scheme_len;

	if (message->method == HTTP_CONNECT) {
		message->host = message->target;
		return authority_is_valid(target, AUTHORITY_PORT_REQUIRED)
			       ? NULL
			       : "bad target of CONNECT";
	}
	if (target.ptr[0] == '/') {
		message->path = message->target;
		return NULL;
	}
	scheme_len = measure_scheme(target);
	if (scheme_len > 0)
		return split_absolute_form(message, target, scheme_len);
	if (message->method == HTTP_OPTIONS &&
		slice_equal(target, SLICE("*"))) {
		message->path = message->target;
		return NULL;
	}
	return "malformed target";
}
