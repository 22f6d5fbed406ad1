/*
 * tally: loads by kind of client, and what went wrong with them.
 *
 * A load is a page with all that it asks for until the next one, a session of
 * a socket, or a run of calls of a client of an API. Its version is the one of
 * its first answer.
 *
 *	mixed   something was answered by another version
 *	failed  something wasn't answered, or not as it should be
 *	broken  a session ended before its time
 *	back    the load is of the old version, the client's last one of the new

 *
 * A rollback voids the loads of the new version: its servers are gone for them,
 * and what becomes of them from then on is counted apart.
 */
const FAULTS = ["mixed", "failed", "broken", "back"];
const SAMPLES = 5;

export class Load {
	constructor(version) {
		this.version = version;
		this.faults = new Map();	/* fault -> the first such */
		this.later = null;		/* the same, once it is void */
		this.isAlive = false;		/* void, and still asking */
	}

	note(fault, text) {
		const faults = this.later ?? this.faults;
		this.isAlive ||= this.later !== null;
		if (!faults.has(fault))
			faults.set(fault, text);
	}

	/* One more answer of it. */
	answered(version, text) {
		this.isAlive ||= this.later !== null;
		if (version !== this.version)
			this.note("mixed", `${this.version} page: ${text} by ` +
				(version ?? "nobody"));
	}
}

export class Tally {
	#loads = new Map();	/* kind -> loads */

	begin(kind, version) {
		const load = new Load(version);
		if (!this.#loads.has(kind))
			this.#loads.set(kind, []);
		this.#loads.get(kind).push(load);
		return load;
	}

	voidVersion(version) {
		for (const load of [...this.#loads.values()].flat())
			if (load.version === version)
				load.later = new Map();
	}

	/* kind -> {loads, versions: {v1, ...}, bad, mixed, ..., samples, and
	 * the same of those that are void: voided} */
	sum() {
		return Object.fromEntries([...this.#loads].map(
			([kind, loads]) => [kind, {
				...sumUp(loads, (load) => load.faults),
				voided: sumUp(loads.filter((l) => l.isAlive),
					(load) => load.later),
			}]));
	}

	clear() {
		this.#loads.clear();
	}
}

function sumUp(loads, faultsOf) {
	const sum = { loads: loads.length, versions: {}, bad: 0, samples: [] };
	for (const fault of FAULTS)
		sum[fault] = 0;
	for (const load of loads) {
		const faults = faultsOf(load);
		sum.versions[load.version] =
			(sum.versions[load.version] ?? 0) + 1;
		sum.bad += faults.size > 0;
		for (const [fault, text] of faults) {
			sum[fault]++;
			if (sum.samples.length < SAMPLES)
				sum.samples.push(`${fault}: ${text}`);
		}
	}
	return sum;
}
