/*
 * Any bytes as a configuration: no crash, no leak, and a result that keeps
 * config.h's promises.
 */
#include "fuzz.h"

#include <string.h>

#include "config/config.h"

static void
check_service(const struct config_service *service)
{
	size_t i, v, n_stable = 0;

	CHECK(service->n_versions > 0);
	CHECK(service->match.n_hosts > 0 && service->match.n_paths > 0);
	CHECK(service->balance.n_key > 0);
	CHECK(service->health.n_statuses > 0 && service->health.rise > 0);
	CHECK(service->timeouts.header_ns > 0);
	for (v = 0; v < service->n_versions; v++) {
		const struct config_version *version = &service->versions[v];

		CHECK(version->n_endpoints > 0);
		for (i = 0; i < version->n_endpoints; i++) {
			CHECK(version->endpoints[i].name != NULL);
			CHECK(version->endpoints[i].host != NULL);
			CHECK(version->endpoints[i].port > 0);
			CHECK(version->endpoints[i].weight > 0);
		}
		n_stable += strcmp(version->name, service->stable) == 0;
	}
	CHECK(n_stable == 1);
	for (i = 0; i < service->match.n_paths; i++)
		CHECK(service->match.paths[i][0] == '/');
}

static void
check_plan(const struct config_plan *plan)
{
	size_t i;

	CHECK(plan->n_steps > 0 && plan->steps_bp[0] > 0);
	CHECK(plan->steps_bp[plan->n_steps - 1] == 10000);
	for (i = 1; i < plan->n_steps; i++)
		CHECK(plan->steps_bp[i] > plan->steps_bp[i - 1]);
	CHECK(plan->n_error_statuses > 0);
	for (i = 0; i < plan->n_error_statuses; i++)
		CHECK(plan->error_statuses[i].first >= 100 &&
			plan->error_statuses[i].first <=
				plan->error_statuses[i].last &&
			plan->error_statuses[i].last <= 999);
	for (i = 0; i < plan->n_watch; i++)
		CHECK(plan->watch[i] != NULL);
	CHECK(plan->false_rollback >= 0.0001 && plan->false_rollback <= 0.1);
	CHECK(plan->tolerance >= 1 && plan->latency.tolerance >= 1);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct config_report report;
	struct config *config;
	size_t i;

	config = config_parse("fuzz.yaml", (const char *)data, size, &report);
	CHECK((config == NULL) == (report.n_errors > 0));
	for (i = 0; i < report.n_errors; i++)
		CHECK(strncmp(report.errors[i], "fuzz.yaml:", 10) == 0);
	if (config != NULL) {
		CHECK(config->n_listeners > 0 && config->n_services > 0);
		for (i = 0; i < config->n_listeners; i++)
			CHECK(address_len(&config->listeners[i].bind) > 0);
		for (i = 0; i < config->n_services; i++)
			check_service(&config->services[i]);
		for (i = 0; i < config->n_plans; i++)
			check_plan(&config->plans[i]);
	}
	config_free(config);
	config_report_free(&report);
	return 0;
}
