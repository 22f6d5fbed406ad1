#include "release/evidence_factor.h"

#include <math.h>

/*
 * F1. H0: p_c <= r0 p_s, p_s free to be anything at any moment. Given the
 * numbers at risk, a newly hurt client is the candidate's with probability at
 * most th0 = n_c r0 / (n_c r0 + n_s); if its rate is r1 times stable's it is
 * th1 = n_c r1 / (n_c r1 + n_s). F is the likelihood ratio of the two:
 *
 *     ln F = x_c ln(th1/th0) + x_s ln((1-th1)/(1-th0))
 *          = x_c ln(r1/r0) + (x_c + x_s) ln((n_c r0 + n_s)/(n_c r1 + n_s))
 *
 * E[F] <= 1 under H0 also where clients are hurt independently of each other:
 * with a = th1/th0 > 1, b = (1-th1)/(1-th0) < 1 and 1 + x <= e^x,
 *
 *     E[a^x_c b^x_s] <= exp(p_c n_c (a-1) + p_s n_s (b-1))
 *
 * and at p_c = r0 p_s the exponent is p_s (n_c r0 + n_s) [(th1-th0) + (th0-th1)]
 * = 0; a smaller p_c only lowers it. For r1 < r0 all signs turn around, and so
 * does H0: p_c >= r0 p_s.
 *
 * F2. The two-sample Bernoulli e-variable of Turner, Ly and Gruenwald (2021).
 * With t0 = (n_c t_c + n_s t_s)/(n_c + n_s), for any common p the expectation
 * is, by the concavity of ln, at most
 *
 *     exp(n ln((n_c (p t_c/t0 + q (1-t_c)/(1-t0)) + n_s (...t_s...)) / n)) = 1
 *
 * As t_c > t0 > t_s, F rises with x_c and falls with x_s, so it holds as well
 * wherever p_c <= p_s.
 */

#define GRID_FROM 1.2
#define GRID_TO 50.0

const double evidence_odds_grid[EVIDENCE_LATENCY_GRID] = {
	1.25, 1.6, 2.2, 3.5, 6, 12, 30, 100};

void
evidence_count_grid(double r0, double *out)
{
	double step = log(GRID_TO / GRID_FROM) / (EVIDENCE_COUNT_GRID - 1);

	for (unsigned k = 0; k < EVIDENCE_COUNT_GRID; k++)
		out[k] = r0 * GRID_FROM * exp(step * k);
}

void
evidence_add_counts(struct evidence_part candidate, struct evidence_part stable,
	double r0, const double *r1, unsigned n, double *out)
{
	double n_c = candidate.n, n_s = stable.n;
	double x_c = candidate.x, x = x_c + stable.x;
	double ln_null;

	if (n_c == 0 || n_s == 0 || x == 0)
		return;
	ln_null = log(n_c * r0 + n_s);
	for (unsigned k = 0; k < n; k++)
		out[k] += x_c * log(r1[k] / r0) +
			  x * (ln_null - log(n_c * r1[k] + n_s));
}

/* The probability whose odds are those of p, times. */
static double
raise_odds(double p, double times)
{
	return p * times / (1 - p + p * times);
}

/* ln of the likelihood of x of n at t, over that at t0. */
static double
ln_ratio(struct evidence_part part, double t, double t0)
{
	double good = (double)part.n - part.x;

	return part.x * log(t / t0) + good * log((1 - t) / (1 - t0));
}

/*
 * With D_k = 1 - t_s + t_s OR_k, t_c is t_s OR_k / D_k and 1 - t_c is (1 - t_s) /
 * D_k; so that, x and g being the bad and good of both sides,
 *
 *     ln F2 = x ln t_s + g ln(1-t_s) + x_c ln OR_k - n_c ln D_k
 *             - x ln t0 - g ln(1-t0)
 */
void
evidence_add_latency(struct evidence_part candidate,
	struct evidence_part stable, double bad, double *out)
{
	double n_c = candidate.n, n_s = stable.n;
	double x = (double)candidate.x + stable.x;
	double good = n_c + n_s - x;
	double ln_stable = x * log(bad) + good * log1p(-bad);

	if (n_c == 0 || n_s == 0)
		return;
	for (unsigned k = 0; k < EVIDENCE_LATENCY_GRID; k++) {
		double odds = evidence_odds_grid[k];
		double d = 1 - bad + bad * odds;
		double t_0 = (n_c * bad * odds / d + n_s * bad) / (n_c + n_s);

		out[k] += ln_stable - n_c * log(d) - good * log(1 - t_0);
		if (candidate.x > 0)
			out[k] += candidate.x * log(odds);
		if (x > 0)
			out[k] -= x * log(t_0);
	}
}

void
evidence_add_limit(struct evidence_part candidate, double rate, double *out)
{
	/* There can't be more than all. */
	if (candidate.n == 0 || rate >= 1)
		return;
	for (unsigned k = 0; k < EVIDENCE_LATENCY_GRID; k++)
		out[k] += ln_ratio(candidate,
			raise_odds(rate, evidence_odds_grid[k]), rate);
}
