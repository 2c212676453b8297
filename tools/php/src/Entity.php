<?php
/*
 * SPDX-License-Identifier: Apache-2.0
 */

declare(strict_types=1);

namespace Coppice;

use FFI\CData;

/**
 * An entity of a snapshot, which lives as long as it does; like an array of its
 * properties.
 *
 *     $ada = $store['ada'];
 *     $ada->type;                        // 'person', or null
 *     $ada['born'];                      // 1815, or null if it has none
 *     foreach ($ada as $name => $value) {}
 *     $ada->content();                   // bytes
 *     $ada->vector();                    // numbers, or null
 */
final class Entity implements \ArrayAccess, \Countable, \IteratorAggregate
{
    public readonly int $id;
    public readonly string $key;
    public readonly ?string $type;
    /** The commit that wrote it, for Write::expect(). */
    public readonly int $version;
    public readonly int $contentSize;

    /** @internal */
    public function __construct(
        private readonly Snapshot $snapshot,
        private readonly CData $entity,
    ) {
        $this->id = $entity->id;
        $this->key = Library::bytes($entity->key, $entity->key_size);
        $this->type = $entity->type ? $snapshot->nameOf($entity->type) : null;
        $this->version = $entity->version;
        $this->contentSize = $entity->content_size;
    }

    /** @return list<string> */
    public function tags(): array
    {
        $ffi = Library::ffi();
        $text = $ffi->new('const char *');
        $size = $ffi->new('size_t');
        $tags = [];
        for ($i = 0; $i < $this->entity->tag_count; $i++) {
            Library::check($ffi->cop_entity_tag(
                $this->snapshot->handle(),
                \FFI::addr($this->entity),
                $i,
                \FFI::addr($text),
                \FFI::addr($size),
            ));
            $tags[] = Library::bytes($text, $size->cdata);
        }
        return $tags;
    }

    /** One property: only that is decoded.  Null if it has none. */
    public function get(string $name): mixed
    {
        $value = $this->find($name);
        return $value === null ? null : Library::value($value);
    }

    private function find(string $name): ?CData
    {
        $ffi = Library::ffi();
        $found = $ffi->new('int');
        $value = Library::struct('cop_value', false);
        Library::check($ffi->cop_entity_property(
            $this->snapshot->handle(),
            \FFI::addr($this->entity),
            $name,
            strlen($name),
            \FFI::addr($found),
            \FFI::addr($value),
        ));
        return $found->cdata ? $value : null;
    }

    /**
     * All of them, in the order they were put.  Lists and maps are arrays; a
     * map that would look like a list ({} or {"0": 1}) is an object, so that
     * it can be put again as it was.
     *
     * @return array<string, mixed>
     */
    public function properties(): array
    {
        $ffi = Library::ffi();
        $name = $ffi->new('const char *');
        $size = $ffi->new('size_t');
        $value = Library::struct('cop_value', false);
        $properties = [];
        for ($i = 0; $i < $this->entity->property_count; $i++) {
            Library::check($ffi->cop_entity_property_at(
                $this->snapshot->handle(),
                \FFI::addr($this->entity),
                $i,
                \FFI::addr($name),
                \FFI::addr($size),
                \FFI::addr($value),
            ));
            /* Of several at different times the first. */
            $properties[Library::bytes($name, $size->cdata)] ??=
                Library::value($value);
        }
        return $properties;
    }

    /**
     * The content, null if it has none; or a part of it: content of over 16 MiB
     * is read in parts.
     */
    public function content(int $offset = 0, ?int $length = null): ?string
    {
        if ($this->contentSize === 0) {
            return null;
        }
        if ($length !== null || $offset !== 0) {
            return $this->part($offset, $length ?? $this->contentSize);
        }
        $ffi = Library::ffi();
        $data = $ffi->new('const void *');
        $size = $ffi->new('size_t');
        Library::check($ffi->cop_entity_content(
            $this->snapshot->handle(),
            \FFI::addr($this->entity),
            \FFI::addr($data),
            \FFI::addr($size),
        ));
        return Library::bytes($data, $size->cdata);
    }

    private function part(int $offset, int $length): string
    {
        $ffi = Library::ffi();
        $offset = Library::number('offset', $offset, PHP_INT_MAX);
        $length = Library::number('length', $length, PHP_INT_MAX);
        $length = max(0, min($length, $this->contentSize - $offset));
        $data = $ffi->new('char[' . max(1, $length) . ']');
        $got = $ffi->new('size_t');
        Library::check($ffi->cop_content_read(
            $this->snapshot->handle(),
            \FFI::addr($this->entity),
            $offset,
            $data,
            $length,
            \FFI::addr($got),
        ));
        return $got->cdata ? \FFI::string($data, $got->cdata) : '';
    }

    /**
     * Its vector as it was put, null if it has none.
     *
     * @return ?list<float>
     */
    public function vector(): ?array
    {
        $packed = $this->packedVector();
        return $packed === null ? null : array_values(unpack('f*', $packed));
    }

    /** The same as float32, for unpack('f*') and for search(). */
    public function packedVector(): ?string
    {
        $ffi = Library::ffi();
        $vector = $ffi->new('const float *');
        Library::check($ffi->cop_vector(
            $this->snapshot->handle(),
            $this->id,
            \FFI::addr($vector),
        ));
        return \FFI::isNull($vector)
            ? null
            : \FFI::string(
                $ffi->cast('char *', $vector),
                4 * $this->snapshot->dim(),
            );
    }

    public function count(): int
    {
        return count($this->properties());
    }

    public function getIterator(): \ArrayIterator
    {
        return new \ArrayIterator($this->properties());
    }

    public function offsetExists(mixed $name): bool
    {
        return $this->find(Library::offset($name)) !== null;
    }

    public function offsetGet(mixed $name): mixed
    {
        return $this->get(Library::offset($name));
    }

    public function offsetSet(mixed $name, mixed $value): void
    {
        throw new \LogicException('an entity is changed by Write::put()');
    }

    public function offsetUnset(mixed $name): void
    {
        throw new \LogicException('an entity is changed by Write::put()');
    }

    public function __debugInfo(): array
    {
        return [
            'key' => $this->key,
            'type' => $this->type,
            'version' => $this->version,
        ];
    }

    private function __clone()
    {
    }
}
