#include "admin/bind.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <event2/http.h>
#include <event2/listener.h>

#include "base/address.h"
#include "base/log.h"
#include "base/memory.h"

#define BACKLOG 64
#define SOCKET_MODE 0660
#define UNIX_PREFIX "unix:"

static bool
is_unix_text(const char *text)
{
	return strncmp(text, UNIX_PREFIX, sizeof(UNIX_PREFIX) - 1) == 0;
}

static int
open_socket(int family)
{
	return socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

static int
open_tcp(const char *text, struct error *error)
{
	char host[ADDRESS_HOST_SIZE];
	struct address address;
	struct slice name;
	uint16_t port;
	int one = 1;
	int fd;

	if (!address_split(slice_from_string(text), 0, host, &port)) {
		error_set(error, "admin.bind: \"%s\" is no HOST:PORT", text);
		return -1;
	}
	name = strcmp(host, "localhost") == 0 ? SLICE("127.0.0.1")
					      : slice_from_string(host);
	if (!address_parse_ip(name, port, &address)) {
		error_set(error,
			"admin.bind: \"%s\": only an IP address, localhost or "
			"unix:PATH can be bound",
			text);
		return -1;
	}
	fd = open_socket(address.any.sa_family);
	if (fd < 0 ||
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) <
			0 ||
		bind(fd, &address.any, address_len(&address)) < 0) {
		error_set(error, "can't bind the admin server to %s: %s", text,
			strerror(errno));
		if (fd >= 0)
			close(fd);
		return -1;
	}
	return fd;
}

/* True if the path has a socket on which nobody listens any more. */
static bool
is_stale(const struct sockaddr_un *address)
{
	struct stat info;
	bool is_refused;
	int fd;

	if (lstat(address->sun_path, &info) < 0 || !S_ISSOCK(info.st_mode))
		return false;
	fd = open_socket(AF_UNIX);
	if (fd < 0)
		return false;
	is_refused = connect(fd, (const struct sockaddr *)address,
			     sizeof(*address)) < 0 &&
		     errno == ECONNREFUSED;
	close(fd);
	return is_refused;
}

static bool
bind_path(int fd, const struct sockaddr_un *address)
{
	socklen_t len = sizeof(*address);

	if (bind(fd, (const struct sockaddr *)address, len) == 0)
		return true;
	if (errno != EADDRINUSE)
		return false;
	if (!is_stale(address) || unlink(address->sun_path) < 0) {
		errno = EADDRINUSE;
		return false;
	}
	return bind(fd, (const struct sockaddr *)address, len) == 0;
}

static int
open_unix(const char *text, struct bind *out, struct error *error)
{
	const char *path = text + sizeof(UNIX_PREFIX) - 1;
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct stat info;
	int fd;

	if (*path == '\0' || strlen(path) >= sizeof(address.sun_path)) {
		error_set(error,
			"admin.bind: \"%s\": the path must have 1 to %zu "
			"bytes",
			text, sizeof(address.sun_path) - 1);
		return -1;
	}
	memcpy(address.sun_path, path, strlen(path));
	fd = open_socket(AF_UNIX);
	/* Before bind(), so that the file never has a wider mode than this;
	 * the chmod() then takes back what the umask took. */
	if (fd < 0 || fchmod(fd, SOCKET_MODE) < 0 || !bind_path(fd, &address) ||
		chmod(path, SOCKET_MODE) < 0 || lstat(path, &info) < 0) {
		error_set(error, "can't bind the admin server to %s: %s", text,
			strerror(errno));
		if (fd >= 0)
			close(fd);
		return -1;
	}
	out->device = info.st_dev;
	out->inode = info.st_ino;
	return fd;
}

/* Out of descriptors: the connection stays in the queue, and the listener
 * would be ready again at once, and again, until bind_resume(). */
static void
pause_accepting(struct evconnlistener *listener, void *arg)
{
	log_warn("admin: can't accept: %s", strerror(errno));
	evconnlistener_disable(listener);
}

struct bind *
bind_open(struct event_base *base, const char *text, struct error *error)
{
	struct bind *bind = memory_zalloc(sizeof(*bind));
	int fd;

	bind->text = memory_strdup(text);
	bind->is_unix = is_unix_text(text);
	fd = bind->is_unix ? open_unix(text, bind, error)
			   : open_tcp(text, error);
	if (fd < 0)
		goto fail;
	if (listen(fd, BACKLOG) < 0)
		goto fail_listen;
	bind->listener = evconnlistener_new(base, NULL, NULL,
		LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC |
			LEV_OPT_DISABLED,
		0, fd);
	if (bind->listener == NULL)
		goto fail_listen;
	evconnlistener_set_error_cb(bind->listener, pause_accepting);
	return bind;

fail_listen:
	error_set(error, "the admin server can't listen on %s: %s", text,
		strerror(errno));
	close(fd);
fail:
	bind_close(bind);
	return NULL;
}

bool
bind_serve(struct bind *bind, struct evhttp *http)
{
	bind->bound = evhttp_bind_listener(http, bind->listener);
	if (bind->bound == NULL)
		return false;
	bind->http = http;
	return evconnlistener_enable(bind->listener) == 0;
}

void
bind_resume(struct bind *bind)
{
	evconnlistener_enable(bind->listener);
}

static void
remove_file(const struct bind *bind)
{
	const char *path = bind->text + sizeof(UNIX_PREFIX) - 1;
	struct stat info;

	if (lstat(path, &info) == 0 && info.st_dev == bind->device &&
		info.st_ino == bind->inode)
		unlink(path);
}

void
bind_close(struct bind *bind)
{
	if (bind->is_unix && bind->inode != 0)
		remove_file(bind);
	if (bind->bound != NULL)
		evhttp_del_accept_socket(bind->http, bind->bound);
	else if (bind->listener != NULL)
		evconnlistener_free(bind->listener);
	free(bind->text);
	free(bind);
}
