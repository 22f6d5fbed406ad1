/*
 * shard: a worker's part of the proxy: all that its requests use and no other
 * worker touches.
 *
 * Owns the worker, the free lists, the upstream pools, and the views of the
 * snapshots that its requests still use. Used by client, exchange and upstream
 * on the worker's own thread; control makes it, and reaches it by messages.
 */
#ifndef PERCH_PROXY_SHARD_H
#define PERCH_PROXY_SHARD_H

#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "base/memory.h"
#include "base/pool.h"
#include "http/message.h"
#include "net/pipe.h"
#include "net/worker.h"
#include "proxy/access_log.h"
#include "proxy/registry.h"
#include "proxy/snapshot.h"

struct shard;
struct upstream_pool;

/* A worker's own of a service in a snapshot. */
struct view_service {
	alignas(MEMORY_LINE) struct timeout_list *connect;
	struct timeout_list *queue;
	struct timeout_list *response;
	struct timeout_list *response_idle;
	struct timeout_list *tunnel;
	uint32_t *cursors; /* round robin's, one for each version */
	struct timeout_list *help; /* another version's answer to a rescue */
	struct rescue_table *rescue; /* NULL where there is one version */
	struct shield *shield; /* the same, and where it is off */
	struct timeout_list
		*hang; /* for the service's patience; NULL: none yet */
	uint32_t endpoint_connections; /* the limit's part of this worker */
};

/*
 * A worker's use of a snapshot. One reference for being the current one, one
 * for each exchange (a tunnel drops its own).
 */
struct view {
	const struct snapshot *snapshot;
	uint64_t refs;
	struct view_service *services;
	struct timeout_list *client_header;
	struct timeout_list *client_body;
	struct timeout_list *client_idle;
	struct timeout_list *client_half_closed;
	struct timeout_list *client_linger;
	struct timeout_list *client_unwatched;
	struct timeout_list *upstream_idle;
	struct timeout_list *upstream_rest;
	struct timeout_list *upstream_park;
};

/* A listening socket of this worker. */
struct shard_listener {
	struct list node;
	struct shard *shard;
	struct event *event;
	struct event *resume; /* timer: accept again */
	int fd;
	bool is_dropped; /* the config has it no more: accept what waits, close */
};

/* Told on the worker's thread when the last reference to a snapshot is gone. */
typedef void shard_released_fn(const struct snapshot *snapshot, void *arg);

struct shard {
	struct worker worker;
	unsigned index;
	struct registry *registry;
	struct worker_counts *counts;
	shard_released_fn *released;
	void *released_arg;
	struct view *view; /* the current one */

	uint64_t now_ns; /* read once per event callback */
	uint64_t random;
	struct pool buffers;
	struct pool exchanges;
	struct pool watches; /* of proxy/witness */
	struct pipe_pool pipes;
	struct list clients; /* all client connections */
	struct list listeners;
	struct list evictions; /* that run */
	struct upstream_pool **pools; /* blocks of them: see upstream_pool_find */
	unsigned n_pool_blocks;
	unsigned n_lingering; /* clients that are only listened to */
	int spare_fd; /* given up to accept and refuse when descriptors are out */
	bool is_draining;
	_Atomic uint64_t n_swept; /* stamp of the last sweep: see releases */
	_Atomic bool has_drained; /* control may count connections */

	/* For the callback that runs: a head being built, and text for it. */
	char *scratch;
	size_t scratch_size;
	char *text;
	size_t text_size;
	struct message response;

	struct access_buffer access;
};

struct shard *shard_new(unsigned index, struct registry *registry,
	shard_released_fn *released, void *released_arg, struct error *error);
/* After the worker has stopped: closes every connection, frees everything. */
void shard_free(struct shard *shard);

/* --- messages: on the worker's thread, or before it starts ---------------- */

/* Makes this snapshot the current one. */
void shard_adopt(struct shard *shard, const struct snapshot *snapshot);
/* Accepts from a socket, which becomes the shard's. */
void shard_listen(struct shard *shard, int fd);
/* The config has dropped it: closed when no connection waits on it. */
void shard_unlisten(struct shard *shard, int fd);
/* Stops accepting; idle clients are closed, others after their response. */
void shard_drain(struct shard *shard);
/* A name was resolved anew. */
void shard_set_address(struct shard *shard, struct registry_endpoint *endpoint,
	const struct address *address);

/* --- on the worker's thread ------------------------------------------------ */

/* Reads the clock; the first thing a callback does. */
void shard_touch_clock(struct shard *shard);

/* splitmix64 (Steele, Lea, Flood 2014): no secret, only spread. */
uint64_t shard_random(struct shard *shard);

static inline struct view *
view_take(struct view *view)
{
	view->refs++;
	return view;
}
void shard_give_view(struct shard *shard, struct view *view);

#endif
