#include "proxy/route_path.h"

/* RFC 3986 2.3. */
static bool
is_unreserved(unsigned char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' ||
	       c == '~';
}

/* -1 if it is none. */
static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* Could anything be to do? True for "/.well-known" too, which is rare. */
static bool
needs_work(struct slice path)
{
	char before = '\0';

	for (size_t i = 0; i < path.len; i++) {
		char c = path.ptr[i];

		if (c == '%')
			return true;
		if (before == '/' && (c == '/' || c == '.'))
			return true;
		before = c;
	}
	return false;
}

/* Decodes the code at path[i] to out[*len]; false if it is malformed. */
static bool
decode(struct slice path, size_t i, char *out, size_t *len)
{
	static const char digits[] = "0123456789ABCDEF";
	int high, low, c;

	if (path.len - i < 3)
		return false;
	high = hex_digit(path.ptr[i + 1]);
	low = hex_digit(path.ptr[i + 2]);
	if (high < 0 || low < 0)
		return false;
	c = high << 4 | low;
	if (c == 0)
		return false;
	if (is_unreserved((unsigned char)c)) {
		out[(*len)++] = (char)c;
		return true;
	}
	out[(*len)++] = '%';
	out[(*len)++] = digits[high];
	out[(*len)++] = digits[low];
	return true;
}

/* Decodes all of path to out, which may not be longer. */
static bool
decode_all(struct slice path, char *out, size_t *len)
{
	*len = 0;
	for (size_t i = 0; i < path.len; i++) {
		if (path.ptr[i] != '%') {
			out[(*len)++] = path.ptr[i];
			continue;
		}
		if (!decode(path, i, out, len))
			return false;
		i += 2;
	}
	return true;
}

/* Cuts the last segment off "/a/b/": "/a/". False at the root. */
static bool
climb(const char *path, size_t *len)
{
	if (*len <= 1)
		return false;
	(*len)--;
	while (path[*len - 1] != '/')
		(*len)--;
	return true;
}

/*
 * Folds slashes and removes dot segments in place. What is written ends in "/"
 * whenever a segment begins, and is never ahead of what is read.
 */
static bool
remove_dots(char *path, size_t *len)
{
	size_t read = 1, written = 1;

	while (read < *len) {
		const char *segment = path + read;
		const char *slash = memchr(segment, '/', *len - read);
		size_t segment_len =
			slash != NULL ? (size_t)(slash - segment) : *len - read;
		struct slice s = {segment, segment_len};

		read += segment_len + (slash != NULL);
		if (segment_len == 0 || slice_equal(s, SLICE(".")))
			continue;
		if (slice_equal(s, SLICE(".."))) {
			if (!climb(path, &written))
				return false;
			continue;
		}
		memmove(path + written, segment, segment_len);
		written += segment_len;
		if (slash != NULL)
			path[written++] = '/';
	}
	*len = written;
	return true;
}

bool
route_path_normalize(struct slice target, char *buf, struct slice *out)
{
	const char *query =
		target.len > 0 ? memchr(target.ptr, '?', target.len) : NULL;
	struct slice path = target;

	if (query != NULL)
		path.len = (size_t)(query - target.ptr);
	if (path.len == 0) {
		*out = SLICE("/");
		return true;
	}
	*out = path;
	if (slice_equal(path, SLICE("*")))
		return true;
	if (path.ptr[0] != '/')
		return false;
	if (!needs_work(path))
		return true;
	if (!decode_all(path, buf, &out->len))
		return false;
	out->ptr = buf;
	return remove_dots(buf, &out->len);
}
