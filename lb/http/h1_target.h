/*
 * h1_target: which of the four forms a request's target has, and what path
 * and host it says (RFC 9112 3.2). Pure; for h1_parse.
 */
#ifndef PERCH_HTTP_H1_TARGET_H
#define PERCH_HTTP_H1_TARGET_H

#include "http/message.h"

/*
 * Sets path, is_absolute_form and, where the target says it, host from method
 * and target, whose bytes have been checked. Returns NULL, or what is wrong.
 */
const char *h1_target_split(struct message *message);

#endif
