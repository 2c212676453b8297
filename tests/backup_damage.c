/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A backup that is not what was written is told from one that is, and does no
 * harm.
 *
 * idea
 *	Of a small backup every bit is turned over, one after the other, and
 *	every length tried; of one with several chunks, some.  All of that must
 *	be COP_CORRUPT.  Then the bytes are changed at random and every hash and
 *	seal is made to fit again, as somebody with intentions would: whatever
 *	comes of it, restoring, opening and checking it ends in good order.
 *
 * limits
 *	FORGERIES of them, by COPPICE_TEST_SEED.
 */
#include "backupfile.h"
#include "fixture.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <xxhash.h>

enum {
	DIM = 3,
	FLIPS = 600 / TEST_SLOW,
	FORGERIES = 600 / TEST_SLOW,
	CONTENT = 3 << 20,
	END_RESTORED = 9,
	END_WRONG = 10
};

static struct fixture f;
static char target[128];

struct bytes_of_backup {
	int fd; /* of a memory file that holds them */
	size_t size;
	unsigned char *data; /* mapped */
	size_t room;
};

/* ---- backups ------------------------------------------------------------ */

static struct bytes_of_backup backup_make(int32_t plain)
{
	struct cop_backup_options options = {.size = sizeof options,
					     .plain = plain};
	struct cop_backup_info info = {.size = sizeof info};
	struct bytes_of_backup out = {.fd = memfd_create("b", MFD_CLOEXEC)};

	must(cop_backup(f.store, out.fd, &options, &info), "backup");
	out.size = info.bytes;
	out.room = out.size + (1 << 16);
	if (ftruncate(out.fd, (off_t)out.room))
		bail_out("ftruncate: %s", strerror(errno));
	out.data =
	    mmap(NULL, out.room, PROT_READ | PROT_WRITE, MAP_SHARED, out.fd, 0);
	if (out.data == MAP_FAILED || ftruncate(out.fd, (off_t)out.size))
		bail_out("mmap: %s", strerror(errno));
	return out;
}

static void backup_drop(struct bytes_of_backup *backup)
{
	munmap(backup->data, backup->room);
	close(backup->fd);
}

static cop_err verify(const struct bytes_of_backup *backup)
{
	struct cop_backup_info info = {.size = sizeof info, .commit = 77};
	cop_err err;

	lseek(backup->fd, 0, SEEK_SET);
	err = cop_backup_verify(backup->fd, NULL, &info);
	if (err && info.commit != 77)
		bail_out("what is told of a bad backup was written");
	return err;
}

static int leaves_nothing(void)
{
	char place[160];

	snprintf(place, sizeof place, "%s.restoring", target);
	return access(target, F_OK) && access(place, F_OK);
}

static cop_err restore(const struct bytes_of_backup *backup)
{
	lseek(backup->fd, 0, SEEK_SET);
	return cop_restore(backup->fd, target, NULL, NULL);
}

static void length_set(struct bytes_of_backup *backup, size_t size)
{
	if (ftruncate(backup->fd, (off_t)size))
		bail_out("ftruncate: %s", strerror(errno));
}

static void entity_put(const char *key, uint64_t seed, size_t content_size)
{
	float vector[DIM] = {1, (float)seed, 2};
	char *content = malloc(content_size);
	struct cop_property property = {
	    "n", 1, {.kind = COP_INT, .integer = (int64_t)seed}};
	const char *tag = "tag";
	struct cop_put put = {.size = sizeof put,
			      .key = key,
			      .key_size = (uint32_t)strlen(key),
			      .type = "type",
			      .type_size = 4,
			      .tags = &tag,
			      .tag_count = 1,
			      .properties = &property,
			      .property_count = 1,
			      .vector = vector,
			      .dim = DIM,
			      .content = content,
			      .content_size = (uint32_t)content_size};
	cop_write *write = write_of(&f);

	for (size_t i = 0; i < content_size; i++)
		content[i] = (char)test_random(&seed);
	must(cop_put(write, &put), "put");
	must(link_simple(write, key, "to", key), "link");
	(void)commit_of(write);
	free(content);
}

static void store_make(void)
{
	cop_write *write;

	entity_put("ada", 1, 40);
	entity_put("grace", 2, 40);
	entity_put("ada", 3, 40);
	write = write_of(&f);
	must(cop_delete(write, "grace", 5), "delete");
	(void)commit_of(write);
}

/* ---- damage ------------------------------------------------------------- */

static void every_bit_counts(int32_t plain)
{
	struct bytes_of_backup backup = backup_make(plain);
	int missed = 0;
	int harmful = 0;

	is_int(verify(&backup), 0, "a backup of %zu bytes is whole",
	       backup.size);
	for (size_t bit = 0; bit < backup.size * 8; bit++) {
		unsigned char *byte = &backup.data[bit / 8];
		unsigned char mask = (unsigned char)(1 << bit % 8);

		*byte ^= mask;
		missed += verify(&backup) != COP_CORRUPT;
		if (bit % 97 == 0)
			harmful += restore(&backup) != COP_CORRUPT ||
				   !leaves_nothing();
		*byte ^= mask;
	}
	is_int(missed, 0, "each bit of it that is wrong is found%s",
	       plain ? ", not compressed, too" : "");
	is_int(harmful, 0, "a restore finds it, too, and leaves nothing");
	backup_drop(&backup);
}

static void every_length_counts(void)
{
	struct bytes_of_backup backup = backup_make(0);
	unsigned char *kept = malloc(backup.size);
	int wrong = 0;

	memcpy(kept, backup.data, backup.size);
	for (size_t size = backup.size; size-- > 0;) {
		length_set(&backup, size);
		wrong += verify(&backup) != COP_CORRUPT ||
			 !strstr(cop_last_error(), size ? "cut off" : "empty");
		if (size % 97 == 0)
			wrong += restore(&backup) != COP_CORRUPT ||
				 !leaves_nothing();
	}
	is_int(wrong, 0, "one that was cut off is told so, whatever is left");
	length_set(&backup, backup.size + 1);
	memcpy(backup.data, kept, backup.size);
	is_int(verify(&backup), COP_CORRUPT, "one byte more is refused");
	ok(strstr(cop_last_error(), "something else follows"), "in words");
	length_set(&backup, backup.size);
	is_int(verify(&backup), 0, "as it was, it is whole");
	free(kept);
	backup_drop(&backup);
}

static void each_chunk_counts(uint64_t *state)
{
	struct bytes_of_backup backup = backup_make(0);
	int missed = 0;

	ok(backup.size > CONTENT, "a backup of several chunks");
	for (int i = 0; i < FLIPS; i++) {
		unsigned char *byte =
		    &backup.data[test_below(state, backup.size)];
		unsigned char mask = (unsigned char)(1 << test_below(state, 8));

		*byte ^= mask;
		missed += verify(&backup) != COP_CORRUPT;
		*byte ^= mask;
	}
	is_int(missed, 0, "in all of it what is wrong is found");
	backup_drop(&backup);
}

/* ---- what fits, and is not what was written ----------------------------- */

/* Makes hashes and seals fit again, as far as there are chunks. */
static void reseal(struct bytes_of_backup *backup)
{
	struct backup_header header;
	size_t at = sizeof header;
	uint64_t seal;

	memcpy(&header, backup->data, sizeof header);
	header.first_seal = XXH3_64bits(&header, 16);
	header.seal = XXH3_64bits(&header, sizeof header - 8);
	memcpy(backup->data, &header, sizeof header);
	seal = header.seal;
	while (at + sizeof(struct backup_chunk) <= backup->size) {
		struct backup_chunk head;

		memcpy(&head, backup->data + at, sizeof head);
		if (head.stored > backup->size - at - sizeof head)
			return;
		head.hash =
		    XXH3_64bits(backup->data + at + sizeof head, head.stored);
		head.seal = XXH3_64bits_withSeed(&head, sizeof head - 8, seal);
		seal = head.seal;
		memcpy(backup->data + at, &head, sizeof head);
		at += sizeof head + head.stored;
	}
}

static void other_versions_are_told(void)
{
	struct bytes_of_backup backup = backup_make(0);
	struct backup_header header;
	struct backup_header kept;

	reseal(&backup);
	is_int(verify(&backup), 0, "this test seals as the library does");
	memcpy(&kept, backup.data, sizeof kept);
	header = kept;
	header.format++;
	memcpy(backup.data, &header, sizeof header);
	reseal(&backup);
	is_int(verify(&backup), COP_VERSION,
	       "a newer format of backups is "
	       "refused");
	ok(strstr(cop_last_error(), "newer"), "in words");
	header = kept;
	header.store.format--;
	memcpy(backup.data, &header, sizeof header);
	reseal(&backup);
	is_int(verify(&backup), COP_VERSION, "an older format of stores is");
	ok(strstr(cop_last_error(), "older"), "in words, too");
	is_int(restore(&backup), COP_VERSION, "and not restored");
	ok(leaves_nothing(), "nothing is left of it");
	backup_drop(&backup);
}

/* What would take memory for a thousand million of entities. */
static void counters_are_those_of_what_there_is(void)
{
	struct bytes_of_backup backup = backup_make(0);
	struct backup_header header;
	struct backup_header kept;

	memcpy(&kept, backup.data, sizeof kept);
	header = kept;
	header.state.next_entity |= 1 << 30;
	memcpy(backup.data, &header, sizeof header);
	reseal(&backup);
	is_int(restore(&backup), COP_CORRUPT,
	       "ids for a thousand million of entities are not restored");
	ok(strstr(cop_last_error(), "counters"), "in words");
	header = kept;
	header.state.edges |= 1 << 30;
	memcpy(backup.data, &header, sizeof header);
	reseal(&backup);
	is_int(restore(&backup), COP_CORRUPT, "nor as many edges");
	ok(leaves_nothing(), "nothing is left of it");
	backup_drop(&backup);
}

static size_t chunk_bytes(const unsigned char *at)
{
	struct backup_chunk head;

	memcpy(&head, at, sizeof head);
	return sizeof head + head.stored;
}

static void a_chunk_belongs_where_it_is(void)
{
	struct bytes_of_backup backup = backup_make(0);
	struct bytes_of_backup other = backup_make(0);
	unsigned char *first = backup.data + sizeof(struct backup_header);
	size_t bytes = chunk_bytes(first);
	size_t rest = backup.size - sizeof(struct backup_header) - bytes;

	memcpy(first, other.data + sizeof(struct backup_header), bytes);
	is_int(verify(&backup), COP_CORRUPT,
	       "a chunk of another backup of the same is none of this one's");
	backup_drop(&backup);
	backup = backup_make(0);
	first = backup.data + sizeof(struct backup_header);
	memmove(first, first + bytes, rest);
	length_set(&backup, backup.size - bytes);
	is_int(verify(&backup), COP_CORRUPT,
	       "a chunk that is left out is "
	       "missed");
	backup_drop(&backup);
	backup_drop(&other);
}

static int32_t entity_see(void *user, cop_read *read,
			  const struct cop_entity *entity)
{
	const float *vector;

	(void)user;
	(void)!cop_vector(read, entity->id, &vector);
	return 0;
}

/* Whatever there is, is read. */
static void store_read(const char *path)
{
	uint64_t findings;
	cop_store *store;
	cop_read *read;

	if (cop_open(path, NULL, &store))
		return;
	(void)!cop_check(store, NULL, NULL, &findings);
	if (!cop_read_begin(store, &read)) {
		(void)!cop_keys(read, NULL, 0, entity_see, NULL);
		cop_read_end(read);
	}
	cop_close(store);
}

static int forgery_try(const struct bytes_of_backup *backup)
{
	pid_t pid = fork();
	int status;

	if (pid) {
		status = child_wait(pid);
		(void)!cop_detach(target);
		nftw(target, fixture_unlink, 16, FTW_DEPTH | FTW_PHYS);
		return status;
	}
	alarm(60);
	if (restore(backup))
		_exit(leaves_nothing() ? 0 : END_WRONG);
	store_read(target);
	_exit(END_RESTORED);
}

static void forge(struct bytes_of_backup *backup, uint64_t *state)
{
	uint64_t changes = 1 + test_below(state, 4);

	for (uint64_t i = 0; i < changes; i++) {
		size_t at = test_below(state, backup->size);

		if (test_below(state, 2))
			backup->data[at] ^=
			    (unsigned char)(1 << test_below(state, 8));
		else
			backup->data[at] = (unsigned char)test_random(state);
	}
	reseal(backup);
}

static void a_forged_backup_does_no_harm(uint64_t *state)
{
	struct bytes_of_backup backup = backup_make(1);
	unsigned char *kept = malloc(backup.size);
	int restored = 0;
	int wrong = 0;

	memcpy(kept, backup.data, backup.size);
	for (int i = 0; i < FORGERIES && !wrong; i++) {
		int status;

		forge(&backup, state);
		status = forgery_try(&backup);
		restored += status == END_RESTORED;
		if (status && status != END_RESTORED) {
			diag("forgery %d ended with %d", i, status);
			wrong++;
		}
		memcpy(backup.data, kept, backup.size);
	}
	is_int(wrong, 0,
	       "%d backups with what fits and makes no sense are refused, or "
	       "restored, opened and checked, in good order",
	       FORGERIES);
	ok(restored && restored < FORGERIES, "of these %d are restored",
	   restored);
	free(kept);
	backup_drop(&backup);
}

int main(void)
{
	uint64_t state;

	test_begin(300 * TEST_SLOW);
	state = test_seed();
	fixture_init(&f, DIM, COP_L2);
	snprintf(target, sizeof target, "%s/restored", f.folder);
	store_make();
	every_bit_counts(0);
	every_bit_counts(1);
	every_length_counts();
	other_versions_are_told();
	counters_are_those_of_what_there_is();
	if (!TEST_TSAN) /* which does not let a forked child go on */
		a_forged_backup_does_no_harm(&state);
	entity_put("large", 4, CONTENT);
	each_chunk_counts(&state);
	a_chunk_belongs_where_it_is();
	fixture_release(&f);
	return done_testing();
}
