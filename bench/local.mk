# The bench and its floor.
noinst_PROGRAMS += bench/floor bench/backend
bench_floor_SOURCES = bench/floor.c
bench_backend_SOURCES = bench/backend.c
EXTRA_DIST += bench/run bench/results/data-path.md

bench: all
	/usr/bin/python3 $(srcdir)/bench/run --build $(builddir)
.PHONY: bench
