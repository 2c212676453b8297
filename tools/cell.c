/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cell: cells of a table as values of a type.
 *
 * idea
 *	All kinds of whole numbers become COP_INT, of others COP_FLOAT: what a
 *	file calls `byte` or `int` is no limit here, 64 bits are.  Dates, times
 *	and whatever else a file's types are stay the text that they are.
 *	Blanks around numbers and truth values do not matter.  A list is its
 *	members with delimiters between them; one of numbers may stand in
 *	brackets, with commas.
 *
 * numbers
 *	With up to 15 digits and a power of ten up to 22 the product is exact
 *	but for one rounding, so it is the nearest double (Clinger 1990, the
 *	fast path); strtod() does the others.  The program never calls
 *	setlocale(), and a comma is refused before strtod() is asked.
 */
#include "cell.h"
#include "words.h"

#include <ctype.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { CELL_SHORT = 4, CELL_NEAR = 16 };
enum { CELL_DIGITS = 15, CELL_POWER = 22, CELL_SHOWN = 60, CELL_TEXT = 64 };

static const struct {
	const char *word;
	int32_t kind;
} cell_words[] = {
    {"string", COP_STRING},
    {"int", COP_INT},
    {"long", COP_INT},
    {"float", COP_FLOAT},
    {"double", COP_FLOAT},
    {"boolean", COP_BOOL},
    {"bool", COP_BOOL},
    {"short", COP_INT},
    {"byte", COP_INT},
    {"char", COP_STRING},
    {"integer", COP_INT},
    {"number", COP_FLOAT},
    {"real", COP_FLOAT},
    {"decimal", COP_FLOAT},
    {"int8", COP_INT},
    {"int16", COP_INT},
    {"int32", COP_INT},
    {"int64", COP_INT},
    {"uint8", COP_INT},
    {"uint16", COP_INT},
    {"uint32", COP_INT},
    {"uint64", COP_INT},
    {"float32", COP_FLOAT},
    {"float64", COP_FLOAT},
    {"date", COP_STRING},
    {"datetime", COP_STRING},
    {"localdatetime", COP_STRING},
    {"time", COP_STRING},
    {"localtime", COP_STRING},
    {"timestamp", COP_STRING},
    {"duration", COP_STRING},
    {"point", COP_STRING},
    {"text", COP_STRING},
    {"uuid", COP_STRING},
};

const char cell_kinds[] = "string, int, long, float, double, boolean, date, "
			  "datetime and the like, with [] behind it for lists";

int32_t cell_kind(const char *word, size_t size)
{
	for (size_t i = 0; i < sizeof cell_words / sizeof *cell_words; i++)
		if (strlen(cell_words[i].word) == size &&
		    !strncasecmp(cell_words[i].word, word, size))
			return cell_words[i].kind;
	return COP_NULL;
}

/* Whether two letters next to each other changed places, and nothing else. */
static int is_swapped(const char *a, const char *b, size_t size)
{
	size_t at = 0;

	while (at < size && a[at] == b[at])
		at++;
	return at + 1 < size && a[at] == b[at + 1] && a[at + 1] == b[at] &&
	       !memcmp(a + at + 2, b + at + 2, size - at - 2);
}

/* One letter from a short word is as a rule another word: text, test. */
const char *cell_near(const char *word, size_t size)
{
	char lower[CELL_NEAR + 1];

	if (size > CELL_NEAR)
		return NULL;
	for (size_t i = 0; i < size; i++)
		lower[i] = (char)tolower((unsigned char)word[i]);
	lower[size] = '\0';
	for (size_t i = 0; i < sizeof cell_words / sizeof *cell_words; i++) {
		const char *type = cell_words[i].word;
		size_t type_size = strlen(type);

		if ((type_size > CELL_SHORT &&
		     words_distance(lower, type) == 1) ||
		    (type_size == size && is_swapped(lower, type, size)))
			return type;
	}
	return NULL;
}

static int cell_bad(const char *text, size_t size, const char *what,
		    struct fault *fault)
{
	return fault_set(fault, EXIT_BAD_INPUT, "'%.*s'%s is not %s",
			 (int)words_cut(text, size, CELL_SHOWN), text,
			 size > CELL_SHOWN ? "..." : "", what);
}

static int cell_no_memory(struct fault *fault)
{
	return fault_set(fault, EXIT_NO_SPACE, "out of memory");
}

static int is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static int is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static void trim(const char **text, size_t *size)
{
	while (*size && is_blank(**text)) {
		(*text)++;
		(*size)--;
	}
	while (*size && is_blank((*text)[*size - 1]))
		(*size)--;
}

/* ---- numbers ------------------------------------------------------------ */

static int cell_int(const char *text, size_t size, int64_t *out)
{
	int is_negative;
	uint64_t number = 0, limit = INT64_MAX;
	size_t i;

	trim(&text, &size);
	is_negative = size && *text == '-';
	i = size && (*text == '-' || *text == '+');
	limit += (uint64_t)is_negative;
	if (i == size)
		return -1;
	for (; i < size; i++) {
		uint64_t digit = (uint64_t)(text[i] - '0');

		if (!is_digit(text[i]) || number > (limit - digit) / 10)
			return -1;
		number = number * 10 + digit;
	}
	*out = is_negative ? (int64_t)(0 - number) : (int64_t)number;
	return 0;
}

/* A decimal number, taken apart. */
struct decimal {
	uint64_t digits;
	int digit_count; /* without leading zeros */
	int exponent;	 /* of the last digit */
	int is_negative;
};

/* 0, or -1 if it is none. */
static int decimal_exponent(struct decimal *decimal, const char *text,
			    size_t size, size_t at)
{
	int is_negative, exponent = 0;

	if (at == size)
		return 0;
	if (text[at] != 'e' && text[at] != 'E')
		return -1;
	at++;
	is_negative = at < size && text[at] == '-';
	at += at < size && (text[at] == '-' || text[at] == '+');
	if (at == size)
		return -1;
	for (; at < size; at++) {
		if (!is_digit(text[at]))
			return -1;
		if (exponent < 100000)
			exponent = exponent * 10 + (text[at] - '0');
	}
	decimal->exponent += is_negative ? -exponent : exponent;
	return 0;
}

static int decimal_parse(struct decimal *decimal, const char *text, size_t size)
{
	size_t at = size && (*text == '-' || *text == '+');
	int has_digits = 0, has_point = 0;

	*decimal = (struct decimal){.is_negative = size && *text == '-'};
	for (; at < size && (is_digit(text[at]) || text[at] == '.'); at++) {
		if (text[at] == '.' && has_point)
			return -1;
		if (text[at] == '.') {
			has_point = 1;
			continue;
		}
		has_digits = 1;
		decimal->exponent -= has_point;
		if (decimal->digit_count || text[at] != '0')
			decimal->digit_count++;
		if (decimal->digit_count <= CELL_DIGITS)
			decimal->digits =
			    decimal->digits * 10 + (uint64_t)(text[at] - '0');
	}
	return has_digits ? decimal_exponent(decimal, text, size, at) : -1;
}

/* strtod() of a text that decimal_parse() has found to be a number. */
static int cell_double_slow(const char *text, size_t size, double *out)
{
	char small[CELL_TEXT], *copy = small;

	if (size >= sizeof small)
		copy = malloc(size + 1);
	if (!copy)
		return -1;
	memcpy(copy, text, size);
	copy[size] = '\0';
	*out = strtod(copy, NULL);
	if (copy != small)
		free(copy);
	return isfinite(*out) ? 0 : -1;
}

/* A finite number; 0, or -1 if it is none. */
static int cell_double(const char *text, size_t size, double *out)
{
	static const double powers[CELL_POWER + 1] = {
	    1e0,  1e1,	1e2,  1e3,  1e4,  1e5,	1e6,  1e7,
	    1e8,  1e9,	1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
	    1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
	struct decimal decimal;
	double value;

	trim(&text, &size);
	if (decimal_parse(&decimal, text, size))
		return -1;
	if (decimal.digit_count > CELL_DIGITS ||
	    decimal.exponent < -CELL_POWER || decimal.exponent > CELL_POWER)
		return cell_double_slow(text, size, out);
	value = (double)decimal.digits;
	if (decimal.exponent < 0)
		value /= powers[-decimal.exponent];
	else
		value *= powers[decimal.exponent];
	*out = decimal.is_negative ? -value : value;
	return 0;
}

static int cell_bool(const char *text, size_t size, int64_t *out)
{
	static const char *const words[] = {"false", "true", "0", "1"};

	trim(&text, &size);
	for (size_t i = 0; i < sizeof words / sizeof *words; i++)
		if (strlen(words[i]) == size &&
		    !strncasecmp(words[i], text, size)) {
			*out = i % 2;
			return 0;
		}
	return -1;
}

static int cell_scalar(int32_t kind, const char *text, size_t size,
		       struct cop_value *out, struct fault *fault)
{
	memset(out, 0, sizeof *out);
	out->kind = kind;
	switch (kind) {
	case COP_INT:
		return cell_int(text, size, &out->integer)
			   ? cell_bad(text, size, "a whole number of 64 bits",
				      fault)
			   : 0;
	case COP_FLOAT:
		return cell_double(text, size, &out->real)
			   ? cell_bad(text, size, "a finite number", fault)
			   : 0;
	case COP_BOOL:
		return cell_bool(text, size, &out->integer)
			   ? cell_bad(text, size, "true or false", fault)
			   : 0;
	default: break;
	}
	out->data = text;
	out->count = (uint32_t)size;
	return 0;
}

/* ---- lists -------------------------------------------------------------- */

/* Whether a list of numbers stands in brackets, which are taken off. */
static int unwrap(const char **text, size_t *size)
{
	trim(text, size);
	if (*size < 2 || **text != '[' || (*text)[*size - 1] != ']')
		return 0;
	(*text)++;
	*size -= 2;
	trim(text, size);
	return 1;
}

int cell_member(const struct cell_list *list, const char *text, size_t size,
		size_t *at, const char **member, size_t *member_size)
{
	size_t i = *at;

	if (i > size)
		return 0;
	for (; i < size && text[i] != list->delimiter; i++)
		if (list->is_escaped && text[i] == '\\' && i + 1 < size)
			i++;
	*member = text + *at;
	*member_size = i - *at;
	*at = i + 1;
	return 1;
}

/* A member without the backslashes before its delimiters. */
static const char *cell_unescape(const struct cell_list *list, const char *text,
				 size_t *size, struct scratch *scratch)
{
	char *out;
	size_t used = 0;

	if (!list->is_escaped || !memchr(text, '\\', *size))
		return text;
	out = scratch_take(scratch, *size, 1);
	for (size_t i = 0; out && i < *size; i++) {
		if (text[i] == '\\' && i + 1 < *size &&
		    text[i + 1] == list->delimiter)
			i++;
		out[used++] = text[i];
	}
	*size = used;
	return out;
}

static size_t cell_count(const struct cell_list *list, const char *text,
			 size_t size)
{
	size_t at = 0, count = 0, member_size;
	const char *member;

	while (cell_member(list, text, size, &at, &member, &member_size))
		count++;
	return count;
}

int cell_value(const struct cell_type *type, const struct cell_list *list,
	       const char *text, size_t size, struct scratch *scratch,
	       struct cop_value *out, struct fault *fault)
{
	struct cell_list own;
	struct cop_value *items;
	size_t at = 0, count, member_size;
	const char *member;

	if (!type->is_list)
		return cell_scalar(type->kind, text, size, out, fault);
	own = *list;
	if (type->kind != COP_STRING && unwrap(&text, &size) &&
	    !memchr(text, list->delimiter, size))
		own.delimiter = ',';
	count = size ? cell_count(&own, text, size) : 0;
	items = scratch_take(scratch, count, sizeof *items);
	if (!items)
		return cell_no_memory(fault);
	*out = (struct cop_value){.kind = COP_LIST, .data = items};
	while (out->count < count &&
	       cell_member(&own, text, size, &at, &member, &member_size)) {
		member = cell_unescape(&own, member, &member_size, scratch);
		if (!member)
			return cell_no_memory(fault);
		if (cell_scalar(type->kind, member, member_size,
				&items[out->count++], fault))
			return fault_prefix(fault, "member %u, ", out->count);
	}
	return 0;
}

/* ---- vectors ------------------------------------------------------------ */

static int between(const struct cell_list *list, char c)
{
	return is_blank(c) || c == ',' || c == list->delimiter || c == '\n' ||
	       c == '\r';
}

int cell_vector(const struct cell_list *list, const char *text, size_t size,
		struct scratch *scratch, const float **vector, uint32_t *dim,
		struct fault *fault)
{
	size_t at = 0, count = 0, from;
	float *items;
	double value;

	unwrap(&text, &size);
	/* a number and what is after it take two bytes at least */
	items = scratch_take(scratch, size / 2 + 1, sizeof *items);
	if (!items)
		return cell_no_memory(fault);
	for (;; count++) {
		while (at < size && between(list, text[at]))
			at++;
		if (at == size)
			break;
		for (from = at; at < size && !between(list, text[at]);)
			at++;
		if (cell_double(text + from, at - from, &value) ||
		    fabs(value) > (double)FLT_MAX) {
			cell_bad(text + from, at - from,
				 "a number of float32's range", fault);
			return fault_prefix(fault, "member %zu, ", count + 1);
		}
		items[count] = (float)value;
	}
	*vector = items;
	*dim = (uint32_t)count;
	return 0;
}
