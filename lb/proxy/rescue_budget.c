#include "proxy/rescue_budget.h"

#include <string.h>

/* A rescue costs the service one, and its network ten of what the service
 * earns: so a network has a tenth without a bookkeeping of its own. */
#define COST 100
#define NETWORK_COST (COST * RESCUE_NETWORK_PART)
#define CREDIT_MAX (RESCUE_BURST * COST)
/* Networks of a set, among which one is sought. */
#define WAYS 4

void
rescue_budget_init(struct rescue_budget *budget, uint64_t percent)
{
	memset(budget, 0, sizeof(*budget));
	budget->percent = percent;
	budget->service.credit = CREDIT_MAX;
}

/* Adds what has been earned since the last look. */
static void
bring_up(const struct rescue_budget *budget, struct rescue_account *account)
{
	account->credit += budget->earned - account->earned;
	account->earned = budget->earned;
	if (account->credit > CREDIT_MAX)
		account->credit = CREDIT_MAX;
}

/* A newcomer takes a free place, or the one with most credit, of which least is
 * known that matters. It goes on with that credit: else who changes networks
 * would have as much as he has of them. */
static struct rescue_network *
network_at(struct rescue_budget *budget, uint64_t key)
{
	struct rescue_network *set =
		&budget->networks[key % (RESCUE_NETWORKS / WAYS) * WAYS];
	struct rescue_network *place = NULL;

	key |= 1;
	for (unsigned i = 0; i < WAYS; i++) {
		if (set[i].key == 0)
			set[i].account.credit = CREDIT_MAX;
		bring_up(budget, &set[i].account);
		if (set[i].key == key)
			return &set[i];
		if (place == NULL ||
			(place->key != 0 &&
				(set[i].key == 0 ||
					set[i].account.credit >
						place->account.credit)))
			place = &set[i];
	}
	place->key = key;
	place->late_until_ns = 0;
	place->late_calls_until_ns = 0;
	return place;
}

static bool
is_late(const struct rescue_network *network, enum rescue_need need,
	uint64_t now_ns)
{
	return now_ns < network->late_until_ns ||
	       (need != RESCUE_ASSET && now_ns < network->late_calls_until_ns);
}

bool
rescue_budget_take(struct rescue_budget *budget, uint64_t network_key,
	enum rescue_need need, uint64_t now_ns)
{
	struct rescue_network *network = network_at(budget, network_key);
	uint64_t kept = need == RESCUE_CALL ? CREDIT_MAX / 2 : 0;

	bring_up(budget, &budget->service);
	if (budget->service.credit < kept + COST ||
		network->account.credit < NETWORK_COST ||
		is_late(network, need, now_ns))
		return false;
	budget->service.credit -= COST;
	network->account.credit -= NETWORK_COST;
	return true;
}

bool
rescue_budget_take_test(struct rescue_budget *budget)
{
	bring_up(budget, &budget->service);
	if (budget->service.credit < COST)
		return false;
	budget->service.credit -= COST;
	return true;
}

void
rescue_budget_note_found(struct rescue_budget *budget, uint64_t network_key)
{
	struct rescue_network *network = network_at(budget, network_key);

	bring_up(budget, &budget->service);
	if (budget->service.credit < CREDIT_MAX / 2)
		return;
	network->account.credit += NETWORK_COST;
}

void
rescue_budget_note_late(struct rescue_budget *budget, uint64_t network_key,
	enum rescue_need need, uint64_t now_ns)
{
	struct rescue_network *network = network_at(budget, network_key);

	if (need == RESCUE_ASSET)
		network->late_until_ns = now_ns + RESCUE_LATE_NS;
	network->late_calls_until_ns = now_ns + RESCUE_LATE_NS;
}
