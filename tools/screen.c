/* SPDX-License-Identifier: Apache-2.0 */
/*
 * screen: the terminal as a window to draw on.
 *
 * idea
 *	The alternate screen, without a cursor, echo and lines; keys that make
 *	signals go on making them.  Signals are blocked but while ppoll() waits,
 *	so that none comes between a look and the wait, and handlers only take
 *	a note.
 *
 * restoring
 *	The terminal is given back on screen_close(), when the program stops,
 *	and by a signal that ends it at once, a fault of its own or the segment
 *	cut off under it among them: what is written and called then is allowed
 *	in a handler.  Not by SIGKILL; `reset` helps.
 *	Who is in the background has been stopped while drawing or has nothing
 *	to give back: the terminal is another's then and is left alone.
 */
#include "screen.h"
#include "steady.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

enum { SCREEN_ROWS = 24, SCREEN_COLUMNS = 80, KEYS_BYTES = 64 };

static const int noted_signals[] = {SIGINT,  SIGTERM,  SIGHUP, SIGQUIT,
				    SIGTSTP, SIGWINCH, SIGCONT};
static const int deadly_signals[] = {SIGBUS, SIGSEGV, SIGABRT, SIGFPE, SIGILL};

enum {
	NOTED = sizeof noted_signals / sizeof noted_signals[0],
	DEADLY = sizeof deadly_signals / sizeof deadly_signals[0]
};

static struct {
	struct termios before;
	struct sigaction noted[NOTED];
	struct sigaction deadly[DEADLY];
	sigset_t mask;
} screen;

/* relaxed, all of them: notes of handlers, nothing is passed on by them */
static atomic_int screen_is_shown;
static atomic_int noted_end;
static atomic_int noted_stop;
static atomic_int noted_draw;

static const char shown[] = "\033[?1049h\033[?25l\033[H\033[2J";
static const char hidden[] = "\033[0m\033[?25h\033[?1049l";

static int flag_take(atomic_int *flag)
{
	return atomic_exchange_explicit(flag, 0, memory_order_relaxed);
}

static void flag_set(atomic_int *flag, int value)
{
	atomic_store_explicit(flag, value, memory_order_relaxed);
}

/* ---- the terminal ------------------------------------------------------- */

int screen_is_there(void)
{
	const char *term = getenv("TERM");

	return isatty(STDIN_FILENO) && isatty(STDOUT_FILENO) && term && *term &&
	       strcmp(term, "dumb") != 0;
}

int screen_is_styled(void)
{
	const char *plain = getenv("NO_COLOR");

	return isatty(STDOUT_FILENO) && (!plain || !*plain);
}

int screen_write(const char *text, size_t size)
{
	while (size) {
		ssize_t done = write(STDOUT_FILENO, text, size);

		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return errno;
		text += done;
		size -= (size_t)done;
	}
	return 0;
}

/* In a handler, too. */
static void screen_hide(void)
{
	if (!flag_take(&screen_is_shown) ||
	    tcgetpgrp(STDOUT_FILENO) != getpgrp())
		return;
	(void)screen_write(hidden, sizeof hidden - 1);
	(void)tcsetattr(STDIN_FILENO, TCSADRAIN, &screen.before);
}

static int screen_show(void)
{
	struct termios raw = screen.before;

	raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
	raw.c_cc[VMIN] = 1;
	raw.c_cc[VTIME] = 0;
	while (tcsetattr(STDIN_FILENO, TCSADRAIN, &raw))
		if (errno != EINTR)
			return errno;
	flag_set(&screen_is_shown, 1);
	return screen_write(shown, sizeof shown - 1);
}

void screen_size(int *rows, int *columns)
{
	struct winsize size;
	int known = !ioctl(STDOUT_FILENO, TIOCGWINSZ, &size);

	*rows = known && size.ws_row ? size.ws_row : SCREEN_ROWS;
	*columns = known && size.ws_col ? size.ws_col : SCREEN_COLUMNS;
}

/* ---- signals ------------------------------------------------------------ */

static void note(int number)
{
	if (number == SIGTSTP)
		flag_set(&noted_stop, 1);
	else if (number == SIGWINCH)
		flag_set(&noted_draw, 1);
	else if (number == SIGCONT)
		flag_set(&noted_draw, SIGCONT);
	else
		flag_set(&noted_end, number);
}

/* The handler is gone: it dies of the signal once it is not blocked. */
static void die(int number)
{
	screen_hide();
	(void)raise(number);
}

static int signals_catch(void)
{
	struct sigaction action = {.sa_handler = note};
	sigset_t set;

	sigemptyset(&set);
	for (int i = 0; i < NOTED; i++)
		sigaddset(&set, noted_signals[i]);
	if (sigprocmask(SIG_BLOCK, &set, &screen.mask))
		return errno;
	for (int i = 0; i < NOTED; i++) {
		sigaction(noted_signals[i], NULL, &screen.noted[i]);
		/* nohup's wish is respected */
		if (screen.noted[i].sa_handler != SIG_IGN)
			sigaction(noted_signals[i], &action, NULL);
	}
	action.sa_handler = die;
	action.sa_flags = (int)SA_RESETHAND;
	for (int i = 0; i < DEADLY; i++)
		sigaction(deadly_signals[i], &action, &screen.deadly[i]);
	return 0;
}

static void signals_leave(void)
{
	for (int i = 0; i < DEADLY; i++)
		sigaction(deadly_signals[i], &screen.deadly[i], NULL);
	for (int i = 0; i < NOTED; i++)
		sigaction(noted_signals[i], &screen.noted[i], NULL);
	sigprocmask(SIG_SETMASK, &screen.mask, NULL);
}

/* Stops as if nothing had been caught, and comes back. */
static void screen_stop(void)
{
	struct sigaction stop = {.sa_handler = SIG_DFL};
	struct sigaction before;
	sigset_t set;

	screen_hide();
	sigemptyset(&set);
	sigaddset(&set, SIGTSTP);
	sigaction(SIGTSTP, &stop, &before);
	(void)raise(SIGTSTP);
	sigprocmask(SIG_UNBLOCK, &set, NULL); /* here it stops */
	sigprocmask(SIG_BLOCK, &set, NULL);
	sigaction(SIGTSTP, &before, NULL);
	flag_set(&noted_draw, SIGCONT);
}

/* ---- what others call --------------------------------------------------- */

int screen_open(void)
{
	int err;

	if (tcgetattr(STDIN_FILENO, &screen.before))
		return errno;
	err = signals_catch();
	if (err)
		return err;
	err = screen_show();
	if (err)
		screen_close();
	return err;
}

void screen_close(void)
{
	screen_hide();
	signals_leave();
}

int screen_signal(void)
{
	return atomic_load_explicit(&noted_end, memory_order_relaxed);
}

static int keys_wait(void)
{
	struct pollfd keys = {.fd = STDIN_FILENO, .events = POLLIN};

	return poll(&keys, 1, 0) > 0;
}

/* A key, or what came after an escape: arrows are told, all else is not. */
static int screen_key(void)
{
	char rest[KEYS_BYTES];
	unsigned char key;
	ssize_t size = read(STDIN_FILENO, &key, 1);

	if (size < 0 && (errno == EINTR || errno == EAGAIN))
		return SCREEN_DRAW;
	if (size <= 0) {
		flag_set(&noted_end, SIGHUP);
		return SCREEN_SIGNAL;
	}
	if (key != '\033')
		return key && key < 0x80 ? key : SCREEN_DRAW;
	size = keys_wait() ? read(STDIN_FILENO, rest, sizeof rest) : 0;
	if (size < 2)
		return SCREEN_DRAW;
	return rest[1] == 'A'	? SCREEN_UP
	       : rest[1] == 'B' ? SCREEN_DOWN
				: SCREEN_DRAW;
}

/* What handlers have noted; SCREEN_TIME: nothing. */
static int screen_noted(void)
{
	int draw;

	if (screen_signal())
		return SCREEN_SIGNAL;
	if (flag_take(&noted_stop))
		screen_stop();
	draw = flag_take(&noted_draw);
	if (draw == SIGCONT && screen_show()) {
		flag_set(&noted_end, SIGHUP);
		return SCREEN_SIGNAL;
	}
	return draw ? SCREEN_DRAW : SCREEN_TIME;
}

int screen_wait(uint64_t until_ns)
{
	struct pollfd keys = {.fd = STDIN_FILENO, .events = POLLIN};
	struct timespec left;
	uint64_t now_ns = steady_ns();
	uint64_t wait_ns = until_ns > now_ns ? until_ns - now_ns : 0;
	int event, ready;

	left.tv_sec = (time_t)(wait_ns / 1000000000u);
	left.tv_nsec = (long)(wait_ns % 1000000000u);
	ready = ppoll(&keys, 1, &left, &screen.mask);
	event = screen_noted();
	if (event != SCREEN_TIME)
		return event;
	if (ready < 0)
		return SCREEN_DRAW;
	return ready ? screen_key() : SCREEN_TIME;
}
