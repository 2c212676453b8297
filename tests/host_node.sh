#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# The package for Node.js, and the example service in a cluster of four workers;
# tools/node/test/ has the claims about the package.
. "$(dirname "$0")/tap.sh"
. tests/hosts/host.sh
host_needs node
node -e 'process.exit(parseInt(process.versions.node) < 18 ? 1 : 0)' ||
	skip_all 'Node.js is older than 18'
[ -f "$build/node/coppice/coppice.node" ] || skip_all 'the addon is not built'

case $build in
/*) NODE_PATH=$build/node ;;
*) NODE_PATH=$PWD/$build/node ;;
esac
export NODE_PATH

host_claims node --expose-gc tools/node/test/package.js "$work"
host_claims node --expose-gc tools/node/test/junk.js "$work" 40000
exits 0 'what junk was fed to is whole' check "$work/junk"

COPPICE_STORE=$store
WORKERS=4
export COPPICE_STORE WORKERS
host_store
host_port
PORT=$port
export PORT
host_start node tools/node/example/server.js
# A worker has as many requests in flight as there are clients, eight.
host_drive --reload "kill -HUP $server" --inflight 8
host_stop
is "$(cat "$work/server.log")" '' 'it had nothing to complain of'
done_testing
