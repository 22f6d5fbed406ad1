#include "proxy/judge_private.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

/*
 * A group's reason is to say whose versions hurt: services are released
 * together, but it is one of them that is broken. What is judged are clients,
 * whichever service they asked; so each service counts by itself whom its
 * requests have hurt, and those where nobody was are left out of the sentence.
 */

#define OTHERS_SIZE 24 /* room for " and 4294967295 others" */

static_assert(
	EVIDENCE_ERRORS < REGISTRY_HURTS && EVIDENCE_NOT_FOUND < REGISTRY_HURTS,
	"a service counts both");

const char *
judge_side_stable(const struct judge_side *side)
{
	struct release_cell cell;

	return release_read(&side->service->release, &cell)->stable->name;
}

bool
judge_are_candidates_stable(const struct judge *judge)
{
	for (size_t i = 0; i < judge->n_sides; i++)
		if (strcmp(judge->sides[i].candidate,
			    judge_side_stable(&judge->sides[i])) != 0)
			return false;
	return judge->n_sides > 0;
}

bool
judge_is_of_group(const struct judge *judge)
{
	return judge->n_sides > 1 ||
	       strcmp(judge->unit->release.name,
		       judge->sides[0].service->name) != 0;
}

/* --- lists ------------------------------------------------------------------- */

static uint64_t
count_hurt(const struct judge_side *side, unsigned signal)
{
	return atomic_load_explicit(
		       &side->service->hurt[signal], memory_order_relaxed) -
	       side->hurt_before[signal];
}

void
judge_forget_hurt(struct judge *judge)
{
	for (size_t i = 0; i < judge->n_sides; i++)
		for (unsigned k = 0; k < REGISTRY_HURTS; k++)
			judge->sides[i].hurt_before[k] +=
				count_hurt(&judge->sides[i], k);
}

/* signal from REGISTRY_HURTS on: all sides are alike. */
static uint64_t
weight_of(const struct judge_side *side, unsigned signal)
{
	return signal < REGISTRY_HURTS ? count_hurt(side, signal) : 1;
}

/* The side after last, of those with a weight the heaviest first, then as they
 * stand there; NULL after the last one. */
static const struct judge_side *
next_side(const struct judge *judge, unsigned signal,
	const struct judge_side *last)
{
	uint64_t most = last != NULL ? weight_of(last, signal) : UINT64_MAX;
	const struct judge_side *next = NULL;

	for (size_t i = 0; i < judge->n_sides; i++) {
		const struct judge_side *side = &judge->sides[i];
		uint64_t weight = weight_of(side, signal);

		if (weight == 0 || weight > most ||
			(weight == most && last != NULL && side <= last) ||
			(next != NULL && weight <= weight_of(next, signal)))
			continue;
		next = side;
	}
	return next;
}

/* False where there is no room for it and for the number of others. */
static bool
append(char out[PLAN_NAMES_MAX + 1], const char *service, const char *version)
{
	size_t len = strlen(out);
	size_t more = strlen(service) + strlen(version) + 3;

	if (len > 0 && len + more + OTHERS_SIZE > PLAN_NAMES_MAX)
		return false;
	snprintf(out + len, PLAN_NAMES_MAX + 1 - len, "%s%s %s",
		len > 0 ? ", " : "", service, version);
	return true;
}

static void
append_others(char out[PLAN_NAMES_MAX + 1], unsigned n)
{
	size_t len = strlen(out);

	if (n > 0)
		snprintf(out + len, PLAN_NAMES_MAX + 1 - len, " and %u other%s",
			n, n == 1 ? "" : "s");
}

/* "page p7, entry e2", of those that weigh something by the signal. */
static void
list_sides(const struct judge *judge, unsigned signal, struct plan_names *out)
{
	const struct judge_side *side = next_side(judge, signal, NULL);
	unsigned n_left_out[2] = {0};

	memset(out, 0, sizeof(*out));
	if (side == NULL)
		signal = REGISTRY_HURTS;
	for (side = next_side(judge, signal, NULL); side != NULL;
		side = next_side(judge, signal, side)) {
		const char *service = side->service->name;

		if (n_left_out[0] > 0 ||
			!append(out->candidate, service, side->candidate))
			n_left_out[0]++;
		if (n_left_out[1] > 0 ||
			!append(out->stable, service, judge_side_stable(side)))
			n_left_out[1]++;
	}
	append_others(out->candidate, n_left_out[0]);
	append_others(out->stable, n_left_out[1]);
}

/* --- names ------------------------------------------------------------------- */

void
judge_name_side(const struct judge_side *side, struct plan_names *out)
{
	memset(out, 0, sizeof(*out));
	(void)append(out->candidate, side->service->name, side->candidate);
	(void)append(out->stable, side->service->name, judge_side_stable(side));
}

void
judge_name_hurt(
	const struct judge *judge, struct plan_names out[EVIDENCE_SIGNALS])
{
	struct plan_names all;

	list_sides(judge, REGISTRY_HURTS, &all);
	for (unsigned i = 0; i < EVIDENCE_SIGNALS; i++)
		out[i] = all;
	list_sides(judge, EVIDENCE_ERRORS, &out[EVIDENCE_ERRORS]);
	list_sides(judge, EVIDENCE_NOT_FOUND, &out[EVIDENCE_NOT_FOUND]);
	out[EVIDENCE_LIMIT] = out[EVIDENCE_ERRORS];
}

void
judge_name_all(const struct judge *judge, struct plan_names *out)
{
	bool is_one_candidate = true, is_one_stable = true;

	list_sides(judge, REGISTRY_HURTS, out);
	/* All of them have left it. */
	if (judge->n_sides == 0)
		return;
	for (size_t i = 1; i < judge->n_sides; i++) {
		const struct judge_side *side = &judge->sides[i];

		if (strcmp(side->candidate, judge->sides[0].candidate) != 0)
			is_one_candidate = false;
		if (strcmp(judge_side_stable(side),
			    judge_side_stable(&judge->sides[0])) != 0)
			is_one_stable = false;
	}
	if (is_one_candidate)
		snprintf(out->candidate, sizeof(out->candidate), "%s",
			judge->sides[0].candidate);
	if (is_one_stable)
		snprintf(out->stable, sizeof(out->stable), "%s",
			judge_side_stable(&judge->sides[0]));
}
