/*
 * check: what no single key can know: names that refer to others, things
 * given twice, and choices that deserve a warning.
 */
#ifndef PERCH_CONFIG_CHECK_H
#define PERCH_CONFIG_CHECK_H

#include "config/reader.h"

/*
 * Runs whether or not errors were found before, so that all are reported at
 * once. Fills in the stable version of a service that has just one.
 */
void check_config(const struct reader *reader);

#endif
