/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bank: rows are written, read, freed and taken again, and every death in
 * between leaves each row in exactly one place.
 */
#include "shm_fixture.h"
#include "point.h"

enum { DIM = 70, DIM_MAX = 4096 };

static void vector_of(float *vector, uint32_t dim, uint64_t number)
{
	uint64_t state = number;

	for (uint32_t i = 0; i < dim; i++)
		vector[i] = (float)test_gaussian(&state);
}

static int write_number(struct segment *segment, uint32_t row, uint32_t number,
			uint64_t born)
{
	struct bank_entry entry = {.entity = number,
				   .type = number * 7,
				   .signature = number * UINT64_C(0x123456789),
				   .born = born};
	float vector[DIM_MAX];

	vector_of(vector, segment->bank.dim, number);
	return bank_write(segment, row, &entry, vector);
}

/* Whether a row is, at the snapshot, what write_number made it. */
static int row_is(const struct segment *segment, uint32_t row, uint32_t number,
		  uint64_t snapshot)
{
	static _Thread_local struct query_code query;
	int32_t metric = segment->bank.metric;
	uint32_t dim = segment->bank.dim;
	double rounding = segment->bank.codes == CODES_BF16 ? 0.2 : 0.02;
	float wanted[DIM_MAX];
	float vector[DIM_MAX];
	struct bank_seen seen;
	double distance;
	double exact;

	vector_of(wanted, dim, 1);
	vector_of(vector, dim, number);
	query_encode(segment->bank.codes, metric, wanted, dim, &query);
	if (row_accept(segment, &query, row, snapshot, &seen, &distance) != 1)
		return 0;
	exact = segment->kernel->exact(metric, wanted, vector, dim);
	return seen.entity == number && seen.type == number * 7 &&
	       seen.signature == number * UINT64_C(0x123456789) &&
	       fabs(distance - exact) <= rounding * (fabs(exact) + 1);
}

static uint32_t take(struct segment *segment)
{
	uint32_t row = 0;

	must_be(bank_take(segment, &row), "take");
	return row;
}

static uint32_t put(struct segment *segment, uint32_t number, uint64_t born)
{
	uint32_t row = take(segment);

	must_be(write_number(segment, row, number, born), "write");
	return row;
}

/* ---- rows --------------------------------------------------------------- */

static void what_is_written_is_what_is_read(void)
{
	const uint32_t dims[] = {2, 3, 63, 64, 65, 200, 4096};
	const uint32_t bits[] = {8, 16, 16, 32, 1};
	int wrong = 0;
	int apart = 1;

	for (int i = 0; i < 7 * 6 * CODES_KINDS; i++) {
		struct shm_fixture f;
		struct segment reader;
		uint32_t dim = dims[i / 6 % 7];
		int32_t codes = i / 42;
		const struct bank_shape *bank;

		if (codes && i % 5 != codes) /* 5 and 42 share no factor */
			continue;
		shm_fixture_init(&f, SHM_RESERVE, dim, i % 3 + 1, i / 3 % 2);
		shm_fixture_codes(&f, codes);
		shm_reader(&f, &reader);
		for (uint32_t row = 1; row < 30; row++)
			wrong += put(&f.segment, row + 5, row) != row;
		for (uint32_t row = 1; row < 30; row++)
			wrong += !row_is(&reader, row, row + 5, row);
		bank = &reader.bank;
		apart &= bank->line_bytes % 64 == 0 &&
			 bank->row_bytes % 64 == 0 &&
			 bank->line_bytes >= 64 + dim * bits[codes] / 8;
		apart &= code_is_row(codes)
			     ? !bank->row_bytes
			     : bank->row_bytes >= dim * (i / 3 % 2 ? 4u : 2u);
		wrong += bank_count(&reader) != 30;
		segment_detach(&reader);
		shm_fixture_release(&f);
	}
	ok(apart, "rows are whole lines");
	is_int(wrong, 0,
	       "7 dimensions, 3 metrics, 5 kinds of code, halves and floats: a "
	       "row is read as it was written, through a second mapping");
}

static void a_row_lives_from_its_birth_to_its_death(void)
{
	struct shm_fixture f;
	uint64_t born = 0;
	uint64_t died = 0;
	uint32_t row;

	shm_fixture_init(&f, SHM_RESERVE, DIM, METRIC_L2, 0);
	row = take(&f.segment);
	ok(bank_life(&f.segment, row, &born, &died) && born == COMMIT_NEVER,
	   "a row that was taken is not born");
	must_be(write_number(&f.segment, row, 3, 10), "write");
	ok(bank_life(&f.segment, row, &born, &died) && born == 10 &&
	       died == COMMIT_NEVER,
	   "one that was written lives for ever");
	ok(!row_is(&f.segment, row, 3, 9) && row_is(&f.segment, row, 3, 10),
	   "from its commit on");
	bank_kill(&f.segment, row, 20);
	ok(row_is(&f.segment, row, 3, 19) && !row_is(&f.segment, row, 3, 20),
	   "until it is killed");
	bank_kill(&f.segment, row, COMMIT_NEVER);
	ok(row_is(&f.segment, row, 3, 20), "which can be taken back");
	bank_free(&f.segment, row);
	ok(!row_is(&f.segment, row, 3, 19), "a free row is nobody's");
	shm_fixture_release(&f);
}

static void a_row_that_is_being_written_is_not_accepted(void)
{
	struct shm_fixture f;
	struct bank_line *line;
	uint32_t row;

	shm_fixture_init(&f, SHM_RESERVE, DIM, METRIC_L2, 0);
	row = put(&f.segment, 4, 1);
	line = bank_line_at(&f.segment, row);
	ok(!(bank_seq(line) & 1), "a row that is written is even");
	atomic_fetch_add(&line->seq, 1);
	ok(!row_is(&f.segment, row, 4, 5), "an odd one is not accepted");
	must_be(write_number(&f.segment, row, 5, 1), "write");
	ok(!(bank_seq(line) & 1) && row_is(&f.segment, row, 5, 5),
	   "written again, it is");
	ok(bank_unchanged(line, bank_seq(line)) &&
	       !bank_unchanged(line, bank_seq(line) - 2),
	   "and another number means that it was changed");
	shm_fixture_release(&f);
}

static void numbers_out_of_range_name_no_row(void)
{
	const uint32_t far[] = {1 << 20, UINT32_MAX / 2, UINT32_MAX - 1,
				UINT32_MAX};
	struct shm_fixture f;
	uint64_t born;
	uint64_t died;
	int found = 0;
	int err = 0;

	shm_fixture_init(&f, SHM_RESERVE, DIM, METRIC_L2, 0);
	is_u64(bank_count(&f.segment), 1, "without a region there is no row");
	(void)put(&f.segment, 2, 1);
	is_u64(bank_count(&f.segment), 2, "the first row is row 1");
	for (int i = 0; i < 4; i++) {
		found += bank_row_at(&f.segment, far[i]) != NULL;
		found += bank_line_at(&f.segment, far[i]) != NULL;
		found += bank_life(&f.segment, far[i], &born, &died);
		err += write_number(&f.segment, far[i], 1, 1) == EINVAL;
		bank_kill(&f.segment, far[i], 3);
		bank_free(&f.segment, far[i]);
	}
	found += bank_life(&f.segment, 0, &born, &died);
	bank_kill(&f.segment, 0, 3);
	bank_free(&f.segment, 0);
	is_int(found, 0, "a number out of range has no line, row or life");
	is_int(err, 4, "and cannot be written");
	is_u64(bank_free_length(&f.segment), 0, "or freed");
	ok(row_is(&f.segment, 1, 2, 1), "the one row is as it was");
	shm_fixture_release(&f);
}

/* ---- the free list ------------------------------------------------------ */

enum { MODEL_ROWS = 400 };

struct model {
	uint32_t number[MODEL_ROWS]; /* what a row holds, 0: free */
	uint32_t used;
	uint32_t next;
};

static void model_put(struct model *model, struct segment *segment, int *wrong)
{
	uint32_t row = put(segment, ++model->next, 1);

	*wrong += row >= MODEL_ROWS || model->number[row];
	model->number[row] = model->next;
	model->used++;
}

static void model_free(struct model *model, struct segment *segment,
		       uint64_t *seed)
{
	uint32_t row;

	do
		row = (uint32_t)test_below(seed, MODEL_ROWS);
	while (!model->number[row]);
	bank_free(segment, row);
	model->number[row] = 0;
	model->used--;
}

static int model_check(const struct model *model, const struct segment *segment)
{
	const struct bank *bank = &segment->header->bank;
	int wrong = 0;

	for (uint32_t row = 1; row < MODEL_ROWS; row++)
		if (model->number[row])
			wrong += !row_is(segment, row, model->number[row], 1);
	wrong += bank_free_length(segment) != bank->free_count;
	wrong += bank->free_count + model->used != bank_count(segment) - 1;
	return wrong;
}

static void a_free_row_is_given_to_one_only(uint64_t seed)
{
	struct model model = {.next = 1};
	struct shm_fixture f;
	struct segment reader;
	int wrong = 0;

	shm_fixture_init(&f, SHM_RESERVE, DIM, METRIC_COSINE, 0);
	shm_reader(&f, &reader);
	for (int i = 0; i < 20000 / TEST_SLOW; i++) {
		uint32_t aim = (i / 500) % 2 ? 20 : 350;

		if (!model.used || test_below(&seed, aim + 50) > model.used)
			model_put(&model, &f.segment, &wrong);
		else
			model_free(&model, &f.segment, &seed);
		if (model.used > MODEL_ROWS - 10)
			model_free(&model, &f.segment, &seed);
		if (i % 250 == 0)
			wrong += model_check(&model, &reader);
	}
	is_int(wrong, 0, "a row belongs to one, or is on the free list once");
	ok(bank_count(&f.segment) <= MODEL_ROWS, "free rows are used again");
	segment_detach(&reader);
	shm_fixture_release(&f);
}

static void without_room_no_row_is_given(void)
{
	struct shm_fixture f;
	uint32_t rows = 0;
	uint32_t wrong = 0;
	uint32_t row = 77;
	int err;

	shm_fixture_init(&f, SHM_RESERVE, DIM_MAX, METRIC_L2, 1);
	while (!(err = bank_take(&f.segment, &row)))
		must_be(write_number(&f.segment, row, ++rows + 1, 1), "write");
	is_int(err, ENOSPC, "after %u rows there is no room", rows);
	is_u64(bank_count(&f.segment), rows + 1,
	       "no row is counted that "
	       "there is not");
	for (uint32_t i = 1; i <= rows; i += 10)
		wrong += !row_is(&f.segment, i, i + 1, 1);
	is_u64(wrong, 0, "all others are as they were");
	bank_free(&f.segment, 5);
	ok(!bank_take(&f.segment, &row) && row == 5,
	   "what is freed can be had");
	is_int(bank_take(&f.segment, &row), ENOSPC, "once");
	shm_fixture_release(&f);
}

/* ---- deaths ------------------------------------------------------------- */

/* As the store has it: entities, the row of each, and the intent. */
enum { ENTITIES = 50 };

struct little_store {
	struct shm_fixture f;
	uint64_t commit;
	uint32_t row[ENTITIES];	   /* of each entity */
	uint32_t number[ENTITIES]; /* what it holds */
	uint32_t intent_entity;
	uint32_t intent_row;
	int hits; /* of a point, before death */
};

static struct little_store *little;
static uint64_t point_left;

static void die_at_point(const char *name)
{
	if (strncmp(name, "row-", 4) && strncmp(name, "grow-", 5))
		return;
	if (!point_left--)
		kill(getpid(), SIGKILL);
}

/* One commit: a new row for an entity, and the death of its old one. */
static void little_commit(uint32_t entity)
{
	struct segment *segment = &little->f.segment;
	uint64_t commit = little->commit + 1;
	uint32_t number = (uint32_t)commit + 1;
	uint32_t old = little->row[entity];

	little->intent_row = 0;
	little->intent_entity = entity;
	little->intent_row = take(segment);
	must_be(write_number(segment, little->intent_row, number, commit),
		"write");
	bank_kill(segment, old, commit);
	/* here it happens */
	little->row[entity] = little->intent_row;
	little->number[entity] = number;
	little->commit = commit;
	must_be(limbo_reserve(segment, 1), "reserve");
	if (old)
		limbo_push(segment, commit, LIMBO_ROW, old);
	limbo_drain(segment, commit - 2 > commit ? 0 : commit - 2, 100);
}

/* As core/recover.c does for an attempt that LMDB does not have. */
static void little_recover(void)
{
	struct segment *segment = &little->f.segment;
	uint64_t attempt = little->commit + 1;
	uint32_t row = little->row[little->intent_entity];
	uint64_t born;
	uint64_t died;

	if (bank_life(segment, row, &born, &died) && died == attempt)
		bank_kill(segment, row, COMMIT_NEVER);
	if (bank_life(segment, little->intent_row, &born, &died) &&
	    (born == attempt || born == COMMIT_NEVER))
		bank_free(segment, little->intent_row);
	limbo_clear_rows(segment);
	must_be(bank_collect(segment, little->commit), "collect");
}

/* Every row is an entity's, free, or in limbo. */
static int little_check(void)
{
	const struct segment *segment = &little->f.segment;
	uint64_t used = 0;
	int wrong = 0;

	for (uint32_t i = 0; i < ENTITIES; i++) {
		if (!little->row[i])
			continue;
		used++;
		wrong += !row_is(segment, little->row[i], little->number[i],
				 little->commit);
	}
	wrong += bank_free_length(segment) != segment->header->bank.free_count;
	wrong += used + bank_free_length(segment) + limbo_count(segment) !=
		 bank_count(segment) - 1;
	return wrong;
}

static void a_death_leaves_every_row_in_one_place(uint64_t seed)
{
	int deaths = 0;
	int wrong = 0;

	little = shm_anonymous(sizeof *little);
	shm_fixture_init(&little->f, SHM_RESERVE, DIM, METRIC_L2, 0);
	for (int i = 0; i < 300 / TEST_SLOW + 20; i++) {
		pid_t pid;

		point_left = test_below(&seed, 40);
		pid = child_fork();
		if (!pid) {
			point_hook = die_at_point;
			for (int j = 0; j < 20; j++)
				little_commit(
				    (uint32_t)test_below(&seed, ENTITIES));
			_exit(0);
		}
		deaths += child_wait(pid) == 128 + SIGKILL;
		little_recover();
		wrong += little_check();
		for (int j = 0; j < 3; j++)
			little_commit((uint32_t)test_below(&seed, ENTITIES));
		wrong += little_check();
		(void)test_random(&seed);
	}
	ok(deaths > 10 && !wrong,
	   "after %d deaths in the middle every row is an entity's, free, or "
	   "in limbo",
	   deaths);
	ok(bank_count(&little->f.segment) < ENTITIES + 60, "and none leaks");
	shm_fixture_release(&little->f);
	munmap(little, sizeof *little);
}

static void collecting_finds_the_dead_and_the_unborn(void)
{
	struct shm_fixture f;
	uint32_t wrong = 0;

	shm_fixture_init(&f, SHM_RESERVE, DIM, METRIC_L2, 0);
	for (uint32_t i = 1; i <= 3000; i++)
		(void)put(&f.segment, i, i);
	for (uint32_t i = 1; i <= 3000; i += 3)
		bank_kill(&f.segment, i, 3500);
	(void)take(&f.segment);			 /* taken, never written */
	f.segment.header->bank.free_row = 12345; /* lost */
	is_int(bank_collect(&f.segment, 4000), 0, "rows are collected");
	is_u64(limbo_count(&f.segment), 1000, "the dead wait in limbo");
	is_u64(bank_free_length(&f.segment), 1, "the unborn is free");
	limbo_drain(&f.segment, 3999, 5000);
	is_u64(bank_free_length(&f.segment), 1,
	       "the dead wait for the reads that began before");
	limbo_drain(&f.segment, 4000, 5000);
	is_u64(bank_free_length(&f.segment), 1001, "and are free then");
	for (uint32_t i = 1; i <= 3000; i++)
		wrong += row_is(&f.segment, i, i, 3000) != (i % 3 != 1);
	is_u64(wrong, 0, "the living are untouched");
	shm_fixture_release(&f);
}

/* ---- rubbish ------------------------------------------------------------ */

struct rubbish {
	struct shm_fixture f;
	struct segment reader;
	uint64_t seed;
};

static uint32_t any_number(uint64_t *seed)
{
	uint32_t word = (uint32_t)test_random(seed);

	return word >> test_below(seed, 32);
}

static void spoil(struct rubbish *rubbish)
{
	struct segment *segment = &rubbish->f.segment;
	struct bank *bank = &segment->header->bank;
	uint32_t row = 1 + (uint32_t)test_below(&rubbish->seed, 200);
	struct bank_line *line = bank_line_at(segment, row);
	uint32_t number = any_number(&rubbish->seed);

	switch (test_below(&rubbish->seed, 5)) {
	case 0: bank->row_count = number; break;
	case 1: bank->free_row = number; break;
	case 2: line->entity = number; break;
	case 3: line->born = number % 2 ? COMMIT_NEVER : number; break;
	default: line->died = number; break;
	}
}

static void work_in_rubbish(void *user)
{
	struct rubbish *rubbish = user;
	struct segment *segment = &rubbish->f.segment;

	for (int i = 0; i < 4000 / TEST_SLOW; i++) {
		uint32_t row = any_number(&rubbish->seed);

		spoil(rubbish);
		(void)row_is(segment, row, 3, row);
		(void)row_is(segment, bank_count(segment) - 1, 3, row);
		bank_kill(segment, row, 5);
		bank_free(segment, any_number(&rubbish->seed));
		if (!bank_take(segment, &row))
			(void)write_number(segment, row, 4, 4);
		(void)write_number(segment, any_number(&rubbish->seed), 4, 4);
		if (i % 100 == 0)
			(void)bank_collect(segment, 4);
	}
}

static void look_at_rubbish(void *user)
{
	struct rubbish *rubbish = user;

	shm_fence(&rubbish->reader);
	for (int i = 0; i < 40000 / TEST_SLOW; i++) {
		uint32_t row = any_number(&rubbish->seed);
		uint64_t born;
		uint64_t died;

		spoil(rubbish);
		(void)row_is(&rubbish->reader, row, 3, row);
		row = bank_count(&rubbish->reader) - 1;
		(void)row_is(&rubbish->reader, row, 3, row);
		(void)bank_life(&rubbish->reader, row, &born, &died);
	}
}

/* The header's parameters were checked when it was attached. */
static void write_with_a_header_of_rubbish(void *user)
{
	struct rubbish *rubbish = user;
	struct segment_header *header = rubbish->f.segment.header;

	for (int i = 0; i < 2000 / TEST_SLOW; i++) {
		uint32_t row = 1 + (uint32_t)test_below(&rubbish->seed, 200);

		header->dim = any_number(&rubbish->seed);
		header->metric = (int32_t)any_number(&rubbish->seed);
		header->rows = (int32_t)any_number(&rubbish->seed);
		header->codes = (int32_t)any_number(&rubbish->seed);
		if (write_number(&rubbish->f.segment, row, 4, 4) ||
		    !row_is(&rubbish->reader, row, 4, 4))
			_exit(1);
	}
}

static void parameters_of_rubbish_are_not_attached(void)
{
	struct shm_fixture f;
	struct segment reader;
	struct segment_header *header;
	int fd;

	shm_fixture_init(&f, SHM_RESERVE, DIM, METRIC_L2, 0);
	header = f.segment.header;
	fd = shm_reopen(f.fd, O_RDONLY);
	header->dim = DIM_MAX + 1;
	is_int(segment_attach(&reader, fd, 0), EINVAL, "too many dimensions");
	header->dim = DIM;
	header->metric = 4;
	is_int(segment_attach(&reader, fd, 0), EINVAL, "a metric there is not");
	header->metric = METRIC_L2;
	header->rows = 2;
	is_int(segment_attach(&reader, fd, 0), EINVAL, "rows there are not");
	header->rows = 0;
	header->codes = CODES_KINDS;
	is_int(segment_attach(&reader, fd, 0), EINVAL, "codes there are not");
	header->codes = -1;
	is_int(segment_attach(&reader, fd, 0), EINVAL, "or below");
	header->codes = 0;
	is_int(segment_attach(&reader, fd, 0), 0, "as they were, they are");
	segment_detach(&reader);
	close(fd);
	shm_fixture_release(&f);
}

static void rubbish_run(uint64_t seed, void (*body)(void *user),
			const char *claim)
{
	struct rubbish rubbish = {.seed = seed};

	shm_fixture_init(&rubbish.f, SHM_RESERVE, DIM, METRIC_L2, 0);
	for (uint32_t i = 1; i <= 200; i++)
		(void)put(&rubbish.f.segment, i, i);
	for (uint32_t i = 1; i <= 100; i++)
		bank_free(&rubbish.f.segment, i);
	shm_reader(&rubbish.f, &rubbish.reader);
	is_int(child_survives(60, body, &rubbish), 0, "%s", claim);
	segment_detach(&rubbish.reader);
	shm_fixture_release(&rubbish.f);
}

static void rubbish_never_leads_out_of_what_is_published(uint64_t seed)
{
	rubbish_run(seed, look_at_rubbish,
		    "a reader of spoiled rows reads what is published only");
	rubbish_run(seed, work_in_rubbish,
		    "a writer among them comes to an end");
	rubbish_run(seed, write_with_a_header_of_rubbish,
		    "a header of rubbish does not lead out of the buffers of "
		    "who is attached");
}

int main(void)
{
	uint64_t seed;

	test_begin(180);
	seed = test_seed();
	what_is_written_is_what_is_read();
	a_row_lives_from_its_birth_to_its_death();
	a_row_that_is_being_written_is_not_accepted();
	numbers_out_of_range_name_no_row();
	a_free_row_is_given_to_one_only(seed);
	without_room_no_row_is_given();
	a_death_leaves_every_row_in_one_place(seed);
	collecting_finds_the_dead_and_the_unborn();
	parameters_of_rubbish_are_not_attached();
	rubbish_never_leads_out_of_what_is_published(seed);
	return done_testing();
}
