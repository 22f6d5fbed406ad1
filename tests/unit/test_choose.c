/* What choose gathers for a decision, and writes into the cookie. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "admin_world.h"
#include "proxy/choose.h"
#include "proxy/set_cookie.h"
#include "proxy/upstream_pool.h"

#include "head.h"

static struct world world;
static struct shard shard;
static struct exchange exchange;
static struct view view;
static struct config whole;
static char header[] = "X-Perch-Version";

static int
set_up(void **state)
{
	(void)state;
	world_init(&world);
	memset(&shard, 0, sizeof(shard));
	memset(&exchange, 0, sizeof(exchange));
	world.settings.sticky.header = header;
	world.service.cookie_name = SLICE("perch");
	world.service.former_cookie_name = SLICE("perch-shop");
	world.service.wants_cookie = true;
	world.snapshot.cookie_keys.n = 1;
	world.snapshot.config = &whole;
	view.snapshot = &world.snapshot;
	exchange.view = &view;
	exchange.shard = &shard;
	exchange.service = &world.service;
	exchange.scheme = SLICE("http");
	return 0;
}

static int
tear_down(void **state)
{
	world_free(&world);
	return forget(state);
}

static void
ask(const char *text)
{
	assert_int_equal(request(text), H1_OK);
	exchange.request = message;
	choose_version(&exchange);
}

static void
reload_with(const char *version)
{
	const char *const names[] = {version};
	const struct release_config config = {
		.stable = version, .versions = names, .n_versions = 1};
	struct error note;

	release_adopt(&world.service.registry->release,
		&registry_unit(&world.registry, "shop")->release, &config,
		1, &note);
}

/* While a reload, or several, spread, the snapshot in hand names none of the
 * versions that have become stable. */
static void
test_last_stable_version_that_the_snapshot_knows_serves(void **state)
{
	ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
	assert_ptr_equal(exchange.version, &world.versions[0]);
	reload_with("v2");
	ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
	assert_ptr_equal(exchange.version, &world.versions[1]);
	reload_with("v3");
	ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
	assert_ptr_equal(exchange.version, &world.versions[1]);
	reload_with("v4");
	ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
	assert_ptr_equal(exchange.version, &world.versions[1]);
}

static struct slice
set_cookie(char *space, size_t size)
{
	struct forward_text text = {space, 0, size};
	struct forward_response_options options = {.makes_private = false};

	ask("GET / HTTP/1.1\r\nHost: a\r\nAccept: text/html\r\n\r\n");
	assert_int_equal(response("HTTP/1.1 200 OK\r\n\r\n"), H1_OK);
	set_cookie_prepare(&exchange, &message, &text, &options);
	return options.set_cookie;
}

static void
test_cookie_that_came_by_https_goes_by_https_only(void **state)
{
	char space[1024];
	struct slice cookie = set_cookie(space, sizeof(space) - 1);

	space[cookie.len] = '\0';
	assert_non_null(strstr(space, "; HttpOnly; SameSite=Lax"));
	assert_null(strstr(space, "Secure"));
	exchange.scheme = SLICE("https");
	cookie = set_cookie(space, sizeof(space) - 1);
	space[cookie.len] = '\0';
	assert_non_null(strstr(space, "; Secure"));
}

static void
test_cookie_without_text_space_is_none(void **state)
{
	char space[16];

	assert_int_equal(set_cookie(space, sizeof(space)).len, 0);
}

/* --- left-out endpoints -------------------------------------------------------- */

#define S UINT64_C(1000000000)

/* How long after the next failure. */
static uint64_t
fail_connect(struct upstream_pool *pool)
{
	uint64_t until_ns;

	upstream_pool_leave_out(pool);
	until_ns = pool->endpoint->left_out_until_ns;
	until_ns -= shard.now_ns;
	shard.now_ns += until_ns;
	return until_ns;
}

static void
test_endpoint_is_left_out_for_longer_each_time(void **state)
{
	struct upstream_pool pool = {.shard = &shard, .endpoint = world.a};
	uint64_t expected;

	list_init(&pool.queue);
	list_init(&pool.parked);
	shard.now_ns = 100 * S;
	for (expected = 1; expected <= 16; expected *= 2)
		assert_int_equal(fail_connect(&pool), expected * S);
	assert_int_equal(fail_connect(&pool), 30 * S);
	assert_int_equal(fail_connect(&pool), 30 * S);
	upstream_pool_welcome_back(&pool);
	assert_int_equal(fail_connect(&pool), 1 * S);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_last_stable_version_that_the_snapshot_knows_serves),
		TEST(test_cookie_that_came_by_https_goes_by_https_only),
		TEST(test_cookie_without_text_space_is_none),
		TEST(test_endpoint_is_left_out_for_longer_each_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
