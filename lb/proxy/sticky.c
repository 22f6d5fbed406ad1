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
	case STICKY_STABLE:
		return "stable";
	}
	return "unknown";
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

/* Who the client is, as far as releases are concerned. */
static uint32_t
cell_of(const struct sticky_input *input)
{
	bool prefers_key = input->is_identity_by_key && input->has_key;

	if (input->has_group_seed && !prefers_key)
		return sticky_cell(input->group_seed);
	if (input->has_cookie && !prefers_key)
		return sticky_cell(input->cookie.seed);
	return sticky_cell(input->has_key ? input->key_hash : input->random);
}

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
	if (!input->has_cookie || !input->cookie.is_pin)
		return false;
	if (input->pinned == STICKY_NONE || !input->is_pinned_usable)
		return false;
	return input->pinned_standing == STANDING_ACTIVE ||
	       input->pinned_standing == STANDING_DRAINING;
}

static bool
counts_for_document(const struct sticky_input *input)
{
	if (input->is_navigation)
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
	return !input->is_navigation || input->is_running;
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
		return counts_for_session(input);
	case STICKY_PIN_NONE:
		return false;
	}
	return false;
}

/* Would a cookie that pins say what the client's own says already? The
 * endpoint is no part of it: it follows the version. */
static bool
is_pin_news(const struct sticky_input *input,
	const struct sticky_decision *decision)
{
	return !input->has_cookie || !input->cookie.is_pin ||
	       input->cookie.seed != decision->cell ||
	       !is_of_this_generation(input) ||
	       input->pinned != decision->version;
}

static bool
is_seed_news(const struct sticky_input *input,
	const struct sticky_decision *decision)
{
	return !input->has_cookie || input->cookie.is_pin ||
	       input->cookie.seed != decision->cell;
}

static enum sticky_set
cookie_to_set(const struct sticky_input *input,
	const struct sticky_decision *decision)
{
	if (decision->reason == STICKY_OVERRIDE)
		return STICKY_SET_NOTHING;
	if (input->is_navigation && input->pin == STICKY_PIN_NONE)
		return is_seed_news(input, decision) ? STICKY_SET_SEED
						     : STICKY_SET_NOTHING;
	if (input->is_navigation)
		return is_pin_news(input, decision) ? STICKY_SET_PIN
						    : STICKY_SET_NOTHING;
	if (!input->has_cookie && !input->has_fetch_metadata)
		return STICKY_SET_SEED;
	return STICKY_SET_NOTHING;
}

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

void
sticky_decide(
	const struct sticky_input *input, struct sticky_decision *decision)
{
	uint32_t cell = cell_of(input);
	int by_bucket = version_by_bucket(input, cell);

	decision->cell = cell;
	decision->has_identity = input->has_cookie || input->has_key ||
				 input->has_group_seed;
	if (input->override != STICKY_NONE) {
		decision->version = input->override;
		decision->reason = STICKY_OVERRIDE;
	} else if (does_pin_count(input)) {
		decision->version = input->pinned;
		decision->reason = STICKY_PIN;
	} else {
		decision->version = by_bucket;
		decision->reason =
			input->is_running ? STICKY_BUCKET : STICKY_STABLE;
	}
	decision->is_counted_by_bucket = input->is_running &&
					 decision->reason != STICKY_OVERRIDE &&
					 decision->version == by_bucket;
	decision->set = cookie_to_set(input, decision);
}

bool
sticky_has_fetch_metadata(const struct message *request)
{
	/* Whoever sends any of them sends Sec-Fetch-Site (Fetch Metadata
	 * Request Headers, 2), so these three stand for all. */
	return message_has(request, FIELD_SEC_FETCH_SITE) ||
	       message_has(request, FIELD_SEC_FETCH_MODE) ||
	       message_has(request, FIELD_SEC_FETCH_DEST);
}

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

bool
sticky_is_navigation(const struct message *request)
{
	if (request->method != HTTP_GET)
		return false;
	if (lists(request, FIELD_SEC_PURPOSE, SLICE("prefetch")))
		return false;
	if (!sticky_has_fetch_metadata(request))
		return lists(request, FIELD_ACCEPT, SLICE("text/html"));
	return slice_equal(message_find(request, FIELD_SEC_FETCH_MODE),
		       SLICE("navigate")) &&
	       slice_equal(message_find(request, FIELD_SEC_FETCH_DEST),
		       SLICE("document"));
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
