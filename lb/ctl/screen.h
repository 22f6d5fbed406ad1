/*
 * screen: a text that is drawn over and over at the top of a terminal, in one
 * write and over what stands there, so that nothing flickers.
 */
#ifndef PERCH_CTL_SCREEN_H
#define PERCH_CTL_SCREEN_H

/* On stdout, which is a terminal. */
void screen_begin(void);
/* Cuts what the terminal has no room for. */
void screen_draw(const char *text);
void screen_end(void);

#endif
