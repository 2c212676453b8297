// SPDX-License-Identifier: Apache-2.0
/**
 * Feeds every function of the addon, past the package, with arguments of which
 * up to two are junk: wrong types, closed handles, arrays whose memory is gone,
 * getters that close what the call is about.  It ends, or the addon crashes.
 *
 *	NODE_PATH=build/release/node node --expose-gc junk.js FOLDER [CALLS]
 *
 * SEED repeats a run.
 */
'use strict';

const coppice = require('coppice');
const native = require('coppice/coppice.node');

const folder = process.argv[2];
const calls = Number(process.argv[3] ?? 20000);
const seed = Number(process.env.SEED ?? Date.now() % 1000000);
const path = `${folder}/junk`;
let state = seed;

/** A whole number below `n`. */
function chance(n) {
	state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
	return Math.floor(state / 4294967296 * n);
}

const STORE = 1;
const READ = 2;
const WRITE = 4;
const handles = [];

/** One that is open, or was closed a short while ago. */
function handle(kinds = STORE | READ | WRITE) {
	const fit = handles.filter((one) => one.kind & kinds);
	if (fit.length > 3 && chance(4))
		return fit[chance(fit.length)].value;
	const kind = [STORE, READ, WRITE].find((one) => one & kinds);
	const store = native.open(path, 0, null);
	const value = kind === STORE ? store
		: kind === READ ? native.readBegin(store)
			: native.writeBegin(store);
	if (kind !== STORE)
		native.close(store);
	handles.push({ kind, value });
	// the oldest is closed, or left to the collector
	if (handles.length > 24)
		chance(2) ? native.close(handles.shift().value)
			: handles.shift();
	return value;
}

function retire() {
	native.close(handles[chance(handles.length)].value);
}

const vector = () =>
	Float32Array.from({ length: 4 }, () => chance(100) / 50 - 1);
const taken = (array) => {
	structuredClone(array, { transfer: [array.buffer] });
	return array;
};
const circle = [];
circle[0] = circle;

const JUNK = [
	undefined, null, true, false, 0, 1, -1, 3, 4294967295, 4294967296,
	1e300, NaN, Infinity, -Infinity, 0.5, 9007199254740993, 5n, 2n ** 64n,
	Symbol('junk'), '', 'k1', 'a\0b', '\ud800', 'x'.repeat(481),
	'x'.repeat(100000), '😀', Buffer.from([255, 0]), Buffer.alloc(0),
	new Float32Array(0), new Float32Array(3), new Float32Array(8).fill(1),
	Float32Array.of(NaN, 1, 1, 1), new Float64Array(4), new Int8Array(4),
	new Float32Array(new SharedArrayBuffer(16)).fill(1),
	new Uint8Array(new SharedArrayBuffer(16)),
	new DataView(new ArrayBuffer(8)), new ArrayBuffer(8), [], [1, 2, 3, 4],
	['a', 'b'], ['a', 1], [['a', [null]]], new Array(5),
	Object.assign([], { length: 4294967295 }), circle, { circle }, {},
	{ a: 1, b: 'x', c: [1, { d: null }], e: 1.5, f: true, g: 2n },
	{ a: 2n ** 65n }, { a: () => 1 }, { a: Symbol('junk') },
	{ a: new Date() }, new Date(), new Map(), /junk/, Promise.resolve(1),
	() => true, class {}, Object.create(null), globalThis,
	JSON.parse('{"__proto__": {"x": 1}, "": 2}'), new Proxy([], {}),
	new Proxy({}, {
		get: () => {
			throw new Error('trap');
		},
	}),
	{
		get a() {
			throw new Error('getter');
		},
	},
	() => {
		throw new Error('callback');
	},
];
const BITES = [
	() => taken(vector()),
	() => taken(new Uint8Array(10)),
	() => handle(),
	() => new Proxy(handle(), {}),
	() => ({
		get a() {
			retire();
			return 1;
		},
	}),
	() => Object.defineProperty([], 0, {
		get: () => {
			retire();
			return 'a';
		},
	}),
	() => () => {
		retire();
		return true;
	},
	() => () => native.get(handle(READ), 'k1', 0, 0),
];

const junk = () => {
	const which = chance(JUNK.length + BITES.length);
	return which < JUNK.length ? JUNK[which] : BITES[which - JUNK.length]();
};

const key = () => `k${chance(50)}`;
const any = STORE | READ;
const GOOD = {
	setup: () => [coppice.CoppiceError],
	close: () => [handle()],
	create: () => [path, 3, 1, 0, 0, 0o600, 0, null, 0, 0, 0, 0, 0, 0, 0, 0,
		0, 0, 0],
	detach: () => [path],
	open: () => [path, 0, null],
	dim: () => [handle(any)],
	metric: () => [handle(STORE)],
	checkpoint: () => [handle(STORE)],
	compact: () => [handle(STORE)],
	maintain: () => [handle(STORE), 1, 10],
	readBegin: () => [handle(STORE)],
	readCommit: () => [handle(READ)],
	readAsOf: () => [handle(READ), chance(30)],
	readCommitAt: () => [handle(READ), Date.now()],
	readValidAt: () => [handle(READ), Date.now()],
	has: () => [handle(any), key()],
	key: () => [handle(any), chance(60)],
	get: () => [handle(any), key(), 1, 1],
	content: () => [handle(any), key()],
	contentRead: () => [handle(any), key(), chance(10), chance(100)],
	vector: () => [handle(any), key()],
	keys: () => [handle(any), 'k', 0],
	select: () => [handle(any), 't', ['a'], null, null, 'k', 3],
	stat: () => [handle(any)],
	search: () => [handle(any), vector(), 5, chance(2) ? 't' : null,
		chance(2) ? ['a'] : null, chance(2), chance(2) ? 'k' : null,
		chance(2) ? key() : null, 1, 3, chance(2), chance(2) ? 1 : null,
		key(), chance(6), 0, 1, chance(3) ? null : () => chance(2)],
	searchMany: () => [handle(any), new Float32Array(8).fill(1), 5, null,
		['a'], 0, 'k', null, 1, 3, 0, null, null, 0, 0, 2],
	walk: () => [handle(any), key(), 2, 'r', 3, null, null, 100, 1],
	path: () => [handle(any), key(), key(), 0, null, 3,
		chance(2) ? 'w' : null],
	neighbors: () => [handle(any), key(), null, 3, 5],
	edges: () => [handle(any), key(), 3, 5],
	writeBegin: () => [handle(STORE)],
	writeLength: () => [handle(WRITE)],
	put: () => [handle(WRITE), key(), 't', ['a'], { n: 1 }, 'content',
		vector(), 0, 0],
	putVector: () => [handle(WRITE), key(), vector()],
	delete: () => [handle(WRITE), key()],
	undelete: () => [handle(WRITE), key(), chance(5)],
	expect: () => [handle(WRITE), key(), chance(5)],
	tag: () => [handle(WRITE), key(), 'b', 0, Infinity],
	untag: () => [handle(WRITE), key(), 'b'],
	link: () => [handle(WRITE), key(), 'r', key(), 0, { w: 1 }, null, null,
		chance(3)],
	unlink: () => [handle(WRITE), key(), 'r', key(), 0, null, null, null,
		0],
	commit: () => [handle(WRITE), chance(2), 0],
};
const SLOW = new Set(['create', 'detach', 'checkpoint', 'compact', 'maintain']);

const codes = new Map();
const pending = new Set();

function note(error) {
	const name = error instanceof Error ? error.code ?? error.message
		: `no error: ${String(error)}`;
	codes.set(name, (codes.get(name) ?? 0) + 1);
}

function once(name) {
	const given = GOOD[name]();
	for (let count = chance(4) - 1; count > 0; count--)
		given[chance(given.length)] = junk();
	if (chance(50) === 0)
		given.length = chance(given.length);
	try {
		const promise = native[name](...given);
		if (promise instanceof Promise) {
			pending.add(promise);
			promise.catch(note).finally(() =>
				pending.delete(promise));
		}
	} catch (error) {
		note(error);
	}
	if (name === 'setup')
		native.setup(coppice.CoppiceError);
}

async function main() {
	coppice.create(path, { dim: 4 });
	const store = coppice.open(path);
	await store.write((tx) => {
		for (let i = 0; i < 50; i++) {
			tx.put(`k${i}`, {
				type: 't', tags: 'a', properties: { n: i },
				content: `content ${i}`, vector: [1, i, 0, 0],
			});
			tx.link(`k${i}`, 'r', `k${chance(i)}`,
				{ properties: { w: i } });
		}
	});
	const names = Object.keys(native)
		.filter((name) => typeof native[name] === 'function');
	console.log(`# SEED=${seed}`);
	for (let i = 0; i < calls; i++) {
		const name = names[chance(names.length)];
		if (!SLOW.has(name) || chance(50) === 0)
			once(name);
		if (i % 200 === 0)
			await new Promise(setImmediate);
		if (i % 5000 === 0)
			global.gc();
	}
	await Promise.allSettled(pending);
	const wanted =
		/^(COP|ERR)_|^E[A-Z]+$|^(trap|getter|callback|Class .*)$/;
	const odd = [...codes.keys()].filter((name) => !wanted.test(name));
	console.log(`${odd.length ? 'not ok' : 'ok'} - junk is refused: ${
		[...codes.values()].reduce((sum, count) => sum + count, 0)
	} errors of ${codes.size} kinds`);
	for (const name of odd)
		console.log(`# ${name}`);
	await store.write((tx) => tx.put('end'));
	console.log(`${store.has('end') ? 'ok' : 'not ok'
	} - and the store serves on`);
	for (const { value } of handles)
		native.close(value);
	store.close();
	process.exitCode = odd.length ? 1 : 0;
}

main();
