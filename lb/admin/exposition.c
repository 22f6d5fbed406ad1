#include "admin/exposition.h"

#include <stdio.h>

#include <event2/buffer.h>

#include "base/clock.h"

#define US(n) ((n)*CLOCK_NS_PER_US)
#define S(n) ((n)*CLOCK_NS_PER_S)

static const struct {
	const char *le; /* seconds */
	uint64_t ns;
} limits[] = {
	{"0.0001", US(100)},
	{"0.00025", US(250)},
	{"0.0005", US(500)},
	{"0.001", US(1000)},
	{"0.0025", US(2500)},
	{"0.005", US(5000)},
	{"0.01", US(10000)},
	{"0.025", US(25000)},
	{"0.05", US(50000)},
	{"0.1", US(100000)},
	{"0.25", US(250000)},
	{"0.5", US(500000)},
	{"1", S(1)},
	{"2.5", US(2500000)},
	{"5", S(5)},
	{"10", S(10)},
	{"30", S(30)},
	{"60", S(60)},
};
#define N_LIMITS (sizeof(limits) / sizeof(limits[0]))

/* Backslash, quote and line feed are escaped in a label's value. */
static void
add_escaped(struct text *text, struct slice value)
{
	size_t start = 0;

	for (size_t i = 0; i < value.len; i++) {
		char c = value.ptr[i];

		if (c != '\\' && c != '"' && c != '\n')
			continue;
		text_add(text, (struct slice){value.ptr + start, i - start});
		text_add(text, c == '\n'  ? SLICE("\\n")
			       : c == '"' ? SLICE("\\\"")
					  : SLICE("\\\\"));
		start = i + 1;
	}
	text_add(text, (struct slice){value.ptr + start, value.len - start});
}

void
exposition_label(struct text *labels, const char *name, struct slice value)
{
	if (labels->len > 0)
		text_add(labels, SLICE(","));
	text_add_string(labels, name);
	text_add(labels, SLICE("=\""));
	add_escaped(labels, value);
	text_add(labels, SLICE("\""));
}

/* All of a sample's line but the value. */
static void
begin(struct exposition_family *family, const char *suffix, struct slice labels,
	const char *le)
{
	struct text *text = &family->text;

	text_add_string(text, family->about->name);
	text_add_string(text, suffix);
	if (labels.len > 0 || le != NULL) {
		text_add(text, SLICE("{"));
		text_add(text, labels);
		if (le != NULL) {
			text_add(text, labels.len > 0 ? SLICE(",le=\"")
						      : SLICE("le=\""));
			text_add_string(text, le);
			text_add(text, SLICE("\""));
		}
		text_add(text, SLICE("}"));
	}
	text_add(text, SLICE(" "));
}

static void
end_u64(struct exposition_family *family, uint64_t value)
{
	text_add_u64(&family->text, value);
	text_add(&family->text, SLICE("\n"));
}

static void
end_double(struct exposition_family *family, double value)
{
	char number[32];

	snprintf(number, sizeof(number), "%.15g\n", value);
	text_add_string(&family->text, number);
}

void
exposition_u64(
	struct exposition_family *family, struct slice labels, uint64_t value)
{
	begin(family, "", labels, NULL);
	end_u64(family, value);
}

void
exposition_double(
	struct exposition_family *family, struct slice labels, double value)
{
	begin(family, "", labels, NULL);
	end_double(family, value);
}

/*
 * Our own buckets are finer than these limits and don't end on them: one that
 * spans a limit is counted above it, so that what stands under "le" never is
 * more than that.
 */
void
exposition_histogram(struct exposition_family *family, struct slice labels,
	const struct histogram_counts *counts)
{
	uint64_t n = 0;
	unsigned bucket = 0;

	for (size_t i = 0; i < N_LIMITS; i++) {
		while (bucket < HISTOGRAM_BUCKETS &&
			histogram_high_ns(bucket) <= limits[i].ns)
			n += counts->counts[bucket++];
		begin(family, "_bucket", labels, limits[i].le);
		end_u64(family, n);
	}
	while (bucket < HISTOGRAM_BUCKETS)
		n += counts->counts[bucket++];
	begin(family, "_bucket", labels, "+Inf");
	end_u64(family, n);
	begin(family, "_sum", labels, NULL);
	end_double(family, (double)counts->sum_ns / (double)CLOCK_NS_PER_S);
	begin(family, "_count", labels, NULL);
	end_u64(family, n);
}

void
exposition_finish(struct exposition_family *families, size_t n_families,
	struct evbuffer *out)
{
	for (size_t i = 0; i < n_families; i++) {
		const struct exposition_about *about = families[i].about;

		if (families[i].text.len == 0)
			continue;
		evbuffer_add_printf(out, "# HELP %s %s\n# TYPE %s %s\n",
			about->name, about->help, about->name, about->type);
		text_move(&families[i].text, out);
		text_free(&families[i].text);
	}
}
