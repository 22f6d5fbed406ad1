#include "proxy/control.h"

#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "proxy/bindings.h"
#include "proxy/health.h"
#include "proxy/eviction.h"
#include "proxy/patience.h"
#include "proxy/privileges.h"
#include "proxy/releases.h"
#include "proxy/resolver.h"
#include "proxy/shard.h"

/* How often draining looks whether it is over. */
#define DRAIN_TICK_US 20000
#define WORKERS_MAX 256
/* For listeners, logs, the admin server, the journal, health checks. */
#define SPARE_DESCRIPTORS 100
/* That lines of the access log were dropped is said at most so often. */
#define SAY_DROPPED_NS (60 * CLOCK_NS_PER_S)
#define SECRET_FILE "secret" /* in state_dir */

struct control {
	struct event_base *base;
	char *config_path;
	struct registry registry;
	struct shard **shards;
	unsigned n_workers;
	bool is_started;
	bool is_draining;
	bool is_accepting; /* still, while it is draining */

	struct snapshot *snapshot; /* the one in force */
	struct snapshot *retired;  /* freed when no worker holds them */
	struct config *coming;     /* a reload's, while names are resolved */
	bool is_reload_due;        /* asked for while one was coming */
	struct bindings bindings;
	struct secret secret; /* for perch's cookies: its own */
	struct releases releases;
	struct resolver *resolver;
	struct health *health;
	struct event *tick; /* each second */
	struct event *judge_tick;
	void (*reloaded)(void *arg);
	void *reloaded_arg;

	uint64_t started_wall_ns;
	struct control_reloads reloads;

	uint64_t fitting_said; /* what limits.connections was lowered to */
	uint64_t n_dropped_said; /* lines of the access log */
	uint64_t dropped_said_ns;

	struct event *unready; /* timer: the time is over */
	struct event *drain_tick;
	uint64_t drain_until_ns;
	void (*drained)(void *arg);
	void *drained_arg;
};

/* --- config ------------------------------------------------------------------------ */

static void
log_report(const struct config_report *report)
{
	size_t i;

	for (i = 0; i < report->n_errors; i++)
		log_error("%s", report->errors[i]);
	for (i = 0; i < report->n_warnings; i++)
		log_warn("%s", report->warnings[i]);
}

static struct config *
load(const char *path)
{
	struct config_report report;
	struct config *config = config_load(path, &report);

	log_report(&report);
	config_report_free(&report);
	return config;
}

/* --- snapshots ---------------------------------------------------------------------------- */

struct adopt_message {
	struct shard *shard;
	const struct snapshot *snapshot;
};

static void
run_adopt(void *arg)
{
	struct adopt_message *message = arg;

	shard_adopt(message->shard, message->snapshot);
	free(message);
}

/* On a worker's thread. */
static void
on_released(const struct snapshot *snapshot, void *arg)
{
	atomic_fetch_sub_explicit(
		&((struct snapshot *)(uintptr_t)snapshot)->n_holders, 1,
		memory_order_release);
}

static void
release_access_log(struct access_log *log)
{
	if (log != NULL && --log->n_users == 0)
		access_log_close(log);
}

static void
free_retired(struct control *control)
{
	struct snapshot **at = &control->retired;
	struct snapshot *snapshot;
	struct access_log *log;

	while ((snapshot = *at) != NULL) {
		if (atomic_load_explicit(&snapshot->n_holders,
			    memory_order_acquire) > 0) {
			at = &snapshot->next;
			continue;
		}
		*at = snapshot->next;
		log = snapshot->access_log;
		snapshot_free(snapshot);
		release_access_log(log);
	}
}

/* The log of this config: the one at hand if it is the same. */
static bool
take_access_log(struct control *control, const struct config *config,
	struct access_log **out, struct error *error)
{
	struct access_log *current = control->snapshot != NULL
					     ? control->snapshot->access_log
					     : NULL;

	*out = NULL;
	if (config->log.access.format == CONFIG_ACCESS_OFF)
		return true;
	if (current != NULL &&
		current->format == config->log.access.format &&
		strcmp(current->file, config->log.access.file) == 0)
		*out = current;
	else
		*out = access_log_open(config->log.access.file,
			config->log.access.format, error);
	if (*out == NULL)
		return false;
	(*out)->n_users++;
	return true;
}

/* Makes a config the one in force. All that can fail has been done. */
static void
put_in_force(struct control *control, struct config *config,
	struct access_log *access_log)
{
	struct snapshot *snapshot;
	struct adopt_message *message;
	unsigned i;

	releases_adopt(&control->releases, config);
	snapshot = snapshot_build(
		config, &control->registry, &control->secret, access_log);
	atomic_store(&snapshot->n_holders, control->n_workers);
	if (control->snapshot != NULL) {
		control->snapshot->next = control->retired;
		control->retired = control->snapshot;
	}
	control->snapshot = snapshot;
	health_adopt(control->health, snapshot);
	for (i = 0; i < control->n_workers; i++) {
		message = memory_zalloc(sizeof(*message));
		message->shard = control->shards[i];
		message->snapshot = snapshot;
		worker_post(&control->shards[i]->worker, run_adopt, message);
	}
	releases_set_snapshot(&control->releases, snapshot);
	/* Who turns a secret wants to know that it is in use. */
	if (config->sticky.secret != NULL)
		log_info("cookies are signed by the first of %zu secrets in %s",
			config->sticky.secrets.n, config->sticky.secret);
	control->reloads.last_wall_ns = clock_wall_ns();
}

/* --- names ----------------------------------------------------------------------------------- */

struct address_message {
	struct shard *shard;
	struct registry_endpoint *endpoint;
	struct address address;
};

static void
run_set_address(void *arg)
{
	struct address_message *message = arg;

	shard_set_address(
		message->shard, message->endpoint, &message->address);
	free(message);
}

static void
on_resolved(struct registry_endpoint *endpoint, void *arg)
{
	struct control *control = arg;
	struct address_message *message;
	char text[ADDRESS_TEXT_SIZE];
	unsigned i;

	address_format(&endpoint->address, text);
	log_info("%s is at %s", endpoint->name, text);
	for (i = 0; i < control->n_workers; i++) {
		message = memory_zalloc(sizeof(*message));
		message->shard = control->shards[i];
		message->endpoint = endpoint;
		message->address = endpoint->address;
		worker_post(&control->shards[i]->worker, run_set_address,
			message);
	}
}

/* Registers a config's endpoints, so that their names are asked for. */
static void
watch_names(struct control *control, const struct config *config)
{
	const struct config_service *service;
	const struct config_version *version;
	const struct config_endpoint *endpoint;
	struct registry_service *known;
	size_t i;
	size_t j;
	size_t k;

	for (i = 0; i < config->n_services; i++) {
		service = &config->services[i];
		known = registry_service(&control->registry, service->name);
		for (j = 0; j < service->n_versions; j++) {
			version = &service->versions[j];
			for (k = 0; k < version->n_endpoints; k++) {
				endpoint = &version->endpoints[k];
				resolver_watch(control->resolver,
					registry_endpoint(&control->registry,
						registry_version(
							&control->registry,
							known, version->name),
						endpoint->name, endpoint->host,
						endpoint->port));
			}
		}
	}
}

/* --- start and reload ------------------------------------------------------------------------- */

static unsigned
count_workers(const struct config *config)
{
	long cores;

	if (config->workers > 0)
		return config->workers;
	cores = sysconf(_SC_NPROCESSORS_ONLN);
	if (cores < 1)
		return 1;
	return cores > WORKERS_MAX ? WORKERS_MAX : (unsigned)cores;
}

static bool
make_shards(struct control *control, struct error *error)
{
	unsigned i;

	control->shards =
		memory_zalloc_array(control->n_workers, sizeof(struct shard *));
	control->bindings.shards = control->shards;
	control->bindings.n_workers = control->n_workers;
	for (i = 0; i < control->n_workers; i++) {
		control->shards[i] = shard_new(i, &control->registry,
			on_released, control, error);
		if (control->shards[i] == NULL)
			return false;
	}
	return true;
}

struct control *
control_new(struct event_base *base, const char *config_path)
{
	struct control *control;
	struct error error;
	struct config *config = load(config_path);
	struct binding *opened;

	if (config == NULL)
		return NULL;
	control = memory_zalloc(sizeof(*control));
	control->base = base;
	control->config_path = memory_strdup(config_path);
	control->coming = config;
	control->n_workers = count_workers(config);
	registry_init(&control->registry, control->n_workers);
	if (!make_shards(control, &error) ||
		!bindings_prepare(
			&control->bindings, config, &opened, &error)) {
		log_error("%s", error.message);
		control_free(control);
		return NULL;
	}
	bindings_commit(&control->bindings, config, opened);
	return control;
}

/* At the first and then at times, as it may go on for long. */
static void
say_dropped(struct control *control)
{
	uint64_t n = access_log_dropped();
	uint64_t now_ns = clock_monotonic_ns();

	if (n == control->n_dropped_said ||
		(control->n_dropped_said > 0 &&
			now_ns - control->dropped_said_ns < SAY_DROPPED_NS))
		return;
	log_warn("the access log took nothing: %llu of its lines are lost by "
		 "now",
		(unsigned long long)n);
	control->n_dropped_said = n;
	control->dropped_said_ns = now_ns;
}

static void
on_second(evutil_socket_t fd, short what, void *arg)
{
	struct control *control = arg;

	free_retired(control);
	releases_expire(&control->releases);
	patience_publish(&control->registry);
	eviction_look(&control->registry, control->snapshot, control->shards);
	say_dropped(control);
}

static void
on_judge_tick(evutil_socket_t fd, short what, void *arg)
{
	struct control *control = arg;

	releases_tick(&control->releases);
}

/* No more clients than there may be descriptors for: each may need two, its own
 * and one to an endpoint. The rest is for all else. */
static void
fit_connections(struct control *control, struct config *config)
{
	uint64_t limit = privileges_raise_descriptors();
	uint64_t fitting = limit > 2 * SPARE_DESCRIPTORS
				   ? (limit - SPARE_DESCRIPTORS) / 2
				   : limit / 4 + 1;

	if (config->limits.connections <= fitting)
		return;
	if (control->fitting_said != fitting)
		log_info("limits.connections is %llu, not %llu: each may need "
			 "two of the %llu descriptors that the system allows",
			(unsigned long long)fitting,
			(unsigned long long)config->limits.connections,
			(unsigned long long)limit);
	control->fitting_said = fitting;
	config->limits.connections = fitting;
}

static bool
start_workers(struct control *control, struct error *error)
{
	unsigned i;

	for (i = 0; i < control->n_workers; i++)
		if (!worker_start(&control->shards[i]->worker, error))
			return false;
	return true;
}

static void
on_start_settled(void *arg)
{
	*(bool *)arg = true;
}

/* Names that answer in a moment are known before the first request. */
static bool
await_names(struct control *control)
{
	bool is_settled = false;

	resolver_settle(control->resolver, on_start_settled, &is_settled);
	while (!is_settled) {
		event_base_loop(control->base, EVLOOP_ONCE);
		if (event_base_got_break(control->base))
			return false;
	}
	return true;
}

/* Without one that is kept, a restart draws every client anew: no reason not to
 * start. */
static void
take_secret(struct control *control, const char *state_dir)
{
	struct error error;

	if (state_dir == NULL)
		control->secret = secret_draw();
	else if (!secret_keep(state_dir, SECRET_FILE, &control->secret, &error))
		log_error("%s: until it can be kept, a restart draws every "
			  "client anew",
			error.message);
}

bool
control_start(struct control *control, struct error *error)
{
	struct config *config = control->coming;
	struct access_log *access_log;
	struct timeval second = {1, 0};
	struct timeval judge_tick = {0, RELEASES_TICK_MS * 1000};

	if (!privileges_drop(config->user, config->state_dir, error) ||
		!log_open(config->log.target, config->log.level, error) ||
		!releases_open(&control->releases, &control->registry,
			control->shards, control->base, config->state_dir,
			error) ||
		!take_access_log(control, config, &access_log, error))
		return false;
	fit_connections(control, config);
	take_secret(control, config->state_dir);
	control->resolver = resolver_new(control->base, on_resolved, control);
	control->tick = event_new(
		control->base, -1, EV_PERSIST, on_second, control);
	control->judge_tick = event_new(
		control->base, -1, EV_PERSIST, on_judge_tick, control);
	if (control->resolver == NULL || control->tick == NULL ||
		control->judge_tick == NULL ||
		event_add(control->tick, &second) != 0 ||
		event_add(control->judge_tick, &judge_tick) != 0) {
		error_set(error, "out of memory");
		return false;
	}
	control->health = health_new(control->base);
	watch_names(control, config);
	if (!await_names(control)) {
		release_access_log(access_log);
		error_set(error, "stopped while starting");
		return false;
	}
	control->coming = NULL;
	put_in_force(control, config, access_log);
	if (!start_workers(control, error))
		return false;
	control->started_wall_ns = clock_wall_ns();
	control->is_started = control->is_accepting = true;
	log_info("started: %u workers, %zu services", control->n_workers,
		config->n_services);
	return true;
}

static void
refuse_reload(struct control *control, const char *why)
{
	control->reloads.refused++;
	log_error("reload refused, the old config stays: %s", why);
}

/* As long as connections are accepted, what they get may change. */
static bool
refuse_late_reload(struct control *control)
{
	if (!control->is_draining || control->is_accepting)
		return false;
	refuse_reload(control, "it is stopping");
	return true;
}

static void
warn_of_fixed(const struct config *old, const struct config *new)
{
	if (old->workers != new->workers)
		log_warn("workers: a reload can't change it; restart to");
	if (strcmp(old->user != NULL ? old->user : "",
		    new->user != NULL ? new->user : "") != 0)
		log_warn("user: a reload can't change it; restart to");
	if (strcmp(old->state_dir != NULL ? old->state_dir : "",
		    new->state_dir != NULL ? new->state_dir : "") != 0)
		log_warn("state_dir: a reload can't change it; restart to");
}

static void
swap_in(struct control *control, struct config *config)
{
	struct access_log *access_log = NULL;
	struct binding *opened;
	struct error error;

	if (!bindings_prepare(
			&control->bindings, config, &opened, &error)) {
		refuse_reload(control, error.message);
		config_free(config);
		return;
	}
	if (!take_access_log(control, config, &access_log, &error) ||
		!log_open(config->log.target, config->log.level, &error)) {
		release_access_log(access_log);
		bindings_discard(&control->bindings, opened);
		refuse_reload(control, error.message);
		config_free(config);
		return;
	}
	warn_of_fixed(control->snapshot->config, config);
	fit_connections(control, config);
	put_in_force(control, config, access_log);
	bindings_commit(&control->bindings, config, opened);
	control->reloads.done++;
	log_info("reloaded: %zu services", config->n_services);
	if (control->reloaded != NULL)
		control->reloaded(control->reloaded_arg);
}

/* Asked for while another one, or the start, was under way. */
static void
reload_if_due(struct control *control)
{
	if (!control->is_reload_due)
		return;
	control->is_reload_due = false;
	control_reload(control);
}

static void
on_reload_settled(void *arg)
{
	struct control *control = arg;
	struct config *config = control->coming;

	control->coming = NULL;
	if (refuse_late_reload(control)) {
		config_free(config);
		return;
	}
	swap_in(control, config);
	reload_if_due(control);
}

void
control_on_reloaded(
	struct control *control, void (*reloaded)(void *arg), void *arg)
{
	control->reloaded = reloaded;
	control->reloaded_arg = arg;
	reload_if_due(control);
}

void
control_on_event(struct control *control, releases_event_fn *emit, void *arg)
{
	control->releases.on_event = emit;
	control->releases.on_event_arg = arg;
}

void
control_reload(struct control *control)
{
	struct config *config;

	if (refuse_late_reload(control))
		return;
	if (control->coming != NULL) {
		control->is_reload_due = true;
		return;
	}
	config = load(control->config_path);
	if (config == NULL) {
		refuse_reload(control, "see the errors above");
		return;
	}
	control->coming = config;
	watch_names(control, config);
	resolver_settle(control->resolver, on_reload_settled, control);
}

void
control_reopen_logs(struct control *control)
{
	if (control->snapshot == NULL)
		return;
	log_reopen();
	if (control->snapshot->access_log != NULL)
		access_log_reopen(control->snapshot->access_log);
	log_info("logs reopened");
}

/* --- stop ---------------------------------------------------------------------------------------- */

static uint64_t
count_connections(const struct control *control)
{
	uint64_t n = 0;
	unsigned i;

	for (i = 0; i < control->n_workers; i++)
		n += atomic_load_explicit(
			&control->registry.workers[i].connections,
			memory_order_relaxed);
	return n;
}

static void
on_drain_tick(evutil_socket_t fd, short what, void *arg)
{
	struct control *control = arg;
	bool is_late = clock_monotonic_ns() >= control->drain_until_ns;
	uint64_t n = count_connections(control);
	unsigned i;

	for (i = 0; i < control->n_workers; i++)
		if (!atomic_load(&control->shards[i]->has_drained) && !is_late)
			return;
	if (n > 0 && !is_late)
		return;
	if (n > 0)
		log_warn("timeouts.shutdown is over: %llu connections are cut",
			(unsigned long long)n);
	event_del(control->drain_tick);
	control->drained(control->drained_arg);
}

static void
run_drain(void *arg)
{
	shard_drain(arg);
}

/* Stops accepting. */
static void
drain(struct control *control)
{
	struct timeval interval = {0, DRAIN_TICK_US};
	unsigned i;

	control->is_accepting = false;
	control->drain_until_ns =
		clock_monotonic_ns() +
		control->snapshot->config->timeouts.shutdown_ns;
	for (i = 0; i < control->n_workers; i++)
		worker_post(&control->shards[i]->worker, run_drain,
			control->shards[i]);
	if (event_add(control->drain_tick, &interval) != 0)
		control->drained(control->drained_arg);
}

static void
on_unready_over(evutil_socket_t fd, short what, void *arg)
{
	log_info("stopping when running requests have ended");
	drain(arg);
}

/* Makes the events of draining; the first one may not be needed. */
static bool
make_drain_events(struct control *control)
{
	control->unready = evtimer_new(control->base, on_unready_over, control);
	control->drain_tick = event_new(
		control->base, -1, EV_PERSIST, on_drain_tick, control);
	return control->unready != NULL && control->drain_tick != NULL;
}

void
control_drain(struct control *control, void (*done)(void *arg), void *arg)
{
	uint64_t wait_ns = control->snapshot->config->timeouts.unready_ns;
	struct timeval wait = {(time_t)(wait_ns / CLOCK_NS_PER_S),
		(suseconds_t)(wait_ns % CLOCK_NS_PER_S / CLOCK_NS_PER_US)};

	if (control->is_draining) {
		/* Whoever asks again has seen that nobody comes any more. */
		if (control->is_accepting)
			event_active(control->unready, EV_TIMEOUT, 1);
		return;
	}
	control->is_draining = true;
	control->drained = done;
	control->drained_arg = arg;
	if (!make_drain_events(control) ||
		(wait_ns > 0 && event_add(control->unready, &wait) != 0)) {
		done(arg);
		return;
	}
	if (wait_ns > 0)
		log_info("not ready any more; stopping to accept in %.3g s",
			(double)wait_ns / (double)CLOCK_NS_PER_S);
	else
		on_unready_over(-1, EV_TIMEOUT, control);
}

void
control_free(struct control *control)
{
	unsigned i;

	if (control->tick != NULL)
		event_free(control->tick);
	if (control->judge_tick != NULL)
		event_free(control->judge_tick);
	if (control->unready != NULL)
		event_free(control->unready);
	if (control->drain_tick != NULL)
		event_free(control->drain_tick);
	health_free(control->health);
	if (control->resolver != NULL)
		resolver_free(control->resolver);
	for (i = 0; control->shards != NULL && i < control->n_workers; i++) {
		if (control->shards[i] == NULL)
			continue;
		worker_stop(&control->shards[i]->worker);
		worker_run_messages(&control->shards[i]->worker);
	}
	for (i = 0; control->shards != NULL && i < control->n_workers; i++)
		if (control->shards[i] != NULL)
			shard_free(control->shards[i]);
	free(control->shards);
	if (control->snapshot != NULL) {
		control->snapshot->next = control->retired;
		control->retired = control->snapshot;
	}
	free_retired(control);
	bindings_free(&control->bindings);
	releases_close(&control->releases);
	if (control->coming != NULL)
		config_free(control->coming);
	registry_free(&control->registry);
	free(control->config_path);
	free(control);
}

/* --- for the admin server ----------------------------------------------------------------------------- */

bool
control_is_ready(const struct control *control)
{
	return control->is_started && !control->is_draining;
}

bool
control_is_accepting(const struct control *control)
{
	return control->is_accepting;
}

const struct snapshot *
control_snapshot(const struct control *control)
{
	return control->snapshot;
}

struct registry *
control_registry(const struct control *control)
{
	return (struct registry *)(uintptr_t)&control->registry;
}

uint64_t
control_started_ns(const struct control *control)
{
	return control->started_wall_ns;
}

struct control_reloads
control_reloads(const struct control *control)
{
	return control->reloads;
}

struct releases *
control_releases(struct control *control)
{
	return &control->releases;
}
