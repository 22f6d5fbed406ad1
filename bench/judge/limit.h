/*
 * limit: the shortest mean time in which any test that errs once in
 * 1/false_rollback could see a harm of known size (Wald): ln(1/alpha) over the
 * information that comes in each second (Kullback, Leibler).
 */
#ifndef PERCH_BENCH_JUDGE_LIMIT_H
#define PERCH_BENCH_JUDGE_LIMIT_H

#include "runs.h"

double limit_errors_s(const struct judged *judged);
/* By the best of the three quantiles, over a tolerated one. At the first step. */
double limit_latency_s(const struct judged *judged);

#endif
