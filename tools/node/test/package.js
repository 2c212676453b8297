// SPDX-License-Identifier: Apache-2.0
/**
 * The package: values, errors, lifetimes, threads.  Prints lines of TAP without
 * numbers; FOLDER is where stores are made.
 *
 *	NODE_PATH=build/release/node node --expose-gc package.js FOLDER
 */
'use strict';

const { isDeepStrictEqual: same, inspect } = require('node:util');
const { Worker, isMainThread, workerData } = require('node:worker_threads');

const coppice = require('coppice');

let isGood = true;

function ok(good, claim, ...remarks) {
	isGood &&= Boolean(good);
	console.log(`${good ? 'ok' : 'not ok'} - ${claim}`);
	for (const remark of good ? [] : remarks)
		console.log(`# ${inspect(remark)}`.replaceAll('\n', '\n# '));
}

function is(got, wanted, claim) {
	ok(same(got, wanted), claim, got, wanted);
}

/** The code of what a call throws, or what its promise is broken with. */
async function code(call) {
	try {
		return ['returned', await call()];
	} catch (error) {
		return error.code ?? error.message;
	}
}

const soon = () => new Promise((resolve) => setTimeout(resolve, 10));

async function collected(isDone) {
	for (let i = 0; i < 100 && !isDone(); i++) {
		global.gc();
		await soon();
	}
	return isDone();
}

async function valuesComeBackAsTheyWere(store) {
	const properties = {
		null: null, yes: true, no: false, int: -9007199254740991,
		big: -(2n ** 63n), zero: 0, minus: -0, float: 0.1, huge: 1e300,
		text: 'über \0 alles 😀', empty: '', list: [1, [2.5, []]],
		map: { a: { b: null } }, 7: 'index',
	};
	Object.defineProperty(properties, '__proto__', {
		value: { x: 1 }, enumerable: true, configurable: true,
		writable: true,
	});
	const content = Buffer.alloc(256000, Uint8Array.from(
		{ length: 256 }, (_, i) => i));
	const odd = Buffer.from([255, 0]);
	await store.write((tx) => {
		tx.put('one', {
			properties: { ...properties, not: undefined },
			type: 'kind', tags: ['b', 'a', 'b'], content,
			vector: [1, 2, 3],
		});
		tx.put(odd);
	});
	const entity = store.get('one', { content: true, vector: true });
	is(entity.properties, properties, 'properties come back');
	is([entity.type, [...entity.tags].sort()], ['kind', ['a', 'b']],
		'and type and tags');
	ok(entity.content.equals(content) && entity.contentSize === 256000,
		'and content');
	is(store.readContent('one', { offset: 255998, size: 10 }),
		Buffer.from([254, 255]), 'also in parts');
	is(entity.vector, Float32Array.of(1, 2, 3), 'and the vector');
	is(store.vector('one'), entity.vector, 'which can be had alone');
	ok(store.has(odd) && store.get(odd).key.equals(odd),
		'a key that is not UTF-8 is a Buffer');
	is(store.get('nobody'), null, 'what is not there is null');
	await store.write((tx) => tx.put('one', {
		properties: { fresh: 1 }, content: coppice.KEEP,
	}));
	is([store.content('one').length, store.vector('one').length],
		[256000, 3], 'what is to be kept is kept');
	await store.write((tx) => tx.put('one', { vector: null }));
	is([store.content('one'), store.vector('one'),
		store.get('one').properties], [null, null, {}],
	'and dropped what is to be dropped');
	await store.write((tx) => {
		tx.delete('one');
		tx.delete(odd);
	});
}

async function aGraphIsSearchedAndWalked(store) {
	const east = Float32Array.of(1, 0, 0);
	await store.write((tx) => {
		tx.put('ada', { type: 'person', tags: 'math', vector: east });
		tx.put('alan', {
			type: 'person', tags: ['math', 'logic'],
			vector: [0.8, 0.2, 0],
		});
		tx.put('grace', { type: 'admiral', vector: [0, 1, 0] });
		tx.link('ada', 'knows', 'grace', {
			properties: { weight: 2 },
			valid: [new Date(0), null],
		});
		tx.link('grace', 'knows', 'alan');
	});
	const keys = (list) => list.map((item) => item.key);
	is(keys(store.search(east)), ['ada', 'alan', 'grace'],
		'a search finds the nearest first');
	is(keys(store.search([0, 1, 0], { k: 1 })), ['grace'],
		'as many as asked');
	is(keys(store.search(east, { type: 'person', tag: ['math', 'logic'] })),
		['alan'], 'of a type, with tags');
	is(keys(store.search(east, { anyTag: ['logic', 'never'] })), ['alan'],
		'with any of them');
	is(keys(store.search(east, { prefix: 'a', exclude: 'ada' })), ['alan'],
		'by the beginnings of keys, without one');
	is(keys(store.search(east, { within: 'ada', hops: 1 })),
		['ada', 'grace'], 'near another one');
	is(store.search(east, { within: 'nobody' }), [], 'who must be there');
	is(keys(store.search(east, { threshold: 0.5, exact: true })),
		['ada', 'alan'], 'up to a distance');
	is(keys(store.search(east, {
		accept: (one) => one.type === 'admiral',
	})), ['grace'], 'and as a function says');
	const report = {};
	store.search(east, { strategy: 'scan', report });
	is([report.strategy, report.isComplete], ['scan', true],
		'it says how it went');
	is((await store.searchMany([east, [0, 1, 0]], { k: 1, threads: 2 }))
		.map(keys), [['ada'], ['grace']], 'many at once');
	is(await store.searchMany([]), [], 'or none');
	is(keys(store.walk('ada')), ['ada', 'grace', 'alan'], 'a walk');
	is(store.walk('alan', { hops: 1, direction: 'in' })[1], {
		key: 'grace', hops: 1, relation: 'knows', direction: 'in',
		origin: 0, id: store.get('grace').id,
	}, 'against the edges');
	is(store.walk('nobody'), [], 'from nowhere');
	is(keys(store.path('ada', 'alan')), ['ada', 'grace', 'alan'], 'a path');
	is(store.path('alan', 'ada'), [], 'that there is not');
	is(store.neighbors('grace', { direction: 'both' }), [
		{ key: 'alan', relation: 'knows', direction: 'out' },
		{ key: 'ada', relation: 'knows', direction: 'in' },
	], 'neighbours of both directions');
	const [edge] = store.edges('ada');
	is([edge.properties, edge.valid], [{ weight: 2 }, [new Date(0), null]],
		'edges have properties, and times');
	is(store.keys('a'), ['ada', 'alan'], 'keys by their beginnings');
	is(store.keys('', { limit: 1 }), ['ada'], 'and not too many');
	is(store.select({ all: 'math', none: 'logic' }), ['ada'], 'by tags');
	is([store.stat().entities, store.dim, store.metric], [3, 3, 'cosine'],
		'figures');
	is(await code(() => store.neighbors('ada', { relation: 'never' })),
		'COP_NO_NAME', 'a relation that was never seen');
}

async function aWriteIsAllOrNothing(store) {
	is(await code(() => store.write((tx) => {
		tx.put('half');
		tx.link('half', 'knows', 'nobody');
	})), 'COP_DANGLING', 'an edge to nowhere');
	ok(!store.has('half'), 'and nothing of it is there');
	is(await code(() => store.write((tx) => {
		tx.put('half');
		throw new Error('mine');
	})), 'mine', 'an error of the caller');
	ok(!store.has('half'), 'drops the write');
	const tx = store.begin();
	tx.put('x');
	const promise = tx.commit();
	is(await code(() => tx.put('y')), 'COP_IN_USE',
		'a write is busy while it is committed');
	const commit = await promise;
	is(store.get('x').version, commit, 'the commit has its number');
	is(tx.length, 0, 'and the write is empty');
	tx.abort();
	is(await code(() => tx.put('y')), 'COP_CLOSED', 'until it is ended');
	is(await code(() => store.write((other) => other.expect('x', 1))),
		'COP_CONFLICT', 'what is expected must be so');
	await Promise.all(Array.from({ length: 20 }, () => store.update('x',
		({ count = 0 }) => ({ count: count + 1 }))));
	is(store.get('x').properties, { count: 20 }, 'no update is lost');
	await store.write((other) => {
		other.tag('x', ['one', 'two']);
		other.untag('x', 'one');
	});
	is(store.get('x').tags, ['two'], 'tags come and go');
	await store.write((other) => other.delete('x'));
	await store.write((other) => other.undelete('x'));
	is(store.get('x').tags, ['two'], 'and what was deleted');
}

async function aSnapshotStaysAsItIs(store) {
	const commit = await store.write((tx) => tx.put('old'));
	const snapshot = store.snapshot();
	await store.write((tx) => tx.delete('old'));
	ok(snapshot.has('old') && !store.has('old'), 'a snapshot stays');
	is(store.read((then) => then.has('old'), { asOf: commit }), true,
		'one of the past');
	await soon(); // a Date knows milliseconds
	is(store.read((then) => then.has('old'), { asOf: new Date() }), false,
		'by its time');
	is(await code(() => store.snapshot({ asOf: 1e9 })), 'COP_INVALID',
		'but none of the future');
	await store.write((tx) => {
		tx.put('old');
		tx.tag('old', 'then', { valid: [0, new Date(1000)] });
	});
	is([500, 1500].map((at) => store.read((then) => then.get('old').tags,
		{ validAt: at })), [['then'], []], 'and what was valid when');
	const many = snapshot.searchMany([[1, 0, 0]]);
	is(await code(() => snapshot.get('old')), 'COP_IN_USE',
		'it is busy while it is searched');
	snapshot.close();
	ok(await many, 'a close waits for that');
	is(await code(() => snapshot.get('old')), 'COP_CLOSED', 'and closes');
	is(await store.read(async (then) => {
		await soon();
		return then.has('old');
	}), true, 'one may be kept over a promise');
}

async function whatIsForgottenIsGivenBack(store) {
	const before = store.stat().readers;
	(() => {
		for (let i = 0; i < 50; i++)
			store.snapshot().get('ada');
	})();
	ok(store.stat().readers >= before, 'snapshots are left open');
	ok(await collected(() => store.stat().readers <= before),
		'and the collector closes them', store.stat().readers);
}

async function mistakesAreErrors(store, path) {
	const wanted = [
		['COP_BAD_VECTOR', () => store.search([1, 2])],
		['COP_BAD_VECTOR', () => store.search([1, 2, NaN])],
		['COP_BAD_VECTOR', () => store.search(new Float32Array(0))],
		['COP_BAD_VECTOR', () => store.searchMany([[1, 2]])],
		['COP_BAD_VECTOR', () => store.searchMany(new Float32Array(4))],
		['COP_BAD_VECTOR', () => store.begin().put('v', {
			vector: new Float32Array(0),
		})],
		['ERR_INVALID_ARG_TYPE', () => store.search('many')],
		['ERR_INVALID_ARG_TYPE', () => store.search(['1', 2, 3])],
		['ERR_INVALID_ARG_TYPE', () => store.get(5)],
		['ERR_INVALID_ARG_TYPE', () => store.get()],
		['ERR_INVALID_ARG_TYPE', () => store.get('ada', null)],
		['ERR_INVALID_ARG_VALUE', () => store.search([1, 0, 0],
			{ tags: 'math' })],
		['ERR_INVALID_ARG_VALUE', () => store.neighbors('ada',
			{ direction: 'up' })],
		['ERR_OUT_OF_RANGE', () => store.search([1, 0, 0], { k: -1 })],
		['ERR_OUT_OF_RANGE', () => store.search([1, 0, 0], { k: 1.5 })],
		['COP_INVALID', () => store.search([1, 0, 0], { k: 2000000 })],
		['COP_BAD_KEY', () => store.get('')],
		['COP_BAD_KEY', () => store.get('x'.repeat(481))],
		['COP_BAD_TEXT', () => store.get('\ud800')],
		['COP_BAD_TEXT', () => store.search([1, 0, 0],
			{ type: 'a\0b' })],
		['COP_TOO_LARGE', () => {
			const circle = {};
			circle.circle = circle;
			store.begin().put('c', { properties: circle });
		}],
		['ERR_INVALID_ARG_TYPE', () => store.begin().put('d', {
			properties: { when: new Date() },
		})],
		['ERR_OUT_OF_RANGE', () => store.begin().put('b', {
			properties: { big: 2n ** 63n },
		})],
		['COP_INVALID', () => store.begin().put('n', {
			properties: { not: NaN },
		})],
		['mine', () => store.search([1, 0, 0], {
			accept: () => {
				throw new Error('mine');
			},
		})],
		['COP_NOT_A_STORE', () => coppice.open(`${path}-not`)],
		['COP_EXISTS', () => coppice.create(path)],
		['COP_BUSY', () => coppice.detach(path)],
	];
	for (const [name, call] of wanted)
		is(await code(call), name, `${name}: ${call.toString()
			.replace(/[\s\\]+/g, ' ').slice(6, 60)}`);
	try {
		store.get('');
	} catch (error) {
		ok(error instanceof coppice.CoppiceError &&
			error.errno === -31001 && /480/.test(error.message),
		'an error says what, and has its number', error);
	}
}

/** What argument checking runs may do anything to what was taken before. */
async function argumentsMayBite(store) {
	const vector = Float32Array.of(1, 0, 0);
	const write = store.begin();
	is(await code(() => write.put('bite', {
		vector,
		properties: {
			get bite() {
				write.abort();
				structuredClone(vector, {
					transfer: [vector.buffer],
				});
				return 1;
			},
		},
	})), 'COP_CLOSED', 'a getter that ends the write and takes the vector');
	const query = Float32Array.of(1, 0, 0);
	is(store.search(query, {
		k: 1,
		accept: (entity) => {
			if (query.length)
				structuredClone(query, {
					transfer: [query.buffer],
				});
			return entity.key === 'ada';
		},
	})[0].key, 'ada', 'a test that takes the query away');
	const snapshot = store.snapshot();
	is(await code(() => snapshot.search([1, 0, 0], {
		accept: () => snapshot.has('ada'),
	})), 'COP_IN_USE', 'or asks what is being searched');
	is(snapshot.search([1, 0, 0], {
		accept: () => {
			snapshot.close();
			return true;
		},
	}).length > 0, true, 'or closes it');
	is(await code(() => snapshot.has('ada')), 'COP_CLOSED',
		'which comes after the search');
}

function thread(path, how) {
	return new Promise((resolve, reject) => {
		const worker = new Worker(__filename, {
			workerData: { path, how }, argv: process.argv.slice(2),
		});
		worker.on('error', reject);
		worker.on('exit', resolve);
		if (how === 'terminated')
			setTimeout(() => worker.terminate(), 150);
	});
}

async function threadsShareIt(store, path) {
	const before = store.get('threads')?.properties.count ?? 0;
	await Promise.all(['one', 'two', 'three'].map(
		(how) => thread(path, how)));
	is(store.get('threads').properties.count - before, 30,
		'worker threads write one store');
	await Promise.all(['terminated', 'terminated', 'exits'].map(
		(how) => thread(path, how)));
	ok(store.has('threads'), 'and may end in the middle of anything');
}

async function inAThread({ path, how }) {
	const store = coppice.open(path);
	if (how === 'terminated' || how === 'exits') {
		for (let i = 0; ; i++) {
			store.searchMany(Array(100).fill([1, 0, 0]));
			store.write((tx) => tx.put('busy')).catch(() => {});
			store.snapshot().get('ada');
			if (how === 'exits' && i === 3)
				process.exit(0);
			await soon();
		}
	}
	for (let i = 0; i < 10; i++)
		await store.update('threads', ({ count = 0 }) =>
			({ count: count + 1 }));
	store.close();
}

async function upkeepIsDoneBeside(store) {
	ok(await store.checkpoint() > 0, 'a checkpoint');
	ok((await store.compact()).bytesAfter > 0, 'a compaction');
	is((await store.maintain({ budget: 1000 })).unlinked, 0, 'upkeep');
}

async function aCloseWaitsForTheLast(store, path) {
	const write = store.write((tx) => tx.put('last'));
	const many = store.searchMany([[1, 0, 0]]);
	const snapshot = store.snapshot();
	store.close();
	is(await code(() => store.get('ada')), 'COP_CLOSED', 'closed');
	ok(snapshot.has('ada'), 'an open snapshot lives on');
	is((await many)[0].length > 0, true, 'and what was under way is done');
	await write;
	snapshot.close();
	await soon();
	global.gc();
	ok(await collected(() => {
		try {
			coppice.detach(path);
			return true;
		} catch {
			return false;
		}
	}), 'then nobody is attached');
}

async function main() {
	const path = `${process.argv[2]}/package`;
	coppice.create(path, { dim: 3, history: 'all' });
	const store = coppice.open(path,
		{ name: 'package.js', timeout: 30000 });
	await valuesComeBackAsTheyWere(store);
	await aGraphIsSearchedAndWalked(store);
	await aWriteIsAllOrNothing(store);
	await aSnapshotStaysAsItIs(store);
	await whatIsForgottenIsGivenBack(store);
	await mistakesAreErrors(store, path);
	await argumentsMayBite(store);
	await threadsShareIt(store, path);
	await upkeepIsDoneBeside(store);
	await aCloseWaitsForTheLast(store, path);
	process.exitCode = isGood ? 0 : 1;
}

if (isMainThread)
	main();
else
	inAThread(workerData);
