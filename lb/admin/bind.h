/*
 * bind: the admin server's listening sockets, TCP and unix.
 *
 * A unix socket's file gets mode 0660 and goes when its bind is closed. One
 * that was left behind is replaced, one that somebody answers on is not.
 */
#ifndef PERCH_ADMIN_BIND_H
#define PERCH_ADMIN_BIND_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/error.h"

struct event_base;
struct evconnlistener;
struct evhttp;
struct evhttp_bound_socket;

struct bind {
	char *text; /* as in the config */
	bool is_unix;
	struct evconnlistener *listener;
	/* Once it serves: */
	struct evhttp *http;
	struct evhttp_bound_socket *bound; /* owns the listener then */
	/* What our socket file is known by, so that no other's is removed. */
	dev_t device;
	ino_t inode;
	struct bind *next; /* of the server's */
};

/* "HOST:PORT" (port 0: any), "[v6]:PORT" or "unix:PATH". HOST is an IP address
 * or "localhost". Listens, but accepts for nobody yet. NULL with the reason. */
struct bind *bind_open(
	struct event_base *base, const char *text, struct error *error);

/* Connections go to http from now on; http must outlive the bind. False if
 * memory is out. */
bool bind_serve(struct bind *bind, struct evhttp *http);

/* Accepts again if it stopped for want of descriptors. Call it now and then. */
void bind_resume(struct bind *bind);

/* Stops listening, removes the socket's file, frees. */
void bind_close(struct bind *bind);

#endif
