#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <event2/event.h>

#include "admin_world.h"
#include "base/clock.h"
#include "proxy/health.h"

static struct world world;

static int
set_up(void **state)
{
	world_init(&world);
	address_parse_ip(SLICE("127.0.0.1"), 1, &world.a->address);
	address_parse_ip(SLICE("127.0.0.2"), 1, &world.b->address);
	return 0;
}

static int
tear_down(void **state)
{
	world_free(&world);
	return 0;
}

static double
fraction_up(void)
{
	return health_fraction_up(&world.versions[0], 1000);
}

static void
test_fraction_counts_what_may_be_asked(void **state)
{
	/* One that wasn't checked counts as up. */
	assert_true(fraction_up() == 1);
	atomic_store(&world.a->health, HEALTH_UP);
	assert_true(fraction_up() == 1);
	atomic_store(&world.a->health, HEALTH_DOWN);
	assert_true(fraction_up() == 0.5);
	/* A connection or two that failed are no verdict. */
	atomic_store(&world.b->left_out_until_ns, 1001);
	atomic_store(&world.b->connect_failures, 2);
	assert_true(fraction_up() == 0.5);
	atomic_store(&world.b->connect_failures, 3);
	assert_true(fraction_up() == 0);
	atomic_store(&world.b->left_out_until_ns, 1000);
	assert_true(fraction_up() == 0.5);
	world.b->address.any.sa_family = AF_UNSPEC;
	assert_true(fraction_up() == 0);
}

static void
test_warmup_ends_with_its_time(void **state)
{
	atomic_store(&world.a->up_since_ns, 1000);
	assert_true(registry_endpoint_is_warming_up(world.a, 50, 1049));
	assert_false(registry_endpoint_is_warming_up(world.a, 50, 1050));
	/* By a clock that was read before. */
	assert_true(registry_endpoint_is_warming_up(world.a, 50, 990));
	assert_false(registry_endpoint_is_warming_up(world.a, 0, 1000));
}

static uint64_t
up_since(const struct registry_endpoint *endpoint)
{
	return atomic_load(&endpoint->up_since_ns);
}

static void
test_an_endpoint_is_new_when_the_config_has_it_again(void **state)
{
	struct event_base *base = event_base_new();
	struct health *health = health_new(base);
	uint64_t start = clock_monotonic_ns(), first;

	health_adopt(health, &world.snapshot);
	first = up_since(world.b);
	assert_true(first >= start);
	assert_true(up_since(world.a) >= start);
	health_adopt(health, &world.snapshot);
	assert_int_equal(up_since(world.b), first);
	/* Without b. */
	world.versions[0].n_endpoints = 1;
	health_adopt(health, &world.snapshot);
	assert_int_equal(up_since(world.b), first);
	world.versions[0].n_endpoints = 2;
	health_adopt(health, &world.snapshot);
	assert_true(up_since(world.b) > first);
	assert_true(up_since(world.a) <= first);
	health_free(health);
	event_base_free(base);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_fraction_counts_what_may_be_asked),
		TEST(test_warmup_ends_with_its_time),
		TEST(test_an_endpoint_is_new_when_the_config_has_it_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
