#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "release/state_file.h"

static char dir[64];
static char path[96];
static struct error error;

static int
set_up(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/perch-state-XXXXXX");
	if (mkdtemp(dir) == NULL)
		return -1;
	snprintf(path, sizeof(path), "%s/state.json", dir);
	strcpy(error.message, "left over");
	return 0;
}

static int
tear_down(void **state)
{
	static const char *const names[] = {
		"state.json", "state.json.tmp", "state.json.damaged"};

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		char name[128];

		snprintf(name, sizeof(name), "%s/%s", dir, names[i]);
		(void)remove(name);
	}
	return rmdir(dir);
}

static bool
is_there(const char *name)
{
	char full[128];

	snprintf(full, sizeof(full), "%s/%s", dir, name);
	return access(full, F_OK) == 0;
}

static void
write_text(const char *text)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	fputs(text, file);
	assert_int_equal(fclose(file), 0);
}

static struct state_file *
open_good(void)
{
	struct state_file *file = state_file_open(dir, &error);

	assert_non_null(file);
	assert_string_equal(error.message, "");
	return file;
}

static struct release_saved
a_release(const char *service)
{
	struct release_saved saved = {
		.stable = "v2",
		.config_stable = "v1",
		.candidate = "v3",
		.generation = UINT32_MAX,
		.epoch = UINT16_MAX,
		.share_bp = 525,
		.is_running = true,
		.seed = UINT64_C(0xfedcba9876543210),
		.n_versions = 2,
	};

	strcpy(saved.service, service);
	saved.versions = calloc(2, sizeof(*saved.versions));
	assert_non_null(saved.versions);
	strcpy(saved.versions[0].name, "v1");
	saved.versions[0].standing = STANDING_DRAINING;
	saved.versions[0].until_wall_ns = UINT64_C(1700000000123456789);
	strcpy(saved.versions[1].name, "v0");
	saved.versions[1].standing = STANDING_ASSETS_ONLY;
	saved.versions[1].until_wall_ns = 5;
	return saved;
}

static void
put(struct state_file *file, const char *service)
{
	struct release_saved saved = a_release(service);

	state_file_put(file, &saved);
	release_saved_free(&saved);
}

static void
assert_same(const struct release_saved *a, const struct release_saved *b)
{
	assert_string_equal(a->service, b->service);
	assert_string_equal(a->stable, b->stable);
	assert_string_equal(a->config_stable, b->config_stable);
	assert_string_equal(a->candidate, b->candidate);
	assert_int_equal(a->generation, b->generation);
	assert_int_equal(a->epoch, b->epoch);
	assert_int_equal(a->share_bp, b->share_bp);
	assert_int_equal(a->is_running, b->is_running);
	assert_true(a->seed == b->seed);
	assert_int_equal(a->n_versions, b->n_versions);
	for (size_t i = 0; i < a->n_versions; i++) {
		assert_string_equal(a->versions[i].name, b->versions[i].name);
		assert_int_equal(
			a->versions[i].standing, b->versions[i].standing);
		assert_true(a->versions[i].until_wall_ns ==
			    b->versions[i].until_wall_ns);
	}
}

static void
test_what_was_written_is_read_back(void **state)
{
	struct state_file *file = open_good();
	struct release_saved running = a_release("shop");
	struct release_saved resting = a_release("api");
	struct release_saved got;

	(void)state;
	resting.is_running = false;
	resting.candidate[0] = '\0';
	resting.n_versions = 0;
	state_file_put(file, &running);
	state_file_put(file, &resting);
	assert_true(state_file_write(file, &error));
	state_file_close(file);

	file = open_good();
	assert_true(state_file_get(file, "shop", &got));
	assert_same(&got, &running);
	release_saved_free(&got);
	assert_true(state_file_get(file, "api", &got));
	assert_same(&got, &resting);
	release_saved_free(&got);
	assert_false(state_file_get(file, "other", &got));
	state_file_close(file);
	release_saved_free(&running);
	release_saved_free(&resting);
}

static void
test_missing_file_is_empty(void **state)
{
	struct state_file *file = open_good();
	struct release_saved got;

	(void)state;
	assert_false(state_file_get(file, "shop", &got));
	assert_false(is_there("state.json"));
	state_file_close(file);
}

static void
test_missing_folder_is_made(void **state)
{
	struct state_file *file;

	(void)state;
	assert_int_equal(rmdir(dir), 0);
	file = open_good();
	put(file, "shop");
	assert_true(state_file_write(file, &error));
	assert_true(is_there("state.json"));
	state_file_close(file);
}

static void
test_other_services_are_kept(void **state)
{
	struct state_file *file = open_good();
	struct release_saved got;

	(void)state;
	put(file, "shop");
	assert_true(state_file_write(file, &error));
	state_file_close(file);
	/* A later start that knows of "api" only. */
	file = open_good();
	put(file, "api");
	assert_true(state_file_write(file, &error));
	state_file_close(file);

	file = open_good();
	assert_true(state_file_get(file, "shop", &got));
	assert_string_equal(got.candidate, "v3");
	release_saved_free(&got);
	state_file_close(file);
}

static void
test_writing_leaves_no_temporary_file(void **state)
{
	struct state_file *file = open_good();

	(void)state;
	put(file, "shop");
	assert_true(state_file_write(file, &error));
	assert_true(is_there("state.json"));
	assert_false(is_there("state.json.tmp"));
	state_file_close(file);
}

static void
test_temporary_file_left_by_a_crash_is_ignored(void **state)
{
	struct state_file *file = open_good();
	struct release_saved got;
	char temporary[128];

	(void)state;
	put(file, "shop");
	assert_true(state_file_write(file, &error));
	state_file_close(file);
	snprintf(temporary, sizeof(temporary), "%s.tmp", path);
	assert_int_equal(link(path, temporary), 0);
	assert_int_equal(unlink(path), 0);
	write_text("{\"format\": 1, \"services\": {}}");

	file = open_good();
	assert_false(state_file_get(file, "shop", &got));
	assert_true(state_file_write(file, &error));
	assert_false(is_there("state.json.tmp"));
	state_file_close(file);
}

/* The write fails as the temporary file's name is taken by a folder. */
static void
test_failed_write_leaves_the_old_file(void **state)
{
	struct state_file *file = open_good();
	struct release_saved got;
	char temporary[128];

	(void)state;
	put(file, "shop");
	assert_true(state_file_write(file, &error));
	snprintf(temporary, sizeof(temporary), "%s.tmp", path);
	assert_int_equal(mkdir(temporary, 0700), 0);
	put(file, "api");
	assert_false(state_file_write(file, &error));
	assert_non_null(strstr(error.message, path));
	state_file_close(file);

	file = open_good();
	assert_true(state_file_get(file, "shop", &got));
	release_saved_free(&got);
	assert_false(state_file_get(file, "api", &got));
	state_file_close(file);
}

static void
test_folder_that_cannot_be_used_is_an_error(void **state)
{
	(void)state;
	assert_null(state_file_open("/nonexistent/perch", &error));
	assert_non_null(strstr(error.message, "/nonexistent/perch"));
	write_text("");
	assert_null(state_file_open(path, &error));
	assert_non_null(strstr(error.message, path));
}

static void
test_file_that_is_no_file_is_an_error(void **state)
{
	(void)state;
	assert_int_equal(mkdir(path, 0700), 0);
	assert_null(state_file_open(dir, &error));
	assert_non_null(strstr(error.message, "not a plain file"));
	assert_true(is_there("state.json"));
}

/* --- damage -------------------------------------------------------------------- */

#define GOOD_HEAD "\"stable\": \"v1\", \"config_stable\": \"v1\", "
#define GOOD_NUMBERS "\"generation\": 1, \"epoch\": 2, \"share_bp\": 3, "
#define GOOD_SEED "\"seed\": \"00000000000000ff\", "
#define GOOD_CANDIDATE "\"candidate\": \"v2\", \"running\": true, "
#define GOOD_VERSIONS "\"versions\": []"
#define SHOP(text) "{\"format\": 1, \"services\": {\"shop\": {" text "}}}"

static const struct {
	const char *text;
	const char *reason; /* a part of what the error must say */
} damaged[] = {
	{"", "line 1"},
	{"{\"format\": 1, \"servi", "line 1"},
	{"{\n\n x}", "line 3, column 2"},
	{"[]", "\"format\""},
	{"{\"format\": 2, \"services\": {}}", "\"format\""},
	{"{\"format\": 1}", "\"services\""},
	{"{\"format\": 1, \"services\": []}", "\"services\""},
	{"{\"format\": 1, \"services\": {}, \"services\": {}}", "duplicate"},
	{"{\"format\": 1, \"services\": {\"a b\": {}}}", "no service's name"},
	{"{\"format\": 1, \"services\": {\"shop\": 7}}", "service \"shop\""},
	{SHOP(""), "\"stable\""},
	{SHOP("\"stable\": \"a b\""), "\"stable\""},
	{SHOP("\"stable\": \"v1\", \"config_stable\": 1"), "\"config_stable\""},
	{SHOP(GOOD_HEAD "\"generation\": -1"), "\"generation\""},
	{SHOP(GOOD_HEAD "\"generation\": 4294967296"), "\"generation\""},
	{SHOP(GOOD_HEAD "\"generation\": 1.5"), "\"generation\""},
	{SHOP(GOOD_HEAD "\"generation\": 1, \"epoch\": 65536"), "\"epoch\""},
	{SHOP(GOOD_HEAD "\"generation\": 1, \"epoch\": 1, "
			"\"share_bp\": 10001"),
		"\"share_bp\""},
	{SHOP(GOOD_HEAD GOOD_NUMBERS "\"seed\": 12"), "\"seed\""},
	{SHOP(GOOD_HEAD GOOD_NUMBERS "\"seed\": \"ff\""), "\"seed\""},
	{SHOP(GOOD_HEAD GOOD_NUMBERS "\"seed\": \"-000000000000001\""),
		"\"seed\""},
	{SHOP(GOOD_HEAD GOOD_NUMBERS GOOD_SEED "\"running\": 1"),
		"\"running\""},
	{SHOP(GOOD_HEAD GOOD_NUMBERS GOOD_SEED
		 "\"candidate\": null, \"running\": true"),
		"\"candidate\""},
	{SHOP(GOOD_HEAD GOOD_NUMBERS GOOD_SEED
		 "\"candidate\": \"v1\", \"running\": true"),
		"\"candidate\" is the stable"},
	{SHOP(GOOD_HEAD GOOD_NUMBERS GOOD_SEED GOOD_CANDIDATE
		 "\"versions\": {}"),
		"\"versions\""},
	{SHOP(GOOD_HEAD GOOD_NUMBERS GOOD_SEED GOOD_CANDIDATE
		 "\"versions\": [7]"),
		"\"name\""},
	{SHOP(GOOD_HEAD GOOD_NUMBERS GOOD_SEED GOOD_CANDIDATE
		 "\"versions\": [{\"name\": \"v0\", \"until\": -1}]"),
		"\"until\""},
	{SHOP(GOOD_HEAD GOOD_NUMBERS GOOD_SEED GOOD_CANDIDATE
		 "\"versions\": [{\"name\": \"v0\", \"until\": 1, "
		 "\"standing\": \"gone\"}]"),
		"\"standing\""},
};

static void
test_damaged_file_is_kept_aside(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(damaged) / sizeof(damaged[0]); i++) {
		struct state_file *file;
		struct release_saved got;

		write_text(damaged[i].text);
		file = state_file_open(dir, &error);
		assert_non_null(file);
		if (strstr(error.message, damaged[i].reason) == NULL)
			fail_msg("%s: %s", damaged[i].text, error.message);
		assert_non_null(strstr(error.message, path));
		assert_non_null(strstr(error.message, "state.json.damaged"));
		assert_false(is_there("state.json"));
		assert_true(is_there("state.json.damaged"));
		assert_false(state_file_get(file, "shop", &got));
		state_file_close(file);
	}
}

static void
test_file_by_hand_is_taken_if_it_is_whole(void **state)
{
	struct state_file *file;
	struct release_saved got;

	(void)state;
	write_text(SHOP(
		GOOD_HEAD GOOD_NUMBERS GOOD_SEED GOOD_CANDIDATE GOOD_VERSIONS
		", \"comment\": \"unknown keys do no harm\""));
	file = open_good();
	assert_true(state_file_get(file, "shop", &got));
	assert_string_equal(got.candidate, "v2");
	assert_int_equal(got.seed, 255);
	release_saved_free(&got);
	state_file_close(file);
}

static void
test_writing_goes_on_after_damage(void **state)
{
	struct state_file *file;
	struct release_saved got;

	(void)state;
	write_text("not JSON");
	file = state_file_open(dir, &error);
	assert_non_null(file);
	put(file, "shop");
	assert_true(state_file_write(file, &error));
	state_file_close(file);
	file = open_good();
	assert_true(state_file_get(file, "shop", &got));
	release_saved_free(&got);
	state_file_close(file);
	assert_true(is_there("state.json.damaged"));
}

/* --- with a real release --------------------------------------------------------- */

static void
test_release_survives_by_the_file(void **state)
{
	static const char *const versions[] = {"v1", "v2"};
	const struct release_config config = {"v1", versions, 2, 1000, 1000};
	struct state_file *file = open_good();
	struct release first, second;
	struct release_saved saved;

	(void)state;
	release_init(&first, "shop");
	release_adopt(&first, &config, NULL, 5, &error);
	assert_true(release_start(&first, "v2", 100, UINT64_MAX, 6, &error));
	release_save(&first, &saved);
	state_file_put(file, &saved);
	release_saved_free(&saved);
	assert_true(state_file_write(file, &error));
	state_file_close(file);

	file = open_good();
	release_init(&second, "shop");
	assert_true(state_file_get(file, "shop", &saved));
	release_adopt(&second, &config, &saved, 7, &error);
	release_saved_free(&saved);
	assert_true(atomic_load(&first.cell) == atomic_load(&second.cell));
	assert_true(atomic_load(&second.record)->seed == UINT64_MAX);
	release_free(&first);
	release_free(&second);
	state_file_close(file);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_what_was_written_is_read_back),
		TEST(test_missing_file_is_empty),
		TEST(test_missing_folder_is_made),
		TEST(test_other_services_are_kept),
		TEST(test_writing_leaves_no_temporary_file),
		TEST(test_temporary_file_left_by_a_crash_is_ignored),
		TEST(test_failed_write_leaves_the_old_file),
		TEST(test_folder_that_cannot_be_used_is_an_error),
		TEST(test_file_that_is_no_file_is_an_error),
		TEST(test_damaged_file_is_kept_aside),
		TEST(test_file_by_hand_is_taken_if_it_is_whole),
		TEST(test_writing_goes_on_after_damage),
		TEST(test_release_survives_by_the_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
