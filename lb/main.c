/*
 * perch: options, the order of start and stop, signals. All else is in the
 * layers below.
 */
#include <event2/event.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "admin/events.h"
#include "admin/server.h"
#include "base/log.h"
#include "base/printable.h"
#include "config/config.h"
#include "perch_config.h"
#include "proxy/control.h"

#define DEFAULT_CONFIG PERCH_SYSCONFDIR "/perch/perch.yaml"

struct perch {
	struct event_base *base;
	struct events *events;
	struct control *control;
	struct admin *admin;
	bool is_stopping;
};

enum option_value {
	OPTION_PRINT_SCHEMA = 256,
	OPTION_PRINT_REFERENCE,
};

static const struct option long_options[] = {
	{"config", required_argument, NULL, 'c'},
	{"help", no_argument, NULL, 'h'},
	{"print-reference", required_argument, NULL, OPTION_PRINT_REFERENCE},
	{"print-schema", no_argument, NULL, OPTION_PRINT_SCHEMA},
	{"test", no_argument, NULL, 't'},
	{"version", no_argument, NULL, 'V'},
	{NULL, 0, NULL, 0},
};

static int
usage(FILE *out, int status)
{
	fputs("usage: perch [-t] [-c FILE]\n"
	      "  -c, --config FILE   the configuration (" DEFAULT_CONFIG ")\n"
	      "  -t, --test          check the configuration and exit\n"
	      "  -V, --version       print the version and exit\n"
	      "  -h, --help          print this and exit\n"
	      "      --print-schema  print the configuration's JSON Schema\n"
	      "      --print-reference man|markdown\n"
	      "                      print the configuration's reference\n",
		out);
	return status;
}

static int
test_config(const char *path)
{
	struct config_report report;
	struct config *config = config_load(path, &report);
	bool is_good = config != NULL;
	size_t i;

	for (i = 0; i < report.n_errors; i++) {
		printable_print(stderr, report.errors[i]);
		fputc('\n', stderr);
	}
	for (i = 0; i < report.n_warnings; i++) {
		fputs("warning: ", stderr);
		printable_print(stderr, report.warnings[i]);
		fputc('\n', stderr);
	}
	if (is_good)
		printf("%s: good\n", path);
	else
		fprintf(stderr, "%s: %zu error%s\n", path, report.n_errors,
			report.n_errors == 1 ? "" : "s");
	config_report_free(&report);
	if (is_good)
		config_free(config);
	return is_good ? 0 : 1;
}

static int
print_reference(const char *form)
{
	if (strcmp(form, "man") == 0)
		config_print_reference_man(stdout);
	else if (strcmp(form, "markdown") == 0)
		config_print_reference_markdown(stdout);
	else
		return usage(stderr, 2);
	return 0;
}

static void
stop(void *arg)
{
	struct perch *perch = arg;

	perch->is_stopping = true;
	event_base_loopbreak(perch->base);
}

static void
on_reloaded(void *arg)
{
	struct perch *perch = arg;
	struct error error;

	if (!admin_rebind(perch->admin, &error))
		log_error("admin: %s", error.message);
	events_configure(
		perch->events, control_snapshot(perch->control)->config);
}

static void
on_event(const json_t *event, void *arg)
{
	events_emit(arg, event);
}

static void
on_signal(evutil_socket_t number, short what, void *arg)
{
	struct perch *perch = arg;

	switch (number) {
	case SIGHUP:
		control_reload(perch->control);
		break;
	case SIGUSR1:
		control_reopen_logs(perch->control);
		break;
	case SIGQUIT:
		if (!control_is_accepting(perch->control)) {
			stop(perch);
			break;
		}
		control_drain(perch->control, stop, perch);
		break;
	default:
		log_info("stopping");
		stop(perch);
		break;
	}
}

static bool
watch_signals(struct perch *perch, struct event *events[5])
{
	static const int numbers[5] = {
		SIGHUP, SIGUSR1, SIGQUIT, SIGTERM, SIGINT};
	int i;

	signal(SIGPIPE, SIG_IGN);
	/* A file that may not grow is a failed write, as on a full disk. */
	signal(SIGXFSZ, SIG_IGN);
	for (i = 0; i < 5; i++) {
		events[i] = evsignal_new(
			perch->base, numbers[i], on_signal, perch);
		if (events[i] == NULL || event_add(events[i], NULL) != 0)
			return false;
	}
	return true;
}

/* By itself libevent would write to stderr, and wait for it. */
static void
on_library_log(int severity, const char *message)
{
	if (severity == EVENT_LOG_WARN || severity == EVENT_LOG_ERR)
		log_warn("libevent: %s", message);
}

/* What is opened next would else get their numbers, and the log's lines. */
static void
fill_standard_descriptors(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}

static int
run(const char *path)
{
	struct perch perch = {0};
	struct event *signals[5] = {NULL};
	struct error error;
	int status = 1;
	int i;

	fill_standard_descriptors();
	event_set_log_callback(on_library_log);
	perch.base = event_base_new();
	if (perch.base == NULL) {
		log_error("cannot make an event loop");
		return 1;
	}
	perch.events = events_new(perch.base);
	perch.control = control_new(perch.base, path);
	if (perch.control == NULL)
		goto free_events;
	control_on_event(perch.control, on_event, perch.events);
	if (!watch_signals(&perch, signals)) {
		error_set(&error, "cannot watch signals");
		goto fail;
	}
	if (!control_start(perch.control, &error))
		goto fail;
	events_configure(perch.events, control_snapshot(perch.control)->config);
	perch.admin =
		admin_new(perch.base, perch.control, perch.events, &error);
	if (perch.admin == NULL)
		goto fail;
	control_on_reloaded(perch.control, on_reloaded, &perch);
	if (!perch.is_stopping)
		event_base_dispatch(perch.base);
	status = 0;
	goto free_all;
fail:
	if (perch.is_stopping)
		status = 0;
	else
		log_error("%s", error.message);
free_all:
	for (i = 0; i < 5; i++)
		if (signals[i] != NULL)
			event_free(signals[i]);
	if (perch.admin != NULL)
		admin_free(perch.admin);
	control_free(perch.control);
free_events:
	/* No traffic waits for this any more. */
	events_stop(perch.events);
	events_free(perch.events);
	event_base_free(perch.base);
	libevent_global_shutdown();
	return status;
}

int
main(int argc, char **argv)
{
	const char *path = DEFAULT_CONFIG;
	bool is_test = false;
	int option;

	while ((option = getopt_long(argc, argv, "c:htV", long_options,
			NULL)) != -1) {
		switch (option) {
		case 'c':
			path = optarg;
			break;
		case 'h':
			return usage(stdout, 0);
		case 't':
			is_test = true;
			break;
		case 'V':
			puts(PACKAGE_STRING);
			return 0;
		case OPTION_PRINT_SCHEMA:
			config_print_json_schema(stdout);
			return 0;
		case OPTION_PRINT_REFERENCE:
			return print_reference(optarg);
		default:
			return usage(stderr, 2);
		}
	}
	if (optind < argc)
		return usage(stderr, 2);
	return is_test ? test_config(path) : run(path);
}
