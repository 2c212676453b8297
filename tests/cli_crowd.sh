#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# cli_crowd: clients of `coppice serve` that are slow, and those that are not;
# tests/crowd.py has the claims.
. "$(dirname "$0")/tap.sh"
[ -x /usr/bin/python3 ] || skip_all 'python3 is not installed'
/usr/bin/python3 tests/crowd.py "$COPPICE" "$work"
