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
print_roff(FILE *out, const char *text)
{
	/* Control characters, but only in front of a line. */
	if (text[0] == '.' || text[0] == '\'')
		fputs("\\&", out);
	for (; *text != '\0'; text++) {
		if (*text == '\\')
			fputs("\\e", out);
		else if (*text == '-')
			fputs("\\-", out);
		else if (*text == '"')
			fputs("\\(dq", out);
		else
			fputc(*text, out);
	}
}

static void
print_man_key(FILE *out, const struct schema_key *key)
{
	struct description about;

	describe(key, &about);
	fputs(".It Ic ", out);
	print_roff(out, key->path);
	fputc('\n', out);
	print_roff(out, key->help);
	fputs("\n.br\nType: ", out);
	print_roff(out, about.kind);
	if (about.range[0] != '\0') {
		fputs("; ", out);
		print_roff(out, about.range);
	}
	if (about.def[0] != '\0') {
		fputs(".\nDefault: ", out);
		print_roff(out, about.def);
	}
	fputs(".\n", out);
	if (key->example == NULL)
		return;
	fputs("Example:\n.Ql ", out);
	print_roff(out, schema_key_name(key));
	fputs(": ", out);
	print_roff(out, key->example);
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
