#include "config/config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/memory.h"
#include "config/check.h"
#include "config/reader.h"
#include "config/report.h"
#include "config/yaml.h"

#define FIRST_READ 16384
/* check.c keeps the name free. */
#define DEFAULT_PLAN "default"

struct config *
config_parse(const char *name, const char *text, size_t len,
	struct config_report *out)
{
	struct config *config = memory_zalloc(sizeof(*config));
	struct yaml_node *root;
	struct report report;
	struct reader reader;

	report_init(&report, name);
	reader_init(&reader, config, &report);
	root = yaml_tree_parse(text, len, &report);
	/* Without a tree, "missing key" would be noise. */
	if (root != NULL) {
		reader_fill(&reader, root);
		check_config(&reader);
	}
	reader_free(&reader);
	yaml_tree_free(root);
	if (report.n_errors > 0) {
		config_free(config);
		config = NULL;
	}
	report_finish(&report, out);
	return config;
}

/*
 * The whole file, allocated; one byte more than is allowed at most, so that
 * the size is refused where syntax is. NULL with errno set.
 */
static char *
read_all(int fd, size_t *len)
{
	size_t size = FIRST_READ;
	char *text = memory_zalloc(size);

	*len = 0;
	while (*len <= YAML_MAX_SIZE) {
		ssize_t n = read(fd, text + *len, size - *len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			free(text);
			return NULL;
		}
		if (n == 0)
			break;
		*len += (size_t)n;
		if (*len == size) {
			size *= 2;
			text = memory_realloc_array(text, size, 1);
		}
	}
	return text;
}

static void
report_unreadable(const char *path, int reason, struct config_report *out)
{
	struct report report;

	report_init(&report, path);
	report_error(&report, (struct report_place){0}, "can't be read: %s",
		strerror(reason));
	report_finish(&report, out);
}

struct config *
config_load(const char *path, struct config_report *report)
{
	struct config *config;
	char *text;
	size_t len;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0) {
		report_unreadable(path, errno, report);
		return NULL;
	}
	text = read_all(fd, &len);
	if (text == NULL) {
		report_unreadable(path, errno, report);
		close(fd);
		return NULL;
	}
	close(fd);
	config = config_parse(path, text, len, report);
	free(text);
	return config;
}

void
config_free(struct config *config)
{
	if (config == NULL)
		return;
	reader_release(config);
	free(config);
}

const struct config_plan *
config_default_plan(void)
{
	static struct config_plan plan;

	if (plan.name == NULL) {
		reader_fill_defaults("plans.NAME.", &plan);
		plan.name = memory_strdup(DEFAULT_PLAN);
	}
	return &plan;
}
