/* SPDX-License-Identifier: Apache-2.0 */
/*
 * text: what is written by people and programs in one piece: numbers, points in
 * time, sizes, cells of tables, where JSON values end.
 *
 * An input: what it is, a choice of that, the text.  What has a second way to
 * be read is compared with it.
 */
#include "tests/fuzz/fuzz.h"

#include "tools/cell.h"
#include "tools/instant.h"
#include "tools/json_scan.h"
#include "tools/number.h"
#include "tools/words.h"

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	return 0;
}

/* As the C library reads it. */
static void number_try(const char *text, size_t size, unsigned choice)
{
	enum number_form form = choice & 1 ? NUMBER_JSON : NUMBER_FREE;
	char copy[512];
	float mine = 0;
	float other;
	size_t taken = number_float(text, size, form, &mine);

	if (taken > size)
		abort();
	if (!taken || taken >= sizeof copy)
		return;
	memcpy(copy, text, taken);
	copy[taken] = 0;
	other = strtof(copy, NULL);
	if (memcmp(&mine, &other, sizeof mine) != 0)
		abort();
}

/* In two parts it ends where it does in one. */
static void scan_try(const char *text, size_t size, unsigned choice)
{
	struct json_scan one = {0};
	struct json_scan two = {0};
	size_t part = size ? choice % (size + 1) : 0;
	size_t whole = json_scan_value(&one, text, size);
	size_t first = json_scan_value(&two, text, part);
	struct json_members members;

	if (whole > size || json_scan_space(text, size) > size)
		abort();
	if (!two.is_done && first == part)
		first += json_scan_value(&two, text + part, size - part);
	if (one.is_done && two.is_done && first > whole)
		abort();
	if (!size || *text != '{' || !one.is_done)
		return;
	json_members_begin(&members, text, whole);
	while (json_members_next(&members)) {
		if (members.value < text || members.value > text + whole)
			abort();
		(void)json_members_is(&members, "key");
	}
}

/* Written again it says the same, unless it is from now on. */
static void instant_try(const char *text)
{
	char copy[INSTANT_ROOM];
	struct cop_instant one;
	struct cop_instant two;
	int64_t ns;
	int64_t ms;

	(void)instant_parse_ns(text, &ns);
	(void)instant_span(text, &ms);
	if (instant_parse(text, &one))
		return;
	if (instant_parse(instant_text(copy, &one), &two) ||
	    one.seconds != two.seconds || one.nanos != two.nanos)
		abort();
}

static void words_try(const char *text, size_t size)
{
	char room[512];
	uint64_t number;
	double real;

	(void)words_u64(text, 8, &number);
	(void)words_u64(text, 10, &number);
	(void)words_size(text, &number);
	(void)words_double(text, &real);
	if (words_utf8(text, size) > size ||
	    words_cut(text, size, size / 2) > size / 2)
		abort();
	if (size <= sizeof room * 2)
		(void)words_unhex(text, size, room);
	if (size <= 63)
		(void)words_distance(text, "distance");
}

static void cell_try(const char *text, size_t size, unsigned choice)
{
	static const int32_t kinds[] = {COP_STRING, COP_INT, COP_FLOAT,
					COP_BOOL};
	static const int delimiters[] = {';', ',', '|', '\\'};
	struct cell_type type = {.kind = kinds[choice & 3],
				 .is_list = choice >> 2 & 1};
	struct cell_list list = {.delimiter = delimiters[choice >> 3 & 3],
				 .is_escaped = choice >> 5 & 1};
	struct scratch scratch = {0};
	struct fault fault = {0};
	struct cop_value value;
	const float *vector;
	uint32_t dim;

	(void)cell_kind(text, size);
	if (size)
		(void)cell_value(&type, &list, text, size, &scratch, &value,
				 &fault);
	fault_clear(&fault);
	(void)cell_vector(&list, text, size, &scratch, &vector, &dim, &fault);
	scratch_release(&scratch);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = {data, size};
	unsigned kind = input_byte(&input) % 5;
	unsigned choice = input_byte(&input);
	/* of its size, and one with an end for what needs one */
	char *text = malloc(input.size + !input.size);
	char *ended = malloc(input.size + 1);

	if (!text || !ended)
		bail_out("no memory");
	if (input.size)
		memcpy(text, input.data, input.size);
	memcpy(ended, text, input.size);
	ended[input.size] = 0;
	switch (kind) {
	case 0: number_try(text, input.size, choice); break;
	case 1: scan_try(text, input.size, choice); break;
	case 2: instant_try(ended); break;
	case 3: words_try(ended, strlen(ended)); break;
	default: cell_try(text, input.size, choice); break;
	}
	free(text);
	free(ended);
	return 0;
}
