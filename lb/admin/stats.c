#include "admin/stats.h"

#include <stdlib.h>

#include "admin/view.h"
#include "base/clock.h"
#include "base/memory.h"
#include "base/table.h"

struct version_samples {
	struct meter_counts samples[2];
	struct version_samples *next;
};

struct stats {
	unsigned older; /* 0 or 1: which sample; the next one replaces it */
	uint64_t taken_ns[2];
	struct table versions; /* registry version's address -> samples */
	struct version_samples *all;
	struct stats_endpoint (*endpoints)[2]; /* by the endpoint's id */
	size_t n_endpoints;
};

struct stats *
stats_new(uint64_t now_ns)
{
	struct stats *stats = memory_zalloc(sizeof(*stats));

	stats->taken_ns[0] = now_ns;
	stats->taken_ns[1] = now_ns;
	table_init(&stats->versions);
	return stats;
}

void
stats_free(struct stats *stats)
{
	struct version_samples *next;

	for (; stats->all != NULL; stats->all = next) {
		next = stats->all->next;
		free(stats->all);
	}
	table_free(&stats->versions);
	free(stats->endpoints);
	free(stats);
}

/* Registry entries never move: their address is a key. */
static struct slice
key_of(const struct registry_version *const *version)
{
	return (struct slice){
		(const char *)(const void *)version, sizeof(*version)};
}

/* Without samples, the version had no traffic when they were taken: zeros
 * are what they would have said. */
static struct version_samples *
samples_of(struct stats *stats, const struct registry_version *version)
{
	struct version_samples *samples =
		table_find(&stats->versions, key_of(&version));

	if (samples != NULL)
		return samples;
	samples = memory_zalloc(sizeof(*samples));
	samples->next = stats->all;
	stats->all = samples;
	table_set(&stats->versions, key_of(&version), samples);
	return samples;
}

static void
make_room(struct stats *stats, size_t n_endpoints)
{
	size_t old = stats->n_endpoints;

	if (n_endpoints <= old)
		return;
	stats->endpoints = memory_realloc_array(
		stats->endpoints, n_endpoints, sizeof(*stats->endpoints));
	memset(stats->endpoints + old, 0,
		(n_endpoints - old) * sizeof(*stats->endpoints));
	stats->n_endpoints = n_endpoints;
}

static void
sample_version(struct stats *stats, const struct snapshot_version *version,
	const struct registry *registry)
{
	struct version_samples *samples;
	uint64_t requests = view_count_requests(registry, version->registry);

	if (requests == 0)
		return;
	samples = samples_of(stats, version->registry);
	/* Nothing happened since: both samples say it already. */
	if (samples->samples[0].requests == requests &&
		samples->samples[1].requests == requests)
		return;
	registry_sum_version(
		registry, version->registry, &samples->samples[stats->older]);
	for (size_t i = 0; i < version->n_endpoints; i++) {
		const struct registry_endpoint *endpoint =
			version->endpoints[i].registry;
		struct view_counters counters = {0};

		view_add_counters(registry, endpoint->meters, &counters);
		stats->endpoints[endpoint->id][stats->older] =
			(struct stats_endpoint){
				.requests = counters.requests,
				.failures = view_failures(&counters),
			};
	}
}

void
stats_sample(struct stats *stats, const struct snapshot *snapshot,
	const struct registry *registry, uint64_t now_ns)
{
	make_room(stats, registry->n_endpoints);
	for (size_t i = 0; i < snapshot->n_services; i++) {
		const struct snapshot_service *service = &snapshot->services[i];

		for (size_t j = 0; j < service->n_versions; j++)
			sample_version(stats, &service->versions[j], registry);
	}
	stats->taken_ns[stats->older] = now_ns;
	stats->older = !stats->older;
}

double
stats_window_s(const struct stats *stats, uint64_t now_ns)
{
	return (double)(now_ns - stats->taken_ns[stats->older]) /
	       (double)CLOCK_NS_PER_S;
}

void
stats_version_window(const struct stats *stats,
	const struct registry_version *version,
	const struct meter_counts *counts, struct meter_counts *out)
{
	const struct version_samples *samples =
		table_find(&stats->versions, key_of(&version));
	const struct meter_counts *before;

	*out = *counts;
	if (samples == NULL)
		return;
	before = &samples->samples[stats->older];
	out->requests -= before->requests;
	for (unsigned i = 0; i < 6; i++)
		out->responses[i] -= before->responses[i];
	for (unsigned i = 0; i < METER_ERROR_COUNT; i++)
		out->errors[i] -= before->errors[i];
	out->bytes_in -= before->bytes_in;
	out->bytes_out -= before->bytes_out;
	out->retries -= before->retries;
	out->rescues -= before->rescues;
	out->rescued -= before->rescued;
	out->helped -= before->helped;
	out->shields -= before->shields;
	out->shielded -= before->shielded;
	out->connects -= before->connects;
	histogram_subtract(
		&counts->first_byte, &before->first_byte, &out->first_byte);
	histogram_subtract(&counts->total, &before->total, &out->total);
}

struct stats_endpoint
stats_endpoint_window(const struct stats *stats,
	const struct registry_endpoint *endpoint, struct stats_endpoint now)
{
	const struct stats_endpoint *before;

	if (endpoint->id >= stats->n_endpoints)
		return now;
	before = &stats->endpoints[endpoint->id][stats->older];
	return (struct stats_endpoint){
		.requests = now.requests - before->requests,
		.failures = now.failures - before->failures,
	};
}
