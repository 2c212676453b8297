<?php
/*
 * SPDX-License-Identifier: Apache-2.0
 */

declare(strict_types=1);

namespace Coppice;

use FFI\CData;

/**
 * An open store, like an array from keys to entities; each read is of the
 * newest commit, of whatever process.
 */
final class Store extends Reading
{
    private const METRICS = ['cosine' => 1, 'l2' => 2, 'ip' => 3];
    private const ROWS = ['f16' => 0, 'f32' => 1];
    private const CODES = [
        'auto' => 0, 'u8' => 1, 'f16' => 2, 'bf16' => 3, 'f32' => 4, 'b1' => 5,
    ];

    private ?Handle $handle;

    /**
     * Makes a new store in a folder that does not exist or is empty.
     *
     *     Store::create('/srv/kg', dim: 300, mode: 0660, group: 33);
     *
     * @param int $dim of its vectors, 2 to 4096; 0: it has none
     * @param string $metric 'cosine', 'l2' or 'ip'
     * @param string $rows 'f16' or 'f32': what ranks a search's candidates
     * @param string $codes 'auto', 'u8', 'f16', 'bf16', 'f32' or 'b1': what
     *     it walks over
     * @param int $mode permissions of all files; 0660 and a `group`, its
     *     number, for a store that several users share
     * @param ?string $shmDir a folder on a tmpfs, in place of /dev/shm
     * @throws ExistsException, InvalidException, NoSpaceException,
     *     SystemException
     */
    public static function create(
        string $path,
        int $dim = 0,
        string $metric = 'cosine',
        string $rows = 'f16',
        string $codes = 'auto',
        int $mode = 0600,
        ?int $group = null,
        ?string $shmDir = null,
        int $expectedEntities = 0,
        int $cacheBytes = 0,
    ): void {
        $scratch = new Scratch();
        $options = Library::struct('cop_options');
        $options->dim = Library::number('dim', $dim);
        $options->metric = Library::choice('metric', $metric, self::METRICS);
        $options->rows = Library::choice('rows', $rows, self::ROWS);
        $options->codes = Library::choice('codes', $codes, self::CODES);
        $options->mode = Library::number('mode', $mode, 0777);
        $options->group = $group === null
            ? 0
            : 1 + Library::number('group', $group, 0xfffffffe);
        $options->shm_dir = $scratch->text(Library::name('shmDir', $shmDir));
        $options->expected_entities = Library::number(
            'expectedEntities',
            $expectedEntities,
            PHP_INT_MAX,
        );
        $options->cache_bytes = Library::number(
            'cacheBytes',
            $cacheBytes,
            PHP_INT_MAX,
        );
        Library::check(Library::ffi()->cop_create(
            Library::name('a path', $path),
            \FFI::addr($options),
        ));
    }

    /**
     * Opens a store and attaches the copy that all processes share.
     *
     * @param ?float $timeout seconds to wait for other writers; null: for ever
     * @param ?string $name of this process, for `coppice readers`
     * @param bool $persistent it stays attached when this object is gone, until
     *     the process ends: for php-fpm, where the next request's open() then
     *     takes some microseconds in place of a millisecond
     * @throws NotAStoreException, VersionException, CorruptException,
     *     DeniedException, BusyException, NoSpaceException, SystemException
     */
    public static function open(
        string $path,
        ?float $timeout = null,
        ?string $name = null,
        bool $persistent = false,
    ): self {
        return new self($path, $timeout, $name, $persistent);
    }

    private function __construct(
        public readonly string $path,
        ?float $timeout,
        ?string $name,
        bool $isPersistent,
    ) {
        $ffi = Library::ffi();
        $scratch = new Scratch();
        $options = Library::struct('cop_open_options');
        $options->timeout_ms = Library::milliseconds($timeout);
        $options->name = $scratch->text(Library::name('a name', $name));
        $store = $ffi->new('cop_store *');
        Library::check($ffi->cop_open(
            Library::name('a path', $path),
            \FFI::addr($options),
            \FFI::addr($store),
        ));
        $this->handle = new Handle($store, $isPersistent);
    }

    /**
     * Removes the store's shared memory; nothing durable changes.
     *
     * @throws BusyException while any process is attached
     */
    public static function detach(string $path): void
    {
        Library::check(Library::ffi()->cop_detach(
            Library::name('a path', $path),
        ));
    }

    public function dim(): int
    {
        return Library::ffi()->cop_dim($this->store());
    }

    /** 'cosine', 'l2' or 'ip'. */
    public function metric(): string
    {
        $metric = Library::ffi()->cop_metric($this->store());
        return array_flip(self::METRICS)[$metric];
    }

    /** A snapshot of the newest commit, or of an earlier one. */
    public function snapshot(int|\DateTimeInterface|null $asOf = null): Snapshot
    {
        $snapshot = new Snapshot($this->opened());
        return $asOf === null ? $snapshot : $snapshot->asOf($asOf);
    }

    /** A write to be committed by hand. */
    public function begin(): Write
    {
        return new Write($this->opened());
    }

    /**
     * Has a function put and delete, and commits that when it returns; if it
     * throws, nothing is written.
     *
     *     $store->write(fn ($tx) => $tx->delete('grace'));
     *
     * @param callable(Write): mixed $work
     * @return int the number of the commit
     * @throws DanglingException, ConflictException, ... as Write::commit()
     */
    public function write(
        callable $work,
        bool $lazy = false,
        ?float $timeout = null,
    ): int {
        $write = $this->begin();
        try {
            $work($write);
            return $write->commit($lazy, $timeout);
        } finally {
            $write->abort();
        }
    }

    /**
     * Has a function make new properties out of an entity's, and puts them,
     * unless somebody else changed it meanwhile: then it does so again.
     *
     *     $store->update('ada', fn ($old) => ['seen' => true] + $old);
     *
     * Type, tags, content and vector stay.
     *
     * @param callable(array): array $change takes [] if there is no entity
     * @return array what was put
     * @throws ConflictException
     */
    public function update(
        string $key,
        callable $change,
        int $tries = 100,
    ): array {
        while (true) {
            $found = $this->get($key);
            $properties = $change($found?->properties() ?? []);
            try {
                $tx = $this->begin();
                $tx->expect($key, $found?->version ?? 0);
                $tx->put(
                    $key,
                    $properties,
                    type: $found?->type,
                    tags: $found?->tags() ?? [],
                    keepContent: (bool) $found?->contentSize,
                );
                $tx->commit();
                return $properties;
            } catch (ConflictException $error) {
                if (--$tries <= 0) {
                    throw $error;
                }
            }
        }
    }

    /** It ends when its last snapshot and write has. */
    public function close(): void
    {
        $handle = $this->handle ?? null;
        $this->handle = null;
        $handle?->leave();
    }

    public function __destruct()
    {
        $this->close();
    }

    private function opened(): Handle
    {
        return $this->handle ??
            throw new ClosedException('the store is closed');
    }

    private function store(): CData
    {
        return $this->opened()->store();
    }

    protected function reads(): Snapshot
    {
        return $this->snapshot();
    }

    public function __debugInfo(): array
    {
        return ['path' => $this->path, 'isOpen' => $this->handle !== null];
    }

    private function __clone()
    {
    }
}
