/*
 * releases: every service's release, kept over restarts, and an operator's
 * words about them.
 *
 * Control's. A word takes effect for every worker's next request by one atomic
 * store, and is on disk when the function returns true (where there is a
 * state_dir); when it returns false, error says why.
 */
#ifndef PERCH_PROXY_RELEASES_H
#define PERCH_PROXY_RELEASES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "proxy/snapshot.h"

struct releases {
	struct registry *registry;
	struct state_file *file; /* NULL: no state_dir */
	/* Those with a version that time moves on: few, of however many. */
	struct registry_service **moving;
	size_t n_moving;
};

/* dir NULL: nothing is kept. */
bool releases_open(struct releases *releases, struct registry *registry,
	const char *dir, struct error *error);
void releases_close(struct releases *releases);

/* Takes over what a config says of a service; see release_adopt(). */
void releases_adopt(
	struct releases *releases, const struct config_service *config);
/* Writes all; a failure is logged. */
void releases_save(struct releases *releases);
/* Moves versions whose time is over on; once a second. */
void releases_expire(struct releases *releases);

/* share_bp: hundredths of a percent. */
bool releases_start(struct releases *releases, const struct snapshot *snapshot,
	const char *service, const char *version, uint16_t share_bp,
	struct error *error);
bool releases_set_share(struct releases *releases,
	const struct snapshot *snapshot, const char *service,
	uint16_t share_bp, struct error *error);
bool releases_promote(struct releases *releases,
	const struct snapshot *snapshot, const char *service,
	struct error *error);
bool releases_rollback(struct releases *releases,
	const struct snapshot *snapshot, const char *service,
	struct error *error);

#endif
