/* SPDX-License-Identifier: Apache-2.0 */
/*
 * operands: the files that an import is given.
 *
 * idea
 *	A shell has expanded a pattern as a rule.  In quotes it comes as it is,
 *	past the limit of a command line and from programs that run no shell,
 *	and is expanded here, also within HEADER,FILE,... and unless there is a
 *	file of that very name.  All are looked at before the first one is read:
 *	a folder among them is a mistake that is told before anything is put.
 */
#include "operands.h"

#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int no_memory(struct fault *fault)
{
	return fault_set(fault, EXIT_NO_SPACE, "out of memory");
}

int operands_is_list(const char *operand)
{
	return strchr(operand, ',') && access(operand, F_OK) != 0;
}

/* Visits the parts of a list; none if there is no memory. */
static int list_each(const char *list,
		     int (*visit)(void *user, const char *path), void *user)
{
	char *copy = strdup(list), *part = copy, *comma;
	int code = 0;

	while (!code && part) {
		comma = strchr(part, ',');
		if (comma)
			*comma++ = '\0';
		code = visit(user, part);
		part = comma;
	}
	free(copy);
	return code;
}

/* ---- patterns ----------------------------------------------------------- */

static int is_pattern(const char *word)
{
	return strpbrk(word, "*?[") && access(word, F_OK) != 0;
}

/* Adds an operand, which is taken; NULL: there was no memory for it. */
static int operands_add(struct operands *operands, char *item,
			struct fault *fault)
{
	size_t size = ((size_t)operands->count + 1) * sizeof *operands->items;
	char **items = item ? realloc(operands->items, size) : NULL;

	if (!items) {
		free(item);
		return no_memory(fault);
	}
	operands->items = items;
	operands->items[operands->count++] = item;
	return 0;
}

/* The files that a word names, each as an operand. */
static int word_find(struct operands *operands, const char *word,
		     struct fault *fault)
{
	glob_t found;
	int code;

	if (!is_pattern(word))
		return operands_add(operands, strdup(word), fault);
	code = glob(word, 0, NULL, &found);
	if (code == GLOB_NOMATCH)
		return fault_set(fault, EXIT_BAD_INPUT,
				 "no file is called, and none matches, '%s'",
				 word);
	if (code)
		return code == GLOB_NOSPACE
			   ? no_memory(fault)
			   : fault_set(fault, EXIT_DENIED,
				       "'%s': a folder cannot be read", word);
	for (size_t i = 0; i < found.gl_pathc && !code; i++)
		code = operands_add(operands, strdup(found.gl_pathv[i]), fault);
	globfree(&found);
	return code;
}

/* Those of a list, with commas between again. */
static int list_join(struct operands *operands, const struct operands *parts,
		     struct fault *fault)
{
	size_t size = 1, at = 0;
	char *list;

	for (int i = 0; i < parts->count; i++)
		size += strlen(parts->items[i]) + 1;
	list = malloc(size);
	for (int i = 0; list && i < parts->count; i++)
		at += (size_t)sprintf(list + at, "%s%s", i ? "," : "",
				      parts->items[i]);
	return operands_add(operands, list, fault);
}

struct finding {
	struct operands *operands;
	struct fault *fault;
};

static int part_find(void *user, const char *part)
{
	struct finding *finding = user;

	return word_find(finding->operands, part, finding->fault);
}

static int list_find(struct operands *operands, const char *word,
		     struct fault *fault)
{
	struct operands parts = {0};
	struct finding finding = {&parts, fault};
	int code = list_each(word, part_find, &finding);

	if (!code)
		code = parts.count ? list_join(operands, &parts, fault)
				   : no_memory(fault);
	operands_release(&parts);
	return code;
}

/* ---- all ---------------------------------------------------------------- */

static int folder_refuse(void *user, const char *path)
{
	struct stat st;

	if (stat(path, &st) || !S_ISDIR(st.st_mode))
		return 0;
	return fault_set(user, EXIT_BAD_INPUT,
			 "%s: is a folder, not a file; name the files in it, "
			 "as '%s/*.csv'",
			 path, path);
}

int operands_find(struct operands *operands, char *const *words, int count,
		  struct fault *fault)
{
	int code = 0;

	for (int i = 0; i < count && !code; i++)
		code = operands_is_list(words[i])
			   ? list_find(operands, words[i], fault)
			   : word_find(operands, words[i], fault);
	return code ? code : operands_each(operands, folder_refuse, fault);
}

int operands_each(const struct operands *operands,
		  int (*visit)(void *user, const char *path), void *user)
{
	int code = 0;

	for (int i = 0; i < operands->count && !code; i++)
		code = operands_is_list(operands->items[i])
			   ? list_each(operands->items[i], visit, user)
			   : visit(user, operands->items[i]);
	return code;
}

static int bytes_add(void *user, const char *path)
{
	struct stat st;

	if (stat(path, &st) || !S_ISREG(st.st_mode))
		return 1;
	*(uint64_t *)user += (uint64_t)st.st_size;
	return 0;
}

uint64_t operands_bytes(const struct operands *operands)
{
	uint64_t total = 0;

	return operands_each(operands, bytes_add, &total) ? 0 : total;
}

void operands_release(struct operands *operands)
{
	for (int i = 0; i < operands->count; i++)
		free(operands->items[i]);
	free(operands->items);
	*operands = (struct operands){0};
}
