/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shm_fixture: a segment on an anonymous file, and the three ways in which a
 * shm module is put under stress.
 *
 * idea
 *	shm_fixture_init() makes a segment as core/build.c does, on a memfd, so
 *	that nothing stays behind.  shm_reader() maps it once more, read-only,
 *	as a reader of another process would.
 *
 *	shm_fence() takes away, in one mapping, every page that no region has
 *	published: a pointer that region_at did not check then dies instead of
 *	reading a hole of the file.
 *
 *	stress_run() gives each of `count` seats a role; seat 0 is the writer's.
 *	STRESS_THREADS		all on one mapping: ThreadSanitizer sees them
 *	STRESS_PROCESSES	a process each, a mapping each
 *	STRESS_TWO_MAPPINGS	threads, readers on a second, read-only mapping
 *
 * limits
 *	A seat must not make claims; it counts in shared memory what is wrong.
 */
#ifndef TESTS_SHM_FIXTURE_H
#define TESTS_SHM_FIXTURE_H

#include "child.h"
#include "kernel.h"
#include "segment.h"
#include "slot.h"
#include "tap.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

enum { SHM_SEATS = 8 };

#define SHM_RESERVE SEGMENT_RESERVE_MIN

struct shm_fixture {
	struct segment segment; /* the writer's mapping */
	int fd;
	struct slots slots; /* of this process */
	int control_fd;
};

/* Fails the whole test if a call that must succeed does not. */
static inline void must_be(int err, const char *what)
{
	if (err)
		bail_out("%s: %s", what, strerror(err));
}

/* ---- files and mappings ------------------------------------------------- */

static inline int shm_file(void)
{
	int fd = memfd_create("coppice-test", MFD_CLOEXEC);

	if (fd < 0)
		bail_out("memfd_create: %s", strerror(errno));
	return fd;
}

/* Another description of the same file. */
static inline int shm_reopen(int fd, int flags)
{
	char path[64];
	int other;

	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	other = open(path, flags | O_CLOEXEC);
	if (other < 0)
		bail_out("open %s: %s", path, strerror(errno));
	return other;
}

/* Zeroed memory that children share. */
static inline void *shm_anonymous(size_t bytes)
{
	void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (at == MAP_FAILED)
		bail_out("mmap: %s", strerror(errno));
	return at;
}

/* A segment as core/build.c's header_fill makes it, without the filters. */
static inline void shm_fixture_init(struct shm_fixture *f, uint64_t reserve,
				    uint32_t dim, int32_t metric, int32_t rows)
{
	struct segment_header *header;

	memset(f, 0, sizeof *f);
	f->control_fd = -1;
	f->fd = shm_file();
	must_be(segment_create(&f->segment, f->fd, reserve), "create");
	header = f->segment.header;
	header->dim = dim;
	header->metric = metric;
	header->rows = rows;
	bank_init(&f->segment);
}

/* Another kind of code, while the bank is empty. */
static inline void shm_fixture_codes(struct shm_fixture *f, int32_t codes)
{
	f->segment.header->codes = codes;
	must_be(bank_init(&f->segment), "codes");
}

/* ---- the vector graph --------------------------------------------------- */

/* A room for walks; its memory begins with the marks. */
static inline void shm_room_init(struct hnsw_room *room,
				 const struct segment *segment)
{
	void *memory =
	    mmap(NULL, hnsw_room_bytes(segment), PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (memory == MAP_FAILED)
		bail_out("mmap: %s", strerror(errno));
	hnsw_room_init(room, segment, memory);
}

static inline void shm_room_release(struct hnsw_room *room,
				    const struct segment *segment)
{
	munmap(room->marks, hnsw_room_bytes(segment));
}

/* A row with a vector of its own, in the tail; its entity is its number. */
static inline uint32_t shm_row_make(struct segment *segment,
				    const float *vector)
{
	struct bank_entry entry = {.type = 1, .born = 1};
	uint32_t row;

	must_be(bank_take(segment, &row), "take");
	entry.entity = row;
	must_be(bank_write(segment, row, &entry, vector), "write");
	must_be(hnsw_await(segment, row), "await");
	return row;
}

static inline void shm_rows_link(struct segment *segment,
				 struct hnsw_room *room)
{
	while (hnsw_link_next(segment, room))
		;
}

static inline int shm_row_is_alive(const struct segment *segment, uint32_t row)
{
	uint64_t born;
	uint64_t died;

	return bank_is_used(segment, row) &&
	       bank_life(segment, row, &born, &died) && died == COMMIT_NEVER;
}

/* Gives the fixture a control segment. */
static inline void shm_fixture_slots(struct shm_fixture *f)
{
	static const unsigned char uuid[CONTROL_UUID_BYTES] = "shm_fixture";

	f->control_fd = shm_file();
	must_be(slots_create(&f->slots, f->control_fd, uuid), "slots");
}

static inline void shm_fixture_release(struct shm_fixture *f)
{
	if (f->control_fd >= 0)
		slots_detach(&f->slots);
	segment_detach(&f->segment);
	close(f->fd);
}

/* The same segment mapped once more, read-only, through a read-only fd. */
static inline void shm_reader(const struct shm_fixture *f,
			      struct segment *reader)
{
	int fd = shm_reopen(f->fd, O_RDONLY);

	must_be(segment_attach(reader, fd, 0), "attach");
	close(fd);
}

static inline void shm_fence_range(const struct segment *segment, uint64_t from,
				   uint64_t to)
{
	from = (from + 4095) & ~UINT64_C(4095);
	if (from < to &&
	    mprotect((char *)segment->header + from, to - from, PROT_NONE))
		bail_out("mprotect: %s", strerror(errno));
}

static inline void shm_fence(const struct segment *segment)
{
	uint64_t from = sizeof *segment->header;

	for (int i = 0; i < REGION_COUNT; i++) {
		const struct region_view *region = &segment->regions[i];

		shm_fence_range(segment, from, region->offset);
		from = region->offset + region_bytes(region);
	}
	shm_fence_range(segment, from, segment->reserve);
}

/* ---- rows --------------------------------------------------------------- */

enum { ROW_TRIES = 8 };

/*
 * As row_read in core/search.c: 1 if the row was read whole, 0 if it was being
 * written, -1 if it is not visible at the snapshot.
 */
static inline int row_accept(const struct segment *segment,
			     const struct query_code *query, uint32_t row,
			     uint64_t snapshot, struct bank_seen *seen,
			     double *distance)
{
	const struct bank_line *line = bank_line_at(segment, row);
	const void *full = bank_row_at(segment, row);

	for (int i = 0; line && full && i < ROW_TRIES; i++) {
		uint64_t seq = bank_seq(line);

		if (seq & 1)
			continue;
		*seen = bank_peek(line);
		if (seen->born > snapshot || snapshot >= seen->died)
			return -1;
		*distance =
		    bank_distance(segment, query, full, seen->row_scale);
		if (bank_unchanged(line, seq))
			return 1;
	}
	return 0;
}

/* ---- children ----------------------------------------------------------- */

/* A child that dumps no core and dies of the signals it gets. */
static inline pid_t child_fork(void)
{
	const int deadly[] = {SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL};
	struct rlimit none = {0, 0};
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid < 0)
		bail_out("fork: %s", strerror(errno));
	if (pid)
		return pid;
	setrlimit(RLIMIT_CORE, &none);
	for (size_t i = 0; i < sizeof deadly / sizeof *deadly; i++)
		signal(deadly[i], SIG_DFL);
	return 0;
}

/*
 * Runs a body in a child that is killed after so many seconds; 0 if it came
 * back, so that a wild access or an endless loop is one claim that fails.
 */
static inline int child_survives(unsigned int seconds, void (*body)(void *user),
				 void *user)
{
	pid_t pid = child_fork();
	int status;

	if (!pid) {
		alarm(seconds);
		body(user);
		_exit(0);
	}
	status = child_wait(pid);
	if (status)
		diag("the child ended with %d%s", status,
		     status == 128 + SIGALRM ? ", out of time" : "");
	return status;
}

/* Whether a store of one byte kills who tries it. */
static inline int a_write_dies(void *at)
{
	pid_t pid = child_fork();

	if (!pid) {
		__atomic_store_n((unsigned char *)at, (unsigned char)1,
				 __ATOMIC_RELAXED);
		_exit(0);
	}
	return child_wait(pid) == 128 + SIGSEGV;
}

/* ---- stress ------------------------------------------------------------- */

enum stress_way { STRESS_THREADS, STRESS_PROCESSES, STRESS_TWO_MAPPINGS };

static inline const char *stress_name(enum stress_way way)
{
	static const char *const names[] = {"threads on one mapping",
					    "processes",
					    "readers on a second mapping"};

	return names[way];
}

struct seat {
	struct segment *segment;
	struct slots *slots; /* NULL if the fixture has none */
	void *shared;
	uint32_t index; /* 0: the writer's */
	/* private */
	void (*role)(struct seat *seat);
	struct segment own_segment;
	struct slots own_slots;
	pthread_t thread;
	pid_t pid;
};

/* Begins a read in a seat's slot; returns the snapshot it has. */
static inline uint64_t seat_enter(struct seat *seat, uint32_t slot,
				  const _Atomic uint64_t *committed)
{
	slot_enter(seat->slots, slot,
		   atomic_load_explicit(committed, memory_order_acquire));
	return atomic_load_explicit(committed, memory_order_acquire);
}

/*
 * Where commit c renews entity c mod `entities`: the commit that wrote what an
 * entity is at a snapshot; 0: none.
 */
static inline uint64_t version_at(uint32_t entity, uint32_t entities,
				  uint64_t snapshot)
{
	uint64_t past = snapshot % entities;
	uint64_t back =
	    past >= entity ? past - entity : past + entities - entity;

	return snapshot > back ? snapshot - back : 0;
}

static inline void *seat_thread(void *argument)
{
	struct seat *seat = argument;

	seat->role(seat);
	return NULL;
}

/* A mapping and a description of its own. */
static inline void seat_own(const struct shm_fixture *f, struct seat *seat)
{
	if (seat->index) {
		shm_reader(f, &seat->own_segment);
		seat->segment = &seat->own_segment;
	}
	if (f->control_fd < 0)
		return;
	must_be(
	    slots_attach(&seat->own_slots, shm_reopen(f->control_fd, O_RDWR)),
	    "slots_attach");
	seat->slots = &seat->own_slots;
}

static inline void seat_leave(struct seat *seat)
{
	segment_detach(&seat->own_segment);
	if (seat->slots == &seat->own_slots)
		slots_detach(&seat->own_slots);
}

static inline void seat_start(const struct shm_fixture *f, enum stress_way way,
			      struct seat *seat)
{
	if (way == STRESS_PROCESSES) {
		seat->pid = child_fork();
		if (seat->pid)
			return;
		seat_own(f, seat);
		seat->role(seat);
		seat_leave(seat);
		_exit(0);
	}
	if (way == STRESS_TWO_MAPPINGS)
		seat_own(f, seat);
	if (pthread_create(&seat->thread, NULL, seat_thread, seat))
		bail_out("no thread");
}

/* Returns how many seats did not end well. */
static inline uint32_t stress_run(struct shm_fixture *f, enum stress_way way,
				  void (*role)(struct seat *seat), void *shared,
				  uint32_t count)
{
	struct seat *seats = calloc(count, sizeof *seats);
	uint32_t bad = 0;

	if (!seats)
		bail_out("no memory");
	for (uint32_t i = 0; i < count; i++) {
		seats[i].segment = &f->segment;
		seats[i].slots = f->control_fd >= 0 ? &f->slots : NULL;
		seats[i].shared = shared;
		seats[i].index = i;
		seats[i].role = role;
		seat_start(f, way, &seats[i]);
	}
	for (uint32_t i = 0; i < count; i++) {
		if (way == STRESS_PROCESSES) {
			bad += child_wait(seats[i].pid) != 0;
			continue;
		}
		pthread_join(seats[i].thread, NULL);
		seat_leave(&seats[i]);
	}
	free(seats);
	return bad;
}

#endif
