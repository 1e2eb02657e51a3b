import { expect, test } from "bun:test";
import fc from "fast-check";
import { type Clock, systemClock } from "../../src/util/time.ts";
import { MemoryRuntime } from "../support/memory-runtime.ts";
import { c, deployment, type Host, noSteps, openHost } from "./replica-set-host.ts";

const speed = 20;
/** Twenty times as fast as the real one, so that back-off takes no time of the test's. */
const fastClock: Clock = {
  now: () => new Date(),
  monotonicMs: () => performance.now() * speed,
  sleep: (ms, signal) => systemClock.sleep(ms / speed, signal),
};

const events = [
  "die",
  "pause",
  "remove",
  "fall ill",
  "recover",
  "engine restart",
  "engine down",
  "engine up",
  "answer lost",
  "update",
  "bad update",
  "failing hook",
  "restart",
  "abort",
  "let pass",
  "let pass",
  "let pass",
  "let pass",
] as const;
type Event = (typeof events)[number];

class Story {
  #version = 1;
  #abort = new AbortController();
  readonly #changes: Promise<unknown>[] = [];

  constructor(private readonly host: Host) {}

  async happen(event: Event, pick: number): Promise<void> {
    const { runtime, set } = this.host;
    const running = runtime.containers.filter(({ status }) => status === "running");
    const id = running[pick % Math.max(1, running.length)]?.id;
    if (event === "engine down" || event === "engine up") runtime.isDown = event === "engine down";
    if (event === "answer lost") runtime.fail("start", new Error("lost"), { isAnswerLost: true });
    if (event === "update") this.#change((call) => set.update(this.#next("serve"), noSteps, call));
    if (event === "bad update") this.#change((call) => set.update(this.#next("exit"), noSteps, call));
    if (event === "failing hook") {
      const steps = { ...noSteps, switched: () => Promise.reject(new Error("hook")) };
      this.#change((call) => set.update(this.#next("serve"), steps, call));
    }
    if (event === "restart") this.#change((call) => set.restart(call));
    if (event === "abort") {
      this.#abort.abort(new Error("aborted"));
      this.#abort = new AbortController();
    }
    if (event === "let pass") await Bun.sleep(pick);
    if (id === undefined) return;
    if (event === "die") runtime.die(id);
    if (event === "pause") runtime.pause(id);
    if (event === "remove") await runtime.removeByHand(id);
    if (event === "fall ill") runtime.behave(id, 503);
    if (event === "recover") runtime.behave(id, "serve");
    if (event === "engine restart") runtime.restartByEngine(id);
  }

  /** All that was begun has ended, well or not. */
  async end(): Promise<void> {
    await Promise.all(this.#changes);
  }

  #change(work: (call: { signal: AbortSignal }) => Promise<unknown>): void {
    this.#changes.push(work({ signal: this.#abort.signal }).catch(() => undefined));
  }

  #next(behaviour: "serve" | "exit") {
    return deployment(this.host.runtime, `v${++this.#version}`, behaviour);
  }
}

test("whatever happens, healthy replicas serve, and in the end exactly the wanted ones are there", async () => {
  const course = fc.array(fc.tuple(fc.constantFrom(...events), fc.nat({ max: 20 })), {
    minLength: 5,
    maxLength: 30,
  });
  await fc.assert(
    fc.asyncProperty(course, async (happenings) => {
      const health = { path: "/up", timeoutMs: 12_000, intervalMs: 200, threshold: 2, greeting: "" };
      await using host = openHost({ health, drainMs: 100 }, new MemoryRuntime(), fastClock);
      await host.set.update(deployment(host.runtime, "v1"), noSteps, c);
      let refused = 0;
      host.rotation.onChange = () => {
        const isWell = host.set.replicas().some(({ state }) => state === "serving");
        if (isWell && host.rotation.members.length === 0) refused++;
      };
      const story = new Story(host);
      for (const [event, pick] of happenings) await story.happen(event, pick);
      host.runtime.isDown = false;
      await story.end();
      await host.settles(host.set.deployment?.version ?? "");
      expect(refused).toBe(0);
      expect(new Set(host.names()).size).toBe(2);
      expect(host.log.at("error")).toEqual([]);
    }),
    {
      numRuns: Number(process.env["RUNS"] ?? 60),
      ...(process.env["SEED"] === undefined ? {} : { seed: Number(process.env["SEED"]) }),
    },
  );
}, 60_000);
