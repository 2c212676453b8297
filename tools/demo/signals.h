/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ^C and friends, as a question asked between two pieces of work.
 */
#ifndef DEMO_SIGNALS_H
#define DEMO_SIGNALS_H

/* From now on INT, TERM and HUP are noted instead of ending the process. */
void signals_catch(void);

/* The signal that came, or 0. */
int signals_caught(void);

#endif
