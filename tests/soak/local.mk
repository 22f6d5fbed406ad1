# The driver of the soak, which `run` starts. It looks at perch from outside:
# no part of libperch.a, and never instrumented, so that it keeps up.
check_PROGRAMS += tests/soak/driver
tests_soak_driver_SOURCES = tests/soak/soak.c tests/soak/soak.h \
	tests/soak/client.c tests/soak/backend.c \
	tests/soak/wire.c tests/soak/wire.h \
	tests/soak/plan.c tests/soak/plan.h
tests_soak_driver_CFLAGS = -std=gnu11 -O2 -pthread -Wall -Wextra -Wshadow \
	-Wmissing-prototypes -Wvla -Wformat=2
tests_soak_driver_LDFLAGS = -pthread
EXTRA_DIST += tests/soak/run
