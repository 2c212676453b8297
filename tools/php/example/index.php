<?php
/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The example service: entities, searches and additions over HTTP, JSON in and
 * out.  nginx hands every request to this file; see README.md beside.
 *
 *     GET  /entity?key=K
 *     GET  /search?q=TEXT&k=10&type=T&tag=T    by words
 *     POST /search    {"vector":[..],"k":10,"type":..,"tag":..}
 *     POST /add       {"key":..,"type":..,"tags":[..],"properties":{..},
 *                      "content":"text","vector":[..],
 *                      "edges":[{"relation":..,"target":..}]}
 *
 * The store's folder is in COPPICE_STORE.  A worker of php-fpm keeps it open
 * from one request to the next.
 */

declare(strict_types=1);

use Coppice\{Exception, RequestException, Snapshot, Store, Write};

if (!class_exists(Store::class)) { /* not preloaded */
    require __DIR__ . '/../Coppice.php';
}

const K_MAX = 1000;
const NEIGHBORS_MAX = 100;
const WORD_ENTITIES = 8;
const BODY_BYTES = 24 << 20;

/** An answer that is not 200. */
final class Refusal extends \Exception
{
}

/* ---- what a request says ------------------------------------------------ */

function argument(string $name): ?string
{
    $value = $_GET[$name] ?? null;
    if ($value !== null && !is_string($value)) {
        throw new Refusal("$name is there twice", 400);
    }
    return $value;
}

function body(): stdClass
{
    if ((int) ($_SERVER['CONTENT_LENGTH'] ?? 0) > BODY_BYTES) {
        throw new Refusal('a body of over ' . BODY_BYTES . ' bytes', 413);
    }
    $body = json_decode((string) file_get_contents('php://input'));
    if (!$body instanceof stdClass) {
        throw new Refusal(
            'the body is no JSON object: ' . json_last_error_msg(),
            400,
        );
    }
    return $body;
}

/** A member of a body, of the kind that is wanted, or null. */
function member(stdClass $body, string $name, string $kind): mixed
{
    $kinds = ['string' => 'string', 'list' => 'array', 'object' => 'stdClass'];
    $value = $body->$name ?? null;
    if ($value !== null && get_debug_type($value) !== $kinds[$kind]) {
        throw new Refusal("'$name' is no $kind", 400);
    }
    return $value;
}

function required(stdClass $body, string $name): string
{
    return member($body, $name, 'string') ??
        throw new Refusal("'$name' is missing", 400);
}

function hits_wanted(mixed $k): int
{
    if (is_string($k) && ctype_digit($k) && strlen($k) < 10) {
        $k = (int) $k;
    }
    if (!is_int($k) || $k < 1 || $k > K_MAX) {
        throw new Refusal('k is a number from 1 to ' . K_MAX, 400);
    }
    return $k;
}

/* ---- the endpoints ------------------------------------------------------ */

function get_entity(Store $store): array
{
    $key = argument('key') ?? throw new Refusal('which key?', 400);
    $snapshot = $store->snapshot();
    $entity = $snapshot[$key] ??
        throw new Refusal("there is no entity '$key'", 404);
    $around = [];
    foreach ($snapshot->neighbors(
        $key,
        direction: 'both',
        limit: NEIGHBORS_MAX,
    ) as $near) {
        $around[] = [
            'key' => $near->key,
            'relation' => $near->relation,
            'direction' => $near->direction,
        ];
    }
    return [
        'key' => $entity->key,
        'type' => $entity->type,
        'tags' => $entity->tags(),
        'properties' => (object) $entity->properties(),
        'content' => $entity->content(),
        'neighbors' => $around,
    ];
}

/** The mean of the vectors of what the words name, null if nothing has one. */
function mean_of(Snapshot $snapshot, string $text): ?array
{
    $sum = null;
    $count = 0;
    preg_match_all('/[\p{L}\p{N}_\'-]+/u', strtolower($text), $words);
    foreach (array_unique($words[0]) as $word) {
        $found = 0;
        foreach ($snapshot->entities("$word.", 1000) as $entity) {
            $vector = $entity->vector();
            if ($vector !== null) {
                $sum = $sum === null
                    ? $vector
                    : array_map(fn ($a, $b) => $a + $b, $sum, $vector);
                $count++;
                $found++;
            }
            if ($found === WORD_ENTITIES) {
                break;
            }
        }
    }
    return $sum === null
        ? null
        : array_map(fn ($number) => $number / $count, $sum);
}

function hits(
    Snapshot $snapshot,
    array $vector,
    int $k,
    ?string $type,
    ?string $tag,
): array {
    $hits = [];
    foreach ($snapshot->search($vector, $k, $type, $tag) as $hit) {
        $hits[] = [
            'key' => $hit->key,
            'distance' => $hit->distance,
            'properties' =>
                (object) $snapshot->get($hit->key)?->properties(),
        ];
    }
    return ['hits' => $hits];
}

function get_search(Store $store): array
{
    $text = argument('q') ?? throw new Refusal('what to search for? q=', 400);
    $k = hits_wanted(argument('k') ?? 10);
    $snapshot = $store->snapshot();
    $vector = mean_of($snapshot, $text);
    return $vector
        ? hits($snapshot, $vector, $k, argument('type'), argument('tag'))
        : ['hits' => []];
}

function post_search(Store $store): array
{
    $body = body();
    return hits(
        $store->snapshot(),
        member($body, 'vector', 'list') ??
            throw new Refusal("'vector' is missing", 400),
        hits_wanted($body->k ?? 10),
        member($body, 'type', 'string'),
        member($body, 'tag', 'string'),
    );
}

function post_add(Store $store): array
{
    $body = body();
    $key = required($body, 'key');
    return ['commit' => $store->write(function (Write $tx) use ($body, $key) {
        $tx->put(
            $key,
            member($body, 'properties', 'object') ?? [],
            type: member($body, 'type', 'string'),
            tags: member($body, 'tags', 'list') ?? [],
            content: member($body, 'content', 'string'),
            vector: member($body, 'vector', 'list'),
        );
        foreach (member($body, 'edges', 'list') ?? [] as $edge) {
            if (!$edge instanceof stdClass) {
                throw new Refusal('an edge is no object', 400);
            }
            $tx->link(
                $key,
                required($edge, 'relation'),
                required($edge, 'target'),
                member($edge, 'properties', 'object') ?? [],
            );
        }
    })];
}

/* ---- a request ---------------------------------------------------------- */

function answer(int $status, array $what): void
{
    $text = json_encode($what, JSON_INVALID_UTF8_SUBSTITUTE |
        JSON_PRESERVE_ZERO_FRACTION | JSON_UNESCAPED_UNICODE |
        JSON_UNESCAPED_SLASHES | JSON_THROW_ON_ERROR) . "\n";
    header('Content-Type: application/json', true, $status);
    /* Without it an answer that is cut off by a death looks whole. */
    header('Content-Length: ' . strlen($text));
    header('X-Worker: ' . getmypid());
    echo $text;
}

/** After an error that PHP does not go on after: too much memory, mostly. */
function answer_fatal(): void
{
    $error = error_get_last();
    if ($error === null || headers_sent() || $error['type'] !== E_ERROR) {
        return;
    }
    if (str_starts_with($error['message'], 'Allowed memory size')) {
        answer(413, ['error' => 'it takes more memory than a request may']);
    } else {
        answer(500, ['error' => 'see the log']);
    }
}

function handle(string $method, string $path): array
{
    $endpoints = [
        '/entity' => ['GET' => get_entity(...)],
        '/search' => ['GET' => get_search(...), 'POST' => post_search(...)],
        '/add' => ['POST' => post_add(...)],
    ];
    $methods = $endpoints[$path] ?? throw new Refusal('no such place', 404);
    if (!isset($methods[$method])) {
        header('Allow: ' . implode(', ', array_keys($methods)));
        throw new Refusal("$method is not for $path", 405);
    }
    $folder = getenv('COPPICE_STORE') ?:
        throw new Refusal('COPPICE_STORE is not set', 503);
    return $methods[$method](Store::open($folder, persistent: true));
}

register_shutdown_function(answer_fatal(...));
try {
    answer(200, handle(
        $_SERVER['REQUEST_METHOD'],
        (string) parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH),
    ));
} catch (Refusal $refusal) {
    answer($refusal->getCode(), ['error' => $refusal->getMessage()]);
} catch (RequestException $error) {
    answer(400, ['error' => $error->getMessage()]);
} catch (Exception $error) {
    answer(503, ['error' => $error->getMessage()]);
} catch (Throwable $error) { /* a fault of this file's */
    error_log((string) $error);
    answer(500, ['error' => 'see the log']);
}
