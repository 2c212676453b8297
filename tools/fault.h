/* SPDX-License-Identifier: Apache-2.0 */
/* What went wrong, in words, and the exit status that says so; fault.c. */
#ifndef TOOLS_FAULT_H
#define TOOLS_FAULT_H

#include "coppice.h"

enum exit_code {
	EXIT_FINE = 0,
	EXIT_NO_RESULT = 1,
	EXIT_USAGE = 2,
	EXIT_NOT_FOUND = 3,
	EXIT_CORRUPT = 4,
	EXIT_BUSY = 5,
	EXIT_NO_SPACE = 6,
	EXIT_BAD_INPUT = 7,
	EXIT_VERSION = 8,
	EXIT_DENIED = 9,
	EXIT_INTERNAL = 70
};

struct fault {
	int code;      /* enum exit_code, 0: nothing went wrong */
	cop_err error; /* that the library returned, 0: it is none of its */
	char text[2048];
};

/* Sets the fault; returns `code`. */
__attribute__((format(printf, 3, 4))) int
fault_set(struct fault *fault, int code, const char *format, ...);

/* Sets the fault to what coppice's last call said; returns its exit status. */
int fault_cop(struct fault *fault, cop_err error);

/*
 * The same where what was out of range came from the input, so that the fault
 * is not one of usage.
 */
int fault_input(struct fault *fault, cop_err error);

/* Sets the fault from an errno met at `what`; returns its exit status. */
int fault_errno(struct fault *fault, const char *what, int number);

/* Puts words in front of a fault that is set; returns its exit status. */
__attribute__((format(printf, 2, 3))) int fault_prefix(struct fault *fault,
						       const char *format, ...);

void fault_clear(struct fault *fault);

/* Prints "coppice: TEXT" on stderr; nothing if there is no text. */
void fault_print(const struct fault *fault);

/* The same of what the library tells; enum cop_log_level. */
void fault_tell(int32_t level, const char *text);

/* Prints "coppice: TEXT" on stderr. */
__attribute__((format(printf, 1, 2))) void fault_note(const char *format, ...);

/* The exit status for an error of the library's. */
int fault_code(cop_err error);

#endif
