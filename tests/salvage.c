/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A data file that LMDB cannot be trusted with is repaired: of one bit that
 * flipped nothing is lost, wherever it is; of more, what can be read is there
 * afterwards, and nothing that never was.
 *
 * idea
 *	Bits, sectors and pages of copies of a small store are changed, by
 *	COPPICE_TEST_SEED.  Each copy is repaired, and if that leaves findings
 *	what is damaged is removed; then it opens, another repair does the rest,
 *	and a deep check finds nothing.  What a repair calls mended, with
 *nothing removed, must say what the whole one said, as of an earlier commit,
 *too. Of others each entity must be one of the whole one's.
 */
#include "damaged.h"

#include "point.h"

#include <dirent.h>

enum {
	FLIPS = 60 / TEST_SLOW,
	HOLES = 40 / TEST_SLOW,
	SECTOR = 512,
	NOISE = 64,
	PLACES = 5, /* damaged at once, in so many copies: */
	WRECKS = 30 / TEST_SLOW,
	DEATHS = 64
};

/* What came of a repair. */
enum end { MENDED, REMOVED, REFUSED, WRONG };

/* Digests of the whole one's entities by id, also before its newest commit */
static uint64_t known[KEYS + 1];
static uint64_t known_before[KEYS + 1];

/* ---- repairing ---------------------------------------------------------- */

static cop_err file_check(uint32_t repair, struct cop_check_result *result)
{
	struct cop_check_options options = {.size = sizeof options,
					    .repair = repair};

	*result = (struct cop_check_result){.size = sizeof *result};
	return cop_check_file(copy.path, &options, result);
}

static int64_t store_check(int32_t depth, uint32_t repair)
{
	struct cop_check_options options = {
	    .size = sizeof options, .depth = depth, .repair = repair};
	struct cop_check_result result = {.size = sizeof result};
	cop_err err = cop_check_with(copy.store, &options, &result);

	if (err)
		diag("check: %s", cop_last_error());
	return err ? -1 : (int64_t)result.left;
}

static uint64_t entity_digest(const struct cop_entity *entity)
{
	return XXH3_64bits(entity->record, entity->record_size);
}

static int32_t entity_know(void *user, cop_read *read,
			   const struct cop_entity *entity)
{
	uint64_t *digests = user;

	(void)read;
	digests[entity->id] = entity_digest(entity);
	return 0;
}

struct judge {
	const uint64_t *digests;
	int strange;
};

static int32_t entity_judge(void *user, cop_read *read,
			    const struct cop_entity *entity)
{
	struct judge *judge = user;

	(void)read;
	judge->strange += entity->id > KEYS ||
			  judge->digests[entity->id] != entity_digest(entity);
	return 0;
}

/* Entities that are none of those. */
static int strange_count(const uint64_t *digests)
{
	struct judge judge = {.digests = digests};
	cop_read *read;

	must(cop_read_begin(copy.store, &read), "read");
	must(cop_keys(read, NULL, 0, entity_judge, &judge), "keys");
	cop_read_end(read);
	return judge.strange;
}

static void known_make(void)
{
	cop_read *read;

	fixture_open(&whole);
	must(cop_read_begin(whole.store, &read), "read");
	must(cop_keys(read, NULL, 0, entity_know, known), "keys");
	must(cop_read_as_of(read, STEPS), "as of the commit before");
	must(cop_keys(read, NULL, 0, entity_know, known_before), "keys");
	cop_read_end(read);
	fixture_close(&whole);
	must(cop_detach(whole.path), "detach");
}

/*
 * Without its newest state a store is as of the commit before; if more was
 * damaged, it has some of that.
 */
static int is_of_before(size_t places)
{
	return places > 1 ? !strange_count(known_before)
			  : digest_of(copy.store) == oracle_before;
}

/* Of a file that was repaired by itself. */
static enum end store_judge(int is_mended, size_t places)
{
	int64_t left;

	if (cop_open(copy.path, NULL, &copy.store)) {
		diag("open: %s", cop_last_error());
		return WRONG;
	}
	left = store_check(COP_CHECK_FULL, is_mended ? 1 : 2);
	if (!left)
		left = store_check(COP_CHECK_DEEP, 0);
	if (left || (strange_count(known) && !is_of_before(places)) ||
	    (is_mended && (digest_of(copy.store) != oracle ||
			   digest_then(copy.store) != oracle_then))) {
		diag("%lld findings are left, %d are strange", (long long)left,
		     strange_count(known));
		return WRONG;
	}
	fixture_close(&copy);
	return is_mended ? MENDED : REMOVED;
}

/* Of a copy that is damaged in some places. */
static enum end repair(size_t places)
{
	struct cop_check_result result;
	cop_err err = file_check(1, &result);
	int is_mended = !err && !result.left;

	if (!err && result.left)
		err = file_check(2, &result);
	if (err == COP_CORRUPT && *cop_last_error())
		return REFUSED;
	if (err || result.left) {
		diag("%s, %llu left", cop_strerror(err),
		     (unsigned long long)result.left);
		return WRONG;
	}
	return store_judge(is_mended, places);
}

/* Folders of generations in the store's, but for one. */
static int litter_there(void)
{
	struct dirent *entry;
	DIR *folder = opendir(copy.path);
	int count = 0;

	while (folder && (entry = readdir(folder)))
		count += !strncmp(entry->d_name, "gen-", 4) ||
			 !strcmp(entry->d_name, "CURRENT.new");
	if (folder)
		closedir(folder);
	return count != 1;
}

static void copy_forget(void)
{
	if (copy.store)
		fixture_close(&copy);
	copy.store = NULL;
	copy_release();
}

/* ---- claims ------------------------------------------------------------- */

static enum end flip_try(off_t at, unsigned bit)
{
	unsigned char byte = bytes[at] ^ (unsigned char)(1 << bit);
	enum end end;

	copy_make();
	copy_patch(at, &byte, 1);
	end = repair(1);
	copy_forget();
	if (end != MENDED)
		diag("byte %lld of page %lld, bit %u: %d",
		     (long long)(at % PAGE), (long long)(at / PAGE), bit, end);
	return end;
}

static void any_bit_is_put_back(uint64_t *state)
{
	int ends[WRONG + 1] = {0};

	for (size_t i = 0; i < FLIPS; i++) {
		unsigned bit = (unsigned)test_below(state, 8);

		ends[flip_try(spots[test_below(state, spot_count)], bit)]++;
		ends[flip_try((off_t)test_below(state, size), bit)]++;
	}
	is_int(ends[MENDED], 2 * FLIPS,
	       "whichever bit flips, a repair puts it back, and history is "
	       "whole");
}

/* Also the one that a look down a tree comes by first. */
static void a_page_may_deny_what_it_is(void)
{
	int pages = 0;
	int ends[WRONG + 1] = {0};

	for (off_t page = 2; page < (off_t)(size / PAGE); page++) {
		unsigned flags = number_at((size_t)(page * PAGE) + 10);

		if (flags != 1 && flags != 2)
			continue;
		pages++;
		ends[flip_try(page * PAGE + 11, 2)]++;
	}
	is_int(ends[MENDED], pages,
	       "each page of a tree is read though it says that it is none");
}

/* Of a value in pages of its own nothing but its checksum tells. */
static void a_size_is_put_back(void)
{
	int sizes = 0;
	int mended = 0;

	for (size_t page = 2 * PAGE; page < size; page += PAGE) {
		if (number_at(page + 10) != 2)
			continue;
		for (size_t at = HEADER; at < number_at(page + 12); at += 2) {
			size_t node = page + number_at(page + at);

			if (number_at(node + 4) != 1)
				continue;
			sizes++;
			mended += flip_try((off_t)node, 7) == MENDED;
		}
	}
	ok(sizes && mended == sizes,
	   "a large value is read by its size, put back (%d of %d)", mended,
	   sizes);
}

static enum end hole_try(off_t at, const void *patch, size_t count)
{
	enum end end;

	copy_make();
	copy_patch(at, patch, count);
	end = repair(1);
	copy_forget();
	if (end == WRONG)
		diag("%zu bytes at %lld of page %lld", count,
		     (long long)(at % PAGE), (long long)(at / PAGE));
	return end;
}

static void what_is_left_of_a_file_is_kept(const char *what, size_t count,
					   int is_noise, uint64_t *state)
{
	unsigned char patch[PAGE] = {0};
	int ends[WRONG + 1] = {0};

	for (size_t i = 0; i < HOLES; i++) {
		size_t metas = 2 * PAGE / count;
		size_t places = size / count - metas;
		off_t at = (off_t)((metas + test_below(state, places)) * count);

		for (size_t b = 0; is_noise && b < count; b++)
			patch[b] = (unsigned char)test_random(state);
		ends[hole_try(at, patch, count)]++;
	}
	is_int(ends[WRONG], 0,
	       "%s: what can be read is kept, and sound (%d whole, %d less, %d "
	       "refused)",
	       what, ends[MENDED], ends[REMOVED], ends[REFUSED]);
	ok(ends[MENDED] + ends[REMOVED] > HOLES * 9 / 10,
	   "which is so of most places");
}

/* A bit, a sector or a page, at each of some places. */
static enum end places_try(uint64_t *state)
{
	static const size_t counts[] = {1, SECTOR, PAGE};
	unsigned char patch[PAGE];
	enum end end;

	copy_make();
	for (size_t i = 0; i < PLACES; i++) {
		size_t count = counts[test_below(state, 3)];
		size_t first = 2 * PAGE / count;
		size_t at =
		    (first + test_below(state, size / count - first)) * count;

		memset(patch, 0, sizeof patch);
		if (count == 1)
			patch[0] = bytes[at] ^
				   (unsigned char)(1 << test_below(state, 8));
		copy_patch((off_t)at, patch, count);
	}
	end = repair(PLACES);
	copy_forget();
	return end;
}

static void damage_in_many_places_is_survived(uint64_t *state)
{
	int ends[WRONG + 1] = {0};

	for (size_t i = 0; i < WRECKS; i++) {
		uint64_t seed = *state;
		enum end end = places_try(state);

		ends[end]++;
		if (end == WRONG)
			diag("places of the state %llu",
			     (unsigned long long)seed);
	}
	is_int(ends[WRONG], 0,
	       "damage in %d places: what can be read is kept, and sound (%d "
	       "whole, %d less, %d refused)",
	       PLACES, ends[MENDED], ends[REMOVED], ends[REFUSED]);
}

/* Of two meta pages one leads to the newest commit. */
static void without_a_meta_page_there_is_the_other(void)
{
	const unsigned char zeros[PAGE] = {0};
	struct cop_check_result result;
	int newest = 0;
	int before = 0;

	for (off_t page = 0; page < 2; page++) {
		uint64_t digest;

		copy_make();
		copy_patch(page * PAGE, zeros, PAGE);
		must(file_check(1, &result), "repair");
		if (result.left)
			must(file_check(2, &result), "remove");
		fixture_open(&copy);
		digest = digest_of(copy.store);
		newest += digest == oracle;
		before +=
		    digest == oracle_before && !store_check(COP_CHECK_DEEP, 0);
		copy_forget();
	}
	ok(newest == 1 && before == 1,
	   "without a meta page there is the newest commit, or the one before");
}

/* The other one's bytes are no meta page in this place. */
static void a_meta_page_over_the_other_is_told(void)
{
	struct cop_check_result result;
	uint64_t digest;
	int told = 0;

	for (off_t page = 0; page < 2; page++) {
		copy_make();
		copy_patch(page * PAGE, bytes + (1 - page) * PAGE, PAGE);
		must(file_check(1, &result), "repair");
		told += result.left != 0;
		must(file_check(2, &result), "remove");
		fixture_open(&copy);
		digest = digest_of(copy.store);
		told += digest == oracle || digest == oracle_before;
		copy_forget();
	}
	is_int(told, 4, "a meta page in the place of the other is told");
}

/* A store that an image leads to is looked at as one that is built. */
static void an_image_does_not_hide_damage(void)
{
	const unsigned char zeros[PAGE] = {0};
	size_t page = 2;
	cop_err err;

	while (number_at(page * PAGE + 10) != 1 && page < size / PAGE)
		page++; /* the first branch */
	copy_make();
	fixture_open(&copy);
	must(cop_checkpoint(copy.store, NULL), "image");
	fixture_close(&copy);
	must(cop_detach(copy.path), "detach");
	copy_patch((off_t)(page * PAGE), zeros, PAGE);
	err = cop_open(copy.path, NULL, &copy.store);
	ok(err == COP_CORRUPT && strstr(cop_last_error(), "--repair"),
	   "a store with an image is not opened with damaged pages, either");
	copy_forget();
}

/* ---- killed ------------------------------------------------------------- */

static int points_left;

static void die_at_point(const char *name)
{
	(void)name;
	if (!points_left--)
		raise(SIGKILL);
}

/* Whether it was killed at its n-th point. */
static int repair_is_killed(int n)
{
	struct cop_check_result result;
	int status;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (pid < 0)
		bail_out("fork: %s", strerror(errno));
	if (!pid) {
		alarm(60);
		points_left = n;
		point_hook = die_at_point;
		_exit(file_check(1, &result) || result.left);
	}
	if (waitpid(pid, &status, 0) != pid)
		bail_out("waitpid: %s", strerror(errno));
	return WIFSIGNALED(status);
}

static void a_repair_may_be_killed(void)
{
	const off_t at = spots[spot_count / 2];
	const unsigned char flipped = bytes[at] ^ 1;
	int killed = 0;
	int wrong = 0;

	for (int n = 0; n < DEATHS; n++) {
		int is_killed;

		copy_make();
		copy_patch(at, &flipped, 1);
		is_killed = repair_is_killed(n);
		killed += is_killed;
		wrong += repair(1) == WRONG || litter_there();
		copy_forget();
		if (!is_killed)
			break;
	}
	ok(killed > 3, "killed at each of %d points of a repair", killed);
	is_int(wrong, 0, "another one does it, and nothing is left behind");
}

int main(void)
{
	uint64_t state = test_seed();

	test_begin(900);
	whole_make(&state);
	spots_find();
	known_make();
	a_page_may_deny_what_it_is();
	a_size_is_put_back();
	any_bit_is_put_back(&state);
	without_a_meta_page_there_is_the_other();
	a_meta_page_over_the_other_is_told();
	an_image_does_not_hide_damage();
	a_repair_may_be_killed();
	what_is_left_of_a_file_is_kept("a sector of zeros", SECTOR, 0, &state);
	what_is_left_of_a_file_is_kept("noise", NOISE, 1, &state);
	what_is_left_of_a_file_is_kept("a page of zeros", PAGE, 0, &state);
	damage_in_many_places_is_survived(&state);
	whole_release();
	return done_testing();
}
