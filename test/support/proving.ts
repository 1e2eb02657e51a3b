import type { WebhookNotice } from "../../src/notify/webhook/body.ts";
import { type RunningDewy, runDewy } from "./dewy.ts";
import { TestHost } from "./host.ts";
import { type LoadResult, startLoad } from "./load.ts";
import { type ProvingMode, provingApp, provingCommand } from "./proving-app.ts";
import { until } from "./until.ts";
import { WebhookReceiver } from "./webhook-receiver.ts";

/** What stands where about a release, and what clients saw while it was tried. */
export interface Proof {
  readonly tag: string;
  /** `dewy status` and its `--json`. */
  readonly status: string;
  readonly statusJson: string;
  /** Of its tries, and of the way back from it. */
  readonly history: readonly { readonly result: string; readonly error?: string | undefined }[];
  /** Of the record that sets it aside. */
  readonly logged: string;
  /** What people were told of it that somebody should look at. */
  readonly alarms: readonly string[];
  /** What clients got meanwhile: failed requests, and answers by version. */
  readonly failures: readonly string[];
  readonly answers: ReadonlyMap<string, number>;
  /** Who answers in the end: version, generation, pid. */
  readonly serving: string;
}

export const goodTag = "v1.0.0";
/** With time to spare for a poll, the checks' deadline, and a machine that does other things. */
const limitMs = 90_000;

/** One agent with a good release under load, which is given one release after another to try. */
export class Proving implements AsyncDisposable {
  #patch = 0;

  private constructor(
    readonly host: TestHost,
    readonly agent: RunningDewy,
    private readonly receiver: WebhookReceiver,
    private readonly load: ReturnType<typeof startLoad>,
    private readonly open: AsyncDisposableStack,
  ) {}

  static async start(flags: readonly string[]): Promise<Proving> {
    await using open = new AsyncDisposableStack();
    const receiver = open.use(await WebhookReceiver.start(null));
    const host = open.use(new TestHost());
    host.publish(goodTag, provingApp(goodTag, "good"));
    const agent = host.server(
      [...flags, "--notifier", `webhook+http://${receiver.host}/hook`],
      provingCommand,
    );
    await agent.logged("Deploy done", { tag: goodTag }, limitMs);
    await host.serves(goodTag);
    const load = startLoad(host.port, { kept: 1, fresh: 2, pauseMs: 60 });
    open.defer(async () => void (await load.stop()));
    return new Proving(host, agent, receiver, load, open.move());
  }

  /** Publishes a release that is to be set aside, and looks at everything once it was passed over at the next check. */
  async refuses(mode: ProvingMode): Promise<Proof> {
    const { host, agent } = this;
    const { tag, before } = this.#publish(mode);
    await agent.logged("Deploy skipped", { tag, reason: "quarantined" }, limitMs);
    const setAside = agent.records.find((record) => record.msg === "Quarantined" && record["tag"] === tag);
    const wentBack = agent.records.find(
      (record) => record.msg === "Went back to the release before" && record["from"] === tag,
    );
    await host.serves(goodTag);
    const logged = String(setAside?.["reason"] ?? wentBack?.["error"] ?? "");
    return this.#proof(tag, before, { isBad: true, logged });
  }

  /** Publishes a release that is to become the one that serves. */
  async takes(mode: ProvingMode): Promise<Proof> {
    const { tag, before } = this.#publish(mode);
    const ends = ["Deploy done", "Quarantined"];
    const find = () => this.agent.records.find(({ msg, tag: of }) => of === tag && ends.includes(msg));
    const end = await until(`${tag} is taken or set aside`, find, limitMs);
    if (end.msg !== "Deploy done") throw new Error(`${tag} was set aside: ${end["reason"]}`);
    await this.host.serves(tag);
    await until("it is in the history", () => this.tries(tag) > 0);
    return this.#proof(tag, before, {});
  }

  /** How often a release was tried, by the history. */
  tries(tag: string): number {
    return this.host.history().filter((record) => record.tag === tag).length;
  }

  /** The newest of what was published. */
  get newest(): string {
    return `v1.0.${this.#patch}`;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.open.disposeAsync();
  }

  #publish(mode: ProvingMode): { tag: string; before: LoadResult } {
    this.#patch += 1;
    const before = this.load.seen();
    this.host.publish(this.newest, provingApp(this.newest, mode));
    return { tag: this.newest, before };
  }

  async #proof(tag: string, before: LoadResult, { isBad = false, logged = "" }): Promise<Proof> {
    const { host, receiver } = this;
    const alarms = () => noticesOf(receiver).filter((notice) => isAlarmOf(notice, tag));
    if (isBad) await until("people are told", () => alarms().length > 0);
    const [text, json] = await Promise.all([
      runDewy(["status", "--root", host.root]),
      runDewy(["status", "--root", host.root, "--json"]),
    ]);
    const serving = await host.ask();
    const seen = this.load.seen();
    const counted = [...seen.answers].map(
      ([version, count]) => [version, count - (before.answers.get(version) ?? 0)] as const,
    );
    return {
      tag,
      status: text.stdout,
      statusJson: json.stdout,
      history: host.history().filter((record) => record.tag === tag || record.fromTag === tag),
      logged,
      alarms: alarms().map((notice) => notice.text),
      failures: seen.failures.slice(before.failures.length),
      answers: new Map(counted.filter(([, count]) => count > 0)),
      serving,
    };
  }
}

function noticesOf(receiver: WebhookReceiver): WebhookNotice[] {
  return receiver.taken.map((body) => JSON.parse(body));
}

function isAlarmOf({ severity, event }: WebhookNotice, tag: string): boolean {
  return (severity === "error" || severity === "warning") && JSON.stringify(event).includes(`"${tag}"`);
}
