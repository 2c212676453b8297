/* SPDX-License-Identifier: Apache-2.0 */
#include "setting.h"

#include <stdlib.h>
#include <string.h>

const char *setting_text(const char *name)
{
	const char *text = getenv(name);

	return text && *text ? text : NULL;
}

uint64_t setting_bytes(const char *name, uint64_t otherwise)
{
	static const char suffixes[] = "KMGT";
	const char *text = setting_text(name);
	const char *suffix;
	char *end;
	unsigned long long number;

	if (!text || *text < '0' || *text > '9')
		return otherwise;
	number = strtoull(text, &end, 10);
	if (!*end)
		return number;
	suffix = strchr(suffixes, *end);
	if (!suffix || end[1])
		return otherwise;
	return number << 10 * (suffix - suffixes + 1);
}
