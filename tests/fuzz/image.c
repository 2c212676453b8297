/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image: an image of the shared segment that says what was never there, with
 * hashes that fit: loaded, or not, then read, checked and written to.
 *
 * An input: whether the file is changed or what is in its chunks, and changes.
 */
#include "tests/fuzz/whole.h"

#include "imagefile.h"

#include <xxhash.h>

enum { FILE_CHANGED = 1, CHUNKS_MOST = 64, FOLDER_ROOM = 160 };

static char folder[FOLDER_ROOM];
static uint64_t commit;
static struct imagefile sound;
static unsigned char *chunks[CHUNKS_MOST];
static unsigned char *file_bytes;
static size_t file_size;

/* The chunks of the image, unpacked. */
static void chunks_take(int fd)
{
	void *room = malloc(image_room());

	if (imagefile_list(fd, &commit, 1) != 1 ||
	    imagefile_open(&sound, fd, commit) ||
	    sound.header.chunk_count > CHUNKS_MOST)
		bail_out("there is no image");
	for (uint64_t i = 0; i < sound.header.chunk_count; i++) {
		chunks[i] = malloc(IMAGE_CHUNK_BYTES);
		if (!room || !chunks[i] ||
		    imagefile_read(&sound, i, chunks[i], room))
			bail_out("chunk %u cannot be read", (unsigned)i);
	}
	free(room);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	char name[IMAGEFILE_NAME_BYTES];
	char path[FOLDER_ROOM + IMAGEFILE_NAME_BYTES];
	int fd;

	(void)argc;
	(void)argv;
	setenv("COPPICE_CHECKPOINT", "0", 1);
	whole_make();
	must(cop_checkpoint(fuzz_fixture.store, NULL), "checkpoint");
	fixture_close(&fuzz_fixture);
	must(cop_detach(fuzz_fixture.path), "detach");
	snprintf(folder, sizeof folder, "%s/gen-000001", fuzz_fixture.path);
	fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	chunks_take(fd);
	close(fd);
	imagefile_name(name, commit);
	snprintf(path, sizeof path, "%s/%s", folder, name);
	file_bytes = whole_file(path, &file_size);
	return 0;
}

/* The file itself changed, and its last hash made to fit. */
static void file_write(struct input *input)
{
	char name[IMAGEFILE_NAME_BYTES + 32];
	unsigned char *copy = malloc(file_size);
	struct image_header header;
	uint64_t parts[2];
	uint64_t seal;

	if (!copy)
		bail_out("no memory");
	memcpy(copy, file_bytes, file_size);
	input_patch(input, copy, file_size);
	memcpy(&header, copy, sizeof header);
	if (header.table_at < file_size - sizeof seal) {
		parts[0] = XXH3_64bits(&header, sizeof header);
		parts[1] =
		    XXH3_64bits(copy + header.table_at,
				file_size - sizeof seal - header.table_at);
		seal = XXH3_64bits(parts, sizeof parts);
		memcpy(copy + file_size - sizeof seal, &seal, sizeof seal);
	}
	strcpy(name, "store/gen-000001/");
	imagefile_name(name + strlen(name), commit);
	(void)fuzz_file(name, copy, file_size);
	free(copy);
}

static void chunk_write(struct imagefile *file, uint64_t chunk,
			const unsigned char *bytes)
{
	uint32_t size = image_chunk_bytes(&sound.plan, chunk);

	if (imagefile_write(file, chunk, bytes, size, image_hash(bytes, size)))
		bail_out("an image cannot be written");
}

/* A chunk changed, and all packed again: which one, then the changes. */
static void chunks_write(struct input *input)
{
	int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	uint64_t changed = input_byte(input) % sound.header.chunk_count;
	uint32_t size = image_chunk_bytes(&sound.plan, changed);
	unsigned char *copy = malloc(size);
	struct imagefile file;

	if (!copy || imagefile_create(&file, fd, 0600, fd) ||
	    imagefile_plan(&file, &sound.plan))
		bail_out("an image cannot be made");
	memcpy(copy, chunks[changed], size);
	input_patch(input, copy, size);
	for (uint64_t i = 0; i < sound.header.chunk_count; i++)
		chunk_write(&file, i, i == changed ? copy : chunks[i]);
	file.header = sound.header;
	if (imagefile_seal(&file))
		bail_out("an image cannot be sealed");
	imagefile_close(&file);
	free(copy);
	close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = {data, size};

	if (input_byte(&input) & FILE_CHANGED)
		file_write(&input);
	else
		chunks_write(&input);
	whole_open(fuzz_fixture.path);
	(void)!cop_detach(fuzz_fixture.path);
	return 0;
}
