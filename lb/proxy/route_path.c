#include "proxy/route_path.h"

#include "http/chars.h"

struct slice
route_path_cut(struct slice target)
{
	const char *query =
		target.len > 0 ? memchr(target.ptr, '?', target.len) : NULL;

	if (query != NULL)
		target.len = (size_t)(query - target.ptr);
	return target;
}

/* --- is there anything to read? --------------------------------------------- */

static bool
is_doubtful(char before, char c)
{
	return c == '%' || c == ';' || c == '\\' ||
	       (before == '/' && (c == '/' || c == '.'));
}

/* The same for eight bytes. More bytes than there are may be flagged above one
 * that is (see chars.h), which does no harm. */
static bool
are_doubtful(char before, uint64_t word)
{
	uint64_t slashes = chars_word_equal(word, '/');
	uint64_t behind = slashes << 8 | (before == '/' ? 0x80 : 0);

	return (chars_word_equal(word, '%') | chars_word_equal(word, ';') |
		       chars_word_equal(word, '\\') |
		       (behind & (slashes | chars_word_equal(word, '.')))) != 0;
}

/* False for "/.well-known" too, which is rare. */
bool
route_path_is_plain(struct slice path)
{
	const char *p = path.ptr;
	char before = '\0';
	size_t left = path.len;

	if (left == 0)
		return false;
	if (p[0] != '/')
		return slice_equal(path, SLICE("*"));
	for (; left >= 8; left -= 8, p += 8) {
		if (are_doubtful(before, chars_word_load(p)))
			return false;
		before = p[7];
	}
	for (; left > 0; left--, p++) {
		if (is_doubtful(before, *p))
			return false;
		before = *p;
	}
	return true;
}

/* --- codes ------------------------------------------------------------------ */

/* What is written, and whether a segment's parameters are passed over. */
struct writer {
	char *out;
	size_t len;
	unsigned reading;
	unsigned doubts;
	bool is_in_parameters;
};

static void
put(struct writer *writer, char c)
{
	char before = writer->len > 0 ? writer->out[writer->len - 1] : '\0';

	if (c == '/')
		writer->is_in_parameters = false;
	if (writer->is_in_parameters)
		return;
	if (before == '/' && c == '/')
		writer->doubts |= ROUTE_PATH_SLASHES;
	if (before == '/' && c == '.')
		writer->doubts |= ROUTE_PATH_DOTS;
	writer->out[writer->len++] = c;
}

/* ";", "\" or "/", as a code or, the first two, as it is. False if the reading
 * has nothing to do with it. */
static bool
put_special(struct writer *writer, char c)
{
	enum route_path_reading doubt =
		c == ';' ? ROUTE_PATH_PARAMETERS : ROUTE_PATH_SEPARATORS;

	writer->doubts |= doubt;
	if ((writer->reading & doubt) == 0)
		return false;
	if (c == ';')
		writer->is_in_parameters = true;
	else
		put(writer, '/');
	return true;
}

static void
put_code(struct writer *writer, unsigned char c)
{
	static const char digits[] = "0123456789ABCDEF";

	put(writer, '%');
	put(writer, digits[c >> 4]);
	put(writer, digits[c & 15]);
}

/*
 * The byte that a code stands for. Decoded, "%" would begin another code for
 * whoever decodes once more, and "?" a query.
 */
static void
put_decoded(struct writer *writer, unsigned char c)
{
	switch (c) {
	case '/':
	case '\\':
	case ';':
		if (!put_special(writer, (char)c))
			put_code(writer, c);
		break;
	case '%':
	case '?':
		put_code(writer, c);
		break;
	default:
		put(writer, (char)c);
	}
}

static const char *
take_code(struct writer *writer, const char *p, const char *end)
{
	unsigned char c;

	/* Some servers take these as they stand, some guess, some refuse. */
	if (end - p < 3 || !chars_is(p[1], CHARS_HEX) ||
		!chars_is(p[2], CHARS_HEX))
		return "malformed percent code in the path";
	c = (unsigned char)(chars_hex_value(p[1]) << 4 | chars_hex_value(p[2]));
	if (c < ' ' || c == 0x7f)
		return "encoded control byte in the path";
	put_decoded(writer, c);
	return NULL;
}

static const char *
decode(struct writer *writer, struct slice path)
{
	const char *p = path.ptr, *end = path.ptr + path.len;

	while (p < end) {
		if (*p == '%') {
			const char *why = take_code(writer, p, end);

			if (why != NULL)
				return why;
			p += 3;
			continue;
		}
		if ((*p != ';' && *p != '\\') || !put_special(writer, *p))
			put(writer, *p);
		p++;
	}
	return NULL;
}

/* --- segments ---------------------------------------------------------------- */

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
 * Folds slashes and walks dot segments in place, as the reading has it. What is
 * written ends in "/" whenever a segment begins, and is never ahead of what is
 * read. False if it climbs above the root.
 */
static bool
walk(char *path, size_t *len, unsigned reading)
{
	size_t read = 1, written = 1;

	while (read < *len) {
		const char *segment = path + read;
		const char *slash = memchr(segment, '/', *len - read);
		size_t segment_len =
			slash != NULL ? (size_t)(slash - segment) : *len - read;
		struct slice s = {segment, segment_len};

		read += segment_len + (slash != NULL);
		if (segment_len == 0 && reading & ROUTE_PATH_SLASHES)
			continue;
		if (reading & ROUTE_PATH_DOTS && slice_equal(s, SLICE(".")))
			continue;
		if (reading & ROUTE_PATH_DOTS && slice_equal(s, SLICE(".."))) {
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

const char *
route_path_read(struct slice path, unsigned reading, char *buf,
	struct slice *out, unsigned *doubts)
{
	struct writer writer = {.out = buf, .reading = reading};
	const char *why;

	*out = path;
	*doubts = 0;
	if (path.len == 0)
		*out = SLICE("/");
	if (path.len == 0 || route_path_is_plain(path))
		return NULL;
	if (path.ptr[0] != '/')
		return "path without a slash at its start";
	why = decode(&writer, path);
	if (why != NULL)
		return why;
	if (!walk(buf, &writer.len, reading))
		return "path climbs above the root";
	*out = (struct slice){buf, writer.len};
	*doubts = writer.doubts;
	return NULL;
}
