/* Which addresses too many clients share. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "proxy/shared_address.h"

static struct shared_address table;
static uint64_t now_ns;

static int
set_up(void **state)
{
	(void)state;
	memset(&table, 0, sizeof(table));
	now_ns = 12345 * CLOCK_NS_PER_S;
	return 0;
}

static uint64_t n_asked;

/* Counts n requests by as many names; was the last one shared? */
static bool
ask(uint32_t address, unsigned n)
{
	bool is_shared = false;

	while (n-- > 0)
		is_shared = shared_address_count(
			&table, address, n_asked++, now_ns);
	return is_shared;
}

static void
test_few_requests_are_not_many_clients(void **state)
{
	(void)state;
	assert_false(ask(1, SHARED_ADDRESS_MIN - 1));
	assert_true(ask(1, 1));
}

static void
test_a_busy_client_is_not_many(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 10 * SHARED_ADDRESS_MIN; i++)
		assert_false(shared_address_count(&table, 1,
			i % (SHARED_ADDRESS_AGENTS - 1), now_ns));
	assert_true(shared_address_count(&table, 1, 63, now_ns));
}

static void
test_address_with_a_twentieth_is_shared(void **state)
{
	(void)state;
	/* Others have nineteen times as much and one more. */
	for (uint32_t other = 100; other < 140; other++)
		ask(other, 19 * SHARED_ADDRESS_MIN / 40);
	ask(99, 1);
	assert_false(ask(1, SHARED_ADDRESS_MIN));
	assert_true(ask(1, 1));
	assert_false(ask(100, 1));
}

/* However many rare addresses come between. */
static void
test_shared_address_is_found_among_very_many(void **state)
{
	bool is_shared = false;

	(void)state;
	for (uint32_t i = 0; i < 20000; i++) {
		ask(1000 + i, 9);
		is_shared = ask(1, 1);
	}
	/* A tenth. */
	assert_true(is_shared);
	/* And what others had isn't told of a new one. */
	for (uint32_t i = 0; i < 20000; i++)
		assert_false(ask(100000 + i, 1));
}

static void
test_it_is_forgotten(void **state)
{
	uint64_t half_ns = SHARED_ADDRESS_HALF_S * CLOCK_NS_PER_S;

	(void)state;
	assert_true(ask(1, SHARED_ADDRESS_MIN * 2));
	now_ns += half_ns - 1;
	assert_true(ask(1, 1));
	now_ns += 1;
	assert_true(ask(1, 1));
	now_ns += half_ns;
	assert_false(ask(1, 1));
	/* After a long silence nothing is left, and time isn't made up for. */
	now_ns += 100 * half_ns;
	assert_false(ask(1, 1));
	assert_int_equal(table.n_requests, 1);
	assert_true(table.halved_ns == now_ns);
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup(name, set_up)
	const struct CMUnitTest tests[] = {
		T(test_few_requests_are_not_many_clients),
		T(test_a_busy_client_is_not_many),
		T(test_address_with_a_twentieth_is_shared),
		T(test_shared_address_is_found_among_very_many),
		T(test_it_is_forgotten),
	};
#undef T

	return cmocka_run_group_tests(tests, NULL, NULL);
}
