#include "admin/view.h"

const char *
view_role_name(enum view_role role)
{
	switch (role) {
	case VIEW_STABLE:
		return "stable";
	case VIEW_CANDIDATE:
		return "candidate";
	case VIEW_NO_ROLE:
		break;
	}
	return "none";
}

const char *
view_health_name(const struct registry_endpoint *endpoint)
{
	switch ((enum registry_health)atomic_load_explicit(
		&endpoint->health, memory_order_relaxed)) {
	case HEALTH_UP:
		return "up";
	case HEALTH_DOWN:
		return "down";
	case HEALTH_UNKNOWN:
		break;
	}
	return "unknown";
}

struct view_release
view_read_release(const struct registry_service *service)
{
	struct view_release release;

	release.record = release_read(&service->release, &release.cell);
	return release;
}

bool
view_is_running(const struct view_release *release)
{
	return release_candidate(release->record, &release->cell) != NULL;
}

enum view_role
view_role_of(const struct view_release *release,
	const struct release_version *version)
{
	if (version == release->record->stable)
		return VIEW_STABLE;
	if (version == release_candidate(release->record, &release->cell))
		return VIEW_CANDIDATE;
	return VIEW_NO_ROLE;
}

uint16_t
view_share_bp(const struct view_release *release,
	const struct release_version *version)
{
	uint16_t candidate_bp =
		view_is_running(release) ? release->cell.share_bp : 0;

	switch (view_role_of(release, version)) {
	case VIEW_STABLE:
		return (uint16_t)(RELEASE_SHARE_FULL - candidate_bp);
	case VIEW_CANDIDATE:
		return candidate_bp;
	case VIEW_NO_ROLE:
		break;
	}
	return 0;
}

static uint64_t
load(const _Atomic uint64_t *counter)
{
	return atomic_load_explicit(counter, memory_order_relaxed);
}

void
view_add_counters(const struct registry *registry, const struct meter *meters,
	struct view_counters *out)
{
	for (unsigned i = 0; i < registry->n_workers; i++) {
		const struct meter *meter = &meters[i];

		for (unsigned j = 0; j < 6; j++) {
			uint64_t n = load(&meter->responses[j]);

			out->responses[j] += n;
			out->requests += n;
		}
		for (unsigned j = 0; j < METER_ERROR_COUNT; j++)
			out->errors[j] += load(&meter->errors[j]);
		out->bytes_in += load(&meter->bytes_in);
		out->bytes_out += load(&meter->bytes_out);
		out->retries += load(&meter->retries);
		out->connects += load(&meter->connects);
		out->rescues += load(&meter->rescues);
		out->rescued += load(&meter->rescued);
		out->helped += load(&meter->helped);
		out->shields += load(&meter->shields);
		out->shielded += load(&meter->shielded);
		out->in_flight += atomic_load_explicit(
			&meter->in_flight, memory_order_relaxed);
	}
}

static uint64_t
count_requests(const struct registry *registry, const struct meter *meters)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < registry->n_workers; i++)
		for (unsigned j = 0; j < 6; j++)
			n += load(&meters[i].responses[j]);
	return n;
}

uint64_t
view_count_requests(
	const struct registry *registry, const struct registry_version *version)
{
	const struct registry_endpoint *endpoint;
	uint64_t n = count_requests(registry, version->meters);

	for (endpoint = version->endpoints; endpoint != NULL;
		endpoint = endpoint->next)
		n += count_requests(registry, endpoint->meters);
	return n;
}

bool
view_count_known(const struct registry *registry,
	const struct registry_service *service, uint64_t known[STICKY_N_KNOWN])
{
	const struct registry_clients *clients = registry_clients_of(service);

	if (clients == NULL)
		return false;
	for (unsigned i = 0; i < STICKY_N_KNOWN; i++) {
		known[i] = 0;
		for (unsigned j = 0; j < registry->n_workers; j++)
			known[i] += load(&clients[j].known[i]);
	}
	return true;
}

uint64_t
view_failures(const struct view_counters *counters)
{
	return counters->responses[5] +
	       counters->errors[METER_ERROR_TRUNCATED] + counters->shielded;
}
