# The bench and its floor.
noinst_PROGRAMS += bench/floor bench/spread bench/backend bench/rate
bench_floor_SOURCES = bench/floor.c
bench_spread_SOURCES = bench/spread.c
bench_backend_SOURCES = bench/backend.c
bench_rate_SOURCES = bench/rate.c
EXTRA_DIST += bench/run bench/subjects.py bench/parts.py \
	bench/rollout bench/results/data-path.md bench/results/rollout.md

bench: all
	/usr/bin/python3 $(srcdir)/bench/run --build $(builddir)
.PHONY: bench
