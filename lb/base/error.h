/*
 * error: a message for a person, filled in by control-side functions that
 * return false. The data path uses enums instead.
 */
#ifndef PERCH_BASE_ERROR_H
#define PERCH_BASE_ERROR_H

struct error {
	char message[1024];
};

/* Writes the message, cut to what fits. error may be NULL. */
void error_set(struct error *error, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

#endif
