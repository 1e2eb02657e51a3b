import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import type { Subprocess } from "bun";
import { TestHost } from "./host.ts";

/** Where a notice is between the deploy and the service. */
export const noticeSteps = ["adding", "added", "sending", "answered", "recorded", "cleared"] as const;
export type NoticeStep = (typeof noticeSteps)[number];

/** How often the death there repeats a notice. Where one is written, the answer to another may be on its way. */
export const repeated: Readonly<Record<NoticeStep, readonly number[]>> = {
  adding: [0, 1],
  added: [0, 1],
  sending: [0],
  answered: [1],
  recorded: [0],
  cleared: [0],
};

/** Whom the agents tell. */
export interface ToldService extends AsyncDisposable {
  /** For --notifier. */
  readonly notifier: string;
  readonly env: Readonly<Record<string, string>>;
  /** It takes everything from now on. */
  heal(): void;
}

/** One host whose agents die, and the service that they tell. */
export class DyingHost implements AsyncDisposable {
  readonly #host = new TestHost();
  /** Tags whose deploy was committed: the world has to hear of them. */
  readonly deployed: string[] = [];
  /** Every notice that was ever on disk. */
  readonly written = new Set<string>();
  kills = 0;
  #published = 0;

  constructor(private readonly service: ToldService) {}

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

  /** With nothing new, an agent brings home what is left; how many notices there are then. */
  async bringHome(): Promise<number> {
    this.service.heal();
    const agent = this.#agent("never", 0);
    if ((await agent.exited) !== 0) throw new Error("the agent failed");
    this.look();
    return this.#notices().length;
  }

  look(): void {
    for (const id of this.#notices()) this.written.add(id);
    const path = join(this.#host.root, ".dewy/state.json");
    const tag = existsSync(path) ? this.#host.state().current?.tag : undefined;
    if (tag !== undefined && this.deployed.at(-1) !== tag) this.deployed.push(tag);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#host[Symbol.asyncDispose]();
    await this.service[Symbol.asyncDispose]();
  }

  #notices(): string[] {
    const path = join(this.#host.root, ".dewy/outbox");
    if (!existsSync(path)) return [];
    return readdirSync(path)
      .filter((name) => /^\d/.test(name))
      .map((name) => name.replace(".json", ""));
  }

  #agent(step: string, nth: number): Subprocess {
    const { notifier, env } = this.service;
    const args = [...this.#host.flags(), "--once", "--notifier", notifier, "--before-deploy-hook", "true"];
    return Bun.spawn(
      [process.execPath, "test/support/dying-notifier.ts", step, String(nth), "assets", ...args],
      { stdio: ["ignore", "inherit", "ignore"], env: { ...process.env, NO_PROXY: "127.0.0.1", ...env } },
    );
  }
}
