#include "proxy/probe.h"

#include <errno.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/memory.h"
#include "http/h1_parse.h"

/* Of an answer's head. */
#define HEAD_MAX 16384

void
probe_cancel(struct probe *probe)
{
	if (!probe->is_running)
		return;
	probe->is_running = false;
	event_del(&probe->io);
	event_del(&probe->timer);
	close(probe->fd);
	free(probe->request);
	free(probe->buf);
	probe->request = NULL;
	probe->buf = NULL;
}

static void
finish(struct probe *probe, enum probe_outcome outcome, unsigned status,
	const char *why)
{
	struct probe_result result = {outcome, status, why};

	probe_cancel(probe);
	probe->done(&result, probe->arg);
}

static void
fail(struct probe *probe, const char *why)
{
	finish(probe, PROBE_FAILED, 0, why);
}

/* --- the answer ------------------------------------------------------------ */

static void
look(struct probe *probe)
{
	static const struct h1_limits limits = {
		HEAD_MAX, HEAD_MAX, MESSAGE_FIELDS_MAX};
	struct message message;
	enum h1_result result;
	size_t head_len;

	for (;;) {
		result = h1_find_end(probe->buf, probe->len, HEAD_MAX,
			&probe->scanned, &head_len);
		if (result == H1_PARTIAL)
			return;
		if (result != H1_OK ||
			h1_parse_response(probe->buf, head_len, &limits,
				HTTP_GET, &message, NULL) != H1_OK) {
			fail(probe, "its answer isn't HTTP/1");
			return;
		}
		/* RFC 9110 15.2: any number of these may come first. */
		if (message.status >= 200 || message.status == 101)
			break;
		probe->len -= head_len;
		memmove(probe->buf, probe->buf + head_len, probe->len);
		probe->scanned = 0;
	}
	finish(probe, PROBE_ANSWERED, message.status, "");
}

static void
receive(struct probe *probe)
{
	ssize_t n = recv(
		probe->fd, probe->buf + probe->len, HEAD_MAX - probe->len, 0);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n < 0) {
		fail(probe, strerror(errno));
		return;
	}
	if (n == 0) {
		fail(probe, "closed without an answer");
		return;
	}
	probe->len += (size_t)n;
	look(probe);
}

/* --- the question ---------------------------------------------------------- */

static void on_event(evutil_socket_t fd, short what, void *arg);

static void
send_request(struct probe *probe)
{
	size_t len = strlen(probe->request);

	/* A new socket's buffer takes all of it, as paths aren't that long. */
	if (send(probe->fd, probe->request, len, MSG_NOSIGNAL) !=
		(ssize_t)len) {
		fail(probe, strerror(errno));
		return;
	}
	probe->is_connecting = false;
	probe->buf = memory_zalloc(HEAD_MAX);
	event_del(&probe->io);
	event_assign(&probe->io, event_get_base(&probe->io), probe->fd,
		EV_READ | EV_PERSIST, on_event, probe);
	if (event_add(&probe->io, NULL) != 0)
		finish(probe, PROBE_NOT_MADE, 0, "out of memory");
}

static void
on_event(evutil_socket_t fd, short what, void *arg)
{
	struct probe *probe = arg;
	socklen_t len = sizeof(int);
	int reason = 0;

	if (!probe->is_connecting) {
		receive(probe);
		return;
	}
	getsockopt(fd, SOL_SOCKET, SO_ERROR, &reason, &len);
	if (reason != 0)
		fail(probe, strerror(reason));
	else if (probe->request == NULL)
		finish(probe, PROBE_CONNECTED, 0, "");
	else
		send_request(probe);
}

static void
on_timeout(evutil_socket_t fd, short what, void *arg)
{
	struct probe *probe = arg;

	fail(probe, probe->is_connecting ? "no connection in time"
					 : "no answer in time");
}

static char *
format_request(const struct probe_question *question)
{
	static const char format[] = "GET %s HTTP/1.1\r\n"
				     "Host: %s\r\n"
				     "User-Agent: perch-health\r\n"
				     "Accept: */*\r\n"
				     "Connection: close\r\n"
				     "\r\n";
	size_t size = sizeof(format) + strlen(question->path) +
		      strlen(question->host);
	char *text = memory_zalloc(size);

	snprintf(text, size, format, question->path, question->host);
	return text;
}

/* What an endpoint can't be blamed for. */
static bool
is_own_fault(int reason)
{
	return reason == EADDRNOTAVAIL || reason == EAGAIN ||
	       reason == ENOBUFS || reason == ENOMEM;
}

void
probe_start(struct probe *probe, struct event_base *base,
	const struct probe_question *question, probe_done_fn *done, void *arg)
{
	const struct address *address = question->address;
	uint64_t us = question->timeout_ns / CLOCK_NS_PER_US;
	struct timeval timeout = {
		(time_t)(us / 1000000), (suseconds_t)(us % 1000000)};
	struct probe_result not_made = {PROBE_NOT_MADE, 0, NULL};
	int fd = socket(address->any.sa_family,
		SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int reason = 0;

	if (fd < 0) {
		not_made.why = strerror(errno);
		done(&not_made, arg);
		return;
	}
	memset(probe, 0, sizeof(*probe));
	probe->is_running = true;
	probe->is_connecting = true;
	probe->fd = fd;
	probe->done = done;
	probe->arg = arg;
	if (question->path != NULL)
		probe->request = format_request(question);
	event_assign(&probe->io, base, fd, EV_WRITE, on_event, probe);
	evtimer_assign(&probe->timer, base, on_timeout, probe);
	if (connect(fd, &address->any, address_len(address)) != 0)
		reason = errno;
	if (reason != 0 && reason != EINPROGRESS)
		finish(probe,
			is_own_fault(reason) ? PROBE_NOT_MADE : PROBE_FAILED, 0,
			strerror(reason));
	else if (event_add(&probe->io, NULL) != 0 ||
		 event_add(&probe->timer, &timeout) != 0)
		finish(probe, PROBE_NOT_MADE, 0, "out of memory");
}
