/*
 * tls_client: TLS for requests that perch makes itself, on an event base:
 * OpenSSL under libevent's bufferevents.
 *
 * The server must show a certificate for its name or address, by somebody who
 * is trusted; from TLS 1.2 on. There is no way to leave that out.
 */
#ifndef PERCH_ADMIN_TLS_CLIENT_H
#define PERCH_ADMIN_TLS_CLIENT_H

#include <stdbool.h>

#include "base/error.h"

struct bufferevent;
struct event_base;
struct ssl_ctx_st;

/* ca: a PEM file of those who are trusted instead of whom the system trusts;
 * may be NULL. NULL with the reason if it can't be read. SSL_CTX_free() it. */
struct ssl_ctx_st *tls_client_new(const char *ca, struct error *error);

/* Not yet connected. host: a name or an IP address. NULL if memory is out. */
struct bufferevent *tls_client_open(
	struct ssl_ctx_st *context, struct event_base *base, const char *host);

/* Why it failed; false, and error as it was, if that had nothing to do with
 * TLS. bufferevent may be one without TLS. */
bool tls_client_explain(struct bufferevent *bufferevent, struct error *error);

#endif
