/*
 * url: where an HTTP request goes, as one word: http://host:port/path?query.
 *
 * Pure text; the config checks with it what an operator wrote, and a webhook
 * takes it apart again.
 */
#ifndef PERCH_BASE_URL_H
#define PERCH_BASE_URL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/address.h"
#include "base/error.h"
#include "base/slice.h"

#define URL_MAX_LEN 2048
/* Room for a host with brackets, port and NUL. */
#define URL_AUTHORITY_SIZE (ADDRESS_HOST_SIZE + 8)

struct url {
	bool is_https;
	char host
		[ADDRESS_HOST_SIZE]; /* no brackets, lower-cased, no last dot */
	uint16_t port; /* the scheme's own where none is written */
	struct slice target; /* from the path on, in the text that was parsed */
};

/*
 * http or https, a host, maybe a port, maybe a path and query in ASCII (RFC
 * 3986). Users, passwords and fragments are refused. False with the reason,
 * which doesn't quote the text: it may have a secret in it.
 */
bool url_parse(struct slice text, struct url *out, struct error *error)
	__attribute__((warn_unused_result));

/* "host", "host:8080", "[::1]": the port where it isn't the scheme's own (RFC
 * 9110 7.2). */
void url_format_authority(const struct url *url, char out[URL_AUTHORITY_SIZE]);

#endif
