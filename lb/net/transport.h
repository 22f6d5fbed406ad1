/*
 * transport: how bytes leave and arrive: a plain socket today, TLS behind the
 * same four calls.
 *
 * Owned by a connection. Calls never block. A plain socket needs no state of
 * its own but the descriptor.
 */
#ifndef PERCH_NET_TRANSPORT_H
#define PERCH_NET_TRANSPORT_H

#include <stdbool.h>
#include <sys/types.h>
#include <sys/uio.h>

struct transport;

/* Results below 0; at or above 0 is a number of bytes. */
enum transport_result {
	TRANSPORT_AGAIN = -1,  /* would block */
	TRANSPORT_FAILED = -2, /* reset, or any other error: close it */
};

struct transport_ops {
	/* 0 is end of file. */
	ssize_t (*read)(struct transport *transport, void *buf, size_t len);
	ssize_t (*write)(
		struct transport *transport, const struct iovec *iov, int n);
	/* Says that nothing more will be written. */
	void (*shutdown)(struct transport *transport);
	void (*close)(struct transport *transport);
};

struct transport {
	const struct transport_ops *ops;
	int fd;
};

extern const struct transport_ops transport_plain;

static inline ssize_t
transport_read(struct transport *transport, void *buf, size_t len)
{
	return transport->ops->read(transport, buf, len);
}

/* n is 1 to 3. */
static inline ssize_t
transport_write(struct transport *transport, const struct iovec *iov, int n)
{
	return transport->ops->write(transport, iov, n);
}

static inline void
transport_shutdown(struct transport *transport)
{
	transport->ops->shutdown(transport);
}

/* Closes the descriptor; it is -1 then. */
static inline void
transport_close(struct transport *transport)
{
	transport->ops->close(transport);
}

/* So that the peer sees a reset, not a clean end. */
void transport_abort(struct transport *transport);

#endif
