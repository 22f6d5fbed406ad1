# The bench and its floor.
noinst_PROGRAMS += bench/floor bench/spread bench/backend bench/rate
bench_floor_SOURCES = bench/floor.c
bench_spread_SOURCES = bench/spread.c
bench_backend_SOURCES = bench/backend.c
bench_rate_SOURCES = bench/rate.c
EXTRA_DIST += bench/run bench/subjects.py bench/parts.py \
	bench/rollout bench/results/data-path.md bench/results/rollout.md \
	bench/identity bench/results/identity.in.md bench/results/identity.md

# Releases by simulation, judged by the real evidence, plan and crowd.
noinst_PROGRAMS += bench/judge/judge
bench_judge_judge_SOURCES = bench/judge/judge.c \
	bench/judge/cases.c bench/judge/cases.h \
	bench/judge/limit.c bench/judge/limit.h \
	bench/judge/random.c bench/judge/random.h \
	bench/judge/report.c bench/judge/report.h \
	bench/judge/report_rules.c \
	bench/judge/rules.c bench/judge/rules.h \
	bench/judge/runs.c bench/judge/runs.h \
	bench/judge/simulate.c bench/judge/simulate.h \
	bench/judge/town.c bench/judge/town.h \
	bench/judge/traffic.c bench/judge/traffic.h
bench_judge_judge_LDADD = $(PERCH_LIBS)
EXTRA_DIST += bench/results/causes.md bench/results/judge.md bench/judge/check

# A few of them, in every build.
TESTS += bench/judge/check

bench-judge: all
	bench/judge/judge -o $(srcdir)/bench/results/judge.md
.PHONY: bench-judge

bench: all
	/usr/bin/python3 $(srcdir)/bench/run --build $(builddir)
.PHONY: bench
