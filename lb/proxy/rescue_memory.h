/*
 * rescue_memory: what a worker knows of a service's paths: which version has
 * one that another lacks, and which nobody has.
 *
 * A path is a hash of all that the answer may depend on (proxy/rescue makes
 * it), among it the version that was asked first. All of it is of one state of
 * the service's release, and is forgotten when that changes. One use in
 * RESCUE_TEST_EVERY of what is known is a test: the first version is asked
 * again, for it may have the path by now, or fail it.
 *
 * A cache: what is used least goes first. Pure, times come from the caller; some
 * 12 KiB.
 */
#ifndef PERCH_PROXY_RESCUE_MEMORY_H
#define PERCH_PROXY_RESCUE_MEMORY_H

#include <stdbool.h>
#include <stdint.h>

#define RESCUE_FOUND 512 /* a power of two, as the next */
#define RESCUE_NOWHERE 256
#define RESCUE_NOWHERE_NS UINT64_C(10000000000)
#define RESCUE_TEST_EVERY 20

struct rescue_found {
	uint64_t path; /* 0: free */
	uint32_t version;
	uint32_t n_uses;
};

struct rescue_nowhere {
	uint64_t path; /* 0: free */
	uint64_t until_ns;
};

struct rescue_memory {
	uint64_t state;
	bool has_found; /* any */
	struct rescue_found found[RESCUE_FOUND];
	struct rescue_nowhere nowhere[RESCUE_NOWHERE];
};

enum rescue_recall {
	RESCUE_UNKNOWN,
	RESCUE_KNOWN,
	RESCUE_KNOWN_TEST, /* the same, but this time it is to be tested */
};

/* Empty. */
void rescue_memory_init(struct rescue_memory *memory);

/* The release's state now, a number that changes with it: what is known of
 * another one is forgotten. */
void rescue_memory_follow(struct rescue_memory *memory, uint64_t state);

/* Which version has it, by the number that was learned. */
enum rescue_recall rescue_memory_recall(
	struct rescue_memory *memory, uint64_t path, unsigned *version);
/* Asked when the release was in this state; an older one counts for nothing. */
void rescue_memory_learn(struct rescue_memory *memory, uint64_t state,
	uint64_t path, unsigned version);
void rescue_memory_forget(struct rescue_memory *memory, uint64_t path);

/* Nobody had it. */
void rescue_memory_note_nowhere(struct rescue_memory *memory, uint64_t state,
	uint64_t path, uint64_t now_ns);
bool rescue_memory_is_nowhere(
	const struct rescue_memory *memory, uint64_t path, uint64_t now_ns);

#endif
