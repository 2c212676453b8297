/* SPDX-License-Identifier: Apache-2.0 */
/*
 * number: numbers in text, as float32.
 *
 * idea
 *	The first 19 digits are a whole number w of 64 bits, the rest moves the
 *	exponent e.  w * 10^e in double precision is wrong by three roundings
 *	and by the digits left out: less than 4 units in its last place, which
 *	is 29 bits below float32's.  So it rounds to the same float32 as the
 *	number itself, unless it lies within that error of the middle between
 *	two of them.  There, one time in 2^24 or so, and where float32 has
 *	fewer bits (subnormal) or ends, strtof() decides.
 *
 * how strtof() is asked
 *	With a whole number and an exponent, without a point, so that no locale
 *	matters.  The middle between two float32 has at most 113 digits: what
 *	follows after NUMBER_DIGITS of them only says whether it is above, and
 *	one digit 1 says the same.
 */
#include "number.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	NUMBER_DIGITS = 128,
	NUMBER_POWERS = 64,
	NUMBER_HIGH = 40, /* 10^41 is beyond float32, whatever the digits */
	NUMBER_EXPONENT = 1000000000,
	NUMBER_LOW_MASK = (1 << 29) - 1, /* bits that float32 lacks */
	NUMBER_MIDDLE = 1 << 28,
	NUMBER_ERROR = 8
};

static const double number_powers[NUMBER_POWERS + 1] = {
    1e0,  1e1,	1e2,  1e3,  1e4,  1e5,	1e6,  1e7,  1e8,  1e9,	1e10,
    1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21,
    1e22, 1e23, 1e24, 1e25, 1e26, 1e27, 1e28, 1e29, 1e30, 1e31, 1e32,
    1e33, 1e34, 1e35, 1e36, 1e37, 1e38, 1e39, 1e40, 1e41, 1e42, 1e43,
    1e44, 1e45, 1e46, 1e47, 1e48, 1e49, 1e50, 1e51, 1e52, 1e53, 1e54,
    1e55, 1e56, 1e57, 1e58, 1e59, 1e60, 1e61, 1e62, 1e63, 1e64};

/* A number's text, taken apart. */
struct number {
	const char *begin; /* of its digits */
	const char *end;   /* of them, before the exponent */
	uint64_t digits;
	int64_t exponent; /* of the last of `digits` */
	int64_t written;  /* the one that stands there */
};

static const char *number_digits(struct number *number, const char *at,
				 const char *end, int is_fraction)
{
	for (; at < end && *at >= '0' && *at <= '9'; at++) {
		if (number->digits < 1000000000000000000u) {
			number->digits =
			    number->digits * 10 + (uint64_t)(*at - '0');
			number->exponent -= is_fraction;
		} else {
			number->exponent += !is_fraction;
		}
	}
	return at;
}

/* Returns `at` if no exponent stands there. */
static const char *number_exponent(struct number *number, const char *at,
				   const char *end)
{
	const char *from = at + 1;
	int64_t value = 0;
	int is_negative;

	if (at == end || (*at != 'e' && *at != 'E') || from == end)
		return at;
	is_negative = *from == '-';
	from += *from == '-' || *from == '+';
	if (from == end || *from < '0' || *from > '9')
		return at;
	for (; from < end && *from >= '0' && *from <= '9'; from++)
		if (value < NUMBER_EXPONENT)
			value = value * 10 + (*from - '0');
	number->written = is_negative ? -value : value;
	return from;
}

static float number_exact(const struct number *number)
{
	char text[NUMBER_DIGITS + 32];
	int64_t exponent = number->written;
	int is_fraction = 0, is_above = 0;
	size_t size = 0;

	for (const char *at = number->begin; at < number->end; at++) {
		if (*at == '.') {
			is_fraction = 1;
		} else if (size == NUMBER_DIGITS) {
			is_above |= *at != '0';
			exponent += !is_fraction;
		} else {
			if (size || *at != '0')
				text[size++] = *at;
			exponent -= is_fraction;
		}
	}
	if (is_above) {
		text[size++] = '1';
		exponent--;
	}
	snprintf(text + size, sizeof text - size, "e%lld", (long long)exponent);
	return strtof(text, NULL);
}

static float number_round(const struct number *number)
{
	int64_t exponent = number->exponent + number->written;
	double value = (double)number->digits;
	uint64_t bits;

	if (number->digits == 0 || exponent < -NUMBER_POWERS)
		return 0; /* less than 10^19 * 10^-65 */
	if (exponent > NUMBER_HIGH)
		return INFINITY;
	if (exponent < 0)
		value /= number_powers[-exponent];
	else
		value *= number_powers[exponent];
	memcpy(&bits, &value, sizeof bits);
	bits &= NUMBER_LOW_MASK;
	if (value < 0x1.00001p-126 || value > 0x1.fffffep127 ||
	    bits - (NUMBER_MIDDLE - NUMBER_ERROR) <= 2 * NUMBER_ERROR)
		return number_exact(number);
	return (float)value;
}

/* Whether the digits are as JSON wants them. */
static int number_is_json(const struct number *number, const char *point)
{
	const char *begin = number->begin, *end = number->end;

	if (begin == point ||
	    (end - begin > 1 && *begin == '0' && begin[1] != '.'))
		return 0;
	return end != point + 1;
}

size_t number_float(const char *text, size_t size, enum number_form form,
		    float *out)
{
	struct number number = {.begin = text};
	const char *end = text + size, *point, *at;
	float value;

	if (size && (*text == '-' || (*text == '+' && form == NUMBER_FREE)))
		number.begin++;
	point = at = number_digits(&number, number.begin, end, 0);
	if (at < end && *at == '.')
		at = number_digits(&number, at + 1, end, 1);
	number.end = at;
	/* a point alone is no number */
	if (at == number.begin ||
	    (at - number.begin == 1 && point == number.begin))
		return 0;
	if (form == NUMBER_JSON && !number_is_json(&number, point))
		return 0;
	at = number_exponent(&number, at, end);
	value = number_round(&number);
	*out = *text == '-' ? -value : value;
	return (size_t)(at - text);
}
