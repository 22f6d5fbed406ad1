#include "proxy/health.h"

#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "proxy/probe.h"

/* First checks are spread over this, or over an interval that is shorter. */
/* So often in a row an endpoint must have been left out until it counts as
 * unhealthy without a check. */
#define CONNECT_FAILURES_MIN 3
#define SPREAD_NS CLOCK_NS_PER_S

struct check {
	struct health *health;
	struct registry_endpoint *endpoint;
	const struct config_health *config; /* of the snapshot in force */
	const char *host; /* likewise */
	struct event timer; /* to the next probe */
	struct probe probe;
	unsigned n_good; /* in a row */
	unsigned n_bad; /* in a row */
};

/* By an endpoint's id. */
struct slot {
	unsigned round; /* the last one in which the config had it */
	struct check *check; /* NULL: not checked */
};

struct health {
	struct event_base *base;
	struct slot *slots;
	size_t n_slots;
	unsigned round; /* counts snapshots, from 1 */
};

/* --- when ------------------------------------------------------------------ */

/* From 0 to just below 1. */
static double
draw(void)
{
	uint32_t random;

	evutil_secure_rng_get_bytes(&random, sizeof(random));
	return (double)random / ((double)UINT32_MAX + 1);
}

static void
schedule(struct check *check, double ns)
{
	uint64_t us = (uint64_t)(ns / (double)CLOCK_NS_PER_US);
	struct timeval wait = {
		(time_t)(us / 1000000), (suseconds_t)(us % 1000000)};

	evtimer_add(&check->timer, &wait);
}

static void
schedule_first(struct check *check)
{
	uint64_t spread_ns = check->config->interval_ns;

	if (spread_ns > SPREAD_NS)
		spread_ns = SPREAD_NS;
	schedule(check, (double)spread_ns * draw());
}

/* Not all in step, or with those of other perches. */
static void
schedule_next(struct check *check)
{
	schedule(check,
		(double)check->config->interval_ns * (0.9 + 0.2 * draw()));
}

/* --- what is found --------------------------------------------------------- */

static enum registry_health
state_of(const struct check *check)
{
	return atomic_load_explicit(
		&check->endpoint->health, memory_order_relaxed);
}

static void
set_state(struct registry_endpoint *endpoint, enum registry_health state)
{
	atomic_store_explicit(&endpoint->health, state, memory_order_relaxed);
}

static void
note_good(struct check *check)
{
	struct registry_endpoint *endpoint = check->endpoint;
	const struct registry_version *version = endpoint->version;

	check->n_bad = 0;
	if (check->n_good < check->config->rise)
		check->n_good++;
	if (state_of(check) == HEALTH_UNKNOWN) {
		set_state(endpoint, HEALTH_UP);
		log_debug("%s of %s %s is up", endpoint->name,
			version->service->name, version->name);
	}
	if (state_of(check) == HEALTH_UP || check->n_good < check->config->rise)
		return;
	atomic_store_explicit(&endpoint->up_since_ns, clock_monotonic_ns(),
		memory_order_relaxed);
	set_state(endpoint, HEALTH_UP);
	log_info("%s of %s %s is up again", endpoint->name,
		version->service->name, version->name);
}

static void
note_bad(struct check *check, const char *why)
{
	struct registry_endpoint *endpoint = check->endpoint;
	const struct registry_version *version = endpoint->version;

	check->n_good = 0;
	if (check->n_bad < check->config->fall)
		check->n_bad++;
	if (state_of(check) == HEALTH_DOWN ||
		check->n_bad < check->config->fall)
		return;
	set_state(endpoint, HEALTH_DOWN);
	log_warn("%s of %s %s is down: %s", endpoint->name,
		version->service->name, version->name, why);
}

static void
on_probed(const struct probe_result *result, void *arg)
{
	struct check *check = arg;
	const struct config_health *config = check->config;
	char status[32];

	switch (result->outcome) {
	case PROBE_CONNECTED:
		note_good(check);
		break;
	case PROBE_ANSWERED:
		snprintf(status, sizeof(status), "status %u", result->status);
		if (config_statuses_have(config->statuses, config->n_statuses,
			    result->status))
			note_good(check);
		else
			note_bad(check, status);
		break;
	case PROBE_FAILED:
		note_bad(check, result->why);
		break;
	case PROBE_NOT_MADE:
		log_debug("cannot check %s: %s", check->endpoint->name,
			result->why);
		break;
	}
	schedule_next(check);
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct check *check = arg;
	struct registry_endpoint *endpoint = check->endpoint;
	struct probe_question question = {
		.address = &endpoint->address,
		.host = check->host,
		.path = check->config->path,
		.timeout_ns = check->config->timeout_ns,
	};

	if (endpoint->address.any.sa_family == AF_UNSPEC) {
		note_bad(check, "no address");
		schedule_next(check);
		return;
	}
	probe_start(&check->probe, check->health->base, &question, on_probed,
		check);
}

/* --- which ----------------------------------------------------------------- */

/* Whom the question is for: many applications answer only to names of theirs. */
static const char *
host_of(const struct config_service *service,
	const struct registry_endpoint *endpoint)
{
	if (service->health.host != NULL)
		return service->health.host;
	for (size_t i = 0; i < service->match.n_hosts; i++)
		if (strchr(service->match.hosts[i], '*') == NULL)
			return service->match.hosts[i];
	return endpoint->name;
}

static struct check *
check_new(struct health *health, struct registry_endpoint *endpoint,
	const struct config_service *service)
{
	struct check *check = memory_zalloc(sizeof(*check));

	check->health = health;
	check->endpoint = endpoint;
	check->config = &service->health;
	check->host = host_of(service, endpoint);
	evtimer_assign(&check->timer, health->base, on_timer, check);
	schedule_first(check);
	return check;
}

static void
check_free(struct check *check)
{
	if (check == NULL)
		return;
	event_del(&check->timer);
	probe_cancel(&check->probe);
	free(check);
}

/* What was found in another way counts no more, but its end result stands. */
static void
check_restart(struct check *check)
{
	event_del(&check->timer);
	probe_cancel(&check->probe);
	check->n_good = 0;
	check->n_bad = 0;
	schedule_first(check);
}

static bool
is_same(const struct config_health *a, const struct config_health *b)
{
	const char *path_a = a->path != NULL ? a->path : "";
	const char *path_b = b->path != NULL ? b->path : "";

	return strcmp(path_a, path_b) == 0 &&
	       a->interval_ns == b->interval_ns &&
	       a->timeout_ns == b->timeout_ns && a->rise == b->rise &&
	       a->fall == b->fall && a->n_statuses == b->n_statuses &&
	       memcmp(a->statuses, b->statuses,
		       a->n_statuses * sizeof(*a->statuses)) == 0;
}

static struct slot *
slot_of(struct health *health, const struct registry_endpoint *endpoint)
{
	size_t n = health->n_slots;

	if (endpoint->id >= n) {
		health->n_slots = (size_t)endpoint->id * 2 + 16;
		health->slots = memory_realloc_array(
			health->slots, health->n_slots, sizeof(*health->slots));
		memset(health->slots + n, 0,
			(health->n_slots - n) * sizeof(*health->slots));
	}
	return &health->slots[endpoint->id];
}

static void
stop_checking(struct slot *slot)
{
	if (slot->check == NULL)
		return;
	set_state(slot->check->endpoint, HEALTH_UNKNOWN);
	check_free(slot->check);
	slot->check = NULL;
}

static void
adopt_endpoint(struct health *health, struct registry_endpoint *endpoint,
	const struct config_service *service)
{
	const struct config_health *config = &service->health;
	struct slot *slot = slot_of(health, endpoint);
	const char *host = host_of(service, endpoint);
	bool goes_on;

	if (slot->round + 1 != health->round)
		atomic_store_explicit(&endpoint->up_since_ns,
			clock_monotonic_ns(), memory_order_relaxed);
	slot->round = health->round;
	if (!config->is_on) {
		stop_checking(slot);
		return;
	}
	if (slot->check == NULL) {
		slot->check = check_new(health, endpoint, service);
		return;
	}
	goes_on = is_same(slot->check->config, config) &&
		  strcmp(slot->check->host, host) == 0;
	slot->check->config = config;
	slot->check->host = host;
	if (!goes_on)
		check_restart(slot->check);
}

void
health_adopt(struct health *health, const struct snapshot *snapshot)
{
	const struct snapshot_service *service;
	const struct snapshot_version *version;
	size_t i, j, k;

	health->round++;
	for (i = 0; i < snapshot->n_services; i++) {
		service = &snapshot->services[i];
		for (j = 0; j < service->n_versions; j++) {
			version = &service->versions[j];
			for (k = 0; k < version->n_endpoints; k++)
				adopt_endpoint(health,
					version->endpoints[k].registry,
					service->config);
		}
	}
	for (i = 0; i < health->n_slots; i++)
		if (health->slots[i].round != health->round)
			stop_checking(&health->slots[i]);
}

/* One refused connection is no verdict on a version: it may be an endpoint that
 * restarts. What it does to clients is judged anyway. */
static bool
is_given_up(const struct registry_endpoint *endpoint, uint64_t now_ns)
{
	return registry_endpoint_is_left_out(endpoint, now_ns) &&
	       atomic_load_explicit(&endpoint->connect_failures,
		       memory_order_relaxed) >= CONNECT_FAILURES_MIN;
}

double
health_fraction_up(const struct snapshot_version *version, uint64_t now_ns)
{
	const struct registry_endpoint *endpoint;
	size_t i, n = 0;

	for (i = 0; i < version->n_endpoints; i++) {
		endpoint = version->endpoints[i].registry;
		if (endpoint->address.any.sa_family != AF_UNSPEC &&
			!registry_endpoint_is_down(endpoint) &&
			!is_given_up(endpoint, now_ns))
			n++;
	}
	return (double)n / (double)version->n_endpoints;
}

struct health *
health_new(struct event_base *base)
{
	struct health *health = memory_zalloc(sizeof(*health));

	health->base = base;
	/* So that slots as they are made belong to no round before. */
	health->round = 1;
	return health;
}

void
health_free(struct health *health)
{
	size_t i;

	if (health == NULL)
		return;
	for (i = 0; i < health->n_slots; i++)
		check_free(health->slots[i].check);
	free(health->slots);
	free(health);
}
