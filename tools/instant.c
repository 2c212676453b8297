/* SPDX-License-Identifier: Apache-2.0 */
#include "instant.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { SECOND_NS = 1000000000, YEAR_MIN = 1678, YEAR_MAX = 2261 };

/* Digits, exactly `count` of them, within a range; NULL if not. */
static const char *digits(const char *at, int count, int min, int max, int *out)
{
	int number = 0;

	for (int i = 0; i < count; i++) {
		if (at[i] < '0' || at[i] > '9')
			return NULL;
		number = number * 10 + (at[i] - '0');
	}
	*out = number;
	return number < min || number > max ? NULL : at + count;
}

/* The same behind a character. */
static const char *part(const char *at, char mark, int min, int max, int *out)
{
	return at && *at == mark ? digits(at + 1, 2, min, max, out) : NULL;
}

static const char *date_parse(const char *at, struct tm *parts)
{
	int year = 0;
	int month = 0;
	int day = 0;

	at = digits(at, 4, YEAR_MIN, YEAR_MAX, &year);
	at = part(at, '-', 1, 12, &month);
	at = part(at, '-', 1, 31, &day);
	parts->tm_year = year - 1900;
	parts->tm_mon = month - 1;
	parts->tm_mday = day;
	return at;
}

/* Up to nine digits of a fraction of a second. */
static const char *fraction_parse(const char *at, int64_t *ns)
{
	int64_t unit = SECOND_NS / 10;

	if (*at < '0' || *at > '9')
		return NULL;
	for (; *at >= '0' && *at <= '9'; at++, unit /= 10)
		*ns += (*at - '0') * unit;
	return at;
}

static const char *time_parse(const char *at, struct tm *parts, int64_t *ns)
{
	at = digits(at, 2, 0, 23, &parts->tm_hour);
	at = part(at, ':', 0, 59, &parts->tm_min);
	if (at && *at == ':')
		at = part(at, ':', 0, 60, &parts->tm_sec);
	return at && *at == '.' ? fraction_parse(at + 1, ns) : at;
}

/* Seconds that the zone is ahead of UTC. */
static const char *zone_parse(const char *at, int64_t *ahead)
{
	int sign = *at == '-' ? -1 : 1;
	int hours = 0;
	int minutes = 0;

	if (*at == 'Z' || *at == 'z')
		return at + 1;
	if (*at != '+' && *at != '-')
		return at;
	at = digits(at + 1, 2, 0, 14, &hours);
	if (at && *at == ':')
		at++;
	at = at ? digits(at, 2, 0, 59, &minutes) : NULL;
	*ahead = sign * (hours * 60 + minutes) * 60;
	return at;
}

static int calendar_parse(const char *text, int64_t *ns)
{
	struct tm parts = {0};
	int64_t fraction = 0;
	int64_t ahead = 0;
	int day;
	time_t seconds;
	const char *at = date_parse(text, &parts);

	if (at && (*at == 'T' || *at == 't' || *at == ' '))
		at = time_parse(at + 1, &parts, &fraction);
	if (at)
		at = zone_parse(at, &ahead);
	if (!at || *at)
		return -1;
	day = parts.tm_mday;
	seconds = timegm(&parts);
	if (parts.tm_mday != day && parts.tm_mday != day + 1)
		return -1; /* no such day; a leap second may be the next's */
	*ns = ((int64_t)seconds - ahead) * SECOND_NS + fraction;
	return 0;
}

static int64_t unit_seconds(char unit)
{
	switch (unit) {
	case 's': return 1;
	case 'm': return 60;
	case 'h': return 3600;
	case 'd': return 86400;
	default: return 0;
	}
}

int instant_span(const char *text, int64_t *ms)
{
	char *end;
	double count = strtod(text, &end);
	int64_t unit = unit_seconds(*end);

	if (end == text || !unit || end[1] || !(count >= 0 && count <= 1e9))
		return -1;
	*ms = (int64_t)(count * (double)unit * 1000);
	return 0;
}

static int ago_parse(const char *text, int64_t *ns)
{
	struct timespec now;
	int64_t ms;

	clock_gettime(CLOCK_REALTIME, &now);
	if (instant_span(text, &ms) || ms / 1000 > now.tv_sec)
		return -1;
	*ns = (int64_t)now.tv_sec * SECOND_NS + now.tv_nsec - ms * 1000000;
	return 0;
}

int instant_parse(const char *text, int64_t *ns)
{
	return calendar_parse(text, ns) ? ago_parse(text, ns) : 0;
}

char *instant_text(char *out, int64_t ns)
{
	int64_t rest = ns % SECOND_NS;
	time_t seconds = (time_t)(ns / SECOND_NS);
	struct tm parts;
	size_t size;

	if (rest < 0) {
		rest += SECOND_NS;
		seconds--;
	}
	if (!gmtime_r(&seconds, &parts)) {
		snprintf(out, INSTANT_ROOM, "?");
		return out;
	}
	size = strftime(out, INSTANT_ROOM, "%Y-%m-%dT%H:%M:%S", &parts);
	snprintf(out + size, INSTANT_ROOM - size, ".%03dZ",
		 (int)(rest / 1000000));
	return out;
}
