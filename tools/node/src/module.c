/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The addon's functions.
 */
#include "binding.h"

static const struct {
	const char *name;
	js_function *call;
} functions[] = {
    {"setup", js_setup},
    {"close", js_close},
    {"create", js_create},
    {"detach", js_detach},
    {"open", js_open},
    {"dim", js_dim},
    {"metric", js_metric},
    {"checkpoint", js_checkpoint},
    {"compact", js_compact},
    {"maintain", js_maintain},
    {"readBegin", js_read_begin},
    {"readCommit", js_read_number},
    {"readAsOf", js_read_as_of},
    {"readCommitAt", js_read_commit_at},
    {"readValidAt", js_read_valid_at},
    {"has", js_has},
    {"key", js_key},
    {"get", js_get},
    {"content", js_content},
    {"contentRead", js_content_read},
    {"vector", js_vector},
    {"keys", js_keys},
    {"select", js_select},
    {"stat", js_stat},
    {"search", js_search},
    {"searchMany", js_search_many},
    {"walk", js_walk},
    {"path", js_path},
    {"neighbors", js_neighbors},
    {"edges", js_edges},
    {"writeBegin", js_write_begin},
    {"writeLength", js_write_length},
    {"put", js_put},
    {"putVector", js_put_vector},
    {"delete", js_delete},
    {"undelete", js_undelete},
    {"expect", js_expect},
    {"tag", js_tag},
    {"untag", js_untag},
    {"link", js_link},
    {"unlink", js_unlink},
    {"commit", js_commit},
};

static int text_add(napi_env env, napi_value exports, const char *name,
		    const char *text)
{
	napi_value value;

	return js_failed(env, napi_create_string_utf8(
				  env, text, NAPI_AUTO_LENGTH, &value)) ||
	       js_member_set(env, exports, name, value);
}

/* The one symbol that Node.js looks for. */
NAPI_MODULE_EXPORT napi_value napi_register_module_v1(napi_env env,
						      napi_value exports);

NAPI_MODULE_EXPORT napi_value napi_register_module_v1(napi_env env,
						      napi_value exports)
{
	if (js_instance_make(env) ||
	    text_add(env, exports, "version", cop_version()) ||
	    text_add(env, exports, "cpu", cop_cpu()))
		return NULL;
	for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
		napi_value function;

		if (js_failed(env, napi_create_function(
				       env, functions[i].name, NAPI_AUTO_LENGTH,
				       functions[i].call, NULL, &function)) ||
		    js_member_set(env, exports, functions[i].name, function))
			return NULL;
	}
	return exports;
}
