#include "release/journal.h"

#include <errno.h>
#include <event2/event.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/log.h"
#include "base/memory.h"
#include "release/journal_file.h"
#include "release/journal_store.h"

/*
 * An entry is a request. It goes through two queues: waiting, from control to
 * the thread, and finished, back to control. Control turns it into its line
 * and keeps the JSON, of which the thread knows nothing; so JSON stays on one
 * thread, save what journal_file reads for itself. A refused entry goes the same
 * way without a line, for the order's sake.
 */

/* Bytes of lines that may wait. More: the disk hangs, or someone runs wild. */
#define WAITING_MAX (4 * 1024 * 1024)

struct request {
	struct request *next;
	json_t *entry; /* control's; NULL if refused */
	struct journal_text line; /* "" if refused */
	char *why; /* NULL: it is on disk, or nobody knows yet */
	journal_done_fn *done;
	void *arg;
};

struct queue {
	struct request *first;
	struct request **last;
};

struct journal {
	/* Control's. */
	struct journal_store *store;
	struct event *event;
	int wake_fd; /* eventfd, written by the thread */
	pthread_t thread;
	/* Both sides'. */
	pthread_mutex_t lock;
	pthread_cond_t has_work;
	struct queue waiting;
	struct queue finished;
	size_t waiting_len; /* bytes of lines not finished */
	bool is_closing;
	/* The thread's, once it runs. */
	struct journal_file *file;
};

/* --- queues; the lock is held ------------------------------------------------- */

static void
queue_init(struct queue *queue)
{
	queue->first = NULL;
	queue->last = &queue->first;
}

static void
queue_push(struct queue *queue, struct request *request)
{
	*queue->last = request;
	queue->last = &request->next;
}

static struct request *
queue_take_all(struct queue *queue)
{
	struct request *first = queue->first;

	queue_init(queue);
	return first;
}

/* --- requests ------------------------------------------------------------------ */

static void
request_free(struct request *request)
{
	json_decref(request->entry);
	free(request->line.bytes);
	free(request->why);
	free(request);
}

/* --- the thread ----------------------------------------------------------------- */

/* One write and one fsync for all that has gathered. */
static void
write_all(struct journal *journal, struct request *first)
{
	struct journal_text lines = {0};
	struct request *request;
	struct error error;

	for (request = first; request != NULL; request = request->next)
		journal_text_add(
			&lines, request->line.bytes, request->line.len);
	if (lines.len == 0)
		return;
	if (journal_file_append(journal->file, &lines, &error)) {
		if (error.message[0] != '\0')
			log_warn("%s", error.message);
	} else {
		for (request = first; request != NULL; request = request->next)
			if (request->line.len > 0)
				request->why = memory_strdup(error.message);
	}
	free(lines.bytes);
}

static void
finish_all(struct journal *journal, struct request *first)
{
	struct request *next;
	uint64_t one = 1;

	pthread_mutex_lock(&journal->lock);
	for (; first != NULL; first = next) {
		next = first->next;
		first->next = NULL;
		journal->waiting_len -= first->line.len;
		queue_push(&journal->finished, first);
	}
	pthread_mutex_unlock(&journal->lock);
	/* It only fails when the counter is full: then control is awake anyway. */
	if (write(journal->wake_fd, &one, sizeof(one)) < 0)
		return;
}

/* NULL when it is time to end. */
static struct request *
await_work(struct journal *journal)
{
	struct request *first;

	pthread_mutex_lock(&journal->lock);
	while (journal->waiting.first == NULL && !journal->is_closing)
		pthread_cond_wait(&journal->has_work, &journal->lock);
	first = queue_take_all(&journal->waiting);
	pthread_mutex_unlock(&journal->lock);
	return first;
}

static void *
run_thread(void *arg)
{
	struct journal *journal = arg;
	struct request *first;
	struct error error;

	pthread_setname_np(pthread_self(), "journal");
	while ((first = await_work(journal)) != NULL) {
		write_all(journal, first);
		finish_all(journal, first);
		/* Nobody waits for this one. */
		if (!journal_file_compact(journal->file, &error) ||
			error.message[0] != '\0')
			log_warn("%s", error.message);
	}
	return NULL;
}

static bool
start_thread(struct journal *journal, struct error *error)
{
	sigset_t all;
	sigset_t before;
	int failure;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	failure = pthread_create(&journal->thread, NULL, run_thread, journal);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (failure != 0)
		error_set(error, "can't start the journal's thread: %s",
			strerror(failure));
	return failure == 0;
}

/* --- control --------------------------------------------------------------------- */

static void
finish(struct journal *journal, struct request *request)
{
	bool is_on_disk = request->why == NULL;

	if (is_on_disk) {
		journal_store_add(journal->store, request->entry);
		request->entry = NULL;
	}
	if (request->done != NULL)
		request->done(is_on_disk, is_on_disk ? "" : request->why,
			request->arg);
	request_free(request);
}

static void
on_wake(evutil_socket_t fd, short what, void *arg)
{
	struct journal *journal = arg;
	struct request *request, *next;
	uint64_t count;

	if (read((int)fd, &count, sizeof(count)) < 0 && errno != EAGAIN)
		return;
	pthread_mutex_lock(&journal->lock);
	request = queue_take_all(&journal->finished);
	pthread_mutex_unlock(&journal->lock);
	for (; request != NULL; request = next) {
		next = request->next;
		finish(journal, request);
	}
}

static bool
watch(struct journal *journal, struct event_base *base, struct error *error)
{
	journal->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (journal->wake_fd >= 0)
		journal->event = event_new(base, journal->wake_fd,
			EV_READ | EV_PERSIST, on_wake, journal);
	if (journal->event != NULL && event_add(journal->event, NULL) == 0)
		return true;
	error_set(
		error, "can't set up the journal's event: %s", strerror(errno));
	return false;
}

static void
free_journal(struct journal *journal)
{
	if (journal->event != NULL)
		event_free(journal->event);
	if (journal->wake_fd >= 0)
		close(journal->wake_fd);
	journal_file_close(journal->file);
	journal_store_free(journal->store);
	pthread_cond_destroy(&journal->has_work);
	pthread_mutex_destroy(&journal->lock);
	free(journal);
}

struct journal *
journal_open(const char *dir, struct event_base *base, struct error *error)
{
	struct journal *journal = memory_zalloc(sizeof(*journal));

	journal->wake_fd = -1;
	queue_init(&journal->waiting);
	queue_init(&journal->finished);
	pthread_mutex_init(&journal->lock, NULL);
	pthread_cond_init(&journal->has_work, NULL);
	journal->file = journal_file_open(dir, &journal->store, error);
	if (journal->file != NULL && watch(journal, base, error) &&
		start_thread(journal, error))
		return journal;
	free_journal(journal);
	return NULL;
}

void
journal_close(struct journal *journal)
{
	struct request *request, *next;

	if (journal == NULL)
		return;
	pthread_mutex_lock(&journal->lock);
	journal->is_closing = true;
	pthread_cond_signal(&journal->has_work);
	pthread_mutex_unlock(&journal->lock);
	pthread_join(journal->thread, NULL);
	for (request = journal->finished.first; request != NULL;
		request = next) {
		next = request->next;
		finish(journal, request);
	}
	free_journal(journal);
}

const json_t *
journal_state(const struct journal *journal, const char *unit)
{
	return journal_store_state(journal->store, unit);
}

const char *
journal_next_unit(const struct journal *journal, const char *unit)
{
	return journal_store_next_unit(journal->store, unit);
}

json_t *
journal_history(const struct journal *journal, const char *unit, size_t max)
{
	return journal_store_history(journal->store, unit, max);
}

/* False if too much waits already. */
static bool
enqueue(struct journal *journal, struct request *request)
{
	bool has_room;

	pthread_mutex_lock(&journal->lock);
	has_room = journal->waiting_len + request->line.len <= WAITING_MAX;
	if (has_room) {
		journal->waiting_len += request->line.len;
		queue_push(&journal->waiting, request);
		pthread_cond_signal(&journal->has_work);
	}
	pthread_mutex_unlock(&journal->lock);
	return has_room;
}

static void
refuse(struct request *request, const char *why)
{
	json_decref(request->entry);
	request->entry = NULL;
	free(request->line.bytes);
	memset(&request->line, 0, sizeof(request->line));
	request->why = memory_strdup(why);
}

void
journal_append(struct journal *journal, json_t *entry, journal_done_fn *done,
	void *arg)
{
	struct request *request = memory_zalloc(sizeof(*request));
	struct error error;

	request->done = done;
	request->arg = arg;
	/* A copy: parts of entry may be others', too. */
	request->entry = journal_line_write(entry, &request->line, &error);
	json_decref(entry);
	if (request->entry == NULL)
		refuse(request, error.message);
	if (enqueue(journal, request))
		return;
	refuse(request, "too much waits for the disk already");
	enqueue(journal, request);
}
