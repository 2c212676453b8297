/* SPDX-License-Identifier: Apache-2.0 */
/*
 * coppice: one knowledge graph with vectors on one machine, attached by many
 * unrelated processes at once.  This is the one public header.
 *
 * idea
 *	A store is a folder.  LMDB in it holds the durable truth; a segment of
 *	shared memory, one for all processes, holds what searches and walks
 *	read.  A process opens the store, begins a read (a snapshot that never
 *	changes while it is open) and asks; or it begins a write, collects
 *	puts and deletes, and commits them all or none.
 *
 * rules that hold for every function
 *	Returns	0, or an error: a positive errno, LMDB's code (-30799 to
 *		-30600) or one of enum cop_error.  cop_strerror() names it,
 *		cop_last_error() says what, why and what to do.  Outputs are
 *		untouched on error, except where the text says otherwise.
 *	Absence	is an answer, not an error: id 0, or a count of 0.
 *	Threads	A cop_store may be used by any number of threads.  A cop_read
 *		and a cop_write belong to one thread at a time.
 *	fork	A store may be opened before a fork and used in the children:
 *		each attaches by itself at its first call with the cop_store,
 *		whose errors may then be those of cop_open, and is from then on
 *		as independent as any process.  cop_open of the same store
 *		there counts one more handle.
 *		A cop_read or cop_write begun before the fork stays the
 *		parent's: in the child it may be ended (cop_read_end,
 *		cop_abort), every other call with it returns COP_FORKED.  What
 *		was borrowed through it is good in the child until the child
 *		first uses the store, as long as the parent keeps the read;
 *		copy what is needed longer.  Close reads before you fork, or
 *		end them in the child: they hold memory there.
 *		fork waits for a commit that another thread has under way.  In
 *		a child made by vfork, clone or _Fork call nothing of this
 *		library's but exec: its handlers did not run there, and until
 *		exec it keeps its parent's locks held.  No descriptor of a
 *		store's outlives exec.
 *	Errors	COP_INVALID, COP_FORKED and ENOMEM may come from any call,
 *		COP_CORRUPT from any that reads; they are not listed again.
 *	Sizes	are in bytes, counts in items; text is UTF-8 and need not end
 *		in NUL.  A struct that starts with `size` is set to its sizeof
 *		by the caller, zero everywhere else means "the default".
 *	NULL	will do for a pointer where the text says so, and nowhere else:
 *		what is to be filled in, above all, is there.
 *	Signals	A limit of a file's size is COP_NO_SPACE: SIGXFSZ, which the
 *		kernel sends with it, is blocked meanwhile and taken away.
 *	System	"No system call" means: once the first call of its kind has
 *		been made on this cop_read, and until the segment is replaced.
 *
 * The header needs no preprocessor to be understood by a foreign-function
 * parser: `cc -E -P -DCOP_CDEF coppice.h` gives plain declarations.
 */
#ifndef COPPICE_H
#define COPPICE_H

#ifdef COP_CDEF
#define COP_API
#define COP_MUST
#else
#include <stddef.h>
#include <stdint.h>
#define COP_API	 __attribute__((visibility("default")))
#define COP_MUST __attribute__((visibility("default"), warn_unused_result))
#endif

#if defined(__cplusplus) && !defined(COP_CDEF)
extern "C" {
#endif

typedef int cop_err;
typedef struct cop_store cop_store;
typedef struct cop_read cop_read;
typedef struct cop_write cop_write;
typedef struct cop_txn cop_txn;

/* ---- errors ------------------------------------------------------------- */

enum cop_error {
	COP_OK = 0,
	COP_INVALID = -31000,	  /* an argument is out of its range */
	COP_BAD_KEY = -31001,	  /* a key is empty or over 480 bytes */
	COP_BAD_VECTOR = -31002,  /* wrong dimension, NaN, infinity, or zero
				     where the metric is cosine */
	COP_BAD_TEXT = -31003,	  /* text is not UTF-8, or a name is empty */
	COP_TOO_LARGE = -31004,	  /* over a limit of enum cop_limit */
	COP_DANGLING = -31005,	  /* an edge names an entity not there */
	COP_NO_NAME = -31006,	  /* no such relation in this store */
	COP_NOT_A_STORE = -31007, /* the folder is not a store */
	COP_VERSION = -31008,	/* of another version, whose format or layout of
				   shared memory is not read here */
	COP_CORRUPT = -31009,	/* bytes on disk or in memory make no sense */
	COP_NO_SPACE = -31010,	/* disk, shared memory or map size is full */
	COP_BUSY = -31011,	/* the writer lock was not had in time */
	COP_MOVED = -31012,	/* the segment was replaced: refresh the read */
	COP_STALLED = -31013,	/* an old read holds too much memory back */
	COP_FORKED = -31014,	/* a read or write of the parent process's */
	COP_DENIED = -31015,	/* no permission for what attaching needs */
	COP_CONFLICT = -31016,	/* another commit came between */
	COP_UNKNOWN = -31017,	/* whether the commit took place is not known */
	COP_TOO_OLD = -31018,	/* history below what retention keeps */
	COP_FOREIGN = -31019,	/* another segment serves this store now */
	COP_EXISTS = -31020,	/* there is something already */
	COP_STOPPED = -31021,	/* a callback returned non-zero */
	COP_READ_ONLY = -31022, /* the store's folder cannot be written */
	COP_DETACHED = -31023	/* no process has attached the store yet */
};

/*
 * Limits.  Each is checked before anything is written; over it is
 * COP_TOO_LARGE (a key: COP_BAD_KEY; a dimension, k, hops, an option:
 * COP_INVALID).
 */
enum cop_limit {
	COP_KEY_BYTES = 480,	       /* of an entity's key, at least 1 */
	COP_NAME_BYTES = 255,	       /* of a type, relation, tag, property */
	COP_TAG_COUNT = 10000,	       /* tags of an entity */
	COP_PROPERTY_COUNT = 4096,     /* properties of an entity or an edge */
	COP_NESTING = 32,	       /* lists and maps inside one another */
	COP_PROPERTY_BYTES = 16777216, /* of all properties of one record */
	COP_CONTENT_BYTES = 16777216,  /* of content that is put at once */
	COP_DIM_MIN = 2,
	COP_DIM_MAX = 4096,
	COP_K_MAX = 1000000,  /* hits of a search */
	COP_FILTER_TAGS = 16, /* tags that a search asks for */
	COP_EF_MAX = 65536,   /* width of a walk through the vector graph */
	COP_HOPS_MAX = 64,
	COP_RECORD_BYTES = 4096, /* of a record kept in shared memory */
	COP_THREAD_MAX = 256,	 /* more are cut to this */
	COP_MARK_BYTES = 1024,	 /* of a mark's value */
	COP_MARK_COUNT = 256	 /* marks of a store */
};

/* Bytes of a store's cache of results. */
#define COP_CACHE_MIN UINT64_C(65536)
#define COP_CACHE_MAX (UINT64_C(1) << 40)

/*
 * Names the error in a few words.  Total: an unknown number gets a text too.
 * Lifetime: static, or the calling thread's until its next call.
 */
COP_API const char *cop_strerror(cop_err error);

/*
 * What failed in the calling thread's last call: what, why, and what to do, in
 * one line; "" if it succeeded.  After COP_STOPPED it is what failed in the
 * callback, if that made a call that did.
 * Lifetime: until the thread's next call into coppice.  Never NULL.
 */
COP_API const char *cop_last_error(void);

/* "0.1.0", the version of the library that is running. */
COP_API const char *cop_version(void);

/* "0.9.24", the version of LMDB that it runs with. */
COP_API const char *cop_lmdb_version(void);

/*
 * The distance kernels chosen in this process: "avx512", "avx2", "neon-dot",
 * "neon", "scalar".
 */
COP_API const char *cop_cpu(void);

/* ---- time --------------------------------------------------------------- */

/*
 * A point in time: seconds since 1970, before it below 0, in the Gregorian
 * calendar as if there always had been one, UTC, every day of 86,400 s; and
 * nanoseconds on top, below 1,000,000,000.
 */
struct cop_instant {
	int64_t seconds;
	uint32_t nanos;
	uint32_t reserved;
};

/* From the one, included, up to the other, not included. */
struct cop_validity {
	struct cop_instant from; /* INT64_MIN seconds: since ever */
	struct cop_instant to;	 /* INT64_MAX seconds: for ever */
};

/* ---- a store ------------------------------------------------------------ */

enum cop_metric {
	COP_COSINE = 1, /* distance 1 - cos, 0 to 2 */
	COP_L2 = 2,	/* distance is the squared Euclidean one */
	COP_IP = 3	/* distance is the inner product, negated */
};

enum cop_rows { /* the row of the bank that ranks a search's candidates */
		COP_ROWS_F16 = 0, /* half precision (the default) */
		COP_ROWS_F32 = 1 /* single precision: twice the memory, exact */
};

enum cop_codes { /* what a walk and a scan read of a vector */
		 COP_CODES_AUTO = 0, /* by the dimension: 32 bits up to 16,
					which take no more memory, else 8 */
		 COP_CODES_U8 = 1,   /* 8 bits a dimension, ranked by the row:
					about 1 + 2 bytes in all */
		 COP_CODES_F16 = 2,  /* these three are the row, too: 2, */
		 COP_CODES_BF16 = 3, /* 2 */
		 COP_CODES_F32 = 4,  /* and 4 bytes a dimension */
		 COP_CODES_B1 = 5    /* its sign, ranked by the row: for vectors
					of +-1, and a first sieve of others */
};

enum cop_history {			/* what of the past a store keeps */
		   COP_HISTORY_AGE = 0, /* what ended history_ms ago, or
					   later: by default 30 days */
		   COP_HISTORY_ALL = 1,
		   COP_HISTORY_NONE = 2 /* what is replaced or deleted is gone
					   when its last reader is */
};

struct cop_options {
	uint32_t size;
	uint32_t dim;		    /* COP_DIM_MIN to COP_DIM_MAX; 0: a store
				       without vectors */
	int32_t metric;		    /* enum cop_metric, 0: cosine */
	int32_t rows;		    /* enum cop_rows */
	uint32_t mode;		    /* permissions of all files, 0: 0600 */
	uint32_t group;		    /* numeric group plus 1, 0: the creator's */
	const char *shm_dir;	    /* folder on a tmpfs, NULL: /dev/shm */
	uint64_t expected_entities; /* sizes the bloom filters, 0: 100,000 */
	double bloom_rate;	    /* false positives wanted, 0: 0.01 */
	uint32_t record_bytes;	    /* records up to this size are kept in
				       shared memory, too: up to
				       COP_RECORD_BYTES; 0: 512, UINT32_MAX:
				       none */
	int32_t codes;		    /* enum cop_codes; with codes that are the
				       row, rows is 0 */
	uint32_t signs;		    /* 1: 32 bytes more a vector are kept for
				       COP_LSH and COP_HIERARCHICAL; 16
				       dimensions or more */
	uint32_t codes_dim;	    /* only so many numbers of a vector, the
				       first ones, are coded (u8 or b1, cosine
				       or L2), for vectors whose beginnings say
				       most; what ranks has all.  0: all */
	uint64_t cache_bytes;	    /* of shared memory for results of searches,
				       COP_CACHE_MIN to COP_CACHE_MAX; 0: none
				       are kept */
	uint32_t cache_ttl_ms;	    /* a result is kept so long at most, 0:
				       until the next commit */
	uint32_t cache_idle_ms;	    /* and that long since it was last asked
				       for, 0: no limit */
	int32_t history;	    /* enum cop_history */
	uint64_t history_ms;	    /* of COP_HISTORY_AGE; 0: 30 days */
	uint64_t history_count; /* ended versions of one thing that are kept,
				   0: any number; see cop_retain */
};

/* What is kept of what ended: of the store, or of a type's entities. */
struct cop_retention {
	uint32_t size;
	int32_t history;	/* enum cop_history */
	uint64_t history_ms;	/* of COP_HISTORY_AGE; 0: 30 days */
	uint64_t history_count; /* of one thing, 0: any number */
	const char *type;	/* NUL-terminated, NULL: of the store */
};

/*
 * Makes a new store in the folder `path`, which must not exist or be empty.
 * options	may be NULL: dimension 0, everything at its default.
 * Returns	COP_EXISTS if something is there, COP_INVALID for an option
 *		out of range, COP_NO_SPACE, or an errno.  Nothing is left
 *		behind on error.
 */
COP_MUST cop_err cop_create(const char *path,
			    const struct cop_options *options);

enum cop_log_level {
	COP_LOG_WARN = 1, /* somebody should look: an image that is of no use, a
			     reader that holds too much back */
	COP_LOG_NOTE = 2, /* something was mended, built or replaced */
	COP_LOG_DETAIL = 3
};

struct cop_open_options {
	uint32_t size;
	uint32_t timeout_ms; /* wait for the writer lock, 0: for ever; for a
				reader's slot at most 10 s */
	/* called while the segment is built or loaded, at most ten times a
	   second; non-zero stops the open with COP_STOPPED */
	int32_t (*progress)(void *user, const char *what, uint64_t done,
			    uint64_t total);
	void *user;
	const char *name; /* of this process, for cop_readers(); the first 31
			     bytes are kept.  NULL: the program's */
	/* told in words what becomes of the store in this process, by the
	   thread that did it, which may have the writer lock: it must be quick
	   and call nothing here.  NULL: nobody is told.  That of the open which
	   attaches the process is kept, with what it points to, until the last
	   handle is closed; a child after a fork has it, too. */
	void (*log)(void *user, int32_t level, const char *text);
	void *log_user;
	int32_t log_level; /* enum cop_log_level: the last that is told; 0:
			      COP_LOG_NOTE */
	uint32_t reserved;
};

/*
 * Opens the store and attaches its shared segment; the first process of all
 * loads it from an image or builds it from LMDB, once, however many arrive
 * together.
 * options	may be NULL.
 * out		the handle; cop_close() releases it.  Opening a store twice in
 *		one process gives the same handle, counted, as the first open
 *		made it: later options are not looked at.
 * Returns	COP_NOT_A_STORE, COP_VERSION, COP_CORRUPT, COP_DENIED,
 *		COP_NO_SPACE, COP_READ_ONLY, COP_BUSY, or an errno.
 *		COP_BUSY, too, for a process with the pid number of one that
 *		is attached: in another PID namespace, where distinct pids
 *		work, or with two copies of the library in one process.  LMDB
 *		would take one for the other.
 * Progress	blocks while another process builds the segment.
 * Settings	COPPICE_CPU (avx512, avx2, neon-dot, neon, scalar),
 *		COPPICE_RESERVE (address space of a new segment, bytes,
 *		suffixes K M G T), and COPPICE_MAP_SIZE (LMDB's map).
 *		COPPICE_CHECKPOINT=0: no image is written by itself; see
 *		cop_checkpoint().
 */
COP_MUST cop_err cop_open(const char *path,
			  const struct cop_open_options *options,
			  cop_store **out);

/*
 * As cop_open, but makes nothing: for a probe that must be quick.
 * Returns	COP_DETACHED, too: the segment is not there, or is of no use
 */
COP_MUST cop_err cop_open_attached(const char *path,
				   const struct cop_open_options *options,
				   cop_store **out);

enum cop_had {			   /* how a segment came to be */
	       COP_HAD_FOUND = 0,  /* others had made it */
	       COP_HAD_LOADED = 1, /* from an image */
	       COP_HAD_BUILT = 2   /* from the data file */
};

/*
 * How this process had the segment when it opened the store, or what it has
 * made since.
 * ns		set to how long that took, 0 for what was found; may be NULL
 * Returns	enum cop_had
 */
COP_API int32_t cop_had(const cop_store *store, uint64_t *ns);

/*
 * Whether the shared memory that this process has attached is the store's
 * still: its files may be removed while they are in use, as logind does with
 * a user's at logout (RemoveIPC).  Reads then go on in what was there, commits
 * are refused, and who opens the store is refused until all have closed it.
 * Returns	0; COP_FOREIGN if the files were removed: close the store in
 *		every process and open it again.
 * Progress	one system call.
 */
COP_MUST cop_err cop_attached_check(cop_store *store);

/*
 * Releases a handle.  NULL is allowed.  Its reads and writes must have ended:
 * they point into it.
 * The segment stays in memory for others and for the next open.
 * Progress	the last process of all may write an image first; see
 *		cop_checkpoint().
 */
COP_API void cop_close(cop_store *store);

/*
 * Removes the store's segment from shared memory; the next open loads an image
 * or builds it anew.  Nothing durable changes.  To remove a store: detach it,
 * then remove its folder; its segment stays in memory otherwise.
 *
 * Returns	COP_BUSY while any process is attached.
 */
COP_MUST cop_err cop_detach(const char *path);

enum cop_presence {			       /* of a store in memory */
		    COP_PRESENCE_NONE = 0,     /* it has no segment */
		    COP_PRESENCE_LEFT = 1,     /* nobody is attached to it */
		    COP_PRESENCE_ATTACHED = 2, /* somebody is */
		    COP_PRESENCE_LOST = 3 /* somebody is, to one that is not
					     in its place: removed, or another
					     container's */
};

/* What a store is, and where. */
struct cop_description {
	uint32_t size;
	int32_t presence;	    /* enum cop_presence */
	struct cop_options options; /* its parameters, as cop_create takes them;
				       shm_dir and group are left out */
	uint64_t created_ns;	    /* since 1970 */
	uint64_t generation;
	uint64_t data_bytes; /* of the data file on disk */
	uint64_t commit;
	uint64_t oldest; /* commit that can be read as of */
	uint32_t group;	 /* numeric group of its files */
	uint32_t reserved;
	char shm_dir[256]; /* folder where its segments are made */
	char segment[256]; /* and that of them, if they are there or not */
};

/*
 * Describes a store without attaching it: nothing is made.
 * Returns	COP_BUSY if this process has it open, or LMDB could not be
 *		opened in ten seconds; or as cop_open.
 */
COP_MUST cop_err cop_describe(const char *path, struct cop_description *out);

/*
 * Gives a store other parameters.  All but dim, metric, mode, group and the
 * history can be changed, since its segment is built by them: that is removed,
 * with its images, and the next open builds it.  The history is changed by
 * cop_retain(), while the store is in use.
 * options	all of them, as cop_describe gave them, changed; shm_dir NULL,
 *		and group 0: as they are
 * Returns	COP_BUSY while any process is attached; COP_INVALID for one out
 *		of its range, or fixed; nothing has changed then.
 */
COP_MUST cop_err cop_configure(const char *path,
			       const struct cop_options *options);

/* The store's parameters. */
COP_API uint32_t cop_dim(const cop_store *store);
COP_API int32_t cop_metric(const cop_store *store);

/* ---- values ------------------------------------------------------------- */

enum cop_kind {
	COP_NULL = 0,
	COP_BOOL = 1,	/* integer: 0 or 1 */
	COP_INT = 2,	/* integer */
	COP_FLOAT = 3,	/* real: finite */
	COP_STRING = 4, /* data, count bytes */
	COP_LIST = 5,	/* given: data points to count cop_value */
	COP_MAP = 6	/* given: data points to count cop_property */
};

/*
 * A property's value.  To write, the caller fills it: lists and maps point to
 * arrays of the caller's.  As read it borrows the record: a string may be
 * used through `data`, the members of a list or map are had by
 * cop_value_item(); `data` of those is not for the caller.
 */
struct cop_value {
	int32_t kind;
	uint32_t count;
	int64_t integer;
	double real;
	const void *data;
};

struct cop_property {
	const char *name;
	size_t name_size;
	struct cop_value value;
};

/*
 * Member `index` of a list or map that was read.
 * name		set to a map member's name (of name_size bytes), to NULL for a
 *		list; both may be NULL.
 * Returns	COP_INVALID if value is no list or map or index is not below
 *		its count, COP_CORRUPT.
 * Progress	no system call, no allocation, O(1).
 * Lifetime	what it points to lives as long as the value it came from.
 */
COP_MUST cop_err cop_value_item(const struct cop_value *value, uint32_t index,
				const char **name, size_t *name_size,
				struct cop_value *out);

/* ---- reading ------------------------------------------------------------ */

/*
 * Begins a read: a snapshot of everything committed so far.  All that is read
 * through it is as of that commit, however long it is kept; memory of older
 * versions is held back meanwhile, so end it when done.
 * Returns	COP_BUSY if all 16,384 reader slots of the store stay taken for
 *		the timeout that it was opened with (for ever: 10 seconds), or
 *		a lock was not had in that time; COP_FOREIGN if the data file
 *		has commits of another segment's.
 * Progress	no system call when a read ended before is at hand.
 */
COP_MUST cop_err cop_read_begin(cop_store *store, cop_read **out);

/*
 * Moves a read to the newest commit; cheaper than end and begin.  What was
 * borrowed through it ends here.  Returns as cop_read_begin.  After an error
 * nothing but cop_read_refresh and cop_read_end may be called with it.
 */
COP_MUST cop_err cop_read_refresh(cop_read *read);

/* Ends a read.  NULL is allowed.  What was borrowed through it ends here. */
COP_API void cop_read_end(cop_read *read);

/* The number of the commit that the read sees, 0 for an empty store. */
COP_API uint64_t cop_read_commit(const cop_read *read);

/* The oldest commit that this read can go back to: cop_read_as_of(). */
COP_API uint64_t cop_read_oldest(const cop_read *read);

/*
 * Has a read see the store as of an earlier commit: entities, vectors, edges,
 * lists of types and tags, walks and searches are those of that moment from
 * here on.  cop_read_refresh goes back to the newest.
 * commit	0: the empty store at its beginning; at most that of the
 *		snapshot, which is kept
 * Returns	COP_TOO_OLD if history is not kept from that commit on,
 *		COP_INVALID for one that is to come.
 * Progress	no system call, no allocation.  What has not changed since is
 *		read as ever; what has is read from LMDB, which may allocate.
 * Lifetime	what was borrowed through the read stays.
 */
COP_MUST cop_err cop_read_as_of(cop_read *read, uint64_t commit);

/*
 * Has a read see only what is valid at a point in time, in the world: an edge,
 * a tag and a property may be put with a validity, and without one always are.
 * It holds for entities, edges, neighbours, walks, paths, selections, searches
 * and cop_names; not for histories, differences and cop_stat.
 * at		copied; NULL: all, valid or not, as after cop_read_begin
 * Returns	COP_INVALID.
 * Progress	no system call.  Lists of edges are read from LMDB then, and
 *		who is listed as having a tag is asked when.
 */
COP_MUST cop_err cop_read_valid_at(cop_read *read,
				   const struct cop_instant *at);

/*
 * Calls `visit` with the store's retention, and then with those that types have
 * of their own.  A non-zero return ends it with COP_STOPPED.
 * Lifetime	the retention: until visit returns.  Its type ends in NUL.
 */
COP_MUST cop_err
cop_retentions(cop_read *read,
	       int32_t (*visit)(void *user, cop_read *read,
				const struct cop_retention *retention),
	       void *user);

/* A mark, as cop_mark set it. */
struct cop_mark {
	uint32_t size;
	uint32_t name_size;
	const char *name; /* does not end in NUL */
	const void *value;
	size_t value_size;
	uint64_t commit; /* that set it, 0: there is none */
};

/*
 * A mark, as of the read's snapshot: of a read as of the past, too, it is the
 * newest one.
 * out		commit is 0 if there is none of that name
 * Lifetime	what out points to: until the read ends or is refreshed.
 */
COP_MUST cop_err cop_read_mark(cop_read *read, const char *name,
			       size_t name_size, struct cop_mark *out);

/*
 * Calls `visit` with each mark, by name.  A non-zero return ends it with
 * COP_STOPPED.
 * Lifetime	what the mark points to: until visit returns.
 */
COP_MUST cop_err cop_marks(cop_read *read,
			   int32_t (*visit)(void *user, cop_read *read,
					    const struct cop_mark *mark),
			   void *user);

struct cop_commit_info {
	uint32_t size;
	uint32_t reserved;
	uint64_t commit;
	int64_t time_ns;   /* since 1970; not before that of any earlier one */
	uint64_t entities; /* that there were from it on */
	uint64_t edges;
	uint64_t vectors;
	uint64_t touched; /* entities changed, and ends of edges changed */
};

/*
 * When a commit was, and how many there were of everything from it on.
 * Returns	as cop_read_as_of.
 */
COP_MUST cop_err cop_commit_info(cop_read *read, uint64_t commit,
				 struct cop_commit_info *out);

/*
 * The newest commit at a time or before it, for cop_read_as_of.
 * time_ns	since 1970
 * Returns	COP_TOO_OLD for a time before history is kept, or before the
 *		store was made.
 */
COP_MUST cop_err cop_commit_at(cop_read *read, int64_t time_ns,
			       uint64_t *commit);

/*
 * An entity as it stands in the snapshot, borrowed from the store without a
 * copy.  Lifetime: until the read ends or is refreshed.
 */
struct cop_entity {
	uint64_t id;	  /* 0: there is none */
	uint64_t version; /* the commit that wrote it */
	const void *key;
	uint32_t key_size;
	uint32_t type; /* for cop_name(), 0: none */
	uint32_t tag_count;
	uint32_t property_count;
	uint64_t content_size;
	const void *record; /* for the functions below */
	uint64_t record_size;
};

/*
 * The id of a key: 0 if there is no such entity in the snapshot.
 * Returns	COP_BAD_KEY.
 * Progress	no system call, no allocation; shared memory alone, but for an
 *		entity that has changed since the snapshot.
 */
COP_MUST cop_err cop_lookup(cop_read *read, const void *key, size_t key_size,
			    uint64_t *id);

/*
 * An entity by key or by id; out->id is 0 if there is none.  As cop_lookup, but
 * that larger records are LMDB's; see record_bytes of struct cop_options.
 */
COP_MUST cop_err cop_get(cop_read *read, const void *key, size_t key_size,
			 struct cop_entity *out);
COP_MUST cop_err cop_get_id(cop_read *read, uint64_t id,
			    struct cop_entity *out);

/*
 * Many entities by key, over up to `threads` threads (0 or 1: this one).
 * keys		count pointers, key_sizes their sizes; out: count entities.
 */
COP_MUST cop_err cop_get_many(cop_read *read, const void *const *keys,
			      const size_t *key_sizes, size_t count,
			      uint32_t threads, struct cop_entity *out);

/*
 * The key of an id that was ever given, even to an entity deleted since;
 * *key_size is 0 if never.
 * Progress	no system call, no allocation.
 */
COP_MUST cop_err cop_key(cop_read *read, uint64_t id, const void **key,
			 size_t *key_size);

/*
 * The text of a type, relation, tag or property name from its number;
 * *size is 0 if there is none.  Lifetime: until the read ends.
 */
COP_MUST cop_err cop_name(cop_read *read, uint32_t name, const char **text,
			  size_t *size);

/* Tag `index` of an entity, borrowed. */
COP_MUST cop_err cop_entity_tag(cop_read *read, const struct cop_entity *entity,
				uint32_t index, const char **tag, size_t *size);

/*
 * When tag `index`, and property `index`, is valid; always after
 * cop_read_valid_at, which leaves out what is not.
 */
COP_MUST cop_err cop_entity_tag_valid(cop_read *read,
				      const struct cop_entity *entity,
				      uint32_t index, struct cop_validity *out);
COP_MUST cop_err cop_entity_property_valid(cop_read *read,
					   const struct cop_entity *entity,
					   uint32_t index,
					   struct cop_validity *out);

/*
 * One property by name: only that field is decoded.  *found is 0 if the
 * entity has none of that name.  Of several at different times it is the one
 * that was put first.
 */
COP_MUST cop_err cop_entity_property(cop_read *read,
				     const struct cop_entity *entity,
				     const char *name, size_t name_size,
				     int *found, struct cop_value *out);

/* Property `index`, in the order they were put. */
COP_MUST cop_err cop_entity_property_at(cop_read *read,
					const struct cop_entity *entity,
					uint32_t index, const char **name,
					size_t *name_size,
					struct cop_value *out);

/*
 * The content, borrowed; *size is 0 and *data NULL if there is none.
 * Allocates if it was compressed, or streamed in.
 * Returns	COP_TOO_LARGE for more than COP_CONTENT_BYTES: read it in parts.
 */
COP_MUST cop_err cop_entity_content(cop_read *read,
				    const struct cop_entity *entity,
				    const void **data, size_t *size);

/*
 * Part of the content, of any size, in constant memory.
 * offset	from its first byte
 * data		room for `size` bytes; *got is how many came, less than `size`
 *		at its end only
 * Returns	COP_CORRUPT if what was stored does not have its checksum.
 */
COP_MUST cop_err cop_content_read(cop_read *read,
				  const struct cop_entity *entity,
				  uint64_t offset, void *data, size_t size,
				  size_t *got);

/*
 * The vector of an entity as it was put, float32 x cop_dim(), borrowed from
 * LMDB without a copy; *vector is NULL if it has none.
 * Returns	COP_CORRUPT, too, if shared memory knows of one that LMDB lacks.
 */
COP_MUST cop_err cop_vector(cop_read *read, uint64_t id, const float **vector);

/*
 * Calls `visit` for every entity, in order of id within each thread, in
 * constant memory.  A non-zero return ends the scan with COP_STOPPED.
 * type, tag	NUL-terminated, NULL: all; only entities that have it, or both.
 *		One that the store has never seen: none.
 * threads	0 or 1: the calling thread only; else visit is called by
 *		several threads at once, `thread` (from 0) tells which.
 * Returns	COP_CORRUPT, too, after the last one if some are missing.
 * Lifetime	the entity and what is borrowed from it: until visit returns.
 */
COP_MUST cop_err cop_scan(cop_read *read, const char *type, const char *tag,
			  uint32_t threads,
			  int32_t (*visit)(void *user, uint32_t thread,
					   cop_read *read,
					   const struct cop_entity *entity),
			  void *user);

struct cop_select {
	uint32_t size;
	uint32_t threads;	 /* as of cop_scan */
	const char *type;	 /* NUL-terminated, NULL: any */
	const char *const *all;	 /* tags, NUL-terminated: has each of these, */
	const char *const *any;	 /* one of these at least, */
	const char *const *none; /* and none of these */
	uint32_t all_count; /* up to COP_FILTER_TAGS each, 0: does not matter */
	uint32_t any_count;
	uint32_t none_count;
	uint32_t prefix_size;
	const void *prefix; /* its key begins with it, NULL: any */
};

/*
 * Calls `visit` for every entity that is as asked for, as cop_scan does.
 * Returns	COP_INVALID, COP_TOO_LARGE, COP_STOPPED.
 * Progress	costs what the shortest list has of those that all matches are
 *		in, by type and tags; those with one of several tags, what the
 *		lists of these have.
 */
COP_MUST cop_err cop_select(cop_read *read, const struct cop_select *select,
			    int32_t (*visit)(void *user, uint32_t thread,
					     cop_read *read,
					     const struct cop_entity *entity),
			    void *user);

enum cop_space {
	COP_SPACE_TYPE = 1,
	COP_SPACE_RELATION = 2,
	COP_SPACE_TAG = 3,
	COP_SPACE_PROPERTY = 4
};

struct cop_name_count {
	const char *text; /* not terminated */
	size_t size;
	uint32_t name; /* its number */
	uint32_t reserved;
	uint64_t count; /* entities of a type or with a tag, edges of a
			   relation; of a property it is not known: 0 */
};

/*
 * Calls `visit` for every name of a space that begins with `prefix` and that
 * something has, in order of their bytes; for every property that was ever
 * put.  A non-zero return ends it with COP_STOPPED.
 * space	enum cop_space
 * prefix	may be NULL with prefix_size 0: all
 * Returns	COP_INVALID, COP_STOPPED.
 * Progress	the newest counts are kept: costs what it visits.  As of the
 *		past they are counted.
 */
COP_MUST cop_err cop_names(cop_read *read, int32_t space, const char *prefix,
			   size_t prefix_size,
			   int32_t (*visit)(void *user, cop_read *read,
					    const struct cop_name_count *name),
			   void *user);

/*
 * Calls `visit` for every entity whose key begins with `prefix`, in order of
 * keys (as bytes).  prefix_size 0: all.
 * Lifetime	the entity: until visit returns.
 */
COP_MUST cop_err cop_keys(cop_read *read, const void *prefix,
			  size_t prefix_size,
			  int32_t (*visit)(void *user, cop_read *read,
					   const struct cop_entity *entity),
			  void *user);

enum cop_direction { COP_OUT = 1, COP_IN = 2, COP_BOTH = 3 };

struct cop_edge {
	uint64_t source;
	uint64_t target;
	uint32_t relation; /* for cop_name() */
	uint32_t property_count;
	uint32_t discriminator;
	uint32_t reserved;
	uint64_t version; /* the commit that wrote it; 0: there is none */
	struct cop_validity valid;
	const void *record;
	uint64_t record_size;
};

/*
 * An edge by its ends and relation, of discriminator 0; out->version is 0 if
 * there is none.
 */
COP_MUST cop_err cop_get_edge(cop_read *read, uint64_t source,
			      const char *relation, size_t relation_size,
			      uint64_t target, struct cop_edge *out);

/* A property of an edge, as of an entity. */
COP_MUST cop_err cop_edge_property_at(cop_read *read,
				      const struct cop_edge *edge,
				      uint32_t index, const char **name,
				      size_t *name_size, struct cop_value *out);

/*
 * Calls `visit` for every edge of an entity, with its properties.
 * direction	enum cop_direction; both: outgoing ones first, a self loop
 *		once in each direction.
 * Returns	COP_CORRUPT, too, after the last one if LMDB lacks some that
 *		shared memory knows of.
 */
COP_MUST cop_err cop_edges(cop_read *read, uint64_t id, int32_t direction,
			   int32_t (*visit)(void *user, cop_read *read,
					    const struct cop_edge *edge),
			   void *user);

/* ---- history ------------------------------------------------------------ */

/* How long something was as it was. */
struct cop_version {
	uint64_t born; /* the commit that wrote it */
	uint64_t died; /* the commit that replaced or deleted it; 0: none had */
};

typedef int32_t cop_entity_version_visit(void *user, cop_read *read,
					 const struct cop_version *version,
					 const struct cop_entity *entity);
typedef int32_t cop_vector_version_visit(void *user, cop_read *read,
					 const struct cop_version *version,
					 const float *vector);
typedef int32_t cop_edge_version_visit(void *user, cop_read *read,
				       const struct cop_version *version,
				       const struct cop_edge *edge);

/*
 * Calls `visit` for every version that is kept of an entity, of its vector, or
 * of an edge, newest first: those that were written by the
 * commit that the read sees, or before.  Between the death of one and the birth
 * of the next it was not there.  A non-zero return ends it with COP_STOPPED.
 * id		an entity that was deleted has its id still; cop_id() finds it
 * Lifetime	of what is borrowed: until the read ends
 */
COP_MUST cop_err cop_history(cop_read *read, uint64_t id,
			     cop_entity_version_visit *visit, void *user);
COP_MUST cop_err cop_vector_history(cop_read *read, uint64_t id,
				    cop_vector_version_visit *visit,
				    void *user);
COP_MUST cop_err cop_edge_history(cop_read *read, uint64_t source,
				  const char *relation, size_t relation_size,
				  uint64_t target, uint32_t discriminator,
				  cop_edge_version_visit *visit, void *user);

/*
 * The id that a key was ever given, be its entity there or not; 0: none.
 * Returns	COP_BAD_KEY.
 * Progress	no system call, no allocation.
 */
COP_MUST cop_err cop_id(cop_read *read, const void *key, size_t key_size,
			uint64_t *id);

enum cop_difference_what {
	COP_ENTITY = 1, /* type, properties, tags or content */
	COP_VECTOR = 2,
	COP_EDGE = 3 /* it, or its properties */
};
enum cop_difference_how { COP_ADDED = 1, COP_CHANGED = 2, COP_REMOVED = 3 };

struct cop_difference {
	int32_t what; /* enum cop_difference_what */
	int32_t how;  /* enum cop_difference_how */
	uint64_t id;  /* the entity; an edge's source */
	uint64_t target;
	uint32_t relation; /* for cop_name() */
	uint32_t discriminator;
};

typedef int32_t cop_difference_visit(void *user, cop_read *read,
				     const struct cop_difference *difference);

/*
 * Calls `visit` for everything that differs between two commits, in order of
 * id: of each the entity, its vector, its outgoing edges.  What was changed
 * and changed back does not differ.  A non-zero return ends it with
 * COP_STOPPED.
 * from, to	commits as of cop_read_as_of, the earlier one first
 * Returns	COP_TOO_OLD, COP_INVALID, ENOMEM.
 */
COP_MUST cop_err cop_diff(cop_read *read, uint64_t from, uint64_t to,
			  cop_difference_visit *visit, void *user);

/* ---- changes ------------------------------------------------------------ */

/*
 * Waits until there is a commit later than `commit`, of any process.
 * timeout_ms	0: only looks; UINT32_MAX: for ever
 * newest	set to the newest commit, which after a timeout is not later
 * Returns	0 after a timeout, too; EINTR if a signal was handled, with
 *		*newest untouched; or as cop_read_begin.
 * Progress	sleeps, at most a second at a time, and holds nothing: neither
 *		a snapshot nor a lock.  A commit costs a system call more while
 *		somebody waits.
 */
COP_MUST cop_err cop_wait(cop_store *store, uint64_t commit,
			  uint32_t timeout_ms, uint64_t *newest);

/*
 * Calls `visit` with the id of everything that a commit touched, ascending:
 * entities that were put or deleted, or had a vector or an edge changed, and
 * both ends of such edges.  What it did to them cop_diff tells from the commit
 * before to this one, if history is kept; the ids are kept without history,
 * too, until two images of the segment are newer.  A non-zero return ends it
 * with COP_STOPPED.
 * info		the commit's figures, as of cop_commit_info; may be NULL
 * Returns	COP_TOO_OLD, COP_INVALID for a commit that is to come.
 */
COP_MUST cop_err cop_touched(
    cop_read *read, uint64_t commit, struct cop_commit_info *info,
    int32_t (*visit)(void *user, cop_read *read, uint64_t id), void *user);

/* ---- search ------------------------------------------------------------- */

struct cop_hit {
	uint64_t id;
	double distance; /* see enum cop_metric; smaller is nearer.  By the
			    row that ranked it: with rows in half precision
			    off by about 1e-4 of the vectors' size, in
			    bfloat16 by 1e-3, unless the search was exact */
};

enum cop_strategy {
	COP_AUTO = 0, /* by the store's size, k and the filters */
	COP_SCAN = 1, /* all rows are looked at: exact */
	COP_HNSW = 2, /* a walk through the vector graph */
	COP_LSH = 3,  /* the `ef` (1,024 if it is 0) rows whose signs are most
			 like the query's: in a store that keeps signs */
	COP_HIERARCHICAL = 4, /* a walk that sets out from some of these */
	COP_KDTREE = 5 /* through a tree, which leads to all that is near:
			  in 2 to 8 dimensions, cosine or L2 */
};

enum cop_tag_mode {
	COP_TAGS_ALL = 0, /* an entity must have all the tags */
	COP_TAGS_ANY = 1  /* at least one */
};

/* How a search went; see cop_search::report. */
struct cop_search_report {
	uint32_t size;
	int32_t strategy;    /* enum cop_strategy: what gave the hits */
	uint32_t ef;	     /* of the walk, 0: none */
	uint32_t evaluated;  /* coded distances computed by the walk */
	uint32_t expanded;   /* nodes whose neighbours were looked at */
	int32_t is_complete; /* 1: fewer than k hits, and no more exist */
	uint64_t rows;	     /* of the bank */
	uint64_t waiting;    /* of them, not linked yet */
	double share;	     /* of the rows that the filters let through, as
				estimated; 1: no filter */
	uint64_t listed;     /* matches that were ranked one by one */
	char reason[128];    /* why that way, in words */
};

struct cop_search {
	uint32_t size;
	uint32_t k;		 /* hits wanted, 1 to COP_K_MAX */
	const float *vector;	 /* the query, float32 x cop_dim() */
	const char *type;	 /* NUL-terminated, NULL: any */
	const char *tag;	 /* the same as one of `tags` */
	const char *const *tags; /* NUL-terminated each */
	uint32_t tag_count;	 /* up to COP_FILTER_TAGS */
	int32_t tag_mode;	 /* enum cop_tag_mode */
	const char *prefix;	 /* keys begin with it, NULL: any */
	uint64_t near;		 /* only what is within `hops` edges of this
				    entity, itself too; 0: anything */
	uint32_t prefix_size;
	uint32_t hops;
	int32_t direction; /* of these edges, enum cop_direction, 0: both */
	/* the caller's own test: not 0 lets an entity through.  It may be
	   called any number of times for one, also for none that is a hit in
	   the end.  It may read entities and edges with `read`, but not search,
	   walk or move it: COP_INVALID */
	int32_t (*accept)(void *user, cop_read *read, uint64_t id);
	void *user;
	struct cop_search_report *report; /* NULL, or filled in */
	int32_t exact; /* 1: rank by the float32 in LMDB; 0: by the rows
			  of the bank (half precision by default) */
	int32_t has_threshold;
	double threshold; /* only hits at this distance or nearer */
	uint64_t exclude; /* an id left out of the answer, 0: none */
	int32_t strategy; /* enum cop_strategy */
	uint32_t ef;	  /* width of a walk: the larger, the better the recall
			     and the longer it takes; 0: chosen from k */
};

/*
 * The k nearest entities to a vector, nearest first, ties by lowest id.  In a
 * store of many vectors it is a walk through a graph, which finds nearly all
 * of them (`ef` says how nearly); with COP_SCAN, and with `exact` or a
 * threshold unless a strategy is given, all rows that matter are looked at.  A
 * commit's vectors are found as soon as it returns.
 * Hits are ranked by the bank's rows (half precision, or float32 in a store of
 * COP_ROWS_F32, or what enum cop_codes says); with `exact`, by the float32 that
 * was put.
 * Filters	type, tags, prefix, near and accept must all let an entity
 *		through.  Few matches are ranked one by one, exactly.
 * hits		room for search->k
 * count	how many there are: fewer than k only if no more qualify.
 * Returns	COP_BAD_VECTOR, COP_INVALID, COP_TOO_LARGE.  A type or tag that
 *		the store has never seen gives 0 hits.
 * Progress	no system call, no allocation, but for a prefix or `near`.  A
 *		row that is being recycled is not of this snapshot and is
 *		passed over.
 */
COP_MUST cop_err cop_search(cop_read *read, const struct cop_search *search,
			    struct cop_hit *hits, uint32_t *count);

/*
 * Searches for what is asked for often, so that the store's cache of results
 * has it; see cop_options::cache_bytes.  Does nothing lasting without a cache.
 * search	parameters for all; its `vector` is not used
 * vectors	queries, float32 x count x cop_dim()
 */
COP_MUST cop_err cop_search_warm(cop_read *read,
				 const struct cop_search *search,
				 const float *vectors, size_t count);

/*
 * Many searches in one snapshot, over up to `threads` threads.  The cache of
 * results is neither asked nor fed.
 * search	parameters for all; its `vector` and `exclude` are not used.
 * vectors	queries, float32 x count x cop_dim()
 * hits		count x search->k; counts: one a query.
 */
COP_MUST cop_err cop_search_many(cop_read *read,
				 const struct cop_search *search,
				 const float *vectors, size_t count,
				 uint32_t threads, struct cop_hit *hits,
				 uint32_t *counts);

/* ---- walks -------------------------------------------------------------- */

struct cop_step {
	uint64_t id;
	uint32_t from;	   /* index of the step it was reached from */
	uint32_t relation; /* over which relation, 0 for the start */
	uint32_t hops;	   /* 0 for the start */
	int32_t direction; /* COP_OUT or COP_IN, 0 for the start */
};

struct cop_walk {
	uint32_t size;
	uint32_t hops;	       /* 0 to COP_HOPS_MAX, or COP_HOPS_ALL */
	uint64_t start;	       /* an id */
	const char *relation;  /* NUL-terminated, NULL: any */
	int32_t direction;     /* enum cop_direction, 0: out */
	uint32_t degree_limit; /* edges looked at of one entity, 0: all */
	const char *type;      /* goes only to entities of it, NULL: any */
	const char *tag;       /* and only to those with it, NULL: any */
	/* and only where this, if given, returns other than 0: over the edge
	   to step->id from `from`.  It may read entities and edges with `read`,
	   but not walk or search */
	int32_t (*accept)(void *user, cop_read *read,
			  const struct cop_step *step, uint64_t from);
	void *user;
	uint32_t threads; /* that follow a level of thousands, joined before
			     the call returns; 0: 1.  Not with `accept` */
	uint32_t reserved;
};

/* Any number of hops: a connected component, in both directions. */
#define COP_HOPS_ALL UINT32_MAX

/*
 * Breadth-first walk: every entity within `hops` of the start, each once, by
 * the first shortest way found.  steps[0] is the start.  What the filters do
 * not let pass is not gone through either.
 * steps	room for `capacity`, at least 1
 * count	how many were found
 * more		set to 1 if the walk was cut off by capacity or degree_limit,
 *		else 0; may be NULL
 * Returns	COP_NO_NAME for a relation the store has never seen,
 *		COP_INVALID.  A start that is not there gives 0 steps.
 * Progress	no system call, no allocation, with one thread.
 */
COP_MUST cop_err cop_walk(cop_read *read, const struct cop_walk *walk,
			  struct cop_step *steps, size_t capacity,
			  size_t *count, int32_t *more);

/*
 * A search whose hits bring what is around them, in one snapshot: the context
 * that a language model wants of what it retrieves.
 * walk		from each hit; its start is not used
 * hits, count	as of cop_search
 * steps	room for `capacity` in all.  Those of hit i are steps[starts[i]]
 *		to steps[starts[i + 1] - 1], the hit itself first; `from` counts
 *		from there.
 * starts	room for search->k + 1
 * more		as of cop_walk, for all hits together; may be NULL
 * Returns	as cop_search and cop_walk.
 * Progress	as these.
 */
COP_MUST cop_err cop_search_context(cop_read *read,
				    const struct cop_search *search,
				    const struct cop_walk *walk,
				    struct cop_hit *hits, uint32_t *count,
				    struct cop_step *steps, size_t capacity,
				    size_t *starts, int32_t *more);

struct cop_neighbor {
	uint64_t id;
	uint32_t relation; /* for cop_name() */
	int32_t direction; /* COP_OUT or COP_IN */
};

/*
 * The edges of an entity, without their properties: outgoing ones first, each
 * direction's in no order, a self loop once in each.
 * relation	NUL-terminated, NULL: any
 * direction	enum cop_direction, 0: out
 * neighbors	room for `capacity`
 * count	how many edges there are, also if they are more than
 *		`capacity`: with a capacity of 0, the degree
 * Returns	COP_NO_NAME for a relation the store has never seen,
 *		COP_INVALID.
 * Progress	no system call, no allocation; costs what the list holds.
 */
COP_MUST cop_err cop_neighbors(cop_read *read, uint64_t id,
			       const char *relation, int32_t direction,
			       struct cop_neighbor *neighbors, size_t capacity,
			       size_t *count);

/*
 * The same of many entities, one list behind the other: in less time than by
 * as many calls, as each list is fetched while those before it are read.
 * ids		count of them
 * neighbors	room for `capacity` in all
 * starts	room for count + 1: the list of ids[i] is neighbors[starts[i]]
 *		to neighbors[starts[i + 1] - 1].  It counts on beyond
 *		`capacity`, from where on nothing is written: if starts[count]
 *		is more, so much room is needed.
 * Returns	as cop_neighbors; after an error that came on the way, of a read
 *		as of the past, the lists before it may be written
 * Progress	as cop_neighbors, for each of them
 */
COP_MUST cop_err cop_neighbors_many(cop_read *read, const uint64_t *ids,
				    size_t count, const char *relation,
				    int32_t direction,
				    struct cop_neighbor *neighbors,
				    size_t capacity, size_t *starts);

struct cop_path {
	uint32_t size;
	uint32_t hops;	 /* at most so many, 0: any number */
	uint64_t source; /* an id */
	uint64_t target;
	const char *relation; /* NUL-terminated, NULL: any */
	int32_t direction;    /* enum cop_direction of each step, 0: out */
	uint32_t reserved;
	const char *weight; /* an edge's property, a number of 0 or more, that
			       says what it costs; 1 without it.
			       NUL-terminated, NULL: each costs 1 */
	double *cost; /* set to what a path by weight costs; may be NULL */
};

/*
 * A shortest path: as few edges as possible, or as cheap ones; any of several
 * as short.
 * steps	room for `capacity`; as of cop_walk, the source first and the
 *		target last, each reached from the one before it
 * count	how many the path has, also if they are more than `capacity`;
 *		0: there is none
 * Returns	COP_NO_NAME for a relation the store has never seen,
 *		COP_INVALID, also for a weight below 0 on the way, ENOMEM.
 * Progress	allocates what it needs: memory for what is seen from both
 *		ends, given back before it returns.  By weight it reads edges
 *		from LMDB.
 */
COP_MUST cop_err cop_path(cop_read *read, const struct cop_path *path,
			  struct cop_step *steps, size_t capacity,
			  size_t *count);

typedef int32_t cop_paths_visit(void *user, cop_read *read,
				const struct cop_step *steps, size_t count);

/*
 * Calls `visit` with every path from one entity to another that has at most
 * path->hops edges, 1 to COP_HOPS_MAX, and no entity twice.  Two edges between
 * the same entities are two paths.  A non-zero return ends it with COP_STOPPED.
 * steps	as of cop_path, `count` of them
 * Returns	COP_NO_NAME, COP_INVALID, COP_STOPPED, ENOMEM.
 * Progress	there may be very many: the time goes by what is visited.
 * Lifetime	steps: until visit returns.
 */
COP_MUST cop_err cop_paths(cop_read *read, const struct cop_path *path,
			   cop_paths_visit *visit, void *user);

/* ---- writing ------------------------------------------------------------ */

/*
 * Begins a write: puts and deletes are checked and encoded as they come, kept
 * in private memory, and take effect together at cop_commit().  No lock is
 * held until then.  Reads do not see a write before it is committed.
 */
COP_MUST cop_err cop_write_begin(cop_store *store, cop_write **out);

/* Drops a write and all it holds.  NULL is allowed. */
COP_API void cop_abort(cop_write *write);

enum cop_vector_change {
	COP_VECTOR_KEEP = 0, /* vector NULL: the entity keeps what it has */
	COP_VECTOR_DROP = 1  /* vector NULL: the entity has none from now on */
};

enum cop_content_change {
	COP_CONTENT_REPLACE = 0, /* by content; NULL: it has none */
	COP_CONTENT_KEEP = 1	 /* content NULL: it keeps what it has; that is
				    content_size bytes, or the commit fails with
				    COP_DANGLING; 0: whatever it is */
};

struct cop_put {
	uint32_t size;
	uint32_t key_size;
	const void *key;
	const char *type; /* NULL: none */
	size_t type_size;
	const struct cop_property *properties;
	const struct cop_validity *property_valid; /* of each, and one may be
						      there several times, at
						      times that do not meet;
						      NULL: always */
	uint32_t property_count;
	uint32_t tag_count;
	const char *const *tags;	      /* duplicates count once */
	const size_t *tag_sizes;	      /* NULL: tags end in NUL */
	const struct cop_validity *tag_valid; /* of each, and one may be there
						 several times; NULL: always */
	const void *content;		      /* NULL: none */
	size_t content_size;
	const float *vector; /* float32 x dim, or NULL */
	uint32_t dim;	     /* how many floats are there: cop_dim() if
				there is a vector */
	int32_t vector_change;
	int32_t content_change;
	uint32_t reserved;
};

/*
 * Puts an entity.  If its key is there already, type, properties, tags and
 * content are replaced by these, the content unless content_change says to
 * keep it; the vector by `vector`, or as vector_change says.  Its id and its
 * edges stay.
 * Returns	COP_BAD_KEY, COP_BAD_TEXT, COP_BAD_VECTOR, COP_TOO_LARGE, and
 *		COP_INVALID for a property that is there twice or no finite
 *		number; the write is as it was before the call.
 * Lifetime	everything is copied.
 */
COP_MUST cop_err cop_put(cop_write *write, const struct cop_put *put);

/*
 * Many puts, encoded by up to `threads` threads; all are taken or none.
 * cop_last_error() says which one was refused.
 */
COP_MUST cop_err cop_put_many(cop_write *write, const struct cop_put *puts,
			      size_t count, uint32_t threads);

/*
 * Content on its way in, of any size, in constant memory.  It is put into the
 * store as it comes, out of sight, by commits of its own, and seen when a write
 * that gives it to an entity is committed.  One that is not given to any goes
 * with the first cop_compact a day later.  One thread at a time.
 */
typedef struct cop_upload cop_upload;

COP_MUST cop_err cop_upload_begin(cop_store *store, cop_upload **out);

/*
 * Adds bytes at the end.
 * Returns	as cop_commit.  After an error it is of no use any more; nothing
 *		of it is ever seen.
 */
COP_MUST cop_err cop_upload_add(cop_upload *upload, const void *data,
				size_t size);

/* Bytes added so far. */
COP_API uint64_t cop_upload_size(const cop_upload *upload);

/* Frees it; what was given to a write stays.  NULL is allowed. */
COP_API void cop_upload_end(cop_upload *upload);

/*
 * Gives an entity what was added as its content; its other fields stay.  One
 * that is not there is put, with nothing else.  If a version of the entity has
 * the same content already, it is stored once.
 * The upload takes no more then; one write may give it to several entities.
 * Returns	COP_BAD_KEY; at the commit COP_INVALID if a compaction has
 *		dropped it.
 */
COP_MUST cop_err cop_put_content(cop_write *write, const void *key,
				 size_t key_size, cop_upload *upload);

/*
 * Changes nothing but the vector of an entity that must be there at commit
 * (else the commit fails with COP_DANGLING).  vector NULL: drops it.
 */
COP_MUST cop_err cop_put_vector(cop_write *write, const void *key,
				size_t key_size, const float *vector,
				uint32_t dim);

/*
 * Gives an entity that must be there at commit (else the commit fails with
 * COP_DANGLING) one tag more, or takes one from it; its other fields stay.  A
 * tag that it has, or has not, is no change.
 * Returns	COP_BAD_KEY, COP_BAD_TEXT, COP_TOO_LARGE, COP_INVALID.
 */
COP_MUST cop_err cop_tag(cop_write *write, const void *key, size_t key_size,
			 const char *tag, size_t tag_size);
COP_MUST cop_err cop_untag(cop_write *write, const void *key, size_t key_size,
			   const char *tag, size_t tag_size);

/*
 * The same for a tag that it has at some time, on top of the times at which it
 * has it already; cop_untag takes all of them.  valid NULL: always.
 */
COP_MUST cop_err cop_tag_valid(cop_write *write, const void *key,
			       size_t key_size, const char *tag,
			       size_t tag_size,
			       const struct cop_validity *valid);

/*
 * Deletes an entity with its edges, tags and vector.  One that is not there
 * counts as deleted.
 */
COP_MUST cop_err cop_delete(cop_write *write, const void *key, size_t key_size);

/*
 * Puts a deleted entity back as it was: type, properties, tags, content, its
 * vector, and those of its edges whose other ends are there.  One that is
 * there counts as undeleted, and stays as it is.  Its history goes on.
 * commit	as it was then; 0: just before it was deleted last, by an
 *		earlier write
 * Returns	at the commit: COP_DANGLING if it was not there then, or no
 *		version of it is kept; COP_INVALID if the same write deletes
 *		it; COP_TOO_OLD.
 */
COP_MUST cop_err cop_undelete(cop_write *write, const void *key,
			      size_t key_size, uint64_t commit);

enum cop_dangling {
	COP_DANGLING_REJECT = 0, /* the commit fails with COP_DANGLING */
	COP_DANGLING_STUB = 1,	 /* an entity of that key, with nothing else,
				    is put first */
	COP_DANGLING_SKIP = 2	 /* the edge is left out and counted */
};

struct cop_put_edge {
	uint32_t size;
	int32_t dangling; /* enum cop_dangling */
	const void *source;
	size_t source_size;
	const char *relation;
	size_t relation_size;
	const void *target;
	size_t target_size;
	const struct cop_property *properties;
	uint32_t property_count;
	uint32_t discriminator; /* tells edges apart that are otherwise the
				   same: two terms of office */
	const struct cop_validity *valid; /* NULL: always */
};

/*
 * Puts an edge; one with the same source, relation, target and discriminator
 * is replaced.  Entities put earlier in the same write are there for it.
 */
COP_MUST cop_err cop_put_edge(cop_write *write,
			      const struct cop_put_edge *edge);

/*
 * Deletes an edge of discriminator 0; one that is not there counts as deleted.
 */
COP_MUST cop_err cop_delete_edge(cop_write *write, const void *source,
				 size_t source_size, const char *relation,
				 size_t relation_size, const void *target,
				 size_t target_size);

/* The same, of an edge with any discriminator; its properties do not matter. */
COP_MUST cop_err cop_unlink(cop_write *write, const struct cop_put_edge *edge);

/*
 * Sets how long history is kept, for the store or for the entities of a type,
 * with their vectors, tags and outgoing edges.
 * What is older than the longest age of all is let go of by this commit, and by
 * later ones, a part with each, or by cop_maintain.  What a shorter age of a
 * type or a count does not keep goes with the next cop_compact; whoever asks
 * for it as of before then gets COP_TOO_OLD: an entity or a list by itself, a
 * scan, a search or a difference of everything as a whole. Returns
 * COP_INVALID, COP_BAD_TEXT.
 */
COP_MUST cop_err cop_retain(cop_write *write,
			    const struct cop_retention *retention);

/*
 * Sets a mark, or removes it: a small value of the application's, under a name
 * of its own, that changes with this commit or not at all.  So whoever follows
 * the change feed keeps what it has seen, or an import how far it is, exactly
 * once with what was done.  It is part of backups and of every copy of the
 * store, no search or walk sees it, and no history is kept of it.
 * name		UTF-8; begin it with who it is of: "mirror:orders"
 * value	NULL removes it, if it is there; size up to COP_MARK_BYTES
 * Returns	COP_BAD_TEXT, COP_TOO_LARGE; the commit fails with COP_TOO_LARGE
 *		if there would be more than COP_MARK_COUNT.
 */
COP_MUST cop_err cop_mark(cop_write *write, const char *name, size_t name_size,
			  const void *value, size_t size);

/* How many operations the write holds, and their bytes. */
COP_API size_t cop_write_count(const cop_write *write);
COP_API size_t cop_write_bytes(const cop_write *write);

/* The name of a request that another process was executing. */
struct cop_ticket {
	uint8_t office[16];
	uint64_t number; /* 0: none */
	uint64_t after;	 /* it is in no commit up to this one */
	uint32_t mailbox;
	uint32_t reserved;
};

struct cop_result {
	uint32_t size;
	uint32_t failed; /* on error: index of the operation that caused it, in
			    the order they were added; UINT32_MAX: none */
	uint64_t commit; /* number of the commit; that of the newest one if
			    nothing had to be written */
	uint64_t entities_put;
	uint64_t entities_deleted;
	uint64_t edges_put; /* operations: one put again counts again */
	uint64_t edges_deleted;
	uint64_t edges_skipped;
	uint64_t stubs_put;
	struct cop_ticket ticket; /* filled on COP_UNKNOWN */
};

enum cop_durability {
	/* on disk when the commit returns: survives a power cut */
	COP_DURABLE = 0,
	/* survives every death of processes; a power cut may take back the
	   newest lazy commits, all that came after one of them too, and
	   leaves the store whole.  The next durable commit makes them so. */
	COP_LAZY = 1
};

struct cop_commit_options {
	uint32_t size;
	uint32_t timeout_ms; /* to begin the commit, 0: the store's */
	int32_t durability;  /* enum cop_durability */
	uint32_t gather_us;  /* who leads a group waits this long for others,
				up to 1,000,000; 0: not at all */
	uint32_t threads;    /* that link vectors after a large commit, joined
				before it returns; 0: 1 */
};

/*
 * Commits all operations of the write in their order, or none.  When it
 * returns 0 they are on disk and visible to every read begun from now on, in
 * every process.  Small writes of many threads and processes share a commit
 * of the store's, and its number.
 * result	may be NULL; filled on success, and `failed` on error too.
 * Returns	COP_DANGLING, COP_NO_SPACE, COP_BUSY, COP_READ_ONLY,
 *		COP_STALLED if a read of a living process holds back more than
 *		COPPICE_STALL_BYTES of shared memory or of the data file (a
 *		quarter of the room there if that is not set),
 *		COP_FOREIGN if the segment's files were removed, COP_CONFLICT
 *		if something expected is not so, LMDB's codes or an errno.  On
 *		error the write stays as it was: it may be committed again or
 *		aborted.  On success it is empty.
 *		COP_UNKNOWN if another process was executing it and did not
 *		say in time what came of it: then, and only then, it may have
 *		happened or happen yet; result->ticket names it.  Or, then
 *		without a number in the ticket, if the disk failed at the
 *		commit's last page: close the store, open it again and look.
 * Progress	sleeps while another process commits, at most the time that
 *		two groups take once it has begun to wait (with over 256
 *		writers, one more for each 256), or timeout_ms.
 */
COP_MUST cop_err cop_commit(cop_write *write, struct cop_result *result);
COP_MUST cop_err cop_commit_with(cop_write *write,
				 const struct cop_commit_options *options,
				 struct cop_result *result);

/*
 * What came of a write that ended with COP_UNKNOWN.
 * happened	set to 1 or 0
 * result	as of cop_commit, if it happened; may be NULL
 * Returns	COP_UNKNOWN if it is under way still: ask again; COP_TOO_OLD
 *		if the records of commits since are not all kept any more.
 */
COP_MUST cop_err cop_outcome(cop_store *store, const struct cop_ticket *ticket,
			     int32_t *happened, struct cop_result *result);

/*
 * Mends what a killed writer left, and executes what waits for one.  Nobody
 * has to: the next commit does the same.  A reader that finds reads slow after
 * a writer's death may.
 * Returns	0, also when another process is at it; or as cop_commit.
 */
COP_MUST cop_err cop_poke(cop_store *store);

/* ---- transactions ------------------------------------------------------- */

/*
 * A condition of the write: the commit fails with COP_CONFLICT, and nothing is
 * written, unless the entity of this key has this version (cop_entity.version)
 * just before it; 0: unless there is none.  Put if absent is
 * cop_expect(write, key, size, 0) and cop_put.  Counts as an operation.
 */
COP_MUST cop_err cop_expect(cop_write *write, const void *key, size_t key_size,
			    uint64_t version);

/*
 * An edge as cop_put_edge would replace it: the keys of its ends, its relation
 * and its discriminator name it, nothing else of `edge` matters.
 * out->version is 0 if there is none.
 */
COP_MUST cop_err cop_find_edge(cop_read *read, const struct cop_put_edge *edge,
			       struct cop_edge *out);

/* The same condition as of cop_expect, of such an edge and cop_edge.version. */
COP_MUST cop_err cop_expect_edge(cop_write *write,
				 const struct cop_put_edge *edge,
				 uint64_t version);

/*
 * Begins a transaction: reads that are all as of one commit, and a write that
 * takes place only if, at its commit, all that was read is still so.  So
 * transactions behave as if they ran one after the other.  While its owner
 * thinks it holds nothing but memory: thousands may be open, for hours.
 * A read of something that has changed since the beginning returns
 * COP_CONFLICT, and so does the commit if something read has changed: end the
 * transaction and begin again, or let cop_txn_run do so.  What a writer left
 * that was killed counts as changed until somebody commits or calls cop_poke;
 * cop_txn_run does.
 * A transaction belongs to one thread at a time.
 * Returns	as cop_read_begin.
 */
COP_MUST cop_err cop_txn_begin(cop_store *store, cop_txn **out);

/* Ends a transaction, and drops what was not committed.  NULL is allowed. */
COP_API void cop_txn_end(cop_txn *txn);

/* The number of the commit that the transaction reads. */
COP_API uint64_t cop_txn_commit_read(const cop_txn *txn);

/*
 * What the transaction is to write: for cop_put and the others.  Its reads do
 * not see it.  Lifetime: until the transaction ends.
 */
COP_API cop_write *cop_txn_write(cop_txn *txn);

/*
 * An entity by key; absence is read, too.
 * Returns	COP_CONFLICT, COP_BAD_KEY; and as cop_read_begin.
 * Lifetime	copied: until the transaction ends.
 */
COP_MUST cop_err cop_txn_get(cop_txn *txn, const void *key, size_t key_size,
			     struct cop_entity *out);

/* One property of an entity that cop_txn_get gave; as cop_entity_property. */
COP_MUST cop_err cop_txn_property(cop_txn *txn, const struct cop_entity *entity,
				  const char *name, size_t name_size,
				  int *found, struct cop_value *out);

/* The vector of a key's entity, float32 x cop_dim(); NULL if it has none. */
COP_MUST cop_err cop_txn_vector(cop_txn *txn, const void *key, size_t key_size,
				const float **vector);

/* An edge by its ends' keys; out->version is 0 if there is none. */
COP_MUST cop_err cop_txn_edge(cop_txn *txn, const void *source,
			      size_t source_size, const char *relation,
			      size_t relation_size, const void *target,
			      size_t target_size, struct cop_edge *out);

/*
 * Every edge of an entity, as cop_edges.  Any edge of its that is put or
 * deleted afterwards, in either direction, is a conflict.
 * Lifetime	the edge and the read: until visit returns.
 */
COP_MUST cop_err cop_txn_edges(cop_txn *txn, const void *key, size_t key_size,
			       int32_t direction,
			       int32_t (*visit)(void *user, cop_read *read,
						const struct cop_edge *edge),
			       void *user);

/*
 * All entities of a type, with a tag, or both.  Any that joins or leaves that
 * list afterwards, or changes, is a conflict.
 * type, tag	NUL-terminated; one of them may be NULL.
 */
COP_MUST cop_err cop_txn_scan(cop_txn *txn, const char *type, const char *tag,
			      int32_t (*visit)(void *user, cop_read *read,
					       const struct cop_entity *entity),
			      void *user);

/*
 * All entities whose keys begin with `prefix`, as cop_keys.  Any key that is
 * made or deleted afterwards, with whatever prefix, is a conflict.
 */
COP_MUST cop_err cop_txn_keys(cop_txn *txn, const void *prefix,
			      size_t prefix_size,
			      int32_t (*visit)(void *user, cop_read *read,
					       const struct cop_entity *entity),
			      void *user);

/*
 * Commits the write if all that was read is still so; as cop_commit_with.
 * Returns	COP_CONFLICT: nothing was written; end it and begin again.
 */
COP_MUST cop_err cop_txn_commit(cop_txn *txn,
				const struct cop_commit_options *options,
				struct cop_result *result);

/*
 * Runs `work` in a transaction and commits it; after a conflict, again, with a
 * short pause, up to `tries` times (0: 100).  `work` returns 0 to commit, or
 * an error: COP_CONFLICT is tried again, any other ends it.
 * options	as of cop_commit_with; may be NULL
 */
COP_MUST cop_err cop_txn_run(cop_store *store,
			     int32_t (*work)(void *user, cop_txn *txn),
			     void *user, uint32_t tries,
			     const struct cop_commit_options *options,
			     struct cop_result *result);

/* ---- upkeep ------------------------------------------------------------- */

struct cop_compact_result {
	uint32_t size;
	uint32_t renewed;      /* 1: the segment, too; 0: no room for two, or
				  commits came too fast: the old one serves */
	uint64_t generation;   /* number of the one in use now */
	uint64_t bytes_before; /* of the data file on disk */
	uint64_t bytes_after;
	uint64_t pause_ns;	/* for which commits had to wait, in all */
	uint64_t shared_before; /* bytes of the index segment */
	uint64_t shared_after;
	uint64_t versions_dropped; /* of history, older than it is kept */
	uint64_t names_dropped;	   /* of the dictionary, that nothing has */
	uint64_t pause_longest_ns; /* of the two parts that pause_ns has */
};

/*
 * Builds the data file anew, without its free pages, and then the index
 * segment, beside those in use, and has all processes go over to them; they
 * read and write meanwhile.
 * options	its `progress` is called; may be NULL
 * result	may be NULL
 * Returns	COP_BUSY if another process is at it, COP_NO_SPACE, COP_STOPPED
 *		by progress, COP_CORRUPT for a damaged record or chunk of
 *		content; nothing has changed then.
 * Progress	commits wait for the end of it only; see pause_ns.  The old
 *		segment's memory is free when it returns, unless reads go on in
 *		it; the old data file's room, too, or when the last process that
 *		used it has made its next call.
 */
COP_MUST cop_err cop_compact(cop_store *store,
			     const struct cop_open_options *options,
			     struct cop_compact_result *result);

struct cop_rebuild_result {
	uint32_t size;
	uint32_t beside;   /* 1: while commits went on; 0: they waited, since
			      there were too many, or the segment was damaged */
	uint64_t pause_ns; /* for which they did, in all */
	uint64_t ns;	   /* the call took */
};

/*
 * Throws the index segment away and builds another from LMDB, while processes
 * stay attached: each goes over to it with its next read.  For a segment that
 * may be damaged; `coppice check` says so.
 * options	its `progress` is called; may be NULL
 * images	not 0: the images on disk are removed, too.  They are, anyway,
 *		if the segment is found to be damaged.
 * result	may be NULL
 * Returns	COP_BUSY if another process is at it or compacts, COP_NO_SPACE,
 *		COP_STOPPED; the old one serves then.
 */
COP_MUST cop_err cop_rebuild(cop_store *store,
			     const struct cop_open_options *options,
			     int32_t images, struct cop_rebuild_result *result);

struct cop_compact_options {
	uint32_t size;
	int32_t history; /* enum cop_history: kept at most, this once, whatever
			    the store's rules are; with COP_HISTORY_ALL, or an
			    age of 0, they alone say */
	uint64_t history_ms; /* of COP_HISTORY_AGE */
	int32_t (*progress)(void *user, const char *what, uint64_t done,
			    uint64_t total); /* as of cop_open_options */
	void *user;
};

/* cop_compact, with options of its own; may be NULL.  COP_INVALID. */
COP_MUST cop_err cop_compact_with(cop_store *store,
				  const struct cop_compact_options *options,
				  struct cop_compact_result *result);

/* What a compaction would free, at least, in bytes unless it says else. */
struct cop_slack {
	uint32_t size;
	uint32_t bloom_layers;	   /* of entity keys; 1 is what a new one has */
	uint64_t disk_bytes;	   /* of the data file on disk */
	uint64_t free_bytes;	   /* of it: its free pages */
	uint64_t history_bytes;	   /* of it: history older than it is kept */
	uint64_t history_versions; /* how many versions that is */
	uint64_t shared_bytes;	   /* of the index segment */
	uint64_t row_bytes;   /* of it: rows of vectors dead, or free again */
	uint64_t edge_bytes;  /* of it: blocks of adjacency lists, free */
	uint64_t bloom_bytes; /* of it: more than new filters would have */
	double bloom_rate;    /* false positives expected now, entity keys */
	double bloom_rate_wanted;
};

/*
 * Says what cop_compact_with would free with the same options, and changes
 * nothing.  What half full pages of the data file have in them is not counted.
 * options	may be NULL
 * Returns	COP_INVALID, COP_CORRUPT.
 * Progress	reads history if some of it may go.
 */
COP_MUST cop_err cop_compact_look(cop_store *store,
				  const struct cop_compact_options *options,
				  struct cop_slack *out);

struct cop_maintain_options {
	uint32_t size;
	uint32_t threads;   /* 0: 1 */
	uint32_t budget_ms; /* stops after about this long, 0: when done */
	uint32_t reserved;
};

struct cop_maintain_result {
	uint32_t size;
	uint32_t audited;   /* 0: the budget was too short to look at all of
			       the graph, a second a million vectors */
	uint64_t linked;    /* vectors that were linked into the graph */
	uint64_t reclaimed; /* what was dead and is free now */
	uint64_t mended;    /* nodes linked again, one of each part of the graph
			       that no way led to */
	uint64_t unlinked;  /* vectors that wait to be linked */
	uint64_t waiting;   /* what is dead and waits for readers */
};

/*
 * Does what commits leave for later: links vectors into the graph, frees what
 * no reader can reach any more, links again what no way leads to, and, by a
 * commit of its own, lets go of history that is older than it may be.  It lets
 * commits of others in between, some fifty times a second; with several threads
 * and no budget they wait until all is linked.
 * options, result	may be NULL
 * Returns	0, or as cop_poke.
 */
COP_MUST cop_err cop_maintain(cop_store *store,
			      const struct cop_maintain_options *options,
			      struct cop_maintain_result *result);

/* ---- figures ------------------------------------------------------------ */

struct cop_stats {
	uint32_t size;
	uint32_t dim;
	int32_t metric;
	int32_t rows;
	uint64_t commits;
	uint64_t commit_time_ns; /* of the newest one, since 1970 */
	uint64_t entities;
	uint64_t edges;
	uint64_t vectors;
	uint64_t names;	       /* in the dictionary */
	uint64_t name_hits;    /* names asked for that were there already */
	uint64_t name_misses;  /* names that were added */
	uint64_t disk_bytes;   /* allocated by the store's folder */
	uint64_t shared_bytes; /* allocated by both segments */
	uint64_t index_bytes;  /* published by the index segment's regions */
	uint64_t bank_bytes;   /* of those, vectors */
	uint64_t row_bytes;    /* one vector in the bank, code and row */
	uint64_t edge_bytes;   /* adjacency in shared memory */
	uint64_t bank_rows;    /* rows in use, dead ones not yet recycled too */
	uint64_t limbo;	       /* dead rows and blocks that wait for readers */
	uint32_t readers;      /* open reads, all processes */
	uint32_t bloom_layers;
	double bloom_rate;     /* false positives expected now, entity keys */
	char segment[256];     /* folder of the shared segments */
	uint64_t image_commit; /* that the newest image is of, 0: none */
	uint64_t image_bytes;  /* of its file */
	uint64_t record_bytes; /* records in shared memory, of index_bytes */
	uint64_t records;      /* how many, replaced ones that wait for readers,
				  too */
	uint64_t oldest_snapshot; /* commit of the oldest read that is open */
	uint64_t held_bytes;	  /* shared memory that waits in limbo */
	uint32_t stalled;	  /* reads that are stalled, see cop_readers */
	int32_t codes;		  /* enum cop_codes */
	uint64_t cache_bytes;  /* of the cache of results, 0: there is none */
	uint64_t cache_hits;   /* searches answered from it, all processes */
	uint64_t cache_misses; /* searches that were not */
	uint64_t cache_stores; /* results kept, replaced ones too */
	uint64_t cache_precomputed; /* of those, before anybody asked */
	uint64_t cache_entries;	    /* results in it, stale ones too */
	uint64_t codes_dim;	    /* numbers of a vector that are coded */
	uint32_t signs;		    /* 1: signs of vectors are kept */
	uint32_t nibbles;	    /* 1: walks read half of each code first */
	uint64_t data_bytes; /* of the data file's pages, used and free */
	uint64_t free_bytes; /* of those, free as of the read: later commits use
				them before the file grows */
	uint64_t unlinked;   /* vectors that wait to be linked into the graph */
	uint64_t oldest;     /* the first commit that can be read as of */
};

enum cop_role {
	COP_ROLE_READ = 1,
	COP_ROLE_SCAN = 2, /* a read in cop_scan */
	COP_ROLE_WRITE = 3 /* has the writer lock, with no snapshot */
};

enum cop_reader_state {
	COP_READER_IDLE = 0, /* kept at hand by its process; holds nothing */
	COP_READER_OPEN = 1,
	COP_READER_STALLED = 2, /* its snapshot has not been the newest for
				   COPPICE_STALL_SECONDS, 60 */
	COP_READER_DEAD = 3 /* its process is gone: the next commit clears it */
};

struct cop_reader {
	uint32_t pid; /* in its own PID namespace */
	uint32_t tid; /* of the thread that began it */
	int32_t role; /* enum cop_role */
	int32_t state;
	const char *name;	/* cop_open_options.name, or the program's */
	uint64_t pid_namespace; /* its inode, 0: not known */
	int32_t is_foreign;	/* 1: not this process's PID namespace */
	uint32_t reserved;
	uint64_t commit; /* of its snapshot */
	uint64_t behind; /* commits since */
	uint64_t age_ns; /* since its snapshot was the newest, 0: it is */
	uint64_t reads;	 /* snapshots taken in this slot, or commits made */
};

/*
 * Calls `visit` for whoever holds the writer lock, and for every reader's slot
 * in use, of all processes, but not for the call's own.  A non-zero return
 * ends it with COP_STOPPED.
 * Lifetime	the reader and its name: until visit returns.
 */
COP_MUST cop_err cop_readers(cop_store *store,
			     int32_t (*visit)(void *user,
					      const struct cop_reader *reader),
			     void *user);

/* The writer lock, the only one: so nothing can wait in a circle. */
struct cop_lock {
	uint32_t size;
	int32_t is_held;
	uint32_t pid;	    /* of who has it, in its own PID namespace */
	uint32_t waiting;   /* how many wait */
	uint64_t held_ns;   /* by him, so far */
	uint64_t times;	    /* it was had, since shared memory was made */
	char name[32];	    /* of who has it; ends in NUL */
	int32_t is_foreign; /* 1: he is not of this process's PID namespace */
	uint32_t reserved;
};

/*
 * Who has the writer lock now, and who waits.
 * waiting	called with the pid, in its own PID namespace, of each commit
 *		that waits for who has the lock to take it, and of each process
 *		with threads that wait for the lock itself; may be NULL.  A
 *		non-zero return ends it with COP_STOPPED.
 * Progress	takes no lock.
 */
COP_MUST cop_err cop_lock_look(cop_store *store, struct cop_lock *out,
			       int32_t (*waiting)(void *user, uint32_t pid),
			       void *user);

/* ---- traces ------------------------------------------------------------- */

enum cop_subject { /* bits */
		   COP_TRACE_COMMIT = 1,
		   COP_TRACE_LOCK = 2, /* the writer lock was let go */
		   COP_TRACE_SEARCH = 4,
		   COP_TRACE_WALK = 8,
		   COP_TRACE_LINK = 16, /* vectors, after a commit */
		   COP_TRACE_RECOVER = 32
};

enum cop_journal {
	COP_JOURNAL_TRACE = 0, /* what is traced */
	COP_JOURNAL_SLOW = 1   /* what was slow */
};

/*
 * What all processes that have the store attached trace, from now on, until
 * its shared memory goes: bits of enum cop_subject, 0: nothing.
 * Returns	COP_INVALID for other bits.
 */
COP_MUST cop_err cop_trace_set(cop_store *store, uint32_t subjects);
COP_MUST cop_err cop_trace(cop_store *store, uint32_t *subjects);

/* From how long on an operation is slow, likewise; 0: none is.  100 ms. */
COP_MUST cop_err cop_slow_set(cop_store *store, uint64_t threshold_ns);
COP_MUST cop_err cop_slow(cop_store *store, uint64_t *threshold_ns);

struct cop_event {
	uint32_t size;
	int32_t subject; /* enum cop_subject */
	uint64_t number; /* grows by 1 */
	int64_t time_ns; /* at its end, since 1970 */
	uint64_t took_ns;
	uint32_t pid; /* in its own PID namespace */
	uint32_t reserved;
	const char *name; /* of its process */
	const char *text; /* what there is to say, in words */
};

/*
 * Calls `visit` for what processes told, oldest first; the newest 1,024 are
 * kept, in shared memory.  Numbers that are left out were overwritten, or
 * their process died while it told them.
 * which	enum cop_journal
 * timeout_ms	waits so long if there is nothing new; 0: does not
 * next		the number to begin with, 0: all there are; set to the one
 *		to go on with
 * Returns	COP_STOPPED if visit returns non-zero; EINTR
 * Lifetime	the event: until visit returns
 */
COP_MUST cop_err cop_events(
    cop_store *store, int32_t which, uint32_t timeout_ms, uint64_t *next,
    int32_t (*visit)(void *user, const struct cop_event *event), void *user);

/* The store's figures, as of the read's snapshot where that applies. */
COP_MUST cop_err cop_stat(cop_read *read, struct cop_stats *out);

enum cop_timing {
	COP_TIMING_SEARCH = 0,
	COP_TIMING_WALK = 1,   /* one walk or path in sixteen is timed */
	COP_TIMING_COMMIT = 2, /* as who asked for it waited */
	COP_TIMING_WAIT = 3,   /* for the writer lock, by who then had it */
	COP_TIMING_HOLD = 4,   /* of the writer lock */
	COP_TIMING_SYNC = 5,   /* LMDB's commit: mostly the disk */
	COP_TIMING_GROUP = 6,  /* writes of a commit: a size, no span */
	COP_TIMINGS = 7
};

enum { COP_BUCKETS = 304 };

/* Spans in nanoseconds, or sizes, by buckets an eighth wide at most. */
struct cop_histogram {
	uint64_t count;
	uint64_t sum;
	uint64_t buckets[COP_BUCKETS];
};

/* The least number that is counted in a bucket, and of the one after it. */
COP_API uint64_t cop_bucket_least(uint32_t bucket);

/*
 * The number below which a share of all are, to an eighth; 0 if there are none.
 * share	0 to 1: 0.5 is the median
 */
COP_API double cop_quantile(const struct cop_histogram *histogram,
			    double share);

/*
 * What was done with the store since its shared memory was made, by all
 * processes, those that are dead included: no figure ever goes back but by
 * cop_detach().  What is read is told some 64 look-ups at a time, or when a
 * read ends.
 */
struct cop_figures {
	uint32_t size;
	uint32_t processes;   /* attached and counted now */
	uint64_t uncounted;   /* that found no room for their figures, ever */
	uint64_t writes;      /* commits that were asked for and acknowledged */
	uint64_t conflicts;   /* refused for what they had read */
	uint64_t refused;     /* refused for anything else */
	uint64_t retries;     /* transactions begun again by cop_txn_run */
	uint64_t write_bytes; /* of the acknowledged, as they were asked */
	uint64_t entities_put;
	uint64_t entities_deleted;
	uint64_t edges_put;
	uint64_t edges_deleted;
	uint64_t searches;
	uint64_t linked;    /* vectors linked into the graph */
	uint64_t recovered; /* attempts of the dead that were settled */
	uint64_t locks;	    /* times the writer lock was taken */
	uint64_t reads;	    /* snapshots taken */
	uint64_t shared;    /* records that were read in shared memory */
	uint64_t copied;    /* records that were read from LMDB */
	uint64_t denied;    /* keys and edges that a bloom filter denied */
	uint64_t doubtful;  /* that it did not, and that are not there */
	uint64_t lists;	    /* lists of neighbours */
	uint64_t walks;	    /* and paths */
	uint64_t inflated;  /* bytes decompressed */
	struct cop_histogram timings[COP_TIMINGS];
};

/*
 * The figures of all processes together.
 * Progress	a system call for each reader's slot and process.
 */
COP_MUST cop_err cop_figures(cop_store *store, struct cop_figures *out);

struct cop_process {
	uint32_t pid;	    /* in its own PID namespace */
	uint32_t place;	    /* where its figures are: tells processes apart */
	int32_t is_foreign; /* 1: not this process's PID namespace */
	uint32_t open;	    /* reads that it has open */
	uint64_t pid_namespace; /* its inode, 0: not known */
	uint64_t since_ns;	/* attached, since 1970 */
	uint64_t oldest;  /* commit of its oldest open read, 0: it has none */
	const char *name; /* cop_open_options.name, or the program's */
	const struct cop_figures *figures;
	uint64_t read_places; /* where its reads are counted: once this is
				 another, what it read since is not told */
};

/*
 * Calls `visit` for every attached process that is counted.  Its figures go on
 * from those of a dead process that had its place before: what it does is told
 * by two calls, some time apart.  A non-zero return ends it with COP_STOPPED.
 * Lifetime	the process, its name and figures: until visit returns.
 */
COP_MUST cop_err cop_processes(cop_store *store,
			       int32_t (*visit)(void *user,
						const struct cop_process *one),
			       void *user);

enum { COP_RECALL_DEGREES = 33 };

/* How well the vector graph answers. */
struct cop_recall {
	uint32_t size;
	uint32_t samples; /* entities asked about */
	double recall;	  /* share of their 10 nearest that a walk finds */
	uint64_t nodes;
	uint64_t links;	      /* of the lowest level */
	uint64_t unreachable; /* nodes that no way leads to, nor to one that has
				 the same code, which a walk takes as well */
	uint64_t one_way;     /* links without their counterpart */
	uint64_t broken;      /* links to nothing, or twice the same */
	uint64_t dead;	      /* nodes that are to be taken out */
	uint64_t waiting;     /* vectors that are not nodes yet */
	uint64_t degrees[COP_RECALL_DEGREES]; /* nodes by their links */
	double recall_coded; /* the same without what no graph finds: those of
				the nearest that by their codes are not among
				as many as a walk is wide.  If it is much more,
				a wider walk or other codes find more */
};

/*
 * Audits the vector graph: compares walks with exact searches for entities
 * spread over the store, each left out of its own answer, and counts what the
 * graph is made of.
 * samples	0: 200
 * ef		as of cop_search; 0: what a search takes
 * Returns	COP_BAD_VECTOR for a store without vectors; COP_CORRUPT, too, if
 *		a page of the data file that has them is damaged: all of them
 *		are looked at first, a third of a second a gigabyte.
 * Progress	reads only.  What is being linked meanwhile may be counted as
 *		one way or broken.
 */
COP_MUST cop_err cop_recall(cop_read *read, uint32_t samples, uint32_t ef,
			    struct cop_recall *out);

/*
 * Checks everything: LMDB's records and indexes against each other, both ways,
 * the chain of commits, and the shared segment against LMDB.
 * found	called with each finding, in words; may be NULL
 * findings	how many there are
 * Returns	0 even if there are findings.  If some are of the segment, its
 *		images are removed, since they may have the damage, too.
 * Progress	holds the writer lock: commits wait meanwhile, reads do not.
 */
COP_MUST cop_err cop_check(cop_store *store,
			   void (*found)(void *user, const char *text),
			   void *user, uint64_t *findings);

enum cop_place {			/* of a finding */
		 COP_PLACE_DATA = 1,	/* LMDB's records and indexes */
		 COP_PLACE_HISTORY = 2, /* versions of what was */
		 COP_PLACE_SEGMENT = 3, /* shared memory */
		 COP_PLACE_IMAGE = 4,	/* images of it on disk */
		 COP_PLACE_GRAPH = 5	/* what the vector graph finds */
};

enum cop_check_depth {
	COP_CHECK_FULL = 0,  /* as cop_check */
	COP_CHECK_QUICK = 1, /* counters, the newest thousand commits and the
				pages that these are on, the heads of images:
				no lock, seconds at most */
	COP_CHECK_DEEP = 2   /* FULL, and every value decoded, every image
				unpacked, and recall and reach of the graph */
};

struct cop_check_options {
	uint32_t size;
	int32_t depth;	 /* enum cop_check_depth */
	uint32_t repair; /* 1: what can be mended is; 2: and what is damaged
			    past that is removed; not of a quick check */
	uint32_t reserved;
	/* called with each finding, enum cop_place and words; may be NULL */
	void (*found)(void *user, int32_t place, const char *text);
	void *user;
};

struct cop_check_result {
	uint32_t size;
	uint32_t reserved;
	uint64_t left;	 /* findings that are so still */
	uint64_t mended; /* findings that were mended */
};

/*
 * Checks as deep as wanted, and mends what can be.
 * In the data file, by one commit: indexes by what the records say, counters;
 * an edge, or a vector, of an entity that is not there goes; a bit that flipped
 * is put back.  If a record is damaged otherwise, it and all else in the file
 * stay as they are, unless it is to be removed.  Shared memory is built anew,
 * images that are of no use are removed (of a deep check).
 * result	may be NULL
 * Returns	0 even if there are findings; or as cop_check and cop_commit.
 *		COP_CORRUPT after the findings if pages of the data file are
 *		damaged, since nothing else can be read then; also to repair if
 *		only its list of free pages is.  cop_check_file mends those.
 * Progress	the writer lock is held, but for a quick check.
 */
COP_MUST cop_err cop_check_with(cop_store *store,
				const struct cop_check_options *options,
				struct cop_check_result *result);

/*
 * Checks the data file of a store that nobody has attached: its pages, and
 * each entry against its checksum, and no more.  For one that cannot be opened
 * since it is damaged, or whose pages are.
 * Damaged entries are mended as by cop_check_with.  If pages are damaged, what
 * can be read of all is put into another data file, which takes the place of
 * the old one: with repair 1 if nothing is lost, with 2 in any case; then
 * history before the newest commit is not known any more.  It takes room on
 * the disk for another file.  Afterwards the store can be opened, and
 * cop_check_with does the rest.
 * Returns	0 even if there are findings; COP_BUSY if somebody has the
 *		store attached; COP_CORRUPT if nothing can be read; COP_NO_SPACE
 * Progress	the writer lock is held.
 */
COP_MUST cop_err cop_check_file(const char *path,
				const struct cop_check_options *options,
				struct cop_check_result *result);

/* ---- checkpoints -------------------------------------------------------- */

struct cop_checkpoint_result {
	uint32_t size;
	uint32_t reserved;
	uint64_t commit;	/* that the image is of */
	uint64_t bytes;		/* of the file */
	uint64_t segment_bytes; /* of the segment, that are in it */
	uint64_t chunks;	/* that the segment was cut into */
	uint64_t chunks_locked; /* packed while the writer lock was held */
	uint64_t locked_ns;	/* the writer lock was held for */
	uint64_t ns;		/* the call took */
};

/*
 * Writes an image of the shared segment to the store's folder, compressed and
 * checksummed.  When the segment is gone, after a reboot or cop_detach(), the
 * next open loads the newest image and brings it forward instead of building
 * the segment anew.  The two newest images are kept, and operation records
 * older than both are deleted by later commits, a few with each.
 * An image is written by itself when the last process closes a store of over
 * 10,000 entities of which there is no image yet, or a tenth of which has
 * changed since, unless COPPICE_CHECKPOINT is 0.
 * result	may be NULL
 * Returns	COP_BUSY if another process is at it or the writer lock was not
 *		had, COP_MOVED if the segment was replaced meanwhile,
 *		COP_NO_SPACE, COP_CORRUPT if a check found damage in the
 *		segment, or an errno.  On error the older images stay.
 * Progress	uses up to 8 threads.  Reads and commits go on; the writer lock
 *		is held while what they changed meanwhile is packed again.
 */
COP_MUST cop_err cop_checkpoint(cop_store *store,
				struct cop_checkpoint_result *result);

/* ---- backups ------------------------------------------------------------ */

struct cop_backup_options {
	uint32_t size;
	int32_t plain; /* 1: do not compress */
	/* called for each MiB or so; non-zero ends it with COP_STOPPED */
	int32_t (*progress)(void *user, const char *what, uint64_t done,
			    uint64_t total);
	void *user;
};

/* What a backup is of. */
struct cop_backup_info {
	uint32_t size;
	uint32_t format; /* of the store */
	uint32_t dim;
	int32_t metric;
	int32_t rows;
	int32_t codes;
	uint64_t commit;	 /* that the store is as of */
	uint64_t oldest;	 /* that can be read as of */
	uint64_t commit_time_ns; /* since 1970 */
	uint64_t taken_ns;	 /* when the backup was, since 1970 */
	uint64_t entities;
	uint64_t edges;
	uint64_t vectors;
	uint64_t entries;    /* records of all kinds, of history, too */
	uint64_t data_bytes; /* of them, not compressed */
	uint64_t bytes;	     /* of the backup */
	char uuid[40];	     /* the store's */
	char coppice[24];    /* version of the library that wrote it */
};

/*
 * Writes a backup of the store, as of one commit and with all of its history,
 * while it is in use.
 * fd		a file, a pipe, a socket; written from here on, without
 *		seeking, and not synced
 * options, info	may be NULL
 * Returns	COP_NO_SPACE, COP_STOPPED, EPIPE and others of write(); what was
 *		written is then of no use.  COP_STALLED if it would hold back so
 *		much of the data file that commits would be refused, as
 *		cop_readers has it: it gives way to them.
 * Progress	takes no lock that a reader or a writer wants.  The data file
 *		grows by what commits replace meanwhile.
 */
COP_MUST cop_err cop_backup(cop_store *store, int32_t fd,
			    const struct cop_backup_options *options,
			    struct cop_backup_info *info);

/*
 * Reads a backup to its end and checks every byte of it.
 * fd		read from here on, without seeking
 * options, info	may be NULL
 * Returns	COP_CORRUPT, and where; COP_VERSION; COP_STOPPED; an errno.
 */
COP_MUST cop_err cop_backup_verify(int32_t fd,
				   const struct cop_backup_options *options,
				   struct cop_backup_info *info);

struct cop_restore_options {
	uint32_t size;
	uint32_t mode;	/* as in cop_options; 0: as the old store's */
	uint32_t group; /* gid + 1, 0: this process's */
	uint32_t reserved;
	const char *shm_dir; /* as in cop_options; NULL: as the old store's */
	int32_t (*progress)(void *user, const char *what, uint64_t done,
			    uint64_t total);
	void *user;
};

/*
 * Makes a store in the folder `path`, which must not exist or be empty, from a
 * backup: the same entities, history, rules and parameters.  It is another
 * store, with a uuid and segments of its own, also beside the old one or in its
 * place.
 * fd		read from here on, without seeking, and checked as by
 *		cop_backup_verify
 * options, info	may be NULL
 * Returns	COP_EXISTS if something is there, COP_BUSY if another process
 *		restores to the same path, COP_CORRUPT, COP_VERSION,
 *		COP_INVALID for an option out of range, COP_NO_SPACE,
 *		COP_STOPPED, an errno.  Nothing is left behind on error; a death
 *		leaves the folder `path`.restoring, which the next to restore to
 *		the same path removes.
 */
COP_MUST cop_err cop_restore(int32_t fd, const char *path,
			     const struct cop_restore_options *options,
			     struct cop_backup_info *info);

/* ---- versions ----------------------------------------------------------- */

/*
 * Brings a store of an older format to the one that this library writes.
 * There are no older ones that it could bring forward yet.
 * from, to	its format before and after; may be NULL
 * Returns	COP_VERSION for a store of a newer format, or of one before the
 *		first that can be brought forward; COP_NOT_A_STORE, an errno.
 */
COP_MUST cop_err cop_upgrade(const char *path, uint32_t *from, uint32_t *to);

#if defined(__cplusplus) && !defined(COP_CDEF)
}
#endif
#undef COP_API
#undef COP_MUST
#endif
