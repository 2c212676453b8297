/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The segment: regions that grow in place, bounds, and what attach refuses.
 */
#include "shm_fixture.h"

#include <sched.h>
#include <sys/mount.h>
#include <sys/time.h>

static const uint64_t reserves[] = {
    SEGMENT_RESERVE_MIN, SEGMENT_RESERVE_MIN * 2, SEGMENT_RESERVE_MIN * 3,
    UINT64_C(500) << 20, UINT64_C(1) << 30};

static void *text_at(const struct segment *segment, uint64_t offset,
		     uint64_t bytes)
{
	return region_at(segment->header, segment_region(segment, REGION_TEXT),
			 offset, bytes);
}

static uint64_t text_bytes(const struct segment *segment)
{
	return region_bytes(segment_region(segment, REGION_TEXT));
}

/* ---- the plan ----------------------------------------------------------- */

static void regions_lie_apart_within_the_reservation(void)
{
	int apart = 1;
	int aligned = 1;
	int empty = 0;

	for (size_t i = 0; i < sizeof reserves / sizeof *reserves; i++) {
		struct shm_fixture f;
		uint64_t end = sizeof(struct segment_header);

		shm_fixture_init(&f, reserves[i], 8, METRIC_L2, 0);
		for (int r = 0; r < REGION_COUNT; r++) {
			const struct region *region =
			    &f.segment.header->regions[r];

			apart &= region->offset >= end;
			aligned &= region->offset % (UINT64_C(2) << 20) == 0;
			end = region->offset + region->reserved;
			if (!region->reserved) {
				diag("%" PRIu64 " MiB: region %d is empty",
				     reserves[i] >> 20, r);
				empty++;
			}
		}
		apart &= end <= f.segment.reserve;
		shm_fixture_release(&f);
	}
	ok(apart, "regions do not overlap and end within the reservation");
	ok(aligned, "they start at multiples of 2 MiB");
	is_int(empty, 0, "every region has room, in the smallest segment too");
}

static void a_small_segment_has_room_for_its_filters(void)
{
	struct shm_fixture f;
	struct segment_header *header;

	shm_fixture_init(&f, SEGMENT_RESERVE_MIN, 8, METRIC_L2, 0);
	header = f.segment.header;
	is_int(filter_init(&f.segment, &header->key_bloom, 1, 0.01), 0,
	       "the smallest reservation takes a filter");
	is_int(limbo_reserve(&f.segment, 1), 0, "and a limbo");
	is_int(segment_grow(&f.segment, REGION_INTENT, 64), 0, "and an intent");
	shm_fixture_release(&f);
}

/* A segment that is made is one that can be attached. */
static void a_reservation_that_is_too_small_is_not_taken(void)
{
	struct segment segment;
	struct segment other;
	int made = 0;
	int attached = 0;

	for (uint64_t mib = 2; mib < SEGMENT_RESERVE_MIN >> 20; mib += 6) {
		int fd = shm_file();

		if (segment_create(&segment, fd, mib << 20)) {
			close(fd);
			continue;
		}
		made++;
		if (!segment_attach(&other, fd, 0)) {
			attached++;
			segment_detach(&other);
		}
		segment_detach(&segment);
		close(fd);
	}
	is_int(made, attached, "what segment_create takes, attach does too");
}

/* ---- growing ------------------------------------------------------------ */

static void a_region_grows_without_moving(uint64_t seed)
{
	struct shm_fixture f;
	uint64_t before = 0;
	unsigned char *first;
	int moved = 0;
	int lost = 0;
	int dirty = 0;
	int steps = 0;

	shm_fixture_init(&f, SHM_RESERVE, 8, METRIC_L2, 0);
	must_be(segment_grow(&f.segment, REGION_TEXT, 1), "grow");
	first = text_at(&f.segment, 0, 1);
	/* half as much again, and an eighth ahead, are within its 16 MiB */
	while (text_bytes(&f.segment) < UINT64_C(8) << 20) {
		uint64_t have = text_bytes(&f.segment);
		unsigned char *at = text_at(&f.segment, 0, have);

		moved += at != first;
		for (uint64_t i = 0; i < have; i += 4096) {
			if (i < before)
				lost += at[i] != (unsigned char)(i >> 12);
			else
				dirty += at[i] != 0;
			at[i] = (unsigned char)(i >> 12);
		}
		before = have;
		must_be(segment_grow(&f.segment, REGION_TEXT,
				     have + 1 + test_below(&seed, have / 2)),
			"grow");
		steps++;
	}
	ok(!moved && steps > 5, "a region that grew %d times did not move",
	   steps);
	ok(!lost, "and kept what was in it");
	ok(!dirty, "what is new in it is zero");
	shm_fixture_release(&f);
}

static void growing_is_bounded_by_the_reservation(void)
{
	struct shm_fixture f;
	const struct region_view *region;
	uint64_t have;

	shm_fixture_init(&f, SHM_RESERVE, 8, METRIC_L2, 0);
	region = segment_region(&f.segment, REGION_LIMBO);
	is_u64(region_bytes(region), 0, "a new region has nothing");
	is_int(segment_grow(&f.segment, REGION_LIMBO, 0), 0,
	       "0 bytes is no "
	       "growth");
	is_u64(region_bytes(region), 0, "it still has nothing");
	is_int(segment_grow(&f.segment, REGION_LIMBO, region->reserved + 1),
	       ENOSPC, "more than the reservation is ENOSPC");
	is_int(segment_grow(&f.segment, REGION_LIMBO, UINT64_MAX), ENOSPC,
	       "and so is any number");
	is_u64(region_bytes(region), 0, "and nothing is published");
	is_int(segment_grow(&f.segment, REGION_LIMBO, 100), 0, "it grows");
	have = region_bytes(region);
	ok(have >= 100, "by what was wanted at least");
	is_int(segment_grow(&f.segment, REGION_LIMBO, have), 0,
	       "what is there already");
	is_u64(region_bytes(region), have, "costs nothing");
	is_int(segment_grow(&f.segment, REGION_LIMBO, have + 1), 0,
	       "a byte more");
	ok(region_bytes(region) >= have + have / 4, "allocates ahead");
	is_int(segment_grow(&f.segment, REGION_LIMBO, region->reserved), 0,
	       "it grows up to its reservation");
	is_u64(region_bytes(region), region->reserved, "and is full then");
	shm_fixture_release(&f);
}

static void the_published_size_bounds_every_pointer(void)
{
	struct shm_fixture f;
	const struct region_view *region;
	uint64_t have;

	shm_fixture_init(&f, SHM_RESERVE, 8, METRIC_L2, 0);
	must_be(segment_grow(&f.segment, REGION_TEXT, 100000), "grow");
	region = segment_region(&f.segment, REGION_TEXT);
	have = region_bytes(region);
	ok((char *)text_at(&f.segment, 0, have) ==
	       (char *)f.segment.header + region->offset,
	   "all that is published is to be had");
	ok(text_at(&f.segment, have - 64, 64) != NULL, "and its end");
	ok(!text_at(&f.segment, have - 63, 64), "not a byte past it");
	ok(!text_at(&f.segment, have, 1), "nothing at the end");
	ok(!text_at(&f.segment, 0, have + 1), "no more than there is");
	ok(!text_at(&f.segment, 1, UINT64_MAX), "no size that wraps around");
	ok(!text_at(&f.segment, UINT64_MAX, 1), "no offset that does");
	ok(!text_at(&f.segment, UINT64_MAX, UINT64_MAX), "nor both");
	atomic_store(region->published, region->reserved + 1);
	is_u64(region_bytes(region), 0,
	       "a size beyond the reservation is no size");
	ok(!text_at(&f.segment, 0, 1), "and gives no pointer");
	shm_fixture_release(&f);
}

static void tick(int signal_number)
{
	(void)signal_number;
}

/* tmpfs takes an allocation back when a signal comes in between. */
static void signals_do_not_keep_a_region_from_growing(void)
{
	struct itimerval often = {{0, 1000}, {0, 1000}};
	struct itimerval never = {{0, 0}, {0, 0}};
	struct sigaction action = {.sa_handler = tick};
	struct shm_fixture f;
	int err = 0;

	shm_fixture_init(&f, SHM_RESERVE * 3, 8, METRIC_L2, 0);
	sigaction(SIGPROF, &action, NULL);
	setitimer(ITIMER_PROF, &often, NULL);
	for (uint64_t mib = 8; !err && mib <= 40; mib += 8)
		err = segment_grow(&f.segment, REGION_TEXT, mib << 20);
	setitimer(ITIMER_PROF, &never, NULL);
	is_int(err, 0, "a region grows under a rain of signals");
	shm_fixture_release(&f);
}

static void a_refused_reservation_is_halved(void)
{
	struct rlimit limit;
	struct segment segment;
	pid_t pid;
	int fd;

	if (TEST_SLOW > 1) {
		skip("a sanitizer needs the address space");
		return;
	}
	pid = child_fork();
	if (!pid) {
		limit.rlim_cur = limit.rlim_max = UINT64_C(1400) << 20;
		fd = shm_file();
		if (setrlimit(RLIMIT_AS, &limit))
			_exit(2);
		if (segment_create(&segment, fd, UINT64_C(4) << 30))
			_exit(3);
		if (segment.reserve > UINT64_C(1) << 30 ||
		    segment.reserve < SEGMENT_RESERVE_MIN)
			_exit(4);
		limit.rlim_cur = limit.rlim_max = UINT64_C(16) << 20;
		segment_detach(&segment);
		fd = shm_file();
		if (setrlimit(RLIMIT_AS, &limit))
			_exit(5);
		_exit(segment_create(&segment, fd, UINT64_C(4) << 30) == ENOMEM
			  ? 0
			  : 6);
	}
	is_int(child_wait(pid), 0,
	       "without the address space it is halved, and at last ENOMEM");
}

/* ---- attaching ---------------------------------------------------------- */

static int attach_of(const struct shm_fixture *f)
{
	struct segment other;
	int fd = shm_reopen(f->fd, O_RDONLY);
	int err = segment_attach(&other, fd, 0);

	if (!err)
		segment_detach(&other);
	close(fd);
	return err;
}

static void what_is_no_segment_is_refused(void)
{
	struct shm_fixture f;
	struct segment_header *header;
	struct segment other;
	int fd = shm_file();

	is_int(segment_attach(&other, fd, 0), EBADMSG,
	       "an empty file is no segment");
	must_be(ftruncate(fd, 1 << 20), "ftruncate");
	is_int(segment_attach(&other, fd, 0), EBADMSG, "nor one of zeros");
	close(fd);
	is_int(segment_attach(&other, fd, 0), EBADF, "nor a closed fd");
	shm_fixture_init(&f, SHM_RESERVE, 8, METRIC_L2, 0);
	header = f.segment.header;
	is_int(attach_of(&f), 0, "a segment is attached");
	header->magic ^= 1;
	is_int(attach_of(&f), EBADMSG, "another magic is no segment");
	header->magic ^= 1;
	header->layout++;
	is_int(attach_of(&f), EPROTO, "another layout is another's");
	header->layout--;
	header->signature ^= 1;
	is_int(attach_of(&f), EPROTO, "and so is another signature");
	header->signature ^= 1;
	is_int(attach_of(&f), 0, "and what is put right is attached again");
	shm_fixture_release(&f);
}

/* Sets a word of the header, attaches, and puts the word back. */
static int attach_with(const struct shm_fixture *f, void *word, uint64_t value)
{
	uint64_t before;
	int err;

	memcpy(&before, word, sizeof before);
	memcpy(word, &value, sizeof value);
	err = attach_of(f);
	memcpy(word, &before, sizeof before);
	return err;
}

static void numbers_that_make_no_sense_are_refused(void)
{
	struct shm_fixture f;
	struct segment_header *header;
	struct region *region;
	int refused = 1;

	shm_fixture_init(&f, SHM_RESERVE * 2, 8, METRIC_L2, 0);
	header = f.segment.header;
	must_be(segment_grow(&f.segment, REGION_TEXT, 1 << 20), "grow");
	is_int(attach_with(&f, &header->reserve, SEGMENT_RESERVE_MIN - 1),
	       EINVAL, "a reservation that is too small");
	is_int(attach_with(&f, &header->reserve, UINT64_MAX), EINVAL,
	       "one that is too large");
	is_int(attach_with(&f, &header->reserve, SEGMENT_RESERVE_MIN), EINVAL,
	       "one in which the regions are not");
	for (int i = 0; i < REGION_COUNT; i++) {
		region = &header->regions[i];
		refused &= attach_with(&f, &region->offset,
				       region->offset + 32) == EINVAL;
		refused &= attach_with(&f, &region->offset,
				       header->reserve + 64) == EINVAL;
		refused &=
		    attach_with(&f, &region->offset, -(uint64_t)64) == EINVAL;
		refused &= attach_with(&f, &region->reserved,
				       header->reserve) == EINVAL;
		refused &=
		    attach_with(&f, &region->reserved, UINT64_MAX) == EINVAL;
		refused &= attach_with(&f, (void *)&region->published,
				       region->reserved + 1) == EINVAL;
		refused &= attach_with(&f, (void *)&region->published,
				       UINT64_MAX) == EINVAL;
	}
	ok(refused, "a region outside the reservation, or askew, is refused");
	is_int(attach_of(&f), 0, "the segment as it was is not");
	shm_fixture_release(&f);
}

/* An index file that lost its end, as a copy may that was broken off. */
static void a_file_shorter_than_its_regions_is_refused(void)
{
	struct shm_fixture f;

	shm_fixture_init(&f, SHM_RESERVE, 8, METRIC_L2, 0);
	must_be(segment_grow(&f.segment, REGION_TEXT, 1 << 20), "grow");
	must_be(ftruncate(f.fd, 1 << 20), "ftruncate");
	is_int(attach_of(&f), EINVAL,
	       "a size that is published but not in the file is refused");
	shm_fixture_release(&f);
}

/* Whatever the header says, what attach accepts is inside the mapping. */
static void rubbish_in_the_header_gives_no_wild_pointer(uint64_t seed)
{
	struct shm_fixture f;
	unsigned char *bytes;
	uint64_t accepted = 0;
	uint64_t wild = 0;
	uint64_t odd = 0;

	shm_fixture_init(&f, SHM_RESERVE, 8, METRIC_L2, 0);
	must_be(segment_grow(&f.segment, REGION_TEXT, 1 << 20), "grow");
	bytes = (unsigned char *)f.segment.header +
		offsetof(struct segment_header, regions);
	for (int i = 0; i < 20000 / TEST_SLOW; i++) {
		uint64_t at = test_below(&seed, sizeof(struct region) / 8 *
						    REGION_COUNT) *
			      8;
		uint64_t value = test_random(&seed) >> test_below(&seed, 64);
		struct segment other;
		uint64_t before;
		int fd = shm_reopen(f.fd, O_RDONLY);
		int err;

		memcpy(&before, bytes + at, 8);
		memcpy(bytes + at, &value, 8);
		err = segment_attach(&other, fd, 0);
		close(fd);
		odd += err && err != EINVAL;
		for (int r = 0; !err && r < REGION_COUNT; r++) {
			const struct region_view *region = &other.regions[r];
			uint64_t have = region_bytes(region);
			char *end =
			    (char *)region_at(other.header, region, 0, have) +
			    have;

			wild += end > (char *)other.header + other.reserve;
		}
		if (!err) {
			accepted++;
			segment_detach(&other);
		}
		memcpy(bytes + at, &before, 8);
	}
	ok(!odd, "rubbish is accepted or is EINVAL");
	ok(!wild && accepted, "%" PRIu64 " that passed stay in the mapping",
	   accepted);
	shm_fixture_release(&f);
}

/* Where a region is was checked at attach; nobody asks the header again. */
static void rubbish_in_the_header_later_moves_no_region(uint64_t seed)
{
	struct shm_fixture f;
	struct segment reader;
	uint64_t *words;
	const void *first;
	uint64_t moved = 0;
	uint64_t past = 0;

	shm_fixture_init(&f, SHM_RESERVE, 8, METRIC_L2, 0);
	must_be(segment_grow(&f.segment, REGION_TEXT, 1 << 20), "grow");
	shm_reader(&f, &reader);
	first = text_at(&reader, 0, 1);
	words = (uint64_t *)(void *)f.segment.header->regions;
	for (int i = 0; i < 20000; i++) {
		uint64_t offset = test_random(&seed) >> test_below(&seed, 64);
		const void *at;

		words[test_below(&seed, REGION_COUNT * 3)] =
		    test_random(&seed) >> test_below(&seed, 64);
		at = text_at(&reader, 0, 1);
		moved += at && at != first;
		at = text_at(&reader, offset, 1);
		past += at && (const char *)at >=
				  (const char *)reader.header + reader.reserve;
	}
	ok(!moved && !past, "a scribble over it moves no region, nor its end "
			    "out of the mapping");
	segment_detach(&reader);
	shm_fixture_release(&f);
}

static void a_second_attach_sees_growth_without_remapping(void)
{
	struct shm_fixture f;
	struct segment reader;
	unsigned char *at;
	const unsigned char *seen;

	shm_fixture_init(&f, SHM_RESERVE, 8, METRIC_L2, 0);
	shm_reader(&f, &reader);
	ok(reader.fd == -1, "a reader keeps no descriptor");
	ok(reader.header != f.segment.header, "it has a mapping of its own");
	ok(!text_at(&reader, 0, 1), "nothing is there yet");
	must_be(segment_grow(&f.segment, REGION_TEXT, 3 << 20), "grow");
	at = text_at(&f.segment, 0, 3 << 20);
	at[(3 << 20) - 1] = 77;
	seen = text_at(&reader, (3 << 20) - 1, 1);
	ok(seen && *seen == 77, "it sees the growth and what was written");
	ok(a_write_dies((void *)(uintptr_t)seen),
	   "and a write through it dies");
	ok(a_write_dies(reader.header), "a write to the header, too");
	segment_detach(&reader);
	ok(!reader.header, "detach forgets the mapping");
	segment_detach(&reader);
	ok(1, "and may be called again");
	shm_fixture_release(&f);
}

static void a_writer_in_another_process_grows_it_for_all(void)
{
	struct shm_fixture f;
	struct segment other;
	pid_t pid;

	shm_fixture_init(&f, SHM_RESERVE, 8, METRIC_L2, 0);
	pid = child_fork();
	if (!pid) {
		unsigned char *at;

		if (segment_attach(&other, shm_reopen(f.fd, O_RDWR), 1) ||
		    segment_grow(&other, REGION_TEXT, 5 << 20))
			_exit(1);
		at = text_at(&other, 0, 5 << 20);
		at[(5 << 20) - 1] = 9;
		_exit(0);
	}
	is_int(child_wait(pid), 0, "a process attaches and grows a region");
	ok(text_bytes(&f.segment) >= 5 << 20 &&
	       *(unsigned char *)text_at(&f.segment, (5 << 20) - 1, 1) == 9,
	   "another sees it");
	shm_fixture_release(&f);
}

/* ---- under stress ------------------------------------------------------- */

struct growth {
	_Atomic uint32_t done;
	_Atomic uint64_t wrong;
	_Atomic uint64_t looks;
};

static void growth_write(struct seat *seat)
{
	struct growth *growth = seat->shared;
	uint64_t bytes = 0;
	uint64_t last = (UINT64_C(16) << 20) / (TEST_SLOW > 1 ? 4 : 1);

	while (bytes < last) {
		uint64_t *at;

		must_be(segment_grow(seat->segment, REGION_TEXT, bytes + 4096),
			"grow");
		bytes = text_bytes(seat->segment);
		at = text_at(seat->segment, bytes - 8, 8);
		__atomic_store_n(at, bytes, __ATOMIC_RELAXED);
	}
	atomic_store(&growth->done, 1);
}

/* The end of what is published can be touched, and is 0 or what was stored. */
static void growth_read(struct seat *seat)
{
	struct growth *growth = seat->shared;
	uint64_t wrong = 0;
	uint64_t looks = 0;
	uint64_t last = 0;

	while (!atomic_load(&growth->done)) {
		uint64_t bytes = text_bytes(seat->segment);
		uint64_t *at =
		    bytes ? text_at(seat->segment, bytes - 8, 8) : NULL;
		uint64_t word;

		looks++;
		wrong += bytes < last || (bytes && !at);
		last = bytes;
		if (!at)
			continue;
		word = __atomic_load_n(at, __ATOMIC_RELAXED);
		wrong += word && word != bytes;
	}
	atomic_fetch_add(&growth->wrong, wrong);
	atomic_fetch_add(&growth->looks, looks);
}

static void growth_role(struct seat *seat)
{
	if (seat->index)
		growth_read(seat);
	else
		growth_write(seat);
}

static void readers_follow_a_growing_region(enum stress_way way)
{
	struct growth *growth = shm_anonymous(sizeof *growth);
	struct shm_fixture f;

	shm_fixture_init(&f, SHM_RESERVE, 8, METRIC_L2, 0);
	is_u64(stress_run(&f, way, growth_role, growth, 3), 0,
	       "%s: nobody died", stress_name(way));
	is_u64(growth->wrong, 0,
	       "all that is published can be read, and it never shrinks");
	munmap(growth, sizeof *growth);
	shm_fixture_release(&f);
}

/* ---- a tmpfs that is full ----------------------------------------------- */

/* What the child in its own mount namespace found, told by exit status. */
enum full_result {
	FULL_RIGHT = 0,
	FULL_NOT_PERMITTED = 10,
	FULL_CREATE,
	FULL_NO_ENOSPC,
	FULL_PUBLISHED,
	FULL_READ,
	FULL_READER,
	FULL_WRITE,
	FULL_AGAIN,
	FULL_CREATE_FULL
};

static uint64_t sum_of(const struct segment *segment)
{
	uint64_t bytes = text_bytes(segment);
	const unsigned char *at = text_at(segment, 0, bytes);
	uint64_t sum = 0;

	for (uint64_t i = 0; i < bytes; i++)
		sum += at[i];
	return sum;
}

static enum full_result full_read(const char *path, uint64_t want)
{
	struct segment reader;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	pid_t pid = child_fork();

	if (!pid)
		_exit(segment_attach(&reader, fd, 0) ||
		      sum_of(&reader) != want);
	close(fd);
	return child_wait(pid) ? FULL_READER : FULL_RIGHT;
}

/* Fills the rest of the tmpfs with another file. */
static void filler_make(const char *path)
{
	static char page[4096];
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	while (write(fd, page, sizeof page) > 0)
		;
	close(fd);
}

static enum full_result full_grow(struct segment *segment, const char *path)
{
	uint64_t bytes;
	int err;

	do {
		bytes = text_bytes(segment);
		err = segment_grow(segment, REGION_TEXT, bytes + 40000);
		if (err && text_bytes(segment) != bytes)
			return FULL_PUBLISHED;
		if (!err)
			memset(text_at(segment, bytes, 40000), 1, 40000);
	} while (!err && bytes < UINT64_C(8) << 20);
	if (err != ENOSPC)
		return FULL_NO_ENOSPC;
	if (sum_of(segment) < 100000)
		return FULL_READ;
	memset(text_at(segment, 0, bytes), 2, bytes);
	if (sum_of(segment) != bytes * 2)
		return FULL_WRITE;
	return full_read(path, bytes * 2);
}

static enum full_result full_run(const char *folder)
{
	char path[128];
	char filler[128];
	char second[128];
	struct segment segment;
	struct segment none;
	enum full_result result;
	int fd;

	if (unshare(CLONE_NEWNS) ||
	    mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("tmpfs", folder, "tmpfs", 0, "size=4m"))
		return FULL_NOT_PERMITTED;
	snprintf(path, sizeof path, "%s/index", folder);
	snprintf(filler, sizeof filler, "%s/filler", folder);
	snprintf(second, sizeof second, "%s/second", folder);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0 || segment_create(&segment, fd, SHM_RESERVE))
		return FULL_CREATE;
	if (segment_grow(&segment, REGION_TEXT, 100000))
		return FULL_CREATE;
	memset(text_at(&segment, 0, 100000), 1, 100000);
	result = full_grow(&segment, path);
	if (result)
		return result;
	filler_make(filler);
	/* 4096: there may be room in the last page */
	if (segment_grow(&segment, REGION_TEXT, text_bytes(&segment) + 4096) !=
	    ENOSPC)
		return FULL_NO_ENOSPC;
	fd = open(second, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (segment_create(&none, fd, SHM_RESERVE) != ENOSPC || close(fd))
		return FULL_CREATE_FULL;
	unlink(second);
	unlink(filler);
	if (mount("tmpfs", folder, "tmpfs", MS_REMOUNT, "size=8m") ||
	    segment_grow(&segment, REGION_TEXT, text_bytes(&segment) + 4096))
		return FULL_AGAIN;
	return FULL_RIGHT;
}

static void a_full_tmpfs_is_enospc_and_nothing_worse(void)
{
	char folder[] = "/tmp/coppice-test-XXXXXX";
	pid_t pid;
	int status;

	if (!mkdtemp(folder))
		bail_out("mkdtemp: %s", strerror(errno));
	pid = child_fork();
	if (!pid)
		_exit((int)full_run(folder));
	status = child_wait(pid);
	rmdir(folder);
	if (status == FULL_NOT_PERMITTED)
		skip("no mount namespace of our own");
	else
		is_int(status, FULL_RIGHT,
		       "a full tmpfs is ENOSPC; what is published stays "
		       "readable and writable, and it grows again with room");
}

int main(void)
{
	uint64_t seed;

	test_begin(120);
	seed = test_seed();
	regions_lie_apart_within_the_reservation();
	a_small_segment_has_room_for_its_filters();
	a_reservation_that_is_too_small_is_not_taken();
	a_region_grows_without_moving(seed);
	growing_is_bounded_by_the_reservation();
	the_published_size_bounds_every_pointer();
	signals_do_not_keep_a_region_from_growing();
	a_refused_reservation_is_halved();
	what_is_no_segment_is_refused();
	numbers_that_make_no_sense_are_refused();
	a_file_shorter_than_its_regions_is_refused();
	rubbish_in_the_header_gives_no_wild_pointer(seed);
	rubbish_in_the_header_later_moves_no_region(seed);
	a_second_attach_sees_growth_without_remapping();
	a_writer_in_another_process_grows_it_for_all();
	readers_follow_a_growing_region(STRESS_THREADS);
	readers_follow_a_growing_region(STRESS_PROCESSES);
	readers_follow_a_growing_region(STRESS_TWO_MAPPINGS);
	a_full_tmpfs_is_enospc_and_nothing_worse();
	return done_testing();
}
