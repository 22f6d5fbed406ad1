#include "proxy/resolver.h"

#include <event2/dns.h>
#include <event2/event.h>
#include <event2/util.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/memory.h"

/* How often a name is asked for again, seconds. */
#define REFRESH_S 10
#define SETTLE_S 3

struct watched {
	struct resolver *resolver;
	struct registry_endpoint *endpoint;
	bool is_asking;
	bool has_failed; /* and that was said */
	bool was_answered;
	struct watched *next;
};

struct resolver {
	struct event_base *base;
	struct evdns_base *dns;
	struct event *refresh;
	struct event *settle_timer;
	resolver_changed_fn *changed;
	void *changed_arg;
	resolver_settled_fn *settled;
	void *settled_arg;
	struct watched *watched;
	bool is_closing;
};

static void
settle_now(struct resolver *resolver)
{
	resolver_settled_fn *settled = resolver->settled;

	if (settled == NULL)
		return;
	resolver->settled = NULL;
	evtimer_del(resolver->settle_timer);
	settled(resolver->settled_arg);
}

static void
settle_if_done(struct resolver *resolver)
{
	const struct watched *watched;

	for (watched = resolver->watched; watched != NULL;
		watched = watched->next)
		if (!watched->was_answered)
			return;
	settle_now(resolver);
}

static void
to_address(const struct sockaddr *from, uint16_t port, struct address *to)
{
	memset(to, 0, sizeof(*to));
	if (from->sa_family == AF_INET) {
		memcpy(&to->v4, from, sizeof(to->v4));
		to->v4.sin_port = htons(port);
	} else {
		memcpy(&to->v6, from, sizeof(to->v6));
		to->v6.sin6_port = htons(port);
	}
}

/* The current address if the answer has it, else the first IPv4, else the
 * first. False if there is none at all. */
static bool
choose_address(const struct evutil_addrinfo *answers,
	const struct registry_endpoint *endpoint, struct address *chosen)
{
	const struct evutil_addrinfo *answer;
	struct address address;
	bool has_any = false;

	for (answer = answers; answer != NULL; answer = answer->ai_next) {
		if (answer->ai_family != AF_INET &&
			answer->ai_family != AF_INET6)
			continue;
		to_address(answer->ai_addr, endpoint->port, &address);
		if (address_equal(&address, &endpoint->address)) {
			*chosen = address;
			return true;
		}
		if (!has_any || (chosen->any.sa_family == AF_INET6 &&
					answer->ai_family == AF_INET))
			*chosen = address;
		has_any = true;
	}
	return has_any;
}

static void
on_answer(int result, struct evutil_addrinfo *answers, void *arg)
{
	struct watched *watched = arg;
	struct registry_endpoint *endpoint = watched->endpoint;
	struct resolver *resolver = watched->resolver;
	struct address chosen;

	if (resolver->is_closing) {
		if (answers != NULL)
			evutil_freeaddrinfo(answers);
		return;
	}
	watched->is_asking = false;
	watched->was_answered = true;
	if (result != 0 || !choose_address(answers, endpoint, &chosen)) {
		if (!watched->has_failed)
			log_warn("cannot resolve %s: %s", endpoint->host,
				result != 0 ? evutil_gai_strerror(result)
					    : "no address");
		watched->has_failed = true;
	} else {
		watched->has_failed = false;
		if (!address_equal(&chosen, &endpoint->address)) {
			endpoint->address = chosen;
			resolver->changed(endpoint, resolver->changed_arg);
		}
	}
	if (answers != NULL)
		evutil_freeaddrinfo(answers);
	settle_if_done(resolver);
}

static void
ask(struct watched *watched)
{
	struct evutil_addrinfo hints;

	if (watched->is_asking)
		return;
	memset(&hints, 0, sizeof(hints));
	hints.ai_family = AF_UNSPEC;
	hints.ai_socktype = SOCK_STREAM;
	hints.ai_protocol = IPPROTO_TCP;
	watched->is_asking = true;
	evdns_getaddrinfo(watched->resolver->dns, watched->endpoint->host, NULL,
		&hints, on_answer, watched);
}

static void
on_refresh(evutil_socket_t fd, short what, void *arg)
{
	struct resolver *resolver = arg;
	struct watched *watched;

	for (watched = resolver->watched; watched != NULL;
		watched = watched->next)
		ask(watched);
}

static void
on_settle_timeout(evutil_socket_t fd, short what, void *arg)
{
	settle_now(arg);
}

struct resolver *
resolver_new(struct event_base *base, resolver_changed_fn *changed,
	void *changed_arg)
{
	struct resolver *resolver = memory_zalloc(sizeof(*resolver));
	struct timeval interval = {REFRESH_S, 0};

	resolver->base = base;
	resolver->changed = changed;
	resolver->changed_arg = changed_arg;
	resolver->dns =
		evdns_base_new(base, EVDNS_BASE_DISABLE_WHEN_INACTIVE);
	resolver->refresh =
		event_new(base, -1, EV_PERSIST, on_refresh, resolver);
	resolver->settle_timer =
		evtimer_new(base, on_settle_timeout, resolver);
	if (resolver->dns == NULL || resolver->refresh == NULL ||
		resolver->settle_timer == NULL ||
		event_add(resolver->refresh, &interval) != 0) {
		resolver_free(resolver);
		return NULL;
	}
	/* Without a resolv.conf the hosts file still serves. */
	if (evdns_base_resolv_conf_parse(resolver->dns, DNS_OPTIONS_ALL,
		    "/etc/resolv.conf") != 0)
		evdns_base_load_hosts(resolver->dns, "/etc/hosts");
	return resolver;
}

/* evdns gives its requests' memory back in their callbacks, so these have to
 * be run. */
static void
close_dns(struct resolver *resolver)
{
	resolver->is_closing = true;
	evdns_base_free(resolver->dns, 1);
	event_base_loop(resolver->base, EVLOOP_NONBLOCK);
}

void
resolver_free(struct resolver *resolver)
{
	struct watched *watched;

	if (resolver->refresh != NULL)
		event_free(resolver->refresh);
	if (resolver->settle_timer != NULL)
		event_free(resolver->settle_timer);
	if (resolver->dns != NULL)
		close_dns(resolver);
	while ((watched = resolver->watched) != NULL) {
		resolver->watched = watched->next;
		free(watched);
	}
	free(resolver);
}

void
resolver_watch(struct resolver *resolver, struct registry_endpoint *endpoint)
{
	struct watched *watched;
	struct address address;

	if (address_parse_ip(slice_from_string(endpoint->host), 0, &address))
		return;
	for (watched = resolver->watched; watched != NULL;
		watched = watched->next)
		if (watched->endpoint == endpoint)
			return;
	watched = memory_zalloc(sizeof(*watched));
	watched->resolver = resolver;
	watched->endpoint = endpoint;
	watched->next = resolver->watched;
	resolver->watched = watched;
	ask(watched);
}

void
resolver_settle(
	struct resolver *resolver, resolver_settled_fn *settled, void *arg)
{
	struct timeval wait = {SETTLE_S, 0};

	resolver->settled = settled;
	resolver->settled_arg = arg;
	evtimer_add(resolver->settle_timer, &wait);
	settle_if_done(resolver);
}
