/*
 * show: perchctl's commands that only look: status, plan, history.
 */
#ifndef PERCH_CTL_SHOW_H
#define PERCH_CTL_SHOW_H

#include "ctl/options.h"

/* Each returns an enum talk_exit. */
int show_status(const struct options *options);
int show_plan(const struct options *options);
int show_history(const struct options *options);

#endif
