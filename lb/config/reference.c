/*
 * The list of keys for people: as mdoc(7) for perch.yaml(5), and as Markdown.
 * Both say the same of a key, by describe().
 */
#include <stdio.h>
#include <string.h>

#include "config/config.h"
#include "config/schema.h"
#include "config/value.h"

#define DESCRIPTION_SIZE 512
#define PROSE_COLUMNS 76

struct description {
	char kind[DESCRIPTION_SIZE]; /* "list of hosts" */
	char def[DESCRIPTION_SIZE]; /* "" if there is none */
	char range[DESCRIPTION_SIZE]; /* "1ms to 24h", "one of ..."; or "" */
};

static void
describe_kind(const struct schema_key *key, char out[DESCRIPTION_SIZE])
{
	const char *type =
		key->type == SCHEMA_OBJECT ? "map" : value_type_name(key->type);

	if (key->shape == SCHEMA_GROUP)
		snprintf(out, DESCRIPTION_SIZE, "map");
	else if (key->shape == SCHEMA_NAMED)
		snprintf(out, DESCRIPTION_SIZE, "map of names to maps");
	else if (key->shape == SCHEMA_LIST)
		snprintf(out, DESCRIPTION_SIZE, "list (%s)", type);
	else
		snprintf(out, DESCRIPTION_SIZE, "%s", type);
}

static void
describe_range(const struct schema_key *key, char out[DESCRIPTION_SIZE])
{
	size_t i, len = 0;

	out[0] = '\0';
	if (key->min != NULL)
		snprintf(out, DESCRIPTION_SIZE, "%s to %s", key->min, key->max);
	if (key->shape == SCHEMA_LIST || key->shape == SCHEMA_NAMED)
		snprintf(out, DESCRIPTION_SIZE, "%zu to %zu entries",
			key->min_items, key->max_items);
	if (key->choices == NULL)
		return;
	for (i = 0; key->choices[i] != NULL && len < DESCRIPTION_SIZE; i++)
		len += (size_t)snprintf(out + len, DESCRIPTION_SIZE - len,
			"%s%s", i > 0 ? ", " : "", key->choices[i]);
}

static void
describe(const struct schema_key *key, struct description *out)
{
	describe_kind(key, out->kind);
	describe_range(key, out->range);
	out->def[0] = '\0';
	if (key->is_required)
		snprintf(out->def, sizeof(out->def), "required");
	else if (key->inherits != NULL)
		snprintf(out->def, sizeof(out->def), "as in %s", key->inherits);
	else if (key->def != NULL && key->shape == SCHEMA_LIST)
		snprintf(out->def, sizeof(out->def), "[%s]", key->def);
	else if (key->def != NULL)
		snprintf(out->def, sizeof(out->def), "%s", key->def);
}

/* What roff would take for something else, escaped. */
static void
print_roff(FILE *out, struct slice text)
{
	size_t i;

	/* Control characters, but only in front of a line. */
	if (text.len > 0 && (text.ptr[0] == '.' || text.ptr[0] == '\''))
		fputs("\\&", out);
	for (i = 0; i < text.len; i++) {
		if (text.ptr[i] == '\\')
			fputs("\\e", out);
		else if (text.ptr[i] == '-')
			fputs("\\-", out);
		else if (text.ptr[i] == '"')
			fputs("\\(dq", out);
		else
			fputc(text.ptr[i], out);
	}
}

/* Lines of at most so many columns, each sentence on a new one: roff decides
 * by that what ends a sentence. */
static void
print_prose(FILE *out, const char *text)
{
	size_t column = 0;
	struct slice word;

	for (; *text != '\0'; text += text[0] == ' ') {
		word = (struct slice){text, strcspn(text, " ")};
		if (column > 0 && column + 1 + word.len > PROSE_COLUMNS) {
			fputc('\n', out);
			column = 0;
		} else if (column > 0) {
			fputc(' ', out);
			column++;
		}
		print_roff(out, word);
		column += word.len;
		text += word.len;
		if (word.len > 0 && text[-1] == '.' && text[0] != '\0') {
			fputc('\n', out);
			column = 0;
		}
	}
	fputc('\n', out);
}

/* "Type: size; 1KiB to 64KiB. Default: 16KiB." */
static void
print_man_facts(FILE *out, const struct schema_key *key)
{
	char facts[3 * DESCRIPTION_SIZE + 64];
	struct description about;
	const char *label = "";

	describe(key, &about);
	if (key->is_required)
		label = " Required";
	else if (about.def[0] != '\0')
		label = " Default: ";
	snprintf(facts, sizeof(facts), "Type: %s%s%s.%s%s%s", about.kind,
		about.range[0] != '\0' ? "; " : "", about.range, label,
		key->is_required ? "" : about.def, label[0] != '\0' ? "." : "");
	print_prose(out, facts);
}

static void
print_man_key(FILE *out, const struct schema_key *key)
{
	fputs(".It Ic ", out);
	print_roff(out, slice_from_string(key->path));
	fputc('\n', out);
	print_prose(out, key->help);
	fputs(".br\n", out);
	print_man_facts(out, key);
	if (key->example == NULL)
		return;
	fputs("Example:\n.Ql ", out);
	print_roff(out, slice_from_string(schema_key_name(key)));
	fputs(": ", out);
	print_roff(out, slice_from_string(key->example));
	fputc('\n', out);
}

void
config_print_reference_man(FILE *out)
{
	size_t i;

	fputs(".Bl -tag -width Ds\n", out);
	for (i = 0; i < schema_n_keys; i++)
		print_man_key(out, &schema_keys[i]);
	fputs(".El\n", out);
}

/* A cell of a table: a pipe would end it. */
static void
print_cell(FILE *out, const char *text)
{
	fputc(' ', out);
	for (; *text != '\0'; text++) {
		if (*text == '|' || *text == '*' || *text == '<')
			fputc('\\', out);
		fputc(*text, out);
	}
	fputs(" |", out);
}

static void
print_code_cell(FILE *out, const char *text)
{
	if (text[0] != '\0')
		fprintf(out, " `%s`", text);
	fputs(" |", out);
}

static void
print_markdown_row(FILE *out, const struct schema_key *key)
{
	struct description about;

	describe(key, &about);
	fputs("|", out);
	print_code_cell(out, key->path);
	print_cell(out, about.kind);
	if (key->is_required || key->inherits != NULL)
		print_cell(out, about.def);
	else
		print_code_cell(out, about.def);
	print_cell(out, about.range);
	print_cell(out, key->help);
	print_code_cell(out, key->example != NULL ? key->example : "");
	fputc('\n', out);
}

void
config_print_reference_markdown(FILE *out)
{
	size_t i;

	fputs("| key | type | default | range | meaning | example |\n"
	      "| --- | --- | --- | --- | --- | --- |\n",
		out);
	for (i = 0; i < schema_n_keys; i++)
		print_markdown_row(out, &schema_keys[i]);
}
