/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Mailboxes: who owns one, how a request goes in and an answer comes out, and
 * what is made of rubbish and of the dead.
 */
#include "lock.h"
#include "mailbox.h"
#include "shm_fixture.h"

#include <sched.h>
#include <sys/mount.h>

enum { AT = 8192, LONG = 60 }; /* LONG: seconds, never waited for */

#define LONG_NS (UINT64_C(1000000000) * LONG)

/* A control file and this process's side of it. */
struct office {
	struct mailboxes boxes;
	int fd;
};

static void office_make(struct office *o)
{
	o->fd = shm_file();
	must_be(mailboxes_create(o->fd, AT), "create");
	must_be(mailboxes_attach(&o->boxes, o->fd, AT), "attach");
}

/* As another process would have it: a description and a mapping of its own. */
static void office_join(const struct office *o, struct office *other)
{
	other->fd = shm_reopen(o->fd, O_RDWR);
	must_be(mailboxes_attach(&other->boxes, other->fd, AT), "attach");
}

static void office_release(struct office *o)
{
	mailboxes_detach(&o->boxes);
	close(o->fd);
}

static uint32_t take(struct office *o)
{
	uint32_t box = UINT32_MAX;

	must_be(mailbox_take(&o->boxes, &box), "take");
	return box;
}

static void request_fill(unsigned char *request, uint32_t bytes, uint64_t seed)
{
	for (uint32_t i = 0; i < bytes; i++)
		request[i] = (unsigned char)test_random(&seed);
}

static _Atomic uint64_t *word_of(struct office *o, uint32_t box)
{
	return &o->boxes.boxes[box].word;
}

static _Alignas(8) unsigned char sent[MAILBOX_BYTES];
static _Alignas(8) unsigned char got[MAILBOX_BYTES];
static unsigned char answer[MAILBOX_ANSWER_BYTES];
static unsigned char heard[MAILBOX_ANSWER_BYTES];

/* ---- attaching ---------------------------------------------------------- */

static void what_is_too_short_is_no_post_office(void)
{
	static struct mailboxes boxes;
	int fd = shm_file();
	struct office a;
	struct office b;

	is_int(mailboxes_attach(&boxes, fd, AT), EBADMSG,
	       "an empty file is refused");
	must_be(ftruncate(fd, AT + 4096), "ftruncate");
	is_int(mailboxes_attach(&boxes, fd, AT), EBADMSG,
	       "so is one with the table cut off");
	close(fd);
	office_make(&a);
	office_make(&b);
	ok(memcmp(a.boxes.office->uuid, b.boxes.office->uuid,
		  MAILBOX_UUID_BYTES) != 0,
	   "no two post offices have one name");
	office_release(&b);
	mailboxes_detach(&a.boxes);
	mailboxes_detach(&a.boxes);
	ok(!a.boxes.office, "detached, also twice");
	close(a.fd);
}

/* ---- owning ------------------------------------------------------------- */

static void a_box_has_one_owner_and_one_user(void)
{
	struct office a;
	struct office b;
	uint32_t first;

	office_make(&a);
	office_join(&a, &b);
	first = take(&a);
	is_int(first, 0, "the first box is 0");
	is_int(take(&a), 1, "another thread's is another");
	is_int(take(&b), 2, "another process's too");
	mailbox_give(&a.boxes, first);
	is_int(take(&b), 3, "what is given back stays its process's");
	is_int(take(&a), 0, "and is used again there");
	is_int(mailbox_limit(&a.boxes), 4, "the limit covers all of them");
	office_release(&a);
	is_int(take(&b), 0, "what a process that is gone had is free");
	office_release(&b);
}

static void a_forked_child_owns_none(void)
{
	struct office a;
	struct office b;

	office_make(&a);
	office_join(&a, &b);
	is_int(take(&a), 0, "the parent has box 0");
	/* as after fork: the bits came along, the locks did not */
	mailboxes_disown(&a.boxes, b.fd);
	is_int(take(&b), 1, "a process takes 1");
	mailboxes_disown(&b.boxes, a.fd);
	is_int(take(&b), 0, "who disowned takes by the locks it has now");
	office_release(&a);
	office_release(&b);
}

static void all_boxes_can_be_taken(void)
{
	struct office a;
	struct office b;
	uint32_t box;
	uint32_t bad = 0;

	office_make(&a);
	office_join(&a, &b);
	for (uint32_t i = 0; i < MAILBOX_COUNT; i++)
		bad += take(&a) != i;
	ok(!bad, "%d boxes, in turn", MAILBOX_COUNT);
	is_int(mailbox_take(&a.boxes, &box), ENFILE, "then there is none");
	is_int(mailbox_take(&b.boxes, &box), ENFILE, "for nobody");
	request_fill(sent, MAILBOX_BYTES, 1);
	mailbox_post(&a.boxes, MAILBOX_COUNT - 1, sent, MAILBOX_BYTES);
	ok(mailbox_look(&b.boxes, MAILBOX_COUNT - 1, MAILBOX_POSTED),
	   "the last one works as any");
	mailbox_give(&a.boxes, 77);
	is_int(take(&a), 77, "one is given back and had again");
	office_release(&a);
	office_release(&b);
}

/* A file on a tmpfs with room for the table and two requests; -1: no right. */
static int small_file(void)
{
	char folder[] = "/tmp/coppice-test-XXXXXX";
	char options[64];
	char path[64];
	int fd;

	if (unshare(CLONE_NEWNS) ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    !mkdtemp(folder))
		return -1;
	snprintf(options, sizeof options, "size=%dk", 1024 + 2 * 32 + 16);
	snprintf(path, sizeof path, "%s/control", folder);
	if (mount("tmpfs", folder, "tmpfs", 0, options)) {
		rmdir(folder);
		return -1;
	}
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	umount2(folder, MNT_DETACH);
	rmdir(folder);
	return fd;
}

static void on_a_full_tmpfs_there_is_no_box(void *unused)
{
	struct office a = {.fd = small_file()};
	uint32_t box = 7;

	(void)unused;
	if (a.fd < 0)
		_exit(77);
	must_be(mailboxes_create(a.fd, AT), "create");
	must_be(mailboxes_attach(&a.boxes, a.fd, AT), "attach");
	if (take(&a) != 0 || take(&a) != 1)
		_exit(1);
	mailbox_post(&a.boxes, 1, sent, MAILBOX_BYTES); /* no SIGBUS */
	if (mailbox_take(&a.boxes, &box) != ENOSPC || box != 7)
		_exit(2);
	if (lock_is_held(shm_reopen(a.fd, O_RDWR), MAILBOX_LOCK + 2))
		_exit(3);
	mailbox_give(&a.boxes, 0);
	if (take(&a) != 0) /* what there is can be used */
		_exit(4);
}

static void without_room_for_a_request_there_is_no_box(void)
{
	int status = child_survives(20, on_a_full_tmpfs_there_is_no_box, NULL);

	if (status == 77)
		skip("this process may not mount");
	else
		is_int(status, 0,
		       "without room for a request there is no box, and what "
		       "there is can be used");
}

/* ---- there and back ----------------------------------------------------- */

static void a_request_is_taken_and_answered(void)
{
	static const uint32_t sizes[] = {8, 16, 104, MAILBOX_BYTES - 8,
					 MAILBOX_BYTES};
	struct office a;
	struct office b;
	uint64_t before = 0;

	office_make(&a);
	office_join(&a, &b);
	is_int(take(&a), 0, "a box");
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		uint64_t number;
		uint64_t taken;

		request_fill(sent, sizes[i], i);
		request_fill(answer, sizeof answer, i + 100);
		number = mailbox_post(&a.boxes, 0, sent, sizes[i]);
		ok(number > before, "request %" PRIu64 " of %u bytes", number,
		   sizes[i]);
		before = number;
		is_u64(mailbox_look(&b.boxes, 0, MAILBOX_POSTED), number,
		       "it is seen");
		is_int(mailbox_collect(&b.boxes, 0, got, &taken), sizes[i],
		       "and taken whole");
		ok(taken == number && !memcmp(got, sent, sizes[i]),
		   "as it was sent, under its number");
		is_int(mailbox_phase(&a.boxes, 0, number), MAILBOX_TAKEN,
		       "its poster knows");
		ok(!mailbox_collect(&b.boxes, 0, got, &taken) && !taken,
		   "nobody takes it twice");
		mailbox_answer(&b.boxes, 0, number, MAILBOX_DONE, answer);
		is_int(mailbox_phase(&a.boxes, 0, number), MAILBOX_DONE,
		       "it is answered");
		mailbox_read(&a.boxes, 0, heard);
		ok(!memcmp(heard, answer, sizeof answer), "as was said");
		is_int(mailbox_phase(&a.boxes, 0, number), MAILBOX_EMPTY,
		       "and the box is empty");
	}
	office_release(&a);
	office_release(&b);
}

static void what_is_taken_cannot_be_withdrawn(void)
{
	struct office a;
	uint64_t number;
	uint64_t taken;

	office_make(&a);
	take(&a);
	number = mailbox_post(&a.boxes, 0, sent, 64);
	ok(mailbox_withdraw(&a.boxes, 0, number), "what waits can be");
	ok(!mailbox_withdraw(&a.boxes, 0, number), "once");
	ok(!mailbox_collect(&a.boxes, 0, got, &taken) && !taken,
	   "and is not taken then");
	number = mailbox_post(&a.boxes, 0, sent, 64);
	mailbox_collect(&a.boxes, 0, got, &taken);
	ok(!mailbox_withdraw(&a.boxes, 0, number), "what is taken cannot be");
	mailbox_answer(&a.boxes, 0, number, MAILBOX_RETRY, NULL);
	is_int(mailbox_phase(&a.boxes, 0, number), MAILBOX_RETRY,
	       "it can be given back");
	ok(!mailbox_withdraw(&a.boxes, 0, number), "what is answered cannot");
	mailbox_clear(&a.boxes, 0);
	is_int(mailbox_phase(&a.boxes, 0, number), MAILBOX_EMPTY, "cleared");
	office_release(&a);
}

static void a_box_rests_until_its_request_is_answered(void)
{
	struct office a;
	uint64_t number;
	uint64_t taken;

	office_make(&a);
	take(&a);
	number = mailbox_post(&a.boxes, 0, sent, 64);
	mailbox_collect(&a.boxes, 0, got, &taken);
	mailbox_give(&a.boxes, 0); /* its poster waits no longer */
	is_int(take(&a), 1, "box 0 rests");
	mailbox_give(&a.boxes, 1);
	mailbox_answer(&a.boxes, 0, number, MAILBOX_DONE, answer);
	is_int(take(&a), 0, "answered, it is used again");
	ok(mailbox_post(&a.boxes, 0, sent, 64) == number + 1,
	   "the number goes on");
	office_release(&a);
}

/* ---- rubbish ------------------------------------------------------------ */

static void a_torn_request_is_taken_and_says_so(void)
{
	struct office a;
	struct mailbox *box;
	uint64_t number;
	uint64_t taken;
	uint32_t bad = 0;

	office_make(&a);
	take(&a);
	box = &a.boxes.boxes[0];
	request_fill(sent, 256, 3);
	for (uint32_t bit = 0; bit < 256 * 8; bit++) {
		number = mailbox_post(&a.boxes, 0, sent, 256);
		a.boxes.bodies[bit / 64] ^= UINT64_C(1) << bit % 64;
		bad += mailbox_collect(&a.boxes, 0, got, &taken) != 0 ||
		       taken != number;
		mailbox_answer(&a.boxes, 0, taken, MAILBOX_RETRY, NULL);
		mailbox_clear(&a.boxes, 0);
	}
	ok(!bad, "a bit that changed on the way shows, whichever it is");
	number = mailbox_post(&a.boxes, 0, sent, 256);
	box->hash ^= 1;
	ok(!mailbox_collect(&a.boxes, 0, got, &taken) && taken == number,
	   "so does a wrong hash");
	office_release(&a);
}

static void sizes_out_of_range_are_not_followed(void)
{
	static const uint32_t sizes[] = {
	    1,	   7,	      12,	  MAILBOX_BYTES + 8, MAILBOX_BYTES * 2,
	    65537, INT32_MAX, UINT32_MAX, UINT32_MAX - 7};
	struct office a;
	uint64_t number;
	uint64_t taken;

	office_make(&a);
	take(&a);
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		number = mailbox_post(&a.boxes, 0, sent, 64);
		a.boxes.boxes[0].bytes = sizes[i];
		ok(!mailbox_collect(&a.boxes, 0, got, &taken) &&
		       taken == number,
		   "%u bytes: taken as torn", sizes[i]);
		mailbox_answer(&a.boxes, 0, number, MAILBOX_RETRY, NULL);
		mailbox_clear(&a.boxes, 0);
	}
	office_release(&a);
}

/* One word of rubbish: 1 if all that look at it come back with sense. */
static int word_is_borne(struct office *a, uint64_t word)
{
	unsigned phase = word & 7;
	uint64_t taken = 1;
	uint64_t number = word >> 3;

	atomic_store(word_of(a, 0), word);
	if (mailbox_look(&a->boxes, 0, MAILBOX_POSTED) !=
	    (phase == MAILBOX_POSTED ? number : 0))
		return 0;
	mailbox_wake_heir(&a->boxes);
	(void)mailbox_phase(&a->boxes, 0, number);
	mailbox_collect(&a->boxes, 0, got, &taken);
	if (taken != (phase == MAILBOX_POSTED ? number : 0))
		return 0;
	mailbox_answer(&a->boxes, 0, number + 1, MAILBOX_DONE, answer);
	return mailbox_look(&a->boxes, 0, MAILBOX_DONE) ==
	       (phase == MAILBOX_DONE ? number : 0);
}

static void words_of_rubbish_do_no_harm(uint64_t seed)
{
	struct office a;
	uint32_t bad = 0;

	office_make(&a);
	take(&a);
	mailbox_post(&a.boxes, 0, sent, 64);
	for (uint64_t phase = 0; phase < 8; phase++) {
		bad += !word_is_borne(&a, phase);
		bad += !word_is_borne(&a, 8 | phase);
		bad += !word_is_borne(&a, ~UINT64_C(7) | phase);
	}
	for (int i = 0; i < 1000; i++)
		bad += !word_is_borne(&a, test_random(&seed));
	ok(!bad, "whatever a word says, it is borne");
	a.boxes.office->limit = UINT32_MAX;
	is_int(mailbox_limit(&a.boxes), MAILBOX_COUNT,
	       "a limit out of range is cut");
	a.boxes.office->start = UINT32_MAX;
	mailbox_wake_heir(&a.boxes);
	a.boxes.office->limit = 0;
	mailbox_wake_heir(&a.boxes);
	ok(1, "whoever begins anywhere comes to an end");
	office_release(&a);
}

static void a_word_written_over_is_not_its_posters(void)
{
	struct office a;
	uint64_t number;

	office_make(&a);
	take(&a);
	number = mailbox_post(&a.boxes, 0, sent, 64);
	atomic_store(word_of(&a, 0), (number + 9) << 3 | MAILBOX_DONE);
	is_int(mailbox_phase(&a.boxes, 0, number), MAILBOX_EMPTY,
	       "an answer under another number is none");
	ok(!mailbox_withdraw(&a.boxes, 0, number), "nor is it withdrawn");
	office_release(&a);
}

/* ---- the dead ----------------------------------------------------------- */

/* A child that posts in box 0 and dies; its word is left in `phase`. */
static uint64_t dead_owner(struct office *a, enum mailbox_phase phase)
{
	uint64_t number;
	pid_t pid = child_fork();

	if (!pid) {
		static struct office own;
		uint32_t box;

		office_join(a, &own);
		box = take(&own);
		mailbox_post(&own.boxes, box, sent, 64);
		if (phase == MAILBOX_EMPTY)
			mailbox_withdraw(
			    &own.boxes, box,
			    mailbox_look(&own.boxes, box, MAILBOX_POSTED));
		_exit((int)box);
	}
	is_int(child_wait(pid), 0, "a poster has box 0 and dies");
	if (phase == MAILBOX_EMPTY || phase == MAILBOX_POSTED)
		return mailbox_look(&a->boxes, 0, phase);
	mailbox_collect(&a->boxes, 0, got, &number);
	if (phase != MAILBOX_TAKEN)
		mailbox_answer(&a->boxes, 0, number, phase, answer);
	return number;
}

static void the_boxes_of_the_dead_are_used_again(void)
{
	static const char *const names[] = {"empty", "posted", "taken", "done",
					    "to be retried"};

	for (int phase = MAILBOX_EMPTY; phase <= MAILBOX_RETRY; phase++) {
		struct office a;
		uint64_t number;

		office_make(&a);
		number = dead_owner(&a, (enum mailbox_phase)phase);
		if (phase == MAILBOX_TAKEN) {
			is_int(take(&a), 1, "taken: the box rests");
			mailbox_answer(&a.boxes, 0, number, MAILBOX_DONE,
				       answer);
		}
		is_int(take(&a), 0, "%s: the next owner has it", names[phase]);
		ok(mailbox_post(&a.boxes, 0, sent, 64) > number,
		   "and the number is a new one");
		office_release(&a);
	}
}

/* ---- sleeping ----------------------------------------------------------- */

static void a_call_before_the_sleep_is_not_lost(void *unused)
{
	struct office a;
	uint32_t calls;
	uint64_t number;

	(void)unused;
	office_make(&a);
	take(&a);
	number = mailbox_post(&a.boxes, 0, sent, 64);
	calls = mailbox_calls(&a.boxes, 0);
	mailbox_wake_heir(&a.boxes); /* between the look and the sleep */
	mailbox_wait(&a.boxes, 0, calls, LONG_NS);
	calls = mailbox_calls(&a.boxes, 0);
	mailbox_collect(&a.boxes, 0, got, &number);
	mailbox_answer(&a.boxes, 0, number, MAILBOX_DONE, answer);
	mailbox_wait(&a.boxes, 0, calls, LONG_NS);
}

/* Posts, and sleeps until it is answered. */
static void a_sleeper_is_woken_by_its_answer(void *user)
{
	struct office *a = user;
	uint64_t number;
	uint64_t taken = 0;
	pid_t pid = child_fork();

	if (!pid) {
		static struct office own;
		uint32_t calls;

		office_join(a, &own);
		take(&own);
		number = mailbox_post(&own.boxes, 0, sent, 64);
		while (calls = mailbox_calls(&own.boxes, 0),
		       mailbox_phase(&own.boxes, 0, number) != MAILBOX_DONE)
			mailbox_wait(&own.boxes, 0, calls, LONG_NS);
		_exit(0);
	}
	while (!taken) {
		sched_yield();
		mailbox_collect(&a->boxes, 0, got, &taken);
	}
	usleep(1000); /* so that it sleeps, most times */
	mailbox_answer(&a->boxes, 0, taken, MAILBOX_DONE, answer);
	if (child_wait(pid))
		_exit(1);
}

static void the_heir_is_who_posted(void)
{
	struct office a;
	uint32_t calls[3];

	office_make(&a);
	for (int i = 0; i < 3; i++)
		take(&a);
	mailbox_post(&a.boxes, 0, sent, 64);
	mailbox_post(&a.boxes, 2, sent, 64);
	for (uint32_t i = 0; i < 3; i++)
		calls[i] = mailbox_calls(&a.boxes, i);
	mailbox_start_next(&a.boxes, 1);
	mailbox_wake_heir(&a.boxes);
	ok(mailbox_calls(&a.boxes, 2) != calls[2],
	   "the first one that waits, from where collecting ended, is called");
	ok(mailbox_calls(&a.boxes, 0) == calls[0] &&
	       mailbox_calls(&a.boxes, 1) == calls[1],
	   "and no other");
	office_release(&a);
}

static void figures_are_kept(void)
{
	struct office a;

	office_make(&a);
	mailbox_count(&a.boxes, 3);
	mailbox_count(&a.boxes, 9);
	mailbox_count(&a.boxes, 1);
	mailbox_count_orphan(&a.boxes);
	is_u64(a.boxes.office->groups, 3, "groups");
	is_u64(a.boxes.office->requests, 13, "requests");
	is_u64(a.boxes.office->largest, 9, "the largest group");
	is_u64(a.boxes.office->orphans, 1, "orphans");
	office_release(&a);
}

int main(void)
{
	struct office a;

	test_begin(120);
	request_fill(sent, sizeof sent, 42);
	what_is_too_short_is_no_post_office();
	a_box_has_one_owner_and_one_user();
	a_forked_child_owns_none();
	all_boxes_can_be_taken();
	without_room_for_a_request_there_is_no_box();
	a_request_is_taken_and_answered();
	what_is_taken_cannot_be_withdrawn();
	a_box_rests_until_its_request_is_answered();
	a_torn_request_is_taken_and_says_so();
	sizes_out_of_range_are_not_followed();
	words_of_rubbish_do_no_harm(test_seed());
	a_word_written_over_is_not_its_posters();
	the_boxes_of_the_dead_are_used_again();
	is_int(child_survives(20, a_call_before_the_sleep_is_not_lost, NULL), 0,
	       "a call between the look and the sleep is not lost");
	office_make(&a);
	is_int(child_survives(20, a_sleeper_is_woken_by_its_answer, &a), 0,
	       "a sleeper is woken by its answer");
	office_release(&a);
	the_heir_is_who_posted();
	figures_are_kept();
	return done_testing();
}
