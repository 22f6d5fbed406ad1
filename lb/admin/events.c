#include "admin/events.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <event2/dns.h>
#include <event2/event.h>

#include "admin/sentence.h"
#include "admin/text.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/url.h"

#define STOP_S 2

struct events {
	struct webhook_setup setup;
	struct webhook **webhooks;
	size_t n_webhooks;
	struct webhook_counts *counts;
};

struct events *
events_new(struct event_base *base)
{
	struct events *events = memory_zalloc(sizeof(*events));

	events->setup = (struct webhook_setup){
		.base = base,
		.backoff = {.first_ns = CLOCK_NS_PER_S,
			.max_ns = 60 * CLOCK_NS_PER_S,
			.tries = 12,
			.limit_ns = 600 * CLOCK_NS_PER_S},
		.timeout_ns = 10 * CLOCK_NS_PER_S,
	};
	return events;
}

/* --- configuration --------------------------------------------------------- */

/* With the first webhook, so that who has none has no resolver more. */
static void
open_dns(struct events *events)
{
	struct evdns_base *dns;

	if (events->setup.dns != NULL)
		return;
	dns = evdns_base_new(
		events->setup.base, EVDNS_BASE_DISABLE_WHEN_INACTIVE);
	if (dns == NULL) {
		log_error("no memory to resolve the names of webhooks");
		exit(1);
	}
	/* Without a resolv.conf the hosts file still serves. */
	if (evdns_base_resolv_conf_parse(
		    dns, DNS_OPTIONS_ALL, "/etc/resolv.conf") != 0)
		evdns_base_load_hosts(dns, "/etc/hosts");
	events->setup.dns = dns;
}

static struct webhook_counts *
counts_of(struct events *events, const char *url_text)
{
	char host[URL_AUTHORITY_SIZE] = "";
	struct webhook_counts **at = &events->counts;
	struct url url;

	if (url_parse(slice_from_string(url_text), &url, NULL))
		url_format_authority(&url, host);
	for (; *at != NULL; at = &(*at)->next) {
		if (strcmp((*at)->host, host) == 0)
			return *at;
	}
	*at = memory_zalloc(sizeof(**at));
	(*at)->host = memory_strdup(host);
	return *at;
}

/* The webhook of this URL, taken out of those there were; NULL if none is. */
static struct webhook *
take_known(struct events *events, const char *url)
{
	struct webhook *webhook;

	for (size_t i = 0; i < events->n_webhooks; i++) {
		webhook = events->webhooks[i];
		if (webhook == NULL || strcmp(webhook_url(webhook), url) != 0)
			continue;
		events->webhooks[i] = NULL;
		return webhook;
	}
	return NULL;
}

static void
close_webhooks(struct events *events, const char *why)
{
	for (size_t i = 0; i < events->n_webhooks; i++) {
		if (events->webhooks[i] != NULL)
			webhook_free(events->webhooks[i], why);
	}
	free(events->webhooks);
	events->webhooks = NULL;
	events->n_webhooks = 0;
}

void
events_configure(struct events *events, const struct config *config)
{
	struct webhook **webhooks =
		memory_zalloc_array(config->n_notify, sizeof(*webhooks));

	if (config->n_notify > 0)
		open_dns(events);
	for (size_t i = 0; i < config->n_notify; i++) {
		const struct config_webhook *wanted = &config->notify[i];

		webhooks[i] = take_known(events, wanted->url);
		if (webhooks[i] == NULL)
			webhooks[i] = webhook_new(&events->setup, wanted->url,
				counts_of(events, wanted->url));
		webhook_configure(webhooks[i], wanted, i);
	}
	close_webhooks(events, "the config has this webhook no more");
	events->webhooks = webhooks;
	events->n_webhooks = config->n_notify;
}

/* --- events ---------------------------------------------------------------- */

/* Slack takes these three for its own (its "escaping text"). */
static void
add_escaped(struct text *text, struct slice bytes)
{
	for (size_t i = 0; i < bytes.len; i++) {
		switch (bytes.ptr[i]) {
		case '&':
			text_add_string(text, "&amp;");
			break;
		case '<':
			text_add_string(text, "&lt;");
			break;
		case '>':
			text_add_string(text, "&gt;");
			break;
		default:
			text_add(text, (struct slice){bytes.ptr + i, 1});
		}
	}
}

static char *
dump(const json_t *value)
{
	char *text = json_dumps(value, JSON_COMPACT | JSON_REAL_PRECISION(10));

	assert(text != NULL);
	return text;
}

/* {"text": "..."}; the caller frees it. */
static char *
slack_body(const json_t *event)
{
	struct text sentence = {0}, escaped = {0};
	json_t *message;
	char *body;

	sentence_write(event, &sentence);
	add_escaped(&escaped, text_slice(&sentence));
	message = json_pack("{s:s%}", "text", escaped.data, escaped.len);
	body = dump(message);
	json_decref(message);
	text_free(&sentence);
	text_free(&escaped);
	return body;
}

void
events_emit(struct events *events, const json_t *event)
{
	const char *name = json_string_value(json_object_get(event, "event"));
	char *bodies[CONFIG_N_WEBHOOK_FORMATS];

	assert(name != NULL);
	bodies[CONFIG_WEBHOOK_JSON] = dump(event);
	bodies[CONFIG_WEBHOOK_SLACK] = slack_body(event);
	log_info("event %s", bodies[CONFIG_WEBHOOK_JSON]);
	for (size_t i = 0; i < events->n_webhooks; i++) {
		struct webhook *webhook = events->webhooks[i];

		if (webhook_wants(webhook, name))
			webhook_push(
				webhook, name, bodies[webhook_format(webhook)]);
	}
	free(bodies[CONFIG_WEBHOOK_JSON]);
	free(bodies[CONFIG_WEBHOOK_SLACK]);
}

const struct webhook_counts *
events_counts(const struct events *events)
{
	return events->counts;
}

/* --- the end --------------------------------------------------------------- */

static bool
is_idle(const struct events *events)
{
	for (size_t i = 0; i < events->n_webhooks; i++) {
		if (!webhook_is_idle(events->webhooks[i]))
			return false;
	}
	return true;
}

static void
on_late(evutil_socket_t fd, short what, void *arg)
{
	*(bool *)arg = true;
}

void
events_stop(struct events *events)
{
	const struct timeval wait = {.tv_sec = STOP_S};
	bool is_late = false;
	struct event *timer =
		evtimer_new(events->setup.base, on_late, &is_late);

	for (size_t i = 0; i < events->n_webhooks; i++)
		webhook_hurry(events->webhooks[i]);
	if (timer != NULL && evtimer_add(timer, &wait) == 0) {
		while (!is_late && !is_idle(events))
			event_base_loop(events->setup.base, EVLOOP_ONCE);
	}
	if (timer != NULL)
		event_free(timer);
	close_webhooks(events, "perch stops");
}

/* evdns gives its requests' memory back in their callbacks, so these have to
 * be run. */
static void
close_dns(struct events *events)
{
	evdns_base_free(events->setup.dns, 1);
	event_base_loop(events->setup.base, EVLOOP_NONBLOCK);
}

void
events_free(struct events *events)
{
	struct webhook_counts *counts;

	close_webhooks(events, "perch stops");
	if (events->setup.dns != NULL)
		close_dns(events);
	while ((counts = events->counts) != NULL) {
		events->counts = counts->next;
		free(counts->host);
		free(counts);
	}
	free(events);
}
