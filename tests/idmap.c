/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The id map: what was entered is found under its id and nothing else is.
 */
#include "shm_fixture.h"
#include "point.h"

enum { KEYS = 120000 / TEST_SLOW, KEY_BYTES = 48 };

static uint64_t hash_of(const void *key, size_t size)
{
	const unsigned char *at = key;
	uint64_t hash = size;

	for (size_t i = 0; i < size; i++) {
		hash ^= at[i];
		hash = test_random(&hash);
	}
	return hash;
}

/* A key of 1 to 40 bytes, another one for every number and family. */
static size_t key_of(char *key, char family, uint32_t number)
{
	uint64_t state = number;
	size_t size = (size_t)snprintf(key, KEY_BYTES, "%c%u", family, number);
	size_t tail = (size_t)test_below(&state, 30);

	memset(key + size, '.', tail);
	return size + tail;
}

static int enter(struct segment *segment, const char *text, uint32_t id)
{
	return idmap_insert(segment, hash_of(text, strlen(text)), text,
			    strlen(text), id);
}

static uint32_t find(const struct segment *segment, const char *text)
{
	return idmap_find(segment, hash_of(text, strlen(text)), text,
			  strlen(text));
}

static int enter_number(struct segment *segment, uint32_t number)
{
	char key[KEY_BYTES];
	size_t size = key_of(key, 'k', number);

	return idmap_insert(segment, hash_of(key, size), key, size, number);
}

static uint32_t find_number(const struct segment *segment, char family,
			    uint32_t number)
{
	char key[KEY_BYTES];
	size_t size = key_of(key, family, number);

	return idmap_find(segment, hash_of(key, size), key, size);
}

static uint32_t table_log2(const struct segment *segment)
{
	return (uint32_t)(segment->header->idmap.table & 0x1f);
}

/* ---- what it is for ----------------------------------------------------- */

static void an_empty_map_knows_nobody(void)
{
	struct shm_fixture f;
	struct segment reader;

	shm_fixture_init(&f, SHM_RESERVE, 8, METRIC_L2, 0);
	shm_reader(&f, &reader);
	is_u64(find(&f.segment, "nobody"), 0, "an empty map has no key");
	is_u64(find(&reader, "nobody"), 0, "nor has it for a reader");
	(void)idmap_prefetch(&reader, 5);
	is_u64(idmap_validate(&reader), 0, "and it is in order");
	segment_detach(&reader);
	shm_fixture_release(&f);
}

static void every_key_is_found_through_all_tables(uint64_t seed)
{
	struct shm_fixture f;
	struct segment reader;
	uint32_t tables = 0;
	uint32_t log2 = 0;
	uint32_t missed = 0;
	uint32_t strange = 0;

	shm_fixture_init(&f, SHM_RESERVE * 4, 8, METRIC_L2, 0);
	shm_reader(&f, &reader);
	for (uint32_t i = 1; i <= KEYS; i++) {
		uint32_t any = 1 + (uint32_t)test_below(&seed, i);

		must_be(enter_number(&f.segment, i), "insert");
		tables += table_log2(&f.segment) != log2;
		log2 = table_log2(&f.segment);
		missed += find_number(&reader, 'k', any) != any;
		strange += find_number(&reader, 'x', any) != 0;
	}
	for (uint32_t i = 1; i <= KEYS; i++)
		missed += find_number(&reader, 'k', i) != i;
	ok(tables > 4, "%u keys went through %u tables", KEYS, tables);
	is_u64(missed, 0, "every key is found under its id, at any time");
	is_u64(strange, 0, "what was never entered is not");
	is_u64(idmap_validate(&reader), 0, "every entry names a head");
	is_u64(f.segment.header->idmap.count, KEYS, "and all are counted");
	ok(a_write_dies(reader.header), "all of it through a read-only map");
	segment_detach(&reader);
	shm_fixture_release(&f);
}

static void a_key_may_have_any_size(void)
{
	static char key[65535];
	struct shm_fixture f;
	int err = 0;
	int missed = 0;
	const size_t sizes[] = {1, 2, 63, 64, 65, 4095, 4096, 65534, 65535};
	uint32_t size;
	const void *at;

	shm_fixture_init(&f, SHM_RESERVE, 8, METRIC_L2, 0);
	memset(key, 'k', sizeof key);
	for (uint32_t i = 0; i < 9; i++)
		err |= idmap_insert(&f.segment, hash_of(key, sizes[i]), key,
				    sizes[i], i + 1);
	is_int(err, 0, "keys of 1 to 65,535 bytes are entered");
	for (uint32_t i = 0; i < 9; i++) {
		missed += idmap_find(&f.segment, hash_of(key, sizes[i]), key,
				     sizes[i]) != i + 1;
		at = head_key(
		    f.segment.header, segment_region(&f.segment, REGION_TEXT),
		    head_at(f.segment.header,
			    segment_region(&f.segment, REGION_HEADS), i + 1),
		    &size);
		missed += !at || size != sizes[i] || memcmp(at, key, size);
	}
	is_int(missed, 0, "found, and told by their heads");
	is_u64(idmap_find(&f.segment, hash_of(key, 66), key, 66), 0,
	       "a key that one begins with is another key");
	shm_fixture_release(&f);
}

static void keys_of_one_hash_are_told_apart(void)
{
	struct shm_fixture f;
	char key[16];
	int wrong = 0;

	shm_fixture_init(&f, SHM_RESERVE, 8, METRIC_L2, 0);
	for (uint32_t i = 1; i <= 300; i++) {
		snprintf(key, sizeof key, "twin-%u", i);
		must_be(
		    idmap_insert(&f.segment, UINT64_MAX, key, strlen(key), i),
		    "insert");
	}
	for (uint32_t i = 1; i <= 300; i++) {
		snprintf(key, sizeof key, "twin-%u", i);
		wrong +=
		    idmap_find(&f.segment, UINT64_MAX, key, strlen(key)) != i;
	}
	is_int(wrong, 0, "300 keys of one hash are told apart");
	is_u64(idmap_find(&f.segment, UINT64_MAX, "twin-x", 6), 0,
	       "and from one that is not there");
	shm_fixture_release(&f);
}

static void entering_twice_is_entering_once(void)
{
	struct shm_fixture f;
	uint64_t text;

	shm_fixture_init(&f, SHM_RESERVE, 8, METRIC_L2, 0);
	must_be(enter(&f.segment, "ada", 7), "insert");
	text = f.segment.header->heads.text_bytes;
	is_int(enter(&f.segment, "ada", 7), 0, "a key is entered again");
	is_u64(f.segment.header->idmap.count, 1, "it is there once");
	is_u64(f.segment.header->heads.text_bytes, text,
	       "and so are its "
	       "bytes");
	is_u64(f.segment.header->heads.count, 8, "ids below 8 have a head");
	shm_fixture_release(&f);
}

/* ---- after an attempt that failed --------------------------------------- */

/*
 * An attempt that was aborted, or that died, has entered keys under ids that
 * LMDB then gives out again, to other keys or in another order.
 */
static void what_an_aborted_attempt_left_is_not_found(void)
{
	struct shm_fixture f;

	shm_fixture_init(&f, SHM_RESERVE, 8, METRIC_L2, 0);
	must_be(enter(&f.segment, "a", 5), "insert");
	must_be(enter(&f.segment, "b", 6), "insert");
	/* aborted; the next attempt has them the other way around */
	must_be(enter(&f.segment, "b", 5), "insert");
	must_be(enter(&f.segment, "a", 6), "insert");
	is_u64(find(&f.segment, "a"), 6, "a key has the id it was given last");
	is_u64(find(&f.segment, "b"), 5, "and so has the other");
	shm_fixture_release(&f);
	shm_fixture_init(&f, SHM_RESERVE, 8, METRIC_L2, 0);
	must_be(enter(&f.segment, "a", 5), "insert");
	/* aborted; the next attempt knows nothing of it */
	must_be(enter(&f.segment, "c", 5), "insert");
	is_u64(find(&f.segment, "a"), 0,
	       "a key whose id went to another is not found");
	is_u64(find(&f.segment, "c"), 5, "the other is");
	shm_fixture_release(&f);
}

/*
 * The first attempt gave a and b the ids 5 and 6; the second has b alone,
 * which LMDB gives 5, and 6 stays free: b must not be found under it.
 */
static void an_id_that_an_aborted_attempt_gave_does_not_hide_the_real_one(void)
{
	struct shm_fixture f;

	shm_fixture_init(&f, SHM_RESERVE, 8, METRIC_L2, 0);
	must_be(enter(&f.segment, "a", 5), "insert");
	must_be(enter(&f.segment, "b", 6), "insert");
	must_be(enter(&f.segment, "b", 5), "insert");
	is_u64(find(&f.segment, "b"), 5,
	       "a key is found under the id that it was given in the end");
	shm_fixture_release(&f);
}

static const char *death_point;

static void die_at_point(const char *name)
{
	if (!strcmp(name, death_point))
		kill(getpid(), SIGKILL);
}

struct insertion {
	struct shm_fixture *f;
	uint32_t number;
};

static void insert_until_death(void *user)
{
	struct insertion *insertion = user;

	point_hook = die_at_point;
	while (!enter_number(&insertion->f->segment, insertion->number))
		insertion->number++;
}

/* A child is killed while it enters a key, or copies a table. */
static void a_death_while_entering_loses_no_key(void)
{
	static const char *const points[] = {
	    "key-stored", "table-filled", "grow-allocated", "grow-published"};
	struct shm_fixture f;
	uint32_t number = 1;
	uint32_t missed = 0;
	uint32_t deaths = 0;

	shm_fixture_init(&f, SHM_RESERVE, 8, METRIC_L2, 0);
	for (uint32_t i = 0; i < 20; i++) {
		struct insertion insertion = {&f, number};
		pid_t pid;

		death_point = points[i % 4];
		pid = child_fork();
		if (!pid) {
			insert_until_death(&insertion);
			_exit(1);
		}
		deaths += child_wait(pid) == 128 + SIGKILL;
		/* the child has got as far as it is known to have */
		while (find_number(&f.segment, 'k', number) == number)
			number++;
		for (uint32_t j = 0; j < 50; j++)
			must_be(enter_number(&f.segment, number++), "insert");
		for (uint32_t j = 1; j < number; j++)
			missed += find_number(&f.segment, 'k', j) != j;
	}
	is_u64(deaths, 20, "a process dies in the middle 20 times");
	is_u64(missed, 0, "none of %u keys is lost", number);
	is_u64(idmap_validate(&f.segment), 0, "and the map is in order");
	shm_fixture_release(&f);
}

/* ---- without room ------------------------------------------------------- */

static void without_room_nothing_is_entered(void)
{
	static char key[65535];
	struct shm_fixture f;
	uint32_t id = 1;
	uint32_t missed = 0;
	int err = 0;

	shm_fixture_init(&f, SHM_RESERVE, 8, METRIC_L2, 0);
	memset(key, 'k', sizeof key);
	for (; !err && id < 10000; id++) {
		memcpy(key, &id, sizeof id);
		err = idmap_insert(&f.segment, hash_of(key, sizeof key), key,
				   sizeof key, id);
	}
	id--;
	is_int(err, ENOSPC, "the region of keys is full after %u", id - 1);
	is_u64(
	    idmap_find(&f.segment, hash_of(key, sizeof key), key, sizeof key),
	    0, "the key that did not fit is not found");
	is_int(enter(&f.segment, "far", UINT32_MAX), ENOSPC,
	       "neither is there room for a head so far");
	is_u64(find(&f.segment, "far"), 0, "and nothing is entered");
	for (uint32_t i = 1; i < id; i++) {
		memcpy(key, &i, sizeof i);
		missed += idmap_find(&f.segment, hash_of(key, sizeof key), key,
				     sizeof key) != i;
	}
	is_u64(missed, 0, "all others are found still");
	is_u64(idmap_validate(&f.segment), 0, "the map is in order");
	shm_fixture_release(&f);
}

/* ---- rubbish ------------------------------------------------------------ */

struct rubbish {
	struct segment reader;
	struct shm_fixture f;
	uint64_t seed;
};

static uint64_t *any_word(struct rubbish *rubbish, enum region_id id)
{
	struct segment *segment = &rubbish->f.segment;
	uint64_t words = region_bytes(segment_region(segment, id)) / 8;

	return region_at(segment->header, segment_region(segment, id),
			 test_below(&rubbish->seed, words) * 8, 8);
}

static uint64_t any_number(struct rubbish *rubbish)
{
	uint64_t word = test_random(&rubbish->seed);

	switch (test_below(&rubbish->seed, 4)) {
	case 0: return word;
	case 1: return word >> test_below(&rubbish->seed, 64);
	case 2: return UINT64_MAX - (word & 0xffff);
	default: return UINT64_C(1) << (word & 63);
	}
}

/* One word is spoiled: of a table, of a head, or the table's own. */
static void spoil(struct rubbish *rubbish)
{
	struct idmap *idmap = &rubbish->f.segment.header->idmap;

	switch (test_below(&rubbish->seed, 8)) {
	case 0:
		atomic_store(&idmap->table,
			     idmap->table ^
				 UINT64_C(1) << test_below(&rubbish->seed, 64));
		break;
	case 1: atomic_store(&idmap->table, any_number(rubbish)); break;
	case 2:
	case 3:
	case 4:
		*any_word(rubbish, REGION_IDMAP) ^=
		    UINT64_C(1) << test_below(&rubbish->seed, 64);
		break;
	case 5: *any_word(rubbish, REGION_IDMAP) = any_number(rubbish); break;
	default: *any_word(rubbish, REGION_HEADS) = any_number(rubbish); break;
	}
}

static void find_in_rubbish(void *user)
{
	struct rubbish *rubbish = user;
	uint64_t table = rubbish->f.segment.header->idmap.table;

	shm_fence(&rubbish->reader);
	for (uint32_t i = 0; i < 60000 / TEST_SLOW; i++) {
		uint32_t number = (uint32_t)test_below(&rubbish->seed, 4000);

		spoil(rubbish);
		(void)idmap_prefetch(&rubbish->reader, number);
		find_number(&rubbish->reader, 'k', number);
		if (i % 64 == 0) {
			idmap_validate(&rubbish->reader);
			atomic_store(&rubbish->f.segment.header->idmap.table,
				     table);
		}
	}
}

static void rubbish_init(struct rubbish *rubbish, uint64_t seed)
{
	shm_fixture_init(&rubbish->f, SHM_RESERVE, 8, METRIC_L2, 0);
	for (uint32_t i = 1; i <= 3000; i++)
		must_be(enter_number(&rubbish->f.segment, i), "insert");
	shm_reader(&rubbish->f, &rubbish->reader);
	rubbish->seed = seed;
}

static void rubbish_release(struct rubbish *rubbish)
{
	segment_detach(&rubbish->reader);
	shm_fixture_release(&rubbish->f);
}

static void rubbish_never_leads_out_of_what_is_published(uint64_t seed)
{
	struct rubbish rubbish;

	rubbish_init(&rubbish, seed);
	is_int(child_survives(60, find_in_rubbish, &rubbish), 0,
	       "a search among spoiled words ends, and reads what is "
	       "published only");
	rubbish_release(&rubbish);
}

/* No entry is empty, so that nothing ends a search but its bound. */
static void find_among_full_words(void *user)
{
	struct rubbish *rubbish = user;
	struct segment *segment = &rubbish->f.segment;
	const struct region_view *region =
	    segment_region(segment, REGION_IDMAP);
	uint64_t words = region_bytes(region) / 8;
	uint64_t *at = region_at(segment->header, region, 0, words * 8);

	for (uint64_t i = 0; i < words; i++)
		at[i] = test_random(&rubbish->seed) | 1;
	shm_fence(&rubbish->reader);
	for (uint32_t i = 0; i < 20; i++)
		find_number(&rubbish->reader, 'k', i);
}

static void a_search_ends_without_an_empty_word(uint64_t seed)
{
	struct rubbish rubbish;

	rubbish_init(&rubbish, seed);
	is_int(child_survives(60, find_among_full_words, &rubbish), 0,
	       "a search ends in a table without an empty word");
	rubbish_release(&rubbish);
}

static void insert_among_full_words(void *user)
{
	struct rubbish *rubbish = user;

	find_among_full_words(user);
	rubbish->f.segment.header->idmap.count = 0;
	(void)enter_number(&rubbish->f.segment, 5000);
}

static void a_count_of_rubbish_does_not_hang_the_writer(uint64_t seed)
{
	struct rubbish rubbish;

	rubbish_init(&rubbish, seed);
	is_int(child_survives(10, insert_among_full_words, &rubbish), 0,
	       "an insertion ends in a table without an empty word");
	rubbish_release(&rubbish);
}

int main(void)
{
	uint64_t seed;

	test_begin(180);
	seed = test_seed();
	an_empty_map_knows_nobody();
	every_key_is_found_through_all_tables(seed);
	a_key_may_have_any_size();
	keys_of_one_hash_are_told_apart();
	entering_twice_is_entering_once();
	what_an_aborted_attempt_left_is_not_found();
	an_id_that_an_aborted_attempt_gave_does_not_hide_the_real_one();
	a_death_while_entering_loses_no_key();
	without_room_nothing_is_entered();
	rubbish_never_leads_out_of_what_is_published(seed);
	a_search_ends_without_an_empty_word(seed);
	a_count_of_rubbish_does_not_hang_the_writer(seed);
	return done_testing();
}
