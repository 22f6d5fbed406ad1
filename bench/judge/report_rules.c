#include <math.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "cases.h"
#include "report.h"
#include "rules.h"

/* All judges look at 20 minutes at a share of 5 %. */
#define SHARE_BP 500
#define HORIZON_S 1200
#define PERCH RULES /* the column behind those of the rules */
#define N_JUDGES (RULES + 1)

struct run {
	double time_s[N_JUDGES]; /* until clients feel it; INFINITY: never */
	double hurt[N_JUDGES];
};

struct job {
	const struct judged *judged;
	struct run *runs;
};

/* Requests that failed by the candidate, or were slow. */
static double
hurt_in(const struct traffic *traffic)
{
	const struct traffic_case *what = traffic->what;
	bool is_slow = what->latency_times > 1 || what->slow_part > 0;

	return is_slow ? traffic->requests[0] : traffic->failures[0];
}

static void
run_rules(const struct judged *judged, uint64_t seed, struct run *run)
{
	struct rule_watch watches[RULES];
	struct traffic traffic;
	struct evidence_tick tick;

	for (unsigned i = 0; i < RULES; i++) {
		rule_begin(&watches[i], (enum rule)i);
		run->time_s[i] = INFINITY;
	}
	traffic_begin(&traffic, &judged->traffic, seed);
	traffic_set_share(&traffic, SHARE_BP / 1e4);
	while (traffic.time_s < HORIZON_S) {
		traffic_tick(&traffic, &tick);
		for (unsigned i = 0; i < RULES; i++) {
			if (traffic.time_s <= run->time_s[i])
				run->hurt[i] += hurt_in(&traffic);
			if (rule_tick(&watches[i], &traffic) &&
				isinf(run->time_s[i]))
				run->time_s[i] = traffic.time_s +
						 rule_delay_s(&traffic.random);
		}
	}
	for (unsigned i = 0; i < RULES; i++)
		if (run->time_s[i] > HORIZON_S)
			run->time_s[i] = INFINITY;
}

struct counting {
	struct traffic traffic;
	double hurt;
};

static void
tick_counting(void *source, uint64_t now_ns, struct evidence_tick *out)
{
	struct counting *counting = source;

	(void)now_ns;
	traffic_tick(&counting->traffic, out);
	counting->hurt += hurt_in(&counting->traffic);
}

static void
share_counting(void *source, uint16_t share_bp)
{
	struct counting *counting = source;

	traffic_set_share(&counting->traffic, share_bp / 1e4);
}

static void
window_counting(void *source)
{
	struct counting *counting = source;

	traffic_begin_window(&counting->traffic);
}

static void
run_perch(const struct judged *judged, uint64_t seed, struct run *run)
{
	struct counting counting = {.hurt = 0};
	struct simulate_source source = {&counting, tick_counting,
		share_counting, window_counting, NULL};
	struct outcome outcome;

	traffic_begin(&counting.traffic, &judged->traffic, seed);
	simulate_release(
		&source, &judged->evidence, &judged->plan, HORIZON_S, &outcome);
	run->time_s[PERCH] = outcome.is_rolled_back ? outcome.time_s : INFINITY;
	run->hurt[PERCH] = counting.hurt;
}

static void
run_one(unsigned i, void *arg)
{
	const struct job *job = arg;

	run_rules(job->judged, i + 1, &job->runs[i]);
	run_perch(job->judged, i + 1, &job->runs[i]);
}

static int
compare(const void *a, const void *b)
{
	double left = *(const double *)a, right = *(const double *)b;

	return left < right ? -1 : left > right;
}

static double
median(double *values, unsigned n)
{
	qsort(values, n, sizeof(*values), compare);
	return values[n / 2];
}

static void
print_judge(struct report *report, const struct run *runs, unsigned n,
	unsigned judge)
{
	double *times = malloc(n * sizeof(*times));
	double *hurt = malloc(n * sizeof(*hurt));
	unsigned n_back = 0;

	for (unsigned i = 0; i < n; i++) {
		if (isinf(runs[i].time_s[judge]))
			continue;
		times[n_back] = runs[i].time_s[judge];
		hurt[n_back++] = runs[i].hurt[judge];
	}
	if (n_back == 0)
		fprintf(report->out, " 0 %% | - | - |");
	else
		fprintf(report->out, " %.3g %% | %.3g | %.0f |",
			100.0 * n_back / n, median(times, n_back),
			median(hurt, n_back));
	free(times);
	free(hurt);
}

void
report_rules(struct report *report)
{
	unsigned n = report->n_rules;

	fprintf(report->out,
		"\n## The same traffic under rules in common use\n\n"
		"%u releases each, 20 minutes at 5 %% share. *Success*: 99 %% "
		"of "
		"the candidate's requests of a minute, the fifth failure rolls "
		"back. *Mann-Whitney*: error rate and mean latency of each "
		"minute "
		"so far (0.02, two-sided), 50 points each, below 75 rolls "
		"back, "
		"from the fifth minute on. Both see metrics 15 to 30 s late, "
		"and "
		"20 s pass until clients feel it. Columns: rolled back, median "
		"seconds, median of failed (or, where the harm is latency, "
		"all) "
		"requests that the candidate answered until then.\n\n"
		"| case | success | s | hurt | Mann-Whitney | s | hurt | perch "
		"| "
		"s | hurt |\n"
		"| --- | --: | --: | --: | --: | --: | --: | --: | --: | --: "
		"|\n",
		n);
	for (unsigned i = 0; i < n_rules_cases; i++) {
		struct judged judged;
		struct job job = {&judged, runs_shared(n * sizeof(struct run))};

		judged_init(&judged);
		rules_cases[i].setup(&judged);
		judged.plan.n_steps = 1;
		judged.plan.steps_bp[0] = SHARE_BP;
		report->cpu_s +=
			runs_part(n, report->n_processes, run_one, &job);
		fprintf(report->out, "| %s |", rules_cases[i].name);
		for (unsigned k = 0; k < N_JUDGES; k++)
			print_judge(report, job.runs, n, k);
		fprintf(report->out, "\n");
		fflush(report->out);
		munmap(job.runs, n * sizeof(struct run));
	}
}
