#include "proxy/disguise.h"

#include <ctype.h>
#include <string.h>

#include "http/field.h"

/* No name that means something is longer. */
#define NAME_MAX_LEN 64

static char
fold(char c)
{
	return c == '_' ? '-' : (char)tolower((unsigned char)c);
}

bool
disguise_is_same(struct slice name, struct slice other)
{
	size_t i;

	if (name.len != other.len)
		return false;
	for (i = 0; i < name.len; i++)
		if (fold(name.ptr[i]) != fold(other.ptr[i]))
			return false;
	return true;
}

/* What http/field doesn't know, since perch has nothing to do with it. */
static bool
is_known_elsewhere(struct slice name)
{
	static const char *const families[] = {"accept-", "access-control-",
		"content-", "if-", "proxy-", "sec-", "x-http-method",
		"x-perch-"};
	static const char *const names[] = {"early-data", "idempotency-key",
		"last-event-id", "max-forwards", "x-csrf-token",
		"x-method-override", "x-requested-with", "x-xsrf-token"};
	size_t i;

	for (i = 0; i < sizeof(families) / sizeof(families[0]); i++)
		if (slice_starts_with(name, slice_from_string(families[i])))
			return true;
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (slice_equal(name, slice_from_string(names[i])))
			return true;
	return false;
}

bool
disguise_is_one(struct slice name)
{
	char folded[NAME_MAX_LEN];
	struct slice plain = {folded, name.len};
	size_t i;

	if (memchr(name.ptr, '_', name.len) == NULL)
		return false;
	/* Of a longer one the start still says its family. */
	if (plain.len > sizeof(folded))
		plain.len = sizeof(folded);
	for (i = 0; i < plain.len; i++)
		folded[i] = fold(name.ptr[i]);
	return field_identify(plain) != FIELD_OTHER ||
	       is_known_elsewhere(plain);
}
