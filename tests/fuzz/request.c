/* SPDX-License-Identifier: Apache-2.0 */
/*
 * request: what another process packed and posted; what is accepted is
 * committed.
 *
 * An input: how a request with every kind of operation is changed, or where it
 * is cut off and what then follows.  The names' hashes are made to fit.
 */
#include "tests/fuzz/whole.h"

#include "commit.h"
#include "lock.h"

enum { COMMITS_MOST = 256 };

static struct buffer packed;
static unsigned commits;

static void pack(void)
{
	cop_write *write = write_of(&fuzz_fixture);
	struct request request;

	must(cop_expect(write, "nobody", 6, 0), "expect");
	full_fill(write);
	request = request_of(write);
	packed.size = 0;
	if (request_pack(&request, &packed))
		bail_out("no memory");
	cop_abort(write);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	whole_make();
	pack();
	return 0;
}

/* Names say their hashes, so that more than names is refused. */
static void names_fit(unsigned char *data, size_t size)
{
	struct request_head head;
	uint64_t at;
	uint64_t text;

	if (size < sizeof head)
		return;
	memcpy(&head, data, sizeof head);
	at = sizeof head + (uint64_t)head.ops_bytes;
	text = at + head.name_count * (uint64_t)sizeof(struct name_entry);
	for (; at < text && text + head.text_bytes <= size;
	     at += sizeof(struct name_entry)) {
		struct name_entry entry;

		memcpy(&entry, data + at, sizeof entry);
		if (entry.text_at > head.text_bytes ||
		    entry.size > head.text_bytes - entry.text_at)
			continue;
		entry.hash = name_hash(
		    (enum name_space)entry.space,
		    (const char *)data + text + entry.text_at, entry.size);
		memcpy(data + at, &entry, sizeof entry);
	}
}

static void commit(struct request *request)
{
	cop_store *store = fuzz_fixture.store;

	request->durability = COP_LAZY;
	must(writer_lock(store, LOCK_FOREVER), "lock");
	must(writer_ready(store), "ready");
	commit_run(store, &request, 1);
	writer_unlock(store);
	commits += !request->err;
}

static void renew(void)
{
	uint64_t findings;

	findings = findings_of(fuzz_fixture.store);
	if (findings)
		abort();
	fuzz_store_again(FULL_DIM);
	whole_fill();
	commits = 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = {data, size};
	size_t cut = input_byte(&input) & 1 ? input_number(&input, 2) * 8 : 0;
	size_t rest;
	struct request request = {0};
	unsigned char *bytes;

	if (!cut || cut > packed.size)
		cut = packed.size;
	rest = cut < packed.size ? input.size & ~(size_t)7 : 0;
	bytes = malloc(cut + rest);
	if (!bytes)
		bail_out("no memory");
	memcpy(bytes, packed.data, cut);
	if (rest)
		memcpy(bytes + cut, input.data, rest);
	else
		input_patch(&input, bytes, cut);
	names_fit(bytes, cut + rest);
	if (!request_unpack(fuzz_fixture.store, bytes, cut + rest, &request))
		commit(&request);
	free(bytes);
	if (commits > COMMITS_MOST)
		renew();
	return 0;
}
