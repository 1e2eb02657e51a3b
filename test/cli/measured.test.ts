import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { History } from "../../src/agent/history.ts";
import { StateFile } from "../../src/agent/state.ts";
import { measureAgent } from "../../src/cli/measure/measured.ts";
import { DewyError } from "../../src/errors.ts";
import type { Latest } from "../../src/registry/registry.ts";
import type { Metrics, Reading } from "../../src/telemetry/metrics.ts";
import { FakeClock } from "../support/clock.ts";
import { CountingRegistry, releaseOf } from "../support/fleet.ts";
import { recordingLog } from "../support/recording.ts";
import { tempDir } from "../support/temp-dir.ts";

const never = { signal: new AbortController().signal };
const away = new DewyError("network-unreachable", "no route to the registry");

/** A registry that answers as a test says, and what is measured of it. */
class Measured implements Disposable {
  readonly #dir = tempDir();
  readonly clock = new FakeClock();
  readonly state = StateFile.open(join(this.#dir.path, "state.json"), recordingLog()).file;
  readonly upstream = new CountingRegistry(this.clock);
  #read: () => readonly Reading[] = () => [];

  readonly agent = measureAgent(
    { metrics: this.#metrics(), page: async () => ({ contentType: "", body: "" }), intervalMs: 10_000 },
    {
      command: "server",
      registry: this.upstream,
      history: new History(join(this.#dir.path, "history.jsonl")),
      state: this.state,
      clock: this.clock,
    },
  );

  /** `name{label}`, without the prefix. */
  get polls(): Readonly<Record<string, number>> {
    const own = this.#read().filter(({ name }) => /poll|quarantined/.test(name));
    return Object.fromEntries(
      own.map(({ name, labels, value }) => [
        [name.replace(/^dewy\./, ""), ...Object.values(labels)].join(" "),
        value,
      ]),
    );
  }

  answer(latest: Partial<Latest>): void {
    this.upstream.latest = async () => ({ release: releaseOf("v1"), otherSlot: null, ...latest });
  }

  poll(): Promise<unknown> {
    return this.agent.registry.latest(never).catch(() => undefined);
  }

  [Symbol.dispose](): void {
    this.#dir[Symbol.dispose]();
  }

  #metrics(): Metrics {
    return {
      observe: (read) => {
        this.#read = read;
      },
      histogram: () => () => undefined,
    };
  }
}

const startSeconds = Math.floor(new FakeClock().now().getTime() / 1000);

describe("of the registry is measured", () => {
  test("how often it answered, and how often in a row it did not", async () => {
    using measured = new Measured();
    expect(measured.polls).toMatchObject({ "poll.total success": 0, "poll.total failure": 0 });
    measured.upstream.failure = away;
    for (let polls = 0; polls < 3; polls++) await measured.poll();
    expect(measured.polls).toMatchObject({ "poll.total failure": 3, "poll.consecutive_failures": 3 });
    expect(measured.polls["poll.last_success.timestamp"]).toBeUndefined();
    measured.upstream.failure = null;
    await measured.poll();
    expect(measured.polls).toMatchObject({
      "poll.total success": 1,
      "poll.consecutive_failures": 0,
      "poll.last_success.timestamp": startSeconds,
    });
  });

  test("a fleet's answer by when the registry gave it; one that is served on as a failure", async () => {
    using measured = new Measured();
    const asOf = measured.clock.now();
    await measured.clock.advance(60_000);
    measured.answer({ shared: { asOf, isStale: false, windowMs: 30_000 } });
    await measured.poll();
    expect(measured.polls).toMatchObject({ "poll.total success": 1, "poll.total failure": 0 });
    measured.answer({ shared: { asOf, isStale: true, windowMs: 30_000 } });
    await measured.poll();
    await measured.poll();
    expect(measured.polls).toMatchObject({
      "poll.total success": 1,
      "poll.total failure": 2,
      "poll.consecutive_failures": 2,
      "poll.last_success.timestamp": startSeconds,
    });
  });

  test("how often it is asked: by this host, by its own limits, or by a fleet", async () => {
    using measured = new Measured();
    expect(measured.polls["poll.interval"]).toBe(10);
    measured.upstream.minMs = 72_500;
    expect(measured.polls["poll.interval"]).toBe(73);
    measured.answer({ shared: { asOf: new Date(0), isStale: false, windowMs: 7_200_000 } });
    await measured.poll();
    expect(measured.polls["poll.interval"]).toBe(7200);
  });

  test("whether what is newest is set aside, and no more of what was replaced", async () => {
    using measured = new Measured();
    const entry = { digest: null, fingerprint: "f", reason: "it died", at: "2026-11-21T09:36:46.000Z" };
    measured.state.learn({ quarantine: [{ ...entry, tag: "v1.1.0" }] });
    measured.answer({ release: releaseOf("v1.1.0") });
    await measured.poll();
    expect(measured.polls["quarantined"]).toBe(1);
    measured.answer({ release: releaseOf("v1.2.0") });
    await measured.poll();
    expect(measured.polls["quarantined"]).toBe(0);
  });
});
