/*
 * error_answer: perch's own answers, where there is no backend's to pass on.
 */
#ifndef PERCH_PROXY_ERROR_ANSWER_H
#define PERCH_PROXY_ERROR_ANSWER_H

#include "proxy/forward.h"

/* The most bytes of a page. */
#define ERROR_ANSWER_MAX 1024

/* Fills head and returns the page, small, plain or JSON by Accept; both are
 * valid as long as text. */
struct slice error_answer(unsigned status, struct slice accept,
	struct slice request_id, struct forward_text *text,
	struct forward_head *head);

#endif
