/* Lines as they stand in the file. */
#include <event2/event.h>
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/outlet.h"
#include "proxy/access_log.h"

static struct event_base *base;
static struct access_buffer buffer;
static struct access_log *log_file;
static char path[64];
static char content[256 * 1024];

static int
set_up(void **state)
{
	int fd;

	(void)state;
	snprintf(path, sizeof(path), "/tmp/perch-access-XXXXXX");
	fd = mkstemp(path);
	if (fd < 0)
		return -1;
	close(fd);
	log_file = NULL;
	base = event_base_new();
	return base != NULL && access_buffer_init(&buffer, base) ? 0 : -1;
}

static int
tear_down(void **state)
{
	(void)state;
	access_buffer_close(&buffer);
	if (log_file != NULL)
		access_log_close(log_file);
	event_base_free(base);
	unlink(path);
	return 0;
}

static void
open_log(enum config_access_format format)
{
	struct error error;

	if (log_file != NULL && log_file->format == format)
		return;
	if (log_file != NULL)
		access_log_close(log_file);
	log_file = access_log_open(path, format, &error);
	assert_non_null(log_file);
}

/* What stands in the file. */
static const char *
read_file(const char *file)
{
	FILE *in;
	size_t len;

	outlet_settle_all();
	in = fopen(file, "r");
	assert_non_null(in);
	len = fread(content, 1, sizeof(content) - 1, in);
	fclose(in);
	content[len] = '\0';
	return content;
}

/* What the record looks like: the file is emptied first. */
static const char *
line_of(enum config_access_format format, const struct access_record *record)
{
	open_log(format);
	assert_int_equal(truncate(path, 0), 0);
	access_buffer_add(&buffer, log_file, record);
	access_buffer_flush(&buffer);
	return read_file(path);
}

static struct access_record
full_record(void)
{
	return (struct access_record){
		.wall_ns = UINT64_C(1700000000123456789),
		.client = SLICE("192.0.2.7"),
		.method = SLICE("GET"),
		.target = SLICE("/a?b=c"),
		.host = SLICE("www.example.com"),
		.version_minor = 1,
		.status = 200,
		.bytes_in = 12,
		.bytes_out = 345,
		.referer = SLICE("http://r.example/"),
		.user_agent = SLICE("Browser/1.0 (X)"),
		.service = SLICE("web"),
		.version = SLICE("v2"),
		.reason = SLICE("share"),
		.shielded_by = SLICE("v1"),
		.endpoint = SLICE("10.0.0.1:80"),
		.error = SLICE("reset"),
		.cause = SLICE("no \"end\""),
		.request_id = SLICE("id-1"),
		.upstream_ns = UINT64_C(1234567),
		.total_ns = UINT64_C(2000001999),
	};
}

#define EXTENSIONS                                                             \
	" service=web version=v2 reason=share rescued_by=- shielded_by=v1"     \
	" endpoint=10.0.0.1:80 error=reset cause=\"no \\\"end\\\"\""             \
	" request_id=id-1"                                                     \
	" upstream_time=0.001234"                                              \
	" total_time=2.000001\n"

static void
test_common_line(void **state)
{
	struct access_record record = full_record();

	assert_string_equal(line_of(CONFIG_ACCESS_COMMON, &record),
		"192.0.2.7 - - [14/Nov/2023:22:13:20 +0000] "
		"\"GET /a?b=c HTTP/1.1\" 200 345" EXTENSIONS);
	record.version_minor = 0;
	assert_string_equal(line_of(CONFIG_ACCESS_COMMON, &record),
		"192.0.2.7 - - [14/Nov/2023:22:13:20 +0000] "
		"\"GET /a?b=c HTTP/1.0\" 200 345" EXTENSIONS);
	record.version_minor = 2;
	assert_string_equal(line_of(CONFIG_ACCESS_COMMON, &record),
		"192.0.2.7 - - [14/Nov/2023:22:13:20 +0000] "
		"\"GET /a?b=c\" 200 345" EXTENSIONS);
}

static void
test_combined_line(void **state)
{
	struct access_record record = full_record();

	assert_string_equal(line_of(CONFIG_ACCESS_COMBINED, &record),
		"192.0.2.7 - - [14/Nov/2023:22:13:20 +0000] "
		"\"GET /a?b=c HTTP/1.1\" 200 345 "
		"\"http://r.example/\" \"Browser/1.0 (X)\"" EXTENSIONS);
}

static void
test_what_is_absent_is_a_dash(void **state)
{
	struct access_record record = {.status = 400};

	assert_string_equal(line_of(CONFIG_ACCESS_COMBINED, &record),
		"- - - [01/Jan/1970:00:00:00 +0000] \"-\" 400 0 \"-\" \"-\""
		" service=- version=- reason=- rescued_by=- shielded_by=-"
		" endpoint=- error=- cause=\"-\" request_id=- upstream_time=-"
		" total_time=0.000000\n");
}

static void
test_json_line(void **state)
{
	struct access_record record = full_record();

	assert_string_equal(line_of(CONFIG_ACCESS_JSON, &record),
		"{\"time\":\"2023-11-14T22:13:20.123Z\","
		"\"client\":\"192.0.2.7\",\"method\":\"GET\","
		"\"host\":\"www.example.com\",\"target\":\"/a?b=c\","
		"\"status\":200,\"bytes_in\":12,\"bytes_out\":345,"
		"\"referer\":\"http://r.example/\","
		"\"user_agent\":\"Browser/1.0 (X)\",\"service\":\"web\","
		"\"version\":\"v2\",\"reason\":\"share\","
		"\"shielded_by\":\"v1\","
		"\"endpoint\":\"10.0.0.1:80\",\"error\":\"reset\","
		"\"cause\":\"no \\\"end\\\"\","
		"\"request_id\":\"id-1\",\"upstream_time\":0.001234,"
		"\"total_time\":2.000001}\n");
}

static void
test_json_leaves_out_what_is_absent(void **state)
{
	struct access_record record = {.status = 400};

	assert_string_equal(line_of(CONFIG_ACCESS_JSON, &record),
		"{\"time\":\"1970-01-01T00:00:00.000Z\",\"status\":400,"
		"\"bytes_in\":0,\"bytes_out\":0,\"total_time\":0.000000}\n");
}

static void
test_numbers_of_any_size_are_written(void **state)
{
	struct access_record record = {.bytes_out = UINT64_MAX};

	assert_non_null(strstr(line_of(CONFIG_ACCESS_COMMON, &record),
		"\"-\" 0 18446744073709551615 service"));
}

/* It ends neither its quotes nor its line, nor speaks to a terminal. */
static void
test_clients_words_cannot_break_out_of_the_line(void **state)
{
	struct access_record record = {
		.target = SLICE("/\"\\"),
		.method = SLICE("GET"),
		.referer = SLICE("a\"b\\c"),
		.user_agent = SLICE("\x01\t\n\r\x1b[0m\x7f\x80\xff\0."),
		.version_minor = 1,
	};
	const char *line = line_of(CONFIG_ACCESS_COMBINED, &record);

	assert_non_null(strstr(line, "\"GET /\\\"\\\\ HTTP/1.1\" 0 0 "
				     "\"a\\\"b\\\\c\" "
				     "\"\\x01\\x09\\x0a\\x0d\\x1b[0m\\x7f"
				     "\\x80\\xff\\x00.\" service="));
	assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
}

static json_t *
parse(const char *line)
{
	json_error_t error;
	json_t *json = json_loads(line, JSON_REJECT_DUPLICATES, &error);

	assert_non_null(json);
	assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
	return json;
}

static const char *
text_of(const json_t *json, const char *name)
{
	return json_string_value(json_object_get(json, name));
}

/* An 8-bit byte is read back as the code point of its number. */
static void
test_json_holds_every_byte(void **state)
{
	char all[255];
	char expected[2 * sizeof(all) + 1];
	struct access_record record = {.user_agent = {all, sizeof(all)}};
	size_t i, len = 0;
	json_t *json;

	for (i = 0; i < sizeof(all); i++) {
		unsigned byte = (unsigned)i + 1;

		all[i] = (char)byte;
		if (byte >= 0x80) {
			expected[len++] = (char)(0xc0 | byte >> 6);
			expected[len++] = (char)(0x80 | (byte & 0x3f));
		} else {
			expected[len++] = (char)byte;
		}
	}
	expected[len] = '\0';
	json = parse(line_of(CONFIG_ACCESS_JSON, &record));
	assert_string_equal(text_of(json, "user_agent"), expected);
	json_decref(json);
}

static void
test_json_is_plain_ascii(void **state)
{
	struct access_record record = {.referer = SLICE("\xc3\xa4\xff\x7f")};
	const char *line = line_of(CONFIG_ACCESS_JSON, &record);

	assert_non_null(
		strstr(line, "\"referer\":\"\\u00c3\\u00a4\\u00ff\\u007f\""));
}

/* All of the client's words at once, at what one of them may be. */
static void
test_long_words_are_cut_and_the_rest_stands(void **state)
{
	static char words[5000];
	struct access_record record = full_record();
	const char *line;
	json_t *json;

	memset(words, 'w', sizeof(words));
	record.target = (struct slice){words, sizeof(words)};
	record.referer = record.target;
	record.user_agent = record.target;
	record.host = record.target;
	json = parse(line_of(CONFIG_ACCESS_JSON, &record));
	assert_int_equal(strlen(text_of(json, "target")), 4096);
	assert_int_equal(strlen(text_of(json, "user_agent")), 4096);
	assert_string_equal(text_of(json, "request_id"), "id-1");
	json_decref(json);
	line = line_of(CONFIG_ACCESS_COMBINED, &record);
	assert_non_null(strstr(line, "w\"" EXTENSIONS));
}

static void
assert_stands(enum config_access_format format, struct slice words)
{
	struct access_record record = full_record();
	const char *line;
	json_t *json;

	record.client = words;
	record.method = record.client;
	record.target = record.client;
	record.referer = record.client;
	record.user_agent = record.client;
	record.host = record.client;
	record.request_id = record.client;
	line = line_of(format, &record);
	if (format == CONFIG_ACCESS_JSON) {
		json = parse(line);
		assert_non_null(text_of(json, "request_id"));
		assert_non_null(json_object_get(json, "total_time"));
		json_decref(json);
		return;
	}
	assert_non_null(strstr(line, " total_time=2.000001\n"));
	assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
}

/* Whatever they are made of, and wherever they are cut, no escape is cut in
 * two and no quote is lost. */
static void
assert_escapes_stand(enum config_access_format format)
{
	static const char bytes[] = {(char)0xff, '"', '\\', '\n', 'w'};
	static char words[9000];
	size_t i, len;

	for (i = 0; i < sizeof(bytes); i++)
		for (len = 4080; len < sizeof(words); len += 1 + len / 1000) {
			memset(words, bytes[i], len);
			words[0] = 'w';
			assert_stands(format, (struct slice){words, len});
		}
}

static void
test_lines_of_escapes_stand(void **state)
{
	assert_escapes_stand(CONFIG_ACCESS_JSON);
	assert_escapes_stand(CONFIG_ACCESS_COMBINED);
}

static void
test_value_is_cut_between_escapes(void **state)
{
	static char words[5000];
	struct access_record record = full_record();
	const char *text;
	size_t len;
	json_t *json;

	memset(words, 0xff, sizeof(words));
	record.user_agent = (struct slice){words, sizeof(words)};
	json = parse(line_of(CONFIG_ACCESS_JSON, &record));
	text = text_of(json, "user_agent");
	len = strlen(text);
	/* Two bytes of UTF-8 each; six of the line. */
	assert_int_equal(len % 2, 0);
	assert_in_range(len / 2, 4096 / 6, 4096 / 6 + 1);
	assert_int_equal(strspn(text, "\xc3\xbf"), len);
	json_decref(json);
}

static size_t
count_lines(const char *text)
{
	size_t n = 0;

	for (; *text != '\0'; text++)
		n += *text == '\n';
	return n;
}

static void
test_lines_are_gathered_and_none_is_lost(void **state)
{
	static char words[2000];
	struct access_record record = full_record();
	size_t i;

	memset(words, 'w', sizeof(words));
	record.user_agent = (struct slice){words, sizeof(words)};
	open_log(CONFIG_ACCESS_COMBINED);
	access_buffer_add(&buffer, log_file, &record);
	assert_string_equal(read_file(path), "");
	for (i = 1; i < 100; i++)
		access_buffer_add(&buffer, log_file, &record);
	/* More than it holds: the first have been written. */
	assert_true(count_lines(read_file(path)) > 0);
	access_buffer_flush(&buffer);
	assert_int_equal(count_lines(read_file(path)), 100);
}

static void
test_timer_writes_what_is_gathered(void **state)
{
	struct access_record record = full_record();
	struct timeval due, now;

	open_log(CONFIG_ACCESS_COMMON);
	assert_false(event_pending(buffer.flush_timer, EV_TIMEOUT, NULL));
	access_buffer_add(&buffer, log_file, &record);
	assert_true(event_pending(buffer.flush_timer, EV_TIMEOUT, &due));
	gettimeofday(&now, NULL);
	assert_true(due.tv_sec <= now.tv_sec + 2);
	event_active(buffer.flush_timer, EV_TIMEOUT, 1);
	event_base_loop(base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
	assert_int_equal(count_lines(read_file(path)), 1);
	assert_int_equal(buffer.len, 0);
}

static void
test_lines_go_to_the_log_that_they_are_of(void **state)
{
	char other_path[80];
	struct access_record record = full_record();
	struct access_log *other;
	struct error error;

	snprintf(other_path, sizeof(other_path), "%s.other", path);
	open_log(CONFIG_ACCESS_COMMON);
	other = access_log_open(other_path, CONFIG_ACCESS_JSON, &error);
	assert_non_null(other);
	access_buffer_add(&buffer, log_file, &record);
	access_buffer_add(&buffer, other, &record);
	access_buffer_add(&buffer, log_file, &record);
	access_buffer_flush(&buffer);
	assert_int_equal(count_lines(read_file(path)), 2);
	assert_int_equal(count_lines(read_file(other_path)), 1);
	assert_int_equal(content[0], '{');
	access_log_close(other);
	unlink(other_path);
}

static void
test_off_writes_nothing(void **state)
{
	struct access_record record = full_record();

	assert_string_equal(line_of(CONFIG_ACCESS_OFF, &record), "");
}

static void
test_rotated_file_is_written_anew(void **state)
{
	char rotated[80];
	struct access_record record = full_record();

	snprintf(rotated, sizeof(rotated), "%s.1", path);
	open_log(CONFIG_ACCESS_COMMON);
	access_buffer_add(&buffer, log_file, &record);
	access_buffer_flush(&buffer);
	assert_int_equal(rename(path, rotated), 0);
	access_log_reopen(log_file);
	access_buffer_add(&buffer, log_file, &record);
	access_buffer_add(&buffer, log_file, &record);
	access_buffer_flush(&buffer);
	assert_int_equal(count_lines(read_file(rotated)), 1);
	assert_int_equal(count_lines(read_file(path)), 2);
	unlink(rotated);
}

static void
test_file_that_cannot_be_opened_is_an_error(void **state)
{
	struct error error = {""};

	assert_null(access_log_open(
		"/nonexistent/access.log", CONFIG_ACCESS_JSON, &error));
	assert_non_null(strstr(error.message, "/nonexistent/access.log"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_common_line),
		TEST(test_combined_line),
		TEST(test_what_is_absent_is_a_dash),
		TEST(test_json_line),
		TEST(test_json_leaves_out_what_is_absent),
		TEST(test_numbers_of_any_size_are_written),
		TEST(test_clients_words_cannot_break_out_of_the_line),
		TEST(test_json_holds_every_byte),
		TEST(test_json_is_plain_ascii),
		TEST(test_long_words_are_cut_and_the_rest_stands),
		TEST(test_lines_of_escapes_stand),
		TEST(test_value_is_cut_between_escapes),
		TEST(test_lines_are_gathered_and_none_is_lost),
		TEST(test_timer_writes_what_is_gathered),
		TEST(test_lines_go_to_the_log_that_they_are_of),
		TEST(test_off_writes_nothing),
		TEST(test_rotated_file_is_written_anew),
		TEST(test_file_that_cannot_be_opened_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
