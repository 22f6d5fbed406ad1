/*
 * listener: listening sockets, one per worker and address.
 *
 * Sockets are made once by the control thread (SO_REUSEPORT) and kept over
 * reloads: closing one resets the connections queued on it. A worker accepts
 * from its own.
 */
#ifndef PERCH_NET_LISTENER_H
#define PERCH_NET_LISTENER_H

#include <stdbool.h>

#include "base/address.h"
#include "base/error.h"

/* Is nobody else listening there? SO_REUSEPORT alone would share an address with
 * another process of the same user, and so take half of its connections. */
bool listener_is_free(const struct address *address, struct error *error);

/* A bound, listening, non-blocking socket; -1 if it can't be had. */
int listener_open(const struct address *address, struct error *error);

/* The next connection, non-blocking, TCP_NODELAY; -1 with errno set
 * (EAGAIN: none waits; EMFILE, ENFILE: no descriptor for it). */
int listener_accept(int fd, struct address *peer);

#endif
