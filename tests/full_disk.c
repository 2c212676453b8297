/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A store on a real file system that is really full loses nothing, and goes
 * on when there is room.
 *
 * idea
 *	ext4 in a file of 24 MiB, mounted by a loop device in a mount namespace
 *	of a child's own: whatever becomes of the child, the kernel unmounts it
 *	and frees the device.  Unlike a tmpfs it allocates late, keeps a
 *	journal, and gives SIGBUS to who writes to a hole of a mapped file.
 *	(A full tmpfs, for the store and for its segments, is in bad_store.c.)
 *	An image and a compaction are refused, too; the image that was taken
 *	when there was room is whole, and loaded after the next mount.
 *
 * limits
 *	Needs root, a loop device and mkfs.ext4; skipped without.
 */
#include "fixture.h"
#include "faults/images.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/statvfs.h>

enum {
	DIM = 8,
	BATCH = 10,
	CONTENT = 20000,
	DISK_BYTES = 24 << 20,
	BALLAST_BYTES = 6 << 20,
	READS = 300 /* more than a page of LMDB's reader table */
};

enum end { END_WORKED, END_WRONG = 10, END_SKIP };

static struct fixture f; /* its folder holds the image and the mount point */
static char place[96];
static char store_path[128];

#define need(condition)                                                        \
	do {                                                                   \
		if (!(condition)) {                                            \
			diag("%s:%d: %s (%s)", __FILE__, __LINE__, #condition, \
			     cop_last_error());                                \
			_exit(END_WRONG);                                      \
		}                                                              \
	} while (0)

/* ---- a disk ------------------------------------------------------------- */

static int disk_format(void)
{
	char command[256];

	snprintf(command, sizeof command,
		 "PATH=$PATH:/usr/sbin:/sbin mkfs.ext4 -q -F -m 0 %s/image "
		 ">/dev/null 2>&1",
		 f.folder);
	return system(command);
}

/* The kernel frees the loop device when nothing is mounted on it any more. */
static int disk_mount(void)
{
	char command[256];

	snprintf(command, sizeof command,
		 "mount -o loop %s/image %s/place 2>/dev/null", f.folder,
		 f.folder);
	return system(command);
}

static int disk_make(void)
{
	char image[96];
	int fd;

	snprintf(image, sizeof image, "%s/image", f.folder);
	fd = open(image, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0 || ftruncate(fd, DISK_BYTES) || close(fd) ||
	    mkdir(place, 0700))
		bail_out("%s: %s", image, strerror(errno));
	return unshare(CLONE_NEWNS) ||
	       mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	       disk_format() || disk_mount();
}

/* What is removed to make room. */
static void ballast_make(uint64_t bytes)
{
	char path[128];
	int fd;

	snprintf(path, sizeof path, "%s/ballast", place);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	need(fd >= 0 && !posix_fallocate(fd, 0, (off_t)bytes) && !close(fd));
}

static void ballast_remove(void)
{
	char path[128];

	snprintf(path, sizeof path, "%s/ballast", place);
	need(!remove(path));
	sync();
}

/* Another's file takes what is left, to the last block. */
static void disk_stuff(void)
{
	static const char block[4096];
	char path[128];
	int fd;

	snprintf(path, sizeof path, "%s/stuff", place);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	need(fd >= 0);
	while (write(fd, block, sizeof block) > 0)
		;
	need(errno == ENOSPC && !fsync(fd) && !close(fd));
}

/* ---- a store ------------------------------------------------------------ */

static cop_err many_put(cop_store *store, uint64_t from)
{
	static char content[CONTENT];
	uint64_t state = from;
	float vector[DIM] = {1};
	cop_write *write;
	cop_err err = cop_write_begin(store, &write);

	for (size_t i = 0; i < sizeof content; i++)
		content[i] = (char)test_random(&state);
	for (uint64_t i = from; !err && i < from + BATCH; i++) {
		char key[32];
		struct cop_put put = {.size = sizeof put,
				      .key = key,
				      .vector = vector,
				      .dim = DIM,
				      .content = content,
				      .content_size = sizeof content};

		vector[1] = (float)i;
		put.key_size =
		    (uint32_t)snprintf(key, sizeof key, "many-%u", (unsigned)i);
		err = cop_put(write, &put);
		if (!err && i > from)
			err = link_simple(write, key, "to", key);
	}
	if (!err)
		err = cop_commit(write, NULL);
	cop_abort(write);
	return err;
}

/* Exactly the entities below `count` are there, and the check is content. */
static int many_are_there(cop_store *store, uint64_t count)
{
	struct cop_stats stats = {.size = sizeof stats};
	uint64_t findings = 9;
	cop_read *read;
	int right = 1;

	need(!cop_read_begin(store, &read));
	right &= !cop_stat(read, &stats) && stats.entities == count;
	for (uint64_t i = 0; i < count + 3; i++) {
		char key[32];
		struct cop_entity entity;
		const void *content;
		size_t size = 0;
		int bytes = snprintf(key, sizeof key, "many-%u", (unsigned)i);

		right &= !cop_get(read, key, (size_t)bytes, &entity) &&
			 entity.id == (i < count ? i + 1 : 0);
		if (i < count)
			right &= !cop_entity_content(read, &entity, &content,
						     &size) &&
				 size == CONTENT;
	}
	cop_read_end(read);
	return right && !cop_check(store, finding_tell, NULL, &findings) &&
	       !findings;
}

/* What is wrong, and what to do, is not told twice. */
static int is_said_once(const char *word)
{
	const char *said = strstr(cop_last_error(), word);

	return !said || !strstr(said + 1, word);
}

static uint64_t fill_up(cop_store *store, uint64_t from)
{
	cop_err err = 0;

	while (!(err = many_put(store, from)))
		from += BATCH;
	need(err == COP_NO_SPACE && strchr(cop_last_error(), ';'));
	need(is_said_once("room") && is_said_once("again"));
	return from;
}

/* In another process: opens, asks, keeps many reads at once. */
static int reader_run(uint64_t count)
{
	pid_t pid = fork();
	int status;

	if (!pid) {
		static cop_read *reads[READS];
		cop_store *store;

		alarm(60);
		need(!cop_open(store_path, NULL, &store));
		for (int i = 0; i < READS; i++)
			need(!cop_read_begin(store, &reads[i]));
		need(many_are_there(store, count));
		for (int i = 0; i < READS; i++)
			cop_read_end(reads[i]);
		cop_close(store);
		_exit(END_WORKED);
	}
	status = child_wait(pid);
	if (status)
		diag("the reader ended with %d", status);
	return status;
}

/* Neither leaves anything behind; the image that there is stays. */
static void upkeep_refused(cop_store *store)
{
	static const char *const left[] = {"gen-000001/image.new",
					   "gen-000002"};
	char path[160];
	uint64_t newest;

	need(cop_checkpoint(store, NULL) == COP_NO_SPACE &&
	     strchr(cop_last_error(), ';'));
	need(images_are_whole(store, &newest) && newest == 1);
	need(cop_compact(store, NULL, NULL) == COP_NO_SPACE &&
	     strchr(cop_last_error(), ';'));
	for (int i = 0; i < 2; i++) {
		snprintf(path, sizeof path, "%s/%s", store_path, left[i]);
		need(access(path, F_OK) && errno == ENOENT);
	}
}

static void full(void)
{
	struct cop_options options = {
	    .size = sizeof options, .dim = DIM, .metric = COP_L2};
	char other[128];
	cop_store *store;
	uint64_t newest;
	uint64_t count;

	ballast_make(BALLAST_BYTES);
	need(!cop_create(store_path, &options));
	need(!cop_open(store_path, NULL, &store));
	need(!many_put(store, 0));
	need(!cop_checkpoint(store, NULL));
	count = fill_up(store, BATCH);
	need(count > BATCH && many_are_there(store, count));
	disk_stuff();
	for (int i = 0; i < 5; i++)
		need(many_put(store, count) == COP_NO_SPACE);
	upkeep_refused(store);
	need(many_are_there(store, count));
	need(reader_run(count) == END_WORKED);
	snprintf(other, sizeof other, "%s/other", place);
	need(cop_create(other, NULL) == COP_NO_SPACE);
	need(access(other, F_OK) && errno == ENOENT);
	cop_close(store);
	need(!cop_detach(store_path));
	/* as after a boot: what is read now was on the disk */
	need(!umount(place) && !disk_mount());
	need(reader_run(count) == END_WORKED);
	need(!cop_open(store_path, NULL, &store));
	need(many_put(store, count) == COP_NO_SPACE);
	need(image_loaded(store) == 1);
	ballast_remove();
	need(!many_put(store, count));
	need(!cop_checkpoint(store, NULL));
	need(images_are_whole(store, &newest) && newest > 1);
	need(many_are_there(store, count + BATCH));
	count = fill_up(store, count + BATCH);
	need(many_are_there(store, count));
	cop_close(store);
	need(!cop_detach(store_path));
	need(!umount(place));
}

static int child_run(void (*body)(void))
{
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (!pid) {
		alarm(100);
		if (disk_make())
			_exit(END_SKIP);
		body();
		_exit(END_WORKED);
	}
	return child_wait(pid);
}

static void a_full_disk_loses_nothing(void)
{
	int status = child_run(full);

	if (status == END_SKIP)
		skip("no ext4 of our own: needs root, loop devices, mkfs.ext4");
	else
		is_int(status, END_WORKED,
		       "a full ext4 is told, loses nothing, is read by others, "
		       "and goes on with more room");
}

int main(void)
{
	test_begin(120);
	fixture_folder(&f);
	snprintf(place, sizeof place, "%s/place", f.folder);
	snprintf(store_path, sizeof store_path, "%s/store", place);
	a_full_disk_loses_nothing();
	nftw(f.folder, fixture_unlink, 16, FTW_DEPTH | FTW_PHYS);
	return done_testing();
}
