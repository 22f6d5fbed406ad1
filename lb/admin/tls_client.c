#include "admin/tls_client.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "base/address.h"

struct ssl_ctx_st *
tls_client_new(const char *ca, struct error *error)
{
	SSL_CTX *context = SSL_CTX_new(TLS_client_method());
	bool is_good;

	ERR_clear_error();
	errno = 0;
	if (context == NULL ||
		SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) != 1) {
		error_set(error, "no memory for TLS");
		SSL_CTX_free(context);
		return NULL;
	}
	SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
	if (ca != NULL)
		is_good = SSL_CTX_load_verify_file(context, ca) == 1;
	else
		is_good = SSL_CTX_set_default_verify_paths(context) == 1;
	if (is_good)
		return context;
	error_set(error, "can't read certificates from %s: %s",
		ca != NULL ? ca : "the system's store",
		errno != 0 ? strerror(errno) : "there are none in it");
	ERR_clear_error();
	SSL_CTX_free(context);
	return NULL;
}

/* Whose certificate it must be, and which one is asked for (SNI, which is for
 * names alone: RFC 6066 3). */
static bool
expect(SSL *ssl, const char *host)
{
	struct address ip;

	SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	if (SSL_set1_host(ssl, host) != 1)
		return false;
	/* OpenSSL copies it, though its macro takes the const away. */
	return address_parse_ip(slice_from_string(host), 0, &ip) ||
	       SSL_set_tlsext_host_name(ssl, (char *)(uintptr_t)host) == 1;
}

struct bufferevent *
tls_client_open(
	struct ssl_ctx_st *context, struct event_base *base, const char *host)
{
	struct bufferevent *bufferevent;
	SSL *ssl = SSL_new(context);

	if (ssl == NULL)
		return NULL;
	if (!expect(ssl, host)) {
		SSL_free(ssl);
		return NULL;
	}
	/* Takes the SSL over, even if it fails. */
	bufferevent = bufferevent_openssl_socket_new(base, -1, ssl,
		BUFFEREVENT_SSL_CONNECTING,
		BEV_OPT_CLOSE_ON_FREE | BEV_OPT_DEFER_CALLBACKS);
	return bufferevent;
}

bool
tls_client_explain(struct bufferevent *bufferevent, struct error *error)
{
	SSL *ssl = bufferevent_openssl_get_ssl(bufferevent);
	unsigned long problem;
	const char *reason;
	long result;

	if (ssl == NULL)
		return false;
	result = SSL_get_verify_result(ssl);
	if (result != X509_V_OK) {
		error_set(error, "its certificate is refused: %s",
			X509_verify_cert_error_string(result));
		return true;
	}
	/* Where OpenSSL has nothing to say, this is an SSL_ERROR_* and no code
	 * of an error: the socket failed. */
	problem = bufferevent_get_openssl_error(bufferevent);
	reason = ERR_GET_LIB(problem) != 0 ? ERR_reason_error_string(problem)
					   : NULL;
	if (reason == NULL)
		return false;
	error_set(error, "TLS failed: %s", reason);
	return true;
}
