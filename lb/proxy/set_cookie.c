#include "proxy/set_cookie.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "http/field.h"

/* Room for a Set-Cookie value, but for name, Domain and the cookie itself. */
#define ATTRIBUTES_MAX 128

/* --- caches ------------------------------------------------------------------ */

/* What shows a client its version: a page, the part of one that frameworks fetch
 * in its place (React's server components), and what leads to one. */
static bool
is_page(const struct exchange *exchange, const struct message *response)
{
	return exchange->is_page || forward_is_html(response) ||
	       slice_starts_with(message_find(response, FIELD_CONTENT_TYPE),
		       SLICE("text/x-component")) ||
	       (response->status >= 300 && response->status < 400 &&
		       response->status != 304);
}

void
set_cookie_keep_private(const struct exchange *exchange,
	const struct message *response,
	struct forward_response_options *options)
{
	enum config_cacheable cacheable =
		exchange->service->settings->sticky.cacheable;

	if (!exchange->is_release_running ||
		cacheable == CONFIG_CACHEABLE_KEEP ||
		(cacheable != CONFIG_CACHEABLE_STRICT &&
			!is_page(exchange, response)))
		return;
	/* These would overrule Cache-Control. */
	options->drops_targeted = true;
	options->makes_private = !forward_forbids_sharing(response);
}

/* --- the cookie --------------------------------------------------------------- */

/* Affinity writes the endpoint down as well: it may have changed alone. */
static bool
is_endpoint_new(const struct exchange *exchange)
{
	return exchange->version->hashes != NULL &&
	       (!exchange->has_affinity ||
		       exchange->affinity_hash != exchange->target->name_hash);
}

static enum sticky_set
cookie_to_set(const struct exchange *exchange)
{
	const struct sticky_decision *decision = &exchange->decision;

	if (decision->set != STICKY_SET_NOTHING ||
		!exchange->may_set_endpoint || !is_endpoint_new(exchange))
		return decision->set;
	return exchange->has_pin ? STICKY_SET_PIN : STICKY_SET_SEED;
}

static void
fill(const struct exchange *exchange, enum sticky_set set,
	struct cookie *cookie)
{
	*cookie = (struct cookie){.seed = exchange->decision.cell,
		.issued_min = clock_wall_min(),
		.has_endpoint = exchange->version->hashes != NULL};
	if (cookie->has_endpoint)
		cookie->endpoint = exchange->target->name_hash;
	if (set != STICKY_SET_PIN)
		return;
	cookie->is_pin = true;
	cookie->generation = exchange->generation;
	cookie->moved_min = exchange->moved_min != 0 ? exchange->moved_min
						     : cookie->issued_min;
	cookie->version = exchange->version->name;
}

bool
set_cookie_is_secure(const struct exchange *exchange)
{
	struct slice scheme = exchange->scheme;
	struct slice said;

	switch (exchange->service->settings->sticky.secure) {
	case CONFIG_SECURE_ALWAYS:
		return true;
	case CONFIG_SECURE_NEVER:
		return false;
	case CONFIG_SECURE_AUTO:
		break;
	}
	said = message_find(&exchange->request, FIELD_X_FORWARDED_PROTO);
	/* Of several proxies the first one met the client. */
	if (exchange->is_trusted && said.ptr != NULL &&
		field_list_next(&said, &scheme))
		return slice_equal_nocase(scheme, SLICE("https"));
	return slice_equal(exchange->scheme, SLICE("https"));
}

static char *
append_attributes(
	char *out, const struct config_sticky *sticky, bool has_secure)
{
	out = slice_append(out, SLICE("; Path=/"));
	if (sticky->domain != NULL) {
		out = slice_append(out, SLICE("; Domain="));
		out = slice_append(out, slice_from_string(sticky->domain));
	}
	if (sticky->lifetime_ns > 0)
		out += sprintf(out, "; Max-Age=%llu",
			(unsigned long long)(sticky->lifetime_ns /
					     CLOCK_NS_PER_S));
	out = slice_append(out, SLICE("; HttpOnly; SameSite="));
	/* Browsers refuse None that isn't Secure: Lax is more than nothing. */
	if (sticky->same_site == CONFIG_SAME_SITE_STRICT)
		out = slice_append(out, SLICE("Strict"));
	else if (sticky->same_site == CONFIG_SAME_SITE_NONE && has_secure)
		out = slice_append(out, SLICE("None"));
	else
		out = slice_append(out, SLICE("Lax"));
	if (!has_secure)
		return out;
	out = slice_append(out, SLICE("; Secure"));
	return sticky->partitioned == CONFIG_TRUE
		       ? slice_append(out, SLICE("; Partitioned"))
		       : out;
}

static struct slice
write_cookie(const struct exchange *exchange, enum sticky_set set,
	struct forward_text *text)
{
	const struct config_sticky *sticky =
		&exchange->service->settings->sticky;
	struct slice name = exchange->service->cookie_name;
	size_t domain_len = sticky->domain != NULL ? strlen(sticky->domain) : 0;
	struct cookie cookie;
	char *room = forward_text_take(text,
		name.len + COOKIE_VALUE_SIZE + domain_len + ATTRIBUTES_MAX);
	char *out = room;

	if (room == NULL)
		return SLICE_NONE;
	fill(exchange, set, &cookie);
	out = slice_append(out, name);
	out = slice_append(out, SLICE("="));
	out += cookie_format(&cookie, exchange->service->name,
		&exchange->view->snapshot->cookie_keys, out);
	out = append_attributes(out, sticky, set_cookie_is_secure(exchange));
	return (struct slice){room, (size_t)(out - room)};
}

void
set_cookie_prepare(const struct exchange *exchange,
	const struct message *response, struct forward_text *text,
	struct forward_response_options *options)
{
	enum sticky_set set = cookie_to_set(exchange);

	set_cookie_keep_private(exchange, response, options);
	if (set == STICKY_SET_NOTHING)
		return;
	/* What shared caches are to keep stays as it is, and the client without
	 * a cookie. */
	if (!options->makes_private && !options->drops_targeted &&
		forward_is_shared_cacheable(response))
		return;
	options->set_cookie = write_cookie(exchange, set, text);
	if (options->set_cookie.len == 0)
		return;
	options->drops_targeted = true;
	options->makes_private = !forward_forbids_sharing(response);
}

void
set_cookie_follow_shield(struct exchange *exchange)
{
	const struct config_sticky *sticky =
		&exchange->service->settings->sticky;

	if (!exchange->is_page || sticky->pin != CONFIG_PIN_DOCUMENT ||
		(exchange->decision.set != STICKY_SET_PIN &&
			!exchange->has_pin))
		return;
	exchange->decision.set = STICKY_SET_PIN;
	exchange->moved_min = 0;
}
