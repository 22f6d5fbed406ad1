/*
 * fuzz: what each target shares. A target is one file with
 * LLVMFuzzerTestOneInput(); libFuzzer drives it, or replay_main.c.
 */
#ifndef PERCH_TESTS_FUZZ_H
#define PERCH_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* An invariant; unlike assert() it is there in every build. */
#define CHECK(claim)                                                           \
	do {                                                                   \
		if (!(claim)) {                                                \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__,     \
				#claim);                                       \
			abort();                                               \
		}                                                              \
	} while (0)

#endif
