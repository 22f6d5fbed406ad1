/*
 * bad_answer: what was wrong with a malformed answer, told to the log, the access
 * log and the metrics.
 *
 * The reasons are the parser's words. Of those there is a closed list, so that a
 * counter for each is bounded whatever endpoints send.
 */
#ifndef PERCH_PROXY_BAD_ANSWER_H
#define PERCH_PROXY_BAD_ANSWER_H

/* The last one stands for those that the list lacks. */
#define BAD_ANSWER_REASONS 31

struct exchange;

/* why is a static string. On the worker's thread, before the exchange is told. */
void bad_answer_note(struct exchange *exchange, const char *why);

/* The reason number index, from 0. */
const char *bad_answer_reason(unsigned index);

#endif
