/* SPDX-License-Identifier: Apache-2.0 */
/*
 * npy: an array as NumPy saves it.
 *
 * source
 *	numpy.lib.format, versions 1.0, 2.0 and 3.0.
 *
 * layout
 *	0  "\x93NUMPY"
 *	6  major, minor
 *	8  header size, u16 (version 1) or u32 (2, 3)
 *	   header: {'descr': '<f4', 'fortran_order': False, 'shape': (N, D), }
 *	   N x D numbers, row after row
 *	The header is a Python literal; the three entries are read by hand, in
 *	any order, and nothing else may stand there.
 *
 * limits
 *	float16, float32, float64, and whole numbers of 8 to 64 bits, of either
 *	byte order; two dimensions, or one, which is one row.  Fortran order is
 *	refused: its rows lie across the file, and it is one call in Python to
 *	turn it round.  The header has 64 KiB at most.
 */
#include "rows.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

enum { NPY_HEADER_MAX = 65536, NPY_DIMS_MAX = 8 };

struct npy_header {
	char descr[16];
	int is_fortran;
	int seen; /* bits: descr, fortran_order, shape */
	int dim_count;
	uint64_t dims[NPY_DIMS_MAX];
};

enum { NPY_DESCR = 1, NPY_FORTRAN = 2, NPY_SHAPE = 4, NPY_ALL = 7 };

/* The part of the header not yet read. */
struct npy_text {
	const char *at;
	const char *end;
};

static void npy_space(struct npy_text *text)
{
	while (text->at < text->end && isspace((unsigned char)*text->at))
		text->at++;
}

/* Takes one character if it is next. */
static int npy_take(struct npy_text *text, char c)
{
	npy_space(text);
	if (text->at == text->end || *text->at != c)
		return 0;
	text->at++;
	return 1;
}

static int npy_string(struct npy_text *text, char *out, size_t room)
{
	size_t size = 0;
	char quote;

	npy_space(text);
	if (text->at == text->end || (*text->at != '\'' && *text->at != '"'))
		return -1;
	quote = *text->at++;
	while (text->at < text->end && *text->at != quote) {
		if (size + 1 == room)
			return -1;
		out[size++] = *text->at++;
	}
	if (text->at == text->end)
		return -1;
	text->at++;
	out[size] = '\0';
	return 0;
}

static int npy_number(struct npy_text *text, uint64_t *out)
{
	uint64_t value = 0;
	int digits = 0;

	npy_space(text);
	while (text->at < text->end && isdigit((unsigned char)*text->at)) {
		if (++digits > 18)
			return -1;
		value = value * 10 + (uint64_t)(*text->at++ - '0');
	}
	*out = value;
	return digits ? 0 : -1;
}

static int npy_word(struct npy_text *text, const char *word)
{
	size_t size = strlen(word);

	npy_space(text);
	if ((size_t)(text->end - text->at) < size ||
	    memcmp(text->at, word, size))
		return 0;
	text->at += size;
	return 1;
}

static int npy_shape(struct npy_text *text, struct npy_header *header)
{
	if (!npy_take(text, '('))
		return -1;
	while (!npy_take(text, ')')) {
		if (header->dim_count == NPY_DIMS_MAX ||
		    npy_number(text, &header->dims[header->dim_count]))
			return -1;
		header->dim_count++;
		if (npy_take(text, ','))
			continue;
		if (!npy_take(text, ')'))
			return -1;
		break;
	}
	return 0;
}

static int npy_entry(struct npy_text *text, struct npy_header *header)
{
	char name[16];
	int seen;

	if (npy_string(text, name, sizeof name) || !npy_take(text, ':'))
		return -1;
	if (!strcmp(name, "descr")) {
		seen = NPY_DESCR;
		if (npy_string(text, header->descr, sizeof header->descr))
			return -1;
	} else if (!strcmp(name, "fortran_order")) {
		seen = NPY_FORTRAN;
		header->is_fortran = npy_word(text, "True");
		if (!header->is_fortran && !npy_word(text, "False"))
			return -1;
	} else if (!strcmp(name, "shape")) {
		seen = NPY_SHAPE;
		if (npy_shape(text, header))
			return -1;
	} else {
		return -1;
	}
	if (header->seen & seen)
		return -1;
	header->seen |= seen;
	return 0;
}

static int npy_parse(struct npy_text *text, struct npy_header *header)
{
	if (!npy_take(text, '{'))
		return -1;
	while (!npy_take(text, '}')) {
		if (npy_entry(text, header))
			return -1;
		if (npy_take(text, ','))
			continue;
		if (!npy_take(text, '}'))
			return -1;
		break;
	}
	npy_space(text);
	return text->at == text->end && header->seen == NPY_ALL ? 0 : -1;
}

static int npy_short(const struct rows *rows, struct fault *fault)
{
	return fault_set(fault, EXIT_BAD_INPUT,
			 "%s: breaks off in its .npy header; is it complete?",
			 rows->reader->name);
}

/* Finds the size of the header, and where it begins. */
static int npy_preamble(struct rows *rows, size_t *begin, size_t *size,
			struct fault *fault)
{
	const char *name = rows->reader->name;
	const unsigned char *data;
	uint32_t wide;
	uint16_t narrow;
	size_t there;

	if (reader_need(rows->reader, 12, fault))
		return fault->code;
	there = reader_peek(rows->reader, &data);
	if (!there || memcmp(data, "\x93NUMPY", there < 6 ? there : 6))
		return fault_set(fault, EXIT_BAD_INPUT,
				 "%s: is no .npy file, it does not begin with "
				 "\\x93NUMPY",
				 name);
	if (there < 12)
		return npy_short(rows, fault);
	memcpy(&narrow, data + 8, sizeof narrow);
	memcpy(&wide, data + 8, sizeof wide);
	if (data[6] < 1 || data[6] > 3)
		return fault_set(fault, EXIT_BAD_INPUT,
				 "%s: .npy of version %u.%u; 1.0, 2.0 and 3.0 "
				 "are known",
				 name, data[6], data[7]);
	*begin = data[6] == 1 ? 10 : 12;
	*size = data[6] == 1 ? narrow : wide;
	if (*size > NPY_HEADER_MAX)
		return fault_set(fault, EXIT_BAD_INPUT,
				 "%s: its .npy header claims %zu bytes, more "
				 "than 64 KiB",
				 name, *size);
	return 0;
}

static int npy_read(struct rows *rows, struct npy_header *header,
		    struct fault *fault)
{
	const unsigned char *data;
	struct npy_text text;
	size_t begin = 0, size = 0;

	if (npy_preamble(rows, &begin, &size, fault) ||
	    reader_need(rows->reader, begin + size, fault))
		return fault->code;
	if (reader_peek(rows->reader, &data) < begin + size)
		return npy_short(rows, fault);
	text.at = (const char *)data + begin;
	text.end = text.at + size;
	memset(header, 0, sizeof *header);
	if (npy_parse(&text, header))
		return fault_set(
		    fault, EXIT_BAD_INPUT,
		    "%s: its .npy header makes no sense at byte "
		    "%zu: %.*s",
		    rows->reader->name, (size_t)(text.at - (const char *)data),
		    size < 120 ? (int)size : 120, (const char *)data + begin);
	reader_take(rows->reader, begin + size);
	return 0;
}

static int npy_kind(struct rows *rows, const char *descr)
{
	static const struct {
		const char *descr;
		int kind;
	} kinds[] = {
	    {"f4", ROW_F32}, {"f2", ROW_F16}, {"f8", ROW_F64}, {"u1", ROW_U8},
	    {"i1", ROW_I8},  {"u2", ROW_U16}, {"i2", ROW_I16}, {"u4", ROW_U32},
	    {"i4", ROW_I32}, {"u8", ROW_U64}, {"i8", ROW_I64},
	};

	rows->is_big = descr[0] == '>';
	if (!descr[0] || !strchr("<=>|", descr[0]))
		return 0;
	for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
		if (!strcmp(kinds[i].descr, descr + 1))
			return kinds[i].kind;
	return 0;
}

int npy_begin(struct rows *rows, struct fault *fault)
{
	const char *name = rows->reader->name;
	struct npy_header header;
	uint64_t dim;

	if (npy_read(rows, &header, fault))
		return fault->code;
	rows->kind = npy_kind(rows, header.descr);
	if (!rows->kind)
		return fault_set(fault, EXIT_BAD_INPUT,
				 "%s: numbers of kind '%s'; floats of 16, 32 "
				 "and 64 bits and whole numbers of up to 64 "
				 "are known. Try: a.astype('<f4')",
				 name, header.descr);
	if (header.dim_count < 1 || header.dim_count > 2)
		return fault_set(fault, EXIT_BAD_INPUT,
				 "%s: has %d dimensions, 2 are wanted: rows "
				 "and numbers",
				 name, header.dim_count);
	if (header.is_fortran && header.dim_count == 2)
		return fault_set(fault, EXIT_BAD_INPUT,
				 "%s: is in Fortran order, so its rows lie "
				 "across the file. Try: np.save(name, "
				 "np.ascontiguousarray(a))",
				 name);
	dim = header.dims[header.dim_count - 1];
	if (dim == 0 || dim > COP_DIM_MAX)
		return fault_set(fault, EXIT_BAD_INPUT,
				 "%s: rows of %llu numbers; 1 to %d are "
				 "possible",
				 name, (unsigned long long)dim, COP_DIM_MAX);
	rows->dim = (uint32_t)dim;
	rows->count = header.dim_count == 2 ? header.dims[0] : 1;
	return 0;
}
