/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Slots: who owns one, what it says, and how the dead are told from the living.
 */
#include "lock.h"
#include "shm_fixture.h"

static const unsigned char uuid[CONTROL_UUID_BYTES] = "slot test";

/* A control file and this process's side of it. */
struct control_fixture {
	struct slots slots;
	int fd;
};

static void control_make(struct control_fixture *f)
{
	f->fd = shm_file();
	must_be(slots_create(&f->slots, f->fd, uuid), "create");
}

static void control_release(struct control_fixture *f)
{
	slots_detach(&f->slots);
}

static void attach(const struct control_fixture *f, struct slots *slots)
{
	must_be(slots_attach(slots, shm_reopen(f->fd, O_RDWR)), "attach");
}

/* ---- a child with a slot ------------------------------------------------ */

struct reader {
	pid_t pid;
	int to;
	int from;
	uint32_t slot;
};

static void reader_run(const struct control_fixture *f, uint64_t snapshot,
		       int in, int out)
{
	static struct slots own;
	uint32_t slot = UINT32_MAX;
	char word;

	attach(f, &own);
	must_be(slot_take(&own, &slot), "take");
	slot_enter(&own, slot, snapshot);
	if (write(out, &slot, sizeof slot) != sizeof slot)
		_exit(1);
	while (read(in, &word, 1) < 0 && errno == EINTR)
		;
	_exit(0); /* without leaving: as good as a kill */
}

static struct reader reader_start(const struct control_fixture *f,
				  uint64_t snapshot)
{
	struct reader reader = {.slot = UINT32_MAX};
	int to[2];
	int from[2];

	if (pipe2(to, O_CLOEXEC) || pipe2(from, O_CLOEXEC))
		bail_out("pipe: %s", strerror(errno));
	reader.pid = child_fork();
	if (!reader.pid) {
		close(to[1]);
		close(from[0]);
		reader_run(f, snapshot, to[0], from[1]);
	}
	close(to[0]);
	close(from[1]);
	reader.to = to[1];
	reader.from = from[0];
	if (read(reader.from, &reader.slot, sizeof reader.slot) !=
	    sizeof reader.slot)
		bail_out("a reader has no slot");
	return reader;
}

static void reader_kill(struct reader *reader)
{
	kill(reader->pid, SIGKILL);
	child_wait(reader->pid);
	close(reader->to);
	close(reader->from);
}

/* ---- the control segment ------------------------------------------------ */

static void what_is_no_control_segment_is_refused(void)
{
	struct control_fixture f;
	static struct slots other;
	int fd = shm_file();

	is_int(slots_attach(&other, fd), EBADMSG, "an empty file is none");
	must_be(ftruncate(fd, (off_t)slots_bytes()), "ftruncate");
	is_int(slots_attach(&other, fd), EBADMSG, "nor is one of zeros");
	ok(!fcntl(fd, F_GETFD) || fcntl(fd, F_GETFD) == FD_CLOEXEC,
	   "the descriptor stays the caller's");
	close(fd);
	control_make(&f);
	fd = shm_reopen(f.fd, O_RDWR);
	f.slots.control->layout++;
	is_int(slots_attach(&other, fd), EPROTO, "another layout is another's");
	f.slots.control->layout--;
	f.slots.control->slot_count--;
	is_int(slots_attach(&other, fd), EPROTO, "so are other slots");
	f.slots.control->slot_count++;
	f.slots.control->magic++;
	is_int(slots_attach(&other, fd), EBADMSG, "another magic is none");
	f.slots.control->magic--;
	is_int(slots_attach(&other, fd), 0, "what is one is attached");
	ok(!memcmp(other.control->uuid, uuid, sizeof uuid), "with its name");
	slots_detach(&other);
	slots_detach(&other);
	ok(!other.control, "and detached, also twice");
	control_release(&f);
}

static void a_file_that_is_too_short_is_refused(void)
{
	static struct slots other;
	struct control_fixture f;
	int fd;

	control_make(&f);
	fd = shm_reopen(f.fd, O_RDWR);
	must_be(ftruncate(f.fd, (off_t)slots_bytes() - 1), "ftruncate");
	is_int(slots_attach(&other, fd), EBADMSG, "a file cut short is none");
	close(fd);
	control_release(&f);
}

/* ---- owning ------------------------------------------------------------- */

static void a_slot_has_one_owner(void)
{
	struct control_fixture f;
	static struct slots other;
	uint32_t a = 99;
	uint32_t b = 99;
	uint32_t c = 99;

	control_make(&f);
	attach(&f, &other);
	ok(!slot_take(&f.slots, &a) && a == 0, "the first slot is 0");
	ok(!slot_take(&f.slots, &b) && b == 1, "the same process gets another");
	ok(!slot_take(&other, &c) && c == 2, "and so does another attachment");
	ok(lock_is_held(other.fd, SLOT_LOCK + a), "a slot's byte is held");
	slot_give(&f.slots, a);
	ok(!lock_is_held(other.fd, SLOT_LOCK + a), "until it is given back");
	ok(!slot_take(&other, &c) && c == 0, "then it can be had");
	is_u64(slot_used(&f.slots), 0, "none is in use by being owned");
	is_u64(slot_oldest(&f.slots, 9), 9, "or holds a writer back");
	slots_detach(&other);
	ok(!slot_take(&f.slots, &a) && a == 0, "what was detached is free");
	control_release(&f);
}

static void all_slots_taken_is_enfile(void)
{
	static unsigned char seen[SLOT_COUNT];
	static struct slots other;
	struct control_fixture f;
	uint32_t wrong = 0;
	uint32_t slot;
	int err = 0;

	control_make(&f);
	attach(&f, &other);
	for (uint32_t i = 0; i < SLOT_COUNT && !err; i++) {
		/* the other has a few: it must try all bytes that it has not */
		struct slots *slots = i % 512 == 511 ? &other : &f.slots;

		slot = UINT32_MAX;
		err = slot_take(slots, &slot);
		wrong += slot >= SLOT_COUNT || seen[slot]++;
		if (!err)
			slot_enter(slots, slot, 100 + i);
	}
	is_int(err, 0, "all slots are taken");
	is_u64(wrong, 0, "each once");
	slot = 12345;
	is_int(slot_take(&f.slots, &slot), ENFILE, "one more is ENFILE");
	is_int(slot_take(&other, &slot), ENFILE, "for all");
	is_u64(slot, 12345, "and gives no number");
	is_u64(slot_oldest(&f.slots, UINT64_MAX), 100, "all are looked at");
	is_u64(slot_used(&f.slots), SLOT_COUNT, "and in use");
	slot_give(&f.slots, 777);
	ok(!slot_take(&other, &slot) && slot == 777,
	   "one that is given back can be had");
	slots_detach(&other);
	control_release(&f);
}

/* ---- snapshots ---------------------------------------------------------- */

static void the_oldest_open_snapshot_holds_a_writer_back(void)
{
	struct control_fixture f;
	uint32_t slot[3];

	control_make(&f);
	for (int i = 0; i < 3; i++)
		must_be(slot_take(&f.slots, &slot[i]), "take");
	is_u64(slot_oldest(&f.slots, 50), 50, "nobody reads: the newest");
	slot_enter(&f.slots, slot[1], 30);
	is_u64(slot_oldest(&f.slots, 50), 30, "a reader at 30");
	slot_enter(&f.slots, slot[0], 40);
	is_u64(slot_oldest(&f.slots, 50), 30, "and one at 40");
	slot_enter(&f.slots, slot[2], 0);
	is_u64(slot_oldest(&f.slots, 50), 0, "and one at 0");
	is_u64(slot_used(&f.slots), 3, "three are in use");
	is_u64(slot_oldest(&f.slots, 0), 0, "none is older than 0");
	slot_leave(&f.slots, slot[2]);
	slot_enter(&f.slots, slot[1], 45);
	is_u64(slot_oldest(&f.slots, 50), 40, "one left, one went on");
	slot_enter(&f.slots, slot[0], 60);
	is_u64(slot_oldest(&f.slots, 44), 44,
	       "who is ahead of the writer does not hold it back");
	slot_give(&f.slots, slot[1]);
	slot_give(&f.slots, slot[0]);
	is_u64(slot_used(&f.slots), 0, "a slot that is given back is left");
	control_release(&f);
}

static void rubbish_in_a_slot_is_harmless(uint64_t seed)
{
	struct control_fixture f;
	uint32_t wrong = 0;

	control_make(&f);
	atomic_store(&f.slots.control->slot_limit, UINT32_MAX);
	is_u64(slot_oldest(&f.slots, 7), 7, "a limit of rubbish is bounded");
	atomic_store(&f.slots.table[5].snapshot, UINT64_MAX);
	is_u64(slot_oldest(&f.slots, 7), 7, "a huge snapshot is no hindrance");
	atomic_store(&f.slots.table[6].snapshot, 3);
	is_u64(slot_oldest(&f.slots, 7), 7,
	       "a small one without an owner is "
	       "cleared");
	is_u64(f.slots.table[6].snapshot, 0, "for good");
	for (uint32_t i = 0; i < 2000; i++) {
		uint32_t at = (uint32_t)test_below(&seed, SLOT_COUNT);

		atomic_store(&f.slots.table[at].snapshot,
			     test_random(&seed) >> test_below(&seed, 64));
		if (i % 100 == 0)
			wrong += slot_oldest(&f.slots, 1000) != 1000;
		if (i % 100 == 0)
			(void)slot_used(&f.slots);
	}
	is_u64(wrong, 0, "any rubbish is cleared or passed over");
	control_release(&f);
}

/* ---- the dead ----------------------------------------------------------- */

static void a_slot_is_reaped_at_death_and_no_sooner(void)
{
	struct control_fixture f;
	struct reader reader;
	int status;

	control_make(&f);
	reader = reader_start(&f, 20);
	is_u64(slot_oldest(&f.slots, 50), 20, "a reader holds a writer back");
	is_u64(f.slots.table[reader.slot].pid, (uint64_t)reader.pid,
	       "and says who it is");
	kill(reader.pid, SIGSTOP);
	waitpid(reader.pid, &status, WUNTRACED);
	for (int i = 0; i < 50; i++)
		(void)slot_oldest(&f.slots, 50);
	is_u64(slot_oldest(&f.slots, 50), 20, "stopped, it does so still");
	kill(reader.pid, SIGCONT);
	is_u64(slot_oldest(&f.slots, 50), 20, "and running again");
	reader_kill(&reader);
	is_u64(f.slots.table[reader.slot].snapshot, 21,
	       "killed, it has left its number");
	is_u64(slot_oldest(&f.slots, 15), 15,
	       "which is left alone while it holds nobody back");
	is_u64(f.slots.table[reader.slot].snapshot, 21, "as can be seen");
	is_u64(slot_oldest(&f.slots, 50), 50, "and is cleared when it does");
	is_u64(f.slots.table[reader.slot].snapshot, 0, "for good");
	control_release(&f);
}

static void a_dead_reader_s_slot_is_taken_clean(void)
{
	struct control_fixture f;
	struct reader reader;
	uint32_t slot;

	control_make(&f);
	reader = reader_start(&f, 20);
	reader_kill(&reader);
	ok(!slot_take(&f.slots, &slot) && slot == reader.slot,
	   "a dead reader's slot is taken");
	is_u64(slot_oldest(&f.slots, 50), 50, "without its number");
	control_release(&f);
}

static void only_the_dead_among_many_are_reaped(uint64_t seed)
{
	enum { READERS = 12 };
	struct control_fixture f;
	struct reader readers[READERS];
	uint64_t snapshots[READERS];
	int alive = READERS;
	int wrong = 0;

	control_make(&f);
	for (int i = 0; i < READERS; i++) {
		snapshots[i] = 10 + test_below(&seed, 100);
		readers[i] = reader_start(&f, snapshots[i]);
	}
	while (alive) {
		uint64_t oldest = 1000;
		int victim = (int)test_below(&seed, READERS);

		if (!snapshots[victim])
			continue;
		reader_kill(&readers[victim]);
		snapshots[victim] = 0;
		alive--;
		for (int i = 0; i < READERS; i++)
			if (snapshots[i] && snapshots[i] < oldest)
				oldest = snapshots[i];
		wrong += slot_oldest(&f.slots, 1000) != oldest;
	}
	is_int(wrong, 0,
	       "readers die one by one: the oldest of the living "
	       "counts");
	is_u64(slot_used(&f.slots), 0, "and none is left");
	control_release(&f);
}

static void a_child_of_fork_does_not_free_its_parent_s_slot(void)
{
	struct control_fixture f;
	static struct slots other;
	uint32_t slot;
	pid_t pid;

	control_make(&f);
	attach(&f, &other);
	must_be(slot_take(&f.slots, &slot), "take");
	slot_enter(&f.slots, slot, 20);
	pid = child_fork();
	if (!pid) {
		(void)slot_oldest(&f.slots, 50);
		slots_detach(&f.slots);
		_exit(0);
	}
	is_int(child_wait(pid), 0, "a child detaches what it inherited");
	is_u64(slot_oldest(&other, 50), 20, "its parent's slot is not freed");
	is_u64(slot_oldest(&f.slots, 50), 20, "as the parent sees, too");
	slot_leave(&f.slots, slot);
	is_u64(slot_oldest(&other, 50), 50, "until it leaves it");
	slots_detach(&other);
	control_release(&f);
}

/* A mapping holds its file's description open, and with it the locks. */
static void a_child_s_mapping_does_not_keep_its_dead_parent_s_slot(void)
{
	struct control_fixture f;
	pid_t child = 0;
	pid_t pid;
	int pipes[2];

	control_make(&f);
	must_be(pipe(pipes), "pipe");
	pid = child_fork();
	if (!pid) {
		static struct slots own;
		uint32_t slot;

		attach(&f, &own);
		must_be(slot_take(&own, &slot), "take");
		slot_enter(&own, slot, 5);
		if (!fork()) { /* as the library's fork handler does */
			close(own.fd);
			child = getpid();
			if (write(pipes[1], &child, sizeof child) !=
			    sizeof child)
				_exit(1);
		}
		for (;;)
			pause();
	}
	if (read(pipes[0], &child, sizeof child) != sizeof child)
		bail_out("no child");
	is_u64(slot_oldest(&f.slots, 100), 5, "a living parent's slot holds");
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	is_u64(slot_oldest(&f.slots, 100), 100,
	       "a dead one's does not, though a child has its mapping");
	kill(child, SIGKILL);
	close(pipes[0]);
	close(pipes[1]);
	control_release(&f);
}

int main(void)
{
	uint64_t seed;

	test_begin(120);
	seed = test_seed();
	what_is_no_control_segment_is_refused();
	a_file_that_is_too_short_is_refused();
	a_slot_has_one_owner();
	all_slots_taken_is_enfile();
	the_oldest_open_snapshot_holds_a_writer_back();
	rubbish_in_a_slot_is_harmless(seed);
	a_slot_is_reaped_at_death_and_no_sooner();
	a_dead_reader_s_slot_is_taken_clean();
	only_the_dead_among_many_are_reaped(seed);
	a_child_of_fork_does_not_free_its_parent_s_slot();
	a_child_s_mapping_does_not_keep_its_dead_parent_s_slot();
	return done_testing();
}
