#include "proxy/shard.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/memory.h"
#include "http/h1_body.h"
#include "http/h1_frame.h"
#include "net/listener.h"
#include "proxy/client.h"
#include "proxy/eviction.h"
#include "proxy/exchange.h"
#include "proxy/rescue.h"
#include "proxy/shield.h"
#include "proxy/upstream.h"
#include "proxy/upstream_pool.h"
#include "proxy/upstream_rest.h"
#include "proxy/witness.h"

/* A 16 KiB answer with its head fits one read. */
#define BUFFER_MIN (32 * 1024)
/* Behind a head of any allowed size there is room for body and trailers. */
#define BUFFER_BESIDE_HEAD (16 * 1024)
/* What a head gains on its way: see proxy/forward. */
#define HEAD_GAIN_MAX (8 * 1024)
#define MAX_FREE_BUFFERS 256
#define MAX_FREE_EXCHANGES 256
/* How many connections are accepted in one go, before others get their turn. */
#define ACCEPT_BATCH 64
/* How long a client that still sends may rest meanwhile. */
#define LINGER_IDLE_NS (5 * CLOCK_NS_PER_S)
/* How long a new connection with its first request needn't be watched. */
#define UNWATCHED_NS (5 * CLOCK_NS_PER_MS)
/* The time in which a refused accept is not tried again. */
#define ACCEPT_PAUSE_US 50000

void
shard_touch_clock(struct shard *shard)
{
	shard->now_ns = clock_monotonic_ns();
}

uint64_t
shard_random(struct shard *shard)
{
	uint64_t z = (shard->random += UINT64_C(0x9e3779b97f4a7c15));

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

struct shard *
shard_new(unsigned index, struct registry *registry,
	shard_released_fn *released, void *released_arg, struct error *error)
{
	struct shard *shard = memory_zalloc(sizeof(*shard));

	shard->index = index;
	shard->registry = registry;
	shard->counts = &registry->workers[index];
	shard->released = released;
	shard->released_arg = released_arg;
	list_init(&shard->clients);
	list_init(&shard->listeners);
	list_init(&shard->evictions);
	shard->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (getrandom(&shard->random, sizeof(shard->random), 0) < 0)
		shard->random = clock_wall_ns() ^ index;
	if (!worker_init(&shard->worker, index, error)) {
		free(shard);
		return NULL;
	}
	if (!access_buffer_init(&shard->access, shard->worker.base)) {
		error_set(error, "worker %u: out of memory", index);
		worker_close(&shard->worker);
		free(shard);
		return NULL;
	}
	pool_init(&shard->exchanges, sizeof(struct exchange),
		MAX_FREE_EXCHANGES);
	pool_init(&shard->watches, sizeof(struct witness_watch),
		MAX_FREE_EXCHANGES);
	pool_init(&shard->buffers, sizeof(struct buffer) + BUFFER_MIN,
		MAX_FREE_BUFFERS);
	shard_touch_clock(shard);
	return shard;
}

/* --- views ---------------------------------------------------------------------- */

static void
free_view(struct view *view)
{
	size_t i;

	for (i = 0; i < view->snapshot->n_services; i++) {
		free(view->services[i].cursors);
		free(view->services[i].rescue);
		free(view->services[i].shield);
	}
	free(view->services);
	free(view);
}

void
shard_give_view(struct shard *shard, struct view *view)
{
	const struct snapshot *snapshot = view->snapshot;

	if (--view->refs > 0)
		return;
	/* Lines in the buffer belong to this snapshot's log. */
	access_buffer_flush(&shard->access);
	free_view(view);
	shard->released(snapshot, shard->released_arg);
}

static struct timeout_list *
list_for(struct shard *shard, uint64_t length_ns, timeout_expired_fn *expired)
{
	struct timeout_list *list =
		timeouts_list(&shard->worker.timeouts, length_ns, expired);

	if (list == NULL)
		abort();
	return list;
}

/* A worker's part of a limit for all, at least one. */
static uint32_t
part_of(const struct shard *shard, uint64_t limit)
{
	uint64_t n = shard->registry->n_workers;
	uint64_t part = limit / n + (shard->index < limit % n ? 1 : 0);

	if (part == 0)
		return 1;
	return part > UINT32_MAX ? UINT32_MAX : (uint32_t)part;
}

static struct shield *
new_shield(const struct shard *shard, const struct config_shield *config)
{
	static const enum http_method methods[] = {
		[CONFIG_SHIELD_GET] = HTTP_GET,
		[CONFIG_SHIELD_HEAD] = HTTP_HEAD,
		[CONFIG_SHIELD_OPTIONS] = HTTP_OPTIONS,
		[CONFIG_SHIELD_TRACE] = HTTP_TRACE,
		[CONFIG_SHIELD_PUT] = HTTP_PUT,
		[CONFIG_SHIELD_DELETE] = HTTP_DELETE,
	};
	struct shield *shield = memory_zalloc(sizeof(*shield));
	unsigned bits = 0;
	size_t i;

	for (i = 0; i < config->n_methods; i++)
		bits |= 1u << methods[config->methods[i]];
	shield_init(shield, bits, config->budget,
		part_of(shard, SHIELD_FLOOR_PER_S));
	return shield;
}

static void
fill_service(struct shard *shard, struct view_service *to,
	const struct snapshot_service *from)
{
	const struct config_timeouts *timeouts = &from->config->timeouts;

	to->connect = list_for(shard, timeouts->connect_ns, upstream_expired);
	to->queue =
		list_for(shard, timeouts->queue_ns, upstream_queue_expired);
	to->response = list_for(shard, timeouts->response_ns, upstream_expired);
	to->response_idle =
		list_for(shard, timeouts->response_idle_ns, upstream_expired);
	to->tunnel = list_for(shard, timeouts->tunnel_ns, upstream_expired);
	to->help = list_for(
		shard, from->config->rescue.timeout_ns, exchange_help_expired);
	to->cursors = memory_zalloc_array(
		from->n_versions, sizeof(*to->cursors));
	if (from->n_versions > 1) {
		to->rescue = memory_zalloc(sizeof(*to->rescue));
		rescue_table_init(to->rescue, from->config->rescue.budget);
	}
	if (from->n_versions > 1 && from->config->shield.budget > 0)
		to->shield = new_shield(shard, &from->config->shield);
	to->endpoint_connections =
		part_of(shard, from->config->limits.endpoint_connections);
}

static struct view *
new_view(struct shard *shard, const struct snapshot *snapshot)
{
	const struct config_timeouts *timeouts = &snapshot->config->timeouts;
	struct view *view = memory_zalloc(sizeof(*view));
	size_t i;

	view->snapshot = snapshot;
	view->refs = 1;
	view->client_header =
		list_for(shard, timeouts->header_ns, client_expired);
	view->client_body = list_for(shard, timeouts->body_ns, client_expired);
	view->client_idle = list_for(shard, timeouts->idle_ns, client_expired);
	view->client_half_closed =
		list_for(shard, timeouts->half_closed_ns, client_expired);
	view->client_linger = list_for(shard, LINGER_IDLE_NS, client_expired);
	view->client_unwatched = list_for(shard, UNWATCHED_NS, client_expired);
	view->upstream_idle =
		list_for(shard, timeouts->upstream_idle_ns, upstream_expired);
	view->upstream_rest =
		list_for(shard, UPSTREAM_REST_NS, upstream_expired);
	view->upstream_park =
		list_for(shard, UPSTREAM_PARK_NS, upstream_park_expired);
	view->services = memory_zalloc_lines(
		snapshot->n_services * sizeof(*view->services));
	for (i = 0; i < snapshot->n_services; i++)
		fill_service(
			shard, &view->services[i], &snapshot->services[i]);
	return view;
}

/* Scratch space grows with limits.head, and never shrinks. */
static void
fit_memory(struct shard *shard, const struct config *config)
{
	size_t head = config->limits.head;
	size_t buffer;
	size_t scratch;
	size_t i;

	for (i = 0; i < config->n_services; i++)
		if (config->services[i].limits.head > head)
			head = config->services[i].limits.head;
	buffer = head + BUFFER_BESIDE_HEAD;
	scratch = 2 * head + HEAD_GAIN_MAX + H1_FRAME_ROOM;
	if (buffer < BUFFER_MIN)
		buffer = BUFFER_MIN;
	if (buffer + sizeof(struct buffer) > shard->buffers.size) {
		pool_close(&shard->buffers);
		pool_init(&shard->buffers, sizeof(struct buffer) + buffer,
			MAX_FREE_BUFFERS);
	}
	if (scratch <= shard->scratch_size)
		return;
	shard->scratch = memory_realloc_array(shard->scratch, scratch, 1);
	shard->scratch_size = scratch;
	shard->text = memory_realloc_array(shard->text, 2 * scratch, 1);
	shard->text_size = 2 * scratch;
}

void
shard_adopt(struct shard *shard, const struct snapshot *snapshot)
{
	struct view *old = shard->view;

	shard_touch_clock(shard);
	fit_memory(shard, snapshot->config);
	shard->view = new_view(shard, snapshot);
	if (old != NULL)
		shard_give_view(shard, old);
}

/* --- listeners --------------------------------------------------------------------- */

static void
close_listener(struct shard_listener *listener)
{
	list_remove(&listener->node);
	event_free(listener->event);
	event_free(listener->resume);
	close(listener->fd);
	free(listener);
}

/* All workers' connections; each counts its own. */
static bool
is_full(const struct shard *shard)
{
	const struct registry *registry = shard->registry;
	uint64_t n = 0;
	unsigned i;

	for (i = 0; i < registry->n_workers; i++)
		n += atomic_load_explicit(&registry->workers[i].connections,
			memory_order_relaxed);
	return n >= shard->view->snapshot->config->limits.connections;
}

static void
turn_away(struct shard *shard, int fd)
{
	meter_add(&shard->counts->refused, 1);
	client_turn_away(fd);
}

static void
resume_accepting(evutil_socket_t fd, short what, void *arg)
{
	struct shard_listener *listener = arg;

	event_add(listener->event, NULL);
}

/* Or this loop would spin. */
static void
pause_accepting(struct shard_listener *listener)
{
	struct timeval pause = {0, ACCEPT_PAUSE_US};

	event_del(listener->event);
	evtimer_add(listener->resume, &pause);
}

/* Out of descriptors: the spare one takes the connection in and refuses it,
 * politely, rather than leave it waiting. */
static bool
refuse_for_want_of_descriptors(struct shard_listener *listener)
{
	struct shard *shard = listener->shard;
	struct address peer;
	int fd;

	if (shard->spare_fd < 0)
		return false;
	close(shard->spare_fd);
	fd = listener_accept(listener->fd, &peer);
	if (fd >= 0)
		turn_away(shard, fd);
	shard->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	return fd >= 0;
}

/* True if the next one may be tried. */
static bool
bear_accept_failure(struct shard_listener *listener, int failure)
{
	switch (failure) {
	case EMFILE:
	case ENFILE:
		if (refuse_for_want_of_descriptors(listener))
			return true;
		break;
	case ECONNABORTED:
	case EINTR:
	case EPROTO:
		return true;
	default:
		break;
	}
	pause_accepting(listener);
	return false;
}

static void
on_acceptable(evutil_socket_t listen_fd, short what, void *arg)
{
	struct shard_listener *listener = arg;
	struct shard *shard = listener->shard;
	struct address peer;
	int fd;
	int i;

	shard_touch_clock(shard);
	for (i = 0; i < ACCEPT_BATCH; i++) {
		fd = listener_accept((int)listen_fd, &peer);
		if (fd >= 0 && is_full(shard))
			turn_away(shard, fd);
		else if (fd >= 0)
			client_accept(shard, fd, &peer);
		else if (errno == EAGAIN)
			break;
		else if (!bear_accept_failure(listener, errno))
			return;
	}
	if (listener->is_dropped && i < ACCEPT_BATCH)
		close_listener(listener);
}

void
shard_listen(struct shard *shard, int fd)
{
	struct shard_listener *listener = memory_zalloc(sizeof(*listener));

	listener->shard = shard;
	listener->fd = fd;
	listener->event = event_new(shard->worker.base, fd,
		EV_READ | EV_PERSIST, on_acceptable, listener);
	listener->resume =
		evtimer_new(shard->worker.base, resume_accepting, listener);
	if (listener->event == NULL || listener->resume == NULL ||
		event_add(listener->event, NULL) != 0)
		abort();
	list_push_back(&shard->listeners, &listener->node);
}

static void
drop_listener(struct shard_listener *listener)
{
	listener->is_dropped = true;
	on_acceptable(listener->fd, EV_READ, listener);
}

void
shard_unlisten(struct shard *shard, int fd)
{
	struct list *node;
	struct shard_listener *listener;

	for (node = shard->listeners.next; node != &shard->listeners;
		node = node->next) {
		listener = list_entry(node, struct shard_listener, node);
		if (listener->fd != fd)
			continue;
		drop_listener(listener);
		return;
	}
}

void
shard_drain(struct shard *shard)
{
	struct list *node = shard->listeners.next;
	struct shard_listener *listener;

	shard_touch_clock(shard);
	while (node != &shard->listeners) {
		listener = list_entry(node, struct shard_listener, node);
		node = node->next;
		drop_listener(listener);
	}
	shard->is_draining = true;
	client_drain_all(shard);
	upstream_pools_each(shard, upstream_pool_close_idle);
	atomic_store(&shard->has_drained, true);
}

void
shard_set_address(struct shard *shard, struct registry_endpoint *endpoint,
	const struct address *address)
{
	struct upstream_pool *pool = upstream_pool(shard, endpoint, address);

	if (pool == NULL || address_equal(&pool->address, address))
		return;
	pool->address = *address;
	upstream_pool_close_idle(pool);
}

void
shard_free(struct shard *shard)
{
	shard_touch_clock(shard);
	eviction_free_all(shard);
	client_close_all(shard);
	upstream_pools_each(shard, upstream_pool_close_all);
	while (!list_is_empty(&shard->listeners))
		close_listener(list_entry(shard->listeners.next,
			struct shard_listener, node));
	if (shard->view != NULL)
		shard_give_view(shard, shard->view);
	access_buffer_close(&shard->access);
	worker_close(&shard->worker);
	upstream_pools_free(shard);
	pool_close(&shard->buffers);
	pool_close(&shard->exchanges);
	pool_close(&shard->watches);
	pipe_pool_close(&shard->pipes);
	if (shard->spare_fd >= 0)
		close(shard->spare_fd);
	free(shard->scratch);
	free(shard->text);
	free(shard);
}
