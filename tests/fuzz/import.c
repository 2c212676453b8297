/* SPDX-License-Identifier: Apache-2.0 */
/*
 * import: a file of any format, packed or plain, on its way into a store.
 *
 * An input: the format and what the file is called, options, how a table is
 * written; then, with one of the options, the size of a file of keys and that
 * file; then the file.
 */
#include "tools/verb_import.c"

#include "tests/fuzz/fuzz.h"

enum {
	OPTION_SKIP_BAD = 1,
	OPTION_COMMIT = 2,
	OPTION_NAMES = 4,
	OPTION_NO_HEADER = 8,
	OPTION_LOCAL_NAMES = 16,
	OPTION_IDS = 32,
	OPTION_DANGLING = 64, /* times 0 to 2 */
	COMMITS_MOST = 512,
	DIM = 3
};

static unsigned commits;

static const char *file_name(unsigned kind)
{
	static const char *const names[] = {
	    "in",	"in.csv",   "in.tsv",	 "in.ndjson", "in.fvecs",
	    "in.bvecs", "in.ivecs", "in.fbin",	 "in.u8bin",  "in.i8bin",
	    "in.ibin",	"in.nt",    "in.nq",	 "in.ttl",    "in.trig",
	    "in.vec",	"in.json",  "in.graphml"};

	return names[kind % (sizeof names / sizeof *names)];
}

static void dialect_choose(struct table *table, unsigned choice)
{
	static const int delimiters[] = {0,   ',', ';',	 '\t',
					 '|', ' ', 0xff, 'a'};
	static const int quotes[] = {'"', '\'', CSV_NONE, '"'};
	static const int escapes[] = {CSV_NONE, '\\', CSV_NONE, '"'};
	static const int arrays[] = {';', '|'};

	table->dialect.delimiter = delimiters[choice & 7];
	table->dialect.quote = quotes[choice >> 3 & 3];
	table->dialect.escape = escapes[choice >> 5 & 3];
	if (table->dialect.escape == table->dialect.quote)
		table->dialect.escape = CSV_NONE;
	table->array_delimiter = arrays[choice >> 7];
}

static void options_choose(struct import *import, unsigned choice)
{
	import->skips_bad = choice & OPTION_SKIP_BAD;
	import->dangling = (int32_t)(choice / OPTION_DANGLING % 3);
	import->local_names = !!(choice & OPTION_LOCAL_NAMES);
	import->table.has_no_header = !!(choice & OPTION_NO_HEADER);
	if (choice & OPTION_NAMES) {
		import->type = "thing";
		import->relation = "knows";
		import->type_key = "kind";
		import->relation_key = "how";
		import->array = "vectors";
	}
}

/* Keys in front of the file, if they are chosen. */
static void ids_choose(struct import *import, struct input *input,
		       unsigned choice)
{
	size_t size;

	if (!(choice & OPTION_IDS))
		return;
	size = input_byte(input);
	if (size > input->size)
		size = input->size;
	import->ids = fuzz_file("ids", input->data, size);
	input->data += size;
	input->size -= size;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	fuzz_folder();
	fuzz_store(DIM);
	return 0;
}

static int import_input(struct import *import, struct input *input,
			unsigned choice)
{
	struct cli *cli = import->cli;
	unsigned kind = input_byte(input);
	char *operand;
	int code;

	import->format = (int)(kind & 31) % (FORMAT_TRIG + 2) - 1;
	dialect_choose(&import->table, input_byte(input));
	ids_choose(import, input, choice);
	operand = (char *)fuzz_file(file_name(input_byte(input)), input->data,
				    input->size);
	cli->operands = &operand;
	cli->operand_count = 1;
	code = import_files(import);
	if (!code && choice & OPTION_COMMIT)
		code = batch_finish(&import->batch, &cli->fault);
	else
		code = import_settle(import, code);
	return code;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = {data, size};
	struct cli cli = {
	    .verb = &verb_import, .quiet = 1, .store = fuzz_fixture.store};
	struct import import = {.cli = &cli,
				.progress_mode = PROGRESS_NEVER,
				.batch.record_max = SIZE_MAX,
				.batch.byte_max = SIZE_MAX,
				.batch.threads = 1};
	unsigned choice = input_byte(&input);

	options_choose(&import, choice);
	if (choice & OPTION_COMMIT) {
		import.batch.record_max = 4;
		import.batch.lazy = 1;
	}
	(void)import_input(&import, &input, choice);
	commits += (unsigned)import.batch.commits;
	cop_read_end(cli.read);
	batch_release(&import.batch);
	record_release(&import.record);
	parallel_release(&import.parallel);
	if (commits > COMMITS_MOST) {
		fuzz_store_again(DIM);
		commits = 0;
	}
	return 0;
}
