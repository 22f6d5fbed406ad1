/*
 * releases_private: what the parts of releases say to each other.
 *
 * releases.c has every unit's release over config, restart and time;
 * releases_words.c what an operator says and asks. Nobody else includes this.
 */
#ifndef PERCH_PROXY_RELEASES_PRIVATE_H
#define PERCH_PROXY_RELEASES_PRIVATE_H

#include "proxy/releases.h"

/* What an entry is called that is no event: history leaves it out. */
#define RELEASES_JUST_STATE "state"

/* Finds the unit's judge or makes it. */
struct judge *releases_make_judge(
	struct releases *releases, struct registry_unit *unit);

#endif
