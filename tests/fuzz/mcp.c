/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mcp: what an assistant's host says, line after line, to a store with
 * something of everything.
 */
#include "tools/verb_mcp.c"

#include "tests/fuzz/whole.h"

enum { INPUTS_MOST = 500 };

static unsigned inputs;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	whole_make();
	return 0;
}

static void line_try(struct mcp *mcp, const char *line, size_t size)
{
	json_t *answer = line_answer(mcp, line, size);
	char *text = answer ? json_dumps(answer, JSON_COMPACT) : NULL;

	if (answer && !text) /* it could not be sent */
		abort();
	free(text);
	json_decref(answer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct mcp mcp = {
	    .memory = {.store = fuzz_fixture.store, .dim = FULL_DIM}};

	while (size) {
		const uint8_t *end = memchr(data, '\n', size);
		size_t part = end ? (size_t)(end - data) + 1 : size;

		line_try(&mcp, (const char *)data, part);
		data += part;
		size -= part;
	}
	memory_release(&mcp.memory);
	if (++inputs > INPUTS_MOST) {
		fuzz_store_again(FULL_DIM);
		whole_fill();
		inputs = 0;
	}
	return 0;
}
