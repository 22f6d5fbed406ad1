/*
 * words: perchctl's commands that change a release. Those that can't simply be
 * taken back ask first, where a person sits at a terminal.
 */
#ifndef PERCH_CTL_WORDS_H
#define PERCH_CTL_WORDS_H

#include "ctl/options.h"

/* Each returns an enum talk_exit. */
int words_release(const struct options *options);
int words_share(const struct options *options);
int words_advance(const struct options *options);
int words_pause(const struct options *options);
int words_resume(const struct options *options);
int words_promote(const struct options *options);
int words_rollback(const struct options *options);

#endif
