import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { runDewy } from "../../support/dewy.ts";
import { goodTag, type Proof, Proving } from "../../support/proving.ts";
import type { ProvingMode } from "../../support/proving-app.ts";
import { until } from "../../support/until.ts";

/** A release, and what is the matter with it as people read it. */
interface Case {
  readonly what: string;
  readonly mode: ProvingMode;
  readonly reason: RegExp;
  /** It was good for a while, or in part: clients may have had its answers. */
  readonly served?: true;
}

const short: readonly Case[] = [
  { what: "has no program", mode: "missing", reason: /command not found/ },
  { what: "can't be run", mode: "unrunnable", reason: /can't be executed|exited with code 12[67]/ },
  { what: "exits at once", mode: "exits-at-once", reason: /exited with code 7/ },
  { what: "exits after 3 s", mode: "exits-later", reason: /exited with code 3/ },
];
const deaf: Case = {
  what: "never accepts, so that only the old one answers",
  mode: "deaf",
  reason: /never took a connection|healthy/,
};
/** Without a rehearsal a generation has its share of the requests as soon as it accepts: it is sick at /up only. */
const shared: readonly [hangs: Case, errors: Case] = [
  { what: "hangs", mode: "hangs up", reason: /healthy.*no answer/, served: true },
  { what: "answers 500", mode: "errors up", reason: /500/, served: true },
];
const apart: readonly [hangs: Case, errors: Case] = [
  { what: "hangs", mode: "hangs", reason: /healthy.*no answer/ },
  { what: "answers 500", mode: "errors", reason: /500/ },
];
const soaks: readonly Case[] = [
  { what: "crashes in the soak", mode: "crashes", reason: /soak.*exited with code 9/, served: true },
  { what: "falls sick in the soak", mode: "sickens", reason: /soak.*503/, served: true },
];

const health = "--health-path /up --health-timeout 8s --health-interval 500ms --soak 12s".split(" ");
// Longer than all that an agent is given to prove: a test waits for its turn.
const limitMs = 180_000;

describe.each<[string, readonly string[], typeof shared]>([
  ["server", [], shared],
  ["server --rehearse", ["--rehearse"], apart],
  ["server --proxy", ["--proxy", "--drain-time", "2s"], apart],
])("%s: a release that", (_, flags, [hangs, errors]) => {
  // Several agents, so that the long cases run beside each other.
  const groups = [short, [deaf, hangs], [errors, ...soaks]];
  const lanes = groups.map(() => new Lane([...health, ...flags]));
  beforeAll(() => {
    for (const lane of lanes) lane.begin();
  });
  afterAll(() => Promise.all(lanes.map((lane) => lane[Symbol.asyncDispose]())), limitMs);

  const planned = lanes.flatMap((lane, index) =>
    (groups[index] ?? []).map((each) => ({
      ...each,
      proof: lane.plan((proving) => proving.refuses(each.mode)),
    })),
  );
  test.each(planned.map((each) => [each.what, each] as const))(
    "%s is set aside, says why, and the old one serves throughout",
    async (_, { proof, reason, served = false }) => {
      if (!served) expect([...(await proof).answers.keys()]).toEqual([goodTag]);
      expectRefused(await proof, reason);
    },
    limitMs,
  );

  const [first = new Lane([])] = lanes;
  const tries = first.plan(async (proving) => {
    const tag = proving.newest;
    const before = proving.tries(tag);
    const { code } = await runDewy(["retry", "--root", proving.host.root]);
    await until("another try", () => proving.tries(tag) > before);
    return { before, code };
  });
  test(
    "was set aside is tried once, and again when it is told to",
    async () => {
      expect(await tries).toEqual({ before: 1, code: 0 });
    },
    limitMs,
  );

  const late = first.plan((proving) => proving.takes("late"));
  test(
    "gets healthy late is taken, with no request lost",
    async () => {
      const { failures, alarms, history, serving, tag } = await late;
      expect({ failures, alarms }).toEqual({ failures: [], alarms: [] });
      expect(history.map(({ result }) => result)).toEqual(["deployed"]);
      expect(serving).toStartWith(`${tag} `);
    },
    limitMs,
  );
});

function expectRefused(proof: Proof, reason: RegExp): void {
  const { tag, failures, answers, serving, logged, alarms, status, statusJson, history } = proof;
  expect(failures).toEqual([]);
  expect(answers.get(goodTag)).toBeGreaterThan(0);
  expect(serving).toStartWith(`${goodTag} `);
  expect(logged).toMatch(reason);
  // Its lines may be folded.
  expect(status.replaceAll(/\s+/g, " ")).toMatch(
    new RegExp(`${tag.replaceAll(".", "\\.")}.*${reason.source}`),
  );
  expect(statusJson).toContain(`"${tag}"`);
  expect(statusJson).toMatch(reason);
  expect(history.map(({ error = "" }) => error).join()).toMatch(reason);
  expect(alarms).toEqual([expect.stringMatching(reason)]);
}

/** One agent, and what it is to prove, one after another. */
class Lane implements AsyncDisposable {
  readonly #plans: ((proving: Promise<Proving>) => Promise<void>)[] = [];
  #proving: Promise<Proving> | null = null;

  constructor(private readonly flags: readonly string[]) {}

  plan<T>(work: (proving: Proving) => Promise<T>): Promise<T> {
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    promise.catch(() => undefined); // its test says so
    this.#plans.push((proving) => proving.then(work).then(resolve, reject));
    return promise;
  }

  begin(): void {
    const proving = Proving.start(this.flags);
    this.#proving = proving;
    void this.#plans.reduce((before, plan) => before.then(() => plan(proving)), Promise.resolve());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const proving = await this.#proving?.catch(() => null);
    await proving?.[Symbol.asyncDispose]();
  }
}
