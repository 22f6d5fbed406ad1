# What whole rollouts are made of: a version that fails as it is told, and its
# clients. They look at perch from outside, and are never instrumented, so that
# they keep up.
check_PROGRAMS += tests/release/faulty tests/release/herd
rollout_cflags = -std=gnu11 -O2 -Wall -Wextra -Wshadow \
	-Wmissing-prototypes -Wvla -Wformat=2
tests_release_faulty_SOURCES = tests/release/faulty.c
tests_release_faulty_CFLAGS = $(rollout_cflags)
tests_release_faulty_LDFLAGS =
tests_release_herd_SOURCES = tests/release/herd.c tests/release/herd.h \
	tests/release/herd_wire.c tests/release/herd_answer.c \
	lb/base/error.c lb/base/secret.c lb/base/siphash.c \
	lb/http/chars.c lb/http/cookie.c
tests_release_herd_LDADD = $(OPENSSL_LIBS)
tests_release_herd_CFLAGS = $(rollout_cflags)
tests_release_herd_LDFLAGS =
