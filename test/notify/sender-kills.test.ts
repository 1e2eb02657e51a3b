import { describe, expect, test } from "bun:test";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import type { Subprocess } from "bun";
import { deploySteps } from "../../src/agent/deploy.ts";
import { seededRandom } from "../support/fleet.ts";
import { TestHost } from "../support/host.ts";
import { type Mood, MoodyReceiver } from "../support/moody-receiver.ts";

const fullRun = process.env["DEWY_FULL"] === "1";
/** A kill is about half a second's work. */
const randomKills = fullRun ? 300 : 10;
const limitMs = fullRun ? 1_800_000 : 120_000;

/** Where a notice is between the deploy and the service. */
const noticeSteps = ["adding", "added", "sending", "answered", "recorded", "cleared"] as const;
/** How many notices the death there repeats. Where a notice is written, the answer to another may be on its way. */
const repeated: Readonly<Record<(typeof noticeSteps)[number], readonly number[]>> = {
  adding: [0, 1],
  added: [0, 1],
  sending: [0],
  answered: [1],
  recorded: [0],
  cleared: [0],
};

/** One host whose agents die, and the service that they tell. */
class DyingHost implements AsyncDisposable {
  readonly #host = new TestHost();
  /** Tags whose deploy was committed: the world has to hear of them. */
  readonly deployed: string[] = [];
  /** Every notice that was ever on disk. */
  readonly written = new Set<string>();
  kills = 0;
  #published = 0;

  private constructor(readonly receiver: MoodyReceiver) {}

  static async start(): Promise<DyingHost> {
    return new DyingHost(await MoodyReceiver.start());
  }

  /** Publishes the next version and lets an agent deploy it that dies the `nth` time it passes `step`. */
  async dieAt(step: string, nth: number): Promise<void> {
    const agent = this.deployNext(step, nth);
    await agent.exited;
    // With little to tell, or a service in a bad mood, it may never get there.
    if (agent.signalCode === "SIGKILL") this.kills += 1;
    this.look();
  }

  deployNext(step: string, nth: number): Subprocess {
    this.#published += 1;
    this.#host.publish(`v1.0.${this.#published}`, { VERSION: `${this.#published}` });
    return this.#agent(step, nth);
  }

  /** With nothing new, an agent brings home what is left. */
  async bringHome(): Promise<void> {
    this.receiver.mood = () => "takes";
    const agent = this.#agent("never", 0);
    expect(await agent.exited).toBe(0);
    this.look();
    expect(this.#notices()).toHaveLength(1);
  }

  look(): void {
    for (const id of this.#notices()) this.written.add(id);
    const path = join(this.#host.root, ".dewy/state.json");
    const tag = existsSync(path) ? this.#host.state().current?.tag : undefined;
    if (tag !== undefined && this.deployed.at(-1) !== tag) this.deployed.push(tag);
  }

  /** What arrived, each once, as it first did: in order, nothing missing. */
  expectAllTold(): void {
    const ids = this.receiver.taken.map(({ id }) => id);
    const firsts = [...new Set(ids)];
    expect(firsts).toEqual([...firsts].sort());
    expect([...this.written].filter((id) => !firsts.includes(id))).toEqual([]);
    expect(this.#tagsTold()).toEqual(this.deployed);
  }

  /** Notices that arrived more than once. */
  repeats(): number {
    const ids = this.receiver.taken.map(({ id }) => id);
    return ids.length - new Set(ids).size;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#host[Symbol.asyncDispose]();
    await this.receiver[Symbol.asyncDispose]();
  }

  #tagsTold(): string[] {
    const events = new Map(this.receiver.taken.map(({ id, body }) => [id, eventOf(body)]));
    return [...events.values()].flatMap(({ kind, tag }) => (kind === "deployed" ? [tag ?? ""] : []));
  }

  #notices(): string[] {
    const path = join(this.#host.root, ".dewy/outbox");
    if (!existsSync(path)) return [];
    return readdirSync(path)
      .filter((name) => /^\d/.test(name))
      .map((name) => name.replace(".json", ""));
  }

  #agent(step: string, nth: number): Subprocess {
    const notifier = `webhook+${this.receiver.url}`;
    const args = [...this.#host.flags(), "--once", "--notifier", notifier, "--before-deploy-hook", "true"];
    return Bun.spawn(
      [process.execPath, "test/support/dying-notifier.ts", step, String(nth), "assets", ...args],
      { stdio: ["ignore", "inherit", "ignore"], env: { ...process.env, NO_PROXY: "127.0.0.1" } },
    );
  }
}

function eventOf(body: unknown): { readonly kind?: string; readonly tag?: string } {
  const { event } = body as { event: { kind?: string; tag?: string } };
  return event;
}

describe("kill -9 of the agent", () => {
  test(
    "at every point between the deploy and the service loses nothing; only behind the answer something comes twice",
    async () => {
      await using host = await DyingHost.start();
      // deploying, downloaded, hook, deployed, and what the one before left
      for (const step of noticeSteps) {
        for (const nth of [1, 2, 3, 4]) {
          const before = host.repeats();
          await host.dieAt(step, nth);
          // The notice that this one's death may repeat comes with the next agent.
          const next = host.deployNext("never", 0);
          expect(await next.exited).toBe(0);
          host.look();
          const repeats = host.repeats() - before;
          if (!repeated[step].includes(repeats)) throw new Error(`${step} ${nth}: ${repeats} came twice`);
        }
      }
      await host.bringHome();
      host.expectAllTold();
    },
    limitMs,
  );

  test(
    "at every step of a deploy: what was committed is told",
    async () => {
      await using host = await DyingHost.start();
      for (const step of deploySteps) await host.dieAt(step, 1);
      expect(host.kills).toBe(deploySteps.length);
      await host.bringHome();
      host.expectAllTold();
      expect(host.deployed.length).toBeGreaterThan(0);
      // An answer may have been on its way.
      expect(host.repeats()).toBeLessThanOrEqual(deploySteps.length);
    },
    limitMs,
  );

  test(
    "in the middle of a request that is never answered: it is sent again",
    async () => {
      await using host = await DyingHost.start();
      await host.dieAt("never", 0);
      host.receiver.mood = () => "hangs";
      const agent = host.deployNext("never", 0);
      const { promise, resolve } = Promise.withResolvers<void>();
      host.receiver.onHang = resolve;
      await promise;
      agent.kill("SIGKILL");
      await agent.exited;
      host.look();
      await host.bringHome();
      host.expectAllTold();
      expect(host.repeats()).toBe(0);
    },
    limitMs,
  );

  test(
    "again and again, anywhere, while the service limits, breaks and dies: all is told, in order",
    async () => {
      await using host = await DyingHost.start();
      const random = seededRandom(7);
      const moods: readonly Mood[] = [
        "takes",
        "takes",
        "takes",
        "takes",
        "takes",
        "limited",
        "broken",
        "dies",
      ];
      host.receiver.mood = () => moods[Math.floor(random() * moods.length)] ?? "takes";
      let repeats = 0;
      for (let kill = 0; kill < randomKills; kill++) {
        const step = noticeSteps[Math.floor(random() * noticeSteps.length)] ?? "adding";
        repeats += Math.max(...repeated[step]);
        await host.dieAt(step, 1 + Math.floor(random() * 4));
      }
      await host.bringHome();
      host.expectAllTold();
      expect(host.repeats()).toBeLessThanOrEqual(repeats);
      expect(host.kills).toBeGreaterThan(randomKills / 2);
      expect(new Set(host.receiver.moods).size).toBeGreaterThan(2);
    },
    limitMs,
  );
});

test(
  "a service that does nothing but fail holds up no deploy, and the end for ten seconds at most",
  async () => {
    await using host = await DyingHost.start();
    await host.dieAt("never", 0);
    const before = host.receiver.taken.length;
    host.receiver.mood = () => "broken";
    await host.dieAt("never", 0);
    expect(host.deployed).toEqual(["v1.0.1", "v1.0.2"]);
    expect(host.receiver.taken).toHaveLength(before);
    await host.bringHome();
    host.expectAllTold();
    expect(host.repeats()).toBe(0);
  },
  limitMs,
);
