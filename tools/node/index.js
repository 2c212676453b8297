// SPDX-License-Identifier: Apache-2.0
/**
 * One knowledge graph with vectors, shared by all processes of a machine.
 *
 *	const coppice = require('coppice');
 *
 *	coppice.create('/srv/kg', { dim: 3 });
 *	const store = coppice.open('/srv/kg');
 *
 * Write all or nothing; the promise is kept when it is on disk:
 *
 *	await store.write((tx) => {
 *		tx.put('ada', {
 *			type: 'person', tags: ['math'],
 *			properties: { born: 1815 }, vector: [1, 0, 0],
 *		});
 *		tx.put('grace', { type: 'person', vector: [0.9, 0.1, 0] });
 *		tx.link('ada', 'knows', 'grace');
 *	});
 *
 * Read what everybody has committed, at once:
 *
 *	store.get('ada').properties.born;		// 1815
 *	store.search([1, 0, 0], { k: 2 });	// [{ key: 'ada', ..}, ..]
 *	store.neighbors('ada');	// [{ key: 'grace', relation: 'knows', ..}]
 *
 * A snapshot stays as it is, whatever others commit meanwhile:
 *
 *	store.read((snapshot) => {
 *		const near = snapshot.search([1, 0, 0], { k: 5 });
 *		return near.map((hit) => snapshot.get(hit.key));
 *	});
 *
 * Reads take microseconds, so they are plain calls; what waits for a disk or
 * takes long (commits, searchMany, upkeep) is a promise.  Each process of a
 * cluster and each worker_thread opens the store for itself, which is cheap:
 * they all read one copy.
 *
 * Errors of the store's are a CoppiceError, whose `code` is a name such as
 * 'COP_BAD_VECTOR'.  Absence is an answer: null, or an empty array.
 *
 * @module coppice
 */
'use strict';

const util = require('node:util');

const native = require('./coppice.node');

// ---- errors -----------------------------------------------------------------

const CODES = {
	[-31000]: 'COP_INVALID',
	[-31001]: 'COP_BAD_KEY',
	[-31002]: 'COP_BAD_VECTOR',
	[-31003]: 'COP_BAD_TEXT',
	[-31004]: 'COP_TOO_LARGE',
	[-31005]: 'COP_DANGLING',
	[-31006]: 'COP_NO_NAME',
	[-31007]: 'COP_NOT_A_STORE',
	[-31008]: 'COP_VERSION',
	[-31009]: 'COP_CORRUPT',
	[-31010]: 'COP_NO_SPACE',
	[-31011]: 'COP_BUSY',
	[-31012]: 'COP_MOVED',
	[-31013]: 'COP_STALLED',
	[-31014]: 'COP_FORKED',
	[-31015]: 'COP_DENIED',
	[-31016]: 'COP_CONFLICT',
	[-31017]: 'COP_UNKNOWN',
	[-31018]: 'COP_TOO_OLD',
	[-31019]: 'COP_FOREIGN',
	[-31020]: 'COP_EXISTS',
	[-31021]: 'COP_STOPPED',
	[-31022]: 'COP_READ_ONLY',
	// of this package, not of the library
	[-1]: 'COP_CLOSED',
	[-2]: 'COP_IN_USE',
};

function codeOf(errno) {
	if (errno > 0) {
		try {
			return util.getSystemErrorName(-errno);
		} catch {
			return `ERRNO_${errno}`;
		}
	}
	return CODES[errno] ?? 'MDB_ERROR';
}

/** What the store could not do: what, why, and what to do about it. */
class CoppiceError extends Error {
	constructor(message, errno, operation) {
		super(message);
		/** A name: 'COP_BUSY', 'ENOENT', of LMDB's 'MDB_ERROR'. */
		this.code = codeOf(errno);
		/** The number of the library's. */
		this.errno = errno;
		/** Of a commit: the index of the operation that failed. */
		if (operation !== undefined)
			this.operation = operation;
	}
}
Object.defineProperty(CoppiceError.prototype, 'name', {
	value: 'CoppiceError', configurable: true, writable: true,
});
native.setup(CoppiceError);

function wrongType(what, wanted) {
	const error = new TypeError(`${what}: ${wanted} is wanted`);
	error.code = 'ERR_INVALID_ARG_TYPE';
	return error;
}

function wrongValue(message) {
	const error = new TypeError(message);
	error.code = 'ERR_INVALID_ARG_VALUE';
	return error;
}

// ---- arguments --------------------------------------------------------------

const METRICS = { cosine: 1, l2: 2, ip: 3 };
const ROWS = { f16: 0, f32: 1 };
const CODINGS = { auto: 0, u8: 1, f16: 2, bf16: 3, f32: 4, b1: 5 };
const HISTORY = { age: 0, all: 1, none: 2 };
const STRATEGIES = {
	auto: 0, scan: 1, hnsw: 2, lsh: 3, hierarchical: 4, kdtree: 5,
};
const DIRECTIONS = { out: 1, in: 2, both: 3 };
const DANGLING = { reject: 0, stub: 1, skip: 2 };

const nameOf = (table, number) =>
	Object.keys(table).find((name) => table[name] === number) ?? null;

function choice(table, name, what) {
	if (typeof name === 'string' && Object.hasOwn(table, name))
		return table[name];
	throw wrongValue(`no ${what} ${util.inspect(name)}; there are ${
		Object.keys(table).join(', ')}`);
}

/** Options as given; one that there is not is a mistake, not none. */
function checked(options, names) {
	if (options === undefined)
		return {};
	if (typeof options !== 'object' || options === null)
		throw wrongType('options', 'an object');
	for (const name in options)
		if (!names.has(name))
			throw wrongValue(`no option ${util.inspect(name)}; ` +
				`there are ${[...names].join(', ')}`);
	return options;
}

/** Names of one argument: a string is one of them. */
function names(value) {
	return typeof value === 'string' ? [value] : value;
}

/** Milliseconds since 1970. */
function instant(when, what) {
	if (util.types.isDate(when))
		return when.getTime();
	if (typeof when === 'number')
		return when;
	throw wrongType(what, 'a Date, or a number of milliseconds');
}

/** [from, to] in milliseconds, or [] for always. */
function validity(valid) {
	if (valid === undefined || valid === null)
		return [];
	if (!Array.isArray(valid) || valid.length !== 2)
		throw wrongType('valid', 'an array of two times');
	return [
		valid[0] === null ? -Infinity : instant(valid[0], 'valid'),
		valid[1] === null ? Infinity : instant(valid[1], 'valid'),
	];
}

/** Milliseconds of a timeout; 0 stands for "as the store was opened". */
function patience(timeout) {
	if (timeout === undefined || timeout === null)
		return 0;
	return typeof timeout === 'number' ? Math.max(1, Math.round(timeout))
		: timeout;
}

const isRow = (value) => Array.isArray(value) ||
	(ArrayBuffer.isView(value) && !util.types.isDataView(value) &&
		!util.types.isBigInt64Array(value) &&
		!util.types.isBigUint64Array(value));

function fill(target, offset, row) {
	for (let i = 0; i < row.length; i++) {
		if (typeof row[i] !== 'number')
			throw wrongType(`number ${i} of a vector`, 'a number');
		target[offset + i] = row[i];
	}
}

/** A Float32Array as it is, other numbers copied. */
function vectorOf(value) {
	if (util.types.isFloat32Array(value))
		return value;
	if (!isRow(value))
		throw wrongType('a vector',
			'a Float32Array or array of numbers');
	const vector = new Float32Array(value.length);
	fill(vector, 0, value);
	return vector;
}

/** Vectors one behind the other: a Float32Array, or an array of vectors. */
function vectorsOf(values, dim) {
	if (util.types.isFloat32Array(values))
		return values;
	if (!Array.isArray(values))
		throw wrongType('vectors',
			'a Float32Array or array of vectors');
	const vectors = new Float32Array(values.length * dim);
	values.forEach((row, index) => {
		if (!isRow(row))
			throw wrongType(`vector ${index}`,
				'a Float32Array or array of numbers');
		if (row.length !== dim)
			throw new CoppiceError(`vector ${index} has ${
				row.length} numbers, those of the store have ${
				dim}`, -31002);
		fill(vectors, index * dim, row);
	});
	return vectors;
}

// ---- answers ----------------------------------------------------------------

function entityOf(fields) {
	const entity = {
		id: fields[0],
		key: fields[1],
		type: fields[2],
		tags: fields[3],
		properties: fields[4],
		version: fields[5],
		contentSize: fields[6],
	};
	if (fields[7] !== undefined)
		entity.content = fields[7];
	if (fields[8] !== undefined)
		entity.vector = fields[8];
	return entity;
}

function hitsOf(keys, numbers, start, end) {
	const hits = new Array(end - start);
	for (let i = start; i < end; i++)
		hits[i - start] = {
			key: keys[i],
			distance: numbers[2 * i + 1],
			id: numbers[2 * i],
		};
	return hits;
}

const directionOf = (number) =>
	number === 0 ? null : number === 1 ? 'out' : 'in';

function stepsOf([keys, numbers, relations]) {
	return keys.map((key, i) => ({
		key,
		hops: numbers[5 * i + 2],
		relation: relations[numbers[5 * i + 1]],
		direction: directionOf(numbers[5 * i + 3]),
		origin: numbers[5 * i + 4],
		id: numbers[5 * i],
	}));
}

const dateOf = (ms) => Number.isFinite(ms) ? new Date(ms) : null;

function edgeOf(fields) {
	return {
		source: fields[0],
		relation: fields[1],
		target: fields[2],
		properties: fields[3],
		discriminator: fields[4],
		valid: [dateOf(fields[5]), dateOf(fields[6])],
		version: fields[7],
	};
}

// ---- reading ----------------------------------------------------------------

const GET = new Set(['content', 'vector']);
const LIMIT = new Set(['limit']);
const PART = new Set(['offset', 'size']);
const SELECT = new Set(['type', 'all', 'any', 'none', 'prefix', 'limit']);
const SEARCH = new Set(['k', 'type', 'tag', 'anyTag', 'prefix', 'within',
	'hops', 'direction', 'exact', 'threshold', 'exclude', 'strategy', 'ef',
	'accept', 'report']);
const MANY = new Set([...SEARCH, 'threads']);
for (const name of ['exclude', 'accept', 'report'])
	MANY.delete(name);
const WALK = new Set(['hops', 'relation', 'direction', 'type', 'tag', 'limit',
	'threads']);
const PATH = new Set(['hops', 'relation', 'direction', 'weight']);
const NEIGHBORS = new Set(['relation', 'direction', 'limit']);
const EDGES = new Set(['direction', 'limit']);

/** What search and searchMany have in common, as the addon takes it. */
function searchArguments(vectors, {
	k = 10, type, tag, anyTag, prefix, within, hops = 1, direction = 'both',
	exact = false, threshold, exclude, strategy = 'auto', ef = 0,
}) {
	if (tag !== undefined && tag !== null && anyTag !== undefined &&
			anyTag !== null)
		throw wrongValue('either tag or anyTag');
	return [
		vectors, k, type, names(anyTag ?? tag),
		anyTag === undefined || anyTag === null ? 0 : 1, prefix, within,
		hops, choice(DIRECTIONS, direction, 'direction'), exact ? 1 : 0,
		threshold, exclude, choice(STRATEGIES, strategy, 'strategy'),
		ef,
	];
}

let handleOf;

/**
 * What a store and a snapshot both answer.  A store answers each call as of the
 * newest commit, of whatever process.  Keys are strings, or Uint8Arrays where
 * they are not UTF-8.
 */
class Reading {
	#handle;

	constructor(handle) {
		this.#handle = handle;
	}

	static {
		handleOf = (reading) => reading.#handle;
	}

	/** The dimension of the store's vectors, 0: it has none. */
	get dim() {
		return native.dim(this.#handle);
	}

	/**
	 * The entity of a key, or null.
	 *
	 *	store.get('ada');
	 *	// { id, key: 'ada', type: 'person', tags: ['math'],
	 *	//   properties: { born: 1815 }, version, contentSize: 0 }
	 *
	 * `content` and `vector` bring these, too: a Buffer and a Float32Array,
	 * or null.
	 */
	get(key, options) {
		const { content, vector } = checked(options, GET);
		const fields = native.get(this.#handle, key, content ? 1 : 0,
			vector ? 1 : 0);
		return fields === null ? null : entityOf(fields);
	}

	/** Is there an entity of this key? */
	has(key) {
		return native.has(this.#handle, key);
	}

	/** The key of an id, or null. */
	key(id) {
		return native.key(this.#handle, id);
	}

	/** The vector of an entity as it was put, a Float32Array, or null. */
	vector(key) {
		return native.vector(this.#handle, key);
	}

	/**
	 * The content of an entity, a Buffer, or null.  Content over 16 MiB is
	 * read in parts.
	 */
	content(key) {
		return native.content(this.#handle, key);
	}

	/** A part of the content, a Buffer, shorter than `size` at its end. */
	readContent(key, options) {
		const { offset = 0, size = 65536 } = checked(options, PART);
		return native.contentRead(this.#handle, key, offset, size);
	}

	/** The keys that begin with `prefix`, in their order; limit 0: all. */
	keys(prefix = '', options) {
		const { limit = 0 } = checked(options, LIMIT);
		return native.keys(this.#handle, prefix, limit);
	}

	/**
	 * The keys of entities of a type that have `all` these tags, one of
	 * `any`, and `none` of those.
	 *
	 *	store.select({ type: 'person', any: ['math', 'logic'] });
	 */
	select(options) {
		const { type, all, any, none, prefix, limit = 0 } =
			checked(options, SELECT);
		return native.select(this.#handle, type, names(all), names(any),
			names(none), prefix, limit);
	}

	/**
	 * The k nearest entities to a vector, nearest first.
	 *
	 *	store.search(vector, { k: 5, type: 'person', tag: 'math' });
	 *	// [{ key: 'ada', distance: 0, id: 1 }, ..]
	 *
	 * vector	a Float32Array, which is not copied, or any array of
	 *		numbers
	 * k		how many, 10; there are fewer only if no more qualify
	 * type		only entities of it
	 * tag		only those with this tag, or with all of these
	 * anyTag	only those with one of these
	 * prefix	only those whose keys begin with it
	 * within	only those within `hops` edges (1) of the entity of this
	 *		key, in the `direction` 'out', 'in' or 'both'; if there
	 *		is no such entity, none
	 * accept	a function of an entity, true for those to be taken
	 * threshold	only those at this distance or nearer
	 * exclude	a key that is left out
	 * exact	rank by the float32 that was put, looking at all rows
	 * strategy	'auto', 'scan', 'hnsw', 'lsh', 'hierarchical', 'kdtree'
	 * ef		width of the walk; the larger, the nearer to exact
	 * report	an object, which is filled with how it went
	 */
	search(vector, options) {
		const given = checked(options, SEARCH);
		const { accept, report } = given;
		const test = typeof accept === 'function'
			? (fields) => accept(entityOf(fields)) : accept;
		const [keys, numbers, , how] = native.search(this.#handle,
			...searchArguments(vectorOf(vector), given),
			report ? 1 : 0, test);
		if (report)
			Object.assign(report, how, {
				strategy: nameOf(STRATEGIES, how.strategy),
			});
		return hitsOf(keys, numbers, 0, keys.length);
	}

	/**
	 * Many searches in one snapshot, by up to `threads` threads, beside the
	 * event loop: a promise of an array of hits for each vector.
	 *
	 *	const [first, second] = await store.searchMany([one, two]);
	 *
	 * vectors	an array of vectors, or a Float32Array of them, one
	 *		behind the other; copied
	 *
	 * The options are those of search, but for exclude, accept and report.
	 * A snapshot is busy until it is done: COP_IN_USE says so.
	 */
	async searchMany(vectors, options) {
		const given = checked(options, MANY);
		const [keys, numbers, counts] = await native.searchMany(
			this.#handle,
			...searchArguments(vectorsOf(vectors, this.dim), given),
			given.threads ?? 1);
		let start = 0;
		return Array.from(counts, (count) =>
			hitsOf(keys, numbers, start, start += count));
	}

	/**
	 * The entities within `hops` edges (2) of `start`, breadth first, the
	 * start first; hops Infinity: all that can be reached.
	 *
	 *	store.walk('ada', { hops: 1 });
	 *	// [{ key: 'ada', hops: 0, relation: null, direction: null,
	 *	//    origin: 0, id: 1 },
	 *	//  { key: 'grace', hops: 1, relation: 'knows',
	 *	//    direction: 'out', origin: 0, id: 2 }]
	 *
	 * `relation`, `direction` ('out'), `type` and `tag` say what it goes
	 * over and to.  At `limit` steps (100,000) it ends.  `origin` is the
	 * index of the step that one was reached from.
	 */
	walk(start, options) {
		const {
			hops = 2, relation, direction = 'out', type, tag,
			limit = 100000, threads = 1,
		} = checked(options, WALK);
		return stepsOf(native.walk(this.#handle, start,
			hops === Infinity ? 0xffffffff : hops, relation,
			choice(DIRECTIONS, direction, 'direction'), type, tag,
			limit, threads));
	}

	/**
	 * A shortest path, as steps of walk; empty if there is none.
	 *
	 * hops		at most so many; 0: any number
	 * weight	a property of edges that says what each costs
	 */
	path(source, target, options) {
		const { hops = 0, relation, direction = 'out', weight } =
			checked(options, PATH);
		return stepsOf(native.path(this.#handle, source, target, hops,
			relation, choice(DIRECTIONS, direction, 'direction'),
			weight));
	}

	/**
	 * The edges of an entity without their properties: keys, relations and
	 * directions.
	 *
	 *	store.neighbors('ada', { direction: 'both', limit: 100 });
	 *	// [{ key: 'grace', relation: 'knows', direction: 'out' }]
	 */
	neighbors(key, options) {
		const { relation, direction = 'out', limit = 0 } =
			checked(options, NEIGHBORS);
		const [keys, numbers, relations] = native.neighbors(
			this.#handle, key, relation,
			choice(DIRECTIONS, direction, 'direction'), limit);
		return keys.map((near, i) => ({
			key: near,
			relation: relations[numbers[3 * i + 1]],
			direction: directionOf(numbers[3 * i + 2]),
		}));
	}

	/** The edges of an entity with their properties. */
	edges(key, options) {
		const { direction = 'out', limit = 0 } =
			checked(options, EDGES);
		return native.edges(this.#handle, key,
			choice(DIRECTIONS, direction, 'direction'), limit)
			.map(edgeOf);
	}

	/** The store's figures. */
	stat() {
		return native.stat(this.#handle);
	}

	/** Ends when what is under way with it has; may be called again. */
	close() {
		native.close(this.#handle);
	}
}

const SNAPSHOT = new Set(['asOf', 'validAt']);

/**
 * The store as of one commit.  Close it when done: it holds older versions in
 * memory, and in the end others' commits up.
 */
class Snapshot extends Reading {
	/** The number of the commit that it sees. */
	get commit() {
		return native.readCommit(handleOf(this));
	}

	/**
	 * Has it see an earlier commit, by number, or the newest one at a time,
	 * a Date.  Returns itself.
	 */
	asOf(when) {
		const handle = handleOf(this);
		native.readAsOf(handle, util.types.isDate(when)
			? native.readCommitAt(handle, when.getTime()) : when);
		return this;
	}

	/**
	 * Has it see only edges, tags and properties that are valid at a time
	 * in the world.  Returns itself.
	 */
	validAt(when) {
		native.readValidAt(handleOf(this), instant(when, 'validAt'));
		return this;
	}
}

// ---- stores -----------------------------------------------------------------

const WRITE = new Set(['lazy', 'timeout']);
const UPDATE = new Set(['tries']);
const MAINTAIN = new Set(['threads', 'budget']);

/** An open store; of any of its reads it is the newest commit's. */
class Store extends Reading {
	/** 'cosine', 'l2' or 'ip'. */
	get metric() {
		return nameOf(METRICS, native.metric(handleOf(this)));
	}

	/** A Snapshot of the newest commit, or `asOf` an earlier one. */
	snapshot(options) {
		const { asOf, validAt } = checked(options, SNAPSHOT);
		const snapshot = new Snapshot(native.readBegin(handleOf(this)));
		try {
			if (asOf !== undefined)
				snapshot.asOf(asOf);
			if (validAt !== undefined)
				snapshot.validAt(validAt);
		} catch (error) {
			snapshot.close();
			throw error;
		}
		return snapshot;
	}

	/**
	 * Calls `ask` with a snapshot, closes that, also after a promise, and
	 * returns what it answers.
	 */
	read(ask, options) {
		const snapshot = this.snapshot(options);
		let answer;
		try {
			answer = ask(snapshot);
		} catch (error) {
			snapshot.close();
			throw error;
		}
		if (typeof answer?.then === 'function')
			return Promise.resolve(answer)
				.finally(() => snapshot.close());
		snapshot.close();
		return answer;
	}

	/**
	 * A Write to be committed or aborted.
	 *
	 * lazy		a power cut may take it back, no death of a process
	 * timeout	milliseconds to begin the commit
	 */
	begin(options) {
		const { lazy = false, timeout } = checked(options, WRITE);
		return new Write(native.writeBegin(handleOf(this)),
			lazy ? 1 : 0, patience(timeout));
	}

	/**
	 * Calls `work` with a Write and commits that; if it throws, nothing is
	 * written.  A promise of the commit's number.  Options as of begin.
	 */
	async write(work, options) {
		const write = this.begin(options);
		try {
			await work(write);
			return await write.commit();
		} finally {
			write.abort();
		}
	}

	/**
	 * Has `change` make new properties out of the entity's, and puts them,
	 * unless somebody else changed it meanwhile: then it does so again, up
	 * to `tries` times (100).  Type, tags, content and vector stay.
	 *
	 *	await store.update('ada', (old) => ({ ...old, born: 1815 }));
	 *
	 * A promise of what was put.
	 */
	async update(key, change, options) {
		const { tries = 100 } = checked(options, UPDATE);
		for (let attempt = 1; ; attempt++) {
			const found = this.get(key);
			const properties = await change(
				found === null ? {} : found.properties);
			try {
				await this.write((tx) => {
					tx.expect(key, found === null ? 0
						: found.version);
					tx.put(key, {
						properties,
						type: found?.type,
						tags: found?.tags,
						content: KEEP,
					});
				});
				return properties;
			} catch (error) {
				if (error.code !== 'COP_CONFLICT' ||
						!(attempt < tries))
					throw error;
			}
		}
	}

	/**
	 * Writes an image of the shared memory, for a fast start after a
	 * reboot.  A promise of the commit that it is of.
	 */
	async checkpoint() {
		return native.checkpoint(handleOf(this));
	}

	/**
	 * Builds the data file anew without its free pages, beside readers and
	 * writers.
	 */
	async compact() {
		return native.compact(handleOf(this));
	}

	/**
	 * Does what commits leave for later, for `budget` milliseconds or until
	 * it is done.
	 */
	async maintain(options) {
		const { threads = 1, budget } = checked(options, MAINTAIN);
		return native.maintain(handleOf(this), threads,
			patience(budget));
	}
}

// ---- writing ----------------------------------------------------------------

/** For content and vector of put(): as it is. */
const KEEP = Symbol('coppice.KEEP');

const PUT = new Set(['type', 'tags', 'properties', 'content', 'vector']);
const TAG = new Set(['valid']);
const LINK = new Set(['properties', 'valid', 'discriminator', 'dangling']);
const UNLINK = new Set(['discriminator']);

/** Puts and deletes that take effect together, or not at all. */
class Write {
	#handle;
	#lazy;
	#timeout;

	constructor(handle, lazy, timeout) {
		this.#handle = handle;
		this.#lazy = lazy;
		this.#timeout = timeout;
	}

	/** How many operations it holds. */
	get length() {
		return native.writeLength(this.#handle);
	}

	/**
	 * Puts an entity; one of that key is replaced, its edges stay.
	 *
	 * properties	null, booleans, numbers, bigints, strings, and arrays
	 *		and plain objects of them
	 * content	a string or Uint8Array; KEEP: as it is
	 * vector	as of search; null: it has none; KEEP (the default): as
	 *		it is
	 */
	put(key, options) {
		const {
			type, tags, properties, content, vector = KEEP,
		} = checked(options, PUT);
		native.put(this.#handle, key, type, names(tags), properties,
			content === KEEP ? null : content,
			vector === KEEP || vector === null ? null
				: vectorOf(vector),
			vector === null ? 1 : 0, content === KEEP ? 1 : 0);
	}

	/**
	 * Changes nothing but the vector of an entity, which must be there at
	 * the commit; null: it has none.
	 */
	putVector(key, vector) {
		native.putVector(this.#handle, key,
			vector === null ? null : vectorOf(vector));
	}

	/** Deletes an entity with its edges; if there is one. */
	delete(key) {
		native.delete(this.#handle, key);
	}

	/** Puts a deleted entity back as it was, at a commit or last. */
	undelete(key, commit = 0) {
		native.undelete(this.#handle, key, commit);
	}

	/** Gives an entity tags more; valid: [from, to], null for ever. */
	tag(key, tags, options) {
		const [from, to] = validity(checked(options, TAG).valid);
		for (const tag of names(tags))
			native.tag(this.#handle, key, tag, from, to);
	}

	/** Takes tags from it. */
	untag(key, tags) {
		for (const tag of names(tags))
			native.untag(this.#handle, key, tag);
	}

	/**
	 * Puts an edge; the same one is replaced.
	 *
	 * valid	[from, to]: Dates or milliseconds, null for ever
	 * discriminator	tells edges apart that are otherwise the same
	 * dangling	'reject' (COP_DANGLING at the commit), 'stub' (puts what
	 *		is not there) or 'skip'
	 */
	link(source, relation, target, options) {
		const {
			properties, valid, discriminator = 0,
			dangling = 'reject',
		} = checked(options, LINK);
		const [from, to] = validity(valid);
		native.link(this.#handle, source, relation, target,
			discriminator, properties, from, to,
			choice(DANGLING, dangling, 'way with dangling edges'));
	}

	/** Deletes an edge; one that is not there is no error. */
	unlink(source, relation, target, options) {
		const { discriminator = 0 } = checked(options, UNLINK);
		native.unlink(this.#handle, source, relation, target,
			discriminator, undefined, undefined, undefined, 0);
	}

	/**
	 * The commit fails with COP_CONFLICT unless the entity has this version
	 * then; 0: unless there is none.
	 */
	expect(key, version) {
		native.expect(this.#handle, key, version);
	}

	/**
	 * Commits what it holds: a promise of the commit's number.  Afterwards
	 * it is empty, and may go on.  On error it stays as it was.
	 */
	async commit() {
		return native.commit(this.#handle, this.#lazy, this.#timeout);
	}

	/** Drops what was not committed. */
	abort() {
		native.close(this.#handle);
	}
}

// For `using`, where there is such a thing.
if (Symbol.dispose) {
	const disposer = (close) => ({
		value: close, configurable: true, writable: true,
	});
	Object.defineProperty(Reading.prototype, Symbol.dispose,
		disposer(Reading.prototype.close));
	Object.defineProperty(Write.prototype, Symbol.dispose,
		disposer(Write.prototype.abort));
}

// ---- of no store in particular ----------------------------------------------

const CREATE = new Set(['dim', 'metric', 'rows', 'codes', 'mode', 'group',
	'shmDir', 'expectedEntities', 'bloomRate', 'recordBytes', 'signs',
	'codesDim', 'cacheBytes', 'cacheTtl', 'cacheIdle', 'history',
	'historyDays', 'historyCount']);
const OPEN = new Set(['timeout', 'name']);

/**
 * Makes a new store in the folder `path`, which must not exist or be empty.
 *
 * dim		of its vectors, 2 to 4096; 0: it has none
 * metric	'cosine', 'l2' or 'ip'
 * rows		'f16' or 'f32': what ranks a search's candidates
 * codes	'auto', 'u8', 'f16', 'bf16', 'f32' or 'b1': what it walks over
 * mode		permissions of all files; 0o660 and a `group` (its number) for a
 *		store that several users share
 * shmDir	a folder on a tmpfs, in place of /dev/shm
 * history	'age' (what ended in the last historyDays is kept), 'all' or
 *		'none'
 *
 * The other options are those of struct cop_options in coppice.h; times of the
 * cache are in milliseconds.
 */
function create(path, options) {
	const {
		dim = 0, metric = 'cosine', rows = 'f16', codes = 'auto',
		mode = 0o600, group, shmDir, expectedEntities = 0,
		bloomRate = 0, recordBytes, signs = false, codesDim = 0,
		cacheBytes = 0, cacheTtl = 0, cacheIdle = 0, history = 'age',
		historyDays = 30, historyCount = 0,
	} = checked(options, CREATE);
	native.create(path, dim, choice(METRICS, metric, 'metric'),
		choice(ROWS, rows, 'rows'), choice(CODINGS, codes, 'codes'),
		mode, typeof group === 'number' ? group + 1 : group ?? 0,
		shmDir, expectedEntities, bloomRate,
		recordBytes === 0 ? 0xffffffff : recordBytes ?? 0,
		signs ? 1 : 0, codesDim, cacheBytes, cacheTtl, cacheIdle,
		choice(HISTORY, history, 'history'),
		history !== 'age' ? 0 : typeof historyDays === 'number'
			? Math.round(historyDays * 86400000) : historyDays,
		historyCount);
}

/**
 * Opens a store and attaches the copy that all processes share; the first of
 * all loads or builds that copy.
 *
 * timeout	milliseconds to wait for other writers; none: for ever
 * name		of this process, for `coppice readers`
 */
function open(path, options) {
	const { timeout, name } = checked(options, OPEN);
	return new Store(native.open(path, patience(timeout), name));
}

/**
 * Removes the store's copy from shared memory, when nobody has it open; the
 * next open makes it anew.
 */
function detach(path) {
	native.detach(path);
}

/** The version of the library. */
const version = native.version;

/** The instruction set that distances are computed with. */
const cpu = native.cpu;

module.exports = {
	create, open, detach, version, cpu, KEEP, CoppiceError, Store, Snapshot,
	Write,
};
