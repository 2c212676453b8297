/* SPDX-License-Identifier: Apache-2.0 */
/* The terminal as a window to draw on; screen.c. */
#ifndef TOOLS_SCREEN_H
#define TOOLS_SCREEN_H

#include <stddef.h>
#include <stdint.h>

/* What came, if not a key, which is its character. */
enum screen_event {
	SCREEN_TIME = 0,    /* it is as late as was said */
	SCREEN_DRAW = -1,   /* another size, or what was shown is gone */
	SCREEN_SIGNAL = -2, /* a signal, or the terminal's end, ends this */
	SCREEN_UP = -3,
	SCREEN_DOWN = -4
};

/* Whether there is a terminal, to draw on and to read keys from. */
int screen_is_there(void);

/* Whether it may have colours. */
int screen_is_styled(void);

/* 0, or an errno; whoever opened it closes it. */
int screen_open(void);
void screen_close(void);

void screen_size(int *rows, int *columns);

/* Writes all of it; 0, or an errno. */
int screen_write(const char *text, size_t size);

/*
 * Waits until the monotonic clock shows `until_ns` for a key or an event; a
 * stop (control Z) and its end are seen to.
 */
int screen_wait(uint64_t until_ns);

/* The signal that ended it, SIGHUP if it was the terminal's end; 0: none. */
int screen_signal(void);

#endif
