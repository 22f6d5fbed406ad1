#include "perch_config.h"

#include "admin/webhook.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/http.h>
#include <openssl/ssl.h>

#include "admin/tls_client.h"
#include "base/clock.h"
#include "base/list.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/url.h"

/* Of an answer; only its status matters. */
#define HEAD_MAX (16 * 1024)
#define BODY_MAX (64 * 1024)
#define NAME_SIZE (URL_AUTHORITY_SIZE + 32)

struct item {
	struct list node;
	char *event;
	char *body;
};

enum state {
	IDLE, /* the queue is empty */
	TRYING, /* its head is on its way; the timer is the try's end */
	WAITING, /* its head has failed; the timer is the next try */
};

struct webhook {
	const struct webhook_setup *setup;
	struct webhook_counts *counts;
	char *url_text;
	struct url url; /* in url_text */
	char authority[URL_AUTHORITY_SIZE];

	char name[NAME_SIZE]; /* as the log has it */
	char *ca; /* NULL: the system's */
	enum config_webhook_format format;
	bool is_wanted[CONFIG_N_EVENTS];

	enum state state;
	struct list queue;
	size_t n_queued;
	unsigned n_failures; /* of the head */
	uint64_t first_try_ns;
	bool is_hurried;
	struct event *timer;

	/* The try that runs. evhttp can't be freed inside of its callbacks:
	 * they note the outcome, and the event settles it. */
	struct evhttp_connection *connection;
	struct event *settle;
	struct ssl_ctx_st *tls;
	bool is_sent; /* some of it, at least */
	int status; /* of the answer; 0: none yet */
	struct error why; /* there is none */
};

/* --- the queue ------------------------------------------------------------- */

static struct item *
head_of(const struct webhook *webhook)
{
	return list_entry(webhook->queue.next, struct item, node);
}

static void
take_out(struct webhook *webhook, struct item *item)
{
	list_remove(&item->node);
	webhook->n_queued--;
	free(item->event);
	free(item->body);
	free(item);
}

static void
drop(struct webhook *webhook, struct item *item, const char *why)
{
	log_error("webhook %s: event %s is dropped: %s", webhook->name,
		item->event, why);
	webhook->counts->of[WEBHOOK_DROPPED]++;
	take_out(webhook, item);
}

static void
drop_all(struct webhook *webhook, const char *why)
{
	while (webhook->n_queued > 0)
		drop(webhook, head_of(webhook), why);
	webhook->n_failures = 0;
	webhook->state = IDLE;
}

static void
set_timer(struct webhook *webhook, uint64_t wait_ns)
{
	struct timeval wait = {
		.tv_sec = (time_t)(wait_ns / CLOCK_NS_PER_S),
		.tv_usec = (suseconds_t)(wait_ns % CLOCK_NS_PER_S /
					 CLOCK_NS_PER_US),
	};

	evtimer_add(webhook->timer, &wait);
}

/* --- one try --------------------------------------------------------------- */

/* Called in evhttp's callbacks, maybe more than once. */
static void
settle_soon(struct webhook *webhook)
{
	event_active(webhook->settle, EV_TIMEOUT, 0);
}

/* The status is all there is to know: the body needn't come. */
static int
on_head(struct evhttp_request *request, void *arg)
{
	struct webhook *webhook = arg;
	int status = evhttp_request_get_response_code(request);

	/* After 100 the answer is still to come. */
	if (status == 100)
		return 0;
	webhook->status = status;
	settle_soon(webhook);
	return 0;
}

/* Why there is no answer; problem is errno, or 0 where that is lost. */
static void
explain(struct webhook *webhook, int problem)
{
	struct bufferevent *bufferevent =
		evhttp_connection_get_bufferevent(webhook->connection);
	int dns_problem = bufferevent_socket_get_dns_error(bufferevent);

	if (dns_problem != 0)
		error_set(&webhook->why, "cannot resolve %s: %s",
			webhook->url.host, evutil_gai_strerror(dns_problem));
	else if (tls_client_explain(bufferevent, &webhook->why))
		return;
	else if (webhook->is_sent)
		error_set(&webhook->why,
			"it closed the connection without an answer");
	else if (problem != 0 && problem != EAGAIN && problem != EINPROGRESS)
		error_set(
			&webhook->why, "cannot connect: %s", strerror(problem));
	else
		error_set(&webhook->why, "cannot connect");
}

static void
on_error(enum evhttp_request_error problem, void *arg)
{
	int system_problem = errno;
	struct webhook *webhook = arg;

	if (problem == EVREQ_HTTP_INVALID_HEADER)
		error_set(&webhook->why,
			"its answer is no HTTP, or its head too long");
	else
		explain(webhook, system_problem);
}

/* The end, whatever it is. evhttp tells on_error() nothing where a connection
 * is refused, and has overwritten errno by now. */
static void
on_done(struct evhttp_request *request, void *arg)
{
	struct webhook *webhook = arg;

	if (webhook->status == 0 && webhook->why.message[0] == '\0')
		explain(webhook, 0);
	settle_soon(webhook);
}

/* Some of the request has left, so there was a connection. */
static void
on_output(struct evbuffer *output, const struct evbuffer_cb_info *change,
	void *arg)
{
	struct webhook *webhook = arg;

	if (change->n_deleted > 0)
		webhook->is_sent = true;
}

static struct bufferevent *
open_bufferevent(struct webhook *webhook)
{
	struct event_base *base = webhook->setup->base;

	if (!webhook->url.is_https)
		return bufferevent_socket_new(base, -1, BEV_OPT_CLOSE_ON_FREE);
	/* Its file may have come by now. */
	if (webhook->tls == NULL)
		webhook->tls = tls_client_new(webhook->ca, &webhook->why);
	if (webhook->tls == NULL)
		return NULL;
	return tls_client_open(webhook->tls, base, webhook->url.host);
}

/* A connection for each try: which of them the other side still holds is
 * nothing to rely on when events come once an hour. */
static bool
open_connection(struct webhook *webhook)
{
	struct bufferevent *bufferevent = open_bufferevent(webhook);

	if (bufferevent == NULL)
		return false;
	webhook->connection = evhttp_connection_base_bufferevent_new(
		webhook->setup->base, webhook->setup->dns, bufferevent,
		webhook->url.host, webhook->url.port);
	if (webhook->connection == NULL ||
		evbuffer_add_cb(bufferevent_get_output(bufferevent), on_output,
			webhook) == NULL) {
		if (webhook->connection == NULL)
			bufferevent_free(bufferevent);
		return false;
	}
	evhttp_connection_set_max_headers_size(webhook->connection, HEAD_MAX);
	evhttp_connection_set_max_body_size(webhook->connection, BODY_MAX);
	return true;
}

/* False if memory is out. */
static bool
fill_request(const struct webhook *webhook, struct evhttp_request *request)
{
	const struct item *item = head_of(webhook);
	const char *const fields[][2] = {
		{"Host", webhook->authority},
		{"User-Agent", "perch/" PACKAGE_VERSION},
		{"Content-Type", "application/json"},
		{"X-Perch-Event", item->event},
		{"Connection", "close"},
	};
	struct evkeyvalq *headers = evhttp_request_get_output_headers(request);

	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		if (evhttp_add_header(headers, fields[i][0], fields[i][1]) != 0)
			return false;
	}
	return evbuffer_add(evhttp_request_get_output_buffer(request),
		       item->body, strlen(item->body)) == 0;
}

static bool
send_head(struct webhook *webhook)
{
	struct evhttp_request *request;

	if (!open_connection(webhook))
		return false;
	request = evhttp_request_new(on_done, webhook);
	if (request == NULL)
		return false;
	if (!fill_request(webhook, request)) {
		evhttp_request_free(request);
		return false;
	}
	evhttp_request_set_header_cb(request, on_head);
	evhttp_request_set_error_cb(request, on_error);
	/* The target ends where the URL's text does. */
	return evhttp_make_request(webhook->connection, request,
		       EVHTTP_REQ_POST, webhook->url.target.ptr) == 0;
}

static void
try_head(struct webhook *webhook)
{
	webhook->state = TRYING;
	webhook->is_sent = false;
	webhook->status = 0;
	webhook->why.message[0] = '\0';
	if (webhook->n_failures == 0)
		webhook->first_try_ns = clock_monotonic_ns();
	set_timer(webhook, webhook->setup->timeout_ns);
	if (send_head(webhook))
		return;
	if (webhook->why.message[0] == '\0')
		error_set(&webhook->why, "no memory for the request");
	settle_soon(webhook);
}

/* --- what came of it ------------------------------------------------------- */

static bool
is_refusal(int status)
{
	return status >= 300 && status < 500 && status != 408 && status != 429;
}

static void
accept_delivery(struct webhook *webhook)
{
	struct item *item = head_of(webhook);

	webhook->counts->of[WEBHOOK_DELIVERED]++;
	if (webhook->n_failures > 0)
		log_info("webhook %s: event %s is delivered, at try %u",
			webhook->name, item->event, webhook->n_failures + 1);
	else
		log_debug("webhook %s: event %s is delivered", webhook->name,
			item->event);
	take_out(webhook, item);
	webhook->n_failures = 0;
}

static void
wait_for_next_try(struct webhook *webhook)
{
	const struct item *item = head_of(webhook);
	uint32_t random = 0;
	uint64_t wait_ns;

	/* Without it, all the same. */
	(void)!getrandom(&random, sizeof(random), GRND_NONBLOCK);
	wait_ns = backoff_wait_ns(
		&webhook->setup->backoff, webhook->n_failures, random);
	log_warn("webhook %s: try %u of event %s failed: %s; again in %.1f s",
		webhook->name, webhook->n_failures, item->event,
		webhook->why.message, (double)wait_ns / CLOCK_NS_PER_S);
	webhook->state = WAITING;
	set_timer(webhook, wait_ns);
}

/* The head then waits, or is dropped. */
static void
accept_failure(struct webhook *webhook)
{
	uint64_t since_ns = clock_monotonic_ns() - webhook->first_try_ns;
	struct error why;

	webhook->counts->of[WEBHOOK_FAILED]++;
	webhook->n_failures++;
	if (webhook->status != 0)
		error_set(&webhook->why, "it answered %d", webhook->status);
	if (webhook->is_hurried) {
		drop_all(webhook, webhook->why.message);
		return;
	}
	if (!is_refusal(webhook->status) &&
		!backoff_is_over(&webhook->setup->backoff, webhook->n_failures,
			since_ns)) {
		wait_for_next_try(webhook);
		return;
	}
	error_set(&why, "%s, at try %u", webhook->why.message,
		webhook->n_failures);
	drop(webhook, head_of(webhook), why.message);
	webhook->n_failures = 0;
}

static void
close_connection(struct webhook *webhook)
{
	if (webhook->connection != NULL)
		evhttp_connection_free(webhook->connection);
	webhook->connection = NULL;
	event_del(webhook->settle);
	evtimer_del(webhook->timer);
}

static void
settle(struct webhook *webhook)
{
	close_connection(webhook);
	if (webhook->status >= 200 && webhook->status < 300)
		accept_delivery(webhook);
	else
		accept_failure(webhook);
	if (webhook->state == WAITING)
		return;
	if (webhook->n_queued > 0)
		try_head(webhook);
	else
		webhook->state = IDLE;
}

static void
on_settle(evutil_socket_t fd, short what, void *arg)
{
	settle(arg);
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct webhook *webhook = arg;

	if (webhook->state == WAITING) {
		try_head(webhook);
		return;
	}
	if (webhook->status == 0)
		error_set(&webhook->why, "no answer within %g s",
			(double)webhook->setup->timeout_ns / CLOCK_NS_PER_S);
	settle(webhook);
}

/* --- what events calls ----------------------------------------------------- */

struct webhook *
webhook_new(const struct webhook_setup *setup, const char *url,
	struct webhook_counts *counts)
{
	struct webhook *webhook = memory_zalloc(sizeof(*webhook));
	bool is_url;

	webhook->setup = setup;
	webhook->counts = counts;
	webhook->url_text = memory_strdup(url);
	is_url = url_parse(
		slice_from_string(webhook->url_text), &webhook->url, NULL);
	assert(is_url);
	url_format_authority(&webhook->url, webhook->authority);
	list_init(&webhook->queue);
	webhook->timer = evtimer_new(setup->base, on_timer, webhook);
	webhook->settle = event_new(setup->base, -1, 0, on_settle, webhook);
	if (webhook->timer == NULL || webhook->settle == NULL) {
		log_error("webhook %s: no memory for it", webhook->authority);
		exit(1);
	}
	return webhook;
}

/* Made anew, for its file may be another one; now, since the first time costs
 * tens of milliseconds. A try that runs has its own share of the old one. */
static void
renew_tls(struct webhook *webhook)
{
	struct error error;

	SSL_CTX_free(webhook->tls);
	webhook->tls = NULL;
	if (!webhook->url.is_https)
		return;
	webhook->tls = tls_client_new(webhook->ca, &error);
	if (webhook->tls == NULL)
		log_error("webhook %s: %s", webhook->name, error.message);
}

void
webhook_configure(struct webhook *webhook, const struct config_webhook *config,
	size_t index)
{
	snprintf(webhook->name, sizeof(webhook->name), "notify[%zu] (%s)",
		index, webhook->authority);
	webhook->format = config->format;
	memset(webhook->is_wanted, 0, sizeof(webhook->is_wanted));
	for (size_t i = 0; i < config->n_events; i++)
		webhook->is_wanted[config->events[i]] = true;
	free(webhook->ca);
	webhook->ca = config->ca != NULL ? memory_strdup(config->ca) : NULL;
	renew_tls(webhook);
}

const char *
webhook_url(const struct webhook *webhook)
{
	return webhook->url_text;
}

enum config_webhook_format
webhook_format(const struct webhook *webhook)
{
	return webhook->format;
}

bool
webhook_wants(const struct webhook *webhook, const char *event)
{
	for (size_t i = 0; config_event_names[i] != NULL; i++) {
		if (strcmp(config_event_names[i], event) == 0)
			return webhook->is_wanted[i];
	}
	return strcmp(event, "test") == 0;
}

void
webhook_push(struct webhook *webhook, const char *event, const char *body)
{
	struct item *item = memory_zalloc(sizeof(*item));

	if (webhook->n_queued == WEBHOOK_QUEUE_MAX)
		drop(webhook,
			list_entry(
				webhook->queue.next->next, struct item, node),
			"the queue is full");
	item->event = memory_strdup(event);
	item->body = memory_strdup(body);
	list_push_back(&webhook->queue, &item->node);
	webhook->n_queued++;
	if (webhook->state == IDLE)
		try_head(webhook);
}

bool
webhook_is_idle(const struct webhook *webhook)
{
	return webhook->n_queued == 0;
}

void
webhook_hurry(struct webhook *webhook)
{
	webhook->is_hurried = true;
	if (webhook->state == WAITING)
		try_head(webhook);
}

void
webhook_free(struct webhook *webhook, const char *why)
{
	close_connection(webhook);
	drop_all(webhook, why);
	event_free(webhook->timer);
	event_free(webhook->settle);
	SSL_CTX_free(webhook->tls);
	free(webhook->ca);
	free(webhook->url_text);
	free(webhook);
}
