/* SPDX-License-Identifier: Apache-2.0 */
/*
 * coppice for Node.js: the parts of the addon.
 *
 * idea
 *	What is here is close to coppice.h: a store, a read (a snapshot), a
 *	write, and functions that take one of them and then positional
 *	arguments.  ../index.js makes of it what people use.  Types are checked
 *	here: whatever a caller passes, it throws at worst.
 *
 * order
 *	Taking an argument may run the caller's code, a getter or a proxy, which
 *	may close what the call is about or give an array's memory away.  So a
 *	function takes its arguments first, those that borrow memory (vectors,
 *	content) last, and enters its object then.  Between js_object_enter()
 *	and js_object_leave() whoever else comes is refused with COP_IN_USE, and
 *	a close waits.
 *
 * lifetimes
 *	A read and a write hold their store, a job what it works with.  Closing
 *	is a wish: it ends when nothing uses it any more.  A finalizer closes
 *	what nobody has closed.  All of that is in the object's own thread, that
 *	of its JavaScript; nothing here is shared by two threads.
 *
 * threads
 *	Reads are of microseconds and are done at once.  Commits and whatever
 *	takes longer are jobs of libuv's threads, which see no JavaScript:
 *	arguments are copied before, results are made after.  Each worker_thread
 *	has an instance of its own; they share nothing but the library, which
 *	gives them the same store.
 *
 * errors
 *	A function returns NULL, or not 0, if an exception is pending.  No
 *	exception crosses a frame of the library's: a callback that threw
 *	answers no until the library returns.
 *
 * limits
 *	Node-API 8: one file for Node.js 18 and later ones.
 */
#ifndef NODE_BINDING_H
#define NODE_BINDING_H

#define NAPI_VERSION 8
#include <node_api.h>

#include <coppice.h>

typedef napi_value js_function(napi_env env, napi_callback_info info);

/* ---- errors; error.c ---------------------------------------------------- */

/* Of this binding's own, beside those of enum cop_error. */
enum js_error {
	JS_CLOSED = -1, /* COP_CLOSED: what it is about has been closed */
	JS_IN_USE = -2	/* COP_IN_USE: another call has it */
};

#define JS_NO_OPERATION UINT32_MAX

/* 1 with an exception if the status is none that is good, else 0. */
int js_failed(napi_env env, napi_status status);

/* A CoppiceError; operation: that of a write, or JS_NO_OPERATION. */
napi_value js_error_make(napi_env env, int32_t number, const char *text,
			 uint32_t operation);

/* They throw and return NULL; js_throw says what cop_last_error() does. */
napi_value js_throw(napi_env env, cop_err err);
napi_value js_throw_own(napi_env env, int32_t number, const char *text);
napi_value js_throw_type(napi_env env, const char *what, const char *wanted);
napi_value js_throw_range(napi_env env, const char *what, const char *wanted);

/* What an instance of the addon has: of each thread one. */
int js_instance_make(napi_env env);

/* (class): what errors are made of */
napi_value js_setup(napi_env env, napi_callback_info info);

/* ---- arguments; argument.c ---------------------------------------------- */

/* Memory until a call is over. */
struct js_block;
struct js_scratch {
	struct js_block *blocks;
	size_t used; /* of room */
	size_t values;
	_Alignas(16) char room[1024];
};

void js_scratch_init(struct js_scratch *scratch);
void js_scratch_release(struct js_scratch *scratch);
void *js_scratch_get(napi_env env, struct js_scratch *scratch, size_t size);

/* The first `count` arguments, undefined where there are fewer. */
int js_arguments(napi_env env, napi_callback_info info, size_t count,
		 napi_value *out);

/* 1: undefined or null. */
int js_is_none(napi_env env, napi_value value);

struct js_text {
	const char *data; /* with a NUL behind it */
	size_t size;
};

/*
 * Each sets out, or throws and returns -1; `what` names the argument.  A text
 * is a string or a Uint8Array, copied; a name has no NUL in it.
 */
int js_text_from(napi_env env, napi_value value, const char *what,
		 struct js_scratch *scratch, struct js_text *out);
int js_text_or_none_from(napi_env env, napi_value value, const char *what,
			 struct js_scratch *scratch, struct js_text *out);
int js_name_from(napi_env env, napi_value value, const char *what,
		 struct js_scratch *scratch, const char **out);
int js_name_or_none_from(napi_env env, napi_value value, const char *what,
			 struct js_scratch *scratch, const char **out);
int js_names_from(napi_env env, napi_value value, const char *what,
		  struct js_scratch *scratch, const char *const **out,
		  uint32_t *count);
int js_i32_from(napi_env env, napi_value value, const char *what, int32_t *out);
int js_u32_from(napi_env env, napi_value value, const char *what,
		uint32_t *out);
int js_u64_from(napi_env env, napi_value value, const char *what,
		uint64_t *out);
int js_double_from(napi_env env, napi_value value, const char *what,
		   double *out);

/* Milliseconds since 1970; from -Infinity to Infinity where `edge` is not 0. */
int js_instant_from(napi_env env, napi_value value, const char *what, int edge,
		    struct cop_instant *out);

/*
 * A Float32Array, borrowed: until any code of the caller's may run.  Shared
 * memory is copied.
 */
struct js_floats {
	const float *data;
	size_t count;
};
int js_floats_from(napi_env env, napi_value value, const char *what,
		   struct js_scratch *scratch, struct js_floats *out);
int js_floats_copy(napi_env env, struct js_scratch *scratch,
		   struct js_floats *floats);

/* A Uint8Array, borrowed as js_floats_from does. */
int js_bytes_from(napi_env env, napi_value value, const char *what,
		  struct js_scratch *scratch, struct js_text *out);

/* ---- values; value.c ---------------------------------------------------- */

/* Properties of an object; undefined and null: none. */
int js_properties_from(napi_env env, napi_value value,
		       struct js_scratch *scratch, struct cop_property **out,
		       uint32_t *count);

/* A string, or a Buffer of what is not UTF-8. */
napi_value js_text_to(napi_env env, const void *data, size_t size);

/* An id, a commit, a count. */
napi_value js_u64_to(napi_env env, uint64_t number);

/* The name of a number, null for 0. */
napi_value js_name_to(napi_env env, cop_read *read, uint32_t name);

/* An object of properties, of which `at` gives number `index`. */
typedef cop_err js_property_at(cop_read *read, const void *of, uint32_t index,
			       const char **name, size_t *name_size,
			       struct cop_value *out);
napi_value js_properties_to(napi_env env, cop_read *read, const void *of,
			    uint32_t count, js_property_at *at);

/* Sets member `index` of an array to a value, if there is one; else -1. */
int js_item_set(napi_env env, napi_value array, size_t index, napi_value item);

/* Sets a member of an object likewise. */
int js_member_set(napi_env env, napi_value object, const char *name,
		  napi_value value);

/* A Float64Array of `count` numbers to be filled in; NULL throws. */
napi_value js_numbers_make(napi_env env, size_t count, double **out);

/* ---- what is open; object.c --------------------------------------------- */

enum js_kind { JS_STORE = 1, JS_READ = 2, JS_WRITE = 4 };

struct js_object {
	unsigned kind;
	uint32_t users;
	struct js_object *owner;	       /* a user of it; NULL: none */
	void (*end)(struct js_object *object); /* lets go of the library's */
	int is_closing;
	int is_ended;
	int is_dropped; /* by JavaScript: freed when nothing uses it */
};

struct js_store {
	struct js_object object;
	cop_store *handle;
};

struct js_read {
	struct js_object object;
	cop_read *handle;
};

struct js_write {
	struct js_object object;
	cop_write *handle;
};

/* Takes `object`, which malloc gave; NULL with an exception. */
napi_value js_object_wrap(napi_env env, struct js_object *object);

/*
 * The object, whose user the caller is until js_object_leave(); NULL with an
 * exception if it is of none of these kinds, is closed, or is in use, which a
 * store never is.
 */
struct js_object *js_object_enter(napi_env env, napi_value value,
				  unsigned kinds);
void js_object_use(struct js_object *object);
void js_object_leave(struct js_object *object);

/* The store of a store or a read. */
struct js_store *js_store_of(struct js_object *object);

/* (object) */
napi_value js_close(napi_env env, napi_callback_info info);

/* ---- jobs; job.c -------------------------------------------------------- */

/* What a thread of libuv's does; the first member of each kind of job. */
struct js_job {
	cop_err (*run)(struct js_job *job); /* there */
	napi_value (*result)(napi_env env, struct js_job *job);
	void (*release)(struct js_job *job); /* what it has, not itself */
	struct js_object *object;	     /* entered; left when it is done */
	uint32_t operation;		     /* for js_error_make() */
	cop_err err;
	napi_async_work work;
	napi_deferred deferred;
	char text[1024];
};

/* Keeps what cop_last_error() says, if the thread calls more before its end. */
void js_job_note(struct js_job *job, cop_err err);

/* Takes the job, which malloc gave: a promise; NULL with an exception. */
napi_value js_job_start(napi_env env, struct js_job *job, const char *name);

/* ---- functions ---------------------------------------------------------- */

/* store.c */
js_function js_create, js_detach, js_open, js_dim, js_metric, js_checkpoint,
    js_compact, js_maintain;

/* read.c */
js_function js_read_begin, js_read_number, js_read_as_of, js_read_commit_at,
    js_read_valid_at, js_has, js_key, js_get, js_content, js_content_read,
    js_vector, js_keys, js_select, js_stat;

/* find.c */
js_function js_search, js_search_many, js_walk, js_path, js_neighbors, js_edges;

/* write.c */
js_function js_write_begin, js_put, js_put_vector, js_delete, js_undelete,
    js_expect, js_tag, js_untag, js_link, js_unlink, js_write_length, js_commit;

/* A snapshot to read: that of a read, or a store's newest for one call. */
struct js_source {
	struct js_object *object;
	struct js_store *store;
	cop_read *read;
};
int js_source_enter(napi_env env, napi_value value, struct js_source *out);
void js_source_leave(struct js_source *source);

/* An entity's fields, an array; null if there is none. */
napi_value js_entity_to(napi_env env, cop_read *read,
			const struct cop_entity *entity);

/* The key of an id. */
napi_value js_key_to(napi_env env, cop_read *read, uint64_t id);

#endif
