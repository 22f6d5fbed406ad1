/*
 * reader: fills a struct config from a file's tree by the schema's table.
 *
 * Every key gets its default first, then what the file says; what is wrong is
 * reported and leaves the default. Checks across keys are check.c's, which
 * asks here for the places of what it complains about.
 */
#ifndef PERCH_CONFIG_READER_H
#define PERCH_CONFIG_READER_H

#include "base/table.h"
#include "config/config.h"
#include "config/report.h"
#include "config/yaml.h"

struct reader {
	struct report *report;
	struct config *config;
	/* From a member's address to its struct report_place in the tree. */
	struct table places;
};

/*
 * config is zeroed, and then the caller's to free by reader_release(), even
 * where errors were reported. The tree must outlive the reader.
 */
void reader_init(
	struct reader *reader, struct config *config, struct report *report);
void reader_fill(struct reader *reader, const struct yaml_node *root);
void reader_free(struct reader *reader);

/*
 * Where the file says it: the value of a member, an item of a list, the name
 * of a service or version. NULL where it is a default.
 */
const struct report_place *
reader_place(const struct reader *reader, const void *member);

/*
 * The defaults of the rows below a prefix, into a zeroed object; none of them
 * may inherit. value_release() and so on free them, as in reader_release().
 */
void reader_fill_defaults(const char *prefix, void *object);

/* Frees all that config points at. */
void reader_release(struct config *config);

#endif
