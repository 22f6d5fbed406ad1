#include "proxy/control.h"

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "net/listener.h"
#include "proxy/privileges.h"
#include "proxy/resolver.h"
#include "proxy/shard.h"
#include "release/state_file.h"

/* How often draining looks whether it is over. */
#define DRAIN_TICK_US 20000
#define WORKERS_MAX 256

/* One address with a socket for each worker. */
struct binding {
	struct address address;
	int *fds;
	bool is_wanted;
	struct binding *next;
};

struct control {
	struct event_base *base;
	char *config_path;
	struct registry registry;
	struct shard **shards;
	unsigned n_workers;
	bool is_started;
	bool is_draining;

	struct snapshot *snapshot; /* the one in force */
	struct snapshot *retired;  /* freed when no worker holds them */
	struct config *coming;     /* a reload's, while names are resolved */
	bool is_reload_due;        /* asked for while one was coming */
	struct binding *bindings;
	struct access_log *access_log;
	struct state_file *state_file;
	struct resolver *resolver;
	struct event *tick; /* each second */

	uint64_t started_wall_ns;
	struct control_reloads reloads;

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

/* --- listeners ----------------------------------------------------------------------- */

static void
close_binding(struct binding *binding, unsigned n_workers)
{
	unsigned i;

	for (i = 0; i < n_workers; i++)
		if (binding->fds[i] >= 0)
			close(binding->fds[i]);
	free(binding->fds);
	free(binding);
}

static struct binding *
find_binding(struct control *control, const struct address *address)
{
	struct binding *binding;

	for (binding = control->bindings; binding != NULL;
		binding = binding->next)
		if (address_equal(&binding->address, address))
			return binding;
	return NULL;
}

static struct binding *
open_binding(struct control *control, const struct address *address,
	struct error *error)
{
	struct binding *binding = memory_zalloc(sizeof(*binding));
	unsigned i;

	binding->address = *address;
	binding->fds = memory_zalloc_array(
		control->n_workers, sizeof(*binding->fds));
	for (i = 0; i < control->n_workers; i++)
		binding->fds[i] = -1;
	for (i = 0; i < control->n_workers; i++) {
		binding->fds[i] = listener_open(address, error);
		if (binding->fds[i] < 0) {
			close_binding(binding, control->n_workers);
			return NULL;
		}
	}
	return binding;
}

/* Opens what config has and control hasn't; all or nothing. */
static bool
open_new_bindings(struct control *control, const struct config *config,
	struct binding **opened, struct error *error)
{
	struct binding *binding;
	size_t i;

	*opened = NULL;
	for (i = 0; i < config->n_listeners; i++) {
		if (find_binding(control, &config->listeners[i].bind) != NULL)
			continue;
		binding = open_binding(
			control, &config->listeners[i].bind, error);
		if (binding == NULL)
			goto fail;
		binding->next = *opened;
		*opened = binding;
	}
	return true;
fail:
	while ((binding = *opened) != NULL) {
		*opened = binding->next;
		close_binding(binding, control->n_workers);
	}
	return false;
}

struct socket_message {
	struct shard *shard;
	int fd;
};

static void
run_listen(void *arg)
{
	struct socket_message *message = arg;

	shard_listen(message->shard, message->fd);
	free(message);
}

static void
run_unlisten(void *arg)
{
	struct socket_message *message = arg;

	shard_unlisten(message->shard, message->fd);
	free(message);
}

static void
post_sockets(struct control *control, const struct binding *binding,
	worker_message_fn *run)
{
	struct socket_message *message;
	unsigned i;

	for (i = 0; i < control->n_workers; i++) {
		message = memory_zalloc(sizeof(*message));
		message->shard = control->shards[i];
		message->fd = binding->fds[i];
		worker_post(&control->shards[i]->worker, run, message);
	}
}

/* The workers own the sockets from here on; these are only their numbers. */
static void
add_bindings(struct control *control, struct binding *opened)
{
	struct binding *binding;

	while ((binding = opened) != NULL) {
		opened = binding->next;
		post_sockets(control, binding, run_listen);
		binding->next = control->bindings;
		control->bindings = binding;
	}
}

static bool
config_has(const struct config *config, const struct address *address)
{
	size_t i;

	for (i = 0; i < config->n_listeners; i++)
		if (address_equal(&config->listeners[i].bind, address))
			return true;
	return false;
}

static void
drop_bindings(struct control *control, const struct config *config)
{
	struct binding **at = &control->bindings;
	struct binding *binding;

	while ((binding = *at) != NULL) {
		if (config_has(config, &binding->address)) {
			at = &binding->next;
			continue;
		}
		*at = binding->next;
		post_sockets(control, binding, run_unlisten);
		free(binding->fds);
		free(binding);
	}
}

/* --- state ------------------------------------------------------------------------------ */

static bool
save_service(struct control *control, const struct registry_service *service,
	struct error *error)
{
	struct release_saved saved;

	if (control->state_file == NULL)
		return true;
	release_save(&service->release, &saved);
	state_file_put(control->state_file, &saved);
	release_saved_free(&saved);
	return state_file_write(control->state_file, error);
}

static void
save_all(struct control *control)
{
	struct registry_service *service;
	struct release_saved saved;
	struct error error;

	if (control->state_file == NULL)
		return;
	for (service = control->registry.services; service != NULL;
		service = service->next) {
		/* One that only a refused reload knew has no state. */
		if (service->release.config_stable[0] == '\0')
			continue;
		release_save(&service->release, &saved);
		state_file_put(control->state_file, &saved);
		release_saved_free(&saved);
	}
	if (!state_file_write(control->state_file, &error))
		log_error("%s", error.message);
}

static bool
open_state(struct control *control, const char *dir, struct error *error)
{
	if (dir == NULL)
		return true;
	error->message[0] = '\0';
	control->state_file = state_file_open(dir, error);
	if (control->state_file == NULL)
		return false;
	if (error->message[0] != '\0')
		log_error("%s", error->message);
	return true;
}

static void
adopt_service(struct control *control, const struct config_service *config)
{
	struct registry_service *service =
		registry_service(&control->registry, config->name);
	struct release_config release_config = {
		.stable = config->stable,
		.n_versions = config->n_versions,
		.drain_ns = config->drain_ns,
		.rescue_for_ns = RELEASE_RESCUE_FOR_NS,
	};
	const char **names =
		memory_zalloc_array(config->n_versions, sizeof(*names));
	struct release_saved saved;
	struct error note = {""};
	bool has_saved;
	size_t i;

	for (i = 0; i < config->n_versions; i++)
		names[i] = config->versions[i].name;
	release_config.versions = names;
	has_saved = control->state_file != NULL &&
		    state_file_get(control->state_file, config->name, &saved);
	release_adopt(&service->release, &release_config,
		has_saved ? &saved : NULL, clock_wall_ns(), &note);
	if (note.message[0] != '\0')
		log_warn("service %s: %s", config->name, note.message);
	if (has_saved)
		release_saved_free(&saved);
	free(names);
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
	size_t j;

	for (j = 0; j < config->n_services; j++)
		adopt_service(control, &config->services[j]);
	snapshot = snapshot_build(config, &control->registry, access_log);
	atomic_store(&snapshot->n_holders, control->n_workers);
	if (control->snapshot != NULL) {
		control->snapshot->next = control->retired;
		control->retired = control->snapshot;
	}
	control->snapshot = snapshot;
	for (i = 0; i < control->n_workers; i++) {
		message = memory_zalloc(sizeof(*message));
		message->shard = control->shards[i];
		message->snapshot = snapshot;
		worker_post(&control->shards[i]->worker, run_adopt, message);
	}
	save_all(control);
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
		!open_new_bindings(control, config, &opened, &error)) {
		log_error("%s", error.message);
		control_free(control);
		return NULL;
	}
	add_bindings(control, opened);
	return control;
}

static void
on_second(evutil_socket_t fd, short what, void *arg)
{
	struct control *control = arg;
	struct registry_service *service;
	bool has_changed = false;

	free_retired(control);
	for (service = control->registry.services; service != NULL;
		service = service->next)
		if (release_expire(&service->release, clock_wall_ns()))
			has_changed = true;
	if (has_changed)
		save_all(control);
}

static void
check_descriptors(const struct config *config)
{
	unsigned long limit = privileges_raise_descriptors();

	/* A client and an upstream connection for each, and some. */
	if (limit < 2 * config->limits.connections + 100)
		log_warn("descriptor limit %lu is too low for "
			 "limits.connections %llu: each may need two",
			limit, (unsigned long long)config->limits.connections);
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
static void
await_names(struct control *control)
{
	bool is_settled = false;

	resolver_settle(control->resolver, on_start_settled, &is_settled);
	while (!is_settled)
		event_base_loop(control->base, EVLOOP_ONCE);
}

bool
control_start(struct control *control, struct error *error)
{
	struct config *config = control->coming;
	struct access_log *access_log;
	struct timeval second = {1, 0};

	check_descriptors(config);
	if (!privileges_drop(config->user, config->state_dir, error) ||
		!log_open(config->log.target, config->log.level, error) ||
		!open_state(control, config->state_dir, error) ||
		!take_access_log(control, config, &access_log, error))
		return false;
	control->resolver = resolver_new(control->base, on_resolved, control);
	control->tick = event_new(
		control->base, -1, EV_PERSIST, on_second, control);
	if (control->resolver == NULL || control->tick == NULL ||
		event_add(control->tick, &second) != 0) {
		error_set(error, "out of memory");
		return false;
	}
	watch_names(control, config);
	await_names(control);
	control->coming = NULL;
	put_in_force(control, config, access_log);
	if (!start_workers(control, error))
		return false;
	control->started_wall_ns = clock_wall_ns();
	control->is_started = true;
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

	if (!open_new_bindings(control, config, &opened, &error)) {
		refuse_reload(control, error.message);
		config_free(config);
		return;
	}
	if (!log_open(config->log.target, config->log.level, &error) ||
		!take_access_log(control, config, &access_log, &error)) {
		while (opened != NULL) {
			struct binding *next = opened->next;

			close_binding(opened, control->n_workers);
			opened = next;
		}
		refuse_reload(control, error.message);
		config_free(config);
		return;
	}
	warn_of_fixed(control->snapshot->config, config);
	put_in_force(control, config, access_log);
	add_bindings(control, opened);
	drop_bindings(control, config);
	control->reloads.done++;
	log_info("reloaded: %zu services", config->n_services);
}

static void
on_reload_settled(void *arg)
{
	struct control *control = arg;
	struct config *config = control->coming;

	control->coming = NULL;
	swap_in(control, config);
	if (control->is_reload_due) {
		control->is_reload_due = false;
		control_reload(control);
	}
}

void
control_reload(struct control *control)
{
	struct config *config;

	if (control->is_draining)
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
	struct access_log *log = control->snapshot->access_log;
	struct error error;

	if (!log_reopen(&error))
		log_error("%s", error.message);
	if (log != NULL && !access_log_reopen(log, &error))
		log_error("%s", error.message);
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

void
control_drain(struct control *control, void (*done)(void *arg), void *arg)
{
	struct timeval interval = {0, DRAIN_TICK_US};
	unsigned i;

	if (control->is_draining)
		return;
	control->is_draining = true;
	control->drained = done;
	control->drained_arg = arg;
	control->drain_until_ns =
		clock_monotonic_ns() +
		control->snapshot->config->timeouts.shutdown_ns;
	for (i = 0; i < control->n_workers; i++)
		worker_post(&control->shards[i]->worker, run_drain,
			control->shards[i]);
	control->drain_tick = event_new(
		control->base, -1, EV_PERSIST, on_drain_tick, control);
	if (control->drain_tick == NULL ||
		event_add(control->drain_tick, &interval) != 0)
		done(arg);
}

static void
free_bindings(struct control *control)
{
	struct binding *binding;

	while ((binding = control->bindings) != NULL) {
		control->bindings = binding->next;
		free(binding->fds);
		free(binding);
	}
}

void
control_free(struct control *control)
{
	unsigned i;

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
	free_bindings(control);
	if (control->resolver != NULL)
		resolver_free(control->resolver);
	if (control->tick != NULL)
		event_free(control->tick);
	if (control->drain_tick != NULL)
		event_free(control->drain_tick);
	if (control->state_file != NULL)
		state_file_close(control->state_file);
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

static const struct snapshot_service *
find_service(
	const struct control *control, const char *name, struct error *error)
{
	const struct snapshot_service *service = snapshot_find_service(
		control->snapshot, slice_from_string(name));

	if (service == NULL)
		error_set(error, "no service \"%s\"", name);
	return service;
}

static bool
has_version(const struct snapshot_service *service, const char *name,
	struct error *error)
{
	char known[512] = "";
	size_t len = 0;
	size_t i;

	if (snapshot_find_version(service, slice_from_string(name)) >= 0)
		return true;
	for (i = 0; i < service->n_versions && len < sizeof(known) - 70; i++)
		len += (size_t)snprintf(known + len, sizeof(known) - len,
			"%s%.*s", i > 0 ? ", " : "",
			(int)service->versions[i].name.len,
			service->versions[i].name.ptr);
	error_set(error, "service %.*s has no version \"%s\" (it has: %s)",
		(int)service->name.len, service->name.ptr, name, known);
	return false;
}

/* The word is in force; it must also outlive a restart. */
static bool
conclude(struct control *control, const struct snapshot_service *service,
	const char *word, struct error *error)
{
	struct release_cell cell;
	const struct release_record *record =
		release_read(&service->registry->release, &cell);
	struct error cause;

	log_info("service %s: %s: stable %s, candidate %s, share %u.%02u %%",
		service->registry->name, word, record->stable->name,
		cell.state == RELEASE_RUNNING ? record->candidate->name : "-",
		cell.share_bp / 100, cell.share_bp % 100);
	if (save_service(control, service->registry, &cause))
		return true;
	log_error("%s", cause.message);
	error_set(error, "in force, but would not survive a restart: %s",
		cause.message);
	return false;
}

bool
control_release_start(struct control *control, const char *service_name,
	const char *version, uint16_t share_bp, struct error *error)
{
	const struct snapshot_service *service =
		find_service(control, service_name, error);
	uint64_t seed;

	if (service == NULL || !has_version(service, version, error))
		return false;
	if (getrandom(&seed, sizeof(seed), 0) != (ssize_t)sizeof(seed)) {
		error_set(error, "no random numbers to be had");
		return false;
	}
	return release_start(&service->registry->release, version, share_bp,
		       seed, clock_wall_ns(), error) &&
	       conclude(control, service, "release started", error);
}

bool
control_release_set_share(struct control *control, const char *service_name,
	uint16_t share_bp, struct error *error)
{
	const struct snapshot_service *service =
		find_service(control, service_name, error);

	return service != NULL &&
	       release_set_share(
		       &service->registry->release, share_bp, error) &&
	       conclude(control, service, "share set", error);
}

bool
control_release_promote(struct control *control, const char *service_name,
	struct error *error)
{
	const struct snapshot_service *service =
		find_service(control, service_name, error);

	return service != NULL &&
	       release_promote(&service->registry->release, clock_wall_ns(),
		       error) &&
	       conclude(control, service, "promoted", error);
}

bool
control_release_rollback(struct control *control, const char *service_name,
	struct error *error)
{
	const struct snapshot_service *service =
		find_service(control, service_name, error);

	return service != NULL &&
	       release_rollback(&service->registry->release, clock_wall_ns(),
		       error) &&
	       conclude(control, service, "rolled back", error);
}
