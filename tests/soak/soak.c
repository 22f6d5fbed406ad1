/*
 * The driver of the soak: clients and backends around a running perch.
 *
 *	driver -p PERCH-PORT -b FIRST-BACKEND-PORT [-n REQUESTS] [-c CLIENTS]
 *		[-s SEED] [-f FIRST]
 *
 * Prints "listening" when the backends do, begins at a line on its input,
 * prints "half" and, when all requests are over and all clients gone, "done"
 * with the counts. Backends stay until the input ends. Exits with 1 if
 * something was seen that must not be.
 *
 * The same seed makes the same requests; how the threads of both sides
 * interleave is the machine's. -f and -n play a part, -c 1 one by one.
 */
#include "soak.h"

#include <err.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define FAILURES_SHOWN 40
#define CLIENTS_MAX 1024

struct soak_options soak_options = {
	.seed = 1, .requests = 200000, .clients = 64};

static atomic_uint_fast64_t next_number;
static atomic_uint_fast64_t counts[SOAK_COUNTS];
static atomic_uint n_failures;
static atomic_uchar *seen;
/* By number: the status of a page that was wondered about; excuses. */
static atomic_ushort *wondered;
static atomic_uchar *excused;

void
soak_count(enum soak_count which)
{
	atomic_fetch_add(&counts[which], 1);
}

static void
print_plan(const struct plan *plan)
{
	printf(" [%s 1.%d host %d client %d backend %d%s%s request %d/%zu "
	       "response %d/%zu status %u cut %u%s%s]",
		plan->method, plan->is_http10 ? 0 : 1, plan->host, plan->client,
		plan->backend, plan->is_fault_once ? " once" : "",
		plan->is_reset ? " reset" : "", plan->request,
		plan->request_len, plan->response, plan->response_len,
		plan->status, plan->cut,
		plan->expects_continue ? " expects" : "",
		plan->backend_closes ? " backend-closes" : "");
}

static void print_event(const char *kind, const struct plan *plan,
	const char *format, va_list args) __attribute__((format(printf, 3, 0)));

static void
print_event(const char *kind, const struct plan *plan, const char *format,
	va_list args)
{
	flockfile(stdout);
	fputs(kind, stdout);
	if (plan != NULL)
		printf(" n=%llu", (unsigned long long)plan->n);
	putchar(' ');
	vprintf(format, args);
	if (plan != NULL)
		print_plan(plan);
	putchar('\n');
	funlockfile(stdout);
}

void
soak_fail(const struct plan *plan, const char *format, ...)
{
	va_list args;

	if (atomic_fetch_add(&n_failures, 1) >= FAILURES_SHOWN)
		return;
	va_start(args, format);
	print_event("FAIL", plan, format, args);
	va_end(args);
}

void
soak_wonder(const struct plan *plan, unsigned status)
{
	atomic_store(&wondered[plan->n - soak_options.first],
		(unsigned short)status);
}

void
soak_excuse(uint64_t n)
{
	if (n - soak_options.first < soak_options.requests)
		atomic_store(&excused[n - soak_options.first], 1);
}

/* A backend may get to its excuse later than the client to its answer. */
static bool
is_excused(uint64_t i)
{
	unsigned patience = 2000;

	while (!atomic_load(&excused[i]) && patience-- > 0)
		usleep(1000);
	return atomic_load(&excused[i]);
}

static void
judge_wondered(void)
{
	struct plan plan;
	uint64_t i;

	for (i = 0; i < soak_options.requests; i++) {
		if (wondered[i] == 0)
			continue;
		plan = plan_make(soak_options.seed, soak_options.first + i);
		if (is_excused(i))
			soak_count(SOAK_EXCUSED);
		else
			soak_fail(&plan, "answered %u without a reason",
				wondered[i]);
	}
}

unsigned
soak_seen_before(uint64_t n)
{
	if (n - soak_options.first >= soak_options.requests)
		return 0;
	return atomic_fetch_add(&seen[n - soak_options.first], 1);
}

unsigned
soak_was_seen(uint64_t n)
{
	if (n - soak_options.first >= soak_options.requests)
		return 0;
	return atomic_load(&seen[n - soak_options.first]);
}

uint64_t
soak_take(unsigned k, uint64_t *first)
{
	uint64_t taken = atomic_fetch_add(&next_number, k);
	uint64_t half = soak_options.requests / 2;

	if (taken >= soak_options.requests)
		return 0;
	if (taken < half && taken + k >= half)
		puts("half");
	*first = soak_options.first + taken;
	if (k > soak_options.requests - taken)
		return soak_options.requests - taken;
	return k;
}

static void
start_thread(pthread_t *thread, void *(*run)(void *), unsigned index)
{
	if (pthread_create(thread, NULL, run, (void *)(uintptr_t)index) != 0)
		err(2, "a thread");
}

static void
play_all(void)
{
	pthread_t clients[CLIENTS_MAX];
	unsigned i;

	for (i = 0; i < soak_options.clients; i++)
		start_thread(&clients[i], client_run, i);
	for (i = 0; i < soak_options.clients; i++)
		pthread_join(clients[i], NULL);
}

static void
report(void)
{
	static const char *const names[SOAK_COUNTS] = {
		[SOAK_ANSWERED] = "answered",
		[SOAK_ERROR_PAGES] = "error_pages",
		[SOAK_EXCUSED] = "excused",
		[SOAK_CUT] = "cut",
		[SOAK_ABANDONED] = "abandoned",
		[SOAK_REFUSED] = "refused",
		[SOAK_TUNNELS] = "tunnels",
		[SOAK_LOST] = "lost",
		[SOAK_PIPELINED] = "pipelined",
		[SOAK_RETRIED] = "retried",
	};
	unsigned i;

	printf("done");
	for (i = 0; i < SOAK_COUNTS; i++)
		printf(" %s=%llu", names[i], (unsigned long long)counts[i]);
	printf(" failures=%u\n", n_failures);
}

static void
read_options(int argc, char **argv)
{
	int option;

	while ((option = getopt(argc, argv, "p:b:n:c:s:f:")) != -1) {
		unsigned long long value =
			optarg != NULL ? strtoull(optarg, NULL, 0) : 0;

		switch (option) {
		case 'p':
			soak_options.perch_port = (unsigned)value;
			break;
		case 'b':
			soak_options.backend_port = (unsigned)value;
			break;
		case 'n':
			soak_options.requests = value;
			break;
		case 'c':
			soak_options.clients = (unsigned)value;
			break;
		case 's':
			soak_options.seed = value;
			break;
		case 'f':
			soak_options.first = value;
			break;
		default:
			exit(2);
		}
	}
	if (soak_options.perch_port == 0 || soak_options.backend_port == 0 ||
		soak_options.clients > CLIENTS_MAX)
		errx(2, "needs -p and -b, and at most %d clients", CLIENTS_MAX);
}

int
main(int argc, char **argv)
{
	struct rlimit files = {16384, 16384};
	pthread_t backends[SOAK_BACKENDS];
	unsigned i;

	read_options(argc, argv);
	setvbuf(stdout, NULL, _IOLBF, 0);
	signal(SIGPIPE, SIG_IGN);
	(void)setrlimit(RLIMIT_NOFILE, &files);
	seen = calloc(soak_options.requests, sizeof(*seen));
	wondered = calloc(soak_options.requests, sizeof(*wondered));
	excused = calloc(soak_options.requests, sizeof(*excused));
	if (seen == NULL || wondered == NULL || excused == NULL)
		err(2, NULL);
	for (i = 0; i < SOAK_BACKENDS; i++)
		start_thread(&backends[i], backend_run, i);
	usleep(100000);
	puts("listening");
	(void)getchar();
	play_all();
	judge_wondered();
	report();
	while (getchar() != EOF)
		continue;
	/* Threads of backends are still there; nothing is theirs alone. */
	_exit(n_failures > 0 ? 1 : 0);
}
