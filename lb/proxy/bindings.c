#include "proxy/bindings.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/memory.h"
#include "net/listener.h"

struct binding {
	struct address address;
	int *fds; /* one for each worker */
	struct binding *next;
};

static void
close_binding(struct binding *binding, unsigned n_workers)
{
	unsigned i;

	for (i = 0; i < n_workers; i++)
		if (binding->fds[i] >= 0)
			close(binding->fds[i]);
	free(binding->fds);
	free(binding);
}

static struct binding *
find_binding(struct bindings *bindings, const struct address *address)
{
	struct binding *binding;

	for (binding = bindings->first; binding != NULL;
		binding = binding->next)
		if (address_equal(&binding->address, address))
			return binding;
	return NULL;
}

static struct binding *
open_binding(struct bindings *bindings, const struct address *address,
	struct error *error)
{
	struct binding *binding = memory_zalloc(sizeof(*binding));
	unsigned i;

	binding->address = *address;
	binding->fds = memory_zalloc_array(
		bindings->n_workers, sizeof(*binding->fds));
	for (i = 0; i < bindings->n_workers; i++)
		binding->fds[i] = -1;
	for (i = 0; i < bindings->n_workers; i++) {
		binding->fds[i] = listener_open(address, error);
		if (binding->fds[i] < 0) {
			close_binding(binding, bindings->n_workers);
			return NULL;
		}
	}
	return binding;
}

void
bindings_discard(struct bindings *bindings, struct binding *opened)
{
	struct binding *binding;

	while ((binding = opened) != NULL) {
		opened = binding->next;
		close_binding(binding, bindings->n_workers);
	}
}

bool
bindings_prepare(struct bindings *bindings, const struct config *config,
	struct binding **opened, struct error *error)
{
	struct binding *binding;
	size_t i;

	*opened = NULL;
	/* All before any is opened: one may cover another. */
	for (i = 0; i < config->n_listeners; i++)
		if (find_binding(bindings, &config->listeners[i].bind) ==
				NULL &&
			!listener_is_free(&config->listeners[i].bind, error))
			return false;
	for (i = 0; i < config->n_listeners; i++) {
		if (find_binding(bindings, &config->listeners[i].bind) != NULL)
			continue;
		binding = open_binding(
			bindings, &config->listeners[i].bind, error);
		if (binding == NULL)
			goto fail;
		binding->next = *opened;
		*opened = binding;
	}
	return true;
fail:
	bindings_discard(bindings, *opened);
	*opened = NULL;
	return false;
}

struct socket_message {
	struct shard *shard;
	int fd;
};

static void
run_listen(void *arg)
{
	struct socket_message *message = arg;

	shard_listen(message->shard, message->fd);
	free(message);
}

static void
run_unlisten(void *arg)
{
	struct socket_message *message = arg;

	shard_unlisten(message->shard, message->fd);
	free(message);
}

static void
post_sockets(struct bindings *bindings, const struct binding *binding,
	worker_message_fn *run)
{
	struct socket_message *message;
	unsigned i;

	for (i = 0; i < bindings->n_workers; i++) {
		message = memory_zalloc(sizeof(*message));
		message->shard = bindings->shards[i];
		message->fd = binding->fds[i];
		worker_post(&bindings->shards[i]->worker, run, message);
	}
}

/* The workers own the sockets from here on; these are only their numbers. */
static void
add_bindings(struct bindings *bindings, struct binding *opened)
{
	struct binding *binding;

	while ((binding = opened) != NULL) {
		opened = binding->next;
		post_sockets(bindings, binding, run_listen);
		binding->next = bindings->first;
		bindings->first = binding;
	}
}

static bool
config_has(const struct config *config, const struct address *address)
{
	size_t i;

	for (i = 0; i < config->n_listeners; i++)
		if (address_equal(&config->listeners[i].bind, address))
			return true;
	return false;
}

static void
drop_bindings(struct bindings *bindings, const struct config *config)
{
	struct binding **at = &bindings->first;
	struct binding *binding;

	while ((binding = *at) != NULL) {
		if (config_has(config, &binding->address)) {
			at = &binding->next;
			continue;
		}
		*at = binding->next;
		post_sockets(bindings, binding, run_unlisten);
		free(binding->fds);
		free(binding);
	}
}

void
bindings_commit(struct bindings *bindings, const struct config *config,
	struct binding *opened)
{
	add_bindings(bindings, opened);
	drop_bindings(bindings, config);
}

void
bindings_free(struct bindings *bindings)
{
	struct binding *binding;

	while ((binding = bindings->first) != NULL) {
		bindings->first = binding->next;
		free(binding->fds);
		free(binding);
	}
}
