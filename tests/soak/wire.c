#include "wire.h"

#include <ctype.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#define PIECE (64 * 1024)
/* Beyond, what comes waits in the socket. */
#define BUFFERED_MAX (1024 * 1024)

void
wire_open(struct wire *wire, int fd, uint64_t random)
{
	*wire = (struct wire){.fd = fd, .random = random};
}

void
wire_close(struct wire *wire)
{
	if (wire->fd >= 0)
		close(wire->fd);
	wire->fd = -1;
	free(wire->buf);
	wire->buf = NULL;
	wire->start = wire->end = wire->cap = 0;
}

void
wire_reset(struct wire *wire)
{
	struct linger at_once = {1, 0};

	if (wire->fd >= 0)
		setsockopt(wire->fd, SOL_SOCKET, SO_LINGER, &at_once,
			sizeof(at_once));
	wire_close(wire);
}

void
wire_half_close(struct wire *wire)
{
	shutdown(wire->fd, SHUT_WR);
}

/* --- bytes -------------------------------------------------------------------- */

static void
make_room(struct wire *wire, size_t room)
{
	size_t len = wire->end - wire->start;

	if (wire->cap - wire->end >= room)
		return;
	if (len > 0)
		memmove(wire->buf, wire->buf + wire->start, len);
	wire->start = 0;
	wire->end = len;
	if (wire->cap - wire->end >= room)
		return;
	wire->cap = (len + room) * 2;
	wire->buf = realloc(wire->buf, wire->cap);
	if (wire->buf == NULL)
		abort();
}

/* What is there, without waiting. */
static void
take_in(struct wire *wire)
{
	size_t max = wire->reads_slow ? 3000 : 32 * 1024;
	ssize_t n;

	make_room(wire, max);
	n = recv(wire->fd, wire->buf + wire->end, max, MSG_DONTWAIT);
	if (n > 0) {
		wire->end += (size_t)n;
		return;
	}
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	wire->has_eof = true;
	wire->was_reset = n < 0;
}

static short
wait_for(struct wire *wire, short what)
{
	struct pollfd poll_fd = {.fd = wire->fd, .events = what};
	int n;

	do
		n = poll(&poll_fd, 1, WIRE_PATIENCE_MS);
	while (n < 0 && errno == EINTR);
	if (n == 0)
		wire->has_hung = true;
	return n > 0 ? poll_fd.revents : 0;
}

bool
wire_fill(struct wire *wire)
{
	size_t before = wire->end - wire->start;

	if (wire->reads_slow)
		usleep(random_below(&wire->random, 1500));
	while (!wire->has_eof && wire->end - wire->start == before) {
		if (wait_for(wire, POLLIN) == 0)
			return false;
		take_in(wire);
	}
	return wire->end - wire->start > before;
}

static bool
send_piece(struct wire *wire, const char *data, size_t len)
{
	short wanted;
	ssize_t n;

	while (len > 0) {
		n = send(wire->fd, data, len, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n > 0) {
			data += n;
			len -= (size_t)n;
			continue;
		}
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return false;
		wanted = POLLOUT;
		if (!wire->has_eof && wire->end - wire->start < BUFFERED_MAX)
			wanted |= POLLIN;
		wanted = wait_for(wire, wanted);
		if (wanted == 0)
			return false;
		if (wanted & POLLIN)
			take_in(wire);
	}
	return true;
}

bool
wire_send(struct wire *wire, const char *data, size_t len)
{
	size_t part;

	if (!wire->sends_slow)
		return send_piece(wire, data, len);
	while (len > 0) {
		part = 1 + random_below(&wire->random, 12000);
		if (part > len)
			part = len;
		if (!send_piece(wire, data, part))
			return false;
		usleep(random_below(&wire->random, 1500));
		data += part;
		len -= part;
	}
	return true;
}

static size_t
framed_piece(const struct plan *plan, enum content_way way, size_t offset,
	size_t len, char *to)
{
	enum plan_framing framing =
		way == CONTENT_UP ? plan->request : plan->response;
	size_t used = 0;

	if (framing == FRAMING_CHUNKED)
		used = (size_t)sprintf(to, "%zx\r\n", len);
	content_fill(plan->n, way, offset, to + used, len);
	used += len;
	if (framing == FRAMING_CHUNKED) {
		memcpy(to + used, "\r\n", 2);
		used += 2;
	}
	return used;
}

bool
wire_send_body(struct wire *wire, const struct plan *plan, enum content_way way,
	size_t len)
{
	static __thread char piece[PIECE + 32];
	size_t offset = 0;
	size_t part;
	size_t used;

	while (offset < len) {
		part = PIECE;
		if (random_below(&wire->random, 2) == 0)
			part = 1 + random_below(&wire->random, PIECE);
		if (part > len - offset)
			part = len - offset;
		used = framed_piece(plan, way, offset, part, piece);
		if (!wire_send(wire, piece, used))
			return false;
		offset += part;
	}
	return true;
}

bool
wire_send_end(struct wire *wire, const struct plan *plan)
{
	char end[64];
	int len;

	if (!plan->has_trailers)
		return wire_send(wire, "0\r\n\r\n", 5);
	len = sprintf(
		end, "0\r\nX-Trail: %llu\r\n\r\n", (unsigned long long)plan->n);
	return wire_send(wire, end, (size_t)len);
}

/* --- heads -------------------------------------------------------------------- */

/* A line without its CRLF, whose bytes stay until the next fill; NULL: cut, or
 * *wrong. */
static char *
read_line(struct wire *wire, const char **wrong)
{
	size_t seen = 0;
	char *line;
	char *lf;

	for (;;) {
		line = wire->buf + wire->start;
		lf = NULL;
		if (wire->end > wire->start + seen)
			lf = memchr(line + seen, '\n',
				wire->end - wire->start - seen);
		if (lf != NULL)
			break;
		seen = wire->end - wire->start;
		if (seen > 128 * 1024) {
			*wrong = "endless line";
			return NULL;
		}
		if (!wire_fill(wire))
			return NULL;
	}
	if (lf == line || lf[-1] != '\r') {
		*wrong = "bare LF";
		return NULL;
	}
	lf[-1] = '\0';
	wire->start += (size_t)(lf + 1 - line);
	if (strlen(line) != (size_t)(lf - 1 - line)) {
		*wrong = "NUL in a line";
		return NULL;
	}
	return line;
}

static void
take_length(struct head *head, const char *value)
{
	char *end;

	if (head->has_length)
		head->wrong = "two lengths";
	head->has_length = true;
	head->length = strtoull(value, &end, 10);
	if (*end != '\0' || !isdigit((unsigned char)*value))
		head->wrong = "malformed length";
}

static void
take_cookie(struct head *head, const char *value)
{
	size_t len = strcspn(value, ";");

	if (strncmp(value, "perch=", 6) == 0 && len < sizeof(head->cookie))
		memcpy(head->cookie, value, len);
}

static void
take_field(struct head *head, char *line)
{
	char *value = strchr(line, ':');

	if (value == NULL || value == line) {
		head->wrong = "malformed field";
		return;
	}
	*value++ = '\0';
	value += strspn(value, " \t");
	if (strcasecmp(line, "Content-Length") == 0) {
		take_length(head, value);
	} else if (strcasecmp(line, "Transfer-Encoding") == 0) {
		if (head->is_chunked || strcmp(value, "chunked") != 0)
			head->wrong = "bad Transfer-Encoding";
		head->is_chunked = true;
	} else if (strcasecmp(line, "Connection") == 0) {
		head->closes |= strcasestr(value, "close") != NULL;
	} else if (strcasecmp(line, "Upgrade") == 0) {
		head->is_upgrade = true;
	} else if (strcasecmp(line, "X-Soak") == 0) {
		if (head->has_number)
			head->wrong = "two numbers";
		head->has_number = true;
		head->number = strtoull(value, NULL, 10);
	} else if (strcasecmp(line, "Set-Cookie") == 0) {
		take_cookie(head, value);
	}
}

static bool
take_first_line(struct head *head, const char *line, bool is_request)
{
	int used = 0;

	if (is_request)
		return sscanf(line, "%15[A-Z] %*[!-~] HTTP/1.%1u%n",
			       head->method, &head->minor, &used) == 2 &&
		       line[used] == '\0';
	return sscanf(line, "HTTP/1.%1u %3u%n", &head->minor, &head->status,
		       &used) == 2 &&
	       used == 12 && line[used] == ' ';
}

static enum wire_result
read_head(struct wire *wire, struct head *head, bool is_request)
{
	char *line;

	memset(head, 0, sizeof(*head));
	line = read_line(wire, &head->wrong);
	if (line != NULL && !take_first_line(head, line, is_request))
		head->wrong = "bad first line";
	while (line != NULL && head->wrong == NULL) {
		line = read_line(wire, &head->wrong);
		if (line != NULL && *line == '\0')
			break;
		if (line != NULL)
			take_field(head, line);
	}
	if (head->wrong == NULL && head->is_chunked && head->has_length)
		head->wrong = "both framings";
	if (head->wrong != NULL)
		return WIRE_FORM;
	return line != NULL ? WIRE_WHOLE : WIRE_CUT;
}

enum wire_result
wire_read_request(struct wire *wire, struct head *head)
{
	return read_head(wire, head, true);
}

enum wire_result
wire_read_response(struct wire *wire, struct head *head)
{
	return read_head(wire, head, false);
}

/* --- bodies ------------------------------------------------------------------- */

/* What the bytes of a body are held against. */
struct expectation {
	bool is_any;
	uint64_t n;
	enum content_way way;
	size_t len;
	size_t enough;
};

static enum wire_result
read_exactly(struct wire *wire, uint64_t len, struct expectation *expected)
{
	size_t part;

	while (len > 0) {
		if (wire->start == wire->end && !wire_fill(wire))
			return WIRE_CUT;
		part = wire->end - wire->start;
		if (part > len)
			part = (size_t)len;
		if (!expected->is_any &&
			!content_is(expected->n, expected->way, expected->len,
				wire->buf + wire->start, part))
			return WIRE_WRONG;
		wire->start += part;
		expected->len += part;
		len -= part;
		if (expected->len >= expected->enough)
			return WIRE_ENOUGH;
	}
	return WIRE_WHOLE;
}

static enum wire_result
read_chunk_end(struct wire *wire)
{
	const char *wrong = NULL;
	char *line = read_line(wire, &wrong);

	if (line == NULL)
		return wrong != NULL ? WIRE_FORM : WIRE_CUT;
	return *line == '\0' ? WIRE_WHOLE : WIRE_FORM;
}

static enum wire_result
read_trailers(struct wire *wire, const struct expectation *expected)
{
	const char *wrong = NULL;
	char *line;

	while ((line = read_line(wire, &wrong)) != NULL && *line != '\0')
		if (!expected->is_any && strncmp(line, "X-Trail: ", 9) == 0 &&
			strtoull(line + 9, NULL, 10) != expected->n)
			return WIRE_WRONG;
	if (wrong != NULL)
		return WIRE_FORM;
	return line != NULL ? WIRE_WHOLE : WIRE_CUT;
}

static enum wire_result
read_chunked(struct wire *wire, struct expectation *expected)
{
	const char *wrong = NULL;
	enum wire_result result;
	unsigned long long len;
	char *line;
	char *end;

	for (;;) {
		line = read_line(wire, &wrong);
		if (line == NULL)
			return wrong != NULL ? WIRE_FORM : WIRE_CUT;
		len = strtoull(line, &end, 16);
		if (end == line || *end != '\0')
			return WIRE_FORM;
		if (len == 0)
			return read_trailers(wire, expected);
		result = read_exactly(wire, len, expected);
		if (result == WIRE_WHOLE)
			result = read_chunk_end(wire);
		if (result != WIRE_WHOLE)
			return result;
	}
}

static enum wire_result
read_to_end(struct wire *wire, struct expectation *expected)
{
	enum wire_result result = read_exactly(wire, UINT64_MAX, expected);

	if (result != WIRE_CUT)
		return result;
	return wire->was_reset || wire->has_hung ? WIRE_CUT : WIRE_WHOLE;
}

static enum wire_result
read_body(struct wire *wire, const struct head *head,
	struct expectation *expected)
{
	if (head->is_chunked)
		return read_chunked(wire, expected);
	if (head->has_length)
		return read_exactly(wire, head->length, expected);
	if (head->status == 0)
		return WIRE_WHOLE;
	return read_to_end(wire, expected);
}

enum wire_result
wire_read_body(struct wire *wire, const struct head *head, uint64_t n,
	enum content_way way, size_t enough, size_t *len)
{
	struct expectation expected = {.n = n, .way = way, .enough = enough};
	enum wire_result result = read_body(wire, head, &expected);

	*len = expected.len;
	return result;
}

enum wire_result
wire_skip_body(struct wire *wire, const struct head *head)
{
	struct expectation any = {.is_any = true, .enough = SIZE_MAX};

	return read_body(wire, head, &any);
}

enum wire_result
wire_read_raw(struct wire *wire, uint64_t n, enum content_way way,
	size_t enough, size_t *len)
{
	struct expectation expected = {.n = n, .way = way, .enough = enough};
	enum wire_result result = read_to_end(wire, &expected);

	*len = expected.len;
	return result;
}
