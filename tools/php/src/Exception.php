<?php
/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * What the store could not do: a class for each of the library's errors.  The
 * message says what, why, and what to do; getCode() is the library's number.
 */

declare(strict_types=1);

namespace Coppice;

/** Every error of the store's.  LMDB's own have no class but this one. */
class Exception extends \RuntimeException
{
    private const CLASSES = [
        -31000 => InvalidException::class,
        -31001 => BadKeyException::class,
        -31002 => BadVectorException::class,
        -31003 => BadTextException::class,
        -31004 => TooLargeException::class,
        -31005 => DanglingException::class,
        -31006 => NoNameException::class,
        -31007 => NotAStoreException::class,
        -31008 => VersionException::class,
        -31009 => CorruptException::class,
        -31010 => NoSpaceException::class,
        -31011 => BusyException::class,
        -31012 => MovedException::class,
        -31013 => StalledException::class,
        -31014 => ForkedException::class,
        -31015 => DeniedException::class,
        -31016 => ConflictException::class,
        -31017 => UnknownException::class,
        -31018 => TooOldException::class,
        -31019 => ForeignException::class,
        -31020 => ExistsException::class,
        -31021 => StoppedException::class,
        -31022 => ReadOnlyException::class,
    ];

    /** @internal The exception of an error's class. */
    public static function of(int $error, string $message): self
    {
        $class = self::CLASSES[$error] ??
            ($error > 0 ? SystemException::class : self::class);
        return new $class($message, $error);
    }
}

/** The request is at fault: it cannot be carried out in any store's state. */
class RequestException extends Exception
{
}

/** An argument is out of its range. */
class InvalidException extends RequestException
{
    public function __construct(
        string $message,
        int $code = -31000,
        ?\Throwable $previous = null,
    ) {
        parent::__construct($message, $code, $previous);
    }
}

/** A key is empty or over 480 bytes. */
class BadKeyException extends RequestException
{
}

/**
 * A vector of another dimension, with NaN or an infinity, or zero where the
 * metric is cosine.
 */
class BadVectorException extends RequestException
{
}

/** Text is not UTF-8, or a name is empty. */
class BadTextException extends RequestException
{
}

/** Something is over a limit. */
class TooLargeException extends RequestException
{
}

/** An entity that must be there is not. */
class DanglingException extends RequestException
{
}

/** The store has no such relation. */
class NoNameException extends RequestException
{
}

/** There is no entity of this key, to set out from. */
class NotFoundException extends RequestException
{
}

/** The folder is not a store. */
class NotAStoreException extends Exception
{
}

/** The store is of a format that this library does not read. */
class VersionException extends Exception
{
}

/** Bytes on disk or in memory make no sense. */
class CorruptException extends Exception
{
}

/** The disk, shared memory or the map size is full. */
class NoSpaceException extends Exception
{
}

/** Something was not had in time. */
class BusyException extends Exception
{
}

/** The segment was replaced. */
class MovedException extends Exception
{
}

/** An old snapshot holds too much memory back. */
class StalledException extends Exception
{
}

/** A snapshot or a write of the parent process. */
class ForkedException extends Exception
{
}

/** No permission for what attaching needs. */
class DeniedException extends Exception
{
}

/** Another commit came between: look again, and try again. */
class ConflictException extends Exception
{
}

/** Whether the commit took place is not known. */
class UnknownException extends Exception
{
}

/** History is not kept that far back. */
class TooOldException extends Exception
{
}

/** Another segment serves this store now. */
class ForeignException extends Exception
{
}

/** There is something already. */
class ExistsException extends Exception
{
}

/** It was stopped. */
class StoppedException extends Exception
{
}

/** The store's folder cannot be written. */
class ReadOnlyException extends Exception
{
}

/** An error of the operating system; getCode() is its errno. */
class SystemException extends Exception
{
}

/** The store, the snapshot or the write was closed before. */
class ClosedException extends \LogicException
{
}
