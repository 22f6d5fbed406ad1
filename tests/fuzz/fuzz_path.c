/*
 * A target's path to a service. What is taken goes where every server would
 * read it to go: four kinds of server are said here anew, more simply than in
 * route_path.c. And a canonical path is its own canonical form.
 *
 * The input is the target as bytes.
 */
#include "fuzz.h"

#include <string.h>

#include "proxy/route.h"
#include "proxy/route_path.h"

/* Only its address is looked at. */
struct snapshot_service {
	char unused;
};

static struct snapshot_service services[4];
static struct route_table table;

static void
build(void)
{
	static const char *const prefixes[] = {"/", "/a", "/a/b", "/c/"};

	route_init(&table);
	for (unsigned i = 0; i < 4; i++)
		route_add(&table, SLICE("*"), slice_from_string(prefixes[i]),
			&services[i]);
}

enum habit {
	DECODES_ALL = 1, /* before it looks for slashes; else behind that */
	HAS_PARAMETERS = 2, /* Java: cut off before codes are decoded */
	HAS_BACKSLASHES = 4, /* Windows */
	WALKS = 8, /* and folds slashes */
};

static unsigned
hex(char c)
{
	return c <= '9' ? (unsigned)(c - '0') : ((unsigned)c | 32) - 'a' + 10;
}

static size_t
decode(char *path, size_t len)
{
	size_t n = 0;

	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)path[i];

		if (c == '%') {
			c = (unsigned char)(hex(path[i + 1]) << 4 |
					    hex(path[i + 2]));
			i += 2;
		}
		path[n++] = (char)c;
	}
	return n;
}

static size_t
cut_parameters(char *path, size_t len)
{
	bool is_cut = false;
	size_t n = 0;

	for (size_t i = 0; i < len; i++) {
		if (path[i] == ';')
			is_cut = true;
		if (path[i] == '/')
			is_cut = false;
		if (!is_cut)
			path[n++] = path[i];
	}
	return n;
}

/* The segments from path to out, each ending in "/" but the last. False above
 * the root. */
static bool
walk(const char *path, size_t len, unsigned habits, char *out, size_t *out_len)
{
	size_t n = 1, i = 1;

	out[0] = '/';
	while (i < len) {
		size_t end = i, start = n;
		struct slice segment;

		while (end < len && path[end] != '/')
			end++;
		memcpy(out + n, path + i, end - i);
		segment.ptr = out + n;
		segment.len = end - i;
		if ((habits & DECODES_ALL) == 0)
			segment.len = decode(out + n, end - i);
		/* A slash of a name parts nothing. */
		for (size_t k = 0; k < segment.len; k++)
			if (out[n + k] == '/')
				out[n + k] = '\1';
		n += segment.len;
		if (end < len)
			out[n++] = '/';
		if (segment.len == 0 || slice_equal(segment, SLICE(".")))
			n = start;
		if (slice_equal(segment, SLICE(".."))) {
			if (start == 1)
				return false;
			n = start - 1;
			while (out[n - 1] != '/')
				n--;
		}
		i = end + 1;
	}
	*out_len = n;
	return true;
}

/* Where such a server would look; false if it had nothing to do with it. */
static bool
read_as(struct slice path, unsigned habits, char *out, size_t *len)
{
	char *copy = malloc(path.len + 1);
	bool is_read = true;
	size_t n = path.len;

	CHECK(copy != NULL);
	memcpy(copy, path.ptr, n);
	if (habits & HAS_PARAMETERS)
		n = cut_parameters(copy, n);
	if (habits & DECODES_ALL)
		n = decode(copy, n);
	for (size_t i = 0; i < n && habits & HAS_BACKSLASHES; i++)
		if (copy[i] == '\\')
			copy[i] = '/';
	if (habits & WALKS) {
		is_read = walk(copy, n, habits, out, len);
	} else {
		memcpy(out, copy, n);
		*len = n;
	}
	free(copy);
	return is_read;
}

static void
check_servers(struct slice path, const struct snapshot_service *service)
{
	static const unsigned habits[] = {WALKS, WALKS | DECODES_ALL,
		WALKS | DECODES_ALL | HAS_PARAMETERS,
		WALKS | DECODES_ALL | HAS_BACKSLASHES};
	char *out = malloc(path.len + 2);

	CHECK(out != NULL);
	for (unsigned i = 0; i < 4; i++) {
		struct slice read = {out, 0};

		if (!read_as(path, habits[i], out, &read.len))
			continue;
		CHECK(route_find(&table, SLICE(""), read) == service);
	}
	free(out);
}

static void
check_canonical(struct slice path, char *buf)
{
	char *again = malloc(path.len + 1);
	struct slice once, twice;
	unsigned doubts;

	CHECK(again != NULL);
	CHECK(route_path_read(
		      path, ROUTE_PATH_CANONICAL, buf, &once, &doubts) == NULL);
	CHECK(route_path_read(once, ROUTE_PATH_CANONICAL, again, &twice,
		      &doubts) == NULL);
	CHECK(slice_equal(once, twice));
	CHECK(once.len <= (path.len > 0 ? path.len : 1));
	free(again);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *exact = malloc(size + 1), *buf = malloc(size + (size == 0));
	struct slice target = {exact, size}, path;
	const struct snapshot_service *service;

	CHECK(exact != NULL && buf != NULL);
	memcpy(exact, data, size);
	if (table.all == NULL)
		build();
	path = route_path_cut(target);
	if (route_resolve(&table, SLICE("h"), target, buf, &service) == NULL) {
		check_canonical(path, buf);
		if (path.len > 0 && path.ptr[0] == '/')
			check_servers(path, service);
	}
	free(exact);
	free(buf);
	return 0;
}
