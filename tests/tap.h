/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tap: writes the Test Anything Protocol, and makes random tests repeatable.
 *
 * idea
 *	test_begin() first, then any number of claims, `return done_testing();`
 *	last: the plan is written at the end.  A claim that fails says where
 *	it stands and what it saw; every claim returns its condition, so that
 *	a loop may stop at the first failure.
 *
 *	A random test takes its seed from test_seed(), which prints it; the
 *	same seed in COPPICE_TEST_SEED gives the same run.
 *
 * limits
 *	Claims belong to the main thread of the main process.  Threads and
 *	children count their failures, and the main thread claims there are
 *	none.
 */
#ifndef TESTS_TAP_H
#define TESTS_TAP_H

#include <execinfo.h>
#include <inttypes.h>
#include <math.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/*
 * What looks on, and how much less it lets a test do in the same time.  The
 * address sanitizer holds back what was freed, too.
 */
#if defined(__SANITIZE_THREAD__)
#define TEST_TSAN 1
#elif defined(__SANITIZE_ADDRESS__)
#define TEST_ASAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define TEST_TSAN 1
#elif __has_feature(address_sanitizer)
#define TEST_ASAN 1
#endif
#endif
#ifndef TEST_TSAN
#define TEST_TSAN 0
#endif
#ifndef TEST_ASAN
#define TEST_ASAN 0
#endif
#ifdef COP_SCALAR_ONLY
#define TEST_SCALAR 1
#else
#define TEST_SCALAR 0
#endif
#define TEST_SANITIZED (TEST_ASAN || TEST_TSAN)
/* What is repeated is repeated less in builds that are not released. */
#define TEST_SLOW (TEST_TSAN ? 6 : TEST_ASAN || TEST_SCALAR ? 3 : 1)

/* The one state of the test program; each file of tests is one program. */
static struct {
	unsigned int run;
	unsigned int failed;
	int is_planned;
	const char *todo; /* why the claims that follow may fail yet */
} tap_state;

__attribute__((format(printf, 1, 2))) static inline void
diag(const char *format, ...)
{
	va_list arguments;

	fputs("# ", stdout);
	va_start(arguments, format);
	vprintf(format, arguments);
	va_end(arguments);
	fputc('\n', stdout);
}

__attribute__((format(printf, 1, 2), noreturn)) static inline void
bail_out(const char *format, ...)
{
	va_list arguments;

	fputs("Bail out! ", stdout);
	va_start(arguments, format);
	vprintf(format, arguments);
	va_end(arguments);
	fputc('\n', stdout);
	fflush(stdout);
	_exit(255);
}

/* A program with a plan of its own, known in advance; or none, as usual. */
static inline void plan(unsigned int count)
{
	printf("1..%u\n", count);
	tap_state.is_planned = 1;
}

static inline void plan_none(void)
{
	tap_state.is_planned = 0;
}

__attribute__((format(printf, 1, 2), noreturn)) static inline void
skip_all(const char *format, ...)
{
	va_list arguments;

	fputs("1..0 # SKIP ", stdout);
	va_start(arguments, format);
	vprintf(format, arguments);
	va_end(arguments);
	fputc('\n', stdout);
	fflush(stdout);
	_exit(0);
}

/* One claim that cannot be put to the test here. */
__attribute__((format(printf, 1, 2))) static inline void
skip(const char *format, ...)
{
	va_list arguments;

	tap_state.run++;
	printf("ok %u # SKIP ", tap_state.run);
	va_start(arguments, format);
	vprintf(format, arguments);
	va_end(arguments);
	fputc('\n', stdout);
}

/* Claims that are known not to hold yet, and why, until todo(NULL). */
static inline void todo(const char *reason)
{
	tap_state.todo = reason;
}

/* 0: every claim held and there was at least one. */
static inline int done_testing(void)
{
	if (!tap_state.is_planned)
		printf("1..%u\n", tap_state.run);
	if (tap_state.failed)
		diag("%u of %u claims failed", tap_state.failed, tap_state.run);
	fflush(stdout);
	return tap_state.failed || !tap_state.run ? 1 : 0;
}

__attribute__((format(printf, 4, 0))) static inline int
tap_write(int condition, const char *file, int line, const char *format,
	  va_list arguments)
{
	tap_state.run++;
	tap_state.failed += condition || tap_state.todo ? 0 : 1;
	printf("%sok %u - ", condition ? "" : "not ", tap_state.run);
	vprintf(format, arguments);
	if (tap_state.todo)
		printf(" # TODO %s", tap_state.todo);
	fputc('\n', stdout);
	if (!condition)
		diag("at %s:%d", file, line);
	return condition;
}

__attribute__((format(printf, 5, 6))) static inline int
tap_ok(int condition, const char *file, int line, const char *text,
       const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	tap_write(condition, file, line, format, arguments);
	va_end(arguments);
	if (!condition)
		diag("this does not hold: %s", text);
	return condition;
}

__attribute__((format(printf, 5, 6))) static inline int
tap_is_int(int64_t got, int64_t want, const char *file, int line,
	   const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	tap_write(got == want, file, line, format, arguments);
	va_end(arguments);
	if (got != want)
		diag("got %" PRId64 ", want %" PRId64, got, want);
	return got == want;
}

__attribute__((format(printf, 5, 6))) static inline int
tap_is_u64(uint64_t got, uint64_t want, const char *file, int line,
	   const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	tap_write(got == want, file, line, format, arguments);
	va_end(arguments);
	if (got != want)
		diag("got %" PRIu64 ", want %" PRIu64, got, want);
	return got == want;
}

__attribute__((format(printf, 5, 6))) static inline int
tap_is_str(const char *got, const char *want, const char *file, int line,
	   const char *format, ...)
{
	int condition = got == want || (got && want && !strcmp(got, want));
	va_list arguments;

	va_start(arguments, format);
	tap_write(condition, file, line, format, arguments);
	va_end(arguments);
	if (!condition)
		diag("got \"%s\", want \"%s\"", got ? got : "(NULL)",
		     want ? want : "(NULL)");
	return condition;
}

/* ok(condition, format, ...): the text is the claim, in the field's words. */
#define ok(condition, ...)                                                     \
	tap_ok((condition) ? 1 : 0, __FILE__, __LINE__, #condition, __VA_ARGS__)
#define is_int(got, want, ...)                                                 \
	tap_is_int((got), (want), __FILE__, __LINE__, __VA_ARGS__)
#define is_u64(got, want, ...)                                                 \
	tap_is_u64((got), (want), __FILE__, __LINE__, __VA_ARGS__)
#define is_str(got, want, ...)                                                 \
	tap_is_str((got), (want), __FILE__, __LINE__, __VA_ARGS__)

enum { TEST_FRAMES = 32 };

/* Where the program was, for addr2line; then it dies of the signal. */
static inline void test_is_late(int signal_number)
{
	static const char text[] = "# out of time in\n";
	void *frames[TEST_FRAMES];

	if (write(STDOUT_FILENO, text, sizeof text - 1) > 0)
		backtrace_symbols_fd(frames, backtrace(frames, TEST_FRAMES),
				     STDOUT_FILENO);
	raise(signal_number);
}

/*
 * Kills the program after so many seconds; a hang is a failure.  Children that
 * set an alarm of their own say where they were, too.
 */
static inline void test_begin(unsigned int seconds)
{
	const struct sigaction late = {.sa_handler = test_is_late,
				       .sa_flags = (int)SA_RESETHAND};
	void *frame;

	setvbuf(stdout, NULL, _IOLBF, 0);
	(void)backtrace(&frame, 1); /* loads what a handler may not */
	sigaction(SIGALRM, &late, NULL);
	alarm(seconds);
}

/* The seed of this run; COPPICE_TEST_SEED repeats one. */
static inline uint64_t test_seed(void)
{
	const char *text = getenv("COPPICE_TEST_SEED");
	struct timespec now;
	uint64_t seed;

	if (text && *text) {
		seed = strtoull(text, NULL, 0);
	} else {
		clock_gettime(CLOCK_REALTIME, &now);
		seed = (uint64_t)now.tv_sec * 1000000007u +
		       (uint64_t)now.tv_nsec + ((uint64_t)getpid() << 40);
	}
	diag("COPPICE_TEST_SEED=%" PRIu64, seed);
	return seed;
}

/* splitmix64 (Steele, Lea, Flood 2014). */
static inline uint64_t test_random(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15u;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

/* A whole number below `end`. */
static inline uint64_t test_below(uint64_t *state, uint64_t end)
{
	return test_random(state) % end;
}

/* 0 <= x < 1. */
static inline double test_uniform(uint64_t *state)
{
	return (double)(test_random(state) >> 11) * 0x1p-53;
}

/* Mean 0, variance 1 (Box and Muller). */
static inline double test_gaussian(uint64_t *state)
{
	double radius = sqrt(-2 * log(1 - test_uniform(state)));

	return radius * cos(6.283185307179586 * test_uniform(state));
}

#endif
