/*
 * h1_line: one field line of a head or of a trailer section, checked and
 * taken apart (RFC 9112 5). Pure; for h1_parse and h1_body.
 */
#ifndef PERCH_HTTP_H1_LINE_H
#define PERCH_HTTP_H1_LINE_H

#include "http/message.h"

/*
 * Parses the line that starts at buf + *pos into *field, its id included, and
 * moves *pos behind its CRLF; no byte from buf + end on is read. False if it
 * is malformed or has no CRLF before end: *why then says what is wrong.
 */
bool h1_line_parse(const char *buf, uint32_t end, uint32_t *pos,
	struct field *field, const char **why);

/*
 * The first byte from p on that can't stand in a field value or a reason
 * phrase: the CR of the line's end, if all is well. end if there is none.
 */
const char *h1_line_skip_text(const char *p, const char *end);

#endif
