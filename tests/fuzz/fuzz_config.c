/*
 * Any bytes as a configuration: no crash, no leak, and a result that keeps
 * config.h's promises.
 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "config/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_service(const struct config_service *service)
{
	size_t i, v, n_stable = 0;

	assert(service->n_versions > 0);
	assert(service->match.n_hosts > 0 && service->match.n_paths > 0);
	assert(service->balance.n_key > 0);
	assert(service->timeouts.header_ns > 0);
	for (v = 0; v < service->n_versions; v++) {
		const struct config_version *version = &service->versions[v];

		assert(version->n_endpoints > 0);
		for (i = 0; i < version->n_endpoints; i++) {
			assert(version->endpoints[i].name != NULL);
			assert(version->endpoints[i].host != NULL);
			assert(version->endpoints[i].port > 0);
			assert(version->endpoints[i].weight > 0);
		}
		n_stable += strcmp(version->name, service->stable) == 0;
	}
	assert(n_stable == 1);
	for (i = 0; i < service->match.n_paths; i++)
		assert(service->match.paths[i][0] == '/');
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct config_report report;
	struct config *config;
	size_t i;

	config = config_parse("fuzz.yaml", (const char *)data, size, &report);
	assert((config == NULL) == (report.n_errors > 0));
	for (i = 0; i < report.n_errors; i++)
		assert(strncmp(report.errors[i], "fuzz.yaml:", 10) == 0);
	if (config != NULL) {
		assert(config->n_listeners > 0 && config->n_services > 0);
		for (i = 0; i < config->n_listeners; i++)
			assert(address_len(&config->listeners[i].bind) > 0);
		for (i = 0; i < config->n_services; i++)
			check_service(&config->services[i]);
	}
	config_free(config);
	config_report_free(&report);
	return 0;
}
