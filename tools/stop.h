/* SPDX-License-Identifier: Apache-2.0 */
/* Whether a signal asks the verb to end; stop.c. */
#ifndef TOOLS_STOP_H
#define TOOLS_STOP_H

/* From now on SIGINT, SIGTERM and SIGHUP only ask; the second one kills. */
void stop_arm(void);

/* The signal that asked, 0: none has. */
int stop_signal(void);

#endif
