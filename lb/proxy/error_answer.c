#include "proxy/error_answer.h"

#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "http/h1_write.h"

#define DATE_SIZE 40

static struct slice
http_date(struct forward_text *text)
{
	time_t now = (time_t)(clock_wall_ns() / CLOCK_NS_PER_S);
	char *out = forward_text_take(text, DATE_SIZE);
	struct tm utc;

	if (out == NULL || gmtime_r(&now, &utc) == NULL)
		return (struct slice){NULL, 0};
	return (struct slice){out, strftime(out, DATE_SIZE,
		"%a, %d %b %Y %H:%M:%S GMT", &utc)};
}

struct slice
error_answer(unsigned status, struct slice accept, struct slice request_id,
	struct forward_text *text, struct forward_head *head)
{
	char *room = forward_text_take(text, ERROR_ANSWER_MAX);
	struct slice page = {room, 0};

	memset(head, 0, sizeof(*head));
	if (room != NULL)
		page.len = h1_error_page(
			status, accept, request_id, room, ERROR_ANSWER_MAX);
	head->status = status;
	head->reason = h1_status_reason(status);
	head->body = BODY_LENGTH;
	head->content_length = page.len;
	forward_add(head, SLICE("Date"), http_date(text));
	forward_add(
		head, SLICE("Content-Type"), h1_error_content_type(accept));
	forward_add(head, SLICE("Cache-Control"), SLICE("no-store"));
	if (status == 405)
		forward_add(head, SLICE("Allow"),
			SLICE("GET, HEAD, POST, PUT, DELETE, OPTIONS, PATCH"));
	return page;
}
