/*
 * herd: what the herd's files share. herd.c has the clients and the clock,
 * herd_wire.c the connections, herd_answer.c reads answers.
 */
#ifndef PERCH_TESTS_RELEASE_HERD_H
#define PERCH_TESTS_RELEASE_HERD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { HERD_STEPS_MAX = 8, HERD_JAR_MAX = 4, HERD_TEXT_MAX = 160 };

struct herd_cookie {
	char name[48];
	char value[128];
};

struct herd_client {
	struct herd_cookie jar[HERD_JAR_MAX];
	char page[32]; /* the version of the page that it has open */
	unsigned step; /* of its visit: the next one */
	bool is_busy;
};

/* An answer, as far as anybody wants to know. */
struct herd_answer {
	int status; /* 0: none, or not all of it */
	int grpc; /* -1: no grpc-status */
	char version[32]; /* X-Version; "-" where perch answered itself */
	bool is_rescued;
	bool is_last; /* the connection ends with it */
};

/* The bytes of a whole answer at the start of data, 0 if more is to come, -1 if
 * it is none. Cookies go to jar. */
long herd_answer_parse(const char *data, size_t len, struct herd_answer *answer,
	struct herd_cookie jar[HERD_JAR_MAX]);

struct herd_connection {
	int fd;
	unsigned number;
	struct herd_connection *next_idle;
	struct herd_client *client; /* whose request is out; NULL: idle */
	unsigned step;
	uint64_t due_us, sent_us;
	size_t used;
	char buf[16384];
};

/* Puts data on the wire by an idle connection or a new one; NULL: by none. */
struct herd_connection *herd_wire_send(const char *data, size_t len);
/* So many connections are open, and none is idle. */
bool herd_wire_is_full(unsigned most);
/* Waits until now_us() is until_us, or less long; calls done() for each answer,
 * with status 0 where a connection broke before. */
typedef void herd_done_fn(
	struct herd_connection *connection, const struct herd_answer *answer);
void herd_wire_open(int port, unsigned n_connections, herd_done_fn *done);
void herd_wire_wait(uint64_t until_us);
/* Ends what is still out. */
void herd_wire_give_up(void);

uint64_t herd_now_us(void); /* monotonic */

#endif
