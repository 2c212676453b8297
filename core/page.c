/* SPDX-License-Identifier: Apache-2.0 */
#include "page.h"

#include <stdarg.h>
#include <stdio.h>

/* Always -1. */
__attribute__((format(printf, 2, 3))) static int wrong(char *fault,
						       const char *format, ...)
{
	va_list args;

	if (!fault)
		return -1;
	va_start(args, format);
	vsnprintf(fault, PAGE_FAULT_BYTES, format, args);
	va_end(args);
	return -1;
}

int page_nodes(const unsigned char *page, uint32_t page_bytes, int is_leaf,
	       uint16_t *sizes, char *fault)
{
	const uint32_t end = page_bytes;
	struct page_header header;
	uint32_t count;
	uint32_t seen = 0;

	memcpy(&header, page, sizeof header);
	if (header.lower <= PAGES_HEADER || header.lower & 1 ||
	    header.lower > header.upper || header.upper & 1 ||
	    header.upper > end)
		return wrong(fault, "its nodes lie outside of it");
	count = (header.lower - (uint32_t)PAGES_HEADER) / 2;
	memset(sizes, 0, end);
	for (uint32_t i = 0; i < count; i++) {
		uint32_t at = number16(page + PAGES_HEADER + 2 * (size_t)i);
		struct node node;
		uint64_t bytes;

		if (at & 1 || at < header.upper || at > end - NODE_HEADER)
			return wrong(fault, "node %u lies outside of it", i);
		node = node_of(page + at);
		bytes = node_bytes(&node, is_leaf);
		if (bytes > end - at)
			return wrong(fault, "node %u is larger than it", i);
		sizes[at / 2] = (uint16_t)bytes;
	}
	for (uint32_t at = header.upper; at < end; at += sizes[at / 2]) {
		if (!sizes[at / 2])
			return wrong(fault, "nothing has its byte %u", at);
		seen++;
	}
	return seen == count ? (int)count : wrong(fault, "its nodes overlap");
}

uint64_t pages_run_room(const void *value, uint32_t page_bytes)
{
	const unsigned char *page = (const unsigned char *)value - PAGES_HEADER;
	struct page_header header;
	uint32_t count;

	memcpy(&header, page, sizeof header);
	memcpy(&count, page + offsetof(struct page_header, lower),
	       sizeof count);
	return header.flags == PAGE_RUN && count
		   ? (uint64_t)count * page_bytes - PAGES_HEADER
		   : 0;
}
