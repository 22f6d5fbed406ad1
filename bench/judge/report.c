#include "report.h"

#include <math.h>
#include <string.h>

#include "cases.h"
#include "limit.h"

#define RARE 1e-4
#define FALSE_ROLLBACK 0.001 /* of the harmful ones */
#define MUCH_TOO_LONG_S 36000

static bool
is_wanted(const struct report *report, const char *name)
{
	return report->only == NULL || strstr(name, report->only) != NULL;
}

static const char *
verdict(struct report *report, bool is_kept)
{
	if (!is_kept)
		report->n_missed++;
	return is_kept ? "yes" : "**NO**";
}

/* --- harmless ------------------------------------------------------------------ */

static bool
keeps_promise(const struct report *report, const struct results *results)
{
	double alpha = report->false_rollback;
	unsigned k = results->n_rolled_back;

	if (report->is_quick)
		return runs_tail(k, results->n, alpha) > RARE;
	return k <= alpha * results->n &&
	       runs_upper_bound(k, results->n) < 2 * alpha;
}

static void
report_harmless_case(struct report *report, const struct harmless_case *what)
{
	struct judged judged;
	struct results results;
	bool is_kept;

	judged_init(&judged);
	judged.evidence.false_rollback = report->false_rollback;
	what->setup(&judged);
	runs_go(&judged, report->n_harmless, report->n_processes, &results);
	report->cpu_s += results.cpu_s;
	is_kept = keeps_promise(report, &results);
	fprintf(report->out, "| %s | %u | %u | %.3f %% | %u | %u | %u | %s |\n",
		what->name, results.n, results.n_rolled_back,
		100 * runs_upper_bound(results.n_rolled_back, results.n),
		results.n_done, results.n_retreats, results.n_untrusted,
		what->is_for_comparison ? "-" : verdict(report, is_kept));
	fflush(report->out);
	runs_free(&results);
}

void
report_harmless(struct report *report)
{
	fprintf(report->out,
		"## Identical versions\n\n"
		"false_rollback %g; steps 1, 5, 10, 20, 50, 80, 100 %% of 60 "
		"s; "
		"1,000 clients/s unless said.\n\n"
		"| case | releases | rolled back | at most (95 %%) | promoted "
		"| "
		"went back from 100 %% | a signal untrusted | kept |\n"
		"| --- | --: | --: | --: | --: | --: | --: | --- |\n",
		report->false_rollback);
	for (unsigned i = 0; i < n_harmless_cases; i++)
		if (is_wanted(report, harmless_cases[i].name))
			report_harmless_case(report, &harmless_cases[i]);
}

/* --- harmful -------------------------------------------------------------------- */

static double
median_of(const struct report *report, const char *name)
{
	struct judged judged;
	struct results results;
	double out = MUCH_TOO_LONG_S;

	for (unsigned i = 0; i < n_harmful_cases; i++) {
		if (strcmp(harmful_cases[i].name, name) != 0)
			continue;
		judged_init(&judged);
		harmful_cases[i].setup(&judged);
		runs_go(&judged, report->n_harmful, report->n_processes,
			&results);
		out = runs_time_s(&results, 0.5);
		runs_free(&results);
	}
	return out;
}

static bool
is_seen(const struct report *report, const struct harmful_case *what,
	const struct results *results)
{
	double median_s = runs_time_s(results, 0.5);

	if (results->n_rolled_back < results->n)
		return false;
	/* Before the harm began it was harmless. */
	if (runs_tail(runs_early(results), results->n, FALSE_ROLLBACK) < RARE)
		return false;
	if (what->reason >= 0 && runs_reason(results, (unsigned)what->reason) <
					 0.95 * results->n)
		return false;
	if (what->most_median_s > 0 && median_s > what->most_median_s)
		return false;
	if (what->most_median_hurt > 0 &&
		runs_hurt(results, 0.5) > what->most_median_hurt)
		return false;
	if (what->most_s > 0 && runs_time_s(results, 0.999) > what->most_s)
		return false;
	return what->twice_as == NULL ||
	       median_s <= 2 * median_of(report, what->twice_as);
}

static void
describe_aim(const struct harmful_case *what, char *out, size_t size)
{
	if (what->most_median_hurt > 0 && what->most_median_s > 0)
		snprintf(out, size, "median <= %g hurt, %g s",
			what->most_median_hurt, what->most_median_s);
	else if (what->most_median_hurt > 0)
		snprintf(
			out, size, "median <= %g hurt", what->most_median_hurt);
	else if (what->most_median_s > 0)
		snprintf(out, size, "median <= %g s", what->most_median_s);
	else if (what->most_s > 0)
		snprintf(out, size, "99.9 %% <= %g s", what->most_s);
	else if (what->twice_as != NULL)
		snprintf(out, size, "median <= 2 x at once");
	else
		snprintf(out, size, "always");
}

static void
report_harmful_case(struct report *report, const struct harmful_case *what)
{
	struct judged judged;
	struct results results;
	char aim[64], limit[64] = "- | -";
	double median_s;

	judged_init(&judged);
	what->setup(&judged);
	runs_go(&judged, report->n_harmful, report->n_processes, &results);
	report->cpu_s += results.cpu_s;
	median_s = runs_time_s(&results, 0.5);
	describe_aim(what, aim, sizeof(aim));
	if (what->limit_s != NULL)
		snprintf(limit, sizeof(limit), "%.2f | %.1f",
			what->limit_s(&judged),
			median_s / what->limit_s(&judged));
	fprintf(report->out,
		"| %s | %u of %u | %.2f | %.2f | %.2f | %.0f | %s | %s | %s "
		"|\n",
		what->name, results.n_rolled_back, results.n, median_s,
		runs_time_s(&results, 0.95), runs_time_s(&results, 1),
		runs_hurt(&results, 0.5), limit, aim,
		verdict(report, is_seen(report, what, &results)));
	fflush(report->out);
	runs_free(&results);
}

void
report_harmful(struct report *report)
{
	fprintf(report->out,
		"\n## Harm\n\n"
		"Seconds from its beginning to the rollback; clients of the "
		"candidate that were counted as hurt (errors) until then. "
		"Wald: "
		"ln(1/false_rollback) over the information in each second, the "
		"least mean time of any test that knew the size of the harm "
		"and "
		"looked for nothing else.\n\n"
		"| case | rolled back | median s | 95 %% | longest | median "
		"hurt "
		"| Wald s | ratio | asked | kept |\n"
		"| --- | --: | --: | --: | --: | --: | --: | --: | --- | --- "
		"|\n");
	for (unsigned i = 0; i < n_harmful_cases; i++)
		if (is_wanted(report, harmful_cases[i].name))
			report_harmful_case(report, &harmful_cases[i]);
}
