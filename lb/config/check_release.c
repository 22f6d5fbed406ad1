#include "config/check_release.h"

#include <string.h>

#include "base/table.h"
#include "config/suggest.h"

#define ALL_BP 10000
#define MAX_NEAR_NAMES 256

/* What names refer to. */
struct known {
	const struct reader *reader;
	struct table services;
	struct table plans;
	struct table groups; /* the first service of each */
};

static struct report_place
place_or(const struct reader *reader, const void *member,
	struct report_place otherwise)
{
	const struct report_place *place = reader_place(reader, member);

	return place != NULL ? *place : otherwise;
}

static struct report_place
place_of(const struct reader *reader, const void *member)
{
	return place_or(reader, member, (struct report_place){1, 1});
}

static const char *
nearest_plan(const struct config *config, const char *name)
{
	const char *names[MAX_NEAR_NAMES];
	size_t i, n = 0;

	for (i = 0; i < config->n_plans && n < MAX_NEAR_NAMES; i++)
		names[n++] = config->plans[i].name;
	return suggest_word(name, names, n);
}

static const char *
nearest_service(const struct config *config, const char *name)
{
	const char *names[MAX_NEAR_NAMES];
	size_t i, n = 0;

	for (i = 0; i < config->n_services && n < MAX_NEAR_NAMES; i++)
		names[n++] = config->services[i].name;
	return suggest_word(name, names, n);
}

static void
check_steps(const struct reader *reader, const struct config_plan *plan)
{
	struct report_place fallback = place_of(reader, &plan->name);
	size_t i;

	for (i = 0; i < plan->n_steps; i++) {
		/* One that couldn't be read has been reported. */
		if (plan->steps_bp[i] == 0)
			return;
		if (i > 0 && plan->steps_bp[i] <= plan->steps_bp[i - 1]) {
			report_error(reader->report,
				place_or(reader, &plan->steps_bp[i], fallback),
				"plans.%.*s.steps[%zu]: must be more than the "
				"step before it",
				REPORT_QUOTE_LEN, plan->name, i);
			return;
		}
	}
	if (plan->n_steps > 0 && plan->steps_bp[i - 1] != ALL_BP)
		report_error(reader->report,
			place_or(reader, &plan->steps_bp[i - 1], fallback),
			"plans.%.*s.steps: the last step must be 100",
			REPORT_QUOTE_LEN, plan->name);
}

static void
check_watch(const struct known *known, const struct config_plan *plan)
{
	const struct reader *reader = known->reader;
	size_t i, before;

	for (i = 0; i < plan->n_watch; i++) {
		struct report_place place = place_of(reader, &plan->watch[i]);
		const char *name = plan->watch[i], *near;

		if (name == NULL)
			continue;
		for (before = 0; before < i; before++) {
			if (plan->watch[before] != NULL &&
				strcmp(plan->watch[before], name) == 0)
				break;
		}
		if (before < i)
			report_error(reader->report, place,
				"plans.%.*s.watch: \"%s\" is given twice",
				REPORT_QUOTE_LEN, plan->name, name);
		if (table_find(&known->services, slice_from_string(name)) !=
			NULL)
			continue;
		near = nearest_service(reader->config, name);
		if (near != NULL)
			report_error(reader->report, place,
				"plans.%.*s.watch: no service \"%s\", did you "
				"mean \"%.*s\"?",
				REPORT_QUOTE_LEN, plan->name, name,
				REPORT_QUOTE_LEN, near);
		else
			report_error(reader->report, place,
				"plans.%.*s.watch: no service \"%s\"",
				REPORT_QUOTE_LEN, plan->name, name);
	}
}

static void
check_plan(const struct known *known, const struct config_plan *plan)
{
	const struct reader *reader = known->reader;

	if (strcmp(plan->name, config_default_plan()->name) == 0)
		report_error(reader->report, place_of(reader, &plan->name),
			"plans.%s: is the name of the plan with all defaults, "
			"which can't be changed",
			plan->name);
	check_steps(reader, plan);
	check_watch(known, plan);
}

/* NULL, with a report, if there is none. */
static const struct config_plan *
plan_of(const struct known *known, const struct config_service *service)
{
	const struct reader *reader = known->reader;
	struct report_place place = place_of(reader, &service->plan);
	const struct config_plan *plan;
	const char *near;

	if (service->plan == NULL ||
		strcmp(service->plan, config_default_plan()->name) == 0)
		return config_default_plan();
	plan = table_find(&known->plans, slice_from_string(service->plan));
	if (plan != NULL)
		return plan;
	near = nearest_plan(reader->config, service->plan);
	if (near != NULL)
		report_error(reader->report, place,
			"services.%.*s.plan: no plan \"%s\", did you mean "
			"\"%.*s\"?",
			REPORT_QUOTE_LEN, service->name, service->plan,
			REPORT_QUOTE_LEN, near);
	else
		report_error(reader->report, place,
			"services.%.*s.plan: no plan \"%s\" in plans",
			REPORT_QUOTE_LEN, service->name, service->plan);
	return NULL;
}

/* What is released with it can't tell whether it breaks its neighbours. */
static void
check_own_watch(const struct known *known, const struct config_service *service,
	const struct config_plan *plan)
{
	const struct reader *reader = known->reader;
	struct report_place place = place_of(reader, &service->plan);
	size_t i;

	for (i = 0; i < plan->n_watch; i++) {
		const struct config_service *other;

		if (plan->watch[i] == NULL)
			continue;
		other = table_find(
			&known->services, slice_from_string(plan->watch[i]));
		if (other == service)
			report_error(reader->report, place,
				"services.%.*s.plan: \"%.*s\" watches this "
				"service itself",
				REPORT_QUOTE_LEN, service->name,
				REPORT_QUOTE_LEN, plan->name);
		else if (other != NULL && service->group != NULL &&
			 other->group != NULL &&
			 strcmp(service->group, other->group) == 0)
			report_error(reader->report, place,
				"services.%.*s.plan: \"%.*s\" watches \"%s\", "
				"which is in the same group",
				REPORT_QUOTE_LEN, service->name,
				REPORT_QUOTE_LEN, plan->name, plan->watch[i]);
	}
}

static bool
have_same_plan(const struct config_service *a, const struct config_service *b)
{
	const char *built_in = config_default_plan()->name;

	return strcmp(a->plan != NULL ? a->plan : built_in,
		       b->plan != NULL ? b->plan : built_in) == 0;
}

static void
check_group(struct known *known, struct config_service *service)
{
	const struct reader *reader = known->reader;
	struct report_place place = place_of(reader, &service->group);
	const struct config_service *other;
	struct slice name;

	if (service->group == NULL)
		return;
	name = slice_from_string(service->group);
	other = table_find(&known->services, name);
	if (other != NULL)
		report_error(reader->report, place,
			"services.%.*s.group: \"%s\" is a service's name "
			"(line %u)",
			REPORT_QUOTE_LEN, service->name, service->group,
			place_of(reader, &other->name).line);
	other = table_find(&known->groups, name);
	if (other == NULL)
		table_set(&known->groups, name, service);
	else if (!have_same_plan(service, other))
		report_error(reader->report,
			place_or(reader, &service->plan, place),
			"services.%.*s.plan: must be that of the others in "
			"group \"%s\", as of service \"%.*s\" (line %u)",
			REPORT_QUOTE_LEN, service->name, service->group,
			REPORT_QUOTE_LEN, other->name,
			place_of(reader, &other->name).line);
}

static void
check_health(const struct reader *reader, const struct config_service *service)
{
	const struct report_place *place =
		reader_place(reader, &service->health.statuses);

	if (place == NULL || service->health.path != NULL)
		return;
	report_warning(reader->report, *place,
		"services.%.*s.health.statuses: has an effect with "
		"health.path only",
		REPORT_QUOTE_LEN, service->name);
}

void
check_release(const struct reader *reader)
{
	struct config *config = reader->config;
	struct known known = {.reader = reader};
	size_t i;

	table_init(&known.services);
	table_init(&known.plans);
	table_init(&known.groups);
	for (i = 0; i < config->n_services; i++)
		table_set(&known.services,
			slice_from_string(config->services[i].name),
			&config->services[i]);
	for (i = 0; i < config->n_plans; i++)
		table_set(&known.plans,
			slice_from_string(config->plans[i].name),
			&config->plans[i]);
	for (i = 0; i < config->n_plans; i++)
		check_plan(&known, &config->plans[i]);
	for (i = 0; i < config->n_services; i++) {
		struct config_service *service = &config->services[i];
		const struct config_plan *plan = plan_of(&known, service);

		if (plan != NULL)
			check_own_watch(&known, service, plan);
		check_group(&known, service);
		check_health(reader, service);
	}
	table_free(&known.services);
	table_free(&known.plans);
	table_free(&known.groups);
}
