/*
 * Any bytes as a journal's file: what is read of it is what stands before the
 * first bad line, it can be appended to afterwards, and what was appended is
 * there when it is opened again.
 *
 * The first byte's lowest bit says that each line shall get its checksum, save
 * those that begin with '!': a fuzzer doesn't find one. The second byte says how
 * many times the rest comes, so that there are more entries than are kept, and
 * files that are compacted when they are opened.
 */
#include "fuzz.h"

#include <inttypes.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/hash.h"
#include "release/journal_file.h"

static char folder[64];

static void
in_folder(const char *name, char out[96])
{
	snprintf(out, 96, "%s/%s", folder, name);
}

static void
empty_folder(void)
{
	static const char *const names[] = {"journal", "journal.damaged"};

	for (int i = 0; i < 2; i++) {
		char path[96];

		in_folder(names[i], path);
		(void)remove(path);
	}
}

static void
remove_folder(void)
{
	empty_folder();
	(void)rmdir(folder);
}

static void
make_folder(void)
{
	const char *place = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";

	if (folder[0] != '\0')
		return;
	snprintf(folder, sizeof(folder), "%s/perch-fuzz-XXXXXX", place);
	CHECK(mkdtemp(folder) != NULL);
	atexit(remove_folder);
}

static void
add_sealed(struct journal_text *out, const char *line, size_t len)
{
	char prefix[32];

	if (len > 0 && line[0] == '!') {
		journal_text_add(out, line + 1, len - 1);
		return;
	}
	snprintf(prefix, sizeof(prefix), "%016" PRIx64 " ",
		hash_bytes(line, len, 0));
	journal_text_add(out, prefix, strlen(prefix));
	journal_text_add(out, line, len);
}

static void
add_lines(struct journal_text *out, const char *bytes, size_t len, bool is_raw)
{
	const char *end;

	if (is_raw) {
		journal_text_add(out, bytes, len);
		return;
	}
	while ((end = memchr(bytes, '\n', len)) != NULL) {
		size_t n = (size_t)(end - bytes);

		add_sealed(out, bytes, n);
		journal_text_add(out, "\n", 1);
		bytes += n + 1;
		len -= n + 1;
	}
	if (len > 0)
		add_sealed(out, bytes, len);
}

/* What a store should have, and whether anything is wrong with the bytes. */
static struct journal_store *
expected_of(const struct journal_text *text, bool *is_damaged, bool *is_middle)
{
	struct journal_store *store = journal_store_new();
	const char *at = text->bytes;
	size_t rest = text->len;

	*is_damaged = *is_middle = false;
	while (rest > 0) {
		const char *end = memchr(at, '\n', rest);
		size_t n = end != NULL ? (size_t)(end - at) : rest;
		json_t *entry = end != NULL ? journal_line_read(at, n) : NULL;

		if (entry != NULL && !*is_damaged)
			journal_store_add(store, json_incref(entry));
		*is_middle = *is_middle || (*is_damaged && entry != NULL);
		*is_damaged = *is_damaged || entry == NULL;
		json_decref(entry);
		n = end != NULL ? n + 1 : n;
		at += n;
		rest -= n;
	}
	return store;
}

static void
check_same(const struct journal_store *a, const struct journal_store *b)
{
	struct journal_text text_of_a = {0};
	struct journal_text text_of_b = {0};

	journal_store_write(a, &text_of_a);
	journal_store_write(b, &text_of_b);
	CHECK(text_of_a.len == text_of_b.len);
	CHECK(text_of_a.len == 0 ||
		memcmp(text_of_a.bytes, text_of_b.bytes, text_of_a.len) == 0);
	free(text_of_a.bytes);
	free(text_of_b.bytes);
}

static void
write_file(const struct journal_text *text)
{
	char path[96];
	FILE *file;

	in_folder("journal", path);
	file = fopen(path, "wb");
	CHECK(file != NULL);
	CHECK(text->len == 0 ||
		fwrite(text->bytes, 1, text->len, file) == text->len);
	CHECK(fclose(file) == 0);
}

/* The damaged file is kept to the byte, if it is damaged in the middle. */
static void
check_damaged(const struct journal_text *text, bool is_middle)
{
	struct stat status;
	char path[96];

	in_folder("journal.damaged", path);
	CHECK((stat(path, &status) == 0) == is_middle);
	CHECK(!is_middle || status.st_size == (off_t)text->len);
}

static void
append(struct journal_file *file, struct journal_store *expected)
{
	json_t *entry = json_pack("{s:s, s:{}}", "unit", "shop", "state");
	struct journal_text line = {0};
	struct error error;
	json_t *copy = journal_line_write(entry, &line, &error);

	CHECK(copy != NULL);
	journal_store_add(expected, copy);
	CHECK(journal_file_append(file, &line, &error));
	CHECK(error.message[0] == '\0');
	free(line.bytes);
	json_decref(entry);
}

static void
check_journal(const struct journal_text *text)
{
	bool is_damaged, is_middle;
	struct journal_store *store;
	struct journal_store *expected =
		expected_of(text, &is_damaged, &is_middle);
	struct journal_file *file;
	struct error error;

	write_file(text);
	file = journal_file_open(folder, &store, &error);
	CHECK(file != NULL);
	CHECK((error.message[0] != '\0') == is_damaged);
	check_same(store, expected);
	check_damaged(text, is_middle);
	append(file, expected);
	journal_file_close(file);
	journal_store_free(store);

	file = journal_file_open(folder, &store, &error);
	CHECK(file != NULL && error.message[0] == '\0');
	check_same(store, expected);
	journal_file_close(file);
	journal_store_free(store);
	journal_store_free(expected);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct journal_text text = {0};

	if (size < 2)
		return 0;
	make_folder();
	empty_folder();
	for (int i = 0; i <= data[1]; i++)
		add_lines(&text, (const char *)data + 2, size - 2,
			(data[0] & 1) == 0);
	check_journal(&text);
	free(text.bytes);
	return 0;
}
