# libFuzzer targets, built by --enable-fuzzing. Other builds replay their
# corpora: each target's file with replay_main.c.
EXTRA_DIST += tests/fuzz/corpus tests/fuzz/replay.sh tests/fuzz/make_seeds.py

check_PROGRAMS += tests/fuzz/replay_head tests/fuzz/replay_chunked \
	tests/fuzz/replay_cookie tests/fuzz/replay_config \
	tests/fuzz/replay_forward tests/fuzz/replay_forward_response \
	tests/fuzz/replay_journal tests/fuzz/replay_path
TESTS += tests/fuzz/replay.sh

replay_sources = tests/fuzz/replay_main.c tests/fuzz/fuzz.h
tests_fuzz_replay_head_SOURCES = tests/fuzz/fuzz_head.c $(replay_sources)
tests_fuzz_replay_head_LDADD = $(PERCH_LIBS)
tests_fuzz_replay_chunked_SOURCES = tests/fuzz/fuzz_chunked.c $(replay_sources)
tests_fuzz_replay_chunked_LDADD = $(PERCH_LIBS)
tests_fuzz_replay_cookie_SOURCES = tests/fuzz/fuzz_cookie.c $(replay_sources)
tests_fuzz_replay_cookie_LDADD = $(PERCH_LIBS)
tests_fuzz_replay_config_SOURCES = tests/fuzz/fuzz_config.c $(replay_sources)
tests_fuzz_replay_config_LDADD = $(PERCH_LIBS)
tests_fuzz_replay_journal_SOURCES = tests/fuzz/fuzz_journal.c $(replay_sources)
tests_fuzz_replay_journal_LDADD = $(PERCH_LIBS)
tests_fuzz_replay_path_SOURCES = tests/fuzz/fuzz_path.c $(replay_sources)
tests_fuzz_replay_path_LDADD = $(PERCH_LIBS)
relay_sources = tests/fuzz/relay.c tests/fuzz/relay.h
tests_fuzz_replay_forward_SOURCES = tests/fuzz/fuzz_forward.c \
	$(relay_sources) $(replay_sources)
tests_fuzz_replay_forward_LDADD = $(PERCH_LIBS)
tests_fuzz_replay_forward_response_SOURCES = \
	tests/fuzz/fuzz_forward_response.c $(relay_sources) $(replay_sources)
tests_fuzz_replay_forward_response_LDADD = $(PERCH_LIBS)

if FUZZING
noinst_PROGRAMS += tests/fuzz/fuzz_config
tests_fuzz_fuzz_config_SOURCES = tests/fuzz/fuzz_config.c tests/fuzz/fuzz.h
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

noinst_PROGRAMS += tests/fuzz/fuzz_journal
tests_fuzz_fuzz_journal_SOURCES = tests/fuzz/fuzz_journal.c tests/fuzz/fuzz.h
tests_fuzz_fuzz_journal_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
tests_fuzz_fuzz_journal_LDADD = $(PERCH_LIBS)

noinst_PROGRAMS += tests/fuzz/fuzz_path
tests_fuzz_fuzz_path_SOURCES = tests/fuzz/fuzz_path.c tests/fuzz/fuzz.h
tests_fuzz_fuzz_path_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
tests_fuzz_fuzz_path_LDADD = $(PERCH_LIBS)

noinst_PROGRAMS += tests/fuzz/fuzz_forward
tests_fuzz_fuzz_forward_SOURCES = tests/fuzz/fuzz_forward.c \
	$(relay_sources) tests/fuzz/fuzz.h
tests_fuzz_fuzz_forward_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
tests_fuzz_fuzz_forward_LDADD = $(PERCH_LIBS)

noinst_PROGRAMS += tests/fuzz/fuzz_forward_response
tests_fuzz_fuzz_forward_response_SOURCES = tests/fuzz/fuzz_forward_response.c \
	$(relay_sources) tests/fuzz/fuzz.h
tests_fuzz_fuzz_forward_response_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
tests_fuzz_fuzz_forward_response_LDADD = $(PERCH_LIBS)
endif
