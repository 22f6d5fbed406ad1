#include "runs.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "release/release.h"

void
judged_init(struct judged *judged)
{
	memset(judged, 0, sizeof(*judged));
	traffic_case_init(&judged->traffic);
	town_case_init(&judged->town);
	evidence_config_init(&judged->evidence);
	plan_config_init(&judged->plan);
	judged->horizon_s = 7200;
}

/* --- sources ------------------------------------------------------------------ */

static void
tick_traffic(void *source, uint64_t now_ns, struct evidence_tick *out)
{
	(void)now_ns;
	traffic_tick(source, out);
}

static void
share_traffic(void *source, uint16_t share_bp)
{
	traffic_set_share(source, (double)share_bp / RELEASE_SHARE_FULL);
}

static void
window_traffic(void *source)
{
	traffic_begin_window(source);
}

static void
tick_town(void *source, uint64_t now_ns, struct evidence_tick *out)
{
	town_tick(source, now_ns, out);
}

static void
share_town(void *source, uint16_t share_bp)
{
	town_set_share(source, share_bp);
}

static void
window_town(void *source)
{
	town_begin_window(source);
}

static void
run_traffic(const struct judged *judged, uint64_t seed, struct outcome *out)
{
	struct traffic traffic;
	struct simulate_source source = {&traffic, tick_traffic, share_traffic,
		window_traffic, judged->say};

	traffic_begin(&traffic, &judged->traffic, seed);
	simulate_release(&source, &judged->evidence, &judged->plan,
		judged->horizon_s, out);
	out->n_hurt = traffic.n_hurt;
	if (isfinite(judged->traffic.harm_s))
		out->time_s -= (float)judged->traffic.harm_s;
}

static void
run_town(const struct judged *judged, uint64_t seed, struct outcome *out)
{
	struct town *town = town_open(&judged->town, seed);
	struct simulate_source source = {
		town, tick_town, share_town, window_town, judged->say};

	simulate_release(&source, &judged->evidence, &judged->plan,
		judged->horizon_s, out);
	out->n_hurt = town_hurt(town);
	/* The simulation's clock starts at a thousand seconds. */
	if (judged->town.is_hanging)
		out->time_s -=
			(float)((double)town_first_over_ns(town) / 1e9 - 1000);
	town_close(town);
}

/* --- processes ------------------------------------------------------------------ */

void *
runs_shared(size_t size)
{
	void *at = mmap(NULL, size, PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (at == MAP_FAILED) {
		perror("mmap");
		exit(1);
	}
	return at;
}

static double
children_cpu_s(void)
{
	struct rusage usage;

	getrusage(RUSAGE_CHILDREN, &usage);
	return (double)usage.ru_utime.tv_sec + (double)usage.ru_stime.tv_sec +
	       (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

double
runs_part(unsigned n, unsigned n_processes, void (*work)(unsigned, void *),
	void *arg)
{
	double before = children_cpu_s();
	int status;
	pid_t pid;

	fflush(NULL);
	for (unsigned k = 0; k < n_processes; k++) {
		pid = fork();
		if (pid < 0) {
			perror("fork");
			exit(1);
		}
		if (pid > 0)
			continue;
		for (unsigned i = k; i < n; i += n_processes)
			work(i, arg);
		_exit(0);
	}
	while ((pid = wait(&status)) > 0) {
		if (status != 0) {
			fprintf(stderr, "a process ended with %d\n", status);
			exit(1);
		}
	}
	return children_cpu_s() - before;
}

struct job {
	const struct judged *judged;
	struct outcome *outcomes;
};

static void
run_one(unsigned i, void *arg)
{
	const struct job *job = arg;

	if (job->judged->is_town)
		run_town(job->judged, i + 1, &job->outcomes[i]);
	else
		run_traffic(job->judged, i + 1, &job->outcomes[i]);
}

void
runs_go(const struct judged *judged, unsigned n, unsigned n_processes,
	struct results *out)
{
	struct job job = {judged, runs_shared(n * sizeof(struct outcome))};

	memset(out, 0, sizeof(*out));
	out->outcomes = job.outcomes;
	out->n = n;
	out->cpu_s = runs_part(n, n_processes, run_one, &job);
	for (unsigned i = 0; i < n; i++) {
		const struct outcome *outcome = &out->outcomes[i];

		out->n_rolled_back += outcome->is_rolled_back;
		out->n_done += outcome->is_done;
		out->n_retreats += outcome->n_retreats > 0;
		out->n_untrusted += outcome->untrusted != 0;
	}
}

void
runs_free(struct results *results)
{
	munmap(results->outcomes, results->n * sizeof(struct outcome));
}

/* --- what came of it ---------------------------------------------------------------- */

static int
compare(const void *a, const void *b)
{
	double left = *(const double *)a, right = *(const double *)b;

	return left < right ? -1 : left > right;
}

static double
quantile(const struct results *results, double part,
	double (*value)(const struct outcome *outcome))
{
	double *values = malloc((results->n + 1) * sizeof(*values));
	unsigned n = 0;
	double out = INFINITY;

	for (unsigned i = 0; i < results->n; i++)
		if (results->outcomes[i].is_rolled_back)
			values[n++] = value(&results->outcomes[i]);
	qsort(values, n, sizeof(*values), compare);
	if (n > 0)
		out = values[(unsigned)(part * (n - 1) + 0.5)];
	free(values);
	return out;
}

static double
time_of(const struct outcome *outcome)
{
	return outcome->time_s;
}

static double
hurt_of(const struct outcome *outcome)
{
	return outcome->n_hurt;
}

double
runs_time_s(const struct results *results, double part)
{
	return quantile(results, part, time_of);
}

double
runs_hurt(const struct results *results, double part)
{
	return quantile(results, part, hurt_of);
}

unsigned
runs_early(const struct results *results)
{
	unsigned n = 0;

	for (unsigned i = 0; i < results->n; i++)
		n += results->outcomes[i].is_rolled_back &&
		     results->outcomes[i].time_s < 0;
	return n;
}

unsigned
runs_reason(const struct results *results, unsigned signal)
{
	unsigned n = 0;

	for (unsigned i = 0; i < results->n; i++)
		n += results->outcomes[i].is_rolled_back &&
		     results->outcomes[i].reason == signal;
	return n;
}

double
runs_tail(unsigned k, unsigned n, double p)
{
	double below = 0;

	for (unsigned i = 0; i < k; i++)
		below += exp(lgamma(n + 1.0) - lgamma(i + 1.0) -
			     lgamma(n - i + 1.0) + i * log(p) +
			     (n - i) * log1p(-p));
	return 1 - below;
}

double
runs_upper_bound(unsigned k, unsigned n)
{
	double low = 0, high = 1;

	if (k == n)
		return 1;
	/* The p at which so few, or fewer, are seen one time in twenty. */
	for (unsigned i = 0; i < 60; i++) {
		double p = (low + high) / 2;

		if (1 - runs_tail(k + 1, n, p) > 0.05)
			low = p;
		else
			high = p;
	}
	return high;
}
