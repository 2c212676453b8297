<?php
/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * A request that ends in one of the ways that PHP knows, with a snapshot and a
 * write open, in a worker that goes on: tests/host_php.sh asks for it and then
 * looks for what is left.
 */

declare(strict_types=1);

$store = Coppice\Store::open(getenv('COPPICE_STORE'), persistent: true);
$snapshot = $store->snapshot();
$tx = $store->begin();
$tx->put('never');

switch ($_GET['how']) {
    case 'memory':
        for ($all = [];; ) {
            $all[] = str_repeat('x', 1 << 20);
        }
    case 'time':
        set_time_limit(1);
        for (;;) {
            $store->keys('oak.');
        }
    case 'thrown':
        throw new DomainException('no');
    case 'undefined':
        there_is_none_of_this_name();
    case 'exit':
        exit('bye');
    case 'calls C':
        FFI::cdef('int getpid(void);');
    case 'late':
        register_shutdown_function(function () use ($snapshot) {
            echo $snapshot['oak.n.00008']->key;
        });
}
