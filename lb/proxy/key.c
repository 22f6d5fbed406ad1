#include "proxy/key.h"

#include <string.h>

#include "base/hash.h"

static struct slice
path_of(const struct message *request)
{
	struct slice path = message_slice(request, request->path);
	const char *query = memchr(path.ptr, '?', path.len);

	if (query != NULL)
		path.len = (size_t)(query - path.ptr);
	return path;
}

/* The value, or one put together in text; ptr is NULL if there is none. */
static struct slice
find_value(const struct exchange *exchange, const struct config_key *key,
	char text[ADDRESS_TEXT_SIZE])
{
	const struct config *config = exchange->view->snapshot->config;
	const struct message *request = &exchange->request;
	struct address client;

	switch (key->source) {
	case CONFIG_KEY_HEADER:
		return message_find_name(
			request, slice_from_string(key->name));
	case CONFIG_KEY_COOKIE:
		return message_find_cookie(
			request, slice_from_string(key->name));
	case CONFIG_KEY_PATH:
		return path_of(request);
	case CONFIG_KEY_ADDRESS:
		client = forward_client_address(request, &exchange->peer,
			config->trusted_proxies, config->n_trusted_proxies);
		return (struct slice){text, address_format_ip(&client, text)};
	case CONFIG_KEY_CLIENT:
		break;
	}
	return (struct slice){NULL, 0};
}

bool
key_hash(const struct exchange *exchange, const struct config_key *keys,
	size_t n_keys, uint64_t *hash)
{
	char text[ADDRESS_TEXT_SIZE];
	struct slice value;
	size_t i;

	for (i = 0; i < n_keys; i++) {
		if (keys[i].source == CONFIG_KEY_CLIENT) {
			*hash = hash_u64(exchange->decision.cell, 0);
			return true;
		}
		value = find_value(exchange, &keys[i], text);
		if (value.ptr == NULL || value.len == 0)
			continue;
		*hash = hash_bytes(value.ptr, value.len, 0);
		return true;
	}
	return false;
}
