import { describe, expect, test } from "bun:test";
import { deploySteps } from "../../src/agent/deploy/deploy.ts";
import { DyingHost, noticeSteps, repeated } from "../support/dying-host.ts";
import { seededRandom } from "../support/fleet.ts";
import { type Mood, MoodyReceiver } from "../support/moody-receiver.ts";

const fullRun = process.env["DEWY_FULL"] === "1";
/** A kill is about half a second's work. */
const randomKills = fullRun ? 300 : 10;
const limitMs = fullRun ? 1_800_000 : 300_000;

/** A host, and what came of what its agents told a web hook's receiver. */
class ToldHost extends DyingHost {
  private constructor(readonly receiver: MoodyReceiver) {
    super({
      notifier: `webhook+${receiver.url}`,
      env: {},
      heal: () => {
        receiver.mood = () => "takes";
      },
      [Symbol.asyncDispose]: () => receiver[Symbol.asyncDispose](),
    });
  }

  static async start(): Promise<ToldHost> {
    return new ToldHost(await MoodyReceiver.start());
  }

  override async bringHome(): Promise<number> {
    const left = await super.bringHome();
    expect(left).toBe(1);
    return left;
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

  #tagsTold(): string[] {
    const events = new Map(this.receiver.taken.map(({ id, body }) => [id, eventOf(body)]));
    return [...events.values()].flatMap(({ kind, tag }) => (kind === "deployed" ? [tag ?? ""] : []));
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
      await using host = await ToldHost.start();
      // deploying, downloaded, hook, deployed, and what the one before left
      for (const step of noticeSteps) {
        for (const nth of [1, 2, 3, 4]) {
          const before = host.repeats();
          const kills = host.kills;
          await host.dieAt(step, nth);
          if (host.kills !== kills + 1) throw new Error(`${step} ${nth}: nobody was killed`);
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
      await using host = await ToldHost.start();
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
      await using host = await ToldHost.start();
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
      await using host = await ToldHost.start();
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
    await using host = await ToldHost.start();
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
