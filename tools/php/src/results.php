<?php
/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * What searches, walks and paths find.
 */

declare(strict_types=1);

namespace Coppice;

/** An entity that a search found. */
final readonly class Hit
{
    public function __construct(
        public string $key,
        /** Smaller is nearer. */
        public float $distance,
        public int $id,
    ) {
    }
}

/** An entity on a walk or a path. */
final readonly class Step
{
    public function __construct(
        public string $key,
        /** Edges from the start. */
        public int $hops,
        /** Over which it was reached; null for the start. */
        public ?string $relation,
        /** Of that edge: 'out' or 'in'; null for the start. */
        public ?string $direction,
        /** Index of the step that it was reached from. */
        public int $origin,
        public int $id,
    ) {
    }
}

/** The other end of an edge. */
final readonly class Neighbor
{
    public function __construct(
        public string $key,
        public string $relation,
        /** 'out' or 'in'. */
        public string $direction,
        public int $id,
    ) {
    }
}

/** An edge with its properties. */
final readonly class Edge
{
    public function __construct(
        public string $source,
        public string $relation,
        public string $target,
        public array $properties,
        /** The commit that wrote it. */
        public int $version,
    ) {
    }
}
