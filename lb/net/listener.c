#include "net/listener.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define BACKLOG 4096

static bool
take_both_families(int fd, const struct address *address)
{
	int off = 0;

	/* "[::]" takes IPv4 too, whatever the system's default says. */
	return address->any.sa_family != AF_INET6 ||
	       setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off)) ==
		       0;
}

static void
set_listen_error(const struct address *address, struct error *error)
{
	char text[ADDRESS_TEXT_SIZE];
	int failure = errno;

	address_format(address, text);
	error_set(error, "cannot listen on %s: %s", text, strerror(failure));
}

bool
listener_is_free(const struct address *address, struct error *error)
{
	int on = 1;
	int fd;
	bool is_free;

	fd = socket(address->any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	/* Without SO_REUSEPORT a bind fails where any socket listens. */
	is_free = fd >= 0 &&
		  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) ==
			  0 &&
		  take_both_families(fd, address) &&
		  bind(fd, &address->any, address_len(address)) == 0;
	if (!is_free)
		set_listen_error(address, error);
	if (fd >= 0)
		close(fd);
	return is_free;
}

int
listener_open(const struct address *address, struct error *error)
{
	int on = 1;
	int fd;

	fd = socket(address->any.sa_family,
		SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		goto fail;
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0 ||
		setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) != 0)
		goto fail;
	if (!take_both_families(fd, address))
		goto fail;
	/* Accepted sockets inherit it, which saves a call for each. */
	if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) != 0)
		goto fail;
	if (bind(fd, &address->any, address_len(address)) != 0 ||
		listen(fd, BACKLOG) != 0)
		goto fail;
	return fd;
fail:
	set_listen_error(address, error);
	if (fd >= 0)
		close(fd);
	return -1;
}

int
listener_accept(int fd, struct address *peer)
{
	struct sockaddr_storage from;
	socklen_t len = sizeof(from);
	int accepted;

	accepted = accept4(fd, (struct sockaddr *)&from, &len,
		SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (accepted < 0)
		return -1;
	memcpy(peer, &from, sizeof(*peer));
	return accepted;
}
