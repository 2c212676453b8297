<?php
/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * What a store and a snapshot both answer.  A store begins a snapshot of the
 * newest commit for each call; a snapshot is its own.
 */

declare(strict_types=1);

namespace Coppice;

use FFI\CData;

/**
 * Like an array from keys to entities, which is read only.
 *
 *     isset($store['ada']);
 *     $store['ada']?->type;                     // null if it is not there
 *     foreach ($store as $key => $entity) {}    // all, in order of keys
 *     count($store);
 */
abstract class Reading implements
    \ArrayAccess,
    \Countable,
    \IteratorAggregate
{
    protected const DIRECTIONS = ['out' => 1, 'in' => 2, 'both' => 3];
    private const STRATEGIES = [
        'auto' => 0, 'scan' => 1, 'hnsw' => 2, 'lsh' => 3, 'hierarchical' => 4,
        'kdtree' => 5,
    ];
    private const HOPS_ALL = 0xffffffff;
    private const K_MAX = 1000000;

    /** The snapshot that a call is to read. */
    abstract protected function reads(): Snapshot;

    abstract public function dim(): int;

    /** The entity of a key, or null. */
    public function get(string $key): ?Entity
    {
        $snapshot = $this->reads();
        $entity = Library::struct('cop_entity', false);
        Library::check(Library::ffi()->cop_get(
            $snapshot->handle(),
            $key,
            strlen($key),
            \FFI::addr($entity),
        ));
        return $entity->id ? new Entity($snapshot, $entity) : null;
    }

    public function has(string $key): bool
    {
        $snapshot = $this->reads();
        return self::id($snapshot->handle(), $key) !== 0;
    }

    /** Entities of the store, as of the snapshot. */
    public function count(): int
    {
        return $this->stat()['entities'];
    }

    /**
     * The keys that begin with a prefix, in order, at most `limit`.
     *
     *     $store->keys('dog.', limit: 100);    // ['dog.n.02084071', ...]
     *
     * @return list<string>
     */
    public function keys(string $prefix = '', ?int $limit = null): array
    {
        $snapshot = $this->reads();
        $read = $snapshot->handle();
        return array_map(
            fn (int $id) => self::key($read, $id),
            self::listed($read, $prefix, $limit),
        );
    }

    /**
     * The entities whose keys begin with a prefix, in order of keys: an
     * iterator, all in one snapshot, which it holds until it is done.
     *
     * @return \Generator<string, Entity>
     */
    public function entities(
        string $prefix = '',
        ?int $limit = null,
    ): \Generator {
        $snapshot = $this->reads();
        $ids = self::listed($snapshot->handle(), $prefix, $limit);
        foreach ($ids as $id) {
            $entity = Library::struct('cop_entity', false);
            Library::check(Library::ffi()->cop_get_id(
                $snapshot->handle(),
                $id,
                \FFI::addr($entity),
            ));
            $found = new Entity($snapshot, $entity);
            yield $found->key => $found;
        }
    }

    public function getIterator(): \Generator
    {
        return $this->entities();
    }

    /**
     * The k nearest entities to a vector, nearest first.
     *
     *     $store->search($vector, k: 5, type: 'person', tag: ['math', 'new']);
     *     $store->search($vector, within: 'ada', hops: 2);
     *
     * @param array<int|float>|string $vector numbers, or what pack('f*') made
     * @param ?string $type only entities of it
     * @param array<string>|string|null $tag only those with it, or all these
     * @param ?array<string> $anyTag only those with one of these
     * @param ?string $prefix only those whose keys begin with it
     * @param ?string $within only those within `hops` edges of this key's
     *     entity, in the `direction` 'out', 'in' or 'both'
     * @param bool $exact rank by the float32 that was put, looking at all
     * @param ?float $threshold only those at this distance or nearer
     * @param ?string $exclude a key that is left out
     * @param string $strategy 'auto', 'scan', 'hnsw', 'lsh', 'hierarchical',
     *     'kdtree'
     * @param int $ef width of the walk; the larger, the nearer to exact; 0: by
     *     k
     * @param mixed $report set to an array: how it went
     * @return list<Hit> fewer than k only if no more qualify
     * @throws BadVectorException, InvalidException, NotFoundException
     */
    public function search(
        array|string $vector,
        int $k = 10,
        ?string $type = null,
        array|string|null $tag = null,
        ?array $anyTag = null,
        ?string $prefix = null,
        ?string $within = null,
        int $hops = 1,
        string $direction = 'both',
        bool $exact = false,
        ?float $threshold = null,
        ?string $exclude = null,
        string $strategy = 'auto',
        int $ef = 0,
        mixed &$report = null,
    ): array {
        $snapshot = $this->reads();
        $read = $snapshot->handle();
        $scratch = new Scratch();
        $search = Library::struct('cop_search');
        $search->k = Library::number('k', $k, self::K_MAX);
        $search->vector = $this->query($vector, $scratch);
        $search->type = $scratch->text(Library::name('a type', $type));
        self::tags($search, $scratch, (array) $tag, $anyTag);
        $search->prefix = $scratch->text($prefix);
        $search->prefix_size = strlen($prefix ?? '');
        $search->near = $within === null ? 0 : self::found($read, $within);
        $search->hops = Library::number('hops', $hops);
        $search->direction = Library::choice(
            'direction',
            $direction,
            self::DIRECTIONS,
        );
        $search->exact = (int) $exact;
        $search->has_threshold = (int) ($threshold !== null);
        $search->threshold = $threshold ?? 0.0;
        $search->exclude = $exclude === null ? 0 : self::id($read, $exclude);
        $search->strategy = Library::choice(
            'strategy',
            $strategy,
            self::STRATEGIES,
        );
        $search->ef = Library::number('ef', $ef);
        return $this->hits($read, $search, $report);
    }

    /** Its numbers; the library cannot see how many there are. */
    private function query(array|string $vector, Scratch $scratch): CData
    {
        [$floats, $count] = $scratch->floats($vector);
        if ($count !== $this->dim()) {
            throw new BadVectorException("a vector of $count numbers; the " .
                "store's have {$this->dim()}", -31002);
        }
        return $floats;
    }

    private static function tags(
        CData $search,
        Scratch $scratch,
        array $all,
        ?array $any,
    ): void {
        if ($all !== [] && $any !== null) {
            throw new InvalidException('either tag or anyTag');
        }
        $tags = $any ?? $all;
        $search->tags = $scratch->names('a tag', $tags);
        $search->tag_count = count($tags);
        $search->tag_mode = $any === null ? 0 : 1;
    }

    private function hits(CData $read, CData $search, mixed &$report): array
    {
        $ffi = Library::ffi();
        $how = Library::struct('cop_search_report');
        $hits = $ffi->new('struct cop_hit[' . max(1, $search->k) . ']');
        $count = $ffi->new('uint32_t');
        $search->report = $ffi->cast(
            'struct cop_search_report *',
            \FFI::addr($how),
        );
        Library::check($ffi->cop_search(
            $read,
            \FFI::addr($search),
            $hits,
            \FFI::addr($count),
        ));
        $found = [];
        for ($i = 0; $i < $count->cdata; $i++) {
            $hit = $hits[$i];
            $key = self::key($read, $hit->id);
            $found[] = new Hit($key, $hit->distance, $hit->id);
        }
        $report = [
            'strategy' => array_flip(self::STRATEGIES)[$how->strategy],
            'reason' => \FFI::string($how->reason),
            'is_complete' => $how->is_complete !== 0,
            'ef' => $how->ef,
            'evaluated' => $how->evaluated,
            'expanded' => $how->expanded,
            'rows' => $how->rows,
            'waiting' => $how->waiting,
            'share' => $how->share,
            'listed' => $how->listed,
        ];
        return $found;
    }

    /**
     * The entities within so many edges of one, breadth first, itself first.
     *
     *     foreach ($store->walk('ada', hops: 2) as $step) {
     *         echo $step->hops, ' ', $step->key, "\n";
     *     }
     *
     * @param ?int $hops null: all that can be reached
     * @param ?string $relation over edges of it only
     * @param ?string $type goes only to entities of it
     * @param ?string $tag and only to those with it
     * @param int $limit it ends at so many steps
     * @return list<Step>
     * @throws NotFoundException, NoNameException
     */
    public function walk(
        string $start,
        ?int $hops = 2,
        ?string $relation = null,
        string $direction = 'out',
        ?string $type = null,
        ?string $tag = null,
        int $limit = 10000,
    ): array {
        $snapshot = $this->reads();
        $read = $snapshot->handle();
        $ffi = Library::ffi();
        $scratch = new Scratch();
        $walk = Library::struct('cop_walk');
        $walk->start = self::found($read, $start);
        $walk->hops = $hops === null
            ? self::HOPS_ALL
            : Library::number('hops', $hops, self::HOPS_ALL - 1);
        $walk->relation = $scratch->text(
            Library::name('a relation', $relation),
        );
        $walk->direction = Library::choice(
            'direction',
            $direction,
            self::DIRECTIONS,
        );
        $walk->type = $scratch->text(Library::name('a type', $type));
        $walk->tag = $scratch->text(Library::name('a tag', $tag));
        $limit = Library::number('limit', $limit, 100000000);
        $steps = $scratch->array('struct cop_step', $limit);
        $count = $ffi->new('size_t');
        Library::check($ffi->cop_walk(
            $read,
            \FFI::addr($walk),
            $steps,
            $limit,
            \FFI::addr($count),
            null,
        ));
        return self::steps($read, $steps, $count->cdata);
    }

    /**
     * A shortest path; [] if there is none.
     *
     * @param int $hops at most so many, 0: any number
     * @param ?string $weight a property of edges that says what each costs
     * @return list<Step> the source first, the target last
     * @throws NotFoundException, NoNameException
     */
    public function path(
        string $source,
        string $target,
        int $hops = 0,
        ?string $relation = null,
        string $direction = 'out',
        ?string $weight = null,
    ): array {
        $snapshot = $this->reads();
        $read = $snapshot->handle();
        $ffi = Library::ffi();
        $scratch = new Scratch();
        $path = Library::struct('cop_path');
        $path->source = self::found($read, $source);
        $path->target = self::found($read, $target);
        $path->hops = Library::number('hops', $hops);
        $path->relation = $scratch->text(
            Library::name('a relation', $relation),
        );
        $path->direction = Library::choice(
            'direction',
            $direction,
            self::DIRECTIONS,
        );
        $path->weight = $scratch->text(Library::name('a weight', $weight));
        $count = $ffi->new('size_t');
        $count->cdata = 64;
        do {
            $room = $count->cdata;
            $steps = $scratch->array('struct cop_step', $room);
            Library::check($ffi->cop_path(
                $read,
                \FFI::addr($path),
                $steps,
                $room,
                \FFI::addr($count),
            ));
        } while ($count->cdata > $room);
        return self::steps($read, $steps, $count->cdata);
    }

    private static function steps(CData $read, CData $steps, int $count): array
    {
        $names = [];
        $found = [];
        for ($i = 0; $i < $count; $i++) {
            $step = $steps[$i];
            $names[$step->relation] ??= self::text($read, $step->relation);
            $found[] = new Step(
                self::key($read, $step->id),
                $step->hops,
                $step->relation ? $names[$step->relation] : null,
                self::direction($step->direction),
                $step->from,
                $step->id,
            );
        }
        return $found;
    }

    /**
     * The edges of an entity without their properties, outgoing ones first.
     *
     * @param string $direction 'out', 'in' or 'both'
     * @param ?int $limit at most so many
     * @return list<Neighbor>
     * @throws NotFoundException, NoNameException
     */
    public function neighbors(
        string $key,
        ?string $relation = null,
        string $direction = 'out',
        ?int $limit = null,
    ): array {
        $snapshot = $this->reads();
        $read = $snapshot->handle();
        $ffi = Library::ffi();
        $id = self::found($read, $key);
        $relation = Library::name('a relation', $relation);
        $direction = Library::choice(
            'direction',
            $direction,
            self::DIRECTIONS,
        );
        $count = $ffi->new('size_t');
        $count->cdata = 64;
        do {
            $room = min($count->cdata, self::limit($limit));
            $found = $ffi->new('struct cop_neighbor[' . max(1, $room) . ']');
            Library::check($ffi->cop_neighbors(
                $read,
                $id,
                $relation,
                $direction,
                $found,
                $room,
                \FFI::addr($count),
            ));
        } while (min($count->cdata, self::limit($limit)) > $room);
        return self::around($read, $found, min($count->cdata, $room));
    }

    private static function around(CData $read, CData $array, int $count): array
    {
        $names = [];
        $found = [];
        for ($i = 0; $i < $count; $i++) {
            $neighbor = $array[$i];
            $names[$neighbor->relation] ??=
                self::text($read, $neighbor->relation);
            $found[] = new Neighbor(
                self::key($read, $neighbor->id),
                $names[$neighbor->relation],
                self::direction($neighbor->direction),
                $neighbor->id,
            );
        }
        return $found;
    }

    /** An edge with its properties, or null. */
    public function edge(
        string $source,
        string $relation,
        string $target,
    ): ?Edge {
        $snapshot = $this->reads();
        $read = $snapshot->handle();
        $ffi = Library::ffi();
        $edge = Library::struct('cop_edge', false);
        Library::check($ffi->cop_get_edge(
            $read,
            self::id($read, $source),
            $relation,
            strlen($relation),
            self::id($read, $target),
            \FFI::addr($edge),
        ));
        if (!$edge->version) {
            return null;
        }
        $name = $ffi->new('const char *');
        $size = $ffi->new('size_t');
        $value = Library::struct('cop_value', false);
        $properties = [];
        for ($i = 0; $i < $edge->property_count; $i++) {
            Library::check($ffi->cop_edge_property_at(
                $read,
                \FFI::addr($edge),
                $i,
                \FFI::addr($name),
                \FFI::addr($size),
                \FFI::addr($value),
            ));
            $properties[Library::bytes($name, $size->cdata)] =
                Library::value($value);
        }
        return new Edge(
            $source,
            $relation,
            $target,
            $properties,
            $edge->version,
        );
    }

    /**
     * The store's figures.
     *
     * @return array<string, int|float|string>
     */
    public function stat(): array
    {
        $snapshot = $this->reads();
        $stats = Library::struct('cop_stats');
        Library::check(Library::ffi()->cop_stat(
            $snapshot->handle(),
            \FFI::addr($stats),
        ));
        $names = [
            'dim', 'commits', 'entities', 'edges', 'vectors', 'disk_bytes',
            'shared_bytes', 'bank_bytes', 'readers', 'stalled',
        ];
        $figures = [];
        foreach ($names as $name) {
            $figures[$name] = $stats->$name;
        }
        $figures['segment'] = \FFI::string($stats->segment);
        return $figures;
    }

    public function offsetExists(mixed $key): bool
    {
        return $this->has(Library::offset($key));
    }

    public function offsetGet(mixed $key): ?Entity
    {
        return $this->get(Library::offset($key));
    }

    public function offsetSet(mixed $key, mixed $value): void
    {
        throw new \LogicException('use write() to put an entity');
    }

    public function offsetUnset(mixed $key): void
    {
        throw new \LogicException('use write() to delete an entity');
    }

    /* ---- of a read ------------------------------------------------------ */

    private static function limit(?int $limit): int
    {
        return Library::number('limit', $limit ?? PHP_INT_MAX, PHP_INT_MAX);
    }

    /** @return list<int> */
    private static function listed(
        CData $read,
        string $prefix,
        ?int $limit,
    ): array {
        $limit = self::limit($limit);
        return $limit === 0 ? [] : Library::listed($read, $prefix, $limit);
    }

    /** The id of a key, 0 if there is no such entity. */
    private static function id(CData $read, string $key): int
    {
        $id = Library::ffi()->new('uint64_t');
        Library::check(Library::ffi()->cop_lookup(
            $read,
            $key,
            strlen($key),
            \FFI::addr($id),
        ));
        return $id->cdata;
    }

    private static function found(CData $read, string $key): int
    {
        return self::id($read, $key) ?:
            throw new NotFoundException("there is no entity '$key'");
    }

    private static function key(CData $read, int $id): string
    {
        $ffi = Library::ffi();
        $key = $ffi->new('const void *');
        $size = $ffi->new('size_t');
        Library::check($ffi->cop_key(
            $read,
            $id,
            \FFI::addr($key),
            \FFI::addr($size),
        ));
        return Library::bytes($key, $size->cdata);
    }

    /** @internal A name from its number. */
    protected static function text(CData $read, int $name): string
    {
        $ffi = Library::ffi();
        $text = $ffi->new('const char *');
        $size = $ffi->new('size_t');
        Library::check($ffi->cop_name(
            $read,
            $name,
            \FFI::addr($text),
            \FFI::addr($size),
        ));
        return Library::bytes($text, $size->cdata);
    }

    private static function direction(int $direction): ?string
    {
        return [0 => null, 1 => 'out', 2 => 'in'][$direction];
    }
}
