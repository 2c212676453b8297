/* SPDX-License-Identifier: Apache-2.0 */
#include "point.h"

void (*point_hook)(const char *name);
