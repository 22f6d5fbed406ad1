/*
 * access_log: a line for each request, in the format that the config says.
 *
 * The file is opened by control and shared; each worker gathers lines in a
 * buffer of its own and leaves them with the log's outlet when it is full or a
 * second old. A file that takes nothing costs lines, which are counted, and
 * never a worker's time.
 */
#ifndef PERCH_PROXY_ACCESS_LOG_H
#define PERCH_PROXY_ACCESS_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/slice.h"
#include "config/config.h"

struct event;
struct event_base;
struct outlet;

struct access_log {
	struct outlet *outlet;
	char *file;
	enum config_access_format format;
	unsigned n_users; /* snapshots; control only */
};

/* Control's: NULL with an error if the file can't be opened. */
struct access_log *access_log_open(const char *file,
	enum config_access_format format, struct error *error);
/* After a rotation: what comes now goes to a new file. */
void access_log_reopen(struct access_log *log);
void access_log_close(struct access_log *log);
/* Lines lost since the start, of all there were. */
uint64_t access_log_dropped(void);

/* What a line tells. Slices with len 0 are shown as "-" or left out. */
struct access_record {
	uint64_t wall_ns;
	struct slice client; /* address */
	struct slice method;
	struct slice target;
	struct slice host;
	unsigned version_minor; /* more than 1: it isn't known */
	unsigned status;
	uint64_t bytes_in;
	uint64_t bytes_out;
	struct slice referer;
	struct slice user_agent;
	struct slice service;
	struct slice version;
	struct slice reason; /* for the version */
	struct slice rescued_by; /* the version whose answer was used instead */
	struct slice shielded_by; /* the same, where a candidate had failed */
	struct slice endpoint;
	struct slice error;
	struct slice cause; /* in words: what was wrong */
	struct slice request_id;
	uint64_t upstream_ns; /* to first byte; 0: no response came */
	uint64_t total_ns;
};

#define ACCESS_BUFFER_SIZE (64 * 1024)

/* A worker's own. */
struct access_buffer {
	const struct access_log *log; /* of the lines in it */
	char *data;
	size_t len;
	struct event *flush_timer;
};

bool access_buffer_init(struct access_buffer *buffer, struct event_base *base);
void access_buffer_close(struct access_buffer *buffer);
/* Leaves what it holds with the outlet. */
void access_buffer_flush(struct access_buffer *buffer);
void access_buffer_add(struct access_buffer *buffer,
	const struct access_log *log, const struct access_record *record);

#endif
