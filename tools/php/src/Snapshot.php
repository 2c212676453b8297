<?php
/*
 * SPDX-License-Identifier: Apache-2.0
 */

declare(strict_types=1);

namespace Coppice;

use FFI\CData;

/**
 * The store as of one commit, however long it is kept.
 *
 *     $snapshot = $store->snapshot();
 *     $before = $store->snapshot()->asOf(new DateTime('yesterday'));
 *
 * It holds older versions in memory: it ends when the last variable with it, or
 * with an entity of it, is gone, or with close().
 */
final class Snapshot extends Reading
{
    private ?CData $read;

    /** @internal Use Store::snapshot(). */
    public function __construct(private readonly Handle $store)
    {
        $ffi = Library::ffi();
        $read = $ffi->new('cop_read *');
        Library::check($ffi->cop_read_begin(
            $store->store(),
            \FFI::addr($read),
        ));
        $this->read = $read;
        $store->enter($this);
    }

    /** The number of the commit that it sees. */
    public function commit(): int
    {
        return Library::ffi()->cop_read_commit($this->handle());
    }

    /**
     * Has it see an earlier commit, by number, or the newest one at a time.
     *
     * @return $this
     * @throws TooOldException, InvalidException
     */
    public function asOf(int|\DateTimeInterface $when): self
    {
        $ffi = Library::ffi();
        if ($when instanceof \DateTimeInterface) {
            $commit = $ffi->new('uint64_t');
            Library::check($ffi->cop_commit_at(
                $this->handle(),
                self::nanoseconds($when),
                \FFI::addr($commit),
            ));
            $when = $commit->cdata;
        }
        $commit = Library::number('a commit', $when, PHP_INT_MAX);
        Library::check($ffi->cop_read_as_of($this->handle(), $commit));
        return $this;
    }

    private static function nanoseconds(\DateTimeInterface $when): int
    {
        $nanoseconds = $when->getTimestamp() * 1000000000 +
            1000 * (int) $when->format('u');
        if (!is_int($nanoseconds)) {
            throw new InvalidException('a time of ' . $when->format('c') .
                '; there are those from 1678 to 2261');
        }
        return $nanoseconds;
    }

    /**
     * Has it see only edges, tags and properties that are valid at a time in
     * the world: a date, or seconds since 1970.
     *
     * @return $this
     */
    public function validAt(int|float|\DateTimeInterface $when): self
    {
        $instant = Library::struct('cop_instant', false);
        Scratch::instant($instant, $when);
        Library::check(Library::ffi()->cop_read_valid_at(
            $this->handle(),
            \FFI::addr($instant),
        ));
        return $this;
    }

    public function dim(): int
    {
        return Library::ffi()->cop_dim($this->store->store());
    }

    /** Ends it now; its entities can tell nothing more. */
    public function close(): void
    {
        $read = $this->read ?? null;
        if ($read !== null) {
            $this->read = null;
            Library::ffi()->cop_read_end($read);
            $this->store->leave($this);
        }
    }

    public function __destruct()
    {
        $this->close();
    }

    /** @internal */
    public function handle(): CData
    {
        return $this->read ??
            throw new ClosedException('the snapshot is closed');
    }

    protected function reads(): Snapshot
    {
        return $this;
    }

    /** @internal A name of the store's from its number. */
    public function nameOf(int $name): string
    {
        return self::text($this->handle(), $name);
    }

    public function __debugInfo(): array
    {
        return ['commit' => $this->read === null ? null : $this->commit()];
    }

    private function __clone()
    {
    }
}
