/* SPDX-License-Identifier: Apache-2.0 */
/* number: numbers in text are what strtof() makes of them, and JSON's. */
#include "../tools/number.c"
#include "tap.h"

static const char *const taken[] = {
    "0",
    "-0",
    "1",
    "-1",
    "10",
    "0.5",
    "-0.0e1",
    "1e5",
    "1E+5",
    "1e-5",
    "0e99999999999999999",
    "1.25e2",
    "3.402823466e38",
    "1e39",
    "-1e400",
    "1e-46",
    "7e-46",
    "7.1e-46",
    "1.4e-45",
    "1.1754943508222875e-38",
    "1.1754942807573643e-38",
    "16777217",
    "16777217.0000000000000000000000000000000000000001",
    "340282356779733661637539395458142568447",
    "340282356779733661637539395458142568448",
    "123456789012345678901234567890",
    "0.1",
    "9007199254740993"};
static const char *const freely[] = {"+1", "007", ".5", "5.", "+.5e1", "-.5"};
static const char *const never[] = {"",	   "-",	  "+", ".",  "-.",  "e5",
				    "nan", "inf", "x", " 1", "--1", "+-1"};
/* What JSON does not take wholly. */
static const char *const partly[] = {"1e", "1e+", "1x", "0x10", "1..2", "1 "};

static int is_same(const char *text, enum number_form form)
{
	float want = strtof(text, NULL), got = 7;
	size_t size = number_float(text, strlen(text), form, &got);

	if (size == strlen(text) && !memcmp(&want, &got, sizeof got))
		return 1;
	printf("# '%s': %.9g of %zu bytes, wanted %.9g\n", text, (double)got,
	       size, (double)want);
	return 0;
}

static void numbers_are_what_strtof_makes_of_them(void)
{
	float value;

	for (size_t i = 0; i < sizeof taken / sizeof *taken; i++)
		ok(is_same(taken[i], NUMBER_JSON) &&
		       is_same(taken[i], NUMBER_FREE),
		   "'%s'", taken[i]);
	for (size_t i = 0; i < sizeof freely / sizeof *freely; i++)
		ok(is_same(freely[i], NUMBER_FREE) &&
		       number_float(freely[i], strlen(freely[i]), NUMBER_JSON,
				    &value) == 0,
		   "'%s' is not JSON", freely[i]);
	for (size_t i = 0; i < sizeof never / sizeof *never; i++)
		ok(number_float(never[i], strlen(never[i]), NUMBER_FREE,
				&value) == 0,
		   "'%s' is none", never[i]);
	for (size_t i = 0; i < sizeof partly / sizeof *partly; i++)
		ok(number_float(partly[i], strlen(partly[i]), NUMBER_JSON,
				&value) < strlen(partly[i]),
		   "'%s' ends before its end", partly[i]);
	ok(number_float("12345", 3, NUMBER_JSON, &value) == 3 && value == 123,
	   "no byte after the end is looked at");
}

static float any_float(uint64_t *state)
{
	uint32_t bits = (uint32_t)(test_random(state) >> 32);
	float value;

	memcpy(&value, &bits, sizeof value);
	return isfinite(value) ? value : 0.25f;
}

/* The middle between a number and the next, exactly, or a hair beside it. */
static void middle(char *text, size_t room, uint64_t *state)
{
	float value = fabsf(any_float(state));
	double both = (double)value + (double)nextafterf(value, INFINITY);
	char *e;

	snprintf(text, room, "%.160e", both / 2);
	e = strchr(text, 'e');
	if (test_random(state) & 1) {
		e[-1] = '1'; /* far behind all digits that count */
	} else if (test_random(state) & 1) {
		e[-20 - (int)(test_random(state) % 120)]++;
		for (char *at = text; at < e; at++)
			if (*at > '9')
				*at = '9';
	}
}

static void digits(char *text, uint64_t *state)
{
	size_t count = 1 + test_random(state) % 40,
	       point = test_random(state) % 40;
	char *at = text;

	if (test_random(state) & 1)
		*at++ = '-';
	for (size_t i = 0; i < count; i++) {
		*at++ = (char)('0' + test_random(state) % 10);
		if (i == point && i + 1 < count)
			*at++ = '.';
	}
	if (test_random(state) & 1)
		at += sprintf(at, "e%d", (int)(test_random(state) % 120) - 70);
	*at = '\0';
}

/* Of memory that ends with it, which the address sanitizer sees to. */
static void nothing_behind_a_number_is_read(void)
{
	int same = 1;

	for (size_t i = 0; i < sizeof taken / sizeof *taken; i++) {
		size_t size = strlen(taken[i]);
		char *text = malloc(size);
		float value;

		if (!text)
			bail_out("no memory");
		memcpy(text, taken[i], size);
		same &= number_float(text, size, NUMBER_JSON, &value) == size;
		free(text);
	}
	ok(same, "a number at the end of what there is");
}

static void random_numbers_too(void)
{
	uint64_t state = test_seed();
	unsigned int count = 1000000 / TEST_SLOW, bad[4] = {0};
	char text[512];

	for (unsigned int i = 0; i < count; i++) {
		snprintf(text, sizeof text, "%.9g", (double)any_float(&state));
		bad[0] += !is_same(text, NUMBER_FREE);
		snprintf(text, sizeof text, "%.17g", (double)any_float(&state));
		bad[1] += !is_same(text, NUMBER_FREE);
		digits(text, &state);
		bad[2] += !is_same(text, NUMBER_FREE);
		if (i % 8 == 0) {
			middle(text, sizeof text, &state);
			bad[3] += !is_same(text, NUMBER_FREE);
		}
	}
	ok(!bad[0], "%u float32 in 9 digits", count);
	ok(!bad[1], "as many in 17 digits");
	ok(!bad[2], "as many of up to 40 digits with exponents");
	ok(!bad[3], "the middles between two, and beside them");
}

int main(void)
{
	test_begin(300);
	numbers_are_what_strtof_makes_of_them();
	nothing_behind_a_number_is_read();
	random_numbers_too();
	return done_testing();
}
