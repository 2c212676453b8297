/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nginx serves from a store: an entity, a search, an addition.
 *
 * idea
 *	coppice_store PATH	in http, server or location: the store
 *	coppice_entity on	in location: this is GET ?key=
 *	coppice_search on	GET ?q=, and POST of a vector
 *	coppice_add on		POST of an entity
 *
 *	An answer is made where the request is, in the worker's event loop: a
 *	search takes less than a millisecond and waits for nobody.  All of it is
 *	made at once, in one read, which ends before anything is sent: a slow
 *	client holds no snapshot, and neither does a worker that has nothing to
 *	do.  The next read is the same one again, without a system call.
 *
 * lifetimes
 *	The master opens a store once, however many locations name it, when it
 *	reads the configuration.  That is before nginx has given anything up for
 *	it: what cannot be opened fails the start or `nginx -t`, and a reload
 *	goes on with what there was (an error of init_module would end the
 *	master).  A worker attaches by itself, in init_process, before it takes
 *	connections.  If that fails, it is tried again with each request.
 *	The store is closed with the configuration that named it: by the master
 *	after a reload, by a worker when it ends.  This module's code is let go
 *	of after that, as the cleanup that does so was added before.
 *
 * crash
 *	A worker that is killed leaves a slot that the next writer clears.
 *
 * limits
 *	What a store's files may be opened by is its mode and group: workers
 *	run as nginx's `user`.
 */
#include "web.h"

enum { OPEN_WAIT_MS = 30000 };

/* A store that the configuration names. */
struct named_store {
	ngx_str_t path;
	cop_store *handle;
};

struct main_conf {
	ngx_array_t stores; /* of struct named_store * */
};

/* What a location may be. */
struct endpoint {
	ngx_uint_t methods;
	const char *allow; /* the same in words */
	ngx_uint_t reads;
	ngx_uint_t (*answer)(struct web_call *call);
};

struct loc_conf {
	struct named_store *store;
	const struct endpoint *endpoint;
};

extern ngx_module_t ngx_http_coppice_module;

static const struct endpoint entity_endpoint = {NGX_HTTP_GET | NGX_HTTP_HEAD,
						"GET, HEAD", 1, web_entity};
static const struct endpoint search_endpoint = {
    NGX_HTTP_GET | NGX_HTTP_HEAD | NGX_HTTP_POST, "GET, HEAD, POST", 1,
    web_search};
static const struct endpoint add_endpoint = {NGX_HTTP_POST, "POST", 0, web_add};

/* ---- requests ----------------------------------------------------------- */

static const struct loc_conf *conf_of(const ngx_http_request_t *request)
{
	return ngx_http_get_module_loc_conf(request, ngx_http_coppice_module);
}

static ngx_int_t request_answer(ngx_http_request_t *request)
{
	const struct loc_conf *conf = conf_of(request);
	struct web_call call = {.request = request,
				.pool = request->pool,
				.store = conf->store->handle,
				.out = {.pool = request->pool}};
	ngx_uint_t status;
	cop_err err = 0;

	if (conf->endpoint->reads)
		err = cop_read_begin(call.store, &call.read);
	if (err)
		status = web_fail_store(&call, err);
	else
		status = conf->endpoint->answer(&call);
	cop_read_end(call.read);
	return web_send(&call, status);
}

static void request_read(ngx_http_request_t *request)
{
	ngx_http_finalize_request(request, request_answer(request));
}

static ngx_int_t request_refuse(ngx_http_request_t *request, const char *allow)
{
	struct web_call call = {.request = request,
				.pool = request->pool,
				.out = {.pool = request->pool}};
	ngx_table_elt_t *header = ngx_list_push(&request->headers_out.headers);

	if (!header)
		return NGX_HTTP_INTERNAL_SERVER_ERROR;
	ngx_memzero(header, sizeof *header);
	header->hash = 1;
	ngx_str_set(&header->key, "Allow");
	header->value.data = (u_char *)(uintptr_t)allow;
	header->value.len = ngx_strlen(allow);
	return web_send(&call, web_fail(&call, NGX_HTTP_NOT_ALLOWED,
					"this method is not allowed here; "
					"there are %s",
					allow));
}

static ngx_int_t request_handle(ngx_http_request_t *request)
{
	const struct endpoint *endpoint = conf_of(request)->endpoint;
	ngx_int_t rc;

	if (request->method & endpoint->methods & NGX_HTTP_POST) {
		rc = ngx_http_read_client_request_body(request, request_read);
		return rc >= NGX_HTTP_SPECIAL_RESPONSE ? rc : NGX_DONE;
	}
	rc = ngx_http_discard_request_body(request);
	if (rc != NGX_OK)
		return rc;
	if (request->method & endpoint->methods)
		return request_answer(request);
	return request_refuse(request, endpoint->allow);
}

/* ---- stores ------------------------------------------------------------- */

/* The first call attaches; what can be read once can be read. */
static ngx_int_t store_try(const struct named_store *store, ngx_uint_t level,
			   ngx_log_t *log)
{
	cop_read *read;

	if (cop_read_begin(store->handle, &read)) {
		ngx_log_error(level, log, 0, "coppice: %s", cop_last_error());
		return NGX_ERROR;
	}
	cop_read_end(read);
	return NGX_OK;
}

static void store_close(void *data)
{
	struct named_store *store = data;

	cop_close(store->handle);
	store->handle = NULL;
}

static ngx_int_t store_open(ngx_conf_t *cf, struct named_store *store)
{
	struct cop_open_options options = {.size = sizeof options,
					   .timeout_ms = OPEN_WAIT_MS,
					   .name = "nginx"};
	ngx_pool_cleanup_t *cleanup = ngx_pool_cleanup_add(cf->pool, 0);

	if (!cleanup)
		return NGX_ERROR;
	cleanup->handler = store_close;
	cleanup->data = store;
	if (cop_open((const char *)store->path.data, &options,
		     &store->handle)) {
		ngx_log_error(NGX_LOG_EMERG, cf->log, 0, "coppice: %s",
			      cop_last_error());
		return NGX_ERROR;
	}
	return store_try(store, NGX_LOG_EMERG, cf->log);
}

/* Not for the process that only sends a signal (`nginx -s`). */
static ngx_int_t stores_open(ngx_conf_t *cf)
{
	const struct main_conf *conf =
	    ngx_http_conf_get_module_main_conf(cf, ngx_http_coppice_module);
	struct named_store *const *stores = conf->stores.elts;
	ngx_int_t rc = NGX_OK;

	if (ngx_process == NGX_PROCESS_SIGNALLER)
		return NGX_OK;
	for (ngx_uint_t i = 0; i < conf->stores.nelts && rc == NGX_OK; i++)
		rc = store_open(cf, stores[i]);
	return rc;
}

/* In a worker.  One that fails here is worth a message, not a worker. */
static ngx_int_t stores_attach(ngx_cycle_t *cycle)
{
	const struct main_conf *conf =
	    ngx_http_cycle_get_module_main_conf(cycle, ngx_http_coppice_module);
	struct named_store *const *stores = conf ? conf->stores.elts : NULL;

	if (!conf || ngx_process == NGX_PROCESS_HELPER)
		return NGX_OK;
	for (ngx_uint_t i = 0; i < conf->stores.nelts; i++)
		(void)store_try(stores[i], NGX_LOG_ERR, cycle->log);
	return NGX_OK;
}

/* ---- configuration ------------------------------------------------------ */

static void *main_conf_create(ngx_conf_t *cf)
{
	struct main_conf *conf = ngx_pcalloc(cf->pool, sizeof *conf);

	if (!conf || ngx_array_init(&conf->stores, cf->pool, 2,
				    sizeof(struct named_store *)) != NGX_OK)
		return NULL;
	return conf;
}

static void *loc_conf_create(ngx_conf_t *cf)
{
	struct loc_conf *conf = ngx_pcalloc(cf->pool, sizeof *conf);

	if (conf)
		conf->store = NGX_CONF_UNSET_PTR;
	return conf;
}

/* A location without a name is an `if` or a `limit_except` in its parent. */
static char *loc_conf_merge(ngx_conf_t *cf, void *parent, void *child)
{
	ngx_http_core_loc_conf_t *core =
	    ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);
	const struct loc_conf *prev = parent;
	struct loc_conf *conf = child;

	ngx_conf_merge_ptr_value(conf->store, prev->store, NULL);
	if (core->noname && !core->handler && prev->endpoint) {
		conf->endpoint = prev->endpoint;
		core->handler = request_handle;
	}
	if (!conf->endpoint || conf->store)
		return NGX_CONF_OK;
	ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
			   "no \"coppice_store\" for location \"%V\"",
			   &core->name);
	return NGX_CONF_ERROR;
}

/* The store of a path, the same one for all who name it. */
static struct named_store *store_named(ngx_conf_t *cf, const ngx_str_t *path)
{
	struct main_conf *conf =
	    ngx_http_conf_get_module_main_conf(cf, ngx_http_coppice_module);
	struct named_store **stores = conf->stores.elts;
	struct named_store *store;

	for (ngx_uint_t i = 0; i < conf->stores.nelts; i++)
		if (stores[i]->path.len == path->len &&
		    !ngx_memcmp(stores[i]->path.data, path->data, path->len))
			return stores[i];
	store = ngx_pcalloc(cf->pool, sizeof *store);
	stores = store ? ngx_array_push(&conf->stores) : NULL;
	if (!stores)
		return NULL;
	store->path = *path;
	return *stores = store;
}

static char *command_store(ngx_conf_t *cf, ngx_command_t *command, void *data)
{
	ngx_str_t *words = cf->args->elts;
	struct loc_conf *conf = data;

	(void)command;
	if (conf->store != NGX_CONF_UNSET_PTR)
		return "is duplicate";
	if (ngx_conf_full_name(cf->cycle, &words[1], 0) != NGX_OK)
		return NGX_CONF_ERROR;
	conf->store = store_named(cf, &words[1]);
	return conf->store ? NGX_CONF_OK : NGX_CONF_ERROR;
}

static char *command_endpoint(ngx_conf_t *cf, ngx_command_t *command,
			      void *data)
{
	const ngx_str_t *words = cf->args->elts;
	struct loc_conf *conf = data;
	ngx_http_core_loc_conf_t *core;

	if (!ngx_strcasecmp(words[1].data, (u_char *)"off"))
		return NGX_CONF_OK;
	if (ngx_strcasecmp(words[1].data, (u_char *)"on"))
		return "is neither on nor off";
	if (conf->endpoint)
		return "finds another one of coppice's in its location";
	core = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);
	core->handler = request_handle;
	conf->endpoint = command->post;
	return NGX_CONF_OK;
}

static ngx_command_t commands[] = {
    {ngx_string("coppice_store"),
     NGX_HTTP_MAIN_CONF | NGX_HTTP_SRV_CONF | NGX_HTTP_LOC_CONF |
	 NGX_CONF_TAKE1,
     command_store, NGX_HTTP_LOC_CONF_OFFSET, 0, NULL},
    {ngx_string("coppice_entity"), NGX_HTTP_LOC_CONF | NGX_CONF_TAKE1,
     command_endpoint, NGX_HTTP_LOC_CONF_OFFSET, 0,
     (void *)(uintptr_t)&entity_endpoint},
    {ngx_string("coppice_search"), NGX_HTTP_LOC_CONF | NGX_CONF_TAKE1,
     command_endpoint, NGX_HTTP_LOC_CONF_OFFSET, 0,
     (void *)(uintptr_t)&search_endpoint},
    {ngx_string("coppice_add"), NGX_HTTP_LOC_CONF | NGX_CONF_TAKE1,
     command_endpoint, NGX_HTTP_LOC_CONF_OFFSET, 0,
     (void *)(uintptr_t)&add_endpoint},
    {{0, NULL}, 0, NULL, 0, 0, NULL},
};

static ngx_http_module_t context = {
    .postconfiguration = stores_open,
    .create_main_conf = main_conf_create,
    .create_loc_conf = loc_conf_create,
    .merge_loc_conf = loc_conf_merge,
};

ngx_module_t ngx_http_coppice_module = {NGX_MODULE_V1,
					&context,
					commands,
					NGX_HTTP_MODULE,
					NULL,
					NULL,
					stores_attach, /* init_process */
					NULL,
					NULL,
					NULL,
					NULL,
					NGX_MODULE_V1_PADDING};

/* What nginx looks for in the file. */
#define MODULE_API __attribute__((visibility("default")))
extern MODULE_API char *ngx_module_names[];
extern MODULE_API char *ngx_module_order[];

MODULE_API ngx_module_t *ngx_modules[] = {&ngx_http_coppice_module, NULL};
char *ngx_module_names[] = {"ngx_http_coppice_module", NULL};
char *ngx_module_order[] = {NULL};
