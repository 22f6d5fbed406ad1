#include "proxy/access_log.h"

#include <event2/event.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/memory.h"
#include "base/outlet.h"

/* The longest line; what is longer has its client's words cut. */
#define LINE_MAX_LEN (32 * 1024)
/* Of one field that a client chose, escaped: seven of them fit a line. */
#define VALUE_MAX 4096

/* What may wait for a file: a second and more of what a busy machine writes. */
#define WAITING_MAX (4 * 1024 * 1024)

static _Atomic uint64_t n_dropped;

struct access_log *
access_log_open(
	const char *file, enum config_access_format format, struct error *error)
{
	bool is_stdout = strcmp(file, "stdout") == 0;
	struct outlet_setup setup = {
		.path = is_stdout ? NULL : file,
		.fd = STDOUT_FILENO,
		.size = WAITING_MAX,
		.n_dropped = &n_dropped,
	};
	struct error reason;
	struct outlet *outlet = outlet_open(&setup, &reason);
	struct access_log *log;

	if (outlet == NULL) {
		error_set(error, "cannot open access log %s: %s", file,
			reason.message);
		return NULL;
	}
	log = memory_zalloc(sizeof(*log));
	log->outlet = outlet;
	log->file = memory_strdup(file);
	log->format = format;
	return log;
}

void
access_log_reopen(struct access_log *log)
{
	outlet_reopen(log->outlet);
}

void
access_log_close(struct access_log *log)
{
	outlet_close(log->outlet);
	free(log->file);
	free(log);
}

uint64_t
access_log_dropped(void)
{
	return atomic_load_explicit(&n_dropped, memory_order_relaxed);
}

/* --- lines ------------------------------------------------------------------------ */

struct line {
	char *out;
	char *end;
};

static void
put(struct line *line, struct slice bytes)
{
	size_t room = (size_t)(line->end - line->out);
	size_t len = bytes.len < room ? bytes.len : room;

	if (len > 0)
		memcpy(line->out, bytes.ptr, len);
	line->out += len;
}

static void
put_text(struct line *line, const char *text)
{
	put(line, slice_from_string(text));
}

static void
put_number(struct line *line, uint64_t number)
{
	char text[24];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)number);
	put_text(line, text);
}

/* Seconds with microseconds. */
static void
put_seconds(struct line *line, uint64_t ns)
{
	char text[40];

	snprintf(text, sizeof(text), "%llu.%06llu",
		(unsigned long long)(ns / CLOCK_NS_PER_S),
		(unsigned long long)(ns % CLOCK_NS_PER_S / CLOCK_NS_PER_US));
	put_text(line, text);
}

/*
 * What a client chose, so that it can break out of neither its quotes nor its
 * line. Bytes over 0x7f need not be UTF-8: they are escaped like controls, in
 * JSON as the code point of that number.
 */
enum escape { ESCAPE_HEX, ESCAPE_JSON };

static void
put_escaped(struct line *line, struct slice value, enum escape escape)
{
	const char *start = line->out;
	char text[8];
	size_t i;

	for (i = 0; i < value.len && line->out - start < VALUE_MAX; i++) {
		unsigned char c = (unsigned char)value.ptr[i];

		if (c == '"' || c == '\\') {
			text[0] = '\\';
			text[1] = (char)c;
			put(line, (struct slice){text, 2});
		} else if (c < 0x20 || c >= 0x7f) {
			snprintf(text, sizeof(text),
				escape == ESCAPE_HEX ? "\\x%02x" : "\\u%04x",
				c);
			put_text(line, text);
		} else {
			put(line, (struct slice){value.ptr + i, 1});
		}
	}
}

static void
put_or_dash(struct line *line, struct slice value)
{
	if (value.len == 0)
		put_text(line, "-");
	else
		put_escaped(line, value, ESCAPE_HEX);
}

static void
put_quoted(struct line *line, struct slice value)
{
	put_text(line, "\"");
	put_or_dash(line, value);
	put_text(line, "\"");
}

/*
 * NCSA's common and combined formats; behind them what only perch knows, as
 * name=value, so that readers of those formats still find what they expect.
 */
static void
put_common(struct line *line, const struct access_record *record,
	bool is_combined)
{
	time_t seconds = (time_t)(record->wall_ns / CLOCK_NS_PER_S);
	char when[40] = "-";
	struct tm utc;

	if (gmtime_r(&seconds, &utc) != NULL)
		strftime(when, sizeof(when), "%d/%b/%Y:%H:%M:%S +0000", &utc);
	put_or_dash(line, record->client);
	put_text(line, " - - [");
	put_text(line, when);
	put_text(line, "] \"");
	if (record->method.len > 0) {
		put_escaped(line, record->method, ESCAPE_HEX);
		put_text(line, " ");
		put_escaped(line, record->target, ESCAPE_HEX);
		if (record->version_minor <= 1)
			put_text(line, record->version_minor == 0
					       ? " HTTP/1.0"
					       : " HTTP/1.1");
	} else {
		put_text(line, "-");
	}
	put_text(line, "\" ");
	put_number(line, record->status);
	put_text(line, " ");
	put_number(line, record->bytes_out);
	if (is_combined) {
		put_text(line, " ");
		put_quoted(line, record->referer);
		put_text(line, " ");
		put_quoted(line, record->user_agent);
	}
}

static void
put_extension(struct line *line, const char *name, struct slice value)
{
	put_text(line, " ");
	put_text(line, name);
	put_text(line, "=");
	put_or_dash(line, value);
}

static void
put_extensions(struct line *line, const struct access_record *record)
{
	put_extension(line, "service", record->service);
	put_extension(line, "version", record->version);
	put_extension(line, "reason", record->reason);
	put_extension(line, "rescued_by", record->rescued_by);
	put_extension(line, "shielded_by", record->shielded_by);
	put_extension(line, "endpoint", record->endpoint);
	put_extension(line, "error", record->error);
	put_text(line, " cause=");
	put_quoted(line, record->cause);
	put_extension(line, "request_id", record->request_id);
	put_text(line, " upstream_time=");
	if (record->upstream_ns > 0)
		put_seconds(line, record->upstream_ns);
	else
		put_text(line, "-");
	put_text(line, " total_time=");
	put_seconds(line, record->total_ns);
}

static void
put_json_string(struct line *line, const char *name, struct slice value)
{
	if (value.len == 0)
		return;
	put_text(line, ",\"");
	put_text(line, name);
	put_text(line, "\":\"");
	put_escaped(line, value, ESCAPE_JSON);
	put_text(line, "\"");
}

static void
put_json_number(struct line *line, const char *name, uint64_t number)
{
	put_text(line, ",\"");
	put_text(line, name);
	put_text(line, "\":");
	put_number(line, number);
}

static void
put_json(struct line *line, const struct access_record *record)
{
	time_t seconds = (time_t)(record->wall_ns / CLOCK_NS_PER_S);
	char when[40] = "";
	char text[64];
	struct tm utc;

	if (gmtime_r(&seconds, &utc) != NULL)
		strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%S", &utc);
	snprintf(text, sizeof(text), "{\"time\":\"%s.%03uZ\"", when,
		(unsigned)(record->wall_ns % CLOCK_NS_PER_S / CLOCK_NS_PER_MS));
	put_text(line, text);
	put_json_string(line, "client", record->client);
	put_json_string(line, "method", record->method);
	put_json_string(line, "host", record->host);
	put_json_string(line, "target", record->target);
	put_json_number(line, "status", record->status);
	put_json_number(line, "bytes_in", record->bytes_in);
	put_json_number(line, "bytes_out", record->bytes_out);
	put_json_string(line, "referer", record->referer);
	put_json_string(line, "user_agent", record->user_agent);
	put_json_string(line, "service", record->service);
	put_json_string(line, "version", record->version);
	put_json_string(line, "reason", record->reason);
	put_json_string(line, "rescued_by", record->rescued_by);
	put_json_string(line, "shielded_by", record->shielded_by);
	put_json_string(line, "endpoint", record->endpoint);
	put_json_string(line, "error", record->error);
	put_json_string(line, "cause", record->cause);
	put_json_string(line, "request_id", record->request_id);
	if (record->upstream_ns > 0) {
		put_text(line, ",\"upstream_time\":");
		put_seconds(line, record->upstream_ns);
	}
	put_text(line, ",\"total_time\":");
	put_seconds(line, record->total_ns);
	put_text(line, "}");
}

/* --- a worker's buffer --------------------------------------------------------------- */

static void
on_flush(evutil_socket_t fd, short what, void *arg)
{
	access_buffer_flush(arg);
}

bool
access_buffer_init(struct access_buffer *buffer, struct event_base *base)
{
	buffer->log = NULL;
	buffer->len = 0;
	buffer->data = malloc(ACCESS_BUFFER_SIZE);
	buffer->flush_timer = evtimer_new(base, on_flush, buffer);
	return buffer->data != NULL && buffer->flush_timer != NULL;
}

void
access_buffer_close(struct access_buffer *buffer)
{
	access_buffer_flush(buffer);
	free(buffer->data);
	if (buffer->flush_timer != NULL)
		event_free(buffer->flush_timer);
}

void
access_buffer_flush(struct access_buffer *buffer)
{
	if (buffer->len > 0)
		outlet_write(buffer->log->outlet, buffer->data, buffer->len);
	buffer->len = 0;
}

void
access_buffer_add(struct access_buffer *buffer, const struct access_log *log,
	const struct access_record *record)
{
	struct timeval second = {1, 0};
	struct line line;

	if (buffer->log != log ||
		buffer->len > ACCESS_BUFFER_SIZE - LINE_MAX_LEN) {
		access_buffer_flush(buffer);
		buffer->log = log;
	}
	if (buffer->len == 0)
		evtimer_add(buffer->flush_timer, &second);
	line.out = buffer->data + buffer->len;
	line.end = line.out + LINE_MAX_LEN - 1;
	switch (log->format) {
	case CONFIG_ACCESS_COMMON:
	case CONFIG_ACCESS_COMBINED:
		put_common(&line, record,
			log->format == CONFIG_ACCESS_COMBINED);
		put_extensions(&line, record);
		break;
	case CONFIG_ACCESS_JSON:
		put_json(&line, record);
		break;
	case CONFIG_ACCESS_OFF:
		return;
	}
	*line.out++ = '\n';
	buffer->len = (size_t)(line.out - buffer->data);
}
