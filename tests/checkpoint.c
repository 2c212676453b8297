/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Images of the segment: what is loaded is what was taken, brought forward.
 *
 * idea
 *	A script of random commits runs against a store; somewhere an image is
 *	taken, and more commits follow.  The store is detached and opened: the
 *	segment comes from the image.  Then the images are removed and the
 *	segment is built from LMDB.  Both must give the same answers, and the
 *	check of the store must find nothing.
 *
 *	Damage is done to the file, which its hashes must find; and to what is
 *	in it, with the hashes made anew, which validation must find or which
 *	must do no more harm than a wrong answer.
 *
 *	COPPICE_TEST_SEED repeats a run, COPPICE_TEST_ROUNDS forges more images.
 */
#include "checkpoint.h"
#include "fixture.h"
#include "point.h"

#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/resource.h>
#include <unistd.h>

enum { DIM = 8, KEYS = 200, NAME_ROOM = 16 };

static uint64_t seed;

static uint64_t draw(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed * UINT64_C(0x2545f4914f6cdd1d) >> 16;
}

static uint32_t below(uint32_t limit)
{
	return (uint32_t)(draw() % limit);
}

/* ---- a script ----------------------------------------------------------- */

static const char *key_name(char *key, uint32_t i)
{
	snprintf(key, NAME_ROOM, "key-%u", i);
	return key;
}

static const char *const types[] = {NULL, "a", "b", "c"};
static const char *const relations[] = {"r", "s"};
static const char *const tags[] = {"x", "y", "z"};

static void put_random(cop_write *write, uint32_t i)
{
	float vector[DIM];
	char key[NAME_ROOM];
	const char *type = types[below(4)];
	struct cop_put put = {.size = sizeof put, .key = key_name(key, i)};

	for (int d = 0; d < DIM; d++)
		vector[d] = (float)below(1000) - 499.5f;
	put.key_size = (uint32_t)strlen(key);
	put.type = type;
	put.type_size = type ? 1 : 0;
	put.tags = &tags[below(3)];
	put.tag_count = below(2);
	if (below(3)) {
		put.vector = vector;
		put.dim = DIM;
	} else {
		put.vector_change =
		    below(2) ? COP_VECTOR_DROP : COP_VECTOR_KEEP;
	}
	must(cop_put(write, &put), "put");
}

static void edge_random(cop_write *write, uint32_t a, uint32_t b)
{
	char from[NAME_ROOM];
	char to[NAME_ROOM];
	const char *relation = relations[below(2)];
	struct cop_put_edge edge = {.size = sizeof edge,
				    .dangling = COP_DANGLING_STUB,
				    .source = key_name(from, a),
				    .relation = relation,
				    .relation_size = 1,
				    .target = key_name(to, b)};

	edge.source_size = strlen(from);
	edge.target_size = strlen(to);
	if (below(4))
		must(cop_put_edge(write, &edge), "link");
	else
		must(cop_delete_edge(write, from, strlen(from), relation, 1, to,
				     strlen(to)),
		     "unlink");
}

static void operation_random(cop_write *write, uint32_t keys)
{
	char key[NAME_ROOM];
	uint32_t i = below(keys);

	key_name(key, i);
	switch (below(8)) {
	case 0:
	case 1:
	case 2: put_random(write, i); break;
	case 3: must(cop_delete(write, key, strlen(key)), "delete"); break;
	default:
		/* a few are hubs */
		edge_random(write, below(3) ? i : below(3), below(keys));
	}
}

static void commit_random(cop_store *store, uint32_t keys, uint32_t operations)
{
	cop_write *write;

	must(cop_write_begin(store, &write), "write");
	put_random(write, below(keys)); /* never an empty commit */
	for (uint32_t i = 0; i < operations; i++)
		operation_random(write, keys);
	must(cop_commit(write, NULL), "commit");
	cop_abort(write);
}

static void script_run(cop_store *store, uint32_t keys, uint32_t commits)
{
	for (uint32_t i = 0; i < commits; i++)
		commit_random(store, keys, below(50));
}

/* ---- a state as one number ---------------------------------------------- */

static uint64_t mix(uint64_t sum, uint64_t word)
{
	sum = (sum ^ word) * UINT64_C(0x9e3779b97f4a7c15);
	return sum ^ sum >> 29;
}

/* The entities within two hops, in whatever order. */
static uint64_t walk_sum(cop_read *read, uint64_t id)
{
	static struct cop_step steps[4 * KEYS];
	struct cop_walk walk = {
	    .size = sizeof walk, .hops = 2, .start = id, .direction = COP_BOTH};
	uint64_t sum = 0;
	size_t count = 0;

	must(cop_walk(read, &walk, steps, 4 * KEYS, &count, NULL), "walk");
	for (size_t i = 0; i < count; i++)
		sum += mix(steps[i].hops, steps[i].id);
	return mix(sum, count);
}

static uint64_t search_sum(cop_read *read, const char *type, int at)
{
	struct cop_hit hits[KEYS * 2];
	struct cop_search search = {
	    .size = sizeof search, .k = KEYS * 2, .type = type};
	float query[DIM] = {0};
	uint32_t count = 0;
	uint64_t sum;

	query[at % DIM] = 100;
	search.vector = query;
	must(cop_search(read, &search, hits, &count), "search");
	sum = count;
	for (uint32_t i = 0; i < count; i++)
		sum = mix(sum, hits[i].id);
	return sum;
}

static uint64_t state_sum(cop_read *read, uint32_t keys)
{
	uint64_t sum = cop_read_commit(read);

	for (uint32_t i = 0; i < keys; i++) {
		struct cop_entity entity;
		const void *bytes;
		const float *vector;
		char key[NAME_ROOM];
		size_t size;
		uint64_t id = lookup(read, key_name(key, i));

		must(cop_get(read, key, strlen(key), &entity), "get");
		sum = mix(sum, id);
		sum = mix(sum, entity.id == id);
		/* keys are kept of what was deleted, too */
		must(cop_key(read, i + 1, &bytes, &size), "key");
		sum = mix(sum, size);
		if (size)
			sum =
			    mix(sum, ((const unsigned char *)bytes)[size - 1]);
		if (!id)
			continue;
		sum = mix(sum, entity.type);
		must(cop_vector(read, id, &vector), "vector");
		sum = mix(sum, vector ? (uint64_t)(int64_t)vector[0] : 0);
		sum = mix(sum, walk_sum(read, id));
	}
	for (int i = 0; i < DIM; i++)
		sum = mix(sum, search_sum(read, NULL, i));
	for (int i = 1; i < 4; i++)
		sum = mix(sum, search_sum(read, types[i], i));
	return sum;
}

static uint64_t store_sum(cop_store *store, uint32_t keys)
{
	cop_read *read;
	uint64_t sum;

	must(cop_read_begin(store, &read), "read");
	sum = state_sum(read, keys);
	cop_read_end(read);
	return sum;
}

/* ---- images ------------------------------------------------------------- */

static void folder_of(const struct fixture *f, char *path, size_t room)
{
	snprintf(path, room, "%s/gen-000001", f->path);
}

static int folder_fd(const struct fixture *f)
{
	char path[128];
	int fd;

	folder_of(f, path, sizeof path);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		bail_out("open %s: %s", path, strerror(errno));
	return fd;
}

/* The images there are, newest first, as commits. */
static uint32_t images_of(const struct fixture *f, uint64_t *commits)
{
	int fd = folder_fd(f);
	uint32_t count = imagefile_list(fd, commits, 8);

	close(fd);
	return count;
}

static int leftovers_of(const struct fixture *f)
{
	int fd = folder_fd(f);
	DIR *folder = fdopendir(fd);
	struct dirent *entry;
	int count = 0;

	while ((entry = readdir(folder)))
		count += strstr(entry->d_name, ".new") != NULL;
	closedir(folder);
	return count;
}

static void images_remove(const struct fixture *f)
{
	int fd = folder_fd(f);

	imagefile_keep(fd, UINT64_MAX, UINT64_MAX);
	close(fd);
}

static uint64_t checkpoint_of(struct fixture *f)
{
	struct cop_checkpoint_result result = {.size = sizeof result};

	must(cop_checkpoint(f->store, &result), "checkpoint");
	return result.commit;
}

/* The commit of the image that the open store's segment came from, or 0. */
static uint64_t loaded_from(const struct fixture *f)
{
	const struct segment_header *header = f->store->index->segment.header;

	return atomic_load(&header->images.newest);
}

/* Closes, forgets the shared memory and opens again. */
static void reattach(struct fixture *f)
{
	fixture_close(f);
	must(cop_detach(f->path), "detach");
	fixture_open(f);
}

/* ---- claims ------------------------------------------------------------- */

static void an_image_is_loaded_as_it_was_taken(void)
{
	struct cop_checkpoint_result result = {.size = sizeof result};
	struct fixture f;
	uint64_t sum;

	fixture_init(&f, DIM, COP_L2);
	script_run(f.store, KEYS, 20);
	sum = store_sum(f.store, KEYS);
	must(cop_checkpoint(f.store, &result), "checkpoint");
	ok(result.commit == 20 && result.bytes && result.chunks > 5 &&
	       result.segment_bytes > result.bytes && result.ns &&
	       result.locked_ns < result.ns && !result.chunks_locked,
	   "a checkpoint says what it wrote: %" PRIu64 " bytes in %" PRIu64
	   " chunks, none packed under the lock",
	   result.bytes, result.chunks);
	reattach(&f);
	ok(loaded_from(&f) == 20, "the next attach loads it");
	ok(store_sum(f.store, KEYS) == sum, "and answers as before");
	is_int((long)findings_of(f.store), 0, "the check finds nothing");
	script_run(f.store, KEYS, 10);
	sum = store_sum(f.store, KEYS);
	is_int((long)findings_of(f.store), 0, "nor after 10 more commits");
	images_remove(&f);
	reattach(&f);
	ok(!loaded_from(&f) && store_sum(f.store, KEYS) == sum,
	   "which a segment built anew has, too");
	fixture_release(&f);
}

static void an_empty_store_has_an_image(void)
{
	struct fixture f;

	fixture_init(&f, 0, COP_COSINE);
	is_int((long)checkpoint_of(&f), 0, "an empty store has an image");
	reattach(&f);
	is_int((long)findings_of(f.store), 0, "that can be loaded");
	fixture_release(&f);
}

static void images_are_brought_forward(int rounds)
{
	int loaded = 0;
	int wrong = 0;

	for (int round = 0; round < rounds; round++) {
		struct fixture f;
		uint32_t keys = 20 + below(KEYS - 20);
		uint64_t start = seed;
		uint64_t commit;
		uint64_t sum;

		fixture_init(&f, DIM, COP_L2);
		script_run(f.store, keys / 2, 3 + below(8));
		commit = checkpoint_of(&f);
		script_run(f.store, keys, 1 + below(8));
		sum = store_sum(f.store, keys);
		reattach(&f);
		loaded += loaded_from(&f) == commit;
		if (store_sum(f.store, keys) != sum || findings_of(f.store)) {
			diag("round %d is wrong, from seed %" PRIu64, round,
			     start);
			wrong++;
		}
		/* and goes on as if nothing had been */
		script_run(f.store, keys, 4);
		sum = store_sum(f.store, keys);
		wrong += findings_of(f.store) != 0;
		images_remove(&f);
		reattach(&f);
		wrong += store_sum(f.store, keys) != sum || loaded_from(&f);
		fixture_release(&f);
	}
	ok(loaded == rounds && !wrong,
	   "%d images of %d were loaded and brought forward to what a segment "
	   "built anew says",
	   loaded, rounds);
}

static void a_key_given_and_deleted_since_is_kept(void)
{
	struct fixture f;
	const void *key = NULL;
	size_t size = 0;
	cop_read *read;
	cop_write *write;

	fixture_init(&f, DIM, COP_COSINE);
	script_run(f.store, 10, 5);
	checkpoint_of(&f);
	write = write_of(&f);
	put_simple(write, "short-lived", NULL, NULL, 0);
	put_simple(write, "long-lived", NULL, NULL, 0);
	commit_of(write);
	write = write_of(&f);
	must(cop_delete(write, "short-lived", 11), "delete");
	commit_of(write);
	reattach(&f);
	read = read_of(&f);
	must(cop_key(read, lookup(read, "long-lived") - 1, &key, &size), "key");
	ok(loaded_from(&f) && size == 11 && !memcmp(key, "short-lived", 11),
	   "a key that was given and deleted since the image is known");
	cop_read_end(read);
	write = write_of(&f);
	put_simple(write, "short-lived", NULL, NULL, 0);
	commit_of(write);
	is_int((long)findings_of(f.store), 0, "and can be put again");
	fixture_release(&f);
}

static void two_images_are_kept(void)
{
	uint64_t commits[8] = {0};
	struct cop_stats stats = {.size = sizeof stats};
	struct fixture f;
	cop_read *read;
	int fd;

	fixture_init(&f, DIM, COP_L2);
	for (int i = 0; i < 4; i++) {
		script_run(f.store, KEYS, 3);
		checkpoint_of(&f);
	}
	ok(images_of(&f, commits) == 2 && commits[0] == 12 && commits[1] == 9,
	   "the two newest images are kept");
	read = read_of(&f);
	must(cop_stat(read, &stats), "stat");
	cop_read_end(read);
	ok(stats.image_commit == 12 && stats.image_bytes > 1000,
	   "the figures name the newest");
	fd = folder_fd(&f);
	close(openat(fd, "image.new", O_CREAT | O_WRONLY, 0600));
	close(openat(fd, "image-7", O_CREAT | O_WRONLY, 0600));
	close(openat(fd, "image-99", O_CREAT | O_WRONLY, 0600));
	close(openat(fd, "image-x", O_CREAT | O_WRONLY, 0600));
	script_run(f.store, KEYS, 3);
	checkpoint_of(&f);
	ok(images_of(&f, commits) == 2 && commits[0] == 15 &&
	       commits[1] == 12 && !leftovers_of(&f),
	   "leftovers and what is no image of this history are removed");
	ok(!faccessat(fd, "image-x", F_OK, 0), "other files are not");
	ok(!ftruncate(openat(fd, "image-15", O_WRONLY), 5000), "cut short");
	close(fd);
	reattach(&f);
	ok(loaded_from(&f) == 12 && !findings_of(f.store),
	   "when the newest is damaged the older one is loaded");
	fixture_release(&f);
}

/* Whether LMDB has the operation record of a commit. */
static int has_record(struct fixture *f, uint64_t commit)
{
	struct bytes value;
	env_txn *txn;
	int has;

	must(env_read_begin(f->store->env, &txn), "read");
	has = !env_get(f->store->env, txn, DB_OPS,
		       bytes_of(&commit, sizeof commit), &value);
	env_read_abort(txn);
	return has;
}

static void old_operation_records_go(void)
{
	struct cop_options options = {.size = sizeof options,
				      .dim = DIM,
				      .metric = COP_L2,
				      .codes = COP_CODES_U8,
				      .history = COP_HISTORY_NONE};
	struct fixture f;
	uint64_t sum;

	fixture_make(&f, &options);
	script_run(f.store, KEYS, 100);
	checkpoint_of(&f);
	script_run(f.store, KEYS, 10);
	ok(has_record(&f, 1), "with one image all operation records stay");
	checkpoint_of(&f);
	script_run(f.store, KEYS, 2);
	ok(!has_record(&f, 64) && has_record(&f, 65),
	   "with two, a few of the oldest go with each commit");
	script_run(f.store, KEYS, 10);
	ok(!has_record(&f, 99) && has_record(&f, 100) && has_record(&f, 101),
	   "down to that of the older image");
	sum = store_sum(f.store, KEYS);
	is_int((long)findings_of(f.store), 0, "which the check accepts");
	reattach(&f);
	ok(loaded_from(&f) == 110 && store_sum(f.store, KEYS) == sum,
	   "and the newest image can be loaded");
	ok(!findings_of(f.store), "without a finding");
	script_run(f.store, KEYS, 2);
	fixture_close(&f);
	fixture_open(&f);
	ok(loaded_from(&f) == 110,
	   "a segment is trusted though records are gone");
	fixture_release(&f);
}

static void put_many(struct fixture *f, uint32_t from, uint32_t to)
{
	cop_write *write = write_of(f);

	for (uint32_t i = from; i < to; i++) {
		char key[NAME_ROOM];

		put_simple(write, key_name(key, i), NULL, NULL, 0);
	}
	commit_of(write);
}

static void an_image_left_far_behind_is_not_loaded(void)
{
	struct fixture f;

	fixture_init(&f, 0, COP_COSINE);
	put_many(&f, 0, 3000);
	checkpoint_of(&f);
	put_many(&f, 3000, 4000);
	reattach(&f);
	ok(loaded_from(&f) == 1, "a quarter is brought forward");
	put_many(&f, 4000, 6000);
	reattach(&f);
	ok(!loaded_from(&f) && !findings_of(f.store),
	   "when half has changed the segment is built anew");
	fixture_release(&f);
}

static void the_last_to_close_takes_an_image(void)
{
	uint64_t commits[8] = {0};
	struct fixture f;

	fixture_init(&f, 0, COP_COSINE);
	put_many(&f, 0, 9000);
	fixture_close(&f);
	is_int((long)images_of(&f, commits), 0,
	       "a store of 9,000 is closed without an image");
	fixture_open(&f);
	put_many(&f, 9000, 10100);
	setenv("COPPICE_CHECKPOINT", "0", 1);
	fixture_close(&f);
	unsetenv("COPPICE_CHECKPOINT");
	is_int((long)images_of(&f, commits), 0, "nor one of 10,100 if told so");
	fixture_open(&f);
	if (!fork()) {
		cop_store *other;

		if (cop_open(f.path, NULL, &other))
			_exit(1);
		cop_close(other);
		_exit(0);
	}
	wait(NULL);
	is_int((long)images_of(&f, commits), 0,
	       "nor while another process is attached");
	fixture_close(&f);
	ok(images_of(&f, commits) == 1 && commits[0] == 2,
	   "the last to close takes an image");
	fixture_open(&f);
	put_many(&f, 0, 900);
	fixture_close(&f);
	ok(images_of(&f, commits) == 1, "not for less than a tenth");
	fixture_open(&f);
	put_many(&f, 20000, 20200);
	fixture_close(&f);
	ok(images_of(&f, commits) == 2 && commits[0] == 4,
	   "but for more than a tenth since");
	fixture_open(&f);
	is_int((long)findings_of(f.store), 0, "the check finds nothing");
	fixture_release(&f);
}

/* ---- damage ------------------------------------------------------------- */

static int image_file(const struct fixture *f, uint64_t commit, int flags)
{
	char name[IMAGEFILE_NAME_BYTES];
	int folder = folder_fd(f);
	int fd;

	imagefile_name(name, commit);
	fd = openat(folder, name, flags | O_CLOEXEC);
	close(folder);
	if (fd < 0)
		bail_out("open %s: %s", name, strerror(errno));
	return fd;
}

/* Does something to the file; 0 if it is as it was. */
static int file_damage(int fd, uint64_t size, const unsigned char *bytes)
{
	uint64_t at = below(4) ? draw() % size : size - 1 - below(400) % size;
	unsigned char byte = (unsigned char)(bytes[at] ^ (1u << below(8)));
	unsigned char zeros[512] = {0};

	switch (below(8)) {
	case 0: return !ftruncate(fd, (off_t)at);
	case 1: return !ftruncate(fd, (off_t)(size + 1 + below(1000)));
	case 2:
		if (at + sizeof zeros > size ||
		    !memcmp(bytes + at, zeros, sizeof zeros))
			return 0;
		return pwrite(fd, zeros, sizeof zeros, (off_t)at) ==
		       sizeof zeros;
	case 3:
		at = below(sizeof(struct image_header));
		byte = bytes[at] ^ 1;
		/* fall through */
	default: return pwrite(fd, &byte, 1, (off_t)at) == 1;
	}
}

static void damage_to_the_file_is_found(int rounds)
{
	struct fixture f;
	struct stat st;
	unsigned char *bytes;
	uint64_t commit;
	uint64_t sum;
	int refused = 0;
	int wrong = 0;
	int fd;

	fixture_init(&f, DIM, COP_L2);
	script_run(f.store, KEYS, 20);
	sum = store_sum(f.store, KEYS);
	commit = checkpoint_of(&f);
	fixture_close(&f);
	fd = image_file(&f, commit, O_RDONLY);
	fstat(fd, &st);
	bytes = malloc((size_t)st.st_size);
	if (!bytes || pread(fd, bytes, (size_t)st.st_size, 0) != st.st_size)
		bail_out("read an image: %s", strerror(errno));
	close(fd);
	for (int i = 0; i < rounds; i++) {
		int damaged;

		fd = image_file(&f, commit, O_RDWR | O_TRUNC);
		if (pwrite(fd, bytes, (size_t)st.st_size, 0) != st.st_size)
			bail_out("write an image: %s", strerror(errno));
		damaged = file_damage(fd, (uint64_t)st.st_size, bytes);
		close(fd);
		must(cop_detach(f.path), "detach");
		fixture_open(&f);
		/* lz4 may say the same in other bytes: that is no damage */
		refused += !damaged || !loaded_from(&f);
		wrong +=
		    store_sum(f.store, KEYS) != sum || findings_of(f.store);
		fixture_close(&f);
	}
	ok(refused > rounds * 3 / 4 && !wrong,
	   "of %d damages to the file %d are refused, none is believed", rounds,
	   refused);
	free(bytes);
	fixture_release(&f);
}

/* Changes some words of a chunk, most of them to numbers near others. */
static void chunk_damage(unsigned char *bytes, uint32_t size)
{
	for (uint32_t n = 1 + below(3); n; n--) {
		uint32_t at = below(size / 4) * 4;
		uint32_t word;

		memcpy(&word, bytes + at, 4);
		switch (below(5)) {
		case 0: word ^= UINT32_C(1) << below(32); break;
		case 1: word += 1 + below(3); break;
		case 2: word = (uint32_t)draw(); break;
		case 3: word = below(300); break;
		case 4: word = UINT32_MAX; break;
		}
		memcpy(bytes + at, &word, 4);
	}
}

/* Writes the image again with damage in it, but with all hashes right. */
static void image_forge(const struct fixture *f, const struct imagefile *from)
{
	unsigned char *chunk = malloc(IMAGE_CHUNK_BYTES);
	void *room = malloc(image_room());
	int folder = folder_fd(f);
	struct imagefile to;
	uint64_t victim = below((uint32_t)from->header.chunk_count);

	must(imagefile_create(&to, folder, 0600, folder), "create");
	to.header = from->header;
	must(imagefile_plan(&to, &from->plan), "plan");
	for (uint64_t i = 0; i < from->header.chunk_count; i++) {
		uint32_t size = image_chunk_bytes(&from->plan, i);
		const void *data;
		uint32_t stored;
		uint64_t hash;

		must(imagefile_read(from, i, chunk, room), "read");
		if (i == victim)
			chunk_damage(chunk, size);
		stored = image_pack(chunk, size, NULL, room, &data, &hash);
		must(imagefile_write(&to, i, data, stored, hash), "write");
	}
	must(imagefile_seal(&to), "seal");
	imagefile_close(&to);
	close(folder);
	free(chunk);
	free(room);
}

/* Reads and writes whatever may be there; answers do not matter. */
static void exercise(struct fixture *f)
{
	cop_write *write;
	cop_read *read;
	uint64_t findings = 0;

	(void)!cop_check(f->store, NULL, NULL, &findings);
	if (cop_read_begin(f->store, &read))
		return;
	for (uint32_t i = 0; i < KEYS; i++) {
		struct cop_step steps[KEYS];
		struct cop_hit hits[KEYS];
		struct cop_walk walk = {.size = sizeof walk,
					.hops = 3,
					.start = i + 1,
					.direction = COP_BOTH};
		float vector[DIM] = {1};
		struct cop_search search = {
		    .size = sizeof search, .k = KEYS, .vector = vector};
		struct cop_entity entity;
		char key[NAME_ROOM];
		uint32_t few;
		size_t count;

		key_name(key, i);
		(void)!cop_get(read, key, strlen(key), &entity);
		(void)!cop_walk(read, &walk, steps, KEYS, &count, NULL);
		if (i < 4)
			(void)!cop_search(read, &search, hits, &few);
	}
	cop_read_end(read);
	write = write_of(f);
	for (int n = 0; n < 50; n++)
		operation_random(write, KEYS);
	(void)!cop_commit(write, NULL);
	cop_abort(write);
}

static void what_is_in_an_image_is_followed_to_the_end(int rounds)
{
	struct fixture f;
	struct imagefile image;
	uint64_t commit;
	int refused = 0;
	int wrong = 0;
	int folder;

	fixture_init(&f, DIM, COP_L2);
	script_run(f.store, KEYS, 20);
	for (int i = 0; i < rounds; i++) {
		commit = checkpoint_of(&f);
		fixture_close(&f);
		folder = folder_fd(&f);
		must(imagefile_open(&image, folder, commit), "open image");
		images_remove(&f);
		image_forge(&f, &image);
		imagefile_close(&image);
		close(folder);
		must(cop_detach(f.path), "detach");
		fixture_open(&f);
		refused += !loaded_from(&f);
		exercise(&f);
		/* a check with findings has removed it */
		images_remove(&f);
		reattach(&f);
		wrong += findings_of(f.store) != 0;
	}
	ok(refused && !wrong,
	   "of %d images with damage and right hashes %d are refused, the rest "
	   "do no harm that lasts",
	   rounds, refused);
	fixture_release(&f);
}

static void a_damaged_segment_leaves_no_image(void)
{
	uint64_t commits[8] = {0};
	struct fixture f;
	struct head *head;

	fixture_init(&f, DIM, COP_L2);
	script_run(f.store, KEYS, 20);
	checkpoint_of(&f);
	head = head_at(f.store->writable.header,
		       segment_region(&f.store->writable, REGION_HEADS), 1);
	atomic_store(&head->kind, 77 << 1 | 1);
	ok(findings_of(f.store) > 0 && !images_of(&f, commits),
	   "a check that finds damage in the segment removes the images");
	is_int(cop_checkpoint(f.store, NULL), COP_CORRUPT,
	       "and no more are taken of it");
	reattach(&f);
	ok(!findings_of(f.store) && !cop_checkpoint(f.store, NULL),
	   "until it is built anew");
	fixture_release(&f);
}

/* ---- images of others --------------------------------------------------- */

static void file_copy(const char *from, const char *to)
{
	char command[512];

	snprintf(command, sizeof command, "cp %s %s", from, to);
	if (system(command))
		bail_out("%s", command);
}

static void an_image_of_another_store_is_refused(void)
{
	struct fixture a;
	struct fixture b;
	char from[160];
	char to[160];

	fixture_init(&a, DIM, COP_L2);
	fixture_init(&b, DIM, COP_L2);
	script_run(a.store, KEYS, 5);
	script_run(b.store, KEYS, 5);
	checkpoint_of(&a);
	snprintf(from, sizeof from, "%s/gen-000001/image-5", a.path);
	snprintf(to, sizeof to, "%s/gen-000001/image-5", b.path);
	file_copy(from, to);
	reattach(&b);
	ok(!loaded_from(&b) && !findings_of(b.store),
	   "an image of another store is refused");
	fixture_release(&a);
	fixture_release(&b);
}

static void an_image_of_a_lost_history_is_refused(void)
{
	uint64_t commits[8] = {0};
	struct fixture f;
	char data[160];
	char saved[160];

	fixture_init(&f, DIM, COP_L2);
	snprintf(data, sizeof data, "%s/gen-000001/data.mdb", f.path);
	snprintf(saved, sizeof saved, "%s/saved", f.folder);
	script_run(f.store, KEYS, 5);
	checkpoint_of(&f);
	fixture_close(&f);
	file_copy(data, saved);
	fixture_open(&f);
	script_run(f.store, KEYS, 5);
	checkpoint_of(&f);
	fixture_close(&f);
	file_copy(saved, data); /* a restored backup */
	must(cop_detach(f.path), "detach");
	fixture_open(&f);
	ok(loaded_from(&f) == 5 && !findings_of(f.store),
	   "an image from after the backup is refused, one from before it is "
	   "not");
	script_run(f.store, KEYS, 7);
	reattach(&f);
	ok(loaded_from(&f) == 5 && !findings_of(f.store),
	   "nor is it believed when its number has been reached again");
	checkpoint_of(&f);
	ok(images_of(&f, commits) == 2 && commits[0] == 12 && commits[1] == 5,
	   "the next image takes its place");
	fixture_release(&f);
}

static void a_compacted_store_has_images(void)
{
	struct fixture f;
	uint64_t sum;

	fixture_init(&f, DIM, COP_L2);
	script_run(f.store, KEYS, 5);
	checkpoint_of(&f);
	must(cop_compact(f.store, NULL, NULL), "compact");
	script_run(f.store, KEYS, 5);
	is_int((long)checkpoint_of(&f), 10,
	       "an image can be taken after a compaction");
	script_run(f.store, KEYS, 2);
	sum = store_sum(f.store, KEYS);
	reattach(&f);
	ok(loaded_from(&f) == 10 && store_sum(f.store, KEYS) == sum &&
	       !findings_of(f.store),
	   "and loaded");
	fixture_release(&f);
}

/* ---- full disks, writers ------------------------------------------------ */

static void a_full_disk_leaves_the_images(void)
{
	uint64_t commits[8] = {0};
	struct fixture f;
	pid_t pid;
	int status;

	fixture_init(&f, DIM, COP_L2);
	script_run(f.store, KEYS, 5);
	checkpoint_of(&f);
	script_run(f.store, KEYS, 5);
	fixture_close(&f);
	pid = fork();
	if (!pid) {
		struct rlimit limit = {2000, 2000};
		cop_err err;

		fixture_open(&f);
		setrlimit(RLIMIT_FSIZE, &limit);
		err = cop_checkpoint(f.store, NULL);
		_exit(err && *cop_last_error() ? 7 : 1);
	}
	status = child_wait(pid);
	ok(status == 7 && images_of(&f, commits) == 1 && commits[0] == 5 &&
	       !leftovers_of(&f),
	   "an image that does not fit is an error and leaves the others (%d)",
	   status);
	must(cop_detach(f.path), "detach");
	fixture_open(&f);
	ok(loaded_from(&f) == 5 && !findings_of(f.store), "which are loaded");
	fixture_release(&f);
}

static void writers_go_on_while_an_image_is_taken(int rounds)
{
	uint64_t commits[8] = {0};
	uint64_t packed = 0;
	struct fixture f;
	int wrong = 0;

	fixture_init(&f, DIM, COP_L2);
	script_run(f.store, KEYS, 10);
	for (int i = 0; i < rounds; i++) {
		struct cop_checkpoint_result result = {.size = sizeof result};
		uint64_t sum;
		pid_t pid = fork();

		if (!pid) {
			cop_store *store;

			if (cop_open(f.path, NULL, &store))
				_exit(1);
			seed += (uint64_t)getpid();
			for (;;)
				commit_random(store, KEYS, 1 + below(12));
		}
		for (int n = 0; n < 4 || (!packed && n < 200); n++) {
			must(cop_checkpoint(f.store, &result), "checkpoint");
			packed += result.chunks_locked;
		}
		kill(pid, SIGKILL);
		child_wait(pid);
		/* a commit may have happened that LMDB did not say */
		must(cop_poke(f.store), "poke");
		sum = store_sum(f.store, KEYS);
		wrong += findings_of(f.store) != 0;
		if (i & 1) /* of a segment that was recovered */
			checkpoint_of(&f);
		reattach(&f);
		images_of(&f, commits);
		wrong += loaded_from(&f) != commits[0] ||
			 store_sum(f.store, KEYS) != sum ||
			 findings_of(f.store);
	}
	ok(!wrong && packed,
	   "images taken while another process commits are right: %" PRIu64
	   " chunks were packed again",
	   packed);
	fixture_release(&f);
}

/* ---- deaths ------------------------------------------------------------- */

static uint64_t point_left;

static void kill_at_point(const char *name)
{
	(void)name;
	if (!point_left--)
		kill(getpid(), SIGKILL);
}

/* Points are passed in one order if there is one thread. */
static void one_thread(void)
{
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	CPU_SET((size_t)sched_getcpu(), &cpus);
	sched_setaffinity(0, sizeof cpus, &cpus);
}

static int dies_at(const struct fixture *f, uint64_t n, int take)
{
	pid_t pid = fork();

	if (!pid) {
		cop_store *store;

		one_thread();
		point_left = n;
		if (!take)
			point_hook = kill_at_point;
		if (cop_open(f->path, NULL, &store))
			_exit(2);
		point_hook = kill_at_point;
		if (take && cop_checkpoint(store, NULL))
			_exit(3);
		point_hook = NULL;
		cop_close(store);
		_exit(0);
	}
	return child_wait(pid);
}

static void a_death_while_an_image_is_taken_is_no_harm(uint64_t stride)
{
	uint64_t deaths = 0;
	int wrong = 0;
	int status = 0;

	for (uint64_t n = 0;; n += stride) {
		uint64_t commits[8] = {0};
		struct fixture f;
		uint64_t sum;

		fixture_init(&f, DIM, COP_L2);
		for (int i = 0; i < 3; i++) {
			script_run(f.store, 50, 1);
			if (i < 2)
				checkpoint_of(&f);
		}
		sum = store_sum(f.store, 50);
		status = dies_at(&f, n, 1);
		wrong += store_sum(f.store, 50) != sum || findings_of(f.store);
		reattach(&f);
		wrong += !images_of(&f, commits) ||
			 loaded_from(&f) != commits[0] ||
			 store_sum(f.store, 50) != sum || findings_of(f.store);
		/* whoever takes the next one clears up */
		checkpoint_of(&f);
		wrong += images_of(&f, commits) != 2 || leftovers_of(&f);
		fixture_release(&f);
		if (status != 128 + SIGKILL)
			break;
		deaths++;
	}
	ok(status == 0 && deaths * stride > 15 && !wrong,
	   "%" PRIu64 " deaths while an image is taken, and nothing is lost",
	   deaths);
}

static void a_death_while_an_image_is_loaded_is_no_harm(uint64_t stride)
{
	uint64_t deaths = 0;
	uint64_t commit;
	struct fixture f;
	int wrong = 0;
	int status;
	uint64_t sum;

	fixture_init(&f, DIM, COP_L2);
	script_run(f.store, 50, 10);
	commit = checkpoint_of(&f);
	script_run(f.store, 50, 2);
	sum = store_sum(f.store, 50);
	for (uint64_t n = 0;; n += stride) {
		fixture_close(&f);
		must(cop_detach(f.path), "detach");
		status = dies_at(&f, n, 0);
		fixture_open(&f);
		wrong += loaded_from(&f) != commit ||
			 store_sum(f.store, 50) != sum || findings_of(f.store);
		if (status != 128 + SIGKILL)
			break;
		deaths++;
	}
	ok(status == 0 && deaths * stride > 30 && !wrong,
	   "%" PRIu64 " deaths while one is loaded, and the next attach loads "
	   "it",
	   deaths);
	fixture_release(&f);
}

int main(void)
{
	const char *given = getenv("COPPICE_TEST_SEED");
	const char *text = getenv("COPPICE_TEST_STRIDE");
	const char *rounds = getenv("COPPICE_TEST_ROUNDS");
	uint64_t stride = text ? strtoull(text, NULL, 10) : 0;

	test_begin(600);
	seed = given ? strtoull(given, NULL, 10)
		     : (uint64_t)getpid() * UINT64_C(0x9e3779b97f4a7c15) + 1;
	diag("COPPICE_TEST_SEED=%" PRIu64, seed);
	an_image_is_loaded_as_it_was_taken();
	an_empty_store_has_an_image();
	images_are_brought_forward(16 / TEST_SLOW);
	a_key_given_and_deleted_since_is_kept();
	two_images_are_kept();
	old_operation_records_go();
	an_image_left_far_behind_is_not_loaded();
	the_last_to_close_takes_an_image();
	damage_to_the_file_is_found(60 / TEST_SLOW);
	what_is_in_an_image_is_followed_to_the_end(
	    rounds ? atoi(rounds) : 40 + 40 / TEST_SLOW);
	a_damaged_segment_leaves_no_image();
	an_image_of_another_store_is_refused();
	an_image_of_a_lost_history_is_refused();
	a_compacted_store_has_images();
	a_full_disk_leaves_the_images();
	writers_go_on_while_an_image_is_taken(6 / TEST_SLOW + 1);
	a_death_while_an_image_is_taken_is_no_harm(stride ? stride : TEST_SLOW);
	a_death_while_an_image_is_loaded_is_no_harm(stride ? stride
							   : TEST_SLOW);
	return done_testing();
}
