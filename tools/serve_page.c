/* SPDX-License-Identifier: Apache-2.0 */
/*
 * serve_page: the files of the page, in the command itself.
 *
 * idea
 *	The assembler copies them in, so that what is in the tree is what a
 *	browser gets, and nothing is to be installed or found.
 */
#include "serve.h"

#include <string.h>

#define EMBED(name, file)                                                      \
	__asm__(".section .rodata\n"                                           \
		".balign 8\n" #name "_begin:\n"                                \
		".incbin \"tools/serve/page/" file "\"\n" #name "_end:\n"      \
		".previous\n");                                                \
	extern const char name##_begin[]                                       \
	    __attribute__((visibility("hidden")));                             \
	extern const char name##_end[] __attribute__((visibility("hidden")))

EMBED(page_html, "index.html");
EMBED(page_css, "page.css");
EMBED(page_js, "page.js");
EMBED(page_chart, "chart.js");
EMBED(page_graph, "graph.js");
EMBED(page_icon, "icon.svg");

#define SCRIPT "text/javascript; charset=utf-8"

static const struct page files[] = {
    {"/", "text/html; charset=utf-8", page_html_begin, page_html_end},
    {"/page.css", "text/css; charset=utf-8", page_css_begin, page_css_end},
    {"/page.js", SCRIPT, page_js_begin, page_js_end},
    {"/chart.js", SCRIPT, page_chart_begin, page_chart_end},
    {"/graph.js", SCRIPT, page_graph_begin, page_graph_end},
    {"/icon.svg", "image/svg+xml", page_icon_begin, page_icon_end},
};

const struct page *page_find(const char *path)
{
	for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
		if (!strcmp(files[i].path, path))
			return &files[i];
	return NULL;
}
