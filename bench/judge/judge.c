/*
 * judge: releases by the thousand, on a virtual clock, judged by the real
 * evidence and plan (and, where the case says so, the real crowd). Prints the
 * tables of bench/results/judge.md; the exit status says whether all of what is
 * promised was kept.
 *
 *     judge [--check] [-n RELEASES] [-j PROCESSES] [-o FILE] [CASE]
 */
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "report.h"

static void
usage(void)
{
	fprintf(stderr,
		"usage: judge [--check] [-n RELEASES] [-j PROCESSES] [-o FILE] "
		"[CASE]\n"
		"  --check  few releases, judged more boldly: for make check\n"
		"  -n       harmless releases of each case (10,000)\n"
		"  CASE     only cases with this in their name\n");
	exit(2);
}

static void
be_quick(struct report *report)
{
	report->is_quick = true;
	report->n_harmless = 40;
	report->n_harmful = 40;
	/* So that 40 releases can show something. */
	report->false_rollback = 0.05;
}

static void
parse(struct report *report, int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		bool has_value = i + 1 < argc;

		if (strcmp(argv[i], "--check") == 0)
			be_quick(report);
		else if (strcmp(argv[i], "-n") == 0 && has_value)
			report->n_harmless = (unsigned)atoi(argv[++i]);
		else if (strcmp(argv[i], "-j") == 0 && has_value)
			report->n_processes = (unsigned)atoi(argv[++i]);
		else if (strcmp(argv[i], "-o") == 0 && has_value)
			report->out = fopen(argv[++i], "w");
		else if (argv[i][0] == '-' || report->only != NULL)
			usage();
		else
			report->only = argv[i];
	}
	if (report->out == NULL || report->n_processes == 0 ||
		report->n_harmless == 0)
		usage();
}

int
main(int argc, char **argv)
{
	struct report report = {
		.out = stdout,
		.n_processes = 2,
		.n_harmless = 10000,
		.n_harmful = 1000,
		.n_rules = 500,
		.false_rollback = 0.001,
	};
	uint64_t start_ns = clock_monotonic_ns();

	parse(&report, argc, argv);
	fprintf(report.out,
		"# How releases are judged\n\n"
		"Written by `make bench-judge`: simulated releases, on the "
		"real "
		"evidence and plan; *crowd* cases client by client through the "
		"real crowd too.\n\n");
	report_harmless(&report);
	report_harmful(&report);
	if (!report.is_quick && report.only == NULL)
		report_rules(&report);
	fprintf(report.out,
		"\n%u promises missed. %.0f s on %u cores, %.0f s of CPU.\n",
		report.n_missed,
		(double)(clock_monotonic_ns() - start_ns) / 1e9,
		report.n_processes, report.cpu_s);
	return report.n_missed > 0;
}
