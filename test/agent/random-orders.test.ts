import { expect, test } from "bun:test";
import type { Agent } from "../../src/agent/agent.ts";
import { stopNoticeMs } from "../../src/agent/back/retreat.ts";
import type { Order } from "../../src/agent/orders/operations.ts";
import { DewyError } from "../../src/errors.ts";
import { AgentHost } from "../support/agent-host.ts";

const c = { signal: new AbortController().signal };

/** The same numbers for the same seed: 0 ≤ value < 1. */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

/** One agent's life among releases, orders, failures and restarts, and what must hold after each of them. */
class Life {
  readonly host = new AgentHost();
  agent: Agent = this.#newAgent();
  #published = 0;
  #bad: ReadonlySet<string> = new Set();

  constructor(private readonly random: () => number) {
    this.host.app.startFailure = ({ tag }) =>
      this.#bad.has(tag) ? new DewyError("start-failed", "no start") : null;
  }

  #newAgent(): Agent {
    return this.host.agent({ soakMs: 30_000, keep: 2 });
  }

  get tag(): string | null {
    return this.host.state.current?.tag ?? null;
  }

  async step(): Promise<string> {
    const steps: readonly (() => string | Promise<string>)[] = [
      () => this.#publish(),
      () => this.#check(),
      () => this.#check(),
      () => this.#order(),
      () => this.#order(),
      () => this.#fail(),
      () => this.#restart(),
    ];
    const did = (await steps[Math.floor(this.random() * steps.length)]?.()) ?? "nothing";
    await this.host.clock.advance(Math.floor(this.random() * 40_000));
    return did;
  }

  #publish(): string {
    this.#published += 1;
    const tag = `v1.${this.#published}.0`;
    if (this.random() < 0.3) this.#bad = new Set([...this.#bad, tag]);
    this.host.registry.publish(tag);
    return `publish ${tag}`;
  }

  async #check(): Promise<string> {
    const { state, clock } = this.host;
    const { hold, quarantine } = state;
    const isHeld =
      hold !== null && hold.left === null && (hold.until === null || new Date(hold.until) > clock.now());
    const before = this.tag;
    await this.agent.tick(c);
    const after = this.tag;
    if (isHeld) expect(after).toBe(before);
    if (after !== before) expect(quarantine.map(({ tag }) => tag)).not.toContain(after ?? "");
    if (hold?.left === after) expect(after).toBe(before);
    return "check";
  }

  async #order(): Promise<string> {
    const tag = `v1.${1 + Math.floor(this.random() * Math.max(1, this.#published))}.0`;
    const until = new Date(this.host.clock.now().getTime() + 60_000);
    const orders: readonly Order[] = [
      { kind: "deploy", tag },
      { kind: "rollback", tag: null },
      { kind: "rollback", tag },
      { kind: "hold", until: this.random() < 0.5 ? null : until, reason: null },
      { kind: "resume" },
      { kind: "retry" },
    ];
    const order = orders[Math.floor(this.random() * orders.length)] ?? { kind: "resume" };
    const before = this.tag;
    const done = await this.agent.carryOut(order, () => undefined, c).catch((error: unknown) => error);
    // What can't be done changes nothing.
    if (done instanceof DewyError) expect(this.tag).toBe(before);
    else if (order.kind === "rollback" && before !== null) expect(this.host.state.hold).not.toBeNull();
    return JSON.stringify(order);
  }

  async #fail(): Promise<string> {
    const { current } = this.host.state;
    if (current === null) return "nothing to fail";
    const goesBack = this.agent.appFailed({ release: current.release, kind: "crashed", reason: "exit 1" });
    await this.host.clock.advance(stopNoticeMs);
    while (this.agent.view().busy !== null) await Bun.sleep(1);
    if (goesBack && this.tag !== current.tag) {
      expect(this.host.state.quarantine.map(({ digest }) => digest)).toContain(current.digest);
    }
    return `crash of ${current.tag}`;
  }

  async #restart(): Promise<string> {
    this.agent = this.#newAgent();
    await this.agent.begin(c);
    return "restart";
  }

  expectWhole(): void {
    const { state, current, releases } = this.host;
    expect(current).toBe(state.current?.tag ?? null);
    for (const placed of [state.current, state.previous]) {
      if (placed !== null) expect(releases.has(placed.release)).toBe(true);
    }
    expect(state).toMatchObject({ attempt: null, retreat: null, unreported: null });
  }
}

test.each(Array.from({ length: 12 }, (_, seed) => seed))(
  "whatever comes in whatever order, what runs is whole, wanted and no known bad one (seed %p)",
  async (seed) => {
    const life = new Life(randomFrom(seed));
    using _host = life.host;
    await life.agent.begin(c);
    const course: string[] = [];
    try {
      for (let steps = 0; steps < 60; steps++) {
        course.push(await life.step());
        life.expectWhole();
      }
    } catch (error) {
      throw new Error(course.join("\n"), { cause: error });
    }
  },
);
