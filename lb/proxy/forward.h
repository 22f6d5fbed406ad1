/*
 * forward: what a head gains and loses on its way through.
 *
 * A head that goes out is the fields of the one that came in, less those that
 * are dropped, plus some extra ones, under a start line of its own. Building it
 * copies whole runs of kept lines; nothing is parsed again. What goes for both
 * directions is in forward.c, what a request or a response gains and loses in
 * forward_request.c and forward_response.c. Pure but for the caller's text
 * space.
 */
#ifndef PERCH_PROXY_FORWARD_H
#define PERCH_PROXY_FORWARD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/address.h"
#include "http/message.h"

#define FORWARD_EXTRAS_MAX 12

struct forward_field {
	struct slice name;
	struct slice value;
};

struct forward_head {
	const struct message *message; /* NULL: extras only */
	uint64_t dropped[(MESSAGE_FIELDS_MAX + 63) / 64]; /* by index */
	struct forward_field extras[FORWARD_EXTRAS_MAX];
	unsigned n_extras;
	bool is_overfull; /* an extra was lost: it must not go out */
	/* Requests. */
	struct slice method;
	struct slice target;
	/* Responses. */
	unsigned status;
	struct slice reason;
	/* The body, as the receiver will see it. */
	enum body_kind body;
	uint64_t content_length; /* own answers with BODY_LENGTH */
	bool is_bodiless; /* HEAD, 204, 304: no body whatever the fields say */
};

/* Space for values that are put together; valid until it is reset. */
struct forward_text {
	char *ptr;
	size_t len;
	size_t cap;
};

/* NULL if it doesn't fit. */
char *forward_text_take(struct forward_text *text, size_t len);

void forward_drop(struct forward_head *head, unsigned index);
/* One too many makes the head overfull, which no writer lets out. */
void forward_add(
	struct forward_head *head, struct slice name, struct slice value);

/* --- what both directions lose ---------------------------------------------- */

bool forward_is_dropped(const struct forward_head *head, unsigned index);
void forward_drop_named(struct forward_head *head, struct slice name);
/* A value of Connection: what it names goes no further (RFC 9110 7.6.1). */
void forward_drop_connection(struct forward_head *head, struct slice value);
/* One plain Content-Length goes through as it is; a list of equal ones, or
 * several fields, were folded by the parser: the first plain one stands. */
void forward_keep_one_length(
	struct forward_head *head, unsigned index, bool *has_length);
/* Says the length anew where no plain one stands. False if text is too small. */
bool forward_restore_length(struct forward_head *head,
	struct forward_text *text, bool has_length);

/*
 * Is this one of the protocols that are let through? Of a list to choose from,
 * an endpoint could take what nobody asked about.
 */
bool forward_is_upgrade(
	struct slice upgrade, char *const *protocols, size_t n_protocols);

/* --- requests: forward_request.c -------------------------------------------- */

/* Who the client is. */
struct forward_client {
	const struct address *peer;
	bool is_trusted;   /* peer is one of trusted_proxies */
	struct slice scheme; /* "http" */
};

struct forward_request_options {
	struct forward_client client;
	struct slice request_id;      /* to send */
	bool keeps_request_id;        /* the one that came is the one to send */
	struct slice override_header; /* sticky.header */
	struct slice override_value;  /* "service=version" */
	struct slice cookie_name;     /* taken out of Cookie, like the next */
	struct slice former_cookie_name;
	struct slice foreign_cookie;  /* but not this value; len 0: none */
	/* forwarded_fields: what anybody may say like a proxy. */
	char *const *claims;
	size_t n_claims;
	bool passes_underscores;      /* disguised fields: see proxy/disguise */
	struct slice default_host;    /* where the client named none */
	bool drops_conditions;        /* If-* and Range: another version's */
	/* The protocol for which Connection and Upgrade go through; or none. */
	struct slice upgrade;
};

/* False if text was too small. */
bool forward_request(const struct message *request,
	const struct forward_request_options *options,
	struct forward_text *text, struct forward_head *head);

/* A request's trailer section, or nothing if it has a field that this proxy
 * vouches for, a claim, or a disguised one. */
struct slice forward_trailers(struct slice trailers,
	const struct forward_request_options *options);

/* Has the request a field that passes for another one? */
bool forward_is_disguised(const struct message *request,
	const struct forward_request_options *options);

/* The client's address: the peer's, or behind trusted proxies the last of
 * X-Forwarded-For that is not one of them. */
struct address forward_client_address(const struct message *request,
	const struct address *peer, const struct cidr *trusted,
	size_t n_trusted);

/* --- responses: forward_response.c ------------------------------------------ */

struct forward_response_options {
	struct slice upgrade;    /* to which a 101 switches; len 0: none */
	bool makes_private;      /* Cache-Control: public, s-maxage -> private */
	bool drops_targeted;     /* CDN-Cache-Control and its kin */
	bool makes_uncacheable;  /* Cache-Control: no-store */
	struct slice rescued_by; /* X-Perch-Rescued: VERSION; len 0: none */
	struct slice shielded_by; /* X-Perch-Shielded: VERSION; len 0: none */
	struct slice set_cookie; /* len 0: none */
};

bool forward_response(const struct message *response,
	const struct forward_response_options *options,
	struct forward_text *text, struct forward_head *head);

/* Is a shared cache told to keep this answer: by Cache-Control, Expires, or a
 * field for caches of some kind, which overrules these (RFC 9213)? */
bool forward_is_shared_cacheable(const struct message *response);
/* Is it kept from doing so, by private or no-store? */
bool forward_forbids_sharing(const struct message *response);

/* Is it a page, by its type? */
bool forward_is_html(const struct message *response);

/* --- writing --------------------------------------------------------------- */

/*
 * Writes an HTTP/1.1 head. Returns its length, 0 if it doesn't fit.
 * connection is "close", "keep-alive" or empty (nothing is said).
 */
size_t forward_write_request(
	const struct forward_head *head, char *out, size_t cap);
size_t forward_write_response(const struct forward_head *head,
	struct slice connection, char *out, size_t cap);

#endif
