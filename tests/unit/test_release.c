#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "release/release.h"

#define SECOND UINT64_C(1000000000)
#define T0 (UINT64_C(1700000000) * SECOND)
#define DRAIN (600 * SECOND)
#define RESCUE (3600 * SECOND)

static const char *const all_versions[] = {"v1", "v2", "v3"};

static struct release_unit unit;
static struct release release;
static uint32_t generations;
static struct error error;

static struct release_config
config(const char *stable, size_t n_versions)
{
	return (struct release_config){
		.stable = stable,
		.versions = all_versions,
		.n_versions = n_versions,
		.drain_ns = DRAIN,
		.rescue_for_ns = RESCUE,
	};
}

static void
adopt(const char *stable, size_t n_versions, const struct release_saved *saved)
{
	struct release_config now = config(stable, n_versions);

	strcpy(error.message, "left over");
	if (saved != NULL)
		release_restore(&release, &unit, &now, saved);
	release_adopt(&release, &unit, &now, T0, &error);
}

/* Each test begins with v1 stable, v2 and v3 idle. */
static int
set_up(void **state)
{
	(void)state;
	generations = 0;
	release_unit_init(&unit, "shop", &generations);
	release_init(&release, "shop");
	adopt("v1", 3, NULL);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	release_free(&release);
	return 0;
}

static struct release_cell
cell(void)
{
	struct release_cell out;

	(void)release_read(&release, &out);
	return out;
}

static const struct release_record *
record(void)
{
	struct release_cell out;

	return release_read(&release, &out);
}

static enum release_standing
standing(const char *name)
{
	struct release_cell now;
	const struct release_record *by = release_read(&release, &now);

	return release_standing_of(
		release_version_by_name(&release, name), by, &now);
}

static bool
try_start(const char *name, uint16_t share_bp, uint64_t seed)
{
	const struct release_choice choice = {&release, name};

	return release_start(&unit, &choice, 1, share_bp, seed, T0, &error);
}

static void
start(const char *name, uint16_t share_bp)
{
	assert_true(try_start(name, share_bp, 99));
}

static void
assert_error_has(const char *part)
{
	if (strstr(error.message, part) == NULL)
		fail_msg("\"%s\" lacks \"%s\"", error.message, part);
}

/* Another process with what this one saved. */
static void
restart(const char *config_stable, size_t n_versions)
{
	struct release_cell cell = release_unit_cell(&unit);
	struct release_saved saved;

	release_save(&release, &saved);
	release_free(&release);
	generations = 0;
	release_unit_init(&unit, "shop", &generations);
	release_unit_restore(&unit, cell);
	release_init(&release, "shop");
	adopt(config_stable, n_versions, &saved);
	release_saved_free(&saved);
}

/* --- the cell ------------------------------------------------------------------ */

static void
test_cell_keeps_every_field(void **state)
{
	const struct release_cell full = {UINT32_MAX, UINT16_MAX, 10000, 3};
	const struct release_cell some = {7, 1, 1, RELEASE_RUNNING};
	struct release_cell out;

	(void)state;
	out = release_cell_unpack(release_cell_pack(full));
	assert_int_equal(out.generation, UINT32_MAX);
	assert_int_equal(out.epoch, UINT16_MAX);
	assert_int_equal(out.share_bp, 10000);
	assert_int_equal(out.state, 3);
	assert_true(release_cell_pack(some) == 0x0000000700010005);
	out = release_cell_unpack(release_cell_pack(some));
	assert_int_equal(out.generation, 7);
	assert_int_equal(out.epoch, 1);
	assert_int_equal(out.share_bp, 1);
	assert_int_equal(out.state, RELEASE_RUNNING);
}

static void
test_begins_with_the_configs_stable(void **state)
{
	(void)state;
	assert_string_equal(record()->stable->name, "v1");
	assert_null(record()->candidate);
	assert_int_equal(cell().state, RELEASE_NONE);
	assert_int_equal(standing("v1"), STANDING_ACTIVE);
	assert_int_equal(standing("v2"), STANDING_IDLE);
	assert_string_equal(error.message, "");
}

/* --- start ----------------------------------------------------------------------- */

static void
test_start_makes_a_new_generation(void **state)
{
	struct release_cell before = cell();

	(void)state;
	start("v2", 500);
	assert_int_equal(cell().generation, before.generation + 1);
	assert_int_equal(cell().epoch, before.epoch + 1);
	assert_int_equal(cell().share_bp, 500);
	assert_int_equal(cell().state, RELEASE_RUNNING);
	assert_int_equal(record()->generation, cell().generation);
	assert_string_equal(record()->candidate->name, "v2");
	assert_string_equal(record()->stable->name, "v1");
	assert_int_equal(record()->seed, 99);
	assert_int_equal(standing("v2"), STANDING_ACTIVE);
}

static void
test_start_refuses_what_makes_no_sense(void **state)
{
	uint64_t before = atomic_load(&unit.cell);

	(void)state;
	assert_false(try_start("v1", 100, 1));
	assert_error_has("v1 is the stable version of service shop already");
	assert_false(try_start("v9", 100, 1));
	assert_error_has("service shop has no version \"v9\"; "
			 "it has: v1, v2, v3");
	assert_false(try_start("", 100, 1));
	assert_error_has("no version's name");
	assert_false(try_start("a b\n", 100, 1));
	assert_error_has("no version's name");
	assert_false(try_start("v2", 10001, 1));
	assert_error_has("a share is 0 to 100 %, not 100.01 %");
	assert_true(atomic_load(&unit.cell) == before);
	assert_false(try_start("v1", 100, 1));
}

static void
test_start_of_the_running_one_is_refused(void **state)
{
	uint64_t before;

	(void)state;
	start("v2", 525);
	before = atomic_load(&unit.cell);
	assert_false(try_start("v2", 100, 1));
	assert_error_has("running already, at 5.25 %");
	assert_true(atomic_load(&unit.cell) == before);
}

static void
test_third_version_rolls_the_running_release_back(void **state)
{
	uint32_t generation;

	(void)state;
	start("v2", 500);
	generation = cell().generation;
	start("v3", 100);
	assert_int_equal(standing("v1"), STANDING_ACTIVE);
	assert_int_equal(standing("v2"), STANDING_ASSETS_ONLY);
	assert_int_equal(standing("v3"), STANDING_ACTIVE);
	assert_int_equal(cell().share_bp, 100);
	assert_true(cell().generation > generation);
}

static void
test_refused_third_version_leaves_the_release_running(void **state)
{
	uint64_t before;

	(void)state;
	start("v2", 500);
	before = atomic_load(&unit.cell);
	assert_false(try_start("v3", 20000, 1));
	assert_false(try_start("v9", 100, 1));
	assert_true(atomic_load(&unit.cell) == before);
	assert_int_equal(standing("v2"), STANDING_ACTIVE);
}

/* --- share, promote, rollback ------------------------------------------------------ */

static void
test_share_change_raises_the_epoch_alone(void **state)
{
	struct release_cell before;

	(void)state;
	start("v2", 500);
	before = cell();
	assert_true(release_set_share(&unit, 3000, &error));
	assert_int_equal(cell().share_bp, 3000);
	assert_int_equal(cell().epoch, before.epoch + 1);
	assert_int_equal(cell().generation, before.generation);
	assert_true(release_set_share(&unit, 3000, &error));
	assert_int_equal(cell().epoch, before.epoch + 1);
	assert_false(release_set_share(&unit, 10001, &error));
	assert_int_equal(cell().share_bp, 3000);
}

static void
test_epoch_wraps_without_touching_its_neighbours(void **state)
{
	struct release_cell before;

	(void)state;
	start("v2", 0);
	before = cell();
	for (unsigned i = 1; i <= 0x10000; i++)
		assert_true(
			release_set_share(&unit, (uint16_t)(i % 2), &error));
	assert_int_equal(cell().epoch, before.epoch);
	assert_int_equal(cell().generation, before.generation);
	assert_int_equal(cell().state, RELEASE_RUNNING);
}

static void
test_words_need_a_running_release(void **state)
{
	(void)state;
	assert_false(release_set_share(&unit, 100, &error));
	assert_error_has("no release of shop is running");
	assert_false(release_promote(&unit, T0, &error));
	assert_error_has("no release of shop is running");
	assert_false(release_rollback(&unit, T0, &error));
	assert_error_has("no release of shop is running");
	start("v2", 100);
	assert_true(release_rollback(&unit, T0, &error));
	assert_false(release_rollback(&unit, T0, &error));
	assert_false(release_promote(&unit, T0, &error));
}

static void
test_promotion_drains_the_old_version(void **state)
{
	uint32_t generation;

	(void)state;
	start("v2", 10000);
	generation = cell().generation;
	assert_true(release_promote(&unit, T0, &error));
	assert_string_equal(record()->stable->name, "v2");
	assert_null(record()->candidate);
	assert_int_equal(cell().generation, generation + 1);
	assert_int_equal(cell().share_bp, 0);
	assert_int_equal(cell().state, RELEASE_NONE);
	assert_int_equal(standing("v2"), STANDING_ACTIVE);
	assert_int_equal(standing("v1"), STANDING_DRAINING);
}

static void
test_rollback_voids_the_candidate_at_once(void **state)
{
	uint32_t generation;

	(void)state;
	start("v2", 5000);
	generation = cell().generation;
	assert_true(release_rollback(&unit, T0, &error));
	assert_string_equal(record()->stable->name, "v1");
	assert_int_equal(cell().generation, generation);
	assert_int_equal(cell().share_bp, 0);
	assert_int_equal(cell().state, RELEASE_NONE);
	assert_int_equal(standing("v1"), STANDING_ACTIVE);
	assert_int_equal(standing("v2"), STANDING_ASSETS_ONLY);
}

static void
test_rolled_back_version_can_be_released_again(void **state)
{
	(void)state;
	start("v2", 5000);
	assert_true(release_rollback(&unit, T0, &error));
	start("v2", 100);
	assert_int_equal(standing("v2"), STANDING_ACTIVE);
	assert_false(release_expire(&release, T0 + 10 * RESCUE));
	assert_int_equal(standing("v2"), STANDING_ACTIVE);
	assert_true(release_promote(&unit, T0, &error));
	assert_int_equal(standing("v2"), STANDING_ACTIVE);
}

static void
test_draining_version_can_be_released_again(void **state)
{
	(void)state;
	start("v2", 10000);
	assert_true(release_promote(&unit, T0, &error));
	start("v1", 100);
	assert_int_equal(standing("v1"), STANDING_ACTIVE);
	assert_true(release_promote(&unit, T0, &error));
	assert_int_equal(standing("v1"), STANDING_ACTIVE);
	assert_int_equal(standing("v2"), STANDING_DRAINING);
}

/* --- time --------------------------------------------------------------------------- */

static void
test_old_version_drains_then_serves_assets_then_rests(void **state)
{
	(void)state;
	start("v2", 10000);
	assert_true(release_promote(&unit, T0, &error));
	assert_false(release_expire(&release, T0 + DRAIN - 1));
	assert_int_equal(standing("v1"), STANDING_DRAINING);
	assert_true(release_expire(&release, T0 + DRAIN));
	assert_int_equal(standing("v1"), STANDING_ASSETS_ONLY);
	assert_false(release_expire(&release, T0 + DRAIN + RESCUE - 1));
	assert_true(release_expire(&release, T0 + DRAIN + RESCUE));
	assert_int_equal(standing("v1"), STANDING_IDLE);
	assert_false(release_expire(&release, T0 + 100 * RESCUE));
}

static void
test_time_that_passed_unseen_counts(void **state)
{
	(void)state;
	start("v2", 10000);
	assert_true(release_promote(&unit, T0, &error));
	assert_true(release_expire(&release, T0 + DRAIN + RESCUE));
	assert_int_equal(standing("v1"), STANDING_IDLE);
}

static void
test_rolled_back_version_rests_after_the_rescue_time(void **state)
{
	(void)state;
	start("v2", 100);
	assert_true(release_rollback(&unit, T0, &error));
	assert_false(release_expire(&release, T0 + RESCUE - 1));
	assert_true(release_expire(&release, T0 + RESCUE));
	assert_int_equal(standing("v2"), STANDING_IDLE);
}

/* --- reload ---------------------------------------------------------------------------- */

static void
test_reload_leaves_a_running_release_alone(void **state)
{
	uint64_t before;

	(void)state;
	start("v2", 500);
	before = atomic_load(&unit.cell);
	adopt("v1", 3, NULL);
	assert_true(atomic_load(&unit.cell) == before);
	assert_string_equal(error.message, "");
}

static void
test_promoted_version_outlives_a_reload(void **state)
{
	(void)state;
	start("v2", 500);
	assert_true(release_promote(&unit, T0, &error));
	adopt("v1", 3, NULL);
	assert_string_equal(record()->stable->name, "v2");
	assert_string_equal(error.message, "");
}

static void
test_changed_config_stable_wins(void **state)
{
	uint32_t generation;

	(void)state;
	start("v2", 500);
	generation = cell().generation;
	adopt("v3", 3, NULL);
	assert_string_equal(record()->stable->name, "v3");
	assert_int_equal(cell().state, RELEASE_NONE);
	assert_true(cell().generation > generation);
	assert_int_equal(standing("v1"), STANDING_DRAINING);
	assert_int_equal(standing("v2"), STANDING_ASSETS_ONLY);
	assert_error_has("v3 is stable now");
	assert_error_has("the release of v2 is rolled back");
	adopt("v3", 3, NULL);
	assert_string_equal(error.message, "");
}

static void
test_config_that_names_the_candidate_completes_its_release(void **state)
{
	(void)state;
	start("v2", 500);
	adopt("v2", 3, NULL);
	assert_string_equal(record()->stable->name, "v2");
	assert_int_equal(cell().state, RELEASE_NONE);
	assert_int_equal(standing("v1"), STANDING_DRAINING);
	assert_int_equal(standing("v2"), STANDING_ACTIVE);
}

static void
test_config_that_follows_a_promotion_ends_nothing(void **state)
{
	(void)state;
	start("v2", 500);
	assert_true(release_promote(&unit, T0, &error));
	start("v3", 500);
	adopt("v2", 3, NULL);
	assert_string_equal(record()->stable->name, "v2");
	assert_int_equal(cell().state, RELEASE_RUNNING);
	assert_string_equal(record()->candidate->name, "v3");
	assert_string_equal(error.message, "");
}

static void
test_candidate_taken_out_of_the_config_is_rolled_back(void **state)
{
	(void)state;
	start("v3", 500);
	adopt("v1", 2, NULL);
	assert_int_equal(cell().state, RELEASE_NONE);
	assert_string_equal(record()->stable->name, "v1");
	assert_error_has("v3 is no longer configured, so its release");
	assert_false(try_start("v3", 100, 1));
	assert_error_has("it has: v1, v2");
}

static void
test_stable_taken_out_of_the_config_gives_way(void **state)
{
	(void)state;
	start("v3", 500);
	assert_true(release_promote(&unit, T0, &error));
	start("v2", 500);
	adopt("v1", 2, NULL);
	assert_string_equal(record()->stable->name, "v1");
	assert_int_equal(cell().state, RELEASE_NONE);
	assert_error_has("v3, which was, is no longer configured");
	assert_error_has("the release of v2 is rolled back");
}

/* --- restart --------------------------------------------------------------------------- */

static void
test_running_release_survives_a_restart(void **state)
{
	uint64_t before;

	(void)state;
	start("v2", 500);
	assert_true(release_set_share(&unit, 2000, &error));
	before = atomic_load(&unit.cell);
	restart("v1", 3);
	assert_true(atomic_load(&unit.cell) == before);
	assert_int_equal(record()->seed, 99);
	assert_string_equal(record()->stable->name, "v1");
	assert_string_equal(record()->candidate->name, "v2");
	assert_int_equal(standing("v2"), STANDING_ACTIVE);
	assert_string_equal(error.message, "");
	assert_true(release_rollback(&unit, T0, &error));
	assert_int_equal(standing("v2"), STANDING_ASSETS_ONLY);
}

static void
test_promotion_survives_a_restart(void **state)
{
	uint32_t generation;

	(void)state;
	start("v2", 500);
	assert_true(release_promote(&unit, T0, &error));
	generation = cell().generation;
	restart("v1", 3);
	assert_string_equal(record()->stable->name, "v2");
	assert_int_equal(cell().generation, generation);
	assert_int_equal(standing("v1"), STANDING_DRAINING);
	assert_true(release_expire(&release, T0 + DRAIN));
	assert_int_equal(standing("v1"), STANDING_ASSETS_ONLY);
}

static void
test_config_changed_while_down_wins(void **state)
{
	(void)state;
	start("v2", 500);
	restart("v3", 3);
	assert_string_equal(record()->stable->name, "v3");
	assert_int_equal(cell().state, RELEASE_NONE);
	assert_error_has("v3 is stable now");
	/* And is the word that the next change is measured by. */
	restart("v3", 3);
	assert_string_equal(error.message, "");
}

static void
test_saved_versions_that_are_gone_give_way(void **state)
{
	(void)state;
	start("v3", 500);
	restart("v1", 2);
	assert_int_equal(cell().state, RELEASE_NONE);
	assert_error_has("v3 is no longer configured, so its release");
	tear_down(NULL);
	set_up(NULL);
	start("v3", 500);
	assert_true(release_promote(&unit, T0, &error));
	restart("v1", 2);
	assert_string_equal(record()->stable->name, "v1");
	assert_error_has("v3, which was, is no longer configured");
}

static void
test_pointer_to_a_version_stays_good(void **state)
{
	const struct release_version *v2 =
		release_version_by_name(&release, "v2");

	(void)state;
	start("v2", 500);
	assert_true(release_promote(&unit, T0, &error));
	adopt("v1", 1, NULL);
	adopt("v1", 3, NULL);
	assert_ptr_equal(release_version_by_name(&release, "v2"), v2);
}

/* --- names ------------------------------------------------------------------------------- */

static void
test_names_are_checked(void **state)
{
	char name[RELEASE_NAME_MAX + 2];

	(void)state;
	assert_true(release_is_name("v1-1afc83c029_fd.82"));
	assert_false(release_is_name(""));
	assert_false(release_is_name("a/b"));
	assert_false(release_is_name("a b"));
	assert_false(release_is_name("\xc3\xa4"));
	memset(name, 'a', sizeof(name));
	name[RELEASE_NAME_MAX + 1] = '\0';
	assert_false(release_is_name(name));
	name[RELEASE_NAME_MAX] = '\0';
	assert_true(release_is_name(name));
}

static void
test_standings_have_names_that_parse(void **state)
{
	enum release_standing out;

	(void)state;
	for (int i = STANDING_IDLE; i <= STANDING_ASSETS_ONLY; i++) {
		assert_true(release_standing_parse(
			release_standing_name((enum release_standing)i), &out));
		assert_int_equal(out, i);
	}
	assert_false(release_standing_parse("gone", &out));
}

/* --- workers ------------------------------------------------------------------------------ */

static _Atomic bool is_over;

/* What the writer keeps true at any time must be true of all that is read. */
static void *
read_all_the_time(void *arg)
{
	uintptr_t broken = 0;

	(void)arg;
	while (!atomic_load(&is_over)) {
		struct release_cell now;
		const struct release_record *by = release_read(&release, &now);

		if (by->generation != now.generation)
			broken++;
		if (by->stable->name[0] != 'v')
			broken++;
		/* Shares are given after the seed. */
		if (now.state == RELEASE_RUNNING &&
			(by->candidate == NULL ||
				now.share_bp != by->seed % 10000))
			broken++;
		if (release_standing_of(by->stable, by, &now) !=
			STANDING_ACTIVE)
			broken++;
	}
	return (void *)broken;
}

static void
test_reader_never_sees_half_a_change(void **state)
{
	pthread_t thread;
	void *broken;

	(void)state;
	atomic_store(&is_over, false);
	assert_int_equal(
		pthread_create(&thread, NULL, read_all_the_time, NULL), 0);
	for (unsigned i = 0; i < 20000; i++) {
		const char *next =
			strcmp(record()->stable->name, "v1") == 0 ? "v2" : "v1";

		assert_true(try_start(next, (uint16_t)(i % 10000), i));
		assert_true(i % 3 == 0 ? release_rollback(&unit, T0, &error)
				       : release_promote(&unit, T0, &error));
	}
	atomic_store(&is_over, true);
	assert_int_equal(pthread_join(thread, &broken), 0);
	assert_null(broken);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_cell_keeps_every_field),
		TEST(test_begins_with_the_configs_stable),
		TEST(test_start_makes_a_new_generation),
		TEST(test_start_refuses_what_makes_no_sense),
		TEST(test_start_of_the_running_one_is_refused),
		TEST(test_third_version_rolls_the_running_release_back),
		TEST(test_refused_third_version_leaves_the_release_running),
		TEST(test_share_change_raises_the_epoch_alone),
		TEST(test_epoch_wraps_without_touching_its_neighbours),
		TEST(test_words_need_a_running_release),
		TEST(test_promotion_drains_the_old_version),
		TEST(test_rollback_voids_the_candidate_at_once),
		TEST(test_rolled_back_version_can_be_released_again),
		TEST(test_draining_version_can_be_released_again),
		TEST(test_old_version_drains_then_serves_assets_then_rests),
		TEST(test_time_that_passed_unseen_counts),
		TEST(test_rolled_back_version_rests_after_the_rescue_time),
		TEST(test_reload_leaves_a_running_release_alone),
		TEST(test_promoted_version_outlives_a_reload),
		TEST(test_changed_config_stable_wins),
		TEST(test_config_that_names_the_candidate_completes_its_release),
		TEST(test_config_that_follows_a_promotion_ends_nothing),
		TEST(test_candidate_taken_out_of_the_config_is_rolled_back),
		TEST(test_stable_taken_out_of_the_config_gives_way),
		TEST(test_running_release_survives_a_restart),
		TEST(test_promotion_survives_a_restart),
		TEST(test_config_changed_while_down_wins),
		TEST(test_saved_versions_that_are_gone_give_way),
		TEST(test_pointer_to_a_version_stays_good),
		TEST(test_names_are_checked),
		TEST(test_standings_have_names_that_parse),
		TEST(test_reader_never_sees_half_a_change),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
