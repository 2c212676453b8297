<?php
/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * What a call needs in C's memory until it is over.
 *
 * lifetimes
 *     A field of a C struct does not hold what it points to: FFI frees an array
 *     with the last PHP variable that has it.  So a Scratch keeps all arrays of
 *     one call, in a variable of the function that makes the call.
 */

declare(strict_types=1);

namespace Coppice;

use FFI\CData;

/** @internal */
final class Scratch
{
    private const NESTING = 32;
    private const TEXT_BYTES = 16777216;
    private const FOREVER = PHP_INT_MAX;

    /** @var list<CData> */
    private array $kept = [];

    /** An array of zeros, at least one. */
    public function array(string $type, int $count): CData
    {
        $count = max(1, $count);
        return $this->kept[] = Library::ffi()->new("{$type}[$count]");
    }

    /** The address of such an array, for a field or an argument. */
    public function pointer(string $type, CData $array): CData
    {
        return Library::ffi()->cast("$type *", $array);
    }

    /** A copy with a NUL behind it. */
    public function text(?string $text): ?CData
    {
        if ($text === null) {
            return null;
        }
        $size = strlen($text);
        $copy = $this->array('char', $size + 1);
        \FFI::memcpy($copy, $text, $size);
        return $this->pointer('char', $copy);
    }

    /**
     * Names that end in NUL each, for `const char *const *`.
     *
     * @param array<string> $names
     */
    public function names(string $what, array $names): ?CData
    {
        if ($names === []) {
            return null;
        }
        $array = $this->array('const char *', count($names));
        foreach (array_values($names) as $i => $name) {
            if (!is_string($name)) {
                throw new InvalidException("$what is a " .
                    get_debug_type($name) . '; a string is wanted');
            }
            $array[$i] = $this->text(Library::name($what, $name));
        }
        return $this->pointer('const char *', $array);
    }

    /**
     * float32 of a list of numbers, or of what pack('f*') made.
     *
     * @return array{CData, int} the address, and how many
     */
    public function floats(array|string $vector): array
    {
        if (is_array($vector)) {
            $vector = self::packed($vector);
        }
        $count = intdiv(strlen($vector), 4);
        if (strlen($vector) % 4 !== 0) {
            throw new BadVectorException('a packed vector of ' .
                strlen($vector) . ' bytes is no float32 each 4', -31002);
        }
        $floats = $this->array('float', $count);
        \FFI::memcpy($floats, $vector, 4 * $count);
        return [$this->pointer('float', $floats), $count];
    }

    private static function packed(array $vector): string
    {
        if (count($vector) > 65536) {
            throw new BadVectorException('a vector of ' . count($vector) .
                ' numbers; 4096 are the most', -31002);
        }
        foreach ($vector as $i => $number) {
            if (!is_int($number) && !is_float($number)) {
                throw new BadVectorException("number $i of a vector is a " .
                    get_debug_type($number), -31002);
            }
        }
        return $vector === [] ? '' : pack('f*', ...array_values($vector));
    }

    /**
     * Properties, for `const struct cop_property *`.
     *
     * @return array{?CData, int} the address, and how many
     */
    public function properties(
        array|\stdClass $properties,
        int $depth = 0,
    ): array {
        $properties = (array) $properties;
        if ($properties === []) {
            return [null, 0];
        }
        $count = count($properties);
        $array = $this->array('struct cop_property', $count);
        $i = 0;
        foreach ($properties as $name => $value) {
            $name = (string) $name;
            $array[$i]->name = $this->text($name);
            $array[$i]->name_size = strlen($name);
            $this->value($array[$i]->value, $value, $depth);
            $i++;
        }
        return [$this->pointer('struct cop_property', $array), $count];
    }

    private function value(CData $out, mixed $value, int $depth): void
    {
        if ($value === null) {
            $out->kind = 0;
        } elseif (is_bool($value)) {
            $out->kind = 1;
            $out->integer = (int) $value;
        } elseif (is_int($value)) {
            $out->kind = 2;
            $out->integer = $value;
        } elseif (is_float($value)) {
            $out->kind = 3;
            $out->real = $value;
        } elseif (is_string($value)) {
            $this->string($out, $value);
        } elseif ($depth > self::NESTING) {
            throw new TooLargeException('lists and maps inside one another ' .
                'are over ' . self::NESTING . ' deep', -31004);
        } elseif (is_array($value) && array_is_list($value)) {
            $this->list($out, $value, $depth + 1);
        } elseif (is_array($value) || $value instanceof \stdClass) {
            $out->kind = 6;
            [$data, $out->count] = $this->properties($value, $depth + 1);
            $out->data = $data;
        } else {
            throw new InvalidException('a property cannot be a ' .
                get_debug_type($value) . '; there are null, bool, int, ' .
                'float, string, and arrays of these');
        }
    }

    private function string(CData $out, string $value): void
    {
        if (strlen($value) > self::TEXT_BYTES) {
            throw new TooLargeException('a text of over 16 MiB; content may ' .
                'be larger', -31004);
        }
        $out->kind = 4;
        $out->count = strlen($value);
        $out->data = $this->text($value);
    }

    private function list(CData $out, array $list, int $depth): void
    {
        $array = $this->array('struct cop_value', count($list));
        foreach ($list as $i => $value) {
            $this->value($array[$i], $value, $depth);
        }
        $out->kind = 5;
        $out->count = count($list);
        $out->data = $this->pointer('struct cop_value', $array);
    }

    /**
     * When an edge or a tag is valid: [from, to], null for ever.
     */
    public function validity(?array $valid): ?CData
    {
        if ($valid === null) {
            return null;
        }
        if (!array_is_list($valid) || count($valid) !== 2) {
            throw new InvalidException('a validity is [from, to]');
        }
        $array = $this->array('struct cop_validity', 1);
        self::instant($array[0]->from, $valid[0] ?? -self::FOREVER - 1);
        self::instant($array[0]->to, $valid[1] ?? self::FOREVER);
        return $this->pointer('struct cop_validity', $array);
    }

    /** Seconds since 1970, or a date. */
    public static function instant(CData $out, mixed $when): void
    {
        if ($when instanceof \DateTimeInterface) {
            $out->seconds = $when->getTimestamp();
            $out->nanos = 1000 * (int) $when->format('u');
        } elseif (is_int($when)) {
            $out->seconds = $when;
        } elseif (is_float($when) && abs($when) < 9e15) {
            $out->seconds = (int) floor($when);
            $out->nanos = (int) min(999999999, ($when - floor($when)) * 1e9);
        } else {
            throw new InvalidException('a time is a date, or seconds since ' .
                '1970, not ' . get_debug_type($when));
        }
    }
}
