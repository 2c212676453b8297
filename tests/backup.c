/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A backup is of a state that the store had, whatever goes on meanwhile, and
 * what is restored from it is that state.
 *
 * idea
 *	Processes move amounts between accounts, change vectors and link; others
 *	read; the data file is replaced now and then.  Backups are taken one
 *	after the other.  Of each a store is made and compared with a read of
 *the original as of the backup's commit: a digest of all records, vectors and
 *	edges, the sum of the accounts, and a check of everything.
 *
 * deaths
 *	Whoever restores is killed at each point in turn: the store is all there
 *	or not at all, and the next to restore to the same path clears up.
 */
#include "digest.h"
#include "point.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>

enum {
	DIM = 4,
	ACCOUNTS = 24,
	AMOUNT = 1000,
	WRITERS = 3,
	READERS = 2,
	BACKUPS = TEST_SANITIZED ? 4 : 12,
	END_WRONG = 10
};

static struct fixture f;

/* ---- accounts ----------------------------------------------------------- */

static uint32_t account_key(char *key, uint64_t number)
{
	return (uint32_t)snprintf(key, 24, "account-%u", (unsigned)number);
}

static int64_t amount_of(cop_read *read, const char *key, uint32_t size)
{
	struct cop_entity entity = {0};
	struct cop_value value = {0};
	int found = 0;

	must(cop_get(read, key, size, &entity), "get");
	must(cop_entity_property(read, &entity, "amount", 6, &found, &value),
	     "property");
	return found ? value.integer : 0;
}

static int64_t sum_of(cop_read *read)
{
	int64_t sum = 0;

	for (uint64_t i = 0; i < ACCOUNTS; i++) {
		char key[24];
		uint32_t size = account_key(key, i);

		sum += amount_of(read, key, size);
	}
	return sum;
}

static cop_err account_put(cop_write *write, uint64_t number, int64_t amount,
			   uint64_t *state)
{
	float vector[DIM] = {1, (float)test_uniform(state), (float)number,
			     (float)amount};
	struct cop_property property = {
	    "amount", 6, {.kind = COP_INT, .integer = amount}};
	const char *tag = amount < AMOUNT ? "less" : "more";
	char content[600];
	char key[24];
	struct cop_put put = {.size = sizeof put,
			      .key = key,
			      .type = "account",
			      .type_size = 7,
			      .tags = &tag,
			      .tag_count = 1,
			      .properties = &property,
			      .property_count = 1,
			      .vector = vector,
			      .dim = DIM,
			      .content = content,
			      .content_size = sizeof content};

	for (size_t i = 0; i < sizeof content; i++)
		content[i] = (char)test_random(state);
	put.key_size = account_key(key, number);
	return cop_put(write, &put);
}

static void accounts_make(void)
{
	cop_write *write = write_of(&f);
	uint64_t state = 1;

	for (uint64_t i = 0; i < ACCOUNTS; i++)
		must(account_put(write, i, AMOUNT, &state), "put");
	(void)commit_of(write);
}

/* ---- load --------------------------------------------------------------- */

struct moving {
	uint64_t state;
	uint64_t number;
};

static cop_err moved_get(cop_txn *txn, uint64_t account, int64_t *amount)
{
	struct cop_entity entity;
	struct cop_value value;
	int found = 0;
	char key[24];
	uint32_t size = account_key(key, account);
	cop_err err = cop_txn_get(txn, key, size, &entity);

	if (!err)
		err =
		    cop_txn_property(txn, &entity, "amount", 6, &found, &value);
	*amount = found ? value.integer : 0;
	return err;
}

static int32_t amount_move(void *user, cop_txn *txn)
{
	struct moving *moving = user;
	uint64_t from = test_below(&moving->state, ACCOUNTS);
	uint64_t to =
	    (from + 1 + test_below(&moving->state, ACCOUNTS - 1)) % ACCOUNTS;
	int64_t part = (int64_t)test_below(&moving->state, 50);
	cop_write *write = cop_txn_write(txn);
	int64_t left = 0;
	int64_t right = 0;
	char a[24];
	char b[24];
	cop_err err = moved_get(txn, from, &left);

	account_key(a, from);
	account_key(b, to);
	if (!err)
		err = moved_get(txn, to, &right);
	if (!err)
		err = account_put(write, from, left - part, &moving->state);
	if (!err)
		err = account_put(write, to, right + part, &moving->state);
	if (!err)
		err = link_simple(write, a, "paid", b);
	if (!err && moving->number++ % 5 == 0)
		err = cop_delete_edge(write, b, strlen(b), "paid", 4, a,
				      strlen(a));
	return err;
}

static void writer_run(uint64_t seed)
{
	struct moving moving = {.state = seed};
	cop_store *store;

	must(cop_open(f.path, NULL, &store), "open");
	for (;;) {
		cop_err err =
		    cop_txn_run(store, amount_move, &moving, 0, NULL, NULL);

		if (err && err != COP_CONFLICT)
			_exit(END_WRONG);
	}
}

static void reader_run(void)
{
	cop_store *store;
	cop_read *read;

	must(cop_open(f.path, NULL, &store), "open");
	for (;;) {
		must(cop_read_begin(store, &read), "read");
		if (sum_of(read) != ACCOUNTS * AMOUNT)
			_exit(END_WRONG);
		cop_read_end(read);
	}
}

static void load_start(pid_t *pids, uint64_t seed)
{
	for (int i = 0; i < WRITERS + READERS; i++) {
		pids[i] = fork();
		if (pids[i])
			continue;
		if (i < WRITERS)
			writer_run(seed + (uint64_t)i);
		reader_run();
	}
}

/* How many of them had ended by themselves, which is wrong. */
static int load_stop(const pid_t *pids)
{
	int wrong = 0;

	for (int i = 0; i < WRITERS + READERS; i++) {
		kill(pids[i], SIGKILL);
		wrong += child_wait(pids[i]) != 128 + SIGKILL;
	}
	return wrong;
}

/* ---- backups ------------------------------------------------------------ */

static int backup_take(cop_store *store, int32_t plain,
		       struct cop_backup_info *info)
{
	struct cop_backup_options options = {.size = sizeof options,
					     .plain = plain};
	int fd = memfd_create("backup", MFD_CLOEXEC);

	*info = (struct cop_backup_info){.size = sizeof *info};
	must(cop_backup(store, fd, &options, info), "backup");
	lseek(fd, 0, SEEK_SET);
	return fd;
}

static void place_of(char *path, const char *name)
{
	snprintf(path, 128, "%s/%s", f.folder, name);
}

static void folder_remove(const char *path)
{
	nftw(path, fixture_unlink, 16, FTW_DEPTH | FTW_PHYS);
}

/* Restores, opens; detached and removed by store_remove(). */
static cop_store *restored_open(int fd, const char *path)
{
	cop_store *store;

	lseek(fd, 0, SEEK_SET);
	must(cop_restore(fd, path, NULL, NULL), "restore");
	must(cop_open(path, NULL, &store), "open what was restored");
	return store;
}

static void store_remove(cop_store *store, const char *path)
{
	cop_close(store);
	must(cop_detach(path), "detach");
	folder_remove(path);
}

static uint64_t digest_as_of(cop_store *store, uint64_t commit, int64_t *sum)
{
	cop_read *read;
	uint64_t digest;

	must(cop_read_begin(store, &read), "read");
	must(cop_read_as_of(read, commit), "as of");
	digest = digest_all(read, DIM);
	*sum = sum_of(read);
	cop_read_end(read);
	return digest;
}

/* What is restored is what was; also as of half of its commits. */
static int restored_is_right(int fd, uint64_t commit)
{
	char path[128];
	cop_store *store;
	cop_read *read;
	int64_t then = 0;
	int64_t now = 0;
	int right;

	place_of(path, "restored");
	store = restored_open(fd, path);
	must(cop_read_begin(store, &read), "read");
	right = cop_read_commit(read) == commit;
	cop_read_end(read);
	for (uint64_t at = commit; at > 1; at /= 2) {
		right &= digest_as_of(f.store, at, &then) ==
			 digest_as_of(store, at, &now);
		right &= then == ACCOUNTS * AMOUNT && now == then;
	}
	right &= !findings_of(store);
	store_remove(store, path);
	return right;
}

/* Waits for a commit after that one. */
static void commit_await(uint64_t commit)
{
	cop_read *read = read_of(&f);

	while (cop_read_commit(read) <= commit) {
		usleep(1000);
		must(cop_read_refresh(read), "refresh");
	}
	cop_read_end(read);
}

static void a_backup_under_load_is_a_state_that_existed(void)
{
	struct cop_backup_info infos[BACKUPS];
	pid_t pids[WRITERS + READERS];
	int fds[BACKUPS];
	int right = 0;
	int advanced = 0;

	load_start(pids, test_seed());
	for (int i = 0; i < BACKUPS; i++) {
		usleep(50000);
		commit_await(i ? infos[i - 1].commit : 1);
		if (i % 4 == 2)
			must(cop_compact(f.store, NULL, NULL), "compact");
		fds[i] = backup_take(f.store, i % 2, &infos[i]);
		advanced += !i || infos[i].commit > infos[i - 1].commit;
	}
	is_int(load_stop(pids), 0, "readers and writers went on meanwhile");
	is_int(advanced, BACKUPS, "each backup is of a later commit");
	for (int i = 0; i < BACKUPS; i++) {
		right += restored_is_right(fds[i], infos[i].commit);
		close(fds[i]);
	}
	is_int(right, BACKUPS,
	       "each one restored is the store as of its commit, history and "
	       "all, and a check finds nothing");
	is_u64(findings_of(f.store), 0, "nor in the original");
}

/* ---- threads ------------------------------------------------------------ */

static _Atomic int threads_stop;

static void *compact_always(void *wrong)
{
	while (!threads_stop)
		*(int *)wrong += !!cop_compact(f.store, NULL, NULL);
	return NULL;
}

static void *move_always(void *wrong)
{
	struct moving moving = {.state = 5};

	while (!threads_stop)
		*(int *)wrong +=
		    !!cop_txn_run(f.store, amount_move, &moving, 0, NULL, NULL);
	return NULL;
}

static void a_backup_keeps_its_generation(void)
{
	struct cop_backup_info infos[BACKUPS];
	pthread_t threads[2];
	int wrong[2] = {0, 0};
	int fds[BACKUPS];
	int right = 0;

	if (pthread_create(&threads[0], NULL, compact_always, &wrong[0]) ||
	    pthread_create(&threads[1], NULL, move_always, &wrong[1]))
		bail_out("no threads");
	for (int i = 0; i < BACKUPS; i++) {
		usleep(20000);
		fds[i] = backup_take(f.store, 0, &infos[i]);
	}
	threads_stop = 1;
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	is_int(wrong[0], 0, "threads of the same process compact");
	is_int(wrong[1], 0, "and commit meanwhile");
	for (int i = 0; i < BACKUPS; i++) {
		right += restored_is_right(fds[i], infos[i].commit);
		close(fds[i]);
	}
	is_int(right, BACKUPS, "and each backup is of one commit");
}

static void a_child_takes_one_of_the_store_it_inherited(void)
{
	struct cop_backup_info info;
	pid_t pid = fork();

	if (!pid) {
		int fd = backup_take(f.store, 0, &info);

		_exit(cop_backup_verify(fd, NULL, NULL) ? END_WRONG : 0);
	}
	is_int(child_wait(pid), 0,
	       "a forked child takes a backup of the store it inherited");
}

static void what_is_committed_is_in_the_next_backup(void)
{
	struct cop_backup_info info;
	cop_write *write = write_of(&f);
	uint64_t commit;

	put_simple(write, "the last one", "t", NULL, 0);
	commit = commit_of(write);
	close(backup_take(f.store, 0, &info));
	is_u64(info.commit, commit, "a commit that returned is in the backup");
}

static void a_restored_store_goes_on(void)
{
	struct cop_backup_info info;
	struct cop_retention retention = {.size = sizeof retention,
					  .history = COP_HISTORY_ALL,
					  .type = "account"};
	cop_write *write = write_of(&f);
	char path[128];
	cop_store *store;
	cop_read *read;
	uint64_t id;
	uint64_t commit;
	int fd;

	must(cop_retain(write, &retention), "retain");
	(void)commit_of(write);
	fd = backup_take(f.store, 0, &info);
	place_of(path, "goes-on");
	store = restored_open(fd, path);
	must(cop_write_begin(store, &write), "write");
	put_simple(write, "after", "account", NULL, 0);
	commit = commit_of(write);
	is_u64(commit, info.commit + 1, "commits are counted on");
	must(cop_read_begin(store, &read), "read");
	id = lookup(read, "after");
	cop_read_end(read);
	read = read_of(&f);
	ok(id && !lookup(read, "after"), "the old store does not see them");
	cop_read_end(read);
	is_u64(findings_of(store), 0, "and a check finds nothing");
	store_remove(store, path);
	close(fd);
}

/* ---- the old store's segment -------------------------------------------- */

static void segment_name(cop_store *store, char *name)
{
	struct cop_stats stats = {.size = sizeof stats};
	cop_read *read;

	must(cop_read_begin(store, &read), "read");
	must(cop_stat(read, &stats), "stat");
	cop_read_end(read);
	snprintf(name, sizeof stats.segment, "%s", stats.segment);
}

static void segment_copy(const char *from, const char *to)
{
	char command[1200];

	snprintf(command, sizeof command, "rm -rf '%s' && cp -r '%s' '%s'", to,
		 from, to);
	if (system(command))
		bail_out("%s", command);
}

/* A store of its own, with one commit more than its backup. */
static int old_store_make(struct fixture *old, struct cop_backup_info *info)
{
	cop_write *write;
	int fd;

	fixture_init(old, DIM, COP_L2);
	write = write_of(old);
	put_simple(write, "first", "t", NULL, 0);
	(void)commit_of(write);
	fd = backup_take(old->store, 0, info);
	write = write_of(old);
	put_simple(write, "later", "t", NULL, 0);
	(void)commit_of(write);
	return fd;
}

static int is_as_backed_up(cop_store *store, uint64_t commit)
{
	cop_read *read;
	int right;

	must(cop_read_begin(store, &read), "read");
	right = cop_read_commit(read) == commit && lookup(read, "first") &&
		!lookup(read, "later");
	cop_read_end(read);
	return right && !findings_of(store);
}

static void a_restored_store_never_meets_the_old_segment(void)
{
	struct fixture old;
	struct cop_backup_info info;
	char before[256];
	char after[256];
	int fd = old_store_make(&old, &info);

	segment_name(old.store, before);
	cop_close(old.store);
	folder_remove(old.path);
	ok(!access(before, F_OK), "the old store's segment is there still");
	old.store = restored_open(fd, old.path);
	ok(is_as_backed_up(old.store, info.commit),
	   "at the same path the store is as it was backed up");
	segment_name(old.store, after);
	cop_close(old.store);
	segment_copy(before, after);
	must(cop_open(old.path, NULL, &old.store), "open");
	ok(is_as_backed_up(old.store, info.commit),
	   "and with the old segment under the new one's name, too");
	folder_remove(before);
	fixture_release(&old);
	close(fd);
}

static void a_restore_while_the_old_store_is_attached(void)
{
	struct fixture old;
	struct cop_backup_info info;
	char moved[128];
	cop_store *store;
	cop_write *write;
	int fd = old_store_make(&old, &info);

	snprintf(moved, sizeof moved, "%s/moved", old.folder);
	ok(!rename(old.path, moved), "the store's folder is moved away");
	store = restored_open(fd, old.path);
	ok(is_as_backed_up(store, info.commit),
	   "in its place the backup is restored, while it is in use");
	write = write_of(&old);
	put_simple(write, "later still", "t", NULL, 0);
	is_u64(commit_of(write), info.commit + 2, "the old one goes on");
	ok(is_as_backed_up(store, info.commit), "the new one does not see it");
	store_remove(store, old.path);
	cop_close(old.store);
	old.store = NULL;
	must(cop_detach(moved), "detach");
	folder_remove(old.folder);
	close(fd);
}

/* ---- giving way --------------------------------------------------------- */

static void pipe_taker(int fd)
{
	cop_store *store;
	cop_err err;

	setenv("COPPICE_STALL_BYTES", "256K", 1);
	must(cop_open(f.path, NULL, &store), "open");
	err = cop_backup(store, fd, NULL, NULL);
	cop_close(store);
	_exit(err == COP_STALLED ? 0 : END_WRONG);
}

static void a_backup_that_nobody_takes_gives_way(void)
{
	struct moving moving = {.state = 7};
	int ends[2];
	int status = 0;
	int failed = 0;
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC))
		bail_out("pipe: %s", strerror(errno));
	pid = fork();
	if (!pid)
		pipe_taker(ends[1]);
	while (!waitpid(pid, &status, WNOHANG)) {
		failed +=
		    !!cop_txn_run(f.store, amount_move, &moving, 0, NULL, NULL);
		usleep(1000);
	}
	ok(WIFEXITED(status) && !WEXITSTATUS(status),
	   "a backup into a pipe that nobody reads ends with COP_STALLED");
	is_int(failed, 0, "and no commit is refused meanwhile");
	close(ends[0]);
	close(ends[1]);
}

static int32_t stop_soon(void *user, const char *what, uint64_t done,
			 uint64_t total)
{
	(void)what;
	(void)done;
	(void)total;
	return ++*(int *)user > 0;
}

static void a_caller_may_stop_it(void)
{
	int count = 0;
	struct cop_backup_options options = {
	    .size = sizeof options, .progress = stop_soon, .user = &count};
	struct cop_restore_options restore = {
	    .size = sizeof restore, .progress = stop_soon, .user = &count};
	struct cop_backup_info info = {.size = sizeof info};
	int fd = backup_take(f.store, 0, &info);
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	char path[128];

	place_of(path, "stopped");
	is_int(cop_backup(f.store, null, &options, NULL), COP_STOPPED,
	       "a backup is stopped by progress");
	is_int(cop_backup_verify(fd, &options, NULL), COP_STOPPED,
	       "a look at one is");
	lseek(fd, 0, SEEK_SET);
	is_int(cop_restore(fd, path, &restore, NULL), COP_STOPPED,
	       "and a restore");
	ok(access(path, F_OK), "which leaves nothing");
	strcat(path, ".restoring");
	ok(access(path, F_OK), "nor beside it");
	close(null);
	close(fd);
}

/* ---- deaths ------------------------------------------------------------- */

static int point_left;

static void die_at_point(const char *name)
{
	(void)name;
	if (!point_left--)
		raise(SIGKILL);
}

static int restore_child(int fd, const char *path, int points)
{
	pid_t pid = fork();

	if (pid)
		return child_wait(pid);
	point_left = points;
	point_hook = die_at_point;
	lseek(fd, 0, SEEK_SET);
	_exit(cop_restore(fd, path, NULL, NULL) ? END_WRONG : 0);
}

/* After a death: all or nothing, and the next one clears up. */
static int death_is_harmless(int fd, const char *path, uint64_t commit)
{
	char place[160];
	char mark[160];
	cop_store *store;
	int right = 1;

	snprintf(place, sizeof place, "%s.restoring", path);
	snprintf(mark, sizeof mark, "%s/restoring", path);
	if (!access(path, F_OK)) { /* it was named */
		must(cop_open(path, NULL, &store), "open");
		right = !findings_of(store) && access(mark, F_OK);
		store_remove(store, path);
		return right && access(place, F_OK);
	}
	lseek(fd, 0, SEEK_SET);
	if (cop_restore(fd, path, NULL, NULL))
		return 0;
	must(cop_open(path, NULL, &store), "open");
	right &= is_as_backed_up(store, commit) && access(place, F_OK);
	store_remove(store, path);
	return right;
}

static void a_restore_may_be_killed_anywhere(void)
{
	struct fixture old;
	struct cop_backup_info info;
	char path[128];
	int wrong = 0;
	int points = 0;
	int fd = old_store_make(&old, &info);
	int status;

	place_of(path, "killed");
	while ((status = restore_child(fd, path, points)) == 128 + SIGKILL) {
		wrong += !death_is_harmless(fd, path, info.commit);
		points++;
	}
	is_int(status, 0, "after the last of %d points a restore ends", points);
	ok(points >= 7, "at each it was killed");
	is_int(wrong, 0,
	       "there was a whole store or none, and the next restore made it");
	folder_remove(path);
	close(fd);
	fixture_release(&old);
}

static void two_restores_to_one_path(void)
{
	struct cop_backup_info info;
	int fd = backup_take(f.store, 0, &info);
	char path[128];
	char place[160];
	int ends[2];
	pid_t pid;

	place_of(path, "twice");
	snprintf(place, sizeof place, "%s.restoring", path);
	if (pipe2(ends, O_CLOEXEC))
		bail_out("pipe: %s", strerror(errno));
	pid = fork();
	if (!pid) {
		close(ends[1]);
		_exit(cop_restore(ends[0], path, NULL, NULL) ? END_WRONG : 0);
	}
	for (off_t at = 0; at < 600; at++) { /* the header, and no more */
		char byte;

		if (pread(fd, &byte, 1, at) == 1)
			(void)!write(ends[1], &byte, 1);
	}
	while (access(place, F_OK))
		usleep(1000);
	usleep(100000);
	is_int(cop_restore(fd, path, NULL, NULL), COP_BUSY,
	       "who restores where another does is told so");
	close(ends[0]);
	close(ends[1]);
	is_int(child_wait(pid), END_WRONG, "the other's backup was cut off");
	ok(access(place, F_OK), "and it leaves nothing");
	close(fd);
}

/* The thread sanitizer does not let a child go on after a fork handler. */
static void with_other_processes(void)
{
	a_backup_under_load_is_a_state_that_existed();
	a_child_takes_one_of_the_store_it_inherited();
	a_backup_that_nobody_takes_gives_way();
	a_restore_may_be_killed_anywhere();
	two_restores_to_one_path();
}

int main(void)
{
	test_begin(300 * TEST_SLOW);
	fixture_init(&f, DIM, COP_L2);
	accounts_make();
	if (!TEST_TSAN)
		with_other_processes();
	what_is_committed_is_in_the_next_backup();
	a_restored_store_goes_on();
	a_restored_store_never_meets_the_old_segment();
	a_restore_while_the_old_store_is_attached();
	a_caller_may_stop_it();
	a_backup_keeps_its_generation();
	fixture_release(&f);
	return done_testing();
}
