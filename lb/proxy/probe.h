/*
 * probe: one question to an endpoint, whether it is well: a TCP connection,
 * or a GET over one and the status of its answer.
 *
 * On the control thread, for proxy/health, which judges the outcome. The
 * connection ends with the answer's head; whatever the body would say.
 */
#ifndef PERCH_PROXY_PROBE_H
#define PERCH_PROXY_PROBE_H

#include <event2/event_struct.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/address.h"

enum probe_outcome {
	PROBE_CONNECTED, /* and no more was asked */
	PROBE_ANSWERED, /* with status */
	PROBE_FAILED,
	PROBE_NOT_MADE, /* for want of something here: says nothing of it */
};

struct probe_result {
	enum probe_outcome outcome;
	unsigned status;
	const char *why; /* of the last two; valid during the call */
};

/* At the end, once; the probe may be started again in it. */
typedef void probe_done_fn(const struct probe_result *result, void *arg);

struct probe_question {
	const struct address *address;
	const char *host; /* the field's value */
	const char *path; /* NULL: a connection will do */
	uint64_t timeout_ns;
};

/* The caller's, zeroed; its members are probe.c's. */
struct probe {
	bool is_running;
	bool is_connecting;
	int fd;
	struct event io;
	struct event timer;
	char *request; /* NULL: a connection will do */
	char *buf; /* the answer's head */
	size_t len;
	size_t scanned;
	probe_done_fn *done;
	void *arg;
};

/* done may be called before this returns. The question isn't needed longer. */
void probe_start(struct probe *probe, struct event_base *base,
	const struct probe_question *question, probe_done_fn *done, void *arg);

/* Ends one that runs, without a call of done. */
void probe_cancel(struct probe *probe);

#endif
