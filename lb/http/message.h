/*
 * message: a parsed head (request or response) as spans over its buffer.
 *
 * A span counts from message.base, so a head that moves (a buffer is compacted
 * or copied) stays valid when base is changed. Filled by http/h1_parse, and by
 * HTTP/2 from decoded fields; read by routing, stickiness and forwarding,
 * which never learn which protocol it came by. No allocation.
 */
#ifndef PERCH_HTTP_MESSAGE_H
#define PERCH_HTTP_MESSAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

/* The most fields a head can have; limits.fields is at most this. */
#define MESSAGE_FIELDS_MAX 250

struct span {
	uint32_t start; /* from message.base */
	uint32_t len;
};

enum http_method {
	HTTP_GET,
	HTTP_HEAD,
	HTTP_POST,
	HTTP_PUT,
	HTTP_DELETE,
	HTTP_OPTIONS,
	HTTP_TRACE,
	HTTP_PATCH,
	HTTP_CONNECT,
	HTTP_OTHER,
};

/* Fields that something in perch looks at; all others are FIELD_OTHER. */
enum field_id {
	FIELD_OTHER,
	FIELD_ACCEPT,
	FIELD_CACHE_CONTROL,
	/* What only a proxy says of its client, by any of many names: Forwarded,
	 * X-Forwarded-Port, X-Real-IP, ...; see field.c. */
	FIELD_CLAIM,
	FIELD_CONNECTION,
	FIELD_CONTENT_LENGTH,
	FIELD_CONTENT_TYPE,
	FIELD_COOKIE,
	FIELD_EXPECT,
	FIELD_EXPIRES,
	FIELD_HOST,
	FIELD_IF_MATCH,
	FIELD_IF_MODIFIED_SINCE,
	FIELD_IF_NONE_MATCH,
	FIELD_IF_RANGE,
	FIELD_IF_UNMODIFIED_SINCE,
	FIELD_KEEP_ALIVE,
	FIELD_ORIGIN,
	FIELD_PROXY_CONNECTION,
	FIELD_RANGE,
	FIELD_REFERER,
	FIELD_SEC_FETCH_DEST,
	FIELD_SEC_FETCH_MODE,
	FIELD_SEC_FETCH_SITE,
	FIELD_SEC_PURPOSE,
	FIELD_SET_COOKIE,
	FIELD_TARGETED_CACHE_CONTROL, /* for caches of one kind: RFC 9213 */
	FIELD_TE,
	FIELD_TRAILER,
	FIELD_TRANSFER_ENCODING,
	FIELD_UPGRADE,
	FIELD_USER_AGENT,
	FIELD_VIA,
	FIELD_X_FORWARDED_FOR,
	FIELD_X_FORWARDED_HOST,
	FIELD_X_FORWARDED_PROTO,
	FIELD_X_PERCH_KEY,
	FIELD_X_REQUEST_ID,
	FIELD_COUNT, /* at most 64: message.seen is a bit set */
};

struct field {
	uint32_t name;      /* offset of the name, which starts the line */
	uint32_t value;     /* offset of the value, no OWS at its ends */
	uint32_t value_len;
	uint16_t name_len;
	uint16_t id;        /* enum field_id */
};

/* How the end of the body is known (RFC 9112 6.3). */
enum body_kind {
	BODY_NONE,
	BODY_LENGTH,
	BODY_CHUNKED,
	BODY_UNTIL_CLOSE, /* responses; and both ways once a tunnel runs */
};

struct message {
	const char *base;
	uint32_t head_len; /* from base, with the empty line */

	/* Requests. */
	uint8_t method; /* enum http_method */
	bool is_absolute_form; /* target was "http://host/..." */
	bool has_upgrade;      /* Connection: upgrade and an Upgrade field, HTTP/1.1 */
	bool expects_continue; /* Expect: 100-continue, HTTP/1.1, with a body */
	struct span method_name;
	struct span target;    /* as received */
	struct span path;      /* origin form with query; "*" for OPTIONS * */
	struct span host;      /* of Host, or of an absolute-form target */

	/* Responses. */
	uint16_t status;
	struct span reason;

	/* Both. */
	uint8_t version_minor; /* HTTP/1.x: 0 or 1 */
	uint8_t body;          /* enum body_kind */
	bool keep_alive;       /* by version and Connection */
	uint16_t n_fields;
	uint64_t content_length; /* where body is BODY_LENGTH, and of a response to HEAD */
	uint64_t seen;           /* bit 1 << id for each id that occurs, but FIELD_OTHER */
	struct field fields[MESSAGE_FIELDS_MAX];
};

static inline struct slice
message_slice(const struct message *message, struct span span)
{
	return (struct slice){message->base + span.start, span.len};
}

static inline struct slice
message_field_name(const struct message *message, const struct field *field)
{
	return (struct slice){message->base + field->name, field->name_len};
}

static inline struct slice
message_field_value(const struct message *message, const struct field *field)
{
	return (struct slice){message->base + field->value, field->value_len};
}

static inline bool
message_has(const struct message *message, enum field_id id)
{
	return message->seen >> id & 1;
}

/* The value of the first field of that id; ptr is NULL if there is none. */
struct slice message_find(const struct message *message, enum field_id id);
/* The same by name, case ignored. */
struct slice message_find_name(
	const struct message *message, struct slice name);
/* Is the token an element of a list of that name, case ignored? A list may come
 * in several fields (RFC 9110 5.3). */
bool message_lists(
	const struct message *message, struct slice name, struct slice token);
/* The value of the first cookie of that name in any Cookie field; ptr is NULL
 * if there is none. */
struct slice message_find_cookie(
	const struct message *message, struct slice name);

#endif
