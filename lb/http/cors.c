#include "http/cors.h"

#include "base/hash.h"
#include "http/field.h"

#define ORIGIN SLICE("origin")
#define REQUEST_METHOD SLICE("access-control-request-method")
#define REQUEST_HEADERS SLICE("access-control-request-headers")
#define ALLOW_ORIGIN SLICE("access-control-allow-origin")
#define ALLOW_METHODS SLICE("access-control-allow-methods")
#define ALLOW_HEADERS SLICE("access-control-allow-headers")

bool
cors_is_preflight(const struct message *request)
{
	return request->method == HTTP_OPTIONS && request->body == BODY_NONE &&
	       message_find_name(request, REQUEST_METHOD).len > 0 &&
	       message_find_name(request, ORIGIN).len > 0;
}

static bool
allows_origin(const struct message *request, const struct message *response)
{
	struct slice allowed = message_find_name(response, ALLOW_ORIGIN);

	return slice_equal(allowed, SLICE("*")) ||
	       slice_equal(allowed, message_find_name(request, ORIGIN));
}

/* GET, HEAD and POST needn't be listed: pages always could do these. */
static bool
allows_method(const struct message *request, const struct message *response)
{
	struct slice method = message_find_name(request, REQUEST_METHOD);

	return slice_equal(method, SLICE("GET")) ||
	       slice_equal(method, SLICE("HEAD")) ||
	       slice_equal(method, SLICE("POST")) ||
	       message_lists(response, ALLOW_METHODS, method) ||
	       message_lists(response, ALLOW_METHODS, SLICE("*"));
}

static bool
allows_headers(const struct message *request, const struct message *response)
{
	struct slice rest = message_find_name(request, REQUEST_HEADERS);
	struct slice name;

	while (field_list_next(&rest, &name)) {
		if (message_lists(response, ALLOW_HEADERS, name))
			continue;
		/* It is too precious for a wildcard. */
		if (slice_equal_nocase(name, SLICE("authorization")) ||
			!message_lists(response, ALLOW_HEADERS, SLICE("*")))
			return false;
	}
	return true;
}

bool
cors_allows(const struct message *request, const struct message *response)
{
	return response->status >= 200 && response->status < 300 &&
	       allows_origin(request, response) &&
	       allows_method(request, response) &&
	       allows_headers(request, response);
}

uint64_t
cors_hash(const struct message *request, uint64_t seed)
{
	const struct slice names[] = {ORIGIN, REQUEST_METHOD, REQUEST_HEADERS};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct slice value = message_find_name(request, names[i]);

		seed = hash_bytes(value.ptr, value.len, seed);
	}
	return seed;
}
