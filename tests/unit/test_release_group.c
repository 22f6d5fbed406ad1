/* Several services that are released as one, and what a restart gives back of
 * them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "release/release.h"
#include "release/release_state.h"

#define SECOND UINT64_C(1000000000)
#define T0 (UINT64_C(1700000000) * SECOND)

static const char *const names[] = {"v1", "v2", "v3"};

static uint32_t generations;
static struct release_unit shop, alone;
static struct release entry, page;
static struct error error;

static struct release_config
config_of(const char *stable)
{
	return (struct release_config){
		.stable = stable,
		.versions = names,
		.n_versions = 3,
		.drain_ns = 600 * SECOND,
		.rescue_for_ns = 3600 * SECOND,
	};
}

static void
adopt(struct release *release, struct release_unit *unit, const char *stable)
{
	const struct release_config config = config_of(stable);

	release_adopt(release, unit, &config, T0, &error);
}

static int
set_up(void **state)
{
	(void)state;
	generations = 0;
	release_unit_init(&shop, "shop", &generations);
	release_unit_init(&alone, "page", &generations);
	release_init(&entry, "entry");
	release_init(&page, "page");
	adopt(&entry, &shop, "v1");
	adopt(&page, &shop, "v1");
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	release_free(&entry);
	release_free(&page);
	return 0;
}

static bool
start(const char *of_entry, const char *of_page, uint16_t share_bp)
{
	struct release_choice choices[2];
	size_t n = 0;

	if (of_entry != NULL)
		choices[n++] = (struct release_choice){&entry, of_entry};
	if (of_page != NULL)
		choices[n++] = (struct release_choice){&page, of_page};
	return release_start(&shop, choices, n, share_bp, 7, T0, &error);
}

static const char *
candidate_of(const struct release *release)
{
	struct release_cell cell;
	const struct release_record *record = release_read(release, &cell);
	const struct release_version *candidate =
		release_candidate(record, &cell);

	return candidate != NULL ? candidate->name : "-";
}

static const char *
stable_of(const struct release *release)
{
	struct release_cell cell;

	return release_read(release, &cell)->stable->name;
}

static enum release_standing
standing(struct release *release, const char *name)
{
	struct release_cell cell;
	const struct release_record *record = release_read(release, &cell);

	return release_standing_of(
		release_version_by_name(release, name), record, &cell);
}

static void
assert_candidates(const char *of_entry, const char *of_page)
{
	assert_string_equal(candidate_of(&entry), of_entry);
	assert_string_equal(candidate_of(&page), of_page);
}

static void
assert_stables(const char *of_entry, const char *of_page)
{
	assert_string_equal(stable_of(&entry), of_entry);
	assert_string_equal(stable_of(&page), of_page);
}

static void
test_group_shares_one_cell(void **state)
{
	struct release_cell a, b;

	(void)state;
	assert_true(start("v2", "v3", 500));
	assert_candidates("v2", "v3");
	(void)release_read(&entry, &a);
	(void)release_read(&page, &b);
	assert_true(release_cell_pack(a) == release_cell_pack(b));
	assert_int_equal(release_read(&entry, &a)->seed,
		release_read(&page, &b)->seed);
	assert_true(release_set_share(&shop, 3000, &error));
	(void)release_read(&page, &b);
	assert_int_equal(b.share_bp, 3000);
}

static void
test_group_is_promoted_and_rolled_back_as_one(void **state)
{
	(void)state;
	assert_true(start("v2", "v3", 500));
	assert_true(release_rollback(&shop, T0, &error));
	assert_candidates("-", "-");
	assert_stables("v1", "v1");
	assert_int_equal(standing(&page, "v3"), STANDING_ASSETS_ONLY);
	assert_true(start("v2", "v3", 500));
	assert_true(release_promote(&shop, T0, &error));
	assert_stables("v2", "v3");
	assert_int_equal(standing(&entry, "v1"), STANDING_DRAINING);
	assert_int_equal(standing(&page, "v1"), STANDING_DRAINING);
}

static void
test_service_that_takes_no_part_stays_as_it_is(void **state)
{
	(void)state;
	assert_true(start("v2", "v2", 500));
	assert_true(release_rollback(&shop, T0, &error));
	/* Its candidate of before is no candidate of this release. */
	assert_true(start("v3", NULL, 500));
	assert_candidates("v3", "-");
	assert_int_equal(standing(&page, "v2"), STANDING_ASSETS_ONLY);
	assert_true(release_promote(&shop, T0, &error));
	assert_stables("v3", "v1");
	assert_int_equal(standing(&page, "v1"), STANDING_ACTIVE);
}

static void
test_one_bad_choice_changes_nothing(void **state)
{
	uint64_t before = atomic_load(&shop.cell);

	(void)state;
	assert_false(start("v2", "v9", 500));
	assert_non_null(strstr(error.message, "no version \"v9\""));
	assert_true(atomic_load(&shop.cell) == before);
	assert_candidates("-", "-");
}

static void
test_config_that_moves_one_ends_the_release_of_all(void **state)
{
	(void)state;
	assert_true(start("v2", "v2", 500));
	adopt(&page, &shop, "v3");
	assert_non_null(strstr(error.message, "rolled back"));
	assert_candidates("-", "-");
	assert_stables("v1", "v3");
	assert_int_equal(standing(&entry, "v2"), STANDING_ASSETS_ONLY);
	assert_int_equal(standing(&page, "v2"), STANDING_ASSETS_ONLY);
}

static void
test_config_that_names_one_candidate_of_two_completes_nothing(void **state)
{
	(void)state;
	assert_true(start("v2", "v2", 500));
	adopt(&page, &shop, "v2");
	assert_candidates("-", "-");
	assert_stables("v1", "v2");
}

static void
test_service_that_leaves_its_group_ends_the_release(void **state)
{
	struct release_cell cell;

	(void)state;
	assert_true(start("v2", "v2", 500));
	adopt(&page, &alone, "v1");
	assert_non_null(strstr(error.message, "have changed, so its release"));
	assert_candidates("-", "-");
	assert_true(start("v3", NULL, 100));
	assert_candidates("v3", "-");
	(void)release_read(&page, &cell);
	assert_int_equal(cell.state, RELEASE_NONE);
	/* And back. */
	adopt(&page, &shop, "v1");
	assert_candidates("-", "-");
	assert_true(start("v3", "v3", 100));
	assert_candidates("v3", "v3");
}

static void
test_abandoned_service_ends_the_release(void **state)
{
	(void)state;
	assert_false(release_abandon(&page, T0));
	assert_true(start("v2", "v2", 500));
	assert_true(release_abandon(&page, T0));
	assert_candidates("-", "-");
}

static void
test_errors_name_the_stable_versions_of_all(void **state)
{
	(void)state;
	assert_false(release_promote(&shop, T0, &error));
	assert_non_null(strstr(error.message, "no release of shop is running"));
	assert_non_null(strstr(error.message, "entry v1, page v1"));
}

/* --- state ---------------------------------------------------------------------- */

static void
restart(json_t *state, struct release_unit *unit_of_page,
	const char *stable_of_entry)
{
	const struct release_config config = config_of("v1");
	struct release_saved of_entry, of_page;
	struct release_cell cell;

	assert_true(release_state_read_cell(state, &cell, &error));
	assert_true(release_state_read_service(
		state, "entry", &of_entry, &error));
	assert_true(
		release_state_read_service(state, "page", &of_page, &error));
	tear_down(NULL);
	generations = 0;
	release_unit_init(&shop, "shop", &generations);
	release_unit_init(&alone, "page", &generations);
	release_unit_restore(&shop, cell);
	release_init(&entry, "entry");
	release_init(&page, "page");
	release_restore(&entry, &shop, &config, &of_entry);
	release_restore(&page, unit_of_page, &config, &of_page);
	adopt(&entry, &shop, stable_of_entry);
	adopt(&page, unit_of_page, "v1");
	release_saved_free(&of_entry);
	release_saved_free(&of_page);
}

static void
test_running_release_comes_back_from_its_state(void **state)
{
	struct release_cell before, after;
	json_t *kept;

	(void)state;
	assert_true(start("v3", "v3", 100));
	assert_true(release_promote(&shop, T0, &error));
	assert_true(start("v2", "v1", 2500));
	before = release_unit_cell(&shop);
	kept = release_state_to_json(&shop);
	restart(kept, &shop, "v1");
	after = release_unit_cell(&shop);
	assert_true(release_cell_pack(before) == release_cell_pack(after));
	assert_candidates("v2", "v1");
	assert_stables("v3", "v3");
	assert_int_equal(standing(&entry, "v1"), STANDING_DRAINING);
	json_decref(kept);
	kept = release_state_to_json(&shop);
	restart(kept, &shop, "v1");
	assert_candidates("v2", "v1");
	json_decref(kept);
	/* The next one is a new generation. */
	assert_true(release_rollback(&shop, T0, &error));
	assert_true(start("v2", NULL, 100));
	assert_true(release_unit_cell(&shop).generation > before.generation);
}

static void
test_service_that_left_its_group_while_down_keeps_its_stable(void **state)
{
	json_t *kept;

	(void)state;
	assert_true(start("v3", "v3", 100));
	assert_true(release_promote(&shop, T0, &error));
	assert_true(start("v2", "v2", 100));
	kept = release_state_to_json(&shop);
	restart(kept, &alone, "v1");
	assert_stables("v3", "v3");
	assert_candidates("v2", "-");
	json_decref(kept);
}

static void
test_config_changed_while_down_rolls_all_of_the_group_back(void **state)
{
	json_t *kept;

	(void)state;
	assert_true(start("v2", "v2", 100));
	kept = release_state_to_json(&shop);
	restart(kept, &shop, "v3");
	assert_candidates("-", "-");
	assert_stables("v3", "v1");
	/* Pages that are open still find their assets. */
	assert_int_equal(standing(&entry, "v2"), STANDING_ASSETS_ONLY);
	assert_int_equal(standing(&page, "v2"), STANDING_ASSETS_ONLY);
	json_decref(kept);
}

static void
assert_refused(const char *path, json_t *value)
{
	struct release_saved saved;
	struct release_cell cell;
	json_t *state, *at;
	bool is_good;

	assert_true(start("v2", "v2", 100));
	state = release_state_to_json(&shop);
	at = state;
	if (path[0] == '.') {
		at = json_object_get(
			json_object_get(state, "services"), "entry");
		path++;
	}
	json_object_set_new(at, path, value);
	error.message[0] = '\0';
	is_good = release_state_read_cell(state, &cell, &error) &&
		  release_state_read_service(state, "entry", &saved, &error);
	if (at != state)
		release_saved_free(&saved);
	assert_false(is_good);
	assert_non_null(strstr(error.message, path));
	json_decref(state);
	assert_true(release_rollback(&shop, T0, &error));
}

static void
test_state_that_makes_no_sense_is_refused(void **state)
{
	(void)state;
	assert_refused("generation", json_integer(-1));
	assert_refused("generation", json_integer(INT64_C(1) << 32));
	assert_refused("epoch", json_integer(65536));
	assert_refused("share_bp", json_integer(10001));
	assert_refused("running", json_string("yes"));
	assert_refused(".stable", json_string("no name"));
	assert_refused(".candidate", json_string("v1"));
	assert_refused(".candidate", json_integer(2));
	assert_refused(".seed", json_string("00C0FFEE00C0FFEE"));
	assert_refused(".seed", json_integer(5));
	assert_refused(".versions", json_object());
	assert_refused(".generation", json_null());
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_group_shares_one_cell),
		TEST(test_group_is_promoted_and_rolled_back_as_one),
		TEST(test_service_that_takes_no_part_stays_as_it_is),
		TEST(test_one_bad_choice_changes_nothing),
		TEST(test_config_that_moves_one_ends_the_release_of_all),
		TEST(test_config_that_names_one_candidate_of_two_completes_nothing),
		TEST(test_service_that_leaves_its_group_ends_the_release),
		TEST(test_abandoned_service_ends_the_release),
		TEST(test_errors_name_the_stable_versions_of_all),
		TEST(test_running_release_comes_back_from_its_state),
		TEST(test_service_that_left_its_group_while_down_keeps_its_stable),
		TEST(test_config_changed_while_down_rolls_all_of_the_group_back),
		TEST(test_state_that_makes_no_sense_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
