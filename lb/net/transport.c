#include "net/transport.h"

#include <errno.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>

static ssize_t
result(ssize_t n)
{
	if (n >= 0)
		return n;
	/* EWOULDBLOCK is the same on Linux. */
	if (errno == EAGAIN || errno == EINTR)
		return TRANSPORT_AGAIN;
	return TRANSPORT_FAILED;
}

static ssize_t
plain_read(struct transport *transport, void *buf, size_t len)
{
	return result(recv(transport->fd, buf, len, 0));
}

/* One piece goes by send: the kernel's way to sendmsg is longer. */
static ssize_t
plain_write(struct transport *transport, const struct iovec *iov, int n)
{
	struct msghdr message = {0};

	if (n == 1)
		return result(send(transport->fd, iov[0].iov_base,
			iov[0].iov_len, MSG_NOSIGNAL));
	message.msg_iov = (struct iovec *)(uintptr_t)iov;
	message.msg_iovlen = (size_t)n;
	return result(sendmsg(transport->fd, &message, MSG_NOSIGNAL));
}

static void
plain_shutdown(struct transport *transport)
{
	shutdown(transport->fd, SHUT_WR);
}

static void
plain_close(struct transport *transport)
{
	close(transport->fd);
	transport->fd = -1;
}

const struct transport_ops transport_plain = {
	.read = plain_read,
	.write = plain_write,
	.shutdown = plain_shutdown,
	.close = plain_close,
};

void
transport_abort(struct transport *transport)
{
	struct linger linger = {.l_onoff = 1, .l_linger = 0};

	setsockopt(transport->fd, SOL_SOCKET, SO_LINGER, &linger,
		sizeof(linger));
	transport_close(transport);
}
