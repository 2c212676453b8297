<?php
/*
 * SPDX-License-Identifier: Apache-2.0
 */

declare(strict_types=1);

namespace Coppice;

use FFI\CData;

/**
 * Puts and deletes that take effect together at commit(), or not at all.
 *
 *     $commit = $store->write(function (Write $tx) {
 *         $tx->put('ada', ['born' => 1815], type: 'person');
 *         $tx->link('ada', 'knows', 'grace', dangling: 'stub');
 *     });
 *
 * Nobody sees them before, and no lock is held until then.
 */
final class Write implements \Countable
{
    private const DANGLING = ['reject' => 0, 'stub' => 1, 'skip' => 2];

    private ?CData $write;

    /** @internal Use Store::write() or Store::begin(). */
    public function __construct(private readonly Handle $store)
    {
        $ffi = Library::ffi();
        $write = $ffi->new('cop_write *');
        Library::check($ffi->cop_write_begin(
            $store->store(),
            \FFI::addr($write),
        ));
        $this->write = $write;
        $store->enter($this);
    }

    /** How many operations it holds. */
    public function count(): int
    {
        return Library::ffi()->cop_write_count($this->handle());
    }

    /**
     * Puts an entity; one of that key is replaced, its edges stay.
     *
     * @param array<string, mixed>|\stdClass $properties null, bool, int, float,
     *     string, and arrays of them: a list, or a map
     * @param array<string> $tags
     * @param ?string $content bytes; null: none
     * @param bool $keepContent the content stays as it is
     * @param array<int|float>|string|null $vector as of search(); null: it
     *     stays as it is, and putVector() takes it away
     * @throws BadKeyException, BadTextException, BadVectorException,
     *     TooLargeException, InvalidException
     */
    public function put(
        string $key,
        array|\stdClass $properties = [],
        ?string $type = null,
        array $tags = [],
        ?string $content = null,
        array|string|null $vector = null,
        bool $keepContent = false,
    ): void {
        $scratch = new Scratch();
        $put = Library::struct('cop_put');
        $put->key = $scratch->text($key);
        $put->key_size = self::size($key);
        $put->type = $scratch->text($type);
        $put->type_size = strlen($type ?? '');
        [$put->properties, $put->property_count] =
            $scratch->properties($properties);
        $put->tags = $scratch->names('a tag', $tags);
        $put->tag_count = count($tags);
        $put->content = $scratch->text($content);
        $put->content_size = strlen($content ?? '');
        if ($vector !== null) {
            [$put->vector, $put->dim] = $scratch->floats($vector);
        }
        $put->content_change = (int) ($keepContent && $content === null);
        Library::check(Library::ffi()->cop_put(
            $this->handle(),
            \FFI::addr($put),
        ));
    }

    /** A key's bytes, as far as a field can say it. */
    private static function size(string $key): int
    {
        return min(strlen($key), 0xffffffff);
    }

    /**
     * Changes nothing but the vector of an entity, which must be there at the
     * commit; null: it has none from then on.
     */
    public function putVector(string $key, array|string|null $vector): void
    {
        $scratch = new Scratch();
        [$floats, $count] = $vector === null
            ? [null, 0]
            : $scratch->floats($vector);
        Library::check(Library::ffi()->cop_put_vector(
            $this->handle(),
            $key,
            strlen($key),
            $floats,
            $count,
        ));
    }

    /** Deletes an entity with its edges; one that is not there is no error. */
    public function delete(string $key): void
    {
        Library::check(Library::ffi()->cop_delete(
            $this->handle(),
            $key,
            strlen($key),
        ));
    }

    /** Puts a deleted entity back as it was, at a commit or last. */
    public function undelete(string $key, int $commit = 0): void
    {
        Library::check(Library::ffi()->cop_undelete(
            $this->handle(),
            $key,
            strlen($key),
            Library::number('a commit', $commit, PHP_INT_MAX),
        ));
    }

    /**
     * Gives an entity a tag more.
     *
     * @param ?array $valid [from, to]: dates or seconds since 1970, null for
     *     ever
     */
    public function tag(string $key, string $tag, ?array $valid = null): void
    {
        $scratch = new Scratch();
        Library::check(Library::ffi()->cop_tag_valid(
            $this->handle(),
            $key,
            strlen($key),
            $tag,
            strlen($tag),
            $scratch->validity($valid),
        ));
    }

    public function untag(string $key, string $tag): void
    {
        Library::check(Library::ffi()->cop_untag(
            $this->handle(),
            $key,
            strlen($key),
            $tag,
            strlen($tag),
        ));
    }

    /**
     * Puts an edge; the same one is replaced.
     *
     * @param int $discriminator tells edges apart that are otherwise the same
     * @param string $dangling 'reject' (DanglingException at the commit),
     *     'stub' (puts what is not there) or 'skip'
     */
    public function link(
        string $source,
        string $relation,
        string $target,
        array|\stdClass $properties = [],
        ?array $valid = null,
        int $discriminator = 0,
        string $dangling = 'reject',
    ): void {
        $scratch = new Scratch();
        $edge = self::edge($scratch, $source, $relation, $target);
        [$edge->properties, $edge->property_count] =
            $scratch->properties($properties);
        $edge->valid = $scratch->validity($valid);
        $edge->discriminator =
            Library::number('a discriminator', $discriminator);
        $edge->dangling =
            Library::choice('dangling', $dangling, self::DANGLING);
        Library::check(Library::ffi()->cop_put_edge(
            $this->handle(),
            \FFI::addr($edge),
        ));
    }

    public function unlink(
        string $source,
        string $relation,
        string $target,
        int $discriminator = 0,
    ): void {
        $scratch = new Scratch();
        $edge = self::edge($scratch, $source, $relation, $target);
        $edge->discriminator =
            Library::number('a discriminator', $discriminator);
        Library::check(Library::ffi()->cop_unlink(
            $this->handle(),
            \FFI::addr($edge),
        ));
    }

    private static function edge(
        Scratch $scratch,
        string $source,
        string $relation,
        string $target,
    ): CData {
        $edge = Library::struct('cop_put_edge');
        $edge->source = $scratch->text($source);
        $edge->source_size = strlen($source);
        $edge->relation = $scratch->text($relation);
        $edge->relation_size = strlen($relation);
        $edge->target = $scratch->text($target);
        $edge->target_size = strlen($target);
        return $edge;
    }

    /**
     * The commit fails with ConflictException unless the entity has this
     * version then; 0: unless there is none.
     */
    public function expect(string $key, int $version): void
    {
        Library::check(Library::ffi()->cop_expect(
            $this->handle(),
            $key,
            strlen($key),
            Library::number('a version', $version, PHP_INT_MAX),
        ));
    }

    /**
     * Commits what it holds; it may go on then.
     *
     * @param bool $lazy a power cut may take it back, no death of a process
     * @param ?float $timeout seconds; null: the store's
     * @return int the number of the commit
     * @throws DanglingException, ConflictException, NoSpaceException,
     *     BusyException, StalledException; the write stays as it was
     */
    public function commit(bool $lazy = false, ?float $timeout = null): int
    {
        $options = Library::struct('cop_commit_options');
        $result = Library::struct('cop_result');
        $options->durability = (int) $lazy;
        $options->timeout_ms = Library::milliseconds($timeout);
        Library::check(Library::ffi()->cop_commit_with(
            $this->handle(),
            \FFI::addr($options),
            \FFI::addr($result),
        ));
        return $result->commit;
    }

    /** Drops what was not committed; it is of no use then. */
    public function abort(): void
    {
        $write = $this->write ?? null;
        if ($write !== null) {
            $this->write = null;
            Library::ffi()->cop_abort($write);
            $this->store->leave($this);
        }
    }

    /** @internal */
    public function close(): void
    {
        $this->abort();
    }

    public function __destruct()
    {
        $this->abort();
    }

    private function handle(): CData
    {
        return $this->write ?? throw new ClosedException('the write is over');
    }

    public function __debugInfo(): array
    {
        return ['count' => $this->write === null ? null : $this->count()];
    }

    private function __clone()
    {
    }
}
