/* SPDX-License-Identifier: Apache-2.0 */
/*
 * After a power cut all that was acknowledged is there, and what was under
 * way is there wholly or not at all.
 *
 * idea
 *	The shim (faults/shim.h) records what the script (faults/script.h)
 *	does to the store's folder: writes with their bytes, syncs, names made
 *	and changed, and in between a note of each call that returned.  From
 *	that the disk is built as a cut at any moment may leave it, and
 *	opened, with no segment left, as after a boot.
 *	An image that was acknowledged is then loaded, or a newer one; it is
 *	brought forward to the newest commit, and is what LMDB says.  The data
 *	file is replaced by a compaction, images come along; the script ends
 *	with a transaction that a rival comes into.
 *
 * what a disk may do
 *	A write is cut into pages.  Of what no completed sync covers, any part
 *	may be there, in any order: none, all, all but one page, one page
 *	alone, any choice; and of a page, any of its sectors of 512 bytes.  A
 *	name (of a file made, renamed, removed) is sure once its folder was
 *	synced, not before, whatever became of the file's data.  A write by a
 *	descriptor with O_DSYNC is sure when it has returned.
 *
 * what is assumed
 *	A sector is written wholly or not.  LMDB depends on it: what changes
 *	in its meta page, 120 bytes at 32 of the page, lies in one sector.
 *	A completed sync is kept: a drive that acknowledges what it then loses
 *	defeats every store.
 *
 * limits
 *	COPPICE_TEST_STRIDE: every so manieth image; 1 is complete (make
 *	faults).  Without it some 300 images, others in every run.
 */
#include "faults/script.h"
#include "faults/images.h"
#include "faults/shim.h"

#include <fcntl.h>
#include <sys/mman.h>

enum {
	LOG_BYTES = 16 << 20,
	PAGE = 4096,
	SECTOR = 512,
	UNITS = 8192,
	NAMES = 64,
	FILES = 64,
	PATH_BYTES = 160,
	IMAGES_IN_CHECK = 300,
	/* others: so many commits have returned */
	NOTE_CREATED = 1000,
	NOTE_IMAGE = 2000 /* more by the commit that it is of */
};

static struct shim *page;
static shim_use_function *shim_use;
static shim_note_function *shim_note;
static char root[64];	     /* the folder that is recorded */
static char store_path[80];  /* in it */
static char image_root[64];  /* a disk is built here */
static char image_path[80];  /* the store on it */
static char memory_path[64]; /* segments */

/* ---- recording ---------------------------------------------------------- */

static void checkpoint(cop_store *store)
{
	struct cop_checkpoint_result result = {.size = sizeof result};

	must(cop_checkpoint(store, &result), "checkpoint");
	shim_note(NOTE_IMAGE + result.commit);
}

static cop_err rival_commit(void *store)
{
	must(script_commit(store, SCRIPT_RIVAL), "commit");
	shim_note(SCRIPT_RIVAL + 1);
	return 0;
}

/* What comes after a step. */
static void upkeep(cop_store **store, int step)
{
	switch (step) {
	case 2: checkpoint(*store); break;
	case 3:
		cop_close(*store);
		must(cop_detach(store_path), "detach");
		must(cop_open(store_path, NULL, store), "open");
		break;
	case 4: checkpoint(*store); break;
	case 5: must(cop_compact(*store, NULL, NULL), "compact"); break;
	case 7: checkpoint(*store); break; /* the oldest goes */
	}
}

static void child_record(void)
{
	struct script_txn script = {.rival = rival_commit};
	cop_store *store;

	shim_use(page);
	atomic_store(&page->mode, SHIM_RECORD);
	must(script_create(store_path, memory_path), "create");
	shim_note(NOTE_CREATED);
	must(cop_open(store_path, NULL, &store), "open");
	for (int i = 0; i < SCRIPT_RIVAL; i++) {
		must(script_commit(store, i), "commit");
		shim_note((uint64_t)i + 1);
		upkeep(&store, i);
	}
	script.store = script.user = store;
	must(script_transact(&script), "transact");
	shim_note(SCRIPT_STEPS);
	checkpoint(store);
	cop_close(store);
	must(cop_detach(store_path), "detach");
	atomic_store(&page->mode, SHIM_OFF);
}

/* ---- what was recorded, in units ---------------------------------------- */

/* One call is a group; a write is in it page by page. */
struct unit {
	enum shim_op op;
	int is_synchronous;
	uint32_t group;
	uint64_t file;	 /* or a note's number */
	uint64_t parent; /* of a name: the folder's inode */
	uint64_t offset;
	uint64_t size;
	const unsigned char *data; /* or the path, then the second one */
};

static struct unit units[UNITS];
static uint32_t unit_count;
static uint32_t group_count;

static struct unit *unit_add(struct unit unit)
{
	if (unit_count == UNITS)
		bail_out("more than %d units were recorded", UNITS);
	unit.group = group_count;
	units[unit_count] = unit;
	return &units[unit_count++];
}

static uint64_t inode_of(const char *path)
{
	struct stat st;

	if (stat(path, &st))
		bail_out("stat %s: %s", path, strerror(errno));
	return st.st_ino;
}

/* A folder that was made on the way may be gone by now. */
static uint64_t parent_of(const char *path)
{
	char folder[PATH_MAX];

	snprintf(folder, sizeof folder, "%s", path);
	dirname(folder);
	for (uint32_t i = unit_count; i-- > 0;)
		if (units[i].op == OP_MKDIR &&
		    !strcmp((const char *)units[i].data, folder))
			return units[i].file;
	return inode_of(folder);
}

static void entry_split(const struct shim_entry *entry,
			const unsigned char *data)
{
	struct unit unit = {.op = entry->op,
			    .is_synchronous = (int)entry->is_synchronous,
			    .file = entry->file,
			    .offset = entry->offset,
			    .size = entry->size,
			    .data = data};
	uint64_t end = entry->offset + entry->size;

	if (entry->op == OP_CREATE || entry->op == OP_MKDIR ||
	    entry->op == OP_UNLINK)
		unit.parent = parent_of((const char *)data);
	if (entry->op == OP_RENAME) /* where the new name is */
		unit.parent = parent_of((const char *)data +
					strlen((const char *)data) + 1);
	if (entry->op != OP_WRITE) {
		unit_add(unit);
		return;
	}
	while (unit.offset < end) {
		uint64_t next = (unit.offset / PAGE + 1) * PAGE;

		unit.size = (next < end ? next : end) - unit.offset;
		unit_add(unit);
		unit.data += unit.size;
		unit.offset += unit.size;
	}
}

static void log_split(void)
{
	const unsigned char *at = shim_log(page);
	const unsigned char *end = at + page->log_bytes;

	if (page->log_full)
		bail_out("the log is full");
	while (at < end) {
		struct shim_entry entry;

		memcpy(&entry, at, sizeof entry);
		at += sizeof entry;
		entry_split(&entry, at);
		at += (entry.size + 7) & ~UINT64_C(7);
		group_count++;
	}
}

/* ---- a disk, in memory -------------------------------------------------- */

static struct {
	char path[PATH_BYTES]; /* below the root */
	uint64_t file;
	int is_folder;
} names[NAMES];

static uint32_t name_count;

static struct {
	uint64_t file;
	uint64_t size;
	uint64_t room;
	unsigned char *data;
} files[FILES];

static uint32_t file_count;

static uint32_t name_find(const char *path)
{
	uint32_t i = 0;

	while (i < name_count && strcmp(names[i].path, path) != 0)
		i++;
	return i;
}

/* A folder that is gone was empty: what was in it is gone, too. */
static void name_remove(const char *path)
{
	size_t size = strlen(path);
	uint32_t kept = 0;

	for (uint32_t i = 0; i < name_count; i++) {
		const char *name = names[i].path;

		if (strncmp(name, path, size) != 0 ||
		    (name[size] && name[size] != '/'))
			names[kept++] = names[i];
	}
	name_count = kept;
}

static void name_add(const char *path, uint64_t file, int is_folder)
{
	char folder[PATH_BYTES];

	snprintf(folder, sizeof folder, "%s", path);
	if (strchr(path + 1, '/') && name_find(dirname(folder)) == name_count)
		return; /* its folder is not there */
	name_remove(path);
	if (name_count == NAMES)
		bail_out("more than %d names", NAMES);
	snprintf(names[name_count].path, PATH_BYTES, "%s", path);
	names[name_count].file = file;
	names[name_count++].is_folder = is_folder;
}

static uint32_t file_find(uint64_t file)
{
	uint32_t i = 0;

	while (i < file_count && files[i].file != file)
		i++;
	if (i == FILES)
		bail_out("more than %d files", FILES);
	if (i == file_count) {
		files[i].file = file;
		files[i].size = 0;
		file_count++;
	}
	return i;
}

static void file_resize(uint32_t i, uint64_t size)
{
	if (size > files[i].room) {
		files[i].room = size * 2;
		files[i].data = realloc(files[i].data, files[i].room);
		if (!files[i].data)
			bail_out("no memory for a file of %" PRIu64, size);
	}
	if (size > files[i].size)
		memset(files[i].data + files[i].size, 0, size - files[i].size);
	files[i].size = size;
}

/* Of a page's sectors those whose bit is set. */
static void unit_write(const struct unit *unit, unsigned sectors)
{
	uint32_t i = file_find(unit->file);

	for (uint64_t at = 0; at < unit->size; at++) {
		uint64_t offset = unit->offset + at;

		if (!(sectors >> (offset % PAGE / SECTOR) & 1))
			continue;
		if (offset >= files[i].size)
			file_resize(i, offset + 1);
		files[i].data[offset] = unit->data[at];
	}
}

static void unit_apply(const struct unit *unit, unsigned sectors)
{
	const char *path = (const char *)unit->data + strlen(root);

	switch (unit->op) {
	case OP_WRITE: unit_write(unit, sectors); break;
	case OP_TRUNCATE:
		file_resize(file_find(unit->file), unit->offset);
		break;
	case OP_CREATE: name_add(path, unit->file, 0); break;
	case OP_MKDIR: name_add(path, unit->file, 1); break;
	case OP_UNLINK: name_remove(path); break;
	case OP_RENAME:
		name_remove(path);
		name_add(path + strlen(path) + 1 + strlen(root), unit->file, 0);
		break;
	case OP_SYNC:
	case OP_NOTE: break;
	}
}

/* ---- what is sure ------------------------------------------------------- */

/* 1 if a unit is on disk for certain when `group` is under way. */
static int unit_is_sure(const struct unit *unit, uint32_t group)
{
	uint64_t what = unit->parent ? unit->parent : unit->file;

	if (unit->group >= group)
		return 0;
	if (unit->is_synchronous)
		return 1;
	for (const struct unit *later = unit;
	     later < units + unit_count && later->group < group; later++)
		if (later->op == OP_SYNC && later->file == what)
			return 1;
	return 0;
}

static int unit_changes(const struct unit *unit)
{
	return unit->op != OP_SYNC && unit->op != OP_NOTE;
}

static uint32_t pending[UNITS]; /* what may or may not be there */
static uint32_t pending_count;

static void pending_find(uint32_t group)
{
	pending_count = 0;
	for (uint32_t i = 0; i < unit_count && units[i].group <= group; i++)
		if (unit_changes(&units[i]) && !unit_is_sure(&units[i], group))
			pending[pending_count++] = i;
}

/*
 * How many images a cut during a group gives.  In the middle of writes that
 * nothing syncs it is what has been written; any choice of them is seen at
 * the sync that comes.
 */
static uint32_t pattern_count(uint32_t group)
{
	const struct unit *unit = units;

	while (unit->group != group)
		unit++;
	if (unit->op == OP_WRITE && !unit->is_synchronous)
		return 1;
	return 2 + 3 * pending_count + (pending_count ? 8 + pending_count : 0);
}

enum { ALL_SECTORS = 0xff, NO_SECTOR = 0 };

/* The sectors of the i-th pending unit that pattern `pattern` keeps. */
static unsigned sectors_of(uint32_t pattern, uint32_t i, uint64_t *random)
{
	uint32_t p = pending_count;

	if (pattern < 2)
		return pattern ? NO_SECTOR : ALL_SECTORS;
	pattern -= 2;
	if (pattern < p) /* all but one */
		return i == pattern ? NO_SECTOR : ALL_SECTORS;
	if (pattern < 2 * p) /* one alone */
		return i == pattern - p ? ALL_SECTORS : NO_SECTOR;
	if (pattern < 3 * p) /* one torn */
		return i == pattern - 2 * p
			   ? (unsigned)test_below(random, ALL_SECTORS)
			   : ALL_SECTORS;
	switch (test_below(random, 3)) {
	case 0: return NO_SECTOR;
	case 1: return ALL_SECTORS;
	default: return (unsigned)test_below(random, ALL_SECTORS);
	}
}

static void disk_build(uint32_t group, uint32_t pattern, uint64_t random)
{
	uint32_t next = 0;

	name_count = 0;
	file_count = 0;
	for (uint32_t i = 0; i < unit_count && units[i].group <= group; i++) {
		unsigned sectors = ALL_SECTORS;

		if (next < pending_count && pending[next] == i)
			sectors = sectors_of(pattern, next++, &random);
		if (sectors)
			unit_apply(&units[i], sectors);
	}
}

static void disk_write(void)
{
	mkdir(image_root, 0700);
	for (uint32_t i = 0; i < name_count; i++) {
		uint32_t f = file_find(names[i].file);
		char path[PATH_BYTES + 64];
		int fd;

		snprintf(path, sizeof path, "%s%.150s", image_root,
			 names[i].path);
		if (names[i].is_folder) {
			if (mkdir(path, 0700))
				bail_out("%s: %s", path, strerror(errno));
			continue;
		}
		fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
		if (fd < 0 || write(fd, files[f].data, files[f].size) !=
				  (ssize_t)files[f].size)
			bail_out("%s: %s", path, strerror(errno));
		close(fd);
	}
}

/* ---- after the boot ----------------------------------------------------- */

/* What had returned before a group was under way. */
static uint32_t created;
static uint32_t acked;
static uint32_t image; /* commit of the newest image, 0: none */

static void notes_read(uint32_t group)
{
	created = 0;
	acked = 0;
	image = 0;
	for (uint32_t i = 0; i < unit_count && units[i].group < group; i++) {
		if (units[i].op != OP_NOTE)
			continue;
		if (units[i].offset == NOTE_CREATED)
			created = 1;
		else if (units[i].offset >= NOTE_IMAGE)
			image = (uint32_t)units[i].offset - NOTE_IMAGE;
		else
			acked = (uint32_t)units[i].offset;
	}
}

/* 1 if what has an image's name is whole, and the newest was loaded. */
static int images_are_right(cop_store *store)
{
	uint64_t loaded = image_loaded(store);
	uint64_t newest = 0;
	int whole = images_are_whole(store, &newest);

	if (whole && loaded >= image && loaded == newest)
		return 1;
	diag("image %" PRIu64 " was loaded, %" PRIu64 " is the newest, %u "
	     "returned%s",
	     loaded, newest, image, whole ? "" : "; not all are whole");
	return 0;
}

static int image_is_right(void)
{
	uint64_t there = 99;
	uint64_t newest = 0;
	uint64_t sum = 0;
	cop_store *store;
	cop_err err = cop_open(image_path, NULL, &store);

	if (err == COP_NOT_A_STORE && !created)
		return 1;
	if (err) {
		diag("open: %s (%s)", cop_strerror(err), cop_last_error());
		return 0;
	}
	if (!images_are_right(store))
		return 0;
	err = script_sum(store, &there, &sum);
	if (err || there < acked || there > acked + 1) {
		diag("%s %s; %u commits returned, %" PRIu64 " are there",
		     cop_strerror(err), script_words, acked, there);
		return 0;
	}
	if (!script_is_right(store, there))
		return 0;
	if (there < SCRIPT_STEPS) {
		must(script_commit(store, (int)there), "commit");
		if (!script_is_right(store, there + 1))
			return 0;
	}
	/* over whatever is left of one that was not finished */
	must(cop_checkpoint(store, NULL), "checkpoint");
	if (!images_are_whole(store, &newest) || newest < there)
		return 0;
	cop_close(store);
	must(cop_detach(image_path), "detach");
	return 1;
}

static int image_try(uint32_t group, uint32_t pattern, uint64_t seed)
{
	pid_t pid;
	int status;

	disk_build(group, pattern, seed ^ (uint64_t)group << 32 ^ pattern);
	disk_write();
	pid = fork();
	if (!pid) {
		alarm(30);
		_exit(image_is_right() ? 0 : 1);
	}
	status = child_wait(pid);
	script_clear(image_root);
	if (!status)
		return 1;
	diag("a cut during call %u, pattern %u of %u units in doubt, ended %d",
	     group, pattern, pending_count, status);
	script_clear(memory_path);
	mkdir(memory_path, 0700);
	return 0;
}

static uint64_t images_count(void)
{
	uint64_t count = 0;

	for (uint32_t group = 0; group < group_count; group++) {
		pending_find(group);
		count += pattern_count(group);
	}
	return count;
}

static void what_was_acknowledged_is_there(uint64_t seed)
{
	const char *text = getenv("COPPICE_TEST_STRIDE");
	uint64_t total = images_count();
	uint64_t stride =
	    text ? strtoull(text, NULL, 10) : total / IMAGES_IN_CHECK + 1;
	uint64_t number = stride - seed % stride; /* of the image, from 1 */
	uint64_t tried = 0;
	uint64_t wrong = 0;

	for (uint32_t group = 0; group < group_count && wrong < 20; group++) {
		uint32_t patterns;

		pending_find(group);
		notes_read(group);
		patterns = pattern_count(group);
		for (uint32_t i = 0; i < patterns && wrong < 20; i++) {
			if (number++ % stride)
				continue;
			tried++;
			wrong += !image_try(group, i, seed);
		}
	}
	ok(tried && !wrong,
	   "%" PRIu64 " of %" PRIu64 " disks that a power cut may leave: all "
	   "that was acknowledged is there, nothing is half done",
	   tried, total);
}

/* The recording saw what LMDB does; without it all of this proves nothing. */
static void the_recording_is_whole(void)
{
	uint32_t synchronous = 0;
	uint32_t syncs = 0;
	uint32_t notes = 0;

	for (uint32_t i = 0; i < unit_count; i++) {
		synchronous +=
		    units[i].op == OP_WRITE && units[i].is_synchronous;
		syncs += units[i].op == OP_SYNC;
		notes += units[i].op == OP_NOTE;
		if (units[i].op == OP_WRITE && units[i].is_synchronous &&
		    units[i].offset / SECTOR !=
			(units[i].offset + units[i].size - 1) / SECTOR)
			ok(0, "a meta page's change lies in one sector");
	}
	ok(synchronous >= SCRIPT_STEPS && syncs >= SCRIPT_STEPS,
	   "%u calls: %u synchronous writes, %u syncs", group_count,
	   synchronous, syncs);
	is_u64(notes, SCRIPT_STEPS + 1 + 4, "all that returned was noted");
	disk_build(group_count, 0, 0);
	for (uint32_t i = 0; i < name_count; i++) {
		char path[PATH_BYTES + 64];
		struct stat st;

		snprintf(path, sizeof path, "%s%.150s", root, names[i].path);
		ok(!stat(path, &st) && st.st_ino == names[i].file,
		   "%s was recorded", names[i].path);
		if (!names[i].is_folder)
			is_u64((uint64_t)st.st_size,
			       files[file_find(names[i].file)].size,
			       "with its size");
	}
}

static void folder_make(char *path)
{
	strcpy(path, "/dev/shm/coppice-test-XXXXXX");
	if (!mkdtemp(path))
		bail_out("mkdtemp: %s", strerror(errno));
}

int main(int argc, char **argv)
{
	uint64_t seed;
	pid_t pid;

	(void)argc;
	shim_use = shim_preload(argv);
	test_begin(3000);
	if (!shim_use)
		skip_all("the shim cannot be preloaded here");
	seed = test_seed();
	shim_note = shim_note_find();
	page = mmap(NULL, sizeof *page + LOG_BYTES, PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	page->log_room = LOG_BYTES;
	folder_make(root);
	folder_make(image_root);
	folder_make(memory_path);
	snprintf(store_path, sizeof store_path, "%s/store", root);
	snprintf(image_path, sizeof image_path, "%s/store", image_root);
	strcpy(page->roots[0], root);
	script_learn(image_path, memory_path);
	script_clear(image_root);
	pid = fork();
	if (!pid) {
		child_record();
		_exit(0);
	}
	is_int(child_wait(pid), 0, "the script is recorded");
	log_split();
	the_recording_is_whole();
	what_was_acknowledged_is_there(seed);
	script_clear(root);
	script_clear(memory_path);
	return done_testing();
}
