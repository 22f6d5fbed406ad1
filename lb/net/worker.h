/*
 * worker: a thread with its own event loop, timeouts and message queue.
 *
 * Another thread reaches a worker by worker_post() only; all else here is for
 * the worker's own thread. Signals are blocked in it. What is done with
 * connections is not known here: that is proxy/shard.
 */
#ifndef PERCH_NET_WORKER_H
#define PERCH_NET_WORKER_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/list.h"
#include "net/timeouts.h"

struct event;
struct event_base;

typedef void worker_message_fn(void *arg);

/* Something to be done when the current callbacks have returned. */
struct worker_deferred {
	struct worker_deferred *next;
	void (*run)(struct worker_deferred *deferred);
};

struct worker {
	unsigned index;
	pthread_t thread;
	bool is_running;
	struct event_base *base;
	struct timeouts timeouts;
	struct worker_deferred *deferred;
	struct event *deferred_event;
	/* The message queue. */
	pthread_mutex_t lock;
	struct worker_message *first;
	struct worker_message **last;
	int wake_fd; /* eventfd */
	struct event *wake_event;
};

bool worker_init(struct worker *worker, unsigned index, struct error *error);
/* Starts the thread. */
bool worker_start(struct worker *worker, struct error *error);
/* Ends the loop and joins the thread. Any thread but its own. */
void worker_stop(struct worker *worker);
/* Runs what is in the queue still; only while its thread doesn't run. */
void worker_run_messages(struct worker *worker);
/* After worker_stop; runs what was deferred. */
void worker_close(struct worker *worker);

/* Any thread: run(arg) will be called on the worker's, in order of posting. */
void worker_post(struct worker *worker, worker_message_fn *run, void *arg);

/* The worker's thread: runs it once the stack has unwound. So is freed what
 * somebody up the stack may still look at. */
void worker_defer(struct worker *worker, struct worker_deferred *deferred,
	void (*run)(struct worker_deferred *deferred));

#endif
