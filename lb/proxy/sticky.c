#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* memmem() */
#endif
#include "proxy/sticky.h"

#include "base/hash.h"
#include "http/field.h"

const char *
sticky_reason_name(enum sticky_reason reason)
{
	switch (reason) {
	case STICKY_OVERRIDE:
		return "override";
	case STICKY_PIN:
		return "pin";
	case STICKY_BUCKET:
		return "bucket";
	case STICKY_UNKNOWN:
		return "unknown";
	case STICKY_STABLE:
		return "stable";
	}
	return "";
}

const char *
sticky_known_name(enum sticky_known known)
{
	switch (known) {
	case STICKY_BY_COOKIE:
		return "cookie";
	case STICKY_BY_KEY:
		return "key";
	case STICKY_BY_ADDRESS:
		return "address";
	default:
		return "none";
	}
}

uint32_t
sticky_bucket(uint32_t cell, uint64_t release_seed)
{
	return (uint32_t)(hash_u64(cell, release_seed) % STICKY_SHARE_FULL);
}

uint32_t
sticky_cell(uint64_t key_hash)
{
	return (uint32_t)(key_hash % COOKIE_CELLS);
}

/* --- who the client is ------------------------------------------------------ */

/* The former form has no MAC: anybody may have written it. It keeps a loaded page
 * together, and is left behind with it. */
static bool
does_cookie_count(const struct sticky_input *input)
{
	return input->has_cookie &&
	       (input->cookie.is_signed ||
		       input->request.kind != STICKY_NAVIGATION);
}

static bool
knows_client(const struct sticky_input *input)
{
	return does_cookie_count(input) || input->has_group_seed ||
	       input->has_key;
}

static bool
is_page(const struct sticky_input *input)
{
	return input->request.kind != STICKY_OTHER;
}

/*
 * Whom nothing is known of, and yet must not be drawn: who asks belongs to a
 * page that was loaded without a cookie, so before the release or from a cache
 * (a frame or form of that page, too); or it is a page that won't get its cookie
 * back, or none, as it is only fetched beforehand.
 */
static bool
belongs_to_stable(const struct sticky_input *input)
{
	const struct sticky_request *request = &input->request;

	/* There nobody has a cookie: all of a client goes by its address. */
	if (input->keeps_cacheable)
		return false;
	if (request->kind == STICKY_NAVIGATION)
		return false;
	if (request->is_same_origin || request->is_prefetch)
		return true;
	if (request->kind == STICKY_SUBPAGE)
		return request->is_embedded_elsewhere &&
		       !input->is_kept_elsewhere;
	return input->anonymous == STICKY_ANONYMOUS_STABLE;
}

/* Pages get a cookie; where they don't, as caches are to keep them, the address
 * has to do. */
static bool
goes_by_address(const struct sticky_input *input)
{
	if (knows_client(input) || belongs_to_stable(input))
		return false;
	return input->keeps_cacheable ||
	       (!is_page(input) &&
		       input->anonymous == STICKY_ANONYMOUS_ADDRESS);
}

bool
sticky_needs_address(const struct sticky_input *input)
{
	return (input->is_running || input->wants_cookie) &&
	       goes_by_address(input);
}

static enum sticky_known
known_by(const struct sticky_input *input)
{
	bool prefers_key = input->is_identity_by_key && input->has_key;

	if (!prefers_key && (does_cookie_count(input) || input->has_group_seed))
		return STICKY_BY_COOKIE;
	if (input->has_key)
		return STICKY_BY_KEY;
	return goes_by_address(input) && input->has_address ? STICKY_BY_ADDRESS
							    : STICKY_BY_NOTHING;
}

static bool
is_left_to_stable(const struct sticky_input *input, enum sticky_known known)
{
	return known == STICKY_BY_NOTHING && belongs_to_stable(input);
}

/* Is the seed one that nobody vouches for? */
static bool
is_by_former(const struct sticky_input *input, enum sticky_known known)
{
	if (known != STICKY_BY_COOKIE)
		return false;
	return input->has_group_seed ? !input->is_group_seed_signed
				     : !input->cookie.is_signed;
}

/* Who the client is, as far as releases are concerned. */
static uint32_t
cell_of(const struct sticky_input *input, enum sticky_known known)
{
	switch (known) {
	case STICKY_BY_COOKIE:
		return input->has_group_seed ? input->group_seed
					     : input->cookie.seed;
	case STICKY_BY_KEY:
		return sticky_cell(input->key_hash);
	case STICKY_BY_ADDRESS:
		return sticky_cell(input->address_hash);
	default:
		return sticky_cell(input->random);
	}
}

/* --- the pin ---------------------------------------------------------------- */

/* Was the cookie written in the release that the service is in now? */
static bool
is_of_this_generation(const struct sticky_input *input)
{
	return input->cookie.generation == input->generation;
}

/* Does the cookie name a version that can still answer? */
static bool
is_pin_alive(const struct sticky_input *input)
{
	if (!does_cookie_count(input) || !input->cookie.is_pin)
		return false;
	if (input->pinned == STICKY_NONE || !input->is_pinned_usable)
		return false;
	return input->pinned_standing == STANDING_ACTIVE ||
	       input->pinned_standing == STANDING_DRAINING;
}

static bool
counts_for_document(const struct sticky_input *input)
{
	if (input->request.kind == STICKY_NAVIGATION)
		return false;
	if (input->is_running && input->pinned == input->candidate)
		return is_of_this_generation(input);
	return input->pinned == input->stable ||
	       input->pinned_standing == STANDING_DRAINING;
}

static bool
counts_for_session(const struct sticky_input *input)
{
	if (!is_of_this_generation(input))
		return false;
	return input->request.kind != STICKY_NAVIGATION || input->is_running;
}

static bool
does_pin_count(const struct sticky_input *input)
{
	if (!is_pin_alive(input))
		return false;
	switch (input->pin) {
	case STICKY_PIN_DOCUMENT:
		return counts_for_document(input);
	case STICKY_PIN_SESSION:
		return counts_for_session(input) || counts_for_document(input);
	case STICKY_PIN_NONE:
		return false;
	}
	return false;
}

/* --- the cookie that it gets -------------------------------------------------- */

/* The client's own, as far as it is a good one. */
static const struct cookie *
own_cookie(const struct sticky_input *input)
{
	return input->has_cookie && input->cookie.is_signed ? &input->cookie
							    : NULL;
}

/*
 * Renewed by use once a quarter of the lifetime may have passed: issued is a
 * minute's, so the cookie may be a minute older than it says.
 */
static bool
is_due(const struct sticky_input *input)
{
	uint64_t age_min;

	if (input->lifetime_s == 0)
		return false;
	age_min = input->now_min > input->cookie.issued_min
			  ? input->now_min - input->cookie.issued_min
			  : 0;
	return (age_min + 1) * 60 > input->lifetime_s / 4;
}

/* Would a cookie that pins say what the client's own says already? The
 * endpoint is no part of it: it follows the version. */
static bool
is_pin_news(const struct sticky_input *input,
	const struct sticky_decision *decision)
{
	const struct cookie *own = own_cookie(input);

	return own == NULL || !own->is_pin || own->seed != decision->cell ||
	       !is_of_this_generation(input) ||
	       input->pinned != decision->version || is_due(input);
}

static bool
is_seed_news(const struct sticky_input *input,
	const struct sticky_decision *decision)
{
	const struct cookie *own = own_cookie(input);

	return own == NULL || own->is_pin || own->seed != decision->cell ||
	       is_due(input);
}

static enum sticky_set
set_with_page(const struct sticky_input *input,
	const struct sticky_decision *decision)
{
	bool is_left = is_left_to_stable(input, decision->known);

	/* It would not come back; or would sign a seed that isn't perch's. */
	if ((is_left && input->request.is_embedded_elsewhere) ||
		is_by_former(input, decision->known))
		return STICKY_SET_NOTHING;
	if (input->pin == STICKY_PIN_NONE)
		return !is_left && is_seed_news(input, decision)
			       ? STICKY_SET_SEED
			       : STICKY_SET_NOTHING;
	return is_pin_news(input, decision) ? STICKY_SET_PIN
					    : STICKY_SET_NOTHING;
}

/* Where a client must come back to its endpoint it needs a cookie even if it
 * never asks for a page. That pins only what must stay with stable, lest a client
 * of an API be kept for ever. */
static enum sticky_set
set_with_other(const struct sticky_input *input,
	const struct sticky_decision *decision)
{
	const struct cookie *own = own_cookie(input);

	if (own != NULL && is_due(input) && own->seed == decision->cell)
		return !own->is_pin ? STICKY_SET_SEED
		       : input->pinned == decision->version
			       ? STICKY_SET_PIN
			       : STICKY_SET_NOTHING;
	/* One of the former form is the page's: it stays until that is left. */
	if (input->has_cookie || !input->has_affinity)
		return STICKY_SET_NOTHING;
	return is_left_to_stable(input, decision->known) ? STICKY_SET_PIN
							 : STICKY_SET_SEED;
}

static enum sticky_set
cookie_to_set(const struct sticky_input *input,
	const struct sticky_decision *decision)
{
	if (decision->reason == STICKY_OVERRIDE || !input->wants_cookie ||
		input->request.is_asset)
		return STICKY_SET_NOTHING;
	return is_page(input) ? set_with_page(input, decision)
			      : set_with_other(input, decision);
}

/* --- the decision ------------------------------------------------------------- */

/* The client's bucket's version: rule 3. */
static int
version_by_bucket(const struct sticky_input *input, uint32_t cell)
{
	if (!input->is_running)
		return input->stable;
	if (sticky_bucket(cell, input->release_seed) < input->share_bp)
		return input->candidate;
	return input->stable;
}

static void
choose(const struct sticky_input *input, int by_bucket,
	struct sticky_decision *decision)
{
	if (input->override != STICKY_NONE) {
		decision->version = input->override;
		decision->reason = STICKY_OVERRIDE;
	} else if (does_pin_count(input)) {
		decision->version = input->pinned;
		decision->reason = STICKY_PIN;
	} else if (!input->is_running) {
		decision->version = input->stable;
		decision->reason = STICKY_STABLE;
	} else if (is_left_to_stable(input, decision->known)) {
		decision->version = input->stable;
		decision->reason = STICKY_UNKNOWN;
	} else {
		decision->version = by_bucket;
		decision->reason = STICKY_BUCKET;
	}
}

void
sticky_decide(
	const struct sticky_input *input, struct sticky_decision *decision)
{
	int by_bucket;

	decision->known = known_by(input);
	decision->cell = cell_of(input, decision->known);
	by_bucket = version_by_bucket(input, decision->cell);
	choose(input, by_bucket, decision);
	decision->is_counted_by_bucket = input->is_running &&
					 decision->reason != STICKY_OVERRIDE &&
					 decision->reason != STICKY_UNKNOWN &&
					 decision->version == by_bucket &&
					 !is_by_former(input, decision->known);
	decision->set = cookie_to_set(input, decision);
}

/* --- what a request is -------------------------------------------------------- */

/* Is the token in one of the fields of that id? A list may come in several
 * lines (RFC 9110 5.3). */
static bool
lists(const struct message *request, enum field_id id, struct slice token)
{
	if (!message_has(request, id))
		return false;
	for (unsigned i = 0; i < request->n_fields; i++) {
		const struct field *field = &request->fields[i];

		if (field->id == id &&
			field_list_has(
				message_field_value(request, field), token))
			return true;
	}
	return false;
}

/* Whoever sends any of them sends Sec-Fetch-Site, so these three stand for
 * all. */
bool
sticky_has_fetch_metadata(const struct message *request)
{
	return message_has(request, FIELD_SEC_FETCH_SITE) ||
	       message_has(request, FIELD_SEC_FETCH_MODE) ||
	       message_has(request, FIELD_SEC_FETCH_DEST);
}

static bool
is_frame(struct slice dest)
{
	return slice_equal(dest, SLICE("iframe")) ||
	       slice_equal(dest, SLICE("frame")) ||
	       slice_equal(dest, SLICE("embed")) ||
	       slice_equal(dest, SLICE("object"));
}

/* Destinations of the Fetch standard, 2.2.5. A service worker that passes a
 * navigation on makes its own empty. */
static enum sticky_kind
kind_by_metadata(const struct message *request, struct slice dest)
{
	if (request->method == HTTP_HEAD ||
		!slice_equal(message_find(request, FIELD_SEC_FETCH_MODE),
			SLICE("navigate")))
		return STICKY_OTHER;
	if (is_frame(dest) || request->method != HTTP_GET)
		return STICKY_SUBPAGE;
	return slice_equal(dest, SLICE("document")) ||
			       slice_equal(dest, SLICE("empty"))
		       ? STICKY_NAVIGATION
		       : STICKY_OTHER;
}

static enum sticky_kind
kind_by_accept(const struct message *request)
{
	if ((request->method != HTTP_GET && request->method != HTTP_POST) ||
		!lists(request, FIELD_ACCEPT, SLICE("text/html")))
		return STICKY_OTHER;
	return request->method == HTTP_GET ? STICKY_NAVIGATION : STICKY_SUBPAGE;
}

/* Is what stands behind "://" the host that is asked, and then nothing of it? */
static bool
names_host(struct slice url, struct slice host)
{
	const char *slashes =
		url.len > 0 ? memmem(url.ptr, url.len, "://", 3) : NULL;
	const char *end = url.ptr + url.len;
	struct slice start;

	if (slashes == NULL || host.len == 0)
		return false;
	start = (struct slice){slashes + 3, host.len};
	if ((size_t)(end - start.ptr) < host.len ||
		!slice_equal_nocase(start, host))
		return false;
	start.ptr += host.len;
	return start.ptr == end || *start.ptr == '/' || *start.ptr == '?';
}

static bool
is_from_itself(const struct message *request)
{
	struct slice host = message_slice(request, request->host);

	return names_host(message_find(request, FIELD_REFERER), host) ||
	       names_host(message_find(request, FIELD_ORIGIN), host);
}

void
sticky_read_request(const struct message *request, struct sticky_request *out)
{
	bool is_prefetch = lists(request, FIELD_SEC_PURPOSE, SLICE("prefetch"));
	struct slice site, dest;

	*out = (struct sticky_request){
		.kind = STICKY_OTHER, .is_prefetch = is_prefetch};
	if (!sticky_has_fetch_metadata(request)) {
		if (!is_prefetch)
			out->kind = kind_by_accept(request);
		out->is_same_origin = is_from_itself(request);
		return;
	}
	site = message_find(request, FIELD_SEC_FETCH_SITE);
	dest = message_find(request, FIELD_SEC_FETCH_DEST);
	if (!is_prefetch)
		out->kind = kind_by_metadata(request, dest);
	out->is_same_origin = slice_equal(site, SLICE("same-origin"));
	out->is_embedded_elsewhere = out->kind == STICKY_SUBPAGE &&
				     is_frame(dest) &&
				     slice_equal(site, SLICE("cross-site"));
	out->is_asset = out->kind == STICKY_OTHER && dest.len > 0 &&
			!slice_equal(dest, SLICE("empty")) &&
			!slice_equal(dest, SLICE("document"));
}

/* The next element of the list, taken apart; version.ptr NULL if it has no
 * "service=". */
struct element {
	struct slice service;
	struct slice version;
	struct slice parameters; /* from the semicolon on */
};

static bool
next_element(struct slice *list, struct element *out)
{
	struct slice whole;
	const char *equals, *semicolon;

	if (!field_list_next(list, &whole))
		return false;
	*out = (struct element){whole, SLICE_NONE, SLICE_NONE};
	semicolon = memchr(whole.ptr, ';', whole.len);
	if (semicolon != NULL) {
		out->parameters.ptr = semicolon;
		out->parameters.len =
			whole.len - (size_t)(semicolon - whole.ptr);
		whole.len -= out->parameters.len;
		out->service = slice_trim(whole);
	}
	equals = memchr(whole.ptr, '=', whole.len);
	if (equals == NULL)
		return true;
	out->service = slice_trim((struct slice){
		whole.ptr, (size_t)(equals - whole.ptr)});
	out->version = slice_trim((struct slice){equals + 1,
		whole.len - (size_t)(equals + 1 - whole.ptr)});
	return true;
}

struct slice
sticky_parse_override(struct slice value, struct slice service)
{
	struct slice bare = SLICE_NONE;
	struct element element;

	while (next_element(&value, &element)) {
		if (element.version.ptr == NULL) {
			if (bare.len == 0)
				bare = element.service;
		} else if (slice_equal(element.service, service)) {
			return element.version;
		}
	}
	return bare;
}

bool
sticky_parse_caller(struct slice value, struct slice service,
	struct slice *version, uint32_t *cell)
{
	struct slice name = SLICE(STICKY_CELL_PARAMETER);
	struct element element;

	while (next_element(&value, &element)) {
		if (element.version.len == 0 ||
			!slice_equal(element.service, service) ||
			!slice_starts_with(element.parameters, name))
			continue;
		element.parameters.ptr += name.len;
		element.parameters.len -= name.len;
		*version = element.version;
		return cookie_parse_seed(element.parameters, cell);
	}
	return false;
}
