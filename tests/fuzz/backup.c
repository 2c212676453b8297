/* SPDX-License-Identifier: Apache-2.0 */
/*
 * backup: a backup that says what was never written, with hashes and seals that
 * fit: verified, restored, opened, read, checked and written to.
 *
 * So what each entry of a store says is read as well, past its checksum: a
 * restored one has a new one.
 *
 * An input: what of it to do, and changes to a sound backup.
 */
#include "tests/fuzz/whole.h"

#include "backupfile.h"

#include <sys/mman.h>
#include <xxhash.h>

enum { ONLY_VERIFY = 1 };

static unsigned char *sound;
static size_t sound_size;
static int file; /* in memory */
static char target[160];

/* LMDB 0.9.24 forgets a list when a transaction that spilled is aborted. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
	return "leak:mdb_midl_alloc\n";
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	struct cop_backup_options options = {.size = sizeof options,
					     .plain = 1};
	struct cop_backup_info info = {.size = sizeof info};

	(void)argc;
	(void)argv;
	whole_make();
	file = memfd_create("backup", MFD_CLOEXEC);
	must(cop_backup(fuzz_fixture.store, file, &options, &info), "backup");
	sound_size = info.bytes;
	sound = malloc(sound_size);
	if (!sound || pread(file, sound, sound_size, 0) != (ssize_t)sound_size)
		bail_out("a backup cannot be read");
	snprintf(target, sizeof target, "%s/restored", fuzz_fixture.folder);
	return 0;
}

/* Hashes, seals and lengths that fit, as far as there are chunks. */
static void reseal(unsigned char *data, size_t size)
{
	struct backup_header header;
	size_t at = sizeof header;
	uint64_t seal;

	memcpy(&header, data, sizeof header);
	header.first_seal = XXH3_64bits(&header, 16);
	/* segments stay in this target's folder */
	snprintf(header.store.shm_dir, sizeof header.store.shm_dir, "%s",
		 fuzz_fixture.folder);
	header.seal = XXH3_64bits(&header, sizeof header - 8);
	memcpy(data, &header, sizeof header);
	seal = header.seal;
	while (at + sizeof(struct backup_chunk) <= size) {
		struct backup_chunk head;

		memcpy(&head, data + at, sizeof head);
		if (head.stored > size - at - sizeof head)
			return;
		head.hash = XXH3_64bits(data + at + sizeof head, head.stored);
		head.seal = XXH3_64bits_withSeed(&head, sizeof head - 8, seal);
		seal = head.seal;
		memcpy(data + at, &head, sizeof head);
		at += sizeof head + head.stored;
	}
}

static void backup_try(unsigned choice)
{
	lseek(file, 0, SEEK_SET);
	if (choice & ONLY_VERIFY) {
		(void)!cop_backup_verify(file, NULL, NULL);
		return;
	}
	if (!cop_restore(file, target, NULL, NULL)) {
		whole_open(target);
		(void)!cop_detach(target);
	}
	nftw(target, fixture_unlink, 16, FTW_DEPTH | FTW_PHYS);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = {data, size};
	unsigned choice = input_byte(&input);
	unsigned char *bytes = malloc(sound_size);

	if (!bytes)
		bail_out("no memory");
	memcpy(bytes, sound, sound_size);
	input_patch(&input, bytes, sound_size);
	reseal(bytes, sound_size);
	if (pwrite(file, bytes, sound_size, 0) != (ssize_t)sound_size)
		bail_out("a backup cannot be written");
	backup_try(choice);
	free(bytes);
	return 0;
}
