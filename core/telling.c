/* SPDX-License-Identifier: Apache-2.0 */
#include "telling.h"
#include "clock.h"
#include "error.h"

enum { TELL_NS = 100000000 };

cop_err telling_tell(struct telling *telling, const char *what, uint64_t done,
		     uint64_t total, const char *stopped)
{
	const struct cop_open_options *options = telling->options;
	uint64_t now;

	if (!options || !options->progress)
		return 0;
	now = clock_ns(CLOCK_MONOTONIC);
	if (now - telling->told_ns < TELL_NS)
		return 0;
	telling->told_ns = now;
	return options->progress(options->user, what, done, total)
		   ? error_set(COP_STOPPED, "stopped while %s", stopped)
		   : 0;
}
