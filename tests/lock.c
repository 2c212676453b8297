/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Locks between processes: who holds a byte, until when, and of which file.
 */
#include "lock.h"
#include "shm_fixture.h"

/* ---- a child that holds a lock ------------------------------------------ */

/* It takes, says so, and holds until a byte comes through its pipe. */
struct holder {
	pid_t pid;
	int to;	  /* a byte: the child ends */
	int from; /* a byte: the result of lock_take */
};

static void holder_run(int fd, uint64_t byte, enum lock_mode mode,
		       uint32_t timeout_ms, int in, int out)
{
	int err = lock_take(fd, byte, mode, timeout_ms);
	unsigned char told = (unsigned char)err;
	char word;

	if (write(out, &told, 1) != 1)
		_exit(1);
	while (read(in, &word, 1) < 0 && errno == EINTR)
		;
	_exit(0);
}

static struct holder holder_start(int fd, uint64_t byte, enum lock_mode mode,
				  uint32_t timeout_ms)
{
	struct holder holder;
	int to[2];
	int from[2];

	if (pipe2(to, O_CLOEXEC) || pipe2(from, O_CLOEXEC))
		bail_out("pipe: %s", strerror(errno));
	holder.pid = child_fork();
	if (!holder.pid) {
		int own = shm_reopen(fd, O_RDWR);

		close(fd);
		close(to[1]);
		close(from[0]);
		holder_run(own, byte, mode, timeout_ms, to[0], from[1]);
	}
	close(to[0]);
	close(from[1]);
	holder.to = to[1];
	holder.from = from[0];
	return holder;
}

/* What the child's lock_take gave; waits for it. */
static int holder_result(const struct holder *holder)
{
	unsigned char told = 255;

	while (read(holder->from, &told, 1) < 0 && errno == EINTR)
		;
	return told;
}

static int holder_end(struct holder *holder)
{
	(void)!write(holder->to, "", 1);
	close(holder->to);
	close(holder->from);
	return child_wait(holder->pid);
}

static int try_take(int fd, uint64_t byte, enum lock_mode mode)
{
	return lock_take(fd, byte, mode, 0);
}

/* ---- modes -------------------------------------------------------------- */

static void an_exclusive_lock_is_one_process_s(void)
{
	int fd = shm_file();
	struct holder holder;

	holder = holder_start(fd, LOCK_W, LOCK_EXCLUSIVE, LOCK_FOREVER);
	is_int(holder_result(&holder), 0, "a process takes a byte");
	is_int(try_take(fd, LOCK_W, LOCK_EXCLUSIVE), EAGAIN,
	       "no other can have it");
	is_int(try_take(fd, LOCK_W, LOCK_SHARED), EAGAIN, "or share it");
	ok(lock_is_held(fd, LOCK_W), "it is seen to be held");
	is_int(try_take(fd, LOCK_R, LOCK_EXCLUSIVE), 0,
	       "another byte can be had");
	ok(!lock_is_held(fd, LOCK_R), "one's own does not show");
	lock_release(fd, LOCK_R);
	is_int(holder_end(&holder), 0, "the holder ends");
	ok(!lock_is_held(fd, LOCK_W), "with it goes the lock");
	is_int(try_take(fd, LOCK_W, LOCK_EXCLUSIVE), 0, "which can be had");
	close(fd);
}

static void a_shared_lock_is_many_processes(void)
{
	int fd = shm_file();
	struct holder a = holder_start(fd, LOCK_ATTACH, LOCK_SHARED, 0);
	struct holder b = holder_start(fd, LOCK_ATTACH, LOCK_SHARED, 0);

	ok(!holder_result(&a) && !holder_result(&b), "two share a byte");
	is_int(try_take(fd, LOCK_ATTACH, LOCK_SHARED), 0, "and a third");
	ok(lock_is_held(fd, LOCK_ATTACH), "each sees the others");
	is_int(try_take(fd, LOCK_ATTACH, LOCK_EXCLUSIVE), EAGAIN,
	       "none can have it alone");
	holder_end(&a);
	is_int(try_take(fd, LOCK_ATTACH, LOCK_EXCLUSIVE), EAGAIN,
	       "while one is left");
	holder_end(&b);
	ok(!lock_is_held(fd, LOCK_ATTACH), "alone, it sees nobody");
	is_int(try_take(fd, LOCK_ATTACH, LOCK_EXCLUSIVE), 0,
	       "and takes it alone, in place of its share");
	a = holder_start(fd, LOCK_ATTACH, LOCK_SHARED, 0);
	is_int(holder_result(&a), EAGAIN, "so that nobody may share it");
	holder_end(&a);
	is_int(try_take(fd, LOCK_ATTACH, LOCK_SHARED), 0, "it shares again");
	a = holder_start(fd, LOCK_ATTACH, LOCK_SHARED, 0);
	is_int(holder_result(&a), 0, "and so do others");
	holder_end(&a);
	close(fd);
}

static void bytes_far_past_the_end_are_bytes(void)
{
	const uint64_t bytes[] = {0, 1, UINT64_C(1) << 32, SLOT_LOCK,
				  SLOT_LOCK + SLOT_COUNT - 1};
	int fd = shm_file();
	int other = shm_reopen(fd, O_RDWR);
	int wrong = 0;

	for (int i = 0; i < 5; i++)
		wrong += try_take(fd, bytes[i], LOCK_EXCLUSIVE) != 0;
	for (int i = 0; i < 5; i++) {
		wrong += try_take(other, bytes[i], LOCK_EXCLUSIVE) != EAGAIN;
		wrong += try_take(other, bytes[i] + 2, LOCK_EXCLUSIVE) != 0;
		lock_release(other, bytes[i] + 2);
	}
	is_int(wrong, 0, "each byte is a lock of its own, however far");
	close(fd);
	close(other);
}

static void what_cannot_be_locked_says_why(void)
{
	int fd = shm_file();
	int reader = shm_reopen(fd, O_RDONLY);

	is_int(try_take(reader, 1, LOCK_EXCLUSIVE), EBADF,
	       "a read-only descriptor cannot exclude");
	is_int(lock_take(reader, 1, LOCK_EXCLUSIVE, LOCK_FOREVER), EBADF,
	       "however long it may wait");
	is_int(try_take(reader, 1, LOCK_SHARED), 0, "but share");
	close(reader);
	is_int(try_take(reader, 1, LOCK_SHARED), EBADF, "unless it is closed");
	close(fd);
}

/* ---- time --------------------------------------------------------------- */

static void a_wait_ends_with_the_lock_or_with_its_time(void)
{
	int fd = shm_file();
	struct holder a;
	struct holder b;

	a = holder_start(fd, LOCK_W, LOCK_EXCLUSIVE, 0);
	is_int(holder_result(&a), 0, "a process holds a byte");
	is_int(lock_take(fd, LOCK_W, LOCK_EXCLUSIVE, 30), EAGAIN,
	       "another waits 30 ms in vain");
	is_int(lock_take(fd, LOCK_W, LOCK_SHARED, 1), EAGAIN, "or one");
	b = holder_start(fd, LOCK_W, LOCK_EXCLUSIVE, LOCK_FOREVER);
	holder_end(&a);
	is_int(holder_result(&b), 0, "who waits for ever has it in the end");
	a = holder_start(fd, LOCK_W, LOCK_EXCLUSIVE, 60000);
	holder_end(&b);
	is_int(holder_result(&a), 0, "and so has who waits a minute");
	holder_end(&a);
	close(fd);
}

static _Atomic int ticks;

static void tick(int signal_number)
{
	(void)signal_number;
	atomic_fetch_add(&ticks, 1);
}

struct forever {
	int fd;
	int err;
};

static void *forever_take(void *argument)
{
	struct forever *forever = argument;

	forever->err =
	    lock_take(forever->fd, LOCK_W, LOCK_EXCLUSIVE, LOCK_FOREVER);
	return NULL;
}

static void a_signal_does_not_end_a_wait(void)
{
	struct sigaction action = {.sa_handler = tick}; /* no SA_RESTART */
	struct timespec pause = {0, 2000000};
	int fd = shm_file();
	struct forever forever = {shm_reopen(fd, O_RDWR), -1};
	struct holder holder;
	pthread_t thread;

	sigaction(SIGUSR1, &action, NULL);
	holder = holder_start(fd, LOCK_W, LOCK_EXCLUSIVE, 0);
	is_int(holder_result(&holder), 0, "a process holds a byte");
	if (pthread_create(&thread, NULL, forever_take, &forever))
		bail_out("no thread");
	for (int i = 0; i < 20; i++) {
		nanosleep(&pause, NULL);
		pthread_kill(thread, SIGUSR1);
	}
	ok(lock_is_held(fd, LOCK_W), "signals come while another waits");
	holder_end(&holder);
	pthread_join(thread, NULL);
	is_int(forever.err, 0, "who waits on, and has it in the end");
	close(forever.fd);
	close(fd);
}

/* ---- death -------------------------------------------------------------- */

static void the_death_of_a_holder_releases(void)
{
	int fd = shm_file();
	struct holder holder;
	int status;

	holder = holder_start(fd, LOCK_W, LOCK_EXCLUSIVE, 0);
	is_int(holder_result(&holder), 0, "a process holds a byte");
	kill(holder.pid, SIGSTOP);
	waitpid(holder.pid, &status, WUNTRACED);
	is_int(lock_take(fd, LOCK_W, LOCK_EXCLUSIVE, 20), EAGAIN,
	       "stopped, it holds it still");
	kill(holder.pid, SIGKILL);
	is_int(lock_take(fd, LOCK_W, LOCK_EXCLUSIVE, LOCK_FOREVER), 0,
	       "killed, it has lost it");
	is_int(holder_end(&holder), 128 + SIGKILL, "it is dead");
	close(fd);
}

static void closing_another_descriptor_keeps_the_lock(void)
{
	int fd = shm_file();
	int other = shm_reopen(fd, O_RDWR);
	int third = shm_reopen(fd, O_RDWR);

	must_be(try_take(fd, LOCK_W, LOCK_EXCLUSIVE), "take");
	close(other);
	is_int(try_take(third, LOCK_W, LOCK_EXCLUSIVE), EAGAIN,
	       "a descriptor of the same file was closed: the lock stays");
	other = dup(fd);
	close(fd);
	is_int(try_take(third, LOCK_W, LOCK_EXCLUSIVE), EAGAIN,
	       "so it does while a copy of its own is open");
	close(other);
	is_int(try_take(third, LOCK_W, LOCK_EXCLUSIVE), 0,
	       "with the last of them it goes");
	close(third);
}

static void a_child_of_fork_does_not_drop_its_parent_s_lock(void)
{
	int fd = shm_file();
	int other = shm_reopen(fd, O_RDWR);
	pid_t pid;

	must_be(try_take(fd, LOCK_W, LOCK_EXCLUSIVE), "take");
	pid = child_fork();
	if (!pid) {
		close(fd);
		_exit(0);
	}
	is_int(child_wait(pid), 0, "a child closes what it inherited and ends");
	is_int(try_take(other, LOCK_W, LOCK_EXCLUSIVE), EAGAIN,
	       "the parent holds its lock still");
	close(fd);
	close(other);
}

/* ---- exclusion ---------------------------------------------------------- */

enum { WORKERS = 4, ROUNDS = 4000 / TEST_SLOW };

struct ledger {
	uint64_t a; /* plain: the lock alone protects them */
	uint64_t b;
	uint64_t wrong;
};

static void work(int fd, struct ledger *ledger)
{
	int own = shm_reopen(fd, O_RDWR);

	for (int i = 0; i < ROUNDS; i++) {
		must_be(lock_take(own, LOCK_W, LOCK_EXCLUSIVE,
				  i % 2 ? LOCK_FOREVER : 60000),
			"take");
		ledger->wrong += ledger->a != ledger->b;
		ledger->a++;
		if (i % 64 == 0)
			usleep(10);
		ledger->b++;
		lock_release(own, LOCK_W);
	}
	close(own);
}

static void processes_exclude_each_other(void)
{
	struct ledger *ledger = shm_anonymous(sizeof *ledger);
	pid_t pids[WORKERS];
	int fd = shm_file();
	int bad = 0;

	for (int i = 0; i < WORKERS; i++) {
		pids[i] = child_fork();
		if (!pids[i]) {
			work(fd, ledger);
			_exit(0);
		}
	}
	for (int i = 0; i < WORKERS; i++)
		bad += child_wait(pids[i]) != 0;
	is_int(bad, 0, "%d processes take a lock in turn", WORKERS);
	ok(ledger->a == WORKERS * ROUNDS && ledger->b == ledger->a &&
	       !ledger->wrong,
	   "and never two at once");
	munmap(ledger, sizeof *ledger);
	close(fd);
}

/* ---- the file ----------------------------------------------------------- */

static void a_replaced_lock_file_is_seen(void)
{
	char folder[] = "/tmp/coppice-test-XXXXXX";
	int folder_fd;
	int other;
	int fd;

	if (!mkdtemp(folder))
		bail_out("mkdtemp: %s", strerror(errno));
	folder_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	fd = openat(folder_fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (folder_fd < 0 || fd < 0)
		bail_out("open: %s", strerror(errno));
	is_int(lock_file_check(fd, folder_fd, "lock"), 0,
	       "a path names the file that is open");
	must_be(linkat(folder_fd, "lock", folder_fd, "held", 0), "link");
	is_int(lock_file_check(fd, folder_fd, "held"), 0,
	       "so does another name of it");
	other = openat(folder_fd, "new", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	must_be(renameat(folder_fd, "new", folder_fd, "lock"), "rename");
	is_int(lock_file_check(fd, folder_fd, "lock"), ESTALE,
	       "replaced, it does not");
	is_int(lock_file_check(other, folder_fd, "lock"), 0,
	       "but names the new one");
	unlinkat(folder_fd, "lock", 0);
	is_int(lock_file_check(other, folder_fd, "lock"), ESTALE,
	       "removed, it names none");
	is_int(lock_file_check(-1, folder_fd, "held"), EBADF,
	       "and what is not open is EBADF");
	unlinkat(folder_fd, "held", 0);
	rmdir(folder);
	close(other);
	close(fd);
	close(folder_fd);
}

int main(void)
{
	test_begin(120);
	signal(SIGPIPE, SIG_IGN);
	an_exclusive_lock_is_one_process_s();
	a_shared_lock_is_many_processes();
	bytes_far_past_the_end_are_bytes();
	what_cannot_be_locked_says_why();
	a_wait_ends_with_the_lock_or_with_its_time();
	a_signal_does_not_end_a_wait();
	the_death_of_a_holder_releases();
	closing_another_descriptor_keeps_the_lock();
	a_child_of_fork_does_not_drop_its_parent_s_lock();
	processes_exclude_each_other();
	a_replaced_lock_file_is_seen();
	return done_testing();
}
