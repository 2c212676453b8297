#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# mcp: assistants that share a store; tests/mcp.py has the claims.
. "$(dirname "$0")/tap.sh"
[ -x /usr/bin/python3 ] || skip_all 'python3 is not installed'
/usr/bin/python3 tests/mcp.py "$COPPICE" "$work"
