<?php
/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * For the tests beside: lines of TAP without numbers.  The path of a store to
 * be made, and removed by whoever runs the test, is the first argument.
 */

declare(strict_types=1);

require __DIR__ . '/../Coppice.php';

$path = $argv[1] ?? exit("usage: php {$argv[0]} STORE\n");

function ok(bool $isGood, string $claim, mixed ...$remarks): void
{
    static $isAllGood = true;
    $isAllGood = $isAllGood && $isGood;
    echo $isGood ? 'ok' : 'not ok', " - $claim\n";
    foreach ($isGood ? [] : $remarks as $remark) {
        echo '# ', str_replace("\n", "\n# ", print_r($remark, true)), "\n";
    }
}

function is(mixed $got, mixed $wanted, string $claim): void
{
    ok($got === $wanted, $claim, $got, $wanted);
}

/** The class of what a function throws, with its code; '' if nothing. */
function thrown(callable $work): string
{
    try {
        $work();
        return '';
    } catch (Throwable $error) {
        return $error::class;
    }
}
