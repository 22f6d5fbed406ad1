#include "ctl/screen.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* ECMA-48 and what terminals have understood since the VT100. */
#define HIDE_CURSOR "\033[?25l"
#define SHOW_CURSOR "\033[?25h"
#define CLEAR "\033[2J"
#define HOME "\033[H"
#define CLEAR_REST_OF_LINE "\033[K"
#define CLEAR_REST "\033[J"

static void
find_size(unsigned *rows, unsigned *columns)
{
	struct winsize size;

	*rows = 24;
	*columns = 80;
	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0 || size.ws_row == 0 ||
		size.ws_col == 0)
		return;
	*rows = size.ws_row;
	*columns = size.ws_col;
}

/* How many bytes of a line of UTF-8 fit; the last column stays empty, as a cursor
 * behind it stands nowhere. */
static size_t
fitting(const char *line, size_t len, unsigned columns)
{
	unsigned used = 0;

	for (size_t i = 0; i < len; i++)
		if (((unsigned char)line[i] & 0xc0) != 0x80 &&
			++used == columns)
			return i;
	return len;
}

void
screen_begin(void)
{
	/* What a terminal is sent by lines it shows by lines. */
	setvbuf(stdout, NULL, _IOFBF, 65536);
	fputs(HIDE_CURSOR HOME CLEAR, stdout);
}

void
screen_draw(const char *text)
{
	unsigned rows, columns;

	find_size(&rows, &columns);
	fputs(HOME, stdout);
	for (unsigned row = 1; *text != '\0'; row++) {
		size_t len = strcspn(text, "\n");

		fwrite(text, 1, fitting(text, len, columns), stdout);
		fputs(CLEAR_REST_OF_LINE, stdout);
		/* A line end in the last row would scroll. */
		if (row >= rows)
			break;
		fputs("\r\n", stdout);
		text += len + (text[len] == '\n');
	}
	fputs(CLEAR_REST, stdout);
	fflush(stdout);
}

void
screen_end(void)
{
	fputs(SHOW_CURSOR, stdout);
	fflush(stdout);
}
