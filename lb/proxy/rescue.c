#include "proxy/rescue.h"

#include <string.h>

#include "base/hash.h"
#include "http/cors.h"
#include "http/field.h"
#include "proxy/balance.h"

void
rescue_table_init(struct rescue_table *table, uint64_t budget)
{
	rescue_budget_init(&table->budget, budget);
	rescue_memory_init(&table->memory);
}

bool
rescue_is_eligible(struct exchange *exchange)
{
	const struct message *request = &exchange->request;
	struct rescue_table *table = exchange->local->rescue;

	if (table == NULL || table->budget.percent == 0)
		return false;
	rescue_budget_earn(&table->budget);
	if (request->body != BODY_NONE || exchange->is_navigation ||
		exchange->is_upgrade ||
		exchange->decision.reason == STICKY_OVERRIDE)
		return false;
	return request->method == HTTP_GET || request->method == HTTP_HEAD ||
	       cors_is_preflight(request);
}

/* --- what is asked for ------------------------------------------------------ */

static bool
is_one_of(struct slice word, const struct slice *words, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (slice_equal_nocase(word, words[i]))
			return true;
	return false;
}

/* The path's last part behind its last dot; or nothing. */
static struct slice
extension_of(const struct message *request)
{
	struct slice path = message_slice(request, request->path);
	const char *query = memchr(path.ptr, '?', path.len);
	size_t len = query != NULL ? (size_t)(query - path.ptr) : path.len;
	size_t start = len;

	while (start > 0 && path.ptr[start - 1] != '.' &&
		path.ptr[start - 1] != '/')
		start--;
	if (start == 0 || path.ptr[start - 1] != '.')
		return SLICE_NONE;
	return (struct slice){path.ptr + start, len - start};
}

/* Does the path name a script, a style, a font, an image? */
static bool
has_asset_path(const struct message *request)
{
	static const struct slice extensions[] = {{"avif", 4}, {"bmp", 3},
		{"cjs", 3}, {"css", 3}, {"eot", 3}, {"gif", 3}, {"ico", 3},
		{"jpeg", 4}, {"jpg", 3}, {"js", 2}, {"map", 3}, {"mjs", 3},
		{"otf", 3}, {"png", 3}, {"svg", 3}, {"ttf", 3}, {"wasm", 4},
		{"webmanifest", 11}, {"webp", 4}, {"woff", 4}, {"woff2", 5}};

	return is_one_of(extension_of(request), extensions,
		sizeof(extensions) / sizeof(extensions[0]));
}

/* Has the browser not said what it asks for? There is no Sec-Fetch over plain
 * HTTP, and a service worker that passes a page's request on leaves its
 * destination empty. */
static bool
is_untold(const struct message *request)
{
	return !sticky_has_fetch_metadata(request) ||
	       (slice_equal(message_find(request, FIELD_SEC_FETCH_DEST),
			SLICE("empty")) &&
		       slice_equal(message_find(request, FIELD_SEC_FETCH_MODE),
			       SLICE("no-cors")));
}

/* Is it never answered with a page? So say the destinations of a fetch. */
static bool
asks_for_asset(const struct message *request)
{
	static const struct slice assets[] = {{"audio", 5},
		{"audioworklet", 12}, {"font", 4}, {"image", 5}, {"json", 4},
		{"manifest", 8}, {"paintworklet", 12}, {"script", 6},
		{"serviceworker", 13}, {"sharedworker", 12}, {"style", 5},
		{"track", 5}, {"video", 5}, {"worker", 6}, {"xslt", 4}};

	if (is_untold(request))
		return has_asset_path(request);
	return is_one_of(message_find(request, FIELD_SEC_FETCH_DEST), assets,
		sizeof(assets) / sizeof(assets[0]));
}

/*
 * Is it the same for everybody who asks? So say a browser's Sec-Fetch-Dest or,
 * where it is untold, the path. Only that may be remembered for others: whether
 * somebody's cart is there says nothing about another's.
 */
static bool
is_same_for_all(const struct message *request)
{
	static const struct slice destinations[] = {{"font", 4}, {"image", 5},
		{"manifest", 8}, {"script", 6}, {"serviceworker", 13},
		{"sharedworker", 12}, {"style", 5}, {"worker", 6}};

	if (message_find_name(request, SLICE("authorization")).ptr != NULL)
		return false;
	if (is_untold(request))
		return has_asset_path(request);
	return is_one_of(message_find(request, FIELD_SEC_FETCH_DEST),
		destinations, sizeof(destinations) / sizeof(destinations[0]));
}

static enum rescue_need
need_of(const struct message *request)
{
	if (request->method == HTTP_OPTIONS)
		return RESCUE_PREFLIGHT;
	return is_same_for_all(request) ? RESCUE_ASSET : RESCUE_CALL;
}

/* --- what is answered ------------------------------------------------------- */

bool
rescue_is_missing(
	const struct exchange *exchange, const struct message *response)
{
	const struct message *request = &exchange->request;

	if (request->method == HTTP_OPTIONS)
		return !cors_allows(request, response);
	if (response->status == 404 || response->status == 410)
		return true;
	return response->status < 300 && forward_is_html(response) &&
	       asks_for_asset(request);
}

bool
rescue_is_good(const struct exchange *exchange, const struct message *response)
{
	if (response->status == 304)
		return true;
	return response->status < 300 && !rescue_is_missing(exchange, response);
}

/* Does the answer itself say that it is for this client alone? */
static bool
is_personal(const struct message *response)
{
	return message_has(response, FIELD_SET_COOKIE) ||
	       message_lists(
		       response, SLICE("cache-control"), SLICE("private")) ||
	       message_lists(
		       response, SLICE("cache-control"), SLICE("no-store")) ||
	       message_lists(response, SLICE("vary"), SLICE("cookie")) ||
	       message_lists(response, SLICE("vary"), SLICE("authorization")) ||
	       message_lists(response, SLICE("vary"), SLICE("*"));
}

/* --- hashes ----------------------------------------------------------------- */

static uint64_t
hash_on(uint64_t hash, struct slice bytes)
{
	return hash_bytes(bytes.ptr, bytes.len, hash);
}

static uint64_t
network_of(const struct exchange *exchange)
{
	const struct config *config = exchange->view->snapshot->config;
	uint8_t bytes[ADDRESS_NETWORK_SIZE];
	struct address client =
		forward_client_address(&exchange->request, &exchange->peer,
			config->trusted_proxies, config->n_trusted_proxies);

	return hash_bytes(bytes, address_network(&client, bytes), 0);
}

/*
 * All that an answer to this may depend on: the version that is asked first, and
 * of the request host, path and query; of a preflight, which carries no
 * credentials, what it asks; of a call who asks, so that what one client doesn't
 * have is remembered for that client.
 */
static uint64_t
path_of(const struct exchange *exchange, enum rescue_need need)
{
	const struct message *request = &exchange->request;
	uint64_t hash =
		hash_u64((uint64_t)exchange->decision.version, (uint64_t)need);

	hash = hash_on(hash, message_slice(request, request->host));
	hash = hash_on(hash, message_slice(request, request->path));
	if (need == RESCUE_PREFLIGHT)
		return cors_hash(request, hash);
	if (need == RESCUE_ASSET)
		return hash;
	hash = hash_on(hash, message_find(request, FIELD_COOKIE));
	hash = hash_on(
		hash, message_find_name(request, SLICE("authorization")));
	return hash_u64(network_of(exchange), hash);
}

/* --- whom to ask ------------------------------------------------------------ */

static bool
is_slow(const struct exchange *exchange, const struct registry_version *version,
	enum rescue_need need)
{
	uint64_t now_ns = exchange->shard->now_ns;

	return now_ns < atomic_load_explicit(&version->slow_until_ns,
				memory_order_relaxed) ||
	       (need != RESCUE_ASSET &&
		       now_ns < atomic_load_explicit(
					&version->slow_to_calls_until_ns,
					memory_order_relaxed));
}

/* A page of a version that is assets only may still load them; but its calls go
 * elsewhere, so its word on those is worth nothing. */
static bool
may_help(enum release_standing standing, enum rescue_need need)
{
	return standing != STANDING_IDLE &&
	       (need != RESCUE_PREFLIGHT || standing != STANDING_ASSETS_ONLY);
}

static bool
can_be_asked(const struct exchange *exchange,
	const struct snapshot_version *version,
	const struct release_record *record, const struct release_cell *cell,
	enum rescue_need need)
{
	return version != exchange->version &&
	       may_help(release_standing_of(
				version->registry->release, record, cell),
		       need) &&
	       !is_slow(exchange, version->registry, need) &&
	       balance_has_usable(exchange->shard, version);
}

/* The best of the others: one with clients of its own before one that only
 * helps out. */
static const struct snapshot_version *
best_other(const struct exchange *exchange, const struct release_record *record,
	const struct release_cell *cell, enum rescue_need need)
{
	const struct snapshot_service *service = exchange->service;
	const struct snapshot_version *best = NULL;
	const struct snapshot_version *version;
	enum release_standing best_standing = STANDING_IDLE;
	enum release_standing standing;
	size_t i;

	for (i = 0; i < service->n_versions; i++) {
		version = &service->versions[i];
		if (!can_be_asked(exchange, version, record, cell, need))
			continue;
		standing = release_standing_of(
			version->registry->release, record, cell);
		if (best != NULL && standing >= best_standing)
			continue;
		best = version;
		best_standing = standing;
	}
	return best;
}

/* Reads the release's state; what is remembered is of that from now on. */
static const struct release_record *
follow_release(struct exchange *exchange, struct release_cell *cell)
{
	const struct release_record *record =
		release_read(&exchange->service->registry->release, cell);

	rescue_memory_follow(
		&exchange->local->rescue->memory, release_cell_pack(*cell));
	return record;
}

/* What was paid for in advance isn't paid again. */
static bool
pay(struct exchange *exchange, enum rescue_need need)
{
	struct rescue_table *table = exchange->local->rescue;
	uint64_t now_ns = exchange->shard->now_ns;

	if (exchange->is_rescue_test)
		return true;
	return !rescue_memory_is_nowhere(
		       &table->memory, path_of(exchange, need), now_ns) &&
	       rescue_budget_take(
		       &table->budget, network_of(exchange), need, now_ns);
}

const struct snapshot_version *
rescue_pick(struct exchange *exchange)
{
	enum rescue_need need = need_of(&exchange->request);
	struct release_cell cell;
	const struct release_record *record = follow_release(exchange, &cell);
	const struct snapshot_version *other =
		best_other(exchange, record, &cell, need);

	if (other == NULL || !pay(exchange, need))
		return NULL;
	exchange->rescue_state = release_cell_pack(cell);
	return other;
}

/* --- memory ----------------------------------------------------------------- */

const struct snapshot_version *
rescue_recall(struct exchange *exchange)
{
	struct rescue_table *table = exchange->local->rescue;
	const struct snapshot_version *version;
	const struct release_record *record;
	struct release_cell cell;
	enum rescue_recall recall;
	enum rescue_need need;
	unsigned index = 0;

	if (!table->memory.has_found)
		return NULL;
	need = need_of(&exchange->request);
	if (need == RESCUE_CALL)
		return NULL;
	record = follow_release(exchange, &cell);
	recall = rescue_memory_recall(
		&table->memory, path_of(exchange, need), &index);
	if (recall == RESCUE_UNKNOWN)
		return NULL;
	version = &exchange->service->versions[index];
	if (!can_be_asked(exchange, version, record, &cell, need))
		return NULL;
	exchange->is_rescue_test = recall == RESCUE_KNOWN_TEST &&
				   rescue_budget_take_test(&table->budget);
	return exchange->is_rescue_test ? NULL : version;
}

void
rescue_note_found(struct exchange *exchange, const struct message *response)
{
	struct rescue_table *table = exchange->local->rescue;
	enum rescue_need need = need_of(&exchange->request);
	struct release_cell cell;

	if (!exchange->is_rescue_test)
		rescue_budget_note_found(&table->budget, network_of(exchange));
	/* What HEAD says is GET's, but not everybody knows that. */
	if (exchange->request.method == HTTP_HEAD || need == RESCUE_CALL ||
		(need == RESCUE_ASSET && is_personal(response)))
		return;
	follow_release(exchange, &cell);
	rescue_memory_learn(&table->memory, exchange->rescue_state,
		path_of(exchange, need),
		(unsigned)(exchange->version - exchange->service->versions));
}

void
rescue_note_missing(struct exchange *exchange, const struct message *response)
{
	struct rescue_table *table = exchange->local->rescue;
	enum rescue_need need = need_of(&exchange->request);
	struct release_cell cell;

	if (exchange->request.method == HTTP_HEAD ||
		!rescue_is_missing(exchange, response))
		return;
	follow_release(exchange, &cell);
	rescue_forget(exchange);
	rescue_memory_note_nowhere(&table->memory, exchange->rescue_state,
		path_of(exchange, need), exchange->shard->now_ns);
}

void
rescue_forget(struct exchange *exchange)
{
	rescue_memory_forget(&exchange->local->rescue->memory,
		path_of(exchange, need_of(&exchange->request)));
}

/* --- who is late ------------------------------------------------------------ */

/*
 * The network that has waited doesn't wait again, whoever is at fault. All are
 * spared it where the version has answered nobody meanwhile: one call that
 * takes long mustn't turn rescue off, or it would be a switch for strangers.
 */
void
rescue_note_late(struct exchange *exchange)
{
	struct registry_version *version = exchange->version->registry;
	struct shard *shard = exchange->shard;
	enum rescue_need need = need_of(&exchange->request);
	uint64_t until_ns = shard->now_ns + RESCUE_LATE_NS;

	rescue_budget_note_late(&exchange->local->rescue->budget,
		network_of(exchange), need, shard->now_ns);
	if (version->loads[shard->index].n_heads != exchange->heads_before)
		return;
	atomic_store_explicit(&version->slow_to_calls_until_ns, until_ns,
		memory_order_relaxed);
	if (need == RESCUE_ASSET)
		atomic_store_explicit(&version->slow_until_ns, until_ns,
			memory_order_relaxed);
}
