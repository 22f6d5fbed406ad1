/*
 * failing: calls that fail on demand, in the workers of a running perch; and a
 * disk that is slow, to its journal.
 *
 * Loaded by LD_PRELOAD in front of the C library (perchtest/failing.py builds
 * it and tells it what to do): what a test wants is in a file, named by the
 * environment's FAILING, that both map. A call of the kind that is armed goes
 * well `skip` times, then fails `times` times with `error`; of calls on sockets
 * only those count that have `port` on either end, if that isn't 0. Whatever is
 * armed, recv() on a socket with `paused_port` waits as long as that isn't 0.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

/* The order is perchtest/failing.py's too. */
enum call {
	CALL_NONE,
	CALL_MEMORY,
	CALL_SOCKET,
	CALL_CONNECT,
	CALL_CONNECT_AT_ONCE, /* doesn't fail, but waits until it stands */
	CALL_RECV,
	CALL_SEND,
	CALL_SPLICE,
	CALL_PIPE,
	CALL_EPOLL,
	CALL_SEND_ONE, /* sends one byte of what it was given */
	CALL_SYNC_HANGS, /* the journal's fsync() does so */
	CALL_SYNC_LASTS, /* it takes SYNC_US */
};

/* More than the judge lets pass from one look to the next. */
#define SYNC_US 400000

struct control {
	atomic_int call;
	atomic_int skip;
	atomic_int times;
	atomic_int error;
	atomic_int port;
	atomic_int n_failed;
	atomic_int paused_port;
	atomic_int n_paused;
};

static struct control nothing;
static struct control *control = &nothing;

static __attribute__((constructor)) void
map_control(void)
{
	const char *path = getenv("FAILING");
	int fd = path != NULL ? open(path, O_RDWR | O_CLOEXEC) : -1;
	void *memory;

	if (fd < 0)
		return;
	memory = mmap(NULL, sizeof(struct control), PROT_READ | PROT_WRITE,
		MAP_SHARED, fd, 0);
	if (memory != MAP_FAILED)
		control = memory;
	close(fd);
}

/* Whose calls of that kind fail. */
static bool
is_its_thread(enum call call)
{
	const char *wanted = call == CALL_SYNC_HANGS || call == CALL_SYNC_LASTS
				     ? "journal"
				     : "worker-";
	char name[16] = "";

	pthread_getname_np(pthread_self(), name, sizeof(name));
	return strncmp(name, wanted, strlen(wanted)) == 0;
}

static bool
has_peer(int fd)
{
	struct sockaddr_storage peer;
	socklen_t len = sizeof(peer);

	return getpeername(fd, (struct sockaddr *)&peer, &len) == 0;
}

static bool
has_port(int fd, int port)
{
	struct sockaddr_in here = {0};
	struct sockaddr_in there = {0};
	socklen_t len = sizeof(here);

	getsockname(fd, (struct sockaddr *)&here, &len);
	len = sizeof(there);
	getpeername(fd, (struct sockaddr *)&there, &len);
	return ntohs(here.sin_port) == port || ntohs(there.sin_port) == port;
}

/* fd: -1 where the call has none. */
static bool
must_fail(enum call call, int fd)
{
	if (control->call != (int)call || !is_its_thread(call) ||
		(fd >= 0 && control->port != 0 && !has_port(fd, control->port)))
		return false;
	if (control->skip > 0) {
		control->skip--;
		return false;
	}
	if (control->times <= 0)
		return false;
	control->times--;
	control->n_failed++;
	/* It is what it is said to be. */
	if (fd >= 0 && control->error == ECONNRESET)
		shutdown(fd, SHUT_RDWR);
	errno = control->error;
	return true;
}

/* Of the workers' sockets. */
static void
pause_at(int fd)
{
	int port = control->paused_port;

	if (port == 0 || !is_its_thread(CALL_RECV) || !has_port(fd, port))
		return;
	control->n_paused++;
	while (control->paused_port != 0)
		usleep(200);
}

/* --- memory ------------------------------------------------------------------ */

/* What is asked for while dlsym() looks the real ones up; never given back. */
static char early[64 * 1024];
static size_t n_early;

static void *
take_early(size_t size)
{
	void *memory = early + n_early;

	n_early += (size + 15) & ~(size_t)15;
	if (n_early > sizeof(early))
		abort();
	return memory;
}

static __thread bool is_looking;

#define REAL(name)                                                             \
	static __typeof__(name) *real;                                         \
	if (real == NULL && !is_looking) {                                     \
		is_looking = true;                                             \
		real = (__typeof__(name) *)dlsym(RTLD_NEXT, #name);            \
		is_looking = false;                                            \
	}

void *
malloc(size_t size)
{
	REAL(malloc)
	if (real == NULL)
		return take_early(size);
	return must_fail(CALL_MEMORY, -1) ? NULL : real(size);
}

void *
calloc(size_t n, size_t size)
{
	REAL(calloc)
	if (real == NULL)
		return take_early(n * size);
	return must_fail(CALL_MEMORY, -1) ? NULL : real(n, size);
}

void *
aligned_alloc(size_t alignment, size_t size)
{
	REAL(aligned_alloc)
	if (real == NULL)
		abort();
	return must_fail(CALL_MEMORY, -1) ? NULL : real(alignment, size);
}

void *
realloc(void *old, size_t size)
{
	REAL(realloc)
	if (real == NULL)
		abort();
	return must_fail(CALL_MEMORY, -1) ? NULL : real(old, size);
}

void
free(void *memory)
{
	REAL(free)
	if ((char *)memory >= early && (char *)memory < early + sizeof(early))
		return;
	if (real != NULL)
		real(memory);
}

/* --- descriptors -------------------------------------------------------------- */

int
socket(int domain, int type, int protocol)
{
	REAL(socket)
	return must_fail(CALL_SOCKET, -1) ? -1 : real(domain, type, protocol);
}

static int
connect_at_once(int fd, const struct sockaddr *address, socklen_t len)
{
	int flags = fcntl(fd, F_GETFL);
	int result;
	REAL(connect)

	fcntl(fd, F_SETFL, flags & ~O_NONBLOCK);
	result = real(fd, address, len);
	fcntl(fd, F_SETFL, flags);
	return result;
}

int
connect(int fd, const struct sockaddr *address, socklen_t len)
{
	REAL(connect)
	if (must_fail(CALL_CONNECT_AT_ONCE, -1))
		return connect_at_once(fd, address, len);
	return must_fail(CALL_CONNECT, -1) ? -1 : real(fd, address, len);
}

ssize_t
recv(int fd, void *buf, size_t len, int flags)
{
	REAL(recv)

	pause_at(fd);
	return must_fail(CALL_RECV, fd) ? -1 : real(fd, buf, len, flags);
}

ssize_t
send(int fd, const void *buf, size_t len, int flags)
{
	REAL(send)
	if (len > 0 && must_fail(CALL_SEND_ONE, fd))
		len = 1;
	return must_fail(CALL_SEND, fd) ? -1 : real(fd, buf, len, flags);
}

ssize_t
sendmsg(int fd, const struct msghdr *message, int flags)
{
	REAL(sendmsg)
	struct msghdr one = *message;
	struct iovec piece;

	if (message->msg_iovlen > 0 && message->msg_iov[0].iov_len > 0 &&
		must_fail(CALL_SEND_ONE, fd)) {
		piece = (struct iovec){message->msg_iov[0].iov_base, 1};
		one.msg_iov = &piece;
		one.msg_iovlen = 1;
	}
	return must_fail(CALL_SEND, fd) ? -1 : real(fd, &one, flags);
}

int
fsync(int fd)
{
	REAL(fsync)

	while (must_fail(CALL_SYNC_HANGS, -1))
		usleep(200);
	if (must_fail(CALL_SYNC_LASTS, -1))
		usleep(SYNC_US);
	return real(fd);
}

ssize_t
splice(int in, off64_t *in_offset, int out, off64_t *out_offset, size_t len,
	unsigned flags)
{
	REAL(splice)
	int fd = has_peer(in) ? in : out;

	return must_fail(CALL_SPLICE, fd)
		       ? -1
		       : real(in, in_offset, out, out_offset, len, flags);
}

int
pipe2(int fds[2], int flags)
{
	REAL(pipe2)
	return must_fail(CALL_PIPE, -1) ? -1 : real(fds, flags);
}

int
epoll_ctl(int epoll, int what, int fd, struct epoll_event *event)
{
	REAL(epoll_ctl)
	/* Taking one out never fails for want of anything. */
	if (what != EPOLL_CTL_DEL && must_fail(CALL_EPOLL, -1))
		return -1;
	return real(epoll, what, fd, event);
}
