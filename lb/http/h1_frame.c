#include "http/h1_frame.h"

#include <stdint.h>
#include <string.h>

#include "http/h1_write.h"

/* What ends a chunk, and the body. */
static char *
append_chunk_end(char *out, const struct h1_frame *frame)
{
	if (frame->body.len > 0)
		out = slice_append(out, SLICE("\r\n"));
	if (!frame->is_end)
		return out;
	out = slice_append(out, SLICE("0\r\n"));
	out = slice_append(out, frame->trailers);
	return slice_append(out, SLICE("\r\n"));
}

int
h1_frame(const struct h1_frame *frame, char *scratch, size_t used,
	struct iovec iov[3])
{
	struct slice body = frame->body;
	char *end = scratch + used;
	char *tail;
	int n = 0;

	if (frame->is_chunked && body.len > 0)
		end += h1_write_chunk_size(end, body.len);
	if (body.len <= H1_FRAME_GATHER_MAX) {
		end = slice_append(end, body);
		if (frame->is_chunked)
			end = append_chunk_end(end, frame);
		iov[0] = (struct iovec){scratch, (size_t)(end - scratch)};
		return iov[0].iov_len > 0;
	}
	if (end > scratch)
		iov[n++] = (struct iovec){scratch, (size_t)(end - scratch)};
	iov[n++] = (struct iovec){(void *)(uintptr_t)body.ptr, body.len};
	if (frame->is_chunked) {
		tail = append_chunk_end(end, frame);
		iov[n++] = (struct iovec){end, (size_t)(tail - end)};
	}
	return n;
}

struct slice
h1_frame_run_head(const struct h1_run *run, char room[20])
{
	if (run->length == 0)
		return SLICE_NONE;
	return (struct slice){room, h1_write_chunk_size(room, run->length)};
}

struct slice
h1_frame_run_tail(const struct h1_run *run)
{
	return run->is_end ? SLICE("\r\n") : SLICE_NONE;
}
