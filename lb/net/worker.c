#include "net/worker.h"

#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/memory.h"

struct worker_message {
	worker_message_fn *run;
	void *arg;
	struct worker_message *next;
};

static struct worker_message *
take_all(struct worker *worker)
{
	struct worker_message *first;

	pthread_mutex_lock(&worker->lock);
	first = worker->first;
	worker->first = NULL;
	worker->last = &worker->first;
	pthread_mutex_unlock(&worker->lock);
	return first;
}

void
worker_run_messages(struct worker *worker)
{
	struct worker_message *message;
	struct worker_message *next;

	for (message = take_all(worker); message != NULL; message = next) {
		next = message->next;
		message->run(message->arg);
		free(message);
	}
}

static void
on_wake(evutil_socket_t fd, short what, void *arg)
{
	uint64_t count;

	if (read((int)fd, &count, sizeof(count)) < 0 && errno != EAGAIN)
		return;
	worker_run_messages(arg);
}

static void
on_deferred(evutil_socket_t fd, short what, void *arg)
{
	struct worker *worker = arg;
	struct worker_deferred *deferred;

	while ((deferred = worker->deferred) != NULL) {
		worker->deferred = deferred->next;
		deferred->run(deferred);
	}
}

static struct event_base *
new_base(void)
{
	struct event_config *config = event_config_new();
	struct event_base *base;

	if (config == NULL)
		return NULL;
	event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
	base = event_base_new_with_config(config);
	event_config_free(config);
	return base;
}

bool
worker_init(struct worker *worker, unsigned index, struct error *error)
{
	memset(worker, 0, sizeof(*worker));
	worker->index = index;
	worker->last = &worker->first;
	pthread_mutex_init(&worker->lock, NULL);
	worker->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	worker->base = new_base();
	if (worker->wake_fd < 0 || worker->base == NULL)
		goto fail;
	worker->wake_event = event_new(worker->base, worker->wake_fd,
		EV_READ | EV_PERSIST, on_wake, worker);
	worker->deferred_event = event_new(
		worker->base, -1, EV_PERSIST, on_deferred, worker);
	if (worker->wake_event == NULL || worker->deferred_event == NULL ||
		event_add(worker->wake_event, NULL) != 0 ||
		!timeouts_init(&worker->timeouts, worker->base))
		goto fail;
	return true;
fail:
	error_set(error, "cannot set up worker %u: %s", index,
		strerror(errno));
	worker_close(worker);
	return false;
}

static void *
run_thread(void *arg)
{
	struct worker *worker = arg;
	char name[16];

	snprintf(name, sizeof(name), "worker-%u", worker->index);
	pthread_setname_np(pthread_self(), name);
	event_base_loop(worker->base, EVLOOP_NO_EXIT_ON_EMPTY);
	return NULL;
}

bool
worker_start(struct worker *worker, struct error *error)
{
	sigset_t all;
	sigset_t before;
	int failure;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	failure = pthread_create(&worker->thread, NULL, run_thread, worker);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (failure != 0) {
		error_set(error, "cannot start worker %u: %s", worker->index,
			strerror(failure));
		return false;
	}
	worker->is_running = true;
	return true;
}

static void
stop_loop(void *arg)
{
	event_base_loopbreak(arg);
}

void
worker_stop(struct worker *worker)
{
	if (!worker->is_running)
		return;
	worker_post(worker, stop_loop, worker->base);
	pthread_join(worker->thread, NULL);
	worker->is_running = false;
}

void
worker_close(struct worker *worker)
{
	on_deferred(-1, 0, worker);
	if (worker->base == NULL)
		goto close_fd;
	timeouts_close(&worker->timeouts);
	if (worker->wake_event != NULL)
		event_free(worker->wake_event);
	if (worker->deferred_event != NULL)
		event_free(worker->deferred_event);
	event_base_free(worker->base);
	worker->base = NULL;
close_fd:
	if (worker->wake_fd >= 0)
		close(worker->wake_fd);
	worker->wake_fd = -1;
	pthread_mutex_destroy(&worker->lock);
}

void
worker_post(struct worker *worker, worker_message_fn *run, void *arg)
{
	struct worker_message *message = memory_zalloc(sizeof(*message));
	uint64_t one = 1;

	message->run = run;
	message->arg = arg;
	pthread_mutex_lock(&worker->lock);
	*worker->last = message;
	worker->last = &message->next;
	pthread_mutex_unlock(&worker->lock);
	/* It only fails when the counter is full: then it is awake anyway. */
	if (write(worker->wake_fd, &one, sizeof(one)) < 0)
		return;
}

void
worker_defer(struct worker *worker, struct worker_deferred *deferred,
	void (*run)(struct worker_deferred *deferred))
{
	if (worker->deferred == NULL)
		event_active(worker->deferred_event, EV_TIMEOUT, 0);
	deferred->run = run;
	deferred->next = worker->deferred;
	worker->deferred = deferred;
}
