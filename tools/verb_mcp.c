/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mcp: the Model Context Protocol on stdin and stdout, for assistants.
 *
 * idea
 *	JSON-RPC 2.0, a message a line.  An assistant's host starts such a
 *	process for each of its sessions; all attach the one store, so what one
 *	remembers every other one finds with its next question.
 *
 *	A request that is no JSON, or no request, gets JSON-RPC's error; a tool
 *	that could not do what it was asked to answers with isError and the
 *	reason, for the model to read.  A notification gets no answer.
 *
 * source
 *	Model Context Protocol, revision 2025-11-25: lifecycle, tools.  Earlier
 *	ones differ in nothing that is here but batches, which are taken from
 *	all.
 *
 * limits
 *	A line of 64 MiB.  One request after the other.
 */
#include "json.h"
#include "memory.h"
#include "out.h"
#include "verbs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { LINE_MAX_BYTES = 64 << 20 };

enum rpc_error {
	RPC_PARSE = -32700,
	RPC_REQUEST = -32600,
	RPC_METHOD = -32601,
	RPC_PARAMS = -32602,
	RPC_INTERNAL = -32603
};

/* The first is offered to whoever asks for none of them. */
static const char *const revisions[] = {"2025-11-25", "2025-06-18",
					"2025-03-26", "2024-11-05", NULL};

static const char instructions[] =
    "A memory shared by all assistants of this machine. Search it before you "
    "say that something is not known; remember what should last: people, "
    "projects, decisions, preferences. An entity has a key (its name), a "
    "type, and observations: short sentences. Relate entities to one another. "
    "Nothing is lost: as_of reads the past.";

#define TEXT  "{\"type\":\"string\"}"
#define TEXTS "{\"type\":\"array\",\"items\":{\"type\":\"string\"}}"
#define AS_OF                                                                  \
	"\"as_of\":{\"type\":[\"string\",\"integer\"],\"description\":"        \
	"\"read the past: a commit's number, a time such as "                  \
	"2026-11-27T10:00Z, or 2h for two hours ago\"}"
#define RELATION                                                               \
	"{\"type\":\"object\",\"properties\":{\"source\":" TEXT                \
	",\"relation\":{\"type\":\"string\",\"description\":\"a verb, such "   \
	"as works_on\"},\"target\":" TEXT                                      \
	",\"properties\":{\"type\":\"object\"},\"valid_from\":{\"type\":"      \
	"\"string\",\"description\":\"since when it is so: 2020, "             \
	"2026-11-27\"},\"valid_to\":" TEXT                                     \
	"},\"required\":[\"source\",\"relation\",\"target\"]}"

static const struct tool {
	const char *name;
	const char *title;
	const char *description;
	const char *properties; /* of its arguments */
	const char *required;	/* of these, a list */
	int reads;		/* it changes nothing */
	int destroys;
	memory_fn *run;
} tools[] = {
    {"search", "Search the memory",
     "Finds entities by words (in keys, types, tags, observations and "
     "content), or nearest to an entity's vector (like) or to one that is "
     "given. Best first; the answer has all that is known of them but their "
     "relations.",
     "\"query\":{\"type\":\"string\",\"description\":\"words, any of which "
     "may be met\"},\"like\":{\"type\":\"string\",\"description\":\"key of an "
     "entity with a vector\"},\"vector\":{\"type\":\"array\",\"items\":{"
     "\"type\":\"number\"}},\"k\":{\"type\":\"integer\",\"minimum\":1,"
     "\"maximum\":1000,\"default\":10},\"type\":" TEXT ",\"tags\":" TEXTS
     ",\"near\":{\"type\":\"string\",\"description\":\"with like or vector: "
     "only within `hops` relations of this key\"},\"hops\":{\"type\":"
     "\"integer\",\"minimum\":1}," AS_OF,
     "[]", 1, 0, memory_search},
    {"recall", "Recall entities",
     "All that is known of entities by key, with their relations, now or as "
     "of an earlier time.",
     "\"keys\":" TEXTS "," AS_OF, "[\"keys\"]", 1, 0, memory_recall},
    {"neighbors", "Look around an entity",
     "What an entity is related to, over one or more hops.",
     "\"key\":" TEXT ",\"hops\":{\"type\":\"integer\",\"minimum\":1,"
     "\"default\":1},\"relation\":" TEXT ",\"type\":" TEXT
     ",\"direction\":{\"type\":\"string\",\"enum\":[\"out\",\"in\",\"both\"],"
     "\"default\":\"both\"},\"limit\":{\"type\":\"integer\",\"minimum\":1,"
     "\"default\":100}," AS_OF,
     "[\"key\"]", 1, 0, memory_neighbors},
    {"remember", "Remember entities",
     "Adds to what is known of entities, all or nothing: new observations and "
     "tags join those that there are, properties, type, content and vector "
     "replace them. An entity that is not there is made.",
     "\"entities\":{\"type\":\"array\",\"items\":{\"type\":\"object\","
     "\"properties\":{\"key\":{\"type\":\"string\",\"description\":\"its "
     "name\"},\"type\":" TEXT ",\"observations\":" TEXTS ",\"tags\":" TEXTS
     ",\"properties\":{\"type\":\"object\"},\"content\":" TEXT
     ",\"vector\":{\"type\":\"array\",\"items\":{\"type\":\"number\"}}},"
     "\"required\":[\"key\"]}}",
     "[\"entities\"]", 0, 0, memory_remember},
    {"relate", "Relate entities",
     "Puts relations between entities that are there, all or nothing; the "
     "same one is replaced. valid_from and valid_to say when it is so in the "
     "world.",
     "\"relations\":{\"type\":\"array\",\"items\":" RELATION "}",
     "[\"relations\"]", 0, 0, memory_relate},
    {"forget", "Forget",
     "Deletes entities with their relations, single observations, or "
     "relations, all or nothing. The past stays readable by as_of.",
     "\"keys\":" TEXTS ",\"observations\":{\"type\":\"array\",\"items\":{"
     "\"type\":\"object\",\"properties\":{\"key\":" TEXT
     ",\"observations\":" TEXTS "},\"required\":[\"key\",\"observations\"]}},"
     "\"relations\":{\"type\":\"array\",\"items\":" RELATION "}",
     "[]", 0, 1, memory_forget},
};

enum { TOOL_COUNT = sizeof tools / sizeof tools[0] };

/* ---- methods ------------------------------------------------------------ */

struct mcp {
	struct cli *cli;
	struct memory memory;
};

static json_t *tool_json(const struct tool *tool)
{
	size_t room = strlen(tool->properties) + 256;
	char *text = malloc(room);
	json_t *schema;

	if (!text)
		return NULL;
	snprintf(text, room,
		 "{\"type\":\"object\",\"properties\":{%s},\"required\":%s}",
		 tool->properties, tool->required);
	schema = json_loads(text, 0, NULL);
	free(text);
	return json_pack("{sssssssos{sbsbsbsb}}", "name", tool->name, "title",
			 tool->title, "description", tool->description,
			 "inputSchema", schema, "annotations", "readOnlyHint",
			 tool->reads, "destructiveHint", tool->destroys,
			 "idempotentHint", 1, "openWorldHint", 0);
}

static json_t *tools_list(void)
{
	json_t *list = json_array();

	for (size_t i = 0; i < TOOL_COUNT; i++)
		json_array_append_new(list, tool_json(&tools[i]));
	return json_pack("{so}", "tools", list);
}

static json_t *initialize(const json_t *params)
{
	const char *asked =
	    json_string_value(json_object_get(params, "protocolVersion"));
	const char *revision = revisions[0];

	for (int i = 0; asked && revisions[i]; i++)
		if (!strcmp(asked, revisions[i]))
			revision = revisions[i];
	return json_pack("{sss{s{sb}}s{ssssss}ss}", "protocolVersion", revision,
			 "capabilities", "tools", "listChanged", 0,
			 "serverInfo", "name", "coppice", "title",
			 "coppice: a shared memory", "version", cop_version(),
			 "instructions", instructions);
}

/* A tool's answer, as text and, for who reads it, as an object. */
static json_t *tool_answer(json_t *result)
{
	char *text = json_dumps(result, JSON_COMPACT);
	json_t *answer =
	    text ? json_pack("{s[{ssss}]sosb}", "content", "type", "text",
			     "text", text, "structuredContent", result,
			     "isError", 0)
		 : NULL;

	free(text);
	return answer;
}

static json_t *tool_call(struct mcp *mcp, const json_t *params, int *is_known)
{
	const char *name = json_string_value(json_object_get(params, "name"));
	const json_t *arguments = json_object_get(params, "arguments");
	json_t *empty = json_object();
	json_t *result = NULL;
	size_t i = 0;
	int code;

	while (i < TOOL_COUNT && (!name || strcmp(name, tools[i].name)))
		i++;
	*is_known = i < TOOL_COUNT && (!arguments || json_is_null(arguments) ||
				       json_is_object(arguments));
	if (!*is_known) {
		json_decref(empty);
		return NULL;
	}
	fault_clear(&mcp->memory.fault);
	code = tools[i].run(&mcp->memory,
			    json_is_object(arguments) ? arguments : empty,
			    &result);
	json_decref(empty);
	if (code) /* whatever the words were made of */
		return json_pack("{s[{ssso}]sb}", "content", "type", "text",
				 "text",
				 json_text(mcp->memory.fault.text,
					   strlen(mcp->memory.fault.text)),
				 "isError", 1);
	return tool_answer(result);
}

/* ---- messages ----------------------------------------------------------- */

static json_t *answer_error(const json_t *id, int code, const char *text)
{
	return json_pack("{sssOs{siss}}", "jsonrpc", "2.0", "id",
			 id ? id : json_null(), "error", "code", code,
			 "message", text);
}

static json_t *request_answer(struct mcp *mcp, const json_t *id,
			      const char *method, const json_t *params)
{
	json_t *result = NULL;
	int is_known = 1;

	if (!strcmp(method, "initialize"))
		result = initialize(params);
	else if (!strcmp(method, "ping"))
		result = json_object();
	else if (!strcmp(method, "tools/list"))
		result = tools_list();
	else if (!strcmp(method, "tools/call"))
		result = tool_call(mcp, params, &is_known);
	else
		return answer_error(id, RPC_METHOD, "no such method");
	if (!is_known)
		return answer_error(id, RPC_PARAMS,
				    "no such tool, or arguments that are no "
				    "object; tools/list has them");
	if (!result)
		return answer_error(id, RPC_INTERNAL, "out of memory");
	return json_pack("{sssOso}", "jsonrpc", "2.0", "id", id, "result",
			 result);
}

/* NULL: it gets no answer. */
static json_t *message_answer(struct mcp *mcp, const json_t *message)
{
	const json_t *id = json_object_get(message, "id");
	const char *method =
	    json_string_value(json_object_get(message, "method"));

	if (id && !json_is_string(id) && !json_is_number(id))
		id = NULL;
	else if (method && id)
		return request_answer(mcp, id, method,
				      json_object_get(message, "params"));
	else if (method || json_object_get(message, "result") ||
		 json_object_get(message, "error"))
		return NULL; /* a notification, or an answer to nothing */
	return answer_error(id, RPC_REQUEST,
			    "a request has a method, and an id that is a text "
			    "or a number");
}

static json_t *batch_answer(struct mcp *mcp, const json_t *batch)
{
	json_t *answers = json_array();

	for (size_t i = 0; i < json_array_size(batch); i++) {
		json_t *answer = message_answer(mcp, json_array_get(batch, i));

		if (answer)
			json_array_append_new(answers, answer);
	}
	if (json_array_size(answers))
		return answers;
	json_decref(answers);
	return json_array_size(batch)
		   ? NULL
		   : answer_error(NULL, RPC_REQUEST, "an empty batch");
}

static json_t *line_answer(struct mcp *mcp, const char *line, size_t size)
{
	json_error_t error;
	json_t *message =
	    size > LINE_MAX_BYTES
		? NULL
		: json_loadb(line, size, JSON_ALLOW_NUL | JSON_DECODE_ANY,
			     &error);
	json_t *answer;

	if (!message)
		return answer_error(NULL, RPC_PARSE,
				    size > LINE_MAX_BYTES
					? "a line of over 64 MiB"
					: error.text);
	answer = json_is_array(message) ? batch_answer(mcp, message)
					: message_answer(mcp, message);
	json_decref(message);
	return answer;
}

/* Answers line after line; an exit status. */
static int serve(struct mcp *mcp)
{
	char *line = NULL;
	size_t room = 0;
	ssize_t size;
	int number;

	while (!out_failed() && (size = getline(&line, &room, stdin)) >= 0) {
		json_t *answer;

		if (record_is_empty(line,
				    (size_t)size - (line[size - 1] == '\n')))
			continue;
		answer = line_answer(mcp, line, (size_t)size);
		if (!answer)
			continue;
		json_dumpf(answer, stdout, JSON_COMPACT);
		putchar('\n');
		fflush(stdout);
		json_decref(answer);
	}
	number = ferror(stdin) ? errno : 0;
	free(line);
	return number ? fault_set(&mcp->cli->fault, EXIT_BAD_INPUT,
				  "standard input: %s", cop_strerror(number))
		      : 0;
}

static const struct arg_row mcp_rows[] = {
    ARG_END,
};

static int mcp_run(struct cli *cli)
{
	struct mcp mcp = {.cli = cli};
	int id = args_next(cli);
	int code;

	if (id < 0 || args_end(cli))
		return cli->fault.code;
	code = cli_open(cli);
	if (code)
		return code;
	mcp.memory.store = cli->store;
	mcp.memory.dim = cop_dim(cli->store);
	code = serve(&mcp);
	memory_release(&mcp.memory);
	return code;
}

const struct verb verb_mcp = {
    .name = "mcp",
    .operands = "",
    .summary = "serve assistants by the Model Context Protocol, on stdin and "
	       "stdout",
    .rows = mcp_rows,
    .notes =
	"Give an assistant's host the command `coppice mcp STORE`; it starts "
	"one for\neach session. All of them share the store: what one "
	"remembers, "
	"the others\nfind. Tools: search, recall, neighbors, remember, relate, "
	"forget. A file\nmemory.jsonl of the reference memory server is taken "
	"over by\n`coppice import STORE memory.jsonl`.\n",
    .run = mcp_run,
};
