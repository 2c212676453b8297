<?php
/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The library's handle of a store, which its Store, snapshots and writes share:
 * it is closed when the last of them is done, in whatever order PHP destroys
 * them at the end of a request.
 */

declare(strict_types=1);

namespace Coppice;

use FFI\CData;

/** @internal */
final class Handle
{
    /** What is open, of all stores. @var array<int, \WeakReference> */
    private static array $open = [];
    private static bool $isWatched = false;

    private int $users = 1;

    public function __construct(
        private ?CData $store,
        private readonly bool $isPersistent,
    ) {
    }

    public function store(): CData
    {
        return $this->store ?? throw new ClosedException('the store is closed');
    }

    /** A snapshot or a write begins. */
    public function enter(Snapshot|Write $what): void
    {
        $this->users++;
        self::$open[spl_object_id($what)] = \WeakReference::create($what);
        if (!self::$isWatched) {
            self::$isWatched = true;
            register_shutdown_function(self::last(...));
        }
    }

    public function leave(Snapshot|Write|null $what = null): void
    {
        if ($what !== null) {
            unset(self::$open[spl_object_id($what)]);
        }
        if (--$this->users === 0) {
            if (!$this->isPersistent) {
                Library::ffi()->cop_close($this->store);
            }
            $this->store = null;
        }
    }

    /** Behind the shutdown functions that were registered later. */
    private static function last(): void
    {
        register_shutdown_function(self::end(...));
    }

    /** Destructors do not run after a fatal error. */
    private static function end(): void
    {
        foreach (self::$open as $what) {
            $what->get()?->close();
        }
        self::$isWatched = false;
    }

    private function __clone()
    {
    }
}
