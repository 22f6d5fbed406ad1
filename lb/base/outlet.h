/*
 * outlet: where lines leave the program without anybody waiting for it.
 *
 * A pipe that nobody reads, a stopped terminal or a disk that hangs takes
 * nothing for as long as it likes. So each outlet has a thread that alone
 * writes to it. Who has lines leaves them in its memory, which costs a copy
 * under a lock that is never held over a system call, and goes on; what finds
 * no room, or can't be written, is dropped and counted.
 *
 * For log and the access log. Whoever opened an outlet owns it; its thread
 * frees it, some time after outlet_close(). At exit() what is left is waited
 * for, as long as it gets less.
 */
#ifndef PERCH_BASE_OUTLET_H
#define PERCH_BASE_OUTLET_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

struct outlet;

struct outlet_setup {
	/* A file's path: opened to append, made if need be. NULL: see fd. */
	const char *path;
	/* A descriptor that the program was started with. It isn't closed, nor
	 * made non-blocking, as others may share it. */
	int fd;
	/* In place of both: takes a line, its end included. */
	void (*put)(const char *line, size_t len);
	/* Bytes that may wait; twice as many may be held. */
	size_t size;
	/* Lines, counted up; outlives the outlet. */
	_Atomic uint64_t *n_dropped;
};

/* NULL with the reason if the file can't be opened, or not within two seconds. */
struct outlet *
outlet_open(const struct outlet_setup *setup, struct error *error);

/* Leaves whole lines. False if they were dropped. Any thread. */
bool outlet_write(struct outlet *outlet, const char *lines, size_t len);

/* The same, but what finds no room is still the caller's: it isn't counted. */
bool outlet_offer(struct outlet *outlet, const char *lines, size_t len);

/* Once all that it has now is written, the path is opened anew (after a log's
 * rotation). If that fails, what is open stays, and the log says so. */
void outlet_reopen(struct outlet *outlet);

/* What it holds is still written, unless nothing takes it for a second. */
void outlet_close(struct outlet *outlet);

/* Waits until no outlet holds anything, for a second without progress and five
 * seconds at most. */
void outlet_settle_all(void);

#endif
