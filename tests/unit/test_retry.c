#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "proxy/retry.h"

#define BIT(input, n) ((input) >> (n)&1)

/* Every combination of what is asked; n counts through the flags. */
static struct retry_input
nth_input(enum meter_error error, enum http_method method, unsigned n)
{
	return (struct retry_input){
		.error = error,
		.has_retried = BIT(n, 0),
		.has_other_endpoint = BIT(n, 1),
		.is_stale = BIT(n, 2),
		.is_replayable = BIT(n, 3),
		.method = method,
	};
}

#define N_FLAGS 16

typedef void check_fn(const struct retry_input *input);

static void
check_all(check_fn *check)
{
	struct retry_input input;
	int error, method;
	unsigned n;

	for (error = METER_ERROR_NONE; error < METER_ERROR_COUNT; error++)
		for (method = HTTP_GET; method <= HTTP_OTHER; method++)
			for (n = 0; n < N_FLAGS; n++) {
				input = nth_input((enum meter_error)error,
					(enum http_method)method, n);
				check(&input);
			}
}

/* Of the methods that RFC 9110 9.2.2 calls idempotent. */
static bool
may_be_repeated(enum http_method method)
{
	static const bool table[HTTP_OTHER + 1] = {
		[HTTP_GET] = true,
		[HTTP_HEAD] = true,
		[HTTP_POST] = false,
		[HTTP_PUT] = true,
		[HTTP_DELETE] = true,
		[HTTP_OPTIONS] = true,
		[HTTP_TRACE] = true,
		[HTTP_PATCH] = false,
		[HTTP_CONNECT] = false,
		[HTTP_OTHER] = false,
	};

	return table[method];
}

static bool
is_connect_failure(enum meter_error error)
{
	return error == METER_ERROR_CONNECT ||
	       error == METER_ERROR_CONNECT_TIMEOUT;
}

static void
check_once(const struct retry_input *input)
{
	if (input->has_retried)
		assert_int_equal(retry_decide(input), RETRY_NO);
}

static void
test_nothing_is_retried_twice(void **state)
{
	check_all(check_once);
}

static void
check_connect(const struct retry_input *input)
{
	if (!is_connect_failure(input->error) || input->has_retried)
		return;
	assert_int_equal(retry_decide(input),
		input->has_other_endpoint ? RETRY_OTHER_ENDPOINT : RETRY_NO);
}

/* Nothing was sent, so neither the method nor its body matters. */
static void
test_any_request_may_connect_elsewhere(void **state)
{
	check_all(check_connect);
}

static void
check_reset(const struct retry_input *input)
{
	bool may;

	if (input->error != METER_ERROR_RESET || input->has_retried)
		return;
	may = input->is_stale && input->is_replayable &&
	      may_be_repeated(input->method);
	assert_int_equal(
		retry_decide(input), may ? RETRY_FRESH_CONNECTION : RETRY_NO);
}

static void
test_stale_connection_is_replaced_where_safe(void **state)
{
	check_all(check_reset);
}

static void
check_others(const struct retry_input *input)
{
	if (input->error != METER_ERROR_RESET &&
		!is_connect_failure(input->error))
		assert_int_equal(retry_decide(input), RETRY_NO);
}

/* What was answered, ran out of time, or is the client's fault stays so. */
static void
test_no_other_failure_is_retried(void **state)
{
	check_all(check_others);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing_is_retried_twice),
		cmocka_unit_test(test_any_request_may_connect_elsewhere),
		cmocka_unit_test(test_stale_connection_is_replaced_where_safe),
		cmocka_unit_test(test_no_other_failure_is_retried),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
