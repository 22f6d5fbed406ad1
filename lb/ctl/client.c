#include "ctl/client.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/address.h"
#include "base/clock.h"
#include "base/memory.h"

#define UNIX_PREFIX "unix:"
#define CONNECT_LIMIT_NS (3 * CLOCK_NS_PER_S)
#define EXCHANGE_LIMIT_NS (15 * CLOCK_NS_PER_S)
#define RESPONSE_MAX (256u << 20)

struct connection {
	int fd;
	uint64_t deadline_ns;
	char host[ADDRESS_TEXT_SIZE]; /* for the Host field */
};

/* What was received so far. */
struct received {
	char *data;
	size_t len;
	size_t size;
};

/* --- the socket ------------------------------------------------------------ */

/* False with errno ETIMEDOUT after the deadline. */
static bool
wait_for(const struct connection *connection, short events)
{
	struct pollfd poll_fd = {.fd = connection->fd, .events = events};

	for (;;) {
		uint64_t now_ns = clock_monotonic_ns();
		uint64_t left_ms;
		int n;

		if (now_ns >= connection->deadline_ns) {
			errno = ETIMEDOUT;
			return false;
		}
		left_ms = (connection->deadline_ns - now_ns) / CLOCK_NS_PER_MS;
		n = poll(&poll_fd, 1, (int)left_ms + 1);
		if (n > 0)
			return true;
		if (n < 0)
			return false;
	}
}

/* False with errno. */
static bool
connect_to(struct connection *connection, const struct sockaddr *address,
	socklen_t len)
{
	int problem = 0;
	socklen_t problem_len = sizeof(problem);

	connection->fd = socket(address->sa_family,
		SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (connection->fd < 0)
		return false;
	connection->deadline_ns = clock_monotonic_ns() + CONNECT_LIMIT_NS;
	if (connect(connection->fd, address, len) == 0)
		return true;
	if (errno != EINPROGRESS)
		goto fail;
	if (!wait_for(connection, POLLOUT))
		goto fail;
	getsockopt(
		connection->fd, SOL_SOCKET, SO_ERROR, &problem, &problem_len);
	if (problem == 0)
		return true;
	errno = problem;
fail:
	problem = errno;
	close(connection->fd);
	connection->fd = -1;
	errno = problem;
	return false;
}

static bool
connect_unix(
	struct connection *connection, const char *path, struct error *error)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	memcpy(address.sun_path, path, strlen(path));
	strcpy(connection->host, "localhost");
	if (connect_to(connection, (const struct sockaddr *)&address,
		    sizeof(address)))
		return true;
	error_set(error, "can't reach perch at unix:%s: %s", path,
		strerror(errno));
	return false;
}

/* perch takes no names as Host but localhost: so it gets the address. */
static void
set_host(struct connection *connection, const struct addrinfo *info)
{
	struct address address = {0};

	memcpy(&address, info->ai_addr, info->ai_addrlen);
	address_format(&address, connection->host);
}

static bool
connect_tcp(
	struct connection *connection, const char *text, struct error *error)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
	struct addrinfo *all, *info;
	char host[ADDRESS_HOST_SIZE];
	char service[8];
	uint16_t port;
	int problem;

	if (!address_split(slice_from_string(text), 0, host, &port)) {
		error_set(error, "\"%s\" is no HOST:PORT", text);
		return false;
	}
	snprintf(service, sizeof(service), "%u", port);
	problem = getaddrinfo(host, service, &hints, &all);
	if (problem != 0) {
		error_set(error, "can't resolve %s: %s", host,
			gai_strerror(problem));
		return false;
	}
	for (info = all; info != NULL; info = info->ai_next) {
		if (!connect_to(connection, info->ai_addr, info->ai_addrlen))
			continue;
		set_host(connection, info);
		break;
	}
	if (info == NULL)
		error_set(error, "can't reach perch at %s: %s", text,
			strerror(errno));
	freeaddrinfo(all);
	return info != NULL;
}

static bool
send_all(const struct connection *connection, const char *data, size_t len)
{
	while (len > 0) {
		ssize_t n = send(connection->fd, data, len, MSG_NOSIGNAL);

		if (n > 0) {
			data += n;
			len -= (size_t)n;
		} else if (n < 0 && errno == EAGAIN) {
			if (!wait_for(connection, POLLOUT))
				return false;
		} else if (n < 0 && errno != EINTR) {
			return false;
		}
	}
	return true;
}

/* Everything until the other side closes, as it was asked to. */
static bool
receive_all(const struct connection *connection, struct received *received)
{
	for (;;) {
		ssize_t n;

		if (received->size - received->len < 4096) {
			if (received->size > RESPONSE_MAX) {
				errno = EMSGSIZE;
				return false;
			}
			received->size = received->size * 2 + 16384;
			received->data = memory_realloc_array(
				received->data, received->size, 1);
		}
		/* One byte stays free for a NUL. */
		n = recv(connection->fd, received->data + received->len,
			received->size - received->len - 1, 0);
		if (n == 0)
			return true;
		if (n > 0)
			received->len += (size_t)n;
		else if (errno == EAGAIN && !wait_for(connection, POLLIN))
			return false;
		else if (errno != EAGAIN && errno != EINTR)
			return false;
	}
}

/* --- HTTP ------------------------------------------------------------------ */

/* The value of a header field, or len 0. head: all lines after the first. */
static struct slice
find_field(struct slice head, struct slice name)
{
	while (head.len > 0) {
		const char *end = memchr(head.ptr, '\n', head.len);
		size_t len = end != NULL ? (size_t)(end - head.ptr) : head.len;
		struct slice line = {head.ptr, len};
		struct slice field = {head.ptr, name.len};

		if (line.len > name.len && line.ptr[name.len] == ':' &&
			slice_equal_nocase(field, name)) {
			line.ptr += name.len + 1;
			line.len -= name.len + 1;
			if (line.len > 0 && line.ptr[line.len - 1] == '\r')
				line.len--;
			return slice_trim(line);
		}
		if (end == NULL)
			break;
		head.ptr += len + 1;
		head.len -= len + 1;
	}
	return (struct slice){NULL, 0};
}

/* Joins chunks in place (RFC 9112 7.1). False if the last one is missing. */
static bool
join_chunks(char *body, size_t *len)
{
	size_t at = 0, joined = 0;

	while (at < *len) {
		char *end;
		unsigned long size = strtoul(body + at, &end, 16);
		const char *line_end = strstr(end, "\r\n");

		if (end == body + at || line_end == NULL)
			return false;
		at = (size_t)(line_end - body) + 2;
		if (size == 0) {
			*len = joined;
			return true;
		}
		if (at > *len || size > *len - at)
			return false;
		memmove(body + joined, body + at, size);
		joined += size;
		at += size + 2;
	}
	return false;
}

/* Takes the received bytes apart; the body is moved to their start. */
static bool
parse_response(struct received *received, struct client_response *response)
{
	struct slice head, length;
	const char *head_end;
	size_t head_len;

	received->data[received->len] = '\0';
	head_end = strstr(received->data, "\r\n\r\n");
	if (head_end == NULL || sscanf(received->data, "HTTP/1.%*1[01] %3d",
					&response->status) != 1)
		return false;
	head_len = (size_t)(head_end - received->data) + 4;
	head = (struct slice){received->data, head_len};
	response->len = received->len - head_len;
	length = find_field(head, SLICE("Content-Length"));
	if (find_field(head, SLICE("Transfer-Encoding")).len > 0) {
		if (!join_chunks(received->data + head_len, &response->len))
			return false;
	} else if (length.len > 0) {
		unsigned long long len = strtoull(length.ptr, NULL, 10);

		if (response->len < len)
			return false;
		response->len = (size_t)len;
	}
	memmove(received->data, received->data + head_len, response->len);
	received->data[response->len] = '\0';
	response->body = received->data;
	return true;
}

static bool
send_request(
	const struct connection *connection, const char *path, const char *json)
{
	size_t body_len = json != NULL ? strlen(json) : 0;
	char head[1024];
	int len;

	len = snprintf(head, sizeof(head),
		"%s %s HTTP/1.1\r\n"
		"Host: %s\r\n"
		"Accept: application/json\r\n"
		"Connection: close\r\n",
		json != NULL ? "POST" : "GET", path, connection->host);
	if (json != NULL && len > 0 && (size_t)len < sizeof(head))
		len += snprintf(head + len, sizeof(head) - (size_t)len,
			"Content-Type: application/json\r\n"
			"Content-Length: %zu\r\n",
			body_len);
	if (len < 0 || (size_t)len + 2 >= sizeof(head)) {
		errno = EMSGSIZE;
		return false;
	}
	memcpy(head + len, "\r\n", 2);
	return send_all(connection, head, (size_t)len + 2) &&
	       send_all(connection, json, body_len);
}

static bool
is_unix(const char *address)
{
	return strncmp(address, UNIX_PREFIX, sizeof(UNIX_PREFIX) - 1) == 0;
}

bool
client_check_address(const char *address, struct error *error)
{
	const struct sockaddr_un *room = NULL;
	char host[ADDRESS_HOST_SIZE];
	size_t path_len;
	uint16_t port;

	if (is_unix(address)) {
		path_len = strlen(address) - (sizeof(UNIX_PREFIX) - 1);
		if (path_len > 0 && path_len < sizeof(room->sun_path))
			return true;
		error_set(error, "the path of a unix socket has 1 to %zu bytes",
			sizeof(room->sun_path) - 1);
		return false;
	}
	if (address_split(slice_from_string(address), 0, host, &port))
		return true;
	error_set(error, "\"%s\" is neither HOST:PORT nor unix:PATH", address);
	return false;
}

bool
client_ask(const char *address, const char *path, const char *json,
	struct client_response *response, struct error *error)
{
	struct connection connection = {.fd = -1};
	struct received received = {0};
	bool is_connected;

	*response = (struct client_response){0};
	if (!client_check_address(address, error))
		return false;
	is_connected =
		is_unix(address)
			? connect_unix(&connection,
				  address + sizeof(UNIX_PREFIX) - 1, error)
			: connect_tcp(&connection, address, error);
	if (!is_connected)
		return false;
	connection.deadline_ns = clock_monotonic_ns() + EXCHANGE_LIMIT_NS;
	if (!send_request(&connection, path, json) ||
		!receive_all(&connection, &received)) {
		error_set(error, "no answer from %s: %s", address,
			strerror(errno));
		goto fail;
	}
	if (!parse_response(&received, response)) {
		error_set(error, "%s doesn't answer like perch", address);
		goto fail;
	}
	close(connection.fd);
	return true;

fail:
	free(received.data);
	close(connection.fd);
	return false;
}

void
client_response_free(struct client_response *response)
{
	free(response->body);
	*response = (struct client_response){0};
}
