/* SPDX-License-Identifier: Apache-2.0 */
/*
 * instant: dates of any year, in the Gregorian calendar as if there always had
 * been one.
 *
 * idea
 *	A year is counted from March, so that a leap day is its last day, and
 *	400 of them are always as many days.
 */
#include "instant.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum {
	SECOND_NS = 1000000000,
	DAY = 86400,
	ERA_YEARS = 400,
	ERA_DAYS = 146097,
	EPOCH_DAYS = 719468, /* from March of the year 0 to 1970 */
	YEAR_DIGITS = 12
};

/* Seconds reach somewhat further. */
#define YEAR_MOST INT64_C(292000000000)

struct date {
	int64_t year;
	int month;
	int day;
};

/* ---- the calendar ------------------------------------------------------- */

/* Days from 1970 to a date. */
static int64_t days_of(const struct date *date)
{
	int64_t year = date->year - (date->month <= 2);
	int64_t era = (year >= 0 ? year : year - (ERA_YEARS - 1)) / ERA_YEARS;
	int64_t of_era = year - era * ERA_YEARS;
	int64_t month = date->month > 2 ? date->month - 3 : date->month + 9;
	int64_t day = (153 * month + 2) / 5 + date->day - 1;

	return era * ERA_DAYS + of_era * 365 + of_era / 4 - of_era / 100 + day -
	       EPOCH_DAYS;
}

static struct date date_of(int64_t days)
{
	int64_t from = days + EPOCH_DAYS;
	int64_t era = (from >= 0 ? from : from - (ERA_DAYS - 1)) / ERA_DAYS;
	int64_t left = from - era * ERA_DAYS;
	int64_t year =
	    (left - left / 1460 + left / 36524 - left / (ERA_DAYS - 1)) / 365;
	int64_t day = left - (365 * year + year / 4 - year / 100);
	int64_t month = (5 * day + 2) / 153;
	struct date date = {.month = (int)(month < 10 ? month + 3 : month - 9)};

	date.day = (int)(day - (153 * month + 2) / 5 + 1);
	date.year = year + era * ERA_YEARS + (date.month <= 2);
	return date;
}

/* ---- parsing ------------------------------------------------------------ */

/* Digits, exactly `count` of them, within a range; NULL if not. */
static const char *digits(const char *at, int count, int min, int max, int *out)
{
	int number = 0;

	for (int i = 0; at && i < count; i++) {
		if (at[i] < '0' || at[i] > '9')
			return NULL;
		number = number * 10 + (at[i] - '0');
	}
	*out = number;
	return !at || number < min || number > max ? NULL : at + count;
}

/* A number behind a mark; what is not there stays as it is. */
static const char *part(const char *at, char mark, int min, int max, int *out)
{
	return at && *at == mark ? digits(at + 1, 2, min, max, out) : at;
}

static const char *date_parse(const char *at, struct date *date)
{
	int64_t sign = *at == '-' ? -1 : 1;
	int count = 0;

	at += *at == '-' || *at == '+';
	for (; *at >= '0' && *at <= '9' && count < YEAR_DIGITS; at++, count++)
		date->year = date->year * 10 + (*at - '0');
	if (!count)
		return NULL;
	date->year *= sign;
	date->month = date->day = 1;
	if (*at != '-')
		return at;
	at = part(at, '-', 1, 12, &date->month);
	return part(at, '-', 1, 31, &date->day);
}

/* Up to nine digits of a fraction of a second. */
static const char *fraction_parse(const char *at, uint32_t *nanos)
{
	uint32_t unit = SECOND_NS / 10;

	if (*at < '0' || *at > '9')
		return NULL;
	for (; *at >= '0' && *at <= '9'; at++, unit /= 10)
		*nanos += (uint32_t)(*at - '0') * unit;
	return at;
}

/* Seconds into the day. */
static const char *time_parse(const char *at, int64_t *seconds, uint32_t *nanos)
{
	int hour = 0;
	int minute = 0;
	int second = 0;

	at = digits(at, 2, 0, 23, &hour);
	if (!at || *at != ':')
		return NULL;
	at = part(at, ':', 0, 59, &minute);
	at = part(at, ':', 0, 59, &second);
	*seconds = hour * 3600 + minute * 60 + second;
	return at && *at == '.' ? fraction_parse(at + 1, nanos) : at;
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
	at = digits(at, 2, 0, 59, &minutes);
	*ahead = sign * (hours * 60 + minutes) * 60;
	return at;
}

static int calendar_parse(const char *text, struct cop_instant *out)
{
	struct date date = {0};
	struct date again;
	int64_t seconds = 0;
	int64_t ahead = 0;
	uint32_t nanos = 0;
	int64_t days;
	const char *at = date_parse(text, &date);

	if (at && (*at == 'T' || *at == 't' || *at == ' '))
		at = time_parse(at + 1, &seconds, &nanos);
	if (at)
		at = zone_parse(at, &ahead);
	if (!at || *at || date.year > YEAR_MOST || date.year < -YEAR_MOST)
		return -1;
	days = days_of(&date);
	again = date_of(days);
	if (again.day != date.day)
		return -1; /* no such day */
	*out = (struct cop_instant){days * DAY + seconds - ahead, nanos, 0};
	return 0;
}

static int64_t unit_seconds(char unit)
{
	switch (unit) {
	case 's': return 1;
	case 'm': return 60;
	case 'h': return 3600;
	case 'd': return DAY;
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

static int ago_parse(const char *text, struct cop_instant *out)
{
	struct timespec now;
	int64_t ms;
	int64_t nanos;

	if (instant_span(text, &ms))
		return -1;
	clock_gettime(CLOCK_REALTIME, &now);
	nanos = now.tv_nsec - ms % 1000 * 1000000;
	out->seconds = now.tv_sec - ms / 1000 - (nanos < 0);
	out->nanos = (uint32_t)(nanos < 0 ? nanos + SECOND_NS : nanos);
	return 0;
}

int instant_parse(const char *text, struct cop_instant *out)
{
	return calendar_parse(text, out) ? ago_parse(text, out) : 0;
}

int instant_parse_ns(const char *text, int64_t *ns)
{
	struct cop_instant instant;

	if (instant_parse(text, &instant) ||
	    instant.seconds > INT64_MAX / SECOND_NS - 1 ||
	    instant.seconds < INT64_MIN / SECOND_NS + 1)
		return -1;
	*ns = instant.seconds * SECOND_NS + instant.nanos;
	return 0;
}

/* ---- printing ----------------------------------------------------------- */

/* Whole days, and what is left: never below 0. */
static int64_t days_in(int64_t seconds, int *left)
{
	int64_t days = seconds / DAY;

	*left = (int)(seconds % DAY);
	if (*left >= 0)
		return days;
	*left += DAY;
	return days - 1;
}

static char *text_with(char *out, int64_t seconds, uint32_t nanos, int places)
{
	int left;
	struct date date = date_of(days_in(seconds, &left));
	int size = snprintf(
	    out, INSTANT_ROOM, "%s%04" PRId64 "-%02d-%02dT%02d:%02d:%02d",
	    date.year < 0 ? "-" : "", date.year < 0 ? -date.year : date.year,
	    date.month, date.day, left / 3600, left / 60 % 60, left % 60);
	uint32_t unit = 1;

	for (int i = places; i < 9; i++)
		unit *= 10;
	if (places)
		snprintf(out + size, INSTANT_ROOM - (size_t)size,
			 ".%0*" PRIu32 "Z", places, nanos / unit);
	else
		snprintf(out + size, INSTANT_ROOM - (size_t)size, "Z");
	return out;
}

char *instant_text(char *out, const struct cop_instant *instant)
{
	uint32_t nanos = instant->nanos;
	int places = nanos ? 9 : 0;

	while (places && nanos % 10 == 0) {
		nanos /= 10;
		places--;
	}
	return text_with(out, instant->seconds, instant->nanos, places);
}

char *instant_text_ns(char *out, int64_t ns)
{
	struct cop_instant instant = {.seconds = ns / SECOND_NS -
						 (ns % SECOND_NS < 0)};

	instant.nanos = (uint32_t)(ns - instant.seconds * SECOND_NS);
	return instant_text(out, &instant);
}

int instant_order(const struct cop_validity *valid, struct fault *fault)
{
	const struct cop_instant *from = &valid->from, *to = &valid->to;
	char begin[INSTANT_ROOM], end[INSTANT_ROOM];

	if (from->seconds < to->seconds ||
	    (from->seconds == to->seconds && from->nanos < to->nanos))
		return 0;
	return fault_set(fault, EXIT_BAD_INPUT,
			 "valid_from, %s, is not before valid_to, %s",
			 instant_text(begin, from), instant_text(end, to));
}
