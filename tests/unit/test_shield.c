#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "proxy/shield.h"

#define READS                                                                  \
	(1u << HTTP_GET | 1u << HTTP_HEAD | 1u << HTTP_OPTIONS |               \
		1u << HTTP_TRACE)
#define SECOND CLOCK_NS_PER_S
#define T0 (1000 * SECOND)

static struct shield shield;

static void
count(unsigned n, uint64_t now_ns)
{
	while (n-- > 0)
		shield_count(&shield, now_ns);
}

/* How many are granted of n that are wanted. */
static unsigned
take(unsigned n, uint64_t now_ns)
{
	unsigned granted = 0;

	while (n-- > 0)
		granted += shield_take(&shield, now_ns);
	return granted;
}

static void
test_failures_are_the_gateway_s_and_a_read_s_500(void **state)
{
	enum http_method method;
	unsigned status;

	(void)state;
	for (status = 200; status < 1000; status++) {
		for (method = HTTP_GET; method <= HTTP_OTHER; method++) {
			bool is_read =
				method == HTTP_GET || method == HTTP_HEAD;
			bool is_failure =
				(status >= 502 && status <= 504) ||
				((status == 500 || status >= 600) && is_read);

			assert_int_equal(
				shield_is_failure(method, status), is_failure);
		}
	}
}

static void
test_only_the_methods_of_the_config_are_repeated(void **state)
{
	enum http_method method;

	(void)state;
	shield_init(&shield, READS, 20, 10);
	for (method = HTTP_GET; method <= HTTP_OTHER; method++)
		assert_int_equal(shield_may_repeat(&shield, method),
			method == HTTP_GET || method == HTTP_HEAD ||
				method == HTTP_OPTIONS || method == HTTP_TRACE);
	shield_init(&shield, 1u << HTTP_PUT, 20, 10);
	assert_true(shield_may_repeat(&shield, HTTP_PUT));
	assert_false(shield_may_repeat(&shield, HTTP_GET));
}

static void
test_floor_holds_without_any_requests(void **state)
{
	(void)state;
	shield_init(&shield, READS, 20, 10);
	assert_int_equal(take(1000, T0), 100);
	/* Nothing comes back while those are in the window. */
	assert_int_equal(take(1000, T0 + 9 * SECOND), 0);
	assert_int_equal(take(1000, T0 + 10 * SECOND), 100);
}

static void
test_floor_gives_back_by_the_second(void **state)
{
	unsigned i;

	(void)state;
	shield_init(&shield, READS, 20, 10);
	for (i = 0; i < 10; i++)
		assert_int_equal(take(10, T0 + i * SECOND), 10);
	assert_int_equal(take(10, T0 + 9 * SECOND), 0);
	for (i = 10; i < 30; i++)
		assert_int_equal(take(1000, T0 + i * SECOND), 10);
}

static void
test_percent_of_the_requests_above_the_floor(void **state)
{
	(void)state;
	shield_init(&shield, READS, 20, 10);
	count(1000, T0);
	assert_int_equal(take(1000, T0), 200);
	count(4, T0 + SECOND);
	assert_int_equal(take(1, T0 + SECOND), 0);
	count(1, T0 + SECOND);
	assert_int_equal(take(2, T0 + SECOND), 1);
}

static void
test_requests_count_for_ten_seconds(void **state)
{
	(void)state;
	shield_init(&shield, READS, 20, 1);
	count(1000, T0);
	assert_int_equal(take(1, T0 + 9 * SECOND), 1);
	assert_int_equal(take(1000, T0 + 9 * SECOND), 199);
	/* The requests are gone, the shields are not. */
	assert_int_equal(take(1000, T0 + 10 * SECOND), 0);
	assert_int_equal(take(1000, T0 + 19 * SECOND), 10);
}

static void
test_a_long_silence_forgets_all(void **state)
{
	(void)state;
	shield_init(&shield, READS, 20, 1);
	count(1000, T0);
	assert_int_equal(take(100, T0), 100);
	/* The same slots, an hour later. */
	assert_int_equal(take(1000, T0 + 3600 * SECOND), 10);
}

static void
test_all_may_be_asked_at_hundred_percent(void **state)
{
	unsigned i;

	(void)state;
	shield_init(&shield, READS, 100, 1);
	for (i = 0; i < 5000; i++) {
		count(1, T0 + i * SECOND / 100);
		assert_int_equal(take(1, T0 + i * SECOND / 100), 1);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			test_failures_are_the_gateway_s_and_a_read_s_500),
		cmocka_unit_test(
			test_only_the_methods_of_the_config_are_repeated),
		cmocka_unit_test(test_floor_holds_without_any_requests),
		cmocka_unit_test(test_floor_gives_back_by_the_second),
		cmocka_unit_test(test_percent_of_the_requests_above_the_floor),
		cmocka_unit_test(test_requests_count_for_ten_seconds),
		cmocka_unit_test(test_a_long_silence_forgets_all),
		cmocka_unit_test(test_all_may_be_asked_at_hundred_percent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
