/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Probes: places at which bpftrace, perf or SystemTap may look in, of the
 * provider "coppice".  Each is an instruction that does nothing; without the
 * header of systemtap-sdt-dev there are none.
 */
#ifndef SHM_PROBE_H
#define SHM_PROBE_H

#if defined(__has_include) && !defined(__cppcheck__)
#if __has_include(<sys/sdt.h>)
#include <sys/sdt.h>
#ifdef __clang__ /* its macros have no arguments where they might */
#pragma clang diagnostic ignored "-Wgnu-zero-variadic-macro-arguments"
#endif
#define PROBE1(name, a)	      DTRACE_PROBE1(coppice, name, a)
#define PROBE2(name, a, b)    DTRACE_PROBE2(coppice, name, a, b)
#define PROBE3(name, a, b, c) DTRACE_PROBE3(coppice, name, a, b, c)
#endif
#endif

#ifndef PROBE1
#define PROBE1(name, a)	      ((void)(a))
#define PROBE2(name, a, b)    ((void)(a), (void)(b))
#define PROBE3(name, a, b, c) ((void)(a), (void)(b), (void)(c))
#endif

#endif
