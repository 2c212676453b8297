/* SPDX-License-Identifier: Apache-2.0 */
/* Packed bytes unpacked, a piece at a time: gzip, zstd, lz4; unpack.c. */
#ifndef TOOLS_UNPACK_H
#define TOOLS_UNPACK_H

#include <lz4frame.h>
#include <stddef.h>
#include <zlib.h>
#include <zstd.h>

enum unpack_kind {
	UNPACK_PLAIN,
	UNPACK_GZIP,
	UNPACK_ZSTD,
	UNPACK_LZ4,
	UNPACK_DEFLATE, /* without a header, as in a zip */
	UNPACK_REFUSED	/* packed, but not so that it can be read here */
};

struct unpack {
	int kind;
	int is_between; /* members or frames: the data may end here */
	z_stream zlib;
	ZSTD_DStream *zstd;
	LZ4F_dctx *lz4;
};

/*
 * What a file is that begins so.  *needs_more is set if further bytes may say
 * something else; *tool is the command that unpacks what is refused.
 */
enum unpack_kind unpack_find(const unsigned char *data, size_t size,
			     int *needs_more, const char **tool);

/* Its name, for messages. */
const char *unpack_name(int kind);

/* -1: no memory. */
int unpack_begin(struct unpack *unpack, int kind);

/*
 * Unpacks from `in` into `out`; sets the sizes to what was taken and made.
 * Returns NULL, or why it cannot be unpacked.
 */
const char *unpack_step(struct unpack *unpack, const unsigned char *in,
			size_t *in_size, unsigned char *out, size_t *out_size);

/* Allowed on one that is all zero. */
void unpack_end(struct unpack *unpack);

#endif
