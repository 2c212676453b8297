#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# The example in C: a master that opens the store, forks four workers, and
# replaces those that die.
. "$(dirname "$0")/tap.sh"
. tests/hosts/host.sh

host_store
host_port
host_start "$build/prefork" "$store" "$port" 4
host_claims "$python" tests/hosts/lines.py "$port"
host_stop
done_testing
