/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mailbox_stress: many post, one at a time leads, and each request is executed
 * once or not at all, as its poster was told.
 *
 * idea
 *	Every seat posts its requests one after the other, and leads whenever
 *	it can have the lock, as writers do.  A request says whose it is, which
 *	of his, and how long, and is filled with what follows from that; its
 *	answer likewise.  The leader checks what it took and counts it.  A
 *	poster may withdraw, while others collect, and a leader may give a
 *	request back; both must agree with the count.
 *
 *	The lock is one word, not the file's: what is under stress is the
 *	mailboxes' ordering.
 */
#include "mailbox.h"
#include "shm_fixture.h"

#include <sched.h>

enum {
	SEATS = 4,
	REQUESTS = 40000 / TEST_SLOW,
	WORDS_MAX = MAILBOX_BYTES / 8,
	WAIT_NS = 2000000
};

struct office {
	struct mailboxes boxes; /* of this process, or of all threads */
	int fd;
	_Atomic uint32_t lock;
	_Atomic uint64_t wrong;
	_Atomic uint64_t withdrawn;
	_Atomic uint64_t given_back;
	_Atomic uint64_t posted;
	_Atomic uint8_t executed[SEATS][REQUESTS];
};

/* What a request begins with; the rest follows from it. */
struct order {
	uint64_t seat;
	uint64_t index;
	uint64_t words;
};

struct poster {
	struct office *office;
	struct mailboxes *boxes;
	uint64_t seat;
	uint64_t random;
	_Alignas(8) unsigned char out[MAILBOX_BYTES];
	_Alignas(8) unsigned char in[MAILBOX_BYTES];
};

static uint64_t pattern(const struct order *order, uint64_t word)
{
	uint64_t state = order->seat << 32 ^ order->index << 8 ^ word;

	return test_random(&state);
}

static uint32_t order_write(unsigned char *to, const struct order *order)
{
	memcpy(to, order, sizeof *order);
	for (uint64_t i = sizeof *order / 8; i < order->words; i++) {
		uint64_t word = pattern(order, i);

		memcpy(to + i * 8, &word, 8);
	}
	return (uint32_t)order->words * 8;
}

/* 1 if it is what its head says. */
static int order_read(const unsigned char *from, uint32_t bytes,
		      struct order *order)
{
	if (bytes < sizeof *order)
		return 0;
	memcpy(order, from, sizeof *order);
	if (order->words * 8 != bytes || order->seat >= SEATS ||
	    order->index >= REQUESTS)
		return 0;
	for (uint64_t i = sizeof *order / 8; i < order->words; i++) {
		uint64_t word;

		memcpy(&word, from + i * 8, 8);
		if (word != pattern(order, i))
			return 0;
	}
	return 1;
}

static void wrong(struct poster *poster)
{
	atomic_fetch_add(&poster->office->wrong, 1);
}

/* ---- leading ------------------------------------------------------------ */

static int lock_try(struct office *office)
{
	uint32_t none = 0;

	return atomic_compare_exchange_strong(&office->lock, &none, 1);
}

static void answer_write(unsigned char *answer, const struct order *order)
{
	for (uint64_t i = 0; i < MAILBOX_ANSWER_BYTES / 8; i++) {
		uint64_t word = ~pattern(order, i);

		memcpy(answer + i * 8, &word, 8);
	}
}

static void box_serve(struct poster *leader, uint32_t box)
{
	unsigned char answer[MAILBOX_ANSWER_BYTES];
	struct order order;
	uint64_t number;
	uint32_t bytes =
	    mailbox_collect(leader->boxes, box, leader->in, &number);

	if (!number)
		return;
	if (!order_read(leader->in, bytes, &order)) {
		wrong(leader);
		mailbox_answer(leader->boxes, box, number, MAILBOX_RETRY, NULL);
		return;
	}
	if (!test_below(&leader->random, 16)) {
		mailbox_answer(leader->boxes, box, number, MAILBOX_RETRY, NULL);
		return;
	}
	atomic_fetch_add(&leader->office->executed[order.seat][order.index], 1);
	answer_write(answer, &order);
	mailbox_answer(leader->boxes, box, number, MAILBOX_DONE, answer);
}

static void lead(struct poster *leader)
{
	uint32_t limit = mailbox_limit(leader->boxes);
	uint32_t start = mailbox_start(leader->boxes);

	for (uint32_t i = 0; i < limit; i++)
		box_serve(leader, (start + i) % limit);
	mailbox_start_next(leader->boxes, start + 1);
	atomic_store(&leader->office->lock, 0);
	mailbox_wake_heir(leader->boxes);
}

/* ---- posting ------------------------------------------------------------ */

static void answer_check(struct poster *poster, uint32_t box,
			 const struct order *order)
{
	unsigned char want[MAILBOX_ANSWER_BYTES];
	unsigned char heard[MAILBOX_ANSWER_BYTES];

	mailbox_read(poster->boxes, box, heard);
	answer_write(want, order);
	if (memcmp(want, heard, sizeof want) != 0 ||
	    poster->office->executed[order->seat][order->index] != 1)
		wrong(poster);
}

/* Waits for the end of one posting; 1: done, 0: post it again. */
static int posting_end(struct poster *poster, uint32_t box, uint64_t number,
		       const struct order *order)
{
	struct office *office = poster->office;

	for (;;) {
		uint32_t calls = mailbox_calls(poster->boxes, box);
		enum mailbox_phase phase =
		    mailbox_phase(poster->boxes, box, number);

		if (phase == MAILBOX_DONE) {
			answer_check(poster, box, order);
			return 1;
		}
		if (phase == MAILBOX_RETRY) {
			atomic_fetch_add(&office->given_back, 1);
			mailbox_clear(poster->boxes, box);
			return 0;
		}
		if (phase == MAILBOX_EMPTY) {
			wrong(poster);
			return 1;
		}
		if (!test_below(&poster->random, 4) &&
		    mailbox_withdraw(poster->boxes, box, number)) {
			atomic_fetch_add(&office->withdrawn, 1);
			if (office->executed[order->seat][order->index])
				wrong(poster);
			return 0;
		}
		if (lock_try(office))
			lead(poster);
		else
			mailbox_wait(poster->boxes, box, calls, WAIT_NS);
	}
}

static void order_post(struct poster *poster, uint64_t index)
{
	struct order order = {poster->seat, index, 3};
	uint32_t bytes;
	uint32_t box;

	order.words += test_below(&poster->random, 100)
			   ? test_below(&poster->random, 40)
			   : test_below(&poster->random, WORDS_MAX - 2);
	bytes = order_write(poster->out, &order);
	must_be(mailbox_take(poster->boxes, &box), "take");
	do
		atomic_fetch_add(&poster->office->posted, 1);
	while (!posting_end(
	    poster, box, mailbox_post(poster->boxes, box, poster->out, bytes),
	    &order));
	mailbox_give(poster->boxes, box);
}

static void poster_run(struct office *office, struct mailboxes *boxes,
		       uint64_t seat)
{
	struct poster *poster = calloc(1, sizeof *poster);

	if (!poster)
		bail_out("no memory");
	poster->office = office;
	poster->boxes = boxes;
	poster->seat = seat;
	poster->random = seat;
	for (uint64_t i = 0; i < REQUESTS; i++)
		order_post(poster, i);
	free(poster);
}

static void one_mapping(struct seat *seat)
{
	struct office *office = seat->shared;

	poster_run(office, &office->boxes, seat->index);
}

static void own_mapping(struct seat *seat)
{
	struct office *office = seat->shared;
	struct mailboxes *boxes = calloc(1, sizeof *boxes);
	int fd = shm_reopen(office->fd, O_RDWR);

	if (!boxes)
		bail_out("no memory");
	must_be(mailboxes_attach(boxes, fd, 0), "attach");
	poster_run(office, boxes, seat->index);
	mailboxes_detach(boxes);
	close(fd);
	free(boxes);
}

static uint64_t executed_once(const struct office *office)
{
	uint64_t count = 0;

	for (int seat = 0; seat < SEATS; seat++)
		for (int i = 0; i < REQUESTS; i++)
			count += office->executed[seat][i] == 1;
	return count;
}

static void every_request_is_executed_once(enum stress_way way)
{
	struct office *office = shm_anonymous(sizeof *office);
	struct shm_fixture none;

	shm_fixture_init(&none, SHM_RESERVE, 8, METRIC_L2, 0);
	office->fd = shm_file();
	must_be(mailboxes_create(office->fd, 0), "create");
	must_be(mailboxes_attach(&office->boxes, office->fd, 0), "attach");
	is_u64(stress_run(&none, way,
			  way == STRESS_THREADS ? one_mapping : own_mapping,
			  office, SEATS),
	       0, "%s: nobody died", stress_name(way));
	is_u64(executed_once(office), (uint64_t)SEATS * REQUESTS,
	       "every request was executed, and once");
	is_u64(office->wrong, 0,
	       "%" PRIu64 " postings, %" PRIu64 " withdrawn, %" PRIu64
	       " given back: all whole, all as their poster was told",
	       office->posted, office->withdrawn, office->given_back);
	mailboxes_detach(&office->boxes);
	close(office->fd);
	munmap(office, sizeof *office);
	shm_fixture_release(&none);
}

int main(void)
{
	test_begin(240);
	for (int way = STRESS_THREADS; way <= STRESS_TWO_MAPPINGS; way++)
		every_request_is_executed_once((enum stress_way)way);
	return done_testing();
}
