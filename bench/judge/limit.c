#include "limit.h"

#include <math.h>

static const double quantiles_z[EVIDENCE_QUANTILES] = {0, 1.6449, 2.3263};

static double
divergence(double p, double q)
{
	double out = 0;

	if (p > 0)
		out += p * log(p / q);
	if (p < 1)
		out += (1 - p) * log((1 - p) / (1 - q));
	return out;
}

static double
needed(const struct judged *judged)
{
	return -log(judged->evidence.false_rollback);
}

static double
errors_per_s(const struct traffic_case *what, double share)
{
	double p_s = what->p_errors;
	double p_c = fmax(p_s * what->errors_times, what->p_all);
	double hurt_c = what->clients_per_s * share * p_c;
	double hurt_s = what->clients_per_s * (1 - share) * p_s;

	return (hurt_c + hurt_s) *
	       divergence(hurt_c / (hurt_c + hurt_s), share);
}

double
limit_errors_s(const struct judged *judged)
{
	const struct plan_config *plan = &judged->plan;
	double hold_s = (double)plan->hold_ns / 1e9;
	double left = needed(judged), time_s = 0;

	for (unsigned i = 0; i < plan->n_steps; i++) {
		double share = plan->steps_bp[i] / 1e4;
		double rate = errors_per_s(&judged->traffic, share);

		if (left <= rate * hold_s || i + 1 == plan->n_steps)
			return time_s + left / rate;
		left -= rate * hold_s;
		time_s += hold_s;
	}
	return INFINITY;
}

static double
beyond(double z)
{
	return 0.5 * erfc(z * M_SQRT1_2);
}

double
limit_latency_s(const struct judged *judged)
{
	const struct traffic_case *what = &judged->traffic;
	double n_c = what->clients_per_s * judged->plan.steps_bp[0] / 1e4;
	double n_s = what->clients_per_s - n_c;
	double best = 0;

	for (unsigned i = 0; i < EVIDENCE_QUANTILES; i++) {
		double q = what->latency_ms * exp(what->sigma * quantiles_z[i]);
		double m = judged->evidence.latency_tolerance * q +
			   (double)judged->evidence.latency_slack_ns / 1e6;
		double median = what->latency_ms * what->latency_times;
		double p_s = beyond(quantiles_z[i]);
		double p_c = beyond(log(m / median) / what->sigma);
		double pooled;

		if (m < what->slow_ms)
			p_c = what->slow_part + (1 - what->slow_part) * p_c;
		if (p_c <= p_s)
			continue;
		pooled = (n_c * p_c + n_s * p_s) / (n_c + n_s);
		best = fmax(best, n_c * divergence(p_c, pooled) +
					  n_s * divergence(p_s, pooled));
	}
	return needed(judged) / best;
}
