import { expect, test } from "bun:test";
import { existsSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { crc32, deflateRawSync, gzipSync } from "node:zlib";
import { DewyError } from "../../../src/errors.ts";
import { gnuLong, pax, tar, zip } from "./build.ts";
import { mutate, Random } from "./mutate.ts";
import { Sandbox } from "./sandbox.ts";
import { compressions, has } from "./tools.ts";

const inputs = Number(process.env["DEWY_FUZZ_INPUTS"] ?? 10_000);
const firstSeed = Number(process.env["DEWY_FUZZ_SEED"] ?? 1);
const deadlineMs = 10_000;
const limits = { maxBytes: 4 * 1024 * 1024, maxEntries: 300, maxRatio: 1000 };
/** What an archive may be refused with; anything else is a bug, as is any other error. */
const expected = new Set(["archive-refused", "archive-corrupt", "artifact-too-large"]);

const tars = [
  tar(
    { name: "d/", type: "5", mode: 0o755 },
    { name: "d/a", body: "one" },
    { name: "b", body: "x".repeat(700) },
  ),
  tar(
    { name: "d/f", body: "file" },
    { name: "l", type: "2", linkname: "d/f", mode: 0o777 },
    { name: "d/m", type: "2", linkname: "../l", mode: 0o777 },
    { name: "h", type: "1", linkname: "d/f" },
  ),
  tar(pax({ path: "d/é", size: "5" }), { name: "x", body: "hello" }, pax({ linkpath: "d" }), {
    name: "l",
    type: "2",
  }),
  tar(gnuLong("L", `${"long/".repeat(30)}x`), { body: "1" }, gnuLong("K", "long/long"), {
    name: "k",
    type: "2",
  }),
  tar(pax({ comment: "commit" }, "g"), { name: "c", prefix: "p/q", body: "z".repeat(1500) }),
];
const zips = [
  zip([{ name: "d/" }, { name: "d/a", body: "x".repeat(300) }, { name: "b", body: "two", method: 0 }]),
  zip([
    { name: "d/f", body: "file", unixMode: 0o100755 },
    { name: "l", body: "d/f", unixMode: 0o120777 },
    { name: "m", body: "l", unixMode: 0o120777, method: 0 },
  ]),
  zip([{ name: "s", body: "later", flags: 0x0808, local: { size: 0, packedSize: 0, crc: 0 } }], {
    comment: "PK",
  }),
];

/** How a mutant becomes a file: `make` gets the mutated tar, or the mutated bytes of one of `seeds`. */
interface Target {
  readonly name: string;
  readonly seeds: readonly Buffer[];
  readonly isTar: boolean;
  readonly make: (mutant: Buffer, random: Random) => Buffer;
}

const asIs = (mutant: Buffer) => mutant;
const targets: readonly [Target, ...Target[]] = [
  { name: "a.tar", seeds: tars, isTar: true, make: asIs },
  { name: "b.tar.gz", seeds: tars, isTar: true, make: (mutant) => gzipSync(mutant, { level: 1 }) },
  { name: "c.tgz", seeds: tars.map((seed) => gzipSync(seed)), isTar: false, make: asIs },
  { name: "d.zip", seeds: zips, isTar: false, make: asIs },
  { name: "e.tar", seeds: tars, isTar: true, make: asIs },
  { name: "f.zip", seeds: tars, isTar: false, make: wellFormedZip },
  ...compressions
    .filter(({ suffix, tool }) => (suffix === ".tbz2" || suffix === ".txz") && has(tool))
    .map(({ suffix, compress }) => ({
      name: `g${suffix}`,
      seeds: tars.map((seed) => compress(seed)),
      isTar: false,
      make: asIs,
    })),
];

/** A zip with right headers around a mutant of content, and names out of the mutant. */
function wellFormedZip(mutant: Buffer, random: Random): Buffer {
  const names = ["a", "a/b", "l", "l/x", "../x", "d/", mutant.toString("latin1", 0, 20), "c\\d"] as const;
  const entries = Array.from({ length: 1 + random.below(4) }, () => {
    const body = mutant.subarray(0, random.below(400));
    const packed = deflateRawSync(body);
    const unixMode = random.pick([0o100644, 0o120777, 0o040755, 0o104755, 0o010644, 0]);
    const name = random.pick(names);
    const size = random.below(8) === 0 ? random.below(1000) : body.length;
    return { name, body, packed, unixMode, size, crc: crc32(body) };
  });
  return zip(entries);
}

function input(seed: number): { name: string; archive: Buffer } {
  const random = new Random(seed);
  const target = random.pick(targets);
  const original = target.seeds[random.below(target.seeds.length)] ?? Buffer.alloc(0);
  const mutant = mutate(original, target.isTar, random, target.seeds);
  return { name: target.name, archive: target.make(mutant, random) };
}

/** Extracts one input; returns how it ended. */
async function outcome(sandbox: Sandbox, name: string, archive: Buffer): Promise<string> {
  const timer = new AbortController();
  const timeout = setTimeout(() => timer.abort(new Error("over its deadline")), deadlineMs);
  try {
    await sandbox.extract(archive, name, limits, timer.signal);
    return "extracted";
  } catch (error) {
    if (error instanceof DewyError && expected.has(error.code)) return error.code;
    throw error;
  } finally {
    clearTimeout(timeout);
  }
}

test(
  `${inputs} mutated archives are extracted or refused, and nothing outside changes`,
  async () => {
    // In memory where there is such a place: what matters here is not the disk.
    using sandbox = new Sandbox(existsSync("/dev/shm") ? "/dev/shm" : tmpdir());
    const before = sandbox.outside();
    const outcomes: Record<string, number> = {};
    for (let seed = firstSeed; seed < firstSeed + inputs; seed += 1) {
      const { name, archive } = input(seed);
      try {
        const ended = await outcome(sandbox, name, archive);
        outcomes[ended] = (outcomes[ended] ?? 0) + 1;
        expect(sandbox.outside()).toEqual(before);
      } catch (error) {
        const kept = join(tmpdir(), `dewy-fuzz-${seed}-${name}`);
        writeFileSync(kept, archive);
        console.error(`seed ${seed}; again with DEWY_FUZZ_SEED=${seed} DEWY_FUZZ_INPUTS=1; kept ${kept}`);
        throw error;
      }
      sandbox.empty();
    }
    console.info(JSON.stringify(outcomes));
    // A fuzzer that only meets one outcome tests nothing.
    for (const usual of ["extracted", "archive-refused", "archive-corrupt"]) {
      if (inputs >= 1000) expect(outcomes[usual] ?? 0).toBeGreaterThan(inputs / 50);
    }
  },
  15 * 60_000,
);
