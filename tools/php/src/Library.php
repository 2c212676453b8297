<?php
/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The library itself: its declarations, its errors, its one kind of callback.
 *
 * callbacks
 *     An error that PHP raises in a callback leaves it by longjmp, through the
 *     library's frames, which must not be.  So no code of the user's runs in
 *     one: listed() has ids collected by a function that cannot fail, in memory
 *     that is there already.  What PHP could raise by itself is kept away: its
 *     time limit and its signal handlers wait until the call is over.
 */

declare(strict_types=1);

namespace Coppice;

use FFI\CData;

/** @internal */
final class Library
{
    private const HEADERS = [
        '/../../../build/release/coppice.ffi.h', /* a checkout */
        '/../../../../include/coppice.ffi.h', /* PREFIX/share/coppice/php */
    ];

    private static ?\FFI $ffi = null;

    /** A struct with the callback that listed() has; never freed. */
    private static ?CData $visitor = null;
    private static ?CData $ids = null;
    private static int $count = 0;
    private static int $room = 0;

    /** The time limit that resume() set, and the CPU time when it is up. */
    private static int $limit = 0;
    private static float $end = 0.0;

    public static function ffi(): \FFI
    {
        return self::$ffi ??= self::load();
    }

    /** The preloaded declarations, or those of a file, on the command line. */
    private static function load(): \FFI
    {
        try {
            return \FFI::scope('COPPICE');
        } catch (\FFI\Exception) {
            /* not preloaded */
        }
        $header = getenv('COPPICE_FFI_HEADER');
        foreach (self::HEADERS as $name) {
            $header = $header ?: realpath(__DIR__ . $name);
        }
        if (!$header) {
            throw new \FFI\Exception('coppice.ffi.h is not there: run make, ' .
                'or name it with COPPICE_FFI_HEADER');
        }
        return \FFI::load($header);
    }

    /** Throws the exception of an error's class. */
    public static function check(int $error): void
    {
        if ($error === 0) {
            return;
        }
        $ffi = self::ffi();
        throw Exception::of(
            $error,
            $ffi->cop_last_error() ?: $ffi->cop_strerror($error),
        );
    }

    /** A struct of zeros, its size set if it has one. */
    public static function struct(string $name, bool $isSized = true): CData
    {
        $struct = self::ffi()->new("struct $name");
        if ($isSized) {
            $struct->size = \FFI::sizeof($struct);
        }
        return $struct;
    }

    /** A number for a field: FFI would cut it to the field's bits. */
    public static function number(
        string $what,
        int $number,
        int $max = 0xffffffff,
    ): int {
        if ($number < 0 || $number > $max) {
            throw new InvalidException(
                "$what is $number; it must be from 0 to $max",
            );
        }
        return $number;
    }

    /** @param array<string, int> $numbers */
    public static function choice(
        string $what,
        string $name,
        array $numbers,
    ): int {
        return $numbers[$name] ?? throw new InvalidException(
            "no $what '$name'; there are " .
            implode(', ', array_keys($numbers)),
        );
    }

    /** Milliseconds, at least one: 0 is for ever. */
    public static function milliseconds(?float $seconds): int
    {
        if ($seconds === null) {
            return 0;
        }
        if (!($seconds >= 0 && $seconds < 4e6)) {
            throw new InvalidException(
                "a timeout of $seconds seconds; null is for ever",
            );
        }
        return max(1, (int) round($seconds * 1000));
    }

    /** Text that the library reads up to its NUL. */
    public static function name(string $what, ?string $text): ?string
    {
        if ($text !== null && str_contains($text, "\0")) {
            throw new InvalidException("$what has a NUL byte in it");
        }
        return $text;
    }

    /** What an array is indexed by; PHP makes numbers of some strings. */
    public static function offset(mixed $offset): string
    {
        if (!is_string($offset) && !is_int($offset)) {
            throw new \TypeError('a string is wanted in [], not ' .
                get_debug_type($offset));
        }
        return (string) $offset;
    }

    /** A copy of `size` bytes at a pointer. */
    public static function bytes(?CData $data, int $size): string
    {
        return $data === null || $size === 0 ? '' : \FFI::string($data, $size);
    }

    /** A value that was read; an object for a map that looks like a list. */
    public static function value(CData $value): mixed
    {
        return match ($value->kind) {
            1 => $value->integer !== 0,
            2 => $value->integer,
            3 => $value->real,
            4 => self::bytes($value->data, $value->count),
            5 => self::members($value, false),
            6 => self::map(self::members($value, true)),
            default => null,
        };
    }

    private static function map(array $members): array|\stdClass
    {
        return array_is_list($members) ? (object) $members : $members;
    }

    private static function members(CData $value, bool $isMap): array
    {
        $ffi = self::ffi();
        $member = self::struct('cop_value', false);
        $name = $ffi->new('const char *');
        $size = $ffi->new('size_t');
        $members = [];
        for ($i = 0; $i < $value->count; $i++) {
            self::check($ffi->cop_value_item(
                \FFI::addr($value),
                $i,
                \FFI::addr($name),
                \FFI::addr($size),
                \FFI::addr($member),
            ));
            if ($isMap) {
                $members[self::bytes($name, $size->cdata)] =
                    self::value($member);
            } else {
                $members[] = self::value($member);
            }
        }
        return $members;
    }

    /**
     * The ids of the entities whose keys begin with a prefix, in order of
     * keys; the first `limit` of them.
     *
     * @return list<int>
     */
    public static function listed(
        CData $read,
        string $prefix,
        int $limit,
    ): array {
        $room = min(1024, $limit);
        $error = self::collect($read, $prefix, $room);
        while ($error === self::ffi()->COP_STOPPED && $room < $limit) {
            $room = min(8 * $room, $limit);
            $error = self::collect($read, $prefix, $room);
        }
        if ($error !== self::ffi()->COP_STOPPED) {
            self::check($error);
        }
        $ids = [];
        for ($i = 0; $i < self::$count; $i++) {
            $ids[] = self::$ids[$i];
        }
        self::$ids = null;
        return $ids;
    }

    private static function collect(CData $read, string $prefix, int $room): int
    {
        $ffi = self::ffi();
        self::$visitor ??= self::visitor();
        self::$ids = $ffi->new("uint64_t[$room]");
        self::$room = $room;
        self::$count = 0;
        self::rehearse($read);
        $isAsync = function_exists('pcntl_async_signals') &&
            pcntl_async_signals(false);
        self::pause();
        $error = $ffi->cop_keys(
            $read,
            $prefix,
            strlen($prefix),
            self::$visitor->visit,
            null,
        );
        self::resume();
        if ($isAsync) {
            pcntl_async_signals(true);
        }
        return $error;
    }

    private static function pause(): void
    {
        $limit = (int) ini_get('max_execution_time');
        if ($limit !== self::$limit) { /* somebody has set it */
            self::$end = self::cpuTime() + $limit;
        }
        self::$limit = $limit;
        if ($limit > 0) {
            ini_set('max_execution_time', '0');
        }
    }

    private static function resume(): void
    {
        if (self::$limit > 0) {
            $left = (int) ceil(self::$end - self::cpuTime());
            self::$limit = max(1, $left);
            ini_set('max_execution_time', (string) self::$limit);
            if ($left <= 0) {
                trigger_error('Maximum execution time exceeded', E_USER_ERROR);
            }
        }
    }

    private static function cpuTime(): float
    {
        $usage = getrusage();
        return $usage['ru_utime.tv_sec'] + $usage['ru_stime.tv_sec'] +
            ($usage['ru_utime.tv_usec'] + $usage['ru_stime.tv_usec']) / 1e6;
    }

    /** Has on PHP's free lists what a call of the callback takes from them. */
    private static function rehearse(CData $read): void
    {
        $blocks = [];
        for ($i = 0; $i < 8; $i++) {
            $blocks[] = \FFI::addr(self::$ids);
        }
        self::take(null, $read, null);
    }

    /** FFI keeps what a callback is made of until the request ends: one. */
    private static function visitor(): CData
    {
        $visitor = self::ffi()->new('struct {
            int32_t (*visit)(void *user, cop_read *read,
                             const struct cop_entity *entity);
        }');
        $visitor->visit = self::take(...);
        return $visitor;
    }

    private static function take(?CData $user, CData $read, ?CData $entity): int
    {
        if ($entity !== null) {
            self::$ids[self::$count++] = $entity->id;
        }
        return self::$count === self::$room ? 1 : 0;
    }
}
