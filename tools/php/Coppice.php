<?php
/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * coppice for PHP: one knowledge graph with vectors, shared by all processes
 * of a machine.
 *
 *     require 'Coppice.php';
 *
 *     Coppice\Store::create('/srv/kg', dim: 3);
 *     $store = Coppice\Store::open('/srv/kg');
 *
 *     // Write all or nothing:
 *     $store->write(function (Coppice\Write $tx) {
 *         $tx->put('ada', ['born' => 1815], type: 'person', tags: ['math'],
 *             vector: [1, 0, 0]);
 *         $tx->put('grace', type: 'person', vector: [0.9, 0.1, 0]);
 *         $tx->link('ada', 'knows', 'grace');
 *     });
 *
 *     // Read what everybody has committed:
 *     $store['ada']['born'];                           // 1815
 *     $store->search([1, 0, 0], k: 2)[1]->key;         // 'grace'
 *     $store->neighbors('ada')[0]->relation;           // 'knows'
 *
 *     // A snapshot stays as it is, whatever others commit meanwhile:
 *     $snapshot = $store->snapshot();
 *     $store->write(fn ($tx) => $tx->delete('grace'));
 *     isset($snapshot['grace'], $store['grace']);      // only in the former
 *
 * idea
 *     PHP's FFI calls the library; the declarations come from its header, as
 *     coppice.ffi.h.  There is no extension to compile.
 *
 * command line
 *     php -d ffi.enable=1, with libcoppice.so.0 where the linker finds it.
 *     COPPICE_FFI_HEADER names coppice.ffi.h if it is not where `make` and
 *     `make install` put it.
 *
 * php-fpm
 *     ffi.preload=.../coppice.ffi.h, opcache.preload=.../Coppice.php and
 *     opcache.preload_user: ffi.enable may stay at its safe default, "preload".
 *     A worker keeps the store between requests with
 *     Store::open($path, persistent: true).  See README.md and example/.
 *
 * lifetimes
 *     A snapshot ends when the last variable with it, or with an entity of it,
 *     is gone, and so does a write.  After a fatal error, when PHP runs no
 *     destructors, a shutdown function ends them: a worker that goes on must
 *     not hold a snapshot for ever.  A shutdown function or a destructor that
 *     runs later begins its own.
 */

declare(strict_types=1);

require_once __DIR__ . '/src/Exception.php';
require_once __DIR__ . '/src/Library.php';
require_once __DIR__ . '/src/Scratch.php';
require_once __DIR__ . '/src/Handle.php';
require_once __DIR__ . '/src/results.php';
require_once __DIR__ . '/src/Reading.php';
require_once __DIR__ . '/src/Snapshot.php';
require_once __DIR__ . '/src/Entity.php';
require_once __DIR__ . '/src/Write.php';
require_once __DIR__ . '/src/Store.php';
