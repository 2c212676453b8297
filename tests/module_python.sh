#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# The module for Python; tests/hosts/module.py has the claims.
. "$(dirname "$0")/tap.sh"
. tests/hosts/host.sh
[ -d "$build/python/coppice" ] || skip_all 'the module is not built'

PYTHONPATH=$build/python TMPDIR=$work "$python" tests/hosts/module.py
