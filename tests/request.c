/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What another process packed is input: rubbish is refused, and what is not
 * refused can be applied.
 *
 * idea
 *	A request with an operation of every kind is packed, damaged, and
 *	unpacked from a block of memory of exactly its size, so that a look
 *	past its end shows under AddressSanitizer.  Whatever is accepted is
 *	committed.
 *	Then rubbish with the right hash is posted in a live store's mailboxes
 *	among good requests.
 */
#include "commit.h"
#include "full.h"
#include "lock.h"
#include "mailbox.h"

#include <math.h>

enum { DIM = FULL_DIM, RANDOM = 20000 };

/* On a tmpfs: thousands of commits, and no power cut to survive. */
static void store_make(struct fixture *f)
{
	struct cop_options options = {
	    .size = sizeof options, .dim = DIM, .metric = COP_COSINE};

	strcpy(f->folder, "/dev/shm/cop-request-XXXXXX");
	if (!mkdtemp(f->folder))
		bail_out("mkdtemp: %s", strerror(errno));
	snprintf(f->path, sizeof f->path, "%s/store", f->folder);
	must(cop_create(f->path, &options), "create");
	fixture_open(f);
}

/* ---- a request with everything ------------------------------------------ */

/* What an optimistic transaction expects, in front of the rest. */
static void full_expect(cop_txn *txn)
{
	struct cop_entity entity;
	const float *vector;
	struct cop_edge edge;

	must(cop_txn_get(txn, "frank", 5, &entity), "get");
	must(cop_txn_vector(txn, "frank", 5, &vector), "vector");
	must(cop_txn_edge(txn, "frank", 5, "knows", 5, "grace", 5, &edge),
	     "edge");
}

static void packed_of(const cop_write *write, struct buffer *packed)
{
	struct request request = request_of(write);

	if (request_pack(&request, packed))
		bail_out("no memory");
	if (packed->size != request_bytes(&request))
		bail_out("request_bytes says %zu, it is %zu",
			 request_bytes(&request), packed->size);
}

/* The same each time. */
static void packed_full(struct fixture *f, struct buffer *packed)
{
	cop_txn *txn;

	must(cop_txn_begin(f->store, &txn), "begin");
	full_expect(txn);
	full_fill(cop_txn_write(txn));
	packed_of(cop_txn_write(txn), packed);
	cop_txn_end(txn);
}

static void packed_put(struct fixture *f, const char *key,
		       struct buffer *packed)
{
	cop_write *write = write_of(f);

	put_simple(write, key, "good", NULL, 0);
	packed_of(write, packed);
	cop_abort(write);
}

/* ---- unpacking and applying --------------------------------------------- */

struct tally {
	uint64_t tried;
	uint64_t accepted;
	uint64_t done;
	uint64_t wrong; /* refused by another error than COP_CORRUPT */
};

static void commit_locked(struct fixture *f, struct request *request)
{
	request->durability = COP_LAZY;
	must(writer_lock(f->store, LOCK_FOREVER), "lock");
	must(writer_ready(f->store), "ready");
	commit_run(f->store, &request, 1);
	writer_unlock(f->store);
}

/* Unpacks bytes from a block of their size, and commits what is accepted. */
static void try_bytes(struct fixture *f, const void *bytes, size_t size,
		      struct tally *tally)
{
	void *block = malloc(size ? size : 1);
	struct request request = {0};
	cop_err err;

	if (!block)
		bail_out("no memory");
	memcpy(block, bytes, size);
	tally->tried++;
	err = request_unpack(f->store, block, size, &request);
	tally->wrong += err && err != COP_CORRUPT;
	if (!err) {
		tally->accepted++;
		commit_locked(f, &request);
		tally->done += !request.err;
	}
	free(block);
}

static void say(const struct tally *tally, struct fixture *f, const char *what)
{
	ok(!tally->wrong,
	   "%s: %" PRIu64 " tried, %" PRIu64 " accepted, %" PRIu64 " done",
	   what, tally->tried, tally->accepted, tally->done);
	is_u64(findings_of(f->store), 0, "and the store is whole");
}

static void a_packed_request_is_a_request(struct fixture *f)
{
	struct buffer packed = {0};
	struct tally tally = {0};

	packed_full(f, &packed);
	try_bytes(f, packed.data, packed.size, &tally);
	ok(tally.done == 1, "with an operation of every kind, %zu bytes",
	   packed.size);
	buffer_release(&packed);
}

static void a_flipped_bit_does_no_harm(struct fixture *f)
{
	struct buffer packed = {0};
	struct tally tally = {0};

	packed_full(f, &packed);
	for (size_t at = 0; at < packed.size; at++) {
		unsigned char was = packed.data[at];

		for (int bit = 0; bit < 8; bit++) {
			packed.data[at] = (unsigned char)(was ^ 1 << bit);
			try_bytes(f, packed.data, packed.size, &tally);
		}
		packed.data[at] = was;
	}
	say(&tally, f, "each bit flipped");
	buffer_release(&packed);
}

static void a_word_of_rubbish_does_no_harm(struct fixture *f, uint64_t *seed)
{
	static const uint32_t words[] = {
	    0, 1, 2, 7, 8, 0x7fffffff, 1u << 31, UINT32_MAX, UINT32_MAX - 7};
	struct buffer packed = {0};
	struct tally tally = {0};

	packed_full(f, &packed);
	for (size_t at = 0; at + 4 <= packed.size; at += 4) {
		uint32_t was;

		memcpy(&was, packed.data + at, 4);
		for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
			memcpy(packed.data + at, &words[i], 4);
			try_bytes(f, packed.data, packed.size, &tally);
		}
		memcpy(packed.data + at, &was, 4);
	}
	for (int i = 0; i < RANDOM; i++) { /* several at once */
		struct buffer other = {0};

		if (buffer_put(&other, packed.data, packed.size))
			bail_out("no memory");
		for (uint64_t n = 1 + test_below(seed, 4); n; n--)
			other.data[test_below(seed, other.size)] =
			    (unsigned char)test_random(seed);
		try_bytes(f, other.data, other.size, &tally);
		buffer_release(&other);
	}
	say(&tally, f, "words replaced");
	buffer_release(&packed);
}

static void a_part_of_a_request_is_none(struct fixture *f)
{
	struct buffer packed = {0};
	struct tally tally = {0};

	packed_full(f, &packed);
	for (size_t size = 0; size < packed.size; size += 8)
		try_bytes(f, packed.data, size, &tally);
	is_u64(tally.accepted, 0, "%" PRIu64 " lengths, all refused",
	       tally.tried);
	say(&tally, f, "cut off");
	buffer_release(&packed);
}

static void random_bytes_are_no_request(struct fixture *f, uint64_t *seed)
{
	struct tally tally = {0};

	for (int i = 0; i < RANDOM; i++) {
		uint64_t block[64];
		size_t words = test_below(seed, 65);

		for (size_t w = 0; w < words; w++)
			block[w] = test_random(seed) >> test_below(seed, 64);
		if (words > 4) { /* a head that is nearly right */
			struct request_head head = {
			    .ops_bytes = (uint32_t)(words * 8 - sizeof head),
			    .op_count = (uint32_t)test_below(seed, 4)};
			struct op op = {
			    .bytes = head.ops_bytes,
			    .kind = (uint16_t)test_below(seed, 8),
			    .option = (uint16_t)test_below(seed, 9),
			    .key_size = (uint32_t)test_below(seed, 40),
			    .target_size = (uint32_t)test_below(seed, 40),
			    .record_bytes = (uint32_t)test_below(seed, 20) * 8};

			memcpy(block, &head, sizeof head);
			if (words * 8 >= sizeof head + sizeof op)
				memcpy((char *)block + sizeof head, &op,
				       sizeof op);
		}
		try_bytes(f, block, words * 8, &tally);
	}
	say(&tally, f, "random bytes");
}

/* ---- what has a name of its own ----------------------------------------- */

static struct op *first_op(struct buffer *packed)
{
	return (struct op *)(void *)(packed->data +
				     sizeof(struct request_head));
}

static void one_change_is_refused(struct fixture *f, struct buffer *packed,
				  const char *what)
{
	struct request request;

	is_int(request_unpack(f->store, packed->data, packed->size, &request),
	       COP_CORRUPT, "%s", what);
	ok(strstr(cop_last_error(), "out of range"), "in words: %s",
	   cop_last_error());
	buffer_release(packed);
}

static void a_name_of_another_kind_is_refused(struct fixture *f)
{
	struct buffer packed = {0};
	struct name_entry *name;
	struct request_head *head;

	packed_put(f, "x", &packed);
	head = (struct request_head *)(void *)packed.data;
	name = (struct name_entry *)(void *)(packed.data + sizeof *head +
					     head->ops_bytes);
	name->space = NAME_RELATION;
	name->hash = name_hash(NAME_RELATION, "good", 4);
	one_change_is_refused(f, &packed, "a type that is a relation");
}

static void an_edge_whose_record_is_odd_is_refused(struct fixture *f)
{
	struct buffer packed = {0};
	cop_write *write = write_of(f);

	must(link_simple(write, "alice", "knows", "bob"), "link");
	packed_of(write, &packed);
	cop_abort(write);
	first_op(&packed)->record_bytes -= 4;
	one_change_is_refused(f, &packed,
			      "a record that is no multiple of 8 bytes");
}

static void an_expectation_out_of_range_is_refused(struct fixture *f)
{
	struct buffer packed = {0};
	cop_write *write = write_of(f);

	must(cop_expect(write, "alice", 5, 0), "expect");
	packed_of(write, &packed);
	first_op(&packed)->option = 99;
	one_change_is_refused(f, &packed, "an expectation of unknown kind");
	packed = (struct buffer){0};
	packed_of(write, &packed);
	first_op(&packed)->key_size = 0;
	one_change_is_refused(f, &packed, "an expectation of no key");
	packed = (struct buffer){0};
	packed_of(write, &packed);
	first_op(&packed)->option = EXPECT_EDGE;
	one_change_is_refused(f, &packed, "an expected edge without a target");
	cop_abort(write);
}

/* Zero has no cosine; cop_put refuses it. */
static void a_vector_that_cannot_be_put_is_refused(struct fixture *f)
{
	static const float vector[DIM] = {1, 0, 0, 0};
	static const float bad[] = {0, NAN, INFINITY};
	cop_write *write = write_of(f);

	put_simple(write, "v", NULL, vector, DIM);
	for (int i = 0; i < 3; i++) {
		struct buffer packed = {0};

		packed_of(write, &packed);
		memcpy((void *)(uintptr_t)op_vector(first_op(&packed)), &bad[i],
		       sizeof *bad);
		one_change_is_refused(f, &packed, "a vector of zero, NAN, inf");
	}
	cop_abort(write);
}

/* Who takes the times out of it copies up to where the content ends. */
static void content_among_properties_is_refused(struct fixture *f)
{
	struct buffer packed = {0};
	cop_write *write = write_of(f);
	struct disk_entity *record;

	full_put(write);
	packed_of(write, &packed);
	cop_abort(write);
	record = (void *)(uintptr_t)op_body(first_op(&packed));
	record->content_at = record->directory_at + 8;
	record->content_stored = record->content_size = 4;
	one_change_is_refused(f, &packed, "content that is in the directory");
}

/* ---- in a live store ---------------------------------------------------- */

/* What a poster is told begins with its error; see group.c. */
static int32_t told(struct fixture *f, uint32_t box, uint64_t number)
{
	unsigned char answer[MAILBOX_ANSWER_BYTES];
	int32_t err;

	if (mailbox_phase(&f->store->mailboxes, box, number) != MAILBOX_DONE)
		return INT32_MIN;
	mailbox_read(&f->store->mailboxes, box, answer);
	memcpy(&err, answer, sizeof err);
	return err;
}

enum { BOXES = 24 };

static int is_rubbish(int i)
{
	return i % 3 == 1;
}

static void one_post(struct fixture *f, int i, uint64_t *seed, uint32_t *box,
		     uint64_t *number)
{
	struct buffer packed = {0};
	char key[32];

	snprintf(key, sizeof key, "live-%" PRIu64 "-%d", *seed, i);
	packed_put(f, key, &packed);
	if (is_rubbish(i))
		for (size_t at = 0; at < packed.size; at++)
			packed.data[at] = (unsigned char)test_random(seed);
	must(mailbox_take(&f->store->mailboxes, box), "take");
	*number = mailbox_post(&f->store->mailboxes, *box, packed.data,
			       (uint32_t)packed.size);
	buffer_release(&packed);
}

/* A process that goes mad posts; the leader and its neighbours are unharmed. */
static void rubbish_in_a_mailbox_harms_nobody_else(struct fixture *f,
						   uint64_t *seed)
{
	uint64_t numbers[BOXES];
	uint32_t boxes[BOXES];
	uint32_t good = 0;
	uint32_t bad = 0;
	uint64_t groups = f->store->mailboxes.office->groups;

	for (int i = 0; i < BOXES; i++)
		one_post(f, i, seed, &boxes[i], &numbers[i]);
	must(cop_poke(f->store), "poke");
	for (int i = 0; i < BOXES; i++) {
		int32_t err = told(f, boxes[i], numbers[i]);

		good += !is_rubbish(i) && !err;
		bad += is_rubbish(i) && err == COP_CORRUPT;
		mailbox_give(&f->store->mailboxes, boxes[i]);
	}
	is_int(bad, BOXES / 3, "rubbish is COP_CORRUPT for its poster");
	is_int(good, BOXES - BOXES / 3, "and its neighbours are committed");
	is_u64(f->store->mailboxes.office->groups - groups, 1, "together");
	is_u64(findings_of(f->store), 0, "the store is whole");
}

static void what_is_torn_is_corrupt_for_its_poster(struct fixture *f)
{
	struct mailboxes *mailboxes = &f->store->mailboxes;
	struct buffer packed = {0};
	uint64_t number;
	uint32_t box;

	packed_put(f, "torn", &packed);
	must(mailbox_take(mailboxes, &box), "take");
	number =
	    mailbox_post(mailboxes, box, packed.data, (uint32_t)packed.size);
	mailboxes->boxes[box].hash ^= 1;
	must(cop_poke(f->store), "poke");
	is_int(told(f, box, number), COP_CORRUPT,
	       "a request that came torn is told so");
	mailbox_give(mailboxes, box);
	buffer_release(&packed);
}

/* What every kind of operation puts is there for the rest of its request. */
static void fill_alone(cop_write *write, int of_many)
{
	struct cop_validity term = {{2001, 0, 0}, {2005, 0, 0}};
	const float vector[DIM] = {1, 2, 3, 4};
	char key[16];

	snprintf(key, sizeof key, "alone-%d", of_many);
	must(write_content(write, key, strlen(key), "text", 4), "content");
	must(cop_tag_valid(write, key, strlen(key), "wise", 4, &term), "tag");
	must(cop_put_vector(write, key, strlen(key), vector, DIM), "vector");
	must(link_simple(write, key, "knows", key), "edge");
}

static void a_group_finds_what_its_requests_put(struct fixture *f)
{
	enum { MANY = 3 };
	cop_write *writes[MANY];
	struct request requests[MANY];
	struct request *group[MANY];

	for (int i = 0; i < MANY; i++) {
		writes[i] = write_of(f);
		fill_alone(writes[i], i);
		requests[i] = request_of(writes[i]);
		group[i] = &requests[i];
	}
	must(writer_lock(f->store, LOCK_FOREVER), "lock");
	must(writer_ready(f->store), "ready");
	commit_run(f->store, group, MANY);
	writer_unlock(f->store);
	for (int i = 0; i < MANY; i++) {
		ok(!requests[i].err, "request %d of a group", i);
		if (requests[i].err)
			diag("%s", requests[i].words);
		cop_abort(writes[i]);
	}
}

int main(void)
{
	struct fixture f;
	uint64_t seed;

	test_begin(240);
	seed = test_seed();
	store_make(&f);
	a_packed_request_is_a_request(&f);
	a_name_of_another_kind_is_refused(&f);
	an_edge_whose_record_is_odd_is_refused(&f);
	an_expectation_out_of_range_is_refused(&f);
	a_vector_that_cannot_be_put_is_refused(&f);
	content_among_properties_is_refused(&f);
	a_part_of_a_request_is_none(&f);
	a_flipped_bit_does_no_harm(&f);
	a_word_of_rubbish_does_no_harm(&f, &seed);
	random_bytes_are_no_request(&f, &seed);
	rubbish_in_a_mailbox_harms_nobody_else(&f, &seed);
	what_is_torn_is_corrupt_for_its_poster(&f);
	a_group_finds_what_its_requests_put(&f);
	fixture_release(&f);
	return done_testing();
}
