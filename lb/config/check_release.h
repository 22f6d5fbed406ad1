/*
 * check_release: what no single key can know about releases: plans, groups and
 * what they refer to. A part of check_config().
 */
#ifndef PERCH_CONFIG_CHECK_RELEASE_H
#define PERCH_CONFIG_CHECK_RELEASE_H

#include "config/reader.h"

/* Reports what is wrong or doubtful. */
void check_release(const struct reader *reader);

#endif
