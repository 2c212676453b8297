// SPDX-License-Identifier: Apache-2.0
/** One knowledge graph with vectors, shared by all processes of a machine. */

/** Text; as a Uint8Array where it is not UTF-8. */
export type Key = string | Uint8Array;

/** A Float32Array is not copied. */
export type Vector = Float32Array | Float64Array | readonly number[];

/** What a property may be; integers beyond 2^53 are bigints. */
export type Value = null | boolean | number | bigint | string |
	readonly Value[] | { readonly [name: string]: Value | undefined };

export type Properties = { [name: string]: Value | undefined };

export type Direction = 'out' | 'in' | 'both';

/** A Date, or milliseconds since 1970. */
export type Time = Date | number;

/** From the one, included, up to the other, not included; null: for ever. */
export type Validity = readonly [Time | null, Time | null];

export interface Entity {
	id: number;
	/** A Buffer if it is not UTF-8. */
	key: string | Buffer;
	type: string | null;
	tags: string[];
	properties: { [name: string]: any };
	/** The commit that wrote it, for Write.expect(). */
	version: number;
	contentSize: number;
	/** If it was asked for. */
	content?: Buffer | null;
	/** If it was asked for. */
	vector?: Float32Array | null;
}

export interface Hit {
	key: string | Buffer;
	/** Smaller is nearer. */
	distance: number;
	id: number;
}

export interface Step {
	key: string | Buffer;
	/** From the start. */
	hops: number;
	/** Over which it was reached; null for the start. */
	relation: string | null;
	/** Of that edge; null for the start. */
	direction: 'out' | 'in' | null;
	/** The index of the step it was reached from. */
	origin: number;
	id: number;
}

export interface Neighbor {
	key: string | Buffer;
	relation: string;
	direction: 'out' | 'in';
}

export interface Edge {
	source: string | Buffer;
	relation: string;
	target: string | Buffer;
	properties: { [name: string]: any };
	discriminator: number;
	valid: [Date | null, Date | null];
	/** The commit that wrote it. */
	version: number;
}

/** How a search went. */
export interface Report {
	strategy: string;
	reason: string;
	isComplete: boolean;
	ef: number;
	evaluated: number;
	expanded: number;
	rows: number;
	waiting: number;
	share: number;
	listed: number;
}

export interface Stats {
	segment: string;
	dim: number;
	commits: number;
	entities: number;
	edges: number;
	vectors: number;
	names: number;
	diskBytes: number;
	sharedBytes: number;
	readers: number;
	stalled: number;
	oldestSnapshot: number;
	heldBytes: number;
	imageCommit: number;
	cacheBytes: number;
	cacheHits: number;
	cacheMisses: number;
}

export interface ManyOptions {
	k?: number;
	type?: string | null;
	tag?: string | readonly string[] | null;
	anyTag?: string | readonly string[] | null;
	prefix?: Key | null;
	within?: Key | null;
	hops?: number;
	direction?: Direction;
	exact?: boolean;
	threshold?: number | null;
	strategy?: 'auto' | 'scan' | 'hnsw' | 'lsh' | 'hierarchical' | 'kdtree';
	ef?: number;
	threads?: number;
}

export interface SearchOptions extends Omit<ManyOptions, 'threads'> {
	exclude?: Key | null;
	accept?: ((entity: Entity) => unknown) | null;
	report?: Partial<Report>;
}

/** What a store and a snapshot both answer. */
declare abstract class Reading {
	readonly dim: number;
	get(key: Key, options?: { content?: boolean; vector?: boolean }):
		Entity | null;
	has(key: Key): boolean;
	key(id: number): string | Buffer | null;
	vector(key: Key): Float32Array | null;
	content(key: Key): Buffer | null;
	readContent(key: Key, options?: { offset?: number; size?: number }):
		Buffer | null;
	keys(prefix?: Key, options?: { limit?: number }): (string | Buffer)[];
	select(options?: {
		type?: string | null;
		all?: string | readonly string[] | null;
		any?: string | readonly string[] | null;
		none?: string | readonly string[] | null;
		prefix?: Key | null;
		limit?: number;
	}): (string | Buffer)[];
	search(vector: Vector, options?: SearchOptions): Hit[];
	searchMany(vectors: Float32Array | readonly Vector[],
		options?: ManyOptions): Promise<Hit[][]>;
	walk(start: Key, options?: {
		hops?: number;
		relation?: string | null;
		direction?: Direction;
		type?: string | null;
		tag?: string | null;
		limit?: number;
		threads?: number;
	}): Step[];
	path(source: Key, target: Key, options?: {
		hops?: number;
		relation?: string | null;
		direction?: Direction;
		weight?: string | null;
	}): Step[];
	neighbors(key: Key, options?: {
		relation?: string | null;
		direction?: Direction;
		limit?: number;
	}): Neighbor[];
	edges(key: Key, options?: { direction?: Direction; limit?: number }):
		Edge[];
	stat(): Stats;
	close(): void;
}

/** The store as of one commit. */
export class Snapshot extends Reading {
	private constructor();
	readonly commit: number;
	asOf(when: number | Date): this;
	validAt(when: Time): this;
}

export interface SnapshotOptions {
	asOf?: number | Date;
	validAt?: Time;
}

export interface WriteOptions {
	/** A power cut may take it back, no death of a process. */
	lazy?: boolean;
	/** Milliseconds to begin the commit. */
	timeout?: number;
}

/** An open store; of any of its reads it is the newest commit's. */
export class Store extends Reading {
	private constructor();
	readonly metric: 'cosine' | 'l2' | 'ip';
	snapshot(options?: SnapshotOptions): Snapshot;
	read<Answer>(ask: (snapshot: Snapshot) => Answer,
		options?: SnapshotOptions): Answer;
	begin(options?: WriteOptions): Write;
	write(work: (write: Write) => unknown, options?: WriteOptions):
		Promise<number>;
	update(key: Key, change: (properties: { [name: string]: any }) =>
		Properties | Promise<Properties>, options?: { tries?: number }):
		Promise<Properties>;
	checkpoint(): Promise<number>;
	compact(): Promise<{ bytesBefore: number; bytesAfter: number }>;
	maintain(options?: { threads?: number; budget?: number }): Promise<{
		linked: number;
		reclaimed: number;
		mended: number;
		unlinked: number;
		waiting: number;
	}>;
}

/** Puts and deletes that take effect together, or not at all. */
export class Write {
	private constructor();
	readonly length: number;
	put(key: Key, options?: {
		type?: Key | null;
		tags?: string | readonly string[] | null;
		properties?: Properties | null;
		content?: string | Uint8Array | typeof KEEP | null;
		vector?: Vector | typeof KEEP | null;
	}): void;
	putVector(key: Key, vector: Vector | null): void;
	delete(key: Key): void;
	undelete(key: Key, commit?: number): void;
	tag(key: Key, tags: string | readonly string[],
		options?: { valid?: Validity | null }): void;
	untag(key: Key, tags: string | readonly string[]): void;
	link(source: Key, relation: string, target: Key, options?: {
		properties?: Properties | null;
		valid?: Validity | null;
		discriminator?: number;
		dangling?: 'reject' | 'stub' | 'skip';
	}): void;
	unlink(source: Key, relation: string, target: Key,
		options?: { discriminator?: number }): void;
	expect(key: Key, version: number): void;
	commit(): Promise<number>;
	abort(): void;
}

/** What the store could not do: what, why, and what to do about it. */
export class CoppiceError extends Error {
	/** 'COP_BUSY' and so on, 'ENOENT' and so on, of LMDB's 'MDB_ERROR'. */
	code: string;
	errno: number;
	/** Of a commit: the index of the operation that failed. */
	operation?: number;
}

/** For content and vector of put(): as it is. */
export const KEEP: unique symbol;

/** Of the library. */
export const version: string;

/** The instruction set that distances are computed with. */
export const cpu: string;

export function create(path: string, options?: {
	dim?: number;
	metric?: 'cosine' | 'l2' | 'ip';
	rows?: 'f16' | 'f32';
	codes?: 'auto' | 'u8' | 'f16' | 'bf16' | 'f32' | 'b1';
	mode?: number;
	group?: number;
	shmDir?: string;
	expectedEntities?: number;
	bloomRate?: number;
	recordBytes?: number;
	signs?: boolean;
	codesDim?: number;
	cacheBytes?: number;
	cacheTtl?: number;
	cacheIdle?: number;
	history?: 'age' | 'all' | 'none';
	historyDays?: number;
	historyCount?: number;
}): void;

export function open(path: string,
	options?: { timeout?: number; name?: string }): Store;

export function detach(path: string): void;
