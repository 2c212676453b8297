/* SPDX-License-Identifier: Apache-2.0 */
/*
 * resume: an import goes on where it broke off, and each record is put once.
 *
 * idea
 *	Each commit of an import but its last has a mark (cop_mark) that says
 *	how many records were decided by then: put, left out, or bad.  The last
 *	one removes it.  So mark and records cannot come apart, whatever ends
 *	the import; one that resumes reads as many records again, puts none of
 *	them, and goes on.
 *
 * what is the same import
 *	The mark's name is a hash of the files' names and of the options by
 *	which their records mean what they mean; how many a commit has, what
 *	becomes of bad ones and of edges to nowhere may change.  Of files, not
 *	of pipes, the mark has a hash of their sizes and first 64 KiB.  Of
 *	standard input it has nothing: the same bytes are to come again.
 *
 * passing over
 *	Formats pass a record over before they look into it, if nothing that
 *	comes later depends on it.  Where something does (GraphML's nodes with
 *	edges in them, parallel edges of tables), the record is put into a
 *	write that is dropped.  Files before the one that it broke off in are
 *	not opened, unless edges of theirs tell later ones apart.
 *
 * edges that are cut up
 *	Edges of a pass go into the store by tiles (tiles.c), each a commit, in
 *	another order than in the files.  The marks of all but the last of these
 *	are what there was before, and up to where in that order all is in.  Who
 *	resumes reads the same edges, and leaves those out.
 *
 * imports that nobody goes on with
 *	Their marks stay, of the newest RESUME_KEPT: a further one takes the
 *	place of the oldest.
 *
 * totals
 *	They go on from those of the mark.  What the commit with the mark came
 *	to is not known when the mark is written: it counts as if all of it was
 *	put, so edges that this one commit left out count as put, and stubs that
 *	it made for missing ends do not count.
 */
#include "resume.h"
#include "import.h"
#include "words.h"

#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

enum {
	RESUME_HEAD_BYTES = 65536,
	RESUME_VALUE_ROOM = 1024,
	RESUME_KEPT = 32 /* marks of imports that a store has */
};

#define RESUME_PREFIX "import:"

/* ---- which import it is ------------------------------------------------- */

static uint64_t hash_text(uint64_t hash, const char *text)
{
	return text ? XXH3_64bits_withSeed(text, strlen(text) + 1, hash)
		    : XXH3_64bits_withSeed("", 0, hash);
}

static uint64_t hash_number(uint64_t hash, int64_t number)
{
	return XXH3_64bits_withSeed(&number, sizeof number, hash);
}

/* Of files: their names, and how they begin. */
struct file_hashes {
	uint64_t names, contents;
};

static int hash_file(void *user, const char *path)
{
	struct file_hashes *hashes = user;
	char whole[PATH_MAX];
	struct stat st;
	char *head;
	ssize_t got;
	int fd;

	if (!strcmp(path, "-") || stat(path, &st) || !S_ISREG(st.st_mode) ||
	    !realpath(path, whole)) {
		hashes->names = hash_text(hashes->names, path);
		return 0;
	}
	hashes->names = hash_text(hashes->names, whole);
	hashes->contents = hash_number(hashes->contents, st.st_size);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	head = malloc(RESUME_HEAD_BYTES);
	got = fd < 0 || !head ? 0 : pread(fd, head, RESUME_HEAD_BYTES, 0);
	hashes->contents = XXH3_64bits_withSeed(head, got > 0 ? (size_t)got : 0,
						hashes->contents);
	free(head);
	if (fd >= 0)
		close(fd);
	return 0;
}

static void hash_import(struct import *import)
{
	const struct table *table = &import->table;
	struct file_hashes hashes = {0, 0};
	const int64_t numbers[] = {
	    import->format,	    import->local_names,
	    import->stage.conflict, table->dialect.delimiter,
	    table->dialect.quote,   table->dialect.escape,
	    table->array_delimiter, table->has_no_header};
	const char *const texts[] = {import->array,	   import->type,
				     import->relation,	   import->type_key,
				     import->relation_key, import->ids_column};

	for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
		hashes.names = hash_number(hashes.names, numbers[i]);
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		hashes.names = hash_text(hashes.names, texts[i]);
	(void)hash_file(&hashes, import->ids ? import->ids : "");
	(void)hash_file(&hashes, table->header ? table->header : "");
	(void)operands_each(&import->operands, hash_file, &hashes);
	snprintf(import->resume.name, RESUME_NAME_ROOM,
		 RESUME_PREFIX "%016" PRIx64, hashes.names);
	import->resume.now.contents = hashes.contents;
}

/* ---- the mark ----------------------------------------------------------- */

static const struct {
	const char *name;
	size_t at;
} resume_members[] = {
#define MEMBER(name)                                                           \
	{                                                                      \
#name, offsetof(struct resume_point, name)                     \
	}
    MEMBER(contents),	MEMBER(turns),	       MEMBER(file),
    MEMBER(file_turns), MEMBER(has_seen),      MEMBER(records),
    MEMBER(vectors),	MEMBER(bad),	       MEMBER(endless),
    MEMBER(doubled),	MEMBER(commits),       MEMBER(entities_put),
    MEMBER(edges_put),	MEMBER(edges_skipped), MEMBER(stubs_put),
    MEMBER(lost),	MEMBER(skipped),       MEMBER(merged),
    MEMBER(begin),	MEMBER(cuts),	       MEMBER(until),
    MEMBER(order),	MEMBER(same),
#undef MEMBER
};

enum { RESUME_MEMBERS = sizeof resume_members / sizeof *resume_members };

static uint64_t *point_member(struct resume_point *point, size_t i)
{
	return (uint64_t *)(void *)((char *)point + resume_members[i].at);
}

/* "contents=N turns=N ...", for people, too. */
static void point_write(struct resume_point point, char *out, size_t room)
{
	int size = 0;

	for (size_t i = 0; i < RESUME_MEMBERS; i++)
		size +=
		    snprintf(out + size, room - (size_t)size, "%s%s=%" PRIu64,
			     i ? " " : "", resume_members[i].name,
			     *point_member(&point, i));
}

/* Returns whether it is one. */
static int point_read(struct resume_point *point, const char *text, size_t size)
{
	char copy[RESUME_VALUE_ROOM];
	char *at = copy, *word;

	if (size >= sizeof copy)
		return 0;
	memcpy(copy, text, size);
	copy[size] = '\0';
	for (size_t i = 0; i < RESUME_MEMBERS; i++) {
		size_t name = strlen(resume_members[i].name);

		word = strsep(&at, " ");
		if (!word || strncmp(word, resume_members[i].name, name) ||
		    word[name] != '=' ||
		    words_u64(word + name + 1, 10, point_member(point, i)))
			return 0;
	}
	return 1;
}

/* ---- going on ----------------------------------------------------------- */

/* Says what comes of a mark that there is; 1 if the import goes on from it. */
static int mark_take(struct import *import, const struct cop_mark *mark)
{
	struct resume *resume = &import->resume;
	struct cli *cli = import->cli;
	struct resume_point point;
	int is_one = point_read(&point, mark->value, mark->value_size);
	char count[64];

	if (is_one)
		words_things(count, point.turns, "record", "records");
	else
		snprintf(count, sizeof count, "some records");
	if (resume->is_wanted && is_one &&
	    point.contents == resume->now.contents) {
		resume->before = resume->sealed = point;
		resume->sealed.until = 0;
		if (!cli->quiet)
			fault_note("goes on after %s, which are in the store "
				   "since commit %" PRIu64,
				   count, mark->commit);
		return 1;
	}
	if (cli->quiet)
		return 0;
	if (resume->is_wanted)
		fault_note("an import of these files broke off after %s, but "
			   "%s: it begins at the start",
			   count,
			   is_one ? "they are others now, by their sizes or "
				    "how they begin"
				  : "its mark is of another coppice");
	else
		fault_note("an import of these files broke off after %s; this "
			   "one begins at the start, --resume goes on",
			   count);
	return 0;
}

struct others {
	struct resume *resume;
	uint64_t count;	  /* of marks that are not of this import */
	uint64_t imports; /* of those, of imports */
	uint64_t oldest;
};

static int32_t other_see(void *user, cop_read *read,
			 const struct cop_mark *mark)
{
	const size_t prefix = sizeof RESUME_PREFIX - 1;
	struct others *others = user;
	struct resume *resume = others->resume;

	(void)read;
	if (mark->name_size == strlen(resume->name) &&
	    !memcmp(mark->name, resume->name, mark->name_size))
		return 0;
	others->count++;
	if (mark->name_size < prefix || mark->name_size >= RESUME_NAME_ROOM ||
	    memcmp(mark->name, RESUME_PREFIX, prefix) != 0)
		return 0;
	if (!others->imports++ || mark->commit < others->oldest) {
		others->oldest = mark->commit;
		snprintf(resume->stale, sizeof resume->stale, "%.*s",
			 (int)mark->name_size, mark->name);
	}
	return 0;
}

/* Sees to it that there is room for a mark, if others have not taken it. */
static cop_err others_see(struct resume *resume, cop_read *read)
{
	struct others others = {.resume = resume};
	cop_err err = cop_marks(read, other_see, &others);

	if (others.imports < RESUME_KEPT || resume->is_marked)
		resume->stale[0] = '\0';
	resume->is_full =
	    others.count - (resume->stale[0] != '\0') >= COP_MARK_COUNT;
	return err;
}

static void totals_take(struct import *import)
{
	const struct resume_point *before = &import->resume.before;
	struct batch *batch = &import->batch;

	batch->commits = before->commits;
	batch->total.entities_put = before->entities_put;
	batch->total.edges_put = before->edges_put;
	batch->total.edges_skipped = before->edges_skipped;
	batch->total.stubs_put = before->stubs_put;
	import->lost = before->lost;
	import->stage.total.skipped = before->skipped;
	import->stage.total.merged = before->merged;
	import->stage.begin = before->begin;
	import->stage.is_begun = before->begin != 0;
}

int resume_begin(struct import *import)
{
	struct resume *resume = &import->resume;
	struct cop_mark mark = {.size = sizeof mark};
	struct cli *cli = import->cli;
	cop_read *read;
	cop_err err;

	hash_import(import);
	err = cop_read_begin(cli->store, &read);
	if (err)
		return fault_cop(&cli->fault, err);
	err = cop_read_mark(read, resume->name, strlen(resume->name), &mark);
	resume->is_marked = !err && mark.commit != 0;
	if (!err)
		err = others_see(resume, read);
	if (!err && resume->is_marked && mark_take(import, &mark)) {
		totals_take(import);
		import->batch.commit = mark.commit;
	} else if (!err && !mark.commit && resume->is_wanted && !cli->quiet) {
		fault_note("no import of these files, with these options, "
			   "broke off in this store: it begins at the start");
	}
	cop_read_end(read);
	return err ? fault_cop(&cli->fault, err) : 0;
}

int resume_is_passing(const struct import *import)
{
	const struct resume *resume = &import->resume;

	return resume->now.turns < resume->before.turns;
}

int resume_is_cut(const struct import *import)
{
	const struct resume *resume = &import->resume;

	return resume->before.until > resume->now.turns;
}

/* All that was to be passed over was: its totals are those of the mark. */
static void passed(struct import *import)
{
	const struct resume_point *before = &import->resume.before;

	import->records = before->records;
	import->vectors = before->vectors;
	import->bad = before->bad;
	import->record.endless = before->endless;
	import->record.doubled = before->doubled;
	tiles_resume(import);
}

int resume_file(struct import *import, const char *path)
{
	struct resume *resume = &import->resume;
	const struct resume_point *before = &resume->before;
	struct resume_point *now = &resume->now;
	struct stat st;

	if (!resume->is_begun) {
		resume->is_begun = 1;
	} else {
		now->file++;
		now->file_turns = now->turns;
	}
	if (!resume_is_passing(import) || before->has_seen)
		return 0;
	if (now->file == before->file) {
		now->turns = now->file_turns = before->file_turns;
		if (!resume_is_passing(import))
			passed(import);
		return 0;
	}
	if (!stat(path, &st))
		import->bytes_before += (uint64_t)st.st_size;
	return 1;
}

int resume_turn(struct import *import)
{
	struct batch *batch = &import->batch;
	int was_passing = resume_is_passing(import);

	import->resume.now.turns++;
	if (!was_passing)
		return 0;
	if (!resume_is_passing(import)) {
		passed(import);
	} else if (cop_write_bytes(batch->write) < batch->byte_max) {
		return 0;
	}
	return batch_restart(batch, &import->cli->fault);
}

/* Removes it if there is no value. */
static cop_err mark_set(struct import *import, const char *name,
			const char *value)
{
	return cop_mark(import->batch.write, name, strlen(name), value,
			value ? strlen(value) : 0);
}

static cop_err point_set(struct import *import, struct resume_point point)
{
	struct resume *resume = &import->resume;
	char value[RESUME_VALUE_ROOM];
	cop_err err = 0;

	if (resume->stale[0])
		err = mark_set(import, resume->stale, NULL);
	resume->stale[0] = '\0';
	resume->is_marked = 1;
	point_write(point, value, sizeof value);
	return err ? err : mark_set(import, resume->name, value);
}

/* What the records come to that are in the batch's write. */
static void point_count(const struct import *import, struct resume_point *point)
{
	const struct cop_result *total = &import->batch.total;
	const struct stage *stage = &import->stage;
	struct stage_counts now = stage->now;

	if (!stage->is_on)
		now = (struct stage_counts){
		    .edges = import->resume.edges,
		    .entities = batch_count(&import->batch) -
				import->batch.filling.contents -
				import->resume.edges - import->resume.deletes};
	point->entities_put = total->entities_put + now.entities;
	point->edges_put = total->edges_put + now.edges;
	point->edges_skipped = total->edges_skipped + stage->edges_skipped;
	point->stubs_put = total->stubs_put + now.stubs;
	point->skipped = stage->total.skipped + now.skipped;
	point->merged = stage->total.merged + now.merged;
	point->vectors = import->vectors - now.vectors_out;
	point->begin = stage->is_begun ? stage->begin : 0;
}

/* What there is when all of the batch is in the store. */
static struct resume_point point_whole(const struct import *import)
{
	struct resume_point point = import->resume.now;

	point.has_seen = import->parallel.count != 0;
	point.cuts = (uint64_t)import->tiles.is_on;
	point.records = import->records;
	point.bad = import->bad;
	point.lost = import->lost;
	point.endless = import->record.endless;
	point.doubled = import->record.doubled;
	point.commits = import->batch.commits + 1;
	point_count(import, &point);
	return point;
}

/* What there is when a part of it is, too. */
static struct resume_point point_part(const struct import *import)
{
	struct resume_point point = import->resume.sealed;

	point.contents = import->resume.now.contents;
	point.until = import->resume.now.turns;
	point.order = import->tiles.order;
	point.same = import->tiles.same;
	return point;
}

int resume_seal(void *user, struct fault *fault)
{
	struct import *import = user;
	struct resume *resume = &import->resume;
	int follows = import->batch.follows;
	struct resume_point point;
	cop_err err;

	point = follows ? point_part(import) : point_whole(import);
	if (!follows)
		resume->sealed = point;
	resume->edges = resume->deletes = 0;
	if (import->is_atomic || (resume->is_last && !follows) ||
	    resume->is_full)
		err = resume->is_marked ? mark_set(import, resume->name, NULL)
					: 0;
	else
		err = point_set(import, point);
	return err ? fault_cop(fault, err) : 0;
}

int resume_check(struct import *import)
{
	char now[64], before[32];

	if (!resume_is_passing(import))
		return 0;
	words_things(now, import->resume.now.turns, "record is", "records are");
	words_count(before, import->resume.before.turns);
	return fault_set(&import->cli->fault, EXIT_BAD_INPUT,
			 "%s there, of %s that were in the store when the "
			 "import broke off: this is not what it read. Import "
			 "it without --resume",
			 now, before);
}
