#include "proxy/rescue.h"

#include <string.h>

#include "base/hash.h"
#include "http/field.h"
#include "proxy/balance.h"

/* What one rescue costs, and the most that can be saved up: 20 in a burst. */
#define COST_BP 10000
#define CREDIT_MAX_BP (20 * COST_BP)

void
rescue_table_init(struct rescue_table *table)
{
	memset(table, 0, sizeof(*table));
	table->credit_bp = CREDIT_MAX_BP;
}

bool
rescue_is_eligible(struct exchange *exchange)
{
	const struct message *request = &exchange->request;
	struct rescue_table *table = exchange->local->rescue;
	uint64_t budget = exchange->service->settings->rescue.budget;

	if (table == NULL || budget == 0)
		return false;
	table->credit_bp += (uint32_t)budget * 100;
	if (table->credit_bp > CREDIT_MAX_BP)
		table->credit_bp = CREDIT_MAX_BP;
	return (request->method == HTTP_GET || request->method == HTTP_HEAD) &&
	       request->body == BODY_NONE && !exchange->is_navigation &&
	       !exchange->is_upgrade &&
	       exchange->decision.reason != STICKY_OVERRIDE;
}

/* Fetch destinations that are never answered with a page. */
static bool
asks_for_asset(const struct message *request)
{
	static const struct slice assets[] = {
		{"audio", 5}, {"audioworklet", 12}, {"font", 4}, {"image", 5},
		{"json", 4}, {"manifest", 8}, {"paintworklet", 12},
		{"script", 6}, {"serviceworker", 13}, {"sharedworker", 12},
		{"style", 5}, {"track", 5}, {"video", 5}, {"worker", 6},
		{"xslt", 4}};
	struct slice dest = message_find(request, FIELD_SEC_FETCH_DEST);
	size_t i;

	for (i = 0; i < sizeof(assets) / sizeof(assets[0]); i++)
		if (slice_equal(dest, assets[i]))
			return true;
	return false;
}

static bool
is_page(const struct message *response)
{
	struct slice type = message_find(response, FIELD_CONTENT_TYPE);
	struct slice html = SLICE("text/html");

	type.len = type.len < html.len ? type.len : html.len;
	return slice_equal_nocase(type, html);
}

bool
rescue_is_missing(
	const struct exchange *exchange, const struct message *response)
{
	if (response->status == 404 || response->status == 410)
		return true;
	return response->status < 300 && asks_for_asset(&exchange->request) &&
	       is_page(response);
}

bool
rescue_is_good(
	const struct exchange *exchange, const struct message *response)
{
	if (response->status == 304)
		return true;
	return response->status < 300 && !rescue_is_missing(exchange, response);
}

static bool
can_be_asked(const struct exchange *exchange,
	const struct snapshot_version *version,
	const struct release_record *record, const struct release_cell *cell)
{
	return version != exchange->version &&
	       release_standing_of(version->registry->release, record, cell) !=
		       STANDING_IDLE &&
	       balance_has_usable(exchange->shard, version);
}

/* The best of the others: one with clients of its own before one that only
 * helps out. */
static const struct snapshot_version *
best_other(const struct exchange *exchange)
{
	const struct snapshot_service *service = exchange->service;
	const struct snapshot_version *best = NULL;
	const struct snapshot_version *version;
	enum release_standing best_standing = STANDING_IDLE;
	enum release_standing standing;
	struct release_cell cell;
	const struct release_record *record =
		release_read(&service->registry->release, &cell);
	size_t i;

	for (i = 0; i < service->n_versions; i++) {
		version = &service->versions[i];
		if (!can_be_asked(exchange, version, record, &cell))
			continue;
		standing = release_standing_of(
			version->registry->release, record, &cell);
		if (best != NULL && standing >= best_standing)
			continue;
		best = version;
		best_standing = standing;
	}
	return best;
}

const struct snapshot_version *
rescue_pick(struct exchange *exchange)
{
	struct rescue_table *table = exchange->local->rescue;
	const struct snapshot_version *other = best_other(exchange);

	if (other == NULL || table->credit_bp < COST_BP)
		return NULL;
	table->credit_bp -= COST_BP;
	return other;
}

static uint64_t
hash_path(const struct exchange *exchange)
{
	const struct message *request = &exchange->request;
	struct slice path = message_slice(request, request->path);

	return hash_bytes(path.ptr, path.len, 0) | 1;
}

static struct rescue_entry *
entry_of(const struct exchange *exchange, uint64_t path_hash)
{
	return &exchange->local->rescue
			->entries[path_hash >> 8 & (RESCUE_ENTRIES - 1)];
}

const struct snapshot_version *
rescue_recall(const struct exchange *exchange)
{
	const struct snapshot_service *service = exchange->service;
	uint64_t path_hash = hash_path(exchange);
	const struct rescue_entry *entry = entry_of(exchange, path_hash);
	struct release_cell cell;
	const struct release_record *record;
	size_t i;

	if (entry->path_hash != path_hash ||
		entry->version == exchange->version->registry)
		return NULL;
	record = release_read(&service->registry->release, &cell);
	for (i = 0; i < service->n_versions; i++)
		if (service->versions[i].registry == entry->version &&
			can_be_asked(exchange, &service->versions[i], record,
				&cell))
			return &service->versions[i];
	return NULL;
}

void
rescue_remember(const struct exchange *exchange)
{
	uint64_t path_hash = hash_path(exchange);
	struct rescue_entry *entry = entry_of(exchange, path_hash);

	entry->path_hash = path_hash;
	entry->version = exchange->version->registry;
}
