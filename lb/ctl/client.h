/*
 * client: one HTTP/1.1 exchange with perch's admin server, blocking, with a
 * time limit for the whole of it. perchctl is its only user.
 */
#ifndef PERCH_CTL_CLIENT_H
#define PERCH_CTL_CLIENT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

struct client_response {
	int status;
	char *body; /* NUL-terminated; free it with client_response_free() */
	size_t len;
};

/*
 * address: "HOST:PORT" or "unix:PATH". json: the body of a POST; NULL for a
 * GET. False with the reason if no whole answer came.
 */
bool client_ask(const char *address, const char *path, const char *json,
	struct client_response *response, struct error *error)
	__attribute__((warn_unused_result));

/* False with the reason if address is neither. */
bool client_check_address(const char *address, struct error *error)
	__attribute__((warn_unused_result));

void client_response_free(struct client_response *response);

#endif
