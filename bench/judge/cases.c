#include "cases.h"

#include <string.h>

#include "base/clock.h"
#include "limit.h"

/* --- harmless --------------------------------------------------------------- */

static void
steady(struct judged *judged)
{
	(void)judged;
}

static void
drift(struct judged *judged)
{
	judged->traffic.course = COURSE_DRIFT;
}

static void
bursts(struct judged *judged)
{
	judged->traffic.course = COURSE_BURSTS;
}

static void
daily(struct judged *judged)
{
	judged->traffic.course = COURSE_DAILY;
}

static void
prone(struct judged *judged)
{
	struct traffic_case *what = &judged->traffic;

	/* 0.5 % in the mean. */
	what->population = 100000;
	what->p_errors = 0.005 / (0.98 + 0.02 * 30);
	what->kinds[0].part = 0.98;
	what->kinds[1] = (struct kind){.part = 0.02, .errors = 30};
	what->n_kinds = 2;
}

static void
one_bot(struct judged *judged)
{
	judged->traffic.n_bots = 1;
}

static void
three_bots(struct judged *judged)
{
	judged->traffic.n_bots = 3;
}

static void
ten_bots(struct judged *judged)
{
	judged->traffic.n_bots = 10;
}

static void
slow_clients(struct judged *judged)
{
	struct traffic_case *what = &judged->traffic;

	what->population = 100000;
	what->kinds[0].part = 0.995;
	what->kinds[1] =
		(struct kind){.part = 0.005, .errors = 1, .is_slow = true};
	what->n_kinds = 2;
}

static void
tabs(struct judged *judged)
{
	struct town_case *what = &judged->town;

	judged->is_town = true;
	what->clients_per_s = 20;
	what->tab_s = 90;
	what->poll_s = 15;
	/* What fails is mostly a fresh page and its first calls, so that the
	 * version with fewer idle tabs looks worse. */
	what->p_errors = 0.05;
	what->p_idle_errors = 0.005;
}

static void
tabs_unenrolled(struct judged *judged)
{
	tabs(judged);
	judged->town.is_enrolment_off = true;
}

static void
town_of_all_kinds(struct judged *judged)
{
	struct town_case *what = &judged->town;

	judged->is_town = true;
	what->clients_per_s = 50;
	what->anonymous = 0.3;
	what->p_errors = 0.02;
	what->n_bots = 3;
}

static void
few_clients(struct judged *judged)
{
	judged->traffic.clients_per_s = 5;
	judged->traffic.p_errors = 0.02;
	judged->traffic.course = COURSE_BURSTS;
}

/* 50, 5, 50, a minute each; then on by itself. */
static bool
move_by_hand(void *source, double time_s, struct plan_word *word)
{
	static const struct {
		double at_s;
		struct plan_word word;
	} words[] = {
		{30, {PLAN_SHARE, 5000, NULL}},
		{90, {PLAN_SHARE, 500, NULL}},
		{150, {PLAN_SHARE, 5000, NULL}},
		{210, {PLAN_SHARE, 500, NULL}},
		{270, {PLAN_SHARE, 5000, NULL}},
		{330, {PLAN_RESUME, 0, NULL}},
	};

	(void)source;
	for (unsigned i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (time_s != words[i].at_s)
			continue;
		*word = words[i].word;
		return true;
	}
	return false;
}

static void
by_hand(struct judged *judged)
{
	judged->traffic.population = 100000;
	judged->say = move_by_hand;
}

static void
returning(struct judged *judged)
{
	judged->traffic.population = 100000;
}

static void
anonymous(struct judged *judged)
{
	judged->traffic.anonymous = 0.5;
}

const struct harmless_case harmless_cases[] = {
	{"steady, 0.5 % errors", steady, false},
	{"errors drift from 0.5 to 1.5 % and back", drift, false},
	{"bursts on both: 20 x the errors, twice as slow", bursts, false},
	{"daily wave of clients, errors and latency", daily, false},
	{"2 % of clients 30 times as error-prone", prone, false},
	{"1 bot that always fails", one_bot, false},
	{"3 bots that always fail", three_bots, false},
	{"10 bots that always fail", ten_bots, false},
	{"0.5 % of clients always slow", slow_clients, false},
	{"idle tabs pinned after each raise (crowd; 20 pages/s)", tabs, false},
	{"share moved 50, 5, 50, 5, 50 by hand", by_hand, false},
	{"100,000 clients who return", returning, false},
	{"half of the requests without identity", anonymous, false},
	{"5 clients/s, bursts on both", few_clients, false},
	{"with and without identity, 3 bots (crowd; 50 clients/s)",
		town_of_all_kinds, false},
	{"*idle tabs, if pinned requests counted without enrolment*",
		tabs_unenrolled, true},
};
const unsigned n_harmless_cases =
	sizeof(harmless_cases) / sizeof(harmless_cases[0]);

/* --- harmful ------------------------------------------------------------------ */

static void
stay_at(struct judged *judged, uint16_t share_bp)
{
	judged->plan.n_steps = 1;
	judged->plan.steps_bp[0] = share_bp;
	judged->plan.hold_ns = 3600 * CLOCK_NS_PER_S;
	judged->horizon_s = 3600;
}

static void
errors(struct judged *judged)
{
	judged->traffic.harm_s = 0;
	judged->traffic.errors_times = 10;
}

static void
errors_in_town(struct judged *judged)
{
	judged->is_town = true;
	judged->town.p_candidate = 0.05;
	judged->traffic.errors_times = 10; /* for the limit */
}

static void
all_fails(struct judged *judged)
{
	judged->is_town = true;
	judged->town.p_candidate = 1;
	judged->traffic.p_all = 1;
}

static void
all_fails_of_few(struct judged *judged)
{
	stay_at(judged, 1000);
	judged->traffic.clients_per_s = 5;
	judged->traffic.harm_s = 0;
	judged->traffic.p_all = 1;
}

static void
all_hangs(struct judged *judged)
{
	judged->is_town = true;
	judged->town.is_hanging = true;
}

static void
few_errors(struct judged *judged)
{
	errors(judged);
	judged->traffic.p_errors = 0.001;
}

static void
slower(struct judged *judged)
{
	stay_at(judged, 1000);
	judged->traffic.harm_s = 0;
	judged->traffic.latency_times = 1.5;
}

static void
twice_as_slow(struct judged *judged)
{
	slower(judged);
	judged->traffic.latency_times = 2;
}

static void
some_slow(struct judged *judged)
{
	stay_at(judged, 1000);
	judged->traffic.harm_s = 0;
	judged->traffic.slow_part = 0.02;
	judged->traffic.slow_ms = 1000;
}

static void
errors_at_once(struct judged *judged)
{
	stay_at(judged, 100);
	errors(judged);
}

static void
errors_after_1(struct judged *judged)
{
	errors_at_once(judged);
	judged->traffic.harm_s = 60;
}

static void
errors_after_3(struct judged *judged)
{
	errors_at_once(judged);
	judged->traffic.harm_s = 180;
}

static void
errors_after_5(struct judged *judged)
{
	errors_at_once(judged);
	judged->traffic.harm_s = 300;
}

static void
errors_after_5_and_a_half(struct judged *judged)
{
	errors_at_once(judged);
	judged->traffic.harm_s = 330;
}

static void
slow_after_5(struct judged *judged)
{
	twice_as_slow(judged);
	judged->traffic.harm_s = 300;
}

static void
neighbour(struct judged *judged)
{
	judged->is_town = true;
	judged->evidence.n_watches = 1;
	strcpy(judged->evidence.watches[0], "api");
	judged->town.has_neighbour = true;
	judged->town.p_neighbour = 0.005;
	judged->town.p_neighbour_candidate = 0.05;
}

#define AT_ONCE "errors 0.5 -> 5 %, 1 % share for an hour, at once"
#define SLOW_AT_ONCE "latency x 2, 10 % share"

const struct harmful_case harmful_cases[] = {
	{"errors 0.5 -> 5 %, from 1 % share", errors, 0, 12, 0, EVIDENCE_ERRORS,
		limit_errors_s, NULL},
	{"the same, through the crowd", errors_in_town, 0, 12, 0,
		EVIDENCE_ERRORS, limit_errors_s, NULL},
	{"everything fails, answering at once (crowd)", all_fails, 1, 6, 0,
		EVIDENCE_ERRORS, limit_errors_s, NULL},
	{"everything hangs (crowd); since the first line passed", all_hangs, 0,
		0, 2, -1, NULL, NULL},
	{"errors 0.1 -> 1 %, from 1 % share", few_errors, 90, 0, 0,
		EVIDENCE_ERRORS, limit_errors_s, NULL},
	{"latency x 1.5, 10 % share", slower, 78, 0, 0, -1, limit_latency_s,
		NULL},
	{SLOW_AT_ONCE, twice_as_slow, 18, 0, 0, -1, limit_latency_s, NULL},
	{"2 % of requests + 1 s, 10 % share", some_slow, 198, 0, 0, -1,
		limit_latency_s, NULL},
	{AT_ONCE, errors_at_once, 0, 0, 0, EVIDENCE_ERRORS, limit_errors_s,
		NULL},
	{"the same, after 1 minute", errors_after_1, 0, 0, 0, EVIDENCE_ERRORS,
		limit_errors_s, AT_ONCE},
	{"the same, after 3 minutes", errors_after_3, 0, 0, 0, EVIDENCE_ERRORS,
		limit_errors_s, AT_ONCE},
	{"the same, after 5 minutes", errors_after_5, 0, 0, 0, EVIDENCE_ERRORS,
		limit_errors_s, AT_ONCE},
	{"the same, after 5 1/2 minutes", errors_after_5_and_a_half, 0, 0, 0,
		EVIDENCE_ERRORS, limit_errors_s, AT_ONCE},
	{"latency x 2, 10 % share, after 5 minutes", slow_after_5, 0, 0, 0, -1,
		limit_latency_s, SLOW_AT_ONCE},
	{"everything fails, 5 clients/s, 10 % share", all_fails_of_few, 0, 12,
		0, EVIDENCE_ERRORS, limit_errors_s, NULL},
	{"a neighbour's errors 0.5 -> 5 % (crowd)", neighbour, 0, 0, 0,
		EVIDENCE_WATCH, NULL, NULL},
};
const unsigned n_harmful_cases =
	sizeof(harmful_cases) / sizeof(harmful_cases[0]);

/* --- for the rules -------------------------------------------------------------- */

static void
errors_of_5(struct judged *judged)
{
	errors(judged);
}

static void
errors_of_one_and_a_half(struct judged *judged)
{
	errors(judged);
	judged->traffic.errors_times = 3;
}

static void
failing(struct judged *judged)
{
	judged->traffic.harm_s = 0;
	judged->traffic.p_all = 1;
}

static void
slow_twice(struct judged *judged)
{
	judged->traffic.harm_s = 0;
	judged->traffic.latency_times = 2;
}

const struct rules_case rules_cases[] = {
	{"identical, 0.5 % errors", steady},
	{"identical, errors drift from 0.5 to 1.5 %", drift},
	{"identical, bursts on both", bursts},
	{"identical, 3 bots that always fail", three_bots},
	{"errors 0.5 -> 1.5 %", errors_of_one_and_a_half},
	{"errors 0.5 -> 5 %", errors_of_5},
	{"everything fails", failing},
	{"latency x 2", slow_twice},
};
const unsigned n_rules_cases = sizeof(rules_cases) / sizeof(rules_cases[0]);
