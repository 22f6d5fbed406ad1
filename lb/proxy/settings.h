/*
 * settings: what of a service's config a request looks at.
 *
 * Services that say the same share one, as nearly all of many do: so the cache
 * holds it however many they are. Immutable; made with a snapshot, which owns
 * the set. The texts and lists stay the config's.
 */
#ifndef PERCH_PROXY_SETTINGS_H
#define PERCH_PROXY_SETTINGS_H

#include "base/table.h"
#include "config/config.h"

struct settings {
	struct config_sticky sticky;
	struct config_balance balance;
	struct config_rescue rescue;
	uint64_t warmup_ns;
	char *const *upgrades;
	size_t n_upgrades;
	struct config_limits limits;
	struct config_timeouts timeouts;
};

struct settings_set {
	struct table texts; /* each to the first of those that are equal */
	struct table keys;  /* lists of keys, likewise */
	struct table known; /* settings, by their bytes */
	struct settings_shared *all;
};

void settings_set_init(struct settings_set *set);
void settings_set_free(struct settings_set *set);

/* Those of a service, which must live as long as the set. */
const struct settings *settings_share(
	struct settings_set *set, const struct config_service *config);

#endif
