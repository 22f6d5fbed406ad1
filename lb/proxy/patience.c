#include "proxy/patience.h"

#include <string.h>

#include "base/clock.h"

/*
 * Ten times the p99 is far beyond chance. But a service may have a few requests
 * that take long by nature, as long polls do, and which the p99 passes over:
 * what one in a thousand takes is no hang either.
 */
#define FACTOR_P99 10
#define FACTOR_P999 1.5
/* Fewer say nothing, as after a start: nothing is cut short then. */
#define SAMPLES_MIN 20

/* A worker keeps a list for each length that occurs. */
static const uint64_t lengths_s[] = {
	5, 6, 8, 10, 12, 15, 20, 25, 30, 40, 50, 60, 90, 120, 300, 600};

uint64_t
patience_of(const struct histogram_counts *stable)
{
	double wanted_ns = FACTOR_P99 *
			   (double)histogram_quantile_ns(stable, 0.99);
	double rare_ns = FACTOR_P999 *
			 (double)histogram_quantile_ns(stable, 0.999);

	if (stable->n < SAMPLES_MIN)
		return 0;
	if (wanted_ns < rare_ns)
		wanted_ns = rare_ns;
	for (size_t i = 0; i < sizeof(lengths_s) / sizeof(lengths_s[0]); i++)
		if ((double)lengths_s[i] * CLOCK_NS_PER_S >= wanted_ns)
			return lengths_s[i] * CLOCK_NS_PER_S;
	return 0;
}

static void
publish(struct registry *registry, struct registry_service *service,
	const char *stable)
{
	const struct registry_version *version =
		registry_version(registry, service, stable);
	struct histogram_counts counts;

	memset(&counts, 0, sizeof(counts));
	for (unsigned i = 0; i < registry->n_workers; i++)
		histogram_add(&version->loads[i].times.first_byte, &counts);
	atomic_store_explicit(&service->patience_ns, patience_of(&counts),
		memory_order_relaxed);
}

void
patience_publish(struct registry *registry)
{
	const struct release_record *record;
	struct registry_unit *unit;
	const struct release *member;
	struct release_cell cell;

	for (unit = registry->units; unit != NULL; unit = unit->next)
		for (member = unit->release.members; member != NULL;
			member = member->next_member) {
			record = release_read(member, &cell);
			if (release_candidate(record, &cell) != NULL)
				publish(registry,
					registry_service(
						registry, member->service),
					record->stable->name);
		}
}
