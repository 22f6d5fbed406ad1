/* perch's cookie from text to text, and what else is read out of field values:
 * Cookie pairs, lists, Accept. */
#include "fuzz.h"

#include <string.h>

#include "http/cookie.h"
#include "http/field.h"
#include "http/h1_write.h"

static void
check_inside(struct slice part, struct slice whole)
{
	CHECK(part.ptr >= whole.ptr);
	CHECK(part.ptr + part.len <= whole.ptr + whole.len);
}

/* A signed value has one text only, but for the MAC, which is written anew. */
static void
check_cookie(struct slice value)
{
	static const struct cookie_keys keys = {.n = 1};
	char text[COOKIE_VALUE_SIZE];
	struct cookie cookie, again;
	size_t len;

	if (!cookie_parse(value, &cookie))
		return;
	CHECK(cookie.seed < COOKIE_CELLS);
	CHECK(cookie.is_pin == (cookie.version.len > 0));
	if (cookie.is_pin)
		check_inside(cookie.version, value);
	len = cookie_format(&cookie, SLICE("shop"), &keys, text);
	CHECK(len < COOKIE_VALUE_SIZE);
	CHECK(cookie_parse((struct slice){text, len}, &again));
	CHECK(cookie_is_genuine(&again, SLICE("shop"), &keys));
	CHECK(slice_equal(again.version, cookie.version));
	if (cookie.is_signed)
		CHECK(slice_equal(cookie.text, again.text));
	else
		CHECK(!cookie_is_genuine(&cookie, SLICE("shop"), &keys));
}

static void
check_pairs(struct slice whole)
{
	struct slice rest = whole, name, value, pair;
	const char *behind = whole.ptr;

	while (field_cookie_next(&rest, &name, &value, &pair)) {
		CHECK(pair.len > 0 && pair.ptr >= behind);
		check_inside(pair, whole);
		check_inside(name, pair);
		check_inside(value, pair);
		CHECK(memchr(pair.ptr, ';', pair.len) == NULL);
		CHECK(name.len == 0 || memchr(name.ptr, '=', name.len) == NULL);
		behind = pair.ptr + pair.len;
		check_cookie(value);
	}
	CHECK(rest.len == 0);
}

static void
check_list(struct slice whole)
{
	struct slice rest = whole, element;
	const char *behind = whole.ptr;

	while (field_list_next(&rest, &element)) {
		CHECK(element.len > 0 && element.ptr >= behind);
		check_inside(element, whole);
		CHECK(slice_equal(element, slice_trim(element)));
		if (memchr(element.ptr, ';', element.len) == NULL)
			CHECK(field_list_has(whole, element));
		behind = element.ptr + element.len;
	}
	CHECK(rest.len == 0);
}

static void
check_page(struct slice text)
{
	bool is_json = h1_error_content_type(text).ptr[0] == 'a';
	char page[512];
	size_t len;

	len = h1_error_page(404, text,
		(struct slice){text.ptr, text.len < 64 ? text.len : 64}, page,
		sizeof(page));
	CHECK(len > 0 && page[len - 1] == '\n');
	CHECK((page[0] == '{') == is_json);
	for (size_t i = 0; i + 1 < len; i++)
		CHECK(page[i] >= ' ' && page[i] <= '~');
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice text = {(const char *)data, size};

	check_cookie(text);
	check_pairs(text);
	check_list(text);
	check_page(text);
	return 0;
}
