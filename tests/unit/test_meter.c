#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "release/meter.h"

/* Counts one of everything, each with a number of its own. */
static void
count_all(struct meter *meter, struct meter_times *times)
{
	for (unsigned i = 0; i < 6; i++)
		meter_add(&meter->responses[i], 10 + i);
	for (unsigned i = 0; i < METER_ERROR_COUNT; i++)
		meter_add(&meter->errors[i], 20 + i);
	meter_add(&meter->bytes_in, 1);
	meter_add(&meter->bytes_out, 2);
	meter_add(&meter->retries, 3);
	meter_add(&meter->connects, 4);
	meter_add(&meter->rescues, 6);
	meter_add(&meter->rescued, 7);
	meter_add(&meter->shields, 8);
	meter_add(&meter->shielded, 9);
	meter_add(&meter->helped, 10);
	meter_add_signed(&meter->in_flight, 5);
	histogram_record(&times->first_byte, 1000000);
	histogram_record(&times->total, 2000000);
	histogram_record(&times->total, 2000000);
}

static void
assert_times(const struct meter_counts *counts, unsigned times)
{
	assert_int_equal(counts->requests, (6 * 10 + 15) * times);
	for (unsigned i = 0; i < 6; i++)
		assert_int_equal(counts->responses[i], (10 + i) * times);
	for (unsigned i = 0; i < METER_ERROR_COUNT; i++)
		assert_int_equal(counts->errors[i], (20 + i) * times);
	assert_int_equal(counts->bytes_in, times);
	assert_int_equal(counts->bytes_out, 2 * times);
	assert_int_equal(counts->retries, 3 * times);
	assert_int_equal(counts->connects, 4 * times);
	assert_int_equal(counts->rescues, 6 * times);
	assert_int_equal(counts->rescued, 7 * times);
	assert_int_equal(counts->shields, 8 * times);
	assert_int_equal(counts->shielded, 9 * times);
	assert_int_equal(counts->helped, 10 * times);
	assert_int_equal(counts->in_flight, 5 * times);
	assert_int_equal(counts->first_byte.n, times);
	assert_int_equal(counts->first_byte.sum_ns, 1000000 * times);
	assert_int_equal(counts->total.n, 2 * times);
	assert_int_equal(
		counts->total.counts[histogram_bucket(2000000)], 2 * times);
}

static void
test_sum_adds_every_counter(void **state)
{
	struct meter meter = {0};
	struct meter_times times = {0};
	struct meter_counts counts = {0};

	(void)state;
	count_all(&meter, &times);
	meter_sum(&meter, &counts);
	meter_times_sum(&times, &counts);
	assert_times(&counts, 1);
	meter_sum(&meter, &counts);
	meter_times_sum(&times, &counts);
	assert_times(&counts, 2);
}

static void
test_in_flight_of_several_workers_cancels_out(void **state)
{
	struct meter one = {0}, other = {0};
	struct meter_counts counts = {0};

	(void)state;
	meter_add_signed(&one.in_flight, 3);
	meter_add_signed(&other.in_flight, -3);
	meter_sum(&one, &counts);
	meter_sum(&other, &counts);
	assert_int_equal(counts.in_flight, 0);
}

static void
test_class_of_a_status(void **state)
{
	(void)state;
	assert_int_equal(meter_class(0), 0);
	assert_int_equal(meter_class(101), 1);
	assert_int_equal(meter_class(599), 5);
	assert_int_equal(meter_class(600), 5);
	assert_int_equal(meter_class(999), 5);
}

static void
test_failure_counts_once(void **state)
{
	struct meter_counts counts = {0};

	(void)state;
	counts.requests = 10;
	counts.responses[2] = 6; /* one of them cut short */
	counts.responses[4] = 2;
	counts.responses[5] = 2; /* one the backend's, one for a reset */
	counts.errors[METER_ERROR_RESET] = 1;
	counts.errors[METER_ERROR_TRUNCATED] = 1;
	counts.errors[METER_ERROR_REQUEST] = 1;
	counts.errors[METER_ERROR_CLIENT_ABORT] = 1;
	assert_int_equal(meter_counts_failures(&counts), 3);
}

static void
test_failure_that_the_client_was_spared_is_one(void **state)
{
	struct meter_counts counts = {0};

	(void)state;
	counts.requests = 10;
	counts.responses[2] = 9;
	counts.responses[5] = 1;
	counts.shields = 3; /* of which one ended in the 5xx */
	counts.shielded = 2;
	assert_int_equal(meter_counts_failures(&counts), 3);
}

static void
test_every_error_has_a_name_of_its_own(void **state)
{
	(void)state;
	for (int i = 0; i < METER_ERROR_COUNT; i++) {
		assert_non_null(meter_error_name((enum meter_error)i));
		for (int k = 0; k < i; k++)
			assert_string_not_equal(
				meter_error_name((enum meter_error)i),
				meter_error_name((enum meter_error)k));
	}
	assert_string_equal(meter_error_name(METER_ERROR_COUNT), "unknown");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sum_adds_every_counter),
		cmocka_unit_test(test_in_flight_of_several_workers_cancels_out),
		cmocka_unit_test(test_class_of_a_status),
		cmocka_unit_test(test_failure_counts_once),
		cmocka_unit_test(
			test_failure_that_the_client_was_spared_is_one),
		cmocka_unit_test(test_every_error_has_a_name_of_its_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
