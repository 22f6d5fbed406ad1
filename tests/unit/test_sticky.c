#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/hash.h"
#include "http/field.h"
#include "proxy/sticky.h"

/* The versions of all tests, by index. */
enum { V1, V2, V3 };

#define SEED UINT64_C(0x1234567890abcdef)
#define GENERATION 7

/* A release from V1 to V2 in generation 7 that nobody is moved by yet. */
static struct sticky_input
running(void)
{
	return (struct sticky_input){
		.is_running = true,
		.generation = GENERATION,
		.share_bp = 0,
		.release_seed = SEED,
		.stable = V1,
		.candidate = V2,
		.pin = STICKY_PIN_DOCUMENT,
		.wants_cookie = true,
		.request = {.kind = STICKY_OTHER},
		.override = STICKY_NONE,
		.pinned = STICKY_NONE,
		.random = 0x77777,
	};
}

static struct sticky_input
at_rest(void)
{
	struct sticky_input input = running();

	input.is_running = false;
	input.candidate = STICKY_NONE;
	return input;
}

static void
pin_to(struct sticky_input *input, int version, uint32_t generation,
	enum release_standing standing)
{
	input->has_cookie = true;
	input->cookie = (struct cookie){.seed = 0x12345,
		.is_pin = true,
		.is_signed = true,
		.generation = generation,
		.version = SLICE("any")};
	input->pinned = version;
	input->pinned_standing = standing;
	input->is_pinned_usable = true;
}

static void
seed_alone(struct sticky_input *input, uint32_t seed)
{
	input->has_cookie = true;
	input->cookie = (struct cookie){.seed = seed, .is_signed = true};
}

static struct sticky_decision
decide(const struct sticky_input *input)
{
	struct sticky_decision decision;

	memset(&decision, 0xa5, sizeof(decision));
	sticky_decide(input, &decision);
	return decision;
}

static void
assert_decided(const struct sticky_input *input, int version,
	enum sticky_reason reason)
{
	struct sticky_decision decision = decide(input);

	assert_int_equal(decision.version, version);
	assert_int_equal(decision.reason, reason);
}

/* --- override ---------------------------------------------------------------- */

static void
test_override_goes_before_pin_and_bucket(void **state)
{
	struct sticky_input input = running();

	(void)state;
	input.share_bp = STICKY_SHARE_FULL;
	pin_to(&input, V1, GENERATION, STANDING_ACTIVE);
	input.override = V3;
	assert_decided(&input, V3, STICKY_OVERRIDE);
	input.request.kind = STICKY_NAVIGATION;
	assert_decided(&input, V3, STICKY_OVERRIDE);
}

static void
test_override_sets_no_cookie_and_is_not_counted(void **state)
{
	struct sticky_input input = running();

	(void)state;
	input.override = V1; /* as the bucket says */
	input.request.kind = STICKY_NAVIGATION;
	assert_int_equal(decide(&input).set, STICKY_SET_NOTHING);
	assert_false(decide(&input).is_counted_by_bucket);
	input.request.kind = STICKY_SUBPAGE;
	assert_int_equal(decide(&input).set, STICKY_SET_NOTHING);
}

/* --- pin: document ----------------------------------------------------------- */

static void
test_loaded_page_keeps_its_version(void **state)
{
	struct sticky_input input = running();

	(void)state;
	pin_to(&input, V2, GENERATION, STANDING_ACTIVE);
	assert_decided(&input, V2, STICKY_PIN);
	input.share_bp = STICKY_SHARE_FULL;
	pin_to(&input, V1, GENERATION, STANDING_ACTIVE);
	assert_decided(&input, V1, STICKY_PIN);
}

static void
test_pin_survives_share_raise(void **state)
{
	struct sticky_input input = running();

	(void)state;
	pin_to(&input, V1, GENERATION, STANDING_ACTIVE);
	for (uint16_t share = 0; share <= STICKY_SHARE_FULL; share += 500) {
		input.share_bp = share;
		assert_decided(&input, V1, STICKY_PIN);
	}
}

static void
test_navigation_does_not_follow_the_pin(void **state)
{
	struct sticky_input input = running();

	(void)state;
	input.request.kind = STICKY_NAVIGATION;
	pin_to(&input, V2, GENERATION, STANDING_ACTIVE);
	assert_decided(&input, V1, STICKY_BUCKET);
	input = at_rest();
	input.request.kind = STICKY_NAVIGATION;
	pin_to(&input, V2, GENERATION, STANDING_DRAINING);
	assert_decided(&input, V1, STICKY_STABLE);
}

static void
test_pin_to_candidate_counts_in_its_generation_only(void **state)
{
	struct sticky_input input = running();

	(void)state;
	pin_to(&input, V2, GENERATION - 1, STANDING_ACTIVE);
	assert_decided(&input, V1, STICKY_BUCKET);
	pin_to(&input, V2, GENERATION + 1, STANDING_ACTIVE);
	assert_decided(&input, V1, STICKY_BUCKET);
	pin_to(&input, V2, GENERATION, STANDING_ACTIVE);
	assert_decided(&input, V2, STICKY_PIN);
}

static void
test_pin_to_candidate_counts_while_it_runs_only(void **state)
{
	struct sticky_input input = at_rest();

	(void)state;
	pin_to(&input, V2, GENERATION, STANDING_ASSETS_ONLY);
	assert_decided(&input, V1, STICKY_STABLE);
}

static void
test_pin_to_stable_counts_in_any_generation(void **state)
{
	struct sticky_input input = running();

	(void)state;
	input.share_bp = STICKY_SHARE_FULL;
	pin_to(&input, V1, 0, STANDING_ACTIVE);
	assert_decided(&input, V1, STICKY_PIN);
	pin_to(&input, V1, GENERATION + 9, STANDING_ACTIVE);
	assert_decided(&input, V1, STICKY_PIN);
	input = at_rest();
	pin_to(&input, V1, 3, STANDING_ACTIVE);
	assert_decided(&input, V1, STICKY_PIN);
}

static void
test_pin_to_draining_counts_in_any_generation(void **state)
{
	struct sticky_input input = at_rest();

	(void)state;
	pin_to(&input, V3, GENERATION - 1, STANDING_DRAINING);
	assert_decided(&input, V3, STICKY_PIN);
	input = running();
	pin_to(&input, V3, 1, STANDING_DRAINING);
	assert_decided(&input, V3, STICKY_PIN);
}

static void
test_pin_to_a_dead_version_counts_as_absent(void **state)
{
	static const enum sticky_pin pins[] = {
		STICKY_PIN_DOCUMENT, STICKY_PIN_SESSION};

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct sticky_input input = running();

		input.pin = pins[i];
		pin_to(&input, V3, GENERATION, STANDING_ASSETS_ONLY);
		assert_decided(&input, V1, STICKY_BUCKET);
		pin_to(&input, V3, GENERATION, STANDING_IDLE);
		assert_decided(&input, V1, STICKY_BUCKET);
		pin_to(&input, V2, GENERATION, STANDING_ACTIVE);
		input.is_pinned_usable = false;
		assert_decided(&input, V1, STICKY_BUCKET);
		pin_to(&input, V3, GENERATION, STANDING_DRAINING);
		input.is_pinned_usable = false;
		assert_decided(&input, V1, STICKY_BUCKET);
		/* A version that the config has no more. */
		pin_to(&input, STICKY_NONE, GENERATION, STANDING_ACTIVE);
		assert_decided(&input, V1, STICKY_BUCKET);
	}
}

/* As a worker may see it that has the snapshot of before a reload yet. */
static void
test_pin_to_neither_version_of_the_release_counts_as_absent(void **state)
{
	struct sticky_input input = running();

	(void)state;
	pin_to(&input, V3, GENERATION, STANDING_ACTIVE);
	assert_int_equal(decide(&input).version, V1);
	assert_int_equal(decide(&input).reason, STICKY_BUCKET);
}

static void
test_seed_alone_pins_nothing(void **state)
{
	struct sticky_input input = running();

	(void)state;
	seed_alone(&input, 5);
	input.pinned = V2;
	input.pinned_standing = STANDING_ACTIVE;
	input.is_pinned_usable = true;
	input.cookie.generation = GENERATION;
	assert_decided(&input, V1, STICKY_BUCKET);
}

/* --- pin: session and pin: none ---------------------------------------------- */

static void
test_session_pin_holds_navigations_while_the_release_runs(void **state)
{
	struct sticky_input input = running();

	(void)state;
	input.pin = STICKY_PIN_SESSION;
	input.request.kind = STICKY_NAVIGATION;
	pin_to(&input, V2, GENERATION, STANDING_ACTIVE);
	assert_decided(&input, V2, STICKY_PIN);
	input.share_bp = STICKY_SHARE_FULL;
	pin_to(&input, V1, GENERATION, STANDING_ACTIVE);
	assert_decided(&input, V1, STICKY_PIN);

	input = at_rest();
	input.pin = STICKY_PIN_SESSION;
	input.request.kind = STICKY_NAVIGATION;
	pin_to(&input, V3, GENERATION, STANDING_DRAINING);
	assert_decided(&input, V1, STICKY_STABLE);
	input.request.kind = STICKY_OTHER;
	assert_decided(&input, V3, STICKY_PIN);
}

/* A page that is loaded is no worse off than with document. */
static void
test_session_pin_counts_in_its_generation_only(void **state)
{
	struct sticky_input input = running();

	(void)state;
	input.pin = STICKY_PIN_SESSION;
	input.share_bp = STICKY_SHARE_FULL;
	input.request.kind = STICKY_NAVIGATION;
	pin_to(&input, V1, GENERATION - 1, STANDING_ACTIVE);
	assert_decided(&input, V2, STICKY_BUCKET);
	pin_to(&input, V3, GENERATION - 1, STANDING_DRAINING);
	assert_decided(&input, V2, STICKY_BUCKET);
	pin_to(&input, V1, GENERATION, STANDING_ACTIVE);
	assert_decided(&input, V1, STICKY_PIN);
	input.request.kind = STICKY_OTHER;
	pin_to(&input, V1, GENERATION - 1, STANDING_ACTIVE);
	assert_decided(&input, V1, STICKY_PIN);
	pin_to(&input, V3, GENERATION - 1, STANDING_DRAINING);
	assert_decided(&input, V3, STICKY_PIN);
	pin_to(&input, V2, GENERATION - 1, STANDING_ACTIVE);
	input.share_bp = 0;
	assert_decided(&input, V1, STICKY_BUCKET);
}

static void
test_pin_none_goes_by_the_bucket_alone(void **state)
{
	struct sticky_input input = running();

	(void)state;
	input.pin = STICKY_PIN_NONE;
	pin_to(&input, V2, GENERATION, STANDING_ACTIVE);
	assert_decided(&input, V1, STICKY_BUCKET);
	input.share_bp = STICKY_SHARE_FULL;
	pin_to(&input, V1, GENERATION, STANDING_ACTIVE);
	assert_decided(&input, V2, STICKY_BUCKET);
	input.request.kind = STICKY_NAVIGATION;
	assert_decided(&input, V2, STICKY_BUCKET);
}

/* --- bucket -------------------------------------------------------------------- */

static void
test_no_release_means_stable(void **state)
{
	struct sticky_input input = at_rest();

	(void)state;
	input.share_bp = STICKY_SHARE_FULL;
	assert_decided(&input, V1, STICKY_STABLE);
	assert_false(decide(&input).is_counted_by_bucket);
}

static void
test_bucket_below_the_share_goes_to_the_candidate(void **state)
{
	struct sticky_input input = running();
	uint32_t bucket;

	(void)state;
	seed_alone(&input, 0x12345);
	bucket = sticky_bucket(0x12345, SEED);
	assert_true(bucket > 0 && bucket < STICKY_SHARE_FULL);
	input.share_bp = (uint16_t)bucket;
	assert_decided(&input, V1, STICKY_BUCKET);
	input.share_bp = (uint16_t)(bucket + 1);
	assert_decided(&input, V2, STICKY_BUCKET);
}

static void
test_pin_against_the_bucket_is_not_counted(void **state)
{
	struct sticky_input input = running();

	(void)state;
	pin_to(&input, V1, GENERATION, STANDING_ACTIVE);
	assert_true(decide(&input).is_counted_by_bucket);
	input.share_bp = STICKY_SHARE_FULL;
	assert_false(decide(&input).is_counted_by_bucket);
	pin_to(&input, V2, GENERATION, STANDING_ACTIVE);
	assert_true(decide(&input).is_counted_by_bucket);
	input.has_cookie = false;
	assert_true(decide(&input).is_counted_by_bucket);
}

/* --- cell ---------------------------------------------------------------------- */

static void
assert_known(const struct sticky_input *input, enum sticky_known known,
	uint32_t cell)
{
	struct sticky_decision decision = decide(input);

	assert_int_equal(decision.known, known);
	assert_int_equal(decision.cell, cell);
	assert_int_equal(
		sticky_has_identity(&decision), known != STICKY_BY_NOTHING);
}

static void
test_cell_is_cookie_then_key_then_address_then_random(void **state)
{
	struct sticky_input input = running();

	(void)state;
	assert_known(&input, STICKY_BY_NOTHING, 0x77777);
	assert_true(sticky_needs_address(&input));
	input.has_address = true;
	input.address_hash = UINT64_C(0x123456789);
	assert_known(&input, STICKY_BY_ADDRESS, 0x56789);
	input.has_key = true;
	input.key_hash = UINT64_C(0xfedcba9876abcde1);
	assert_known(&input, STICKY_BY_KEY, 0xbcde1);
	assert_false(sticky_needs_address(&input));
	seed_alone(&input, 0x00abc);
	assert_known(&input, STICKY_BY_COOKIE, 0x00abc);
	input.has_key = false;
	assert_known(&input, STICKY_BY_COOKIE, 0x00abc);
}

/* Pages get a cookie, so their seed is drawn. */
static void
test_address_is_for_what_gets_no_cookie(void **state)
{
	struct sticky_input input = running();

	(void)state;
	input.request.kind = STICKY_NAVIGATION;
	assert_false(sticky_needs_address(&input));
	input.request.kind = STICKY_SUBPAGE;
	assert_false(sticky_needs_address(&input));
	input.keeps_cacheable = true;
	assert_true(sticky_needs_address(&input));
	input.request.is_same_origin = true;
	assert_true(sticky_needs_address(&input));
	input.request.kind = STICKY_OTHER;
	assert_true(sticky_needs_address(&input));
	input.keeps_cacheable = false;
	assert_false(sticky_needs_address(&input));
	input.request.is_same_origin = false;
	input.request.is_prefetch = true;
	assert_false(sticky_needs_address(&input));
	input.request.is_prefetch = false;
	input.anonymous = STICKY_ANONYMOUS_RANDOM;
	assert_false(sticky_needs_address(&input));
	input.anonymous = STICKY_ANONYMOUS_STABLE;
	assert_false(sticky_needs_address(&input));
	/* Where nothing comes of it. */
	input = at_rest();
	input.wants_cookie = false;
	assert_false(sticky_needs_address(&input));
}

static void
test_who_is_left_to_stable(void **state)
{
	struct sticky_input input = running();

	(void)state;
	input.share_bp = STICKY_SHARE_FULL;
	input.request.is_same_origin = true;
	assert_decided(&input, V1, STICKY_UNKNOWN);
	assert_false(decide(&input).is_counted_by_bucket);
	assert_int_equal(decide(&input).set, STICKY_SET_NOTHING);
	/* A frame of its page, or a form: and what comes after it. */
	input.request.kind = STICKY_SUBPAGE;
	assert_decided(&input, V1, STICKY_UNKNOWN);
	assert_int_equal(decide(&input).set, STICKY_SET_PIN);
	input.pin = STICKY_PIN_NONE;
	assert_int_equal(decide(&input).set, STICKY_SET_NOTHING);
	input.pin = STICKY_PIN_DOCUMENT;
	input.request.kind = STICKY_NAVIGATION;
	assert_decided(&input, V2, STICKY_BUCKET);
	/* What may be shown later. */
	input.request = (struct sticky_request){
		.kind = STICKY_OTHER, .is_prefetch = true};
	assert_decided(&input, V1, STICKY_UNKNOWN);
	/* A frame in another site, whose cookie won't come back. */
	input.request = (struct sticky_request){
		.kind = STICKY_SUBPAGE, .is_embedded_elsewhere = true};
	assert_decided(&input, V1, STICKY_UNKNOWN);
	assert_int_equal(decide(&input).set, STICKY_SET_NOTHING);
	input.is_kept_elsewhere = true;
	assert_decided(&input, V2, STICKY_BUCKET);
	assert_int_equal(decide(&input).set, STICKY_SET_PIN);
	input.request = (struct sticky_request){.kind = STICKY_OTHER};
	input.anonymous = STICKY_ANONYMOUS_STABLE;
	assert_decided(&input, V1, STICKY_UNKNOWN);
	/* Who is known is drawn. */
	input.has_key = true;
	assert_decided(&input, V2, STICKY_BUCKET);
	input.has_key = false;
	input.request.is_same_origin = true;
	seed_alone(&input, 1);
	assert_decided(&input, V2, STICKY_BUCKET);
	/* And at rest nobody is left. */
	input = at_rest();
	input.request.is_same_origin = true;
	assert_decided(&input, V1, STICKY_STABLE);
}

static void
test_subpage_follows_the_pin_or_is_a_page_of_its_own(void **state)
{
	struct sticky_input input = running();

	(void)state;
	input.request.kind = STICKY_SUBPAGE;
	input.share_bp = STICKY_SHARE_FULL;
	assert_decided(&input, V2, STICKY_BUCKET);
	assert_int_equal(decide(&input).set, STICKY_SET_PIN);
	pin_to(&input, V1, GENERATION, STANDING_ACTIVE);
	assert_decided(&input, V1, STICKY_PIN);
	assert_int_equal(decide(&input).set, STICKY_SET_NOTHING);
	/* A pin of the release before is written anew. */
	pin_to(&input, V1, GENERATION - 1, STANDING_ACTIVE);
	assert_decided(&input, V1, STICKY_PIN);
	assert_int_equal(decide(&input).set, STICKY_SET_PIN);
}

static void
test_former_cookie_keeps_a_page_and_no_more(void **state)
{
	struct sticky_input input = running();

	(void)state;
	pin_to(&input, V1, 0, STANDING_ACTIVE);
	input.cookie.is_signed = false;
	input.share_bp = STICKY_SHARE_FULL;
	assert_decided(&input, V1, STICKY_PIN);
	assert_int_equal(decide(&input).set, STICKY_SET_NOTHING);
	/* Nobody vouches for its seed: not even where its bucket says the same. */
	input.share_bp = 0;
	assert_false(decide(&input).is_counted_by_bucket);
	input.has_affinity = true;
	assert_int_equal(decide(&input).set, STICKY_SET_NOTHING);
	input.request.kind = STICKY_SUBPAGE;
	assert_int_equal(decide(&input).set, STICKY_SET_NOTHING);
	input.request.kind = STICKY_NAVIGATION;
	assert_known(&input, STICKY_BY_NOTHING, 0x77777);
	assert_int_equal(decide(&input).set, STICKY_SET_PIN);
}

static void
test_groups_former_seed_is_never_signed(void **state)
{
	struct sticky_input input = running();

	(void)state;
	input.has_group_seed = true;
	input.group_seed = 0x00abc;
	assert_known(&input, STICKY_BY_COOKIE, 0x00abc);
	assert_false(decide(&input).is_counted_by_bucket);
	input.request.kind = STICKY_SUBPAGE;
	assert_int_equal(decide(&input).set, STICKY_SET_NOTHING);
	input.is_group_seed_signed = true;
	assert_int_equal(decide(&input).set, STICKY_SET_PIN);
	assert_true(decide(&input).is_counted_by_bucket);
}

static void
test_known_by_has_names(void **state)
{
	(void)state;
	assert_string_equal(sticky_known_name(STICKY_BY_COOKIE), "cookie");
	assert_string_equal(sticky_known_name(STICKY_BY_KEY), "key");
	assert_string_equal(sticky_known_name(STICKY_BY_ADDRESS), "address");
	assert_string_equal(sticky_known_name(STICKY_BY_NOTHING), "none");
}

static void
test_identity_by_key_prefers_the_key(void **state)
{
	struct sticky_input input = running();

	(void)state;
	input.is_identity_by_key = true;
	seed_alone(&input, 0x00abc);
	assert_int_equal(decide(&input).cell, 0x00abc);
	input.has_key = true;
	input.key_hash = 0x9999900001;
	assert_int_equal(decide(&input).cell, 0x00001);
	input.has_cookie = false;
	input.has_key = false;
	assert_int_equal(decide(&input).cell, 0x77777);
}

static void
test_cell_is_20_bits(void **state)
{
	struct sticky_input input = running();

	(void)state;
	input.random = UINT32_MAX;
	assert_int_equal(decide(&input).cell, COOKIE_CELLS - 1);
}

/* --- the cookie to set --------------------------------------------------------- */

static void
test_navigation_sets_a_pin_when_new_or_changed(void **state)
{
	struct sticky_input input = running();

	(void)state;
	input.request.kind = STICKY_NAVIGATION;
	assert_int_equal(decide(&input).set, STICKY_SET_PIN);
	seed_alone(&input, 5);
	assert_int_equal(decide(&input).set, STICKY_SET_PIN);
	pin_to(&input, V1, GENERATION, STANDING_ACTIVE);
	assert_int_equal(decide(&input).set, STICKY_SET_NOTHING);
	pin_to(&input, V1, GENERATION - 1, STANDING_ACTIVE);
	assert_int_equal(decide(&input).set, STICKY_SET_PIN);
	pin_to(&input, V2, GENERATION, STANDING_ACTIVE);
	assert_int_equal(decide(&input).set, STICKY_SET_PIN);
	pin_to(&input, STICKY_NONE, GENERATION, STANDING_IDLE);
	assert_int_equal(decide(&input).set, STICKY_SET_PIN);
}

static void
test_navigation_without_a_release_pins_too(void **state)
{
	struct sticky_input input = at_rest();

	(void)state;
	input.request.kind = STICKY_NAVIGATION;
	assert_int_equal(decide(&input).set, STICKY_SET_PIN);
	pin_to(&input, V1, GENERATION, STANDING_ACTIVE);
	assert_int_equal(decide(&input).set, STICKY_SET_NOTHING);
}

static void
test_key_that_wins_rewrites_the_seed(void **state)
{
	struct sticky_input input = at_rest();

	(void)state;
	input.request.kind = STICKY_NAVIGATION;
	input.is_identity_by_key = true;
	input.has_key = true;
	input.key_hash = 0x54321;
	pin_to(&input, V1, GENERATION, STANDING_ACTIVE);
	assert_int_equal(decide(&input).set, STICKY_SET_PIN);
	input.key_hash = 0x12345;
	assert_int_equal(decide(&input).set, STICKY_SET_NOTHING);
}

static void
test_key_that_wins_does_so_in_a_group_too(void **state)
{
	struct sticky_input input = at_rest();

	(void)state;
	input.has_group_seed = true;
	input.group_seed = 0x00abc;
	input.has_key = true;
	input.key_hash = 0x54321;
	assert_int_equal(decide(&input).cell, 0x00abc);
	input.is_identity_by_key = true;
	assert_int_equal(decide(&input).cell, 0x54321);
	input.has_key = false;
	assert_int_equal(decide(&input).cell, 0x00abc);
}

static void
test_dead_pin_is_rewritten_at_the_next_navigation(void **state)
{
	struct sticky_input input = at_rest();

	(void)state;
	pin_to(&input, V2, GENERATION, STANDING_ASSETS_ONLY);
	assert_int_equal(decide(&input).set, STICKY_SET_NOTHING);
	input.request.kind = STICKY_NAVIGATION;
	assert_int_equal(decide(&input).set, STICKY_SET_PIN);
	assert_decided(&input, V1, STICKY_STABLE);
}

static void
test_parts_of_a_page_set_nothing(void **state)
{
	struct sticky_input input = running();

	(void)state;
	assert_int_equal(decide(&input).set, STICKY_SET_NOTHING);
	seed_alone(&input, 5);
	assert_int_equal(decide(&input).set, STICKY_SET_NOTHING);
	pin_to(&input, V2, 1, STANDING_ACTIVE);
	assert_int_equal(decide(&input).set, STICKY_SET_NOTHING);
}

static void
test_service_that_needs_no_cookie_sets_none(void **state)
{
	struct sticky_input input = at_rest();

	(void)state;
	input.wants_cookie = false;
	input.request.kind = STICKY_NAVIGATION;
	assert_int_equal(decide(&input).set, STICKY_SET_NOTHING);
}

/* A seed alone, lest a client of an API be kept for ever; but what has no
 * cookie yet belongs to a page of stable, and stays there. */
static void
test_affinity_gives_a_cookie_to_who_asks_for_no_page(void **state)
{
	struct sticky_input input = running();

	(void)state;
	input.has_affinity = true;
	input.has_address = true;
	assert_int_equal(decide(&input).set, STICKY_SET_SEED);
	input.request.is_same_origin = true;
	assert_int_equal(decide(&input).set, STICKY_SET_PIN);
	input.request.is_asset = true;
	assert_int_equal(decide(&input).set, STICKY_SET_NOTHING);
	input.request.is_asset = false;
	seed_alone(&input, 5);
	assert_int_equal(decide(&input).set, STICKY_SET_NOTHING);
}

static void
test_lifetime_is_renewed_after_a_quarter(void **state)
{
	struct sticky_input input = running();

	(void)state;
	pin_to(&input, V1, GENERATION, STANDING_ACTIVE);
	input.lifetime_s = 3600;
	input.cookie.issued_min = 1000;
	input.now_min = 1014; /* 14 to 15 minutes old */
	assert_int_equal(decide(&input).set, STICKY_SET_NOTHING);
	input.now_min = 1015;
	assert_int_equal(decide(&input).set, STICKY_SET_PIN);
	input.request.kind = STICKY_NAVIGATION;
	assert_int_equal(decide(&input).set, STICKY_SET_PIN);
	input.now_min = 1014;
	assert_int_equal(decide(&input).set, STICKY_SET_NOTHING);
	/* A clock that was set back. */
	input.now_min = 900;
	assert_int_equal(decide(&input).set, STICKY_SET_NOTHING);
	input.lifetime_s = 3;
	assert_int_equal(decide(&input).set, STICKY_SET_PIN);
	input.request.kind = STICKY_OTHER;
	input.request.is_asset = true;
	assert_int_equal(decide(&input).set, STICKY_SET_NOTHING);
	input.request.is_asset = false;
	/* What the cookie says is said again, and nothing else. */
	input.pinned_standing = STANDING_ASSETS_ONLY;
	input.pinned = V3;
	assert_int_equal(decide(&input).set, STICKY_SET_NOTHING);
	seed_alone(&input, 5);
	assert_int_equal(decide(&input).set, STICKY_SET_SEED);
	input.pin = STICKY_PIN_NONE;
	input.request.kind = STICKY_NAVIGATION;
	assert_int_equal(decide(&input).set, STICKY_SET_SEED);
}

static void
test_pin_none_sets_the_seed_alone(void **state)
{
	struct sticky_input input = running();

	(void)state;
	input.pin = STICKY_PIN_NONE;
	input.request.kind = STICKY_NAVIGATION;
	assert_int_equal(decide(&input).set, STICKY_SET_SEED);
	seed_alone(&input, 5);
	assert_int_equal(decide(&input).set, STICKY_SET_NOTHING);
	pin_to(&input, V1, GENERATION, STANDING_ACTIVE);
	assert_int_equal(decide(&input).set, STICKY_SET_SEED);
	/* The key says who it is, and the cookie something else. */
	seed_alone(&input, 5);
	input.is_identity_by_key = true;
	input.has_key = true;
	input.key_hash = 6;
	assert_int_equal(decide(&input).cell, 6);
	assert_int_equal(decide(&input).set, STICKY_SET_SEED);
}

/* --- 100,000 clients ----------------------------------------------------------- */

#define CLIENTS 100000

static const uint16_t shares[] = {0, 100, 500, 1000, 2000, 5000, 8000, 10000};
#define N_SHARES (sizeof(shares) / sizeof(shares[0]))

static bool
is_on_candidate(uint32_t client, uint16_t share_bp, uint64_t seed)
{
	struct sticky_input input = running();
	char key[32];
	int len = snprintf(key, sizeof(key), "user-%u", client);

	input.request.kind = STICKY_NAVIGATION;
	input.has_key = true;
	input.key_hash = hash_bytes(key, (size_t)len, 0);
	input.share_bp = share_bp;
	input.release_seed = seed;
	return decide(&input).version == V2;
}

static void
test_share_is_kept_over_100000_keys(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 3; seed++) {
		for (unsigned i = 0; i < N_SHARES; i++) {
			double p = shares[i] / (double)STICKY_SHARE_FULL;
			unsigned n = 0;

			for (uint32_t client = 0; client < CLIENTS; client++)
				n += is_on_candidate(client, shares[i], seed);
			assert_true(fabs(n - CLIENTS * p) <=
				    4 * sqrt(CLIENTS * p * (1 - p)));
		}
	}
}

static void
test_raising_moves_nobody_back(void **state)
{
	(void)state;
	for (uint32_t client = 0; client < CLIENTS; client++) {
		bool was_on_candidate = false;

		for (unsigned i = 0; i < N_SHARES; i++) {
			bool is_on = is_on_candidate(client, shares[i], SEED);

			assert_false(was_on_candidate && !is_on);
			was_on_candidate = is_on;
		}
	}
}

static void
test_each_release_draws_other_clients_first(void **state)
{
	unsigned both = 0, first = 0;

	(void)state;
	for (uint32_t client = 0; client < CLIENTS; client++) {
		if (!is_on_candidate(client, 1000, 1))
			continue;
		first++;
		both += is_on_candidate(client, 1000, 2);
	}
	/* A tenth of the tenth, not all of it. */
	assert_true(both > first / 20 && both < first / 5);
}

/* --- what a request is ----------------------------------------------------------- */

static struct message request;
static char text[2048];

/* A request with fields "Name: value\n..." . */
static struct message *
with_fields(enum http_method method, const char *fields)
{
	const char *line = fields;

	memset(&request, 0, sizeof(request));
	assert_true(strlen(fields) < sizeof(text));
	strcpy(text, fields);
	request.base = text;
	request.method = (uint8_t)method;
	while (*line != '\0') {
		struct field *field = &request.fields[request.n_fields++];
		const char *colon = strstr(line, ": ");
		const char *end = strchr(line, '\n');

		field->name = (uint32_t)(line - fields);
		field->name_len = (uint16_t)(colon - line);
		field->value = (uint32_t)(colon + 2 - fields);
		field->value_len = (uint32_t)(end - colon - 2);
		field->id = (uint16_t)field_identify(
			(struct slice){line, field->name_len});
		if (field->id != FIELD_OTHER)
			request.seen |= UINT64_C(1) << field->id;
		line = end + 1;
	}
	return &request;
}

static struct sticky_request
read(enum http_method method, const char *fields)
{
	struct sticky_request out;

	memset(&out, 0xa5, sizeof(out));
	sticky_read_request(with_fields(method, fields), &out);
	return out;
}

static enum sticky_kind
kind(enum http_method method, const char *fields)
{
	return read(method, fields).kind;
}

#define NAVIGATE "Sec-Fetch-Site: none\nSec-Fetch-Mode: navigate\n"
#define BROWSER NAVIGATE "Sec-Fetch-Dest: document\n"

static void
test_navigation_is_a_get_of_a_document(void **state)
{
	(void)state;
	assert_int_equal(kind(HTTP_GET, BROWSER), STICKY_NAVIGATION);
	assert_int_equal(
		kind(HTTP_GET, BROWSER "Accept: */*\n"), STICKY_NAVIGATION);
	/* As a service worker passes it on. */
	assert_int_equal(kind(HTTP_GET, NAVIGATE "Sec-Fetch-Dest: empty\n"),
		STICKY_NAVIGATION);
	assert_int_equal(kind(HTTP_HEAD, BROWSER), STICKY_OTHER);
	assert_int_equal(
		kind(HTTP_GET, "Sec-Fetch-Mode: no-cors\n"
			       "Sec-Fetch-Dest: script\nAccept: text/html\n"),
		STICKY_OTHER);
	assert_int_equal(
		kind(HTTP_GET, "Sec-Fetch-Mode: navigate\n"), STICKY_OTHER);
	assert_int_equal(
		kind(HTTP_GET, "Sec-Fetch-Dest: document\n"), STICKY_OTHER);
}

static void
test_frames_and_forms_are_subpages(void **state)
{
	static const char *const frames[] = {"Sec-Fetch-Dest: iframe\n",
		"Sec-Fetch-Dest: frame\n", "Sec-Fetch-Dest: embed\n",
		"Sec-Fetch-Dest: object\n"};
	char fields[256];

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		snprintf(fields, sizeof(fields), NAVIGATE "%s", frames[i]);
		assert_int_equal(kind(HTTP_GET, fields), STICKY_SUBPAGE);
		assert_int_equal(kind(HTTP_POST, fields), STICKY_SUBPAGE);
		assert_false(read(HTTP_GET, fields).is_embedded_elsewhere);
		snprintf(fields, sizeof(fields),
			"Sec-Fetch-Site: cross-site\n"
			"Sec-Fetch-Mode: navigate\n%s",
			frames[i]);
		assert_true(read(HTTP_GET, fields).is_embedded_elsewhere);
		assert_true(read(HTTP_POST, fields).is_embedded_elsewhere);
	}
	assert_int_equal(kind(HTTP_POST, BROWSER), STICKY_SUBPAGE);
	assert_false(read(HTTP_POST, BROWSER).is_embedded_elsewhere);
	assert_int_equal(
		kind(HTTP_POST, "Accept: text/html\n"), STICKY_SUBPAGE);
}

static void
test_prefetch_is_no_navigation(void **state)
{
	(void)state;
	assert_int_equal(kind(HTTP_GET, BROWSER "Sec-Purpose: prefetch\n"),
		STICKY_OTHER);
	assert_int_equal(
		kind(HTTP_GET, BROWSER "Sec-Purpose: prefetch;prerender\n"),
		STICKY_OTHER);
	assert_false(
		read(HTTP_GET, BROWSER "Sec-Purpose: prefetch\n").is_asset);
	assert_true(
		read(HTTP_GET, BROWSER "Sec-Purpose: prefetch\n").is_prefetch);
	assert_false(read(HTTP_GET, BROWSER).is_prefetch);
	assert_int_equal(
		kind(HTTP_GET, "Accept: text/html\nSec-Purpose: prefetch\n"),
		STICKY_OTHER);
}

static void
test_accept_decides_where_no_fetch_metadata_came(void **state)
{
	(void)state;
	assert_int_equal(
		kind(HTTP_GET,
			"Accept: text/html,application/xhtml+xml,*/*;q=0.8\n"),
		STICKY_NAVIGATION);
	assert_int_equal(kind(HTTP_GET, "Accept: */*, text/html;q=0.9\n"),
		STICKY_NAVIGATION);
	assert_int_equal(
		kind(HTTP_GET, "Accept: image/png\nAccept: text/html\n"),
		STICKY_NAVIGATION);
	assert_int_equal(kind(HTTP_GET, "Accept: */*\n"), STICKY_OTHER);
	assert_int_equal(kind(HTTP_GET, "Accept: text/htmlx\n"), STICKY_OTHER);
	assert_int_equal(kind(HTTP_GET, ""), STICKY_OTHER);
	assert_int_equal(kind(HTTP_PUT, "Accept: text/html\n"), STICKY_OTHER);
	assert_int_equal(
		kind(HTTP_GET, "Sec-Fetch-Site: none\nAccept: text/html\n"),
		STICKY_OTHER);
	assert_int_equal(
		kind(HTTP_GET, "Sec-Fetch-Mode: cors\nAccept: text/html\n"),
		STICKY_OTHER);
	assert_int_equal(
		kind(HTTP_GET, "Sec-Fetch-Dest: empty\nAccept: text/html\n"),
		STICKY_OTHER);
}

static void
test_assets_are_told_by_their_destination(void **state)
{
	(void)state;
	assert_true(read(HTTP_GET, "Sec-Fetch-Dest: script\n").is_asset);
	assert_true(read(HTTP_GET, "Sec-Fetch-Dest: image\n").is_asset);
	assert_false(read(HTTP_GET, "Sec-Fetch-Dest: empty\n").is_asset);
	assert_false(read(HTTP_GET, "Sec-Fetch-Mode: cors\n").is_asset);
	assert_false(read(HTTP_GET, BROWSER).is_asset);
	assert_false(read(HTTP_GET, "").is_asset);
}

static bool
is_same_origin(const char *host, const char *fields)
{
	struct sticky_request out;
	struct message *message = with_fields(HTTP_GET, fields);
	size_t len = strlen(fields);

	/* Behind the fields. */
	strcpy(text + len, host);
	message->host = (struct span){(uint32_t)len, (uint32_t)strlen(host)};
	sticky_read_request(message, &out);
	return out.is_same_origin;
}

static void
test_same_origin_by_fetch_metadata_or_referer(void **state)
{
	(void)state;
	assert_true(is_same_origin("a.b", "Sec-Fetch-Site: same-origin\n"));
	assert_false(is_same_origin("a.b", "Sec-Fetch-Site: same-site\n"));
	assert_false(is_same_origin(
		"a.b", "Sec-Fetch-Site: cross-site\nReferer: http://a.b/\n"));
	assert_true(is_same_origin("a.b", "Referer: http://a.b/x\n"));
	assert_true(is_same_origin("A.b", "Referer: https://a.B\n"));
	assert_true(is_same_origin("a.b", "Referer: http://a.b?x\n"));
	assert_true(is_same_origin("a.b:81", "Referer: http://a.b:81/\n"));
	assert_false(is_same_origin("a.b", "Referer: http://a.b:81/\n"));
	assert_false(is_same_origin("a.b", "Referer: http://a.bc/\n"));
	assert_false(is_same_origin("a.b", "Referer: http://xa.b/\n"));
	assert_false(is_same_origin("a.b", "Referer: http://a\n"));
	assert_false(is_same_origin("a.b", "Referer: a.b/\n"));
	assert_false(is_same_origin("a.b", "Referer: \n"));
	assert_false(is_same_origin("", "Referer: http:///\n"));
	/* A page's WebSocket has no other sign. */
	assert_true(is_same_origin("a.b:81", "Origin: http://a.b:81\n"));
	assert_false(is_same_origin("a.b", "Origin: http://a.b.c\n"));
	assert_false(is_same_origin("a.b", "Origin: null\n"));
	assert_false(is_same_origin("a.b",
		"Sec-Fetch-Site: cross-site\nOrigin: http://a.b\n"));
	assert_false(is_same_origin("a.b", ""));
}

static void
assert_override(const char *value, const char *service, const char *want)
{
	struct slice got = sticky_parse_override(
		slice_from_string(value), slice_from_string(service));

	assert_int_equal(got.len, strlen(want));
	if (got.len > 0)
		assert_memory_equal(got.ptr, want, got.len);
}

static void
assert_caller(const char *value, const char *want_version, uint32_t want_cell)
{
	struct slice version = SLICE_NONE;
	uint32_t cell = 0;
	bool is_known = sticky_parse_caller(slice_from_string(value),
		SLICE("shop"), &version, &cell);

	assert_int_equal(is_known, want_version != NULL);
	if (!is_known)
		return;
	assert_true(slice_equal(version, slice_from_string(want_version)));
	assert_int_equal(cell, want_cell);
}

static void
test_callers_header_says_which_client(void **state)
{
	(void)state;
	assert_caller("shop=v2;cell=0a1b2", "v2", 0xa1b2);
	assert_caller("api=v7;cell=00001, shop=v2;cell=fffff", "v2", 0xfffff);
	assert_caller("shop=v2", NULL, 0);
	assert_caller("shop=v2;cell=", NULL, 0);
	assert_caller("shop=v2;cell=0a1b", NULL, 0);
	assert_caller("shop=v2;cell=0a1b23", NULL, 0);
	assert_caller("shop=v2;cell=0A1B2", NULL, 0);
	assert_caller("shop=;cell=0a1b2", NULL, 0);
	assert_caller("v2;cell=0a1b2", NULL, 0);
	assert_caller("api=v2;cell=0a1b2", NULL, 0);
	/* It is an override all the same. */
	assert_override("shop=v2;cell=0a1b2", "shop", "v2");
	assert_override("v2;cell=0a1b2", "shop", "v2");
}

static void
test_override_header_speaks_for_services(void **state)
{
	(void)state;
	assert_override("v2", "shop", "v2");
	assert_override(" v2 ", "shop", "v2");
	assert_override("shop=v2", "shop", "v2");
	assert_override("api=v7, shop=v2", "shop", "v2");
	assert_override("api=v7, shop=v2", "api", "v7");
	assert_override("api=v7", "shop", "");
	assert_override("api=v7, v3", "shop", "v3");
	assert_override("v3, shop=v2", "shop", "v2");
	assert_override("v3, v4", "shop", "v3");
	assert_override("shop=", "shop", "");
	assert_override("=v2", "shop", "");
	assert_override("shopping=v2", "shop", "");
	assert_override("Shop=v2", "shop", "");
	assert_override("", "shop", "");
	assert_override(",,", "shop", "");
}

static void
test_reasons_have_names(void **state)
{
	(void)state;
	assert_string_equal(sticky_reason_name(STICKY_OVERRIDE), "override");
	assert_string_equal(sticky_reason_name(STICKY_PIN), "pin");
	assert_string_equal(sticky_reason_name(STICKY_BUCKET), "bucket");
	assert_string_equal(sticky_reason_name(STICKY_STABLE), "stable");
	assert_string_equal(sticky_reason_name(STICKY_UNKNOWN), "unknown");
	assert_string_equal(sticky_reason_name((enum sticky_reason)99), "");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_override_goes_before_pin_and_bucket),
		cmocka_unit_test(
			test_override_sets_no_cookie_and_is_not_counted),
		cmocka_unit_test(test_loaded_page_keeps_its_version),
		cmocka_unit_test(test_pin_survives_share_raise),
		cmocka_unit_test(test_navigation_does_not_follow_the_pin),
		cmocka_unit_test(
			test_pin_to_candidate_counts_in_its_generation_only),
		cmocka_unit_test(
			test_pin_to_candidate_counts_while_it_runs_only),
		cmocka_unit_test(test_pin_to_stable_counts_in_any_generation),
		cmocka_unit_test(test_pin_to_draining_counts_in_any_generation),
		cmocka_unit_test(test_pin_to_a_dead_version_counts_as_absent),
		cmocka_unit_test(
			test_pin_to_neither_version_of_the_release_counts_as_absent),
		cmocka_unit_test(test_seed_alone_pins_nothing),
		cmocka_unit_test(
			test_session_pin_holds_navigations_while_the_release_runs),
		cmocka_unit_test(
			test_session_pin_counts_in_its_generation_only),
		cmocka_unit_test(test_pin_none_goes_by_the_bucket_alone),
		cmocka_unit_test(test_no_release_means_stable),
		cmocka_unit_test(
			test_bucket_below_the_share_goes_to_the_candidate),
		cmocka_unit_test(test_pin_against_the_bucket_is_not_counted),
		cmocka_unit_test(
			test_cell_is_cookie_then_key_then_address_then_random),
		cmocka_unit_test(test_address_is_for_what_gets_no_cookie),
		cmocka_unit_test(test_who_is_left_to_stable),
		cmocka_unit_test(
			test_subpage_follows_the_pin_or_is_a_page_of_its_own),
		cmocka_unit_test(test_former_cookie_keeps_a_page_and_no_more),
		cmocka_unit_test(test_groups_former_seed_is_never_signed),
		cmocka_unit_test(test_known_by_has_names),
		cmocka_unit_test(test_identity_by_key_prefers_the_key),
		cmocka_unit_test(test_cell_is_20_bits),
		cmocka_unit_test(
			test_navigation_sets_a_pin_when_new_or_changed),
		cmocka_unit_test(test_navigation_without_a_release_pins_too),
		cmocka_unit_test(test_key_that_wins_rewrites_the_seed),
		cmocka_unit_test(test_key_that_wins_does_so_in_a_group_too),
		cmocka_unit_test(
			test_dead_pin_is_rewritten_at_the_next_navigation),
		cmocka_unit_test(test_parts_of_a_page_set_nothing),
		cmocka_unit_test(test_service_that_needs_no_cookie_sets_none),
		cmocka_unit_test(
			test_affinity_gives_a_cookie_to_who_asks_for_no_page),
		cmocka_unit_test(test_lifetime_is_renewed_after_a_quarter),
		cmocka_unit_test(test_pin_none_sets_the_seed_alone),
		cmocka_unit_test(test_share_is_kept_over_100000_keys),
		cmocka_unit_test(test_raising_moves_nobody_back),
		cmocka_unit_test(test_each_release_draws_other_clients_first),
		cmocka_unit_test(test_navigation_is_a_get_of_a_document),
		cmocka_unit_test(test_prefetch_is_no_navigation),
		cmocka_unit_test(
			test_accept_decides_where_no_fetch_metadata_came),
		cmocka_unit_test(test_frames_and_forms_are_subpages),
		cmocka_unit_test(test_assets_are_told_by_their_destination),
		cmocka_unit_test(test_same_origin_by_fetch_metadata_or_referer),
		cmocka_unit_test(test_callers_header_says_which_client),
		cmocka_unit_test(test_override_header_speaks_for_services),
		cmocka_unit_test(test_reasons_have_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
