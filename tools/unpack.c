/* SPDX-License-Identifier: Apache-2.0 */
/*
 * unpack: packed bytes unpacked, a piece at a time: gzip, zstd, lz4.
 *
 * idea
 *	How a file is packed is seen by its first bytes, never by its name, so
 *	a pipe may carry it too.  The libraries unpack from one piece of memory
 *	into another, so what it comes to, a bomb too, costs nothing.  Members
 *	and frames may follow one another; nothing else may follow them.
 *
 * limits
 *	zstd's window is 128 MiB at most (zstd --long=27).
 */
#include "unpack.h"

#include <stdint.h>
#include <string.h>

static const struct {
	const char *magic; /* '?': any byte */
	size_t size;
	enum unpack_kind kind;
	const char *tool;
} unpack_magics[] = {
    {"\x1f\x8b", 2, UNPACK_GZIP, NULL},
    {"\x28\xb5\x2f\xfd", 4, UNPACK_ZSTD, NULL},
    {"\x50\x2a\x4d\x18", 4, UNPACK_ZSTD, NULL}, /* a frame to be skipped */
    {"\x04\x22\x4d\x18", 4, UNPACK_LZ4, NULL},
    {"\x02\x21\x4c\x18", 4, UNPACK_REFUSED, "lz4 -dc"},
    {"\xfd\x37zXZ\x00", 6, UNPACK_REFUSED, "xz -dc"},
    {"BZh?1AY&SY", 10, UNPACK_REFUSED, "bzip2 -dc"},
    {"LZIP\x01", 5, UNPACK_REFUSED, "lzip -dc"},
    {"\x1f\x9d", 2, UNPACK_REFUSED, "gzip -dc"},
    {"7z\xbc\xaf\x27\x1c", 6, UNPACK_REFUSED, "7z x -so"},
};

static int unpack_matches(const unsigned char *data, const char *magic,
			  size_t size)
{
	for (size_t i = 0; i < size; i++)
		if (magic[i] != '?' && data[i] != (unsigned char)magic[i])
			return 0;
	return 1;
}

enum unpack_kind unpack_find(const unsigned char *data, size_t size,
			     int *needs_more, const char **tool)
{
	*needs_more = 0;
	*tool = NULL;
	for (size_t i = 0; i < sizeof unpack_magics / sizeof *unpack_magics;
	     i++) {
		size_t want = unpack_magics[i].size;

		if (!unpack_matches(data, unpack_magics[i].magic,
				    size < want ? size : want))
			continue;
		*tool = unpack_magics[i].tool;
		if (size >= want)
			return unpack_magics[i].kind;
		*needs_more = 1;
	}
	return UNPACK_PLAIN;
}

const char *unpack_name(int kind)
{
	static const char *const names[] = {
	    [UNPACK_PLAIN] = "plain", [UNPACK_GZIP] = "gzip",
	    [UNPACK_ZSTD] = "zstd",   [UNPACK_LZ4] = "lz4",
	    [UNPACK_DEFLATE] = "zip", [UNPACK_REFUSED] = "packed"};

	return names[kind];
}

int unpack_begin(struct unpack *unpack, int kind)
{
	int is_bad = 0;

	memset(unpack, 0, sizeof *unpack);
	unpack->is_between = kind != UNPACK_DEFLATE;
	if (kind == UNPACK_GZIP)
		is_bad = inflateInit2(&unpack->zlib, 15 + 16) != Z_OK;
	else if (kind == UNPACK_DEFLATE)
		is_bad = inflateInit2(&unpack->zlib, -15) != Z_OK;
	else if (kind == UNPACK_ZSTD)
		is_bad = !(unpack->zstd = ZSTD_createDStream());
	else
		is_bad = 0 != LZ4F_isError(LZ4F_createDecompressionContext(
				  &unpack->lz4, LZ4F_VERSION));
	if (is_bad)
		return -1;
	unpack->kind = kind;
	return 0;
}

static const char *unpack_zlib(struct unpack *unpack, const unsigned char *in,
			       size_t *in_size, unsigned char *out,
			       size_t *out_size)
{
	z_stream *zlib = &unpack->zlib;
	int status;

	zlib->next_in = (unsigned char *)(uintptr_t)in;
	zlib->avail_in = (uInt)*in_size;
	zlib->next_out = out;
	zlib->avail_out = (uInt)*out_size;
	status = inflate(zlib, Z_NO_FLUSH);
	*in_size -= zlib->avail_in;
	*out_size -= zlib->avail_out;
	if (*in_size)
		unpack->is_between = 0;
	if (status == Z_STREAM_END) {
		unpack->is_between = 1;
		/* of a zip's member, what follows is not its own */
		if (unpack->kind == UNPACK_GZIP)
			inflateReset(zlib);
		return NULL;
	}
	if (status == Z_OK || status == Z_BUF_ERROR)
		return NULL;
	return zlib->msg ? zlib->msg : "bad header";
}

const char *unpack_step(struct unpack *unpack, const unsigned char *in,
			size_t *in_size, unsigned char *out, size_t *out_size)
{
	ZSTD_inBuffer from = {in, *in_size, 0};
	ZSTD_outBuffer to = {out, *out_size, 0};
	size_t status;

	if (unpack->kind == UNPACK_GZIP || unpack->kind == UNPACK_DEFLATE)
		return unpack_zlib(unpack, in, in_size, out, out_size);
	if (unpack->kind == UNPACK_ZSTD) {
		status = ZSTD_decompressStream(unpack->zstd, &to, &from);
		if (ZSTD_isError(status))
			return ZSTD_getErrorName(status);
		*in_size = from.pos;
		*out_size = to.pos;
	} else {
		status = LZ4F_decompress(unpack->lz4, out, out_size, in,
					 in_size, NULL);
		if (LZ4F_isError(status))
			return LZ4F_getErrorName(status);
	}
	if (*in_size || *out_size)
		unpack->is_between = status == 0;
	return NULL;
}

void unpack_end(struct unpack *unpack)
{
	if (unpack->kind == UNPACK_GZIP || unpack->kind == UNPACK_DEFLATE)
		inflateEnd(&unpack->zlib);
	ZSTD_freeDStream(unpack->zstd);
	LZ4F_freeDecompressionContext(unpack->lz4);
	memset(unpack, 0, sizeof *unpack);
}
