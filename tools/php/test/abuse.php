<?php
/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Calls with arguments of every kind, by chance: exceptions are answers, the
 * end of the interpreter is not; and memory that does not grow over 100,000
 * calls.  SEED=n makes a run again, CALLS=n sets how many.
 */

declare(strict_types=1);

require __DIR__ . '/claims.php';

use Coppice\{Store, Write};

ini_set('memory_limit', '256M');
$seed = (int) (getenv('SEED') ?: random_int(1, 1 << 30));
$calls = (int) (getenv('CALLS') ?: 100000);
echo "# SEED=$seed\n";
mt_srand($seed);
Store::create($path, dim: 4);
$store = Store::open($path);
$fill = fn () => $store->write(function (Write $tx) {
    for ($i = 0; $i < 50; $i++) {
        $tx->put("key-$i", ['n' => $i, 'list' => [1, 'two', ['x' => 3]]],
            type: 'T', tags: ["t$i", 'all'], content: str_repeat('c', 10 * $i),
            vector: [1, $i, $i * $i, 1]);
        $tx->link("key-$i", 'next', 'key-' . ($i + 1) % 50, dangling: 'stub');
    }
});
$fill();

/* ---- anything for anything ---------------------------------------------- */

$loop = ['x' => 1];
$loop['loop'] = &$loop;
$odd = [
    fn () => null, fn () => true, fn () => 0, fn () => 1, fn () => -1,
    fn () => PHP_INT_MAX, fn () => PHP_INT_MIN, fn () => 1 << 32,
    fn () => (1 << 32) + 1, fn () => 1e300, fn () => NAN, fn () => -INF,
    fn () => 0.5, fn () => '', fn () => "\0", fn () => "a\0b",
    fn () => "\xff\xfe", fn () => 'key-7', fn () => 'next', fn () => 'all',
    fn () => str_repeat('k', 481), fn () => str_repeat('x', 1 << 20),
    fn () => [], fn () => [1, 2, 3, 4], fn () => [NAN, 1, 1, 1],
    fn () => [0, 0, 0, 0], fn () => [1e39, 0, 0, 0], fn () => ['1', 2, 3, 4],
    fn () => [[1], 2, 3, 4], fn () => ['a' => 1, 'b' => 2, 'c' => 3, 'd' => 4],
    fn () => array_fill(0, 5000, 0.5), fn () => pack('f*', 1, 2, 3, 4),
    fn () => pack('f*', 1, 2, 3) . 'x', fn () => $loop,
    fn () => new stdClass(), fn () => (object) ['a' => (object) ['b' => 1]],
    fn () => new DateTime(), fn () => new DateTime('9999-01-01'),
    fn () => STDIN, fn () => strlen(...), fn () => new ArrayObject([1]),
    fn () => ['all', 'T'], fn () => array_fill(0, 20, 'all'),
    fn () => ["a\0b"], fn () => [new stdClass()], fn () => 'both',
    fn () => 'in', fn () => 'scan', fn () => 'kdtree', fn () => 2, fn () => 3,
];
$any = fn () => $odd[mt_rand(0, count($odd) - 1)]();
/* What is as it should be, more often than not. */
$likely = function (ReflectionParameter $parameter) use ($any): mixed {
    if (mt_rand(0, 2) === 0) {
        return $any();
    }
    if ($parameter->isDefaultValueAvailable() && mt_rand(0, 1)) {
        return $parameter->getDefaultValue();
    }
    return match (trim((string) $parameter->getType(), '?')) {
        'int' => mt_rand(0, 50),
        'float' => mt_rand(0, 100) / 50,
        'bool' => (bool) mt_rand(0, 1),
        'array', 'array|string', 'array|string|null',
            'stdClass|array' => [1, 2, 3, 4],
        'string' => 'key-' . mt_rand(0, 60),
        default => $any(),
    };
};
$skipped = ['__construct', '__destruct', 'close', 'write', 'update', 'abort',
    'handle', '__clone', 'create', 'open', 'detach', 'getIterator'];
$methods = function (string $class) use ($skipped): array {
    $found = (new ReflectionClass($class))->getMethods(
        ReflectionMethod::IS_PUBLIC);
    return array_values(array_filter($found,
        fn ($method) => !in_array($method->getName(), $skipped)));
};
$reading = $methods(Store::class);
$viewing = $methods(Coppice\Snapshot::class);
$having = $methods(Coppice\Entity::class);
$writing = $methods(Write::class);
$thrown = [];
$call = function (object $on, array $methods) use ($likely, &$thrown): void {
    $method = $methods[mt_rand(0, count($methods) - 1)];
    $arguments = array_map($likely, array_filter($method->getParameters(),
        fn ($parameter) => !$parameter->isPassedByReference()));
    try {
        $answer = $method->invokeArgs($on, $arguments);
        if ($answer instanceof Generator) {
            foreach ($answer as $entity) {
                $entity->tags();
            }
        }
    } catch (Coppice\Exception | TypeError | LogicException $error) {
        $thrown[$error::class] = 1 + ($thrown[$error::class] ?? 0);
    }
};
$tx = $store->begin();
for ($i = 0; $i < $calls; $i++) {
    if ($i % 97 === 0) {
        $tx = $store->begin();
        $snapshot = $store->snapshot();
        $entity = $snapshot['key-' . mt_rand(0, 49)] ?? $snapshot['key-1'];
    }
    match (mt_rand(0, 3)) {
        0 => $call($store, $reading),
        1 => $call($snapshot, $viewing),
        2 => $entity && $call($entity, $having),
        3 => $call($tx, $writing),
    };
}
ok(true, "$calls calls with anything for arguments leave PHP alive");
ok(count($thrown) >= 8, 'and are answered by exceptions', $thrown);
foreach ([
    fn () => Store::create("$path-odd", dim: 1),
    fn () => Store::create("$path-odd", dim: -1),
    fn () => Store::create("$path-odd", dim: PHP_INT_MAX),
    fn () => Store::create("$path-odd", dim: 3, metric: 'none'),
    fn () => Store::create("$path-odd", mode: 01777),
    fn () => Store::create("$path-odd", shmDir: '/nowhere'),
    fn () => Store::open($path, timeout: NAN),
    fn () => Store::open($path, timeout: -1),
    fn () => Store::open($path, timeout: 1e300),
] as $i => $work) {
    is(thrown($work), Coppice\InvalidException::class, "refused: $i");
}
ob_start();
var_dump($store, $snapshot, $entity, $tx);
print_r([$store, $snapshot, $entity, $tx]);
ok(!str_contains((string) ob_get_clean(), 'FFI'),
    'what is dumped is no pointers');

/* ---- memory ------------------------------------------------------------- */

$resident = function (): int {
    preg_match('/^RssAnon:\s+(\d+)/m', file_get_contents('/proc/self/status'),
        $found);
    return (int) $found[1];
};
$round = function (int $times) use ($store): void {
    for ($i = 0; $i < $times; $i++) {
        $key = 'key-' . $i % 50;
        $store->search([1, 2, $i % 7, 1], k: 5, tag: 'all');
        $store[$key]?->properties();
        $store->neighbors("key-1", direction: 'both');
        $store->keys('key-1');
        $tx = $store->begin();
        $tx->put($key, ['n' => $i, 'list' => [1, ['a' => 2]]], tags: ['all'],
            content: 'text', vector: [1, 2, 3, $i]);
    }
};
unset($snapshot, $entity, $tx);
$fill();
$round(2000);
gc_collect_cycles();
$before = [memory_get_usage(), $resident()];
$round((int) ($calls / 5));
$after = [memory_get_usage(), $resident()];
ok($after[0] - $before[0] < 65536 && $after[1] - $before[1] < 2048,
    "$calls calls more take no memory", $before, $after);
$store->close();
Store::detach($path);
