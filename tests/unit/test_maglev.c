#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/hash.h"
#include "proxy/maglev.h"

#define MEMBERS_MAX 512

static uint32_t before[MAGLEV_SIZE], after[MAGLEV_SIZE];
static struct maglev_member members[MEMBERS_MAX], fewer[MEMBERS_MAX];

/* n endpoints with names as in a config; weights by weight_of(i). */
static void
make_members(size_t n, unsigned (*weight_of)(size_t i))
{
	for (size_t i = 0; i < n; i++) {
		char name[32];
		int len = snprintf(name, sizeof(name), "10.0.%zu.%zu:8080",
			i / 200, i % 200);

		members[i].name_hash = hash_bytes(name, (size_t)len, 0);
		members[i].weight = weight_of(i);
	}
}

static unsigned
one(size_t i)
{
	(void)i;
	return 1;
}

static unsigned
mixed(size_t i)
{
	return 1 + (unsigned)(i * 7 % 5);
}

/* The part of the slots of others that moves when member gone is removed. */
static double
moved_without(size_t n, size_t gone)
{
	size_t others = 0, moved = 0;

	memcpy(fewer, members, sizeof(fewer));
	memmove(&fewer[gone], &fewer[gone + 1],
		(n - gone - 1) * sizeof(fewer[0]));
	maglev_build(before, members, n);
	maglev_build(after, fewer, n - 1);
	for (size_t i = 0; i < MAGLEV_SIZE; i++) {
		if (before[i] == gone)
			continue;
		others++;
		if (members[before[i]].name_hash != fewer[after[i]].name_hash)
			moved++;
	}
	return (double)moved / (double)others;
}

static void
test_removing_one_moves_few_keys_of_others(void **state)
{
	const size_t sizes[] = {2, 3, 4, 5, 8, 10, 16, 32, 100};

	(void)state;
	for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		size_t n = sizes[i];

		make_members(n, one);
		for (size_t gone = 0; gone < n; gone += 1 + n / 5) {
			double moved = moved_without(n, gone);

			if (moved > 0.02)
				fail_msg("%zu of %zu: %.4f", gone, n, moved);
		}
	}
}

static void
test_removing_a_weighted_one_moves_few_keys_of_others(void **state)
{
	const size_t sizes[] = {3, 5, 10, 32};

	(void)state;
	for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		size_t n = sizes[i];

		make_members(n, mixed);
		for (size_t gone = 0; gone < n; gone += 1 + n / 5) {
			double moved = moved_without(n, gone);

			if (moved > 0.02)
				fail_msg("%zu of %zu: %.4f", gone, n, moved);
		}
	}
}

static void
assert_shares_follow_weights(size_t n)
{
	size_t slots[MEMBERS_MAX] = {0};
	double sum = 0;

	maglev_build(before, members, n);
	for (size_t i = 0; i < MAGLEV_SIZE; i++) {
		assert_true(before[i] < n);
		slots[before[i]]++;
	}
	for (size_t i = 0; i < n; i++)
		sum += members[i].weight;
	for (size_t i = 0; i < n; i++) {
		double want = MAGLEV_SIZE * members[i].weight / sum;

		assert_true(fabs((double)slots[i] - want) / want <= 0.05);
	}
}

static void
test_shares_follow_weights_within_5_percent(void **state)
{
	(void)state;
	make_members(10, one);
	assert_shares_follow_weights(10);
	make_members(10, mixed);
	assert_shares_follow_weights(10);
	make_members(100, mixed);
	assert_shares_follow_weights(100);
	make_members(2, one);
	members[0].weight = 1000;
	assert_shares_follow_weights(2);
}

static void
test_config_order_does_not_matter(void **state)
{
	const size_t n = 10;

	(void)state;
	make_members(n, mixed);
	for (size_t i = 0; i < n; i++)
		fewer[i] = members[n - 1 - i];
	maglev_build(before, members, n);
	maglev_build(after, fewer, n);
	for (size_t i = 0; i < MAGLEV_SIZE; i++)
		assert_int_equal(before[i], n - 1 - after[i]);
}

static void
test_one_member_gets_all(void **state)
{
	(void)state;
	make_members(1, one);
	maglev_build(before, members, 1);
	for (size_t i = 0; i < MAGLEV_SIZE; i++)
		assert_int_equal(before[i], 0);
}

static void
test_members_with_one_hash_both_get_slots(void **state)
{
	size_t slots[2] = {0};

	(void)state;
	make_members(2, one);
	members[1].name_hash = members[0].name_hash;
	maglev_build(before, members, 2);
	for (size_t i = 0; i < MAGLEV_SIZE; i++)
		slots[before[i]]++;
	assert_true(slots[0] > 0 && slots[1] > 0);
}

static void
test_find_spreads_keys(void **state)
{
	const unsigned n = 4, keys = 100000;
	unsigned hits[4] = {0};

	(void)state;
	make_members(n, one);
	maglev_build(before, members, n);
	for (uint64_t key = 0; key < keys; key++)
		hits[maglev_find(before, hash_u64(key, 0))]++;
	for (unsigned i = 0; i < n; i++)
		assert_true(
			fabs(hits[i] - keys / 4.0) < 4 * sqrt(keys * 0.1875));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_removing_one_moves_few_keys_of_others),
		cmocka_unit_test(
			test_removing_a_weighted_one_moves_few_keys_of_others),
		cmocka_unit_test(test_shares_follow_weights_within_5_percent),
		cmocka_unit_test(test_config_order_does_not_matter),
		cmocka_unit_test(test_one_member_gets_all),
		cmocka_unit_test(test_members_with_one_hash_both_get_slots),
		cmocka_unit_test(test_find_spreads_keys),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
