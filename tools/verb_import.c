/* SPDX-License-Identifier: Apache-2.0 */
/*
 * import: files into the store.
 *
 * idea
 *	A format reads records and puts each into the batch's write; this file
 *	holds what is the same for all: options, files one after another,
 *	commits, bad records, the summary.  Memory is one batch, unless
 *	--atomic asks for everything in one.
 *
 * when it stops
 *	At a bad record, a failed commit or a signal, what is in the batch is
 *	dropped and the message says up to where the input is in the store, and
 *	which commit that is.  With --resume it goes on from there (resume.c).
 */
#include "import.h"
#include "out.h"
#include "stop.h"
#include "words.h"
#include "verbs.h"

#include <inttypes.h>
#include <string.h>
#include <unistd.h>

enum {
	IMPORT_BATCH = 20000,
	IMPORT_BATCH_FIRST = 50000,
	IMPORT_BATCH_BYTES = 33554432
};

enum {
	IMPORT_FORMAT = ARG_OWN,
	IMPORT_IDS,
	IMPORT_ARRAY,
	IMPORT_DANGLING,
	IMPORT_ATOMIC,
	IMPORT_SKIP_BAD,
	IMPORT_RESUME,
	IMPORT_MAX_BAD,
	IMPORT_REJECT,
	IMPORT_CONFLICT,
	IMPORT_DRY_RUN,
	IMPORT_SIZE,
	IMPORT_TYPE,
	IMPORT_RELATION,
	IMPORT_DELIMITER,
	IMPORT_QUOTE,
	IMPORT_ESCAPE,
	IMPORT_ARRAY_DELIMITER,
	IMPORT_NO_HEADER,
	IMPORT_HEADER,
	IMPORT_TYPE_KEY,
	IMPORT_RELATION_KEY,
	IMPORT_LOCAL_NAMES,
	IMPORT_THREADS
};

static const struct arg_row import_rows[] = {
    {IMPORT_FORMAT, "format",
     "ndjson|csv|npy|fvecs|bvecs|ivecs|fbin|u8bin|i8bin|ibin|word2vec|glove|"
     "npz|json|edges|triples|graphml|nt|nq|ttl|trig",
     "of all files (default: by content and name)"},
    {IMPORT_IDS, "ids", "FILE[:COLUMN]",
     "keys of the rows of vectors, one a line, or a column of csv"},
    {IMPORT_ARRAY, "array", "NAME",
     "which of an .npz (default: \"vectors\", "
     "\"emb...\" or the only one)"},
    {IMPORT_DANGLING, "dangling", "reject|stub|skip",
     "edges to entities not there (default: reject)"},
    {IMPORT_ATOMIC, "atomic", NULL, "one single commit: all or nothing"},
    {IMPORT_SKIP_BAD, "skip-bad", NULL, "leave bad records out, count them"},
    {IMPORT_RESUME, "resume", NULL,
     "go on where an import of these files broke off"},
    {IMPORT_MAX_BAD, "max-bad", "N", "the same, but stop if there are more"},
    {IMPORT_REJECT, "reject", "FILE",
     "the same, and add them to a file, to be mended"},
    {IMPORT_CONFLICT, "on-conflict", "replace|error|skip|merge",
     "if an entity or edge is there already (default: replace)"},
    {IMPORT_DRY_RUN, "dry-run", NULL, "check everything, put nothing"},
    {IMPORT_SIZE, "batch", "N",
     "records a commit (default: 20000, of a first import 50000)"},
    {IMPORT_TYPE, "type", "NAME", "type of entities that name none"},
    {IMPORT_RELATION, "relation", "NAME",
     "relation of edges that name none (default: edge)"},
    {IMPORT_DELIMITER, "delimiter", "CHAR",
     "csv: between cells, `tab` is one (default: as the file has it)"},
    {IMPORT_QUOTE, "quote", "CHAR", "csv: around cells, or none (default: \")"},
    {IMPORT_ESCAPE, "escape", "CHAR",
     "csv: in quotes, before a quote (default: none, they are doubled)"},
    {IMPORT_ARRAY_DELIMITER, "array-delimiter", "CHAR",
     "csv: between members of lists, and tags (default: ;)"},
    {IMPORT_NO_HEADER, "no-header", NULL,
     "csv: no names; source,target or source,relation,target"},
    {IMPORT_HEADER, "header", "FILE",
     "csv: its first line has the names of all files' columns"},
    {IMPORT_TYPE_KEY, "type-key", "NAME",
     "GraphML: the data that tell types (default: labels, labelV, type, ...)"},
    {IMPORT_RELATION_KEY, "relation-key", "NAME",
     "GraphML: the data that tell relations (default: labelE, relation, ...)"},
    {IMPORT_LOCAL_NAMES, "local-names", NULL,
     "RDF: types, relations, properties by what is behind the last # or /"},
    {IMPORT_THREADS, "threads", "N",
     "threads that link vectors (default: a processor each, at most 8)"},
    {ARG_PROGRESS, "progress", "auto|never|always",
     "on a terminal (default), never or always"},
    {ARG_JSON, "json", NULL, "print the summary as JSON, on stdout"},
    ARG_END,
};

static const char import_notes[] =
    "FILE is plain or packed by gzip, zstd or lz4; `-` is standard input, and "
    "a\n"
    "pattern in quotes, 'data/*.csv', the files that it matches.\n"
    "  ndjson  {\"key\":..,\"type\":..,\"tags\":[..],\"properties\":{..},"
    "\"content\":..,\n"
    "          \"vector\":[..]} and {\"source\":..,\"relation\":..,"
    "\"target\":..,\n"
    "          \"properties\":{..}}; `id` may stand for `key`, `type` for "
    "`relation`;\n"
    "          other members become properties; \"vector\":null drops the "
    "vector;\n"
    "          edges may have \"discriminator\", \"valid_from\", "
    "\"valid_to\", entities\n"
    "          \"timed\":[{\"tag\":..,\"valid_from\":..},{\"property\":..,"
    "\"value\":..}]; an MCP memory server's memory.jsonl is read, too\n"
    "  json    lists of these, alone or as \"nodes\", \"edges\" and the "
    "like of an\n          object; Qdrant's and Pinecone's points, here "
    "and there\n"
    "  csv     entities: key,type,tags,content,vector, edges: source,type,"
    "target, and\n"
    "          columns that become properties, with types: born:int, "
    "names:string[];\n"
    "          or headers as of neo4j-admin (:ID, :START_ID) and Gremlin (~id, "
    "~from);\n"
    "          HEADER,FILE,...: the names of the columns are in the first one\n"
    "  edges   two words a line, source and target, and maybe a number, the "
    "weight\n"
    "  triples source, relation and target between tabs\n"
    "  npy     a vector a row, for the keys 0, 1, 2, ... or those of --ids\n"
    "  fvecs   likewise; so are bvecs, ivecs, fbin, u8bin, i8bin and ibin\n"
    "  word2vec, text or binary, and glove: the words are the keys\n"
    "  graphml nodes and edges, data become properties\n"
    "  nt, nq, ttl, trig  RDF: IRIs are keys, literals properties, other "
    "triples edges\n"
    "An edge may name entities that come before it. Where the import stops at "
    "a bad\nrecord, everything up to the last commit is in the store, and the "
    "message says\nup to where that is; importing it again puts the same "
    "again. "
    "With --resume it goes\non from there, each record put once. "
    "With --skip-bad the exit status is 0 however\nmany records were left "
    "out. --reject FILE has lines\n{\"file\":..,\"line\":..,"
    "\"error\":..,\"record\":..}, --on-conflict merge unites properties\n"
    "and tags.\n";

/* ---- what the formats call ---------------------------------------------- */

static int import_took(struct import *import)
{
	import->records++;
	return resume_turn(import);
}

/* After a record that was taken. */
static int import_look(struct import *import)
{
	if (stop_signal())
		return cli_stopped(import->cli);
	progress_step(&import->progress,
		      import->bytes_before + import->reader.raw_bytes,
		      import->records);
	return 0;
}

int import_step(struct import *import)
{
	return import_took(import) ? import->cli->fault.code
				   : import_look(import);
}

/* Whether the record at hand is to be compared with the store. */
static int import_stages(const struct import *import)
{
	return import->stage.is_on && !resume_is_passing(import);
}

int import_flush(struct import *import)
{
	if (import->stage.is_on)
		return stage_commit(import);
	return tiles_end(import)
		   ? import->cli->fault.code
		   : batch_finish(&import->batch, &import->cli->fault);
}

/* Commits when it is time. */
static int import_passed(struct import *import)
{
	struct fault *fault = &import->cli->fault;

	if (import_took(import))
		return fault->code;
	if (!import->resume.holds &&
	    (tiles_is_time(import) || stage_is_full(&import->stage)) &&
	    (import->stage.is_on ? stage_commit(import) : tiles_pass(import)))
		return fault->code;
	return import_look(import);
}

int import_added(struct import *import, const struct place *place)
{
	if (resume_is_passing(import))
		return import_step(import);
	if (import->stage.is_on && stage_place(import, place))
		return import->cli->fault.code;
	return batch_add(&import->batch, place, &import->cli->fault)
		   ? import->cli->fault.code
		   : import_passed(import);
}

int import_part(struct import *import, const char *line, size_t size)
{
	if (!resume_is_passing(import) &&
	    (tiles_end(import) ||
	     parts_add(&import->record.parts, line, size, &import->cli->fault)))
		return import->cli->fault.code;
	return import_look(import);
}

static int import_recorded(struct import *import, const struct place *place)
{
	if (!import->record.kind)
		return import_endless(import, place);
	if (import->record.kind == RECORD_EDGE && tiles_wants(import))
		return import_passed(import);
	if (import->record.has_parts && !import->stage.is_on &&
	    batch_add_content(&import->batch, place, &import->cli->fault))
		return import->cli->fault.code;
	import->vectors += (uint64_t)import->record.has_vector;
	import->resume.edges += import->record.kind == RECORD_EDGE;
	import->resume.deletes += import->record.kind == RECORD_DELETE;
	return import_added(import, place);
}

/*
 * Whether what was put is no edge while edges wait: it comes after those, so it
 * is to be put again.
 */
static int import_is_early(const struct import *import)
{
	int kind = import->record.kind;

	return tiles_wants(import) && kind && kind != RECORD_EDGE;
}

int import_record(struct import *import, const struct place *place,
		  const char *data, size_t size)
{
	struct record *record = &import->record;
	struct fault *fault = &import->cli->fault;
	uint64_t doubled = record->doubled;
	int code;

	import->place = place;
	code = record_put(record, import->batch.write, data, size, fault);
	if (!code && import_is_early(import)) {
		if (tiles_end(import))
			return fault->code;
		record->doubled = doubled;
		code =
		    record_put(record, import->batch.write, data, size, fault);
	}
	if (!code)
		return import_recorded(import, place);
	if (import->list)
		fault_prefix(fault, "%s[%" PRIu64 "]: ", import->list,
			     import->index);
	return import_bad(import, place);
}

int import_boundary(struct import *import)
{
	struct fault *fault = &import->cli->fault;

	import->resume.holds = 1;
	if (tiles_end(import) || resume_turn(import) ||
	    (!resume_is_passing(import) && batch_count(&import->batch) &&
	     batch_pass(&import->batch, fault)))
		return fault->code;
	return import_look(import);
}

int import_entity(struct import *import, const struct place *place,
		  const struct cop_put *put)
{
	cop_err err;

	if (tiles_end(import))
		return import->cli->fault.code;
	err = cop_put(import->batch.write, put);
	if (err) {
		fault_input(&import->cli->fault, err);
		return import_bad(import, place);
	}
	if (import_stages(import) &&
	    stage_put(import, STAGED_ENTITY, put, import->is_again))
		return import->cli->fault.code;
	import->vectors += put->vector != NULL;
	return import_added(import, place);
}

int import_edge(struct import *import, const struct place *place,
		struct cop_put_edge *edge)
{
	cop_err err;

	edge->dangling = import->dangling;
	if (record_is_endless(&import->record, edge))
		return import_endless(import, place);
	err = cop_put_edge(import->batch.write, edge);
	if (err) {
		fault_input(&import->cli->fault, err);
		return import_bad(import, place);
	}
	if (tiles_wants(import))
		return tiles_edge(import, place, edge) ? import->cli->fault.code
						       : import_passed(import);
	import->resume.edges += !resume_is_passing(import);
	if (import_stages(import) && stage_edge(import, edge))
		return import->cli->fault.code;
	return import_added(import, place);
}

/* The records of record.c are put by it. */
static int import_taken(void *user, const struct cop_put *put,
			const struct cop_put_edge *edge, cop_upload **upload)
{
	struct import *import = user;

	if (!import->stage.is_on)
		return edge && tiles_wants(import)
			   ? tiles_edge(import, import->place, edge)
			   : 0;
	if (!put)
		return stage_edge(import, edge);
	if (stage_put(import, STAGED_ENTITY, put, 0))
		return import->cli->fault.code;
	if (import->record.has_parts)
		stage_content(&import->stage, *upload);
	*upload = NULL;
	return 0;
}

/* ---- files -------------------------------------------------------------- */

/* Whether what is said goes with the format. */
static int import_check_format(struct import *import, enum format format)
{
	struct cli *cli = import->cli;

	if (import->ids && !format_has_rows(format))
		return args_fault(cli,
				  "%s is %s; --ids goes with vectors, such as "
				  "npy or fvecs",
				  import->reader.name, format_names[format]);
	if (format_has_rows(format) && import->operands.count == 1 &&
	    (args_given(cli, IMPORT_DANGLING) ||
	     args_given(cli, IMPORT_RELATION)))
		return args_fault(cli,
				  "%s is %s, which has no edges; --dangling "
				  "and --relation go with those",
				  import->reader.name, format_names[format]);
	return 0;
}

static int import_dispatch(struct import *import)
{
	struct fault *fault = &import->cli->fault;
	enum format format = (enum format)import->format;

	if (format == FORMAT_UNKNOWN &&
	    format_find(&import->reader, &format, fault))
		return fault->code;
	if (import_check_format(import, format))
		return fault->code;
	switch (format) {
	case FORMAT_NDJSON: return ndjson_import(import);
	case FORMAT_JSON: return document_import(import);
	case FORMAT_CSV: return csv_import(import);
	case FORMAT_EDGES: return edges_import(import);
	case FORMAT_TRIPLES: return csv_import_triples(import);
	case FORMAT_GRAPHML: return graphml_import(import);
	case FORMAT_NTRIPLES:
	case FORMAT_NQUADS:
	case FORMAT_TURTLE:
	case FORMAT_TRIG:
		if (import->stage.conflict == CONFLICT_ERROR ||
		    import->stage.conflict == CONFLICT_SKIP)
			return args_fault(import->cli,
					  "%s is %s, which adds to what is "
					  "there; it takes no --on-conflict",
					  import->reader.name,
					  format_names[format]);
		return rdf_import(import, (int)format);
	default: return rows_import(import, (int)format);
	}
}

static int import_file(struct import *import, const char *path)
{
	int code;

	if (tiles_end(import))
		return import->cli->fault.code;
	if (resume_file(import, path))
		return 0;
	code = reader_open(&import->reader, path, &import->cli->fault);
	import->reader.member = import->array;
	import->text = NULL;
	if (!code)
		code = import_dispatch(import);
	import->bytes_before += import->reader.raw_bytes;
	reader_close(&import->reader);
	return code;
}

/*
 * HEADER,FILE,...: the names of the columns of all are in the first one, which
 * may have records, too.  The operand is cut, for messages name the files.
 */
static int import_parts(struct import *import, char *first)
{
	char *comma = strchr(first, ',');
	const char *header = import->table.header;
	int code;

	*comma = '\0';
	import->format = FORMAT_CSV;
	code = import_file(import, first);
	import->table.header = first;
	while (!code && comma) {
		char *next = comma + 1;

		comma = strchr(next, ',');
		if (comma)
			*comma = '\0';
		code = import_file(import, next);
	}
	import->table.header = header;
	return code;
}

static int import_operand(struct import *import, char *path)
{
	int format = import->format, code;

	if (!operands_is_list(path) ||
	    (format != FORMAT_UNKNOWN && format != FORMAT_CSV))
		return import_file(import, path);
	code = import_parts(import, path);
	import->format = format;
	return code;
}

/* ---- the end ------------------------------------------------------------ */

/* Edges that were left out since an end was not there. */
static uint64_t import_skipped(const struct import *import)
{
	return import->batch.total.edges_skipped + import->stage.edges_skipped +
	       import->record.endless;
}

static void import_print_json(const struct import *import)
{
	const struct cop_result *total = &import->batch.total;
	const struct stage *stage = &import->stage;

	printf("{\"schema\":\"coppice.import/1\",\"records\":%" PRIu64
	       ",\"entities_put\":%" PRIu64 ",\"edges_put\":%" PRIu64
	       ",\"vectors_put\":%" PRIu64 ",\"edges_skipped\":%" PRIu64
	       ",\"stubs_put\":%" PRIu64 ",\"doubled\":%" PRIu64
	       ",\"bad\":%" PRIu64 ",\"skipped\":%" PRIu64
	       ",\"merged\":%" PRIu64 ",\"resumed\":%" PRIu64
	       ",\"commits\":%" PRIu64 ",\"commit\":%" PRIu64
	       ",\"dry_run\":%s,\"peak_bytes\":%" PRIu64 ",\"seconds\":%.3f}\n",
	       import->records, total->entities_put, total->edges_put,
	       import->vectors, import_skipped(import), total->stubs_put,
	       import->record.doubled, import->bad, stage->total.skipped,
	       stage->total.merged, import->resume.before.records,
	       import->batch.commits, import->batch.commit,
	       stage->is_dry ? "true" : "false", progress_peak(),
	       progress_seconds(&import->progress));
}

static void import_print_more(uint64_t count, const char *one, const char *many,
			      const char *what)
{
	char text[64];

	if (count)
		fprintf(stderr, "; %s %s", words_things(text, count, one, many),
			what);
}

static void import_print(const struct import *import)
{
	const struct cop_result *total = &import->batch.total;
	uint64_t records = import->records - import->resume.before.records;
	double seconds = progress_seconds(&import->progress);
	int is_dry = import->stage.is_dry;
	char a[64], b[64], c[64], d[64], e[64];

	words_things(d, import->batch.commits, "commit", "commits");
	fprintf(stderr, "%s%s, %s, %s %s%s, %.1f s, %s records/s",
		is_dry ? "dry run, nothing was put: " : "",
		words_things(a, total->entities_put, "entity", "entities"),
		words_things(b, total->edges_put, "edge", "edges"),
		words_things(c, import->vectors, "vector", "vectors"),
		is_dry ? "would be" : "in ", is_dry ? "" : d, seconds,
		words_count(e, (uint64_t)((double)records / seconds)));
	import_print_more(total->stubs_put, "stub", "stubs",
			  "put for missing ends");
	import_print_more(import_skipped(import), "edge", "edges",
			  "left out, an end is missing");
	import_print_more(import->stage.total.skipped, "record", "records",
			  "left out, there already");
	import_print_more(import->stage.total.merged, "record", "records",
			  "merged with what was there");
	fputc('\n', stderr);
}

/* Adds to the fault how far the import came. */
static void import_say_where(struct import *import)
{
	struct fault *fault = &import->cli->fault;
	struct batch *batch = &import->batch;
	char where[1024];
	size_t size = strlen(fault->text);

	if (!batch->done.file) {
		snprintf(fault->text + size, sizeof fault->text - size,
			 batch->is_torn
			     ? "; some of the edges that come next are in the "
			       "store"
			 : import->resume.before.turns
			     ? "; nothing more was imported"
			     : "; nothing was imported");
		return;
	}
	place_text(&batch->done, where, sizeof where);
	snprintf(
	    fault->text + size, sizeof fault->text - size,
	    "; in the store is everything up to %s%s, commit %" PRIu64 "%s",
	    where, batch->is_torn ? ", and some of the edges behind it" : "",
	    batch->commit,
	    import->resume.is_marked ? "; --resume goes on from there" : "");
}

/* What is under way stands before what a fault is of, and comes first. */
static int import_settle(struct import *import, int code)
{
	struct fault before = {0};

	if (!batch_settle(&import->batch, &before))
		return code;
	import->cli->fault = before;
	return before.code;
}

/* The last commit, even if all that it does is to remove the mark. */
static int import_finish(struct import *import)
{
	uint64_t before;
	int code = resume_check(import);

	code = import_settle(import, code);
	if (code)
		return code;
	before = import->batch.commits;
	import->resume.is_last = 1;
	code = import_flush(import);
	if (!code && import->resume.is_marked && !import->stage.is_dry &&
	    import->batch.commits == before)
		code = batch_commit(&import->batch, &import->cli->fault);
	return code;
}

/* What was left out, or taken in one of several ways; the summary has more. */
static void import_tell_odd(struct import *import, int is_through)
{
	struct parts *parts = &import->record.parts;
	char text[64];

	if (import->record.doubled && !import->cli->quiet)
		fault_note("warning: %s both in a line and in its "
			   "\"properties\"; the line's were taken",
			   words_things(text, import->record.doubled,
					"property is", "properties are"));
	parts_drop(parts);
	if (parts->astray && !import->cli->quiet)
		fault_note("warning: %s left out, for their record does "
			   "not follow",
			   words_things(text, parts->astray,
					"line of contents was",
					"lines of contents were"));
	if (import->bad)
		fault_note("%s left out%s%s",
			   words_things(text, import->bad, "bad record was",
					"bad records were"),
			   import->refused ? ", see " : "",
			   import->refused ? import->refused : "");
	if (import->lost && !is_through)
		fault_note(
		    "%s left out since an end is missing",
		    words_things(text, import->lost, "edge was", "edges were"));
}

static int import_end(struct import *import, int code)
{
	struct reject *reject = &import->reject;

	code = code ? import_settle(import, code) : import_finish(import);
	if (!code)
		code = reject_close(reject, &import->cli->fault);
	progress_end(&import->progress);
	if (stop_signal() && code == 128 + stop_signal())
		import->cli->stop_signal = stop_signal();
	import_tell_odd(import, !code);
	if (code)
		import_say_where(import);
	else if (import->prints_json)
		import_print_json(import);
	else if (!import->cli->quiet)
		import_print(import);
	return code;
}

/* ---- options ------------------------------------------------------------ */

/* The numbers of enum cop_dangling are the indexes here. */
static const char *const import_danglings[] = {"reject", "stub", "skip", NULL};
/* Those of enum stage_conflict. */
static const char *const import_conflicts[] = {"replace", "error", "skip",
					       "merge", NULL};
static const char *const import_progresses[] = {"auto", "never", "always",
						NULL};

/* The option's value as one byte, by itself or by its name. */
static int import_byte(struct cli *cli, int *out)
{
	static const struct {
		const char *name;
		int byte;
	} names[] = {{"tab", '\t'}, {"\\t", '\t'}, {"space", ' '}};
	const char *value = cli->value;

	if (strlen(value) == 1 && !strchr("\r\n", *value)) {
		*out = (unsigned char)*value;
		return 0;
	}
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (!strcmp(value, names[i].name)) {
			*out = names[i].byte;
			return 0;
		}
	return args_fault(cli, "'%s' is not one byte, tab or space", value);
}

/* The same, or none. */
static int import_byte_or_none(struct cli *cli, int *out)
{
	if (strcmp(cli->value, "none") != 0)
		return import_byte(cli, out);
	*out = CSV_NONE;
	return 0;
}

/* The options of tables. */
static int import_table_option(struct import *import, int id)
{
	struct cli *cli = import->cli;
	struct table *table = &import->table;

	switch (id) {
	case IMPORT_DELIMITER:
		return import_byte(cli, &table->dialect.delimiter);
	case IMPORT_QUOTE:
		return import_byte_or_none(cli, &table->dialect.quote);
	case IMPORT_ESCAPE:
		return import_byte_or_none(cli, &table->dialect.escape);
	case IMPORT_ARRAY_DELIMITER:
		return import_byte(cli, &table->array_delimiter);
	case IMPORT_NO_HEADER: table->has_no_header = 1; break;
	default: table->header = cli->value; break;
	}
	return 0;
}

/* Whether what is said of tables is of use, and makes sense. */
static int import_check_table(struct import *import)
{
	static const int only_csv[] = {IMPORT_QUOTE, IMPORT_ESCAPE,
				       IMPORT_NO_HEADER, IMPORT_HEADER};
	struct table *table = &import->table;
	struct csv_dialect *dialect = &table->dialect;
	struct cli *cli = import->cli;
	int is_said = args_given(cli, IMPORT_DELIMITER) ||
		      args_given(cli, IMPORT_ARRAY_DELIMITER);

	if (table->has_no_header && table->header)
		return args_fault(cli, "--header and --no-header: which?");
	if (dialect->delimiter && (dialect->delimiter == dialect->quote ||
				   dialect->delimiter == dialect->escape))
		return args_fault(cli, "the delimiter is the quote or the "
				       "escape");
	/* a quote that is doubled is no escape of another kind */
	if (dialect->escape == dialect->quote)
		dialect->escape = CSV_NONE;
	if (import->format == FORMAT_TRIPLES && is_said)
		is_said = 0;
	for (size_t i = 0; i < sizeof only_csv / sizeof *only_csv; i++)
		is_said |= args_given(cli, only_csv[i]);
	if (is_said && import->format == FORMAT_UNKNOWN)
		import->format = FORMAT_CSV;
	return !is_said || import->format == FORMAT_CSV
		   ? 0
		   : args_fault(cli, "--delimiter, --quote, --escape, "
				     "--array-delimiter, --header and "
				     "--no-header go with csv");
}

/* FILE, or FILE:COLUMN if there is only such a file. */
static void import_ids(struct import *import, const char *value)
{
	const char *colon = strrchr(value, ':');
	size_t size = colon ? (size_t)(colon - value) : 0;

	import->ids = value;
	import->ids_column = NULL;
	if (!size || !colon[1] || size >= sizeof import->ids_file ||
	    !access(value, F_OK))
		return;
	memcpy(import->ids_file, value, size);
	import->ids_file[size] = '\0';
	if (access(import->ids_file, F_OK))
		return;
	import->ids = import->ids_file;
	import->ids_column = colon + 1;
}

static int import_option(struct import *import, int id)
{
	struct cli *cli = import->cli;
	uint64_t number;
	int word = 0;

	switch (id) {
	case IMPORT_FORMAT:
		word = import->format = args_word(cli, format_names);
		break;
	case IMPORT_DANGLING:
		word = import->dangling = args_word(cli, import_danglings);
		break;
	case ARG_PROGRESS:
		word = import->progress_mode =
		    args_word(cli, import_progresses);
		break;
	case IMPORT_SIZE:
		if (args_u64(cli, 1, 10000000, &number))
			return cli->fault.code;
		import->batch.record_max = (size_t)number;
		import->tiles.is_exact = 1;
		break;
	case IMPORT_THREADS:
		if (!args_u64(cli, 1, COP_THREAD_MAX, &number))
			import->batch.threads = (uint32_t)number;
		return cli->fault.code;
	case IMPORT_ARRAY: import->array = cli->value; break;
	case IMPORT_IDS: import_ids(import, cli->value); break;
	case IMPORT_ATOMIC: import->is_atomic = 1; break;
	case IMPORT_SKIP_BAD: import->skips_bad = 1; break;
	case IMPORT_RESUME: import->resume.is_wanted = 1; break;
	case IMPORT_MAX_BAD:
		import->skips_bad = 1;
		return args_u64(cli, 0, INT64_MAX, &import->bad_max);
	case IMPORT_REJECT:
		import->skips_bad = 1;
		import->refused = cli->value;
		break;
	case IMPORT_CONFLICT:
		word = import->stage.conflict =
		    args_word(cli, import_conflicts);
		break;
	case IMPORT_DRY_RUN: import->stage.is_dry = 1; break;
	case IMPORT_TYPE: import->type = cli->value; break;
	case IMPORT_RELATION: import->relation = cli->value; break;
	case IMPORT_DELIMITER:
	case IMPORT_QUOTE:
	case IMPORT_ESCAPE:
	case IMPORT_ARRAY_DELIMITER:
	case IMPORT_NO_HEADER:
	case IMPORT_HEADER: return import_table_option(import, id);
	case IMPORT_TYPE_KEY: import->type_key = cli->value; break;
	case IMPORT_LOCAL_NAMES: import->local_names = 1; break;
	case IMPORT_RELATION_KEY: import->relation_key = cli->value; break;
	default: import->prints_json = 1; break;
	}
	return word < 0 ? cli->fault.code : 0;
}

static int import_options(struct import *import)
{
	struct cli *cli = import->cli;
	int id;

	while ((id = args_next(cli)) > 0)
		if (import_option(import, id))
			return cli->fault.code;
	if (id < 0)
		return cli->fault.code;
	if (args_end(cli) || import_check_table(import))
		return cli->fault.code;
	if (!cli->helped && operands_find(&import->operands, cli->operands,
					  cli->operand_count, &cli->fault))
		return cli->fault.code;
	if (import->ids && import->operands.count > 1)
		return args_fault(cli, "--ids goes with one file of vectors");
	if (import->ids && !strcmp(import->ids, import->operands.items[0]))
		return args_fault(cli, "vectors and --ids are one file");
	if (import->is_atomic && import->resume.is_wanted)
		return args_fault(cli, "what --atomic leaves behind is all or "
				       "nothing: there is nothing to --resume");
	if (cli->quiet)
		import->progress_mode = PROGRESS_NEVER;
	if (import->stage.is_dry && import->resume.is_wanted)
		return args_fault(cli, "a --dry-run leaves nothing behind: "
				       "there is nothing to --resume");
	if (import->stage.is_dry)
		import->is_atomic = 0; /* it keeps no more than it must */
	if (import->is_atomic) {
		import->batch.record_max = SIZE_MAX;
		import->batch.byte_max = SIZE_MAX;
	}
	import->skips_dangling =
	    import->skips_bad && import->dangling == COP_DANGLING_REJECT;
	if (import->skips_dangling)
		import->dangling = COP_DANGLING_SKIP;
	return 0;
}

static int import_is_reject(void *user, const char *path)
{
	return reject_is(&((struct import *)user)->reject, path);
}

/* Has records wait where it matters what is there; and refused ones kept. */
static int import_stage(struct import *import)
{
	struct cli *cli = import->cli;
	struct stage *stage = &import->stage;
	int wants_lost = import->dangling == COP_DANGLING_SKIP &&
			 (import->refused || (import->skips_dangling &&
					      args_given(cli, IMPORT_MAX_BAD)));

	stage->is_on =
	    stage->is_dry || wants_lost || stage->conflict != CONFLICT_REPLACE;
	stage->keeps_text = import->refused != NULL;
	if (!import->refused)
		return 0;
	if (reject_open(&import->reject, import->refused, &cli->fault))
		return cli->fault.code;
	if (operands_each(&import->operands, import_is_reject, import))
		return args_fault(cli,
				  "%s is imported, and is to have what is "
				  "refused",
				  import->refused);
	return 0;
}

/*
 * Larger commits write fewer pages, but others wait for them: who fills a store
 * has nobody to wait.
 */
static int import_is_first(struct import *import, int *is_first)
{
	struct cop_stats stats = {.size = sizeof stats};
	cop_read *read;
	cop_err err = cop_read_begin(import->cli->store, &read);

	if (err)
		return fault_cop(&import->cli->fault, err);
	err = cop_stat(read, &stats);
	cop_read_end(read);
	*is_first = !stats.entities || import->resume.before.turns;
	return err ? fault_cop(&import->cli->fault, err) : 0;
}

static int import_files(struct import *import)
{
	struct cli *cli = import->cli;
	int is_first = 0, code;

	import->batch.store = cli->store;
	import->batch.ahead = !import->is_atomic && !import->stage.is_on;
	import->batch.seal = resume_seal;
	import->batch.user = import;
	if (batch_begin(&import->batch, &cli->fault) || resume_begin(import) ||
	    import_is_first(import, &is_first))
		return cli->fault.code;
	if (is_first && import->batch.record_max == IMPORT_BATCH &&
	    !args_given(cli, IMPORT_SIZE))
		import->batch.record_max = IMPORT_BATCH_FIRST;
	tiles_begin(import);
	import->record.taken = import_taken;
	import->record.user = import;
	import->record.dangling = import->dangling;
	import->record.type = import->type;
	import->record.parts.store = cli->store;
	import->record.parts.is_dry = import->stage.is_dry;
	progress_begin(&import->progress, import->progress_mode,
		       operands_bytes(&import->operands));
	stop_arm();
	for (int i = 0; i < import->operands.count; i++) {
		code = import_operand(import, import->operands.items[i]);
		if (code)
			return code;
	}
	return 0;
}

static uint32_t import_threads(void)
{
	long count = sysconf(_SC_NPROCESSORS_ONLN);

	return count < 1 ? 1 : count < 8 ? (uint32_t)count : 8;
}

static int import_run(struct cli *cli)
{
	struct import import;
	int code;

	memset(&import, 0, sizeof import);
	import.cli = cli;
	import.format = FORMAT_UNKNOWN;
	import.table.dialect.quote = '"';
	import.table.dialect.escape = CSV_NONE;
	import.table.array_delimiter = ';';
	import.bad_max = UINT64_MAX;
	import.batch.record_max = IMPORT_BATCH;
	import.batch.byte_max = IMPORT_BATCH_BYTES;
	import.batch.threads = import_threads();
	code = import_options(&import);
	if (cli->helped)
		return code;
	if (!code)
		code = cli_open(cli);
	if (!code)
		code = import_stage(&import);
	if (!code)
		code = import_end(&import, import_files(&import));
	if (import.reject.file)
		(void)reject_close(&import.reject, &(struct fault){0});
	stage_release(&import.stage);
	tiles_release(&import.tiles);
	batch_release(&import.batch);
	record_release(&import.record);
	parallel_release(&import.parallel);
	operands_release(&import.operands);
	return code;
}

const struct verb verb_import = {
    .name = "import",
    .operands = "FILE...",
    .summary = "put entities, edges and vectors from files",
    .rows = import_rows,
    .operand_min = 1,
    .operand_max = -1,
    .notes = import_notes,
    .run = import_run,
};
