# libFuzzer targets, built by --enable-fuzzing. Other builds replay their
# corpora: each target's file with replay_main.c.
EXTRA_DIST += tests/fuzz/corpus tests/fuzz/replay.sh

check_PROGRAMS += tests/fuzz/replay_head tests/fuzz/replay_chunked \
	tests/fuzz/replay_cookie
TESTS += tests/fuzz/replay.sh

replay_sources = tests/fuzz/replay_main.c tests/fuzz/fuzz.h
tests_fuzz_replay_head_SOURCES = tests/fuzz/fuzz_head.c $(replay_sources)
tests_fuzz_replay_head_LDADD = $(PERCH_LIBS)
tests_fuzz_replay_chunked_SOURCES = tests/fuzz/fuzz_chunked.c $(replay_sources)
tests_fuzz_replay_chunked_LDADD = $(PERCH_LIBS)
tests_fuzz_replay_cookie_SOURCES = tests/fuzz/fuzz_cookie.c $(replay_sources)
tests_fuzz_replay_cookie_LDADD = $(PERCH_LIBS)

if FUZZING
noinst_PROGRAMS += tests/fuzz/fuzz_config
tests_fuzz_fuzz_config_SOURCES = tests/fuzz/fuzz_config.c
tests_fuzz_fuzz_config_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
tests_fuzz_fuzz_config_LDADD = $(PERCH_LIBS)

noinst_PROGRAMS += tests/fuzz/fuzz_head
tests_fuzz_fuzz_head_SOURCES = tests/fuzz/fuzz_head.c tests/fuzz/fuzz.h
tests_fuzz_fuzz_head_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
tests_fuzz_fuzz_head_LDADD = $(PERCH_LIBS)

noinst_PROGRAMS += tests/fuzz/fuzz_chunked
tests_fuzz_fuzz_chunked_SOURCES = tests/fuzz/fuzz_chunked.c tests/fuzz/fuzz.h
tests_fuzz_fuzz_chunked_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
tests_fuzz_fuzz_chunked_LDADD = $(PERCH_LIBS)

noinst_PROGRAMS += tests/fuzz/fuzz_cookie
tests_fuzz_fuzz_cookie_SOURCES = tests/fuzz/fuzz_cookie.c tests/fuzz/fuzz.h
tests_fuzz_fuzz_cookie_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
tests_fuzz_fuzz_cookie_LDADD = $(PERCH_LIBS)
endif
