/* SPDX-License-Identifier: Apache-2.0 */
#include "log.h"

#include <stdarg.h>
#include <stdio.h>

enum { LOG_BYTES = 512 };

void log_tell(const cop_store *store, int32_t level, const char *format, ...)
{
	char text[LOG_BYTES];
	va_list arguments;

	if (!store->log || level > store->log_level)
		return;
	va_start(arguments, format);
	vsnprintf(text, sizeof text, format, arguments);
	va_end(arguments);
	store->log(store->log_user, level, text);
}
