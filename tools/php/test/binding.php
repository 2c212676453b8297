<?php
/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The binding, on the command line: what it reads, writes and refuses.
 */

declare(strict_types=1);

require __DIR__ . '/claims.php';

use Coppice\{BadVectorException, ClosedException, ConflictException};
use Coppice\{DanglingException, InvalidException, NoNameException};
use Coppice\{NotAStoreException, NotFoundException, Store, Write};

Store::create($path, dim: 3, metric: 'cosine');
$store = Store::open($path, name: 'test');

/* ---- writing, and reading what was written ------------------------------ */

$given = [
    'born' => 1815, 'height' => 1.5, 'alive' => false, 'none' => null,
    'text' => "\u{e4}\0\u{1f600}", 'list' => [1, [2.5, 'x'], []],
    'map' => ['a' => 1, 'b' => ['c' => [true]]], 'empty' => new stdClass(),
    'big' => PHP_INT_MIN, 'digits' => (object) ['0' => 'zero'],
];
$commit = $store->write(function (Write $tx) use ($given) {
    $tx->put('ada', $given, type: 'person', tags: ['math', 'new'],
        content: "notes\0\xff", vector: [1, 0, 0]);
    $tx->put('grace', type: 'person', tags: ['navy'], vector: [0.9, 0.1, 0]);
    $tx->put('alan', type: 'person', vector: pack('f*', 0, 1, 0));
    $tx->put('dog.n.1');
    $tx->link('ada', 'knows', 'grace', ['since' => 1952]);
    $tx->link('grace', 'knows', 'alan');
});
is($commit, 1, 'a write is the first commit');
$ada = $store['ada'];
is([$ada->key, $ada->type, $ada->version], ['ada', 'person', 1], 'an entity');
is($ada->tags(), ['math', 'new'], 'its tags');
ok($ada->properties() == $given, 'its properties, as they were put',
    $ada->properties());
ok($ada['empty'] instanceof stdClass && $ada['list'][2] === [],
    'an empty map and an empty list are told apart');
is([$ada['born'], $ada->get('nothing'), isset($ada['none'])],
    [1815, null, true], 'one property by name');
is($ada->content(), "notes\0\xff", 'its content, bytes');
is($ada->content(3, 100), "es\0\xff", 'part of it');
is($ada->vector(), [1.0, 0.0, 0.0], 'its vector');
is([$store['dog.n.1']->vector(), $store['dog.n.1']->content(),
    $store['dog.n.1']->properties()], [null, null, []], 'and none of these');
is([$store['nobody'], $store->get("\0"), isset($store['ada']),
    isset($store['x'])], [null, null, true, false], 'absence is an answer');
is([count($store), $store->dim(), $store->metric()], [4, 3, 'cosine'],
    'figures');
is($store->stat()['vectors'], 3, 'and more of them');
is(array_keys(iterator_to_array($store)), ['ada', 'alan', 'dog.n.1', 'grace'],
    'all entities in order of keys');
is([$store->keys('a'), $store->keys('', 1), $store->keys('x'),
    $store->keys('', 0)], [['ada', 'alan'], ['ada'], [], []], 'keys by prefix');
is(array_map(fn ($found) => $found->type,
    iterator_to_array($store->entities('dog.'))), ['dog.n.1' => null],
    'entities by prefix');

/* ---- search, walk, path ------------------------------------------------- */

$keys = fn (array $found) => array_map(fn ($one) => $one->key, $found);
$hits = $store->search([1, 0, 0], k: 2);
is($keys($hits), ['ada', 'grace'], 'the nearest come first');
ok($hits[0]->distance < 1e-3 && $hits[0]->distance < $hits[1]->distance,
    'with their distances');
is($keys($store->search($ada->packedVector(), k: 1)), ['ada'],
    'a packed vector');
is($keys($store->search([1, 0, 0], type: 'person', tag: 'navy')), ['grace'],
    'type and tag');
is($keys($store->search([1, 0, 0], tag: ['math', 'new'])), ['ada'],
    'all of several tags');
is($keys($store->search([1, 0, 0], anyTag: ['math', 'navy'])),
    ['ada', 'grace'], 'any of several tags');
is($keys($store->search([1, 0, 0], prefix: 'al')), ['alan'], 'prefix');
is($keys($store->search([0, 1, 0], within: 'ada', hops: 1, exclude: 'ada')),
    ['grace'], 'within, and exclude');
is($keys($store->search([0, 1, 0], threshold: 0.1, exact: true)), ['alan'],
    'threshold, exact');
$store->search([0, 1, 0], strategy: 'scan', ef: 50, report: $report);
is([$report['strategy'], $report['is_complete']], ['scan', true],
    'a report says how it went');
is($store->search([0, 1, 0], type: 'never seen'), [], 'a type never seen');
$steps = $store->walk('ada', hops: 2);
is($keys($steps), ['ada', 'grace', 'alan'], 'a walk');
is([$steps[2]->hops, $steps[2]->relation, $steps[2]->direction,
    $steps[2]->origin, $steps[0]->relation], [2, 'knows', 'out', 1, null],
    'its steps');
is($keys($store->walk('alan', null, direction: 'in')),
    ['alan', 'grace', 'ada'], 'as far as it goes, against the edges');
is($keys($store->path('ada', 'alan')), ['ada', 'grace', 'alan'], 'a path');
is($store->path('alan', 'ada'), [], 'and none');
is(array_map(fn ($near) => [$near->key, $near->relation, $near->direction],
    $store->neighbors('grace', direction: 'both')),
    [['alan', 'knows', 'out'], ['ada', 'knows', 'in']], 'neighbors');
is(count($store->neighbors('grace', 'knows', 'both', limit: 1)), 1,
    'and not all of them');
is($store->edge('ada', 'knows', 'grace')->properties, ['since' => 1952],
    'an edge with its properties');
is([$store->edge('grace', 'knows', 'ada'), $store->edge('x', 'y', 'z')],
    [null, null], 'and none');

/* ---- snapshots ---------------------------------------------------------- */

$snapshot = $store->snapshot();
$store->write(function (Write $tx) {
    $tx->delete('grace');
    $tx->tag('ada', 'third');
    $tx->untag('ada', 'new');
});
is([isset($snapshot['grace']), isset($store['grace'])], [true, false],
    'a snapshot stays as it is');
is([$snapshot->commit(), $store->snapshot()->commit()], [1, 2], 'its commit');
is($store['ada']->tags(), ['math', 'third'], 'tags come and go');
is($keys($store->snapshot(1)->search([1, 0, 0], 2)), ['ada', 'grace'],
    'a search of the past');
is($store->snapshot(new DateTime('+1 hour'))->commit(), 2,
    'the newest commit at a time');
$store->write(fn ($tx) => $tx->undelete('grace'));
is($store['grace']?->tags(), ['navy'], 'undelete');
$store->write(function ($tx) {
    $tx->link('ada', 'was', 'alan', valid: [new DateTime('2000-01-01'),
        new DateTime('2001-01-01')]);
});
is(array_map(fn ($year) => count($store->snapshot()->validAt(
    new DateTime("$year-06-01"))->neighbors('ada', 'was')), [1999, 2000, 2001]),
    [0, 1, 0], 'valid at a time in the world');
$kept = $store->snapshot()['ada'];
is($kept->tags(), ['math', 'third'], 'an entity keeps its snapshot');
$closed = $store->snapshot();
$left = $closed['ada'];
$closed->close();
is([thrown(fn () => $closed['ada']), thrown(fn () => $left->tags())],
    [ClosedException::class, ClosedException::class], 'closed is closed');

/* ---- writes that fail --------------------------------------------------- */

$before = $store->snapshot()->commit();
is(thrown(fn () => $store->write(function (Write $tx) {
    $tx->put('half');
    throw new DomainException('no');
})), DomainException::class, 'what is thrown in a write comes out');
is(thrown(fn () => $store->write(function (Write $tx) {
    $tx->put('half', vector: [1, 0, 0]);
    $tx->link('half', 'to', 'nobody');
})), DanglingException::class, 'an edge to nobody');
is([isset($store['half']), $store->snapshot()->commit()], [false, $before],
    'nothing is half applied');
$store->write(fn ($tx) => $tx->link('ada', 'to', 'stub', dangling: 'stub'));
ok(isset($store['stub']), 'a stub is put if that is wanted');
is(thrown(fn () => $store->write(function (Write $tx) {
    $tx->expect('ada', 1);
    $tx->put('ada');
})), ConflictException::class, 'a version that is not the expected one');
is($store->update('ada', fn ($old) => ['born' => $old['born'] + 1])['born'],
    1816, 'an update');
is([$store['ada']->type, $store['ada']->content(), $store['ada']->vector()],
    ['person', "notes\0\xff", [1.0, 0.0, 0.0]], 'leaves all else');
$tx = $store->begin();
$tx->put('late');
is(count($tx), 1, 'a write counts');
ok($tx->commit(lazy: true, timeout: 5) > $before, 'a lazy commit');
$tx->putVector('late', [0, 0, 1]);
$tx->commit();
$tx->putVector('late', null);
$tx->delete('stub');
$tx->unlink('ada', 'was', 'alan');
$tx->commit();
is([$store['late']->vector(), $store->neighbors('ada', 'was')], [null, []],
    'more than one commit by hand');
$tx->abort();
is(thrown(fn () => $tx->put('x')), ClosedException::class, 'and no more then');

/* ---- what is refused ---------------------------------------------------- */

is(thrown(fn () => Store::open("$path-none")), NotAStoreException::class,
    'no folder');
is(thrown(fn () => Store::open(__DIR__)), NotAStoreException::class,
    'a folder that is no store');
is(thrown(fn () => Store::create($path)), Coppice\ExistsException::class,
    'a store where there is one');
is(thrown(fn () => Store::open("$path\0")), InvalidException::class,
    'a path with a NUL');
is(thrown(fn () => $store->search([1, 0])), BadVectorException::class,
    'a vector too short');
is(thrown(fn () => $store->search([1, 0, NAN])), BadVectorException::class,
    'NaN');
is(thrown(fn () => $store->search([1, 0, '1'])), BadVectorException::class,
    'a string for a number');
is(thrown(fn () => $store->search([1, 0, 0], k: 1 << 32 | 1)),
    InvalidException::class, 'a k that does not fit');
is(thrown(fn () => $store->search([1, 0, 0], k: 0)), InvalidException::class,
    'a k of 0');
is(thrown(fn () => $store->search([1, 0, 0], within: 'nobody')),
    NotFoundException::class, 'within nobody');
is(thrown(fn () => $store->walk('ada', relation: 'never')),
    NoNameException::class, 'a relation never seen');
is(thrown(fn () => $store->walk('ada', direction: 'up')),
    InvalidException::class, 'a direction that there is not');
try {
    $store->begin()->put('');
    ok(false, 'an empty key');
} catch (Coppice\BadKeyException $error) {
    ok($error->getCode() === -31001 && $error->getMessage() !== '',
        'an empty key, with the library\'s words and number');
}
is(thrown(fn () => clone $snapshot), Error::class, 'a snapshot is not cloned');
is(thrown(fn () => serialize($snapshot)), Exception::class, 'nor serialized');

/* ---- a fork ------------------------------------------------------------- */

if (function_exists('pcntl_fork')) {
    $child = pcntl_fork();
    if ($child === 0) {
        $isRefused = thrown(fn () => $snapshot['ada']) ===
            Coppice\ForkedException::class;
        $store->write(fn ($tx) => $tx->put('from-the-child'));
        exit($isRefused && $store['ada']->type === 'person' ? 7 : 1);
    }
    pcntl_waitpid($child, $status);
    is(pcntl_wexitstatus($status), 7, 'a child uses the store, and not the ' .
        'snapshot');
    is([isset($store['from-the-child']), $snapshot['ada']->type],
        [true, 'person'], 'its parent goes on');
}

/* ---- lifetimes ---------------------------------------------------------- */

$store->close();
is(thrown(fn () => $store['ada']), ClosedException::class, 'a closed store');
is($snapshot['grace']->key, 'grace', 'its snapshots live on');
is(thrown(fn () => Store::detach($path)), Coppice\BusyException::class,
    'and keep it attached');
unset($snapshot, $kept, $closed, $left, $ada, $tx);
gc_collect_cycles();
Store::detach($path);
ok(true, 'until they are gone');
