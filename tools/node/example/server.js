// SPDX-License-Identifier: Apache-2.0
/**
 * Questions and answers over a store, by a cluster of workers.
 *
 *	COPPICE_STORE=/srv/kg PORT=8080 WORKERS=4 node server.js
 *
 * with the package installed, or NODE_PATH=build/release/node.
 *
 * GET  /search?q=TEXT	entities near the mean of what the words of TEXT stand
 *			for; also k, type, tag
 * POST /search		{"vector": [..], "k": 10, "type": .., "tag": ..}
 * GET  /entity?key=K	an entity and its neighbours
 * POST /add		{"key": .., "type": .., "tags": [..],
 *			 "properties": {..}, "content": "..", "vector": [..],
 *			 "edges": [{"relation": .., "target": ..}]}
 *
 * Each worker opens the store and searches the one shared copy.  One that dies
 * is replaced.  SIGHUP to the primary: new workers take over, the old ones end
 * when they have answered.  SIGTERM: all do.
 */
'use strict';

const cluster = require('node:cluster');
const http = require('node:http');
const net = require('node:net');

const coppice = require('coppice');

const WORKERS = Number(process.env.WORKERS ?? 4);
const HOST = process.env.HOST ?? '127.0.0.1';
const PORT = Number(process.env.PORT ?? 8080);

const SENSES = 8; // of a word, that count
const NEIGHBORS = 100; // shown of an entity
const K_MAX = 1000;
const BODY_BYTES = 16 << 20;
const RESTART_MS = 1000; // before one that never served is tried again
const GRACE_MS = 10000; // for the last answers of a worker
const IDLE_MS = 60000; // of a connection, in the middle of a request

// ---- the primary ------------------------------------------------------------

/**
 * The primary accepts, and hands connections to workers in turn.  It keeps each
 * until the worker says that it has it: what was on its way to one that is
 * killed goes to another, and while none is there, connections wait.  The ways
 * of Node.js itself do less: SCHED_RR leaves such a connection hanging,
 * SCHED_NONE closes the socket with the last worker.
 */
function lead() {
	let crew = new Set(); // they serve
	let next = null; // they are to take over
	let isWanted = false; // one more reload, after that under way
	let isStopping = false;
	const waiting = []; // connections
	let count = 0; // of those handed on

	function hand() {
		const ready = [...crew].filter((worker) => worker.isReady);
		while (ready.length && waiting.length) {
			const connection = waiting.shift();
			const worker = ready[++count % ready.length];
			worker.handed.set(count, connection);
			worker.send(count, connection, { keepOpen: true },
				() => {});
		}
	}

	function hear(worker, set, message) {
		if (message === 'ready') {
			worker.isReady = true;
			takeOver();
			hand();
		} else if (message === 'leaving') {
			if (set.has(worker))
				hire(set);
			dismiss(set, worker);
		} else {
			worker.handed.get(message).destroy();
			worker.handed.delete(message);
		}
	}

	/**
	 * What a worker that is gone did not get, when all has been heard that
	 * it said.  ('disconnect' does not come while connections are queued.)
	 */
	function recover(worker) {
		if (worker.isConnected()) {
			setTimeout(recover, 1, worker);
			return;
		}
		waiting.unshift(...worker.handed.values());
		worker.handed.clear();
		hand();
	}

	function hire(set) {
		if (isStopping || (set !== crew && set !== next))
			return;
		const worker = cluster.fork();
		worker.handed = new Map();
		set.add(worker);
		worker.on('message', (message) =>
			hear(worker, set, message));
		worker.once('exit', () => {
			if (set.delete(worker))
				setTimeout(hire, worker.isReady ? 0
					: RESTART_MS, set);
			recover(worker);
		});
	}

	function dismiss(set, worker) {
		if (!set.delete(worker))
			return;
		if (worker.isConnected())
			worker.disconnect();
		const timer = setTimeout(() => worker.process.kill('SIGKILL'),
			GRACE_MS);
		worker.once('exit', () => clearTimeout(timer));
	}

	function dismissAll(set) {
		for (const worker of set)
			dismiss(set, worker);
	}

	function takeOver() {
		if (!next || next.size < WORKERS ||
				![...next].every((worker) => worker.isReady))
			return;
		const old = crew;
		crew = next;
		next = null;
		dismissAll(old);
		if (isWanted)
			reload();
	}

	function reload() {
		isWanted = next !== null;
		if (isWanted || isStopping)
			return;
		next = new Set();
		for (let i = 0; i < WORKERS; i++)
			hire(next);
	}

	const server = net.createServer({ pauseOnConnect: true },
		(connection) => {
			connection.on('error', () => {});
			waiting.push(connection);
			hand();
		});

	function stop() {
		isStopping = true;
		server.close();
		dismissAll(crew);
		dismissAll(next ?? new Set());
		for (const connection of waiting)
			connection.destroy();
	}

	process.on('SIGHUP', reload);
	process.on('SIGTERM', stop);
	process.on('SIGINT', stop);
	server.listen(PORT, HOST);
	for (let i = 0; i < WORKERS; i++)
		hire(crew);
}

// ---- a worker: questions ----------------------------------------------------

/** A request that is at fault: a status and why. */
class Refused extends Error {
	constructor(status, why) {
		super(why);
		this.status = status;
	}
}

let store;

/** The mean of the vectors of all senses of a text's words, or null. */
function meanOf(snapshot, text) {
	const mean = new Float32Array(snapshot.dim);
	let count = 0;
	for (const word of text.toLowerCase().split(/\s+/).filter(Boolean)) {
		let senses = 0;
		for (const key of snapshot.keys(`${word}.`)) {
			const vector = snapshot.vector(key);
			if (vector === null)
				continue;
			vector.forEach((number, i) => {
				mean[i] += number;
			});
			count++;
			if (++senses === SENSES)
				break;
		}
	}
	return count ? mean.map((sum) => sum / count) : null;
}

function search(vector, k, type, tag, snapshot) {
	if (!(Number.isInteger(k) && k >= 1 && k <= K_MAX))
		throw new Refused(400, `k is a number from 1 to ${K_MAX}`);
	const hits = vector === null ? []
		: snapshot.search(vector, { k, type, tag });
	return {
		hits: hits.map(({ key, distance }) => ({
			key: String(key),
			distance,
			properties: snapshot.get(key).properties,
		})),
	};
}

function searchWords(request, query) {
	const k = query.get('k') ?? '10';
	return store.read((snapshot) => search(
		meanOf(snapshot, query.get('q') ?? ''),
		/^\d+$/.test(k) ? Number(k) : NaN,
		query.get('type'), query.get('tag'), snapshot));
}

async function searchVector(request) {
	const { vector, k = 10, type, tag } = await bodyOf(request);
	if (!Array.isArray(vector))
		throw new Refused(400, 'vector is missing, or no array');
	return store.read((snapshot) => search(vector, k, type, tag, snapshot));
}

function entity(request, query) {
	const key = query.get('key');
	if (!key)
		throw new Refused(400, 'key is missing: /entity?key=...');
	return store.read((snapshot) => {
		const found = snapshot.get(key, { content: true });
		if (found === null)
			throw new Refused(404, 'there is no such entity');
		return {
			key,
			type: found.type,
			tags: found.tags,
			properties: found.properties,
			content: found.content && String(found.content),
			neighbors: snapshot.neighbors(key, {
				direction: 'both', limit: NEIGHBORS,
			}).map((near) => ({ ...near, key: String(near.key) })),
		};
	});
}

async function add(request) {
	const {
		key, type, tags, properties, content, vector, edges,
	} = await bodyOf(request);
	if (typeof key !== 'string')
		throw new Refused(400, 'key is missing, or no string');
	if (!Array.isArray(edges ?? []))
		throw new Refused(400, 'edges are no array');
	const commit = await store.write((tx) => {
		tx.put(key, { type, tags, properties, content, vector });
		for (const edge of edges ?? [])
			tx.link(key, edge?.relation, edge?.target);
	});
	return { commit };
}

// ---- a worker: HTTP ---------------------------------------------------------

const ROUTES = {
	'/search': { GET: searchWords, POST: searchVector },
	'/entity': { GET: entity },
	'/add': { POST: add },
};

/** What the request is at fault for; for all else the store is. */
const FAULTS = new Set(['COP_INVALID', 'COP_BAD_KEY', 'COP_BAD_VECTOR',
	'COP_BAD_TEXT', 'COP_TOO_LARGE', 'COP_DANGLING', 'COP_NO_NAME',
	'ERR_INVALID_ARG_TYPE', 'ERR_INVALID_ARG_VALUE', 'ERR_OUT_OF_RANGE']);

async function bodyOf(request) {
	const chunks = [];
	let size = 0;
	for await (const chunk of request) {
		size += chunk.length;
		if (size > BODY_BYTES)
			throw new Refused(413,
				`a body of over ${BODY_BYTES} bytes`);
		chunks.push(chunk);
	}
	let body;
	try {
		body = JSON.parse(new TextDecoder('utf-8', { fatal: true })
			.decode(Buffer.concat(chunks)));
	} catch (error) {
		throw new Refused(400, `the body is no JSON: ${error.message}`);
	}
	if (typeof body !== 'object' || body === null || Array.isArray(body))
		throw new Refused(400, 'the body is no JSON object');
	return body;
}

function statusOf(error) {
	if (error instanceof Refused)
		return error.status;
	if (FAULTS.has(error.code))
		return 400;
	return error instanceof coppice.CoppiceError ? 503 : 500;
}

/** JSON knows no integers of 64 bits. */
const plain = (name, value) =>
	typeof value === 'bigint' ? Number(value) : value;

function respond(response, status, body) {
	const text = Buffer.from(JSON.stringify(body, plain));
	const headers = {
		'Content-Type': 'application/json',
		'Content-Length': text.length,
		'X-Worker': process.pid,
	};
	// A worker that ends, or has not read it all, takes no more from it.
	if (cluster.worker.exitedAfterDisconnect || status === 413)
		headers.Connection = 'close';
	response.writeHead(status, headers);
	response.end(text);
}

async function answer(request, response) {
	try {
		const split = request.url.indexOf('?');
		const path = split < 0 ? request.url
			: request.url.slice(0, split);
		const query = new URLSearchParams(
			split < 0 ? '' : request.url.slice(split));
		if (!Object.hasOwn(ROUTES, path))
			throw new Refused(404,
				'there are /search, /entity and /add');
		const methods = ROUTES[path];
		if (!Object.hasOwn(methods, request.method))
			throw new Refused(405, `it takes ${
				Object.keys(methods).join(', ')}`);
		respond(response, 200,
			await methods[request.method](request, query));
	} catch (error) {
		if (request.destroyed && !request.complete)
			return; // its client is gone
		const status = statusOf(error);
		if (status === 500)
			console.error(error);
		respond(response, status, { error: error.message });
	}
}

function work() {
	store = coppice.open(process.env.COPPICE_STORE, { name: 'node' });
	const server = http.createServer(answer);
	server.timeout = IDLE_MS;
	process.on('message', (number, connection) => {
		process.send(number); // before anything of it is read
		if (!connection)
			return; // its client is gone
		server.emit('connection', connection);
		connection.resume();
	});
	// Of a terminal they come to all; the primary says what to do then.
	process.on('SIGINT', () => {});
	process.on('SIGHUP', () => {});
	process.on('SIGTERM', () => process.send('leaving'));
	process.send('ready');
}

if (cluster.isPrimary)
	lead();
else
	work();
